#!/usr/bin/env bats
# Starting as aero-l2-proxy: its arguments, its environment with every alias, and what stops it.

load lib

teardown() { aero_teardown; }

LINE='aero-l2-proxy listening on http://'

# legacy ARGS...: run to its end with the environment of $env.
legacy() {
	as_legacy
	run --separate-stderr timeout 10 env -i PATH="$PATH" ASAN_OPTIONS="$ASAN_OPTIONS" UBSAN_OPTIONS="$UBSAN_OPTIONS" \
		"${env[@]}" "$LEGACY" "$@"
}

setup() {
	bats_require_minimum_version 1.5.0
	env=()
}

@test "help goes to stdout and exits 0; bad arguments exit 2 with two lines" {
	for flag in --help -h; do
		legacy "$flag"
		[ "$status" -eq 0 ] && [[ "$output" == *--bind* && "$output" == *--ready-stdout* ]] && [ -z "$stderr" ]
	done
	bad() {
		legacy "$@"
		[ "$status" -eq 2 ] && [ -z "$output" ] || { echo "$*: $status $output"; return 1; }
		[[ "${stderr_lines[0]}" == "error: "* ]] && [ "${stderr_lines[1]}" = "Run with --help for usage." ] &&
			[ "${#stderr_lines[@]}" -eq 2 ] || { echo "$*: $stderr"; return 1; }
	}
	bad --bogus
	bad word
	bad --bind
	bad --bind=
	bad --bind localhost:0
	bad --bind=127.0.0.1
	bad --bind 127.0.0.1:65536
	bad --bind 300.0.0.1:80
	bad --ready-stdout=1
	# arguments are read before the environment
	env=(AERO_L2_AUTH_MODE=nonsense)
	bad --bogus
}

@test "a harness finds the address on a line, with no arguments at all" {
	as_legacy
	spawn aero env -i PATH="$PATH" AERO_L2_PROXY_LISTEN_ADDR=127.0.0.1:0 RUST_LOG=aero_l2_proxy=info \
		AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 "$LEGACY"
	AERO_PID=$spawned
	line=$(cat "$BATS_TEST_TMPDIR"/aero.{out,err} | grep -m1 "$LINE" || wait_line "$BATS_TEST_TMPDIR/aero.err" "$LINE" 5 "$AERO_PID")
	[[ "$line" =~ ${LINE}(127\.0\.0\.1):([0-9]+) ]]
	AERO_PORT=${BASH_REMATCH[2]}
	[ "$AERO_PORT" -gt 0 ]
	upgrades <<<"101 | -"
	# SIGINT with an open tunnel: an orderly end in less than 2 s
	guest <<-'E'
		t, begin = Tunnel(), time.monotonic()
		os.kill(PID, signal.SIGINT)
		assert t.end(2) == (1001, 'shutting down', [])
		until(lambda: not os.path.exists('/proc/%d' % PID) or open('/proc/%d/stat' % PID).read().split()[2] == 'Z', 2)
		assert time.monotonic() - begin < 2
	E
	aero_stop
	grep -q 'info .*shutdown signal received' "$BATS_TEST_TMPDIR/aero.err"
}

@test "--ready-stdout prints one line, and --bind overrides the environment" {
	legacy_start AERO_L2_AUTH_MODE=none -- --bind=127.0.0.2:0
	[[ "$AERO_WS" =~ ^ws://127\.0\.0\.2:[0-9]+/l2$ ]]
	[ "$(wc -l <"$BATS_TEST_TMPDIR/aero.out")" = 1 ]
	curl -fsS "$AERO_HTTP/healthz"
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none -- --bind 127.0.0.3:0
	[[ "$AERO_WS" == ws://127.0.0.3:* ]]
}

@test "an IPv6 address stands in brackets" {
	[ -e /proc/net/if_inet6 ] && grep -q ' lo$' /proc/net/if_inet6 || skip "no IPv6 on this machine"
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 -- --bind '[::1]:0'
	[[ "$AERO_WS" =~ ^ws://\[::1\]:[0-9]+/l2$ ]]
	grep -qE "${LINE}\[::1\]:[0-9]+$" "$BATS_TEST_TMPDIR/aero.err"
	curl -fsSg "$AERO_HTTP/healthz"
	guest <<<'Tunnel(host="::1").close()'
	wait_line "$BATS_TEST_TMPDIR/aero.err" 'session opened.*client=::1'
}

@test "the old alias of the address, and what an unusable first name does" {
	as_legacy
	show() { env -i PATH="$PATH" AERO_L2_AUTH_MODE=none "$@" "$AERO" config show l2 --json | jq -r '.options[] | select(.name == "server.listen").value'; }
	[ "$(show AERO_L2_PROXY_BIND_ADDR=127.0.0.1:1)" = 127.0.0.1:1 ]
	[ "$(show AERO_L2_PROXY_BIND_ADDR=127.0.0.1:1 AERO_L2_PROXY_LISTEN_ADDR=127.0.0.1:2)" = 127.0.0.1:2 ]
	# an empty first name does not fall through to the alias
	[ "$(show AERO_L2_PROXY_BIND_ADDR=127.0.0.1:1 AERO_L2_PROXY_LISTEN_ADDR=)" != 127.0.0.1:1 ]
	legacy_refuses 'AERO_L2_PROXY_LISTEN_ADDR' AERO_L2_AUTH_MODE=none AERO_L2_PROXY_LISTEN_ADDR=localhost:0
}

@test "the old default address" {
	unshare -rn true 2>/dev/null || unshare -n true 2>/dev/null || skip "needs a network namespace"
	as_legacy
	AERO_L2_AUTH_MODE=none spawn aero unshare -n "$LEGACY"
	wait_line "$BATS_TEST_TMPDIR/aero.err" "${LINE}0\.0\.0\.0:8090$" 10 "$spawned"
}

@test "every environment name says what it always said" {
	# NAME=value [NAME=value...] | option | value in effect
	python3 -S -c "$(
		cat <<-'P'
			import json, os, shlex, subprocess, sys
			wrong = []
			for line in sys.stdin:
			    names, option, want = (x.strip() for x in line.split(' | '))
			    env = dict(x.split('=', 1) for x in shlex.split(names))
			    env.update(AERO_AUTH_MODE='none', **{k: os.environ[k] for k in ('ASAN_OPTIONS', 'UBSAN_OPTIONS')})
			    out = subprocess.run([os.environ['AERO'], 'config', 'show', 'l2', '--json'], env=env, capture_output=True)
			    try:
			        row, = (o for o in json.loads(out.stdout)['options'] if o['name'] == option)
			        got = row.get('value', row.get('set'))
			    except ValueError:
			        got = out.stderr
			    if got != json.loads(want):
			        wrong.append('%s: %s is %r, wanted %s' % (names, option, got, want))
			sys.exit('\n'.join(wrong) or 0)
		P
	)" <<-'E'
		AERO_L2_SHUTDOWN_GRACE_MS=0                                | server.shutdown-grace | 0
		AERO_L2_SHUTDOWN_GRACE_MS=+250                             | server.shutdown-grace | 250
		AERO_L2_MAX_FRAME_PAYLOAD=' 1000 '                         | tunnel.max-frame-payload | 1000
		AERO_L2_MAX_FRAME_PAYLOAD=0 AERO_L2_MAX_FRAME_SIZE=900     | tunnel.max-frame-payload | 900
		AERO_L2_MAX_FRAME_PAYLOAD='  ' AERO_L2_MAX_FRAME_SIZE=900  | tunnel.max-frame-payload | 900
		AERO_L2_MAX_FRAME_PAYLOAD=junk AERO_L2_MAX_FRAME_SIZE=900  | tunnel.max-frame-payload | 900
		AERO_L2_MAX_FRAME_PAYLOAD=0 AERO_L2_MAX_FRAME_SIZE=0       | tunnel.max-frame-payload | 2048
		AERO_L2_MAX_FRAME_PAYLOAD=junk                             | tunnel.max-frame-payload | 2048
		AERO_L2_MAX_FRAME_SIZE=901                                 | tunnel.max-frame-payload | 901
		AERO_L2_MAX_CONTROL_PAYLOAD=0                              | tunnel.max-control-payload | 256
		AERO_L2_MAX_CONTROL_PAYLOAD=8                              | tunnel.max-control-payload | 8
		AERO_L2_PING_INTERVAL_MS=0                                 | tunnel.ping-interval | 0
		AERO_L2_PING_INTERVAL_MS=10                                | tunnel.ping-interval | 10
		AERO_L2_IDLE_TIMEOUT_MS=77                                 | tunnel.idle-timeout | 77
		AERO_L2_TCP_CONNECT_TIMEOUT_MS=0                           | tcp.connect-timeout | 0
		AERO_L2_TCP_SEND_BUFFER=0                                  | tcp.send-buffer | 32
		AERO_L2_TCP_SEND_BUFFER=7                                  | tcp.send-buffer | 7
		AERO_L2_WS_SEND_BUFFER=0                                   | tunnel.send-buffer | 64
		AERO_L2_WS_SEND_BUFFER=1                                   | tunnel.send-buffer | 1
		AERO_L2_MAX_UDP_FLOWS_PER_TUNNEL=99999                     | udp.max-flows | 65535
		AERO_L2_MAX_UDP_FLOWS_PER_TUNNEL=0                         | udp.max-flows | 0
		AERO_L2_UDP_FLOW_IDLE_TIMEOUT_MS=99999999                  | udp.idle-timeout | 86400000
		AERO_L2_STACK_MAX_TCP_CONNECTIONS=0                        | tcp.max-connections | 0
		AERO_L2_STACK_MAX_TCP_CONNECTIONS=70000                    | tcp.max-connections | 65535
		AERO_L2_STACK_MAX_PENDING_DNS=0                            | dns.max-pending | 0
		AERO_L2_STACK_MAX_PENDING_DNS=70000                        | dns.max-pending | 65535
		AERO_L2_STACK_MAX_DNS_CACHE_ENTRIES=2000000                | dns.max-cache-entries | 1000000
		AERO_L2_STACK_MAX_BUFFERED_TCP_BYTES_PER_CONN=0            | tcp.max-buffered | 0
		AERO_L2_STACK_MAX_BUFFERED_TCP_BYTES_PER_CONN=99999999     | tcp.max-buffered | 67108864
		AERO_L2_DNS_LOOKUP_TIMEOUT_MS=0                            | dns.timeout | 0
		AERO_L2_DNS_LOOKUP_TIMEOUT_MS=999999                       | dns.timeout | 60000
		AERO_L2_DNS_DEFAULT_TTL_SECS=5                             | dns.default-ttl | 5000
		AERO_L2_DNS_MAX_TTL_SECS=5                                 | dns.max-ttl | 5000
		AERO_L2_CAPTURE_DIR='   '                                  | capture.dir | ""
		AERO_L2_CAPTURE_DIR=' x '                                  | capture.dir | " x "
		AERO_L2_CAPTURE_MAX_BYTES=0                                | capture.max-bytes | 0
		AERO_L2_CAPTURE_FLUSH_INTERVAL_MS=0                        | capture.flush-interval | 0
		AERO_TOKIO_WORKER_THREADS=3                                | server.workers | 3
		AERO_TOKIO_WORKER_THREADS=many                             | server.workers | 0
		AERO_TOKIO_WORKER_THREADS=0                                | server.workers | 0
		RUST_LOG=aero_l2_proxy=debug                               | log.level | "debug"
		RUST_LOG=warn,other=debug                                  | log.level | "warn"
		RUST_LOG=warn,aero_l2_proxy=error                          | log.level | "error"
		AERO_L2_OPEN=1                                             | origin.open | true
		AERO_L2_OPEN=' 1 '                                         | origin.open | true
		AERO_L2_OPEN=0                                             | origin.open | false
		AERO_L2_INSECURE_ALLOW_NO_AUTH=1                           | auth.insecure-allow-no-auth | true
		AERO_L2_ALLOWED_ORIGINS='http://a, ,http://b'              | origin.allowed | ["http://a","http://b"]
		ALLOWED_ORIGINS=http://a                                   | origin.allowed | ["http://a"]
		AERO_L2_ALLOWED_ORIGINS= ALLOWED_ORIGINS=http://a          | origin.allowed | ["http://a"]
		AERO_L2_ALLOWED_ORIGINS=,, ALLOWED_ORIGINS=http://a        | origin.allowed | ["http://a"]
		AERO_L2_ALLOWED_ORIGINS=http://b ALLOWED_ORIGINS=http://a  | origin.allowed | ["http://b"]
		AERO_L2_ALLOWED_ORIGINS_EXTRA=,http://c                    | origin.allowed-extra | ["http://c"]
		AERO_L2_ALLOWED_HOSTS='a , b'                              | host.allowed | ["a","b"]
		AERO_L2_TRUST_PROXY_HOST=TRUE                              | host.trust-proxy-host | true
		AERO_L2_TRUST_PROXY_HOST=ON                                | host.trust-proxy-host | true
		AERO_L2_TRUST_PROXY=YES                                    | client.trust-proxy | true
		AERO_L2_TRUST_PROXY=no                                     | client.trust-proxy | false
		AERO_L2_ALLOW_PRIVATE_IPS=yes                              | egress.allow-private | true
		AERO_L2_MAX_CONNECTIONS=0                                  | limits.max-connections | 0
		AERO_L2_MAX_TUNNELS_PER_SESSION=3                          | limits.max-connections-per-session | 3
		AERO_L2_MAX_TUNNELS_PER_SESSION=3 AERO_L2_MAX_CONNECTIONS_PER_SESSION=2 | limits.max-connections-per-session | 2
		AERO_L2_MAX_CONNECTIONS_PER_IP=4                           | limits.max-connections-per-ip | 4
		AERO_L2_MAX_BYTES_PER_CONNECTION=150                       | limits.max-bytes-per-connection | 150
		AERO_L2_MAX_FRAMES_PER_SECOND=2                            | limits.max-frames-per-second | 2
		AERO_L2_ALLOWED_TCP_PORTS=                                 | egress.tcp-ports | []
		AERO_L2_ALLOWED_UDP_PORTS=53,123                           | egress.udp-ports | ["53","123"]
		AERO_L2_BLOCKED_DOMAINS=a.test,b.test                      | egress.blocked-domains | ["a.test","b.test"]
		AERO_L2_ALLOWED_DOMAINS=a.test                             | egress.allowed-domains | ["a.test"]
		AERO_L2_DNS_A=a.test=1.2.3.4                               | dns.static-a | ["a.test=1.2.3.4"]
		AERO_L2_TCP_FORWARD=203.0.113.1:80=localhost:1             | egress.tcp-forward | ["203.0.113.1:80=localhost:1"]
		AERO_L2_UDP_FORWARD=203.0.113.1:80=[::1]:1                 | egress.udp-forward | ["203.0.113.1:80=[::1]:1"]
		AERO_L2_TOKEN=x                                            | auth.api-key | true
		AERO_L2_JWT_SECRET=x                                       | auth.jwt-secret | true
		SESSION_SECRET=x                                           | auth.session-secret | true
		AERO_L2_SESSION_SECRET=x                                   | auth.session-secret | true
		AERO_L2_SESSION_SECRET='  '                                | auth.session-secret | false
		AERO_L2_JWT_AUDIENCE=' aud '                               | auth.jwt-audience | "aud"
		AERO_L2_JWT_ISSUER=iss                                     | auth.jwt-issuer | "iss"
	E
}

@test "a set but empty port list denies every port; an unset one none" {
	show() { env -i PATH="$PATH" "$@" "$AERO" policy-check --quiet tcp/1.1.1.1:80; }
	show
	run -6 show AERO_L2_ALLOWED_TCP_PORTS=
	run -6 show AERO_L2_ALLOWED_TCP_PORTS=,
	run -6 show AERO_L2_ALLOWED_TCP_PORTS=81
	show AERO_L2_ALLOWED_TCP_PORTS=81,80
}

@test "what stops the start" {
	k=0123456789abcdef
	legacy_refuses 'invalid config: .*nothing says who may connect'
	legacy_refuses 'invalid config: .*nothing says who may connect' AERO_L2_OPEN=1
	legacy_refuses 'invalid config: .*nothing says who may connect' AERO_L2_INSECURE_ALLOW_NO_AUTH=1
	legacy_refuses 'invalid config: .*AERO_L2_AUTH_MODE' AERO_L2_AUTH_MODE=basic
	legacy_refuses 'invalid config: .*AERO_L2_API_KEY' AERO_L2_AUTH_MODE=token
	legacy_refuses 'invalid config: .*AERO_L2_API_KEY' AERO_L2_AUTH_MODE=api_key AERO_L2_SESSION_SECRET=$k AERO_L2_JWT_SECRET=$k
	legacy_refuses 'invalid config: .*AERO_L2_API_KEY' AERO_L2_AUTH_MODE=session_and_token AERO_L2_SESSION_SECRET=$k
	legacy_refuses 'invalid config: .*AERO_L2_JWT_SECRET' AERO_L2_AUTH_MODE=jwt AERO_L2_SESSION_SECRET=$k
	legacy_refuses 'invalid config: .*AERO_L2_JWT_SECRET' AERO_L2_AUTH_MODE=cookie_or_jwt AERO_L2_SESSION_SECRET=$k
	for mode in session cookie cookie_or_jwt session_or_token cookie_or_api_key session_and_token cookie_and_api_key; do
		legacy_refuses 'invalid config: .*SESSION_SECRET' AERO_L2_AUTH_MODE=$mode AERO_L2_API_KEY=$k AERO_L2_JWT_SECRET=$k
	done
	none=AERO_L2_AUTH_MODE=none
	legacy_refuses 'AERO_L2_ALLOWED_ORIGINS' $none AERO_L2_ALLOWED_ORIGINS=a.test
	legacy_refuses 'AERO_L2_ALLOWED_ORIGINS' $none AERO_L2_ALLOWED_ORIGINS='*,https://a.test/path'
	legacy_refuses 'ALLOWED_ORIGINS' $none ALLOWED_ORIGINS='https://a.test,ftp://b.test'
	legacy_refuses 'AERO_L2_ALLOWED_ORIGINS_EXTRA' $none AERO_L2_ALLOWED_ORIGINS='*' AERO_L2_ALLOWED_ORIGINS_EXTRA=https://
	legacy_refuses 'AERO_L2_ALLOWED_TCP_PORTS' $none AERO_L2_ALLOWED_TCP_PORTS=80,http
	legacy_refuses 'AERO_L2_ALLOWED_TCP_PORTS' $none AERO_L2_ALLOWED_TCP_PORTS=65536
	legacy_refuses 'AERO_L2_ALLOWED_UDP_PORTS' $none AERO_L2_ALLOWED_UDP_PORTS=$'\xff'
	legacy_refuses 'AERO_L2_DNS_A' $none AERO_L2_DNS_A=name
	legacy_refuses 'AERO_L2_DNS_A' $none AERO_L2_DNS_A=name=1.2.3
	legacy_refuses 'AERO_L2_TCP_FORWARD' $none AERO_L2_TCP_FORWARD=203.0.113.1=x:1
	legacy_refuses 'AERO_L2_TCP_FORWARD' $none AERO_L2_TCP_FORWARD=203.0.113.1:80=x
	legacy_refuses 'AERO_L2_UDP_FORWARD' $none AERO_L2_UDP_FORWARD=name:80=x:1
	legacy_refuses 'AERO_L2_UDP_FORWARD' $none AERO_L2_UDP_FORWARD=203.0.113.1:80=[::1:1
	# where a mistyped number used to be ignored, it stops the start and names itself
	for name in AERO_L2_SHUTDOWN_GRACE_MS AERO_L2_MAX_CONNECTIONS AERO_L2_MAX_BYTES_PER_CONNECTION AERO_L2_IDLE_TIMEOUT_MS \
		AERO_L2_DNS_LOOKUP_TIMEOUT_MS AERO_L2_DNS_MAX_TTL_SECS AERO_L2_CAPTURE_MAX_BYTES AERO_L2_STACK_MAX_PENDING_DNS; do
		legacy_refuses "invalid config: $name=1x: must be .* \(" $none $name=1x
		legacy_refuses "invalid config: $name=-1: must be .* \(" $none $name=-1
	done
	legacy_refuses 'AERO_L2_OPEN' $none AERO_L2_OPEN=true
	legacy_refuses 'AERO_L2_ALLOW_PRIVATE_IPS' $none AERO_L2_ALLOW_PRIVATE_IPS=YES
}

@test "an address that is taken stops the start" {
	peers echo
	legacy_refuses "127.0.0.1:$PEER_ECHO" AERO_L2_AUTH_MODE=none AERO_L2_PROXY_LISTEN_ADDR=127.0.0.1:"$PEER_ECHO"
	legacy_refuses '192.0.2.77' AERO_L2_AUTH_MODE=none AERO_L2_PROXY_LISTEN_ADDR=192.0.2.77:0
}

@test "serve all --dev: loopback, any page, and a token that is printed" {
	spawn aero "$AERO" serve all --dev --server.listen=127.0.0.1:0 --server.workers=1
	AERO_PID=$spawned
	line=$(wait_line "$BATS_TEST_TMPDIR/aero.out" '^Ethernet tunnel ' 10 "$AERO_PID")
	[[ "$line" =~ ws://127\.0\.0\.1:([0-9]+)/l2\?token=([0-9a-f]{32})$ ]]
	AERO_PORT=${BASH_REMATCH[1]} token=${BASH_REMATCH[2]}
	upgrades <<-E
		401 invalid token | missing_credentials | /l2
		101 | - | /l2?token=$token
		101 | - | /l2?token=$token | Origin: https://any.page
	E
	aero_stop
	! grep -q "$token" "$BATS_TEST_TMPDIR/aero.err"
}

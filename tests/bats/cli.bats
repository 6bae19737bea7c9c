#!/usr/bin/env bats
# The command line: help, configuration, manual, completion, exit codes.

load lib

aero() { run env -i PATH="$PATH" HOME="$BATS_TEST_TMPDIR" ASAN_OPTIONS="$ASAN_OPTIONS" UBSAN_OPTIONS="$UBSAN_OPTIONS" "${env[@]}" "$AERO" "$@"; }

setup() {
	env=()
	ini=$BATS_TEST_TMPDIR/l2.ini
}

teardown() { aero_teardown; }

commands() { "$AERO" help | sed -n '/^Commands$/,/^$/s/^  \([a-z-]*\) .*/\1/p'; }

@test "every command answers --help, examples first, on stdout" {
	[ "$(commands | wc -l)" -ge 5 ]
	for c in $(commands); do
		aero "$c" --help
		[ "$status" -eq 0 ] || { echo "$c: $status"; return 1; }
		[[ "$output" == Examples* ]] || { echo "$c: no examples"; return 1; }
		[ -z "$(env -i "$AERO" "$c" --help 2>&1 >/dev/null)" ]
		aero help "$c"
		[[ "$status" -eq 0 && "$output" == Examples* ]]
	done
}

@test "no command, a wrong command, a mistyped one" {
	aero
	[ "$status" -eq 2 ]
	aero cofnig
	[ "$status" -eq 2 ]
	[[ "$output" == *"did you mean 'config'?"* ]]
	aero frobnicate
	[ "$status" -eq 2 ]
	aero --help
	[ "$status" -eq 0 ]
	aero --version
	[[ "$status" -eq 0 && "$output" == aero\ * ]]
	aero version --json
	[ "$(jq -r '.schema, .ok' <<<"$output" | xargs)" = "aero.version/1 true" ]
	aero version --loud
	[ "$status" -eq 2 ]
}

@test "a full stdout is an error" {
	run bash -c '"$AERO" help > /dev/full'
	[ "$status" -eq 8 ]
}

@test "help knows commands, options and environment names" {
	for topic in config tcp.max-window --tcp.max-window AERO_TCP_MAX_WINDOW AERO_L2_OPEN; do
		aero help "$topic"
		[ "$status" -eq 0 ] || { echo "$topic"; return 1; }
	done
	[[ "$output" == origin.open* ]]
	aero help no.such-thing
	[ "$status" -eq 2 ]
}

@test "config show tells value and source, and hides secrets" {
	printf '[auth]\nmode = token\n[tcp]\nmax-window = 64KiB\n' >"$ini"
	env=(AERO_L2_API_KEY=0123456789abcdef AERO_L2_PING_INTERVAL_MS=1500)
	aero config show l2 -c "$ini" --log.level=debug --changed
	[ "$status" -eq 0 ]
	[ "$output" = "log.level = debug  (--log.level)
auth.mode = token  ($ini:2)
auth.api-key = (hidden)  (AERO_L2_API_KEY)
tunnel.ping-interval = 1500ms  (AERO_L2_PING_INTERVAL_MS)
tcp.max-window = 64KiB  ($ini:4)" ]
	aero config show -c "$ini" --json
	[ "$(jq -r '.schema, .service, .ok' <<<"$output" | xargs)" = "aero.config/1 l2 true" ]
	[ "$(jq -c '.options[] | select(.name == "tcp.max-window")' <<<"$output")" = '{"name":"tcp.max-window","value":65536,"source":"'"$ini"':4"}' ]
	[ "$(jq -c '.options[] | select(.name == "auth.api-key")' <<<"$output")" = '{"name":"auth.api-key","set":true,"source":"AERO_L2_API_KEY"}' ]
	[[ "$output" != *0123456789abcdef* ]]
}

@test "config check tells every problem and exits 3" {
	printf '[tcp]\nmax-window = 1TiB\nmax-widnow = 1\n' >"$ini"
	aero config check l2 -c "$ini"
	[ "$status" -eq 3 ]
	[ "${lines[0]}" = "$ini:2: tcp.max-window = 1TiB: must be a size 4KiB..16MiB" ]
	[[ "${lines[1]}" == "$ini:3: "*"did you mean tcp.max-window?" ]]
	[ "${lines[2]}" = "2 problems: aero serve l2 would not start." ]
	aero config check l2 -c "$ini" --json
	[ "$status" -eq 3 ]
	[ "$(jq -c '.ok, (.problems | length), .warnings' <<<"$output" | xargs)" = "false 2 []" ]
	aero config show l2 -c "$ini"
	[ "$status" -eq 3 ]
	aero config check l2
	[ "$status" -eq 3 ]
	[[ "$output" == *"nothing says who may connect"* ]]
	aero config check l2 -c /nonexistent.ini
	[ "$status" -eq 3 ]
}

@test "config check knows what only the policy knows" {
	aero config check l2 --auth.mode=none '--origin.allowed=https://1.2.3.999'
	[ "$status" -eq 3 ]
	[[ "$output" == *origin.allowed* ]]
}

@test "config check warns and exits 0" {
	env=(AERO_L2_MAX_CONECTIONS=1)
	aero config check l2 --auth.mode=none --egress.allow-private=yes
	[ "$status" -eq 0 ]
	[[ "$output" == *"warning: auth.mode is none"* ]]
	[[ "$output" == *"warning: egress.allow-private is on"* ]]
	[[ "$output" == *"did you mean AERO_L2_MAX_CONNECTIONS?"* ]]
	[[ "$output" == *"configuration is valid, 3 warnings"* ]]
	aero config check l2 --auth.mode=none --json
	[ "$(jq -r '.ok, (.warnings | length)' <<<"$output" | xargs)" = "true 2" ]
}

@test "config example is a file that loads, and says what is the default" {
	aero config example l2
	[ "$status" -eq 0 ]
	printf '%s\n' "$output" >"$ini"
	cmp "$ini" "$BATS_TEST_DIRNAME/../../conf/l2.ini"
	aero config check l2 -c "$ini" --auth.mode=none
	[ "$status" -eq 0 ]
}

@test "config env lists every environment name" {
	aero config env l2
	[ "$(grep -c '^[A-Z0-9_]*	[a-z]*\.[a-z-]*	' <<<"$output")" = "${#lines[@]}" ]
	grep -q '^AERO_L2_DNS_LOOKUP_TIMEOUT_MS	dns.timeout	' <<<"$output"
}

@test "config is strict about its arguments" {
	for args in "" "frobnicate" "show l3" "show l2 --loud" "show l2 extra" "show l2 -c"; do
		# shellcheck disable=SC2086
		aero config $args
		[ "$status" -eq 2 ] || { echo "config $args: $status"; return 1; }
	done
}

@test "manual pages are clean mdoc and can be told apart" {
	aero man --list
	pages=("${lines[@]}")
	[ "${pages[*]}" = "aero.1 aero.conf.5 aero-serve-l2.1" ]
	for p in "${pages[@]}"; do
		aero man "${p%.*}"
		[ "$status" -eq 0 ]
		[[ "${lines[0]}" == '.\"'* ]]
		if command -v mandoc >/dev/null; then
			! printf '%s\n' "$output" | mandoc -T lint -W warning | grep .
		fi
	done
	aero man nothing
	[ "$status" -eq 2 ]
}

@test "completion offers commands, services, options and words" {
	words() { env -i "$AERO" completion words -- "$@" | xargs; }
	[ "$(words co)" = "config completion" ]
	[ "$(words config sh)" = "show" ]
	[ "$(words config show l)" = "l2" ]
	[ "$(words config show l2 --log.l)" = "--log.level=error --log.level=warn --log.level=warning --log.level=info --log.level=debug --log.level=trace" ]
	[ "$(words config show l2 --auth.api)" = "--auth.api-key-file=" ]
	[ "$(words config show l2 --js)" = "--json" ]
	[ "$(words config show l2 -c '')" = "" ]
	[ "$(words completion z)" = "zsh" ]
	[ "$(words nonsense '')" = "" ]
}

@test "the bash completion completes" {
	mkdir -p "$BATS_TEST_TMPDIR/bin"
	ln -s "$(realpath "$AERO")" "$BATS_TEST_TMPDIR/bin/aero"
	reply() {
		PATH=$BATS_TEST_TMPDIR/bin:$PATH bash --norc -c '
			source <("$AERO" completion bash)
			compopt() { :; }
			COMP_LINE=$1 COMP_POINT=${#1}
			_aero
			printf "%s\n" "${COMPREPLY[@]}"' _ "$1" | xargs
	}
	[ "$(reply 'aero conf')" = "config" ]
	[ "$(reply 'aero config show ')" = "$("$AERO" completion words -- config show '' | xargs)" ]
	[ "$(reply 'aero config show l2 --tls.min-version=1')" = "1.2 1.3" ]
	[ "$(reply 'aero config show l2 --tls.ce')" = "--tls.cert=" ]
}

@test "serve tells its options" {
	aero serve l2 --help
	[[ "$status" -eq 0 && "$output" == *--ready-stdout* && "$output" == *"--server.listen=IP:PORT  [0.0.0.0:8090]"* ]]
	aero help serve l2
	[[ "$status" -eq 0 && "$output" == *--tcp.max-window=SIZE* ]]
	[ "$(env -i "$AERO" completion words -- serve '' | xargs)" = "l2 all" ]
	[ "$(env -i "$AERO" completion words -- serve l2 --ch | xargs)" = "--check" ]
	aero serve l2 --check --auth.mode=none --lan.mtu=1400
	[ "$status" -eq 0 ]
	[[ "$output" == *"lan.mtu = 1400  (--lan.mtu)"* && "$output" == *"warning: auth.mode is none"* ]]
}

@test "serve is strict about its arguments" {
	for args in "" l3 "l2 --loud" "l2 extra" "l2 -c" "l2 --bind" "l2 --bind localhost:1"; do
		# shellcheck disable=SC2086
		aero serve $args
		[ "$status" -eq 2 ] || { echo "serve $args: $status"; return 1; }
	done
	aero serve l2 --lan.mtu=1 --auth.mode=none
	[ "$status" -eq 3 ]
	[ "$output" = "aero serve: --lan.mtu: lan.mtu = 1: must be a whole number 576..9000" ]
}

@test "called as aero-l2-proxy it speaks like it" {
	ln -s "$(realpath "$AERO")" "$BATS_TEST_TMPDIR/aero-l2-proxy"
	AERO=$BATS_TEST_TMPDIR/aero-l2-proxy
	for h in --help -h; do
		aero $h
		[[ "$status" -eq 0 && "$output" == *--bind* ]]
	done
	for args in --loud extra --bind "--bind localhost:1" "--bind=1.2.3.4" "--bind="; do
		# shellcheck disable=SC2086
		aero $args
		[ "$status" -eq 2 ] || { echo "$args: $status"; return 1; }
		[[ "${lines[0]}" == "error: "* && "${lines[1]}" == "Run with --help for usage." ]]
	done
	aero
	[[ "$status" -eq 1 && "$output" == "invalid config: "* ]]
	env=(AERO_L2_AUTH_MODE=token)
	aero
	[[ "$status" -eq 1 && "$output" == "invalid config: AERO_L2_AUTH_MODE: auth.mode = token needs an API key"* ]]
}

@test "aero-l2-proxy listens where it is told, says so and ends on SIGINT" {
	ln -s "$(realpath "$AERO")" "$BATS_TEST_TMPDIR/aero-l2-proxy"
	spawn aero env -i ASAN_OPTIONS="$ASAN_OPTIONS" AERO_L2_AUTH_MODE=none AERO_L2_PROXY_LISTEN_ADDR=192.0.2.1:1 \
		AERO_TOKIO_WORKER_THREADS=1 "$BATS_TEST_TMPDIR/aero-l2-proxy" --bind 127.0.0.1:0 --ready-stdout
	AERO_PID=$spawned
	wait_line "$BATS_TEST_TMPDIR/aero.out" '^AERO_L2_PROXY_READY ws://127\.0\.0\.1:[0-9]+/l2$'
	wait_line "$BATS_TEST_TMPDIR/aero.err" 'aero-l2-proxy listening on http://127\.0\.0\.1:[0-9]+'
	kill -INT "$AERO_PID"
	wait "$AERO_PID"
	AERO_PID=
}

@test "scripts for every shell" {
	for s in bash zsh fish; do
		aero completion "$s"
		[[ "$status" -eq 0 && "$output" == *"completion words"* ]]
	done
	aero completion csh
	[ "$status" -eq 2 ]
}

@test "installed below DESTDIR and PREFIX" {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	case $AERO_BUILD in */release) ;; *) skip "release build only" ;; esac
	make -s install DESTDIR="$BATS_TEST_TMPDIR/root" PREFIX=/usr
	root=$BATS_TEST_TMPDIR/root/usr
	"$root/bin/aero" version
	for l in aero-l2-proxy; do
		[ "$(readlink "$root/bin/$l")" = aero ]
	done
	[ -f "$root/share/man/man1/aero.1" ] && [ -f "$root/share/man/man5/aero.conf.5" ]
	[ -f "$root/share/aero/conf/l2.ini" ]
	[ -f "$root/share/bash-completion/completions/aero" ]
}

#!/usr/bin/env bats
# Which names of the service a client may use, and what a proxy in front may say about that.

load lib

teardown() { aero_teardown; }

@test "the list, ports, and the three refusals" {
	aero_start "${OPEN[@]}" --host.allowed=Allowed.test,other.test:8080,[::1]
	upgrades <<-'E'
		101 | - | /l2 | Host: allowed.test
		101 | - | /l2 | Host: ALLOWED.TEST
		101 | - | /l2 | Host: allowed.test:80
		101 | - | /l2 | Host: "allowed.test"
		101 | - | /l2 | Host: allowed.test, evil.test
		101 | - | /l2 | Host: other.test:8080
		101 | - | /l2 | Host: [::1]
		101 | - | /l2 | Host: [::1]:80
		# the scheme of the Origin decides which port is the default
		101 | - | /l2 | Host: allowed.test:443 | Origin: https://x.test
		403 Host not allowed: allowed.test:80  | host_not_allowed | /l2 | Host: allowed.test:80 | Origin: https://x.test
		403 Host not allowed: allowed.test:443 | host_not_allowed | /l2 | Host: allowed.test:443
		403 Host not allowed: allowed.test:443 | host_not_allowed | /l2 | Host: allowed.test:443 | Origin: http://x.test
		403 Host not allowed: allowed.test:8090 | host_not_allowed | /l2 | Host: allowed.test:8090
		403 Host not allowed: other.test       | host_not_allowed | /l2 | Host: other.test
		403 Host not allowed: evil.test        | host_not_allowed | /l2 | Host: evil.test
		403 Host not allowed: a.allowed.test   | host_not_allowed | /l2 | Host: a.allowed.test
		403 missing Host header   | host_missing | /l2 | -Host
		403 malformed Host header | host_invalid | /l2 | Host: allowed.test:abc
		403 malformed Host header | host_invalid | /l2 | Host: allowed.test:
		403 malformed Host header | host_invalid | /l2 | Host: allowed.test:65536
		403 malformed Host header | host_invalid | /l2 | Host: allowed.test:-1
		403 malformed Host header | host_invalid | /l2 | Host: :80
		403 malformed Host header | host_invalid | /l2 | Host: allowed test
		403 malformed Host header | host_invalid | /l2 | Host: ::1
		403 malformed Host header | host_invalid | /l2 | Host: [::1
		403 malformed Host header | host_invalid | /l2 | Host: [::1]x
		# without trust nobody else is asked
		403 Host not allowed: evil.test | host_not_allowed | /l2 | Host: evil.test | X-Forwarded-Host: allowed.test | Forwarded: host=allowed.test
	E
}

@test "an empty Host" {
	aero_start "${OPEN[@]}" --host.allowed=allowed.test
	guest <<-'E'
		got = try_upgrade('/l2', ['Host:'])
		assert got in ((403, 'missing Host header'), (403, 'malformed Host header')), got
	E
}

@test "behind a proxy that is trusted" {
	aero_start "${OPEN[@]}" --host.allowed=allowed.test --host.trust-proxy-host=yes
	upgrades <<-'E'
		101 | - | /l2 | Host: allowed.test
		101 | - | /l2 | Host: x.test | X-Forwarded-Host: allowed.test
		101 | - | /l2 | Host: x.test | X-Forwarded-Host: allowed.test, evil.test
		101 | - | /l2 | Host: x.test | X-Forwarded-Host: allowed.test:443 | X-Forwarded-Proto: https
		101 | - | /l2 | Host: x.test | X-Forwarded-Host: allowed.test:443 | X-Forwarded-Proto: wss
		101 | - | /l2 | Host: x.test | X-Forwarded-Host: allowed.test:80 | X-Forwarded-Proto: ws
		101 | - | /l2 | Host: x.test | Forwarded: for=1.2.3.4;host="allowed.test:443";proto=https
		101 | - | /l2 | Host: x.test | Forwarded: Host=allowed.test, host=evil.test
		101 | - | /l2 | -Host | Forwarded: host=allowed.test
		# the proxy's scheme is asked before the Origin's
		101 | - | /l2 | Host: x.test | X-Forwarded-Host: allowed.test:443 | X-Forwarded-Proto: https | Origin: http://a.test
		403 Host not allowed: allowed.test:443 | host_not_allowed | /l2 | Host: x.test | X-Forwarded-Host: allowed.test:443 | X-Forwarded-Proto: http | Origin: https://a.test
		101 | - | /l2 | Host: x.test | X-Forwarded-Host: allowed.test:443 | Origin: https://a.test
		# Forwarded before X-Forwarded-Host before Host; its first element alone
		403 Host not allowed: evil.test | host_not_allowed | /l2 | Host: allowed.test | Forwarded: host=evil.test | X-Forwarded-Host: allowed.test
		403 Host not allowed: evil.test | host_not_allowed | /l2 | Host: allowed.test | X-Forwarded-Host: evil.test
		101 | - | /l2 | Host: x.test | Forwarded: for=1.1.1.1, host=evil.test | X-Forwarded-Host: allowed.test
		403 malformed Host header | host_invalid | /l2 | Host: allowed.test | Forwarded: host="allowed.test:abc"
		403 missing Host header | host_missing | /l2 | -Host
	E
}

@test "without a list the host is nobody's business; the old name of the list and of trust" {
	aero_start "${OPEN[@]}"
	upgrades <<-'E'
		101 | - | /l2 | -Host
		101 | - | /l2 | Host: a b:c
	E
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_ALLOWED_HOSTS=' allowed.test , ' AERO_L2_TRUST_PROXY_HOST=on
	upgrades <<-'E'
		101 | - | /l2 | Host: x.test | X-Forwarded-Host: allowed.test
		403 Host not allowed: x.test | host_not_allowed | /l2 | Host: x.test
	E
	grep -q 'reason=host_not_allowed .*host=x.test' "$BATS_TEST_TMPDIR/aero.err"
}

@test "an entry that no host could match stops the start" {
	legacy_refuses 'invalid config: .*host.allowed.*bad::entry' AERO_L2_AUTH_MODE=none AERO_L2_ALLOWED_HOSTS=good.test,bad::entry
}

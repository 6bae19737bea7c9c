#!/usr/bin/env bats
# `aero policy-check`: verdicts, where they were written, the audit, exit codes.

load lib

check() { run env -i PATH="$PATH" "${env[@]}" "$AERO" policy-check "$@"; }

setup() {
	env=(ASAN_OPTIONS="$ASAN_OPTIONS" UBSAN_OPTIONS="$UBSAN_OPTIONS")
	ini=$BATS_TEST_TMPDIR/l2.ini
	cat >"$ini" <<-'END'
		[egress]
		tcp-ports = 443, 8000-8010
		blocked-domains = bad.test
		deny = 192.88.99.0/24,
		    9.9.9.9
		tcp-forward = 203.0.113.1:443=localhost:1

		[dns]
		static-a = fixed.test=203.0.113.1
	END
}

@test "the default policy passes its audit" {
	check
	[ "$status" -eq 0 ]
	[[ "$output" == *"gets through"* && "$output" != *OPEN* ]]
	check --tap
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "TAP version 14" ]
	[ "$(grep -c '^ok ' <<<"$output")" = "${lines[1]#1..}" ]
	check --json
	[ "$(jq -r '.schema, .ok, (.audit | length > 60), (.policy | length > 3)' <<<"$output" | sort -u | xargs)" = "aero.policy-check/1 true" ]
	check --quiet
	[ "$status" -eq 0 ] && [ -z "$output" ]
}

@test "an audit that finds a hole says which and exits 1" {
	check --egress.allow=169.254.169.254
	[ "$status" -eq 1 ]
	[[ "$output" == *"OPEN  0xa9fea9fe (169.254.169.254)"* ]]
	check --egress.allow-private=yes --json
	[ "$status" -eq 1 ]
	[ "$(jq '.ok' <<<"$output")" = false ]
	[ "$(jq '[.audit[] | select(.ok | not)] | length > 60' <<<"$output")" = true ]
}

@test "the deciding rule and the place it was written" {
	check -c "$ini" tcp/1.1.1.1:443
	[ "$status" -eq 0 ]
	[[ "$output" == "tcp/1.1.1.1:443  allowed by default"* ]]
	check -c "$ini" tcp/1.1.1.1:80
	[ "$status" -eq 6 ]
	[[ "$output" == *"denied by port"*"egress.tcp-ports ($ini:2)"* ]]
	check -c "$ini" tcp/9.9.9.9:443
	[[ "$output" == *"deny             denied  egress.deny ($ini:5)"* ]]
	check -c "$ini" tcp/www.bad.test:443
	[[ "$output" == *"blocked-domains  denied  egress.blocked-domains ($ini:3)"* ]]
	env+=(AERO_L2_ALLOWED_TCP_PORTS=80)
	check -c "$ini" tcp/1.1.1.1:443
	[[ "$output" == *"(AERO_L2_ALLOWED_TCP_PORTS)"* ]]
	check -c "$ini" --egress.tcp-ports=22 tcp/1.1.1.1:443
	[[ "$output" == *"(--egress.tcp-ports)"* ]]
	env=(AERO_L2_ALLOWED_TCP_PORTS=)
	check tcp/1.1.1.1:443
	[ "$status" -eq 6 ]
	[[ "$output" == *"denied by port"* ]]
}

@test "spellings are seen through" {
	local t
	for t in tcp/0x7f.1:443 tcp/2130706433:443 "tcp/[::ffff:7f00:1]:443" "udp/[64:ff9b::a00:1]:53" \
		"udp/[2002:a00:1::1]:53" tcp/127.0.0.1.:443 tcp/１２７.1:443 icmp/017700000001 "tcp/[::1%25lo]:443"; do
		check "$t"
		[ "$status" -eq 6 ]
	done
}

@test "names: given, listed and resolved addresses" {
	check tcp/example.com:443
	[ "$status" -eq 0 ]
	[[ "$output" == *"were not looked at"* ]]
	check tcp/example.com:443 --address 10.0.0.1 --address=8.8.8.8
	[ "$status" -eq 0 ]
	[[ "$output" == *"address 10.0.0.1: denied"*"address 8.8.8.8: allowed"* ]]
	check tcp/example.com:443 --address 10.0.0.1
	[ "$status" -eq 6 ]
	check tcp/localhost:443 --resolve
	[ "$status" -eq 6 ]
	check tcp/does-not-exist.invalid:443 --resolve
	[ "$status" -eq 4 ]
	check -c "$ini" tcp/fixed.test:443
	[ "$status" -eq 0 ]
	[[ "$output" == *"allowed by forward"* ]]
	check -c "$ini" --egress.pin-dns=yes tcp/8.8.8.8:443 tcp/dns.test:443 --address 8.8.8.8
	[ "$status" -eq 6 ]
	[[ "$output" == *"tcp/8.8.8.8:443  denied by pin"*"tcp/dns.test:443  allowed"* ]]
}

@test "json tells of every rule that was asked" {
	check --json tcp/8.8.8.8:443 udp/10.0.0.1:53
	[ "$status" -eq 6 ]
	[ "$(jq -c '.ok, [.targets[].verdict], .targets[1].rule, .targets[1].counted' <<<"$output" | xargs)" = "false [allowed,denied] filter false" ]
	[ "$(jq -c '[.targets[0].addresses[0].steps[].rule]' <<<"$output")" = '["filter","port","forward","deny","allow","special","pin","default"]' ]
	check --tap tcp/8.8.8.8:443 udp/10.0.0.1:53
	[ "$(grep -c '^ok 1 - tcp/8.8.8.8:443' <<<"$output")" -eq 1 ]
	[ "$(grep -c '^not ok 2 - udp/10.0.0.1:53' <<<"$output")" -eq 1 ]
}

@test "usage and configuration errors" {
	check tcp/example.com
	[ "$status" -eq 2 ]
	check --json sctp/a:1
	[ "$status" -eq 2 ]
	check --frobnicate
	[ "$status" -eq 2 ]
	check --service nope
	[ "$status" -eq 2 ]
	check --address 1.2.3 tcp/a:1
	[ "$status" -eq 2 ]
	check -c
	[ "$status" -eq 2 ]
	check -c /nonexistent.ini
	[ "$status" -eq 3 ]
	check --egress.tcp-ports=ssh
	[ "$status" -eq 3 ]
	[[ "$output" == *"--egress.tcp-ports"*ssh* ]]
	check --egress.blocked-domains='a b'
	[ "$status" -eq 3 ]
	[[ "$output" == *"egress.blocked-domains: \"a b\""* ]]
}

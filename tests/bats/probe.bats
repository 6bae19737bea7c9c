#!/usr/bin/env bats
# `aero probe`: what it answers, and how it ends, against a server whose world is known.

load lib
load net

HOST=198.51.100.2

setup() {
	net_up
	spawn peers ip netns exec "$W" python3 "$BATS_TEST_DIRNAME/../helper/peers.py" $HOST
	wait_line "$BATS_TEST_TMPDIR/peers.out" '^ready'
}

teardown() {
	local rc=0
	aero_teardown || rc=1
	net_down
	return $rc
}

# probe ARGS...: in the server's namespace, against it
probe() { run ip netns exec "$H" "$AERO" probe "$@" --url "$AERO_WS" --timeout "${PATIENCE:-5s}"; }

# says CODE ANSWER [TEXT]: exit status, the word of the last step, part of its reason
says() {
	local last
	last=$(grep -E '^(yes|no|unknown) ' <<<"$output" | tail -n 1)
	[ "$status" -eq "$1" ] && [[ "$last" == "$2 "* ]] && [[ "$output" == *"${3:-}"* ]] || {
		printf 'wanted %s %s %s, got %s:\n%s\n' "$1" "$2" "${3:-}" "$status" "$output" >&2
		return 1
	}
}

@test "the LAN: arp, dhcp, ping of the gateway, l2 with an echo service" {
	aero_start "${OPEN[@]}" "${ALLOW[@]}"
	probe arp
	says 0 yes "10.0.2.2 is at 02:00:00:00:00:01"
	probe dhcp
	says 0 yes "10.0.2.15/24 from 10.0.2.2"
	[[ "$output" == *"unicast REQUEST acknowledged"*"INFORM acknowledged"* ]]
	probe ping 10.0.2.2 --count 2 --interval 10ms
	says 0 yes "2 of 2"
	probe l2 --name localhost --echo $HOST:7
	says 0 yes "gave back 65536 bytes and closed in order"
	[ "$(grep -c '^yes ' <<<"$output")" -eq 7 ]
	probe arp 10.0.2.2 --static 10.0.2.15
	says 0 yes
	PATIENCE=400ms probe arp 10.0.2.77
	says 124 unknown "nobody answers"
}

@test "tcp: accepts, speaks first, echoes, refuses, is silent, is not allowed" {
	aero_start "${OPEN[@]}" "${ALLOW[@]}"
	probe tcp $HOST:80
	says 0 yes "accepts connections"
	probe tcp $HOST:22 --send ''
	says 0 yes "answers"
	probe tcp $HOST:7 --send hello
	says 0 yes "5 bytes: hello (the same)"
	probe tcp $HOST:81
	says 1 no "refuses the connection"
	PATIENCE=500ms probe tcp 198.51.100.9:80
	says 124 unknown "no answer to the SYN"
	probe tcp 192.168.77.1:80
	[ "$status" -eq 1 ] || [ "$status" -eq 6 ]
	[[ "$output" == *"policy-check"* ]]
	probe tcp nonsense
	says 2 no "is no HOST:PORT"
}

@test "udp: answers, in fragments too, is refused, is silent" {
	aero_start "${OPEN[@]}" "${ALLOW[@]}"
	probe udp $HOST:7
	says 0 yes "the same"
	probe udp $HOST:7 --size 8192
	says 0 yes "answers 8192 bytes to 8192, the same"
	probe udp $HOST:81
	says 1 no "port unreachable, says $HOST"
	PATIENCE=400ms probe udp 198.51.100.9:7
	says 124 unknown
	probe udp $HOST:7 --ttl 1
	says 1 no "time exceeded, says 10.0.2.2"
}

@test "http, ping of the world, dns" {
	aero_start "${OPEN[@]}" "${ALLOW[@]}"
	probe http http://$HOST/bytes/100000
	says 0 yes "status 200, 100000 bytes"
	probe http http://$HOST:7/
	[ "$status" -eq 7 ]
	probe http https://$HOST/
	says 2 no "only http://"
	probe ping $HOST --count 2 --interval 10ms
	says 0 yes "2 of 2"
	probe ping $HOST --count 1 --ttl 1
	says 1 no "time exceeded, says 10.0.2.2"
	probe ping $HOST --count 1 --ttl 2
	says 1 no "time exceeded, says 192.0.2.1"
	probe dns localhost --tcp
	[[ "$output" == *"(over TCP)"* ]]
	probe dns localhost BOGUS
	says 2 no
}

@test "reports: json, tap, quiet, colour, a capture" {
	aero_start "${OPEN[@]}" "${ALLOW[@]}"
	probe tcp $HOST:81 --json
	[ "$status" -eq 1 ]
	[ "$(jq -r '.schema, .ok, .answer, .exit, .probe, .target' <<<"$output" | xargs)" = \
		"aero.probe/1 false no 1 tcp $HOST:81" ]
	[ "$(jq -r '.steps[].name' <<<"$output" | xargs)" = "connect dhcp tcp" ]
	[ "$(jq '.steps[1].lease_ms' <<<"$output")" -eq 86400000 ]
	probe ping 10.0.2.2 --count 3 --interval 1ms --json
	[ "$(jq '.steps[2].replies | length' <<<"$output")" -eq 3 ]
	probe tcp $HOST:81 --tap
	[ "$status" -eq 1 ]
	[ "$(grep -cE '^(not )?ok ' <<<"$output")" -eq 3 ]
	[[ "$output" == "TAP version 14"* && "$output" == *"not ok 3 - tcp: no"* && "$output" == *1..3 ]]
	probe tcp $HOST:81 --quiet
	[[ "$status" -eq 1 && -z "$output" ]]
	probe arp --color always
	[[ "$output" == *$'\e[32myes'* ]]
	probe arp --color never
	[[ "$output" != *$'\e'* ]]
	probe dhcp --count 3 --interval 1ms --json
	[ "$(jq '[.steps[].run] | unique' -c <<<"$output")" = "[1,2,3]" ]
	probe udp $HOST:7 --capture "$BATS_TEST_TMPDIR/p.pcapng"
	[ "$status" -eq 0 ]
	run "$AERO" capture read "$BATS_TEST_TMPDIR/p.pcapng" udp port 7
	[[ "${lines[0]}" == *"> 10.0.2.15:"*" $HOST:7 UDP 14 bytes" && "${lines[1]}" == *"< $HOST:7 "* ]]
}

@test "health" {
	aero_start "${OPEN[@]}"
	probe health
	says 0 yes "status 200"
	aero_stop
	probe health
	[ "$status" -eq 4 ]
}

@test "a server that is not there, says no, or is something else" {
	run "$AERO" probe arp --url ws://127.0.0.1:1/l2
	says 4 no refused
	run "$AERO" probe arp --url ws://no-such-name.invalid
	says 4 no "cannot resolve"
	run "$AERO" probe arp --url gopher://x
	[ "$status" -eq 2 ]
	AERO_AUTH_API_KEY=right aero_start --auth.mode=token --origin.allowed=https://a.test
	probe arp
	says 5 no "401: invalid token"
	probe arp --token right
	says 5 no "403: Origin not allowed"
	probe arp --token right --origin https://a.test
	says 0 yes
	probe arp --token right --origin https://a.test --token-via subprotocol
	says 0 yes
	printf 'right\n' >"$BATS_TEST_TMPDIR/token"
	probe arp --token @"$BATS_TEST_TMPDIR/token" --origin https://a.test
	says 0 yes
	run ip netns exec "$W" "$AERO" probe arp --url ws://$HOST:22/l2 --timeout 3s
	[ "$status" -eq 7 ]
	run ip netns exec "$W" "$AERO" probe arp --url ws://$HOST:9/l2 --timeout 300ms
	[ "$status" -eq 124 ]
	probe frobnicate
	[ "$status" -eq 2 ]
}

@test "a proxy in the environment is not for tunnels" {
	aero_start "${OPEN[@]}" "${ALLOW[@]}"
	http_proxy=http://127.0.0.1:1 probe arp
	says 0 yes
}

@test "interrupted" {
	aero_start "${OPEN[@]}" "${ALLOW[@]}"
	spawn watch ip netns exec "$H" "$AERO" probe ping 10.0.2.2 --watch --interval 20ms --url "$AERO_WS"
	wait_line "$BATS_TEST_TMPDIR/watch.out" 'seq=3'
	local pid=$spawned rc=0
	kill -INT "$pid"
	wait "$pid" || rc=$?
	[ "$rc" -eq 130 ]
	grep -q '^yes  *ping ' "$BATS_TEST_TMPDIR/watch.out"
}

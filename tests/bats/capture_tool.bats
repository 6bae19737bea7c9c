#!/usr/bin/env bats
# `aero capture` on files that the service wrote.

load lib

setup() {
	DIR=$BATS_TEST_TMPDIR/captures
	aero_start "${OPEN[@]}" --capture.dir="$DIR"
	"$AERO" probe l2 --name localhost --url "$AERO_WS" --quiet
	"$AERO" probe arp --url "$AERO_WS" --quiet
	wait_metric l2_sessions_active 0
	FILE=$(ls "$DIR"/*-session-1.pcapng)
}

teardown() { aero_teardown; }

capture() { run "$AERO" capture "$@"; }

@test "list" {
	capture list "$DIR"
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 2 ]
	[[ "${lines[0]}" == "1 "*" packets "*" 0 drops  ${FILE##*/}" && "${lines[1]}" == "2 "* ]]
	capture list "$DIR" --json
	[ "$(jq -r '.schema, .ok, (.files | length), .files[1].session' <<<"$output" | xargs)" = \
		"aero.capture/1 true 2 2" ]
	capture list "$DIR/none"
	[ "$status" -eq 8 ]
	mkdir "$DIR/empty"
	capture list "$DIR/empty"
	[[ "$status" -eq 0 && -z "$output" ]]
}

@test "read" {
	capture read "$FILE"
	[ "$status" -eq 0 ]
	for want in "> "*" ARP who has 10.0.2.2?" "< "*" ARP 10.0.2.2 is at 02:00:00:00:00:01" \
		"> "*" DHCP DISCOVER" "< "*" DHCP ACK "*" gets 10.0.2.15" "< "*" ICMP echo reply" \
		"> "*" DNS A localhost?" "> "*" TCP SYN seq="; do
		# shellcheck disable=SC2053
		[[ "$output" == *$want* ]] || { echo "no $want"; return 1; }
	done
	capture read "$FILE" tcp and host 10.0.2.2
	[ "$status" -eq 0 ]
	[ "$(grep -cv ' TCP \| DNS ' <<<"$output")" -eq 0 ]
	capture read "$FILE" 'arp' --json
	[ "$(jq -r '[.packets[].proto] | unique | join(" ")' <<<"$output")" = ARP ]
	[ "$(jq '.packets[0].from' <<<"$output")" = '"guest"' ]
	capture read "$FILE" --count 2
	[ "${#lines[@]}" -eq 2 ]
	capture read - --relative <"$FILE"
	[[ "${lines[0]}" == "0.000000 > "* ]]
	capture read "$FILE" 'port port'
	[ "$status" -eq 2 ]
	[[ "$output" == *"filter 'port port'"* ]]
	capture read "$DIR/none"
	[ "$status" -eq 8 ]
}

@test "check" {
	capture check "$FILE"
	[ "$status" -eq 0 ]
	[[ "$output" == "ok: "*" 0 faults" ]]
	head -c 300 "$FILE" >"$DIR/cut.pcapng"
	capture check "$DIR/cut.pcapng"
	[ "$status" -eq 1 ]
	[[ "$output" == *"offset "*": the file ends inside a block"* ]]
	capture check "$DIR/cut.pcapng" --json
	[ "$(jq -r '.ok, .faults[0].why' <<<"$output" | xargs)" = "false the file ends inside a block" ]
	capture list "$DIR"
	[ "$status" -eq 1 ]
	[[ "$output" == *"NOT SOUND"* ]]
	capture read "$DIR/cut.pcapng"
	[ "$status" -eq 1 ]
	printf 'x%.0s' {1..100} >"$DIR/junk"
	capture check "$DIR/junk"
	[ "$status" -eq 1 ]
	[[ "$output" == *"offset 0: not a pcapng file"* ]]
	capture check "$DIR/junk" --quiet
	[[ "$status" -eq 1 && -z "$output" ]]
}

@test "usage" {
	for args in "" "frob x" "list" "check $FILE more" "read $FILE --bogus"; do
		# shellcheck disable=SC2086
		capture $args
		[ "$status" -eq 2 ] || { echo "'$args': $status"; return 1; }
	done
}

#!/usr/bin/env bats
# The tunnel over TLS, and certificates that are changed while it runs.

load lib

teardown() { aero_teardown; }

make_cert() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
		-addext "subjectAltName=DNS:localhost,IP:127.0.0.1" \
		-keyout "$BATS_TEST_TMPDIR/key.pem" -out "$BATS_TEST_TMPDIR/cert.pem" 2>/dev/null
}

start_tls() {
	make_cert first
	aero_start "${OPEN[@]}" --tls.cert="$BATS_TEST_TMPDIR/cert.pem" --tls.key="$BATS_TEST_TMPDIR/key.pem" "$@"
	HTTPS=https${AERO_WS#wss}
	HTTPS=${HTTPS%/l2}
}

served_name() {
	openssl s_client -connect "${HTTPS#https://}" </dev/null 2>/dev/null |
		openssl x509 -noout -subject | sed 's/.*CN = //'
}

@test "the ready line and the endpoints are those of TLS" {
	start_tls
	[[ $AERO_WS == wss://127.0.0.1:*/l2 ]]
	curl -fsS --cacert "$BATS_TEST_TMPDIR/cert.pem" "$HTTPS/healthz"
	run curl -fsS -m 3 "http://${HTTPS#https://}/healthz"
	[ "$status" -ne 0 ]
}

@test "a probe goes through the tunnel over TLS" {
	start_tls
	"$AERO" probe l2 --url "$AERO_WS" --ca "$BATS_TEST_TMPDIR/cert.pem"
	run "$AERO" probe arp --url "$AERO_WS"
	[ "$status" -ne 0 ]
}

@test "SIGHUP takes a new certificate; a broken one changes nothing" {
	start_tls
	[ "$(served_name)" = first ]
	make_cert second
	kill -HUP "$AERO_PID"
	wait_line "$BATS_TEST_TMPDIR/aero.err" 'reload.done'
	local i
	for i in $(seq 100); do
		[ "$(served_name)" != second ] || break
	done
	[ "$(served_name)" = second ]
	echo junk >"$BATS_TEST_TMPDIR/cert.pem"
	kill -HUP "$AERO_PID"
	wait_line "$BATS_TEST_TMPDIR/aero.err" 'reload.(tls_)?failed'
	[ "$(served_name)" = second ]
}

@test "TLS 1.2 is refused where 1.3 is the least" {
	start_tls --tls.min-version=1.3
	run curl -sS -m 3 --tls-max 1.2 -k "$HTTPS/healthz"
	[ "$status" -ne 0 ]
	curl -fsS -m 3 -k "$HTTPS/healthz"
}

#!/usr/bin/env bats
# Signals that come to everybody, as service managers and terminals send them, and a log nobody reads.

load lib

setup() { bats_require_minimum_version 1.5.0; }
teardown() { aero_teardown; }

@test "SIGTERM to the whole process group drains; no worker dies of it" {
	AERO_IN=setsid aero_start "${OPEN[@]}" --server.workers=2
	guest <<-'E'
		t = Tunnel()
		os.killpg(PID, signal.SIGTERM)
		assert t.end(2) == (1001, 'shutting down', [])
	E
	aero_stop
	run ! grep -q 'worker.died' "$BATS_TEST_TMPDIR/aero.err"
}

@test "a reader of the log that goes away ends nothing" {
	mkfifo "$BATS_TEST_TMPDIR/log"
	sed -n '/ listening /q' "$BATS_TEST_TMPDIR/log" 3>&- &
	"$AERO" serve l2 --server.listen=127.0.0.1:0 --server.workers=1 --ready-stdout "${OPEN[@]}" \
		>"$BATS_TEST_TMPDIR/aero.out" 2>"$BATS_TEST_TMPDIR/log" 3>&- &
	AERO_PID=$!
	aero_pids+=("$AERO_PID")
	line=$(wait_line "$BATS_TEST_TMPDIR/aero.out" '^AERO_L2_PROXY_READY ' 15 "$AERO_PID")
	AERO_PORT=${line##*:}
	AERO_PORT=${AERO_PORT%/l2}
	kill -HUP "$AERO_PID" # the parent writes a line
	guest <<<'Tunnel().close()'
	kill -TERM "$AERO_PID"
	wait "$AERO_PID"
	AERO_PID=
}

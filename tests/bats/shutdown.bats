#!/usr/bin/env bats
# The end of the server: what tunnels hear, what is still answered, and how long it may take.

load lib

teardown() { aero_teardown; }

# gone SECONDS: the server ends by itself within that time, with status 0.
gone() {
	local rc=0
	timeout "$1" tail --pid="$AERO_PID" -s 0.02 -f /dev/null || { echo "still there after $1 s" >&2; return 1; }
	wait "$AERO_PID" || rc=$?
	AERO_PID=
	[ "$rc" -eq 0 ] || { echo "ended with $rc" >&2; cat "$BATS_TEST_TMPDIR/aero.err" >&2; return 1; }
}

@test "SIGTERM and SIGINT: every tunnel hears 1001, and the end comes at once" {
	for sig in TERM INT; do
		aero_start "${OPEN[@]}"
		SIG=$sig guest <<-'E'
			a, b = Guest(), Guest()
			b.arp()
			idle = connect()
			os.kill(PID, getattr(signal, 'SIG' + os.environ['SIG']))
			begin = time.monotonic()
			for t in (a, b):
			    assert t.end() == (1001, 'shutting down', [])
			    t.ws(CLOSE, struct.pack('>H', 1001))
			assert a.s.recv(1) == b.s.recv(1) == b''
			assert time.monotonic() - begin < 0.5
			assert idle.recv(1) == b''
		E
		gone 0.5
		grep -q 'info .*shutdown signal received' "$BATS_TEST_TMPDIR/aero.err"
		[ "$(grep -c 'session closed.*reason=shutting_down' "$BATS_TEST_TMPDIR/aero.err")" = 2 ]
	done
}

@test "while it drains: alive, not ready, and no more tunnels" {
	AERO_L2_API_KEY=key aero_start --origin.open=yes --auth.mode=token
	guest <<-'E'
		def ask(s, path):
		    s.sendall(('GET %s HTTP/1.1\r\nHost: t\r\n\r\n' % path).encode())
		    return Reply(s).status
		holds = Tunnel('/l2?token=key')  # does not answer Close, so the drain lasts
		a, b = connect(), connect()
		assert ask(a, '/readyz') == 200 and ask(b, '/healthz') == 200
		os.kill(PID, signal.SIGTERM)
		assert holds.end() == (1001, 'shutting down', [])
		assert ask(a, '/readyz') == 503 and ask(a, '/healthz') == 200
		for path in ('/l2?token=key', '/l2', '/eth/'):
		    b.sendall(upgrade_request(path)[0])
		    r = Reply(b)
		    assert (r.status, r.body) == (503, 'shutting down'), (path, r.line, r.body)
		b.sendall(upgrade_request('/l2', ['-Upgrade'])[0])  # what is wrong with the request comes first
		assert Reply(b).status == 400
	E
	gone 3.25
}

@test "silent clients cost no more than the grace and 250 ms" {
	for grace in 0 300ms; do
		aero_start "${OPEN[@]}" --server.shutdown-grace="$grace"
		guest <<-'E'
			t = [Tunnel() for _ in range(3)]
			os.kill(PID, signal.SIGTERM)
			time.sleep(0.55)
			stat = '/proc/%d/stat' % PID
			assert not os.path.exists(stat) or open(stat).read().split()[2] == 'Z', 'still there'
		E
		gone 0.2
	done
}

@test "a client that takes nothing does not hold the end up" {
	aero_start "${OPEN[@]}" --server.shutdown-grace=1s --egress.allow-private=yes --tunnel.send-queue=1MiB
	guest <<-'E'
		s = peer.serve(peer.listener(), lambda c: c.sendall(bytes(16 << 20)))
		g = Guest(rcvbuf=4096)
		for _ in range(4):
		    Conn(g, '127.0.0.1', peer.port_of(s), opts=b'\2\4\5\xb4\3\3\x0e').open()
		time.sleep(0.3)
		os.kill(PID, signal.SIGTERM)
		time.sleep(1.25)
		stat = '/proc/%d/stat' % PID
		assert not os.path.exists(stat) or open(stat).read().split()[2] == 'Z', 'still there'
	E
	gone 0.2
}

@test "connections upstream end, and captures are written to the last frame" {
	aero_start "${OPEN[@]}" --egress.allow-private=yes --capture.dir="$BATS_TEST_TMPDIR/cap" --capture.flush-interval=0
	guest <<-'E'
		ended = threading.Event()
		def wait_end(c):
		    try:
		        c.recv(1)
		    finally:
		        ended.set()
		s = peer.serve(peer.listener(), wait_end)
		g = Guest()
		g.tcp('127.0.0.1', peer.port_of(s))
		g.frame(dns_query('never.invalid'))
		os.kill(PID, signal.SIGTERM)
		assert g.end()[0] == 1001
		g.s.close()
		assert ended.wait(2)
	E
	gone 3.25
	file=("$BATS_TEST_TMPDIR"/cap/*-session-1.pcapng)
	"$AERO" capture check "${file[0]}"
	[ "$("$AERO" capture read "${file[0]}" | wc -l)" -ge 2 ]
}

@test "several workers end together" {
	aero_start "${OPEN[@]}" --server.workers=3
	guest <<-'E'
		t = [Tunnel() for _ in range(6)]
		os.kill(PID, signal.SIGTERM)
		for x in t:
		    assert x.end() == (1001, 'shutting down', [])
		    x.s.close()
	E
	gone 2
}

@test "signals that come twice, or while it starts, do no harm" {
	aero_start "${OPEN[@]}"
	kill -TERM "$AERO_PID"
	kill -TERM "$AERO_PID" 2>/dev/null || true
	kill -INT "$AERO_PID" 2>/dev/null || true
	gone 1
}

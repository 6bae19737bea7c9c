#!/usr/bin/env bats
# The protocol on the WebSocket: messages, how a tunnel ends, PING and its round trip, idleness,
# clients that do not read.

load lib

teardown() { aero_teardown; }

@test "undecodable messages: the first one ends the tunnel, with its reason twice" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		def ends(payload, text, dropped):
		    t = Tunnel()
		    t.ws(BINARY, payload)
		    got = t.end()
		    assert got == (1008, text, [(1, text)]), (payload[:8], got)
		    m = metrics()
		    assert m['l2_frames_dropped_total'] == dropped and m['l2_frames_rx_total'] == 0, m
		ends(b'', 'message too short: 0 < 4', 1)
		ends(b'\xa2\x03\x00', 'message too short: 3 < 4', 2)
		ends(b'\0\0\0', 'message too short: 3 < 4', 3)
		ends(b'\xa1\x03\0\0', 'invalid magic: 0xa1', 4)
		ends(b'\x00\x09\0\0', 'invalid magic: 0x00', 5)
		ends(b'\xa2\x02\0\0', 'unsupported version: 0x02', 6)
		ends(b'\xa2\xff\x7f\0' + bytes(2048), 'unsupported version: 0xff', 7)
		ends(b'\xa2\x03\x01\0' + bytes(257), 'payload too large: 257 > 256', 8)
		ends(b'\xa2\x03\x02\0' + bytes(257), 'payload too large: 257 > 256', 9)
		ends(b'\xa2\x03\x7f\0' + bytes(257), 'payload too large: 257 > 256', 10)
		ends(b'\xa2\x03\x42\0' + bytes(2000), 'payload too large: 2000 > 256', 11)
	E
}

@test "the largest of each kind passes; flags and unknown kinds are ignored" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		g = Guest()
		g.frame(bytes(2048))
		g.msg(PING, bytes(256))
		assert g.message(PONG) == bytes(256)
		g.msg(PING)
		assert g.message(PONG) == b''
		g.msg(PING, b'flagged', flags=0xff)
		assert g.message(PONG) == b'flagged'
		g.msg(PONG, bytes(256))
		g.msg(ERROR, bytes(256))
		g.msg(ERROR, b'\0\1\0\1x')
		for kind in (3, 4, 0x42, 0x7e, 0x80, 0xff):
		    g.msg(kind, bytes(256))
		g.frame(b'', b'\0', bytes(13))
		g.ws(BINARY, b'\xa2\x03\0\xff' + arp())
		g.wait(is_kind('arp'))
		g.sync()
		m = metrics()
		assert m['l2_frames_dropped_total'] == 0 and m['l2_frames_rx_total'] == 5, m
		assert m['l2_bytes_rx_total'] == 2048 + 0 + 1 + 13 + 42, m
		assert (m['l2_frames_tx_total'], m['l2_bytes_tx_total']) == (1, 42)
	E
}

@test "limits of one's own: control 8, both 1, an ERROR that is cut" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_MAX_CONTROL_PAYLOAD=8
	guest <<-'E'
		t = Tunnel()
		t.msg(PING, bytes(8))
		assert t.message(PONG) == bytes(8)
		t.msg(PING, bytes(16))
		# 4 of the 8 bytes are the ERROR's own head; the Close tells all
		assert t.end() == (1008, 'payload too large: 16 > 8', [(1, 'payl')])
		assert metric('l2_frames_dropped_total') == 1
	E
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_MAX_CONTROL_PAYLOAD=1 AERO_L2_MAX_FRAME_PAYLOAD=1
	guest <<-'E'
		t = Tunnel()
		t.frame(b'x')
		t.msg(PING, b'y')
		assert t.message(PONG) == b'y'
		t.ws(BINARY, b'\xa2\x03\0\0' + bytes(1024))
		assert t.end() == (1009, '', [])
		t = Tunnel()
		t.ws(BINARY, b'')
		assert t.end() == (1008, 'message too short: 0 < 4', [(None, b'')])
		m = metrics()
		assert m['l2_frames_rx_total'] == 1 and m['l2_frames_dropped_total'] == 1
	E
}

@test "text is ignored, but must be UTF-8; WebSocket pings are answered once each" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		t = Tunnel()
		t.text('\u00e9 anything')
		t.text('')
		for n, payload in enumerate((b'', b'one', bytes(125))):
		    t.ws(WS_PING, payload)
		    assert t.ws_recv() == (WS_PONG, payload)
		t.ws(WS_PONG, b'nobody asked')
		t.sync()
		t.ws(TEXT, b'\xff\xfe')
		assert t.end() == (1007, '', [])
		# amid fragments of a message
		t = Tunnel()
		t.ws(BINARY, b'\xa2\x03', fin=False)
		t.ws(WS_PING, b'x')
		assert t.ws_recv() == (WS_PONG, b'x')
		t.ws(0, b'\x01\0he', fin=False)
		t.ws(0, b'', fin=False)
		t.ws(0, b'llo')
		assert t.message(PONG) == b'hello'
	E
}

@test "violations of the WebSocket protocol end with their code" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		def ends(code, *frames):
		    t = Tunnel()
		    t.s.sendall(b''.join(frames))
		    got = t.end()
		    assert got[0] == code and got[2] == [], (frames[0][:8], got)
		B = Tunnel.ws_bytes
		good = b'\xa2\x03\0\0'
		ends(1002, B(BINARY, good, mask=False))
		for rsv in (0x10, 0x20, 0x40):
		    ends(1002, B(BINARY, good, rsv=rsv))
		for op in (3, 7, 11, 15):
		    ends(1002, B(op))
		ends(1002, B(0, good))  # nothing to continue
		ends(1002, B(BINARY, good, fin=False), B(BINARY, good))
		ends(1002, B(WS_PING, b'', fin=False))
		ends(1002, B(WS_PING, bytes(126)))
		ends(1002, b'\x82\xfe\0\x04\0\0\0\0' + good)  # a length that is longer than it must be
		ends(1002, b'\x82\xff\0\0\0\0\0\0\0\x04\0\0\0\0' + good)
		ends(1002, b'\x82\xff\x80\0\0\0\0\0\0\x04\0\0\0\0')
		ends(1002, B(CLOSE, b'\x03'))
		for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000):
		    ends(1002, B(CLOSE, struct.pack('>H', code)))
		ends(1007, B(CLOSE, struct.pack('>H', 1000) + b'\xff'))
		# too big: 4 + 2048 is the most, also in pieces, and before it has come
		ends(1009, B(BINARY, good + bytes(2049)))
		ends(1009, b'\x82\xff\0\0\0\0\x40\0\0\0\0\0\0\0')
		ends(1009, B(BINARY, good + bytes(1500), fin=False), B(0, bytes(600)))
		ends(1009, B(TEXT, b'x' * 2053))
		m = metrics()
		assert m['l2_frames_dropped_total'] == 0 and m['l2_frames_rx_total'] == 0
		wait_metric('l2_sessions_active', 0, 3)
	E
}

@test "a client's Close is echoed, with and without a code" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		for code in (1000, 1001, 3000, 4999, None):
		    Tunnel().close(code)
		t = Tunnel()
		t.ws(CLOSE, struct.pack('>H', 1000) + b'bye \xc3\xa9')
		assert t.end()[0] == 1000
		wait_metric('l2_sessions_active', 0, 2)
	E
	[ "$(grep -c 'session closed .*reason=client_closed' "$BATS_TEST_TMPDIR/aero.err")" = 6 ]
}

@test "who does not answer our Close is dropped all the same" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		t = Tunnel()
		t.ws(BINARY, b'')
		begin = time.monotonic()
		assert t.end()[0] == 1008
		while t.s.recv(4096):
		    pass
		assert time.monotonic() - begin < 2.5
		t.s.close()
		wait_metric('l2_sessions_active', 0, 2)
	E
}

@test "after ERROR and Close nothing else comes, and nothing more is taken" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		g = Guest()
		g.arp()
		g.s.sendall(Tunnel.ws_bytes(BINARY, b'bad!') + Tunnel.ws_bytes(BINARY, b'\xa2\x03\x01\0late') +
		            Tunnel.ws_bytes(BINARY, b'\xa2\x03\0\0' + arp()) * 3)
		assert g.recv()[0] == ERROR
		op, payload = g.ws_recv()
		assert op == CLOSE and payload[:2] == b'\x03\xf0'
		g.ws(CLOSE, payload[:2])
		assert g.s.recv(1) == b''
		assert metric('l2_frames_rx_total') == 1
	E
}

@test "PINGs of the server, and what counts as their answer" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_PING_INTERVAL_MS=100
	guest <<-'E'
		t = Tunnel()
		begin = time.monotonic()
		first = t.message(PING)
		assert first == struct.pack('>Q', 1) and time.monotonic() - begin < 0.08, first
		# unanswered: none for three intervals, then the next number
		assert t.message(PING) == struct.pack('>Q', 2)
		assert 0.28 < time.monotonic() - begin < 0.9, time.monotonic() - begin
		def count():
		    m = metrics()
		    assert m['l2_ping_rtt_ms_bucket{le="+Inf"}'] == m['l2_ping_rtt_ms_count']
		    return m['l2_ping_rtt_ms_count']
		for wrong in (struct.pack('>Q', 1), struct.pack('>Q', 3), b'', struct.pack('>I', 2), struct.pack('>Q', 2) + b'x', b'\0' + struct.pack('>Q', 2)):
		    t.msg(PONG, wrong)
		t.sync()
		assert count() == 0
		t.msg(PONG, struct.pack('>Q', 2))
		t.msg(PONG, struct.pack('>Q', 2))
		t.sync()
		assert count() == 1
		# answered: the next one comes an interval later
		assert t.message(PING) == struct.pack('>Q', 3)
		time.sleep(0.06)
		t.msg(PONG, struct.pack('>Q', 3))
		t.sync()
		m = metrics()
		assert m['l2_ping_rtt_ms_count'] == 2 and m['l2_ping_rtt_ms_sum'] >= 60, m
		assert m['l2_ping_rtt_ms_bucket{le="50"}'] == m['l2_ping_rtt_ms_bucket{le="1"}'] <= 1 or m['l2_ping_rtt_ms_bucket{le="50"}'] == 1
		# each tunnel counts for itself
		assert Tunnel().message(PING) == struct.pack('>Q', 1)
	E
}

@test "a histogram of round trips at 10 ms" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_PING_INTERVAL_MS=10
	guest <<-'E'
		t = Tunnel()
		for _ in range(5):
		    t.msg(PONG, t.message(PING))
		t.sync()
		assert metric('l2_ping_rtt_ms_count') >= 1
		# a missing PONG never ends a tunnel
		for _ in range(3):
		    t.message(PING)
		t.sync()
	E
}

@test "no PINGs where they would not fit, or are not asked for" {
	aero_start "${OPEN[@]}" --tunnel.ping-interval=20ms --tunnel.max-control-payload=7
	guest <<-'E'
		t = Tunnel()
		try:
		    assert not t.recv(0.15)
		except TimeoutError:
		    pass
	E
	aero_stop
	aero_start "${OPEN[@]}"
	guest <<-'E'
		t = Tunnel()
		try:
		    assert not t.recv(0.15)
		except TimeoutError:
		    pass
	E
}

@test "idle: only what arrives counts, of any kind" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_IDLE_TIMEOUT_MS=300 AERO_L2_PING_INTERVAL_MS=20
	guest <<-'E'
		t, begin = Tunnel(), time.monotonic()
		assert t.end() == (1008, 'idle timeout', [])
		assert 0.25 < time.monotonic() - begin < 1.2, time.monotonic() - begin
		assert metric('aero_l2_idle_timeouts_total') == 1
		t = Tunnel()
		stay = [lambda: t.text(), lambda: t.ws(WS_PING), lambda: t.ws(WS_PONG), lambda: t.msg(PONG), lambda: t.frame(b'x')]
		for say in stay * 2:
		    time.sleep(0.1)
		    say()
		try:
		    while True:
		        t.recv(0.01)
		except TimeoutError:
		    pass
		assert metric('aero_l2_idle_timeouts_total') == 1
		assert t.end()[:2] == (1008, 'idle timeout')
		assert metric('aero_l2_idle_timeouts_total') == 2
	E
	grep -q 'warn .*closing idle session.*reason=idle_timeout' "$BATS_TEST_TMPDIR/aero.err"
}

@test "a client that lets PONGs pile up hears of it within 5 s, reading or not" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_WS_SEND_BUFFER=1 AERO_L2_MAX_CONTROL_PAYLOAD=16384
	guest <<-'E'
		t = Tunnel(rcvbuf=4096)
		sent, stop = Tunnel.ws_bytes(BINARY, b'\xa2\x03\x01\0' + bytes(16384)), time.monotonic() + 1.5
		t.s.settimeout(0.1)
		n = 0
		while time.monotonic() < stop:  # sends for 1.5 s and reads nothing
		    try:
		        t.s.sendall(sent)
		        n += 1
		    except (socket.timeout, OSError):
		        break
		time.sleep(max(0, stop - time.monotonic()))
		code, reason, errors = t.end(5)
		assert (code, reason) == (1008, 'outbound websocket backpressure'), (code, reason, n)
		assert errors == [(9, 'outbound websocket backpressure')], errors
		assert metric('l2_sessions_closed_backpressure_total') == 1
		wait_metric('l2_sessions_active', 0, 5)
	E
}

@test "a client that pauses for a while keeps its tunnel" {
	aero_start "${OPEN[@]}" --tunnel.stall-timeout=20s --egress.allow-private=yes
	guest <<-'E'
		blob = os.urandom(1 << 20)
		s = peer.serve(peer.listener(), lambda c: c.sendall(blob))
		g = Guest(rcvbuf=8192)
		c = g.tcp('127.0.0.1', peer.port_of(s), win=65535)
		time.sleep(1.5)
		assert c.recv(len(blob), timeout=10) == blob
		assert metric('l2_sessions_closed_backpressure_total') == 0
		g.sync()
	E
}

@test "a slow reader with a download, PINGs and pings gets every frame whole" {
	aero_start "${OPEN[@]}" --egress.allow-private=yes --tunnel.ping-interval=5ms
	guest <<-'E'
		blob = os.urandom(400000)
		s = peer.serve(peer.listener(), lambda c: (c.sendall(blob), c.recv(1)))
		g = Guest(rcvbuf=4096)
		c = Conn(g, '127.0.0.1', peer.port_of(s), opts=b'\2\4\5\xb4\4\2\1\3\3\7', win=2000).open()
		got, pongs, asked, n = b'', 0, 0, 0
		while len(got) < len(blob):
		    op, payload = g.ws_recv()
		    if op == WS_PONG:
		        assert payload == bytes(100)
		    elif op == BINARY and payload[2] == PONG:
		        assert payload[4:] == bytes(200)
		        pongs += 1
		    elif op == BINARY and payload[2] == FRAME:
		        p = Pkt(payload[4:])
		        if p.kind == 'tcp' and p.seq == c.rcv and p.data:
		            got += p.data
		            c.rcv = c.rcv + len(p.data) & 0xffffffff
		            n += 1
		            c.seg(ACK)
		            if n % 8 == 0:
		                g.ws(WS_PING, bytes(100))
		                g.msg(PING, bytes(200))
		                asked += 1
		                time.sleep(0.001)
		assert got == blob
		while pongs < asked:
		    op, payload = g.ws_recv()
		    pongs += op == BINARY and payload[2] == PONG
	E
}

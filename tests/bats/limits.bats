#!/usr/bin/env bats
# How many tunnels, and how much each may move.

load lib

teardown() { aero_teardown; }

@test "tunnels in all; a place is free again within 2 s of a close" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_MAX_CONNECTIONS=2
	guest <<-'E'
		a, b = Tunnel(), Tunnel()
		table('429 max connections exceeded | max_connections')
		assert metric('l2_sessions_active') == 2
		a.close()
		wait_metric('l2_sessions_active', 1, 2)
		c = Tunnel()
		table('429 max connections exceeded | max_connections')
		b.s.close()  # not even a Close
		wait_metric('l2_sessions_active', 1, 2)
		Tunnel().close()
	E
	grep -q 'info .*rejected l2 websocket upgrade.*reason=max_connections_exceeded' "$BATS_TEST_TMPDIR/aero.err"
}

@test "64 by default, 0 for no limit" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1
	guest <<-'E'
		all_ = [Tunnel() for _ in range(64)]
		table('429 max connections exceeded | max_connections')
	E
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_MAX_CONNECTIONS=0
	guest <<<'all_ = [Tunnel() for _ in range(100)]'
}

@test "tunnels of one session, by cookie and by JWT" {
	AERO_L2_JWT_SECRET=jot SESSION_SECRET=sec aero_start --origin.open=yes --auth.mode=cookie_or_jwt \
		--limits.max-connections-per-session=1
	guest <<-'E'
		full = '429 quota_connections: max connections per session exceeded | max_connections_per_session'
		a = Tunnel(headers=['Cookie: aero_session=' + session('sec', sid='one')])
		table(f"""
		    {full} | /l2 | Cookie: aero_session={session('sec', sid='one', exp=90)}
		    {full} | /l2?token={jwt('jot', sid='one')}
		    101 | - | /l2 | Cookie: aero_session={session('sec', sid='two')}
		    101 | - | /l2?token={jwt('jot', sid='three')}""")
		b = Tunnel('/l2?token=' + jwt('jot', sid='four'))
		table(f"{full} | /l2?token={jwt('jot', sid='four')}")
		a.close()
		until(lambda: try_upgrade('/l2', ['Cookie: aero_session=' + session('sec', sid='one')])[0] == 101, 2)
		# a refused one gives back what it had taken
		assert metric('l2_sessions_active') <= 2
	E
	grep -q 'warn .*reason=max_connections_per_session_exceeded.*auth_sid=one' "$BATS_TEST_TMPDIR/aero.err"
}

@test "the limit of a session has an old name, and keys have no session" {
	legacy_start AERO_L2_AUTH_MODE=session_or_token SESSION_SECRET=sec AERO_L2_API_KEY=key AERO_L2_OPEN=1 \
		AERO_L2_MAX_TUNNELS_PER_SESSION=1
	guest <<-'E'
		a = Tunnel(headers=['Cookie: aero_session=' + session('sec')])
		b, c = Tunnel('/l2?token=key'), Tunnel('/l2?token=key')
		table(f"429 quota_connections: max connections per session exceeded | max_connections_per_session | /l2 | Cookie: aero_session={session('sec')}")
	E
}

@test "long and odd session names are told apart" {
	SESSION_SECRET=sec aero_start --origin.open=yes --auth.mode=session --limits.max-connections-per-session=1
	guest <<-'E'
		held = [Tunnel(headers=['Cookie: aero_session=' + session('sec', sid=sid)]) for sid in
		        ('x' * 200, 'x' * 201, 'x' * 64, 'x' * 65, 'ü', 'a b', 'a"b', 'a\nb', '\0')]
		table(f"429 quota_connections: max connections per session exceeded | max_connections_per_session | /l2 | Cookie: aero_session={session('sec', sid='x' * 200)}")
	E
	# none of them broke a line of the log
	[ "$(grep -c 'session opened' "$BATS_TEST_TMPDIR/aero.err")" = 9 ]
	[ "$(grep -cv '^[0-9-]*T[0-9:.]*Z \|^warning: ' "$BATS_TEST_TMPDIR/aero.err")" = 0 ]
}

@test "tunnels of one address" {
	aero_start "${OPEN[@]}" --limits.max-connections-per-ip=1
	guest <<-'E'
		a = Tunnel()
		table("""
		    429 max connections per ip exceeded | ip_limit
		    429 max connections per ip exceeded | ip_limit | /l2 | X-Forwarded-For: 1.2.3.4
		    429 max connections per ip exceeded | ip_limit | /l2 | Forwarded: for=1.2.3.4""")
		a.close()
		until(lambda: try_upgrade('/l2', ())[0] == 101, 2)
	E
	grep -q 'warn .*rejecting l2 upgrade: per-IP connection limit exceeded.*client_ip=127.0.0.1 client_ip_source=ConnectInfo max_connections_per_ip=1 active_connections=1' "$BATS_TEST_TMPDIR/aero.err"
}

@test "tunnels of one address behind a proxy that is trusted" {
	aero_start "${OPEN[@]}" --limits.max-connections-per-ip=1 --client.trust-proxy=yes
	guest <<-'E'
		held = [Tunnel(headers=[h]) for h in (
		    'X-Forwarded-For: 1.2.3.4, 9.9.9.9', 'X-Forwarded-For: 1.2.3.5:4711', 'X-Forwarded-For: 2001:db8::1',
		    'Forwarded: for=1.2.3.6;proto=https', 'Forwarded: for="1.2.3.7:80"', 'Forwarded: for="[2001:db8::2]:80"',
		    'Forwarded: for=unknown, for=_hidden, for=1.2.3.8', 'X-Forwarded-For: nonsense, 1.2.3.4')]  # the last: the peer
		full = '429 max connections per ip exceeded | ip_limit | /l2'
		table(f"""
		    {full}
		    {full} | X-Forwarded-For: 1.2.3.4
		    {full} | Forwarded: for=1.2.3.4 | X-Forwarded-For: 5.5.5.5
		    {full} | Forwarded: for=_obf | Forwarded: for=1.2.3.5
		    {full} | Forwarded: for="[2001:db8:0::1]"
		    {full} | X-Forwarded-For: 1.2.3.6
		    {full} | Forwarded: For="1.2.3.7"
		    {full} | X-Forwarded-For: 2001:db8::2
		    {full} | X-Forwarded-For: 1.2.3.8
		    {full} | Forwarded: for=_only | X-Forwarded-For: 1.2.3.8
		    101 | - | /l2 | X-Forwarded-For: 7.7.7.7""")
		log = open(os.environ['AERO_LOG']).read()
		for source in ('ConnectInfo', 'Forwarded', 'XForwardedFor'):
		    assert 'client_ip_source=%s ' % source in log, source
		held[0].close()
		until(lambda: try_upgrade('/l2', ['Forwarded: for=1.2.3.4'])[0] == 101, 2)
	E
}

@test "a later refusal gives earlier places back" {
	SESSION_SECRET=sec aero_start --origin.open=yes --auth.mode=session --limits.max-connections=2 \
		--limits.max-connections-per-ip=2 --limits.max-connections-per-session=1
	guest <<-'E'
		one, two = (['Cookie: aero_session=' + session('sec', sid=s)] for s in ('one', 'two'))
		a = Tunnel(headers=one)
		for _ in range(5):
		    assert try_upgrade('/l2', one)[0] == 429
		b = Tunnel(headers=two)
	E
}

@test "byte quota: both directions, charged before anything is done" {
	aero_start "${OPEN[@]}" --limits.max-bytes-per-connection=150
	guest <<-'E'
		def spent(t, want_rx):
		    assert t.end() == (1008, 'byte quota exceeded', [(6, 'byte quota exceeded')])
		    m = metrics()
		    assert m['l2_frames_rx_total'] == want_rx, m['l2_frames_rx_total']
		    return m['l2_sessions_closed_quota_bytes_total']
		t = Tunnel()
		t.frame(b'\0' * 64)
		t.frame(b'\0' * 64)
		t.frame(b'\0' * 64)  # 204: this one is not processed
		assert spent(t, 2) == 1
		t = Tunnel()
		t.frame(b'\0' * 146)  # 150: not more than the limit
		t.never(lambda p: True, 0.1)
		t.text('x')
		assert spent(t, 3) == 2
		# text, ping, pong and Close count
		t = Tunnel()
		t.text('x' * 151)
		assert spent(t, 3) == 3
		t = Tunnel()
		t.ws(WS_PONG, b'x' * 100)
		t.ws(WS_PONG, b'x' * 51)
		assert spent(t, 3) == 4
		t = Tunnel()
		t.ws(WS_PING, b'x' * 75)  # and its answer: 150
		t.text('x')
		assert spent(t, 3) == 5
		# replies count
		t = Tunnel()
		t.msg(PING, b'x' * 70)  # 74, and 74 back
		assert t.message(PONG) == b'x' * 70
		t.text('xxx')
		assert spent(t, 3) == 6
		t = Tunnel()
		t.msg(PING, b'x' * 72)  # 76 and 76 are too many: no answer
		assert spent(t, 3) == 7
		# frames to the guest count: three ARP requests of 46 fit, one answer of 46 does not
		t = Tunnel()
		t.frame(arp(), arp(), arp())
		assert spent(t, 6) == 8
		assert metric('l2_frames_tx_total') == 0
		# a legal Close of a client is a Close
		t = Tunnel()
		t.frame(b'\0' * 140)
		t.close()
	E
}

@test "the server's own PING spends the quota of a silent tunnel" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_PING_INTERVAL_MS=10 AERO_L2_MAX_BYTES_PER_CONNECTION=11
	guest <<-'E'
		t = Tunnel()
		assert t.end() == (1008, 'byte quota exceeded', [(6, 'byte quota exceeded')])
		assert metric('l2_sessions_closed_quota_bytes_total') == 1
	E
}

@test "rate: every message counts, in windows of a second" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_MAX_FRAMES_PER_SECOND=2
	guest <<-'E'
		def spent(t):
		    assert t.end() == (1008, 'frame rate quota exceeded', [(7, 'frame rate quota exceeded')])
		    return metric('l2_sessions_closed_quota_fps_total')
		t = Tunnel()
		t.text(), t.text(), t.text()
		assert spent(t) == 1
		t = Tunnel()
		t.ws(WS_PING), t.ws(WS_PONG), t.msg(PONG)
		assert spent(t) == 2
		t = Tunnel()
		t.frame(b'\0' * 60, b'\0' * 60, b'\0' * 60)
		assert spent(t) == 3
		assert metric('l2_frames_rx_total') == 2
		# the window is fixed: it opens again with the first message a second later
		t = Tunnel()
		t.text(), t.text()
		time.sleep(1.05)
		t.text(), t.text()
		t.never(lambda p: True, 0.1)
		t.text()
		assert spent(t) == 4
	E
}

@test "rate 1; and bytes are checked before the rate" {
	aero_start "${OPEN[@]}" --limits.max-frames-per-second=1 --limits.max-bytes-per-connection=100
	guest <<-'E'
		t = Tunnel()
		t.msg(PING, b'a')
		assert t.message(PONG) == b'a'
		t.msg(PING, b'b')
		assert t.end()[:2] == (1008, 'frame rate quota exceeded')
		t = Tunnel()
		t.text()
		t.text('x' * 101)
		assert t.end()[:2] == (1008, 'byte quota exceeded')
		m = metrics()
		assert (m['l2_sessions_closed_quota_fps_total'], m['l2_sessions_closed_quota_bytes_total']) == (1, 1)
	E
}

@test "guests cannot take the descriptors that clients need" {
	peers echo
	AERO_IN="prlimit --nofile=256:256" aero_start "${OPEN[@]}" --egress.allow-private=yes
	guest <<-E
		g, port = Guest(), $PEER_ECHO
		flows = [Conn(g, '127.0.0.1', port).syn() for _ in range(300)]
		until(lambda: metric('l2_tcp_connect_fail_total') > 50)
		assert 50 < metric('l2_tcp_conns_active') < 150
		more = [Tunnel() for _ in range(60)]
		for t in more:
		    t.sync()
		for t in more:
		    t.close()
		# the guest itself goes on, within its means
		g.ping()
	E
}

@test "an address is the same in all its spellings" {
	aero_start "${OPEN[@]}" --limits.max-connections-per-ip=1 --client.trust-proxy=yes
	guest <<-'E'
		full = '429 max connections per ip exceeded | ip_limit | /l2'
		with Tunnel(headers=['X-Forwarded-For: 1.2.3.4']), Tunnel(headers=['X-Forwarded-For: 2001:db8::1']):
		    table(f"""
		        {full} | X-Forwarded-For: ::ffff:1.2.3.4
		        {full} | Forwarded: for="[::ffff:1.2.3.4]:80"
		        {full} | X-Forwarded-For: [2001:DB8:0:0::1]:80""")
	E
}

@test "the byte quota ends a download between two frames, also for a slow reader" {
	aero_start "${OPEN[@]}" --egress.allow-private=yes --limits.max-bytes-per-connection=100000
	guest <<-'E'
		s = peer.serve(peer.listener(), lambda c: c.sendall(bytes(1 << 20)))
		for rcvbuf in (None, 4096):
		    g, n = Guest(rcvbuf=rcvbuf), 0
		    c = g.tcp('127.0.0.1', peer.port_of(s))
		    try:
		        while True:
		            p = c.wait(lambda p: p.data)
		            n += len(p.data) + 58
		            c.rcv = p.seq + len(p.data)
		            c.seg(ACK)
		    except Closed as e:
		        assert (e.code, e.reason) == (1008, 'byte quota exceeded'), e
		    assert [read_error(x[1]) for x in g.errors] == [(6, 'byte quota exceeded')] and n < 100000, (n, g.errors)
	E
}

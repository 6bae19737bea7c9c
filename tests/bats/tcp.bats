#!/usr/bin/env bats
# Guests' TCP, segment by segment: handshake, refusals, data both ways, loss, windows, the end.

load lib

teardown() { aero_teardown; }

# Most tests dial servers of their own on loopback.
start() { aero_start "${OPEN[@]}" --egress.allow-private=yes "$@"; }

@test "handshake, echo, orderly end; the flags are exactly what old probes ask for" {
	peers echo
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_TCP_FORWARD="203.0.113.10:8080=127.0.0.1:$PEER_ECHO"
	guest <<-'E'
		g = Guest()
		c = Conn(g, '203.0.113.10', 8080, opts=b'').syn()
		p = c.synack()
		assert p.flags == SYN | ACK and p.ack == 1001 and p.options.keys() <= {2} and p.win > 0
		c.seg(ACK)
		assert metric('l2_tcp_conns_active') == 1
		c.send(b'hello')
		p = c.wait(lambda p: p.ack == c.snd)
		assert p.flags in (ACK, ACK | PSH)
		got = p.data or c.recv(5)
		assert got == b'hello'
		if p.data:
		    c.rcv += 5
		    c.seg(ACK)
		c.fin()
		p = c.got_fin()
		assert p.ack == c.snd
		wait_metric('l2_tcp_conns_active', 0)
		m = metrics()
		assert m['l2_tcp_connect_fail_total'] == m['l2_policy_denied_total'] == 0
	E
}

@test "a pure acknowledgement has the flag ACK and no other" {
	start
	guest <<-'E'
		s = peer.serve(peer.listener(), lambda c: c.recv(100) and time.sleep(3))
		c = Guest().tcp('127.0.0.1', peer.port_of(s))
		c.send(b'data')
		p = c.acked()
		assert p.flags == ACK and not p.data and p.seq == c.rcv
	E
}

@test "options: what the guest did not offer it does not get" {
	start
	guest <<-'E'
		s = peer.serve(peer.listener(), peer.echo)
		g, port = Guest(), peer.port_of(s)
		mss, scale, sack, stamps = b'\2\4\5\xb4', b'\3\3\7', b'\4\2', b'\x08\x0a' + bytes(8)
		def offered(opts):
		    p = Conn(g, '127.0.0.1', port, opts=opts).syn().synack()
		    assert struct.unpack('>H', p.options[2])[0] == 1460
		    return set(p.options)
		assert offered(mss) == {2}
		assert offered(mss + scale) == {2, 3}
		assert offered(mss + sack) == {2, 4}
		assert offered(mss + sack + stamps + b'\1' + scale) == {2, 3, 4}
		assert offered(b'\1\1\0') == {2}
		# broken ones are no reason to say no
		for opts in (b'\2\0\0\0', b'\2\xff\5\xb4', b'\3\3', b'\xff\2', b'\2\3\5\1'):
		    p = Conn(g, '127.0.0.1', port, opts=opts).syn().synack()
	E
}

@test "segments keep to the guest's MSS and to the frame limit" {
	start
	guest <<-'E'
		blob = os.urandom(60000)
		s = peer.serve(peer.listener(), lambda c: c.sendall(blob))
		for opts, most in ((b'\2\4\5\xb4', 1460), (b'\2\4\2\x18', 536), (b'\2\4\x23\0', 1460), (b'', 536), (b'\2\4\0\x64', 100)):
		    g = Guest()
		    c = g.tcp('127.0.0.1', peer.port_of(s), opts=opts)
		    seen, got = 0, b''
		    while len(got) < len(blob):
		        p = c.wait(lambda p: p.data)
		        assert len(p.data) <= most, (opts, len(p.data))
		        assert p.seq == c.rcv and p.df and p.ttl == 64
		        got, c.rcv, seen = got + p.data, c.rcv + len(p.data), max(seen, len(p.data))
		        c.seg(ACK)
		    assert got == blob and (seen == most or not opts)
		    g.s.close()
	E
	aero_stop
	start --tunnel.max-frame-payload=600
	guest <<-'E'
		blob = os.urandom(20000)
		s = peer.serve(peer.listener(), lambda c: c.sendall(blob))
		c = Conn(Guest(), '127.0.0.1', peer.port_of(s)).syn()
		assert struct.unpack('>H', c.synack().options[2])[0] == 600 - 54
		c.seg(ACK)
		assert c.recv(len(blob)) == blob
		assert metric('l2_frames_dropped_total') == 0
	E
}

@test "denied by the LAN's filter: a plain RST, not counted" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		g = Guest()
		for dst in ('10.0.0.1', '10.0.2.3', '127.0.0.1', '169.254.169.254', '192.168.0.1', '0.1.2.3', '100.64.0.1', '198.18.0.1', '192.0.0.1',
		            '172.16.0.1', '240.0.0.1'):
		    c = Conn(g, dst, 80).syn()
		    p = c.got_rst()
		    assert (p.seq, p.ack, p.win, p.data) == (0, c.isn + 1, 0, b''), p
		# what can be nobody's address gets no answer at all (RFC 9293 3.9.2.3)
		for dst in ('0.0.0.0', '224.0.0.1', '255.255.255.255'):
		    Conn(g, dst, 80).syn()
		g.never(is_kind('tcp'), 0.2)
		m = metrics()
		assert m['l2_policy_denied_total'] == m['l2_tcp_connect_fail_total'] == m['l2_tcp_conns_active'] == 0
	E
}

@test "denied by the policy: RST, counted; the port list beats a forward" {
	peers echo
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_ALLOWED_TCP_PORTS=80,81 \
		AERO_L2_TCP_FORWARD="203.0.113.10:8080=127.0.0.1:$PEER_ECHO,203.0.113.10:81=127.0.0.1:$PEER_ECHO"
	guest <<-'E'
		g = Guest()
		for n, (dst, port) in enumerate((('203.0.113.10', 8080), ('203.0.113.11', 80), ('192.0.2.1', 80), ('198.51.100.1', 81), ('1.1.1.1', 443)), 1):
		    c = Conn(g, dst, port).syn()
		    assert c.got_rst().ack == c.isn + 1
		    m = metrics()
		    assert m['l2_policy_denied_total'] == n and m['l2_tcp_connect_fail_total'] == m['l2_tcp_conns_active'] == 0, m
		assert Conn(g, '203.0.113.10', 81).open()
		assert metric('l2_policy_denied_total') == 5
	E
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_ALLOWED_TCP_PORTS= AERO_L2_TCP_FORWARD="203.0.113.10:81=127.0.0.1:$PEER_ECHO"
	guest <<-'E'
		Conn(Guest(), '203.0.113.10', 81).syn().got_rst()
		wait_metric('l2_policy_denied_total', 1)
	E
}

@test "a limit of 0 refuses every SYN, a full table the next one" {
	peers echo
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_STACK_MAX_TCP_CONNECTIONS=0 AERO_L2_TCP_FORWARD="203.0.113.10:81=127.0.0.1:$PEER_ECHO"
	guest <<-'E'
		c = Conn(Guest(), '203.0.113.10', 81).syn()
		p = c.got_rst()
		assert (p.seq, p.ack, p.win) == (0, c.isn + 1, 0), p
		m = metrics()
		assert m['l2_policy_denied_total'] == m['l2_tcp_connect_fail_total'] == m['l2_tcp_conns_active'] == 0
	E
}

@test "a full table refuses the next one and keeps those that are there" {
	start --tcp.max-connections=2
	guest <<-'E'
		s = peer.serve(peer.listener(), peer.echo)
		g = Guest()
		a, b = g.tcp('127.0.0.1', peer.port_of(s)), g.tcp('127.0.0.1', peer.port_of(s))
		c = Conn(g, '127.0.0.1', peer.port_of(s)).syn()
		p = c.got_rst()
		assert (p.seq, p.ack, p.win) == (0, c.isn + 1, 0), p
		for x in (a, b):
		    x.send(b'here')
		    assert x.recv(4) == b'here'
		assert metric('l2_tcp_conns_active') == 2 and metric('l2_policy_denied_total') == 0
		a.reset()
		wait_metric('l2_tcp_conns_active', 1)
		g.tcp('127.0.0.1', peer.port_of(s))
	E
}

@test "refused upstream: RST and no SYN-ACK before it; a dead one: silence" {
	start --tcp.connect-timeout=300ms
	guest <<-'E'
		g = Guest()
		c = Conn(g, '127.0.0.1', peer.port_of(peer.closed_tcp())).syn()
		p = c.wait()
		assert p.flags == RST | ACK and p.ack == c.isn + 1, p
		m = metrics()
		assert (m['l2_tcp_connect_fail_total'], m['l2_tcp_conns_active']) == (1, 0), m
		c = Conn(g, '127.0.0.1', peer.port_of(peer.hole_tcp())).syn()
		g.sync()
		assert metric('l2_tcp_conns_active') == 1
		c.syn()
		wait_metric('l2_tcp_connect_fail_total', 2)
		wait_metric('l2_tcp_conns_active', 0)
		c.never(lambda p: not p.flags & RST, 0.1)
	E
}

@test "data right behind a SYN to a black hole is taken, whatever it acknowledges" {
	peers hole
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_TCP_FORWARD="203.0.113.10:81=127.0.0.1:$PEER_HOLE" \
		AERO_L2_STACK_MAX_BUFFERED_TCP_BYTES_PER_CONN=1024
	guest <<-'E'
		g = Guest()
		c = Conn(g, '203.0.113.10', 81).syn()
		c.seg(ACK | PSH, b'hello', ack=0)
		p = c.wait(lambda p: p.ack == c.isn + 1 + 5, 2)
		assert p.flags == ACK, p
		c.snd += 5
		# more of it, until it is more than may be held
		c.seg(ACK | PSH, b'x' * 1000, ack=0)
		c.snd += 1000
		c.wait(lambda p: p.ack == c.snd and p.flags == ACK)
		c.seg(ACK | PSH, b'x' * 100, ack=0)
		p = c.got_rst()
		assert p.ack == c.snd, (p, c.snd)
		wait_metric('l2_tcp_conns_active', 0)
	E
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_TCP_FORWARD="203.0.113.10:81=127.0.0.1:$PEER_HOLE" \
		AERO_L2_STACK_MAX_BUFFERED_TCP_BYTES_PER_CONN=0
	guest <<-'E'
		c = Conn(Guest(), '203.0.113.10', 81).syn()
		c.seg(ACK | PSH, b'hello', ack=0)
		assert c.got_rst(2).ack == c.isn + 1
		wait_metric('l2_tcp_conns_active', 0)
	E
}

@test "early data arrives once there is somebody to take it" {
	start
	guest <<-'E'
		s = peer.serve(peer.listener(), peer.echo)
		for _ in range(10):
		    c = Conn(Guest(), '127.0.0.1', peer.port_of(s)).syn()
		    c.seg(ACK | PSH, b'early', ack=0)
		    c.snd += 5
		    c.synack()
		    c.seg(ACK)
		    assert c.recv(5) == b'early'
	E
}

@test "forwards to a name, to an IPv6 address, to a name that is not" {
	peers greet
	v6=
	if grep -q ' lo$' /proc/net/if_inet6 2>/dev/null; then v6=,203.0.113.10:83=[::1]:1; fi
	aero_start "${OPEN[@]}" --egress.tcp-forward="203.0.113.10:81=localhost:$PEER_GREET,203.0.113.10:82=no.such.invalid:1$v6" \
		--dns.servers=127.0.0.1:1 --dns.timeout=400ms
	guest "$v6" <<-'E'
		g = Guest()
		assert g.tcp('203.0.113.10', 81).recv(11) == b'220 hello\r\n'
		c = Conn(g, '203.0.113.10', 82).syn()
		c.seg(ACK | PSH, b'early')
		wait_metric('l2_tcp_connect_fail_total', 1)
		if sys.argv[1]:
		    Conn(g, '203.0.113.10', 83).syn().got_rst()
		assert metric('l2_policy_denied_total') == 0
	E
}

@test "a forward is no way around the LAN's filter" {
	peers echo
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_TCP_FORWARD="10.9.9.9:80=127.0.0.1:$PEER_ECHO" \
		AERO_L2_UDP_FORWARD="10.9.9.9:80=127.0.0.1:$PEER_ECHO"
	guest <<-'E'
		g = Guest()
		assert Conn(g, '10.9.9.9', 80).syn().got_rst().seq == 0
		g.udp('10.9.9.9', 80, b'x')
		g.sync()
		m = metrics()
		assert m['l2_policy_denied_total'] == m['l2_tcp_conns_active'] == m['l2_udp_flows_active'] == 0, m
	E
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_TCP_FORWARD="10.9.9.9:80=127.0.0.1:$PEER_ECHO" AERO_L2_ALLOW_PRIVATE_IPS=on
	guest <<<"assert Guest().tcp('10.9.9.9', 80).send(b'x').recv(1) == b'x'"
}

@test "a server that speaks first loses nothing" {
	start
	guest <<-'E'
		s = peer.serve(peer.listener(), peer.greet)
		g = Guest()
		for _ in range(20):
		    c = Conn(g, '127.0.0.1', peer.port_of(s)).syn()
		    c.synack()
		    time.sleep(0.005)  # the greeting is there before our ACK
		    c.seg(ACK)
		    assert c.recv(11) == b'220 hello\r\n'
		    c.reset()
	E
}

@test "half-close: after the guest's FIN the answer still comes" {
	start
	guest <<-'E'
		def count(c):
		    n = 0
		    while True:
		        d = c.recv(65536)
		        if not d:
		            break
		        n += len(d)
		    time.sleep(0.05)
		    c.sendall(b'%d bytes' % n + b'.' * 3000)
		s = peer.serve(peer.listener(), count)
		c = Guest().tcp('127.0.0.1', peer.port_of(s))
		c.send(b'x' * 1000).fin()
		assert c.recv(3010) == b'1000 bytes' + b'.' * 3000
		c.end()
		wait_metric('l2_tcp_conns_active', 0)
	E
}

@test "half-close: after the server's FIN the guest's data still goes" {
	start
	guest <<-'E'
		got = []
		def half(c):
		    c.shutdown(socket.SHUT_WR)
		    while True:
		        d = c.recv(65536)
		        if not d:
		            break
		        got.append(d)
		    got.append(None)
		s = peer.serve(peer.listener(), half)
		c = Guest().tcp('127.0.0.1', peer.port_of(s))
		c.got_fin()
		for _ in range(5):
		    c.send(b'y' * 1000)
		    c.acked()
		c.fin()
		until(lambda: got and got[-1] is None)
		assert b''.join(got[:-1]) == b'y' * 5000
		c.acked()
		wait_metric('l2_tcp_conns_active', 0)
	E
}

@test "RST: from the guest it goes upstream, from upstream to the guest" {
	start
	guest <<-'E'
		ended = []
		def wait_end(c):
		    try:
		        ended.append(c.recv(1))
		    except OSError as e:
		        ended.append(e)
		s = peer.serve(peer.listener(), wait_end)
		g = Guest()
		c = g.tcp('127.0.0.1', peer.port_of(s))
		assert metric('l2_tcp_conns_active') == 1
		c.reset()
		wait_metric('l2_tcp_conns_active', 0, 2)
		assert isinstance(until(lambda: ended)[0], ConnectionResetError), ended
		g.arp()
		def slam(c):
		    c.recv(1)
		    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
		c = g.tcp('127.0.0.1', peer.port_of(peer.serve(peer.listener(), slam)))
		c.send(b'x')
		p = c.got_rst()
		assert p.seq == c.rcv and p.ack == c.snd, p
		wait_metric('l2_tcp_conns_active', 0, 2)
	E
}

@test "the tunnel's end is the end of its connections" {
	start
	guest <<-'E'
		ended = []
		def wait_end(c):
		    try:
		        ended.append(c.recv(1))
		    except OSError as e:
		        ended.append(e)
		s = peer.serve(peer.listener(), wait_end)
		g = Guest()
		for _ in range(3):
		    g.tcp('127.0.0.1', peer.port_of(s))
		g.close()
		until(lambda: len(ended) == 3, 3)
		wait_metric('l2_tcp_conns_active', 0)
	E
}

@test "segments that belong to no connection are answered with RST, resets with nothing" {
	start
	guest <<-'E'
		g = Guest()
		c = Conn(g, '1.2.3.4', 80)
		c.seg(ACK, seq=5000, ack=7000)
		p = c.wait()
		assert p.flags & RST and p.seq == 7000, p
		c.seg(FIN | ACK, b'xyz', seq=5000, ack=7000)
		assert c.wait().flags & RST
		c.seg(FIN, b'xyz', seq=5000, ack=0)
		p = c.wait()
		assert p.flags == RST | ACK and p.ack == 5004, p
		c.seg(SYN | ACK, seq=5000, ack=7000)
		assert c.wait().flags & RST
		c.seg(RST, seq=5000)
		c.seg(RST | ACK, seq=5000)
		c.never()
	E
}

@test "the guest's data: out of order, twice, overlapping; each byte goes once" {
	start
	guest <<-'E'
		got = []
		def sink(c):
		    while True:
		        d = c.recv(65536)
		        if not d:
		            break
		        got.append(d)
		s = peer.serve(peer.listener(), sink)
		c = Conn(Guest(), '127.0.0.1', peer.port_of(s), opts=b'\2\4\5\xb4\4\2').open()
		data = bytes(range(256)) * 4
		def part(a, b):
		    c.seg(ACK | PSH, data[a:b], seq=c.isn + 1 + a)
		part(0, 100)
		c.wait(lambda p: p.ack == c.isn + 101)
		part(200, 300)  # a hole: told at once, with SACK
		p = c.wait(lambda p: p.ack == c.isn + 101)
		assert p.options.get(5) == struct.pack('>II', c.isn + 201, c.isn + 301), p.options
		part(400, 500)
		p = c.wait(lambda p: len(p.options.get(5, b'')) == 16)
		assert p.options[5][:8] == struct.pack('>II', c.isn + 401, c.isn + 501), p.options
		part(0, 100)  # old
		p = c.wait(lambda p: p.ack == c.isn + 101)
		part(50, 250)  # over the hole's both ends
		c.wait(lambda p: p.ack == c.isn + 301)
		part(290, 420)
		c.wait(lambda p: p.ack == c.isn + 501)
		part(450, 1024)
		c.wait(lambda p: p.ack == c.isn + 1025)
		until(lambda: len(b''.join(got)) >= 1024)
		assert b''.join(got) == data
		# a FIN that is ahead waits for what is before it
		c.seg(FIN | ACK, b'tail', seq=c.isn + 1025 + 4)
		c.wait(lambda p: p.ack == c.isn + 1025)
		c.seg(ACK, b'the ', seq=c.isn + 1025)
		c.wait(lambda p: p.ack == c.isn + 1025 + 9)
		until(lambda: b''.join(got).endswith(b'the tail'))
	E
}

@test "sequence numbers wrap" {
	start
	guest <<-'E'
		s = peer.serve(peer.listener(), peer.echo)
		g = Guest()
		for isn in (0xffffffff, 0xfffffffe, 0xffffffff - 1500, 0x7fffffff):
		    c = g.tcp('127.0.0.1', peer.port_of(s), isn=isn)
		    for n in range(4):
		        data = os.urandom(1000)
		        c.send(data)
		        assert c.recv(1000) == data
		    # what is old stays old on the other side of 0
		    c.seg(ACK | PSH, b'old', seq=c.snd - 3000)
		    c.wait(lambda p: p.ack == c.snd & 0xffffffff and not p.data)
		    c.fin()
		    c.got_fin()
	E
}

@test "lost on the way to the guest: sent again, alone, and fast" {
	start
	guest <<-'E'
		blob = os.urandom(14600)
		s = peer.serve(peer.listener(), lambda c: (c.sendall(blob), c.recv(1)))
		g = Guest()
		c = Conn(g, '127.0.0.1', peer.port_of(s), opts=b'\2\4\5\xb4\4\2').open()
		segs = {}
		while sum(map(len, segs.values())) < len(blob):
		    p = c.wait(lambda p: p.data)
		    segs[p.seq] = p.data
		first = c.rcv
		assert b''.join(segs[k] for k in sorted(segs)) == blob and len(segs) == 10
		# the third never arrived: all others are SACKed
		lost = sorted(segs)[2]
		begin = time.monotonic()
		for k in sorted(segs)[3:]:
		    c.seg(ACK, ack=lost, opts=b'\1\1\5\x0a' + struct.pack('>II', sorted(segs)[3], k + len(segs[k])))
		p = c.wait(lambda p: p.data, 1)
		assert p.seq == lost and p.data == segs[lost] and time.monotonic() - begin < 0.15, (p.seq - first, time.monotonic() - begin)
		c.never(lambda p: p.data, 0.1)  # and none of the others
		c.seg(ACK, ack=first + len(blob))
		c.never(lambda p: p.data, 0.3)
		assert metric('aero_l2_tcp_retransmits_total') == 1
	E
}

@test "without any acknowledgement the first is sent again, ever more slowly" {
	start
	guest <<-'E'
		s = peer.serve(peer.listener(), lambda c: (c.sendall(b'important'), c.recv(1)))
		g = Guest()
		c = g.tcp('127.0.0.1', peer.port_of(s))
		times = []
		for _ in range(4):
		    p = c.wait(lambda p: p.data, 5)
		    assert p.data == b'important' and p.seq == c.rcv
		    times.append(time.monotonic())
		gaps = [b - a for a, b in zip(times, times[1:])]
		assert gaps[0] < 1.3 and gaps[-1] > 1.4 * gaps[-2], gaps
		c.rcv += 9
		c.seg(ACK)
		c.never(lambda p: p.data, 0.5)
		# the SYN-ACK too
		c = Conn(g, '127.0.0.1', peer.port_of(s)).syn()
		first = c.synack()
		assert c.synack(3).seq == first.seq
	E
}

@test "the guest's window: not a byte beyond it, a probe when it is shut, more when it opens" {
	start
	guest <<-'E'
		blob = os.urandom(100000)
		s = peer.serve(peer.listener(), lambda c: (c.sendall(blob), c.recv(1)))
		g = Guest()
		c = g.tcp('127.0.0.1', peer.port_of(s), win=2000)
		base, got = c.rcv, b''
		while len(got) < 1460:
		    p = c.wait(lambda p: p.data)
		    assert p.seq + len(p.data) <= base + 2000
		    got += p.data[base + len(got) - p.seq:] if p.seq <= base + len(got) else b''
		c.never(lambda p: p.seq + len(p.data) > base + 2000, 0.3)
		c.rcv += len(got)
		c.win = 0
		c.seg(ACK)
		c.g.sync()
		c.g.queue.clear()
		p = c.wait(lambda p: p.seq == c.rcv or p.seq == c.rcv - 1, 2)  # the probe
		assert len(p.data) <= 1, p
		c.seg(ACK)
		c.never(lambda p: len(p.data) > 1, 0.3)
		c.win = 65535
		c.seg(ACK)
		got += c.recv(len(blob) - len(got))
		assert got == blob
	E
}

@test "a window scaled by the guest is used" {
	start
	guest <<-'E'
		blob = os.urandom(400000)
		s = peer.serve(peer.listener(), lambda c: (c.sendall(blob), c.recv(1)))
		c = Conn(Guest(), '127.0.0.1', peer.port_of(s), opts=b'\2\4\5\xb4\1\3\3\7', win=2048).open()
		assert c.recv(len(blob)) == blob
	E
}

@test "a slow server shuts the window, and nothing is dropped or reset" {
	start
	guest <<-'E'
		got, go = [], threading.Event()
		def slow(c):
		    go.wait(10)
		    while True:
		        d = c.recv(65536)
		        if not d:
		            return
		        got.append(d)
		l = peer.listener()
		l.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
		peer.serve(l, slow)
		g = Guest()
		c = Conn(g, '127.0.0.1', peer.port_of(l), opts=b'\2\4\5\xb4\1\3\3\7').open()
		shift = c.synack_pkt.options[3][0]
		sent, edge, last = 0, c.snd + c.synack_pkt.win, None
		# only what the window allows, until it stays shut
		while True:
		    while c.snd + 1000 <= edge:
		        c.send(b'%07d\n' % (sent // 1000) * 125)
		        sent += 1000
		    try:
		        p = c.wait(timeout=1.0)
		    except AssertionError:
		        break
		    assert not p.flags & RST, p
		    # RFC 7323 2.4: it may seem to shrink by what the scale cannot express
		    assert p.ack + (p.win << shift) > edge - (1 << shift), 'the window shrank by %d' % (edge - p.ack - (p.win << shift))
		    edge, last = max(edge, p.ack + (p.win << shift)), p
		    assert sent < 64 << 20
		assert last.ack == c.snd, 'not all that the window allowed was taken: %d' % (c.snd - last.ack)
		go.set()
		c.wait(lambda p: p.ack + (p.win << shift) >= edge + 1000, 3)  # it opens by itself
		c.fin()
		until(lambda: sum(map(len, got)) == sent)
		data = b''.join(got)
		assert all(data[i * 1000:i * 1000 + 8] == b'%07d\n' % i for i in range(sent // 1000))
	E
}

@test "bytes beyond the window are not taken" {
	start
	guest <<-'E'
		s = peer.serve(peer.listener(), peer.echo)
		c = Guest().tcp('127.0.0.1', peer.port_of(s))
		c.seg(ACK | PSH, b'far', seq=c.snd + (1 << 24))
		p = c.wait()
		assert p.flags == ACK and p.ack == c.snd
		c.seg(ACK | PSH, b'unacked', ack=c.rcv + 1000)  # acknowledges what was never sent
		c.wait(lambda p: p.flags == ACK)
		c.send(b'ok')
		assert c.recv(2) == b'ok'
	E
}

@test "keepalive probes are answered" {
	start
	guest <<-'E'
		s = peer.serve(peer.listener(), peer.echo)
		c = Guest().tcp('127.0.0.1', peer.port_of(s))
		for data in (b'', b'\0'):
		    c.seg(ACK, data, seq=c.snd - 1)
		    p = c.wait()
		    assert p.flags == ACK and p.ack == c.snd and p.seq == c.rcv, p
	E
}

@test "a reset or SYN out of place does not end a connection; in its place it does" {
	start
	guest <<-'E'
		s = peer.serve(peer.listener(), peer.echo)
		c = Guest().tcp('127.0.0.1', peer.port_of(s))
		c.seg(RST, seq=c.snd + 100)  # inside the window: challenged
		p = c.wait()
		assert p.flags == ACK and p.ack == c.snd, p
		c.seg(RST, seq=c.snd - 5000)  # outside: ignored
		c.seg(RST, seq=c.snd + (1 << 30))
		c.seg(SYN, seq=c.snd + 10)  # RFC 5961 4
		p = c.wait()
		assert p.flags == ACK and p.ack == c.snd, p
		c.send(b'alive')
		assert c.recv(5) == b'alive'
		c.seg(RST, seq=c.snd)
		wait_metric('l2_tcp_conns_active', 0)
	E
}

@test "a guest that starts anew on the same ports gets through" {
	start --tcp.time-wait=5s
	guest <<-'E'
		s = peer.serve(peer.listener(), peer.echo)
		g = Guest()
		# a SYN repeated gets its SYN-ACK again
		c = Conn(g, '127.0.0.1', peer.port_of(s)).syn()
		a = c.synack()
		c.syn()
		assert c.synack().seq == a.seq
		c.seg(ACK)
		# after a reboot: the challenge, the guest's RST, the SYN again
		d = Conn(g, '127.0.0.1', peer.port_of(s), sport=c.sport, isn=900000).syn()
		p = d.wait()
		if p.flags == ACK:
		    d.seg(RST, seq=p.ack)
		    d.syn()
		    d.synack()
		else:
		    assert p.flags == SYN | ACK
		    d.rcv = p.seq + 1
		d.seg(ACK)
		d.send(b'new')
		assert d.recv(3) == b'new'
		wait_metric('l2_tcp_conns_active', 1)
		# TIME_WAIT gives way to a SYN that is ahead
		p = d.fin().got_fin()
		wait_metric('l2_tcp_conns_active', 0)
		e = Conn(g, '127.0.0.1', peer.port_of(s), sport=c.sport, isn=d.snd + 100000).open()
		e.send(b'newer')
		assert e.recv(5) == b'newer'
	E
}

@test "TIME_WAIT answers a repeated FIN" {
	start
	guest <<-'E'
		s = peer.serve(peer.listener(), lambda c: c.recv(1))
		c = Guest().tcp('127.0.0.1', peer.port_of(s))
		c.send(b'x')
		c.got_fin()  # the server ends first, so the guest's FIN is the last
		c.fin()
		c.acked()
		c.seg(FIN | ACK, seq=c.snd - 1)
		p = c.wait()
		assert p.ack == c.snd, p
	E
}

@test "broken checksums and heads are dropped" {
	start
	guest <<-'E'
		s = peer.serve(peer.listener(), peer.echo)
		g = Guest()
		c = g.tcp('127.0.0.1', peer.port_of(s))
		was = metric('aero_l2_stack_checksum_bad_total')
		c.seg(ACK | PSH, b'bad', spoil=1)
		c.seg(RST | ACK, spoil=0x100)
		short = tcp(c.sport, c.dport, c.snd, c.rcv, ACK, dst='127.0.0.1')
		g.frame(ip4(6, short[34:53], dst='127.0.0.1'), ip4(6, short[34:46] + b'\x40' + short[47:], dst='127.0.0.1'),
		        ip4(6, short[34:46] + b'\xf0' + short[47:], dst='127.0.0.1'))
		c.never(lambda p: True, 0.2)
		assert metric('aero_l2_stack_checksum_bad_total') >= was + 2
		c.send(b'good')
		assert c.recv(4) == b'good'
	E
}

@test "initial sequence numbers cannot be told from each other" {
	start
	guest <<-'E'
		s = peer.serve(peer.listener(), peer.echo)
		g = Guest()
		isns = [Conn(g, '127.0.0.1', peer.port_of(s)).syn().synack().seq for _ in range(16)]
		steps = [(b - a) & 0xffffffff for a, b in zip(isns, isns[1:])]
		assert len(set(isns)) == 16 and len(set(steps)) == 15 and max(steps) > 1 << 26, steps
	E
}

@test "dead destinations starve nobody" {
	start --tcp.max-half-open=8 --tcp.max-half-open-per-host=4
	guest <<-'E'
		hole, s = peer.hole_tcp('127.0.0.2'), peer.serve(peer.listener(), peer.echo)
		g = Guest()
		for _ in range(40):
		    Conn(g, '127.0.0.2', peer.port_of(hole)).syn()
		c = g.tcp('127.0.0.1', peer.port_of(s))
		c.send(b'through')
		assert c.recv(7) == b'through'
		assert metric('l2_tcp_conns_active') <= 9
	E
}

@test "two guest addresses may use the same port" {
	start
	guest <<-'E'
		s = peer.serve(peer.listener(), peer.echo)
		g = Guest()
		a = g.tcp('127.0.0.1', peer.port_of(s), sport=5000)
		b = g.tcp('127.0.0.1', peer.port_of(s), sport=5000, src='10.0.2.77')
		a.send(b'from a'), b.send(b'from b')
		assert a.recv(6) == b'from a' and b.recv(6) == b'from b'
	E
}

@test "idle connections are reset in the end" {
	start --tcp.idle-timeout=1s
	guest <<-'E'
		s = peer.serve(peer.listener(), peer.echo)
		c = Guest().tcp('127.0.0.1', peer.port_of(s))
		c.got_rst(4)
		wait_metric('l2_tcp_conns_active', 0)
	E
}

@test "a FIN that is not acknowledged is repeated; urgent bytes stay in line" {
	start
	guest <<-'E'
		s = peer.serve(peer.listener(), lambda c: None)
		g = Guest()
		c, begin = g.tcp('127.0.0.1', peer.port_of(s)), time.monotonic()
		for _ in range(3):
		    p = c.wait(lambda p: p.flags & FIN)
		    assert p.seq == c.rcv
		assert time.monotonic() - begin < 2
		c.rcv += 1
		c.fin().acked()
		wait_metric('l2_tcp_conns_active', 0)
		def urgent(c):
		    c.recv(1)
		    c.send(b'abc')
		    c.send(b'U', socket.MSG_OOB)
		    c.send(b'def')
		    c.recv(1)
		c = g.tcp('127.0.0.1', peer.port_of(peer.serve(peer.listener(), urgent)))
		c.send(b'x')
		assert c.recv(7) == b'abcUdef'
	E
}

@test "both say FIN at once" {
	start
	guest <<-'E'
		s = peer.serve(peer.listener(), lambda c: c.recv(1))
		g = Guest()
		for _ in range(10):
		    c = g.tcp('127.0.0.1', peer.port_of(s))
		    c.seg(FIN | ACK | PSH, b'x')  # the server's FIN will cross our silence
		    p = c.wait(lambda p: p.flags & FIN)
		    c.rcv = p.seq + 1
		    c.seg(ACK, seq=c.snd + 2)
		wait_metric('l2_tcp_conns_active', 0)
	E
}

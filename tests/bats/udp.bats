#!/usr/bin/env bats
# Guests' datagrams: forwards, policy, flows and their limit, refusals, sizes, the mapping.

load lib

teardown() { aero_teardown; }

@test "echo through a forward: the guest sees the address it wrote to" {
	peers udp_echo
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_UDP_FORWARD="203.0.113.11:5555=127.0.0.1:$PEER_UDP_ECHO,203.0.113.12:7=localhost:$PEER_UDP_ECHO"
	guest <<-'E'
		g = Guest()
		for dst, port in (('203.0.113.11', 5555), ('203.0.113.12', 7)):
		    for data in (b'hello', b'', bytes(1472)):
		        sport = g.udp(dst, port, data)
		        if data:  # an empty answer may be passed on or not
		            p = g.wait(is_kind('udp', dport=sport))
		            assert (p.src, p.sport, p.dst, p.data) == (dst, port, '10.0.2.15', data), p
		            assert p.ttl in range(32, 65) and p.eth_dst == GUEST_MAC
		# another port of the same address is not forwarded, and so denied: a TEST-NET
		was = metric('l2_policy_denied_total')
		g.udp('203.0.113.11', 5556, b'x')
		wait_metric('l2_policy_denied_total', was + 1)
		assert metric('l2_udp_send_fail_total') == 0
	E
}

@test "the last of two equal forwards wins; a name that does not resolve hurts nobody" {
	peers udp_echo
	aero_start "${OPEN[@]}" --egress.udp-forward="203.0.113.11:1=127.0.0.1:9,203.0.113.11:1=127.0.0.1:$PEER_UDP_ECHO,203.0.113.11:2=no.such.invalid:9" \
		--dns.servers=127.0.0.1:1 --dns.timeout=300ms
	guest <<-'E'
		g = Guest()
		sport = g.udp('203.0.113.11', 1, b'x')
		g.wait(is_kind('udp', dport=sport))
		g.udp('203.0.113.11', 2, b'x')
		wait_metric('l2_udp_send_fail_total', 1)
		g.arp()
	E
}

@test "the port list beats a forward, and is about the port the guest sees" {
	peers udp_echo
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_UDP_FORWARD="203.0.113.11:5555=127.0.0.1:$PEER_UDP_ECHO,203.0.113.11:5556=127.0.0.1:$PEER_UDP_ECHO" \
		AERO_L2_ALLOWED_UDP_PORTS=5556
	guest <<-'E'
		g = Guest()
		sport = g.udp('203.0.113.11', 5555, b'x')
		g.never(is_kind('udp', dport=sport), 0.3)
		m = metrics()
		assert (m['l2_policy_denied_total'], m['l2_udp_flows_active']) == (1, 0), m
		sport = g.udp('203.0.113.11', 5556, b'x')
		g.wait(is_kind('udp', dport=sport))
		assert metric('l2_policy_denied_total') == 1
	E
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_ALLOWED_UDP_PORTS= AERO_L2_UDP_FORWARD="203.0.113.11:5555=127.0.0.1:$PEER_UDP_ECHO"
	guest <<-'E'
		g = Guest()
		g.udp('203.0.113.11', 5555, b'x')
		wait_metric('l2_policy_denied_total', 1)
	E
}

@test "private and special addresses: dropped, told, and not counted as policy" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		g = Guest()
		for dst in ('0.1.2.3', '10.0.2.3', '10.0.0.1', '100.64.0.1', '127.0.0.1', '169.254.169.254', '172.16.0.1', '172.31.255.255', '192.0.0.1',
		            '192.168.1.1', '198.18.0.1', '198.19.255.255', '224.0.0.251', '239.255.255.250', '240.0.0.1', '255.255.255.255', '10.0.2.255'):
		    g.udp(dst, 9999, b'x')
		g.udp('10.0.2.2', 9999, b'x')
		g.sync()
		assert metric('l2_policy_denied_total') == 0 and metric('l2_udp_flows_active') == 0
		# the TEST-NETs are the policy's business
		for n, dst in enumerate(('192.0.2.1', '198.51.100.1', '203.0.113.1'), 1):
		    g.udp(dst, 9999, b'x')
		    g.sync()
		    assert metric('l2_policy_denied_total') == n
		assert metric('l2_udp_send_fail_total') == 0
		assert not [p for p in g.queue if p.kind == 'udp']
	E
}

@test "a port of the gateway where nobody listens is refused by ICMP" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		g = Guest()
		sport = g.udp('10.0.2.2', 9999, b'x')
		p = g.wait(is_kind('icmp'))
		assert (p.type, p.code, p.src) == (3, 3, '10.0.2.2') and p.data[20:24] == struct.pack('>HH', sport, 9999), p
	E
}

@test "flows are counted by guest port and destination; the third of two is dropped" {
	peers udp_echo
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_MAX_UDP_FLOWS_PER_TUNNEL=2 \
		AERO_L2_UDP_FORWARD="203.0.113.11:5555=127.0.0.1:$PEER_UDP_ECHO"
	guest <<-'E'
		g = Guest()
		for sport in (40000, 40001):
		    g.udp('203.0.113.11', 5555, b'x', sport=sport)
		    g.wait(is_kind('udp', dport=sport))
		assert metric('l2_udp_flows_active') == 2
		g.udp('203.0.113.11', 5555, b'x', sport=40002)
		g.never(is_kind('udp', dport=40002), 0.2)
		m = metrics()
		assert (m['l2_udp_flow_limit_exceeded_total'], m['l2_udp_flows_active']) == (1, 2), m
		# those that are there go on
		g.udp('203.0.113.11', 5555, b'again', sport=40000)
		assert g.wait(is_kind('udp', dport=40000)).data == b'again'
		# each tunnel has its own, and they end with it
		h = Guest()
		h.udp('203.0.113.11', 5555, b'x', sport=40002)
		h.wait(is_kind('udp', dport=40002))
		assert metric('l2_udp_flows_active') == 3
		h.close()
		wait_metric('l2_udp_flows_active', 2)
		g.s.close()
		wait_metric('l2_udp_flows_active', 0)
	E
}

@test "an idle flow is closed, and opens again" {
	peers udp_echo
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_UDP_FLOW_IDLE_TIMEOUT_MS=50 \
		AERO_L2_UDP_FORWARD="203.0.113.11:5555=127.0.0.1:$PEER_UDP_ECHO"
	guest <<-'E'
		g = Guest()
		for n in range(2):
		    g.udp('203.0.113.11', 5555, b'x', sport=40000)
		    g.wait(is_kind('udp', dport=40000))
		    wait_metric('l2_udp_flows_active', 0, 2)
		# traffic keeps it
		for n in range(8):
		    g.udp('203.0.113.11', 5555, b'x', sport=40000)
		    g.wait(is_kind('udp', dport=40000))
		    time.sleep(0.02)
		assert metric('aero_l2_udp_datagrams_total{direction="to_world"}') == 10
	E
}

@test "an idle timeout of 0 keeps a flow" {
	peers udp_echo
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_UDP_FLOW_IDLE_TIMEOUT_MS=0 \
		AERO_L2_UDP_FORWARD="203.0.113.11:5555=127.0.0.1:$PEER_UDP_ECHO"
	guest <<-'E'
		g = Guest()
		g.udp('203.0.113.11', 5555, b'x')
		time.sleep(0.5)
		assert metric('l2_udp_flows_active') == 1
	E
}

@test "a refused destination is counted and told, and the gauge returns to 0" {
	peers udp_closed
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_UDP_FORWARD="203.0.113.11:5555=127.0.0.1:$PEER_UDP_CLOSED"
	guest <<-'E'
		g, end = Guest(), time.monotonic() + 2
		sport = g.udp('203.0.113.11', 5555, b'x')
		while metric('l2_udp_send_fail_total') < 1:
		    assert time.monotonic() < end
		    g.udp('203.0.113.11', 5555, b'x', sport=sport)
		p = g.wait(is_kind('icmp'))
		assert (p.type, p.code, p.src) == (3, 3, '203.0.113.11') and p.data[20:24] == struct.pack('>HH', sport, 5555), p
		wait_metric('l2_udp_flows_active', 0, 2)
		g.arp()
	E
}

@test "no error of one destination ends the tunnel" {
	aero_start "${OPEN[@]}" --egress.allow-private=yes
	guest <<-'E'
		g = Guest()
		for dst in ('255.255.255.255', '0.0.0.0', '240.0.0.1', '0.0.0.1', '224.0.0.1', '10.0.2.255'):
		    for port in (0, 1, 65535):
		        g.udp(dst, port, b'x')
		        g.udp(dst, port, b'', sport=0)
		g.sync()
		g.arp()
	E
}

@test "large datagrams: in fragments from the guest, in fragments back" {
	aero_start "${OPEN[@]}" --egress.allow-private=yes
	guest <<-'E'
		u = peer.udp_echo()
		g = Guest()
		for size in (1473, 4000, 8192):
		    data = os.urandom(size)
		    sport, whole = g.port(), None
		    whole = udp_body(sport, peer.port_of(u), data, dst='127.0.0.1')
		    cuts = [(i, whole[i:i + 1480]) for i in range(0, len(whole), 1480)]
		    frames = [ip4(17, b, dst='127.0.0.1', ident=size, frag=i // 8 | (0x2000 if i + 1480 < len(whole) else 0)) for i, b in cuts]
		    g.frame(*(frames if size != 4000 else frames[::-1]))
		    parts = {}
		    while sum(map(len, parts.values())) < len(whole):
		        p = g.wait(is_kind('frag'))
		        assert len(p.frame) <= 1514 and p.src == '127.0.0.1'
		        parts[p.offset] = p.body
		    body = b''.join(parts[k] for k in sorted(parts))
		    assert body[8:] == data and struct.unpack('>H', body[2:4])[0] == sport
		    assert csum(pseudo('127.0.0.1', GUEST, 17, len(body)) + body) == 0
		# a later fragment alone is no packet
		was = metric('aero_l2_udp_datagrams_total{direction="to_world"}')
		g.frame(ip4(17, udp_body(1, peer.port_of(u), b'fake', dst='127.0.0.1'), dst='127.0.0.1', ident=1, frag=10))
		g.sync()
		assert metric('aero_l2_udp_datagrams_total{direction="to_world"}') == was
	E
}

@test "one port of the guest is one port outside, whoever is written to, and only those may answer" {
	aero_start "${OPEN[@]}" --egress.allow-private=yes
	guest <<-'E'
		a, b, c = (peer.bound(socket.SOCK_DGRAM) for _ in range(3))
		for s in (a, b, c):
		    s.settimeout(3)
		g = Guest()
		g.udp('127.0.0.1', peer.port_of(a), b'to a', sport=4000)
		g.udp('127.0.0.1', peer.port_of(b), b'to b', sport=4000)
		(d1, from1), (d2, from2) = a.recvfrom(99), b.recvfrom(99)
		assert (d1, d2) == (b'to a', b'to b') and from1 == from2
		c.sendto(b'stranger', from1)
		b.sendto(b'from b', from1)
		a.sendto(b'from a', from1)
		got = [g.wait(is_kind('udp', dport=4000)) for _ in range(2)]
		assert {(p.sport, p.data) for p in got} == {(peer.port_of(a), b'from a'), (peer.port_of(b), b'from b')}, got
		g.never(is_kind('udp', dport=4000), 0.2)
		# another guest port is another one outside
		g.udp('127.0.0.1', peer.port_of(a), b'x', sport=4001)
		assert a.recvfrom(99)[1] != from1
		assert metric('l2_udp_flows_active') == 3
	E
}

@test "checksums: a broken one is dropped, none is fine" {
	aero_start "${OPEN[@]}" --egress.allow-private=yes
	guest <<-'E'
		u = peer.udp_echo()
		g, port = Guest(), peer.port_of(u)
		bad = bytearray(udp(4000, port, b'bad', dst='127.0.0.1'))
		bad[-1] ^= 1
		g.frame(bytes(bad), udp(4000, port, b'none', dst='127.0.0.1', sum_=False))
		assert g.wait(is_kind('udp', dport=4000)).data == b'none'
		# lengths that lie
		b = udp_body(4000, port, b'12345678', dst='127.0.0.1', sum_=False)
		g.frame(ip4(17, b[:4] + b'\0\x07' + b[6:], dst='127.0.0.1'), ip4(17, b[:4] + b'\0\xff' + b[6:], dst='127.0.0.1'), ip4(17, b[:7], dst='127.0.0.1'))
		g.never(is_kind('udp', dport=4000), 0.2)
	E
}

@test "UDP/53 elsewhere and the other ports are ordinary" {
	aero_start "${OPEN[@]}" --egress.allow-private=yes
	guest <<-'E'
		u = peer.bound(socket.SOCK_DGRAM)
		peer.udp_echo(u)
		g = Guest()
		sport = g.udp('127.0.0.1', peer.port_of(u), b'x', ttl=2)
		assert g.wait(is_kind('udp', dport=sport)).src == '127.0.0.1'
	E
}

@test "a forward whose name has no address today may have one tomorrow" {
	peers dns="$BATS_TEST_TMPDIR/asked"
	aero_start "${OPEN[@]}" --dns.servers=127.0.0.1:"$PEER_DNS" --dns.max-cache-entries=0 \
		--egress.udp-forward=203.0.113.11:2=nx.test:9
	guest <<-'E'
		g = Guest()
		sport = g.port()
		for i in range(1, 81):  # more than a port may have forwards at once
		    g.udp('203.0.113.11', 2, b'x', sport=sport)
		    wait_metric('l2_udp_send_fail_total', i)
		g.sync()
		g.never(is_kind('icmp'), 0.1)
	E
}

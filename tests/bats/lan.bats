#!/usr/bin/env bats
# The guest's LAN: what the gateway answers to ARP, DHCP and ICMP, and what it makes of bad frames.

load lib

teardown() { aero_teardown; }

@test "ARP: for the gateway alone, before any lease, to whom asked" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		other = bytes.fromhex('02000000aa01')
		g = Guest()
		for sender, mac in (('0.0.0.0', GUEST_MAC), ('10.0.2.15', GUEST_MAC), ('10.0.2.99', other)):
		    g.frame(arp(sender=sender, sha=mac))
		    p = g.wait(is_kind('arp'))
		    assert (p.op, p.spa, p.sha, p.tpa, p.tha) == (2, '10.0.2.2', GATEWAY_MAC, sender, mac), p
		    assert (p.eth_dst, p.eth_src, len(p.frame)) == (mac, GATEWAY_MAC, 42), p
		    assert (p.htype, p.ptype, p.hlen, p.plen) == (1, 0x800, 6, 4)
		# unicast, as a guest revalidates its neighbour; and padded, as a card sends it
		g.frame(arp(dst=GATEWAY_MAC))
		g.wait(is_kind('arp'))
		g.frame(arp() + bytes(18))
		assert len(g.wait(is_kind('arp')).frame) == 42
		# silence for others, for the guest's own address (or it would think it taken), for gratuitous ones
		for target in ('10.0.2.15', '10.0.2.1', '10.0.2.3', '10.0.2.255', '8.8.8.8', '0.0.0.0'):
		    g.frame(arp(target=target), arp(target=target, sender='0.0.0.0'))
		g.frame(arp(op=2), arp(op=3), arp(htype=6), arp(ptype=0x86dd), arp()[:41], arp(sender='10.0.2.15', target='10.0.2.15'))
		g.never(is_kind('arp'), 0.2)
		assert metric('l2_frames_tx_total') == 5
	E
}

@test "DHCP: two OFFERs, two ACKs, byte for byte what clients know" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		def check(message, kind, flags=0):
		    (p, a), (q, b) = g.dhcp_exchange(message)
		    assert (p.eth_dst, p.eth_src, p.src, p.dst) == (BROADCAST, GATEWAY_MAC, '10.0.2.2', '255.255.255.255'), p
		    assert (q.eth_dst, q.eth_src, q.src, q.dst) == (GUEST_MAC, GATEWAY_MAC, '10.0.2.2', '10.0.2.15'), q
		    assert p.data == q.data and (p.sport, p.dport) == (67, 68)
		    assert p.df and p.ttl == 64 and p.tos == 0
		    assert (a.op, a.htype, a.hlen, a.hops, a.xid, a.secs, a.flags) == (2, 1, 6, 0, 0x1234, 0, flags), vars(a)
		    assert (a.ciaddr, a.yiaddr, a.siaddr, a.giaddr) == ('0.0.0.0', '10.0.2.15', '10.0.2.2', '0.0.0.0')
		    assert a.chaddr == GUEST_MAC + bytes(10) and a.sname == bytes(64) and a.file == bytes(128)
		    assert a.order[:8] == [53, 54, 1, 3, 6, 51, 58, 59], a.order
		    o = a.options
		    assert o[53] == bytes([kind]) and o[54] == o[3] == o[6] == a2n('10.0.2.2') and o[1] == a2n('255.255.255.0')
		    assert [struct.unpack('>I', o[n])[0] for n in (51, 58, 59)] == [86400, 43200, 75600]
		    assert len(a.raw) >= 300 and len(p.frame) >= 328, len(p.frame)
		    return p, q
		g = Guest()
		p, q = check(dhcp(DISCOVER), OFFER)
		check(dhcp(REQUEST, options=[(50, a2n('10.0.2.15')), (54, a2n('10.0.2.2'))]), DHCPACK)
		g.never(is_kind('udp'), 0.15)
		# the broadcast flag comes back
		check(dhcp(DISCOVER, flags=0x8000), OFFER, 0x8000)
		# a REQUEST alone, on a tunnel that has seen nothing
		g = Guest()
		p, q = check(dhcp(REQUEST), DHCPACK)
		assert p.ident != q.ident
		g = Guest()
		check(dhcp(REQUEST, options=[(50, a2n('10.0.2.15'))]), DHCPACK)
	E
}

@test "DHCP: renewing, rebinding, after a reconnect" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		g = Guest()
		# RENEWING: unicast to the server, ciaddr filled in
		got = g.dhcp_exchange(dhcp(REQUEST, ciaddr='10.0.2.15', src='10.0.2.15', dst='10.0.2.2', to=GATEWAY_MAC))
		for p, d in got:
		    assert d.kind == DHCPACK and d.yiaddr == '10.0.2.15', vars(d)
		# REBINDING: broadcast
		assert g.dhcp_exchange(dhcp(REQUEST, ciaddr='10.0.2.15', src='10.0.2.15'))[0][1].kind == DHCPACK
		# the lease makes the address known: no ARP is needed, and none is sent
		g = Guest()
		g.dhcp_exchange(dhcp(REQUEST, chaddr=bytes.fromhex('02000000bb02')))
		p = g.ping()
		assert p.eth_dst in (GUEST_MAC, bytes.fromhex('02000000bb02'))
		g.never(is_kind('arp'), 0.1)
	E
}

@test "DHCP: a foreign address gets a NAK, another server's business gets nothing" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		g = Guest()
		for message in (dhcp(REQUEST, options=[(50, a2n('192.168.1.7'))]), dhcp(REQUEST, options=[(50, a2n('10.0.2.16')), (54, a2n('10.0.2.2'))]),
		                dhcp(REQUEST, ciaddr='192.168.1.7', src='192.168.1.7')):
		    g.frame(message)
		    p = g.wait(is_kind('udp', dport=68))
		    d = Dhcp(p.data)
		    assert d.kind == NAK and d.yiaddr == '0.0.0.0' and 51 not in d.options and d.options[54] == a2n('10.0.2.2'), vars(d)
		    assert p.dst == '255.255.255.255' and p.eth_dst == BROADCAST, p
		    g.sync()
		    g.queue.clear()
		for message in (dhcp(REQUEST, options=[(50, a2n('10.0.2.15')), (54, a2n('10.0.2.1'))]), dhcp(RELEASE, ciaddr='10.0.2.15'),
		                dhcp(DECLINE, options=[(50, a2n('10.0.2.15'))]), dhcp(OFFER), dhcp(DHCPACK), dhcp(NAK), dhcp(9), dhcp(0)):
		    g.frame(message)
		g.never(is_kind('udp'), 0.2)
		# and the guest can come back
		assert g.dhcp_exchange(dhcp(DISCOVER))[0][1].kind == OFFER
	E
}

@test "DHCP: INFORM is answered without a lease" {
	aero_start "${OPEN[@]}" --lan.domain=guest.test
	guest <<-'E'
		g = Guest()
		g.frame(dhcp(INFORM, ciaddr='10.0.2.15', src='10.0.2.15', options=[(55, bytes([1, 3, 6, 15]))]))
		d = Dhcp(g.wait(is_kind('udp', dport=68)).data)
		assert d.kind == DHCPACK and d.yiaddr == '0.0.0.0' and d.ciaddr == '10.0.2.15', vars(d)
		assert not {51, 58, 59} & set(d.options) and d.options[6] == a2n('10.0.2.2') and d.options[15] == b'guest.test', d.options
	E
}

@test "DHCP: more options on request" {
	aero_start "${OPEN[@]}" --lan.domain=guest.test --lan.hostname=vm --lan.search=a.test,b.test --lan.ntp=192.0.2.1,192.0.2.2 \
		--lan.routes=10.9.0.0/16=10.0.2.2 --lan.wpad=http://wpad.test/x --lan.mtu=1400 --lan.lease=1h
	guest <<-'E'
		g = Guest()
		d = g.dhcp_exchange(dhcp(DISCOVER, options=[(55, bytes([1, 3, 6, 12, 15, 26, 28, 42, 51, 119, 121, 252]))]))[0][1]
		o = d.options
		assert (o[12], o[15], o[26], o[28]) == (b'vm', b'guest.test', struct.pack('>H', 1400), a2n('10.0.2.255')), o
		assert o[42] == a2n('192.0.2.1') + a2n('192.0.2.2') and o[119] == dns_name('a.test') + dns_name('b.test'), o
		assert bytes([16, 10, 9]) + a2n('10.0.2.2') in o[121] and o[252].rstrip(b'\0') == b'http://wpad.test/x', o
		assert struct.unpack('>I', o[51])[0] == 3600 and struct.unpack('>I', o[58])[0] == 1800
		# what nobody asked for is not sent
		assert not {12, 15, 26, 28, 42, 119, 121, 252} & set(g.dhcp_exchange(dhcp(DISCOVER))[0][1].options)
		# each with its own
		assert 26 in g.dhcp_exchange(dhcp(DISCOVER, options=[(55, bytes([26]))]))[0][1].options
	E
}

@test "DHCP: what is none is not answered" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		g = Guest()
		good = dhcp(DISCOVER)
		body = good[42:]
		def wrap(b):
		    return udp(68, 67, b, '0.0.0.0', '255.255.255.255', to=BROADCAST)
		g.frame(dhcp(DISCOVER, op=3), dhcp(DISCOVER, htype=6), dhcp(DISCOVER, hlen=5), dhcp(DISCOVER, cookie=False), dhcp(None),
		        wrap(body[:239]), wrap(body[:240]), wrap(body[:240] + b'\x35'), wrap(body[:240] + b'\x35\x05\x01'),
		        wrap(body[:240] + b'\x37\xff\x35\x01\x01'), wrap(b''), udp(67, 68, body, '0.0.0.0', '255.255.255.255'))
		g.never(is_kind('udp'), 0.2)
		# padding between options, and a message that ends without 255
		g.frame(wrap(body[:240] + bytes(5) + b'\x35\x01\x01'))
		assert Dhcp(g.wait(is_kind('udp', dport=68)).data).kind == OFFER
	E
}

@test "DHCP: options in the file and server name fields, and in pieces" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		g = Guest()
		b = bytearray(dhcp(None, options=[(52, b'\1')])[42:])  # RFC 2132 9.3
		b[108:112] = bytes([53, 1, DISCOVER, 255])
		got = g.dhcp_exchange(udp(68, 67, bytes(b), '0.0.0.0', '255.255.255.255', to=BROADCAST))
		assert got[0][1].kind == OFFER
		got = g.dhcp_exchange(dhcp(DISCOVER, options=[(55, b'\x1a'), (55, b'\x1c')]))  # RFC 3396
		assert {26, 28} <= set(got[0][1].options), got[0][1].order
		# a client without an address of its own card is told by broadcast alone
		f = dhcp(DISCOVER, chaddr=BROADCAST)
		g.frame(f[:6] + GUEST_MAC + f[12:])
		g.wait(is_kind('udp', dport=68))
		g.never(is_kind('udp', dport=68), 0.1)
	E
}

@test "a frame limit below an OFFER drops it, counts it, and no more" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_MAX_FRAME_PAYLOAD=286
	guest <<-'E'
		g = Guest()
		discover = dhcp(DISCOVER)
		assert len(discover) == 286, len(discover)
		g.frame(discover)
		wait_metric('l2_frames_dropped_total', 2)
		assert metric('l2_frames_tx_total') == 0
		g.arp()
	E
}

@test "a guest that has an address is known by its first packet" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		mac = bytes.fromhex('02000000cc03')
		g = Guest()
		p = g.ping(mac=mac)
		assert (p.src, p.dst, p.eth_dst, p.data, p.ttl) == ('10.0.2.2', '10.0.2.15', mac, b'ping', 64), p
		# any destination MAC will do; the guest's may change
		assert g.ping(mac=GUEST_MAC, to=bytes.fromhex('020000000077')).eth_dst == GUEST_MAC
		# another address of the network is served as well, and told apart
		p = g.ping(src='10.0.2.77', mac=mac)
		assert (p.dst, p.eth_dst) == ('10.0.2.77', mac), p
	E
}

@test "ping to the gateway: id, sequence and data of any size come back" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		g = Guest()
		for n in (0, 1, 55, 56, 1471, 1472):
		    data = bytes(i & 255 for i in range(n))
		    p = g.ping(ident=0xffff, seq=n, data=data)
		    assert p.data == data and p.code == 0
		idents = set()
		for seq in range(3):
		    idents.add(g.ping(seq=seq).ident)
		assert len(idents) == 3
		# what is no echo request, or broken, is not answered
		bad = bytearray(echo(1, 1, b'x'))
		bad[-1] ^= 1
		g.frame(icmp(8, 1, bytes(4)), icmp(13, 0, bytes(4), bytes(12)), icmp(0, 0, bytes(4)), icmp(17, 0, bytes(4)), bytes(bad),
		        ip4(1, b'\x08\0\xf7\xff'), echo(1, 1)[:40])
		g.never(is_kind('icmp'), 0.2)
	E
}

@test "ping in fragments goes and comes back in fragments" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		g = Guest()
		data = os.urandom(4000)
		whole = echo(5, 6, data)[34:]
		g.frame(ip4(1, whole[2960:], ident=9, frag=2960 // 8), ip4(1, whole[:1480], ident=9, frag=0x2000),
		        ip4(1, whole[1480:2960], ident=9, frag=0x2000 | 1480 // 8))
		parts = {}
		while sum(map(len, parts.values())) < len(whole):
		    p = g.wait(is_kind('frag'))
		    assert len(p.frame) <= 1514 and not p.df
		    parts[p.offset] = p.body
		body = b''.join(parts[k] for k in sorted(parts))
		assert body[0] == 0 and body[4:8] == whole[4:8] and body[8:] == data and csum(body) == 0
	E
}

@test "frames that are not for us, or broken, cost nothing" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		g = Guest()
		good = echo(1, 1, b'x' * 20)
		bad_sum = good[:24] + b'\0\0' + good[26:]
		g.frame(bytes(14), eth(b''), eth(b'\x60' + bytes(60), 0x86dd), eth(bytes(4) + good[12:], 0x8100), eth(bytes(46), 0x88cc), eth(bytes(46), 46),
		        bad_sum, good[:33], good[:-1], good[:14] + b'\x65' + good[15:], good[:14] + b'\x44' + good[15:], good[:14] + b'\x4f' + good[15:40],
		        good[:16] + b'\xff\xff' + good[18:], good[:16] + b'\0\x13' + good[18:], ip4(1, b''), ip4(99, bytes(40)), ip4(2, bytes(8)))
		import random
		r = random.Random(7)
		for _ in range(300):
		    g.frame(bytes(r.randrange(256) for _ in range(r.randrange(80))))
		for _ in range(300):
		    f = bytearray(r.choice([good, udp(1, 53, dns_query('a.test')), tcp(1, 2, 3, 4, SYN), dhcp(DISCOVER), arp()]))
		    for _ in range(3):
		        f[r.randrange(12, len(f))] = r.randrange(256)
		    g.frame(bytes(f[:r.randrange(14, len(f) + 1)]))
		g.sync()
		g.queue.clear()
		g.arp()
		# trailing bytes of a padded frame are not part of the packet; options are skipped
		assert g.ping(seq=77, pad=bytes(9)).seq == 77
		assert g.ping(seq=78, options=b'\x94\x04\0\0').seq == 78
	E
}

@test "TTL: what has none left is told so, with its own head as proof" {
	aero_start "${OPEN[@]}" --egress.allow-private=yes
	guest <<-'E'
		g = Guest()
		for frame in (udp(5000, 33434, b'probe', dst='192.0.2.9', ttl=1, ident=77), icmp(8, 0, b'\0\3\0\4', b'probe', dst='192.0.2.9', ttl=1, ident=77),
		              tcp(5000, 80, 1, 0, SYN, dst='192.0.2.9', ttl=1, ident=77)):
		    g.frame(frame)
		    p = g.wait(is_kind('icmp'))
		    assert (p.type, p.code, p.src, p.dst) == (11, 0, '10.0.2.2', '10.0.2.15'), p
		    assert p.data[:20] == frame[14:34] and p.data[20:28] == frame[34:42], p.data
		# the gateway itself is no hop
		assert g.ping(ttl=1).type == 0
	E
}

@test "ping beyond the gateway: the loopback of this host answers, a denied address is refused honestly" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	ip netns list >/dev/null 2>&1 || skip "no network namespaces"
	ns=aeropin$$
	ip netns add "$ns" || skip "cannot make a namespace"
	ip -n "$ns" link set lo up
	ip netns exec "$ns" sysctl -qw net.ipv4.ping_group_range='0 2147483647'
	AERO_IN="ip netns exec $ns" aero_start "${OPEN[@]}" --egress.allow=127.0.0.0/8
	AERO_PORT=$AERO_PORT PYTHONPATH=$HELPER_PY timeout 20 ip netns exec "$ns" python3 -S - <<-'E' || { ip netns del "$ns"; return 1; }
		from l2 import *
		g = Guest()
		p = g.ping(dst='127.0.0.1', ident=99, seq=5, data=b'hello')
		assert p.src == '127.0.0.1' and p.data == b'hello', p
		for dst in ('10.1.1.1', '192.168.0.1', '169.254.169.254', '198.51.100.1'):
		    g.frame(echo(1, 1, b'x', dst=dst))
		    p = g.wait(is_kind('icmp'))
		    assert p.type == 3 and p.code in (9, 10, 13), p
	E
	aero_stop
	ip netns del "$ns"
}

@test "another network, if so configured" {
	aero_start "${OPEN[@]}" --lan.gateway=172.30.5.1 --lan.guest=172.30.5.9 --lan.prefix=28 --lan.mac=02:aa:bb:cc:dd:ee
	guest <<-'E'
		g = Guest()
		g.frame(arp(target='172.30.5.1', sender='172.30.5.9'))
		p = g.wait(is_kind('arp'))
		assert (p.spa, p.sha) == ('172.30.5.1', bytes.fromhex('02aabbccddee'))
		d = g.dhcp_exchange(dhcp(DISCOVER))[0][1]
		assert (d.yiaddr, d.siaddr, d.options[1]) == ('172.30.5.9', '172.30.5.1', a2n('255.255.255.240'))
		assert g.ping(dst='172.30.5.1', src='172.30.5.9').src == '172.30.5.1'
		g.frame(arp())
		g.never(is_kind('arp'), 0.1)
	E
}

@test "guests do not see each other" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		a, b = Guest(), Guest()
		a.arp(), b.arp()
		a.frame(arp(target='10.0.2.15', sender='10.0.2.16'), udp(1, 2, b'x', dst='10.0.2.15'), udp(1, 2, b'x', dst='10.0.2.255', to=BROADCAST),
		        udp(1, 5353, b'x', dst='224.0.0.251'), udp(1, 2, b'x', dst='255.255.255.255', to=BROADCAST))
		a.sync()
		b.never(lambda p: True, 0.2)
	E
}

#!/usr/bin/env bats
# Names: what a guest is told, what is counted, what reaches the servers upstream.
# Most tests use the name server of tests/helper/peer.py, whose names say how it answers; the last
# ones a real one.

load lib

teardown() { aero_teardown; }

# start [flags...]: with that name server; $ASKED is its list of questions.
start() {
	export ASKED=$BATS_TEST_TMPDIR/asked
	peers dns="$ASKED"
	aero_start "${OPEN[@]}" --dns.servers=127.0.0.1:"$PEER_DNS" "$@"
}

# The questions so far: asked(name) -> how often.
asked="
def asked(name=None, kind=1):
    lines = [x.split() for x in open(os.environ['ASKED'])] if os.path.exists(os.environ['ASKED']) else []
    return sum(1 for x in lines if name in (None, x[0].lower()) and x[1] == str(kind))

def counters():
    m = metrics()
    return tuple(m['l2_' + n + '_total'] for n in ('dns_queries', 'dns_fail', 'policy_denied'))
"
dns() { { printf '%s\n' "$asked"; cat; } | guest "$@"; }

@test "the layout of an answer, before any lease, to any MAC" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_DNS_A='Good.Test=203.0.113.10,loopback.local=127.0.0.1' AERO_L2_ALLOW_PRIVATE_IPS=1 \
		AERO_L2_DNS_DEFAULT_TTL_SECS=400
	dns <<-'E'
		g = Guest()
		for to in (BROADCAST, GATEWAY_MAC):
		    for flags in (0x0100, 0):
		        query = dns_query('gOOd.tesT', ident=0xbeef, flags=flags)
		        g.frame(udp(5353, 53, query, to=to))
		        p = g.wait(is_kind('udp', sport=53))
		        assert (p.src, p.dst, p.dport, p.eth_dst) == ('10.0.2.2', '10.0.2.15', 5353, GUEST_MAC), p
		        want = struct.pack('>HHHHHH', 0xbeef, 0x8080 | flags, 1, 1, 0, 0) + query[12:]
		        want += bytes.fromhex('c00c00010001') + struct.pack('>IH', 400, 4) + a2n('203.0.113.10')
		        assert p.data == want, (p.data.hex(), want.hex())
		# from an address that is not the guest's: the answer goes to the guest all the same
		g.frame(udp(5353, 53, dns_query('good.test.'), src='10.0.2.15'))
		assert Dns(g.wait(is_kind('udp', sport=53)).data).all('A') == ['203.0.113.10']
		assert g.dns('loopback.local').all('A') == ['127.0.0.1']
		assert counters() == (6, 0, 0)
	E
}

@test "a static name is no way around the LAN's filter, and counts nothing" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_DNS_A='loopback.local=127.0.0.1,net.test=203.0.113.10'
	dns <<-'E'
		g = Guest()
		r = g.dns('loopback.local')
		assert r.rcode == NXDOMAIN and not r.answers
		assert counters() == (1, 0, 0)
		assert g.dns('net.test').all('A') == ['203.0.113.10']
		assert counters() == (2, 0, 0)
	E
}

@test "localhost resolves, and is denied once" {
	start
	dns <<-'E'
		g = Guest()
		assert g.dns('localhost').rcode == NXDOMAIN
		assert counters() == (1, 0, 1), counters()
		assert asked() == 0
	E
	aero_stop
	aero_start "${OPEN[@]}" --dns.servers=127.0.0.1:"$PEER_DNS" --egress.allow-private=yes
	dns <<-'E'
		r = Guest().dns('localhost')
		assert r.all('A') == ['127.0.0.1'] and r.raw[-4:] == a2n('127.0.0.1') and r.counts[1] == 1, r.answers
	E
}

@test "names below the lists: suffixes at a dot, in any case; the blocked list first" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_ALLOWED_DOMAINS='.Example.COM., ., other.test' AERO_L2_BLOCKED_DOMAINS=bad.example.com \
		AERO_L2_DNS_A='example.com=1.2.3.4,a.example.com=1.2.3.4,notexample.com=1.2.3.4,bad.example.com=1.2.3.4,x.bad.example.com=1.2.3.4,notbad.example.com=1.2.3.4,other.test=1.2.3.4,third.test=1.2.3.4'
	dns <<-'E'
		g, denied = Guest(), 0
		for name in ('example.com', 'a.example.com', 'A.EXAMPLE.com', 'example.com.', 'notbad.example.com', 'other.test'):
		    assert g.dns(name).all('A') == ['1.2.3.4'], name
		for n, name in enumerate(('notexample.com', 'bad.example.com', 'x.bad.example.com', 'BAD.example.com', 'third.test', 'com', 'xother.test'), 1):
		    r = g.dns(name)
		    assert r.rcode == NXDOMAIN and not r.answers, name
		    assert counters() == (6 + n, 0, n), (name, counters())
		# other types neither
		assert g.dns('third.test', 'TXT').rcode == NXDOMAIN
		assert g.dns('third.test', 'AAAA').rcode == NXDOMAIN
	E
}

@test "rcodes told apart, and what each counts" {
	start --dns.timeout=500ms
	dns <<-'E'
		g, was = Guest(), (0, 0, 0)
		def check(name, rcode, fails, denies=0, queries=1, answers=None):
		    global was
		    r = g.dns(name)
		    assert r.rcode == rcode, (name, r.rcode)
		    assert answers is None or r.all('A') == answers, (name, r.answers)
		    now, was = counters(), tuple(a + b for a, b in zip(was, (queries, fails, denies)))
		    assert now == was, (name, now, was)
		    assert r.flags & 0x8580 == 0x8180, hex(r.flags)  # QR, RD, RA, not AA
		check('plain.test', NOERROR, 0, answers=['1.2.3.4'])
		check('plain.test', NOERROR, 0, queries=0, answers=['1.2.3.4'])  # from the cache
		check('PLAIN.test.', NOERROR, 0, queries=0, answers=['1.2.3.4'])
		check('nx.test', NXDOMAIN, 1)
		check('nodata.test', NOERROR, 1, answers=[])
		check('servfail.test', SERVFAIL, 1)
		check('refused.test', SERVFAIL, 1)
		check('hole.test', SERVFAIL, 1)
		check('a b.test', NXDOMAIN, 1)
		check('.', NXDOMAIN, 1)
		check('many.test', NOERROR, 0, answers=['1.1.1.%d' % i for i in range(1, 6)])
		check('private.test', NXDOMAIN, 0, 1)
		check('loop.test', NXDOMAIN, 0, 1)
		check('meta.test', NXDOMAIN, 0, 1)
		check('testnet.test', NXDOMAIN, 0, 1)
		check('alias.test', NXDOMAIN, 0, 1)
		check('mixed.test', NOERROR, 0, 1, answers=['1.2.3.4'])
		check('chain.test', NOERROR, 0, answers=['1.2.3.5'])
		assert asked('a b.test') == 0 and asked('.') == 0
	E
}

@test "AAAA is empty without asking anybody; other types are asked for" {
	start
	dns <<-'E'
		g = Guest()
		r = g.dns('plain.test', 'AAAA')
		assert r.rcode == NOERROR and r.counts[1] == 0
		assert asked('plain.test', 28) == 0
		for kind in ('MX', 'TXT', 'SRV', 'HTTPS', 'NS'):
		    r = g.dns('plain.test', kind)
		    assert r.rcode == NOERROR and not r.answers, kind
		    assert asked('plain.test', TYPES[kind]) == 1
		assert g.dns('nx.test', 'MX').rcode == NXDOMAIN
	E
}

@test "the cache: capacity 1 asks three times, 2 twice, 0 every time" {
	for row in 1:3 2:2 0:3; do
		rm -f "$BATS_TEST_TMPDIR/asked"
		start --dns.max-cache-entries="${row%:*}"
		dns "${row#*:}" <<-'E'
			g = Guest()
			for name in ('a.test', 'b.test', 'a.test'):
			    assert g.dns(name).all('A') == ['1.2.3.4']
			assert asked() == int(sys.argv[1]), asked()
			assert metric('l2_dns_queries_total') == int(sys.argv[1])
		E
		aero_stop
		kill_all
	done
}

@test "lifetimes: at most the maximum, ageing, run out; and negative answers are kept too" {
	start --dns.max-ttl=100
	dns <<-'E'
		g = Guest()
		def ttl(name):
		    return g.dns(name).answers[0][2]
		assert 99 <= ttl('ttl5000.test') <= 100
		assert 29 <= ttl('ttl30.test') <= 30
		assert ttl('ttl1.test') <= 1
		until(lambda: ttl('ttl30.test') < 29, 4)
		assert asked('ttl30.test') == 1
		ttl('ttl1.test')
		assert asked('ttl1.test') == 2
		for _ in range(3):
		    assert g.dns('nx.test').rcode == NXDOMAIN
		    assert g.dns('nodata.test').rcode == NOERROR
		assert asked('nx.test') == asked('nodata.test') == 1
		for n in (1, 2):
		    assert g.dns('servfail.test').rcode == SERVFAIL
	E
}

@test "one question for many who ask at once" {
	start
	dns <<-'E'
		a, b = Guest(), Guest()
		for g in (a, b, a, b):
		    g.frame(udp(g.port(), 53, dns_query('slow.test')))
		for g in (a, b, a, b):
		    assert Dns(g.wait(is_kind('udp', sport=53)).data).all('A') == ['1.2.3.4']
		assert asked('slow.test') == 1
	E
}

@test "lookups under way are bounded; none at all with 0" {
	start --dns.max-pending=1 --dns.timeout=700ms
	dns <<-'E'
		g = Guest()
		g.dns('cached.test')
		g.frame(udp(7000, 53, dns_query('hole.test')))
		assert g.dns('other.test').rcode == SERVFAIL
		assert g.dns('cached.test').all('A') == ['1.2.3.4']
		assert Guest().dns('other.test').all('A') == ['1.2.3.4']  # of each tunnel
		assert counters()[1] == 0 and asked('other.test') == 1
		assert Dns(g.wait(is_kind('udp', sport=53, dport=7000)).data).rcode == SERVFAIL
		assert g.dns('other2.test').all('A') == ['1.2.3.4']
	E
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_STACK_MAX_PENDING_DNS=0 AERO_L2_DNS_A=good.test=203.0.113.10
	dns <<-'E'
		g = Guest()
		for name in ('good.test', 'any.test', 'localhost'):
		    assert g.dns(name).rcode == SERVFAIL, name
		assert counters() == (0, 0, 0), counters()
	E
}

@test "what is no query is not answered" {
	start
	dns <<-'E'
		g, q = Guest(), dns_query('plain.test')
		for data in (b'', q[:11], q[:12], q[:-1], q[:20], q[:2] + b'\x81\0' + q[4:], q[:4] + b'\0\0' + q[6:], q[:4] + b'\0\2' + q[6:],
		             q[:12] + b'\xc0\x0c' + q[-4:], q[:12] + b'\x40' + q[13:], q[:12] + b'\x80' + q[13:],
		             q[:12] + b''.join(b'\x3f' + b'a' * 63 for _ in range(4)) + b'\0' + q[-4:]):
		    g.frame(udp(6000, 53, data))
		g.never(is_kind('udp', sport=53), 0.3)
		assert counters() == (0, 0, 0) and asked() == 0
		# of the longest legal name and trailing EDNS there is nothing to fear
		long = '.'.join(['a' * 63] * 3 + ['a' * 61])
		assert g.dns(long, edns=1232).all('A') == ['1.2.3.4']
		r = g.dns('plain.test', edns=4096)
		assert r.edns and r.all('A') == ['1.2.3.4'], vars(r)
		assert g.dns('plain.test').edns is None
		assert g.dns('plain.test', klass=3).rcode != NOERROR
	E
}

@test "names are asked for as they are: no search domains" {
	start
	dns <<-'E'
		g = Guest()
		g.dns('short')
		g.dns('nxshort')
		names = {x.split()[0] for x in open(os.environ['ASKED'])}
		assert names == {'short', 'nxshort'}, names
	E
}

@test "what is too long for a datagram is fetched over TCP, and cut for who cannot take it" {
	start
	dns <<-'E'
		g = Guest()
		r = g.dns('trunc.test')
		assert r.tc and len(r.raw) <= 512, (r.tc, len(r.raw))
		r = g.dns('trunc.test', edns=1232)
		assert r.tc and len(r.raw) <= 1232
		r = g.dns('trunc.test', edns=4096)  # no more than a frame takes
		assert r.tc and len(r.raw) <= 1472
		assert asked('trunc.test') >= 2
	E
}

@test "over TCP: pieces, several at once, large answers, and the end" {
	start
	dns <<-'E'
		g = Guest()
		c = g.tcp(GATEWAY, 53)
		assert c.synack_pkt.flags == SYN | ACK
		buf = b''
		def message():
		    global buf
		    while len(buf) < 2 or len(buf) < 2 + struct.unpack('>H', buf[:2])[0]:
		        p = c.wait(lambda p: p.data and p.seq == c.rcv)
		        buf += p.data
		        c.rcv += len(p.data)
		        c.seg(ACK)
		    n, = struct.unpack('>H', buf[:2])
		    m, buf = Dns(buf[2:2 + n]), buf[2 + n:]
		    return m
		def framed(*args, **kw):
		    q = dns_query(*args, **kw)
		    return struct.pack('>H', len(q)) + q
		c.send(framed('plain.test', ident=1))
		r = message()
		assert r.id == 1 and r.all('A') == ['1.2.3.4']
		for b in framed('other.test', ident=2):
		    c.send(bytes([b]))
		assert message().id == 2
		c.send(framed('one.test', ident=3) + framed('two.test', ident=4) + framed('nx.test', ident=5))
		got = {m.id: m for m in (message() for _ in range(3))}
		assert set(got) == {3, 4, 5} and got[5].rcode == NXDOMAIN
		c.send(framed('trunc.test', ident=6))
		r = message()
		assert not r.tc and len(r.all('A')) == 100 and len(r.raw) > 1460
		# half a query and a FIN: we say FIN too
		c.send(b'\0\x30abc').fin()
		c.got_fin()
		assert metric('l2_tcp_conns_active') == 0
	E
}

@test "with pinning only what an allowed name resolved to can be reached" {
	start --egress.pin-dns=yes --egress.allowed-domains=test --egress.allow-private=yes --dns.static-a=fixed.test=127.0.0.2
	dns <<-'E'
		s = peer.serve(peer.listener(), peer.echo)
		s2 = peer.serve(peer.listener(addr='127.0.0.2'), peer.echo)
		u = peer.udp_echo()
		g = Guest()
		def reaches(dst, sock):
		    p = Conn(g, dst, peer.port_of(sock)).syn().wait()
		    return bool(p.flags & SYN)
		assert not reaches('127.0.0.1', s) and not reaches('127.0.0.2', s2)
		assert metric('l2_policy_denied_total') == 2
		assert g.dns('loop.test').all('A') == ['127.0.0.1']
		assert reaches('127.0.0.1', s) and not reaches('127.0.0.2', s2)
		g.dns('fixed.test')
		assert reaches('127.0.0.2', s2)
		sport = g.udp('127.0.0.1', peer.port_of(u), b'x')
		g.wait(is_kind('udp', dport=sport))
		# pins belong to one guest
		g = Guest()
		assert not reaches('127.0.0.1', s)
	E
}

@test "a server that is not there, and one behind it that is" {
	peers closed dns="$BATS_TEST_TMPDIR/asked"
	export ASKED=$BATS_TEST_TMPDIR/asked
	aero_start "${OPEN[@]}" --dns.servers=127.0.0.1:"$PEER_CLOSED" --dns.timeout=1s
	dns <<-'E'
		begin = time.monotonic()
		assert Guest().dns('plain.test').rcode == SERVFAIL
		assert time.monotonic() - begin < 2.5
		assert counters() == (1, 1, 0)
	E
	aero_stop
	aero_start "${OPEN[@]}" --dns.servers=127.0.0.1:"$PEER_CLOSED",127.0.0.1:"$PEER_DNS" --dns.timeout=3s
	dns <<<"assert Guest().dns('plain.test').all('A') == ['1.2.3.4']"
}

@test "servers that are broken, or lie" {
	start --dns.timeout=600ms
	dns <<-'E'
		g = Guest()
		# what does not belong to the question is not even looked at
		for name in ('wrongid.test', 'wrongname.test'):
		    assert g.dns(name).all('A') == ['1.2.3.4'], name
		for name in ('query.test', 'stub.test', 'cut.test', 'loopname.test', 'noise.test', 'manycount.test', 'noquestion.test'):
		    r = g.dns(name)
		    assert (r.rcode, r.answers) == (SERVFAIL, []), (name, r.rcode, r.answers)
		assert asked() >= 9
		# somebody else's address in an answer leads nowhere new
		g.dns('stranger.test')
		assert g.dns('other.test').all('A') == ['1.2.3.4']
		assert g.dns('plain.test').all('A') == ['1.2.3.4']
	E
}

# --- a real name server -----------------------------------------------------------------------------

# knot: serves zones on a free port of loopback; sets KNOT_PORT.
knot() {
	command -v knotd >/dev/null || skip "no knotd"
	local dir=$BATS_TEST_TMPDIR/knot big try
	mkdir -p "$dir"
	big=$(printf '"%0250d" ' 1 2 3 4)
	cat >"$dir/real.test.zone" <<-Z
		@ 300 SOA ns.real.test. root.real.test. 1 3600 600 86400 30
		@ NS ns.real.test.
		ns A 9.9.9.9
		several A 9.9.9.1
		several A 9.9.9.2
		several A 9.9.9.3
		several AAAA 2620:fe::1
		one CNAME two
		two CNAME three
		three A 9.9.9.4
		dangling CNAME nowhere
		@ MX 10 mail
		@ MX 20 mail2.other.test.
		txt TXT "short text"
		big TXT $big
		_sip._udp SRV 1 2 5060 several
		svc HTTPS 1 . alpn=h2
		*.wild A 9.9.9.5
	Z
	cat >"$dir/rev.zone" <<-Z
		@ 300 SOA ns.real.test. root.real.test. 1 3600 600 86400 30
		@ NS ns.real.test.
		1 PTR several.real.test.
	Z
	for try in 1 2 3; do
		KNOT_PORT=$(python3 -S -c 'import peer, socket; print(peer.port_of(peer.bound(socket.SOCK_DGRAM)))')
		cat >"$dir/knot.conf" <<-C
			server:
			    rundir: $dir
			    listen: 127.0.0.1@$KNOT_PORT
			    udp-workers: 1
			    tcp-workers: 1
			    background-workers: 1
			log:
			  - target: stderr
			    any: info
			database:
			    storage: $dir
			zone:
			  - domain: real.test
			    file: $dir/real.test.zone
			  - domain: 9.9.9.in-addr.arpa
			    file: $dir/rev.zone
		C
		spawn "knot$try" knotd -c "$dir/knot.conf"
		if wait_line "$BATS_TEST_TMPDIR/knot$try.err" 'server started' 5 "$spawned" >/dev/null 2>&1; then
			return 0
		fi
	done
	cat "$BATS_TEST_TMPDIR"/knot*.err >&2
	return 1
}

@test "a real zone, by datagram and by TCP" {
	knot
	aero_start "${OPEN[@]}" --dns.servers=127.0.0.1:"$KNOT_PORT"
	dns <<-'E'
		g = Guest()
		assert sorted(g.dns('several.real.test').all('A')) == ['9.9.9.1', '9.9.9.2', '9.9.9.3']
		assert g.dns('several.real.test', 'AAAA').counts[1] == 0
		r = g.dns('one.real.test')
		assert r.all('CNAME') == ['two.real.test', 'three.real.test'] and r.all('A') == ['9.9.9.4'], r.answers
		assert r.raw[-4:] == a2n('9.9.9.4') and not r.aa
		assert sorted(g.dns('real.test', 'MX').all('MX')) == ['10 mail.real.test', '20 mail2.other.test']
		assert g.dns('txt.real.test', 'TXT').all('TXT') == ['short text']
		assert g.dns('_sip._udp.real.test', 'SRV').all('SRV') == ['1 2 5060 several.real.test']
		assert g.dns('1.9.9.9.in-addr.arpa', 'PTR').all('PTR') == ['several.real.test']
		assert len(g.dns('svc.real.test', 'HTTPS').all('HTTPS')) == 1
		assert g.dns('any.wild.real.test').all('A') == ['9.9.9.5']
		assert g.dns('real.test', 'NS').all('NS') == ['ns.real.test']
		r = g.dns('nowhere.real.test')
		assert r.rcode == NXDOMAIN and [x[1] for x in r.authority] == ['SOA'], (r.rcode, r.authority)
		r = g.dns('txt.real.test')
		assert r.rcode == NOERROR and not r.answers and [x[1] for x in r.authority] == ['SOA']
		assert g.dns('dangling.real.test').rcode == NXDOMAIN
		assert g.dns('other.zone').rcode in (SERVFAIL, REFUSED)
		# 1000 bytes of text: not in 512, but with EDNS, and over TCP
		r = g.dns('big.real.test', 'TXT')
		assert r.tc and len(r.raw) <= 512
		r = g.dns('big.real.test', 'TXT', edns=1232)
		assert len(r.all('TXT')[0]) == 1000 and not r.tc and len(r.raw) > 1000
		c = g.tcp(GATEWAY, 53)
		q = dns_query('big.real.test', 'TXT')
		c.send(struct.pack('>H', len(q)) + q)
		n = len(r.raw) - 11  # without the OPT
		msg = c.recv(2 + n)
		assert len(Dns(msg[2:]).all('TXT')[0]) == 1000
	E
}

@test "guests that ask without end leave lookups for the others" {
	peers dns="$BATS_TEST_TMPDIR/asked"
	aero_start "${OPEN[@]}" --dns.servers=127.0.0.1:"$PEER_DNS" --dns.timeout=10s
	guest <<-'E'
		greedy = [Guest() for _ in range(6)]
		for i, g in enumerate(greedy):
		    for k in range(1000):
		        g.frame(udp(20000 + k, 53, dns_query('hole.%d-%d.test' % (i, k))))
		    g.sync()
		assert Guest().dns('fine.test', timeout=9).rcode == NOERROR
	E
}

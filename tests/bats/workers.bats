#!/usr/bin/env bats
# Several processes behind one port: shared limits and numbers, and what happens when one dies.

load lib

teardown() { aero_teardown; }

# For the Python side: the worker processes of the server.
kids="
def kids():
    return [int(x) for x in open('/proc/%d/task/%d/children' % (PID, PID)).read().split()]

def attempt(*args, **kw):
    try:
        return try_upgrade(*args, **kw)
    except OSError:
        return None
"
workers() { { printf '%s\n' "$kids"; cat; } | guest "$@"; }

@test "one process for each, one by default for each core; the old name of their number" {
	aero_start "${OPEN[@]}" --server.workers=3
	workers <<<'assert len(kids()) == 3'
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none AERO_TOKIO_WORKER_THREADS=2 AERO_SERVER_WORKERS=
	workers <<<'assert len(kids()) == 2'
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none AERO_SERVER_WORKERS=
	workers <<<'assert len(kids()) == os.sysconf("SC_NPROCESSORS_ONLN")'
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none AERO_SERVER_WORKERS= AERO_TOKIO_WORKER_THREADS=many
	workers <<<'assert len(kids()) == os.sysconf("SC_NPROCESSORS_ONLN")'
	[ "$(grep -c AERO_TOKIO_WORKER_THREADS "$BATS_TEST_TMPDIR/aero.err")" = 1 ]
}

@test "limits count over all workers" {
	SESSION_SECRET=sec aero_start --origin.open=yes --auth.mode=session --server.workers=2 --limits.max-connections=4 \
		--limits.max-connections-per-session=2 --client.trust-proxy=yes --limits.max-connections-per-ip=3
	guest <<-'E'
		def cookie(sid, ip='127.0.0.1'):
		    return ['Cookie: aero_session=' + session('sec', sid=sid), 'X-Forwarded-For: ' + ip]
		a, b = Tunnel(headers=cookie('one')), Tunnel(headers=cookie('one'))
		for _ in range(6):
		    assert try_upgrade('/l2', cookie('one'))[1].startswith('quota_connections')
		c = Tunnel(headers=cookie('two'))
		for _ in range(6):
		    assert try_upgrade('/l2', cookie('three'))[1] == 'max connections per ip exceeded'
		d = Tunnel(headers=cookie('three', '1.1.1.1'))
		for _ in range(6):
		    assert try_upgrade('/l2', cookie('four', '1.1.1.1'))[1] == 'max connections exceeded'
		m = metrics()
		assert (m['l2_sessions_active'], m['l2_sessions_total'], m['l2_upgrade_rejected_total']) == (4, 4, 18), m
		a.close()
		until(lambda: try_upgrade('/l2', cookie('one'))[0] == 101, 2)
	E
}

@test "a cap of 64 means 64" {
	aero_start "${OPEN[@]}" --server.workers=4
	guest <<-'E'
		all_ = [Tunnel() for _ in range(64)]
		assert [try_upgrade('/l2', ())[0] for _ in range(8)] == [429] * 8
	E
}

@test "/metrics is the sum, whoever answers; tunnels go where the load is least" {
	aero_start "${OPEN[@]}" --server.workers=3
	guest <<-'E'
		t = [Guest() for _ in range(9)]
		for g in t:
		    g.arp()
		for _ in range(9):
		    m = metrics()
		    assert (m['l2_sessions_active'], m['l2_frames_rx_total'], m['l2_frames_tx_total']) == (9, 9, 9)
		log = open(os.environ['AERO_LOG']).read()
		spread = [len(re.findall('session opened worker=%d ' % i, log)) for i in range(3)]
		assert spread == [3, 3, 3], spread
		ids = [int(x) for x in re.findall(r'session opened.* tunnel=(\d+)', log)]
		assert sorted(ids) == list(range(1, 10)), ids
	E
}

@test "a worker that dies takes its own tunnels alone; its places are free, another takes over" {
	aero_start "${OPEN[@]}" --server.workers=2 --limits.max-connections=4 --egress.allow-private=yes
	workers <<-'E'
		s = peer.serve(peer.listener(), peer.echo)
		t = [Guest() for _ in range(4)]
		flows = [g.tcp('127.0.0.1', peer.port_of(s)) for g in t]
		for g in t:
		    g.arp()
		assert attempt('/l2', ())[0] == 429
		before = metrics()
		assert before['l2_tcp_conns_active'] == 4
		old = kids()
		os.kill(old[0], signal.SIGKILL)
		wait_metric('l2_sessions_active', 2)
		wait_metric('l2_tcp_conns_active', 2)
		lost, kept = [], []
		for g, c in zip(t, flows):
		    try:
		        c.send(b'hello')
		        assert c.recv(5) == b'hello'
		        kept.append(g)
		    except (Closed, OSError):
		        lost.append(g)
		assert len(kept) == len(lost) == 2, (len(kept), len(lost))
		# counters never fall
		after = metrics()
		assert after['l2_sessions_total'] == 4 and after['l2_frames_rx_total'] >= before['l2_frames_rx_total']
		# two places are free, no more
		more = [Tunnel(), Tunnel()]
		assert attempt('/l2', ())[0] == 429
		new = until(lambda: len(kids()) == 2 and set(kids()) - set(old), 5)
		log = until(lambda: (lambda x: x if 'worker.restarted' in x else None)(open(os.environ['AERO_LOG']).read()))
		assert re.search(r'error .*worker.died worker=\d pid=%d signal=9' % old[0], log), log
		assert re.search(r'worker.restarted worker=\d pid=%d' % list(new)[0], log)
		for g in kept:
		    g.sync()
		    g.close()
		wait_metric('l2_sessions_active', 2)
		# the new one serves
		for x in more:
		    x.close()
		wait_metric('l2_sessions_active', 0)
		again = [Tunnel() for _ in range(4)]
		log = open(os.environ['AERO_LOG']).read()
		assert {int(x) for x in re.findall(r'session opened worker=(\d)', log)[-4:]} == {0, 1}
	E
}

@test "all die: the service comes back" {
	aero_start "${OPEN[@]}" --server.workers=2
	workers <<-'E'
		for _ in range(2):
		    old = kids()
		    for k in old:
		        os.kill(k, signal.SIGKILL)
		    until(lambda: len(set(kids()) - set(old)) == 2, 5)
		    assert until(lambda: attempt('/l2', ()), 5)[0] == 101
		    wait_metric('l2_sessions_active', 0)
		assert metric('l2_sessions_total') == 2
	E
}

@test "when the parent dies its workers end by themselves" {
	aero_start "${OPEN[@]}" --server.workers=2
	workers <<-'E'
		t, all_ = Tunnel(), kids()
		os.kill(PID, signal.SIGKILL)
		assert t.end()[0] == 1001
		def alive(p):
		    try:
		        return open('/proc/%d/stat' % p).read().split()[2] != 'Z'
		    except OSError:
		        return False
		until(lambda: not any(alive(p) for p in all_), 5)
	E
	wait "$AERO_PID" || [ $? -eq 137 ]
	AERO_PID=
}

@test "a stopped worker does not stop the others" {
	aero_start "${OPEN[@]}" --server.workers=2
	workers <<-'E'
		k = kids()[0]
		t = [Guest() for _ in range(4)]
		os.kill(k, signal.SIGSTOP)
		try:
		    served = 0
		    for g in t:
		        g.frame(arp())
		    for g in t:
		        try:
		            g.wait(is_kind('arp'), 0.3)
		            served += 1
		        except AssertionError:
		            pass
		    assert served == 2, served
		finally:
		    os.kill(k, signal.SIGCONT)
		for g in t:
		    g.sync()
	E
}

@test "many come and go: the numbers add up" {
	aero_start "${OPEN[@]}" --server.workers=2 --limits.max-connections=8
	guest <<-'E'
		opened, refused, lock = [0], [0], threading.Lock()
		def churn():
		    for _ in range(25):
		        status = try_upgrade('/l2', ())[0]
		        with lock:
		            (opened if status == 101 else refused)[0] += 1
		            assert status in (101, 429), status
		threads = [threading.Thread(target=churn) for _ in range(12)]
		for x in threads:
		    x.start()
		for x in threads:
		    x.join()
		wait_metric('l2_sessions_active', 0)
		m = metrics()
		assert m['l2_sessions_total'] == opened[0] and m['l2_upgrade_reject_max_connections_total'] == refused[0]
		assert opened[0] + refused[0] == 300
		held = [Tunnel() for _ in range(8)]
		assert try_upgrade('/l2', ())[0] == 429
	E
}

@test "nothing is left of tunnels that have ended" {
	aero_start "${OPEN[@]}" --egress.allow-private=yes --limits.max-connections=0
	workers <<-'E'
		s, u, hole = peer.serve(peer.listener(), peer.echo), peer.udp_echo(), peer.hole_tcp()
		k, = kids()
		def files():
		    return len(os.listdir('/proc/%d/fd' % k))
		def memory():
		    return int(re.search(r'VmRSS:\s+(\d+)', open('/proc/%d/status' % k).read())[1])
		def round_(n):
		    for _ in range(n):
		        g = Guest()
		        c = g.tcp('127.0.0.1', peer.port_of(s))
		        c.send(b'x' * 1000)
		        Conn(g, '127.0.0.1', peer.port_of(hole)).syn()
		        sport = g.udp('127.0.0.1', peer.port_of(u), b'x')
		        g.wait(is_kind('udp', dport=sport))
		        g.frame(udp(1, 53, dns_query('localhost')), dhcp(DISCOVER))
		        g.s.close()
		    wait_metric('l2_sessions_active', 0)
		round_(20)
		time.sleep(0.2)
		had, held = files(), memory()
		round_(150)
		until(lambda: files() <= had, 5, 'descriptors: %d, were %d' % (files(), had))
		if 'asan' not in os.environ['AERO']:
		    assert memory() < held + 2048, (memory(), held)
		m = metrics()
		assert m['l2_tcp_conns_active'] == m['l2_udp_flows_active'] == 0
	E
}

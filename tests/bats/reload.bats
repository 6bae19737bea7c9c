#!/usr/bin/env bats
# SIGHUP: what changes live, what waits for a restart, and what a bad file changes: nothing.

load lib

teardown() { aero_teardown; }

setup() { export INI=$BATS_TEST_TMPDIR/l2.ini; }

ini() { cat >"$INI"; }

# reload [EVENT]: tell the server, and wait until it has said so once more.
reload() {
	local event=${1:-reload.done} n
	n=$(grep -c "$event" "$BATS_TEST_TMPDIR/aero.err" || true)
	kill -HUP "$AERO_PID"
	until [ "$(grep -c "$event" "$BATS_TEST_TMPDIR/aero.err" || true)" -gt "$n" ]; do
		kill -0 "$AERO_PID" || return 1
		read -rt 0.02 <> <(:) || true
	done
}

@test "keys, origins and hosts change under open tunnels" {
	ini <<-E
		[auth]
		mode = token
		api-key = old
		[origin]
		allowed = https://a.test
	E
	aero_start -c "$INI"
	guest <<-'E'
		t = Tunnel('/l2?token=old', ['Origin: https://a.test'])
		table('''
		    401 invalid token | invalid_api_key | /l2?token=new | Origin: https://b.test
		    403 Origin not allowed: https://b.test | origin_not_allowed | /l2?token=old | Origin: https://b.test''')
		open(os.environ['INI'], 'w').write("""[auth]
		mode = token
		api-key = new
		[origin]
		allowed = https://b.test
		[host]
		allowed = x.test
		""")
		os.kill(PID, signal.SIGHUP)
		until(lambda: try_upgrade('/l2?token=new', ['Origin: https://b.test'])[0] == 101)
		table('''
		    401 invalid token | invalid_api_key | /l2?token=old | Origin: https://b.test
		    403 Origin not allowed: https://a.test | origin_not_allowed | /l2?token=new | Origin: https://a.test
		    403 Host not allowed: y.test | host_not_allowed | /l2?token=new | Origin: https://b.test | Host: y.test''')
		t.sync()
		assert metric('l2_sessions_active') >= 1
	E
	grep -q 'reload.changed.*option=auth.api-key' "$BATS_TEST_TMPDIR/aero.err"
	grep -q 'reload.changed.*option=origin.allowed' "$BATS_TEST_TMPDIR/aero.err"
	! grep -qE 'old|new' "$BATS_TEST_TMPDIR/aero.err"
}

@test "the policy changes for the next connection, and connections that are there stay" {
	ini <<-E
		[egress]
		allow-private = yes
	E
	aero_start "${OPEN[@]}" -c "$INI"
	guest <<-'E'
		s, u = peer.serve(peer.listener(), peer.echo), peer.udp_echo()
		g = Guest()
		c = g.tcp('127.0.0.1', peer.port_of(s))
		def ini(text):
		    open(os.environ['INI'], 'w').write(text)
		    os.kill(PID, signal.SIGHUP)
		ini('[egress]\nallow-private = yes\ntcp-ports = 1\nblocked-domains = bad.test\n[dns]\nstatic-a = bad.test=1.2.3.4, good.test=1.2.3.5\n')
		def open_one():
		    return Conn(g, '127.0.0.1', peer.port_of(s)).syn().wait().flags & SYN
		until(lambda: not open_one())
		assert g.dns('bad.test').rcode == NXDOMAIN and g.dns('good.test').all('A') == ['1.2.3.5']
		c.send(b'still here')
		assert c.recv(10) == b'still here'
		sport = g.udp('127.0.0.1', peer.port_of(u), b'x')
		g.wait(is_kind('udp', dport=sport))
		ini('[egress]\nallow-private = no\n')
		def udp_works():
		    sport = g.udp('127.0.0.1', peer.port_of(u), b'x')
		    try:
		        return g.wait(is_kind('udp', dport=sport), 0.1)
		    except AssertionError:
		        return None
		until(lambda: not udp_works())
		ini('[egress]\nallow-private = yes\n')
		until(open_one)
	E
}

@test "limits change live, and count what is there" {
	ini <<<''
	aero_start "${OPEN[@]}" -c "$INI"
	guest <<-'E'
		a, b = Tunnel(), Tunnel()
		def ini(text):
		    open(os.environ['INI'], 'w').write(text)
		    os.kill(PID, signal.SIGHUP)
		ini('[limits]\nmax-connections = 2\n')
		until(lambda: try_upgrade('/l2', ())[0] == 429)
		ini('[limits]\nmax-connections = 3\n[tunnel]\nidle-timeout = 300ms\n')
		until(lambda: try_upgrade('/l2', ())[0] == 101)
		# a tunnel that is opened now has the new timeout
		assert Tunnel().end() == (1008, 'idle timeout', [])
	E
}

@test "a bad file changes nothing, and says where it is bad" {
	ini <<-E
		[auth]
		mode = token
		api-key = old
	E
	aero_start -c "$INI" --origin.open=yes
	for bad in '[auth]\nmode = token\napi-key = new\n[tcp]\nmax-window = lots\n' '[auth]\nmode = jwt\napi-key = new\n' \
		'[auth]\nmode = token\napi-key = new\n[origin]\nallowed = nonsense\n' 'garbage' '[nosuch]\nx = 1\n'; do
		# shellcheck disable=SC2059
		printf "$bad" | ini
		reload reload.failed
		upgrades <<-'E'
			101 | - | /l2?token=old
			401 invalid token | invalid_api_key | /l2?token=new
		E
	done
	grep -q "reload.failed.*$INI:5: tcp.max-window" "$BATS_TEST_TMPDIR/aero.err"
	rm "$INI"
	reload reload.failed
	upgrades <<<"101 | - | /l2?token=old"
	printf '[auth]\nmode = token\napi-key = new\n' | ini
	reload
	guest <<<"until(lambda: try_upgrade('/l2?token=new', ())[0] == 101)"
}

@test "what needs a restart is named, and stays as it is" {
	ini <<<''
	aero_start "${OPEN[@]}" -c "$INI"
	printf '[tunnel]\nmax-frame-payload = 100\n[lan]\ngateway = 10.0.2.9\n[log]\nlevel = debug\n' | ini
	reload
	grep -q 'reload.needs_restart.*option=tunnel.max-frame-payload' "$BATS_TEST_TMPDIR/aero.err"
	grep -q 'reload.needs_restart.*option=lan.gateway' "$BATS_TEST_TMPDIR/aero.err"
	grep -q 'reload.done.*changed=1 need_restart=2' "$BATS_TEST_TMPDIR/aero.err"
	guest <<-'E'
		g = Guest()
		g.frame(bytes(2048))
		g.arp()
		# the new level is in effect
		g.frame(tcp(1, 80, 1, 0, SYN, dst='203.0.113.1'))
		until(lambda: ' debug ' in open(os.environ['AERO_LOG']).read())
	E
}

@test "all workers reload" {
	ini <<<''
	aero_start "${OPEN[@]}" -c "$INI" --server.workers=3
	printf '[host]\nallowed = only.test\n' | ini
	reload
	guest <<-'E'
		until(lambda: all(try_upgrade('/l2', ())[0] == 403 for _ in range(9)))
		# and a worker that is started later knows it too
		kids = open('/proc/%d/task/%d/children' % (PID, PID)).read().split()
		for k in kids:
		    os.kill(int(k), signal.SIGKILL)
		until(lambda: len(set(open('/proc/%d/task/%d/children' % (PID, PID)).read().split()) - set(kids)) == 3)
		def asked():
		    try:
		        return try_upgrade('/l2', ())
		    except OSError:
		        return None
		got = [until(asked) for _ in range(6)]
		assert got == [(403, 'Host not allowed: x.test')] * 6, got
	E
}

@test "flags and environment stay stronger than the file, and a reload does not lose them" {
	printf '[auth]\nmode = token\n' | ini
	AERO_L2_API_KEY=env aero_start -c "$INI" --origin.open=yes --limits.max-connections=1
	printf '[auth]\nmode = token\napi-key = file\n[limits]\nmax-connections = 5\n' | ini
	reload
	guest <<-'E'
		with Tunnel('/l2?token=env'):
		    table('429 max connections exceeded | max_connections | /l2?token=env')
	E
}

@test "a hundred reloads leave nothing behind" {
	printf '[dns]\nstatic-a = a.test=1.2.3.4\n' | ini
	aero_start "${OPEN[@]}" -c "$INI"
	guest <<-'E'
		g = Guest()
		kid = int(open('/proc/%d/task/%d/children' % (PID, PID)).read())
		def files():
		    return [len(os.listdir('/proc/%d/fd' % p)) for p in (PID, kid)]
		was = files()
		for n in range(100):
		    open(os.environ['INI'], 'w').write('[dns]\nstatic-a = a.test=1.2.3.%d\n' % n)
		    os.kill(PID, signal.SIGHUP)
		    g.dns('a.test')
		until(lambda: g.dns('a.test').all('A') == ['1.2.3.99'])
		assert files() == was, (files(), was)
	E
}

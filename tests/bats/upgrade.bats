#!/usr/bin/env bats
# The upgrade: its order of checks, statuses, bodies and counters; the subprotocol; what follows 101.

load lib

teardown() { aero_teardown; }

@test "the request itself is checked first, and nothing of that is counted" {
	AERO_L2_API_KEY=sesame aero_start --auth.mode=token
	guest <<-'E'
		def check(want, *headers, **kw):
		    got = try_upgrade('/l2', headers, **kw)
		    assert got == want, (headers, kw, got)
		check((405, ''), method='HEAD')
		check((400, "Connection header did not include 'upgrade'"), '-Connection')
		check((400, "Connection header did not include 'upgrade'"), 'Connection: keep-alive')
		check((400, "`Upgrade` header did not include 'websocket'"), '-Upgrade')
		check((400, "`Upgrade` header did not include 'websocket'"), 'Upgrade: h2c')
		check((400, "`Sec-WebSocket-Version` header did not include '13'"), '-Sec-WebSocket-Version')
		check((400, "`Sec-WebSocket-Version` header did not include '13'"), 'Sec-WebSocket-Version: 8')
		check((400, "`Sec-WebSocket-Key` header missing"), '-Sec-WebSocket-Key')
		# the first thing that is wrong decides
		check((400, "Connection header did not include 'upgrade'"), '-Connection', '-Upgrade',
		      '-Sec-WebSocket-Version', '-Sec-WebSocket-Key', '-Sec-WebSocket-Protocol')
		check((400, "`Upgrade` header did not include 'websocket'"), '-Upgrade', '-Sec-WebSocket-Version')
		# in any case, in any list
		check((401, 'invalid token'), 'Connection: keep-alive, UPGRADE', 'Upgrade: WebSocket')
		assert metric('l2_upgrade_rejected_total') == 1
	E
}

@test "HEAD answers the method's text in headers only; other methods get the router's 405" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		for path in ('/l2', '/l2/', '/eth', '/eth/'):
		    s = connect()
		    s.sendall(upgrade_request(path, method='HEAD')[0])
		    r = Reply(s, head_only=True)
		    assert r.status == 405 and int(r.get('content-length')) == len('Request method must be `GET`'), r.headers
		    for method in ('POST', 'PUT', 'DELETE', 'OPTIONS'):
		        r = http(path, method, ['Content-Length: 0'])
		        assert (r.status, r.body, r.get('allow')) == (405, '', 'GET,HEAD'), (r.line, r.headers)
	E
}

@test "the subprotocol is asked for on all four paths, before credentials" {
	AERO_L2_API_KEY=sesame aero_start --auth.mode=token
	upgrades <<-'E'
		400 missing required websocket subprotocol "aero-l2-tunnel-v1" | - | /l2   | -Sec-WebSocket-Protocol
		400 missing required websocket subprotocol "aero-l2-tunnel-v1" | - | /l2/  | -Sec-WebSocket-Protocol
		400 missing required websocket subprotocol "aero-l2-tunnel-v1" | - | /eth  | -Sec-WebSocket-Protocol
		400 missing required websocket subprotocol "aero-l2-tunnel-v1" | - | /eth/ | -Sec-WebSocket-Protocol
		400 missing required websocket subprotocol "aero-l2-tunnel-v1" | - | /l2?token=sesame | -Sec-WebSocket-Protocol
		400 missing required websocket subprotocol "aero-l2-tunnel-v1" | - | /l2 | Sec-WebSocket-Protocol: aero-l2-token.sesame
		400 missing required websocket subprotocol "aero-l2-tunnel-v1" | - | /l2 | Sec-WebSocket-Protocol: AERO-L2-TUNNEL-V1
		400 missing required websocket subprotocol "aero-l2-tunnel-v1" | - | /l2 | Sec-WebSocket-Protocol: aero-l2-tunnel-v11
		400 missing required websocket subprotocol "aero-l2-tunnel-v1" | - | /l2 | Sec-WebSocket-Protocol: aero-l2-tunnel-v1 x
	E
}

@test "all four paths upgrade alike, and the answer names the tunnel's subprotocol alone" {
	AERO_L2_API_KEY=sesame aero_start --origin.allowed='*' --auth.mode=token
	upgrades <<-'E'
		101 | - | /l2?token=sesame   | Origin: https://a.test
		101 | - | /l2/?token=sesame  | Origin: https://a.test
		101 | - | /eth?token=sesame  | Origin: https://a.test
		101 | - | /eth/?token=sesame | Origin: https://a.test
		101 | - | /l2 | Origin: https://a.test | Sec-WebSocket-Protocol: aero-l2-token.sesame, aero-l2-tunnel-v1
		101 | - | /l2 | Origin: https://a.test | Sec-WebSocket-Protocol: x,aero-l2-tunnel-v1 ,aero-l2-token.sesame
		101 | - | /l2 | Origin: https://a.test | Sec-WebSocket-Protocol: chat | Sec-WebSocket-Protocol: aero-l2-tunnel-v1, aero-l2-token.sesame
	E
	[ "$(metric l2_sessions_total)" = 7 ]
	wait_metric l2_sessions_active 0
}

@test "401 comes before 403, Origin before Host, both before the limits" {
	AERO_L2_API_KEY=sesame aero_start --auth.mode=token --origin.allowed=https://good.test \
		--host.allowed=good.test --limits.max-connections=1 --limits.max-connections-per-ip=1
	guest <<-'E'
		good = ['Origin: https://good.test', 'Host: good.test']
		with Tunnel('/l2?token=sesame', good):
		    rows = ['401 invalid token | missing_credentials | /l2',
		            '401 invalid token | missing_credentials | /l2 | Origin: https://bad.test | Host: bad.test',
		            '403 missing Origin header | origin_missing | /l2?token=sesame | Host: bad.test',
		            '403 Origin not allowed: https://bad.test | origin_not_allowed | /l2?token=sesame | Origin: https://bad.test | Host: bad.test',
		            '403 Host not allowed: bad.test | host_not_allowed | /l2?token=sesame | Origin: https://good.test | Host: bad.test',
		            '429 max connections per ip exceeded | ip_limit | /l2?token=sesame | Origin: https://good.test | Host: good.test']
		    assert upgrades(rows) == [], upgrades(rows)
	E
}

@test "a missing Host header reaches the host check" {
	aero_start "${OPEN[@]}" --host.allowed=x.test
	upgrades <<-'E'
		403 missing Host header | host_missing | /l2   | -Host
		403 missing Host header | host_missing | /l2/  | -Host
		403 missing Host header | host_missing | /eth  | -Host
		403 missing Host header | host_missing | /eth/ | -Host
	E
	aero_stop
	aero_start "${OPEN[@]}"
	upgrades <<<"101 | - | /l2 | -Host"
}

@test "frames pipelined behind the request are not lost" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		early = Tunnel.ws_bytes(BINARY, b'\xa2\x03\x01\0hello') + Tunnel.ws_bytes(BINARY, b'\xa2\x03\0\0' + arp())
		g = Guest(early=early)
		assert g.message(PONG) == b'hello'
		g.wait(is_kind('arp', op=2))
		# and arriving in single bytes
		request, key = upgrade_request()
		s = connect()
		for b in request + early:
		    s.sendall(bytes([b]))
		assert Reply(s).status == 101
	E
}

@test "a refused client may ask again on the same connection" {
	AERO_L2_API_KEY=sesame aero_start --auth.mode=token --origin.open=yes
	guest <<-'E'
		s = connect()
		for path, status in (('/l2', 401), ('/l2?token=no', 401), ('/healthz', 200), ('/l2?token=sesame', 101)):
		    s.sendall(upgrade_request(path)[0])
		    r = Reply(s)
		    assert r.status == status, (path, r.line)
	E
}

@test "extensions are not negotiated" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		t = Tunnel(headers=['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'])
		assert t.reply.get('sec-websocket-extensions') is None
		t.close()
	E
}

@test "tunnels are numbered from 1" {
	aero_start "${OPEN[@]}"
	upgrades <<<"101 | -"
	upgrades <<<"101 | -"
	wait_line "$BATS_TEST_TMPDIR/aero.err" 'session opened.*tunnel=1( |$)'
	wait_line "$BATS_TEST_TMPDIR/aero.err" 'session opened.*tunnel=2( |$)'
}

@test "over HTTP/1.0 there is nothing to upgrade" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		got = try_upgrade('/l2', (), version='1.0')
		assert got[0] == 426, got
		assert metric('l2_upgrade_rejected_total') == 0
	E
}

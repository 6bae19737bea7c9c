#!/usr/bin/env bats
# /metrics: names, types, order, values.

load lib

teardown() { aero_teardown; }

@test "every promised name, in the promised order, in the plain text form" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		names = '''l2_upgrade_rejected_total l2_upgrade_reject_max_connections_per_session_total l2_auth_reject_total
		    l2_sessions_active:gauge l2_sessions_total aero_l2_idle_timeouts_total
		    l2_sessions_closed_quota_bytes_total l2_sessions_closed_quota_fps_total l2_sessions_closed_backpressure_total
		    l2_upgrade_reject_origin_missing_total l2_upgrade_reject_origin_not_allowed_total
		    l2_upgrade_reject_host_missing_total l2_upgrade_reject_host_invalid_total l2_upgrade_reject_host_not_allowed_total
		    l2_upgrade_reject_auth_missing_total l2_upgrade_reject_auth_invalid_total
		    l2_upgrade_reject_max_connections_total l2_upgrade_reject_max_tunnels_per_session_total
		    l2_upgrade_ip_limit_exceeded_total l2_auth_failures_total l2_session_connection_denied_total
		    l2_frames_rx_total l2_frames_tx_total l2_bytes_rx_total l2_bytes_tx_total l2_frames_dropped_total
		    l2_capture_bytes_total l2_capture_frames_total l2_capture_frames_dropped_total l2_capture_errors_total
		    l2_policy_denied_total l2_tcp_conns_active:gauge l2_tcp_connect_fail_total
		    l2_udp_flows_active:gauge l2_udp_send_fail_total l2_udp_flow_limit_exceeded_total
		    l2_dns_queries_total l2_dns_fail_total l2_ping_rtt_ms:histogram'''.split()
		want = []
		for n in names:
		    n, _, kind = n.partition(':')
		    want.append('# TYPE %s %s' % (n, kind or 'counter'))
		    if n == 'l2_auth_reject_total':
		        want += ['%s{reason="%s"} 0' % (n, r) for r in (
		            'missing_credentials', 'invalid_api_key', 'invalid_cookie', 'invalid_jwt', 'jwt_origin_mismatch')]
		    elif kind == 'histogram':
		        want += ['%s_bucket{le="%s"} 0' % (n, le) for le in '1 5 10 25 50 100 250 500 1000 2500 +Inf'.split()]
		        want += [n + '_sum 0', n + '_count 0']
		    else:
		        want.append(n + ' 0')
		body = http('/metrics').body
		lines = body.split('\n')
		assert lines.pop() == ''
		assert lines[:len(want)] == want, [x for x in zip(lines, want) if x[0] != x[1]][:3]
		# what follows has the same form, and no name comes twice
		seen, typed = set(), set()
		for line in lines:
		    if line.startswith('#'):
		        assert re.fullmatch(r'# TYPE [a-z0-9_]+ (counter|gauge|histogram)', line), line
		        assert line.split()[2] not in typed, line
		        typed.add(line.split()[2])
		    else:
		        assert re.fullmatch(r'[a-z0-9_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9]+', line), line
		        name = line.rsplit(' ', 1)[0]
		        assert name not in seen, name
		        seen.add(name)
	E
}

@test "sessions and frames are counted as they come and go" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		a, b = Guest(), Guest()
		m = metrics()
		assert (m['l2_sessions_active'], m['l2_sessions_total']) == (2, 2)
		a.arp()
		b.ping()
		m = metrics()
		assert (m['l2_frames_rx_total'], m['l2_bytes_rx_total']) == (2, 42 + 14 + 20 + 8 + 4)
		assert (m['l2_frames_tx_total'], m['l2_bytes_tx_total']) == (2, 42 + 14 + 20 + 8 + 4)
		a.close()
		wait_metric('l2_sessions_active', 1)
		b.s.close()
		wait_metric('l2_sessions_active', 0)
		assert metric('l2_sessions_total') == 2
	E
}

@test "one line in the log for each session that ended, with totals and reason" {
	aero_start "${OPEN[@]}" --log.format=json
	guest <<-'E'
		g = Guest()
		g.arp()
		g.ping()
		g.close()
		t = Tunnel()
		t.ws(BINARY, b'x')
		t.end()
		t.s.close()
		wait_metric('l2_sessions_active', 0)
		log = until(lambda: (lambda x: [r for r in x if r.get('event') == 'session closed'] if len(x) >= 4 else None)(
		    [json.loads(x) for x in open(os.environ['AERO_LOG']) if x.startswith('{')]))
		assert [r['reason'] for r in log] == ['client_closed', 'protocol_error'], log
		first = log[0]
		assert (first['frames_rx'], first['frames_tx'], first['bytes_rx'], first['tunnel']) == (2, 2, 88, 1), first
	E
}

@test "whatever a client says, a line of the log stays one line of JSON" {
	SESSION_SECRET=sec aero_start --auth.mode=session --origin.allowed=https://a.test --host.allowed=x --log.format=json --log.level=debug
	guest <<-'E'
		def go(*h):
		    assert try_upgrade('/l2', h)[0] in (101, 401, 403), h
		def cookie(sid):
		    return 'Cookie: aero_session=' + session('sec', sid=sid)
		go('Origin: https://"x\\', cookie('a'))
		go('Origin: \xff\xfe', cookie('\x1b[31mred'))
		go('Origin: https://a.test', 'Host: \xc3\x28', cookie('b'))
		go('Origin: https://a.test', 'Host: ' + 'h' * 5000, cookie('s' * 9000))
		go('Origin: https://a.test', 'Host: x', cookie('\0\x1b\u2028\u00e9"\n'))
		for n in range(60, 66):
		    go('Origin: https://a.test', 'Host: x', cookie('s' * n + '\u20ac' * 3))
		until(lambda: open(os.environ['AERO_LOG'], 'rb').read().count(b'session closed') == 7)
		lines = [x for x in open(os.environ['AERO_LOG'], 'rb').read().split(b'\n') if x and not x.startswith(b'warning: ')]
		assert len(lines) > 10
		for line in lines:
		    json.loads(line.decode())
		    assert len(line) < 2000
	E
}

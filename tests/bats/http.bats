#!/usr/bin/env bats
# The HTTP surface: endpoints for operators, unknown paths and methods, what a parser must refuse.

load lib

teardown() { aero_teardown; }

@test "endpoints for operators: status, type, body; nobody is asked for credentials" {
	AERO_L2_API_KEY=sesame aero_start --auth.mode=token --host.allowed=other.test
	guest <<-'E'
		def check(path, status, ctype, body=None, **kw):
		    r = http(path, **kw)
		    assert r.line.startswith('HTTP/1.1 ') and r.status == status, (path, r.line)
		    assert r.get('content-type') == ctype, (path, r.headers)
		    assert body is None or r.body == body, (path, r.body)
		    assert not [k for k, _ in r.headers if k.startswith('access-control')], r.headers
		    return r
		check('/healthz', 200, None, '')
		check('/readyz', 200, None, '')
		check('/healthz', 200, None, '', headers=['Origin: https://bad.test', 'Cookie: aero_session=x'])
		check('/healthz?x=1', 200, None, '')
		check('/version', 200, 'application/json')
		r = check('/metrics', 200, 'text/plain; version=0.0.4; charset=utf-8')
		assert r.body.startswith('# TYPE l2_upgrade_rejected_total counter\nl2_upgrade_rejected_total 0\n')
		for path in ('/', '/x', '/L2', '/l2/x', '/l2//', '/healthz/', '/metricsx', '/%6c2', '//l2', '/l2/../l2'):
		    check(path, 404, None, '')
		check('/x', 404, None, '', method='POST', headers=['Content-Length: 0'])
		for path in ('/healthz', '/readyz', '/version', '/metrics'):
		    got = check(path, 200, http(path).get('content-type'), '', method='HEAD')
		    if path != '/metrics':
		        assert got.get('content-length') == http(path).get('content-length'), path
		    for method in ('POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'):
		        r = check(path, 405, None, '', method=method, headers=['Content-Length: 0'])
		        assert r.get('allow') == 'GET,HEAD', r.headers
	E
}

@test "a request without Host is served" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		s = connect()
		for path in ('/healthz', '/readyz', '/version', '/metrics'):
		    s.sendall(('GET %s HTTP/1.1\r\n\r\n' % path).encode())
		    assert Reply(s).status == 200, path
	E
}

@test "requests follow each other on a connection, and pipelined ones are answered in order" {
	aero_start "${OPEN[@]}"
	guest <<-'E'
		s = connect()
		s.sendall(b'GET /healthz HTTP/1.1\r\nHost: t\r\n\r\nGET /version HTTP/1.1\r\nHost: t\r\n\r\n'
		          b'HEAD /version HTTP/1.1\r\nHost: t\r\n\r\nGET /x HTTP/1.1\r\nHost: t\r\n\r\n')
		r, seen = Reply(s), []
		seen.append(r.status)
		for head in (False, True, False):
		    r = Reply(s, head, r.rest)
		    seen.append(r.status)
		assert seen == [200, 200, 200, 404], seen
		s = connect()
		s.sendall(b'GET /healthz HTTP/1.0\r\n\r\n')
		assert Reply(s).status == 200 and s.recv(1) == b''
		s = connect()
		s.sendall(b'GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n')
		r = Reply(s)
		assert r.get('connection') == 'close' and s.recv(1) == b''
	E
}

@test "what a head may not be" {
	aero_start "${OPEN[@]}" --server.max-head=8KiB --server.max-url=1KiB --server.max-headers=20
	guest <<-'E'
		def status(raw):
		    s = connect()
		    s.sendall(raw)
		    r = Reply(s)
		    assert s.recv(1) == b'', 'the connection goes on after %d' % r.status
		    return r.status
		GET = b'GET /healthz HTTP/1.1\r\nHost: t\r\n'
		for want, raw in [
		        (400, b'\x16\x03\x01\x02\0\x01\0\0\xff\r\n\r\n'),
		        (400, b'GET\r\n\r\n'),
		        (400, b'GET /healthz\r\n\r\n'),
		        (400, GET + b'No colon\r\n\r\n'),
		        (400, GET + b'Bad name : x\r\n\r\n'),
		        (400, GET + b'X: a\r\n folded\r\n\r\n'),
		        (400, GET + b'X: a\0b\r\n\r\n'),
		        (400, GET + b'Content-Length: 1\r\nContent-Length: 2\r\n\r\n'),
		        (400, GET + b'Content-Length: -1\r\n\r\n'),
		        (400, GET + b'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n'),
		        (414, b'GET /' + b'a' * 2000 + b' HTTP/1.1\r\nHost: t\r\n\r\n'),
		        (431, GET + b''.join(b'H%d: x\r\n' % i for i in range(40)) + b'\r\n'),
		        (431, GET + b'X: ' + b'a' * 9000 + b'\r\n\r\n'),
		        (505, b'GET /healthz HTTP/2.0\r\nHost: t\r\n\r\n'),
		        (400, GET + b'Transfer-Encoding: gzip\r\n\r\n'),
		        (400, GET + b'Host: t\r\n\r\n'),
		        (501, GET + b'Transfer-Encoding: gzip, chunked\r\n\r\n')]:
		    got = status(raw)
		    assert got == want, (raw[:80], got, want)
		assert http('/healthz').status == 200
	E
}

@test "a head that does not come costs its connection, and no more" {
	aero_start "${OPEN[@]}" --server.header-timeout=300ms
	guest <<-'E'
		quiet, slow = connect(), connect()
		slow.sendall(b'GET /healthz HTTP/1.1\r\n')
		assert Reply(slow).status == 408
		assert quiet.recv(1) == b''
		assert http('/healthz').status == 200
		# a tunnel is no head: it stays
		with Tunnel() as t:
		    try:
		        t.recv(0.7)
		        assert False
		    except TimeoutError:
		        pass
		    t.sync()
	E
}

version() { curl -fsS "$AERO_HTTP/version"; }

@test "/version: names in their fall-back order, escapes, and empty is a value" {
	legacy_start AERO_L2_AUTH_MODE=none
	[ "$(version)" = '{"version":"0.1.0","gitSha":"dev","builtAt":""}' ]
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none VERSION=1.2 GIT_SHA=abc BUILD_TIMESTAMP=now
	[ "$(version)" = '{"version":"1.2","gitSha":"abc","builtAt":"now"}' ]
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none VERSION=1.2 GIT_SHA=abc BUILD_TIMESTAMP=now AERO_L2_PROXY_VERSION=3 \
		AERO_L2_PROXY_GIT_SHA=def AERO_L2_PROXY_BUILD_TIMESTAMP=then
	[ "$(version)" = '{"version":"3","gitSha":"def","builtAt":"then"}' ]
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none VERSION=1.2 AERO_L2_PROXY_VERSION= GIT_SHA= BUILD_TIMESTAMP=' x '
	[ "$(version)" = '{"version":"","gitSha":"","builtAt":" x "}' ]
	aero_stop
	legacy_start AERO_L2_AUTH_MODE=none VERSION=$'a"b\\c\nd\re\tf\x01\x1fg/é'
	[ "$(version)" = '{"version":"a\"b\\c\nd\re\tf\u0001\u001fg/é","gitSha":"dev","builtAt":""}' ]
	[ "$(version | jq -r .version)" = $'a"b\\c\nd\re\tf\x01\x1fg/é' ]
}

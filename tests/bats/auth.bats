#!/usr/bin/env bats
# Who may open a tunnel: every mode, every carrier, both token formats; statuses, bodies, labels.

load lib

teardown() { aero_teardown; }

# Origins do not matter in this file.
start() { aero_start --origin.open=yes "$@"; }

@test "mode none: always, whatever is shown" {
	start --auth.mode=none
	upgrades <<-'E'
		101 | -
		101 | - | /l2?token=x | Cookie: aero_session=x | Authorization: Bearer x
	E
}

@test "mode token: the key by query and subprotocol; the first carrier decides" {
	AERO_L2_API_KEY='s3same/+' start --auth.mode=token
	upgrades <<-'E'
		401 invalid token | missing_credentials | /l2
		401 invalid token | missing_credentials | /l2?token=
		401 invalid token | missing_credentials | /l2?
		401 invalid token | missing_credentials | /l2?tokens=s3same/+
		401 invalid token | missing_credentials | /l2?Token=s3same/+
		401 invalid token | missing_credentials | /l2?%74oken=s3same/+
		401 invalid token | missing_credentials | /l2 | Authorization: Bearer s3same/+
		401 invalid token | missing_credentials | /l2 | Cookie: aero_session=s3same/+
		401 invalid token | missing_credentials | /l2 | Sec-WebSocket-Protocol: aero-l2-tunnel-v1, aero-l2-token.
		401 invalid token | invalid_api_key     | /l2?token=S3SAME/+
		401 invalid token | invalid_api_key     | /l2?token=s3same/
		401 invalid token | invalid_api_key     | /l2?token=s3same/++
		401 invalid token | invalid_api_key     | /l2?token=s3same%2f%20
		401 invalid token | invalid_api_key     | /l2 | Sec-WebSocket-Protocol: aero-l2-tunnel-v1, aero-l2-token.s3same
		101 | - | /l2?token=s3same/+
		101 | - | /l2?token=s3same%2F%2b
		101 | - | /l2?apiKey=s3same/+
		101 | - | /l2?x=y&token=s3same/+&z
		101 | - | /l2?token=&apiKey=s3same/+
		101 | - | /l2 | Sec-WebSocket-Protocol: aero-l2-tunnel-v1, aero-l2-token.s3same/+
		101 | - | /l2 | Sec-WebSocket-Protocol: aero-l2-tunnel-v1, aero-l2-token., aero-l2-token.s3same/+
		# token before apiKey before subprotocol; a right one further on does not help
		101 | - | /l2?apiKey=no&token=s3same/+
		401 invalid token | invalid_api_key | /l2?apiKey=s3same/+&token=no
		401 invalid token | invalid_api_key | /l2?token=no&token=s3same/+
		101 | - | /l2?token=s3same/+&token=no
		401 invalid token | invalid_api_key | /l2?token=no | Sec-WebSocket-Protocol: aero-l2-tunnel-v1, aero-l2-token.s3same/+
		401 invalid token | invalid_api_key | /l2?apiKey=no | Sec-WebSocket-Protocol: aero-l2-tunnel-v1, aero-l2-token.s3same/+
		401 invalid token | invalid_api_key | /l2 | Sec-WebSocket-Protocol: aero-l2-tunnel-v1, aero-l2-token.no, aero-l2-token.s3same/+
		401 invalid token | missing_credentials | /l2?token=&token=s3same/+
	E
}

@test "a percent sign that encodes nothing stays, and in a subprotocol it is literal" {
	AERO_L2_API_KEY='a%zz%4' start --auth.mode=token
	upgrades <<-'E'
		101 | - | /l2?token=a%zz%4
		101 | - | /l2?token=a%25zz%254
		101 | - | /l2 | Sec-WebSocket-Protocol: aero-l2-tunnel-v1, aero-l2-token.a%zz%4
		401 invalid token | invalid_api_key | /l2 | Sec-WebSocket-Protocol: aero-l2-tunnel-v1, aero-l2-token.a%25zz%254
	E
}

@test "the key's old name, and open origins do not open the door" {
	legacy_start AERO_L2_TOKEN=old AERO_L2_OPEN=1 AERO_L2_INSECURE_ALLOW_NO_AUTH=1
	upgrades <<-'E'
		401 invalid token | missing_credentials | /l2
		101 | - | /l2?token=old
	E
	aero_stop
	legacy_start AERO_L2_TOKEN=old AERO_L2_API_KEY=new AERO_L2_OPEN=1
	upgrades <<-'E'
		401 invalid token | invalid_api_key | /l2?token=old
		101 | - | /l2?token=new
	E
	aero_stop
	legacy_start AERO_L2_TOKEN=old 'AERO_L2_API_KEY=  ' AERO_L2_OPEN=1
	upgrades <<<"101 | - | /l2?token=old"
}

@test "without a mode the secrets choose it" {
	open=(AERO_L2_OPEN=1 AERO_L2_INSECURE_ALLOW_NO_AUTH=1)
	legacy_start "${open[@]}"
	upgrades <<<"101 | -"
	aero_stop
	legacy_start "${open[@]}" AERO_L2_API_KEY=key AERO_L2_AUTH_MODE=
	upgrades <<<"401 invalid token | missing_credentials"
	aero_stop
	legacy_start "${open[@]}" AERO_L2_API_KEY=key SESSION_SECRET=sec
	guest <<-'E'
		table(f'''
		    401 missing or invalid auth | missing_credentials
		    101 | - | /l2?token=key
		    101 | - | /l2 | Cookie: aero_session={session('sec')}''')
	E
	aero_stop
	# without a key the token path never matches, and the server starts
	legacy_start "${open[@]}" SESSION_SECRET=sec
	guest <<-'E'
		table(f'''
		    401 missing or invalid auth | invalid_api_key | /l2?token=key
		    101 | - | /l2 | Cookie: aero_session={session('sec')}''')
	E
	aero_stop
	# said plainly, none needs nothing more, and beats the secret
	legacy_start AERO_L2_AUTH_MODE=none SESSION_SECRET=sec AERO_L2_OPEN=1
	upgrades <<<"101 | -"
}

@test "three names of the session secret, the first that is not blank wins" {
	try() { # try SECRET NAME=value...
		local secret=$1
		shift
		legacy_start AERO_L2_OPEN=1 AERO_L2_AUTH_MODE=session "$@"
		SECRET=$secret guest <<<"table('101 | - | /l2 | Cookie: aero_session=' + session(os.environ['SECRET']))"
		aero_stop
	}
	try a AERO_GATEWAY_SESSION_SECRET=a SESSION_SECRET=b AERO_L2_SESSION_SECRET=c
	try b AERO_GATEWAY_SESSION_SECRET=' ' SESSION_SECRET=b AERO_L2_SESSION_SECRET=c
	try c SESSION_SECRET= AERO_L2_SESSION_SECRET=' c '
}

@test "spellings of the modes" {
	for pair in none:none NONE:none session:session cookie:session Token:token api_key:token jwt:jwt \
		cookie_or_jwt:cookie_or_jwt session_or_token:session_or_token cookie_or_api_key:session_or_token \
		session_and_token:session_and_token ' COOKIE_AND_API_KEY ':session_and_token; do
		got=$(AERO_L2_AUTH_MODE=${pair%:*} AERO_L2_API_KEY=a AERO_L2_JWT_SECRET=b SESSION_SECRET=c "$AERO" config show l2 --json |
			jq -r '.options[] | select(.name == "auth.mode").value')
		[ "$got" = "${pair#*:}" ] || { echo "$pair: $got"; return 1; }
	done
}

@test "mode session: the cookie among others; the first decides" {
	SESSION_SECRET=sec start --auth.mode=session
	guest <<-'E'
		good, bad = session('sec'), session('other')
		table(f'''
		    401 missing or expired session | missing_credentials
		    401 missing or expired session | missing_credentials | /l2?token={good}
		    401 missing or expired session | missing_credentials | /l2 | Authorization: Bearer {good}
		    401 missing or expired session | missing_credentials | /l2 | Cookie: aero_sessions={good}; x=y
		    401 missing or expired session | missing_credentials | /l2 | Cookie: AERO_SESSION={good}
		    401 missing or expired session | missing_credentials | /l2 | Cookie: aero_session
		    401 missing or expired session | missing_credentials | /l2 | Cookie: aero_session=
		    401 missing or expired session | missing_credentials | /l2 | Cookie: aero_session=; aero_session={good}
		    401 missing or expired session | missing_credentials | /l2 | Cookie: aero_session= | Cookie: aero_session={good}
		    401 missing or expired session | invalid_cookie | /l2 | Cookie: aero_session={bad}; aero_session={good}
		    401 missing or expired session | invalid_cookie | /l2 | Cookie: aero_session=x | Cookie: aero_session={good}
		    401 missing or expired session | invalid_cookie | /l2 | Cookie: aero_session="{good}"
		    101 | - | /l2 | Cookie: aero_session={good}
		    101 | - | /l2 | Cookie: aero_session={good}; aero_session={bad}
		    101 | - | /l2 | Cookie: a=b; junk; ;; =; aero_session = {good} ;c=d
		    101 | - | /l2 | Cookie: a=b | Cookie: aero_session={good} | Cookie: aero_session={bad}
		    101 | - | /l2 | Cookie: aero_session={good.replace('.', '%2E')}
		    101 | - | /l2?token=whatever | Cookie: aero_session={good}''')
	E
}

@test "session tokens: what verifies and what does not" {
	SESSION_SECRET=sec start --auth.mode=session
	guest <<-'E'
		good = session('sec')
		payload, sig = good.split('.')
		def raw(text):
		    return session('sec', raw=text)
		exp = now() + 60
		yes = [good, raw('{"v":1.0,"sid":"x","exp":%d}' % exp), raw('{"v":1,"sid":"x","exp":%d.5}' % exp),
		       raw(' {"exp":1e12,"sid":"\\u00e9","v":1,"more":[1,{}]} '), raw('{"v":1,"sid":"x","exp":%d}' % (now() + 2))]
		flip = b64u(bytes([hmac.new(b'sec', payload.encode(), hashlib.sha256).digest()[0] ^ 1]) +
		            hmac.new(b'sec', payload.encode(), hashlib.sha256).digest()[1:])
		tail = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
		loose = sig[:-1] + tail[tail.index(sig[-1]) + 1]  # the same bytes, other unused bits
		no = [payload + '.' + flip, payload + '.' + loose, payload + '.', '.' + sig, payload, payload + '.' + sig + '.',
		      payload + '..' + sig, payload + '.' + sig[:-1], payload + '.' + sig + 'A', payload + '=.' + sig,
		      signed(payload[:-1] if len(payload) % 4 == 2 else payload + 'A' * (5 - len(payload) % 4), 'sec'),
		      session('other'), session('sec', exp=-1), session('sec', exp=0), session('sec', sid=''),
		      raw('{"v":2,"sid":"x","exp":%d}' % exp), raw('{"v":"1","sid":"x","exp":%d}' % exp), raw('{"sid":"x","exp":%d}' % exp),
		      raw('{"v":1,"sid":5,"exp":%d}' % exp), raw('{"v":1,"exp":%d}' % exp), raw('{"v":1,"sid":"x"}'),
		      raw('{"v":1,"sid":"x","exp":"%d"}' % exp), raw('{"v":1,"sid":"x","exp":1e400}'), raw('{"v":1,"sid":"x","exp":null}'),
		      raw('[{"v":1,"sid":"x","exp":%d}]' % exp), raw('{"v":1,"sid":"x","exp":%d} x' % exp), raw('{"v":1,"sid":"x","exp":%d' % exp),
		      raw('nonsense'), signed('', 'sec'), raw('{"v":1,"sid":"x","exp":%d,"p":"%s"}' % (exp, 'x' * 16384))]
		table('\n'.join(['101 | - | /l2 | Cookie: aero_session=' + t for t in yes] +
		                ['401 missing or expired session | invalid_cookie | /l2 | Cookie: aero_session=' + t for t in no]))
	E
}

@test "a tunnel outlives its cookie; a cookie that has just run out opens none" {
	SESSION_SECRET=sec start --auth.mode=session
	guest <<-'E'
		cookie = 'Cookie: aero_session=' + session('sec', raw='{"v":1,"sid":"x","exp":%f}' % (time.time() + 0.5))
		with Tunnel(headers=[cookie]) as t:
		    until(lambda: try_upgrade('/l2', [cookie])[0] == 401, 3)
		    t.sync()
	E
}

@test "mode jwt: bearer, query, apiKey, subprotocol; a key is no JWT" {
	AERO_L2_JWT_SECRET=sec AERO_L2_API_KEY=key SESSION_SECRET=sec start --auth.mode=jwt
	guest <<-'E'
		good, bad = jwt('sec'), jwt('other')
		table(f'''
		    401 invalid jwt | missing_credentials
		    401 invalid jwt | missing_credentials | /l2 | Cookie: aero_session={session('sec')}
		    401 invalid jwt | missing_credentials | /l2 | Authorization: Basic {good}
		    401 invalid jwt | missing_credentials | /l2 | Authorization: Bearer
		    401 invalid jwt | missing_credentials | /l2 | Authorization: Bearer a {good}
		    401 invalid jwt | missing_credentials | /l2 | Authorization: Bearer{good}
		    401 invalid jwt | invalid_jwt | /l2?token=key
		    401 invalid jwt | invalid_jwt | /l2 | Authorization: Bearer {bad}
		    401 invalid jwt | invalid_jwt | /l2?token={session('sec')}
		    101 | - | /l2 | Authorization: Bearer {good}
		    101 | - | /l2 | Authorization: bEARER   {good}
		    101 | - | /l2?token={good}
		    101 | - | /l2?apiKey={good}
		    101 | - | /l2?token={good.replace('.', '%2e')}
		    101 | - | /l2 | Sec-WebSocket-Protocol: aero-l2-tunnel-v1, aero-l2-token.{good}
		    # one after the other until one verifies
		    101 | - | /l2?token={good} | Authorization: Bearer {bad}
		    101 | - | /l2?token={bad} | Authorization: Bearer {good}
		    101 | - | /l2?token={bad} | Authorization: Bearer x | Sec-WebSocket-Protocol: aero-l2-tunnel-v1, aero-l2-token.{good}
		    401 invalid jwt | invalid_jwt | /l2?token={bad}&apiKey={good}''')
	E
}

@test "JWTs: what verifies and what does not" {
	AERO_L2_JWT_SECRET=sec start --auth.mode=jwt
	guest <<-'E'
		good = jwt('sec')
		head, payload, sig = good.split('.')
		none = b64u(b'{"alg":"none"}') + '.' + payload + '.'
		yes = [good, jwt('sec', head='{"alg":"HS256"}'), jwt('sec', head='{"typ":"x","alg":"HS256","kid":5}'),
		       jwt('sec', nbf=now()), jwt('sec', aud='any', iss='any', extra=[1.5]), jwt('sec', exp=2)]
		no = [none, none + sig, payload + '.' + sig, good + '.', '.' + good, head + '..' + sig, head + '.' + payload + '.',
		      jwt('other'), jwt('sec', head='{"alg":"HS512"}'), jwt('sec', head='{"alg":"hs256"}'), jwt('sec', head='{"typ":"JWT"}'),
		      jwt('sec', head='{"alg":"HS256","typ":1}'), jwt('sec', head='{"alg":"HS256"}x'), jwt('sec', head='[]'),
		      jwt('sec', exp=0), jwt('sec', exp=-60), jwt('sec', drop=['exp']), jwt('sec', drop=['iat']), jwt('sec', drop=['sid']),
		      jwt('sec', sid=''), jwt('sec', sid=1), jwt('sec', iat=now() + 0.5), jwt('sec', raw='{"sid":"x","iat":1,"exp":%d.0}' % (now() + 60)),
		      jwt('sec', raw='{"sid":"x","iat":1,"exp":"%d"}' % (now() + 60)), jwt('sec', nbf=now() + 60), jwt('sec', nbf='x'),
		      jwt('sec', nbf=1.5), jwt('sec', aud=['any']), jwt('sec', iss=1), jwt('sec', origin=1),
		      jwt('sec', head='{"alg":"HS256","x":"%s"}' % ('x' * 4096)), jwt('sec', x='x' * 16384)]
		table('\n'.join(['101 | - | /l2 | Authorization: Bearer ' + t for t in yes] +
		                ['401 invalid jwt | invalid_jwt | /l2 | Authorization: Bearer ' + t for t in no]))
	E
}

@test "JWTs: audience and issuer when asked for" {
	AERO_L2_JWT_SECRET=sec start --auth.mode=jwt --auth.jwt-audience=aud --auth.jwt-issuer=iss
	guest <<-'E'
		ok = dict(aud='aud', iss='iss')
		rows = ['101 | - | /l2?token=' + jwt('sec', **ok)]
		rows += ['401 invalid jwt | invalid_jwt | /l2?token=' + jwt('sec', **c) for c in (
		    {}, dict(aud='aud'), dict(iss='iss'), dict(ok, aud='AUD'), dict(ok, aud='au'), dict(ok, iss=' iss'), dict(ok, aud=['aud']))]
		table('\n'.join(rows))
	E
	grep -q 'rejected l2 websocket upgrade (jwt audience mismatch)' "$BATS_TEST_TMPDIR/aero.err"
	grep -q 'rejected l2 websocket upgrade (jwt issuer mismatch)' "$BATS_TEST_TMPDIR/aero.err"
}

@test "JWTs: the origin claim, with origins checked and with origins open" {
	AERO_L2_JWT_SECRET=sec aero_start --auth.mode=jwt --origin.allowed='*'
	guest <<-'E'
		t = '/l2?token=' + jwt('sec', origin='HTTPS://App.test:443/')
		bad = '/l2?token=' + jwt('sec', origin='app.test')
		table(f'''
		    101 | - | {t} | Origin: https://app.test
		    401 invalid jwt | jwt_origin_mismatch | {t} | Origin: https://other.test
		    401 invalid jwt | jwt_origin_mismatch | {t} | Origin: http://app.test
		    401 invalid jwt | invalid_jwt | {bad} | Origin: https://app.test
		    403 missing Origin header | origin_missing | {t}
		    403 invalid Origin header: nonsense | origin_invalid | {t} | Origin: nonsense''')
	E
	aero_stop
	AERO_L2_JWT_SECRET=sec start --auth.mode=jwt
	guest <<-'E'
		t = '/l2?token=' + jwt('sec', origin='https://app.test')
		table(f'''
		    101 | - | {t} | Origin: https://app.test
		    101 | - | /l2?token={jwt('sec')}
		    401 invalid jwt | jwt_origin_mismatch | {t} | Origin: https://other.test
		    401 invalid jwt | jwt_origin_mismatch | {t}
		    401 invalid jwt | jwt_origin_mismatch | {t} | Origin: nonsense''')
	E
}

@test "mode cookie_or_jwt" {
	AERO_L2_JWT_SECRET=jot SESSION_SECRET=sec AERO_L2_API_KEY=key start --auth.mode=cookie_or_jwt
	guest <<-'E'
		c, j = session('sec'), jwt('jot')
		table(f'''
		    401 missing or invalid auth | missing_credentials
		    401 missing or invalid auth | invalid_cookie | /l2 | Cookie: aero_session=x
		    401 invalid jwt | invalid_jwt | /l2?token=key
		    401 invalid jwt | invalid_jwt | /l2?token=x | Cookie: aero_session=x
		    101 | - | /l2 | Cookie: aero_session={c}
		    101 | - | /l2?token={j}
		    101 | - | /l2?token=x | Cookie: aero_session={c}
		    101 | - | /l2 | Cookie: aero_session=x | Authorization: Bearer {j}''')
	E
}

@test "mode session_or_token" {
	SESSION_SECRET=sec AERO_L2_API_KEY=key start --auth.mode=session_or_token
	guest <<-'E'
		c = session('sec')
		table(f'''
		    401 missing or invalid auth | missing_credentials
		    401 missing or invalid auth | invalid_cookie | /l2 | Cookie: aero_session=x
		    401 missing or invalid auth | invalid_api_key | /l2?token=x
		    401 missing or invalid auth | invalid_api_key | /l2?token=x | Cookie: aero_session=x
		    101 | - | /l2 | Cookie: aero_session={c}
		    101 | - | /l2?token=key
		    101 | - | /l2?token=x | Cookie: aero_session={c}
		    101 | - | /l2?token=key | Cookie: aero_session=x''')
	E
}

@test "mode session_and_token" {
	SESSION_SECRET=sec AERO_L2_API_KEY=key start --auth.mode=session_and_token
	guest <<-'E'
		c = session('sec')
		table(f'''
		    401 missing or invalid auth | missing_credentials
		    401 missing or invalid auth | missing_credentials | /l2?token=key
		    401 missing or invalid auth | missing_credentials | /l2 | Cookie: aero_session={c}
		    401 missing or invalid auth | invalid_api_key | /l2?token=x
		    401 missing or invalid auth | invalid_api_key | /l2?token=x | Cookie: aero_session={c}
		    401 missing or invalid auth | invalid_api_key | /l2?token=x | Cookie: aero_session=x
		    401 missing or invalid auth | invalid_cookie | /l2?token=key | Cookie: aero_session=x
		    401 missing or invalid auth | invalid_cookie | /l2 | Cookie: aero_session=x
		    101 | - | /l2?token=key | Cookie: aero_session={c}''')
	E
}

@test "the log says why, and never what was shown" {
	SESSION_SECRET=sec AERO_L2_API_KEY=key-of-the-house AERO_L2_JWT_SECRET=jot start --auth.mode=session_or_token --log.level=debug
	guest <<-'E'
		c = session('sec', sid='visible-sid')
		table(f'''
		    401 missing or invalid auth | missing_credentials
		    401 missing or invalid auth | invalid_cookie | /l2 | Cookie: aero_session=tastycookie; other=secretbiscuit
		    401 missing or invalid auth | invalid_api_key | /l2?token=hiddentoken&more=secretquery
		    401 missing or invalid auth | invalid_api_key | /l2 | Sec-WebSocket-Protocol: aero-l2-tunnel-v1, aero-l2-token.hiddenproto
		    401 missing or invalid auth | missing_credentials | /l2 | Authorization: Bearer hiddenbearer
		    101 | - | /l2?token=key-of-the-house | Origin: https://seen.test
		    101 | - | /l2 | Cookie: aero_session={c}''')
		with Guest('/l2?token=key-of-the-house') as g:
		    g.frame(udp(1, 2, b'secretpayload'), udp(1, 53, dns_query('name.invalid')))
		    g.sync()
		log = until(lambda: (lambda x: x if x.count('session closed') >= 2 else None)(open(os.environ['AERO_LOG']).read()))
		for word in ('tastycookie', 'secretbiscuit', 'hidden', 'secretquery', 'house', 'secretpayload', *c.split('.')):
		    assert word not in log, [x for x in log.splitlines() if word in x]
		lines = [x for x in log.splitlines() if 'rejected l2 websocket upgrade' in x]
		assert len(lines) == 5, lines
		want = [('auth_missing', False, False), ('auth_invalid', False, True), ('auth_invalid', True, False),
		        ('auth_invalid', True, False), ('auth_missing', False, False)]
		for line, (reason, token, cookie) in zip(lines, want):
		    for field in ('reason=' + reason, 'token_present=%s' % str(token).lower(), 'cookie_present=%s' % str(cookie).lower(),
		                  'auth_reject_reason=', 'auth_mode=session_or_token', 'auth_sid=none', 'client_ip=127.0.0.1', 'origin=<missing>'):
		        assert field in line, (field, line)
		assert 'sid=visible-sid' in log
	E
}

#!/usr/bin/env bats
# Which web pages may connect: the four refusals, the list, the same-host rule, normalisation.

load lib

teardown() { aero_teardown; }

start() { aero_start --auth.mode=none "$@"; }

@test "missing, several, malformed, not allowed" {
	start --origin.allowed=https://good.test
	upgrades <<-'E'
		403 missing Origin header | origin_missing | /l2
		403 missing Origin header | origin_missing | /l2/
		403 missing Origin header | origin_missing | /eth
		403 missing Origin header | origin_missing | /eth/
		403 missing Origin header | origin_missing | /l2 | Origin:
		403 missing Origin header | origin_missing | /l2 | Origin: https://gööd.test
		403 invalid Origin header: multiple values | origin_invalid | /l2 | Origin: https://good.test | Origin: https://good.test
		403 invalid Origin header: multiple values | origin_invalid | /l2 | Origin: https://good.test | Origin: https://bad.test
		403 invalid Origin header: good.test | origin_invalid | /l2 | Origin: good.test
		403 invalid Origin header: https://good.test/path | origin_invalid | /l2 | Origin: https://good.test/path
		403 Origin not allowed: https://bad.test | origin_not_allowed | /l2 | Origin: https://bad.test
		403 Origin not allowed: https://bad.test | origin_not_allowed | /l2 | Origin: HTTPS://BAD.test:443/
		403 Origin not allowed: http://good.test | origin_not_allowed | /l2 | Origin: http://good.test
		403 Origin not allowed: https://good.test:8443 | origin_not_allowed | /l2 | Origin: https://good.test:8443
		403 Origin not allowed: https://a.good.test | origin_not_allowed | /l2 | Origin: https://a.good.test
		403 Origin not allowed: null | origin_not_allowed | /l2 | Origin: null
		101 | - | /l2  | Origin: https://good.test
		101 | - | /eth | Origin: https://Good.Test:443
	E
	# what a 403 repeats is text, and no more of it than there is
	guest <<-'E'
		r = http('/healthz')
		try:
		    Tunnel(headers=['Origin: https://<script>alert(1)</script>'])
		except Refused as e:
		    assert e.reply.get('content-type') == 'text/plain; charset=utf-8'
		    assert e.body == 'invalid Origin header: https://<script>alert(1)</script>', e.body
	E
}

@test "a star admits every origin that is one" {
	start --origin.allowed='*'
	upgrades <<-'E'
		403 missing Origin header | origin_missing | /l2
		403 invalid Origin header: multiple values | origin_invalid | /l2 | Origin: https://a.test | Origin: https://a.test
		403 invalid Origin header: nonsense | origin_invalid | /l2 | Origin: nonsense
		403 invalid Origin header: https://a.test/path | origin_invalid | /l2 | Origin: https://a.test/path
		101 | - | /l2 | Origin: null
		101 | - | /l2 | Origin: https://any.test:1234
	E
}

@test "null must be listed" {
	start --origin.allowed=null,https://a.test
	upgrades <<-'E'
		101 | - | /l2 | Origin: null
		403 invalid Origin header: Null | origin_invalid | /l2 | Origin: Null
	E
}

@test "the list is normalised too, the old alias and the extra list count" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_ALLOWED_ORIGINS=',,' ALLOWED_ORIGINS='HTTPS://ALLOWED.TEST:443/, http://b.test:80' \
		AERO_L2_ALLOWED_ORIGINS_EXTRA=',http://EXTRA.test:8080'
	upgrades <<-'E'
		101 | - | /l2 | Origin: https://allowed.test
		101 | - | /l2 | Origin: http://b.test
		101 | - | /l2 | Origin: http://extra.test:8080
		403 Origin not allowed: http://extra.test | origin_not_allowed | /l2 | Origin: http://extra.test
	E
}

@test "the extra list alone ends the same-host rule" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_ALLOWED_ORIGINS_EXTRA=,https://extra.test
	upgrades <<-'E'
		101 | - | /l2 | Origin: https://extra.test
		403 Origin not allowed: https://x.test | origin_not_allowed | /l2 | Host: x.test | Origin: https://x.test
	E
}

@test "without a list only the same host and port, whatever a proxy says" {
	start --host.trust-proxy-host=yes
	upgrades <<-'E'
		101 | - | /l2 | Host: app.test      | Origin: http://app.test
		101 | - | /l2 | Host: APP.test:80   | Origin: http://app.test
		101 | - | /l2 | Host: app.test      | Origin: https://app.test
		101 | - | /l2 | Host: app.test:443  | Origin: https://app.test
		101 | - | /l2 | Host: app.test:8090 | Origin: http://app.test:8090
		101 | - | /l2 | Host: [::1]:8090    | Origin: http://[0:0::1]:8090
		101 | - | /l2 | Host: 127.0.0.1:80  | Origin: http://127.1
		403 Origin not allowed: http://app.test      | origin_not_allowed | /l2 | Host: app.test:443  | Origin: http://app.test
		403 Origin not allowed: https://app.test     | origin_not_allowed | /l2 | Host: app.test:80   | Origin: https://app.test
		403 Origin not allowed: http://app.test:8091 | origin_not_allowed | /l2 | Host: app.test:8090 | Origin: http://app.test:8091
		403 Origin not allowed: http://app.test      | origin_not_allowed | /l2 | Host: b.test | X-Forwarded-Host: app.test | Origin: http://app.test
		403 Origin not allowed: http://app.test      | origin_not_allowed | /l2 | Host: b.test | Forwarded: host=app.test | Origin: http://app.test
		403 Origin not allowed: http://app.test      | origin_not_allowed | /l2 | -Host | Origin: http://app.test
		403 Origin not allowed: null                 | origin_not_allowed | /l2 | Host: null | Origin: null
	E
}

@test "open: nobody looks, however odd" {
	start --origin.open=yes --origin.allowed=https://good.test
	upgrades <<-'E'
		101 | - | /l2
		101 | - | /l2 | Origin: nonsense
		101 | - | /l2 | Origin: https://bad.test | Origin: https://worse.test
	E
}

@test "normalisation: what is the same, and what is none" {
	start --origin.allowed=https://none.test
	guest <<-'E'
		same = [  # as sent, as named in the refusal
		    ('http://a.test', 'http://a.test'), ('  http://a.test  ', 'http://a.test'), ('HTTP://A.Test/', 'http://a.test'),
		    ('http://a.test:80', 'http://a.test'), ('http://a.test:080', 'http://a.test'), ('http://a.test:443', 'http://a.test:443'),
		    ('https://a.test:443/', 'https://a.test'), ('https://a.test:80', 'https://a.test:80'), ('http://a.test:65535', 'http://a.test:65535'),
		    ('http://a', 'http://a'), ('http://a_b.test', 'http://a_b.test'), ('http://a.test.', 'http://a.test.'),
		    ('http://127.0.0.1', 'http://127.0.0.1'), ('http://0x7f.1', 'http://127.0.0.1'), ('http://2130706433', 'http://127.0.0.1'),
		    ('http://0177.0.0.1', 'http://127.0.0.1'), ('http://127.1.', 'http://127.0.0.1'), ('http://1.2.3', 'http://1.2.0.3'),
		    ('http://0XFFFFFFFF', 'http://255.255.255.255'),
		    ('http://[::1]', 'http://[::1]'), ('http://[0:0:0:0:0:0:0:1]:80', 'http://[::1]'), ('http://[2001:DB8::0:1]', 'http://[2001:db8::1]'),
		    ('http://[1:0:0:2:0:0:0:3]', 'http://[1:0:0:2::3]'), ('http://[1:0:0:2:3:0:0:4]', 'http://[1::2:3:0:0:4]'),
		    ('http://[1:0:2:3:4:5:6:7]', 'http://[1:0:2:3:4:5:6:7]'), ('http://[::ffff:1.2.3.4]', 'http://[::ffff:102:304]'),
		    ('http://[::]', 'http://[::]'), ('http://xn--bcher-kva.test', 'http://xn--bcher-kva.test'),
		    ('http://1.2.3.a', 'http://1.2.3.a'), ('http://a.1b', 'http://a.1b'), ("http://a!$&'()*+;=~.test", "http://a!$&'()*+;=~.test")]
		none = ['a.test', '//a.test', 'http:a.test', 'http:/a.test', 'http://', 'http:///', 'http:///a.test', 'https:////a.test',
		        'ws://a.test', 'wss://a.test', 'file:///x', 'ftp://a.test', 'http//a.test', 'null/', 'NULL', 'http://a.test//',
		        'http://a.test/x', 'http://a.test/?', 'http://a.test?', 'http://a.test?x', 'http://a.test#', 'http://a.test/#x',
		        'http://u@a.test', 'http://u:p@a.test', 'http://@a.test', 'http://a.test:', 'http://a.test:/', 'http://a.test:x', 'http://:80',
		        'http://a.test:0', 'http://a.test:65536', 'http://a.test:99999999999', 'http://a.test:-1', 'http://a.test:+80', 'http://a.test:8 0',
		        'http://a b.test', 'http://a%20b', 'http://%61.test', 'http://a.test,http://b.test', 'http://{a}', 'http://a}', 'http://a\\b', 'http:\\\\a.test',
		        'http://a`', 'http://a<b', 'http://a>b', 'http://a[b', 'http://a]b', 'http://a^b', 'http://a|b',
		        'http://1.2.3.256', 'http://1.2.3.4.5', 'http://256.256.256.256', 'http://4294967296', 'http://1.2.3.08', 'http://a.1', 'http://a.0x1', 'http://1..2',
		        'http://[::1', 'http://::1', 'http://[::1]x', 'http://[1.2.3.4]', 'http://[]', 'http://[::g]', 'http://[1:2:3:4:5:6:7]', 'http://[1::2::3]',
		        'http://[12345::]', 'http://[::1%25eth0]', 'http://[::1%eth0]', 'http://[::ffff:1.2.3]', 'http://[1:2:3:4:5:6:7:8:9]', 'http://a\tb']
		bad = []
		for sent, name in same:
		    want = '403 Origin not allowed: ' + name
		    got = '%d %s' % try_upgrade('/l2', ['Origin: ' + sent])
		    bad += [] if got == want else [(sent, got, want)]
		for sent in none:
		    want = '403 invalid Origin header: ' + sent
		    got = '%d %s' % try_upgrade('/l2', ['Origin: ' + sent])
		    bad += [] if got == want else [(sent, got, want)]
		assert not bad, '\n' + '\n'.join(map(repr, bad))
		m = metrics()
		assert m['l2_upgrade_reject_origin_not_allowed_total'] == m['l2_upgrade_rejected_total'] == len(same) + len(none)
	E
}

@test "a long Origin does not push the client's address out of the log" {
	aero_start --auth.mode=none --auth.insecure-allow-no-auth=yes --origin.allowed=http://a.test
	guest <<-'E'
		for text in ('x' * 3900, '\\"' * 1900, '\xff' * 3900):
		    assert try_upgrade('/l2', ['Origin: ' + text, 'Host: ' + text])[0] in (400, 403)
	E
	[ "$(grep -c 'reason=.*client_ip=127.0.0.1 client_ip_source=ConnectInfo' "$BATS_TEST_TMPDIR/aero.err")" = 3 ]
}

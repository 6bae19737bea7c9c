#!/usr/bin/env python3
"""A client of the Ethernet tunnel for black-box tests: WebSocket, tunnel messages, a small guest.

Tests import everything (`from l2 import *`); the server is named by AERO_PORT and AERO_PID.
As a program: `l2.py upgrades < TABLE`, see upgrades()."""
import base64
import hashlib
import hmac
import json
import os
import re
import select
import signal
import socket
import struct
import sys
import threading
import time

from pkt import *  # noqa: F401,F403: tests get it all from here

PORT = int(os.environ.get('AERO_PORT') or 0)
PID = int(os.environ.get('AERO_PID') or 0)
PROTOCOL = 'aero-l2-tunnel-v1'
FRAME, PING, PONG, ERROR = 0, 1, 2, 0x7f
TEXT, BINARY, CLOSE, WS_PING, WS_PONG = 1, 2, 8, 9, 10
COUNTED = re.compile(r'reject|auth|denied|ip_limit')


# --- HTTP -----------------------------------------------------------------------------------------

def connect(port=None, host='127.0.0.1', rcvbuf=None):
    s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    s.settimeout(5)
    s.connect((host, port or PORT))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


class Reply:
    """One HTTP response read from a socket; body by Content-Length."""

    def __init__(self, sock, head_only=False, rest=b''):
        b = rest
        while b'\r\n\r\n' not in b:
            d = sock.recv(65536)
            if not d:
                raise EOFError('connection ended inside a response head: %r' % b)
            b += d
        head, self.rest = b.split(b'\r\n\r\n', 1)
        lines = head.decode('latin-1').split('\r\n')
        self.line, self.status = lines[0], int(lines[0].split()[1])
        self.headers = [(k.strip().lower(), v.strip()) for k, v in (x.split(':', 1) for x in lines[1:])]
        n = int(self.get('content-length') or 0)
        if head_only or self.status in (101, 204, 304):
            n = 0
        while len(self.rest) < n:
            d = sock.recv(65536)
            if not d:
                raise EOFError('connection ended inside a body')
            self.rest += d
        self.body, self.rest = self.rest[:n].decode('latin-1'), self.rest[n:]

    def get(self, name):
        found = [v for k, v in self.headers if k == name.lower()]
        return found[0] if found else None


def http(path, method='GET', headers=(), port=None):
    with connect(port) as s:
        lines = ''.join('%s\r\n' % h for h in headers)
        s.sendall(('%s %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n%s\r\n' % (method, path, lines)).encode())
        return Reply(s, method == 'HEAD')


def metrics(port=None):
    out = {}
    for line in http('/metrics', port=port).body.splitlines():
        if not line.startswith('#'):
            name, value = line.rsplit(' ', 1)
            out[name] = int(value)
    return out


def metric(name, port=None):
    return metrics(port)[name]


def until(what, seconds=5.0, why=''):
    """Polls until `what()` is true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        got = what()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError('not within %.1f s: %s' % (seconds, why or what))
        time.sleep(0.02)


def wait_metric(name, value, seconds=5.0):
    seen = [None]

    def reached():
        try:
            seen[0] = metric(name)
        except OSError:  # it went to a worker that has just died
            return False
        return seen[0] == value
    try:
        until(reached, seconds)
    except AssertionError:
        raise AssertionError('%s is %r, wanted %r' % (name, seen[0], value)) from None


def upgrade_request(path='/l2', headers=(), method='GET', version='1.1', protocol=PROTOCOL):
    """headers: 'Name: value' replaces a default of that name (later ones add), '-Name' removes."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [('Host', 'x.test'), ('Connection', 'Upgrade'), ('Upgrade', 'websocket'),
             ('Sec-WebSocket-Version', '13'), ('Sec-WebSocket-Key', key),
             ('Sec-WebSocket-Protocol', protocol)]
    replaced = set()
    for h in headers:
        name = h[1:].lower() if h.startswith('-') else h.split(':', 1)[0].lower()
        if name not in replaced:
            replaced.add(name)
            lines = [x for x in lines if x[0].lower() != name]
        if not h.startswith('-'):
            lines.append(tuple(x.strip(' ') for x in h.split(':', 1)))
    text = '%s %s HTTP/%s\r\n' % (method, path, version)
    return (text + ''.join('%s: %s\r\n' % x for x in lines) + '\r\n').encode('latin-1'), key


# --- WebSocket and tunnel -------------------------------------------------------------------------

class Refused(Exception):
    def __init__(self, reply):
        super().__init__('%d %s' % (reply.status, reply.body))
        self.status, self.body, self.reply = reply.status, reply.body, reply


class Closed(Exception):
    """The server's Close: code (1005 without one) and reason; or EOF: code None."""

    def __init__(self, code, reason=''):
        super().__init__('closed %s %r' % (code, reason))
        self.code, self.reason = code, reason


class Tunnel:
    def __init__(self, path='/l2', headers=(), token=None, port=None, rcvbuf=None, early=b'', **kw):
        if token:
            kw['protocol'] = '%s, aero-l2-token.%s' % (PROTOCOL, token)
        self.s = connect(port, rcvbuf=rcvbuf, **({'host': kw.pop('host')} if 'host' in kw else {}))
        request, key = upgrade_request(path, headers, **kw)
        self.s.sendall(request + early)
        self.reply = Reply(self.s, kw.get('method') == 'HEAD')
        if self.reply.status != 101:
            self.s.close()
            raise Refused(self.reply)
        accept = hashlib.sha1((key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').encode()).digest()
        assert self.reply.get('sec-websocket-accept') == base64.b64encode(accept).decode()
        self.b, self.parts, self.queue, self.errors = self.reply.rest, b'', [], []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.s.close()

    # sending
    @staticmethod
    def ws_bytes(op, payload=b'', fin=True, mask=True, rsv=0):
        head = bytes([(0x80 if fin else 0) | rsv | op])
        bit, n = 0x80 if mask else 0, len(payload)
        if n < 126:
            head += bytes([bit | n])
        elif n < 65536:
            head += bytes([bit | 126]) + struct.pack('>H', n)
        else:
            head += bytes([bit | 127]) + struct.pack('>Q', n)
        if not mask:
            return head + payload
        key = os.urandom(4)
        pad = (key * (n // 4 + 1))[:n]
        masked = (int.from_bytes(payload, 'big') ^ int.from_bytes(pad, 'big')).to_bytes(n, 'big')
        return head + key + masked

    def ws(self, op, payload=b'', **kw):
        self.s.sendall(self.ws_bytes(op, payload, **kw))

    def msg(self, kind, payload=b'', flags=0):
        self.ws(BINARY, bytes([0xa2, 3, kind, flags]) + payload)

    def frame(self, *frames):
        self.s.sendall(b''.join(self.ws_bytes(BINARY, b'\xa2\x03\0\0' + f) for f in frames))

    def text(self, s=''):
        self.ws(TEXT, s.encode())

    # receiving
    def _need(self, n, end):
        while len(self.b) < n:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.s.settimeout(left)
            try:
                d = self.s.recv(262144)
            except ConnectionResetError:
                raise Closed(None, 'reset')
            except socket.timeout:
                raise TimeoutError
            if not d:
                raise Closed(None, 'eof')
            self.b += d

    def ws_recv(self, timeout=3.0):
        """The next WebSocket frame: (op, payload)."""
        end = time.monotonic() + timeout
        self._need(2, end)
        assert not self.b[1] & 0x80, 'the server masks'
        assert self.b[0] & 0xf0 == 0x80, 'fragmented, or reserved bits'
        n, at = self.b[1] & 127, 2
        if n == 126:
            self._need(4, end)
            n, at = struct.unpack('>H', self.b[2:4])[0], 4
        elif n == 127:
            self._need(10, end)
            n, at = struct.unpack('>Q', self.b[2:10])[0], 10
        self._need(at + n, end)
        op, payload, self.b = self.b[0] & 15, self.b[at:at + n], self.b[at + n:]
        return op, payload

    def recv(self, timeout=3.0):
        """The next tunnel message (kind, payload); raises Closed at the server's Close."""
        while True:
            op, payload = self.ws_recv(timeout)
            if op == CLOSE:
                code = struct.unpack('>H', payload[:2])[0] if payload else 1005
                raise Closed(code, payload[2:].decode())
            if op == BINARY:
                assert payload[:2] == b'\xa2\x03' and payload[3] == 0, payload[:4]
                return payload[2], payload[4:]

    def wait(self, match, timeout=3.0):
        """The first received frame that `match`es, as a Pkt; others wait for later calls."""
        for i, p in enumerate(self.queue):
            if match(p):
                return self.queue.pop(i)
        end = time.monotonic() + timeout
        while True:
            try:
                kind, payload = self.recv(end - time.monotonic())
            except TimeoutError:
                raise AssertionError('no such frame; instead: %r' % self.queue) from None
            if kind == FRAME:
                p = Pkt(payload)
                if match(p):
                    return p
                self.queue.append(p)
            else:
                self.errors.append((kind, payload))

    def message(self, kind, timeout=3.0):
        """The payload of the next message of that kind; frames are kept."""
        end = time.monotonic() + timeout
        while True:
            got, payload = self.recv(end - time.monotonic())
            if got == kind:
                return payload
            if got == FRAME:
                self.queue.append(Pkt(payload))

    def never(self, match, seconds=0.3):
        try:
            p = self.wait(match, seconds)
        except AssertionError:
            return
        raise AssertionError('unexpected: %r' % p)

    def sync(self):
        """Returns once everything sent so far was processed."""
        nonce = os.urandom(8)
        self.msg(PING, nonce)
        until(lambda: self.message(PONG) == nonce)

    def end(self, timeout=3.0):
        """Reads until the server's Close: (code, reason, ERROR messages as (code, text))."""
        errors, end = [], time.monotonic() + timeout
        try:
            while True:
                kind, payload = self.recv(end - time.monotonic())
                if kind == ERROR:
                    errors.append(read_error(payload))
        except Closed as c:
            return c.code, c.reason, errors

    def close(self, code=1000):
        """An orderly end: our Close, the server's echo, its FIN."""
        self.ws(CLOSE, struct.pack('>H', code) if code else b'')
        got = self.end()
        assert got[0] == (code or 1005), got
        self.s.settimeout(3)
        assert self.s.recv(1) == b'', 'data after Close'
        self.s.close()


def read_error(payload):
    if len(payload) < 4:
        return (None, payload)
    code, n = struct.unpack('>HH', payload[:4])
    assert len(payload) == 4 + n, 'ERROR of %d bytes says %d' % (len(payload), n)
    return (code, payload[4:].decode())


def is_kind(kind, **fields):
    return lambda p: p.kind == kind and all(getattr(p, k) == v for k, v in fields.items())


# --- a guest --------------------------------------------------------------------------------------

class Guest(Tunnel):
    """A tunnel whose guest has an address without asking for it."""
    next_port = 40000

    def arp(self):
        self.frame(arp())
        return self.wait(is_kind('arp', op=2))

    def port(self):
        Guest.next_port = 40000 + (Guest.next_port - 39999) % 20000
        return Guest.next_port

    def dhcp_exchange(self, message, count=2):
        """Sends a DHCP message and returns the `count` answers, as (packet, Dhcp)."""
        self.frame(message)
        got = [self.wait(is_kind('udp', sport=67, dport=68)) for _ in range(count)]
        return [(p, Dhcp(p.data)) for p in got]

    def dns_raw(self, query, sport=None, timeout=4.0, **kw):
        sport = sport or self.port()
        self.frame(udp(sport, 53, query, **kw))
        p = self.wait(is_kind('udp', sport=53, dport=sport), timeout)
        assert p.src == GATEWAY
        return Dns(p.data)

    def dns(self, name, kind='A', timeout=4.0, **kw):
        r = self.dns_raw(dns_query(name, kind, **kw), timeout=timeout)
        assert r.id == 0x1234 and r.flags & 0x8000 and r.counts[0] == 1, r.raw.hex()
        return r

    def ping(self, dst=GATEWAY, ident=7, seq=1, data=b'ping', timeout=3.0, **kw):
        self.frame(echo(ident, seq, data, dst=dst, **kw))
        return self.wait(is_kind('icmp', type=0, id=ident, seq=seq), timeout)

    def udp(self, dst, dport, data, sport=None, **kw):
        sport = sport or self.port()
        self.frame(udp(sport, dport, data, dst=dst, **kw))
        return sport

    def tcp(self, dst, dport, **kw):
        return Conn(self, dst, dport, **kw).open()


class Conn:
    """A guest's TCP connection, byte by byte under the test's control."""

    def __init__(self, guest, dst, dport, sport=None, isn=1000, opts=b'\2\4\5\xb4', src=GUEST, win=65535):
        self.g, self.dst, self.dport, self.src = guest, dst, dport, src
        self.sport = sport or guest.port()
        self.isn, self.snd, self.rcv, self.opts, self.win = isn, isn + 1, 0, opts, win
        self.ended = False

    def seg(self, flags, data=b'', seq=None, ack=None, **kw):
        kw.setdefault('win', self.win)
        self.g.frame(tcp(self.sport, self.dport, self.snd if seq is None else seq,
                         self.rcv if ack is None else ack, flags, data, self.src, self.dst, **kw))

    def mine(self, match=lambda p: True):
        return lambda p: (p.kind == 'tcp' and p.sport == self.dport and p.dport == self.sport
                          and p.src == self.dst and p.dst == self.src and match(p))

    def wait(self, match=lambda p: True, timeout=3.0):
        return self.g.wait(self.mine(match), timeout)

    def never(self, match=lambda p: True, seconds=0.3):
        self.g.never(self.mine(match), seconds)

    def syn(self):
        self.seg(SYN, seq=self.isn, ack=0, opts=self.opts)
        return self

    def synack(self, timeout=3.0):
        p = self.wait(lambda p: p.flags & SYN, timeout)
        assert p.flags == SYN | ACK and p.ack == self.isn + 1 & 0xffffffff, p
        self.synack_pkt, self.rcv = p, p.seq + 1 & 0xffffffff
        return p

    def open(self):
        self.syn().synack()
        self.seg(ACK)
        return self

    def send(self, data, **kw):
        self.seg(ACK | PSH, data, **kw)
        self.snd += len(data)
        return self

    def acked(self, timeout=3.0):
        """Until everything sent so far is acknowledged."""
        return self.wait(lambda p: p.flags & ACK and p.ack == self.snd & 0xffffffff, timeout)

    def recv(self, n, timeout=3.0, ack=True):
        """n bytes, in order; each segment is acknowledged."""
        out = b''
        while len(out) < n:
            p = self.wait(lambda p: p.data, timeout)
            if p.seq != self.rcv:
                continue
            out += p.data
            self.rcv = self.rcv + len(p.data) & 0xffffffff
            if p.flags & FIN:
                self.rcv = self.rcv + 1 & 0xffffffff
                self.ended = True
            if ack:
                self.seg(ACK)
        return out

    def fin(self):
        self.seg(FIN | ACK)
        self.snd += 1
        return self

    def end(self, timeout=3.0):
        """Until the other side's FIN is acknowledged; it may have come with the last bytes."""
        if not self.ended:
            self.got_fin(timeout)

    def got_fin(self, timeout=3.0):
        p = self.wait(lambda p: p.flags & FIN, timeout)
        self.rcv = p.seq + len(p.data) + 1 & 0xffffffff
        self.seg(ACK)
        return p

    def got_rst(self, timeout=3.0):
        p = self.wait(lambda p: p.flags & RST, timeout)
        assert p.flags == RST | ACK, 'flags %#x' % p.flags
        return p

    def reset(self):
        self.seg(RST | ACK)


# --- the table of upgrades ------------------------------------------------------------------------

REASONS = {
    '-': '',
    'missing_credentials': 'reject_auth_missing auth_reject{missing_credentials} auth_failures',
    'invalid_api_key': 'reject_auth_invalid auth_reject{invalid_api_key} auth_failures',
    'invalid_cookie': 'reject_auth_invalid auth_reject{invalid_cookie} auth_failures',
    'invalid_jwt': 'reject_auth_invalid auth_reject{invalid_jwt} auth_failures',
    'jwt_origin_mismatch': 'reject_auth_invalid auth_reject{jwt_origin_mismatch} auth_failures',
    'origin_missing': 'reject_origin_missing',
    'origin_invalid': 'reject_origin_not_allowed',
    'origin_not_allowed': 'reject_origin_not_allowed',
    'host_missing': 'reject_host_missing',
    'host_invalid': 'reject_host_invalid',
    'host_not_allowed': 'reject_host_not_allowed',
    'ip_limit': 'ip_limit_exceeded',
    'max_connections': 'reject_max_connections',
    'max_connections_per_session':
        'reject_max_connections_per_session reject_max_tunnels_per_session session_connection_denied',
}


def counters_of(reason):
    names = set()
    for word in REASONS[reason].split():
        m = re.match(r'auth_reject\{(.*)\}', word)
        if m:
            names.add('l2_auth_reject_total{reason="%s"}' % m[1])
        elif word.startswith(('auth', 'session')):
            names.add('l2_%s_total' % word)
        else:
            names.add('l2_upgrade_%s_total' % word)
    if names:
        names.add('l2_upgrade_rejected_total')
    return names


def try_upgrade(path, headers, method='GET', **kw):
    """(status, body) of one attempt; a tunnel that opens is closed again."""
    try:
        t = Tunnel(path, headers, method=method, **kw)
    except Refused as r:
        if r.status != 405:
            assert r.reply.get('content-type') in ('text/plain; charset=utf-8', None), r.reply.headers
        for name in ('www-authenticate', 'retry-after', 'access-control-allow-origin'):
            assert r.reply.get(name) is None, name
        return r.status, r.body
    assert t.reply.get('sec-websocket-protocol') == PROTOCOL, t.reply.headers
    t.close()
    return 101, ''


def upgrades(lines):
    """Rows "STATUS BODY | REASON | PATH | HEADER | ...": each is tried, and its status, body and
    exactly the counters of its reason must be what it says. REASON "-" counts nothing."""
    bad, was = [], metrics()
    for n, line in enumerate(lines, 1):
        cells = [c.strip() for c in re.split(r' \| ', ' ' + line.strip() + ' ')]
        if not cells[0] or cells[0].startswith('#'):
            continue
        want, reason = cells[0], cells[1]
        status, body = try_upgrade(cells[2] if len(cells) > 2 else '/l2', cells[3:])
        now = metrics()
        moved = {k for k in now if COUNTED.search(k) and now[k] != was[k]}
        jumped = {k for k in moved if now[k] != was[k] + 1}
        was = now
        got = ('%d %s' % (status, body)).strip()
        if got != want:
            bad.append('row %d: %s\n  got:    %s' % (n, line.strip(), got))
        elif moved != counters_of(reason) or jumped:
            bad.append('row %d: %s\n  counted %s\n  wanted  %s' % (
                n, line.strip(), sorted(moved), sorted(counters_of(reason))))
    return bad


def table(text):
    wrong = upgrades(text.strip().splitlines())
    assert not wrong, '\n' + '\n'.join(wrong)


# --- credentials ----------------------------------------------------------------------------------

def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


def signed(text, secret):
    return text + '.' + b64u(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())


def now():
    return int(time.time())


def session(secret, sid='s1', exp=60, raw=None, **members):
    """A session cookie; exp in seconds from now; raw: the payload's JSON text instead."""
    if raw is None:
        raw = json.dumps({'v': 1, 'sid': sid, 'exp': now() + exp, **members})
    return signed(b64u(raw.encode()), secret)


def jwt(secret, exp=60, head=None, raw=None, drop=(), **claims):
    """A JWT; claims added to sid, iat and exp; head, raw: the parts' JSON texts instead."""
    if raw is None:
        all_ = {'sid': 'j1', 'iat': now(), 'exp': now() + exp, **claims}
        raw = json.dumps({k: v for k, v in all_.items() if k not in drop})
    head = '{"alg":"HS256","typ":"JWT"}' if head is None else head
    return signed(b64u(head.encode()) + '.' + b64u(raw.encode()), secret)


if __name__ == '__main__':
    if sys.argv[1:] != ['upgrades']:
        sys.exit('usage: l2.py upgrades < TABLE')
    wrong = upgrades(sys.stdin)
    print('\n'.join(wrong))
    sys.exit(1 if wrong else 0)

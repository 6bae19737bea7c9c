#!/usr/bin/env python3
"""Servers on loopback for guests to talk to, well and badly behaved.

As a program: `peer.py NAME...` starts one of each, prints NAME=port lines, then `ready`, and runs
until it is told to end. `dns=FILE` notes every question it gets in FILE.
As a module: the functions return sockets that are already bound to 127.0.0.1."""
import os
import socket
import struct
import sys
import threading
import time

from pkt import TYPES, dns_name


HELD = []  # sockets that only have to stay open


def bound(kind=socket.SOCK_STREAM, addr='127.0.0.1'):
    s = socket.socket(socket.AF_INET, kind)
    s.bind((addr, 0))
    return s


def listener(backlog=64, addr='127.0.0.1'):
    s = bound(addr=addr)
    s.listen(backlog)
    return s


def port_of(s):
    return s.getsockname()[1]


def closed_tcp():
    """Nobody listens, and nobody else can come to: connects are refused."""
    return bound()


def closed_udp():
    """A socket that hears one peer only: whatever others send it is refused by ICMP."""
    s, other = bound(socket.SOCK_DGRAM), bound(socket.SOCK_DGRAM)
    s.connect(other.getsockname())
    HELD.append(other)
    return s


def hole_tcp(addr='127.0.0.1'):
    """Its queue of connections is full for good: further SYNs get no answer at all."""
    s = listener(0, addr)
    for _ in range(3):
        c = socket.socket()
        c.setblocking(False)
        c.connect_ex(s.getsockname())
        HELD.append(c)
    HELD.append(s)
    time.sleep(0.05)  # the connects complete inside the kernel
    return s


def serve(sock, handle):
    """A thread for each connection to sock, for as long as the process lives."""
    def accept():
        while True:
            try:
                c, _ = sock.accept()
            except OSError:
                return
            threading.Thread(target=run, args=(c,), daemon=True).start()

    def run(c):
        with c:
            try:
                handle(c)
            except OSError:
                pass
    threading.Thread(target=accept, daemon=True).start()
    return sock


def echo(c):
    while True:
        d = c.recv(65536)
        if not d:
            return
        c.sendall(d)


def greet(c):
    c.sendall(b'220 hello\r\n')
    echo(c)


def udp_echo(sock=None, reply=lambda d: d):
    s = sock or bound(socket.SOCK_DGRAM)

    def run():
        while True:
            try:
                d, a = s.recvfrom(65536)
            except OSError:
                return
            s.sendto(reply(d), a)
    threading.Thread(target=run, daemon=True).start()
    return s


# --- a name server that does what its names say ---------------------------------------------------

def rr(name, kind, ttl, data):
    return dns_name(name) + struct.pack('>HHIH', TYPES[kind], 1, ttl, len(data)) + data


def rr_a(name, addr, ttl=60):
    return rr(name, 'A', ttl, socket.inet_aton(addr))


def rr_soa(zone='test', minimum=7):
    data = dns_name('ns.test') + dns_name('root.test') + struct.pack('>IIIII', 1, 60, 60, 60, minimum)
    return rr(zone, 'SOA', minimum, data)


def answer(name, kind):
    """(rcode, answers, authority) for a name; None = no reply at all."""
    first = name.lower().split('.')[0]
    if first == 'hole':
        return None
    if first in ('servfail', 'refused', 'notimp'):
        return ({'servfail': 2, 'refused': 5, 'notimp': 4}[first], [], [])
    if first.startswith('nx'):
        return (3, [], [rr_soa()])
    if kind != TYPES['A'] or first == 'nodata':
        return (0, [], [rr_soa()])
    if first.startswith('ttl'):
        return (0, [rr_a(name, '1.2.3.4', int(first[3:]))], [])
    addrs = {'many': ['1.1.1.%d' % i for i in range(1, 6)], 'private': ['10.1.2.3'],
             'loop': ['127.0.0.1'], 'mixed': ['10.1.2.3', '1.2.3.4'], 'testnet': ['203.0.113.9'],
             'meta': ['169.254.169.254']}.get(first, ['1.2.3.4'])
    if first == 'alias':
        return (0, [rr(name, 'CNAME', 60, dns_name('private.test')), rr_a('private.test', '10.1.2.3')], [])
    if first == 'chain':
        return (0, [rr(name, 'CNAME', 60, dns_name('end.test')), rr_a('end.test', '1.2.3.5', 30)], [])
    return (0, [rr_a(name, a) for a in addrs], [])


def dns_reply(query, over_tcp, note):
    at = 12
    labels = []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode('latin-1'))
        at += 1 + query[at]
    name, kind = '.'.join(labels), struct.unpack('>H', query[at + 1:at + 3])[0]
    note(name, kind, over_tcp)
    first = labels[0].lower() if labels else ''
    if first.startswith('slow'):
        time.sleep(0.3)
    got = answer(name, kind)
    if got is None:
        return None
    rcode, answers, authority = got
    flags = 0x8180 | rcode
    if first == 'trunc':
        if over_tcp:
            answers = [rr_a(name, '1.3.%d.%d' % (i // 200, i % 200 + 1)) for i in range(100)]
        else:
            flags, answers = flags | 0x200, []
    head = query[:2] + struct.pack('>HHHHH', flags, 1, len(answers), len(authority), 0)
    good = head + query[12:at + 5] + b''.join(answers) + b''.join(authority)
    return spoil(first, good, query[12:at + 5])


def spoil(first, good, question):
    """What a broken or hostile server sends instead; a list is sent one after the other."""
    evil = rr_a('x', '6.6.6.6')[3:]
    return {
        'wrongid': lambda: [bytes([good[0] ^ 1]) + good[1:2] + good[2:], good],
        'wrongname': lambda: [good[:12] + b'\3bad' + question[question.index(b'\0') - 5:] + evil, good],
        'noquestion': lambda: good[:4] + b'\0\0' + good[6:12] + good[12 + len(question):],
        'query': lambda: good[:2] + bytes([good[2] & 0x7f]) + good[3:],
        'stub': lambda: good[:7],
        'cut': lambda: good[:-3],
        'loopname': lambda: good[:12] + question + b'\xc0' + bytes([12 + len(question)]) + bytes(10) + good[:8],
        'noise': lambda: good[:12] + os.urandom(200),
        'manycount': lambda: good[:6] + b'\xff\xff\xff\xff\xff\xff' + good[12:],
        'stranger': lambda: good[:7] + b'\2' + good[8:] + rr_a('other.test', '6.6.6.6'),
    }.get(first, lambda: good)()


def dns_server(log):
    lock, out = threading.Lock(), open(log, 'a') if log else None

    def note(name, kind, over_tcp):
        with lock:
            if out:
                out.write('%s %d%s\n' % (name, kind, ' tcp' if over_tcp else ''))
                out.flush()

    while True:
        u, t = bound(socket.SOCK_DGRAM), socket.socket()
        t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            t.bind(u.getsockname())
            break
        except OSError:
            u.close()
    t.listen(16)

    def one(d, a):
        r = dns_reply(d, False, note)
        for m in r if isinstance(r, list) else [r] if r else []:
            u.sendto(m, a)

    def run():
        while True:
            d, a = u.recvfrom(65536)
            threading.Thread(target=one, args=(d, a), daemon=True).start()

    def over_tcp(c):
        f = c.makefile('rwb')
        while True:
            n = f.read(2)
            if len(n) < 2:
                return
            r = dns_reply(f.read(struct.unpack('>H', n)[0]), True, note)
            if r:
                f.write(struct.pack('>H', len(r)) + r)
                f.flush()
    serve(t, over_tcp)
    threading.Thread(target=run, daemon=True).start()
    return u


SERVICES = {
    'echo': lambda _: serve(listener(), echo),
    'greet': lambda _: serve(listener(), greet),
    'closed': lambda _: closed_tcp(),
    'hole': lambda _: hole_tcp(),
    'udp_echo': lambda _: udp_echo(),
    'udp_closed': lambda _: closed_udp(),
    'udp_hole': lambda _: bound(socket.SOCK_DGRAM),
    'dns': dns_server,
}

if __name__ == '__main__':
    parent, running = os.getppid(), []
    for word in sys.argv[1:]:
        name, _, arg = word.partition('=')
        running.append(SERVICES[name](arg))
        print('%s=%d' % (name, port_of(running[-1])))
    print('ready', flush=True)
    while os.getppid() == parent:  # nobody is left to end us: end
        time.sleep(1)

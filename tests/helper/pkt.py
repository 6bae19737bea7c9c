"""The guest's side of the wire: builds and reads frames, packets, DHCP and DNS messages.

Everything read is checked on the way: lengths, checksums, no trailing bytes."""
import socket
import struct

GATEWAY_MAC = bytes.fromhex('020000000001')
GUEST_MAC = bytes.fromhex('020000000099')
BROADCAST = b'\xff' * 6
GATEWAY, GUEST = '10.0.2.2', '10.0.2.15'
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
TYPES = {'A': 1, 'NS': 2, 'CNAME': 5, 'SOA': 6, 'PTR': 12, 'MX': 15, 'TXT': 16, 'AAAA': 28,
         'SRV': 33, 'OPT': 41, 'HTTPS': 65, 'ANY': 255}
TYPE_NAMES = {v: k for k, v in TYPES.items()}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)


def csum(data):
    if len(data) % 2:
        data += b'\0'
    total = sum(struct.unpack('>%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def a2n(addr):
    return socket.inet_aton(addr)


def eth(payload, ethertype=0x0800, dst=GATEWAY_MAC, src=GUEST_MAC):
    return dst + src + struct.pack('>H', ethertype) + payload


def arp(target=GATEWAY, sender=GUEST, op=1, sha=GUEST_MAC, dst=BROADCAST, htype=1, ptype=0x800,
        tha=bytes(6)):
    body = struct.pack('>HHBBH', htype, ptype, 6, 4, op) + sha + a2n(sender) + tha + a2n(target)
    return eth(body, 0x0806, dst, sha)


def ip4(proto, payload, src=GUEST, dst=GATEWAY, ttl=64, ident=0, frag=0, tos=0, options=b'',
        mac=GUEST_MAC, to=GATEWAY_MAC, pad=b''):
    """An Ethernet frame with an IPv4 packet; no DF and id 0, as old probes send them."""
    ihl = 5 + len(options) // 4
    head = struct.pack('>BBHHHBBH4s4s', 0x40 | ihl, tos, ihl * 4 + len(payload), ident, frag, ttl,
                       proto, 0, a2n(src), a2n(dst)) + options
    head = head[:10] + struct.pack('>H', csum(head)) + head[12:]
    return eth(head + payload + pad, dst=to, src=mac)


def pseudo(src, dst, proto, length):
    return a2n(src) + a2n(dst) + struct.pack('>BBH', 0, proto, length)


def udp_body(sport, dport, data, src=GUEST, dst=GATEWAY, sum_=True):
    head = struct.pack('>HHHH', sport, dport, 8 + len(data), 0)
    c = csum(pseudo(src, dst, 17, 8 + len(data)) + head + data) or 0xffff
    return head[:6] + struct.pack('>H', c if sum_ else 0) + data


def udp(sport, dport, data, src=GUEST, dst=GATEWAY, **kw):
    return ip4(17, udp_body(sport, dport, data, src, dst, kw.pop('sum_', True)), src, dst, **kw)


def tcp(sport, dport, seq, ack, flags, data=b'', src=GUEST, dst=GATEWAY, win=65535, opts=b'',
        urg=0, spoil=0, **kw):
    opts += b'\1' * (-len(opts) % 4)
    head = struct.pack('>HHIIBBHHH', sport, dport, seq & 0xffffffff, ack & 0xffffffff,
                       (20 + len(opts)) // 4 << 4, flags, win, 0, urg) + opts
    c = csum(pseudo(src, dst, 6, len(head) + len(data)) + head + data) ^ spoil
    return ip4(6, head[:16] + struct.pack('>H', c) + head[18:] + data, src, dst, **kw)


def icmp(kind, code, rest, data=b'', src=GUEST, dst=GATEWAY, **kw):
    body = struct.pack('>BBH', kind, code, 0) + rest + data
    body = body[:2] + struct.pack('>H', csum(body)) + body[4:]
    return ip4(1, body, src, dst, **kw)


def echo(ident, seq, data=b'', **kw):
    return icmp(8, 0, struct.pack('>HH', ident, seq), data, **kw)


# --- reading --------------------------------------------------------------------------------------

class Pkt:
    """A received frame; fields by protocol. kind: arp, udp, tcp, icmp, frag or other."""

    def __init__(self, frame):
        assert len(frame) >= 14, 'runt frame'
        self.frame, self.kind = frame, 'other'
        self.eth_dst, self.eth_src = frame[:6], frame[6:12]
        self.ethertype, = struct.unpack('>H', frame[12:14])
        if self.ethertype == 0x0806:
            self._arp(frame[14:])
        elif self.ethertype == 0x0800:
            self._ip(frame[14:])

    def __repr__(self):
        skip = ('frame', 'packet', 'eth_dst', 'eth_src')
        return 'Pkt(%s)' % ', '.join('%s=%r' % i for i in vars(self).items() if i[0] not in skip)

    def _arp(self, b):
        self.kind = 'arp'
        assert len(b) == 28, 'ARP of %d bytes' % len(b)
        self.htype, self.ptype, self.hlen, self.plen, self.op = struct.unpack('>HHBBH', b[:8])
        self.sha, self.spa = b[8:14], socket.inet_ntoa(b[14:18])
        self.tha, self.tpa = b[18:24], socket.inet_ntoa(b[24:28])

    def _ip(self, b):
        assert len(b) >= 20 and b[0] == 0x45, 'IPv4 head %s' % b[:1].hex()
        assert csum(b[:20]) == 0, 'IPv4 checksum'
        self.packet = b
        self.tos, total, self.ident, frag, self.ttl, self.proto = struct.unpack('>xBHHHBB', b[:10])
        assert total == len(b), 'IPv4 length %d of %d' % (total, len(b))
        self.src, self.dst = socket.inet_ntoa(b[12:16]), socket.inet_ntoa(b[16:20])
        self.df, self.mf, self.offset = bool(frag & 0x4000), bool(frag & 0x2000), (frag & 0x1fff) * 8
        body = b[20:]
        if self.mf or self.offset:
            self.kind, self.body = 'frag', body
        else:
            {17: self._udp, 6: self._tcp, 1: self._icmp}.get(self.proto, lambda b: None)(body)

    def _sum(self, body, name):
        assert csum(pseudo(self.src, self.dst, self.proto, len(body)) + body) == 0, name + ' checksum'

    def _udp(self, b):
        self.kind = 'udp'
        self.sport, self.dport, n, c = struct.unpack('>HHHH', b[:8])
        assert n == len(b), 'UDP length'
        assert c, 'UDP without checksum'
        self._sum(b, 'UDP')
        self.data = b[8:]

    def _tcp(self, b):
        self.kind = 'tcp'
        self._sum(b, 'TCP')
        self.sport, self.dport, self.seq, self.ack, off, self.flags, self.win, _, self.urg = \
            struct.unpack('>HHIIBBHHH', b[:20])
        n = (off >> 4) * 4
        self.data, self.options, opts = b[n:], {}, b[20:n]
        while opts and opts[0]:
            size = 1 if opts[0] == 1 else opts[1]
            if size > 1:
                self.options[opts[0]] = opts[2:size]
            opts = opts[size:]

    def _icmp(self, b):
        self.kind = 'icmp'
        assert csum(b) == 0, 'ICMP checksum'
        self.type, self.code, self.id, self.seq = struct.unpack('>BBxxHH', b[:8])
        self.data = b[8:]


# --- DHCP -----------------------------------------------------------------------------------------

DISCOVER, OFFER, REQUEST, DECLINE, DHCPACK, NAK, RELEASE, INFORM = range(1, 9)


def dhcp(kind, xid=0x1234, options=(), ciaddr='0.0.0.0', chaddr=GUEST_MAC, flags=0, src='0.0.0.0',
         dst='255.255.255.255', to=BROADCAST, op=1, htype=1, hlen=6, giaddr='0.0.0.0', cookie=True):
    """A client's message; options: pairs of number and bytes after option 53. kind None: no 53."""
    body = struct.pack('>BBBBIHH4s4s4s4s', op, htype, hlen, 0, xid, 0, flags, a2n(ciaddr), bytes(4),
                       bytes(4), a2n(giaddr)) + chaddr + bytes(10) + bytes(192)
    body += bytes.fromhex('63825363') if cookie else bytes(4)
    if kind is not None:
        body += bytes([53, 1, kind])
    for number, value in options:
        body += bytes([number, len(value)]) + value
    return udp(68, 67, body + b'\xff', src, dst, mac=chaddr, to=to)


class Dhcp:
    def __init__(self, data):
        self.raw = data
        assert len(data) >= 240 and data[236:240] == bytes.fromhex('63825363')
        (self.op, self.htype, self.hlen, self.hops, self.xid, self.secs,
         self.flags) = struct.unpack('>BBBBIHH', data[:12])
        self.ciaddr, self.yiaddr, self.siaddr, self.giaddr = \
            (socket.inet_ntoa(data[i:i + 4]) for i in (12, 16, 20, 24))
        self.chaddr, self.sname, self.file = data[28:44], data[44:108], data[108:236]
        self.options, self.order, b = {}, [], data[240:]
        while b[0] != 255:
            if b[0]:
                self.order.append(b[0])
                self.options[b[0]] = b[2:2 + b[1]]
                b = b[2 + b[1]:]
            else:
                b = b[1:]
        self.kind = self.options[53][0]


# --- DNS ------------------------------------------------------------------------------------------

def dns_name(name):
    labels = [x for x in name.split('.') if x]
    return b''.join(bytes([len(x)]) + x.encode('latin-1') for x in labels) + b'\0'


def dns_query(name, kind='A', ident=0x1234, flags=0x0100, edns=None, klass=1, do=False):
    """name: text, or bytes already in wire form. edns: the size to offer, None for no OPT."""
    number = TYPES.get(kind, kind)
    out = struct.pack('>HHHHHH', ident, flags, 1, 0, 0, 0 if edns is None else 1)
    out += (name if isinstance(name, bytes) else dns_name(name)) + struct.pack('>HH', number, klass)
    if edns is not None:
        out += b'\0' + struct.pack('>HHIH', TYPES['OPT'], edns, 0x8000 if do else 0, 0)
    return out


class Dns:
    """A parsed message. answers, authority, additional: lists of (name, type, ttl, rdata text)."""

    def __init__(self, msg):
        self.raw = msg
        self.id, self.flags, qd, an, ns, ar = struct.unpack('>HHHHHH', msg[:12])
        self.rcode, self.tc, self.aa = self.flags & 15, bool(self.flags & 0x200), bool(self.flags & 0x400)
        self.counts, at, self.edns, self.do = (qd, an, ns, ar), 12, None, False
        for _ in range(qd):
            start = at
            self.qname, at = self._name(at)
            self.qtype, = struct.unpack('>H', msg[at:at + 2])
            at += 4
            self.question = msg[start:at]
        self.answers, at = self._records(at, an)
        self.authority, at = self._records(at, ns)
        self.additional, at = self._records(at, ar)
        assert at == len(msg), 'trailing bytes in a DNS message'

    def _name(self, at):
        labels, end, hops = [], None, 0
        while True:
            n = self.raw[at]
            if n >= 0xc0:
                end = end or at + 2
                at = struct.unpack('>H', self.raw[at:at + 2])[0] & 0x3fff
                hops += 1
                assert hops < 64
            elif n:
                labels.append(self.raw[at + 1:at + 1 + n].decode('latin-1'))
                at += 1 + n
            else:
                return '.'.join(labels), end or at + 1

    def _records(self, at, count):
        out = []
        for _ in range(count):
            name, at = self._name(at)
            kind, klass, ttl, n = struct.unpack('>HHIH', self.raw[at:at + 10])
            at += 10
            if kind == TYPES['OPT']:
                self.edns, self.do = klass, bool(ttl & 0x8000)
            else:
                out.append((name, TYPE_NAMES.get(kind, kind), ttl, self._text(kind, at, n)))
            at += n
        return out, at

    def _text(self, kind, at, n):
        data = self.raw[at:at + n]
        if kind == TYPES['A']:
            return socket.inet_ntoa(data)
        if kind == TYPES['AAAA']:
            return socket.inet_ntop(socket.AF_INET6, data)
        if kind in (TYPES['CNAME'], TYPES['PTR'], TYPES['NS']):
            return self._name(at)[0]
        if kind == TYPES['MX']:
            return '%d %s' % (struct.unpack('>H', data[:2])[0], self._name(at + 2)[0])
        if kind == TYPES['SRV']:
            return '%d %d %d %s' % (*struct.unpack('>HHH', data[:6]), self._name(at + 6)[0])
        if kind == TYPES['TXT']:
            parts = []
            while data:
                parts.append(data[1:1 + data[0]].decode())
                data = data[1 + data[0]:]
            return ''.join(parts)
        return data.hex()

    def all(self, kind):
        return [rr[3] for rr in self.answers if rr[1] == kind]

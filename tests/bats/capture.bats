#!/usr/bin/env bats
# A pcapng file per tunnel.

load lib

teardown() { aero_teardown; }

setup() { export DIR=$BATS_TEST_TMPDIR/deep/er; }

# What every test here reads files with; blocks are checked as they are read.
lib=$(
	cat <<'E2'
import glob
SHB = bytes.fromhex('0a0d0d0a340000004d3c2b1a01000000ffffffffffffffff04000d006165726f2d6c322d70726f78790000000000000034000000')
IDB = bytes.fromhex('010000003000000001000000ffff0000020009006c322d74756e6e656c00000009000100090000000000000030000000')

def files():
    return sorted(glob.glob(os.environ['DIR'] + '/*'))

def size(path):
    return os.stat(path).st_size

def packets(path):
    """[(direction, time in ns, frame)], after the two headers byte for byte."""
    data, out = open(path, 'rb').read(), []
    assert data[:52] == SHB and data[52:100] == IDB, data[:100].hex()
    at = 100
    while at < len(data):
        kind, total, interface, high, low, cap, orig = struct.unpack('<IIIIIII', data[at:at + 28])
        assert kind == 6 and interface == 0 and cap == orig and total == 44 + (cap + 3) // 4 * 4
        frame, tail = data[at + 28:at + 28 + cap], data[at + 28 + cap:at + total]
        pad = -cap % 4
        assert tail[:pad] == bytes(pad)
        code, n, flags = struct.unpack('<HHI', tail[pad:pad + 8])
        assert (code, n) == (2, 4) and tail[pad + 8:pad + 12] == bytes(4)
        assert struct.unpack('<I', tail[pad + 12:])[0] == total
        out.append((flags, high << 32 | low, frame))
        at += total
    return out
E2
)

traced() { { printf '%s\n' "$lib"; cat; } | guest "$@"; }

@test "headers byte for byte, both directions, the file's name, a flush at the end" {
	aero_start "${OPEN[@]}" --capture.dir="$DIR" --capture.flush-interval=0
	traced <<-'E'
		begin = time.time_ns()
		g = Guest()
		name = os.path.basename(files()[0])
		assert re.fullmatch(r'\d{13}-session-1\.pcapng', name), name
		assert abs(int(name[:13]) - begin // 10**6) < 5000
		g.frame(arp())
		g.wait(is_kind('arp'))
		for n in (0, 1, 14, 59, 60, 61, 62, 63, 2048):
		    g.frame(bytes([n & 255]) * n)
		g.msg(PING, b'not a frame')
		g.msg(0x42, b'nor this')
		g.text('nor that')
		g.sync()
		assert size(files()[0]) in (0, 100)  # nothing is written but at the end
		g.close()
		got = until(lambda: size(files()[0]) > 100 and packets(files()[0]))
		assert [(d, len(f)) for d, _, f in got] == [(1, 42), (2, 42)] + [(1, n) for n in (0, 1, 14, 59, 60, 61, 62, 63, 2048)], got
		assert got[0][2] == arp() and got[-1][2] == b'\0' * 2048
		times = [t for _, t, _ in got]
		assert times == sorted(times) and begin - 10**9 < times[0] < time.time_ns() + 10**9
		m = metrics()
		assert m['l2_capture_frames_total'] == len(got) and m['l2_capture_bytes_total'] == size(files()[0]), m
		assert m['l2_capture_frames_dropped_total'] == m['l2_capture_errors_total'] == 0
		# the next tunnel has a file of its own
		Guest().close()
		until(lambda: len(files()) == 2 and size(files()[1]) == 100)
		assert '-session-2.' in files()[1]
	E
	[ "$(grep -c "info .*wrote capture file.*$DIR" "$BATS_TEST_TMPDIR/aero.err")" = 2 ]
	"$AERO" capture check "$DIR"/*-session-1.pcapng
}

@test "the header at once, packets after the interval, while the tunnel idles" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_CAPTURE_DIR="$DIR" AERO_L2_CAPTURE_FLUSH_INTERVAL_MS=100
	traced <<-'E'
		g = Guest()
		until(lambda: size(files()[0]) == 100, 1)
		g.frame(b'x' * 60)
		until(lambda: size(files()[0]) > 128, 2)
		assert packets(files()[0])[0][2] == b'x' * 60
		g.frame(b'y' * 60)
		until(lambda: len(packets(files()[0])) == 2, 2)
	E
}

@test "the cap: what would go over is dropped, and all behind it" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_CAPTURE_DIR="$DIR" AERO_L2_CAPTURE_MAX_BYTES=250
	traced <<-'E'
		g = Guest()
		g.frame(b'x' * 60, b'x' * 60, b'')  # 204 after the first; the empty one would still fit
		g.sync()
		assert metric('l2_capture_frames_dropped_total') == 2
		g.close()
		until(lambda: size(files()[0]) == 204, 2)
		m = metrics()
		assert (m['l2_capture_frames_total'], m['l2_capture_bytes_total'], m['l2_frames_rx_total']) == (1, 204, 3), m
		# one that is reached exactly is no reason to drop
		g = Guest()
		g.frame(b'x' * 60, b'x' * 2)
		g.sync()
		g.close()
		until(lambda: size(files()[1]) == 204 + 48 - 48, 2)
	E
}

@test "no cap" {
	legacy_start AERO_L2_AUTH_MODE=none AERO_L2_OPEN=1 AERO_L2_CAPTURE_DIR="$DIR" AERO_L2_CAPTURE_MAX_BYTES=0
	traced <<-'E'
		g = Guest()
		for _ in range(100):
		    g.frame(b'x' * 2048)
		g.close()
		until(lambda: len(packets(files()[0])) == 100)
	E
}

@test "frames that are too large for the tunnel are not in the file" {
	aero_start "${OPEN[@]}" --capture.dir="$DIR" --tunnel.max-frame-payload=300
	traced <<-'E'
		g = Guest()
		g.frame(dhcp(DISCOVER), arp())
		g.wait(is_kind('arp'))
		g.close()
		got = until(lambda: len(packets(files()[0])) >= 3 and packets(files()[0]))
		assert sorted(d for d, _, _ in got) == [1, 1, 2]
		assert metric('l2_frames_dropped_total') == 2
	E
}

@test "a directory that cannot be had costs the captures, not the service" {
	touch "$BATS_TEST_TMPDIR/file"
	aero_start "${OPEN[@]}" --capture.dir="$BATS_TEST_TMPDIR/file/x"
	traced <<-'E'
		Guest().arp()
		m = metrics()
		assert m['l2_capture_errors_total'] == 1 and m['l2_capture_frames_total'] == 0
	E
	grep -q 'warn .*capture' "$BATS_TEST_TMPDIR/aero.err"
}

@test "a file that cannot be made costs one tunnel its capture" {
	mkdir -p "$DIR"
	aero_start "${OPEN[@]}" --capture.dir="$DIR"
	mv "$DIR" "$DIR.away"
	traced <<-'E'
		Guest().arp()
		assert metric('l2_capture_errors_total') == 1
		os.rename(os.environ['DIR'] + '.away', os.environ['DIR'])
		g = Guest()
		g.arp()
		g.close()
		until(lambda: files() and len(packets(files()[0])) == 2)
		assert metric('l2_capture_errors_total') == 1
	E
}

@test "a disk that is full ends the capture, not the tunnel" {
	mkdir -p "$DIR"
	mount -t tmpfs -o size=64k tmpfs "$DIR" 2>/dev/null || skip "cannot mount a small disk here"
	aero_start "${OPEN[@]}" --capture.dir="$DIR" --capture.flush-interval=20ms
	traced <<-'E' || { umount -l "$DIR"; return 1; }
		g = Guest()
		for _ in range(100):
		    g.frame(b'x' * 2048)
		g.arp()
		wait_metric('l2_capture_errors_total', 1)
		g.arp()
		g.close()
	E
	umount -l "$DIR"
	grep -q 'warn .*capture' "$BATS_TEST_TMPDIR/aero.err"
}

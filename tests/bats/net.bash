# A small Internet in network namespaces, for tests with a real kernel as the guest:
#
#   guest $G            host $H                    router $R              world $W
#   TAP eth0  <-aero->  192.0.2.2  --veth--  192.0.2.1 | 198.51.100.1 --veth-- 198.51.100.2 (+ .3, .4)
#
# aero and `aero attach tap` run in $H. The documentation ranges are denied by default, so servers
# are started with ALLOW. 198.51.100.9 is a black hole, 203.0.113.1 has no route.

ALLOW=(--egress.allow=198.51.100.0/24,203.0.113.0/24)

net_up() {
	NET=aero$$x$BATS_TEST_NUMBER
	G=${NET}g H=${NET}h R=${NET}r W=${NET}w
	export G H R W
	local ns
	for ns in "$G" "$H" "$R" "$W"; do
		ip netns add "$ns"
		ip -n "$ns" link set lo up
		ip netns exec "$ns" sysctl -qw net.ipv4.tcp_congestion_control=reno net.ipv6.conf.all.disable_ipv6=1
	done
	ip netns exec "$H" sysctl -qw net.ipv4.ping_group_range='0 2147483647'
	ip netns exec "$R" sysctl -qw net.ipv4.ip_forward=1
	ip -n "$H" link add h0 type veth peer name r0 netns "$R"
	ip -n "$W" link add w0 type veth peer name r1 netns "$R"
	ip -n "$H" addr add 192.0.2.2/24 dev h0
	ip -n "$R" addr add 192.0.2.1/24 dev r0
	ip -n "$R" addr add 198.51.100.1/24 dev r1
	for a in 2 3 4; do ip -n "$W" addr add 198.51.100.$a/24 dev w0; done
	ip -n "$H" link set h0 up
	ip -n "$R" link set r0 up
	ip -n "$R" link set r1 up
	ip -n "$W" link set w0 up
	ip -n "$H" route add 198.51.100.0/24 via 192.0.2.1
	ip -n "$W" route add default via 198.51.100.1
	ip -n "$R" route add blackhole 198.51.100.9/32
	AERO_IN="ip netns exec $H"
}

net_down() {
	local ns
	for ns in "$G" "$H" "$R" "$W"; do
		[ -n "$ns" ] || continue
		ip netns pids "$ns" 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
		ip netns del "$ns" 2>/dev/null || true
	done
}

# The server's port is on the loopback of $H.
metric() { in_h curl -fsS "$AERO_HTTP/metrics" 2>/dev/null | awk -v n="$1" '$1 == n {print $2}'; }

in_g() { ip netns exec "$G" "$@"; }
in_h() { ip netns exec "$H" "$@"; }
in_w() { ip netns exec "$W" "$@"; }

# attach [flags...]: the guest's eth0, a TAP bridged to the server; up when this returns.
attach() {
	spawn attach ip netns exec "$H" "$AERO" attach tap eth0 --netns "$G" --up --url "$AERO_WS" "$@"
	ATTACH_PID=$spawned
	wait_line "$BATS_TEST_TMPDIR/attach.out" '^attached ' 10 >/dev/null
}

# lease: a real DHCP client in the guest; sets address, route and resolver of the namespace.
lease() {
	local script=$BATS_TEST_TMPDIR/udhcpc.sh
	cat >"$script" <<-'S'
		#!/bin/sh
		[ "$1" = bound ] || [ "$1" = renew ] || exit 0
		ip addr flush dev "$interface"
		ip addr add "$ip/${mask:-24}" dev "$interface"
		ip route add default via "$router"
		echo "lease ip=$ip router=$router dns=$dns lease=$lease"
	S
	chmod +x "$script"
	in_g udhcpc -i eth0 -n -q -t 5 -T 1 -f -s "$script"
}

# static address for tests that are not about DHCP
static_address() {
	ip -n "$G" addr add 10.0.2.15/24 dev eth0
	ip -n "$G" route add default via 10.0.2.2
}

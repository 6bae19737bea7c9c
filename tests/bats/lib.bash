# Shared by every Bats file: start and stop the server, make tokens, talk HTTP.
# Every process that a test starts is remembered and ended by pid; nothing waits by sleeping.

: "${AERO:=$BATS_TEST_DIRNAME/../../build/release/aero}"
: "${AERO_BUILD:=$(dirname "$AERO")}"
HELPERS=$AERO_BUILD/tests/helper
export AERO AERO_BUILD HELPERS
export ASAN_OPTIONS=detect_leaks=1:exitcode=99:${ASAN_OPTIONS:-}
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

aero_pids=()

# spawn NAME CMD...: background, output to $BATS_TEST_TMPDIR/NAME.{out,err}; pid in $spawned.
spawn() {
	local name=$1
	shift
	: >"$BATS_TEST_TMPDIR/$name.out" # at once: nobody shall read what an earlier one said
	: >"$BATS_TEST_TMPDIR/$name.err"
	"$@" >"$BATS_TEST_TMPDIR/$name.out" 2>"$BATS_TEST_TMPDIR/$name.err" 3>&- &
	spawned=$!
	aero_pids+=("$spawned")
}

# wait_line FILE REGEX [SECONDS [PID]]: until the file has such a line; prints it. Without that
# process there is nothing to wait for.
wait_line() {
	local file=$1 re=$2 limit=${3:-10} line
	[ -e "$file" ] || : >"$file"
	line=$(timeout "$limit" tail ${4:+--pid="$4" -s 0.2} -n +1 -f "$file" 2>/dev/null | grep -m1 -E -- "$re") || true
	if [ -z "$line" ]; then
		echo "no line matching '$re' in $file within $limit s:" >&2
		cat "$file" "${file%.out}.err" >&2 2>/dev/null
		return 1
	fi
	printf '%s\n' "$line"
}

# aero_start [flags...]: `aero serve l2` on an ephemeral port; sets AERO_PID AERO_WS AERO_HTTP AERO_PORT.
# Without flags about auth or origin it is open: tests of those say what they want.
aero_start() {
	local line
	spawn aero ${AERO_IN:-} "$AERO" serve l2 --server.listen=127.0.0.1:0 --server.workers=1 --ready-stdout "$@"
	AERO_PID=$spawned
	line=$(wait_line "$BATS_TEST_TMPDIR/aero.out" '^AERO_L2_PROXY_READY ' 15 "$AERO_PID") || return 1
	AERO_WS=${line#AERO_L2_PROXY_READY }
	AERO_HTTP=http${AERO_WS#ws}
	AERO_HTTP=${AERO_HTTP%/l2}
	AERO_PORT=${AERO_HTTP##*:}
}

OPEN=(--origin.open=yes --auth.mode=none)

# aero_stop: orderly end; the exit status and the sanitizers' silence are part of the test.
aero_stop() {
	local rc=0
	[ -n "${AERO_PID:-}" ] || return 0
	kill -TERM "$AERO_PID" 2>/dev/null || true
	wait "$AERO_PID" || rc=$?
	AERO_PID=
	if [ "$rc" -ne 0 ] || grep -qE 'ERROR: (Address|Leak)Sanitizer|runtime error:' "$BATS_TEST_TMPDIR/aero.err"; then
		echo "aero ended with $rc" >&2
		tail -n 60 "$BATS_TEST_TMPDIR/aero.err" >&2
		return 1
	fi
}

kill_all() {
	local p
	for p in "${aero_pids[@]}"; do
		kill -TERM "$p" 2>/dev/null || true
	done
	for p in "${aero_pids[@]}"; do
		timeout 5 tail --pid="$p" -s 0.05 -f /dev/null 2>/dev/null || kill -KILL "$p" 2>/dev/null || true
	done
	aero_pids=()
}

# In a test file: teardown() { aero_teardown; }
aero_teardown() {
	local rc=0
	aero_stop || rc=1
	kill_all
	return $rc
}

metric() { curl -fsS "$AERO_HTTP/metrics" | awk -v n="$1" '$1 == n {print $2}'; }

# wait_metric NAME VALUE [SECONDS]: polls /metrics until the value is reached or time is up.
wait_metric() {
	local end=$((SECONDS + ${3:-5})) v
	while v=$(metric "$1"); [ "$v" != "$2" ]; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "$1 is $v, wanted $2" >&2
			return 1
		fi
		read -rt 0.05 <> <(:) || true
	done
}

b64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
hmac() { openssl dgst -sha256 -hmac "$1" -binary | b64url; }

# session_token SECRET SID EXP_SECONDS_FROM_NOW
session_token() {
	local payload
	payload=$(printf '{"v":1,"sid":"%s","exp":%d}' "$2" $(($(date +%s) + $3)) | b64url)
	printf '%s.%s' "$payload" "$(printf %s "$payload" | hmac "$1")"
}

# jwt SECRET SID EXP_FROM_NOW [EXTRA_JSON_MEMBERS]
jwt() {
	local h p now
	now=$(date +%s)
	h=$(printf '{"alg":"HS256","typ":"JWT"}' | b64url)
	p=$(printf '{"sid":"%s","iat":%d,"exp":%d%s}' "$2" "$now" $((now + $3)) "${4:+,$4}" | b64url)
	printf '%s.%s.%s' "$h" "$p" "$(printf '%s.%s' "$h" "$p" | hmac "$1")"
}

# --- the old program's name and environment -------------------------------------------------------

# as_legacy: $LEGACY is a link named aero-l2-proxy.
as_legacy() {
	LEGACY=$BATS_TEST_TMPDIR/aero-l2-proxy
	ln -sf "$(realpath "$AERO")" "$LEGACY"
}

# legacy_start [NAME=value...] [-- flags...]: it serves on a free port of loopback.
legacy_start() {
	local env=() line
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		env+=("$1")
		shift
	done
	[ $# -eq 0 ] || shift
	as_legacy
	spawn aero env -i PATH="$PATH" ASAN_OPTIONS="$ASAN_OPTIONS" UBSAN_OPTIONS="$UBSAN_OPTIONS" \
		AERO_L2_PROXY_LISTEN_ADDR=127.0.0.1:0 AERO_SERVER_WORKERS=1 "${env[@]}" "$LEGACY" --ready-stdout "$@"
	AERO_PID=$spawned
	line=$(wait_line "$BATS_TEST_TMPDIR/aero.out" '^AERO_L2_PROXY_READY ' 15 "$AERO_PID") || return 1
	AERO_WS=${line#AERO_L2_PROXY_READY }
	AERO_HTTP=http${AERO_WS#ws}
	AERO_HTTP=${AERO_HTTP%/l2}
	AERO_PORT=${AERO_HTTP##*:}
}

# legacy_refuses REGEX NAME=value...: it ends at once with status 1 and says so.
legacy_refuses() {
	local re=$1 rc=0
	shift
	as_legacy
	timeout 10 env -i PATH="$PATH" ASAN_OPTIONS="$ASAN_OPTIONS" UBSAN_OPTIONS="$UBSAN_OPTIONS" \
		AERO_L2_PROXY_LISTEN_ADDR=127.0.0.1:0 "$@" "$LEGACY" >"$BATS_TEST_TMPDIR/refuses" 2>&1 || rc=$?
	if [ "$rc" -ne 1 ] || ! grep -qE -- "$re" "$BATS_TEST_TMPDIR/refuses"; then
		echo "$*: exit $rc, wanted 1 and /$re/" >&2
		cat "$BATS_TEST_TMPDIR/refuses" >&2
		return 1
	fi
}

# --- python -----------------------------------------------------------------------------------------

HELPER_PY=$BATS_TEST_DIRNAME/../helper
export PYTHONPATH=$HELPER_PY PYTHONPYCACHEPREFIX=$AERO_BUILD/pycache

# guest [args] <<-'E': a Python program over tests/helper/l2.py and peer.py against the server.
guest() {
	{
		echo 'from l2 import *; import peer'
		cat
	} >"$BATS_TEST_TMPDIR/guest.py"
	AERO_PORT=$AERO_PORT AERO_PID=$AERO_PID AERO_LOG=$BATS_TEST_TMPDIR/aero.err \
		timeout 40 python3 -S "$BATS_TEST_TMPDIR/guest.py" "$@"
}

# upgrades <<-E: a table of upgrade attempts, see tests/helper/l2.py.
upgrades() { AERO_PORT=$AERO_PORT timeout 40 python3 -S "$HELPER_PY/l2.py" upgrades; }

# peers NAME...: servers on loopback; sets PEER_<NAME> to their ports, see tests/helper/peer.py.
peers() {
	local name port
	spawn peers python3 -S "$HELPER_PY/peer.py" "$@"
	PEERS_PID=$spawned
	wait_line "$BATS_TEST_TMPDIR/peers.out" '^ready' 10 "$PEERS_PID" >/dev/null || return 1
	while IFS='=' read -r name port; do
		[ "$name" = ready ] || export "PEER_${name^^}=$port"
	done <"$BATS_TEST_TMPDIR/peers.out"
}

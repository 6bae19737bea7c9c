# Reads layers.txt, then sources: reports every #include that points up or opens a second door.
FNR == NR {
	if (/^#/ || !NF) next
	key = $1
	sub(/:$/, "", key)
	for (i = 2; i <= NF; i++) may[key, $i] = 1
	if (key ~ /^</) door[key] = 1
	else { folder[key] = 1; may[key, key] = 1 }
	next
}
/^#include/ {
	split(FILENAME, part, "/")
	here = part[1] == "lib" ? part[2] : part[1]
	inc = $2
	if (inc ~ /^</) {
		if (inc in door && !((inc, here) in may)) complain()
		next
	}
	gsub(/"/, "", inc)
	split(inc, to, "/")
	if (inc !~ /\//) to[1] = here
	if (!(to[1] in folder) || !((here, to[1]) in may)) complain()
}
function complain() {
	printf "%s:%d: %s may not include %s\n", FILENAME, FNR, here, $2
	bad = 1
}
END { exit bad }

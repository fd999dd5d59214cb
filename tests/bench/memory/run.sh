#!/usr/bin/env bash
# What memory a large job takes: MB (4096) megabytes of text are put and sorted by lines on NODES (3) nodes, with --mem MEM (64M) a
# task. The peaks of each mrnode and of all mrtasks are printed against what they were allowed, in MiB: anonymous memory (what a
# process holds) and mapped files (blocks and segments in the page cache, which the kernel takes back when it wants to).
# Usage: tests/bench/memory/run.sh   (MR_BUILD=build, MB=4096, NODES=3, MEM=64M, REDUCES=6, MAP=cat, REDUCE=cat). Peaks are looked for five times a second, and
# the kernel's own high-water marks are taken where it keeps them. Judges nothing.
. "$(dirname "$0")/../../lib/flock.sh"
MB=${MB:-4096} NODES=${NODES:-3} MEM=${MEM:-64M} REDUCES=${REDUCES:-6} MAP=${MAP:-cat} REDUCE=${REDUCE:-cat}
flock_begin bench_memory >/dev/null
for ((n = 1; n <= NODES; n++)); do flock_start "$n" || exit 1; done
flock_whole "$NODES" || exit 1
text "$DIR/text" "$MB"
sample() { # a line a process: kind anonymous files high-water, in KiB
  local n pid
  for ((n = 1; n <= NODES; n++)); do echo "node$n ${PID[$n]}"; done
  for pid in $(pgrep -x mrtask -P "$(IFS=,; echo "${PID[*]}")"); do echo "task $pid"; done | sort -u
}
watch() {
  while sleep 0.2; do
    sample | while read -r kind pid; do
      awk -v k="$kind" '/^RssAnon/ {a = $2} /^RssFile/ {f = $2} /^VmHWM/ {h = $2} END {if (h) print k, a, f, h}' \
        "/proc/$pid/status" 2>/dev/null
    done
  done >>"$DIR/samples"
}
watch &
watcher=$!
now() { date +%s.%N; }
long() { "$BUILD/mrctl" -n "$(at)" "$@"; } # ctl of a test gives up after some minutes
start=$(now)
long put -q "$DIR/text" text --replicas 1 || { echo "the put failed"; kill $watcher; exit 1; }
put=$(now)
long run -q -m "$MAP" -r "$REDUCE" -R "$REDUCES" -i data:text --mem "$MEM" --replicas 1 --name sorted >/dev/null 2>"$DIR/run.err" ||
  { echo "the job failed: $(tail -n 3 "$DIR/run.err")"; kill $watcher; exit 1; }
stop=$(now)
kill $watcher
wait $watcher 2>/dev/null
awk -v m="$MB" -v a="$start" -v b="$put" -v c="$stop" 'BEGIN {printf "%d MB: put %.0f s, sorted and printed %.0f s\n", m, b - a, c - b}'
awk -v mem="$MEM" '
  {if ($2 > a[$1]) a[$1] = $2; if ($3 > f[$1]) f[$1] = $3; if ($4 > h[$1]) h[$1] = $4; n[$1]++}
  END {for (k in n) printf "%-6s peak anonymous %7.1f MiB, mapped files %7.1f MiB, in all %7.1f MiB   allowed: %s\n", k, a[k] / 1024,
    f[k] / 1024, h[k] / 1024, k == "task" ? mem " for sorting and merging (--mem of the job), any of them" : "1G for its state (--mem of mrnode)"}' \
  "$DIR/samples" | sort

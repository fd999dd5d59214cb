#!/usr/bin/env bash
# What blocks cost: `put` beside cp and fsync, and how long it takes until all blocks are at R again after a kill.
# Usage: tests/bench/blocks/run.sh [MIB] [NODES]   (MR_BUILD=build). Prints MB/s and ratios; judges nothing.
# On one machine all copies share its disk and its processors: R copies can be no faster than cp at a third of its speed for R = 3.
. "$(dirname "$0")/../../lib/flock.sh"
MIB=${1:-128} NODES=${2:-4}
flock_begin bench_blocks >/dev/null
for ((n = 1; n <= NODES; n++)); do flock_start $n || exit 1; done
flock_whole "$NODES" || exit 1
text "$DIR/text" "$MIB"
now() { date +%s.%N; }
rate() { awk -v m="$MIB" -v a="$1" -v b="$2" 'BEGIN {printf "%7.2f s %8.1f MB/s\n", b - a, m * 1.048576 / (b - a)}'; }

start=$(now); cp "$DIR/text" "$DIR/copy"; sync -f "$DIR/copy"; stop=$(now)
printf 'cp and fsync            %s\n' "$(rate "$start" "$stop")"
floor=$(awk -v a="$start" -v b="$stop" 'BEGIN {print b - a}')
for r in 1 2 3; do
  start=$(now); ctl put -q "$DIR/text" "text-$r" --replicas $r || exit 1; stop=$(now)
  printf 'put, %d cop%s              %s, %s times cp\n' $r "$([ $r = 1 ] && echo y || echo ies)" "$(rate "$start" "$stop")" \
    "$(awk -v a="$start" -v b="$stop" -v f="$floor" 'BEGIN {printf "%.1f", (b - a) / f}')"
done
ctl rm text-1 text-2 >/dev/null

victim=$NODES
bytes=$(find "$DIR/node$victim/blocks" -type f -size +100k -printf '%s\n' | awk '{s += $1} END {print s + 0}')
dead=$(find "$DIR/node$victim/blocks" -type f -size +100k -printf '%f\n')
back() { # every block that the dead one had is on three of the others
  local block
  for block in $dead; do
    [ "$(find "$DIR"/node*/blocks -name "$block" -not -path "$DIR/node$victim/*" | wc -l)" -ge 3 ] || return 1
  done
}
flock_kill "$victim"
start=$(now); wait_for 120 back; status=$?; stop=$(now)
[ $status = 0 ] || { echo "not all blocks are back within 120 s"; exit 1; }
awk -v a="$start" -v b="$stop" -v s="$bytes" -v f="$floor" -v m="$MIB" 'BEGIN {
  printf "after a kill: all at R  %7.2f s for %.1f MB (%.1f MB/s), the time to know of the death included;\n", b - a, s / 1e6, s / 1e6 / (b - a)
  printf "                        the bytes at the speed of cp and fsync: %.2f s\n", f * s / (m * 1048576)}'

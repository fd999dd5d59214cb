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

# The floor of R copies: R times cp and fsync at once, to the same disk. What they cost in processor time beside that is printed, too:
# where it is near what the processors have to give in that time, they are the limit.
processor() { local p; for p in "${PID[@]}"; do cat "/proc/$p/stat"; done | sed 's/.*) //' | awk '{s += $12 + $13} END {print s / 100}'; }
# What a put leaves to be done later (blocks go to where they belong) is done.
rested() {
  local before; before=$(processor); sleep 1
  awk -v a="$before" -v b="$(processor)" 'BEGIN {exit b - a > 0.05}'
}
copy() { cp "$DIR/text" "$1" && sync "$1"; }
put_it() { # words for it, copies, put's arguments
  local words=$1 r=$2 before start stop client after; shift 2
  wait_for 60 rested
  before=$(processor); start=$(now)
  client=$( { TIMEFORMAT='%U %S'; time ctl put -q "$@" --replicas "$r"; } 2>&1) || exit 1
  stop=$(now); after=$(processor)
  printf '%-26s %s, %s\n' "$words" "$(rate "$start" "$stop")" \
    "$(awk -v a="$start" -v b="$stop" -v f="$floor" -v c="$client" -v x="$before" -v y="$after" -v n="$(nproc)" 'BEGIN {
      split(c, t, " "); used = t[1] + t[2] + y - x
      printf "%.1f times that; processor: mrctl %.2f s, nodes %.2f s, of %.2f s that %d had", (b - a) / f, t[1] + t[2], y - x, n * (b - a), n}')"
}
for r in 1 2 3; do
  sed -i "s/^./$r/" "$DIR/text" && sync "$DIR/text" # other blocks than before: none of them is there already
  start=$(now); copies=()
  for ((i = 1; i <= r; i++)); do copy "$DIR/copy$i" & copies+=($!); done
  wait "${copies[@]}"; stop=$(now)
  rm "$DIR"/copy*
  printf '%d times cp and fsync      %s\n' $r "$(rate "$start" "$stop")"
  floor=$(awk -v a="$start" -v b="$stop" 'BEGIN {print b - a}')
  [ $r = 1 ] && single=$floor
  put_it "put, $r cop$([ $r = 1 ] && echo y || echo ies)" $r "$DIR/text" "text-$r"
  [ $r = 1 ] || continue
  sed -i 's/^./p/' "$DIR/text" # what is no file is not lent, but sent
  put_it 'put out of a pipe, 1 copy' 1 - text-piped < <(cat "$DIR/text")
done
floor=$single
ctl rm text-1 text-2 text-piped >/dev/null

victim=$NODES
holders() { find "$DIR"/node*/blocks -name "$1" | wc -l; }
dead=$(find "$DIR/node$victim/blocks" -type f -size +100k -printf '%f\n' | while read -r block; do [ "$(holders "$block")" = 3 ] && echo "$block"; done)
bytes=$(for block in $dead; do find "$DIR/node$victim/blocks" -name "$block" -printf '%s\n'; done | awk '{s += $1} END {print s + 0}')
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

#!/usr/bin/env bash
# What it gains that parts of map outputs are fetched while other maps still run: the same job with and without (--prefetch 0),
# on three nodes whose networks are slow (RATE MB/s each way in, a firewall rule in a namespace of its own), RUNS times in turn.
# Usage: tests/bench/shuffle/run.sh   (MR_BUILD=build, RUNS=3, RATE=10, MB=48). Prints medians and a ratio; judges nothing.
# The maps wait a while each, as ones would that compute: without that, and with a fast network, there is little to overlap.
. "$(dirname "$0")/../../lib/netns.sh"
. "$(dirname "$0")/../../lib/flock.sh"
RUNS=${RUNS:-3} RATE=${RATE:-10} MB=${MB:-48}
flock_begin bench_shuffle >/dev/null
head -c $((MB * 720000)) /dev/urandom | base64 -w 76 >"$DIR/lines" # which do not shrink much
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
sum_of() { for n in 1 2 3; do AT=${ADDR[$n]} ctl ping -o json | jq ".metrics.$1"; done | awk '{s += $1} END {print s}'; }
begin() { # with that --prefetch
  rm -rf "$DIR"/node?
  for n in 1 2 3; do net_start $n --prefetch "$1" || exit 1; done
  flock_whole 3 || exit 1
  ctl put -q "$DIR/lines" lines --split 1M --replicas 3 || exit 1
  for n in 1 2 3; do
    nft add rule ip mr input ip daddr 127.0.1.$n ip saddr != 127.0.1.$n ip protocol tcp limit rate over "$RATE" mbytes/second burst 1 mbytes drop
  done
}
finish() { net_heal; for n in 1 2 3; do flock_kill $n; done; }
job() { ctl run -q -m 'sleep 0.5; cat' -r '@cat' -R 6 -i data:lines --replicas 1 >/dev/null; }
for ((i = 0; i < RUNS; i++)); do
  for size in 1G 0; do
    begin $size
    a=$EPOCHREALTIME; job; b=$EPOCHREALTIME
    awk -v a="$a" -v b="$b" 'BEGIN {printf "%.2f\n", b - a}' >>"$DIR/times.$size"
    echo "$(sum_of prefetched) $(sum_of prefetches_used)" >>"$DIR/counts.$size"
    finish
  done
done
with=$(median <"$DIR/times.1G") without=$(median <"$DIR/times.0")
awk -v w="$with" -v o="$without" -v r="$RATE" -v m="$MB" -v c="$(tail -n 1 "$DIR/counts.1G")" 'BEGIN {
  split(c, n); printf "shuffle of %d MB over %d MB/s a node: %.2f s with parts fetched ahead, %.2f s without: %.2f times as long; %d parts came ahead, %d of them were used\n", m, r, w, o, o / w, n[1], n[2]}'

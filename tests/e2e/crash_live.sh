#!/usr/bin/env bash
# kill -9 of a live node under load, ROUNDS times (10; ROUNDS=200 for the long run), each node in its turn; once it comes
# back from an old copy of its directory. Whatever was acknowledged is there at every node, and ends; no feed has forked.
#
#   submitter --> node A     node B     node C      the victim goes round; the submitter asks whoever lives
#
. "$(dirname "$0")/../lib/flock.sh"
flock_begin crash
rounds=${ROUNDS:-10}
SLOTS=1
for n in 1 2 3; do flock_start $n || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3
seq 1 200 >"$DIR/input.txt"
: >"$DIR/acknowledged"

submit_some() { # until the file is gone; each line of "acknowledged" is a job that somebody said is safe
  local nodes=$1 job
  while [ -e "$DIR/go" ]; do
    job=$(timeout 20 "$BUILD/mrctl" -n "$nodes" submit -q -m cat -i "$DIR/input.txt" </dev/null 2>>"$DIR/submit.err") &&
      echo "$job" | tail -n 1 >>"$DIR/acknowledged"
  done
}
touch "$DIR/go"
submit_some "${ADDR[1]}" &
first=$!
submit_some "${ADDR[2]}" &
second=$!

came_back=0
for ((round = 1; round <= rounds; round++)); do
  victim=$((round % 3 + 1))
  sleep "0.$((RANDOM % 9 + 1))"
  flock_kill $victim
  if [ $round = 2 ]; then rm -rf "$DIR/old" && cp -r "$DIR/node$victim" "$DIR/old" && old=$victim; fi
  if [ $round -gt 4 ] && [ "${old:-0}" = $victim ]; then # the copy of some rounds ago
    rm -rf "$DIR/node$victim" && cp -r "$DIR/old" "$DIR/node$victim"
    old=0
  fi
  flock_start $victim && came_back=$((came_back + 1))
done
check "each of $rounds killed nodes starts again" [ $came_back = "$rounds" ]
rm -f "$DIR/go"
wait $first $second
check "the flock is whole again" flock_whole 3

acknowledged=$(sort -u "$DIR/acknowledged" | wc -l)
echo "# $acknowledged jobs acknowledged in $rounds rounds"
check "jobs were acknowledged meanwhile" [ "$acknowledged" -gt 0 ]
all_ended_at() { # node
  AT=${ADDR[$1]} ctl status -o json 2>/dev/null | jq -r '.[] | select(.state == "done") | .name' | sort -u >"$DIR/done"
  [ -s "$DIR/done" ] && [ -z "$(sort -u "$DIR/acknowledged" | comm -23 - "$DIR/done" | tee "$DIR/missing")" ]
}
for n in 1 2 3; do check "node $n knows every acknowledged job, and they are done" wait_for 120 all_ended_at $n; done
echo "# missing at the last one: $(wc -l <"$DIR/missing")"
check "no feed has forked" [ "$(cat "$DIR"/*.err | grep -c 'fork node=')" = 0 ]
check "no log was damaged" [ "$(cat "$DIR"/*.err | grep -c 'load_failed')" = 0 ]
for n in 1 2 3; do flock_kill $n TERM; done
for n in 1 2 3; do check "node $n's store is sound" "$BUILD/mrnode" --check-store "$DIR/node$n"; done
flock_end

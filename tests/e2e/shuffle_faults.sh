#!/usr/bin/env bash
# kill -9 of a node in each phase of a job, at a random moment of it: map, shuffle (the maps are done, the reduces fetch),
# reduce, commit (the reduces are done, the job is not: copies are made and synced, on disks that then take a second for a
# sync; where the commit was over before it was seen there is another job). ROUNDS rounds (4; ROUNDS=20 for the long run),
# the phases in turn, any of four nodes, the one that took the job included. The bytes are right each time, and only what the
# dead one had is done again: how much is printed.
#
#      node1 --- node2
#        |   \ /   |        everyone knows everyone
#      node3 --- node4
. "$(dirname "$0")/../lib/flock.sh"
flock_begin shuffle_faults
rounds=${ROUNDS:-4}
export SLOWSYNC=$DIR/slow
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
start() { LD_PRELOAD=$BUILD/lib/slowsync.so flock_start "$1" || not_ok "node $1 starts"; }
for n in 1 2 3 4; do start $n; done
check "four nodes find each other" flock_whole 4
text "$DIR/text" 4
export LC_ALL=C
tr -s '[:space:]' '\n' <"$DIR/text" | sed '/^$/d' | sort >"$DIR/words"

# So that each phase lasts a while. Each round has bytes of its own: blocks of the same bytes would be there, copies and all,
# from the round before, and the commit have nothing to do.
submit() { # round
  sed "s/^/$1./" "$DIR/words" >"$DIR/expected"
  ctl submit -q -m "sleep 0.3; $MAPPER | sed 's/^/$1./'" -r "sleep 0.3; cat; sleep 0.8" -R 10 --partition range -i "$DIR/text" --split 200K --name shuffle
}
state() { ctl status "$job" -o json 2>/dev/null | jq -r '"\(.maps_done) \(.maps) \(.reduces_done) \(.reduces) \(.state)"'; }
in_phase() {
  local maps_done maps reduces_done reduces state
  read -r maps_done maps reduces_done reduces state < <(state)
  case $1 in
  map) [ "$maps_done" -ge 1 ] ;;
  shuffle) [ "$maps_done" = "$maps" ] ;;
  reduce) [ "$reduces_done" -ge 1 ] ;;
  commit)
    [ "$reduces_done" -ge 1 ] && touch "$SLOWSYNC"
    [ "$reduces_done" = "$reduces" ]
    ;;
  esac
}
soon() { # looks more often than wait_for: the phases are short
  local limit=$((SECONDS + 60))
  until in_phase "$1"; do [ $SECONDS -ge $limit ] && return 1; sleep 0.01; done
}
right() { ctl cat "$job" 2>"$DIR/cat.err" | cmp -s - "$DIR/expected"; }
# Every attempt with another cause than the first follows one that the dead node had, or one elsewhere that failed because
# it was reading from the dead, or comes with one that was given up for a rival's earlier claim.
had() {
  ctl tasks "$job" -o json 2>/dev/null |
    jq --arg n "node$1" '[.[] | select(.node_name == $n or .state == "failed" or .state == "released")] | length'
}

amid_commit() { [ "$1" = "$2" ] && [ "$3" = "$4" ] && [ "$5" = running ]; }

phases=(map shuffle reduce commit)
total=0
for ((round = 1; round <= rounds; round++)); do
  phase=${phases[$(((round - 1) % 4))]}
  victim=$((RANDOM % 4 + 1))
  for try in 1 2 3 4 5; do
    job=$(submit $round.$try) || not_ok "round $round: submit"
    soon "$phase" || not_ok "round $round: the phase $phase comes"
    sleep "0.$((RANDOM % 4))"
    before=$(state)
    if [ $phase != commit ] || amid_commit $before; then break; fi
    rm -f "$SLOWSYNC"
    ctl wait "$job" >/dev/null 2>"$DIR/wait.err"
    ctl rm "$job" 2>/dev/null
  done
  flock_kill $victim
  rm -f "$SLOWSYNC"
  if [ $phase = commit ]; then check "round $round: it was amid its commit (${before:-nothing said})" amid_commit $before; fi
  ctl wait "$job" >/dev/null 2>"$DIR/wait.err"
  check "round $round: node$victim killed in $phase: the job ends well" [ $? = 0 ]
  check "round $round: node$victim killed in $phase: the right bytes" right
  redone=$(job_field "$job" reexecuted) lost=$(had $victim)
  total=$((total + redone))
  echo "# round $round: $phase (maps done, maps, reduces done, reduces, state: $before): $redone done again; the dead one had $lost"
  check "round $round: no more is done again than the dead one had" [ "$redone" -le "$lost" ]
  start $victim
  flock_whole 4 || not_ok "node$victim is back"
  ctl rm "$job" 2>/dev/null
done
echo "# $total attempts done again in $rounds rounds"

# A node comes back without the outputs of its maps: its machine had started anew, and they had not been synced. It says so
# itself, of all of them at once; reduces that wait for them meanwhile have not failed.
lost_in() { ctl tasks "$job" -o json | jq "[.[] | select(.kind == \"map\" and .state == \"lost\")] | length"; }
sed "s/^/back./" "$DIR/words" >"$DIR/expected"
job=$(ctl submit -q -m "sleep 0.1; $MAPPER | sed 's/^/back./'" -r "while [ ! -e '$DIR/go' ]; do sleep 0.05; done; cat" -R 20 --partition range -i "$DIR/text" --split 80K --name shuffle)
soon shuffle || not_ok "the maps are done"
away=$SECONDS
flock_kill 2
gone=$(find "$DIR/node2/blocks" -name '*.p' | wc -l)
find "$DIR/node2/blocks" -name '*.p' -delete
start 2
away=$((SECONDS - away))
touch "$DIR/go"
ctl wait "$job" >/dev/null 2>"$DIR/wait.err"
check "a node is back without its $gone outputs: the job ends well" [ $? = 0 ]
check "the right bytes" right
redone=$(job_field "$job" reexecuted) lost=$(lost_in) had=$(had 2)
echo "# $gone outputs gone, $lost lost, $redone done again"
check "they are lost, and no others" [ "$lost" -gt 0 -a "$lost" -le "$gone" ]
check "no more is done again than they, and what ran there, waited for them or was claimed twice" [ "$redone" -le "$had" ]
# One that waits for what the dead one had gives up after two looks, a second apart.
check "at most one attempt for each slot, and for each second that the node was away, was begun in vain" [ "$redone" -le $((lost + 8 * (1 + away))) ]
check "nothing has failed" [ "$(job_field "$job" failed)" = 0 ]
ctl rm "$job" 2>/dev/null
nothing_left() { [ -z "$(find "$DIR"/node*/scratch -mindepth 1 2>/dev/null)" ] && no_tasks_left; }
check "no scratch and no process is left of jobs that ended" wait_for 20 nothing_left
flock_end

#!/usr/bin/env bash
# mrctl log -f and events -f: an entry a line, each once and none left out, though the peer dies and the one that goes on has not
# heard of all that was told: of a job, of a node's new feed.
#
#   node1 --- node2 --- node3      node3 is stopped while the log grows; then node1 and node2 die, and node3 alone goes on
. "$(dirname "$0")/../lib/flock.sh"
flock_begin log
for n in 1 2 3; do flock_start $n || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3
# It means node 3, which it comes to when node 1 is dead: so long as node 3 stands still it goes to one that it remembers.
follow() { # name, args... : in the background; its pid in FOLLOWER
  local name=$1
  shift
  "$BUILD/mrctl" -n "${ADDR[3]}" "$@" >"$DIR/$name" 2>"$DIR/$name.err" </dev/null &
  FOLLOWER=$!
}
entries() { jq -r 'select(.kind != 0) | "\(.node) \(.boot) \(.sequence)"' "$1"; }
has() { grep -q -- "$2" "$DIR/$1"; }

# ---- a closed pipe, with nothing to come ----
quiet_end() { # command
  timeout 60 "$BUILD/mrctl" -n "${ADDR[1]}" "$@" -f 2>"$DIR/err" | head -n 1 >"$DIR/out"
  [ "${PIPESTATUS[0]}" = 0 ] && [ "$(wc -l <"$DIR/out")" = 1 ] && [ ! -s "$DIR/err" ]
}
check "log -f | head -n 1 ends, quietly" quiet_end log
check "events -f | head -n 1 too" quiet_end events
check "log -f --timeout: exit 124" eval 'ctl log -f --timeout 1s >"$DIR/out" 2>"$DIR/err"; [ $? = 124 ]'
check "log --job of an unknown one: exit 4" eval 'ctl log -f --job nonsense >"$DIR/out" 2>"$DIR/err"; [ $? = 4 ]'
check "members -o wide has a column LAG" eval 'ctl members -o wide | head -n 1 | grep -q " LAG "'

# ---- while node 3 stands still: a new feed, a job ----
check "mrctl learns of the others from node 3" eval 'AT=${ADDR[3]} ctl members >"$DIR/out"'
kill -STOP "${PID[3]}"
check "node 3 is taken for dead" wait_for 20 members_in_state dead 1
flock_kill 2
flock_start 2 || not_ok "node 2 starts again"
job=$(AT=${ADDR[2]} ctl submit -q -m "while [ ! -e '$DIR/go' ]; do sleep 0.1; done; cat" -i "$0" --ack 1 --replicas 2)
has_job() { AT=${ADDR[1]} ctl log --job "$job" >"$DIR/out" 2>&1; }
check "node 1 has heard of a job" wait_for 10 has_job
lag_of_3() { AT=${ADDR[$1]} ctl members -o json | jq '.[] | select(.name == "node3") | .lag'; }
check "members: node 3 lacks entries" [ "$(lag_of_3 1)" -gt 0 ]
follow all log -f -o json
all=$FOLLOWER
follow job log -f --job "$job"
of_job=$FOLLOWER
follow events events -f -o json
events=$FOLLOWER
check "log -f tells of the new feed" wait_for 20 has all 'opened: node2 .*boot 2'
check "log -f --job tells of the job" wait_for 20 has job "job $job"
check "events -f tells of the job" wait_for 20 has events "job $job"
flock_kill 1
flock_kill 2
kill -CONT "${PID[3]}"
check "log -f goes on at node 3" wait_for 20 has all.err "gone, asking ${ADDR[3]}"
check "log -f --job too" wait_for 20 has job.err "gone, asking ${ADDR[3]}"
check "events -f too" wait_for 20 has events.err "gone, asking ${ADDR[3]}"
put_there() { AT=${ADDR[3]} ctl put -q "$0" alone --replicas 1 --overwrite; }
check "and what that one sees of the others, with the reason" wait_for 30 has events 'saw node1 .* dead (was .*): .'
check "node 3, alone, takes a dataset" wait_for 60 put_there
check "log -f tells of it" wait_for 20 has all 'named{name=."alone'
check "events -f too" wait_for 20 has events 'named{name=."alone'
touch "$DIR/go"
flock_start 1 || not_ok "node 1 starts again"
flock_start 2 || not_ok "node 2 starts a third time"
check "the job ends" wait_for 30 eval 'AT=${ADDR[3]} ctl status "$job" | grep -q done'
check "members: node 3 lacks none" wait_for 20 eval '[ "$(lag_of_3 1)" = 0 ]'
check "log -f --job tells its end" wait_for 20 has job "ended $job: done"
check "events -f too" wait_for 20 has events "ended $job: done"
whole() {
  AT=${ADDR[3]} ctl log -o json >"$DIR/log" || return 1
  [ "$(entries "$DIR/log" | sort -u)" = "$(entries "$DIR/all" | sort -u)" ]
}
check "log -f has told all that is in the log" wait_for 20 whole
once() { [ -s "$DIR/$1" ] && [ -z "$(entries "$DIR/$1" | sort | uniq -d)" ]; }
check "and each entry once" once all
check "so has events -f" once events
saw() { jq -cR 'fromjson? | select(.kind == 0)' "$DIR/events"; }
check "and what a peer saw" [ -z "$(saw | sort | uniq -d)" ]
check "events shows it without -f, too, and log does not" eval 'AT=${ADDR[3]} ctl events | grep -q "node3 *saw node2 .* alive" && ! AT=${ADDR[3]} ctl log | grep -q " saw "'
check "an entry of the job stands once too" [ -z "$(sort "$DIR/job" | uniq -d)" ]
lines() { [ "$(jq -cR 'fromjson | select(has("text"))' "$DIR/all" | wc -l)" = "$(wc -l <"$DIR/all")" ]; }
check "an object a line" lines
check "all three follow on" eval 'lives $all && lives $of_job && lives $events'
kill -INT "$all" "$of_job" "$events"
wait "$all"
check "^C ends it: exit 130" [ $? = 130 ]
wait "$of_job" "$events"
flock_end

#!/usr/bin/env bash
# Five nodes on loopback count the words of real text: as coreutils do, byte for byte; and so again when any one of them is
# killed at about half, the one that took the job included, when two are killed at once, and when all are killed and
# started again. MB=100 for the full size.
#
#      node1 --- node2
#       |  \   /  |        everyone knows everyone; each in a directory of its own
#       |   node5  |
#      node3 --- node4
. "$(dirname "$0")/../lib/flock.sh"
TASKS=confined
flock_begin wordcount
MB=${MB:-16}
text "$DIR/text" "$MB"
reference "$DIR/text" >"$DIR/expected"
for n in 1 2 3 4 5; do flock_start $n || not_ok "node $n starts"; done
check "five nodes find each other" flock_whole 5

submit() { ctl submit -q -m "$MAPPER" -r "$REDUCER" -R 4 -i "$DIR/text" --split "$((MB * 65536))"; }
is_known() { [ "$(job_field "$1" state)" = done ]; }
right() { # at a node that has heard of the end, which need not be the one that said so first
  wait_for 20 is_known "$1"
  ctl cat "$1" 2>"$DIR/cat.err" | LC_ALL=C sort | cmp -s - "$DIR/expected"
}
half_done() { job_at_least "$1" maps_done 8; }

result=$(ctl run -q -m "$MAPPER" -r "$REDUCER" -R 4 -i "$DIR/text" | LC_ALL=C sort | cmp - "$DIR/expected" 2>&1)
check "the count equals coreutils'" [ -z "$result" ]

# Copies are counted rightly by those too who hold none: with 5 nodes and 3 copies, two of them for each block.
copies_at() { [ "$(AT=$1 ctl ls words -o json | jq '.[0].replicas_min')" = 3 ]; }
ctl put "$DIR/text" words --split "$((MB * 65536))" >"$DIR/put.out" 2>&1 || not_ok "put"
for n in 1 2 3 4 5; do check "ls at node$n: each block has its three copies" wait_for 20 copies_at "${ADDR[$n]}"; done
ctl rm words >"$DIR/rm.out" 2>&1 || not_ok "rm"

for victim in 1 2 3 4 5; do
  AT=${ADDR[1]}
  job=$(submit) || not_ok "submit before killing node$victim"
  # Someone waits through the node that took the job.
  ctl wait "$job" >"$DIR/wait.out" 2>&1 &
  waiter=$!
  wait_for 120 half_done "$job" || not_ok "half of $job is done in time"
  flock_kill $victim
  wait $waiter
  status=$?
  unset AT
  check "kill -9 of node$victim at half: the waiting mrctl exits 0" [ $status = 0 ]
  check "kill -9 of node$victim at half: the result is right" right "$job"
  flock_start $victim || not_ok "node$victim starts again"
  flock_whole 5 || not_ok "node$victim is back"
done

job=$(submit)
wait_for 120 half_done "$job"
flock_kill 2
flock_kill 4
ctl wait "$job" >/dev/null 2>&1
check "two killed at once: mrctl wait exits 0" [ $? = 0 ]
check "two killed at once: the result is right" right "$job"
flock_start 2
flock_start 4
check "both are back" flock_whole 5

job=$(submit)
wait_for 120 half_done "$job"
for n in 1 2 3 4 5; do flock_kill $n; done
wait_for 10 no_tasks_left
check "killed nodes leave no task running" no_tasks_left
for n in 1 2 3 4 5; do flock_start $n || not_ok "node$n starts again"; done
check "all killed, started again: the members find each other" flock_whole 5
ctl wait "$job" >/dev/null 2>&1
check "all killed, started again: the job ends" [ $? = 0 ]
check "all killed, started again: the result is right" right "$job"
flock_end

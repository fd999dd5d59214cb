#!/usr/bin/env bash
# Steering by hand: retry, fail, resume; drain and undrain; and what one looks at before: top, doctor, reach, rtt.
#
#   node1 --- node2 --- node3      two slots each; node3 is killed near the end
. "$(dirname "$0")/../lib/flock.sh"
flock_begin steer
for n in 1 2 3; do flock_start $n || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3
json() { jq -e "$@" "$DIR/out" >/dev/null; }
attempts() { ctl tasks "$1" -o json | jq "$2"; }
running() { [ "$(attempts "$1" '[.[] | select(.state == "running")] | length')" = "${2:-1}" ]; }
seq 3000 >"$DIR/numbers"

# ---- retry and fail, of a job that runs ----
job=$(ctl submit -q -m "[ -e '$DIR/go1' ] || { touch '$DIR/seen1'; sleep 30; }; cat" -i "$DIR/numbers")
check "a task runs" wait_for 10 test -e "$DIR/seen1"
touch "$DIR/go1"
check "retry of a running task: exit 0" exits 0 retry "$job/m0"
check "and says what it does" says 'runs again'
check "the job is done by the second attempt" exits 0 wait "$job" --timeout 25s
check "the first was given back, by request" [ "$(attempts "$job" '[.[] | select(.state == "released" and .cause == "someone asked for it")] | length')" = 1 ]
check "explain tells so" [ "$(ctl explain "$job/m0" | grep -c 'given back: someone asked for it')" = 1 ]

job=$(ctl submit -q -m "echo x >>'$DIR/ran2'; [ \$MR_INDEX = 0 ] || while [ ! -e '$DIR/go2' ]; do sleep 0.1; done; cat" -i "$DIR/numbers" --split 8K)
one_done() { [ "$(attempts "$job" '[.[] | select(.state == "done" and .task == "'"$job"'/m0")] | length')" -ge 1 ]; }
check "a task is done while its job runs" wait_for 10 one_done
check "retry of a done task: exit 0" exits 0 retry "$job/m0"
twice() { [ "$(attempts "$job" '[.[] | select(.task == "'"$job"'/m0" and .state == "done")] | length')" = 1 ] && [ "$(attempts "$job" '[.[] | select(.task == "'"$job"'/m0")] | length')" -ge 2 ]; }
check "it has run twice, and one counts" wait_for 10 twice
touch "$DIR/go2"
check "its job ends as it should" exits 0 wait "$job" --timeout 25s
check "its output is right" [ "$(ctl cat "$job" | cmp - "$DIR/numbers" 2>&1)" = "" ]

job=$(ctl submit -q -m "[ -e '$DIR/go3' ] || { touch '$DIR/seen3'; sleep 30; }; cat" -i "$DIR/numbers")
check "a task to fail runs" wait_for 10 test -e "$DIR/seen3"
touch "$DIR/go3"
check "fail of a running task: exit 0" exits 0 fail "$job/m0"
check "its job goes on with another attempt" exits 0 wait "$job" --timeout 25s
check "the failure counts" [ "$(job_field "$job" failed)" = 1 ]
job=$(ctl submit -q -m "touch '$DIR/seen4'; sleep 30" -i "$DIR/numbers" --retries 1)
check "a task with one life runs" wait_for 10 test -e "$DIR/seen4"
ctl fail -q "$job/m0"
check "with --retries 1 fail ends the job: exit 1" exits 1 wait "$job" --timeout 25s
check "and it says why" says 'failed by request'
check "what it ran is gone" wait_for 20 no_tasks_left
check "fail of what does not run: exit 6" exits 6 fail "$job/m0"
check "retry of no task: exit 2" exits 2 retry "$job"
check "retry of an unknown job: exit 4" exits 4 retry nonsense/m0

# ---- resume ----
# Two nodes may claim a brief task in the same moment: tasks are counted, not attempts.
tasks_where() { attempts "$1" "[.[] | select($2) | .index] | unique | length"; }
mapper="echo \$MR_INDEX >>'$DIR/ran5'; [ -e '$DIR/go5' ] || [ \$MR_INDEX != 2 ] || { until [ -e '$DIR/fail5' ]; do sleep 0.1; done; exit 1; }; cat"
job=$(ctl submit -q -m "$mapper" -i "$DIR/numbers" --split 4K --retries 1)
all_but_one() { [ "$(tasks_where "$job" '.state == "done"')" = $(($(job_field "$job" maps) - 1)) ]; }
check "all but one of a job's tasks are done" wait_for 20 all_but_one
touch "$DIR/fail5"
check "a job fails: exit 1" exits 1 wait "$job" --timeout 25s
touch "$DIR/go5"
done_before=$(tasks_where "$job" '.state == "done"')
attempts "$job" '[.[] | select(.state == "done") | .index] | unique | .[]' >"$DIR/done5"
: >"$DIR/ran5"
check "resume: exit 0" exits 0 resume "$job"
again=$(cat "$DIR/out")
check "it has another name" [ "$again" != "$job" ]
check "the new run is done" exits 0 wait "$again" --timeout 20s
check "what was done did not run again" [ "$(sort -u "$DIR/ran5" | wc -l)" = $(($(job_field "$again" maps) - done_before)) ]
check "nothing of it" [ -z "$(sort -u "$DIR/ran5" | grep -Fxf "$DIR/done5")" ]
check "some of it was done before" [ "$done_before" -ge 1 ]
check "the output is whole" [ "$(ctl cat "$again" | cmp - "$DIR/numbers" 2>&1)" = "" ]
check "tasks tells what was inherited" [ "$(tasks_where "$again" '.cause == "inherited from the run before"')" = "$done_before" ]
check "the failed job stays failed" [ "$(job_field "$job" state)" = failed ]
check "resume of a done job: exit 6" exits 6 resume "$again"
check "resume of an unknown job: exit 4" exits 4 resume nonsense
job=$(ctl submit -q -m 'cat' -r "while [ ! -e '$DIR/go6' ]; do sleep 0.1; done; cat" -R 2 -i "$DIR/numbers" --split 4K)
maps_done() { [ "$(job_field "$job" maps_done)" = "$(job_field "$job" maps)" ]; }
check "the maps of a job are done" wait_for 15 maps_done
check "resume of a running job: exit 6" exits 6 resume "$job"
ctl kill -q "$job"
touch "$DIR/go6"
check "resume -w of a killed job with reduces waits" exits 0 resume "$job" -w
again=$(cat "$DIR/out")
check "no map ran again" [ "$(attempts "$again" '[.[] | select(.kind == "map" and .state == "done" and .cause != "inherited from the run before")] | length')" = 0 ]
check "no line is lost" [ "$(ctl cat "$again" | sort -n | cmp - "$DIR/numbers" 2>&1)" = "" ]
check "retry of a task of an ended job is a new run" exits 0 retry "$again/r0" -w
third=$(cat "$DIR/out")
check "in which that task alone ran" [ "$(attempts "$third" '[.[] | select(.number > 0) | .kind, .index] | unique | tostring' | jq -r .)" = '[0,"reduce"]' ]

# ---- drain ----
state_of() { ctl members -o json | jq -r --arg n "$1" '.[] | select(.name == $n) | .state'; }
is_state() { [ "$(state_of "$1")" = "$2" ]; }
all_hold() { for n in 1 2 3; do [ "$(AT=${ADDR[$n]} state_of "$1")" = "$2" ] || return 1; done; }
check "drain: exit 0" exits 0 drain node2
check "every member knows" wait_for 20 all_hold node2 draining
ctl run -q -m 'echo $MR_NODE_NAME' -i "$DIR/numbers" --split 1K >"$DIR/where"
check "no task runs there" [ "$(grep -c node2 "$DIR/where")" = 0 ]
check "and all run elsewhere" [ "$(grep -c 'node[13]' "$DIR/where")" -ge 10 ]
check "undrain: exit 0" exits 0 undrain node2
check "it is alive again" wait_for 20 all_hold node2 alive
takes_again() { ctl run -q -m 'echo $MR_NODE_NAME; sleep 0.2' -i "$DIR/numbers" --split 1K | grep -q node2; }
check "and takes tasks" wait_for 20 takes_again
job=$(ctl submit -q -m "[ -e '$DIR/go7' ] || { touch '$DIR/seen7'; sleep 30; }; cat" -i "$DIR/numbers")
check "a long task runs" wait_for 10 test -e "$DIR/seen7"
touch "$DIR/go7"
where=$(attempts "$job" '[.[] | select(.state == "running")][0].node_name' | tr -d '"')
check "drain --deadline: exit 0" exits 0 drain "$where" --deadline 500ms
check "what runs at the deadline runs elsewhere" exits 0 wait "$job" --timeout 25s
check "because its node is being drained" [ "$(ctl explain "$job/m0" | grep -c 'its node is being drained')" -ge 1 ]
ctl undrain -q "$where"
check "drain of no member: exit 4" exits 4 drain nonsense

# ---- what it waits for ----
for n in 1 2 3; do ctl drain -q node$n; done
for n in 1 2 3; do wait_for 20 all_hold node$n draining || not_ok "node $n is draining"; done
job=$(ctl submit -q -m cat -r cat -i "$DIR/numbers")
none_takes() { ctl explain "$job" --pending | grep -q 'no member takes tasks: 3 are draining'; }
check "explain --pending of a job: nobody takes tasks" wait_for 20 none_takes
check "and of its reduce: it waits for the maps" [ "$(ctl explain "$job" --pending | grep -c 'r0: waits for the maps: 0 of 1 are done')" = 1 ]
check "explain --pending of a task is what holds now" [ "$(ctl explain "$job/r0" --pending -o json | jq -r '[.[].text] | join("")')" = "now: waits for the maps: 0 of 1 are done" ]
for n in 1 2 3; do ctl undrain -q node$n; done
check "undrained, it runs" exits 0 wait "$job" --timeout 25s
check "and waits for nothing" [ "$(ctl explain "$job" --pending -o json | jq -r '[.[].text | select(test("^(.* is done;|its result is )") | not)] | length')" = 0 ]

# ---- to look ----
check "top -o json" exits 0 top -o json
check "it has members and jobs" json '(.members | length == 3) and has("jobs")'
check "top to a pipe is printed once" [ "$(ctl top | grep -c '^node')" = 3 ]
each_sees_each() { exits 0 reach -o json && json 'length == 6 and all(.[]; .state == "alive")'; }
check "reach: exit 0, each sees each" wait_for 20 each_sees_each
check "rtt" exits 0 rtt node1 node2 -o json
check "it is one row, measured" json 'length == 1 and .[0].from == "node1" and .[0].to == "node2"'
check "rtt of no member: exit 4" exits 4 rtt node1 nonsense
all_ok() { exits 0 doctor -o json && json '[.[] | select(.kind == "ok")] | length == 3'; }
check "doctor: exit 0, every node is ok" wait_for 20 all_ok
if [ "$(id -u)" = 0 ]; then check "it says that tasks run as root here" json 'any(.[]; .text | test("run as root"))'; fi
flock_kill 3
check "the other two see it" wait_for 20 members_in_state dead 1
check "doctor: exit 1 when one is dead" exits 1 doctor -o json
check "and names it" json 'any(.[]; .node == "node3" and .kind == "bad")'
flock_end

#!/usr/bin/env bash
# The task engine on live daemons: second copies of slow tasks, outputs compared, slots shared between jobs, what an exit code says.
#
#   node1 --- node2 --- node3      two slots each
. "$(dirname "$0")/../lib/flock.sh"
flock_begin engine
for n in 1 2 3; do flock_start $n || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3
cd "$DIR" || exit 1
field() { ctl status "$1" -o json | jq -r ".$2"; }

# ---- second copies ----

seq 8 >list
# The others wait until the slow node has begun one, lest they have done all before it has heard of the job.
await3='echo $$ >>'"$DIR"'/pids.$MR_NODE_NAME; until [ -s '"$DIR"'/pids.node3 ]; do sleep 0.05; done'
slow=$await3'; if [ "$MR_NODE_NAME" = node3 ]; then sleep 100; else sleep 0.2; fi; cat'
job=$(ctl submit -q -m "$slow" --split 1 -i list)
check "a job with a slow node ends without it" timeout 90 "$BUILD/mrctl" -n "$(at)" wait -q "$job"
check "every line is there" cmp -s <(ctl cat "$job") list
check "there were second copies" [ "$(field "$job" speculated)" -ge 1 ]
all_gone() { local pid; while read -r pid; do lives "$pid" && return 1; done <pids.node3; true; }
check "the slow ones are stopped" wait_for 20 all_gone
copied=$(ctl tasks "$job" | awk '$3 == "node3" {sub(/\.[0-9]+$/, "", $1); print $1; exit}')
check "explain says why there is a copy" eval 'ctl explain "$copied" | grep -q "the former attempt is slow"'
job=$(ctl submit -q -m 'if [ "$MR_NODE_NAME" = node3 ]; then sleep 1; fi; cat' --split 1 --speculate off -i list)
ctl wait -q "$job"
check "--speculate off makes none" [ "$(field "$job" speculated)" = 0 ]

# A task may be slow because it has more to do than its siblings: whoever would make the copy asks how far it is.
for n in 1 2 3 4 5 6; do head -c 512K /dev/zero >small$n; done
head -c 4M /dev/zero >zlarge
steps='while [ "$(head -c 65536 | wc -c)" -gt 0 ]; do sleep 0.05; done'
inputs=$(printf -- '-i %s ' small? zlarge)
# One whose node does not answer within 200 ms gets a copy all the same, so a machine that stood still is given another try.
gets_none() {
  job=$(ctl submit -q -m "$steps" --split 5M $inputs)
  ctl wait -q "$job"
  [ "$(field "$job" state) $(field "$job" speculated)" = "done 0" ]
}
check "a task that has more to do gets no copy" eval 'gets_none || gets_none || gets_none'
spared=0
for n in 1 2 3; do spared=$((spared + $(AT=${ADDR[$n]} ctl ping -o json | jq .metrics.copies_spared))); done
check "since who would have made one asked how far it is" [ $spared -ge 1 ]
rm -f pids.*
job=$(ctl submit -q -m "$await3"'; if [ "$MR_NODE_NAME" = node3 ]; then step=1; else step=0.05; fi
  '"${steps/0.05/\$step}" --split 2M -i small1 -i small2 -i small3 -i small4 -i small5 -i small6)
ctl wait -q "$job"
check "one that reads slowly does" [ "$(field "$job" speculated)" -ge 1 ]

# ---- outputs compared ----

ctl run -q -m 'tr a-z A-Z' --verify 2 -i list >out 2>err
check "--verify of a deterministic program says nothing" [ $? = 0 -a ! -s err ]
job=$(ctl submit -q -m 'cat; date +%N$$' --verify 2 -i list)
ctl wait "$job" 2>err
check "--verify of another says which task differs" grep -q "1 of its tasks gave different bytes.* $job/m0" err
twice() { [ $(($(field "$job" attempts) - $(field "$job" speculated))) = 2 ]; } # second copies of slow ones apart
check "each task ran twice" twice
check "both outputs are kept" eval 'ctl ls | grep -q "^$job.differing "; ctl cat "$job.differing" >both; [ "$(wc -l <both)" = 18 ]'
check "explain tells of the difference" eval 'ctl explain "$job/m0" | grep -q "differs from"'

check "and shows the first record that differs" eval 'ctl explain "$job/m0" | grep -A 2 -q "the first record that differs is 9:"'

# ---- slots shared ----

long=$(ctl submit -q -t 'sleep 1' --bunch 1 ::: $(seq 200))
brief=$(ctl submit -q -t 'true {}' --bunch 1 ::: $(seq 20))
ctl wait -q "$brief"
check "a job of brief tasks is not starved by one of long tasks that came first" [ "$(field "$long" state)" = running ]
ctl kill -q "$long"
brief=$(seq 600 | ctl submit -q -t 'sleep 0.3; true {}' --bunch 1)
long=$(ctl submit -q -t 'sleep 0.5; true {}' ::: 1 2 3 4)
ctl wait -q "$long"
check "nor the other way round" [ "$(field "$brief" state)" = running ]
ctl kill -q "$brief"
ctl run -q -t 'flock -n $L.$MR_NODE_NAME sleep 0.2 || echo overlap; true {}' --cpus 2 -e "L=$DIR/lock" \
  ::: $(seq 6) >out 2>err
check "--cpus 2 on nodes of two slots: one task at a time each" [ $? = 0 -a ! -s out ]

# ---- exit codes ----

ctl run -q -m 'cat; exit 3' --ok-exit 0,3 -i list >out
check "--ok-exit 3 is good" [ $? = 0 -a "$(wc -l <out)" = 8 ]
job=$(ctl submit -q -m '[ "$(ls '"$DIR"'/again.* 2>/dev/null | wc -l)" -ge 2 ] || { mktemp '"$DIR"'/again.XXXXXX >&2; exit 75; }; cat' \
  --retries 1 -i list)
check "exit 75 is tried again and not counted" timeout 90 "$BUILD/mrctl" -n "$(at)" wait -q "$job"

# ---- poison ----

for n in 4 5; do flock_start $n || not_ok "node $n starts"; done
check "five nodes" flock_whole 5
seq 1 >one
: >ran
victim=
job=$(ctl submit -q -m 'echo ${MR_NODE_NAME#node} >>'"$DIR"'/ran; sleep 100' --speculate off -i one)
for death in 1 2 3 4; do
  wait_for 60 eval '[ "$(wc -l <ran)" -ge '$death' ]' || break
  victim=$(sed -n ${death}p ran)
  flock_kill "$victim"
done
timeout 90 "$BUILD/mrctl" -n "$(at)" wait "$job" 2>err
check "a task that takes four nodes down, one after the other, ends its job" [ $? = 1 ]
check "with the evidence" eval 'grep -q "task $job/m0 is poison: the nodes that ran it died.* node" err'
check "and the last node lives" [ "$(sort -u ran | wc -l) ${#PID[@]}" = "4 1" ]
flock_end

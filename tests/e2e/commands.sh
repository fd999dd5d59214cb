#!/usr/bin/env bash
# What people and scripts hold on to: each command's answer, its JSON keys, its exit code; as the interface has them.
# Three nodes on loopback, one of them killed on the way.
. "$(dirname "$0")/../lib/flock.sh"
TASKS=confined
flock_begin commands
for n in 1 2 3; do flock_start $n || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3

mr() { ctl "$@" >"$DIR/out" 2>"$DIR/err"; }
prints() { [ "$(cat "$DIR/out")" = "$1" ]; }
silent() { [ ! -s "$DIR/err" ]; }
json() { jq -e "$@" "$DIR/out" >/dev/null; }
exits() { # code, args...
  local code=$1
  shift
  mr "$@"
  [ $? = "$code" ]
}
echo hello >"$DIR/one"
seq 5000 >"$DIR/numbers"

# ---- JSON: the keys that are promised ----
check "members -o json" mr members -o json
check "members: the keys" json 'length == 3 and all(.[]; has("id") and has("name") and has("address") and has("state")
  and has("incarnation") and has("since_ms") and has("slots") and has("running") and has("lag") and has("rtt_us") and has("cause"))'
check "submit -q prints the name and nothing else" mr submit -q -m cat -r 'wc -l' -R 2 -i "$DIR/numbers" --name count
job=$(cat "$DIR/out")
check "submit -q says nothing" silent
check "a job is named NAME-xxxx" [ "$(echo "$job" | tr 0-9a-f x)" = "$(echo count-xxxx | tr 0-9a-f x)" ]
check "wait: exit 0" mr wait "$job"
check "status JOB -o json" mr status "$job" -o json
check "status: the keys" json 'has("job") and has("name") and has("state") and has("maps") and has("maps_done") and has("reduces")
  and has("reduces_done") and has("attempts") and has("reexecuted") and has("speculated") and has("failed") and has("elapsed_ms")
  and has("error")'
check "status: job is the name that commands take" json --arg job "$job" '.job == $job and .state == "done" and .reduces_done == 2'
final_everywhere() { for n in 1 2 3; do [ "$(AT=${ADDR[$n]} ctl status "$job" -o json | jq .final)" = true ] || return 1; done; }
check "status: the result becomes final, at every node" wait_for 20 final_everywhere
check "status: a table has the word" sh -c "'$BUILD/mrctl' -n '${ADDR[1]}' status '$job' | grep -q 'FINAL' && '$BUILD/mrctl' -n '${ADDR[1]}' status '$job' | grep -q ' yes *$'"
check "log: an end that is final says so" sh -c "'$BUILD/mrctl' -n '${ADDR[1]}' log --job '$job' | grep -q 'ended $job: done .*; final$'"
check "explain of a task: and so does its story" sh -c "'$BUILD/mrctl' -n '${ADDR[1]}' explain '$job/m0' | grep -q 'its result is final'"
check "--json is -o json" mr --json status
check "status of all: an array" json --arg job "$job" 'any(.[]; .job == $job)'
check "-o name" mr status -o name
check "-o name prints the name" prints "$job"
check "tasks -o json" mr tasks "$job" -o json
check "tasks: maps and reduces, each done" json '(group_by(.task) | length >= 3 and all(any(.state == "done"))) and any(.[]; .kind == "reduce")'
check "explain TASK" mr explain "$job/m0"
check "explain tells who claimed it" grep -q 'claimed' "$DIR/out"
check "explain -o json" mr explain "$job/m0" -o json
check "explain: lines with a node and a text" json 'length >= 3 and all(.[]; has("node_name") and has("text"))'
check "ls -o json" mr ls -o json
check "ls: the keys" json 'all(.[]; has("name") and has("size") and has("blocks") and has("replicas_wanted") and has("replicas_min"))'
# Any node is asked, those that hold none of the blocks too.
for n in 1 2 3; do
  on_two() { AT=${ADDR[$n]} mr ls -o json && json --arg job "$job" 'any(.[]; .name == $job and .replicas_min >= 2)'; }
  check "ls at node $n: the output is on two nodes at least" wait_for 10 on_two
done
check "ping -o json" mr ping -o json

# ---- the end of a job, heard late ----
check "wait for a job that has ended: exit 0" exits 0 wait "$job"
check "kill of an ended job: exit 0" exits 0 kill "$job"
check "and it says how it ended" says 'ended already: done'
check "it is done still" [ "$(job_field "$job" state)" = done ]
mr submit -q -m 'echo last words >&2; exit 3' --retries 2 -i "$DIR/one" --name bad
bad=$(cat "$DIR/out")
check "wait for a job that fails: exit 1" exits 1 wait "$bad"
check "again: exit 1" exits 1 wait -q "$bad"
check "status -o json has its error" [ "$(job_field "$bad" error | grep -c 'last on node[123]: exit status 3')" = 1 ]
for n in 1 2 3; do
  logs_at() { AT=${ADDR[$n]} mr logs "$bad" && grep -q "^$bad/m0.1: last words" "$DIR/out"; }
  check "logs of failed attempts at node $n" wait_for 10 logs_at
done
check "logs --tail" [ "$(ctl logs "$bad" --tail 0 | wc -l)" = 0 ]
lateness_begin
start=$EPOCHREALTIME
mr run -q -m false -i "$DIR/one"
took=$(((${EPOCHREALTIME//[.,]/} - ${start//[.,]/}) / 1000)) late=$(lateness)
echo "# it took $took ms, of which the machine itself lost $late"
check "a job that fails at once has ended within 5 s" [ $((took - late)) -le 5000 ]

# ---- names: prefixes, ambiguity, absence ----
for i in 1 2; do mr submit -q -w -m cat -i "$DIR/one" --name twin; done
for command in status wait kill tasks logs; do
  check "$command of an ambiguous prefix: exit 2" exits 2 $command twin
  check "$command of an unknown job: exit 4" exits 4 $command no-such-job
done
check "explain of an ambiguous prefix: exit 2" exits 2 explain twin/m0
check "explain of a task there is not: exit 4" exits 4 explain "$job/m77"
check "explain of a job: what it waits for" exits 0 explain "$job"
check "a prefix that is unique names the job" exits 0 wait "${job%?}"
for command in cat rm; do check "$command of an unknown dataset: exit 4" exits 4 $command nothing; done
check "get of an unknown dataset: exit 4" exits 4 get nothing "$DIR/nothing"
check "and leaves no file" [ ! -e "$DIR/nothing" ]

# ---- waiting, not waiting ----
sleep 300 &
holds=$! # as long as it lives, the job runs
mr submit -q -m "while [ -e /proc/$holds ]; do sleep 0.1; done; cat" -i "$DIR/one"
slow=$(cat "$DIR/out")
check "--timeout: exit 124" exits 124 wait "$slow" --timeout 300ms
check "it says how to wait again" says "wait $slow"
"$BUILD/mrctl" -n "$(at)" wait "$slow" >"$DIR/out" 2>"$DIR/err" &
waiter=$!
catches_interrupts() { [ $((0x$(awk '/^SigBlk/ { print $2 }' "/proc/$waiter/status") & 2)) != 0 ]; } # by a descriptor
check "^C is caught by who waits" wait_for 20 catches_interrupts
kill -INT $waiter
wait $waiter
check "^C: exit 130" [ $? = 130 ]
check "^C: the job goes on, it says how to wait again" says "wait $slow"
check "submit -w: exit 0" exits 0 submit -q -w -m cat -i "$DIR/one"
check "submit -w of what fails: exit 1" exits 1 submit -q -w -m false --retries 1 -i "$DIR/one"
kill $holds
wait $holds
check "status JOB -w ends with the job" exits 0 status "$slow" -w
check "it was not harmed by those who left" [ "$(job_field "$slow" state)" = done ]

# ---- options ----
mkdir "$DIR/many" "$DIR/many/sub"
for i in $(seq 60); do echo "file $i" >"$DIR/many/$i"; done
: >"$DIR/many/empty"
printf 'no newline' >"$DIR/many/sub/last"
check "a directory of small files: each line once" [ "$(ctl run -q -m cat -r 'wc -l' -i "$DIR/many" | tr -d ' ')" = 61 ]
check "-R 0 with a reducer: exit 2" exits 2 run -q -m cat -r cat -R 0 -i "$DIR/numbers"
check "-R 0: map only" [ "$(ctl run -q -m cat -R 0 -i "$DIR/numbers" --split 2K | cmp - "$DIR/numbers" 2>&1)" = "" ]
for reduces in 1 64; do
  check "-R $reduces: no line lost" [ "$(ctl run -q -m cat -r cat -R $reduces -i "$DIR/numbers" | sort -n | cmp - "$DIR/numbers" 2>&1)" = "" ]
done
check "-e and -f reach every task" [ "$(ctl run -q -m 'cat one; echo $WHO' -e WHO=me -f "$DIR/one" -i "$DIR/numbers" --split 2K |
  sort -u | tr '\n' ' ')" = "hello me " ]
check "-f: no attempt was made in vain" [ "$(ctl status -o json | jq '[.[] | select(.state == "done") | .failed] | add')" = 0 ]
check "-f of a missing file: exit 2" exits 2 run -q -m cat -f "$DIR/missing" -i "$DIR/one"
check "-e without =: exit 2" exits 2 run -q -m cat -e WHO -i "$DIR/one"
check "no mapper: exit 2" exits 2 run -i "$DIR/one"
check "stdin" [ "$(printf 'b\na\n' | ctl run -q -m cat -r cat | tr '\n' ' ')" = "a b " ]
ctl submit -q -m cat -r 'wc -l' -i "$DIR/numbers" >"$DIR/1.job" &
first=$!
ctl submit -q -m cat -r 'wc -l' -i "$DIR/numbers" >"$DIR/2.job"
wait $first
check "two submissions at once of the same input are two jobs" [ "$(sort -u "$DIR/1.job" "$DIR/2.job" | wc -l)" = 2 ]
for i in 1 2; do check "job $i of them: exit 0" exits 0 wait "$(cat "$DIR/$i.job")"; done

# ---- a closed pipe, no colours ----
check "put" exits 0 put "$DIR/numbers" numbers
ctl cat numbers 2>"$DIR/err" | head -n 1 >"$DIR/out"
check "| head ends cat quietly" [ "${PIPESTATUS[0]}" = 0 -a ! -s "$DIR/err" ]
ctl status 2>"$DIR/err" | head -n 1 >"$DIR/out"
check "| head ends status quietly" [ "${PIPESTATUS[0]}" = 0 -a ! -s "$DIR/err" ]
check "no escape on a pipe" [ "$(env -u NO_COLOR "$BUILD/mrctl" -n "$(at)" run -m cat -i "$DIR/one" 2>&1 | grep -c "$(printf '\033')")" = 0 ]
for name in 'with space' 'ünïcode' "quote'\"s" "$(printf 'x%.0s' $(seq 100))"; do
  if mr put "$DIR/one" "$name"; then
    check "a dataset named $name comes back" [ "$(ctl cat "$name")" = hello ]
    check "and is found in JSON" [ "$(ctl ls -o json | jq --arg n "$name" '[.[] | select(.name == $n)] | length')" = 1 ]
    check "and goes" exits 0 rm "$name"
  else
    check "a dataset named $name: a clear error" says name
  fi
done

# ---- the dead speak ----
spoke_at_3() { # one that a task of it ran at node 3
  mr submit -q -m 'echo from $MR_NODE_NAME >&2; sleep 0.1; cat' -i "$DIR/numbers" --split 2K && told=$(cat "$DIR/out")
  mr wait "$told" && mr tasks "$told" -o json && json 'any(.[]; .node_name == "node3" and .state == "done")'
}
check "a job of which node 3 did some" wait_for 30 spoke_at_3
flock_kill 3
check "the other two see it" wait_for 20 members_in_state dead 1
ctl tasks "$told" -o json >"$DIR/out"
check "tasks on a dead node are listed" json 'any(.[]; .node_name == "node3")'
check "and so are their logs" [ "$(ctl logs "$told" | grep -c 'from node3')" -ge 1 ]
check "members names it dead, and why" [ "$(ctl members -o json | jq -r '.[] | select(.state == "dead") | .cause')" != "" ]

# ---- whom to ask, and with which key ----
MR_NODE=${ADDR[1]} "$BUILD/mrctl" ping >"$DIR/out" 2>&1
check "MR_NODE" [ $? = 0 ]
check "-n goes before MR_NODE" [ "$(MR_NODE=127.0.0.1:1 "$BUILD/mrctl" -n "${ADDR[1]}" ping -o json | jq -r .name)" = node1 ]
cd "$DIR" && XDG_CACHE_HOME=$DIR/empty MR_NODE=127.0.0.1:1 "$BUILD/mrctl" ping >"$DIR/out" 2>"$DIR/err"
check "nobody there: exit 3" [ $? = 3 ]
check "and the next command to try" says 'mrnode'
"$BUILD/mrctl" keygen "$DIR/cluster.key" >/dev/null 2>&1
check "keygen never overwrites: exit 6" [ $? = 6 ]
check "a key's file is its owner's" [ "$(stat -c %a "$DIR/cluster.key")" = 600 ]
check "keys list: one key, which sends" [ "$("$BUILD/mrctl" keys list -o json | jq -c '[length, .[0].sends]')" = "[1,true]" ]
check "keys list shows no key" [ "$("$BUILD/mrctl" keys list | grep -c "$(cut -c1-20 "$DIR/cluster.key")")" = 0 ]
check "keys with another word: exit 2" [ "$("$BUILD/mrctl" keys turn 2>/dev/null; echo $?)" = 2 ]
check "completion bash completes commands" [ "$(bash -c 'eval "$("$0" completion bash)"; COMP_WORDS=(mrctl expl); COMP_CWORD=1; _mrctl; echo "${COMPREPLY[*]}"' "$BUILD/mrctl")" = explain ]
check "and options of a command" [ "$(bash -c 'eval "$("$0" completion bash)"; COMP_WORDS=(mrctl run --task-t); COMP_CWORD=2; _mrctl; echo "${COMPREPLY[*]}"' "$BUILD/mrctl")" = --task-timeout ]
check "completion zsh loads bash's" [ "$("$BUILD/mrctl" completion zsh | grep -c bashcompinit)" = 1 ]
check "completion fish: exit 2" [ "$("$BUILD/mrctl" completion fish 2>/dev/null; echo $?)" = 2 ]
check "keygen | : a line of 64 digits" [ "$("$BUILD/mrctl" keygen | tr -d '\n' | wc -c)" = 64 ]
flock_end

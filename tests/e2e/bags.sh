#!/usr/bin/env bash
# Bags of tasks, as GNU parallel's users know them: replacement strings, tags, order, the job log, resuming, retrying what
# failed; every command's result once, also when a node is killed half-way and when the one that took the job is.
#
#   node1 --- node2 --- node3      two slots each
. "$(dirname "$0")/../lib/flock.sh"
flock_begin bags
for n in 1 2 3; do flock_start $n || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3
cd "$DIR" || exit 1
bag() { ctl run -q -t "$@"; }
same() { [ "$(cat "$1")" = "$2" ]; }

bag '/bin/echo {} {.} {/} {//} {/.} {#}' ::: a/b.txt 'c d' "e'f" -x >out
check "replacement strings are GNU parallel's" same out "a/b.txt a/b b.txt a b 1
c d c d c d . c d 2
e'f e'f e'f . e'f 3
-x -x -x . -x 4"
seq 300 | bag 'echo' >out
check "a command without {} gets its argument behind it; output in order" cmp -s out <(seq 300)
bag '@echo {} x' ::: a b >out
check "@echo needs no process" same out "a x
b x"
bag '@true' --joblog own ::: 1 2 3 && check "@true neither" [ "$(awk -F'\t' 'NR > 1 {print $7}' own | tr -d '\n')" = 000 ]
seq 3 | bag 'echo a; echo b' --tag >out
check "--tag puts the argument before each line" same out "$(for i in 1 2 3; do printf '%s\ta\n%s\tb %s\n' $i $i $i; done)"
printf 'echo one\nexit 3\n' | bag '{}' --joblog log >out
check "a command that fails makes the exit code 1" [ $? = 1 ]
check "the command {} runs each line as it is; the log has exit codes" \
  same <(awk -F'\t' 'NR > 1 {print $1, $7, $8, $9}' log) "1 0 0 echo one
2 3 0 exit 3"
bag 'test -e flag{} || exit 5' --joblog log2 ::: 1 2
bag 'exit 0' --joblog log2 --resume ::: 1 2 3 4
check "--resume leaves out what the log has" same <(awk -F'\t' 'NR > 1 {print $1}' log2) "1
2
3
4"
ctl run -q --retry-failed --joblog log2
check "--retry-failed runs again what failed" same <(awk -F'\t' 'NR > 1 {print $1}' log2 | tail -n 2) "1
2"
bag 'echo out; echo err >&2; kill -9 $$' --joblog log3 ::: x >out 2>err
check "stdout and stderr are kept apart, a signal is in the log" [ "$(cat out)$(grep -c err err)$(awk 'END{print $7, $8}' FS='\t' log3)" = "out10 9" ]
bag 'sleep 20' --task-timeout 300ms --joblog log4 ::: 1 2>err
check "--task-timeout stops one command" [ "$(awk -F'\t' 'END{print $8 ($4 < 15)}' log4)" = 91 ]
bag 'echo {} >>"$F"; [ "$(wc -l <"$F")" = 3 ]' -e "F=$DIR/tries" --retries 5 ::: 1
check "--retries tries a command again until it succeeds" [ "$?$(wc -l <tries)" = 03 ]
job=$(seq 20 | ctl submit -q -t 'echo {}')
ctl wait "$job" 2>/dev/null
check "joblog JOB tells of a submitted bag" [ "$(ctl joblog "$job" 2>/dev/null | tail -n +2 | wc -l)" = 20 ]
printf 'a\nb\0c\n' >nul
check "an argument with a NUL byte is refused, with its place: exit 2" eval 'exits 2 run -t "echo {}" -i nul && says "nul: line 2 holds a NUL byte"'
bag 'cat; sleep 5 & echo {}' ::: done >out
check "a command's standard input is empty, what it leaves running does not hold it up" same out "done"

for victim in 3 1; do
  AT=${ADDR[1]}
  : >runs; : >begun
  seq 60 | ctl run -q -t 'echo "$MR_NODE_NAME" >>"$R/begun"; echo {} >>runs.{}; sleep 0.1; cat runs.{} >/dev/null; echo {}; echo {} >>"$R/runs"' -e "R=$DIR" --name "kill$victim" >out 2>err &
  run=$!
  wait_for 30 eval '[ "$(wc -l <runs)" -ge 25 ]'
  flock_kill $victim
  unset AT
  wait $run
  status=$?
  check "kill -9 of node$victim at half: exit 0" [ $status = 0 ]
  check "kill -9 of node$victim at half: every result once, in order" cmp -s out <(seq 60)
  # How much was in flight, or done and not yet copied, depends on the machine; that each has its cause does not.
  # What two nodes claimed in the same moment was given up by one of them; of what the dead one did last nobody may have heard.
  read -r job again < <(ctl status -o json | jq -r --arg n "kill$victim" '[.[] | select(.name | startswith($n))][0] | "\(.job) \(.reexecuted)"')
  attempts=$(ctl tasks "$job" -o json | jq length) share=$(grep -c "^node$victim\$" begun)
  echo "# $(wc -l <runs) runs, $attempts attempts, $again again; node$victim had begun $share"
  check "kill -9 of node$victim at half: what ran twice has a cause" [ "$(wc -l <runs)" -le $((attempts + 2)) ]
  check "kill -9 of node$victim at half: no more than that node's share" [ "$again" -le $((share + 4)) ]
  flock_start $victim
  flock_whole 3
done
wait_for 5 no_tasks_left
check "no task is left" no_tasks_left
flock_end

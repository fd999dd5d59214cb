#!/usr/bin/env bash
# run --local: no daemon is there, and none is afterwards; and Hadoop's names for what a task may know.
. "$(dirname "$0")/../lib/flock.sh"
flock_begin local
export TMPDIR=$DIR/tmp
mkdir "$TMPDIR" && cd "$DIR" || exit 1
local_run() { timeout 60 "$BUILD/mrctl" run --local "$@"; }
nothing_left() { [ -z "$(ls -A "$TMPDIR")" ] && ! pgrep -f -- "-d $TMPDIR/mr-local" >"$DIR/left"; }

printf 'the cat\nthe dog\nthe end\n' >text
check "a word count" [ "$(local_run -q -m "tr ' ' '\\n'" -r 'uniq -c' -i text | tr -s ' ' | tr '\n' ,)" = ' 1 cat, 1 dog, 1 end, 3 the,' ]
check "nothing is left of it" nothing_left
check "a bag of tasks, as the user: it reads and writes what he may" [ "$(local_run -q -t "cat $DIR/{} | tee $DIR/copy" ::: text)" = "$(cat text)" ]
check "there" cmp -s text copy
local_run -q -t 'exit {}' ::: 0 3 >out 2>err
check "a command that fails: exit 1" [ $? = 1 ]
local_run -q -m 'exit 4' --retries 1 -i text >out 2>err
check "a job that fails: exit 1" [ $? = 1 ]
check "and why" grep -q 'exit status 4' err
check "nothing is left of these" nothing_left
check "no flock is remembered" [ -z "$(find "$XDG_CACHE_HOME" -type f 2>/dev/null)" ]
"$BUILD/mrctl" submit --local -m cat -i text >out 2>err
check "submit --local is no command: exit 2" [ $? = 2 ]
check "and says so" grep -q 'for run' err

check "two at once" eval 'local_run -q -t "sleep 0.5; echo {}" ::: a >a & local_run -q -t "sleep 0.5; echo {}" ::: b >b; wait $!; [ "$(cat a b)" = "a
b" ]'
"$BUILD/mrctl" run --local -q -t "echo \$\$ >$DIR/pid; sleep 100; true {}" ::: x >out 2>err &
asker=$!
check "a long one runs" wait_for 20 test -s pid
kill -9 $asker
wait $asker 2>/dev/null
check "mrctl is killed: its node ends, and the directory goes" wait_for 20 nothing_left
gone() { ! lives "$(cat pid)"; }
check "and the task" wait_for 20 gone
TMPDIR=/nowhere "$BUILD/mrctl" run --local -t 'true {}' ::: a >out 2>err
check "no place for it: exit 1" [ $? = 1 ]
check "and says so" grep -q nowhere err

local_run -q -m 'cat >/dev/null; env' --hadoop-env --name job -i text | grep -E '^map' | sort >out
name=$(sed -n 's/^mapred_job_id=//p' out)
check "--hadoop-env: new names and old ones" [ "$(wc -l <out)" = 22 ]
check "of the task" grep -qx "mapreduce_task_id=${name}_m0" out
check "of the attempt" grep -qx "mapred_task_id=${name}_m0_1" out
check "of its input" eval 'grep -qx "map_input_file=$DIR/text" out || grep -qx "map_input_file=text" out'
check "without it none" [ "$(local_run -q -m 'cat >/dev/null; env' -i text | grep -c '^map')" = 0 ]
check "nothing is left at the end" nothing_left
flock_end

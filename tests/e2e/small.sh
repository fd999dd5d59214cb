#!/usr/bin/env bash
# Small inputs and outputs travel in the log: a brief job makes no block on any disk. What is kept under a name is on disks some
# seconds later, and survives a death before that, and restarts. Brief tasks are claimed many at a time and done by one process, which may
# die.
. "$(dirname "$0")/../lib/flock.sh"
flock_begin small
LAUNCH=(env "ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0" "LD_PRELOAD=$BUILD/lib/slowsync.so" "SLOWSYNC=$DIR/slow")
for n in 1 2 3; do flock_start $n; done
check "three nodes find each other" flock_whole 3
cd "$DIR" || exit 1
seq 100 >in
sum() { cksum <"$1"; }
prints() { local expected=$1; shift; [ "$("$@" | cksum)" = "$expected" ]; }
at_node() { local n=$1; shift; AT=${ADDR[$n]} ctl "$@"; }

# ---- nothing but the log ----
check "a map: its input, and no more" prints "$(sum in)" ctl run -q -m cat -i in
run_pipe() { seq 100 | ctl run -q -m cat; }
check "from a pipe" prints "$(sum in)" run_pipe
check "a bag" prints "$(printf 'a\nb\n' | cksum)" ctl run -q -t 'echo {}' ::: a b
check "many blocks" prints "$(sum in)" ctl run -q -m cat --split 30 -i in
check "nothing in, nothing out" prints "$(printf '' | cksum)" ctl run -q -m @true -i in
check "no dataset is left" [ -z "$(ctl ls -o name)" ]
# run tells its peer and goes; what that peer is asked next it answers as one that has heard it.
gone_at_once() {
  local i
  for i in 1 2 3 4 5; do
    at_node 2 run -q -m cat -i in >"$DIR/printed" && [ -z "$(at_node 2 ls -o name)" ] || return 1
  done
}
check "a result that run printed is not listed any more where run asked" gone_at_once
none_at() { [ -z "$(at_node "$1" ls -o name)" ]; }
for n in 1 3; do check "and soon nowhere: node$n" wait_for 20 none_at $n; done
check "and none of it was ever a block" [ "$(find node*/blocks -type f | wc -l)" = 0 ]
seq 30000 >large
check "what is too much for the log becomes blocks" prints "$(sum large)" ctl run -q -m cat -i large
check "so does an output of a few bytes more" prints "$(seq 3000 | cksum)" ctl run -q -m 'cat >/dev/null; seq 3000' -i in

# ---- under a name ----
ctl run -q -m cat -i in -O kept >/dev/null
check "cat at once" prints "$(sum in)" at_node 1 cat kept
for n in 2 3; do check "at node$n, as soon as it has heard the name" wait_for 10 prints "$(sum in)" at_node $n cat kept; done
ctl run -q -m 'cat; echo more' -i in -O later >/dev/null
(cat in; echo more) >expected
flock_kill 1 KILL
same_later() { prints "$(sum expected)" at_node "$1" cat later; }
check "the node that took it dies at once: node2 has it" wait_for 10 same_later 2
check "node3 has it" wait_for 10 same_later 3
flock_start 1
copies() { [ "$(find node*/blocks -type f -size "$(stat -c %s "$1")c" | wc -l)" -ge "$2" ]; }
check "some seconds later it is on three disks" wait_for 40 copies expected 3
for n in 1 2 3; do flock_kill $n KILL; done
for n in 1 2 3; do flock_start $n; done
check "all start anew" flock_whole 3
check "and it is still there" wait_for 10 same_later 1

# ---- brief tasks ----
seq 600 >lines
# Then their output is written to disks, by the way: who asks for the beginning of it does not wait for all.
echo 50 >slow
job=$(ctl submit -q -m @cat --split 1 -i lines -O copied)
check "600 tasks of a line" ctl wait -q "$job"
begun() { [ "$(find node1/blocks -type f | wc -l)" -gt 8 ]; }
check "their output begins to be written to a slow disk" wait_for 30 begun
check "meanwhile its beginning can be had" prints "$(seq 10 | cksum)" ctl head copied
rm slow
check "their output is the input" prints "$(sum lines)" ctl cat copied
claims=$(ctl log | grep -c " claim $job ")
check "were claimed many at a time ($claims claims)" [ "$claims" -gt 0 -a "$claims" -lt 200 ]
job=$(ctl submit -q -m @cat --split 1 -i lines -O again)
ended() { [ "$(job_field "$job" state)" != running ]; }
for ((i = 0; i < 20; i++)); do
  waiting=$(pgrep -f "mrtask --serve" -P "${PID[1]}") && kill -9 $waiting
  ended && break
done
check "the process that does them dies: they are done all the same" ctl wait -q "$job"
check "each once" prints "$(sum lines)" ctl cat again

# Killed while it is at one: that counts as an attempt, as it would in a process of its own.
pids() { pgrep -f "mrtask --serve" -P "$1" | sort; }
frozen() { for n in 1 2 3; do pids "${PID[$n]}"; done; }
for ((i = 0; i < 10; i++)); do
  sleep 1
  victims=$(frozen)
  kill -STOP $victims 2>/dev/null
  job=$(ctl submit -q -m @cat -i in --speculate off)
  wait_for 2 ended && { kill -9 $victims; continue; }
  kill -9 $victims
  break
done
check "one is killed amid its task" [ "$i" -lt 10 ]
check "which is done all the same" ctl wait -q "$job"
ctl explain "$job/m0" >explained
check "and counts as killed" eval 'grep "killed by a signal (137)" explained >told && ! grep -q "not counted" told'

# ---- what waits ----
at_node 1 run -q -m cat -i in >/dev/null
before=$(pids "${PID[1]}")
for i in 1 2 3 4; do at_node 1 run -q -m "echo $i" -i in >/dev/null; done
check "one process does one command after the other" [ "$before" = "$(pids "${PID[1]}")" -a -n "$before" ]
resident() { awk '/^VmRSS/ {print $2}' "/proc/$(head -n 1 <<<"$before")/status"; }
echo "# resident: mrtask $(resident) kB"
check "it is small" [ "$(resident)" -lt "${RSS_LIMIT:-6144}" ]
at_node 1 run -q -m 'head -c 40000000 /dev/zero | tr "\0" "\n"' -r 'tail -n 1 >/dev/null' -i in
check "and small again after a large one" [ "$(resident)" -lt "${RSS_LIMIT:-6144}" ]
kill -9 $before
check "killed while it waits: a job is done all the same" prints "$(sum in)" at_node 1 run -q -m cat -i in --retries 1
another() { at_node 1 run -q -m cat -i in >/dev/null; after=$(pids "${PID[1]}"); [ -n "$after" ] && [ "$after" != "$before" ]; }
check "and soon there is another that waits" wait_for 10 another
kill -STOP $after
stuck=$(at_node 1 submit -q -m cat -i in)
check "one that stands still has a task" wait_for 20 job_at_least "$stuck" running 1
at_node 1 kill -q "$stuck"
thawed() { gone "$(head -n 1 <<<"$after")"; }
check "one that does not obey is killed" wait_for 15 thawed
check "and the node works on" prints "$(sum in)" at_node 1 run -q -m cat -i in
flock_kill 1 KILL
with_it() { [ -z "$(pgrep -f "mrtask --serve .*--hide $DIR/node1")" ]; }
check "what waits dies with its node" wait_for 20 with_it
flock_start 1
check "no daemon tripped over an assertion or a sanitizer" daemons_sound
flock_end

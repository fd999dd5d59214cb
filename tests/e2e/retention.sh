#!/usr/bin/env bash
# What stays after a job's end, and for how long; that what is free waits for who is away, and that who is away for long is given
# up (LONG=1: both take minutes). Three nodes on loopback, --keep 5s.
. "$(dirname "$0")/../lib/flock.sh"
flock_begin retention
for n in 1 2 3; do flock_start $n --keep 5s || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3
blocks() { find "$DIR"/node[$1]/blocks -type f -size +$2k | wc -l; }
seq 1 200000 >"$DIR/numbers"
none() { [ "$(blocks 123 200)" = 0 ]; }

# ---- a job that is done: its output stays, the rest goes ----
job=$(ctl submit -q -w -m cat -r 'wc -l' -O lines -i "$DIR/numbers" 2>/dev/null)
check "the input of a job that is done goes" wait_for 60 none
check "its output stays" [ "$(ctl cat lines)" = 200000 ]
no_scratch() { [ -z "$(find "$DIR"/node*/scratch -mindepth 1 -maxdepth 1)" ]; }
check "its scratch is gone everywhere" wait_for 10 no_scratch
has() { [ "$(blocks "$1" 200)" = 3 ]; }
ctl put -q "$DIR/numbers" again --split 400K
check "each node has the blocks again" wait_for 30 eval 'has 1 && has 2 && has 3'
ctl rm -q again
check "while all are there they go" wait_for 45 none

[ -n "${LONG:-}" ] || flock_end # what takes minutes: make check-all
forgotten() { ctl tasks "$job" 2>&1 | grep -q 'are forgotten'; }
check "its tasks are forgotten, and that is said" wait_for 120 forgotten
check "its outcome is not" [ "$(job_field "$job" state)" = done ]

# ---- a job that failed: what it needs to go on stays, for as long as --keep says ----
failed=$(ctl submit -q -m 'cat >/dev/null; exit 3' --retries 1 -i "$DIR/numbers" --split 400K)
ctl wait -q "$failed" 2>/dev/null
check "the input of a failed job is there" [ "$(blocks 123 200)" -gt 0 ]
check "and goes after --keep" wait_for 120 none

# ---- what is free waits for who is away, but not for ever ----
ctl put -q "$DIR/numbers" numbers --split 400K
check "each node has the blocks" wait_for 30 eval 'has 1 && has 2 && has 3'
flock_kill 3
AT=${ADDR[1]} ctl rm -q numbers
start=$SECONDS
gone() { ! AT=${ADDR[2]} ctl ls -o name | grep -q numbers; }
check "another node knows that the name is gone" wait_for 10 gone
sleep 12 # a sweep comes every 10 s: they are looked at, and left
[ $((SECONDS - start)) -lt 50 ] && check "while one is away what is free stays" eval 'has 1 && has 2'
away() { [ "$(blocks 12 200)" = 0 ]; }
check "for a minute" wait_for 120 away
flock_start 3 --keep 5s || not_ok "node 3 starts again"
check "who comes back lets go, too" wait_for 60 none

# ---- who is dead for longer than --evict-after is given up, and comes back as a newcomer ----
for n in 1 2 3; do flock_kill $n; done
for n in 1 2 3; do flock_start $n --evict-after 24s || not_ok "node $n starts again"; done
check "three nodes find each other again" flock_whole 3
flock_kill 3
start=$SECONDS
tells() { ctl events | grep "$1" | grep -q node3; }
check "a dead member is given up" wait_for 90 tells 'evicted'
check "not before --evict-after" [ $((SECONDS - start)) -ge 24 ]
flock_start 3 --evict-after 24s || not_ok "node 3 comes back"
check "it says that it knows" wait_for 60 eval 'ctl events | grep -q "returned: it knows of 1"'
check "and is a member" flock_whole 3
flock_end

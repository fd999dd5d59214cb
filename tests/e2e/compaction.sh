#!/usr/bin/env bash
# An ended job becomes its summary: its tasks leave the log of every node; whoever comes later, or was away meanwhile, catches
# up by a snapshot; and what is finished stays finished, over restarts too. (A pass of compaction comes every 20 s.)
#
#   node 1     node 2     node 3 (away while the log is cut)     node 4 (a newcomer behind the cut)
#
. "$(dirname "$0")/../lib/flock.sh"
flock_begin compaction
for n in 1 2 3; do flock_start $n || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3
seq 60 >"$DIR/args"
on() { local n=$1; shift; AT=${ADDR[$n]} ctl "$@"; }
metric() { on "$1" ping -o json | jq ".metrics.$2"; }
early=$(ctl submit -q -t 'echo early {}' <"$DIR/args")
check "a job ends" on 1 wait "$early"
# A feed's last batch stays: each node says something that is no task's behind its own.
says() { echo "$1" | on "$1" put -q - "said-by-$1"; }
says 3
# One input that many jobs have, again and again: it stays in the log for the latest alone.
same=$(ctl submit -q -m cat -i "$DIR/args")
check "another one ends, with a small input" on 1 wait "$same"
carried() { on "$1" log --job "$2" | grep -c " small $2: "; }
check "that is in the log" [ "$(carried 1 "$same")" -gt 0 ]
touch "$DIR/again"
while [ -e "$DIR/again" ]; do ctl submit -q -m cat -i "$DIR/args" >/dev/null; sleep 2; done &
again=$!
flock_kill 3
job=$(ctl submit -q -t 'echo {}' <"$DIR/args")
check "another one ends, which node 3 has never heard of" on 1 wait "$job"
for n in 1 2; do says $n; done
on 1 cat "$job" >"$DIR/before"
claims() { on "$1" log --job "$2" | grep -c " claim "; }
check "its tasks are in the log" [ "$(claims 1 "$job")" -gt 0 ]
is_cut() { [ "$(carried "$1" "$same")" = 0 ] && [ "$(metric "$1" log_cut)" -gt 0 ] && [ "$(claims "$1" "$job")" = 0 ] && [ "$(claims "$1" "$early")" = 0 ]; }
for n in 1 2; do check "they leave the log of node $n" wait_for 75 is_cut $n; done
rm "$DIR/again"
wait $again
check "that it was submitted and ended stays" [ "$(on 1 log --job "$job" | grep -oE " (job|ended) $job: " | sort -u | wc -l)" = 2 ]
agree() { [ "$(for n in "$@"; do metric "$n" state_digest; done | sort -u | wc -l)" = 1 ]; }
flock_start 3
check "node 3 comes back, and has the same state" wait_for 20 agree 1 2 3
check "by a snapshot" [ "$(metric 3 snapshots_taken)" = 1 ]
flock_start 4
check "a newcomer has it, too" wait_for 20 agree 1 2 3 4
check "by a snapshot" [ "$(metric 4 snapshots_taken)" = 1 ]
ended() { [ "$(on "$1" status "$2" -o json | jq -c '[.state, .maps, .maps_done]')" = '["done",60,60]' ]; }
echo "# offered: $(metric 1 snapshots_offered) and $(metric 2 snapshots_offered) times"
check "nobody was offered it without end" [ $(($(metric 1 snapshots_offered) + $(metric 2 snapshots_offered))) -le 40 ]
for n in 3 4; do check "node $n knows how it ended" ended $n "$job"; done
check "and gives its output" eval 'on 4 cat "$job" | cmp -s - "$DIR/before"'
again=$(cat "$DIR"/*.err | grep -c "event=run attempt=$job/.*\.2") # second copies, while it ran
for n in 1 2 3 4; do flock_kill $n; done
for n in 1 2 3 4; do flock_start $n || not_ok "node $n starts again"; done
check "all killed and started again: one state" wait_for 20 agree 1 2 3 4
for n in 1 4; do check "node $n: finished stays finished" ended $n "$job"; done
check "nothing of it has run again" [ "$(cat "$DIR"/*.err | grep -c "event=run attempt=$job/.*\.2")" = "$again" ]
for n in 1 2 3 4; do flock_kill $n TERM; done
for n in 1 3 4; do check "node $n's store is sound" eval '"$BUILD/mrnode" --check-store "$DIR/node$n" | grep -q "^ok .* kept=[1-9]"'; done
flock_end

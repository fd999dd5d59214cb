#!/usr/bin/env bash
# Memory for tasks: where each says what it needs, a node runs no more of them at once than fit into its --mem; a job that fits
# nowhere waits, says why, and runs as soon as a node that has so much is there.
#
#   node1 (--mem 200M) --- node2 (--mem 200M) [--- node3 (--mem 1G)]      four slots each
. "$(dirname "$0")/../lib/flock.sh"
flock_begin room
export SLOTS=4
for n in 1 2; do flock_start $n --mem 200M || not_ok "node $n starts"; done
check "two nodes find each other" flock_whole 2
seq 400 >"$DIR/in"
mkdir "$DIR/runs"
# Each task counts those that run beside it on its node; one that is given up does not stay counted.
count='d=$R/$MR_NODE_NAME; mkdir -p "$d"; trap "rm -f \"$d/$MR_INDEX\"" EXIT; trap "exit 1" TERM; : >"$d/$MR_INDEX"; ls "$d" | wc -l; sleep 0.3; ls "$d" | wc -l'
most() { ctl run -q -m "$count" -e "R=$(mktemp -d "$DIR/runs/XXXXXX")" --split 100 -i "$DIR/in" --speculate off "$@" 2>"$DIR/err" | sort -n | tail -n 1; }
check "80M each: two at once on a node that has 200M" [ "$(most --mem 80M)" = 2 ]
once=$count count=${count/sleep 0.3/for i in \$(seq 50); do [ \$(ls \"\$d\" | wc -l) -gt 2 ] && break; sleep 0.1; done}
check "who says nothing is bounded by the slots" [ "$(most)" -gt 2 ]
count=$once
check "150M each: one at once" [ "$(most --mem 150M)" = 1 ]

small=$(ctl submit -q -t 'sleep 0.3; true {}' --bunch 1 --mem 80M ::: $(seq 60))
large=$(ctl submit -q -t 'sleep 0.1; true {}' --mem 150M ::: 1 2)
ctl wait -q "$large"
ctl wait -q "$small"
check "small tasks are done beside large ones" [ $? = 0 ]
ends() { ctl log | grep -oE "ended ($large|$small): " | tr -d '\n'; }
check "and do not keep these waiting for ever" [ "$(ends)" = "ended $large: ended $small: " ]

job=$(ctl submit -q -m 'sleep 30; cat' --mem 150M --split 700 -i "$DIR/in")
says() { ctl explain "$job" --pending 2>/dev/null | grep -q "$1"; }
check "explain --pending tells what waits for memory" wait_for 10 says 'waits for memory: it asks for 150 MiB, node1 has [0-9]* of 200 MiB left'
ctl kill "$job" >/dev/null 2>&1

job=$(ctl submit -q -m cat --mem 600M -i "$DIR/in")
check "a job that fits nowhere: explain says so" wait_for 10 says 'asks for 600 MiB (--mem), and no member has so much'
check "status too" [ "$(ctl status "$job" -o json | jq -r '.error' | grep -c 'at most 200 MiB')" = 1 ]
check "nothing of it was started" [ "$(ctl status "$job" -o json | jq .attempts)" = 0 ]
flock_start 3 --mem 1G
is_done() { [ "$(job_field "$job" state)" = done ]; }
check "with a larger node it runs" wait_for 20 is_done
check "there" [ "$(ctl tasks "$job" -o json | jq -r '.[0].node_name')" = node3 ]
flock_end

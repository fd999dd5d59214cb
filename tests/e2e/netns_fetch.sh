#!/usr/bin/env bash
# A transfer that breaks off goes on where it stopped: a block comes over a slow network, its holder is killed amid it, and the
# other one is asked for the rest alone. The same with the only holder of a map's output, when the network fails for a while.
# How much came over the network is counted by the fetching node, and printed.
#
#      node1 ---\
#                --- node3      node1, node2: hold the block; node3: needs it; its network is slow
#      node2 ---/
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/flock.sh"
flock_begin fetch
SIZE=40000000
for n in 1 2; do net_start $n || not_ok "node $n starts"; done
check "two nodes find each other" flock_whole 2
head -c $SIZE /dev/urandom >"$DIR/input"
check "a block on two nodes" ctl put "$DIR/input" data --split 64M --replicas 2
net_start 3 --log-level debug || not_ok "node 3 starts"
check "a third joins" flock_whole 3
# Streams to node 3 are slow: so many megabytes a second.
slow() { nft add rule ip mr input ip daddr 127.0.1.3 ip protocol tcp limit rate over "$1" mbytes/second burst 1 mbytes drop; }

on() { local n=$1; shift; AT=${ADDR[$n]} ctl "$@"; }
metric() { on 3 ping -o json 2>/dev/null | jq ".metrics.$1"; }
has_come() { [ "$(metric fetch_bytes)" -ge "$1" ]; }
sources() { grep -o 'event=fetch from=127.0.1.[0-9]*.* size=[0-9]* offset=[0-9]*' "$DIR/3.err" | awk -v size="$1" '$0 ~ "size=" size " "'; }
source_of() { sources "$1" | tail -n 1 | sed 's/.*from=127.0.1.\([0-9]*\).*/\1/'; }

for n in 1 2; do on 1 drain node$n >/dev/null || not_ok "node $n is drained"; done
slow 4
job=$(on 3 submit -q -m 'wc -c' -i data:data --name count) || not_ok "submit"
check "the block is on its way" wait_for 60 has_come 3000000
holder=$(source_of $SIZE)
before=$(metric fetch_bytes)
flock_kill "$holder"
net_heal
check "its holder is killed: the job ends well" eval 'on 3 wait "$job" >/dev/null 2>"$DIR/err"'
check "and the bytes are all there" [ "$(on 3 cat "$job" 2>/dev/null | tr -d ' \n')" = $SIZE ]
check "the other one was asked for the rest" eval '[ "$(source_of $SIZE)" != "$holder" ] && [ "$(sources $SIZE | tail -n 1 | sed "s/.*offset=//")" -ge "$before" ]'
came=$(metric fetch_bytes) resumed=$(metric fetch_bytes_resumed)
echo "# $before bytes had come when node$holder was killed; $came came in all, for a block of $SIZE; $resumed were not fetched again"
check "no byte came twice" [ "$came" -le $((SIZE + 1000000)) ]
check "what had come was not fetched again" [ "$resumed" -ge "$before" ]

# ---- the only holder, and a network that fails for a while: it lives, and its map's output is not made again ----
other=$((3 - holder))
on 3 undrain node$other >/dev/null && on 3 drain node3 >/dev/null || not_ok "the map runs on node $other"
base64 -w 60 <"$DIR/input" | head -c 16000000 >"$DIR/lines"
check "lines" on $other put "$DIR/lines" lines --split 64M --replicas 1
job=$(on $other submit -q -m cat -r cat -R 1 -i data:lines --name sort) || not_ok "submit"
made() { [ "$(on $other status "$job" -o json | jq .maps_done)" = 1 ]; }
# Node 3 takes the reduce as soon as it may: the other one must have no slot by then.
on $other drain node$other >/dev/null && on $other undrain node3 >/dev/null || not_ok "the reduce runs on node 3"
slow 2
start=$(metric fetch_bytes) again=$(metric fetch_bytes_resumed)
check "the map is done" wait_for 60 made
check "its output is on its way" wait_for 60 has_come $((start + 2000000))
nft insert rule ip mr input ip saddr 127.0.1.$other ip daddr 127.0.1.3 ip protocol tcp drop
gave_up() { grep -c 'event=fetch_failed' "$DIR/3.err"; }
failures=$(gave_up)
check "the transfer is given up" wait_for 30 eval '[ "$(gave_up)" -gt $failures ]'
net_heal
check "the network is back: the job ends well" eval 'on 3 wait "$job" >/dev/null 2>"$DIR/err"'
check "the right bytes" eval 'on 3 cat "$job" 2>/dev/null | cmp -s - <(LC_ALL=C sort "$DIR/lines")'
check "no attempt was made again" [ "$(on 3 status "$job" -o json | jq .reexecuted)" = 0 ]
came=$(($(metric fetch_bytes) - start)) resumed=$(($(metric fetch_bytes_resumed) - again))
echo "# $came bytes came for the reduce's part; $resumed were not fetched again"
check "what had come before was not fetched again" [ "$resumed" -ge 2000000 ]
flock_end

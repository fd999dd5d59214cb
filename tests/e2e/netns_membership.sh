#!/usr/bin/env bash
# Who is held dead, and who is not, behind bad networks.
#
#   node1 --- node2         lossy: 40 % of all datagrams and of TCP
#     |  \   /  |           deaf: node 3 receives no datagram, streams work
#     |  node3  |           one way: nothing passes from 1 to 2
#     |  /   \  |           not transitive: nothing passes between 1 and 2, all else does
#   node4 --- node5         halves: {1,2} | {3,4,5}
#
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/flock.sh"
flock_begin netns
for n in 1 2 3 4 5; do net_start $n || not_ok "node $n starts"; done
check "five nodes find each other" flock_whole 5

quiet() { # name, command...: while it runs nobody is held dead by anybody; a machine that stood still meanwhile is asked again
  local name=$1 before late try
  shift
  for try in 1 2 3; do
    before=$(deaths)
    lateness_begin
    "$@"
    late=$(lateness)
    [ "$(deaths)" != "$before" ] && stood_still || break
    echo "# $name: try $try is none, the machine lost $late ms"
    wait_for 30 members_in_state alive 5
  done
  check "$name" [ "$(deaths)" = "$before" ]
  net_heal
  check "$name: all well after" wait_for 30 members_in_state alive 5
}
net_loss 40
quiet "40 % lost, of datagrams and TCP: nobody is held dead" sleep 6
nft add rule ip mr input ip daddr 127.0.1.3 udp dport 7946 drop
quiet "a node that receives no datagrams, but streams: nobody is held dead" \
  wait_for 30 grep -q event=udp-blocked "$DIR/3.err"
check "and it says so, once" [ "$(grep -c event=udp-blocked "$DIR/3.err")" = 1 ]
net_cut 1 2
quiet "nothing passes from 1 to 2: nobody is held dead" sleep 5
net_cut 1 2
net_cut 2 1
quiet "nothing passes between 1 and 2, all else does: nobody is held dead" sleep 5

net_cut '{1,2}' '{3,4,5}'
net_cut '{3,4,5}' '{1,2}'
check "halves: 1 holds 4 dead" wait_for 25 all_hold 4 dead 1 2
check "halves: the others hold 1 dead" wait_for 25 all_hold 1 dead 3 4 5
check "halves: 2 and 1 know each other" wait_for 20 all_hold 2 alive 1 2
net_heal
check "halves, healed: all well" wait_for 30 all_hold 4 alive 1 2 3
check "halves, healed: all hold 1 alive" wait_for 30 all_hold 1 alive 3 4 5

seq 3000 >"$DIR/input"
job=$(ctl submit -q -m 'sleep 2; cat' -r 'wc -l' --split 1K -i "$DIR/input")
runs_some() { [ "$(ctl members -o json | jq '.[] | select(.name == "node5") | .running')" -gt 0 ]; }
check "node 5 has work" wait_for 20 runs_some
flock_kill 5
check "killed: its port refuses, and all know" wait_for 20 all_hold 5 dead 1 2 3 4
check "killed: the cause is told" wait_for 10 grep -q 'name=node5 .*state=dead .*cause="its port refused"' "$DIR/1.err"
check "and by events, for its work is free" wait_for 20 eval 'AT=${ADDR[2]} ctl events | grep -q "dead: .*its port refused"'
ctl kill "$job" 2>/dev/null
# The dead one is pinged, and its kernel refuses, again and again. A loop that spun on that would take as much as any other
# that spins: one beside it.
ticks() { local pid; for pid; do cat "/proc/$pid/stat"; done | awk '{n += $14 + $15} END {print n}'; }
(while :; do :; done) &
spinner=$!
before=$(ticks "${PID[1]}" "${PID[2]}" "${PID[3]}")
sleep 3
took=$(($(ticks "${PID[1]}" "${PID[2]}" "${PID[3]}") - before)) spun=$(ticks $spinner)
kill $spinner
wait $spinner 2>/dev/null
echo "# $took ticks; a loop that spins: $spun"
check "refused pings make nobody spin" [ $took -lt $((spun / 2)) -o $took -lt $(($(getconf CLK_TCK) / 5)) ]
net_start 5
check "started anew: all know" wait_for 20 all_hold 5 alive 1 2 3 4
check "started anew: that it did" wait_for 10 grep -q 'name=node5 .*state=alive .*cause="it started anew"' "$DIR/1.err"

flock_kill 5
check "killed again" wait_for 20 all_hold 5 dead 1 2 3 4
check "a living one is not forgotten" eval '! ctl forget node4 2>/dev/null'
check "the dead one is" ctl -q forget node5
gone_from_list() { [ "$(AT=${ADDR[2]} ctl members -o json | jq length)" = 4 ]; }
check "forgotten: it is on no list" wait_for 20 gone_from_list
check "forgotten: and off the roster" eval 'AT=${ADDR[2]} ctl events | grep -q "evicted: node5 .* someone made the flock forget it"'
short=$(AT=${ADDR[1]} ctl submit -q -m cat -i "$DIR/input")
is_final() { [ "$(AT=${ADDR[1]} ctl status "$short" -o json | jq .final)" = true ]; }
check "forgotten: what ends without it becomes final" wait_for 30 is_final
net_start 5
check "forgotten, and back: welcome" wait_for 20 all_hold 5 alive 1 2 3 4
has_returned() { AT=${ADDR[2]} ctl events | grep -q 'node5 .*returned: it knows of 1 eviction'; }
check "forgotten, and back: a newcomer on the roster" wait_for 20 has_returned

for _ in 1 2 3; do
  kill -STOP "${PID[4]}"
  wait_for 30 all_hold 4 dead 1 2 3 5
  kill -CONT "${PID[4]}"
  wait_for 20 eval 'holds 1 4 alive || holds 1 4 degraded'
done
check "held dead and back three times: degraded" wait_for 20 all_hold 4 degraded 1 2 3
check "and it knows that itself" wait_for 20 holds 4 4 degraded
job=$(ctl submit -q -m 'sleep 0.1; cat' -r 'wc -l' -R 3 --split 1K -i "$DIR/input")
check "a job of many tasks ends" ctl wait -q "$job"
ctl tasks "$job" -o json >"$DIR/tasks"
none_at_node4() { jq -e 'length > 9 and all(.[]; .node_name != "node4")' "$DIR/tasks" >/dev/null; }
check "and no task of it ran at the degraded one" none_at_node4
flock_end

#!/usr/bin/env bash
# A member's life: tags, coming back by what was saved, moving to another address, profiles, IPv6.
. "$(dirname "$0")/../lib/flock.sh"
flock_begin lifecycle

member() { AT=${ADDR[$1]} ctl members -o json | jq -r --arg m "node$2" '.[] | select(.name == $m) | '"$3"; }
holds() { [ "$(member "$1" "$2" .state)" = "$3" ]; } # node 1's opinion of node 2
tagged() { [ "$(member "$1" "$2" '.tags | to_entries | map("\(.key)=\(.value)") | join(" ")')" = "$3" ]; }
alone_start() { # N ARGS...: told of nobody; on its former port, if it had one
  local n=$1
  shift
  : >"$DIR/$n.out" # at once: its former words are not the new one's
  "$BUILD/mrnode" -d "$DIR/node$n" --name "node$n" --listen "${ADDR[$n]:-127.0.0.1:0}" --profile local "$@" \
    >"$DIR/$n.out" 2>>"$DIR/$n.err" </dev/null &
  PID[$n]=$!
  flock_ready "$n"
}

# ---- tags ----
flock_start 1 --tag rack=a1 --tag 'disk=two words' || not_ok "node 1 starts"
flock_start 2 || not_ok "node 2 starts"
flock_start 3 --tag rack=b2 --profile wan || not_ok "node 3 starts"
check "three nodes find each other" flock_whole 3
check "tags: by key, at another node" wait_for 10 tagged 2 1 'disk=two words rack=a1'
for n in 1 2; do check "tags: of a third, at node $n" wait_for 10 tagged $n 3 rack=b2; done
check "tags: an untagged one has none" tagged 1 2 ''
check "tags: in the wide table" eval 'AT=${ADDR[2]} ctl members -o wide | grep -q "^node3 .*rack=b2"'
check "tags: not in the narrow one" eval '! AT=${ADDR[2]} ctl members | grep -q rack='
entries() { AT=${ADDR[2]} ctl log -o json | jq -r .text | grep -c "tagged{"; }
two=$(entries)
flock_kill 3
flock_start 3 --tag rack=b2 && flock_whole 3
check "tags: the same again are not said again" [ "$(entries)" = "$two" ]
flock_kill 3
flock_start 3 --tag rack=c3 && flock_whole 3
check "tags: changed by a restart" wait_for 10 tagged 2 3 rack=c3
flock_kill 3
flock_start 3 && flock_whole 3
check "tags: gone by a restart" wait_for 10 tagged 2 3 ''

# ---- whom it knew ----
for n in 1 2 3; do flock_kill $n; done
for n in 2 3 1; do alone_start $n || not_ok "node $n starts again"; done
check "all killed, started and told of nobody: they find each other" flock_whole 3
check "tags survive that" wait_for 10 tagged 2 1 ''
flock_kill 3
was=${ADDR[3]}
unset "ADDR[3]"
# Its port is kept from it: it must take another.
alone_start 3
check "it moved" [ "${ADDR[3]}" != "$was" ]
moved() { holds "$1" 3 alive && [ "$(member "$1" 3 .address)" = "${ADDR[3]}" ]; }
check "moved to another address: all hold it there" wait_for 15 eval 'moved 1 && moved 2'
are_three() { [ "$(AT=${ADDR[1]} ctl members -o json | jq length)" = 3 ]; }
check "and there is one of it" wait_for 10 are_three
check "work goes on" [ "$(seq 100 | ctl run -q -m cat -r 'wc -l' | tr -d ' ')" = 100 ]
for n in 1 2 3; do flock_kill $n TERM; done

# ---- an end in the midst of something: a block that was fetched is being put in its place, on a disk that takes its time ----
export SLOWSYNC=$DIR/slow
flock_start 1 && ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 MALLOC_PERTURB_=165 LD_PRELOAD=$BUILD/lib/slowsync.so \
  flock_start 2 || not_ok "two nodes start"
flock_whole 2
seq 100000 >"$DIR/numbers"
touch "$SLOWSYNC"
ctl put -q "$DIR/numbers" numbers >/dev/null 2>&1 &
putting=$!
is_placed() { [ -n "$(find "$DIR/node2/blocks" -type f)" ]; } # renamed: what is not over is the sync of its directory
wait_for 20 is_placed || not_ok "a copy comes to node 2"
kill -TERM "${PID[2]}"
sleep 0.1
kill -TERM "${PID[2]}" # at once
wait "${PID[2]}"
check "told to end at once while a fetched block is being placed: it ends well" [ $? = 0 ]
unset "PID[2]"
rm "$SLOWSYNC"
kill $putting 2>/dev/null
wait $putting
flock_kill 1 TERM

# ---- IPv6 ----
if ip -6 address show dev lo 2>/dev/null | grep -q '::1'; then
  for n in 4 5 6; do
    unset "ADDR[$n]"
    rm -rf "$DIR/node$n"
    ADDR[$n]='[::1]:0'
    flock_start $n || not_ok "node $n starts on ::1"
  done
  check "IPv6: three nodes find each other" flock_whole 3
  check "IPv6: the address is one" eval 'member 4 5 .address | grep -q "^\[::1\]:"'
  check "IPv6: work" [ "$(seq 100 | ctl run -q -m cat -r 'wc -l' | tr -d ' ')" = 100 ]
  flock_kill 6
  check "IPv6: killed, and known" wait_for 20 eval 'holds 4 6 dead && holds 5 6 dead'
  check "IPv6: its port said so" eval 'member 4 6 .cause | grep -q "port refused"'
else
  skip "IPv6: this machine has no ::1"
fi
flock_end

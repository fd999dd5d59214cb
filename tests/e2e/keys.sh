#!/usr/bin/env bash
# The cluster's key is rotated while the flock works: nobody fails, no job waits. Who was dead gets the new key when it is back; who
# was behind a partition when its network heals (faults.md, N17); the old key is refused to be dropped while somebody needs it, and
# refused as a key once it is.
#
#   node1 --- node2 --- node3 --- node4      each with a key file of its own
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/flock.sh"
flock_begin keys
start() { net_start "$1" --key-file "$DIR/key$1"; }
for n in 1 2 3 4; do cp -p "$DIR/cluster.key" "$DIR/key$n" && start $n || not_ok "node $n starts"; done
check "four nodes find each other" flock_whole 4
on() { local n=$1; shift; AT=${ADDR[$n]} ctl "$@"; }
have() { # COUNT NODE...: keys in the file of each
  local count=$1 n
  shift
  for n; do [ "$(wc -l <"$DIR/key$n")" = "$count" ] || return 1; done
}
same_files() { local n; for n; do cmp -s "$DIR/key$1" "$DIR/key$n" || return 1; done; }
whole_at() { AT=${ADDR[$1]} members_in_state alive 4; }
no_deaths() { [ "$(deaths)" = "${1:-0}" ]; }
fingerprint() { ctl keys list -o json | jq -r ".[$1].fingerprint"; }
first=$(fingerprint 0)
seq 100 >"$DIR/in"
job=$(ctl submit -q -m 'sleep 1; cat' --split 40 -i "$DIR/in")

lateness_begin
held=$(deaths)
new=$(ctl keys rotate 2>"$DIR/err")
check "rotated: the new key's fingerprint, and no word" [ "$?/${#new}/$(cat "$DIR/err")" = 0/16/ ]
check "all have both, the new one first" same_files 1 2 3 4
check "mrctl's own file too" [ "$(fingerprint 0) $(fingerprint 1)" = "$new $first" ]
check "a job that ran meanwhile is done" ctl wait -q "$job"
check "files are their owner's alone" [ "$(stat -c %a "$DIR"/key[1-4] "$DIR/cluster.key" | sort -u)" = 600 ]
# A wrong key looks like a node that says nothing. So does a machine that stands still.
late=$(lateness)
if stood_still && ! no_deaths "$held"; then skip "nobody was held dead for it: the machine itself lost $late ms"
else check "nobody was held dead for it" no_deaths "$held"; fi
check "all are there" flock_whole 4

flock_kill 4
check "a dead node" wait_for 20 holds 1 4 dead
ctl keys rotate >"$DIR/out" 2>"$DIR/err"
check "rotated without the dead node, which is named" [ "$?/$(grep -c 'not yet: node4' "$DIR/err")" = 0/1 ]
check "three have the third key" have 3 1 2 3
second=$new new=$(cat "$DIR/out") # the first digits
ctl keys drop "$second" 2>"$DIR/err"
check "a key that the dead node needs is not dropped" [ "$?/$(grep -c node4 "$DIR/err")" = 6/1 ]
start 4
check "back, it gets it" wait_for 20 have 3 4
check "and is a member like the others" wait_for 20 whole_at 4
dropped() { ctl keys drop "$second" 2>/dev/null; }
check "now, as soon as all know that it has it, it is dropped" wait_for 20 dropped
check "everywhere" wait_for 10 have 2 1 2 3 4
ctl keys drop "$new" 2>"$DIR/err"
check "the key that sends is not" [ $? = 6 ]

# Halves apart: one rotates. Healed, the other hears of it, by the old key.
net_cut '{1,2}' '{3,4}'
net_cut '{3,4}' '{1,2}'
parted() { all_hold 3 dead 1 2 && all_hold 1 dead 3 4; }
check "halves apart" wait_for 60 parted
on 1 keys rotate >"$DIR/out" 2>"$DIR/err"
check "one half rotates" [ $? = 0 ]
check "both of it" have 3 1 2
check "the other half has not heard of it" have 2 3 4
net_heal
check "healed, it gets the key" wait_for 60 have 3 3 4
for n in 1 2 3 4; do check "node $n sees all four" wait_for 30 whole_at $n; done
check "all files are the same" wait_for 10 same_files 1 2 3 4

# By hand: the file is read again on SIGHUP.
"$BUILD/mrctl" keygen "$DIR/by-hand" && for n in 1 2 3 4; do cat "$DIR/by-hand" >>"$DIR/key$n" && kill -HUP "${PID[$n]}"; done
read_again() { [ "$(grep -c 'event=keys_read keys=4' "$DIR"/[1-4].err | grep -c ':1$')" = 4 ]; }
check "SIGHUP reads the file again" wait_for 10 read_again
MR_KEY_FILE=$DIR/by-hand ctl ping >/dev/null 2>&1
check "a key put there by hand is accepted" [ $? = 0 ]
ctl keys list -o json | jq -r '.[].fingerprint' | sort >"$DIR/known"
for key in $(cat "$DIR"/key[1-4]); do grep -l "$key" "$DIR"/*.err "$DIR"/*.out; done >"$DIR/leaks"
check "no key was ever shown" [ ! -s "$DIR/leaks" ]
# These bytes, given in hex. As digits: to grep, a byte that is a line's end would end what it compares.
in_log() { find "$DIR/node1" -type f -exec od -An -v -tx1 {} + | tr -d ' \n' | grep "$1" >/dev/null; }
check "the log has a fingerprint" in_log "$new"
for key in $(cat "$DIR/key1"); do in_log "$key" && echo "$key"; done >"$DIR/leaks"
check "and no key" [ ! -s "$DIR/leaks" ]
flock_end

#!/usr/bin/env bash
# The disk of one node of three is full for a while: it stays a member, gives back what it runs, acknowledges nothing, and
# when there is space again it catches up and works on. Its directory is a small tmpfs in a mount namespace of the test.
#
#   node 1     node 2     node 3 (tmpfs, filled by the test)
#
if [ -z "${MR_MOUNTNS:-}" ]; then
  for how in "unshare -m" "unshare -rm"; do
    $how true 2>/dev/null && MR_MOUNTNS=1 exec $how "$BASH" "$0" "$@"
  done
  echo "skip disk_full: no mount namespace is to be had here (unshare -m, unshare -rm)"
  exit 0
fi
. "$(dirname "$0")/../lib/flock.sh"
flock_begin disk
mkdir "$DIR/node3"
mount -t tmpfs -o size=24m none "$DIR/node3" 2>/dev/null || { echo "skip disk_full: no tmpfs can be mounted"; exit 0; }
trap 'umount -l "$DIR/node3" 2>/dev/null; flock_clean' EXIT
for n in 1 2 3; do flock_start $n || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3

runs_at_3() { [ "$(ctl members -o json | jq '.[] | select(.name == "node3") | .running')" -ge 1 ]; }
fill() { cat /dev/zero >"$DIR/node3/ballast" 2>/dev/null; [ "$(stat -f -c %a "$DIR/node3")" = 0 ]; }
says() { grep -q "event=$1" "$DIR/3.err"; }
seq 30 >"$DIR/args"
job=$(ctl submit -q -t 'sleep 1; echo {}' <"$DIR/args")
check "node 3 works" wait_for 20 runs_at_3
check "its disk is filled" wait_for 10 fill
check "it says so" wait_for 30 says disk_waits
check "it gives its work back" wait_for 20 eval '! runs_at_3'
check "it is still a member" wait_for 10 members_in_state alive 3
check "and was never held dead" eval '! grep -h "name=node3 .*state=dead" "$DIR"/[12].err'
asked() { timeout 60 "$BUILD/mrctl" -n "${ADDR[3]}" run -q -t 'echo {}' ::: a >"$DIR/taken" 2>"$DIR/taken.err"; }
check "a job that it is asked for is taken by another, or refused with the reason" eval 'asked || grep -qE "no space left|disk is full" "$DIR/taken.err"'
check "the job ends without it" timeout 120 "$BUILD/mrctl" -n "${ADDR[1]}" wait "$job" 2>/dev/null
rm "$DIR/node3/ballast"
check "when there is space again, it says so" wait_for 20 says disk_back
lag_of_3() { ctl members -o json | jq '.[] | select(.name == "node3") | .lag'; }
caught_up() { [ "$(lag_of_3)" = 0 ]; }
check "and is in step" wait_for 20 caught_up
second=$(ctl submit -q -t 'sleep 1; echo {}' <"$DIR/args")
check "and works" wait_for 20 runs_at_3
check "the second job is done" timeout 120 "$BUILD/mrctl" -n "${ADDR[1]}" wait "$second" 2>/dev/null
for n in 1 2 3; do flock_kill $n TERM; done
check "its store is sound" "$BUILD/mrnode" --check-store "$DIR/node3"
flock_end

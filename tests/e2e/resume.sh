#!/usr/bin/env bash
# An upload whose node goes amid it, dead or leaving: it goes on at another one, which gets what no living node has. Out of a
# pipe, too. Three nodes on loopback; the first is the one that goes.
. "$(dirname "$0")/../lib/flock.sh"
flock_begin resume
first_starts() {
  LAUNCH=(env "ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0" "SLOWSYNC=$DIR/slow" "LD_PRELOAD=$BUILD/lib/slowsync.so")
  flock_start 1 || not_ok "node 1 starts"
  LAUNCH=()
}
first_starts
for n in 2 3; do flock_start $n || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3
text "$DIR/text" 24
whole() { AT=${ADDR[2]} ctl cat "$1" | cmp -s - "$2"; }
counted() { # a metric of node 2 and 3 together
  local n sum=0
  for n in 2 3; do sum=$((sum + $(AT=${ADDR[$n]} ctl ping -o json | jq ".metrics.$1 // .[0].metrics.$1"))); done
  echo $sum
}
has_blocks() { [ "$(find "$DIR/node$1/blocks" -type f | wc -l)" -ge "$2" ]; }
no_blocks() { ! has_blocks 1 1 && ! has_blocks 2 1 && ! has_blocks 3 1; }
found() { sed -n 's/.*of what was sent the living have \([0-9]*\) block.*/\1/p' "$DIR/err"; }

rots() { # a block that both have, of the size of most
  local block
  block=$(find "$DIR"/node[23]/blocks -type f -size +900k -printf '%P\n' | sort | uniq -d | head -n 1)
  [ -n "$block" ] || return 1
  for n in 2 3; do
    chmod u+w "$DIR/node$n/blocks/$block" && printf '\377\376' | dd of="$DIR/node$n/blocks/$block" bs=1 seek=30000 conv=notrunc 2>/dev/null &&
      chmod u-w "$DIR/node$n/blocks/$block" || return 1
  done
}

# Half of it, the rest when the file "go" is there.
halves() { head -c 12582912 "$DIR/text"; until [ -e "$DIR/go" ]; do sleep 0.05; done; tail -c +12582913 "$DIR/text"; }
interrupted() { # name, how node 1 goes: all of the first half that is cut is on other disks by then
  rm -f "$DIR/go"
  known=$(counted blocks_known)
  AT=${ADDR[1]} ctl put - "$1" --split 1M < <(halves) 2>"$DIR/err" &
  put=$!
  check "$1: its first half is on other disks" wait_for 20 eval 'has_blocks 2 10 && has_blocks 3 10'
  [ "$2" != KILL ] || check "$1: one of them rots on both" rots
  flock_kill 1 "$2"
  touch "$DIR/go"
  check "$1: ends well" wait $put
  check "$1: is what it was" whole "$1" "$DIR/text"
  check "$1: what others had was not sent again" eval '[ "$(found)" -ge 9 ] && [ $(($(counted blocks_known) - known)) = "$(found)" ]'
  first_starts
  flock_whole 3
  ctl rm "$1"
  check "$1: nothing of it stays" wait_for 40 no_blocks
}
interrupted killed KILL
interrupted left TERM

# A file, lent, at a node that takes its time: none of the blocks on their way is known to be there.
known=$(counted blocks_known)
touch "$DIR/slow"
AT=${ADDR[1]} ctl put "$DIR/text" file --split 1M 2>"$DIR/err" &
put=$!
check "file: some of it is on other disks" wait_for 40 eval 'has_blocks 2 5 && has_blocks 3 5'
flock_kill 1
check "file: ends well" wait $put
check "file: is what it was" whole file "$DIR/text"
check "file: what others had was not sent again" eval '[ "$(found)" -ge 3 ] && [ $(($(counted blocks_known) - known)) = "$(found)" ]'
flock_end

#!/usr/bin/env bash
# Blocks of datasets on live disks: copies come back after a death and go again after a return; a byte that changes on a disk is
# found, told and made good, and no job sees it; full disks are left alone, a put goes on where there is room, or leaves nothing.
# Four nodes on loopback; the small disks are tmpfs mounts in a mount namespace of the test's own.
. "$(dirname "$0")/../lib/flock.sh"
if [ "${MR_BLOCKS_NS:-}" = "" ] && [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
  MR_BLOCKS_NS=1 exec unshare -m --propagation private "$0" "$@"
fi
flock_begin blocks
for n in 1 2 3 4; do flock_start $n --scrub 2s --pin 20s || not_ok "node $n starts"; done
check "four nodes find each other" flock_whole 4

all_have() { # copies: every data block (not the manifests, which every node reads) has so many
  find "$DIR"/node*/blocks -type f -size +100k -printf '%f\n' | sort | uniq -c | awk -v want="$1" -v blocks="$2" '
    $1 != want {bad = 1} END {exit bad || NR != blocks}'
}

# ---- a death and a return ----
text "$DIR/text" 8
check "put" ctl put "$DIR/text" text --split 1M
BLOCKS=$(find "$DIR"/node*/blocks -type f -size +100k -printf '%f\n' | sort -u | wc -l)
check "several blocks, each on three nodes" eval '[ "$BLOCKS" -ge 7 ] && wait_for 30 all_have 3 "$BLOCKS"'
flock_kill 4
# The dead one's files are still on its disk: 3 living copies and, of those it held, its own.
living_have() {
  find "$DIR"/node[123]/blocks -type f -size +100k -printf '%f\n' | sort | uniq -c | awk -v want="$1" -v blocks="$BLOCKS" '
    $1 != want {bad = 1} END {exit bad || NR != blocks}'
}
check "after a death all blocks are on three living nodes again" wait_for 90 living_have 3
flock_start 4 --scrub 2s --pin 20s || not_ok "node 4 returns"
check "after its return the surplus copies are dropped" wait_for 120 all_have 3 "$BLOCKS"
check "the dataset is whole" eval 'ctl cat text | cmp -s - "$DIR/text"'

# ---- rot ----
any_block() { find "$DIR/node$1/blocks" -type f -size +100k | sort | head -n 1; }
flip() { # FILE: another byte in its middle, the file's time as it was
  local at=$(($(stat -c %s "$1") / 2)) mtime
  mtime=$(stat -c %y "$1")
  chmod u+w "$1"
  printf '\377\376' | dd of="$1" bs=1 seek=$at conv=notrunc 2>/dev/null
  chmod u-w "$1"
  touch -d "$mtime" "$1"
}
reference "$DIR/text" >"$DIR/want"
FLIPPED=
for n in 1 2 3 4; do # another block on each node: of each there are good copies
  for victim in $(find "$DIR/node$n/blocks" -type f -size +100k); do
    case $FLIPPED in *$(basename "$victim")*) continue ;; esac
    flip "$victim"; FLIPPED="$FLIPPED $(basename "$victim")"; break
  done
done
check "a job over rotten replicas: exit 0" eval 'ctl run -q -m "$MAPPER" -r "$REDUCER" -i data:text 2>"$DIR/err" | LC_ALL=C sort >"$DIR/out"'
check "and sees none of it" cmp -s "$DIR/out" "$DIR/want"
# A byte that changes while a task reads it, behind the look at its input: what it made of it does not count, nor does the attempt.
slow="touch $DIR/at.\$MR_NODE_NAME; while [ ! -e $DIR/go ]; do sleep 0.1; done; cat"
head -c 6000000 "$DIR/text" >"$DIR/part"
ctl put -q "$DIR/part" part --split 16M
AT=${ADDR[1]} ctl run -q -m "$slow" --retries 1 --speculate off -i data:part >"$DIR/out" 2>"$DIR/err" &
waiter=$!
check "a task begins" wait_for 20 eval 'ls "$DIR"/at.node*'
flip "$(echo "$DIR/$(ls "$DIR" | sed -n 's/^at\.//p')"/blocks/*/"$(b2sum -l 256 "$DIR/part" | cut -c1-64)")"
touch "$DIR/go"
wait $waiter
check "its input changes while it reads: exit 0" [ $? = 0 ]
check "and the job sees none of it" cmp -s "$DIR/out" "$DIR/part"
ctl rm part

good_file() { [ "$(b2sum -l 256 "$1" | cut -c1-64)" = "$(basename "$1")" ]; }
no_rot() {
  local f
  for f in $(find "$DIR"/node*/blocks -type f -size +100k -name '*[0-9a-f]'); do good_file "$f" || return 1; done
}
check "the scrub finds what nobody read" wait_for 40 no_rot
check "and all copies are made good" wait_for 40 all_have 3 "$BLOCKS"
check "each rotten copy is told in a line" eval '[ "$(grep -h "event=rot" "$DIR"/*.err | wc -l)" -ge 4 ]'
check "the bytes are those that were put" eval 'ctl cat text | cmp -s - "$DIR/text"'
rm -f "$(any_block 2)"
check "a file that vanished comes back" wait_for 40 all_have 3 "$BLOCKS"
check "rm" ctl rm text
nothing_left() { [ -z "$(find "$DIR"/node*/blocks "$DIR"/node*/tmp -type f 2>/dev/null)" ]; }
check "nothing of it is left" wait_for 120 nothing_left

# ---- copies are made while the rest comes ----
copied() { # so many blocks have three copies, and the one that was stored first, where that is not one of them
  find "$DIR"/node*/blocks -type f -size +100k -printf '%f\n' | sort | uniq -c | awk -v blocks="$1" '$1 < 3 {bad = 1} END {exit bad || NR != blocks}'
}
mkfifo "$DIR/fifo"
exec 7<>"$DIR/fifo"
"$BUILD/mrctl" -n "$(at)" put - early --split 500K 7<&- <"$DIR/fifo" 2>"$DIR/err" &
early=$!
head -c 2000000 "$DIR/text" >&7
check "what is stored is copied before its end has come" wait_for 20 copied 3
kill -INT $early
wait $early
check "it is given up" [ $? = 130 ]
exec 7<&-
[ -n "${LONG:-}" ] && check "and all copies go" wait_for 60 nothing_left # half a minute: in make check-all

# ---- full disks ----
if [ -n "${MR_BLOCKS_NS:-}" ]; then
  for n in 1 2 3 4; do flock_kill $n TERM; done
  for n in 1 2 3 4; do
    rm -rf "$DIR/node$n"; mkdir "$DIR/node$n"
    size=64m; [ $n = 4 ] && size=8m
    mount -t tmpfs -o size=$size tmpfs "$DIR/node$n" || not_ok "a small disk for node $n"
  done
  trap 'status=$?; for n in "${!PID[@]}"; do kill -9 "${PID[$n]}"; wait "${PID[$n]}"; done 2>/dev/null; umount "$DIR"/node[1-4]; (exit $status); PID=(); flock_clean' EXIT
  unset ADDR; declare -A ADDR
  for n in 1 2 3; do flock_start $n || not_ok "node $n starts on a small disk"; done
  LAUNCH=(env "ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0" "LD_PRELOAD=$BUILD/lib/slowsync.so" "SLOWWRITE=$DIR/slow" "STUCKSYNC=$DIR/stuck")
  flock_start 4 || not_ok "node 4 starts on a small disk"
  LAUNCH=()
  check "four nodes on small disks" flock_whole 4
  # Nobody is there any more to whom it could say what it has stored: then it does not keep it.
  touch "$DIR/stuck"
  head -c 400000 /dev/urandom | AT=${ADDR[4]} ctl put - unheard --replicas 1 --timeout 1s 2>"$DIR/err"
  check "a put to a disk that does not answer, and a limit of time: exit 124" [ $? = 124 ]
  rm "$DIR/stuck"
  check "what comes of it then is not kept" wait_for 40 nothing_left
  head -c 16000000 /dev/urandom >"$DIR/random"
  check "a put that does not fit on one of the disks: exit 0" ctl put "$DIR/random" random --split 2M
  check "all of it is on three others" wait_for 30 eval '[ "$(ctl ls -o json | jq ".[0].replicas_min")" = 3 ]'
  check "and whole" eval 'ctl cat random | cmp -s - "$DIR/random"'
  AT=${ADDR[4]} ctl put "$DIR/random" elsewhere --split 2M 2>"$DIR/err"
  status=$?
  [ $status = 0 ] || sed "s/^/# exit $status: /" "$DIR/err"
  check "a put through the full node: done elsewhere, or refused" eval '[ $status = 0 ] || { [ $status = 1 ] && says "space left"; }'
  [ $status = 0 ] && ctl rm elsewhere
  # Who asks for room is told of it before each block: when a disk is full the next block goes to another node, what is stored stays.
  fallocate -l "$(($(stat -f -c '%a * %S' "$DIR/node4") - 200000))" "$DIR/node4/filler" 2>/dev/null
  cat "$DIR/random" | AT=${ADDR[4]} ctl put - piped --split 1M --replicas 1 2>"$DIR/err"
  check "standard input through the full node: goes to another one" eval 'ctl cat piped | cmp -s - "$DIR/random"'
  # What it has but not written yet takes room, too: with a slow disk that is most of what such a small one keeps in reserve.
  ctl rm piped
  fallocate -l "$(($(stat -f -c '%a * %S' "$DIR/node4") - 1800000))" "$DIR/node4/filler"; touch "$DIR/slow"
  cat "$DIR/random" | AT=${ADDR[4]} ctl put - piped --split 450K --replicas 1 2>"$DIR/err"
  [ $? = 0 ] || sed "s/^/# /" "$DIR/err"
  check "standard input through a slow node that fills: goes on at another one" eval 'says "cannot take it, asking" && ctl cat piped | cmp -s - "$DIR/random"'
  rm "$DIR/slow"; ctl rm piped
  rm -f "$DIR/node4/filler"
  head -c 80000000 /dev/urandom >"$DIR/large"
  cat "$DIR/large" | ctl put - spread --split 4M --replicas 1 2>"$DIR/err"
  check "standard input that is more than any disk holds: exit 0" [ $? = 0 ]
  check "it went on at another node" says "cannot take it, asking"
  check "and all of it is there" eval 'ctl cat spread | cmp -s - "$DIR/large"'
  ctl rm spread
  head -c 150000000 /dev/urandom >"$DIR/too-big"
  cat "$DIR/too-big" | ctl put - fills --split 4M --timeout 6s 2>"$DIR/err"
  check "standard input that fits nowhere, and a limit of time: exit 124" [ $? = 124 ]
  check "says so" says "timed out"
  # Several copies come at once; each leaves room for those that came before.
  least=$(for n in 1 2 3; do echo $(($(stat -f -c '%a * %S' "$DIR/node$n"))); done | sort -n | head -n 1)
  check "a twentieth of each disk is left for the log ($least bytes)" [ "$least" -gt 2800000 ]
  check "and has no name" eval '! ctl ls -o name | grep -q fills'
  if [ -n "${LONG:-}" ]; then # half a minute until it gives up, and as long until a full disk is asked again: in make check-all
    ctl put "$DIR/too-big" too-big --split 4M 2>"$DIR/err"
    check "a put that fits nowhere: exit 1" [ $? = 1 ]
    check "says why, of all nodes, and what helps" eval '[ "$(grep -c "has no space left" "$DIR/err")" = 4 ] && says "free some space there" || says "no room for"'
    sed "s/^/# /" "$DIR/err"
    check "it was waited for" says "waiting for some"
    check "and has no name" eval '! ctl ls -o name | grep -q too-big'
    ctl rm random
    check "nothing of either is left" wait_for 120 nothing_left
    check "then there is room again: waited for, not refused" ctl put -q "$DIR/random" again --split 2M
    check "also for a file that is more than any disk holds" eval 'ctl put -q "$DIR/large" spread --split 4M --replicas 1 && ctl cat spread | cmp -s - "$DIR/large"'
  else
    ctl rm random
    check "nothing of either is left" wait_for 120 nothing_left
  fi
  for n in 1 2 3 4; do fallocate -l "$(($(stat -f -c '%a * %S' "$DIR/node$n") - 1000000))" "$DIR/node$n/filler"; done
  seq 1 400000 >"$DIR/late"
  ctl put "$DIR/late" late 2>"$DIR/err" &
  late=$!
  wait_for 20 says "waiting for some"
  rm "$DIR"/node[1-4]/filler
  wait $late
  check "a put while all disks are full is done when they are not" [ $? = 0 ]
  check "and whole" eval 'ctl cat late | cmp -s - "$DIR/late"'
else
  skip "full disks: needs root and mount namespaces"
fi
flock_end

#!/usr/bin/env bash
# What goes wrong is told without asking, and what can be waited for is waited for: a failed task's command, node, status,
# input and last words; a disk that is full in a map, in a reduce, in the commit (small tmpfs, as root).
#
#      node1 (a small disk of its own) --- node2 (another one)
. "$(dirname "$0")/../lib/flock.sh"
flock_begin trouble
small_disk() { # node, size
  mkdir -p "$DIR/node$1" && mount -t tmpfs -o "size=$2" tmpfs "$DIR/node$1" 2>/dev/null
}
resize() { mount -o "remount,size=$2" "$DIR/node$1"; }
leave() { # node, kilobytes free
  resize "$1" "$(($(df --output=used "$DIR/node$1" | tail -n 1) + $2))k"
}
unmount_all() { umount "$DIR"/node1 "$DIR"/node2 2>/dev/null; }
has_disks=yes
small_disk 1 40m || has_disks=
flock_clean_all() { local status=$? n; for n in "${!PID[@]}"; do kill -9 "${PID[$n]}" 2>/dev/null; wait "${PID[$n]}" 2>/dev/null; done; unmount_all; (exit $status); flock_clean; }
trap flock_clean_all EXIT
flock_start 1 || not_ok "node 1 starts"

# ---- a task that fails ----
seq 1 2000 >"$DIR/numbers"
ctl run -m "cat >/dev/null; echo oh dear >&2; exit 7" --retries 2 -i "$DIR/numbers" --split 4K >/dev/null 2>"$DIR/err"
check "a failed task shows its name, node and exit status" grep -qE 'task cat-[^ ]*/m[0-9]+ failed 2 times, last on node1: exit status 7' "$DIR/err"
check "its command" grep -q 'command: cat >/dev/null; echo oh dear >&2; exit 7' "$DIR/err"
check "its input" grep -qE 'input: .*numbers, bytes [0-9]+ to [0-9]+' "$DIR/err"
check "where in it the command was: the file, the byte, where that line begins" grep -qE 'exit status 7, when it had read up to byte [0-9]+ of .*/numbers; the line there begins at byte [0-9]+' "$DIR/err"
check "and its last words" grep -q 'oh dear' "$DIR/err"
ctl run -m cat -r 'kill -SEGV $$' --retries 1 -i "$DIR/numbers" >/dev/null 2>"$DIR/err"
check "a signal, in a reduce" grep -q '/r0 failed 1 time, last on node1: killed by signal 11' "$DIR/err"
check "a reduce's input" grep -q 'input: part 0 of 1, of the outputs of' "$DIR/err"
ctl put "$DIR/numbers" numbers --split 4K 2>/dev/null
ctl run -q -m 'head -c 1000 >/dev/null; exit 7' --retries 1 -i data:numbers >/dev/null 2>"$DIR/err"
check "of a dataset its name" grep -qE 'input: dataset numbers, of .*/numbers, bytes [0-9]+ to [0-9]+' "$DIR/err"
alone=$(sed -n 's/.*to have it alone: mrctl cat numbers | //p' "$DIR/err")
from=$(sed -n 's/.*, bytes \([0-9]*\) to .*/\1/p' "$DIR/err")
check "and how to have that input alone" eval '[ -n "$alone" ] && cmp -s <(ctl cat numbers | eval "$alone" | head -c 1000) <(tail -c +$((from + 1)) "$DIR/numbers" | head -c 1000)'
ctl run -q -m cat -c 'exit 5' -r cat --retries 1 -i data:numbers >/dev/null 2>"$DIR/err"
check "a combiner is shown as the command that failed" eval 'grep -qx "  command: exit 5" "$DIR/err" && grep -q "combiner: exit status 5" "$DIR/err"'
ctl run -m 'cat; exit 3' --retries 1 <"$DIR/numbers" >/dev/null 2>"$DIR/err"
check "standard input is called so" grep -qE 'input: standard input, bytes 0 to' "$DIR/err"
ctl run -t 'echo oh {} >&2; exit {}' --retries 2 ::: 0 4 0 >/dev/null 2>"$DIR/err"
check "a bag with a failed command: exit 1" [ $? = 1 ]
check "a bag says which command failed, where, how and after how many tries" grep -qE "command 2 failed on node1 after 2 tries: exit status 4: echo oh 4 >&2; exit 4" "$DIR/err"
check "behind its last words" eval 'grep -B1 "command 2 failed" "$DIR/err" | grep -qx "oh 4"'

# ---- a task whose mrtask is killed, as the kernel does when memory is short, or gets no memory ----
for phase in map reduce; do
  said='echo what it said >&2; sleep 60'
  if [ $phase = map ]; then how=(-m "$said"); else how=(-m cat -r "$said"); fi
  job=$(ctl submit -q "${how[@]}" --retries 2 -i "$DIR/numbers")
  has_ended() { [ "$(job_field "$job" state)" != running ]; }
  heard() { grep -qs 'what it said' "$DIR"/node1/scratch/*/live; }
  for try in 1 2; do
    wait_for 20 heard || not_ok "attempt $try of a $phase runs"
    kill -9 $(working)
    forgotten() { ! heard; }
    wait_for 10 forgotten
  done
  check "a $phase whose mrtask is always killed ends, after as many tries as --retries says" wait_for 10 has_ended
  ctl wait "$job" >/dev/null 2>"$DIR/err"
  check "its job failed ($phase)" [ $? = 1 ]
  check "that is told with its name, node and signal ($phase)" grep -qE "/${phase:0:1}0 failed 2 times, last on node1: killed by signal 9" "$DIR/err"
  check "with its command, its input, what may help ($phase)" eval 'grep -qF "command: $said" "$DIR/err" && grep -q "input: " "$DIR/err" && grep -q -e "--mem SIZE" "$DIR/err"'
  check "and what it had said ($phase)" grep -q '^ *what it said$' "$DIR/err"
  check "its status tells so, too, and has no table of counters when there are none ($phase)" \
    eval 'ctl status "$job" >"$DIR/out" 2>"$DIR/err" && says "killed by signal 9" && ! grep -q COUNTER "$DIR/out"'
done
ctl run -m 'sh -c "kill -9 \$\$"' --retries 1 -i "$DIR/numbers" >/dev/null 2>"$DIR/err"
check "a command whose child is killed so is told what may help, too" eval 'grep -q "exit status 137" "$DIR/err" && grep -q "if memory was short: --mem SIZE has" "$DIR/err"'
# Its mrtask may have no more than it has: what it needs next for the records, it does not get.
if command -v prlimit >/dev/null && ! nm "$BUILD/mrtask" 2>/dev/null | grep -q __asan_init; then
  short='prlimit --pid $PPID --as=1000000; seq 1000000'
  ctl run -m "$short" -r cat --retries 2 -i "$DIR/numbers" >/dev/null 2>"$DIR/err"
  check "a map that gets no memory fails" [ $? = 1 ]
  check "and that is told, with what may help (map)" eval 'grep -qE "/m0 failed 2 times, last on node1: it ran out of memory" "$DIR/err" && grep -q -e "--mem SIZE" "$DIR/err"'
  ctl run -m cat -i "$DIR/numbers" --split 1M --retries 1 >"$DIR/out" 2>"$DIR/err"
  check "the next one on that node has an mrtask that is sound" eval 'cmp -s "$DIR/out" "$DIR/numbers" && grep -q "(1 attempt, 0 again)" "$DIR/err"'
else
  skip "a task that gets no memory (needs prlimit, and no sanitizer)"
fi

# ---- a disk that hangs: whoever waits for a job is told of its end all the same ----
ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 LD_PRELOAD=$BUILD/lib/slowsync.so STUCKSYNC=$DIR/stuck flock_start 3 --slots 1 || not_ok "node 3 starts"
check "a node with another disk" wait_for 30 members_in_state alive 2
job=$(ctl submit -q -m 'while [ ! -e '"$DIR"'/go ]; do sleep 0.1; done; cat' -i "$DIR/numbers" --split 1M)
check "a job runs" wait_for 20 job_at_least "$job" running 1
touch "$DIR/stuck" "$DIR/go"
timeout 40 "$BUILD/mrctl" -n "${ADDR[1]}" wait "$job" 2>"$DIR/wait.err"
check "its end is told though one of two disks hangs" [ $? = 0 ]
rm "$DIR/stuck"
flock_kill 3

# ---- full disks ----
if [ -z "$has_disks" ]; then
  skip "full disks (needs root and tmpfs)"
  flock_end
fi
# Who fills the disk is to blame, and its job fails; who finds it filled by others waits.
lines='seq 1 3000000'
resize 1 60m
ctl run --retries 1 -m 'seq 1 9000000' -r @sort --mem 2M -i "$DIR/numbers" >/dev/null 2>"$DIR/err"
check "a map that fills the disk fails" [ $? = 1 ]
check "and that is told with its name and node" eval 'grep -q "/m0 failed 1 time, last on node1" "$DIR/err" &&
  grep -qE "fill(s|ing) the disk" "$DIR/err"'
resize 1 400m
head -c 150000000 /dev/zero >"$DIR/node1/filler"
waits() { grep -qE "task full-[^ ]* waits; on node1: .*([Nn]o space left).*: free space there" "$DIR/wait.err"; }
full() { # name, a command that prints what it must print, options of the job
  local job
  leave 1 15000
  job=$(ctl submit -q --name full "${@:3}" -i "$DIR/numbers") || return 1
  ctl wait "$job" >"$DIR/wait.out" 2>"$DIR/wait.err" &
  local waiter=$!
  check "a full disk in $1: mrctl says which task waits, where, for what, and what helps" wait_for 60 waits
  resize 1 400m
  wait $waiter
  check "a full disk in $1: with space again, the job ends by itself" [ $? = 0 ]
  check "a full disk in $1: the right bytes" [ "$(ctl cat "$job" | md5sum)" = "$(eval "$2" | md5sum)" ]
}
full "a map" "$lines | LC_ALL=C sort" -m "$lines" -r @sort --sort line --mem 2M
full "a reduce" "head -c 60000000 /dev/zero | tr '\\0' x" -m "head -n 1" -r "head -c 60000000 /dev/zero | tr '\\0' x"
rm "$DIR/node1/filler"
resize 1 400m

small_disk 2 40m || not_ok "a second disk"
flock_start 2 --slots 1 || not_ok "node 2 starts"
flock_whole 2
leave 2 3000 # enough for its copy of the input, not for one of the output
# Its disk may have been found full a moment ago: then the submission waits until it is asked again.
job=$(ctl submit -q --name full -m cat -r 'head -c 30000000 /dev/zero | tr "\0" x' -R 2 -i "$DIR/numbers")
check "a full disk in the commit: the job is taken" [ -n "$job" ]
ctl wait "$job" >"$DIR/wait.out" 2>"$DIR/wait.err" &
waiter=$!
said() { grep -q 'the end waits for 2 copies of the output' "$DIR/wait.err"; }
check "a full disk in the commit: what is waited for is said" wait_for 60 said
resize 2 400m
wait $waiter
check "a full disk in the commit: with space again, the job ends by itself" [ $? = 0 ]
check "a full disk in the commit: the right bytes" [ "$(ctl cat "$job" | tr -d x | wc -c)" = 0 ]
check "and all of them" [ "$(ctl cat "$job" | wc -c)" = 60000000 ]

# ---- a put that is given up amid its copies: they go, too, and not only when their pins end, in an hour ----
for n in 1 2; do flock_kill $n TERM; done
unmount_all
small_disk 1 60m && small_disk 2 45m && flock_start 1 && flock_start 2 && flock_whole 2 || not_ok "two nodes with new disks"
empty() { [ -z "$(find "$DIR"/node[12]/blocks -type f -size +64k)" ]; }
head -c 50000000 /dev/urandom >"$DIR/random"
timeout 60 "$BUILD/mrctl" -n "${ADDR[1]}" put "$DIR/random" random --split 4M --timeout 4s 2>"$DIR/err"
check "a put for whose copies there is no room, and a limit of time: exit 124" [ $? = 124 ]
check "nothing of it stays" wait_for 45 empty
flock_end

#!/usr/bin/env bash
# Tasks that misbehave, each contained: what they try is refused, what they start is gone, what they leave is deleted, and the node
# goes on as if nothing had been.
#
#   node 1   as who runs this: as root its tasks get a user each, in /var/tmp (DIR is closed to others)
#   node 2   a flock of its own, as nobody (root alone can start it): the same attempts against a daemon of the same user
#   node 3   a flock of its own, on a disk of 48 MiB (root)
#
# First come attempts that are refused at once, many in one bag; then those that must be stopped, a job each, side by side.
. "$(dirname "$0")/../lib/flock.sh"
TASKS=confined SLOTS=6
flock_begin misbehave
MARK=31$$ # seconds that strays sleep: how they are found again
BAD=$BUILD/lib/badtask
ELDER= LENT= OPEN= # a directory that others may pass
# Node 1 becomes mrnode by exec of a shell with a child of its own.
mkdir "$DIR/bin" && printf '#!/bin/sh\nsleep 300 &\necho $! >"%s"\nexec "%s" "$@"\n' "$DIR/elder" "$BUILD/mrnode" >"$DIR/bin/mrnode"
chmod +x "$DIR/bin/mrnode"
REAL=$BUILD BUILD=$DIR/bin
flock_start 1 || not_ok "node 1 starts"
BUILD=$REAL
ELDER=$(cat "$DIR/elder")
mkdir "$DIR/precious" && echo kept >"$DIR/precious/file"
rss() { awk '/^RssAnon/ {print $2}' "/proc/$1/status"; }
"$BAD" listen "mr-misbehave-$$" >"$DIR/listening" &
LISTENER=$!
clean() {
  local status=$?
  kill "$LISTENER" "$ELDER" 2>/dev/null
  umount "$OPEN/small" 2>/dev/null
  rm -rf ${OPEN:+"$OPEN"} ${LENT:+"$LENT"}
  (exit $status)
  flock_clean
}
trap clean EXIT
no_strays() { ! pgrep -f "sleep $MARK" >/dev/null && [ "$(pgrep -f 'badtask [a-z]')" = "$LISTENER" ]; }

ctl run -q -m 'cat >/dev/null; echo warm' -i "$DIR/precious/file" >/dev/null
before=$(rss "${PID[1]}")

# ---- refused at once ----

# try NAME COMMAND: a line of the bag; COMMAND succeeds when it is refused
NAMES=() COMMANDS=()
try() { NAMES+=("$1"); COMMANDS+=("$2"); }
attempts() { # data directory, key file, daemon's pid
  local data=$1 key=$2 daemon=$3
  try "read the node's key" "! cat $data/node.key"
  try "read the cluster key" "! cat $key"
  try "read the store" "! head -c 1 $data/log/data.mdb"
  try "list the data directory" "! ls $data"
  try "list the blocks" "! ls $data/blocks"
  try "write into the data directory" "! echo x >$data/lock"
  try "write another's result" "! echo x >$data/scratch/1/result"
  try "delete in the data directory" "! rm -f $data/lock $data/node.key"
  try "link the key into its own directory" "! ln $key k"
  try "read the key by a symbolic link" "ln -s $key k; ! cat k"
  try "rename a file out of its directory" "echo x >f; ! mv f /var/tmp/mr-misbehave-$$"
  try "rename its own directory" '! mv "$PWD" "$PWD.x"'
  try "write beside its own directory" '! echo x >../beside'
  try "write in /tmp" "! echo x >/tmp/mr-misbehave-$$"
  try "write in /dev/shm" "! echo x >/dev/shm/mr-misbehave-$$"
  try "write in /etc" "! echo x >/etc/mr-misbehave-$$"
  try "write in /usr/local/bin" "! echo x >/usr/local/bin/mr-misbehave-$$"
  try "write in a home" "! echo x >$DIR/precious/new"
  try "read in a home" "! cat $DIR/precious/file"
  try "write to /proc/sys" '! echo 1 >/proc/sys/kernel/panic'
  try "kill the daemon" "! kill -9 $daemon"
  try "stop the daemon" "! kill -STOP $daemon"
  try "kill its mrtask" '! kill -9 $PPID'
  try "kill all it may" 'kill -9 -1; true'
  try "trace the daemon" "./badtask ptrace $daemon"
  try "trace its mrtask" './badtask ptrace $PPID'
  try "read the daemon's memory" "./badtask read-memory $daemon"
  try "read /proc/PID/mem of the daemon" "! head -c 1 /proc/$daemon/mem"
  try "read the daemon's environment" "! grep -q . /proc/$daemon/environ"
  try "open the daemon's descriptors" "for f in /proc/$daemon/fd/*; do head -c 1 \$f && exit 1; done; exit 0"
  try "reach its root" "! cat /proc/$daemon/root/etc/hostname"
  try "mount" './badtask mount'
  try "chroot and climb" './badtask chroot'
  try "a user namespace of its own" "./badtask namespace $key"
  try "make a device" '! mknod device b 8 0'
  try "set-user-ID programs" 'grep -q "NoNewPrivs:.*1" /proc/self/status && ! su -c true root </dev/null'
  try "more files than it may have" '! ulimit -Hn 9999999'
  try "a core file" 'ulimit -c unlimited; [ $(ulimit -c) = 0 ]'
  try "inherited descriptors" '[ "$(cd /proc/self/fd && echo *)" = "0 1 2 3" ]'
  try "an abstract socket outside" "./badtask abstract mr-misbehave-$$"
  try "the daemon's environment in its own" '! env | grep -E "MR_KEY_FILE|XDG|OLDPWD="'
}
run_attempts() { # label: runs what was tried, checks each
  local i line
  for i in "${!COMMANDS[@]}"; do printf '%s\n' "${COMMANDS[$i]}"; done |
    timeout 250 "$BUILD/mrctl" -n "$2" --key-file "$3" run -q -t '{}' -f "$BAD" --bunch 100 --joblog "$DIR/joblog.$1" >"$DIR/out.$1" 2>"$DIR/err.$1"
  for i in "${!NAMES[@]}"; do
    line=$(awk -F'\t' -v n=$((i + 1)) 'NR > 1 && $1 == n {print $7 ":" $8}' "$DIR/joblog.$1")
    check "$1: ${NAMES[$i]}" [ "$line" = 0:0 ]
  done
}
attempts "$DIR/node1" "$DIR/cluster.key" "${PID[1]}"
if [ "$(id -u)" = 0 ]; then
  try "become root" './badtask become-root'
  try "a user of its own" '[ "$(id -u)" -ge 60736 ] && [ "$(id -G)" = "$(id -u)" ]'
fi
run_attempts refused "$(at)" "$DIR/cluster.key"
check "none of it has happened" [ -z "$(ls -d /tmp/mr-misbehave-$$ /var/tmp/mr-misbehave-$$ /dev/shm/mr-misbehave-$$ /etc/mr-misbehave-$$ "$DIR/precious/new" 2>/dev/null)" ]
check "the daemon lives" lives "${PID[1]}"

# ---- what another job was lent ----

# Attempts follow each other in one process.
LENT=$(mktemp -d /var/tmp/mr-lent.XXXXXX)
chmod 755 "$LENT" && seq 2000 >"$LENT/file" && seq 40 >"$DIR/numbers"
lent() { ctl run -q -m "cat >/dev/null; head -c 1 $LENT/file >/dev/null 2>&1 && echo read; true" "$@" 2>"$DIR/lent.err" | wc -l; }
for round in 1 2 3; do
  check "a file that a job was given, its commands may open, in all of its maps ($round)" [ "$(lent -i "path:$LENT/file" --split 1K)" = 9 ]
  check "the next job's may not ($round)" [ "$(lent -i "$DIR/numbers" --split 10)" = 0 ]
done

# ---- the same, where daemon and tasks are one user ----

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  open=$(mktemp -d /var/tmp/mr-nobody.XXXXXX)
  OPEN=$open
  chmod 755 "$open" && cp "$BUILD/mrnode" "$BUILD/mrtask" "$open/" && mkdir "$open/home" && cp "$DIR/cluster.key" "$open/home/key"
  chown -R nobody "$open/home"
  HOME=$open/home setpriv --reuid nobody --regid nogroup --clear-groups "$open/mrnode" -d "$open/home/data" --name nobody \
    --listen 127.0.0.1:0 --key-file "$open/home/key" --profile local >"$DIR/2.out" 2>"$DIR/2.err" </dev/null &
  PID[2]=$!
  flock_ready 2 || not_ok "a node of nobody starts"
  NAMES=() COMMANDS=()
  attempts "$open/home/data" "$open/home/key" "${PID[2]}"
  run_attempts nobody "${ADDR[2]}" "$open/home/key"
  check "the daemon of nobody lives" lives "${PID[2]}"
  flock_kill 2 TERM
else
  skip "daemon and tasks of one user: needs root and setpriv"
fi

# ---- to be stopped ----

# job NAME EXPECTED ARGS...: runs in the background; EXPECTED: words of its error, "" = it succeeds
JOBS=() EXPECT=()
job() {
  local n=${#JOBS[@]}
  JOBS+=("$1") EXPECT+=("$2")
  shift 2
  (
    timeout 250 "$BUILD/mrctl" -n "${ADDR[1]}" run -q -i "$DIR/precious/file" --retries 1 "$@" >"$DIR/job.$n.out" 2>"$DIR/job.$n.err"
    echo $? >"$DIR/job.$n.exit"
  ) &
  STARTED+=($!)
}
jobs_end() {
  local n
  wait "${STARTED[@]}"
  for n in "${!JOBS[@]}"; do
    if [ -z "${EXPECT[$n]}" ]; then check "${JOBS[$n]}" [ "$(cat "$DIR/job.$n.exit")" = 0 ]
    else
      grep -q -- "${EXPECT[$n]}" "$DIR/job.$n.err" || sed 's/^/# /' "$DIR/job.$n.err" | cut -c 1-300 | tail -n 3
      check "${JOBS[$n]}" eval "[ \$(cat '$DIR/job.$n.exit') = 1 ] && grep -q -- '${EXPECT[$n]}' '$DIR/job.$n.err'"
    fi
  done
}
STARTED=()
job "a memory bomb" "memory\|exit status" -f "$BAD" --mem 48M -m './badtask memory 1 4000'
# A sanitizer's own memory is over the limit of a process before the bomb goes off.
if nm "$BAD" 2>/dev/null | grep -q __asan_init; then over="of memory\|exit status"; else over="of memory"; fi
job "a memory bomb of many processes, each within its limit" "$over" -f "$BAD" --mem 64M -m './badtask memory 6 30; exit 1'
job "a fork bomb" "fork\|timed out\|exit status" --task-timeout 1s -m 'f() { f | f & }; f; sleep 60'
job "a chain of forks, each a session" "timed out\|exit status" -f "$BAD" --task-timeout 1s -m './badtask chain 30; ./badtask chain 30; sleep 60'
job "a double fork with setsid" "" -m "(setsid sleep $MARK >/dev/null 2>&1 &); (setsid sh -c 'setsid sleep $MARK & sleep $MARK' &) ; exit 0"
job "a daemon that ignores all signals" "" -m "(trap '' TERM HUP INT QUIT; setsid sh -c 'sleep $MARK; sleep $MARK' &); exit 0"
job "one that holds its pipes open after its end" "" -m "sleep $MARK & exit 0"
job "one that ignores TERM past its time" "timed out" --task-timeout 300ms -m "trap '' TERM; while :; do sleep $MARK; done"
job "stdout for ever" "timed out" --task-timeout 700ms -m 'yes'
job "stderr for ever" "y" --task-timeout 700ms -m 'yes >&2'
job "a line without an end" "timed out" --task-timeout 700ms -m "tr '\\0' x </dev/zero"
job "one that closes its outputs and runs on" "timed out" --task-timeout 500ms -m "exec >&- 2>&-; sleep $MARK"
job "one that stops itself" "timed out" --task-timeout 500ms -m 'kill -STOP $$; sleep 60'
job "one that stops its group" "timed out" --task-timeout 500ms -m 'kill -STOP 0; sleep 60'
job "one that kills its group" "signal 9" -m 'kill -9 0'
job "one that kills itself with a core to dump" "signal 11" -m 'ulimit -c unlimited; kill -SEGV $$'
job "processor time for ever" "timed out" --task-timeout 500ms -m 'while :; do :; done'
job "sockets, pipes and links left" "" -m 'mkfifo output result fifo; ln -s / root; ln -s loop loop; echo >file; ln file hard; exit 0'
job "a link to a directory outside" "" -m "ln -s $DIR/precious precious; ln -s / out; exit 0"
job "directories deeper than paths may be" "" -f "$BAD" -m './badtask deep 3000'
job "names as long as they may be, and odd ones" "" -m 'n=$(printf %0255d 0); echo >"$n"; mkdir "d$(printf %0200d 0)"; echo > "$(printf "a\nb\001 *")"; echo >-rf; exit 0'
job "20,000 files" "" -f "$BAD" -m './badtask files 20000'
job "directories closed to their owner" "" -m 'mkdir -p a/b/c; echo >a/b/c/f; chmod 000 a/b/c a/b a; exit 0'
job "a file that is larger than the disk" "signal\|exit status" -m 'dd if=/dev/zero of=big bs=1 count=1 seek=900000000000000 2>/dev/null || exit 1'
job "its own directory deleted" "" -m 'rm -rf "$PWD"; cd /; exit 0'
job "its input changed" "" -m 'chmod 777 . ; for f in *; do echo x >>"$f"; done; cat' -f "$DIR/precious/file"
job "output of nothing but zeros" "" -m 'head -c 3000000 /dev/zero' -r 'cat >/dev/null' -R 3
job "an endless reducer" "timed out" --task-timeout 500ms -m cat -r "cat; sleep $MARK"
jobs_end
check "the changed file is what it was" [ "$(cat "$DIR/precious/file")" = kept ]
check "and a job gets it as it was" [ "$(ctl run -q -m 'cat file' -f "$DIR/precious/file" -i "$DIR/precious/file")" = kept ]

# Two tasks at once: one sees nothing of the other.
victim=$(ctl submit -q -m 'echo secret >secret; echo $$ $PWD >&2; sleep 60' -i "$DIR/precious/file")
victim_is_up() { read -r VPID VDIR <<<"$(for p in $(pgrep -x sleep); do readlink "/proc/$p/cwd" | grep -q -e 'mr-' && [ -e "/proc/$p/cwd/secret" ] && echo "$p $(readlink "/proc/$p/cwd")"; done | head -n 1)"; [ -n "$VPID" ]; }
check "a victim runs" wait_for 30 victim_is_up
victim_is_up
NAMES=() COMMANDS=()
try "kill another task" "! kill -9 $VPID"
try "read another task's files" "! cat $VDIR/secret"
try "write another task's files" "! echo x >$VDIR/secret"
try "trace another task" "./badtask ptrace $VPID"
try "read another task's environment" "! grep -q . /proc/$VPID/environ"
run_attempts other "$(at)" "$DIR/cluster.key"

# kill JOB: all of it is gone within 3 s, whatever it does.
stubborn=$(ctl submit -q -m "trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep $MARK; sleep $MARK' &); while :; do sleep $MARK; done" -i "$DIR/precious/file")
is_up() { pgrep -f "sleep $MARK" >/dev/null; }
check "a stubborn job runs" wait_for 30 is_up
ctl kill -q "$victim"
ctl kill -q "$stubborn"
lateness_begin
began=$(date +%s%N) # its end is in the log
check "kill: nothing of it is left" wait_for 20 no_strays
took=$((($(date +%s%N) - began) / 1000000)) late=$(lateness)
echo "# kill to gone: $took ms, of which the machine itself lost $late"
check "within 3 s" [ $((took - late)) -le 3000 ]

# kill -9 of mrtask: the daemon ends what it left, and nothing else: node 1 was begun by a shell that had a child.
orphan=$(ctl submit -q -m "(setsid sleep $MARK &); cd /; exec env -i sleep $MARK" -i "$DIR/precious/file")
check "a job to be orphaned runs" wait_for 30 is_up
kill -9 "$(working | head -n 1)"
two_dead() { [ "$(ctl tasks "$orphan" -o json | jq length)" -ge 2 ]; }
check "kill -9 of mrtask: the task is run again" wait_for 30 two_dead
one_generation() { [ "$(pgrep -fc "sleep $MARK")" -le 2 ]; } # once what begins it has become it
check "and one generation lives at most" wait_for 10 one_generation
ctl kill -q "$orphan"
check "and none after its end" wait_for 20 no_strays
check "a child from before it was mrnode lives" lives "$ELDER"
kill "$ELDER"

# ---- a disk that is filled ----

small=${OPEN:-}/small
if [ -n "${OPEN:-}" ] && mkdir "$small" && mount -t tmpfs -o size=48m,mode=755 tmpfs "$small" 2>/dev/null; then
  "$BUILD/mrnode" -d "$small/data" --name small --listen 127.0.0.1:0 --profile local >"$DIR/3.out" 2>"$DIR/3.err" </dev/null &
  PID[3]=$!
  flock_ready 3
  AT=${ADDR[3]}
  fills() { # name, command
    ctl run -q --retries 1 --task-timeout 20s -m "$2" -i "$DIR/precious/file" >/dev/null 2>"$DIR/err"
    check "$1 ends" [ $? = 1 ]
    works_on() { [ "$(ctl run -q -m cat -i "$DIR/precious/file")" = kept ]; }
    check "$1: the node works on" wait_for 30 works_on # the room comes back when its directory is deleted
    has_room() { [ "$(df --output=avail -k "$small" | tail -n 1)" -gt 30000 ]; }
    check "$1: the room is back" wait_for 30 has_room
  }
  fills "a file that fills the disk" 'cat /dev/zero >big'
  fills "files that fill the disk" 'i=0; while head -c 1000000 /dev/zero >f$i; do i=$((i + 1)); done; sleep 5; exit 1'
  fills "stdout that fills the disk" 'cat /dev/zero | tr "\0" "\n"'
  unset AT
  flock_kill 3
  umount "$small"
else
  skip "a full disk: needs root and tmpfs"
fi

# ---- nothing is left ----

check "no process" wait_for 20 no_strays
check "no mrtask" wait_for 20 no_tasks_left
id=$(sed -n 's/^ready .*id=\([0-9a-f]*\).*/\1/p' "$DIR/1.out")
is_empty() { [ -z "$(ls -A "$DIR/node1/scratch")" ] && ! ls -d "/var/tmp/mr-$id"* >/dev/null 2>&1; }
check "no directory" wait_for 20 is_empty
ctl run -q -m cat -i "$DIR/precious/file" >/dev/null
after=$(rss "${PID[1]}")
echo "# anonymous memory of the node: $before kB before, $after kB after"
check "the node has not grown by more than 8 MiB" [ $((after - before)) -le "${RSS_LIMIT:-8192}" ]
check "the node is the one that began" lives "${PID[1]}"
flock_end

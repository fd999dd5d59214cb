#!/usr/bin/env bash
# What can be wrong at the start: each has one clear line and its exit code. And leaving: everyone knows, nothing is re-run for ever.
. "$(dirname "$0")/../lib/flock.sh"
flock_begin startup
flock_start 1 || not_ok "node 1 starts"

line() { # name, code, words, args...: mrnode ends with the code and one line with the words
  local name=$1 code=$2 words=$3
  shift 3
  timeout 60 "$BUILD/mrnode" "$@" >"$DIR/out" 2>"$DIR/err" </dev/null
  local status=$?
  check "$name: exit $code" [ $status = "$code" ]
  check "$name: says so" grep -qi -- "$words" "$DIR/err"
  check "$name: in at most three lines" [ "$(wc -l <"$DIR/err")" -le 3 ]
}
line "a second mrnode on one directory" 1 'use' -d "$DIR/node1" --listen 127.0.0.1:0 --key-file "$DIR/cluster.key"
line "a taken port" 1 'in use' -d "$DIR/x" --listen "${ADDR[1]}" --key-file "$DIR/cluster.key"
line "an unknown flag" 2 'slots' -d "$DIR/x" --slotz 3
line "a bad number" 2 'slots' -d "$DIR/x" --slots many
line "an eviction sooner than a death is known" 2 'evict-after: at least 48s' -d "$DIR/x" --evict-after 47s
line "the same of slow probes" 2 'evict-after: at least 240s' -d "$DIR/x" --evict-after 239s --profile wan
line "no duration" 2 'evict-after takes a duration' -d "$DIR/x" --evict-after soon
check "the shortest is taken" "$BUILD/mrnode" --check -d "$DIR/y" --listen 127.0.0.1:0 --key-file "$DIR/cluster.key" --evict-after 24s --profile local
printf '[mrnode]\nevict-after = 5s\n' >"$DIR/mr.conf"
check "it may stand in a file" eval 'cd "$DIR" && ! "$BUILD/mrnode" --check -d "$DIR/y" --listen 127.0.0.1:0 2>"$DIR/err"; grep -q "evict-after: at least" "$DIR/err"'
rm "$DIR/mr.conf"
line "a bad tag" 2 'KEY=VALUE' -d "$DIR/x" --tag rack
line "a tag twice" 2 'twice' -d "$DIR/x" --tag a=1 --tag b=2 --tag a=3
line "a bad address" 2 'listen' -d "$DIR/x" --listen nonsense
line "no key for a public address" 1 'key' -d "$DIR/x" --listen 0.0.0.0:0 --key-file "$DIR/none.key"
head -c 10 /dev/urandom >"$DIR/bad.key"; chmod 600 "$DIR/bad.key"
line "a damaged key file" 1 'key' -d "$DIR/x" --listen 127.0.0.1:0 --key-file "$DIR/bad.key"
"$BUILD/mrctl" keygen "$DIR/open.key" >/dev/null; chmod 644 "$DIR/open.key"
line "a key file that others may read" 1 'key' -d "$DIR/x" --listen 127.0.0.1:0 --key-file "$DIR/open.key"
echo data >"$DIR/file"
line "a directory that is a file" 1 'file' -d "$DIR/file" --listen 127.0.0.1:0 --key-file "$DIR/cluster.key"
check "--version" "$BUILD/mrnode" --version
check "--help leads with examples" bash -c "'$BUILD/mrnode' --help | head -n 3 | grep -q -- --listen"

mkdir -p "$DIR/future"
flock_start 7 || not_ok "node 7 starts"
flock_kill 7 TERM
if [ -x "$BUILD/lib/storever" ]; then
  "$BUILD/lib/storever" "$DIR/node7/log" 99
  line "a store of another version" 1 'version' -d "$DIR/node7" --listen 127.0.0.1:0 --key-file "$DIR/cluster.key"
fi

flock_start 2 || not_ok "node 2 starts"
flock_start 3 || not_ok "node 3 starts"
check "three nodes find each other" flock_whole 3

# Two nodes of one name: both live, told apart by id.
"$BUILD/mrnode" -d "$DIR/twin" --name node2 --listen 127.0.0.1:0 --join "${ADDR[1]}" --profile local \
  >"$DIR/4.out" 2>"$DIR/4.err" </dev/null &
PID[4]=$!
flock_ready 4
check "two nodes of one name are two members" flock_whole 4

# The same identity twice: the copy is refused, the flock is unharmed.
flock_kill 4 TERM
kill -STOP "${PID[3]}" # else it might write its log amid the copy
cp -r "$DIR/node3" "$DIR/copy"
kill -CONT "${PID[3]}"
rm -f "$DIR/copy/lock"
"$BUILD/mrnode" -d "$DIR/copy" --name copy --listen 127.0.0.1:0 --join "${ADDR[1]}" --profile local \
  >"$DIR/5.out" 2>"$DIR/5.err" </dev/null &
PID[5]=$!
one_gone() { gone "${PID[5]}" || gone "${PID[3]}"; }
check "of two nodes with one identity one stops" wait_for 30 one_gone
check "and says duplicate identity" grep -qi 'duplicate identity' "$DIR/5.err" "$DIR/3.err"
kill -9 "${PID[5]}" 2>/dev/null; wait "${PID[5]}" 2>/dev/null; unset "PID[5]"
lives "${PID[3]}" || { wait "${PID[3]}"; unset "PID[3]"; flock_start 3; }
check "the flock is whole after it" flock_whole 3

# SIGTERM: the node says goodbye and exits 0; the others hold it as left, at once.
pid=${PID[3]}
kill -TERM "$pid"
wait "$pid"
check "SIGTERM: exit 0" [ $? = 0 ]
unset "PID[3]"
node3_left() { [ "$(ctl members -o json | jq -r '[.[] | select(.name == "node3")][0].state')" = left ]; }
check "it has left, it is not dead" wait_for 20 node3_left
AT=${ADDR[2]} ctl leave >/dev/null
check "mrctl leave: the node goes" wait_for 20 gone "${PID[2]}"
unset "PID[2]"
flock_start 2 && flock_start 3
check "who left comes back" flock_whole 3
check "nothing but start, members and goodbyes in a log" [ "$(grep -c 'level=error' "$DIR/1.err")" = 0 ]
flock_end

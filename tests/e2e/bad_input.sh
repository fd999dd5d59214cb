#!/usr/bin/env bash
# What users really give: nothing, too much, bytes, programs that misbehave. Each ends with a result or a clear error and its
# exit code; nothing hangs, nothing is left running. Three nodes on loopback.
. "$(dirname "$0")/../lib/flock.sh"
flock_begin bad_input
for n in 1 2 3; do flock_start $n || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3

# ---- an input of which no copy is left: it takes a minute until that is sure ----
seq 40000 >"$DIR/gone"
ctl put -q "$DIR/gone" gone --split 1M
three() { [ "$(ls "$DIR"/node*/blocks/*/"$(b2sum -l 256 "$DIR/gone" | cut -c1-64)" | wc -l)" = 3 ]; }
check "an input is on all three" wait_for 20 three
rm "$DIR"/node*/blocks/*/"$(b2sum -l 256 "$DIR/gone" | cut -c1-64)"
lost=$(ctl submit -q -m cat -i data:gone)

run() { ctl run -q "$@" >"$DIR/out" 2>"$DIR/err"; }
same() { cmp -s "$DIR/out" "$1"; }

# ---- inputs ----
: >"$DIR/empty"
check "empty input, map only: exit 0" run -m cat -i "$DIR/empty"
check "empty input, map only: empty output" same "$DIR/empty"
check "empty input with a reducer: exit 0" run -m cat -r 'wc -l' -i "$DIR/empty"
check "empty input: the reducer saw nothing" [ "$(tr -d ' \n' <"$DIR/out")" = 0 ]

printf 'b\na\nc' >"$DIR/no-newline"
check "no final newline: exit 0" run -m cat -r cat -i "$DIR/no-newline"
printf 'a\nb\nc\n' >"$DIR/want"
check "no final newline: no record lost" same "$DIR/want"
printf 'b\na\nc' | ctl run -q -m cat >"$DIR/out" 2>"$DIR/err"
check "a mapper's output from stdin is untouched, byte for byte" same "$DIR/no-newline"

{ head -c 50000000 /dev/zero | tr '\0' x; echo; echo short; } >"$DIR/long"
check "a 50 MB line: exit 0" run -m cat -r cat -i "$DIR/long" --split 1M
LC_ALL=C sort "$DIR/long" >"$DIR/want"
check "a 50 MB line: whole" same "$DIR/want"

head -c 3000000 /dev/urandom >"$DIR/binary"
check "binary bytes, map only: exit 0" run -m cat -i "$DIR/binary" --split 256K
check "binary bytes, map only: the same bytes" same "$DIR/binary"
# Without TABs, a key is a line: the reducer's input is what sort makes of it.
{ tr -d '\t' <"$DIR/binary"; echo; } >"$DIR/binary-lines"
check "binary bytes with a reducer: exit 0" run -m cat -r cat -i "$DIR/binary-lines"
LC_ALL=C sort "$DIR/binary-lines" >"$DIR/want"
check "binary bytes with a reducer: as sort has them" same "$DIR/want"

run -m cat -i "$DIR/absent"
check "a missing file: exit 2" [ $? = 2 ]
check "a missing file: named" says absent
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  touch "$DIR/secret"; chmod 000 "$DIR/secret"; chmod 755 "$DIR"; chmod 644 "$DIR/cluster.key"
  cp "$DIR/cluster.key" "$DIR/user.key"; chown 65534 "$DIR/user.key"; chmod 600 "$DIR/cluster.key" "$DIR/user.key"
  cp "$BUILD/mrctl" "$DIR/mrctl" # the build directory may be closed to other users
  setpriv --reuid 65534 --clear-groups env XDG_CACHE_HOME=/nonexistent MR_KEY_FILE="$DIR/user.key" \
    timeout 60 "$DIR/mrctl" -n "$(at)" run -q -m cat -i "$DIR/secret" >"$DIR/out" 2>"$DIR/err"
  check "an unreadable file: exit 2" [ $? = 2 ]
  check "an unreadable file: why" says 'ermission denied'
else
  touch "$DIR/secret"; chmod 000 "$DIR/secret"
  run -m cat -i "$DIR/secret"
  check "an unreadable file: exit 2" [ $? = 2 ]
fi

mkdir -p "$DIR/hollow/of/files"
for how in "run -q -m cat -i $DIR/hollow" "plan -m cat -i $DIR/hollow" "run -q -m cat -i path:$DIR/hollow"; do
  check "a directory without any file, ${how%% *}: exit 2, and it is named" eval "exits 2 $how && says '$DIR/hollow: a directory without any file'"
done
check "an empty directory can not be put: exit 2" eval 'exits 2 put "$DIR/hollow/of/files" hollow && says "$DIR/hollow/of/files: an empty directory"'
check "one in another can, and comes back" eval 'exits 0 put "$DIR/hollow" hollow && exits 0 get hollow "$DIR/hollow.back" && diff -r "$DIR/hollow" "$DIR/hollow.back" && ctl rm hollow'
mkfifo "$DIR/fifo" "$DIR/hollow/of/fifo"
ln -s nowhere "$DIR/hollow/dangling"; ln -s .. "$DIR/hollow/of/up"; ln -s round "$DIR/hollow/round"
ln -s ../.. "$DIR/hollow/of/files/up2"
python3 -c 'import os, socket, sys; os.chdir(sys.argv[1]); socket.socket(socket.AF_UNIX).bind("socket")' "$DIR/hollow"
for how in "put $DIR/hollow hollow" "run -m cat -i $DIR/hollow"; do
  check "what can't be read in a directory, ${how%% *}: exit 2, and all of it is named, and why" eval "exits 2 $how &&
    says '^mrctl: $DIR/hollow/of/fifo: a FIFO, not a regular file$' && says '^mrctl: $DIR/hollow/socket: a socket, not' &&
    says '^mrctl: $DIR/hollow/dangling: a link to nowhere: No such file' && says '^mrctl: $DIR/hollow/round: a link to round: Too many levels' &&
    says '^mrctl: $DIR/hollow/of/up: a link to a directory that it is in itself$' && says '^mrctl: $DIR/hollow/of/files/up2: a link to' &&
    says '^mrctl: $DIR/hollow: a directory is read with all that is in it' && [ \$(wc -l <$DIR/err) = 7 ]"
done
check "nothing of it is there" eval '! ctl ls -o name | grep -q hollow'
for n in $(seq 9); do ln -s nowhere "$DIR/hollow/of/dangling$n"; done
check "of much of that the first ten, and how many more" eval 'exits 2 put "$DIR/hollow" hollow && says "^mrctl: and 5 more" && [ $(wc -l <"$DIR/err") = 12 ]'
rm -r "$DIR/hollow"; mkdir -p "$DIR/hollow/of/files"
check "a FIFO to which nobody writes: exit 124 after --timeout" eval 'exits 124 run -q -m cat -i "$DIR/fifo" --timeout 1s'
printf 'b\na\nc' >"$DIR/fifo" &
check "with a writer: what that writes" eval 'run -m cat -i "$DIR/fifo" && same "$DIR/no-newline"'
check "beside other inputs it is nothing" eval 'run -m cat -i "$DIR/hollow" -i "$DIR/no-newline" && same "$DIR/no-newline"'

# ---- programs ----
echo x >"$DIR/one"
fails() { # name, mapper, what the error says
  local start=$EPOCHREALTIME code took late
  lateness_begin
  run -m "$2" -i "$DIR/one"
  code=$? took=$(((${EPOCHREALTIME//[.,]/} - ${start//[.,]/}) / 1000)) late=$(lateness)
  echo "# it took $took ms, of which the machine itself lost $late"
  check "$1: exit 1" [ $code = 1 ]
  check "$1: says so" says "$3"
  check "$1: within 10 s" [ $((took - late)) -le 10000 ]
}
fails "a mapper that does not exist" no-such-program-here 'not found'
fails "a mapper that exits 1" 'echo last words >&2; exit 1' 'exit status 1'
check "its last words are shown" says 'last words'
fails "a mapper killed by a signal" 'kill -SEGV $$' 'signal 11'
fails "a reducer that fails is no mapper" 'false' 'exit status 1'
run -m cat -r 'exit 7' -i "$DIR/one"
check "a reducer that exits 7: exit 1" [ $? = 1 ]
check "a reducer that exits 7: says so" says 'exit status 7'
check "--ok-exit makes 7 good" run -m 'cat; exit 7' --ok-exit 0,7 -i "$DIR/one"
run -m 'sleep 60' --task-timeout 1s --retries 1 -i "$DIR/one"
check "--task-timeout: exit 1" [ $? = 1 ]
check "--task-timeout: says so" says '--task-timeout'
check "a mapper that stops reading early is done" run -m 'head -n 1' -i "$DIR/long"
flag=$DIR/once
check "a mapper that fails once is run again" run -m "[ -e $flag ] || { touch $flag; exit 1; }; cat" -i "$DIR/one"

job=$(ctl submit -q -m 'trap "" TERM; while :; do sleep 1; done' -i "$DIR/one")
wait_for 20 job_at_least "$job" running 1
is_working() { [ -n "$(working)" ]; }
check "a job that ignores SIGTERM runs" wait_for 10 is_working
check "kill of a job that ignores SIGTERM: exit 0" ctl kill "$job"
ctl wait "$job" >/dev/null 2>&1
check "its wait exits 1" [ $? = 1 ]
check "its processes are gone within 6 s" wait_for 6 no_tasks_left

# ---- the command line ----
ctl submti >/dev/null 2>"$DIR/err"
check "a typo: exit 2" [ $? = 2 ]
check "a typo: a suggestion" says submit
run -m cat --splitt 1M -i "$DIR/one"
check "a typo in a flag: exit 2" [ $? = 2 ]
ctl status no-such-job >/dev/null 2>"$DIR/err"
check "an unknown job: exit 4" [ $? = 4 ]
ctl cat no-such-name >/dev/null 2>"$DIR/err"
check "an unknown dataset: exit 4" [ $? = 4 ]
run -m cat -i "$DIR/one" -O same
run -m cat -i "$DIR/one" -O same
check "an output that exists: exit 6" [ $? = 6 ]
check "--overwrite replaces it" run -m cat -i "$DIR/one" -O same --overwrite
AT=127.0.0.1:1 run -m cat -i "$DIR/one"
check "no peer there: exit 3" [ $? = 3 ]

# ---- datasets ----
check "put" ctl put "$DIR/binary" bytes
check "ls shows its size" [ "$(ctl ls -o json | jq '.[] | select(.name == "bytes") | .size')" = 3000000 ]
ctl get bytes "$DIR/back" >/dev/null 2>&1
check "get brings the same bytes" cmp -s "$DIR/binary" "$DIR/back"
check "a job reads a dataset by name" run -m cat -i data:bytes
check "with the same bytes" same "$DIR/binary"
ctl put "$DIR/one" bytes >/dev/null 2>&1
check "put to a name that exists: exit 6" [ $? = 6 ]
check "rm" ctl rm bytes
ctl rm same >/dev/null 2>&1
ctl cat bytes >/dev/null 2>&1
check "what was removed is not found" [ $? = 4 ]
big_blocks() { find "$DIR"/node*/blocks -type f -size +900k; }
no_big_blocks() { [ -z "$(big_blocks)" ]; }
check "its blocks are freed on every node" wait_for 60 no_big_blocks
big_blocks | xargs -r ls -l --time-style=full-iso | sed 's/^/# /'
# A record is held whole: one that is larger than the memory of a task ends the job, with its place, not the machine's memory.
{ echo first; cat "$DIR/long"; } >"$DIR/longer"
run -m cat -r cat -i "$DIR/longer" --mem 32M --split 100M --retries 2
check "a record larger than --mem: exit 1" [ $? = 1 ]
check "says which, how large it may be and what to do" \
  says 'record 2 of its output, from byte 6 of it on, is larger than 32 MiB: .*give each task more memory (--mem)'
check "and in which file, where" says "read up to byte [0-9]* of $DIR/longer"
check "each of its attempts counted" says "failed 2 times"
check "with more memory it is sorted" run -m cat -r cat -i "$DIR/longer" --mem 64M --split 100M

is_over() { [ "$(job_field "$lost" state)" = failed ]; }
check "a job whose input is gone everywhere ends" wait_for 90 is_over
ctl status "$lost" -o json | jq -r .error >"$DIR/err"
check "with the block, which bytes of what it is, who has been asked and what to do" \
  says "^block $(b2sum -l 256 "$DIR/gone" | cut -c1-12), bytes 0 to 228894 of $DIR/gone (dataset gone) is held by no living node (node[123], node[123], node[123]): put the input again"

no_scratch() { [ -z "$(find "$DIR"/node*/scratch -mindepth 1 -maxdepth 1 2>/dev/null)" ]; }
check "no scratch is left" wait_for 10 no_scratch
check "no task is left" wait_for 10 no_tasks_left
flock_end

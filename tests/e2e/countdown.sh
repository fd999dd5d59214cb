#!/usr/bin/env bash
# Everything that mrctl and mrtask ask of the system fails once: the first, the second, the third, ... call of each kind,
# one a run, until a run comes to its end unharmed (tests/lib/preload/failing.c).
#
#   mrctl put, run, get    against a node that is well     one of the documented exit codes; not 0: stderr says why
#   mrtask map, reduce     on a directory                  0 and a result, or 1 and why; never a wrong output
#
# However a run ends: no signal, no sanitizer's or assertion's word, no hang; 0 means that the bytes are right.
# Every place is reached by its call stack; of the stacks 1 in EVERY (16; make check-all: all). NTH=1: by number instead, each
# call. mrnode under the same is countdown_node.sh.
EVERY=${EVERY:-16}
. "$(dirname "$0")/../lib/flock.sh"
. "$(dirname "$0")/../lib/countdown.sh"
flock_begin countdown
countdown_begin
flock_start 1 || not_ok "a node starts"
AT=${ADDR[1]}
text "$DIR/text" 1
reference "$DIR/text" >"$DIR/counted"
mkdir "$DIR/tree"
head -c 3000 "$DIR/text" >"$DIR/tree/one"
head -c 70000 "$DIR/text" >"$DIR/tree/two"
ctl put "$DIR/text" known 2>/dev/null
ctl put "$DIR/tree" tree 2>/dev/null

# ---- mrctl ----

# One of the exit codes of its manual page; and who fails says why (doctor, to whom that is the answer, on stdout).
documented() { case $1 in 0) ;; 1 | 2 | 3 | 4 | 5 | 6 | 7 | 124 | 130) [ -s "$DIR/err" ] || grep -q 'cannot be asked' "$DIR/out" ;; *) false ;; esac; }
mrctl() { failing mrctl timeout -s KILL 60 "$BUILD/mrctl" -n "$AT" "$@" >"$DIR/out" 2>"$DIR/err" </dev/null; }

put_text() {
  mrctl put --overwrite "$DIR/text" "new"
  local code=$?
  documented $code || return 1
  [ $code != 0 ] || ctl cat new 2>/dev/null | cmp - "$DIR/text"
}
put_tree() {
  mrctl put --overwrite "$DIR/tree" "newtree"
  documented $?
}
get_text() {
  rm -f "$DIR/got"
  mrctl get known "$DIR/got"
  local code=$?
  documented $code || return 1
  if [ $code = 0 ]; then cmp "$DIR/got" "$DIR/text"; else [ ! -e "$DIR/got" ]; fi
}
get_tree() {
  rm -rf "$DIR/gottree"
  mrctl get tree "$DIR/gottree"
  local code=$?
  documented $code || return 1
  [ $code != 0 ] || diff -r "$DIR/tree" "$DIR/gottree"
}
run_job() {
  mrctl run -q -m "$MAPPER" -r "$REDUCER" -i data:known
  local code=$?
  documented $code || return 1
  [ $code != 0 ] || LC_ALL=C sort "$DIR/out" | cmp - "$DIR/counted"
}
run_bag() {
  mrctl run -q -t 'echo {}' ::: a b c
  local code=$?
  documented $code || return 1
  [ $code != 0 ] || [ "$(LC_ALL=C sort "$DIR/out" | tr '\n' ' ')" = "a b c " ]
}
look() {
  mrctl "$@"
  documented $?
}
for calls in memory files,processes,network,pipes disk; do
  countdown "put: $calls" $calls put_text
  countdown "put of a directory: $calls" $calls put_tree
  countdown "get: $calls" $calls get_text
  countdown "get of a directory: $calls" $calls get_tree
  countdown "run: $calls" $calls run_job
  countdown "a bag: $calls" $calls run_bag
  for what in "status -o json" "members -o wide" "ls" "log" "doctor" "debug -O $DIR/debug.tar" "plan -m cat -i data:known"; do
    rm -f "$DIR/debug.tar"
    # shellcheck disable=SC2086
    countdown "$what: $calls" $calls look $what
  done
done
full_stdout() { # what stdio writes in the end no shim sees
  local code
  for what in "cat known" "status" "members -o json" "ls" "log"; do
    # shellcheck disable=SC2086
    timeout 60 "$BUILD/mrctl" -n "$AT" $what >/dev/full 2>"$DIR/err"
    code=$?
    { [ $code = 1 ] || [ $code = 7 ]; } && [ -s "$DIR/err" ] || { echo "# $what: exit $code"; return 1; }
  done
}
check "a full disk behind stdout is said, and no success" full_stdout
check "the node has come through it" eval 'ctl cat known 2>/dev/null | cmp - "$DIR/text"'

# ---- mrtask ----

TASKSPEC=$BUILD/lib/taskspec
"$BUILD/mrtask" --help >/dev/null || not_ok "mrtask runs"
attempt() { # key=value...: an attempt in $DIR/attempt
  rm -rf "$DIR/attempt"
  mkdir "$DIR/attempt"
  "$TASKSPEC" write "$DIR/attempt/spec" "$@" || return 1
  (exec 2>"$DIR/err"; failing mrtask timeout -s KILL 60 "$BUILD/mrtask" "$DIR/attempt") >/dev/null
  local code=$?
  case $code in
  0) "$TASKSPEC" result "$DIR/attempt/result" >"$DIR/told" ;;
  1) [ -s "$DIR/err" ] && : >"$DIR/told" ;;
  *) return 1 ;;
  esac
}
told() { sed -n "s/^$1=//p" "$DIR/told" | head -n 1; }
# What it says of itself is so: done, and the bytes are these; or not done, with a reason and no output.
honest() {
  if [ "$(told outcome)" = done ]; then
    [ "$(told digest)" = "$("$TASKSPEC" digest "$DIR/attempt/output")" ] && cmp "$DIR/attempt/output" "$1"
  else
    [ ! -s "$DIR/told" ] || { [ -n "$(told text)" ] && [ ! -e "$DIR/attempt/output" ]; }
  fi
}
try_attempt() { # the right output, then the spec
  local right=$1
  shift
  attempt "$@" && honest "$right" && ! pgrep -f "mrtask $DIR/attempt" >/dev/null
}
head -c 200000 "$DIR/text" >"$DIR/split"
keep_right() { # name, spec...: the output of an attempt that nothing happens to
  local name=$1
  shift
  rm -rf "$DIR/attempt" && mkdir "$DIR/attempt" && "$TASKSPEC" write "$DIR/attempt/spec" "$@" &&
    "$BUILD/mrtask" "$DIR/attempt" && mv "$DIR/attempt/output" "$DIR/$name"
}
map=(kind=map "command=$MAPPER" "combiner=cat" partitions=2 "part=$DIR/split:0:200000" memory=50000)
check "a map, unharmed" keep_right map "${map[@]}"
parts=()
while read -r offset size; do parts+=("part=$DIR/map:$offset:$size"); done < <("$TASKSPEC" segments "$DIR/map" | head -n 1)
reduce=(kind=reduce "command=$REDUCER" "${parts[@]}" "${parts[@]}" memory=50000)
check "a reduce, unharmed" keep_right reduce "${reduce[@]}"
built_in=(kind=map command=@wordcount combiner=@wordcount partitions=2 "input=$DIR/split" memory=50000)
check "a built-in, unharmed" keep_right built_in "${built_in[@]}"
for calls in memory files,network,pipes disk processes; do
  countdown "map: $calls" $calls try_attempt "$DIR/map" "${map[@]}"
  countdown "reduce: $calls" $calls try_attempt "$DIR/reduce" "${reduce[@]}"
  countdown "a built-in map: $calls" $calls try_attempt "$DIR/built_in" "${built_in[@]}"
done
flock_end

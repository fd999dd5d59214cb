#!/usr/bin/env bash
# Everything that a node asks of the system fails once, one call stack a life (tests/lib/preload/failing.c). Its life: it
# starts, takes a dataset, runs a job, takes another dataset, is killed.
#
#   first     its first start, in an empty directory
#   alone     all copies are its own
#   pair      node 2 of two; node 1 is well
#
# (The first of these lives is short: it starts, and that is all.)
#
# After each life: it went on, or it stopped with exit 1 and said why; a client got what it asked for or a documented code;
# no sanitizer's or assertion's word. Then, unharmed: --check-store finds nothing, it starts, and all that was acknowledged is
# there. Of the stacks 1 in EVERY (32; make check-all: all); ONLY="files disk": these calls.
EVERY=${EVERY:-32}
. "$(dirname "$0")/../lib/flock.sh"
. "$(dirname "$0")/../lib/countdown.sh"
flock_begin countdown-node
countdown_begin
DEPTH=8
head -c 30000 /usr/share/common-licenses/GPL-3 >"$DIR/text"
reference "$DIR/text" >"$DIR/counted"
LIFE=0

# mrctl, as long as the node lives: nobody waits for its return. Its end is in ENDED.
client() {
  local who code
  "$BUILD/mrctl" -n "${ADDR[$N]}" --timeout 20s "$@" >"$DIR/out" 2>"$DIR/client.err" </dev/null &
  local client=$!
  wait -n -p who "$client" "${PID[$N]}"
  code=$?
  [ "$who" = "$client" ] && return $code
  ENDED=$code
  kill -9 "$client" 2>/dev/null
  wait "$client" 2>/dev/null
  return 3
}
lives_on() { [ -z "$ENDED" ] && lives "${PID[$N]}"; }
put() { client put "$DIR/text" "$1" && ACKED+=("$1"); }
job() { client run -q -m "$MAPPER" -r "$REDUCER" -i "$DIR/text" && { LC_ALL=C sort "$DIR/out" | cmp -s - "$DIR/counted" || wrong "the job's output"; }; }

WRONG=
wrong() { WRONG="$WRONG $*;"; }

# libuv itself aborts when it cannot make its threads or its own pipes; that is no silent corruption.
is_libuvs() { grep -qE '^[0-9a-f]+ [a-z_0-9]+ ((libc|ld-linux|libasan)[^ ]* )*libuv' "$DIR/hit"; }

# How the node ended that was not killed by us. 2: a configuration that cannot be read.
judge() {
  local code=$ENDED
  if [ -z "$code" ]; then
    wait "${PID[$N]}" 2>/dev/null
    code=$?
  fi
  unset "PID[$N]"
  case $code in
  1 | 2) grep -q '^mrnode: ' "$DIR/err" || wrong "exit $code without a word" ;;
  134) is_libuvs || wrong "aborted" ;;
  *) wrong "exit $code" ;;
  esac
}

answers() { timeout 5 "$BUILD/mrctl" -n "${ADDR[$N]}" ping >/dev/null 2>&1; }
live() {
  : >"$DIR/$N.err"
  ACKED=() ENDED=''
  failing_environment mrnode
  LAUNCH=("${FAILING[@]}")
  if flock_start "$N" 2>/dev/null; then
    if [ -z "${SHORT:-}" ]; then
      put "one$LIFE"
      lives_on && job
      lives_on && put "two$LIFE"
    fi
    # Once it has failed all is well again: it answers, or it has stopped.
    [ ! -s "$DIR/hit" ] || wait_for 15 eval '! lives_on || answers' || wrong "it hangs"
  fi
  LAUNCH=()
  cp "$DIR/$N.err" "$DIR/err"
  if [ -n "${PID[$N]:-}" ]; then
    if lives_on; then flock_kill "$N" "${SIGNAL:-9}"; else judge; fi
  fi
}

# Unharmed: nothing on disk is damaged, and what was acknowledged is there.
look_after() {
  [ ! -e "$DIR/node$N/log/data.mdb" ] || "$BUILD/mrnode" --check-store "$DIR/node$N" >"$DIR/checked" 2>&1 || wrong "$(tail -n 1 "$DIR/checked")"
  if ! flock_start "$N"; then
    wrong "it does not start again: $(tail -n 1 "$DIR/$N.err")"
    return
  fi
  local name
  for name in "${ACKED[@]}"; do client cat "$name" && cmp -s "$DIR/out" "$DIR/text" || wrong "$name is lost: $(tail -n 1 "$DIR/client.err")"; done
  flock_kill "$N"
}

life() { # [template]
  LIFE=$((LIFE + 1)) WRONG=
  if [ -n "${1:-}" ]; then rm -rf "$DIR/node$N" && cp -r "$1" "$DIR/node$N"; fi
  live
  look_after
  [ -z "$WRONG" ] || { echo "# $WRONG"; tail -n 2 "$DIR/err" | sed 's/^/#   /'; false; }
}

mkdir "$DIR/empty"
N=1
flock_start 1 || not_ok "a node starts"
flock_kill 1 TERM
mv "$DIR/node1" "$DIR/template"
ALL="memory files disk processes network"
for calls in ${ONLY:-$ALL}; do SHORT=1 countdown "first start: $calls" "$calls" life "$DIR/empty"; done
# What can not be taken to be written must not leave a gap in the log.
UNDER=$(under mrnode persist_write) EVERY=1 countdown "alone: what is to be written" memory life "$DIR/template"
# A task that cannot begin gives back what it holds, and no more.
UNDER=$(under mrnode ask_more) EVERY=1 countdown "alone: what a task begins with" memory life "$DIR/template"
for calls in ${ONLY:-$ALL}; do countdown "alone: $calls" "$calls" life "$DIR/template"; done
N=2
rm -rf "$DIR/node1" "$DIR/node2"
flock_start 1 || not_ok "node 1 of two starts"
for calls in ${ONLY:-$ALL}; do countdown "pair: $calls" "$calls" life; done
check "node 1 has come through it" eval 'lives "${PID[1]}"'
flock_end

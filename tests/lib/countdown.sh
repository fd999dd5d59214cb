# shellcheck shell=bash
# Failures one by one, by tests/lib/preload/failing.c: sourced behind flock.sh, not run.
#
#   countdown_begin                what can't be done here ends the test
#   failing PROGRAM CMD...         CMD with the failure of this run in PROGRAM, wherever CMD starts it
#   countdown NAME CALLS CMD...    CMD again and again, the next call failing each time, until none is left; CMD says by its
#                                  status whether all was well. One line "ok"/"not ok" for all of them; sets POINTS.
#
# under PROGRAM FUNCTION           its addresses, for UNDER: only what is called below it (nothing, where the compiler has made it
#                                  part of another)
#
# EVERY=k: one call stack in k; DEPTH=d: of a stack its d innermost frames. NTH=1: the n-th call instead of each stack. MANY=1: many stacks in one run.
#
# Under AddressSanitizer memory is its own, and never fails here; all else does.
POINTS_MAX=20000
countdown_begin() {
  SHIM=$BUILD/lib/failing.so
  [ -e "$SHIM" ] || { not_ok "$SHIM is built"; exit 1; }
  ASAN_LIBRARY=$(ldd "$BUILD/mrctl" | awk '/libasan/ {print $3}')
  export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0:detect_leaks=0
}

# The environment of this run's failure in PROGRAM, into FAILING.
failing_environment() {
  FAILING=(env "FAILING_IN=$1" "FAILING_CALLS=$CALLS" "FAILING_HIT=$DIR/hit" "FAILING_EVERY=${EVERY:-1}" "LD_PRELOAD=$ASAN_LIBRARY $SHIM"
    "FAILING_DEPTH=${DEPTH:-12}"
    ${UNDER:+FAILING_UNDER=$UNDER} ${MANY:+FAILING_MANY=1} ${LAST:+FAILING_LAST=1} ${POINT:+FAILING_NTH=$POINT} ${SEEN:+FAILING_SEEN=$SEEN})
}
failing() { # program, command...
  failing_environment "$1"
  shift
  "${FAILING[@]}" "$@"
}

under() {
  local at='' size=''
  read -r at size < <(nm -S "$BUILD/$1" | awk -v name="$2" '$4 == name {print $1, $2}')
  if [ -n "$size" ]; then printf '%x-%x\n' $((16#$at)) $((16#$at + 16#$size + 1)); else echo 1-1; fi
}

# What no program may say, whatever it is that failed.
is_sound() { ! grep -qE 'Sanitizer|runtime error:|Assertion|stack smashing|double free|corrupt' "$DIR/err"; }

countdown() {
  local name=$1 bad=0
  CALLS=$2 POINTS=0 POINT='' SEEN=$DIR/seen
  [ "${NTH:-}" = 1 ] && SEEN='' POINT=1
  shift 2
  : >"$DIR/seen"
  while [ $POINTS -lt $POINTS_MAX ]; do
    : >"$DIR/hit"
    if ! { "$@" && is_sound; }; then
      bad=$((bad + 1))
      [ $bad -le "${SHOW:-5}" ] && { sed 's/^/# failed: /' "$DIR/hit" | tail -n 3; head -n 3 "$DIR/err" | sed 's/^/#   /'; }
    fi
    [ -s "$DIR/hit" ] || break
    POINTS=$((POINTS + 1))
    [ -n "$POINT" ] && POINT=$((POINT + 1))
  done
  if [ $bad = 0 ] && [ $POINTS -lt $POINTS_MAX ]; then ok "$name ($POINTS failures)"; else not_ok "$name ($bad of $POINTS failures)"; fi
}

#!/usr/bin/env bash
# Runs the suites given (all by default) and prints one line a suite, then "N passed, N failed".
#
#   tests/run.sh [-b BUILD] [tidy|unit|sim|e2e|all|NAME ...]      NAME: one script of tests/e2e, or one unit test
#
# Each suite's whole output is in BUILD/test-logs/. A suite's cases are counted from its lines "ok ..." and "not ok ..."
# (scripts) or from cmocka's own. A suite that dies or runs past its time counts as one failure more. JOBS=1: one at a time.
# PATIENCE=N: N times as long for each suite, and for whatever it waits for: of programs that a sanitizer makes slow.
set -u
cd "$(dirname "$0")/.." || exit 1
build=build
[ "${1:-}" = -b ] && { build=$2; shift 2; }
export MR_BUILD=$PWD/$build
logs=$build/test-logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0
jobs=${JOBS:-$(($(nproc) + 1))} # a suite waits most of its time
seeds=${SEEDS:-200}
export PATIENCE=${PATIENCE:-1}

report() { # name log status seconds
  local ok bad skip
  if grep -q '^\[=' "$2"; then
    ok=$(grep -c '^\[       OK \]' "$2")
    bad=$(grep -c '^\[  FAILED  \] [^0-9]' "$2")
    bad=$((bad / 2 + bad % 2))
    skip=0
  else
    ok=$(grep -c '^ok ' "$2")
    bad=$(grep -c '^not ok ' "$2")
    skip=$(grep -c '^skip ' "$2")
  fi
  [ "$3" != 0 ] && [ "$bad" = 0 ] && bad=1
  passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
  if [ "$bad" = 0 ]; then
    printf '%-28s %4d ok %6ss\n' "$1" "$ok" "$4"
  else
    printf '%-28s %4d ok %4d FAILED (exit %s, %ss): %s\n' "$1" "$ok" "$bad" "$3" "$4" "$2"
    grep -E '^not ok |FAILED|violated|ERROR|runtime error|Assertion' "$2" | head -n 12 | sed 's/^/    /'
  fi
  [ "$skip" != 0 ] && grep '^skip ' "$2" | sed 's/^/    /'
}

# Suites run JOBS at a time: each has ports, directories and namespaces of its own. One that has ended leaves its status
# and seconds in LOG.end, and is reported by the next that looks.
running=()
suite() { # name seconds command...
  local name=$1 limit=$(($2 * PATIENCE)) log
  shift 2
  log=$logs/$(basename "$name").log
  while [ ${#running[@]} -ge "$jobs" ]; do collect; done
  rm -f "$log.end"
  {
    start=$SECONDS
    timeout -k 10 "$limit" "$@" >"$log" 2>&1 </dev/null
    echo "$? $((SECONDS - start))" >"$log.end"
  } &
  running+=("$name")
}
collect() { # waits for one at least
  local name log status seconds left=()
  wait -n
  for name in "${running[@]}"; do
    log=$logs/$(basename "$name").log
    if read -r status seconds 2>/dev/null <"$log.end"; then report "$name" "$log" "$status" "$seconds"; else left+=("$name"); fi
  done
  running=("${left[@]}")
}

run_tidy() { suite tidy 600 tests/tidy.sh "$build"; }
run_unit() { for t in "$build"/unit/test_*; do [ -x "$t" ] && [ ! -d "$t" ] && [[ $t != *.* ]] && suite "unit/$(basename "$t")" 600 "$t"; done; }
run_sim() { suite "sim ($seeds seeds)" 900 tests/sim/seeds.sh "$build" "$seeds"; }
run_e2e() { for t in tests/e2e/*.sh; do suite "e2e/$(basename "$t" .sh)" 600 "$t"; done; }

[ $# = 0 ] && set -- all
for what; do
  case $what in
  all) run_tidy; run_unit; run_sim; run_e2e ;;
  tidy | unit | sim | e2e) "run_$what" ;;
  *)
    if [ -x "tests/e2e/$what.sh" ]; then suite "e2e/$what" 600 "tests/e2e/$what.sh"
    elif [ -x "$build/unit/$what" ]; then suite "unit/$what" 600 "$build/unit/$what"
    else echo "no suite named $what" >&2; exit 2; fi ;;
  esac
done
while [ ${#running[@]} -gt 0 ]; do collect; done
if [ "$skipped" = 0 ]; then echo "$passed passed, $failed failed"
else echo "$passed passed, $failed failed, $skipped skipped"; fi
[ "$failed" = 0 ]

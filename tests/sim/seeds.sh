#!/usr/bin/env bash
# Simulated flocks from seeds: faults at random, invariants after every step. The first half of the seeds is fixed, the second
# follows the commit, so that every commit tries something new and everyone can repeat it. A case a seed. Then every story
# (tests/sim/FILE.scn) from its own seed, and twice.
# Usage: tests/sim/seeds.sh BUILD COUNT
set -u
build=$1 count=$2
cd "$(dirname "$0")/../.." || exit 1
commit=$(git rev-parse HEAD 2>/dev/null || echo 0)
base=$((16#${commit:0:7} + 100000))
half=$((count / 2))
status=0
run() { "$build/mrsim" "$@" || status=1; }
{
  run --seed 1 --seeds $half &
  run --seed "$base" --seeds $((count - half)) &
  wait
} 2>&1 | tee /dev/stderr 2>/dev/null | awk '
  / ok$/ {print "ok " $1; next}
  /^violated/ {print "not ok " $0; bad = 1; next}
  {print}
  END {exit bad}'
# Histories of datasets: a case a hundred.
for ((from = 1; from <= ${HISTORIES:-300}; from += 100)); do
  if out=$("$build/mrsim" --histories --seed $from --seeds 100 2>&1); then echo "ok histories $from to $((from + 99))"
  else echo "not ok histories from $from"; echo "$out" | grep -v ' ok$' | sed 's/^/  /'; status=1; fi
done
for file in tests/sim/*.scn; do
  if out=$("$build/mrsim" run "$file" 2>&1 && "$build/mrsim" run "$file" --seed 1 --seeds 2 2>&1); then echo "ok $file"
  else echo "not ok $file"; echo "$out" | tail -n 5 | sed 's/^/  /'; status=1; fi
done
exit $status

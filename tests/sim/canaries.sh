#!/usr/bin/env bash
# Every planted bug is found within 1,000 seeds, and shrunk to a small scenario file in less than 5 minutes, which fails as
# the whole run did. A case a canary. Usage: tests/sim/canaries.sh BUILD
set -u
build=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0
for canary in $("$build/mrsim" --list-canaries | awk '{print $1}'); do
  case $canary in
  blind-scrub | false-copy | hasty-leave) # of histories, which have no plan that could be shrunk
    if out=$("$build/mrsim" --histories --seed 1 --seeds 1000 --canary "$canary" 2>&1); then
      echo "not ok $canary: no history finds it"
      status=1
    else echo "ok $canary: $(printf '%s' "$out" | grep -m1 violated)"; fi
    continue
    ;;
  esac
  file=$scratch/$canary.scn
  start=$SECONDS
  out=$("$build/mrsim" shrink --seed 1 --seeds 1000 --canary "$canary" -o "$file" 2>&1)
  took=$((SECONDS - start))
  # The one that follows the real clock is seen only by a run that is made twice: its file need not fail by itself.
  if [ -s "$file" ] && [ $took -lt 300 ] &&
    { [ "$canary" = random-clock ] || "$build/mrsim" run "$file" >/dev/null; }; then
    echo "ok $canary: ${took}s, $(printf '%s' "$out" | tail -n 1)"
  else
    echo "not ok $canary (${took}s): $out"
    status=1
  fi
done
exit $status

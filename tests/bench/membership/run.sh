#!/usr/bin/env bash
# Membership, against Serf (Debian package serf): the same harness, the same work, side by side in one session, each
# flock in a network namespace of its own. Prints a table of ratios.
#
#   tests/bench/membership/run.sh [BUILD] [quick|full] [OUT]     (root; quick: about 2 minutes, full: about 12)
#
# Both run the same scenario at the same time, so both have the same neighbours.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-$here/../../../build}" 2>/dev/null && pwd) || { echo "no build in ${1:-build}: make first" >&2; exit 1; }
what=${2:-quick}
out=${3:-$(mktemp -d "${TMPDIR:-/tmp}/membench.XXXXXX")}
export MR_BUILD=$build
systems="mrnode serf"

[ "$(id -u)" = 0 ] || { echo "skip membership: needs root (network namespaces, iptables)"; exit 0; }
for tool in ip iptables; do
  command -v $tool >/dev/null || { echo "skip membership: no $tool here"; exit 0; }
done
ip netns add "membench-try-$$" 2>/dev/null || { echo "skip membership: no network namespaces to be had here"; exit 0; }
ip netns del "membench-try-$$"
command -v serf >/dev/null || { echo "no serf here (apt-get install serf): ours alone"; systems=mrnode; }
mkdir -p "$out"

one() { # name n tests
  local system
  for system in $systems; do
    /usr/bin/python3 "$here/membench.py" --system "$system" --n "$2" --profile lan --tests "$3" \
      --workdir "$out/$system-$1.logs" -o "$out/$system-$1.json" >"$out/$system-$1.txt" 2>&1 &
  done
}

(
  flock 9 # one benchmark at a time
  case $what in
  quick)
    one n16 16 join,steady:20,crash:3,hang:1,restart:1:5
    wait ;;
  full)
    one n16 16 join,steady:30,crash:5,hang:3,restart:2:10; wait
    one n32 32 join,steady:30,crash:5,hang:2; wait
    one n64 64 join,steady:30,crash:5,hang:1; wait
    one keep40 16 join,loss:40:keep; one keep80 16 join,loss:80:keep; one drop40 16 join,loss:40:drop
    one drop60 16 join,loss:60:drop; wait
    one drop80 16 join,loss:80:drop; one part 16 join,part; one slow 16 join,slow:8:1:6; wait
    one drop25-32 32 join,loss:25:drop; one drop40-32 32 join,loss:40:drop; wait
    for i in 1 2 3 4; do one join16-$i 16 join; wait; one join32-$i 32 join; wait; done ;;
  *) echo "usage: $0 [BUILD] [quick|full] [OUT]" >&2; exit 2 ;;
  esac
) 9>"${LOCK:-/tmp/bench.lock}" || exit
/usr/bin/python3 "$here/table.py" "$out"

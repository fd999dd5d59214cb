#!/usr/bin/env bash
# Membership, against Serf (Debian package serf): the same harness, the same work, side by side in one session, each
# flock in a network namespace of its own. Prints a table: ours, Serf's, their ratio, and the bar we set ourselves.
#
#   tests/bench/membership/run.sh [-o OUT] [-s "mrnode serf"] [BUILD] [ROW ...]      (root)
#
#   ROW            minutes
#   n16 n32 n64       2    idle bytes, processor time, memory; kill -9
#   hang              4    SIGSTOP, at 16, 32 and 64
#   loss              3    TCP clean, 40 and 80 % of the datagrams lost
#   lossy             5    TCP lossy too: 40, 60 and 80 % of 16 nodes, 25 and 40 % of 32
#   slow              2    3 of 8 nodes stopped 8 s of each 9 s
#   join              6    16 and 32 nodes join at once, ten times each
#   part              3    halves apart for 60 s, then healed, five times
#   restart           1    kill -9, started again after 3 s
#   quick             2    the default: a little of n16, hang and restart
#   full             30    all rows
#   scale             5    no live nodes: mrsim membership --scale
#   table             -    nothing is run: the table of OUT, or of what was measured last (measured.jsonl)
#
# What runs at the same time has the same neighbours: both systems do, and both are kept waiting by a busy machine.
set -u
here=$(cd "$(dirname "$0")" && pwd)
out='' systems='mrnode serf'
while getopts o:s: option; do
  case $option in
  o) out=$OPTARG ;;
  s) systems=$OPTARG ;;
  *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
build=${MR_BUILD:-$here/../../../build}
[ -d "${1:-}" ] && { build=$1; shift; }
build=$(cd "$build" 2>/dev/null && pwd) || { echo "no build there: make first" >&2; exit 1; }
[ $# = 0 ] && set -- quick
[ "$*" = full ] && set -- n16 n32 n64 hang loss lossy slow join part restart
export MR_BUILD=$build

if [ "$*" = table ]; then exec /usr/bin/python3 "$here/table.py" ${out:+"$out"}; fi
if [ "$*" = scale ]; then exec "$build/mrsim" membership --scale; fi
out=${out:-$(mktemp -d "${TMPDIR:-/tmp}/membench.XXXXXX")}

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

row() {
  local i
  case $1 in
  quick) one quick 16 join,steady:20,crash:3,hang:1,restart:1:5 ;;
  n16 | n32 | n64) one "$1" "${1#n}" join,steady:30,crash:5 ;;
  hang) for i in 16 32 64; do one "hang$i" $i join,hang:5; wait; done ;;
  loss) for i in 40 80; do one "keep$i" 16 "join,loss:$i:keep"; wait; done ;;
  lossy)
    for i in 40 60 80; do one "drop$i" 16 "join,loss:$i:drop"; done; wait
    for i in 25 40; do one "drop$i-32" 32 "join,loss:$i:drop"; wait; done ;;
  slow) one slow 16 join,slow:8:1:6 ;;
  join) for i in 1 2 3 4 5 6 7 8 9 10; do one "join16-$i" 16 join; wait; one "join32-$i" 32 join; wait; done ;;
  part) for i in 1 2 3 4 5; do one "part$i" 16 join,part; done ;;
  restart) one restart 16 join,restart:3:5 ;;
  *) echo "no row named $1: see the head of $0" >&2; exit 2 ;;
  esac
  wait
}

(
  flock 9 # one benchmark at a time
  for name; do row "$name"; done
) 9>"${BENCH_LOCK:-${TMPDIR:-/tmp}/bench.lock}" || exit
/usr/bin/python3 "$here/table.py" "$out"

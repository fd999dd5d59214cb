#!/usr/bin/env bash
# make bench: figures, no test. Both sides of a ratio run in turn in one session, on an otherwise quiet machine, and the medians of
# RUNS runs are compared. Traffic stays on loopback.  Usage: tests/bench/run.sh [BUILD] [SECTION ...]
#
#   idle        what a node costs that has nothing to do
#   wordcount   streaming word count of MB (100) of real text, 2 slots, against GNU parallel with the same commands
#   membership executors log     against Serf, Gearman, Dask, LMDB: the folders of these names, when asked for by name
#   blocks shuffle memory   what copies cost, what fetching ahead gains, what a large job holds: likewise
set -u
export MR_BUILD=${1:-build}
case $MR_BUILD in /*) ;; *) MR_BUILD=$PWD/$MR_BUILD ;; esac
shift
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/flock.sh
RUNS=${RUNS:-5} MB=${MB:-100}
[ $# = 0 ] && set -- idle wordcount

median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
seconds() { # of a command's wall time
  local begin=$EPOCHREALTIME
  "$@"
  awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.2f\n", b - a}'
}

idle() {
  local n ticks=() hz=100 seconds=30 pid
  for n in 1 2 3 4 5; do flock_start $n --profile lan; done
  flock_whole 5
  sleep 5
  for n in 1 2 3 4 5; do ticks[n]=$(awk '{print $14 + $15}' "/proc/${PID[$n]}/stat"); done
  sleep $seconds
  echo "an idle node of five, over $seconds s:"
  for n in 1 2 3 4 5; do
    pid=${PID[$n]}
    awk -v n="$n" -v was="${ticks[n]}" -v now="$(awk '{print $14 + $15}' "/proc/$pid/stat")" -v hz=$hz -v s=$seconds '
      /^RssAnon/ {anon = $2} /^RssFile/ {file = $2} /^VmRSS/ {rss = $2}
      END {printf "  node%d  resident %.1f MiB (anonymous %.1f, mapped files %.1f)  cpu %.2f %% of a core\n",
                  n, rss / 1024, anon / 1024, file / 1024, (now - was) * 100 / hz / s}' "/proc/$pid/status"
  done
  for n in 1 2 3 4 5; do flock_kill $n TERM; done
}

ours() { ctl run -q -m "$MAPPER" -r "$REDUCER" -R 2 -i "$DIR/text" >"$DIR/ours"; }
parallel_plain() {
  parallel --will-cite --pipe --block 8M -j2 "$MAPPER" <"$DIR/text" | LC_ALL=C sort | uniq -c >"$DIR/theirs"
}
parallel_combined() {
  parallel --will-cite --pipe --block 8M -j2 "$MAPPER | LC_ALL=C sort | uniq -c" <"$DIR/text" |
    awk '{n = $1; sub(/^ *[0-9]+ /, ""); c[$0] += n} END {for (w in c) printf "%7d %s\n", c[w], w}' |
    LC_ALL=C sort -k2 >"$DIR/theirs"
}
pipeline() { LC_ALL=C tr -s '[:space:]' '\n' <"$DIR/text" | LC_ALL=C sed '/^$/d' | LC_ALL=C sort | uniq -c >"$DIR/theirs"; }

wordcount() {
  local i a=() b=() c=() d=()
  command -v parallel >/dev/null || { echo "GNU parallel is not installed"; return; }
  text "$DIR/text" "$MB"
  SLOTS=2 flock_start 1
  flock_whole 1
  ours
  for ((i = 0; i < RUNS; i++)); do
    a+=("$(seconds ours)") b+=("$(seconds parallel_plain)") c+=("$(seconds parallel_combined)") d+=("$(seconds pipeline)")
  done
  m() { printf '%s\n' "$@" | median; }
  cmp -s <(LC_ALL=C sort "$DIR/ours") <(LC_ALL=C sort "$DIR/theirs") && echo "word count of $MB MiB, the results are equal:" ||
    echo "word count of $MB MiB, THE RESULTS DIFFER:"
  {
    echo "mrctl run, one node of 2 slots|$(m "${a[@]}")"
    echo "parallel --pipe -j2 MAPPER, sort, uniq -c|$(m "${b[@]}")"
    echo "parallel --pipe -j2 'MAPPER, sort, uniq -c', awk|$(m "${c[@]}")"
    echo "one pipeline of MAPPER, sort, uniq -c|$(m "${d[@]}")"
  } | awk -F'|' 'NR == 1 {ours = $2} {printf "  %-50s %6.2f s  ours/this %.2f\n", $1, $2, ours / $2}'
  flock_kill 1 TERM
}

flock_begin bench
for section; do
  case $section in
  idle | wordcount) $section ;;
  *)
    if [ -x "tests/bench/$section/run.sh" ]; then "tests/bench/$section/run.sh"
    else echo "no section $section" >&2; exit 2; fi ;;
  esac
done

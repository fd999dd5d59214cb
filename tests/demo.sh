#!/usr/bin/env bash
# make demo: five nodes on this machine count the words of real text. The count runs once undisturbed and once with the node
# that took the job killed (-9) half-way; both answers are compared, byte for byte. Cleans up after itself, also on ^C.
# Usage: tests/demo.sh [BUILD [FILE]]
set -u
export MR_BUILD=${1:-build}
case $MR_BUILD in /*) ;; *) MR_BUILD=$PWD/$MR_BUILD ;; esac
input=${2:-}
[ -z "$input" ] || input=$(realpath -- "$input") || exit 2
cd "$(dirname "$0")/.." || exit 1
. tests/lib/flock.sh

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
else bold='' dim='' plain=''; fi
say() { printf '%s==>%s %s\n' "$bold" "$plain" "$*"; }
show() { printf '%s  $ %s%s\n' "$dim" "$*" "$plain"; }
die() { echo "demo: $*" >&2; exit 1; }

flock_begin demo
if [ -n "$input" ]; then
  [ -f "$input" ] || die "no file $input"
  [ -r "$input" ] || die "cannot read $input"
  ln -s "$input" "$DIR/text"
else
  text "$DIR/text" 48 || die "found no text below /usr/share; say which: make demo INPUT=path"
fi
size=$(stat -Lc %s "$DIR/text")
split=$((size / 24 + 1))
say "$((size / 1048576)) MiB of text; five nodes, each a process with a data directory of its own"
for n in 1 2 3 4 5; do flock_start $n || die "node$n did not start"; done
flock_whole 5 || die "the nodes did not find each other"
show "mrctl members"
ctl members | sed 's/^/    /'

submit() { ctl submit -q -m "$MAPPER" -r "$REDUCER" -R 4 -i "$DIR/text" --split $split; }
bar() { # job: a line that moves on a terminal, a few lines elsewhere
  local job=$1 until=$2 last=-1 state maps done_maps reduces done_reduces
  while :; do
    read -r state maps done_maps reduces done_reduces < <(ctl status "$job" -o json |
      jq -r '[.state, .maps, .maps_done, .reduces, .reduces_done] | join(" ")')
    if [ -t 1 ]; then printf '\r    maps %s/%s  reduces %s/%s   ' "$done_maps" "$maps" "$done_reduces" "$reduces"
    elif [ "$((done_maps * 4 / maps))" != "$last" ]; then
      last=$((done_maps * 4 / maps))
      echo "    maps $done_maps/$maps  reduces $done_reduces/$reduces"
    fi
    [ "$state" = running ] || break
    [ "$until" = half ] && [ $((2 * done_maps)) -ge "$maps" ] && break
    sleep 0.1
  done
  [ -t 1 ] && echo
  [ "$until" = half ] || [ "$state" = "done" ] || die "$job ended $state"
}

say "undisturbed"
show "mrctl submit -m \"$MAPPER\" -r '$REDUCER' -R 4 -i text"
job=$(submit) || die "the job was not accepted"
bar "$job" end
ctl cat "$job" >"$DIR/calm"
calm=$(ctl status "$job" -o json | jq .elapsed_ms)
echo "    $job: done in $((calm / 1000)).$((calm % 1000 / 100)) s"

say "once more, and half-way the node that took the job dies"
AT=${ADDR[1]}
job=$(submit) || die "the job was not accepted"
bar "$job" half
ctl wait "$job" >"$DIR/waited" 2>&1 &
waiter=$!
show "kill -9 ${PID[1]}        # node1, which took $job"
flock_kill 1
unset AT
bar "$job" end
wait $waiter || die "mrctl, which had been waiting at node1, did not end well: $(cat "$DIR/waited")"
ctl cat "$job" >"$DIR/stormy"
ctl status "$job" -o json |
  jq -r '"    \(.name): \(.state) in \(.elapsed_ms / 100 | floor / 10) s; \(.attempts) attempts for \(.maps + .reduces) tasks, \(.reexecuted) run again"'
again=$(ctl tasks "$job" -o json | jq -r '[.[] | select(.number > 1)][0].task // empty')
if [ -n "$again" ]; then
  show "mrctl explain $again"
  ctl explain "$again" | sed 's/^/    /'
fi
show "mrctl members"
ctl members | sed 's/^/    /'

say "the top words"
LC_ALL=C sort -rn "$DIR/stormy" | head -n 8 | sed 's/^/    /'
cmp -s "$DIR/calm" "$DIR/stormy" || die "the two results differ"
say "the result is byte-identical to the undisturbed one ($(wc -l <"$DIR/stormy") distinct words)"
reference "$DIR/text" >"$DIR/expected"
LC_ALL=C sort "$DIR/stormy" | cmp -s - "$DIR/expected" || die "coreutils count otherwise"
say "and equals what coreutils say: sort | uniq -c"

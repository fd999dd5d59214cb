#!/usr/bin/env bash
# The way between map and reduce on three daemons: orders, partitions, output sorted over several partitions, bad
# partitioners, many reduces. Each case against coreutils, byte for byte.
#
#      node1 --- node2 --- node3
. "$(dirname "$0")/../lib/flock.sh"
flock_begin shuffle
export LC_ALL=C
for n in 1 2 3; do flock_start $n || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3
text "$DIR/text" 4
seq 1 60000 | shuf --random-source="$DIR/text" | awk '{print $1 % 77 "\t" $1}' >"$DIR/pairs"
TAB=$(printf '\t')
pairs() { ctl run -q -m cat -r cat -i "$DIR/pairs" --split 90K "$@"; }

sort "$DIR/text" >"$DIR/sorted"
check "@sort with 4 reduces is LC_ALL=C sort" cmp <(ctl run -q -m @sort -R 4 -i "$DIR/text" --split 500K) "$DIR/sorted"
check "@sort alone is LC_ALL=C sort" cmp <(ctl run -q -m @sort -i "$DIR/text" --split 500K) "$DIR/sorted"
check "@sort --sort line:reverse is sort -r" cmp \
  <(ctl run -q -m @sort --sort line:reverse -R 3 -i "$DIR/text" --split 500K) <(sort -r "$DIR/text")
check "@sort --sort numeric is sort -n" cmp \
  <(ctl run -q -m @sort --sort numeric -R 3 -i "$DIR/pairs" --split 90K) <(sort -n "$DIR/pairs")
job=$(ctl submit -q -m @sort -R 4 -i "$DIR/text" --split 500K -w)
again=$(ctl submit -q -m @sort -R 4 -i "$DIR/text" --split 500K -w)
blocks() { ctl ls "$1" -o json | jq -r '.[0].blocks'; }
check "its output is in 4 parts" [ "$(blocks "$job")" = 4 ]
# A slow task may have run twice, with the same bytes.
parts() {
  ctl tasks "$1" -o json |
    jq -c '[.[] | select((.task | test("/r")) and .state == "done") | [.task[-1:], .size, .records]] | unique'
}
check "the same input has the same parts" eval '[ -n "$(parts "$job")" ] && [ "$(parts "$job")" = "$(parts "$again")" ]'
check "and about as many records each" eval 'parts "$job" | jq -e "map(.[2]) | (max < 2 * min) and length == 4" >/dev/null'

check "key order by default, in each partition" cmp \
  <(pairs -R 1) <(sort -s -t "$TAB" -k 1,1 "$DIR/pairs")
check "--sort numeric:reverse" cmp \
  <(pairs --sort numeric:reverse) <(sort -s -t "$TAB" -k 1,1nr "$DIR/pairs")
check "--sort none keeps the order of the input" cmp <(pairs --sort none) "$DIR/pairs"
check "a secondary sort: --sort key,numeric:reverse" cmp \
  <(pairs --sort key,numeric:reverse) <(sort -s -t "$TAB" -k 1,1 -k 2,2nr "$DIR/pairs")
check "over 3 ranges: --sort numeric,numeric --partition range" cmp \
  <(pairs --sort numeric,numeric --partition range -R 3) <(sort -s -t "$TAB" -k 1,1n -k 2,2n "$DIR/pairs")
groups() { # how many keys are in more than one partition
  pairs -R 5 -r 'cut -f 1 | uniq | sed "s/\$/ $MR_PARTITION/"' "$@" | sort -u >"$DIR/groups" &&
    [ -s "$DIR/groups" ] && cut -d ' ' -f 1 "$DIR/groups" | uniq -d | wc -l
}
check "a secondary sort parts no group" [ "$(groups --sort key,key)" = 0 ]
check "--partition-fields 2 does" [ "$(groups --sort key,key --partition-fields 2)" = 77 ]
modulo() {
  pairs -R 3 -r 'sed "s/^/$MR_PARTITION /"' --partition 'awk "{print \$1 % ENVIRON[\"MR_PARTITIONS\"]}"' |
    awk '$2 % 3 != $1 {bad = 1} END {exit bad || NR != 60000}'
}
check "--partition CMD" modulo
check "a partitioner's bad number is told with the record's number" eval '
  ! pairs -R 3 --retries 1 --partition "sed s/.*/1/\;77s/1/3/" >/dev/null 2>"$DIR/err" &&
  grep -qE "partitioner: record 77 of the map.s output, at byte [0-9]+ of it, got .3.; it must print a line for each record, with a number from 0 to 2" "$DIR/err"'
check "a partitioner that stops early" eval '
  ! pairs -R 3 --retries 1 --partition "head -n 5 | sed s/.*/1/" >/dev/null 2>"$DIR/err" &&
  grep -q "partitioner: record 6 of" "$DIR/err"'
check "300 reduces" cmp <(pairs -R 300 -r @cat | sort) <(sort "$DIR/pairs")
check "1,025 are refused" eval '! pairs -R 1025 >/dev/null 2>"$DIR/err" && grep -q "from 0 to 1024" "$DIR/err"'
for bad in key,line none:reverse nonsense key, numeric:up; do
  check "--sort $bad is refused" eval "! pairs --sort $bad >/dev/null 2>'$DIR/err' && grep -q 'sort: ' '$DIR/err'"
done
: >"$DIR/empty"
check "nothing to sort" cmp <(ctl run -q -m @sort -R 4 -i "$DIR/empty") "$DIR/empty"
yes same | head -n 50000 >"$DIR/same"
check "one key alone, over 4 ranges" cmp <(ctl run -q -m @sort -R 4 -i "$DIR/same" --split 50K) "$DIR/same"

# ---- parts go to their reduces while maps still run ----
sum_of() { # a metric, over all nodes
  local n
  for n in 1 2 3; do AT=${ADDR[$n]} ctl ping -o json | jq ".metrics.$1"; done | awk '{s += $1} END {print s}'
}
ahead=$(sum_of prefetched) used=$(sum_of prefetches_used)
has_started() { [ "$(sum_of prefetched)" -gt "$ahead" ]; }
# Twelve maps in two waves, the second of which ends when this test has seen parts of the first on their way.
job=$(ctl submit -q -m "[ \$MR_INDEX -lt 6 ] || while [ ! -e $DIR/go ]; do sleep 0.05; done; cat" -r cat -R 6 \
  -i "$DIR/pairs" --split 60K)
check "parts are fetched before the maps are done" wait_for 30 has_started
maps_done=$(job_field "$job" maps_done)
check "while maps run" [ "$maps_done" -lt "$(job_field "$job" maps)" ]
touch "$DIR/go"
check "the job ends well" eval 'ctl wait "$job" >/dev/null 2>"$DIR/err"'
check "with the right bytes" cmp <(ctl cat "$job" | sort) <(sort "$DIR/pairs")
echo "# $(($(sum_of prefetched) - ahead)) parts came ahead of their reduces, which used $(($(sum_of prefetches_used) - used)) of them"
check "the reduces use them" [ "$(sum_of prefetches_used)" -gt "$used" ]
ahead=$(sum_of prefetched)
job=$(ctl submit -q -m "[ \$MR_INDEX -lt 6 ] || sleep 60; cat" -r cat -R 6 -i "$DIR/pairs" --split 60K)
check "parts of another job" wait_for 30 has_started
ctl kill "$job" 2>/dev/null
none_kept() { [ -z "$(find "$DIR"/node*/tmp -type f)" ]; }
check "none is kept of a job that was killed" wait_for 20 none_kept
flock_end

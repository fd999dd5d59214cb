#!/usr/bin/env bash
# Maps run where their blocks are: five nodes with two slots each, two copies of each block; the share of local reads is printed and
# is in status, at every node, and after the job's end.
. "$(dirname "$0")/../lib/flock.sh"
flock_begin locality
for n in 1 2 3 4 5; do flock_start $n || not_ok "node $n starts"; done
check "five nodes find each other" flock_whole 5
seq 1 1000000 >"$DIR/numbers"
size=$(stat -c %s "$DIR/numbers")
ctl put -q "$DIR/numbers" numbers --split 140K --replicas 2
blocks=$(ctl ls -o json | jq '.[] | select(.name == "numbers") | .blocks')
has_two() { [ "$(ctl ls -o json | jq '.[] | select(.name == "numbers") | .replicas_min')" = 2 ]; }
check "$blocks blocks are on two nodes each" wait_for 30 has_two

job=$(ctl submit -q -m 'sleep 0.1; wc -l' -i data:numbers)
check "the job ends" ctl wait -q "$job"
local_maps=$(job_field "$job" maps_local) remote=$(job_field "$job" maps_remote)
echo "# local: $local_maps of $blocks maps ($((100 * local_maps / blocks)) %), $(job_field "$job" bytes_local) of $size bytes"
check "each map read here or from afar" [ $((local_maps + remote)) = "$blocks" ]
check "so did the bytes" [ $(($(job_field "$job" bytes_local) + $(job_field "$job" bytes_remote))) = "$size" ]
check "more maps were local than chance gives (2 of 5)" [ $((5 * local_maps)) -gt $((2 * blocks)) ]
check "the table says it" eval 'ctl status "$job" | grep -q "^local reads: $local_maps of $blocks maps"'
check "it is no counter" eval '[ "$(ctl status "$job" -o json | jq ".counters | length")" = 0 ]'
same() { for n in 2 3 4 5; do [ "$(AT=${ADDR[$n]} job_field "$job" maps_local)" = "$local_maps" ] || return 1; done; }
check "every node says the same" wait_for 10 same

# One map at a time, nobody busy: the first in its block's order takes it.
all=0
for i in 1 2 3 4 5 6 7 8; do
  seq "$i" 50000 >"$DIR/one"; ctl put -q "$DIR/one" "one$i" --replicas 2
  job=$(ctl submit -q -w -m 'wc -l; echo reporter:counter:a,b,3 >&2' -i "data:one$i")
  all=$((all + $(job_field "$job" maps_local)))
done
check "maps of a flock at rest are local ($all of 8)" [ "$all" -ge 6 ]
check "beside what programs count" eval '[ "$(ctl status "$job" -o json | jq -c ".counters")" = "[{\"group\":\"a\",\"name\":\"b\",\"value\":3}]" ]'

# Where no node with a copy runs tasks, all reads are remote, and said to be.
chmod 755 "$DIR"
job=$(ctl submit -q -w -m 'wc -l' -i "path:$DIR/numbers" --split 1M)
check "shared reads are neither" eval '[ "$(job_field "$job" maps_shared)" = 7 ] && [ "$(job_field "$job" bytes_shared)" = "$size" ] && [ "$(job_field "$job" maps_local)" = 0 ]'
seq 7 40000 >"$DIR/far"
ctl put -q "$DIR/far" far --replicas 1
has_far() { find "$DIR/node$1/blocks" -type f -size -300k -size +200k -newer "$DIR/far" | grep -q .; }
home=$(ctl plan -m cat -i data:far -o json | jq -r '.stages[0].splits[0].nodes[0]')
check "its home has it" wait_for 20 has_far "${home#node}"
# A copy may still be on its way to a node that is open: then once more, without that one.
reads_far() {
  for n in 1 2 3 4 5; do has_far $n && AT=${ADDR[$n]} ctl drain "node$n" >/dev/null 2>&1; done
  job=$(ctl submit -q -w -m 'wc -l' -i data:far)
  [ "$(job_field "$job" maps_remote) $(job_field "$job" bytes_remote)" = "1 $(stat -c %s "$DIR/far")" ]
}
check "a map far from its block says so" wait_for 60 reads_far
flock_end

#!/usr/bin/env bash
# mrctl plan: what it says is what then happens; it leaves nothing behind. Four nodes on loopback.
. "$(dirname "$0")/../lib/flock.sh"
flock_begin plan
for n in 1 2 3 4; do flock_start $n || not_ok "node $n starts"; done
check "four nodes find each other" flock_whole 4
says() { grep -q -- "$1" "$DIR/out"; }
plan() { ctl plan "$@" >"$DIR/out" 2>"$DIR/err"; }
j() { jq -r "$1" "$DIR/out"; }
seq 1 200000 >"$DIR/numbers"
blocks() { find "$DIR"/node*/blocks -type f | wc -l; }

check "a job: a table" plan -m cat -r 'uniq -c' -R 3 --split 200K --replicas 2 -O sums "$DIR/numbers"
check "with its maps and reduces" eval 'says "^job  *1  *cat  *uniq -c  *7  *3  *1.2M" && says "^node4"'
plan -m cat -r 'uniq -c' -R 3 --split 200K --replicas 2 -O sums "$DIR/numbers" -o json
check "the splits cover the file" [ "$(j '[.stages[0].splits[].size] | add')" = "$(stat -c %s "$DIR/numbers")" ]
check "each would be on two nodes" [ "$(j '[.stages[0].splits[].nodes | length] | unique | map(tostring) | join(" ")')" = 2 ]
check "the nodes' sums agree" [ "$(j '[.nodes[].blocks] | add') $(j '[.nodes[].maps_first] | add')" = "14 7" ]
check "nothing is missing" [ "$(j '.missing | length')" = 0 ]
cp "$DIR/out" "$DIR/planned"
check "nothing was stored, nothing has run" eval '[ "$(blocks)" = 0 ] && [ "$(ctl status -o json | jq length)" = 0 ]'
ctl put -q "$DIR/numbers" numbers --split 200K --replicas 2
names() { jq -r '.stages[0].splits[] | "\(.index) \(.nodes | join(","))"' "$1"; }
placed() { # each planned block is where it was to go, by its digest
  local index nodes digest
  while read -r index nodes; do
    digest=$(tail -c +$(($(jq ".stages[0].splits[$index].offset" "$DIR/planned") + 1)) "$DIR/numbers" |
      head -c "$(jq ".stages[0].splits[$index].size" "$DIR/planned")" | b2sum -l 256 | cut -d ' ' -f 1)
    for node in ${nodes//,/ }; do
      [ -n "$(find "$DIR/$node/blocks" -name "*${digest:2}*")" ] || return 1
    done
  done < <(names "$DIR/planned")
}
check "put places the blocks as planned" wait_for 30 placed
plan -m cat -i data:numbers -o json
check "of a dataset the same" eval '[ "$(names "$DIR/out")" = "$(names "$DIR/planned")" ] && [ "$(j ".stages[0].splits[0].kind")" = data ]'
chmod 755 "$DIR"
check "a file that all share: any node" eval 'plan -m cat -i "path:$DIR/numbers" --split 200K -o wide && says "^m6 .*any (shared)"'
printf '[stage a]\nmapper = cat\nreducer = cat\nreduces = 5\n[repeat b]\nmapper = cat\ntimes = 9\n[stage c]\nmapper = wc -l\n' >"$DIR/chain.ini"
check "a spec file: every stage" eval 'plan "$DIR/chain.ini" -i data:numbers -O end -o json && [ "$(j "[.stages[] | [.stage, .times, .maps, .reduces] | map(tostring) | join(\":\")] | join(\" \")")" = "a:1:7:5 b:9:5:0 c:1:5:0" ]'
check "as a table, too" eval 'plan --spec "$DIR/chain.ini" -i data:numbers && says "^b  *<=9"'

# ---- what is missing ----
plan -m cat -i data:numbers -O numbers
check "an output that exists: exit 6" [ $? = 6 ]
check "and it is listed" says '^missing: output numbers exists'
check "fewer nodes than copies is told" eval 'plan -m cat -i data:numbers --replicas 8 && says "4 nodes live: blocks are on 4 instead of 8"'
plan -m cat -i data:absent
check "no such dataset: exit 4" [ $? = 4 ]
plan -m cat -i data:absent -o json
check "and no half a document" [ ! -s "$DIR/out" ]
printf '[stage a]\nmaper = cat\n' >"$DIR/wrong.ini"
plan "$DIR/wrong.ini" -i data:numbers
check "a wrong spec file: exit 2, its line" eval '[ $? = 2 ]; grep -q "wrong.ini:2" "$DIR/err"'
flock_kill 1; flock_kill 2; flock_kill 3
AT=${ADDR[4]} plan -m cat -i data:numbers
check "blocks that no living node has: exit 7" [ $? = 7 ]
check "it is told" says '^missing: a block of numbers is on no living node'
flock_end

#!/usr/bin/env bash
# What tasks write to stderr: the last 64 KiB of each attempt at any node, also when the one that ran it is dead; while it runs,
# line by line as it comes, each line once, until the job ends, whoever dies meanwhile.
#
#   node1 --- node2 --- node3      each task says which node it is on; that one is killed
. "$(dirname "$0")/../lib/flock.sh"
flock_begin logs
for n in 1 2 3; do flock_start $n || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3
seq 200 >"$DIR/in"
is_done() { [ "$(job_field "$1" state)" = done ]; }

job=$(ctl submit -q -m 'seq 20000 >&2; echo "$MR_NODE_NAME"' -i "$DIR/in")
ctl wait "$job" 2>/dev/null
seq 20000 | tail -c 65536 | sed 1d >"$DIR/expected"
same() { ctl logs "$job/m0" | sed 's/^[^ ]* //' >"$DIR/logs"; cmp -s "$DIR/logs" "$DIR/expected"; }
check "the last 64 KiB of an attempt" same
check "--tail cuts them" [ "$(ctl logs "$job" --tail 2)" = "$job/m0.1: 19999
$job/m0.1: 20000" ]
ran=$(ctl tasks "$job/m0" -o json | jq -r '.[0].node_name')
copies() { find "$DIR"/node[123]/blocks -type f -size +60k | wc -l; }
check "two nodes keep them" wait_for 10 eval '[ "$(copies)" -ge 2 ]'
flock_kill "${ran#node}"
check "they are there when the node that ran it is dead ($ran)" wait_for 20 same
flock_start "${ran#node}"
check "three nodes again" flock_whole 3

job=$(ctl submit -q -m 'seq 3000 >&2; exit 7' --retries 1 -i "$DIR/in")
ctl wait "$job" 2>/dev/null
whole_log() { [ "$(ctl logs "$job" | sed -n '1p;2p;$p' | sed 's/^[^ ]* //; s/ (.*//')" = "exit status 7
1
3000" ]; }
check "of a failed attempt too, and how it ended" wait_for 10 whole_log # it is kept once it has ended

job=$(ctl submit -q -m 'echo "reporter:counter:<g>,n&,2" >&2; [ "$MR_ATTEMPT" = 2 ] || exit 9' -i "$DIR/in")
ctl wait "$job" 2>/dev/null
ctl report "$job" >"$DIR/report.html"
has() { grep -qF -- "$1" "$DIR/report.html"; }
check "report: a page with a timeline" has '<svg '
check "two attempts in it" [ "$(grep -c '<rect ' "$DIR/report.html")" = 2 ]
check "why the second was made" has "<td>$job/m0.1</td><td>failed</td>"
check "counters, escaped" has '<tr><td>&lt;g&gt;</td><td>n&amp;</td><td>2</td></tr>'
check "and nothing from elsewhere, nothing that runs" eval '! grep -qiE "<script|https?:|<g>" "$DIR/report.html"'

# Each line once, whole, as it comes: while the job runs there are some already.
speak=(-m 'for i in 1 2 3 4 5 6 7 8; do printf "%s.%s " "$MR_INDEX" "$MR_ATTEMPT" >&2; echo "$i" >&2; until [ $(wc -l <"$GO") -ge $i ]; do sleep 0.05; done; done'
  -e "GO=$DIR/go" --speculate off --split 400 -i "$DIR/in")
: >"$DIR/go"
job=$(ctl submit -q "${speak[@]}")
AT=${ADDR[2]} ctl logs "$job" -f >"$DIR/followed" 2>"$DIR/err" &
follower=$!
said() { [ "$(grep -c "$1\$" "$DIR/followed")" = 2 ]; }
check "-f: two attempts' first lines while they run" wait_for 30 said ' 1'
echo >>"$DIR/go"
check "-f: and then their second ones" wait_for 10 said ' 2'
seq 8 >"$DIR/go"
wait $follower
check "-f ends with the job, exit 0" [ $? = 0 ]
for t in 0 1; do for i in 1 2 3 4 5 6 7 8; do echo "$job/m$t.1: $t.1 $i"; done; done | sort >"$DIR/expected"
check "-f: each line once, behind its attempt's name" cmp -s <(sort "$DIR/followed") "$DIR/expected"

: >"$DIR/go"
job=$(ctl submit -q "${speak[@]}")
AT=${ADDR[2]} ctl logs "$job" -f >"$DIR/followed" 2>"$DIR/err" &
follower=$!
check "-f of another job" wait_for 10 said ' 1'
flock_kill 2
seq 8 >"$DIR/go"
wait $follower
check "-f outlives its peer" [ $? = 0 ]
check "-f: each task's last line is there" [ "$(grep -c ' 8$' "$DIR/followed")" = 2 ]
check "-f: no line twice" [ -z "$(sort "$DIR/followed" | uniq -d)" ]
: >"$DIR/go"
job=$(ctl submit -q "${speak[@]}")
ctl logs "$job" -f 2>"$DIR/err" | head -n 1 >"$DIR/followed"
check "-f: a reader who goes ends it quietly" [ "${PIPESTATUS[0]}/$(cat "$DIR/err")/$(wc -l <"$DIR/followed")" = "0//1" ]
seq 8 >"$DIR/go"
check "the job goes on" wait_for 20 is_done "$job"

# ---- of a bag ----

rm -f "$DIR/go"
job=$(ctl submit -q -t 'echo "{} begins" >&2; echo "reporter:counter:bag,lines,1" >&2; until [ -e $GO ]; do sleep 0.05; done; echo "{} ends" >&2' \
  -e "GO=$DIR/go" ::: a b)
ctl logs "$job" -f >"$DIR/followed" 2>"$DIR/err" &
follower=$!
begun() { [ "$(grep -c begins "$DIR/followed")" = 2 ]; }
check "-f of a bag: what its commands say while they run" wait_for 10 begun
is_old() { ctl tasks "$job" -o json | jq -e 'map(select(.state == "running" and .elapsed_ms > 0)) | length == 2' >/dev/null; }
check "tasks says how long they have run so far" wait_for 10 is_old
: >"$DIR/go"
wait $follower
check "-f of a bag ends with it" [ $? = 0 ]
check "logs has both of both" eval '[ "$(ctl logs "$job" | sed "s/^[^:]*: //" | sort | tr "\n" ,)" = "a begins,a ends,b begins,b ends," ]'
check "and what they count is counted" eval 'ctl status "$job" | grep -q "bag.*lines.*2"'
flock_end

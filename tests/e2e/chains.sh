#!/usr/bin/env bash
# Chains of jobs: PageRank as in docs/examples, against the same in one awk, byte for byte, with a node killed on the way;
# counters; spec files that are wrong.
#
#      node1 --- node2 --- node3
. "$(dirname "$0")/../lib/flock.sh"
flock_begin chains
export LC_ALL=C
for n in 1 2 3; do flock_start $n || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3

# ---- PageRank ----
awk 'BEGIN { srand(5); for (i = 0; i < 400; i++) for (j = int(4 * rand()); j >= 0; j--)
  printf "p%d\tp%d\n", i, int(400 * rand() * rand()) }' | sort -u >"$DIR/links.tsv"
# All in memory, in one process; the same arithmetic.
sequential() {
  awk -F '\t' '{ n[$1]++; out[$1, n[$1]] = $2; has[$1] = 1; rank[$1] = 1000000 }
    END { do { rounds++; moved = 0; split("", gets); split("", next_)
        for (p in rank) { for (i = 1; i <= n[p]; i++) gets[out[p, i]] += int(rank[p] / n[p]) }
        for (p in rank) next_[p] = 1
        for (p in gets) next_[p] = 1
        for (p in next_) { new[p] = 150000 + int(gets[p] * 85 / 100); d = new[p] - rank[p]; if (d < 0) d = -d
          if (d > 1000) moved++ }
        for (p in next_) rank[p] = new[p]
      } while (moved > 0 && rounds < 50)
      for (p in rank) printf "%d\t%s\n", rank[p], p; print rounds >"/dev/stderr" }' "$1" | sort -t "$(printf '\t')" -k 1,1nr -k 2,2
}
sequential "$DIR/links.tsv" >"$DIR/expected" 2>"$DIR/rounds"
cp "$ROOT"/docs/examples/pagerank/* "$DIR/"
(cd "$DIR" && ctl run --spec pagerank.ini -i links.tsv >"$DIR/ranks" 2>"$DIR/talk") &
waiter=$!
wait_for 60 grep -q 'stage rank: rank,moved' "$DIR/talk"
flock_kill 3
wait $waiter
check "PageRank ends well though a node is killed on the way" [ $? = 0 ]
check "its ranks are those of one process, in order over two parts" cmp "$DIR/ranks" "$DIR/expected"
rounds=$(grep -c 'stage rank: rank,moved' "$DIR/talk")
check "it stops when no rank moves any more ($rounds rounds)" [ "$rounds" = "$(cat "$DIR/rounds")" ]
check "what lay between the stages is gone" wait_for 10 eval '[ -z "$(ctl ls -o name)" ]'
flock_start 3 || not_ok "node3 starts again"
flock_whole 3

# ---- counters ----
seq 1 1000 >"$DIR/numbers"
job=$(ctl submit -q -w -m "awk '{print} END {print \"reporter:counter:lines,read,\" NR >\"/dev/stderr\"}'" \
  -r "cat; echo reporter:counter:reduces,run,1 >&2" -R 3 -i "$DIR/numbers" --split 1K)
counter() { ctl status "$job" -o json | jq -r --arg g "$1" --arg n "$2" '.counters[] | select(.group == $g and .name == $n).value'; }
check "counters are summed over maps" [ "$(counter lines read)" = 1000 ]
check "and reduces" [ "$(counter reduces run)" = 3 ]
check "status shows them" eval 'ctl status "$job" | grep -qE "^lines +read +1000"'
flock_kill 2
counted_at_3() { [ "$(AT=${ADDR[3]} counter lines read)" = 1000 ]; }
check "another node knows them too" wait_for 20 counted_at_3
flock_start 2 || not_ok "node2 starts again"

# ---- a chain's way to end ----
printf '[job]\noutput = kept\n[stage a]\nmapper = cat\n[stage b]\nmapper = sed s/1/x/g;\n  s=1; cat\n' >"$DIR/two.ini"
sed -i 's/sed s.1.x.g;/sed s\/1\/x\/g |/; s/  s=1; cat/  cat/' "$DIR/two.ini"
check "submit --spec prints the name of the result" [ "$(ctl submit -q --spec "$DIR/two.ini" -i "$DIR/numbers")" = kept ]
check "an indented line goes on with the command" cmp <(ctl cat kept) <(sed s/1/x/g "$DIR/numbers")
ctl submit -q --spec "$DIR/two.ini" -i "$DIR/numbers" >/dev/null 2>&1
check "a result that exists is a conflict before anything runs" [ $? = 6 ]
check "--overwrite replaces it" eval 'ctl submit -q --overwrite --spec "$DIR/two.ini" -i "$DIR/numbers" >/dev/null'
printf '[stage a]\nmapper = cat\n[stage b]\nmapper = false\nretries = 1\n' >"$DIR/bad.ini"
ctl run -q --spec "$DIR/bad.ini" -i "$DIR/numbers" >/dev/null 2>"$DIR/err"
check "a stage that fails ends the chain with 1" [ $? = 1 ]
check "and says where its input is" eval 'grep -q "its input is kept: mrctl cat chain-.*\.a" "$DIR/err"'
check "which is there" eval 'ctl cat "$(sed -n "s/.*kept: mrctl cat //p" "$DIR/err")" | cmp - "$DIR/numbers"'

# ---- wrong files ----
wrong() { # what it must say, the file's text
  printf "$2" >"$DIR/wrong.ini"
  ctl submit --spec "$DIR/wrong.ini" -i "$DIR/numbers" >/dev/null 2>"$DIR/err"
  [ $? = 2 ] && grep -q "wrong.ini:$1" "$DIR/err" || { sed 's/^/# /' "$DIR/err"; false; }
}
check "no stage" wrong "2: there is no stage" "[job]\nname = x\n"
check "an unknown section" wrong "2: \[stages a\] is unknown" "\n[stages a]\nmapper = cat\n"
check "an option before any section" wrong "1: an option before any" "mapper = cat\n"
check "a section that does not end" wrong "1: a section's name ends with" "[stage a\nmapper = cat\n"
check "an empty file" eval ': >"$DIR/nothing.ini"; exits 2 submit --spec "$DIR/nothing.ini" && says "nothing.ini: there is no stage"'
check "a directory" eval 'exits 2 submit --spec "$DIR" && says "$DIR: Is a directory"'
check "neither section nor option" wrong "3: it is neither" "[stage a]\nmapper = cat\nnonsense\n"
check "an unknown option" wrong "3: that is the option meant" "\n[stage a]\nmaper = cat\n"
check "a section without options" wrong "2: a section without" "\n[stage a]\n[stage b]\nmapper = cat\n"
check "options that do not go together" wrong "1: in stage a: its options" "[stage a]\nmapper = cat\ncombiner = cat\n"
check "an option's bad value" wrong "5: that is the option" "\n[stage a]\nmapper = cat\nreducer = cat\nreduces = many\n"
check "a stage twice" wrong "3: stage a is there already (line 1)" "[stage a]\nmapper = cat\n[stage a]\nmapper = cat\n"
check "an input in the midst" wrong "3: in stage b: its input is" "[stage a]\nmapper = cat\n[stage b]\nmapper = cat\ninput = x\n"
check "a repeat without times" wrong "1: .repeat a. needs times" "[repeat a]\nmapper = cat\n"
check "a test that is none" wrong "3: until is GROUP,NAME" "[repeat a]\ntimes = 2\nuntil = moved < few\n"
check "a comment that would cut a command" wrong "2: a ';' behind a blank" "[stage a]\nmapper = cat ; echo\n"
check "a line too long to read" wrong "2: a line has at most" "[stage a]\nmapper = $(printf 'x%.0s' $(seq 300))\n"
check "bytes that are no text" wrong "1: it is neither" "\\\\001\\\\377\\\\000\\\\002\n"
ctl submit --spec "$DIR/none.ini" >/dev/null 2>"$DIR/err"
check "no file" eval '[ $? = 2 ]; grep -q "none.ini: No such file" "$DIR/err"'
check "-m with --spec" eval '! ctl submit --spec "$DIR/two.ini" -m cat >/dev/null 2>&1'
flock_end

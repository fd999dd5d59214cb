#!/usr/bin/env bash
# Datasets as people really have them: nothing, one record, records larger than a block, records of a fixed size, whole files,
# a directory of many tiny files, NUL bytes; and head, du. Two nodes on loopback.
. "$(dirname "$0")/../lib/flock.sh"
flock_begin datasets
for n in 1 2; do flock_start $n || not_ok "node $n starts"; done
check "two nodes find each other" flock_whole 2
blocks_of() { ctl ls -o json | jq --arg n "$1" '.[] | select(.name == $n) | .blocks'; }
whole() { ctl cat "$1" | cmp -s - "$2"; }

: >"$DIR/empty"
check "an empty file" ctl put "$DIR/empty" empty
check "comes back empty" whole empty "$DIR/empty"
printf 'one record' >"$DIR/one"
check "one record without a newline" ctl put "$DIR/one" one
check "comes back as it was" whole one "$DIR/one"
head -c 3000000 /dev/zero >"$DIR/nul"
check "NUL bytes, no line end at all: one block" eval 'ctl put "$DIR/nul" nul --split 1M && [ "$(blocks_of nul)" = 1 ]'
check "come back as they were" whole nul "$DIR/nul"
seq 1 300000 >"$DIR/numbers"
check "standard input" eval 'ctl put - stdin --split 256K <"$DIR/numbers"'
check "comes back as it was" whole stdin "$DIR/numbers"

# Bytes that change in the sender's memory, behind its checksum: the node does not take them, and they are sent again.
: >"$DIR/flip"
check "a byte changes on its way" env ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0" FLIPSEND="$DIR/flip" LD_PRELOAD="$BUILD/lib/flipsend.so" "$BUILD/mrctl" -n "$(at)" put "$DIR/numbers" flipped --split 256K
check "it did" [ ! -e "$DIR/flip" ]
check "what is stored is what was meant" whole flipped "$DIR/numbers"

# Blocks are made durable while the next ones come; who dies amid that leaves no half a block.
check "hundreds of blocks in one upload" ctl put "$DIR/numbers" many --split 4K
check "come back as they were" whole many "$DIR/numbers"
for i in 1 2 3; do
  "$BUILD/mrctl" -n "$(at)" put - "half$i" --split 16K 2>/dev/null < <(cat "$DIR/numbers"; sleep 0.$i; cat "$DIR/numbers"; sleep 9) &
  half=$!
  sleep 0.$((i + 2)); kill -9 $half; wait $half 2>/dev/null
done
no_temporaries() { [ -z "$(find "$DIR"/node*/tmp -type f)" ]; }
check "uploads that die leave no temporary files" wait_for 20 no_temporaries
check "and the nodes serve" whole many "$DIR/numbers"

# While hundreds of blocks are on their way to a newcomer's slow disk, the list of what somebody asks for there goes first.
LAUNCH=(env "ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0" "LD_PRELOAD=$BUILD/lib/slowsync.so" "SLOWSYNC=$DIR/slow")
echo 50 >"$DIR/slow"
flock_start 3 || not_ok "node 3 starts"
LAUNCH=()
come() { [ "$(find "$DIR/node3/blocks" -type f | wc -l)" -ge "$1" ]; }
check "hundreds of blocks are on their way to a slow disk" wait_for 30 come 8
all_at_3() { local name; for name in one stdin nul flipped; do AT=${ADDR[3]} ctl cat $name >"$DIR/$name.3" || return 1; done; }
check "what is asked for there goes first" all_at_3
echo "# $(find "$DIR/node3/blocks" -type f | wc -l) blocks had come by then"
check "the bytes are right" eval 'cmp -s "$DIR/one" "$DIR/one.3" && cmp -s "$DIR/nul" "$DIR/nul.3" && cmp -s "$DIR/numbers" "$DIR/stdin.3"'
rm "$DIR/slow"
flock_kill 3

# ---- records ----
head -c 1000000 /dev/urandom >"$DIR/fixed"
check "records of 1000 bytes" ctl put "$DIR/fixed" fixed --records fixed:1000 --split 100K
check "come back as they were" whole fixed "$DIR/fixed"
ctl run -q -m 'wc -c' -i data:fixed >"$DIR/out"
check "blocks hold whole records" eval '[ "$(wc -l <"$DIR/out")" -ge 9 ] && awk "\$1 % 1000 {exit 1}" "$DIR/out"'
head -c 1000003 /dev/urandom >"$DIR/fixed"
ctl put "$DIR/fixed" uneven --records fixed:1000 2>"$DIR/err"
check "a last record that is too short: exit 2" [ $? = 2 ]
check "the file, the offset and what to do are told" eval 'says "$DIR/fixed" && says "offset 1000000" && says "cut them off"'
check "and there is no such dataset" eval '! ctl ls -o name | grep -q uneven'
ctl put "$DIR/fixed" uneven --records sonnets 2>"$DIR/err"
check "no such kind of record: exit 2" [ $? = 2 ]
mkdir "$DIR/three"
for n in 1 2 3; do head -c 300000 /dev/urandom >"$DIR/three/$n"; done
check "whole files" ctl put "$DIR/three" three --records file --split 64K
check "a block each" [ "$(blocks_of three)" = 3 ]
check "come back as they were" eval 'cat "$DIR"/three/* | cmp -s - <(ctl cat three)'

# ---- many tiny files: 10,000; FILES=100000 in make check-all ----
FILES=${FILES:-10000}
mkdir "$DIR/tiny"
(cd "$DIR/tiny" && seq 1 "$FILES" | split -l 1 -a 4 -) || not_ok "$FILES files are made"
ctl put "$DIR/tiny" tiny 2>"$DIR/err"
check "$FILES tiny files" [ $? = 0 ]
check "share blocks, and it is said" eval '[ "$(blocks_of tiny)" -le 4 ] && says "share blocks"'
seq 1 "$FILES" >"$DIR/want"
check "come back in order of names" whole tiny "$DIR/want"
mkdir "$DIR/some"
(cd "$DIR/some" && seq 1 1200 | split -l 1 -a 4 - && printf 'no line end' >xaab) || not_ok "1,200 files are made"
check "a file without a line end among many" ctl put -q "$DIR/some" some
check "ends its block: nothing is glued together" eval 'ctl run -q -m "grep -c -x \"no line end\" || true" -i data:some | grep -qx 1'

# ---- directories come back as directories ----
mkdir -p "$DIR/dir/b/c" "$DIR/dir/z"
seq 1 70000 >"$DIR/dir/b/c/large"; printf x >"$DIR/dir/b/small"; : >"$DIR/dir/a empty"; : >"$DIR/dir/z/empty"; seq 9 >"$DIR/dir/z/..odd"
mkdir -p "$DIR/dir/b/none/at/all" "$DIR/dir/0" "$DIR/dir/zz"
check "a directory" ctl put -q "$DIR/dir/" dir --split 64K
check "comes back as one, its files as they were" eval 'ctl get dir "$DIR/dir.back" && diff -r "$DIR/dir" "$DIR/dir.back"'
ctl get dir "$DIR/dir.back/z/..odd" 2>"$DIR/err"
check "not over a file" eval '[ $? = 1 ]; says "..odd" && [ "$(cat "$DIR/dir.back/z/..odd")" = "$(seq 9)" ]'
check "nor leaves anything when it can't" eval '! ls -d "$DIR"/dir.back/z/*.tmp* 2>/dev/null'
check "into a directory that is there: in it, by its name" eval 'mkdir "$DIR/into" && ctl get dir "$DIR/into" && diff -r "$DIR/dir" "$DIR/into/dir"'
check "$FILES tiny files come back, though they share blocks" eval 'ctl get tiny "$DIR/tiny.back" && diff -r "$DIR/tiny" "$DIR/tiny.back"'
check "a job reads it as any other dataset" eval '[ "$(ctl run -q -m cat -i data:dir | wc -c)" = "$(cat "$DIR"/dir/b/c/large "$DIR"/dir/b/small "$DIR"/dir/z/..odd | wc -c)" ]'
check "a file stays a file" eval 'ctl get numbers "$DIR/numbers.back" 2>/dev/null || ctl get many "$DIR/numbers.back" && cmp -s "$DIR/numbers" "$DIR/numbers.back"'

# ---- what is there already ----
mkfifo "$DIR/pipe"
cat "$DIR/pipe" >"$DIR/piped" &
reader=$!
check "into a pipe (so into any device)" ctl get one "$DIR/pipe"
wait $reader
check "which gets the bytes and stays what it is" eval '[ -p "$DIR/pipe" ] && cmp -s "$DIR/one" "$DIR/piped"'
echo old >"$DIR/there"; chmod 640 "$DIR/there"; ln -s there "$DIR/link"; echo mine >"$DIR/there.tmp"
check "through a link" ctl get one "$DIR/link"
check "its file has the bytes, and its mode; the link stays" eval '[ -L "$DIR/link" ] && cmp -s "$DIR/one" "$DIR/there" && [ "$(stat -c %a "$DIR/there")" = 640 ]'
check "a file beside it that has such a name is not touched" [ "$(cat "$DIR/there.tmp")" = mine ]

# The list of a directory's files is longer than a block that is held in memory: 2,600 names of 3,500 bytes.
deep=$(printf 'd%.0s' {1..240}); deep=$deep/$deep/$deep/$deep/$deep/$deep/$deep; deep=$deep/$deep
mkdir -p "$DIR/wide/$deep"
(cd "$DIR/wide/$deep" && seq 2600 | sed "s/\$/$(printf 'n%.0s' {1..120})/" | xargs touch && echo last >z)
check "a directory whose names take 9 MB" ctl put -q "$DIR/wide" wide
check "comes back as one" eval 'ctl get wide "$DIR/wide.back" && diff -r "$DIR/wide" "$DIR/wide.back"'

# ---- head, du ----
check "head: ten lines" eval '[ "$(ctl head stdin)" = "$(seq 1 10)" ]'
check "head --lines 100000: over several blocks" eval 'ctl head stdin --lines 100000 | cmp -s - <(seq 1 100000)'
check "head of fewer lines: all" eval '[ "$(ctl head one)" = "one record" ]'
ctl head absent >/dev/null 2>&1
check "head of what is not there: exit 4" [ $? = 4 ]
for command in ls du; do
  check "$command of what is not there: exit 4, and why" eval 'exits 4 $command absent && says "no dataset.s name begins with absent; see: mrctl ls"'
  check "$command -o json: exit 4, an empty array" eval '[ "$(ctl $command absent -o json 2>/dev/null; echo $?)" = "[]
4" ]'
  check "$command of the beginning of names" eval 'ctl $command t | grep -q tiny'
done
check "du: size and total of the copies" wait_for 20 eval '[ "$(ctl du stdin -o json | jq -c ".[0] | [.size, .copies, .total]")" = "[1988895,2,3977790]" ]'

# ---- bytes whose only copies are rotten, put again: a copy that is there by name alone is none ----
seq 700000 800000 >"$DIR/again"
check "a put" ctl put -q "$DIR/again" first --split 64K
for n in 1 2; do flock_kill $n TERM; done
before=$(find "$DIR"/node[12]/blocks -type f -size +60k | wc -l)
find "$DIR"/node[12]/blocks -type f -size +60k | while read -r file; do
  chmod u+w "$file" && printf '\377\376' | dd of="$file" bs=1 seek=30000 conv=notrunc 2>/dev/null && chmod u-w "$file"
done
for n in 1 2; do flock_start $n || not_ok "node $n starts again"; done
check "all copies of it rot, at both nodes" eval '[ "$before" -ge 20 ] && flock_whole 2'
check "the same bytes are put again" ctl put -q "$DIR/again" second --split 64K
flock_kill 1
check "and there when the node that took them dies" whole second "$DIR/again"
alone() { exits 0 put "$DIR/one" lonely --overwrite && says "only 1 node has it"; }
check "a put at a node that is alone says so" wait_for 30 alone
check "the rot is told" grep -q "event=rot" "$DIR/2.err"

# ---- bytes that nobody has: which ones, of what ----
first=$(head -c 65541 "$DIR/again" | b2sum -l 256 | cut -c 1-64) # its first block stays
find "$DIR/node2/blocks" -type f -size +60k ! -name "$first" -delete
ctl cat second --timeout 3s >"$DIR/out" 2>"$DIR/err"
check "what can't be had in time: exit 124" [ $? = 124 ]
check "what can't be had is named: the dataset, the bytes, what to do" eval 'grep -qE "second: its bytes 65541 to [0-9]+ \(block 1, [0-9a-f]+\) cannot be had: .*: see: mrctl members" "$DIR/err"'
check "all before them is written, and no byte more" eval 'cmp -s "$DIR/out" <(head -c 65541 "$DIR/again")'
"$BUILD/mrctl" -n "$(at)" get second "$DIR/part" 2>/dev/null &
getter=$!
begun() { ls "$DIR"/part*; }
check "a get that waits" wait_for 10 begun
kill -TERM $getter; wait $getter
code=$?
check "and is interrupted leaves nothing" eval '[ $code = 130 ] && ! begun 2>/dev/null'
rm "$DIR/out" # of the one before
"$BUILD/mrctl" -n "$(at)" cat second >"$DIR/out" 2>"$DIR/err" &
reader=$!
check "a cat that waits" wait_for 10 test -s "$DIR/out"
"$BUILD/mrctl" -n "$(at)" get second "$DIR/part" 2>"$DIR/getter.err" &
getter=$!
check "and a get" wait_for 10 begun
ctl rm second
wait $reader
code=$?
check "is told that its dataset was removed, after a part of it: exit 7" eval '[ $code = 7 ] && says "second: it was removed while it was read"'
wait $getter
code=$?
check "and so is the get, which leaves nothing: exit 4" eval '[ $code = 4 ] && ! begun 2>/dev/null && [ "$(cat "$DIR/getter.err")" = "mrctl: second: it was removed while it was read" ]'
find "$DIR/node2/blocks" -type f | sort >"$DIR/before"
ctl put -q "$DIR/dir" listless
find "$DIR/node2/blocks" -type f | sort | comm -13 "$DIR/before" - | xargs rm
"$BUILD/mrctl" -n "$(at)" get listless "$DIR/listless" 2>"$DIR/err" &
getter=$!
sleep 1
check "a directory whose list of files nobody has: it waits" lives $getter
ctl put -q "$DIR/one" listless --overwrite
wait $getter
code=$?
check "its name is given to another dataset: that is got" eval '[ $code = 0 ] && cmp "$DIR/one" "$DIR/listless"'
ctl put -q "$DIR/again" fourth --split 64K
find "$DIR/node2/blocks" -type f -size +60k ! -name "$first" -delete
"$BUILD/mrctl" -n "$(at)" get fourth "$DIR/part" 2>"$DIR/err" &
getter=$!
check "a get that waits" wait_for 10 begun
ctl put -q "$DIR/one" fourth --overwrite
wait $getter
code=$?
check "of what is replaced: exit 1, and why" eval '[ $code = 1 ] && says "fourth: it was replaced while it was read: begin again" && ! begun 2>/dev/null'
for how in "get gone $DIR/part" "cat gone" "head gone" "submit -m cat -i data:gone" "run -m cat -i data:gone" "run -m cat -i data:gone $DIR/one" "plan -m cat -i data:gone"; do
  check "what never was, ${how%% *}: exit 4, and why" eval "exits 4 $how && [ \"\$(cat $DIR/err)\" = 'mrctl: no dataset is named gone; see: mrctl ls' ]"
done
check "what never was, rm: exit 4, and why" eval 'exits 4 rm gone && says "no dataset is named gone; see: mrctl ls"'
ctl put -q "$DIR/again" third --split 32K
rm "$DIR"/node2/blocks/*/"$(head -c 32774 "$DIR/again" | b2sum -l 256 | cut -c 1-64)"
ctl run -m cat -i data:third >/dev/null 2>"$DIR/err" &
waiter=$!
check "and by a job that waits for them" wait_for 20 says 'waits; on node2: .*its input is bytes 0 to 32774 of .*/again (dataset third)'
kill $waiter; wait $waiter 2>/dev/null
flock_end

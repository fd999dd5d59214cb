#!/usr/bin/env bash
# mrctl debug: the archive is one that tar reads, all JSON in it parses, each node answers for itself, who is dead is in it with the
# reason, and no key is. Three nodes on loopback; one is killed on the way.
. "$(dirname "$0")/../lib/flock.sh"
flock_begin debug
for n in 1 2 3; do flock_start $n || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3
unpack() { rm -rf "$DIR/x" && mkdir "$DIR/x" && tar -xf "$1" -C "$DIR/x"; }
node() { echo "$DIR"/x/mr-debug/nodes/node"$1"-????????; }

echo "what only the dataset says" >"$DIR/secret"
ctl put -q "$DIR/secret" papers
job=$(ctl submit -q -m 'echo "what only the task says"; cat' -i papers)
check "a job is done" exits 0 wait "$job"
for n in 1 2 3; do check "and node $n knows" wait_for 20 knows $n "$job"; done

# ---- all of it ----
check "debug to a file that stdout is: exit 0" exits 0 debug
cp "$DIR/out" "$DIR/flock.tar"
check "it says what is in it and what not" says 'no keys and no data'
tar -tf "$DIR/flock.tar" >"$DIR/list" 2>"$DIR/tar.err"
check "tar lists it" [ $? = 0 ]
check "without a word" [ ! -s "$DIR/tar.err" ]
check "five files of each node, and the flock's own" [ "$(grep -c '^mr-debug/nodes/.*/' "$DIR/list") $(grep -vc '/nodes/' "$DIR/list")" = "15 6" ]
unpack "$DIR/flock.tar"
each_named() {
  local name
  while read -r name; do grep -q "$(basename "$name")" "$DIR/x/mr-debug/README.txt" || [[ $name = */README.txt ]] || return 1; done <"$DIR/list"
}
check "README.txt names each file" each_named
parses() { [ "$(find "$DIR/x" -name '*.json*' | wc -l)" -ge "$1" ] && find "$DIR/x" -name '*.json*' -exec jq -e . {} + >"$DIR/jq"; }
check "all JSON parses" parses 20
log_is_lines() { # as many objects as lines, and each line is one
  for n in 1 2 3; do
    jq -cR 'fromjson | select(type == "object" and has("sequence"))' "$(node $n)/log.jsonl" >"$DIR/jq" || return 1
    [ "$(wc -l <"$DIR/jq")" = "$(wc -l <"$(node $n)/log.jsonl")" ] && [ -s "$DIR/jq" ] || return 1
  done
}
check "a log is an object a line" log_is_lines
own() { for n in 1 2 3; do [ "$(jq -r .name "$(node "$n")/ping.json")" = "node$n" ] || return 1; done; }
check "each node answered for itself" own
sees() { for n in 1 2 3; do jq -e "length == 3" "$(node "$n")/members.json" >"$DIR/jq" && jq -e --arg job "$job" 'any(.[]; .job == $job)' "$(node "$n")/status.json" >"$DIR/jq" && jq -e 'any(.[]; .name == "papers")' "$(node "$n")/ls.json" >"$DIR/jq" && grep -q "ended $job: done" "$(node "$n")/log.jsonl" || return 1; done; }
check "and told of members, the job, the dataset, the log" sees
check "nothing is missing" [ "$(jq -c . "$DIR/x/mr-debug/missing.json")" = '[]' ]
tells() { jq -e "$2" "$DIR/x/mr-debug/$1" >"$DIR/jq"; }
check "config.json tells where a value came from" tells config.json 'any(.[]; .name == "key-file" and .origin == "MR_KEY_FILE")'

# ---- what is not in it ----
holds() { # file, hexadecimal bytes
  perl -e 'local $/; open(my $f, "<:raw", $ARGV[0]) or die; my $all = <$f>; exit(index($all, pack("H*", $ARGV[1])) < 0)' "$1" "$2"
}
raw() { perl -e 'print pack("H*", $ARGV[0])' "$1"; }
no_key() { # file
  local hex raw64 text64
  hex=$(head -n 1 "$DIR/cluster.key")
  raw64=$(raw "$hex" | base64 -w 0)
  text64=$(printf '%s' "$hex" | base64 -w 0)
  ! holds "$1" "$hex" && ! grep -aqiF -- "$hex" "$1" && ! grep -aqF -- "${raw64%%=*}" "$1" && ! grep -aqF -- "${text64%%=*}" "$1"
}
check "no key: raw, in hex, in base64" no_key "$DIR/flock.tar"
cat "$DIR/flock.tar" "$DIR/cluster.key" >"$DIR/leaky"
check "a key would have been found in hex" eval '! no_key "$DIR/leaky"'
(cat "$DIR/flock.tar" && raw "$(head -n 1 "$DIR/cluster.key")") >"$DIR/leaky"
check "and raw" eval '! no_key "$DIR/leaky"'
check "no data, no command" eval '! grep -aq "what only the" "$DIR/flock.tar"'

# ---- how it is refused, and ended ----
AT=${ADDR[1]}
script -qec "'$BUILD/mrctl' -n '$AT' debug" /dev/null >"$DIR/screen" 2>&1 </dev/null
check "to a terminal: exit 2" [ $? = 2 ]
check "and it says how else" grep -q 'mrctl debug >' "$DIR/screen"
check "no archive on the screen" eval '! grep -aq ustar "$DIR/screen"'
check "a file that cannot be made: exit 1" exits 1 debug -O "$DIR/none/flock.tar"
check "a closed pipe ends it quietly" [ "$("$BUILD/mrctl" -q -n "$AT" debug 2>"$DIR/err" | head -c 5; cat "$DIR/err")" = mr-de ]
[ ! -e /dev/full ] || { "$BUILD/mrctl" -q -n "$AT" debug >/dev/full 2>"$DIR/err"; check "a full disk: exit 1" [ $? = 1 ]; }

# ---- a node is dead ----
flock_kill 3
node_3_dead() { members_in_state dead 1; }
check "node 3 is dead" wait_for 20 node_3_dead
check "debug without node 3: exit 7" exits 7 debug -O "$DIR/less.tar"
check "stdout is empty" [ ! -s "$DIR/out" ]
check "the archive is its owner's alone" [ "$(stat -c %a "$DIR/less.tar")" = 600 ]
check "it says who is missing" says 'node3: .*it is dead'
unpack "$DIR/less.tar"
check "so does missing.json" tells missing.json 'length == 1 and .[0].node == "node3" and (.[0].why | test("dead"))'
check "of node 3 there is nothing" [ ! -e "$(node 3)" ]
check "of node 2 there is" [ -s "$(node 2)/ping.json" ]

# ---- and one hangs: found out, or dead by now; in no case does another one answer for it ----
kill -STOP "${PID[2]}"
check "debug with a node that hangs: exit 7" exits 7 debug -O "$DIR/least.tar"
unpack "$DIR/least.tar"
check "missing.json has a reason" tells missing.json 'any(.[]; .node == "node2" and .why != "" and .why != "it says nothing")'
check "of node 2 there is nothing now" [ ! -e "$(node 2)" ]
check "of node 1 there is" [ -s "$(node 1)/log.jsonl" ]
flock_end

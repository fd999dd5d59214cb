#!/usr/bin/env bash
# Inputs that all nodes share (path:): read where they lie, never stored. Three nodes on loopback with confined tasks; as root, the
# third sees another directory at the same path (a mount namespace): there the files are missing.
#
#     node1   node2            node3
#        \     /                 |
#       DIR/shared          an empty tmpfs
. "$(dirname "$0")/../lib/flock.sh"
TASKS=confined
flock_begin paths
S=$DIR/shared
mkdir "$S" "$DIR/closed"
chmod 755 "$DIR" "$S"
run() { ctl run -q "$@" >"$DIR/out" 2>"$DIR/err"; }
text "$S/text" 8 || not_ok "some text"
echo >>"$S/text"; chmod 644 "$S/text"
reference "$S/text" >"$DIR/want"
for n in 1 2; do flock_start $n || not_ok "node $n starts"; done
check "two nodes find each other" flock_whole 2
stored() { find "$DIR"/node*/blocks -type f -printf '%s\n' | awk '{s += $1} END {print s + 0}'; }
refused() { [ "$1" = 1 ] && [ ! -s "$DIR/out" ] && says "$2"; }

# ---- what they give ----
job=$(ctl submit -q -m 'printf "%s %s %s\n" "$MR_INPUT" "$MR_OFFSET" "$MR_LENGTH"; cat >/dev/null' -i "path:$S/text" --split 1M)
ctl wait -q "$job" 2>"$DIR/err"; ctl cat "$job" >"$DIR/splits"
check "several splits, each told where it is" [ "$(wc -l <"$DIR/splits")" -ge 6 ]
check "they cover the file, one behind the other" \
  eval 'awk -v s="$(stat -c %s "$S/text")" "\$2 != at {exit 1} {at += \$3} END {exit at != s}" "$DIR/splits"'
ends_lines() { while read -r _ at size; do [ "$(tail -c +$((at + size)) "$S/text" 2>/dev/null | head -c 1 | od -An -tx1 | tr -d ' ')" = 0a ] || return 1; done; }
check "each ends with a line" ends_lines <"$DIR/splits"
check "nothing of it was stored" [ "$(stored)" -lt 100000 ]
ctl rm -q "$job"
check "a map alone" run -m cat -i "path:$S/text" --split 1M
check "the same bytes" cmp -s "$DIR/out" "$S/text"
check "word count of it" run -m "$MAPPER" -r "$REDUCER" -R 2 -i "path:$S/text" --split 1M
check "equals what coreutils say" eval 'LC_ALL=C sort "$DIR/out" | cmp -s - "$DIR/want"'
check "sorted over several parts (sampled)" eval 'run -m @sort -R 3 -i "path:$S/text" && LC_ALL=C sort "$S/text" | cmp -s - "$DIR/out"'
ctl ls -o name | grep -q . && not_ok "no name of it is left" || ok "no name of it is left"
check "the command may open it by its name" eval 'run -m "cmp -n 100 \$MR_INPUT $S/text && wc -c <\$MR_INPUT" -i "path:$S/text" --split 64M'
check "and finds all of it" [ "$(cat "$DIR/out")" = "$(stat -c %s "$S/text")" ]
head -c 100000 /dev/urandom >"$S/fixed"
run -m 'wc -c' -i "path:$S/fixed" --records fixed:1000 --split 8K
check "records of 1000 bytes: whole ones in each split" eval '[ "$(wc -l <"$DIR/out")" -ge 11 ] && awk "\$1 % 1000 {exit 1}" "$DIR/out"'
mkdir "$S/three"; for n in 1 2 3; do seq $((n * 1000)) >"$S/three/$n"; done; : >"$S/three/0"
check "a directory, whole files, an empty one" eval 'run -m cat -i "path:$S/three" --records file && cat "$S"/three/* | cmp -s - "$DIR/out"'
ctl put -q "$S/three/1" numbers
check "with a dataset and a local file, in the order given" eval \
  'run -m cat -i "$S/three/3" -i "path:$S/three/2" -i data:numbers && cat "$S"/three/{3,2,1} | cmp -s - "$DIR/out"'
: >"$S/empty"
check "an empty file alone" eval 'run -m cat -i "path:$S/empty" && [ ! -s "$DIR/out" ]'
printf '[job]\nname = counted\n[stage one]\nmapper = cat\n[stage two]\nmapper = wc -l\n' >"$DIR/spec"
check "in a chain" eval 'ctl submit -q -w --spec "$DIR/spec" -i "path:$S/three" -O lines >/dev/null 2>"$DIR/err" && [ "$(ctl cat lines | awk "{s+=\$1} END {print s}")" = 6000 ]'

# ---- what can't be read ----
run -m cat -i "path:$S/absent"
check "not there for mrctl: exit 2" [ $? = 2 ]
check "the file is named, and why mrctl wants it" eval 'says "$S/absent" && says "shared with this machine"'
cp "$S/text" "$S/changing"; chmod 644 "$S/changing"
job=$(ctl submit -q -m 'sleep 1; cat' -i "path:$S/changing" --split 256K)
touch "$S/changing"
ctl wait -q "$job" 2>"$DIR/err"
check "changed after the submission: exit 1" [ $? = 1 ]
check "the file is named, and what to do" eval 'says "$S/changing" && says "submit it again"'
check "no attempt of it is charged" eval '[ "$(ctl tasks "$job" -o json | jq "[.[] | select(.state == \"failed\")] | length")" -ge 2 ]'
cp "$S/text" "$S/private"; chmod 600 "$S/private"
run -m cat -i "path:$S/private"
check "not everybody's to read: exit 1" [ $? = 1 ]
check "the file is named, and what would help" eval 'says "$S/private" && says "chmod o+r"'
run -m cat -i "path:$DIR/cluster.key"
check "the cluster key stays hidden" refused $? "read $DIR/cluster.key"
chmod 644 "$DIR/cluster.key"; ln "$DIR/cluster.key" "$S/link"
run -m cat -i "path:$S/link"
check "by another name, too" refused $? "hidden from tasks"
chmod 600 "$DIR/cluster.key"; rm "$S/link"

# ---- more maps than a reduce can be told of ----
seq 100001 >"$S/many"
ctl run -q -m cat -r cat -i "path:$S/many" --split 1 2>"$DIR/err"
check "100,001 maps before a reduce: exit 2" [ $? = 2 ]
check "it says how many may be, and what to do" eval 'says "more than 100000 blocks" && says "choose a larger --split"'
rm "$S/many"

# ---- missing at one node ----
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
  listen=127.0.0.1:$(free_port)
  : >"$DIR/3.out"
  unshare -m sh -c 'mount -t tmpfs none "$1" && shift && exec "$@"' sh "$S" "$BUILD/mrnode" -d "$DIR/node3" --name node3 \
    --listen "$listen" --slots 2 --profile local --join "${ADDR[1]}" >"$DIR/3.out" 2>>"$DIR/3.err" </dev/null &
  PID[3]=$!
  check "a third node without the path" eval 'flock_ready 3 && flock_whole 3'
  # By its own wish: so it has heard of the job before the others have done all of it.
  job=$(AT=${ADDR[3]} ctl submit -q -m 'sleep 0.3; cat' -i "path:$S/text" --split 256K)
  ctl wait -q "$job" 2>"$DIR/err"
  check "the job is done by the others" [ $? = 0 ]
  check "node 1 knows of it" wait_for 20 knows 1 "$job"
  check "the same bytes" eval 'ctl cat "$job" | cmp -s - "$S/text"'
  ctl tasks "$job" -o json >"$DIR/tasks"
  check "the third tried, said which file, and was not charged" \
    eval 'jq -e "[.[] | select(.node_name == \"node3\" and .state == \"failed\")] | length >= 1" "$DIR/tasks" >/dev/null'
  check "and left the rest to the others" \
    eval 'jq -e "[.[] | select(.node_name == \"node3\")] | length <= 8" "$DIR/tasks" >/dev/null'
  task=$(jq -r '[.[] | select(.node_name == "node3" and .state == "failed")][0].attempt' "$DIR/tasks")
  check "explain tells why" eval 'ctl explain "${task%.*}" | grep -q "shared input could not be read there"'
else
  skip "missing at one node: needs root and mount namespaces"
fi
flock_end

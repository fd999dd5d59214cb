#!/usr/bin/env bash
# Joining by names, with a name server that is silent, fails, and lies before it tells the truth.
#
#   node1 127.0.1.1 <--- node2 joins by three names and node1's address
#         ^------------- node3 joins by a name alone
#   name server 127.0.1.100: does what $DIR/mode says
#
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/flock.sh"
unshare -m true 2>/dev/null || { echo "skip netns_names: no mount namespace is to be had here (unshare -m)"; exit 0; }
command -v perl >/dev/null || { echo "skip netns_names: no perl for the name server"; exit 0; }
flock_begin names
mode() { echo "$1" >"$DIR/mode.new" && mv "$DIR/mode.new" "$DIR/mode"; }
asked() { grep -q "^$1 d.test\$" "$DIR/names.log"; } # by node 3, in this mode
mode silent
perl "$ROOT/tests/lib/names.pl" 127.0.1.100 "$DIR/mode" "$DIR/names.log" 2>"$DIR/names.err" &
PID[100]=$! ADDR[100]=127.0.1.100:53 # the last in the order: no node is asked there
check "a name server" wait_for 10 grep -q ready "$DIR/names.log"
echo 'nameserver 127.0.1.100' >"$DIR/resolv.conf"

named_start() { # N --join ...: a node that asks our name server
  local n=$1
  shift
  ADDR[$n]=127.0.1.$n:7946
  unshare -m sh -c 'mount --bind "$0/resolv.conf" /etc/resolv.conf && exec "$@"' "$DIR" \
    "$BUILD/mrnode" -d "$DIR/node$n" --name "node$n" --listen "${ADDR[$n]}" --profile local "$@" \
    >"$DIR/$n.out" 2>"$DIR/$n.err" </dev/null &
  PID[$n]=$!
  flock_ready "$n"
}
sees() { AT=${ADDR[$1]} members_in_state alive "$2"; }

net_start 1 || not_ok "node 1 starts"
named_start 2 --join a.test:7946 --join b.test --join c.test --join 127.0.1.1:7946 || not_ok "node 2 starts"
check "an address is not kept waiting by names that nobody answers" wait_for 7 sees 2 2
named_start 3 --join d.test:7946 || not_ok "node 3 starts"
check "a silent name server: it serves all the same, alone" sees 3 1
check "it was asked" wait_for 20 asked silent
check "a silent name server: SIGTERM ends a node" eval 'kill -TERM "${PID[3]}"; wait_for 15 gone "${PID[3]}"'
wait "${PID[3]}"
check "and ends it well" [ $? = 0 ]
named_start 3 --join d.test:7946
mode servfail
check "a name server that fails: asked again" wait_for 30 asked servfail
check "and it is said" wait_for 20 grep -q 'event=join_unknown host=d.test' "$DIR/3.err"
mode 127.0.1.77
check "a wrong answer: asked again" wait_for 30 asked 127.0.1.77
mode 127.0.1.1
check "the right answer at last: the flock is whole" wait_for 60 sees 3 3
flock_kill 3
ADDR[3]=127.0.1.3:7946
mode silent
check "killed: the others know" wait_for 10 all_hold 3 dead 1 2
names_asked() { grep -c "d\.test" "$DIR/names.log"; } # by node 3
before=$(names_asked)
named_start 3
check "with no name to ask for it finds those it knew" wait_for 10 all_hold 3 alive 1 2
check "and asked for no name" [ "$(names_asked)" = "$before" ]
flock_end

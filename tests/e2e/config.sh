#!/usr/bin/env bash
# Configuration files: ./mr.conf over the user's over /etc (which is not touched here), MR_* over all files, flags over those; mrctl
# config --origin says which; a malformed file is named with its line. And the first steps: mrctl init.
. "$(dirname "$0")/../lib/flock.sh"
flock_begin config
export HOME=$DIR/home
mkdir -p "$HOME/.config/mr" "$DIR/here"
unset XDG_CONFIG_HOME
cd "$DIR/here" || exit 1
mr() { "$BUILD/mrctl" "$@" 2>"$DIR/err"; }
origin() { mr config -o json "${@:2}" | jq -r --arg n "$1" '.[] | select(.name == $n) | "\(.value) \(.origin)"'; }
says() { grep -qF -- "$1" "$DIR/err"; }

check "without any file: a default" [ "$(origin replicas)" = "3 default" ]
printf '[mrctl]\nreplicas = 2\nnode = 10.0.0.1:7437\n; a comment\n[mrnode]\nslots = 3\n' >"$HOME/.config/mr/mr.conf"
check "the user's file" [ "$(origin replicas)" = "2 $HOME/.config/mr/mr.conf" ]
printf '[mrctl]\nreplicas = 5\ntimeout = 7s\n' >mr.conf
check "./mr.conf before it" [ "$(origin replicas)" = "5 ./mr.conf" ]
check "what that does not say is the user's" [ "$(origin node)" = "10.0.0.1:7437 $HOME/.config/mr/mr.conf" ]
check "MR_NODE before files" [ "$(MR_NODE=10.0.0.2 origin node)" = "10.0.0.2 MR_NODE" ]
check "a flag before all" [ "$(MR_NODE=10.0.0.2 origin node -n 10.0.0.3)" = "10.0.0.3 flag" ]
check "a duration" [ "$(origin timeout)" = "7.0s ./mr.conf" ]
check "the table has a column more" [ "$(mr config --origin | head -n 1 | awk '{print $3}')" = FROM ]

bad() { # NAME EXPECTED LINES...
  local name=$1 expected=$2
  shift 2
  printf '%s\n' "$@" >mr.conf
  mr config >/dev/null
  check "$name: exit 2" [ $? = 2 ]
  check "and the file, the line, why" says "$expected"
}
bad "an unknown name" "./mr.conf:3: replica is no option" '[mrctl]' 'node = a' 'replica = 3'
bad "an unknown section" "./mr.conf:2: [mrtcl] is none of" '[mrtcl]' 'node = a'
bad "a line that is none" "./mr.conf:2: expected: name = value" '[mrctl]' 'so it goes'
bad "a name before any section" "./mr.conf:1: node stands before" 'node = a'
bad "a value of the wrong kind" "--replicas takes a number from 1 to 8, not many" '[mrctl]' 'replicas = many'
check "--help works even so" mr --help >/dev/null
printf '[mrctl]\n' >mr.conf
chmod 666 mr.conf
mr config >/dev/null
check "a file that others may write is refused" [ "$?$(grep -c 'others may write' "$DIR/err")" = 21 ]

# mrnode reads its own section.
printf '[mrnode]\nname = fromfile\nslots = 3\nlisten = 127.0.0.1:%s\ndir = %s\n' "$(free_port)" "$DIR/node1" >mr.conf
chmod 600 mr.conf
"$BUILD/mrnode" --slots 2 --profile local >"$DIR/1.out" 2>>"$DIR/1.err" </dev/null &
PID[1]=$!
check "mrnode with no flags but one" flock_ready 1
check "takes its name from the file, and the flag before it" \
  [ "$(AT=${ADDR[1]} ctl members -o json 2>/dev/null | jq -r '.[0] | "\(.name) \(.slots)"')" = "fromfile 2" ]
printf '[mrnode]\nslot = 3\n' >mr.conf
"$BUILD/mrnode" --check >"$DIR/out" 2>"$DIR/err"
check "mrnode names a bad line, too: exit 2" [ "$?$(grep -c '^mrnode: ./mr.conf:2: slot is no option' "$DIR/err")" = 21 ]

rm -rf mr.conf "$HOME"
mkdir "$HOME"
unset MR_KEY_FILE
check "init" mr init
check "makes a key, of its owner alone" [ "$(stat -c %a "$HOME/.config/mr/cluster.key")" = 600 ]
check "and says how to go on" says 'next: start a node here'
check "and a file that says nothing yet" [ "$(mr config --origin | awk 'NR > 1 {print $3}' | sort -u)" = default ]
before=$(cat "$HOME/.config/mr/cluster.key")
check "again: nothing is overwritten" eval 'mr init && [ "$(cat "$HOME/.config/mr/cluster.key")" = "$before" ]'
flock_end

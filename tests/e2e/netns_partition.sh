#!/usr/bin/env bash
# A flock of five falls into two and three, and both sides go on: each takes jobs and ends them, and both end the one that was
# running when the network broke. Healed, all five have one state within 5 s, what had ended has ended so, and the bytes are
# right. ROUNDS=n repeats it (2), and prints how long each took.
#
#   node1 --- node2   |   node3 --- node4 --- node5
#
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/flock.sh"
flock_begin partition
for n in 1 2 3 4 5; do net_start $n || not_ok "node $n starts"; done
check "five nodes find each other" flock_whole 5

on() { local n=$1; shift; AT=${ADDR[$n]} ctl "$@"; }
digest() { on "$1" ping -o json 2>/dev/null | jq .metrics.state_digest; }
# The five nodes' state, asked at once: one line when they agree.
digests() { for n in 1 2 3 4 5; do digest $n & done | sort -u; }
agree() { [ "$(digests | wc -l)" = 1 ]; }
ended_at() { # job node: done there
  [ "$(on "$2" status "$1" -o json 2>/dev/null | jq -r .state)" = done ]
}
ended_at_all() { for job; do for n in 1 2 3 4 5; do ended_at "$job" $n || return 1; done; done; }
text "$DIR/input" 2
reference() { LC_ALL=C tr -s '[:space:]' '\n' <"$DIR/input" | LC_ALL=C sed '/^$/d' | LC_ALL=C sort | uniq -c; }
reference >"$DIR/expected"
words=(-m "tr -s '[:space:]' '\n' | sed '/^\$/d'" -r 'uniq -c')
is_right() { on "$1" cat "$2" 2>/dev/null | LC_ALL=C sort -k2 | cmp -s - "$DIR/sorted"; }
LC_ALL=C sort -k2 "$DIR/expected" >"$DIR/sorted"
check "a dataset that all five hold" on 1 put "$DIR/input" --replicas 5 "data"
have_copies() { [ "$(on 1 ls -o json | jq '.[] | select(.name == "data") | .replicas_min')" = 5 ]; }
check "five copies" wait_for 30 have_copies

# Who was held dead and back three times is degraded, and a member like the others.
whole() { [ "$(on 1 members -o json | jq '[.[] | select(.state == "alive" or .state == "degraded")] | length')" = 5 ]; }

round() {
  local both left right job before took start
  rm -f "$DIR/cut"
  both=$(on 1 submit -q -m "until [ -e '$DIR/cut' ]; do sleep 0.1; done; tr -s '[:space:]' '\n' | sed '/^\$/d'" -r 'uniq -c' -i data:data)
  know() { for n in 1 2 3 4 5; do on $n status "$both" >/dev/null 2>&1 || return 1; done; }
  check "round $1: all know a job" wait_for 20 know
  finals() { on "$1" status -o json | jq --arg l "$left" --arg r "$right" --arg b "$both" \
    '[.[] | select((.job == $l or .job == $r or .job == $b) and .final)] | length'; }
  all_final() { for n in 1 2 3 4 5; do [ "$(finals $n)" = 3 ] || return 1; done; }
  said_why() { on 1 explain "$left" --pending | grep -q 'not final yet: node[345] (dead)'; }
  net_cut '{1,2}' '{3,4,5}'
  net_cut '{3,4,5}' '{1,2}'
  touch "$DIR/cut"
  left=$(on 1 submit -q "${words[@]}" -i "$DIR/input") && right=$(on 3 submit -q "${words[@]}" -i "$DIR/input")
  check "round $1: both sides take a job" [ -n "$left" ] && [ -n "$right" ]
  check "round $1: the side of two ends its job" wait_for 60 ended_at "$left" 2
  check "round $1: the side of three ends its job" wait_for 60 ended_at "$right" 5
  check "round $1: the side of two ends the one that both have" wait_for 60 ended_at "$both" 2
  check "round $1: and so does the side of three" wait_for 60 ended_at "$both" 4
  check "round $1: nothing that ended while some were cut off is called final" [ "$(finals 1)$(finals 4)" = "00" ]
  check "round $1: and it is said who is waited for" wait_for 20 said_why
  check "round $1: the sides have different states" [ "$(digest 1)" != "$(digest 3)" ]
  for n in 1 3; do on $n status -o json | jq -c 'sort_by(.job)[] | [.job, .state]' >"$DIR/states.$n"; done
  start=$EPOCHREALTIME
  net_heal
  check "round $1: one state within 5 s of the heal" wait_for 5 agree
  took=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.2f", b - a}')
  TOOK+=("$took")
  check "round $1: all know how all ended" wait_for 20 ended_at_all "$left" "$right" "$both"
  check "round $1: all of it becomes final everywhere" wait_for 20 all_final
  on 2 status -o json | jq -c 'sort_by(.job)[] | [.job, .state]' >"$DIR/states.all"
  check "round $1: what had ended has ended so" [ "$(sort -u "$DIR/states.1" "$DIR/states.3" | comm -23 - <(sort "$DIR/states.all") | wc -l)" = 0 ]
  for job in "$left" "$right" "$both"; do
    check "round $1: the bytes of $job, on one side" is_right 1 "$job"
    check "round $1: the bytes of $job, on the other" is_right 4 "$job"
  done
  check "round $1: the flock is whole" wait_for 20 whole
}
TOOK=()
for ((i = 1; i <= ${ROUNDS:-2}; i++)); do round $i; done
echo "# one state so many seconds after the heal: $(printf '%s\n' "${TOOK[@]}" | sort -n | tr '\n' ' ')"
check "no feed has forked" [ "$(cat "$DIR"/*.err | grep -c 'fork node=')" = 0 ]
flock_end

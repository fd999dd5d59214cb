#!/usr/bin/env bash
# Who leaves hands over its blocks first: holders go one after the other, and both at once, and the bytes stay.
# The last one, and who is in a hurry, says what nobody else has. Four nodes on loopback.
. "$(dirname "$0")/../lib/flock.sh"
flock_begin leave
for n in 1 2 3 4; do flock_start $n || not_ok "node $n starts"; done
check "four nodes find each other" flock_whole 4
text "$DIR/text" 6

holders() { # of the block: their numbers
  local n
  for n in 1 2 3 4; do [ -n "$(find "$DIR/node$n/blocks" -type f -name "$1*")" ] && echo $n; done
}
blocks() { find "$DIR"/node*/blocks -type f -size +100k -printf '%f\n' | sort -u; }
whole() { # dataset
  ctl get "$1" "$DIR/got" && cmp -s "$DIR/got" "$DIR/text"
  local code=$?
  rm -f "$DIR/got"
  return $code
}
leaves() { # code, node, options...: mrctl leave ends so, and the node ends
  local code=$1 n=$2
  shift 2
  AT=${ADDR[$n]} exits "$code" leave "$@" && wait_for 20 gone "${PID[$n]}"
  local result=$?
  wait "${PID[$n]}"
  unset "PID[$n]"
  return $result
}
back() {
  local n
  for n in "$@"; do flock_start "$n" || not_ok "node $n starts again"; done
  check "$# back: the flock is whole" flock_whole 4
}

# ---- both holders at once ----
check "put with two copies" ctl put -q "$DIR/text" two --replicas 2 --split 512K
BLOCK=$(blocks | head -n 1)
has_two() { [ "$(holders "$BLOCK" | wc -l)" = 2 ]; }
check "a block is on two nodes" wait_for 15 has_two
BOTH=$(holders "$BLOCK")
for n in $BOTH; do kill -TERM "${PID[$n]}"; done
for n in $BOTH; do wait "${PID[$n]}"; check "SIGTERM to both: node $n ends with 0" [ $? = 0 ]; unset "PID[$n]"; done
check "they had nothing that nobody else has" eval 'grep -h event=handed_over "$DIR"/[1-4].err | grep -q "kept=0" && ! grep -h event=handed_over "$DIR"/[1-4].err | grep -qv "kept=0"'
check "the bytes are there" whole two
back $BOTH
check "rm" ctl rm -q two

# ---- one after the other ----
check "put with one copy" ctl put -q "$DIR/text" one --replicas 1 --split 512K
check "node 1 leaves: exit 0" leaves 0 1
check "and says that its blocks are elsewhere" says "elsewhere"
check "node 2 leaves: exit 0" leaves 0 2
check "the bytes are there" whole one
kill -STOP "${PID[4]}" # else it might be quicker
AT=${ADDR[3]} exits 7 leave --now
CODE=$?
kill -CONT "${PID[4]}"
check "node 3 leaves in a hurry: exit 7" [ $CODE = 0 ]
check "and says what it took along" says "took along [0-9]* blocks.*of one; it was to go at once"
check "it is gone" wait_for 15 gone "${PID[3]}"
wait "${PID[3]}"; unset "PID[3]"
alone() { AT=${ADDR[4]} members_in_state alive 1; }
check "node 4 is alone" wait_for 30 alone
check "node 4, the last one, leaves: exit 7" leaves 7 4
check "and says so" says "nobody stays who could take them"
back 1 2 3 4
check "they are back with the bytes" whole one
check "put with three copies" ctl put -q "$DIR/text" three --split 512K
AT=127.0.0.1:1 exits 3 leave --timeout 3s
check "who is not there does not make another one leave" flock_whole 4

# ---- all leave; one is back, alone: it works, but nothing is final to it until it has met the others ----
for n in 1 2 3 4; do
  AT=${ADDR[$n]} ctl leave --now >/dev/null 2>&1 # 0 or 7: whether all has its copies by now does not matter here
  check "node $n leaves" wait_for 15 gone "${PID[$n]}"
  wait "${PID[$n]}"; unset "PID[$n]"
done
flock_start 1 || not_ok "node 1 starts"
JOB=$(ctl submit -q -t true ::: 1 2 3)
check "alone, it takes a job" [ -n "$JOB" ]
done_alone() { [ "$(job_field "$JOB" state)" = done ]; }
check "and does it" wait_for 40 done_alone
check "what it is not final for is said" eval 'ctl explain "$JOB" --pending | grep -q "not final yet: this node had left, and has not met the flock"'
back 2 3 4
final_everywhere() { for n in 1 2 3 4; do [ "$(AT=${ADDR[$n]} job_field "$JOB" final)" = true ] || return 1; done; }
check "with the others back, it becomes final everywhere" wait_for 30 final_everywhere

# ---- two leave and are back; the others, whom they know as members, are down: what the two can do alone they do ----
kill -9 "${PID[3]}" "${PID[4]}"
wait "${PID[3]}" "${PID[4]}" 2>/dev/null
unset "PID[3]" "PID[4]"
for n in 1 2; do kill -TERM "${PID[$n]}"; done
for n in 1 2; do wait "${PID[$n]}"; unset "PID[$n]"; done
for n in 1 2; do flock_start $n || not_ok "node $n starts"; done
check "two of four are back" flock_whole 2
worked() { timeout 9 "$BUILD/mrctl" -n "${ADDR[$1]}" run -q -t echo ::: a >/dev/null; }
in_turn() { for n in 1 2 1 2 1 2; do worked $n || return 1; done; }
check "and work" wait_for 40 worked 1
check "the one does not keep the other waiting" in_turn
flock_end

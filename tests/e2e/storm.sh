#!/usr/bin/env bash
# A flock of five under a storm that is drawn from a SEED and printed: kill -9, SIGSTOP and partitions at random, while jobs
# are submitted to whoever answers. Then the sky clears: what is down starts, what is stopped goes on, the network heals. Every
# job that somebody said is safe ends as done, with the bytes that a sequential program makes; no task is committed twice, all five
# have one state; no process of a task is left, no directory of one.
#
#   node1   node2   node3   node4   node5      each under: killed | stopped | cut off, some with some
#
# ROUNDS=n storms one after the other (1), each of GUSTS strokes (8), SEED=n the first one's seed (drawn, and printed).
# A round is repeated with SEED=its number ROUNDS=1: its strokes are the same, the machine's timing is not.
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/flock.sh"
flock_begin storm
NODES=(1 2 3 4 5)
SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}
for n in "${NODES[@]}"; do net_start "$n" || not_ok "node $n starts"; done
check "five nodes find each other" flock_whole 5

on() { local n=$1; shift; AT=${ADDR[$n]} ctl "$@"; }
# A bag's results, a text's words, and tasks that give up once on the way: what is right is known before.
text "$DIR/text" 1
words=(-m "sleep 0.\$((MR_INDEX % 4 + 1)); tr -s '[:space:]' '\n' | sed '/^\$/d'" -r 'uniq -c' -R 2)
reference "$DIR/text" >"$DIR/right.words"
seq 3000 >"$DIR/numbers"
again=(-m 'sleep 0.2; [ "$MR_ATTEMPT" = 1 ] && [ $((MR_INDEX % 3)) = 0 ] && exit 75; awk "{print \$1 * 7}"' --split 2K)
awk '{print $1 * 7}' "$DIR/numbers" | LC_ALL=C sort >"$DIR/right.again"
seq 40 | awk '{print $1, 0, 0}' | LC_ALL=C sort >"$DIR/right.bag" # command, exit status, signal

declare -A STOPPED
living() { # nodes that run, in a fixed order
  local n
  for n in "${NODES[@]}"; do [ -n "${PID[$n]:-}" ] && [ -z "${STOPPED[$n]:-}" ] && echo "$n"; done
}
pick() { # of the words given, drawn
  local words=("$@")
  PICKED=${words[$((RANDOM % ${#words[@]}))]}
}

stroke_kill() {
  local up=("${!PID[@]}")
  [ ${#up[@]} -gt 3 ] || return 0 # a majority stays: who is down comes back first
  # shellcheck disable=SC2046
  pick $(printf '%s\n' "${up[@]}" | sort -n)
  say "kill -9 node$PICKED"
  unset "STOPPED[$PICKED]"
  flock_kill "$PICKED"
}
stroke_start() {
  local n
  for n in "${NODES[@]}"; do
    [ -z "${PID[$n]:-}" ] || continue
    say "start node$n"
    net_start "$n" || not_ok "$ROUND: node $n starts again"
    return
  done
}
stroke_stop() {
  local up
  mapfile -t up < <(living)
  [ ${#up[@]} -gt 2 ] || return 0
  pick "${up[@]}"
  say "stop node$PICKED"
  STOPPED[$PICKED]=1
  kill -STOP "${PID[$PICKED]}"
}
stroke_go() {
  local n
  for n in "${NODES[@]}"; do
    [ -n "${STOPPED[$n]:-}" ] || continue
    say "go on, node$n"
    unset "STOPPED[$n]"
    kill -CONT "${PID[$n]}"
    return
  done
}
stroke_cut() { # two sides, one way or both
  local mask=$((RANDOM % 30 + 1)) both=$((RANDOM % 3)) a=() b=() n
  for n in "${NODES[@]}"; do if (((mask >> (n - 1)) & 1)); then a+=("$n"); else b+=("$n"); fi; done
  say "cut ${a[*]} $([ $both = 0 ] && echo '-x' || echo 'x')-> ${b[*]}"
  net_heal
  net_cut "${a[*]}" "${b[*]}"
  [ $both = 0 ] || net_cut "${b[*]}" "${a[*]}"
}
stroke_heal() {
  say "heal"
  net_heal
}
say() { echo "#   $*"; }

# A submission that nobody could take just now is no failure: it has not been acknowledged.
submit() { # kind node
  local job
  case $1 in # kind
  words) job=$(AT=${ADDR[$2]} timeout 20 "$BUILD/mrctl" -n "$(at)" submit -q --name words "${words[@]}" --split 100K -i "$DIR/text" </dev/null) ;;
  again) job=$(AT=${ADDR[$2]} timeout 20 "$BUILD/mrctl" -n "$(at)" submit -q --name again "${again[@]}" -i "$DIR/numbers" </dev/null) ;;
  bag) job=$(seq 40 | AT=${ADDR[$2]} timeout 20 "$BUILD/mrctl" -n "$(at)" submit -q --name bag -t 'sleep 0.1; echo line {}') ;;
  esac 2>>"$DIR/submit.err"
  [ -n "$job" ] && echo "$1 $job" >>"$DIR/acknowledged"
}

clear_sky() {
  local n
  net_heal
  for n in "${NODES[@]}"; do
    if [ -n "${STOPPED[$n]:-}" ]; then kill -CONT "${PID[$n]}"; fi
    unset "STOPPED[$n]"
  done
  for n in "${NODES[@]}"; do
    [ -n "${PID[$n]:-}" ] || net_start "$n" || not_ok "$ROUND: node $n starts again"
  done
}

all_over() { # at every node every acknowledged job has ended
  local n job
  for n in "${NODES[@]}"; do
    on "$n" status -o json >"$DIR/jobs.json" 2>/dev/null || return 1
    while read -r _ job; do
      jq -e --arg j "$job" 'any(.[]; .name == $j and .state != "running")' "$DIR/jobs.json" >/dev/null || return 1
    done <"$DIR/acknowledged"
  done
}
is_done() { [ "$(on "$2" status "$1" -o json | jq -r .state)" = done ]; }
result() { # kind job node
  if [ "$1" = bag ]; then on "$3" joblog "$2" | awk -F'\t' 'NR > 1 {print $1, $7, $8}'; else on "$3" cat "$2"; fi
}
is_right() { result "$@" 2>>"$DIR/cat.err" | LC_ALL=C sort | cmp -s - "$DIR/right.$1"; }
# What the five say of a job's tasks, put together. (Of a job that has ended a node that was away may know less: the end stands
# for its tasks. It must not know otherwise.) Each task was done; of one attempt all say the same; and where the command's output
# depends on its input alone, all dones of a task are of one size: whichever was committed, it was the same. A bag's output tells times.
committed_once() { # kind job
  local n
  for n in "${NODES[@]}"; do on "$n" tasks "$2" -o json 2>/dev/null; done | jq -s 'map(map(select(.state == "done" or .state == "lost"))) | add' >"$DIR/tasks.json"
  jq -e --argjson tasks "$(on 1 status "$2" -o json | jq '.maps + .reduces')" --arg kind "$1" '
    (map(.task) | unique | length) == $tasks and
    (group_by([.attempt, .node]) | all(.[]; map([.size, .records]) | unique | length == 1)) and
    ($kind == "bag" or (group_by(.task) | all(.[]; map(.size) | unique | length == 1)))' "$DIR/tasks.json" >/dev/null ||
    { cp "$DIR/tasks.json" "$DIR/tasks.$2"; return 1; }
}
one_state() { [ "$(for n in "${NODES[@]}"; do on "$n" ping -o json 2>/dev/null | jq .metrics.state_digest; done | sort -u | wc -l)" = 1 ]; }
# What works below the test's directory, or was told to by its environment, and is no node.
orphans() {
  local p pid
  for p in /proc/[0-9]*; do
    pid=${p#/proc/}
    [[ " ${PID[*]} $$ " == *" $pid "* ]] && continue
    [[ $(readlink "$p/cwd" 2>/dev/null) == "$DIR"/node* ]] && echo "$pid $(tr '\0' ' ' <"$p/cmdline")"
  done
  for pid in $(helpers); do
    [[ " ${PID[*]} " == *" $(ps -o ppid= -p "$pid" | tr -d ' ') "* ]] || gone "$pid" || echo "$pid, an mrtask of no node"
  done
}
no_orphans() { [ -z "$(orphans)" ]; }
scratch() { find "$DIR"/node*/scratch -mindepth 1 2>/dev/null; }
no_scratch() { [ -z "$(scratch)" ]; }

round() {
  local gust kind job n strokes=(kill start stop go cut heal kill start)
  RANDOM=$((SEED % 32768))
  ROUND="seed $SEED"
  : >"$DIR/acknowledged"
  echo "# round $1: SEED=$SEED"
  for ((gust = 0; gust < ${GUSTS:-8}; gust++)); do
    kind=$(printf '%s\n' words again bag | sed -n "$((RANDOM % 3 + 1))p")
    [ -n "$(living)" ] || stroke_go # all that are left were stopped
    # shellcheck disable=SC2046
    pick $(living)
    submit "$kind" "$PICKED" &
    pick "${strokes[@]}"
    "stroke_$PICKED"
    sleep "0.$((RANDOM % 8 + 1))"
  done
  clear_sky
  for job in $(jobs -p); do [[ " ${PID[*]} " == *" $job "* ]] || wait "$job"; done
  echo "#   $(wc -l <"$DIR/acknowledged") jobs acknowledged"
  check "$ROUND: every job ends, at every node" wait_for 90 all_over
  while read -r kind job; do
    check "$ROUND: $job is done" is_done "$job" 1
    pick "${NODES[@]}"
    check "$ROUND: $job ($kind) has the right bytes, at node$PICKED" is_right "$kind" "$job" "$PICKED"
    check "$ROUND: $job: each task is committed once, and nobody says otherwise" committed_once "$kind" "$job"
  done <"$DIR/acknowledged"
  check "$ROUND: one state" wait_for 20 one_state
  check "$ROUND: no orphan process" wait_for 10 no_orphans
  check "$ROUND: no scratch is left" wait_for 10 no_scratch
  orphans; scratch
  ACKNOWLEDGED=$((ACKNOWLEDGED + $(wc -l <"$DIR/acknowledged")))
  [ $FAILED = 0 ]
}
ACKNOWLEDGED=0
for ((i = 1; i <= ${ROUNDS:-1}; i++)); do
  round $i || break # the daemons' words of the round that failed are still there (KEEP=1)
  SEED=$((SEED + 1))
done
echo "# $ACKNOWLEDGED jobs were acknowledged"
check "jobs were acknowledged in all the weather" [ $ACKNOWLEDGED -gt 0 ]
check "no feed has forked" [ "$(cat "$DIR"/*.err | grep -c 'fork node=')" = 0 ]
flock_end

# A flock of real daemons for a test: sourced, not run.
#
#   flock_begin NAME            a directory of its own under TMPDIR, a cluster key, clean-up at exit (by pid)
#   flock_start N [ARGS...]     starts node N (1, 2, ...) on a port of its own, kept when it starts again; joins through a living one
#   flock_kill N [SIGNAL]       kills it (-9) and waits until it is gone
#   ctl ARGS...                 mrctl against node $AT (default: the first living one)
#   wait_for SECONDS CMD...     until CMD succeeds; false when it does not in time
#   knows N JOB                 node N has heard of the job's end (who waited for it may have asked another one)
#   lateness_begin, lateness    milliseconds that the machine itself lost meanwhile (lateness.sh)
#   ok / not_ok NAME, check NAME CMD...    one line a case; flock_end prints the sum and decides the exit code
#
# Tasks run as who runs the test and may write in DIR, so that a test can watch them; TASKS=confined leaves them as they
# are confined by default.
#
# LAUNCH, an array: what is to start mrnode (env VARIABLE=VALUE ...).
#
# State: DIR, PID[N], ADDR[N]. Ports and directories are the test's own; nothing is killed but what was started here.
#
# Other suites run beside this one, and the machine may be slow: whatever comes later than what was waited for, if only by the
# way of a rumour to another node, is waited for, too.
set -u
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${MR_BUILD:-$ROOT/build}
. "$ROOT/tests/lib/lateness.sh"
declare -A PID ADDR
PASSED=0 FAILED=0 SKIPPED=0

flock_begin() {
  DIR=$(mktemp -d "${TMPDIR:-/tmp}/mr-$1.XXXXXX")
  trap flock_clean EXIT
  trap 'exit 130' INT TERM
  export XDG_CACHE_HOME=$DIR/cache MR_KEY_FILE=$DIR/cluster.key NO_COLOR=1
  unset MR_NODE
  ports_take
  "$BUILD/mrctl" keygen "$DIR/cluster.key" >/dev/null || { echo "not ok keygen"; exit 1; }
}

flock_clean() {
  local status=$? n
  trap - EXIT
  for n in "${!PID[@]}"; do kill -9 "${PID[$n]}" 2>/dev/null; done
  for n in "${!PID[@]}"; do wait "${PID[$n]}" 2>/dev/null; done
  rm -f "$PORTS_TAKEN"
  if [ "$status" != 0 ] && [ -n "${KEEP:-}" ]; then echo "kept: $DIR" >&2; else rm -rf "$DIR"; fi
  exit "$status"
}

flock_seed() { # the address of a living node other than $1
  local n
  for n in $(printf '%s\n' "${!PID[@]}" | sort -n); do
    [ "$n" != "$1" ] && lives "${PID[$n]}" && { echo "${ADDR[$n]}"; return; }
  done
}

# Waits for the line "ready ..." of node N; sets ADDR[N].
flock_ready() {
  local n=$1 line end=$((SECONDS + 60 * ${PATIENCE:-1}))
  until line=$(grep -m1 '^ready ' "$DIR/$n.out" 2>/dev/null); do
    lives "${PID[$n]}" && [ $SECONDS -le $end ] || break
    sleep 0.05
  done
  [ -n "${line:-}" ] || { echo "# node $n did not start: $(tail -n 3 "$DIR/$n.err")" >&2; return 1; }
  ADDR[$n]=$(printf '%s' "$line" | sed 's/.*listen=\([^ ]*\).*/\1/')
}

# A hundred ports for this suite alone, below those that the kernel gives to connections: nobody else may take the one of a
# node that is down. Who has which is in a directory of the user's; what a suite that is no more has left there is taken over.
ports_take() {
  local low owner dir="/tmp/mr-ports.$UID" i block
  read -r low _ </proc/sys/net/ipv4/ip_local_port_range
  PORTS=20000
  [ "$low" -lt 32000 ] && [ "$low" -gt 13024 ] && PORTS=$((low - 12000))
  PORTS_TAKEN= block=$(($$ % 120))
  if mkdir -p "$dir" && { exec {lock}>"$dir/lock"; } 2>/dev/null && flock "$lock"; then # else, in a user namespace, by luck
    for ((i = 0; i < 120; i++, block = (block + 1) % 120)); do
      read -r owner 2>/dev/null <"$dir/$block" && [ -d "/proc/$owner" ] || break
    done
    PORTS_TAKEN=$dir/$block
    echo $$ >"$PORTS_TAKEN"
    exec {lock}>&-
  fi
  PORTS=$((PORTS + 100 * block))
}
free_port() {
  local port
  while :; do
    port=$((PORTS + RANDOM % 100))
    [[ " ${ADDR[*]} " == *":$port "* ]] && continue
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

flock_start() {
  local n=$1 seed listen=127.0.0.1:$(free_port) tasks=(--task-user own --task-write "$DIR")
  [ "${TASKS:-}" = confined ] && tasks=()
  shift
  seed=$(flock_seed "$n")
  [ -n "${ADDR[$n]:-}" ] && listen=${ADDR[$n]}
  : >"$DIR/$n.out"
  ${LAUNCH[@]+"${LAUNCH[@]}"} "$BUILD/mrnode" -d "$DIR/node$n" --name "node$n" --listen "$listen" --slots "${SLOTS:-2}" --profile local \
    ${seed:+--join "$seed"} "${tasks[@]}" "$@" >"$DIR/$n.out" 2>>"$DIR/$n.err" </dev/null &
  PID[$n]=$!
  flock_ready "$n"
}

flock_kill() {
  kill "-${2:-9}" "${PID[$1]}" 2>/dev/null
  wait "${PID[$1]}" 2>/dev/null
  unset "PID[$1]"
}

# Lives: a zombie, not waited for yet, does not.
lives() { [ -n "${1:-}" ] && [ "$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -c1)" != Z ] && kill -0 "$1" 2>/dev/null; }
gone() { ! lives "$1"; }

at() { echo "${AT:-$(flock_seed none)}"; }
ctl() { timeout 290 "$BUILD/mrctl" -n "$(at)" "$@"; }

# mrctl ends with this code; what it printed is in $DIR/out and $DIR/err.
exits() { # code, args...
  local code=$1
  shift
  ctl "$@" >"$DIR/out" 2>"$DIR/err"
  [ $? = "$code" ]
}
# Its stderr has this.
says() { grep -q -- "$1" "$DIR/err"; }

# SECONDS counts whole ones: more than the limit is at least the limit. Where a look takes long, it is given as many looks as a
# quick machine would, up to three times the time.
wait_for() {
  local seconds=$(($1 * ${PATIENCE:-1})) looks=0 end
  end=$((SECONDS + seconds))
  shift
  until "$@" >/dev/null 2>&1; do
    looks=$((looks + 1))
    [ $SECONDS -gt $end ] && [ $looks -ge $((4 * seconds)) -o $SECONDS -gt $((end + 2 * seconds)) ] && return 1
    sleep 0.1
  done
}

members_in_state() {
  [ "$(ctl members -o json 2>/dev/null | jq --arg s "$1" '[.[] | select(.state == $s)] | length')" = "$2" ]
}
flock_whole() { wait_for 30 members_in_state alive "$1"; }

job_field() { ctl status "$1" -o json | jq -r ".$2"; }
knows() { [[ $(AT=${ADDR[$1]} job_field "$2" state) =~ ^(done|failed|killed)$ ]]; }
job_at_least() { [ "$(job_field "$1" "$2" 2>/dev/null || echo 0)" -ge "$3" ]; }

ok() { echo "ok $*"; PASSED=$((PASSED + 1)); }
not_ok() { echo "not ok $*"; FAILED=$((FAILED + 1)); }
skip() { echo "skip $*"; SKIPPED=$((SKIPPED + 1)); }
check() { local name=$1; shift; if "$@"; then ok "$name"; else not_ok "$name"; fi; }

# What a sanitizer or an assertion says goes to the daemon's stderr; a test that kills daemons would not notice.
daemons_sound() { ! grep -E "Sanitizer|runtime error:|Assertion" "$DIR"/[0-9]*.err; }

flock_end() {
  check "no daemon tripped over an assertion or a sanitizer" daemons_sound
  echo "$PASSED passed, $FAILED failed"
  [ "$FAILED" = 0 ]
  exit
}

# mrtasks of this test's nodes: they wait for attempts, or work on one, and then have children.
helpers() { pgrep -f "mrtask --serve .*--hide $DIR/"; }
working() {
  local p
  for p in $(helpers); do pgrep -P "$p" >/dev/null && echo "$p"; done
}
# No process of this test is left but its nodes and what waits for them.
no_tasks_left() {
  local p
  [ -z "$(working)" ] || return 1
  for p in $(helpers); do [[ " ${PID[*]} " == *" $(ps -o ppid= -p "$p" | tr -d ' ') "* ]] || gone "$p" || return 1; done
}

# text FILE MEGABYTES: that much real text, as every Debian system carries it (licences, documentation, headers).
text() {
  local want=$(($2 * 1048576))
  find /usr/share/common-licenses /usr/share/doc /usr/share/perl /usr/share/perl5 /usr/include /usr/lib/python3* \
    /usr/share/misc -type f \( -name '*.txt' -o -name 'copyright' -o -name '*.p[mlo]' -o -name '*.pod' -o -name '*.h' \
    -o -name '*.py' -o -path '*common-licenses*' \) -print0 2>/dev/null | sort -z | xargs -0 cat 2>/dev/null |
    head -c "$want" >"$1"
  [ -s "$1" ] || return 1
  while [ "$(stat -c %s "$1")" -lt "$want" ]; do
    head -c $((want - $(stat -c %s "$1"))) "$1" >"$1.more"
    cat "$1.more" >>"$1"
  done
  rm -f "$1.more"
}

MAPPER="tr -s '[:space:]' '\n' | sed '/^\$/d'"
REDUCER='uniq -c'
# What coreutils says of the same input.
reference() { LC_ALL=C tr -s '[:space:]' '\n' <"$1" | LC_ALL=C sed '/^$/d' | LC_ALL=C sort | uniq -c | LC_ALL=C sort; }

#!/bin/bash
# One attempt of one task, driven from outside: what mrtask makes of commands, friendly and hostile.
#
#   taskspec write ──> DIR/spec ──> mrtask DIR ──> DIR/output, DIR/result ──> taskspec result
#
# Each case prints "ok name" or "not ok name". Uses $MRTASK and $TASKSPEC (default: those in MR_BUILD), and
# as root a small tmpfs for the full disk.
set -u -o pipefail
export LC_ALL=C
BUILD=${MR_BUILD:-build}
MRTASK=${MRTASK:-$BUILD/mrtask}
TASKSPEC=${TASKSPEC:-$BUILD/lib/taskspec}
MRTASK=$(realpath "$MRTASK") && TASKSPEC=$(realpath "$TASKSPEC") || exit 2
TOP=$(mktemp -d) || exit 2
passed=0 failed=0
MARK=4242$$ # seconds that our sleeping strays sleep: how we find them again

cleanup() {
    umount "$TOP/small" 2>/dev/null
    rm -rf "$TOP"
}
trap cleanup EXIT

check() { # name, then a command that must succeed
    local name=$1
    shift
    if "$@"; then
        echo "ok $name"
        passed=$((passed + 1))
    else
        echo "not ok $name"
        failed=$((failed + 1))
        sed 's/^/# /' "$TOP/told" 2>/dev/null | cut -c 1-200 | head -12
    fi
}

DIR=$TOP
. "$(dirname "$0")/../lib/lateness.sh"
D=
fresh() { D=$(mktemp -d "$TOP/attempt.XXXXXX"); }
# run key=value ...: an attempt in a fresh directory $D; its result in $TOP/told
run() {
    fresh
    "$TASKSPEC" write "$D/spec" "$@" && attempt
}
attempt() { "$MRTASK" "$D" && "$TASKSPEC" result "$D/result" >"$TOP/told"; }
is() { [ "$(sed -n "s/^$1=//p" "$TOP/told" | head -1)" = "$2" ]; }
timed() { # run...: LATE, what the machine itself lost meanwhile
    lateness_begin
    "$@"
    local status=$?
    LATE=$(lateness)
    return $status
}
within() { # milliseconds: it ended, but for LATE
    at_most elapsed_ms $(($1 + LATE))
}
at_most() { [ "$(sed -n "s/^$1=//p" "$TOP/told" | head -1)" -le "$2" ]; }
segments() { "$TASKSPEC" records "$1/output"; } # DIR: the records of each segment, one after the other
part_of() { # DIR, partition: PATH:OFFSET:SIZE
    "$TASKSPEC" segments "$1/output" | sed -n "$(($2 + 1))p" | {
        read -r offset size && echo "part=$1/output:$offset:$size"
    }
}
has_strays() { pgrep -f "sleep $MARK" >/dev/null; }
no_strays() { ! has_strays; }
wait_for() { # a condition, 5 s at most
    local i
    for i in $(seq 100); do eval "$1" && return 0; sleep 0.05; done
    return 1
}

# ---- the right bytes ----

awk 'BEGIN { srand(7); for (i = 0; i < 20000; i++) { n = int(rand() * 12); line = "";
    for (j = 0; j < n; j++)
        line = line sprintf("w%d%s", int(1000 * rand() * rand()), rand() < 0.2 ? "\t" : " ");
    print line } }' >"$TOP/text"
WORDS="tr -s '[:space:]' '\n' | sed '/^\$/d'"
size=$(stat -c %s "$TOP/text")
tr -s '[:space:]' '\n' <"$TOP/text" | sed '/^$/d' | sort | uniq -c | sort >"$TOP/expected"

word_count() { # extra keys for the maps
    local half one two p
    half=$(head -n 10000 "$TOP/text" | wc -c)
    run kind=map "command=$WORDS" partitions=3 part="$TOP/text:0:$half" "$@" || return 1
    one=$D
    run kind=map "command=$WORDS" partitions=3 part="$TOP/text:$half:$((size - half))" "$@" ||
        return 1
    two=$D
    for p in 0 1 2; do
        run kind=reduce "command=${REDUCE:-uniq -c}" "$(part_of "$one" $p)" \
            "$(part_of "$two" $p)" || return 1
        is outcome done && is digest "$("$TASKSPEC" digest "$D/output")" || return 1
        cat "$D/output"
    done >"$TOP/counted"
    sort "$TOP/counted" | cmp - "$TOP/expected"
}
check "word count equals coreutils" word_count
check "word count equals coreutils with a tiny memory" word_count memory=20000
REDUCE="awk '{n[\$1] += \$2} END {for (w in n) printf \"%7d %s\\n\", n[w], w}'" \
    check "word count with a combiner" word_count "combiner=uniq -c | awk '{print \$2 \"\\t\" \$1}'"

wordcount_built_in() {
    run kind=map command=@wordcount combiner=@wordcount partitions=1 input="$TOP/text" \
        memory=100000 || return 1
    local map=$D
    run kind=reduce command=@wordcount "$(part_of "$map" 0)" || return 1
    awk -F '\t' '{printf "%7d %s\n", $2, $1}' "$D/output" | sort | cmp - "$TOP/expected"
}
check "@wordcount equals coreutils" wordcount_built_in
at_sort() {
    run kind=map command=@sort partitions=1 input="$TOP/text" memory=30000 || return 1
    segments "$D" >"$TOP/sorted" && sort "$TOP/text" | cmp - "$TOP/sorted" || return 1
    run kind=reduce command=@sort "$(part_of "$D" 0)" && cmp "$D/output" "$TOP/sorted"
}
check "@sort equals sort" at_sort
sort_n() {
    awk 'BEGIN { srand(3); for (i = 0; i < 5000; i++) printf "%s%d.%d\t%d\n",
        rand() < 0.3 ? "-" : "", rand() * 1000, rand() * 100, i }' >"$TOP/numbers"
    run kind=map command=cat sort=numeric partitions=1 input="$TOP/numbers" memory=9000 || return 1
    segments "$D" >"$TOP/sorted" &&
        sort -s -t '	' -k 1,1n -k 1,1 "$TOP/numbers" | cmp - "$TOP/sorted"
}
check "numeric order is that of sort -n" sort_n
check "keys are sorted and equal keys keep their order" eval '
    run kind=map command=cat partitions=1 input="$TOP/text" memory=50000 &&
    segments "$D" >"$TOP/sorted" && sort -s -t "	" -k 1,1 "$TOP/text" | cmp - "$TOP/sorted"'
check "map only: the bytes as printed" eval 'run kind=map command=cat part="$TOP/text:100:5000" &&
    head -c 5100 "$TOP/text" | tail -c 5000 | cmp - "$D/output" && is input_size 5000 &&
    is digest "$("$TASKSPEC" digest "$D/output")"'

merge_many() { # more inputs than may be open at once
    local i parts=()
    for i in $(seq 600); do
        awk -v i="$i" 'NR % 600 == i - 1' "$TOP/text" | sort -s -t '	' -k 1,1 >"$TOP/many.$i"
        "$TASKSPEC" segment "$TOP/many.$i" >"$TOP/many.$i.s"
        parts+=("input=$TOP/many.$i.s")
    done
    run kind=reduce command= memory=100000 "${parts[@]}" || return 1
    for i in $(seq 600); do cat "$TOP/many.$i"; done | sort -s -t '	' -k 1,1 |
        cmp - "$D/output" && is records 20000
}
check "a reduce of 600 inputs, identity" merge_many

: >"$TOP/empty"
check "empty input, map" eval 'run kind=map command=cat partitions=2 input="$TOP/empty" &&
    is outcome done && is records 0 && segments "$D" | cmp - "$TOP/empty"'
check "empty input, reduce runs once" eval 'run kind=reduce "command=cat; echo once" &&
    [ "$(cat "$D/output")" = once ]'
printf 'b\na' >"$TOP/unended"
check "no final newline" eval 'run kind=map command=cat partitions=1 input="$TOP/unended" &&
    [ "$(segments "$D" | od -c -A n | tr -d " ")" = "a\nb\n" ] && is records 2'
head -c 50000000 /dev/zero | tr '\0' 'x' >"$TOP/long"
printf '\tv\nshort\n' >>"$TOP/long"
check "a 50 MB line" eval 'run kind=map command=cat partitions=1 input="$TOP/long" memory=60000000 &&
    is records 2 && segments "$D" >"$TOP/sorted" && head -n 1 "$TOP/sorted" | grep -qx short &&
    tail -n +2 "$TOP/sorted" | cmp - <(head -n 1 "$TOP/long")'
rm -f "$TOP/long"
head -c 3000000 /dev/urandom >"$TOP/binary"
echo >>"$TOP/binary"
check "binary bytes" eval '
    run kind=map command=cat partitions=1 input="$TOP/binary" memory=200000 &&
    segments "$D" >"$TOP/sorted" &&
    sort -s -t "	" -k 1,1 "$TOP/binary" | cmp - "$TOP/sorted"'

# ---- how it ends ----

check "exit 1" eval 'run kind=map "command=echo oh >&2; exit 1" && is outcome exited &&
    is status 1 && is text "exit status 1" && is log oh && [ ! -e "$D/output" ]'
check "exit 3 is fine when listed" eval 'run kind=map "command=exit 3" ok=2,3 && is outcome done'
check "exit 75 is to be tried again" eval 'run kind=map "command=exit 75" &&
    is outcome again && is status 75'
check "a signal" eval 'run kind=map "command=kill -SEGV \$\$" && is outcome signaled &&
    is status 139 && is text "killed by signal 11 (SIGSEGV)"'
check "a missing command" eval 'run kind=map command=no-such-command && is outcome exited &&
    is status 127 && grep -q "not found" "$TOP/told"'
check "a failing combiner is named" eval 'run kind=map command=cat "combiner=exit 4" partitions=1 \
    input="$TOP/unended" && is text "combiner: exit status 4"'
# Each page's checksum is right: it is that of what somebody stored. The map's own digest tells that it is not what it printed.
sort "$TOP/text" | tail -n 1000 >"$TOP/sorted"; sed '500s/$/_/' "$TOP/sorted" >"$TOP/altered"
"$TASKSPEC" segment "$TOP/sorted" >"$TOP/sorted.s"; "$TASKSPEC" segment "$TOP/altered" >"$TOP/altered.s"
records=records=$(b2sum -l 256 "$TOP/sorted" | cut -c 1-64)
check "records that are those of their map" eval 'run kind=reduce command=cat input="$TOP/sorted.s" "$records" && is outcome done &&
    cmp -s "$D/output" "$TOP/sorted"'
check "records that are not are an input that is missing, whatever they were stored with" eval 'run kind=reduce command=cat \
    input="$TOP/sorted.s" input="$TOP/altered.s" "$records" "$records" && is outcome input-missing && is status 2 && [ ! -e "$D/output" ]'
check "also when there are more than one merge takes" eval 'run kind=reduce command=cat memory=100000 $(for i in $(seq 300); do echo "input=$TOP/sorted.s" "$records"; done) \
    input="$TOP/altered.s" "$records" && is outcome input-missing && is status 301'
check "who knows not of all is refused" eval '! run kind=reduce command=cat input="$TOP/sorted.s" input="$TOP/sorted.s" "$records" 2>/dev/null'
has_text() { sed -n 's/^text=//p' "$TOP/told" | head -1 | grep -qF -- "$1"; }
seq 100000 >"$TOP/counted"
check "how far a command had read is told, of the file and to the byte, and where that line begins" \
    eval 'run kind=map "command=head -c 300004 >/dev/null; exit 3" env=MR_INPUT=/data/x env=MR_OFFSET=1000 \
    input="$TOP/counted" && is text "exit status 3, when it had read up to byte 301004 of /data/x; the line there begins at byte 301000"'
check "all of it" eval 'run kind=map "command=cat >/dev/null; exit 3" input="$TOP/counted" &&
    is text "exit status 3, when it had read up to byte 588895 of its input; the line there begins at byte 588888"'
check "a command that was killed while it read" eval 'run kind=map "command=head -c 10 >/dev/null; kill -KILL \$\$" \
    input="$TOP/counted" && has_text "(SIGKILL), when it had read up to byte 10 of its input; the line there begins at byte 8"'
check "one line of NUL bytes, without an end" eval 'head -c 3000000 /dev/zero >"$TOP/zeros" &&
    run kind=map "command=head -c 2500000 >/dev/null; exit 3" input="$TOP/zeros" &&
    is text "exit status 3, when it had read up to byte 2500000 of its input"'
check "of sorted records the key nearby" eval 'run kind=map command=cat partitions=1 input="$TOP/counted" && part=$(part_of "$D" 0) &&
    run kind=reduce "command=head -c 70 >/dev/null; exit 3" "$part" && has_text "exit status 3, when it had read 70 bytes of its records, behind the key"'
printf 'a\t1\nkey\001\tsome\n' >"$TOP/unsummed"
check "@wordcount names the record, its offset, key and value" eval 'run kind=map command=cat partitions=1 input="$TOP/unsummed" &&
    part=$(part_of "$D" 0) && run kind=reduce command=@wordcount "$part" && is status 1 &&
    has_text "record 2, at byte 4 of the sorted records, has the key '"'key\\x01'"' and the value '"'some'"'"'
check "a partitioner that gives no number: which record, where, what it said" eval 'run kind=map command=cat partitions=3 partition=command \
    env=MR_PARTITIONER="sed s/7/seven/" input="$TOP/text" && is status 1 && has_text "partitioner: record " && has_text " at byte "'
check "an unknown built-in" eval 'run kind=map command=@nonsense && is outcome exited'
check "a missing input" eval 'run kind=map command=cat part="$TOP/gone:0:7" &&
    is outcome input-missing &&
    is text "cannot read $TOP/gone: No such file or directory"'
check "an input that is too short" eval 'run kind=map command=cat part="$TOP/unended:0:7" &&
    is outcome input-missing'
check "a mapper that stops reading is done" eval 'run kind=map "command=head -n 1" partitions=1 \
    input="$TOP/text" && is outcome done && is records 1'
check "a command that closes stdout is waited for" eval 'run kind=map \
    "command=echo a; exec >&-; sleep 0.5; echo late >&2" && is outcome done && is log late'
check "too much output" eval 'run kind=map command=yes output_max=1000000 && is outcome too-big &&
    [ ! -e "$D/output" ]'
check "timeout" eval 'timed run kind=map "command=sleep $MARK" timeout_ms=300 && is outcome timed-out &&
    is text "timed out after 0.3 s" && within 1500 && no_strays'
check "timeout of one that ignores SIGTERM" eval 'timed run kind=map \
    "command=trap : TERM; while :; do sleep $MARK; done" timeout_ms=300 && is outcome timed-out &&
    within 3300 && no_strays'
check "timeout of one that prints for ever" eval 'timed run kind=map command=yes partitions=2 \
    memory=1000000 timeout_ms=500 && is outcome timed-out && within 3000'

# ---- stderr ----

check "stderr for ever does not grow" eval 'run kind=map "command=yes gibberish >&2" \
    timeout_ms=700 && is outcome timed-out && at_most log_size 65536 && is log gibberish'
check "the log is its end, cut at a line" eval 'run kind=map "command=seq 1 50000 >&2" &&
    at_most log_size 65536 && grep -qx 50000 "$TOP/told" &&
    [ "$(sed -n "s/^log=//p" "$TOP/told")" -gt 30000 ]'
printf 'reporter:counter:g,a b,2\nheard\nreporter:status:half way\nreporter:counter:g,a b,3\n%s\n' \
    'reporter:counter:g,c,1' >"$TOP/reports"
check "counters and status" eval 'run kind=map "command=cat >&2" input="$TOP/reports" &&
    is log heard && is counter "g,a b,5" && is text "half way" &&
    [ "$(grep -c ^counter= "$TOP/told")" = 2 ]'

# ---- its world ----

check "its environment" eval '
    SECRET=1 run kind=map "command=env | sort" env=MR_JOB=j env=PATH=/bin &&
    printf "%s\n" HOME=$D/work LC_ALL=C MR_JOB=j PATH=/bin PWD=$D/work TMPDIR=$D/work |
    cmp - "$D/output"'
check "its directory, descriptors and umask" eval 'run kind=map \
    "command=pwd; cd /proc/self/fd && echo *; umask; ulimit -c" 9<"$TOP/text" &&
    printf "%s/work\n0 1 2 3\n0077\n0\n" "$D" | cmp - "$D/output"'
check "no new privileges" eval 'run kind=map "command=grep NoNewPrivs /proc/self/status" &&
    grep -q 1 "$D/output"'

# Whoever started mrtask ignored some. (32 and 33 are the C library's own, and may come to us ignored: nobody can change that.)
as_usual() {
    fresh
    "$TASKSPEC" write "$D/spec" kind=map "command=grep -E 'SigIgn|SigBlk' /proc/self/status"
    (trap '' HUP INT QUIT PIPE USR1 CHLD TSTP; attempt) && [ "$(grep -cE ':.(0000000000000000|0000000180000000)$' "$D/output")" = 2 ]
}
check "its signals are as usual" as_usual

# ---- nothing stays behind ----

check "a double fork with setsid is gone" eval 'timed run kind=map \
    "command=(setsid sleep $MARK >/dev/null 2>&1 &)
        (setsid sh -c \"sleep $MARK & sleep $MARK\" &); echo a" &&
    is outcome done && within 1000 && no_strays && [ "$(cat "$D/output")" = a ]'
check "a child that holds the pipe is not waited for" eval '
    timed run kind=map "command=sleep $MARK & echo a" &&
    is outcome done && within 1000 && no_strays && [ "$(cat "$D/output")" = a ]'
# For 200 ms, which a machine may stand still.
nearly_done() {
    run kind=map "command=(sleep 0.05; echo b) & echo a" && [ "$(cat "$D/output")" = "a
b" ]
}
check "a child that is nearly done is waited for" eval 'nearly_done || nearly_done || nearly_done'
check "a slow outflow loses nothing" eval 'run kind=map \
    "command=seq 1 3000000" partitions=2 memory=4000000 && is records 3000000'
check "a fork bomb of 200 is gone" eval 'run kind=map \
    "command=for i in \$(seq 200); do (setsid sleep $MARK &) ; done" &&
    is outcome done && no_strays'

terminated() { # command, most milliseconds
    fresh
    "$TASKSPEC" write "$D/spec" kind=map "command=$1"
    "$MRTASK" "$D" &
    local pid=$! started took late
    wait_for has_strays || return 1
    lateness_begin
    started=$(date +%s%3N)
    kill -TERM $pid
    wait $pid
    local status=$?
    took=$(($(date +%s%3N) - started)) late=$(lateness)
    "$TASKSPEC" result "$D/result" >"$TOP/told"
    [ $status = 0 ] && is outcome killed && [ $((took - late)) -le "$2" ] && no_strays
}
check "SIGTERM" terminated "sleep $MARK" 1000
check "SIGTERM, and the command ignores it" terminated "trap '' TERM; sleep $MARK; sleep $MARK" 3000
check "SIGTERM, and a stray ignores it" terminated \
    "trap '' TERM; setsid sleep $MARK & sleep $MARK" 3000

orphaned() { # its parent is killed with SIGKILL
    fresh
    "$TASKSPEC" write "$D/spec" kind=map \
        "command=trap '' TERM; (setsid sleep $MARK &); sleep $MARK; sleep $MARK"
    sh -c "\"$MRTASK\" \"$D\"; exit \$?" &
    local pid=$!
    wait_for has_strays || return 1
    kill -KILL $pid
    wait $pid 2>/dev/null
    wait_for no_strays && wait_for "! pgrep -f \"$MRTASK $D\" >/dev/null"
}
check "kill -9 of the parent leaves nothing" orphaned

# ---- a full disk ----

full_disk() { # more keys
    rm -rf "$TOP/small/d"
    mkdir "$TOP/small/d" && D=$TOP/small/d
    "$TASKSPEC" write "$D/spec" kind=map "$@" && attempt && is outcome "${OUTCOME:-too-big}"
}
mkdir "$TOP/small"
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=2m tmpfs "$TOP/small" 2>/dev/null; then
    check "a full disk, output" eval 'full_disk command=yes &&
        is text "killed: it was filling the disk (2 MiB)"'
    check "a full disk, runs" eval 'full_disk command=yes partitions=2 memory=100000 &&
        is text "killed: it was filling the disk (2 MiB)" && [ ! -e "$D/runs" ]'
    check "a full disk, the end of a map" eval '
        full_disk "command=head -c 3000000 /dev/urandom | base64" partitions=1 &&
        is text "its output fills the disk (2 MiB)"'
    head -c 2000000 /dev/zero >"$TOP/small/others"
    OUTCOME=disk check "a disk that others filled" eval '
        full_disk "command=yes | head -c 300000" &&
        is text "cannot write output: No space left on device"'
else
    echo "skipped: a full disk (needs root and tmpfs)"
fi

# ---- misuse ----

refuses() { # exit code, arguments: one line on stderr
    local code=$1
    shift
    "$MRTASK" "$@" >/dev/null 2>"$TOP/told"
    [ $? = "$code" ] && [ "$(wc -l <"$TOP/told")" = 1 ]
}
check "no directory" refuses 2
check "an unknown option" refuses 2 --nonsense
check "a directory that is not there" refuses 1 "$TOP/nowhere"
check "no spec" eval 'fresh; refuses 1 "$D"'
check "a damaged spec" eval 'fresh; head -c 99 /dev/urandom >"$D/spec"; refuses 1 "$D"'
check "--help and --version" eval '"$MRTASK" --help | grep -q usage &&
    "$MRTASK" --version | grep -q mrtask'

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]

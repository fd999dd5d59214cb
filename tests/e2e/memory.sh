#!/usr/bin/env bash
# The memory that a task takes for sorting and merging is the budget that it was given (--mem), whatever the data: a huge
# key, long keys, long records, many inputs. Peaks are the kernel's (VmHWM of mrtask), looked at until each task ends.
# PAIRS=10000000 for the size of the promise.
set -u -o pipefail
export LC_ALL=C
BUILD=${MR_BUILD:-build}
MRTASK=$(realpath "$BUILD/mrtask") && TASKSPEC=$(realpath "$BUILD/lib/taskspec") || exit 2
TOP=$(mktemp -d) || exit 2
trap 'rm -rf "$TOP"' EXIT
pairs=${PAIRS:-300000}
passed=0 failed=0
check() {
  local name=$1
  shift
  if "$@"; then echo "ok $name"; passed=$((passed + 1)); else echo "not ok $name"; failed=$((failed + 1)); fi
}
# task PEAK_FILE key=value ...: runs an attempt in $D; its peak in kilobytes goes to $peak
task() {
  local now
  D=$(mktemp -d "$TOP/attempt.XXXXXX")
  "$TASKSPEC" write "$D/spec" "$@" || return 1
  "$MRTASK" "$D" &
  local pid=$!
  peak=0
  while now=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status" 2>/dev/null) && [ -n "$now" ]; do
    peak=$now
    sleep 0.02
  done
  wait $pid && "$TASKSPEC" result "$D/result" | grep -qx outcome=done
}
# What is not for sorting: the program, libraries, buffers of pipes, a page and its compressor.
FIXED=${FIXED:-6000}
within() { # budget in kilobytes (a sanitizer's own memory is allowed for by RSS_LIMIT)
  echo "# peak $peak kB of $1 kB + $FIXED kB"
  [ "$peak" -le "${RSS_LIMIT:-$(($1 + FIXED))}" ]
}
part_of() { "$TASKSPEC" segments "$1/output" | sed -n "$(($2 + 1))p" | { read -r offset size && echo "part=$1/output:$offset:$size"; }; }

seq 1 "$pairs" | awk '{print "key\t" $1}' >"$TOP/pairs"
check "a map of $pairs values of one key, 4 MB: it sorts with spills" task kind=map command=@cat partitions=2 memory=4000000 input="$TOP/pairs"
check "within its budget" within 4000
map=$D
check "a reduce of one key with $pairs values, 4 MB: it streams" task kind=reduce command=@cat memory=4000000 \
  "$(part_of "$map" 0)" "$(part_of "$map" 1)"
check "within its budget" within 4000
check "the values come in order" cmp "$D/output" "$TOP/pairs"

awk 'BEGIN {srand(2); for (i = 0; i < 40; i++) {s = ""; for (j = 0; j < 10; j++) s = s int(rand() * 10); printf "%s", s
  for (j = 0; j < 100000; j++) printf "0123456789"; print "\tv" i}}' >"$TOP/long"
check "keys of 1 MB, 8 MB" task kind=map command=@cat partitions=1 memory=8000000 input="$TOP/long"
check "within its budget" within 8000
check "sorted as sort does" cmp <("$TASKSPEC" records "$D/output") <(sort -s -t "$(printf '\t')" -k 1,1 "$TOP/long")
parts=()
for i in $(seq 40); do
  sed -n "${i}p" "$TOP/long" >"$TOP/one"
  "$TASKSPEC" segment "$TOP/one" >"$TOP/long.$i"
  parts+=("input=$TOP/long.$i")
done
check "a merge of 40 segments of a 1 MB key each, 8 MB" task kind=reduce command=@cat memory=8000000 "${parts[@]}"
check "within its budget" within 8000
check "sorted as sort does" cmp "$D/output" <(sort -s -t "$(printf '\t')" -k 1,1 "$TOP/long")

parts=()
(cd "$TOP" && split -n r/300 -a 3 pairs many.)
for file in "$TOP"/many.*; do
  "$TASKSPEC" segment "$file" >"$file-s"
  parts+=("input=$file-s")
done
check "a merge of 300 segments, 4 MB" task kind=reduce command=@cat memory=4000000 "${parts[@]}"
check "within its budget" within 4000
check "no record is lost" [ "$(wc -l <"$D/output")" = "$pairs" ]
printf 'a\000b\t1\na\t2\na\000a\t3\n\000\t4\n' >"$TOP/nul"
check "NUL bytes in keys" task kind=map command=@cat partitions=1 input="$TOP/nul"
check "sorted by bytes" cmp <("$TASKSPEC" records "$D/output") <(printf '\000\t4\na\t2\na\000a\t3\na\000b\t1\n')
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]

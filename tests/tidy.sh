#!/usr/bin/env bash
# Style is a test: layers, purity of the core, sizes, banned words. Prints "ok ..." or "not ok ..." a rule.
# Usage: tests/tidy.sh [BUILD]   (the objects in BUILD are asked for their symbols)
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1:-build}
failed=0

rule() { # name; findings on stdin, none = ok
  local found
  found=$(cat)
  if [ -z "$found" ]; then echo "ok $1"; return; fi
  echo "not ok $1"
  printf '%s\n' "$found" | head -n 20 | sed 's/^/  /'
  failed=1
}

# ---- the include graph: what each folder may include, beside itself ----
may_include() {
  case $1 in
  base) echo "" ;;
  wire) echo "base" ;;
  membership) echo "base wire" ;;
  gossip) echo "base wire membership" ;;
  store) echo "base wire" ;;
  tasks) echo "base wire store" ;;
  mapreduce) echo "base wire" ;;
  node) echo "base wire membership gossip store tasks" ;;
  io) echo "base wire store node mapreduce" ;;
  sim) echo "base wire membership gossip store tasks node mapreduce" ;;
  ctl) echo "base wire" ;;
  *) echo "" ;;
  esac
}
{
  for folder in src/*/; do
    here=$(basename "$folder")
    allowed=" $here $(may_include "$here") "
    grep -Hn '^#include "' "$folder"*.[ch] 2>/dev/null | while IFS= read -r line; do
      there=$(printf '%s' "$line" | sed 's/.*#include "\([^/"]*\)\/.*/\1/')
      case $allowed in *" $there "*) ;; *) printf '%s\n' "$line" ;; esac
    done
  done
} | rule "folders include only what lies below them"

{
  grep -ln '<uv.h>' -r src cmd | grep -v '^src/io/'
  grep -ln '<lmdb.h>' -r src cmd | grep -v '^src/store/storage_lmdb.c$'
  grep -ln '<sodium.h>' -r src cmd | grep -vE '^src/(wire/seal.c|io/)'
  grep -ln '<zstd.h>' -r src cmd | grep -v '^src/mapreduce/squeeze.c$'
  grep -ln '<ini.h>' -r src cmd | grep -vE '^src/ctl/(chain_file|config).c$'
  grep -ln 'uv\.h' -r src/node src/gossip src/membership src/store src/tasks src/base src/wire
} | rule "each vendor header has its one home"

# ---- purity: symbols that the core may want from outside ----
core_objects() {
  find "$build"/src/{base,wire,membership,gossip,store,tasks,node} -name '*.o' 2>/dev/null |
    grep -v -e storage_lmdb -e storage_journal -e /seal.o
}
if [ -n "$(core_objects)" ]; then
  allow='mem(cpy|move|set|cmp|chr|rchr|mem)|str(len|cmp|ncmp|chr|rchr|nlen|str)|v?snprintf|__v?snprintf_chk|__mem(cpy|move|set)_chk'
  allow="$allow|__assert_fail|__stack_chk_fail|qsort|bsearch|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|tsan|sanitizer)_.*"
  # shellcheck disable=SC2046
  defined=$(nm --defined-only $(core_objects) "$build"/src/wire/seal.o 2>/dev/null | awk 'NF==3{print $3}' | sort -u)
  core_objects | while IFS= read -r object; do
    extra=
    case $object in */memory.o | */storage_memory.o) extra='|realloc|free|malloc|calloc' ;; esac
    nm -u "$object" | awk '{print $2}' | grep -vxE "$allow$extra" | grep -vxF "$defined" | sed "s|^|$object: |"
  done | rule "the core wants no clock, socket, file or chance from outside"
  nm -u "$build"/src/wire/seal.o | awk '{print $2}' | grep -E 'random|getrandom|open|read|time' |
    grep -vE 'open_detached|_open' | rule "seal draws no randomness"
else
  echo "not ok the core wants no clock, socket, file or chance from outside"
  echo "  no objects in $build: build first"
  failed=1
fi

# ---- sizes ----
sources=$(git ls-files --cached --others --exclude-standard 'src/*.[ch]' 'cmd/*.[ch]' 2>/dev/null)
[ -n "$sources" ] || sources=$(find src cmd -name '*.[ch]')
# shellcheck disable=SC2086
{
  wc -l $sources | awk '$2 != "total" && $1 > 700 {print $2 ": " $1 " lines"}' | rule "no file above 700 lines"
  awk 'length($0) > 100 {print FILENAME ":" FNR ": " length($0) " columns"}' $sources | rule "no line above 100 columns"
  awk 'FNR == 1 {start = 0}
       /^[a-zA-Z_].*\)$/ || /^[a-zA-Z_].*,$/ || /^ .*\)$/ {head = FNR}
       /^\{/ {start = FNR}
       /^\}/ && start {if (FNR - start > 75) print FILENAME ":" start ": " FNR - start " lines"; start = 0}' $sources |
    rule "no function above 75 lines"
  awk 'FNR == 1 && !/^\/\*/ && !/^#ifndef/ && !/^#include/ {print FILENAME}' $sources | rule "files open with what they are"
  grep -nE '\b(TODO|FIXME|HACK|XXX)\b|#if 0' $sources | rule "no marks of unfinished work"
  grep -nE '\b(strcpy|strcat|sprintf|gets|alloca|strtok|atoi)\(' $sources | rule "no functions that cannot be used safely"
  grep -nP '\t| +$' $sources | rule "no tabs, no trailing spaces"
  grep -nE '\b(rand|srand|random|time|gettimeofday)\(' $sources | grep -v '^src/io/' | rule "no hidden clock or chance"
}
exit $failed

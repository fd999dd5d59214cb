# shellcheck shell=bash
# How much of the time the machine itself lost: it stood still, or was busy with others. Sourced, not run; DIR: a directory.
#
#   lateness_begin
#   lateness          ends it: the milliseconds lost since then, in all. What a test is to be prompt in may be longer by them.
#   stood_still       then: for half a second at once, at least
#
# A nap of a twentieth of a second, again and again, and by how much each was longer.
lateness_begin() {
  : >"$DIR/late"
  (
    while :; do
      before=${EPOCHREALTIME//[.,]/}
      sleep 0.05
      echo $(((${EPOCHREALTIME//[.,]/} - before) / 1000 - 50))
    done >>"$DIR/late"
  ) &
  NAPPER=$!
}
lateness() {
  kill "$NAPPER"
  wait "$NAPPER" 2>/dev/null
  awk '{late += $1} END {print late + 0}' "$DIR/late"
}
stood_still() { awk '$1 >= 500 {found = 1} END {exit !found}' "$DIR/late"; }

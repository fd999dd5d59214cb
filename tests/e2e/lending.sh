#!/usr/bin/env bash
# A file of a client on the node's own machine is lent to it: its descriptor is passed, its bytes are not sent. Whatever comes of
# that, what is stored is what would have been sent: without the socket, with a stranger at its place, with rubbish in it.
# The other way round, a client reads the node's blocks where they lie.
. "$(dirname "$0")/../lib/flock.sh"
flock_begin lending
case $(stat -f -c %T "$DIR") in
ext2/ext3 | xfs | btrfs | f2fs | overlayfs | tmpfs) ;;
*)
  skip "lending" "TMPDIR is on $(stat -f -c %T "$DIR"): only files on a disk of this machine are lent"
  flock_end
  ;;
esac
LAUNCH=(env "ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0" "FLIPSEND=$DIR/node.mark" "SLOWWRITE=$DIR/slow"
  "LD_PRELOAD=$BUILD/lib/flipsend.so $BUILD/lib/slowsync.so")
flock_start 1 || not_ok "a node starts"
socket=$DIR/node1/lend
check "the socket is there for the node's own user alone" [ "$(stat -c '%F %a' "$socket")" = "socket 600" ]
seq 1 1800000 >"$DIR/text" # 12 MiB
blocks() { find "$DIR/node1/blocks" -type f | wc -l; }
whole() { ctl cat "$1" | cmp -s - "$2"; }
# mrctl, of which the first large send is changed on its way: nothing large is sent when the mark is still there afterwards.
marked() {
  : >"$DIR/mark"
  env ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0" FLIPSEND="$DIR/mark" LD_PRELOAD="$BUILD/lib/flipsend.so" "$BUILD/mrctl" -n "$(at)" "$@"
}
lent() { marked put -q "$@" && [ -e "$DIR/mark" ]; }
sent() { marked put -q "$@" && [ ! -e "$DIR/mark" ]; }

check "a file is put, and none of its bytes is sent" lent "$DIR/text" lent --split 1M
check "comes back as it was" whole lent "$DIR/text"
check "standard input that is a file is lent" eval 'lent - redirected --split 1M <"$DIR/text"'
head -c 12000000 "$DIR/text" >"$DIR/even"
check "records of 1000 bytes are lent" lent "$DIR/even" fixed --records fixed:1000 --split 1M
check "what is no whole record is told" eval '! ctl put "$DIR/text" uneven --records fixed:1001 2>"$DIR/err" && says "less than a record"'
check "a file that is one block" lent "$DIR/text" one --records file
check "comes back as it was" whole one "$DIR/text"
mkdir "$DIR/tree"
for n in 1 2 3; do { echo "$n"; head -c 5000000 "$DIR/text"; } >"$DIR/tree/$n"; done
seq 10 >"$DIR/tree/small"
check "a directory is lent, but for what is small" lent "$DIR/tree" tree --split 1M
check "comes back as one" eval 'ctl get tree "$DIR/back" && diff -r "$DIR/tree" "$DIR/back"'
check "a job's input is lent" eval '[ "$(marked run -q -m "wc -l" -i "$DIR/text" | awk "{s += \$1} END {print s}")" = 1800000 ] && [ -e "$DIR/mark" ]'

# ---- the other way round ----
borrowed() { : >"$DIR/node.mark"; "$@" && [ -e "$DIR/node.mark" ]; } # the node sends nothing large
fetched() { : >"$DIR/node.mark"; "$@" && [ ! -e "$DIR/node.mark" ]; } # it does, and the changed byte is noticed
check "what is got is read where it lies" borrowed whole lent "$DIR/text"
check "a block that is larger than mrctl's memory, too" borrowed whole one "$DIR/text"
check "what comes out of it into a pipe that ends" eval '[ "$(borrowed ctl cat one | head -n 3 | md5sum)" = "$(head -n 3 "$DIR/text" | md5sum)" ]'
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  open=$(mktemp -d) && chmod 755 "$open"
  cp "$BUILD/mrctl" "$DIR/cluster.key" "$DIR/text" "$open"
  chown -R 65534 "$open"
  user() { setpriv --reuid 65534 --clear-groups env HOME=/nonexistent XDG_CACHE_HOME=/nonexistent MR_KEY_FILE="$open/cluster.key" "$open/mrctl" -n "$(at)" "$@"; }
  check "another user's client: it is fetched" fetched eval 'user cat lent | cmp -s - "$DIR/text"'
  check "and sent" eval 'user put -q "$open/text" others --split 1M 2>"$DIR/err" && whole others "$DIR/text" && [ ! -s "$DIR/err" ]'
  rm -rf "$open"
else
  skip "another user's client" "needs root and setpriv"
fi

# ---- what does not go ----
now=$(blocks)
mv "$socket" "$socket.away"
check "without the socket it is sent" sent "$DIR/text" sent --split 1M
check "comes back as it was" whole sent "$DIR/text"
check "as the same blocks, and the same list of them" [ "$(blocks)" = "$now" ]
cat >"$DIR/stranger.py" <<'PY'
import os, socket, sys
here = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
os.chdir(os.path.dirname(sys.argv[1]))
here.bind("lend")
print("ready", flush=True)
while True:
    here.recvmsg(16, socket.CMSG_SPACE(4))
PY
exec 4< <(exec python3 "$DIR/stranger.py" "$socket")
stranger=$!
read -r -u 4 _
sed -i 's/^1/x/' "$DIR/text"
check "somebody else at its place: what was not found is sent" sent "$DIR/text" strange --split 1M
check "comes back as it was" whole strange "$DIR/text"
kill "$stranger" 2>/dev/null
exec 4<&-
mv -f "$socket.away" "$socket"

# ---- rubbish ----
files() { find "/proc/${PID[1]}/fd" | wc -l; }
before=$(files)
cat >"$DIR/rubbish.py" <<'PY'
import array, os, socket, sys
os.chdir(os.path.dirname(sys.argv[1]))
here = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
here.setblocking(False)
def pass_on(bytes, *files):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
    try: here.sendmsg([bytes], rights, 0, "lend")
    except BlockingIOError: pass # the queue is full: the node has not looked
text = os.open(sys.argv[2], os.O_RDONLY)
others = [os.open(".", os.O_RDONLY), os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT), os.pipe()[0], os.open(sys.argv[2], os.O_PATH), here.fileno()]
for kind in sys.argv[4].split():
    for i in range(int(sys.argv[5])):
        token = os.urandom(16)
        if kind == "empty": pass_on(b"")
        if kind == "short": pass_on(token[:7], text)
        if kind == "long": pass_on(token * 100, text)
        if kind == "bare": pass_on(token)
        if kind == "many": pass_on(token, *[text] * 200)
        if kind == "wrong": pass_on(token, others[i % len(others)])
        if kind == "unclaimed": pass_on(token, text)
PY
rubbish() { python3 "$DIR/rubbish.py" "$socket" "$DIR/text" "$DIR/writable" "$1" "${2:-3}"; }
for kinds in 'empty short long' 'bare many wrong'; do
  rubbish "$kinds"
  sed -i "1s/.*/$kinds/" "$DIR/text"
  check "$kinds datagrams: then a file is lent all the same" lent "$DIR/text" "after-${kinds// /-}" --split 1M
done
check "no descriptor of theirs stays open" wait_for 10 eval '[ "$(files)" -le $((before + 1)) ]'
for round in $(seq 8); do # 80 of them, as many as a queue takes: more than are kept
  rubbish unclaimed 10
  ctl put -q "$DIR/text" unclaimed --split 1M --overwrite >/dev/null || not_ok "put, round $round"
done
check "of those for which nobody comes few stay open" wait_for 1 eval '[ "$(files)" -le $((before + 66)) ]'
check "a file is lent all the same" lent "$DIR/text" after-unclaimed --split 1M
check "and these not for long" wait_for 10 eval '[ "$(files)" -le $((before + 1)) ]'

# ---- who dies amid it ----
for i in 1 2 3; do head -c 50000000 /dev/zero | tr '\0' "$i"; done >"$DIR/large"
touch "$DIR/slow" # lest it be all there before it is seen
for i in 1 2; do
  "$BUILD/mrctl" -n "$(at)" put -q "$DIR/large" "large$i" --split 8M & client=$!
  check "client $i: its bytes come" wait_for 20 eval '[ -n "$(find "$DIR/node1/tmp" -type f)" ]'
  kill -9 "$client"; wait "$client" 2>/dev/null
done
rm "$DIR/slow"
idle() { [ -z "$(find "$DIR/node1/tmp" -type f)" ] && ! ls -l "/proc/${PID[1]}/fd" | grep -q large; }
check "clients that die leave no temporary files, and none of their own open" wait_for 20 idle
check "there is no such dataset" eval '! ctl ls -o name | grep -q large'
flock_start 2 || not_ok "a second node starts"
check "two nodes find each other" flock_whole 2
blocks_there() { [ "$(find "$DIR/node$1/blocks" -type f -size +10M -newer "$DIR/writable" | wc -l)" -ge "$2" ]; }
touch "$DIR/writable"
sed -i '1s/.*/rot/' "$DIR/text"
ctl put -q "$DIR/text" rotten --records file --replicas 2
check "a block of which two nodes have copies" wait_for 20 blocks_there 2 1
block=$(find "$DIR/node1/blocks" -type f -size +10M -newer "$DIR/writable")
time=$(stat -c %y "$block"); chmod u+w "$block"
printf '\377' | dd of="$block" bs=1 seek=5000000 conv=notrunc 2>/dev/null
chmod u-w "$block"; touch -d "$time" "$block"
check "one rots: nobody gets it" env AT="${ADDR[1]}" bash -c 'exec "$0" -n "$AT" cat rotten | cmp -s - "$1"' "$BUILD/mrctl" "$DIR/text"
check "and its node hears of it" wait_for 10 grep -q event=rot "$DIR/1.err"
flock_kill 1
flock_start 1
check "a new boot has a socket of its own" lent "$DIR/text" again --split 1M
check "that nothing was lost" whole lent <(seq 1 1800000)
flock_end

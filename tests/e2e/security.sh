#!/usr/bin/env bash
# Strangers: a wrong key, garbage at 10,000 datagrams a second, streams that are cut short. Refused, counted; a job goes on meanwhile.
. "$(dirname "$0")/../lib/flock.sh"
flock_begin security
for n in 1 2 3; do flock_start $n || not_ok "node $n starts"; done
check "three nodes find each other" flock_whole 3
metric() { ctl -o json ping | jq -r ".metrics.$1"; }
text "$DIR/text" 8
reference "$DIR/text" >"$DIR/expected"
host=${ADDR[1]%:*} port=${ADDR[1]##*:}
count() { ctl run -q -m "$MAPPER" -r "$REDUCER" -R 2 -i "$DIR/text" --split 1M 2>"$DIR/err" | LC_ALL=C sort | cmp -s - "$DIR/expected"; }

cat >"$DIR/storm.py" <<'P'
"""Garbage at about 10,000 datagrams a second for some seconds: random, and real-looking headers."""
import os, socket, sys, time
host, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end, sent = time.time() + seconds, 0
begin = time.time()
while time.time() < end:
    for _ in range(100):
        size = (sent * 37) % 1500
        try:
            s.sendto(os.urandom(size) if sent % 2 else bytes([1]) + os.urandom(size), (host, port))
        except OSError:
            pass
        sent += 1
    ahead = sent / 10000 - (time.time() - begin)
    if ahead > 0:
        time.sleep(ahead)
print(sent)
P
cat >"$DIR/streams.py" <<'P'
"""Streams of strangers: nothing, garbage, half a hello, and many at once."""
import os, socket, sys, time
host, port = sys.argv[1], int(sys.argv[2])
held = []
for i in range(200):
    s = socket.socket()
    s.settimeout(2)
    try:
        s.connect((host, port))
        if i % 4 == 1:
            s.send(os.urandom(1000))
        if i % 4 == 2:
            s.send(os.urandom(7))
        if i % 4 == 3:
            s.send(b"GET / HTTP/1.0\r\n\r\n" + b"\xff" * 100000)
    except OSError:
        pass
    if i % 2:
        s.close()
    else:
        held.append(s)
time.sleep(1)
P
python3 "$DIR/storm.py" "$host" "$port" 6 >"$DIR/sent" &
storm=$!
python3 "$DIR/streams.py" "$host" "$port" &
streams=$!
check "a job goes on under garbage datagrams and streams" count
wait $storm $streams
check "at least 10,000 garbage datagrams were sent" [ "$(cat "$DIR/sent")" -ge 10000 ]
refused=$(($(metric datagrams_refused_form) + $(metric datagrams_refused_key) + $(metric datagrams_refused_seal)))
check "they are counted ($refused)" [ "$refused" -ge 1000 ]
check "nobody is held dead or suspect for it" flock_whole 3
check "the node is small still" [ "$(awk '/VmRSS/ {print $2}' "/proc/${PID[1]}/status")" -le "${RSS_LIMIT:-60000}" ]

"$BUILD/mrctl" keygen "$DIR/other.key" >/dev/null
MR_KEY_FILE=$DIR/other.key ctl members >"$DIR/out" 2>"$DIR/err"
status=$?
check "mrctl with a wrong key is refused: exit 3 or 5" [ $status = 3 -o $status = 5 ]
check "and is told what may be wrong" grep -qi key "$DIR/err"
MR_KEY_FILE=$DIR/absent.key ctl members >"$DIR/out" 2>"$DIR/err"
check "mrctl with no key: exit 5" [ $? = 5 ]
"$BUILD/mrnode" -d "$DIR/stranger" --name stranger --listen 127.0.0.1:0 --key-file "$DIR/other.key" --join "${ADDR[1]}" \
  --profile local >"$DIR/9.out" 2>"$DIR/9.err" </dev/null &
PID[9]=$!
flock_ready 9
sleep 3
check "a node with another key does not join" eval 'wait_for 10 members_in_state alive 3 && [ "$(ctl members -o json | jq length)" = 3 ]'
check "it is told so" wait_for 20 grep -qi 'key\|closed' "$DIR/9.err"
flock_kill 9

# A stream cut in the middle of a real upload: nothing is kept, the node goes on.
(head -c 20000000 /dev/urandom; sleep 5) | timeout -s KILL 1 "$BUILD/mrctl" -n "$(at)" put - cut >/dev/null 2>&1
check "an upload cut short names nothing" bash -c "! '$BUILD/mrctl' -n $(at) ls -o name | grep -qx cut"
no_tmp() { [ -z "$(find "$DIR"/node*/tmp -type f 2>/dev/null)" ]; }
check "and leaves nothing in tmp" wait_for 15 no_tmp
check "a job runs after all this" count
flock_end

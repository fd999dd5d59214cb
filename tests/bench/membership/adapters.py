"""Adapters: one class per membership system under test (python3 stdlib only).

The harness (membench.py) knows only the Adapter interface below.  To measure a
new system, fill in one subclass and add it to ADAPTERS; nothing else changes.
Nodes are numbered 1..n.  Node i owns address addr(i), gossip port GOSSIP_PORT
(UDP and TCP), control port CTRL_PORT, and runs under its own uid uid(i): the
firewall rules for partitions match on that uid, because on loopback an unbound
TCP client always gets 127.0.0.1 as its source address.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

UID_BASE = 21000


class Adapter:
    """Interface.  Times are time.monotonic() of the harness."""

    name = "?"
    GOSSIP_PORT = 7946
    CTRL_PORT = 7373
    # True: parse_event() understands the node's stdout (events are stamped when
    # the line arrives).  False: the harness polls members() every poll_s.
    has_events = True
    poll_s = 0.05

    def __init__(self, n, profile, workdir, opts):
        self.n, self.profile, self.workdir, self.opts = n, profile, workdir, opts
        self.proc = {}

    # -- naming
    def addr(self, i):
        return "127.0.1.%d" % i

    def uid(self, i):
        return UID_BASE + i

    def node_name(self, i):
        return "n%03d" % i

    def node_index(self, name):
        return int(name[1:])

    # -- life cycle
    def argv(self, i):
        """Command line of node i, started alone (no seed)."""
        raise NotImplementedError

    def start(self, i):
        self.proc[i] = subprocess.Popen(
            self.argv(i), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, user=self.uid(i), group=self.uid(i),
            extra_groups=[], cwd=self.workdir, bufsize=0)
        return self.proc[i].stdout

    def pid(self, i):
        return self.proc[i].pid

    def wait_ready(self, i, timeout=15):
        """Block until node i answers on its control port."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                socket.create_connection((self.addr(i), self.CTRL_PORT), 1).close()
                return
            except OSError:
                if self.proc[i].poll() is not None:
                    raise RuntimeError("node %d exited" % i)
                time.sleep(0.01)
        raise RuntimeError("node %d not ready" % i)

    def kill(self, i):
        os.kill(self.pid(i), signal.SIGKILL)
        self.proc[i].wait()
        self.on_gone(i)

    def pause(self, i):
        os.kill(self.pid(i), signal.SIGSTOP)

    def resume(self, i):
        os.kill(self.pid(i), signal.SIGCONT)

    def on_gone(self, i):
        """Node i died: drop cached connections to it."""

    # -- to fill in per system
    def stop(self, i):
        """Graceful leave of node i."""
        raise NotImplementedError

    def join_async(self, i, seed):
        """Ask node i to join through node seed; must not wait for the outcome."""
        raise NotImplementedError

    def members(self, i):
        """{node index: 'alive'|'suspect'|'failed'|'left'} as node i sees it."""
        raise NotImplementedError

    def health(self, i):
        """Node i's own health score (Lifeguard: 0 = healthy), or None."""
        return None

    def parse_event(self, line):
        """line (str) -> (kind, node index) or None.
        kind: 'alive', 'failed', 'left' (state the observer now holds), 'restarted'
        (alive, and the observer knows that it started anew), and the diagnostics 'suspect' (observer started a suspicion by its own probe)
        and 'refute' (index 0: the observer refuted a claim about itself)."""
        return None


# ---------------------------------------------------------------- serf
class _Msgpack:
    """Just enough msgpack for Serf's RPC."""

    @staticmethod
    def enc(o):
        if o is None:
            return b"\xc0"
        if o is True:
            return b"\xc3"
        if o is False:
            return b"\xc2"
        if isinstance(o, int):
            return bytes([o]) if 0 <= o < 128 else b"\xce" + o.to_bytes(4, "big")
        if isinstance(o, str):
            b = o.encode()
            return (bytes([0xA0 | len(b)]) if len(b) < 32
                    else b"\xda" + len(b).to_bytes(2, "big")) + b
        if isinstance(o, list):
            return bytes([0x90 | len(o)]) + b"".join(map(_Msgpack.enc, o))
        if isinstance(o, dict):
            return bytes([0x80 | len(o)]) + b"".join(
                _Msgpack.enc(k) + _Msgpack.enc(v) for k, v in o.items())
        raise TypeError(o)

    @staticmethod
    def dec(f):
        """Read one object from binary file f."""
        def rd(n):
            b = f.read(n)
            if len(b) != n:
                raise EOFError
            return b

        def u(n):
            return int.from_bytes(rd(n), "big")
        d = _Msgpack.dec
        c = rd(1)[0]
        if c < 0x80:
            return c
        if c >= 0xE0:
            return c - 256
        if c < 0x90:
            return {d(f): d(f) for _ in range(c & 15)}
        if c < 0xA0:
            return [d(f) for _ in range(c & 15)]
        if c < 0xC0:
            return rd(c & 31)
        if c in (0xC0, 0xC2):
            return None if c == 0xC0 else False
        if c == 0xC3:
            return True
        if c in (0xC4, 0xD9):
            return rd(u(1))
        if c in (0xC5, 0xDA):
            return rd(u(2))
        if c in (0xC6, 0xDB):
            return rd(u(4))
        if c in (0xCA, 0xCB):
            return rd(4 if c == 0xCA else 8)
        if 0xCC <= c <= 0xCF:
            return u(1 << (c - 0xCC))
        if 0xD0 <= c <= 0xD3:
            return int.from_bytes(rd(1 << (c - 0xD0)), "big", signed=True)
        if c == 0xDC:
            return [d(f) for _ in range(u(2))]
        if c == 0xDE:
            return {d(f): d(f) for _ in range(u(2))}
        raise ValueError("msgpack byte %#x" % c)


class Serf(Adapter):
    """HashiCorp Serf agent (Debian package `serf`).

    opts: 'nocoord' asks for no Vivaldi coordinates; the agent measured (0.9.4)
    reads the setting and ignores it.
    State changes are taken from the INFO log, which Serf writes before its
    event coalescing (the RPC event stream is held back by 1 to 3 s)."""
    name = "serf"
    _ev = re.compile(r"serf: EventMember(Join|Failed|Leave|Reap)[^:]*: (n\d+)")
    _su = re.compile(r"memberlist: Suspect (n\d+) has failed, no acks")
    _re = re.compile(r"memberlist: Refuting")
    _kind = {"Join": "alive", "Failed": "failed", "Leave": "left", "Reap": "left"}

    def __init__(self, *a):
        super().__init__(*a)
        self.conn = {}
        self.seq = 0

    def argv(self, i):
        cfg = os.path.join(self.workdir, "serf.json")
        if not os.path.exists(cfg):
            with open(cfg, "w") as f:
                json.dump({"disable_coordinates": "nocoord" in self.opts}, f)
            os.chmod(cfg, 0o644)
        return ["serf", "agent", "-node=" + self.node_name(i),
                "-bind=%s:%d" % (self.addr(i), self.GOSSIP_PORT),
                "-rpc-addr=%s:%d" % (self.addr(i), self.CTRL_PORT),
                "-profile=" + self.profile, "-log-level=info",
                "-config-file=" + cfg]

    def _rpc(self, i, cmd, body=None, want=True, wait=True):
        if i not in self.conn:
            s = socket.create_connection((self.addr(i), self.CTRL_PORT), 10)
            f = s.makefile("rb")
            self.conn[i] = (s, f)
            self._rpc(i, "handshake", {"Version": 1}, want=False)
        s, f = self.conn[i]
        self.seq += 1
        s.sendall(_Msgpack.enc({"Command": cmd, "Seq": self.seq})
                  + (_Msgpack.enc(body) if body is not None else b""))
        if not wait:
            return None
        h = _Msgpack.dec(f)
        if h.get(b"Error"):
            raise RuntimeError(h[b"Error"].decode())
        return _Msgpack.dec(f) if want else None

    def on_gone(self, i):
        c = self.conn.pop(i, None)
        if c:
            c[1].close()
            c[0].close()

    def stop(self, i):
        self._rpc(i, "leave", want=False)
        self.proc[i].wait(20)
        self.on_gone(i)

    def join_async(self, i, seed):
        self._rpc(i, "join", {"Existing": ["%s:%d" % (self.addr(seed), self.GOSSIP_PORT)],
                              "Replay": False}, wait=False)
        # the reply is left unread: use a fresh connection from now on
        self._old = getattr(self, "_old", [])
        self._old.append(self.conn.pop(i))

    def members(self, i):
        r = self._rpc(i, "members")
        return {self.node_index(m[b"Name"].decode()): m[b"Status"].decode()
                for m in r[b"Members"]}

    def health(self, i):
        return int(self._rpc(i, "stats")[b"serf"][b"health_score"])

    def parse_event(self, line):
        m = self._ev.search(line)
        if m:
            return self._kind[m[1]], self.node_index(m[2])
        m = self._su.search(line)
        if m:
            return "suspect", self.node_index(m[1])
        if self._re.search(line):
            return "refute", 0
        return None


# -------------------------------------------------------------- mrnode
class Mrnode(Adapter):
    """Murmuration's node, encrypted, everything else by default.  'lan' probes once a second.

    State changes are taken from its log, a line each; a node is well about itself
    from its `ready` line on.  MR_BUILD says where the programs are."""
    name = "mrnode"
    CTRL_PORT = Adapter.GOSSIP_PORT
    _ev = re.compile(r'event=member name=(n\d+) .*state=(\w+) .*cause="([^"]*)"')
    _ready = re.compile(r"^ready name=(n\d+)")
    _kind = {"alive": "alive", "dead": "failed", "left": "left", "suspect": "suspect"}

    def __init__(self, *a):
        super().__init__(*a)
        self.joins = []
        here = os.path.dirname(os.path.abspath(__file__))
        build = os.environ.get("MR_BUILD") or os.path.join(here, "../../../build")
        # Copies that every uid may run, wherever the build is.
        for program in ("mrnode", "mrctl", "mrtask"):
            shutil.copy(os.path.join(build, program), self.workdir)
            os.chmod(self.path(program), 0o755)
        self.env = dict(os.environ, MR_KEY_FILE=self.path("cluster.key"))
        if not os.path.exists(self.path("cluster.key")):
            subprocess.run([self.path("mrctl"), "keygen", self.path("cluster.key")],
                           check=True, capture_output=True)

    def path(self, *parts):
        return os.path.join(self.workdir, *parts)

    def at(self, i):
        return "%s:%d" % (self.addr(i), self.GOSSIP_PORT)

    def argv(self, i):
        home = self.path(self.node_name(i))
        if not os.path.exists(home):
            os.mkdir(home, 0o700)
            shutil.copy(self.path("cluster.key"), home)
            os.chmod(os.path.join(home, "cluster.key"), 0o600)
            for f in (home, os.path.join(home, "cluster.key")):
                os.chown(f, self.uid(i), self.uid(i))
        return [self.path("mrnode"), "-d", home, "--name", self.node_name(i), "--listen",
                self.at(i), "--key-file", os.path.join(home, "cluster.key"), "--profile",
                self.profile, "--slots", "1"]

    def ctl(self, i, *a):
        return [self.path("mrctl"), "-n", self.at(i), *a]

    def stop(self, i):
        self.proc[i].terminate()
        self.proc[i].wait(20)

    def join_async(self, i, seed):
        self.joins = [p for p in self.joins if p.poll() is None]
        self.joins.append(subprocess.Popen(
            self.ctl(i, "join", self.at(seed)), env=self.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def members(self, i):
        r = subprocess.run(self.ctl(i, "members", "-o", "json"), env=self.env, timeout=10,
                           capture_output=True, text=True)
        if r.returncode != 0:
            raise RuntimeError(r.stderr)
        return {self.node_index(m["name"]): self._kind[m["state"]].replace("suspect", "alive")
                for m in json.loads(r.stdout)}

    def parse_event(self, line):
        m = self._ev.search(line)
        if m:
            kind = self._kind[m[2]]
            if kind == "alive" and m[3] == "it started anew":
                kind = "restarted"
            return kind, self.node_index(m[1])
        m = self._ready.search(line)
        if m:
            return "alive", self.node_index(m[1])
        if "event=refuted" in line:
            return "refute", 0
        return None


ADAPTERS = {c.name: c for c in (Serf, Mrnode)}

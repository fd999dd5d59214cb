#!/usr/bin/python3
"""Membership / failure-detector bench.  Needs root (ip netns, iptables).

  membench.py --system serf --n 16 --profile lan --tests join,steady,crash:5 -o out.json

Starts n nodes in a network namespace of its own, runs the named tests in order
against one cluster, prints a line per result and writes them all as JSON.
Tests (":" gives arguments):
  join            all nodes are up and alone; every node is told at once to join
                  node 1; time until all n see all n alive
  steady[:S]      S seconds (60): gossip-port bytes and packets, CPU, memory
  crash[:R]       R times (5): kill -9 one node (never node 1), time to the first
                  and to the last other node that sees it failed; then restart it
  hang[:R]        R times (3): SIGSTOP one node for good (no RST, no ICMP: as when
                  the host dies); as crash; then SIGCONT, time until all well
  restart[:R[:L]] R times (3): kill -9, restart 3 s later at the same address; L s (25)
                  for late verdicts
  loss:P:T[:S]    P percent random loss at input for S seconds (60); T = keep
                  (UDP only) or drop (TCP too); wrong 'failed' events
  slow:ON:RUN[:K[:S]]  the K (2) last nodes stopped ON s, run RUN s, in cycles for S s (60)
  part[:S]        first half | second half cut for S seconds (60), then healed
"""
import argparse
import json
import os
import random
import selectors
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from adapters import ADAPTERS  # noqa: E402

NOW = time.monotonic
HZ = os.sysconf("SC_CLK_TCK")


def sh(*a):
    return subprocess.run(a, check=True, capture_output=True, text=True).stdout


def machine_busy():
    v = [int(x) for x in open("/proc/stat").readline().split()[1:9]]
    return sum(v), v[3] + v[4]


class Cluster:
    def __init__(self, ad):
        self.ad, self.n = ad, ad.n
        self.ids = list(range(1, ad.n + 1))
        self.ev = []                      # (t, observer, kind, victim)
        self.view = {i: {} for i in self.ids}
        self.down = set()
        self.lock = threading.Lock()
        self.sel = selectors.DefaultSelector()
        self.buf = {}
        threading.Thread(target=self._read, daemon=True).start()
        if not ad.has_events:
            threading.Thread(target=self._poll, daemon=True).start()

    # ---- observation
    def _emit(self, t, o, kind, v):
        with self.lock:
            self.ev.append((t, o, kind, v))
            if kind in ("alive", "failed", "left", "restarted"):
                self.view[o][v] = "alive" if kind == "restarted" else kind

    def _read(self):
        while True:
            for key, _ in self.sel.select(0.2):
                fd, i = key.fileobj, key.data
                b = os.read(fd.fileno(), 1 << 16)
                t = NOW()
                if not b:
                    self.sel.unregister(fd)
                    continue
                self.logf[i].write(b)
                *lines, rest = (self.buf.get(fd, b"") + b).split(b"\n")
                self.buf[fd] = rest
                if self.ad.has_events:
                    for ln in lines:
                        e = self.ad.parse_event(ln.decode("utf-8", "replace"))
                        if e:
                            self._emit(t, i, *e)

    def _poll(self):
        while True:
            for i in self.ids:
                if i in self.down:
                    continue
                try:
                    m = self.ad.members(i)
                except (OSError, RuntimeError, EOFError):
                    continue
                t = NOW()
                for v, st in m.items():
                    if self.view[i].get(v) != st:
                        self._emit(t, i, st, v)
            time.sleep(self.ad.poll_s)

    # ---- life cycle
    def start(self, i):
        if not hasattr(self, "logf"):
            self.logf = {}
        if i not in self.logf:
            self.logf[i] = open(os.path.join(self.ad.workdir, "n%03d.log" % i), "ab", 0)
        with self.lock:
            self.view[i] = {}
        out = self.ad.start(i)
        self.sel.register(out, selectors.EVENT_READ, i)
        self.down.discard(i)

    def kill(self, i):
        self.down.add(i)
        t = NOW()
        self.ad.kill(i)
        return t

    def restart(self, i, seed=1):
        self.start(i)
        self.ad.wait_ready(i)
        t = NOW()
        self.ad.join_async(i, seed)
        return t

    # ---- predicates
    def up(self):
        return [i for i in self.ids if i not in self.down]

    def all_alive(self):
        with self.lock:
            return all(self.view[o].get(v) == "alive"
                       for o in self.up() for v in self.up())

    def sees(self, v, state, observers):
        with self.lock:
            return all(self.view[o].get(v) == state for o in observers)

    def wait(self, pred, timeout):
        t0 = NOW()
        while NOW() - t0 < timeout:
            if pred():
                return True
            time.sleep(0.005)
        return False

    def events(self, t0, t1, kind):
        with self.lock:
            return [e for e in self.ev if t0 <= e[0] < t1 and e[2] == kind]

    def check(self):
        """Compare event-derived views with members() of every node."""
        bad = 0
        for o in self.up():
            m = self.ad.members(o)
            bad += sum(1 for v in self.ids if m.get(v) != self.view[o].get(v))
        return bad

    # ---- resources
    def cpu(self):
        s = {}
        for i in self.up():
            try:
                f = open("/proc/%d/stat" % self.ad.pid(i)).read().rsplit(")", 1)[1].split()
                s[i] = (int(f[11]) + int(f[12])) / HZ
            except OSError:
                pass
        return s

    def mem(self):
        r = {"rss": [], "anon": [], "pss": []}
        for i in self.up():
            p = "/proc/%d/" % self.ad.pid(i)
            st = dict(x.split(":", 1) for x in open(p + "status") if ":" in x)
            r["rss"].append(int(st["VmRSS"].split()[0]))
            r["anon"].append(int(st["RssAnon"].split()[0]))
            pss = [int(x.split()[1]) for x in open(p + "smaps_rollup") if x.startswith("Pss:")]
            r["pss"].append(pss[0])
        return {k + "_kib": round(statistics.mean(v)) for k, v in r.items()}


class Net:
    """iptables in the current namespace.  Counters at OUTPUT (before any loss),
    loss and partitions at INPUT."""

    def __init__(self, ad):
        self.ad = ad
        p = str(ad.GOSSIP_PORT)
        self.tcp = ["-p", "tcp", "-m", "multiport", "--ports", p]
        self.udp = ["-p", "udp", "--dport", p]
        sh("iptables", "-A", "OUTPUT", *self.udp)
        sh("iptables", "-A", "OUTPUT", *self.tcp)

    def count(self):
        r = {}
        for ln in sh("iptables", "-L", "OUTPUT", "-v", "-x", "-n").splitlines()[2:]:
            f = ln.split()
            for proto, names in (("udp", ("udp", "17")), ("tcp", ("tcp", "6"))):
                if f[2] in names and proto not in r:
                    r[proto] = (int(f[0]), int(f[1]))
        return r

    def loss(self, pct, tcp, op="-A"):
        for m in [self.udp] + ([self.tcp] if tcp else []):
            sh("iptables", op, "INPUT", *m, "-m", "statistic", "--mode", "random",
               "--probability", str(pct / 100), "-j", "DROP")

    def partition(self, op="-A"):
        """Marked at OUTPUT, dropped at INPUT: a DROP at OUTPUT would make sendto()
        fail with EPERM, which memberlist takes for a fault of its own."""
        ad, h = self.ad, self.ad.n // 2
        for a, b, c, d in ((1, h, h + 1, ad.n), (h + 1, ad.n, 1, h)):
            for m in (self.udp, self.tcp):
                sh("iptables", "-t", "mangle", op, "OUTPUT", "-m", "owner",
                   "--uid-owner", "%d-%d" % (ad.uid(a), ad.uid(b)), *m, "-m", "iprange",
                   "--dst-range", "%s-%s" % (ad.addr(c), ad.addr(d)),
                   "-j", "MARK", "--set-mark", "7")
        sh("iptables", op, "INPUT", "-m", "mark", "--mark", "7", "-j", "DROP")


class Bench:
    def __init__(self, cl, net):
        self.cl, self.net, self.res = cl, net, []
        self.rng = random.Random(1)

    def out(self, **k):
        self.res.append(k)
        print(json.dumps(k), flush=True)

    def meter(self):
        return NOW(), self.net.count(), self.cl.cpu(), machine_busy()

    def metered(self, a):
        b = self.meter()
        dt, n = b[0] - a[0], len(self.cl.up())
        r = {"secs": round(dt, 1)}
        for p in ("udp", "tcp"):
            r[p + "_pkt_s"] = round((b[1][p][0] - a[1][p][0]) / dt / n, 2)
            r[p + "_B_s"] = round((b[1][p][1] - a[1][p][1]) / dt / n)
        c = [b[2][i] - a[2].get(i, 0) for i in b[2]]
        r["cpu_pct"] = round(100 * sum(c) / dt / n, 3)
        r["machine_busy_pct"] = round(100 - 100 * (b[3][1] - a[3][1]) / max(1, b[3][0] - a[3][0]))
        return r

    def t_join(self):
        cl, ad = self.cl, self.cl.ad
        a = self.meter()
        t0 = NOW()
        for i in cl.ids[1:]:
            ad.join_async(i, 1)
        t1 = NOW()
        ok = cl.wait(cl.all_alive, 120)
        self.out(test="join", ok=ok, all_s=round(NOW() - t0, 3), issue_s=round(t1 - t0, 3),
                 **self.metered(a))
        time.sleep(10)

    def t_steady(self, secs=60):
        a = self.meter()
        time.sleep(float(secs))
        self.out(test="steady", **self.metered(a), **self.cl.mem(),
                 view_mismatch=self.cl.check())

    def t_crash(self, reps=5):
        cl, first, last, wrong, sus, health = self.cl, [], [], 0, [], []
        for _ in range(int(reps)):
            v = self.rng.choice(cl.ids[1:])
            time.sleep(self.rng.random())
            t0 = cl.kill(v)
            obs = cl.up()
            ok = cl.wait(lambda: cl.sees(v, "failed", obs), 90)
            f = [e for e in cl.events(t0, NOW(), "failed")]
            health.append(sorted(filter(None, (cl.ad.health(i) for i in obs)), reverse=True))
            ts = {}
            for t, o, _, w in f:
                if w == v:
                    ts.setdefault(o, t - t0)
                else:
                    wrong += 1
            s = [e[0] - t0 for e in cl.events(t0, NOW(), "suspect") if e[3] == v]
            if s:
                sus.append(round(min(s), 3))
            if ok and ts:
                first.append(round(min(ts.values()), 3))
                last.append(round(max(ts.values()), 3))
            cl.restart(v)
            cl.wait(cl.all_alive, 90)
            time.sleep(2)
        self.out(test="crash", reps=int(reps), ok=len(last), suspect=sus, first=first, last=last,
                 med_suspect=statistics.median(sus) if sus else None,
                 med_first=statistics.median(first) if first else None,
                 med_last=statistics.median(last) if last else None, wrong=wrong,
                 nonzero_health_scores=health)

    def t_hang(self, reps=3):
        cl, first, last, back = self.cl, [], [], []
        for _ in range(int(reps)):
            v = self.rng.choice(cl.ids[1:])
            time.sleep(self.rng.random())
            t0 = NOW()
            cl.ad.pause(v)
            obs = [i for i in cl.up() if i != v]
            ok = cl.wait(lambda: cl.sees(v, "failed", obs), 90)
            ts = {}
            for t, o, _, w in cl.events(t0, NOW(), "failed"):
                if w == v:
                    ts.setdefault(o, t - t0)
            if ok and ts:
                first.append(round(min(ts.values()), 3))
                last.append(round(max(ts.values()), 3))
            t1 = NOW()
            cl.ad.resume(v)
            cl.wait(cl.all_alive, 120)
            back.append(round(NOW() - t1, 3))
            time.sleep(2)
        self.out(test="hang", reps=int(reps), ok=len(last), first=first, last=last, back=back,
                 med_first=statistics.median(first) if first else None,
                 med_last=statistics.median(last) if last else None,
                 med_back=statistics.median(back))

    def t_restart(self, reps=3, late_s=25):
        cl, r = self.cl, []
        for _ in range(int(reps)):
            v = self.rng.choice(cl.ids[1:])
            t0 = cl.kill(v)
            time.sleep(3)
            others = [i for i in cl.up()]
            t1 = cl.restart(v)
            own = cl.wait(lambda: len([x for x in cl.view[v].values() if x == "alive"]) == cl.n, 90)
            t_own = NOW() - t1
            cl.wait(cl.all_alive, 90)
            t_all = NOW() - t1
            time.sleep(float(late_s))      # late verdicts of old suspicions
            ok = cl.wait(cl.all_alive, 90)
            fl = [e for e in cl.events(t0, NOW(), "failed") if e[3] == v]
            late = [e for e in fl if e[0] > t1]
            al = [e for e in cl.events(t1, NOW(), "alive") if e[3] == v and e[1] in others]
            last = max([e[0] - t1 for e in late + al], default=0)
            new = {e[1]: e[0] - t1 for e in cl.events(t1, NOW(), "restarted") if e[3] == v}
            told = round(max(new.values()), 3) if set(new) >= set(others) else None
            r.append(dict(restarted_all_s=told, own_ok=own, own_s=round(t_own, 3), all_s=round(t_all, 3),
                          failed_before_rejoin=len(fl) - len(late), failed_after_rejoin=len(late),
                          stable_s=round(last, 3), ok=ok))
        self.out(test="restart", reps=r)

    def _fp(self, t0, t1, healthy, slow=()):
        fl = self.cl.events(t0, t1, "failed")
        h = [e for e in fl if e[3] in healthy]
        s = self.cl.events(t0, t1, "suspect")
        r = dict(fp=len(h), fp_pairs=len({(e[1], e[3]) for e in h}),
                 fp_victims=len({e[3] for e in h}),
                 first_fp_s=round(h[0][0] - t0, 1) if h else None,
                 suspicions=len([e for e in s if e[3] in healthy]))
        if slow:
            r["fp_at_healthy"] = len([e for e in h if e[1] not in slow])
            r["failed_events_about_slow"] = len(fl) - len(h)
        return r

    def t_loss(self, pct, tcp, secs=60):
        cl = self.cl
        a = self.meter()
        self.net.loss(float(pct), tcp == "drop")
        t0 = NOW()
        time.sleep(float(secs))
        t1 = NOW()
        self.net.loss(float(pct), tcp == "drop", "-D")
        r = self._fp(t0, t1, set(cl.ids))
        m = self.metered(a)
        ok = cl.wait(cl.all_alive, 120)
        self.out(test="loss", pct=float(pct), tcp=tcp, **r, healed=ok,
                 heal_s=round(NOW() - t1, 2), **m)
        time.sleep(10)

    def t_slow(self, on, run, k=2, secs=60):
        cl = self.cl
        slow = set(cl.ids[-int(k):])
        a = self.meter()
        t0 = NOW()
        while NOW() - t0 < float(secs):
            for i in slow:
                cl.ad.pause(i)
            time.sleep(float(on))
            for i in slow:
                cl.ad.resume(i)
            time.sleep(float(run))
        t1 = NOW()
        time.sleep(0.5)
        r = self._fp(t0, NOW(), set(cl.ids) - slow, slow)
        m = self.metered(a)
        ok = cl.wait(cl.all_alive, 120)
        self.out(test="slow", slow_nodes=len(slow), stop_s=float(on), run_s=float(run), **r, healed=ok,
                 heal_s=round(NOW() - t1, 2), **m)
        time.sleep(10)

    def t_part(self, secs=60):
        cl, h = self.cl, self.cl.n // 2
        A, B = cl.ids[:h], cl.ids[h:]
        self.net.partition()
        t0 = NOW()
        cut = cl.wait(lambda: all(cl.sees(v, "failed", A) for v in B)
                      and all(cl.sees(v, "failed", B) for v in A), float(secs))
        cut_s = NOW() - t0
        time.sleep(max(0, float(secs) - cut_s))
        inside = [e for e in cl.events(t0, NOW(), "failed") if (e[1] in A) == (e[3] in A)]
        self.net.partition("-D")
        a = self.meter()
        t1 = NOW()
        ok = cl.wait(cl.all_alive, 240)
        t2 = NOW()
        m = self.metered(a)
        al = cl.events(t1, t2, "alive")
        self.out(test="part", secs=float(secs), complete_cut=cut, cut_s=round(cut_s, 2),
                 fp_inside=len(inside), healed=ok, heal_s=round(t2 - t1, 2),
                 heal_first_s=round(min([e[0] for e in al], default=t2) - t1, 2),
                 during_heal=m)
        time.sleep(10)

    def run(self, spec):
        name, *args = spec.split(":")
        getattr(self, "t_" + name)(*args)


def inside(a):
    sh("ip", "link", "set", "lo", "up")
    wd = a.workdir or tempfile.mkdtemp(prefix="membench-")
    os.makedirs(wd, exist_ok=True)
    os.chmod(wd, 0o755)
    ad = ADAPTERS[a.system](a.n, a.profile, wd, set(filter(None, a.opts.split(","))))
    net = Net(ad)
    cl = Cluster(ad)
    b = Bench(cl, net)
    tag = dict(system=a.system, n=a.n, profile=a.profile, opts=a.opts)
    try:
        for i in cl.ids:
            cl.start(i)
        for i in cl.ids:
            ad.wait_ready(i)
        time.sleep(1)
        specs = a.tests.split(",")
        if specs[0] != "join":
            specs.insert(0, "join")
        for s in specs:
            b.run(s)
    finally:
        for p in ad.proc.values():
            if p.poll() is None:
                p.kill()
                p.wait()
        if a.o:
            with open(a.o, "w") as f:
                json.dump(dict(tag, results=b.res), f, indent=1)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--system", default="serf", choices=sorted(ADAPTERS))
    p.add_argument("--n", type=int, default=16)
    p.add_argument("--profile", default="lan")
    p.add_argument("--opts", default="")
    p.add_argument("--tests", default="join,steady,crash")
    p.add_argument("--workdir", default="")
    p.add_argument("-o", default="")
    p.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.inside:
        return inside(a)
    ns = "membench-%d" % os.getpid()
    sh("ip", "netns", "add", ns)
    try:
        return subprocess.run(["ip", "netns", "exec", ns, sys.executable]
                              + sys.argv + ["--inside"]).returncode
    finally:
        subprocess.run(["ip", "netns", "del", ns])


if __name__ == "__main__":
    sys.exit(main())

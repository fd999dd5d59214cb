#!/usr/bin/python3
"""Murmuration on loopback: mrnode and mrctl of $MR_BUILD (python3 stdlib only).
  murmuration_bench.py throughput NODES [N]   murmuration_bench.py latency NODES
  murmuration_bench.py rss NODES              murmuration_bench.py fault SCENARIO
SCENARIO: none worker node2 node3 submitter two stop straggler healthy (as straggler, without one)
"""
import os, signal, shutil, subprocess, sys, tempfile, time
from common import *
BUILD = os.environ.get("MR_BUILD") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../build")
tmp = tempfile.mkdtemp(prefix="murb")
os.environ.update(MR_KEY_FILE=f"{tmp}/key", XDG_CACHE_HOME=f"{tmp}/cache", NO_COLOR="1")

def ctl(*args, at=None, **kw):
    return subprocess.run([f"{BUILD}/mrctl"] + (["-n", at] if at else []) + list(args), capture_output=True, text=True, timeout=120, **kw)

class Flock:
    """nodes of `slots` slots each, all knowing each other"""
    def __init__(self, P, nodes, slots=1, paths=None):
        ctl("keygen", f"{tmp}/key")
        self.P, self.procs, self.addresses = P, [], []
        for i in range(nodes):
            env = dict(os.environ)
            if paths and paths.get(i):
                env["PATH"] = paths[i] + ":" + env["PATH"]
            out = f"{tmp}/{i}.out"
            argv = [f"{BUILD}/mrnode", "-d", f"{tmp}/n{i}", "--name", f"n{i}", "--listen", "127.0.0.1:0", "--slots", str(slots), "--profile", "local",
                    "--task-user", "own", "--task-write", tmp]  # tasks append to a file that all see
            if self.addresses:
                argv += ["--join", self.addresses[0]]
            p = P.start(argv, log=out, env=env)
            for _ in range(200):
                line = [x for x in open(out).read().split("\n") if x.startswith("ready ")]
                if line:
                    break
                time.sleep(0.05)
            self.procs.append(p)
            self.addresses.append(line[0].split("listen=")[1].split()[0])
        for _ in range(300):
            if all(self.alive(a) == nodes for a in self.addresses):
                break
            time.sleep(0.05)
        time.sleep(1.5)
    def alive(self, a):
        r = ctl("members", "-o", "json", at=a)
        try:
            return sum(m["state"] == "alive" for m in json.loads(r.stdout))
        except ValueError:
            return 0

def fsync_ms():
    xs = []
    with open(f"{tmp}/fsync", "wb") as f:
        for i in range(50):
            f.write(b"x" * 4096); f.flush()
            t = time.perf_counter(); os.fsync(f.fileno()); xs.append(time.perf_counter() - t)
    return lat(xs)

def merged(text):
    """of lines of JSON objects, one or two each"""
    row = {}
    for part in text.replace("} {", "}\n{").split("\n"):
        if part.strip():
            row.update(json.loads(part))
    return row

def throughput(nodes, n):
    with Procs() as P:
        f = Flock(P, nodes)
        bag = "\n".join(map(str, range(n))) + "\n"
        ctl("run", "-q", "-t", "/bin/true", at=f.addresses[0], input=bag)
        for r in range(3):
            t = time.perf_counter()
            got = ctl("run", "-q", "-t", "/bin/true", "--joblog", f"{tmp}/log{r}", at=f.addresses[r % nodes], input=bag)
            t = time.perf_counter() - t
            rows = open(f"{tmp}/log{r}").read().count("\n") - 1
            emit(tool="murmuration", what="run -t /bin/true, exit codes and output kept on 2 nodes", workers=nodes, n=n, run=r, tasks_per_s=round(n / t), rc=got.returncode, results=rows)
        many = "\n".join(map(str, range(10 * n))) + "\n"
        for r in range(3):
            t = time.perf_counter()
            got = ctl("run", "-q", "-t", "@true", "--joblog", f"{tmp}/noop{r}", at=f.addresses[r % nodes], input=many)
            t = time.perf_counter() - t
            rows = open(f"{tmp}/noop{r}").read().count("\n") - 1
            emit(tool="murmuration", what="built-in no-op in a bag: claimed in batches, each result on 2 nodes, upload and joblog included", workers=nodes, n=10 * n, run=r, tasks_per_s=round(10 * n / t), rc=got.returncode, results=rows)
        for a in f.addresses[:2]:
            r = subprocess.run([f"{BUILD}/bench/latency", "-c", "@true", "-n", str(5 * n), a, "3"], capture_output=True, text=True, timeout=120)
            emit(tool="murmuration", what="built-in no-op, each an attempt of its own, claimed, done, on all nodes; list of inputs stored first", workers=nodes, n=5 * n, rc=r.returncode, **merged(r.stdout))
        n //= 5
        open(f"{tmp}/lines", "w").write("\n".join(map(str, range(n))) + "\n")
        for r in range(2):
            t = time.perf_counter()
            got = ctl("submit", "-q", "-w", "-m", "@cat", "--split", "1", "-i", f"{tmp}/lines", at=f.addresses[0])
            t = time.perf_counter() - t
            row = json.loads(ctl("status", got.stdout.split()[0], "-o", "json", at=f.addresses[0]).stdout)
            emit(tool="murmuration", what="built-in no-op, a task a line, each an attempt of its own, upload included", workers=nodes, n=n, run=r, tasks_per_s=round(n / t), state=row["state"])

def latency(nodes):
    with Procs() as P:
        f = Flock(P, nodes)
        open(f"{tmp}/in", "w").write("x\n")
        emit(tool="murmuration", what="fsync of 4 KiB, ms", **fsync_ms())
        for a in f.addresses:
            r = subprocess.run([f"{BUILD}/bench/latency", "-c", "/bin/true", a, "100"], capture_output=True, text=True, timeout=120)
            emit(tool="murmuration", what="open connection: /bin/true, submission to result on two disks, ms", workers=nodes, rc=r.returncode, **merged(r.stdout))
        for what, argv in (("fresh `mrctl run -t /bin/true ::: 1`, ms", ["run", "-q", "-t", "/bin/true", ":::", "1"]),
                           ("fresh `mrctl run -m /bin/true`, ms", ["run", "-q", "-m", "/bin/true", "-i", f"{tmp}/in"]),
                           ("fresh `mrctl ping` (connect, key exchange, one request), ms", ["ping"])):
            xs = []
            for i in range(60):
                t = time.perf_counter()
                r = ctl(*argv, at=f.addresses[i % nodes])
                assert r.returncode == 0, r
                xs.append(time.perf_counter() - t)
                time.sleep(0.02)
            emit(tool="murmuration", what=what, workers=nodes, n=60, **lat(xs))

def anonymous_kib(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1])

def rss(nodes):
    with Procs() as P:
        f = Flock(P, nodes)
        time.sleep(2)
        emit(tool="murmuration", what="idle rss KiB", nodes=[dict(rss_kib(p.pid), anonymous=anonymous_kib(p.pid)) for p in f.procs])
        ctl("run", "-q", "-t", "/bin/true", at=f.addresses[0], input="".join(f"{i}\n" for i in range(10000)))
        time.sleep(1)
        emit(tool="murmuration", what="rss KiB after 10,000 tasks", nodes=[dict(rss_kib(p.pid), anonymous=anonymous_kib(p.pid)) for p in f.procs])

def fault(scenario, n=200, nodes=4, cap=60.0):
    """200 jobs of 0.2 s, as the other tools'; starts and ends are appended to a file"""
    log = f"{tmp}/execs"
    open(log, "w").close()
    sleep = "sleep 0.2"
    if scenario == "straggler":
        sleep = 'if [ "$MR_NODE_NAME" = n3 ]; then sleep 2; else sleep 0.2; fi'
    if scenario in ("straggler", "healthy"):
        n = 100
    victims = {"none": [], "five": [], "straggler": [], "healthy": [], "worker": [1], "node2": [2], "node3": [3], "submitter": [0], "two": [0, 1], "stop": [1]}[scenario]
    with Procs() as P:
        f = Flock(P, nodes + (scenario in ("two", "five")))
        nodes = len(f.procs)
        t0 = time.perf_counter()
        c = subprocess.Popen([f"{BUILD}/mrctl", "-n", f.addresses[0], "run", "-q", "-t", f'echo "s {{}}" >>{log}; {sleep}; echo "e {{}}" >>{log}; echo {{}}',
                              "--joblog", f"{tmp}/joblog", ":::"] + [str(i) for i in range(n)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        info = {}
        while c.poll() is None and time.perf_counter() - t0 < cap:
            ended = {x[2:] for x in open(log).read().split("\n") if x.startswith("e ")}
            if victims and "killed_at_s" not in info and len(ended) >= n // 2:
                info.update(killed_at_s=round(time.perf_counter() - t0, 2), done_at_kill=len(ended))
                for v in victims:
                    os.kill(f.procs[v].pid, signal.SIGSTOP if scenario == "stop" else signal.SIGKILL)
            time.sleep(0.02)
        el = time.perf_counter() - t0
        if c.poll() is None:
            c.kill()
        out = c.communicate()[0]
        # What each survivor says of the job, once it has heard of the end; run has removed the results that it printed.
        time.sleep(1)
        survivors = [i for i in range(nodes) if i not in victims]
        rows = [json.loads(ctl("status", "-o", "json", at=f.addresses[i]).stdout or "[]") for i in survivors]
        told = [r[0]["state"] if r else None for r in rows]
        tasks = json.loads(ctl("tasks", rows[0][0]["job"], "-o", "json", at=f.addresses[survivors[0]]).stdout or "[]")
        done = [t["task"] for t in tasks if t["state"] == "done"]
        lines = open(log).read().split("\n")
        starts = [x[2:] for x in lines if x.startswith("s ")]
        emit(tool="murmuration", what="fault", scenario=scenario, makespan_s=round(el, 2), ideal_s=n * .2 / nodes, jobs=n, rc=c.returncode,
             results=len(set(out.split())), state_at_survivors=told, tasks_done_twice=len(done) - len(set(done)), executions_started=len(starts), executed_again=len(starts) - n, **info)

if __name__ == "__main__":
    w = sys.argv[1]
    try:
        if w == "throughput":
            throughput(int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 2000)
        elif w == "latency":
            latency(int(sys.argv[2]))
        elif w == "rss":
            rss(int(sys.argv[2]))
        elif w == "fault":
            fault(sys.argv[2])
    finally:
        shutil.rmtree(tmp, ignore_errors=True)

#!/usr/bin/python3
"""table.py [FOLDER|FILE.jsonl ...]: a table of ours, Serf's, their ratio, and the bars of ours.

A folder is what run.sh left (SYSTEM-NAME.json), a file has a run a line, as in measured.jsonl, which is read when nothing
is named. With --lines the runs are printed so instead, without what the table does not show."""
import glob
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
KEPT = {"test", "all_s", "udp_B_s", "tcp_B_s", "cpu_pct", "rss_kib", "med_last", "last", "wrong", "pct", "tcp", "fp", "heal_s", "reps",
        "machine_busy_pct"}
NEVER = float("inf")
# (measure, nodes): (must, aim). What is not here has no bar.
BARS = {("bytes sent, a node and second", n): (260, 210) for n in (16, 32, 64)}
BARS.update({("CPU, % of a core, a node", n): (0.1, 0.04) for n in (16, 32, 64)})
BARS.update({("resident memory, MiB, a node", n): (8, 5) for n in (16, 32, 64)})
BARS.update({("kill -9: known to all, median s", n): (3, 1) for n in (16, 32, 64)})
BARS.update({("SIGSTOP: known to all, median s", n): (5, 3.5) for n in (16, 32, 64)})
BARS.update({("mass join: all know all, worst s", n): (5, 2) for n in (16, 32)})
BARS.update({("wrong failures, %d %% lost, TCP clean" % p, 16): (0, 0) for p in (10, 25, 40, 60, 80)})
BARS.update({("wrong failures, %d %% lost, TCP lossy too" % p, n): bar for n, p, bar in
             ((16, 40, (0, 0)), (16, 60, (22, 0)), (16, 80, (179, 20)), (32, 25, (0, 0)), (32, 40, (10, 0)))})
BARS.update({("slow nodes: healthy ones failed", n): (0, 0) for n in (16, 32)})
BARS[("halves apart, healed: all well, worst s", 16)] = (5, 3)
BARS[("restart: `restarted` seen by all, worst s", 16)] = (1, 1)


def load(paths):
    """[{system, n, results}]"""
    runs = []
    for path in paths:
        if not os.path.isdir(path):
            runs += [json.loads(line) for line in open(path)]
            continue
        for name in sorted(glob.glob(os.path.join(path, "*.json"))):
            runs.append(json.load(open(name)))
    return runs


def kept(result):
    if "reps" in result and isinstance(result["reps"], list):
        result = dict(result, reps=[{"restarted_all_s": x.get("restarted_all_s"), "all_s": x["all_s"]} for x in result["reps"]])
    return {k: v for k, v in result.items() if k in KEPT}


def rows_of(test, r):
    """(measure, value) pairs of one result."""
    if test == "join":
        return [("mass join: all know all, worst s", r["all_s"])]
    if test == "steady":
        return [("bytes sent, a node and second", r["udp_B_s"] + r["tcp_B_s"]),
                ("CPU, % of a core, a node", r["cpu_pct"]),
                ("resident memory, MiB, a node", round(r["rss_kib"] / 1024, 1))]
    if test == "crash":
        return [("kill -9: known to all, median s", r["med_last"]), ("kill -9: wrong failures meanwhile", r["wrong"])]
    if test == "hang":
        return [("SIGSTOP: known to all, median s", r["med_last"])]
    if test == "loss":
        what = "TCP clean" if r["tcp"] == "keep" else "TCP lossy too"
        return [("wrong failures, %d %% lost, %s" % (r["pct"], what), r["fp"])]
    if test == "slow":
        return [("slow nodes: healthy ones failed", r["fp"])]
    if test == "part":
        return [("halves apart, healed: all well, worst s", r["heal_s"])]
    if test == "restart":
        told = [x.get("restarted_all_s") for x in r["reps"]]
        return [("restart: `restarted` seen by all, worst s", NEVER if None in told else max(told))]
    return []


def show(value):
    if value is None:
        return "-"
    if value == NEVER:
        return "never"
    return "%.3g" % value if isinstance(value, float) else str(value)


def main():
    paths = [a for a in sys.argv[1:] if a != "--lines"] or [os.path.join(HERE, "measured.jsonl")]
    runs = load(paths)
    if "--lines" in sys.argv:
        for run in runs:
            print(json.dumps(dict(system=run["system"], n=run["n"], results=[kept(r) for r in run["results"]])))
        return
    table, busy = {}, []
    for run in runs:
        for result in run["results"]:
            if result.get("machine_busy_pct") is not None:
                busy.append(result["machine_busy_pct"])
            for measure, value in rows_of(result["test"], result):
                table.setdefault((measure, run["n"]), {}).setdefault(run["system"], []).append(value)
    print("%-44s %4s %9s %9s %7s %6s %6s  %s" % ("measure", "n", "mrnode", "serf", "ratio", "must", "aim", "runs"))
    missed = 0
    for (measure, n), by_system in sorted(table.items(), key=lambda x: (x[0][0].strip(), x[0][1])):
        worst = {s: max(v) for s, v in by_system.items()}
        ours, theirs = worst.get("mrnode"), worst.get("serf")
        ratio = "%.2f" % (ours / theirs) if ours is not None and theirs and theirs != NEVER else ""
        must, aim = BARS.get((measure, n), (None, None))
        is_missed = must is not None and ours is not None and ours > must
        missed += is_missed
        print(("%-44s %4d %9s %9s %7s %6s %6s  %d/%d%s" % (
            measure, n, show(ours), show(theirs), ratio, show(must), show(aim), len(by_system.get("mrnode", [])),
            len(by_system.get("serf", [])), "  MISSED" if is_missed else "")).rstrip())
    print("of several runs the worst; runs: ours/Serf's")
    if busy:
        print("machine busy: %d %% on average (times and processor time are honest only when it is low)" % (sum(busy) / len(busy)))
    if missed:
        print("%d bars missed" % missed)


if __name__ == "__main__":
    main()

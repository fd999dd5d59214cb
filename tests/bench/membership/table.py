#!/usr/bin/python3
"""Reads what run.sh left in a folder (SYSTEM-NAME.json) and prints a table: ours, Serf's, ratio."""
import glob
import json
import os
import sys


def load(folder):
    seen = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        system, name = os.path.basename(path)[:-5].split("-", 1)
        run = json.load(open(path))
        for result in run["results"]:
            seen.setdefault((result["test"], run["n"], name), {}).setdefault(system, []).append(result)
    return seen


def rows_of(test, r):
    """(measure, value) pairs of one result."""
    if test == "join":
        return [("mass join: all know all, s", r["all_s"])]
    if test == "steady":
        return [("bytes sent, a node and second", r["udp_B_s"] + r["tcp_B_s"]),
                ("CPU, % of a core, a node", r["cpu_pct"]),
                ("resident memory, MiB, a node", round(r["rss_kib"] / 1024, 1))]
    if test == "crash":
        return [("kill -9: known to all, median s", r["med_last"]), ("  wrong failures meanwhile", r["wrong"])]
    if test == "hang":
        return [("SIGSTOP: known to all, median s", r["med_last"])]
    if test == "loss":
        what = "TCP clean" if r["tcp"] == "keep" else "TCP lossy too"
        return [("wrong failures, %d %% lost, %s" % (r["pct"], what), r["fp"])]
    if test == "slow":
        return [("slow nodes: healthy ones failed", r["fp"])]
    if test == "part":
        return [("halves apart, healed: all well, s", r["heal_s"])]
    if test == "restart":
        told = [x.get("restarted_all_s") for x in r["reps"]]
        told = None if None in told else max(told)
        return [("restart: `restarted` seen by all, s", told),
                ("restart: all well, worst s", max(x["all_s"] for x in r["reps"]))]
    return []


def show(value):
    if value is None:
        return "never"
    return "%.3g" % value if isinstance(value, float) else str(value)


def main():
    table = {}
    for (test, n, _), by_system in load(sys.argv[1]).items():
        for system, results in by_system.items():
            for result in results:
                for measure, value in rows_of(test, result):
                    table.setdefault((measure, n), {}).setdefault(system, []).append(value)
    print("%-44s %4s %10s %10s %8s" % ("measure (of several runs the worst)", "n", "mrnode", "serf", "ratio"))
    for (measure, n), by_system in sorted(table.items(), key=lambda x: (x[0][0].strip(), x[0][1])):
        worst = {s: None if None in v else max(v) for s, v in by_system.items()}
        ours, theirs = worst.get("mrnode"), worst.get("serf")
        ratio = "%.2f" % (ours / theirs) if ours is not None and theirs else ""
        print("%-44s %4d %10s %10s %8s" % (measure, n, show(ours), show(theirs) if "serf" in worst else "-", ratio))
    busy = [r.get("machine_busy_pct") for b in load(sys.argv[1]).values() for rs in b.values() for r in rs]
    busy = [b for b in busy if b is not None]
    if busy:
        print("machine busy: %d %% on average (CPU figures are honest only when it is low)" % (sum(busy) / len(busy)))


if __name__ == "__main__":
    main()

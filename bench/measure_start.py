#!/usr/bin/env python3
"""Measures Banyan's start beside the floors, interleaved, in one session, and writes what it saw as JSON.

A round goes through all numbers of ranks, and for each through all programs, so that a machine that is slower for a
minute is slower for everybody. What the programs measure is told in their own first lines: baselines/unix_star.cc,
start_benchmark.cc, and examples/bootstrap_demo.cc for the two figures that a user sees.

    bench/measure_start.py                       20 rounds of 8, 64, 512 and 1,024 ranks
    bench/measure_start.py --report FILE         only prints the tables of a file
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Banyan's own options; what is found in the environment must not change the figures.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("BANYAN_")}

# What each series is called in the tables, in their order, and the floor that it is compared with.
SERIES = {
    "unix_star, warm": ("floor: Unix star", None),
    "tcp_star, warm": ("floor: TCP star", "unix_star, warm"),
    "banyan, warm": ("Banyan", "unix_star, warm"),
    "demo, warm": ("bootstrap_demo, start_ms", "unix_star, warm"),
    "unix_star, cold": ("floor: Unix star, cold", None),
    "tcp_star, cold": ("floor: TCP star, cold", "unix_star, cold"),
    "banyan, cold": ("Banyan, cold", "unix_star, cold"),
    "demo, cold": ("bootstrap_demo, cold_start_ms", "unix_star, cold"),
}


def first_line(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def machine(build):
    """What a reader needs to judge the figures; nothing that names the machine."""
    cpu = memory = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal"):
            memory = f"{int(line.split()[1]) / 2**20:.0f} GiB"
    cache = build / "CMakeCache.txt"
    options = dict(line.split("=", 1) for line in cache.read_text().splitlines() if "=" in line) if cache.exists() else {}
    return {
        "date": datetime.date.today().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "cpu": cpu,
        "memory": memory,
        "kernel": platform.release(),
        "compiler": first_line([options.get("CMAKE_CXX_COMPILER:FILEPATH", "c++"), "--version"]),
        "build": options.get("CMAKE_BUILD_TYPE:STRING", "unknown"),
        "banyan": first_line([build / "bin" / "banyan", "--version"]),
        "load_before": round(os.getloadavg()[0], 2),
    }


class Session:
    def __init__(self, arguments):
        self.bin = arguments.build / "bin"
        self.warm_starts = arguments.warm_starts
        self.timeout = arguments.timeout
        self.samples = []
        self.failures = []

    def lines_of(self, name, command):
        """The JSON lines that the program prints; none, and a note, when it fails."""
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, env=CLEAN, stdin=subprocess.DEVNULL, timeout=2 * self.timeout
            )
            lines = [json.loads(line) for line in done.stdout.splitlines()]
            if done.returncode == 0 and lines and all(line["ok"] for line in lines):
                return lines
            reason = f"exit code {done.returncode}: {done.stderr.strip()[-500:] or done.stdout.strip()[-500:]}"
        except (subprocess.TimeoutExpired, json.JSONDecodeError) as error:
            reason = str(error)
        self.failures.append(f"{name}: {reason}")
        print(f"{name} failed: {reason}", file=sys.stderr)
        return []

    def add(self, series, ranks, turn, **figures):
        self.samples.append({"series": series, "ranks": ranks, "round": turn, **figures})

    def under_banyan(self, ranks, *command):
        launcher = [self.bin / "banyan", "run", "-q", "-n", str(ranks), "--timeout", str(self.timeout), "--no-prefix"]
        return [*launcher, "--", self.bin / command[0], *command[1:]]

    def measure_programs(self, ranks, turn):
        runs = self.warm_starts + 1
        programs = {
            "unix_star": [self.bin / "unix_star", "-n", str(ranks), "--runs", str(runs)],
            "tcp_star": [self.bin / "unix_star", "-n", str(ranks), "--runs", str(runs), "--tcp"],
            "banyan": self.under_banyan(ranks, "start_benchmark", str(self.warm_starts)),
        }
        for name, command in programs.items():
            for line in self.lines_of(f"{name} with {ranks} ranks", command):
                kept = ("slowest_ms", "cpu_us_per_rank", "cpu_us_median_process", "cpu_us_busiest_process")
                warmth = "warm" if line["run"] > 0 else "cold"
                self.add(f"{name}, {warmth}", ranks, turn, **{key: line[key] for key in kept})
        command = self.under_banyan(ranks, "bootstrap_demo", "--json")
        for line in self.lines_of(f"bootstrap_demo with {ranks} ranks", command):
            self.add("demo, warm", ranks, turn, slowest_ms=line["start_ms"])
            self.add("demo, cold", ranks, turn, slowest_ms=line["cold_start_ms"])


def medians(samples, figure):
    """(series, ranks) -> the median of one figure."""
    values = {}
    for sample in samples:
        if figure in sample:
            values.setdefault((sample["series"], sample["ranks"]), []).append(sample[figure])
    return {key: statistics.median(of_key) for key, of_key in values.items()}


def spread(values):
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return f"{low:.2f} - {high:.2f} | {min(values):.2f} - {max(values):.2f}"


def report(results):
    """The tables of docs/benchmarks.md."""
    samples = results["samples"]
    ms, cpu = medians(samples, "slowest_ms"), medians(samples, "cpu_us_per_rank")
    busiest = medians(samples, "cpu_us_busiest_process")
    print("; ".join(f"{key}: {value}" for key, value in results["machine"].items()))
    for ranks in sorted({sample["ranks"] for sample in samples}):
        print(f"\n**{ranks:,} ranks**\n")
        print("| | ms, median | quartiles | min - max | x floor | CPU us per rank | x floor | CPU us, busiest process |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        for series, (title, floor) in SERIES.items():
            values = [s["slowest_ms"] for s in samples if s["series"] == series and s["ranks"] == ranks]
            if not values:
                continue
            key, floor_key = (series, ranks), (floor, ranks)

            def cell(table, form):
                return form.format(table[key]) if key in table else ""

            def ratio(table):
                return f"{table[key] / table[floor_key]:.2f}" if key in table and floor_key in table else ""

            print(
                f"| {title} | {ms[key]:.2f} | {spread(values)} | {ratio(ms)} | "
                f"{cell(cpu, '{:.0f}')} | {ratio(cpu)} | {cell(busiest, '{:.0f}')} |"
            )


def show(progress):
    """On a terminal, in place of what was shown last; the empty string clears it."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{progress}", end="", file=sys.stderr)


def write(path, results):
    """One sample a line, so that two results can be compared with diff."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = json.dumps({key: value for key, value in results.items() if key != "samples"}, indent=1)
    lines = ",\n  ".join(json.dumps(sample) for sample in results["samples"])
    path.write_text(f'{head[:-2]},\n "samples": [\n  {lines}\n ]\n}}\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="the build folder")
    parser.add_argument("--ranks", default="8,64,512,1024", help="numbers of ranks, with commas between them")
    parser.add_argument("--runs", type=int, default=20, help="how many rounds")
    parser.add_argument("--warm-starts", type=int, default=1, help="warm starts after each cold one")
    parser.add_argument("--timeout", type=int, default=120, help="seconds that one start may take")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "bench" / "results" / "start.json")
    parser.add_argument("--report", type=pathlib.Path, help="print the tables of this file and measure nothing")
    arguments = parser.parse_args()
    if arguments.report:
        report(json.loads(arguments.report.read_text()))
        return 0

    facts = machine(arguments.build)
    session = Session(arguments)
    for turn in range(arguments.runs):
        for ranks in map(int, arguments.ranks.split(",")):
            print(f"round {turn + 1} of {arguments.runs}, {ranks} ranks", file=sys.stderr)
            session.measure_programs(ranks, turn)
    settings = {"runs": arguments.runs, "warm_starts": arguments.warm_starts}
    results = {"machine": facts, "settings": settings, "failures": session.failures, "samples": session.samples}
    write(arguments.out, results)
    report(results)
    return 1 if session.failures else 0


if __name__ == "__main__":
    sys.exit(main())

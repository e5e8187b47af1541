#!/usr/bin/env python3
"""Holds the simulation against real jobs on this machine: cold starts of N processes, measured and simulated.

The costs are measured first, by `banyan calibrate`. Then, round after round, real jobs start: as one host, and as hosts of 8
ranks each (`--ranks-per-host 8`, over TCP). The simulation gets as many cores as this machine has, no distance and no limit of
bandwidth. Prints a table; a ratio above 1 means that the simulation is slower.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

BIN = pathlib.Path(__file__).resolve().parents[1] / "build" / "bin"


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def measured_ms(ranks, ranks_per_host):
    hosts = () if ranks_per_host == ranks else ("--ranks-per-host", ranks_per_host)
    line = run(BIN / "banyan", "run", "-q", "-n", ranks, *hosts, "--no-prefix", "--", BIN / "start_benchmark", 0)
    return json.loads(line)["slowest_ms"]


def simulated_ms(ranks, ranks_per_host, costs):
    line = run(BIN / "banyan", "simulate", "--json", "-n", ranks, "--ranks-per-host", ranks_per_host, "--costs", costs,
               "--one-machine", "--cores-per-host", os.cpu_count(), "--latency-us", 0, "--bandwidth-gbps", 0)
    return json.loads(line)["formed_ms"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--ranks", default="8,64,512,1024")
    options = parser.parse_args()
    shapes = [(ranks, per_host) for ranks in map(int, options.ranks.split(","))
              for per_host in dict.fromkeys((ranks, min(8, ranks)))]
    with tempfile.TemporaryDirectory() as folder:
        costs = pathlib.Path(folder) / "costs.json"
        run(BIN / "banyan", "calibrate", "--output", costs)
        samples = {shape: [] for shape in shapes}
        for number in range(options.rounds):
            for shape in shapes:
                if sys.stderr.isatty():
                    print(f"\r\x1b[Kround {number + 1} of {options.rounds}: {shape[0]} ranks", end="", file=sys.stderr)
                samples[shape].append(measured_ms(*shape))
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr)
        print("| ranks | hosts | measured, ms (median) | quartiles | simulated, ms | simulated / measured |")
        print("|---:|---:|---:|---:|---:|---:|")
        for (ranks, per_host), found in samples.items():
            median = statistics.median(found)
            low, _, high = statistics.quantiles(found, n=4) if len(found) > 1 else (median, median, median)
            simulated = simulated_ms(ranks, per_host, costs)
            print(f"| {ranks:,} | {-(-ranks // per_host):,} | {median:.2f} | {low:.2f} - {high:.2f} | {simulated:.2f} | "
                  f"{simulated / median:.2f} |")


if __name__ == "__main__":
    main()

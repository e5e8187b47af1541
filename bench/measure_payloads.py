#!/usr/bin/env python3
"""Measures large payloads: Banyan and Open MPI (where it is built) in turns, each in two forms of its results.

Banyan's are read in place, by a handle, or copied into strings; Open MPI's stand in a buffer that is kept from one
repetition to the next, or in a new one each time, which is what Banyan's ranks have.

    bench/measure_payloads.py                                    allgather with 64 processes, broadcast of 1 GiB to 8
    bench/measure_payloads.py --allgather 16x65536 --broadcast 8x1048576 --rounds 1
    bench/measure_payloads.py --report FILE                      only prints the tables of a file
"""

import argparse
import csv
import json
import pathlib
import statistics
import subprocess
import sys

from results_file import CLEAN, RESULTS, ROOT, show, write

GIB = 1 << 30
# Each rank holds a result, the host's memory that they share another, and its leader what it is made of.
COPIES_MORE = 4
# Open MPI would refuse a root user and more ranks than cores, and its ranks would spin without giving way.
MPIRUN = ["mpirun.openmpi", "--allow-run-as-root", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1"]


def implementations(binaries):
    """{name: command, to which -n N, program and options are added}"""
    banyan = ([binaries / "banyan", "run", "--no-prefix", "--quiet"], binaries / "large_payloads")
    found = {f"banyan, {form}": (*banyan, ["--form", form]) for form in ("handle", "strings")}
    if (program := binaries / "peers" / "open-mpi-payloads").exists():
        found |= {f"open-mpi, {form} buffer": (MPIRUN, program, ["--form", form]) for form in ("kept", "new")}
    else:
        print("Open MPI is not built here: make -f Makefile.benchmark peers", file=sys.stderr)
    return found


def run_once(implementation, measure, repetitions):
    """What rank 0 prints: facts about the machine, and one dictionary for each repetition."""
    launcher, program, options = implementation
    command = [*launcher, "-n", measure["ranks"], "--", program, "--operation", measure["operation"],
               "--bytes", measure["bytes"], "--reps", repetitions, *options]
    words = [str(word) for word in command if word != "--" or launcher is not MPIRUN]
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=CLEAN).stdout)


def memory_available():
    with open("/proc/meminfo", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def fits(measure):
    results = measure["ranks"] if measure["operation"] == "allgather" else 1
    needed = (measure["ranks"] + COPIES_MORE) * results * measure["bytes"]
    if needed < memory_available():
        return True
    print(f"{name_of(measure)} is left out: it needs {needed / GIB:.1f} GiB of memory", file=sys.stderr)
    return False


def measure_all(arguments, measures):
    found = implementations(arguments.build / "bin")
    samples = [measure | {"implementation": name, "repetitions": []}
               for measure in measures if fits(measure) for name in found]
    if not samples:
        sys.exit("nothing is left to measure")
    results = {"machine": {}, "settings": {"rounds": arguments.rounds, "reps": arguments.reps}, "samples": []}
    for turn in range(arguments.rounds):
        for sample in samples if turn % 2 == 0 else reversed(samples):
            show(f"round {turn + 1} of {arguments.rounds}: {name_of(sample)}, {sample['implementation']}")
            repetitions = 1 if sample["bytes"] >= GIB else arguments.reps
            result = run_once(found[sample["implementation"]], sample, repetitions)
            sample["repetitions"] += result["repetitions"]
            # Written each time, so that a run that is cut off leaves what it had measured.
            results |= {"machine": result["machine"], "samples": [one for one in samples if one["repetitions"]]}
            write(arguments.out, results)
            write_csv(arguments.out.with_suffix(".csv"), results["samples"])
    show("")
    return results


def name_of(measure):
    units = ((30, "GiB"), (20, "MiB"), (10, "KiB"), (0, "B"))
    size = next(f"{measure['bytes'] >> shift} {unit}" for shift, unit in units if measure["bytes"] >= 1 << shift)
    return f"{measure['operation']}, {measure['ranks']} ranks, {size}"


def figures(sample):
    """Medians over the repetitions, but for the least time and the peaks."""
    values = {key: [one[key] for one in sample["repetitions"]] for key in sample["repetitions"][0]}
    return {key: statistics.median(all_values) for key, all_values in values.items()} | {
        "ms_min": min(values["ms"]), "peak_mib": max(values["peak_mib"])}


COLUMNS = (("ms", "ms, median"), ("ms_min", "min"), ("arrived_ms", "arrived, ms"), ("cpu_ms", "CPU per rank, ms"),
           ("peak_mib", "peak, MiB"), ("shared_mib", "shared, MiB"), ("proportional_mib", "proportional, MiB"),
           ("before_mib", "before, MiB"))


def report(results):
    """The table of docs/benchmarks.md."""
    print("; ".join(f"{key}: {value}" for key, value in results["machine"].items()) + "\n")
    peer_ms = {name_of(sample): figures(sample)["ms"] for sample in results["samples"]
               if sample["implementation"] == "open-mpi, kept buffer"}
    print("| | | time / Open MPI's, kept | " + " | ".join(title for _, title in COLUMNS) + " |\n"
          "|---|---|" + "---:|" * (len(COLUMNS) + 1))
    for sample in results["samples"]:
        found = figures(sample)
        peer = peer_ms.get(name_of(sample))
        ratio = f"{found['ms'] / peer:.2f}" if peer else ""
        print(f"| {name_of(sample)} | {sample['implementation']} | {ratio} | "
              + " | ".join(f"{found[key]:,.1f}" for key, _ in COLUMNS) + " |")


def write_csv(path, samples):
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["operation", "ranks", "bytes", "implementation", *(key for key, _ in COLUMNS)])
        for sample in samples:
            found = figures(sample)
            rows.writerow([sample[key] for key in ("operation", "ranks", "bytes", "implementation")]
                          + [round(found[key], 3) for key, _ in COLUMNS])


def shapes(operation):
    def parse(text):
        pairs = (word.split("x") for word in text.split(",") if word)
        return [{"operation": operation, "ranks": int(ranks), "bytes": int(size)} for ranks, size in pairs]
    return parse


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="the build folder")
    parser.add_argument("--allgather", type=shapes("allgather"), default="64x1024,64x65536,64x1048576",
                        help="ranks x bytes of each")
    parser.add_argument("--broadcast", type=shapes("broadcast"), default=f"8x{GIB}", help="ranks x bytes")
    parser.add_argument("--rounds", type=int, default=3, help="jobs of each implementation")
    parser.add_argument("--reps", type=int, default=5, help="in each job; from 1 GiB on one")
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "payloads.json")
    parser.add_argument("--report", type=pathlib.Path, help="print the table of this file and measure nothing")
    arguments = parser.parse_args()
    if arguments.report:
        report(json.loads(arguments.report.read_text()))
        return
    try:
        report(measure_all(arguments, arguments.allgather + arguments.broadcast))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(error.cmd)} failed with code {error.returncode}")


if __name__ == "__main__":
    main()

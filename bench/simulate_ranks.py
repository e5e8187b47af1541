#!/usr/bin/env python3
"""Simulates the start of jobs of more and more ranks, by Banyan and by other schemes, and writes the times as JSON.

All run with the same built-in CPU costs and on the same network: `banyan simulate` with what stands in the results under
"settings". A time is simulated, so it does not depend on this machine or its load, and one run of each is enough.

If real jobs have been measured (bootstrap_benchmark), what they ran on is simulated, too: one host with as many cores.

    bench/simulate_ranks.py                          8 to 16,384 ranks; the schemes that cost little to 1,048,576
    bench/simulate_ranks.py --ranks 8,1024,65536
    bench/simulate_ranks.py --append --series "banyan, computed" --ranks 1048576    a quarter of an hour, 17 GiB
    bench/simulate_ranks.py --report FILE            only prints the table of a file
"""

import argparse
import json
import pathlib
import subprocess

from results_file import RESULTS, ROOT, of_benchmark, show, write

RANKS = [2**power for power in range(3, 15)]
SCHEME_RANKS = [2**power for power in range(3, 21)]
# Written out, though some are the command's defaults: they belong to the results.
NETWORK = {"latency-us": 25, "bandwidth-gbps": 25, "ranks-per-host": 8, "blob-bytes": 128, "accept-queue": 4096, "seed": 1}

# What each series is called, and its options.
SERIES = {
    "banyan": ("Banyan", {}),
    "banyan, 17 known": ("Banyan, 17 known hosts", {"rendezvous": 17}),
    "banyan, computed": ("Banyan, computed parents", {"join": "computed"}),
    "star-ring": ("star and ring, sleeping (mscclpp's way)", {"scheme": "star-ring"}),
    "star-ring-bidirectional": ("star and ring, both ways, sleeping (NCCL's)", {"scheme": "star-ring-bidirectional"}),
    "star-ring-no-sleep": ("star and ring, nobody sleeps", {"scheme": "star-ring-no-sleep"}),
}
ONE_MACHINE = "banyan, one machine"
ONE_MACHINE_TITLE = "Banyan, all ranks on one machine"


def simulate(binary, ranks, options):
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = subprocess.run([binary, "simulate", "--json", "-n", str(ranks), *words], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def sample(series, found):
    """`formed_ms` is null where the job never forms: then `kept_out` ranks have given up."""
    return {"series": series, **{key: found.get(key) for key in ("ranks", "formed_ms", "root_cpu_ms", "kept_out", "wall_s")}}


def samples_of(binary, series_list, ranks_list):
    for series in series_list:
        options = SERIES[series][1]
        for ranks in ranks_list or (SCHEME_RANKS if "scheme" in options else RANKS):
            show(f"{ranks:,} ranks, {series}")
            yield sample(series, simulate(binary, ranks, NETWORK | options))
    show("")


def samples_of_measured(binary, measured):
    """As the real jobs ran: all ranks on one host, which has the machine's cores."""
    for ranks in sorted(of_benchmark(measured, "banyan", "cold start")):
        options = {"ranks-per-host": ranks, "cores-per-host": measured["machine"]["cores"]}
        yield sample(ONE_MACHINE, simulate(binary, ranks, NETWORK | options))


def report(results):
    """The table of docs/benchmarks.md."""
    found = {(s["series"], s["ranks"]): s["formed_ms"] for s in results["samples"]}
    print("| ranks | " + " | ".join(title for title, _ in SERIES.values()) + " |")
    print("|" + "---:|" * (len(SERIES) + 1))
    for ranks in sorted({ranks for _, ranks in found}):
        cells = [found.get((series, ranks), "") for series in SERIES]
        if all(cell == "" for cell in cells):
            continue
        words = ["never" if cell is None else f"{cell:,.1f}" if cell else "" for cell in cells]
        print(f"| {ranks:,} | " + " | ".join(words) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="the build folder")
    parser.add_argument("--ranks", help="numbers of ranks, with commas between them")
    parser.add_argument("--series", action="append", choices=SERIES, help="only this one; may be given several times")
    parser.add_argument("--append", action="store_true", help="keep what else stands in the results")
    parser.add_argument("--measured", type=pathlib.Path, default=RESULTS / "bootstrap.json", help="real jobs, if it is there")
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "simulated.json")
    parser.add_argument("--report", type=pathlib.Path, help="print the table of this file and simulate nothing")
    arguments = parser.parse_args()
    if arguments.report:
        report(json.loads(arguments.report.read_text()))
        return
    binary = arguments.build / "bin" / "banyan"
    ranks_list = [int(ranks) for ranks in arguments.ranks.split(",")] if arguments.ranks else None
    samples = list(samples_of(binary, arguments.series or SERIES, ranks_list))
    if arguments.append:
        new = {(found["series"], found["ranks"]) for found in samples}
        old = json.loads(arguments.out.read_text())["samples"]
        samples = [found for found in old if (found["series"], found["ranks"]) not in new] + samples
    elif arguments.measured.exists():
        samples += samples_of_measured(binary, json.loads(arguments.measured.read_text()))
    version = subprocess.run([binary, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    titles = {series: title for series, (title, _) in SERIES.items()} | {ONE_MACHINE: ONE_MACHINE_TITLE}
    results = {"banyan": version, "settings": NETWORK, "titles": titles, "samples": samples}
    write(arguments.out, results)
    report(results)


if __name__ == "__main__":
    main()

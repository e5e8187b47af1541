#!/usr/bin/env python3
"""Holds the simulation against real jobs on this machine: cold starts of N processes, measured and simulated.

The costs are measured first, by `banyan calibrate`. Then, round after round, real jobs start: as one host, and as hosts of 8
ranks each (over TCP); and, as root, with distance between the hosts: each is a network namespace, and
`delaying_relay` is the network between them. The simulation gets as many cores as this machine has, no limit of bandwidth,
and as distance what a packet takes through the relay, measured. A ratio above 1 means that the simulation is slower.

    bench/validate_simulation.py                     10 rounds
    bench/validate_simulation.py --report FILE       only prints the tables of a file
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from relay import Relay
from results_file import CLEAN, RESULTS, ROOT, show, write

NEAR_RANKS = 8  # of each host, where there is more than one and no distance
CONGESTION_CONTROL = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")


def run(*command):
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=CLEAN).stdout


def measured_ms_and_machine(build, shape, network):
    """One cold start of new processes, and the facts about the machine."""
    hosts = () if shape["hosts"] == 1 else ("--ranks-per-host", shape["ranks_per_host"])
    name = "banyan-computed" if shape["join"] == "computed" else "banyan"
    with tempfile.NamedTemporaryFile(suffix=".json") as results:
        run(build / "bin" / "bootstrap_benchmark", "--impl", name, "--ranks", shape["ranks"], *hosts, "--reps", 1,
            "--start-only", *(("--network", network) if network else ()), "--json", results.name)
        found = json.load(results)
    if found["gaps"]:
        raise ChildProcessError(f"{shape}: {found['gaps'][0]['reason']}")
    ms = next(result["median"] for result in found["results"] if result["metric"] == "cold start")
    return ms, found["machine"]


def simulated_ms(build, shape, costs, cores):
    line = run(build / "bin" / "banyan", "simulate", "--json", "-n", shape["ranks"],
               "--ranks-per-host", shape["ranks_per_host"], "--join", shape["join"], "--costs", costs,
               "--one-machine", "--cores-per-host", cores, "--latency-us", shape["one_way_us"], "--bandwidth-gbps", 0)
    return json.loads(line)["formed_ms"]


def new_shape(ranks, ranks_per_host, join="rendezvous", latency_us=0, one_way_us=0):
    return {"ranks": ranks, "hosts": -(-ranks // ranks_per_host), "ranks_per_host": ranks_per_host, "join": join,
            "latency_us": latency_us, "one_way_us": one_way_us, "measured_ms": [], "relay": []}


def near_shapes(ranks_list):
    """Hosts that are no distance apart."""
    return [new_shape(ranks, ranks_per_host) for ranks in ranks_list
            for ranks_per_host in dict.fromkeys((ranks, min(NEAR_RANKS, ranks)))]


def distant_shapes(sizes, relays):
    shapes = []
    for latency_us, relay in relays.items():
        one_way_us = relay.one_way_us()
        shapes += [new_shape(hosts * ranks_per_host, ranks_per_host, join, latency_us, one_way_us)
                   for hosts, ranks_per_host in sizes for join in ("rendezvous", "computed")]
    return shapes


def start_relays(arguments, cleanup):
    """One for each latency; none, and a sentence, where they can't run."""
    relays = {}
    hosts = max((hosts for hosts, _ in arguments.distant), default=0)
    try:
        for latency_us in arguments.latencies_us if hosts else []:
            relays[latency_us] = Relay(arguments.build, hosts, latency_us, mtu=arguments.mtu)
            cleanup.callback(relays[latency_us].close)
    except (OSError, ChildProcessError) as error:
        print(f"Hosts with distance between them are left out, because the relay does not run: {error}", file=sys.stderr)
        return {}
    return relays


def measure(arguments, shapes, relays):
    for turn in range(arguments.rounds):
        for shape in shapes:
            show(f"round {turn + 1} of {arguments.rounds}: {shape['ranks']} ranks, {shape['latency_us']} us apart")
            if relay := relays.get(shape["latency_us"]):
                relay.counts()
                ms, facts = measured_ms_and_machine(arguments.build, shape, relay.network.name)
                shape["relay"].append(relay.counts())
            else:
                ms, facts = measured_ms_and_machine(arguments.build, shape, None)
            shape["measured_ms"].append(ms)
    show("")
    return facts


def figures(shape):
    found = shape["measured_ms"]
    median = statistics.median(found)
    low, _, high = statistics.quantiles(found, n=4) if len(found) > 1 else (median, median, median)
    return f"{median:.2f} | {low:.2f} - {high:.2f} | {shape['simulated_ms']:.2f} | {shape['simulated_ms'] / median:.2f}"


def report(results):
    """The tables of docs/benchmarks.md."""
    print("; ".join(f"{key}: {value}" for key, value in results["machine"].items()) + "\n")
    common = "measured, ms (median) | quartiles | simulated, ms | simulated / measured |"
    print(f"| ranks | hosts | {common}\n|" + "---:|" * 6)
    for shape in results["samples"]:
        if not shape["latency_us"]:
            print(f"| {shape['ranks']:,} | {shape['hosts']:,} | {figures(shape)} |")
    distant = [shape for shape in results["samples"] if shape["latency_us"]]
    if not distant:
        return
    print(f"\n| one way, us | through the relay, us | ranks | hosts | join | {common} relay: late, us | its CPU, ms |\n|"
          + "---:|" * 4 + "---|" + "---:|" * 6)
    for shape in distant:
        late, cpu = (statistics.median(counts[key] for counts in shape["relay"]) for key in ("late_us_mean", "cpu_ms"))
        print(f"| {shape['latency_us']:,} | {shape['one_way_us']:,.0f} | {shape['ranks']:,} | {shape['hosts']:,} | "
              f"{shape['join']} | {figures(shape)} | {late:.0f} | {cpu:.1f} |")


def whole_numbers(text, separator=","):
    numbers = [int(word) for word in text.split(separator) if word]
    if any(number < 1 for number in numbers):
        raise argparse.ArgumentTypeError(f"{text}: at least 1")
    return numbers


def sizes(text):
    """8x1,64x8: pairs of hosts and ranks of each."""
    found = [tuple(whole_numbers(word, "x")) for word in text.split(",") if word]
    if any(len(pair) != 2 or pair[0] < 2 for pair in found):
        raise argparse.ArgumentTypeError(f"{text}: HOSTSxRANKS, with two hosts or more")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="the build folder")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--ranks", type=whole_numbers, default="8,64,512,1024", help="of jobs without distance")
    parser.add_argument("--distant", type=sizes, default="8x8,32x1,64x8", help="hosts x ranks of each, with distance")
    parser.add_argument("--latencies-us", type=whole_numbers, default="100,1000,10000", help="one way between hosts")
    parser.add_argument("--mtu", type=int, default=1500, help="of the network between the hosts")
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "validation.json")
    parser.add_argument("--report", type=pathlib.Path, help="print the tables of this file and measure nothing")
    arguments = parser.parse_args()
    if arguments.report:
        report(json.loads(arguments.report.read_text()))
        return
    with contextlib.ExitStack() as cleanup:
        costs = pathlib.Path(cleanup.enter_context(tempfile.TemporaryDirectory())) / "costs.json"
        run(arguments.build / "bin" / "banyan", "calibrate", "--output", costs)
        relays = start_relays(arguments, cleanup)
        shapes = near_shapes(arguments.ranks) + distant_shapes(arguments.distant, relays)
        facts = measure(arguments, shapes, relays) | {"tcp": CONGESTION_CONTROL.read_text().strip()}
        for shape in shapes:
            shape["simulated_ms"] = simulated_ms(arguments.build, shape, costs, facts["cores"])
    results = {"machine": facts, "settings": {"rounds": arguments.rounds, "mtu": arguments.mtu}, "samples": shapes}
    write(arguments.out, results)
    report(results)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Draws what bench/measure_start.py measured: start time against ranks, and CPU per rank.

    plot_benchmark.py [RESULTS.json] [--out FIGURE.svg]          needs matplotlib (make -f Makefile.benchmark plot)
"""

import argparse
import json
import pathlib
import statistics

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend comes first)

RESULTS = pathlib.Path(__file__).resolve().parent / "bench" / "results"

# Colour says what, line says how warm.
COLOURS = {"banyan": "#1b7837", "unix_star": "#555555", "tcp_star": "#b0b0b0"}
TITLES = {"banyan": "Banyan", "unix_star": "floor: Unix star", "tcp_star": "floor: TCP star"}
LINES = {"warm": "-", "cold": "--"}
TARGET = 1.5  # x the floor: what Banyan sets itself
MOST_TICK_LABELS = 12  # more would run into each other


def quartiles(samples, series, figure):
    """ranks, and for each the lower quartile, median and upper quartile."""
    by_ranks = {}
    for sample in samples:
        if sample["series"] == series and figure in sample:
            by_ranks.setdefault(sample["ranks"], []).append(sample[figure])
    ranks = sorted(by_ranks)
    cuts = [
        statistics.quantiles(by_ranks[n], n=4, method="inclusive") if len(by_ranks[n]) > 1 else by_ranks[n] * 3
        for n in ranks
    ]
    return ranks, cuts


def draw(axes, samples, figure):
    for name, colour in COLOURS.items():
        for warmth, line in LINES.items():
            ranks, cuts = quartiles(samples, f"{name}, {warmth}", figure)
            if not ranks:
                continue
            middle = [cut[1] for cut in cuts]
            axes.plot(ranks, middle, line, color=colour, marker="o", markersize=3, label=f"{TITLES[name]}, {warmth}")
            axes.fill_between(ranks, [cut[0] for cut in cuts], [cut[2] for cut in cuts], color=colour, alpha=0.15, lw=0)
    ranks, cuts = quartiles(samples, "unix_star, warm", figure)
    target = [TARGET * cut[1] for cut in cuts]
    axes.plot(ranks, target, ":", color="#762a83", label=f"target: {TARGET} x Unix star, warm")
    make_log_log(axes, ranks)
    axes.set_xlabel("ranks on one machine")


# --- also for plot_simulated.py and plot_validation.py ---


def use_style():
    plt.rcParams.update({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "banyan"})


def plain_numbers():
    return matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")


def make_log_log(axes, ranks):
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    step = -(-len(ranks) // MOST_TICK_LABELS)
    axes.set_xticks(ranks, ["" if i % step else f"{n:,}" for i, n in enumerate(ranks)])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(plain_numbers())
    axes.grid(True, color="#e5e5e5")


def argument_parser(description, results, out_help="the figure; its ending says the format (default: beside)"):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", type=pathlib.Path, default=RESULTS / results)
    parser.add_argument("--out", type=pathlib.Path, help=out_help)
    return parser


def results_and_figure(arguments):
    """What was measured, as it was read, and the path of the figure."""
    return json.loads(arguments.results.read_text()), arguments.out or arguments.results.with_suffix(".svg")


def save(figure, out):
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None, dpi=150)
    print(out)


def main():
    results, out = results_and_figure(argument_parser(__doc__, "start.json").parse_args())

    use_style()
    figure, (time, cpu) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    draw(time, results["samples"], "slowest_ms")
    time.set_ylabel("start to table on the slowest rank, ms")
    draw(cpu, results["samples"], "cpu_us_per_rank")
    cpu.set_ylabel("CPU of the start per rank (user + system), us")
    time.legend(fontsize=8)
    facts = results["machine"]
    figure.suptitle(
        f"{facts['cores']} cores, {facts['cpu']}, Linux {facts['kernel']}, {facts['date']}; "
        f"median and quartiles of {results['settings']['runs']} runs",
        fontsize=9,
    )
    save(figure, out)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Draws what bench/simulate_ranks.py simulated: time until a job has formed against ranks, one line for each scheme.

    plot_simulated.py [RESULTS.json] [--measured BOOTSTRAP.json] [--out FIGURE.svg]
                                        (make -f Makefile.benchmark simulate-plot)

Hollow markers are simulated. Filled ones are medians of real jobs, if bootstrap_benchmark has measured some, and their range
is shaded; the dotted line beside them is the simulation of what they ran on.
"""

import json
import pathlib

from figures import argument_parser, make_log_log, plt, results_and_figure, save_both, use_style
from results_file import RESULTS, of_benchmark

# Colours that differ for every kind of colour vision, and markers for who sees none.
LOOKS = {
    "banyan": ("#1b7837", "o"),
    "banyan, 17 known": ("#56b4e9", "P"),
    "banyan, computed": ("#0072b2", "s"),
    "star-ring": ("#d55e00", "^"),
    "star-ring-bidirectional": ("#e69f00", "D"),
    "star-ring-no-sleep": ("#555555", "v"),
}
ONE_MACHINE = "banyan, one machine"


def points(samples, series):
    """(ranks, ms) in order; ms is None where the scheme never forms."""
    return sorted((s["ranks"], s["formed_ms"]) for s in samples if s["series"] == series)


def draw_scheme(axes, results, series):
    colour, marker = LOOKS[series]
    found = points(results["samples"], series)
    formed = [point for point in found if point[1] is not None]
    if not formed:
        return
    axes.plot(*zip(*formed), "-", color=colour, marker=marker, markersize=4.5, markerfacecolor="white", lw=1.3,
              label=results["titles"][series])
    if never := [ranks for ranks, ms in found if ms is None]:
        last = formed[-1]
        axes.plot(*last, "x", color=colour, markersize=11, markeredgewidth=2)
        note = f"never forms\nwith {never[0]:,}"
        axes.annotate(note, last, (6, -10), textcoords="offset points", va="top", color=colour, fontsize=7)


def draw_measured(axes, results, measured):
    colour, marker = LOOKS["banyan"]
    if machine := points(results["samples"], ONE_MACHINE):
        cores = measured["machine"]["cores"]
        axes.plot(*zip(*machine), ":", color=colour, marker=marker, markersize=4.5, markerfacecolor="white", lw=1.3,
                  label=f"{results['titles'][ONE_MACHINE]} with {cores} cores")
    medians = {ranks: found["median"] for ranks, found in of_benchmark(measured, "banyan", "cold start").items()}
    if medians:
        axes.axvspan(min(medians), max(medians), color="#555555", alpha=0.08, lw=0, label="range of what was measured")
        axes.plot(*zip(*sorted(medians.items())), linestyle="", color=colour, marker="*", markersize=10, zorder=5,
                  label="the same, measured: real jobs, cold, median")


def main():
    parser = argument_parser(__doc__, "simulated.json", "the figure; a PNG goes beside it (default: beside the results)")
    parser.add_argument("--measured", type=pathlib.Path, default=RESULTS / "bootstrap.json", help="real jobs, if it is there")
    arguments = parser.parse_args()
    results, out = results_and_figure(arguments)

    use_style()
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for series in LOOKS:
        draw_scheme(axes, results, series)
    if arguments.measured.exists():
        draw_measured(axes, results, json.loads(arguments.measured.read_text()))
    make_log_log(axes, sorted({sample["ranks"] for sample in results["samples"]}))
    axes.set_xlabel("ranks")
    axes.set_ylabel("start to table (star and ring: all addresses) on the slowest rank, ms")
    axes.legend(fontsize=8, loc="upper left")
    settings = results["settings"]
    figure.suptitle(
        f"Simulated: {settings['ranks-per-host']} ranks on each host, a core for each; {settings['latency-us']} us and "
        f"{settings['bandwidth-gbps']} Gb/s between hosts",
        fontsize=9,
    )
    save_both(figure, out)


if __name__ == "__main__":
    main()

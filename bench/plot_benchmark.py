#!/usr/bin/env python3
"""Draws what bootstrap_benchmark has measured:

    bootstrap_performance   start time against ranks, and its CPU per rank: one line for each implementation
    bootstrap_histogram     how the start times of the smallest job are distributed
    bootstrap_phases        where the time goes: the steps of a start on its slowest rank, and the calls after it

each as SVG and as PNG beside the results.

    plot_benchmark.py [RESULTS.json] [--out FOLDER]          (make -f Makefile.benchmark run)
"""

import pathlib

from figures import (GRID, LOOKS, argument_parser, make_log_log, numpy, plain_numbers, plt, read, save_both, ticker, use_style,
                     where_measured)
from results_file import of_benchmark

TARGET = 1.5  # x the floor: what Banyan sets itself
BINS = 24
ONE_HOST, SEVERAL_HOSTS = 1, 2


def looks(results):
    """(name, colour, marker) of each implementation, in the order of LOOKS."""
    names = {result["impl"] for result in results["results"]}
    return [(name, *look) for name, look in LOOKS.items() if name in names]


def warm(result):
    """The samples that aren't a process's first."""
    return [value for place, value in enumerate(result["samples"]) if place not in result["first"]]


def draw_lines(axes, results, metric, hosts):
    """Medians and quartiles of warm starts; of cold ones, dashed, where a launcher makes new processes for each."""
    all_ranks = set()
    for name, colour, marker in looks(results):
        found = of_benchmark(results, name, metric, hosts)
        if not found:
            continue
        launched = not any(warm(of_ranks) for of_ranks in found.values())
        # Never both in one line: where time was up after the first start there is nothing to show.
        ranks = sorted(n for n in found if launched or warm(found[n]))
        all_ranks.update(ranks)
        samples = [found[n]["samples"] if launched else warm(found[n]) for n in ranks]
        low, middle, high = numpy.transpose([numpy.quantile(of_ranks, (0.25, 0.5, 0.75)) for of_ranks in samples])
        bold = name.startswith("banyan")
        axes.plot(ranks, middle, "--" if launched else "-", color=colour, marker=marker,
                  markersize=5, lw=2 if bold else 1.2, label=f"{name}, cold" if launched else name, zorder=3 if bold else 2)
        axes.fill_between(ranks, low, high, color=colour, alpha=0.15, lw=0)
    if floor := of_benchmark(results, "floor", metric, hosts):
        ranks = sorted(n for n in floor if warm(floor[n]))
        axes.plot(ranks, [TARGET * numpy.median(warm(floor[n])) for n in ranks], ":", color="#000000", lw=1,
                  label=f"target: {TARGET} x floor")
    make_log_log(axes, sorted(all_ranks))


def performance(results):
    columns = [hosts for hosts in (ONE_HOST, SEVERAL_HOSTS)
               if any((result["hosts"] == 1) == (hosts == 1) for result in results["results"])]
    figure, rows = plt.subplots(2, len(columns), figsize=(5.5 * len(columns) + 1.5, 8), layout="constrained",
                                squeeze=False, sharex="col", sharey="row")
    for column, hosts in enumerate(columns):
        time, cpu = rows[0][column], rows[1][column]
        draw_lines(time, results, "start", hosts)
        draw_lines(cpu, results, "start CPU per rank", hosts)
        time.set_title("one host" if hosts == 1 else f"hosts of {max(results['settings']['ranks_per_host'])} ranks", fontsize=9)
        cpu.set_xlabel("ranks")
    rows[0][0].set_ylabel("start to table on the slowest rank, ms")
    rows[1][0].set_ylabel("CPU of the start per rank, us")
    handles, labels = rows[0][0].get_legend_handles_labels()
    rows[0][-1].legend(handles, labels, loc="upper left", bbox_to_anchor=(1.02, 1), fontsize=8)
    figure.suptitle(f"{where_measured(results)}; medians and quartiles of warm starts", fontsize=9)
    return figure


def histogram(results):
    ranks = min(result["ranks"] for result in results["results"])
    found = [(name, colour, result) for name, colour, _ in looks(results)
             if (result := of_benchmark(results, name, "start").get(ranks))]
    times = [ms for *_, result in found for ms in result["samples"]]
    bins = numpy.geomspace(min(times) / 1.05, max(times) * 1.05, BINS)
    figure, rows = plt.subplots(len(found), 1, figsize=(8.5, 0.7 * len(found) + 1.2), layout="constrained", sharex=True,
                                squeeze=False)
    for axes, (name, colour, result) in zip(rows[:, 0], found):
        axes.hist(result["samples"], bins, color=colour, alpha=0.75, edgecolor="white", lw=0.5)
        axes.axvline(result["median"], color="#000000", lw=1)
        axes.set_xscale("log")
        axes.set_yticks([])
        axes.grid(True, axis="x", color=GRID)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        note = f"median {result['median']:.2f}\nfirst {result['samples'][0]:.2f}, max {result['max']:.2f}"
        axes.annotate(note, (1.01, 0.5), xycoords="axes fraction", ha="left", va="center", fontsize=7, annotation_clip=False)
    rows[-1, 0].xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    rows[-1, 0].xaxis.set_minor_locator(ticker.NullLocator())
    rows[-1, 0].xaxis.set_major_formatter(plain_numbers())
    rows[-1, 0].set_xlabel(f"start of {ranks} ranks on one host, ms; the line is the median")
    figure.suptitle(where_measured(results), fontsize=9)
    return figure


def phases(results):
    """One panel for each number of ranks, of up to four; one bar for each implementation."""
    steps = [result for result in results["results"] if result["metric"].startswith("step: ") and result["hosts"] == 1]
    if not steps:
        return None
    all_ranks = sorted({result["ranks"] for result in steps})
    shown = [all_ranks[i] for i in sorted({round(i * (len(all_ranks) - 1) / 3) for i in range(4)})]
    figure, columns = plt.subplots(1, len(shown), figsize=(3.6 * len(shown) + 1.5, 4.5), layout="constrained",
                                   squeeze=False, sharey=True)
    hatches = ("", "///", "...", "xxx", "\\\\\\")
    for axes, ranks in zip(columns[0], shown):
        names = [name for name, *_ in looks(results) if any(s["impl"] == name and s["ranks"] == ranks for s in steps)]
        longest = max(sum(s["median"] for s in steps if s["impl"] == name and s["ranks"] == ranks) for name in names)
        for row, name in enumerate(names):
            left = 0
            own = [s for s in steps if s["impl"] == name and s["ranks"] == ranks]
            for number, step in enumerate(own):
                axes.barh(row, step["median"], left=left, color=LOOKS[name][0], alpha=0.9 - 0.2 * number,
                          hatch=hatches[number % len(hatches)], edgecolor="white", lw=0.5)
                if step["median"] > 0.17 * longest:  # wide enough for its name
                    axes.annotate(step["metric"].removeprefix("step: "), (left + step["median"] / 2, row), ha="center",
                                  va="center", fontsize=6.5, bbox={"fc": "white", "ec": "none", "pad": 0.8, "alpha": 0.8})
                left += step["median"]
        axes.set_yticks(range(len(names)), names)
        axes.set_title(f"{ranks:,} ranks", fontsize=9)
        axes.set_xlabel("ms, medians")
        axes.grid(True, axis="x", color=GRID)
        axes.set_axisbelow(True)
    columns[0][0].invert_yaxis()
    figure.suptitle(f"Where a start's time goes, on its slowest rank. {where_measured(results)}", fontsize=9)
    return figure


def main():
    arguments = argument_parser(__doc__, "bootstrap.json", "the folder of the figures (default: that of the results)")
    arguments = arguments.parse_args()
    results = read(arguments.results)
    folder = arguments.out or arguments.results.parent
    folder.mkdir(parents=True, exist_ok=True)
    use_style()
    for draw in (performance, histogram, phases):
        if figure := draw(results):
            save_both(figure, pathlib.Path(folder) / f"bootstrap_{draw.__name__}")


if __name__ == "__main__":
    main()

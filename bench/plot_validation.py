#!/usr/bin/env python3
"""Draws what bench/validate_simulation.py measured: simulated against measured time, one marker for each shape of job.

    plot_validation.py [RESULTS.json] [--out FIGURE.svg]         needs matplotlib (make -f Makefile.benchmark validate)

On the diagonal the simulation is right; below it, it is too fast. The band is a factor of 1.5 each way. Lines through the
markers are quartiles.
"""

import statistics

from figures import argument_parser, plain_numbers, plt, results_and_figure, save, use_style

BAND = 1.5
# Colour says how far the hosts are from each other, and is darker the farther; the marker, how they find their parents.
COLOURS = ["#fdae61", "#d55e00", "#7f0000"]
NEAR = "#1b7837"
MARKERS = {"rendezvous": "o", "computed": "s"}
ONE_HOST = "*"


def distance(latency_us):
    return f"{latency_us / 1000:g} ms" if latency_us >= 1000 else f"{latency_us:g} us"


def look(shape, latencies):
    """Colour, marker, size and label."""
    if not shape["latency_us"]:
        if shape["hosts"] == 1:
            return NEAR, ONE_HOST, 9, "one host"
        return NEAR, MARKERS["rendezvous"], 5, "hosts of 8 ranks, no distance"
    colour = COLOURS[min(latencies.index(shape["latency_us"]), len(COLOURS) - 1)]
    how = ", computed parents" if shape["join"] == "computed" else ""
    return colour, MARKERS[shape["join"]], 5, f"{distance(shape['latency_us'])} between hosts{how}"


def draw_shape(axes, shape, latencies, labels):
    colour, marker, size, label = look(shape, latencies)
    measured = statistics.median(shape["measured_ms"])
    if len(shape["measured_ms"]) > 1:
        low, _, high = statistics.quantiles(shape["measured_ms"], n=4)
        axes.plot([low, high], [shape["simulated_ms"]] * 2, "-", color=colour, lw=1)
    axes.plot(measured, shape["simulated_ms"], linestyle="", color=colour, marker=marker, markersize=size,
              markerfacecolor=colour if shape["join"] == "rendezvous" else "white", zorder=3,
              label=None if label in labels else label)
    labels.add(label)


def draw_diagonal(axes, samples):
    times = [ms for shape in samples for ms in (*shape["measured_ms"], shape["simulated_ms"])]
    ends = [min(times) / 1.3, max(times) * 1.3]
    axes.plot(ends, ends, "-", color="#555555", lw=1)
    axes.fill_between(ends, [end / BAND for end in ends], [end * BAND for end in ends], color="#555555", alpha=0.12, lw=0,
                      label=f"within a factor of {BAND}")
    axes.set_xlim(ends)
    axes.set_ylim(ends)


def main():
    results, out = results_and_figure(argument_parser(__doc__, "validation.json").parse_args())
    samples = results["samples"]

    use_style()
    figure, axes = plt.subplots(figsize=(6.5, 6), layout="constrained")
    latencies = sorted({shape["latency_us"] for shape in samples} - {0})
    labels = set()
    draw_diagonal(axes, samples)
    for shape in samples:
        draw_shape(axes, shape, latencies, labels)
    for axis, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        scale("log")
        axis.set_major_formatter(plain_numbers())
    axes.grid(True, color="#e5e5e5")
    axes.set_aspect("equal")
    axes.set_xlabel("measured: start to table on the slowest rank, ms (median of real jobs)")
    axes.set_ylabel("simulated, ms")
    axes.legend(fontsize=8, loc="upper left")
    facts = results["machine"]
    figure.suptitle(
        f"{facts['cores']} cores, {facts['cpu']}, Linux {facts['kernel']}, {facts['date']}; "
        f"median and quartiles of {results['settings']['rounds']} rounds",
        fontsize=9,
    )
    save(figure, out)


if __name__ == "__main__":
    main()

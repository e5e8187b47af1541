"""How the figures look, and where matplotlib is: Debian's, if the Python that runs this has none."""

import argparse
import json
import os
import pathlib
import subprocess
import sys

from results_file import RESULTS

DEBIANS_PYTHON = "/usr/bin/python3"

try:
    import matplotlib
    import numpy
except ImportError:
    has_it = [DEBIANS_PYTHON, "-c", "import matplotlib, numpy"]
    if sys.executable != DEBIANS_PYTHON and subprocess.run(has_it, stderr=subprocess.DEVNULL, check=False).returncode == 0:
        os.execv(DEBIANS_PYTHON, [DEBIANS_PYTHON, *sys.argv])
    sys.exit(f"{sys.executable} has no matplotlib. On Debian: apt-get install python3-matplotlib, and run this with "
             f"{DEBIANS_PYTHON}")

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend comes first)
from matplotlib import ticker  # noqa: E402

# Colours that differ for every kind of colour vision (Okabe and Ito), and markers for print in black and white.
LOOKS = {
    "floor": ("#000000", "x"),
    "floor-tcp": ("#777777", "+"),
    "banyan": ("#009e73", "o"),
    "banyan-computed": ("#0072b2", "s"),
    "star-ring": ("#d55e00", "^"),
    "star-ring-no-sleep": ("#b36b3c", "v"),
    "star-ring-bidirectional": ("#e69f00", "D"),
    "central-store": ("#cc79a7", "P"),
    "gloo": ("#8c564b", "<"),
    "tcp-store": ("#aa3377", "p"),
    "redis": ("#882255", "h"),
    "open-mpi": ("#56b4e9", ">"),
    "mpich": ("#332288", "*"),
    "pmix": ("#6699cc", "H"),
    "mscclpp": ("#bb4400", "2"),
    "nccl": ("#999933", "3"),
}
GRID = "#e5e5e5"
MOST_TICK_LABELS = 12  # more would run into each other


def use_style():
    plt.rcParams.update({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "banyan"})


def plain_numbers():
    return ticker.FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")


def make_log_log(axes, ranks):
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    step = -(-len(ranks) // MOST_TICK_LABELS)
    axes.set_xticks(ranks, ["" if i % step else f"{n:,}" for i, n in enumerate(ranks)])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(plain_numbers())
    axes.grid(True, color=GRID)


def argument_parser(description, results, out_help="the figure; its ending says the format (default: beside)"):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", type=pathlib.Path, default=RESULTS / results)
    parser.add_argument("--out", type=pathlib.Path, help=out_help)
    return parser


def read(path):
    """What was measured, or a sentence that says how to measure it."""
    if not path.exists():
        sys.exit(f"{path} does not exist yet: make -f Makefile.benchmark run")
    return json.loads(path.read_text())


def results_and_figure(arguments):
    """What was measured, as it was read, and the path of the figure."""
    return read(arguments.results), arguments.out or arguments.results.with_suffix(".svg")


def where_measured(results):
    facts = results["machine"]
    return f"{facts['cores']} cores, {facts['cpu']}, Linux {facts['kernel']}, {facts['date']}"


def save(figure, out):
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None, dpi=150)
    print(out)


def save_both(figure, out):
    """As SVG and as PNG."""
    for suffix in (".svg", ".png"):
        save(figure, out.with_suffix(suffix))

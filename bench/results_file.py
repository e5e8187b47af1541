"""What the benchmarks' scripts have in common: where results lie, how they are written, progress on a terminal."""

import json
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
# Banyan's own options; what is found in the environment must not change the figures.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("BANYAN_")}


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


def of_benchmark(results, implementation, metric, hosts=1):
    """{ranks: result} of what bootstrap_benchmark has written, for one implementation and metric."""
    return {
        result["ranks"]: result
        for result in results["results"]
        if result["impl"] == implementation and result["metric"] == metric
        and (result["hosts"] == 1) == (hosts == 1)
    }

#!/usr/bin/env python3
"""Draws what bootstrap_benchmark has measured: bench/plot_benchmark.py does it."""

import pathlib
import runpy
import sys

BENCH = pathlib.Path(__file__).resolve().parent / "bench"
sys.path.insert(0, str(BENCH))
runpy.run_path(str(BENCH / "plot_benchmark.py"), run_name="__main__")

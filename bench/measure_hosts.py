#!/usr/bin/env python3
"""Runs bootstrap_benchmark with network namespaces as hosts, of 8 ranks each, and distance and loss between them.

Each delay and loss has a file of results of its own: hosts-500us.json, hosts-500us-10.json with 10 of 10,000 packets lost.

    bench/measure_hosts.py --delays-us 50,500,5000 --loss 0,10 -- --reps 5        what follows -- is bootstrap_benchmark's
"""

import argparse
import pathlib
import subprocess
import sys

from relay import Relay
from results_file import CLEAN, RESULTS, ROOT

RANKS_PER_HOST = 8


def numbers(text):
    return [int(word) for word in text.split(",") if word]


def name_of(delay_us, loss):
    return f"hosts-{delay_us}us" + (f"-{loss}" if loss else "")


def measure(arguments, delay_us, loss):
    hosts = -(-max(arguments.ranks) // RANKS_PER_HOST)
    results = arguments.out / f"{name_of(delay_us, loss)}.json"
    relay = Relay(arguments.build, hosts, delay_us, loss_of_10000=loss)
    try:
        print(f"\n## {delay_us} us between hosts (through the relay {relay.one_way_us():.0f}), {loss} of 10,000 packets "
              "lost\n", flush=True)
        subprocess.run(
            [arguments.build / "bin" / "bootstrap_benchmark", "--network", relay.network.name,
             "--ranks", ",".join(map(str, arguments.ranks)), "--ranks-per-host", str(RANKS_PER_HOST),
             "--json", results, "--csv", results.with_suffix(".csv"), *arguments.options],
            check=True, env=CLEAN)
    finally:
        relay.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="the build folder")
    parser.add_argument("--delays-us", type=numbers, default="50,500,5000", help="one way between hosts")
    parser.add_argument("--loss", type=numbers, default="0,10", help="of 10,000 packets")
    parser.add_argument("--ranks", type=numbers, default="16,64,256")
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS, help="the folder of the results")
    parser.add_argument("options", nargs="*", help="of bootstrap_benchmark")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        for delay_us in arguments.delays_us:
            for loss in arguments.loss:
                measure(arguments, delay_us, loss)
    except (OSError, ChildProcessError) as error:
        sys.exit(f"Hosts with distance between them need the relay, which does not run: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


if __name__ == "__main__":
    main()

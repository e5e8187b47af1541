"""The benchmark counts what it says it counts, and its figures follow from its samples; and hosts that are network
namespaces with distance between them, one of which is cut off while it joins."""

import csv
import json
import math
import os
import pathlib
import select
import statistics
import subprocess
import sys
import tempfile
import unittest

import jobs

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "bench"))
from relay import Relay  # noqa: E402  (the path comes first)

BENCHMARK = str(jobs.BIN / "bootstrap_benchmark")
ROOT = pathlib.Path(__file__).parents[2]
PLOT = ROOT / "plot_benchmark.py"
RANKS = 6
HOSTS = 3


def benchmark(*options, code=0):
    done = subprocess.run([BENCHMARK, *map(str, options)], capture_output=True, text=True, timeout=jobs.DEADLINE_S,
                          env=jobs.environment(), check=False)
    assert done.returncode == code, done.stderr
    return done


class Makefile(unittest.TestCase):
    def test_the_doors_measure_all_the_ranks_that_they_promise(self):
        for target, ranks in (("run", "8,16,32,64,128,256"), ("run-full", "8,16,32,64,128,256,512,1024")):
            said = subprocess.run(["make", "-n", "-f", "Makefile.benchmark", target], cwd=ROOT, capture_output=True,
                                  text=True, timeout=jobs.DEADLINE_S, check=True).stdout
            self.assertRegex(said, f"--ranks {ranks} ")


@unittest.skipIf(jobs.SANITIZED, "it measures")
class Benchmark(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.json = pathlib.Path(cls.folder.name) / "bootstrap.json"
        cls.csv = cls.json.with_suffix(".csv")
        cls.output = benchmark("--impl", "floor,floor-tcp,banyan,banyan-computed,star-ring,star-ring-bidirectional,central-store",
                               "--ranks", RANKS, "--ranks-per-host", f"0,{RANKS // HOSTS}", "--reps", 3,
                               "--json", cls.json, "--csv", cls.csv).stdout
        cls.results = json.loads(cls.json.read_text())

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def samples(self, implementation, metric, hosts):
        return next(result["samples"] for result in self.results["results"]
                    if (result["impl"], result["metric"], result["hosts"]) == (implementation, metric, hosts))

    def test_nothing_is_missing(self):
        self.assertEqual(self.results["gaps"], [])

    def test_the_last_word_counts_and_calls_follow_the_last_starts_of_a_round(self):
        with tempfile.TemporaryDirectory() as folder:
            found = pathlib.Path(folder) / "found.json"
            benchmark("--impl", "star-ring", "--ranks", 2, "--reps", 1, "--call-reps", 1, "--timeout", 1, "--timeout", 60,
                      "--rounds", 2, "--reps", 3, "--json", found)
            results = json.loads(found.read_text())
        self.assertEqual(results["settings"]["timeout_s"], 60)
        counts = {result["metric"]: len(result["samples"]) for result in results["results"]}
        self.assertEqual((counts["start"], counts["barrier"]), (6, 2))

    def test_connections_are_those_of_the_protocol(self):
        for hosts in (1, HOSTS):
            self.assertEqual(self.samples("star-ring", "TCP connections", hosts), [3 * RANKS] * 3)
            self.assertEqual(self.samples("star-ring-bidirectional", "TCP connections", hosts), [3 * RANKS] * 3)
            self.assertEqual(self.samples("central-store", "TCP connections", hosts), [RANKS] * 3)
            self.assertEqual(self.samples("floor-tcp", "TCP connections", hosts), [RANKS] * 3)
        self.assertEqual(self.samples("floor", "Unix connections", 1), [RANKS] * 3)
        # A host has a leader, and rank 0 may find that another rank leads its own.
        for connections in self.samples("banyan-computed", "TCP connections", HOSTS):
            self.assertIn(connections, (HOSTS - 1, HOSTS))
        for connections in self.samples("banyan", "Unix connections", 1):
            self.assertIn(connections, (RANKS - 2, RANKS - 1))

    def test_statistics_follow_from_the_samples(self):
        for result in self.results["results"]:
            samples = result["samples"]
            expected = {"min": min(samples), "max": max(samples), "mean": statistics.mean(samples),
                        "median": statistics.median(samples), "stddev": statistics.stdev(samples) if samples[1:] else 0,
                        "p99": sorted(samples)[math.ceil(0.99 * len(samples)) - 1]}
            for key, value in expected.items():
                self.assertAlmostEqual(result[key], value, delta=1e-5 * (1 + abs(value)), msg=(result["metric"], key))
            if "without_first" in result:
                self.assertEqual(result["first"], [0])
                self.assertAlmostEqual(result["without_first"]["median"], statistics.median(samples[1:]), delta=1e-5 * max(samples))

    def test_every_step_is_a_part_of_the_start(self):
        for implementation in ("banyan", "star-ring"):
            steps = [result["samples"] for result in self.results["results"]
                     if result["impl"] == implementation and result["hosts"] == 1 and result["metric"].startswith("step: ")]
            for index, start in enumerate(self.samples(implementation, "start", 1)):
                self.assertAlmostEqual(sum(samples[index] for samples in steps), start, delta=0.01 * start + 0.001)

    def test_the_csv_has_the_same_results(self):
        with self.csv.open() as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([(row["impl"], row["metric"], float(row["median"])) for row in rows],
                         [(result["impl"], result["metric"], result["median"]) for result in self.results["results"]])

    def test_the_tables_are_printed_again_from_the_file(self):
        self.assertEqual(benchmark("--report", self.json).stdout, self.output)
        self.assertIn(f"**{RANKS} ranks on {HOSTS} hosts**", self.output)

    def test_figures_are_drawn(self):
        drawn = subprocess.run([PLOT, self.json], capture_output=True, text=True, check=False)
        if "has no matplotlib" in drawn.stderr:
            self.skipTest("matplotlib is not installed")
        self.assertEqual(drawn.returncode, 0, drawn.stderr)
        names = [f"bootstrap_{name}.{kind}" for name in ("performance", "histogram", "phases") for kind in ("svg", "png")]
        self.assertEqual([pathlib.Path(line).name for line in drawn.stdout.split()], names)


@unittest.skipIf(jobs.SANITIZED, "it measures")
class Payloads(unittest.TestCase):
    def test_both_forms_of_a_large_result_are_measured_and_the_table_is_printed_again_from_the_file(self):
        with tempfile.TemporaryDirectory() as folder:
            found = pathlib.Path(folder) / "payloads.json"
            measure = [sys.executable, ROOT / "bench" / "measure_payloads.py", "--build", jobs.BIN.parent]
            table = subprocess.run([*measure, "--allgather", "3x131072", "--broadcast", "2x131072", "--rounds", "2",
                                    "--reps", "1", "--out", found], capture_output=True, text=True,
                                   timeout=jobs.DEADLINE_S, check=True).stdout
            again = subprocess.run([*measure, "--report", found], capture_output=True, text=True, check=True).stdout
            samples = json.loads(found.read_text())["samples"]
        self.assertEqual(table, again)
        names = {sample["implementation"] for sample in samples}
        peers = {name for name in names if name.startswith("open-mpi")}
        self.assertEqual(names - peers, {"banyan, handle", "banyan, strings"})
        self.assertIn(peers, (set(), {"open-mpi, kept buffer", "open-mpi, new buffer"}))
        for sample in samples:
            self.assertEqual(len(sample["repetitions"]), 2)

    def test_a_receiver_that_sleeps_costs_nobody_more_than_the_limits_allow(self):
        sleeping = [jobs.BIN / "banyan", "run", "-n", "4", "--", jobs.BIN / "sleeping_receiver", "--bytes", "16384"]
        done = subprocess.run([*sleeping, "--messages", "400"], capture_output=True, text=True, timeout=jobs.DEADLINE_S,
                              env=jobs.environment(), check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, "receiver +1 ")


@unittest.skipIf(jobs.SANITIZED, "it measures")
class Refused(unittest.TestCase):
    def test_what_can_not_be_measured_is_said_by_name(self):
        self.assertIn("no implementation nonsense", benchmark("--impl", "nonsense", code=1).stderr)
        self.assertIn("--ranks-per-host", benchmark("--network", os.devnull, code=1).stderr)

    def test_one_that_is_not_done_in_time_is_a_gap_and_the_others_go_on(self):
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            # Rank r waits for r ms above 128 ranks.
            done = benchmark("--impl", "star-ring,floor", "--ranks", 1100, "--reps", 1, "--start-only", "--timeout", 1,
                             "--json", file.name)
            results = json.load(file)
        self.assertIn("star-ring with 1100 ranks failed: not done within --timeout", done.stderr)
        self.assertEqual([gap["impl"] for gap in results["gaps"]], ["star-ring"])
        self.assertEqual({result["impl"] for result in results["results"]}, {"floor"})


@unittest.skipIf(jobs.SANITIZED or os.geteuid() != 0 or not os.path.exists("/dev/net/tun"), "needs root and /dev/net/tun")
class DistantHosts(unittest.TestCase):
    RANKS_PER_HOST = 2

    def setUp(self):
        try:
            self.relay = Relay(jobs.BIN.parent, HOSTS, 50_000)
        except ChildProcessError as error:
            self.skipTest(str(error))
        self.addCleanup(self.relay.close)
        self.processes = []
        self.progress, writer = os.pipe()
        self.addCleanup(os.close, self.progress)
        self.addCleanup(os.close, writer)
        self.writer = writer
        self.variables = {"BANYAN_WORLD_SIZE": HOSTS * self.RANKS_PER_HOST, "BANYAN_SECRET": "of distant hosts",
                          "BANYAN_LOCAL_SIZE": self.RANKS_PER_HOST, "BANYAN_TIMEOUT": "20s",
                          "BANYAN_RENDEZVOUS": self.relay.hosts[0]["address"] + ":4242"}
        self.addCleanup(self.end)

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def start_host(self, host):
        for rank in range(host * self.RANKS_PER_HOST, (host + 1) * self.RANKS_PER_HOST):
            variables, options = self.variables, {}
            if rank == 0:
                variables = {**variables, "BANYAN_PROGRESS_FD": self.writer}
                options = {"pass_fds": [self.writer]}
            command = ["nsenter", f"--net={self.relay.hosts[host]['namespace']}", jobs.DEMO, "--json"]
            self.processes.append(subprocess.Popen(
                command, env=jobs.environment(**variables, BANYAN_RANK=rank), text=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options))

    def wait_for_progress(self, text):
        told = ""
        while text not in told:
            self.assertTrue(select.select([self.progress], [], [], jobs.DEADLINE_S)[0], told)
            told += os.read(self.progress, 4096).decode()

    def ended(self):
        return [(*process.communicate(timeout=jobs.DEADLINE_S), process.returncode) for process in self.processes]

    def test_a_job_forms_over_distance(self):
        for host in range(HOSTS):
            self.start_host(host)
        ended = self.ended()
        self.assertEqual([code for *_, code in ended], [0] * len(ended), ended)
        self.assertEqual(json.loads(ended[0][0])["hosts"], HOSTS)

    def test_a_host_that_is_cut_off_while_it_joins_is_named_and_no_other(self):
        self.variables["BANYAN_TIMEOUT"] = "6s"
        self.start_host(0)
        self.start_host(1)
        self.wait_for_progress("waiting for 2 of 6: 4-5")
        self.relay.counts()
        self.start_host(2)
        packets = 0
        while packets < 3:  # its leader's connection stands, and it needs six trips more
            packets += self.relay.counts()["packets"]
        self.relay.cut(2)
        ended = self.ended()
        for rank, (_, error, code) in enumerate(ended):
            self.assertNotEqual(code, 0, error)
            if rank < 4:
                self.assertIn("missing 2 of 6: 4-5", error)
            else:
                self.assertIn("rendezvous 10.77.0.1:4242", error)


if __name__ == "__main__":
    unittest.main()

"""The demo in every way to start it: it checks each operation itself, so it suffices that it says ok everywhere."""

import json
import pathlib
import random
import subprocess
import unittest

import jobs

FIELDS = ["ranks", "hosts", "depth", "ok", "cold_start_ms", "start_ms", "broadcast_ms", "allgather_ms",
          "broadcast_4mib_ms", "allgather_4mib_ms", "barrier_ms",
          "send_recv_ms", "recv_any_ms", "store_put_get_ms", "store_add_ms", "connect_ms", "round_trip_routed_ms", "round_trip_direct_ms", "max_tree_links", "max_local_links"]
OPERATIONS = ["start, cold", "start, second job", "peer_blob of all", "broadcast", "allgather",
              "broadcast, 4 MiB", "allgather, 4 MiB", "gather", "scatter", "reduce", "allreduce",
              "alltoall", "reduce_scatter", "scan", "barrier", "send/recv, ring", "send/recv, far pairs", "sendrecv, ring", "recv_any, all to one",
              "probe, then recv", "split, allgather", "duplicate, allgather", "barrier, half of all", "store put/get", "store add",
              "store compare_set", "store remove", "round trip, routed", "connect", "round trip, direct"]


def run(*command, **variables):
    return subprocess.run([str(word) for word in command], text=True, capture_output=True, stdin=subprocess.DEVNULL,
                          timeout=jobs.DEADLINE_S, env=jobs.environment(**variables))


class Reports:
    def report(self, done):
        """The one line that rank 0 printed; everything went well."""
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = [line[line.index("{"):] for line in done.stdout.splitlines() if "{" in line]
        self.assertEqual(len(lines), 1, done.stdout)
        report = json.loads(lines[0])
        self.assertEqual(list(report), FIELDS)
        self.assertIs(report["ok"], True)
        for field in FIELDS:
            if field.endswith("_ms"):
                self.assertGreater(report[field], 0, field)
        return report


class Demo(Reports, unittest.TestCase):
    def test_it_runs_under_banyan_run_on_one_host(self):
        for ranks in (1, 2, 8) if jobs.SANITIZED else (1, 2, 8, 64):
            with self.subTest(ranks=ranks):
                report = self.report(run(jobs.BANYAN, "run", "-n", ranks, "--", jobs.DEMO, "--json"))
                self.assertEqual((report["ranks"], report["hosts"]), (ranks, 1))

    def test_it_runs_on_many_hosts_that_one_machine_plays(self):
        ranks = 16 if jobs.SANITIZED else 64
        for join in ((), ("--computed",), ("--listed-hosts", 5)):
            with self.subTest(join=join):
                done = run(jobs.BANYAN, "run", "-n", ranks, "--ranks-per-host", 2, *join, "--", jobs.DEMO, "--json",
                           BANYAN_FAN_OUT=3)
                report = self.report(done)
                self.assertEqual((report["ranks"], report["hosts"]), (ranks, ranks // 2))
                self.assertGreaterEqual(report["depth"], 2)
                # The root has one place more, and a root that another rank of its host leads counts that leader as a
                # child.
                self.assertLessEqual(report["max_tree_links"], 3 + 2)
                self.assertGreaterEqual(report["max_local_links"], 1)

    def test_it_runs_over_tcp_alone(self):
        report = self.report(run(jobs.BANYAN, "run", "-n", 8, "--", jobs.DEMO, "--json", BANYAN_TRANSPORT="tcp"))
        self.assertEqual((report["ranks"], report["max_local_links"]), (8, 0))

    def test_it_runs_with_a_lazy_table(self):
        for shape in ((), ("--ranks-per-host", 2)):
            with self.subTest(shape=shape):
                self.report(run(jobs.BANYAN, "run", "-n", 8, *shape, "--", jobs.DEMO, "--json", BANYAN_TABLE="lazy"))

    def test_without_json_it_prints_a_row_for_each_operation(self):
        done = run(jobs.BANYAN, "run", "-n", 4, "--", jobs.DEMO)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("4 ranks on 1 host", done.stdout)
        self.assertRegex(done.stdout, r"operation +result +ms\n")
        for operation in OPERATIONS:
            self.assertRegex(done.stdout, rf"{operation} +ok +\d+\.\d\d\d")
        self.assertNotIn("{", done.stdout)

    def test_one_link_is_not_called_links(self):
        done = run(jobs.BANYAN, "run", "-n", 2, "--ranks-per-host", 1, "--", jobs.DEMO)
        self.assertIn("2 ranks on 2 hosts; tree depth 1, at most 1 tree link and 0 local links per rank", done.stdout)

    def test_it_runs_by_hand_in_any_order_with_rank_0_last(self):
        ranks = 8
        for attempt in range(3):
            order = list(range(1, ranks))
            random.Random(attempt).shuffle(order)
            with self.subTest(order=order):
                port = jobs.free_port()
                processes = [self.by_hand(rank, ranks, port) for rank in order + [0]]
                ended = [(process.communicate(timeout=jobs.DEADLINE_S), process.returncode) for process in processes]
                for (_, err), code in ended:
                    self.assertEqual(code, 0, err)
                self.assertEqual(json.loads(ended[-1][0][0])["ranks"], ranks)

    @staticmethod
    def by_hand(rank, ranks, port):
        command = [jobs.DEMO, "--json", "--rank", rank, "--ranks", ranks, "--address", "localhost", "--port", port]
        return subprocess.Popen([str(word) for word in command + ["--timeout", 30]], text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=jobs.environment())

    def test_without_a_secret_rank_0_alone_warns_and_only_once(self):
        port = jobs.free_port()
        processes = [self.by_hand(rank, 3, port) for rank in range(3)]
        warnings = [process.communicate(timeout=jobs.DEADLINE_S)[1].count("NO JOB SECRET") for process in processes]
        self.assertEqual(warnings, [1, 0, 0])

    def test_it_runs_over_ipv6(self):
        port = jobs.free_port()
        command = [jobs.DEMO, "--json", "--address", "::1", "--port", str(port), "--ranks", "2", "--rank"]
        other = subprocess.Popen([*command, "1"], env=jobs.environment(), stderr=subprocess.PIPE, text=True)
        self.report(run(*command, 0))
        _, err = other.communicate(timeout=jobs.DEADLINE_S)
        self.assertEqual(other.returncode, 0, err)

    @unittest.skipUnless(jobs.tool("mpirun"), "mpirun is not installed")
    def test_it_runs_under_open_mpi(self):
        report = self.report(run("mpirun", "--allow-run-as-root", "--oversubscribe", "-np", 4, jobs.DEMO, "--json"))
        self.assertEqual((report["ranks"], report["hosts"]), (4, 1))

    def test_it_finds_what_slurm_and_torchrun_say(self):
        slurm = {"SLURM_NTASKS": 2, "SLURM_JOB_ID": random.randrange(1 << 30), "SLURM_STEP_ID": 0, "SLURM_NODEID": 0,
                 "SLURM_STEP_NODELIST": "localhost"}
        torchrun = {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "GROUP_RANK": 0, "MASTER_ADDR": "localhost",
                    "MASTER_PORT": random.randrange(1 << 16), "TORCHELASTIC_RUN_ID": "none"}
        for launcher, rank in ((slurm, "SLURM_PROCID"), (torchrun, "RANK")):
            with self.subTest(rank):
                other = subprocess.Popen([jobs.DEMO], env=jobs.environment(**launcher, **{rank: 1}),
                                         stderr=subprocess.PIPE, text=True)
                self.report(run(jobs.DEMO, "--json", **launcher, **{rank: 0}))
                _, err = other.communicate(timeout=jobs.DEADLINE_S)
                self.assertEqual(other.returncode, 0, err)

    def test_two_jobs_at_once_on_one_host_never_mix(self):
        command = [jobs.BANYAN, "run", "-n", "8", "--", jobs.DEMO, "--json"]
        several = [subprocess.Popen(command, env=jobs.environment(), stdin=subprocess.DEVNULL, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
        for process in several:
            out, err = process.communicate(timeout=jobs.DEADLINE_S)
            self.report(subprocess.CompletedProcess(command, process.returncode, out, err))

    def test_its_help_says_how_to_start_it(self):
        done = run(jobs.DEMO, "--help")
        self.assertEqual(done.returncode, 0)
        for word in ("--rank", "--ranks", "--address", "--port", "--timeout", "--json", "BANYAN_"):
            self.assertIn(word, done.stdout)


@unittest.skipUnless(jobs.SEASTAR_DEMO.exists(), "built without Seastar")
class OnSeastar(Reports, unittest.TestCase):

    def mixed(self, ranks, odd, even, *shape, **variables):
        programs = {"asio": jobs.DEMO, "seastar": " ".join([str(jobs.SEASTAR_DEMO), *jobs.SEASTAR_OPTIONS])}
        script = f"if [ $((BANYAN_RANK % 2)) = 1 ]; then exec {programs[odd]} --json; fi; exec {programs[even]} --json"
        return self.report(run(jobs.BANYAN, "run", "-n", ranks, *shape, "--", "sh", "-c", script, **variables))

    def test_its_ranks_and_asios_are_one_job_whoever_is_root(self):
        for odd, even in (("seastar", "asio"), ("asio", "seastar"), ("seastar", "seastar")):
            for shape in ((), ("--ranks-per-host", 2)):
                with self.subTest(odd=odd, even=even, shape=shape):
                    self.assertEqual(self.mixed(8, odd, even, *shape)["ranks"], 8)

    def test_each_shard_of_a_process_is_a_rank(self):
        report = self.report(run(jobs.SEASTAR_DEMO, "--rank", 0, "--port", jobs.free_port(), "--json", "--smp", 2,
                                 "--overprovisioned", "--memory", "256M", BANYAN_ALLOW_NO_SECRET=1))
        self.assertEqual(report["ranks"], 2)

    def test_it_says_what_is_wrong_with_shards_under_a_launcher(self):
        done = run(jobs.BANYAN, "run", "-n", 2, "--", jobs.SEASTAR_DEMO, "--smp", 2, "--overprovisioned", "--memory", "256M")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("say --smp 1", done.stderr)

    def test_hello_on_seastar(self):
        done = run(jobs.BANYAN, "run", "-n", 3, "--", jobs.BIN / "seastar_hello", *jobs.SEASTAR_OPTIONS)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("rank 2 heard: hello from rank 0", done.stdout)
        self.assertIn("a word from rank 2", done.stdout)


class OtherExamples(unittest.TestCase):
    def test_hello_says_what_each_rank_heard(self):
        done = run(jobs.BANYAN, "run", "-n", 3, "--", jobs.BIN / "hello_bootstrap")
        self.assertEqual(done.returncode, 0, done.stderr)
        for rank in range(3):
            self.assertIn(f"rank {rank} heard: hello from rank 0", done.stdout)
        self.assertIn("a word from rank 2", done.stdout)

    def test_hello_says_how_to_start_it_when_it_is_started_otherwise(self):
        for words in (("a", 1, "x", 3), (0, 1, "x", "3y"), (0, 1)):
            with self.subTest(words):
                done = run(jobs.BIN / "hello_bootstrap", *words)
                self.assertEqual(done.returncode, 1)
                self.assertIn("usage: hello_bootstrap RANK RANKS ADDRESS PORT", done.stderr)


class Makefile(unittest.TestCase):
    def run_line(self, *words):
        """How `make run` would start the demo."""
        done = run("make", "-n", "-C", pathlib.Path(__file__).parents[2], "run", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return next(line for line in done.stdout.splitlines() if "bootstrap_demo --rank" in line)

    def test_ranks_by_hand_meet_at_one_port_without_being_told(self):
        self.assertIn("--rank 1 --ranks 2 --address 127.0.0.1 --port 4242", self.run_line("RANK=1", "RANKS=2"))
        self.assertIn("--port 77", self.run_line("RANK=1", "RANKS=2", "PORT=77"))
        self.assertIn("--ranks 1 --address 127.0.0.1 --port 0", self.run_line())


if __name__ == "__main__":
    unittest.main()

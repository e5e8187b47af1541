"""`banyan simulate` and `banyan calibrate` as a user runs them."""

import collections
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

BIN = pathlib.Path(os.environ.get("TESTED_BIN", pathlib.Path(__file__).parents[2] / "build" / "bin"))
KEYS = {"ranks", "hosts", "fan_out", "depth", "registered_ms", "formed_ms", "barrier_ms", "allgather_ms",
        "broadcast_ms", "links_total", "tree_links_max", "root_links_max", "root_cpu_ms", "messages_total",
        "bytes_total", "wall_s", "peak_rss_mib", "digest"}


def banyan(*arguments):
    return subprocess.run([BIN / "banyan", *map(str, arguments)], capture_output=True, text=True, check=False)


def simulate(*arguments):
    ended = banyan("simulate", "--json", *arguments)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


class Simulate(unittest.TestCase):
    def test_it_reports_one_line_of_json_with_every_key(self):
        found = simulate("-n", 200, "--ranks-per-host", 4, "--fan-out", 4)
        self.assertLessEqual(KEYS, found.keys())
        self.assertEqual((found["ranks"], found["hosts"], found["fan_out"]), (200, 50, 4))
        self.assertEqual(found["links_total"], 199)
        self.assertLessEqual(found["tree_links_max"], 6)
        self.assertEqual(sum(level["bytes"] for level in found["levels"]), found["bytes_total"])

    def test_the_same_seed_gives_the_same_digest_and_another_seed_another(self):
        options = ("-n", 64, "--jitter-us", 10)
        first, again, other = (simulate(*options, "--seed", seed)["digest"] for seed in (7, 7, 8))
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)

    def test_computed_parents_spare_the_root(self):
        asked = simulate("-n", 1024, "--fan-out", 8)
        computed = simulate("-n", 1024, "--fan-out", 8, "--join", "computed")
        self.assertLess(computed["connections_total"], asked["connections_total"])
        self.assertLess(computed["root_cpu_ms"], asked["root_cpu_ms"])

    def test_several_rendezvous_share_the_work_of_one(self):
        one, five, nine = (simulate("-n", 1024, "--fan-out", 8, "--rendezvous", m) for m in (1, 5, 9))
        self.assertEqual([found["rendezvous"] for found in (one, five, nine)], [1, 5, 9])
        for slow, fast in ((one, five), (five, nine)):
            self.assertLess(fast["formed_ms"], slow["formed_ms"])
            self.assertLess(fast["root_cpu_ms"], slow["root_cpu_ms"])
            self.assertLessEqual(fast["tree_links_max"], slow["tree_links_max"])

    def test_it_prints_a_table_for_people(self):
        ended = banyan("simulate", "-n", "16")
        self.assertEqual(ended.returncode, 0, ended.stderr)
        for word in ("16 ranks on 2 hosts", "formed", "barrier", "level 1", "digest"):
            self.assertIn(word, ended.stdout)

    def test_other_schemes_are_simulated_with_the_same_costs(self):
        for scheme in ("star-ring", "star-ring-bidirectional", "star-ring-no-sleep"):
            found = simulate("-n", 1000, "--scheme", scheme)
            self.assertEqual(found["scheme"], scheme)
            self.assertGreater(found["formed_ms"], found["ring_ms"])
        never = simulate("-n", 1_000_000, "--scheme", "star-ring-no-sleep")
        self.assertIsNone(never["formed_ms"])
        self.assertGreater(never["kept_out"], 0)

    def test_a_lazy_table_leaves_the_blobs_where_they_are(self):
        eager, lazy = (simulate("-n", 2048, "--blob-bytes", 1024, "--table", table) for table in ("eager", "lazy"))
        self.assertLess(lazy["formed_ms"], eager["formed_ms"])
        self.assertLess(lazy["bytes_total"], eager["bytes_total"])

    def test_what_makes_no_sense_is_refused_by_name(self):
        for arguments, words in ((("-n", 0), "--ranks must be 1 to"),
                                 (("-n", 8, "--fan-out", "wide"), "--fan-out must be auto or 2 to"),
                                 (("-n", 8, "--rendezvous", 0), "--rendezvous must be 1 to"),
                                 (("-n", 8, "--rendezvous", 2, "--join", "computed"), "leave out --rendezvous"),
                                 (("-n", 8, "--scheme", "star-ring", "--fan-out", 4), "are for --scheme banyan alone"),
                                 (("-n", 8, "--one-machine"), "--one-machine needs --cores-per-host"),
                                 (("-n", 8, "--spine-latency-us", 9), "need --hosts-per-rack"),
                                 (("-n", 8, "--join", "later"), "--join must be rendezvous or computed"),
                                 (("-n", 8, "--table", "later"), "--table must be eager or lazy"),
                                 (("-n", 8, "--scheme", "star-ring", "--table", "lazy"), "are for --scheme banyan alone"),
                                 (("-n", 8, "--scheme", "ring"), "--scheme must be one of banyan, star-ring"),
                                 (("-n", 8, "--latency-us", -1), "--latency-us must be 0 to"),
                                 (("-n", 8, "--blob-bytes", 40_000), "--blob-bytes must be 0 to 32768"),
                                 (("-n", 8, "--costs", "/no/such/file"), "can't read the costs file /no/such/file"),
                                 ((), "--ranks is required")):
            with self.subTest(arguments=arguments):
                ended = banyan("simulate", *arguments)
                self.assertEqual(ended.returncode, 2, ended.stderr)
                self.assertIn(words, ended.stderr)
                self.assertEqual(ended.stdout, "")


FAULT_KEYS = ["ranks", "hosts", "faults", "happened", "succeeded", "complaint", "outcomes", "digest", "simulated_ms",
              "wall_s"]


class Faults(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "faults"

    def play(self, text, *arguments):
        self.path.write_text(text)
        return simulate("--faults", self.path, *arguments)

    def test_who_crashes_is_named_by_all_others(self):
        found = self.play("crash rank 17 running after 200us\n", "-n", 64)
        self.assertEqual(list(found), FAULT_KEYS)
        self.assertEqual((found["ranks"], found["hosts"], found["succeeded"], found["complaint"]), (64, 8, False, ""))
        self.assertEqual(found["faults"], ["crash rank 17 running after 200us"])
        (happened,) = found["happened"]
        self.assertEqual((happened["fault"], happened["phase"]), (found["faults"][0], "running"))
        self.assertLess(happened["at_ms"], found["simulated_ms"])
        failed, killed = found["outcomes"]
        self.assertEqual(killed, {"count": 1, "ranks": "17", "how": "killed"})
        self.assertIn("rank 17 on host-2 was lost", failed.pop("text"))
        self.assertEqual(failed, {"count": 63, "ranks": "0-16, 18-63", "how": "failed", "code": "rank_lost",
                                  "blamed": "17"})

    def test_people_read_what_happened_when_and_how_the_ranks_ended(self):
        self.path.write_text("crash rank 17 running after 200us\npause rank 17 closing for 1ms\n")
        ended = banyan("simulate", "-n", 64, "--faults", self.path)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        for pattern in (r"64 ranks on 8 hosts, fan-out 16, seed 1", r"crash rank 17 running after 200us +at \d+\.\d+ ms, running",
                        r"pause rank 17 closing for 1ms +never: ", r"1 rank \(17\): killed",
                        r"63 ranks \(0-16, 18-63\): failed, rank_lost \{17\}: rank 17", r"the judge is content: the job could fail"):
            self.assertRegex(ended.stdout, pattern)

    def test_what_a_retry_overcomes_harms_nobody(self):
        found = self.play("refused rank 0 joining for 50ms\nhalf-open rank 8 joining for 20ms\n", "-n", 64)
        self.assertTrue(found["succeeded"])
        self.assertEqual(found["outcomes"], [{"count": 64, "ranks": "0-63", "how": "closed"}])
        self.assertEqual(len(found["happened"]), 2)

    def test_the_judge_complains_with_an_exit_code_when_deadlines_cannot_be_met(self):
        self.path.write_text("ranks 16\nlatency 20s\n")
        ended = banyan("simulate", "--faults", self.path)
        self.assertEqual(ended.returncode, 1, ended.stderr)
        self.assertIn("the judge complains: nothing was lost for good, and yet the job failed", ended.stdout)
        self.assertIn("rank 15: failed", ended.stdout)

    def test_random_faults_are_those_of_the_seed(self):
        options = ("-n", 40, "--faults", "random", "--jitter-us", 5)
        first, again, other = (simulate(*options, "--seed", seed) for seed in (7, 7, 8))
        self.assertTrue(1 <= len(first["faults"]) <= 3, first["faults"])
        for key in set(FAULT_KEYS) - {"wall_s"}:
            self.assertEqual(first[key], again[key])
        self.assertNotEqual(first["digest"], other["digest"])
        self.assertNotEqual(first["faults"], other["faults"])
        # Written down they are the same faults.
        written = self.play("\n".join(first["faults"]), "-n", 40, "--jitter-us", 5, "--seed", 7)
        self.assertEqual(written["digest"], first["digest"])

    def test_a_file_says_more_about_the_job_than_options_and_instead_of_them(self):
        found = self.play("ranks 12\nranks-per-host 3\nsecret no\n", "-n", 64)
        self.assertEqual((found["ranks"], found["hosts"], found["succeeded"]), (12, 4, True))
        self.assertEqual(self.play("ranks 12\n")["ranks"], 12)

    def test_bad_files_are_refused_by_line(self):
        for text, words in (("\ncrush rank 1 running\n", f"{self.path}:2: 'crush' is no fault (refused, "),
                            ("ranks 8\ncrash rank 8 running\n", f"{self.path}:2: there is no rank 8 in a job of 8"),
                            ("# long\n\npause rank 1 running for 1h\n", f"{self.path}:3: expected a time of up to"),
                            ("fan-out 1\n", f"{self.path}:1: 'fan-out': expected a whole number from 2 to 1024"),
                            ("", "--ranks is required: the faults file does not say it"),
                            ("ranks 3000\n", "--faults plays up to 2048 ranks, not 3000")):
            with self.subTest(text=text):
                self.path.write_text(text)
                self.refused(words, "--faults", self.path)
        self.refused("can't read the faults file /no/such/file", "-n", 8, "--faults", "/no/such/file")
        self.refused("--ranks is required", "--faults", "random")
        self.refused("--faults plays --scheme banyan alone", "-n", 8, "--faults", "random", "--scheme", "star-ring")

    def refused(self, words, *arguments):
        ended = banyan("simulate", *arguments)
        self.assertEqual(ended.returncode, 2, ended.stderr)
        self.assertIn(words, ended.stderr)
        self.assertEqual(ended.stdout, "")


class Calibrate(unittest.TestCase):
    def test_what_it_measures_is_what_simulate_takes(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "costs.json"
            ended = banyan("calibrate", "--output", path)
            self.assertEqual(ended.returncode, 0, ended.stderr)
            costs = json.loads(path.read_text())
            for known in ("measured_by", "date", "processor", "kernel"):
                self.assertIn(known, costs)
            self.assertGreater(costs["start"], costs["read_local"])
            self.assertGreater(costs["read_local"], 0)
            dear = {**costs, "start": costs["start"] + 50_000_000}
            path.write_text(json.dumps(dear))
            self.assertGreater(simulate("-n", 8, "--costs", path)["formed_ms"], 50)


class Trace(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "trace.json"

    def trace(self, *arguments):
        found = simulate(*arguments, "--trace", self.path)
        return found, json.loads(self.path.read_text())

    def test_every_rank_has_a_track_on_its_host(self):
        found, trace = self.trace("-n", 24, "--ranks-per-host", 4)
        self.assertEqual(found["digest"], simulate("-n", 24, "--ranks-per-host", 4)["digest"])
        named = {(event["pid"], event["tid"]): event["args"]["name"]
                 for event in trace["traceEvents"] if event["name"] == "thread_name"}
        self.assertEqual(named, {(rank // 4, rank): f"rank {rank}" for rank in range(24)})
        hosts = {event["pid"]: event["args"]["name"]
                 for event in trace["traceEvents"] if event["name"] == "process_name"}
        self.assertEqual(hosts, {host: f"host {host}" for host in range(6)})
        self.assertEqual({(event["pid"], event["tid"]) for event in trace["traceEvents"]}, named.keys())

    def test_events_stand_in_order_of_time(self):
        _, trace = self.trace("-n", 24, "--ranks-per-host", 4, "--jitter-us", 20)
        times = [event["ts"] for event in trace["traceEvents"] if event["ph"] != "M"]
        self.assertGreaterEqual(times[0], 0)
        self.assertEqual(times, sorted(times))

    def test_phases_follow_each_other_and_hold_the_collectives(self):
        _, trace = self.trace("-n", 24, "--ranks-per-host", 4, "--arrival-ms", 1)
        slices = collections.defaultdict(dict)
        for event in trace["traceEvents"]:
            if event["ph"] == "X":
                self.assertNotIn(event["name"], slices[event["tid"]])
                slices[event["tid"]][event["name"]] = (event["ts"], event["ts"] + event["dur"])
        self.assertEqual(len(slices), 24)
        for rank, named in slices.items():
            with self.subTest(rank=rank):
                joined, registered, formed = (named.pop(phase) for phase in ("join", "register", "formed"))
                self.assertAlmostEqual(joined[1], registered[0])
                self.assertAlmostEqual(registered[1], formed[0])
                self.assertEqual(list(named), ["barrier", "allgather", "broadcast"])
                before = formed[0]
                for begin, end in named.values():
                    self.assertLessEqual(before, begin + 1e-6)
                    before = end
                self.assertLessEqual(before, formed[1] + 1e-6)

    def test_every_message_leaves_one_track_and_arrives_on_another(self):
        _, trace = self.trace("-n", 24, "--ranks-per-host", 4)
        begins, ends = ({event["id"]: event for event in trace["traceEvents"] if event["ph"] == kind} for kind in "sf")
        self.assertEqual(begins.keys(), ends.keys())
        self.assertGreater(len(begins), 100)
        for number, begin in begins.items():
            self.assertLessEqual(begin["ts"], ends[number]["ts"])
            self.assertNotEqual(begin["tid"], ends[number]["tid"])
        self.assertLessEqual({"hello", "records", "table_chunk", "collective"},
                             {event["name"] for event in begins.values()})

    def test_a_large_job_is_sampled(self):
        _, trace = self.trace("-n", 3000)
        tracks = {event["tid"] for event in trace["traceEvents"]}
        self.assertIn(0, tracks)
        self.assertLessEqual(len(tracks), 256)
        self.assertEqual(trace["otherData"]["tracks"], len(tracks))

    def test_what_can_not_be_traced_is_refused(self):
        for arguments, words in ((("--trace", "/no/such/folder/trace.json"),
                                  "can't write the trace file /no/such/folder/trace.json: No such file or directory"),
                                 (("--trace", self.path, "--scheme", "star-ring"), "--trace shows --scheme banyan alone")):
            with self.subTest(arguments=arguments):
                ended = banyan("simulate", "-n", 8, *arguments)
                self.assertEqual(ended.returncode, 2, ended.stderr)
                self.assertIn(words, ended.stderr)
                self.assertEqual(ended.stdout, "")
        self.assertFalse(self.path.exists())


if __name__ == "__main__":
    unittest.main()

"""Bad luck and bad input on real processes: whatever happens to one rank, every other one ends in time and says why.

"At once" is far below the deadline that would have ended the job anyway; nothing here waits for a fixed time.
"""

import contextlib
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import jobs
from jobs import Job

# Deadlines of jobs: SOON for those that shall reach it, LATE for those that must end before.
SOON_S = 8 if jobs.SANITIZED else 3
LATE_S = 150 if jobs.SANITIZED else 50
AT_ONCE_S = LATE_S / 2
HOST = os.uname().nodename
RANKS = 8


def one_machine_as_hosts(ranks_per_host):
    return lambda rank: {"BANYAN_HOST_ID": f"host-{rank // ranks_per_host}", "BANYAN_HOST_NAME": f"host{rank // ranks_per_host}"}


class Failure(unittest.TestCase):
    def assert_names(self, ended, victim, host=None):
        """The rank failed, and its error names the victim."""
        self.assertEqual(ended.code, 1, ended)
        sentence = ended.err[ended.err.index(f"rank {ended.rank} on "):].partition(": ")[2]
        self.assertRegex(sentence, rf"\brank {victim}\b|missing 1 of \d+: {victim}\b", ended)
        if host:
            self.assertRegex(sentence, rf"\b{host}\b", ended)

    def assert_missing(self, ended, missing, of):
        self.assertEqual(ended.code, 1, ended)
        count = sum(int(last or first) - int(first) + 1 for first, last in re.findall(r"(\d+)(?:-(\d+))?", missing))
        self.assertIn(f"missing {count} of {of}: {missing}", ended.err, ended)


class MissingRanks(Failure):
    def test_a_missing_rank_is_named_by_every_other_and_in_the_progress(self):
        with Job(RANKS, timeout=SOON_S) as job:
            job.watch()
            job.start_all(rank for rank in range(RANKS) if rank != 5)
            self.assertEqual(job.progress_line("waiting for 1 "), "waiting for 1 of 8: 5")
            for ended in job.wait():
                self.assert_missing(ended, "5", RANKS)
                self.assertIn(f"this job's rendezvous 127.0.0.1:{job.port} and can reach it", ended.err, ended)
            self.assertGreaterEqual(job.seconds, SOON_S)

    def test_several_missing_ranks_are_listed_as_ranges(self):
        with Job(RANKS, timeout=SOON_S) as job:
            job.start_all((0, 1, 3, 4), one_machine_as_hosts(2), BANYAN_FAN_OUT=2)
            for ended in job.wait():
                self.assert_missing(ended, "2, 5-7", RANKS)

    def test_without_rank_0_the_others_say_that_it_is_missing(self):
        with Job(4, timeout=SOON_S) as job:
            job.start_all((1, 2, 3))
            for ended in job.wait():
                self.assert_names(ended, 0)
                self.assertIn(str(job.port), ended.err)


class KilledRanks(Failure):
    def kill_when_formed(self, victim, signal_number, per_rank=lambda rank: {}, host=HOST):
        with Job(RANKS, (jobs.LOST_RANK, "100000"), timeout=LATE_S, BANYAN_FAN_OUT=2) as job:
            job.start_all(per_rank=per_rank)
            for rank in range(RANKS):
                jobs.first_lines(job.process(rank), "is process")
            killed = time.monotonic()
            job.process(victim).send_signal(signal_number)
            for ended in job.wait():
                if ended.rank != victim:
                    self.assert_names(ended, victim, host)
                    self.assertLess(ended.at - killed, AT_ONCE_S, ended)

    def test_a_rank_that_is_killed_while_the_job_runs_is_named_at_once(self):
        for victim in (0, 1, RANKS - 1):
            with self.subTest(victim=victim):
                self.kill_when_formed(victim, signal.SIGKILL)

    def test_a_rank_killed_on_any_of_many_hosts_is_named_with_its_host(self):
        for victim in range(RANKS):
            with self.subTest(victim=victim):
                self.kill_when_formed(victim, signal.SIGKILL, one_machine_as_hosts(2), f"host{victim // 2}")

    def test_a_registered_rank_that_is_killed_ends_the_others_at_once(self):
        for hosts, victim in ((1, 3), (2, 0), (2, 5), (4, 6)):
            with self.subTest(ranks_per_host=hosts, victim=victim), Job(RANKS, timeout=LATE_S) as job:
                job.watch()
                job.start_all(range(RANKS - 1), one_machine_as_hosts(hosts), BANYAN_FAN_OUT=2)
                job.progress_line("waiting for 1 of 8: 7")
                killed = time.monotonic()
                job.process(victim).kill()
                for ended in job.wait():
                    if ended.rank != victim:
                        self.assert_names(ended, victim, f"host{victim // hosts}")
                        self.assertLess(ended.at - killed, AT_ONCE_S, ended)

    def test_a_rank_killed_at_any_moment_is_named(self):
        seeds = range(8 if jobs.SANITIZED else 30)
        for seed in seeds:
            choice = random.Random(seed)
            victim = choice.randrange(RANKS)
            ranks_per_host = choice.choice((1, 2, RANKS))
            with self.subTest(seed=seed), Job(RANKS, (jobs.LOST_RANK, "100000"), timeout=SOON_S) as job:
                order = list(range(RANKS))
                choice.shuffle(order)
                job.start_all(order, one_machine_as_hosts(ranks_per_host), BANYAN_FAN_OUT=2)
                time.sleep(choice.uniform(0, 0.06))
                job.process(victim).kill()
                for ended in job.wait():
                    if ended.rank != victim:
                        self.assert_names(ended, victim)

    def test_a_rank_that_leaves_while_others_wait_for_it_is_named(self):
        with Job(4, (jobs.LOST_RANK, "100000"), timeout=LATE_S) as job:
            job.start_all((0, 1, 3))
            job.command = (jobs.LOST_RANK, "1")
            job.start(2)
            for ended in job.wait():
                if ended.rank != 2:
                    self.assert_names(ended, 2)


class WrongRanks(Failure):
    """Rank 2 of 4 comes last and is not what the others expect."""

    def odd_one(self, **variables):
        """How rank 2 ended, and the others, who had to wait for it."""
        with Job(4, timeout=SOON_S) as job:
            job.watch()
            job.start_all((0, 1, 3))
            job.progress_line("waiting for 1 of 4: 2")
            job.start(2, **variables)
            ended = job.wait()
        self.assertEqual(ended[-1].code, 1, ended[-1])
        for other in ended[:-1]:
            self.assert_missing(other, "2", 4)
        return ended[-1], "".join(other.err for other in ended[:-1])

    def test_a_rank_with_another_secret_is_turned_away_and_told(self):
        odd, _ = self.odd_one(BANYAN_SECRET="another secret")
        self.assertIn("secret", odd.err)
        self.assertNotIn("another secret", odd.err)

    def test_a_rank_without_the_secret_is_turned_away_and_told(self):
        odd, _ = self.odd_one(BANYAN_SECRET="")
        self.assertIn("secret", odd.err.replace("NO JOB SECRET", ""))
        self.assertIn("this rank has no job secret and rank 0 has one", odd.err)

    def test_a_rank_of_another_job_is_turned_away_and_told(self):
        odd, _ = self.odd_one(BANYAN_JOB_ID="another job")
        self.assertIn("job", odd.err.partition("rank 2 on ")[2])

    def test_a_rank_that_counts_other_ranks_ends_the_job_and_all_say_so(self):
        with Job(4, timeout=LATE_S) as job:
            job.watch()
            job.start_all((0, 1, 3))
            job.progress_line("waiting for 1 of 4: 2")
            began = time.monotonic()
            job.start(2, BANYAN_WORLD_SIZE="5")
            for ended in job.wait():
                self.assertEqual(ended.code, 1, ended)
                self.assertRegex(ended.err, r"rank 2\b.*\b5\b.*\b4\b", ended)
                self.assertLess(ended.at - began, AT_ONCE_S, ended)

    def test_a_second_process_of_one_rank_is_refused_and_the_job_goes_on(self):
        with Job(4, timeout=LATE_S) as job:
            job.watch()
            job.start_all((0, 1, 2))
            job.progress_line("waiting for 1 of 4: 3")
            began = time.monotonic()
            _, err = job.start(2).communicate(timeout=jobs.DEADLINE_S)
            self.assertLess(time.monotonic() - began, AT_ONCE_S)
            self.assertRegex(err, r"rank 2 on .*rank 2\b")
            _, duplicate = job.processes.pop()
            self.assertEqual(duplicate.returncode, 1)
            duplicate.stdout.close(), duplicate.stderr.close()
            job.start(3)
            ended = job.wait()
        self.assertEqual([end.code for end in ended], [0, 0, 0, 0], ended)


    def test_a_second_process_of_a_leaders_rank_is_refused_and_rank_0_says_so(self):
        with Job(4, timeout=SOON_S) as job:
            job.watch()
            job.start_all((0, 1, 2), one_machine_as_hosts(1))
            job.progress_line("waiting for 1 of 4: 3")
            _, err = job.start(2, **one_machine_as_hosts(1)(2)).communicate(timeout=jobs.DEADLINE_S)
            self.assertRegex(err, r"rank 2 on .*a second process on host2 was started as rank 2, which has joined already")
            self.assertNotIn("going on over TCP", err)
            _, duplicate = job.processes.pop()
            self.assertEqual(duplicate.returncode, 1)
            duplicate.stdout.close(), duplicate.stderr.close()
            ended = job.wait()
        for rank in (0, 2):
            self.assertIn("refused: a second process on host2 was started as rank 2", ended[rank].err, ended[rank])
        self.assertIn("; refused: a second process was started as rank 2", ended[0].err, ended[0])


def own_hosts_file():
    """The words that give a command its own /etc/hosts, to be followed by its path and the command; None if it can't be."""
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    words = [*unshare, "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"']
    with tempfile.NamedTemporaryFile() as file, contextlib.suppress(OSError):
        if subprocess.run([*words, file.name, "true"], capture_output=True).returncode == 0:
            return words
    return None


class Addresses(Failure):
    def test_a_port_in_use_is_named_with_its_remedy(self):
        with Job(3, timeout=SOON_S) as job, contextlib.closing(socket.socket()) as squatter:
            squatter.bind(("127.0.0.1", job.port))
            squatter.listen()
            job.start_all()
            ended = job.wait()
            self.assertEqual([end.code for end in ended], [1, 1, 1], ended)
            self.assertRegex(ended[0].err, rf"{job.port}.* in use")

    def test_a_name_that_does_not_resolve_is_tried_again_until_the_deadline(self):
        with Job(2, timeout=SOON_S, BANYAN_RENDEZVOUS="no-such-host.invalid:4242") as job:
            job.start(1)
            (ended,) = job.wait()
            self.assertEqual(ended.code, 1)
            self.assertIn("no-such-host.invalid", ended.err)
            self.assertGreaterEqual(job.seconds, SOON_S)

    def test_rank_0_waits_for_a_name_that_does_not_resolve_until_its_deadline(self):
        with Job(2, timeout=SOON_S, BANYAN_RENDEZVOUS="no-such-host.invalid:4242") as job:
            job.start(0)
            (ended,) = job.wait()
            self.assertEqual(ended.code, 1)
            self.assertRegex(ended.err, r"setup: can't listen at no-such-host\.invalid:4242: this host's resolver does not "
                                        r"know the name after .*; check BANYAN_RENDEZVOUS")
            self.assertEqual(ended.err.count("it is tried again"), 1, ended)
            self.assertGreaterEqual(job.seconds, SOON_S)
            self.assertLess(job.seconds, SOON_S + AT_ONCE_S)

    @unittest.skipUnless(own_hosts_file(), "no mount namespaces here")
    def test_a_name_that_resolves_late_is_late_for_no_rank(self):
        for computed in (False, True):
            with self.subTest(computed=computed), tempfile.NamedTemporaryFile("w") as hosts:
                command = [*own_hosts_file(), hosts.name, jobs.DEMO, "--json"]
                with Job(2, command, timeout=LATE_S) as job:
                    names = [f"pod-{rank}.test:{port}" for rank, port in enumerate((job.port, jobs.free_port()))]
                    job.variables.update(BANYAN_RENDEZVOUS=names[0], BANYAN_LOG="info")
                    if computed:
                        job.variables.update(BANYAN_HOSTS=",".join(names))
                    for rank in range(2):
                        per_rank = {"BANYAN_HOST_ID": f"pod-{rank}", **({"BANYAN_HOST_INDEX": rank} if computed else {})}
                        job.start(rank, **per_rank)
                    for rank in range(2) if computed else (0,):
                        self.assertTrue(any("it is tried again" in line for line in job.process(rank).stderr))
                    print("127.0.0.1 pod-0.test pod-1.test", file=hosts, flush=True)
                    for ended in job.wait():
                        self.assertEqual(ended.code, 0, ended)

    def test_strangers_on_the_port_hold_nobody_up(self):
        garbage = [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes.fromhex("160301020001000001fc0303") + bytes(64),
                   random.Random(1).randbytes(4096), b"BNYN", b"\xff" * 64, bytes(64)]
        with Job(4, timeout=LATE_S) as job, contextlib.ExitStack() as strangers:
            job.watch()
            job.start_all((0, 1, 2))
            job.progress_line("waiting for 1 of 4: 3")
            for number in range(200):
                stranger = strangers.enter_context(socket.create_connection(("127.0.0.1", job.port)))
                with contextlib.suppress(OSError):  # it may be turned away before it has spoken
                    stranger.sendall(garbage[number % len(garbage)])
                if number % 3 == 0:
                    stranger.close()
            job.start(3)
            ended = job.wait()
        self.assertEqual([end.code for end in ended], [0, 0, 0, 0], ended)


class Misuse(unittest.TestCase):
    def error(self, *arguments, **variables):
        done = subprocess.run([jobs.DEMO, *arguments], text=True, capture_output=True, timeout=jobs.DEADLINE_S,
                              env=jobs.environment(**variables))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def test_a_rank_outside_of_the_job_is_refused(self):
        self.assertIn("the rank is 9, which is not in 0 .. 7", self.error("--rank", "9", "--ranks", "8"))

    def test_a_process_that_nobody_gave_a_rank_says_how_to_start_it(self):
        error = self.error()
        for word in ("banyan run", "--rank", "--ranks", "--address", "--port"):
            self.assertIn(word, error)

    def test_a_launcher_that_names_no_rendezvous_is_named(self):
        error = self.error(PMI_RANK=0, PMI_SIZE=2)
        self.assertIn("MPICH", error)
        self.assertIn("set BANYAN_RENDEZVOUS", error)

    def test_a_variable_that_cant_be_read_is_named_with_its_value(self):
        self.assertIn('BANYAN_FAN_OUT is "many"', self.error(BANYAN_FAN_OUT="many"))

    def test_a_variable_that_is_misspelt_is_told_once(self):
        done = subprocess.run([jobs.DEMO, "--json"], text=True, capture_output=True, timeout=jobs.DEADLINE_S,
                              env=jobs.environment(BANYAN_RANK=0, BANYAN_WORLD_SIZE=1, BANYAN_FANOUT=3))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.count("BANYAN_FANOUT is set, and Banyan knows no such variable: did you mean "
                                           "BANYAN_FAN_OUT?"), 1, done.stderr)

    def test_a_secret_file_that_others_can_read_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "secret")
            path.write_text("hush")
            path.chmod(0o644)
            error = self.error(BANYAN_RANK=0, BANYAN_WORLD_SIZE=1, BANYAN_SECRET_FILE=path)
        self.assertIn("chmod 600", error)
        self.assertNotIn("hush", error)


if __name__ == "__main__":
    unittest.main()

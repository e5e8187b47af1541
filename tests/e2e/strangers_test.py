"""Strangers on the port of a real job: whatever they send, the job starts, its memory stays bounded, and it counts
those that it turned away. And jobs that are strangers to each other: they never mix.

failure_test.py has strangers of all kinds among a start as well; here each is watched until it has been shown the door.
"""

import contextlib
import pathlib
import random
import re
import resource
import socket
import struct
import sys
import threading
import unittest

import jobs
from jobs import Job

LATE_S = 150 if jobs.SANITIZED else 50
RANKS = 4
SILENT = 1000
# A rank of so small a job has about 10 MiB; believing a stranger would cost thousands.
MOST_MIB = 1000 if jobs.SANITIZED else 64
# An honest rank whose machine is too busy gives an attempt up and comes again, which counts as well.
MOST_RETRIES = 8 * RANKS

HELLO, HEADER_BYTES = 1, 32
SEED = random.randrange(1 << 32)


def frame(kind, claimed, body=b""):
    """A frame whose header claims a body of `claimed` bytes."""
    return struct.pack("<IBBHII16x", claimed, kind, 0, 0, 0, 0) + body


def kinds_of_strangers():
    chance = random.Random(SEED)
    return {
        "connects and closes": b"",
        "speaks HTTP": b"GET / HTTP/1.1\r\nHost: example\r\nUser-Agent: a health check\r\n\r\n",
        "speaks TLS": bytes.fromhex("160301020001000001fc0303") + chance.randbytes(32) + bytes(465),
        "sends random bytes": chance.randbytes(chance.randrange(1, 1 << 16)),
        "sends half a header": frame(HELLO, 128)[: HEADER_BYTES // 2],
        "sends half a frame": frame(HELLO, 128, chance.randbytes(64)),
        "sends a whole frame of nonsense": frame(HELLO, 128, chance.randbytes(128)),
        "claims 4 GiB": frame(HELLO, 0xFFFFFFFF, bytes(1 << 16)),
        "claims 4 GiB before it says who it is": frame(chance.randrange(2, 256), 0xFFFFFFFF, bytes(1 << 16)),
    }


def connected(port):
    stranger = socket.create_connection(("127.0.0.1", port), timeout=jobs.DEADLINE_S)
    return contextlib.closing(stranger)


def shown_the_door(stranger):
    """What the other side still said, once it has closed."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while more := stranger.recv(1 << 16):
            said += more
    return said


def visit(port, *parts):
    """Sends the parts, each but the first after an answer, and stays until it is sent away; returns what it was told."""
    with connected(port) as stranger:
        said = b""
        for number, part in enumerate(parts):
            with contextlib.suppress(ConnectionError):  # it may be sent away before it has spoken
                if number > 0:
                    said += stranger.recv(1 << 16)
                stranger.sendall(part)
        with contextlib.suppress(OSError):
            stranger.shutdown(socket.SHUT_WR)
        return said + shown_the_door(stranger)


def frames(stream):
    """The whole frames of a recorded stream."""
    cut = []
    while len(stream) >= HEADER_BYTES:
        size = HEADER_BYTES + struct.unpack_from("<I", stream)[0]
        cut.append(stream[:size])
        stream = stream[size:]
    return cut


class RecordingProxy:
    """Listens for one connection, passes it on to `port`, and keeps what the caller said."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.recorded = []  # one stream for each connection
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join()
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self.listener.accept()
                there = socket.create_connection(("127.0.0.1", self.target))
                self.recorded.append(bytearray())
                for source, sink, record in ((caller, there, self.recorded[-1]), (there, caller, None)):
                    threading.Thread(target=self.pass_on, args=(source, sink, record), daemon=True).start()

    @staticmethod
    def pass_on(source, sink, record):
        with contextlib.suppress(OSError):
            while some := source.recv(1 << 16):
                if record is not None:
                    record += some
                sink.sendall(some)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def handshake(self):
        """The first connection on which the caller proved itself: its hello, and everything after it."""
        for stream in self.recorded:
            hello, *rest = frames(bytes(stream)) or (b"",)
            if rest:
                return hello, b"".join(rest)
        raise AssertionError(f"no handshake in {self.recorded}")


def memory_mib(process):
    """The most memory that a running process ever had."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


class Strangers(unittest.TestCase):
    def assert_all_well(self, ended):
        self.assertEqual([end.code for end in ended], [0] * len(ended), ended)

    def assert_turned_away(self, ended, count):
        """Rank 0 counted them."""
        said = re.search(r"turned away: (\d+)", ended[0].out)
        self.assertIsNotNone(said, ended[0])
        self.assertGreaterEqual(int(said[1]), count, ended[0])
        self.assertLessEqual(int(said[1]), count + MOST_RETRIES, ended[0])

    def waiting_job(self, command=(jobs.DEMO,), **variables):
        """A job that waits for its last rank."""
        job = Job(RANKS, command, timeout=LATE_S, **variables)
        job.watch()
        job.start_all(range(RANKS - 1))
        return job

    def wait_for_last(self, job):
        job.progress_line(f"waiting for 1 of {RANKS}: {RANKS - 1}")

    def test_strangers_of_every_kind_are_sent_away_and_counted(self):
        print(f"seed {SEED}", file=sys.stderr)
        strangers = kinds_of_strangers()
        with self.waiting_job() as job:
            self.wait_for_last(job)
            for what, sent in strangers.items():
                with self.subTest(what):
                    self.assertEqual(visit(job.port, sent), b"", "a stranger learns nothing")
            job.start(RANKS - 1)
            ended = job.wait()
        self.assert_all_well(ended)
        self.assert_turned_away(ended, len(strangers))

    def test_the_memory_of_rank_0_stays_bounded(self):
        with self.waiting_job((jobs.LOST_RANK, "100000")) as job, contextlib.ExitStack() as held:
            self.wait_for_last(job)
            for number in range(300):
                for sent in kinds_of_strangers().values():
                    stranger = held.enter_context(connected(job.port))
                    with contextlib.suppress(ConnectionError):
                        stranger.sendall(sent)
                    if number % 2:
                        stranger.close()
            job.start(RANKS - 1)
            for rank in range(RANKS):
                jobs.first_lines(job.process(rank), "is process")
            self.assertLess(memory_mib(job.process(0)), MOST_MIB)

    def test_silent_connections_through_the_whole_start_hold_nobody_up(self):
        with Job(RANKS, (jobs.LOST_RANK, "100000"), timeout=LATE_S) as job, contextlib.ExitStack() as held:
            job.watch()
            job.start(0)
            job.progress_line(f"waiting for {RANKS - 1} of {RANKS}")
            for _ in range(SILENT):
                held.enter_context(connected(job.port))
            job.start_all(range(1, RANKS))
            for rank in range(RANKS):
                jobs.first_lines(job.process(rank), "is process")
            self.assertLess(memory_mib(job.process(0)), MOST_MIB)

    def test_silent_connections_are_sent_away_after_a_while_and_counted(self):
        with self.waiting_job() as job, contextlib.ExitStack() as held:
            self.wait_for_last(job)
            silent = [held.enter_context(connected(job.port)) for _ in range(SILENT)]
            for stranger in silent:
                self.assertEqual(shown_the_door(stranger), b"")
            job.start(RANKS - 1)
            ended = job.wait()
        self.assert_all_well(ended)
        self.assert_turned_away(ended, SILENT)

    def record(self, **variables):
        """A handshake of rank 1 with rank 0, listened to in a job that went well."""
        with Job(2, timeout=LATE_S, BANYAN_TRANSPORT="tcp", **variables) as job, RecordingProxy(job.port) as proxy:
            job.watch()
            job.start(0)
            job.progress_line("waiting for 1 of 2")
            job.start(1, BANYAN_RENDEZVOUS=f"127.0.0.1:{proxy.port}")
            self.assert_all_well(job.wait())
            return proxy.handshake()

    def test_a_recorded_handshake_opens_no_later_job_of_the_same_name_and_secret(self):
        variables = {"BANYAN_JOB_ID": "a job that is run twice", "BANYAN_TRANSPORT": "tcp"}
        hello, rest = self.record(BANYAN_JOB_ID=variables["BANYAN_JOB_ID"])
        with Job(2, (jobs.DEMO,), timeout=LATE_S, **variables) as job:
            job.watch()
            job.start(0)
            job.progress_line("waiting for 1 of 2: 1")
            for parts in ((hello + rest,), (hello, rest)):
                with self.subTest(parts=len(parts)):
                    self.assertIn(b"could not prove that it has the job secret", visit(job.port, *parts))
            job.start(1)
            ended = job.wait()
        self.assert_all_well(ended)
        self.assert_turned_away(ended, 2)

    def test_a_handshake_replayed_into_its_own_job_hurts_nobody(self):
        with Job(3, (jobs.DEMO,), timeout=LATE_S, BANYAN_TRANSPORT="tcp") as job, RecordingProxy(job.port) as proxy:
            job.watch()
            job.start(0)
            # The proxy connects once, so somebody has to listen.
            job.progress_line("waiting for 2 of 3: 1-2")
            job.start(1, BANYAN_RENDEZVOUS=f"127.0.0.1:{proxy.port}")
            job.progress_line("waiting for 1 of 3: 2")
            hello, rest = proxy.handshake()
            for parts in ((hello + rest,), (hello, rest)):
                with self.subTest(parts=len(parts)):
                    self.assertIn(b"could not prove that it has the job secret", visit(job.port, *parts))
            job.start(2)
            ended = job.wait()
        self.assert_all_well(ended)
        self.assert_turned_away(ended, 2)


class TwoJobs(unittest.TestCase):
    """Two jobs of one user on one host, with the same secret, whose ranks start in turn."""

    RANKS = 8

    def both(self, command, ranks_per_host):
        both = [Job(self.RANKS, command, timeout=LATE_S, BANYAN_FAN_OUT=2) for _ in range(2)]
        for rank in range(self.RANKS):
            for job in both:
                job.start(rank, BANYAN_HOST_ID=f"host-{rank // ranks_per_host}")
        return both

    def test_they_form_and_work_side_by_side(self):
        for ranks_per_host in (1, 2, self.RANKS):
            with self.subTest(ranks_per_host=ranks_per_host):
                first, second = self.both((jobs.DEMO, "--json"), ranks_per_host)
                with first, second:
                    for ended in first.wait() + second.wait():
                        self.assertEqual(ended.code, 0, ended)

    def test_the_end_of_one_does_not_touch_the_other(self):
        first, second = self.both((jobs.LOST_RANK, "40"), 2)
        with first, second:
            for job in (first, second):
                for rank in range(self.RANKS):
                    jobs.first_lines(job.process(rank), "is process")
            first.process(5).kill()
            for ended in first.wait():
                self.assertNotEqual(ended.code, 0, ended)
            for ended in second.wait():
                self.assertEqual(ended.code, 0, ended)


def setUpModule():
    """Room for the descriptors of a few thousand strangers."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    unittest.main()

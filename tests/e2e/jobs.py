"""Jobs on real processes for the end-to-end tests: ranks that are started one by one, watched and ended."""

import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import time

BIN = pathlib.Path(os.environ.get("TESTED_BIN", pathlib.Path(__file__).parents[2] / "build" / "bin"))
BANYAN = str(BIN / "banyan")
DEMO = str(BIN / "bootstrap_demo")
SEASTAR_DEMO = BIN / "seastar_demo"
# What a rank of a job of many on one machine leaves to the others.
SEASTAR_OPTIONS = ["--smp", "1", "--overprovisioned", "--memory", "128M"]
LOST_RANK = str(BIN / "lost_rank")
# A sanitizer makes processes several times as slow and large.
SANITIZED = bool(os.environ.get("TESTED_SANITIZE"))
# Long enough for a loaded machine; only a hang gets there.
DEADLINE_S = 180 if SANITIZED else 60


def environment(**variables):
    """This process's environment without what launchers and Banyan say in it, and with `variables`."""
    launchers = ("BANYAN_", "OMPI_", "PMI", "SLURM_", "PRTE_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(launchers)}
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"):
        inherited.pop(name, None)
    return {**inherited, **{name: str(value) for name, value in variables.items()}}


def free_port():
    """A port that nobody listens on, below those that clients get by chance."""
    while True:
        port = random.randint(12000, 19999)
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port


def tool(name):
    """The path of a program, or None."""
    return shutil.which(name)


class Ended:
    """How a rank ended."""

    def __init__(self, rank, code, out, err, at):
        self.rank, self.code, self.out, self.err, self.at = rank, code, out, err, at

    def __repr__(self):
        return f"rank {self.rank}: exit {self.code}\n  out: {self.out.strip()}\n  err: {self.err.strip()}"


class Job:
    """Processes that are started by hand as ranks of one job; `with` ends what is left."""

    def __init__(self, ranks, command=(DEMO, "--json"), timeout="20", **variables):
        self.ranks = ranks
        self.command = command
        self.port = free_port()
        self.variables = {
            "BANYAN_WORLD_SIZE": ranks,
            "BANYAN_RENDEZVOUS": f"127.0.0.1:{self.port}",
            "BANYAN_TIMEOUT": timeout,
            "BANYAN_CLOSE_TIMEOUT": "5",
            "BANYAN_SECRET": "a secret of the tests",
            **variables,
        }
        self.processes = []  # (rank, process)
        self.progress = self.progress_writer = None
        self.began = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _, process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
        if self.progress:
            self.progress.close()
        if self.progress_writer is not None:
            os.close(self.progress_writer)

    def start(self, rank, **variables):
        """Starts one rank; `variables` win over those of the job."""
        variables = {"BANYAN_RANK": rank, **self.variables, **variables}
        process = subprocess.Popen(self.command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=environment(**variables), pass_fds=self.inherited(rank))
        self.processes.append((rank, process))
        if rank == 0 and self.progress_writer is not None:
            os.close(self.progress_writer)  # so that the pipe ends with rank 0
            self.progress_writer = None
        return process

    def start_all(self, ranks=None, per_rank=lambda rank: {}, **variables):
        for rank in range(self.ranks) if ranks is None else ranks:
            self.start(rank, **{**variables, **per_rank(rank)})
        return self

    def inherited(self, rank):
        return () if rank != 0 or self.progress_writer is None else (self.progress_writer,)

    def watch(self):
        """From now on rank 0, when it is started, writes its progress where progress_line() reads."""
        reader, self.progress_writer = os.pipe()
        self.progress = os.fdopen(reader)
        self.variables["BANYAN_PROGRESS_FD"] = self.progress_writer

    def progress_line(self, pattern):
        """The next progress line that matches. The deadline is the test runner's."""
        for line in self.progress:
            if re.search(pattern, line):
                return line.strip()
        raise AssertionError(f"no progress line matches {pattern}")

    def process(self, rank):
        return next(process for its_rank, process in self.processes if its_rank == rank)

    def wait(self):
        """All ranks' ends, once all have ended."""
        ended = []
        for rank, process in self.processes:
            out, err = process.communicate(timeout=DEADLINE_S)
            ended.append(Ended(rank, process.returncode, out, err, time.monotonic()))
        self.seconds = time.monotonic() - self.began
        return ended


def first_lines(process, pattern):
    """The lines of a running process's output up to one that matches."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if re.search(pattern, line):
            return lines
    raise AssertionError(f"{process.args}: no line matches {pattern}; it said {lines} and {process.stderr.read()}")

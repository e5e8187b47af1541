"""`banyan run` on real processes: what it gives its ranks, what it does with their output, and how it ends them.

Nothing here waits for a fixed time. What must happen is waited for by reading a pipe or by looking again and again
until a deadline; that something has *not* happened is asked after another event that would have come later.
"""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import pty
import re
import resource
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import textwrap
import time
import unittest

BIN = pathlib.Path(os.environ.get("TESTED_BIN", pathlib.Path(__file__).parents[2] / "build" / "bin"))
BANYAN = str(BIN / "banyan")
DEADLINE_S = int(os.environ.get("LAUNCHER_DEADLINE", 60))
PYTHON = sys.executable
PTRACE_SEIZE = 0x4206


# A shell that runs tests in the background has some of these ignored, and what is ignored stays so across exec.
RESTORED_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def default_signals():
    for number in RESTORED_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def clean_environment(**variables):
    # Unbuffered, Python would write one line in several pieces.
    inherited = {name: value for name, value in os.environ.items()
                 if not name.startswith("BANYAN_") and name != "PYTHONUNBUFFERED"}
    return {**inherited, **variables}


def until(what, condition, deadline_s=DEADLINE_S):
    """Looks again and again until the condition holds, and returns its value."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"still not after {deadline_s} s: {what}")
        time.sleep(0.005)
    return value


def process_state(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def alive(pid):
    return process_state(pid) not in (None, "Z", "X")


def children_of(pid):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(entry.name))
    return found


def run(*arguments, **options):
    """Runs `banyan run` to its end."""
    options.setdefault("env", clean_environment())
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([BANYAN, "run", *map(str, arguments)], text=True, capture_output=True, timeout=DEADLINE_S,
                          preexec_fn=default_signals, **options)


class Launcher:
    """A `banyan run` that is talked to while it runs."""

    def __init__(self, *arguments, **options):
        options.setdefault("env", clean_environment())
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("preexec_fn", default_signals)
        self.process = subprocess.Popen([BANYAN, "run", *map(str, arguments)], text=True, bufsize=1, **options)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def line(self):
        """The next line of stdout; the deadline is the test runner's."""
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"no more output; stderr: {self.process.stderr.read()}")
        return line.rstrip("\n")

    def lines(self, count):
        return [self.line() for _ in range(count)]

    def wait(self):
        return self.process.wait(DEADLINE_S)

    def supervisor(self):
        (pid,) = until("the launcher has a supervisor", lambda: children_of(self.pid))
        return pid


def too_late(*_):
    raise AssertionError("the test waits in vain")


# A rank that says its process id when it is ready, and then does what its arguments say on signals: `TERM=exit:9`,
# `INT=ignore`, `USR1=print`.
OBEDIENT_RANK = """
    import os, signal, sys
    def act(what):
        verb, _, code = what.partition(":")
        if verb == "ignore":
            return signal.SIG_IGN
        if verb == "exit":
            return lambda number, _: os._exit(int(code))
        return lambda number, _: os.write(1, (signal.Signals(number).name + chr(10)).encode())
    for argument in sys.argv[1:]:
        name, _, what = argument.partition("=")
        signal.signal(getattr(signal, "SIG" + name), act(what))
    print("ready", os.getpid(), flush=True)
    while True:
        signal.pause()
"""


class LauncherTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="banyan-launcher-")
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        signal.signal(signal.SIGALRM, too_late)
        signal.setitimer(signal.ITIMER_REAL, 2 * DEADLINE_S, 2 * DEADLINE_S)
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)

    def obedient_ranks(self, ranks, *actions, options=(), **more):
        """A running job whose ranks obey, and their process ids by rank."""
        launcher = Launcher("-n", ranks, *options, "--", PYTHON, "-S", self.script(OBEDIENT_RANK), *actions, **more)
        self.addCleanup(launcher.__exit__)
        pids = {}
        for line in launcher.lines(ranks):
            rank, pid = re.fullmatch(r"\[ *(\d+)\] ready (\d+)", line).groups()
            pids[int(rank)] = int(pid)
        return launcher, pids

    def fifo(self, name):
        path = self.directory / name
        os.mkfifo(path)
        return path

    def script(self, text, name="rank.py"):
        path = self.directory / name
        path.write_text(textwrap.dedent(text))
        return str(path)


class Output(LauncherTest):
    def test_every_line_names_its_rank_aligned(self):
        done = run("-n", 12, "--", "sh", "-c", "echo one; echo two")
        self.assertEqual(done.returncode, 0, done.stderr)
        expected = [f"[{rank:2}] {word}" for rank in range(12) for word in ("one", "two")]
        self.assertEqual(sorted(done.stdout.splitlines()), sorted(expected))

    def test_stdout_and_stderr_stay_apart(self):
        done = run("-n", 2, "--", "sh", "-c", "echo out; echo err >&2")
        self.assertEqual(sorted(done.stdout.splitlines()), ["[0] out", "[1] out"])
        self.assertEqual(sorted(done.stderr.splitlines()), ["[0] err", "[1] err"])

    def test_a_last_line_without_a_newline_gets_one(self):
        done = run("-n", 2, "--", "printf", "%s", "unfinished")
        self.assertEqual(sorted(done.stdout.splitlines(keepends=True)), ["[0] unfinished\n", "[1] unfinished\n"])

    def test_a_line_written_in_pieces_is_not_broken_by_other_ranks(self):
        first, second = self.fifo("first"), self.fifo("second")
        script = f"""
            if [ $BANYAN_RANK = 0 ]; then printf 'half '; echo > {first}; read x < {second}; echo whole
            else read x < {first}; echo between; echo > {second}; fi"""
        done = run("-n", 2, "--", "sh", "-c", script)
        self.assertEqual(sorted(done.stdout.splitlines()), ["[0] half whole", "[1] between"])

    def test_an_endless_line_is_cut_and_nothing_of_it_is_lost(self):
        size = 1_000_000
        done = run("-n", 1, "--", PYTHON, "-c", f"import sys; sys.stdout.write('x' * {size})")
        lines = done.stdout.splitlines()
        self.assertTrue(all(line.startswith("[0] ") for line in lines))
        self.assertTrue(all(len(line) <= len("[0] ") + 64 * 1024 for line in lines))
        self.assertEqual(sum(len(line) - len("[0] ") for line in lines), size)

    def test_a_line_of_exactly_the_limit_is_one_line(self):
        done = run("-n", 1, "--", PYTHON, "-c", "print('x' * 65536)")
        self.assertEqual([len(line) for line in done.stdout.splitlines()], [len("[0] ") + 65536])

    def test_a_slow_reader_loses_nothing(self):
        ranks, lines = 8, 10_000  # twice what the launcher keeps
        with Launcher("-n", ranks, "--", "seq", "-f", "%.0f " + "x" * 100, 1, lines) as launcher:
            until("the pipe to the reader is full", lambda: stdout_is_full(launcher))
            supervisor = launcher.supervisor()
            quiet_looks = 0

            def quiet():
                nonlocal quiet_looks
                running = any(process_state(pid) == "R" for pid in children_of(supervisor))
                quiet_looks = 0 if running else quiet_looks + 1
                return quiet_looks == 20

            until("the ranks wait or have ended", quiet)
            self.assertTrue(children_of(supervisor), "the launcher took all output without a limit")
            heard = {rank: 0 for rank in range(ranks)}
            for line in launcher.process.stdout:
                rank, number = re.fullmatch(r"\[(\d)\] (\d+) x{100}\n", line).groups()
                self.assertEqual(int(number), heard[int(rank)] + 1)
                heard[int(rank)] += 1
            self.assertEqual(launcher.wait(), 0)
            self.assertEqual(set(heard.values()), {lines})

    def test_a_reader_that_reads_nothing_keeps_no_signal_from_the_ranks(self):
        ended = self.directory / "ended"
        script = self.script(f"""
            import os, pathlib, signal
            if os.environ["BANYAN_RANK"] == "0":
                os.execlp("yes", "yes")
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
            pathlib.Path({str(self.directory / "ready")!r}).touch()
            signal.sigwait([signal.SIGUSR1])
            pathlib.Path({str(ended)!r}).touch()
            """)
        with Launcher("-n", 2, "--", PYTHON, script) as launcher:
            until("the pipe to the reader is full", lambda: stdout_is_full(launcher))
            until("rank 1 waits for the signal", (self.directory / "ready").exists)
            launcher.process.send_signal(signal.SIGUSR1)
            until("rank 1 got it", ended.exists)

    def test_when_nobody_reads_any_more_the_ranks_are_told_and_end(self):
        with Launcher("-n", 2, "--", "yes") as launcher:
            launcher.lines(10)
            launcher.process.stdout.close()
            self.assertEqual(launcher.wait(), 128 + signal.SIGPIPE)

    def test_a_reader_may_leave_while_ranks_are_still_being_started(self):
        for _ in range(40):  # a race: before it was mended, one in a dozen of these never ended
            with Launcher("-q", "-n", 6, "--", "yes") as launcher:
                launcher.line()
                launcher.process.stdout.close()
                self.assertEqual(launcher.wait(), 128 + signal.SIGPIPE)

    def test_without_prefix_ranks_write_to_the_launchers_own_stdout(self):
        with open(self.directory / "out", "w+") as file:
            done = subprocess.run([BANYAN, "run", "-n", "3", "--no-prefix", "--", "sh", "-c", "echo $BANYAN_RANK"],
                                  stdout=file, env=clean_environment(), timeout=DEADLINE_S)
            file.seek(0)
            self.assertEqual((done.returncode, sorted(file.read().split())), (0, ["0", "1", "2"]))

    def test_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([BANYAN, "run", "-n", "1", "--", "sh", "-c", "trap '' PIPE; echo lost; exit 0"],
                                  stdout=full, stderr=subprocess.PIPE, text=True, env=clean_environment(),
                                  timeout=DEADLINE_S)
        self.assertIn("No space left on device", done.stderr)
        self.assertEqual(done.returncode, 125)


def stdout_is_full(launcher):
    descriptor = os.open(f"/proc/{launcher.pid}/fd/1", os.O_WRONLY | os.O_NONBLOCK)
    try:
        return not select.select([], [descriptor], [], 0)[1]
    finally:
        os.close(descriptor)


class Environment(LauncherTest):
    def environments(self, *options, ranks=4, **variables):
        done = run("-n", ranks, *options, "--", "env", env=clean_environment(**variables))
        self.assertEqual(done.returncode, 0, done.stderr)
        of_rank = [{} for _ in range(ranks)]
        for line in done.stdout.splitlines():
            if match := re.fullmatch(r"\[ *(\d+)\] (BANYAN_\w+)=(.*)", line):
                of_rank[int(match[1])][match[2]] = match[3]
        return of_rank

    def test_ranks_know_who_they_are_and_where_to_meet(self):
        environments = self.environments(ranks=11)
        for rank, variables in enumerate(environments):
            self.assertEqual(variables["BANYAN_RANK"], str(rank))
            self.assertEqual(variables["BANYAN_WORLD_SIZE"], "11")
            self.assertEqual(variables["BANYAN_LOCAL_RANK"], str(rank))
            self.assertEqual(variables["BANYAN_LOCAL_SIZE"], "11")
            self.assertRegex(variables["BANYAN_RENDEZVOUS"], r"^127\.0\.0\.1:[1-9]\d*$")
            self.assertRegex(variables["BANYAN_JOB_ID"], r"^[0-9a-f]{32}$")
            self.assertRegex(variables["BANYAN_SECRET"], r"^[0-9a-f]{64}$")
            for name in ("BANYAN_HOST_ID", "BANYAN_HOSTS", "BANYAN_HOST_INDEX", "BANYAN_TIMEOUT", "BANYAN_FAN_OUT",
                         "BANYAN_PROGRESS_FD"):
                self.assertNotIn(name, variables)
        for name in ("BANYAN_RENDEZVOUS", "BANYAN_JOB_ID", "BANYAN_SECRET"):
            self.assertEqual(len({variables[name] for variables in environments}), 1)

    def test_every_job_has_its_own_id_and_secret(self):
        first, second = (self.environments(ranks=1)[0] for _ in range(2))
        self.assertNotEqual(first["BANYAN_JOB_ID"], second["BANYAN_JOB_ID"])
        self.assertNotEqual(first["BANYAN_SECRET"], second["BANYAN_SECRET"])

    def test_ranks_per_host_makes_hosts_and_the_last_may_be_smaller(self):
        told = [[variables[f"BANYAN_{name}"] for name in ("HOST_ID", "LOCAL_RANK", "LOCAL_SIZE")]
                for variables in self.environments("--ranks-per-host", 3, ranks=7)]
        self.assertEqual(told, [["host-0", "0", "3"], ["host-0", "1", "3"], ["host-0", "2", "3"],
                                ["host-1", "0", "3"], ["host-1", "1", "3"], ["host-1", "2", "3"],
                                ["host-2", "0", "1"]])

    def test_timeout_and_fan_out_reach_the_ranks(self):
        for variables in self.environments("--timeout", 2.5, "--fan-out", 8):
            self.assertEqual((variables["BANYAN_TIMEOUT"], variables["BANYAN_FAN_OUT"]), ("2.5", "8"))
        self.assertEqual(self.environments("--timeout", 30, ranks=1)[0]["BANYAN_TIMEOUT"], "30")

    def test_timeout_is_written_as_the_variable_is(self):
        for duration in ("5s", "500ms", "2m", "none"):
            self.assertEqual(self.environments("--timeout", duration, ranks=1)[0]["BANYAN_TIMEOUT"], duration)

    def test_computed_gives_every_host_an_address_and_its_own_index(self):
        environments = self.environments("--computed", "--ranks-per-host", 2, ranks=6)
        for rank, variables in enumerate(environments):
            hosts = variables["BANYAN_HOSTS"].split(",")
            self.assertEqual(hosts[0], variables["BANYAN_RENDEZVOUS"])
            self.assertEqual(len(set(hosts)), 3)
            self.assertTrue(all(re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", host) for host in hosts), hosts)
            self.assertEqual(variables["BANYAN_HOST_INDEX"], str(rank // 2))

    def test_listed_hosts_have_addresses_and_all_know_their_index(self):
        environments = self.environments("--listed-hosts", 2, "--ranks-per-host", 2, ranks=8)
        for rank, variables in enumerate(environments):
            self.assertEqual(len(set(variables["BANYAN_HOSTS"].split(","))), 2)
            self.assertEqual(variables["BANYAN_HOST_INDEX"], str(rank // 2))
        for arguments in (("--listed-hosts", 0), ("--listed-hosts", 2, "--computed")):
            self.assertEqual(run("-n", 4, *arguments, "--", "true").returncode, 2)

    def test_what_another_job_said_is_replaced_and_the_users_options_stay(self):
        stale = {f"BANYAN_{name}": "stale" for name in (
            "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_SIZE", "RENDEZVOUS", "JOB_ID", "SECRET", "SECRET_FILE", "HOSTS",
            "HOST_INDEX", "RENDEZVOUS_FD", "PROGRESS_FD", "TIMEOUT", "FAN_OUT", "HOST_ID")}
        for variables in self.environments("--timeout", 9, "--fan-out", 3, "--ranks-per-host", 2, **stale,
                                           BANYAN_INTERFACE="eth7"):
            self.assertNotIn("stale", variables.values())
            self.assertEqual(variables["BANYAN_INTERFACE"], "eth7")
        options = self.environments(ranks=1, BANYAN_TIMEOUT="77", BANYAN_FAN_OUT="5", BANYAN_HOST_ID="mine")[0]
        self.assertEqual([options[f"BANYAN_{name}"] for name in ("TIMEOUT", "FAN_OUT", "HOST_ID")], ["77", "5", "mine"])

    def test_the_secret_is_on_no_command_line(self):
        stop = self.fifo("stop")
        with Launcher("-n", 2, "--", "sh", "-c", f"echo $BANYAN_SECRET; read x < {stop}") as launcher:
            secret = launcher.line().split()[1].encode()
            launcher.line()
            seen = 0
            for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    command_line = path.read_bytes()
                    seen += b"launcher-" in command_line
                    self.assertNotIn(secret, command_line)
            self.assertGreaterEqual(seen, 4)  # the two processes of the launcher and both ranks
            launcher.process.kill()

    def test_ranks_find_signals_and_limits_as_the_user_left_them(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = min(soft, 777)

        def prepare():
            default_signals()
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)

        # Not through a shell, which sets its own mask.
        wanted = ("Max open files", "SigBlk:", "SigIgn:")
        with Launcher("-n", 1, "--", "grep", "-hE", "|".join(wanted), "/proc/self/limits", "/proc/self/status",
                      preexec_fn=prepare) as launcher:
            found = {name: line.split(name)[1].split()[0] for name, line in zip(wanted, launcher.lines(3))}
            self.assertEqual(launcher.wait(), 0)
        self.assertEqual(found["Max open files"], str(limit))
        self.assertEqual(int(found["SigBlk:"], 16), 0)
        # Python ignores these two itself, and Popen restores them.
        pythons_own = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
        # The C library keeps 32 and 33 for itself: a program can't hand them on.
        pythons_own |= 1 << (32 - 1) | 1 << (33 - 1)
        own = int(re.search(r"SigIgn:\s*(\w+)", pathlib.Path("/proc/self/status").read_text())[1], 16) & ~pythons_own
        for number in RESTORED_SIGNALS:
            own &= ~(1 << (number - 1))
        self.assertEqual(int(found["SigIgn:"], 16) & ~pythons_own, own | 1 << (signal.SIGUSR2 - 1))


LIST_DESCRIPTORS = """
    import os
    def target(number):
        try:
            return os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            return None
    def descriptors():
        found = {int(number): target(number) for number in os.listdir("/proc/self/fd")}
        return {number: what for number, what in found.items() if what and not what.startswith("/proc/")}
"""


class Rendezvous(LauncherTest):
    def test_only_rank_0_inherits_the_listening_socket(self):
        script = self.script(LIST_DESCRIPTORS + """
    import socket
    rank, told = os.environ["BANYAN_RANK"], os.environ.get("BANYAN_RENDEZVOUS_FD")
    extra = sorted(number for number in descriptors() if number > 2)
    if rank == "0":
        assert extra == [int(told)], (extra, told)
        listener = socket.socket(fileno=int(told))
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        assert "%s:%d" % listener.getsockname() == os.environ["BANYAN_RENDEZVOUS"]
    else:
        assert told is None and extra == [], (extra, told)
    print("fine")
""")
        done = run("-n", 3, "--computed", "--ranks-per-host", 1, "--", PYTHON, script)
        self.assertEqual(sorted(done.stdout.splitlines()), ["[0] fine", "[1] fine", "[2] fine"], done.stderr)

    def test_ranks_can_connect_before_rank_0_accepts(self):
        accept = self.fifo("accept")
        script = self.script(f"""
            import os, socket
            if os.environ["BANYAN_RANK"] == "0":
                open({str(accept)!r}).read()
                listener = socket.socket(fileno=int(os.environ["BANYAN_RENDEZVOUS_FD"]))
                connection, _ = listener.accept()
                connection.sendall(b"welcome")
            else:
                host, port = os.environ["BANYAN_RENDEZVOUS"].split(":")
                connection = socket.create_connection((host, int(port)))
                open({str(accept)!r}, "w").close()
                print(connection.recv(7).decode())
            """)
        self.assertEqual(run("-n", 2, "--", PYTHON, script).stdout, "[1] welcome\n")

    def test_when_rank_0_is_gone_connections_are_refused(self):
        script = self.script("""
            import os, socket, time
            if os.environ["BANYAN_RANK"] == "1":
                host, port = os.environ["BANYAN_RENDEZVOUS"].split(":")
                while True:
                    try:
                        socket.create_connection((host, int(port))).close()
                        time.sleep(0.005)
                    except ConnectionRefusedError:
                        break
                print("refused")
            """)
        self.assertEqual(run("-n", 2, "--", PYTHON, script).stdout, "[1] refused\n")

    def test_a_given_address_is_used_and_one_in_use_is_an_error(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            address = "127.0.0.1:%d" % other.getsockname()[1]
            taken = run("-n", 2, "--rendezvous", address, "--", "true")
        self.assertEqual(taken.returncode, 125)
        self.assertEqual(taken.stderr, f"banyan run: cannot listen on {address}: Address already in use\n")
        free = run("-n", 2, "--rendezvous", address, "--", "sh", "-c", "echo $BANYAN_RENDEZVOUS")
        self.assertEqual(sorted(free.stdout.splitlines()), [f"[0] {address}", f"[1] {address}"], free.stderr)

    def test_a_computed_address_stays_free_for_its_leader_and_nobody_else(self):
        stop = self.fifo("stop")
        with Launcher("-n", 3, "--computed", "--ranks-per-host", 1, "--", "sh", "-c",
                      f"echo $BANYAN_HOSTS; read x < {stop}") as launcher:
            hosts = launcher.lines(3)[0].split()[1].split(",")
            for host, port in (address.split(":") for address in hosts[1:]):
                with socket.socket() as stranger, self.assertRaises(OSError):
                    stranger.bind((host, int(port)))
                with socket.socket() as leader:
                    leader.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    leader.bind((host, int(port)))
                    leader.listen()
                    socket.create_connection((host, int(port))).close()


class ExitCodes(LauncherTest):
    def test_all_ranks_well_means_0_and_no_word(self):
        done = run("-n", 200, "--", "true")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_a_rank_that_ends_well_and_early_ends_nobody(self):
        early = self.fifo("early")
        script = f"""
            if [ $BANYAN_RANK = 0 ]; then exec 3> {early}; exit 0; fi
            read x < {early}; echo still here"""
        done = run("-n", 2, "--kill-after", 0, "--", "sh", "-c", script)
        self.assertEqual((done.returncode, done.stdout), (0, "[1] still here\n"), done.stderr)

    def test_the_first_failure_decides_and_is_named(self):
        launcher, pids = self.obedient_ranks(4, "TERM=exit:9", "USR1=exit:7", options=("--kill-after", 0.2))
        os.kill(pids[2], signal.SIGUSR1)
        self.assertEqual(launcher.wait(), 7)
        self.assertEqual(launcher.process.stderr.read().splitlines(), [
            "banyan run: ranks 0-1, 3 still run: sending SIGTERM",
            "banyan run: rank 2 exited with code 7; 3 others ended",
            "banyan run: then ranks 0-1, 3 exited with code 9"])

    def test_a_killed_rank_is_128_and_the_signal(self):
        launcher, pids = self.obedient_ranks(8, options=("--kill-after", 0.2))
        os.kill(pids[5], signal.SIGKILL)
        self.assertEqual(launcher.wait(), 128 + 9)
        said = launcher.process.stderr.read().splitlines()
        self.assertIn("banyan run: rank 5 was killed by signal 9 (Killed); 7 others ended", said)
        self.assertIn("banyan run: then ranks 0-4, 6-7 were killed by signal 15 (Terminated)", said)

    def test_of_many_that_fail_while_the_launcher_stands_still_the_first_is_blamed(self):
        launcher, pids = self.obedient_ranks(8, "USR1=exit:3")
        supervisor = launcher.supervisor()
        os.kill(supervisor, signal.SIGSTOP)
        until("the supervisor stands still", lambda: process_state(supervisor) == "T")
        for rank in (6, 0, 3, 7, 1, 2, 4, 5):
            os.kill(pids[rank], signal.SIGUSR1)
            until("it ended", lambda: not alive(pids[rank]))
        os.kill(supervisor, signal.SIGCONT)
        self.assertEqual(launcher.wait(), 3)
        self.assertIn("banyan run: rank 6 exited with code 3; 7 others ended\n", launcher.process.stderr.read())

    def test_a_rank_whose_end_a_debugger_holds_back_holds_up_nothing_else(self):
        script = self.script("""
            import os, signal, sys
            signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"heard\\n"))
            print("ready", os.getpid(), flush=True)
            sys.stdin.read()
            while os.environ["BANYAN_RANK"] != "0":
                signal.pause()
            """)
        with Launcher("-n", 2, "--", PYTHON, "-S", script, stdin=subprocess.PIPE) as launcher:
            pids = dict(line.split(" ready ") for line in launcher.lines(2))
            traced = int(pids["[0]"])
            if ctypes.CDLL(None).ptrace(PTRACE_SEIZE, traced, None, None) != 0:
                self.skipTest("this system lets nobody debug")
            launcher.process.stdin.close()
            until("it ended", lambda: process_state(traced) == "Z")
            for _ in range(2):
                launcher.process.send_signal(signal.SIGUSR1)
                self.assertEqual(launcher.line(), "[1] heard")
            os.waitpid(traced, 0)
            os.kill(int(pids["[1]"]), signal.SIGKILL)
            self.assertEqual(launcher.wait(), 128 + 9)

    def test_ranks_that_end_by_themselves_within_the_grace_are_not_hurried(self):
        launcher, pids = self.obedient_ranks(2, "TERM=exit:9", "USR1=exit:7", "USR2=exit:0",
                                             options=("--kill-after", DEADLINE_S))
        os.kill(pids[0], signal.SIGUSR1)
        until("rank 0 ended", lambda: not alive(pids[0]))
        os.kill(pids[1], signal.SIGUSR2)
        self.assertEqual(launcher.wait(), 7)
        self.assertEqual(launcher.process.stderr.read(), "banyan run: rank 0 exited with code 7; 1 other ended\n")

    def test_ranks_that_ignore_sigterm_are_killed(self):
        launcher, pids = self.obedient_ranks(2, "TERM=ignore", "USR1=exit:7", options=("--kill-after", 0.1))
        os.kill(pids[0], signal.SIGUSR1)
        self.assertEqual(launcher.wait(), 7)
        said = launcher.process.stderr.read()
        self.assertIn("banyan run: rank 1 still runs: sending SIGKILL\n", said)
        self.assertIn("banyan run: then rank 1 was killed by signal 9 (Killed)\n", said)

    def test_quiet_leaves_only_the_exit_code(self):
        done = run("-q", "-n", 3, "--progress", "plain", "--", "sh", "-c", "exit 4")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (4, "", ""))

    def test_a_failure_during_the_start_leaves_the_rest_unstarted(self):
        done = run("-n", 1000, "--kill-after", 0, "--", "sh", "-c", "[ $BANYAN_RANK != 0 ] || exit 3; exec sleep 1000")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertRegex(done.stderr, r"rank 0 exited with code 3; \d+ others ended(; \d+ had not been started)?\n")


class BadInput(LauncherTest):
    def test_a_wrong_command_line_is_a_sentence_and_2(self):
        for arguments, sentence in {
            "-n 0 -- true": "-n must be 1 to 4194304, not 0",
            "-n -3 -- true": "--ranks = -3",
            "-n many -- true": "--ranks = many can't be read: a number is expected",
            "-- true": "--ranks is required",
            "-n 4": "which command?",
            "-n 4 --": "which command?",
            "-n 4 --ranks-per-host 0 -- true": "--ranks-per-host must be 1 to 4 (the number of ranks), not 0",
            "-n 4 --ranks-per-host 5 -- true": "--ranks-per-host must be 1 to 4 (the number of ranks), not 5",
            "-n 4 --fan-out 1 -- true": "--fan-out must be 2 to 1024, not 1",
            "-n 4 --fan-out 1025 -- true": "--fan-out must be 2 to 1024, not 1025",
            "-n 4 --timeout 0 -- true": "--timeout must be more than 0",
            "-n 4 --timeout -1 -- true": "--timeout must be more than 0",
            "-n 4 --timeout nan -- true": "--timeout must be more than 0",
            "-n 4 --timeout inf -- true": "--timeout must be more than 0",
            "-n 4 --timeout 5d -- true": "as seconds or like 500ms, 2m or none, not '5d'",
            "-n 4 --kill-after soon -- true": "--kill-after = soon can't be read: a number is expected",
            "-n 4 --kill-after -1 -- true": "--kill-after must be at least 0",
            "-n 4 --rendezvous here -- true": "'here' is not HOST:PORT",
            "-n 4 --rendezvous here:70000 -- true": "'here:70000' is not HOST:PORT",
            "-n 4 --rendezvous ::1:80 -- true": "an IPv6 address stands in brackets",
            "-n 4 --progress much -- true": "--progress must be auto, plain or off, not 'much'",
            "-n 4 --frobnicate -- true": "unknown option '--frobnicate'",
        }.items():
            with self.subTest(arguments):
                done = run(*arguments.split())
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertRegex(done.stderr, r"^banyan run: .*\(banyan run --help says more\)$")
                self.assertIn(sentence, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1)

    def test_a_missing_or_unknown_subcommand_is_a_sentence_and_2(self):
        for arguments, sentence in {(): "subcommand is required", ("walk",): "unknown subcommand 'walk'"}.items():
            done = subprocess.run([BANYAN, *arguments], text=True, capture_output=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn(sentence, done.stderr)

    def test_help_and_version_are_no_errors(self):
        version = subprocess.run([BANYAN, "--version"], text=True, capture_output=True)
        self.assertEqual(version.returncode, 0)
        self.assertRegex(version.stdout, r"^banyan \d+\.\d+\.\d+\n$")
        for arguments in (["--help"], ["run", "--help"]):
            done = subprocess.run([BANYAN, *arguments], text=True, capture_output=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("Usage: banyan", done.stdout)
        for words in ("30 or 30s, 500ms, 2m, 1h, none; default 30", "2 to 1024; default 16", "BANYAN_SECRET_FILE"):
            self.assertIn(words, " ".join(done.stdout.split()))

    def test_a_command_that_cannot_run_is_named_once(self):
        (self.directory / "plain").write_text("no program")
        (self.directory / "lost").write_text("#!/no/such/interpreter\n")
        (self.directory / "lost").chmod(0o755)
        plain, lost = self.directory / "plain", self.directory / "lost"
        for command, code, sentence in (
            ("no-such-command", 127, "command not found: 'no-such-command'"),
            ("/no/such/command", 127, "cannot run '/no/such/command': No such file or directory"),
            (plain, 126, f"cannot run '{plain}': Permission denied"),
            (self.directory, 126, f"cannot run '{self.directory}': Is a directory"),
            (lost, 126, f"cannot run '{lost}': its interpreter is missing"),
        ):
            with self.subTest(command):
                done = run("-n", 8, "--", command)
                self.assertEqual((done.returncode, done.stderr), (code, f"banyan run: {sentence}\n"))

    def test_the_command_is_found_along_path_and_keeps_its_name(self):
        tool = self.directory / "some-tool"
        tool.write_text("#!/bin/sh\necho ran $0 $1\n")
        tool.chmod(0o755)
        path = f"/no/such/directory:{self.directory}:{os.environ['PATH']}"
        done = run("-n", 1, "--", "some-tool", "x", env=clean_environment(PATH=path))
        self.assertEqual(done.stdout, f"[0] ran {tool} x\n", done.stderr)
        name = run("-n", 1, "--", "bash", "-c", "echo $0")
        self.assertEqual(name.stdout, "[0] bash\n")

    def test_a_script_without_an_interpreter_line_is_run_by_the_shell(self):
        script = self.directory / "bare"
        script.write_text("echo $0 $1 $BANYAN_RANK\n")
        script.chmod(0o755)
        done = run("-n", 2, "--", script, "x")
        self.assertEqual(sorted(done.stdout.splitlines()), [f"[0] {script} x 0", f"[1] {script} x 1"], done.stderr)

    def test_the_command_may_have_options_and_dashes_of_its_own(self):
        self.assertEqual(run("-n", 1, "--", "echo", "--", "-n", "3").stdout, "[0] -- -n 3\n")
        self.assertEqual(run("-n", 1, "printf", "%s %s %s", "-n", "--", "3").stdout, "[0] -n -- 3\n")

    def test_too_many_ranks_for_the_descriptors_is_said_before_any_starts(self):
        def few_descriptors():
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

        done = subprocess.run([BANYAN, "run", "-n", "100", "--", "echo", "started"], text=True, capture_output=True,
                              preexec_fn=few_descriptors, env=clean_environment(), timeout=DEADLINE_S)
        self.assertEqual((done.returncode, done.stdout), (125, ""))
        self.assertIn("100 ranks take 364 descriptors, and the limit is 256", done.stderr)


class Signals(LauncherTest):
    def test_signals_are_passed_on_to_all_ranks(self):
        for name in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2"):
            with self.subTest(name):
                launcher, _ = self.obedient_ranks(3, f"{name}=print", "ALRM=exit:0")
                launcher.process.send_signal(getattr(signal, "SIG" + name))
                self.assertEqual(sorted(launcher.lines(3)), [f"[{rank}] SIG{name}" for rank in range(3)])

    def test_an_interrupt_ends_the_job_as_it_ends_a_program(self):
        with Launcher("-n", 3, "--", "sh", "-c", "echo ready; exec sleep 1000") as launcher:
            launcher.lines(3)
            launcher.process.send_signal(signal.SIGINT)
            self.assertEqual(launcher.wait(), 128 + signal.SIGINT)

    def test_signals_reach_what_the_ranks_have_started(self):
        child = f"{shlex.quote(PYTHON)} -S {self.script(OBEDIENT_RANK)} TERM=exit:5"
        script = f"trap : TERM; {child}; exit $?"
        with Launcher("-n", 2, "--kill-after", DEADLINE_S, "--", "sh", "-c", script) as launcher:
            launcher.lines(2)
            launcher.process.terminate()
            self.assertEqual(launcher.wait(), 5)

    def test_a_second_interrupt_kills(self):
        launcher, pids = self.obedient_ranks(3, "INT=print", "TERM=ignore")
        launcher.process.send_signal(signal.SIGINT)
        launcher.lines(3)
        self.assertTrue(all(alive(pid) for pid in pids.values()))

        def interrupted():  # one too close to the first counts as the first
            launcher.process.send_signal(signal.SIGINT)
            return launcher.process.poll() is not None

        until("the job ended", interrupted)
        self.assertEqual(launcher.wait(), 128 + signal.SIGINT)
        self.assertFalse(any(alive(pid) for pid in pids.values()))

    def test_an_interrupt_that_comes_twice_at_once_is_one(self):
        launcher, pids = self.obedient_ranks(1, "INT=print", "USR1=print", "TERM=ignore")
        launcher.process.send_signal(signal.SIGINT)
        self.assertEqual(launcher.line(), "[0] SIGINT")
        # Within the gap unless this machine stands still for 200 ms between two statements.
        launcher.process.send_signal(signal.SIGINT)
        launcher.process.send_signal(signal.SIGUSR1)
        self.assertEqual(launcher.line(), "[0] SIGUSR1")
        self.assertTrue(alive(pids[0]))

    def test_a_stopped_job_stops_its_ranks_and_goes_on(self):
        launcher, pids = self.obedient_ranks(2, "USR1=print")
        launcher.process.send_signal(signal.SIGTSTP)
        until("all stand still", lambda: all(process_state(pid) == "T" for pid in (launcher.pid, *pids.values())))
        launcher.process.send_signal(signal.SIGCONT)
        launcher.process.send_signal(signal.SIGUSR1)
        self.assertEqual(sorted(launcher.lines(2)), ["[0] SIGUSR1", "[1] SIGUSR1"])

    def test_an_ignored_hangup_stays_ignored(self):
        def nohup():
            default_signals()
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

        launcher, _ = self.obedient_ranks(1, "HUP=print", "USR1=print", preexec_fn=nohup)
        launcher.process.send_signal(signal.SIGHUP)
        launcher.process.send_signal(signal.SIGUSR1)
        self.assertEqual(launcher.line(), "[0] SIGUSR1")


class NothingIsLeftBehind(LauncherTest):
    def job_with_daemons(self, ranks):
        """Each rank leaves a child in its own group and a daemon in a session of its own; both ignore what they can."""
        script = self.script("""
            import os, signal, sys
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            for daemon in (False, True):
                child = os.fork()
                if child == 0:
                    if daemon:
                        os.setsid()
                        if os.fork():
                            os._exit(0)
                        os.environ.clear()
                    os.write(1, b"process %d\\n" % os.getpid())
                    while True:
                        signal.pause()
                if daemon:
                    os.waitpid(child, 0)
            os.write(1, b"rank %d\\n" % os.getpid())
            if sys.argv[1] == "end":
                sys.stdin.read()
                os._exit(int(os.environ["BANYAN_RANK"]))
            while True:
                signal.pause()
            """)
        return lambda mode: Launcher("-n", ranks, "--kill-after", 0.1, "--", PYTHON, "-S", script, mode,
                                     stdin=subprocess.PIPE)

    def pids(self, launcher, ranks):
        """Of all processes, those of the ranks first."""
        lines = [line.split() for line in launcher.lines(3 * ranks)]
        return [int(pid) for *_, what, pid in sorted(lines, key=lambda line: line[-2] != "rank")]

    def assert_gone(self, pids):
        until("all processes are gone", lambda: not any(alive(pid) for pid in pids))

    def test_what_ranks_started_ends_with_the_job(self):
        with self.job_with_daemons(1)("end") as launcher:
            pids = self.pids(launcher, 1)
            launcher.process.stdin.close()
            self.assertEqual(launcher.wait(), 0)
            self.assertEqual([pid for pid in pids if alive(pid)], [])

    def test_what_ranks_started_ends_after_a_failure(self):
        with self.job_with_daemons(3)("stay") as launcher:
            pids = self.pids(launcher, 3)
            os.kill(pids[0], signal.SIGKILL)
            launcher.process.stdout.read()
            self.assertNotEqual(launcher.wait(), 0)
            self.assertEqual([pid for pid in pids if alive(pid)], [])

    def test_all_ends_when_the_launcher_is_killed(self):
        with self.job_with_daemons(3)("stay") as launcher:
            pids = self.pids(launcher, 3) + [launcher.supervisor()]
            launcher.process.kill()
            self.assert_gone(pids)

    def test_all_ends_when_the_supervisor_is_killed(self):
        with self.job_with_daemons(3)("stay") as launcher:
            pids = self.pids(launcher, 3)
            os.kill(launcher.supervisor(), signal.SIGKILL)
            self.assertEqual(launcher.wait(), 128 + 9)
            self.assertEqual([pid for pid in pids if alive(pid)], [])
            self.assertIn("the supervisor of the ranks was killed by signal 9 (Killed)", launcher.process.stderr.read())

    def test_the_ranks_end_even_when_both_are_killed_at_once(self):
        launcher, pids = self.obedient_ranks(3, "TERM=ignore")
        supervisor = launcher.supervisor()
        for pid in (launcher.pid, supervisor):
            os.kill(pid, signal.SIGSTOP)
        until("both stand still", lambda: process_state(launcher.pid) == process_state(supervisor) == "T")
        for pid in (launcher.pid, supervisor):
            os.kill(pid, signal.SIGKILL)
        self.assert_gone([*pids.values(), supervisor])


class Input(LauncherTest):
    def test_rank_0_reads_the_launchers_input_and_the_others_nothing(self):
        done = run("-n", 3, "--", "sh", "-c", "cat; echo end", stdin=None, input="for rank 0\n")
        self.assertEqual(sorted(done.stdout.splitlines()), ["[0] end", "[0] for rank 0", "[1] end", "[2] end"])
        links = run("-n", 3, "--", "readlink", "/proc/self/fd/0", stdin=None, input="").stdout.splitlines()
        self.assertEqual([line for line in sorted(links) if "pipe" not in line], ["[1] /dev/null", "[2] /dev/null"])


class Terminal(LauncherTest):
    """`banyan run` on a pseudo-terminal that is its controlling terminal."""

    def start(self, *arguments, columns=80, stdout=None, **variables):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        modes = termios.tcgetattr(slave)
        modes[1] &= ~termios.OPOST  # output as it was written
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, modes)

        def control_terminal():
            default_signals()
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.launcher = Launcher(*arguments, stdin=slave, stdout=slave if stdout is None else stdout, stderr=slave,
                                 preexec_fn=control_terminal, env=clean_environment(TERM="xterm", **variables))
        self.addCleanup(self.launcher.__exit__)
        os.close(slave)
        self.master = master
        self.addCleanup(os.close, master)
        self.seen = ""

    def read_until(self, text):
        """Reads the terminal up to the text, which it takes off; returns what came before."""
        def arrived():
            if text not in self.seen and select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 65536).decode()
            return text in self.seen
        try:
            until(f"the terminal shows {text!r}", arrived, 20)
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows {self.seen!r}") from None
        before, _, self.seen = self.seen.partition(text)
        return before

    def rest(self):
        """What comes until the launcher has ended and its terminal is closed."""
        with contextlib.suppress(OSError):
            while data := os.read(self.master, 65536):
                self.seen += data.decode()
        return self.seen

    def announcer(self):
        """A job whose rank 0 passes on as progress, or prints, what is written to a named pipe."""
        self.orders = self.fifo("orders")
        return self.script(f"""
            import os, sys
            if os.environ["BANYAN_RANK"] == "0":
                progress = int(os.environ["BANYAN_PROGRESS_FD"])
                for order in open({str(self.orders)!r}):
                    what, _, text = order.partition(" ")
                    if what == "notice":
                        os.write(progress, text.encode())
                    elif what.strip() == "close":
                        os.close(progress)
                    else:
                        print(text, end="", flush=True)
            else:
                assert "BANYAN_PROGRESS_FD" not in os.environ
            """)

    def test_progress_is_one_line_that_is_rewritten_and_erased(self):
        self.start("-n", 2, "--", PYTHON, self.announcer())
        with open(self.orders, "w", buffering=1) as orders:
            orders.write("notice waiting for 2 of 4: 1, 3\n")
            self.assertEqual(self.read_until("banyan run: waiting for 2 of 4: 1, 3"), "")
            orders.write("notice waiting for 1 of 4: 3\n")
            self.assertEqual(self.read_until("banyan run: waiting for 1 of 4: 3"), "\r\033[K")
            orders.write("print hello\n")
            self.assertEqual(self.read_until("[0] hello\n"), "\r\033[K")
            self.assertEqual(self.read_until("banyan run: waiting for 1 of 4: 3"), "")
            orders.write("notice formed 4 ranks on 1 host in 5 ms\n")
            self.assertEqual(self.read_until("\r\033[K"), "")
            orders.write("print done\n")
            self.assertEqual(self.read_until("[0] done\n"), "")
        self.assertEqual(self.rest(), "")
        self.assertEqual(self.launcher.wait(), 0)

    def test_the_line_goes_away_when_rank_0_closes_its_end(self):
        self.start("-n", 1, "--", PYTHON, self.announcer())
        with open(self.orders, "w", buffering=1) as orders:
            orders.write("notice waiting for 1 of 1: 0\n")
            self.read_until("banyan run: waiting for 1 of 1: 0")
            orders.write("close\n")
            self.assertEqual(self.read_until("\r\033[K"), "")
        self.assertEqual(self.rest(), "")

    def test_a_line_longer_than_the_terminal_is_cut(self):
        self.start("-n", 1, "--", PYTHON, self.announcer(), columns=40)
        with open(self.orders, "w", buffering=1) as orders:
            orders.write("notice waiting for 9 of 99: 1, 3, 5, 7, 9, 11, 13\n")
            line = "banyan run: waiting for 9 of 99: 1, 3..."
            self.assertEqual(self.read_until("..."), line[:36])

    def test_a_notice_cannot_steer_the_terminal(self):
        self.start("-n", 1, "--", PYTHON, self.announcer())
        with open(self.orders, "w", buffering=1) as orders:
            orders.write("notice \033[2Jgone\n")
            self.assertEqual(self.read_until("banyan run: ?[2Jgone"), "")

    def test_while_others_are_waited_for_the_line_says_why(self):
        pid = self.fifo("pid")
        script = f"if [ $BANYAN_RANK = 1 ]; then echo $$ > {pid}; else exit 3; fi; exec sleep 1000"
        self.start("-n", 2, "--kill-after", DEADLINE_S, "--", "sh", "-c", script)
        sleeper = int(pid.read_text())
        self.read_until("banyan run: rank 0 exited with code 3; waiting for 1 other to end: 1")
        os.kill(sleeper, signal.SIGTERM)
        self.assertEqual(self.rest(), "\r\033[Kbanyan run: rank 0 exited with code 3; 1 other ended\n"
                                      "banyan run: then rank 1 was killed by signal 15 (Terminated)\n")

    def test_without_a_terminal_there_is_no_progress_unless_asked_for(self):
        silent = run("-n", 1, "--", "sh", "-c", "echo ${BANYAN_PROGRESS_FD-none}")
        self.assertEqual((silent.stdout, silent.stderr), ("[0] none\n", ""))
        plain = run("-n", 1, "--progress", "plain", "--", "bash", "-c",
                    "echo waiting for 1 of 2: 1 >&$BANYAN_PROGRESS_FD; echo formed 2 ranks >&$BANYAN_PROGRESS_FD")
        self.assertEqual(plain.stderr, "banyan run: waiting for 1 of 2: 1\nbanyan run: formed 2 ranks\n")

    def test_the_terminals_interrupt_key_reaches_every_rank_once(self):
        script = self.script(OBEDIENT_RANK)
        self.start("-n", 3, "--", PYTHON, "-S", script, "INT=print", "USR1=exit:0")
        pids = [int(self.read_until("\n").split()[-1]) for _ in range(3)]
        os.write(self.master, b"\x03")
        self.assertEqual(sorted(self.read_until("\n") for _ in range(3)), [f"[{rank}] SIGINT" for rank in range(3)])
        for pid in pids:
            os.kill(pid, signal.SIGUSR1)
        self.assertEqual(self.rest(), "")
        self.assertEqual(self.launcher.wait(), 0)

    def test_what_is_typed_reaches_rank_0_up_to_the_end_of_input(self):
        self.start("-n", 2, "--", "sh", "-c", "while read line; do echo heard $line; done; echo end")
        self.assertEqual(self.read_until("[1] end\n"), "")
        for word in ("one", "two"):
            os.write(self.master, f"{word}\n".encode())
            self.assertEqual(self.read_until(f"[0] heard {word}\n"), "")
        os.write(self.master, b"\x04")
        self.assertEqual(self.rest(), "[0] end\n")
        self.assertEqual(self.launcher.wait(), 0)


if __name__ == "__main__":
    unittest.main()

"""Hosts on one machine: network namespaces, and bench/delaying_relay.cc between them. Needs root and /dev/net/tun."""

import contextlib
import ctypes
import json
import os
import socket
import statistics
import struct
import subprocess
import tempfile
import time

PINGS = 200
PATIENCE_S = 0.5  # with one that may be lost
SO_TIMESTAMPNS = 35  # Python's socket module has no name for it
CLONE_NEWNET = 0x40000000


def enter(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), namespace.name)


@contextlib.contextmanager
def inside(path):
    """Sockets made and processes started meanwhile belong to the network namespace."""
    with open("/proc/self/ns/net", "rb") as home, open(path, "rb") as namespace:
        enter(namespace)
        try:
            yield
        finally:
            enter(home)


class Relay:
    """The network between the namespaces `hosts`, each with its address, until it is closed."""

    def __init__(self, build, hosts, latency_us, mtu=1500, loss_of_10000=0):
        numbers = {"hosts": hosts, "latency-us": latency_us, "mtu": mtu, "loss-of-10000": loss_of_10000}
        command = [build / "bin" / "delaying_relay", *(f"--{name}={value}" for name, value in numbers.items())]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:  # it has said why
            raise ChildProcessError(f"{command[0].name} ended with code {self.process.wait()}")
        self.hosts = json.loads(line)["hosts"]
        self.network = tempfile.NamedTemporaryFile("w", suffix=".json")
        print(line, file=self.network, flush=True)

    def counts(self):
        """What it has carried since it was asked last."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def cut(self, host):
        """From all others, for good."""
        self.process.stdin.write(f"cut {host}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def one_way_us(self):
        """From a call of send to the other host's kernel, median: without what waking a receiver up takes."""
        ends = []
        for host in self.hosts[:2]:
            with inside(host["namespace"]):
                ends.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            ends[-1].bind((host["address"], 0))
        sender, receiver = ends
        receiver.settimeout(PATIENCE_S)
        receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        found = []
        for _ in range(PINGS):
            sent_ns = time.time_ns()
            sender.sendto(b"?", receiver.getsockname())
            try:
                ancillary = receiver.recvmsg(1, 64)[1]
            except TimeoutError:  # lost
                continue
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
            found.append((seconds * 10**9 + nanoseconds - sent_ns) / 1e3)
        for end in ends:
            end.close()
        return statistics.median(found)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.network.close()

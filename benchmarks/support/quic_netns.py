"""Two hosts in network namespaces, with a path between them that delays, loses and limits.

Kernels without ``netem`` can still do this: each namespace has a TUN device, and a process of ours carries packets between the two.
TCP and QUIC take the same way. Needs root, ``ip`` and ``/dev/net/tun``. Nothing of the machine's own network is touched.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs

ADDRESSES = ("10.99.0.1", "10.99.0.2")
_TUN = Path("/dev/net/tun")
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_CLONE_NEWNET = 0x40000000
_PACKET_BYTES_MAX = 2048
_QUEUE_S = 0.1
"""What a limited link holds before it drops, in time: a usual router's queue."""


@attrs.frozen
class Link:
    """What happens to packets, in each direction alike."""

    name: str
    delay_s: float = 0.0
    loss: float = 0.0
    bits_per_second: float = 0.0
    """0: no limit."""


def why_not() -> str | None:
    """Why namespaces can not be used here; ``None`` where they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not _TUN.exists():
        return "there is no /dev/net/tun"
    if shutil.which("ip") is None:
        return "there is no `ip` command"
    tried = subprocess.run(["unshare", "-n", "true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"no network namespace can be made: {tried.stderr.strip()}"


class TwoHosts:
    """The namespaces and what joins them, for the duration of a ``with`` block."""

    def __init__(self, link: Link, seed: int = 1) -> None:
        self._link = link
        self._seed = seed
        self._names = tuple(f"mina-p2p-{os.getpid()}-{side}" for side in "ab")
        self._forwarder: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        try:
            for name in self._names:
                _ip("netns", "add", name)
            link = self._link
            self._forwarder = subprocess.Popen(
                [sys.executable, __file__, *self._names, str(link.delay_s), str(link.loss), str(link.bits_per_second), str(self._seed)],
                stdout=subprocess.PIPE,
                text=True,
            )
            self._wait_until_ready(self._forwarder)
            for name, own, other in zip(self._names, ADDRESSES, reversed(ADDRESSES), strict=True):
                _ip("-n", name, "addr", "add", own, "peer", other, "dev", "tun0")
                _ip("-n", name, "link", "set", "tun0", "up")
                _ip("-n", name, "link", "set", "lo", "up")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._forwarder is not None:
            self._forwarder.terminate()
            self._forwarder.communicate()
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    @staticmethod
    def _wait_until_ready(forwarder: subprocess.Popen[str]) -> None:
        assert forwarder.stdout is not None
        if forwarder.stdout.readline() != "ready\n":
            raise OSError("the forwarder did not start")

    def popen(self, side: int, *command: str) -> subprocess.Popen[str]:
        """Start a program on host 0 or 1."""
        return subprocess.Popen(["ip", "netns", "exec", self._names[side], *command], stdout=subprocess.PIPE, text=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _open_tun(namespace: str) -> int:
    """A TUN device inside a namespace; the descriptor stays good outside of it."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(there, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        tun = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", b"tun0", _IFF_TUN | _IFF_NO_PI))
        libc.setns(home, _CLONE_NEWNET)
    finally:
        os.close(home)
        os.close(there)
    return tun


class _Direction:
    """Packets on their way from one device to the other; constant delay, so first in is first out."""

    def __init__(self, source: int, sink: int, link: Link, dice: random.Random) -> None:
        self._source, self._sink, self._link, self._dice = source, sink, link, dice
        self.waiting: deque[tuple[float, bytes]] = deque()
        self._free_at = 0.0

    def take(self) -> None:
        """Read what there is."""
        while True:
            try:
                packet = os.read(self._source, _PACKET_BYTES_MAX)
            except BlockingIOError:
                return
            now = time.monotonic()
            if self._dice.random() < self._link.loss:
                continue
            if self._link.bits_per_second:
                begin = max(now, self._free_at)
                if begin - now > _QUEUE_S:
                    continue  # the queue is full
                self._free_at = now = begin + 8 * len(packet) / self._link.bits_per_second
            self.waiting.append((now + self._link.delay_s, packet))

    def give(self) -> float | None:
        """Write what is due; when the next is."""
        while self.waiting:
            due, packet = self.waiting[0]
            if due > time.monotonic():
                return due
            self.waiting.popleft()
            with contextlib.suppress(OSError):  # the other host is not up: a lost packet
                os.write(self._sink, packet)
        return None


def _forward(names: tuple[str, str], link: Link, seed: int) -> None:
    tuns = [_open_tun(name) for name in names]
    print("ready", flush=True)
    dice = random.Random(seed)
    ways: dict[int, _Direction] = {
        tuns[0]: _Direction(tuns[0], tuns[1], link, dice),
        tuns[1]: _Direction(tuns[1], tuns[0], link, dice),
    }
    while True:
        dues = [due for way in ways.values() if (due := way.give()) is not None]
        wait = max(0.0, min(dues) - time.monotonic()) if dues else None
        readable: list[Any] = select.select(tuns, [], [], wait)[0]
        for tun in readable:
            ways[tun].take()


def main() -> None:
    parser = argparse.ArgumentParser(description="Carry packets between two namespaces.")
    parser.add_argument("names", nargs=2)
    parser.add_argument("delay_s", type=float)
    parser.add_argument("loss", type=float)
    parser.add_argument("bits_per_second", type=float)
    parser.add_argument("seed", type=int)
    arguments = parser.parse_args()
    link = Link("forwarded", arguments.delay_s, arguments.loss, arguments.bits_per_second)
    _forward((arguments.names[0], arguments.names[1]), link, arguments.seed)


if __name__ == "__main__":
    main()

"""Many datagrams in one system call: Linux' segmentation and coalescing of UDP (udp(7): UDP_SEGMENT, UDP_GRO).

A call of the operating system for each datagram costs about as much as encrypting it. A kernel that does not know these options, or a
device that can not do the checksums, is noticed, and everything goes one by one.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

Address: TypeAlias = Any
"""As in `endpoint`."""

SEGMENTS_MAX: Final = 64
"""In one call; the kernel's own bound (UDP_MAX_SEGMENTS) is 128 in newer versions."""
RUN_BYTES_MAX: Final = 65_000
"""What one call may carry: an IP packet's length, less headers."""

_SOL_UDP: Final = 17
_UDP_SEGMENT: Final = 103
_UDP_GRO: Final = 104
_SEGMENT: Final = struct.Struct("=H")
_GRO_SIZE: Final = struct.Struct("=i")
_BUFFER_BYTES: Final = 65_536
_NEVER_AGAIN: Final = frozenset({errno.EIO, errno.ENOPROTOOPT, errno.EOPNOTSUPP})
"""The device or kernel can not do it at all; other errors concern one run only."""


class Offload:
    """What the kernel can do, found out once with the socket it is for."""

    def __init__(self, sock: socket.socket) -> None:
        self.can_send = _accepts(sock, _UDP_SEGMENT, 0)
        self.can_receive = _accepts(sock, _UDP_GRO, 1)
        self._buffer = memoryview(bytearray(_BUFFER_BYTES if self.can_receive else 0))

    def send(self, sock: socket.socket, run: list[bytes], address: Address) -> bool:
        """Send datagrams of one size, of which the last may be shorter.

        :returns: whether they were taken; if not, none was.
        """
        try:
            sock.sendmsg(run, [(_SOL_UDP, _UDP_SEGMENT, _SEGMENT.pack(len(run[0])))], 0, address)
        except OSError as error:  # a full buffer too: whoever sends one by one waits for room
            if error.errno in _NEVER_AGAIN:
                self.can_send = False
            return False
        return True

    def receive(self, sock: socket.socket, batch: list[tuple[bytes, Address]], bytes_max: int) -> None:
        """Append what one call brings to ``batch``; datagrams longer than ``bytes_max`` are cut, as a short buffer would.

        :raises OSError: as `socket.recvmsg` does, `BlockingIOError` where there is nothing.
        """
        size, ancillary, _, address = sock.recvmsg_into([self._buffer], socket.CMSG_SPACE(_GRO_SIZE.size))
        segment = size
        for level, kind, value in ancillary:
            if level == _SOL_UDP and kind == _UDP_GRO and len(value) >= _GRO_SIZE.size:
                segment = _GRO_SIZE.unpack_from(value)[0]
        if segment <= 0 or size <= segment:
            batch.append((self._buffer[: min(size, bytes_max)].tobytes(), address))
            return
        length = min(segment, bytes_max)
        batch += [(self._buffer[begin : min(begin + length, size)].tobytes(), address) for begin in range(0, size, segment)]


def runs(datagrams: list[tuple[bytes, Address]]) -> Iterator[tuple[list[bytes], Address]]:
    """Cut a list into runs that `Offload.send` can take, in order: one address, one size, the last perhaps shorter."""
    run: list[bytes] = []
    its_address: Address = None
    size = total = 0
    for data, address in datagrams:
        fits = run and len(data) <= size and len(run[-1]) == size and len(run) < SEGMENTS_MAX and total + len(data) <= RUN_BYTES_MAX
        if not fits or address != its_address:
            if run:
                yield run, its_address
            run, its_address, size, total = [], address, len(data), 0
        run.append(data)
        total += len(data)
    if run:
        yield run, its_address


def _accepts(sock: socket.socket, option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        sock.setsockopt(_SOL_UDP, option, value)
    except OSError:
        return False
    return True

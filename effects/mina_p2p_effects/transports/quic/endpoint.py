"""The UDP socket: batches in, datagrams out. It knows nothing of QUIC.

One socket serves listening and dialling, so that the address a peer observes is the one
at which we can be dialled. All datagrams that wait are taken before anything is answered:
one transmit pass then acknowledges them together, which is where the speed comes from.

Where the kernel can (Linux), a run of datagrams of one size to one address passes the system call as one piece, in both
directions (`offload`); on the wire they are the same datagrams.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from mina_p2p.transport import SocketAddress
from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.offload import Offload, runs

Address: TypeAlias = Any
"""A socket address tuple, as ``recvfrom`` gives and ``sendto`` takes it."""

Batch: TypeAlias = list[tuple[bytes, Address]]

_DATAGRAM_BYTES_MAX = 2048
"""Above what we announce as max_udp_payload_size; longer ones arrive cut and fail authentication."""

_V4_MAPPED = "::ffff:"

# Send with "don't fragment" and leave the path's size to our probes (ip(7), ipv6(7): IP_PMTUDISC_PROBE).
_LINUX_PROBE_OPTIONS = ((socket.AF_INET, socket.IPPROTO_IP, 10, 3), (socket.AF_INET6, socket.IPPROTO_IPV6, 23, 3))


class UdpEndpoint:
    """A bound, non-blocking UDP socket on the running event loop."""

    def __init__(self, sock: socket.socket, config: QuicConfig, on_batch: Callable[[Batch], None]) -> None:
        self._socket = sock
        self._offload = Offload(sock) if config.are_datagrams_offloaded else None
        self._batch_max = config.batch_max
        self._outbox_max = config.outbox_max
        self._on_batch = on_batch
        self._outbox: deque[tuple[bytes, Address]] = deque()
        self._emptied: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._readable)

    @classmethod
    async def bind(cls, host: str, port: int, config: QuicConfig, on_batch: Callable[[Batch], None]) -> UdpEndpoint:
        """Bind a socket; ``::`` serves IPv4 and IPv6.

        :raises OSError: where the address can not be bound or resolved.
        """
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                sock.setsockopt(socket.SOL_SOCKET, option, config.socket_buffer_bytes)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
            if sys.platform == "linux":
                for its_family, level, option, value in _LINUX_PROBE_OPTIONS:
                    if its_family == family:
                        sock.setsockopt(level, option, value)
            sock.bind(address)
            return cls(sock, config, on_batch)
        except BaseException:
            sock.close()
            raise

    @property
    def address(self) -> SocketAddress:
        """Where the socket is bound."""
        return plain_address(self._socket.getsockname())

    @property
    def is_ipv4_only(self) -> bool:
        """Whether no IPv6 address can be reached."""
        return self._socket.family == socket.AF_INET

    def address_of(self, host: str, port: int) -> Address:
        """The tuple for a numeric host; equal to what ``recvfrom`` gives for datagrams from there.

        :raises OSError: for an address that this socket can not reach.
        """
        flags = socket.AI_NUMERICHOST | (0 if self.is_ipv4_only else socket.AI_V4MAPPED)
        return socket.getaddrinfo(host, port, family=self._socket.family, type=socket.SOCK_DGRAM, flags=flags)[0][4]

    async def resolve(self, name: str, port: int) -> list[Address]:
        """The addresses of a host name that this socket can reach, in the resolver's order.

        :raises OSError: where there is none.
        """
        flags = 0 if self.is_ipv4_only else socket.AI_V4MAPPED | socket.AI_ALL
        found = await self._loop.getaddrinfo(name, port, family=self._socket.family, type=socket.SOCK_DGRAM, flags=flags)
        return list(dict.fromkeys(entry[4] for entry in found))

    def send(self, data: bytes, address: Address) -> OSError | None:
        """Send a datagram, now or when the operating system has room.

        :returns: why the operating system refused it; a datagram that the network loses is no error.
        """
        if not self._outbox:
            try:
                self._socket.sendto(data, address)
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._socket, self._writable)
            except OSError as error:
                return error
            else:
                return None
        if len(self._outbox) < self._outbox_max:
            self._outbox.append((data, address))
        return None

    def send_all(self, datagrams: Batch) -> None:
        """Send datagrams in their order; what the operating system refuses is as lost as what the network loses."""
        offload = self._offload
        if offload is None or len(datagrams) == 1:
            for data, address in datagrams:
                self.send(data, address)
            return
        for run, address in runs(datagrams):
            if len(run) == 1 or self._outbox or not offload.can_send or not offload.send(self._socket, run, address):
                for data in run:
                    self.send(data, address)

    async def flush(self, timeout_s: float) -> None:
        """Wait until the operating system has taken everything, or for so long."""
        if self._outbox:
            self._emptied = self._loop.create_future()
            await asyncio.wait((self._emptied,), timeout=timeout_s)

    def close(self) -> None:
        """Release the socket."""
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._outbox.clear()
        self._socket.close()

    def _readable(self) -> None:
        batch: Batch = []
        receive = self._socket.recvfrom
        try:
            if self._offload is not None and self._offload.can_receive:
                while len(batch) < self._batch_max:
                    self._offload.receive(self._socket, batch, _DATAGRAM_BYTES_MAX)
            else:
                for _ in range(self._batch_max):
                    batch.append(receive(_DATAGRAM_BYTES_MAX))
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:  # an ICMP error of an earlier datagram; time-outs tell that story
            pass
        if batch:
            self._on_batch(batch)

    def _writable(self) -> None:
        while self._outbox:
            data, address = self._outbox[0]
            try:
                self._socket.sendto(data, address)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                pass
            self._outbox.popleft()
        self._loop.remove_writer(self._socket)
        if self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)


def plain_address(address: Address) -> SocketAddress:
    """A socket's tuple as host and port; IPv4 seen through an IPv6 socket is IPv4 again, zones are left out."""
    host: str = address[0]
    return SocketAddress(host.removeprefix(_V4_MAPPED).partition("%")[0] if ":" in host else host, address[1])

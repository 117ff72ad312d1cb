"""What waits to be acknowledged by one peer: its watermarks and its caps.

aioquic keeps answers until they are acknowledged, and says nothing of how much that is.
Acknowledgements are not followed one by one; the size is an upper bound until it is counted.
"""

from __future__ import annotations

from collections.abc import Callable

from mina_p2p_effects.transports.quic.budget import Budget, Holding
from mina_p2p_effects.transports.quic.config import QuicConfig

_SENDING_MAX = 64
"""Streams to remember as sending before looking which of them are done."""


class Backlog:
    """The send buffer of one connection.

    :param unacknowledged: bytes of a stream that are kept to be sent, or sent again.
    :param give_way: ends the connection, because all of the node's together hold too much and this one most.
    """

    __slots__ = ("_config", "_holding", "_sending", "_unacknowledged", "is_blocked")

    def __init__(self, config: QuicConfig, budget: Budget, unacknowledged: Callable[[int], int], give_way: Callable[[], None]) -> None:
        self._config = config
        self._unacknowledged = unacknowledged
        self._holding = Holding(budget, self._count, give_way)
        self._sending: set[int] = set()  # streams of which not all is acknowledged yet
        self.is_blocked = False
        """Whether the high watermark was passed, and the low one not since."""

    @property
    def size(self) -> int:
        """Bytes that wait, or somewhat more."""
        return self._holding.size

    def reserve(self, stream: int, size: int) -> bool:
        """Make room for ``size`` bytes of a stream, at the cost of whichever connection holds most; whether this one has room."""
        if self.size + size > self._config.send_high_bytes:
            self._holding.recount()
        if self.size + size > self._config.send_bytes_max:
            return False
        self._holding.add(size)
        self._sending.add(stream)
        return True

    def is_now_blocked(self) -> bool:
        """Whether the high watermark was passed since the last time of asking."""
        if self.is_blocked or self.size <= self._config.send_high_bytes:
            return False
        self.is_blocked = True
        return True

    def is_now_free(self) -> bool:
        """Count where that is due; whether the backlog fell below the low watermark since the last time of asking."""
        if self.is_blocked or len(self._sending) > _SENDING_MAX:
            self._holding.recount()
        if not self.is_blocked or self.size >= self._config.send_low_bytes:
            return False
        self.is_blocked = False
        return True

    def close(self) -> None:
        """Count nothing any more."""
        self._holding.leave()

    def _count(self) -> int:
        sizes = {stream: self._unacknowledged(stream) for stream in self._sending}
        self._sending = {stream for stream, size in sizes.items() if size}
        return sum(sizes.values())

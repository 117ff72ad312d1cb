"""Counting on the path of every datagram: plain integers, and two stopwatches.

A `Counters` belongs to one connection, which calls it; `Traffic` is what others see.
"""

from __future__ import annotations

from mina_p2p_effects.metrics.traffic import Traffic


class Stopwatch:
    """How long something was so, in seconds of the caller's clock."""

    __slots__ = ("_since", "_total")

    def __init__(self) -> None:
        self._total = 0.0
        self._since: float | None = None

    def set(self, now: float, *, is_so: bool) -> None:
        """From ``now`` on it is so, or not."""
        if is_so:
            if self._since is None:
                self._since = now
        elif self._since is not None:
            self._total += now - self._since
            self._since = None

    def seconds(self, now: float) -> float:
        """The sum until ``now``."""
        return self._total if self._since is None else self._total + max(0.0, now - self._since)


class Counters:
    """What one connection has carried."""

    __slots__ = (
        "buffer_wait", "bytes_in", "bytes_out", "credit_wait", "datagrams_in", "datagrams_out", "packets_lost", "streams_accepted", "streams_opened",
    )  # fmt: skip

    def __init__(self) -> None:
        self.bytes_in = self.bytes_out = self.datagrams_in = self.datagrams_out = 0
        self.streams_opened = self.streams_accepted = self.packets_lost = 0
        self.credit_wait = Stopwatch()
        self.buffer_wait = Stopwatch()

    def traffic(self, now: float) -> Traffic:
        """A snapshot."""
        return Traffic(
            self.bytes_in,
            self.bytes_out,
            self.datagrams_in,
            self.datagrams_out,
            self.streams_opened,
            self.streams_accepted,
            self.packets_lost,
            self.credit_wait.seconds(now),
            self.buffer_wait.seconds(now),
        )

"""How large a datagram the path carries: try once, believe an acknowledgement, fall back on silence.

A small form of RFC 8899 with two sizes. What every path carries is the base; a probe of
the larger size that is acknowledged raises it; several time-outs in a row, or another
path, lower it again.
"""

from __future__ import annotations

from mina_p2p_effects.transports.quic.config import QuicConfig


class PathMtu:
    """The datagram size of one connection. Times are the loop's seconds."""

    __slots__ = ("_again_s", "_base", "_failures", "_failures_max", "_generation", "_probe_at", "_sent_at", "_timeouts_max", "_top", "size")

    def __init__(self, config: QuicConfig) -> None:
        self.size = self._base = config.datagram_bytes
        """Largest datagram to send now."""
        self._top = config.datagram_probe_bytes
        self._failures_max = config.datagram_probes_max
        self._timeouts_max = config.black_hole_timeouts
        self._again_s = config.datagram_probe_again_s
        self._failures = 0
        self._generation = 0
        self._probe_at: float | None = None
        self._sent_at = 0.0

    @property
    def probe_at(self) -> float | None:
        """When to send the next probe."""
        return self._probe_at

    @property
    def probe_size(self) -> int:
        """The size that a probe has."""
        return self._top

    def reset(self) -> None:
        """The path is new: the base size, and no probe before `begin`."""
        self._generation += 1
        self._failures = 0
        self.size = self._base
        self._probe_at = None

    def begin(self, now: float) -> None:
        """The peer is known to hear us on this path: a probe at once."""
        self.reset()
        self._probe_at = now if self._top > self._base else None

    def sent(self, now: float) -> int:
        """A probe leaves; returns the ticket to report it with."""
        self._probe_at = None
        self._sent_at = now
        return self._generation

    def report(self, ticket: int, *, arrived: bool) -> None:
        """A probe was acknowledged or lost."""
        if ticket != self._generation:
            return
        if arrived:
            self.size = self._top
            self._failures = 0
            return
        self._failures += 1
        if self._failures < self._failures_max:
            self._probe_at = self._sent_at
        else:
            self._failures = 0
            self._probe_at = self._sent_at + self._again_s

    def timeouts(self, count: int, now: float) -> None:
        """So many probe time-outs came in a row."""
        if self.size > self._base and count >= self._timeouts_max:
            self._generation += 1
            self.size = self._base
            self._probe_at = now + self._again_s

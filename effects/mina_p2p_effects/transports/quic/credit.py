"""Credit for answers: how far the peer may send on each of our requests.

Three bounds hold at every moment: an answer never gets more than was permitted for
it, never more than a window ahead of what was consumed, and all answers of one
connection together never more than the connection's share. What was granted can not
be taken back, so the share is counted when it is granted and returned when bytes
are consumed or the answer is over.

In a conversation each turn replaces the permission. What was granted and not used stays
granted, so a turn opens only what it permits beyond that: the credit that is open is the greater
of both and never their sum. Where the new permission is the smaller one, `Answer.feed` holds
the peer to it.

A window that is smaller than what the path holds in a round trip would be the limit of the rate. It shows by
announcements that follow each other within two round trips; then that answer's window doubles, up to its maximum, and to no more
than what a round trip can bring. The connection's share stays what bounds the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_BYTES_PER_SECOND_MAX: Final = 32 * 1024 * 1024
"""More than one core takes out of QUIC here, see the measurements in ``docs/explanation/quic-mapping.md``."""


class Credit:
    """The account of one answer; `CreditBook` moves it."""

    __slots__ = ("consumed", "granted", "granted_at", "permitted", "window")

    def __init__(self, permitted: int) -> None:
        self.permitted = permitted
        """Offset up to which the present turn allows bytes; ``granted`` may be above it by what an earlier one had left."""
        self.granted = 0
        """Offset up to which the peer may send."""
        self.consumed = 0
        """Offset up to which bytes came in order and were used."""
        self.window = 0
        """How far ahead of what was consumed credit may be, at most; the book's own at first."""
        self.granted_at = 0.0
        """When credit was last announced."""


class CreditBook:
    """All accounts of one connection."""

    def __init__(self, *, window: int, total: int, window_max: int | None = None) -> None:
        self._window = window
        self._window_max = window if window_max is None else max(window, window_max)
        self._total = total
        self.outstanding = 0
        """Granted and not consumed, over all answers."""
        self._waiting: dict[Credit, int] = {}  # accounts that found no share left, with their stream, in order

    @property
    def is_short(self) -> bool:
        """Whether an answer waits for a share of the connection's credit."""
        return bool(self._waiting)

    def extend(self, credit: Credit, stream: int, now: float = 0.0, round_trip: Callable[[], float] = lambda: 0.0) -> int | None:
        """Grant what an account may have now; returns the new offset to announce, if it moved.

        :param now: seconds of any clock that does not go back.
        :param round_trip: the least round trip of the path in seconds: with the present one a queue of our own would let the window
            grow, which lengthens the queue. Asked for only where the window may grow.
        """
        credit.window = window = credit.window or self._window
        step = min(credit.permitted, credit.consumed + window) - credit.granted
        # Half a window at a time: a frame that announces credit for every datagram would cost more than it helps.
        if step <= 0 or credit.granted - credit.consumed > window // 2:
            return None
        if credit.granted and window < self._window_max and self._is_limit(window, now - credit.granted_at, round_trip()):
            credit.window = window = min(2 * window, self._window_max)
            step = min(credit.permitted, credit.consumed + window) - credit.granted
        free = self._total - self.outstanding
        if free < min(step, self._window // 4):
            self._waiting[credit] = stream
            return None
        self._waiting.pop(credit, None)
        step = min(step, free)
        credit.granted += step
        credit.granted_at = now
        self.outstanding += step
        return credit.granted

    @staticmethod
    def _is_limit(window: int, since_last_s: float, round_trip_s: float) -> bool:
        """Whether a window is what keeps an answer from coming faster; on a short path it never is, we are."""
        return since_last_s < 2 * round_trip_s and window < round_trip_s * _BYTES_PER_SECOND_MAX

    def permit(self, credit: Credit, offset: int) -> None:
        """Replace what an account permits by ``offset``, which is not below what it consumed; `extend` grants it."""
        credit.permitted = offset
        self._waiting.pop(credit, None)  # it may want nothing now, and would keep those behind it waiting

    def serve(self, now: float = 0.0) -> list[tuple[int, int]]:
        """Grant what was returned to those that wait, in their order; pairs of stream and new offset."""
        served: list[tuple[int, int]] = []
        for credit, stream in tuple(self._waiting.items()):
            offset = self.extend(credit, stream, now)
            if offset is None:
                break
            served.append((stream, offset))
        return served

    def consume(self, credit: Credit, size: int) -> None:
        """Count bytes that came in order."""
        credit.consumed += size
        self.outstanding -= size

    def close(self, credit: Credit) -> None:
        """Forget an account; what it had not used returns to the share."""
        self.outstanding -= credit.granted - credit.consumed
        credit.permitted = credit.granted = credit.consumed
        self._waiting.pop(credit, None)

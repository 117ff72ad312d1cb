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
"""

from __future__ import annotations


class Credit:
    """The account of one answer; `CreditBook` moves it."""

    __slots__ = ("consumed", "granted", "permitted")

    def __init__(self, permitted: int) -> None:
        self.permitted = permitted
        """Offset up to which the present turn allows bytes; ``granted`` may be above it by what an earlier one had left."""
        self.granted = 0
        """Offset up to which the peer may send."""
        self.consumed = 0
        """Offset up to which bytes came in order and were used."""


class CreditBook:
    """All accounts of one connection."""

    def __init__(self, *, window: int, total: int) -> None:
        self._window = window
        self._total = total
        self.outstanding = 0
        """Granted and not consumed, over all answers."""
        self._waiting: dict[Credit, int] = {}  # accounts that found no share left, with their stream, in order

    @property
    def is_short(self) -> bool:
        """Whether an answer waits for a share of the connection's credit."""
        return bool(self._waiting)

    def extend(self, credit: Credit, stream: int) -> int | None:
        """Grant what an account may have now; returns the new offset to announce, if it moved."""
        step = min(credit.permitted, credit.consumed + self._window) - credit.granted
        # Half a window at a time: a frame that announces credit for every datagram would cost more than it helps.
        if step <= 0 or credit.granted - credit.consumed > self._window // 2:
            return None
        free = self._total - self.outstanding
        if free < min(step, self._window // 4):
            self._waiting[credit] = stream
            return None
        self._waiting.pop(credit, None)
        step = min(step, free)
        credit.granted += step
        self.outstanding += step
        return credit.granted

    def permit(self, credit: Credit, offset: int) -> None:
        """Replace what an account permits by ``offset``, which is not below what it consumed; `extend` grants it."""
        credit.permitted = offset
        self._waiting.pop(credit, None)  # it may want nothing now, and would keep those behind it waiting

    def serve(self) -> list[tuple[int, int]]:
        """Grant what was returned to those that wait, in their order; pairs of stream and new offset."""
        served: list[tuple[int, int]] = []
        for credit, stream in tuple(self._waiting.items()):
            offset = self.extend(credit, stream)
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

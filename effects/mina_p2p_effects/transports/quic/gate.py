"""How many handshakes of one network group, and in all, may be pending or begin within a second.

Groups come from addresses that a sender chose, so the memory of them is bounded: a group
is remembered while it has pending handshakes, or has used its rate lately.
"""

from __future__ import annotations

from mina_p2p.record import Record, record


@record
class Limits(Record):
    """What one `Gate` lets through."""

    pending_max: int
    pending_per_group_max: int
    rate: float
    """Handshakes a second that a group may begin for ever."""
    burst: int
    """Handshakes that a group may begin at once."""
    patience_s: float
    """Where all places are taken, a handshake that is pending for so long gives its own up."""


@record
class Entered(Record):
    """A handshake may begin."""

    gives_way: int | None
    """The pending one that ends for it."""


class Gate:
    """Counts handshakes by group. Times are the caller's seconds."""

    MARGIN = 4
    """Pending handshakes that a group may have more than another without giving way to it: a few honest peers of one network
    are no crowd, though a crowd from many networks has but one of each."""
    GROUPS_MAX = 4096
    """Groups whose rate is remembered; beyond, the one that was used longest ago is forgotten."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pending: dict[str, dict[int, None]] = {}  # by group, oldest first
        self._groups: dict[int, str] = {}  # by handshake, oldest first
        self._since: dict[int, float] = {}
        self._due: dict[str, float] = {}  # when a group's rate is unused again; by last use, oldest first

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def remembered(self) -> int:
        """Groups of which anything is known."""
        return len(self._due.keys() | self._pending.keys())

    def enter(self, number: int, group: str, now: float, *, is_rated: bool) -> Entered | None:
        """Let handshake ``number`` of ``group`` begin, unless it exceeds a limit.

        Where all places are taken, the oldest handshake gives its place up, if it has taken longer than an honest one would; else
        the group that has most of them gives one up to a group that has far fewer.
        """
        limits = self._limits
        pending = self._pending.get(group, {})
        if len(pending) >= limits.pending_per_group_max:
            return None
        crowding: int | None = None
        if len(self._groups) >= limits.pending_max:
            crowding = self._crowding(len(pending), now)
            if crowding is None:
                return None
        if is_rated and not self._use_rate(group, now):
            return None
        if crowding is not None:
            self.leave(crowding)
        self._pending.setdefault(group, pending)[number] = None
        self._groups[number] = group
        self._since[number] = now
        return Entered(crowding)

    def leave(self, number: int) -> None:
        """A handshake is not pending any more."""
        group = self._groups.pop(number, None)
        if group is None:
            return
        del self._since[number]
        pending = self._pending[group]
        del pending[number]
        if not pending:
            del self._pending[group]

    def _crowding(self, own: int, now: float) -> int | None:
        """Which handshake gives its place up to one of a group that has ``own`` pending."""
        oldest = next(iter(self._groups), None)
        if oldest is not None and now - self._since[oldest] >= self._limits.patience_s:
            return oldest
        largest = max(self._pending.values(), key=len, default=None)
        return next(iter(largest)) if largest is not None and len(largest) > own + self.MARGIN else None

    def _use_rate(self, group: str, now: float) -> bool:
        """Count one beginning, unless that exceeds the rate (the generic cell rate algorithm: one time stands for a whole bucket)."""
        due = max(self._due.pop(group, now), now)
        allowed = due + 1 / self._limits.rate <= now + self._limits.burst / self._limits.rate + 1e-9
        if allowed:
            due += 1 / self._limits.rate
        self._due[group] = due
        while self._due:
            oldest = next(iter(self._due))
            if self._due[oldest] > now and len(self._due) <= self.GROUPS_MAX:
                break
            del self._due[oldest]
        return allowed

"""Bans of whole networks, and the one form in which every ban is explained."""

from __future__ import annotations

from mina_p2p.disconnection.reasons import Reason
from mina_p2p.identity import PeerId
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.table import Index


@record
class Ban(Record):
    """Who is banned, from when, until when, and why."""

    whom: PeerId | str
    """A peer, or a network such as ``203.0.113.0/24``."""
    since: Timestamp
    until: Timestamp
    reason: Reason

    def __str__(self) -> str:
        """For people; times are seconds since 1970."""
        whom = self.whom.short if isinstance(self.whom, PeerId) else self.whom
        return f"{whom} from {self.since // 10**9} until {self.until // 10**9}: {self.reason}"


@record
class GroupBans(Record):
    """Bans by network. One that is over counts for nothing, and is forgotten when there is a new one."""

    index: Index[Ban]

    def of(self, group: str, now: Timestamp) -> Ban | None:
        """The ban of a network, while it lasts."""
        found = self.index.get(group.encode())
        return found if found is not None and found.until > now else None

    def all(self, now: Timestamp) -> list[Ban]:
        """Those that last, by their ends."""
        bans = (ban for entries in self.index.buckets.values() for _, ban in entries if ban.until > now)
        return sorted(bans, key=lambda ban: (ban.until, str(ban.whom)))

    def add(self, ban: Ban, now: Timestamp, bans_max: int) -> GroupBans:
        """With a ban of a network, in the place of what was said of it before."""
        key = str(ban.whom).encode()
        others = [other for other in self.all(now) if other.whom != ban.whom]
        index = Index[Ban](self.index.salt)
        for other in others[max(0, len(others) - bans_max + 1) :]:
            index = index.set(str(other.whom).encode(), other)
        return GroupBans(index.set(key, ban))

    def lift(self, group: str) -> GroupBans:
        """Without the ban of a network, which must be there."""
        return GroupBans(self.index.delete(group.encode()))

    def none(self) -> GroupBans:
        """Without any."""
        return GroupBans(Index[Ban](self.index.salt))

    def __len__(self) -> int:
        return len(self.index)

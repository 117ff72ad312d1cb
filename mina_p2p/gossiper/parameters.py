"""How far and how long an item is gossiped: the numbers of one gossiper, and which of them can not be together.

Names and defaults are Casper's (spec: address-gossip 1.1). One record per item type, because one block
for all is what its authors came to regret.
"""

from __future__ import annotations

import attrs

from mina_p2p.ids import SECOND
from mina_p2p.record import Record, record

SATURATION_PERCENT_MAX = 99
SPREADING_TIME = 5 * SECOND
"""For an item to reach everybody, with a margin."""

_positive = attrs.validators.gt(0)


@record
class GossipParameters(Record):
    """The numbers of one gossiper; durations are nanoseconds."""

    infection_target: int = attrs.field(default=3, validator=_positive)
    """Peers that must have learned an item from us before we stop telling others."""
    saturation_limit_percent: int = attrs.field(
        default=80, validator=attrs.validators.and_(attrs.validators.ge(0), attrs.validators.le(SATURATION_PERCENT_MAX))
    )
    """Share of peers that know the item already at which we stop telling others."""
    finished_entry_duration: int = attrs.field(default=60 * SECOND, validator=_positive)
    """How long an item is remembered that is no longer told."""
    answer_timeout: int = attrs.field(default=10 * SECOND, validator=_positive)
    """A peer's answer to an announcement."""
    remainder_timeout: int = attrs.field(default=60 * SECOND, validator=_positive)
    """The item from one that announced it."""
    validation_timeout: int = attrs.field(default=60 * SECOND, validator=_positive)
    """The verdict of the item's owner."""
    entries_max: int = attrs.field(default=10_000, validator=_positive)
    """Items under way and remembered; the oldest remembered one gives way, and if there is none, news are not taken."""
    holders_max: int = attrs.field(default=64, validator=_positive)
    """Announcers that are remembered of one item."""
    is_complete: bool = False
    """Whether an item's id is all of it, so that nothing has to be fetched."""
    is_versioned: bool = False
    """Whether the owner refuses what is older than what it has had, so that nothing can come back after it was forgotten."""

    def __attrs_post_init__(self) -> None:
        """Refuse what would let items circulate for ever.

        :raises ValueError: with the inequality that does not hold (spec: address-gossip 1.8 D2).
        """
        longest = self.answer_timeout * 100 // (100 - self.saturation_limit_percent) + SPREADING_TIME
        if not self.is_versioned and self.finished_entry_duration < longest:
            raise ValueError(
                f"finished_entry_duration {self.finished_entry_duration / SECOND:g} s is under {longest / SECOND:g} s, which is "
                "answer_timeout * 100 / (100 - saturation_limit_percent) + 5 s: an item would be forgotten while others still tell it, "
                "and come back for ever; raise it, or lower answer_timeout"
            )

    @property
    def attempts_max(self) -> int:
        """Peers that an item is announced to at most."""
        return max(self.infection_target, 100 * self.infection_target // (100 - self.saturation_limit_percent))

    @property
    def current_entry_duration(self) -> int:
        """How long an item can be under way, whatever happens (spec: address-gossip 1.8 D4)."""
        return 2 * self.finished_entry_duration

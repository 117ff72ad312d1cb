"""What happens to items, and what follows for carrier and owner.

The guards ask a root that has the gossiper in its field ``gossip``: that of a slice which steps it, or that of
a machine of which it is a slice.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

from mina_p2p.gossiper.state import Fetching, Finished, Gossiper, Held, Missing
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record


class HasGossip(Protocol):
    """A root with a gossiper."""

    @property
    def gossip(self) -> Gossiper:
        """The gossiper."""
        ...


@record
class GossipBegin(Record):
    """The owner has an item of its own, or one that came by another way: tell others."""

    id: bytes


@record
class GossipHeard(Record):
    """A peer announced an item."""

    id: bytes
    peer: int
    is_stored: bool = False
    """Whether its owner has it: where the gossiper has forgotten it by now, it is not fetched, judged and told on once more."""

    def is_enabled(self, state: HasGossip, now: Timestamp) -> bool:
        return self.peer in state.gossip.credits


@record
class GossipAnswered(Record):
    """A peer answered an announcement of ours, or showed that it has heard it."""

    id: bytes
    peer: int
    is_held: bool
    """Whether it had the item before."""

    def is_enabled(self, state: HasGossip, now: Timestamp) -> bool:
        entry = state.gossip.entry(self.id)
        return isinstance(entry, Held) and entry.deadline_of(self.peer) is not None


@record
class GossipBodyReceived(Record):
    """The item came from the peer that we had asked for it."""

    id: bytes
    peer: int
    body: bytes

    def is_enabled(self, state: HasGossip, now: Timestamp) -> bool:
        entry = state.gossip.entry(self.id)
        return isinstance(entry, Missing) and isinstance(entry.phase, Fetching) and entry.phase.peer == self.peer


@record
class GossipFetchFailed(Record):
    """The peer that we had asked for an item does not send it; or what it sent is not that item, which others may have."""

    id: bytes
    peer: int

    def is_enabled(self, state: HasGossip, now: Timestamp) -> bool:
        entry = state.gossip.entry(self.id)
        return isinstance(entry, Missing) and entry.phase.peer == self.peer


@record
class GossipAccepted(Record):
    """The owner found an item good."""

    id: bytes

    def is_enabled(self, state: HasGossip, now: Timestamp) -> bool:
        return isinstance(state.gossip.entry(self.id), Missing)


@record
class GossipRejected(Record):
    """The owner does not want an item, from whomever it comes."""

    id: bytes

    def is_enabled(self, state: HasGossip, now: Timestamp) -> bool:
        return isinstance(state.gossip.entry(self.id), Missing)


@record
class GossipWanted(Record):
    """A peer asks for an item that we announced."""

    id: bytes
    peer: int

    def is_enabled(self, state: HasGossip, now: Timestamp) -> bool:
        entry = state.gossip.entry(self.id)
        return self.peer in state.gossip.credits and (isinstance(entry, Held) or (isinstance(entry, Finished) and entry.was_held))


@record
class GossipFinish(Record):
    """The owner no longer wants an item to be told: it is gone, or replaced."""

    id: bytes

    def is_enabled(self, state: HasGossip, now: Timestamp) -> bool:
        return isinstance(state.gossip.entry(self.id), Missing | Held)


@record
class GossipPeerReady(Record):
    """There is a peer that gossips."""

    peer: int
    credit: int
    """How many ids it may be told at once."""

    def is_enabled(self, state: HasGossip, now: Timestamp) -> bool:
        return self.peer not in state.gossip.credits


@record
class GossipEligible(Record):
    """A peer may be told so many ids from now on, and no more of what it permitted before."""

    peer: int
    credit: int

    def is_enabled(self, state: HasGossip, now: Timestamp) -> bool:
        return self.peer in state.gossip.credits


@record
class GossipPeerGone(Record):
    """A peer can no longer be reached."""

    peer: int

    def is_enabled(self, state: HasGossip, now: Timestamp) -> bool:
        return self.peer in state.gossip.credits


@record
class GossipTimeout(Record):
    """A wait is over."""

    key: int
    """Of `Gossiper.deadlines`."""

    def is_enabled(self, state: HasGossip, now: Timestamp) -> bool:
        at = state.gossip.wait(self.key)
        return at is not None and at <= now


GossipAction: TypeAlias = (
    GossipBegin
    | GossipHeard
    | GossipAnswered
    | GossipBodyReceived
    | GossipFetchFailed
    | GossipAccepted
    | GossipRejected
    | GossipWanted
    | GossipFinish
    | GossipPeerReady
    | GossipEligible
    | GossipPeerGone
    | GossipTimeout
)


@record
class GossipAnnounce(Record):
    """For the carrier: tell a peer that we hold an item; `GossipAnswered` answers."""

    id: bytes
    peer: int


@record
class GossipKnown(Record):
    """For the carrier: an announcement was no news to us, or is fetched from another peer."""

    id: bytes
    peer: int


@record
class GossipFetch(Record):
    """For the carrier: ask a peer for the item; `GossipBodyReceived` or `GossipFetchFailed` answers."""

    id: bytes
    peer: int


@record
class GossipDeliver(Record):
    """For the carrier: send a peer the item."""

    id: bytes
    peer: int


@record
class GossipNew(Record):
    """For the owner: an item came whose id is all of it. It is told to others already."""

    id: bytes
    peer: int


@record
class GossipValidate(Record):
    """For the owner: judge an item; `GossipAccepted` or `GossipRejected` answers."""

    id: bytes
    peer: int
    body: bytes


@record
class GossipFinished(Record):
    """For the owner: an item is no longer told."""

    id: bytes
    was_held: bool


@record
class GossipBlamed(Record):
    """For the owner: a peer sent what was found bad."""

    id: bytes
    peer: int


GossipOrder: TypeAlias = (
    GossipAnnounce | GossipKnown | GossipFetch | GossipDeliver | GossipNew | GossipValidate | GossipFinished | GossipBlamed
)

"""Neighbours, meshes, caches, and messages on their way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from mina_p2p.gossipsub.messages import PubsubMessage
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, ConnectionId, PeerNumber, RequestId, StreamId, Timestamp
from mina_p2p.libp2p.config import NetworkConfig
from mina_p2p.prng import Random
from mina_p2p.record import Record, record
from mina_p2p.table import Deadlines, Index, Table, empty_table

T = TypeVar("T")

STREAM_TRIES_MAX = 4
"""How often a stream to one peer is opened again after it was lost."""


@record
class Neighbour(Record):
    """A peer that speaks GossipSub."""

    peer_id: PeerId
    is_outgoing: bool
    """Whether we dialled it."""
    stream: tuple[ConnectionId, StreamId] | None = None
    """On which we speak; nothing before it is agreed, or after it was lost."""
    is_opening: bool = True
    tries: int = 0
    topics: tuple[str, ...] = ()
    ihaves: int = 0
    """Since the last heartbeat."""
    ids_asked: int = 0
    """Since the last heartbeat."""
    is_direct: bool = False
    """Whether it gets everything, and is in no mesh."""


@record
class Topic(Record):
    """A topic that we subscribe to, or publish on."""

    name: str
    is_subscribed: bool
    mesh: tuple[PeerNumber, ...] = ()
    """Whom we send everything; where we are not subscribed, the fanout."""
    published_at: Timestamp = Timestamp(0)


@record
class Cached(Record):
    """A message that was passed on."""

    topic: str
    encoded: bytes
    sent: tuple[tuple[PeerNumber, int], ...] = ()
    """How often it was sent to peers that asked."""


@record
class Verifying(Record):
    """A message whose signature is being checked."""

    peer: PeerNumber
    author: PeerId
    message: PubsubMessage
    message_id: bytes
    deadline: Timestamp


@record
class Signing(Record):
    """A message of ours that waits for its signature."""

    message: PubsubMessage
    deadline: Timestamp


@record
class Validating(Record):
    """A message that waits for the node software's verdict."""

    peer: PeerNumber
    author: PeerId
    topic: str
    encoded: bytes
    message_id: bytes
    deadline: Timestamp


@record
class Expiring(Record):
    """Keys with the time until which they are remembered."""

    entries: Index[Timestamp]
    ends: Table[int, tuple[bytes, ...]] = empty_table()
    """Keys by the second in which to look at them."""

    def until(self, key: bytes) -> Timestamp:
        """Until when a key is remembered; 0 for one that is not."""
        return self.entries.get(key) or Timestamp(0)

    def __contains__(self, key: bytes) -> bool:
        return key in self.entries

    def __len__(self) -> int:
        return len(self.entries)

    def adding(self, key: bytes, until: Timestamp) -> Expiring:
        """With a key; a later end replaces an earlier one."""
        if until <= self.until(key):
            return self
        second = -(-until // SECOND)
        return self.replace(entries=self.entries.set(key, until), ends=self.ends.set(second, (*self.ends.get(second, ()), key)))

    def expired(self, now: Timestamp) -> Expiring:
        """Without the keys whose time is over."""
        entries, ends = self.entries, self.ends
        for second in ends.keys_through(now // SECOND):
            for key in ends[second]:
                if (entries.get(key) or now + 1) <= now:
                    entries = entries.delete(key)
            ends = ends.delete(second)
        return self if ends is self.ends else Expiring(entries, ends)


@record
class Gossipsub(Record):
    """The slice."""

    random: Random
    deadlines: Deadlines
    """Of verdicts."""
    seen: Expiring
    backoffs: Expiring
    """By topic and peer id; whom not to graft."""
    cache: Index[Cached]
    topics: tuple[Topic, ...]
    next_heartbeat_at: Timestamp
    neighbours: Table[PeerNumber, Neighbour] = empty_table()
    windows: tuple[tuple[bytes, ...], ...] = ((),)
    """Ids in the cache by heartbeat, newest first."""
    cache_bytes: int = 0
    verifying: Table[int, Verifying] = empty_table()
    validating: Table[RequestId, Validating] = empty_table()
    validating_bytes: int = 0
    """Of the messages in it."""
    signing: Table[int, Signing] = empty_table()
    next_id: int = 1
    last_seqno: int = 0

    def topic(self, name: str) -> Topic | None:
        """The topic of that name."""
        return next((topic for topic in self.topics if topic.name == name), None)

    def with_topic(self, changed: Topic) -> Gossipsub:
        """With a topic changed or added."""
        if self.topic(changed.name) is None:
            return self.replace(topics=(*self.topics, changed))
        return self.replace(topics=tuple(changed if topic.name == changed.name else topic for topic in self.topics))

    def subscribers(self, topic: str) -> list[PeerNumber]:
        """Neighbours that want a topic and to which we can speak."""
        return [peer for peer, neighbour in self.neighbours.items() if neighbour.stream is not None and topic in neighbour.topics]

    def direct(self, topic: str) -> list[PeerNumber]:
        """Those of the subscribers that get everything, whatever the mesh."""
        return [peer for peer in self.subscribers(topic) if self.neighbours[peer].is_direct]

    def indirect(self, topic: str) -> list[PeerNumber]:
        """The other subscribers, of whom a mesh is made."""
        return [peer for peer in self.subscribers(topic) if not self.neighbours[peer].is_direct]

    def is_backed_off(self, topic: str, peer: PeerNumber, now: Timestamp) -> bool:
        """Whether not to graft that peer yet."""
        return self.backoffs.until(backoff_key(topic, self.neighbours[peer].peer_id)) > now

    def drawn(self, options: Sequence[T], count: int) -> tuple[list[T], Gossipsub]:
        """At most ``count`` of the options at random."""
        rest, random = list(options), self.random
        found: list[T] = []
        while rest and len(found) < count:
            index, random = random.below(len(rest))
            rest[index], rest[-1] = rest[-1], rest[index]
            found.append(rest.pop())
        return found, self.replace(random=random)


def backoff_key(topic: str, peer_id: PeerId) -> bytes:
    """Key of a back-off."""
    return peer_id + topic.encode()


def initial_gossipsub(config: NetworkConfig, salt: bytes, random: Random, now: Timestamp) -> Gossipsub:
    """A slice that is subscribed to the configured topics."""
    return Gossipsub(
        random,
        Deadlines(config.granularity),
        Expiring(Index(salt)),
        Expiring(Index(salt)),
        Index(salt),
        tuple(Topic(name, True) for name in config.topics),
        Timestamp(now + config.gossipsub.heartbeat_first),
    )

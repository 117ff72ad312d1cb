"""What waits between the two worlds."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from mina_p2p.channels.rpc.messages import RpcRequest
from mina_p2p.ids import ConnectionId, RequestId, Timestamp
from mina_p2p.pool.distributed import DistributedPool
from mina_p2p.record import Record, record
from mina_p2p.table import Deadlines, Index, Table, empty_table

BY_LIBP2P: Final = ConnectionId(0)
"""Stands where notifications name the connection of a pulled thing, if it came over libp2p; no pull connection has it."""

CALLS_FROM: Final = 1 << 48
"""Ids of the relay's own questions to libp2p's peers begin here, out of the way of those of the node software."""


@record
class Message(Record):
    """A gossiped message whose verdict is open. It is known by the id of its verdict."""

    items: tuple[bytes, ...]
    """Digests of what it holds and nobody had gossiped before."""
    deadline: Timestamp
    is_block: bool
    left: int = 0
    """Items of which the pools have not said yet whether they are wanted."""
    open: tuple[RequestId, ...] = ()
    """Verdicts on its items that are open."""
    accepted_count: int = 0


@record
class Asked(Record):
    """A question of the node software to a peer that is reached over libp2p."""

    request_id: RequestId
    request: RpcRequest


@record
class Serving(Record):
    """A question of libp2p's peer that the node software has been told in the words of the pull protocol."""

    session: int
    query_id: int
    request: RpcRequest
    deadline: Timestamp


@record
class Relay(Record):
    """The slice."""

    deadlines: Deadlines
    """Of messages (twice their number) and questions (twice theirs and one)."""
    remembered: DistributedPool[bytes]
    """Digests of items that have been gossiped, or are being judged because they were; the oldest are forgotten first."""
    messages: Table[RequestId, Message] = empty_table()
    by_item: Table[RequestId, tuple[RequestId, ...]] = empty_table()
    """Messages that wait for a pool's verdict."""
    asked: Table[RequestId, Asked] = empty_table()
    serving: Table[int, Serving] = empty_table()
    last_call: int = CALLS_FROM
    last_serving: int = 0

    def waits_for_block(self, digest: bytes) -> bool:
        """Whether the node software has been asked about that very block."""
        return any(message.is_block and digest in message.items for message in self.messages.values())

    def remembering(self, digests: tuple[bytes, ...], most: int) -> Relay:
        """With items that have been gossiped."""
        remembered = self.remembered
        for digest in digests:
            remembered = remembered.insert(digest, digest)
        for index in remembered.items.keys()[: max(0, len(remembered) - most)]:
            remembered = remembered.remove(remembered.items[index])
        return self.replace(remembered=remembered)

    def forgetting(self, digests: tuple[bytes, ...]) -> Relay:
        """Without them, as they have not been passed on after all."""
        remembered = self.remembered
        for digest in digests:
            remembered = remembered.remove(digest) if digest in remembered else remembered
        return self.replace(remembered=remembered)

    def with_message(self, number: RequestId, message: Message) -> Relay:
        """With a message, new or changed; its deadline stays what it was."""
        deadlines = self.deadlines if number in self.messages else self.deadlines.add(message.deadline, 2 * number)
        return self.replace(messages=self.messages.set(number, message), deadlines=deadlines)

    def without_message(self, number: RequestId) -> Relay:
        """Without a message, nor anything that waits for it."""
        message, by_item = self.messages[number], self.by_item
        for verdict_id in message.open:
            others = tuple(other for other in by_item.get(verdict_id, ()) if other != number)
            by_item = by_item.set(verdict_id, others) if others else by_item.discard(verdict_id)
        deadlines = self.deadlines.cancel(message.deadline, 2 * number)
        return self.replace(messages=self.messages.delete(number), by_item=by_item, deadlines=deadlines)

    def with_serving(self, serving: Serving) -> Relay:
        """With another question of a peer's; `last_serving` is its number."""
        number = self.last_serving + 1
        deadlines = self.deadlines.add(serving.deadline, 2 * number + 1)
        return self.replace(serving=self.serving.set(number, serving), deadlines=deadlines, last_serving=number)

    def without_serving(self, number: int) -> Relay:
        """Without a question of a peer's."""
        deadlines = self.deadlines.cancel(self.serving[number].deadline, 2 * number + 1)
        return self.replace(serving=self.serving.delete(number), deadlines=deadlines)


def item_digest(body: bytes) -> bytes:
    """What the relay remembers of an item: of its exact bytes, as neither hash nor job id fixes them."""
    return blake2b(body, digest_size=32).digest()


def initial_relay(salt: bytes, granularity: int) -> Relay:
    """A relay that has heard nothing."""
    return Relay(Deadlines(granularity), DistributedPool(Index(salt)))

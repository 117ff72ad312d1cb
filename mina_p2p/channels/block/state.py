"""Streams of channel 10: which request of ours each carries."""

from __future__ import annotations

from mina_p2p.blocks.state import Ticket
from mina_p2p.ids import StreamId
from mina_p2p.record import Record, record


@record
class BlockStreams(Record):
    """Of one connection: our requests without an answer, a permission and a few questions."""

    open: tuple[tuple[Ticket, StreamId], ...] = ()

    def stream_of(self, ticket: Ticket) -> StreamId | None:
        """The stream that carries a request."""
        return next((stream for number, stream in self.open if number == ticket), None)

    def ticket_of(self, stream: StreamId) -> Ticket | None:
        """The request that a stream carries."""
        return next((ticket for ticket, number in self.open if number == stream), None)

    def add(self, ticket: Ticket, stream: StreamId) -> BlockStreams:
        """With one more."""
        return BlockStreams((*self.open, (ticket, stream)))

    def drop(self, ticket: Ticket) -> BlockStreams:
        """Without that one."""
        return BlockStreams(tuple(pair for pair in self.open if pair[0] != ticket))

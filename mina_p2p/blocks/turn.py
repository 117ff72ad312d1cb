"""One action's work: the state so far and what follows from it. Lives within one call of the reducer."""

from __future__ import annotations

from typing import Any

from mina_p2p.blocks.actions import BlocksEffectfulRequestCancel, BlocksEffectfulRequestSend
from mina_p2p.blocks.state import Asked, BlockPeer, Blocks, Candidate, Owing, Paused, Ticket, Unsettled
from mina_p2p.channels.block.messages import (
    BLOCK_MESSAGE,
    BODY_BYTES_MAX,
    HEADER_BYTES_MAX,
    BlockGetNext,
    BlockRequest,
    Wants,
)
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, Reason, ReasonCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId, Timestamp
from mina_p2p.peer.actions import PeerBan
from mina_p2p.store import Attempt
from mina_p2p.wire.framing import HEADER_SIZE

HASH_ANSWER_BYTES_MAX = 64
SCORED_MAX = 4
"""Announcers of a block that gain by it,"""
SCORE = 64
"""the first so much, each further one half of that; a quarter is forgotten with every block."""
FULL_BYTES_MAX = BODY_BYTES_MAX + HEADER_BYTES_MAX
BAN = 600 * SECOND
"""How long a liar is not met again that has left before it was found out (as after other violations)."""


class Turn:
    """The state as it becomes, and follow-ups in order."""

    __slots__ = ("now", "out", "state")

    def __init__(self, state: Blocks, now: Timestamp) -> None:
        self.state = state
        self.now = now
        self.out: list[Any] = []

    def after(self, wait: int) -> Timestamp:
        """So many nanoseconds from now."""
        return Timestamp(self.now + wait)

    # --- peers ----------------------------------------------------------------------------

    def put_peer(self, connection_id: ConnectionId, peer: BlockPeer) -> None:
        """Replace a peer's record."""
        self.state = self.state.with_peer(connection_id, peer)

    def put(self, candidate: Candidate) -> None:
        """Replace a candidate."""
        self.state = self.state.with_candidate(candidate.number, candidate)

    def request(self, connection_id: ConnectionId, request: BlockRequest, about: int, bytes_max: int) -> Ticket:
        """Ask a peer; ``about`` is the candidate, or 0."""
        ticket = Ticket(self.state.last_ticket + 1)
        self.state = self.state.replace(last_ticket=ticket, tickets=self.state.tickets.set(ticket, about))
        frame = BLOCK_MESSAGE.encode(request)
        self.out.append(BlocksEffectfulRequestSend(connection_id, ticket, frame, HEADER_SIZE + bytes_max, bytes_max))
        return ticket

    def close(self, ticket: Ticket) -> None:
        """A request is over."""
        self.state = self.state.replace(tickets=self.state.tickets.discard(ticket))

    def cancel(self, connection_id: ConnectionId, ticket: Ticket) -> None:
        """Give up a request."""
        self.close(ticket)
        self.out.append(BlocksEffectfulRequestCancel(connection_id, ticket))

    def permit(self, connection_id: ConnectionId) -> None:
        """Permit a peer its next announcement: a header or a block while few others may send one, else a hash."""
        config = self.state.config
        wants = Wants.HASH
        if self._may_send_much(connection_id, config.header_permissions_max):
            halves = (peer.local for peer in self.state.peers.values())
            is_first = not any(isinstance(local, Asked) and local.wants is Wants.FULL for local in halves)
            wants = Wants.FULL if self.state.is_cold and is_first else Wants.HEADER
        peer = self.state.peers[connection_id]
        bytes_max = {Wants.HASH: HASH_ANSWER_BYTES_MAX, Wants.HEADER: HEADER_BYTES_MAX, Wants.FULL: FULL_BYTES_MAX}[wants]
        along = FULL_BYTES_MAX if wants is Wants.FULL else self.state.body_along_max
        ticket = self.request(connection_id, BlockGetNext(wants, along), 0, bytes_max)
        self.put_peer(connection_id, peer.replace(local=Asked(ticket, wants, along, self.after(config.parked))))

    def _may_send_much(self, connection_id: ConnectionId, most: int) -> bool:
        """Whether a peer is one of the few, at the cost of one that announces later than it does."""
        peers = self.state.peers
        large = [cid for cid, peer in peers.items() if isinstance(peer.local, Asked) and peer.local.wants is not Wants.HASH]
        if len(large) < most:
            return True
        worst = min(large, key=lambda cid: (peers[cid].score, -cid))
        if len(large) > most or peers[worst].score >= peers[connection_id].score:
            return False
        self.withdraw(worst)
        return True

    def withdraw(self, connection_id: ConnectionId) -> None:
        """Take a permission back; the next one must not overtake that."""
        peer = self.state.peers[connection_id]
        if isinstance(peer.local, Asked):
            self.cancel(connection_id, peer.local.ticket)
            self.put_peer(connection_id, peer.replace(local=Paused(self.after(self.state.config.settle))))

    def pause(self, connection_id: ConnectionId) -> None:
        """Permit a peer the next announcement a little later: the last one was of no use."""
        if (peer := self.state.peers.get(connection_id)) is not None:
            self.put_peer(connection_id, peer.replace(local=Paused(self.after(self.state.config.interval))))

    def rate(self, candidate: Candidate) -> None:
        """Remember who announced a block early that was taken."""
        for connection_id, peer in self.state.peers.items():
            place = candidate.announcers.index(connection_id) if connection_id in candidate.announcers else SCORED_MAX
            score = peer.score * 3 // 4 + (SCORE >> place if place < SCORED_MAX else 0)
            if score != peer.score:
                self.put_peer(connection_id, peer.replace(score=score))

    def settle(self, candidate: Candidate, *, useful: bool) -> None:
        """What peers announced is decided: they may announce the next, in the order in which they announced this."""
        waiting = [cid for cid, peer in self.state.peers.items() if peer.local == Unsettled(candidate.number)]
        order = {cid: place for place, cid in enumerate(candidate.announcers)}
        for connection_id in sorted(waiting, key=lambda cid: (order.get(cid, len(order)), cid)):
            if useful:
                self.permit(connection_id)
            else:
                self.pause(connection_id)

    def owes(self, connection_id: ConnectionId, owing: Owing) -> None:
        """Somebody else has answered; this peer's answer is still due."""
        peer = self.state.peers[connection_id]
        self.state = self.state.replace(tickets=self.state.tickets.set(owing.ticket, 0))
        self.put_peer(connection_id, peer.replace(owing=(*peer.owing, owing)))

    # --- blame ----------------------------------------------------------------------------

    def end(self, connection_id: ConnectionId, code: ReasonCode, detail: str) -> None:
        """Leave a peer."""
        self.out.append(DisconnectionInit(connection_id, Reason(code, ChannelId.BLOCK, detail[:DETAIL_CHARS_MAX])))

    def blame(self, connection_id: ConnectionId, peer_id: PeerId, code: ReasonCode, detail: str) -> None:
        """Leave a liar, or ban it where it has left."""
        reason = Reason(code, ChannelId.BLOCK, detail[:DETAIL_CHARS_MAX])
        self.out.append(Attempt(DisconnectionInit(connection_id, reason), PeerBan(peer_id, self.after(BAN), reason)))

    def next_verdict(self) -> RequestId:
        """An id for a question to the node software."""
        verdict_id = RequestId(self.state.last_verdict_id + 1)
        self.state = self.state.replace(last_verdict_id=verdict_id)
        return verdict_id

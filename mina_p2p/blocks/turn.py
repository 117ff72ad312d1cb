"""One action's work: the state so far and what follows from it. Lives within one call of the reducer."""

from __future__ import annotations

from typing import Any

from mina_p2p.best_tip.actions import PeerBestTipKnown
from mina_p2p.best_tip.state import PeerTip
from mina_p2p.blocks.actions import BlocksRequestCancel, BlocksRequestSend
from mina_p2p.blocks.ranking import Race, Way, chosen
from mina_p2p.blocks.state import (
    UNJUDGED_MAX,
    Asked,
    BlockPeer,
    Blocks,
    Candidate,
    Facts,
    Owing,
    Paused,
    Ticket,
    Unjudged,
    Unsettled,
)
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
from mina_p2p.ids import MILLISECOND, SECOND, ChannelId, ConnectionId, RequestId, Timestamp
from mina_p2p.mina.chain_selection import select_chain
from mina_p2p.peer.actions import PeerBan
from mina_p2p.store import Attempt
from mina_p2p.wire.framing import HEADER_SIZE

FULL_BYTES_MAX = BODY_BYTES_MAX + HEADER_BYTES_MAX
BAN = 600 * SECOND
"""How long a liar is not met again that has left before it was found out (as after other violations)."""


class Turn:
    """The state as it becomes, and follow-ups in order."""

    __slots__ = ("_ends", "now", "out", "state")

    def __init__(self, state: Blocks, now: Timestamp) -> None:
        self.state = state
        self.now = now
        self.out: list[Any] = []
        self._ends: list[Any] = []

    @property
    def follow_ups(self) -> list[Any]:
        """All that follows. The ends of connections are last: what they lead to in this slice builds upon all else."""
        return [*self.out, *self._ends]

    def after(self, wait: int) -> Timestamp:
        """So many nanoseconds from now."""
        return Timestamp(self.now + wait)

    def wins(self, facts: Facts) -> bool:
        """Whether a block is better than the best that was verified."""
        tip = self.state.tip
        return tip is None or select_chain(tip.consensus, facts.consensus, tip.state_hash, facts.state_hash).take

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
        self.out.append(BlocksRequestSend(connection_id, ticket, frame, HEADER_SIZE + bytes_max, bytes_max))
        return ticket

    def close(self, ticket: Ticket) -> None:
        """A request is over."""
        self.state = self.state.replace(tickets=self.state.tickets.discard(ticket))

    def cancel(self, connection_id: ConnectionId, ticket: Ticket) -> None:
        """Give up a request."""
        self.close(ticket)
        self.out.append(BlocksRequestCancel(connection_id, ticket))

    def permit(self, connection_id: ConnectionId) -> None:
        """Permit a peer its next announcement: a header or a block where it is one of the few, else a hash."""
        if not self.state.is_ranked:
            self.rank()
        wants, peer = self._wants(connection_id), self.state.peers[connection_id]
        along = FULL_BYTES_MAX if wants is Wants.FULL else self.state.body_along_max
        ticket = self.request(connection_id, BlockGetNext(wants, along), 0, HEADER_BYTES_MAX + along)
        self.put_peer(connection_id, peer.replace(local=Asked(ticket, wants, along, self.after(self.state.config.parked))))

    def _wants(self, connection_id: ConnectionId) -> Wants:
        """What to permit a peer, at the cost of one that may send headers and is not among the chosen."""
        peers, most, preferred = self.state.peers, self.state.config.header_permissions_max, self.state.preferred
        large = {cid: peer.local for cid, peer in peers.items() if isinstance(peer.local, Asked) and peer.local.wants is not Wants.HASH}
        if connection_id in preferred:
            if len(large) >= most:
                self.withdraw(max(cid for cid in large if cid not in preferred))
        elif len(large) + sum(cid not in large for cid in preferred) >= most:
            return Wants.HASH
        # Who has no block yet has nothing to make one of.
        is_first = not any(local.wants is Wants.FULL for local in large.values())
        return Wants.FULL if self.state.tip is None and is_first else Wants.HEADER

    def rank(self) -> None:
        """Choose anew who may send headers; who is chosen and was permitted a hash gets that permission instead."""
        state = self.state
        preferred = chosen(state.races, state.peers.keys(), state.config.header_permissions_max, state.preferred)
        self.state = state.replace(preferred=preferred, is_ranked=True)
        for connection_id in preferred:
            local = state.peers[connection_id].local
            if isinstance(local, Asked) and local.wants is Wants.HASH:
                self.withdraw(connection_id)

    def withdraw(self, connection_id: ConnectionId) -> None:
        """Take a permission back; the next one must not overtake that."""
        peer = self.state.peers[connection_id]
        if isinstance(peer.local, Asked):
            self.cancel(connection_id, peer.local.ticket)
            self.put_peer(connection_id, peer.replace(local=Paused(self.after(self.state.config.settle))))

    def pause(self, connection_id: ConnectionId) -> None:
        """Permit a peer the next announcement a little later: the last one was of no use."""
        if (peer := self.state.peers.get(connection_id)) is not None:
            wait = self.state.config.interval << max(0, peer.useless - 1)
            self.put_peer(connection_id, peer.replace(local=Paused(self.after(wait))))

    def arrived(self, connection_id: ConnectionId, state_hash: bytes, way: Way, *, is_new: bool) -> None:
        """Note when a peer announced a block; of one that nobody announced before only if it ``is_new``."""
        races = self.state.races
        race = next((race for race in races if race.state_hash == state_hash), None)
        if race is not None:
            races = tuple(race.arrived(connection_id, self.now, way) if race.state_hash == state_hash else race for race in races)
        elif is_new:
            races = (*races, Race(state_hash, self.now).arrived(connection_id, self.now, way))
        self.state = self.state.replace(races=races)

    def end_race(self, state_hash: bytes, *, is_taken: bool, checked: int = 0) -> None:
        """A block was taken, or given up; ``checked`` nanoseconds after its header came."""
        races = tuple(
            race.replace(is_run=True, check_ms=checked // MILLISECOND) if race.state_hash == state_hash else race
            for race in self.state.races
        )
        if not is_taken:
            races = tuple(race for race in races if race.state_hash != state_hash)
        run = [race.state_hash for race in races if race.is_run]
        old = set(run[: max(0, len(run) - self.state.config.races_max)])
        left = tuple(race for race in races if race.state_hash not in old)
        # Once for each block: who else announces this one counts from the next one on.
        self.state = self.state.replace(races=left, is_ranked=self.state.is_ranked and not is_taken)

    def settle(self, candidate: Candidate, *, useful: bool) -> None:
        """What peers announced is decided: they may announce the next, in the order in which they announced this."""
        waiting = [cid for cid, peer in self.state.peers.items() if peer.local == Unsettled(candidate.number)]
        order = {cid: place for place, cid in enumerate(candidate.announcers)}
        for connection_id in sorted(waiting, key=lambda cid: (order.get(cid, len(order)), cid)):
            if useful:
                self.permit(connection_id)
            else:
                self.pause(connection_id)

    def keep_unjudged(self, candidate: Candidate) -> None:
        """Remember the copies of a block that is decided whose verdict is still to come."""
        late = tuple(
            Unjudged(copy.verdict_id, copy.senders, copy.deadline)
            for copy in candidate.copies
            if copy.verdict_id is not None and copy.deadline > self.now
        )
        if late:
            kept = (one for one in self.state.unjudged if one.deadline > self.now)
            self.state = self.state.replace(unjudged=(*kept, *late)[-UNJUDGED_MAX:])

    def owes(self, connection_id: ConnectionId, owing: Owing) -> None:
        """Somebody else has answered; this peer's answer is still due."""
        peer = self.state.peers[connection_id]
        self.state = self.state.replace(tickets=self.state.tickets.set(owing.ticket, 0))
        self.put_peer(connection_id, peer.replace(owing=(*peer.owing, owing)))

    def tell_tip(self, connection_id: ConnectionId, facts: Facts) -> None:
        """Say what a peer's best tip is, which decides whether pool items are announced to it."""
        self.out.append(PeerBestTipKnown(connection_id, PeerTip(facts.state_hash, facts.previous_state_hash, facts.height)))

    # --- blame ----------------------------------------------------------------------------

    def end(self, connection_id: ConnectionId, code: ReasonCode, detail: str) -> None:
        """Leave a peer."""
        self._ends.append(DisconnectionInit(connection_id, Reason(code, ChannelId.BLOCK, detail[:DETAIL_CHARS_MAX])))

    def blame(self, connection_id: ConnectionId, peer_id: PeerId, code: ReasonCode, detail: str) -> None:
        """Leave a liar, or ban it where it has left."""
        reason = Reason(code, ChannelId.BLOCK, detail[:DETAIL_CHARS_MAX])
        self._ends.append(Attempt(DisconnectionInit(connection_id, reason), PeerBan(peer_id, self.after(BAN), reason)))

    def next_verdict(self) -> RequestId:
        """An id for a question to the node software."""
        verdict_id = RequestId(self.state.last_verdict_id + 1)
        self.state = self.state.replace(last_verdict_id=verdict_id)
        return verdict_id

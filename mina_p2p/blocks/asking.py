"""Whom to ask for what a candidate lacks, and how long each is waited for."""

from __future__ import annotations

from mina_p2p.blocks.state import Asked, Assembling, Candidate, Kind, Question
from mina_p2p.blocks.turn import FULL_BYTES_MAX, Turn
from mina_p2p.channels.block.messages import (
    BODY_BYTES_MAX,
    HEADER_BYTES_MAX,
    INDEXES_MAX,
    OUTLINE_BYTES_MAX,
    BlockGetBody,
    BlockGetHeader,
    BlockGetItems,
    BlockGetOutline,
    BlockRequest,
    Wants,
)
from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import SECOND, ConnectionId

HEDGE_BYTES = 1 << 20
"""So long as these take on this node's own connection, a whole body is waited for longer than anything else: asked of a second peer too early
it takes twice the room, and comes later."""
ITEM_PREFIX_BYTES = 5
"""Of its length, in an answer."""


def _free(turn: Turn, candidate: Candidate, kind: Kind) -> list[ConnectionId]:
    """Announcers that may be asked: who holds the block before who is still checking it, the least asked first, whoever announced earlier before others.

    Whoever is overdue with this block is asked nothing more of it; who is with another, only where there is nobody else. Whoever said what may
    be a lie is asked after others for what would show it.
    """
    late = {question.connection_id for question in candidate.questions if question.hedge_at is None}
    load = {cid: sum(1 for q in candidate.questions if q.connection_id == cid) for cid in candidate.announcers}
    places = {cid: place for place, cid in enumerate(candidate.announcers)}
    claims = {claim.connection_id for claim in candidate.claims if kind is not Kind.ITEMS}
    free = [cid for cid in candidate.announcers if cid not in late]
    prompt = [cid for cid in free if not turn.state.peers[cid].owing]
    return sorted(prompt or free, key=lambda cid: (cid in candidate.checking, cid in claims, load[cid], places[cid]))


def ask_around(turn: Turn, candidate: Candidate) -> None:
    """Before a block is given up whose header is here, ask those who may send headers: who was told that it is checked here says no more of it."""
    peers = turn.state.peers.items()
    silent = [
        cid
        for cid, peer in peers
        if isinstance(peer.local, Asked) and peer.local.wants is not Wants.HASH and cid not in candidate.announcers
    ]
    turn.put(candidate.replace(is_last_resort=True, announcers=(*candidate.announcers, *silent), checking=(*candidate.checking, *silent)))
    ask_one(turn, candidate.number, Kind.BODY)


def ask_one(turn: Turn, number: int, kind: Kind) -> None:
    """Have a question of a kind under way with somebody who holds the block and does not send others before, and one more for each that is overdue.

    While nobody like that is known, those who are still checking the block are asked, and answer once they hold it.
    """
    config, alike = turn.state.config, {kind} if kind is Kind.HEADER else {Kind.HEADER, Kind.OUTLINE, Kind.BODY}
    while True:
        candidate = turn.state.candidates[number]
        asked = [question for question in candidate.questions if question.kind in alike]
        overdue = [q.connection_id for q in asked if q.hedge_at is None and not q.is_queued]
        late = sum(kind is not Kind.BODY or candidate.is_held_by(connection_id) for connection_id in overdue)
        prompt = [q for q in asked if q.hedge_at is not None and not q.is_queued]
        wanted = min(1 + late, config.parallel_max)
        source = next((cid for cid in _free(turn, candidate, kind) if (kind, cid) not in candidate.tried), None)
        if source is None or sum(q.is_queued and q.hedge_at is not None for q in asked) >= config.queues_max:
            return
        if sum(candidate.is_held_by(q.connection_id) for q in prompt) >= wanted:
            return
        if not candidate.is_held_by(source) and len(prompt) >= wanted:
            return
        _ask_whole(turn, candidate, source, kind)


def _ask_whole(turn: Turn, candidate: Candidate, source: ConnectionId, kind: Kind) -> None:
    """Ask somebody for a header, an outline or a body."""
    state_hash, along, bytes_max = candidate.state_hash, 0, FULL_BYTES_MAX
    request: BlockRequest
    match kind:
        case Kind.HEADER:
            # Where a body has to come from somebody, it comes with the header; not from everybody who is asked because others are overdue.
            is_whole = turn.state.is_cold and not any(question.along == BODY_BYTES_MAX for question in candidate.questions)
            along = BODY_BYTES_MAX if is_whole else turn.state.body_along_max
            request, bytes_max = BlockGetHeader(state_hash, along), HEADER_BYTES_MAX + along
        case Kind.OUTLINE:
            request, bytes_max = BlockGetOutline(state_hash), OUTLINE_BYTES_MAX
        case Kind.BODY:
            request = BlockGetBody(state_hash)
        case Kind.ITEMS:
            raise InvariantViolationError("items are asked for by place")
    _ask(turn, candidate.replace(tried=(*candidate.tried, (kind, source))), source, kind, request, bytes_max, along=along)


def _ask(
    turn: Turn,
    candidate: Candidate,
    source: ConnectionId,
    kind: Kind,
    request: BlockRequest,
    bytes_max: int,
    *,
    indexes: tuple[int, ...] = (),
    along: int = 0,
) -> None:
    config, rate = turn.state.config, turn.state.config.link_bytes_per_second
    ticket = turn.request(source, request, candidate.number, bytes_max)
    # A peer's patience is one for all its answers about a block: else one liar delays it as often as it is asked.
    patience = max(config.granularity, config.hedge - candidate.taken_by(source))
    if rate and (kind is Kind.BODY or along == BODY_BYTES_MAX):
        patience += HEDGE_BYTES * SECOND // rate
    question = Question(ticket, source, kind, indexes, turn.now, turn.after(patience), turn.after(config.answer), along)
    turn.put(candidate.replace(questions=(*candidate.questions, question)))


def ask_items(turn: Turn, number: int) -> None:
    """Ask several announcers for the items that nobody is just being asked for."""
    candidate = turn.state.candidates[number]
    if not isinstance(candidate.body, Assembling):
        return
    asked = {index for q in candidate.questions if q.kind is Kind.ITEMS and q.hedge_at is not None for index in q.indexes}
    missing = [index for index, data in enumerate(candidate.body.found) if data is None and index not in asked]
    free = _free(turn, candidate, Kind.ITEMS)
    sources = ([cid for cid in free if candidate.is_held_by(cid)] or free)[: turn.state.config.parallel_max]
    # Whatever an outline says is here already: it may lie, and whoever is asked answers truly.
    bytes_max = BODY_BYTES_MAX + ITEM_PREFIX_BYTES * (INDEXES_MAX + 1)
    for place, source in enumerate(sources):
        share = tuple(missing[place :: len(sources)][:INDEXES_MAX])
        if share:
            request = BlockGetItems(candidate.state_hash, share)
            _ask(turn, turn.state.candidates[number], source, Kind.ITEMS, request, bytes_max, indexes=share)

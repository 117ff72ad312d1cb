"""What a candidate needs next, and what to make of the answers.

Who is to blame is decided by proof: by an answer that contradicts the same peer's own words or the
header at once, and by the body, once it is known, for all else that was said of it. Until then
contradictions of two peers lead to the whole body and to nobody's loss.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from mina_p2p.blocks.actions import BlockDropped, BlockReceived
from mina_p2p.blocks.asking import ask_around, ask_items, ask_one
from mina_p2p.blocks.serving import announce, answer_waiting, forgets, hold, retract
from mina_p2p.blocks.split import (
    DIGEST_BYTES,
    Outline,
    Parts,
    RawBlockBody,
    is_body_of,
    item_digest,
    join_block,
    outline_salt,
    rebuild_body,
    short_id,
    split_body,
)
from mina_p2p.blocks.state import (
    Asked,
    Assembling,
    Candidate,
    Complete,
    Copy,
    Held,
    ItemClaim,
    Kind,
    NoOutline,
    OutlineClaim,
    Owing,
    Question,
    Unsettled,
    WholeWanted,
)
from mina_p2p.blocks.turn import Turn
from mina_p2p.channels.block.messages import BODY_BYTES_MAX
from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, Reason, ReasonCode
from mina_p2p.errors import DecodeError, InvariantViolationError
from mina_p2p.identity import PeerId
from mina_p2p.ids import ChannelId, ConnectionId
from mina_p2p.mina.raw import RawBlock
from mina_p2p.notifications import BestTipReceived
from mina_p2p.wire import EncodeError

MISMATCH = ReasonCode.RESPONSE_HASH_MISMATCH
ITEMS_MAX = BODY_BYTES_MAX // 100
"""No item is that small."""
WARMTHS_MAX = 3
"""Blocks before the last one that count for whether items are taken to be here."""


def enter(turn: Turn, connection_id: ConnectionId, state_hash: bytes, *, is_checking: bool = False) -> Candidate:
    """Note that a peer announced a block that may be wanted; ``is_checking`` where it does not hold it yet."""
    candidate = turn.state.candidate_of(state_hash)
    if candidate is None:
        number = turn.state.last_number + 1
        turn.state = turn.state.replace(last_number=number)
        candidate = Candidate(number, state_hash, turn.after(turn.state.config.candidate), ())
    if connection_id not in candidate.announcers:
        candidate = candidate.replace(announcers=(*candidate.announcers, connection_id))
        if is_checking:
            candidate = candidate.replace(checking=(*candidate.checking, connection_id))
        if candidate.facts is not None:
            turn.tell_tip(connection_id, candidate.facts)
    _leave_others(turn, connection_id, candidate.number)
    turn.put(candidate if is_checking else holds(candidate, connection_id))
    peer = turn.state.peers[connection_id]
    if isinstance(peer.local, Asked):
        # It could announce another block because this one was late, and gave it after all.
        turn.cancel(connection_id, peer.local.ticket)
    turn.put_peer(connection_id, peer.replace(local=Unsettled(candidate.number)))
    return turn.state.candidates[candidate.number]


def _leave_others(turn: Turn, connection_id: ConnectionId, number: int) -> None:
    """Expect nothing more from a peer of blocks that it was checking when it could announce another: it has one undecided block with us at a time."""
    for other in turn.state.candidates.values():
        if other.number != number and connection_id in other.checking:
            for question in other.questions:
                if question.connection_id == connection_id:
                    turn.cancel(connection_id, question.ticket)
            lose_source(turn, other.number, connection_id)
            pursue(turn, other.number)


def holds(candidate: Candidate, connection_id: ConnectionId) -> Candidate:
    """With a peer as one that holds the block."""
    if connection_id not in candidate.checking:
        return candidate
    return candidate.replace(checking=tuple(other for other in candidate.checking if other != connection_id))


def drop(turn: Turn, candidate: Candidate, reason: Reason | None) -> None:
    """Give a candidate up; ``reason`` is for the node software, ``None`` where the block just lost."""
    for question in candidate.questions:
        turn.cancel(question.connection_id, question.ticket)
    turn.state = turn.state.with_candidate(candidate.number, None)
    turn.keep_unjudged(candidate)
    turn.end_race(candidate.state_hash, is_taken=False)
    retract(turn, candidate.state_hash)
    if reason is not None:
        # Others may announce the same block later, and give all of it.
        turn.out.append(BlockDropped(candidate.state_hash, reason))
        for connection_id, peer in turn.state.peers.items():
            if connection_id not in candidate.announcers:
                turn.put_peer(connection_id, forgets(peer, candidate.state_hash))
    else:
        losers = (*turn.state.losers, candidate.state_hash)[-turn.state.config.losers_max :]
        turn.state = turn.state.replace(losers=losers)
    answer_waiting(turn, candidate.state_hash)
    turn.settle(candidate, useful=False)


def lose_source(turn: Turn, number: int, connection_id: ConnectionId) -> None:
    """Nothing more of a candidate can be had from a peer."""
    candidate = turn.state.candidates[number]
    for question in candidate.questions:
        if question.connection_id == connection_id:
            turn.close(question.ticket)
    turn.put(
        holds(candidate, connection_id).replace(
            announcers=tuple(other for other in candidate.announcers if other != connection_id),
            questions=tuple(question for question in candidate.questions if question.connection_id != connection_id),
        )
    )


def expose(turn: Turn, number: int, connection_id: ConnectionId, code: ReasonCode, detail: str) -> None:
    """Blame a peer that is there, and want nothing more of it for a candidate."""
    turn.blame(connection_id, turn.state.peers[connection_id].peer_id, code, detail)
    lose_source(turn, number, connection_id)


def pursue(turn: Turn, number: int) -> None:
    """Ask for what a candidate lacks; take it in where it lacks nothing; give it up where nobody can help."""
    candidate = turn.state.candidates.get(number)
    if candidate is None:
        return  # its body came, and was none
    match candidate.body:
        case Complete() if candidate.valid is not None:
            accept(turn, candidate)
            return
        case Complete() if candidate.copies:
            return
        case Complete():
            ask_one(turn, number, Kind.HEADER)
        case _ if candidate.facts is None or not candidate.copies:
            ask_one(turn, number, Kind.HEADER)
        case NoOutline() if turn.state.is_cold:
            ask_one(turn, number, Kind.BODY)
        case NoOutline():
            ask_one(turn, number, Kind.OUTLINE)
        case Assembling():
            ask_items(turn, number)
        case WholeWanted():
            ask_one(turn, number, Kind.BODY)
    candidate = turn.state.candidates[number]
    if not candidate.questions and candidate.copies and isinstance(candidate.body, NoOutline | Assembling):
        # Outlines came to nothing; the whole body may still be had.
        turn.put(candidate.replace(body=WholeWanted()))
        ask_one(turn, number, Kind.BODY)
        candidate = turn.state.candidates[number]
    if not candidate.questions and candidate.copies and not candidate.is_last_resort:
        ask_around(turn, candidate)
        candidate = turn.state.candidates[number]
    if not candidate.questions:
        what = "body" if candidate.copies else "header"
        drop(turn, candidate, Reason(ReasonCode.CHANNEL_TIMEOUT, ChannelId.BLOCK, f"nobody gave a good {what}"))


# --- what to make of answers --------------------------------------------------------------------


def take_outline(turn: Turn, number: int, connection_id: ConnectionId, outline: Outline) -> None:
    """Look for the items of an outline, here first."""
    candidate, peer_id = turn.state.candidates[number], turn.state.peers[connection_id].peer_id
    try:
        ids = outline.ids
    except DecodeError as error:
        expose(turn, number, connection_id, ReasonCode.CHANNEL_MSG_UNDECODABLE, str(error))
        return
    salt = None if outline.id_bytes == DIGEST_BYTES else outline_salt(candidate.state_hash, turn.state.peer_id)
    for claim in candidate.claims:
        if isinstance(claim, OutlineClaim) and claim.connection_id == connection_id and not _agree(turn, candidate, claim.outline, outline):
            expose(turn, number, connection_id, MISMATCH, "two outlines of one block by one peer")
            return
    if len(ids) > ITEMS_MAX:
        expose(turn, number, connection_id, MISMATCH, f"an outline of {len(ids)} items, which no body has")
        return
    spare = {item_digest(data): data for data in candidate.spare}
    if salt is None:
        found = tuple(turn.state.items.get(name) or spare.get(name) for name in ids)
    else:
        here = turn.state.items.by_short_id(salt) if ids else {}
        found = tuple(here.get(name) for name in ids)
    claims = (*candidate.claims, OutlineClaim(connection_id, peer_id, outline))
    body = Assembling(connection_id, outline.frame, ids, salt, found)
    turn.put(candidate.replace(body=body, claims=claims))
    _rebuild(turn, number)


def _agree(turn: Turn, candidate: Candidate, one: Outline, other: Outline) -> bool:
    """Whether two outlines can be of one body; ids of different forms are compared by the salted one."""
    if one.frame != other.frame:
        return False
    if one.id_bytes == other.id_bytes:
        return one.id_string == other.id_string
    short, full = (one, other) if other.id_bytes == DIGEST_BYTES else (other, one)
    salt = outline_salt(candidate.state_hash, turn.state.peer_id)
    return short.ids == tuple(short_id(salt, digest) for digest in full.ids)


def take_items(turn: Turn, number: int, question: Question, items: tuple[bytes, ...]) -> None:
    """Put items in their places."""
    candidate, connection_id = turn.state.candidates[number], question.connection_id
    peer_id = turn.state.peers[connection_id].peer_id
    if len(items) != len(question.indexes):
        expose(turn, number, connection_id, MISMATCH, f"{len(items)} items for {len(question.indexes)} places")
        return
    body = candidate.body
    if not isinstance(body, Assembling):
        return
    found = list(body.found)
    for index, data in zip(question.indexes, items, strict=True):
        digest = item_digest(data)
        name = digest if body.salt is None else short_id(body.salt, digest)
        if index >= len(body.ids) or name == body.ids[index]:
            if index < len(found):
                found[index] = data
            continue
        if connection_id == body.source:
            expose(turn, number, connection_id, MISMATCH, f"item {index} is not what the same peer's outline says")
            return
        # One of two lies, and only the body tells who.
        claim = ItemClaim(connection_id, peer_id, index, digest)
        turn.put(candidate.replace(body=WholeWanted(), claims=(*candidate.claims, claim)))
        _stop_items(turn, number)
        return
    turn.put(candidate.replace(body=body.replace(found=tuple(found))))
    _rebuild(turn, number)


def lack_items(turn: Turn, number: int, question: Question) -> bool:
    """Somebody does not have items of another peer's outline: one of them lies, and only the body tells who. ``False`` where it is its own outline."""
    candidate = turn.state.candidates[number]
    body = candidate.body
    if question.kind is not Kind.ITEMS or (isinstance(body, Assembling) and body.source == question.connection_id):
        return False
    if isinstance(body, Assembling):
        turn.put(candidate.replace(body=WholeWanted()))
        _stop_items(turn, number)
    return True


def _stop_items(turn: Turn, number: int) -> None:
    """Questions for items that no longer serve; whoever is overdue stays so."""
    candidate = turn.state.candidates[number]
    for question in candidate.questions:
        if question.kind is Kind.ITEMS and question.hedge_at is not None:
            turn.cancel(question.connection_id, question.ticket)
    kept = tuple(question for question in candidate.questions if question.kind is not Kind.ITEMS or question.hedge_at is None)
    turn.put(candidate.replace(questions=kept))


def _rebuild(turn: Turn, number: int) -> None:
    """Put the body together if nothing is missing."""
    candidate = turn.state.candidates[number]
    body, facts = candidate.body, candidate.facts
    if not isinstance(body, Assembling) or facts is None:
        return
    items = tuple(data for data in body.found if data is not None)
    made = None
    if body.size <= BODY_BYTES_MAX:  # an outline may name one item many times
        if len(items) != len(body.found):
            return
        with suppress(DecodeError, EncodeError):
            made = rebuild_body(body.frame, items)
    if made is not None and is_body_of(made, facts.body_reference):
        complete(turn, number, made)
        return
    if body.salt is not None:
        # An id may have met another item here: full digests tell. Nobody is to blame so far.
        spare = tuple({item_digest(data): data for data in (*candidate.spare, *items)}.values())
        turn.put(candidate.replace(body=NoOutline(), spare=spare if sum(map(len, spare)) <= BODY_BYTES_MAX else ()))
        _stop_items(turn, number)
        return
    # Every item is what the outline says, and the body is not what the header says.
    turn.put(candidate.replace(body=NoOutline()))
    liar = next(claim for claim in reversed(candidate.claims) if isinstance(claim, OutlineClaim))
    turn.blame(liar.connection_id, liar.peer_id, MISMATCH, "the outline misses the body reference")
    lose_source(turn, number, liar.connection_id)


def take_body(turn: Turn, number: int, connection_id: ConnectionId, body: RawBlockBody) -> None:
    """Take a whole body in, or blame who sent it."""
    candidate = turn.state.candidates[number]
    facts = candidate.facts
    if facts is None:
        raise InvariantViolationError("a body was asked for before there was a header")
    if not is_body_of(body, facts.body_reference):
        expose(turn, number, connection_id, MISMATCH, "the body misses the body reference")
    elif not isinstance(candidate.body, Complete):
        complete(turn, number, body)


def complete(turn: Turn, number: int, body: RawBlockBody) -> None:
    """The body is known: judge what was said of it."""
    candidate = turn.state.candidates[number]
    try:
        parts = split_body(body)
    except DecodeError as error:
        _void(turn, candidate, error)
        return
    _judge(turn, candidate, parts)
    items = turn.state.items
    here = sum(len(data) for data, digest in zip(parts.items, parts.digests, strict=True) if items.get(digest) is not None)
    turn.put(candidate.replace(body=Complete(body, parts, here), claims=(), spare=()))
    for copy in candidate.copies:
        tell_whole(turn, candidate, copy, body)
    run_ahead(turn, number)
    _release(turn, number, is_header_here=bool(candidate.copies))


def come_otherwise(turn: Turn, number: int, body: RawBlockBody, parts: Parts) -> None:
    """The node software has the block already: judge what was said of it, and let go of it; whoever is overdue owes its answer."""
    candidate = turn.state.candidates[number]
    facts = candidate.facts
    if facts is not None and is_body_of(body, facts.body_reference):
        _judge(turn, candidate, parts)
    if isinstance(candidate.body, Complete):
        _learn(turn, candidate.body)  # the node software believes it
    _release(turn, number, is_header_here=True)
    drop(turn, turn.state.candidates[number], None)


def _judge(turn: Turn, candidate: Candidate, parts: Parts) -> None:
    """Blame whoever said what is not true of a body."""
    salt = outline_salt(candidate.state_hash, turn.state.peer_id)
    for claim in candidate.claims:
        if isinstance(claim, ItemClaim):
            is_true = claim.index < len(parts.digests) and parts.digests[claim.index] == claim.digest
        elif claim.outline.id_bytes == DIGEST_BYTES:
            is_true = claim.outline.frame == parts.frame and claim.outline.ids == parts.digests
        else:
            is_true = claim.outline.frame == parts.frame and claim.outline.ids == tuple(short_id(salt, d) for d in parts.digests)
        if not is_true:
            what = f"item {claim.index}" if isinstance(claim, ItemClaim) else "the outline"
            turn.blame(claim.connection_id, claim.peer_id, MISMATCH, f"{what} is not of this block")


def run_ahead(turn: Turn, number: int) -> None:
    """Offer a whole block before its verdict, where this node does so and the block would win."""
    candidate = turn.state.candidates[number]
    facts, body = candidate.facts, candidate.body
    if not turn.state.config.relays_before_verdict or facts is None or not isinstance(body, Complete):
        return
    if turn.state.early is None and candidate.copies and candidate.valid is None and turn.wins(facts):
        hold(turn, Held(facts, candidate.copies[0].header, body.body, body.parts))
        turn.state = turn.state.replace(early=facts.state_hash)
        answer_waiting(turn, facts.state_hash)
        announce(turn)


def offer_again(turn: Turn) -> None:
    """What was offered before its verdict is not any more: offer what else is whole and would win, or the best block."""
    for number, _ in reversed(tuple(turn.state.candidates.items())):
        run_ahead(turn, number)
    announce(turn)


def tell_whole(turn: Turn, candidate: Candidate, copy: Copy, body: RawBlockBody) -> None:
    """Give a block to the node software, as it came together with one of its headers; the verdict may still be open."""
    (connection_id, peer_id), *_ = copy.senders
    block = RawBlock(join_block(copy.header, body))
    turn.out.append(BestTipReceived(connection_id, peer_id, block, candidate.state_hash))


def _void(turn: Turn, candidate: Candidate, error: DecodeError) -> None:
    """What the header promises is no body. Nobody can hold such a block, so whoever said so lied; who was checking it did not."""
    detail = f"the header promises what is no body: {error}"[:DETAIL_CHARS_MAX]
    for connection_id in filter(candidate.is_held_by, candidate.announcers):
        turn.blame(connection_id, turn.state.peers[connection_id].peer_id, ReasonCode.CHANNEL_MSG_UNDECODABLE, detail)
    drop(turn, candidate, Reason(ReasonCode.CHANNEL_MSG_UNDECODABLE, ChannelId.BLOCK, detail))
    losers = (*turn.state.losers, candidate.state_hash)[-turn.state.config.losers_max :]
    turn.state = turn.state.replace(losers=losers)


def _release(turn: Turn, number: int, *, is_header_here: bool) -> None:
    """Questions about the body that are under way serve nobody any more, nor do those about a header that is here; overdue ones are owed."""
    candidate = turn.state.candidates[number]
    kept: list[Question] = []
    for question in candidate.questions:
        if question.kind is Kind.HEADER and not is_header_here:
            kept.append(question)
        elif question.hedge_at is None and not question.is_queued:
            turn.owes(question.connection_id, Owing(question.ticket, question.deadline, question.kind))
        else:
            turn.cancel(question.connection_id, question.ticket)
    turn.put(turn.state.candidates[number].replace(questions=tuple(kept)))


def accept(turn: Turn, candidate: Candidate) -> None:
    """A block is complete and verified: hold it, offer it to others if it is the best, and tell the node software."""
    copy, body, facts = candidate.valid, candidate.body, candidate.facts
    if copy is None or facts is None or not isinstance(body, Complete):
        raise InvariantViolationError("a block was accepted that is not complete")
    _release(turn, candidate.number, is_header_here=True)
    turn.state = turn.state.with_candidate(candidate.number, None)
    turn.keep_unjudged(candidate)
    _learn(turn, body)
    is_best = turn.wins(facts)
    retract(turn, candidate.state_hash)
    if is_best:
        turn.state = turn.state.replace(tip=facts)
        ahead = None if turn.state.early is None else turn.state.holding(turn.state.early)
        if ahead is not None and not turn.wins(ahead.facts):
            retract(turn, ahead.facts.state_hash)
    hold(turn, Held(facts, copy.header, body.body, body.parts))
    answer_waiting(turn, candidate.state_hash)
    if is_best:
        announce(turn)
    asked_at = copy.deadline - turn.state.config.verdict
    turn.end_race(candidate.state_hash, is_taken=True, checked=turn.now - asked_at)
    turn.out.append(BlockReceived(candidate.state_hash, RawBlock(join_block(copy.header, body.body)), is_best))
    turn.settle(candidate, useful=True)


def _learn(turn: Turn, body: Complete) -> None:
    """Keep the items of a block for others, and note how many of them were here. Not before it is valid: made up, it would put out those of the pools."""
    items, total = turn.state.items, sum(map(len, body.parts.items))
    for data in body.parts.items:
        items = items.add(data)
    turn.state = turn.state.replace(items=items)
    if total:
        earlier = (*turn.state.earlier_warmth, turn.state.warmth)[-WARMTHS_MAX:]
        turn.state = turn.state.replace(warmth=body.here * 100 // total, earlier_warmth=earlier)


def condemn(turn: Turn, candidate: Candidate, copy: Copy) -> None:
    """The node software found a copy invalid: whoever sent it lies, whoever sent another of the same hash does not."""
    left = tuple(other for other in candidate.copies if other is not copy)
    turn.put(candidate.replace(copies=left, condemned=(*candidate.condemned, copy.digest)))
    retract(turn, candidate.state_hash)
    if not left:
        answer_waiting(turn, candidate.state_hash)
    run_ahead(turn, candidate.number)
    blame_senders(turn, copy.senders)
    for connection_id, _ in copy.senders:
        if connection_id in turn.state.peers:
            lose_source(turn, candidate.number, connection_id)
    pursue(turn, candidate.number)


def blame_senders(turn: Turn, senders: Iterable[tuple[ConnectionId, PeerId]]) -> None:
    """Blame whoever sent a copy that the node software found invalid."""
    for connection_id, peer_id in senders:
        turn.blame(connection_id, peer_id, ReasonCode.INVALID_MESSAGE, "the node software found the header invalid")

"""Blocks: reducer."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final, assert_never

from mina_p2p.blocks.actions import (
    BlockHeaderReceived,
    BlocksAction,
    BlocksAnswerEnded,
    BlocksAnswerReceived,
    BlocksAnswerReset,
    BlocksCandidateDue,
    BlocksItemKnown,
    BlocksPeerDue,
    BlocksPeerJoined,
    BlocksPeerLeft,
    BlocksQueueDue,
    BlocksRequestCancelled,
    BlocksRequestReceived,
    BlocksTipSet,
    BlocksVerdict,
)
from mina_p2p.blocks.pursuit import (
    blame_senders,
    come_otherwise,
    condemn,
    drop,
    enter,
    expose,
    holds,
    lack_items,
    lose_source,
    offer_again,
    pursue,
    take_body,
    take_items,
    take_outline,
    tell_whole,
)
from mina_p2p.blocks.ranking import Way
from mina_p2p.blocks.serving import announce, checks, decline_overdue, forgets, hold, knows, retract, serve, serve_queue
from mina_p2p.blocks.split import DIGEST_BYTES, RawBlockHeader, split_body
from mina_p2p.blocks.state import (
    USELESS_MAX,
    Asked,
    BlockPeer,
    Blocks,
    Candidate,
    Complete,
    Copy,
    Facts,
    Held,
    Kind,
    NoOutline,
    NotAsked,
    Paused,
    Question,
    Ticket,
    Unsettled,
)
from mina_p2p.blocks.turn import Turn
from mina_p2p.channels.block.messages import (
    BLOCK_MESSAGE,
    AloneRest,
    BlockAnswer,
    BlockBodyItem,
    BlockChecking,
    BlockHash,
    BlockHeaderItem,
    BlockItems,
    BlockMessage,
    BlockNotHeld,
    BlockOutlineItem,
    BlockQueued,
    BlockRequest,
    BodyRest,
    OutlineRest,
    Wants,
)
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import DecodeError
from mina_p2p.ids import ChannelId, ConnectionId, Timestamp
from mina_p2p.mina.hashes import state_hash as hash_of_state
from mina_p2p.store import FollowUps

_FACTS_MAX: Final = 256
_ANSWERS: Final = {Kind.HEADER: BlockHeaderItem, Kind.OUTLINE: BlockOutlineItem, Kind.ITEMS: BlockItems, Kind.BODY: BlockBodyItem}
_facts: Final[dict[bytes, Facts]] = {}
"""Of the headers asked about last, oldest first. Nobody can tell what is remembered, but by the clock."""


def reduce(state: Blocks, action: BlocksAction, now: Timestamp, root: Any) -> tuple[Blocks, FollowUps]:
    """Reduce one action of this slice."""
    turn = Turn(state, now)
    match action:
        case BlocksPeerJoined(connection_id=connection_id, peer_id=peer_id):
            turn.put_peer(connection_id, BlockPeer(peer_id, Paused(now)))
            turn.permit(connection_id)

        case BlocksPeerLeft(connection_id=connection_id):
            _leave(turn, connection_id)

        case BlocksItemKnown(data=data):
            turn.state = state.replace(items=state.items.add(data))

        case BlocksTipSet():
            _own_tip(turn, action)

        case BlocksVerdict():
            _judged(turn, action)

        case BlocksAnswerReceived(connection_id=connection_id, ticket=ticket, frame=frame):
            message = _decoded(turn, connection_id, frame)
            if isinstance(message, BlockRequest):
                turn.end(connection_id, ReasonCode.RESPONSE_KIND_MISMATCH, f"{type(message).__name__} is no answer")
            elif message is not None:
                _answered(turn, connection_id, ticket, message)

        case BlocksAnswerEnded(connection_id=connection_id):
            turn.end(connection_id, ReasonCode.ANSWER_TRUNCATED, "a stream ended without its answer")

        case BlocksAnswerReset(connection_id=connection_id, ticket=ticket):
            _declined(turn, connection_id, ticket)

        case BlocksRequestReceived(connection_id=connection_id, stream=stream, frame=frame):
            message = _decoded(turn, connection_id, frame)
            if isinstance(message, BlockRequest):
                serve(turn, connection_id, stream, message)
            elif message is not None:
                turn.end(connection_id, ReasonCode.CHANNEL_MSG_UNEXPECTED, f"{type(message).__name__} that nobody asked for")

        case BlocksRequestCancelled(connection_id=connection_id, stream=stream):
            peer = state.peers[connection_id]
            waiting = tuple(wait for wait in peer.waiting if wait.stream != stream)
            if len(waiting) < len(peer.waiting):
                turn.put_peer(connection_id, peer.replace(waiting=waiting))
            else:
                told = peer.remote.told if isinstance(peer.remote, NotAsked) else b""
                # What it has not read it was not told; whoever has it after all says so when it is told again.
                turn.put_peer(connection_id, forgets(peer, told).replace(remote=NotAsked(), checks=()))

        case BlocksPeerDue(connection_id=connection_id):
            _peer_due(turn, connection_id)

        case BlocksCandidateDue(candidate=number):
            _candidate_due(turn, number)

        case BlocksQueueDue():
            serve_queue(turn)

        case _:
            assert_never(action)
    if state.early is not None and turn.state.early is None and not isinstance(action, BlocksTipSet):
        offer_again(turn)
    return turn.state, turn.follow_ups


def _decoded(turn: Turn, connection_id: ConnectionId, frame: bytes) -> BlockMessage | None:
    try:
        return BLOCK_MESSAGE.decode(frame)
    except DecodeError as error:
        turn.end(connection_id, ReasonCode.CHANNEL_MSG_UNDECODABLE, str(error))
        return None


def _leave(turn: Turn, connection_id: ConnectionId) -> None:
    peer = turn.state.peers[connection_id]
    for owing in peer.owing:
        turn.close(owing.ticket)
    if isinstance(peer.local, Asked):
        turn.close(peer.local.ticket)
    numbers = [candidate.number for candidate in turn.state.candidates.values() if connection_id in candidate.announcers]
    turn.state = turn.state.with_peer(connection_id, None)
    if connection_id in turn.state.preferred:
        turn.rank()
    for number in numbers:
        lose_source(turn, number, connection_id)
    for number in numbers:
        pursue(turn, number)


def _own_tip(turn: Turn, action: BlocksTipSet) -> None:
    try:
        facts = facts_of(action.header)
        parts = split_body(action.body)
    except DecodeError:
        return
    if turn.state.early is not None:
        retract(turn, turn.state.early)
    items = turn.state.items
    for data in parts.items:
        items = items.add(data)
    turn.state = turn.state.replace(tip=facts, items=items, losers=())
    hold(turn, Held(facts, action.header, action.body, parts, action.is_produced))
    for connection_id, peer in turn.state.peers.items():
        if isinstance(peer.local, Asked) and peer.local.wants is Wants.FULL:
            turn.withdraw(connection_id)  # there is something to make blocks of by now
    announce(turn)
    if (candidate := turn.state.candidate_of(facts.state_hash)) is not None:
        come_otherwise(turn, candidate.number, action.body, parts)


def facts_of(header: RawBlockHeader) -> Facts:
    """What a header says of its block, and its state hash.

    The hash costs milliseconds: the last ones are remembered by the header's bytes, from which they follow.

    :raises DecodeError: no header, or a field of its state is not below the modulus.
    """
    name = blake2b(header, digest_size=32).digest()
    known = _facts.get(name)
    if known is None:
        known = _facts_of(header)
        if len(_facts) >= _FACTS_MAX:
            del _facts[next(iter(_facts))]
        _facts[name] = known
    return known


def _facts_of(header: RawBlockHeader) -> Facts:
    state = header.value.protocol_state
    try:
        digest = hash_of_state(state)
    except ValueError as error:
        raise DecodeError("protocol_state", 0, str(error)) from None
    return Facts(digest, state.previous_state_hash, state.body.consensus_state, state.body.blockchain_state.body_reference)


# --- answers ------------------------------------------------------------------------------------


def _answered(turn: Turn, connection_id: ConnectionId, ticket: Ticket, answer: BlockAnswer) -> None:
    peer, number = turn.state.peers[connection_id], turn.state.tickets.get(ticket)
    if number is None:
        turn.end(connection_id, ReasonCode.CHANNEL_MSG_UNEXPECTED, "a second answer, or one to nothing")
        return
    if number:
        question = next((q for q in turn.state.candidates[number].questions if q.ticket == ticket), None)
        if question is None or question.connection_id != connection_id:
            turn.end(connection_id, ReasonCode.CHANNEL_MSG_UNEXPECTED, "an answer to another peer's question")
            return
        _question_answered(turn, number, question, answer)
    elif isinstance(peer.local, Asked) and peer.local.ticket == ticket:
        _announced(turn, connection_id, peer.local, answer)
    elif isinstance(answer, BlockQueued):
        _still_owed(turn, connection_id, ticket)
    else:
        owed = next((owing for owing in peer.owing if owing.ticket == ticket), None)
        turn.close(ticket)
        turn.put_peer(connection_id, peer.replace(owing=tuple(owing for owing in peer.owing if owing.ticket != ticket)))
        if owed is None or not isinstance(answer, BlockNotHeld | _ANSWERS[owed.kind]):
            turn.end(connection_id, ReasonCode.RESPONSE_KIND_MISMATCH, f"{type(answer).__name__} for what is owed")


def _announced(turn: Turn, connection_id: ConnectionId, asked: Asked, answer: BlockAnswer) -> None:
    """A permission was used."""
    peer, wants = turn.state.peers[connection_id], asked.wants
    turn.close(asked.ticket)
    turn.put_peer(connection_id, peer.replace(local=Paused(turn.after(turn.state.config.interval))))
    match answer:
        case BlockHash(state_hash=state_hash) | BlockChecking(state_hash=state_hash) if wants is Wants.HASH:
            is_checking = isinstance(answer, BlockChecking)
            turn.put_peer(connection_id, (checks if is_checking else knows)(turn.state.peers[connection_id], state_hash))
            way = Way.CHECKING if is_checking else Way.HELD
            turn.arrived(connection_id, state_hash, way, is_new=False)
            if (held := turn.state.holding(state_hash)) is not None and turn.state.is_settled(state_hash):
                turn.tell_tip(connection_id, held.facts)
            elif state_hash not in turn.state.losers:
                candidate = enter(turn, connection_id, state_hash, is_checking=is_checking)
                turn.arrived(connection_id, state_hash, way, is_new=True)
                pursue(turn, candidate.number)
        case BlockHeaderItem(rest=BodyRest(body=body)) if len(body) > asked.body_bytes_max:
            turn.end(connection_id, ReasonCode.CHANNEL_MSG_OVER_PERMISSION, f"a body of {len(body)} bytes came along")
        case BlockHeaderItem() if wants is not Wants.FULL or isinstance(answer.rest, BodyRest):
            # For a hash permission only by who made the block; who says so falsely gets no further than with a hash.
            _header(turn, connection_id, answer, None, Way.GIVEN if wants is Wants.HASH else Way.HELD)
        case _:
            turn.end(connection_id, ReasonCode.RESPONSE_KIND_MISMATCH, f"{type(answer).__name__} for a permission for {wants.name}")


def _question_answered(turn: Turn, number: int, question: Question, answer: BlockAnswer) -> None:
    connection_id, candidate = question.connection_id, turn.state.candidates[number]
    if isinstance(answer, BlockQueued):
        _queued(turn, candidate, question)
        return
    turn.close(question.ticket)
    candidate = candidate.replace(questions=tuple(other for other in candidate.questions if other.ticket != question.ticket))
    if candidate.is_held_by(connection_id):
        others = tuple(pair for pair in candidate.taken if pair[0] != connection_id)
        time = candidate.taken_by(connection_id) + turn.now - question.asked_at
        candidate = candidate.replace(taken=(*others, (connection_id, time)))
    turn.put(candidate if isinstance(answer, BlockNotHeld) else holds(candidate, connection_id))
    match question.kind, answer:
        case _, BlockNotHeld():
            if not lack_items(turn, number, question):
                _let_go(turn, number, connection_id)
                return
        case Kind.HEADER, BlockHeaderItem(rest=BodyRest(body=body)) if len(body) > question.along:
            expose(turn, number, connection_id, ReasonCode.CHANNEL_MSG_OVER_PERMISSION, f"a body of {len(body)} bytes came along")
        case Kind.HEADER, BlockHeaderItem():
            _header(turn, connection_id, answer, candidate.state_hash)
            return
        case Kind.OUTLINE, BlockOutlineItem(outline=outline) if outline.id_bytes == DIGEST_BYTES:
            if isinstance(candidate.body, NoOutline):
                take_outline(turn, number, connection_id, outline)
        case Kind.ITEMS, BlockItems(items=items):
            take_items(turn, number, question, items)
        case Kind.BODY, BlockBodyItem(body=body):
            take_body(turn, number, connection_id, body)
        case _:
            detail = f"{type(answer).__name__} for a question for {question.kind.name}"
            expose(turn, number, connection_id, ReasonCode.RESPONSE_KIND_MISMATCH, detail)
    pursue(turn, number)


def _still_owed(turn: Turn, connection_id: ConnectionId, ticket: Ticket) -> None:
    """What somebody else has given since is put off once more; that is no answer, and not told twice."""
    peer = turn.state.peers[connection_id]
    if any(owing.ticket == ticket and owing.is_queued for owing in peer.owing):
        turn.end(connection_id, ReasonCode.CHANNEL_MSG_UNEXPECTED, "a second place in a queue")
        return
    owing = tuple(owing.replace(is_queued=True) if owing.ticket == ticket else owing for owing in peer.owing)
    turn.put_peer(connection_id, peer.replace(owing=owing))


def _queued(turn: Turn, candidate: Candidate, question: Question) -> None:
    """The answer comes after others: whoever else holds the block may be asked meanwhile."""
    if question.is_queued or question.kind is not Kind.BODY:
        turn.end(question.connection_id, ReasonCode.CHANNEL_MSG_UNEXPECTED, "a place in a queue, for what is not queued")
        return
    queued = question.replace(is_queued=True)
    questions = tuple(queued if other.ticket == question.ticket else other for other in candidate.questions)
    turn.put(holds(candidate, question.connection_id).replace(questions=questions))
    pursue(turn, candidate.number)


def _header(turn: Turn, connection_id: ConnectionId, item: BlockHeaderItem, expected: bytes | None, way: Way = Way.HELD) -> None:
    """A header came, for a permission or for the question for that hash."""
    peer, digest = turn.state.peers[connection_id], blake2b(item.header, digest_size=32).digest()
    try:
        facts = facts_of(item.header)
    except DecodeError as error:
        turn.end(connection_id, ReasonCode.CHANNEL_MSG_UNDECODABLE, str(error))
        return
    if expected is not None and facts.state_hash != expected:
        number = turn.state.by_hash.get(expected)
        if number is not None:
            expose(turn, number, connection_id, ReasonCode.RESPONSE_HASH_MISMATCH, "a header of another block")
            pursue(turn, number)
        return
    turn.put_peer(connection_id, knows(peer, facts.state_hash))
    turn.tell_tip(connection_id, facts)
    if expected is None:
        turn.arrived(connection_id, facts.state_hash, way, is_new=False)
    if turn.state.is_settled(facts.state_hash) or facts.state_hash in turn.state.losers:
        return
    candidate = enter(turn, connection_id, facts.state_hash)
    if expected is None:
        turn.arrived(connection_id, facts.state_hash, way, is_new=True)
    if not turn.wins(facts):
        peer = turn.state.peers[connection_id]
        turn.put_peer(connection_id, peer.replace(useless=min(peer.useless + 1, USELESS_MAX)))
        drop(turn, candidate, None)
        return
    turn.put_peer(connection_id, turn.state.peers[connection_id].replace(useless=0))
    if digest in candidate.condemned:
        expose(turn, candidate.number, connection_id, ReasonCode.INVALID_MESSAGE, "a header that was found invalid before")
        pursue(turn, candidate.number)
        return
    _add_copy(turn, candidate, item.header, digest, facts, connection_id)
    number = candidate.number
    body = turn.state.candidates[number].body
    match item.rest:
        case BodyRest(body=whole):
            take_body(turn, number, connection_id, whole)
        case OutlineRest(outline=outline) if isinstance(body, NoOutline) and not turn.state.is_cold:
            take_outline(turn, number, connection_id, outline)
        case OutlineRest() | AloneRest():
            pass
    pursue(turn, number)
    announce(turn)


def _add_copy(turn: Turn, candidate: Candidate, header: RawBlockHeader, digest: bytes, facts: Facts, connection_id: ConnectionId) -> None:
    sender = connection_id, turn.state.peers[connection_id].peer_id
    copies: list[Copy] = []
    for copy in candidate.copies:
        is_same = copy.digest == digest and sender not in copy.senders
        copies.append(copy.replace(senders=(*copy.senders, sender)) if is_same else copy)
    if not any(copy.digest == digest for copy in copies):
        verdict_id = turn.next_verdict()
        deadline = turn.after(turn.state.config.verdict)
        copy = Copy(header, digest, (sender,), verdict_id, deadline)
        copies.append(copy)
        turn.out.append(BlockHeaderReceived(verdict_id, facts.state_hash, header, *sender, deadline))
        if isinstance(candidate.body, Complete):
            tell_whole(turn, candidate, copy, candidate.body.body)
    if candidate.facts is None:
        for announcer in candidate.announcers:
            if announcer != connection_id:
                turn.tell_tip(announcer, facts)
    # A header is here: questions for one serve nobody but a cold node, whom they bring the body; whoever is overdue stays so.
    kept: list[Question] = []
    tried = candidate.tried
    for question in candidate.questions:
        is_coming = turn.state.is_cold and candidate.is_held_by(question.connection_id)
        if question.kind is Kind.HEADER and question.hedge_at is not None and not is_coming:
            turn.cancel(question.connection_id, question.ticket)
            tried = tuple(one for one in tried if one != (Kind.HEADER, question.connection_id))
        else:
            kept.append(question)
    turn.put(candidate.replace(copies=tuple(copies), facts=facts, questions=tuple(kept), tried=tried))


def _declined(turn: Turn, connection_id: ConnectionId, ticket: Ticket) -> None:
    """The peer gave up a stream of ours."""
    peer, number = turn.state.peers[connection_id], turn.state.tickets[ticket]
    turn.close(ticket)
    if number:
        candidate = turn.state.candidates[number]
        turn.put(candidate.replace(questions=tuple(question for question in candidate.questions if question.ticket != ticket)))
        _let_go(turn, number, connection_id)
    elif isinstance(peer.local, Asked) and peer.local.ticket == ticket:
        turn.pause(connection_id)
    else:
        turn.put_peer(connection_id, peer.replace(owing=tuple(owing for owing in peer.owing if owing.ticket != ticket)))


def _let_go(turn: Turn, number: int, connection_id: ConnectionId) -> None:
    """A peer no longer helps with a candidate, which is its right."""
    for question in turn.state.candidates[number].questions:
        if question.connection_id == connection_id:
            turn.cancel(connection_id, question.ticket)
    lose_source(turn, number, connection_id)
    # It does not have the block: should this node come to hold it, the peer is told.
    turn.put_peer(connection_id, forgets(turn.state.peers[connection_id], turn.state.candidates[number].state_hash))
    if turn.state.peers[connection_id].local == Unsettled(number):
        turn.pause(connection_id)
    pursue(turn, number)


# --- verdicts and time ------------------------------------------------------------------------


def _judged(turn: Turn, action: BlocksVerdict) -> None:
    late = next((one for one in turn.state.unjudged if one.verdict_id == action.verdict_id), None)
    if late is not None:
        turn.state = turn.state.replace(unjudged=tuple(one for one in turn.state.unjudged if one is not late))
        if not action.is_valid:
            blame_senders(turn, late.senders)
        return
    for candidate in turn.state.candidates.values():
        for copy in candidate.copies:
            if copy.verdict_id != action.verdict_id:
                continue
            if not action.is_valid:
                condemn(turn, candidate, copy)
                return
            copies = tuple(other.replace(verdict_id=None) if other is copy else other for other in candidate.copies)
            turn.put(candidate.replace(copies=copies))
            pursue(turn, candidate.number)
            return


def _peer_due(turn: Turn, connection_id: ConnectionId) -> None:
    peer = turn.state.peers[connection_id]
    if any(owing.deadline <= turn.now for owing in peer.owing):
        kept = tuple(owing for owing in peer.owing if owing.deadline > turn.now)
        for owing in peer.owing:
            if owing.deadline <= turn.now:
                turn.close(owing.ticket)
        turn.put_peer(connection_id, peer.replace(owing=kept))
        turn.end(connection_id, ReasonCode.CHANNEL_TIMEOUT, "announced a block and did not deliver")
        return
    decline_overdue(turn, connection_id)
    match peer.local:
        case Asked(deadline=deadline) if deadline <= turn.now:
            turn.withdraw(connection_id)
        case Paused(deadline=deadline) if deadline <= turn.now:
            turn.permit(connection_id)
        case _:
            pass


def _candidate_due(turn: Turn, number: int) -> None:
    candidate, now = turn.state.candidates[number], turn.now
    for question in candidate.questions:
        if question.deadline <= now:
            turn.cancel(question.connection_id, question.ticket)
            detail = f"announced a block and did not deliver its {question.kind.name.lower()}"
            turn.end(question.connection_id, ReasonCode.CHANNEL_TIMEOUT, detail)
            lose_source(turn, number, question.connection_id)
    candidate = turn.state.candidates[number]
    if candidate.gives_up_at <= now:
        drop(turn, candidate, Reason(ReasonCode.CHANNEL_TIMEOUT, ChannelId.BLOCK, "not complete and verified in time"))
        return
    questions = tuple(
        question.replace(hedge_at=None) if question.hedge_at is not None and question.hedge_at <= now else question
        for question in candidate.questions
    )
    copies = tuple(copy for copy in candidate.copies if copy.verdict_id is None or copy.deadline > now)
    turn.put(candidate.replace(questions=questions, copies=copies))
    if candidate.copies and not copies:
        # A verdict that never came says nothing of the copy, nor of who sent it.
        drop(turn, turn.state.candidates[number], Reason(ReasonCode.CHANNEL_TIMEOUT, ChannelId.BLOCK, "the node software gave no verdict"))
        return
    if questions != candidate.questions:
        _free_checking(turn, turn.state.candidates[number])
    pursue(turn, number)


def _free_checking(turn: Turn, candidate: Candidate) -> None:
    """Let peers that are still checking a block announce another, since this one is late: somebody may withhold it from all of us."""
    for connection_id in candidate.checking:
        if turn.state.peers[connection_id].local == Unsettled(candidate.number):
            turn.permit(connection_id)

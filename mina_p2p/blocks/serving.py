"""What peers are sent: announcements of the best block, and what they ask for of blocks that are held."""

from __future__ import annotations

from itertools import pairwise

from mina_p2p.blocks.split import full_outline, short_outline
from mina_p2p.blocks.state import HAS_MAX, BlockPeer, Held, NotAsked, Permitted, Served, Waiting
from mina_p2p.blocks.turn import FULL_BYTES_MAX, Turn
from mina_p2p.channels.block.messages import (
    BLOCK_MESSAGE,
    HEADER_BYTES_MAX,
    OUTLINE_BYTES_MAX,
    AloneRest,
    BlockAnswer,
    BlockBodyItem,
    BlockChecking,
    BlockGetBody,
    BlockGetHeader,
    BlockGetItems,
    BlockGetNext,
    BlockGetOutline,
    BlockHash,
    BlockHeaderItem,
    BlockItems,
    BlockNotHeld,
    BlockOutlineItem,
    BlockQueued,
    BlockRequest,
    BodyRest,
    OutlineRest,
    Wants,
)
from mina_p2p.disconnection.reasons import ReasonCode, StreamResetCode
from mina_p2p.ids import SECOND, ConnectionId, StreamId, Timestamp
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulStreamReset


def hold(turn: Turn, held: Held) -> None:
    """Keep a block to serve it; of the others the oldest goes, but for the best one and one that is offered early."""
    state, name = turn.state, held.facts.state_hash
    kept = [*(other for other in state.held if other.facts.state_hash != name), held]
    offered = {name, state.early, None if state.tip is None else state.tip.state_hash}
    old = [other for other in kept if other.facts.state_hash not in offered][: max(0, len(kept) - state.config.held_max)]
    turn.state = state.replace(held=tuple(other for other in kept if other not in old))


def retract(turn: Turn, state_hash: bytes) -> None:
    """Hold a block no longer that was offered before its verdict."""
    if turn.state.early == state_hash:
        held = tuple(other for other in turn.state.held if other.facts.state_hash != state_hash)
        turn.state = turn.state.replace(early=None, held=held)


def knows(peer: BlockPeer, state_hash: bytes) -> BlockPeer:
    """With a block as one that the peer has."""
    return peer if state_hash in peer.has else peer.replace(has=(*peer.has, state_hash)[-HAS_MAX:])


def checks(peer: BlockPeer, state_hash: bytes) -> BlockPeer:
    """With a block as one that the peer is checking: it is told once this node holds it, since nobody else may give it to the peer."""
    return peer if state_hash in peer.checks else peer.replace(checks=(*peer.checks, state_hash)[-HAS_MAX:])


def forgets(peer: BlockPeer, state_hash: bytes) -> BlockPeer:
    """With a block as one that the peer neither has nor checks."""
    has, checked = (tuple(name for name in names if name != state_hash) for names in (peer.has, peer.checks))
    return peer.replace(has=has, checks=checked)


def announce(turn: Turn) -> None:
    """Use every permission that waits, of peers that do not have the best block, or the one that is being checked."""
    checked = _checked(turn)
    for connection_id in turn.state.peers.keys():  # noqa: SIM118 - a table's keys are in order
        _offer(turn, connection_id, checked)


def _offer(turn: Turn, connection_id: ConnectionId, checked: bytes | None) -> None:
    """Announce the best block to a peer that waits for one and does not have it; else one that is being checked."""
    peer, tip = turn.state.peers[connection_id], turn.state.tip
    best = turn.state.early or (None if tip is None else tip.state_hash)
    held = None if best is None else turn.state.holding(best)
    permission = peer.remote
    if not isinstance(permission, Permitted):
        return
    # Who is checking it has its header: it needs no more than the hash.
    is_known = held is not None and held.facts.state_hash in (peer.has if permission.wants is Wants.HASH else (*peer.has, *peer.checks))
    if held is None or is_known:
        if permission.wants is Wants.HASH and checked is not None and checked not in (*peer.has, *peer.checks):
            turn.put_peer(connection_id, knows(peer, checked).replace(remote=NotAsked(permission.stream, checked)))
            _send(turn, connection_id, permission.stream, BlockChecking(checked))
        return
    answer: BlockAnswer
    match permission.wants:
        case Wants.HASH if not held.is_produced:
            answer = BlockHash(held.facts.state_hash)
        case Wants.HASH | Wants.HEADER:
            answer = _header(turn, held, peer, permission.body_bytes_max)
        case Wants.FULL:
            answer = BlockHeaderItem(held.header, BodyRest(held.body))
    told, frame = held.facts.state_hash, BLOCK_MESSAGE.encode(answer)
    if isinstance(answer, BlockHeaderItem):
        peer, fits = _charged(turn, peer, held, len(frame))
        if not fits:
            return  # it has had its share of this block, however often it says that it did not read it
    turn.put_peer(connection_id, knows(peer, told).replace(remote=NotAsked(permission.stream, told)))
    _send_frame(turn, connection_id, permission.stream, frame)


def _checked(turn: Turn) -> bytes | None:
    """The state hash of the last block that is being checked, where such a block is announced."""
    if not turn.state.config.announces_while_checking:
        return None
    newest = (candidate for _, candidate in reversed(tuple(turn.state.candidates.items())) if candidate.is_checked)
    return next((candidate.state_hash for candidate in newest if candidate.facts is not None and turn.wins(candidate.facts)), None)


def _header(turn: Turn, held: Held, peer: BlockPeer, body_bytes_max: int) -> BlockHeaderItem:
    config = turn.state.config
    if len(held.body) <= (min(body_bytes_max, config.body_along_max) if _is_busy(turn, config.along_ahead) else body_bytes_max):
        return BlockHeaderItem(held.header, BodyRest(held.body))
    made = BlockHeaderItem(held.header, OutlineRest(short_outline(held.parts, held.facts.state_hash, peer.peer_id)))
    # Measured, since a status may have any length.
    return made if len(BLOCK_MESSAGE.encode(made)) <= HEADER_BYTES_MAX else BlockHeaderItem(held.header, AloneRest())


def _send(turn: Turn, connection_id: ConnectionId, stream: StreamId, answer: BlockAnswer, *, ends: bool = True) -> None:
    _send_frame(turn, connection_id, stream, BLOCK_MESSAGE.encode(answer), ends=ends)


def _send_frame(turn: Turn, connection_id: ConnectionId, stream: StreamId, frame: bytes, *, ends: bool = True) -> None:
    if rate := turn.state.config.link_bytes_per_second:
        free_at = Timestamp(max(turn.now, turn.state.link_free_at) + len(frame) * SECOND // rate)
        turn.state = turn.state.replace(link_free_at=free_at)
    turn.out.append(ChannelsEffectfulAnswerSend(connection_id, stream, (frame,), ends))


def _is_busy(turn: Turn, ahead: int) -> bool:
    """Whether a body had better not be sent: all that was sent takes this node's own connection longer than that."""
    return turn.state.link_free_at > turn.now + ahead


def _enqueue(turn: Turn, connection_id: ConnectionId, asked: Waiting) -> None:
    """Let a question wait until those before it are answered, and say so."""
    peer, place = turn.state.peers[connection_id], turn.state.last_place + 1
    if len(peer.waiting) >= turn.state.config.questions_waiting_max:
        turn.put_peer(connection_id, forgets(peer, asked.question.state_hash))
        _send(turn, connection_id, asked.stream, BlockNotHeld())
        return
    turn.put_peer(connection_id, peer.replace(waiting=(*peer.waiting, asked.replace(place=place, is_told=True))))
    turn.state = turn.state.replace(last_place=place)
    if not asked.is_told:
        _send(turn, connection_id, asked.stream, BlockQueued(), ends=False)
    if turn.state.queue_due_at is None:
        turn.state = turn.state.with_queue_due(_queue_due(turn))


def _queue_due(turn: Turn) -> Timestamp:
    return Timestamp(max(turn.now, turn.state.link_free_at - turn.state.config.send_ahead))


def serve_queue(turn: Turn) -> None:
    """Answer those who have waited longest, as far as there is room."""
    turn.state = turn.state.with_queue_due(None)
    queue = [(wait.place, cid, wait) for cid, peer in turn.state.peers.items() for wait in peer.waiting if wait.place is not None]
    for place, connection_id, wait in sorted(queue, key=lambda entry: entry[0]):
        if _is_busy(turn, turn.state.config.send_ahead):
            turn.state = turn.state.with_queue_due(_queue_due(turn))
            return
        peer = turn.state.peers[connection_id]
        turn.put_peer(connection_id, peer.replace(waiting=tuple(other for other in peer.waiting if other.place != place)))
        _answer(turn, connection_id, wait)


def serve(turn: Turn, connection_id: ConnectionId, stream: StreamId, request: BlockRequest) -> None:
    """Answer a request, or keep a permission until there is something to announce."""
    if isinstance(request, BlockGetNext):
        _permit(turn, connection_id, Permitted(stream, request.wants, request.body_bytes_max))
    else:
        _answer(turn, connection_id, Waiting(stream, request, turn.after(turn.state.config.question_waiting)))


def _answer(turn: Turn, connection_id: ConnectionId, asked: Waiting) -> None:
    """Answer a question, or let it wait."""
    peer = turn.state.peers[connection_id]
    stream, question = asked.stream, asked.question
    held = turn.state.holding(question.state_hash)
    if held is None:
        _not_held(turn, connection_id, asked)
        return
    if isinstance(question, BlockGetBody) and _is_busy(turn, turn.state.config.send_ahead):
        _enqueue(turn, connection_id, asked)
        return
    answer: BlockAnswer = BlockNotHeld()
    match question:
        case BlockGetHeader(body_bytes_max=body_bytes_max):
            answer = _header(turn, held, peer, body_bytes_max)
        case BlockGetOutline():
            answer = BlockOutlineItem(full_outline(held.parts))
        case BlockGetBody():
            answer = BlockBodyItem(held.body)
        case BlockGetItems(indexes=indexes):
            items = held.parts.items
            if not indexes or any(a >= b for a, b in pairwise(indexes)):
                turn.end(connection_id, ReasonCode.CHANNEL_MSG_UNDECODABLE, "places that are not ascending")
                return
            if indexes[-1] < len(items):
                answer = BlockItems(tuple(items[index] for index in indexes))
    frame = BLOCK_MESSAGE.encode(answer)
    bytes_max = OUTLINE_BYTES_MAX if isinstance(question, BlockGetOutline) else FULL_BYTES_MAX
    peer, fits = _charged(turn, peer, held, len(frame))
    fits = fits and len(frame) <= bytes_max
    # Whom this node does not give what it asks for, it announces the block anew: nobody else may.
    is_given = fits and not isinstance(answer, BlockNotHeld)
    turn.put_peer(connection_id, (knows if is_given else forgets)(peer, question.state_hash))
    _send_frame(turn, connection_id, stream, frame if fits else BLOCK_MESSAGE.encode(BlockNotHeld()))


def _not_held(turn: Turn, connection_id: ConnectionId, asked: Waiting) -> None:
    """Keep a question about a block that is being checked, of a peer that was told of it; decline any other."""
    peer, name = turn.state.peers[connection_id], asked.question.state_hash
    candidate, config = turn.state.candidate_of(name), turn.state.config
    is_told = candidate is not None and candidate.is_checked and name in peer.has and not candidate.is_held_by(connection_id)
    if is_told and len(peer.waiting) < config.questions_waiting_max:
        turn.put_peer(connection_id, peer.replace(waiting=(*peer.waiting, asked.replace(place=None))))
        return
    # Should this node come to hold it, the peer is told anew.
    turn.put_peer(connection_id, forgets(peer, name))
    _send(turn, connection_id, asked.stream, BlockNotHeld())


def answer_waiting(turn: Turn, state_hash: bytes) -> None:
    """Answer the questions that waited for what comes of a block: it is held now, or given up."""
    for connection_id, peer in turn.state.peers.items():
        waiting = [wait for wait in peer.waiting if wait.question.state_hash == state_hash and wait.place is None]
        if waiting:
            turn.put_peer(connection_id, peer.replace(waiting=tuple(wait for wait in peer.waiting if wait not in waiting)))
            for wait in waiting:
                _answer(turn, connection_id, wait)


def decline_overdue(turn: Turn, connection_id: ConnectionId) -> None:
    """Say no to a peer's questions that have waited too long."""
    peer = turn.state.peers[connection_id]
    overdue = [wait for wait in peer.waiting if wait.deadline <= turn.now]
    for wait in overdue:
        peer = forgets(peer, wait.question.state_hash)
        _send(turn, connection_id, wait.stream, BlockNotHeld())
    turn.put_peer(connection_id, peer.replace(waiting=tuple(wait for wait in peer.waiting if wait not in overdue)))


def _permit(turn: Turn, connection_id: ConnectionId, permission: Permitted) -> None:
    """Take a permission, unless one on a later stream is known: streams overtake each other, and the latest counts (`mina_p2p.channels.overtaking`)."""
    peer = turn.state.peers[connection_id]
    before = peer.remote.stream if isinstance(peer.remote, Permitted) else peer.remote.answered
    if before is not None and permission.stream < before:
        _give_up(turn, connection_id, permission.stream)
        return
    if isinstance(peer.remote, Permitted):
        if permission.stream == before:
            turn.end(connection_id, ReasonCode.CHANNEL_MSG_UNEXPECTED, "a second permission beside one that is unused")
            return
        _give_up(turn, connection_id, peer.remote.stream)
        peer = peer.replace(checks=())  # it wants to hear of what it could not have
    turn.put_peer(connection_id, peer.replace(remote=permission))
    _offer(turn, connection_id, _checked(turn))


def _give_up(turn: Turn, connection_id: ConnectionId, stream: StreamId) -> None:
    turn.out.append(ChannelsEffectfulStreamReset(connection_id, stream, StreamResetCode.CANCELLED))


def _charged(turn: Turn, peer: BlockPeer, held: Held, size: int) -> tuple[BlockPeer, bool]:
    """With what a peer was sent of a block, and whether it may be sent that much more."""
    state_hash, config = held.facts.state_hash, turn.state.config
    sent = next((served.bytes_sent for served in peer.served if served.state_hash == state_hash), 0)
    if sent + size > config.serve_factor * held.size:
        return peer, False
    others = tuple(served for served in peer.served if served.state_hash != state_hash)
    return peer.replace(served=(*others, Served(state_hash, sent + size))[-config.held_max :]), True

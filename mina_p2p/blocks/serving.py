"""What peers are sent: announcements of the best block, and what they ask for of blocks that are held."""

from __future__ import annotations

from itertools import pairwise

from mina_p2p.blocks.split import full_outline, short_outline
from mina_p2p.blocks.state import HAS_MAX, BlockPeer, Held, NotAsked, Permitted, Served, Waiting
from mina_p2p.blocks.turn import Turn
from mina_p2p.channels.block.messages import (
    BLOCK_MESSAGE,
    HEADER_BYTES_MAX,
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
    BlockQuestion,
    BlockRequest,
    BodyRest,
    OutlineRest,
    Wants,
)
from mina_p2p.disconnection.reasons import ReasonCode, StreamResetCode
from mina_p2p.ids import ConnectionId, StreamId
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulStreamReset


def hold(turn: Turn, held: Held) -> None:
    """Keep a block to serve it."""
    others = tuple(other for other in turn.state.held if other.facts.state_hash != held.facts.state_hash)
    turn.state = turn.state.replace(held=(*others, held)[-turn.state.config.held_max :])


def retract(turn: Turn, state_hash: bytes) -> None:
    """Hold a block no longer that was offered before its verdict."""
    if turn.state.early == state_hash:
        held = tuple(other for other in turn.state.held if other.facts.state_hash != state_hash)
        turn.state = turn.state.replace(early=None, held=held)


def knows(peer: BlockPeer, state_hash: bytes) -> BlockPeer:
    """With a block as one that the peer has."""
    return peer if state_hash in peer.has else peer.replace(has=(*peer.has, state_hash)[-HAS_MAX:])


def forgets(peer: BlockPeer, state_hash: bytes) -> BlockPeer:
    """With a block as one that the peer does not have."""
    return peer.replace(has=tuple(name for name in peer.has if name != state_hash))


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
    if held is None or held.facts.state_hash in peer.has:
        if permission.wants is Wants.HASH and checked is not None and checked not in peer.has:
            turn.put_peer(connection_id, knows(peer, checked).replace(remote=NotAsked(permission.stream, checked)))
            _send(turn, connection_id, permission.stream, BlockChecking(checked))
        return
    answer: BlockAnswer
    match permission.wants:
        case Wants.HASH if not held.is_produced:
            answer = BlockHash(held.facts.state_hash)
        case Wants.HASH | Wants.HEADER:
            answer = _header(held, peer, permission.body_bytes_max)
        case Wants.FULL:
            answer = BlockHeaderItem(held.header, BodyRest(held.body))
    told = held.facts.state_hash
    turn.put_peer(connection_id, knows(peer, told).replace(remote=NotAsked(permission.stream, told)))
    _send(turn, connection_id, permission.stream, answer)


def _checked(turn: Turn) -> bytes | None:
    """The state hash of the last block that is being checked, where such a block is announced."""
    if not turn.state.config.announces_while_checking:
        return None
    newest = (candidate for _, candidate in reversed(tuple(turn.state.candidates.items())) if candidate.is_checked)
    return next((candidate.state_hash for candidate in newest if candidate.facts is not None and turn.wins(candidate.facts)), None)


def _header(held: Held, peer: BlockPeer, body_bytes_max: int) -> BlockHeaderItem:
    if len(held.body) <= body_bytes_max:
        return BlockHeaderItem(held.header, BodyRest(held.body))
    along = OutlineRest(short_outline(held.parts, held.facts.state_hash, peer.peer_id))
    made = BlockHeaderItem(held.header, along)
    is_small = len(held.header) + 64 + len(along.outline.id_string) + 16 * len(held.parts.items) <= HEADER_BYTES_MAX
    return made if is_small else BlockHeaderItem(held.header, AloneRest())


def _send(turn: Turn, connection_id: ConnectionId, stream: StreamId, answer: BlockAnswer) -> None:
    turn.out.append(ChannelsEffectfulAnswerSend(connection_id, stream, (BLOCK_MESSAGE.encode(answer),), True))


def serve(turn: Turn, connection_id: ConnectionId, stream: StreamId, request: BlockRequest) -> None:
    """Answer a request, or keep a permission until there is something to announce."""
    peer = turn.state.peers[connection_id]
    if isinstance(request, BlockGetNext):
        _permit(turn, connection_id, peer, Permitted(stream, request.wants, request.body_bytes_max))
        return
    held = turn.state.holding(request.state_hash)
    if held is None:
        _not_held(turn, connection_id, stream, request)
        return
    answer: BlockAnswer = BlockNotHeld()
    match request:
        case BlockGetHeader(body_bytes_max=body_bytes_max):
            answer = _header(held, peer, body_bytes_max)
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
    peer, fits = _charged(turn, peer, held, len(BLOCK_MESSAGE.encode(answer)))
    turn.put_peer(connection_id, knows(peer, request.state_hash) if fits else peer)
    _send(turn, connection_id, stream, answer if fits else BlockNotHeld())


def _not_held(turn: Turn, connection_id: ConnectionId, stream: StreamId, question: BlockQuestion) -> None:
    """Keep a question about a block that is being checked, of a peer that was told of it; decline any other."""
    peer, name = turn.state.peers[connection_id], question.state_hash
    candidate, config = turn.state.candidate_of(name), turn.state.config
    is_told = candidate is not None and candidate.is_checked and name in peer.has and not candidate.is_held_by(connection_id)
    if is_told and len(peer.waiting) < config.questions_waiting_max:
        waiting = Waiting(stream, question, turn.after(config.question_waiting))
        turn.put_peer(connection_id, peer.replace(waiting=(*peer.waiting, waiting)))
        return
    # Should this node come to hold it, the peer is told anew.
    turn.put_peer(connection_id, forgets(peer, name))
    _send(turn, connection_id, stream, BlockNotHeld())


def answer_waiting(turn: Turn, state_hash: bytes) -> None:
    """Answer the questions that waited for what comes of a block: it is held now, or given up."""
    for connection_id, peer in turn.state.peers.items():
        waiting = [wait for wait in peer.waiting if wait.question.state_hash == state_hash]
        if waiting:
            turn.put_peer(connection_id, peer.replace(waiting=tuple(wait for wait in peer.waiting if wait not in waiting)))
            for wait in waiting:
                serve(turn, connection_id, wait.stream, wait.question)


def decline_overdue(turn: Turn, connection_id: ConnectionId) -> None:
    """Say no to a peer's questions that have waited too long."""
    peer = turn.state.peers[connection_id]
    overdue = [wait for wait in peer.waiting if wait.deadline <= turn.now]
    for wait in overdue:
        peer = forgets(peer, wait.question.state_hash)
        _send(turn, connection_id, wait.stream, BlockNotHeld())
    turn.put_peer(connection_id, peer.replace(waiting=tuple(wait for wait in peer.waiting if wait not in overdue)))


def _permit(turn: Turn, connection_id: ConnectionId, peer: BlockPeer, permission: Permitted) -> None:
    """Take a permission, unless one on a later stream is known: streams overtake each other, and the latest counts (`mina_p2p.channels.overtaking`)."""
    before = peer.remote.stream if isinstance(peer.remote, Permitted) else peer.remote.answered
    if before is not None and permission.stream < before:
        _give_up(turn, connection_id, permission.stream)
        return
    if isinstance(peer.remote, Permitted):
        if permission.stream == before:
            turn.end(connection_id, ReasonCode.CHANNEL_MSG_UNEXPECTED, "a second permission beside one that is unused")
            return
        _give_up(turn, connection_id, peer.remote.stream)
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

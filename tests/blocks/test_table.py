"""Every state and every input of the slice: what becomes of the peer and its block, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, get_args

import pytest

from blocks.expected import EXPECTED
from blocks.lab import ME, Lab, chain
from mina_p2p.blocks.actions import (
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
    BlocksRequestSend,
    BlocksVerdict,
)
from mina_p2p.blocks.split import full_outline, short_outline
from mina_p2p.blocks.state import Body, LocalHalf, Permitted, RemoteHalf, Ticket
from mina_p2p.channels.block.messages import (
    BLOCK_MESSAGE,
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
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, RequestId, StreamId, Timestamp
from mina_p2p.transport import ChannelsEffectfulAnswerSend

GENESIS, FIRST, _, LAST = chain()
ONE = ConnectionId(1)
SALTED = short_outline(LAST.parts, LAST.state_hash, ME)
REFUSED = "-"
LATE = 10_000_000_000_000


def _warm(*others: int) -> Lab:
    return Lab(tip=GENESIS).join(1, *others)


def _hash_only() -> Lab:
    return Lab(tip=GENESIS).join(2, 3, 4, 1)


def _assembling() -> Lab:
    return _warm().answer(1, BlockGetNext, BlockHeaderItem(LAST.header, OutlineRest(SALTED)))


def _no_outline() -> Lab:
    return _warm().answer(1, BlockGetNext, BlockHeaderItem(LAST.header, AloneRest()))


def _disputed() -> Lab:
    lab = Lab(tip=GENESIS).join(2, 3, 4, 1)
    lab.answer(1, BlockGetNext, BlockHash(LAST.state_hash))
    lab.answer(2, BlockGetNext, BlockHeaderItem(LAST.header, OutlineRest(SALTED)))
    request = next(request for _, request in lab.requests(1) if isinstance(request, BlockGetItems))
    lab.answer(1, BlockGetItems, BlockItems(tuple(b"wrong" for _ in request.indexes)))
    return lab if lab.has_asked(1, BlockGetBody) else lab.answer(2, BlockGetBody, BlockNotHeld())


def _complete() -> Lab:
    lab = _warm().know(LAST)
    return lab.answer(1, BlockGetNext, BlockHeaderItem(LAST.header, OutlineRest(SALTED)))


def _paused() -> Lab:
    return _warm().answer(1, BlockGetNext, BlockHeaderItem(GENESIS.header, AloneRest()))


def _owing() -> Lab:
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).know(LAST, *range(1, len(LAST.parts.items)))
    lab.answer(1, BlockGetNext, BlockHeaderItem(LAST.header, OutlineRest(SALTED))).verdict()
    lab.answer(4, BlockGetNext, BlockHash(LAST.state_hash)).wait(lab.blocks.config.hedge)
    return lab.answer(4, BlockGetItems, BlockItems((LAST.parts.items[0],)))


def _asked_early() -> Lab:
    """The peer was told of a block that is being checked, and its question waits."""
    lab = _hash_only().ask(1, BlockGetNext(Wants.HASH, 0)).ask(1, BlockGetNext(Wants.HASH, 0))
    lab.answer(2, BlockGetNext, BlockHeaderItem(LAST.header, OutlineRest(SALTED)))
    return lab.ask(1, BlockGetHeader(LAST.state_hash, 0))


def _wants_body() -> Lab:
    """Next to nothing of blocks is here."""
    lab = Lab(tip=GENESIS, is_cold=True).join(1)
    return lab.answer(1, BlockGetNext, BlockHeaderItem(LAST.header, AloneRest()))


def _in_queue() -> Lab:
    """The peer waits for a body until another is sent to somebody else."""
    lab = Lab(tip=GENESIS, link_bytes_per_second=len(GENESIS.body)).join(1, 2)
    return lab.ask(2, BlockGetBody(GENESIS.state_hash)).ask(1, BlockGetBody(GENESIS.state_hash))


STATES: dict[str, Callable[[], Lab]] = {
    "nobody": lambda: Lab(tip=GENESIS),
    "asked for a header": _warm,
    "asked for a hash": _hash_only,
    "asked for a block": lambda: Lab(is_cold=True).join(1),
    "permits a hash": lambda: _warm().ask(1, BlockGetNext(Wants.HASH, 0)).ask(1, BlockGetNext(Wants.HASH, 0)),
    "paused": _paused,
    "question waits": _asked_early,
    "no header": lambda: _hash_only().answer(1, BlockGetNext, BlockHash(LAST.state_hash)),
    "no outline": _no_outline,
    "assembling": _assembling,
    "assembling, header valid": lambda: _assembling().verdict(),
    "whole wanted": _disputed,
    "complete": _complete,
    "owing": _owing,
    "wants a body": _wants_body,
    "waits for a body in a queue": lambda: _wants_body().answer(1, BlockGetBody, BlockQueued()),
    "in our queue": _in_queue,
}

ANSWERS: dict[str, BlockAnswer] = {
    "hash": BlockHash(LAST.state_hash),
    "header": BlockHeaderItem(LAST.header, OutlineRest(SALTED)),
    "block": BlockHeaderItem(LAST.header, BodyRest(LAST.body)),
    "other header": BlockHeaderItem(FIRST.header, AloneRest()),
    "outline": BlockOutlineItem(full_outline(LAST.parts)),
    "other outline": BlockOutlineItem(full_outline(FIRST.parts)),
    "items": BlockItems(LAST.parts.items),
    "other items": BlockItems(tuple(b"other" for _ in LAST.parts.items)),
    "body": BlockBodyItem(LAST.body),
    "other body": BlockBodyItem(FIRST.body),
    "not held": BlockNotHeld(),
    "checking": BlockChecking(LAST.state_hash),
    "queued": BlockQueued(),
}
REQUESTS: dict[str, BlockRequest] = {
    "get next": BlockGetNext(Wants.HEADER, 0),
    "get header": BlockGetHeader(GENESIS.state_hash, 0),
    "get outline": BlockGetOutline(GENESIS.state_hash),
    "get items": BlockGetItems(GENESIS.state_hash, (0,)),
    "get body": BlockGetBody(GENESIS.state_hash),
    "get body of another": BlockGetBody(LAST.state_hash),
}


def _ticket(lab: Lab) -> Ticket:
    open_ones = [ticket for ticket, _ in lab.requests(1)]
    return open_ones[0] if open_ones else Ticket(999)


def _stream(lab: Lab) -> StreamId:
    peer = lab.blocks.peers.get(ONE)
    if peer is not None and peer.waiting:
        return peer.waiting[0].stream
    return peer.remote.stream if peer is not None and isinstance(peer.remote, Permitted) else StreamId(999)


def _verdict_id(lab: Lab) -> RequestId:
    return next((c.verdict_id for cand in lab.blocks.candidates.values() for c in cand.copies if c.verdict_id is not None), RequestId(99))


def _answer(answer: BlockAnswer) -> Callable[[Lab], Any]:
    return lambda lab: BlocksAnswerReceived(ONE, _ticket(lab), BLOCK_MESSAGE.encode(answer))


def _request(request: BlockRequest) -> Callable[[Lab], Any]:
    return lambda _lab: BlocksRequestReceived(ONE, StreamId(801), BLOCK_MESSAGE.encode(request))


INPUTS: dict[str, Callable[[Lab], Any]] = {
    **{f"answer: {name}": _answer(answer) for name, answer in ANSWERS.items()},
    "answer: a request": lambda lab: BlocksAnswerReceived(ONE, _ticket(lab), BLOCK_MESSAGE.encode(REQUESTS["get next"])),
    "answer: noise": lambda lab: BlocksAnswerReceived(ONE, _ticket(lab), b"\xff noise"),
    "answer to nothing": lambda _lab: BlocksAnswerReceived(ONE, Ticket(12345), BLOCK_MESSAGE.encode(BlockNotHeld())),
    "end": lambda lab: BlocksAnswerEnded(ONE, _ticket(lab)),
    "reset": lambda lab: BlocksAnswerReset(ONE, _ticket(lab), StreamResetCode.REFUSED),
    **{f"request: {name}": _request(request) for name, request in REQUESTS.items()},
    "request: an answer": lambda _lab: BlocksRequestReceived(ONE, StreamId(801), BLOCK_MESSAGE.encode(BlockNotHeld())),
    "request: noise": lambda _lab: BlocksRequestReceived(ONE, StreamId(801), b"\xff noise"),
    "withdrawn": lambda lab: BlocksRequestCancelled(ONE, _stream(lab)),
    "joins": lambda _lab: BlocksPeerJoined(ONE, PeerId(b"\1" * 32)),
    "leaves": lambda _lab: BlocksPeerLeft(ONE),
    "valid": lambda lab: BlocksVerdict(_verdict_id(lab), is_valid=True),
    "invalid": lambda lab: BlocksVerdict(_verdict_id(lab), is_valid=False),
    "new tip": lambda _lab: LAST.tip,
    "item": lambda _lab: BlocksItemKnown(LAST.parts.items[0]),
    "peer due": lambda _lab: BlocksPeerDue(ONE),
    "peer due, late": lambda _lab: BlocksPeerDue(ONE),
    "block due": lambda lab: BlocksCandidateDue(next(iter(lab.blocks.candidates), 99)),
    "block due, late": lambda lab: BlocksCandidateDue(next(iter(lab.blocks.candidates), 99)),
    "queue due": lambda _lab: BlocksQueueDue(),
    "queue due, late": lambda _lab: BlocksQueueDue(),
}


@cache
def _made(state: str) -> Lab:
    return STATES[state]()


def outcome(state: str, given: str) -> str:
    """``local/remote/body: what follows``, or `REFUSED`."""
    lab = _made(state).copy()
    before = lab.blocks
    action = INPUTS[given](lab)
    if given.endswith("late"):
        lab.now = Timestamp(lab.now + LATE)
    lab.feed(action)
    if lab.blocks is before and not lab.effects:
        return REFUSED
    peer = lab.blocks.peers.get(ONE)
    candidate = lab.blocks.candidate_of(LAST.state_hash)
    parts = [type(part).__name__ for part in (peer and peer.local, peer and peer.remote, candidate and candidate.body)]
    return "/".join("-" if part == "NoneType" else part for part in parts) + ": " + ", ".join(map(_said, lab.effects))


def _said(effect: Any) -> str:
    match effect:
        case DisconnectionInit(reason=reason):
            return f"left {reason.code.name}"
        case BlocksRequestSend(frame=frame):
            request = BLOCK_MESSAGE.decode(frame)
            return f"{type(request).__name__} {request.wants.name}" if isinstance(request, BlockGetNext) else type(request).__name__
        case ChannelsEffectfulAnswerSend(frames=frames):
            return f"answers {type(BLOCK_MESSAGE.decode(frames[0])).__name__}"
        case _:
            return type(effect).__name__


@pytest.mark.parametrize("state", STATES)
def test_every_combination_is_as_the_table_says(state: str) -> None:
    """What the table does not list is refused, and changes nothing."""
    found = {given: what for given in INPUTS if (what := outcome(state, given)) != REFUSED}
    assert found == EXPECTED[state]


def test_every_state_and_action_is_in_the_table() -> None:
    """A state or action that is added has to be added here."""
    seen: set[type[Any]] = set()
    for make in STATES.values():
        blocks = make().blocks
        for peer in blocks.peers.values():
            seen |= {type(peer.local), type(peer.remote)}
        seen |= {type(candidate.body) for candidate in blocks.candidates.values()}
    assert {*get_args(LocalHalf), *get_args(RemoteHalf), *get_args(Body)} <= seen
    lab = Lab(tip=GENESIS)
    assert {type(make(lab)) for make in INPUTS.values()} == set(get_args(BlocksAction))

"""A small machine to record: peers connect, send, are answered, and are thrown out.

It has what a log meets in earnest: nested records in tables, an index over peer ids, unions,
the generator, guards that refuse, attempts with a way out, effects, and deadlines.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from mina_p2p.identity import PeerId
from mina_p2p.ids import MILLISECOND, ConnectionId, Timestamp
from mina_p2p.prng import Random
from mina_p2p.record import Record, record
from mina_p2p.store import Attempt, Clock, FollowUps, Machine, Store
from mina_p2p.table import Deadlines, Index, Table, empty_table
from mina_p2p.trace import BytesSource, Reader, Schema, Tape, Writer, WriterOptions


class Why(enum.IntEnum):
    TIMEOUT = 1
    VIOLATION = 2


@record
class Quiet(Record):
    pass


@record
class Asked(Record):
    count: int
    at: Timestamp


@record
class Ready(Record):
    local: Quiet | Asked
    received: tuple[bytes, ...] = ()


@record
class Gone(Record):
    why: Why


Status: TypeAlias = Ready | Gone


@record
class Peer(Record):
    peer_id: PeerId
    status: Status
    bytes_in: int = 0
    note: str | None = None


@record
class Net(Record):
    index: Index[ConnectionId]
    deadlines: Deadlines
    dice: Random
    peers: Table[ConnectionId, Peer] = empty_table()
    last_id: ConnectionId = ConnectionId(0)
    acks: int = 0


@record
class Root(Record):
    net: Net
    clock: Clock = Clock()


@record
class Connected(Record):
    peer_id: PeerId

    def is_enabled(self, state: Root, now: Timestamp) -> bool:
        return self.peer_id not in state.net.index


@record
class Ask(Record):
    connection_id: ConnectionId

    def is_enabled(self, state: Root, now: Timestamp) -> bool:
        peer = state.net.peers.get(self.connection_id)
        return peer is not None and isinstance(peer.status, Ready) and isinstance(peer.status.local, Quiet)


@record
class MessageReceived(Record):
    connection_id: ConnectionId
    frame: bytes


@record
class Take(Record):
    connection_id: ConnectionId
    frame: bytes

    def is_enabled(self, state: Root, now: Timestamp) -> bool:
        peer = state.net.peers.get(self.connection_id)
        return peer is not None and isinstance(peer.status, Ready) and isinstance(peer.status.local, Asked)


@record
class Ack(Record):
    connection_id: ConnectionId


@record
class Disconnect(Record):
    connection_id: ConnectionId
    why: Why

    def is_enabled(self, state: Root, now: Timestamp) -> bool:
        peer = state.net.peers.get(self.connection_id)
        return peer is not None and isinstance(peer.status, Ready)


@record
class CheckTimeouts(Record):
    pass


@record
class EffectfulSend(Record):
    connection_id: ConnectionId
    frame: bytes


@record
class Break(Record):
    """Makes the reducer fail, as a bug of ours would."""


INPUTS: tuple[type[Any], ...] = (Connected, Ask, MessageReceived, CheckTimeouts)


def reduce(state: Root, action: Any, now: Timestamp) -> tuple[Root, FollowUps]:
    net = state.net
    match action:
        case Connected(peer_id=peer_id):
            new = ConnectionId(net.last_id + 1)
            peers = net.peers.set(new, Peer(peer_id, Ready(Quiet())))
            net = net.replace(peers=peers, last_id=new, index=net.index.set(peer_id, new))
            return state.replace(net=net), (Ask(new),)
        case Ask(connection_id=at):
            peer = net.peers[at]
            count, dice = net.dice.below(4)
            deadline = Timestamp(now + 50 * MILLISECOND)
            status = peer.status.replace(local=Asked(count + 1, deadline))
            peers = net.peers.set(at, peer.replace(status=status))
            net = net.replace(peers=peers, dice=dice, deadlines=net.deadlines.add(deadline, at))
            return state.replace(net=net), (EffectfulSend(at, b"get next"),)
        case MessageReceived(connection_id=at, frame=frame):
            return state, (Attempt(Take(at, frame), Disconnect(at, Why.VIOLATION)),)
        case Take(connection_id=at, frame=frame):
            peer = net.peers[at]
            asked = peer.status.local
            net = net.replace(deadlines=net.deadlines.cancel(asked.at, at))
            local: Any = Quiet()
            if asked.count > 1:
                local = Asked(asked.count - 1, asked.at)
                net = net.replace(deadlines=net.deadlines.add(asked.at, at))
            status = peer.status.replace(local=local, received=(*peer.status.received, frame)[-3:])
            peer = peer.replace(status=status, bytes_in=peer.bytes_in + len(frame))
            return state.replace(net=net.replace(peers=net.peers.set(at, peer))), (Ack(at), Ask(at))
        case Ack(connection_id=at):
            return state.replace(net=net.replace(acks=net.acks + 1)), (EffectfulSend(at, b"ack"),)
        case Disconnect(connection_id=at, why=why):
            peer = net.peers[at]
            if isinstance(peer.status.local, Asked):
                net = net.replace(deadlines=net.deadlines.cancel(peer.status.local.at, at))
            peer = peer.replace(status=Gone(why), note=f"gone at {now}")
            net = net.replace(peers=net.peers.set(at, peer), index=net.index.delete(peer.peer_id))
            return state.replace(net=net), ()
        case CheckTimeouts():
            due = net.deadlines.due(now, 8)
            return state, tuple(Disconnect(ConnectionId(at), Why.TIMEOUT) for at in due)
        case _:
            raise AssertionError(action)


def make_machine(reducer: Callable[[Root, Any, Timestamp], tuple[Root, FollowUps]] = reduce) -> Machine[Root]:
    """The machine, or one whose reducer has a planted fault."""
    actions = (Connected, Ask, MessageReceived, Take, Ack, Disconnect, CheckTimeouts, Break)
    return Machine(Root, reducers=[(action, reducer) for action in actions], effects=[EffectfulSend])


MACHINE = make_machine()
SCHEMA = Schema.of(MACHINE)


def initial(seed: int = 1) -> Root:
    return Root(Net(Index(b"salt"), Deadlines(MILLISECOND), Random(seed)))


def peer_id(number: int) -> PeerId:
    return PeerId(number.to_bytes(4, "big") * 8)


def inputs(count: int, seed: int = 1) -> Iterator[tuple[Any, Timestamp]]:
    """Inputs with their times; what they are follows from the seed alone."""
    dice = random.Random(seed)
    now = 1_000 * MILLISECOND
    for _ in range(count):
        now += dice.randrange(3 * MILLISECOND)
        kind = dice.randrange(10)
        connection_id = ConnectionId(dice.randrange(1, 12))
        if kind == 0:
            yield Connected(peer_id(dice.randrange(16))), Timestamp(now)
        elif kind == 1:
            yield Ask(connection_id), Timestamp(now)
        elif kind == 2:
            yield CheckTimeouts(), Timestamp(now)
        else:
            yield MessageReceived(connection_id, dice.randbytes(dice.randrange(40))), Timestamp(now)


OPTIONS = WriterOptions(chunk_inputs=20, hash_inputs=40, checkpoint_inputs=80, bytes_per_input=1 << 30, checkpoint_bytes_per_input=1 << 30)


def record_log(
    count: int = 200,
    *,
    seed: int = 1,
    options: WriterOptions = OPTIONS,
    level: int | None = 3,
    is_closed: bool = True,
    metadata: dict[str, str] | None = None,
) -> bytes:
    """The log of a run."""
    store = Store(MACHINE, initial(seed))
    writer = Writer(MACHINE, "test", store.state, schema=SCHEMA, options=options, metadata=metadata or {"peer_id": "me"})
    store.observe(writer.add)
    for action, now in inputs(count, seed):
        store.dispatch(action, now)
    tape = Tape(SCHEMA, level=level)
    if is_closed:
        writer.close()
    else:
        writer.flush()
    data = b"".join(tape.append(chunk) for chunk in writer.take())
    return data + (tape.finish() if is_closed else b"")


def reader(data: bytes) -> Reader:
    return Reader(BytesSource(data))

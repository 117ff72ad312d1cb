"""What recording and replaying cost, and the log codec beside cattrs.

    python benchmarks/log.py [--json] [--quick]

*Codec*: a mix of ten action classes, each encoded and decoded by itself and by the chunk, as
logs do it, beside cattrs' own msgpack converter with a tagged union of the same classes.

*Recording and replaying*: a small machine whose every input goes through a guard, replaces a
record five levels down in a table of peers, and causes one follow-up. It runs without an
observer, with a `Recorder` that writes a file on its thread, and replayed from such a file.

All run interleaved in one go. Times are CPU times of the whole process, with the recorder's
thread. The codecs, cattrs too, are measured without the garbage collector, as logs are replayed.
"""

from __future__ import annotations

import argparse
import enum
import gc
import json
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Union

from support.rounds import Lane, WrongResultError, interleave

from mina_p2p.identity import PeerId
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Clock, FollowUps, Machine, Slice, Store
from mina_p2p.table import Table
from mina_p2p.trace import BytesSource, Reader, Records, Schema, Tape, Writer, register_machine
from mina_p2p_effects.recorder import Recorder
from mina_p2p_effects.replay import replay_path

ENCODE_TARGET, DECODE_TARGET = 5.0, 4.0
RECORDING_TARGET, RECORDING_AIM = 0.70, 0.75
REPLAY_TARGET = 1.0
DERIVED_BYTES_TARGET = 40.0
REPLAYED_INPUTS = 40_000
STEP = 100_000  # nanoseconds between two inputs


# --- a machine ------------------------------------------------------------------------------------


@record
class Permission(Record):
    granted: int
    used: int


@record
class Channel(Record):
    channel: ChannelId
    local: Permission
    bytes_in: int


@record
class Connection(Record):
    connection_id: ConnectionId
    transaction: Channel
    is_incoming: bool
    started_at: Timestamp


@record
class Peer(Record):
    peer_id: PeerId
    connection: Connection | None
    last_seen: Timestamp
    acks: int
    note: str


@record
class Peers(Record):
    table: Table[int, Peer]
    bytes_in: int
    acks: int


@record
class Root(Record):
    clock: Clock
    peers: Peers


@record
class MessageReceived(Record):
    peer: int
    stream: StreamId
    frame: bytes

    def is_enabled(self, state: Root, now: Timestamp) -> bool:
        peer = state.peers.table.get(self.peer)
        return peer is not None and peer.connection is not None


@record
class Acknowledged(Record):
    peer: int

    def is_enabled(self, state: Root, now: Timestamp) -> bool:
        return self.peer in state.peers.table


def reduce(state: Peers, action: Any, now: Timestamp, _root: Root) -> tuple[Peers, FollowUps]:
    match action:
        case MessageReceived(peer=number, frame=frame):
            peer = state.table[number]
            connection = peer.connection
            channel = connection.transaction
            local = channel.local.replace(used=channel.local.used + 1)
            channel = channel.replace(local=local, bytes_in=channel.bytes_in + len(frame))
            peer = peer.replace(connection=connection.replace(transaction=channel), last_seen=now)
            table = state.table.set(number, peer)
            return state.replace(table=table, bytes_in=state.bytes_in + len(frame)), (Acknowledged(number),)
        case Acknowledged(peer=number):
            peer = state.table[number]
            return state.replace(table=state.table.set(number, peer.replace(acks=peer.acks + 1)), acks=state.acks + 1), ()
        case _:
            raise AssertionError(action)


MACHINE = Machine(Root, slices=[Slice("peers", [MessageReceived, Acknowledged], reduce)])
SCHEMA = Schema.of(MACHINE)
FRAMES = [random.Random(i).randbytes(8) + bytes(24) for i in range(256)]


def initial(size: int) -> Root:
    def peer(number: int) -> Peer:
        channel = Channel(ChannelId.TRANSACTION, Permission(32, 0), 0)
        connection = Connection(ConnectionId(number), channel, number % 2 == 0, Timestamp(0))
        return Peer(PeerId(number.to_bytes(8, "big") * 4), connection, Timestamp(0), 0, "")

    return Root(Clock(), Peers(Table((number, peer(number)) for number in range(size)), 0, 0))


def feed(store: Store[Root], count: int, size: int) -> None:
    dispatch, now = store.dispatch, store.state.clock.now
    for i in range(count):
        now = Timestamp(now + STEP)
        dispatch(MessageReceived((i * 7919) % size, StreamId(4 * i), FRAMES[i & 255]), now)


class Live:
    """The store alone, or with what observes it."""

    def __init__(self, size: int, folder: Path | None) -> None:
        self._size = size
        self._store = Store(MACHINE, initial(size))
        self._recorder: Recorder | None = None
        if folder is not None:
            self._recorder = Recorder(folder / f"live-{size}.log", MACHINE, "benchmark", self._store.state, schema=SCHEMA)
            self._recorder.attach(self._store)

    def measure(self, count: int) -> float:
        start = time.process_time()
        feed(self._store, count, self._size)
        if self._recorder is not None:
            self._recorder.flush(self._store.state.clock.now)
            self._recorder.settle()
        return time.process_time() - start

    def check(self, count: int) -> None:
        if self._store.state.peers.acks != count:
            raise WrongResultError(f"{self._store.state.peers.acks} acknowledged of {count}")
        if self._recorder is not None and self._recorder.missed_inputs:
            raise WrongResultError(f"{self._recorder.missed_inputs} inputs are not recorded")


class Replayed:
    """Replaying one file of `REPLAYED_INPUTS`; reading the first state and hashing the last is part of it."""

    def __init__(self, size: int, folder: Path) -> None:
        self._path = folder / f"replay-{size}.log"
        store = Store(MACHINE, initial(size))
        recorder = Recorder(self._path, MACHINE, "benchmark", store.state, schema=SCHEMA)
        recorder.attach(store)
        feed(store, 1, size)
        recorder.flush(store.state.clock.now)
        recorder.settle()
        before = self._path.stat().st_size
        feed(store, REPLAYED_INPUTS - 1, size)
        recorder.flush(store.state.clock.now)
        recorder.settle()
        self.bytes_per_input = (self._path.stat().st_size - before) / REPLAYED_INPUTS
        recorder.close()

    def measure(self, count: int) -> float:
        passes = -(-count // REPLAYED_INPUTS)
        start = time.process_time()
        for _ in range(passes):
            (log,) = replay_path(self._path, jobs=1)
            if not log.is_verified or log.result is None or log.result.inputs != REPLAYED_INPUTS:
                raise WrongResultError(f"the log is not verified: {log}")
        return (time.process_time() - start) * count / (passes * REPLAYED_INPUTS)

    def check(self, count: int) -> None:
        """Checked with every measurement."""


# --- a mix of actions -----------------------------------------------------------------------------


class Why(enum.IntEnum):
    TIMEOUT = 1
    VIOLATION = 2


@record
class Reason(Record):
    code: Why
    detail: str


@record
class QuicAddress(Record):
    peer_id: PeerId
    host: str
    port: int


@record
class Dial(Record):
    connection_id: ConnectionId
    address: QuicAddress


@record
class Established(Record):
    connection_id: ConnectionId
    peer_id: PeerId
    host: str
    port: int


@record
class FrameReceived(Record):
    connection_id: ConnectionId
    channel: ChannelId
    stream: StreamId
    frame: bytes


@record
class StreamEnded(Record):
    connection_id: ConnectionId
    channel: ChannelId
    stream: StreamId


@record
class RequestSend(Record):
    connection_id: ConnectionId
    channel: ChannelId
    stream: StreamId
    limit: int
    is_first: bool


@record
class PromiseReceived(Record):
    connection_id: ConnectionId
    count: int


@record
class Candidates(Record):
    connection_id: ConnectionId
    hashes: tuple[bytes, ...]
    fee: int | None


@record
class Closed(Record):
    connection_id: ConnectionId
    reason: Reason
    by_peer: bool


@record
class CheckTimeouts(Record):
    pass


@record
class Verdict(Record):
    request_id: int
    is_valid: bool
    detail: str | None


ACTIONS = (Dial, Established, FrameReceived, StreamEnded, RequestSend, PromiseReceived, Candidates, Closed, CheckTimeouts, Verdict)


def mix(count: int) -> list[Any]:
    """Actions as a node has them: mostly frames and their bookkeeping, seldom a dial."""
    dice = random.Random(1)
    ids = [PeerId(dice.randbytes(32)) for _ in range(64)]
    makers: list[tuple[int, Callable[[ConnectionId], Any]]] = [
        (1, lambda c: Dial(c, QuicAddress(dice.choice(ids), "203.0.113.7", 8302))),
        (1, lambda c: Established(c, dice.choice(ids), "203.0.113.7", 8302)),
        (30, lambda c: FrameReceived(c, ChannelId.TRANSACTION, StreamId(dice.randrange(10**6)), dice.randbytes(60))),
        (15, lambda c: StreamEnded(c, ChannelId.SNARK, StreamId(dice.randrange(10**6)))),
        (15, lambda c: RequestSend(c, ChannelId.SNARK, StreamId(dice.randrange(10**6)), 32, True)),
        (15, lambda c: PromiseReceived(c, 3)),
        (5, lambda c: Candidates(c, tuple(dice.randbytes(32) for _ in range(3)), None)),
        (1, lambda c: Closed(c, Reason(Why.TIMEOUT, "no answer"), False)),
        (10, lambda _c: CheckTimeouts()),
        (7, lambda _c: Verdict(dice.randrange(1000), True, None)),
    ]
    chosen = dice.choices([make for _, make in makers], [weight for weight, _ in makers], k=count)
    return [make(ConnectionId(dice.randrange(200))) for make in chosen]


class Codec:
    """Something that turns the mix into bytes, or back; ``passes`` over the mix are counted as work."""

    def __init__(self, actions: list[Any], run: Callable[[], Any], expected: Any) -> None:
        self._run = run
        self._expected = expected
        self._actions = actions

    def measure(self, count: int) -> float:
        passes = -(-count // len(self._actions))
        found: Any = None
        gc.disable()
        start = time.process_time()
        for _ in range(passes):
            found = self._run()
        spent = time.process_time() - start
        gc.enable()
        if self._expected is not None and found != self._expected:
            raise WrongResultError("the actions did not come back as they were")
        return spent * count / (passes * len(self._actions))

    def check(self, count: int) -> None:
        """Checked with every measurement."""


def codecs() -> tuple[dict[str, Codec], str | None]:
    """Every codec by name, and why cattrs is missing if it is."""
    actions = mix(2_000)
    machine = Machine(Root, reducers=[(cls, lambda state, _action, _now: (state, ())) for cls in ACTIONS])
    schema = Schema.of(machine)
    encoded = [schema.encode(action) for action in actions]
    store = Store(machine, initial(1))
    writer = Writer(machine, "mix", store.state, schema=schema)
    store.observe(writer.add)
    for action in actions:
        store.dispatch(action, Timestamp(0))
    writer.close()
    tape = Tape(schema, level=None)
    log = b"".join(tape.append(chunk) for chunk in writer.take())

    def read_log() -> list[Any]:
        return [action for item in Reader(BytesSource(log)).items(schema) if isinstance(item, Records) for action in item.inputs]

    found = {
        "encode": Codec(actions, lambda: [schema.encode(action) for action in actions], encoded),
        "decode one by one": Codec(actions, lambda: [schema.decode(data) for data in encoded], actions),
        "decode by the chunk": Codec(actions, read_log, actions),
    }
    try:
        from cattrs.preconf.msgpack import make_converter
        from cattrs.strategies import configure_tagged_union
    except ImportError as error:
        return found, f"{error.name} is not installed"
    converter = make_converter()
    converter.register_unstructure_hook(PeerId, bytes)
    converter.register_structure_hook(PeerId, lambda value, _: PeerId(value))
    union: Any = Union
    either = union[ACTIONS]
    configure_tagged_union(either, converter)
    theirs = [converter.dumps(action, unstructure_as=either) for action in actions]
    found["cattrs encode"] = Codec(actions, lambda: [converter.dumps(action, unstructure_as=either) for action in actions], theirs)
    found["cattrs decode"] = Codec(actions, lambda: [converter.loads(data, either) for data in theirs], actions)
    return found, None


# --- the report -----------------------------------------------------------------------------------


def measure(sizes: tuple[int, ...], rounds: int, seconds: float) -> dict[str, Any]:
    """Measure everything; the result as JSON."""
    register_machine("benchmark", MACHINE)
    contenders, missing = codecs()
    with tempfile.TemporaryDirectory(prefix="mina-p2p-log-") as name:
        folder = Path(name)
        lanes = {(kind, 0): Lane(kind, contender, seconds, 10_000_000) for kind, contender in contenders.items()}
        replays = {size: Replayed(size, folder) for size in sizes}
        for size in sizes:
            lanes["live", size] = Lane("live", Live(size, None), seconds, 1_000_000)
            lanes["recorded", size] = Lane("recorded", Live(size, folder), seconds, 1_000_000)
            lanes["replayed", size] = Lane("replayed", replays[size], seconds, 100_000)
        interleave(list(lanes.values()), rounds)
    rows = [_size_row(lanes, size, replays[size].bytes_per_input) for size in sizes]
    return {
        "python": platform.python_version(),
        "codec": _codec_row(lanes, missing),
        "sizes": rows,
        "missing": missing,
    }


def _codec_row(lanes: dict[tuple[str, int], Lane], missing: str | None) -> dict[str, Any]:
    row: dict[str, Any] = {kind: round(1e9 / lane.rate) for (kind, size), lane in lanes.items() if not size}
    if missing is None:
        row["encode ratio"] = round(lanes["encode", 0].ratio_to(lanes["cattrs encode", 0]), 2)
        row["decode ratio"] = round(lanes["decode by the chunk", 0].ratio_to(lanes["cattrs decode", 0]), 2)
        row["encode target met"] = row["encode ratio"] >= ENCODE_TARGET
        row["decode target met"] = row["decode ratio"] >= DECODE_TARGET
    return row


def _size_row(lanes: dict[tuple[str, int], Lane], size: int, bytes_per_input: float) -> dict[str, Any]:
    live = lanes["live", size]
    recorded, replayed = lanes["recorded", size].ratio_to(live), lanes["replayed", size].ratio_to(live)
    return {
        "peers": size,
        "live actions/s": round(2 * live.rate),
        "recorded actions/s": round(2 * lanes["recorded", size].rate),
        "replayed actions/s": round(2 * lanes["replayed", size].rate),
        "recorded ratio": round(recorded, 3),
        "replayed ratio": round(replayed, 3),
        "recording target met": recorded >= RECORDING_TARGET,
        "recording aim met": recorded >= RECORDING_AIM,
        "replay target met": replayed >= REPLAY_TARGET,
        # All that an input and its follow-up cost in the file, checkpoint and hashes with them.
        "bytes per input and follow-up": round(bytes_per_input, 1),
        "size target met": bytes_per_input <= DERIVED_BYTES_TARGET + len(FRAMES[0]),
    }


def report(result: dict[str, Any]) -> str:
    """The result for people."""
    codec = result["codec"]
    lines = [f"Python {result['python']}; nanoseconds per action of the mix:"]
    lines += [f"  {name:<22}{value:>8}" for name, value in codec.items() if not name.endswith(("ratio", "met"))]
    if result["missing"]:
        lines.append(f"  cattrs: {result['missing']}")
    else:
        lines.append(f"  encode {codec['encode ratio']} x cattrs (target {ENCODE_TARGET}: {_met(codec['encode target met'])})")
        lines.append(f"  decode {codec['decode ratio']} x cattrs (target {DECODE_TARGET}: {_met(codec['decode target met'])})")
    for row in result["sizes"]:
        live, recorded, replayed = (f"{row[f'{name} actions/s']:,}" for name in ("live", "recorded", "replayed"))
        targets = f"target 30 %: {_met(row['recording target met'])}, aim 25 %: {_met(row['recording aim met'])}"
        lines += [
            f"{row['peers']:,} peers, actions per second: live {live}, recorded {recorded}, replayed {replayed}",
            f"  recording costs {100 * (1 - row['recorded ratio']):.1f} % ({targets})",
            f"  replay from the file at {row['replayed ratio']} of the live rate (target {REPLAY_TARGET}: {_met(row['replay target met'])})",
            f"  {row['bytes per input and follow-up']} bytes in the file per input of {len(FRAMES[0])} and its follow-up",
        ]
    return "\n".join(lines)


def _met(is_met: bool) -> str:
    return "met" if is_met else "NOT met"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and sizes")
    options = parser.parse_args()
    result = measure((1_000,), 3, 0.1) if options.quick else measure((10, 1_000, 10_000), 7, 0.4)
    print(json.dumps(result, indent=2) if options.json else report(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())

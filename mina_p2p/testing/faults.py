"""What can go wrong around nodes, as kinds that a seed mixes.

A fault is a generator over a `FaultyWorld`: it does something, yields how long that lasts, and undoes
it. It is undone early, by closing the generator, when all faults end. Write your own in the same
form and give it to `mina_p2p.testing.campaign.Run`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from mina_p2p.errors import CallerError
from mina_p2p.ids import MILLISECOND, SECOND
from mina_p2p.record import Record, record
from mina_p2p.testing.clockwork import Clockwork
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.driven import Driven
from mina_p2p.testing.links import LOST, End, MemoryPort

CUT_PAIRS_MAX: Final = 4_000
"""Of nodes that one partition separates."""
STREAM_LAG_MAX: Final = 2_000
"""Milliseconds. At both ends together that is less than a node waits from withdrawing a request to the next on its channel, unless its clock jumps."""


class FaultKind(enum.Enum):
    """Kinds of faults, by the name that the command line gives them."""

    LATENCY = "latency"
    """Everything to and from a node takes seconds."""
    REORDERING = "reordering"
    """What arrives at a node from different peers comes in another order than it was sent."""
    STREAMS = "streams"
    """What a node gets on different streams of one connection comes in another order than it was sent."""
    DUPLICATION = "duplication"
    """Some events of the transport are fed twice, late."""
    LOSS = "loss"
    """Connections break, and both sides know it."""
    HALF_OPEN = "half-open"
    """Connections break, and one side does not know it."""
    PARTITION = "partition"
    """Nothing travels between two groups."""
    ONE_WAY = "one-way"
    """Nothing travels from one group to another."""
    SLOW_READER = "slow-reader"
    """A node takes in a few kilobytes per second."""
    SLOW_WRITER = "slow-writer"
    """A node gets out a few kilobytes per second."""
    CRASH = "crash"
    """A node dies and comes back with what it knew."""
    AMNESIA = "amnesia"
    """A node dies and comes back with nothing."""
    IDENTITY = "identity"
    """Somebody else comes back at a node's address."""
    CLOCK = "clock"
    """A node's clock jumps ahead."""
    NAMES = "names"
    """A node can not resolve names."""
    LIARS = "liars"
    """Some peers break the protocol; see `mina_p2p.testing.liars`."""


def parse_faults(text: str) -> tuple[FaultKind, ...]:
    """Kinds from ``all``, ``none`` or a list with commas.

    :raises CallerError: for a name that is none.
    """
    if text == "all":
        return tuple(FaultKind)
    if text == "none":
        return ()
    try:
        named = [FaultKind(name.strip()) for name in text.split(",")]
    except ValueError:
        raise CallerError(f"{text!r} is no list of faults; there are all, none, and {', '.join(k.value for k in FaultKind)}") from None
    return tuple(kind for kind in FaultKind if kind in named)


class FaultyWorld(Protocol):
    """What a fault needs to know of the world in which it happens."""

    @property
    def clockwork(self) -> Clockwork:
        """Time, and the links."""
        ...

    def nodes_up(self) -> Sequence[Driven[Any]]:
        """Honest nodes that run."""
        ...

    def fall(self, dice: Dice, *, keeps: bool, is_other: bool) -> Callable[[], None] | None:
        """Have some node crash.

        :param keeps: whether what it knew is on its disk.
        :param is_other: whether somebody else comes back.
        :returns: what starts a node in its place; ``None`` where too few would be left, and none has crashed.
        """
        ...


Fault: TypeAlias = Callable[[FaultyWorld, Dice], Iterator[int]]
"""Begins when it is first asked, yields nanoseconds until it is asked again, and undoes itself when it ends or is closed."""


@record
class FaultSource(Record):
    """How one kind of fault comes about."""

    fault: Fault
    every: int
    """Nanoseconds from one to the next in a network of ten, on the average; larger ones have more."""


def _someone(world: FaultyWorld, dice: Dice) -> Driven[Any]:
    return dice.choice(world.nodes_up())


def _some_end(world: FaultyWorld, dice: Dice) -> End | None:
    ends = _someone(world, dice).port.all_ends()
    return dice.choice(ends) if ends else None


@contextmanager
def _weather(port: MemoryPort, *, latency: int = 0, jitter: int = 0) -> Generator[None]:
    port.latency += latency
    port.jitter += jitter
    try:
        yield
    finally:
        port.latency -= latency
        port.jitter -= jitter


def latency_spike(world: FaultyWorld, dice: Dice) -> Iterator[int]:
    """See `FaultKind.LATENCY`."""
    with _weather(_someone(world, dice).port, latency=dice.between(200, 6_000) * MILLISECOND):
        yield dice.between(1, 20) * SECOND


def reordering(world: FaultyWorld, dice: Dice) -> Iterator[int]:
    """See `FaultKind.REORDERING`."""
    with _weather(_someone(world, dice).port, jitter=dice.between(100, 3_000) * MILLISECOND):
        yield dice.between(5, 30) * SECOND


def overtaking_streams(world: FaultyWorld, dice: Dice) -> Iterator[int]:
    """See `FaultKind.STREAMS`."""
    port = _someone(world, dice).port
    port.stream_lag = dice.between(10, STREAM_LAG_MAX) * MILLISECOND
    try:
        yield dice.between(5, 30) * SECOND
    finally:
        port.stream_lag = 0


def duplication(world: FaultyWorld, dice: Dice) -> Iterator[int]:
    """See `FaultKind.DUPLICATION`."""
    network = world.clockwork.links
    network.duplicates_per_mille = dice.between(1, 40)
    try:
        yield dice.between(1, 10) * SECOND
    finally:
        network.duplicates_per_mille = 0


def connection_loss(world: FaultyWorld, dice: Dice) -> Iterator[int]:
    """See `FaultKind.LOSS`."""
    if (end := _some_end(world, dice)) is not None:
        world.clockwork.links.lose(end)
    yield 0


def half_open(world: FaultyWorld, dice: Dice) -> Iterator[int]:
    """See `FaultKind.HALF_OPEN`."""
    if (end := _some_end(world, dice)) is not None:
        world.clockwork.links.vanish(end, world.clockwork.now, LOST)
    yield 0


def _cut(world: FaultyWorld, dice: Dice, *, is_symmetric: bool) -> Iterator[int]:
    nodes = [node.port.peer_id for node in world.nodes_up()]
    size = max(1, min(len(nodes) // 2, CUT_PAIRS_MAX // len(nodes)))
    group = dice.sample(nodes, dice.between(1, size))
    pairs = [(one, other) for one in group for other in nodes if other not in group]
    if dice.chance(50):
        pairs = [(other, one) for one, other in pairs]
    clockwork, network = world.clockwork, world.clockwork.links
    back = [(other, one) for one, other in pairs] if is_symmetric else []
    for source, target in (*pairs, *back):
        network.block(source, target, clockwork.now)
    try:
        yield dice.between(1, 70) * SECOND
    finally:
        for source, target in (*pairs, *back):
            network.unblock(source, target, clockwork.now)


def partition(world: FaultyWorld, dice: Dice) -> Iterator[int]:
    """See `FaultKind.PARTITION`."""
    return _cut(world, dice, is_symmetric=True)


def one_way(world: FaultyWorld, dice: Dice) -> Iterator[int]:
    """See `FaultKind.ONE_WAY`."""
    return _cut(world, dice, is_symmetric=False)


def slow_reader(world: FaultyWorld, dice: Dice) -> Iterator[int]:
    """See `FaultKind.SLOW_READER`."""
    port = _someone(world, dice).port
    port.read_rate = dice.between(500, 20_000)
    try:
        yield dice.between(5, 40) * SECOND
    finally:
        port.read_rate = 0


def slow_writer(world: FaultyWorld, dice: Dice) -> Iterator[int]:
    """See `FaultKind.SLOW_WRITER`."""
    port = _someone(world, dice).port
    port.write_rate = dice.between(500, 20_000)
    try:
        yield dice.between(5, 40) * SECOND
    finally:
        port.write_rate = 0


def _down(world: FaultyWorld, dice: Dice, *, keeps: bool, is_other: bool) -> Iterator[int]:
    rise = world.fall(dice, keeps=keeps, is_other=is_other)
    if rise is None:
        return
    try:
        yield dice.between(0, 60) * SECOND
    finally:
        rise()


def crash(world: FaultyWorld, dice: Dice) -> Iterator[int]:
    """See `FaultKind.CRASH`."""
    return _down(world, dice, keeps=True, is_other=False)


def amnesia(world: FaultyWorld, dice: Dice) -> Iterator[int]:
    """See `FaultKind.AMNESIA`."""
    return _down(world, dice, keeps=False, is_other=False)


def identity_change(world: FaultyWorld, dice: Dice) -> Iterator[int]:
    """See `FaultKind.IDENTITY`."""
    return _down(world, dice, keeps=False, is_other=True)


def clock_jump(world: FaultyWorld, dice: Dice) -> Iterator[int]:
    """See `FaultKind.CLOCK`."""
    _someone(world, dice).jump_clock(dice.choice((1, 6, 31, 61, 700, 7_200)) * SECOND)
    yield 0


def name_failure(world: FaultyWorld, dice: Dice) -> Iterator[int]:
    """See `FaultKind.NAMES`."""
    port = _someone(world, dice).port
    port.can_resolve = False
    try:
        yield dice.between(1, 60) * SECOND
    finally:
        port.can_resolve = True


SOURCES: Final[Mapping[FaultKind, FaultSource]] = MappingProxyType(
    {
        FaultKind.LATENCY: FaultSource(latency_spike, 8 * SECOND),
        FaultKind.REORDERING: FaultSource(reordering, 10 * SECOND),
        FaultKind.STREAMS: FaultSource(overtaking_streams, 10 * SECOND),
        FaultKind.DUPLICATION: FaultSource(duplication, 20 * SECOND),
        FaultKind.LOSS: FaultSource(connection_loss, 3 * SECOND),
        FaultKind.HALF_OPEN: FaultSource(half_open, 5 * SECOND),
        FaultKind.PARTITION: FaultSource(partition, 25 * SECOND),
        FaultKind.ONE_WAY: FaultSource(one_way, 25 * SECOND),
        FaultKind.SLOW_READER: FaultSource(slow_reader, 15 * SECOND),
        FaultKind.SLOW_WRITER: FaultSource(slow_writer, 15 * SECOND),
        FaultKind.CRASH: FaultSource(crash, 15 * SECOND),
        FaultKind.AMNESIA: FaultSource(amnesia, 20 * SECOND),
        FaultKind.IDENTITY: FaultSource(identity_change, 40 * SECOND),
        FaultKind.CLOCK: FaultSource(clock_jump, 20 * SECOND),
        FaultKind.NAMES: FaultSource(name_failure, 15 * SECOND),
    }
)
"""Every kind that comes and goes; `FaultKind.LIARS` are there from the start."""

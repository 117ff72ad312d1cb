"""One seed, one run of libp2p nodes: all begin with the address of one seed, things go wrong, they stop, all must be well.

Safety: the invariants of every state, no message given to node software twice while it is remembered, no honest peer
accused by another. One member in eight may lie, all the time, also after the other faults have stopped. Liveness, once the faults have stopped: every member has connections that both sides know of and that join all
of them, every mesh has its size; then a new message reaches every member within `SPREAD_WITHIN`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND
from mina_p2p.libp2p.config import TOPIC_V0
from mina_p2p.store import Observer
from mina_p2p.testing.course import CALM, Course, Options, Outcome, Phase
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.faults import SOURCES, FaultKind
from mina_p2p.testing.health import READY_WANTED, Coverage
from mina_p2p.testing.invariants.network import network_violations
from mina_p2p.testing.libp2p_liars import NETWORK_LIARS, NetworkLiar
from mina_p2p.testing.libp2p_sim import NetworkNode
from mina_p2p.testing.libp2p_world import NetworkWorld

KINDS: Final = (
    FaultKind.LATENCY,
    FaultKind.REORDERING,
    FaultKind.STREAMS,
    FaultKind.LOSS,
    FaultKind.HALF_OPEN,
    FaultKind.PARTITION,
    FaultKind.ONE_WAY,
    FaultKind.SLOW_READER,
    FaultKind.SLOW_WRITER,
    FaultKind.CRASH,
    FaultKind.AMNESIA,
    FaultKind.IDENTITY,
    FaultKind.CLOCK,
    FaultKind.LIARS,
)
"""What can go wrong here."""
PATIENCE: Final = 1_500 * SECOND
"""A table is looked after every ten minutes, and nodes that are content look for nobody before."""
UP_WITHIN: Final = 60 * SECOND
"""From one seed to a network, where nothing goes wrong ..."""
UP_PER_NODE: Final = SECOND // 4
"""... and for each node so much more: a seed takes a hundred at a time, and whom it refuses comes again ten seconds later."""
SPREAD_WITHIN: Final = 10 * SECOND
"""Some hops along the meshes; where a mesh has a hole, a heartbeat or two of gossip."""
CHECKS_PER_ROUND: Final = 2
"""How often a node is checked while all nodes dispatch as often as there are nodes."""


class NetworkRun(Course[NetworkWorld]):
    """One run of libp2p nodes, which goes on as long as `advance` is called."""

    def __init__(
        self,
        options: Options,
        *,
        observers: Iterable[Callable[[NetworkNode], Observer]] = (),
        strategies: Sequence[type[NetworkLiar]] = NETWORK_LIARS,
        is_checked: bool = True,
    ) -> None:
        """Make the network and start its nodes.

        :param options: ``transactions`` are the messages that are published, ``peers`` is ``connections_min``.
        :param strategies: whom the liars are drawn from.
        :param is_checked: whether the invariants are checked.
        """
        self._observers = tuple(observers)
        self._strategies = strategies
        self._is_checked = is_checked
        self._last: bytes | None = None
        super().__init__(options, SOURCES)

    def patience(self) -> int:
        """Little where nothing goes wrong."""
        return min(self.options.patience, PATIENCE) if self.kinds else UP_WITHIN - CALM + self.options.nodes * UP_PER_NODE

    def make_world(self) -> NetworkWorld:
        """Nodes with room for few or many connections, which start within some seconds."""
        options, dice = self.options, self.dice
        least = max(2, min(options.peers, options.nodes - 1))
        low = dice.between(min(8, least), least) if options.is_swarm else least
        check_every = options.check_every or max(1, options.nodes // CHECKS_PER_ROUND)
        observers = (self.trace.observer, *self._observers)
        checked = check_every if self._is_checked else None
        world = NetworkWorld(options.seed, options.nodes, checked, observers, connections_min=low, connections_max=2 * low + 10)
        if FaultKind.LIARS in self.kinds:
            for number in dice.sample(range(1, options.nodes), max(1, options.nodes // 8)):
                world.members[number].liar = dice.choice(self._strategies)(Dice(options.seed, f"liar {number}"))
        for member in world.members:
            delay = dice.below(5 * SECOND) if member.number else 0
            world.simulation.after(delay, partial(world.start, member))
        return world

    def plan_deals(self, begin: int, end: int) -> None:
        """Messages, from whoever runs then."""
        for _ in range(self.options.transactions):
            self.world.simulation.after(self.dice.between(begin, end), self._publish)

    def plan_questions(self, begin: int) -> None:
        """None: look-ups happen by themselves."""

    def _publish(self) -> None:
        self.world.publish(self.dice.choice(self.world.up()))

    def look(self) -> Coverage:
        """How far things have spread; in place of the best tip, the message that was published last."""
        world = self.world
        total, up = len(world.honest()), world.up()
        wanted = min(READY_WANTED, total - 1)
        ready = sum(len(node.state.links.contacts) >= wanted for node in world.nodes_up())
        known = sum(len(member.heard) for member in up)
        newest = world.messages[-1] if world.messages else None
        latest = sum(newest in member.heard for member in up)
        messages = len(world.messages) * total
        return Coverage(world.seconds, ready / total, known / messages if messages else 0.0, latest / total)

    def has_come_up(self) -> bool:
        """Whether nothing is missing, as if all faults were over."""
        return next(self._unwell(), None) is None

    def missing(self) -> Iterator[str]:
        """What is not well yet."""
        yield from self._unwell()
        if self.phase is Phase.FINALE:
            late = [member.number for member in self.world.up() if self._last not in member.heard]
            if late:
                yield f"{len(late)} members have not heard the last message, member {late[0]} among them"

    def _unwell(self) -> Iterator[str]:
        world = self.world
        up = world.up()
        if len(up) < len(world.honest()):
            yield f"{len(world.honest()) - len(up)} members are down"
            return
        liars = world.liars()
        wanted = min(READY_WANTED, len(up) - 1)
        neighbours: dict[PeerId, list[PeerId]] = {node.config.peer_id: node.peers() for node in world.nodes_up()}
        for member, node in zip(up, world.nodes_up(), strict=True):
            peers = neighbours[node.config.peer_id]
            if len(peers) < wanted:
                yield f"member {member.number} has {len(peers)} connections"
            if any(node.config.peer_id not in neighbours.get(other, ()) for other in peers if other not in liars):
                yield f"member {member.number} has a connection that its peer does not know"
            yield from _mesh_faults(member.number, node)
        yield from _separated(neighbours)

    def deal_last(self) -> None:
        """A new message, which has to be everywhere soon."""
        self._last = self.world.publish(self.dice.choice(self.world.up()))
        self.world.simulation.after(SPREAD_WITHIN, self._too_late)

    def _too_late(self) -> None:
        late = sum(self._last not in member.heard for member in self.world.up())
        if late:
            self.world.violations.append(
                f"{late} members have not heard a message after {SPREAD_WITHIN // SECOND} s in a network that is well"
            )

    def wrong_at_the_end(self) -> Iterator[str]:
        """What all invariants say of all nodes that run, where they are checked."""
        nodes = [member.node for member in self.world.members if member.node is not None] if self._is_checked else []
        for node in nodes:
            yield from (f"node {node.number} at {self.seconds:.3f} s: {violation}" for violation in network_violations(node.state))

    def liars(self) -> tuple[str, ...]:
        """Names of the strategies of members that lie."""
        return tuple(type(member.liar).__name__ for member in self.world.members if member.liar is not None)


def _mesh_faults(number: int, node: NetworkNode) -> Iterator[str]:
    """Whether a node's mesh has its size, as far as there are peers that it may graft."""
    gossip, config = node.state.gossipsub, node.config.gossipsub
    topic = gossip.topic(TOPIC_V0)
    if topic is None:
        return
    free = [peer for peer in gossip.subscribers(TOPIC_V0) if peer not in topic.mesh and not gossip.is_backed_off(TOPIC_V0, peer, node.now)]
    if len(topic.mesh) < config.mesh_min and free:
        yield f"member {number} has {len(topic.mesh)} peers in its mesh"
    if len(topic.mesh) > config.mesh_max:
        yield f"member {number} has {len(topic.mesh)} peers in its mesh"


def _separated(neighbours: dict[PeerId, list[PeerId]]) -> Iterator[str]:
    start = next(iter(neighbours))
    seen, waiting = {start}, [start]
    while waiting:
        for other in neighbours[waiting.pop()]:
            if other in neighbours and other not in seen:
                seen.add(other)
                waiting.append(other)
    if len(seen) < len(neighbours):
        yield f"{len(seen)} of {len(neighbours)} members are joined by connections"


def simulate_network(options: Options, **settings: Any) -> Outcome:
    """Run one seed to its end.

    :param settings: further arguments of `NetworkRun`.
    """
    run = NetworkRun(options, **settings)
    while run.advance():
        pass
    return run.outcome()

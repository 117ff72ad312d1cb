"""Whole networks of pure nodes: everybody is connected, everything reaches everybody, and a seed decides all of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

import pytest
from slices.items import block, insert_commitment, insert_payment, insert_snark, state_hash

from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.config import Limits
from mina_p2p.ids import SECOND, ChannelId
from mina_p2p.notifications import BestTipReceived, ItemReceived, PeerDisconnected
from mina_p2p.pool.actions import PoolVerdict
from mina_p2p.pool.state import POOL_CHANNELS
from mina_p2p.state import P2pState
from mina_p2p.store import Steps
from mina_p2p.testing.invariants import check_invariants
from mina_p2p.testing.sim import SimNode, Simulation

SEEDS = (1, 2, 3)


def _believes_everything(node: SimNode, told: Any) -> None:
    """Node software: every item is valid, every new tip is better."""
    if isinstance(told, ItemReceived):
        node.dispatch(PoolVerdict(told.verdict_id, is_valid=True))
    elif isinstance(told, BestTipReceived):
        tip = node.state.best_tips.own
        if tip is None or tip.block < told.block:
            node.dispatch(BestTipSet(told.block, told.state_hash))


class Network:
    """A simulation whose nodes know one address, with a hash over every step of every node."""

    def __init__(self, seed: int, count: int, known: int = 1, **limits: int) -> None:
        """Start ``count`` nodes, each of which is told the addresses of the first ``known``."""
        self.known = known
        turns = itertools.count()
        # All of a network of three; of larger ones a sample, and every node in the end.
        period = 1 if count <= 3 else 10 * count

        def check(state: P2pState) -> None:
            if next(turns) % period == 0:
                check_invariants(state)

        self.simulation = Simulation(seed, checks=(check,))
        self.limits = Limits(**{"peers_min": min(count - 1, 8), "peers_max": 40, **limits})
        self.hash = blake2b()
        self.nodes: list[SimNode] = []
        for _ in range(count):
            self.start()

    def start(self, **settings: Any) -> SimNode:
        """One more node."""
        known = tuple(node.port.dial_address for node in self.nodes[: self.known])
        node = self.simulation.add(software=_believes_everything, initial_peers=known, limits=self.limits, **settings)
        self.nodes.append(node)
        number = len(self.nodes)

        def observe(_input: Any, now: int, steps: Steps, _state: Any) -> None:
            for step in steps:
                self.hash.update(f"{number} {now} {step.action_id} {step.cause_id} {type(step.action).__name__};".encode())

        node.store.observe(observe)
        return node

    def run(self, duration: int, until: Callable[[], bool] | None = None) -> bool:
        """Let time pass; looks at what it is run for once in a second of virtual time."""
        for _ in range(0, duration, SECOND):
            if until is not None and until():
                return True
            self.simulation.run(SECOND)
        return until is None or until()

    def are_all_connected(self) -> bool:
        """Everybody has as many peers as it wishes for."""
        return all(len(node.ready_peers()) >= min(self.limits.peers_min, len(self.nodes) - 1) for node in self.nodes)

    def has_settled(self) -> bool:
        """All pools hold the same, and all tips are the same."""
        return len({_contents(node) for node in self.nodes}) == 1

    def spread(self) -> None:
        """Items appear all over the network."""
        for n, node in enumerate(self.nodes[:10]):
            node.dispatch(insert_payment(n + 1))
            node.dispatch(insert_snark(n % 3 + 1, fee=20 - n))
            node.dispatch(insert_commitment(n % 2 + 1, fee=20 - n))
        for node, height in zip(self.nodes[::3], (1, 2, 3), strict=False):
            node.dispatch(BestTipSet(block(height), state_hash(height)))


def _contents(node: SimNode) -> tuple[Any, ...]:
    pools = tuple(tuple(sorted((item.key, item.body) for item in node.state.pools.of(c).items.items.values())) for c in POOL_CHANNELS)
    tip = node.state.best_tips.own
    return (*pools, None if tip is None else tip.state_hash)


def _violations(nodes: Iterable[SimNode]) -> list[PeerDisconnected]:
    return [n for node in nodes for n in node.notifications if isinstance(n, PeerDisconnected) and n.reason.code.is_violation]


def _history(seed: int, count: int) -> tuple[str, list[tuple[Any, ...]]]:
    """A network from start to rest; its hash and what everybody has."""
    network = Network(seed, count)
    assert network.run(60 * SECOND, network.are_all_connected)
    network.spread()
    assert network.run(60 * SECOND, network.has_settled)
    for node in network.nodes:
        check_invariants(node.state)
    assert _violations(network.nodes) == []
    return network.hash.hexdigest(), [_contents(node) for node in network.nodes]


@pytest.mark.parametrize(("count", "seed"), [*((3, seed) for seed in SEEDS), *((10, seed) for seed in SEEDS), (30, 1)])
def test_everything_reaches_everybody_and_the_seed_decides_how(count: int, seed: int) -> None:
    """All are connected through one address, all pools and tips become equal; the same seed does it by the same steps."""
    trace, contents = _history(seed, count)
    payments, snarks, commitments, _ = contents[0]
    assert (len(payments), len(snarks), len(commitments)) == (min(count, 10), 3, 2)
    assert _history(seed, count)[0] == trace


def test_another_seed_takes_other_steps() -> None:
    """And comes to the same end."""
    one, two = _history(1, 4), _history(2, 4)
    assert one[0] != two[0]
    assert one[1] == two[1]


def test_limits_hold_in_a_crowd() -> None:
    """Twelve nodes of which none takes more than five connections: all are in, none is over."""
    network = Network(5, 12, known=6, peers_min=3, peers_max=5)
    assert network.run(600 * SECOND, lambda: all(len(node.ready_peers()) >= 3 for node in network.nodes))
    network.run(60 * SECOND)
    assert all(3 <= len(node.ready_peers()) <= 5 for node in network.nodes)
    assert _violations(network.nodes) == []


def test_nodes_that_crash_and_come_back() -> None:
    """The others go on without them; the new ones get everything, also what they had themselves."""
    network = Network(7, 8)
    assert network.run(60 * SECOND, network.are_all_connected)
    network.spread()
    assert network.run(60 * SECOND, network.has_settled)
    lost = network.nodes[5:]
    for node in lost:
        network.simulation.network.detach(node.port, network.simulation.now)
    network.nodes = network.nodes[:5]
    network.run(45 * SECOND)
    assert all(len(node.ready_peers()) == 4 for node in network.nodes)
    network.nodes[0].dispatch(insert_payment(50))
    for node in lost:
        network.start(peer_id=node.config.peer_id)
    assert network.run(300 * SECOND, lambda: network.are_all_connected() and network.has_settled())
    assert _violations(network.nodes) == []


def test_two_halves_that_are_cut_and_heal() -> None:
    """Each goes on by itself; afterwards both have what the other got meanwhile."""
    network = Network(9, 8)
    assert network.run(60 * SECOND, network.are_all_connected)
    halves = network.nodes[:4], network.nodes[4:]
    for one in halves[0]:
        for other in halves[1]:
            network.simulation.network.cut(one.config.peer_id, other.config.peer_id, network.simulation.now)
    network.run(60 * SECOND)
    halves[0][1].dispatch(insert_payment(1))
    halves[1][1].dispatch(insert_payment(2))
    network.run(60 * SECOND)
    assert [len({_contents(node) for node in half}) for half in halves] == [1, 1]
    assert not network.has_settled()
    network.simulation.network.heal()
    # Back-off has grown meanwhile, at most to the time that the halves were apart.
    assert network.run(3_600 * SECOND, lambda: network.are_all_connected() and network.has_settled())
    assert _violations(network.nodes) == []


def test_competing_works_settle_on_the_best() -> None:
    """Ten nodes have ten works for one job; in the end all have the cheapest, however the announcements crossed."""
    for seed in SEEDS:
        network = Network(seed, 10)
        assert network.run(60 * SECOND, network.are_all_connected)
        for n, node in enumerate(network.nodes):
            node.dispatch(insert_snark(1, fee=10 + (n * 7 + seed) % 10))
        assert network.run(60 * SECOND, network.has_settled)
        (item,) = network.nodes[0].state.pools.of(ChannelId.SNARK).items.items.values()
        assert getattr(item.info, "fee", None) == 10

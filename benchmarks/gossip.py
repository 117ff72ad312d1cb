"""How fast a network becomes a mesh by address gossip: rounds of 120 s, beside spec address-gossip 4.2.

    python benchmarks/gossip.py --nodes 10 100 --seeds 3     # whole nodes, by permission, on simulated links
    python benchmarks/gossip.py --gossiper 10 100            # the gossiper alone, everybody may be told, ticks spread
    python benchmarks/gossip.py --model 1000                 # the cost model: sets and a clock

All start as a star: every node knows the first one only. Whole nodes tell their address when they find their first peer, so
they need a small part of a round; the other two wait for their tick, as the numbers of the specification do, which count from
the first possible tick.
"""

from __future__ import annotations

import argparse
import heapq
import random
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

from mina_p2p.gossiper import UNLIMITED, Gossiper, GossipParameters, empty_gossiper
from mina_p2p.gossiper.actions import (
    GossipAction,
    GossipAnnounce,
    GossipAnswered,
    GossipBegin,
    GossipHeard,
    GossipKnown,
    GossipNew,
    GossipPeerReady,
    GossipTimeout,
)
from mina_p2p.gossiper.reducer import step
from mina_p2p.ids import MILLISECOND, SECOND, Timestamp
from mina_p2p.prng import Random
from mina_p2p.testing.towns import Town

PERIOD = 120.0
TARGET, ATTEMPTS = 3, 15


def rounds_of_whole_nodes(nodes: int, seed: int) -> float | None:
    """Rounds until whole nodes, with frames, permissions and signatures, are all connected with all."""
    town = Town(seed, is_checked=False)
    town.start(1, wished=nodes, most=2 * nodes)
    for place in range(2, nodes + 1):
        town.start(place, 1, wished=nodes, most=2 * nodes)
    found = town.until_mesh(2 * PERIOD)
    return None if found is None else found / PERIOD


class Gossipers:
    """Gossipers that are linked by their own success: who hears an address for the first time links to it."""

    def __init__(self, nodes: int, seed: int) -> None:
        self.nodes, self.dice, self.now = nodes, random.Random(seed), 0.0
        parameters = GossipParameters(is_complete=True)
        self.tables: list[Gossiper] = [
            empty_gossiper(parameters, Random(seed).stream(number), b"salt", 100 * MILLISECOND) for number in range(nodes)
        ]
        self.links: list[set[int]] = [set() for _ in range(nodes)]
        self.linked = 0
        self.agenda: list[tuple[float, int, int, Any]] = []
        self.order = count()
        for number in range(1, nodes):
            self.link(0, number)
        for number in range(nodes):
            self.at(self.dice.uniform(0, PERIOD), number, "tick")

    def at(self, when: float, node: int, what: Any) -> None:
        """Something happens at a node."""
        heapq.heappush(self.agenda, (when, next(self.order), node, what))

    def latency(self) -> float:
        """One way."""
        return self.dice.uniform(0.02, 0.08)

    def link(self, one: int, other: int) -> None:
        """Both can tell each other from now on."""
        if one == other or other in self.links[one]:
            return
        self.links[one].add(other)
        self.links[other].add(one)
        self.linked += 1
        self.do(one, GossipPeerReady(other, UNLIMITED))
        self.do(other, GossipPeerReady(one, UNLIMITED))

    def do(self, node: int, action: GossipAction) -> None:
        """Step a gossiper, and carry what it says."""
        self.tables[node], orders = step(self.tables[node], action, Timestamp(int(self.now * SECOND)))
        for order in orders:
            match order:
                case GossipAnnounce(id=item, peer=peer):
                    self.at(self.now + self.latency(), peer, GossipHeard(item, node))
                case GossipKnown(id=item, peer=peer):
                    self.at(self.now + self.latency(), peer, GossipAnswered(item, node, is_held=True))
                case GossipNew(id=item, peer=peer):
                    self.at(self.now + self.latency(), peer, GossipAnswered(item, node, is_held=False))
                    self.at(self.now + 3 * self.latency(), node, int.from_bytes(item, "big"))
                case _:
                    pass

    def run(self) -> float:
        """Rounds until all are linked with all."""
        waits = [0.0] * self.nodes
        while self.linked < self.nodes * (self.nodes - 1) // 2:
            self.now, _order, node, what = heapq.heappop(self.agenda)
            if what == "tick":
                self.do(node, GossipBegin(node.to_bytes(4, "big")))
                self.at(self.now + PERIOD, node, "tick")
            elif isinstance(what, int):
                self.link(node, what)
            elif what is not None:
                self.do(node, what)
            due = self.tables[node].deadlines.next_at()
            if what is None:
                for key in self.tables[node].deadlines.due(Timestamp(int(self.now * SECOND)), 1 << 20):
                    self.do(node, GossipTimeout(key))
                due = self.tables[node].deadlines.next_at()
            if due is not None and waits[node] != due / SECOND:
                waits[node] = due / SECOND
                self.at(max(self.now, due / SECOND), node, None)
        return self.now / PERIOD


def rounds_of_gossipers(nodes: int, seed: int) -> float:
    """Rounds until gossipers that are alone with their links are all linked with all."""
    return Gossipers(nodes, seed).run()


def rounds_of_model(nodes: int, seed: int) -> float:
    """Rounds in the cost model: one epidemic after the other, no losses, no answers that are late."""
    dice = random.Random(seed)
    links: list[list[int]] = [list(range(1, nodes)), *([0] for _ in range(1, nodes))]
    is_linked = [set(others) for others in links]
    missing = nodes * (nodes - 1) // 2 - (nodes - 1)
    for tick, origin in _ticks(nodes, dice):
        heard = {origin}
        agenda: list[tuple[float, int]] = [(tick, origin)]
        new = 0
        while agenda:
            now, node = heapq.heappop(agenda)
            if node != origin and origin not in is_linked[node]:
                is_linked[node].add(origin)
                is_linked[origin].add(node)
                links[node].append(origin)
                links[origin].append(node)
                new += 1
                last = now
                if new == missing:
                    return last / PERIOD
            infected = 0
            others = links[node]
            for peer in dice.sample(others, min(ATTEMPTS, len(others))):
                if peer not in heard:
                    heard.add(peer)
                    heapq.heappush(agenda, (now + dice.uniform(0.02, 0.08) * (1 + infected), peer))
                    infected += 1
                    if infected == TARGET:
                        break
        missing -= new
    raise AssertionError("ticks do not end")


def _ticks(nodes: int, dice: random.Random) -> Iterator[tuple[float, int]]:
    first = sorted((dice.uniform(0, PERIOD), node) for node in range(nodes))
    for period in count():
        yield from ((at + period * PERIOD, node) for at, node in first)


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="*", default=[], help="whole nodes")
    parser.add_argument("--gossiper", type=int, nargs="*", default=[], help="the gossiper alone")
    parser.add_argument("--model", type=int, nargs="*", default=[], help="the cost model")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    kinds: list[tuple[str, list[int], Any]] = [
        ("whole nodes", options.nodes, rounds_of_whole_nodes),
        ("gossiper", options.gossiper, rounds_of_gossipers),
        ("model", options.model, rounds_of_model),
    ]
    for name, sizes, run in kinds:
        for nodes in sizes:
            for seed in range(options.seeds):
                began = time.perf_counter()
                rounds = run(nodes, seed)
                said = "never" if rounds is None else f"{rounds:.3f} rounds"
                print(f"{name}, {nodes} nodes, seed {seed}: {said} ({time.perf_counter() - began:.1f} s to simulate)", flush=True)


if __name__ == "__main__":
    main()

"""One gossiper, stepped by hand."""

from __future__ import annotations

from typing import Any

from mina_p2p.gossiper import UNLIMITED, Gossiper, GossipParameters, empty_gossiper
from mina_p2p.gossiper.actions import GossipAction, GossipAnnounce, GossipOrder, GossipPeerReady, GossipTimeout
from mina_p2p.gossiper.reducer import step
from mina_p2p.gossiper.state import Finished, Held, Missing, Validating
from mina_p2p.gossiper.targets import TargetOf, everybody
from mina_p2p.ids import MILLISECOND, SECOND, Timestamp
from mina_p2p.prng import Random

START = Timestamp(1_700_000_000 * SECOND)
GRANULARITY = 100 * MILLISECOND
ITEM = b"item"


class Table:
    """A gossiper, its clock, and what it ordered."""

    def __init__(
        self, *, peers: int = 0, credit: int = UNLIMITED, seed: int = 1, target_of: TargetOf = everybody, **parameters: Any
    ) -> None:
        self.gossip: Gossiper = empty_gossiper(GossipParameters(**parameters), Random(seed), b"salt", GRANULARITY)
        self.target_of = target_of
        self.now = START
        self.orders: list[GossipOrder] = []
        """Of the last action."""
        self.all: list[GossipOrder] = []
        for peer in range(1, peers + 1):
            self.do(GossipPeerReady(peer, credit))

    def do(self, action: GossipAction) -> list[GossipOrder]:
        """Step; what follows."""
        self.gossip, orders = step(self.gossip, action, self.now, self.target_of)
        self.orders = list(orders)
        self.all += self.orders
        check(self.gossip)
        return self.orders

    def is_enabled(self, action: GossipAction) -> bool:
        """Whether the action would change anything or order anything."""
        before, orders = self.gossip, self.orders
        after, more = step(before, action, self.now)
        self.orders = orders
        return after is not before or bool(more)

    def wait(self, seconds: float) -> list[GossipOrder]:
        """Let time pass; what follows from the waits that end."""
        end, found = Timestamp(self.now + int(seconds * SECOND)), list[GossipOrder]()
        while (at := self.gossip.deadlines.next_at()) is not None and at <= end:
            self.now = max(at, self.now)
            for key in self.gossip.deadlines.due(self.now, 1):
                found += self.do(GossipTimeout(key))
        self.now = end
        return found

    def told(self, item: bytes = ITEM) -> list[int]:
        """Peers that were told of an item, in order."""
        return [order.peer for order in self.all if isinstance(order, GossipAnnounce) and order.id == item]

    def where(self, item: bytes = ITEM) -> str:
        """What an item has come to."""
        match self.gossip.entry(item):
            case None:
                return "absent"
            case Missing(phase=Validating()):
                return "judged"
            case Missing():
                return "missing"
            case Held():
                return "hungry" if self.gossip.numbers.get(item) in self.gossip.hungry else "held"
            case Finished(was_held=was_held):
                return "finished" if was_held else "refused"

    def held(self, item: bytes = ITEM) -> Held:
        """The entry of an item that is held."""
        entry = self.gossip.entry(item)
        assert isinstance(entry, Held)
        return entry


def check(gossip: Gossiper) -> None:
    """The invariants of spec address-gossip 1.9."""
    parameters = gossip.parameters
    waits = 0
    for number, entry in gossip.table.items():
        assert gossip.numbers.get(entry.id) == number
        assert (number in gossip.finished) == isinstance(entry, Finished)
        waits += 1
        match entry:
            case Held(infected=infected, in_flight=in_flight, attempted=attempted):
                peers = [peer for peer, _ in in_flight]
                assert set(infected) <= set(attempted)
                assert set(peers) <= set(attempted)
                assert len(set(attempted)) == len(attempted) <= parameters.attempts_max
                assert len(peers) + len(infected) <= parameters.infection_target
                assert len(infected) < parameters.infection_target, "a saturated entry is finished"
                assert in_flight or number in gossip.hungry, "an entry that waits for nothing is wedged"
                assert set(peers) <= set(gossip.credits), "in flight to a peer that is gone"
                waits += len(in_flight)
            case Missing(holders=holders, phase=phase):
                assert holders or isinstance(phase, Validating)
                assert number not in gossip.hungry
                waits += 1
            case Finished():
                assert number not in gossip.hungry
    assert set(gossip.hungry) <= set(gossip.table)
    assert len(gossip.numbers) == len(gossip.table) <= parameters.entries_max
    assert len(gossip.deadlines) == waits
    assert list(gossip.eligible) == [peer for peer, credit in gossip.credits.items() if credit > 0]

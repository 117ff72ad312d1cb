"""Items of the node software's own, whose ids are not the items, spread by a gossiper in the node's own machine.

The carrier here is a queue with the four messages of the original (spec: address-gossip 5.8): an announcement, its answer, a
question for the item and the item. Everybody may always be told.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, get_args

import pytest

from mina_p2p import MAINNET_CHAIN_ID, Machine, P2pConfig, P2pState, PeerId, Record, Slice, initial_state, p2p_machine, record
from mina_p2p.gossiper import UNLIMITED, Gossiper, GossipParameters, empty_gossiper
from mina_p2p.gossiper.actions import (
    GossipAccepted,
    GossipAction,
    GossipAnnounce,
    GossipAnswered,
    GossipBegin,
    GossipBlamed,
    GossipBodyReceived,
    GossipDeliver,
    GossipFetch,
    GossipHeard,
    GossipKnown,
    GossipOrder,
    GossipPeerReady,
    GossipRejected,
    GossipTimeout,
    GossipValidate,
    GossipWanted,
)
from mina_p2p.gossiper.reducer import aimed, reduce
from mina_p2p.gossiper.state import Finished
from mina_p2p.gossiper.targets import All, Mixed, Only, Target
from mina_p2p.ids import MILLISECOND, SECOND, Timestamp
from mina_p2p.prng import Random

START = Timestamp(1_700_000_000 * SECOND)


@record
class SoftwareState(Record):
    """The library's whole state, and a gossiper for stories."""

    p2p: P2pState
    gossip: Gossiper
    council: frozenset[int] = frozenset()
    """Numbers of peers that stories may be for."""


def _machine(reducer: Callable[[Gossiper, Any, Timestamp, Any], Any]) -> Machine[SoftwareState]:
    return (
        p2p_machine()
        .lift(SoftwareState, "p2p")
        .extend(slices=(Slice("gossip", get_args(GossipAction), reducer),), effects=get_args(GossipOrder))
    )


MACHINE = _machine(reduce)


def story_id(text: bytes) -> bytes:
    """What names a story."""
    return blake2b(text, digest_size=32).digest()


class Town:
    """Nodes, and the messages that are on their way."""

    def __init__(
        self,
        count: int,
        *,
        is_silent: Callable[[int], bool] = lambda _number: False,
        copies: Callable[[int, str], int] = lambda _sender, _what: 1,
        dice: random.Random | None = None,
        machine: Machine[SoftwareState] = MACHINE,
        council: frozenset[int] = frozenset(),
    ) -> None:
        self.now = START
        self.machine = machine
        self.copies = copies
        """How many of a message arrive, by its sender and what it is."""
        self.dice = dice
        """What mixes the messages, if anything does."""
        self.is_silent = is_silent
        """Of which nodes no answer and no item arrives."""
        self.messages: deque[tuple[int, int, str, bytes, Any]] = deque()
        self.stories: dict[int, dict[bytes, bytes]] = {number: {} for number in range(1, count + 1)}
        self.blamed: list[tuple[int, int]] = []
        self.judged = 0
        self.states = {number: self._node(number).replace(council=council) for number in self.stories}
        for number in self.stories:
            for other in self.stories:
                if other != number:
                    self.do(number, GossipPeerReady(other, UNLIMITED))

    @staticmethod
    def _node(number: int) -> SoftwareState:
        config = P2pConfig(PeerId(number.to_bytes(32, "big")), MAINNET_CHAIN_ID)
        parameters = GossipParameters(remainder_timeout=5 * SECOND)
        return SoftwareState(initial_state(config, START), empty_gossiper(parameters, Random(number), b"salt", 100 * MILLISECOND))

    def do(self, number: int, action: GossipAction) -> None:
        """Dispatch to a node, and do what it orders."""
        self.states[number], effects, _steps = self.machine.dispatch(self.states[number], action, self.now)
        for effect in effects:
            self._carry(number, effect)

    def _carry(self, me: int, order: GossipOrder) -> None:
        match order:
            case GossipAnnounce(id=name, peer=peer):
                self._send((me, peer, "gossip", name, None))
            case GossipKnown(id=name, peer=peer):
                self._send((me, peer, "response", name, True))
            case GossipFetch(id=name, peer=peer):
                self._send((me, peer, "response", name, False))
            case GossipDeliver(id=name, peer=peer):
                self._send((me, peer, "item", name, self.stories[me][name]))
            case GossipValidate(id=name, body=body):
                self.judged += 1
                if story_id(body) == name:
                    self.stories[me][name] = body
                    self.do(me, GossipAccepted(name))
                else:
                    self.do(me, GossipRejected(name))
            case GossipBlamed(peer=peer):
                self.blamed.append((me, peer))
            case _:
                pass

    def _send(self, message: tuple[int, int, str, bytes, Any]) -> None:
        self.messages.extend([message] * self.copies(message[0], message[2]))

    def deliver(self) -> None:
        """Let everything arrive."""
        while self.messages:
            if self.dice is not None:
                self.messages.rotate(self.dice.randrange(len(self.messages)))
            source, target, what, name, more = self.messages.popleft()
            if what == "gossip":
                self.do(target, GossipHeard(name, source, is_stored=name in self.stories[target]))
            elif what == "item":
                self.do(target, GossipBodyReceived(name, source, more))
            elif not self.is_silent(target) or more:
                self.do(target, GossipAnswered(name, source, more))
                if not more:
                    self.do(target, GossipWanted(name, source))

    def tell(self, number: int, text: bytes) -> bytes:
        """A node has a new story."""
        name = story_id(text)
        self.stories[number][name] = text
        self.do(number, GossipBegin(name))
        return name

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + int(seconds * SECOND)
        while True:
            self.deliver()
            due = [(at, number) for number, state in self.states.items() if (at := state.gossip.deadlines.next_at()) is not None]
            if not due or min(due)[0] > end:
                break
            at, number = min(due)
            self.now = max(self.now, at)
            for key in self.states[number].gossip.deadlines.due(self.now, 1):
                self.do(number, GossipTimeout(key))
        self.now = Timestamp(end)


@pytest.mark.parametrize(("nodes", "stories"), [(2, 1), (2, 30), (5, 10), (20, 1), (20, 30)])
def test_every_node_gets_every_item_once(nodes: int, stories: int) -> None:
    """Items reach everybody, are judged once at each node, and leave nothing behind (reference: should_gossip)."""
    town = Town(nodes)
    for number in range(stories):
        town.tell(number % nodes + 1, b"story %d" % number)
    town.wait(20)
    assert all(len(known) == stories for known in town.stories.values())
    assert town.judged == stories * (nodes - 1)
    town.wait(130)
    assert all(len(state.gossip.table) == 0 for state in town.states.values())


def test_an_item_comes_from_another_holder() -> None:
    """Where the one that announced it does not send it, the next that announced it is asked (reference: should_get_from_alternate_source)."""
    town = Town(4, is_silent=lambda number: number == 1)
    name = town.tell(1, b"story")
    town.deliver()
    town.tell(2, b"story")
    town.wait(20)
    assert all(name in known for known in town.stories.values())


def test_an_old_item_is_not_spread_again() -> None:
    """Who has forgotten that it told an item, and still has it, is not interested when it is announced (reference: ..._old_stored_item_again)."""
    town = Town(5)
    name = town.tell(1, b"story")
    town.wait(200)
    assert all(len(state.gossip.table) == 0 for state in town.states.values())
    judged = town.judged
    town.do(1, GossipBegin(name))
    announced = [target for _source, target, _what, _name, _more in town.messages]
    town.wait(10)
    assert len(announced) == 3
    assert town.judged == judged
    assert all(state.gossip.entry(name) is None for number, state in town.states.items() if number != 1)


def test_a_forged_item_is_refused_and_its_sender_named() -> None:
    """What does not fit its id stays nowhere, and who sent it is known."""
    town = Town(3)
    name = story_id(b"story")
    town.stories[1][name] = b"another story"
    town.do(1, GossipBegin(name))
    town.wait(20)
    assert sorted(town.blamed) == [(2, 1), (3, 1)]
    for number in (2, 3):
        assert name not in town.stories[number]
        entry = town.states[number].gossip.entry(name)
        assert isinstance(entry, Finished)
        assert not entry.was_held


@pytest.mark.parametrize("seed", range(3))
def test_loss_reordering_and_duplicates_wedge_nothing(seed: int) -> None:
    """Where a twentieth of the messages is lost, one comes twice now and then and all come in any order, all items end (spec 4.2, 4.3)."""
    dice = random.Random(seed)
    town = Town(20, copies=lambda _sender, _what: dice.choices((0, 1, 2), (5, 90, 5))[0], dice=dice)
    for number in range(20):
        town.tell(number + 1, b"story %d" % number)
        town.wait(1)
    town.wait(120)
    reached = sum(map(len, town.stories.values()))
    assert reached >= 0.99 * 20 * 20
    town.wait(130)
    assert all(len(state.gossip.table) == len(state.gossip.deadlines) == 0 for state in town.states.values())


def test_an_item_dies_where_some_never_answer() -> None:
    """With a tenth of the nodes mute, one item is over at all of them after T / (1 - s) + F and some spreading (spec 1.8 D2)."""
    parameters = GossipParameters()
    town = Town(60, copies=lambda sender, what: 0 if what == "response" and sender % 10 == 0 else 1)
    name = town.tell(1, b"story")
    town.wait(parameters.answer_timeout * 100 / (100 - parameters.saturation_limit_percent) / SECOND)
    assert all(isinstance(state.gossip.entry(name), Finished) for n, state in town.states.items() if n % 10)
    town.wait(parameters.finished_entry_duration / SECOND + 5)
    assert all(state.gossip.entry(name) is None for n, state in town.states.items() if n % 10)


def _only(root: SoftwareState, _name: bytes) -> Target:
    return Only(root.council.__contains__)


def _mixed(root: SoftwareState, _name: bytes) -> Target:
    return Mixed(root.council.__contains__)


def _everybody(_root: SoftwareState, _name: bytes) -> Target:
    return All()


@pytest.mark.parametrize("seed", range(3))
def test_items_for_a_set_reach_all_of_it_and_nobody_else(seed: int) -> None:
    """Whom the software's own state names is told, at every node, whatever becomes of messages on the way; where nobody is named all are."""
    dice = random.Random(seed)
    council = frozenset(dice.sample(range(1, 25), 8))
    town = Town(24, machine=_machine(aimed(_only)), council=council, dice=dice)
    name = town.tell(min(council), b"a secret")
    town.wait(130)
    assert {number for number, known in town.stories.items() if name in known} == council
    for number, state in town.states.items():
        town.states[number] = state.replace(council=frozenset())
    story = town.tell(1, b"story")
    town.wait(130)
    assert all(story in known for known in town.stories.values())


def test_items_for_a_set_and_others_reach_everybody() -> None:
    """And each node tells of both kinds at first, where it knows of both."""
    council = frozenset({2, 4, 6})
    town = Town(24, machine=_machine(aimed(_mixed)), council=council)
    name = town.tell(1, b"story")
    first = {target for _source, target, what, _name, _more in town.messages if what == "gossip"}
    assert len(first) == 3
    assert len(first & council) in {1, 2}
    town.wait(130)
    assert all(name in known for known in town.stories.values())


def test_a_reducer_that_aims_at_everybody_is_the_usual_one() -> None:
    """One seed, one network: to the last entry."""
    towns = [Town(12, machine=machine) for machine in (MACHINE, _machine(aimed(_everybody)))]
    for town in towns:
        town.tell(3, b"story")
        town.wait(5)
    assert [str(state.gossip) for state in towns[0].states.values()] == [str(state.gossip) for state in towns[1].states.values()]

"""Whole networks from one seed: they survive every kind of fault and liar, the same way each time, and planted bugs are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from mina_p2p.channels.propagation.actions import ChannelsPropagationResponseSend
from mina_p2p.channels.state import Channels
from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.ids import SECOND, ChannelId
from mina_p2p.peer.state import Banned
from mina_p2p.pool import reducer as pool_reducer
from mina_p2p.pool.distributed import DistributedPool
from mina_p2p.reducer import p2p_machine
from mina_p2p.testing.campaign import Options, Outcome, Phase, Run, simulate
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.faults import SOURCES, FaultKind, FaultSource, parse_faults
from mina_p2p.testing.health import missing
from mina_p2p.testing.liars import (
    STRATEGIES,
    AnswersWrong,
    FloodsConnections,
    LiesAboutBlocks,
    LiesAboutPeers,
    NeverAnswers,
    PromisesTooMuch,
    SendsGarbage,
    SendsUnasked,
    SpreadsFakes,
    Strategy,
    Truncates,
)
from mina_p2p.testing.stock import stock
from mina_p2p.testing.world import World


def options(seed: int, *faults: FaultKind, nodes: int = 4, **settings: Any) -> Options:
    return Options(seed, nodes, faults, **{"transactions": 6, "fault_duration": 40 * SECOND, **settings})


def require_good(outcome: Outcome) -> None:
    assert outcome.violations == ()
    assert outcome.missing == ()
    assert outcome.converged


@pytest.mark.parametrize("nodes", [2, 3, 10])
def test_a_network_in_calm_weather_converges_soon(nodes: int) -> None:
    """Two, three and ten nodes come to have the same pools and tips, within seconds."""
    outcome = simulate(options(1, nodes=nodes))
    require_good(outcome)
    assert outcome.virtual_seconds < 15
    assert outcome.up_at is not None


@pytest.mark.parametrize("kind", FaultKind, ids=lambda kind: kind.value)
def test_a_network_recovers_from_each_kind_of_fault(kind: FaultKind) -> None:
    """Every kind by itself, often: safety holds while it happens, and all is well after it stops."""
    happened = 0

    def counted(source: FaultSource) -> FaultSource:
        def fault(world: World, dice: Dice) -> Iterator[int]:
            nonlocal happened
            happened += 1
            return source.fault(world, dice)

        return FaultSource(fault, source.every // 4)

    sources = {known: counted(source) for known, source in SOURCES.items()}
    require_good(simulate(options(3, kind), sources=sources))
    assert happened >= 3 or kind is FaultKind.LIARS


PROVEN = {SendsUnasked, PromisesTooMuch, Truncates, SendsGarbage, AnswersWrong, NeverAnswers, SpreadsFakes, LiesAboutBlocks}
"""Strategies whose lies can be proven, or are held against whoever does not answer."""


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.__name__)
def test_a_network_copes_with_each_kind_of_liar(strategy: type[Strategy]) -> None:
    """Honest nodes converge though one of them lies all the time; a proven lie costs the liar, and no honest node is banned."""
    run = Run(options(5, FaultKind.LIARS, nodes=6, transactions=12, fault_duration=60 * SECOND), strategies=(strategy,))
    banned: Counter[bool] = Counter()
    while run.advance():
        (liar,) = (member for member in run.world.members if not member.is_honest)
        for _, node in run.world.up():
            banned.update(peer.peer_id == liar.peer_id for peer in node.state.peers.table.values() if isinstance(peer.status, Banned))
    require_good(run.outcome())
    assert run.outcome().liars == (strategy.__name__,)
    assert not banned[False]
    assert bool(banned[True]) == (strategy in PROVEN - {NeverAnswers})


def test_liars_of_all_kinds_are_tried() -> None:
    """The table of strategies is what a seed draws from."""
    assert set(STRATEGIES) == PROVEN | {LiesAboutPeers, FloodsConnections}


@pytest.mark.parametrize("seed", range(4))
def test_a_seed_decides_everything(seed: int) -> None:
    """The same seed twice does the same, action by action; what happens in between, in other runs, has no influence."""
    chosen = Options(seed, 6, tuple(FaultKind), is_swarm=True, transactions=6, fault_duration=60 * SECOND)
    first = simulate(chosen)
    require_good(first)
    require_good(simulate(chosen.replace(seed=seed + 100, fault_duration=20 * SECOND)))
    assert simulate(chosen) == first


def test_other_seeds_do_other_things() -> None:
    """Hashes of the traces of ten seeds are all different, and so are most of the drawn kinds of faults."""
    outcomes = [simulate(Options(seed, 3, tuple(FaultKind), True, transactions=2, fault_duration=10 * SECOND)) for seed in range(10)]
    assert len({outcome.trace_hash for outcome in outcomes}) == 10
    assert len({outcome.faults for outcome in outcomes}) > 4


def test_thirty_nodes_recover() -> None:
    """A network in which no node is connected to most others, in the weather that its seed draws."""
    require_good(simulate(Options(2, 30, tuple(FaultKind), True, peers=6, transactions=4, fault_duration=6 * SECOND)))


@pytest.mark.parametrize(
    ("seed", "nodes", "transactions", "duration"),
    [
        (4, 4, 4, 20),  # an announcer too many was forgotten, and with it the item
        (65, 10, 20, 40),  # a request overtook the withdrawal of the one before, over a slow link
        (179, 10, 20, 120),  # the same on the discovery channel, because its sender's clock had jumped
    ],
)
def test_seeds_that_once_failed(seed: int, nodes: int, transactions: int, duration: int) -> None:
    """What a campaign found stays found."""
    require_good(simulate(Options(seed, nodes, tuple(FaultKind), True, transactions=transactions, fault_duration=duration * SECOND)))


def test_a_clean_network_tells_of_no_refusals_of_honest_peers() -> None:
    """The excuse for accusations among honest nodes is for bad weather only."""
    assert Run(options(1)).world.excused == frozenset()
    assert Run(options(1, FaultKind.LOSS)).world.excused


# --- planted bugs -----------------------------------------------------------------------------


@pytest.fixture
def own_machine() -> Iterator[None]:
    """The machine keeps the guards that it was built with: build it anew for a test that changes one."""
    p2p_machine.cache_clear()
    yield
    p2p_machine.cache_clear()


def test_a_forgotten_clean_up_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that keeps the item whose key an update took breaks an invariant, which names the node, the time and the path."""

    def insert(self: Any, key: bytes, item: Any) -> Any:
        return self.replace(items=self.items.set(self.counter, item), by_key=self.by_key.set(key, self.counter), counter=self.counter + 1)

    monkeypatch.setattr(DistributedPool, "insert", insert)
    outcome = simulate(options(1))
    assert not outcome.converged
    (violation,) = outcome.violations
    assert violation.startswith("node ")
    assert "pools.snark.items.by_key" in violation


@pytest.mark.usefixtures("own_machine")
def test_a_node_that_sends_too_much_is_accused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Honest nodes that send more than they were permitted are found by what the other side says of them."""
    original = DistributedPool.next_to_send

    def generous(self: Any, index: int, limit: int, extract: Any) -> Any:
        return original(self, index, limit + 3, extract)

    monkeypatch.setattr(DistributedPool, "next_to_send", generous)
    monkeypatch.setattr(ChannelsPropagationResponseSend, "is_enabled", lambda *_: True)
    outcome = simulate(options(2, FaultKind.LOSS, transactions=80, nodes=3))
    assert any("accuses an honest peer: CHANNEL_MSG_OVER_PERMISSION" in violation for violation in outcome.violations)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_network_that_only_slow_timers_keep_alive_does_not_pass(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Once all is well nodes stop to use permissions that wait; when these are renewed something new still comes to all: that is too late."""

    class Tired(Run):
        def deal_last(self) -> None:
            monkeypatch.setattr(Channels, "waiting_for", lambda *_: ())
            super().deal_last()

    run = Tired(options(seed))
    while run.advance():
        pass
    outcome = run.outcome()
    assert run.phase is Phase.OVER
    assert not outcome.converged
    assert outcome.violations == ()
    assert any("pool" in what for what in outcome.missing)
    run.world.simulation.run(3_600 * SECOND)
    assert list(missing(run.world)) == []


def test_a_reducer_that_raises_is_reported_with_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own bug ends the run; the input at which it happened is kept for the log."""

    def broken(*_: Any) -> Any:
        raise InvariantViolationError("planted")

    monkeypatch.setattr(pool_reducer, "_fetched", broken)
    run = Run(options(2))
    while run.advance():
        pass
    assert run.phase is Phase.OVER
    assert "planted" in run.outcome().violations[0]
    assert run.world.simulation.failed_input is not None


# --- what users bring -------------------------------------------------------------------------


def test_users_bring_liars_and_faults() -> None:
    """A strategy and a fault that a user wrote take part, and the fault is undone when faults end."""
    log: list[str] = []

    class Silent(Strategy):
        period = SECOND

        def perform(self, node: Any, effect: Any) -> Any:
            log.append("liar")
            return ()

    def eclipse(world: World, dice: Dice) -> Iterator[int]:
        log.append("begun")
        try:
            yield 3_600 * SECOND
        finally:
            log.append("undone")

    sources = {FaultKind.LOSS: FaultSource(eclipse, 10 * SECOND)}
    outcome = simulate(options(1, FaultKind.LOSS, FaultKind.LIARS), strategies=(Silent,), sources=sources)
    require_good(outcome)
    assert outcome.liars == ("Silent",)
    assert log.count("begun") == log.count("undone") > 0
    assert "liar" in log


# --- parts ------------------------------------------------------------------------------------


def test_faults_are_chosen_by_name() -> None:
    """All, none, or a list in any order; another word is refused with what there is."""
    assert parse_faults("all") == tuple(FaultKind)
    assert parse_faults("none") == ()
    assert parse_faults("liars, loss") == (FaultKind.LOSS, FaultKind.LIARS)
    with pytest.raises(CallerError, match="slow-reader"):
        parse_faults("loss,rain")


def test_the_stock_has_what_chain_and_fee_decide() -> None:
    """Of two works for one job one is better, of two chains one is longer, and fakes look like payments."""
    made = stock(6)
    keys = [piece.key for piece in made.snarks]
    assert keys[::2] == keys[1::2]
    assert all(tip.is_better_than(made.tips[0]) for tip in made.tips[1:])
    assert made.tips[-1].is_better_than(made.tips[1])
    assert all(made.is_genuine(piece.channel, piece.info, piece.body) for piece in made.pieces)
    assert not any(made.is_genuine(piece.channel, piece.info, piece.body) for piece in made.fakes)
    assert {piece.channel for piece in made.fakes} == {ChannelId.TRANSACTION}


def test_what_is_missing_is_said() -> None:
    """Before anything has spread, a network is not well, and says why."""
    run = Run(options(1))
    run.advance()
    assert "1 of 4 members are joined by connections" in list(missing(run.world))
    run.world.deal(run.world.stock.tips[0])
    assert sum("does not follow the best chain" in what for what in missing(run.world)) == 3
    run.world.crash(*run.world.up()[0], keeps=True)
    assert list(missing(run.world)) == ["1 members are down"]


def test_dice_are_fair_enough() -> None:
    """Bounds hold, every value comes, samples are without repetition, and names make independent dice."""
    dice = Dice(1, "a")
    assert {dice.below(6) for _ in range(200)} == set(range(6))
    assert {dice.between(3, 5) for _ in range(100)} == {3, 4, 5}
    assert sorted(dice.sample(range(10), 20)) == list(range(10))
    assert len(dice.raw(13)) == 13
    assert [Dice(1, "a").value() for _ in range(3)] == [Dice(1, "a").value() for _ in range(3)]
    assert Dice(1, "a").value() != Dice(1, "b").value() != Dice(2, "b").value()


def test_no_node_sleeps_longer_than_its_state_wishes() -> None:
    """After every step, clocks that jump included: a node's timer is set for its next wish or earlier, though it does not ask after every input."""
    run = Run(options(5, FaultKind.CLOCK, FaultKind.STREAMS, FaultKind.LOSS))
    world, late = run.world, list[str]()

    def looks() -> bool:
        for _, node in world.up():
            wish = node.wakes_at()
            due = None if wish is None else max(wish - node.clock_ahead, world.simulation.now)
            if due is not None and (node._wake_at is None or node._wake_at > due):
                late.append(f"node {node.number} at {world.seconds}")
        return bool(late)

    world.simulation.run(30 * SECOND, until=looks)
    assert late == []
    assert run.trace.actions > 1_000

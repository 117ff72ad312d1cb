"""Networks whose blocks have items: every honest node has every winning block, past each lie that there is about blocks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mina_p2p.blocks import serving
from mina_p2p.channels.block.messages import BLOCK_MESSAGE, BlockHeaderItem, BlockItems, BlockMessage
from mina_p2p.disconnection.reasons import Reason
from mina_p2p.errors import DecodeError
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, ChannelId, Timestamp
from mina_p2p.store import Steps
from mina_p2p.testing.block_campaign import FINAL_BLOCKS, BlockRun, block_stock, simulate_blocks
from mina_p2p.testing.block_liars import BLOCK_STRATEGIES
from mina_p2p.testing.course import Options, Outcome
from mina_p2p.testing.faults import FaultKind
from mina_p2p.testing.liars import STRATEGIES, LiesAboutBlocks, Strategy
from mina_p2p.testing.sim import SimNode
from mina_p2p.testing.world import World
from mina_p2p.transport import ChannelsMessageReceived
from mina_p2p_effects.cli import main


def _options(seed: int, *faults: FaultKind, nodes: int = 6, seconds: int = 40, **settings: Any) -> Options:
    return Options(seed, nodes, faults, transactions=6, fault_duration=seconds * SECOND, **settings)


def _require_good(outcome: Outcome) -> None:
    assert outcome.violations == ()
    assert outcome.missing == ()
    assert outcome.converged


class Listener:
    """What all nodes receive by channel 10."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()

    def observer(self, node: SimNode) -> Callable[[Any, Timestamp, Steps, Any], None]:
        """Of one node's store."""

        def observe(action: Any, _now: Timestamp, _steps: Steps, _state: Any) -> None:
            if isinstance(action, ChannelsMessageReceived) and action.channel == ChannelId.BLOCK:
                try:
                    self._count(BLOCK_MESSAGE.decode(action.frame))
                except DecodeError:
                    self.kinds["noise"] += 1

        return observe

    def _count(self, message: BlockMessage) -> None:
        self.kinds[type(message).__name__] += 1
        if isinstance(message, BlockHeaderItem):
            self.kinds[type(message.rest).__name__] += 1
        if isinstance(message, BlockItems):
            self.kinds["items"] += len(message.items)


def test_blocks_travel_in_every_way_that_there_is() -> None:
    """Over a few seeds: with their bodies, by outlines and items, by whole bodies, and announced while they are checked."""
    listener = Listener()
    for seed in range(12):
        _require_good(simulate_blocks(_options(seed, FaultKind.LOSS, FaultKind.PARTITION), observers=(listener.observer,)))
    wanted = {"BlockHash", "BlockChecking", "OutlineRest", "BodyRest", "BlockGetHeader", "BlockGetItems", "BlockItems", "BlockBodyItem"}
    assert wanted <= listener.kinds.keys()
    assert listener.kinds["items"] > 50
    assert listener.kinds["noise"] == 0


@pytest.mark.parametrize("strategy", BLOCK_STRATEGIES, ids=lambda strategy: strategy.__name__)
def test_a_network_copes_with_each_lie_about_blocks(strategy: type[Strategy]) -> None:
    """Every honest node has every block of the last ones though one lies all the time; honest nodes leave it, with a reason, and nobody else."""
    accused: Counter[bool] = Counter()

    class Watched(BlockRun):
        def make_world(self) -> World:
            world = super().make_world()
            hear = world.accuse

            def accuse(accuser: SimNode, peer_id: PeerId, reason: Reason) -> None:
                if world.is_honest(accuser.config.peer_id):
                    accused[world.is_honest(peer_id)] += 1
                hear(accuser, peer_id, reason)

            world.accuse = accuse  # type: ignore[method-assign]
            return world

    for seed in (1, 2, 3):
        run = Watched(_options(seed, FaultKind.LIARS, seconds=80), strategies=(strategy,))
        while run.advance():
            pass
        _require_good(run.outcome())
        assert run.outcome().liars == (strategy.__name__,)
    assert accused[False]
    assert not accused[True]


def test_the_last_blocks_come_one_after_the_other() -> None:
    """Each is given to a member only when all honest members have the one before; all have the last in the end."""
    before: list[set[bytes]] = []
    names = [tip.summary.state_hash for tip in block_stock(6).tips[-FINAL_BLOCKS:]]

    class Watched(BlockRun):
        def tips(self) -> set[bytes]:
            own = [node.state.best_tips.own for _, node in self.world.up()]
            return {tip.state_hash for tip in own if tip is not None}

        def deal_last(self) -> None:
            before.append(self.tips())
            super().deal_last()

    for seed in range(6):
        before.clear()
        run = Watched(_options(seed, FaultKind.LIARS))
        while run.advance():
            pass
        _require_good(run.outcome())
        assert [*before[1:], run.tips()] == [{name} for name in names]


def test_blocks_of_the_chain_win_over_those_before() -> None:
    """Of each pair the first is followed; its rival has the same height and another hash."""
    root, *rest = block_stock(6).tips
    pairs, finals = rest[:-FINAL_BLOCKS], rest[-FINAL_BLOCKS:]
    chain = [root, *pairs[::2], *finals]
    assert all(later.is_better_than(earlier) for earlier, later in pairwise(chain))
    for first, second in zip(pairs[::2], pairs[1::2], strict=True):
        assert first.summary.height == second.summary.height
        assert first.summary.state_hash != second.summary.state_hash


@pytest.mark.parametrize("seed", range(3))
def test_a_seed_decides_everything(seed: int) -> None:
    """The same seed twice does the same, action by action, in whatever weather."""
    chosen = _options(seed, *FaultKind, is_swarm=True)
    first = simulate_blocks(chosen)
    _require_good(first)
    assert simulate_blocks(chosen) == first


def test_nodes_that_no_longer_ask_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug: nobody asks for headers, outlines and bodies, and a block whose hash alone was told never comes."""

    def asks_nobody(_turn: object, _number: int, _kind: object) -> None:
        pass

    monkeypatch.setattr("mina_p2p.blocks.pursuit.ask_one", asks_nobody)
    outcomes = [simulate_blocks(_options(seed, FaultKind.LOSS, patience=200 * SECOND, nodes=8, peers=3)) for seed in range(8)]
    assert any(not outcome.is_good for outcome in outcomes)


def test_older_seeds_draw_none_of_these_liars() -> None:
    """`mina-p2p simulate` without ``--network blocks`` does what it did."""
    assert not set(BLOCK_STRATEGIES) & (set(STRATEGIES) - {LiesAboutBlocks})


def test_blocks_hold_what_pools_spread_and_what_their_producer_alone_knows() -> None:
    """So that some items are here, and others have to be asked for."""
    stock = block_stock(20)
    spread = {piece.body for piece in stock.transactions}
    blocks = [tip.block.value.body.staged_ledger_diff.diff.first for tip in stock.tips[1:]]
    known = [sum(bytes(command.data) in spread for command in block.commands) for block in blocks]
    assert sum(known) > 5
    assert all(len(block.commands) > count for block, count in zip(blocks, known, strict=True))
    assert any(block.completed_works for block in blocks)


def test_the_command_runs_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With liars of its own, a command that shows the seed again, and files to resume from that are of no other campaign."""
    small = ["simulate", "--network", "blocks", "--nodes", "4", "--transactions", "4", "--duration", "20", "--faults", "liars"]
    assert main([*small, "--seed", "2", "--twice", "--liars", "WrongItem", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["liars"] == ["WrongItem"]
    assert report["deterministic"] is True
    assert report["command"].endswith("--network blocks --liars WrongItem")
    assert main([*small, "--seed", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["liars"][0] in {strategy.__name__ for strategy in BLOCK_STRATEGIES}
    file = tmp_path / "done.jsonl"
    assert main([*small, "--seeds", "1..2", "--jobs", "1", "--resume", str(file)]) == 0
    capsys.readouterr()
    others = [argument for argument in small if argument not in {"--network", "blocks"}]
    assert main([*others, "--seeds", "1..2", "--jobs", "1", "--resume", str(file)]) == 2
    assert "is_about_blocks" in capsys.readouterr().err


def test_members_differ_in_their_settings_and_two_may_lie() -> None:
    """What one node permits another might not know of; lies of two kinds might help each other."""
    worlds = [BlockRun(_options(seed, FaultKind.LIARS, nodes=10)).world for seed in range(8)]
    assert all(len({member.blocks for member in world.members}) > 5 for world in worlds)
    assert {len(world.members) - len(world.honest) for world in worlds} == {1, 2}


def test_a_node_that_sends_a_body_which_was_not_permitted_is_accused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its own settings say: others have other ones."""
    monkeypatch.setattr("mina_p2p.blocks.serving._is_busy", lambda *_: False)
    original = serving._header
    monkeypatch.setattr("mina_p2p.blocks.serving._header", lambda turn, held, peer, _permitted: original(turn, held, peer, 1 << 20))
    outcome = simulate_blocks(_options(1, FaultKind.LOSS))
    assert any("accuses an honest peer: CHANNEL_MSG_OVER_PERMISSION on BLOCK" in violation for violation in outcome.violations)


def test_a_request_that_is_longer_than_quic_permits_is_accused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network in memory has the limit of the real one."""
    monkeypatch.setattr("mina_p2p.testing.network.REQUEST_BYTES_MAX", 40)
    outcome = simulate_blocks(_options(2, FaultKind.LOSS))
    assert any("accuses an honest peer: CHANNEL_MSG_TOO_LARGE" in violation for violation in outcome.violations)

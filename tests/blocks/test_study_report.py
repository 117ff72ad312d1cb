"""What ``mina-p2p block-study`` says of its runs: numbers that agree, and networks that are not passed over in silence."""

from __future__ import annotations

from typing import Any

import pytest

from mina_p2p.blocks.study import Outcome, Protocol, Setting
from mina_p2p.ids import MILLISECOND
from mina_p2p_effects.cli.block_study_report import Named, compared, comparison, line, plain

NODES = 11


def outcome(protocol: Protocol, seed: int = 1, milliseconds: float = 300, reached: int = NODES - 1, **setting: Any) -> Outcome:
    """One in which so many nodes have the block, the last of them after that time."""
    times = tuple(round(milliseconds * MILLISECOND * (number + 1) / reached) for number in range(reached))
    return Outcome(
        protocol.value, Setting(nodes=NODES, peers=4, seed=seed, **setting), 14_313, 1_610, reached, times, 14_000.0, 2_000.0, 70.0
    )


def network(seed: int, ours: Outcome | None = None, **reached: int) -> list[Named]:
    """The three protocols in one network."""
    others = [outcome(protocol, seed, 400, reached.get(protocol.name, NODES - 1)) for protocol in (Protocol.BEST_TIP, Protocol.GOSSIP)]
    return [("one", found) for found in (ours or outcome(Protocol.OUTLINES, seed), *others)]


def test_networks_that_were_not_reached_are_counted() -> None:
    """The medians are of the networks that both sides reached; how many are not among them is said, and by whom they were not reached."""
    lost = outcome(Protocol.OUTLINES, 2, 100, reached=5)
    runs = [*network(1), *network(2, lost), *network(3, BEST_TIP=3, GOSSIP=3), *network(4, GOSSIP=0)]
    (row,) = compared(runs, 2)
    assert (row["networks"], row["not_reached"], row["others_not_reached"]) == (2, 1, 1)
    assert row["of_the_better"] == pytest.approx(0.75)
    assert "2 networks, 1 not reached, 1 reached by channel 10 alone: ms to 99 % 300, of the better of the others 0.75" in comparison(row)


def test_a_row_says_so_where_no_network_was_reached() -> None:
    """It is there, with nothing to compare."""
    (row,) = compared(network(1, outcome(Protocol.OUTLINES, 1, 100, reached=5)), 2)
    assert (row["networks"], row["not_reached"], row["ms_to_99"], row["of_the_better"]) == (0, 1, None, None)
    assert comparison(row).endswith("0 networks, 1 not reached: nothing to compare")


def test_networks_that_were_not_run_to_the_end_are_not_compared() -> None:
    """As long as one of the others is missing, the better of them is not known."""
    assert list(compared(network(1)[:2], 2)) == []
    (row,) = compared([*network(1), *network(2)[:1]], 2)
    assert (row["networks"], row["not_reached"], row["others_not_reached"]) == (1, 0, 0)


def test_one_time_is_one_number_everywhere() -> None:
    """The line of a run, its JSON and the comparison round alike."""
    ours = outcome(Protocol.OUTLINES, milliseconds=310.6)
    assert "/ 311, bytes" in line("one", ours)
    assert plain("one", ours)["ms_to"]["99"] == 311
    (row,) = compared(network(1, ours), 2)
    assert "ms to 99 % 311," in comparison(row)


def test_a_run_says_how_to_run_it_again() -> None:
    """Everything that decides it; of real nodes neither widths nor delays."""
    found = plain("one", outcome(Protocol.OUTLINES, 7, earlier=5, verify=500 * MILLISECOND, warm_percent=90))
    names = ("nodes", "peers", "warm_percent", "rate_mbit_per_second", "verify_ms", "delay_ms", "earlier", "seed")
    assert [found[name] for name in names] == [NODES, 4, 90, 10, 500, [20, 200], 5, 7]
    real = plain("one", outcome(Protocol.OUTLINES, rate=0))
    assert (real["rate_mbit_per_second"], real["delay_ms"]) == (None, None)

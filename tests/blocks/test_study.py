"""The comparison of ways in which a block travels, as a function and as a command."""

from __future__ import annotations

import json
from functools import cache, partial, partialmethod
from pathlib import Path
from typing import Any

import pytest

from mina_p2p.blocks.downlink import Downlink
from mina_p2p.blocks.simulated import BlockSimulation
from mina_p2p.blocks.study import Outcome, Protocol, Setting, earlier_blocks, patience, steps_to_all, study, topology
from mina_p2p.errors import CallerError
from mina_p2p.ids import MILLISECOND, SECOND, ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.mina.hashes import block_summary
from mina_p2p.mina.raw import RawBlock
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.testing.sim import START
from mina_p2p.transport import ChannelsMessageReceived, ChannelsStreamEnded, TransportEvent
from mina_p2p_effects.cli import main


@cache
def blocks_to_study() -> tuple[bytes, ...]:
    """Two blocks with payments and a snark work, the second better."""
    generator = MinaGenerator(9)
    tip = generator.chain(9)[-1]
    made: list[bytes] = []
    for _ in range(2):
        tip = generator.block(tip, commands=tuple(generator.user_command() for _ in range(20)), works=(generator.snark_work(),))
        made.append(bytes(RawBlock.of(tip)))
    return tuple(made)


def _study(protocol: Protocol, setting: Setting) -> Outcome:
    """Of one block."""
    (outcome,) = study(blocks_to_study()[:1], protocol, setting.replace(earlier=8))
    return outcome


def test_warm_nodes_receive_little_more_than_the_header() -> None:
    """And cold ones the block once; the classic channel brings it from every peer."""
    setting = Setting(nodes=8, peers=4)
    warm = _study(Protocol.OUTLINES, setting)
    assert warm.reached == 7
    header = warm.block_bytes - warm.body_bytes
    assert warm.useful_bytes <= header + max(512, warm.body_bytes // 20)
    classic = _study(Protocol.BEST_TIP, setting)
    assert classic.reached == 7
    assert classic.useful_bytes >= classic.block_bytes
    assert warm.useful_bytes + warm.duplicate_bytes < classic.useful_bytes + classic.duplicate_bytes


@pytest.mark.parametrize("protocol", [Protocol.OUTLINES, Protocol.GOSSIP])
def test_the_seed_decides(protocol: Protocol) -> None:
    """The same network, the same outcome; another seed, another one."""
    setting = Setting(nodes=5, peers=2, warm_percent=50, verify=100 * MILLISECOND)
    first, again = (_study(protocol, setting) for _ in range(2))
    assert first == again
    assert _study(protocol, setting.replace(seed=2)).times != first.times


def test_gossip_brings_the_block_from_each_peer_of_the_mesh() -> None:
    """Once of use, then again: more often than one peer would, never more often than a mesh has peers; what is announced is little."""
    setting = Setting(nodes=30, peers=16)
    outcome = _study(Protocol.GOSSIP, setting)
    assert outcome.reached == 29
    assert outcome.block_bytes < outcome.useful_bytes < outcome.block_bytes + 300
    assert outcome.useful_bytes < outcome.duplicate_bytes <= 11 * outcome.useful_bytes
    assert 0 < outcome.announcement_bytes < 5_000
    later = _study(Protocol.GOSSIP, setting.replace(verify=500 * MILLISECOND))
    assert later.times[0] >= 500 * MILLISECOND + setting.delay_min


def test_all_protocols_have_the_same_network() -> None:
    """Who dials whom and how far away everybody is follows from the setting alone, and every node has a peer."""
    setting = Setting(nodes=20, peers=6)
    places = topology(setting, Dice(setting.seed, "study"))
    assert places == topology(setting.replace(verify=1, rate=5), Dice(setting.seed, "study"))
    assert all(len(place.dials) == 3 and (number + 1) % 20 in place.dials for number, place in enumerate(places))
    assert all(setting.delay_min // 2 <= place.latency <= setting.delay_max // 2 for place in places)


def test_blocks_go_one_after_the_other() -> None:
    """Each reaches everybody, from whichever producer; the earlier ones lose against the first, and each wins over the one before."""
    outcomes = list(study(blocks_to_study(), Protocol.OUTLINES, Setting(nodes=6, peers=3, earlier=4)))
    assert [outcome.reached for outcome in outcomes] == [5, 5]
    height = block_summary(blocks_to_study()[0]).height
    assert [block_summary(raw).height for raw in earlier_blocks(blocks_to_study()[0], 4)] == [
        height - 4,
        height - 3,
        height - 2,
        height - 1,
    ]


def test_hashes_that_run_ahead_save_the_round_trip_to_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where verification takes longer than a round trip, the network is no slower than if all peers might send headers, which fill links."""
    setting = Setting(nodes=30, peers=8, verify=500 * MILLISECOND)
    ahead = _study(Protocol.OUTLINES, setting)
    start = BlockSimulation.add_block_node

    def times(**config: Any) -> int:
        monkeypatch.setattr(BlockSimulation, "add_block_node", partialmethod(start, **config))
        return _study(Protocol.OUTLINES, setting).times[-1]

    assert ahead.times[-1] < times(announces_while_checking=False)
    assert ahead.times[-1] <= times(header_permissions_max=100)


def test_times_are_of_shares_of_the_nodes() -> None:
    """The time of the node that makes the share full; nothing where the share was not reached."""
    outcome = _study(Protocol.BEST_TIP, Setting(nodes=5, peers=2))
    assert outcome.time_to(99) == outcome.times[-1]
    assert outcome.time_to(50) == outcome.times[1]
    assert outcome.replace(times=outcome.times[:2]).time_to(99) is None


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_long_verification_is_waited_for(protocol: Protocol) -> None:
    """At each step of a long way; nothing of the first block is then counted under the second."""
    setting = Setting(nodes=12, peers=1, verify=60 * SECOND, earlier=0)
    first, second = study(blocks_to_study(), protocol, setting)
    assert (first.reached, second.reached) == (11, 11)
    assert second.times[-1] > 5 * setting.verify
    assert second.announcement_bytes < 1_000


def test_what_is_waited_for_is_the_way_to_the_farthest_node() -> None:
    """Twice as many steps, each of a verification and transfers to all peers, beside what a block may take anyhow."""
    setting = Setting(nodes=12, peers=1, verify=3 * SECOND, rate=1_000)
    ring = topology(setting, Dice(1, "study"))
    assert [steps_to_all(ring, start) for start in (0, 5, 11)] == [6, 6, 6]
    assert steps_to_all(topology(setting.replace(nodes=2), Dice(1, "study")), 1) == 1
    assert patience(setting, ring, 4, 5_000) == 120 * SECOND + 2 * 6 * (3 + 5) * SECOND
    assert patience(setting.replace(peers=2), ring, 4, 5_000) == 120 * SECOND + 2 * 6 * (3 + 2 * 5) * SECOND
    assert patience(setting.replace(rate=0), ring, 4, 5_000, 60 * SECOND) == 60 * SECOND + 2 * 6 * 3 * SECOND


def test_what_arrives_is_read_in_the_order_of_arrival() -> None:
    """One thing after the other, as wide as the link is; ends of streams stay behind what was sent on them, and what is late keeps nobody waiting."""
    simulation = BlockSimulation(1)
    node, seen = simulation.add_block_node(), list[tuple[int, Any]]()

    def sees(event: TransportEvent) -> None:
        seen.append((simulation.now - START, event))

    node.port.feed = sees
    Downlink(simulation, node.port, 1_000)
    frame = ChannelsMessageReceived(ConnectionId(1), ChannelId.BLOCK, StreamId(4), bytes(96))
    ended = ChannelsStreamEnded(ConnectionId(1), ChannelId.BLOCK, StreamId(4))
    for at, event in ((0, frame), (10, ended), (50, frame), (1_000, ended)):
        simulation.at(Timestamp(START + at * MILLISECOND), partial(node.port.feed, event))
    simulation.run(2 * SECOND)
    assert [(at // MILLISECOND, event) for at, event in seen] == [(100, frame), (100, ended), (200, frame), (1_000, ended)]


def test_a_network_of_one_is_none() -> None:
    """It says what is needed."""
    with pytest.raises(CallerError):
        _study(Protocol.OUTLINES, Setting(nodes=1))


def test_the_command_prints_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With everything a script wants, and a picture."""
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    (tmp_path / "one.bin").write_bytes(blocks_to_study()[0])
    picture = tmp_path / "study.svg"
    assert (
        main(["block-study", "--blocks", str(tmp_path), "--nodes", "4", "--peers", "2", "--earlier", "4", "--json", "--plot", str(picture)])
        == 0
    )
    printed = json.loads(capsys.readouterr().out)
    runs = printed["runs"]
    assert [(run["protocol"], run["warm_percent"], run["reached"]) for run in runs] == [
        ("channel 10", 0, 3),
        ("best tip", None, 3),
        ("gossipsub", None, 3),
        ("channel 10", 100, 3),
    ]
    assert picture.read_text().startswith("<?xml")
    assert [(row["warm_percent"], row["networks"]) for row in printed["compared"]] == [(0, 1), (100, 1)]


def test_several_networks_are_compared_by_their_medians(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each against the better of the others in the same network; the median of that, not the ratio of medians."""
    (tmp_path / "one.bin").write_bytes(blocks_to_study()[0])
    arguments = ["--nodes", "4", "--peers", "2", "--earlier", "2", "--warm", "100", "--seed", "5", "--seeds", "3"]
    assert main(["block-study", "--blocks", str(tmp_path), *arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    times = {(run["seed"], run["protocol"]): run["ms_to"]["99"] for run in printed["runs"]}
    assert sorted({seed for seed, _ in times}) == [5, 6, 7]
    ratios = [times[seed, "channel 10"] / min(times[seed, "best tip"], times[seed, "gossipsub"]) for seed in (5, 6, 7)]
    (row,) = printed["compared"]
    assert row["networks"] == 3
    assert row["of_the_better"] == pytest.approx(sorted(ratios)[1], abs=0.01)
    assert main(["block-study", "--blocks", str(tmp_path), *arguments]) == 0
    assert f"3 networks: ms to 99 % {row['ms_to_99']:.0f}, of the better" in capsys.readouterr().out.splitlines()[-1]


def test_the_command_runs_real_nodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Over QUIC there are the two ways of pull connections, and no width of links."""
    for number, raw in enumerate(blocks_to_study()):
        (tmp_path / f"{number}.bin").write_bytes(raw)
    arguments = ["--nodes", "3", "--peers", "2", "--earlier", "2", "--warm", "100", "--quic"]
    assert main(["block-study", "--blocks", str(tmp_path), *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" B  ")[1].split(",")[0] for line in lines] == ["channel 10"] * 2 + ["best tip"] * 2 + ["100 % warm"] * 2
    assert all("loopback" in line for line in lines)


@pytest.mark.parametrize("extra", [[], ["--plot", "x.txt"]])
def test_what_can_not_be_studied_is_refused(tmp_path: Path, extra: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A directory without blocks, a block that is none, a picture of no form: exit code 2."""
    assert main(["block-study", "--blocks", str(tmp_path), *extra]) == 2
    (tmp_path / "one.bin").write_bytes(b"no block")
    assert main(["block-study", "--blocks", str(tmp_path), *extra]) == 2
    assert capsys.readouterr().err

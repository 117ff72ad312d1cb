"""Blocks between real nodes, over QUIC on loopback."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from blocks.test_study import blocks_to_study
from mina_p2p.blocks.study import Outcome, Protocol, Setting
from mina_p2p.errors import CallerError
from mina_p2p.ids import MILLISECOND
from mina_p2p_effects.cli.block_study_quic import study_over_quic


def _study(protocol: Protocol, setting: Setting) -> list[Outcome]:
    async def main() -> list[Outcome]:
        async with asyncio.timeout(120), aclosing(study_over_quic(blocks_to_study(), protocol, setting, linger_s=0)) as outcomes:
            return [outcome async for outcome in outcomes]

    return asyncio.run(main())


@pytest.mark.parametrize(("nodes", "peers"), [(2, 2), (5, 4)])
@pytest.mark.parametrize("warm", [0, 50, 100])
def test_blocks_reach_every_node(nodes: int, peers: int, warm: int) -> None:
    """Whole, in parts, or as a header; each from another producer."""
    outcomes = _study(Protocol.OUTLINES, Setting(nodes=nodes, peers=peers, warm_percent=warm, earlier=3))
    assert [outcome.reached for outcome in outcomes] == [nodes - 1] * 2
    for outcome in outcomes:
        header = outcome.block_bytes - outcome.body_bytes
        most = header + max(512, outcome.body_bytes // 20) if warm == 100 else outcome.block_bytes * 105 // 100
        assert header <= outcome.useful_bytes <= most


def test_the_classic_channel_beside_it() -> None:
    """The same network with nodes that do not speak channel 10: each receives the whole block."""
    outcomes = _study(Protocol.BEST_TIP, Setting(nodes=5, peers=4, verify=20 * MILLISECOND))
    assert [outcome.reached for outcome in outcomes] == [4] * 2
    assert all(outcome.useful_bytes >= outcome.block_bytes for outcome in outcomes)


def test_gossip_is_not_carried_by_quic() -> None:
    """It says where it is."""
    with pytest.raises(CallerError):
        _study(Protocol.GOSSIP, Setting(nodes=2))

"""A full node sends a newcomer on, over real transports."""

from __future__ import annotations

from typing import Any

import pytest

from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.notifications import PeerConnected
from mina_p2p_effects.node import PeerError
from node.nodes import MakeNode, make_any, run

ONE_PLACE: dict[str, Any] = {"limits": Limits(peers_max=1, peers_min=0), "is_discovery_enabled": False}


@pytest.fixture(params=["memory", "quic"])
def make_node(request: pytest.FixtureRequest) -> MakeNode:
    return make_any(request.param)


def test_a_newcomer_is_sent_on_by_a_full_node(make_node: MakeNode) -> None:
    """The refusal names who has the place; the newcomer dials it, without having asked anybody anything."""

    async def main() -> None:
        async with make_node(0, **ONE_PLACE) as full, make_node(1, limits=Limits(peers_min=0)) as inside, make_node(2) as newcomer:
            await inside.connect(full.addresses[0])
            with pytest.raises(PeerError) as caught:
                await newcomer.connect(full.addresses[0])
            assert caught.value.reason.code == ReasonCode.PEER_CAPACITY_FULL
            async for told in newcomer.notifications():
                if isinstance(told, PeerConnected):
                    assert told.peer_id == inside.peer_id
                    break

    run(main())

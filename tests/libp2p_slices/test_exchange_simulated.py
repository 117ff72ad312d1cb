"""Peer exchange in the simulator: a network whose members knew one node alone gossips on without it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from mina_p2p.gossipsub.actions import NetworkPubsubPublish
from mina_p2p.ids import SECOND
from mina_p2p.libp2p.config import TOPIC_V0, GossipsubConfig
from mina_p2p.libp2p.notifications import NetworkPubsubMessageReceived
from mina_p2p.peer_exchange.actions import NetworkExchangeOwnChanged
from mina_p2p.testing.libp2p_sim import NetworkNode, NetworkSimulation, accept_all
from mina_p2p.testing.libp2p_world import check_network

COUNT = 30
SMALL = GossipsubConfig(mesh_wanted=4, mesh_min=3, mesh_max=6, mesh_outgoing_min=1)


@pytest.mark.parametrize("is_on", [True, False])
def test_gossip_outlives_the_only_node_that_all_knew(is_on: bool) -> None:
    """Its mesh has room for six; whom it prunes finds others by exchange alone. Without exchange nobody has anybody left."""
    heard: Counter[bytes] = Counter()

    def software(node: NetworkNode, told: Any) -> None:
        if isinstance(told, NetworkPubsubMessageReceived):
            heard[told.data] += 1
        accept_all(node, told)

    simulation = NetworkSimulation(7, check=check_network, check_every=20)
    options: dict[str, Any] = {
        "is_discovery_enabled": False,
        "gossipsub": SMALL.replace(is_peer_exchange_enabled=is_on),
        "software": software,
    }
    hub = simulation.add(**options)
    members = [simulation.add(seeds=(hub.port.libp2p_address,), starts_after=number * SECOND // 10, **options) for number in range(COUNT)]
    for node in (hub, *members):
        node.dispatch(NetworkExchangeOwnChanged())
    simulation.run(120 * SECOND)
    members[0].dispatch(NetworkPubsubPublish(TOPIC_V0, b"with it"))
    simulation.run(10 * SECOND)
    # The hub and all others; without exchange the hub's few windows of gossip are too short for so many that it pruned.
    assert (heard[b"with it"] == COUNT) is is_on
    hub.crash()
    simulation.run(60 * SECOND)
    members[0].dispatch(NetworkPubsubPublish(TOPIC_V0, b"without it"))
    simulation.run(10 * SECOND)
    assert heard[b"without it"] == (COUNT - 1 if is_on else 0)

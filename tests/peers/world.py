"""Addresses of many owners, and a node that hears of them."""

from __future__ import annotations

from typing import Any

from slices.lab import Lab, hello, peer_id

from mina_p2p.address import Ipv4, QuicAddress
from mina_p2p.config import Limits
from mina_p2p.peer.actions import PeerDiscovered
from mina_p2p.peer.config import PeerTableConfig
from mina_p2p.peer.state import PeerSource
from mina_p2p.transport import ConnectionHelloReceived


def at(network: int, host: int) -> QuicAddress:
    """Host 1, 2, … of one of many /16 networks."""
    number = (network + 1) * 100_000 + host
    return QuicAddress(peer_id(number), Ipv4.of(20 + network // 200, network % 200, host >> 8, host & 255), 8302)


def node(table: PeerTableConfig | None = None, **limits: int) -> Lab:
    """A node that asks nobody."""
    small: dict[str, int] = {"peers_max": 100, "peers_min": 8, "known_per_group_max": 1_000, **limits}
    return Lab(limits=Limits(**small), peer_table=table or PeerTableConfig())


def hear(lab: Lab, address: QuicAddress, source: PeerSource = PeerSource.INITIAL_PEERS, **changes: Any) -> Lab:
    """Somebody names an address; in its own network, unless ``learned_from`` says who."""
    return lab.feed(PeerDiscovered(address, source, changes.get("learned_from")))


def answer(lab: Lab, n: int) -> Lab:
    """The last dial reaches its peer."""
    connection_id = lab.state.connections.last_id
    lab.establish(connection_id, n)
    return lab.feed(ConnectionHelloReceived(connection_id, hello()))


def dialled(lab: Lab) -> list[QuicAddress]:
    """Whom the last input made the node dial."""
    return [c.address for c in lab.state.connections.table.values() if isinstance(c.address, QuicAddress) and c.started_at == lab.now]


def is_known(lab: Lab, address: QuicAddress) -> bool:
    """Whether the node has a record of that peer."""
    return lab.state.peers.find(address.peer_id) is not None

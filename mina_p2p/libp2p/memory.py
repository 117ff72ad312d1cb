"""What a node keeps over restarts of the peers that it knew on libp2p's network, as OCaml nodes keep theirs."""

from __future__ import annotations

from typing import Final

from mina_p2p.address import Libp2pAddress
from mina_p2p.libp2p.links import Linked
from mina_p2p.libp2p.state import NetworkState

REMEMBERED_MAX: Final = 256


def remembered_addresses(state: NetworkState) -> tuple[Libp2pAddress, ...]:
    """One address of each peer that can be dialled: of those that are connected first, then of the routing table's.

    At most `REMEMBERED_MAX`. A connected peer's address is the one we dialled; else the first that it named of itself.
    """
    found: dict[bytes, Libp2pAddress] = {}
    for link in state.links.table.values():
        if isinstance(link, Linked):
            identity = state.identify.peers.get(link.peer)
            named = () if identity is None else identity.addresses[:1]
            for address in named if link.address is None else (link.address,):
                found.setdefault(link.peer_id, address)
    for entry in state.kademlia.table.entries():
        found.setdefault(entry.peer_id, entry.addresses[0])
    return tuple(found.values())[:REMEMBERED_MAX]

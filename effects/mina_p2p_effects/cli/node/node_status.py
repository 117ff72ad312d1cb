"""What others read of this node on ``/mina/node-status`` (spec: libp2p 11).

The fields, their names and their order are those of OCaml nodes, so that ``mina advanced node-status`` and the tools behind it
read it (`MinaFoundation/mina: src/lib/mina_networking`, ``Node_status.Stable.V2``). A node without a ledger says so by its values: it
is never ``Synced``, produces no blocks, and its chain is the best tip alone, where it has one. Whom it bans it tells nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import metadata
from itertools import islice
from typing import Any, Final

from mina_p2p.address import Host, HostScope, Libp2pAddress, host_scope
from mina_p2p.identity import DEVNET_CHAIN_ID, MAINNET_CHAIN_ID
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.mina.network import DEVNET, MAINNET
from mina_p2p.mina.text import STATE_HASH
from mina_p2p_effects.node import Node

TOLD_EVERY_S: Final = 60.0
"""How often the text is written anew, as by OCaml nodes."""
PEERS_MAX: Final = 100
"""Peers in it."""
_GENESIS: Final = {MAINNET_CHAIN_ID: MAINNET.genesis_state_hash, DEVNET_CHAIN_ID: DEVNET.genesis_state_hash}
_NO_STATE: Final = bytes(32)
"""The hash that no state has: of a network whose genesis is not known here."""
_NO_ADDRESS: Final = "0.0.0.0"  # noqa: S104 - said, not bound


def node_status(node: Node, *, uptime_s: float, items_received: int) -> bytes:
    """The status of this moment, as JSON; some 100 bytes and 110 for each of at most `PEERS_MAX` peers.

    :param items_received: of all kinds since the start; a node that has heard nothing yet is ``Listening``.
    """
    tip = node.state.best_tips.own
    state_hash = _GENESIS.get(node.config.chain_id, _NO_STATE) if tip is None else tip.state_hash
    text = STATE_HASH.text(state_hash)
    status: dict[str, Any] = {
        "node_ip_addr": _own_host(node),
        "node_peer_id": node.peer_id.libp2p,
        "sync_status": _sync_status(node.network, items_received),
        "peers": [] if node.network is None else list(islice(_peers(node.network), PEERS_MAX)),
        "block_producers": [],
        "protocol_state_hash": text,
        "ban_statuses": [],
        "k_block_hashes_and_timestamps": [] if tip is None else [[text, "no timestamp available"]],
        "git_commit": f"mina_p2p {metadata.version('mina-p2p')}",
        "uptime_minutes": round(uptime_s / 60),
    }
    if tip is not None and tip.height is not None:
        status["block_height_opt"] = tip.height
    return json.dumps(status, separators=(",", ":")).encode()


def _sync_status(network: NetworkState | None, items_received: int) -> str:
    if network is None or not len(network.links.contacts):
        return "Connecting"
    return "Bootstrap" if items_received else "Listening"


def _own_host(node: Node) -> str:
    """A numeric address, as OCaml reads nothing else."""
    hosts: list[Host] = [*node.config.external_hosts, *(address.host for address in node.addresses if isinstance(address, Libp2pAddress))]
    return next((host.plain for host in hosts if _is_told(host, node.config.are_private_addresses_allowed)), _NO_ADDRESS)


def _peers(network: NetworkState) -> Iterator[dict[str, Any]]:
    """Connected peers with an address to dial."""
    for identity in network.identify.peers.values():
        for address in identity.addresses:
            if _is_told(address.host, network.config.are_private_addresses_allowed):
                yield {"host": address.host.plain, "libp2p_port": address.port, "peer_id": address.peer_id.libp2p}
                break


def _is_told(host: Host, are_private_told: bool) -> bool:
    """Whoever reads may be anywhere; the addresses of a private network are for its own nodes."""
    scope = host_scope(host)
    return scope is HostScope.GLOBAL or (are_private_told and scope in {HostScope.PRIVATE, HostScope.LOOPBACK})

"""What outlives a restart: the peers in both tables, and which connections were ours."""

from __future__ import annotations

from mina_p2p.connection.state import Ready
from mina_p2p.peer.config import REMEMBERED_MAX, RememberedPeer
from mina_p2p.peer.state import PeerSource
from mina_p2p.state import P2pState


def remembered(state: P2pState) -> tuple[RememberedPeer, ...]:
    """What a program should keep, for `PeerTableConfig.remembered` of the next run; anchors first, then what was reached.

    What persons named is theirs to name again, unless it was an outgoing connection.
    """
    config = state.config.peer_table
    connections = state.connections.table
    dialled = [
        (connection.status.since, connection.peer_id)
        for connection in connections.values()
        if isinstance(connection.status, Ready) and not connection.is_incoming
    ]
    # The youngest: an attacker's connections last for ever, so that among the oldest there are more and more of them.
    anchors = {peer_id for _, peer_id in sorted(dialled, reverse=True)[: config.anchors_max]}
    found: list[tuple[int, RememberedPeer]] = []
    for peer in state.peers.table.values():
        is_anchor = peer.peer_id in anchors
        if peer.address is None or not (peer.bucket is not None or is_anchor):
            continue
        rank = 0 if is_anchor else 1 if peer.is_tried else 2
        source = PeerSource.REMEMBERED if peer.is_given else peer.source
        kept = RememberedPeer(peer.address, source, peer.told_in, peer.is_tried, is_anchor, peer.last_success)
        found.append((rank, kept))
    found.sort(key=lambda pair: pair[0])
    return tuple(kept for _, kept in found[:REMEMBERED_MAX])

"""What a relay does to bring peers together."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.channels.signaling_discovery.state import DiscoveryRequested
from mina_p2p.channels.signaling_exchange.state import RemoteRequested
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState


@record
class SignalingMatch(Record):
    """Find somebody for a peer: a target if it asked for one, a requester if it is available."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        discovery = state.channels.discovery(self.connection_id)
        if discovery is not None and isinstance(discovery.local, DiscoveryRequested):
            return True
        exchange = state.channels.exchange(self.connection_id)
        return exchange is not None and isinstance(exchange.remote, RemoteRequested)


@record
class SignalingPairRemember(Record):
    """Two peers shall not be introduced to each other for longer than after any introduction."""

    one: PeerId
    other: PeerId


@record
class SignalingPairForget(Record):
    """A pair may be introduced again."""

    number: int

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        pair = state.signaling.pairs.get(self.number)
        return pair is not None and pair.until <= now


SignalingAction: TypeAlias = SignalingMatch | SignalingPairRemember | SignalingPairForget

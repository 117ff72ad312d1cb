"""What happens to Mina's RPC."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, PeerNumber, RequestId, StreamId, Timestamp
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.libp2p_rpc.state import CALLS_MAX, KINDS
from mina_p2p.record import Record, record


@record
class NetworkRpcCall(Record):
    """Ask a peer; a command. ``query`` holds the bytes that the method's codec makes (`mina_p2p.libp2p_rpc.state.method_of`)."""

    request_id: RequestId
    peer_id: PeerId
    tag: str
    query: bytes

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.tag in KINDS and state.is_settled(self.peer_id) and len(state.rpcs.calls) < CALLS_MAX


@record
class NetworkRpcCallStart(Record):
    """Give a call a session, or open one."""

    call: int

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.call in state.rpcs.calls


@record
class NetworkRpcCallError(Record):
    """A call will not be answered: too late, session lost, no such method, or an error of the peer's."""

    call: int
    detail: str

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.call in state.rpcs.calls


@record
class NetworkRpcSessionOpened(Record):
    """A stream is agreed."""

    connection_id: ConnectionId
    stream: StreamId
    serial: int
    call: int
    """For which it was opened; 0 for one of the peer's."""

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return state.links.linked(self.connection_id) is not None and self.serial not in state.rpcs.sessions


@record
class NetworkRpcMessageReceived(Record):
    """A whole message came."""

    serial: int
    data: bytes

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.serial in state.rpcs.sessions


@record
class NetworkRpcSessionEnded(Record):
    """The peer says no more on a session; what it asked is still answered."""

    serial: int

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return self.serial in state.rpcs.sessions


@record
class NetworkRpcSessionGone(Record):
    """The stream is lost, or was never agreed."""

    serial: int
    call: int
    detail: str = ""


@record
class NetworkRpcSessionTimeout(Record):
    """It is time for a heartbeat, or for the end of a session that is silent."""

    serial: int

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        session = state.rpcs.sessions.get(self.serial)
        return session is not None and session.wait_at <= now


@record
class NetworkRpcAnswer(Record):
    """The node software's answer to `NetworkRpcRequested`; a command.

    ``answer`` holds the bytes that the method's codec makes. They are sent as they are, so what is stored as bytes need
    not be decoded.
    """

    serial: int
    query_id: int
    answer: bytes

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return _is_served(state, self.serial, self.query_id)


@record
class NetworkRpcRefuse(Record):
    """The node software has no answer; a command."""

    serial: int
    query_id: int
    detail: str

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        return _is_served(state, self.serial, self.query_id)


@record
class NetworkRpcPeerGone(Record):
    """A peer's last connection is over."""

    peer: PeerNumber


def _is_served(state: NetworkState, serial: int, query_id: int) -> bool:
    session = state.rpcs.sessions.get(serial)
    return session is not None and any(serving.query_id == query_id for serving in session.serving)


RpcsAction: TypeAlias = (
    NetworkRpcCall
    | NetworkRpcCallStart
    | NetworkRpcCallError
    | NetworkRpcSessionOpened
    | NetworkRpcMessageReceived
    | NetworkRpcSessionEnded
    | NetworkRpcSessionGone
    | NetworkRpcSessionTimeout
    | NetworkRpcAnswer
    | NetworkRpcRefuse
    | NetworkRpcPeerGone
)

"""Small worlds to look at: one node, and everything that peers, time and node software can do to it.

A world is as small as its machine allows, so that all of it is visited.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

from diagrams.probe import Input, World

from mina_p2p.address import Ipv4, Libp2pAddress, QuicAddress
from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.channels.best_tip.messages import BEST_TIP_MESSAGE, BestTipGetNext, BestTipItem
from mina_p2p.channels.propagation.state import Propagation, RemoteRequested, RemoteResponded, Requested, Responding
from mina_p2p.channels.rpc.actions import ChannelsRpcResponseSend, RpcRequestSend
from mina_p2p.channels.rpc.messages import (
    RPC_MESSAGE,
    BlockRequest,
    BlockResponse,
    InitialPeersRequest,
    InitialPeersResponse,
    RpcMessage,
    RpcRequestMessage,
    RpcResponse,
    RpcResponseMessage,
    TransactionRequest,
    TransactionResponse,
)
from mina_p2p.channels.rpc.state import Requested as Asked
from mina_p2p.channels.snark_job_commitment.messages import (
    SNARK_JOB_COMMITMENT_MESSAGE,
    SnarkJobCommitment,
    SnarkJobCommitmentGetNext,
    SnarkJobCommitmentItem,
    SnarkJobCommitmentWillSend,
)
from mina_p2p.channels.transaction.messages import TRANSACTION_MESSAGE, TransactionItem, TransactionWillSend
from mina_p2p.config import PROTOCOL_VERSION, Limits, P2pConfig
from mina_p2p.connection.hello import HELLO, Hello
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingInit
from mina_p2p.disconnection.actions import DisconnectionInit, Shutdown
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId, StreamId, Timestamp
from mina_p2p.mina.hashes import snark_job_id_of
from mina_p2p.mina.raw import RawBlock, RawSnark, RawUserCommand
from mina_p2p.peer.actions import PeerBan, PeerUnban
from mina_p2p.pool.actions import PoolInsert, PoolVerdict
from mina_p2p.pool.announce import transaction_info
from mina_p2p.pool.kinds import KINDS as POOL_KINDS
from mina_p2p.reducer import dispatch
from mina_p2p.state import P2pState, initial_state
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.timeouts import CheckTimeouts, next_deadline
from mina_p2p.transport import (
    ChannelsMessageReceived,
    ChannelsStreamEnded,
    ChannelsStreamReset,
    ConnectionClosed,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    SocketAddress,
    TransportKind,
)

START = Timestamp(1_700_000_000 * SECOND)
ME = PeerId(bytes([9]) * 32)
_GENERATOR = MinaGenerator(1)
BLOCK = RawBlock.of(_GENERATOR.genesis())
TRANSACTIONS = [RawUserCommand.of(_GENERATOR.payment()) for _ in range(2)]
COMMITMENTS = [
    SnarkJobCommitment(number, snark_job_id_of(RawSnark.of(_GENERATOR.snark())), 0, _GENERATOR.public_key()) for number in range(2)
]


def _peer(number: int) -> PeerId:
    return PeerId(bytes([number]) * 32)


def _address(number: int) -> QuicAddress:
    return QuicAddress(_peer(number), Ipv4.of(1, 0, 0, number), 8302)


def _hello(channels: tuple[ChannelId, ...], version: int = PROTOCOL_VERSION) -> bytes:
    return HELLO.encode(Hello(version, version, MAINNET_CHAIN_ID, channels, (), "a peer"))


def _start(*events: Any, **settings: Any) -> P2pState:
    state = initial_state(P2pConfig(ME, MAINNET_CHAIN_ID, **settings), START)
    for event in events:
        state, _, _ = dispatch(state, event, START)
    return state


def _arrivals(*numbers: int, channels: tuple[ChannelId, ...]) -> list[Any]:
    """Peers that dial us and become ready, as connections 1, 2, …"""
    events: list[Any] = []
    for connection, number in enumerate(numbers, 1):
        events += [_arrival(number), ConnectionHelloReceived(ConnectionId(connection), _hello(channels))]
    return events


def _now(inputs: Callable[[P2pState], Iterable[Any]]) -> Callable[[P2pState], Iterator[Input]]:
    """Every input at the state's own time, and `CheckTimeouts` when the next wait ends."""

    def timed(state: P2pState) -> Iterator[Input]:
        for action in inputs(state):
            yield action, state.clock.now
        if (at := next_deadline(state)) is not None:
            yield CheckTimeouts(), max(at, state.clock.now)

    return timed


def _names(*values: Any) -> tuple[str, ...]:
    return tuple(type(value).__name__ for value in values)


# --- connections and peers --------------------------------------------------------------------


def _arrival(number: int) -> ConnectionIncomingReceived:
    return ConnectionIncomingReceived(TransportKind.QUIC, number, SocketAddress(f"1.0.0.{number}", 8302), _peer(number))


def _ban(state: P2pState) -> PeerBan:
    return PeerBan(_peer(1), Timestamp(state.clock.now + SECOND), Reason(ReasonCode.PEER_BANNED))


def _connection_inputs(state: P2pState) -> Iterator[Any]:
    for connection_id, connection in state.connections.table.items():
        remote = SocketAddress("1.0.0.1", 8302)
        yield ConnectionEstablished(connection_id, connection.peer_id, remote)
        yield ConnectionEstablished(connection_id, _peer(7), remote)
        yield ConnectionHelloReceived(connection_id, _hello((ChannelId.RPC,)))
        yield ConnectionHelloReceived(connection_id, b"no hello")
        yield ConnectionClosed(connection_id, Reason(ReasonCode.TRANSPORT_ERROR), False)
        yield ChannelsMessageReceived(connection_id, ChannelId.SNARK, StreamId(4), b"")
        yield DisconnectionInit(connection_id, Reason(ReasonCode.USER_REQUEST))
    yield ConnectionOutgoingInit(_address(1), RequestId(1))
    yield _arrival(1)
    yield _ban(state)
    yield PeerUnban(_peer(1))
    yield Shutdown()
    yield CheckTimeouts()


def _stranger_inputs(state: P2pState) -> Iterator[Any]:
    yield _ban(state)
    yield _arrival(1)
    for connection_id, channels in state.channels.table.items():
        for request in () if channels.rpc is None else channels.rpc.requests:
            yield _rpc(request.stream, RpcResponseMessage(request.id, InitialPeersResponse((_address(2),))), connection_id)
    for connection_id in state.connections.table:
        yield ConnectionHelloReceived(connection_id, _hello((ChannelId.RPC,)))


def _connection_key(state: P2pState) -> Hashable:
    peers = tuple((peer.peer_id, *_names(peer.status), peer.address is None, peer.is_address_proven) for peer in state.peers.table.values())
    connections = tuple((c.peer_id, c.is_incoming, *_names(c.status)) for c in state.connections.table.values())
    asked = tuple(_names(*channels.rpc.requests) for channels in state.channels.table.values() if channels.rpc is not None)
    return peers, connections, asked, state.is_stopping


def connections() -> World:
    """A node and one peer that it knows; either can dial the other."""
    channels = (ChannelId.RPC,)
    start = _start(initial_peers=(_address(1),), channels=channels, is_discovery_enabled=False)
    return World(start, _now(_connection_inputs), _connection_key)


def strangers() -> World:
    """A node that knows nobody: one peer dials it and names another."""
    return World(_start(channels=(ChannelId.RPC,)), _now(_stranger_inputs), _connection_key)


def undialable() -> World:
    """A node that was given a peer which it can not dial."""
    address = Libp2pAddress(_peer(1), Ipv4.of(1, 0, 0, 1), 8302)
    return World(_start(initial_peers=(address,), channels=()), _now(lambda _state: (CheckTimeouts(),)), _connection_key)


# --- the permission machine -------------------------------------------------------------------

_STREAMS_OF_PEER = (StreamId(4), StreamId(8))
_CODECS: dict[ChannelId, Any] = {ChannelId.BEST_TIP: BEST_TIP_MESSAGE, ChannelId.SNARK_JOB_COMMITMENT: SNARK_JOB_COMMITMENT_MESSAGE}
_GET_NEXT: dict[ChannelId, Any] = {ChannelId.BEST_TIP: BestTipGetNext(), ChannelId.SNARK_JOB_COMMITMENT: SnarkJobCommitmentGetNext(2)}
_ANSWERS: dict[ChannelId, tuple[Any, ...]] = {
    ChannelId.BEST_TIP: (BestTipItem(BLOCK),),
    ChannelId.SNARK_JOB_COMMITMENT: (SnarkJobCommitmentWillSend(2), *map(SnarkJobCommitmentItem, COMMITMENTS)),
}


def _frame(channel: ChannelId, stream: StreamId, message: Any) -> ChannelsMessageReceived:
    return ChannelsMessageReceived(ConnectionId(1), channel, stream, _CODECS[channel].encode(message))


def _something_to_send(channel: ChannelId) -> Iterator[Any]:
    if channel == ChannelId.BEST_TIP:
        yield BestTipSet(BLOCK, bytes(32))
        return
    for commitment in COMMITMENTS:
        yield PoolInsert(channel, POOL_KINDS[channel].key(commitment), commitment, b"")


def _permission_inputs(channel: ChannelId) -> Callable[[P2pState], Iterator[Any]]:
    def inputs(state: P2pState) -> Iterator[Any]:
        connection = ConnectionId(1)
        if connection not in state.connections.table:
            return
        yield ConnectionHelloReceived(connection, _hello((channel,)))
        yield ConnectionClosed(connection, Reason(ReasonCode.TRANSPORT_ERROR), False)
        yield from _something_to_send(channel)
        yield from (PoolVerdict(verdict_id, True) for verdict_id in state.pools.verdicts)
        machine = state.channels.propagation(connection, channel)
        if machine is not None and isinstance(machine.local, Requested | Responding):
            stream = machine.local.stream
            yield from (_frame(channel, stream, message) for message in _ANSWERS[channel])
            yield ChannelsStreamEnded(connection, channel, stream)
            yield ChannelsStreamReset(connection, channel, stream, StreamResetCode.REFUSED)
        for stream in _STREAMS_OF_PEER:
            yield _frame(channel, stream, _GET_NEXT[channel])
            yield ChannelsStreamReset(connection, channel, stream, StreamResetCode.CANCELLED)

    return inputs


def _permission_key(channel: ChannelId) -> Callable[[P2pState], Hashable]:
    def key(state: P2pState) -> Hashable:
        machine = state.channels.propagation(ConnectionId(1), channel)
        if machine is None:
            return len(state.connections)
        pool = state.pools.snark_job_commitment
        return _halves(machine), len(pool.items), len(pool.candidates), min(state.best_tips.version, 2)

    return key


def _halves(machine: Propagation) -> Hashable:
    local, remote = machine.local, machine.remote
    counts = (local.promised_count, local.current_count) if isinstance(local, Responding) else ()
    stream = remote.stream if isinstance(remote, RemoteRequested | RemoteResponded) else None
    return _names(local, remote), counts, stream, min(machine.next_send_index, 3)


def best_tips() -> World:
    """One connection with the best-tip channel, whose items come without a promise."""
    return _permissions(ChannelId.BEST_TIP)


def commitments() -> World:
    """One connection with a channel whose items are promised, and room for two of them."""
    return _permissions(ChannelId.SNARK_JOB_COMMITMENT)


def _permissions(channel: ChannelId) -> World:
    limits = Limits(candidates_per_peer_max=2)
    start = _start(_arrival(1), channels=(channel,), is_discovery_enabled=False, limits=limits)
    return World(start, _now(_permission_inputs(channel)), _permission_key(channel))


# --- questions and answers --------------------------------------------------------------------


def _rpc(stream: StreamId, message: RpcMessage, connection: int = 1) -> ChannelsMessageReceived:
    return ChannelsMessageReceived(ConnectionId(connection), ChannelId.RPC, stream, RPC_MESSAGE.encode(message))


def _rpc_inputs(state: P2pState) -> Iterator[Any]:
    connection = ConnectionId(1)
    rpc = state.channels.rpc(connection)
    if rpc is None:
        return
    yield RpcRequestSend(connection, RequestId(1), BlockRequest(bytes(32)))
    for request in rpc.requests:
        answers: tuple[RpcResponse | None, ...] = (BlockResponse(BLOCK), None, InitialPeersResponse(()))
        yield from (_rpc(request.stream, RpcResponseMessage(request.id, answer)) for answer in answers)
        yield ChannelsStreamEnded(connection, ChannelId.RPC, request.stream)
        yield ChannelsStreamReset(connection, ChannelId.RPC, request.stream, StreamResetCode.REFUSED)
    yield _rpc(StreamId(4), RpcRequestMessage(0, BlockRequest(bytes(32))))
    yield _rpc(StreamId(8), RpcRequestMessage(1, InitialPeersRequest()))
    for serving in rpc.serving:
        yield ChannelsRpcResponseSend(connection, serving.serial, BlockResponse(BLOCK))
        yield ChannelsStreamReset(connection, ChannelId.RPC, serving.stream, StreamResetCode.CANCELLED)
    yield ConnectionClosed(connection, Reason(ReasonCode.TRANSPORT_ERROR), False)


def _rpc_key(state: P2pState) -> Hashable:
    rpc = state.channels.rpc(ConnectionId(1))
    return None if rpc is None else (_names(*rpc.requests), len(rpc.serving))


def questions() -> World:
    """One ready connection with the RPC channel, one question at a time each way."""
    channels = (ChannelId.RPC,)
    limits = Limits(rpc_requests_max=1, rpc_pending_max=1)
    start = _start(*_arrivals(1, channels=channels), channels=channels, is_discovery_enabled=False, limits=limits)
    return World(start, _now(_rpc_inputs), _rpc_key)


# --- candidates -------------------------------------------------------------------------------


def _candidate_inputs(state: P2pState) -> Iterator[Any]:
    """Two peers announce one transaction, and answer questions for it well or badly."""
    channel = ChannelId.TRANSACTION
    for connection in state.channels.table:
        machine = state.channels.propagation(connection, channel)
        if machine is not None and isinstance(machine.local, Requested | Responding):
            for message in (TransactionWillSend(1), TransactionItem(transaction_info(TRANSACTIONS[0]))):
                yield ChannelsMessageReceived(connection, channel, machine.local.stream, TRANSACTION_MESSAGE.encode(message))
        rpc = state.channels.rpc(connection)
        for request in () if rpc is None else rpc.requests:
            if isinstance(request, Asked):
                answers: list[RpcResponse | None] = [None]
                if isinstance(request.request, TransactionRequest):
                    answers += [TransactionResponse(transaction) for transaction in TRANSACTIONS]
                yield from (_rpc(request.stream, RpcResponseMessage(request.id, answer), connection) for answer in answers)
            yield ChannelsStreamEnded(connection, ChannelId.RPC, request.stream)
        yield RpcRequestSend(connection, RequestId(1), BlockRequest(bytes(32)))
        yield ConnectionClosed(connection, Reason(ReasonCode.TRANSPORT_ERROR), False)
    for verdict_id in state.pools.verdicts:
        yield PoolVerdict(verdict_id, True)
        yield PoolVerdict(verdict_id, False)


def _candidate_key(state: P2pState) -> Hashable:
    candidates = tuple((*_names(c.status), c.announcers) for c in state.pools.transaction.candidates.values())
    halves: list[Hashable] = []
    for connection, channels in state.channels.table.items():
        machine, rpc = channels.transaction, channels.rpc
        if machine is not None and rpc is not None:
            halves.append((connection, _names(machine.local), getattr(machine.local, "current_count", None), _names(*rpc.requests)))
    return candidates, tuple(halves), len(state.pools.transaction.items)


def candidates() -> World:
    """Two ready connections with transactions and questions, one question at a time."""
    channels = (ChannelId.TRANSACTION, ChannelId.RPC)
    limits = Limits(rpc_requests_max=1, candidates_per_peer_max=1)
    start = _start(*_arrivals(1, 2, channels=channels), channels=channels, is_discovery_enabled=False, limits=limits)
    return World(start, _now(_candidate_inputs), _candidate_key)

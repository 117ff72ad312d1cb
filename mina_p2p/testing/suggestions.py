"""What could happen to a node next: inputs, plausible and hostile.

`Suggestions` needs nothing but a function that draws an int below a bound, so that hypothesis, a
fuzzer or a simulator can feed it. What it draws depends on the state: most times it is what an
honest peer would do next, else ids that do not exist, frames on the wrong stream, garbage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from mina_p2p.address import DialAddress, Host, Ipv4, QuicAddress, parse_ip
from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.channels.propagation.kinds import KINDS, PropagationItem
from mina_p2p.channels.propagation.state import RemoteRequested, RemoteResponded, Requested, Responding
from mina_p2p.channels.rpc import messages as rpc
from mina_p2p.channels.rpc.actions import ChannelsRpcResponseSend, RpcRequestSend
from mina_p2p.channels.rpc.state import Requested as RpcRequested
from mina_p2p.channels.rpc.state import Responded
from mina_p2p.config import PROTOCOL_VERSION
from mina_p2p.connection.hello import HELLO, Hello
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingRequest
from mina_p2p.connection.state import OutgoingInit, Ready
from mina_p2p.disconnection.actions import DisconnectionInit, Shutdown
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId, StreamId, Timestamp, stream_id
from mina_p2p.mina.ledger_query import MerkleAddress, NumAccounts, WhatContents
from mina_p2p.mina.raw import RawBestTipWithProof, RawLedgerAnswer
from mina_p2p.peer.actions import BansReset, PeerBan, PeerDiscovered, PeerGroupBan, PeerGroupUnban, PeerUnban
from mina_p2p.peer.state import PeerSource
from mina_p2p.pool.actions import PoolInsert, PoolRemove, PoolVerdict
from mina_p2p.pool.announce import snark_info, transaction_info
from mina_p2p.pool.kinds import KINDS as POOL_KINDS
from mina_p2p.pool.state import POOL_CHANNELS
from mina_p2p.state import P2pState
from mina_p2p.testing.catalog import OTHERS, announcements, catalog, state_hash
from mina_p2p.timeouts import CheckTimeouts, next_deadline
from mina_p2p.transport import (
    ChannelsMessageReceived,
    ChannelsSendBlocked,
    ChannelsSendUnblocked,
    ChannelsStreamEnded,
    ChannelsStreamReset,
    ConnectionClosed,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    SocketAddress,
    TransportKind,
    TransportListenError,
    TransportListening,
)

T = TypeVar("T")
_STREAM_NUMBERS = 16
"""Peers' streams are numbered in rounds of this many, in each of which a channel has its own number."""

Below = Callable[[int], int]
"""Draws an int from 0 to its argument, exclusive."""


class Suggestions:
    """Draws what could happen to a state next.

    :param hostility: how many inputs in sixteen are anything but what would be expected.
    """

    def __init__(self, below: Below, state: P2pState, hostility: int = 4) -> None:
        self.below = below
        self.hostility = hostility
        self.state = state
        self.items = catalog()

    def pick(self, options: Sequence[T]) -> T:
        """One of a sequence."""
        return options[self.below(len(options))]

    def often(self) -> bool:
        """Three times in four."""
        return self.below(4) != 0

    # --- values, by the name of the field that takes them -----------------------------------

    def connection_id(self) -> ConnectionId:
        """Of a connection that lives, most times."""
        known = self.state.connections.table.keys()
        return self.pick(known) if known and self.below(8) else ConnectionId(self.below(self.state.connections.last_id + 2))

    def peer_id(self) -> PeerId:
        """Of a peer, or of the node itself."""
        return self.pick(OTHERS) if self.below(12) else self.state.config.peer_id

    def address(self) -> DialAddress:
        """Where a peer may listen."""
        found = self.state.peers.find(peer_id := self.peer_id())
        if found is not None and found[1].address is not None and self.often():
            return found[1].address
        host = Ipv4.of(10, 0, 0, 7) if self.below(6) == 0 else Ipv4.of(1, 0, 0, peer_id[-1])
        return QuicAddress(peer_id, host, 8302 + self.below(2))

    def host(self) -> Host:
        """Of a network that is banned, or may be: seldom that of the peers."""
        banned = [str(ban.whom).partition("/")[0] for ban in self.state.peers.group_bans.all(self.state.clock.now)]
        if banned and self.often():
            return parse_ip(self.pick(banned))
        return Ipv4.of(1, 0, 0, 7) if self.below(8) == 0 else Ipv4.of(9, self.below(3), 0, 7)

    def remote(self) -> SocketAddress:
        """Where packets come from."""
        return SocketAddress(f"1.0.0.{self.below(4)}", 8302)

    def reason(self) -> Reason:
        """Any reason."""
        return Reason(self.pick(list(ReasonCode)))

    def channel(self) -> ChannelId:
        """A channel that spreads items, most times."""
        return self.pick(tuple(KINDS)) if self.below(16) else self.pick(list(ChannelId))

    def stream(self, connection_id: ConnectionId, channel: ChannelId) -> StreamId:
        """A stream that is open for that channel, most times.

        What peers open is never for two channels, as no transport lets that through.
        """
        channels = self.state.channels.table.get(connection_id)
        is_dialer = channels is not None and channels.is_dialer
        if channels is None or self.below(2):
            return stream_id(_STREAM_NUMBERS * (1 + self.below(3)) + channel, by_dialer=not is_dialer)
        if self.below(4) == 0:
            return stream_id(self.below(20), by_dialer=is_dialer)
        known: list[StreamId] = []
        if (machine := channels.propagation(channel)) is not None and isinstance(machine.local, Requested | Responding):
            known.append(machine.local.stream)
        if machine is not None and (stream := getattr(machine.remote, "stream", None)) is not None:
            known.append(stream)
        if channel == ChannelId.RPC and channels.rpc is not None:
            known += [request.stream for request in (*channels.rpc.requests, *channels.rpc.serving)]
        return self.pick(known) if known else stream_id(self.below(20), by_dialer=is_dialer)

    def request(self) -> rpc.RpcRequest:
        """A question, reasonable most times."""
        questions: tuple[rpc.RpcRequest, ...] = (
            rpc.TransactionRequest(transaction_info(self.pick(self.items.payments)).hash),
            rpc.SnarkRequest(snark_info(self.pick(self.items.snarks)).job_id),
            rpc.InitialPeersRequest(),
            rpc.BestTipWithProofRequest(),
            rpc.BlockRequest(bytes(32)),
            rpc.LedgerQueryRequest(bytes(32), NumAccounts()),
            rpc.LedgerQueryRequest(bytes(32), WhatContents(MerkleAddress(1, b"\0"))),
            rpc.StagedLedgerAuxAndPendingCoinbasesAtBlockRequest(bytes(32)),
        )
        return self.pick(questions)

    def response(self, connection_id: ConnectionId) -> rpc.RpcResponse | None:
        """An answer, to something that was asked most times."""
        found = self.state.channels.rpc(connection_id)
        asked = [] if found is None else [request.request for request in found.requests if isinstance(request, RpcRequested)]
        served = [] if found is None else [serving.request for serving in found.serving]
        questions = (*asked, *served)
        return self.answer_to(self.pick(questions) if questions and self.often() else self.request())

    def answer_to(self, question: rpc.RpcRequest) -> rpc.RpcResponse | None:
        """An answer of the right kind, true or not."""
        if self.below(6) == 0:
            return None
        match question:
            case rpc.TransactionRequest(hash=wanted):
                honest = [raw for raw in self.items.payments if transaction_info(raw).hash == wanted]
                return rpc.TransactionResponse(self.pick(honest if honest and self.often() else self.items.payments))
            case rpc.SnarkRequest(job_id=job):
                same_job = [raw for raw in self.items.snarks if snark_info(raw).job_id == job]
                return rpc.SnarkResponse(self.pick(same_job if same_job and self.often() else self.items.snarks))
            case rpc.InitialPeersRequest():
                return rpc.InitialPeersResponse(tuple(self.address() for _ in range(self.below(4))))
            case rpc.LedgerQueryRequest():
                return rpc.LedgerQueryResponse(RawLedgerAnswer(b"?"))
            case rpc.BestTipWithProofRequest():
                return rpc.BestTipWithProofResponse(RawBestTipWithProof(b"?"))
            case _:
                return rpc.BlockResponse(self.pick(self.items.blocks))

    # --- inputs ---------------------------------------------------------------------------

    def input(self) -> Any:
        """An event, a command, or a look at the clock."""
        if self.below(16) < self.hostility:
            return self.pick((self.event, self.frame))()
        return self.pick((self.honest, self.honest, self.honest, self.honest, self.honest, self.command, self.verdict, CheckTimeouts))()

    def honest(self) -> Any:
        """What the peer of some connection, or a new one, does next if it keeps to the protocol."""
        known = self.state.connections.table.keys()
        if not known or self.below(8) == 0:
            return ConnectionIncomingReceived(TransportKind.QUIC, self.below(1 << 20), self.remote(), self.peer_id())
        connection_id = self.pick(known)
        connection = self.state.connections.table[connection_id]
        match connection.status:
            case OutgoingInit():
                return ConnectionEstablished(connection_id, connection.peer_id, self.remote())
            case Ready():
                return self._honest_frame(connection_id) if self.below(3) else self._honest_answer(connection_id)
            case _:
                return ConnectionHelloReceived(connection_id, self.hello())

    def _honest_frame(self, connection_id: ConnectionId) -> Any:
        """The next word on a channel that spreads items."""
        channel = self.pick(tuple(KINDS))
        kind, machine = KINDS[channel], self.state.channels.propagation(connection_id, channel)
        if machine is None:
            return CheckTimeouts()
        if self.below(3) == 0 and not isinstance(machine.remote, RemoteRequested):
            stream = self._new_stream(connection_id, channel)
            return ChannelsMessageReceived(connection_id, channel, stream, kind.encode_get_next(1 + self.below(4)))
        item = kind.codec.encode(kind.item(self.pick(announcements(channel))))
        match machine.local:
            case Requested(limit=limit, stream=stream):
                promise = item if kind.will_send is None else kind.codec.encode(kind.will_send(1 + self.below(limit)))
                return ChannelsMessageReceived(connection_id, channel, stream, promise)
            case Responding(current_count=current, promised_count=promised, stream=stream) if current < promised:
                return ChannelsMessageReceived(connection_id, channel, stream, item)
            case Responding(stream=stream):
                return ChannelsStreamEnded(connection_id, channel, stream)
            case _:
                return CheckTimeouts()

    def _honest_answer(self, connection_id: ConnectionId) -> Any:
        """The next word on the channel for questions."""
        found = self.state.channels.rpc(connection_id)
        if found is None or not found.requests or self.below(3) == 0:
            question = rpc.RpcRequestMessage(self.below(1 << 10), self.request())
            stream = self._new_stream(connection_id, ChannelId.RPC)
            return ChannelsMessageReceived(connection_id, ChannelId.RPC, stream, rpc.RPC_MESSAGE.encode(question))
        asked = self.pick(found.requests)
        if isinstance(asked, Responded):
            return ChannelsStreamEnded(connection_id, ChannelId.RPC, asked.stream)
        answer = rpc.RpcResponseMessage(asked.id, self.answer_to(asked.request))
        return ChannelsMessageReceived(connection_id, ChannelId.RPC, asked.stream, rpc.RPC_MESSAGE.encode(answer))

    def _new_stream(self, connection_id: ConnectionId, channel: ChannelId) -> StreamId:
        """A stream that the peer opens now: higher than those that are known of it."""
        channels = self.state.channels.table[connection_id]
        used = [] if channels.rpc is None else [serving.stream for serving in channels.rpc.serving]
        for other in KINDS:
            remote = None if (machine := channels.propagation(other)) is None else machine.remote
            used += [remote.stream] if isinstance(remote, RemoteRequested | RemoteResponded) else []
        rounds = 1 + max(used, default=0) // 4 // _STREAM_NUMBERS
        return stream_id(_STREAM_NUMBERS * rounds + channel, by_dialer=not channels.is_dialer)

    def event(self) -> Any:
        """What a transport might report, whether or not it makes sense."""
        connection_id = self.connection_id()
        channel = self.channel() if self.below(3) else ChannelId.RPC
        return self.pick(
            (
                ConnectionIncomingReceived(TransportKind.QUIC, self.below(1 << 20), self.remote(), self.peer_id()),
                ConnectionEstablished(connection_id, self.peer_id(), self.remote()),
                ConnectionHelloReceived(connection_id, self.hello()),
                ConnectionClosed(connection_id, self.reason(), bool(self.below(2))),
                ChannelsStreamEnded(connection_id, channel, self.stream(connection_id, channel)),
                ChannelsStreamReset(connection_id, channel, self.stream(connection_id, channel), self.pick(list(StreamResetCode))),
                ChannelsStreamReset(connection_id, channel, self.stream(connection_id, channel), self.pick(list(StreamResetCode))),
                ChannelsSendBlocked(connection_id),
                ChannelsSendUnblocked(connection_id),
                TransportListening(TransportKind.QUIC, self.remote()),
                TransportListenError(TransportKind.QUIC, "in use"),
            )
        )

    def hello(self) -> bytes:
        """A hello, good most times."""
        good = Hello(PROTOCOL_VERSION, PROTOCOL_VERSION, MAINNET_CHAIN_ID, (3, 4, 5, 6, 7), ("quic-address",), "drawn")
        bad = (good.replace(chain_id=bytes(32)), good.replace(lowest_version=9, highest_version=9), good.replace(channels=(4,)))
        frames = [*map(HELLO.encode, bad), b"", b"\xff" * 40]
        return HELLO.encode(good) if self.below(8) else self.pick(frames)

    def frame(self) -> ChannelsMessageReceived:
        """A frame, of a kind that belongs on its channel most times."""
        connection_id = self.connection_id()
        if self.below(4) == 0:
            return self._rpc_frame(connection_id)
        channel = self.channel()
        kind = KINDS.get(channel, KINDS[ChannelId.TRANSACTION])
        counts = 0, 1, 2, 3, 4, 255
        frames = [kind.encode_get_next(self.pick(counts)), kind.codec.encode(kind.item(self.pick(announcements(kind.channel)))), b"\xff"]
        if kind.will_send is not None:
            frames.insert(0, kind.codec.encode(kind.will_send(self.pick(counts))))
        return ChannelsMessageReceived(connection_id, channel, self.stream(connection_id, channel), self.pick((*frames[:-1], *frames)))

    def _rpc_frame(self, connection_id: ConnectionId) -> ChannelsMessageReceived:
        stream = self.stream(connection_id, ChannelId.RPC)
        channels = self.state.channels.rpc(connection_id)
        number = self.below(4)
        if channels is not None and (asked := channels.request_on(stream)) is not None and self.often():
            number = asked.id
        question: rpc.RpcMessage = rpc.RpcRequestMessage(number, self.request())
        answer: rpc.RpcMessage = rpc.RpcResponseMessage(number, self.response(connection_id))
        frame = b"\xff" if self.below(12) == 0 else rpc.RPC_MESSAGE.encode(self.pick((question, answer)))
        return ChannelsMessageReceived(connection_id, ChannelId.RPC, stream, frame)

    def command(self) -> Any:
        """What node software may command."""
        connection_id, channel = self.connection_id(), self.pick(POOL_CHANNELS)
        serving = [] if (found := self.state.channels.rpc(connection_id)) is None else [s.serial for s in found.serving]
        block = self.pick(self.items.blocks)
        known = [item.key for item in self.state.pools.of(channel).items.items.values()]
        verdicts = self.state.pools.verdicts.keys()
        commands: tuple[Callable[[], Any], ...] = (
            lambda: ConnectionOutgoingRequest(self.address(), RequestId(self.below(1 << 40))),
            lambda: RpcRequestSend(connection_id, RequestId(self.below(1 << 40)), self.request()),
            lambda: ChannelsRpcResponseSend(connection_id, self.pick(serving or [0]), self.response(connection_id)),
            lambda: BestTipSet(block, state_hash(block)),
            lambda: self._insert(channel),
            lambda: self._insert(channel),
            lambda: PoolRemove(channel, self.pick(known or [b"nothing"])),
            lambda: PoolVerdict(self.pick(verdicts or [RequestId(1)]), bool(self.below(2))),
            lambda: PeerDiscovered(self.address(), PeerSource.USER, None),
            lambda: PeerBan(self.peer_id(), Timestamp(self.state.clock.now + self.below(3) * 60 * SECOND), self.reason()),
            lambda: PeerUnban(self.peer_id()),
            lambda: PeerGroupBan(self.host(), Timestamp(self.state.clock.now + self.below(3) * 60 * SECOND), self.reason()),
            lambda: PeerGroupUnban(self.host()),
            lambda: BansReset() if self.below(4) == 0 else CheckTimeouts(),
            lambda: DisconnectionInit(connection_id, self.reason()),
            lambda: Shutdown() if self.below(16) == 0 else CheckTimeouts(),
        )
        return self.pick(commands)()

    def verdict(self) -> Any:
        """The node software's word on an item, if it was asked; good most times."""
        open_questions = self.state.pools.verdicts.keys()
        return PoolVerdict(self.pick(open_questions), self.below(8) != 0) if open_questions else self.honest()

    def _insert(self, channel: ChannelId) -> PoolInsert:
        if channel == ChannelId.TRANSACTION:
            payment = self.pick(self.items.payments)
            body, info = bytes(payment), cast("PropagationItem", transaction_info(payment))
        elif channel == ChannelId.SNARK:
            snark = self.pick(self.items.snarks)
            body, info = bytes(snark), snark_info(snark)
        else:
            body, info = b"", self.pick(self.items.commitments)
        key = POOL_KINDS[channel].key(info) if self.below(16) else b"another key"
        return PoolInsert(channel, key, info, body)

    def later(self) -> Timestamp:
        """The state's time, or a little later, or about the next deadline."""
        now, due = self.state.clock.now, next_deadline(self.state)
        steps = (0, 0, 1, SECOND, 10 * SECOND, 100 * SECOND)
        near = () if due is None else (due - 1 - now, due - now, due - now)
        return Timestamp(now + max(0, self.pick((*steps, *near))))

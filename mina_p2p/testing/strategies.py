"""Hypothesis strategies: inputs and actions for a node, plausible and hostile, and states that they lead to.

What is drawn depends on the state: ids that exist are likelier than ids that do not, frames are on
streams that are open more often than not, times are near deadlines. `Suggestions` needs nothing but a
function that draws an int below a bound, so that a fuzzer or a simulator can feed it as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from hypothesis import strategies as st

from mina_p2p.address import DialAddress, Ipv4, QuicAddress
from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.channels.propagation.kinds import KINDS, PropagationItem
from mina_p2p.channels.propagation.state import Requested, Responding
from mina_p2p.channels.rpc import messages as rpc
from mina_p2p.channels.rpc.actions import ChannelsRpcResponseSend, RpcRequestSend
from mina_p2p.channels.rpc.kinds import KINDS as RPC_KINDS
from mina_p2p.channels.rpc.state import ForNode
from mina_p2p.channels.snark_job_commitment.messages import SnarkJobCommitment
from mina_p2p.config import PROTOCOL_VERSION, Limits, P2pConfig
from mina_p2p.connection.hello import HELLO, Hello
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingRequest
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.errors import CallerError
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, PeerNumber, RequestId, StreamId, Timestamp, stream_id
from mina_p2p.mina.hashes import state_hash_of_block
from mina_p2p.mina.ledger_query import MerkleAddress, NumAccounts, WhatContents
from mina_p2p.mina.raw import RawBlock, RawLedgerAnswer, RawSnark, RawUserCommand
from mina_p2p.peer.actions import PeerBan, PeerDiscovered, PeerUnban
from mina_p2p.peer.state import PeerSource
from mina_p2p.pool.actions import PoolInsert, PoolRemove, PoolVerdict
from mina_p2p.pool.announce import snark_info, transaction_info
from mina_p2p.pool.kinds import KINDS as POOL_KINDS
from mina_p2p.pool.state import POOL_CHANNELS
from mina_p2p.record import Record, field_names, record
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState, initial_state
from mina_p2p.testing.mina import MinaGenerator
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
)

T = TypeVar("T")
Below = Callable[[int], int]
"""Draws an int from 0 to its argument, exclusive."""

START = Timestamp(1_700_000_000 * SECOND)
ME = PeerId((100).to_bytes(32, "big"))
"""The node of `small_config`."""
OTHERS = tuple(PeerId(n.to_bytes(32, "big")) for n in (1, 2, 3, 201, 202, 203))
"""Its peers, of lesser and of greater ids."""

SMALL_LIMITS = Limits(
    peers_max=4,
    peers_min=3,
    known_peers_max=5,
    discovered_per_source_max=2,
    propagation_request_max=3,
    candidates_per_peer_max=3,
    candidate_announcers_max=2,
    pool_items_max=4,
    rpc_requests_max=2,
    rpc_pending_max=2,
    answer_bytes_granted_max=300 << 20,
    deadlines_per_turn_max=4,
)
"""Bounds that a few inputs reach."""


def small_config(**settings: Any) -> P2pConfig:
    """A node whose bounds are reached soon; ``settings`` are fields of `P2pConfig`."""
    return P2pConfig(ME, MAINNET_CHAIN_ID, **{"limits": SMALL_LIMITS, "seed": 1, **settings})


@record
class Catalog(Record):
    """Things to spread."""

    payments: tuple[RawUserCommand, ...]
    snarks: tuple[RawSnark, ...]
    """For two jobs, some better than others."""
    commitments: tuple[SnarkJobCommitment, ...]
    blocks: tuple[RawBlock, ...]


@cache
def catalog() -> Catalog:
    """The same few items at every call."""
    make = MinaGenerator(1)
    payments = tuple(RawUserCommand.of(make.payment()) for _ in range(6))
    works = [make.snark() for _ in range(2)]
    snarks = tuple(RawSnark.of(work.replace(fee=fee)) for work in works for fee in (1, 2, 3))
    infos = map(snark_info, snarks)
    commitments = tuple(SnarkJobCommitment(1, info.job_id, info.fee, info.prover) for info in infos)
    return Catalog(payments, snarks, commitments, tuple(RawBlock.of(block) for block in make.chain(3)))


@cache
def announcements(channel: ChannelId) -> tuple[PropagationItem, ...]:
    """What can be announced of the catalog."""
    items = catalog()
    match channel:
        case ChannelId.TRANSACTION:
            found = [transaction_info(raw) for raw in items.payments]
            return (*found, found[0].replace(fee=found[0].fee + 1))
        case ChannelId.SNARK:
            return tuple(map(snark_info, items.snarks))
        case ChannelId.SNARK_JOB_COMMITMENT:
            return items.commitments
        case _:
            return items.blocks


class Suggestions:
    """Draws what could happen to a state next."""

    def __init__(self, below: Below, state: P2pState) -> None:
        self.below = below
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
        """A stream that is open for that channel, most times."""
        channels = self.state.channels.table.get(connection_id)
        if channels is None or self.below(8) == 0:
            return StreamId(self.below(64))
        if self.below(2):
            return stream_id(1 + self.below(40), by_dialer=not channels.is_dialer)
        known: list[StreamId] = []
        if (machine := channels.propagation(channel)) is not None and isinstance(machine.local, Requested | Responding):
            known.append(machine.local.stream)
        if machine is not None and (stream := getattr(machine.remote, "stream", None)) is not None:
            known.append(stream)
        if channel == ChannelId.RPC and channels.rpc is not None:
            known += [request.stream for request in (*channels.rpc.requests, *channels.rpc.serving)]
        return self.pick(known) if known else stream_id(self.below(20), by_dialer=channels.is_dialer)

    def request(self) -> rpc.RpcRequest:
        """A question, reasonable most times."""
        job = snark_info(self.pick(self.items.snarks)).job_id
        return self.pick(
            (
                rpc.TransactionRequest(transaction_info(self.pick(self.items.payments)).hash),
                rpc.SnarkRequest(job),
                rpc.InitialPeersRequest(),
                rpc.BestTipWithProofRequest(),
                rpc.BlockRequest(bytes(32)),
                rpc.LedgerQueryRequest(bytes(32), NumAccounts()),
                rpc.LedgerQueryRequest(bytes(32), WhatContents(MerkleAddress(1, b"\0"))),
                rpc.StagedLedgerAuxAndPendingCoinbasesAtBlockRequest(bytes(32)),
            )
        )

    def response(self, connection_id: ConnectionId) -> rpc.RpcResponse | None:
        """An answer, to what was asked most times."""
        if self.below(6) == 0:
            return None
        channels = self.state.channels.rpc(connection_id)
        asked = [] if channels is None else [request.request for request in channels.requests if hasattr(request, "request")]
        kinds = [RPC_KINDS[type(request)].response for request in asked]
        kind = self.pick(kinds) if kinds and self.often() else rpc.BlockResponse
        if kind is rpc.TransactionResponse:
            return rpc.TransactionResponse(self.pick(self.items.payments))
        if kind is rpc.SnarkResponse:
            return rpc.SnarkResponse(self.pick(self.items.snarks))
        if kind is rpc.InitialPeersResponse:
            return rpc.InitialPeersResponse(tuple(self.address() for _ in range(self.below(4))))
        if kind is rpc.LedgerQueryResponse:
            return rpc.LedgerQueryResponse(RawLedgerAnswer(b"?"))
        return rpc.BlockResponse(self.pick(self.items.blocks))

    def body(self, channel: ChannelId) -> bytes:
        """An item."""
        return self.pick(self.items.payments if channel == ChannelId.TRANSACTION else self.items.snarks)

    # --- inputs ---------------------------------------------------------------------------

    def input(self) -> Any:
        """An event, a command, or a look at the clock."""
        return self.pick((self.event, self.event, self.frame, self.frame, self.frame, self.frame, self.command, CheckTimeouts))()

    def event(self) -> Any:
        """What a transport may report, but for frames."""
        connection_id = self.connection_id()
        channel = self.channel() if self.below(3) else ChannelId.RPC
        connection = self.state.connections.get(connection_id)
        peer_id = connection.peer_id if connection is not None and self.often() else self.peer_id()
        arrival = ConnectionIncomingReceived(TransportKind.QUIC, self.below(1 << 20), self.remote(), self.peer_id())
        return self.pick(
            (
                arrival,
                arrival,
                ConnectionEstablished(connection_id, peer_id, self.remote()),
                ConnectionHelloReceived(connection_id, self.hello()),
                ConnectionHelloReceived(connection_id, self.hello()),
                ConnectionClosed(connection_id, self.reason(), bool(self.below(2))),
                ChannelsStreamEnded(connection_id, channel, self.stream(connection_id, channel)),
                ChannelsStreamEnded(connection_id, channel, self.stream(connection_id, channel)),
                ChannelsStreamReset(connection_id, channel, self.stream(connection_id, channel), self.pick(list(StreamResetCode))),
                ChannelsSendBlocked(connection_id),
                ChannelsSendUnblocked(connection_id),
            )
        )

    def hello(self) -> bytes:
        """A hello, good most times."""
        good = Hello(PROTOCOL_VERSION, PROTOCOL_VERSION, MAINNET_CHAIN_ID, (3, 4, 5, 6, 7), ("quic-address",), "drawn")
        bad = (good.replace(chain_id=bytes(32)), good.replace(lowest_version=9, highest_version=9), good.replace(channels=(4,)))
        return HELLO.encode(good) if self.below(8) else self.pick((*(HELLO.encode(hello) for hello in bad), b"", b"\xff" * 40))

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
        commands = (
            lambda: ConnectionOutgoingRequest(self.address(), RequestId(self.below(1 << 20))),
            lambda: RpcRequestSend(connection_id, RequestId(self.below(1 << 20)), self.request()),
            lambda: ChannelsRpcResponseSend(connection_id, self.pick(serving or [0]), self.response(connection_id)),
            lambda: BestTipSet(block, state_hash_of_block(block)),
            lambda: self._insert(channel),
            lambda: self._insert(channel),
            lambda: PoolRemove(channel, self.pick(known or [b"nothing"])),
            lambda: PoolVerdict(self.pick(verdicts or [RequestId(1)]), bool(self.below(2))),
            lambda: PoolVerdict(self.pick(verdicts or [RequestId(1)]), True),
            lambda: PeerDiscovered(self.address(), PeerSource.USER, None),
            lambda: PeerBan(self.peer_id(), Timestamp(self.state.clock.now + self.below(3) * 60 * SECOND), self.reason()),
            lambda: PeerUnban(self.peer_id()),
            lambda: DisconnectionInit(connection_id, self.reason()),
        )
        return self.pick(commands)()

    def _insert(self, channel: ChannelId) -> PoolInsert:
        body = self.body(channel)
        match channel:
            case ChannelId.TRANSACTION:
                info: PropagationItem = transaction_info(RawUserCommand(body))
            case ChannelId.SNARK:
                info = snark_info(RawSnark(body))
            case _:
                info = self.pick(self.items.commitments)
        key = POOL_KINDS[channel].key(info) if self.below(16) else b"another key"
        return PoolInsert(channel, key, info, body)

    def later(self) -> Timestamp:
        """The state's time, or a little later, or about the next deadline."""
        now, due = self.state.clock.now, next_deadline(self.state)
        steps = (0, 0, 1, SECOND, 10 * SECOND, 100 * SECOND)
        near = () if due is None else (due - 1 - now, due - now, due - now)
        return Timestamp(now + max(0, self.pick((*steps, *near))))

    # --- actions, inputs or not -------------------------------------------------------------

    def action(self) -> Any:
        """Any action that is reduced, with arguments that fit or nearly fit the state.

        Follow-ups trust the reducer that returned them; of what no guard could know, only the truth
        is drawn: an item belongs on its channel, an index in its log.
        """
        return self.arguments(self.pick(reduced_actions()))

    def arguments(self, kind: type[Any]) -> Any:
        """An action of a class."""
        connection_id = self.connection_id()
        pooled = kind.__module__.startswith("mina_p2p.pool")
        channel = self.pick(POOL_CHANNELS) if pooled else self.channel()
        if kind.__name__.startswith("ChannelsRpc"):
            channel = ChannelId.RPC
        info = self.pick(announcements(channel))
        stream = self.stream(connection_id, channel)
        values: dict[str, Any] = {"connection_id": connection_id, "channel": channel, "info": info, "item": info, "stream": stream}
        return kind(*(values[name] if name in values else self._value(kind, name, values) for name in field_names(kind)))

    def _value(self, kind: type[Any], name: str, values: dict[str, Any]) -> Any:
        connection_id, channel, info = values["connection_id"], values["channel"], values["info"]
        connection = self.state.connections.get(connection_id)
        machine = self.state.channels.propagation(connection_id, channel)
        next_index = 0 if machine is None else machine.next_send_index
        match name:
            case "peer_id":
                return connection.peer_id if connection is not None and self.often() else self.peer_id()
            case "number" | "learned_from":
                return self.pick([*self.state.peers.table, PeerNumber(0)])
            case "address":
                return self.address()
            case "code":
                return self.pick(list(StreamResetCode))
            case "request_id":
                return RequestId(self.below(1 << 20))
            case "verdict_id":
                return self.pick([*self.state.pools.verdicts, RequestId(0)])
            case "candidate":
                return self.pick([*self.state.pools.of(channel).candidates, 0]) if channel in POOL_KINDS else 0
            case "id" | "serial" | "more" | "promised_count" | "limit":
                return self.below(5)
            case "purpose":
                return ForNode(RequestId(self.below(1 << 20)))
            case "source":
                return self.pick(list(PeerSource))
            case "arrival":
                return ConnectionIncomingReceived(TransportKind.QUIC, self.below(1 << 20), self.remote(), self.peer_id())
            case "hello":
                return HELLO.decode(HELLO.encode(Hello(1, 1, MAINNET_CHAIN_ID, (3, 4, 5, 6, 7), (), "drawn")))
            case "items":
                return (info,) * self.below(5)
            case "first_index":
                return max(0, next_index - self.below(2))
            case "last_index":
                return next_index - (next_index >= self._counter(channel))
            case "key" | "body":
                return POOL_KINDS[channel].key(info) if name == "key" else b"body"
            case "block":
                return self.pick(self.items.blocks)
            case "state_hash":
                return self.pick((bytes(32), bytes(31) + b"\1"))
            case "until":
                return Timestamp(self.state.clock.now + (self.below(4) - 1) * 60 * SECOND)
            case "is_valid" | "by_peer" | "was_ready" | "is_transport_gone":
                return bool(self.below(2))
            case "frame":
                return self.hello() if kind is ConnectionHelloReceived else self.frame().frame
            case _:
                return self._of_type(name, connection_id)

    def _of_type(self, name: str, connection_id: ConnectionId) -> Any:
        made: dict[str, Callable[[], Any]] = {
            "reason": self.reason,
            "remote": self.remote,
            "request": self.request,
            "response": lambda: self.response(connection_id),
            "transport": lambda: TransportKind.QUIC,
            "handle": lambda: self.below(1 << 20),
            "detail": lambda: "",
        }
        if name not in made:
            raise CallerError(f"nothing is drawn for a field called {name}; teach it to Suggestions")
        return made[name]()

    def _counter(self, channel: ChannelId) -> int:
        return self.state.pools.of(channel).items.counter if channel in POOL_KINDS else self.state.best_tips.version + 1


@cache
def reduced_actions() -> tuple[type[Any], ...]:
    """Every action class that changes the state, by name."""
    machine = p2p_machine()
    return tuple(action for action in machine.actions if not machine.is_effect(action))


# --- strategies -------------------------------------------------------------------------------


@st.composite
def inputs(draw: st.DrawFn, state: P2pState) -> Any:
    """An input for a node in that state."""
    return _suggestions(draw, state).input()


@st.composite
def actions(draw: st.DrawFn, state: P2pState) -> Any:
    """Any action, for a node in that state."""
    return _suggestions(draw, state).action()


@st.composite
def times(draw: st.DrawFn, state: P2pState) -> Timestamp:
    """When it happens."""
    return _suggestions(draw, state).later()


@st.composite
def states(draw: st.DrawFn, config: P2pConfig | None = None, inputs_max: int = 40) -> P2pState:
    """A state that inputs lead to."""
    machine, state = p2p_machine(), initial_state(config or small_config(), START)
    for _ in range(draw(st.integers(0, inputs_max))):
        now = draw(times(state))
        try:
            state, _, _ = machine.dispatch(state, draw(inputs(state)), now)
        except CallerError:
            continue
    return state


def _suggestions(draw: st.DrawFn, state: P2pState) -> Suggestions:
    return Suggestions(lambda bound: draw(st.integers(0, bound - 1)), state)

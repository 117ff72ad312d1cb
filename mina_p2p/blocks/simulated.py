"""The slice in the simulator, on a machine of its own: the root of a node, lifted, with the slice beside it.

Frames of channel 10 pass the same memory network as all others. What a root has to do to carry the slice
is what `BlockNode` does: tickets become streams, events of the channel become the slice's actions, peers that
come and go are told.
"""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

from mina_p2p.address import DialAddress
from mina_p2p.blocks.actions import (
    BlocksAction,
    BlocksAnswerEnded,
    BlocksAnswerReceived,
    BlocksAnswerReset,
    BlocksCandidateDue,
    BlocksEffect,
    BlocksEffectfulRequestCancel,
    BlocksEffectfulRequestSend,
    BlocksNotification,
    BlocksPeerDue,
    BlocksPeerJoined,
    BlocksPeerLeft,
    BlocksRequestCancelled,
    BlocksRequestReceived,
)
from mina_p2p.blocks.reducer import reduce
from mina_p2p.blocks.state import Asked, Blocks, BlocksConfig, Ticket, initial_blocks
from mina_p2p.config import Limits, P2pConfig
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingInit
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.errors import InvariantViolationError
from mina_p2p.identity import PeerId
from mina_p2p.ids import ChannelId, ConnectionId, RequestId, StreamId, Timestamp, stream_id
from mina_p2p.notifications import PeerConnected, PeerDisconnected
from mina_p2p.record import Record, record
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState, initial_state
from mina_p2p.store import Action, Machine, Slice, Store
from mina_p2p.testing.sim import Liar, SimNode, Simulation, Software
from mina_p2p.transport import (
    ChannelsEffectfulRequestSend,
    ChannelsEffectfulStreamReset,
    ChannelsMessageReceived,
    ChannelsStreamEnded,
    ChannelsStreamReset,
    SocketAddress,
    TransportEvent,
    TransportKind,
)
from mina_p2p.wire.framing import HEADER_SIZE

FIRST_STREAM_NUMBER = 1_000_000
"""The root numbers its own streams from 0."""
DUE_MAX = 256


@record
class BlockRoot(Record):
    """A node's root with the slice beside it."""

    p2p: P2pState
    blocks: Blocks


@cache
def block_machine() -> Machine[BlockRoot]:
    """The machine of a node that carries the slice."""
    return (
        p2p_machine()
        .lift(BlockRoot, "p2p")
        .extend(
            slices=(Slice("blocks", get_args(BlocksAction), reduce),),
            effects=(*get_args(BlocksEffect), *get_args(BlocksNotification)),
        )
    )


def check_blocks(blocks: Blocks) -> None:
    """Check what holds in every state of the slice.

    :raises InvariantViolationError: for the first thing that is wrong.
    """
    for what in _violations(blocks):
        raise InvariantViolationError(what)


def _violations(blocks: Blocks) -> list[str]:
    wrong: list[str] = []
    granularity = blocks.deadlines.granularity
    waits = {(-(-at // granularity), n * 2) for n, peer in blocks.peers.items() if (at := peer.wakes_at) is not None}
    waits |= {(-(-candidate.wakes_at // granularity), n * 2 + 1) for n, candidate in blocks.candidates.items()}
    if waits != {(bucket, key) for bucket, keys in blocks.deadlines.buckets.items() for key in keys}:
        wrong.append("blocks.deadlines: not the waits that the records name")
    tickets: dict[int, int] = {}
    large = 0
    for peer in blocks.peers.values():
        tickets |= {owing.ticket: 0 for owing in peer.owing}
        if isinstance(peer.local, Asked):
            tickets[peer.local.ticket] = 0
            large += peer.local.wants > 0
    for number, candidate in blocks.candidates.items():
        path = f"blocks.candidates[{number}]"
        if blocks.by_hash.get(candidate.state_hash) != number:
            wrong.append(f"{path}: not found by its hash")
        if not set(candidate.announcers) <= set(blocks.peers):
            wrong.append(f"{path}.announcers: somebody who is gone")
        if not {question.connection_id for question in candidate.questions} <= set(candidate.announcers):
            wrong.append(f"{path}.questions: asked of somebody who did not announce it")
        tickets |= {question.ticket: number for question in candidate.questions}
        if not candidate.questions and all(copy.verdict_id is None for copy in candidate.copies):
            wrong.append(f"{path}: waits for nothing")
    if tickets != dict(blocks.tickets.items()):
        wrong.append("blocks.tickets: not the requests that the records name")
    if large > blocks.config.header_permissions_max:
        wrong.append(f"blocks.peers: {large} permissions for headers")
    if len(blocks.held) > blocks.config.held_max:
        wrong.append(f"blocks.held: {len(blocks.held)}")
    if blocks.items.bytes_held > blocks.config.items_bytes_max:
        wrong.append(f"blocks.items: {blocks.items.bytes_held} bytes")
    return wrong


class BlockNode(SimNode):
    """A simulated node that carries the slice."""

    root: Store[BlockRoot]

    def __init__(
        self,
        simulation: Simulation,
        number: int,
        config: P2pConfig,
        address: SocketAddress,
        software: Software | None,
        liar: Liar | None,
        blocks: BlocksConfig,
        *,
        warmth: int,
    ) -> None:
        super().__init__(simulation, number, config, address, software, liar)
        slice_ = initial_blocks(blocks, config.seed.to_bytes(8, "big")).replace(warmth=warmth)
        self.root = Store(block_machine(), BlockRoot(initial_state(config, simulation.now), slice_))
        store: Any = self.root
        self.store = store
        self.received: list[tuple[int, int]] = []
        """Tag and size of every frame of channel 10, its length header included."""
        self._tickets: dict[tuple[ConnectionId, StreamId], Ticket] = {}
        self._streams: dict[Ticket, StreamId] = {}
        self._blocks_wake_at: Timestamp | None = None

    @property
    def state(self) -> P2pState:
        """The library's part of the node's state."""
        return self.root.state.p2p

    @property
    def bytes_received(self) -> int:
        """Of all frames of channel 10."""
        return sum(size for _, size in self.received)

    @property
    def blocks(self) -> Blocks:
        """The slice."""
        return self.root.state.blocks

    def feed(self, event: TransportEvent) -> None:
        """Take an event of the network; those of channel 10 are the slice's."""
        self.dispatch(self._mapped(event))

    def _mapped(self, event: TransportEvent) -> Action:
        match event:
            case ChannelsMessageReceived(connection_id=connection_id, channel=ChannelId.BLOCK, stream=stream, frame=frame):
                self.received.append((frame[0] if frame else -1, HEADER_SIZE + len(frame)))
                ticket = self._tickets.get((connection_id, stream))
                if ticket is None:
                    return BlocksRequestReceived(connection_id, stream, frame)
                return BlocksAnswerReceived(connection_id, ticket, frame)
            case ChannelsStreamEnded(connection_id=connection_id, channel=ChannelId.BLOCK, stream=stream):
                return BlocksAnswerEnded(connection_id, self._tickets.pop((connection_id, stream), Ticket(0)))
            case ChannelsStreamReset(connection_id=connection_id, channel=ChannelId.BLOCK, stream=stream, code=code):
                ticket = self._tickets.pop((connection_id, stream), None)
                if ticket is None:
                    return BlocksRequestCancelled(connection_id, stream)
                return BlocksAnswerReset(connection_id, ticket, code)
            case _:
                return event

    def _notify(self, notification: Any) -> None:
        match notification:
            case BlocksEffectfulRequestSend(connection_id=connection_id, ticket=ticket):
                self._open(notification, connection_id, ticket)
            case BlocksEffectfulRequestCancel(connection_id=connection_id, ticket=ticket):
                stream = self._streams.pop(ticket)
                self._tickets.pop((connection_id, stream), None)
                self.perform(ChannelsEffectfulStreamReset(connection_id, stream, StreamResetCode.CANCELLED))
            case PeerConnected(connection_id=connection_id, peer_id=peer_id):
                self.dispatch(BlocksPeerJoined(connection_id, peer_id))
                super()._notify(notification)
            case PeerDisconnected(connection_id=connection_id):
                self.dispatch(BlocksPeerLeft(connection_id))
                super()._notify(notification)
            case _:
                super()._notify(notification)

    def _open(self, request: BlocksEffectfulRequestSend, connection_id: ConnectionId, ticket: Ticket) -> None:
        connection = self.state.connections.get(connection_id)
        if connection is None:
            return
        stream = stream_id(FIRST_STREAM_NUMBER + ticket, by_dialer=not connection.is_incoming)
        self._tickets[connection_id, stream], self._streams[ticket] = ticket, stream
        made = ChannelsEffectfulRequestSend(
            connection_id, ChannelId.BLOCK, stream, request.frame, request.answer_bytes_max, request.frame_bytes_max
        )
        self.perform(made)

    def _schedule(self) -> None:
        super()._schedule()
        at = self.blocks.deadlines.next_at()
        if at is not None and (self._blocks_wake_at is None or at < self._blocks_wake_at):
            self._blocks_wake_at = due = max(at, self.simulation.now)
            self.simulation.at(due, lambda: self._blocks_due(due))

    def _blocks_due(self, at: Timestamp) -> None:
        if self._blocks_wake_at != at or not self.port.is_alive:
            return
        self._blocks_wake_at = None
        for key in self.blocks.deadlines.due(self.now, DUE_MAX):
            self.dispatch(BlocksCandidateDue(key // 2) if key % 2 else BlocksPeerDue(ConnectionId(key // 2)))
        self._schedule()


class BlockSimulation(Simulation):
    """A network of such nodes."""

    def add_block_node(self, *, software: Software | None = None, liar: Liar | None = None, warmth: int = 0, **config: Any) -> BlockNode:
        """Start a node; it dials nobody by itself.

        :param warmth: percent of a block's items that it expects to have at first.
        :param config: fields of `BlocksConfig` that differ from the defaults.
        """
        number, settings, address = self.next_place(())
        node = BlockNode(self, number, settings, address, software, liar, BlocksConfig(settings.peer_id, **config), warmth=warmth)
        self.nodes.append(node)
        return node

    def next_place(self, channels: tuple[ChannelId, ...]) -> tuple[int, P2pConfig, SocketAddress]:
        """Number, configuration and address of a node that starts next and dials nobody by itself."""
        number = len(self.nodes) + 1
        settings = P2pConfig(
            PeerId(number.to_bytes(32, "big")),
            self.chain_id,
            seed=(self.seed * 1_000_003 + number) % (1 << 64),
            transport=TransportKind.MEMORY,
            channels=channels,
            is_discovery_enabled=False,
            limits=Limits(peers_min=0, peers_max=200, peers_per_group_max=200),
        )
        return number, settings, SocketAddress(f"1.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 8302)

    def connect(self, one: SimNode, other: SimNode) -> None:
        """One node dials another, as its node software wishes."""
        address: DialAddress = other.port.dial_address
        one.dispatch(ConnectionOutgoingInit(address, RequestId(other.number)))

"""Peers that lie, as small classes.

A liar is a node of the simulation whose own reducer is the shipped one; what it wants the
network to do passes through a strategy, which may change it, drop it or add to it. Write your
own: override what lies, and give the class to `mina_p2p.testing.campaign.Run`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from mina_p2p.address import Ipv4, QuicAddress
from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.blocks.split import RawBlockBody, RawBlockHeader
from mina_p2p.channels.block.messages import (
    BLOCK_MESSAGE,
    BlockBodyItem,
    BlockHeaderItem,
    BlockItems,
    BlockMessage,
    BlockNotHeld,
    BlockOutlineItem,
)
from mina_p2p.channels.propagation.kinds import KINDS
from mina_p2p.channels.rpc.messages import (
    RPC_MESSAGE,
    InitialPeersResponse,
    RpcResponseMessage,
    SnarkResponse,
    TransactionResponse,
)
from mina_p2p.errors import DecodeError
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, stream_id
from mina_p2p.mina.hashes import state_hash_of_block
from mina_p2p.mina.raw import RawBlock, RawSnark, RawUserCommand
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.links import MemoryPort
from mina_p2p.testing.sim import SimNode, Simulation
from mina_p2p.testing.stock import Piece, Stock
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestSend,
    ConnectionEffectfulDial,
    SocketAddress,
    TransportEffect,
)

FAR_STREAM: Final = 1_000_000
"""Streams that a liar's reducer knows nothing of have numbers from here on."""
FAR_CONNECTION: Final = 1_000_000_000
"""Connections likewise."""
PUPPET_PORT: Final = 10_000
PUPPETS_MAX: Final = 50_000
"""Of one liar, over its life; their ports begin at `PUPPET_PORT`."""


class Strategy:
    """Lies in nothing; the base of all others."""

    period: int | None = None
    """Nanoseconds between two calls of `woken`; none by default."""

    def __init__(self, dice: Dice, stock: Stock) -> None:
        self.dice = dice
        self.stock = stock
        self._far = 0

    def perform(self, node: SimNode, effect: TransportEffect) -> Iterable[TransportEffect]:
        """What is done in place of an effect that the reducer wants."""
        if isinstance(effect, ChannelsEffectfulAnswerSend):
            return self.answer(node, effect)
        return (effect,)

    def answer(self, node: SimNode, effect: ChannelsEffectfulAnswerSend) -> Iterable[TransportEffect]:
        """What is sent in place of an answer."""
        return (effect,)

    def woken(self, node: SimNode) -> None:
        """Something to do from time to time."""

    def far_number(self) -> int:
        """A number that nothing of the reducer's has."""
        self._far += 1
        return self._far

    def request(self, node: SimNode, connection_id: ConnectionId, channel: ChannelId, frame: bytes) -> None:
        """Open a stream that the reducer knows nothing of."""
        connection = node.state.connections.table[connection_id]
        stream = stream_id(FAR_STREAM + self.far_number(), by_dialer=not connection.is_incoming)
        node.simulation.network.perform(
            node.port, ChannelsEffectfulRequestSend(connection_id, channel, stream, frame, 1 << 20, 1 << 20), node.simulation.now
        )

    def ready(self, node: SimNode) -> list[ConnectionId]:
        """Connections that carry channels."""
        connections = node.state.connections
        return [connection_id for connection_id in connections.table if connections.ready(connection_id) is not None]


class SendsUnasked(Strategy):
    """Sends items that nobody permitted, on streams of its own."""

    period = 7 * SECOND

    def woken(self, node: SimNode) -> None:
        """Push an item to somebody."""
        if connections := self.ready(node):
            frame = KINDS[ChannelId.TRANSACTION].encode_answer((self.dice.choice(self.stock.transactions).info,))[-1]
            self.request(node, self.dice.choice(connections), ChannelId.TRANSACTION, frame)


class PromisesTooMuch(Strategy):
    """Promises, and sends, more than it was permitted; or only promises."""

    def answer(self, node: SimNode, effect: ChannelsEffectfulAnswerSend) -> Iterable[TransportEffect]:
        """Answer every permission for transactions with 255 promised ones."""
        kind = KINDS[ChannelId.TRANSACTION]
        if len(effect.frames) < 2 or kind.will_send is None:
            return (effect,)
        promise = kind.codec.encode(kind.will_send(255))
        items = effect.frames[1:] * (40 if self.dice.chance(50) else 1)
        return (effect.replace(frames=(promise, *items)),)


class Truncates(Strategy):
    """Ends answers before they are complete, between frames or within one."""

    def answer(self, node: SimNode, effect: ChannelsEffectfulAnswerSend) -> Iterable[TransportEffect]:
        """Send a part."""
        if not effect.frames:
            return (effect,)
        *whole, last = effect.frames
        part = (last[: self.dice.below(len(last))],) if last and self.dice.chance(50) else ()
        return (effect.replace(frames=(*whole, *part)),)


class SendsGarbage(Strategy):
    """Puts noise where bytes with a meaning should be, in answers and questions."""

    def perform(self, node: SimNode, effect: TransportEffect) -> Iterable[TransportEffect]:
        """Change one effect in four."""
        if not self.dice.chance(25):
            return (effect,)
        match effect:
            case ChannelsEffectfulAnswerSend(frames=frames):
                return (effect.replace(frames=tuple(map(self._noise, frames))),)
            case ChannelsEffectfulRequestSend(frame=frame):
                return (effect.replace(frame=self._noise(frame)),)
            case _:
                return (effect,)

    def _noise(self, frame: bytes) -> bytes:
        if not frame or self.dice.chance(30):
            return self.dice.raw(self.dice.between(1, 300))
        at = self.dice.below(len(frame))
        return frame[:at] + self.dice.raw(1) + frame[at + 1 :]


class AnswersWrong(Strategy):
    """Answers a question for an item with another item; announces what nobody else has, so that it is asked."""

    period = 5 * SECOND

    def woken(self, node: SimNode) -> None:
        """Have something of its own to announce: what others have too is soon fetched from them."""
        node.dispatch(self.dice.choice(self.stock.fakes).insert)

    def answer(self, node: SimNode, effect: ChannelsEffectfulAnswerSend) -> Iterable[TransportEffect]:
        """Swap what is in the answer."""
        return (effect.replace(frames=tuple(map(self._other, effect.frames))),)

    def _other(self, frame: bytes) -> bytes:
        try:
            message = RPC_MESSAGE.decode(frame)
        except DecodeError:
            return frame
        if not isinstance(message, RpcResponseMessage):
            return frame
        match message.response:
            case TransactionResponse(body=body):
                other = self._but((*self.stock.transactions, *self.stock.fakes), bytes(body))
                return RPC_MESSAGE.encode(message.replace(response=TransactionResponse(RawUserCommand(other))))
            case SnarkResponse(body=body):
                other = self._but(self.stock.snarks, bytes(body))
                return RPC_MESSAGE.encode(message.replace(response=SnarkResponse(RawSnark(other))))
            case _:
                return frame

    def _but(self, pieces: Iterable[Piece], body: bytes) -> bytes:
        return self.dice.choice([piece.body for piece in pieces if piece.body != body])


class NeverAnswers(Strategy):
    """Announces, and never answers a question."""

    def answer(self, node: SimNode, effect: ChannelsEffectfulAnswerSend) -> Iterable[TransportEffect]:
        """Keep what is no announcement to itself."""
        is_announcement = len(effect.frames) > 1
        return (effect,) if is_announcement else ()


class SpreadsFakes(Strategy):
    """Announces and serves items that look right and are not valid."""

    period = 5 * SECOND

    def woken(self, node: SimNode) -> None:
        """Put a fake into its own pool; its honest reducer does the rest."""
        fake: Piece = self.dice.choice(self.stock.fakes)
        node.dispatch(fake.insert)


class LiesAboutPeers(Strategy):
    """Names peers that do not exist, and itself under the addresses of others."""

    def answer(self, node: SimNode, effect: ChannelsEffectfulAnswerSend) -> Iterable[TransportEffect]:
        """Replace lists of peers."""
        return (effect.replace(frames=tuple(self._list(node, frame) for frame in effect.frames)),)

    def _list(self, node: SimNode, frame: bytes) -> bytes:
        try:
            message = RPC_MESSAGE.decode(frame)
        except DecodeError:
            return frame
        if not isinstance(message, RpcResponseMessage) or not isinstance(message.response, InitialPeersResponse):
            return frame
        invented = [QuicAddress(PeerId(self.dice.raw(32)), Ipv4.of(1, 9, self.dice.below(256), 1), 8302) for _ in range(60)]
        elsewhere = [QuicAddress(node.config.peer_id, host.host, 8302) for host in message.response.peers if isinstance(host, QuicAddress)]
        return RPC_MESSAGE.encode(message.replace(response=InitialPeersResponse((*invented, *elsewhere))))


class FloodsConnections(Strategy):
    """Dials honest nodes again and again, under its own and under invented identities, and says nothing then."""

    period = 3 * SECOND

    def woken(self, node: SimNode) -> None:
        """Ten dials at one victim."""
        simulation = node.simulation
        victims = [port for port in simulation.network.ports() if port is not node.port and port.address.port == 8302]
        if not victims:
            return
        victim = self.dice.choice(victims).dial_address
        for _ in range(5):
            number = self.far_number()
            if number > PUPPETS_MAX:
                return
            simulation.network.perform(node.port, ConnectionEffectfulDial(ConnectionId(FAR_CONNECTION + number), victim), simulation.now)
            address = SocketAddress(node.port.address.host, PUPPET_PORT + number)
            puppet = simulation.network.attach(PeerId(self.dice.raw(32)), address, lambda _event: None)
            simulation.network.perform(puppet, ConnectionEffectfulDial(ConnectionId(1), victim), simulation.now)
            simulation.after(20 * SECOND, partial(_leave, simulation, puppet))


class LiesAboutBlocks(Strategy):
    """Announces blocks by channel 10 and sends something else: another copy of the header, another body, or nothing at all.

    Now and then it makes a better block up.
    """

    period = 20 * SECOND

    def woken(self, node: SimNode) -> None:
        """A block that nobody made, high above all others."""
        block = self.dice.choice(self.stock.tips).block.value
        state = block.header.protocol_state
        consensus = state.body.consensus_state.replace(blockchain_length=10_000_000 + self.far_number())
        header = block.header.replace(protocol_state=state.replace(body=state.body.replace(consensus_state=consensus)))
        made_up = RawBlock.of(block.replace(header=header))
        node.dispatch(BestTipSet(made_up, state_hash_of_block(made_up), is_produced=True))

    def answer(self, node: SimNode, effect: ChannelsEffectfulAnswerSend) -> Iterable[TransportEffect]:
        """Change what is more than a hash; keep some of it."""
        channels = node.state.channels.table.get(effect.connection_id)
        if channels is None or channels.block is None or len(effect.frames) != 1:
            return (effect,)
        try:
            message = BLOCK_MESSAGE.decode(effect.frames[0])
        except DecodeError:
            return (effect,)
        lie = self._lie(message)
        return () if lie is None else (effect.replace(frames=(BLOCK_MESSAGE.encode(lie),)),)

    def _lie(self, message: BlockMessage) -> BlockMessage | None:
        match message:
            case BlockHeaderItem(header=header, rest=rest):
                # Before its last byte stands a protocol version, which the state hash does not cover.
                copy = header[:-2] + bytes([header[-2] ^ 1]) + header[-1:]
                return self.dice.choice((message, BlockHeaderItem(RawBlockHeader(copy), rest), BlockNotHeld(), None))
            case BlockOutlineItem() | BlockItems():
                return self.dice.choice((BlockItems((self.dice.raw(9),)), None))
            case BlockBodyItem(body=body):
                return BlockBodyItem(RawBlockBody(body[:-1] + bytes([body[-1] ^ 1])))
            case _:
                return message


def _leave(simulation: Simulation, puppet: MemoryPort) -> None:
    simulation.network.detach(puppet, simulation.now)


STRATEGIES: Final[tuple[type[Strategy], ...]] = (
    SendsUnasked,
    PromisesTooMuch,
    Truncates,
    SendsGarbage,
    AnswersWrong,
    NeverAnswers,
    SpreadsFakes,
    LiesAboutPeers,
    FloodsConnections,
    LiesAboutBlocks,
)

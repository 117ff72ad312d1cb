"""What a fuzzer feeds to a node: what `Suggestions` draws, frames of every channel, and the answers that slices wait for.

A slice whose events and commands carry what only it knows becomes a target by one line: its codec
in `CHANNEL_CODECS`, its classes in `ANSWERS`, or a call of `register_inputs`.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Sequence
from typing import Any, Final, get_args, get_origin

from mina_p2p.blocks.actions import BlocksVerdict
from mina_p2p.blocks.state import Permitted
from mina_p2p.channels.address_gossip import actions as address_gossip
from mina_p2p.channels.address_gossip.messages import ADDRESS_MESSAGE
from mina_p2p.channels.best_tip.messages import BEST_TIP_MESSAGE
from mina_p2p.channels.block.messages import BLOCK_MESSAGE
from mina_p2p.channels.rpc.messages import RPC_MESSAGE
from mina_p2p.channels.signaling_discovery import actions as discovery
from mina_p2p.channels.signaling_discovery.messages import DISCOVERY_MESSAGE
from mina_p2p.channels.signaling_exchange import actions as exchange
from mina_p2p.channels.signaling_exchange.messages import EXCHANGE_MESSAGE
from mina_p2p.channels.snark.messages import SNARK_MESSAGE
from mina_p2p.channels.snark_job_commitment.messages import SNARK_JOB_COMMITMENT_MESSAGE
from mina_p2p.channels.streaming_rpc import actions as streaming
from mina_p2p.channels.streaming_rpc import messages
from mina_p2p.channels.streaming_rpc.messages import STREAMING_RPC_MESSAGE
from mina_p2p.channels.transaction.messages import TRANSACTION_MESSAGE
from mina_p2p.config import PROTOCOL_VERSION
from mina_p2p.connection.hello import HELLO, Hello
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId, is_curve_point
from mina_p2p.ids import MILLISECOND, SECOND, ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.record import Record, field_names
from mina_p2p.state import P2pState
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.suggestions import Suggestions
from mina_p2p.timeouts import CheckTimeouts
from mina_p2p.trace.minimise import Input
from mina_p2p.transport import ChannelsMessageReceived, ChannelsStreamEnded, ChannelsStreamReset, ConnectionHelloReceived
from mina_p2p.wire import Codec, EncodeError
from mina_p2p_effects.fuzzing.mutations import mutate
from mina_p2p_effects.fuzzing.next_words import next_word
from mina_p2p_effects.fuzzing.samples import sample, value_of

CHANNEL_CODECS: Final[dict[ChannelId, Codec[Any]]] = {
    ChannelId.SIGNALING_DISCOVERY: DISCOVERY_MESSAGE,
    ChannelId.SIGNALING_EXCHANGE: EXCHANGE_MESSAGE,
    ChannelId.BEST_TIP: BEST_TIP_MESSAGE,
    ChannelId.TRANSACTION: TRANSACTION_MESSAGE,
    ChannelId.SNARK: SNARK_MESSAGE,
    ChannelId.SNARK_JOB_COMMITMENT: SNARK_JOB_COMMITMENT_MESSAGE,
    ChannelId.RPC: RPC_MESSAGE,
    ChannelId.STREAMING_RPC: STREAMING_RPC_MESSAGE,
    ChannelId.ADDRESS_GOSSIP: ADDRESS_MESSAGE,
    ChannelId.BLOCK: BLOCK_MESSAGE,
}
"""What travels on each channel."""

ANSWERS: Final[list[type[Any]]] = [
    discovery.ChannelsSignalingDiscoveryOfferReady,
    discovery.ChannelsSignalingDiscoveryOfferError,
    discovery.ChannelsSignalingDiscoveryOfferEncrypted,
    discovery.ChannelsSignalingDiscoveryAnswerDecrypted,
    exchange.ChannelsSignalingExchangeOfferDecrypted,
    exchange.ChannelsSignalingExchangeAnswerReady,
    exchange.ChannelsSignalingExchangeAnswerError,
    exchange.ChannelsSignalingExchangeAnswerEncrypted,
    streaming.StreamingRpcRequestSend,
    streaming.StreamingRpcCancel,
    streaming.ChannelsStreamingRpcResponseSendInit,
    streaming.ChannelsStreamingRpcResponseCancel,
    address_gossip.AddressGossipOwnSet,
    address_gossip.AddressGossipSigned,
    address_gossip.AddressGossipVerified,
    BlocksVerdict,
]
"""Inputs beside those that `Suggestions` draws: what runtime and node software answer, and what they command."""

_POINTS: Final = tuple(PeerId(raw) for raw in (bytes(31) + bytes((number,)) for number in range(64)) if is_curve_point(raw))
KEYS: Final = _POINTS[:6]
"""Ids of peers that can be introduced: those are keys."""
OWN_KEY: Final = _POINTS[6]
"""The node's own."""

JUMPS: Final = (3_600, 86_400, 30 * 86_400, 10 * 365 * 86_400)
"""Seconds by which a clock may jump."""

_TEXTS: Final = ("", "v=0\r\n", "\ufffd" * 3, "x" * 20_000)
_ECHOES_MAX: Final = 8


def register_inputs(*kinds: type[Any]) -> None:
    """Feed actions of these classes, too: events and commands of a slice; their fields are drawn by name and type."""
    ANSWERS.extend(kind for kind in kinds if kind not in ANSWERS)


class Inputs(Suggestions):
    """Draws inputs for one state.

    :param effects: the latest effects, whose ids answers repeat.
    """

    def __init__(self, dice: Dice, state: P2pState, effects: Sequence[Any] = ()) -> None:
        super().__init__(dice.below, state, dice.choice((0, 1, 3, 8)))
        self._dice = dice
        self._effects = effects[-_ECHOES_MAX:]

    def draw(self) -> Input:
        """An input with its time."""
        roll = self.below(16)
        if roll < 6:
            action = self.input()
        elif roll < 11:
            action = self._any_frame()
        elif roll < 14:
            action = self._answer()
        else:
            action = self._damaged(self.input())
        # Whoever answers within milliseconds is heard before anything times out.
        now = self.later() if self.below(4) == 0 else Timestamp(self.state.clock.now + self.below(3) * 10 * MILLISECOND)
        if self.below(64) == 0:
            now, action = Timestamp(now + self.pick(JUMPS) * SECOND), CheckTimeouts()
        return Input(action, now)

    # --- for what Suggestions draws -----------------------------------------------------------

    def peer_id(self) -> PeerId:
        """Somebody; half of the times somebody who can be introduced."""
        return self.pick(KEYS) if self.below(2) else super().peer_id()

    def hello(self) -> bytes:
        """With all channels, most times."""
        if self.below(4) == 0:
            return super().hello()
        channels = tuple(int(channel) for channel in CHANNEL_CODECS)
        return HELLO.encode(Hello(PROTOCOL_VERSION, PROTOCOL_VERSION, MAINNET_CHAIN_ID, channels, ("quic-address",), "fuzz"))

    def verdict(self) -> Any:
        """On a header, too, if the node software was asked for one."""
        copies = [copy.verdict_id for candidate in self.state.blocks.candidates.values() for copy in candidate.copies]
        asked = [number for number in copies if number is not None]
        return BlocksVerdict(self.pick(asked), self.often()) if asked and self.below(2) else super().verdict()

    # --- frames -------------------------------------------------------------------------------

    def _any_frame(self) -> Any:
        """A well-formed message of some channel on one of its streams, damaged now and then, or the end of that stream."""
        connection_id = self.connection_id()
        channel = self._spoken(connection_id)
        stream = self._stream(connection_id, channel)
        match self.below(16):
            case 0 | 1:
                return ChannelsStreamEnded(connection_id, channel, stream)
            case 2:
                return ChannelsStreamReset(connection_id, channel, stream, self.pick(list(StreamResetCode)))
            case _:
                pass
        codec = CHANNEL_CODECS[channel]
        message = next_word(channel, self.state, connection_id, stream, self._dice) if self.often() else None
        if message is None:
            message = self._fitting(value_of(codec.shape(), self._dice), self._halves(connection_id, channel))
        try:
            frame = codec.encode(message)
        except EncodeError:
            frame = sample(codec, self._dice)
        return ChannelsMessageReceived(connection_id, channel, stream, self._damage(frame) if self.below(8) == 0 else frame)

    def _spoken(self, connection_id: ConnectionId) -> ChannelId:
        """A channel that both sides speak on, most times; half of the times one of conversations, which are longest."""
        ready = self.state.connections.ready(connection_id)
        agreed = [channel for channel in CHANNEL_CODECS if ready is not None and channel in ready.channels]
        if not agreed or self.below(16) == 0:
            return self.pick(tuple(CHANNEL_CODECS))
        conversations = [channel for channel in agreed if channel in _FIELDS]
        return self.pick(conversations if conversations and self.below(2) else agreed)

    def _halves(self, connection_id: ConnectionId, channel: ChannelId) -> list[Any]:
        """The two sides of a conversation, or the questions and answers of a channel for these."""
        if channel == ChannelId.ADDRESS_GOSSIP:
            link = self.state.address_gossip.links.get(connection_id)
            return [] if link is None else [half for half in (link.grant, link.fetch, link.permitted) if half is not None]
        part = getattr(self.state.channels.table.get(connection_id), _FIELDS.get(channel, "rpc"), None)
        found = [getattr(part, name, None) for name in ("local", "remote")]
        for name in ("requests", "serving"):
            found += getattr(part, name, ())
        return [half for half in found if half is not None]

    def _fitting(self, message: Any, halves: list[Any]) -> Any:
        """A message whose ids are those of the conversation, most times, and whose keys are somebody's."""
        known = [number for half in halves if (number := getattr(half, "id", None)) is not None]
        kind: type[Any] = message.__class__
        names = field_names(kind)
        if "id" in names and known and self.often():
            message = message.replace(id=self.pick(known))
        if "target_public_key" in names and self.often():
            peers = [connection.peer_id for connection in self.state.connections.table.values()]
            message = message.replace(target_public_key=self.pick([*peers, *KEYS]))
        return message

    def _stream(self, connection_id: ConnectionId, channel: ChannelId) -> StreamId:
        """Of the conversation that is under way on a channel, most times."""
        known = [stream for half in self._halves(connection_id, channel) if (stream := getattr(half, "stream", None)) is not None]
        if channel == ChannelId.BLOCK:
            known = self._streams_of_blocks(connection_id)
        return self.pick(known) if known and self.often() else self.stream(connection_id, channel)

    def _streams_of_blocks(self, connection_id: ConnectionId) -> list[StreamId]:
        """Those of our requests, and of the peer's permission."""
        channels, peer = self.state.channels.table.get(connection_id), self.state.blocks.peers.get(connection_id)
        ours = [] if channels is None or channels.block is None else [stream for _, stream in channels.block.open]
        return [*ours, peer.remote.stream] if peer is not None and isinstance(peer.remote, Permitted) else ours

    def _damaged(self, action: Any) -> Any:
        """With damaged bytes, where it has any."""
        if isinstance(action, ChannelsMessageReceived | ConnectionHelloReceived):
            return action.replace(frame=self._damage(action.frame))
        return action

    def _damage(self, frame: bytes) -> bytes:
        return mutate(frame, self._dice, (frame,))

    # --- answers and commands, by the types of their fields --------------------------------------

    def _answer(self) -> Any:
        """One of `ANSWERS`, to one of the latest effects most times."""
        kind = self.pick(ANSWERS)
        echo = self.pick(self._effects) if self._effects and self.often() else None
        names = field_names(kind)
        return kind(*[self._field(name, hint, echo) for name, hint in zip(names, _hints(kind), strict=True)])

    def _field(self, name: str, hint: Any, echo: Any) -> Any:
        echoed = getattr(echo, name, None)
        if fits(echoed, hint) and self.below(8):
            return echoed
        if name == "parts" and self.often():
            return self._ledger()
        if name == "addresses":
            own = self.state.config.peer_id
            return tuple(self.address().replace(peer_id=own) for _ in range(self.below(4)))
        if hint is ConnectionId:
            return self.connection_id()
        if hint is StreamId:
            return self._stream(self.connection_id(), self.channel())
        return self.value(hint)

    def _ledger(self) -> tuple[Any, ...]:
        """The parts of a staged ledger in their order."""
        trees = self.below(3)
        return (
            messages.StagedLedgerPartBase(b"base"),
            messages.StagedLedgerPartScanStateBase(trees, b"scan state"),
            messages.StagedLedgerPartPreviousIncompleteZkappUpdates(b"updates"),
            *(messages.StagedLedgerPartScanStateTree(b"tree") for _ in range(trees)),
        )

    def value(self, hint: Any, depth: int = 0) -> Any:
        """Any value of a type."""
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is typing.Annotated:
            return self.value(arguments[0], depth)
        if origin in {types.UnionType, typing.Union}:
            return self.value(self.pick(arguments), depth)
        if origin is tuple:
            if arguments[-1] is Ellipsis:
                return tuple(self.value(arguments[0], depth + 1) for _ in range(self.below(5)))
            return tuple(self.value(argument, depth + 1) for argument in arguments)
        if isinstance(hint, typing.NewType):
            return self.below(8)
        if hint is None or hint is types.NoneType:
            return None
        return self._plain(hint, depth)

    def _plain(self, hint: type[Any], depth: int) -> Any:
        if hint is bool:
            return bool(self.below(2))
        if hint is str:
            return self.pick(_TEXTS)
        if issubclass(hint, enum.Enum):
            return self.pick(list(hint))
        if issubclass(hint, int):
            return self.below(8)
        if issubclass(hint, PeerId):
            return self.peer_id()
        if issubclass(hint, bytes):
            return self._bytes(hint)
        if issubclass(hint, Record):
            return hint(*[self._field(name, kind, None) for name, kind in zip(field_names(hint), _hints(hint), strict=True)])
        raise TypeError(f"nothing draws a {hint!r}; teach it to Inputs.value")

    def _bytes(self, hint: type[Any]) -> Any:
        try:
            return hint(self._dice.raw(self.pick((0, 32, 32, 32, 400, 16_400))))
        except ValueError:
            return hint(bytes(32))


def fits(value: Any, hint: Any) -> bool:
    """Whether a field of a type may hold a value; of tuples nothing is known."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return fits(value, arguments[0])
    if origin in {types.UnionType, typing.Union}:
        return any(fits(value, argument) for argument in arguments)
    if isinstance(hint, typing.NewType) or hint is int:
        return type(value) is int
    return isinstance(hint, type) and isinstance(value, hint)


_FIELDS: Final = {
    ChannelId.SIGNALING_DISCOVERY: "discovery",
    ChannelId.SIGNALING_EXCHANGE: "exchange",
    ChannelId.STREAMING_RPC: "streaming_rpc",
}
"""Where `PeerChannels` has the halves of a conversation; `Suggestions` knows the other channels."""


def _hints(cls: Any) -> tuple[Any, ...]:
    """The types of a record's fields, in order."""
    found = _known_hints.get(cls)
    if found is None:
        hints = typing.get_type_hints(cls)
        found = _known_hints[cls] = tuple(hints[name] for name in field_names(cls))
    return found


_known_hints: dict[Any, tuple[Any, ...]] = {}

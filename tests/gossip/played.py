"""A node that gossips addresses, whose peers and runtime are played by the test."""

from __future__ import annotations

from typing import Any

from slices.lab import ME, START, Lab, address, peer_id

from mina_p2p.channels.address_gossip.actions import (
    AddressGossipEffectfulSign,
    AddressGossipEffectfulVerify,
    AddressGossipSigned,
    AddressGossipVerified,
)
from mina_p2p.channels.address_gossip.messages import (
    ADDRESS_MESSAGE,
    AddressAdverts,
    AddressGetNext,
    AddressGetRecords,
    AddressKey,
    AddressMessage,
    AddressRecord,
    AddressRecords,
    Place,
    QuicPlace,
    RecordBody,
    signed_bytes,
)
from mina_p2p.channels.address_gossip.state import Link
from mina_p2p.config import Limits, Timeouts
from mina_p2p.discovery.config import AddressGossipConfig
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, StreamId
from mina_p2p.testing.towns import signature
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulRequestSend

CHANNEL = ChannelId.ADDRESS_GOSSIP
NOW = START // SECOND


class Peers(Lab):
    """A node with its own address, and what plays its peers and its runtime."""

    def __init__(self, limits: Limits | None = None, timeouts: Timeouts | None = None, **gossip: Any) -> None:
        chosen: dict[str, Any] = {"addresses": (address(ME),), **gossip}
        super().__init__(
            channels=(CHANNEL,),
            address_gossip=AddressGossipConfig(**chosen),
            limits=limits or Limits(),
            timeouts=timeouts or Timeouts(),
        )

    def join(self, n: int) -> ConnectionId:
        """A peer that gossips connects."""
        return self.accept(n, channels=(CHANNEL,))

    def link(self, connection_id: ConnectionId) -> Link:
        """The state of its channel."""
        return self.state.address_gossip.links[connection_id]

    def say(self, connection_id: ConnectionId, message: AddressMessage, stream: StreamId | None = None) -> Lab:
        """A peer's message: a question on a stream of its own, an answer on our last one."""
        if stream is None:
            is_question = isinstance(message, AddressGetNext | AddressGetRecords)
            stream = self.peer_stream(connection_id) if is_question else self.stream(connection_id, CHANNEL)
        return self.frame(connection_id, CHANNEL, stream, ADDRESS_MESSAGE.encode(message))

    def said(self) -> list[AddressMessage]:
        """What the node said by the last input."""
        asked = [effect.frame for effect in self.of(ChannelsEffectfulRequestSend)]
        answered = [frame for effect in self.of(ChannelsEffectfulAnswerSend) for frame in effect.frames]
        return [ADDRESS_MESSAGE.decode(frame) for frame in (*asked, *answered)]

    def sign(self) -> AddressKey:
        """Let the runtime sign the node's record; it is told."""
        (effect,) = self.of(AddressGossipEffectfulSign)
        self.feed(AddressGossipSigned(effect.issued_at, signature(peer_id(ME), effect.message)))
        return AddressKey(peer_id(ME), effect.issued_at)

    def check(self) -> None:
        """Let the runtime check the signatures that it was asked to check."""
        for effect in self.of(AddressGossipEffectfulVerify):
            is_valid = signature(effect.peer_id, effect.message) == effect.signature
            self.feed(AddressGossipVerified(effect.number, is_valid))

    def bring(self, connection_id: ConnectionId, record: AddressRecord) -> None:
        """A peer names a record and sends it when it is asked; its signature is checked."""
        self.say(connection_id, AddressAdverts((record.key,)))
        if any(isinstance(message, AddressGetRecords) for message in self.said()):
            self.say(connection_id, AddressRecords((record,)))
            self.check()

    def knows(self, n: int) -> int | None:
        """The date of what is known of a node."""
        found = self.state.address_gossip.book.find(peer_id(n))
        return None if found is None else found[1].record.issued_at


def record_of(n: int, *, issued_at: int = NOW, signer: int | None = None, **changes: Any) -> AddressRecord:
    """A record of that node; signed by another, if so wished."""
    places: tuple[Place, ...] = (QuicPlace(address(n).host, 8302),)
    body = RecordBody(1, peer_id(n), issued_at, 900, places).replace(**changes)
    signed = signature(peer_id(n if signer is None else signer), signed_bytes(body, MAINNET_CHAIN_ID))
    return AddressRecord(body.version, body.public_key, body.issued_at, body.ttl, body.places, signed)

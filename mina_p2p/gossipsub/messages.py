"""GossipSub's messages (spec: libp2p 9; `libp2p/go-libp2p-pubsub@v0.9.3 pb/rpc.proto`)."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Final

from mina_p2p.record import Record, record
from mina_p2p.wire.notation import MaxItems
from mina_p2p.wire.protobuf import Number, ProtobufCodec, protobuf
from mina_p2p.wire.varint import write_varint

SIGN_PREFIX: Final = b"libp2p-pubsub:"
MESSAGE_ID_BYTES: Final = 32
_KEY_BYTES_MAX: Final = 64


@record
class SubOpts(Record):
    """A topic that the sender wants, or no longer wants."""

    subscribe: Annotated[bool | None, Number(1)] = None
    topic: Annotated[str | None, Number(2)] = None


@record
class PubsubMessage(Record):
    """One gossip message."""

    author: Annotated[bytes | None, Number(1)] = None
    data: Annotated[bytes | None, Number(2)] = None
    seqno: Annotated[bytes | None, Number(3)] = None
    topic: Annotated[str | None, Number(4)] = None
    signature: Annotated[bytes | None, Number(5)] = None
    key: Annotated[bytes | None, Number(6)] = None


@record
class ControlIHave(Record):
    """Messages that the sender has."""

    topic: Annotated[str | None, Number(1)] = None
    message_ids: Annotated[tuple[bytes, ...], Number(2), MaxItems(10_000)] = ()


@record
class ControlIWant(Record):
    """Messages that the sender asks for."""

    message_ids: Annotated[tuple[bytes, ...], Number(1), MaxItems(10_000)] = ()


@record
class ControlGraft(Record):
    """The sender sends us all of a topic from now on, and expects the same."""

    topic: Annotated[str | None, Number(1)] = None


@record
class PrunedPeer(Record):
    """Somebody with whom to gossip in the sender's place."""

    peer_id: Annotated[bytes | None, Number(1)] = None
    record: Annotated[bytes | None, Number(2)] = None
    """Where to dial it, signed by itself, if the sender has that: `mina_p2p.peer_exchange.messages`."""


@record
class ControlPrune(Record):
    """The end of that."""

    topic: Annotated[str | None, Number(1)] = None
    peers: Annotated[tuple[PrunedPeer, ...], Number(2), MaxItems(256)] = ()
    backoff: Annotated[int | None, Number(3)] = None
    """Seconds for which not to graft."""


@record
class ControlMessage(Record):
    """What keeps meshes and gossip going."""

    ihave: Annotated[tuple[ControlIHave, ...], Number(1), MaxItems(100)] = ()
    iwant: Annotated[tuple[ControlIWant, ...], Number(2), MaxItems(100)] = ()
    graft: Annotated[tuple[ControlGraft, ...], Number(3), MaxItems(100)] = ()
    prune: Annotated[tuple[ControlPrune, ...], Number(4), MaxItems(100)] = ()


@record
class PubsubRpc(Record):
    """What travels on a stream."""

    subscriptions: Annotated[tuple[SubOpts, ...], Number(1), MaxItems(1_000)] = ()
    publish: Annotated[tuple[PubsubMessage, ...], Number(2), MaxItems(10_000)] = ()
    control: Annotated[ControlMessage | None, Number(3)] = None


RPC_CODEC: Final[ProtobufCodec[PubsubRpc]] = protobuf(PubsubRpc)
MESSAGE_CODEC: Final[ProtobufCodec[PubsubMessage]] = protobuf(PubsubMessage)


def publishing(encoded: bytes) -> bytes:
    """The RPC that publishes one encoded message."""
    return b"\x12" + write_varint(len(encoded)) + encoded


def signed_bytes(message: PubsubMessage) -> bytes:
    """What an author signs."""
    return SIGN_PREFIX + MESSAGE_CODEC.encode(message.replace(signature=None, key=None))


@lru_cache(maxsize=64)
def _topic_key(topic: str) -> bytes:
    key = topic.encode()
    return key if len(key) <= _KEY_BYTES_MAX else blake2b(key, digest_size=32).digest()


def message_id(topic: str, data: bytes) -> bytes:
    """The id of a message: it does not depend on the author, so equal payloads are one message."""
    return blake2b(data, key=_topic_key(topic), digest_size=MESSAGE_ID_BYTES).digest()

"""Kademlia's message (spec: libp2p 8; `libp2p/go-libp2p-kad-dht@v0.24.2 pb/dht.proto`)."""

from __future__ import annotations

import enum
from typing import Annotated, Final

from mina_p2p.record import Record, record
from mina_p2p.wire.notation import MaxItems
from mina_p2p.wire.protobuf import Number, ProtobufCodec, protobuf

CLUSTER_LEVEL: Final = 1
"""What Go writes; nobody reads it."""


class KadType(enum.IntEnum):
    """What a message asks or answers."""

    PUT_VALUE = 0
    GET_VALUE = 1
    ADD_PROVIDER = 2
    GET_PROVIDERS = 3
    FIND_NODE = 4
    PING = 5


class KadConnection(enum.IntEnum):
    """What the sender knows about reaching a peer."""

    NOT_CONNECTED = 0
    CONNECTED = 1
    CAN_CONNECT = 2
    CANNOT_CONNECT = 3


@record
class KadPeer(Record):
    """A peer in an answer."""

    id: Annotated[bytes, Number(1)] = b""
    addrs: Annotated[tuple[bytes, ...], Number(2), MaxItems(256)] = ()
    connection: Annotated[int | None, Number(3)] = None


@record
class KadMessage(Record):
    """A request or its answer; records of values are skipped."""

    type: Annotated[int, Number(1)] = 0
    key: Annotated[bytes | None, Number(2)] = None
    closer_peers: Annotated[tuple[KadPeer, ...], Number(8), MaxItems(1000)] = ()
    provider_peers: Annotated[tuple[KadPeer, ...], Number(9), MaxItems(1000)] = ()
    cluster_level: Annotated[int | None, Number(10)] = CLUSTER_LEVEL


KAD_CODEC: Final[ProtobufCodec[KadMessage]] = protobuf(KadMessage)

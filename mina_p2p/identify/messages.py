"""The message of identify (spec: libp2p 7)."""

from __future__ import annotations

from typing import Annotated, Final

from mina_p2p.record import Record, record
from mina_p2p.wire.notation import MaxItems
from mina_p2p.wire.protobuf import Number, ProtobufCodec, protobuf

PROTOCOL_VERSION: Final = "ipfs/0.1.0"
MESSAGE_BYTES_WANTED: Final = 2048
"""Ours are no longer."""


@record
class IdentifyMessage(Record):
    """What a node says of itself."""

    public_key: Annotated[bytes | None, Number(1)] = None
    listen_addrs: Annotated[tuple[bytes, ...], Number(2), MaxItems(1024)] = ()
    protocols: Annotated[tuple[str, ...], Number(3), MaxItems(1024)] = ()
    observed_addr: Annotated[bytes | None, Number(4)] = None
    protocol_version: Annotated[str | None, Number(5)] = None
    agent_version: Annotated[str | None, Number(6)] = None
    signed_record: Annotated[bytes | None, Number(8)] = None
    """Its addresses once more, as it has signed them: `mina_p2p.peer_exchange.messages`. Of use where it is passed on."""


IDENTIFY_CODEC: Final[ProtobufCodec[IdentifyMessage]] = protobuf(IdentifyMessage)

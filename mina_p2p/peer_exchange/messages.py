"""Records in which peers say, signed, where they can be dialled (spec: libp2p 7; `libp2p/specs: RFC/0002, RFC/0003`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

from mina_p2p.address import Libp2pAddress
from mina_p2p.errors import DecodeError
from mina_p2p.identity import IdentityError, PeerId
from mina_p2p.libp2p.multiaddr import dialable, encode_multiaddr
from mina_p2p.record import Record, record
from mina_p2p.wire.notation import MaxBytes, MaxItems
from mina_p2p.wire.protobuf import Number, ProtobufCodec, protobuf
from mina_p2p.wire.varint import write_varint

DOMAIN: Final = b"libp2p-peer-record"
PAYLOAD_TYPE: Final = b"\x03\x01"
ENVELOPE_BYTES_MAX: Final = 4096
"""Longest envelope that is looked at; a record of sixteen addresses of the longest kind is shorter."""
OWN_BYTES_MAX: Final = 1024
"""Ours is no longer, so that identify stays one message."""
ADDRESSES_MAX: Final = 16
"""Addresses of one record that are looked at."""
SIGNATURE_BYTES: Final = 64


@record
class RecordAddress(Record):
    """One address."""

    multiaddr: Annotated[bytes | None, Number(1)] = None


@record
class PeerRecord(Record):
    """What is signed: where a peer can be dialled; of two records the one with the greater number is newer."""

    peer_id: Annotated[bytes | None, Number(1)] = None
    seq: Annotated[int | None, Number(2)] = None
    addresses: Annotated[tuple[RecordAddress, ...], Number(3), MaxItems(256)] = ()


@record
class Envelope(Record):
    """A payload with who signed it."""

    public_key: Annotated[bytes | None, Number(1)] = None
    payload_type: Annotated[bytes | None, Number(2)] = None
    payload: Annotated[bytes | None, Number(3), MaxBytes(ENVELOPE_BYTES_MAX)] = None
    signature: Annotated[bytes | None, Number(5)] = None


_RECORD: Final[ProtobufCodec[PeerRecord]] = protobuf(PeerRecord)
_ENVELOPE: Final[ProtobufCodec[Envelope]] = protobuf(Envelope)


@record
class Said(Record):
    """A record as it was read; its signature is still to be checked."""

    peer_id: PeerId
    seq: int
    addresses: tuple[Libp2pAddress, ...]
    """Those that can be dialled."""
    signed: bytes
    signature: bytes


def read_envelope(data: bytes) -> Said:
    """Read a record with its envelope.

    :raises DecodeError: where it is none, of another kind, signed by somebody else than it is about, or too long.
    """
    if len(data) > ENVELOPE_BYTES_MAX:
        raise DecodeError("record", 0, f"{len(data)} bytes")
    envelope = _ENVELOPE.decode(data)
    payload, signature = envelope.payload or b"", envelope.signature or b""
    if envelope.payload_type != PAYLOAD_TYPE or len(signature) != SIGNATURE_BYTES:
        raise DecodeError("record", 0, "no record of a peer, or no signature of ed25519")
    said = _RECORD.decode(payload)
    try:
        peer_id = PeerId.from_multihash(said.peer_id or b"")
    except IdentityError as error:
        raise DecodeError("record", 0, str(error)) from None
    if envelope.public_key != peer_id.protobuf:
        raise DecodeError("record", 0, "signed by somebody else")
    found = (dialable(one.multiaddr or b"", peer_id) for one in said.addresses[:ADDRESSES_MAX])
    addresses = tuple(dict.fromkeys(address for address in found if address is not None))
    return Said(peer_id, said.seq or 0, addresses, signed_bytes(payload), signature)


def payload_of(peer_id: PeerId, seq: int, addresses: Iterable[Libp2pAddress]) -> bytes:
    """What a peer signs; addresses that are too many for `OWN_BYTES_MAX` are left out from the end."""
    listed = [RecordAddress(encode_multiaddr(address.host, address.port)) for address in addresses][:ADDRESSES_MAX]
    while True:
        payload = _RECORD.encode(PeerRecord(peer_id.multihash, seq, tuple(listed)))
        if len(envelope_of(peer_id, payload, bytes(SIGNATURE_BYTES))) <= OWN_BYTES_MAX:
            return payload
        listed.pop()


def envelope_of(peer_id: PeerId, payload: bytes, signature: bytes) -> bytes:
    """The whole, as it travels."""
    return _ENVELOPE.encode(Envelope(peer_id.protobuf, PAYLOAD_TYPE, payload, signature))


def signed_bytes(payload: bytes) -> bytes:
    """What the signature is over: domain, kind and payload, each behind its length."""
    return b"".join(write_varint(len(part)) + part for part in (DOMAIN, PAYLOAD_TYPE, payload))

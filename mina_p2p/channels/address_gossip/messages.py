"""Messages of channel 9, and the records they carry (spec: address-gossip 5.2).

A record says where a node can be dialled. It is signed by the node's own key and dated, so that it can be believed from
anybody and is no longer believed after a while.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from mina_p2p.address import DialAddress, Libp2pAddress, QuicAddress, WebRtcAddress
from mina_p2p.identity import ChainId, PeerId
from mina_p2p.record import Record, record
from mina_p2p.wire import Bytes32, Codec, FixedBytes, IntU16, MaxItems, Nat0, codec, write_nat0
from mina_p2p.wire.dial_options import WireHost, WireSignaling

RECORD_VERSION: Final = 1
ADDRESSES_MAX: Final = 4
RECORD_BYTES_MAX: Final = 512
ADVERTS_MAX: Final = 16
"""Keys in one message, at most."""
FETCH_MAX: Final = 8
"""Records in one message, at most."""
MESSAGE_BYTES_MAX: Final = 8_192
SIGNATURE_BYTES: Final = 64

_DOMAIN: Final = b"mina-p2p/address-record/v1"


@record
class WebRtcPlace(Record):
    """Dialled by WebRTC, signalled as it says."""

    signaling: WireSignaling


@record
class Libp2pPlace(Record):
    """Dialled by libp2p over TCP."""

    host: WireHost
    port: IntU16


@record
class QuicPlace(Record):
    """Dialled by QUIC."""

    host: WireHost
    port: IntU16


Place: TypeAlias = WebRtcPlace | Libp2pPlace | QuicPlace
"""A dial address without the peer id, which the record has once."""


@record
class AddressKey(Record):
    """One version of one node's record."""

    public_key: Bytes32
    issued_at: Nat0
    """Seconds since the Unix epoch; a later record of a node has a greater one."""

    @property
    def item_id(self) -> bytes:
        """The same as one byte string, by which the gossiper knows it."""
        return self.public_key + self.issued_at.to_bytes(8, "big")


def key_of_item(item_id: bytes) -> AddressKey:
    """What `AddressKey.item_id` made."""
    return AddressKey(item_id[:32], int.from_bytes(item_id[32:], "big"))


@record
class RecordBody(Record):
    """What is signed of a record."""

    version: Nat0
    public_key: Bytes32
    issued_at: Nat0
    ttl: Nat0
    """Seconds from ``issued_at`` for which it is to be believed."""
    places: Annotated[tuple[Place, ...], MaxItems(ADDRESSES_MAX)]


@record
class AddressRecord(Record):
    """Where a node can be dialled, in its own words."""

    version: Nat0
    public_key: Bytes32
    issued_at: Nat0
    ttl: Nat0
    places: Annotated[tuple[Place, ...], MaxItems(ADDRESSES_MAX)]
    signature: Annotated[bytes, FixedBytes(SIGNATURE_BYTES)]

    @property
    def key(self) -> AddressKey:
        """Which version of whose record it is."""
        return AddressKey(self.public_key, self.issued_at)

    @property
    def body(self) -> RecordBody:
        """What is signed of it."""
        return RecordBody(self.version, self.public_key, self.issued_at, self.ttl, self.places)

    @property
    def addresses(self) -> tuple[DialAddress, ...]:
        """Where to dial the node, the best first."""
        peer_id = PeerId(self.public_key)
        return tuple(_to_address(peer_id, place) for place in self.places)


@record
class AddressGetNext(Record):
    """Permits the peer one message with up to ``limit`` keys."""

    limit: Nat0


@record
class AddressAdverts(Record):
    """Names records that the sender holds and has checked."""

    keys: Annotated[tuple[AddressKey, ...], MaxItems(ADVERTS_MAX)]


@record
class AddressGetRecords(Record):
    """Asks for records that the peer has named."""

    keys: Annotated[tuple[AddressKey, ...], MaxItems(FETCH_MAX)]


@record
class AddressRecords(Record):
    """The records in the order in which they were asked for; none where one has been replaced or is too old."""

    records: Annotated[tuple[AddressRecord | None, ...], MaxItems(FETCH_MAX)]


AddressMessage: TypeAlias = AddressGetNext | AddressAdverts | AddressGetRecords | AddressRecords

RECORD_BODY: Final[Codec[RecordBody]] = codec(RecordBody)
ADDRESS_RECORD: Final[Codec[AddressRecord]] = codec(AddressRecord)
ADDRESS_MESSAGE: Final[Codec[AddressMessage]] = codec(AddressMessage)


def signed_bytes(body: RecordBody, chain_id: ChainId) -> bytes:
    """What a node signs of its record: a record of one chain means nothing on another (spec: address-gossip 5.2)."""
    chain = chain_id.hex().encode()
    return b"".join((write_nat0(len(_DOMAIN)), _DOMAIN, write_nat0(len(chain)), chain, RECORD_BODY.encode(body)))


def to_place(address: DialAddress) -> Place:
    """The part of a dial address that a record holds."""
    match address:
        case WebRtcAddress(signaling=signaling):
            return WebRtcPlace(signaling)
        case Libp2pAddress(host=host, port=port):
            return Libp2pPlace(host, port)
        case QuicAddress(host=host, port=port):
            return QuicPlace(host, port)


def _to_address(peer_id: PeerId, place: Place) -> DialAddress:
    match place:
        case WebRtcPlace(signaling=signaling):
            return WebRtcAddress(peer_id, signaling)
        case Libp2pPlace(host=host, port=port):
            return Libp2pAddress(peer_id, host, port)
        case QuicPlace(host=host, port=port):
            return QuicAddress(peer_id, host, port)

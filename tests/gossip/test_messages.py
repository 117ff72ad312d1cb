"""Channel 9's bytes (spec: address-gossip 5.2)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mina_p2p.address import Domain, Ipv4, Ipv6, Libp2pAddress, QuicAddress, SignalingHttps, SignalingRelay, WebRtcAddress
from mina_p2p.channels.address_gossip.messages import (
    ADDRESS_MESSAGE,
    ADDRESS_RECORD,
    RECORD_BODY,
    RECORD_BYTES_MAX,
    AddressAdverts,
    AddressGetNext,
    AddressGetRecords,
    AddressKey,
    AddressMessage,
    AddressRecord,
    AddressRecords,
    Libp2pPlace,
    Place,
    QuicPlace,
    RecordBody,
    WebRtcPlace,
    key_of_item,
    signed_bytes,
    to_place,
)
from mina_p2p.errors import DecodeError
from mina_p2p.identity import ChainId, PeerId
from mina_p2p_effects.keys import SecretKey, verify

KEY = SecretKey(bytes([7]) * 32)
CHAIN = ChainId.fromhex("216147039ab1202de3b4aaef797404dc1ecf4bf89ead1c4c77bcfb95f95d369b")
PUBLIC = bytes.fromhex("ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c")
BODY = RecordBody(1, PUBLIC, 1_760_000_000, 900, (Libp2pPlace(Ipv4.of(203, 0, 113, 7), 8302),))
SIGNATURE = bytes.fromhex(
    "8d5ba353c6c1cd8d1c64bb1b48b06db47d67440815f35d17162e3ebec4493006cb4411d6307fa6602ec8b673780da271ac13045af254d2966cc4d90cddc6ec03"
)
RECORD = AddressRecord(1, PUBLIC, 1_760_000_000, 900, BODY.places, SIGNATURE)


def test_the_body_of_the_specification() -> None:
    """The record of 5.2, byte for byte, and back."""
    expected = bytes.fromhex(f"01{PUBLIC.hex()}fd0078e768fe8403010101fecb00007107fe6e20")
    assert RECORD_BODY.encode(BODY) == expected
    assert RECORD_BODY.decode(expected) == BODY
    assert len(ADDRESS_RECORD.encode(RECORD)) == 117


def test_the_signature_of_the_specification() -> None:
    """What the key of 5.2 signs is what is written there."""
    assert KEY.peer_id == PeerId(PUBLIC)
    assert KEY.sign(signed_bytes(BODY, CHAIN)) == SIGNATURE
    assert verify(KEY.peer_id, signed_bytes(RECORD.body, CHAIN), SIGNATURE)


@pytest.mark.parametrize(
    "changed",
    [
        BODY.replace(version=2),
        BODY.replace(public_key=bytes(32)),
        BODY.replace(issued_at=1_760_000_001),
        BODY.replace(ttl=901),
        BODY.replace(places=()),
        BODY.replace(places=(Libp2pPlace(Ipv4.of(203, 0, 113, 8), 8302),)),
        BODY.replace(places=(Libp2pPlace(Ipv4.of(203, 0, 113, 7), 8303),)),
        BODY.replace(places=(QuicPlace(Ipv4.of(203, 0, 113, 7), 8302),)),
    ],
)
def test_a_signature_covers_everything(changed: RecordBody) -> None:
    """Nothing of a record can be changed without its owner."""
    assert not verify(KEY.peer_id, signed_bytes(changed, CHAIN), SIGNATURE)


def test_a_record_of_another_chain_means_nothing() -> None:
    """The chain is part of what is signed (AG-8)."""
    assert not verify(KEY.peer_id, signed_bytes(BODY, ChainId(bytes(32))), SIGNATURE)


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        (AddressGetNext(16), "0010"),
        (AddressAdverts((RECORD.key,)), f"0101{PUBLIC.hex()}fd0078e768"),
        (AddressGetRecords((RECORD.key,)), f"0201{PUBLIC.hex()}fd0078e768"),
        (AddressRecords((None,)), "030100"),
    ],
)
def test_messages_of_the_specification(message: AddressMessage, encoded: str) -> None:
    """The vectors of 5.2, both ways."""
    assert ADDRESS_MESSAGE.encode(message).hex() == encoded
    assert ADDRESS_MESSAGE.decode(bytes.fromhex(encoded)) == message


@pytest.mark.parametrize(
    ("what", "encoded"),
    [
        ("nothing", ""),
        ("another message", "04"),
        ("more than sixteen keys", "0111" + f"{PUBLIC.hex()}00" * 17),
        ("more than eight wanted", "0209" + f"{PUBLIC.hex()}00" * 9),
        ("more than eight records", "0309" + "00" * 9),
        ("a count without keys", "0110"),
        ("half a key", f"0101{PUBLIC.hex()}"),
        ("five places", f"03010101{PUBLIC.hex()}000005" + "0101010101010101" * 5),
        ("something behind it", "001000"),
        ("neither some nor none", "030102"),
    ],
)
def test_what_is_no_message_is_refused(what: str, encoded: str) -> None:
    """By the one declared error."""
    with pytest.raises(DecodeError):
        ADDRESS_MESSAGE.decode(bytes.fromhex(encoded))


PLACES: list[Place] = [
    WebRtcPlace(SignalingHttps(Domain("a" * 60 + ".com"), 443)),
    WebRtcPlace(SignalingRelay(PeerId(PUBLIC))),
    Libp2pPlace(Ipv6.of(0x2001, 0xDB8, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF), 65535),
    QuicPlace(Ipv4.of(1, 2, 3, 4), 1),
]


def test_the_largest_record_fits() -> None:
    """Four names of 64 bytes are within the bound (spec: about 400 bytes)."""
    places = (PLACES[0],) * 4
    assert len(ADDRESS_RECORD.encode(RECORD.replace(places=places))) <= RECORD_BYTES_MAX


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    """And what is a message is written as it was meant."""
    try:
        message = ADDRESS_MESSAGE.decode(data)
    except DecodeError:
        return
    assert ADDRESS_MESSAGE.decode(ADDRESS_MESSAGE.encode(message)) == message


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**64 - 1))
def test_a_key_is_an_item_id(public_key: bytes, issued_at: int) -> None:
    """Nothing is lost between the two forms."""
    assert key_of_item(AddressKey(public_key, issued_at).item_id) == AddressKey(public_key, issued_at)


@pytest.mark.parametrize(
    "address",
    [
        WebRtcAddress(KEY.peer_id, SignalingHttps(Domain("a.example"), 443)),
        Libp2pAddress(KEY.peer_id, Ipv4.of(1, 2, 3, 4), 8302),
        QuicAddress(KEY.peer_id, Domain("b.example"), 8302),
    ],
)
def test_places_are_addresses_of_the_signer(address: WebRtcAddress | Libp2pAddress | QuicAddress) -> None:
    """A record can only say where its own signer is."""
    assert RECORD.replace(places=(to_place(address),)).addresses == (address,)

"""Offers, answers and responses as JSON: what the reference writes, and nothing that it would not read."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.people import key
from mina_p2p.address import Domain, Ipv4, parse_ip
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.errors import DecodeError
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId, PublicKey
from mina_p2p.signaling.objects import (
    SIGNAL_BYTES_MAX,
    Accepted,
    Answer,
    InternalError,
    Offer,
    Rejected,
    RejectionReason,
    SignalDecryptionFailed,
    decode_offer,
    decode_response,
    encode_offer,
    encode_response,
)

KEY_0 = PublicKey.parse("kMAKvV2ZzEoP84CaGQsT1VL1KUrU5N11pwdYxrm7RzNtyFuPJE")
ID_1 = PeerId.parse("2bF8pb8dwWicAEpuptFvSbLRrx739bdb5uGfRiKwTuRkCBSs6nR")

OFFER = Offer("v=0\r\n", MAINNET_CHAIN_ID, KEY_0, ID_1)
OFFER_JSON = (
    b'{"sdp":"v=0\\r\\n","chain_id":"a7351abc7ddf2ea92d1b38cc8e636c271c1dfd2c081c637f62ebc2af34eb7cc1",'
    b'"identity_pub_key":"kMAKvV2ZzEoP84CaGQsT1VL1KUrU5N11pwdYxrm7RzNtyFuPJE",'
    b'"target_peer_id":"2bF8pb8dwWicAEpuptFvSbLRrx739bdb5uGfRiKwTuRkCBSs6nR","host":{"Ipv4":"127.0.0.1"},"listen_port":null}'
)
ANSWER = Answer("sdp", KEY_0, ID_1)
ANSWER_JSON = (
    b'{"Accepted":{"sdp":"sdp","identity_pub_key":"kMAKvV2ZzEoP84CaGQsT1VL1KUrU5N11pwdYxrm7RzNtyFuPJE",'
    b'"target_peer_id":"2bF8pb8dwWicAEpuptFvSbLRrx739bdb5uGfRiKwTuRkCBSs6nR"}}'
)

PORTS: list[Any] = [-1, 65_536, "80", 1.5, True, []]
"""None of them is one."""

RESPONSES = [
    (Accepted(ANSWER), ANSWER_JSON),
    (SignalDecryptionFailed(), b'"SignalDecryptionFailed"'),
    (InternalError(), b'"InternalError"'),
    (Rejected(RejectionReason.CHAIN_ID_MISMATCH), b'{"Rejected":"ChainIdMismatch"}'),
    (Rejected(RejectionReason.PEER_ID_AND_PUBLIC_KEY_MISMATCH), b'{"Rejected":"PeerIdAndPublicKeyMismatch"}'),
    (Rejected(RejectionReason.TARGET_PEER_ID_NOT_ME), b'{"Rejected":"TargetPeerIdNotMe"}'),
    (Rejected(RejectionReason.PEER_CAPACITY_FULL), b'{"Rejected":"PeerCapacityFull"}'),
    (Rejected(RejectionReason.ALREADY_CONNECTED), b'{"Rejected":"AlreadyConnected"}'),
    (Rejected(RejectionReason.CONNECTING_TO_SELF), b'{"Rejected":"ConnectingToSelf"}'),
]


def test_an_offer_is_written_as_the_reference_does() -> None:
    """Compact, fields in order, texts in Base58Check."""
    assert encode_offer(OFFER) == OFFER_JSON
    assert decode_offer(OFFER_JSON) == OFFER


@pytest.mark.parametrize(("response", "written"), RESPONSES)
def test_responses_are_written_as_the_reference_does(response: Any, written: bytes) -> None:
    """Every variant, both ways (spec: pull-protocol 4.1, 12.3)."""
    assert encode_response(response) == written
    assert decode_response(written) == response


def test_reasons_are_among_the_reasons_of_connections() -> None:
    """Under the same name; two of them are nobody's fault."""
    assert {reason: reason.code for reason in RejectionReason} == {reason: ReasonCode[reason.name] for reason in RejectionReason}
    assert [reason.name for reason in RejectionReason if not reason.is_bad] == ["CHAIN_ID_MISMATCH", "PEER_CAPACITY_FULL"]


def changed(**changes: Any) -> bytes:
    """The offer's JSON with other fields; ``...`` leaves one out."""
    fields = {**json.loads(OFFER_JSON), **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({"listen_port": 3000}, OFFER.replace(listen_port=3000)),
        ({"listen_port": ...}, OFFER),
        ({"unknown": [1, {"a": None}]}, OFFER),
        ({"host": {"Domain": "example.com"}}, OFFER.replace(host=Domain("example.com"))),
        ({"host": {"Ipv4": "1.2.3.4"}}, OFFER.replace(host=Ipv4.of(1, 2, 3, 4))),
        ({"host": {"Ipv6": "::1"}}, OFFER.replace(host=parse_ip("::1"))),
        ({"chain_id": str(MAINNET_CHAIN_ID).upper()}, OFFER),
        ({"sdp": ""}, OFFER.replace(sdp="")),
    ],
)
def test_what_the_reference_would_read_is_read(changes: dict[str, Any], read: Offer) -> None:
    """Missing options, fields of later versions, every kind of host."""
    assert decode_offer(changed(**changes)) == read
    if "unknown" not in changes:
        assert decode_offer(encode_offer(read)) == read


@pytest.mark.parametrize(
    "data",
    [
        *(changed(**{name: ...}) for name in ("sdp", "chain_id", "identity_pub_key", "target_peer_id", "host")),
        *(changed(**{name: 7}) for name in ("sdp", "chain_id", "identity_pub_key", "target_peer_id", "host")),
        *(changed(listen_port=port) for port in PORTS),
        *(changed(chain_id=text) for text in ("", "a7", str(MAINNET_CHAIN_ID)[:-1], str(MAINNET_CHAIN_ID) + "00", "g" * 64)),
        *(changed(identity_pub_key=text) for text in ("", "k", str(ID_1), KEY_0.peer_id.libp2p, "0" * 50)),
        *(changed(target_peer_id=text) for text in ("", str(KEY_0), ID_1.libp2p)),
        *(
            changed(host=host)
            for host in (
                None,
                {},
                {"Ipv4": "::1"},
                {"Ipv6": "1.2.3.4"},
                {"Ipv4": "1.2.3"},
                {"Ipv4": 1},
                {"Other": "x"},
                {"Domain": "a b"},
                "x",
            )
        ),
        changed(host={"Ipv4": "1.2.3.4", "Domain": "a"}),
        OFFER_JSON.replace(b'"v=0', b'"\\ud800'),
        OFFER_JSON.replace(b'"sdp"', b'"sdp":"a","sdp"'),
        OFFER_JSON.replace(b"null", b"NaN"),
        OFFER_JSON.replace(b"null", b"9" * 5_000),
        OFFER_JSON[:-1],
        OFFER_JSON + b"x",
        b"\xff" + OFFER_JSON,
        b"",
        b"[]",
        b"null",
        b"[" * 60_000,
        b" " * (SIGNAL_BYTES_MAX + 1),
        b'"InternalError"',
    ],
)
def test_anything_else_is_a_decode_error(data: bytes) -> None:
    """Whatever is wrong; nothing else escapes."""
    with pytest.raises(DecodeError):
        decode_offer(data)


@pytest.mark.parametrize(
    "data",
    [
        b'"Accepted"',
        b'"internalError"',
        b"{}",
        b'{"Rejected":"Other"}',
        b'{"Rejected":0}',
        b'{"Rejected":"ChainIdMismatch","Accepted":{}}',
        b'{"Accepted":{}}',
        b'{"Accepted":null}',
        b'{"Other":1}',
        b'{"InternalError":null}',
        b"1",
        ANSWER_JSON.replace(b'"sdp":"sdp",', b""),
        ANSWER_JSON.replace(b"kMAK", b"kMAL"),
        OFFER_JSON,
    ],
)
def test_anything_else_is_no_response(data: bytes) -> None:
    """Whatever is wrong."""
    with pytest.raises(DecodeError):
        decode_response(data)


@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ).map(lambda value: json.dumps(value).encode())
)
def test_decoders_are_total(data: bytes) -> None:
    """A value or the one declared error."""
    for decode in (decode_offer, decode_response):
        with contextlib.suppress(DecodeError):
            decode(data)


@given(st.text(), st.integers(0, 30), st.none() | st.integers(0, 65_535))
def test_what_is_written_is_read(sdp: str, n: int, port: int | None) -> None:
    """Any text, any identity."""
    offer = Offer(sdp, MAINNET_CHAIN_ID, PublicKey(key(n)), key(n + 1), listen_port=port)
    try:
        written = encode_offer(offer)
    except UnicodeEncodeError:
        return
    assert decode_offer(written) == offer
    accepted = Accepted(Answer(sdp, PublicKey(key(n)), key(n + 1)))
    assert decode_response(encode_response(accepted)) == accepted

"""Peer ids, public keys and chain ids."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.vectors import vectors_path

from mina_p2p import base58
from mina_p2p.identity import (
    DEVNET_CHAIN_ID,
    MAINNET_CHAIN_ID,
    ChainId,
    IdentityError,
    IdentityReason,
    PeerId,
    PublicKey,
    is_curve_point,
)

# Spec pull-protocol 12.2: the reference's test keys 0 and 1.
KEY_0 = bytes.fromhex("4cb5abf6ad79fbf5abbccafcc269d85cd2651ed4b885b5869f241aedf0a5ba29")
KEY_1 = bytes.fromhex("7422b9887598068e32c4448a949adb290d0f4e35b9e01b0ee5f1a1e600fe2674")
PEER_0 = "2awmjihpsd9TkdaqEkvrJ2UguAsoigRtgoiKei4AxpA5EVzr6JZ"
LIBP2P_0 = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
PUBLIC_0 = "kMAKvV2ZzEoP84CaGQsT1VL1KUrU5N11pwdYxrm7RzNtyFuPJE"
SECRET_0 = "5HpHagT65TZzG1PH3CSu63k8DbpvD8s5ip4nEB3kEsreAnchuDf"

FORMS = [
    (KEY_0, PEER_0, LIBP2P_0),
    (KEY_1, "2bF8pb8dwWicAEpuptFvSbLRrx739bdb5uGfRiKwTuRkCBSs6nR", "12D3KooWHdiAxVd8uMQR1hGWXccidmfCwLqcMpGwR6QcTP6QRMuD"),
    # Spec operator-conventions A3 and A4.
    (
        bytes.fromhex("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"),
        "2aPazR3zQncHM8dwRiYxDWZRndBwnpQLZ9MUM2gq8R9ZwfwtxUv",
        "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB",
    ),
]

ids = st.binary(min_size=32, max_size=32).map(PeerId)


@pytest.mark.parametrize(("key", "text", "libp2p"), FORMS)
def test_an_id_prints_and_parses_in_both_forms(key, text, libp2p):
    """Base58Check and libp2p texts of the specification, both ways."""
    peer_id = PeerId(key)
    assert str(peer_id) == f"{peer_id}" == text
    assert peer_id.libp2p == libp2p
    assert PeerId.parse(text) == PeerId.parse(libp2p) == peer_id
    assert peer_id.multihash == base58.decode(libp2p)
    assert peer_id.to_public_key().peer_id == peer_id


def test_vectors_of_the_reference():
    """The ids in the reference's own tests."""
    for entry in json.loads(vectors_path("text", "base58check.json").read_text())["peer_ids"]:
        for form in ("peer_id", "libp2p_peer_id", "peer_id_computed"):
            if form in entry:
                assert PeerId.parse(entry[form]) == bytes.fromhex(entry["key_hex"])


def test_vectors_of_libp2p():
    """The public key encoding of the libp2p specification."""
    entries = {entry["name"]: entry for entry in json.loads(vectors_path("libp2p.json").read_text())["vectors"]}
    encoded = bytes.fromhex(entries["ed25519_spec_keypair"]["public_pb"])
    assert PeerId.from_protobuf(encoded).protobuf == encoded
    assert PeerId.from_protobuf(encoded) == encoded[4:]


@given(ids)
def test_every_id_comes_back_from_every_form(peer_id):
    """Also ids that are no key have all forms."""
    assert PeerId.parse(str(peer_id)) == peer_id
    assert PeerId.parse(peer_id.libp2p) == peer_id
    assert PeerId.from_multihash(peer_id.multihash) == peer_id
    assert PeerId.from_protobuf(peer_id.protobuf) == peer_id
    assert str(peer_id).startswith("2")
    assert peer_id.libp2p.startswith("12D3KooW")
    assert str(peer_id).startswith(peer_id.short)


@given(ids, ids)
def test_ids_order_as_the_reference_orders_its_words(left, right):
    """Byte order equals the order of the four big-endian words."""

    def words(peer_id):
        return [int.from_bytes(peer_id[i : i + 8], "big") for i in range(0, 32, 8)]

    assert (left < right) == (words(left) < words(right))


@pytest.mark.parametrize("kind", [PeerId, ChainId, PublicKey])
def test_values_are_plain_immutable_bytes(kind):
    """Equal, hashed, pickled and copied as bytes, keeping their type; ``repr`` can be evaluated; no attributes."""
    value = kind(KEY_0)
    assert value == KEY_0
    assert hash(value) == hash(KEY_0)
    assert type(pickle.loads(pickle.dumps(value))) is kind
    assert type(copy.deepcopy(value)) is kind
    assert eval(repr(value)) == value
    assert kind.parse(str(value)) == value
    with pytest.raises(AttributeError):
        value.name = 1


@pytest.mark.parametrize("kind", [PeerId, ChainId, PublicKey])
@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_another_length_is_refused(kind, length):
    """Exactly 32 bytes."""
    with pytest.raises(IdentityError) as caught:
        kind(bytes(length))
    assert caught.value.reason is IdentityReason.LENGTH
    assert str(length) in str(caught.value)


def _libp2p(hex_digits):
    return base58.encode(bytes.fromhex(hex_digits))


MALFORMED_IDS = [
    ("", IdentityReason.LENGTH, "0 bytes"),
    ("1", IdentityReason.LENGTH, "cut short"),
    ("2", IdentityReason.LENGTH, "1 bytes"),
    (PEER_0[:-1], IdentityReason.CHECKSUM, "checksum"),
    (PEER_0[:-1] + "a", IdentityReason.CHECKSUM, "checksum"),
    (PEER_0.replace("a", "0"), IdentityReason.CHARACTER, "character 2"),
    (f" {PEER_0}", IdentityReason.CHARACTER, "character 1"),
    (f"{PEER_0}\n", IdentityReason.CHARACTER, "character 52"),
    (f"1{PEER_0}", IdentityReason.LENGTH, ""),
    (PUBLIC_0, IdentityReason.VERSION, "public key"),
    (SECRET_0, IdentityReason.VERSION, "secret key"),
    (base58.encode_check(0x10, bytes(32)), IdentityReason.VERSION, "0x10"),
    (base58.encode_check(0x2F, bytes(33)), IdentityReason.LENGTH, "33"),
    ("Qm" + "a" * 44, IdentityReason.MULTIHASH_CODE, "0x12"),
    ("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", IdentityReason.MULTIHASH_CODE, "0x12"),
    (LIBP2P_0[:-1], IdentityReason.LENGTH, "multihash"),
    (_libp2p("0024" + "08011220" + "00" * 31), IdentityReason.LENGTH, "36"),
    (_libp2p("0023" + "08011220" + "00" * 31), IdentityReason.PROTOBUF, "35"),
    (_libp2p("0024" + "0801121f" + "00" * 32), IdentityReason.PROTOBUF, ""),
    (_libp2p("0024" + "12200801" + "00" * 32), IdentityReason.PROTOBUF, "protobuf"),
    (_libp2p("0025" + "0881001220" + "00" * 32), IdentityReason.PROTOBUF, "protobuf"),
    (_libp2p("0003" + "080112"), IdentityReason.PROTOBUF, "protobuf"),
    (_libp2p("0000"), IdentityReason.PROTOBUF, "protobuf"),
    ("16Uiu2HAmLhLvBoYaoZfaMUKuibM6ac163GwKY74c5kiSLg5KvLpY", IdentityReason.NOT_ED25519, "type 2"),
    ("2" * 129, IdentityReason.TOO_LONG, "128"),
    ("1" * 100_000, IdentityReason.TOO_LONG, "128"),
]


@pytest.mark.parametrize(("text", "reason", "detail"), MALFORMED_IDS, ids=range(len(MALFORMED_IDS)))
def test_malformed_ids_say_what_is_wrong(text, reason, detail):
    """Each malformed text has its typed reason and a sentence that names the fault."""
    with pytest.raises(IdentityError) as caught:
        PeerId.parse(text)
    assert caught.value.reason is reason
    assert detail in str(caught.value)


@pytest.mark.parametrize(
    ("multihash", "reason"),
    [
        (b"", IdentityReason.LENGTH),
        (b"\0", IdentityReason.LENGTH),
        (b"\x12\x20" + bytes(32), IdentityReason.MULTIHASH_CODE),
        (b"\x13\x24" + bytes(36), IdentityReason.MULTIHASH_CODE),
        (PeerId(KEY_0).multihash + b"\0", IdentityReason.LENGTH),
        (PeerId(KEY_0).multihash[:-1], IdentityReason.LENGTH),
    ],
)
def test_malformed_multihashes(multihash, reason):
    """Ids as they stand in libp2p messages are judged by the same rules."""
    with pytest.raises(IdentityError) as caught:
        PeerId.from_multihash(multihash)
    assert caught.value.reason is reason


@given(st.one_of(st.text(max_size=140), st.text("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", max_size=60)))
def test_parsing_is_total(text):
    """Any text gives a value or an `IdentityError`; a secret that was pasted is not repeated."""
    for kind in (PeerId, PublicKey, ChainId):
        message = ""
        try:
            kind.parse(text)
        except IdentityError as error:
            message = str(error)
        assert len(text) < 8 or text not in message


def test_errors_do_not_repeat_a_secret():
    """A secret key given where an id belongs is named as such and not shown."""
    with pytest.raises(IdentityError) as caught:
        PeerId.parse(SECRET_0)
    assert SECRET_0[2:12] not in f"{caught.value}{caught.value!r}"
    assert caught.value.__cause__ is None


def test_public_keys():
    """The text form with version 0x16, and its kinship with ids."""
    key = PublicKey.parse(PUBLIC_0)
    assert key == KEY_0
    assert str(key) == PUBLIC_0
    assert key.peer_id == PeerId.parse(PEER_0)
    with pytest.raises(IdentityError) as caught:
        PublicKey.parse(PEER_0)
    assert caught.value.reason is IdentityReason.VERSION


P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def _bytes_of(y, sign=0):
    return (y | sign << 255).to_bytes(32, "little")


@pytest.mark.parametrize(
    ("encoded", "is_point"),
    [
        (KEY_0, True),
        (KEY_1, True),
        (_bytes_of(4 * pow(5, -1, P) % P), True),  # the base point
        (_bytes_of(4 * pow(5, -1, P) % P, 1), True),  # its negative
        (_bytes_of(1), True),  # the neutral element: x = 0
        (_bytes_of(P - 1), True),  # the point of order 2: x = 0
        (_bytes_of(1, 1), False),  # x = 0 has no sign
        (_bytes_of(P - 1, 1), False),
        (_bytes_of(0), True),  # a point of order 4
        (_bytes_of(P), False),  # 0, not reduced
        (_bytes_of(P + 1), False),  # 1, not reduced
        (_bytes_of(2), False),
        (b"\xff" * 32, False),
        (b"", False),
        (bytes(31), False),
        (bytes(33), False),
    ],
)
def test_curve_points(encoded, is_point):
    """Decompression as RFC 8032 has it, at its edges."""
    assert is_curve_point(encoded) is is_point


@given(st.integers(0, P - 1), st.integers(0, 1))
def test_curve_points_agree_with_a_square_root(y, sign):
    """Where the check says yes, x can be computed and satisfies the curve's equation; else it can not."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    on_curve = x * x % P == square and not (x == 0 and sign)
    assert is_curve_point(_bytes_of(y, sign)) is on_curve


def test_an_id_that_is_no_point_is_no_key():
    """It is an id, and the conversion says why it is no key."""
    with pytest.raises(IdentityError) as caught:
        PeerId(_bytes_of(2)).to_public_key()
    assert caught.value.reason is IdentityReason.NOT_A_CURVE_POINT


@pytest.mark.parametrize(
    ("chain_id", "text", "network_key"),
    [
        (
            MAINNET_CHAIN_ID,
            "a7351abc7ddf2ea92d1b38cc8e636c271c1dfd2c081c637f62ebc2af34eb7cc1",
            "14dd173ece861212645c98d9bb1fdb1930aff5cfb59077ab27fe1375096bcc68",
        ),
        (
            DEVNET_CHAIN_ID,
            "29936104443aaf264a7f0192ac64b1c7173198c1ed404c1bcff5e562e05eb7f6",
            "45818b1ab9bc781268800a92ee9f1155d4c779861924d99354c7cba83cb9d874",
        ),
    ],
)
def test_known_chains(chain_id, text, network_key):
    """The two public networks and the key of their private libp2p network (spec operator-conventions A6)."""
    assert str(chain_id) == text
    assert ChainId.parse(text) == ChainId.parse(text.upper()) == chain_id
    assert chain_id.libp2p_network_key.hex() == network_key
    assert chain_id.rendezvous == f"/coda/0.0.1/{text}"


def test_the_alpn_name_is_that_of_the_mapping():
    """``mina-pull/1/`` and 16 hex digits of the digest of the raw bytes; fixed, since nodes must agree on it."""
    assert MAINNET_CHAIN_ID.quic_alpn == "mina-pull/1/4cda81c9b584422a"
    assert ChainId(bytes(32)).quic_alpn == "mina-pull/1/89eb0d6a8a691dae"
    assert DEVNET_CHAIN_ID.quic_alpn != MAINNET_CHAIN_ID.quic_alpn


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", IdentityReason.LENGTH),
        ("00" * 31, IdentityReason.LENGTH),
        ("00" * 33, IdentityReason.LENGTH),
        ("0" * 63, IdentityReason.LENGTH),
        ("0x" + "0" * 62, IdentityReason.CHARACTER),
        ("00 " * 21 + "0", IdentityReason.CHARACTER),
        ("g" * 64, IdentityReason.CHARACTER),
        ("\u0661" * 64, IdentityReason.CHARACTER),
        ("0" * 63 + "\n", IdentityReason.CHARACTER),
    ],
)
def test_malformed_chain_ids(text, reason):
    """Exactly 64 hex digits; the reference panics on fewer and cuts off more."""
    with pytest.raises(IdentityError) as caught:
        ChainId.parse(text)
    assert caught.value.reason is reason

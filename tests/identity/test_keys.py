"""Secret keys."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.vectors import vectors_path

from mina_p2p import base58
from mina_p2p.identity import IdentityError, IdentityReason, PeerId
from mina_p2p_effects.keys import SecretKey, verify

# Spec pull-protocol 12.2, operator-conventions A4.
TEXTS = [
    (
        SecretKey.deterministic(0),
        "5HpHagT65TZzG1PH3CSu63k8DbpvD8s5ip4nEB3kEsreAnchuDf",
        "2awmjihpsd9TkdaqEkvrJ2UguAsoigRtgoiKei4AxpA5EVzr6JZ",
    ),
    (
        SecretKey.deterministic(1),
        "5HpHagT65TZzG1PH3CSu63k8DbpvD8s5ip4nEB3kEsreAvUcVfH",
        "2bF8pb8dwWicAEpuptFvSbLRrx739bdb5uGfRiKwTuRkCBSs6nR",
    ),
    (
        SecretKey(bytes(range(32))),
        "5HpHgWkLaovGWySEFpng1XQ6pdG1TzNWR7SrETvfTRVdKHNXZh8",
        "2aPazR3zQncHM8dwRiYxDWZRndBwnpQLZ9MUM2gq8R9ZwfwtxUv",
    ),
]


@pytest.mark.parametrize(("key", "text", "peer_id"), TEXTS)
def test_texts(key, text, peer_id):
    """The text form of the specification, both ways, and the id that follows."""
    assert key.reveal_text() == text
    assert SecretKey.parse(text) == key
    assert SecretKey.parse(text).reveal_seed() == key.reveal_seed()
    assert str(key.peer_id) == peer_id
    assert key.public_key.peer_id == key.peer_id


def test_a_secret_text_of_the_reference():
    """From the reference's own tests (spec pull-protocol 12.2)."""
    key = SecretKey.parse("5K9G39rCgREFMCk7S739JZprwpMsiLRQXcELErUSwhHwfdVR8HT")
    assert key.reveal_seed().hex() == "aec7099f481a11d7cae976bc2a2ffce6364f41000b313b39c6af78501449cd9f"


def test_vectors_of_libp2p():
    """The secret key encoding of the libp2p specification."""
    entries = {entry["name"]: entry for entry in json.loads(vectors_path("libp2p.json").read_text())["vectors"]}
    entry = entries["ed25519_spec_keypair"]
    key = SecretKey.from_protobuf(bytes.fromhex(entry["private_pb"]))
    assert key.reveal_protobuf().hex() == entry["private_pb"]
    assert key.peer_id.protobuf.hex() == entry["public_pb"]


def test_the_signature_of_the_empty_message():
    """Ed25519 as it stands (spec pull-protocol 12.2)."""
    signature = SecretKey.deterministic(0).sign(b"")
    assert signature.hex() == (
        "7e1b9dc1e332c4238edcd07a68101474b640fdcb1b7b84fb711ac4bfbc85eb85a77480950d69398dcd19f61e1ea74d0f183cfbf34df8f6e7733ebfb9f944f106"
    )


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
def test_signatures(seed, message, bit):
    """One's own signature is valid; for another message, with a bit changed, or under another key it is not."""
    key = SecretKey(seed)
    signature = key.sign(message)
    assert verify(key.peer_id, message, signature)
    assert verify(key.public_key, message, signature)
    assert not verify(key.peer_id, message + b"\0", signature)
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    assert not verify(key.peer_id, message, bytes(changed))
    assert not verify(SecretKey.generate().peer_id, message, signature)
    assert signature == key.to_cryptography().sign(message)


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_a_signature_of_another_length_is_invalid(length):
    """Never an exception, also where message and signature could be cut elsewhere."""
    key = SecretKey.deterministic(0)
    signature = key.sign(b"abcdef")
    assert not verify(key.peer_id, b"abcdef", (signature + bytes(64))[:length])
    assert not verify(key.peer_id, b"bcdef", signature + b"a")


@pytest.mark.parametrize("peer_id", [PeerId(bytes([1]) + bytes(31)), PeerId(b"\xff" * 32), PeerId(bytes([2]) + bytes(31))])
def test_no_signature_is_valid_under_what_is_no_key(peer_id):
    """Points of small order, under which anything could verify, and bytes that are no point."""
    assert not verify(peer_id, b"", bytes([1]) + bytes(63))


@given(st.binary(min_size=32, max_size=32))
def test_every_key_comes_back_from_its_forms(seed):
    """Text and libp2p encoding, also in its older form."""
    key = SecretKey(seed)
    assert SecretKey.parse(key.reveal_text()).reveal_seed() == seed
    assert SecretKey.from_protobuf(key.reveal_protobuf()).reveal_seed() == seed
    assert SecretKey.from_protobuf(bytes.fromhex("08011260") + seed + key.peer_id * 2).reveal_seed() == seed


KEY = SecretKey.deterministic(7)
SEED, PUBLIC = KEY.reveal_seed(), bytes(KEY.peer_id)


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b"", IdentityReason.PROTOBUF),
        (bytes.fromhex("080112"), IdentityReason.PROTOBUF),
        (bytes.fromhex("08011220") + PUBLIC, IdentityReason.PROTOBUF),
        (bytes.fromhex("08021240") + SEED + PUBLIC, IdentityReason.NOT_ED25519),
        (bytes.fromhex("08011240") + SEED, IdentityReason.LENGTH),
        (bytes.fromhex("08011240") + SEED + PUBLIC + b"\0", IdentityReason.LENGTH),
        (bytes.fromhex("08011260") + SEED + PUBLIC, IdentityReason.LENGTH),
        (bytes.fromhex("08011240") + SEED + bytes(32), IdentityReason.CHECKSUM),
        (bytes.fromhex("08011260") + SEED + PUBLIC + bytes(32), IdentityReason.CHECKSUM),
    ],
)
def test_malformed_encodings(encoded, reason):
    """Each has its reason; a public key that does not follow from the secret one is noticed."""
    with pytest.raises(IdentityError) as caught:
        SecretKey.from_protobuf(encoded)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", IdentityReason.LENGTH),
        (TEXTS[0][1][:-1] + "e", IdentityReason.CHECKSUM),
        (TEXTS[0][2], IdentityReason.VERSION),
        (base58.encode_check(0x80, bytes(33)), IdentityReason.LENGTH),  # a Bitcoin key with its compression flag
    ],
)
def test_malformed_texts(text, reason):
    """Each has its reason."""
    with pytest.raises(IdentityError) as caught:
        SecretKey.parse(text)
    assert caught.value.reason is reason


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_another_seed_length_is_refused(length):
    """Exactly 32 bytes."""
    with pytest.raises(IdentityError):
        SecretKey(bytes(length))


def test_generated_keys_differ():
    """Each comes from fresh randomness."""
    assert len({SecretKey.generate() for _ in range(8)}) == 8


def test_a_key_does_not_show_itself():
    """No printing, formatting, pickling, copying or attribute dump gives the secret away."""
    shown = f"{KEY}{KEY!r}{KEY!a}{KEY:}{[KEY]}{ {'key': KEY} }"
    assert KEY.reveal_text() not in shown
    assert SEED.hex() not in shown
    assert repr(SEED)[2:-1] not in shown
    assert str(KEY.peer_id) in repr(KEY)
    assert not hasattr(KEY, "__dict__")
    for leave in (pickle.dumps, copy.copy, copy.deepcopy, lambda key: pickle.dumps([key], 0), json.dumps, bytes):
        with pytest.raises(TypeError):
            leave(KEY)


def test_the_same_key_for_certificates():
    """The object for TLS has the same public key."""
    public = KEY.to_cryptography().public_key().public_bytes_raw()
    assert public == KEY.peer_id

"""Encryption between two identities: the published vectors, and what is refused (spec: pull-protocol 1.2, 12.3)."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.channels.signaling_discovery.actions import ChannelsSignalingDiscoveryOfferEncrypted
from mina_p2p.channels.signaling_exchange.actions import ChannelsSignalingExchangeOfferDecrypted
from mina_p2p.channels.signaling_exchange.messages import EXCHANGE_MESSAGE, ExchangeAnswer
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, StreamId
from mina_p2p.signaling.effects import SignalingEffectfulOfferDecrypt, SignalingEffectfulOfferEncrypt
from mina_p2p.signaling.objects import InternalError, decode_response, encode_response
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.sealing import SealError, seal, sealing_answers, unseal

ONE, OTHER, THIRD = (SecretKey.deterministic(n) for n in range(3))
NONCE = bytes(range(12))

AUTH_SEALED = bytes.fromhex(
    "000102030405060708090a0b95cf73316308e1786a56737e262d603a48d0b536a758c5e9c0db752cdff723887881ffda3a658e84aa5e41a27f008abed7bfa"
    "f17c70e1963f4e9bcb8e6ab293c01076cc7b0a0077af62d735ee6357ff0"
)
RESPONSE_SEALED = bytes.fromhex("000102030405060708090a0b2f079dfa0ae9a7d0eeae092b1c9905f99d9e5850770e6580032026e8dffb91")
ANSWER_FRAME = bytes.fromhex(
    "0000004e02012b000102030405060708090a0b2f07fe9d00fefa000afee900fea700fed000feee00feae00092b1cfe990005fef900fe9d00fe9e005850770e"
    "65fe8000032026fee800fedf00fefb00fe9100"
)

SMALL_ORDER = PeerId(bytes([1]) + bytes(31))
"""The neutral point: its shared point with any key is zero."""
NO_POINT = PeerId(bytes([2]) + bytes(31))


def test_the_published_connection_authentication() -> None:
    """64 bytes of two hashes become these 92, in both directions with the same key."""
    plaintext = hashlib.sha256(b"offer").digest() + hashlib.sha256(b"answer").digest()
    assert seal(ONE, OTHER.peer_id, plaintext, nonce=NONCE) == AUTH_SEALED
    assert seal(OTHER, ONE.peer_id, plaintext, nonce=NONCE) == AUTH_SEALED
    assert unseal(OTHER, ONE.peer_id, AUTH_SEALED) == plaintext


def test_the_published_response_and_its_frame() -> None:
    """``InternalError`` from JSON to the whole frame of channel 2."""
    plaintext = encode_response(InternalError())
    assert seal(ONE, OTHER.peer_id, plaintext, nonce=NONCE) == RESPONSE_SEALED
    frame = EXCHANGE_MESSAGE.encode(ExchangeAnswer(RESPONSE_SEALED))
    assert len(frame).to_bytes(4, "big") + frame == ANSWER_FRAME
    assert decode_response(unseal(OTHER, ONE.peer_id, RESPONSE_SEALED)) == InternalError()


@given(st.binary(max_size=300))
def test_what_is_sealed_opens_for_both_and_is_new_each_time(plaintext: bytes) -> None:
    """Whoever of the two it is; equal plaintexts have nothing in common."""
    sealed = seal(ONE, OTHER.peer_id, plaintext)
    assert unseal(OTHER, ONE.peer_id, sealed) == plaintext
    assert unseal(ONE, OTHER.peer_id, sealed) == plaintext
    assert seal(ONE, OTHER.peer_id, plaintext)[:12] != sealed[:12]
    assert len(sealed) == len(plaintext) + 28


@pytest.mark.parametrize("at", [0, 11, 12, 40, -1])
def test_a_flipped_bit_is_noticed(at: int) -> None:
    """In nonce, ciphertext and tag."""
    changed = bytearray(AUTH_SEALED)
    changed[at] ^= 1
    with pytest.raises(SealError):
        unseal(OTHER, ONE.peer_id, bytes(changed))


@pytest.mark.parametrize("length", [0, 11, 12, 27])
def test_what_is_too_short_is_refused(length: int) -> None:
    """Without a nonce and a tag it is nothing."""
    with pytest.raises(SealError, match="too few"):
        unseal(OTHER, ONE.peer_id, AUTH_SEALED[:length])


def test_nobody_else_can_open_or_forge() -> None:
    """A third key opens nothing, and what it seals is not taken for another's."""
    with pytest.raises(SealError):
        unseal(THIRD, ONE.peer_id, AUTH_SEALED)
    with pytest.raises(SealError):
        unseal(OTHER, ONE.peer_id, seal(THIRD, OTHER.peer_id, b"forged"))


@pytest.mark.parametrize("bad", [SMALL_ORDER, NO_POINT])
def test_an_id_that_is_no_key_is_refused(bad: PeerId) -> None:
    """Where the shared point would be zero, or there is none at all (non-contributory; defect R2)."""
    with pytest.raises(SealError):
        seal(ONE, bad, b"")
    with pytest.raises(SealError):
        unseal(ONE, bad, AUTH_SEALED)


def test_answers_of_the_runtime_say_none_where_it_failed() -> None:
    """An effect is always answered, on its connection and stream."""
    answers, where = sealing_answers(ONE), (ConnectionId(7), StreamId(9))
    encrypt = SignalingEffectfulOfferEncrypt(*where, NO_POINT, b"offer")
    assert answers[type(encrypt)](encrypt) == ChannelsSignalingDiscoveryOfferEncrypted(*where, None)
    decrypt = SignalingEffectfulOfferDecrypt(*where, OTHER.peer_id, b"short")
    assert answers[type(decrypt)](decrypt) == ChannelsSignalingExchangeOfferDecrypted(*where, None)
    good = SignalingEffectfulOfferDecrypt(*where, OTHER.peer_id, seal(OTHER, ONE.peer_id, b"offer"))
    assert answers[type(good)](good) == ChannelsSignalingExchangeOfferDecrypted(*where, b"offer")

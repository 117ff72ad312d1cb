"""Encryption between two identities, and the effects of signaling that need it.

Source: spec pull-protocol 1.2, with the vectors of 12.3. Both keys come from the identities: the X25519 secret
is the one that follows from the ed25519 seed, the other's public value is its id's point in
Montgomery form. Their shared point is the AES-256-GCM key as it is; the same key serves both directions and every
purpose (defect S10, which cannot change: two nodes would no longer understand each other). So each message has its
own 12 random bytes as nonce, and what is sealed never leaves for a log with the key.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.bindings import crypto_sign_ed25519_pk_to_curve25519, crypto_sign_ed25519_sk_to_curve25519
from nacl.exceptions import CryptoError

from mina_p2p.channels.signaling_discovery.actions import (
    ChannelsSignalingDiscoveryAnswerDecrypted,
    ChannelsSignalingDiscoveryOfferEncrypted,
)
from mina_p2p.channels.signaling_exchange.actions import (
    ChannelsSignalingExchangeAnswerEncrypted,
    ChannelsSignalingExchangeOfferDecrypted,
)
from mina_p2p.errors import MinaP2pError
from mina_p2p.identity import PeerId
from mina_p2p.signaling.effects import (
    SignalingEffectfulAnswerDecrypt,
    SignalingEffectfulAnswerEncrypt,
    SignalingEffectfulOfferDecrypt,
    SignalingEffectfulOfferEncrypt,
)
from mina_p2p.store import Action
from mina_p2p_effects.keys import SecretKey

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16


class SealError(MinaP2pError):
    """Nothing can be sealed for that identity, or what came was not sealed by it for us, as it is."""


def seal(key: SecretKey, other: PeerId, plaintext: bytes, *, nonce: bytes | None = None) -> bytes:
    """Encrypt for ``other``.

    :param nonce: 12 bytes, for vectors only; by default fresh ones of the system. Never use one twice.
    :returns: nonce, ciphertext and tag: 28 bytes more than ``plaintext``.
    :raises SealError: where ``other`` is no key that could open it.
    """
    nonce = secrets.token_bytes(NONCE_BYTES) if nonce is None else nonce
    return nonce + _cipher(key, other).encrypt(nonce, plaintext, None)


def unseal(key: SecretKey, other: PeerId, sealed: bytes) -> bytes:
    """Decrypt what ``other`` encrypted for us.

    :raises SealError: where it did not, where a bit is wrong, or where it is too short to be anything.
    """
    if len(sealed) < NONCE_BYTES + TAG_BYTES:
        raise SealError(f"{len(sealed)} bytes are too few; {NONCE_BYTES + TAG_BYTES} are the least")
    try:
        return _cipher(key, other).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
    except InvalidTag:
        raise SealError("not encrypted by that peer for this one, or changed on its way") from None


def _cipher(key: SecretKey, other: PeerId) -> AESGCM:
    # libsodium's secret key is the seed and the public key, 64 bytes.
    secret = X25519PrivateKey.from_private_bytes(crypto_sign_ed25519_sk_to_curve25519(key.reveal_seed() + key.peer_id))
    try:
        point = crypto_sign_ed25519_pk_to_curve25519(bytes(other))
    except (CryptoError, RuntimeError):
        raise SealError("the peer id is no key, or one of small order") from None
    try:
        shared = secret.exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError:
        raise SealError("the two keys have nothing in common but zero") from None
    return AESGCM(shared)


def sealing_answers(key: SecretKey) -> Mapping[type[Any], Callable[[Any], Action]]:
    """What the runtime answers to the effects of signaling that encrypt and decrypt, by their class.

    Each answer repeats connection and stream of its effect; ``None`` in it says that it failed. The key stays in here:
    neither effects nor answers have it.
    """

    def sealed(other: PeerId, plaintext: bytes) -> bytes | None:
        try:
            return seal(key, other, plaintext)
        except SealError:
            return None

    def unsealed(other: PeerId, ciphertext: bytes) -> bytes | None:
        try:
            return unseal(key, other, ciphertext)
        except SealError:
            return None

    def offer_encrypted(effect: SignalingEffectfulOfferEncrypt) -> Action:
        return ChannelsSignalingDiscoveryOfferEncrypted(effect.connection_id, effect.stream, sealed(effect.target, effect.offer))

    def answer_decrypted(effect: SignalingEffectfulAnswerDecrypt) -> Action:
        return ChannelsSignalingDiscoveryAnswerDecrypted(effect.connection_id, effect.stream, unsealed(effect.target, effect.answer))

    def offer_decrypted(effect: SignalingEffectfulOfferDecrypt) -> Action:
        return ChannelsSignalingExchangeOfferDecrypted(effect.connection_id, effect.stream, unsealed(effect.offerer, effect.offer))

    def answer_encrypted(effect: SignalingEffectfulAnswerEncrypt) -> Action:
        return ChannelsSignalingExchangeAnswerEncrypted(effect.connection_id, effect.stream, sealed(effect.offerer, effect.answer))

    return {
        SignalingEffectfulOfferEncrypt: offer_encrypted,
        SignalingEffectfulAnswerDecrypt: answer_decrypted,
        SignalingEffectfulOfferDecrypt: offer_decrypted,
        SignalingEffectfulAnswerEncrypt: answer_encrypted,
    }

"""Secret keys: signing, verifying, and the forms in which a key is kept.

A `SecretKey` shows itself only where its ``reveal_`` methods are called. Its
``repr`` names the peer id, and it can be neither pickled nor copied, so that no
log, message or traceback takes it along.

Source: spec pull-protocol 1.1 and 1.3, libp2p 1, operator-conventions A4.
"""

from __future__ import annotations

import secrets
from typing import Final, NoReturn, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from mina_p2p.base58 import encode_check
from mina_p2p.identity import KEY_LENGTH, SECRET_KEY_VERSION, IdentityError, IdentityReason, PeerId, PublicKey, parse_key_text

SIGNATURE_LENGTH: Final = 64

_PROTOBUF_PREFIX: Final = bytes.fromhex("08011240")  # key type ed25519, 64 bytes of data
_PROTOBUF_PREFIX_OLD: Final = bytes.fromhex("08011260")  # the same with the public key written twice


@final
class SecretKey:
    """An ed25519 key pair, made from its 32-byte seed.

    :raises IdentityError: ``LENGTH`` for anything but 32 bytes.
    """

    __slots__ = ("_expanded", "_peer_id")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != KEY_LENGTH:
            raise IdentityError(IdentityReason.LENGTH, f"the seed of a secret key has {KEY_LENGTH} bytes, not {len(seed)}")
        public, self._expanded = crypto_sign_seed_keypair(bytes(seed))
        self._peer_id = PeerId(public)

    @classmethod
    def generate(cls) -> SecretKey:
        """Make a new key from the system's randomness."""
        return cls(secrets.token_bytes(KEY_LENGTH))

    @classmethod
    def deterministic(cls, number: int) -> SecretKey:
        """The reference's test key ``number``, 0 to 2**64 - 2. Everybody has it: for tests only."""
        return cls(bytes(24) + (number + 1).to_bytes(8, "big"))

    @classmethod
    def parse(cls, text: str) -> SecretKey:
        """Read the Base58Check text form, ``5...``.

        :raises IdentityError: with the reason; the text is not repeated.
        """
        return cls(parse_key_text(text, SECRET_KEY_VERSION))

    @classmethod
    def from_protobuf(cls, encoded: bytes) -> SecretKey:
        """Read libp2p's encoding: 68 bytes, or 100 where the public key stands twice.

        :raises IdentityError: ``PROTOBUF`` for another encoding; ``NOT_ED25519`` for another
            kind of key; ``LENGTH``; ``CHECKSUM`` where the public key belongs to another secret key.
        """
        prefix, data = encoded[:4], encoded[4:]
        if prefix not in {_PROTOBUF_PREFIX, _PROTOBUF_PREFIX_OLD}:
            other_kind = prefix[:1] == b"\x08" and prefix[1:2] != b"\x01"
            reason = IdentityReason.NOT_ED25519 if other_kind else IdentityReason.PROTOBUF
            raise IdentityError(reason, "not an ed25519 secret key in libp2p's protobuf encoding")
        if len(data) != prefix[3]:
            raise IdentityError(IdentityReason.LENGTH, f"an encoded secret key announces {prefix[3]} bytes and holds {len(data)}")
        key = cls(data[:KEY_LENGTH])
        if data[KEY_LENGTH:] != key._peer_id * (len(data) // KEY_LENGTH - 1):
            raise IdentityError(IdentityReason.CHECKSUM, "an encoded secret key comes with a public key that is not its own")
        return key

    @property
    def peer_id(self) -> PeerId:
        """The id under which the owner of this key is known."""
        return self._peer_id

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self._peer_id.to_public_key()

    def sign(self, message: bytes) -> bytes:
        """The 64-byte ed25519 signature of ``message``; equal input gives an equal signature."""
        return crypto_sign(message, self._expanded)[:SIGNATURE_LENGTH]

    def to_cryptography(self) -> Ed25519PrivateKey:
        """This key as an object of the ``cryptography`` package, which makes certificates."""
        return Ed25519PrivateKey.from_private_bytes(self.reveal_seed())

    def reveal_seed(self) -> bytes:
        """The 32 secret bytes."""
        return self._expanded[:KEY_LENGTH]

    def reveal_text(self) -> str:
        """The Base58Check text form of the secret, which `parse` reads."""
        return encode_check(SECRET_KEY_VERSION, self.reveal_seed())

    def reveal_protobuf(self) -> bytes:
        """The secret in libp2p's encoding, 68 bytes."""
        return _PROTOBUF_PREFIX + self._expanded

    def __eq__(self, other: object) -> bool:
        # Equal public keys have equal seeds, as far as anybody can tell, and comparing them leaks nothing.
        return isinstance(other, SecretKey) and self._peer_id == other._peer_id

    def __hash__(self) -> int:
        return hash(self._peer_id)

    def __repr__(self) -> str:
        return f"<SecretKey of peer {self._peer_id}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SecretKey is neither pickled nor copied; call reveal_text() where the secret has to leave this process")


def verify(peer_id: PeerId | PublicKey, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is that of ``message`` under the key of ``peer_id``.

    Never raises: a signature of another length, an id that is no key, and keys of
    small order are all just not valid.
    """
    if len(signature) != SIGNATURE_LENGTH:
        return False
    try:
        crypto_sign_open(signature + message, bytes(peer_id))
    except BadSignatureError:
        return False
    return True

"""Who a peer is and which chain it follows: `PeerId`, `PublicKey`, `ChainId`.

A node is known by one ed25519 key on every transport. Its 32 public bytes *are*
the peer id; they are written in two ways, Base58Check for the WebRTC world
(``2...``) and as a libp2p id (``12D3KooW...``) for everything else. Secret keys
do not occur in this package: see ``mina_p2p_effects.keys``.

Source: spec pull-protocol 1.1 and 1.4, libp2p 1, operator-conventions A4 and A6.
"""

from __future__ import annotations

import enum
from hashlib import blake2b
from typing import Final, final

from mina_p2p.base58 import Base58Error, Base58Reason, decode, decode_check, encode, encode_check
from mina_p2p.errors import MinaP2pError

KEY_LENGTH: Final = 32
"""Bytes of a public key, a peer id, an ed25519 seed and a chain id."""

PEER_ID_VERSION: Final = 0x2F
PUBLIC_KEY_VERSION: Final = 0x16
SECRET_KEY_VERSION: Final = 0x80

_TEXT_LENGTH_MAX: Final = 128  # the longest form of any kind of libp2p id has 58 characters
_SHORT_LENGTH: Final = 10

_PROTOBUF_PREFIX: Final = bytes.fromhex("08011220")  # key type ed25519, 32 bytes of data
_MULTIHASH_IDENTITY: Final = 0x00
_MULTIHASH_SHA2_256: Final = 0x12
_PROTOBUF_LENGTH: Final = len(_PROTOBUF_PREFIX) + KEY_LENGTH

_KINDS: Final = {PEER_ID_VERSION: "peer id", PUBLIC_KEY_VERSION: "public key", SECRET_KEY_VERSION: "secret key"}


@enum.unique
class IdentityReason(enum.Enum):
    """Why bytes or a text were refused as an identity or a chain id."""

    LENGTH = "another number of bytes than required"
    TOO_LONG = "a text longer than any form"
    CHARACTER = "a character that the form does not have"
    CHECKSUM = "the checksum does not match"
    VERSION = "the Base58Check form of something else"
    MULTIHASH_CODE = "a libp2p id that does not hold the key itself"
    PROTOBUF = "a libp2p id whose key is not in the libp2p encoding"
    NOT_ED25519 = "a libp2p id of another kind of key than ed25519"
    NOT_A_CURVE_POINT = "bytes that are no point of the ed25519 curve"


class IdentityError(MinaP2pError):
    """Bytes or a text are not the identity or chain id that was asked for.

    The input is not repeated: it may be a secret key pasted by mistake.
    """

    def __init__(self, reason: IdentityReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


@final
class PeerId(bytes):
    """The 32 bytes of a peer's ed25519 public key, as its id.

    Ids compare as bytes: this order decides which of two crossing connections
    stays. Not every id is a key, see `PeerId.to_public_key`. ``str()`` gives the
    Base58Check form.

    :raises IdentityError: ``LENGTH`` for anything but 32 bytes.
    """

    __slots__ = ()

    def __new__(cls, value: bytes) -> PeerId:
        """Take 32 bytes as an id; the class says what is refused."""
        if len(value) != KEY_LENGTH:
            raise _wrong_length("a peer id", len(value))
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> PeerId:
        """Read either text form, Base58Check ``2...`` or libp2p ``12D3KooW...``.

        :raises IdentityError: with the reason; ``MULTIHASH_CODE`` for ``Qm...``
            ids, which are digests from which no key follows.
        """
        # No Base58Check text of a non-zero version begins with 1, and "Qm" is how every SHA-256 multihash begins.
        if text.startswith(("1", "Qm")):
            return cls.from_multihash(_decode_libp2p(text))
        return cls(parse_key_text(text, PEER_ID_VERSION))

    @classmethod
    def from_multihash(cls, multihash: bytes) -> PeerId:
        """Read the 38 bytes of a libp2p peer id, as they stand in messages.

        :raises IdentityError: ``MULTIHASH_CODE``, ``PROTOBUF``, ``NOT_ED25519`` or ``LENGTH``.
        """
        if len(multihash) < 2:
            raise IdentityError(IdentityReason.LENGTH, f"a libp2p peer id of {len(multihash)} bytes is cut short")
        code, length = multihash[0], multihash[1]
        if code == _MULTIHASH_SHA2_256:
            raise IdentityError(
                IdentityReason.MULTIHASH_CODE,
                "a libp2p peer id with multihash code 0x12 is a digest, not a key; Mina uses ed25519 ids, 12D3KooW...",
            )
        if code != _MULTIHASH_IDENTITY:
            raise IdentityError(IdentityReason.MULTIHASH_CODE, f"multihash code 0x{code:02x} instead of 0x00 (identity)")
        if length != len(multihash) - 2:
            raise IdentityError(IdentityReason.LENGTH, f"a multihash announces {length} bytes and holds {len(multihash) - 2}")
        return cls.from_protobuf(multihash[2:])

    @classmethod
    def from_protobuf(cls, encoded: bytes) -> PeerId:
        """Read a public key in libp2p's encoding, ``08 01 12 20`` and the 32 bytes.

        :raises IdentityError: ``PROTOBUF`` or ``NOT_ED25519``.
        """
        # The encoding is deterministic (spec libp2p 1), so another order or a longer varint is not that encoding.
        if len(encoded) < 4 or encoded[0] != _PROTOBUF_PREFIX[0] or encoded[2] != _PROTOBUF_PREFIX[2]:
            raise IdentityError(IdentityReason.PROTOBUF, "not a public key in libp2p's protobuf encoding")
        if encoded[1] != _PROTOBUF_PREFIX[1]:
            raise IdentityError(IdentityReason.NOT_ED25519, f"a key of libp2p type {encoded[1]}; Mina uses type 1, ed25519")
        if len(encoded) != _PROTOBUF_LENGTH or encoded[3] != KEY_LENGTH:
            raise IdentityError(IdentityReason.PROTOBUF, f"an ed25519 key takes {_PROTOBUF_LENGTH} encoded bytes, not {len(encoded)}")
        return cls(encoded[4:])

    @property
    def libp2p(self) -> str:
        """The libp2p text form, ``12D3KooW...``."""
        return encode(self.multihash)

    @property
    def multihash(self) -> bytes:
        """The 38 bytes that libp2p messages carry: ``00 24`` and the encoded key."""
        return bytes((_MULTIHASH_IDENTITY, _PROTOBUF_LENGTH)) + self.protobuf

    @property
    def protobuf(self) -> bytes:
        """The public key in libp2p's encoding, 36 bytes."""
        return _PROTOBUF_PREFIX + self

    @property
    def short(self) -> str:
        """The first characters of ``str(self)``, for people: tells peers apart, proves nothing."""
        return str(self)[:_SHORT_LENGTH]

    def to_public_key(self) -> PublicKey:
        """The public key of this id.

        :raises IdentityError: ``NOT_A_CURVE_POINT``.
        """
        return PublicKey(self)

    def __str__(self) -> str:
        return encode_check(PEER_ID_VERSION, self)

    def __repr__(self) -> str:
        return f"PeerId.parse('{self}')"


@final
class PublicKey(bytes):
    """An ed25519 public key: 32 bytes that are a point of the curve.

    ``str()`` gives the Base58Check form with version ``0x16``.

    :raises IdentityError: ``LENGTH`` or ``NOT_A_CURVE_POINT``.
    """

    __slots__ = ()

    def __new__(cls, value: bytes) -> PublicKey:
        """Take 32 bytes as a key; the class says what is refused."""
        if len(value) != KEY_LENGTH:
            raise _wrong_length("a public key", len(value))
        if not is_curve_point(value):
            raise IdentityError(IdentityReason.NOT_A_CURVE_POINT, "these 32 bytes are no point of the ed25519 curve, so no key has them")
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Read the Base58Check text form.

        :raises IdentityError: with the reason.
        """
        return cls(parse_key_text(text, PUBLIC_KEY_VERSION))

    @property
    def peer_id(self) -> PeerId:
        """The id of the peer that owns this key."""
        return PeerId(self)

    def __str__(self) -> str:
        return encode_check(PUBLIC_KEY_VERSION, self)

    def __repr__(self) -> str:
        return f"PublicKey.parse('{self}')"


@final
class ChainId(bytes):
    """The 32 bytes that name a chain: peers of another chain are refused.

    ``str()`` gives 64 lower-case hex digits.

    :raises IdentityError: ``LENGTH`` for anything but 32 bytes.
    """

    __slots__ = ()

    def __new__(cls, value: bytes) -> ChainId:
        """Take 32 bytes as a chain id; the class says what is refused."""
        if len(value) != KEY_LENGTH:
            raise _wrong_length("a chain id", len(value))
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> ChainId:
        """Read exactly 64 hex digits, of either case.

        The reference takes the first 32 bytes of a longer text and panics on a
        shorter one; both are refused here (spec pull-protocol 10.3 S4).

        :raises IdentityError: ``LENGTH`` or ``CHARACTER``.
        """
        if len(text) != 2 * KEY_LENGTH:
            raise IdentityError(IdentityReason.LENGTH, f"a chain id has {2 * KEY_LENGTH} hex digits, not {len(text)} characters")
        if not _HEX_DIGITS.issuperset(text):
            raise IdentityError(IdentityReason.CHARACTER, "a chain id is written in hex digits only")
        return cls(bytes.fromhex(text))

    @property
    def quic_alpn(self) -> str:
        """The ALPN name of pull connections over QUIC on this chain (design 6).

        It filters; the chain id inside the hello decides.
        """
        return f"mina-pull/1/{blake2b(self, digest_size=32).hexdigest()[:16]}"

    @property
    def rendezvous(self) -> str:
        """The text under which libp2p nodes of this chain find each other."""
        return f"/coda/0.0.1/{self}"

    @property
    def libp2p_network_key(self) -> bytes:
        """The pre-shared key, 32 bytes, of the private libp2p network of this chain.

        Everybody who knows the chain id knows it: it separates networks and hides nothing.
        """
        return blake2b(self.rendezvous.encode("ascii"), digest_size=32).digest()

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"ChainId.parse('{self}')"


_HEX_DIGITS: Final = frozenset("0123456789abcdefABCDEF")

MAINNET_CHAIN_ID: Final = ChainId.parse("a7351abc7ddf2ea92d1b38cc8e636c271c1dfd2c081c637f62ebc2af34eb7cc1")
DEVNET_CHAIN_ID: Final = ChainId.parse("29936104443aaf264a7f0192ac64b1c7173198c1ed404c1bcff5e562e05eb7f6")

_P: Final = 2**255 - 19
_D: Final = (-121665 * pow(121666, -1, _P)) % _P


def is_curve_point(value: bytes) -> bool:
    """Whether 32 bytes decompress to a point of the ed25519 curve.

    As RFC 8032 5.1.3: the y coordinate is canonical and ``x = 0`` has no sign. The
    few other byte strings that some decoders take for a point belong to no key
    under which a signature verifies. Points of small order do decompress; the
    check of a signature refuses them.

    Takes one power modulo ``2**255 - 19``, about 0.1 ms.
    """
    if len(value) != KEY_LENGTH:
        return False
    number = int.from_bytes(value, "little")
    negative, y = number >> 255, number & (2**255 - 1)
    if y >= _P:
        return False
    # x^2 = (y^2 - 1) / (d y^2 + 1). A quotient is a square where the product is, which spares the inversion.
    numerator = (y * y - 1) % _P
    denominator = (_D * y * y + 1) % _P
    if numerator == 0:
        return not negative
    return pow(numerator * denominator, (_P - 1) // 2, _P) == 1


def _wrong_length(what: str, found: int) -> IdentityError:
    return IdentityError(IdentityReason.LENGTH, f"{what} has {KEY_LENGTH} bytes, not {found}")


def _decode_libp2p(text: str) -> bytes:
    try:
        return decode(text, length_max=_TEXT_LENGTH_MAX)
    except Base58Error as error:
        raise _from_base58(error) from None


def parse_key_text(text: str, version: int) -> bytes:
    """Read the 32 bytes of a key or an id from its Base58Check text.

    :param version: `PEER_ID_VERSION`, `PUBLIC_KEY_VERSION` or `SECRET_KEY_VERSION`.
    :raises IdentityError: with the reason; a text of another of these kinds is named.
    """
    try:
        return decode_check(text, version, KEY_LENGTH, length_max=_TEXT_LENGTH_MAX)
    except Base58Error as error:
        if error.version in _KINDS:
            detail = f"this is a {_KINDS[error.version]} (version 0x{error.version:02x}), not a {_KINDS[version]} (0x{version:02x})"
            raise IdentityError(IdentityReason.VERSION, detail) from None
        raise _from_base58(error) from None


def _from_base58(error: Base58Error) -> IdentityError:
    return IdentityError(_REASONS[error.reason], error.detail)


_REASONS: Final = {
    Base58Reason.TOO_LONG: IdentityReason.TOO_LONG,
    Base58Reason.CHARACTER: IdentityReason.CHARACTER,
    Base58Reason.TOO_SHORT: IdentityReason.LENGTH,
    Base58Reason.CHECKSUM: IdentityReason.CHECKSUM,
    Base58Reason.VERSION: IdentityReason.VERSION,
    Base58Reason.LENGTH: IdentityReason.LENGTH,
}

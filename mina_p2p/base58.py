"""Base58 and Base58Check, the text forms of keys, ids and hashes.

Base58 writes bytes as one big number in the Bitcoin alphabet, each leading zero
byte as ``1``. Base58Check adds a version byte before and four checksum bytes
after the content, so that a mistyped text is noticed. Converting takes time
quadratic in the length, therefore both directions refuse long input first.

Source: spec pull-protocol 1.1 (identities), operator-conventions A3 (key files).
"""

from __future__ import annotations

import enum
from hashlib import sha256
from typing import Final

from mina_p2p.errors import MinaP2pError

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS: Final = {character: value for value, character in enumerate(_ALPHABET)}
_CHECKSUM_LENGTH: Final = 4

TEXT_LENGTH_MAX: Final = 4096
"""Characters that `decode` looks at before it refuses; no text form of Mina comes near."""

DATA_LENGTH_MAX: Final = 2048
"""Bytes that `encode` accepts and `decode` gives; their text always fits `TEXT_LENGTH_MAX`."""


@enum.unique
class Base58Reason(enum.Enum):
    """Why a Base58 or Base58Check text was refused."""

    TOO_LONG = "too long"
    CHARACTER = "a character outside the Base58 alphabet"
    TOO_SHORT = "too short to hold a version and a checksum"
    CHECKSUM = "the checksum does not match"
    VERSION = "another version byte than expected"
    LENGTH = "another length than expected"


class Base58Error(MinaP2pError):
    """A text is not the Base58 or Base58Check that was asked for.

    The text itself is not repeated: it may be a secret key.
    """

    def __init__(self, reason: Base58Reason, detail: str, version: int | None = None) -> None:
        super().__init__(reason, detail, version)
        self.reason = reason
        self.detail = detail
        self.version = version
        """The version byte that the text carries, where the reason is ``VERSION``."""

    def __str__(self) -> str:
        return self.detail


def encode(data: bytes) -> str:
    """Write ``data`` as Base58.

    :raises Base58Error: ``TOO_LONG`` above `DATA_LENGTH_MAX` bytes.
    """
    if len(data) > DATA_LENGTH_MAX:
        raise Base58Error(Base58Reason.TOO_LONG, f"{len(data)} bytes are more than the {DATA_LENGTH_MAX} that Base58 is used for")
    number = int.from_bytes(data, "big")
    reversed_digits: list[str] = []
    while number:
        number, digit = divmod(number, 58)
        reversed_digits.append(_ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(reversed_digits))


def decode(text: str, *, length_max: int = TEXT_LENGTH_MAX) -> bytes:
    """Read the bytes that a Base58 text stands for.

    :param length_max: characters allowed, at most `TEXT_LENGTH_MAX`.
    :raises Base58Error: ``TOO_LONG`` or ``CHARACTER``.
    """
    allowed = min(length_max, TEXT_LENGTH_MAX)
    if len(text) > allowed:
        raise Base58Error(Base58Reason.TOO_LONG, f"{len(text)} characters are more than the {allowed} allowed here")
    number = 0
    for position, character in enumerate(text):
        digit = _DIGITS.get(character)
        if digit is None:
            raise Base58Error(Base58Reason.CHARACTER, f"character {position + 1} is not in the Base58 alphabet")
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    length = zeros + (number.bit_length() + 7) // 8
    if length > DATA_LENGTH_MAX:
        raise Base58Error(Base58Reason.TOO_LONG, f"{length} bytes are more than the {DATA_LENGTH_MAX} that Base58 is used for")
    return number.to_bytes(length, "big")


def encode_check(version: int, payload: bytes) -> str:
    """Write ``payload`` as Base58Check under the version byte ``version``.

    :raises Base58Error: ``TOO_LONG`` where version, payload and checksum exceed `DATA_LENGTH_MAX` bytes.
    :raises ValueError: where ``version`` is no byte.
    """
    content = bytes((version,)) + payload
    return encode(content + _checksum(content))


def decode_check(text: str, version: int, length: int | None = None, *, length_max: int = TEXT_LENGTH_MAX) -> bytes:
    """Read the payload of a Base58Check text.

    The checksum is judged before version and length, so that a typing error is
    reported as one.

    :param version: the version byte that the text must carry.
    :param length: bytes that the payload must have; ``None`` allows any number.
    :param length_max: characters allowed, at most `TEXT_LENGTH_MAX`.
    :raises Base58Error: with the `Base58Reason` that applies first.
    """
    content = decode(text, length_max=length_max)
    if len(content) < 1 + _CHECKSUM_LENGTH:
        raise Base58Error(Base58Reason.TOO_SHORT, f"{len(content)} bytes can not hold a version byte and a checksum")
    body = content[:-_CHECKSUM_LENGTH]
    if _checksum(body) != content[-_CHECKSUM_LENGTH:]:
        raise Base58Error(Base58Reason.CHECKSUM, "the checksum does not match: a character is wrong or missing")
    if body[0] != version:
        raise Base58Error(Base58Reason.VERSION, f"version byte 0x{body[0]:02x} instead of 0x{version:02x}", body[0])
    if length is not None and len(body) != 1 + length:
        raise Base58Error(Base58Reason.LENGTH, f"{len(body) - 1} bytes of content instead of {length}")
    return body[1:]


def _checksum(content: bytes) -> bytes:
    return sha256(sha256(content).digest()).digest()[:_CHECKSUM_LENGTH]

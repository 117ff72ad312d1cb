"""How values look as text: markers that the JSON form reads, and the Base58Check forms.

The wire codec ignores these markers. Source: spec wire-types 1.4 and the ``human``
and ``b58check`` notes of spec mina-types-v2.json.
"""

from __future__ import annotations

from typing import Final

from mina_p2p.base58 import decode_check, encode_check
from mina_p2p.record import Record, record


@record
class Base58Check(Record):
    """Base58Check with a version byte; ``prefix`` stands between version and bytes."""

    version: int
    prefix: bytes = b""

    def text(self, raw: bytes) -> str:
        """The text form of ``raw``."""
        return encode_check(self.version, self.prefix + raw)

    def parse(self, text: str) -> bytes:
        """The bytes behind a text.

        :raises Base58Error: no Base58Check text, or the form of something else.
        :raises ValueError: the payload has not the expected beginning.
        """
        payload = decode_check(text, self.version)
        if not payload.startswith(self.prefix):
            raise ValueError(f"the payload does not begin with {self.prefix.hex()}")
        return payload[len(self.prefix) :]


@record
class Hex(Record):
    """Lower-case hex without a prefix."""


@record
class Base64Url(Record):
    """URL-safe base64 with padding."""


@record
class Text(Record):
    """Bytes that are text for people. Nothing promises UTF-8: other bytes become lone surrogates, which keep them."""


@record
class DecimalMina(Record):
    """Nanomina printed as MINA with up to nine decimals."""


@record
class JsonNumber(Record):
    """An integer that is a number in JSON; Mina's own numbers are decimal strings."""


@record
class JsonName(Record):
    """The field's name in JSON, where that says less than ours."""

    name: str


@record
class SexpBase64(Record):
    """A proof as base64 of its s-expression."""


@record
class Names(Record):
    """Names of a union's constructors, in its order.

    ``yojson`` gives ``["Snake_case", argument, …]``, the other form is ``{"CamelCase": …}`` or ``"CamelCase"``.
    """

    names: tuple[str, ...]
    yojson: bool


def yojson(*names: str) -> Names:
    """Constructors in the style of OCaml's JSON."""
    return Names(names, yojson=True)


def serde(*names: str) -> Names:
    """Constructors in the style of Rust's JSON."""
    return Names(names, yojson=False)


class Positional(Record):
    """Base of records whose fields are the parts of a tuple, or the arguments of a constructor: JSON shows no names."""

    __slots__ = ()


STATE_HASH: Final = Base58Check(0x10, b"\x01")
STATE_BODY_HASH: Final = Base58Check(0x11, b"\x01")
LEDGER_HASH: Final = Base58Check(0x05, b"\x01")
RECEIPT_CHAIN_HASH: Final = Base58Check(0x0C, b"\x01")
PENDING_COINBASE_HASH: Final = Base58Check(0x0C, b"\x01")
EPOCH_SEED: Final = Base58Check(0x0D, b"\x01")
STAGED_LEDGER_AUX_HASH: Final = Base58Check(0x0E)
PENDING_COINBASE_AUX: Final = Base58Check(0x0F)
MEMO: Final = Base58Check(0x14)
COINBASE_STACK_DATA: Final = Base58Check(0x17, b"\x01")
COINBASE_STACK_HASH: Final = Base58Check(0x18, b"\x01")
VERIFICATION_KEY: Final = Base58Check(0x1B)
TOKEN_ID: Final = Base58Check(0x1C)
TRANSACTION_HASH: Final = Base58Check(0x1D, b"\x20")
SIGNATURE: Final = Base58Check(0x9A, b"\x01")
PUBLIC_KEY: Final = Base58Check(0xCB, b"\x01\x01")

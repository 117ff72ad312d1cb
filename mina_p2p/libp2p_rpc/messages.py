"""Messages of async RPC (spec: libp2p 10; `janestreet/async_rpc_kernel@v0.14.0 src/protocol.ml`, `src/rpc_error.ml`)."""

from __future__ import annotations

import struct
from typing import Annotated, Final, TypeAlias

from mina_p2p.errors import DecodeError
from mina_p2p.mina.rpc import Heartbeat, Query, QueryId, ResponseOk
from mina_p2p.record import Record, record
from mina_p2p.wire import codec
from mina_p2p.wire.notation import Custom, Int, MaxBytes, Utf8
from mina_p2p.wire.primitives import Malformed, polymorphic_tag, read_int, read_nat0, refuse, write_int, write_nat0

GREETING: Final = bytes.fromhex("02fd5250430001")
"""A list of a magic number and version 1: the first message of either side."""
HEARTBEAT: Final = b"\x00"
MENU: Final = "__Versioned_rpc.Menu"

_MAGIC: Final = 0x00435052
_VERSION: Final = 1
_GREETING_ITEMS_MAX: Final = 16

SEXP_DEEP_MAX: Final = 64
SEXP_BYTES_MAX: Final = 64 * 1024
_VERSION_TAG: Final = polymorphic_tag("Version").to_bytes(4, "little")


def _read_sexp(data: bytes, offset: int) -> tuple[str, int]:
    """An s-expression as text; bounded in depth and in length."""
    start, pieces, open_lists = offset, [""], [1]
    while open_lists:
        if open_lists[-1] == 0:
            open_lists.pop()
            pieces.append(")" if open_lists else "")
            continue
        open_lists[-1] -= 1
        tag = data[offset]
        count, offset = read_nat0(data, offset + 1)
        if tag == 0:
            if count > len(data) - offset:
                raise Malformed("an atom reaches over the end of the input")
            pieces.append(" " + data[offset : offset + count].decode(errors="replace"))
            offset += count
        elif tag == 1:
            if count > len(data) - offset or len(open_lists) >= SEXP_DEEP_MAX:
                raise Malformed("an s-expression that is too deep, or longer than the input")
            pieces.append(" (")
            open_lists.append(count)
        else:
            raise Malformed(f"an s-expression has no constructor {tag}")
        if offset - start > SEXP_BYTES_MAX:
            raise Malformed(f"an s-expression of more than {SEXP_BYTES_MAX} bytes")
    return "".join(pieces).strip(), offset


def _write_sexp(text: str) -> bytes:
    """A text as one atom."""
    encoded = text.encode()
    return b"\x00" + write_nat0(len(encoded)) + encoded


def _read_version(data: bytes, offset: int) -> tuple[int, int]:
    if data[offset : offset + 4] != _VERSION_TAG:
        raise Malformed("not the tag of `Version`")
    return read_int(data, offset + 4)


def _write_version(version: int) -> bytes:
    return _VERSION_TAG + write_int(version)


Sexp: TypeAlias = Annotated[str, Custom(_read_sexp, _write_sexp, 2)]
"""What went wrong, as its text."""


@record
class BinIoExn(Record):
    """The peer could not read the query, or we not its answer."""

    what: Sexp


@record
class ConnectionClosed(Record):
    """The session ended."""


@record
class WriteError(Record):
    """The peer could not write the answer."""

    what: Sexp


@record
class UncaughtExn(Record):
    """The peer failed."""

    what: Sexp


@record
class UnimplementedRpc(Record):
    """The peer does not serve the method in this version."""

    tag: Annotated[str, Utf8(256)]
    version: Annotated[int, Custom(_read_version, _write_version, 5)]


@record
class UnknownQueryId(Record):
    """An answer to no question."""

    id: Int


RpcError: TypeAlias = BinIoExn | ConnectionClosed | WriteError | UncaughtExn | UnimplementedRpc | UnknownQueryId


@record
class ResponseFailed(Record):
    """There is no answer."""

    error: RpcError


@record
class Response(Record):
    """The answer to a question."""

    id: QueryId
    result: ResponseOk | ResponseFailed


Message: TypeAlias = Heartbeat | Query | Response

MESSAGE_CODEC: Final = codec(Message)
MenuItem: TypeAlias = tuple[Annotated[bytes, MaxBytes(256)], Int]
MENU_CODEC: Final = codec(tuple[MenuItem, ...])


def check_greeting(data: bytes) -> None:
    """Whether a greeting is one that we can go on from.

    :raises DecodeError: for another protocol, or one without version 1.
    """
    try:
        count, offset = read_nat0(data, 0)
        if not 0 < count <= _GREETING_ITEMS_MAX:
            refuse(f"{count} numbers in a greeting")
        found: list[int] = []
        for _ in range(count):
            number, offset = read_int(data, offset)
            found.append(number)
        if offset != len(data):
            refuse("more bytes than a greeting has")
    except (Malformed, IndexError, struct.error) as error:
        raise DecodeError("greeting", 0, str(error)) from None
    # A list without the magic number is an older peer's, which OCaml tolerates.
    if _VERSION not in (found[1:] if found[0] == _MAGIC else found):
        raise DecodeError("greeting", 0, f"no version in common: {found}")

"""What some bytes are: their type, their value, and the hashes that follow from it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from mina_p2p.errors import DecodeError, MinaP2pError
from mina_p2p.mina import hashes, text
from mina_p2p.mina.block import Block, BlockBody, BlockHeader
from mina_p2p.mina.catalog import LIST_OF, TYPE_NAMES, annotation_of
from mina_p2p.mina.commands import SignedCommand
from mina_p2p.mina.json_form import to_json
from mina_p2p.mina.protocol_state import ProtocolState
from mina_p2p.mina.raw import RawUserCommand
from mina_p2p.mina.rpc import RPC_METHODS, Query, Response, RpcMethod, response_value
from mina_p2p.mina.zkapp import ZkappCommand
from mina_p2p.record import Record, record
from mina_p2p.wire import codec, write_nat0
from mina_p2p_effects.inspect.parts import is_tuple, walk

GUESSES = (
    "MinaBlockBlockStableV2",
    "GossipNetMessageV2",
    "MinaBaseUserCommandStableV2",
    "Snark",
    "TransactionSnarkWorkTStableV2",
    "MinaStateProtocolStateValueStableV2",
    "MinaBlockHeaderStableV2",
    "StagedLedgerDiffBodyStableV1",
    "StagedLedgerAuxAndPendingCoinbases",
    "ArchiveTransitionFrontierDiff",
    "MinaBaseProofStableV2",
    "MinaBaseVerificationKeyWireStableV1",
    "MinaBaseZkappCommandTStableV1WireStableV1",
    "NetworkPoolTransactionPoolDiffVersionedStableV2",
    "P2pRpcResponse",
    "BestTipPropagationChannelMsg",
    "TransactionPropagationChannelMsg",
    "SnarkPropagationChannelMsg",
    "SnarkJobCommitmentPropagationChannelMsg",
    "StreamingRpcChannelMsg",
    "RpcChannelMsg",
    "rpc_message",
    "SignalingExchangeChannelMsg",
    "SignalingDiscoveryChannelMsg",
)
"""Types that are tried, the most particular ones first: short messages are readable as several types."""


_RPC_NAME = re.compile(r"(\S+) (query|response)|rpc_message\(\$(query|response)\)(?: (\S+))?")
"""``METHOD query``, or the same as test data spell it: ``rpc_message($query) METHOD``."""


class UnknownTypeError(MinaP2pError):
    """A name that no type has."""


@record
class Inspection(Record):
    """What was found."""

    type: str
    size: int
    round_trip: bool
    hashes: dict[str, Any]
    kind: Any
    """The annotation of ``value``."""
    value: Any

    def to_object(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "type": self.type,
            "size": self.size,
            "round_trip": self.round_trip,
            "hashes": self.hashes,
            "value": to_json(self.value, self.kind),
        }


def inspect_bytes(data: bytes, name: str | None = None) -> Inspection:
    """Decode ``data`` as the named type, or as the first type that it is.

    :raises UnknownTypeError: no type has this name.
    :raises DecodeError: the bytes are not of this type, or of none that is tried.
    """
    if name is None:
        return _guess(data)
    rpc = _RPC_NAME.fullmatch(name)
    if rpc is not None:
        method, direction = (rpc[1], rpc[2]) if rpc[1] else (rpc[4], rpc[3])
        return _inspect_rpc(data, method, direction) if method else _inspect(data, "rpc_message", annotation_of("rpc_message"))
    try:
        kind = annotation_of(name)
    except KeyError:
        known = ", ".join(sorted(TYPE_NAMES))
        raise UnknownTypeError(f"no type is called {name!r}; known are {known}, each also as '{LIST_OF}NAME'") from None
    if name.startswith(LIST_OF):
        data = _packed_list(data) or data
    return _inspect(data, name, kind)


def _guess(data: bytes) -> Inspection:
    furthest: DecodeError | None = None
    for name in GUESSES:
        try:
            return _inspect(data, name, annotation_of(name))
        except DecodeError as error:
            if furthest is None or error.offset > furthest.offset:
                furthest = DecodeError(f"{name}: {error.path}", error.offset, error.reason)
    assert furthest is not None  # noqa: S101 - GUESSES is not empty
    raise furthest


def _inspect(data: bytes, name: str, kind: Any) -> Inspection:
    reader = codec(kind)
    value = reader.decode(data)
    for _ in walk(value):
        pass  # opens every part that stayed bytes, so that what is wrong in it shows
    if isinstance(value, Query):
        for method in RPC_METHODS:
            if method.tag.encode() == value.tag:
                _query_value(value, method)
    return Inspection(name, len(data), reader.encode(value) == data, _hashes(value), kind, value)


def _inspect_rpc(data: bytes, method_name: str, direction: str) -> Inspection:
    method: RpcMethod | None = next((known for known in RPC_METHODS if known.tag == method_name), None)
    if method is None:
        raise UnknownTypeError(f"no RPC method is called {method_name!r}; known are {', '.join(known.tag for known in RPC_METHODS)}")
    message = _inspect(data, "rpc_message", annotation_of("rpc_message"))
    name = f"{method_name} {direction}"
    if direction == "query" and isinstance(message.value, Query):
        value, kind = _query_value(message.value, method), method.query
    elif direction == "response" and isinstance(message.value, Response):
        value, kind = response_value(method, message.value), method.response
    else:
        raise DecodeError("", 0, f"a {type(message.value).__name__}, not a {direction}")
    for _ in walk(value):
        pass  # opens every part that stayed bytes, so that what is wrong in it shows
    return Inspection(name, len(data), message.round_trip, _hashes(value), kind, value)


def _query_value(query: Query, method: RpcMethod) -> Any:
    try:
        return codec(method.query).decode(query.data)
    except DecodeError as error:
        raise DecodeError(f"data.{error.path}".rstrip("."), error.offset, f"{error.reason} (in the query's data)") from None


def _packed_list(data: bytes) -> bytes | None:
    """The wire form of a JSON list of objects with ``wire_base64``, as test data keep transactions."""
    if not data.lstrip().startswith(b"["):
        return None
    try:
        items = json.loads(data)
        raw = [base64.b64decode(item["wire_base64"], validate=True) for item in items]
    except (ValueError, TypeError, KeyError, binascii.Error):
        return None
    return write_nat0(len(raw)) + b"".join(raw)


def _hashes(value: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    commands: list[RawUserCommand] = []
    for part in walk(value):
        if isinstance(part, Block | BlockHeader | ProtocolState) and "state_hash" not in made:
            made |= _state_hash(part)
        if isinstance(part, BlockBody) and "body_reference" not in made:
            made["body_reference"] = hashes.body_reference(part).hex()
        if isinstance(part, RawUserCommand):
            commands.append(part)
    items = value if is_tuple(value) else (value,)
    commands.extend(RawUserCommand.of(item) for item in items if isinstance(item, SignedCommand | ZkappCommand))
    if commands or "body_reference" in made:
        made["transaction_hashes"] = [hashes.transaction_id_text(hashes.transaction_hash(command)) for command in commands]
    return made


def _state_hash(part: Block | BlockHeader | ProtocolState) -> dict[str, str]:
    header = part.header if isinstance(part, Block) else part
    state = header.protocol_state if isinstance(header, BlockHeader) else header
    try:
        return {"state_hash": text.STATE_HASH.text(hashes.state_hash(state))}
    except ValueError as error:
        raise DecodeError("protocol_state", 0, str(error)) from None

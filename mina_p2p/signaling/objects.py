"""What two peers tell each other to make a WebRTC connection: offer, answer, response (spec: pull-protocol 4.1).

JSON, encrypted for the other side where a relay carries it. Written exactly as the reference
does, compact and with fields in its order. Read strictly: what the reference would not read is refused, and
whatever is wrong is a `DecodeError` (defect S4). Unknown fields are ignored, as there.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

from mina_p2p.address import AddressError, Host, Ipv4, Ipv6, parse_host, parse_ip
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.errors import DecodeError
from mina_p2p.identity import PEER_ID_VERSION, ChainId, IdentityError, PeerId, PublicKey, parse_key_text
from mina_p2p.record import Record, record

T = TypeVar("T")

SIGNAL_BYTES_MAX: Final = 65_536
"""Longest offer or response that is read; relayed ones are much shorter (spec: pull-protocol 10.3 S9)."""

LOCALHOST: Final = Ipv4.of(127, 0, 0, 1)
"""What the reference always names as the host of its own signaling server."""


@record
class Offer(Record):
    """A dialer's wish to be connected."""

    sdp: str
    chain_id: ChainId
    identity_pub_key: PublicKey
    """The offerer's."""
    target_peer_id: PeerId
    """The intended listener's."""
    host: Host = LOCALHOST
    """Where the offerer claims to be; never believed (defect S8)."""
    listen_port: int | None = None


@record
class Answer(Record):
    """A listener's consent."""

    sdp: str
    identity_pub_key: PublicKey
    """The answerer's."""
    target_peer_id: PeerId
    """The offerer's."""


class RejectionReason(enum.IntEnum):
    """Why a listener declines; the number is its place in the reference's list, the name travels."""

    CHAIN_ID_MISMATCH = 0
    PEER_ID_AND_PUBLIC_KEY_MISMATCH = 1
    TARGET_PEER_ID_NOT_ME = 2
    PEER_CAPACITY_FULL = 3
    ALREADY_CONNECTED = 4
    CONNECTING_TO_SELF = 5

    @property
    def wire_name(self) -> str:
        """As it travels, such as ``ChainIdMismatch``."""
        return "".join(word.capitalize() for word in self.name.split("_"))

    @property
    def is_bad(self) -> bool:
        """Whether no honest offerer would have caused it."""
        return self not in {RejectionReason.CHAIN_ID_MISMATCH, RejectionReason.PEER_CAPACITY_FULL}

    @property
    def code(self) -> ReasonCode:
        """The same among the reasons for connections."""
        return ReasonCode[self.name]


@record
class Accepted(Record):
    """The listener is ready."""

    answer: Answer


@record
class Rejected(Record):
    """The listener declines."""

    reason: RejectionReason


@record
class SignalDecryptionFailed(Record):
    """The listener could not decrypt or read the offer, or it was not the offerer's."""


@record
class InternalError(Record):
    """The listener, or the relay, failed."""


ConnectionResponse: TypeAlias = Accepted | Rejected | SignalDecryptionFailed | InternalError

_REASONS: Final[Mapping[str, RejectionReason]] = MappingProxyType({reason.wire_name: reason for reason in RejectionReason})
_UNITS: Final[Mapping[str, ConnectionResponse]] = MappingProxyType(
    {"SignalDecryptionFailed": SignalDecryptionFailed(), "InternalError": InternalError()}
)


# --- writing ----------------------------------------------------------------------------------


def encode_offer(offer: Offer) -> bytes:
    """The JSON of an offer.

    :raises UnicodeEncodeError: where ``sdp`` is no text.
    """
    return _dump(
        {
            "sdp": offer.sdp,
            "chain_id": str(offer.chain_id),
            "identity_pub_key": str(offer.identity_pub_key),
            "target_peer_id": str(offer.target_peer_id),
            "host": {type(offer.host).__name__: offer.host.plain},
            "listen_port": offer.listen_port,
        }
    )


def encode_response(response: ConnectionResponse) -> bytes:
    """The JSON of a response.

    :raises UnicodeEncodeError: where ``sdp`` is no text.
    """
    match response:
        case Accepted(answer=answer):
            return _dump(
                {
                    "Accepted": {
                        "sdp": answer.sdp,
                        "identity_pub_key": str(answer.identity_pub_key),
                        "target_peer_id": str(answer.target_peer_id),
                    }
                }
            )
        case Rejected(reason=reason):
            return _dump({"Rejected": reason.wire_name})
        case _:
            return _dump(type(response).__name__)


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


# --- reading ----------------------------------------------------------------------------------


def decode_offer(data: bytes) -> Offer:
    """Read an offer.

    :raises DecodeError: where ``data`` is none.
    """
    fields = _Fields(_load(data), "")
    return Offer(
        fields.take("sdp", _text),
        fields.take("chain_id", lambda value: ChainId.parse(_text(value))),
        fields.take("identity_pub_key", lambda value: PublicKey.parse(_text(value))),
        fields.take("target_peer_id", lambda value: PeerId(parse_key_text(_text(value), PEER_ID_VERSION))),
        fields.take("host", _host),
        fields.take("listen_port", _port_or_none, is_optional=True),
    )


def decode_response(data: bytes) -> ConnectionResponse:
    """Read a response.

    :raises DecodeError: where ``data`` is none.
    """
    value = _load(data)
    if isinstance(value, str):
        if value in _UNITS:
            return _UNITS[value]
        raise DecodeError("", 0, "no response has this name")
    variant = _Fields(value, "")
    if len(variant.values) != 1:
        raise DecodeError("", 0, "a response has one variant")
    if "Rejected" in variant.values:
        return Rejected(variant.take("Rejected", lambda name: _REASONS[_text(name)]))
    answer = _Fields(variant.take("Accepted", lambda inner: inner), "Accepted.")
    return Accepted(
        Answer(
            answer.take("sdp", _text),
            answer.take("identity_pub_key", lambda inner: PublicKey.parse(_text(inner))),
            answer.take("target_peer_id", lambda inner: PeerId(parse_key_text(_text(inner), PEER_ID_VERSION))),
        )
    )


class _Fields:
    """The fields of a JSON object, taken one by one."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise DecodeError(path.removesuffix("."), 0, "not a JSON object")
        self.values: dict[str, Any] = value
        self._path = path

    def take(self, name: str, read: Callable[[Any], T], *, is_optional: bool = False) -> T:
        if name not in self.values and not is_optional:
            raise DecodeError(self._path + name, 0, "is missing")
        try:
            return read(self.values.get(name))
        except (IdentityError, AddressError, ValueError, KeyError) as error:
            raise DecodeError(self._path + name, 0, f"can not be read: {type(error).__name__}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004 - the one kind of failure that a reader has
    value.encode()  # a lone surrogate is no text that could be sent
    return value


def _host(value: Any) -> Host:
    variants = _Fields(value, "host").values
    if len(variants) != 1:
        raise ValueError("a host has one variant")
    ((kind, inner),) = variants.items()
    text = _text(inner)
    host = parse_host(text) if kind == "Domain" else parse_ip(text)
    if kind == "Domain" or (kind == "Ipv4" and isinstance(host, Ipv4)) or (kind == "Ipv6" and isinstance(host, Ipv6)):
        return host
    raise ValueError("no such host")


def _port_or_none(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= 0xFFFF:
        raise ValueError("not a port")
    return value


def _load(data: bytes) -> Any:
    if len(data) > SIGNAL_BYTES_MAX:
        raise DecodeError("", SIGNAL_BYTES_MAX, f"{len(data)} bytes, at most {SIGNAL_BYTES_MAX}")
    try:
        return json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
    except RecursionError:
        raise DecodeError("", 0, "nested too deeply") from None
    except ValueError as error:
        raise DecodeError("", getattr(error, "pos", 0), f"not JSON: {type(error).__name__}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a field occurs twice")
    return made


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")

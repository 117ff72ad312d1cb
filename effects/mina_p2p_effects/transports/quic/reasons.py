"""Close codes to `Reason`, and `Reason` to the goodbye.

An application close carries a `ReasonCode` and a text. QUIC's own codes (RFC 9000 20.1)
come where a rule of QUIC was broken, or before there is an application; the table says
which reason they are. It holds in both directions: `by_peer` tells who found it.
"""

from __future__ import annotations

from typing import Final

from aioquic.quic.packet import QuicErrorCode

from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, Reason, ReasonCode, StreamResetCode
from mina_p2p_effects.transports.quic.aioquic_hooks import Ending, EndingKind

TRANSPORT_CODES: Final[dict[int, ReasonCode]] = {
    QuicErrorCode.NO_ERROR: ReasonCode.CHANNEL_CLOSED,
    QuicErrorCode.CONNECTION_REFUSED: ReasonCode.PEER_CAPACITY_FULL,
    QuicErrorCode.FLOW_CONTROL_ERROR: ReasonCode.CHANNEL_MSG_OVER_PERMISSION,
    QuicErrorCode.STREAM_LIMIT_ERROR: ReasonCode.STREAM_MISUSE,
    QuicErrorCode.STREAM_STATE_ERROR: ReasonCode.STREAM_MISUSE,
    QuicErrorCode.FINAL_SIZE_ERROR: ReasonCode.STREAM_MISUSE,
    QuicErrorCode.APPLICATION_ERROR: ReasonCode.CHANNEL_CLOSED,
    QuicErrorCode.VERSION_NEGOTIATION_ERROR: ReasonCode.NO_COMMON_PROTOCOL,
}
"""Reasons for QUIC's own codes; every other one is ``TRANSPORT_ERROR``."""

ALERTS: Final[dict[int, ReasonCode]] = {
    **dict.fromkeys((42, 43, 44, 45, 46, 48, 49, 51, 116), ReasonCode.AUTHENTICATION_FAILED),
    120: ReasonCode.NO_COMMON_PROTOCOL,
    70: ReasonCode.NO_COMMON_PROTOCOL,
}
"""Reasons for TLS alerts (RFC 8446 6.2), which QUIC carries as 0x100 + alert: certificates and
signatures; no_application_protocol; protocol_version. Every other one is ``TRANSPORT_ERROR``."""

_CRYPTO_ERRORS: Final = range(0x100, 0x200)
_OTHER_NETWORK: Final = "the other side follows another chain, or speaks another version of the pull protocol"


def reason_of(ending: Ending, *, handshake_done: bool) -> Reason:
    """The typed reason for how a connection ended."""
    if ending.kind is EndingKind.SILENCE:
        detail = "nothing was heard from the peer for the idle time-out" if handshake_done else "the peer did not answer"
        return Reason(ReasonCode.TRANSPORT_ERROR, detail=detail)
    if ending.kind is EndingKind.VERSION:
        return Reason(ReasonCode.NO_COMMON_PROTOCOL, detail="the peer does not speak QUIC version 1")
    text = clean_text(ending.text)
    if ending.is_application:
        code = ReasonCode.from_wire(ending.code)
        return Reason(code, detail=text if code is not ReasonCode.UNKNOWN or text else f"code {ending.code:#x}")
    if ending.code in _CRYPTO_ERRORS:
        code = ALERTS.get(ending.code - 0x100, ReasonCode.TRANSPORT_ERROR)
        if code is ReasonCode.NO_COMMON_PROTOCOL:
            return Reason(code, detail=_OTHER_NETWORK)
        return Reason(code, detail=clean_text(f"TLS alert {ending.code - 0x100}: {text}"))
    return Reason(TRANSPORT_CODES.get(ending.code, ReasonCode.TRANSPORT_ERROR), detail=clean_text(f"{_code_name(ending.code)}: {text}"))


def goodbye_text(reason: Reason) -> str:
    """The text that travels with ``reason.code``; the channel, which has no code of its own, comes first."""
    return clean_text(f"{reason.channel.name}: {reason.detail}" if reason.channel is not None else reason.detail)


def reset_code(code: int) -> StreamResetCode:
    """The meaning of a stream's reset code; an unknown one is an error inside the peer."""
    try:
        return StreamResetCode(code)
    except ValueError:
        return StreamResetCode.INTERNAL


def clean_text(text: str) -> str:
    """A text from the other side, short and without control characters, fit for logs and terminals."""
    return "".join(character if character.isprintable() else "?" for character in text[:DETAIL_CHARS_MAX]).strip(": ")


def _code_name(code: int) -> str:
    try:
        return QuicErrorCode(code).name
    except ValueError:
        return f"QUIC error {code:#x}"

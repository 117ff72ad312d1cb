"""Why a text is not an address."""

from __future__ import annotations

import enum

from mina_p2p.errors import MinaP2pError


@enum.unique
class AddressReason(enum.Enum):
    """What is wrong with an address; the values are the reference's names, except the last."""

    NOT_ENOUGH_ARGS = "NotEnoughArgs"
    UNKNOWN_SIGNALING_METHOD = "UnknownSignalingMethod"
    INVALID_CLUSTER_ID = "InvalidClusterId"
    HOST_PARSE_ERROR = "HostParseError"
    PORT_PARSE_ERROR = "PortParseError"
    PEER_ID_PARSE_ERROR = "PeerIdParseError"
    SIGNALING_METHOD_PARSE_ERROR = "SignalingMethodParseError"
    OTHER = "Other"
    TOO_LONG = "TooLong"


class AddressError(MinaP2pError):
    """A text is not the address that was asked for.

    ``reason`` says which part is wrong and ``detail`` says it in a sentence. For
    ``SIGNALING_METHOD_PARSE_ERROR`` alone, ``inner`` is what is wrong with the
    signaling method.
    """

    def __init__(self, reason: AddressReason, detail: str, inner: AddressReason | None = None) -> None:
        super().__init__(reason, detail, inner)
        self.reason = reason
        self.detail = detail
        self.inner = inner

    def __str__(self) -> str:
        return self.detail


def quoted(text: str, length_max: int = 40) -> str:
    """``text`` for a message: escaped to printable ASCII, quoted and cut at ``length_max`` characters."""
    return ascii(text) if len(text) <= length_max else f"{text[:length_max]!a}..."

"""Why a libp2p connection or stream ended: one enumeration for every layer, and the reason that the reducers get.

Layers raise `LayerError`; the connection turns it into its end. Which side is at fault
follows from the fault: all but the last group are the peer's.
"""

from __future__ import annotations

import enum
from typing import Final

from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, Reason, ReasonCode
from mina_p2p.errors import MinaP2pError


@enum.unique
class Fault(enum.Enum):
    """What ended a connection; spec: libp2p 3 to 6."""

    # negotiation
    WRONG_NETWORK = "what arrives is noise: probably another pre-shared key, so another chain"
    TOKEN_MALFORMED = "no multistream token"  # noqa: S105 - not a password
    NO_COMMON_PROTOCOL = "no common protocol"
    TOO_MANY_PROPOSALS = "too many protocols were proposed"
    NEGOTIATION_MISUSE = "a multistream token that does not belong there"
    EQUAL_NONCES = "both sides drew the same number"

    # Noise
    NOISE_CHUNK_TOO_SHORT = "a noise frame shorter than its contents"
    NOISE_MAC_MISMATCH = "a noise frame that does not authenticate"
    NOISE_PAYLOAD_MALFORMED = "a noise handshake payload that can not be read"
    BAD_PUBLIC_KEY = "no ed25519 identity key, or no X25519 key"
    INVALID_SIGNATURE = "the identity key did not sign the noise key"
    PEER_ID_MISMATCH = "another peer than the one that was dialled"
    SELF_CONNECTION = "this node itself"

    # Yamux
    FRAME_MALFORMED = "no yamux frame"
    WINDOW_EXCEEDED = "more bytes than the window allows"
    STREAM_MISUSE = "a frame that its stream does not allow"
    GO_AWAY_PROTOCOL = "the peer says that we broke the protocol"
    GO_AWAY_INTERNAL = "the peer ended the session because of its own error"

    # what streams carry
    MESSAGE_TOO_LARGE = "a message larger than its protocol allows"
    MESSAGE_MALFORMED = "a message whose length can not be read"

    # resources and time
    NOT_READING = "the peer does not read what it makes us answer"
    MEMORY_EXCEEDED = "more unfinished messages than this connection may hold"
    SEND_EXCEEDED = "more is waiting to be sent than this connection may hold"
    NEGOTIATION_TIMEOUT = "the connection was not set up in time"
    PING_TIMEOUT = "the peer did not answer in time"

    # nobody's fault, or ours
    CLOSED = "the connection was closed"
    LOST = "the connection was lost"
    UNREACHABLE = "no connection could be made"
    UNRESOLVED = "the name has no address"
    LOCAL = "this node closed it"

    @property
    def code(self) -> ReasonCode:
        """The reason in the vocabulary that all transports share."""
        return _CODES.get(self, ReasonCode.TRANSPORT_ERROR)

    def reason(self, detail: str = "") -> Reason:
        """The reason for the reducers; ``detail`` may hold text from the peer."""
        text = f"{self.value}: {detail}" if detail else self.value
        shown = "".join(character if character.isprintable() else "?" for character in text[:DETAIL_CHARS_MAX])
        return Reason(self.code, detail=shown)


_CODES: Final = {
    Fault.WRONG_NETWORK: ReasonCode.NO_COMMON_PROTOCOL,
    Fault.NO_COMMON_PROTOCOL: ReasonCode.NO_COMMON_PROTOCOL,
    Fault.NOISE_MAC_MISMATCH: ReasonCode.AUTHENTICATION_FAILED,
    Fault.NOISE_PAYLOAD_MALFORMED: ReasonCode.AUTHENTICATION_FAILED,
    Fault.BAD_PUBLIC_KEY: ReasonCode.AUTHENTICATION_FAILED,
    Fault.INVALID_SIGNATURE: ReasonCode.AUTHENTICATION_FAILED,
    Fault.PEER_ID_MISMATCH: ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH,
    Fault.SELF_CONNECTION: ReasonCode.CONNECTING_TO_SELF,
    Fault.WINDOW_EXCEEDED: ReasonCode.CHANNEL_MSG_OVER_PERMISSION,
    Fault.STREAM_MISUSE: ReasonCode.STREAM_MISUSE,
    Fault.TOO_MANY_PROPOSALS: ReasonCode.STREAM_MISUSE,
    Fault.MESSAGE_TOO_LARGE: ReasonCode.CHANNEL_MSG_TOO_LARGE,
    Fault.MESSAGE_MALFORMED: ReasonCode.CHANNEL_MSG_UNDECODABLE,
    Fault.NEGOTIATION_TIMEOUT: ReasonCode.CONNECTION_TIMEOUT,
    Fault.CLOSED: ReasonCode.CHANNEL_CLOSED,
    Fault.UNRESOLVED: ReasonCode.ADDRESS_UNRESOLVED,
    Fault.LOCAL: ReasonCode.USER_REQUEST,
}
"""Faults with a code of their own; every other one is ``TRANSPORT_ERROR``."""


class LayerError(MinaP2pError):
    """A layer can not go on. Raised by the layers' objects, caught by `connection`; never leaves the transport."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(fault, detail)
        self.fault = fault
        self.detail = detail

    @property
    def reason(self) -> Reason:
        """The reason for the reducers."""
        return self.fault.reason(self.detail)

    def __str__(self) -> str:
        return f"{self.fault.name}: {self.detail or self.fault.value}"

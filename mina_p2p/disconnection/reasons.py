"""Why a connection ended or never began: one table for state, log and wire.

A `ReasonCode` is also the code of the goodbye (QUIC's CONNECTION_CLOSE), so the
other side learns the reason. Names are the reference's where it has one
(spec: pull-protocol 4.1 and 7.7); the gaps are room for later ones.
"""

from __future__ import annotations

import enum

from mina_p2p.ids import ChannelId
from mina_p2p.record import Record, record


class ReasonCode(enum.IntEnum):
    """Code of a goodbye. The value is what travels."""

    SHUTDOWN = 0x00
    """The node stops."""
    FREE_UP_SPACE = 0x01
    """Churn or trimming; nobody is at fault."""
    DUPLICATE_CONNECTION = 0x02
    """Another connection between the same two peers was kept."""
    USER_REQUEST = 0x03
    """The node software asked for it."""
    ONLY_A_TEST = 0x04
    """A dial that was to see whether the peer can be reached; it can. Who wants the connection may dial at once."""

    CHAIN_ID_MISMATCH = 0x10
    PROTOCOL_VERSION_MISMATCH = 0x11
    PEER_ID_AND_PUBLIC_KEY_MISMATCH = 0x12
    """The authenticated id is not the dialled one."""
    TARGET_PEER_ID_NOT_ME = 0x13
    PEER_CAPACITY_FULL = 0x14
    ALREADY_CONNECTED = 0x15
    CONNECTING_TO_SELF = 0x16
    PEER_BANNED = 0x17
    HELLO_INVALID = 0x18

    CHANNEL_MSG_UNEXPECTED = 0x20
    """A message that nobody asked for, or on a channel that is not open."""
    CHANNEL_MSG_OVER_PERMISSION = 0x21
    """More than was permitted or promised."""
    CHANNEL_MSG_UNDECODABLE = 0x22
    CHANNEL_MSG_TOO_LARGE = 0x23
    CHANNEL_TIMEOUT = 0x24
    """Promised or begun, and not finished within the deadline."""
    ANSWER_TRUNCATED = 0x25
    """An answer's stream ended before what it promised."""
    RESPONSE_KIND_MISMATCH = 0x26
    STREAM_MISUSE = 0x27
    """Streams used against the mapping: wrong side, wrong channel, too many, a second control stream."""
    RESPONSE_HASH_MISMATCH = 0x28
    """What came is not what was asked for by hash."""

    RPC_TIMEOUT = 0x30
    STREAMING_RPC_TIMEOUT = 0x31
    CONNECTION_TIMEOUT = 0x32
    """The attempt, or one state of it, took too long."""

    CHANNEL_SEND_FAILED = 0x40
    CHANNEL_CLOSED = 0x41
    TRANSPORT_ERROR = 0x42
    """The transport failed below the channels: unreachable, handshake, idle."""
    NO_COMMON_PROTOCOL = 0x43
    """The handshake found no common protocol: another chain or another version."""
    AUTHENTICATION_FAILED = 0x44
    """The peer did not prove its identity."""
    ADDRESS_UNRESOLVED = 0x45
    """The host name has no address."""

    SNARK_POOL_VERIFY_ERROR = 0x50
    SYNC_LEDGER_NUM_ACCOUNTS_REJECTED = 0x51
    INVALID_MESSAGE = 0x52
    """The node software found an item invalid."""
    UNSUPPORTED = 0x53

    UNKNOWN = 0xFF
    """A code from the other side that is not in this table."""

    @property
    def is_rejection(self) -> bool:
        """Whether the connection was refused before it was ready."""
        return 0x10 <= self < 0x20

    @property
    def is_violation(self) -> bool:
        """Whether the remote peer broke the protocol.

        Another peer at the dialled address is none: whoever named that address may have lied, and
        the peer that was meant has not said a word.
        """
        return 0x20 <= self < 0x30 or self == ReasonCode.HELLO_INVALID or 0x50 <= self < 0x53

    @classmethod
    def from_wire(cls, code: int) -> ReasonCode:
        """The reason for a received code; `UNKNOWN` for one this table lacks."""
        try:
            return cls(code)
        except ValueError:
            return cls.UNKNOWN


DETAIL_CHARS_MAX = 200
"""Longest text that goes into a goodbye or is kept from one."""


@record
class Reason(Record):
    """A reason with what a person needs to act on it."""

    code: ReasonCode
    channel: ChannelId | None = None
    detail: str = ""
    """At most `DETAIL_CHARS_MAX` characters, no secrets."""

    def __str__(self) -> str:
        """``CHANNEL_MSG_UNEXPECTED on TRANSACTION: detail``."""
        where = f" on {self.channel.name}" if self.channel is not None else ""
        return f"{self.code.name}{where}{': ' + self.detail if self.detail else ''}"


class StreamResetCode(enum.IntEnum):
    """Code of a reset of one stream: the error or the cancellation of one request."""

    CANCELLED = 0x00
    """The requester no longer wants the answer."""
    REFUSED = 0x01
    """The answerer is busy, or declines; ask again later."""
    TOO_LARGE = 0x02
    """The answer would be over the channel's limit."""
    UNSUPPORTED = 0x03
    """The answerer does not serve this kind."""
    INTERNAL = 0x04

"""Why a node was not reached: one list for all transports, with what a person can do about each."""

from __future__ import annotations

import enum
from typing import Final

from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p_effects.transports.libp2p.faults import Fault


class StepName(enum.Enum):
    """The steps, in the order in which they come; the value is what people read."""

    NAME = "name"
    CONNECT = "connect"
    ANSWER = "first answer"
    NETWORK = "network"
    SECURITY = "security"
    IDENTITY = "identity"
    MUXER = "muxer"
    HELLO = "hello"
    IDENTIFY = "identify"
    PING = "ping"
    STATUS = "status"


class Cause(enum.Enum):
    """The typed reason."""

    NAME_UNKNOWN = enum.auto()
    REFUSED = enum.auto()
    UNREACHABLE = enum.auto()
    NO_ANSWER = enum.auto()
    WRONG_NETWORK = enum.auto()
    NO_COMMON_PROTOCOL = enum.auto()
    WRONG_PEER = enum.auto()
    SELF = enum.auto()
    NOT_AUTHENTIC = enum.auto()
    BANNED = enum.auto()
    FULL = enum.auto()
    ALREADY_CONNECTED = enum.auto()
    CLOSED = enum.auto()
    BROKE_PROTOCOL = enum.auto()


_ADVICE: Final = {
    Cause.NAME_UNKNOWN: "Check the spelling of the host name, and that this machine can ask a name service.",
    Cause.REFUSED: "The machine is there and nothing listens on that port: start the node, or correct the port.",
    Cause.UNREACHABLE: "This machine has no way there: check the address, the routes and, for IPv6, that this network has it.",
    Cause.NO_ANSWER: "Nothing came back: the node may be down, or a firewall drops packets on the way; or allow more with --timeout.",
    Cause.WRONG_NETWORK: "The node is of another chain than --network says: give the network that it runs on. Or it is no Mina node at all.",
    Cause.NO_COMMON_PROTOCOL: "Something else than a Mina node listens there, or a version too far from this one: check address and port.",
    Cause.WRONG_PEER: "Another node answers at this address: correct the peer id, or the address if it has moved.",
    Cause.SELF: "The address and --libp2p-keypair are of one and the same node: leave the key out to ping with a fresh one.",
    Cause.NOT_AUTHENTIC: "The proof of identity failed: something on the way changes bytes, or the node is faulty; check both clocks, too.",
    Cause.BANNED: "The node has banned this identity or address: ask its operator, or ping without --libp2p-keypair to see which.",
    Cause.FULL: "The node lives and has all the connections it wants: try again later.",
    Cause.ALREADY_CONNECTED: "This identity has a connection there already: ping without --libp2p-keypair.",
    Cause.CLOSED: "The node hung up without a reason: it may be stopping, full, or have banned this address; try again later.",
    Cause.BROKE_PROTOCOL: "What the node says can not be understood: it may run a faulty or far too different version.",
}

_UNWANTED: Final = (
    "The node knows who calls and hung up: it has banned this peer id or address, or is full; try later, or with another --libp2p-keypair."
)

_ADVICE_AT: Final = {
    StepName.NETWORK: {
        Cause.CLOSED: "Most often the node is of another chain, as all it reads is noise then: check --network. Else it is full, or has"
        " banned this address.",
        Cause.NO_ANSWER: "The port is open and nobody speaks: the node may be of another chain and wait for noise to make sense (check"
        " --network), be overloaded, or be another kind of service.",
    },
    StepName.SECURITY: {
        Cause.CLOSED: "It may be no Mina node, or one that is full or has banned this address: check the port, try later.",
        Cause.NO_ANSWER: "The network is right, and the node is too busy to go on: try again, or allow more with --timeout.",
        Cause.NO_COMMON_PROTOCOL: "The node does not speak Noise, so it is none of Mina's network: check address and port.",
    },
    StepName.IDENTITY: {
        Cause.CLOSED: "The node hung up while identities were proved: it may be full, have banned this address, or not accept the key; try"
        " later, or without --libp2p-keypair.",
    },
    StepName.MUXER: {
        Cause.CLOSED: _UNWANTED,
        Cause.NO_COMMON_PROTOCOL: "The node speaks libp2p without Mina's Yamux, so it is of another network: check address and port.",
    },
    StepName.IDENTIFY: {Cause.CLOSED: _UNWANTED},
    StepName.PING: {Cause.CLOSED: _UNWANTED},
}
"""Where the step says more than the reason alone."""


def advice(cause: Cause, step: StepName) -> str:
    """What to do, in a sentence or two."""
    return _ADVICE_AT.get(step, {}).get(cause, _ADVICE[cause])


_OF_FAULT: Final = {
    Fault.WRONG_NETWORK: Cause.WRONG_NETWORK,
    Fault.NO_COMMON_PROTOCOL: Cause.NO_COMMON_PROTOCOL,
    Fault.PEER_ID_MISMATCH: Cause.WRONG_PEER,
    Fault.SELF_CONNECTION: Cause.SELF,
    Fault.NOISE_MAC_MISMATCH: Cause.NOT_AUTHENTIC,
    Fault.NOISE_PAYLOAD_MALFORMED: Cause.NOT_AUTHENTIC,
    Fault.BAD_PUBLIC_KEY: Cause.NOT_AUTHENTIC,
    Fault.INVALID_SIGNATURE: Cause.NOT_AUTHENTIC,
    Fault.CLOSED: Cause.CLOSED,
    Fault.LOST: Cause.CLOSED,
    Fault.GO_AWAY_INTERNAL: Cause.CLOSED,
}

_OF_CODE: Final = {
    ReasonCode.NO_COMMON_PROTOCOL: Cause.WRONG_NETWORK,
    ReasonCode.CHAIN_ID_MISMATCH: Cause.WRONG_NETWORK,
    ReasonCode.PROTOCOL_VERSION_MISMATCH: Cause.NO_COMMON_PROTOCOL,
    ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH: Cause.WRONG_PEER,
    ReasonCode.TARGET_PEER_ID_NOT_ME: Cause.WRONG_PEER,
    ReasonCode.CONNECTING_TO_SELF: Cause.SELF,
    ReasonCode.AUTHENTICATION_FAILED: Cause.NOT_AUTHENTIC,
    ReasonCode.PEER_BANNED: Cause.BANNED,
    ReasonCode.PEER_CAPACITY_FULL: Cause.FULL,
    ReasonCode.FREE_UP_SPACE: Cause.FULL,
    ReasonCode.ALREADY_CONNECTED: Cause.ALREADY_CONNECTED,
    ReasonCode.DUPLICATE_CONNECTION: Cause.ALREADY_CONNECTED,
    ReasonCode.CONNECTION_TIMEOUT: Cause.NO_ANSWER,
    ReasonCode.HELLO_INVALID: Cause.BROKE_PROTOCOL,
    ReasonCode.STREAM_MISUSE: Cause.BROKE_PROTOCOL,
}


def cause_of_fault(fault: Fault) -> Cause:
    """Why a libp2p connection ended."""
    return _OF_FAULT.get(fault, Cause.BROKE_PROTOCOL)


def cause_of_reason(reason: Reason) -> Cause:
    """Why a QUIC connection ended."""
    return _OF_CODE.get(reason.code, Cause.CLOSED)

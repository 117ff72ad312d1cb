"""Errors, sorted by whose fault they are.

Misuse by the caller raises. What a peer does wrong is never an exception that
leaves the library: decoders raise `DecodeError`, and the reducers turn it into
an action.
"""

from __future__ import annotations


class MinaP2pError(Exception):
    """Base of every error that this library raises on purpose."""


class DecodeError(MinaP2pError):
    """Bytes that are not what they should be. The one error a decoder raises."""

    path: str
    """The field that could not be read, such as ``header.delta_block_chain_proof[3]``; empty for the whole."""
    offset: int
    """Where in the input, in bytes from its start."""
    reason: str
    """What is wrong there, for people."""

    def __init__(self, path: str, offset: int, reason: str) -> None:
        super().__init__(path, offset, reason)
        self.path = path
        self.offset = offset
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path or 'value'} at byte {self.offset}: {self.reason}"


class CallerError(MinaP2pError):
    """The program that uses this library misused it; the message says what to do instead."""


class InvariantViolationError(MinaP2pError):
    """Our own bug: a reducer met what its guards exclude. The store stops; nothing may go on."""

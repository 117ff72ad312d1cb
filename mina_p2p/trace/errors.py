"""What can be wrong with a log, as one error and four notes.

`LogError` is raised where there is nothing to go on with. What a reader can step over
comes back beside the result instead, as a note: damage is what logs are read after.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

from mina_p2p.errors import MinaP2pError
from mina_p2p.record import Record, record


@enum.unique
class LogFault(enum.Enum):
    """Why a log, a chunk or a value was refused."""

    NOT_A_LOG = "the bytes do not begin as a log does"
    VERSION = "a log format that this version does not read"
    HEADER = "the header of the log is missing or damaged"
    CHECKSUM = "a checksum does not match"
    LENGTH = "a length that nothing justifies"
    COMPRESSION = "compressed bytes that do not expand to what they announce"
    CONTENT = "bytes that are no value of the schema"
    SCHEMA = "recorded with other classes than the ones at hand"
    MACHINE = "a machine that is not registered"
    INDEX = "an index that points to something else"
    ABSENT = "the log does not hold that"
    DIVERGED = "replaying gives something else than what was recorded"
    UNWRITABLE = "a value that the log can not hold"
    SECRET = "a class with a secret field; secrets are never recorded"  # noqa: S105 - the word is about secrets


class LogError(MinaP2pError):
    """The one error of this package's readers and codecs."""

    def __init__(self, fault: LogFault, detail: str) -> None:
        super().__init__(fault, detail)
        self.fault = fault
        """Which kind of problem."""
        self.detail = detail
        """What exactly, for people."""

    def __str__(self) -> str:
        return f"{self.fault.value}: {self.detail}"


@record
class TornTail(Record):
    """The log ends inside a chunk, as after a crash; everything before was read."""

    offset: int
    """Where the rest begins, in bytes from the start of the log."""
    size: int
    """How many bytes could not be read."""
    detail: str

    def __str__(self) -> str:
        return f"the last {self.size} bytes, from byte {self.offset} on, are not complete: {self.detail}"


@record
class BadChunk(Record):
    """A damaged stretch inside the log; reading went on at the next chunk."""

    offset: int
    size: int
    detail: str

    def __str__(self) -> str:
        return f"{self.size} bytes from byte {self.offset} on can not be read: {self.detail}"


@record
class Gap(Record):
    """The recorder itself says that it missed something, such as while the disk was full."""

    after_id: int
    """Last action before the gap."""
    inputs: int
    """How many inputs are missing."""
    detail: str

    def __str__(self) -> str:
        return f"the recorder missed {self.inputs} inputs after action {self.after_id}: {self.detail}"


@record
class Skipped(Record):
    """Intact records that could not be replayed, as the state before them is lost."""

    first_id: int
    inputs: int

    def __str__(self) -> str:
        return f"{self.inputs} inputs from action {self.first_id} on were not replayed: the state before them is not known"


Note: TypeAlias = TornTail | BadChunk | Gap | Skipped

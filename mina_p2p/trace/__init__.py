"""The log: what a node did, byte for byte, and how to run it again.

A log holds the initial state, every input whole, and every action that followed by its kind
and cause. As the machine is pure, that is all there is to know: `replay` runs the inputs
again and compares everything.

* `Schema` numbers the classes of a machine and compiles their codec (`shapes`, `compile`, `schema`).
* `Writer` observes a store and makes chunks; a `Tape` makes bytes of them (`writer`, `records`, `chunks`).
* `Reader` reads chunks around damage, follows a log that grows, and seeks (`reader`).
* `replay` compares, and names the first divergence (`replay`, `difference`).
* `register_machine` tells which machine a log's name means (`machines`); logs of older classes
  are read through `migrate`.

Everything here is bytes in, bytes out; files are `mina_p2p_effects.recorder` and
`mina_p2p_effects.replay`. The format is in ``docs/reference/log-format.md``.
"""

from mina_p2p.trace.chunks import FORMAT_VERSION, ChunkKind
from mina_p2p.trace.difference import ABSENT, Difference, differences, first_difference
from mina_p2p.trace.errors import BadChunk, Gap, LogError, LogFault, Note, Skipped, TornTail
from mina_p2p.trace.machines import RegisteredMachine, machine_named, register_machine
from mina_p2p.trace.migrate import Migration, Upgrade
from mina_p2p.trace.reader import BytesSource, Chunk, Item, Reader, Source, State
from mina_p2p.trace.records import Footer, Header, Index, Records
from mina_p2p.trace.replay import Divergence, ReplayResult, joined, replay
from mina_p2p.trace.schema import Schema
from mina_p2p.trace.shapes import SECRET
from mina_p2p.trace.writer import Tape, Writer, WriterOptions

__all__ = [
    "ABSENT",
    "FORMAT_VERSION",
    "SECRET",
    "BadChunk",
    "BytesSource",
    "Chunk",
    "ChunkKind",
    "Difference",
    "Divergence",
    "Footer",
    "Gap",
    "Header",
    "Index",
    "Item",
    "LogError",
    "LogFault",
    "Migration",
    "Note",
    "Reader",
    "Records",
    "RegisteredMachine",
    "ReplayResult",
    "Schema",
    "Skipped",
    "Source",
    "State",
    "Tape",
    "TornTail",
    "Upgrade",
    "Writer",
    "WriterOptions",
    "differences",
    "first_difference",
    "joined",
    "machine_named",
    "register_machine",
    "replay",
]

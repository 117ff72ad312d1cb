"""What is inside the chunks: columns of records, states, gaps, the header and the footer.

Records are kept in columns, which costs least to write and compresses best: all times, all
inputs, how many actions each input led to, and for these one column of kinds and one of
depths. The loop runs depth first, so the cause of an action is the last one before it that
is one level up; depths say all that causes would.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Annotated, Any, Final, NamedTuple, TypedDict

import msgspec

from mina_p2p.record import Record, record
from mina_p2p.trace.chunks import HEAD_LENGTH, NUMBER_MAX, ChunkKind, Head, OpenChunk
from mina_p2p.trace.compile import any_of
from mina_p2p.trace.errors import Gap, LogError, LogFault
from mina_p2p.trace.schema import STATE_HASH_LENGTH, Layout, Schema


class SchemaForm(TypedDict):
    """`Schema.header`: the schema in the log's header."""

    classes: list[tuple[str, bytes, list[tuple[str, Any]]]]
    """By tag: name, digest, and per field its name and type."""
    enums: list[tuple[str, list[tuple[str, int | str]]]]
    """Name, and per member its name and value."""


HEADER_LENGTH_MAX: Final = 4 << 20
INDEX_LENGTH_MAX: Final = 64 << 20
DIGEST_BYTES: Final = 4
INPUTS_MAX: Final = 1 << 20
ACTIONS_MAX: Final = 1 << 24
"""Bounds of a header and an index in bytes, and of the columns of one chunk: what a reader lets
msgpack expand into objects. Writers stay far below."""


@record
class Header(Record):
    """The first chunk of a log."""

    machine: str
    """Name of the machine, as it was registered."""
    machine_version: int
    """Version of its classes, as it was registered."""
    metadata: dict[str, str]
    """What the program that recorded wants to tell; ``peer_id`` names the node."""
    schema: SchemaForm
    schema_digest: bytes


@record
class Digests(Record):
    """What the inputs at the places 0, ``every``, 2 ``every`` … of a chunk led to, content and all, as a checksum each."""

    every: int
    values: bytes
    """`DIGEST_BYTES` for each."""

    def at(self, place: int) -> int | None:
        """The checksum of what the input at a place led to; ``None`` where it has none."""
        index, rest = divmod(place, self.every)
        start = DIGEST_BYTES * index
        return None if rest or start >= len(self.values) else int.from_bytes(self.values[start : start + DIGEST_BYTES], "big")


@record
class Records(Record):
    """A chunk of records, by columns."""

    first_id: int
    times: tuple[int, ...]
    """Per input: nanoseconds."""
    inputs: tuple[Any, ...]
    """Per input: the action."""
    counts: tuple[int, ...]
    """Per input: how many actions were executed, itself among them."""
    kinds: tuple[int, ...]
    """Per action: tag of its class."""
    depths: tuple[int, ...]
    """Per action: 0 for an input."""
    refusals: dict[int, tuple[int, ...]]
    """By place of the input: tags of the classes that guards refused."""
    state_hash: bytes | None
    """Of the state after the last input, at intervals."""
    failure: str | None
    """What stopped the store at the last input, if something did."""
    digests: Digests | None = None
    """Of the content of what followed from some of the inputs."""

    @property
    def last_id(self) -> int:
        """Id of the last action."""
        return self.first_id + len(self.kinds) - 1

    def causes(self) -> list[int]:
        """Id of the cause of every action; 0 for an input."""
        return causes(self.first_id, self.depths)


def causes(first_id: int, depths: tuple[int, ...]) -> list[int]:
    """Ids of the causes of a run of actions, from their depths."""
    latest: dict[int, int] = {}
    found: list[int] = []
    for action_id, depth in enumerate(depths, first_id):
        found.append(latest.get(depth - 1, 0))
        latest[depth] = action_id
    return found


_encode: Final[Callable[[Any], bytes]] = msgspec.msgpack.Encoder().encode


def records_chunk(
    first_id: int,
    times: list[int],
    inputs: list[bytes],
    counts: list[int],
    kinds: list[int],
    depths: list[int],
    refusals: dict[int, list[int]],
    state_hash: bytes | None,
    failure: str | None,
    digests: tuple[int, bytes] | None = None,
) -> OpenChunk:
    """Put columns together; ``inputs`` are encoded already, ``times`` are absolute."""
    deltas = [after - before for before, after in zip([times[0], *times], times, strict=False)]
    columns = (_packed(counts), _packed(kinds), _packed(depths), refusals, state_hash, failure, digests)
    parts = (b"\x99", _encode(deltas), _array_head(len(inputs)), *inputs, *map(_encode, columns))
    return OpenChunk(ChunkKind.RECORDS, first_id, times[0], parts, len(inputs), len(kinds), tags=tuple(sorted(set(kinds))))


def _packed(column: list[int]) -> bytes | list[int]:
    """A column of numbers below 256 as bytes, which cost least to write and to read."""
    try:
        return bytes(column)
    except ValueError:
        return column


def _array_head(length: int) -> bytes:
    return b"\xdd" + length.to_bytes(4, "big")


def _body_hint(schema: Schema, structs: list[Any]) -> Any:
    of: Any = tuple
    an_input = any_of(structs[tag] for tag in schema.inputs)
    inputs_max, actions_max = msgspec.Meta(max_length=INPUTS_MAX), msgspec.Meta(max_length=ACTIONS_MAX)
    per_input, per_action = (Annotated[tuple[int, ...], most] | bytes for most in (inputs_max, actions_max))
    columns: list[Any] = [
        ("times", Annotated[tuple[int, ...], inputs_max]),
        ("inputs", Annotated[of[an_input, ...], inputs_max]),
        ("counts", per_input),
        ("kinds", per_action),
        ("depths", per_action),
        ("refusals", Annotated[dict[int, Annotated[tuple[int, ...], actions_max]], inputs_max]),
        ("state_hash", bytes | None),
        ("failure", str | None),
        ("digests", tuple[int, bytes] | None, None),
    ]
    # An array whose end may be missing, as in logs of earlier versions, or hold more, as in those of later ones.
    return msgspec.defstruct("RecordsBody", columns, array_like=True, gc=False)


def _build_body(raw: Any, read: dict[type[Any], Callable[[Any], Any]]) -> _Body:
    columns = (raw.counts, raw.kinds, raw.depths, raw.refusals, raw.state_hash, raw.failure, raw.digests)
    return _Body(raw.times, tuple([read[type(struct)](struct) for struct in raw.inputs]), *columns)


class _Body(NamedTuple):
    times: tuple[int, ...]
    inputs: tuple[Any, ...]
    counts: tuple[int, ...] | bytes
    kinds: tuple[int, ...] | bytes
    depths: tuple[int, ...] | bytes
    refusals: dict[int, tuple[int, ...]]
    state_hash: bytes | None
    failure: str | None
    digests: tuple[int, bytes] | None


_BODY: Final[Layout[_Body]] = Layout(_body_hint, _build_body)


def read_records(schema: Schema, head: Head, payload: bytes) -> Records:
    """Read the payload of a records chunk.

    :raises LogError: ``CONTENT`` for anything that is none.
    """
    body = schema.unpack(_BODY, payload)
    count = len(body.inputs)
    is_whole = (
        0 < count == len(body.times) == len(body.counts)
        and sum(body.counts) == len(body.kinds) == len(body.depths)
        and (isinstance(body.counts, bytes) or min(body.counts) >= 0)
        and (isinstance(body.depths, bytes) or _is_tree(body.counts, body.depths))
        and head.first_id + len(body.kinds) <= NUMBER_MAX
        and min(body.times) >= 0
        and all(0 <= place < count for place in body.refusals)
        and (body.state_hash is None or len(body.state_hash) == STATE_HASH_LENGTH)
        and (body.digests is None or body.digests[0] > 0)
    )
    if not is_whole:
        raise LogError(LogFault.CONTENT, f"the columns of the chunk at byte {head.offset} do not fit together")
    times = tuple(accumulate(body.times, initial=head.first_time))[1:]
    if times[-1] >= NUMBER_MAX:
        raise LogError(LogFault.CONTENT, f"the chunk at byte {head.offset} ends at {times[-1]} ns, which no log reaches")
    columns = tuple(body.counts), tuple(body.kinds), tuple(body.depths)
    digests = None if body.digests is None else Digests(*body.digests)
    return Records(head.first_id, times, body.inputs, *columns, body.refusals, body.state_hash, body.failure, digests)


def _is_tree(counts: Sequence[int], depths: Sequence[int]) -> bool:
    """Whether no action is deeper than one below the action before it. Depths that are bytes do no harm as they are."""
    at = 0
    for count in counts:
        before = -1
        for depth in depths[at : at + count]:
            if not 0 <= depth <= before + 1:
                return False
            before = depth
        at += count
    return True


def state_chunk(encoded: bytes, last_id: int, now: int) -> OpenChunk:
    """A checkpoint: the state after ``last_id``, encoded by the schema."""
    return OpenChunk(ChunkKind.STATE, last_id, now, (encoded,))


def gap_chunk(gap: Gap, now: int) -> OpenChunk:
    """What the recorder missed."""
    return OpenChunk(ChunkKind.GAP, gap.after_id, now, (_encode((gap.inputs, gap.detail)),), missed=gap.inputs)


def read_gap(head: Head, payload: bytes) -> Gap:
    """Read the payload of a gap chunk.

    :raises LogError: ``CONTENT``.
    """
    inputs, detail = _decode(payload, tuple[int, str])
    return Gap(head.first_id, inputs, detail)


def header_chunk(header: Header, now: int) -> OpenChunk:
    """The first chunk."""
    payload = _encode((header.machine, header.machine_version, sorted(header.metadata.items()), header.schema))
    return OpenChunk(ChunkKind.HEADER, 0, now, (payload,))


def read_header(head: Head, payload: bytes) -> Header:
    """Read the payload of the first chunk.

    :raises LogError: ``CONTENT`` or ``LENGTH``.
    """
    if len(payload) > HEADER_LENGTH_MAX:
        raise LogError(LogFault.LENGTH, f"a header of {len(payload)} bytes")
    pair = tuple[str, str]
    machine, version, metadata, schema = _decode(payload, tuple[str, int, tuple[pair, ...], SchemaForm])
    return Header(machine, version, dict(metadata), schema, head.schema)


@record
class Footer(Record):
    """What a log that was closed says of itself."""

    index_offset: int
    """Where the index chunk begins, in bytes from the start of the log."""
    inputs: int
    actions: int
    missed: int
    """Inputs lost in gaps."""
    last_id: int
    last_time: int
    state_hash: bytes
    """Of the last state."""


_FOOTER: Final = struct.Struct(f">QQQQQQ{STATE_HASH_LENGTH}s")

FOOTER_CHUNK_LENGTH: Final = HEAD_LENGTH + _FOOTER.size
"""A footer has a fixed length and is not compressed, so a reader finds it from the end of a log."""


def footer_chunk(footer: Footer) -> OpenChunk:
    """The last chunk."""
    payload = _FOOTER.pack(
        footer.index_offset, footer.inputs, footer.actions, footer.missed, footer.last_id, footer.last_time, footer.state_hash
    )
    return OpenChunk(ChunkKind.FOOTER, footer.last_id, footer.last_time, (payload,))


def read_footer(payload: bytes) -> Footer:
    """Read the payload of the last chunk.

    :raises LogError: ``CONTENT``.
    """
    if len(payload) != _FOOTER.size:
        raise LogError(LogFault.CONTENT, f"a footer of {len(payload)} bytes")
    return Footer(*_FOOTER.unpack(payload))


class Index(msgspec.Struct, frozen=True):
    """Where the chunks of a log are, by columns. A map, so that later versions can add columns."""

    kinds: list[int]
    offsets: list[int]
    first_ids: list[int]
    first_times: list[int]
    tags: list[bytes]
    """Which kinds of actions are in each chunk of records: bit ``tag % 8`` of byte ``tag // 8``."""
    inputs: list[int] = []
    """How many inputs are in each chunk; empty in logs of earlier versions."""

    def add(self, kind: int, offset: int, first_id: int, first_time: int, tags: tuple[int, ...] = (), inputs: int = 0) -> None:
        """Note a chunk and where it begins."""
        self.kinds.append(kind)
        self.offsets.append(offset)
        self.first_ids.append(first_id)
        self.first_times.append(first_time)
        bits = sum(1 << tag for tag in tags)
        self.tags.append(bits.to_bytes((bits.bit_length() + 7) // 8, "little"))
        self.inputs.append(inputs)

    def remove_last(self) -> None:
        """Forget the chunk that was noted last."""
        for column in (self.kinds, self.offsets, self.first_ids, self.first_times, self.tags, self.inputs):
            column.pop()


def index_chunk(index: Index, now: int) -> OpenChunk:
    """The last chunk but one."""
    return OpenChunk(ChunkKind.INDEX, 0, now, (_encode(index),))


def read_index(payload: bytes) -> Index:
    """Read the payload of an index chunk.

    :raises LogError: ``CONTENT`` or ``LENGTH``.
    """
    if len(payload) > INDEX_LENGTH_MAX:
        raise LogError(LogFault.LENGTH, f"an index of {len(payload)} bytes")
    index: Index = _decode(payload, Index)
    inputs = index.inputs or index.kinds
    if len({len(column) for column in (index.kinds, index.offsets, index.first_ids, index.first_times, index.tags, inputs)}) != 1:
        raise LogError(LogFault.CONTENT, "the columns of the index differ in length")
    return index


def _decode(payload: bytes, hint: Any) -> Any:
    try:
        return msgspec.msgpack.decode(payload, type=hint)
    except (msgspec.DecodeError, RecursionError) as error:
        raise LogError(LogFault.CONTENT, str(error)) from error

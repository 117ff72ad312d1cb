"""The codec that is compiled from the fields of records."""

from __future__ import annotations

import enum
from typing import Any, Generic, Literal, NewType, TypeVar

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trace_machine import MACHINE, SCHEMA, Root, initial, inputs

from mina_p2p import table as table_module
from mina_p2p.identity import PeerId
from mina_p2p.record import Record, record
from mina_p2p.store import Store
from mina_p2p.table import RadixTrie, Table, empty_table
from mina_p2p.trace import SECRET, LogError, LogFault, Schema

T = TypeVar("T")
Count = NewType("Count", int)


class Colour(enum.IntEnum):
    RED = 1
    BLUE = 2


class Word(enum.Enum):
    YES = "yes"
    NO = "no"


class Rights(enum.IntFlag):
    READ = 1
    WRITE = 2


class Blob(bytes):
    pass


class Name(str):
    __slots__ = ()


class Level(int):
    pass


@record
class Empty(Record):
    pass


@record
class Leaf(Record):
    number: int
    data: bytes


@record
class Box(Record, Generic[T]):
    held: T


@record
class Tree(Record):
    children: tuple[Tree, ...] = ()
    leaf: Leaf | None = None


@record
class Everything(Record):
    number: int
    count: Count
    text: str
    data: bytes
    flag: bool
    ratio: float
    nothing: None
    colour: Colour
    word: Word
    rights: Rights
    blob: Blob
    name: Name
    level: Level
    peer: PeerId
    leaf: Leaf
    maybe: Leaf | None
    maybe_number: int | None
    maybe_peer: PeerId | None
    either: Leaf | Empty
    either_or_none: Leaf | Empty | None
    scalars: int | str | None
    mixed: int | str | bytes | Leaf | None
    text_or_peer: str | PeerId
    literal: Literal["a", "b", 3]
    numbers: tuple[int, ...]
    leaves: tuple[Leaf, ...]
    unions: tuple[Leaf | Empty | None, ...]
    pair: tuple[int, str]
    fixed: tuple[int, PeerId, Leaf | None]
    table: Table[Count, int]
    records: Table[int, Leaf]
    sets: Table[int, None]
    boxed: Box[int]
    boxed_leaf: Box[Leaf | None]
    tree: Tree
    anything: Any
    keyword: int = attrs.field(kw_only=True, default=7)
    _private: int = 0


ints = st.integers(-(2**63), 2**64 - 1) | st.integers(-(2**80), 2**80)
texts = st.text() | st.text(st.characters(codec=None))
leaves = st.builds(Leaf, ints, st.binary(max_size=20))
empties = st.builds(Empty)
peers = st.binary(min_size=32, max_size=32).map(PeerId)
trees = st.recursive(st.just(Tree()), lambda kids: st.builds(Tree, st.lists(kids, max_size=3).map(tuple), st.none() | leaves), max_leaves=6)


def tables(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Table[Any, Any]]:
    return st.dictionaries(st.integers(0, 2**40), values, max_size=5).map(lambda found: Table(found.items()))


everything = st.builds(
    Everything,
    number=ints,
    count=ints,
    text=texts,
    data=st.binary(),
    flag=st.booleans(),
    ratio=st.floats(allow_nan=False),
    nothing=st.none(),
    colour=st.sampled_from(Colour),
    word=st.sampled_from(Word),
    rights=st.sampled_from([Rights(0), Rights.READ, Rights.READ | Rights.WRITE]),
    blob=st.binary().map(Blob),
    name=texts.map(Name),
    level=ints.map(Level),
    peer=peers,
    leaf=leaves,
    maybe=st.none() | leaves,
    maybe_number=st.none() | ints,
    maybe_peer=st.none() | peers,
    either=leaves | empties,
    either_or_none=leaves | empties | st.none(),
    scalars=ints | texts | st.none(),
    mixed=ints | texts | st.binary() | leaves | st.none(),
    text_or_peer=texts | peers,
    literal=st.sampled_from(["a", "b", 3]),
    numbers=st.lists(ints, max_size=4).map(tuple),
    leaves=st.lists(leaves, max_size=4).map(tuple),
    unions=st.lists(leaves | empties | st.none(), max_size=4).map(tuple),
    pair=st.tuples(ints, texts),
    fixed=st.tuples(ints, peers, st.none() | leaves),
    table=tables(ints),
    records=tables(leaves),
    sets=tables(st.none()),
    boxed=st.builds(Box, ints),
    boxed_leaf=st.builds(Box, st.none() | leaves),
    tree=trees,
    anything=ints | texts | st.binary() | st.booleans() | st.floats(allow_nan=False) | st.none() | leaves | trees,
    keyword=ints,
    private=ints,
)
ALL = Schema([Everything])


def same(left: Any, right: Any) -> bool:
    """Equal in value and, all the way down, in class."""
    if type(left) is not type(right):
        return False
    if isinstance(left, Record):
        names = [field.name for field in attrs.fields(type(left))]
        return all(same(getattr(left, name), getattr(right, name)) for name in names)
    if isinstance(left, tuple):
        return len(left) == len(right) and all(same(x, y) for x, y in zip(left, right, strict=True))
    if isinstance(left, Table):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


@settings(max_examples=150, deadline=None)
@given(everything)
def test_every_type_comes_back_as_it_was(value: Everything) -> None:
    """Encoding and decoding give the same values of the same classes, and the same bytes again."""
    encoded = ALL.encode(value)
    decoded = ALL.decode(encoded)
    assert same(decoded, value)
    assert ALL.encode(decoded) == encoded


def test_the_states_and_actions_of_a_machine_come_back() -> None:
    """The schema of a machine has its root, its actions, `Attempt` and all they reach."""
    store = Store(MACHINE, initial())
    for action, now in inputs(150):
        store.dispatch(action, now)
        assert same(SCHEMA.decode(SCHEMA.encode(action)), action)
    encoded = SCHEMA.encode(store.state)
    assert SCHEMA.decode(encoded) == store.state
    assert SCHEMA.encode(SCHEMA.decode(encoded)) == encoded
    names = [t.name for t in SCHEMA.types]
    assert names == sorted(names)
    assert {"mina_p2p.store.Attempt", "mina_p2p.prng.Random", "trace_machine.Peer"} <= set(names)


@pytest.mark.parametrize("backend", [RadixTrie, table_module._Large])
def test_the_encoding_does_not_depend_on_what_holds_a_table(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large or small, grown or shrunk, in whatever order: equal tables have equal bytes."""
    keys = [(key * 7919) % 1009 for key in range(100)]
    plain = dict.fromkeys(sorted(keys), 5)
    expected = msgspec.msgpack.encode((0, plain))
    monkeypatch.setattr(table_module, "_Large", backend)

    @record
    class Holder(Record):
        table: Table[int, int] = empty_table()

    schema = Schema([Holder])
    grown = Holder(Table((key, 5) for key in keys))
    assert schema.encode(grown) == expected
    shrunk = grown.table
    for key in keys[3:]:
        shrunk = shrunk.delete(key)
    assert schema.encode(Holder(shrunk)) == schema.encode(Holder(Table((key, 5) for key in reversed(keys[:3]))))


def test_a_state_hash_is_pinned() -> None:
    """The canonical encoding is part of the format: it may change only with the format's version."""
    state = initial(7)
    assert SCHEMA.state_hash(state).hex() == PINNED
    assert SCHEMA.state_hash(state.replace(net=state.net.replace(acks=1))).hex() != PINNED


PINNED = "b61da28a28c82369297b6079e871beb8cd2e07e7b0f8781f554820b10ddb5643"


@pytest.mark.parametrize(
    "hint",
    [list[int], dict[str, int], set[int], object, complex, int | complex, tuple[set[int], ...], Table[int, list[int]]],
    ids=repr,
)
def test_a_type_that_a_log_can_not_hold_is_refused_with_its_field(hint: Any) -> None:
    """At start, not when the first such value comes."""
    unfit = record(type("Unfit", (Record,), {"__annotations__": {"odd": hint}, "__module__": __name__}))
    with pytest.raises(LogError, match=r"Unfit\.odd") as raised:
        Schema([unfit])
    assert raised.value.fault is LogFault.UNWRITABLE


def test_a_field_that_is_marked_secret_is_refused() -> None:
    """No class that can hold a secret gets into a log, however deep it lies."""

    @record
    class Key(Record):
        seed: bytes = attrs.field(metadata=SECRET)

    unfit = record(type("Holder", (Record,), {"__annotations__": {"key": tuple[Key | None, ...]}, "__module__": __name__}))
    with pytest.raises(LogError, match=r"Key\.seed") as raised:
        Schema([unfit])
    assert raised.value.fault is LogFault.SECRET


@pytest.mark.parametrize(
    "value",
    [Leaf("text", b""), Leaf(1, None), Leaf(1, Leaf(1, b"")), Box(object()), object(), Tree((None,)), Leaf(None, b"")],  # type: ignore[arg-type]
    ids=lambda value: repr(value).partition(" at 0x")[0],  # the same in every process that runs a part of the tests
)
def test_a_value_that_its_hints_exclude_never_decodes_to_something_else(value: Any) -> None:
    """Either encoding refuses it, or decoding does; both with the one declared error."""
    with pytest.raises(LogError):
        ALL.decode(ALL.encode(value))


def test_a_subclass_is_written_as_what_was_declared() -> None:
    """Type checkers allow a bool for an int and a `PeerId` for bytes, so the log does too."""
    assert ALL.decode(ALL.encode(Leaf(True, PeerId(bytes(32))))) == Leaf(True, bytes(32))
    assert ALL.decode(ALL.encode(Leaf(Colour.BLUE, Blob(b"x")))) == Leaf(2, b"x")


MALFORMED = {
    "nothing": b"",
    "not an array": b"\x01",
    "unknown class": msgspec.msgpack.encode((999,)),
    "no class": msgspec.msgpack.encode(()),
    "negative class": msgspec.msgpack.encode((-1,)),
    "too few fields": msgspec.msgpack.encode((ALL.tags[Leaf], 1)),
    "too many fields": msgspec.msgpack.encode((ALL.tags[Leaf], 1, b"", 2)),
    "wrong type": msgspec.msgpack.encode((ALL.tags[Leaf], "x", b"")),
    "text for bytes": msgspec.msgpack.encode((ALL.tags[Leaf], 1, "x")),
    "foreign extension": msgspec.msgpack.encode((ALL.tags[Leaf], msgspec.msgpack.Ext(77, b"1"), b"")),
    "text extension for an int": msgspec.msgpack.encode((ALL.tags[Leaf], msgspec.msgpack.Ext(2, b"1"), b"")),
    "trailing bytes": ALL.encode(Leaf(1, b"")) + b"\0",
    "an array of 4 billion": b"\xdd\xff\xff\xff\xff",
    "bytes of 4 billion": b"\x93" + bytes([ALL.tags[Leaf]]) + b"\x01\xc6\xff\xff\xff\xff",
    "nested a million times": (b"\x93" + bytes([ALL.tags[Tree]]) + b"\x91") * 10**6,
    "nested a million times, unclosed": b"\x91" * 10**6,
    "maps nested a million times": b"\x81\x01" * 10**6,
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed_bytes_are_refused(data: bytes) -> None:
    """With the one declared error, for anything."""
    with pytest.raises(LogError) as raised:
        ALL.decode(data)
    assert raised.value.fault is LogFault.CONTENT


def test_a_class_that_refuses_a_value_refuses_the_bytes() -> None:
    """A peer id of 31 bytes is no peer id in a log either."""

    @record
    class Known(Record):
        peer: PeerId

    schema = Schema([Known])
    with pytest.raises(LogError) as raised:
        schema.decode(msgspec.msgpack.encode((0, bytes(31))))
    assert raised.value.fault is LogFault.CONTENT


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 255))
def test_any_bytes_decode_or_are_refused(noise: bytes, at: int, value: int) -> None:
    """Noise, and noise in a good encoding: a value or `LogError`, nothing else."""
    good = bytearray(GOOD)
    good[at % len(good)] = value
    for data in (noise, bytes(good)):
        try:
            ALL.decode(data)
        except LogError:
            continue


GOOD = ALL.encode(Tree((Tree((), Leaf(2**70, b"abc")), Tree()), Leaf(1, b"")))


def test_values_nested_too_deep_are_refused() -> None:
    """An unbounded tree is refused when it is recorded; the stack does not overflow."""
    tree = Tree()
    for _ in range(3_000):
        tree = Tree((tree,))
    with pytest.raises(LogError) as raised:
        ALL.encode(tree)
    assert raised.value.fault is LogFault.UNWRITABLE


def test_the_digest_changes_with_what_the_schema_says() -> None:
    """By it an old log is recognised."""

    def digest(**fields: Any) -> bytes:
        made = record(type("Thing", (Record,), {"__annotations__": fields, "__module__": __name__}))
        return Schema([made]).digest

    known = {
        digest(a=int, b=str),
        digest(b=str, a=int),
        digest(a=int, c=str),
        digest(a=int, b=bytes),
        digest(a=int),
        digest(a=int, b=str | None),
    }
    assert len(known) == 6
    assert digest(a=int, b=str) == digest(a=int, b=str)
    assert Schema.of(MACHINE).digest == SCHEMA.digest


def test_two_classes_of_one_name_are_refused() -> None:
    """A log tells classes by name; `Root` here is another than the machine's."""
    other = record(type("Root", (Record,), {"__annotations__": {"x": int}, "__module__": Root.__module__}))
    with pytest.raises(LogError, match="Root"):
        Schema([Root, other])

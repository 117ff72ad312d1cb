"""Compiles shapes into functions that write them.

A compiled writer is ``write(value, a)``, where ``a`` appends a piece of bytes to
the output. It checks what the reader would refuse, so that nothing wrong is sent.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final

from mina_p2p.wire import primitives
from mina_p2p.wire.compile_read import INLINE_FIELDS_MAX, leaves
from mina_p2p.wire.notation import IntRange
from mina_p2p.wire.primitives import SMALL
from mina_p2p.wire.shapes import (
    BoolShape,
    ByteShape,
    BytesShape,
    CustomShape,
    FixedShape,
    FloatShape,
    IntShape,
    ListShape,
    NeedsLengthShape,
    OptionShape,
    PaddedShape,
    RawShape,
    RecordShape,
    RemainderShape,
    Shape,
    TaggedShape,
    TupleShape,
    UnitShape,
    VariantShape,
    VersionedShape,
    fields_of,
)
from mina_p2p.wire.source import Note, Source

_HELPERS: Final[dict[str, Any]] = {
    "_SMALL": SMALL,
    "_nat0": primitives.write_nat0,
    "_int": primitives.write_int,
    "_uint32": primitives.write_uint32,
    "_uint64": primitives.write_uint64,
    "_ranged": primitives.write_ranged,
    "_refuse": primitives.refuse_value,
    "_double": Struct("<d").pack,
}

_writers: Final[dict[Any, Any]] = {}


def writer(shape: Shape, label: str) -> Any:
    """The compiled writer of a shape; that of a record class is compiled once.

    :param label: shown in tracebacks.
    """
    if not isinstance(shape, RecordShape):
        return _compile(shape, label)
    known = _writers.get(shape.cls)
    return known if known is not None else _compile(shape, f"{shape.cls.__module__}.{shape.cls.__qualname__}")


def _compile(shape: Shape, label: str) -> Any:
    emitter = _Emitter()
    made = emitter.compile(shape, label)
    if isinstance(shape, RecordShape):
        _writers[shape.cls] = made
    for placeholder, cls in emitter.needed.items():
        made.__globals__[placeholder] = writer(RecordShape(cls), "")
    return made


class _Emitter:
    """Emits one writer. ``write`` methods get the expression of the value to write."""

    def __init__(self) -> None:
        self.source = Source("def write(value, a):")
        self.source.namespace.update(_HELPERS)
        self.needed: dict[str, Any] = {}

    def compile(self, shape: Shape, label: str) -> Any:
        if isinstance(shape, RecordShape):
            self.record(shape.cls, "value", "")
        else:
            self.write(shape, "value", "")
        if len(self.source.lines) == 1:
            self.line("pass", "")
        return self.source.compile("write", f"wire write {label}")

    def line(self, text: str, path: str) -> None:
        self.source.line(text, Note(path))

    def variable(self, value: str, path: str) -> str:
        """Name an expression that is used more than once."""
        if value.isidentifier():
            return value
        made = self.source.name("x")
        self.line(f"{made} = {value}", path)
        return made

    def write(self, shape: Shape, value: str, path: str) -> None:
        match shape:
            case UnitShape():
                self.line(f"if {value} is not None: _refuse('None expected')", path)
                self.line("a(b'\\0')", path)
            case BoolShape():
                made = self.variable(value, path)
                self.line(f"if {made} is not True and {made} is not False: _refuse('a bool expected')", path)
                self.line(f"a(b'\\1' if {made} else b'\\0')", path)
            case FloatShape():
                self.line(f"a(_double({value}))", path)
            case ByteShape():
                self.line(f"a(b'%c' % {value})", path)
            case IntShape(range=bounds):
                self.integer(bounds, self.variable(value, path), path)
            case FixedShape(size=size):
                made = self.variable(value, path)
                self.line(f"if len({made}) != {size}: _refuse(f'{size} bytes expected, not {{len({made})}}')", path)
                self.line(f"a({made})", path)
            case BytesShape(limit=limit, cls=cls):
                made = self.variable(f"{value}.encode()" if cls is str else value, path)
                self.line(f"if len({made}) > {limit}: _refuse(f'{{len({made})}} bytes, at most {limit} allowed')", path)
                self.line(f"a(_nat0(len({made})))", path)
                self.line(f"a({made})", path)
            case RemainderShape() | RawShape():
                self.line(f"a({value})", path)
            case CustomShape(custom=custom):
                self.line(f"a({self.source.constant('_w', custom.write)}({value}))", path)
            case TaggedShape(tag=tag, inner=inner):
                self.line(f"a({bytes([tag])!r})", path)
                self.write(inner, value, path)
            case VersionedShape(version=version, inner=inner):
                self.line(f"a({primitives.write_int(version)!r})", path)
                self.write(inner, value, path)
            case RecordShape(cls=cls):
                if leaves(shape) <= INLINE_FIELDS_MAX:
                    self.record(cls, self.variable(value, path), path)
                else:
                    self.call(cls, value, path)
            case _:
                self.composite(shape, self.variable(value, path), path)

    def composite(self, shape: Shape, value: str, path: str) -> None:
        match shape:
            case TupleShape(items=items):
                self.length(value, len(items), path)
                for i, item in enumerate(items):
                    self.write(item, f"{value}[{i}]", f"{path}[{i}]")
            case OptionShape(inner=inner, some_tag=some_tag):
                self.line(f"if {value} is None: a({bytes([1 - some_tag])!r})", path)
                self.line("else:", path)
                self.source.indent()
                self.line(f"a({bytes([some_tag])!r})", path)
                self.write(inner, value, path)
                self.source.dedent()
            case ListShape(inner=inner, limit=limit):
                if limit is not None:
                    self.line(f"if len({value}) > {limit}: _refuse(f'{{len({value})}} items, at most {limit} allowed')", path)
                self.line(f"a(_nat0(len({value})))", path)
                self.loop(inner, value, path)
            case PaddedShape(inner=inner, size=size):
                self.length(value, size, path)
                self.loop(inner, value, path)
                self.line("a(b'\\0')", path)
            case VariantShape():
                self.variant(shape, value, path)
            case NeedsLengthShape(inner=inner):
                outer, pieces, joined = self.source.name("o"), self.source.name("b"), self.source.name("x")
                self.line(f"{outer} = a", path)
                self.line(f"{pieces} = []", path)
                self.line(f"a = {pieces}.append", path)
                self.write(inner, value, path)
                self.line(f"a = {outer}", path)
                self.line(f"{joined} = b''.join({pieces})", path)
                self.line(f"a(_nat0(len({joined})))", path)
                self.line(f"a({joined})", path)
            case _:  # pragma: no cover - write() takes the others
                raise AssertionError(shape)

    def integer(self, bounds: IntRange, value: str, path: str) -> None:
        if bounds.wrap_bits:
            writer = f"_uint{bounds.wrap_bits}({value})"
        elif not bounds.signed:
            writer = f"_nat0({value})"
        elif (bounds.low, bounds.high) == (-(2**63), 2**63 - 1):
            writer = f"_int({value})"
        else:
            writer = f"_ranged({value}, {bounds.low}, {bounds.high})"
        self.line(f"a(_SMALL[{value}] if 0 <= {value} < 128 else {writer})", path)

    def length(self, value: str, size: int, path: str) -> None:
        self.line(f"if len({value}) != {size}: _refuse(f'{size} items expected, not {{len({value})}}')", path)

    def loop(self, inner: Shape, value: str, path: str) -> None:
        item = self.source.name("x")
        index = self.source.name("i")
        self.line(f"for {index}, {item} in enumerate({value}):", path)
        self.source.indent()
        self.write(inner, item, f"{path}[{{{index}}}]")
        self.source.dedent()

    def record(self, cls: Any, value: str, path: str) -> None:
        self.line(f"if {value}.__class__ is not {self.source.constant('_C', cls)}: _refuse('{cls.__qualname__} expected')", path)
        for name, shape in fields_of(cls):
            self.write(shape, f"{value}.{name}", f"{path}.{name}")

    def call(self, cls: Any, value: str, path: str) -> None:
        placeholder = next((name for name, known in self.needed.items() if known is cls), "")
        if not placeholder:
            placeholder = f"_f{len(self.needed)}"
            self.needed[placeholder] = cls
        self.line(f"{placeholder}({value}, a)", path)

    def variant(self, shape: VariantShape, value: str, path: str) -> None:
        size = 4 if shape.polymorphic else 1
        word = "if"
        for constructor in shape.constructors:
            tag = constructor.tag.to_bytes(size, "little")
            cls = self.source.constant("_C", constructor.cls)
            if constructor.member is not None:
                member = self.source.constant("_E", constructor.member)
                self.line(f"{word} {value} is {member}: a({tag!r})", path)
            else:
                self.line(f"{word} {value}.__class__ is {cls}:", path)
                self.source.indent()
                self.line(f"a({tag!r})", path)
                self.write(RecordShape(constructor.cls), value, f"{path}<{constructor.name}>")
                self.source.dedent()
            word = "elif"
        self.line("else: _refuse('a value of another type than the variant has')", path)

"""Compiles shapes into functions that read them.

A compiled reader is ``read(data, p, n, d) -> (value, offset behind it)``: ``n`` is
the end of the input and ``d`` how deep recursive records are nested. Records that
are small and not recursive are read inline; neighbouring fields of fixed size,
across the borders of inline records, by one ``struct`` call.
"""

from __future__ import annotations

from functools import cache
from struct import Struct
from typing import Any, Final

from mina_p2p.wire import primitives
from mina_p2p.wire.compile_skip import skipper
from mina_p2p.wire.primitives import DEPTH_MAX
from mina_p2p.wire.shapes import (
    BoolShape,
    ByteShape,
    BytesShape,
    Constructor,
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
    is_recursive,
    size_min,
)
from mina_p2p.wire.source import Note, Part, Source

INLINE_FIELDS_MAX: Final = 10
"""Records with more leaves than this get a function of their own."""

_BOOLS: Final = (False, True)
_HELPERS: Final[dict[str, Any]] = {
    "_nat0": primitives.read_nat0,
    "_int": primitives.read_int,
    "_uint32": primitives.read_uint32,
    "_uint64": primitives.read_uint64,
    "_utf8": primitives.read_utf8,
    "_refuse": primitives.refuse,
    "_refuse_count": primitives.refuse_count,
    "_refuse_tag": primitives.refuse_tag,
    "_BOOLS": _BOOLS,
}

_readers: Final[dict[Any, Any]] = {}


def reader(shape: Shape, label: str) -> Any:
    """The compiled reader of a shape; that of a record class is compiled once.

    :param label: shown in tracebacks.
    """
    if not isinstance(shape, RecordShape):
        return _compile(shape, label)
    known = _readers.get(shape.cls)
    return known if known is not None else _compile(shape, f"{shape.cls.__module__}.{shape.cls.__qualname__}")


def _compile(shape: Shape, label: str) -> Any:
    emitter = _Emitter()
    made = emitter.compile(shape, label)
    if isinstance(shape, RecordShape):
        _readers[shape.cls] = made
    for placeholder, cls in emitter.needed.items():
        made.__globals__[placeholder] = reader(RecordShape(cls), "")
    return made


@cache
def _skip_function(shape: Shape) -> Any:
    """Skips a value that stays bytes; compiled when the first one is skipped."""
    skip: Any = None
    read: Any = None

    def skip_or_explain(data: bytes, p: int, n: int, d: int) -> int:
        nonlocal skip, read
        if skip is None:
            skip = skipper(shape) or _skips_nothing
        end: int = skip(data, p, d)
        if end < 0:
            read = read or reader(shape, "part")
            _, end = read(data, p, n, d)
        return end

    return skip_or_explain


def _skips_nothing(_data: bytes, _offset: int, _depth: int) -> int:
    return -1


@cache
def leaves(shape: Shape) -> int:
    """About how many lines reading the shape inline takes; decides what is inlined."""
    match shape:
        case RecordShape(cls=cls):
            return INLINE_FIELDS_MAX + 1 if is_recursive(cls) else sum(leaves(field) for _, field in fields_of(cls))
        case TupleShape(items=items):
            return sum(map(leaves, items))
        case VariantShape(constructors=constructors):
            return 1 + sum(leaves(RecordShape(c.cls)) for c in constructors if c.member is None)
        case OptionShape(inner=inner) | ListShape(inner=inner) | PaddedShape(inner=inner):
            return 1 + min(leaves(inner), INLINE_FIELDS_MAX)
        case TaggedShape(inner=inner) | VersionedShape(inner=inner) | NeedsLengthShape(inner=inner):
            return 1 + leaves(inner)
        case _:
            return 1


class _Emitter:
    """Emits one reader. ``read_*`` methods return an expression for the value read.

    Fixed-size fields wait in ``run`` until something else has to be read; the
    expressions only name their variables, so they hold after `flush`.
    """

    def __init__(self) -> None:
        self.source = Source("def read(data, p, n, d):")
        self.source.namespace.update(_HELPERS)
        self.needed: dict[str, Any] = {}
        self.run: list[tuple[str, int, str, str, str]] = []  # format, size, variable, path, check

    def compile(self, shape: Shape, label: str) -> Any:
        recursive = isinstance(shape, RecordShape) and is_recursive(shape.cls)
        if recursive:
            self.source.line("d += 1", Note(""))
            self.source.line(f"if d > {DEPTH_MAX}: _refuse('nested deeper than {DEPTH_MAX}')", Note(""))
        value = self.record(shape.cls, "") if isinstance(shape, RecordShape) else self.read(shape, "")
        self.flush()
        self.source.line(f"return {value}, p", Note(""))
        return self.source.compile("read", f"wire read {label}")

    def line(self, text: str, path: str, start: int = 0) -> None:
        self.source.line(text, Note(path, start))

    def add(self, form: str, size: int, path: str, check: str = "") -> str:
        variable = self.source.name("v")
        self.run.append((form, size, variable, path, check))
        return variable

    def flush(self) -> None:
        """Read the fixed-size fields that wait."""
        run, self.run = self.run, []
        if not run:
            return
        if len(run) == 1 and run[0][0] == "B":
            _, _, variable, path, check = run[0]
            self.line(f"{variable} = data[p]", path)
            if check:
                self.line(check, path)
            self.line("p += 1", path)
            return
        unpack = Struct("<" + "".join(form for form, *_ in run))
        parts: list[Part] = []
        start = 0
        for _, size, _, path, _ in run:
            parts.append(Part(start, size, path))
            start += size
        names = ", ".join(variable for _, _, variable, _, _ in run)
        self.source.line(f"{names}, = {self.source.constant('_s', unpack.unpack_from)}(data, p)", Note(run[0][3], 0, tuple(parts)))
        for part, (*_, check) in zip(parts, run, strict=True):
            if check:
                self.line(check, part.path, part.start)
        self.line(f"p += {start}", run[-1][3])

    def read(self, shape: Shape, path: str) -> str:
        match shape:
            case UnitShape():
                self.zero(path, "a unit's 0")
                return "None"
            case BoolShape():
                variable = self.flag(path, "a bool's 0 or 1")
                return f"_BOOLS[{variable}]"
            case FloatShape():
                return self.add("d", 8, path)
            case ByteShape():
                return self.add("B", 1, path)
            case FixedShape(size=size, cls=cls):
                variable = self.add(f"{size}s", size, path)
                return variable if cls is bytes else f"{self.source.constant('_C', cls)}({variable})"
            case TupleShape(items=items):
                values = [self.read(item, f"{path}[{i}]") for i, item in enumerate(items)]
                return f"({''.join(f'{value}, ' for value in values)})"
            case RecordShape(cls=cls):
                return self.record(cls, path) if leaves(shape) <= INLINE_FIELDS_MAX else self.call(cls, path)
            case TaggedShape(tag=tag, inner=inner):
                variable = self.add("B", 1, path)
                self.check_last(f"if {variable} != {tag}: _refuse_tag({variable}, 'tag {tag}')")
                return self.read(inner, path)
            case _:
                self.flush()
                return self.read_sized(shape, path)

    def read_sized(self, shape: Shape, path: str) -> str:
        """Shapes whose size is known only from the bytes; nothing waits in ``run``."""
        match shape:
            case IntShape():
                return self.integer(shape, path)
            case BytesShape():
                return self.byte_string(shape, path)
            case RemainderShape(cls=cls):
                variable = self.source.name("v")
                made = "data[p:n]" if cls is bytes else f"{self.source.constant('_C', cls)}(data[p:n])"
                self.line(f"{variable} = {made}", path)
                self.line("p = n", path)
                return variable
            case CustomShape(custom=custom):
                variable = self.source.name("v")
                self.line(f"{variable}, p = {self.source.constant('_r', custom.read)}(data, p)", path)
                return variable
            case RawShape():
                return self.raw(shape, path)
            case OptionShape():
                return self.option(shape, path)
            case ListShape():
                return self.items(shape, path)
            case PaddedShape(inner=inner, size=size):
                return self.padded(inner, size, path)
            case VariantShape():
                return self.variant(shape, path)
            case VersionedShape(version=version, inner=inner):
                variable = self.source.name("v")
                self.line(f"{variable}, q = _int(data, p)", path)
                self.line(f"if {variable} != {version}: _refuse(f'version {version} expected, not {{{variable}}}')", path)
                self.line("p = q", path)
                return self.settled(self.read(inner, path))
            case NeedsLengthShape(inner=inner):
                return self.measured(inner, path)
            case _:  # pragma: no cover - read() takes the others
                raise AssertionError(shape)

    def settled(self, value: str) -> str:
        self.flush()
        return value

    def assigned(self, shape: Shape, path: str) -> str:
        """Read and keep the value in a variable."""
        value = self.settled(self.read(shape, path))
        if value.isidentifier():
            return value
        variable = self.source.name("v")
        self.line(f"{variable} = {value}", path)
        return variable

    def check_last(self, check: str) -> None:
        form, size, variable, path, _ = self.run[-1]
        self.run[-1] = (form, size, variable, path, check)

    def zero(self, path: str, expected: str) -> None:
        variable = self.add("B", 1, path)
        self.check_last(f"if {variable}: _refuse_tag({variable}, {expected!r})")

    def flag(self, path: str, expected: str) -> str:
        variable = self.add("B", 1, path)
        self.check_last(f"if {variable} > 1: _refuse_tag({variable}, {expected!r})")
        return variable

    def record(self, cls: Any, path: str) -> str:
        values = [self.read(shape, f"{path}.{name}") for name, shape in fields_of(cls)]
        return f"{self.source.constant('_C', cls)}({', '.join(values)})"

    def call(self, cls: Any, path: str) -> str:
        self.flush()
        variable = self.source.name("v")
        placeholder = next((name for name, known in self.needed.items() if known is cls), "")
        if not placeholder:
            placeholder = f"_f{len(self.needed)}"
            self.needed[placeholder] = cls
        self.line(f"{variable}, p = {placeholder}(data, p, n, d)", path)
        return variable

    def integer(self, shape: IntShape, path: str) -> str:
        variable = self.source.name("v")
        bounds = shape.range
        reader = "_int" if bounds.signed else "_nat0"
        check = ""
        if bounds.wrap_bits:
            reader = f"_uint{bounds.wrap_bits}"
        elif (bounds.signed and (bounds.low, bounds.high) != (-(2**63), 2**63 - 1)) or (not bounds.signed and bounds.high != 2**64 - 1):
            check = f"{bounds.low} <= {variable} <= {bounds.high}"
        self.line(f"{variable} = data[p]", path)
        self.line(f"if {variable} < 128: p += 1", path)
        if not check:
            self.line(f"else: {variable}, p = {reader}(data, p)", path)
            return variable
        self.line("else:", path)
        self.source.indent()
        self.line(f"{variable}, q = {reader}(data, p)", path)
        self.line(f"if not {check}: _refuse(f'{{{variable}}} is not between {bounds.low} and {bounds.high}')", path)
        self.line("p = q", path)
        self.source.dedent()
        return variable

    def count(self, path: str) -> str:
        variable = self.source.name("c")
        self.line(f"{variable} = data[p]", path)
        self.line(f"if {variable} < 128: q = p + 1", path)
        self.line(f"else: {variable}, q = _nat0(data, p)", path)
        return variable

    def byte_string(self, shape: BytesShape, path: str) -> str:
        count = self.count(path)
        variable = self.source.name("v")
        self.line(f"if {count} > {shape.limit}: _refuse(f'{{{count}}} bytes, at most {shape.limit} allowed')", path)
        self.line(f"if {count} > n - q: _refuse_count({count}, n - q)", path)
        if shape.cls is str:
            self.line(f"{variable} = _utf8(data, q, q + {count})", path)
        elif shape.cls is bytes:
            self.line(f"{variable} = data[q:q + {count}]", path)
        else:
            self.line(f"{variable} = {self.source.constant('_C', shape.cls)}(data[q:q + {count}])", path)
        self.line(f"p = q + {count}", path)
        return variable

    def raw(self, shape: RawShape, path: str) -> str:
        start = self.source.name("s")
        variable = self.source.name("v")
        cls = self.source.constant("_C", shape.cls)
        self.line(f"{start} = p", path)
        self.line(f"p = {self.source.constant('_k', _skip_function(shape.inner))}(data, p, n, d)", path)
        self.line(f"{variable} = {cls}(data[{start}:p])", path)
        return variable

    def option(self, shape: OptionShape, path: str) -> str:
        variable = self.source.name("v")
        tag = self.flag(path, "an option's 0 or 1")
        self.flush()
        self.line(f"if {tag} == {shape.some_tag}:", path)
        self.source.indent()
        value = self.settled(self.read(shape.inner, path))
        self.line(f"{variable} = {value}", path)
        self.source.dedent()
        self.line(f"else: {variable} = None", path)
        return variable

    def items(self, shape: ListShape, path: str) -> str:
        count = self.count(path)
        variable = self.source.name("v")
        if shape.limit is not None:
            self.line(f"if {count} > {shape.limit}: _refuse(f'{{{count}}} items, at most {shape.limit} allowed')", path)
        least = max(1, size_min(shape.inner))
        needed = count if least == 1 else f"{count} * {least}"
        self.line(f"if {needed} > n - q: _refuse_count({count}, n - q)", path)
        self.line("p = q", path)
        match shape.inner:
            case FixedShape(size=size, cls=cls) if cls is bytes:
                self.line(f"q = p + {size} * {count}", path)
                self.line(f"{variable} = tuple([data[o:o + {size}] for o in range(p, q, {size})])", path)
                self.line("p = q", path)
                return variable
            case _:
                self.loop(variable, shape.inner, count, path)
                return variable

    def loop(self, variable: str, inner: Shape, count: str, path: str) -> None:
        index = self.source.name("i")
        self.line(f"{variable} = []", path)
        self.line(f"for {index} in range({count}):", path)
        self.source.indent()
        value = self.settled(self.read(inner, f"{path}[{{{index}}}]"))
        self.line(f"{variable}.append({value})", path)
        self.source.dedent()
        self.line(f"{variable} = tuple({variable})", path)

    def padded(self, inner: Shape, size: int, path: str) -> str:
        variable = self.source.name("v")
        self.loop(variable, inner, str(size), path)
        self.zero(path, "the 0 behind a fixed number of items")
        return variable

    def variant(self, shape: VariantShape, path: str) -> str:
        tag = self.source.name("t")
        size = 4 if shape.polymorphic else 1
        if shape.polymorphic:
            self.line(f"{tag}, = {self.source.constant('_s', Struct('<I').unpack_from)}(data, p)", path)
        else:
            self.line(f"{tag} = data[p]", path)
        variable = self.source.name("v")
        if not shape.polymorphic and all(c.member is not None for c in shape.constructors):
            members = tuple(c.member for c in shape.constructors)
            self.line(f"if {tag} >= {len(members)}: _refuse_tag({tag}, 'a tag below {len(members)}')", path)
            self.line(f"{variable} = {self.source.constant('_E', members)}[{tag}]", path)
            self.line("p += 1", path)
            return variable
        word = "if"
        for constructor in shape.constructors:
            self.line(f"{word} {tag} == {constructor.tag}:", path)
            self.source.indent()
            self.line(f"p += {size}", path)
            self.line(f"{variable} = {self.alternative(constructor, path)}", path)
            self.source.dedent()
            word = "elif"
        expected = "one of the names' hashes" if shape.polymorphic else f"a tag below {len(shape.constructors)}"
        self.line(f"else: _refuse_tag({tag}, {expected!r})", path)
        return variable

    def alternative(self, constructor: Constructor, path: str) -> str:
        if constructor.member is not None:
            return self.source.constant("_E", constructor.member)
        return self.settled(self.read(RecordShape(constructor.cls), f"{path}<{constructor.name}>"))

    def measured(self, inner: Shape, path: str) -> str:
        count = self.count(path)
        end = self.source.name("e")
        self.line(f"if {count} > n - q: _refuse_count({count}, n - q)", path)
        self.line("p = q", path)
        self.line(f"{end} = p + {count}", path)
        value = self.assigned(inner, path)
        self.line(f"if p != {end}: _refuse(f'the value ends {{p - {end}}} bytes behind its announced end')", path)
        return value

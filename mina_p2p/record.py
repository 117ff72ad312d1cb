"""``@record``: the one way to declare immutable state and actions.

A record is an attrs class (``frozen``, slotted, compared by value) whose
constructor and ``replace`` are compiled for its fields. Plain attrs pays for
immutability on every construction, because a frozen class must go through
``object.__setattr__`` once per field. Here a record is filled while it is an
instance of a private, unfrozen subclass with the same layout, and becomes a
record by one assignment of ``__class__``; nothing can see it in between.

Rules, each enforced when the class is made:

* a record is final: subclassing it raises ``TypeError``;
* its bases hold no fields and have empty slots, so they may only add methods;
* it derives from `Record`, which is where type checkers find ``replace``;
* every field is an argument of its constructor, and it writes neither that nor ``replace`` itself.

A class that uses converters, validators or ``__attrs_post_init__`` keeps the
constructor that attrs generates, and its ``replace`` runs them again.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, cast, dataclass_transform, overload

import attrs

from mina_p2p.codegen import compile_function

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_R_co = TypeVar("_R_co", covariant=True)
_C = TypeVar("_C", bound="type[Record]")
_T = TypeVar("_T")


class _Keep:
    """A default that no caller can pass by accident, and that reads well in a signature."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<as it is>"


_KEEP: Any = _Keep()
"""Default of every parameter of ``replace``: leave this field as it is."""

_BUILDING = "__mina_p2p_building__"
"""Marks a record class, and holds the unfrozen subclass in which its instances are filled."""

_MADE_HERE = ("__init__", "__new__", "__reduce__", "__replace__", "replace")


class _Replaceable(Protocol[_P, _R_co]):
    """What type checkers synthesise for a class made by ``dataclass_transform``."""

    def __replace__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...


class _ReplaceMethod(Generic[_T]):
    """Compiles a class's ``replace`` when it is first asked for, and takes its own place with it.

    To type checkers it has the signature of the synthesised ``__replace__``.
    """

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> _ReplaceMethod[_T]: ...
    @overload
    def __get__(self, instance: _Replaceable[_P, _R_co], owner: type[Any]) -> Callable[_P, _R_co]: ...
    def __get__(self, instance: Any, owner: type[Any]) -> Any:
        if _BUILDING not in owner.__dict__:
            raise TypeError(f"{owner.__qualname__} derives from Record but is not decorated with @record")
        compiled: Any = _Namespace(owner).replace(record_fields(owner)) if "__new__" in vars(owner) else _evolve
        owner.replace = compiled
        return compiled.__get__(instance, owner)


class Record:
    """Base of every class that `record` makes; holds no fields."""

    __slots__ = ()

    replace = _ReplaceMethod[Any]()
    """``value.replace(field=new, ...)``: a copy in which the named fields differ."""

    def __init_subclass__(cls, *, _building: bool = False) -> None:
        super().__init_subclass__()
        for base in cls.__mro__[1:]:
            if _BUILDING in base.__dict__ and not _building:
                raise TypeError(f"{base.__qualname__} is a record and records are final: {cls.__qualname__} can not derive from it")


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def record(cls: _C) -> _C:
    """Make ``cls`` an immutable record; see the module's docstring.

    :param cls: a class with annotated fields that derives from `Record`.
    :returns: a new class of the same name.
    :raises TypeError: where the class breaks a rule of the module's docstring.
    """
    _check(cls)
    compiled = not _needs_attrs_constructor(cls)
    made: Any = attrs.define(
        cls,
        frozen=True,
        slots=True,
        weakref_slot=False,
        init=not compiled,
        getstate_setstate=False,
    )
    fields = record_fields(made)
    for field in fields:
        if not field.init:
            raise TypeError(f"{cls.__qualname__}.{field.name} is no argument of the constructor; give it a default instead")
    setattr(made, _BUILDING, _building(made))
    if compiled:
        made.__new__ = staticmethod(_Namespace(made).constructor(fields, "__new__", "_cls"))
    made.__replace__ = _replace
    made.__reduce__ = _reduce
    return cast("_C", made)


def field_names(cls: type[Record]) -> tuple[str, ...]:
    """Names of the fields of a record class, in declaration order."""
    return tuple(field.name for field in record_fields(cls))


def record_fields(cls: Any) -> tuple[attrs.Attribute[Any], ...]:
    """The attrs fields of a record class, in declaration order.

    :raises attrs.exceptions.NotAnAttrsClassError: where ``cls`` is no record.
    """
    return tuple(attrs.fields(cls))


def setter(cls: type[_T], *names: str) -> Callable[..., _T]:
    """Compile ``(value, *new) -> copy of value in which the fields called names are new``.

    About a third cheaper than ``replace``, more for a record with many fields; for code
    that replaces the same fields on every action, such as the router.

    :raises AttributeError: where ``cls`` has no such field.
    """
    fields = record_fields(cls)
    for name in names:
        if name not in {field.name for field in fields}:
            raise AttributeError(f"{cls.__qualname__} has no field {name!r}")
    compiled: Callable[..., _T] = _Namespace(cls).setter(fields, names)
    return compiled


def builder(cls: Callable[_P, _T]) -> Callable[_P, _T]:
    """The constructor of a record as a plain function with the same arguments.

    About 80 ns cheaper than calling the class, which CPython does not specialise; for
    what is built on every dispatch.
    """
    if "__new__" not in vars(cls):
        return cls  # attrs' own constructor
    compiled: Callable[_P, _T] = _Namespace(cls).constructor(record_fields(cls), "build")
    return compiled


def _evolve(self: Any, /, **changes: Any) -> Any:
    return attrs.evolve(self, **changes)


def _check(cls: type[Any]) -> None:
    if not issubclass(cls, Record):
        raise TypeError(f"{cls.__qualname__} must derive from Record")
    for name in _MADE_HERE:
        if name in cls.__dict__:
            raise TypeError(f"{cls.__qualname__} defines {name}, which @record makes")
    for base in cls.__mro__[1:-1]:
        if base.__dict__.get("__slots__", ()) or "__dict__" in base.__dict__ or _has_fields(base):
            raise TypeError(f"{cls.__qualname__}: its base {base.__qualname__} holds fields or lacks __slots__ = ()")


def _has_fields(base: type[Any]) -> bool:
    """Whether a base declares what looks like fields, which attrs would silently leave out."""
    return any("ClassVar" not in str(hint) for hint in inspect.get_annotations(base).values())


def _needs_attrs_constructor(cls: type[Any]) -> bool:
    if hasattr(cls, "__attrs_post_init__") or hasattr(cls, "__attrs_pre_init__"):
        return True
    counting = (cls.__dict__.get(name) for name in inspect.get_annotations(cls))
    return any(getattr(x, "_validator", None) is not None or getattr(x, "converter", None) is not None for x in counting)


def _building(cls: Any) -> type[Any]:
    """The subclass in which records are filled.

    It adds neither fields nor slots, so both layouts are equal and ``__class__`` may be
    assigned; object's ``__setattr__`` makes it writable. With object's ``__new__`` in place
    before the record gets a compiled one, CPython allocates it without a call through
    Python, 20 to 40 ns faster.
    """
    own = {name: getattr(object, name) for name in ("__new__", "__setattr__", "__delattr__")}
    return cast("type[Any]", type(cls)(f"_{cls.__name__}Building", (cls,), {"__slots__": (), **own}, _building=True))


class _Namespace:
    """Compiles the functions of one record class."""

    def __init__(self, cls: Any) -> None:
        self.cls = cls
        self.globals: dict[str, Any] = {"_B": getattr(cls, _BUILDING), "_C": cls, "_KEEP": _KEEP}

    def _compile(self, name: str, source: str) -> Any:
        function = compile_function(name, source, self.globals, f"record {self.cls.__module__}.{self.cls.__qualname__}.{name}")
        function.__module__ = self.cls.__module__
        function.__qualname__ = f"{self.cls.__qualname__}.{name}"
        return function

    def constructor(self, fields: tuple[attrs.Attribute[Any], ...], name: str, *before: str) -> Any:
        positional: list[str] = []
        keyword: list[str] = []
        lines: list[str] = []
        for i, field in enumerate(fields):
            alias = field.alias or field.name
            value = alias
            parameter = alias
            default: Any = field.default
            if default is not attrs.NOTHING:
                self.globals[f"_d{i}"] = _KEEP if _is_factory(default) else default
                parameter = f"{alias}=_d{i}"
                if _is_factory(default):
                    self.globals[f"_f{i}"] = default.factory
                    made = f"_f{i}(_new)" if default.takes_self else f"_f{i}()"
                    value = f"{made} if {alias} is _KEEP else {alias}"
            (keyword if field.kw_only else positional).append(parameter)
            lines.append(f"    _new.{field.name} = {value}\n")
        parameters = ", ".join([*before, *positional, *(["*", *keyword] if keyword else [])])
        made = self._filling(name, parameters, lines)
        made.__annotations__ = {field.alias or field.name: field.type for field in fields}
        return made

    def replace(self, fields: tuple[attrs.Attribute[Any], ...]) -> Any:
        # A trap for positional arguments, since CPython binds defaults of keyword-only
        # parameters by look-ups in a dict.
        aliases = [(f.name, f.alias or f.name) for f in fields]
        parameters = ", ".join(["self", "_positional=_KEEP", *(f"{alias}=_KEEP" for _, alias in aliases)])
        lines = ["    if _positional is not _KEEP:\n        raise TypeError('replace takes keyword arguments only')\n"]
        lines += [f"    _new.{name} = self.{name} if {alias} is _KEEP else {alias}\n" for name, alias in aliases]
        return self._filling("replace", parameters, lines)

    def setter(self, fields: tuple[attrs.Attribute[Any], ...], names: tuple[str, ...]) -> Any:
        new = {name: f"_{i}" for i, name in enumerate(names)}
        lines = [f"    _new.{f.name} = {new.get(f.name, f'self.{f.name}')}\n" for f in fields]
        return self._filling("setter", ", ".join(["self", *new.values()]), lines)

    def _filling(self, name: str, parameters: str, lines: list[str]) -> Any:
        """A function that fills a new record; its own names start with ``_``, which no argument does."""
        return self._compile(
            name, f"def {name}({parameters}):\n    _new = _B()\n{''.join(lines)}    _new.__class__ = _C\n    return _new\n"
        )


def _replace(self: Any, /, **changes: Any) -> Any:
    """What ``copy.replace`` calls."""
    return self.replace(**changes)


def _reduce(self: Any) -> Any:
    """For pickle and copy: rebuild through the constructor."""
    return _rebuild, (type(self), {field.alias or field.name: getattr(self, field.name) for field in record_fields(type(self))})


def _rebuild(cls: Any, values: dict[str, Any]) -> Any:
    return cls(**values)


def _is_factory(default: Any) -> bool:
    factory: Any = attrs.Factory
    return isinstance(default, factory)

"""``@record``: the one way to declare immutable state and actions.

A record is an attrs class (``attrs.fields`` and all that builds on it work) that lives in a
frozen `msgspec.Struct`: construction, ``replace``, equality and hash are compiled code, two
to three times as fast as the best that a slotted Python class can do, and eight to twenty
times as fast as a frozen class of attrs, which goes through ``object.__setattr__`` once
per field.

Rules, each enforced when the class is made:

* a record is final: subclassing it raises ``TypeError``;
* its bases hold no fields and have empty slots, so they may only add methods;
* it derives from `Record`, which is where type checkers find ``replace``;
* every field is an argument of its constructor, and it writes neither that nor ``replace`` itself.

And one that can not be enforced: nothing that a record holds leads back to it. Immutable
values can not form a cycle; a record that holds a list, an object or a function through
which it can be reached again is never freed, because the garbage collector does not look
into records. That spares 16 bytes a record and up to a third of the cost of building one.

What a struct can not do (validators, converters, hooks, aliases and private names,
keyword-only fields, defaults that look at other fields, a base with a metaclass of its
own) makes a record a plain frozen attrs class: slower, otherwise the same.
"""

from __future__ import annotations

import inspect
import types
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, cast, dataclass_transform, overload

import attrs
import msgspec

from mina_p2p.codegen import compile_function

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_P = ParamSpec("_P")
_R_co = TypeVar("_R_co", covariant=True)
_C = TypeVar("_C", bound="type[Record]")
_T = TypeVar("_T")

_RECORD_MARK = "__mina_p2p_record__"
_OF_THE_FIRST_CLASS = {"__dict__", "__weakref__", "__orig_bases__", "__parameters__"}
_MADE_HERE = ("__init__", "__new__", "__reduce__", "__replace__", "replace")


class _Replaceable(Protocol[_P, _R_co]):
    """What type checkers synthesise for a class made by ``dataclass_transform``."""

    def __replace__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...


class _ReplaceMethod(Generic[_T]):
    """Gives ``record.replace`` the signature of the synthesised ``__replace__``."""

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> _ReplaceMethod[_T]: ...
    @overload
    def __get__(self, instance: _Replaceable[_P, _R_co], owner: type[Any]) -> Callable[_P, _R_co]: ...
    def __get__(self, instance: Any, owner: type[Any]) -> Any:
        raise TypeError(f"{owner.__qualname__} derives from Record but is not decorated with @record")


class Record:
    """Base of every class that `record` makes; holds no fields."""

    __slots__ = ()

    replace = _ReplaceMethod[Any]()
    """``value.replace(field=new, ...)``: a copy in which the named fields differ."""

    def __init_subclass__(cls, **_options: Any) -> None:
        super().__init_subclass__()
        for base in cls.__mro__[1:]:
            if _RECORD_MARK in base.__dict__:
                raise TypeError(f"{base.__qualname__} is a record and records are final: {cls.__qualname__} can not derive from it")


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def record(cls: _C) -> _C:
    """Make ``cls`` an immutable record; see the module's docstring.

    :param cls: a class with annotated fields that derives from `Record`.
    :returns: a new class of the same name.
    :raises TypeError: where the class breaks a rule of the module's docstring.
    """
    _check(cls)
    made: Any = _in_struct(cls)
    if made is None:
        made = attrs.define(cls, frozen=True, slots=True, weakref_slot=False)
        made.__replace__ = made.replace = _evolve
    for field in record_fields(made):
        if not field.init:
            raise TypeError(f"{cls.__qualname__}.{field.name} is no argument of the constructor; give it a default instead")
    setattr(made, _RECORD_MARK, True)
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

    For code that replaces the same fields on every action, such as the router.

    :raises AttributeError: where ``cls`` has no such field.
    """
    fields = record_fields(cls)
    for name in names:
        if name not in {field.name for field in fields}:
            raise AttributeError(f"{cls.__qualname__} has no field {name!r}")
    new = {name: f"_{i}" for i, name in enumerate(names)}
    source = f"def put({', '.join(['value', *new.values()])}):\n    return {copy_expression(cls, 'value', new)}\n"
    compiled: Callable[..., _T] = compile_function("put", source, {cls.__name__: cls}, f"setter {cls.__module__}.{cls.__qualname__}")
    return compiled


def copy_expression(cls: type[Any], value: str, changes: Mapping[str, str]) -> str:
    """Source of a copy of ``value`` in which some fields are other expressions; it names the class by its name."""
    fields = record_fields(cls)
    sources = [changes.get(field.name, f"{value}.{field.name}") for field in fields]
    if any(field.kw_only for field in fields):
        sources = [f"{field.alias or field.name}={source}" for field, source in zip(fields, sources, strict=True)]
    return f"{cls.__name__}({', '.join(sources)})"


def builder(cls: Callable[_P, _T]) -> Callable[_P, _T]:
    """The fastest constructor of a record as a function: the class itself."""
    return cls


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


def _in_struct(cls: Any) -> Any:
    """``cls`` as a frozen struct that attrs knows, or ``None`` where a struct can not do it."""
    hints = [name for name, hint in inspect.get_annotations(cls).items() if "ClassVar" not in str(hint)]
    own: dict[str, Any] = {**cls.__dict__}
    fields = {name: _field(own.get(name, attrs.NOTHING)) for name in hints}
    if type(cls) is not type or _has_hooks(cls) or not all(_is_plain(name, field) for name, field in fields.items()):
        return None
    namespace = {name: value for name, value in own.items() if name not in _OF_THE_FIRST_CLASS}
    for name, field in fields.items():
        namespace.pop(name, None)
        if (default := _default(field)) is not attrs.NOTHING:
            namespace[name] = _struct_default(default)
    bases = (*own.get("__orig_bases__", cls.__bases__), msgspec.Struct)
    made: Any = types.new_class(cls.__name__, bases, {"frozen": True, "gc": False}, lambda body: body.update(namespace))
    made.__qualname__ = cls.__qualname__
    made.replace = made.__replace__
    _point_closures(cls, made)
    return attrs.define(made, these=fields, slots=False, init=False, repr=False, eq=False, match_args=False, on_setattr=attrs.setters.NO_OP)


def _field(default: Any) -> Any:
    plain: Any = attrs.field()
    return default if isinstance(default, type(plain)) else attrs.field(default=default)


def _default(field: Any) -> Any:
    return field._default  # noqa: SLF001 - attrs has no other way to read a field before its class is made


def _is_plain(name: str, field: Any) -> bool:
    """Whether a struct can hold this field as attrs would."""
    default = _default(field)
    takes_self = _is_factory(default) and default.takes_self
    unlike = (
        takes_self,
        getattr(field, "_validator", None),
        field.converter,
        field.alias,
        field.kw_only,
        not field.init,
        not field.repr,
        field.eq is False,
    )
    return not name.startswith("_") and not any(unlike)


def _has_hooks(cls: type[Any]) -> bool:
    return hasattr(cls, "__attrs_post_init__") or hasattr(cls, "__attrs_pre_init__")


def _struct_default(default: Any) -> Any:
    if _is_factory(default):
        return msgspec.field(default_factory=default.factory)
    if default.__class__ in {list, dict, set, bytearray}:
        # attrs shares such a default and a struct refuses it.
        return msgspec.field(default_factory=lambda: default)
    return msgspec.field(default=default)


def _point_closures(old: type[Any], new: type[Any]) -> None:
    """Let ``super()`` and ``__class__`` in the methods of ``old`` mean ``new``, as attrs does for slotted classes."""
    for item in vars(new).values():
        function = item.fget if isinstance(item, property) else getattr(item, "__func__", item)
        for cell in getattr(function, "__closure__", None) or ():
            if cell.cell_contents is old:
                cell.cell_contents = new


def _is_factory(default: Any) -> bool:
    factory: Any = attrs.Factory
    return isinstance(default, factory)

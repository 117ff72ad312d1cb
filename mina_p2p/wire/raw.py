"""`Raw`: the exact wire bytes of a value, decoded when someone asks and at most once."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast

if TYPE_CHECKING:
    from mina_p2p.wire.codec import Codec

T = TypeVar("T")


class Raw(bytes, Generic[T]):
    """The wire bytes of one ``T``. It *is* these bytes: equal, hashed, sliced and logged like any ``bytes``.

    A subclass names its type, which is imported only when it is needed::

        class RawBlock(Raw["Block"], of="mina_p2p.mina.block.Block"): ...

    Where a record has a field of such a class, decoding checks the layout of the part
    while it skips it. A `Raw` that someone made from any bytes is not checked until
    `value` is asked for.
    """

    _kind: ClassVar[str]
    _codec: ClassVar[Any] = None

    def __init_subclass__(cls, *, of: str) -> None:
        super().__init_subclass__()
        cls._kind = of

    @classmethod
    def kind(cls) -> Any:
        """The type of `value`: a record class or another annotation."""
        module, _, name = cls._kind.rpartition(".")
        return getattr(import_module(module), name)

    @classmethod
    def codec(cls) -> Codec[T]:
        """The codec of `value`."""
        if cls._codec is None:
            cls._codec = import_module("mina_p2p.wire.codec").codec(cls.kind())
        return cast("Codec[T]", cls._codec)

    @classmethod
    def of(cls, value: T) -> Self:
        """The bytes of ``value``, which is kept beside them.

        :raises EncodeError: where a field of ``value`` can not be written.
        """
        made = cls(cls.codec().encode(value))
        made.__dict__["_value"] = value
        return made

    @property
    def value(self) -> T:
        """What the bytes say.

        :raises DecodeError: where they are not exactly one ``T``.
        """
        known = self.__dict__.get("_value", _UNKNOWN)
        if known is _UNKNOWN:
            known = self.__dict__["_value"] = self.codec().decode(self)
        return cast("T", known)

    def __repr__(self) -> str:
        return (
            f"{type(self).__qualname__}({len(self)} bytes, {self[:8].hex()}…)"
            if len(self) > 16
            else f"{type(self).__qualname__}({self.hex()!r})"
        )

    def __reduce__(self) -> tuple[type[Self], tuple[bytes]]:
        return type(self), (bytes(self),)


_UNKNOWN = object()

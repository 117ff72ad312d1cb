"""`Table`: the one persistent map of the state; `Index` and `Deadlines`, made of it.

Keys are dense ints that a reducer issued, so neither the hash seed nor a peer can
influence layout or order. Small tables are a dict that is copied, larger ones an
`immutables.Map`; where that package has no wheel (CPython 3.14) a radix trie takes its
place. All three behave the same, and iteration is always in key order.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Generic, Protocol, TypeVar, cast, overload

import msgspec

from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record

K = TypeVar("K", bound=int)
V = TypeVar("V")
D = TypeVar("D")

SMALL_ENTRIES_MAX = 32
"""Up to here copying a dict beats a tree (spec: performance-notes 1a)."""


class _Backend(Protocol):
    """What a large table needs of its map."""

    def get(self, key: int, default: Any = None, /) -> Any: ...
    def set(self, key: int, value: Any, /) -> _Backend: ...
    def delete(self, key: int, /) -> _Backend: ...
    def __getitem__(self, key: int, /) -> Any: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[int]: ...


class RadixTrie:
    """Persistent map from non-negative ints: 32-wide lists, copied along one path.

    Used where `immutables` is not available; see the module's docstring. `Table` sees to it
    that keys are not negative.
    """

    __slots__ = ("_count", "_root", "_shift")

    def __init__(self) -> None:
        self._root: list[Any] = [None] * 32
        self._shift = 0  # bits of the key above the root's own five
        self._count = 0

    def get(self, key: int, default: Any = None, /) -> Any:
        """The value at ``key``, else ``default``."""
        if key >> (self._shift + 5):
            return default
        node: Any = self._root
        for shift in range(self._shift, 0, -5):
            node = node[(key >> shift) & 31]
            if node is None:
                return default
        leaf = node[key & 31]
        return default if leaf is None else leaf[0]

    def __getitem__(self, key: int, /) -> Any:
        found = self.get(key, self)
        if found is self:
            raise KeyError(key)
        return found

    def __contains__(self, key: object, /) -> bool:
        return isinstance(key, int) and self.get(key, self) is not self

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        return _walk(self._root, self._shift, 0)

    def set(self, key: int, value: Any, /) -> RadixTrie:
        """A trie in which ``key`` has ``value``."""
        root, shift = self._root, self._shift
        while key >> (shift + 5):
            root = [root, *([None] * 31)]
            shift += 5
        new = RadixTrie()
        new._shift = shift
        new._count = self._count + (key not in self)
        # A leaf is boxed, so that None is a value like any other.
        new._root = _with(root, shift, key, (value,))
        return new

    def delete(self, key: int, /) -> RadixTrie:
        """A trie without ``key``, or ``KeyError``."""
        if key not in self:
            raise KeyError(key)
        new = RadixTrie()
        new._shift = self._shift
        new._count = self._count - 1
        new._root = _without(self._root, self._shift, key) or [None] * 32
        return new


def _with(node: list[Any] | None, shift: int, key: int, leaf: tuple[Any]) -> list[Any]:
    copy: list[Any] = [None] * 32 if node is None else node.copy()
    slot = (key >> shift) & 31
    copy[slot] = leaf if shift == 0 else _with(copy[slot], shift - 5, key, leaf)
    return copy


def _without(node: list[Any], shift: int, key: int) -> list[Any] | None:
    """The node without ``key``; ``None`` once nothing is left in it."""
    copy = node.copy()
    slot = (key >> shift) & 31
    copy[slot] = None if shift == 0 else _without(copy[slot], shift - 5, key)
    return copy if any(child is not None for child in copy) else None


def _walk(node: list[Any], shift: int, prefix: int) -> Iterator[int]:
    for slot, child in enumerate(node):
        if child is None:
            continue
        key = prefix | (slot << shift)
        if shift == 0:
            yield key
        else:
            yield from _walk(child, shift - 5, key)


def _large_backend() -> Any:
    try:
        import immutables  # noqa: PLC0415 - optional from 3.14 on
    except ImportError:
        return RadixTrie
    return immutables.Map


_Large: Callable[[], _Backend] = _large_backend()


def _large(entries: dict[int, Any]) -> _Backend:
    large = _Large()
    for key, value in entries.items():
        large = large.set(key, value)
    return large


class _Reading(Generic[K, V]):
    """What a table can do; see `Table`."""

    __slots__ = ()
    _map: Any
    """A dict, or a `_Backend` once the table was larger than `SMALL_ENTRIES_MAX`."""

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: K, default: Any = None) -> Any:
        """The value at ``key``, else ``default``."""
        return self._map.get(key, default)

    def __getitem__(self, key: K) -> V:
        found: V = self._map[key]
        return found

    def __contains__(self, key: object) -> bool:
        return key in self._map

    def __len__(self) -> int:
        return len(self._map)

    def __bool__(self) -> bool:
        return len(self._map) != 0

    def set(self, key: K, value: V) -> Table[K, V]:
        """A table in which ``key`` has ``value``.

        :raises ValueError: for a negative key.
        """
        if key < 0:
            raise ValueError("table keys are not negative")
        old: Any = self._map
        if old.__class__ is not dict:
            return _Held(old.set(key, value))
        if len(old) >= SMALL_ENTRIES_MAX and key not in old:
            return _Held(_large(old).set(key, value))
        copy = old.copy()
        copy[key] = value
        return _Held(copy)

    def delete(self, key: K) -> Table[K, V]:
        """A table without ``key``.

        :raises KeyError: where there is none.
        """
        old: Any = self._map
        if old.__class__ is dict:
            if len(old) == 1 and key in old:
                return _EMPTY
            copy = old.copy()
            del copy[key]
            return _Held(copy)
        large = old.delete(key)
        # Well below the limit for growing, so that a table at the limit does not flap.
        return _Held(large if len(large) > SMALL_ENTRIES_MAX // 2 else {k: large[k] for k in large})

    def discard(self, key: K) -> Table[K, V]:
        """A table without ``key``; the same table where there is none."""
        return self.delete(key) if key in self._map else cast("Table[K, V]", self)

    def keys(self) -> list[K]:
        """The keys in ascending order."""
        return sorted(self._map)

    def keys_through(self, last: int) -> list[K]:
        """The keys up to and including ``last``, in ascending order."""
        return sorted([key for key in self._map if key <= last])

    def changed_since(self, before: Table[K, V]) -> list[K]:
        """The keys at which the two tables do not hold the very same object, or only one of them holds something; in any order."""
        new: Any = self._map
        old: Any = before._map  # noqa: SLF001 - one of our own kind
        if new is old:
            return []
        get = old.get
        changed = [key for key in new if get(key, old) is not new[key]]
        if len(old) + len(changed) > len(new):
            changed += [key for key in old if key not in new]
        return changed

    def first_key(self) -> K | None:
        """The smallest key; ``None`` in an empty table."""
        found = self._map
        return min(found) if found else None

    def values(self) -> Iterator[V]:
        """The values in the order of their keys."""
        found: Any = self._map
        value: Callable[[K], V] = found.__getitem__
        return map(value, sorted(found))

    def items(self) -> Iterator[tuple[K, V]]:
        """Pairs in the order of their keys."""
        found: Any = self._map
        value: Callable[[K], V] = found.__getitem__
        keys: list[K] = sorted(found)
        return zip(keys, map(value, keys), strict=True)

    def __iter__(self) -> Iterator[K]:
        return iter(self.keys())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Reading):
            return NotImplemented
        mine: Any = self._map
        theirs: Any = other._map
        if mine is theirs:
            return True
        return len(mine) == len(theirs) and all(key in theirs and mine[key] == theirs[key] for key in mine)

    __hash__ = None  # type: ignore[assignment]  # tables are compared, not looked up

    def __repr__(self) -> str:
        return f"Table({{{', '.join(f'{key}: {value!r}' for key, value in self.items())}}})"

    def __reduce__(self) -> Any:
        return Table, (tuple(self.items()),)


class Table(_Reading[K, V], metaclass=ABCMeta):
    """An immutable map from ints; every change returns a new table that shares the rest."""

    __slots__ = ()

    def __new__(cls, items: Iterable[tuple[K, V]] = ()) -> Table[K, V]:
        """Build a table of ``items``; of two with the same key the later counts.

        :raises ValueError: for a negative key.
        """
        entries: dict[int, Any] = dict(items)
        if entries and min(entries) < 0:
            raise ValueError("table keys are not negative")
        return _Held(entries if len(entries) <= SMALL_ENTRIES_MAX else _large(entries))


class _HeldTable(_Reading[Any, Any], msgspec.Struct, eq=False, frozen=True, gc=False):
    """What every `Table` is: a struct, since compiled code builds one in half the time of a slotted object."""

    _map: Any


Table.register(_HeldTable)
_Held = cast("Callable[[Any], Table[Any, Any]]", _HeldTable)

_EMPTY: Table[Any, Any] = Table()


def empty_table() -> Table[Any, Any]:
    """The table without entries; for ``attrs.field(factory=empty_table)``."""
    return _EMPTY


@lru_cache(maxsize=1_024)  # the id of one peer is looked up many times in a row
def _bucket_of(key: bytes, salt: bytes) -> int:
    return int.from_bytes(blake2b(key, digest_size=4, key=salt).digest(), "big")


@record
class Index(Record, Generic[V]):
    """A persistent map from bytes that peers may choose: ids and hashes.

    Entries sit in a `Table` under a short salted digest of their key, so that neither
    the hash seed nor an attacker who grinds keys has a say; it is looked up, never iterated
    where order matters.
    """

    salt: bytes
    """At most 64 bytes; from the node's seed, unknown to peers."""
    buckets: Table[int, tuple[tuple[bytes, V], ...]] = _EMPTY
    count: int = 0

    def _bucket(self, key: bytes) -> int:
        return _bucket_of(key, self.salt)

    def get(self, key: bytes) -> V | None:
        """The value at ``key``, else ``None``."""
        for found, value in self.buckets.get(self._bucket(key), ()):
            if found == key:
                return value
        return None

    def __contains__(self, key: bytes) -> bool:
        return any(found == key for found, _ in self.buckets.get(self._bucket(key), ()))

    def __len__(self) -> int:
        return self.count

    def set(self, key: bytes, value: V) -> Index[V]:
        """With ``value`` at ``key``."""
        bucket = self._bucket(key)
        old = self.buckets.get(bucket, ())
        others = tuple(pair for pair in old if pair[0] != key)
        return self.replace(buckets=self.buckets.set(bucket, (*others, (key, value))), count=self.count + 1 - len(old) + len(others))

    def delete(self, key: bytes) -> Index[V]:
        """Without ``key``.

        :raises KeyError: where there is none.
        """
        bucket = self._bucket(key)
        old = self.buckets.get(bucket, ())
        others = tuple(pair for pair in old if pair[0] != key)
        if len(others) == len(old):
            raise KeyError(key)
        return self.replace(buckets=self.buckets.set(bucket, others) if others else self.buckets.delete(bucket), count=self.count - 1)


@record
class Deadlines(Record):
    """Waits of one slice by the time they end: a persistent timer wheel.

    A wait is an int key that the slice understands. It is due at the first multiple of
    ``granularity`` not before its time, so less than that late and never early.
    Adding, cancelling and taking one wait cost the same for ten waits and for a million;
    asking what is due costs time in the number of buckets in use, which is at most the
    longest wait divided by ``granularity``.
    A key waits once per bucket: added twice at times of one bucket it is one wait.
    """

    granularity: int
    """Nanoseconds per bucket."""
    buckets: Table[int, Table[int, None]] = _EMPTY
    """Bucket number to the keys that are due in it."""

    def add(self, at: Timestamp, key: int) -> Deadlines:
        """With ``key`` due at ``at``."""
        granularity, buckets = self.granularity, self.buckets
        bucket = -(-at // granularity)
        return Deadlines(granularity, buckets.set(bucket, buckets.get(bucket, _EMPTY).set(key, None)))

    def cancel(self, at: Timestamp, key: int) -> Deadlines:
        """Without the wait that was added with the same ``at`` and ``key``.

        :raises KeyError: where there is none; a slice that cancels what it never added is wrong.
        """
        granularity, buckets = self.granularity, self.buckets
        bucket = -(-at // granularity)
        keys = buckets[bucket].delete(key)
        return Deadlines(granularity, buckets.delete(bucket) if keys is _EMPTY else buckets.set(bucket, keys))

    def next_at(self) -> Timestamp | None:
        """When the earliest wait is due; ``None`` without waits."""
        first = self.buckets.first_key()
        return None if first is None else cast("Timestamp", first * self.granularity)

    def due(self, now: Timestamp, count_max: int) -> list[int]:
        """At most ``count_max`` keys that are due, earliest first, then by key."""
        found: list[int] = []
        first = self.buckets.first_key()
        if first is None or first * self.granularity > now:
            return found  # as it mostly is
        for bucket in self.buckets.keys_through(now // self.granularity):
            found += self.buckets[bucket].keys()[: count_max - len(found)]
            if len(found) >= count_max:
                break
        return found

    def __len__(self) -> int:
        return sum(len(keys) for keys in self.buckets.values())

"""`Table` and `Index` beside a plain dict, over every map that a large table may be made of."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import immutables
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from mina_p2p import table as module
from mina_p2p.table import SMALL_ENTRIES_MAX, Index, RadixTrie, Table, empty_table

BACKENDS = {"immutables": immutables.Map, "trie": RadixTrie}

KEYS = st.one_of(
    st.integers(0, 70),  # dense, and around the border between small and large
    st.integers(0, 2**34),
    st.sampled_from([31, 32, 33, 1023, 1024, 2**15 - 1, 2**15, 2**32, 2**64, 2**100]),
)


@pytest.fixture(params=BACKENDS.values(), ids=BACKENDS.keys(), autouse=True)
def large(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Every test of this file runs over each backend."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_Large", request.param)
        yield request.param


def same(table: Table[int, Any], model: dict[int, Any]) -> None:
    """Everything that can be read from a table agrees with the dict."""
    assert len(table) == len(model)
    assert bool(table) == bool(model)
    assert table.keys() == sorted(model)
    assert list(table) == sorted(model)
    assert list(table.items()) == sorted(model.items())
    assert list(table.values()) == [value for _, value in sorted(model.items())]
    assert table.first_key() == min(model, default=None)
    for key, value in model.items():
        assert table[key] == value
        assert table.get(key) == value
        assert key in table
    for key in (0, 1, 31, 32, 2**15, 2**40):
        assert (key in table) == (key in model)
        assert table.get(key, "none") == model.get(key, "none")
        assert table.keys_through(key) == sorted(k for k in model if k <= key)


class Versions(RuleBasedStateMachine):
    """Tables branch from any earlier table, and none ever changes."""

    tables = Bundle("tables")

    def __init__(self) -> None:
        super().__init__()
        self.known: list[tuple[Table[int, Any], dict[int, Any]]] = []

    def keep(self, table: Table[int, Any], model: dict[int, Any]) -> tuple[Table[int, Any], dict[int, Any]]:
        same(table, model)
        self.known.append((table, model))
        return table, model

    @initialize(target=tables, items=st.dictionaries(KEYS, st.integers(), max_size=60))
    def build(self, items: dict[int, int]) -> Any:
        return self.keep(Table(items.items()), items)

    @rule(target=tables, old=tables, key=KEYS, value=st.one_of(st.integers(), st.none()))
    def set(self, old: Any, key: int, value: Any) -> Any:
        table, model = old
        return self.keep(table.set(key, value), {**model, key: value})

    @rule(target=tables, old=tables, keys=st.lists(KEYS, max_size=40))
    def set_many(self, old: Any, keys: list[int]) -> Any:
        table, model = old
        for key in keys:
            table, model = table.set(key, -key), {**model, key: -key}
        return self.keep(table, model)

    @rule(target=tables, old=tables, data=st.data(), count=st.integers(1, 40))
    def delete_some(self, old: Any, data: st.DataObject, count: int) -> Any:
        table, model = old[0], dict(old[1])
        for key in data.draw(st.permutations(sorted(model)))[:count]:
            table = table.delete(key)
            del model[key]
        return self.keep(table, model)

    @rule(old=tables, key=KEYS)
    def delete_missing(self, old: Any, key: int) -> None:
        table, model = old
        if key in model:
            assert table.discard(key) == Table((k, v) for k, v in model.items() if k != key)
            return
        assert table.discard(key) is table
        with pytest.raises(KeyError):
            table.delete(key)
        with pytest.raises(KeyError):
            table[key]

    @rule(one=tables, other=tables)
    def compare(self, one: Any, other: Any) -> None:
        assert (one[0] == other[0]) == (one[1] == other[1])

    @precondition(lambda self: self.known)
    @invariant()
    def old_versions_stay(self) -> None:
        for table, model in self.known[:3] + self.known[-3:]:
            assert dict(table.items()) == model


def test_any_sequence_of_changes_agrees_with_a_dict():
    run_state_machine_as_test(Versions)


@pytest.mark.parametrize("step", [1, 1000003])
def test_growing_and_shrinking_past_the_border_and_back(step: int):
    """Every size from empty to twice the border and back, twice, deleting from either end."""
    table: Table[int, int] = Table()
    model: dict[int, int] = {}
    for turn in range(2):
        for number in range(2 * SMALL_ENTRIES_MAX + 3):
            table = table.set(number * step, number)
            model[number * step] = number
            same(table, model)
        for key in sorted(model, reverse=bool(turn)):
            table = table.delete(key)
            del model[key]
            same(table, model)
    assert table == Table()


def test_a_table_changes_its_map_late_on_the_way_down(large: Any):
    """So that one at the border does not copy itself on every change."""
    table: Table[int, int] = Table((i, i) for i in range(SMALL_ENTRIES_MAX))
    assert type(table._map) is dict
    assert type(table.set(3, 4)._map) is dict, "replacing is not growing"
    table = table.set(SMALL_ENTRIES_MAX, 0)
    assert type(table._map) is large
    table = table.delete(0)
    assert type(table._map) is large
    while len(table) > SMALL_ENTRIES_MAX // 2:
        assert type(table._map) is large
        table = table.delete(table.keys()[0])
    assert type(table._map) is dict


@given(st.dictionaries(st.integers(0, 10**6), st.integers(), max_size=80))
def test_copies_and_pickles_are_equal(model: dict[int, int]):
    table = Table(model.items())
    for again in (pickle.loads(pickle.dumps(table)), copy.copy(table), copy.deepcopy(table)):
        assert again == table
        assert list(again.items()) == list(table.items())


@given(st.dictionaries(st.integers(0, 100), st.integers(0, 3), max_size=80), st.randoms(use_true_random=False))
def test_equality_ignores_the_way_to_get_there(model: dict[int, int], shuffler: Any):
    items = list(model.items())
    shuffler.shuffle(items)
    direct: Table[int, int] = Table(items)
    slow: Table[int, int] = Table((key, 9) for key in range(200))
    for key in range(200):
        slow = slow.set(key, model[key]) if key in model else slow.delete(key)
    assert direct == slow
    assert slow == direct
    assert direct != Table([*items, (500, 0)])
    if items:
        assert direct != direct.set(items[0][0], "other")
    assert direct.__eq__(model) is NotImplemented


@given(*2 * [st.dictionaries(st.integers(0, 60), st.sampled_from([None, "a", "b"]), max_size=60)])
def test_what_differs_between_two_tables_is_found(old: dict[int, Any], new: dict[int, Any]):
    """Keys with another object, keys that are new, keys that are gone; ``None`` is an object like any other."""
    nothing = object()
    expected = {key for key in {*old, *new} if old.get(key, nothing) is not new.get(key, nothing)}
    before, after = Table(old.items()), Table(new.items())
    found = after.changed_since(before)
    assert sorted(found) == sorted(expected)
    assert after.changed_since(after) == []
    assert sorted(before.changed_since(empty_table())) == sorted(old)


def test_none_is_a_value_like_any_other():
    for size in (1, 100):
        table: Table[int, None] = Table((i, None) for i in range(size))
        assert 0 in table
        assert table.get(0, "default") is None
        assert table[0] is None


def test_of_two_items_with_one_key_the_later_counts():
    assert Table([(1, "a"), (1, "b")])[1] == "b"


@pytest.mark.parametrize("size", [0, 5, 100])
def test_a_negative_key_is_never_there_and_never_gets_there(size: int):
    """Also where the map below would take it: a slice must not work on one Python and fail on another."""
    table: Table[int, int] = Table((i, i) for i in range(size))
    assert -1 not in table
    assert table.get(-1) is None
    with pytest.raises(KeyError):
        table[-1]
    with pytest.raises(KeyError):
        table.delete(-1)
    with pytest.raises(ValueError, match="not negative"):
        table.set(-1, 0)
    with pytest.raises(ValueError, match="not negative"):
        Table([*table.items(), (-1, 0)])


def test_a_table_is_compared_not_hashed():
    with pytest.raises(TypeError):
        hash(Table())


def test_repr_is_in_key_order():
    assert repr(Table([(40, "b"), (2, "a")])) == "Table({2: 'a', 40: 'b'})"


def test_the_empty_table_is_one_object():
    assert empty_table() is empty_table()
    assert len(empty_table()) == 0


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="immutables has no wheel there")
def test_the_backend_is_immutables_where_that_can_be_had(monkeypatch: pytest.MonkeyPatch):
    assert module._large_backend() is immutables.Map
    monkeypatch.setitem(sys.modules, "immutables", None)
    assert module._large_backend() is RadixTrie


class TestTrie:
    """What only the trie can get wrong."""

    def test_a_key_beyond_the_root_is_missing_not_wrapped(self):
        trie = RadixTrie().set(1, "a")
        for key in (33, 1 + 32**2, 1 + 2**70):
            assert key not in trie
            assert trie.get(key) is None

    def test_a_higher_root_keeps_the_lower_keys(self):
        trie = RadixTrie().set(5, "a").set(2**40, "b").set(0, "c")
        assert [(key, trie[key]) for key in trie] == [(0, "c"), (5, "a"), (2**40, "b")]
        assert len(trie) == 3

    def test_emptied_it_can_be_filled_again(self):
        trie = RadixTrie().set(2**40, "b").delete(2**40)
        assert list(trie) == []
        assert len(trie) == 0
        assert list(trie.set(3, "a")) == [3]

    def test_an_emptied_branch_is_gone(self):
        """Or a table of connections would grow by every connection there ever was."""
        trie = RadixTrie().set(2**20, "stays")
        for key in range(0, 2**15, 997):
            trie = trie.set(key, "goes").delete(key)
        assert trie._root.count(None) == 31, "just the branch of the key that stays"
        assert trie.delete(2**20)._root == [None] * 32

    def test_what_was_never_there_can_not_be_deleted(self):
        with pytest.raises(KeyError):
            RadixTrie().set(1, "a").delete(2)


COLLIDING = st.integers(0, 5).map(lambda n: b"k%d" % n)


class TestIndex:
    @given(st.lists(st.tuples(st.booleans(), st.binary(max_size=3)), max_size=60), st.binary(max_size=64))
    def test_any_sequence_of_changes_agrees_with_a_dict(self, changes: list[tuple[bool, bytes]], salt: bytes):
        index: Index[int] = Index(salt)
        model: dict[bytes, int] = {}
        for number, (adding, key) in enumerate(changes):
            if adding:
                index = index.set(key, number)
                model[key] = number
            elif key in model:
                index = index.delete(key)
                del model[key]
            else:
                with pytest.raises(KeyError):
                    index.delete(key)
            assert len(index) == len(model)
            for known in {k for _, k in changes}:
                assert index.get(known) == model.get(known)
                assert (known in index) == (known in model)

    @given(st.lists(st.tuples(st.booleans(), COLLIDING), max_size=40))
    def test_keys_whose_digests_collide_stay_apart(self, changes: list[tuple[bool, bytes]]):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Index, "_bucket", lambda _self, key: key[-1] % 2)
            self.test_any_sequence_of_changes_agrees_with_a_dict.hypothesis.inner_test(self, changes, b"salt")

    def test_old_versions_stay(self):
        one = Index(b"salt").set(b"a", 1)
        two = one.set(b"a", 2).set(b"b", 3)
        assert (one.get(b"a"), one.get(b"b"), len(one)) == (1, None, 1)
        assert (two.get(b"a"), two.get(b"b"), len(two)) == (2, 3, 2)
        assert two.delete(b"b").delete(b"a").buckets == Table()

    def test_the_salt_decides_the_layout(self):
        """Whoever chooses keys can not choose buckets."""
        layouts = {tuple(Index(salt).set(b"a", 1).buckets) for salt in (b"one", b"two", b"three")}
        assert len(layouts) == 3

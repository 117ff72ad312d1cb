"""`record`: what a record promises, whichever constructor it has."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

import attrs
import cattrs
import hypothesis
import pytest
from hypothesis import strategies as st

from mina_p2p.record import Record, builder, field_names, record, record_fields, setter

T = TypeVar("T")


@record
class Point(Record):
    x: int
    y: int = 7

    kind: ClassVar[str] = "point"

    @property
    def sum(self) -> int:
        return self.x + self.y

    @classmethod
    def origin(cls) -> Point:
        return cls(0, 0)


@record
class Nested(Record):
    """Records all the way down, a private name, an alias, a keyword-only field and a factory."""

    point: Point
    _secret: str
    number: int = attrs.field(alias="no")
    tags: list[str] = attrs.Factory(list)
    last: int = attrs.field(default=3, kw_only=True)


@record
class Checked(Record):
    """Has a validator and a converter, so attrs makes its constructor."""

    amount: int = attrs.field(converter=int)
    limit: int = attrs.field(default=10, validator=attrs.validators.ge(0))


@record
class Finished(Record):
    """Has a post-init hook, so attrs makes its constructor."""

    amount: int

    def __attrs_post_init__(self) -> None:
        if self.amount < 0:
            raise ValueError("negative")


@record
class Box(Record, Generic[T]):
    content: T


@record
class Empty(Record):
    pass


@record
class Awkward(Record):
    """Fields called as a compiled function might call its own variables."""

    new: int
    cls: int
    value: int = 1
    made: int = 2


@record
class Row(Sequence[int], Record):
    """A record may have bases that only bring methods."""

    numbers: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        return self.numbers[index]


SAMPLES = [
    Point(1, 2),
    Nested(Point(1), "s", 5, ["a"], last=9),
    Checked(4, 5),
    Finished(6),
    Box((1, 2)),
    Empty(),
    Awkward(1, 2, 3, 4),
    Row((1, 2, 3)),
]
each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: type(s).__name__)


def test_constructor_takes_fields_by_position_and_by_name():
    assert (Point(1, 2).x, Point(1, 2).y) == (1, 2)
    assert Point(y=2, x=1) == Point(1, 2)
    assert Nested(point=Point(1), secret="s", no=5).number == 5


def test_constructor_refuses_what_its_signature_does_not_allow():
    for wrong in (Point, lambda: Point(1, 2, 3), lambda: Point(1, z=2), lambda: Nested(Point(1), "s", 5, [], 9)):
        with pytest.raises(TypeError):
            wrong()
    assert list(inspect.signature(Nested).parameters) == ["point", "secret", "no", "tags", "last"]


def test_defaults_and_factories_are_applied_each_time():
    assert Point(1).y == 7
    first, second = Nested(Point(1), "s", 5), Nested(Point(1), "s", 5)
    assert first.tags == [] == second.tags
    assert first.tags is not second.tags
    assert first.last == 3


def test_a_default_may_depend_on_the_fields_before_it():
    @record
    class Doubled(Record):
        x: int
        twice: int = attrs.field()

        @twice.default
        def _twice(self) -> int:
            return self.times(2)

        def times(self, factor: int) -> int:
            return factor * self.x

    assert Doubled(4) == Doubled(4, 8)
    assert Doubled(4).replace(x=5) == Doubled(5, 8), "a copy keeps what it was not told to change"


def test_fields_may_be_called_as_the_generated_code_calls_its_own_variables():
    assert Awkward(1, 2).replace(new=5, made=6) == Awkward(5, 2, 1, 6)
    assert setter(Awkward, "value")(Awkward(1, 2), 9) == Awkward(1, 2, 9)


@each_sample
def test_the_class_of_a_record_is_the_record_itself(sample: Any):
    """Nothing of the subclass in which it is filled remains."""
    assert type(sample) is sample.__class__
    assert type(sample) in {Point, Nested, Checked, Finished, Box, Empty, Awkward, Row}
    assert type(sample.replace()) is type(sample)
    assert "Building" not in repr(sample)
    assert not hasattr(sample, "__dict__")
    assert not hasattr(sample, "__weakref__")


@each_sample
def test_nothing_can_be_set_or_deleted(sample: Any):
    before = copy.deepcopy(sample)
    for name in [*field_names(type(sample)), "other", "__class__"]:
        with pytest.raises((AttributeError, TypeError)):
            setattr(sample, name, 1)
        with pytest.raises((AttributeError, TypeError)):
            delattr(sample, name)
    assert sample == before


def test_equality_and_hash_are_by_value_and_class():
    assert Point(1, 2) == Point(1, 2) != Point(1, 3)
    assert hash(Point(1, 2)) == hash(Point(1, 2))
    assert len({Point(1, 2), Point(1, 2), Point(2, 1)}) == 2
    assert Box(1) != Point(1)
    assert Box(Point(1)) == Box(Point(1))


def test_repr_reads_like_the_constructor_call():
    assert repr(Point(1, 2)) == "Point(x=1, y=2)"


@each_sample
def test_pickle_and_copies_are_equal_records(sample: Any):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(sample, protocol))
        assert again == sample
        assert type(again) is type(sample)
    for again in (copy.copy(sample), copy.deepcopy(sample)):
        assert again == sample
        assert again is not sample or type(sample) is Empty


def test_a_deep_copy_shares_nothing_mutable_and_a_copy_does():
    nested = Nested(Point(1), "s", 5, ["a"])
    assert copy.deepcopy(nested).tags is not nested.tags
    assert copy.copy(nested).tags is nested.tags


@each_sample
def test_replace_without_changes_is_an_equal_copy(sample: Any):
    again = sample.replace()
    assert again == sample
    assert again is not sample


@hypothesis.given(st.integers(), st.integers(), st.integers())
def test_replace_changes_the_named_fields_only(x: int, y: int, new: int):
    point = Point(x, y)
    assert point.replace(x=new) == Point(new, y)
    assert point.replace(y=new) == Point(x, new)
    assert point.replace(y=new, x=new) == Point(new, new)
    assert point == Point(x, y), "the original stays as it was"


def test_replace_shares_what_it_keeps():
    nested = Nested(Point(1), "s", 5, ["a"])
    again = nested.replace(no=6)
    assert again.tags is nested.tags
    assert again.point is nested.point
    assert again == Nested(Point(1), "s", 6, ["a"])
    assert nested.replace(secret="t")._secret == "t"


def test_replace_takes_keyword_arguments_of_known_fields_only():
    for sample in (Point(1), Checked(1)):
        with pytest.raises(TypeError):
            sample.replace(1)
        with pytest.raises(TypeError):
            sample.replace(unknown=1)
    with pytest.raises(TypeError):
        Nested(Point(1), "s", 5).replace(number=6)


def test_replace_is_what_copy_replace_of_later_pythons_calls():
    assert Point(1).__replace__(y=2) == Point(1, 2)


def test_validators_and_converters_run_in_the_constructor_and_in_replace():
    assert Checked("4").amount == 4
    assert Checked(4).replace(amount="5") == Checked(5)
    for wrong in (
        lambda: Checked(1, -1),
        lambda: Checked(1).replace(limit=-1),
        lambda: Finished(-1),
        lambda: Finished(1).replace(amount=-1),
    ):
        with pytest.raises(ValueError, match=r"must be >= 0|negative"):
            wrong()


def test_setter_changes_just_its_fields():
    put_y = setter(Point, "y")
    swap = setter(Point, "y", "x")
    point = Point(1, 2)
    assert put_y(point, 5) == Point(1, 5)
    assert swap(point, 8, 9) == Point(9, 8)
    assert point == Point(1, 2)
    assert type(put_y(point, 5)) is Point
    with pytest.raises(AttributeError, match="no field 'z'"):
        setter(Point, "x", "z")
    with pytest.raises(TypeError):
        put_y(point)


def test_builder_is_the_constructor():
    assert builder(Point)(1) == Point(1)
    assert builder(Nested)(Point(1), secret="s", no=5, last=4) == Nested(Point(1), "s", 5, last=4)
    assert type(builder(Point)(1, 2)) is Point
    assert builder(Empty)() == Empty()
    assert builder(Checked)("4", limit=2) == Checked(4, 2), "also where attrs made it"
    with pytest.raises(TypeError):
        builder(Point)()


def test_records_are_final():
    for base in (Point, Checked, Empty, Box):
        with pytest.raises(TypeError, match="final"):
            type("Derived", (base,), {})


def test_a_record_derives_from_record():
    with pytest.raises(TypeError, match="must derive from Record"):

        @record
        class Alone:
            x: int


def test_bases_hold_no_fields_and_no_slots():
    class WithSlot:
        __slots__ = ("a",)

    class WithDict:
        pass

    class WithAnnotation(Record):
        __slots__ = ()
        inherited: int

    class WithMethod(Record):
        __slots__ = ()
        constant: ClassVar[int] = 5

        def double(self: Any) -> int:
            return 2 * self.x

    for wrong in (WithSlot, WithDict, WithAnnotation):
        with pytest.raises(TypeError, match="holds fields or lacks __slots__"):
            record(type("Wrong", (wrong, Record) if wrong is not WithAnnotation else (wrong,), {"__annotations__": {"x": int}}))
    good = record(type("Good", (WithMethod,), {"__annotations__": {"x": int}}))
    assert good(4).double() == 8
    assert good.constant == 5


@pytest.mark.parametrize("name", ["__init__", "__new__", "__reduce__", "__replace__", "replace"])
def test_a_record_does_not_write_what_the_decorator_makes(name: str):
    with pytest.raises(TypeError, match=f"defines {name}"):
        record(type("Own", (Record,), {"__annotations__": {"x": int}, name: lambda self: None}))


def test_every_field_is_an_argument():
    with pytest.raises(TypeError, match=r"Half\.y is no argument"):

        @record
        class Half(Record):
            x: int
            y: int = attrs.field(init=False, default=1)


def test_replace_of_a_class_that_lacks_the_decorator_says_so():
    class Forgotten(Record):
        x: int = 1

    with pytest.raises(TypeError, match="not decorated with @record"):
        Forgotten().replace()


def test_field_names_and_fields():
    assert field_names(Nested) == ("point", "_secret", "number", "tags", "last")
    assert [field.alias for field in record_fields(Nested)] == ["point", "secret", "no", "tags", "last"]
    with pytest.raises(attrs.exceptions.NotAnAttrsClassError):
        record_fields(int)


def test_match_by_position_and_by_name():
    match Nested(Point(1, 2), "s", 5):
        case Nested(Point(x, y=2), number=number):
            assert (x, number) == (1, 5)
        case _:
            pytest.fail("no match")
    match Point(1, 2):
        case Box():
            pytest.fail("a point is no box")
        case Point(1, 3):
            pytest.fail("the second field is 2")
        case Point():
            pass


def test_generic_records_can_be_parametrised():
    assert Box[int](5) == Box(5)
    assert type(Box[int](5)) is Box
    assert Box[str]("a").replace(content="b") == Box("b")


def test_methods_properties_and_super_work():
    @record
    class Loud(Record):
        x: int

        def shout(self) -> str:
            return super().__repr__() and f"{self.x}!"

    assert Point(1, 2).sum == 3
    assert Point.origin() == Point(0, 0)
    assert Point.kind == "point"
    assert Loud(5).shout() == "5!"


def test_sequence_methods_of_a_base_work():
    assert list(Row((1, 2))) == [1, 2]
    assert Row((1, 2)).index(2) == 1


@hypothesis.given(st.builds(Point, st.integers(), st.integers()))
def test_cattrs_round_trip(point: Point):
    converter = cattrs.Converter()
    assert converter.structure(converter.unstructure(point), Point) == point


def test_hypothesis_draws_records_from_their_types():
    """Its support for attrs needs annotations that are types; `attrs.resolve_types` makes them so."""
    attrs.resolve_types(Point)
    seen: list[Point] = []

    @hypothesis.settings(max_examples=20, database=None)
    @hypothesis.given(st.from_type(Point))
    def draw(point: Point) -> None:
        seen.append(point)

    draw()
    assert all(type(point) is Point for point in seen)
    assert len({point.x for point in seen}) > 1


def test_an_exception_while_filling_leaves_no_half_made_record():
    @record
    class Fragile(Record):
        x: int
        y: int = attrs.Factory(lambda: 1 // 0)

    with pytest.raises(ZeroDivisionError):
        Fragile(1)
    assert Fragile(1, 2).x == 1

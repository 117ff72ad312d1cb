"""A machine whose actions are trees: what each does is told by what it leads to."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from mina_p2p.errors import CallerError
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Attempt, Clock, FollowUps, Machine, Slice, Steps

NOW = Timestamp(1_000)


@record
class Tree(Record):
    """An action that leads to the actions it carries."""

    name: str
    children: tuple[Any, ...] = ()


@record
class Add(Record):
    """Adds to the counter; refused once the counter has reached ``below``."""

    amount: int
    below: int = 1_000_000

    def is_enabled(self, state: Root, _now: Timestamp) -> bool:
        return state.counter.value < self.below

    def why_refused(self, state: Root, _now: Timestamp) -> str:
        return f"the counter is at {state.counter.value}"


@record
class Later(Record):
    """Enabled from a time on; gives no reason."""

    start: int

    def is_enabled(self, _state: Root, now: Timestamp) -> bool:
        return now >= self.start


@record
class Loop(Record):
    """Leads to ``count`` more of its kind, one after the other."""

    count: int


@record
class Break(Record):
    """Its reducer fails, or returns what it must not."""

    how: str


@record
class Over(Record):
    """Reduced over the whole root."""

    amount: int


@record
class Send(Record):
    """An effect."""

    payload: str


@record
class GuardedSend(Record):
    """An effect with a guard."""

    payload: str

    def is_enabled(self, state: Root, _now: Timestamp) -> bool:
        return state.counter.value > 0


@record
class Unknown(Record):
    """In no table."""


@record
class Counter(Record):
    value: int = 0
    seen_at: int = 0


@record
class Journal(Record):
    names: tuple[str, ...] = ()


@record
class Root(Record):
    clock: Clock = Clock()
    counter: Counter = Counter()
    journal: Journal = Journal()


def reduce_counter(state: Counter, action: Any, now: Timestamp, root: Root) -> tuple[Counter, FollowUps]:
    assert root.counter is state
    match action:
        case Add(amount=amount):
            return state.replace(value=state.value + amount, seen_at=now), ()
        case Later():
            return state.replace(seen_at=now), ()
        case Loop(count=0):
            return state, ()
        case Loop(count=count):
            return state, (Loop(count - 1),)
        case Break(how="key"):
            return {}["missing"], ()
        case Break(how="unknown"):
            return state, (Unknown(),)
        case Break(how="unknown attempt"):
            return state, (Attempt(Unknown(), Send("x")),)
        case Break(how="caller"):
            raise CallerError("this command makes no sense now")
        case Break(how="deep"):
            return reduce_counter(state, action, now, root)
        case Break(how="after"):
            return state.replace(value=99), (Break("zero"),)
        case Break(how="nothing"):
            return None  # type: ignore[return-value]
        case Break():
            return 1 // 0, ()
        case _:
            raise AssertionError


def reduce_journal(state: Journal, action: Tree, _now: Timestamp, _root: Root) -> tuple[Journal, FollowUps]:
    return state.replace(names=(*state.names, action.name)), action.children


def reduce_over(state: Root, action: Over, _now: Timestamp) -> tuple[Root, FollowUps]:
    return state.replace(counter=state.counter.replace(value=action.amount)), [Tree("over")]


def machine(**keywords: Any) -> Machine[Root]:
    return Machine(
        Root,
        slices=[
            Slice("counter", [Add, Later, Loop, Break], reduce_counter),
            Slice("journal", [Tree], reduce_journal),
        ],
        reducers=[(Over, reduce_over)],
        effects=[Send, GuardedSend],
        **keywords,
    )


MACHINE = machine()


def run(action: Any, state: Root | None = None, now: Timestamp = NOW) -> tuple[Root, list[Any], Steps]:
    return MACHINE.dispatch(state or Root(), action, now)


TREES = st.recursive(
    st.builds(Tree, st.text("ab", max_size=2)),
    lambda children: st.builds(Tree, st.text("ab", max_size=2), st.lists(children, max_size=4).map(tuple)),
    max_leaves=30,
)

"""What is due comes in the order of its time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.ids import Timestamp
from mina_p2p.testing.agenda import BUCKET_BITS, Agenda

TIMES = st.integers(0, 5 << BUCKET_BITS)


@given(st.lists(st.one_of(TIMES, st.none())))
def test_things_come_by_time_and_then_as_they_were_added(script: list[int | None]) -> None:
    """Whatever is added in between, earlier or later than what was taken: always the first of what is left is next."""
    agenda: Agenda[int] = Agenda()
    left: list[tuple[int, int]] = []
    for number, at in enumerate([*script, *([None] * len(script))]):
        if at is not None:
            agenda.add(Timestamp(at), number)
            left.append((at, number))
        elif left:
            first = min(left)
            left.remove(first)
            assert agenda.next_at() == first[0]
            assert agenda.pop() == first
    assert agenda.next_at() is None
    with pytest.raises(LookupError):
        agenda.pop()

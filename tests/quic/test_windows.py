"""An answer's window grows where the path is long, and nowhere else."""

from __future__ import annotations

import pytest

from mina_p2p_effects.transports.quic.credit import Credit, CreditBook

WINDOW, WINDOW_MAX, TOTAL = 256 * 1024, 2 * 1024 * 1024, 8 * 1024 * 1024
LONG, SHORT = 0.1, 0.002


def consume_all(book: CreditBook, credit: Credit, round_trip: float, *, between: float, times: int) -> list[int]:
    """A sender that uses half of what is open, ``between`` seconds after each announcement; what was open after each."""
    opened: list[int] = []
    now = 100.0
    for _ in range(times):
        book.extend(credit, 4, now, lambda: round_trip)
        opened.append(credit.granted - credit.consumed)
        assert book.outstanding == opened[-1] <= TOTAL
        book.consume(credit, opened[-1] - opened[-1] // 2 + 1)
        now += between
    return opened


def test_it_doubles_while_it_is_the_limit() -> None:
    """Announcements within two round trips: 256 KiB, 512 KiB, 1 MiB, 2 MiB, and no more."""
    opened = consume_all(CreditBook(window=WINDOW, window_max=WINDOW_MAX, total=TOTAL), Credit(1 << 30), LONG, between=0.05, times=8)
    assert opened == [WINDOW, 2 * WINDOW, 4 * WINDOW, *[WINDOW_MAX] * 5]


@pytest.mark.parametrize(
    ("round_trip", "between", "why"),
    [(LONG, 0.21, "the sender is slower than the window"), (SHORT, 0.0001, "a short path brings as much as we can take")],
)
def test_it_stays_where_it_is_not_the_limit(round_trip: float, between: float, why: str) -> None:
    """The sender is slower than the window, or the path is short."""
    opened = consume_all(
        CreditBook(window=WINDOW, window_max=WINDOW_MAX, total=TOTAL), Credit(1 << 30), round_trip, between=between, times=8
    )
    assert set(opened) == {WINDOW}, why


def test_without_a_maximum_it_is_constant() -> None:
    """As the configuration wants it."""
    opened = consume_all(CreditBook(window=WINDOW, total=TOTAL), Credit(1 << 30), LONG, between=0.0, times=8)
    assert set(opened) == {WINDOW}


def test_the_share_of_the_connection_stays_the_bound() -> None:
    """Ten answers of which each could have 2 MiB have 8 MiB together, and the permission is exact whatever the window."""
    book = CreditBook(window=WINDOW, window_max=WINDOW_MAX, total=TOTAL)
    answers = [Credit(WINDOW * 40 + 7) for _ in range(10)]
    now = 1.0
    for _ in range(200):
        for stream, credit in enumerate(answers):
            book.extend(credit, stream, now, lambda: LONG)
            assert credit.granted <= credit.permitted
            assert credit.granted - credit.consumed <= WINDOW_MAX
            assert book.outstanding <= TOTAL
            book.consume(credit, (credit.granted - credit.consumed + 1) // 2)
        book.serve(now)
        now += 0.01
    assert [credit.granted for credit in answers] == [WINDOW * 40 + 7] * 10

"""`search` finds exactly what a look at every action finds, in both directions, and stops when told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trace_machine as tm

from mina_p2p.errors import CallerError
from mina_p2p_effects.logs import LogAction, LogSession, Query, find, open_session, search

CASES: list[tuple[Query, Callable[[LogAction, Any], bool]]] = [
    (Query(), lambda row, _content: True),
    (Query(kind="Ack"), lambda row, _content: row.kind == "Ack"),
    (Query(kind="A*, Disc*"), lambda row, _content: row.kind.startswith(("A", "Disc"))),
    (Query(kind="NoSuchKind"), lambda row, _content: False),
    (Query(is_input=True), lambda row, _content: row.depth == 0),
    (Query(kind="Ask", is_input=False), lambda row, _content: row.kind == "Ask" and row.depth > 0),
    (Query(is_refused=True), lambda row, _content: row.depth == 0 and bool(row.refused)),
    (Query(text=r"get next|VIOLATION"), lambda row, content: bool(re.search("get next|VIOLATION", repr(content)))),
    (Query(text=r"connection_id=3\b", kind="Take"), lambda row, content: row.kind == "Take" and content.connection_id == 3),
    (Query(peer="#4"), lambda row, content: getattr(content, "connection_id", None) == 4),
]


@pytest.mark.parametrize(("query", "is_match"), CASES, ids=lambda value: repr(value)[:60] if isinstance(value, Query) else "")
def test_a_search_finds_what_is_there(log_path: Path, query: Query, is_match: Callable[[LogAction, Any], bool]) -> None:
    """From any place, forward and back."""
    with open_session(log_path) as session:
        expected = [row.position for row in session.actions() if is_match(row, session.content(row.position))]
        assert [row.position for row in search(session, query)] == expected
        assert [row.position for row in search(session, query, session.count, backward=True)] == expected[::-1]
        middle = session.count // 2
        assert [row.position for row in search(session, query, middle)] == [at for at in expected if at >= middle]
        assert [row.position for row in search(session, query, middle, backward=True)] == [at for at in expected if at <= middle][::-1]
        assert find(session, query) == (expected[0] if expected else None)


def test_a_peer_is_found_by_its_id_and_by_its_connections(log_path: Path) -> None:
    """What names the peer, and what names only a connection with it, also where the search begins behind the connecting."""
    with open_session(log_path) as session:
        peer = tm.peer_id(5)
        expected = [row.position for row in session.actions() if is_about(session, row, peer)]
        assert len(expected) > 6
        assert [row.position for row in search(session, Query(peer=str(peer)))] == expected
        middle = expected[len(expected) // 2]
        assert [row.position for row in search(session, Query(peer=str(peer)), middle)] == [at for at in expected if at >= middle]


def is_about(session: LogSession, row: LogAction, peer: Any) -> bool:
    content = session.content(row.position)
    if isinstance(content, tm.Connected):
        return content.peer_id == peer
    connection = getattr(content, "connection_id", None)
    peers = session.state_before(row.position).net.peers
    return connection in peers and peers[connection].peer_id == peer


def test_times_bound_a_search(log_path: Path) -> None:
    """From a time, and before another."""
    with open_session(log_path) as session:
        times = [row.time for row in session.actions()]
        since, until = times[len(times) // 3], times[2 * len(times) // 3]
        expected = [at for at, time in enumerate(times) if since <= time < until]
        assert [row.position for row in search(session, Query(since=since, until=until))] == expected


def test_a_search_stops_when_told(log_path: Path) -> None:
    """Asked between chunks."""
    with open_session(log_path) as session:
        asked: list[int] = []
        assert find(session, Query(kind="NoSuchKind"), stop=lambda: bool(asked.append(1))) is None
        assert len(asked) > 5
        assert find(session, Query(), stop=lambda: True) is None


@pytest.mark.parametrize("backward", [False, True])
def test_a_search_says_how_far_it_is(log_path: Path, backward: bool) -> None:
    """As a share of what is to be searched, from where it began to where it ends, in either direction."""
    with open_session(log_path) as session:
        for start in (session.count // 2, session.count - 1 if backward else 0):
            shares: list[float] = []
            assert find(session, Query(text="no such text"), start, backward=backward, progress=shares.append) is None
            assert shares == sorted(shares)
            assert len(set(shares)) > 3
            assert shares[0] < 0.2
            assert 0.6 < shares[-1] <= 1


def test_a_text_is_found_in_what_can_be_replayed_of_a_changed_log(log_path: Path) -> None:
    """Where the machine does something else than the log, what came before in the block is searched, and inputs are all."""

    def silent(state: Any, action: Any, now: Any) -> Any:
        if isinstance(action, tm.Ack) and state.net.acks == 7:
            return state, ()
        return tm.reduce(state, action, now)

    with open_session(log_path) as session, open_session(log_path, machine=tm.make_machine(silent)) as changed:
        query = Query(text="connection_id")
        right, wrong = ([row.position for row in search(opened, query)] for opened in (session, changed))
        inputs = [row.position for row in search(session, query) if row.is_input]
    assert set(inputs) < set(wrong) <= set(right)


def test_a_pattern_that_is_none_is_the_callers_fault(log_path: Path) -> None:
    """Said at once, with the pattern."""
    with open_session(log_path) as session, pytest.raises(CallerError, match="regular expression"):
        find(session, Query(text="("))

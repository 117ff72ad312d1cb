"""Searches by kind, peer, text, refusal and violation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mina_p2p.errors import CallerError
from mina_p2p_effects.debugger.looking import By, look
from mina_p2p_effects.logs import LogSession, open_session


@pytest.fixture(scope="module")
def session(log: Path) -> Iterator[LogSession]:
    with open_session(log) as opened:
        yield opened


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("part", ["poolins", "ConnectionOutgoing", "checktimeouts"])
def test_kind(session: LogSession, part: str, backward: bool) -> None:
    """Any part of a kind's name finds the nearest one, whatever the case."""
    start = session.count // 2
    order = range(start, -1, -1) if backward else range(start, session.count)
    expected = next((i for i in order if part.lower() in session.action(i).kind.lower()), None)
    found = look(session, By.KIND, part, start, backward=backward)
    assert (found.position if found else None) == expected


def test_unknown_kind(session: LogSession) -> None:
    """A name that no kind has is found nowhere, not everywhere."""
    assert look(session, By.KIND, "no such kind", 0) is None


def test_peer(session: LogSession) -> None:
    """A peer is found by how its id begins."""
    ready = look(session, By.KIND, "PeerConnected", 0)
    assert ready is not None
    peer_id = str(session.content(ready.position).peer_id)
    found = look(session, By.PEER, peer_id[:10], 0)
    assert found is not None
    assert found.position <= ready.position


def test_text_is_a_regular_expression(session: LogSession) -> None:
    """Text is looked for in the action as it is printed; what is no expression is refused."""
    found = look(session, By.TEXT, r"channel=<channelid\.best_tip", 0)
    assert found is not None
    assert "ChannelId.BEST_TIP" in repr(session.content(found.position))
    with pytest.raises(CallerError):
        look(session, By.TEXT, "(", 0)


def test_violation(session: LogSession) -> None:
    """A violation is a connection that was ended because its peer broke the protocol."""
    found = look(session, By.VIOLATION, "", 0)
    assert found is not None
    assert session.content(found.position).reason.code.is_violation
    assert look(session, By.TROUBLE, "", 0) == found
    before = look(session, By.VIOLATION, "", session.count - 1, backward=True)
    assert before is not None
    assert before.position >= found.position


def test_refusals_forward_and_back(session: LogSession) -> None:
    """Going through refusals and back meets the same ones."""
    forward: list[int] = []
    start = 0
    while (found := look(session, By.REFUSAL, "", start)) is not None and len(forward) < 20:
        forward.append(found.position)
        start = found.position + 1
    backward: list[int] = []
    start = forward[-1]
    while start >= 0 and (found := look(session, By.REFUSAL, "", start, backward=True)) is not None:
        backward.append(found.position)
        start = found.position - 1
    assert backward == forward[::-1]


def test_a_stopped_search_finds_nothing(session: LogSession) -> None:
    """A search ends where it is told to."""
    assert look(session, By.TEXT, "PeerBanned", 0, stop=lambda: True) is None
    assert look(session, By.REFUSAL, "", 0, stop=lambda: True) is None

"""The protocol between the interface and the server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p_effects.devtools.socketcluster import CONNECTION, Asked, Conversation, Started, publish


def said(talk: Conversation, message: Any) -> tuple[list[Any], list[Started | Asked]]:
    replies, wants = talk.receive(json.dumps(message))
    return [json.loads(reply) for reply in replies], wants


def test_a_conversation() -> None:
    """Handshake, log-in, subscription, start, and a move of the slider, as the interface does them."""
    talk = Conversation("browser")
    replies, _ = said(talk, {"event": "#handshake", "data": {"authToken": None}, "cid": 1})
    assert replies[0]["rid"] == 1
    assert replies[0]["data"]["id"] == "browser"
    assert replies[0]["data"]["pingTimeout"] > 0
    assert said(talk, {"event": "login", "data": {}, "cid": 2}) == ([{"rid": 2, "data": "log"}], [])
    assert said(talk, {"event": "#subscribe", "data": {"channel": "log"}, "cid": 3}) == ([{"rid": 3, "data": None}], [])
    assert talk.is_subscribed
    assert said(talk, {"event": "respond", "data": {"type": "START"}}) == ([], [Started()])
    jump = {"type": "JUMP_TO_ACTION", "actionId": 7}
    moved = said(talk, {"event": f"sc-{CONNECTION}", "data": {"type": "DISPATCH", "action": jump, "instanceId": CONNECTION}})
    assert moved == ([], [Asked("DISPATCH", jump)])
    assert json.loads(publish('{"a":1}')) == {"event": "#publish", "data": {"channel": "log", "data": {"a": 1}}}


@pytest.mark.parametrize(
    "message",
    [
        {"event": "#subscribe", "data": {"channel": "other"}, "cid": 1},
        {"event": "getReport", "data": 5, "cid": 1},
        {"event": "x", "cid": 1},
    ],
)
def test_what_is_not_offered_is_refused(message: Any) -> None:
    """A call that is not served gets an error, not silence."""
    talk = Conversation("browser")
    replies, wants = said(talk, message)
    assert replies[0]["error"]["message"]
    assert not wants
    assert not talk.is_subscribed


@given(
    st.text()
    | st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)).map(json.dumps)
)
def test_anything_may_come(text: str) -> None:
    """Whatever a page sends, nothing is raised and nothing is done."""
    assert Conversation("browser").receive(text)[1] == []


@pytest.mark.parametrize("text", ["", "#2", "[" * 100_000, "null", '{"event": 5}', '{"event": "respond", "data": {"type": 5}}'])
def test_malformed_messages(text: str) -> None:
    """A pong, and messages that are none, are passed over."""
    assert Conversation("browser").receive(text) == ([], [])

"""Negotiation: tokens, both pipelining habits, two dialers, malformed and hostile input."""

from __future__ import annotations

from collections import deque
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libp2p.pairs import vectors_of
from mina_p2p.wire.varint import write_varint
from mina_p2p_effects.transports.libp2p.faults import Fault, LayerError
from mina_p2p_effects.transports.libp2p.multistream import (
    HEADER,
    PROPOSALS_MAX,
    REFUSAL,
    SIMULTANEOUS,
    TOKEN_BYTES_MAX,
    Agreed,
    Chooser,
    Proposer,
    TokenReader,
    encode_token,
)


def tokens(*texts: str) -> bytes:
    return b"".join(map(encode_token, texts))


def sent(machine: Chooser | Proposer) -> bytes:
    out = bytes(machine.to_send)
    machine.to_send.clear()
    return out


@pytest.mark.parametrize("found", vectors_of("multistream"), ids=lambda v: v["name"])
def test_tokens_of_the_vectors(found: dict):
    text = found["text"]
    assert encode_token(text) == found["hex"]
    reader = TokenReader()
    reader.feed(found["hex"] + b"x")
    assert (reader.next(), reader.take_rest()) == (text, b"x")


def test_a_dialer_says_header_and_first_choice_at_once():
    proposer = Proposer(("/noise", "/tls/1.0.0"))
    assert sent(proposer) == tokens(HEADER, "/noise")
    assert proposer.receive(tokens(HEADER, REFUSAL)) is None
    assert sent(proposer) == tokens("/tls/1.0.0")
    assert proposer.receive(tokens("/tls/1.0.0") + b"rest") == Agreed("/tls/1.0.0", b"rest", is_initiator=True)


@pytest.mark.parametrize("piece", [1, 5, 1000])
def test_a_listener_answers_the_pipelined_form_of_go_and_rust(piece: int):
    """Header, simultaneous-connect and /noise in one write: the extension is refused, /noise echoed."""
    chooser = Chooser(("/noise",))
    stream = tokens(HEADER, SIMULTANEOUS, "/noise")
    results = [chooser.receive(stream[at : at + piece]) for at in range(0, len(stream), piece)]
    assert results[-1] == Agreed("/noise", b"", is_initiator=False)
    assert not any(results[:-1])
    assert sent(chooser) == tokens(HEADER, REFUSAL, "/noise")


def test_a_dialer_whose_extension_is_refused_is_the_initiator():
    proposer = Proposer(("/noise",), nonce=7)
    assert sent(proposer) == tokens(HEADER, SIMULTANEOUS, "/noise")
    assert proposer.receive(tokens(HEADER, REFUSAL, "/noise") + b"!") == Agreed("/noise", b"!", is_initiator=True)


def converse(first: Proposer, second: Proposer | Chooser) -> tuple[Agreed | None, Agreed | None]:
    """Carry tokens both ways until nothing moves."""
    agreed: list[Agreed | None] = [None, None]
    moving = [(first, second, 1), (second, first, 0)]
    while any(machine.to_send for machine, _, _ in moving):
        pieces = [(receiver, index, sent(sender)) for sender, receiver, index in moving]
        for receiver, index, data in pieces:
            result = receiver.receive(data)
            agreed[index] = agreed[index] or result
    return agreed[0], agreed[1]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_of_two_dialers_the_larger_number_leads(mine: int, theirs: int):
    first, second = Proposer(("/noise",), mine), Proposer(("/noise",), theirs)
    if mine == theirs:
        with pytest.raises(LayerError) as caught:
            converse(first, second)
        assert caught.value.fault is Fault.EQUAL_NONCES
        return
    assert converse(first, second) == (Agreed("/noise", b"", mine > theirs), Agreed("/noise", b"", theirs > mine))


def test_the_leader_of_two_dialers_proposes_until_one_fits():
    first, second = Proposer(("/a", "/b"), 2), Proposer(("/c", "/b"), 1)
    assert converse(first, second) == (Agreed("/b", b"", is_initiator=True), Agreed("/b", b"", is_initiator=False))


@given(
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=5, unique=True),
    st.frozensets(st.sampled_from("abcdef")),
    st.none() | st.just(5),
)
def test_both_sides_agree_on_the_first_common_choice(proposed: list[str], known: frozenset[str], nonce: int | None):
    expected = next((protocol for protocol in proposed if protocol in known), None)
    proposer, chooser = Proposer(proposed, nonce), Chooser(known)
    if expected is None:
        with pytest.raises(LayerError) as caught:
            converse(proposer, chooser)
        assert caught.value.fault is Fault.NO_COMMON_PROTOCOL
        return
    assert converse(proposer, chooser) == (Agreed(expected, b"", is_initiator=True), Agreed(expected, b"", is_initiator=False))


LONGEST = "/" + "x" * (TOKEN_BYTES_MAX - 2)


def test_the_longest_token_is_taken():
    assert Chooser((LONGEST,)).receive(tokens(HEADER, LONGEST)) == Agreed(LONGEST, b"", is_initiator=False)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"\x00", Fault.TOKEN_MALFORMED),
        (b"\x80\x00", Fault.TOKEN_MALFORMED),
        (b"\x81\x00", Fault.TOKEN_MALFORMED),
        (b"\xff\xff", Fault.TOKEN_MALFORMED),
        (write_varint(TOKEN_BYTES_MAX + 1), Fault.TOKEN_MALFORMED),
        (b"\x03abc", Fault.TOKEN_MALFORMED),
        (b"\x04a\nb\n", Fault.TOKEN_MALFORMED),
        (b"\x02\xff\n", Fault.TOKEN_MALFORMED),
        (tokens("/multistream/2.0.0"), Fault.NEGOTIATION_MISUSE),
        (tokens(HEADER) + tokens("/no") * (PROPOSALS_MAX + 1), Fault.TOO_MANY_PROPOSALS),
    ],
)
@pytest.mark.parametrize("piece", [1, 10_000])
def test_a_listener_refuses_what_is_no_negotiation(data: bytes, fault: Fault, piece: int):
    chooser = Chooser(("/yes",))
    with pytest.raises(LayerError) as caught:
        deque((chooser.receive(data[at : at + piece]) for at in range(0, len(data), piece)), maxlen=0)
    assert caught.value.fault is fault


@pytest.mark.parametrize(
    ("nonce", "answers"),
    [
        (None, ("/other",)),
        (None, (SIMULTANEOUS,)),
        (5, ("/noise",)),
        (5, (SIMULTANEOUS, "/noise", "select:")),
        (5, (SIMULTANEOUS, "/noise", "select:-1")),
        (5, (SIMULTANEOUS, "/noise", "select:\N{SUPERSCRIPT TWO}")),
        (5, (SIMULTANEOUS, "/noise", f"select:{2**64}")),
        (5, (SIMULTANEOUS, "/noise", "select:" + "9" * 900)),
        (5, (SIMULTANEOUS, "/noise", "7")),
        (5, (SIMULTANEOUS, "/noise", "select:4", "initiator")),
        (5, (SIMULTANEOUS, "/noise", "select:6", "responder")),
    ],
)
def test_a_dialer_refuses_answers_that_do_not_belong_there(nonce: int | None, answers: tuple[str, ...]):
    with pytest.raises(LayerError) as caught:
        Proposer(("/noise",), nonce).receive(tokens(HEADER, *answers))
    assert caught.value.fault is Fault.NEGOTIATION_MISUSE


def test_a_dialer_that_follows_answers_a_bounded_number_of_proposals():
    start = tokens(HEADER, SIMULTANEOUS, "/noise", "select:9", "initiator")
    with pytest.raises(LayerError) as caught:
        Proposer(("/noise",), 5).receive(start + tokens("/no") * (PROPOSALS_MAX + 1))
    assert caught.value.fault is Fault.TOO_MANY_PROPOSALS


@given(st.lists(st.binary(max_size=40), max_size=10), st.booleans())
def test_any_input_agrees_or_is_a_typed_fault(pieces: list[bytes], listens: bool):
    machine = Chooser(("/noise",)) if listens else Proposer(("/noise",), 3)
    with suppress(LayerError):
        for piece in pieces:
            assert machine.receive(piece) is None or b"/noise" in b"".join(pieces)

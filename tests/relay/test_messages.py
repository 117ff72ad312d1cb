"""Gossip as bytes: real messages, what they become, and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slices.items import block, payment, snark
from support.vectors import vectors_path

from mina_p2p.errors import DecodeError
from mina_p2p.mina.gossip import EmptyDiff, GossipSnarkPoolDiff
from mina_p2p.mina.raw import RawBlock, RawSnark
from mina_p2p.relay.config import Relayed
from mina_p2p.relay.messages import block_message, kind_of, read_message, snark_message, transaction_message
from mina_p2p.wire import codec


def framed(body: bytes) -> bytes:
    """A body behind its length."""
    return len(body).to_bytes(8, "little") + body


def looked_into(data: bytes) -> object:
    """What a message holds, to the last byte."""
    found = read_message(data)
    return found.value if isinstance(found, RawBlock) else found


def recorded(name: str) -> bytes:
    """A real message."""
    return framed(vectors_path("gossip", name).read_bytes())


def test_a_real_block() -> None:
    """Its bytes are those that are pulled, and make the same message again."""
    data = recorded("new_state-359612.bin")
    found = read_message(data)
    assert isinstance(found, RawBlock)
    assert found == next(vectors_path("blocks").glob("359612-*.bin")).read_bytes()
    assert block_message(found) == data


@pytest.mark.parametrize("count", ["one", "two"])
def test_real_snark_work(count: str) -> None:
    """It becomes the pull protocol's form of it, and from that the same message but for the nonce, the last byte."""
    data = recorded(f"snark_pool_diff-{count}.bin")
    found = read_message(data)
    assert isinstance(found, RawSnark)
    assert found == vectors_path("p2p", f"snark-{count}.bin").read_bytes()
    assert snark_message(found) == data[:-1] + b"\x00"


def test_real_transactions() -> None:
    """Each in its exact bytes."""
    data = recorded("transaction_pool_diff.bin")
    found = read_message(data)
    assert isinstance(found, tuple)
    assert b"".join(found) in data
    assert len(found) == 2
    assert read_message(transaction_message(found[0])) == (found[0],)


@pytest.mark.parametrize("name", ["v2-gossip-new_state.bin", "v2-gossip-transaction_pool_diff.bin"])
def test_messages_of_an_older_network_are_none(name: str) -> None:
    """The block's own type says so only when it is looked into, as the relay does."""
    with pytest.raises(DecodeError):
        looked_into(framed(vectors_path("must_fail", name).read_bytes()))


def test_an_empty_diff_holds_nothing() -> None:
    """OCaml's type allows for it."""
    body = codec(GossipSnarkPoolDiff).encode(GossipSnarkPoolDiff(EmptyDiff(), 0))
    assert read_message(framed(b"\x01" + body)) == ()


def test_proofs_of_another_statement_are_refused() -> None:
    """The statement of one job in front of the proofs of another; both are well formed."""
    one, two = snark_message(snark(1)), snark_message(snark(2))
    at = next(n for n in range(len(one)) if one[n] != two[n])
    with pytest.raises(DecodeError, match="another statement"):
        read_message(two[: at + 1] + one[at + 1 :])


MESSAGES = {
    Relayed.BLOCK: block_message(block(1)),
    Relayed.SNARK: snark_message(snark(1)),
    Relayed.TRANSACTION: transaction_message(payment(1)),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_the_kind_is_known_without_reading_the_rest(kind: Relayed) -> None:
    assert kind_of(MESSAGES[kind]) is kind


@pytest.mark.parametrize(
    "data",
    [b"", b"\x01", bytes(8), bytes(9), framed(b""), framed(b"\x03"), framed(b"\x01"), framed(b"\x02"), framed(b"\x02\xfd\xff\xff\xff\xff")],
)
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read_message(data)


@given(st.sampled_from(sorted(MESSAGES)), st.data())
def test_a_message_that_was_damaged_is_another_one_or_none(kind: Relayed, data: st.DataObject) -> None:
    """Cut, lengthened or changed: a value or the declared error, never anything else."""
    message = MESSAGES[kind]
    at = data.draw(st.integers(0, len(message) - 1))
    for damaged in (
        message[:at],
        message + b"\x00",
        message[:at] + bytes((message[at] ^ 1 << data.draw(st.integers(0, 7)),)) + message[at + 1 :],
    ):
        try:
            found = read_message(damaged)
        except DecodeError:
            continue
        assert found != message


def test_every_kind_of_vector_is_covered() -> None:
    """A new recorded message must not be forgotten here."""
    names = {Path(path).name for path in vectors_path("gossip").iterdir()}
    assert names == {"new_state-359612.bin", "snark_pool_diff-one.bin", "snark_pool_diff-two.bin", "transaction_pool_diff.bin"}

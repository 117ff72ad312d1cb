"""Noise: vectors of whole handshakes, both muxer paths, and everything that must fail."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libp2p.pairs import ALICE, BOB, dice, vector
from mina_p2p.identity import PeerId
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.libp2p.faults import Fault, LayerError
from mina_p2p_effects.transports.libp2p.noise import (
    HANDSHAKE_BYTES_MAX,
    PLAINTEXT_BYTES_MAX,
    Established,
    Handshake,
    NoiseExtensions,
    NoisePayload,
    NoiseTransport,
    protobuf,
)

YAMUX = ("/coda/yamux/1.0.0",)


def sides(
    initiator: SecretKey = ALICE, responder: SecretKey = BOB, *, expected: PeerId | None = None, muxers: Any = (YAMUX, YAMUX)
) -> tuple[Handshake, Handshake]:
    random = dice("noise")
    first = Handshake(
        initiator, is_initiator=True, static=random(32), ephemeral=random(32), expected=expected or responder.peer_id, muxers=muxers[0]
    )
    return first, Handshake(responder, is_initiator=False, static=random(32), ephemeral=random(32), muxers=muxers[1])


def sent(side: Handshake) -> bytes:
    out = bytes(side.to_send)
    side.to_send.clear()
    return out


def established(first: Handshake, second: Handshake) -> tuple[Established, Established]:
    assert second.receive(sent(first)) is None
    mine = first.receive(sent(second))
    theirs = second.receive(sent(first))
    assert mine is not None
    assert theirs is not None
    return mine, theirs


@pytest.mark.parametrize(("name", "muxers"), [("noise_libp2p_full_plain", ()), ("noise_libp2p_full_early_muxer", YAMUX)])
@pytest.mark.parametrize("piece", [1, 100, 1000])
def test_the_handshakes_of_the_vectors(name: str, muxers: tuple[str, ...], piece: int):
    found = vector(name)
    first = Handshake(
        SecretKey(found["init_identity_seed"]),
        is_initiator=True,
        static=found["init_static"],
        ephemeral=found["init_ephemeral"],
        muxers=muxers,
    )
    second = Handshake(
        SecretKey(found["resp_identity_seed"]),
        is_initiator=False,
        static=found["resp_static"],
        ephemeral=found["resp_ephemeral"],
        muxers=muxers,
    )
    ends: list[Established] = []
    for sender, receiver, frame in ((first, second, "frame1"), (second, first, "frame2"), (first, second, "frame3")):
        data = sent(sender)
        assert data == found[frame]
        results = [receiver.receive(data[at : at + piece]) for at in range(0, len(data), piece)]
        ends += [result for result in results if result is not None]
    assert [end.peer_id.libp2p for end in ends] == [found["resp_peer_id"], found["init_peer_id"]]
    assert {end.handshake_hash for end in ends} == {found["handshake_hash"]}
    assert {end.early_muxer for end in ends} == {muxers[0] if muxers else None}
    mine, theirs = ends
    if found["first_transport_plain_i2r"] is not None:
        frame = mine.transport.encrypt([found["first_transport_plain_i2r"]])
        assert frame == found["first_transport_frame_i2r"]
        assert theirs.transport.decrypt(frame) == [found["first_transport_plain_i2r"]]


class _Bare(Handshake):
    """Noise alone, without what libp2p puts into its payloads."""

    __slots__ = ()

    def _payload(self) -> bytes:
        return b""

    def _judge(self, raw: bytes, noise_key: bytes) -> tuple[PeerId, tuple[str, ...]]:
        assert raw == b""
        return ALICE.peer_id, ()


def test_the_pattern_itself_is_that_of_another_implementation():
    """flynn/noise's vector: empty payloads, no frames."""
    found = vector("noise_xx_flynn")
    first = _Bare(ALICE, is_initiator=True, static=found["init_static"], ephemeral=found["init_ephemeral"])
    second = _Bare(BOB, is_initiator=False, static=found["resp_static"], ephemeral=found["resp_ephemeral"])
    assert first.to_send[2:] == found["msg1"]
    second.receive(sent(first))
    assert second.to_send[2:] == found["msg2"]
    mine = first.receive(sent(second))
    assert first.to_send[2:] == found["msg3"]
    theirs = second.receive(sent(first))
    assert mine is not None
    assert theirs is not None
    assert mine.transport.encrypt([found["transport_i2r_plain"]])[2:] == found["transport_i2r_cipher"]
    assert theirs.transport.encrypt([found["transport_r2i_plain"]])[2:] == found["transport_r2i_cipher"]


@pytest.mark.parametrize(
    ("first", "second", "agreed"),
    [
        (("a", "b"), ("b", "a"), "a"),
        (("x", "b"), ("b",), "b"),
        ((), ("a",), None),
        (("a",), (), None),
        (("a",), ("b",), None),
    ],
)
def test_both_sides_settle_on_the_same_muxer(first: tuple[str, ...], second: tuple[str, ...], agreed: str | None):
    """The initiator's list is walked in order; no list, or nothing in common, leaves it to multistream."""
    mine, theirs = established(*sides(muxers=(first, second)))
    assert (mine.early_muxer, theirs.early_muxer) == (agreed, agreed)


def test_transport_frames_behind_the_last_message_are_handed_on():
    first, second = sides()
    second.receive(sent(first))
    mine = first.receive(sent(second))
    assert mine is not None
    frame = mine.transport.encrypt([b"early"])
    theirs = second.receive(sent(first) + frame)
    assert theirs is not None
    assert theirs.transport.decrypt(theirs.rest) == [b"early"]


def transports() -> tuple[NoiseTransport, NoiseTransport]:
    mine, theirs = established(*sides())
    return mine.transport, theirs.transport


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 500))
def test_plaintexts_arrive_however_frames_are_cut(plaintexts: list[bytes], piece: int):
    sender, receiver = NoiseTransport(bytes(32), bytes(32)), NoiseTransport(bytes(32), bytes(32))
    wire = sender.encrypt(plaintexts)
    got: list[bytes] = []
    for at in range(0, len(wire), piece):
        got += receiver.decrypt(wire[at : at + piece])
        assert receiver.buffered < 300 + 18
    assert got == plaintexts
    assert receiver.buffered == 0


def test_the_longest_frame():
    sender, receiver = transports()
    plaintext = os.urandom(PLAINTEXT_BYTES_MAX)
    assert receiver.decrypt(sender.encrypt([plaintext])) == [plaintext]


@pytest.mark.parametrize("change", ["flip", "swap", "repeat", "drop", "reflect"])
def test_frames_that_were_tampered_with_do_not_authenticate(change: str):
    sender, receiver = transports()
    one, two = sender.encrypt([b"one"]), sender.encrypt([b"two"])
    wire = {
        "flip": one[:-1] + bytes((one[-1] ^ 1,)),
        "swap": two + one,
        "repeat": one + one,
        "drop": two,
        "reflect": receiver.encrypt([b"one"]),
    }[change]
    with pytest.raises(LayerError) as caught:
        receiver.decrypt(wire)
    assert caught.value.fault is Fault.NOISE_MAC_MISMATCH


def test_a_frame_too_short_for_its_tag_is_refused():
    _, receiver = transports()
    with pytest.raises(LayerError) as caught:
        receiver.decrypt(b"\x00\x0f" + bytes(15))
    assert caught.value.fault is Fault.NOISE_CHUNK_TOO_SHORT


def fault(side: Handshake, data: bytes) -> Fault:
    with pytest.raises(LayerError) as caught:
        side.receive(data)
    return caught.value.fault


def frame(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def test_every_changed_byte_of_the_second_message_is_noticed():
    for at in range(2, 223):
        first, second = sides()
        second.receive(sent(first))
        data = bytearray(sent(second))
        data[at] ^= 0x80
        # The top bit of an X25519 key is no part of the point, but both sides hash it.
        assert fault(first, bytes(data)) is Fault.NOISE_MAC_MISMATCH


def test_every_changed_byte_of_the_third_message_is_noticed():
    for at in range(2, 191):
        first, second = sides()
        second.receive(sent(first))
        first.receive(sent(second))
        data = bytearray(sent(first))
        data[at] ^= 1
        assert fault(second, bytes(data)) is Fault.NOISE_MAC_MISMATCH


@pytest.mark.parametrize("size", [0, 31])
def test_a_first_message_that_is_too_short(size: int):
    assert fault(sides()[1], frame(bytes(size))) is Fault.NOISE_CHUNK_TOO_SHORT


@pytest.mark.parametrize("size", [0, 95])
def test_a_second_message_that_is_too_short(size: int):
    assert fault(sides()[0], frame(bytes(size))) is Fault.NOISE_CHUNK_TOO_SHORT


@pytest.mark.parametrize("size", [0, 63])
def test_a_third_message_that_is_too_short(size: int):
    first, second = sides()
    second.receive(sent(first))
    assert fault(second, frame(bytes(size))) is Fault.NOISE_CHUNK_TOO_SHORT


def test_a_handshake_message_longer_than_any_real_one_is_refused_at_its_length():
    assert fault(sides()[1], (HANDSHAKE_BYTES_MAX + 1).to_bytes(2, "big")) is Fault.NOISE_PAYLOAD_MALFORMED


def test_a_noise_key_of_small_order_is_refused():
    assert fault(sides()[1], frame(bytes(32))) is Fault.BAD_PUBLIC_KEY


def test_another_peer_than_the_dialled_one_is_refused():
    first, second = sides(expected=SecretKey.deterministic(9).peer_id)
    second.receive(sent(first))
    assert fault(first, sent(second)) is Fault.PEER_ID_MISMATCH


def test_this_node_itself_is_refused_on_both_sides():
    first, second = sides(ALICE, ALICE)
    second.receive(sent(first))
    assert fault(first, sent(second)) is Fault.SELF_CONNECTION


class _Liar(Handshake):
    """Sends the payload it is told to."""

    __slots__ = ("lie",)

    def _payload(self) -> bytes:
        return self.lie(super()._payload())


def _changed(**changes: Any) -> Any:
    codec = protobuf(NoisePayload)
    return lambda honest: codec.encode(codec.decode(honest).replace(**changes))


RSA = bytes.fromhex("08001204deadbeef")


@pytest.mark.parametrize(
    ("lie", "expected"),
    [
        (_changed(identity_sig=bytes(64)), Fault.INVALID_SIGNATURE),
        (_changed(identity_sig=b""), Fault.INVALID_SIGNATURE),
        (_changed(identity_key=SecretKey.deterministic(5).peer_id.protobuf), Fault.INVALID_SIGNATURE),
        (_changed(identity_key=RSA), Fault.BAD_PUBLIC_KEY),
        (_changed(identity_key=b""), Fault.BAD_PUBLIC_KEY),
        (_changed(identity_key=b"\x08\x01\x12\x20" + b"\xff" * 32), Fault.INVALID_SIGNATURE),
        (lambda _: b"", Fault.NOISE_PAYLOAD_MALFORMED),
        (lambda _: b"\x0a\x7f", Fault.NOISE_PAYLOAD_MALFORMED),
        (_changed(extensions=NoiseExtensions(("m",) * 101)), Fault.NOISE_PAYLOAD_MALFORMED),
    ],
)
@pytest.mark.parametrize("liar_leads", [True, False])
def test_a_payload_that_proves_nothing(lie: Any, expected: Fault, liar_leads: bool):
    random = dice("liar")
    liar = _Liar(BOB, is_initiator=liar_leads, static=random(32), ephemeral=random(32))
    liar.lie = lie
    honest = Handshake(ALICE, is_initiator=not liar_leads, static=random(32), ephemeral=random(32), muxers=YAMUX)
    if liar_leads:
        honest.receive(sent(liar))
        liar.receive(sent(honest))
    else:
        liar.receive(sent(honest))
    assert fault(honest, sent(liar)) is expected
    assert not honest.to_send


def test_unknown_fields_of_a_payload_are_passed_over():
    random = dice("liar")
    first = _Liar(BOB, is_initiator=True, static=random(32), ephemeral=random(32))
    first.lie = lambda honest: honest + b"\x1a\x03new" + b"\x22\x02\x0a\x00"
    second = Handshake(ALICE, is_initiator=False, static=random(32), ephemeral=random(32), muxers=YAMUX)
    assert established(first, second)[1].early_muxer is None


@given(st.binary(max_size=300), st.booleans())
def test_any_input_is_a_typed_fault_or_waits(data: bytes, leads: bool):
    side = sides()[0 if leads else 1]
    with suppress(LayerError):
        assert side.receive(data) is None

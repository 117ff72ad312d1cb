"""Protobuf by declaration: vectors, properties beside another implementation, malformed input."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.vectors import vectors_path

from mina_p2p.errors import DecodeError
from mina_p2p.identity import PeerId
from mina_p2p.record import Record, record
from mina_p2p.wire import EncodeError
from mina_p2p.wire.notation import MaxBytes, MaxItems
from mina_p2p.wire.protobuf import GROUPS_DEEP_MAX, PARTS_MAX, Number, protobuf
from mina_p2p.wire.varint import write_varint


@record
class Key(Record):
    type: Annotated[int, Number(1)]
    data: Annotated[bytes, Number(2)]


@record
class Peer(Record):
    id: Annotated[bytes | None, Number(1)] = None
    addrs: Annotated[tuple[bytes, ...], Number(2), MaxItems(4)] = ()
    connection: Annotated[int | None, Number(3)] = None


@record
class Extensions(Record):
    muxers: Annotated[tuple[str, ...], Number(2), MaxItems(100)] = ()


@record
class Payload(Record):
    identity_key: Annotated[bytes, Number(1)]
    identity_sig: Annotated[bytes, Number(2)]
    extensions: Annotated[Extensions | None, Number(4)] = None


@record
class Everything(Record):
    number: Annotated[int | None, Number(1)] = None
    flag: Annotated[bool | None, Number(2)] = None
    data: Annotated[bytes | None, Number(3), MaxBytes(300)] = None
    text: Annotated[str | None, Number(4)] = None
    peer: Annotated[Peer | None, Number(5)] = None
    peers: Annotated[tuple[Peer, ...], Number(8), MaxItems(3)] = ()
    far: Annotated[int | None, Number(1000)] = None
    level: Annotated[int, Number(7)] = 9


PEERS = st.builds(
    Peer,
    id=st.none() | st.binary(max_size=40),
    addrs=st.lists(st.binary(max_size=20), max_size=4).map(tuple),
    connection=st.none() | st.integers(0, 2**64 - 1),
)
EVERYTHING = st.builds(
    Everything,
    number=st.none() | st.integers(0, 2**64 - 1),
    flag=st.none() | st.booleans(),
    data=st.none() | st.binary(max_size=300),
    text=st.none() | st.text(max_size=20),
    peer=st.none() | PEERS,
    peers=st.lists(PEERS, max_size=3).map(tuple),
    far=st.none() | st.integers(0, 300),
    level=st.integers(0, 2**64 - 1),
)


@given(EVERYTHING)
def test_what_is_written_is_read(value: Everything):
    assert protobuf(Everything).decode(protobuf(Everything).encode(value)) == value


def test_a_public_key_is_written_as_libp2p_writes_it():
    """Type and data always present, in tag order (spec: libp2p 1)."""
    key = bytes(range(32))
    assert protobuf(Key).encode(Key(1, key)) == PeerId(key).protobuf


def test_the_early_muxer_payload_of_the_vectors():
    vectors = {v["name"]: v for v in json.loads(vectors_path("libp2p.json").read_text())["vectors"]}
    raw = bytes.fromhex(vectors["noise_libp2p_full_early_muxer"]["payload_resp"])
    payload = protobuf(Payload).decode(raw)
    assert payload.extensions is not None
    assert payload.extensions.muxers == ("/coda/yamux/1.0.0",)
    assert protobuf(Payload).encode(payload) == raw


def _other_implementation() -> Any:
    descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2", reason="protobuf comes with the extra `metrics`")
    from google.protobuf import descriptor_pool, message, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="everything.proto", package="t", syntax="proto2")
    field = descriptor_pb2.FieldDescriptorProto
    peer = file.message_type.add(name="Peer")
    peer.field.add(name="id", number=1, type=field.TYPE_BYTES, label=field.LABEL_OPTIONAL)
    peer.field.add(name="addrs", number=2, type=field.TYPE_BYTES, label=field.LABEL_REPEATED)
    peer.field.add(name="connection", number=3, type=field.TYPE_UINT64, label=field.LABEL_OPTIONAL)
    whole = file.message_type.add(name="Everything")
    kinds = {"number": (1, field.TYPE_UINT64), "flag": (2, field.TYPE_BOOL), "data": (3, field.TYPE_BYTES), "text": (4, field.TYPE_STRING)}
    kinds |= {"far": (1000, field.TYPE_UINT64), "level": (7, field.TYPE_UINT64)}
    for name, (number, kind) in kinds.items():
        whole.field.add(name=name, number=number, type=kind, label=field.LABEL_OPTIONAL)
    whole.field.add(name="peer", number=5, type=field.TYPE_MESSAGE, type_name=".t.Peer", label=field.LABEL_OPTIONAL)
    whole.field.add(name="peers", number=8, type=field.TYPE_MESSAGE, type_name=".t.Peer", label=field.LABEL_REPEATED)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Everything")), message.DecodeError


def _decode(raw: bytes) -> Everything | DecodeError:
    try:
        return protobuf(Everything).decode(raw)
    except DecodeError as error:
        return error


def _plain(message: Any) -> Peer:
    return Peer(
        message.id if message.HasField("id") else None,
        tuple(message.addrs),
        message.connection if message.HasField("connection") else None,
    )


@pytest.fixture(scope="module")
def oracle() -> Any:
    return _other_implementation()


@given(st.data())
def test_it_agrees_with_the_other_implementation(oracle: Any, data: st.DataObject):
    """Any input that one takes, the other takes, and both see the same; the limits of ours aside."""
    pieces = data.draw(st.lists(EVERYTHING.map(protobuf(Everything).encode) | st.binary(max_size=6), max_size=3))
    raw = bytearray(b"".join(pieces))
    if raw and data.draw(st.booleans()):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    theirs, refusal = oracle
    theirs = theirs()
    try:
        theirs.ParseFromString(bytes(raw))
    except refusal:
        with pytest.raises(DecodeError):
            protobuf(Everything).decode(bytes(raw))
        return
    ours = _decode(bytes(raw))
    if isinstance(ours, DecodeError):
        assert any(limit in ours.reason for limit in ("more than ", "groups nested", "not UTF-8", "allowed"))
        return
    for name in ("number", "flag", "data", "text", "far"):
        assert getattr(ours, name) == (getattr(theirs, name) if theirs.HasField(name) else None)
    assert ours.level == (theirs.level if theirs.HasField("level") else 9)
    assert ours.peer == (_plain(theirs.peer) if theirs.HasField("peer") else None)
    assert ours.peers == tuple(_plain(peer) for peer in theirs.peers)


@given(st.binary(max_size=200))
def test_any_input_is_a_value_or_the_one_error(data: bytes):
    decoded = _decode(data)
    assert isinstance(decoded, Everything) or 0 <= decoded.offset <= len(data)


@given(EVERYTHING, st.data())
def test_every_cut_is_a_value_or_the_one_error(value: Everything, data: st.DataObject):
    raw = protobuf(Everything).encode(value)
    cut = raw[: data.draw(st.integers(0, len(raw)))]
    assert isinstance(_decode(cut), Everything) or cut != raw


def _message(number: int, content: bytes) -> bytes:
    return write_varint(number << 3 | 2) + write_varint(len(content)) + content


@pytest.mark.parametrize(
    ("raw", "path", "reason"),
    [
        (b"\x08", "", "the input ends here"),
        (b"\x08" + b"\x80" * 9 + b"\x02", "", "more than 64 bits"),
        (b"\x08" + b"\x80" * 20, "", "more than 64 bits"),
        (b"\x1a\x05abc", "data", "more bytes announced"),
        (b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "data", "more bytes announced"),
        (_message(3, bytes(301)), "data", "301 bytes, at most 300 allowed"),
        (_message(4, b"\xff"), "text", "not UTF-8"),
        (_message(5, _message(2, b"a") * 5), "peer.addrs", "more than 4 items"),
        (_message(5, b"\x0a\x09"), "peer.id", "more bytes announced"),
        (_message(5, b"") * (PARTS_MAX + 1), "peer", "parts"),
        (_message(8, b"") * 2 + _message(8, b"\x18"), "peers[2]", ""),
        (_message(8, b"") * 4, "peers", "more than 3 items"),
        (b"\x00\x00", "", "no field has number 0"),
        (b"\x8f\xff\xff\xff\xff\x01", "", "no field has number"),
        (b"\x36", "", "wire type 6"),
        (b"\x34", "", "an end of group 6"),
        (b"\x33\x08\x01", "", "a group does not end"),
        (b"\x33\x2c", "", "an end of group 5"),
        (b"\x33" * (GROUPS_DEEP_MAX + 1), "", "groups nested deeper"),
        (b"\x31\0\0\0", "", "over the end"),
        (b"\x35\0", "", "over the end"),
        (_message(5, b"\x18\x80") + b"\x08\x01", "peer", "over the end"),
        (_message(5, b"\x98") + b"\x38\x01", "peer", "over the end"),
    ],
)
def test_malformed_input_is_named(raw: bytes, path: str, reason: str):
    with pytest.raises(DecodeError) as caught:
        protobuf(Everything).decode(raw)
    assert caught.value.path == path
    assert reason in caught.value.reason


def test_a_required_field_must_be_there():
    with pytest.raises(DecodeError, match="data at byte 2: the field is missing"):
        protobuf(Key).decode(b"\x08\x01")


def test_unknown_fields_and_other_wire_types_are_skipped():
    raw = b"\x31" + bytes(8) + b"\x35" + bytes(4) + b"\x30\x80\x01" + b"\x33\x33\x08\x05\x34\x34" + b"\x0a\x02hi" + b"\x38\x03"
    assert protobuf(Everything).decode(raw) == Everything(level=3)


def test_the_last_one_counts_and_messages_merge():
    raw = b"\x38\x01\x38\x02" + _message(5, _message(1, b"a") + _message(2, b"x")) + _message(5, _message(2, b"y") + b"\x18\x07")
    assert protobuf(Everything).decode(raw) == Everything(level=2, peer=Peer(b"a", (b"x", b"y"), 7))


@pytest.mark.parametrize(
    "value",
    [Everything(number=-1), Everything(number=2**64), Everything(data="text"), Everything(text="\ud800"), Everything(peer=7)],
)
def test_what_can_not_be_written_raises(value: Everything):
    with pytest.raises(EncodeError):
        protobuf(Everything).encode(value)


@pytest.mark.parametrize(
    ("annotation", "complaint"),
    [
        (bytes, "needs one Number"),
        (Annotated[bytes, Number(0)], "needs one Number"),
        (Annotated[float, Number(1)], "is not int"),
        (Annotated[tuple[bytes, ...], Number(1)], "needs MaxItems"),
        (Annotated[bytes, Number(1), MaxItems(1)], "needs MaxItems"),
        (Annotated[tuple[int, ...], Number(1), MaxItems(1)], "a repeated field is"),
        (Annotated[int | bytes, Number(1)], "only T"),
        (Annotated[int, Number(1), MaxBytes(1)], "MaxBytes"),
        (Annotated[bytes, Number(2)], "same number"),
    ],
)
def test_a_declaration_that_does_not_say_how_it_travels_is_refused(annotation: Any, complaint: str):
    made = record(
        type("Odd", (Record,), {"__annotations__": {"odd": annotation, "other": Annotated[bytes, Number(2)]}, "__module__": __name__})
    )
    with pytest.raises(TypeError, match=complaint):
        protobuf(made)

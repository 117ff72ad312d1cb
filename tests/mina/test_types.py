"""Every type of the network: its layout, round trips of real and of generated values, and bytes that are wrong."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.vectors import vector_index, vectors_path, vectors_root

from mina_p2p.errors import DecodeError
from mina_p2p.mina.block import Block
from mina_p2p.mina.catalog import TYPE_NAMES, annotation_of, codec_of
from mina_p2p.mina.proof import Proof
from mina_p2p.mina.raw import RawBlock, RawUserCommand
from mina_p2p.mina.rpc import RPC_METHODS, Query, Response, query_value, response_value, rpc_method
from mina_p2p.mina.snark_work import RawSnarkWork
from mina_p2p.mina.staged_ledger import StagedLedgerAuxAndPendingCoinbases, join_parts, split_parts
from mina_p2p.wire import Raw, codec
from mina_p2p.wire.compile_skip import skipper
from mina_p2p.wire.primitives import DEPTH_MAX
from mina_p2p.wire.shapes import RecordShape, Shape, shape_of

from .values import strategy, values


def typed(statuses: tuple[str, ...] = ("block", "protocol state", "value", "gossip", "p2p channel payload", "staged ledger")) -> list[str]:
    return [name for name, entry in vector_index().items() if entry["kind"] in statuses and entry.get("type") in TYPE_NAMES]


def open_all(value: Any) -> None:
    """Decode every part that stayed bytes, however deep."""
    import attrs

    todo = [value]
    while todo:
        part = todo.pop()
        if isinstance(part, Raw):
            todo.append(part.value)
        elif isinstance(part, tuple):
            todo.extend(part)
        elif attrs.has(type(part)):
            todo.extend(getattr(part, field.name) for field in attrs.fields(type(part)))


def test_vectors_of_every_kind_are_there() -> None:
    """The parametrised test below is not empty where there are vectors."""
    vectors_path("index.json")
    assert len(typed()) > 50


@pytest.mark.parametrize("name", typed())
def test_real_bytes_round_trip(name: str) -> None:
    """Every vector is one value of its type, and encodes to the same bytes, part by part."""
    data = vectors_path(*name.split("/")).read_bytes()
    both = codec_of(vector_index()[name]["type"])
    value = both.decode(data)
    open_all(value)
    assert both.encode(value) == data
    assert both.decode(bytes(bytearray(data))) == value


@pytest.mark.parametrize("kind", ["payments", "delegations", "zkapps", "zkapps_with_proof"])
def test_real_transactions_round_trip(kind: str) -> None:
    """Commands of mainnet, decoded in full and written again."""
    for item in json.loads(vectors_path("commands", f"{kind}.json").read_text()):
        raw = RawUserCommand(base64.b64decode(item["wire_base64"]))
        open_all(raw)
        assert RawUserCommand.of(raw.value) == raw


def test_small_messages_round_trip() -> None:
    """Short channel messages."""
    for item in json.loads(vectors_path("p2p", "small_messages.json").read_text()):
        both = codec_of(item["type"])
        assert both.encode(both.decode(bytes.fromhex(item["hex"]))).hex() == item["hex"], item["what"]


RPC_FILES = [
    ("answer-sync-ledger-response-00.bin", "answer_sync_ledger_query", 3),
    ("get-best-tip-query-00.bin", "", 0),
    ("get-transition-chain-proof-query-00.bin", "", 0),
    ("get-transition-chain-proof-response-00.bin", "get_transition_chain_proof", 1),
    ("menu-query-40159.bin", "", 0),
    ("menu-response-40160.bin", "__Versioned_rpc.Menu", 1),
]


@pytest.mark.parametrize(("name", "tag", "version"), RPC_FILES)
def test_recorded_rpc_messages(name: str, tag: str, version: int) -> None:
    """Messages recorded between OCaml nodes, with the method's query or answer inside."""
    data = vectors_path("rpc", name).read_bytes()
    both = codec_of("rpc_message")
    message = both.decode(data)
    assert both.encode(message) == data
    if isinstance(message, Query):
        query_value(message)
        return
    assert isinstance(message, Response)
    method = rpc_method(tag, version)
    assert method is not None
    answer = response_value(method, message)
    assert codec(method.response).encode(answer) == message.data.data


def test_staged_ledger_answer_of_both_protocols() -> None:
    """The RPC of OCaml nodes carries the same parts as the pull protocol's answer."""
    message = codec_of("rpc_message").decode(vectors_path("staged_ledger", "rpc_response.bin").read_bytes())
    method = rpc_method("get_staged_ledger_aux_and_pending_coinbases_at_hash", 2)
    assert method is not None
    answer = response_value(method, message)
    aux = codec(StagedLedgerAuxAndPendingCoinbases).decode(vectors_path("staged_ledger", "aux_and_pending_coinbases.bin").read_bytes())
    assert answer.scan_state == aux.scan_state
    assert answer.needed_blocks == aux.needed_blocks


def test_streamed_parts_are_the_whole() -> None:
    """The parts of a streaming answer, joined, are the answer of the plain RPC, and split again are the parts."""
    aux = codec(StagedLedgerAuxAndPendingCoinbases).decode(vectors_path("staged_ledger", "aux_and_pending_coinbases.bin").read_bytes())
    names = sorted(path.name for path in vectors_path("staged_ledger").glob("stream-*.bin"))
    part_codec, stream = codec_of("StagedLedgerPartsResponse"), codec_of("StreamingRpcChannelMsg")
    from mina_p2p.channels.streaming_rpc.messages import STAGED_LEDGER_PART

    parts = []
    for name in names:
        message = stream.decode(vectors_path("staged_ledger", name).read_bytes())
        parts.append(part_codec.decode(STAGED_LEDGER_PART.encode(message.response.part)))
    base, scan_state, incomplete, *trees = parts
    assert join_parts(base, scan_state, incomplete, tuple(trees)) == aux
    assert list(split_parts(aux)) == parts
    with pytest.raises(ValueError, match="trees"):
        join_parts(base, scan_state, incomplete, tuple(trees[:-1]))


MUST_FAIL = [
    ("v2-gossip-transaction_pool_diff.bin", "GossipNetMessageV2"),
    ("v2-gossip-new_state.bin", "GossipNetMessageV2"),
]


@pytest.mark.parametrize(("name", "kind"), MUST_FAIL)
def test_recordings_of_an_older_network_are_refused(name: str, kind: str) -> None:
    """They fail at a field, and the error names it."""
    with pytest.raises(DecodeError) as caught:
        codec_of(kind).decode(vectors_path("must_fail", name).read_bytes())
    assert caught.value.path
    assert caught.value.offset > 0


def test_older_epoch_ledger_query_is_refused() -> None:
    """A query of an older version of the method is no query of the current one."""
    message = codec_of("rpc_message").decode(vectors_path("must_fail", "rpc-get-epoch-ledger-query-1.bin").read_bytes())
    with pytest.raises(DecodeError):
        query_value(message)
    method = rpc_method("get_epoch_ledger", 2)
    assert method is not None
    with pytest.raises(DecodeError):
        codec(method.query).decode(message.data)


HAND_WRITTEN = {"P2pConnectionOutgoingInitOpts", "Host", "PeerId", "SignalingMethod", "RpcChannelMsg", "P2pRpcResponse", "ChannelMsg"}
GENERATED = [name for name in TYPE_NAMES if name not in HAND_WRITTEN]
"""All but the types that hold addresses, which have tests of their own."""


@settings(max_examples=3, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("name", GENERATED)
@given(data=st.data())
def test_generated_values_round_trip(name: str, data: st.DataObject) -> None:
    """Any value of any type is written, and read back as itself."""
    both = codec_of(name)
    value = data.draw(values(both))
    assert both.decode(both.encode(value)) == value


@settings(max_examples=3, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("method", RPC_METHODS, ids=lambda method: method.tag)
@given(data=st.data())
def test_generated_rpc_values_round_trip(method: Any, data: st.DataObject) -> None:
    """The same of every method's query and answer."""
    for kind in (method.query, method.response):
        value = data.draw(strategy(shape_of(kind)))
        assert codec(kind).decode(codec(kind).encode(value)) == value


def real_block() -> bytes:
    """A block with transactions, a proof of a zkApp and snark works would be slow here; this one has 16 kB."""
    root = vectors_path("blocks")
    return min((path.read_bytes() for path in root.glob("*.bin")), key=lambda data: abs(len(data) - 16_400))


def check_total(data: bytes) -> None:
    """Decoding gives a value that encodes to these bytes, or `DecodeError`."""
    offset = 0
    try:
        block = codec(Block).decode(data)
    except DecodeError as error:
        offset = error.offset
    else:
        assert codec(Block).encode(block) == data
        open_all(block)
    assert 0 <= offset <= len(data)


def test_mutated_blocks_are_refused_or_are_other_blocks() -> None:
    """Single bytes changed all over a real block: a value or `DecodeError`, and parts that passed the check can be opened."""
    data = real_block()
    dice = random.Random(1)
    for _ in range(500):
        position = dice.randrange(len(data))
        changed = bytearray(data)
        changed[position] = dice.choice([0, 1, 2, 0x7F, 0x80, 0xFC, 0xFD, 0xFE, 0xFF, dice.randrange(256)])
        check_total(bytes(changed))


def test_truncated_blocks_are_refused() -> None:
    """Every shorter block raises `DecodeError` that points into it, and so does a longer one."""
    data = real_block()
    for size in [*range(0, len(data), 97), len(data) - 1]:
        with pytest.raises(DecodeError) as caught:
            codec(Block).decode(data[:size])
        assert caught.value.offset <= size
    with pytest.raises(DecodeError, match="behind the end"):
        codec(Block).decode(data + b"\0")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(sorted(TYPE_NAMES)))
def test_garbage_is_a_value_or_one_error(data: bytes, name: str) -> None:
    """Any bytes as any type: a value, or `DecodeError` and nothing else."""
    both = codec_of(name)
    try:
        value = both.decode(data)
    except DecodeError:
        return
    assert value == both.decode(both.encode(value))


@pytest.mark.parametrize("name", ["MinaBlockBlockStableV2", "GossipNetMessageV2", "StagedLedgerAuxAndPendingCoinbases", "P2pRpcResponse"])
def test_counts_allocate_nothing_before_they_are_checked(name: str) -> None:
    """Whatever an input of 4 kB announces, decoding holds less than a hundred times as much."""
    both = codec_of(name)
    dice = random.Random(2)
    inputs = [bytes([dice.choice([0, 1, 0xFC, 0xFD, 0xFE, 0xFF, 3]) for _ in range(4096)]) for _ in range(20)]
    inputs += [bytes(4096), b"\1" * 4096, b"\xff" * 4096]
    for data in inputs[:2]:
        with contextlib.suppress(DecodeError):  # the first call compiles
            both.decode(data)
    tracemalloc.start()
    for data in inputs:
        try:
            both.decode(data)
        except DecodeError:
            continue
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * 4096


def test_deep_nesting_is_refused_in_every_recursive_type() -> None:
    """Inputs that nest as deep as they are long end in `DecodeError`, not in a full stack."""
    ledger = b"\0\0" + (b"\2" + bytes(32)) * 10_000
    with pytest.raises(DecodeError, match="nested deeper"):
        codec_of("MinaBaseSparseLedgerBaseStableV2").decode(ledger)
    zkapp = json.loads(vectors_path("commands", "zkapps.json").read_text())[0]
    command = RawUserCommand(base64.b64decode(zkapp["wire_base64"])).value
    first = command.account_updates[0]
    item = first.replace(elt=first.elt.replace(calls=()))
    for _ in range(DEPTH_MAX // 2 - 1):  # an item and its tree are two levels
        item = item.replace(elt=item.elt.replace(calls=(item,)))
    allowed = RawUserCommand.of(command.replace(account_updates=(item,)))
    assert RawUserCommand(bytes(allowed)).value == allowed.value
    item = item.replace(elt=item.elt.replace(calls=(item,)))
    refused = RawUserCommand.of(command.replace(account_updates=(item,)))
    for kind, raw in (("MinaBaseUserCommandStableV2", refused), ("NetworkPoolTransactionPoolDiffVersionedStableV2", b"\1" + refused)):
        with pytest.raises(DecodeError, match="nested deeper"):
            codec_of(kind).decode(raw)


def skippable() -> list[tuple[str, Shape, bytes]]:
    if vectors_root() is None:
        return []
    blocks = [codec(Block).decode(path.read_bytes()) for path in sorted(vectors_path("blocks").glob("*.bin"))[:20]]
    works = [work for block in blocks for work in block.body.completed_works][:2]
    commands = [command.data for block in blocks for command in block.body.commands]
    big = sorted({len(raw): raw for raw in commands}.values(), key=len)
    parts: list[tuple[str, type[Raw[Any]], bytes]] = [
        ("proof", type(blocks[0].header.protocol_state_proof), blocks[0].header.protocol_state_proof)
    ]
    parts += [("work", RawSnarkWork, work) for work in works]
    parts += [("command", RawUserCommand, raw) for raw in (big[0], big[len(big) // 2], big[-1])]
    return [(name, shape_of(cls.kind()), bytes(raw)) for name, cls, raw in parts]


@pytest.mark.parametrize(("name", "shape", "data"), skippable(), ids=lambda x: x if isinstance(x, str) else "")
def test_skipping_accepts_what_reading_accepts(name: str, shape: Shape, data: bytes) -> None:
    """On real parts and on thousands of damaged ones, a skip ends where reading ends, or leaves the decision to it."""
    skip = skipper(shape)
    assert skip is not None
    assert skip(data, 0, 0) == len(data)
    both: Any = codec(Proof) if isinstance(shape, RecordShape) and shape.cls is Proof else None
    if both is None:
        cls = {"work": RawSnarkWork, "command": RawUserCommand}[name]
        both = codec(cls.kind())
    dice = random.Random(3)
    for _ in range(150):
        changed = bytearray(data)
        changed[dice.randrange(min(len(data), 3000))] = dice.choice([0, 1, 2, 0x7F, 0x80, 0xFC, 0xFD, 0xFE, 0xFF])
        cut = bytes(changed[: dice.choice([len(data), len(data), dice.randrange(len(data))])])
        skipped = skip(cut, 0, 0)
        try:
            _, end = both.decode_from(cut, 0)
        except DecodeError:
            assert skipped == -1
        else:
            assert skipped in {end, -1}


def test_block_is_decoded_once() -> None:
    """What a summary or a hash needed stays with the raw block."""
    raw = RawBlock(real_block())
    assert raw.value is raw.value
    command = next((command.data for command in raw.value.body.commands), None)
    if command is not None:
        assert command.value is command.value


def test_unknown_name_is_a_key_error() -> None:
    """The catalog says so where no type has a name."""
    with pytest.raises(KeyError):
        annotation_of("NoSuchType")
    assert codec_of("list of MinaBaseUserCommandStableV2").decode(b"\0") == ()

"""Hashes of real blocks, states and transactions are the published ones."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.vectors import vectors_path, vectors_root

from mina_p2p.errors import DecodeError
from mina_p2p.mina import hashes, text
from mina_p2p.mina.block import Block, BlockBody
from mina_p2p.mina.dummy_proof import dummy_transaction_proof
from mina_p2p.mina.field import FP_MODULUS
from mina_p2p.mina.poseidon import HashInput, Poseidon, hash_fields, pack, poseidon
from mina_p2p.mina.protocol_state import ProtocolState
from mina_p2p.mina.raw import RawBlock, RawSnark
from mina_p2p.mina.snark_work import Snark, job_id
from mina_p2p.mina.zkapp import ZkappCommand
from mina_p2p.wire import codec


def files(folder: str, pattern: str) -> list[str]:
    root = vectors_root()
    return [] if root is None else sorted(path.name for path in (root / folder).glob(pattern))


def test_vectors_are_there() -> None:
    """The parametrised tests below are not empty where there are vectors."""
    assert vectors_path("blocks").is_dir()
    assert len(files("blocks", "*.bin")) >= 24


@pytest.mark.parametrize("name", files("blocks", "*.bin"))
def test_hashes_of_a_real_block(name: str) -> None:
    """State hash, body reference, transaction hashes, job ids and tie breakers of mainnet blocks."""
    raw = RawBlock(vectors_path("blocks", name).read_bytes())
    expected = json.loads(vectors_path("blocks", name.replace(".bin", ".expected.json")).read_text())
    summary = hashes.block_summary(raw)
    block = raw.value
    state = block.header.protocol_state
    assert text.STATE_HASH.text(summary.state_hash) == expected["state_hash"]
    assert text.STATE_HASH.text(summary.previous_state_hash) == expected["previous_state_hash"]
    assert summary.height == expected["blockchain_length"]
    assert summary.global_slot == expected["global_slot_since_hard_fork"]
    assert text.STATE_BODY_HASH.text(hashes.state_body_hash(state.body)) == expected["state_body_hash"]
    assert hashes.body_reference(block.body).hex() == expected["body_reference"]
    assert state.body.blockchain_state.body_reference.hex() == expected["body_reference"]
    assert text.PUBLIC_KEY.text(_key(state.body.consensus_state.block_creator)) == expected["block_creator"]
    assert [hashes.transaction_id_text(hashes.transaction_hash(c.data)) for c in block.body.commands] == [
        digest for _, digest in expected["tx_hashes"]
    ]
    works = block.body.completed_works
    assert [hashes.snark_job_id_text(job_id(work.value.proofs)) for work in works] == [snark["job_id"] for snark in expected["snarks"]]
    assert [hashes.snark_tie_breaker(work.value.proofs, work.value.prover).hex() for work in works] == [
        snark["tie_breaker_hash"] for snark in expected["snarks"]
    ]


def _key(key: Any) -> bytes:
    return key.x + bytes([key.is_odd])


@pytest.mark.parametrize("name", files("protocol_states", "*.bin"))
def test_hash_of_a_real_protocol_state(name: str) -> None:
    """The file is named after the published state hash."""
    state = codec(ProtocolState).decode(vectors_path("protocol_states", name).read_bytes())
    assert text.STATE_HASH.text(hashes.state_hash(state)) == name.removesuffix(".bin").rpartition("-")[2]


@pytest.mark.parametrize("kind", ["payments", "delegations", "zkapps", "zkapps_with_proof"])
def test_transaction_hashes_are_the_published_ones(kind: str) -> None:
    """Authorizations are replaced: the hash does not depend on signatures and proofs."""
    for item in json.loads(vectors_path("commands", f"{kind}.json").read_text()):
        assert hashes.transaction_id_text(hashes.transaction_hash(base64.b64decode(item["wire_base64"]))) == item["hash"]


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("with_proof_auth.bin", "5JtkEP5AugQKKQAk3YKFxxUDggWf8AiAYyCQy49t2kLHRgPqcP8o"),
        ("with_sig_auth.bin", "5JvQ6xQeGgCTe2d4KpCsJ97yK61mNRZHixJxPbKTppY1qSGgtj6t"),
    ],
)
def test_hash_of_a_zkapp_command_file(name: str, digest: str) -> None:
    """Commands that the Rust node's tests pin; the files hold no tag byte."""
    raw = vectors_path("misc", name).read_bytes()
    assert codec(ZkappCommand).encode(codec(ZkappCommand).decode(raw)) == raw
    assert hashes.transaction_id_text(hashes.transaction_hash(b"\x01" + raw)) == digest


def test_dummy_proof_is_the_networks() -> None:
    """The proof that the library builds by counting is byte for byte the network's."""
    assert dummy_transaction_proof() == vectors_path("misc", "dummy_transaction_proof.bin").read_bytes()
    assert len(dummy_transaction_proof()) == 10_368


def test_chain_proof_leads_from_root_to_tip() -> None:
    """Body hashes of a recorded best-tip proof give the tip's state hash."""
    answer = json.loads(vectors_path("p2p-json", "best_tip_with_proof_response.json").read_text())["BestTipWithProof"]
    start = text.STATE_HASH.parse(answer["best_tip"]["header"]["protocol_state"]["previous_state_hash"])
    bodies = tuple(bytes.fromhex(item[2:])[::-1] for item in answer["proof"][0])
    expected = "3NK7T1MeiFA4ALVxqZLuGrWr1PeufYQAm9i1TfMnN9Cu6U5crhot"
    assert text.STATE_HASH.text(hashes.chain_proof_end(start, bodies)) == expected


@pytest.mark.parametrize("size", [0, 1, 262_137, 262_138, 262_139, 262_140, 524_000, 1_000_003])
def test_body_reference_covers_every_byte(size: int) -> None:
    """The last and the first byte change the reference, around the sizes at which a tree gains a block."""
    raw = bytes(size)
    reference = hashes.body_reference_of_bytes(raw)
    assert hashes.body_reference_of_bytes(raw + b"\0") != reference
    if size:
        assert hashes.body_reference_of_bytes(b"\1" + raw[1:]) != reference
        assert hashes.body_reference_of_bytes(raw[:-1] + b"\1") != reference


@pytest.mark.parametrize("name", ["one", "two"])
def test_job_id_of_a_snark(name: str) -> None:
    """The job id of an RPC snark follows from its bytes, and its text form reads back."""
    raw = RawSnark(vectors_path("p2p", f"snark-{name}.bin").read_bytes())
    job = hashes.snark_job_id_of(raw)
    assert hashes.parse_snark_job_id(hashes.snark_job_id_text(job)) == job
    first = raw.value.proofs
    assert job == job_id(first)
    assert codec(Snark).encode(raw.value) == raw


def test_cheaper_snark_is_the_greater_one() -> None:
    """Of two works for the same job the lower fee is greater; between equal fees the tie breaker decides."""
    snark = codec(Snark).decode(vectors_path("p2p", "snark-one.bin").read_bytes())
    job = job_id(snark.proofs)
    assert hashes.snark_order_key(job, 1, snark.snarker) > hashes.snark_order_key(job, 2, snark.snarker)
    other = snark.snarker.replace(x=bytes(32))
    ours, theirs = hashes.snark_tie_breaker(snark.proofs, snark.snarker), hashes.snark_tie_breaker(snark.proofs, other)
    assert (hashes.snark_order_key(job, 1, snark.snarker) > hashes.snark_order_key(job, 1, other)) == (ours > theirs)


@pytest.mark.parametrize("text_form", ["", "a_b-c", "a_b_c_d", "a-b-c-d", "a_b-c_d"])
def test_malformed_job_id_is_refused(text_form: str) -> None:
    """A job id has four ledger hashes."""
    with pytest.raises(Exception, match=r"."):
        hashes.parse_snark_job_id(text_form)


def test_functions_of_bytes_raise_only_decode_errors() -> None:
    """What is no block, transaction or snark is refused with the one declared error."""
    for function in (hashes.transaction_hash, hashes.state_hash_of_block, hashes.block_summary, hashes.snark_job_id_of):
        for junk in (b"", b"\x00", b"\xff" * 100):
            with pytest.raises(DecodeError):
                function(junk)


def test_field_above_the_modulus_can_not_be_hashed() -> None:
    """A block whose state holds such a field decodes, but has no state hash."""
    name = files("blocks", "*.bin")
    if not name:
        vectors_path("blocks")
    raw = bytearray(vectors_path("blocks", name[0]).read_bytes())
    raw[:32] = b"\xff" * 32
    assert codec(Block).decode(bytes(raw)).header.protocol_state.previous_state_hash == b"\xff" * 32
    with pytest.raises(DecodeError, match="modulus"):
        hashes.state_hash_of_block(bytes(raw))


def test_sponge_states_after_domain_prefixes() -> None:
    """The states after every prefix that the network uses."""
    for salt in json.loads(vectors_path("poseidon", "salts.json").read_text()).values():
        padding = b"\0" if salt["no_input"] else b"*"
        assert [str(int(lane)) for lane in poseidon().prefix(salt["prefix"], padding)] == salt["state"]


def test_constants_are_the_networks() -> None:
    """Modulus, matrix and round constants."""
    from mina_p2p.mina.poseidon_constants import MDS, ROUND_CONSTANTS

    expected = json.loads(vectors_path("poseidon", "params_fp_kimchi.json").read_text())
    assert int(expected["modulus_hex"], 16) == FP_MODULUS
    assert [[str(x) for x in row] for row in MDS] == expected["mds"]
    assert [[str(x) for x in row] for row in ROUND_CONSTANTS] == expected["round_constants"]


def test_packing_of_small_values() -> None:
    """Small values are packed as the Rust node's tests pin."""
    for case in json.loads(vectors_path("poseidon", "input_packing.json").read_text()):
        made = HashInput()
        for value in case["values"]:
            match case["append"]:
                case "bool":
                    made.bool(value)
                case "u8":
                    made._packed.append((value, 8))
                case "u32":
                    made.u32(value)
                case "u64":
                    made.u64(value)
                case "bytes":
                    made.bits(bytes([value]), 8)
        assert [x.to_bytes(32, "little").hex() for x in made.to_fields()] == case["fields_le_hex"]


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.integers(0, 7)), max_size=8), st.integers(0, 64))
def test_packing_bits_in_groups_is_packing_them_one_by_one(strings: list[tuple[bytes, int]], before: int) -> None:
    """A string of bits is packed as if each bit were a value of its own."""
    grouped, single = HashInput(), HashInput()
    for made in (grouped, single):
        made._packed.append((0, before))
    for raw, missing in strings:
        count = len(raw) * 8 - missing
        grouped.bits(raw, count)
        number = int.from_bytes(raw, "little")
        single._packed += [(number >> i & 1, 1) for i in range(count)]
        for made in (grouped, single):
            made.u32(7)
    assert grouped.to_fields() == single.to_fields()


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, FP_MODULUS - 1), max_size=5))
def test_every_kind_of_integer_hashes_alike(fields: list[int]) -> None:
    """Python's integers and the fastest available ones give the same hash."""
    plain = Poseidon(int)
    assert plain.hash(plain.prefix("Test"), fields) == hash_fields("Test", fields)


def test_fields_above_the_modulus_are_refused() -> None:
    """The hash is defined on field elements only."""
    with pytest.raises(ValueError, match="modulus"):
        hash_fields("Test", [FP_MODULUS])


def test_packing_leaves_no_field_above_254_bits() -> None:
    """A packed field is below the modulus whatever the values are."""
    assert all(x < 1 << 254 for x in pack([((1 << 64) - 1, 64)] * 40 + [((1 << 300) - 1, -300)]))


def test_body_reference_is_of_the_encoded_body() -> None:
    """The reference of a body is that of its bytes."""
    name = files("blocks", "*.bin")
    if not name:
        vectors_path("blocks")
    block = codec(Block).decode(vectors_path("blocks", name[0]).read_bytes())
    assert hashes.body_reference(block.body) == hashes.body_reference_of_bytes(codec(BlockBody).encode(block.body))

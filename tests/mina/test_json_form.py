"""JSON equals what Mina's tools print, and reads back."""

from __future__ import annotations

import base64
import json
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.vectors import vectors_path, vectors_root

from mina_p2p.mina import text
from mina_p2p.mina.account import AuthRequired
from mina_p2p.mina.basics import CompressedPublicKey, SnarkJobId
from mina_p2p.mina.catalog import annotation_of, codec_of
from mina_p2p.mina.commands import SignedCommand
from mina_p2p.mina.json_form import JsonFormError, converter, from_json, to_json
from mina_p2p.mina.proof_sexp import proof_from_text, proof_to_text
from mina_p2p.mina.raw import RawBlock, RawUserCommand
from mina_p2p.mina.transaction_status import AccountAppStatePreconditionUnsatisfied, FailureKind
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.wire import codec

from .values import values


def test_best_tip_answer_is_the_recorded_json() -> None:
    """67 kB of JSON that the Rust node recorded on mainnet, value by value, both ways."""
    expected = json.loads(vectors_path("p2p-json", "best_tip_with_proof_response.json").read_text())
    raw = vectors_path("p2p", "best_tip_with_proof_response.bin").read_bytes()
    answer = annotation_of("P2pRpcResponse")
    assert to_json(codec(answer).decode(raw), answer) == expected
    assert codec(answer).encode(from_json(expected, answer)) == raw


RECORDED = [
    ("ledger_query_query.json", "P2pRpcRequest"),
    ("ledger_query_response.json", "P2pRpcResponse"),
    ("block_query.json", "P2pRpcRequest"),
    ("initial_peers_query.json", "P2pRpcRequest"),
    ("initial_peers_response.json", "P2pRpcResponse"),
    ("staged_ledger_aux_and_pending_coinbases_at_block_query.json", "P2pRpcRequest"),
    ("best_tip_with_proof_query.json", "P2pRpcRequest"),
]


@pytest.mark.parametrize(("name", "kind"), RECORDED)
def test_recorded_requests_and_answers(name: str, kind: str) -> None:
    """Short recordings, both ways, through bytes."""
    expected = json.loads(vectors_path("p2p-json", name).read_text())
    both = codec_of(kind)
    value = from_json(expected, annotation_of(kind))
    assert to_json(both.decode(both.encode(value)), annotation_of(kind)) == expected


def block_names() -> list[str]:
    root = vectors_root()
    return [] if root is None else sorted(path.name for path in (root / "blocks").glob("*.bin") if path.stat().st_size < 100_000)


@pytest.mark.parametrize("name", block_names())
def test_block_survives_json(name: str) -> None:
    """A real block as JSON text, with the proofs in its transactions, is the same bytes again."""
    raw = RawBlock(vectors_path("blocks", name).read_bytes())
    assert from_json(json.loads(json.dumps(to_json(raw))), RawBlock) == raw


def test_transaction_has_the_familiar_form() -> None:
    """Names in OCaml's style, decimal MINA for fees, Base58Check keys."""
    item = json.loads(vectors_path("commands", "payments.json").read_text())[0]
    shown = to_json(RawUserCommand(base64.b64decode(item["wire_base64"])))
    assert shown[0] == "Signed_command"
    common = shown[1]["payload"]["common"]
    assert common["fee_payer_pk"].startswith("B62")
    assert common["memo"].startswith("E4")
    assert shown[1]["signature"].startswith("7m")
    assert shown[1]["payload"]["body"][0] == "Payment"
    assert round(float(common["fee"]) * 10**9) == item["fee_nanomina"]


NAMES = [
    (annotation_of("MinaBaseTransactionStatusStableV2"), ["Applied"]),
    (annotation_of("MinaBaseTransactionStatusStableV2"), ["Failed", [[["Overflow"], ["Account_app_state_precondition_unsatisfied", "3"]]]]),
    (annotation_of("MinaBaseTransactionStatusStableV2"), ["Failed", [[["Update_not_permitted_zkapp_uri"]]]]),
    (annotation_of("RpcKernelError"), {"Unimplemented_rpc": ["ban_notify", 1]}),
    (annotation_of("RpcKernelError"), "Bin_io_exn"),
    (annotation_of("MinaLedgerSyncLedgerQueryStableV1"), "NumAccounts"),
    (annotation_of("MinaBaseControlStableV2"), ["None_given"]),
    (annotation_of("Host"), {"Ipv6": "::1"}),
    (annotation_of("Host"), {"Domain": "example.com"}),
]


@pytest.mark.parametrize(("kind", "shown"), NAMES)
def test_names_of_constructors(kind: Any, shown: Any) -> None:
    """Both styles of variants, with and without arguments."""
    assert to_json(from_json(shown, kind), kind) == shown


def test_failures_read_as_values() -> None:
    """The JSON names are the members of the enum."""
    kind = annotation_of("MinaBaseTransactionStatusStableV2")
    value = from_json(["Failed", [[["Overflow"], ["Account_app_state_precondition_unsatisfied", "3"]]]], kind)
    assert value.failures == ((FailureKind.OVERFLOW, AccountAppStatePreconditionUnsatisfied(3)),)
    assert AuthRequired.NONE.name.capitalize() == "None"


JSON_TYPES = [
    "MinaBaseAccountBinableArgStableV2",
    "MinaBaseZkappCommandTStableV1WireStableV1",
    "MinaBaseTransactionStatusStableV2",
    "TransactionSnarkWorkStatementStableV2",
    "MinaBasePendingCoinbaseStableV2",
    "MinaTransactionTransactionStableV2",
    "NodeStatusV2",
    "rpc_message",
    "StreamingRpcChannelMsg",
    "SignalingDiscoveryChannelMsg",
    "SnarkJobCommitmentPropagationChannelMsg",
    "TransactionPropagationChannelMsg",
    "TransactionSnarkScanStateTransactionWithWitnessStableV2",
    "ScanStateTree",
]


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@pytest.mark.parametrize("name", JSON_TYPES)
@given(data=st.data())
def test_generated_values_survive_json(name: str, data: st.DataObject) -> None:
    """Any value, through JSON text and back, is itself."""
    kind = annotation_of(name)
    value = data.draw(values(codec(kind)))
    assert from_json(json.loads(json.dumps(to_json(value, kind))), kind) == value


MALFORMED = [
    (SignedCommand, {}),
    (SignedCommand, []),
    (SignedCommand, None),
    (CompressedPublicKey, "B62"),
    (CompressedPublicKey, 5),
    (SnarkJobId, "a-b"),
    (RawBlock, {"header": {}}),
    (annotation_of("StateHash"), "jx"),
    (annotation_of("MinaBaseTransactionStatusStableV2"), ["Nothing"]),
    (annotation_of("MinaBaseTransactionStatusStableV2"), ["Applied", 1]),
    (annotation_of("MinaBaseTransactionStatusStableV2"), {}),
    (annotation_of("ProtocolVersionStableV2"), {"transaction": 3, "network": "0", "patch": "0"}),
    (annotation_of("ProtocolVersionStableV2"), {"transaction": "3x", "network": "0", "patch": "0"}),
    (annotation_of("Host"), {"Ipv4": "example.com"}),
    (annotation_of("Host"), {"Name": "example.com"}),
]


@pytest.mark.parametrize(("kind", "data"), MALFORMED)
def test_other_json_is_refused(kind: Any, data: Any) -> None:
    """JSON of another form raises one error, whatever is wrong."""
    with pytest.raises(JsonFormError):
        from_json(data, kind)


@pytest.mark.parametrize(
    ("nanomina", "shown"), [(0, "0"), (1, "0.000000001"), (1_500_000_000, "1.5"), (10**9, "1"), (2**64 - 1, "18446744073.709551615")]
)
def test_fees_are_decimal_mina(nanomina: int, shown: str) -> None:
    """At most nine decimals, none of them a final zero."""
    kind = annotation_of("MinaBaseFeeWithProverStableV1")
    key = MinaGenerator(1).public_key()
    value = kind(nanomina, key)
    assert to_json(value)["fee"] == shown
    assert from_json(to_json(value), kind) == value


@pytest.mark.parametrize("shown", ["1.0000000001", "1.", "-", "", ".5", "1.5.5", "1e5"])
def test_other_decimals_are_refused(shown: str) -> None:
    """A tenth decimal, signs and exponents are no fees."""
    key = to_json(MinaGenerator(1).public_key())
    with pytest.raises(JsonFormError):
        from_json({"fee": shown, "prover": key}, annotation_of("MinaBaseFeeWithProverStableV1"))


def test_proof_texts_are_s_expressions() -> None:
    """A proof as text begins as OCaml prints it, and reads back."""
    proof = MinaGenerator(3).proof()
    shown = proof_to_text(proof)
    raw = base64.urlsafe_b64decode(shown)
    assert raw.startswith(b"((statement((proof_state((deferred_values((plonk((alpha((inner(")
    assert b'(branch_data((proofs_verified N2)(domain_log2"\\015")))' in raw
    assert proof_from_text(shown) == proof


@pytest.mark.parametrize(
    "sexp", [b"", b"(", b")", b"a b", b"()", b"((statement))", b"(" * 100, b'("a', b"((statement x)(prev_evals y)(proof z))"]
)
def test_other_texts_are_no_proofs(sexp: bytes) -> None:
    """Unbalanced, too deep, of other fields, or no base64."""
    with pytest.raises(ValueError, match=r"."):
        proof_from_text(base64.urlsafe_b64encode(sexp).decode())
    with pytest.raises(ValueError, match=r"."):
        proof_from_text("*")
    with pytest.raises(ValueError, match="no proof"):
        proof_from_text("A" * 300_000)


def test_cattrs_converter_knows_the_types() -> None:
    """A class of the caller's with Mina's types in it goes through cattrs in the same form."""

    @attrs.frozen
    class Mine:
        key: CompressedPublicKey
        command: RawUserCommand

    generator = MinaGenerator(5)
    mine = Mine(generator.public_key(), generator.user_command())
    made = converter()
    shown = made.unstructure(mine)
    assert shown == {"key": to_json(mine.key), "command": to_json(mine.command)}
    assert made.structure(shown, Mine) == mine


def test_text_forms_of_hashes() -> None:
    """Base58Check texts and bytes that the Rust node's tests pin."""
    named = {
        "LedgerHash": text.LEDGER_HASH, "StateHash": text.STATE_HASH, "PendingCoinbaseHash": text.PENDING_COINBASE_HASH,
        "TokenIdKeyHash": text.TOKEN_ID, "CoinbaseStackHash": text.COINBASE_STACK_HASH, "Signature": text.SIGNATURE,
    }  # fmt: skip
    for item in json.loads(vectors_path("text", "base58check.json").read_text())["types"]:
        kind = annotation_of(item["type"])
        value = codec(kind).decode(bytes.fromhex(item["wire_hex"]))
        assert to_json(value, kind) == item["text"]
        assert from_json(item["text"], kind) == value
        if item["type"] in named:
            assert named[item["type"]].text(bytes.fromhex(item["wire_hex"])) == item["text"]

"""Real questions and answers of Mina's RPC, as bytes, from the vectors."""

from __future__ import annotations

from functools import cache

from support.vectors import vectors_path

from mina_p2p.libp2p_rpc.messages import MESSAGE_CODEC, Response
from mina_p2p.libp2p_rpc.state import method_of
from mina_p2p.mina.block import Block
from mina_p2p.mina.rpc import AncestryQuery, Query, ResponseOk
from mina_p2p.record import Record, record
from mina_p2p.wire import codec

UNIT = b"\x00"
_SOME = b"\x01"
_TIP_RESPONSE_KIND = b"\x00"


@record
class Exchange(Record):
    """A question and its answer."""

    tag: str
    version: int
    query: bytes
    answer: bytes


def _query(name: str) -> bytes:
    message = MESSAGE_CODEC.decode(vectors_path("rpc", name).read_bytes())
    assert isinstance(message, Query)
    return message.data


def _answer(*name: str) -> bytes:
    message = MESSAGE_CODEC.decode(vectors_path(*name).read_bytes())
    assert isinstance(message, Response)
    assert isinstance(message.result, ResponseOk)
    return message.result.data


@cache
def blocks() -> tuple[bytes, ...]:
    """Every real block, in the order of the files' names, which begin with the height."""
    return tuple(path.read_bytes() for path in sorted(vectors_path("blocks").glob("*.bin")))


@cache
def exchanges() -> tuple[Exchange, ...]:
    """One of each method that is the node software's to answer, and one ``None``."""
    # The pull protocol's answer is the same thing behind the number of its kind.
    tip_response = vectors_path("p2p", "best_tip_with_proof_response.bin").read_bytes()
    assert tip_response.startswith(_TIP_RESPONSE_KIND)
    tip = _SOME + tip_response.removeprefix(_TIP_RESPONSE_KIND)
    hashes = bytes([3]) + bytes(range(96))
    first_three = blocks()[:3]
    state = codec(Block).decode(blocks()[0]).header.protocol_state.body.consensus_state
    ancestry = method_of("get_ancestry").query_codec.encode(AncestryQuery(state, bytes(range(32))))
    return (
        Exchange("get_best_tip", 2, UNIT, tip),
        Exchange("get_best_tip", 2, UNIT, b"\x00"),
        Exchange("get_ancestry", 2, ancestry, tip),
        Exchange(
            "answer_sync_ledger_query", 3, _query("answer-sync-ledger-query-00.bin"), _answer("rpc", "answer-sync-ledger-response-00.bin")
        ),
        Exchange("get_transition_chain", 2, hashes, _SOME + bytes([3]) + b"".join(first_three)),
        Exchange(
            "get_transition_chain_proof",
            1,
            _query("get-transition-chain-proof-query-00.bin"),
            _answer("rpc", "get-transition-chain-proof-response-00.bin"),
        ),
        Exchange("Get_transition_knowledge", 1, UNIT, hashes),
        Exchange("get_staged_ledger_aux_and_pending_coinbases_at_hash", 2, bytes(range(32)), _answer("staged_ledger", "rpc_response.bin")),
    )

"""What is special to each kind of item: its key, what makes one better, how it is fetched and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from mina_p2p.channels.rpc.messages import RpcRequest, RpcResponse, SnarkRequest, SnarkResponse, TransactionRequest, TransactionResponse
from mina_p2p.channels.snark.messages import SnarkInfo
from mina_p2p.channels.transaction.messages import TransactionInfo
from mina_p2p.errors import DecodeError
from mina_p2p.ids import ChannelId
from mina_p2p.mina.basics import SnarkJobId
from mina_p2p.mina.hashes import snark_job_id_of, snark_order_key, transaction_hash
from mina_p2p.mina.raw import RawSnark, RawUserCommand
from mina_p2p.pool.announce import snark_info
from mina_p2p.record import Record, record

Fetched: TypeAlias = bytes | None
"""The item, or ``None`` where the answer is honest and of no use."""


@record
class PoolKind(Record):
    """One kind of item."""

    channel: ChannelId
    key: Callable[[Any], bytes]
    """From what is announced."""
    priority: Callable[[Any], int]
    """Greater is fetched first."""
    is_better: Callable[[Any, Any], bool]
    """Whether the first shall replace the second, which has the same key."""
    request: Callable[[Any], RpcRequest] | None
    """The question that fetches it; missing where the announcement is all there is."""
    check: Callable[[Any, RpcResponse], Fetched]
    """The item out of an answer; raises `DecodeError` where the answer is a lie (defect P7)."""


def _job_key(job_id: SnarkJobId) -> bytes:
    return (
        job_id.source_first_pass_ledger
        + job_id.source_second_pass_ledger
        + job_id.target_first_pass_ledger
        + job_id.target_second_pass_ledger
    )


def _check_transaction(info: TransactionInfo, response: RpcResponse) -> Fetched:
    if not isinstance(response, TransactionResponse):
        return None
    found = transaction_hash(response.body)
    if found != info.hash:
        raise DecodeError("", 0, f"asked for transaction {info.hash.hex()[:16]}, got {found.hex()[:16]}")
    return response.body


def _check_snark(info: SnarkInfo, response: RpcResponse) -> Fetched:
    if not isinstance(response, SnarkResponse):
        return None
    if snark_job_id_of(response.body) != info.job_id:
        raise DecodeError("", 0, "the snark work is for another job")
    # The peer may have got a better one since it announced this; it will announce that too.
    return response.body if snark_info(response.body) == info else None


TRANSACTION: Final = PoolKind(
    ChannelId.TRANSACTION,
    lambda info: info.hash,
    lambda info: info.fee,
    lambda _new, _old: False,
    lambda info: TransactionRequest(info.hash),
    _check_transaction,
)
SNARK: Final = PoolKind(
    ChannelId.SNARK,
    lambda info: _job_key(info.job_id),
    lambda info: -info.fee,
    lambda new, old: snark_order_key(new.job_id, new.fee, new.prover) > snark_order_key(old.job_id, old.fee, old.prover),
    lambda info: SnarkRequest(info.job_id),
    _check_snark,
)
SNARK_JOB_COMMITMENT: Final = PoolKind(
    ChannelId.SNARK_JOB_COMMITMENT,
    lambda info: _job_key(info.job_id),
    lambda info: -info.fee,
    lambda new, old: snark_order_key(new.job_id, new.fee, new.snarker) > snark_order_key(old.job_id, old.fee, old.snarker),
    None,
    lambda _info, _response: None,
)

KINDS: Final[Mapping[ChannelId, PoolKind]] = MappingProxyType({kind.channel: kind for kind in (TRANSACTION, SNARK, SNARK_JOB_COMMITMENT)})


def answer_for(request: RpcRequest, body: bytes) -> RpcResponse | None:
    """The answer that carries an item of a pool."""
    match request:
        case TransactionRequest():
            return TransactionResponse(RawUserCommand(body))
        case SnarkRequest():
            return SnarkResponse(RawSnark(body))
        case _:
            return None


def key_of_request(request: RpcRequest) -> tuple[ChannelId, bytes] | None:
    """Which pool and which item a question is about."""
    match request:
        case TransactionRequest(hash=key):
            return ChannelId.TRANSACTION, key
        case SnarkRequest(job_id=job_id):
            return ChannelId.SNARK, _job_key(job_id)
        case _:
            return None

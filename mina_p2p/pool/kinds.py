"""What is special to each kind of item: its key, what makes one better, how it is fetched and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from mina_p2p.blocks.split import work_item
from mina_p2p.channels.propagation.kinds import KINDS as MESSAGES
from mina_p2p.channels.propagation.kinds import PropagationItem
from mina_p2p.channels.rpc.messages import RpcRequest, RpcResponse, SnarkRequest, SnarkResponse, TransactionRequest, TransactionResponse
from mina_p2p.channels.snark.messages import SnarkInfo
from mina_p2p.channels.snark_job_commitment.messages import SnarkJobCommitment
from mina_p2p.channels.transaction.messages import TransactionInfo
from mina_p2p.errors import CallerError, DecodeError
from mina_p2p.ids import ChannelId
from mina_p2p.mina.basics import SnarkJobId
from mina_p2p.mina.hashes import snark_order_key
from mina_p2p.mina.raw import RawSnark, RawUserCommand
from mina_p2p.pool.announce import snark_info, transaction_info
from mina_p2p.record import Record, record
from mina_p2p.wire import EncodeError

Fetched: TypeAlias = tuple[PropagationItem, bytes] | None
"""What is to be announced of the item, and the item; ``None`` where the answer is honest and of no use."""


@record
class PoolKind(Record):
    """One kind of item."""

    channel: ChannelId
    info: type[Any]
    """What is announced."""
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


def job_key(job_id: SnarkJobId) -> bytes:
    """The key of everything that is about a job."""
    return (
        job_id.source_first_pass_ledger
        + job_id.source_second_pass_ledger
        + job_id.target_first_pass_ledger
        + job_id.target_second_pass_ledger
    )


def _check_transaction(info: TransactionInfo, response: RpcResponse) -> Fetched:
    if not isinstance(response, TransactionResponse):
        return None
    found = transaction_info(response.body)
    if found.hash != info.hash:
        raise DecodeError("", 0, f"asked for transaction {info.hash.hex()[:16]}, got {found.hash.hex()[:16]}")
    # What the announcement said of fee and payer nobody has checked; it is not repeated to others.
    return found, response.body


def _check_snark(info: SnarkInfo, response: RpcResponse) -> Fetched:
    if not isinstance(response, SnarkResponse):
        return None
    found = snark_info(response.body)
    if found.job_id != info.job_id:
        raise DecodeError("", 0, "the snark work is for another job")
    # The peer may have got a better one since it announced this; it will announce that too.
    return (found, response.body) if found == info else None


TRANSACTION: Final = PoolKind(
    ChannelId.TRANSACTION,
    TransactionInfo,
    lambda info: info.hash,
    lambda info: info.fee,
    lambda _new, _old: False,
    lambda info: TransactionRequest(info.hash),
    _check_transaction,
)
SNARK: Final = PoolKind(
    ChannelId.SNARK,
    SnarkInfo,
    lambda info: job_key(info.job_id),
    lambda info: -info.fee,
    lambda new, old: snark_order_key(new.job_id, new.fee, new.prover) > snark_order_key(old.job_id, old.fee, old.prover),
    lambda info: SnarkRequest(info.job_id),
    _check_snark,
)
SNARK_JOB_COMMITMENT: Final = PoolKind(
    ChannelId.SNARK_JOB_COMMITMENT,
    SnarkJobCommitment,
    lambda info: job_key(info.job_id),
    lambda info: -info.fee,
    lambda new, old: snark_order_key(new.job_id, new.fee, new.snarker) > snark_order_key(old.job_id, old.fee, old.snarker),
    None,
    lambda _info, _response: None,
)

KINDS: Final[Mapping[ChannelId, PoolKind]] = MappingProxyType({kind.channel: kind for kind in (TRANSACTION, SNARK, SNARK_JOB_COMMITMENT)})


def identity(channel: ChannelId, info: PropagationItem) -> bytes:
    """Distinguishes announcements: what two peers say of one key need not be the same."""
    return MESSAGES[channel].codec.encode(MESSAGES[channel].item(info))


def check_item(channel: ChannelId, key: bytes, info: PropagationItem) -> None:
    """Refuse what could not be announced.

    :raises CallerError: for a channel without a pool, and for information of another kind, under another key, or out of range.
    """
    kind = KINDS.get(channel)
    if kind is None:
        raise CallerError(f"{channel.name} has no pool; those that have are {', '.join(known.name for known in KINDS)}")
    if not isinstance(info, kind.info):
        raise CallerError(f"{channel.name} announces {kind.info.__qualname__}, not {type(info).__qualname__}")
    if kind.key(info) != key:
        raise CallerError(f"the key of this {kind.info.__qualname__} is {kind.key(info).hex()}, not {key.hex()}")
    try:
        identity(channel, info)
    except EncodeError as error:
        raise CallerError(f"this {kind.info.__qualname__} can not be announced: {error}") from error


def item_of(channel: ChannelId, body: bytes) -> bytes:
    """What of a pool a block will hold, in the bytes that it will have there."""
    return work_item(body) if channel == ChannelId.SNARK else body


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
            return ChannelId.SNARK, job_key(job_id)
        case _:
            return None

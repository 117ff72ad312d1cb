"""A small node, its peers, and things to spread: what generated tests are about."""

from __future__ import annotations

from functools import cache
from typing import Any

from mina_p2p.channels.propagation.kinds import PropagationItem
from mina_p2p.channels.snark_job_commitment.messages import SnarkJobCommitment
from mina_p2p.config import Limits, P2pConfig
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId
from mina_p2p.ids import SECOND, ChannelId, Timestamp
from mina_p2p.mina.hashes import state_hash_of_block
from mina_p2p.mina.raw import RawBlock, RawSnark, RawUserCommand
from mina_p2p.peer.config import PeerTableConfig
from mina_p2p.peer.state import PeerSource
from mina_p2p.pool.announce import snark_info, transaction_info
from mina_p2p.record import Record, record
from mina_p2p.testing.mina import MinaGenerator

START = Timestamp(1_700_000_000 * SECOND)
ME = PeerId((100).to_bytes(32, "big"))
"""The node of `small_config`."""
OTHERS = tuple(PeerId(n.to_bytes(32, "big")) for n in (1, 2, 3, 201, 202, 203))
"""Its peers, of lesser and of greater ids."""

SMALL_LIMITS = Limits(
    peers_max=4,
    peers_min=3,
    known_peers_max=5,
    discovered_per_source_max=2,
    known_per_group_max=4,
    peers_protected_percent=25,
    banned_groups_max=2,
    propagation_request_max=3,
    candidates_per_peer_max=3,
    pool_items_max=4,
    rpc_requests_max=2,
    rpc_pending_max=2,
    answer_bytes_granted_max=300 << 20,
    deadlines_per_turn_max=4,
)
"""Bounds that a few inputs reach."""

SMALL_TABLE = PeerTableConfig(
    new_max=3,
    new_buckets=4,
    new_buckets_per_source=2,
    tried_max=2,
    tried_buckets=2,
    tried_buckets_per_group=1,
    group_ipv4_bits=32,
    contests_max=1,
    rotation_interval=60 * SECOND,
    anchors_max=1,
    sources=tuple(source for source in PeerSource if source is not PeerSource.REFERRAL),
)


def small_config(**settings: Any) -> P2pConfig:
    """A node whose bounds are reached soon; ``settings`` are fields of `P2pConfig`."""
    fields: dict[str, Any] = {"limits": SMALL_LIMITS, "peer_table": SMALL_TABLE, "seed": 1, **settings}
    return P2pConfig(ME, MAINNET_CHAIN_ID, **fields)


@record
class Catalog(Record):
    """Things to spread."""

    payments: tuple[RawUserCommand, ...]
    snarks: tuple[RawSnark, ...]
    """For two jobs, some better than others."""
    commitments: tuple[SnarkJobCommitment, ...]
    blocks: tuple[RawBlock, ...]


@cache
def catalog() -> Catalog:
    """The same few items at every call."""
    make = MinaGenerator(1)
    payments = tuple(RawUserCommand.of(make.payment()) for _ in range(6))
    works = [make.snark() for _ in range(2)]
    snarks = tuple(RawSnark.of(work.replace(fee=fee)) for work in works for fee in (1, 2, 3))
    infos = map(snark_info, snarks)
    commitments = tuple(SnarkJobCommitment(1, info.job_id, info.fee, info.prover) for info in infos)
    return Catalog(payments, snarks, commitments, tuple(RawBlock.of(block) for block in make.chain(3)))


@cache
def announcements(channel: ChannelId) -> tuple[PropagationItem, ...]:
    """What can be announced of the catalog."""
    items = catalog()
    match channel:
        case ChannelId.TRANSACTION:
            found = [transaction_info(raw) for raw in items.payments]
            return (*found, found[0].replace(fee=found[0].fee + 1))
        case ChannelId.SNARK:
            return tuple(map(snark_info, items.snarks))
        case ChannelId.SNARK_JOB_COMMITMENT:
            return items.commitments
        case _:
            return items.blocks


@cache
def state_hash(block: RawBlock) -> bytes:
    """The state hash of a block of the catalog."""
    return state_hash_of_block(block)

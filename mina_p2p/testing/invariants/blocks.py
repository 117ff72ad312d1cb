"""Invariants of blocks by channel 10."""

from __future__ import annotations

from collections.abc import Iterator

from mina_p2p.blocks.state import HAS_MAX, QUEUE_KEY, UNJUDGED_MAX, Asked, Blocks, Candidate, candidate_key, peer_key
from mina_p2p.connection.state import Ready
from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import ChannelId, ConnectionId, StreamId
from mina_p2p.state import P2pState
from mina_p2p.testing.invariants.basis import differ, over, waits_differ


def check_blocks(blocks: Blocks) -> None:
    """Check what holds in every state of the slice, whichever root holds it.

    :raises InvariantViolationError: for the first thing that is wrong.
    """
    for what in blocks_violations(blocks):
        raise InvariantViolationError(what)


def blocks_violations(blocks: Blocks) -> Iterator[str]:
    """What is wrong in the slice alone."""
    config = blocks.config
    waits = [(peer.wakes_at, peer_key(number)) for number, peer in blocks.peers.items()]
    waits += [(candidate.wakes_at, candidate_key(number)) for number, candidate in blocks.candidates.items()]
    waits.append((blocks.queue_due_at, QUEUE_KEY))
    yield from waits_differ("blocks.deadlines", blocks.deadlines, waits)
    tickets: dict[int, int] = {}
    large = 0
    for connection_id, peer in blocks.peers.items():
        tickets |= {owing.ticket: 0 for owing in peer.owing}
        yield from over(f"blocks.peers[{connection_id}].has", len(peer.has), HAS_MAX)
        yield from over(f"blocks.peers[{connection_id}].checks", len(peer.checks), HAS_MAX)
        yield from over(f"blocks.peers[{connection_id}].served", len(peer.served), config.held_max)
        yield from over(f"blocks.peers[{connection_id}].waiting", len(peer.waiting), config.questions_waiting_max)
        if blocks.queue_due_at is None and any(wait.place is not None for wait in peer.waiting):
            yield f"blocks.peers[{connection_id}].waiting: nothing will be sent to whoever waits in the queue"
        if isinstance(peer.local, Asked):
            tickets[peer.local.ticket] = 0
            large += peer.local.wants > 0
    yield from over("blocks.peers: permissions for headers", large, config.header_permissions_max)
    for number, candidate in blocks.candidates.items():
        tickets |= {question.ticket: number for question in candidate.questions}
        yield from _candidate(blocks, f"blocks.candidates[{number}]", number, candidate)
    yield from differ("blocks.by_hash", len(blocks.by_hash), len(blocks.candidates))
    yield from differ("blocks.tickets", dict(blocks.tickets.items()), dict(sorted(tickets.items())))
    yield from over("blocks.held", len(blocks.held), config.held_max)
    yield from over("blocks.preferred", len(blocks.preferred), config.header_permissions_max)
    yield from differ(
        "blocks.preferred: of those who are there", [cid for cid in blocks.preferred if cid in blocks.peers], list(blocks.preferred)
    )
    open_races = [race for race in blocks.races if not race.is_run]
    yield from over("blocks.races: of blocks that were taken", len(blocks.races) - len(open_races), config.races_max)
    yield from over("blocks.races: of blocks that are fetched", len(open_races), len(blocks.candidates))
    yield from over("blocks.unjudged", len(blocks.unjudged), UNJUDGED_MAX)
    yield from over("blocks.losers", len(blocks.losers), config.losers_max)
    if blocks.tip is not None and blocks.holding(blocks.tip.state_hash) is None:
        yield "blocks.tip: the best block is not held"
    if blocks.early is not None and blocks.early not in blocks.by_hash:
        yield "blocks.early: nothing about it is open"
    items = blocks.items
    yield from over("blocks.items.bytes_held", items.bytes_held, config.items_bytes_max)
    yield from over("blocks.items", len(items), config.items_max)
    yield from differ("blocks.items.by_digest", len(items.by_digest), len(items))


def _candidate(blocks: Blocks, path: str, number: int, candidate: Candidate) -> Iterator[str]:
    if blocks.by_hash.get(candidate.state_hash) != number:
        yield f"{path}: not found by its hash"
    if not set(candidate.announcers) <= set(blocks.peers):
        yield f"{path}.announcers: somebody who is gone"
    if not {question.connection_id for question in candidate.questions} <= set(candidate.announcers):
        yield f"{path}.questions: asked of somebody who did not announce it"
    if not candidate.questions and all(copy.verdict_id is None for copy in candidate.copies):
        yield f"{path}: waits for nothing"


def block_channels_violations(state: P2pState) -> Iterator[str]:
    """What is wrong between the slice and the connections that carry it."""
    agreed = [
        number
        for number, connection in state.connections.table.items()
        if isinstance(connection.status, Ready) and ChannelId.BLOCK in connection.status.channels
    ]
    yield from differ("blocks.peers", list(state.blocks.peers.keys()), agreed)
    asked: dict[int, ConnectionId] = {}
    for connection_id, channels in state.channels.table.items():
        pairs = () if channels.block is None else channels.block.open
        asked |= {ticket: connection_id for ticket, _ in pairs}
        foreign: list[StreamId] = [stream for _, stream in pairs if not channels.is_ours(stream)]
        yield from differ(f"channels.table[{connection_id}].block: streams of the peer", foreign, [])
    expected: dict[int, ConnectionId] = {}
    for connection_id, peer in state.blocks.peers.items():
        expected |= {owing.ticket: connection_id for owing in peer.owing}
        if isinstance(peer.local, Asked):
            expected[peer.local.ticket] = connection_id
    for candidate in state.blocks.candidates.values():
        expected |= {question.ticket: question.connection_id for question in candidate.questions}
    yield from differ("channels.table: streams of channel 10", asked, expected)

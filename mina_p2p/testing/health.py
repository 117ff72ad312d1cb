"""Whether all is well in a simulated world: how far things have spread, and what is still missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from mina_p2p.identity import PeerId
from mina_p2p.pool.kinds import KINDS
from mina_p2p.pool.state import POOL_CHANNELS
from mina_p2p.record import Record, record
from mina_p2p.testing.sim import SimNode
from mina_p2p.testing.stock import Tip
from mina_p2p.testing.world import Member, World

READY_WANTED: Final = 4
"""So many ready connections make a member that has come up, where there are so many others and it wishes for so many."""

Up: TypeAlias = list[tuple[Member, SimNode]]


@record
class Coverage(Record):
    """How far things have spread at a time; all but that are shares from 0 to 1."""

    seconds: float
    """Virtual, from the start."""
    connected: float
    """Honest members with `ready_wanted` ready connections."""
    items: float
    """Of the items that some pool has, how many are in how many pools of honest members."""
    best_tip: float
    """Honest members with the best tip that any of them has."""


def coverage(world: World) -> Coverage:
    """How far things have spread now."""
    up, total = world.up(), len(world.honest)
    ready = sum(node.state.connections.ready_count >= ready_wanted(world) for _, node in up)
    counts = [[len(node.state.pools.of(channel).items) for channel in POOL_CHANNELS] for _, node in up]
    fullest = sum(max((row[i] for row in counts), default=0) for i in range(len(POOL_CHANNELS)))
    best = best_tip(world)
    followers = sum(tip_of(world, node) == best for _, node in up) if best is not None else 0
    return Coverage(world.seconds, ready / total, sum(map(sum, counts)) / (fullest * total) if fullest else 0.0, followers / total)


def ready_wanted(world: World) -> int:
    """Ready connections of a member that has come up."""
    return min(READY_WANTED, len(world.honest) - 1, world.peers)


def has_come_up(world: World) -> bool:
    """Whether every honest member has `ready_wanted` ready connections."""
    up, wanted = world.up(), ready_wanted(world)
    return len(up) == len(world.honest) and all(node.state.connections.ready_count >= wanted for _, node in up)


def tip_of(world: World, node: SimNode) -> Tip | None:
    """The best tip of a node."""
    own = node.state.best_tips.own
    return None if own is None else world.stock.tip(own.state_hash)


def best_tip(world: World) -> Tip | None:
    """The best one that an honest node has."""
    best: Tip | None = None
    for _, node in world.up():
        tip = tip_of(world, node)
        if tip is not None and tip is not best and (best is None or tip.is_better_than(best)):
            best = tip
    return best


def missing(world: World, *, pools: bool = True) -> Iterator[str]:
    """What an honest network lacks, one thing after the other; nothing once it has converged.

    :param pools: whether pools must be equal; where blocks hold what pools do, each lets go of it with the block.
    """
    up = world.up()
    if len(up) < len(world.honest):
        yield f"{len(world.honest) - len(up)} members are down"
        return
    if pools:
        yield from _differences(up)
        yield from _lacks(world, up)
    yield from _tips(world, up)
    yield from _unconnected(up)
    for member in world.honest:
        if member.software is not None and member.software.questions:
            yield f"member {member.number} waits for an answer"


def _differences(up: Up) -> Iterator[str]:
    (first, node), *others = up
    for channel in POOL_CHANNELS:
        ours = {item.key: item.info for item in node.state.pools.of(channel).items.items.values()}
        for member, other in others:
            theirs = other.state.pools.of(channel).items
            if len(theirs) != len(ours) or any(ours.get(item.key) != item.info for item in theirs.items.values()):
                yield f"members {first.number} and {member.number} differ in the {channel.name.lower()} pool"


def _lacks(world: World, up: Up) -> Iterator[str]:
    """Pools are equal; whether they are complete is asked of one."""
    (first, node), *_ = up
    for member in world.honest:
        for piece in member.pieces:
            item = node.state.pools.of(piece.channel).items.get(piece.key)
            if item is None or (item.info != piece.info and KINDS[piece.channel].is_better(piece.info, item.info)):
                yield f"member {first.number} lacks a {piece.channel.name.lower()} of member {member.number}"


def _tips(world: World, up: Up) -> Iterator[str]:
    best = best_tip(world)
    if best is None and not any(member.tips for member in world.honest):
        return
    for member, node in up:
        if tip_of(world, node) != best:
            yield f"member {member.number} does not follow the best chain"
        if any(best is None or tip.is_better_than(best) for tip in member.tips):
            yield f"nobody follows the chain of member {member.number}"


def _unconnected(up: Up) -> Iterator[str]:
    """Whether ready connections of honest members, that both sides know of, join all of them."""
    neighbours: dict[PeerId, list[PeerId]] = {node.config.peer_id: node.ready_peers() for _, node in up}
    for member, node in up:
        for other in node.ready_peers():
            if other in neighbours and node.config.peer_id not in neighbours[other]:
                yield f"member {member.number} has a connection that its peer does not know"
    start = up[0][1].config.peer_id
    seen, waiting = {start}, [start]
    while waiting:
        for other in neighbours[waiting.pop()]:
            if other in neighbours and other not in seen:
                seen.add(other)
                waiting.append(other)
    if len(seen) < len(up):
        yield f"{len(seen)} of {len(up)} members are joined by connections"

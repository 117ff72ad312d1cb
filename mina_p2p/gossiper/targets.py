"""Whom an item is announced to: everybody, the peers of a set only, or those of a set and others in turn.

A target is chosen by a function that node software gives when it builds its machine or steps the gossiper (`reducer.aimed`,
`reducer.step`); it is no part of the state. It is asked whenever peers are drawn, so a set may change while an item is under way.
Which peers are in a set has to follow from what the function is given, so that a log replays. A target bounds whom *we* announce an
item to, not who may ask for it: what a peer learned from others it can have.

Spec: address-gossip 1.6; casper-network/casper-node@cb932c5 node/src/components/network.rs has *All* and *Mixed* for the validators of an era.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import Final, TypeAlias

from mina_p2p.prng import Random
from mina_p2p.record import Record, record


@record
class All(Record):
    """Every peer that is ready."""


@record
class Only(Record):
    """The peers of a set; every peer while no peer that is ready is in it."""

    is_member: Callable[[int], bool]
    """Whether a peer, by its number, is in the set."""


@record
class Mixed(Record):
    """The peers of a set and others in turn, and a fair coin for which of them go first; every peer while none is in the set.

    Where one kind has too few peers that may be told now, the other has the rest.
    """

    is_member: Callable[[int], bool]
    """Whether a peer, by its number, is in the set."""


Target: TypeAlias = All | Only | Mixed

TargetOf: TypeAlias = Callable[[bytes], Target]
"""Whom an item of that id is announced to."""

_ALL: Final = All()


def everybody(_item_id: bytes) -> Target:
    """All items are announced to all."""
    return _ALL


def in_effect(target: Target, ready: Iterable[int]) -> Target:
    """``target``, or `All` while no peer that is ready is in its set."""
    return target if isinstance(target, All) or any(map(target.is_member, ready)) else _ALL


def admits(target: Target, peer: int) -> bool:
    """Whether that peer may be told, by a target that is `in_effect`."""
    return not isinstance(target, Only) or target.is_member(peer)


def drawn(target: Target, options: Sequence[int], count: int, random: Random) -> tuple[list[int], Random]:
    """At most ``count`` of some peers, by a target that is `in_effect`: fewer where it admits fewer."""
    match target:
        case All():
            return _by_lot(options, count, random)
        case Only(is_member=is_member):
            return _by_lot([peer for peer in options if is_member(peer)], count, random)
        case Mixed(is_member=is_member):
            members, random = _by_lot([peer for peer in options if is_member(peer)], count, random)
            others, random = _by_lot([peer for peer in options if not is_member(peer)], count, random)
            if not members or not others:
                return members or others, random
            coin, random = random.below(2)
            pairs = zip_longest(members, others) if coin else zip_longest(others, members)
            return [peer for pair in pairs for peer in pair if peer is not None][:count], random


def _by_lot(options: Sequence[int], count: int, random: Random) -> tuple[list[int], Random]:
    """``count`` of some options by lot, or all where there are fewer."""
    left, chosen = list(options), list[int]()
    while left and len(chosen) < count:
        index, random = random.below(len(left))
        chosen.append(left[index])
        left[index] = left[-1]
        left.pop()
    return chosen, random

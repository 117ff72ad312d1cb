"""What holds in every state of a node, whatever peers and node software do.

What is said twice in a state for speed must agree with what it is derived from, every bound of
the configuration must hold, and whatever waits must have a deadline.

`check_invariants` looks at one state. A `Checker` looks at the states of one node one after the
other, and only at what has changed since: a few microseconds for a dispatch, so that simulations
check after every one, and a node in service every thousandth or so. Nothing here needs more than
the library itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import ChannelId, Timestamp
from mina_p2p.state import P2pState
from mina_p2p.store import Observer, Steps
from mina_p2p.testing.invariants.basis import Memory
from mina_p2p.testing.invariants.blocks import block_channels_violations, blocks_violations
from mina_p2p.testing.invariants.channels import ChannelsChecker
from mina_p2p.testing.invariants.connections import connections_violations
from mina_p2p.testing.invariants.conversations import CONVERSATIONS, conversations_violations, pairs_violations
from mina_p2p.testing.invariants.gossip import address_gossip_violations
from mina_p2p.testing.invariants.network import network_part_violations
from mina_p2p.testing.invariants.peers import PeersChecker
from mina_p2p.testing.invariants.pools import PoolsChecker, best_tips_violations
from mina_p2p.testing.invariants.relay import relay_violations

__all__ = ["Checker", "check_invariants", "sampled", "violations"]

_NO_CHANNELS: Final[frozenset[ChannelId]] = frozenset()


def check_invariants(state: P2pState) -> None:
    """Check everything.

    :raises InvariantViolationError: for the first thing that is wrong, with its path in the state.
    """
    Checker().check(state)


def violations(state: P2pState) -> Iterator[str]:
    """Everything that is wrong in a state, as ``path: what``; nothing in a good one."""
    return Checker().violations(state)


def sampled(every: int) -> Observer:
    """An observer for `Store.observe` of a node in service, which checks the state after every so manieth dispatch.

    What it raises reaches the caller of `Store.dispatch`, which stops as it does for a reducer that is wrong.
    """
    checker, count = Checker(), 0

    def observe(_action: object, _now: Timestamp, _steps: Steps, state: P2pState) -> None:
        nonlocal count
        count += 1
        if count % every == 0:
            checker.check(state)

    return observe


class Checker:
    """Checks the states of one node, in the order in which the node has them; states in between may be left out.

    It is for valid states: once it has found something, what it says of later states counts no more.
    """

    def __init__(self) -> None:
        self._parts: _Parts | None = None

    def check(self, state: P2pState) -> None:
        """Check all that is not the same as in the state that was checked last.

        :raises InvariantViolationError: for the first thing that is wrong, with its path in the state.
        """
        for violation in self.violations(state):
            raise InvariantViolationError(violation)

    def violations(self, state: P2pState) -> Iterator[str]:
        """All that is wrong, of what is not the same as in the state that was looked at last."""
        parts = self._parts
        if parts is None or not parts.suit(state):
            # Bounds may be others now: look at everything.
            parts = self._parts = _Parts(state)
        return parts.violations(state)


class _Parts:
    """What is remembered of the states of one node, under one configuration."""

    def __init__(self, state: P2pState) -> None:
        self._first = state
        self._memory = Memory()
        self._peers = PeersChecker(state)
        self._channels = ChannelsChecker(state)
        self._pools = PoolsChecker(state)

    def suit(self, state: P2pState) -> bool:
        """Whether bounds, and what decides where things belong, are the same."""
        first = self._first
        is_same_place = state.peers.shape is first.peers.shape and state.peers.grouping is first.peers.grouping
        return is_same_place and state.config is first.config

    def violations(self, state: P2pState) -> Iterator[str]:
        """All that is wrong, of what has changed."""
        is_known = self._memory.is_known
        connections = state.connections
        if not is_known("peers", state.peers, connections):
            yield from self._peers.violations(state)
        if not is_known("connections", connections, state.is_stopping):
            yield from connections_violations(state)
        changed: AbstractSet[ChannelId] = _NO_CHANNELS
        if not is_known("channels", state.channels, connections, state.pools, state.best_tips):
            yield from self._channels.violations(state)
            changed = self._channels.changed
        of_all = state.channels.servings, state.channels.introductions, state.signaling, connections
        if not is_known("conversations", *of_all) or not CONVERSATIONS.isdisjoint(changed):
            yield from conversations_violations(state)
        if not is_known("block channels", state.blocks, connections) or ChannelId.BLOCK in changed:
            yield from block_channels_violations(state)
        if not is_known("signaling", state.signaling):
            yield from pairs_violations(state)
        if not is_known("address gossip", state.address_gossip, connections):
            yield from address_gossip_violations(state)
        if not is_known("blocks", state.blocks):
            yield from blocks_violations(state.blocks)
        if not is_known("best tips", state.best_tips, state.channels):
            yield from best_tips_violations(state)
        if not is_known("network", state.network):
            yield from network_part_violations(state)
        if not is_known("relay", state.relay, state.network, connections):
            yield from relay_violations(state)
        if not is_known("pools", state.pools, state.channels):
            yield from self._pools.violations(state)

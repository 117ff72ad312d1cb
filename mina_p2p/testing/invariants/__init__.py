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

from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import Timestamp
from mina_p2p.state import P2pState
from mina_p2p.store import Observer, Steps
from mina_p2p.testing.invariants.basis import Memory
from mina_p2p.testing.invariants.blocks import block_channels_violations, blocks_violations
from mina_p2p.testing.invariants.channels import ChannelsChecker
from mina_p2p.testing.invariants.connections import connections_violations, peers_violations
from mina_p2p.testing.invariants.conversations import conversations_violations, pairs_violations
from mina_p2p.testing.invariants.gossip import address_gossip_violations
from mina_p2p.testing.invariants.network import network_part_violations
from mina_p2p.testing.invariants.pools import best_tips_violations, pools_violations
from mina_p2p.testing.invariants.relay import relay_violations
from mina_p2p.testing.invariants.tables import peer_tables_violations

__all__ = ["Checker", "check_invariants", "sampled", "violations"]


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
    """Checks the states of one node, in the order in which the node has them; states in between may be left out."""

    def __init__(self) -> None:
        self._memory = Memory()
        self._channels = ChannelsChecker()

    def check(self, state: P2pState) -> None:
        """Check all that is not the same as in the state that was checked last.

        :raises InvariantViolationError: for the first thing that is wrong, with its path in the state.
        """
        for violation in self.violations(state):
            raise InvariantViolationError(violation)

    def violations(self, state: P2pState) -> Iterator[str]:
        """All that is wrong, of what is not the same as in the state that was looked at last."""
        if not self._memory.is_known("config", state.config):
            # Bounds may be others now: look at everything.
            self._memory, self._channels = Memory(), ChannelsChecker()
            self._memory.is_known("config", state.config)
        memory = self._memory
        if not memory.is_known("peers", state.peers, state.connections):
            yield from peers_violations(state)
            yield from peer_tables_violations(state)
        if not memory.is_known("connections", state.connections, state.peers, state.is_stopping):
            yield from connections_violations(state)
        if not memory.is_known("channels", state.channels, state.connections):
            yield from self._channels.violations(state)
            yield from conversations_violations(state, memory)
        if not memory.is_known("signaling", state.signaling):
            yield from pairs_violations(state)
        if not memory.is_known("address gossip", state.address_gossip, state.connections):
            yield from address_gossip_violations(state)
        if not memory.is_known("blocks", state.blocks):
            yield from blocks_violations(state.blocks)
        if not memory.is_known("block channels", state.blocks, state.channels, state.connections):
            yield from block_channels_violations(state)
        yield from best_tips_violations(state)
        yield from network_part_violations(state, memory)
        if not memory.is_known("relay", state.relay):
            yield from relay_violations(state)
        if not memory.is_known("pools", state.pools, state.channels):
            yield from pools_violations(state, memory)

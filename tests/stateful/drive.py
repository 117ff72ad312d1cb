"""One node under random inputs, watched."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from typing import Any

from slices.tables.connections import CONNECTIONS
from slices.tables.peers import PEERS
from slices.tables.pools import BEST_TIPS, POOLS
from slices.tables.propagation import LOCAL, REMOTE, TIPS_LOCAL
from slices.tables.rpc import ASKING, SERVING

from mina_p2p.channels.propagation.state import Responding
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p.ids import ChannelId, ConnectionId, Timestamp
from mina_p2p.pool.state import POOL_CHANNELS
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState, initial_state
from mina_p2p.store import Machine
from mina_p2p.testing.arguments import AnyAction
from mina_p2p.testing.catalog import START, small_config
from mina_p2p.testing.invariants import check_invariants, violations
from mina_p2p.transport import ChannelsMessageReceived, ConnectionClosed
from stateful.watch import Watch


class Driven:
    """A node and its watch."""

    def __init__(self, machine: Machine[P2pState], state: P2pState) -> None:
        self.machine = machine
        self.state = state
        self.watch = Watch.of(state)

    def do(self, action: Any, now: Timestamp) -> None:
        """Dispatch, and check every promise; raises `InvariantViolationError` or `AssertionError` for a broken one."""
        used = self.watch.theirs.keys() | self.watch.answered
        if isinstance(action, ChannelsMessageReceived) and (action.connection_id, action.stream) in used:
            # A stream carries one request: a transport lets no second one through.
            action = ConnectionClosed(action.connection_id, Reason(ReasonCode.STREAM_MISUSE), by_peer=False)
        before = self.state
        try:
            after, effects, steps = self.machine.dispatch(before, action, now)
        except CallerError:
            return
        check_invariants(after)
        self.watch.see(before, action, now, [step for step, _, _ in steps.raw], effects, after)
        self.state = after


def walk(machine: Machine[P2pState], seed: int, length: int) -> Iterator[Driven]:
    """Random inputs, decided by a seed: how hostile they are, and whether follow-ups come from nowhere, too.

    :returns: the node after each of them; the same object.
    """
    dice = random.Random(seed)
    driven = Driven(machine, initial_state(small_config(is_discovery_enabled=bool(seed % 2)), START))
    hostility = (0, 1, 3, 8)[seed // 2 % 4]
    for _ in range(length):
        draw = AnyAction(dice.randrange, driven.state, hostility)
        now = draw.later()
        driven.do(draw.action() if seed % 8 == 7 and draw.below(8) == 0 else draw.input(), now)
        yield driven


CORPUS_WALKS, CORPUS_LENGTH = 24, 120


@cache
def corpus() -> tuple[P2pState, ...]:
    """States of many kinds: those of the tables of transitions, and those that random inputs led to."""
    kept: dict[frozenset[str], P2pState] = {}
    for seed in range(CORPUS_WALKS):
        for driven in walk(p2p_machine(), seed, CORPUS_LENGTH):
            for connection_id in driven.state.connections.table or (0,):
                kept.setdefault(features(driven.state, ConnectionId(connection_id)), driven.state)
    tables = (CONNECTIONS, PEERS, LOCAL, TIPS_LOCAL, REMOTE, ASKING, SERVING, BEST_TIPS, POOLS)
    return (*(state for table in tables for state in table.states.values() if not list(violations(state))), *kept.values())


def features(state: P2pState, connection_id: ConnectionId) -> frozenset[str]:
    """What kind of state that is, as seen from one connection."""
    connection, channels = state.connections.get(connection_id), state.channels.table.get(connection_id)
    found = {type(connection.status).__name__ if connection is not None else "none", f"stopping {state.is_stopping}"}
    if channels is None:
        statuses = {type(peer.status).__name__ for peer in state.peers.table.values()}
        learned = f"learned {max(state.peers.learned_counts.values(), default=0)}"
        return frozenset(found | statuses | {learned, f"enough {len(state.connections) >= state.config.limits.peers_min}"})
    for channel in (ChannelId.BEST_TIP, ChannelId.TRANSACTION):
        machine = channels.propagation(channel)
        if machine is not None:
            room = f"room {state.request_limit(connection_id, channel) > 0}"
            found |= {f"{channel} {type(machine.local).__name__}", f"{channel} {type(machine.remote).__name__}", room}
        if machine is not None and isinstance(machine.local, Responding):
            found.add(f"{channel} is complete: {machine.local.current_count == machine.local.promised_count}")
    if channels.rpc is not None:
        found |= {f"question {type(request).__name__}" for request in channels.rpc.requests}
        found.add(f"serving {len(channels.rpc.serving)}")
    for channel in POOL_CHANNELS:
        pool = state.pools.of(channel)
        found |= {f"{channel} {type(pool.candidates[number].status).__name__}" for number in pool.by_connection.get(connection_id, ())}
    return frozenset(found | {f"blocked {channels.is_send_blocked}", f"tip {state.best_tips.own is not None}"})

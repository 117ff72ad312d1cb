"""Two nodes that dial each other: every order of events, not a sample of them.

The world below is a value: two states, what is on its way, the time. All of its futures are walked,
and in every one that has come to rest both nodes have exactly one connection, the same one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mina_p2p.config import Limits, P2pConfig, Timeouts
from mina_p2p.connection.state import Ready
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import SECOND, ConnectionId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState, initial_state
from mina_p2p.testing.invariants import check_invariants
from mina_p2p.timeouts import CheckTimeouts
from mina_p2p.transport import (
    ConnectionClosed,
    ConnectionEffectfulAccept,
    ConnectionEffectfulDial,
    ConnectionEffectfulHelloSend,
    ConnectionEffectfulReject,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    DisconnectionEffectfulInit,
    TransportKind,
)
from slices.lab import START, address, peer_id, remote

TICK = 3 * SECOND
"""Two of them are more than the time within which dials count as crossing."""

PATIENT = Timeouts(hello=60 * SECOND, outgoing_connection=60 * SECOND, incoming_connection=60 * SECOND, attempt=90 * SECOND)
"""No attempt here ends by being slow: what is about slow peers is tested elsewhere."""


@record
class Link(Record):
    """One dial and what became of it."""

    dialer: int
    ids: tuple[ConnectionId | None, ConnectionId | None]
    """What each node calls it."""
    gone: tuple[bool, bool] = (False, False)
    is_established: bool = False
    to: tuple[tuple[Any, ...], tuple[Any, ...]] = ((), ())
    """What is on its way to each node, in order: ``arrival``, a hello's frame, or a `Reason`."""


@record
class World(Record):
    """Node 0 has the lesser id."""

    states: tuple[P2pState, P2pState]
    now: Timestamp
    ticks_left: int
    failures_left: int
    """How many dials may still come to nothing."""
    unstarted: tuple[bool, bool] = (True, True)
    links: tuple[Link, ...] = ()

    def key(self) -> str:
        """The same for worlds with the same future."""
        parts = [(state.connections.table, state.peers.table, state.peers.random.counter) for state in self.states]
        return repr((parts, self.now, self.ticks_left, self.failures_left, self.unstarted, self.links))


def _put(pair: tuple[Any, Any], at: int, value: Any) -> Any:
    return (value, pair[1]) if at == 0 else (pair[0], value)


def _with_link(world: World, index: int, link: Link) -> World:
    return world.replace(links=(*world.links[:index], link, *world.links[index + 1 :]))


def _feed(world: World, node: int, event: Any) -> World:
    state, effects, _ = p2p_machine().dispatch(world.states[node], event, world.now)
    check_invariants(state)
    world = world.replace(states=_put(world.states, node, state))
    for effect in effects:
        world = _perform(world, node, effect)
    return world


def _perform(world: World, node: int, effect: Any) -> World:
    """Carry out an effect; those of channels do not matter here."""
    if isinstance(effect, ConnectionEffectfulDial):
        return world.replace(links=(*world.links, Link(node, _put((None, None), node, effect.connection_id))))
    if isinstance(effect, ConnectionEffectfulAccept):
        link = world.links[effect.handle]
        return _with_link(world, effect.handle, link.replace(ids=_put(link.ids, node, effect.connection_id)))
    if isinstance(effect, ConnectionEffectfulReject):
        return _send(world, effect.handle, node, effect.reason, ends=True)
    if isinstance(effect, ConnectionEffectfulHelloSend | DisconnectionEffectfulInit):
        index = next(i for i, link in enumerate(world.links) if link.ids[node] == effect.connection_id)
        if isinstance(effect, ConnectionEffectfulHelloSend):
            return _send(world, index, node, effect.frame, ends=False)
        return _send(world, index, node, effect.reason, ends=True)
    return world


def _send(world: World, index: int, node: int, what: Any, *, ends: bool) -> World:
    link, other = world.links[index], 1 - node
    gone = _put(link.gone, node, ends)
    if link.gone[other] or not link.is_established:
        # Nobody hears of a dial that is given up before the handshake's end.
        return _with_link(world, index, link.replace(gone=(True, True) if ends else gone))
    return _with_link(world, index, link.replace(gone=gone, to=_put(link.to, other, (*link.to[other], what))))


def _futures(world: World) -> Iterator[World]:
    """Everything that may happen next."""
    for node in (0, 1):
        if world.unstarted[node]:
            yield _feed(world.replace(unstarted=_put(world.unstarted, node, False)), node, CheckTimeouts())
    for index, link in enumerate(world.links):
        if not link.is_established and not link.gone[link.dialer]:
            yield from _dial_ends(world, index, link)
        for node in (0, 1):
            if link.to[node]:
                yield _deliver(world, index, link, node)
    if world.ticks_left:
        later = world.replace(now=Timestamp(world.now + TICK), ticks_left=world.ticks_left - 1)
        for node in (0, 1):
            if not later.unstarted[node]:
                later = _feed(later, node, CheckTimeouts())
        yield later


def _dial_ends(world: World, index: int, link: Link) -> Iterator[World]:
    node, connection_id = link.dialer, link.ids[link.dialer]
    assert connection_id is not None
    reached = link.replace(is_established=True, to=_put(link.to, 1 - node, ("arrival",)))
    found = peer_id(_NUMBERS[1 - node])
    yield _feed(_with_link(world, index, reached), node, ConnectionEstablished(connection_id, found, remote(_NUMBERS[1 - node])))
    if world.failures_left:
        lost = _with_link(world, index, link.replace(gone=(True, True))).replace(failures_left=world.failures_left - 1)
        yield _feed(lost, node, ConnectionClosed(connection_id, Reason(ReasonCode.TRANSPORT_ERROR), by_peer=False))


def _deliver(world: World, index: int, link: Link, node: int) -> World:
    what, *rest = link.to[node]
    taken = link.replace(to=_put(link.to, node, tuple(rest)))
    connection_id = link.ids[node]
    if what == "arrival":
        other = _NUMBERS[1 - node]
        return _feed(
            _with_link(world, index, taken), node, ConnectionIncomingReceived(TransportKind.QUIC, index, remote(other), peer_id(other))
        )
    if link.gone[node] or connection_id is None:
        return _with_link(world, index, taken)
    if isinstance(what, Reason):
        closed = _with_link(world, index, taken.replace(gone=(True, True)))
        return _feed(closed, node, ConnectionClosed(connection_id, what, by_peer=True))
    return _feed(_with_link(world, index, taken), node, ConnectionHelloReceived(connection_id, what))


_NUMBERS = (1, 2)


def _start(ticks: int, failures: int) -> World:
    def node(me: int, other: int) -> P2pState:
        config = P2pConfig(
            peer_id(me),
            MAINNET_CHAIN_ID,
            seed=me,
            initial_peers=(address(other),),
            is_discovery_enabled=False,
            limits=Limits(peers_min=1),
            timeouts=PATIENT,
        )
        return initial_state(config, START)

    return World((node(*_NUMBERS), node(*reversed(_NUMBERS))), START, ticks, failures)


def _at_rest(start: World) -> tuple[list[World], int]:
    """The worlds in which nothing more happens by itself, and how many there were on the way."""
    seen, waiting, found = {start.key()}, [start], []
    while waiting:
        world = waiting.pop()
        futures = list(_futures(world))
        if not futures:
            found.append(world)
        for future in futures:
            if (key := future.key()) not in seen:
                seen.add(key)
                waiting.append(future)
    return found, len(seen)


def _connections(world: World) -> list[tuple[ConnectionId | None, ConnectionId | None]]:
    """Links that both nodes have and find ready, as each names them."""
    lines = [link.ids for link in world.links]
    return [
        (mine, other)
        for mine, other in lines
        if mine is not None
        and other is not None
        and world.states[0].connections.ready(mine) is not None
        and world.states[1].connections.ready(other) is not None
    ]


@pytest.mark.parametrize(("ticks", "failures"), [(0, 0), (0, 1), (1, 0), (2, 0)])
def test_crossing_dials_become_one_connection(ticks: int, failures: int) -> None:
    """Whatever arrives first, up to 6 s apart, and if a dial fails: one connection, which is the same for both."""
    worlds, count = _at_rest(_start(ticks, failures))
    assert count > 50
    for world in worlds:
        if failures and not world.failures_left and not any(world.states[node].connections.table for node in (0, 1)):
            continue  # the only dial there was has failed: the next test is about what follows
        assert len(_connections(world)) == 1, world.key()
        assert [len(state.connections) for state in world.states] == [1, 1]
        assert all(isinstance(c.status, Ready) for state in world.states for c in state.connections.table.values())


def test_one_connection_in_the_end_after_failures() -> None:
    """Dials that fail are repeated until there is the one connection; both nodes go on looking for it."""
    worlds, _ = _at_rest(_start(0, 2))
    for world in worlds:
        later = world
        for _ in range(40):
            if len(_connections(later)) == 1:
                break
            later = _drained(later.replace(now=Timestamp(later.now + 5 * SECOND)))
        assert len(_connections(later)) == 1
        assert [len(state.connections) for state in later.states] == [1, 1]


def _drained(world: World) -> World:
    """One future of several: node 0 first, the oldest link first, until nothing is left to do."""
    for node in (0, 1):
        world = _feed(world, node, CheckTimeouts())
    while (future := next(_futures(world.replace(failures_left=0)), None)) is not None:
        world = future
    return world

"""The machines that are drawn: which part of the state each of them is, and where its boxes stand."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

from diagrams.probe import Step, World, explore
from diagrams.worlds import best_tips, candidates, commitments, connections, questions, strangers, undialable

from mina_p2p.ids import ChannelId, ConnectionId
from mina_p2p.pool.state import POOL_CHANNELS
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState

START = "(start)"
END = "(end)"
INPUT = "an input"

Instances = Mapping[Hashable, Any]


class Edge(NamedTuple):
    """A step that was seen, without the values in it."""

    source: str
    target: str
    action: str
    parent: str


class Drawn(NamedTuple):
    """One machine to draw."""

    name: str
    title: str
    module: str
    text: str
    worlds: tuple[Callable[[], World], ...]
    project: Callable[[P2pState], Instances]
    """The machine's instances in a state of the node, each with its state of this machine."""
    places: Mapping[str, tuple[float, float]]
    """Column and row of each state; of a dot, ``(start) Name`` is the one whose arrow leads to that state."""
    bends: Mapping[tuple[str, str], float] = {}
    """How far an arrow leaves the straight line, to the left of its direction, where 0 is no good; a loop with less than 0 is below."""
    prefix: str = ""
    """Of the names of actions; left out in the drawing."""


def edges(machine: Drawn) -> list[Edge]:
    """What was seen of a machine, sorted.

    :raises LookupError: where it was seen in a state that has no place in the drawing.
    """
    found = {edge for world in machine.worlds for step in _steps(world) for edge in _edges_of(machine, step)}
    unplaced = {name for edge in found for name in edge[:2] if not any(place.startswith(name) for place in (*machine.places, END))}
    if unplaced:
        raise LookupError(f"{machine.name}: give a place to {', '.join(sorted(unplaced))}")
    return sorted(found)


@cache
def _steps(world: Callable[[], World]) -> list[Step]:
    return explore(p2p_machine(), world())


def _edges_of(machine: Drawn, step: Step) -> Iterable[Edge]:
    if step.before is step.after:
        return
    before, after = machine.project(step.before), machine.project(step.after)
    for instance in before.keys() | after.keys():
        old, new = before.get(instance), after.get(instance)
        if old != new:
            source = START if old is None else type(old).__name__
            target = END if new is None else type(new).__name__
            parent = INPUT if step.parent is None else type(step.parent).__name__
            yield Edge(source, target, type(step.action).__name__, parent)


# --- which part of the state each machine is --------------------------------------------------


def _attempts(*, is_incoming: bool) -> Callable[[P2pState], Instances]:
    return lambda state: {key: c.status for key, c in state.connections.table.items() if c.is_incoming == is_incoming}


def _peers(state: P2pState) -> Instances:
    return {number: peer.status for number, peer in state.peers.table.items()}


def _halves(name: str) -> Callable[[P2pState], Instances]:
    def project(state: P2pState) -> Instances:
        machines = {channel: state.channels.propagation(ConnectionId(1), channel) for channel in ChannelId}
        return {channel: getattr(machine, name) for channel, machine in machines.items() if machine is not None}

    return project


def _requests(state: P2pState) -> Instances:
    rpc = state.channels.rpc(ConnectionId(1))
    return {} if rpc is None else {request.id: request for request in rpc.requests}


def _serving(state: P2pState) -> Instances:
    rpc = state.channels.rpc(ConnectionId(1))
    return {} if rpc is None else {serving.serial: serving for serving in rpc.serving}


def _candidates(state: P2pState) -> Instances:
    return {(channel, n): c.status for channel in POOL_CHANNELS for n, c in state.pools.of(channel).candidates.items()}


# --- the drawings -----------------------------------------------------------------------------

MACHINES = (
    Drawn(
        "connection-outgoing",
        "Dialling a peer",
        "mina_p2p.connection.outgoing",
        "One attempt of ours, by its `ConnectionId`.",
        (connections,),
        _attempts(is_incoming=False),
        {START: (0, 0), "OutgoingInit": (0.7, 0), "OutgoingFinalizePending": (2.1, 0), "Ready": (3.2, 0), END: (2.1, 1.1)},
        bends={("OutgoingFinalizePending", END): -0.1},
        prefix="ConnectionOutgoing",
    ),
    Drawn(
        "connection-incoming",
        "Being dialled",
        "mina_p2p.connection.incoming",
        "One attempt of a peer's, which is authenticated before this machine hears of it.",
        (connections,),
        _attempts(is_incoming=True),
        {START: (0, 0), "IncomingFinalizePending": (0.9, 0), "Ready": (2.1, 0), END: (1.5, 1.1)},
        prefix="ConnectionIncoming",
    ),
    Drawn(
        "peer",
        "A known peer",
        "mina_p2p.peer",
        "The status of one record in the peer table.",
        (connections, strangers, undialable),
        _peers,
        {
            f"{START} Disconnected": (0.3, 0),
            f"{START} Attached": (3.95, 0),
            f"{START} Banned": (2.85, 2.3),
            "Disconnected": (1.1, 0),
            "Attached": (3.1, 0),
            "BackingOff": (2.1, 1.1),
            "Banned": (2.1, 2.3),
        },
        bends={
            ("Disconnected", "BackingOff"): 16,
            ("BackingOff", "Disconnected"): 16,
            ("Attached", "BackingOff"): 16,
            ("BackingOff", "Attached"): 16,
            ("Disconnected", "Banned"): -35,
            ("Banned", "Disconnected"): 135,
            ("Attached", "Banned"): 90,
            ("Banned", "Banned"): -0.1,
        },
    ),
    Drawn(
        "permission-local",
        "What we permitted",
        "mina_p2p.channels.propagation",
        "The local half of one channel of one connection: how many items the peer may send us, and what it has sent of them.",
        (commitments, best_tips),
        _halves("local"),
        {
            START: (0, 0),
            "WaitingForRequest": (0.9, 0),
            "Requested": (2, 0),
            "Responding": (3.2, 0),
            "Paused": (2, 1),
            "Responded": (2.6, -1.15),
        },
        bends={("WaitingForRequest", "Requested"): 24, ("Requested", "WaitingForRequest"): 24, ("Requested", "Responding"): -0.1},
        prefix="ChannelsPropagation",
    ),
    Drawn(
        "permission-remote",
        "What the peer permitted",
        "mina_p2p.channels.propagation",
        "The remote half of the same channel: how many items we may send.",
        (commitments, best_tips),
        _halves("remote"),
        {START: (0, 0), "WaitingForRequest": (0.9, 0), "RemoteRequested": (2.1, 0), "RemoteResponded": (3.3, 0)},
        bends={
            ("WaitingForRequest", "RemoteRequested"): 24,
            ("RemoteRequested", "WaitingForRequest"): 24,
            ("RemoteRequested", "RemoteResponded"): 24,
            ("RemoteResponded", "RemoteRequested"): 24,
        },
        prefix="ChannelsPropagation",
    ),
    Drawn(
        "rpc-request",
        "A question of ours",
        "mina_p2p.channels.rpc",
        "One question to a peer, by its id.",
        (questions,),
        _requests,
        {START: (0, 0), "Requested": (1, 0), "Responded": (2.2, 0), END: (1.6, 1)},
        prefix="ChannelsRpc",
    ),
    Drawn(
        "rpc-serving",
        "A question of a peer's",
        "mina_p2p.channels.rpc",
        "One question to us, by our serial number.",
        (questions,),
        _serving,
        {START: (0, 0), "Serving": (1, 0), END: (2.2, 0)},
        prefix="ChannelsRpc",
    ),
    Drawn(
        "candidate",
        "An announced item",
        "mina_p2p.pool",
        "One item that peers announced and that is not in the pool. What is announced whole goes straight to `VerifyPending`.",
        (candidates, commitments),
        _candidates,
        {
            START: (0, 0),
            f"{START} VerifyPending": (3.9, 0),
            "Announced": (0.9, 0),
            "Fetching": (1.9, 0),
            "VerifyPending": (2.9, 0),
            END: (1.9, 1.1),
        },
        bends={("Announced", "Fetching"): 22, ("Fetching", "Announced"): 22, ("Announced", END): -0.1},
        prefix="Pool",
    ),
)

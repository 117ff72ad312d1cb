"""Vectors of the libp2p layers, keys, and two connections joined by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import shake_256
from typing import Any

import pytest
from support.vectors import vectors_path

from mina_p2p.identity import DEVNET_CHAIN_ID
from mina_p2p.transport import SocketAddress
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.libp2p.config import Libp2pConfig
from mina_p2p_effects.transports.libp2p.connection import Connection, Phase, Profile
from mina_p2p_effects.transports.libp2p.events import Closed, Event
from mina_p2p_effects.transports.libp2p.faults import Fault
from mina_p2p_effects.transports.libp2p.protocols import Framing, StreamProtocol

ECHO = StreamProtocol("/test/echo/1.0.0", Framing.RAW, 0)
NOTES = StreamProtocol("/test/notes/1.0.0", Framing.DELIMITED, 100_000)
CALLS = StreamProtocol("coda/rpcs/0.0.1", Framing.RPC, 1_000_000)
PROTOCOLS = {protocol.name: protocol for protocol in (ECHO, NOTES, CALLS)}

ALICE = SecretKey.deterministic(1)
BOB = SecretKey.deterministic(2)
HERE, THERE = SocketAddress("192.0.2.1", 8302), SocketAddress("192.0.2.2", 40000)
NETWORK_KEY = DEVNET_CHAIN_ID.libp2p_network_key


@cache
def _vectors() -> dict[str, dict[str, Any]]:
    return {vector["name"]: vector for vector in json.loads(vectors_path("libp2p.json").read_text())["vectors"]}


def vector(name: str) -> dict[str, Any]:
    """One vector, its fields of hex digits as bytes."""
    found = _vectors()[name]
    return {key: _bytes(value) for key, value in found.items()}


def vectors_of(layer: str) -> list[dict[str, Any]]:
    """All vectors of one layer; empty where there are none at all."""
    try:
        return [vector(name) for name, found in _vectors().items() if found["layer"] == layer]
    except pytest.skip.Exception:
        return []


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return bytes.fromhex(value)
    except ValueError:
        return value


def dice(seed: str) -> Callable[[int], bytes]:
    """Bytes that look random and are the same in every run."""
    stream: Iterator[int] = iter(range(1 << 30))
    return lambda size: shake_256(f"{seed} {next(stream)}".encode()).digest(size)


def profile(secret_key: SecretKey, *, network_key: bytes | None = NETWORK_KEY, **limits: Any) -> Profile:
    """A node's profile."""
    return Profile(secret_key, Libp2pConfig(**limits), PROTOCOLS, network_key, dice(str(secret_key.peer_id)))


class Pair:
    """A dialer and a listener; `settle` carries bytes between them until both are quiet."""

    def __init__(self, dialer: Profile | None = None, listener: Profile | None = None, *, expected: Any = "the listener") -> None:
        dialer, listener = dialer or profile(ALICE), listener or profile(BOB)
        who = listener.secret_key.peer_id if expected == "the listener" else expected
        self.now = 100.0
        self.dialer = Connection(dialer, HERE, is_dialer=True, now=self.now, expected=who)
        self.listener = Connection(listener, THERE, is_dialer=False, now=self.now)
        self.piece: int | None = None
        """Bytes that are carried at once; ``None`` for all there are."""
        self.carried = 0

    def settle(self) -> None:
        """Carry bytes until none are left."""
        moved = True
        while moved:
            moved = self._carry(self.dialer, self.listener) | self._carry(self.listener, self.dialer)

    def _carry(self, sender: Connection, receiver: Connection) -> bool:
        data = sender.transmit()
        self.carried += len(data)
        step = self.piece or max(1, len(data))
        for at in range(0, len(data), step):
            receiver.receive(data[at : at + step], self.now)
        return bool(data)

    def events(self, side: Connection) -> list[Event]:
        """What a side told since the last time."""
        told = list(side.events)
        side.events.clear()
        return told

    def opened(self) -> Pair:
        """Set the connection up."""
        self.settle()
        assert (self.dialer.phase, self.listener.phase) == (Phase.OPEN, Phase.OPEN), (self.dialer.events, self.listener.events)
        self.events(self.dialer)
        self.events(self.listener)
        return self

    def pass_time(self, seconds: float) -> None:
        """Let time pass, in steps of at most a second."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 1.0)
            for side in (self.dialer, self.listener):
                deadline = side.deadline()
                if deadline is not None and deadline <= self.now:
                    side.handle_timer(self.now)
            self.settle()


def fault_of(events: list[Event]) -> Fault:
    """Why the connection ended."""
    (closed,) = (event for event in events if isinstance(event, Closed))
    return closed.fault

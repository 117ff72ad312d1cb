"""The log of the machine that is shipped: a simulated network is recorded node by node and replayed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mina_p2p.ids import SECOND
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState
from mina_p2p.testing.sim import SimNode, Simulation
from mina_p2p.trace import BytesSource, Reader, Schema, Tape, Writer, WriterOptions, machine_named, replay
from mina_p2p.trace.replay import ReplayResult

OPTIONS = WriterOptions(chunk_inputs=50, hash_inputs=50, checkpoint_inputs=200, bytes_per_input=1 << 30, is_checked=True)
SCHEMA = Schema.of(p2p_machine())


class Taped:
    """A node and the writer that observes it."""

    def __init__(self, node: SimNode) -> None:
        self.node = node
        metadata = {"peer_id": str(node.config.peer_id)}
        self.writer = Writer(p2p_machine(), "mina_p2p", node.store.state, metadata=metadata, schema=SCHEMA, options=OPTIONS)
        node.store.observe(self.writer.add)

    def log(self) -> bytes:
        self.writer.close()
        tape = Tape(SCHEMA)
        return b"".join(tape.append(chunk) for chunk in self.writer.take()) + tape.finish()


def network(seed: int) -> list[Taped]:
    """Three nodes that find each other, lose each other and come together again."""
    simulation = Simulation(seed)
    first = Taped(simulation.add())
    address = first.node.port.dial_address
    nodes = [first, *(Taped(simulation.add(initial_peers=(address,))) for _ in range(2))]
    simulation.run(20 * SECOND)
    ids = [taped.node.config.peer_id for taped in nodes]
    simulation.network.cut(ids[0], ids[1], simulation.now)
    simulation.run(20 * SECOND)
    simulation.network.heal()
    simulation.run(20 * SECOND)
    return nodes


@contextmanager
def changed(cls: type[Any], is_enabled: Any) -> Iterator[None]:
    """An action class with another guard, for a machine that is built meanwhile."""
    original = cls.is_enabled
    cls.is_enabled = is_enabled
    try:
        p2p_machine.cache_clear()
        yield
    finally:
        cls.is_enabled = original
        p2p_machine.cache_clear()


def replayed(log: bytes) -> ReplayResult:
    return replay(Reader(BytesSource(log)), p2p_machine(), SCHEMA)


def test_every_node_of_a_network_is_replayed_to_its_state() -> None:
    """With every input checked against its type hints while it is recorded."""
    for taped in network(3):
        result = replayed(taped.log())
        assert (result.divergence, result.notes) == (None, ())
        assert result.is_verified
        assert result.actions > 50
        assert result.state_hash == SCHEMA.state_hash(taped.node.state)


def test_the_machine_is_registered_under_its_name() -> None:
    """So that ``mina-p2p replay`` needs to be told nothing."""
    registered = machine_named("mina_p2p")
    # Not the same object: tests that plant a bug have the machine made anew.
    assert registered.machine.actions == p2p_machine().actions
    assert registered.machine.root is P2pState
    assert registered.schema.digest == SCHEMA.digest


@pytest.mark.parametrize(
    ("name", "is_enabled"),
    [("ConnectionOutgoingInit", False), ("ChannelsReady", False), ("ConnectionOutgoingRandomInit", True), ("PoolSend", True)],
)
def test_a_changed_guard_of_the_shipped_machine_is_found(name: str, is_enabled: bool) -> None:
    """A guard that always says yes, or always no, shows at the action that it lets through or holds back."""
    (cls,) = (action for action in p2p_machine().actions if action.__name__ == name)
    logs = [taped.log() for taped in network(3)]
    with changed(cls, lambda _self, _state, _now: is_enabled):
        found = [divergence for log in logs if (divergence := replayed(log).divergence) is not None]
    assert found
    assert name in f"{found[0].recorded_kind} {found[0].replayed_kind}"
    assert found[0].path is None or found[0].recorded != found[0].replayed
    assert all(replayed(log).is_verified for log in logs)

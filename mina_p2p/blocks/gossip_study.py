"""The other way of the comparison: a block by GossipSub, as OCaml nodes spread it today.

The nodes are the library's own libp2p nodes with the parameters of the network (`GossipsubConfig`): meshes of six, gossip
of ids to the others, a message goes on when the node software has accepted it (spec: libp2p 9).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from mina_p2p.blocks.downlink import Downlink
from mina_p2p.gossipsub.actions import NetworkPubsubPublish, NetworkPubsubVerdict, Verdict
from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.libp2p.actions import NetworkDial
from mina_p2p.libp2p.config import TOPIC_V0
from mina_p2p.libp2p.notifications import NetworkPubsubMessageReceived
from mina_p2p.libp2p.transport import Libp2pStreamMessageReceived
from mina_p2p.record import Record, record
from mina_p2p.store import Action
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.libp2p_sim import NetworkNode, NetworkSimulation
from mina_p2p.wire.framing import HEADER_SIZE

NEW_STATE: Final = b"\x00"
"""The kind of a gossip message that is a block."""
AFTER: Final = 60 * SECOND
"""So long copies and announcements of a message may follow it."""


@record
class Place(Record):
    """One node of a network."""

    latency: int
    """Nanoseconds from it to its connection to the network, one way."""
    dials: tuple[int, ...]
    """The places of the nodes that it dials."""


@record
class Spread(Record):
    """What came of one block."""

    times: tuple[int, ...]
    """Nanoseconds until each node but the producer had it verified, ascending."""
    useful_bytes: float
    """Received by a node, on average: the message that was the first."""
    duplicate_bytes: float
    """The same message from others."""
    announcement_bytes: float
    """Ids of messages and requests for them, and what keeps meshes."""


def gossip_payload(block: bytes) -> bytes:
    """The data of the gossip message that carries a block (spec: libp2p 9, Payload)."""
    body = NEW_STATE + block
    return len(body).to_bytes(8, "little") + body


class _Counting(NetworkNode):
    """Counts what it receives."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.received: list[int] = []

    def dispatch(self, action: Action) -> None:
        """Take an input."""
        if isinstance(action, Libp2pStreamMessageReceived):
            self.received.append(HEADER_SIZE + len(action.data))
        super().dispatch(action)


class GossipStudy:
    """One network of such nodes, through which blocks go one after the other."""

    def __init__(self, places: Sequence[Place], *, seed: int, verify: int, rate: int, settle: int) -> None:
        """Start the nodes, and let them make connections and meshes.

        :param verify: nanoseconds that the node software takes for a block.
        :param rate: bytes per second of a node's own connection, each way, once the meshes are made.
        :param settle: nanoseconds for that.
        """
        self._verify = verify
        self._times: list[int] = []
        self._started_at = Timestamp(0)
        self.simulation = NetworkSimulation(seed, latency=0, jitter_percent=0)
        phases = Dice(seed, "heartbeats")
        self.nodes = [self._add(place, phases.below(SECOND)) for place in places]
        for node, place in zip(self.nodes, places, strict=True):
            for other in place.dials:
                self.simulation.after(SECOND, partial(node.dispatch, NetworkDial(self.nodes[other].port.libp2p_address)))
        self.simulation.run(settle)
        for node in self.nodes:
            node.port.write_rate = rate
            Downlink(self.simulation, node.port, rate)

    def _add(self, place: Place, phase: int) -> _Counting:
        node = self.simulation.add_as(
            _Counting,
            software=self._software,
            starts_after=phase,
            is_discovery_enabled=False,
            connections_min=0,
            connections_max=1_000,
            connections_hard_max=1_000,
            dials_max=1_000,
        )
        node.port.latency = place.latency
        return node

    def _software(self, node: NetworkNode, told: Any) -> None:
        if isinstance(told, NetworkPubsubMessageReceived):
            self.simulation.after(self._verify, partial(self._accept, node, told))

    def _accept(self, node: NetworkNode, told: NetworkPubsubMessageReceived) -> None:
        self._times.append(self.simulation.now - self._started_at)
        node.dispatch(NetworkPubsubVerdict(told.verdict_id, Verdict.ACCEPT))

    def spread(self, block: bytes, producer: int, *, patience: int) -> Spread:
        """Let a block reach everybody from the node of that place.

        :param patience: nanoseconds after which no more is waited for.
        """
        others = [node for number, node in enumerate(self.nodes) if number != producer]
        for node in self.nodes:
            node.received.clear()
        self._times.clear()
        self._started_at = self.simulation.now
        self.nodes[producer].dispatch(NetworkPubsubPublish(TOPIC_V0, gossip_payload(block)))
        self.simulation.run(patience, until=lambda: len(self._times) >= len(others))
        times = tuple(sorted(self._times))
        self.simulation.run(AFTER)
        useful = twice = told = 0
        for node in others:
            blocks = [size for size in node.received if size > len(block)]
            useful += sum(blocks[:1])
            twice += sum(blocks[1:])
            told += sum(node.received) - sum(blocks)
        count = len(others)
        return Spread(times, useful / count, twice / count, told / count)

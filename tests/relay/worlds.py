"""Simulated nodes that pull, push or do both, and what their node software makes of what it hears."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeVar

from mina_p2p.address import Ipv4, QuicAddress
from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingInit
from mina_p2p.gossipsub.actions import NetworkPubsubPublish, Verdict
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId
from mina_p2p.ids import SECOND, RequestId
from mina_p2p.libp2p.actions import NetworkDial
from mina_p2p.libp2p.config import TOPIC_V0, NetworkConfig
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.mina.raw import RawBlock
from mina_p2p.notifications import BestTipReceived, ItemReceived
from mina_p2p.pool.actions import PoolVerdict
from mina_p2p.relay.actions import RelayVerdict
from mina_p2p.relay.config import RelayConfig
from mina_p2p.relay.state import BY_LIBP2P
from mina_p2p.testing.invariants import Checker
from mina_p2p.testing.sim import SimNode, Simulation

T = TypeVar("T")
SETTLED = 10 * SECOND
"""Long enough for everything to reach everybody, meshes included."""


class Software:
    """Judges what it is asked about, by default well of everything, and follows the first best tip that it hears of."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.verdict: Callable[[Any], Verdict | None] = lambda _told: Verdict.ACCEPT
        """Of an `ItemReceived` or `BestTipReceived`; nothing: it never says."""

    def __call__(self, node: SimNode, told: Any) -> None:
        self.told.append(told)
        if not isinstance(told, ItemReceived | BestTipReceived) or (verdict := self.verdict(told)) is None:
            return
        if isinstance(told, ItemReceived):
            if verdict is not Verdict.IGNORE:
                node.dispatch(PoolVerdict(told.verdict_id, verdict is Verdict.ACCEPT))
        elif verdict is Verdict.ACCEPT:
            node.dispatch(BestTipSet(told.block, told.state_hash))
        elif told.verdict_id is not None:
            node.dispatch(RelayVerdict(told.verdict_id, verdict))

    def heard(self, kind: type[T]) -> list[T]:
        """Notifications of a kind."""
        return [one for one in self.told if isinstance(one, kind)]

    @property
    def bodies(self) -> list[bytes]:
        """Items and blocks, in the order in which it was told of them, as often as it was."""
        found: list[bytes] = []
        for one in self.told:
            if isinstance(one, ItemReceived):
                found.append(one.body)
            elif isinstance(one, BestTipReceived):
                found.append(one.block)
        return found


class World:
    """A network of such nodes; all that must always hold is checked after every input of every node."""

    def __init__(self, seed: int = 1) -> None:
        self.sim = Simulation(seed, checkers=(lambda: Checker().check,))
        self.software: dict[int, Software] = {}
        self._last_request = 0

    def node(self, *, pushes: bool = False, relay: RelayConfig | None = None, **options: Any) -> SimNode:
        """Start one.

        :param pushes: whether it takes part in libp2p's network.
        :param options: of its `NetworkConfig`.
        """
        software = Software()
        number = len(self.sim.nodes) + 1
        identity = PeerId(number.to_bytes(32, "big"))
        network = NetworkConfig(identity, MAINNET_CHAIN_ID, seed=number, are_private_addresses_allowed=True, is_discovery_enabled=False)
        settings: dict[str, Any] = {"libp2p": network.replace(**options)} if pushes else {}
        made = self.sim.add(peer_id=identity, software=software, is_discovery_enabled=False, relay=relay or RelayConfig(), **settings)
        self.software[made.number] = software
        return made

    def of(self, node: SimNode) -> Software:
        """What thinks for a node."""
        return self.software[node.number]

    def pull(self, *nodes: SimNode) -> None:
        """Join each with the next by a pull connection."""
        for one, other in itertools.pairwise(nodes):
            self._last_request += 1
            at = other.port.address
            host = Ipv4.of(*map(int, at.host.split(".")))
            one.dispatch(ConnectionOutgoingInit(QuicAddress(other.config.peer_id, host, at.port), RequestId(self._last_request)))

    def push(self, *nodes: SimNode) -> None:
        """Join each with the next over libp2p."""
        for one, other in itertools.pairwise(nodes):
            one.dispatch(NetworkDial(other.port.libp2p_address))

    def run(self, duration: int = SETTLED) -> None:
        """Let time pass."""
        self.sim.run(duration)


def gossip(node: SimNode, data: bytes) -> None:
    """Have a node say something by gossip, whatever it is."""
    node.dispatch(NetworkPubsubPublish(TOPIC_V0, data))


def network(node: SimNode) -> NetworkState:
    """The libp2p part of a node's state."""
    assert node.state.network is not None
    return node.state.network


def own_tip(node: SimNode) -> RawBlock | None:
    """A node's best tip."""
    own = node.state.best_tips.own
    return None if own is None else own.block


def is_pushed(told: ItemReceived | BestTipReceived) -> bool:
    """Whether it came by gossip."""
    return told.connection_id == BY_LIBP2P

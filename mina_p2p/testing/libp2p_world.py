"""The world of one simulated run of libp2p nodes: members that know one seed, and what they heard of each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from mina_p2p.address import Libp2pAddress, parse_ip
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.errors import InvariantViolationError
from mina_p2p.gossipsub.actions import NetworkPubsubPublish
from mina_p2p.identity import PeerId
from mina_p2p.ids import Timestamp
from mina_p2p.libp2p.config import TOPIC_V0
from mina_p2p.libp2p.notifications import NetworkPeerDisconnected, NetworkPubsubMessageReceived
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.store import Observer
from mina_p2p.testing.clockwork import START
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.invariants.network import network_violations
from mina_p2p.testing.libp2p_liars import NetworkLiar
from mina_p2p.testing.libp2p_sim import PORT, NetworkNode, NetworkSimulation, accept_all
from mina_p2p.transport import SocketAddress

KEPT_MAX: Final = 20
"""Addresses that a node which crashes has on its disk."""
PAYLOAD_BYTES: Final = 200
FAULTS_OF_PEERS: Final = frozenset(
    {ReasonCode.CHANNEL_MSG_UNDECODABLE, ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH, ReasonCode.CHANNEL_MSG_UNEXPECTED}
)
"""With such a reason no honest node ends a connection with another."""


def check_network(state: NetworkState) -> None:
    """Check what holds in every state of a libp2p node.

    :raises InvariantViolationError: for the first thing that is wrong.
    """
    for violation in network_violations(state):
        raise InvariantViolationError(violation)


class NetworkMember:
    """A place in the network."""

    def __init__(self, number: int, peer_id: PeerId) -> None:
        self.number = number
        self.peer_id = peer_id
        self.address = SocketAddress(f"{1 + (number >> 8) % 9}.{number & 255}.1.1", PORT)
        self.liar: NetworkLiar | None = None
        """How its nodes lie, if they do."""
        self.node: NetworkNode | None = None
        """Who runs there now."""
        self.heard: dict[bytes, Timestamp] = {}
        """Messages that its node software was given, with the time by the node's clock; those of a node that crashed are forgotten."""


class NetworkWorld:
    """Members, their simulation, and what was found wrong."""

    def __init__(
        self, seed: int, count: int, check_every: int | None, observers: Sequence[Callable[[NetworkNode], Observer]], **config: Any
    ) -> None:
        """Members without nodes.

        :param check_every: after every so manieth dispatch of all nodes the invariants of its node are checked; ``None`` for never.
        :param config: fields of `NetworkConfig` that all nodes have.
        """
        self.dice = Dice(seed, "world")
        self.simulation = NetworkSimulation(
            seed, check=None if check_every is None else check_network, check_every=check_every or 1, observers=tuple(observers)
        )
        self.members = [NetworkMember(number, PeerId(self.dice.raw(32))) for number in range(count)]
        self.violations: list[str] = []
        self.messages: list[bytes] = []
        """All that were ever published."""
        self._config = config

    @property
    def clockwork(self) -> NetworkSimulation:
        """Time, and the links."""
        return self.simulation

    @property
    def seconds(self) -> float:
        """Virtual seconds from the start."""
        return (self.simulation.now - START) / 1e9

    def up(self) -> list[NetworkMember]:
        """Honest members whose nodes run."""
        return [member for member in self.honest() if member.node is not None]

    def nodes_up(self) -> list[NetworkNode]:
        """Their nodes."""
        return [member.node for member in self.honest() if member.node is not None]

    def honest(self) -> list[NetworkMember]:
        """Members that keep to the protocol."""
        return [member for member in self.members if member.liar is None]

    def liars(self) -> frozenset[PeerId]:
        """Ids of the others."""
        return frozenset(member.peer_id for member in self.members if member.liar is not None)

    def start(self, member: NetworkMember, kept: tuple[Libp2pAddress, ...] = ()) -> None:
        """Start a node at a member's place; it knows the seed, the first member, and what was on its disk."""
        seed = self.members[0]
        known = {address.peer_id: address for address in kept}
        if member is not seed:
            known[seed.peer_id] = Libp2pAddress(seed.peer_id, parse_ip(seed.address.host), seed.address.port)

        def software(node: NetworkNode, told: Any) -> None:
            self._told(member, node, told)

        member.node = self.simulation.add(
            peer_id=member.peer_id, software=software, address=member.address, seeds=tuple(known.values()), **self._config
        )
        member.node.liar = member.liar

    def fall(self, dice: Dice, *, keeps: bool, is_other: bool) -> Callable[[], None] | None:
        """Have some node crash; see `mina_p2p.testing.faults.FaultyWorld`. The seed stays who it is."""
        up = self.up()
        member = dice.choice(up)
        node = member.node
        if node is None or 2 * len(up) <= len(self.honest()) + 1:
            return None
        entries = list(node.state.kademlia.table.entries())[-KEPT_MAX:] if keeps else []
        kept = tuple(entry.addresses[0] for entry in entries)
        node.crash()
        member.node = None
        member.heard = {}

        def rise() -> None:
            if is_other and member is not self.members[0]:
                member.peer_id = PeerId(self.dice.raw(32))
            self.start(member, kept)

        return rise

    def publish(self, member: NetworkMember) -> bytes:
        """Have a member's node publish something new."""
        data = self.dice.raw(PAYLOAD_BYTES)
        self.messages.append(data)
        if member.node is not None:
            member.heard[data] = member.node.now
            member.node.dispatch(NetworkPubsubPublish(TOPIC_V0, data))
        return data

    def _told(self, member: NetworkMember, node: NetworkNode, told: Any) -> None:
        match told:
            case NetworkPubsubMessageReceived(data=data):
                at = member.heard.get(data)
                # It is remembered for a time only; who sends it again after that makes it new.
                if at is not None and node.now < at + node.config.gossipsub.seen_ttl:
                    self._complain(node, "gave its node software a message twice")
                member.heard[data] = node.now
            case NetworkPeerDisconnected(peer_id=peer_id, reason=reason, by_peer=False) if reason.code in FAULTS_OF_PEERS:
                if member.liar is None and peer_id not in self.liars():
                    self._complain(node, f"accuses an honest peer: {reason}")
            case _:
                pass
        accept_all(node, told)

    def _complain(self, node: NetworkNode, what: str) -> None:
        self.violations.append(f"node {node.number} at {self.seconds:.3f} s: {what}")

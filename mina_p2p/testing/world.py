"""The world of one simulated run: the members of a network and what they were given.

A *member* is a place in the network that outlives the nodes that run there: a node crashes,
another starts at the same address, with or without what the first one knew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from mina_p2p.address import DialAddress, Domain, QuicAddress, parse_ip
from mina_p2p.blocks.config import BlocksConfig
from mina_p2p.config import ALL_CHANNELS, Limits, Timeouts
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import ChannelId
from mina_p2p.pool.state import POOL_CHANNELS
from mina_p2p.record import Record, record
from mina_p2p.store import Observer
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.invariants import Checker
from mina_p2p.testing.liars import Strategy
from mina_p2p.testing.places import host_of
from mina_p2p.testing.sim import START, SimNode, Simulation
from mina_p2p.testing.software import NodeSoftware
from mina_p2p.testing.stock import Piece, Stock, Tip
from mina_p2p.transport import SocketAddress

PORT: Final = 8302
SEND_HIGH_BYTES: Final = 24 * 1024
"""Little, so that slow readers are noticed by the few kilobytes that travel here."""
HEADER_FIRST_PERCENT: Final = 75
"""How many members have blocks by channel 10; the others have whole ones."""


@record
class Disk(Record):
    """What a member keeps when its node crashes."""

    addresses: tuple[DialAddress, ...] = ()
    pieces: tuple[Piece, ...] = ()
    tip: Tip | None = None


class Member:
    """A place in the network."""

    def __init__(self, number: int, peer_id: PeerId, strategy: Strategy | None) -> None:
        self.number = number
        self.peer_id = peer_id
        self.strategy = strategy
        """How its nodes lie, if they do."""
        self.address = SocketAddress(host_of(number), PORT)
        self.name = f"node-{number}.example"
        self.node: SimNode | None = None
        """Who runs there now."""
        self.software: NodeSoftware | None = None
        self.knows: list[Member] = []
        """Whom its nodes are configured with."""
        self.pieces: list[Piece] = []
        """Items that began here and can not have been forgotten."""
        self.tips: list[Tip] = []
        self.is_header_first = False
        """Whether its nodes speak channel 10."""
        self.blocks = BlocksConfig()
        """How they announce and fetch blocks on it."""

    @property
    def is_honest(self) -> bool:
        """Whether it keeps to the protocol."""
        return self.strategy is None


class World:
    """Members, their simulation, and who is right where they accuse each other."""

    def __init__(
        self,
        seed: int,
        stock: Stock,
        peers: int,
        limits: Limits,
        timeouts: Timeouts,
        *,
        check_every: int | None,
        observers: Sequence[Callable[[SimNode], Observer]],
    ) -> None:
        """An empty world.

        :param peers: connections that each node wishes for.
        :param limits: of every node, but for the number of its connections.
        :param check_every: after every so manieth dispatch of all nodes the invariants of its node are checked; ``None`` for never.
        """
        self.dice = Dice(seed, "world")
        self.stock = stock
        self.peers = peers
        self.limits = limits
        self.timeouts = timeouts
        self.members: list[Member] = []
        self.honest: list[Member] = []
        """Members that keep to the protocol."""
        self.violations: list[str] = []
        self.excused: frozenset[ReasonCode] = frozenset()
        """What honest nodes may accuse each other of: the weather makes it look so."""
        self.simulation = Simulation(
            seed,
            checkers=() if check_every is None else (lambda: Checker().check,),
            check_every=check_every or 1,
            observers=tuple(observers),
            keeps_notifications=False,
        )
        self.simulation.network.send_high_bytes = SEND_HIGH_BYTES
        self._honest_ids: set[PeerId] = set()
        self._header_first = Dice(seed, "header first")

    # --- members --------------------------------------------------------------------------

    def add(self, strategy: Strategy | None = None) -> Member:
        """A new member, without a node yet."""
        number = len(self.members) + 1
        member = Member(number, PeerId(self.dice.raw(32)), strategy)
        member.is_header_first = self._header_first.chance(HEADER_FIRST_PERCENT) or strategy is not None
        self.simulation.network.names[member.name] = member.address.host
        self.members.append(member)
        if member.is_honest:
            self.honest.append(member)
        return member

    def up(self) -> list[tuple[Member, SimNode]]:
        """Honest members whose nodes run."""
        return [(member, member.node) for member in self.honest if member.node is not None]

    def nodes_up(self) -> list[SimNode]:
        """Nodes of honest members that run."""
        return [node for _, node in self.up()]

    @property
    def clockwork(self) -> Simulation:
        """Time, and the links."""
        return self.simulation

    def start(self, member: Member, disk: Disk = Disk()) -> None:  # noqa: B008 - a record is immutable
        """Start a node at a member's place, with what is on its disk."""
        if member.is_honest:
            self._honest_ids.add(member.peer_id)
        member.software = software = NodeSoftware(self.stock, self.dice, self)
        config = {
            "initial_peers": (*(self._address(other) for other in member.knows), *disk.addresses),
            "limits": self.limits.replace(peers_min=self.peers, peers_max=2 * self.peers + len(self.members) - len(self.honest)),
            "timeouts": self.timeouts,
            "blocks": member.blocks,
            "channels": (*ALL_CHANNELS, ChannelId.BLOCK) if member.is_header_first else ALL_CHANNELS,
        }
        member.node = node = self.simulation.add(
            peer_id=member.peer_id, software=software, address=member.address, liar=member.strategy, **config
        )
        for piece in disk.pieces:
            node.dispatch(piece.insert)
        if disk.tip is not None:
            software.adopt(node, disk.tip)
        if member.strategy is not None and member.strategy.period is not None:
            self._wake_liar(node, member.strategy, member.strategy.period)

    def _address(self, member: Member) -> DialAddress:
        """By name or by number."""
        if self.dice.chance(50):
            return QuicAddress(member.peer_id, Domain(member.name), PORT)
        return QuicAddress(member.peer_id, parse_ip(member.address.host), PORT)

    def _wake_liar(self, node: SimNode, strategy: Strategy, period: int) -> None:
        if node.port.is_alive:
            strategy.woken(node)
            self.simulation.after(period, partial(self._wake_liar, node, strategy, period))

    def crash(self, member: Member, node: SimNode, *, keeps: bool) -> Disk:
        """End a member's node.

        :param keeps: whether what it knew is on its disk.
        """
        disk = self._disk(node) if keeps else Disk()
        if not keeps:
            member.pieces.clear()
            member.tips.clear()
        node.crash()
        member.node = member.software = None
        return disk

    def _disk(self, node: SimNode) -> Disk:
        state = node.state
        addresses = tuple(peer.address for peer in state.peers.table.values() if peer.is_address_proven and peer.address is not None)
        pools = [(channel, state.pools.of(channel).items) for channel in POOL_CHANNELS]
        pieces = tuple(Piece(channel, item.key, item.info, item.body) for channel, pool in pools for item in pool.items.values())
        own = state.best_tips.own
        return Disk(addresses, pieces, None if own is None else self.stock.tip(own.state_hash))

    def fall(self, dice: Dice, *, keeps: bool, is_other: bool) -> Callable[[], None] | None:
        """Have some honest member's node crash; see `mina_p2p.testing.faults.FaultyWorld`."""
        if 2 * len(self.up()) <= len(self.honest) + 1:
            return None
        member, node = dice.choice(self.up())
        disk = self.crash(member, node, keeps=keeps)

        def rise() -> None:
            if is_other:
                self.change_identity(member)
            self.start(member, disk)

        return rise

    def change_identity(self, member: Member) -> None:
        """Give the place to somebody with another key."""
        self._honest_ids.discard(member.peer_id)
        member.peer_id = PeerId(self.dice.raw(32))

    # --- what they spread -----------------------------------------------------------------

    def deal(self, what: Piece | Tip) -> None:
        """Give something to some honest member whose node runs; it spreads from there."""
        member, node = self.dice.choice(self.up())
        if isinstance(what, Piece):
            member.pieces.append(what)
            node.dispatch(what.insert)
        elif member.software is not None:
            member.tips.append(what)
            member.software.adopt(node, what)

    def ask(self) -> None:
        """Have some node ask some peer for a block."""
        member, node = self.dice.choice(self.up())
        if member.software is not None:
            member.software.ask(node)

    # --- judgement ------------------------------------------------------------------------

    def is_honest(self, peer_id: PeerId) -> bool:
        """Whether a node with that id keeps to the protocol."""
        return peer_id in self._honest_ids

    def accuse(self, accuser: SimNode, peer_id: PeerId, reason: Reason) -> None:
        """Hear that a node found a peer to break the protocol; of an honest peer, that is a violation of ours."""
        if self.is_honest(accuser.config.peer_id) and self.is_honest(peer_id) and reason.code not in self.excused:
            self.complain(accuser, f"accuses an honest peer: {reason}")

    def complain(self, node: SimNode, what: str) -> None:
        """Note something that must not be."""
        self.violations.append(f"node {node.number} at {self.seconds:.3f} s: {what}")

    @property
    def seconds(self) -> float:
        """Virtual seconds from the start."""
        return (self.simulation.now - START) / 1e9

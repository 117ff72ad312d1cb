"""Eclipse: one node against an owner of many addresses, for a day, as one seed decides it.

The node is the shipped reducer. Everybody else is a light stand-in for a node: an address that answers a dial or does not.

* The attacker has ``attackers`` addresses in ``attacker_networks`` networks (/16 of IPv4, /32 of IPv6). All of them answer, always,
  and never end a connection. It fills every place that the victim leaves to arrivals, and arrivals of its name all its addresses
  to the victim within the first ten minutes, before anybody else has said much, and a third of them again in each later run.
* The honest ones are ``honest`` addresses, half of them at a few large hosters. They are up three quarters of the time, some have no
  room, and their connections end. Some of them arrive in the first hour of each run and name honest and attacking nodes, the
  latter twice as many, since they are as polluted as everybody.
* The victim restarts every ``restart_h``, with what `mina_p2p.peer.memory` keeps.

What is asked is how many of its outgoing connections are honest in the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs

from mina_p2p.address import Host, Ipv4, Ipv6, QuicAddress
from mina_p2p.config import PROTOCOL_VERSION, Limits, P2pConfig
from mina_p2p.connection.hello import HELLO, Hello
from mina_p2p.connection.state import Ready
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, Timestamp
from mina_p2p.peer.actions import PeerDiscovered
from mina_p2p.peer.config import PeerTableConfig
from mina_p2p.peer.memory import remembered
from mina_p2p.peer.state import PeerSource
from mina_p2p.record import Record, record
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import initial_state
from mina_p2p.testing.agenda import Agenda
from mina_p2p.testing.dice import Dice
from mina_p2p.timeouts import CheckTimeouts, next_wake
from mina_p2p.transport import (
    ConnectionClosed,
    ConnectionEffectfulDial,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    SocketAddress,
    TransportKind,
)

START: Final = Timestamp(1_700_000_000 * SECOND)
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
ROUND_TRIP: Final = SECOND // 10
NO_ANSWER: Final = 5 * SECOND
"""Until the transport gives up a dial that nobody answers."""
NAMED_BY_ONE: Final = 100
PLACES_FOR_ARRIVALS: Final = 92
"""Of a hundred, with eight for dials."""
LARGE_NETWORKS: Final = 10

_HELLO = HELLO.encode(Hello(PROTOCOL_VERSION, PROTOCOL_VERSION, MAINNET_CHAIN_ID, (int(ChannelId.RPC),), ("quic-address",), "stand-in"))

_positive = attrs.validators.ge(1)


@record
class Options(Record):
    """What decides a day, together with the version of this library."""

    seed: int
    attackers: int = attrs.field(default=4_500, validator=_positive)
    attacker_networks: int = attrs.field(default=30, validator=attrs.validators.and_(_positive, attrs.validators.le(200)))
    honest: int = attrs.field(default=500, validator=_positive)
    honest_tellers: int = attrs.field(default=25, validator=attrs.validators.and_(_positive, attrs.validators.le(90)))
    """Honest nodes that arrive in each run and name others."""
    hours: int = attrs.field(default=24, validator=_positive)
    restart_h: int = attrs.field(default=6, validator=_positive)
    outgoing: int = attrs.field(default=8, validator=attrs.validators.and_(_positive, attrs.validators.le(8)))
    """Places for connections that the victim dials; of a hundred in all."""
    table: PeerTableConfig = PeerTableConfig()


@record
class Outcome(Record):
    """How the day ended."""

    seed: int
    honest: int
    """Outgoing connections with honest peers."""
    attacking: int
    tried_honest: int
    """Honest records among the tried, and so on."""
    tried_attacking: int
    new_honest: int
    new_attacking: int
    dials: int
    eclipsed_minutes: int
    """Minutes in which it had outgoing connections, and none with an honest peer."""

    @property
    def is_good(self) -> bool:
        """Whether the victim is not eclipsed."""
        return self.honest > 0


@record
class Node(Record):
    """A stand-in."""

    address: QuicAddress
    is_honest: bool

    @property
    def remote(self) -> SocketAddress:
        """Where its packets come from."""
        return SocketAddress(self.address.host.plain if isinstance(self.address.host, Ipv4 | Ipv6) else "", self.address.port)


class Day:
    """One victim's day. `course` runs it; it may be looked at in between."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.now = START
        self.dials = 0
        self.eclipsed_minutes = 0
        self._dice = Dice(options.seed, "eclipse")
        self._machine = p2p_machine()
        self._agenda: Agenda[tuple[int, Any]] = Agenda()
        """What is due, in which run of the victim; what belongs to an earlier one is void."""
        self._attackers = [Node(address, False) for address in self._addresses(options.attackers, self._attacker_networks())]
        self._honest = [Node(address, True) for address in self._addresses(options.honest, self._honest_networks())]
        self._nodes = {node.address.peer_id: node for node in (*self._attackers, *self._honest)}
        self._up_until: dict[PeerId, tuple[bool, Timestamp]] = {}
        self._handles = 0
        self._run = 0
        self.state = initial_state(self._config(()), self.now)

    # --- who there is -----------------------------------------------------------------------

    def _attacker_networks(self) -> list[int]:
        return self._dice.sample(range(1_000), self.options.attacker_networks)

    def _honest_networks(self) -> list[int]:
        """Half of them in a few networks, the other half in networks of two."""
        rest = self.options.honest // 2
        large = [1_000 + n % LARGE_NETWORKS for n in range(self.options.honest - rest)]
        return [*large, *(1_100 + n // 2 for n in range(rest))]

    def _addresses(self, count: int, networks: list[int]) -> Iterator[QuicAddress]:
        for n in range(count):
            yield QuicAddress(PeerId(self._dice.raw(32)), self._host(networks[n % len(networks)]), 8302)

    def _host(self, network: int) -> Host:
        """A host of a network; every third network is of IPv6."""
        low = self._dice.below(1 << 16)
        if network % 3 == 0:
            return Ipv6.of(0x2A00 + network // 256, network % 256, low, 0, 0, 0, 0, 1)
        return Ipv4.of(20 + network // 250, network % 250, low >> 8, low & 255)

    def _config(self, kept: Any) -> P2pConfig:
        return P2pConfig(
            PeerId(bytes(31) + b"\x01"),
            MAINNET_CHAIN_ID,
            seed=(self.options.seed << 8) + self._run,
            channels=(ChannelId.RPC,),
            is_discovery_enabled=False,
            limits=Limits(
                peers_max=100, peers_min=self.options.outgoing, peers_outgoing_percent=self.options.outgoing, peers_stable_percent=100
            ),
            peer_table=self.options.table.replace(remembered=kept, salt=self.options.seed.to_bytes(16, "big")),
        )

    # --- the day ----------------------------------------------------------------------------

    def course(self) -> Iterator[int]:
        """Run it, an hour at a time; gives the hours that have passed."""
        self._begin_run()
        for hour in range(1, self.options.hours + 1):
            end = Timestamp(START + hour * HOUR)
            self._advance(end)
            if hour % self.options.restart_h == 0 and hour < self.options.hours:
                self._restart()
            yield hour

    def outcome(self) -> Outcome:
        """How it ended."""
        honest = sum(node.is_honest for node in self.outgoing())
        tables = {
            (is_tried, is_honest): sum(
                peer.bucket is not None and peer.is_tried == is_tried and self._nodes[peer.peer_id].is_honest == is_honest
                for peer in self.state.peers.table.values()
            )
            for is_tried in (True, False)
            for is_honest in (True, False)
        }
        return Outcome(
            self.options.seed,
            honest,
            len(self.outgoing()) - honest,
            tables[True, True],
            tables[True, False],
            tables[False, True],
            tables[False, False],
            self.dials,
            self.eclipsed_minutes,
        )

    def outgoing(self) -> list[Node]:
        """With whom the victim has connections by dials of its own."""
        table = self.state.connections.table
        return [self._nodes[c.peer_id] for c in table.values() if not c.is_incoming and isinstance(c.status, Ready)]

    def _restart(self) -> None:
        """All connections end, and what the program keeps is all that is left."""
        kept = remembered(self.state)
        self._run += 1
        self.state = initial_state(self._config(kept), self.now)
        self._begin_run()

    def _begin_run(self) -> None:
        """The attacker takes all places it can get and names all it has; honest nodes come in the course of an hour."""
        dice, options = self._dice, self.options
        share_max = NAMED_BY_ONE if self._run == 0 else NAMED_BY_ONE // 3
        named = dice.sample(self._attackers, len(self._attackers))
        # A few places are left for the honest, who would come sooner or later.
        for number, teller in enumerate(dice.sample(self._attackers, PLACES_FOR_ARRIVALS - options.honest_tellers)):
            names = named[number * NAMED_BY_ONE : (number + 1) * NAMED_BY_ONE][:share_max]
            self._later(dice.below(10 * MINUTE), _Arrival(teller, tuple(names)))
        honest = dice.sample(self._honest, len(self._honest))
        share = -(-len(honest) // options.honest_tellers)
        for number, teller in enumerate(dice.sample(self._honest, options.honest_tellers)):
            mine = honest[number * share : (number + 1) * share]
            others = dice.sample(self._attackers, 2 * len(mine))
            names = dice.sample([*mine, *others], min(share_max, NAMED_BY_ONE))
            self._later(dice.below(HOUR), _Arrival(teller, tuple(names)))
        self._later(MINUTE, _Look())

    def _later(self, delay: int, what: Any) -> None:
        self._agenda.add(Timestamp(self.now + delay), (self._run, what))

    def _advance(self, end: Timestamp) -> None:
        while True:
            wake = next_wake(self.state, self.now)
            at = self._agenda.next_at()
            if at is not None and (wake is None or at <= wake) and at <= end:
                self.now, (run, what) = self._agenda.pop()
                if run == self._run:
                    self._happen(what)
            elif wake is not None and wake <= end:
                self.now = max(wake, self.now)
                self._dispatch(CheckTimeouts())
            else:
                self.now = end
                return

    def _happen(self, what: Any) -> None:
        match what:
            case _Arrival():
                self._arrive(what)
            case _Look():
                outgoing = self.outgoing()
                self.eclipsed_minutes += bool(outgoing) and not any(node.is_honest for node in outgoing)
                self._later(MINUTE, what)
            case _:
                self._dispatch(what)

    def _arrive(self, arrival: _Arrival) -> None:
        teller = arrival.node
        self._handles += 1
        last_id = self.state.connections.last_id
        self._dispatch(ConnectionIncomingReceived(TransportKind.QUIC, self._handles, teller.remote, teller.address.peer_id))
        if self.state.connections.last_id == last_id:
            return
        self._dispatch(ConnectionHelloReceived(ConnectionId(last_id + 1), _HELLO))
        found = self.state.peers.find(teller.address.peer_id)
        for node in arrival.names:
            self._dispatch(PeerDiscovered(node.address, PeerSource.INITIAL_PEERS, None if found is None else found[0]))
        if teller.is_honest:
            self._later(self._lasting(6 * HOUR), ConnectionClosed(ConnectionId(last_id + 1), Reason(ReasonCode.SHUTDOWN), True))

    def _dispatch(self, action: Any) -> None:
        self.state, effects, _ = self._machine.dispatch(self.state, action, self.now)
        for effect in effects:
            if isinstance(effect, ConnectionEffectfulDial):
                self._dialled(effect)

    def _dialled(self, dial: ConnectionEffectfulDial) -> None:
        self.dials += 1
        node, cid, dice = self._nodes[dial.address.peer_id], dial.connection_id, self._dice
        is_up, until = self._availability(node)
        if not is_up:
            self._later(NO_ANSWER, ConnectionClosed(cid, Reason(ReasonCode.TRANSPORT_ERROR), False))
        elif node.is_honest and dice.chance(15):
            self._later(ROUND_TRIP, ConnectionClosed(cid, Reason(ReasonCode.PEER_CAPACITY_FULL), True))
        else:
            self._later(ROUND_TRIP, ConnectionEstablished(cid, node.address.peer_id, node.remote))
            self._later(2 * ROUND_TRIP, ConnectionHelloReceived(cid, _HELLO))
            if node.is_honest:
                ends_in = min(until - self.now, self._lasting(12 * HOUR)) + 3 * ROUND_TRIP
                self._later(ends_in, ConnectionClosed(cid, Reason(ReasonCode.SHUTDOWN), True))

    def _availability(self, node: Node) -> tuple[bool, Timestamp]:
        """Whether a node is up, and until when: honest ones nine hours of twelve, in stretches that are drawn."""
        if not node.is_honest:
            return True, Timestamp(START + 1_000 * HOUR)
        is_up, until = self._up_until.get(node.address.peer_id, (self._dice.chance(25), START))
        while until <= self.now:
            is_up = not is_up
            until = Timestamp(until + self._lasting(9 * HOUR if is_up else 3 * HOUR))
        self._up_until[node.address.peer_id] = is_up, until
        return is_up, until

    def _lasting(self, mean: int) -> int:
        """A duration from nearly nothing to three times its half, uniformly around the mean."""
        return self._dice.between(SECOND, 2 * mean)


@record
class _Arrival(Record):
    node: Node
    names: tuple[Node, ...]


@record
class _Look(Record):
    pass


def run(options: Options) -> Outcome:
    """A whole day."""
    day = Day(options)
    for _ in day.course():
        pass
    return day.outcome()

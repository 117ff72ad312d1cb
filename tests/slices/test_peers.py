"""The peer table: who is known, dialled, put off, banned, shared, forgotten."""

from __future__ import annotations

import pytest

from mina_p2p.address import Domain, Host, Ipv4, Ipv6, QuicAddress, parse_address
from mina_p2p.channels.rpc.messages import RPC_MESSAGE, InitialPeersRequest, InitialPeersResponse, RpcRequestMessage, RpcResponseMessage
from mina_p2p.config import Limits, Timeouts
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingRequest
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId, Timestamp
from mina_p2p.peer.actions import PeerBan, PeerDiscovered, PeerUnban
from mina_p2p.peer.reducer import UNPROVEN_AFTER_FAILURES
from mina_p2p.peer.state import Attached, BackingOff, Banned, Disconnected, PeerSource
from mina_p2p.timeouts import next_wake
from mina_p2p.transport import (
    ChannelsEffectfulRequestSend,
    ConnectionEffectfulDial,
    ConnectionEffectfulReject,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    SocketAddress,
    TransportKind,
)
from slices.lab import ME, Lab, address, hello, peer_id, remote

WHY = Reason(ReasonCode.USER_REQUEST)


def _discover(lab: Lab, n: int, *, host: Host | None = None, source: PeerSource = PeerSource.USER) -> None:
    where = address(n) if host is None else address(n).replace(host=host)
    lab.feed(PeerDiscovered(where, source, None))


def _dialled(lab: Lab) -> list[int]:
    return [int.from_bytes(e.address.peer_id, "big") for e in lab.all if isinstance(e, ConnectionEffectfulDial)]


def _answer_initial_peers(lab: Lab, connection_id: ConnectionId, *addresses: QuicAddress) -> None:
    """The peer answers our question for peers."""
    asked = next(e for e in reversed(lab.all) if isinstance(e, ChannelsEffectfulRequestSend) and e.channel == ChannelId.RPC)
    message = RPC_MESSAGE.decode(asked.frame)
    assert isinstance(message, RpcRequestMessage)
    assert isinstance(message.request, InitialPeersRequest)
    lab.answer(connection_id, message.id, InitialPeersResponse(addresses), asked.stream)
    if connection_id in lab.state.connections.table:
        lab.end(connection_id, ChannelId.RPC, asked.stream)


# --- dialling ---------------------------------------------------------------------------------


def test_known_peers_are_dialled_up_to_the_wished_number() -> None:
    """A few in a turn, each once, no more than wished."""
    lab = Lab(limits=Limits(peers_min=5, dials_per_tick_max=3))
    for n in range(1, 9):
        _discover(lab, n)
    lab.wait(0)
    assert len(_dialled(lab)) == 3
    lab.wait(SECOND)
    assert len(_dialled(lab)) == 5
    lab.wait(SECOND)
    assert len(set(_dialled(lab))) == 5


def test_the_choice_of_whom_to_dial_is_the_seeds() -> None:
    """The same seed dials the same peers in the same order; another one does not."""

    def order(seed: int) -> list[int]:
        lab = Lab(seed=seed, limits=Limits(peers_min=8, dials_per_tick_max=8))
        for n in range(1, 30):
            _discover(lab, n)
        lab.wait(0)
        return _dialled(lab)

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_an_address_that_can_not_be_dialled_is_put_off() -> None:
    """It is not chosen again in every turn."""
    legacy = parse_address(f"/ip4/1.2.3.4/tcp/8302/p2p/{peer_id(1).libp2p}")
    lab = Lab(initial_peers=(legacy,))
    lab.wait(0)
    assert not lab.of(ConnectionEffectfulDial)
    assert isinstance(lab.peer(1).status, BackingOff)


def test_a_wish_of_the_node_software_overrides_back_off_and_the_wished_number() -> None:
    """Not the limit, and not a ban."""
    lab = Lab(limits=Limits(peers_max=3, peers_min=1))
    lab.close(lab.dial(1))
    lab.accept(2)
    lab.feed(ConnectionOutgoingRequest(address(1), RequestId(2)))
    assert lab.of(ConnectionEffectfulDial)


# --- back-off ---------------------------------------------------------------------------------


def _failures(lab: Lab, n: int, count: int, code: ReasonCode = ReasonCode.TRANSPORT_ERROR) -> list[int]:
    """Durations of the back-offs after so many failed dials in a row."""
    durations = []
    for _ in range(count):
        lab.close(lab.dial(n), code)
        status = lab.peer(n).status
        assert isinstance(status, BackingOff)
        durations.append(status.until - lab.now)
    return durations


def test_back_off_doubles_and_is_capped() -> None:
    """10 s, 20 s, 40 s, ... an hour; each with up to a fifth more or less."""
    timeouts = Timeouts()
    durations = _failures(Lab(), 1, 14)
    for n, duration in enumerate(durations):
        expected = min(timeouts.reconnect << n, timeouts.reconnect_max)
        assert 0.8 * expected <= duration <= 1.2 * expected
    assert len({duration for duration in durations if duration > 0.75 * timeouts.reconnect_max}) > 3, "jitter at the cap, too"


def test_back_off_differs_between_nodes() -> None:
    """Two nodes that lost the same peer do not come back at the same moment."""
    assert _failures(Lab(seed=1), 1, 3) != _failures(Lab(seed=2), 1, 3)


@pytest.mark.parametrize("code", [ReasonCode.CHAIN_ID_MISMATCH, ReasonCode.PROTOCOL_VERSION_MISMATCH, ReasonCode.NO_COMMON_PROTOCOL])
def test_another_chain_or_version_waits_some_minutes(code: ReasonCode) -> None:
    """Long at once, and no longer after many times, so that who moves to our chain is found again within ten minutes (AG-10)."""
    durations = _failures(Lab(), 1, 12, code)
    assert all(400 * SECOND <= duration <= 600 * SECOND for duration in durations)


def test_who_is_ourselves_waits_long() -> None:
    """An address that leads back to this node is tried once an hour at most."""
    (duration,) = _failures(Lab(), 1, 1, ReasonCode.CONNECTING_TO_SELF)
    assert duration >= 0.8 * Timeouts().reconnect_max


def test_losing_a_simultaneous_dial_is_no_failure() -> None:
    """A short wait, and none longer however often it happens."""
    lab = Lab()
    durations = _failures(lab, 1, 3, ReasonCode.ALREADY_CONNECTED)
    assert max(durations) <= 1.2 * Timeouts().reconnect_duplicate
    assert lab.peer(1).failures == 0


def test_a_success_forgives_failures() -> None:
    """The next back-off is the shortest again."""
    lab = Lab()
    _failures(lab, 1, 5)
    connection_id = lab.connect(1)
    lab.close(connection_id)
    status = lab.peer(1).status
    assert isinstance(status, BackingOff)
    assert status.until - lab.now <= 1.2 * Timeouts().reconnect


def test_a_peer_that_backs_off_is_dialled_when_it_is_over() -> None:
    """Not before; the node says when it wants to be woken."""
    lab = Lab(limits=Limits(peers_min=1))
    lab.close(lab.dial(1))
    status = lab.peer(1).status
    assert isinstance(status, BackingOff)
    at = next_wake(lab.state, lab.now)
    assert at is not None
    assert status.until <= at < status.until + Timeouts().granularity
    before = len(_dialled(lab))
    lab.wait(status.until - lab.now - 1)
    assert len(_dialled(lab)) == before
    lab.wait(Timeouts().granularity)
    assert len(_dialled(lab)) == before + 1


# --- bans -------------------------------------------------------------------------------------


def _violate(lab: Lab, n: int) -> None:
    lab.feed(ConnectionHelloReceived(lab.accept(n), hello()))


def test_a_violation_bans() -> None:
    """Neither dialled nor accepted, also not by wish, until the ban is over."""
    lab = Lab(limits=Limits(peers_min=1))
    _violate(lab, 1)
    assert isinstance(lab.peer(1).status, Banned)
    assert lab.arrive(1) is None
    assert lab.of(ConnectionEffectfulReject)[0].reason.code is ReasonCode.PEER_BANNED
    before = len(_dialled(lab))
    lab.wait(Timeouts().ban - SECOND)
    assert len(_dialled(lab)) == before
    lab.wait(2 * SECOND)
    assert isinstance(lab.peer(1).status, Attached)
    assert len(_dialled(lab)) == before + 1


def test_a_ban_by_the_node_software() -> None:
    """It ends a connection with its reason told, lasts as long as said, and can be lifted."""
    lab = Lab(limits=Limits(peers_min=0))
    connection_id = lab.accept(1)
    lab.feed(PeerBan(peer_id(1), Timestamp(lab.now + 60 * SECOND), WHY))
    assert lab.goodbye(connection_id) == Reason(ReasonCode.PEER_BANNED)
    assert lab.peer(1).status == Banned(Timestamp(lab.now + 60 * SECOND), WHY, lab.now)
    lab.feed(PeerUnban(peer_id(1)))
    assert isinstance(lab.peer(1).status, Disconnected)
    assert lab.arrive(1) is not None


def test_a_ban_of_an_attempt() -> None:
    """It ends in the middle."""
    lab = Lab()
    connection_id = lab.dial(1)
    lab.feed(PeerBan(peer_id(1), Timestamp(lab.now + SECOND), WHY))
    assert lab.goodbye(connection_id) == Reason(ReasonCode.PEER_BANNED)
    assert len(lab.state.connections) == 0


def test_a_ban_of_somebody_unknown() -> None:
    """Counts all the same, in a full table as well."""
    lab = Lab(limits=Limits(peers_max=2, peers_min=0, known_peers_max=2))
    lab.accept(1)
    lab.accept(2)
    lab.close(ConnectionId(1))
    lab.feed(PeerBan(peer_id(9), Timestamp(lab.now + 60 * SECOND), WHY))
    assert lab.arrive(9) is None
    assert len(lab.state.peers) == 2


def test_nobody_bans_itself() -> None:
    """Nor is an end in the past a ban."""
    lab = Lab()
    before = lab.state
    lab.feed(PeerBan(peer_id(ME), Timestamp(lab.now + SECOND), WHY))
    lab.feed(PeerBan(peer_id(1), lab.now, WHY))
    assert lab.state is before


def test_nobody_is_banned_for_what_another_did_at_its_address() -> None:
    """A liar names its own address for an honest peer: the dial finds the liar, and the honest peer stays welcome."""
    lab = Lab()
    lab.establish(lab.dial(1), 66)
    assert isinstance(lab.peer(1).status, BackingOff)
    assert lab.arrive(1) is not None


# --- what peers tell of peers -----------------------------------------------------------------


def test_peers_are_asked_for_peers() -> None:
    """While there are too few; what they name is dialled."""
    lab = Lab(is_discovery_enabled=True, limits=Limits(peers_min=3))
    connection_id = lab.accept(1)
    _answer_initial_peers(lab, connection_id, address(2), address(3), address(ME), address(1))
    assert lab.peer(2).source is PeerSource.INITIAL_PEERS
    lab.wait(SECOND)
    assert sorted(_dialled(lab)) == [2, 3]


def test_peers_are_not_asked_when_there_are_enough() -> None:
    """Nor where discovery is off."""
    for lab in (Lab(is_discovery_enabled=True, limits=Limits(peers_min=1)), Lab()):
        lab.accept(1)
        assert not [e for e in lab.of(ChannelsEffectfulRequestSend) if e.channel == ChannelId.RPC]


def test_peers_are_asked_again_after_a_while() -> None:
    """Once a minute, somebody."""
    lab = Lab(is_discovery_enabled=True, limits=Limits(peers_min=3))
    connection_id = lab.accept(1)
    _answer_initial_peers(lab, connection_id)
    asked = len(lab.all)
    lab.wait(59 * SECOND)
    assert not [e for e in lab.all[asked:] if isinstance(e, ChannelsEffectfulRequestSend) and e.channel == ChannelId.RPC]
    lab.wait(2 * SECOND)
    assert [e for e in lab.of(ChannelsEffectfulRequestSend) if e.channel == ChannelId.RPC]


def test_one_liar_can_not_fill_the_table() -> None:
    """A source may name so many and not more, in one answer or in many."""
    lab = Lab(is_discovery_enabled=True, limits=Limits(peers_min=3, peers_max=3, discovered_per_source_max=5))
    liar = lab.accept(1)
    _answer_initial_peers(lab, liar, *(address(n) for n in range(200, 300)))
    assert len(lab.state.peers) == 6


PRIVATE = [Ipv4.of(10, 0, 0, 1), Ipv4.of(127, 0, 0, 1), Ipv4.of(192, 168, 1, 1), Ipv6.of(0, 0, 0, 0, 0, 0, 0, 1), Ipv4.of(0, 0, 0, 0)]


@pytest.mark.parametrize("host", PRIVATE, ids=str)
def test_private_addresses_from_afar_are_not_believed(host: Host) -> None:
    """They would be somebody's machine in our own network (S8)."""
    lab = Lab(is_discovery_enabled=True)
    connection_id = lab.accept(1)
    _answer_initial_peers(lab, connection_id, address(2).replace(host=host))
    assert lab.state.peers.find(peer_id(2)) is None


def test_private_addresses_from_the_neighbourhood_are() -> None:
    """A peer of the same range knows its neighbours."""
    lab = Lab(is_discovery_enabled=True)
    neighbour = SocketAddress("10.0.0.9", 8302)
    lab.feed(ConnectionIncomingReceived(TransportKind.QUIC, 1, neighbour, peer_id(1)))
    connection_id = lab.state.connections.last_id
    lab.feed(ConnectionHelloReceived(connection_id, hello()))
    _answer_initial_peers(lab, connection_id, address(2).replace(host=Ipv4.of(10, 0, 0, 2)))
    assert lab.state.peers.find(peer_id(2)) is not None


def test_a_wrong_address_gives_way_when_it_fails() -> None:
    """A liar who names an address first can not hide a peer for ever."""
    lab = Lab()
    _discover(lab, 1, host=Ipv4.of(66, 66, 66, 66), source=PeerSource.INITIAL_PEERS)
    _discover(lab, 1, source=PeerSource.INITIAL_PEERS)
    lab.wait(0)
    assert lab.of(ConnectionEffectfulDial)[0].address != address(1)
    lab.close(lab.state.connections.last_id)
    _discover(lab, 1, source=PeerSource.INITIAL_PEERS)
    assert lab.peer(1).address == address(1)


def test_an_address_that_is_proven_is_not_replaced_by_hearsay() -> None:
    """Nor by where packets come from; but by where the peer was reached."""
    lab = Lab()
    lab.close(lab.connect(1))
    _discover(lab, 1, host=Ipv4.of(66, 66, 66, 66))
    lab.close(lab.accept(1))
    assert lab.peer(1).address == address(1)
    moved = address(1, port=9)
    connection_id = lab.dial(1, to=moved)
    assert lab.peer(1).address == address(1), "not before it was reached there"
    lab.establish(connection_id, 1)
    lab.feed(ConnectionHelloReceived(connection_id, hello()))
    assert lab.peer(1).address == moved


# --- what we tell of peers --------------------------------------------------------------------


def _shared(lab: Lab, connection_id: ConnectionId) -> tuple[object, ...]:
    lab.ask(connection_id, 1, InitialPeersRequest())
    message = RPC_MESSAGE.decode(lab.answers()[0])
    assert isinstance(message, RpcResponseMessage)
    assert isinstance(message.response, InitialPeersResponse)
    return message.response.peers


def test_only_proven_addresses_are_shared() -> None:
    """Where somebody was reached, or came from; not what was heard, not the asker's own."""
    lab = Lab(limits=Limits(peers_min=0))
    asker = lab.accept(1)
    lab.accept(2)
    lab.connect(3)
    _discover(lab, 4)
    lab.dial(5)
    assert set(_shared(lab, asker)) == {address(2), address(3)}


def test_private_addresses_are_not_shared_with_the_world() -> None:
    """The asker could not reach them."""
    lab = Lab()
    asker = lab.accept(1)
    lab.feed(ConnectionIncomingReceived(TransportKind.QUIC, 1, SocketAddress("10.0.0.9", 8302), peer_id(2)))
    lab.feed(ConnectionHelloReceived(lab.state.connections.last_id, hello()))
    assert _shared(lab, asker) == ()


def test_banned_peers_are_not_shared() -> None:
    """Nor those that have not been reached for long."""
    lab = Lab()
    asker = lab.accept(1)
    _violate(lab, 2)
    lab.close(lab.connect(3))
    assert set(_shared(lab, asker)) == {address(3)}
    _failures(lab, 3, UNPROVEN_AFTER_FAILURES)
    assert _shared(lab, asker) == ()


def test_those_who_do_not_understand_quic_addresses_get_none() -> None:
    """A variant that an asker does not know would end the connection on its side."""
    lab = Lab()
    asker = lab.accept(1, capabilities=())
    lab.accept(2)
    assert _shared(lab, asker) == ()


def test_the_answer_is_bounded() -> None:
    """So many addresses at most."""
    lab = Lab(limits=Limits(shared_peers_max=2))
    asker = lab.accept(1)
    for n in (2, 3, 4):
        lab.accept(n)
    assert len(_shared(lab, asker)) == 2


# --- a full table -----------------------------------------------------------------------------


def test_a_full_table_keeps_who_is_worth_most() -> None:
    """Hearsay makes room for whoever comes; it never displaces anybody who was reached."""
    lab = Lab(limits=Limits(peers_max=3, peers_min=0, known_peers_max=3))
    _discover(lab, 1, source=PeerSource.INITIAL_PEERS)
    _discover(lab, 2)
    lab.close(lab.accept(3))
    _discover(lab, 4, source=PeerSource.INITIAL_PEERS)
    assert lab.state.peers.find(peer_id(1)) is None, "the oldest hearsay goes first"
    lab.accept(5)
    lab.accept(6)
    assert lab.state.peers.find(peer_id(4)) is None
    assert lab.state.peers.find(peer_id(3)) is None, "then who was reached, the longest ago first"
    assert lab.state.peers.find(peer_id(2)) is not None, "whom a person named goes last"
    _discover(lab, 7, source=PeerSource.INITIAL_PEERS)
    assert lab.state.peers.find(peer_id(7)) is None


def test_the_table_is_bounded_whoever_comes() -> None:
    """A thousand identities that connect once each leave no more than the bound."""
    lab = Lab(limits=Limits(peers_max=3, peers_min=0, known_peers_max=10))
    for n in range(200, 260):
        lab.close(lab.accept(n))
    assert len(lab.state.peers) == 10


def test_names_are_taken_as_addresses() -> None:
    """A domain name is where a peer may listen; it is resolved by whoever dials."""
    lab = Lab()
    _discover(lab, 1, host=Domain("seed.example.org"))
    assert lab.peer(1).address is not None


def test_where_a_peer_comes_from_is_an_address_to_dial() -> None:
    """A node listens and dials on one socket."""
    lab = Lab()
    lab.accept(1)
    record = lab.peer(1)
    assert (record.address, record.is_address_proven, record.source) == (address(1), True, PeerSource.INCOMING)
    assert remote(1).host == "1.0.0.1"

"""Bans of peers and of networks, why they are, and the bounds by network (finding L12)."""

from __future__ import annotations

from typing import Any

import pytest

from mina_p2p.address import Domain, Host, Ipv4, Ipv6, QuicAddress, parse_ip
from mina_p2p.config import Limits, Timeouts
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingRequest
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import SECOND, ConnectionId, PeerNumber, RequestId, Timestamp
from mina_p2p.notifications import ConnectionFailed
from mina_p2p.peer.actions import BansReset, PeerBan, PeerDiscovered, PeerGroupBan, PeerGroupUnban
from mina_p2p.peer.bans import Ban
from mina_p2p.peer.state import Attached, Banned, PeerSource
from mina_p2p.transport import (
    ConnectionEffectfulDial,
    ConnectionEffectfulReject,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    SocketAddress,
    TransportKind,
)
from slices.lab import Lab, address, hello, peer_id

WHY = Reason(ReasonCode.USER_REQUEST, detail="tested")
HOUR = 3_600 * SECOND
NEAR, ALSO_NEAR, FAR = Ipv4.of(7, 7, 7, 1), Ipv4.of(7, 7, 7, 200), Ipv4.of(7, 7, 8, 1)


def _arrive(lab: Lab, n: int, host: Host) -> ConnectionId | None:
    """A peer dials us from somewhere; ready if it was accepted."""
    lab.feed(ConnectionIncomingReceived(TransportKind.QUIC, n, SocketAddress(host.plain, 8302), peer_id(n)))
    if lab.of(ConnectionEffectfulReject):
        return None
    connection_id = lab.state.connections.last_id
    lab.feed(ConnectionHelloReceived(connection_id, hello()))
    return connection_id


def _ban_group(lab: Lab, host: Host = NEAR, duration: int = HOUR) -> Lab:
    return lab.feed(PeerGroupBan(host, Timestamp(lab.now + duration), WHY))


# --- networks -----------------------------------------------------------------------------------


def test_a_network_is_banned_whoever_comes_from_it() -> None:
    """New ids cost nothing, new networks do: nobody is accepted from it, and others are."""
    lab = _ban_group(Lab())
    assert _arrive(lab, 1, ALSO_NEAR) is None
    assert lab.of(ConnectionEffectfulReject)[0].reason == Reason(ReasonCode.PEER_BANNED)
    assert _arrive(lab, 2, FAR) is not None


def test_its_connections_end_and_others_do_not() -> None:
    """Those that came from it and those that were dialled there."""
    lab = Lab()
    near = _arrive(lab, 1, NEAR)
    far = _arrive(lab, 2, FAR)
    dialled = lab.dial(3, to=address(3).replace(host=ALSO_NEAR))
    assert near is not None
    _ban_group(lab)
    assert lab.goodbye(near) == Reason(ReasonCode.PEER_BANNED)
    assert lab.ended(dialled) == Reason(ReasonCode.PEER_BANNED)
    assert lab.state.connections.table.keys() == [far]


def test_nobody_there_is_dialled_not_even_by_wish() -> None:
    """The wish is answered with the network and why."""
    lab = _ban_group(Lab(limits=Limits(peers_min=3)))
    lab.feed(ConnectionOutgoingRequest(address(1).replace(host=NEAR), RequestId(5)))
    (failed,) = lab.of(ConnectionFailed)
    assert failed.reason.code == ReasonCode.PEER_BANNED
    assert "7.7.7.0/24" in failed.reason.detail
    assert "tested" in failed.reason.detail
    lab.wait(SECOND)
    assert not [e for e in lab.all if isinstance(e, ConnectionEffectfulDial)]


def test_what_was_known_there_is_not_dialled_while_it_lasts() -> None:
    """A record stays, and is tried again when the ban is over."""
    lab = Lab(limits=Limits(peers_min=1))
    _ban_group(lab)
    lab.feed(PeerDiscovered(address(1), PeerSource.USER, None))
    _ban_group(lab, address(1).host)
    lab.wait(SECOND)
    assert lab.state.connection_of(peer_id(1)) is None
    lab.wait(HOUR + 2 * Timeouts().reconnect_max)
    lab.wait(SECOND)
    assert lab.state.connection_of(peer_id(1)) is not None


def test_a_name_that_leads_there_is_found_out() -> None:
    """When the dial arrives, before any word is said."""
    lab = _ban_group(Lab())
    connection_id = lab.dial(1, to=QuicAddress(peer_id(1), Domain("somewhere.example"), 8302))
    lab.feed(ConnectionEstablished(connection_id, peer_id(1), SocketAddress(NEAR.plain, 8302)))
    ended = lab.ended(connection_id)
    assert ended is not None
    assert ended.code == ReasonCode.PEER_BANNED


def test_addresses_there_are_not_believed() -> None:
    """Hearsay of it does not even take a record."""
    lab = _ban_group(Lab())
    lab.feed(PeerDiscovered(address(1).replace(host=NEAR), PeerSource.INITIAL_PEERS, None))
    assert lab.state.peers.find(peer_id(1)) is None


def test_a_ban_of_a_network_ends_or_is_lifted() -> None:
    """At its time to the nanosecond; or by command, which is refused where there is none."""
    lab = _ban_group(Lab())
    lab.feed(PeerGroupUnban(ALSO_NEAR))
    assert _arrive(lab, 1, NEAR) is not None
    _ban_group(lab, FAR)
    lab.now = Timestamp(lab.now + HOUR - 1)
    assert _arrive(lab, 2, FAR) is None
    lab.now = Timestamp(lab.now + 1)
    assert _arrive(lab, 2, FAR) is not None
    before = lab.state
    lab.feed(PeerGroupUnban(FAR))
    assert lab.state is before


def test_networks_are_as_wide_as_configured() -> None:
    """One setting for IPv4, one for IPv6; addresses of both kinds for one host are one."""
    lab = _ban_group(Lab(limits=Limits(group_ipv4_bits=16, group_ipv6_bits=32)))
    assert _arrive(lab, 1, FAR) is None
    assert _arrive(lab, 1, parse_ip("::ffff:7.7.9.9")) is None
    _ban_group(lab, Ipv6.of(0x2A00, 1, 2, 3, 4, 5, 6, 7))
    assert _arrive(lab, 1, Ipv6.of(0x2A00, 1, 9, 9, 9, 9, 9, 9)) is None
    assert _arrive(lab, 1, Ipv6.of(0x2A00, 2, 9, 9, 9, 9, 9, 9)) is not None


def test_bans_of_networks_are_bounded() -> None:
    """The one that ends first gives way; ended ones are forgotten."""
    lab = Lab(limits=Limits(banned_groups_max=2))
    for third, hours in ((1, 3), (2, 2), (3, 4)):
        _ban_group(lab, Ipv4.of(9, 9, third, 0), hours * HOUR)
    assert [ban.whom for ban in lab.state.bans(lab.now)] == ["9.9.1.0/24", "9.9.3.0/24"]
    lab.now = Timestamp(lab.now + 5 * HOUR)
    _ban_group(lab)
    assert len(lab.state.peers.group_bans) == 1


# --- explained and lifted -----------------------------------------------------------------------


def test_every_ban_is_explained() -> None:
    """Who, since when, until when and why: by violation, by command, by network; nothing for anybody else."""
    lab = Lab()
    violator = lab.accept(1)
    lab.now = Timestamp(lab.now + SECOND)
    lab.feed(ConnectionHelloReceived(violator, hello()))
    assert lab.state.why_banned(peer_id(1), lab.now) == Ban(
        peer_id(1), lab.now, Timestamp(lab.now + Timeouts().ban), Reason(ReasonCode.STREAM_MISUSE, detail="a hello out of turn")
    )
    lab.feed(PeerBan(peer_id(2), Timestamp(lab.now + HOUR), WHY))
    by_command = Ban(peer_id(2), lab.now, Timestamp(lab.now + HOUR), WHY)
    assert lab.state.why_banned(peer_id(2), lab.now) == by_command
    _arrive(lab, 3, NEAR)
    _ban_group(lab)
    of_network = Ban("7.7.7.0/24", lab.now, Timestamp(lab.now + HOUR), WHY)
    assert lab.state.why_banned(peer_id(3), lab.now) == of_network
    assert lab.state.why_banned(peer_id(4), lab.now) is None
    lab.accept(5)
    assert lab.state.why_banned(peer_id(5), lab.now) is None
    assert lab.state.bans(lab.now)[1:] == [by_command, of_network]
    assert lab.state.bans(Timestamp(lab.now + HOUR)) == []
    assert str(of_network).endswith("USER_REQUEST: tested")
    assert "7.7.7.0/24" in str(of_network)
    assert peer_id(2).short in str(by_command)


def test_all_bans_are_lifted_at_once() -> None:
    """Peers and networks; who was put off for another reason still is."""
    lab = Lab()
    lab.feed(PeerBan(peer_id(1), Timestamp(lab.now + HOUR), WHY))
    _ban_group(lab)
    lab.close(lab.dial(2))
    before = lab.peer(2)
    lab.feed(BansReset())
    assert lab.state.bans(lab.now) == []
    assert lab.peer(2) == before
    assert lab.arrive(1) is not None
    assert _arrive(lab, 3, NEAR) is not None


# --- bounds by network --------------------------------------------------------------------------


def test_one_network_gets_a_bounded_number_of_connections() -> None:
    """Others still get in, and so does an operator's peer from there."""
    lab = Lab(limits=Limits(peers_per_group_max=3, peers_min=0))
    assert [_arrive(lab, n, Ipv4.of(7, 7, 7, n)) is not None for n in range(1, 6)] == [True, True, True, False, False]
    assert _arrive(lab, 6, FAR) is not None
    lab.feed(PeerDiscovered(address(7).replace(host=NEAR), PeerSource.USER, None))
    assert _arrive(lab, 7, NEAR) is not None
    lab.close(ConnectionId(1))
    lab.close(ConnectionId(2))
    assert _arrive(lab, 8, NEAR) is not None


def test_private_networks_are_not_bounded() -> None:
    """All of a test network, or behind one router, are neighbours."""
    lab = Lab(limits=Limits(peers_per_group_max=1))
    assert all(_arrive(lab, n, Ipv4.of(192, 168, 0, n)) is not None for n in range(1, 6))


def test_a_crowded_network_is_not_dialled_unasked() -> None:
    """Hearsay leads to no more connections there than the bound; a person's wish does."""
    lab = Lab(limits=Limits(peers_per_group_max=2, peers_min=5, dials_per_tick_max=8))
    _arrive(lab, 50, FAR)
    for n in range(1, 6):
        lab.feed(PeerDiscovered(address(n).replace(host=Ipv4.of(7, 7, 7, n)), PeerSource.INITIAL_PEERS, PeerNumber(1)))
    lab.wait(SECOND)
    assert len(lab.state.connections_in("7.7.7.0/24")) == 2
    lab.feed(ConnectionOutgoingRequest(address(9).replace(host=Ipv4.of(7, 7, 7, 9)), RequestId(1)))
    assert len(lab.state.connections_in("7.7.7.0/24")) == 3


def test_one_network_can_not_fill_the_table_by_hearsay() -> None:
    """Whoever names it; peers elsewhere are still taken, and those that a person names."""
    lab = Lab(limits=Limits(known_per_group_max=3))
    for source in (60, 61, 62):
        _arrive(lab, source, Ipv4.of(8, 8, source, 1))
    for n in range(1, 20):
        number = PeerNumber(1 + n % 3)
        lab.feed(PeerDiscovered(address(n).replace(host=Ipv4.of(7, 7, 7, n)), PeerSource.INITIAL_PEERS, number))
    assert _known_in(lab, "7.7.7.0/24") == 3
    lab.feed(PeerDiscovered(address(30).replace(host=FAR), PeerSource.INITIAL_PEERS, PeerNumber(1)))
    lab.feed(PeerDiscovered(address(31).replace(host=NEAR), PeerSource.USER, None))
    assert lab.state.peers.find(peer_id(30)) is not None
    assert lab.state.peers.find(peer_id(31)) is not None


def test_one_network_can_not_fill_the_table_by_connecting() -> None:
    """Real connections of many ids: when they end, the least good of them are forgotten, and nobody of elsewhere."""
    lab = Lab(limits=Limits(known_per_group_max=2, known_peers_max=100, peers_max=50, peers_min=0))
    elsewhere = _arrive(lab, 90, FAR)
    assert elsewhere is not None
    lab.close(elsewhere)
    for n in range(1, 30):
        connection_id = _arrive(lab, n, Ipv4.of(7, 7, 7, n))
        assert connection_id is not None
        lab.wait(SECOND)
        lab.close(connection_id)
    assert _known_in(lab, "7.7.7.0/24") == 2
    assert [lab.peer(n).failures for n in (28, 29)] == [0, 0]
    assert lab.state.peers.find(peer_id(90)) is not None


def test_who_is_connected_stays_in_the_table() -> None:
    """The bound by network is for the others."""
    lab = Lab(limits=Limits(known_per_group_max=1))
    for n in range(1, 5):
        assert _arrive(lab, n, Ipv4.of(7, 7, 7, n)) is not None
    assert all(isinstance(lab.peer(n).status, Attached) for n in range(1, 5))
    assert _known_in(lab, "7.7.7.0/24") == 4
    for n in range(1, 5):
        lab.close(ConnectionId(n))
    assert _known_in(lab, "7.7.7.0/24") == 1


def test_a_success_long_ago_is_worth_no_more_than_hearsay() -> None:
    """A flood of ids that connected once does not keep the table from fresh ones for ever."""
    lab = Lab(limits=Limits(known_peers_max=3, peers_max=3, peers_min=0))
    for n in (1, 2):
        lab.close(lab.accept(n))
    source = lab.accept(3)
    assert source is not None
    lab.feed(PeerDiscovered(address(10), PeerSource.INITIAL_PEERS, PeerNumber(3)))
    assert lab.state.peers.find(peer_id(10)) is None
    lab.now = Timestamp(lab.now + Timeouts().address_proven + 1)
    lab.feed(PeerDiscovered(address(10), PeerSource.INITIAL_PEERS, PeerNumber(3)))
    assert lab.state.peers.find(peer_id(10)) is not None
    assert lab.state.peers.find(peer_id(1)) is None


@pytest.mark.parametrize("address_of", [lambda n: Domain(f"n{n}.example.org"), lambda n: Ipv6.of(0x2A00, 1, 2, n, 0, 0, 0, 1)])
def test_names_and_ipv6_are_counted_too(address_of: Any) -> None:
    """Names by what their owner can not make at will."""
    lab = Lab(limits=Limits(known_per_group_max=2))
    _arrive(lab, 50, FAR)
    for n in range(1, 6):
        lab.feed(PeerDiscovered(address(n).replace(host=address_of(n)), PeerSource.INITIAL_PEERS, PeerNumber(1)))
    assert len(lab.state.peers) == 3


def _known_in(lab: Lab, group: str) -> int:
    return lab.state.peers.group_counts.get(group.encode()) or 0


def test_a_banned_peer_of_the_table_is_still_a_ban() -> None:
    """`BansReset` and expiry are the only ends besides `PeerUnban`."""
    lab = Lab()
    lab.feed(PeerBan(peer_id(1), Timestamp(lab.now + HOUR), WHY))
    lab.wait(HOUR - SECOND)
    assert isinstance(lab.peer(1).status, Banned)
    lab.wait(2 * SECOND)
    assert lab.state.why_banned(peer_id(1), lab.now) is None

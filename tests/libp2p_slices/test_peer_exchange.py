"""Peer exchange: who has no room for us names others, by records that they have signed; off unless the operator wants it."""

from __future__ import annotations

from typing import Any

import pytest

from libp2p_slices.exchange import ON, Exchanging, envelope, named
from libp2p_slices.lab import Network, Node, address, check, peer_id, signature
from libp2p_slices.pairs import IN, OWN_IDENTIFY, Alone, said
from mina_p2p.address import Domain, Ipv4, Ipv6, Libp2pAddress
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import DecodeError
from mina_p2p.gossipsub.actions import NetworkPubsubHeartbeat, NetworkPubsubUnsubscribe
from mina_p2p.gossipsub.effects import NetworkExchangeEffectfulVerify
from mina_p2p.gossipsub.messages import ControlGraft, ControlMessage, ControlPrune, PrunedPeer, PubsubRpc, SubOpts
from mina_p2p.identify.messages import IDENTIFY_CODEC
from mina_p2p.ids import SECOND, ConnectionId, StreamId
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.actions import NetworkDiallingSet
from mina_p2p.libp2p.config import TOPIC_V0
from mina_p2p.libp2p.machine import NetworkCheckTimeouts, next_wake
from mina_p2p.libp2p.notifications import NetworkPeerDiscovered
from mina_p2p.libp2p.protocols import IDENTIFY, IDENTIFY_PUSH, MESHSUB
from mina_p2p.peer_exchange.actions import NetworkExchangeRecordReceived, NetworkExchangeVerified
from mina_p2p.peer_exchange.messages import (
    ENVELOPE_BYTES_MAX,
    OWN_BYTES_MAX,
    PAYLOAD_TYPE,
    Envelope,
    PeerRecord,
    RecordAddress,
    envelope_of,
    payload_of,
    read_envelope,
    signed_bytes,
)
from mina_p2p.peer_exchange.state import CHECKING_MAX
from mina_p2p.wire.protobuf import protobuf

ENVELOPES, RECORDS = protobuf(Envelope), protobuf(PeerRecord)
SMALL = ON.replace(mesh_max=2, mesh_wanted=2, mesh_min=1, mesh_outgoing_min=0)
GRAFT = PubsubRpc(control=ControlMessage(graft=(ControlGraft(TOPIC_V0),)))
KNOWN_BY_NAME = Libp2pAddress(peer_id(1), Domain("seed.example.org"), 1)


# --- records


@pytest.mark.parametrize(
    "addresses",
    [
        (address(1),),
        (address(1), KNOWN_BY_NAME, Libp2pAddress(peer_id(1), Ipv6.of(0x2001, 0xDB8, 0, 0, 0, 0, 0, 1), 65535)),
        tuple(Libp2pAddress(peer_id(1), Ipv4.of(10, 0, 0, n), 8302) for n in range(16)),
    ],
)
def test_a_record_is_read_as_it_was_written(addresses: tuple[Libp2pAddress, ...]) -> None:
    payload = payload_of(peer_id(1), 7, addresses)
    data = envelope_of(peer_id(1), payload, bytes(64))
    found = read_envelope(data)
    assert (found.peer_id, found.seq, found.addresses) == (peer_id(1), 7, addresses)
    assert (found.signed, found.signature) == (signed_bytes(payload), bytes(64))
    assert len(data) <= OWN_BYTES_MAX


def test_what_is_signed_is_domain_kind_and_payload_each_behind_its_length() -> None:
    """As the specification of signed envelopes writes it: a signature for one purpose is none for another."""
    assert signed_bytes(b"ab") == b"\x12libp2p-peer-record" + b"\x02\x03\x01" + b"\x02ab"
    one = payload_of(peer_id(1), 1, (address(1),))
    assert one.startswith(b"\x0a\x26\x00\x24" + peer_id(1).protobuf + b"\x10\x01\x1a")
    assert envelope_of(peer_id(1), one, bytes(64)).startswith(b"\x0a\x24" + peer_id(1).protobuf + b"\x12\x02\x03\x01\x1a")


def test_our_record_leaves_out_what_makes_it_too_long() -> None:
    """From the end, until it fits beside identify."""
    long = [Libp2pAddress(peer_id(1), Domain(".".join([f"{n}" + 60 * "a"] * 4)), 1) for n in range(9)]
    payload = payload_of(peer_id(1), 1, long)
    data = envelope_of(peer_id(1), payload, bytes(64))
    assert len(data) <= OWN_BYTES_MAX
    found = read_envelope(data).addresses
    assert 0 < len(found) < len(long)
    assert found == tuple(long[: len(found)])


def _envelope(**changes: Any) -> bytes:
    payload = payload_of(peer_id(1), 1, (address(1),))
    whole = Envelope(peer_id(1).protobuf, PAYLOAD_TYPE, payload, bytes(64))
    return ENVELOPES.encode(whole.replace(**changes))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff", id="no protobuf"),
        pytest.param(_envelope(payload_type=b"\x03\x02"), id="another kind"),
        pytest.param(_envelope(payload_type=None), id="no kind"),
        pytest.param(_envelope(signature=bytes(63)), id="a short signature"),
        pytest.param(_envelope(signature=None), id="no signature"),
        pytest.param(_envelope(public_key=peer_id(2).protobuf), id="signed by somebody else"),
        pytest.param(_envelope(public_key=None), id="signed by nobody"),
        pytest.param(_envelope(payload=None), id="no payload"),
        pytest.param(_envelope(payload=b"\x0a\x05"), id="a payload that is cut"),
        pytest.param(_envelope(payload=RECORDS.encode(PeerRecord(b"\x12\x20" + bytes(32), 1))), id="a hashed peer id"),
        pytest.param(_envelope(payload=RECORDS.encode(PeerRecord(None, 1))), id="of nobody"),
        pytest.param(_envelope(signature=bytes(ENVELOPE_BYTES_MAX)), id="too long"),
    ],
)
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read_envelope(data)


def test_addresses_that_nobody_dials_are_passed_over() -> None:
    """Other transports, other peers' ids, doubles, and whatever is behind the first sixteen."""
    quic = bytes.fromhex("04c6336401910220cecc03")
    good = payload_of(peer_id(1), 1, (address(1),))
    listed = (RecordAddress(quic), RecordAddress(None), *2 * RECORDS.decode(good).addresses)
    data = _envelope(payload=RECORDS.encode(PeerRecord(peer_id(1).multihash, 1, listed)))
    assert read_envelope(data).addresses == (address(1),)
    many = tuple(RecordAddress(b"\x04" + bytes((9, 9, 9, n)) + b"\x06\x00\x01") for n in range(60))
    assert len(read_envelope(_envelope(payload=RECORDS.encode(PeerRecord(peer_id(1).multihash, 1, many)))).addresses) == 16


# --- our own record


def _told(alone: Alone, connection_id: ConnectionId = IN) -> bytes | None:
    """The record in what we say of ourselves."""
    stream = alone.stream(IDENTIFY.name, connection_id=connection_id)
    (sent,) = [effect.data for effect in alone.did(port.Libp2pEffectfulSend) if effect.stream == stream]
    return IDENTIFY_CODEC.decode(sent).signed_record


def test_our_record_is_in_identify() -> None:
    """Signed once the addresses are known, and again when they change; whoever is there is told."""
    alone = Exchanging()
    alone.vouch()
    alone.known(1)
    first = read_envelope(_told(alone) or b"")
    assert (first.peer_id, first.addresses) == (peer_id(0), (address(0),))
    assert first.signature == signature(peer_id(0), first.signed)
    moved = Libp2pAddress(peer_id(0), Ipv4.of(10, 9, 9, 9), 1)
    alone.feed(port.Libp2pListening((moved,)), alone.later(1))
    pushed = alone.vouch()
    (push,) = [effect.data for effect in pushed if isinstance(effect, port.Libp2pEffectfulSend)]
    second = read_envelope(IDENTIFY_CODEC.decode(push).signed_record or b"")
    assert (second.addresses, second.seq > first.seq) == ((moved,), True)
    check(alone.state)


@pytest.mark.parametrize(("is_on", "is_private_told", "is_told"), [(False, True, False), (True, False, False), (True, True, True)])
def test_a_record_is_for_everybody(is_on: bool, is_private_told: bool, is_told: bool) -> None:
    """So no private address is in it, but in a network of one's own; and there is none at all where peer exchange is off."""
    alone = Exchanging(gossipsub=ON.replace(is_peer_exchange_enabled=is_on), are_private_addresses_allowed=is_private_told)
    alone.vouch()
    alone.known(1)
    assert bool(_told(alone)) is is_told
    check(alone.state)


# --- records of others


def _with_record(alone: Exchanging, number: int, data: bytes, connection_id: ConnectionId = IN) -> None:
    """A peer comes and says who it is, with a record."""
    alone.arrive(number, connection_id)
    alone.feed(port.Libp2pStreamOpened(connection_id, OWN_IDENTIFY, IDENTIFY.name, True))
    message = IDENTIFY_CODEC.decode(said(number)).replace(signed_record=data)
    alone.feed(port.Libp2pStreamMessageReceived(connection_id, OWN_IDENTIFY, IDENTIFY_CODEC.encode(message)))
    alone.feed(port.Libp2pStreamEnded(connection_id, OWN_IDENTIFY))
    alone.vouch()
    check(alone.state)


@pytest.mark.parametrize(
    ("data", "is_kept"),
    [
        pytest.param(envelope(1), True, id="its own"),
        pytest.param(envelope(1, signer=2), False, id="a wrong signature"),
        pytest.param(envelope(2), False, id="somebody else's"),
        pytest.param(b"nonsense", False, id="none"),
    ],
)
def test_a_peers_record_is_kept_while_it_is_here(data: bytes, is_kept: bool) -> None:
    """If it is its own; what is none costs it nothing, as with Go."""
    alone = Exchanging()
    _with_record(alone, 1, data)
    assert [kept.envelope for kept in alone.state.exchange.records.values()] == ([data] if is_kept else [])
    assert peer_id(1) in alone.state.links.numbers
    alone.feed(port.Libp2pConnectionClosed(IN, Reason(ReasonCode.TRANSPORT_ERROR), True))
    assert not len(alone.state.exchange.records)
    check(alone.state)


def test_an_older_record_replaces_none() -> None:
    alone = Exchanging()
    _with_record(alone, 1, envelope(1, seq=5))
    for seq, kept in ((4, 5), (5, 5), (6, 6)):
        push = IDENTIFY_CODEC.decode(said(1)).replace(signed_record=envelope(1, seq=seq))
        stream = alone.stream(IDENTIFY_PUSH.name, StreamId(port.FIRST_PEER_STREAM + 10 + seq))
        alone.message(IDENTIFY_CODEC.encode(push), stream)
        alone.feed(port.Libp2pStreamEnded(IN, stream))
        alone.vouch()
        assert [one.seq for one in alone.state.exchange.records.values()] == [kept]


# --- naming others


def _meshed(alone: Exchanging, count: int) -> list[ConnectionId]:
    """So many peers, each with a record, that gossip with us; the first ones have grafted us."""
    found = [ConnectionId(IN + number) for number in range(1, count + 1)]
    for number, connection_id in enumerate(found, 1):
        alone.gossiping(number, connection_id)
        alone.feed(NetworkExchangeRecordReceived(connection_id, envelope(number)))
        alone.vouch()
        if number <= 2:
            alone.rpc(GRAFT, connection_id)
    return found


def _pruned(alone: Alone, connection_id: ConnectionId) -> tuple[PrunedPeer, ...]:
    (prune,) = [one for rpc in alone.rpcs_to(connection_id) if rpc.control is not None for one in rpc.control.prune]
    return prune.peers


def test_who_finds_no_room_is_told_of_others() -> None:
    """Of every other subscriber, with its record; not of itself. Who comes again too early is told of nobody."""
    alone = Exchanging(gossipsub=SMALL)
    third = _meshed(alone, 3)[2]
    alone.rpc(GRAFT, third)
    assert sorted(one.peer_id or b"" for one in _pruned(alone, third)) == sorted(peer_id(n).multihash for n in (1, 2))
    assert {one.record for one in _pruned(alone, third)} == {envelope(1), envelope(2)}
    alone.rpc(GRAFT, third)
    assert _pruned(alone, third) == ()
    check(alone.state)


def test_at_most_sixteen_are_named() -> None:
    alone = Exchanging(gossipsub=SMALL)
    last = _meshed(alone, 20)[-1]
    alone.rpc(GRAFT, last)
    assert len(_pruned(alone, last)) == 16


def test_whoever_has_no_record_is_named_by_its_id() -> None:
    """As Go does: the other may know where it is."""
    alone = Exchanging(gossipsub=SMALL)
    _meshed(alone, 2)
    for number in (3, 4):
        alone.gossiping(number, ConnectionId(IN + number))
    alone.rpc(GRAFT, ConnectionId(IN + 4))
    assert PrunedPeer(peer_id(3).multihash, None) in _pruned(alone, ConnectionId(IN + 4))


def test_a_direct_peer_that_grafts_us_is_told_of_nobody() -> None:
    alone = Exchanging(gossipsub=SMALL, direct_peers=(address(3),))
    third = _meshed(alone, 3)[2]
    alone.rpc(GRAFT, third)
    assert _pruned(alone, third) == ()


def test_a_mesh_that_shrinks_and_one_that_is_left_name_others() -> None:
    alone = Exchanging(gossipsub=SMALL.replace(mesh_max=3))
    everybody = _meshed(alone, 3)
    alone.rpc(GRAFT, everybody[2])
    alone.state = alone.state.replace(config=alone.state.config.replace(gossipsub=SMALL))
    alone.feed(NetworkPubsubHeartbeat(), alone.later(2))
    (pruned,) = [one for one in everybody if alone.rpcs_to(one) and any(rpc.control and rpc.control.prune for rpc in alone.rpcs_to(one))]
    assert len(_pruned(alone, pruned)) == 2
    alone.feed(NetworkPubsubUnsubscribe(TOPIC_V0))
    assert [len(_pruned(alone, one)) for one in everybody if one != pruned] == [2, 2]


# --- being told of others


def _heard(alone: Exchanging, *peers: PrunedPeer, graft: bool = True) -> list[Libp2pAddress]:
    """Peer 1, whom we have grafted, prunes us and names others; whom we dial then."""
    alone.gossiping(1)
    if graft:
        alone.feed(NetworkPubsubHeartbeat(), alone.later(1))
    alone.rpc(PubsubRpc(control=ControlMessage(prune=(ControlPrune(TOPIC_V0, peers, 60),))))
    first = alone.did(port.Libp2pEffectfulDial)
    alone.vouch()
    check(alone.state)
    return [effect.address for effect in (*first, *alone.did(port.Libp2pEffectfulDial))]


def test_whom_a_pruning_peer_names_is_dialled() -> None:
    """Where it has signed that it is; and it is told."""
    alone = Exchanging()
    assert _heard(alone, named(2), named(3)) == [address(2), address(3)]
    assert [told.address for told in alone.did(NetworkPeerDiscovered)] == [address(2), address(3)]


@pytest.mark.parametrize(
    "info",
    [
        pytest.param(PrunedPeer(peer_id(2).multihash, envelope(2, signer=3)), id="a wrong signature"),
        pytest.param(PrunedPeer(peer_id(2).multihash, envelope(3)), id="the record of another"),
        pytest.param(PrunedPeer(peer_id(2).multihash, b"x"), id="no record"),
        pytest.param(PrunedPeer(peer_id(2).multihash, None), id="an id that nobody knows"),
        pytest.param(PrunedPeer(b"\x12\x20" + bytes(32), envelope(2)), id="a hashed id"),
        pytest.param(PrunedPeer(None, None), id="nobody, as Rust nodes write it"),
        pytest.param(named(0), id="ourselves"),
        pytest.param(named(1), id="who is connected"),
    ],
)
def test_what_names_nobody_is_passed_over(info: PrunedPeer) -> None:
    """Without blame; whoever is named beside it is dialled."""
    alone = Exchanging()
    assert _heard(alone, info, named(9)) == [address(9)]
    assert alone.state.links.linked(IN) is not None


def test_names_are_taken_from_the_mesh_only() -> None:
    """A peer that was not in it, or is no longer, names nobody to us; nor does anybody where exchange is off."""
    alone = Exchanging()
    assert _heard(alone, named(2), graft=False) == []
    alone = Exchanging()
    assert _heard(alone, named(2)) == [address(2)]
    alone.rpc(PubsubRpc(control=ControlMessage(prune=(ControlPrune(TOPIC_V0, (named(3),), 60),))))
    assert not alone.did(NetworkExchangeEffectfulVerify)
    off = Exchanging(gossipsub=ON.replace(is_peer_exchange_enabled=False))
    assert _heard(off, named(2)) == []
    assert not off.did(NetworkExchangeEffectfulVerify)


def test_private_addresses_are_believed_from_the_same_range_only() -> None:
    """As those of identify and Kademlia are."""
    alone = Exchanging(are_private_addresses_allowed=False)
    assert _heard(alone, named(2)) == [address(2)]
    alone = Exchanging(are_private_addresses_allowed=False)
    alone.arrive(1, remote="9.9.9.9")
    alone.identify(1)
    far = Libp2pAddress(peer_id(3), Ipv4.of(9, 9, 9, 8), 1)
    (ours,) = [stream for _, stream in alone.opened(MESHSUB.name)]
    alone.feed(port.Libp2pStreamOpened(IN, ours, MESHSUB.name, True))
    alone.feed(port.Libp2pStreamOpened(IN, StreamId(port.FIRST_PEER_STREAM), MESHSUB.name, False))
    alone.rpc(PubsubRpc(subscriptions=(SubOpts(True, TOPIC_V0),)))
    alone.feed(NetworkPubsubHeartbeat(), alone.later(1))
    both = (named(2), PrunedPeer(peer_id(3).multihash, envelope(3, far)))
    alone.rpc(PubsubRpc(control=ControlMessage(prune=(ControlPrune(TOPIC_V0, both, 60),))))
    alone.vouch()
    assert [effect.address for effect in alone.did(port.Libp2pEffectfulDial)] == [far]


def test_sixteen_names_are_looked_at() -> None:
    alone = Exchanging()
    assert _heard(alone, *(named(number) for number in range(2, 40))) == [address(number) for number in range(2, 18)]


def test_three_of_one_network_are_dialled() -> None:
    """A peer can sign for as many identities as it likes, all of them at somebody else's address."""
    alone = Exchanging()
    victim = [Libp2pAddress(peer_id(number), Ipv4.of(9, 9, 9, 9), number) for number in range(2, 12)]
    away = Libp2pAddress(peer_id(12), Ipv4.of(7, 7, 7, 7), 1)
    infos = [PrunedPeer(one.peer_id.multihash, envelope(number, one)) for number, one in enumerate((*victim, away), 2)]
    assert _heard(alone, *infos) == [*victim[:3], away]


def test_who_names_others_is_not_grafted_for_a_minute() -> None:
    """Whatever back-off it gives; without names, its word counts."""
    for peers, seconds in (((named(2),), 60), ((), 5)):
        alone = Exchanging()
        alone.gossiping(1)
        alone.feed(NetworkPubsubHeartbeat(), alone.later(1))
        alone.rpc(PubsubRpc(control=ControlMessage(prune=(ControlPrune(TOPIC_V0, peers, 5),))))
        alone.feed(NetworkPubsubHeartbeat(), alone.later(seconds - 1))
        assert not alone.rpcs_to()
        alone.feed(NetworkPubsubHeartbeat(), alone.later(3))
        assert [rpc.control for rpc in alone.rpcs_to()] == [ControlMessage(graft=(ControlGraft(TOPIC_V0),))]


def test_a_full_node_and_one_that_waits_dial_nobody() -> None:
    """They are told all the same."""
    full = Exchanging(connections_max=1)
    assert _heard(full, named(2)) == []
    assert [told.address for told in full.did(NetworkPeerDiscovered)] == [address(2)]
    waiting = Exchanging()
    waiting.feed(NetworkDiallingSet(False))
    assert _heard(waiting, named(2)) == []


def test_records_that_wait_for_the_runtime_are_bounded() -> None:
    """Whoever names more than it can check is not listened to."""
    alone = Exchanging(gossipsub=ON.replace(prune_backoff=SECOND, exchanged_peers_max=256))
    alone.gossiping(1)
    for turn in range(3):
        alone.feed(NetworkPubsubHeartbeat(), alone.later(10))
        peers = tuple(named(2 + turn * 200 + number) for number in range(200))
        alone.rpc(PubsubRpc(control=ControlMessage(prune=(ControlPrune(TOPIC_V0, peers, 1),))))
        check(alone.state)
    assert len(alone.state.exchange.checking) == CHECKING_MAX


def test_a_record_whose_check_never_ends_is_forgotten() -> None:
    """After a minute, with all others: nothing is believed, nobody is dialled or blamed, and there is room for new ones; a late word is refused."""
    alone = Exchanging(gossipsub=ON.replace(exchanged_peers_max=CHECKING_MAX))
    alone.gossiping(1)
    alone.feed(NetworkPubsubHeartbeat(), alone.later(1))
    peers = tuple(named(number) for number in range(2, CHECKING_MAX + 2))
    alone.rpc(PubsubRpc(control=ControlMessage(prune=(ControlPrune(TOPIC_V0, peers, 1),))))
    lost = list(alone.state.exchange.checking)
    assert len(lost) == CHECKING_MAX
    told_at = alone.now
    alone.feed(NetworkExchangeRecordReceived(IN, envelope(1)), alone.later(0.1))
    assert list(alone.state.exchange.checking) == lost
    while (at := next_wake(alone.state)) < told_at + ON.signature_timeout:
        alone.feed(NetworkCheckTimeouts(), at)
        assert list(alone.state.exchange.checking) == lost
    assert at == told_at + ON.signature_timeout
    alone.feed(NetworkCheckTimeouts(), at)
    assert not len(alone.state.exchange.checking)
    assert alone.did(NetworkPeerDiscovered) == alone.did(port.Libp2pEffectfulDial) == []
    assert alone.state.links.linked(IN) is not None
    before = alone.state.exchange
    assert alone.feed(NetworkExchangeVerified(lost[0], True)) == []
    assert alone.state.exchange is before
    alone.feed(NetworkExchangeRecordReceived(IN, envelope(1)))
    alone.vouch()
    assert [kept.envelope for kept in alone.state.exchange.records.values()] == [envelope(1)]
    check(alone.state)


# --- a network


def test_nodes_that_know_one_alone_find_each_other() -> None:
    """It has room for two in its mesh and names others to the rest; without exchange they stay with it alone."""

    def neighbours(*, is_on: bool) -> list[int]:
        gossipsub = SMALL.replace(is_peer_exchange_enabled=is_on)
        options: dict[str, Any] = {"gossipsub": gossipsub, "is_discovery_enabled": False, "are_private_addresses_allowed": True}
        network = Network([Node(0, **options), *(Node(number, 0, **options) for number in range(1, 9))])
        network.run(300)
        for node in network.nodes.values():
            check(node.state)
        return [len(node.state.links.numbers) for node in network.nodes.values()]

    assert neighbours(is_on=False) == [8, *8 * [1]]
    found = neighbours(is_on=True)
    assert found[0] == 8
    assert sum(found) > 2 * 8 + 8

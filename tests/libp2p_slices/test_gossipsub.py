"""GossipSub: what is passed on and what is not, meshes, gossip, bounds."""

from __future__ import annotations

from typing import Any

import pytest

from libp2p_slices.lab import address, check, peer_id
from libp2p_slices.pairs import IN, THEIRS, Alone, gossip
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.gossipsub import actions as gs
from mina_p2p.gossipsub.effects import NetworkPubsubEffectfulSign, NetworkPubsubEffectfulVerify
from mina_p2p.gossipsub.messages import (
    ControlGraft,
    ControlIHave,
    ControlIWant,
    ControlMessage,
    ControlPrune,
    PubsubMessage,
    PubsubRpc,
    SubOpts,
    message_id,
    publishing,
)
from mina_p2p.ids import SECOND, ConnectionId, PeerNumber
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.config import TOPIC_V0, GossipsubConfig
from mina_p2p.libp2p.machine import NetworkCheckTimeouts
from mina_p2p.libp2p.notifications import NetworkPubsubMessageReceived, NetworkPubsubPublished
from mina_p2p.libp2p.protocols import MESHSUB


def control(**what: Any) -> PubsubRpc:
    return PubsubRpc(control=ControlMessage(**what))


def graft() -> PubsubRpc:
    return control(graft=(ControlGraft(TOPIC_V0),))


def others(count: int, alone: Alone, *, grafted: bool = False) -> list[ConnectionId]:
    """Peers 1 to count, subscribed."""
    made = [alone.gossiping(number, ConnectionId(IN + number)) for number in range(1, count + 1)]
    for connection_id in made if grafted else ():
        alone.rpc(graft(), connection_id)
    return made


def mesh(alone: Alone) -> set[int]:
    topic = alone.state.gossipsub.topic(TOPIC_V0)
    assert topic is not None
    return set(topic.mesh)


def arrive(alone: Alone, message: PubsubMessage, connection_id: ConnectionId = IN, *, is_valid: bool = True) -> None:
    """A message comes and its signature is checked."""
    alone.rpc(PubsubRpc((), (message,)), connection_id)
    for effect in alone.did(NetworkPubsubEffectfulVerify):
        alone.feed(gs.NetworkPubsubVerified(effect.request_id, is_valid))


def publish(alone: Alone, data: bytes) -> None:
    alone.feed(gs.NetworkPubsubPublish(TOPIC_V0, data))
    for effect in alone.did(NetworkPubsubEffectfulSign):
        alone.feed(gs.NetworkPubsubSigned(effect.request_id, bytes(64)))


def beat(alone: Alone, seconds: float = 1) -> None:
    alone.feed(NetworkCheckTimeouts(), alone.later(seconds))


def published_to(alone: Alone) -> set[ConnectionId]:
    return {one.connection_id for one in alone.did(port.Libp2pEffectfulSend)}


def test_the_first_thing_said_is_the_subscription():
    alone = Alone()
    alone.known(1)
    (stream,) = [stream for _, stream in alone.opened(MESHSUB.name)]
    (sent,) = [one for one in alone.did(port.Libp2pEffectfulSend) if one.stream == stream]
    assert sent.data == b"\x0a\x21\x08\x01\x12\x1d" + TOPIC_V0.encode()


def test_nothing_is_ever_said_on_their_stream():
    """Go takes any byte on a stream that it opened for the end of it."""
    alone = Alone()
    connections = others(8, alone, grafted=True)
    publish(alone, b"x")
    for _ in range(5):
        beat(alone)
        assert all(
            one.stream != THEIRS for one in alone.effects if isinstance(one, port.Libp2pEffectfulSend | port.Libp2pEffectfulStreamEnd)
        )
    assert len(connections) == 8


def test_a_message_is_passed_on_once_it_is_accepted():
    """To the mesh, but not to its sender and its author."""
    alone = Alone()
    one, two, three = others(3, alone, grafted=True)
    arrive(alone, gossip(3, b"data"), one)
    (told,) = alone.did(NetworkPubsubMessageReceived)
    assert (told.author, told.from_peer, told.data) == (peer_id(3), peer_id(1), b"data")
    alone.feed(gs.NetworkPubsubVerdict(told.verdict_id, gs.Verdict.ACCEPT))
    assert published_to(alone) == {two}
    assert alone.rpcs_to(two)[0].publish == (gossip(3, b"data"),)
    assert three
    check(alone.state)


@pytest.mark.parametrize("verdict", [gs.Verdict.IGNORE, gs.Verdict.REJECT])
def test_what_is_not_accepted_goes_nowhere(verdict: gs.Verdict):
    alone = Alone()
    others(3, alone, grafted=True)
    arrive(alone, gossip(9, b"data"), ConnectionId(IN + 1))
    alone.feed(gs.NetworkPubsubVerdict(alone.did(NetworkPubsubMessageReceived)[0].verdict_id, verdict))
    assert alone.effects == []
    beat(alone)
    assert not any(rpc.control and rpc.control.ihave for n in (1, 2, 3) for rpc in alone.rpcs_to(ConnectionId(IN + n)))


def test_no_verdict_in_time_is_a_drop():
    alone = Alone()
    others(2, alone, grafted=True)
    arrive(alone, gossip(9, b"data"), ConnectionId(IN + 1))
    beat(alone, 301)
    assert len(alone.state.gossipsub.validating) == 0
    assert len(alone.state.gossipsub.cache) == 0
    check(alone.state)


def test_a_runtime_that_checks_no_signature_does_not_end_gossip():
    """Checks that have waited for a minute give way, and what they were for can come again; a late answer is refused."""
    alone = Alone(gossipsub=GossipsubConfig(verifications_max=2))
    others(2, alone)
    for author in (7, 8, 9):
        alone.rpc(PubsubRpc((), (gossip(author, b"data %d" % author),)), ConnectionId(IN + 1))
    assert list(alone.state.gossipsub.verifying) == [1, 2]
    beat(alone, 59)
    assert list(alone.state.gossipsub.verifying) == [1, 2]
    beat(alone, 2)
    assert list(alone.state.gossipsub.verifying) == []
    before = alone.state
    alone.feed(gs.NetworkPubsubVerified(1, True))
    assert alone.state.gossipsub == before.gossipsub
    arrive(alone, gossip(7, b"data 7"), ConnectionId(IN + 2))
    assert len(alone.did(NetworkPubsubMessageReceived)) == 1
    check(alone.state)


def test_a_message_that_is_not_signed_in_time_is_sent_to_nobody():
    alone = Alone(gossipsub=GossipsubConfig(verifications_max=1))
    others(2, alone, grafted=True)
    alone.feed(gs.NetworkPubsubPublish(TOPIC_V0, b"first"))
    beat(alone, 59)
    assert len(alone.state.gossipsub.signing) == 1
    beat(alone, 2)
    assert len(alone.state.gossipsub.signing) == 0
    assert alone.did(NetworkPubsubPublished) == [NetworkPubsubPublished(message_id(TOPIC_V0, b"first"), 0)]
    publish(alone, b"first")
    assert len(published_to(alone)) == 2
    check(alone.state)


def test_a_forged_copy_does_not_hide_the_true_one():
    """Only what verifies is marked as seen: the id does not depend on the author."""
    alone = Alone()
    others(2, alone)
    arrive(alone, gossip(8, b"data"), ConnectionId(IN + 1), is_valid=False)
    assert not alone.did(NetworkPubsubMessageReceived)
    arrive(alone, gossip(9, b"data"), ConnectionId(IN + 2))
    assert len(alone.did(NetworkPubsubMessageReceived)) == 1


def test_a_duplicate_costs_no_signature():
    alone = Alone()
    others(2, alone)
    arrive(alone, gossip(9, b"data"), ConnectionId(IN + 1))
    alone.rpc(PubsubRpc((), (gossip(7, b"data"),)), ConnectionId(IN + 2))
    assert alone.effects == []
    beat(alone, 121)
    alone.rpc(PubsubRpc((), (gossip(7, b"data"),)), ConnectionId(IN + 2))
    assert alone.did(NetworkPubsubEffectfulVerify)


@pytest.mark.parametrize(
    "changes",
    [
        {"author": None},
        {"author": b"short"},
        {"author": peer_id(0).multihash},
        {"data": None},
        {"topic": None},
        {"topic": "other"},
        {"seqno": None},
        {"seqno": b"1"},
        {"signature": None},
        {"signature": bytes(63)},
        {"key": peer_id(5).protobuf},
    ],
)
def test_malformed_messages_are_dropped(changes: dict[str, Any]):
    """Unsigned, of no topic of ours, in our name: no signature is checked, the connection stays."""
    alone = Alone()
    alone.gossiping(1)
    alone.rpc(PubsubRpc((), (gossip(9, b"data").replace(**changes),)))
    assert alone.effects == []


def test_undecodable_bytes_end_the_connection():
    alone = Alone()
    alone.gossiping(1)
    alone.message(b"\xff")
    assert [one.reason.code for one in alone.did(port.Libp2pEffectfulDisconnect)] == [ReasonCode.CHANNEL_MSG_UNDECODABLE]


def test_ours_is_signed_and_sent_to_the_mesh():
    """Sequence numbers grow, from the time on."""
    alone = Alone()
    made = others(3, alone, grafted=True)
    publish(alone, b"first")
    assert published_to(alone) == set(made)
    first = alone.rpcs_to(made[0])[0].publish[0]
    assert first.seqno == alone.now.to_bytes(8, "big")
    assert (first.author, first.signature, first.key) == (peer_id(0).multihash, bytes(64), None)
    publish(alone, b"second")
    assert alone.rpcs_to(made[0])[0].publish[0].seqno == (alone.now + 1).to_bytes(8, "big")
    publish(alone, b"second")
    assert alone.did(NetworkPubsubPublished) == [NetworkPubsubPublished(message_id(TOPIC_V0, b"second"), 0)]
    assert not alone.did(port.Libp2pEffectfulSend)


def test_without_a_mesh_some_subscribers_get_it():
    alone = Alone(topics=())
    made = others(10, alone)
    publish(alone, b"data")
    assert len(published_to(alone)) == 6
    fanout = published_to(alone)
    publish(alone, b"more")
    assert published_to(alone) == fanout <= set(made)
    beat(alone, 61)
    assert alone.state.gossipsub.topics == ()


def test_flooding_reaches_every_subscriber():
    alone = Alone(gossipsub=GossipsubConfig(is_flooding=True))
    made = others(10, alone)
    publish(alone, b"data")
    assert published_to(alone) == set(made)


def test_a_small_mesh_grows_to_six():
    alone = Alone()
    others(10, alone)
    beat(alone)
    assert len(mesh(alone)) == 6
    grafted = {n for n in range(1, 11) if any(r.control and r.control.graft for r in alone.rpcs_to(ConnectionId(IN + n)))}
    assert grafted == mesh(alone)


def test_a_large_mesh_shrinks_to_six_and_keeps_some_that_we_dialled():
    alone = Alone()
    dialled = []
    for number in (21, 22):
        connection_id = alone.dial(number)
        alone.identify(number, connection_id)
        ours = next(stream for one, stream in alone.opened(MESHSUB.name) if one == connection_id)
        alone.feed(port.Libp2pStreamOpened(connection_id, ours, MESHSUB.name, True))
        alone.feed(port.Libp2pStreamOpened(connection_id, THEIRS, MESHSUB.name, False))
        alone.rpc(PubsubRpc((SubOpts(True, TOPIC_V0),), (), ControlMessage(graft=(ControlGraft(TOPIC_V0),))), connection_id)
        dialled.append(alone.state.links.numbers.get(peer_id(number)))
    others(10, alone, grafted=True)
    assert len(mesh(alone)) == 12
    alone.rpc(graft(), alone.gossiping(11, ConnectionId(IN + 11)))
    assert alone.rpcs_to(ConnectionId(IN + 11))[0].control == ControlMessage(prune=(ControlPrune(TOPIC_V0, backoff=60),))
    topic = alone.state.gossipsub.topic(TOPIC_V0)
    assert topic is not None
    crowded = alone.state.gossipsub.with_topic(topic.replace(mesh=(*topic.mesh, PeerNumber(13))))
    alone.state = alone.state.replace(gossipsub=crowded)
    beat(alone)
    assert len(mesh(alone)) == 6
    assert set(dialled) <= mesh(alone)
    assert len(alone.state.gossipsub.backoffs) == 7


def test_who_pruned_us_is_left_alone_for_as_long_as_it_says():
    alone = Alone()
    alone.gossiping(1)
    beat(alone)
    alone.rpc(control(prune=(ControlPrune(TOPIC_V0, backoff=5),)))
    assert mesh(alone) == set()
    beat(alone, 4)
    assert mesh(alone) == set()
    beat(alone, 2)
    assert mesh(alone) == {1}


def test_a_graft_within_the_back_off_is_pruned():
    alone = Alone()
    alone.gossiping(1)
    alone.rpc(control(prune=(ControlPrune(TOPIC_V0, backoff=None),)))
    alone.rpc(graft())
    assert alone.rpcs_to()[0].control == ControlMessage(prune=(ControlPrune(TOPIC_V0, backoff=60),))
    assert mesh(alone) == set()


@pytest.mark.parametrize("backoff", [1 << 40, (1 << 64) - 1])
def test_an_endless_back_off_is_an_hour(backoff: int):
    alone = Alone()
    alone.gossiping(1)
    alone.rpc(control(prune=(ControlPrune(TOPIC_V0, backoff=backoff),)))
    beat(alone, 3_601)
    beat(alone)
    assert mesh(alone) == {1}


def test_grafts_for_foreign_topics_are_ignored():
    alone = Alone()
    alone.gossiping(1)
    alone.rpc(control(graft=(ControlGraft("other"), ControlGraft(None))))
    assert alone.effects == []


def test_the_rest_hears_of_it():
    """IHAVE goes to subscribers that are not in the mesh, for three heartbeats; the message is there for five."""
    alone = Alone()
    made = others(20, alone)
    beat(alone)
    publish(alone, b"data")
    found = message_id(TOPIC_V0, b"data")
    for _ in range(3):
        beat(alone)
        told = {n for n in range(1, 21) for r in alone.rpcs_to(made[n - 1]) if r.control and r.control.ihave}
        assert len(told) == 6
        assert not told & mesh(alone)
    beat(alone)
    assert not any(r.control and r.control.ihave for one in made for r in alone.rpcs_to(one))
    assert found in alone.state.gossipsub.cache
    beat(alone)
    assert found not in alone.state.gossipsub.cache
    check(alone.state)


def test_what_we_lack_we_ask_for():
    """Each id once in an RPC, only ids of our length, at most five thousand and ten messages between two heartbeats."""
    alone = Alone(gossipsub=GossipsubConfig(ihave_ids_max=5, ihave_messages_max=3))
    alone.gossiping(1)
    ids = [bytes((n,)) * 32 for n in range(10)]
    alone.rpc(control(ihave=(ControlIHave(TOPIC_V0, (b"short", *ids[:3], *ids[:3])),)))
    assert alone.rpcs_to()[0].control == ControlMessage(iwant=(ControlIWant(tuple(ids[:3])),))
    alone.rpc(control(ihave=(ControlIHave(TOPIC_V0, tuple(ids[3:])),)))
    assert alone.rpcs_to()[0].control == ControlMessage(iwant=(ControlIWant(tuple(ids[3:5])),))
    for _ in range(3):
        alone.rpc(control(ihave=(ControlIHave(TOPIC_V0, tuple(ids)),)))
        assert alone.effects == []
    alone.rpc(control(ihave=(ControlIHave("other", tuple(ids)),)))
    assert alone.effects == []


def test_what_they_lack_they_get_three_times():
    alone = Alone()
    alone.gossiping(1)
    publish(alone, b"data")
    found = message_id(TOPIC_V0, b"data")
    for count in range(5):
        alone.rpc(control(iwant=(ControlIWant((found, b"unknown")),)))
        assert len(alone.rpcs_to()) == (count < 3)


def test_many_wishes_in_one_message_are_no_amplifier():
    alone = Alone()
    alone.gossiping(1)
    publish(alone, b"data")
    alone.rpc(control(iwant=(ControlIWant((message_id(TOPIC_V0, b"data"),) * 5_000),)))
    assert len(alone.rpcs_to()) == 3


def test_a_full_queue_of_verdicts_takes_no_more_and_does_not_remember_it():
    alone = Alone(gossipsub=GossipsubConfig(validations_max=2))
    alone.gossiping(1)
    for number in range(5):
        arrive(alone, gossip(9, b"%d" % number))
    assert len(alone.state.gossipsub.validating) == 2
    assert len(alone.state.gossipsub.seen) == 2


def test_messages_in_waiting_are_bounded_in_bytes():
    """One may wait whatever its size; what would be over is dropped, and taken when there is room again."""
    alone = Alone(gossipsub=GossipsubConfig(validation_bytes_max=1_600))
    alone.gossiping(1)
    arrive(alone, gossip(9, bytes(2_000)))
    (first,) = alone.did(NetworkPubsubMessageReceived)
    for _ in range(2):
        arrive(alone, gossip(9, bytes(600)))
        assert len(alone.state.gossipsub.validating) == 1
    alone.feed(gs.NetworkPubsubVerdict(first.verdict_id, gs.Verdict.IGNORE))
    assert alone.state.gossipsub.validating_bytes == 0
    for number in range(4):
        arrive(alone, gossip(9, bytes(600) + bytes((number,))))
        check(alone.state)
    assert len(alone.state.gossipsub.validating) == 2
    assert len(alone.state.gossipsub.seen) == 3


def test_the_cache_is_bounded_in_bytes():
    alone = Alone(gossipsub=GossipsubConfig(cache_bytes_max=1_000))
    for number in range(10):
        publish(alone, bytes((number,)) * 600)
        beat(alone)
        assert alone.state.gossipsub.cache_bytes <= 2_000
        check(alone.state)


def test_a_message_that_comes_again_after_it_was_forgotten_is_kept_once():
    """Its verdict took longer than it is remembered as seen, and meanwhile it came again: both are accepted, its bytes count once."""
    alone = Alone(gossipsub=GossipsubConfig(seen_ttl=5 * SECOND))
    alone.gossiping(1)
    verdicts: list[NetworkPubsubMessageReceived] = []
    for seconds in (0, 6):
        alone.feed(NetworkCheckTimeouts(), alone.later(seconds))
        for _ in range(2):
            alone.rpc(PubsubRpc(publish=(gossip(1, b"slow"),)))
            for request in alone.did(NetworkPubsubEffectfulVerify):
                alone.feed(gs.NetworkPubsubVerified(request.request_id, True))
                verdicts += alone.did(NetworkPubsubMessageReceived)
    assert len(verdicts) == 2
    for seconds, told in enumerate(verdicts):
        alone.feed(NetworkCheckTimeouts(), alone.later(seconds))
        alone.feed(gs.NetworkPubsubVerdict(told.verdict_id, gs.Verdict.ACCEPT))
        check(alone.state)
    assert len(alone.state.gossipsub.cache) == 1
    for _ in range(10):
        alone.feed(NetworkCheckTimeouts(), alone.later(1))
        check(alone.state)
    assert alone.state.gossipsub.cache_bytes == 0


def direct_and_others() -> Alone:
    """Peer 1 is a direct one; peers 1 to 9 want the topic, and the mesh is made."""
    alone = Alone(direct_peers=(address(1),))
    for number in range(1, 10):
        alone.gossiping(number, ConnectionId(IN + number))
    alone.feed(NetworkCheckTimeouts(), alone.later(1))
    return alone


def test_a_direct_peer_is_in_no_mesh_and_gets_everything():
    """Ours and others', whatever the mesh; it is told of no ids, and pruned where it grafts us."""
    alone = direct_and_others()
    (direct,) = [peer for peer, one in alone.state.gossipsub.neighbours.items() if one.is_direct]
    assert len(alone.state.gossipsub.topics[0].mesh) == 6
    assert direct not in alone.state.gossipsub.topics[0].mesh
    alone.feed(gs.NetworkPubsubPublish(TOPIC_V0, b"ours"))
    (request,) = alone.did(NetworkPubsubEffectfulSign)
    alone.feed(gs.NetworkPubsubSigned(request.request_id, bytes(64)))
    sent = [one.connection_id for one in alone.did(port.Libp2pEffectfulSend)]
    assert len(sent) == len(set(sent)) == 7
    assert IN + 1 in sent
    for sender, is_sent in [(2, True), (1, False)]:
        alone.rpc(PubsubRpc(publish=(gossip(20 + sender, b"theirs %d" % sender),)), ConnectionId(IN + sender))
        (check_it,) = alone.did(NetworkPubsubEffectfulVerify)
        alone.feed(gs.NetworkPubsubVerified(check_it.request_id, True))
        (told,) = alone.did(NetworkPubsubMessageReceived)
        alone.feed(gs.NetworkPubsubVerdict(told.verdict_id, gs.Verdict.ACCEPT))
        assert (IN + 1 in [one.connection_id for one in alone.did(port.Libp2pEffectfulSend)]) == is_sent
    alone.feed(NetworkCheckTimeouts(), alone.later(1))
    assert all(rpc.control is None or not rpc.control.ihave for rpc in alone.rpcs_to(ConnectionId(IN + 1)))
    alone.rpc(PubsubRpc(control=ControlMessage(graft=(ControlGraft(TOPIC_V0),))), ConnectionId(IN + 1))
    (answer,) = alone.rpcs_to(ConnectionId(IN + 1))
    assert answer.control is not None
    assert len(answer.control.prune) == 1
    check(alone.state)


def test_an_author_hears_nothing_of_its_own_message():
    """Though it is in the mesh and another brought the message."""
    alone = direct_and_others()
    mesh = [alone.state.gossipsub.neighbours[peer].peer_id for peer in alone.state.gossipsub.topics[0].mesh]
    author, sender = (next(n for n in range(2, 10) if peer_id(n) == one) for one in mesh[:2])
    alone.rpc(PubsubRpc(publish=(gossip(author, b"by way of another"),)), ConnectionId(IN + sender))
    (check_it,) = alone.did(NetworkPubsubEffectfulVerify)
    alone.feed(gs.NetworkPubsubVerified(check_it.request_id, True))
    (told,) = alone.did(NetworkPubsubMessageReceived)
    alone.feed(gs.NetworkPubsubVerdict(told.verdict_id, gs.Verdict.ACCEPT))
    sent = {one.connection_id - IN for one in alone.did(port.Libp2pEffectfulSend)}
    assert len(sent) == 5
    assert not {author, sender} & sent


def test_topics_of_a_peer_are_bounded():
    alone = Alone()
    alone.gossiping(1)
    alone.rpc(PubsubRpc(tuple(SubOpts(True, f"topic {n}") for n in range(100))))
    assert len(alone.state.gossipsub.neighbours[PeerNumber(1)].topics) == GossipsubConfig().topics_per_peer_max
    alone.rpc(PubsubRpc((SubOpts(False, TOPIC_V0), SubOpts(True, "x" * 1_000), SubOpts(True, None))))
    assert TOPIC_V0 not in alone.state.gossipsub.neighbours[PeerNumber(1)].topics


def test_a_lost_stream_is_opened_again_a_few_times():
    """The peer leaves the mesh until it is back."""
    alone = Alone()
    alone.gossiping(1)
    beat(alone)
    for tries in range(6):
        opened = alone.opened(MESHSUB.name)
        assert len(opened) == (tries < 5)
        if opened:
            alone.feed(port.Libp2pStreamLost(IN, opened[0][1], True))
            assert mesh(alone) == set()
        check(alone.state)
        beat(alone)


def test_unsubscribing_says_goodbye():
    alone = Alone()
    others(2, alone, grafted=True)
    alone.feed(gs.NetworkPubsubUnsubscribe(TOPIC_V0))
    prune, goodbye = alone.rpcs_to(ConnectionId(IN + 1))
    assert prune.control == ControlMessage(prune=(ControlPrune(TOPIC_V0, backoff=10),))
    assert goodbye.subscriptions == (SubOpts(False, TOPIC_V0),)
    alone.feed(gs.NetworkPubsubSubscribe(TOPIC_V0))
    assert alone.rpcs_to(ConnectionId(IN + 1))[0].subscriptions == (SubOpts(True, TOPIC_V0),)
    beat(alone)
    assert mesh(alone) == set()
    beat(alone, 10)
    assert len(mesh(alone)) == 2


def test_a_second_connection_carries_on():
    """A peer with two connections is one neighbour; when the one with our stream is lost, the other takes it over."""
    alone = Alone()
    alone.gossiping(1)
    alone.arrive(1, ConnectionId(IN + 7))
    alone.feed(port.Libp2pConnectionClosed(IN, Reason(ReasonCode.TRANSPORT_ERROR), True))
    check(alone.state)
    beat(alone)
    assert [one for one, _ in alone.opened(MESHSUB.name)] == [IN + 7]


def test_publishing_is_one_field():
    assert publishing(b"xyz") == b"\x12\x03xyz"

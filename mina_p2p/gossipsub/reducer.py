"""GossipSub: reducer. What a peer's RPC does is in `incoming`, what time does in `heartbeat`."""

from __future__ import annotations

from typing import assert_never

from mina_p2p.gossipsub import sending
from mina_p2p.gossipsub.actions import (
    GossipsubAction,
    NetworkPubsubHeartbeat,
    NetworkPubsubPeerGone,
    NetworkPubsubPeerIdentified,
    NetworkPubsubPublish,
    NetworkPubsubRpcReceived,
    NetworkPubsubSigned,
    NetworkPubsubStreamGone,
    NetworkPubsubStreamReady,
    NetworkPubsubSubscribe,
    NetworkPubsubUnsubscribe,
    NetworkPubsubVerdict,
    NetworkPubsubVerified,
    Verdict,
)
from mina_p2p.gossipsub.effects import NetworkPubsubEffectfulSign
from mina_p2p.gossipsub.heartbeat import beat
from mina_p2p.gossipsub.incoming import backing_off, exchanged, receive
from mina_p2p.gossipsub.messages import MESSAGE_CODEC, PubsubMessage, message_id, signed_bytes
from mina_p2p.gossipsub.state import Cached, Gossipsub, Neighbour, Signing, Topic, Validating
from mina_p2p.ids import PeerNumber, RequestId, Timestamp
from mina_p2p.libp2p.actions import NetworkHandOver, NetworkStreamOpen
from mina_p2p.libp2p.links import Linked
from mina_p2p.libp2p.notifications import NetworkPubsubMessageReceived, NetworkPubsubPublished
from mina_p2p.libp2p.protocols import MESHSUB
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.store import Action, FollowUps, expect


def reduce(state: Gossipsub, action: GossipsubAction, now: Timestamp, root: NetworkState) -> tuple[Gossipsub, FollowUps]:
    """Reduce one action of this slice."""
    match action:
        case NetworkPubsubSubscribe(topic=name):
            # Its fanout becomes its mesh at the next heartbeat, by grafts.
            state = state.with_topic(Topic(name, True))
            return state, sending.send_all(state, state.neighbours.keys(), sending.subscription(name, is_wanted=True))

        case NetworkPubsubUnsubscribe(topic=name):
            return _unsubscribe(state, name, now, root)

        case NetworkPubsubPublish(topic=name, data=data):
            seqno = max(now, state.last_seqno + 1)
            message = PubsubMessage(root.config.peer_id.multihash, data, seqno.to_bytes(8, "big"), name)
            request_id = state.next_id
            waiting = Signing(message, Timestamp(now + root.config.gossipsub.signature_timeout))
            state = state.replace(signing=state.signing.set(request_id, waiting), next_id=request_id + 1, last_seqno=seqno)
            return state, (NetworkPubsubEffectfulSign(request_id, signed_bytes(message)),)

        case NetworkPubsubSigned(request_id=request_id, signature=signature):
            message = state.signing[request_id].message.replace(signature=signature)
            return _publish(state.replace(signing=state.signing.delete(request_id)), message, now, root)

        case NetworkPubsubVerified():
            return _verified(state, action, now, root)

        case NetworkPubsubVerdict(verdict_id=verdict_id, verdict=verdict):
            found = state.validating[verdict_id]
            state = state.replace(
                validating=state.validating.delete(verdict_id),
                validating_bytes=state.validating_bytes - len(found.encoded),
                deadlines=state.deadlines.cancel(found.deadline, verdict_id),
            )
            if verdict is not Verdict.ACCEPT:
                return state, ()
            topic = state.topic(found.topic)
            mesh = () if topic is None or not topic.is_subscribed else topic.mesh
            state = _cached(state, found.message_id, found.topic, found.encoded)
            known = {found.peer, *(peer for peer, one in state.neighbours.items() if one.peer_id == found.author)}
            targets = [peer for peer in (*mesh, *state.direct(found.topic)) if peer not in known]
            return state, sending.send_all(state, targets, sending.publishing(found.encoded))

        case NetworkPubsubPeerIdentified():
            return _identified(state, action, root)

        case NetworkPubsubStreamReady(peer=peer, connection_id=connection_id, stream=stream):
            ready = state.neighbours[peer].replace(stream=(connection_id, stream), is_opening=False)
            return state.replace(neighbours=state.neighbours.set(peer, ready)), ()

        case NetworkPubsubStreamGone(peer=peer, connection_id=connection_id, stream=stream):
            neighbour = state.neighbours[peer]
            if neighbour.stream not in {None, (connection_id, stream)}:
                return state, ()
            gone = neighbour.replace(stream=None, is_opening=False)
            return _out_of_meshes(state.replace(neighbours=state.neighbours.set(peer, gone)), peer), ()

        case NetworkPubsubPeerGone(peer=peer):
            state = _out_of_meshes(state, peer)
            return state.replace(neighbours=state.neighbours.delete(peer)), ()

        case NetworkPubsubRpcReceived():
            return receive(state, action, now, root)

        case NetworkPubsubHeartbeat():
            return beat(state, now, root)

        case _:
            assert_never(action)


def _unsubscribe(state: Gossipsub, name: str, now: Timestamp, root: NetworkState) -> tuple[Gossipsub, FollowUps]:
    topic, config = expect(state.topic(name), Topic, name), root.config.gossipsub
    effects: list[Action] = []
    for peer in topic.mesh:
        others, state = exchanged(state, name, peer, root)
        effects += sending.send(state, peer, sending.prune(name, config.unsubscribe_backoff, others))
        until = Timestamp(now + config.unsubscribe_backoff)
        state = backing_off(state, name, state.neighbours[peer].peer_id, until, config)
    state = state.replace(topics=tuple(other for other in state.topics if other.name != name))
    return state, (*effects, *sending.send_all(state, state.neighbours.keys(), sending.subscription(name, is_wanted=False)))


def _publish(state: Gossipsub, message: PubsubMessage, now: Timestamp, root: NetworkState) -> tuple[Gossipsub, FollowUps]:
    name, data, config = message.topic or "", message.data or b"", root.config.gossipsub
    found, encoded = message_id(name, data), MESSAGE_CODEC.encode(message)
    if found in state.seen:
        return state, (NetworkPubsubPublished(found, 0),)
    state = state.replace(seen=state.seen.adding(found, Timestamp(now + config.seen_ttl)))
    topic = state.topic(name) or Topic(name, False)
    subscribers = state.indirect(name)
    targets = subscribers if config.is_flooding else [peer for peer in topic.mesh if peer in set(subscribers)]
    if not targets:
        targets, state = state.drawn(subscribers, config.mesh_wanted)
    if not topic.is_subscribed:
        state = state.with_topic(topic.replace(mesh=tuple(targets), published_at=now))
    state = _cached(state, found, name, encoded)
    targets = [*targets, *state.direct(name)]
    return state, (*sending.send_all(state, targets, sending.publishing(encoded)), NetworkPubsubPublished(found, len(targets)))


def _verified(state: Gossipsub, action: NetworkPubsubVerified, now: Timestamp, root: NetworkState) -> tuple[Gossipsub, FollowUps]:
    found, config = state.verifying[action.request_id], root.config.gossipsub
    state = state.replace(verifying=state.verifying.delete(action.request_id))
    topic = state.topic(found.message.topic or "")
    if not action.is_valid or found.message_id in state.seen or topic is None or not topic.is_subscribed:
        return state, ()
    # A message for whose verdict there is no room is not marked as seen, so that it can be asked for again.
    encoded = MESSAGE_CODEC.encode(found.message)
    validating_bytes = state.validating_bytes + len(encoded)
    is_too_much = len(state.validating) > 0 and validating_bytes > config.validation_bytes_max
    is_full = len(state.validating) >= config.validations_max or len(state.seen) >= config.seen_max or is_too_much
    if is_full:
        return state, ()
    verdict_id, deadline = RequestId(state.next_id), Timestamp(now + config.validation_timeout)
    waiting = Validating(found.peer, found.author, topic.name, encoded, found.message_id, deadline)
    state = state.replace(
        seen=state.seen.adding(found.message_id, Timestamp(now + config.seen_ttl)),
        validating=state.validating.set(verdict_id, waiting),
        validating_bytes=validating_bytes,
        deadlines=state.deadlines.add(deadline, verdict_id),
        next_id=verdict_id + 1,
    )
    contact = root.links.contacts.get(found.peer)
    sender = found.author if contact is None else contact.peer_id
    data = found.message.data or b""
    heard = NetworkPubsubMessageReceived(verdict_id, topic.name, data, found.message_id, found.author, sender)
    return state, (NetworkHandOver(heard),)


def _identified(state: Gossipsub, action: NetworkPubsubPeerIdentified, root: NetworkState) -> tuple[Gossipsub, FollowUps]:
    peer, connection_id = action.peer, action.connection_id
    link = expect(root.links.linked(connection_id), Linked, action)
    neighbour = state.neighbours.get(peer)
    if MESHSUB.name not in root.identify.peers[peer].protocols:
        return state, ()
    if neighbour is not None and (neighbour.stream is not None or neighbour.is_opening):
        return state, ()
    first = Neighbour(link.peer_id, link.is_dialer, is_direct=root.is_direct(link.peer_id))
    new = first if neighbour is None else neighbour.replace(is_opening=True)
    state = state.replace(neighbours=state.neighbours.set(peer, new))
    return state, (NetworkStreamOpen(connection_id, MESHSUB.name, peer, (sending.hello(state),), False),)


def _cached(state: Gossipsub, found: bytes, topic: str, encoded: bytes) -> Gossipsub:
    if found in state.cache:
        # It came again after it had been forgotten as seen: it leaves with its first window.
        return state
    first, *others = state.windows
    return state.replace(
        cache=state.cache.set(found, Cached(topic, encoded)),
        windows=((*first, found), *others),
        cache_bytes=state.cache_bytes + len(encoded),
    )


def _out_of_meshes(state: Gossipsub, peer: PeerNumber) -> Gossipsub:
    for topic in state.topics:
        if peer in topic.mesh:
            state = state.with_topic(topic.replace(mesh=tuple(other for other in topic.mesh if other != peer)))
    return state

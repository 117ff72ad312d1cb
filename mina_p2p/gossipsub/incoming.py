"""What a peer's RPC does."""

from __future__ import annotations

from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import DecodeError
from mina_p2p.gossipsub import sending
from mina_p2p.gossipsub.actions import NetworkPubsubRpcReceived
from mina_p2p.gossipsub.effects import NetworkPubsubEffectfulVerify
from mina_p2p.gossipsub.messages import (
    MESSAGE_ID_BYTES,
    RPC_CODEC,
    ControlIHave,
    ControlPrune,
    PrunedPeer,
    PubsubMessage,
    SubOpts,
    message_id,
    signed_bytes,
)
from mina_p2p.gossipsub.state import Cached, Gossipsub, Neighbour, Verifying, backoff_key
from mina_p2p.identity import IdentityError, PeerId
from mina_p2p.ids import SECOND, PeerNumber, Timestamp
from mina_p2p.libp2p.actions import NetworkDisconnect
from mina_p2p.libp2p.config import GossipsubConfig
from mina_p2p.libp2p.links import Linked
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.peer_exchange.actions import NetworkExchangePeersReceived
from mina_p2p.peer_exchange.state import Kept
from mina_p2p.store import Action, FollowUps, expect

SIGNATURE_BYTES = 64
SEQNO_BYTES = 8
BACKOFF_SECONDS_MAX = 3600
"""Longest back-off that a peer can impose."""
TOPIC_CHARS_MAX = 256


def receive(state: Gossipsub, action: NetworkPubsubRpcReceived, now: Timestamp, root: NetworkState) -> tuple[Gossipsub, FollowUps]:
    """Take one RPC."""
    link = expect(root.links.linked(action.connection_id), Linked, action)
    peer, config = link.peer, root.config.gossipsub
    try:
        rpc = RPC_CODEC.decode(action.data)
    except DecodeError as error:
        reason = Reason(ReasonCode.CHANNEL_MSG_UNDECODABLE, detail=f"gossipsub: {error}"[:200])
        return state, (NetworkDisconnect(action.connection_id, reason),)
    if peer not in state.neighbours:
        # It may speak before we know what it speaks; our stream follows identify.
        new = Neighbour(link.peer_id, link.is_dialer, is_opening=False, is_direct=root.is_direct(link.peer_id))
        state = state.replace(neighbours=state.neighbours.set(peer, new))
    follow_ups: list[Action] = []
    if rpc.subscriptions:
        state = _subscriptions(state, peer, rpc.subscriptions, config)
    for message in rpc.publish:
        state = _message(state, peer, message, now, root, follow_ups)
    control = rpc.control
    if control is not None:
        for have in control.ihave:
            state = _ihave(state, peer, have, config, follow_ups)
        for want in control.iwant:
            for wanted in want.message_ids:
                state = _iwant(state, peer, wanted, config, follow_ups)
        for grafted in control.graft:
            state = _graft(state, peer, grafted.topic or "", now, root, follow_ups)
        for pruned in control.prune:
            is_heard = _is_exchanged(state, peer, pruned, config)
            # Who names others is not grafted soon, whatever it says: it could name some every second.
            state = _prune(state, peer, pruned, now, config, config.prune_backoff if is_heard else 0)
            if is_heard:
                follow_ups.append(NetworkExchangePeersReceived(action.connection_id, pruned.peers))
    return state, follow_ups


def _subscriptions(state: Gossipsub, peer: PeerNumber, changes: tuple[SubOpts, ...], config: GossipsubConfig) -> Gossipsub:
    neighbour = state.neighbours[peer]
    topics = dict.fromkeys(neighbour.topics)
    for change in changes:
        name = change.topic
        if name is None or len(name) > TOPIC_CHARS_MAX:
            continue
        if not change.subscribe:
            topics.pop(name, None)
            topic = state.topic(name)
            if topic is not None and peer in topic.mesh:
                state = state.with_topic(topic.replace(mesh=tuple(other for other in topic.mesh if other != peer)))
        elif state.topic(name) is not None or len(topics) < config.topics_per_peer_max:
            topics[name] = None
    return state.replace(neighbours=state.neighbours.set(peer, neighbour.replace(topics=tuple(topics))))


def _message(
    state: Gossipsub, peer: PeerNumber, message: PubsubMessage, now: Timestamp, root: NetworkState, follow_ups: list[Action]
) -> Gossipsub:
    """Have the signature of a message checked that may be new and wanted."""
    author, data, name = message.author, message.data, message.topic
    if author is None or data is None or name is None or message.seqno is None or message.signature is None:
        return state
    topic = state.topic(name)
    if topic is None or not topic.is_subscribed or len(message.seqno) != SEQNO_BYTES or len(message.signature) != SIGNATURE_BYTES:
        return state
    try:
        author_id = PeerId.from_multihash(author)
    except IdentityError:
        return state
    if author_id == root.config.peer_id or (message.key is not None and message.key != author_id.protobuf):
        return state
    found = message_id(name, data)
    if found in state.seen or len(state.verifying) >= root.config.gossipsub.verifications_max:
        return state
    request_id = state.next_id
    follow_ups.append(NetworkPubsubEffectfulVerify(request_id, author_id, signed_bytes(message), message.signature))
    deadline = Timestamp(now + root.config.gossipsub.signature_timeout)
    waiting = Verifying(peer, author_id, message, found, deadline)
    return state.replace(verifying=state.verifying.set(request_id, waiting), next_id=request_id + 1)


def _ihave(state: Gossipsub, peer: PeerNumber, have: ControlIHave, config: GossipsubConfig, follow_ups: list[Action]) -> Gossipsub:
    topic, neighbour = state.topic(have.topic or ""), state.neighbours[peer]
    if topic is None or not topic.is_subscribed or neighbour.ihaves >= config.ihave_messages_max:
        return state
    room = config.ihave_ids_max - neighbour.ids_asked
    new = [one for one in dict.fromkeys(have.message_ids) if len(one) == MESSAGE_ID_BYTES and one not in state.seen][: max(0, room)]
    if new:
        follow_ups += sending.send(state, peer, sending.iwant(new))
    counted = neighbour.replace(ihaves=neighbour.ihaves + 1, ids_asked=neighbour.ids_asked + len(new))
    return state.replace(neighbours=state.neighbours.set(peer, counted))


def _iwant(state: Gossipsub, peer: PeerNumber, wanted: bytes, config: GossipsubConfig, follow_ups: list[Action]) -> Gossipsub:
    cached = state.cache.get(wanted)
    if cached is None:
        return state
    sent = dict(cached.sent)
    count = sent.get(peer, 0)
    if count >= config.iwant_answers_max:
        return state
    follow_ups += sending.send(state, peer, sending.publishing(cached.encoded))
    sent[peer] = count + 1
    return state.replace(cache=state.cache.set(wanted, Cached(cached.topic, cached.encoded, tuple(sent.items()))))


def _graft(state: Gossipsub, peer: PeerNumber, name: str, now: Timestamp, root: NetworkState, follow_ups: list[Action]) -> Gossipsub:
    topic, neighbour, config = state.topic(name), state.neighbours[peer], root.config.gossipsub
    if topic is None or not topic.is_subscribed or peer in topic.mesh:
        return state
    is_full = len(topic.mesh) >= config.mesh_max and not neighbour.is_outgoing
    is_early = state.is_backed_off(name, peer, now)
    if is_early or is_full or neighbour.stream is None or neighbour.is_direct:
        # Who comes too early, or should not come at all, is told of nobody (Go: handleGraft).
        others, state = ((), state) if is_early or neighbour.is_direct else exchanged(state, name, peer, root)
        follow_ups += sending.send(state, peer, sending.prune(name, config.prune_backoff, others))
        return backing_off(state, name, neighbour.peer_id, Timestamp(now + config.prune_backoff), config)
    return state.with_topic(topic.replace(mesh=(*topic.mesh, peer)))


def _prune(
    state: Gossipsub, peer: PeerNumber, pruned: ControlPrune, now: Timestamp, config: GossipsubConfig, backoff_min: int
) -> Gossipsub:
    topic, neighbour = state.topic(pruned.topic or ""), state.neighbours[peer]
    if topic is None or not topic.is_subscribed:
        return state
    state = state.with_topic(topic.replace(mesh=tuple(other for other in topic.mesh if other != peer)))
    backoff = min(pruned.backoff, BACKOFF_SECONDS_MAX) * SECOND if pruned.backoff else config.prune_backoff
    return backing_off(state, topic.name, neighbour.peer_id, Timestamp(now + max(backoff, backoff_min)), config)


def _is_exchanged(state: Gossipsub, peer: PeerNumber, pruned: ControlPrune, config: GossipsubConfig) -> bool:
    """Whether to hear whom it names: of who was in our mesh, so that nobody can name peers to us again and again."""
    topic = state.topic(pruned.topic or "")
    return config.is_peer_exchange_enabled and bool(pruned.peers) and topic is not None and topic.is_subscribed and peer in topic.mesh


def exchanged(state: Gossipsub, topic: str, peer: PeerNumber, root: NetworkState) -> tuple[tuple[PrunedPeer, ...], Gossipsub]:
    """Other subscribers, with what they have signed of themselves, for a peer that is pruned; nobody where exchange is off."""
    if not root.config.gossipsub.is_peer_exchange_enabled:
        return (), state
    others, state = state.drawn([one for one in state.subscribers(topic) if one != peer], root.config.gossipsub.exchanged_peers_max)
    return tuple(_pruned_peer(state.neighbours[one].peer_id, root.exchange.records.get(one)) for one in others), state


def _pruned_peer(peer_id: PeerId, kept: Kept | None) -> PrunedPeer:
    return PrunedPeer(peer_id.multihash, None if kept is None else kept.envelope)


def backing_off(state: Gossipsub, topic: str, peer_id: PeerId, until: Timestamp, config: GossipsubConfig) -> Gossipsub:
    """With a peer that is not to be grafted for a time."""
    key = backoff_key(topic, peer_id)
    if len(state.backoffs) >= config.backoffs_max and key not in state.backoffs:
        return state
    return state.replace(backoffs=state.backoffs.adding(key, until))

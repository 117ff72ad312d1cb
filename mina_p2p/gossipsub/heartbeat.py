"""What is done once a second: meshes, gossip, forgetting (`libp2p/go-libp2p-pubsub@v0.9.3 gossipsub.go`, heartbeat)."""

from __future__ import annotations

from mina_p2p.gossipsub import sending
from mina_p2p.gossipsub.incoming import backing_off, exchanged
from mina_p2p.gossipsub.messages import message_id
from mina_p2p.gossipsub.state import STREAM_TRIES_MAX, Gossipsub, Topic
from mina_p2p.ids import PeerNumber, Timestamp
from mina_p2p.libp2p.actions import NetworkStreamOpen
from mina_p2p.libp2p.config import GossipsubConfig
from mina_p2p.libp2p.notifications import NetworkPubsubPublished
from mina_p2p.libp2p.protocols import MESHSUB
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.store import Action, FollowUps


def beat(state: Gossipsub, now: Timestamp, root: NetworkState) -> tuple[Gossipsub, FollowUps]:
    """One heartbeat."""
    config = root.config.gossipsub
    follow_ups: list[Action] = []
    state = state.replace(
        next_heartbeat_at=Timestamp(now + config.heartbeat), seen=state.seen.expired(now), backoffs=state.backoffs.expired(now)
    )
    state = _give_up(state, now, follow_ups)
    for peer, neighbour in state.neighbours.items():
        if neighbour.ihaves or neighbour.ids_asked:
            state = state.replace(neighbours=state.neighbours.set(peer, neighbour.replace(ihaves=0, ids_asked=0)))
        if neighbour.stream is None and not neighbour.is_opening and neighbour.tries < STREAM_TRIES_MAX:
            state = _reopen(state, peer, root, follow_ups)
    for topic in state.topics:
        if topic.is_subscribed:
            state = _keep_mesh(state, topic, now, root, follow_ups)
        elif topic.published_at + config.fanout_ttl <= now:
            state = state.replace(topics=tuple(other for other in state.topics if other.name != topic.name))
        state = _gossip(state, topic.name, config, follow_ups)
    return _forget(state, config), follow_ups


def _give_up(state: Gossipsub, now: Timestamp, follow_ups: list[Action]) -> Gossipsub:
    """Let go of what has waited too long for the runtime: of a message of ours, as of one that nobody was sent."""
    for request_id, one in state.verifying.items():
        if one.deadline <= now:
            state = state.replace(verifying=state.verifying.delete(request_id))
    for request_id, own in state.signing.items():
        if own.deadline <= now:
            follow_ups.append(NetworkPubsubPublished(message_id(own.message.topic or "", own.message.data or b""), 0))
            state = state.replace(signing=state.signing.delete(request_id))
    return state


def _reopen(state: Gossipsub, peer: PeerNumber, root: NetworkState, follow_ups: list[Action]) -> Gossipsub:
    connection_id, identity = root.links.connection_of(peer), root.identify.peers.get(peer)
    if connection_id is None or identity is None or MESHSUB.name not in identity.protocols:
        return state
    neighbour = state.neighbours[peer]
    follow_ups.append(NetworkStreamOpen(connection_id, MESHSUB.name, peer, (sending.hello(state),), False))
    changed = neighbour.replace(is_opening=True, tries=neighbour.tries + 1)
    return state.replace(neighbours=state.neighbours.set(peer, changed))


def _keep_mesh(state: Gossipsub, topic: Topic, now: Timestamp, root: NetworkState, follow_ups: list[Action]) -> Gossipsub:
    config = root.config.gossipsub
    subscribers = state.indirect(topic.name)
    mesh = [peer for peer in topic.mesh if peer in set(subscribers)]
    candidates = [peer for peer in subscribers if peer not in mesh and not state.is_backed_off(topic.name, peer, now)]
    grafted: list[PeerNumber] = []
    if len(mesh) < config.mesh_min:
        grafted, state = state.drawn(candidates, config.mesh_wanted - len(mesh))
    elif len(mesh) > config.mesh_max:
        mesh, state = _shrunk(state, topic.name, mesh, now, root, follow_ups)
    missing = config.mesh_outgoing_min - sum(state.neighbours[peer].is_outgoing for peer in (*mesh, *grafted))
    if len(mesh) >= config.mesh_min and missing > 0:
        dialled = [peer for peer in candidates if state.neighbours[peer].is_outgoing and peer not in mesh]
        grafted, state = state.drawn(dialled, missing)
    follow_ups += sending.send_all(state, grafted, sending.graft(topic.name))
    after = (*mesh, *grafted)
    return state if after == topic.mesh else state.with_topic(topic.replace(mesh=after))


def _shrunk(
    state: Gossipsub, topic: str, mesh: list[PeerNumber], now: Timestamp, root: NetworkState, follow_ups: list[Action]
) -> tuple[list[PeerNumber], Gossipsub]:
    """The peers that stay in a mesh that has become too large: some that we dialled, the rest at random."""
    config = root.config.gossipsub
    dialled, state = state.drawn([peer for peer in mesh if state.neighbours[peer].is_outgoing], config.mesh_outgoing_min)
    others, state = state.drawn([peer for peer in mesh if peer not in dialled], config.mesh_wanted - len(dialled))
    kept = [*dialled, *others]
    for peer in mesh:
        if peer not in kept:
            told, state = exchanged(state, topic, peer, root)
            follow_ups += sending.send(state, peer, sending.prune(topic, config.prune_backoff, told))
            state = backing_off(state, topic, state.neighbours[peer].peer_id, Timestamp(now + config.prune_backoff), config)
    return kept, state


def _gossip(state: Gossipsub, name: str, config: GossipsubConfig, follow_ups: list[Action]) -> Gossipsub:
    """Tell some who are not in the mesh what there is."""
    topic = state.topic(name)
    recent = [one for window in state.windows[: config.gossip_windows] for one in window]
    ids = [one for one in recent if (cached := state.cache.get(one)) is not None and cached.topic == name]
    if not ids or topic is None:
        return state
    others = [peer for peer in state.indirect(name) if peer not in topic.mesh]
    told, state = state.drawn(others, max(config.gossip_peers_min, len(others) * config.gossip_percent // 100))
    follow_ups += sending.send_all(state, told, sending.ihave(name, ids[: config.ihave_ids_max]))
    return state


def _forget(state: Gossipsub, config: GossipsubConfig) -> Gossipsub:
    """A new window; the oldest, and more where the cache holds too much, leave with what is in them."""
    windows = [(), *state.windows] if state.windows[0] or len(state.windows) > 1 else list(state.windows)
    cache, size = state.cache, state.cache_bytes
    while len(windows) > config.history_windows or (size > config.cache_bytes_max and len(windows) > 1):
        for one in windows.pop():
            cached = cache.get(one)
            if cached is not None:
                cache, size = cache.delete(one), size - len(cached.encoded)
    while len(windows) > 1 and not any(windows):
        windows.pop()
    return state.replace(windows=tuple(windows), cache=cache, cache_bytes=size)

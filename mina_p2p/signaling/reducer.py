"""Who is introduced to whom: reducer."""

from __future__ import annotations

from typing import assert_never

from mina_p2p.channels.signaling_discovery.actions import ChannelsSignalingDiscoveryDiscoveredSend
from mina_p2p.channels.signaling_discovery.state import DiscoveryRequested
from mina_p2p.channels.signaling_exchange.state import RemoteRequested
from mina_p2p.identity import PeerId, is_curve_point
from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.signaling.actions import SignalingAction, SignalingMatch, SignalingPairForget, SignalingPairRemember
from mina_p2p.signaling.state import Pair, Signaling
from mina_p2p.state import P2pState
from mina_p2p.store import FollowUps


def reduce(state: Signaling, action: SignalingAction, now: Timestamp, root: P2pState) -> tuple[Signaling, FollowUps]:
    """Reduce one action of this slice."""
    match action:
        case SignalingMatch(connection_id=connection_id):
            discovery, exchange = root.channels.discovery(connection_id), root.channels.exchange(connection_id)
            if discovery is not None and isinstance(discovery.local, DiscoveryRequested):
                state, target = _target_for(state, connection_id, root)
                if target is not None:
                    return _introduce(state, connection_id, target, action, now, root)
            if exchange is not None and isinstance(exchange.remote, RemoteRequested):
                requester = _requester_for(state, connection_id, root)
                if requester is not None:
                    return _introduce(state, requester, connection_id, action, now, root)
            return state, ()

        case SignalingPairRemember(one=one, other=other):
            until = Timestamp(now + root.config.timeouts.signaling_pair)
            state, forgotten = state.remember(one, other, until, root.config.limits.signaling_pairs_max)
            return state, _try_again(forgotten, root)

        case SignalingPairForget(number=number):
            return state.forget(number), _try_again(state.pairs[number], root)

        case _:
            assert_never(action)


def _introduce(
    state: Signaling, requester: ConnectionId, target: ConnectionId, action: SignalingMatch, now: Timestamp, root: P2pState
) -> tuple[Signaling, FollowUps]:
    until = Timestamp(now + root.config.timeouts.signaling_pause)
    pairs_max = root.config.limits.signaling_pairs_max
    state, forgotten = state.remember(_peer_id(root, requester), _peer_id(root, target), until, pairs_max)
    # The same peer may have the other role too.
    return state, (ChannelsSignalingDiscoveryDiscoveredSend(requester, target), action, *_try_again(forgotten, root))


def _try_again(pair: Pair | None, root: P2pState) -> FollowUps:
    """Look at both of a pair that is no longer remembered."""
    both = () if pair is None else (root.connection_of(pair.one), root.connection_of(pair.other))
    return tuple(SignalingMatch(found) for found in both if found is not None)


def _target_for(state: Signaling, requester: ConnectionId, root: P2pState) -> tuple[Signaling, ConnectionId | None]:
    """Somebody available, drawn by lot."""
    options = [target for target in root.channels.introductions.available if _fit(state, requester, target, root)]
    while options:
        target, random = state.random.choice(options)
        state = state.replace(random=random)
        if _have_keys(requester, target, root):
            return state, target
        options.remove(target)
    return state, None


def _requester_for(state: Signaling, target: ConnectionId, root: P2pState) -> ConnectionId | None:
    """Whoever waits longest."""
    for requester in root.channels.introductions.queue.values():
        if _fit(state, requester, target, root) and _have_keys(requester, target, root):
            return requester
    return None


def _fit(state: Signaling, requester: ConnectionId, target: ConnectionId, root: P2pState) -> bool:
    return requester != target and not state.remembers(_peer_id(root, requester), _peer_id(root, target))


def _have_keys(requester: ConnectionId, target: ConnectionId, root: P2pState) -> bool:
    """Whether both ids are keys that somebody could encrypt for; an id that is none can not be written (defect R2)."""
    return is_curve_point(_peer_id(root, target)) and is_curve_point(_peer_id(root, requester))


def _peer_id(root: P2pState, connection_id: ConnectionId) -> PeerId:
    return root.connections.table[connection_id].peer_id

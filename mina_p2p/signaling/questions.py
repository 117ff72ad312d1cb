"""What a node decides about introductions, from all that it knows."""

from __future__ import annotations

from mina_p2p.config import P2pConfig
from mina_p2p.connection.state import Ready
from mina_p2p.identity import PeerId
from mina_p2p.peer.state import Banned
from mina_p2p.signaling.objects import Offer, RejectionReason
from mina_p2p.state import P2pState


def wants_introduction(state: P2pState) -> bool:
    """Whether to ask relays for peers: there are too few."""
    config = state.config
    return (
        config.are_introductions_taken
        and config.is_discovery_enabled
        and not state.is_stopping
        and len(state.connections) < config.limits.peers_min
    )


def has_room(state: P2pState) -> bool:
    """Whether one more connection may come, made by the node software."""
    config = state.config
    return config.are_introductions_taken and not state.is_stopping and len(state.connections) < config.limits.peers_max


def recheck_after(config: P2pConfig) -> int:
    """How long a half waits that had no need or no room. Where introductions are never taken it need not look often."""
    timeouts = config.timeouts
    return timeouts.signaling_recheck if config.are_introductions_taken else timeouts.parked_permission


def may_dial(state: P2pState, target: PeerId) -> bool:
    """Whether an introduction to ``target`` is welcome."""
    if target == state.config.peer_id or not wants_introduction(state) or state.connection_of(target) is not None:
        return False
    found = state.peers.find(target)
    return found is None or not isinstance(found[1].status, Banned)


def offer_refusal(state: P2pState, offerer: PeerId, offer: Offer) -> RejectionReason | None:
    """Why an offer that ``offerer`` has signed for by encryption is declined (spec: pull-protocol 7.5).

    A peer that we are connected to is declined, whatever the order of ids, and the limit holds for all (defect S3): only where
    we are just dialling each other does the offer of the greater id go before ours.
    """
    if offer.chain_id != state.config.chain_id:
        return RejectionReason.CHAIN_ID_MISMATCH
    if offer.identity_pub_key.peer_id != offerer:
        return RejectionReason.PEER_ID_AND_PUBLIC_KEY_MISMATCH
    if offer.target_peer_id != state.config.peer_id:
        return RejectionReason.TARGET_PEER_ID_NOT_ME
    if offerer == state.config.peer_id:
        return RejectionReason.CONNECTING_TO_SELF
    existing_id = state.connection_of(offerer)
    if existing_id is not None:
        existing = state.connections.table[existing_id]
        is_crossing = not existing.is_incoming and not isinstance(existing.status, Ready)
        if not is_crossing or offerer < state.config.peer_id:
            return RejectionReason.ALREADY_CONNECTED
    found = state.peers.find(offerer)
    if not has_room(state) or (found is not None and isinstance(found[1].status, Banned)):
        # The protocol has no word for a ban; to a banned peer there is no room.
        return RejectionReason.PEER_CAPACITY_FULL
    return None

"""Peer exchange: reducer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import assert_never

from mina_p2p.address import HostScope, address_group, host_scope
from mina_p2p.errors import DecodeError
from mina_p2p.gossipsub.effects import NetworkExchangeEffectfulSign, NetworkExchangeEffectfulVerify
from mina_p2p.gossipsub.messages import PrunedPeer
from mina_p2p.identify.actions import NetworkIdentifyPush
from mina_p2p.identity import IdentityError, PeerId
from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.libp2p.actions import NetworkDial
from mina_p2p.libp2p.links import Linked
from mina_p2p.libp2p.notifications import NetworkPeerDiscovered
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.peer_exchange.actions import (
    NetworkExchangeOwnChanged,
    NetworkExchangePeerGone,
    NetworkExchangePeersReceived,
    NetworkExchangeRecordReceived,
    NetworkExchangeSigned,
    NetworkExchangeTimeout,
    NetworkExchangeVerified,
    PeerExchangeAction,
)
from mina_p2p.peer_exchange.messages import Said, envelope_of, payload_of, read_envelope, signed_bytes
from mina_p2p.peer_exchange.state import CHECKING_MAX, Claim, Kept, PeerExchange
from mina_p2p.store import Action, FollowUps, expect


def reduce(state: PeerExchange, action: PeerExchangeAction, now: Timestamp, root: NetworkState) -> tuple[PeerExchange, FollowUps]:
    """Reduce one action of this slice."""
    match action:
        case NetworkExchangeOwnChanged():
            told = [address for address in root.addresses if _is_for_all(root, host_scope(address.host))]
            if not told:
                return state.replace(own=b"", signing=b""), ()
            payload = payload_of(root.config.peer_id, now, told)
            return state.replace(signing=payload), (NetworkExchangeEffectfulSign(payload, signed_bytes(payload)),)

        case NetworkExchangeSigned(payload=payload, signature=signature):
            own = envelope_of(root.config.peer_id, payload, signature)
            return state.replace(own=own, signing=b""), tuple(NetworkIdentifyPush(peer) for peer in root.identify.peers)

        case NetworkExchangeRecordReceived(connection_id=connection_id, envelope=envelope):
            peer_id = expect(root.links.linked(connection_id), Linked, action).peer_id
            said = _read(envelope, peer_id)
            return (state, ()) if said is None else _checking(state, connection_id, peer_id, said, envelope, _deadline(root, now))

        case NetworkExchangePeersReceived(connection_id=connection_id, peers=peers):
            link = expect(root.links.linked(connection_id), Linked, action)
            follow_ups: list[Action] = []
            groups = Counter[str]()
            for peer_id, info in _strangers(peers, root):
                if info.record is not None:
                    said = _read(info.record, peer_id)
                    if said is not None and _is_in_bounds(groups, said, root):
                        state, checks = _checking(state, connection_id, link.peer_id, said, info.record, _deadline(root, now))
                        follow_ups += checks
                elif (entry := root.kademlia.table.get(peer_id)) is not None:
                    follow_ups += _dials(root, NetworkDial(entry.addresses[0]))
            return state, follow_ups

        case NetworkExchangeVerified(number=number, is_valid=is_valid):
            claim = state.checking[number]
            state = state.replace(checking=state.checking.delete(number))
            if not is_valid:
                return state, ()
            return _named(state, claim, root) if claim.peer_id != claim.teller else (_keeping(state, claim, root), ())

        case NetworkExchangeTimeout(number=number):
            return state.replace(checking=state.checking.delete(number)), ()

        case NetworkExchangePeerGone(peer=peer):
            return state.replace(records=state.records.delete(peer)), ()

        case _:
            assert_never(action)


def _is_for_all(root: NetworkState, scope: HostScope) -> bool:
    """Whether an address may stand in a record, which has one text for everybody."""
    if scope is HostScope.GLOBAL or scope is HostScope.NAME:
        return True
    return root.config.are_private_addresses_allowed and scope is not HostScope.RESERVED


def _strangers(peers: tuple[PrunedPeer, ...], root: NetworkState) -> Iterator[tuple[PeerId, PrunedPeer]]:
    """Those that we are not connected with, of as many as Go looks at."""
    for info in peers[: root.config.gossipsub.exchanged_peers_max]:
        try:
            peer_id = PeerId.from_multihash(info.peer_id or b"")
        except IdentityError:
            continue
        if peer_id != root.config.peer_id and peer_id not in root.links.numbers:
            yield peer_id, info


def _read(envelope: bytes, about: PeerId) -> Said | None:
    """A record of that peer's with an address; what is none is passed over, as Go does."""
    try:
        said = read_envelope(envelope)
    except DecodeError:
        return None
    return said if said.peer_id == about and said.addresses else None


def _is_in_bounds(groups: Counter[str], said: Said, root: NetworkState) -> bool:
    """Whether a PRUNE names not too many of one network: else we would dial a victim of its sender's choice again and again."""
    group = next((address_group(one.host) for one in said.addresses if host_scope(one.host) is HostScope.GLOBAL), "")
    groups[group] += 1
    return not group or groups[group] <= root.config.kademlia.per_group_max


def _deadline(root: NetworkState, now: Timestamp) -> Timestamp:
    return Timestamp(now + root.config.gossipsub.signature_timeout)


def _checking(
    state: PeerExchange, connection_id: ConnectionId, teller: PeerId, said: Said, envelope: bytes, deadline: Timestamp
) -> tuple[PeerExchange, tuple[NetworkExchangeEffectfulVerify, ...]]:
    """Have a record's signature checked, while there is room."""
    if len(state.checking) >= CHECKING_MAX:
        return state, ()
    number, claim = state.next_id, Claim(connection_id, teller, said.peer_id, said.seq, said.addresses, envelope, deadline)
    state = state.replace(checking=state.checking.set(number, claim), next_id=number + 1)
    return state, (NetworkExchangeEffectfulVerify(number, said.peer_id, said.signed, said.signature),)


def _keeping(state: PeerExchange, claim: Claim, root: NetworkState) -> PeerExchange:
    """Keep a connected peer's record, if there is none that is newer."""
    peer = root.links.numbers.get(claim.peer_id)
    if peer is None:
        return state
    before = state.records.get(peer)
    if before is not None and before.seq > claim.seq:
        return state
    return state.replace(records=state.records.set(peer, Kept(claim.seq, claim.envelope)))


def _named(state: PeerExchange, claim: Claim, root: NetworkState) -> tuple[PeerExchange, FollowUps]:
    """A peer is where somebody has told us: known, and dialled while there is room."""
    for address in claim.addresses:
        if root.accepts_address(address, claim.connection_id):
            return state, (NetworkPeerDiscovered(address), *_dials(root, NetworkDial(address)))
    return state, ()


def _dials(root: NetworkState, dial: NetworkDial) -> tuple[NetworkDial, ...]:
    """The dial, unless there are as many connections as this node keeps."""
    has_room = root.is_dialling_allowed and len(root.links.table) < root.config.connections_max
    return (dial,) if has_room else ()

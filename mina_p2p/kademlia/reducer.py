"""Kademlia: reducer. What others ask is in `server`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from mina_p2p.address import Libp2pAddress
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import DecodeError
from mina_p2p.identity import IdentityError, PeerId
from mina_p2p.ids import ConnectionId, RequestId, Timestamp
from mina_p2p.kademlia import server
from mina_p2p.kademlia.actions import (
    KademliaAction,
    NetworkKadAddProviderReceived,
    NetworkKadAdvertise,
    NetworkKadLookupStart,
    NetworkKadLookupStep,
    NetworkKadPeerGone,
    NetworkKadPeerIdentified,
    NetworkKadPeerUnreachable,
    NetworkKadRequestError,
    NetworkKadRequestReceived,
    NetworkKadRequestSend,
    NetworkKadResponseReceived,
    NetworkKadTick,
)
from mina_p2p.kademlia.messages import KAD_CODEC, KadMessage, KadPeer, KadType
from mina_p2p.kademlia.state import (
    Asked,
    Candidate,
    Connecting,
    Entry,
    Kademlia,
    Lookup,
    LookupKind,
    Progress,
    Request,
    position_of,
)
from mina_p2p.libp2p.actions import NetworkDial, NetworkDisconnect, NetworkStreamEnd, NetworkStreamOpen
from mina_p2p.libp2p.links import Linked
from mina_p2p.libp2p.multiaddr import dialable
from mina_p2p.libp2p.notifications import NetworkKadLookupFinished, NetworkPeerDiscovered
from mina_p2p.libp2p.protocols import KADEMLIA
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.store import Action, Attempt, FollowUps, expect


def reduce(state: Kademlia, action: KademliaAction, now: Timestamp, root: NetworkState) -> tuple[Kademlia, FollowUps]:
    """Reduce one action of this slice."""
    match action:
        case NetworkKadLookupStart():
            return _start(state, action, root)

        case NetworkKadAdvertise(key=key):
            keys = tuple(dict.fromkeys((*state.own_keys, key)))
            return state.replace(own_keys=keys, next_provide_at=now), (NetworkKadTick(),)

        case NetworkKadLookupStep(lookup_id=lookup_id):
            return _step(state, lookup_id, now, root)

        case NetworkKadRequestSend(request_id=request_id, connection_id=connection_id):
            return _ask(state, request_id, connection_id, root)

        case NetworkKadResponseReceived():
            return _hear(state, action, now, root)

        case NetworkKadRequestError(request_id=request_id, is_peers_fault=is_peers_fault):
            request = state.requests[request_id]
            state = _without(state, request_id, request, Progress.FAILED)
            if is_peers_fault:
                state = state.replace(table=state.table.without(request.peer_id))
            return state, (NetworkKadLookupStep(request.lookup_id),)

        case NetworkKadRequestReceived():
            return state, server.answer(state, action, now, root)

        case NetworkKadAddProviderReceived():
            return server.add_provider(state, action, now, root), ()

        case NetworkKadPeerIdentified(peer=peer, connection_id=connection_id):
            link = expect(root.links.linked(connection_id), Linked, action)
            identity = root.identify.peers[peer]
            waiting = _waiting(state, link.peer_id)
            if KADEMLIA.name not in identity.protocols:
                state = state.replace(table=state.table.without(link.peer_id))
                return state, tuple(NetworkKadRequestError(request_id) for request_id in waiting)
            state = _seen(state, link.peer_id, identity.addresses, now, root)
            asked = tuple(NetworkKadRequestSend(request_id, connection_id) for request_id in waiting)
            if state.next_refresh_at is None and len(state.table):
                return state.replace(next_refresh_at=now), (*asked, NetworkKadTick())
            return state, asked

        case NetworkKadPeerUnreachable(peer_id=peer_id) | NetworkKadPeerGone(peer_id=peer_id):
            return _unreachable(state, peer_id, action, root)

        case NetworkKadTick():
            return _tick(state, now, root)

        case _:
            assert_never(action)


# --- look-ups


def _start(state: Kademlia, action: NetworkKadLookupStart, root: NetworkState) -> tuple[Kademlia, FollowUps]:
    position, config = position_of(action.key), root.config.kademlia
    near = [
        Candidate(entry.peer_id, entry.position ^ position, entry.addresses) for entry in state.table.nearest(position, config.bucket_max)
    ]
    if not near:
        near = [_candidate(address.peer_id, (address,), position) for address in root.config.initial_peers]
    lookup = Lookup(action.kind, action.key, ()).heard((c for c in near if c.peer_id != root.config.peer_id), config.candidates_max)
    lookup_id = RequestId(state.next_id)
    state = state.replace(lookups=state.lookups.set(lookup_id, lookup), next_id=state.next_id + 1)
    return state, (NetworkKadLookupStep(lookup_id),)


def _step(state: Kademlia, lookup_id: RequestId, now: Timestamp, root: NetworkState) -> tuple[Kademlia, FollowUps]:
    config, lookup = root.config.kademlia, state.lookups[lookup_id]
    candidate = lookup.next(config)
    if candidate is None:
        return _finish(state, lookup_id, lookup, now, root) if lookup.is_over(config) else (state, ())
    peer_id, request_id = candidate.peer_id, state.next_id
    deadline = Timestamp(now + config.request_timeout)
    untried = candidate.addresses[: config.dial_addresses_max]
    first: Action = None
    connection_id = root.links.connection_to(peer_id)
    if connection_id is not None and root.is_settled(peer_id):
        first = NetworkKadRequestSend(request_id, connection_id)
    elif connection_id is None and peer_id not in root.links.dials:
        first = _dial(untried, request_id, root)
        untried = untried[1:]
    state = state.replace(
        lookups=state.lookups.set(lookup_id, lookup.marked(peer_id, Progress.ASKED)),
        requests=state.requests.set(request_id, Request(lookup_id, peer_id, Connecting(untried), deadline)),
        deadlines=state.deadlines.add(deadline, request_id),
        next_id=request_id + 1,
    )
    again = NetworkKadLookupStep(lookup_id)
    return state, (again,) if first is None else (first, again)


def _dial(addresses: tuple[Libp2pAddress, ...], request_id: int, root: NetworkState) -> Action:
    failed = NetworkKadRequestError(request_id, is_peers_fault=not addresses and root.is_dialling_allowed)
    return Attempt(NetworkDial(addresses[0]), failed) if addresses and root.is_dialling_allowed else failed


def _ask(state: Kademlia, request_id: int, connection_id: ConnectionId, root: NetworkState) -> tuple[Kademlia, FollowUps]:
    request = state.requests[request_id]
    lookup = state.lookups[request.lookup_id]
    number = root.links.numbers.get(request.peer_id)
    identity = None if number is None else root.identify.peers.get(number)
    failed = NetworkKadRequestError(request_id)
    if identity is None or KADEMLIA.name not in identity.protocols:
        return state, (failed,)
    kind = KadType.GET_PROVIDERS if lookup.kind is LookupKind.PROVIDERS and not identity.is_rust else KadType.FIND_NODE
    message = KAD_CODEC.encode(KadMessage(kind, lookup.key))
    state = state.replace(requests=state.requests.set(request_id, request.replace(status=Asked(connection_id))))
    return state, (Attempt(NetworkStreamOpen(connection_id, KADEMLIA.name, request_id, (message,), False), failed),)


def _hear(state: Kademlia, action: NetworkKadResponseReceived, now: Timestamp, root: NetworkState) -> tuple[Kademlia, FollowUps]:
    connection_id = action.connection_id
    request = state.requests[action.request_id]
    try:
        message = KAD_CODEC.decode(action.data)
    except DecodeError as error:
        reason = Reason(ReasonCode.CHANNEL_MSG_UNDECODABLE, detail=f"kademlia: {error}"[:200])
        return state, (NetworkKadRequestError(action.request_id), NetworkDisconnect(connection_id, reason))
    config = root.config.kademlia
    state = _without(state, action.request_id, request, Progress.ANSWERED)
    lookup = state.lookups[request.lookup_id]
    position = position_of(lookup.key)
    named = list(_named(message.closer_peers[: 2 * config.bucket_max], connection_id, root))
    found = [_candidate(peer_id, addresses, position) for peer_id, addresses in named]
    known = {candidate.peer_id for other in state.lookups.values() for candidate in other.candidates}
    strangers = [(one, addresses) for one, addresses in named if one not in known and state.table.get(one) is None]
    told: list[Action] = [NetworkPeerDiscovered(addresses[0]) for _, addresses in strangers]
    lookup = lookup.heard(found, config.candidates_max)
    if lookup.kind is LookupKind.PROVIDERS:
        providers = list(_named(message.provider_peers[: config.providers_per_key_max], connection_id, root))
        merged = dict.fromkeys((*lookup.providers, *(peer_id for peer_id, _ in providers)))
        lookup = lookup.replace(providers=tuple(merged)[: config.providers_per_key_max])
        room = max(0, root.config.connections_min - len(root.links.table)) if root.is_dialling_allowed else 0
        wanted = [addresses[0] for peer_id, addresses in providers if peer_id not in root.links.numbers]
        told += [NetworkDial(address) for address in wanted[:room]]
    state = state.replace(lookups=state.lookups.set(request.lookup_id, lookup))
    entry = state.table.get(request.peer_id)
    if entry is not None:
        state = _seen(state, entry.peer_id, entry.addresses, now, root)
    return state, (NetworkStreamEnd(connection_id, action.stream), *told, NetworkKadLookupStep(request.lookup_id))


def _finish(state: Kademlia, lookup_id: RequestId, lookup: Lookup, now: Timestamp, root: NetworkState) -> tuple[Kademlia, FollowUps]:
    answered = [candidate.peer_id for candidate in lookup.candidates if candidate.progress is Progress.ANSWERED]
    nearest = tuple(answered[: root.config.kademlia.bucket_max])
    state = state.replace(lookups=state.lookups.delete(lookup_id))
    follow_ups: list[Action] = []
    if lookup.kind is LookupKind.PROVIDE:
        for peer_id in nearest:
            number, connection_id = root.links.numbers.get(peer_id), root.links.connection_to(peer_id)
            identity = None if number is None else root.identify.peers.get(number)
            if connection_id is None or identity is None or identity.is_rust:
                continue
            message = KadMessage(KadType.ADD_PROVIDER, lookup.key, (), (server.own_entry(connection_id, root),))
            follow_ups.append(NetworkStreamOpen(connection_id, KADEMLIA.name, 0, (KAD_CODEC.encode(message),), True))
        if not follow_ups and lookup.key in state.own_keys:
            state = state.replace(next_provide_at=Timestamp(now + root.config.kademlia.refresh_when_small))
    return state, (*follow_ups, NetworkKadLookupFinished(lookup_id, nearest, lookup.providers))


def _tick(state: Kademlia, now: Timestamp, root: NetworkState) -> tuple[Kademlia, FollowUps]:
    config = root.config.kademlia
    follow_ups: list[Action] = []
    if state.next_refresh_at is not None and state.next_refresh_at <= now:
        wait = config.refresh_when_small if len(state.table) <= config.small_max else config.refresh
        wait, random = state.random.jitter(wait, 10)
        anywhere, random = random.next()
        state = state.replace(next_refresh_at=Timestamp(now + wait), random=random)
        follow_ups.append(NetworkKadLookupStart(LookupKind.NODES, root.config.peer_id.multihash))
        follow_ups.append(NetworkKadLookupStart(LookupKind.NODES, anywhere.to_bytes(8, "big")))
        if len(root.links.table) < root.config.connections_min:
            follow_ups += [NetworkKadLookupStart(LookupKind.PROVIDERS, key) for key in state.own_keys]
    if state.next_provide_at is not None and state.next_provide_at <= now and len(state.table):
        state = state.replace(next_provide_at=Timestamp(now + config.provide_again))
        follow_ups += [NetworkKadLookupStart(LookupKind.PROVIDE, key) for key in state.own_keys]
    return state, follow_ups


# --- peers


def _unreachable(
    state: Kademlia, peer_id: PeerId, action: NetworkKadPeerUnreachable | NetworkKadPeerGone, root: NetworkState
) -> tuple[Kademlia, FollowUps]:
    if root.is_settled(peer_id):
        return state, ()
    follow_ups: list[Action] = []
    waiting = _waiting(state, peer_id)
    for request_id in waiting:
        request = state.requests[request_id]
        untried = expect(request.status, Connecting, action).untried
        if untried and peer_id not in root.links.numbers:
            follow_ups.append(_dial(untried, request_id, root))
            state = state.replace(requests=state.requests.set(request_id, request.replace(status=Connecting(untried[1:]))))
        else:
            follow_ups.append(NetworkKadRequestError(request_id))
    if not waiting and isinstance(action, NetworkKadPeerUnreachable):
        state = state.replace(table=state.table.without(peer_id))
    return state, follow_ups


def _waiting(state: Kademlia, peer_id: PeerId) -> list[int]:
    """Requests that wait for a peer; there are at most ``parallel`` for each look-up in all."""
    return [key for key, request in state.requests.items() if request.peer_id == peer_id and isinstance(request.status, Connecting)]


def _seen(state: Kademlia, peer_id: PeerId, addresses: tuple[Libp2pAddress, ...], now: Timestamp, root: NetworkState) -> Kademlia:
    if not addresses:
        return state
    entry = Entry(peer_id, position_of(peer_id.multihash), addresses, now)
    return state.replace(table=state.table.adding(entry, root.config.kademlia, lambda other: other in root.links.numbers))


def _without(state: Kademlia, request_id: int, request: Request, progress: Progress) -> Kademlia:
    lookup = state.lookups[request.lookup_id].marked(request.peer_id, progress)
    return state.replace(
        lookups=state.lookups.set(request.lookup_id, lookup),
        requests=state.requests.delete(request_id),
        deadlines=state.deadlines.cancel(request.deadline, request_id),
    )


def _candidate(peer_id: PeerId, addresses: tuple[Libp2pAddress, ...], position: int) -> Candidate:
    return Candidate(peer_id, position_of(peer_id.multihash) ^ position, addresses)


def _named(
    peers: tuple[KadPeer, ...], connection_id: ConnectionId, root: NetworkState
) -> Iterator[tuple[PeerId, tuple[Libp2pAddress, ...]]]:
    """Peers of an answer that are of use, each once: with an id of Mina's kind, other than we, and an address that we believe."""
    told: set[PeerId] = set()
    for peer in peers:
        try:
            peer_id = PeerId.from_multihash(peer.id)
        except IdentityError:
            continue
        found = [address for data in peer.addrs if (address := dialable(data, peer_id)) is not None]
        addresses = tuple(dict.fromkeys(a for a in found if root.accepts_address(a, connection_id)))
        if addresses and peer_id != root.config.peer_id and peer_id not in told:
            told.add(peer_id)
            yield peer_id, addresses[: root.config.kademlia.addresses_max]

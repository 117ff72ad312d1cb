"""What we answer to others (spec: libp2p 8.1)."""

from __future__ import annotations

from collections.abc import Iterable

from mina_p2p.address import Libp2pAddress
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import DecodeError
from mina_p2p.identity import IdentityError, PeerId
from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.kademlia.actions import NetworkKadAddProviderReceived, NetworkKadRequestReceived
from mina_p2p.kademlia.messages import KAD_CODEC, KadConnection, KadMessage, KadPeer, KadType
from mina_p2p.kademlia.state import Kademlia, Provider, position_of, rendezvous_key
from mina_p2p.libp2p.actions import NetworkDisconnect, NetworkStreamReset
from mina_p2p.libp2p.links import Linked
from mina_p2p.libp2p.multiaddr import dialable, encode_multiaddr
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.libp2p.transport import Libp2pEffectfulSend
from mina_p2p.store import Attempt, FollowUps, expect


def answer(state: Kademlia, action: NetworkKadRequestReceived, now: Timestamp, root: NetworkState) -> FollowUps:
    """What follows from a request; nothing but records of providers changes the state."""
    connection_id, stream = action.connection_id, action.stream
    refused = NetworkStreamReset(connection_id, stream)
    try:
        request = KAD_CODEC.decode(action.data)
    except DecodeError as error:
        return (NetworkDisconnect(connection_id, Reason(ReasonCode.CHANNEL_MSG_UNDECODABLE, detail=f"kademlia: {error}"[:200])),)
    key = request.key
    if request.type == KadType.PING:
        return (Libp2pEffectfulSend(connection_id, stream, action.data),)
    if request.type == KadType.ADD_PROVIDER:
        return (Attempt(NetworkKadAddProviderReceived(connection_id, stream, request), refused),)
    if not key or len(key) > root.config.kademlia.provider_key_bytes_max:
        return (refused,)
    if request.type not in {KadType.FIND_NODE, KadType.GET_PROVIDERS, KadType.GET_VALUE}:
        return (refused,)
    closer = _nearest(state, key, connection_id, root)
    found = _providers(state, key, connection_id, now, root) if request.type == KadType.GET_PROVIDERS else ()
    sent = KAD_CODEC.encode(KadMessage(request.type, None, tuple(closer), tuple(found)))
    return (Libp2pEffectfulSend(connection_id, stream, sent),)


def add_provider(state: Kademlia, action: NetworkKadAddProviderReceived, now: Timestamp, root: NetworkState) -> Kademlia:
    """Remember who announced itself: only the sender, only with an address that can be dialled."""
    link, key, config = expect(root.links.linked(action.connection_id), Linked, action), action.message.key, root.config.kademlia
    named = next((peer for peer in action.message.provider_peers if peer.id == link.peer_id.multihash), None)
    if named is None or key is None:
        return state
    known = root.identify.peers.get(link.peer)
    addresses = known.addresses if known is not None else ()
    said = [address for data in named.addrs if (address := dialable(data, link.peer_id)) is not None]
    addresses = addresses or tuple(a for a in said if root.accepts_address(a, action.connection_id))[: config.addresses_max]
    if not addresses:
        return state
    keys = state.provider_keys
    providers = state.providers
    if key not in keys:
        if len(keys) >= config.provider_keys_max:
            ours = rendezvous_key(root.config.chain_id)
            oldest = next(old for old in keys if old != ours)
            keys, providers = tuple(old for old in keys if old != oldest), providers.delete(oldest)
        keys = (*keys, key)
    others = tuple(p for p in providers.get(key) or () if p.peer_id != link.peer_id and p.until > now)
    entry = Provider(link.peer_id, addresses, Timestamp(now + config.provider_validity))
    return state.replace(providers=providers.set(key, (*others, entry)[-config.providers_per_key_max :]), provider_keys=keys)


def _nearest(state: Kademlia, key: bytes, connection_id: ConnectionId, root: NetworkState) -> list[KadPeer]:
    """The peers nearest to a key; first its own peer: ourselves, or one that we know though it is not in the table."""
    config = root.config.kademlia
    if key == root.config.peer_id.multihash:
        return [own_entry(connection_id, root)]
    link = root.links.linked(connection_id)
    asker = None if link is None else link.peer_id
    found: dict[PeerId, tuple[Libp2pAddress, ...]] = {}
    try:
        target = PeerId.from_multihash(key)
    except IdentityError:
        target = None
    if target is not None and target != asker:
        number = root.links.numbers.get(target)
        identity = None if number is None else root.identify.peers.get(number)
        if identity is not None:
            found[target] = identity.addresses
    for entry in state.table.nearest(position_of(key), config.bucket_max + 1):
        if entry.peer_id != asker:
            found.setdefault(entry.peer_id, entry.addresses)
    peers = (_entry(peer_id, addresses, connection_id, root) for peer_id, addresses in found.items())
    return [peer for peer in peers if peer.addrs][: config.bucket_max]


def _providers(state: Kademlia, key: bytes, connection_id: ConnectionId, now: Timestamp, root: NetworkState) -> Iterable[KadPeer]:
    if key in state.own_keys:
        yield own_entry(connection_id, root)
    for provider in state.providers_of(key, now):
        entry = _entry(provider.peer_id, provider.addresses, connection_id, root)
        if entry.addrs:
            yield entry


def own_entry(connection_id: ConnectionId, root: NetworkState) -> KadPeer:
    """Ourselves, as the peer of a connection may see us."""
    return _entry(root.config.peer_id, root.addresses, connection_id, root).replace(connection=KadConnection.CONNECTED)


def _entry(peer_id: PeerId, addresses: Iterable[Libp2pAddress], connection_id: ConnectionId, root: NetworkState) -> KadPeer:
    shown = tuple(encode_multiaddr(a.host, a.port) for a in addresses if root.shows_address(a, connection_id))
    status = KadConnection.CONNECTED if peer_id in root.links.numbers else KadConnection.NOT_CONNECTED
    return KadPeer(peer_id.multihash, shown, status)

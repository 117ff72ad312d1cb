"""Which records are wanted, and which are believed (spec: address-gossip 5.4, in its order).

1 size and version, 2 dates, 3 our own key, 4 newer than what is known, 5 addresses that make sense, 6 the signature,
7 room in the book. A record that fails 1 or 6 ends the connection with who sent it, which had promised
to have checked it; the others only cost it credit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from mina_p2p.address import DialAddress, Domain, Host, HostScope, Libp2pAddress, QuicAddress, SignalingRelay, WebRtcAddress, host_scope
from mina_p2p.channels.address_gossip.actions import AddressGossipEffectfulVerify
from mina_p2p.channels.address_gossip.messages import RECORD_VERSION, AddressKey, AddressRecord, signed_bytes
from mina_p2p.channels.address_gossip.state import CREDIT_MAX, AddressGossip, Verification, seconds
from mina_p2p.connection.state import Ready
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.discovery.config import OWN_AHEAD_MAX, TTL_MAX
from mina_p2p.gossiper.actions import (
    GossipAction,
    GossipBodyReceived,
    GossipFetchFailed,
    GossipHeard,
    GossipRejected,
)
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, PeerNumber, Timestamp
from mina_p2p.state import P2pState

DOMAIN_BYTES_MAX: Final = 64
MET_WITHIN: Final = 600 * SECOND
"""A node that we were connected with so recently is known to exist."""


def wants(
    state: P2pState, connection_id: ConnectionId, keys: Iterable[AddressKey], now: Timestamp
) -> tuple[tuple[bytes, ...], list[GossipAction]]:
    """What to do about keys that a peer names: records in our own name to look at, and what the gossiper hears."""
    own: list[bytes] = []
    heard: list[GossipAction] = []
    for key in keys:
        if key.public_key == state.config.peer_id:
            if _overtakes_us(state, key.issued_at, now):
                own.append(key.item_id)
        elif _may_be_believed(state, key, now):
            known = state.address_gossip.book.find(key.public_key)
            is_stored = known is not None and known[1].record.issued_at == key.issued_at
            heard.append(GossipHeard(key.item_id, connection_id, is_stored))
    return tuple(own), heard


def newer_of_its_own(state: P2pState, peer_id: PeerId, keys: Iterable[AddressKey]) -> tuple[bytes, ...]:
    """What is known in the name of a peer that names an older record of its own: its clock went back, or there is another with its key."""
    known = state.address_gossip.book.find(peer_id)
    if known is None or not any(key.public_key == peer_id and key.issued_at < known[1].record.issued_at for key in keys):
        return ()
    return (known[1].record.key.item_id,)


def _may_be_believed(state: P2pState, key: AddressKey, now: Timestamp) -> bool:
    """Whether a record of that date could be; the newest that we have is heard of too, so that its namer is not told of it."""
    if not _is_dated_well(state, key.issued_at, TTL_MAX // SECOND, now) or is_banned(state, key.public_key, now):
        return False
    known = state.address_gossip.book.find(key.public_key)
    return known is None or key.issued_at >= known[1].record.issued_at


def _is_dated_well(state: P2pState, issued_at: int, ttl: int, now: Timestamp) -> bool:
    ahead = state.config.address_gossip.clock_skew // SECOND
    return issued_at <= seconds(now) + ahead and ttl <= TTL_MAX // SECOND and seconds(now) < issued_at + ttl


def _overtakes_us(state: P2pState, issued_at: int, now: Timestamp) -> bool:
    """Whether a record in our own name would have ours be newer still; one that nobody believes for long need not be."""
    return state.address_gossip.own.last_issued_at < issued_at <= seconds(now) + OWN_AHEAD_MAX // SECOND


def is_banned(state: P2pState, public_key: bytes, now: Timestamp) -> bool:
    """Whether that node, or the network where it was last, is banned."""
    return state.why_banned(PeerId(public_key), now) is not None


def received(
    state: P2pState, connection_id: ConnectionId, pairs: tuple[tuple[bytes, AddressRecord | None], ...], now: Timestamp
) -> tuple[P2pState, list[GossipAction], list[Any]]:
    """What to do about records that came: each is refused, left to others, or its signature is checked."""
    steps: list[GossipAction] = []
    effects: list[Any] = []
    for item_id, record in pairs:
        if record is None:
            steps.append(GossipFetchFailed(item_id, connection_id))
            continue
        if record.version != RECORD_VERSION:
            reason = Reason(ReasonCode.INVALID_MESSAGE, ChannelId.ADDRESS_GOSSIP, f"a record of version {record.version}")
            return state, steps, [DisconnectionInit(connection_id, reason)]
        cost = _cost_of_refusal(state, connection_id, record, now)
        if cost is not None:
            state = state.replace(address_gossip=with_credit(state.address_gossip, connection_id, -cost))
            steps += (GossipBodyReceived(item_id, connection_id, b""), GossipRejected(item_id))
            continue
        checked = _to_be_checked(state, connection_id, record, now)
        if checked is None:
            steps.append(GossipFetchFailed(item_id, connection_id))
            continue
        state, effect = checked
        effects.append(effect)
        steps.append(GossipBodyReceived(item_id, connection_id, b""))
    return state, steps, effects


def _cost_of_refusal(state: P2pState, connection_id: ConnectionId, record: AddressRecord, now: Timestamp) -> int | None:
    """Points 2, 4, 5 and 7: what it costs a peer to have sent a record that is refused; ``None`` where its signature is to be checked.

    Nothing where a newer one came while this was on its way, or others have filled the book. A record in our own name is only looked
    at for its signature.
    """
    config, book = state.config.address_gossip, state.address_gossip.book
    if record.public_key == state.config.peer_id:
        return None if _overtakes_us(state, record.issued_at, now) else 0
    known = book.find(record.public_key)
    if known is not None and record.issued_at <= known[1].record.issued_at:
        return 0
    addresses = believable(state, connection_id, record, now)
    if not addresses or not _is_dated_well(state, record.issued_at, record.ttl, now):
        return 1
    relayer = relayer_of(state, connection_id, record.public_key, now)
    group = group_of(state, to_dial(addresses, turn_of(state, record.public_key)))
    if book.has_room(record.public_key, relayer, group, config):
        return None
    return int(known is None and relayer is not None and book.is_filled_by(relayer, config))


def _to_be_checked(
    state: P2pState, connection_id: ConnectionId, record: AddressRecord, now: Timestamp
) -> tuple[P2pState, AddressGossipEffectfulVerify] | None:
    """With a record whose signature is given away to be checked; ``None`` where there are too many this second."""
    slice_ = state.address_gossip
    second, count = slice_.verified_in
    count = count + 1 if second == seconds(now) else 1
    if count > state.config.address_gossip.verifications_per_second:
        return None
    number = slice_.last_verification + 1
    check = Verification(record, connection_id, Timestamp(now + state.config.address_gossip.verification_timeout))
    slice_ = slice_.with_check(number, check).replace(last_verification=number, verified_in=(seconds(now), count))
    message = signed_bytes(record.body, state.config.chain_id)
    effect = AddressGossipEffectfulVerify(number, PeerId(record.public_key), message, record.signature)
    return state.replace(address_gossip=slice_), effect


def believable(state: P2pState, connection_id: ConnectionId, record: AddressRecord, now: Timestamp) -> tuple[DialAddress, ...]:
    """The addresses of a record that make sense from the peer that sent it (point 5)."""
    own = {_where(address) for address in state.address_gossip.own.addresses}
    return tuple(address for address in record.addresses if _where(address) not in own and _is_sensible(state, connection_id, address, now))


def group_of(state: P2pState, where: QuicAddress | None) -> bytes | None:
    """The network where an address leads; ``None`` where there is none, or it is not bounded."""
    return None if where is None else state.peers.group_of(where)


def to_dial(addresses: tuple[DialAddress, ...], turn: int) -> QuicAddress | None:
    """That one of a node's addresses at which its newest record has us dial it: the best at first, and the next with each that follows."""
    found = [address for address in addresses if isinstance(address, QuicAddress)]
    return found[turn % len(found)] if found else None


def turn_of(state: P2pState, public_key: bytes) -> int:
    """`Known.turn` of a newer record of that node."""
    found = state.address_gossip.book.find(public_key)
    return 0 if found is None else found[1].turn + (not is_linked(state, PeerId(public_key)))


def _is_sensible(state: P2pState, connection_id: ConnectionId, address: DialAddress, now: Timestamp) -> bool:
    if isinstance(address, WebRtcAddress):
        if isinstance(address.signaling, SignalingRelay):
            return is_linked(state, address.signaling.relay_peer_id)
        host, port = address.signaling.host, address.signaling.port
    else:
        host, port = address.host, address.port
    if port == 0 or host_scope(host) is HostScope.RESERVED:
        return False
    if isinstance(host, Domain) and len(host.name) > DOMAIN_BYTES_MAX:
        return False
    return state.accepts_address(QuicAddress(address.peer_id, host, port), peer_of(state, connection_id), now)


def _where(address: DialAddress) -> tuple[Host, int] | None:
    return (address.host, address.port) if isinstance(address, QuicAddress | Libp2pAddress) else None


def peer_of(state: P2pState, connection_id: ConnectionId) -> PeerNumber | None:
    """The number of a connection's peer."""
    connection = state.connections.get(connection_id)
    found = None if connection is None else state.peers.find(connection.peer_id)
    return None if found is None else found[0]


def is_linked(state: P2pState, peer_id: PeerId) -> bool:
    """Whether there is a ready connection with that peer."""
    connection_id = state.connection_of(peer_id)
    return connection_id is not None and isinstance(state.connections.table[connection_id].status, Ready)


def is_met(state: P2pState, peer_id: PeerId, now: Timestamp) -> bool:
    """Whether we are connected with that peer, or were within `MET_WITHIN`."""
    if is_linked(state, peer_id):
        return True
    found = state.peers.find(peer_id)
    return found is not None and found[1].last_success is not None and now - found[1].last_success <= MET_WITHIN


def relayer_of(state: P2pState, connection_id: ConnectionId, public_key: bytes, now: Timestamp) -> ConnectionId | None:
    """Who has to answer for a record of that node: nobody where the node was met, else the peer that brings it.

    For a newer record of a node that is known it is whoever answered for the older one, where the peer's own share is full.
    """
    book = state.address_gossip.book
    found = book.find(public_key)
    if found is None:
        return None if is_met(state, PeerId(public_key), now) else connection_id
    before = found[1].learned_from
    if before is None or is_met(state, PeerId(public_key), now):
        return None
    return before if book.unproven.get(connection_id, 0) >= state.config.address_gossip.unproven_per_relayer_max else connection_id


def with_credit(slice_: AddressGossip, connection_id: ConnectionId, by: int) -> AddressGossip:
    """With a link worth more or less; the same where it is gone."""
    link = slice_.links.get(connection_id)
    if link is None:
        return slice_
    credit = max(-CREDIT_MAX, min(CREDIT_MAX, link.credit + by))
    return slice_.with_link(connection_id, link.replace(credit=credit))

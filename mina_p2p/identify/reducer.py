"""Identify: reducer."""

from __future__ import annotations

from typing import assert_never

from mina_p2p.address import AddressError, Libp2pAddress, parse_ip
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import DecodeError
from mina_p2p.gossipsub.actions import NetworkPubsubPeerIdentified
from mina_p2p.identify.actions import (
    IdentifyAction,
    NetworkIdentifyEnded,
    NetworkIdentifyLost,
    NetworkIdentifyPartReceived,
    NetworkIdentifyPeerGone,
    NetworkIdentifyPush,
    NetworkIdentifyRequestReceived,
)
from mina_p2p.identify.messages import IDENTIFY_CODEC, MESSAGE_BYTES_WANTED, PROTOCOL_VERSION, IdentifyMessage
from mina_p2p.identify.state import AGENT_CHARS_MAX, PROTOCOL_CHARS_MAX, PROTOCOLS_KEPT_MAX, Identify, Identity
from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.kademlia.actions import NetworkKadPeerIdentified, NetworkKadPeerUnreachable
from mina_p2p.libp2p.actions import NetworkDisconnect, NetworkStreamEnd, NetworkStreamOpen
from mina_p2p.libp2p.links import Linked
from mina_p2p.libp2p.multiaddr import dialable, encode_multiaddr
from mina_p2p.libp2p.notifications import NetworkPeerIdentified
from mina_p2p.libp2p.protocols import IDENTIFY_PUSH
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.libp2p.transport import Libp2pEffectfulSend
from mina_p2p.peer_exchange.actions import NetworkExchangeRecordReceived
from mina_p2p.store import FollowUps, expect


def reduce(state: Identify, action: IdentifyAction, now: Timestamp, root: NetworkState) -> tuple[Identify, FollowUps]:
    """Reduce one action of this slice."""
    match action:
        case NetworkIdentifyRequestReceived(connection_id=connection_id, stream=stream):
            sent = Libp2pEffectfulSend(connection_id, stream, own_message(root, connection_id))
            return state, (sent, NetworkStreamEnd(connection_id, stream))

        case NetworkIdentifyPartReceived(serial=serial, data=data):
            return state.replace(parts=state.parts.set(serial, (*state.parts.get(serial, ()), data))), ()

        case NetworkIdentifyEnded():
            return _identified(state, action, root)

        case NetworkIdentifyLost(connection_id=connection_id, serial=serial, is_answer=is_answer):
            link = root.links.linked(connection_id)
            state = state.replace(parts=state.parts.discard(serial))
            if not is_answer or link is None or link.peer in state.peers:
                return state, ()
            return state, (NetworkKadPeerUnreachable(link.peer_id),)

        case NetworkIdentifyPush(peer=peer):
            open_connection = root.links.connection_of(peer)
            if open_connection is None or IDENTIFY_PUSH.name not in state.peers[peer].protocols:
                return state, ()
            message = own_message(root, open_connection)
            return state, (NetworkStreamOpen(open_connection, IDENTIFY_PUSH.name, 0, (message,), True),)

        case NetworkIdentifyPeerGone(peer=peer):
            return state.replace(peers=state.peers.discard(peer)), ()

        case _:
            assert_never(action)


def _identified(state: Identify, action: NetworkIdentifyEnded, root: NetworkState) -> tuple[Identify, FollowUps]:
    connection_id = action.connection_id
    link = expect(root.links.linked(connection_id), Linked, action)
    parts = state.parts.get(action.serial, ())
    state = state.replace(parts=state.parts.discard(action.serial))
    if not parts:
        return state, () if link.peer in state.peers else (NetworkKadPeerUnreachable(link.peer_id),)
    try:
        # Parts are merged by reading their bytes behind each other, as protobuf has it.
        message = IDENTIFY_CODEC.decode(b"".join(parts))
    except DecodeError as error:
        reason = Reason(ReasonCode.CHANNEL_MSG_UNDECODABLE, detail=f"identify: {error}"[:200])
        return state, (NetworkDisconnect(connection_id, reason),)
    if message.public_key is not None and message.public_key != link.peer_id.protobuf:
        return state, (NetworkDisconnect(connection_id, Reason(ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH, detail="identify")),)
    before = state.peers.get(link.peer)
    identity = _merged(message, before, link, connection_id, root)
    state = state.replace(peers=state.peers.set(link.peer, identity))
    is_exchanged = root.config.gossipsub.is_peer_exchange_enabled and message.signed_record is not None
    record = (NetworkExchangeRecordReceived(connection_id, message.signed_record or b""),) if is_exchanged else ()
    if identity == before:
        return state, record
    return state, (
        *record,
        NetworkPeerIdentified(link.peer_id, identity.protocols, identity.addresses, identity.agent),
        NetworkKadPeerIdentified(link.peer, connection_id),
        NetworkPubsubPeerIdentified(link.peer, connection_id),
    )


def _merged(message: IdentifyMessage, before: Identity | None, link: Linked, connection_id: ConnectionId, root: NetworkState) -> Identity:
    """What is known now; a push names only what has changed."""
    addresses: dict[Libp2pAddress, None] = {}
    for data in message.listen_addrs:
        address = dialable(data, link.peer_id)
        if address is not None and root.accepts_address(address, connection_id):
            addresses[address] = None
    if link.address is not None:
        addresses[link.address] = None  # it has just been proved
    protocols = tuple(dict.fromkeys(name for name in message.protocols if len(name) <= PROTOCOL_CHARS_MAX))[:PROTOCOLS_KEPT_MAX]
    agent = message.agent_version
    return Identity(
        protocols or (() if before is None else before.protocols),
        tuple(addresses)[: root.config.kademlia.addresses_max] or (() if before is None else before.addresses),
        (agent[:AGENT_CHARS_MAX] if agent is not None else "") or ("" if before is None else before.agent),
    )


def own_message(root: NetworkState, connection_id: ConnectionId) -> bytes:
    """What we say of ourselves to the peer of a connection; at most `MESSAGE_BYTES_WANTED` bytes."""
    link = root.links.linked(connection_id)
    shown = [address for address in root.addresses if root.shows_address(address, connection_id)]
    addresses = [encode_multiaddr(address.host, address.port) for address in shown]
    observed = None
    if link is not None:
        try:
            observed = encode_multiaddr(parse_ip(link.remote.host), link.remote.port)
        except AddressError:
            observed = None
    while True:
        message = IdentifyMessage(
            root.config.peer_id.protobuf,
            tuple(addresses),
            root.protocols,
            observed,
            PROTOCOL_VERSION,
            root.config.agent,
            root.exchange.own or None,
        )
        data = IDENTIFY_CODEC.encode(message)
        if len(data) <= MESSAGE_BYTES_WANTED or not addresses:
            return data
        addresses.pop()

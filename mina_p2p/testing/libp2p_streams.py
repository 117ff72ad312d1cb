"""libp2p connections over the links of a memory network: several with one peer, streams by protocol id.

The rules are those of `mina_p2p.libp2p.transport`. What sets connections and streams up takes its time and has no
size. A stream that one end calls *n* is *n* above `FIRST_PEER_STREAM` at the other end.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.gossipsub.actions import NetworkPubsubSigned, NetworkPubsubVerified
from mina_p2p.gossipsub.effects import (
    GossipsubEffect,
    NetworkExchangeEffectfulSign,
    NetworkExchangeEffectfulVerify,
    NetworkPubsubEffectfulSign,
    NetworkPubsubEffectfulVerify,
)
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, StreamId, Timestamp
from mina_p2p.libp2p.protocols import PROTOCOLS
from mina_p2p.libp2p.transport import (
    FIRST_INCOMING,
    FIRST_PEER_STREAM,
    Libp2pConnectionClosed,
    Libp2pConnectionOpened,
    Libp2pEffect,
    Libp2pEffectfulDial,
    Libp2pEffectfulDisconnect,
    Libp2pEffectfulSend,
    Libp2pEffectfulStreamEnd,
    Libp2pEffectfulStreamOpen,
    Libp2pEffectfulStreamReset,
    Libp2pStreamEnded,
    Libp2pStreamLost,
    Libp2pStreamMessageReceived,
    Libp2pStreamOpened,
)
from mina_p2p.peer_exchange.actions import NetworkExchangeSigned, NetworkExchangeVerified
from mina_p2p.testing.links import End, Half, Links, MemoryPort
from mina_p2p.transport import SocketAddress

EPHEMERAL_PORT: Final = 40_000
"""From which dials seem to come: not where the dialer listens."""
HUNG_UP: Final = Reason(ReasonCode.TRANSPORT_ERROR, detail="the peer closed the connection")
"""All that a peer learns: the protocol has no word for a reason."""


def opposite(stream: StreamId) -> StreamId:
    """What the other end calls a stream."""
    return StreamId(stream + FIRST_PEER_STREAM if stream < FIRST_PEER_STREAM else stream - FIRST_PEER_STREAM)


def signature(author: PeerId, data: bytes) -> bytes:
    """Stands for ed25519, which a runtime does; as long as one."""
    return blake2b(data, key=author, digest_size=64).digest()


def signing(
    effect: GossipsubEffect, own: PeerId
) -> NetworkPubsubSigned | NetworkPubsubVerified | NetworkExchangeSigned | NetworkExchangeVerified:
    """What the runtime of the node ``own`` answers."""
    match effect:
        case NetworkPubsubEffectfulSign(request_id=request_id, data=data):
            return NetworkPubsubSigned(request_id, signature(own, data))
        case NetworkPubsubEffectfulVerify(request_id=request_id, author=author, data=data, signature=found):
            return NetworkPubsubVerified(request_id, found == signature(author, data))
        case NetworkExchangeEffectfulSign(payload=payload, data=data):
            return NetworkExchangeSigned(payload, signature(own, data))
        case NetworkExchangeEffectfulVerify(number=number, author=author, data=data, signature=found):
            return NetworkExchangeVerified(number, found == signature(author, data))


class Libp2pStreams:
    """Does what effects of libp2p nodes say."""

    def __init__(self, links: Links) -> None:
        """:param links: what carries the connections."""
        self._links = links

    def perform(self, port: MemoryPort, effect: Libp2pEffect, now: Timestamp) -> None:
        """Carry out one effect of a node."""
        if isinstance(effect, Libp2pEffectfulDial):
            self._dial(port, effect, now)
            return
        end = port.libp2p_ends.get(effect.connection_id)
        if end is None:
            return
        match effect:
            case Libp2pEffectfulDisconnect(reason=reason):
                self._links.goodbye(end, HUNG_UP, now)
                self._links.feed(port, Libp2pConnectionClosed(effect.connection_id, reason, by_peer=False))
            case Libp2pEffectfulStreamOpen(stream=stream, protocols=protocols):
                self._open(end, stream, protocols, now)
            case Libp2pEffectfulSend(stream=stream, data=data):
                self._send(end, stream, data, now)
            case Libp2pEffectfulStreamEnd(stream=stream):
                self._end(end, stream, now)
            case Libp2pEffectfulStreamReset(stream=stream):
                if end.halves.pop(stream, None) is not None:
                    self._tell_lost(end, stream, now)

    def _dial(self, port: MemoryPort, effect: Libp2pEffectfulDial, now: Timestamp) -> None:
        number = effect.connection_id
        end = port.libp2p_ends[number] = End(port, number, is_libp2p=True)

        def met(_dialer: End, listener: MemoryPort) -> None:
            self._links.feed(port, Libp2pConnectionOpened(number, listener.peer_id, True, listener.address))

        self._links.reach(end, effect.address, now, met, lambda _at: self._arrived(end.other))

    def _arrived(self, end: End) -> None:
        port, dialer = end.port, end.other.port
        port.libp2p_arrivals += 1
        number = end.connection_id = ConnectionId(FIRST_INCOMING + port.libp2p_arrivals)
        port.libp2p_ends[number] = end
        remote = SocketAddress(dialer.address.host, EPHEMERAL_PORT)
        self._links.feed(port, Libp2pConnectionOpened(number, dialer.peer_id, False, remote))

    def _open(self, end: End, stream: StreamId, protocols: tuple[str, ...], now: Timestamp) -> None:
        agreed = next((name for name in protocols if name in PROTOCOLS), None)
        end.halves[stream] = Half(agreed or "")
        theirs = opposite(stream)

        def refused(opener: End, number: ConnectionId) -> None:
            if opener.halves.pop(stream, None) is not None:
                self._links.feed(opener.port, Libp2pStreamLost(number, stream, False, "no common protocol"))

        def told(opener: End, number: ConnectionId) -> None:
            if stream in opener.halves and agreed is not None:
                self._links.feed(opener.port, Libp2pStreamOpened(number, stream, agreed, True))

        def arrive(other: End, number: ConnectionId) -> None:
            if agreed is None:
                self._links.send(other, self._links.now, 0, refused, stream)
                return
            other.halves[theirs] = Half(agreed)
            self._links.send(other, self._links.now, 0, told, stream)
            self._links.feed(other.port, Libp2pStreamOpened(number, theirs, agreed, False))

        self._links.send(end, now, 0, arrive, theirs)

    def _send(self, end: End, stream: StreamId, data: bytes, now: Timestamp) -> None:
        half, theirs = end.halves.get(stream), opposite(stream)
        if half is None or half.is_ended_here:
            return

        def arrive(other: End, number: ConnectionId) -> None:
            listening = other.halves.get(theirs)
            if listening is None:
                return
            most = PROTOCOLS[listening.protocol].message_bytes_max
            if most and len(data) > most:
                del other.halves[theirs]
                self._links.feed(other.port, Libp2pStreamLost(number, theirs, False, "a message that is too long"))
                self._tell_lost(other, theirs, self._links.now)
            else:
                self._links.feed(other.port, Libp2pStreamMessageReceived(number, theirs, data))

        self._links.send(end, now, len(data), arrive, theirs)

    def _end(self, end: End, stream: StreamId, now: Timestamp) -> None:
        half, theirs = end.halves.get(stream), opposite(stream)
        if half is None or half.is_ended_here:
            return
        half.is_ended_here = True
        if half.is_ended_there:
            del end.halves[stream]

        def arrive(other: End, number: ConnectionId) -> None:
            listening = other.halves.get(theirs)
            if listening is None:
                return
            listening.is_ended_there = True
            if listening.is_ended_here:
                del other.halves[theirs]
            self._links.feed(other.port, Libp2pStreamEnded(number, theirs))

        self._links.send(end, now, 0, arrive, theirs)

    def _tell_lost(self, end: End, stream: StreamId, now: Timestamp) -> None:
        theirs = opposite(stream)

        def arrive(other: End, number: ConnectionId) -> None:
            if other.halves.pop(theirs, None) is not None:
                self._links.feed(other.port, Libp2pStreamLost(number, theirs, True))

        self._links.send(end, now, 0, arrive, theirs)

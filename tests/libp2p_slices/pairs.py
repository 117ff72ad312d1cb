"""One node with peers that the test plays by hand."""

from __future__ import annotations

from typing import Any

from libp2p_slices.lab import Node, address, host, peer_id, signature
from mina_p2p.gossipsub.messages import RPC_CODEC, PubsubMessage, PubsubRpc, SubOpts, signed_bytes
from mina_p2p.identify.messages import IDENTIFY_CODEC, IdentifyMessage
from mina_p2p.ids import SECOND, ConnectionId, StreamId, Timestamp
from mina_p2p.kademlia.messages import KAD_CODEC, KadMessage
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.actions import NetworkDial
from mina_p2p.libp2p.config import TOPIC_V0
from mina_p2p.libp2p.multiaddr import encode_multiaddr
from mina_p2p.libp2p.protocols import IDENTIFY, MESHSUB, PROTOCOLS
from mina_p2p.transport import SocketAddress

IN = ConnectionId(port.FIRST_INCOMING)
"""The connection of an arrival."""
THEIRS = StreamId(port.FIRST_PEER_STREAM)
"""The peer's first stream."""
OWN_IDENTIFY = StreamId(1)


def said(number: int, *, protocols: tuple[str, ...] = tuple(PROTOCOLS), agent: str = "them") -> bytes:
    """What a peer says of itself."""
    return IDENTIFY_CODEC.encode(
        IdentifyMessage(peer_id(number).protobuf, (encode_multiaddr(host(number), 8302),), protocols, None, "ipfs/0.1.0", agent)
    )


class Alone(Node):
    """Node 0, and the events of its peers."""

    def __init__(self, *seeds: int, **options: Any) -> None:
        super().__init__(0, *seeds, **{"is_advertised": False, "connections_min": 0, **options})
        self.feed(port.Libp2pListening((address(0),)))

    def later(self, seconds: float) -> Timestamp:
        return Timestamp(self.now + int(seconds * SECOND))

    def arrive(self, number: int, connection_id: ConnectionId = IN, *, remote: str | None = None) -> list[Any]:
        where = SocketAddress(remote or host(number).plain, 40_000)
        return self.feed(port.Libp2pConnectionOpened(connection_id, peer_id(number), False, where))

    def dial(self, number: int) -> ConnectionId:
        """We dial, and get there."""
        (effect,) = [one for one in self.feed(NetworkDial(address(number))) if isinstance(one, port.Libp2pEffectfulDial)]
        where = SocketAddress(host(number).plain, 8302)
        self.feed(port.Libp2pConnectionOpened(effect.connection_id, peer_id(number), True, where))
        return effect.connection_id

    def identify(self, number: int, connection_id: ConnectionId = IN, **what: Any) -> list[Any]:
        """The answer to our first stream."""
        self.feed(port.Libp2pStreamOpened(connection_id, OWN_IDENTIFY, IDENTIFY.name, True))
        self.feed(port.Libp2pStreamMessageReceived(connection_id, OWN_IDENTIFY, said(number, **what)))
        return self.feed(port.Libp2pStreamEnded(connection_id, OWN_IDENTIFY))

    def known(self, number: int, connection_id: ConnectionId = IN, **what: Any) -> list[Any]:
        """A peer arrives and says who it is."""
        self.arrive(number, connection_id)
        return self.identify(number, connection_id, **what)

    def opened(self, protocol: str) -> list[tuple[ConnectionId, StreamId]]:
        """Streams of ours for a protocol, oldest first."""
        found: list[tuple[ConnectionId, StreamId]] = []
        for connection_id, link in self.state.links.table.items():
            streams = getattr(link, "streams", None)
            if streams is not None:
                found += [(connection_id, key) for key, one in streams.items() if one.is_ours and one.protocol == protocol]
        return found

    def stream(self, protocol: str, stream: StreamId = THEIRS, connection_id: ConnectionId = IN) -> StreamId:
        """The peer opens a stream."""
        self.feed(port.Libp2pStreamOpened(connection_id, stream, protocol, False))
        return stream

    def message(self, data: bytes, stream: StreamId = THEIRS, connection_id: ConnectionId = IN) -> list[Any]:
        """The peer sends a message."""
        return self.feed(port.Libp2pStreamMessageReceived(connection_id, stream, data))

    def kad(self, message: KadMessage, stream: StreamId = THEIRS) -> KadMessage | None:
        """The peer's request and our answer."""
        effects = self.message(KAD_CODEC.encode(message), stream)
        sent = [effect.data for effect in effects if isinstance(effect, port.Libp2pEffectfulSend)]
        return KAD_CODEC.decode(sent[0]) if sent else None

    def gossiping(self, number: int, connection_id: ConnectionId = IN) -> ConnectionId:
        """A peer that is subscribed and to which our stream is open."""
        self.known(number, connection_id)
        (ours,) = [stream for one, stream in self.opened(MESHSUB.name) if one == connection_id]
        self.feed(port.Libp2pStreamOpened(connection_id, ours, MESHSUB.name, True))
        self.feed(port.Libp2pStreamOpened(connection_id, THEIRS, MESHSUB.name, False))
        self.rpc(PubsubRpc((SubOpts(True, TOPIC_V0),)), connection_id)
        return connection_id

    def rpc(self, rpc: PubsubRpc, connection_id: ConnectionId = IN) -> list[Any]:
        """The peer says something on its gossip stream."""
        return self.message(RPC_CODEC.encode(rpc), THEIRS, connection_id)

    def rpcs_to(self, connection_id: ConnectionId = IN) -> list[PubsubRpc]:
        """What we said to a peer at the last input."""
        streams = {stream for one, stream in self.opened(MESHSUB.name) if one == connection_id}
        sent = [one for one in self.did(port.Libp2pEffectfulSend) if one.connection_id == connection_id and one.stream in streams]
        return [RPC_CODEC.decode(one.data) for one in sent]


def gossip(number: int, data: bytes, seqno: int = 1) -> PubsubMessage:
    """A message with the lab's kind of signature."""
    message = PubsubMessage(peer_id(number).multihash, data, seqno.to_bytes(8, "big"), TOPIC_V0)
    return message.replace(signature=signature(peer_id(number), signed_bytes(message)))

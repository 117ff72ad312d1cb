"""What a fuzzer feeds to a node of libp2p's network: a transport's events, peers' messages, commands, answers and time.

Peers are few, so that they meet again; messages are valid ones of the protocol of their stream, often damaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

from mina_p2p.address import Ipv4, Libp2pAddress
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.gossipsub import actions as gossip
from mina_p2p.gossipsub import sending
from mina_p2p.gossipsub.messages import RPC_CODEC, PrunedPeer, PubsubMessage, PubsubRpc, SubOpts, message_id
from mina_p2p.identify.messages import IDENTIFY_CODEC, IdentifyMessage
from mina_p2p.identity import PeerId
from mina_p2p.ids import MILLISECOND, SECOND, ConnectionId, RequestId, StreamId, Timestamp
from mina_p2p.kademlia import actions as kademlia
from mina_p2p.kademlia.messages import KAD_CODEC, KadMessage, KadPeer, KadType
from mina_p2p.kademlia.state import LookupKind
from mina_p2p.libp2p import actions as links
from mina_p2p.libp2p import transport
from mina_p2p.libp2p.config import TOPIC_V0
from mina_p2p.libp2p.gating import GatingConfig, parse_ip_range
from mina_p2p.libp2p.links import Dialling, Linked, Stream
from mina_p2p.libp2p.multiaddr import encode_multiaddr
from mina_p2p.libp2p.node_status.actions import NetworkStatusAsk, NetworkStatusSet
from mina_p2p.libp2p.protocols import IDENTIFY, IDENTIFY_PUSH, KADEMLIA, MESHSUB, PROTOCOLS, RPC
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.libp2p_rpc import actions as rpcs
from mina_p2p.libp2p_rpc.messages import GREETING, HEARTBEAT, MENU, MENU_CODEC, MESSAGE_CODEC, Response
from mina_p2p.mina.rpc import Query, ResponseOk
from mina_p2p.peer_exchange import actions as exchange
from mina_p2p.peer_exchange.messages import envelope_of, payload_of
from mina_p2p.testing.catalog import OTHERS
from mina_p2p.testing.dice import Dice
from mina_p2p.timeouts import CheckTimeouts
from mina_p2p.trace.minimise import Input
from mina_p2p.transport import SocketAddress
from mina_p2p_effects.fuzzing.mutations import mutate

PEERS: Final = OTHERS[:5]
TOPICS: Final = (TOPIC_V0, "other")
DATA: Final = (b"a", b"b", bytes(8) + b"block", bytes(600))
JUMPS: Final = (
    0,
    0,
    0,
    1 * MILLISECOND,
    100 * MILLISECOND,
    SECOND,
    11 * SECOND,
    31 * SECOND,
    130 * SECOND,
    3_600 * SECOND,
    30 * 86_400 * SECOND,
)
REASON: Final = Reason(ReasonCode.TRANSPORT_ERROR)

_SIGNATURE: Final = bytes(64)


def host(number: int) -> Ipv4:
    """Where a peer is: some are in the range of private addresses, two share a network."""
    return (Ipv4.of(5, 5, 5, 5), Ipv4.of(5, 5, 5, 6), Ipv4.of(10, 0, 0, 1), Ipv4.of(6, 6, 6, 6), Ipv4.of(127, 0, 0, 1))[number % len(PEERS)]


def address(number: int) -> Libp2pAddress:
    """What one dials to reach it."""
    return Libp2pAddress(PEERS[number % len(PEERS)], host(number), 8302)


def record_of(number: int) -> bytes:
    """What a peer says of where it is, signed."""
    peer = PEERS[number]
    return envelope_of(peer, payload_of(peer, number, (address(number),)), _SIGNATURE)


@cache
def messages(protocol: str) -> tuple[bytes, ...]:
    """Valid messages of a protocol."""
    peers = tuple(KadPeer(peer.multihash, (encode_multiaddr(host(n), 8302),)) for n, peer in enumerate(PEERS))
    if protocol in {IDENTIFY.name, IDENTIFY_PUSH.name}:
        spoken = [(), tuple(PROTOCOLS), (KADEMLIA.name, MESHSUB.name)]
        whole = [IdentifyMessage(None, (encode_multiaddr(host(n), 8302),), spoken[n % 3], None, None, "fuzz") for n in range(len(PEERS))]
        keys = [IdentifyMessage(peer.protobuf, (), tuple(PROTOCOLS)) for peer in PEERS]
        signed = [IdentifyMessage(None, (), tuple(PROTOCOLS), None, None, "fuzz", record_of(n)) for n in range(len(PEERS))]
        return tuple(map(IDENTIFY_CODEC.encode, (*whole, *keys, *signed)))
    if protocol == KADEMLIA.name:
        keys_asked = (b"key", *(peer.multihash for peer in PEERS))
        asks = [KadMessage(kind, key) for kind in KadType for key in keys_asked[:3]]
        answers = [KadMessage(KadType.FIND_NODE, None, peers), KadMessage(KadType.GET_PROVIDERS, None, peers[:1], peers)]
        provided = [KadMessage(KadType.ADD_PROVIDER, b"key", (), (peer,)) for peer in peers]
        return tuple(map(KAD_CODEC.encode, (*asks, *answers, *provided)))
    if protocol == MESHSUB.name:
        ids = [message_id(TOPIC_V0, data) for data in DATA]
        named = tuple(PrunedPeer(peer.multihash, record_of(n) if n else None) for n, peer in enumerate(PEERS))
        prunes = [sending.prune(TOPIC_V0, 2 * SECOND), sending.prune(TOPIC_V0, SECOND, named)]
        control = [sending.graft(TOPIC_V0), *prunes, sending.ihave(TOPIC_V0, ids), sending.iwant(ids)]
        subscriptions = [PubsubRpc((SubOpts(wanted, topic),)) for wanted in (True, False) for topic in TOPICS]
        said = [
            PubsubRpc((), (PubsubMessage(peer.multihash, data, bytes(8), TOPIC_V0, _SIGNATURE),)) for peer in PEERS[:2] for data in DATA
        ]
        return (*control, *map(RPC_CODEC.encode, (*subscriptions, *said)))
    if protocol == RPC.name:
        asked = [Query(tag, 1 + n % 3, n, b"\x00") for n, tag in enumerate((MENU.encode(), b"get_best_tip", b"ban_notify", b"nonsense"))]
        answered = [Response(n, ResponseOk(data)) for n in range(4) for data in (b"\x00", MENU_CODEC.encode(((b"get_best_tip", 2),)))]
        return (GREETING, GREETING, HEARTBEAT, *map(MESSAGE_CODEC.encode, (*asked, *answered)))
    return (b"", bytes(32), b"{}")


class NetworkInputs:
    """Draws inputs for one state."""

    def __init__(self, dice: Dice, state: NetworkState, now: Timestamp, effects: Sequence[Any]) -> None:
        """:param effects: the latest ones, whose ids answers repeat."""
        self._dice = dice
        self._state = state
        self._now = now
        self._effects = effects
        self._linked = [(key, link) for key, link in state.links.table.items() if isinstance(link, Linked)]
        self._dials = [(key, link) for key, link in state.links.table.items() if isinstance(link, Dialling)]
        self._streams = [(key, stream, one) for key, link in self._linked for stream, one in link.streams.items()]

    def draw(self) -> Input:
        """An input with its time."""
        dice = self._dice
        roll = dice.below(16)
        if roll < 7 and self._streams:
            action = self._on_stream(*dice.choice(self._streams))
        elif roll < 10:
            action = self._on_connection()
        elif roll < 12:
            action = self._answer()
        elif roll < 15:
            action = dice.choice(_COMMANDS)(self)
        else:
            action = CheckTimeouts()
        return Input(action, Timestamp(self._now + dice.choice(JUMPS)))

    def number(self) -> int:
        """Of a peer."""
        return self._dice.below(len(PEERS))

    def peer(self) -> PeerId:
        """Somebody."""
        return self._dice.choice(PEERS)

    def peers(self) -> tuple[PeerId, ...]:
        """Some."""
        return tuple(self._dice.sample(PEERS, self._dice.below(3)))

    def topic(self) -> str:
        """The one in use, most times."""
        return TOPICS[self._dice.below(4) == 0]

    def data(self) -> bytes:
        """Of a message."""
        return self._dice.choice(DATA)

    def request_id(self) -> RequestId:
        """A small one, so that some are used twice."""
        return RequestId(self._dice.below(6))

    def is_so(self) -> bool:
        """Yes or no."""
        return self._dice.chance(50)

    # --- the transport --------------------------------------------------------------------

    def _on_stream(self, connection_id: ConnectionId, stream: StreamId, found: Stream) -> Any:
        roll = self._dice.below(12)
        if roll == 0:
            return transport.Libp2pStreamEnded(connection_id, stream)
        if roll == 1:
            return transport.Libp2pStreamLost(connection_id, stream, self.is_so())
        if found.is_ours and roll < 5:
            return transport.Libp2pStreamOpened(connection_id, stream, found.protocol, True)
        valid = messages(found.protocol)
        data = self._dice.choice(valid)
        if self._dice.chance(30):
            data = mutate(data, self._dice, valid)
        elif self._dice.chance(5):
            data = self._dice.choice(messages(self._dice.choice(tuple(PROTOCOLS))))
        return transport.Libp2pStreamMessageReceived(connection_id, stream, data)

    def _on_connection(self) -> Any:
        dice = self._dice
        if self._dials and dice.chance(40):
            number, dialling = dice.choice(self._dials)
            if dice.chance(70):
                remote = SocketAddress(dialling.address.host.plain, 8302)
                return transport.Libp2pConnectionOpened(number, dialling.address.peer_id, True, remote)
            return transport.Libp2pConnectionClosed(number, REASON, False)
        if not self._linked or dice.chance(15):
            which = self.number()
            connection_id = ConnectionId(transport.FIRST_INCOMING + dice.below(12))
            return transport.Libp2pConnectionOpened(connection_id, PEERS[which], False, SocketAddress(host(which).plain, 40_000))
        number, link = dice.choice(self._linked)
        if dice.chance(80):
            stream = StreamId(transport.FIRST_PEER_STREAM + len(link.streams) + dice.below(3))
            return transport.Libp2pStreamOpened(number, stream, dice.choice((*PROTOCOLS, "/unknown")), False)
        if dice.chance(30):
            return transport.Libp2pWentAway(number)
        return transport.Libp2pConnectionClosed(number, REASON, self.is_so())

    # --- what it waits for ----------------------------------------------------------------

    def _answer(self) -> Any:
        if self._dice.chance(15):
            # One that nobody waits for, or no longer.
            stale = self.request_id()
            return self._dice.choice(
                (
                    gossip.NetworkPubsubVerified(stale, self.is_so()),
                    gossip.NetworkPubsubSigned(stale, _SIGNATURE),
                    exchange.NetworkExchangeVerified(stale, self.is_so()),
                    exchange.NetworkExchangeSigned(b"", _SIGNATURE),
                    gossip.NetworkPubsubVerdict(stale, gossip.Verdict.ACCEPT),
                    rpcs.NetworkRpcAnswer(stale, 1, b"\x00"),
                    rpcs.NetworkRpcRefuse(stale, 1, "no"),
                )
            )
        pubsub = self._state.gossipsub
        options: list[Any] = [gossip.NetworkPubsubVerified(number, self._dice.chance(80)) for number in pubsub.verifying]
        options += [gossip.NetworkPubsubSigned(number, _SIGNATURE) for number in pubsub.signing]
        options += [gossip.NetworkPubsubVerdict(number, self._dice.choice(tuple(gossip.Verdict))) for number in pubsub.validating]
        options += [exchange.NetworkExchangeVerified(number, self._dice.chance(80)) for number in self._state.exchange.checking]
        if self._state.exchange.signing:
            options.append(exchange.NetworkExchangeSigned(self._state.exchange.signing, _SIGNATURE))
        for serial, session in self._state.rpcs.sessions.items():
            options += [rpcs.NetworkRpcAnswer(serial, one.query_id, b"\x00") for one in session.serving]
            options += [rpcs.NetworkRpcRefuse(serial, one.query_id, "no") for one in session.serving]
        return self._dice.choice(options) if options else CheckTimeouts()


_COMMANDS: Final[tuple[Callable[[NetworkInputs], Any], ...]] = (
    lambda draw: links.NetworkDial(address(draw.number())),
    lambda draw: links.NetworkDiallingSet(draw.is_so()),
    lambda draw: links.NetworkPeerAdd(address(draw.number())),
    lambda draw: links.NetworkPeerUseful(draw.peer()),
    lambda draw: links.NetworkGatingSet(
        GatingConfig(
            (parse_ip_range("5.5.5.5"),) if draw.is_so() else (), draw.peers(), (), draw.peers(), draw.number() == 0, draw.number() == 0
        )
    ),
    lambda draw: kademlia.NetworkKadLookupStart(tuple(LookupKind)[draw.number() % len(LookupKind)], draw.peer().multihash),
    lambda _draw: kademlia.NetworkKadAdvertise(b"key"),
    lambda draw: gossip.NetworkPubsubPublish(draw.topic(), draw.data()),
    lambda draw: gossip.NetworkPubsubSubscribe(draw.topic()),
    lambda draw: gossip.NetworkPubsubUnsubscribe(draw.topic()),
    lambda draw: rpcs.NetworkRpcCall(draw.request_id(), draw.peer(), "get_best_tip", b"\x00"),
    lambda draw: NetworkStatusSet(draw.data()),
    lambda draw: NetworkStatusAsk(draw.request_id(), draw.peer()),
    lambda draw: transport.Libp2pListening((address(draw.number()),)),
)

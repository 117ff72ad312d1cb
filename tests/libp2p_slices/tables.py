"""Representative states of the libp2p slices, and every action on them."""

from __future__ import annotations

from libp2p_slices.exchange import EXCHANGE
from libp2p_slices.expected import EXPECTED
from libp2p_slices.lab import address, peer_id
from libp2p_slices.pairs import IN, OWN_IDENTIFY, THEIRS, Alone, gossip, said
from libp2p_slices.transitions import NOTHING, Case, Table
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.gossipsub import actions as gs
from mina_p2p.gossipsub.messages import RPC_CODEC, ControlGraft, ControlMessage, PubsubRpc
from mina_p2p.identify import actions as ident
from mina_p2p.ids import SECOND, ConnectionId, PeerNumber, RequestId, StreamId
from mina_p2p.kademlia import actions as kad
from mina_p2p.kademlia.messages import KAD_CODEC, KadMessage, KadPeer, KadType
from mina_p2p.kademlia.state import LookupKind
from mina_p2p.libp2p import actions as link
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.config import TOPIC_V0
from mina_p2p.libp2p.gating import GatingConfig
from mina_p2p.libp2p.links import Dialling, Linked
from mina_p2p.libp2p.machine import NetworkCheckTimeouts
from mina_p2p.libp2p.node_status import actions as status
from mina_p2p.libp2p.node_status.state import STATUS_BYTES_MAX
from mina_p2p.libp2p.notifications import NetworkRpcFailed
from mina_p2p.libp2p.protocols import IDENTIFY, KADEMLIA, MESHSUB, NODE_STATUS, PING, RPC
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.libp2p_rpc import actions as rpc
from mina_p2p.libp2p_rpc.messages import GREETING, MENU_CODEC, MESSAGE_CODEC, Response, ResponseFailed, UncaughtExn
from mina_p2p.mina.rpc import Query, ResponseOk
from mina_p2p.transport import SocketAddress

DIAL = ConnectionId(1)
GONE = ConnectionId(77)
OTHER = StreamId(99)
LATE = 1_000 * SECOND
WHY = Reason(ReasonCode.USER_REQUEST)
PEER = PeerNumber(1)
REMOTE = SocketAddress("10.0.1.1", 40_000)


# --- links


def _link_states() -> dict[str, NetworkState]:
    alone = Alone()
    states = {"nothing": alone.state}
    alone.feed(link.NetworkDial(address(1)))
    states["dialling"] = alone.state
    alone = Alone()
    alone.arrive(1)
    states["arrived"] = alone.state
    alone.stream(PING.name)
    states["with their stream"] = alone.state
    alone = Alone()
    alone.arrive(1)
    alone.feed(port.Libp2pWentAway(IN))
    states["going away"] = alone.state
    return states


def _look_links(state: NetworkState) -> str:
    found = next(iter(state.links.table.values()), None)
    if isinstance(found, Dialling):
        return "dialling"
    if not isinstance(found, Linked):
        return NOTHING
    return f"{len(found.streams)} streams{', ending' if found.is_ending else ''}"


LINKS = Table(
    _link_states(),
    {
        "Dial": Case(link.NetworkDial(address(1))),
        "Dial, ourselves": Case(link.NetworkDial(address(0))),
        "DialTimeout": Case(link.NetworkDialTimeout(DIAL), LATE),
        "Disconnect": Case(link.NetworkDisconnect(IN, WHY)),
        "Disconnect, the dial": Case(link.NetworkDisconnect(DIAL, WHY)),
        "StreamOpen": Case(link.NetworkStreamOpen(IN, KADEMLIA.name, 1, (b"x",), True)),
        "StreamEnd": Case(link.NetworkStreamEnd(IN, THEIRS)),
        "StreamEnd, ours": Case(link.NetworkStreamEnd(IN, OWN_IDENTIFY)),
        "StreamReset": Case(link.NetworkStreamReset(IN, THEIRS)),
        "StreamReset, no stream": Case(link.NetworkStreamReset(IN, OTHER)),
        "StreamTimeout, early": Case(link.NetworkStreamTimeout(1), SECOND),
        "StreamTimeout, late": Case(link.NetworkStreamTimeout(1), LATE),
        "StreamTimeout, unknown": Case(link.NetworkStreamTimeout(99), LATE),
        "DiallingSet": Case(link.NetworkDiallingSet(False)),
        "HandOver": Case(link.NetworkHandOver(NetworkRpcFailed(RequestId(1), "why"))),
        "Keep": Case(link.NetworkKeep()),
        "GatingSet, nothing": Case(link.NetworkGatingSet(GatingConfig())),
        "GatingSet, all are banned": Case(link.NetworkGatingSet(GatingConfig(is_isolated=True))),
        "PeerAdd": Case(link.NetworkPeerAdd(address(1))),
        "PeerAdd, ourselves": Case(link.NetworkPeerAdd(address(0))),
        "PeerUseful": Case(link.NetworkPeerUseful(peer_id(1))),
        "CheckTimeouts": Case(NetworkCheckTimeouts(), LATE),
        "Listening, elsewhere": Case(port.Libp2pListening((address(7),))),
        "ConnectionOpened, another": Case(port.Libp2pConnectionOpened(GONE, peer_id(2), False, REMOTE)),
        "ConnectionOpened, the dial": Case(port.Libp2pConnectionOpened(DIAL, peer_id(1), True, REMOTE)),
        "ConnectionClosed": Case(port.Libp2pConnectionClosed(IN, WHY, True)),
        "ConnectionClosed, the dial": Case(port.Libp2pConnectionClosed(DIAL, WHY, False)),
        "WentAway": Case(port.Libp2pWentAway(IN)),
        "StreamOpened, ping": Case(port.Libp2pStreamOpened(IN, OTHER, PING.name, False)),
        "StreamOpened, identify": Case(port.Libp2pStreamOpened(IN, OTHER, IDENTIFY.name, False)),
        "StreamOpened, unknown": Case(port.Libp2pStreamOpened(IN, OTHER, "/x", False)),
        "StreamMessage, ping": Case(port.Libp2pStreamMessageReceived(IN, THEIRS, bytes(32))),
        "StreamMessage, long ping": Case(port.Libp2pStreamMessageReceived(IN, THEIRS, bytes(33))),
        "StreamEnded": Case(port.Libp2pStreamEnded(IN, THEIRS)),
        "StreamLost, identify": Case(port.Libp2pStreamLost(IN, OWN_IDENTIFY, True)),
        "StreamLost": Case(port.Libp2pStreamLost(IN, THEIRS, True)),
    },
    _look_links,
    EXPECTED["links"],
)


# --- identify


def _identify_states() -> dict[str, NetworkState]:
    alone = Alone()
    states = {"nothing": alone.state}
    alone.arrive(1)
    states["asked"] = alone.state
    alone.message(said(1), OWN_IDENTIFY)
    states["half answered"] = alone.state
    alone = Alone()
    alone.known(1)
    states["known"] = alone.state
    return states


def _look_identify(state: NetworkState) -> str:
    found = state.identify.peers.get(PEER)
    if found is not None:
        return f"{len(found.protocols)} protocols"
    return f"{len(state.identify.parts)} parts"


IDENTIFYING = Table(
    _identify_states(),
    {
        "RequestReceived": Case(ident.NetworkIdentifyRequestReceived(IN, OWN_IDENTIFY)),
        "PartReceived": Case(ident.NetworkIdentifyPartReceived(IN, OWN_IDENTIFY, 1, said(1))),
        "Ended": Case(ident.NetworkIdentifyEnded(IN, 1)),
        "Lost": Case(ident.NetworkIdentifyLost(IN, 1, True)),
        "Lost, a push": Case(ident.NetworkIdentifyLost(IN, 1, False)),
        "Push": Case(ident.NetworkIdentifyPush(PEER)),
        "PeerGone": Case(ident.NetworkIdentifyPeerGone(PEER)),
    },
    _look_identify,
    EXPECTED["identify"],
)


# --- Kademlia


def _kad_states() -> dict[str, NetworkState]:
    alone = Alone(1)
    states = {"nothing": alone.state}
    alone.feed(kad.NetworkKadLookupStart(LookupKind.NODES, peer_id(5).multihash))
    states["dialling"] = alone.state
    alone.feed(port.Libp2pConnectionOpened(DIAL, peer_id(1), True, REMOTE))
    states["identifying"] = alone.state
    alone.identify(1, DIAL)
    states["asked"] = alone.state
    alone = Alone()
    alone.known(1)
    for _, stream in alone.opened(KADEMLIA.name):
        alone.message(KAD_CODEC.encode(KadMessage(KadType.FIND_NODE)), stream)
    states["idle"] = alone.state
    return states


def _look_kad(state: NetworkState) -> str:
    found = next(iter(state.kademlia.requests.values()), None)
    status = NOTHING if found is None else type(found.status).__name__
    return f"{status}, {len(state.kademlia.lookups)} look-ups, {len(state.kademlia.table)} known"


_ANSWER = KAD_CODEC.encode(KadMessage(KadType.FIND_NODE, None, (KadPeer(b"nobody", (b"nowhere",), 1),)))

KADEMLIAS = Table(
    _kad_states(),
    {
        "LookupStart": Case(kad.NetworkKadLookupStart(LookupKind.NODES, b"key")),
        "LookupStart, no key": Case(kad.NetworkKadLookupStart(LookupKind.NODES, b"")),
        "Advertise": Case(kad.NetworkKadAdvertise(b"key")),
        "Advertise, no key": Case(kad.NetworkKadAdvertise(b"")),
        "LookupStep": Case(kad.NetworkKadLookupStep(RequestId(1))),
        "RequestSend": Case(kad.NetworkKadRequestSend(2, DIAL)),
        "ResponseReceived": Case(kad.NetworkKadResponseReceived(DIAL, StreamId(3), 2, _ANSWER)),
        "ResponseReceived, undecodable": Case(kad.NetworkKadResponseReceived(DIAL, StreamId(3), 2, b"\xff")),
        "ResponseReceived, from elsewhere": Case(kad.NetworkKadResponseReceived(IN, StreamId(3), 2, _ANSWER)),
        "RequestError": Case(kad.NetworkKadRequestError(2)),
        "RequestReceived": Case(kad.NetworkKadRequestReceived(DIAL, OWN_IDENTIFY, _ANSWER)),
        "AddProviderReceived": Case(kad.NetworkKadAddProviderReceived(DIAL, OWN_IDENTIFY, KadMessage(KadType.ADD_PROVIDER, b"key"))),
        "AddProviderReceived, no key": Case(kad.NetworkKadAddProviderReceived(DIAL, OWN_IDENTIFY, KadMessage(KadType.ADD_PROVIDER))),
        "PeerIdentified": Case(kad.NetworkKadPeerIdentified(PEER, DIAL)),
        "PeerUnreachable": Case(kad.NetworkKadPeerUnreachable(peer_id(1))),
        "PeerGone": Case(kad.NetworkKadPeerGone(peer_id(1))),
        "Tick, early": Case(kad.NetworkKadTick()),
        "Tick, late": Case(kad.NetworkKadTick(), LATE),
    },
    _look_kad,
    EXPECTED["kademlia"],
)


# --- GossipSub


OURS = StreamId(4)
"""On which we gossip, in the states below; identify and two look-ups took the first three."""


def _gossip_states() -> dict[str, NetworkState]:
    alone = Alone(topics=())
    states = {"not subscribed": alone.state}
    alone = Alone()
    states["nobody"] = alone.state
    alone.known(1)
    states["opening"] = alone.state
    alone = Alone()
    alone.gossiping(1)
    assert alone.opened(MESHSUB.name) == [(IN, OURS)]
    states["subscriber"] = alone.state
    alone.rpc(PubsubRpc(control=ControlMessage(graft=(ControlGraft(TOPIC_V0),))))
    states["in the mesh"] = alone.state
    alone.feed(gs.NetworkPubsubPublish(TOPIC_V0, b"ours"))
    states["signing"] = alone.state
    alone = Alone()
    alone.gossiping(1)
    alone.rpc(PubsubRpc((), (gossip(1, b"theirs"),)))
    states["verifying"] = alone.state
    alone.feed(gs.NetworkPubsubVerified(1, True))
    states["validating"] = alone.state
    return states


def _look_gossip(state: NetworkState) -> str:
    slice_ = state.gossipsub
    topic = slice_.topic(TOPIC_V0)
    parts = [NOTHING if topic is None else f"mesh {len(topic.mesh)}"]
    parts += [f"{len(slice_.cache)} cached"] if len(slice_.cache) else []
    parts += [name for name in ("signing", "verifying", "validating") if len(getattr(slice_, name))]
    return ", ".join(parts)


GOSSIP = Table(
    _gossip_states(),
    {
        "Subscribe": Case(gs.NetworkPubsubSubscribe(TOPIC_V0)),
        "Unsubscribe": Case(gs.NetworkPubsubUnsubscribe(TOPIC_V0)),
        "Publish": Case(gs.NetworkPubsubPublish(TOPIC_V0, b"new")),
        "Publish, too long": Case(gs.NetworkPubsubPublish(TOPIC_V0, bytes(32 << 20))),
        "Signed": Case(gs.NetworkPubsubSigned(1, bytes(64))),
        "Verified": Case(gs.NetworkPubsubVerified(1, True)),
        "Verified, forged": Case(gs.NetworkPubsubVerified(1, False)),
        "Verdict, accept": Case(gs.NetworkPubsubVerdict(RequestId(2), gs.Verdict.ACCEPT)),
        "Verdict, reject": Case(gs.NetworkPubsubVerdict(RequestId(2), gs.Verdict.REJECT)),
        "PeerIdentified": Case(gs.NetworkPubsubPeerIdentified(PEER, IN)),
        "StreamReady": Case(gs.NetworkPubsubStreamReady(PEER, IN, OTHER)),
        "StreamGone": Case(gs.NetworkPubsubStreamGone(PEER, IN, OURS)),
        "StreamGone, another": Case(gs.NetworkPubsubStreamGone(PEER, IN, OTHER)),
        "PeerGone": Case(gs.NetworkPubsubPeerGone(PEER, peer_id(1))),
        "RpcReceived": Case(gs.NetworkPubsubRpcReceived(IN, RPC_CODEC.encode(PubsubRpc((), (gossip(1, b"x"),))))),
        "RpcReceived, undecodable": Case(gs.NetworkPubsubRpcReceived(IN, b"\xff")),
        "Heartbeat, early": Case(gs.NetworkPubsubHeartbeat()),
        "Heartbeat": Case(gs.NetworkPubsubHeartbeat(), SECOND),
    },
    _look_gossip,
    EXPECTED["gossipsub"],
)

# --- Mina's RPC


def _rpc_states() -> dict[str, NetworkState]:
    alone = Alone()
    states = {"nobody": alone.state}
    alone.known(1)
    states["nothing asked"] = alone.state
    alone.feed(rpc.NetworkRpcCall(RequestId(1), peer_id(1), "get_best_tip", b"\x00"))
    states["opening"] = alone.state
    ((_, stream),) = alone.opened(RPC.name)
    alone.feed(port.Libp2pStreamOpened(IN, stream, RPC.name, True))
    states["greeting"] = alone.state
    alone.message(GREETING, stream)
    states["asking the menu"] = alone.state
    alone.message(MESSAGE_CODEC.encode(Response(2, ResponseOk(MENU_CODEC.encode(((b"get_best_tip", 2),))))), stream)
    states["asking"] = alone.state
    alone.message(MESSAGE_CODEC.encode(Response(3, ResponseOk(b"\x00"))), stream)
    states["idle"] = alone.state
    alone = Alone()
    alone.known(1)
    alone.stream(RPC.name)
    alone.message(GREETING)
    alone.message(MESSAGE_CODEC.encode(_QUESTION))
    states["asked by the peer"] = alone.state
    return states


def _look_rpc(state: NetworkState) -> str:
    found = next(iter(state.rpcs.sessions.values()), None)
    status = "no session" if found is None else f"{type(found.status).__name__}{', serving' if found.serving else ''}"
    return f"{status}, {len(state.rpcs.calls)} calls"


_QUESTION = Query(b"get_best_tip", 2, 7, b"\x00")
SERIAL = 5
"""Of the session in the states above: identify, two look-ups and gossip come before it."""

RPCS = Table(
    _rpc_states(),
    {
        "Call": Case(rpc.NetworkRpcCall(RequestId(9), peer_id(1), "get_best_tip", b"\x00")),
        "Call, no such method": Case(rpc.NetworkRpcCall(RequestId(9), peer_id(1), "nonsense", b"\x00")),
        "CallStart": Case(rpc.NetworkRpcCallStart(1)),
        "CallError": Case(rpc.NetworkRpcCallError(1, "why")),
        "SessionOpened": Case(rpc.NetworkRpcSessionOpened(IN, THEIRS, SERIAL, 0)),
        "MessageReceived, greeting": Case(rpc.NetworkRpcMessageReceived(SERIAL, GREETING)),
        "MessageReceived, heartbeat": Case(rpc.NetworkRpcMessageReceived(SERIAL, b"\x00")),
        "MessageReceived, question": Case(rpc.NetworkRpcMessageReceived(SERIAL, MESSAGE_CODEC.encode(_QUESTION.replace(id=8)))),
        "MessageReceived, the menu": Case(
            rpc.NetworkRpcMessageReceived(SERIAL, MESSAGE_CODEC.encode(Response(2, ResponseOk(MENU_CODEC.encode(((b"get_best_tip", 2),))))))
        ),
        "MessageReceived, the answer": Case(rpc.NetworkRpcMessageReceived(SERIAL, MESSAGE_CODEC.encode(Response(3, ResponseOk(b"\x00"))))),
        "MessageReceived, an error": Case(
            rpc.NetworkRpcMessageReceived(SERIAL, MESSAGE_CODEC.encode(Response(3, ResponseFailed(UncaughtExn("no")))))
        ),
        "MessageReceived, undecodable": Case(rpc.NetworkRpcMessageReceived(SERIAL, b"\xff")),
        "SessionEnded": Case(rpc.NetworkRpcSessionEnded(SERIAL)),
        "SessionGone": Case(rpc.NetworkRpcSessionGone(SERIAL, 1)),
        "SessionTimeout, early": Case(rpc.NetworkRpcSessionTimeout(SERIAL)),
        "SessionTimeout": Case(rpc.NetworkRpcSessionTimeout(SERIAL), 10 * SECOND),
        "SessionTimeout, silent": Case(rpc.NetworkRpcSessionTimeout(SERIAL), LATE),
        "Answer": Case(rpc.NetworkRpcAnswer(SERIAL, 7, b"\x00")),
        "Answer, another question": Case(rpc.NetworkRpcAnswer(SERIAL, 8, b"\x00")),
        "Refuse": Case(rpc.NetworkRpcRefuse(SERIAL, 7, "why")),
        "PeerGone": Case(rpc.NetworkRpcPeerGone(PEER)),
    },
    _look_rpc,
    EXPECTED["rpc"],
)

# --- node status


def _status_states() -> dict[str, NetworkState]:
    states = {"nobody": Alone().state}
    alone = Alone()
    alone.known(1)
    states["known"] = alone.state
    alone.feed(status.NetworkStatusSet(b"{}"))
    alone.stream(NODE_STATUS.name)
    states["being read"] = alone.state
    alone.feed(status.NetworkStatusAsk(RequestId(7), peer_id(1)))
    states["reading"] = alone.state
    return states


def _look_status(state: NetworkState) -> str:
    asks = [ask.size for ask in state.node_status.asks.values()]
    return f"{len(state.node_status.own)} bytes{f', reading {asks}' if asks else ''}"


_PART = status.NetworkStatusPartReceived(RequestId(7), IN, THEIRS, b"part")
STATUSES = Table(
    _status_states(),
    {
        "Set": Case(status.NetworkStatusSet(b"status")),
        "Set, too long": Case(status.NetworkStatusSet(bytes(STATUS_BYTES_MAX + 1))),
        "Ask": Case(status.NetworkStatusAsk(RequestId(7), peer_id(1))),
        "Ask, another": Case(status.NetworkStatusAsk(RequestId(8), peer_id(1))),
        "RequestReceived": Case(status.NetworkStatusRequestReceived(IN, THEIRS)),
        "PartReceived": Case(_PART),
        "PartReceived, late": Case(_PART, LATE),
        "PartReceived, too long": Case(_PART.replace(data=bytes(STATUS_BYTES_MAX + 1))),
        "Ended": Case(status.NetworkStatusEnded(RequestId(7))),
        "Lost": Case(status.NetworkStatusLost(RequestId(7), "why")),
    },
    _look_status,
    EXPECTED["status"],
)

TABLES = {
    "links": LINKS,
    "identify": IDENTIFYING,
    "kademlia": KADEMLIAS,
    "gossipsub": GOSSIP,
    "rpc": RPCS,
    "status": STATUSES,
    "exchange": EXCHANGE,
}

"""Whatever comes in whatever order: no bug of ours, bounded state, and the same again from the same input."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libp2p_slices.exchange import envelope, named
from libp2p_slices.lab import START, address, check, config, host, peer_id
from libp2p_slices.pairs import IN, THEIRS, gossip, said
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.gossipsub import actions as gs
from mina_p2p.gossipsub import sending
from mina_p2p.gossipsub.messages import RPC_CODEC, PubsubRpc, SubOpts, message_id
from mina_p2p.identify.messages import IDENTIFY_CODEC
from mina_p2p.ids import SECOND, ConnectionId, RequestId, StreamId, Timestamp
from mina_p2p.kademlia.actions import NetworkKadAdvertise, NetworkKadLookupStart
from mina_p2p.kademlia.messages import KAD_CODEC, KadMessage, KadPeer, KadType
from mina_p2p.kademlia.state import LookupKind
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.actions import NetworkDial, NetworkDiallingSet, NetworkDisconnect, NetworkGatingSet, NetworkPeerAdd, NetworkPeerUseful
from mina_p2p.libp2p.config import TOPIC_V0, GossipsubConfig, KademliaConfig
from mina_p2p.libp2p.gating import GatingConfig
from mina_p2p.libp2p.links import Dialling, Linked
from mina_p2p.libp2p.machine import NetworkCheckTimeouts, network_machine
from mina_p2p.libp2p.multiaddr import encode_multiaddr
from mina_p2p.libp2p.node_status.actions import NetworkStatusAsk
from mina_p2p.libp2p.node_status.state import STATUS_BYTES_MAX
from mina_p2p.libp2p.protocols import IDENTIFY, IDENTIFY_PUSH, KADEMLIA, MESHSUB, NODE_STATUS, PING, PROTOCOLS, RPC
from mina_p2p.libp2p.state import NetworkState, initial_network
from mina_p2p.libp2p_rpc.actions import NetworkRpcAnswer, NetworkRpcCall, NetworkRpcRefuse
from mina_p2p.libp2p_rpc.messages import GREETING, HEARTBEAT, MENU, MENU_CODEC, MESSAGE_CODEC, Response, ResponseFailed, UncaughtExn
from mina_p2p.mina.rpc import Query, ResponseOk
from mina_p2p.peer_exchange.actions import NetworkExchangeSigned, NetworkExchangeVerified
from mina_p2p.peer_exchange.state import CHECKING_MAX
from mina_p2p.transport import SocketAddress

SMALL = {
    "kademlia": KademliaConfig(bucket_max=2, parallel=2, candidates_max=6, lookups_max=2, provider_keys_max=2, providers_per_key_max=2),
    "gossipsub": GossipsubConfig(
        mesh_wanted=2,
        mesh_min=1,
        mesh_max=3,
        validations_max=2,
        verifications_max=3,
        seen_max=5,
        backoffs_max=2,
        cache_bytes_max=200,
        is_peer_exchange_enabled=True,
    ),
    "are_private_addresses_allowed": True,
    "connections_min": 2,
    "connections_max": 4,
    "connections_hard_max": 5,
    "dials_max": 2,
    "per_peer_max": 2,
}

numbers = st.integers(0, 4)
kad_peers = st.builds(
    lambda number, is_there: KadPeer(peer_id(number).multihash, (encode_multiaddr(host(number), 8302),) if is_there else ()),
    st.integers(0, 30),
    st.booleans(),
)
kad_messages = st.builds(
    lambda kind, key, closer, providers: KAD_CODEC.encode(KadMessage(kind, key, tuple(closer), tuple(providers))),
    st.sampled_from(KadType),
    st.one_of(st.none(), st.binary(max_size=3), numbers.map(lambda n: peer_id(n).multihash)),
    st.lists(kad_peers, max_size=8),
    st.lists(kad_peers, max_size=3),
)
gossips = st.sampled_from(
    [
        sending.graft(TOPIC_V0),
        sending.prune(TOPIC_V0, 2 * SECOND),
        sending.prune(TOPIC_V0, 2 * SECOND, tuple(named(n) for n in (1, 2, 4, 5))),
        sending.ihave(TOPIC_V0, [bytes(32), message_id(TOPIC_V0, b"a")]),
        sending.iwant([message_id(TOPIC_V0, b"a"), message_id(TOPIC_V0, b"ours")]),
        RPC_CODEC.encode(PubsubRpc((SubOpts(True, TOPIC_V0),))),
        RPC_CODEC.encode(PubsubRpc((SubOpts(False, TOPIC_V0),))),
        *(RPC_CODEC.encode(PubsubRpc((), (gossip(n, data),))) for n in (1, 9) for data in (b"a", b"b", b"c" * 150)),
    ]
)
rpcs = st.one_of(
    st.sampled_from([GREETING, GREETING, HEARTBEAT]),
    st.builds(
        lambda tag, version, number, data: MESSAGE_CODEC.encode(Query(tag.encode(), version, number, data)),
        st.sampled_from([MENU, "get_best_tip", "get_some_initial_peers", "ban_notify", "other"]),
        st.integers(1, 2),
        st.integers(0, 3),
        st.sampled_from([b"\0", bytes(8), b"?"]),
    ),
    st.builds(
        lambda number, ok: MESSAGE_CODEC.encode(Response(number, ResponseOk(ok) if ok else ResponseFailed(UncaughtExn("no")))),
        st.integers(1, 12),
        st.sampled_from([b"", b"\0", MENU_CODEC.encode(((b"get_best_tip", 2),))]),
    ),
)
identities = st.one_of(
    st.just(b"who they are"),
    numbers.map(said),
    numbers.map(lambda n: IDENTIFY_CODEC.encode(IDENTIFY_CODEC.decode(said(n)).replace(signed_record=envelope(n)))),
)
fitting = st.fixed_dictionaries(
    {
        IDENTIFY.name: identities,
        IDENTIFY_PUSH.name: identities,
        KADEMLIA.name: kad_messages,
        MESHSUB.name: gossips,
        PING.name: st.just(bytes(32)),
        RPC.name: rpcs,
        NODE_STATUS.name: st.sampled_from([b"", b"{}", bytes(STATUS_BYTES_MAX)]),
    }
)
payloads = st.one_of(st.binary(max_size=40), kad_messages, gossips, numbers.map(said), rpcs)
"""Anything, on any stream."""
reason = Reason(ReasonCode.TRANSPORT_ERROR)

Input = Callable[[NetworkState], Any]
"""Makes the input from the state, so that it is about something that is there; nothing where nothing is."""


def _links(state: NetworkState) -> list[tuple[ConnectionId, Linked]]:
    return [(key, link) for key, link in state.links.table.items() if isinstance(link, Linked)]


def _streams(state: NetworkState) -> list[tuple[ConnectionId, StreamId, str, Linked]]:
    return [(key, stream, one.protocol, link) for key, link in _links(state) for stream, one in link.streams.items()]


def on_stream(pick: int, make: Callable[[ConnectionId, StreamId, str, Linked], Any]) -> Input:
    return lambda state: make(*found[pick % len(found)]) if (found := _streams(state)) else None


def on_link(pick: int, make: Callable[[ConnectionId], Any]) -> Input:
    return lambda state: make(found[pick % len(found)][0]) if (found := _links(state)) else None


def pending(field: str, pick: int, make: Callable[[int], Any]) -> Input:
    return lambda state: make(found[pick % len(found)]) if (found := list(getattr(state.gossipsub, field))) else None


def vouched(pick: int, is_valid: bool) -> Input:
    """What the runtime says of records, ours and others'."""

    def make(state: NetworkState) -> Any:
        checking, payload = list(state.exchange.checking), state.exchange.signing
        if checking:
            return NetworkExchangeVerified(checking[pick % len(checking)], is_valid)
        return NetworkExchangeSigned(payload, bytes(64)) if payload else None

    return make


def message(pick: int, what: dict[str, bytes]) -> Input:
    """What fits the protocol of a stream; an identity is that of its peer."""

    def make(connection_id: ConnectionId, stream: StreamId, protocol: str, link: Linked) -> Any:
        number = next(n for n in range(6) if peer_id(n) == link.peer_id)
        data = what[protocol]
        return port.Libp2pStreamMessageReceived(connection_id, stream, said(number) if data == b"who they are" else data)

    return on_stream(pick, make)


def dial_succeeds(pick: int) -> Input:
    def make(state: NetworkState) -> Any:
        found = [(key, link) for key, link in state.links.table.items() if isinstance(link, Dialling)]
        if not found:
            return None
        key, link = found[pick % len(found)]
        number = next((n for n in range(6) if peer_id(n) == link.address.peer_id), None)
        if number is None:
            return port.Libp2pConnectionClosed(key, reason, False)
        return port.Libp2pConnectionOpened(key, peer_id(number), True, SocketAddress(host(number).plain, 1))

    return make


def theirs(state: NetworkState) -> StreamId:
    return StreamId(THEIRS + state.links.next_serial)


def always(action: Any) -> Input:
    return lambda _state: action


def answer(pick: int, ok: bool) -> Input:
    def make(state: NetworkState) -> Any:
        found = [(serial, one.query_id) for serial, session in state.rpcs.sessions.items() for one in session.serving]
        if not found:
            return None
        serial, query_id = found[pick % len(found)]
        return NetworkRpcAnswer(serial, query_id, b"\0") if ok else NetworkRpcRefuse(serial, query_id, "no")

    return make


picks = st.integers(0, 20)
endings = st.one_of(
    st.builds(lambda i, d: on_stream(i, lambda c, s, *_: port.Libp2pStreamMessageReceived(c, s, d)), picks, payloads),
    st.builds(lambda i: on_link(i, lambda c: port.Libp2pConnectionClosed(c, reason, True)), picks),
    st.builds(lambda i: on_link(i, port.Libp2pWentAway), picks),
    st.builds(lambda i: on_link(i, lambda c: NetworkDisconnect(c, reason)), picks),
)
"""What most often ends a connection; seldom, so that something happens on it first."""

inputs = st.one_of(
    endings,
    st.builds(message, picks, fitting),
    st.builds(message, picks, fitting),
    st.builds(message, picks, fitting),
    st.builds(message, picks, fitting),
    st.builds(lambda i: on_stream(i, lambda c, s, p, _: port.Libp2pStreamOpened(c, s, p, s < THEIRS)), picks),
    st.builds(lambda i: on_stream(i, lambda c, s, *_: port.Libp2pStreamEnded(c, s)), picks),
    st.builds(lambda i, by: on_stream(i, lambda c, s, *_: port.Libp2pStreamLost(c, s, by)), picks, st.booleans()),
    st.builds(
        lambda i, p: lambda state: on_link(i, lambda c: port.Libp2pStreamOpened(c, theirs(state), p, False))(state),
        picks,
        st.sampled_from(sorted(PROTOCOLS)),
    ),
    st.builds(
        lambda i, n: always(port.Libp2pConnectionOpened(ConnectionId(IN + i), peer_id(n), False, SocketAddress(host(n).plain, 1))),
        picks,
        numbers,
    ),
    st.builds(dial_succeeds, picks),
    st.builds(lambda n: always(NetworkDial(address(n))), numbers),
    st.builds(lambda on: always(NetworkDiallingSet(on)), st.booleans()),
    st.builds(lambda k, n: always(NetworkKadLookupStart(k, peer_id(n).multihash)), st.sampled_from(LookupKind), numbers),
    st.just(always(NetworkKadAdvertise(b"k"))),
    st.sampled_from([TOPIC_V0, "other"]).map(lambda topic: always(gs.NetworkPubsubPublish(topic, b"ours"))),
    st.builds(vouched, picks, st.booleans()),
    st.builds(lambda i: pending("signing", i, lambda one: gs.NetworkPubsubSigned(one, bytes(64))), picks),
    st.builds(lambda i, ok: pending("verifying", i, lambda one: gs.NetworkPubsubVerified(one, ok)), picks, st.booleans()),
    st.builds(
        lambda i, v: pending("validating", i, lambda one: gs.NetworkPubsubVerdict(RequestId(one), v)), picks, st.sampled_from(gs.Verdict)
    ),
    st.sampled_from([gs.NetworkPubsubSubscribe(TOPIC_V0), gs.NetworkPubsubUnsubscribe(TOPIC_V0)]).map(always),
    st.just(always(port.Libp2pListening((address(0),)))),
    st.builds(lambda n: always(NetworkRpcCall(RequestId(n), peer_id(n), "get_best_tip", b"\0")), st.integers(1, 2)),
    st.builds(lambda n: always(NetworkRpcCall(RequestId(n), peer_id(n), "get_best_tip", b"\0")), st.integers(1, 2)),
    st.builds(answer, picks, st.booleans()),
    st.builds(lambda r, n: always(NetworkStatusAsk(RequestId(r), peer_id(n))), st.integers(1, 3), numbers),
    st.builds(
        lambda banned, trusted, isolated: always(NetworkGatingSet(GatingConfig((), banned, (), trusted, isolated))),
        st.lists(numbers.map(peer_id), max_size=2).map(tuple),
        st.lists(numbers.map(peer_id), max_size=2).map(tuple),
        st.booleans(),
    ),
    st.builds(lambda n: always(NetworkPeerAdd(address(n))), numbers),
    st.builds(lambda n: always(NetworkPeerUseful(peer_id(n))), numbers),
)
steps = st.lists(st.tuples(inputs, st.sampled_from([0, 0, SECOND // 10, 1 * SECOND, 30 * SECOND])), min_size=30, max_size=100)


def begun() -> NetworkState:
    """A node with a peer that everything may happen to."""
    state = initial_network(config(0, 1, **SMALL), START)
    events: list[Any] = [NetworkCheckTimeouts()]
    for connection_id, number in ((IN, 1), (ConnectionId(IN + 1), 2)):
        events += [
            port.Libp2pConnectionOpened(connection_id, peer_id(number), False, SocketAddress(host(number).plain, 1)),
            port.Libp2pStreamMessageReceived(connection_id, StreamId(1), said(number)),
            port.Libp2pStreamEnded(connection_id, StreamId(1)),
            *(port.Libp2pStreamOpened(connection_id, StreamId(THEIRS + at), name, False) for at, name in enumerate(PROTOCOLS)),
            port.Libp2pStreamMessageReceived(connection_id, StreamId(THEIRS + list(PROTOCOLS).index(RPC.name)), GREETING),
        ]
    for event in events:
        state, _, _ = network_machine().dispatch(state, event, START)
    return state


def played(script: list[tuple[Input, int]], seen: Counter[str] | None = None) -> NetworkState:
    state, now = begun(), START
    for make, wait in script:
        now = Timestamp(now + wait)
        for one in (make(state), NetworkCheckTimeouts() if wait else None):
            if one is None:
                continue
            state, _, taken = network_machine().dispatch(state, one, now)
            check(state)
            bounds(state)
            if seen is not None:
                seen.update(type(step.action).__name__ for step in taken)
    return state


def bounds(state: NetworkState) -> None:
    """What no peer can exceed."""
    assert len(state.kademlia.lookups) <= 2
    assert len(state.kademlia.requests) <= 4
    assert len(state.kademlia.provider_keys) <= 2
    gossipsub = state.gossipsub
    assert len(gossipsub.validating) <= 2
    assert len(gossipsub.verifying) <= 3
    assert len(gossipsub.seen) <= 5 + 1
    assert len(gossipsub.backoffs) <= 2
    assert len(gossipsub.windows) <= GossipsubConfig().history_windows
    assert len(state.links.dials) <= 2
    assert len(state.identify.parts) <= 5 * 20
    assert len(state.exchange.checking) <= CHECKING_MAX


@settings(max_examples=60, deadline=None)
@given(steps)
def test_every_sequence_of_inputs_leaves_a_good_state(script: list[tuple[Input, int]]):
    played(script)


@settings(max_examples=10, deadline=None)
@given(steps)
def test_the_same_inputs_give_the_same_state(script: list[tuple[Input, int]]):
    first = played(script)
    assert played(script) == first
    assert pickle.loads(pickle.dumps(first)) == first


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(PROTOCOLS)), payloads, st.integers(0, 60), st.integers(0, 255))
def test_a_damaged_message_is_a_typed_end_or_nothing(protocol: str, data: bytes, at: int, value: int):
    """One byte changed in a good message on any stream of the peer's."""
    damaged = data[:at] + bytes((value,)) + data[at + 1 :]
    state = begun()
    stream = StreamId(THEIRS + 100)
    for event in (
        port.Libp2pStreamOpened(IN, stream, protocol, False),
        port.Libp2pStreamMessageReceived(IN, stream, damaged),
        port.Libp2pStreamEnded(IN, stream),
    ):
        state, effects, _ = network_machine().dispatch(state, event, START)
        for effect in effects:
            if isinstance(effect, port.Libp2pEffectfulDisconnect):
                assert effect.reason.code in {ReasonCode.CHANNEL_MSG_UNDECODABLE, ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH}
        check(state)

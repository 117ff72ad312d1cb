"""Pure libp2p nodes joined in memory: effects of one become events of another, bytes as they would travel, one clock."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

from mina_p2p.address import Ipv4, Libp2pAddress
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.gossipsub.actions import NetworkPubsubSigned, NetworkPubsubVerdict, NetworkPubsubVerified, Verdict
from mina_p2p.gossipsub.effects import (
    NetworkExchangeEffectfulSign,
    NetworkExchangeEffectfulVerify,
    NetworkPubsubEffectfulSign,
    NetworkPubsubEffectfulVerify,
)
from mina_p2p.identity import DEVNET_CHAIN_ID, PeerId
from mina_p2p.ids import SECOND, ConnectionId, StreamId, Timestamp
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.config import NetworkConfig
from mina_p2p.libp2p.gating import parse_ip_range
from mina_p2p.libp2p.machine import NetworkCheckTimeouts, network_machine, next_wake
from mina_p2p.libp2p.notifications import NetworkPubsubMessageReceived
from mina_p2p.libp2p.protocols import PROTOCOLS
from mina_p2p.libp2p.state import NetworkState, initial_network
from mina_p2p.peer_exchange.actions import NetworkExchangeSigned, NetworkExchangeVerified
from mina_p2p.testing.invariants.network import network_violations
from mina_p2p.transport import SocketAddress

START = Timestamp(1_700_000_000 * SECOND)
PORT = 8302
LAB = parse_ip_range("10.0.0.0/8")
"""All nodes here are in one private network, which they know."""


def peer_id(number: int) -> PeerId:
    return PeerId(blake2b(b"peer %d" % number, digest_size=32).digest())


def host(number: int) -> Ipv4:
    """Of the private range 10/8, as a test network is."""
    return Ipv4.of(10, number >> 8 & 255, number & 255, 1)


def address(number: int) -> Libp2pAddress:
    return Libp2pAddress(peer_id(number), host(number), PORT)


def config(number: int, *seeds: int, **options: Any) -> NetworkConfig:
    settings = {"seed": number, "initial_peers": tuple(map(address, seeds)), "known_private_ranges": (LAB,), **options}
    return NetworkConfig(peer_id(number), DEVNET_CHAIN_ID, **settings)


def signature(author: PeerId, data: bytes) -> bytes:
    """Stands for ed25519, which the runtime does."""
    return blake2b(data, key=author, digest_size=64).digest()


class Node:
    """One node; its effects wait in `effects` where nobody shuttles them."""

    def __init__(self, number: int, *seeds: int, now: Timestamp = START, **options: Any) -> None:
        self.number = number
        self.peer_id = peer_id(number)
        self.state: NetworkState = initial_network(config(number, *seeds, **options), now)
        self.now = now
        self.effects: list[Any] = []
        self.told: list[Any] = []
        self.steps: list[Any] = []
        self.refused: list[Any] = []
        self.protocols = set(PROTOCOLS)
        self.verdict: Verdict | None = Verdict.ACCEPT

    def feed(self, action: Any, now: Timestamp | None = None) -> list[Any]:
        """Dispatch one input; its effects."""
        self.now = max(self.now, now or self.now)
        self.state, effects, steps = network_machine().dispatch(self.state, action, self.now)
        self.steps = [step.action for step in steps]
        self.refused = [refusal.action for refusal in steps.refusals]
        self.effects = effects
        return effects

    def did(self, kind: type[Any]) -> list[Any]:
        """Effects of the last input of that kind."""
        return [effect for effect in self.effects if isinstance(effect, kind)]


class Network:
    """Nodes, and the wires between them."""

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.nodes: dict[PeerId, Node] = {}
        self.now = START
        self.wires: dict[tuple[PeerId, ConnectionId], tuple[PeerId, ConnectionId]] = {}
        self.streams: dict[tuple[PeerId, ConnectionId], dict[StreamId, tuple[StreamId, str]]] = {}
        """By wire and stream: the other side's stream, and what is spoken."""
        self.queue: deque[tuple[PeerId, Any]] = deque()
        self.wakes: list[tuple[Timestamp, int, PeerId]] = []
        self.sent: dict[str, int] = {}
        self.on_send: Callable[[Node, str, bytes], bytes | None] = lambda _node, _protocol, data: data
        """What becomes of a message on its way; nothing of one that is lost."""
        self._count = 0
        for node in nodes:
            self.add(node)

    def add(self, node: Node) -> Node:
        self.nodes[node.peer_id] = node
        self.feed(node, port.Libp2pListening((address(node.number),)))
        self.feed(node, NetworkCheckTimeouts())
        return node

    def remove(self, node: Node) -> None:
        """It is gone without a word."""
        del self.nodes[node.peer_id]
        for mine, other in list(self.wires.items()):
            if mine[0] == node.peer_id:
                self._cut(mine)
                self.queue.append((other[0], port.Libp2pConnectionClosed(other[1], Reason(ReasonCode.TRANSPORT_ERROR), False)))
        self.settle()

    def _next(self) -> int:
        self._count += 1
        return port.FIRST_INCOMING + self._count

    def feed(self, node: Node, action: Any) -> None:
        """One input, and all that follows from it in the network."""
        self._dispatch(node, action)
        self.settle()

    def settle(self) -> None:
        while self.queue:
            to, event = self.queue.popleft()
            node = self.nodes.get(to)
            if node is not None:
                self._dispatch(node, event)

    def _dispatch(self, node: Node, action: Any) -> None:
        inputs = deque([action])
        while inputs:
            for effect in node.feed(inputs.popleft(), self.now):
                answer = self._perform(node, effect)
                if answer is not None:
                    inputs.append(answer)
        heapq.heappush(self.wakes, (next_wake(node.state), self._next(), node.peer_id))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = Timestamp(self.now + int(seconds * SECOND))
        while self.wakes and self.wakes[0][0] <= end:
            at, _, who = heapq.heappop(self.wakes)
            node = self.nodes.get(who)
            if node is None or next_wake(node.state) > at:
                continue
            self.now = max(self.now, at)
            self.feed(node, NetworkCheckTimeouts())
        self.now = end

    def _perform(self, node: Node, effect: Any) -> Any:
        match effect:
            case port.Libp2pEffectfulDial(connection_id=number, address=whom):
                self._dial(node, number, whom)
            case port.Libp2pEffectfulDisconnect(connection_id=number, reason=reason):
                other = self.wires.get((node.peer_id, number))
                self._cut((node.peer_id, number))
                self.queue.append((node.peer_id, port.Libp2pConnectionClosed(number, reason, False)))
                if other is not None:
                    self.queue.append((other[0], port.Libp2pConnectionClosed(other[1], Reason(ReasonCode.CHANNEL_CLOSED), True)))
            case port.Libp2pEffectfulStreamOpen(connection_id=number, stream=stream, protocols=(protocol,)):
                self._open(node, number, stream, protocol)
            case port.Libp2pEffectfulSend(connection_id=number, stream=stream, data=data):
                self._send(node, (node.peer_id, number), stream, data)
            case port.Libp2pEffectfulStreamEnd(connection_id=number, stream=stream):
                self._tell((node.peer_id, number), stream, port.Libp2pStreamEnded)
            case port.Libp2pEffectfulStreamReset(connection_id=number, stream=stream):
                self._tell((node.peer_id, number), stream, lambda one, two: port.Libp2pStreamLost(one, two, True))
                self.streams.get((node.peer_id, number), {}).pop(stream, None)
            case NetworkPubsubEffectfulSign(request_id=request, data=data):
                return NetworkPubsubSigned(request, signature(node.peer_id, data))
            case NetworkPubsubEffectfulVerify(request_id=request, author=author, data=data, signature=found):
                return NetworkPubsubVerified(request, found == signature(author, data))
            case NetworkExchangeEffectfulSign(payload=payload, data=data):
                return NetworkExchangeSigned(payload, signature(node.peer_id, data))
            case NetworkExchangeEffectfulVerify(number=number, author=author, data=data, signature=found):
                return NetworkExchangeVerified(number, found == signature(author, data))
            case _:
                node.told.append(effect)
                if isinstance(effect, NetworkPubsubMessageReceived) and node.verdict is not None:
                    return NetworkPubsubVerdict(effect.verdict_id, node.verdict)
        return None

    def _dial(self, node: Node, number: ConnectionId, whom: Libp2pAddress) -> None:
        other = self.nodes.get(whom.peer_id)
        if other is None or whom.host != host(other.number):
            failed = port.Libp2pConnectionClosed(number, Reason(ReasonCode.TRANSPORT_ERROR, detail="nobody there"), False)
            self.queue.append((node.peer_id, failed))
            return
        theirs = ConnectionId(self._next())
        self.wires[node.peer_id, number] = other.peer_id, theirs
        self.wires[other.peer_id, theirs] = node.peer_id, number
        remote = SocketAddress(host(other.number).plain, PORT)
        self.queue.append((node.peer_id, port.Libp2pConnectionOpened(number, other.peer_id, True, remote)))
        came_from = SocketAddress(host(node.number).plain, 40_000)
        self.queue.append((other.peer_id, port.Libp2pConnectionOpened(theirs, node.peer_id, False, came_from)))

    def _open(self, node: Node, number: ConnectionId, stream: StreamId, protocol: str) -> None:
        wire = self.wires.get((node.peer_id, number))
        if wire is None:
            return
        other, theirs = wire
        if other not in self.nodes or protocol not in self.nodes[other].protocols:
            self.queue.append((node.peer_id, port.Libp2pStreamLost(number, stream, False, "no common protocol")))
            return
        foreign = StreamId(self._next())
        self.streams.setdefault((node.peer_id, number), {})[stream] = foreign, protocol
        self.streams.setdefault(wire, {})[foreign] = stream, protocol
        self.queue.append((node.peer_id, port.Libp2pStreamOpened(number, stream, protocol, True)))
        self.queue.append((other, port.Libp2pStreamOpened(theirs, foreign, protocol, False)))

    def _send(self, node: Node, mine: tuple[PeerId, ConnectionId], stream: StreamId, data: bytes) -> None:
        found = self.streams.get(mine, {}).get(stream)
        if found is None:
            return
        foreign, protocol = found
        other, theirs = self.wires[mine]
        self.sent[protocol] = self.sent.get(protocol, 0) + len(data)
        arrived = self.on_send(node, protocol, data)
        if arrived is not None:
            self.queue.append((other, port.Libp2pStreamMessageReceived(theirs, foreign, arrived)))

    def _tell(self, mine: tuple[PeerId, ConnectionId], stream: StreamId, event: Any) -> None:
        found = self.streams.get(mine, {}).get(stream)
        if found is not None:
            other, theirs = self.wires[mine]
            self.queue.append((other, event(theirs, found[0])))

    def _cut(self, mine: tuple[PeerId, ConnectionId]) -> None:
        other = self.wires.pop(mine, None)
        self.streams.pop(mine, None)
        if other is not None:
            self.wires.pop(other, None)
            self.streams.pop(other, None)


def check(state: NetworkState) -> None:
    """What holds of every state between two inputs."""
    assert list(network_violations(state)) == []

"""A node without a network: a state and an action in, a new state and effects out.

Nothing here opens a socket, reads a clock or rolls dice. We play the transport: we say
what happened, and look at what the node wants done. Run it twice, and it prints the same.
"""

from __future__ import annotations

from mina_p2p import MAINNET_CHAIN_ID, P2pConfig, P2pState, PeerId, dispatch, initial_state
from mina_p2p.address import Ipv4, QuicAddress
from mina_p2p.connection.hello import make_hello
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingInit
from mina_p2p.ids import SECOND, ConnectionId, RequestId, Timestamp
from mina_p2p.peer.state import Banned
from mina_p2p.store import Action, walk
from mina_p2p.timeouts import CheckTimeouts
from mina_p2p.transport import (
    ChannelsEffectfulRequestSend,
    ChannelsMessageReceived,
    ConnectionEstablished,
    ConnectionHelloReceived,
    SocketAddress,
)

# Time is an argument like any other. These nanoseconds are as good as any.
START = Timestamp(1_700_000_000 * SECOND)
US, PEER = PeerId(bytes([1]) * 32), PeerId(bytes([2]) * 32)


def feed(state: P2pState, action: Action, now: Timestamp = START) -> tuple[P2pState, list[Action]]:
    """Dispatch one input, and print it with all that followed from it, as a tree."""
    state, effects, steps = dispatch(state, action, now)
    print(*walk(steps), sep="\n", end="\n\n")
    return state, effects


def main() -> None:
    """The short life of one connection."""
    state = initial_state(P2pConfig(US, MAINNET_CHAIN_ID, is_discovery_enabled=False), START)

    # The node software wants a connection. The only effect is a request to dial. Connections are
    # numbered, so that a late event can not touch a later connection with the same peer.
    state, _ = feed(state, ConnectionOutgoingInit(QuicAddress(PEER, Ipv4.of(1, 2, 3, 4), 8302), RequestId(1)))
    connection = ConnectionId(1)

    # We are the transport: the dial succeeded, and the peer proved who it is. The node sends its hello.
    state, _ = feed(state, ConnectionEstablished(connection, PEER, SocketAddress("1.2.3.4", 8302)))

    # The peer's hello arrives as bytes; the reducer decodes them. Now the connection is ready, and the
    # node permits the peer to send: one request on each channel, and so many bytes in answer.
    hello = make_hello(P2pConfig(PEER, MAINNET_CHAIN_ID))
    state, effects = feed(state, ConnectionHelloReceived(connection, hello))
    requests = [effect for effect in effects if isinstance(effect, ChannelsEffectfulRequestSend)]
    for request in requests:
        print(f"we permit {request.answer_bytes_max} bytes on {request.channel.name}, stream {request.stream}")
    print()

    # The peer answers with garbage. A peer's fault is an action, never an exception: the node ends the
    # connection, bans the peer, and says why.
    state, _ = feed(state, ChannelsMessageReceived(connection, requests[0].channel, requests[0].stream, b"\xff"))
    for peer in state.peers.table.values():
        if isinstance(peer.status, Banned):
            print("banned:", peer.status.reason, end="\n\n")

    # Time passes because we say so. Ten minutes later the ban is over, and the node tries again.
    feed(state, CheckTimeouts(), Timestamp(START + 601 * SECOND))


main()

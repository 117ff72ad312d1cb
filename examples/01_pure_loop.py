"""A node without a network: actions in, a new state and effects out.

Nothing here opens a socket, reads a clock or rolls dice. We play the transport: we say
what happened, and look at what the node wants done. Run it twice, and it prints the same.
"""

from __future__ import annotations

from mina_p2p import MAINNET_CHAIN_ID, P2pConfig, PeerId, dispatch, initial_state
from mina_p2p.address import Ipv4, QuicAddress
from mina_p2p.connection.hello import make_hello
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingInit
from mina_p2p.ids import SECOND, RequestId, Timestamp
from mina_p2p.store import Action, walk
from mina_p2p.timeouts import CheckTimeouts
from mina_p2p.transport import (
    ChannelsEffectfulRequestSend,
    ChannelsMessageReceived,
    ConnectionEffectfulDial,
    ConnectionEstablished,
    ConnectionHelloReceived,
    SocketAddress,
)

# Time is an argument like any other. These nanoseconds are as good as any.
now = Timestamp(1_700_000_000 * SECOND)

us, peer = PeerId(bytes([1]) * 32), PeerId(bytes([2]) * 32)
state = initial_state(P2pConfig(us, MAINNET_CHAIN_ID, is_discovery_enabled=False), now)


def feed(action: Action) -> list[Action]:
    """Dispatch one input, show the tree of what followed, and give back the effects."""
    global state  # noqa: PLW0603 - a script; node software keeps the state in a `mina_p2p.Store`
    state, effects, steps = dispatch(state, action, now)
    print(*walk(steps), sep="\n", end="\n\n")
    return effects


# The node software wants a connection. The only effect is a request to dial.
address = QuicAddress(peer, Ipv4.of(1, 2, 3, 4), 8302)
(dial, *_) = [effect for effect in feed(ConnectionOutgoingInit(address, RequestId(1))) if isinstance(effect, ConnectionEffectfulDial)]

# We are the transport: the dial succeeded, and the peer proved who it is. The node sends its hello.
feed(ConnectionEstablished(dial.connection_id, peer, SocketAddress("1.2.3.4", 8302)))

# The peer's hello arrives as bytes; the reducer decodes them. Now the connection is ready, and the
# node permits the peer to send: one request for each channel.
hello = make_hello(P2pConfig(peer, MAINNET_CHAIN_ID))
requests = [
    effect for effect in feed(ConnectionHelloReceived(dial.connection_id, hello)) if isinstance(effect, ChannelsEffectfulRequestSend)
]
for request in requests:
    print(f"we permit {request.answer_bytes_max} bytes on {request.channel.name}, stream {request.stream}")
print()

# The peer answers with garbage. A peer's fault is an action, never an exception: the node ends the
# connection, bans the peer, and says why.
feed(ChannelsMessageReceived(dial.connection_id, requests[0].channel, requests[0].stream, b"\xff"))
_, record = state.peers.find(peer) or (None, None)
print("the peer's record says:", type(record.status).__name__, "-", record.status.reason, end="\n\n")

# Time passes because we say so. Ten minutes later the ban is over.
now = Timestamp(now + 601 * SECOND)
feed(CheckTimeouts())

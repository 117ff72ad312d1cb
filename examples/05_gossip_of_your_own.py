"""Stories spread over QUIC by the library's gossiper, on an endpoint of the node software's own.

A story is named by its digest and has to be fetched. Six storytellers stand in a row, each knows the one before; a story that the
first one knows has to come to the last. As in all of this library nobody sends what was not asked for: whoever wants to hear of
stories opens a stream that permits one name, and a name is answered with a question for the story, or with the next permission.

The gossiper decides who is told what, and when that is enough; it is pure. What carries it is below.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable
from hashlib import blake2b
from itertools import pairwise

from mina_p2p.address import QuicAddress, parse_ip
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.gossiper import GossipParameters, empty_gossiper
from mina_p2p.gossiper import actions as gossip
from mina_p2p.gossiper.reducer import step
from mina_p2p.identity import ChainId
from mina_p2p.ids import MILLISECOND, ChannelId, ConnectionId, StreamId, Timestamp, stream_id
from mina_p2p.prng import Random
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestSend,
    ChannelsMessageReceived,
    ConnectionClosed,
    ConnectionEffectfulAccept,
    ConnectionEffectfulDial,
    ConnectionEffectfulHelloSend,
    ConnectionEffectfulOpen,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    DisconnectionEffectfulInit,
    TransportEvent,
)
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.quic import QuicConfig, QuicTransport

STORIES = ChainId(blake2b(b"a network of storytellers", digest_size=32).digest())
"""Peers of another network fail in the handshake, so that no node of Mina's is ever met here."""
PERMISSION, QUESTION = ChannelId.TRANSACTION, ChannelId.RPC
"""On an endpoint of one's own, a channel means what one likes."""
NAME_BYTES, STORY_BYTES_MAX, HEADER_BYTES = 32, 1_000, 4
TELLERS = 6


def name_of(story: bytes) -> bytes:
    """What a story is called."""
    return blake2b(story, digest_size=NAME_BYTES).digest()


class Teller:
    """One storyteller: stories, a gossiper, and a QUIC endpoint that carries it."""

    def __init__(self, number: int, something_happened: asyncio.Event) -> None:
        self.stories: dict[bytes, bytes] = {}
        self._happened = something_happened
        self._key = SecretKey.generate()
        self._transport = QuicTransport(self._key, STORIES, "127.0.0.1", 0, QuicConfig(are_private_addresses_dialled=True))
        self._gossip = empty_gossiper(GossipParameters(), Random(number), number.to_bytes(8, "big"), 10 * MILLISECOND)
        self._timer: asyncio.TimerHandle | None = None
        self._dialled: set[ConnectionId] = set()
        self._last_connection = ConnectionId(0)
        self._next_stream: defaultdict[ConnectionId, int] = defaultdict(lambda: 1)
        self._asked: dict[tuple[ConnectionId, StreamId], bytes] = {}
        self._permitted: dict[ConnectionId, StreamId] = {}
        self._named: defaultdict[ConnectionId, list[bytes]] = defaultdict(list)
        self._questions: dict[tuple[ConnectionId, bytes], StreamId] = {}

    async def start(self) -> None:
        """Listen."""
        bound = await self._transport.start(self._feed)
        self.address = QuicAddress(self._key.peer_id, parse_ip(bound.host), bound.port)

    @property
    def listeners(self) -> int:
        """Peers that want to hear of stories."""
        return len(self._permitted)

    async def stop(self) -> None:
        """Say goodbye."""
        if self._timer is not None:
            self._timer.cancel()
        await self._transport.stop()

    def dial(self, address: QuicAddress) -> None:
        """Connect to another one."""
        connection_id = self._new_connection()
        self._dialled.add(connection_id)
        self._transport.perform(ConnectionEffectfulDial(connection_id, address))

    def tell(self, story: bytes) -> None:
        """Have a new story."""
        self.stories[name_of(story)] = story
        self._do(gossip.GossipBegin(name_of(story)))

    # --- the gossiper: what happened, and what it orders ---------------------------------------

    def _do(self, action: gossip.GossipAction) -> None:
        self._gossip, orders = step(self._gossip, action, Timestamp(time.time_ns()))
        for order in orders:
            self._carry(order)
        self._wake_later()
        self._happened.set()

    def _carry(self, order: gossip.GossipOrder) -> None:
        peer = ConnectionId(getattr(order, "peer", 0))
        match order:
            case gossip.GossipAnnounce(id=name):
                # A permission is for one name, and the gossiper was told so: there is one whenever it orders this.
                self._named[peer].append(name)
                self._transport.perform(ChannelsEffectfulAnswerSend(peer, self._permitted.pop(peer), (name,), ends=True))
            case gossip.GossipFetch(id=name):
                self._ask(peer, QUESTION, name, name, STORY_BYTES_MAX)
            case gossip.GossipDeliver(id=name):
                self._transport.perform(
                    ChannelsEffectfulAnswerSend(peer, self._questions.pop((peer, name)), (self.stories[name],), ends=True)
                )
            case gossip.GossipValidate(id=name, body=story):
                is_good = name_of(story) == name
                if is_good:
                    self.stories[name] = story
                self._do(gossip.GossipAccepted(name) if is_good else gossip.GossipRejected(name))
            case gossip.GossipBlamed():
                self._transport.perform(DisconnectionEffectfulInit(peer, Reason(ReasonCode.INVALID_MESSAGE)))
            case _:
                pass

    def _wake_later(self) -> None:
        """Let its waits end in time."""
        if self._timer is not None:
            self._timer.cancel()
        due = self._gossip.deadlines.next_at()
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0, due - time.time_ns()) / 1e9, self._wake)

    def _wake(self) -> None:
        for key in self._gossip.deadlines.due(Timestamp(time.time_ns()), 16):
            self._do(gossip.GossipTimeout(key))
        self._wake_later()

    # --- QUIC: events come in, effects go out ---------------------------------------------------

    def _feed(self, event: TransportEvent) -> None:
        match event:
            case ConnectionIncomingReceived(transport=transport, handle=handle):
                self._transport.perform(ConnectionEffectfulAccept(transport, handle, self._new_connection()))
            case ConnectionEstablished(connection_id=peer):
                self._transport.perform(ConnectionEffectfulHelloSend(peer, b"once upon a time"))
            case ConnectionHelloReceived(connection_id=peer):
                if peer not in self._dialled:
                    self._transport.perform(ConnectionEffectfulHelloSend(peer, b"once upon a time"))
                self._transport.perform(ConnectionEffectfulOpen(peer, 8))
                self._do(gossip.GossipPeerReady(peer, 0))
                self._permit(peer)
            case ConnectionClosed(connection_id=peer):
                self._do(gossip.GossipPeerGone(peer))
            case ChannelsMessageReceived(connection_id=peer, stream=stream) if (peer, stream) in self._asked:
                self._answered(peer, self._asked.pop((peer, stream)), event.frame)
            case ChannelsMessageReceived(connection_id=peer, channel=channel, stream=stream) if channel == PERMISSION:
                # Whoever permits the next name has dealt with those before: what it did not ask for, it has.
                self._permitted[peer] = stream
                for name in self._named.pop(peer, ()):
                    self._do(gossip.GossipAnswered(name, peer, is_held=True))
                self._do(gossip.GossipEligible(peer, 1))
            case ChannelsMessageReceived(connection_id=peer, stream=stream, frame=name):
                self._questions[peer, name] = stream
                self._do(gossip.GossipAnswered(name, peer, is_held=False))
                self._do(gossip.GossipWanted(name, peer))
            case _:
                pass

    def _answered(self, peer: ConnectionId, asked: bytes, frame: bytes) -> None:
        """An answer: the name that we permitted, or the story that we asked for."""
        if asked:
            self._do(gossip.GossipBodyReceived(asked, peer, frame))
        else:
            self._do(gossip.GossipHeard(frame, peer, is_stored=frame in self.stories))
            self._permit(peer)

    def _permit(self, peer: ConnectionId) -> None:
        self._ask(peer, PERMISSION, b"", b"one name", NAME_BYTES)

    def _ask(self, peer: ConnectionId, channel: ChannelId, asked: bytes, frame: bytes, bytes_max: int) -> None:
        """Open a stream; the transport takes no more on it than ``bytes_max``, whatever the peer sends."""
        stream = stream_id(self._next_stream[peer] - (peer not in self._dialled), by_dialer=peer in self._dialled)
        self._next_stream[peer] += 1
        self._asked[peer, stream] = asked
        self._transport.perform(ChannelsEffectfulRequestSend(peer, channel, stream, frame, HEADER_BYTES + bytes_max, bytes_max))

    def _new_connection(self) -> ConnectionId:
        self._last_connection = ConnectionId(self._last_connection + 1)
        return self._last_connection


async def until(happened: asyncio.Event, is_so: Callable[[], bool]) -> None:
    """Wait for something to be so."""
    while not is_so():
        happened.clear()
        await happened.wait()


async def main() -> None:
    """Let stories go from one end of the row to the other."""
    happened = asyncio.Event()
    tellers = [Teller(number, happened) for number in range(TELLERS)]
    stories = [b"a story of the first", b"another one", b"a story of the last"]
    async with contextlib.AsyncExitStack() as stack:
        for teller in tellers:
            await teller.start()
            stack.push_async_callback(teller.stop)
        for one, other in pairwise(tellers):
            other.dial(one.address)
        async with asyncio.timeout(20):
            # An item that there is nobody to tell is told to nobody: a gossiper keeps no list for those who come later.
            await until(happened, lambda: sum(teller.listeners for teller in tellers) == 2 * (TELLERS - 1))
            tellers[0].tell(stories[0])
            tellers[0].tell(stories[1])
            tellers[-1].tell(stories[2])
            await until(happened, lambda: all(len(teller.stories) == len(stories) for teller in tellers))
    print(f"all {TELLERS} storytellers know all {len(stories)} stories")


asyncio.run(main())

"""Sessions resumed by ticket, and the hello that travels early with them. Off by default; each rule of design 6 has its test."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import DEVNET_CHAIN_ID, MAINNET_CHAIN_ID
from mina_p2p.ids import ChannelId, ConnectionId, StreamId
from mina_p2p.notifications import PeerDisconnected
from mina_p2p.transport import (
    ChannelsMessageReceived,
    ConnectionEffectfulReject,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    SocketAddress,
    TransportKind,
)
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import Node as WholeNode
from mina_p2p_effects.node import NodeConfig
from mina_p2p_effects.transports.quic import QuicConfig
from mina_p2p_effects.transports.quic.aioquic_hooks import QuicProfile
from mina_p2p_effects.transports.quic.connection import Connection
from mina_p2p_effects.transports.quic.tickets import Tickets
from quic.nodes import Node
from quic.pairs import ALICE, BOB, CAROL, LISTENER_ADDRESS, TODAY, Listener, Ours, World, profile

ON = QuicConfig(are_sessions_resumed=True)
HELLO = b"hello of the dialer"


def begin(dialing: QuicProfile, listening: QuicProfile, now: float = 0.0, **options: Any) -> tuple[World, Ours, Listener]:
    """A dial whose first flight has not left yet."""
    connection = Connection(dialing, lambda: TODAY, SocketAddress(*LISTENER_ADDRESS), dialled=(ConnectionId(7), BOB.peer_id))
    connection.connect(LISTENER_ADDRESS, now)
    ours, listener = Ours(connection), Listener(listening, **options)
    world = World(ours, listener)
    world.now = now
    return world, ours, listener


def meet(dialing: QuicProfile, listening: QuicProfile, now: float = 0.0) -> tuple[World, Ours, Listener]:
    """A whole connection, past its hellos."""
    world, ours, listener = begin(dialing, listening, now)
    world.run(lambda: bool(ours.heard(ConnectionHelloReceived)))
    world.quiet()
    return world, ours, listener


def is_resumed(*ends: Any) -> bool:
    found = {end.connection.quic.is_resumed() for end in ends}
    assert len(found) == 1
    judged = {end.connection.quic.is_judged for end in ends}
    assert judged == {not next(iter(found))}
    return found.pop()


def test_a_second_connection_shows_no_certificate():
    """Both know each other's id as before, the hellos are the same, and requests work."""
    alice, bob = profile(ALICE, ON), profile(BOB, ON)
    for number in range(3):
        world, dialing, listening = begin(alice, bob)
        world.run(lambda dialing=dialing: bool(dialing.heard(ConnectionHelloReceived)))
        assert is_resumed(dialing, listening) == (number > 0)
        assert [len(end.connection.quic._peer_chain) for end in (dialing, listening)] == ([0, 0] if number else [1, 1])
        assert [event.peer_id for event in dialing.heard(ConnectionEstablished)] == [BOB.peer_id]
        assert [type(event) for event in listening.log] == [ConnectionIncomingReceived, ConnectionHelloReceived]
        assert listening.log[0].peer_id == ALICE.peer_id
        assert listening.log[1].frame == HELLO
        world.quiet()
        dialing.connection.request(ChannelId.RPC, StreamId(4), b"please", 100, 100)
        world.run(lambda listening=listening: bool(listening.heard(ChannelsMessageReceived)))


@pytest.mark.parametrize(("dials", "listens"), [(QuicConfig(), QuicConfig()), (ON, QuicConfig()), (QuicConfig(), ON)])
def test_it_is_off_by_default_and_needs_both(dials, listens):
    """Where either side has it off, every connection is a full one."""
    alice, bob = profile(ALICE, dials), profile(BOB, listens)
    for _ in range(2):
        _, dialing, listening = meet(alice, bob)
        assert not is_resumed(dialing, listening)


def test_the_hello_travels_early_and_is_held_until_the_handshake_is_over():
    """The first flight carries it; nothing of it is an event before the client's Finished, and then the peer comes first."""
    alice, bob = profile(ALICE, ON), profile(BOB, ON)
    meet(alice, bob)
    world, dialing, listening = begin(alice, bob)
    for data, _ in dialing.transmit(world.now):
        listening.receive(data, world.dialer_address, world.now)
    assert listening.connection._hello_in == HELLO
    assert listening.log == []
    world.run(lambda: bool(listening.log))
    assert [type(event) for event in listening.log] == [ConnectionIncomingReceived, ConnectionHelloReceived]


def test_a_recorded_first_flight_is_worth_nothing():
    """Its ticket was used: played again it neither resumes nor brings its early hello, now or with another listener's help."""
    alice, bob = profile(ALICE, ON), profile(BOB, ON)
    meet(alice, bob)
    world, dialing, listening = begin(alice, bob)
    flight = dialing.transmit(world.now)
    for data, _ in flight:
        listening.receive(data, world.dialer_address, world.now)
    assert listening.connection.quic.is_resumed()
    again = Listener(bob)
    for data, _ in flight:
        again.receive(data, world.dialer_address, world.now)
    assert not again.connection.quic.is_resumed()
    assert again.connection._hello_in is None
    assert again.log == []


def test_a_ticket_that_was_used_means_a_full_handshake():
    """Whoever comes with it must show a certificate, and is let in with it; the hello, refused early, arrives late."""
    alice, bob = profile(ALICE, ON), profile(BOB, ON)
    meet(alice, bob)
    (kept,) = alice.tickets._received.values()
    meet(alice, bob)
    alice.tickets._received[BOB.peer_id] = kept
    _, dialing, listening = meet(alice, bob)
    assert not is_resumed(dialing, listening)
    assert [event.frame for event in listening.heard(ConnectionHelloReceived)] == [HELLO]


def test_the_name_of_anothers_ticket_is_not_enough():
    """Carol saw the name of Alice's ticket on the wire; without its secret the handshake ends, without an event."""
    alice, bob, carol = profile(ALICE, ON), profile(BOB, ON), profile(CAROL, ON)
    meet(alice, bob)
    meet(carol, bob)
    stolen = alice.tickets._received[BOB.peer_id].session
    own = carol.tickets._received[BOB.peer_id]
    own.session.ticket = stolen.ticket
    world, dialing, listening = begin(carol, bob)
    world.run(lambda: dialing.closed_by is not None)
    assert listening.log == []


def test_a_ticket_is_for_the_peer_it_was_given_to():
    """A ticket says who comes: with Alice's whole ticket it is Alice, whatever certificate the dialer would have shown."""
    alice, bob, carol = profile(ALICE, ON), profile(BOB, ON), profile(CAROL, ON)
    meet(alice, bob)
    carol.tickets._received[BOB.peer_id] = alice.tickets._received[BOB.peer_id]
    _, dialing, listening = meet(carol, bob)
    assert is_resumed(dialing, listening)
    assert listening.log[0].peer_id == ALICE.peer_id


def test_a_ticket_of_another_listener_is_refused():
    """A dialer that mistakes Carol's ticket for Bob's must authenticate Bob, and be authenticated."""
    alice, bob, carol = profile(ALICE, ON), profile(BOB, ON), profile(CAROL, ON)
    connection = Connection(alice, lambda: TODAY, SocketAddress(*LISTENER_ADDRESS), dialled=(ConnectionId(7), CAROL.peer_id))
    connection.connect(LISTENER_ADDRESS, 0.0)
    dialing = Ours(connection)
    world = World(dialing, Listener(carol))
    world.run(lambda: bool(dialing.heard(ConnectionHelloReceived)))
    world.quiet()
    assert list(alice.tickets._received) == [CAROL.peer_id]
    _, dialing, listening = meet(alice, bob)
    assert not is_resumed(dialing, listening)
    alice.tickets._received[BOB.peer_id] = alice.tickets._received[CAROL.peer_id]
    _, dialing, listening = meet(alice, bob)
    assert not is_resumed(dialing, listening)


def test_a_ticket_is_bound_to_its_chain():
    """The same node on another chain knows none of the tickets; and a name that is not ours is refused in a resumed handshake too."""
    alice, bob = profile(ALICE, ON), profile(BOB, ON)
    meet(alice, bob)
    kept = alice.tickets._received[BOB.peer_id]
    elsewhere = profile(ALICE, ON, DEVNET_CHAIN_ID), profile(BOB, ON, DEVNET_CHAIN_ID)
    elsewhere[0].tickets._received[BOB.peer_id] = kept
    _, dialing, listening = meet(*elsewhere)
    assert not is_resumed(dialing, listening)
    alice.tickets._received[BOB.peer_id] = kept
    world, dialing, listening = begin(alice, bob)
    world.exchange()
    listening.connection._proof._alpn = "another"
    world.run(lambda: dialing.closed_by is not None)
    assert listening.log == []
    assert listening.connection.reason.code is ReasonCode.AUTHENTICATION_FAILED


@pytest.mark.parametrize("whose", ["the dialer's", "the listener's"])
def test_a_ticket_lives_an_hour(whose):
    """Either side's clock ends it, whatever the other believes; then certificates are shown again."""
    long = ON.replace(ticket_lifetime_s=100_000.0)
    alice, bob = profile(ALICE, ON if whose == "the dialer's" else long), profile(BOB, long if whose == "the dialer's" else ON)
    meet(alice, bob)
    world, dialing, listening = meet(alice, bob, 3590.0)
    assert is_resumed(dialing, listening)
    _, dialing, listening = meet(alice, bob, world.now + 3601)
    assert not is_resumed(dialing, listening)


def test_more_early_bytes_than_are_taken_end_the_connection():
    """They are counted whatever they are; nothing of it is an event."""
    alice, bob = profile(ALICE, ON), profile(BOB, ON.replace(early_bytes_max=len(HELLO) + 10))
    meet(alice, bob)
    world, dialing, listening = begin(alice, bob)
    world.run(lambda: dialing.closed_by is not None)
    assert dialing.closed_by[0].code is ReasonCode.TRANSPORT_ERROR
    assert "early" in dialing.closed_by[0].detail
    assert listening.log == []


def test_nothing_but_the_hello_may_be_early():
    """A request on a stream of its own ends the connection: before the hellos there is the control stream only."""
    alice, bob = profile(ALICE, ON), profile(BOB, ON)
    meet(alice, bob)
    world, dialing, listening = begin(alice, bob)
    quic = dialing.connection.quic
    quic._remote_max_streams_bidi = 10
    quic.send_stream_data(4, b"\x04\x00\x00\x00\x04next", end_stream=True)
    world.run(lambda: dialing.closed_by is not None)
    assert dialing.closed_by[0].code is ReasonCode.STREAM_MISUSE
    assert listening.log == []


def test_a_long_hello_does_not_travel_early():
    """Ours is at most a quarter of what is taken, so that it may be repeated; the session is resumed all the same."""
    config = ON.replace(early_bytes_max=4 * len(HELLO) - 1)
    alice, bob = profile(ALICE, config), profile(BOB, config)
    meet(alice, bob)
    _, dialing, listening = meet(alice, bob)
    assert is_resumed(dialing, listening)
    assert not listening.connection.quic.tls.early_data_accepted or listening.connection.quic._early_bytes == 0


def test_a_hello_that_changed_ends_the_connection_and_the_next_dial_says_it():
    """What was said early can not be taken back; the ticket is used up, so the next connection says the new hello."""
    alice, bob = profile(ALICE, ON), profile(BOB, ON)
    meet(alice, bob)
    (kept,) = alice.tickets._received.values()
    alice.tickets._received[BOB.peer_id] = kept.replace(hello=b"an older hello")
    world, dialing, _ = begin(alice, bob)
    world.run(lambda: dialing.closed_by is not None)
    _, dialing, listening = meet(alice, bob)
    assert [event.frame for event in listening.heard(ConnectionHelloReceived)] == [HELLO]


@pytest.mark.parametrize("lost", range(8))
def test_any_one_datagram_of_a_resumed_handshake_may_be_lost(lost):
    """Whichever is lost, both hellos arrive once."""
    alice, bob = profile(ALICE, ON), profile(BOB, ON)
    meet(alice, bob)
    world, dialing, listening = begin(alice, bob)
    count = iter(range(10_000))
    world.passes = lambda sender, data: next(count) != lost
    world.run(lambda: bool(dialing.heard(ConnectionHelloReceived)))
    world.quiet(3)
    assert len(listening.heard(ConnectionHelloReceived)) == 1
    assert is_resumed(dialing, listening)


def test_a_listener_that_restarted_asks_for_certificates():
    """Tickets are kept in memory only."""
    alice = profile(ALICE, ON)
    meet(alice, profile(BOB, ON))
    _, dialing, listening = meet(alice, profile(BOB, ON))
    assert not is_resumed(dialing, listening)
    assert [event.frame for event in listening.heard(ConnectionHelloReceived)] == [HELLO]


def test_a_ticket_is_not_kept_of_a_connection_that_was_not_good():
    """Where the listener never says hello, there is nothing to resume."""
    alice, bob = profile(ALICE, ON), profile(BOB, ON)
    world, dialing, _ = begin(alice, bob, agrees=False)
    world.run(lambda: bool(dialing.heard(ConnectionEstablished)))
    world.quiet(1)
    assert not alice.tickets._received


def test_many_connections_leave_few_tickets():
    """A peer that comes again and again has as many tickets of ours as it may; each connection uses the last one up."""
    alice, bob = profile(ALICE, ON), profile(BOB, ON.replace(tickets_per_peer_max=2))
    for _ in range(5):
        alice.tickets.forget(BOB.peer_id)
        meet(alice, bob)
    assert len(bob.tickets) == 2
    assert len(alice.tickets) == 1


@given(st.lists(st.tuples(st.sampled_from(["give", "redeem", "keep", "take", "forget"]), st.integers(0, 3), st.floats(0, 40)), max_size=60))
def test_the_tickets_are_bounded_and_used_once(steps):
    """Whatever happens: bounds in each direction and by peer; what is redeemed was given, to that peer, not long ago, and never before."""

    class Session:
        def __init__(self, number: int) -> None:
            self.ticket = b"%d" % number

    peers = [SecretKey.deterministic(number + 1).peer_id for number in range(4)]
    tickets = Tickets(lifetime_s=100, tickets_max=5, per_peer_max=2)
    given_out: dict[bytes, tuple[Any, float]] = {}
    now = 0.0
    for number, (step, who, pause) in enumerate(steps):
        now += pause
        peer = peers[who]
        if step == "give":
            tickets.give(Session(number), peer, now)
            given_out[b"%d" % number] = peer, now
        elif step == "redeem" and given_out:
            name = sorted(given_out)[who % len(given_out)]
            owner, since = given_out.pop(name)
            found = tickets.redeem(name, now)
            assert found is None or (found.peer_id == owner and now - since < 100)
            assert tickets.redeem(name, now) is None
        elif step == "keep":
            tickets.keep(Session(number), peer, b"", now)
        elif step == "take":
            found = tickets.take(peer, now)
            assert found is None or now < found.until
            assert tickets.take(peer, now) is None
        elif step == "forget":
            tickets.forget(peer)
            assert tickets.take(peer, now) is None
            assert not [name for name, (owner, _) in given_out.items() if owner == peer and tickets.redeem(name, now)]
        assert len(tickets._given) <= 5
        assert len(tickets._received) <= 5
        assert max(map(len, tickets._names.values()), default=0) <= 2
        assert sum(map(len, tickets._names.values())) == len(tickets._given)


def test_a_banned_peer_is_offered_and_its_tickets_are_void():
    """Over sockets: bans are checked again, as the arrival is offered by its id before its early hello; rejected, it must show a certificate."""

    async def main() -> None:
        async with Node(1, ON) as alice, Node(2, ON) as bob:
            connection_id = await alice.dial(bob)
            await bob.until(lambda: bob.heard(ConnectionHelloReceived))
            assert await alice.until(lambda: len(alice.transport._profile.tickets)) == 1
            alice.leave(connection_id)
            bob.accepts = lambda _: False
            bob.log.clear()
            again = alice.begin_dial(bob.address.host, bob.address.port, bob.key.peer_id)
            (arrival,) = await bob.until(lambda: bob.heard(ConnectionIncomingReceived))
            assert arrival.peer_id == alice.key.peer_id
            (connection,) = [each for each in bob.transport._connections if each.handle == arrival.handle]
            assert connection.quic.is_resumed()
            assert len(bob.transport._profile.tickets) == 1
            bob.transport.perform(ConnectionEffectfulReject(TransportKind.QUIC, arrival.handle, Reason(ReasonCode.PEER_BANNED)))
            assert (await alice.fails(again))[0].code is ReasonCode.PEER_BANNED
            assert len(bob.transport._profile.tickets) == 0
            assert not bob.heard(ConnectionHelloReceived)

    asyncio.run(main())


def test_a_resumed_handshake_passes_a_retry():
    """Over sockets: the listener demands a Retry; the early hello is sent again with the new first flight, or after it."""

    async def main() -> None:
        async with Node(1, ON, answer=b"yes") as alice, Node(2, ON.replace(retry_above=0), answer=b"yes") as bob:
            for number in range(3):
                connection_id = await alice.dial(bob)
                assert await alice.ask(connection_id) == [b"yes"]
                (connection,) = alice.transport._connections
                assert connection.quic.is_resumed() == (number > 0)
                alice.leave(connection_id)

    asyncio.run(main())


def test_whole_nodes_resume():
    """State machines included: each meeting after the first is resumed, whichever node dials, and reaches both hellos."""

    def config(number: int) -> NodeConfig:
        return NodeConfig(
            secret_key=SecretKey.deterministic(number), chain_id=MAINNET_CHAIN_ID, host="127.0.0.1", port=0, seed=number,
            is_discovery_enabled=False, are_private_addresses_allowed=True, quic=ON,
        )  # fmt: skip

    async def main() -> None:
        async with WholeNode(config(1)) as alice, WholeNode(config(2)) as bob:
            resumed = []
            for number in range(6):
                dialing, listening = (alice, bob) if number % 2 else (bob, alice)
                left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                kept = asyncio.Event()
                tickets = dialing._runtime.transports[0]._profile.tickets
                keep = type(tickets).keep
                tickets.keep = lambda *ticket, tickets=tickets, kept=kept, keep=keep: (keep(tickets, *ticket), kept.set())
                end = listening._runtime.listen(
                    lambda event, left=left: left.set_result(None) if isinstance(event, PeerDisconnected) and not left.done() else None
                )
                made = await dialing.connect(listening.addresses[0])
                (connection,) = dialing._runtime.transports[0]._connections
                resumed.append(connection.quic.is_resumed())
                async with asyncio.timeout(60):
                    await kept.wait()
                assert dialing.disconnect(made.peer_id)
                async with asyncio.timeout(60):
                    await left
                end()
            assert resumed == [False, False, True, True, True, True]

    asyncio.run(main())

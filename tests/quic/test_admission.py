"""Who may begin a handshake; and that a flood of first packets does not stop honest peers."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter

import pytest
from aioquic.quic.packet import QuicPacketType, encode_quic_version_negotiation
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.transport import ConnectionHelloReceived
from mina_p2p_effects.transports.quic import QuicConfig
from mina_p2p_effects.transports.quic.admission import Admission, Admitted
from mina_p2p_effects.transports.quic.aioquic_hooks import first_header
from mina_p2p_effects.transports.quic.endpoint import UdpEndpoint
from mina_p2p_effects.transports.quic.exchanges import Phase
from mina_p2p_effects.transports.quic.gate import Gate, Limits
from quic.nodes import DEADLINE_S, Node
from quic.pairs import ALICE, BOB, DIALER_ADDRESS, LISTENER_ADDRESS, Listener, dialer, profile

HOST = DIALER_ADDRESS[0]


def first_packet() -> bytes:
    """What a dialer sends first."""
    ((data, _),) = dialer(profile(ALICE)).transmit(0.0)
    return data


def judge(admission: Admission, data: bytes, *, host: str = HOST, connections: int = 0, now: float = 0.0) -> Admitted | bytes | None:
    return admission.judge(data, (host, 1000), host, connections=connections, now=now)


def test_a_first_packet_is_admitted_and_counted():
    """It counts as pending until it is released, once."""
    admission = Admission(QuicConfig())
    admitted = judge(admission, first_packet())
    assert isinstance(admitted, Admitted)
    assert admitted.retry_cid is None
    assert admission.pending == 1
    admission.release(admitted.number)
    assert admission.pending == 0
    admission.release(admitted.number)
    assert admission.pending == 0


def test_only_whole_first_packets_are_looked_at():
    """Short datagrams, short headers, other packets and noise get no answer, so nobody can be made to receive one."""
    admission = Admission(QuicConfig())
    good = first_packet()
    for data in (
        b"",
        good[:1199],
        b"\x40" + good[1:],
        bytes((good[0] | 0x30,)) + good[1:],  # a Retry
        bytes((good[0] | 0x20,)) + good[1:],  # a Handshake packet
        good[:5] + b"\x07" + good[6:13] + good[14:] + b"\x00",  # a destination of seven bytes
        good[:5] + b"\xff" + good[6:],
        b"\xc0" + bytes(1300),
        encode_quic_version_negotiation(source_cid=b"12345678", destination_cid=b"12345678", supported_versions=[1]) + bytes(1200),
    ):
        assert judge(admission, data) is None
    assert admission.pending == 0


def test_another_version_is_told_ours():
    """A client of another version learns in one datagram, shorter than its own, which one we speak."""
    good = first_packet()
    reply = judge(Admission(QuicConfig()), good[:1] + b"\x6b\x33\x43\xcf" + good[5:])
    assert isinstance(reply, bytes)
    assert len(reply) < len(good)
    header = first_header(reply)
    assert header is not None
    assert header.packet_type is QuicPacketType.VERSION_NEGOTIATION
    assert list(header.supported_versions) == [1]


def proved(admission: Admission, host: str = HOST, now: float = 0.0, *, connections: int = 0) -> Admitted | bytes | None:
    """What becomes of a dialer that answers a Retry from its own address."""
    dialing = dialer(profile(ALICE))
    ((data, _),) = dialing.transmit(0.0)
    retry = judge(admission, data, host=host, now=now, connections=connections)
    if not isinstance(retry, bytes):
        return retry
    dialing.receive(retry, LISTENER_ADDRESS, 0.1)
    if dialing.closed_by is not None:
        return dialing.closed_by[0].code.name.encode()
    ((again, _),) = dialing.transmit(0.1)
    verdict = judge(admission, again, host=host, now=now, connections=connections)
    if isinstance(verdict, bytes):
        dialing.receive(verdict, LISTENER_ADDRESS, 0.2)
        assert dialing.closed_by is not None
        return dialing.closed_by[0].code.name.encode()
    return verdict


def is_retry(verdict: object) -> bool:
    header = first_header(verdict) if isinstance(verdict, bytes) else None
    return header is not None and header.packet_type is QuicPacketType.RETRY


@pytest.mark.parametrize(
    ("config", "admitted", "connections"),
    [
        (QuicConfig(retry_above=0, handshakes_pending_per_group_max=2), 2, 0),
        (QuicConfig(retry_above=0, handshakes_pending_max=3), 3, 0),
        (QuicConfig(retry_above=0, handshakes_burst_max=4), 4, 0),
        (QuicConfig(connections_max=5), 0, 5),
    ],
)
def test_over_a_limit_the_attempt_is_refused(config, admitted, connections):
    """Its address proved, the dialer learns CONNECTION_REFUSED, which is its `PEER_CAPACITY_FULL`."""
    admission = Admission(config)
    for _ in range(admitted):
        assert isinstance(proved(admission), Admitted)
    assert proved(admission, connections=connections) == b"PEER_CAPACITY_FULL"
    assert admission.pending == admitted


@pytest.mark.parametrize("config", [QuicConfig(retry_above=2), QuicConfig(retry_per_group_above=2), QuicConfig(handshakes_burst_max=2)])
def test_over_a_limit_an_unproved_address_must_prove_itself(config):
    """Of unproved addresses so many are taken, by pending or by rate; the next one gets a Retry, and a place with its token."""
    admission = Admission(config)
    for _ in range(2):
        assert isinstance(judge(admission, first_packet()), Admitted)
    assert is_retry(judge(admission, first_packet()))
    assert isinstance(proved(admission), Admitted)


def test_forged_addresses_take_no_place_of_proved_ones():
    """Thousands of first packets in the name of one network, and of many: a peer of that network that hears us gets in."""
    config = QuicConfig()
    admission = Admission(config)
    data = first_packet()
    for number in range(2000):
        judge(admission, data, host=HOST if number % 2 else f"10.{number >> 8}.{number & 255}.1")
    assert admission.pending <= config.retry_above
    for _ in range(config.handshakes_pending_per_group_max):
        assert isinstance(proved(admission), Admitted)
    assert proved(admission) == b"PEER_CAPACITY_FULL"


def test_the_rate_of_a_network_refills():
    """20 a second for ever: after a burst, one more each 50 ms; other networks have their own; loopback has no rate."""
    config = QuicConfig(retry_above=0, handshakes_pending_max=10_000, handshakes_pending_per_group_max=10_000)
    admission = Admission(config)
    for _ in range(config.handshakes_burst_max):
        assert isinstance(proved(admission), Admitted)
    assert not isinstance(proved(admission), Admitted)
    assert not isinstance(proved(admission, now=0.04), Admitted)
    assert isinstance(proved(admission, now=0.05), Admitted)
    assert not isinstance(proved(admission, now=0.05), Admitted)
    assert isinstance(proved(admission, "192.0.3.1", now=0.05), Admitted)
    for _ in range(config.handshakes_burst_max + 1):
        assert isinstance(proved(admission, "127.0.0.1", now=0.05), Admitted)


def test_where_all_places_are_taken_the_network_with_most_gives_one_up():
    """Three networks hold all places with proved addresses: a fourth gets in, at the cost of the oldest of the largest, once that is a crowd."""
    admission = Admission(QuicConfig(retry_above=0, handshakes_pending_max=8, handshakes_pending_per_group_max=5))
    taken = [proved(admission, host) for host in ("192.0.1.1", *(f"192.0.2.{number}" for number in range(5)), "192.0.3.1", "192.0.3.2")]
    newcomer = proved(admission, "192.0.4.1")
    assert isinstance(newcomer, Admitted)
    assert isinstance(taken[1], Admitted)
    assert newcomer.gives_way == taken[1].number
    assert admission.pending == 8
    assert proved(admission, "192.0.3.3") == b"PEER_CAPACITY_FULL"
    admission.release(taken[1].number)
    assert admission.pending == 8


def test_where_no_network_has_more_the_slowest_handshake_gives_way():
    """All places are held by different networks: nobody gives way within a second, then the oldest does."""
    admission = Admission(QuicConfig(retry_above=0, handshakes_pending_max=3, handshakes_pending_per_group_max=3))
    first, *_ = [proved(admission, f"192.0.{number}.1", now=0.1 * number) for number in range(3)]
    assert proved(admission, "192.0.9.1", now=0.9) == b"PEER_CAPACITY_FULL"
    newcomer = proved(admission, "192.0.9.1", now=1.0)
    assert isinstance(first, Admitted)
    assert isinstance(newcomer, Admitted)
    assert newcomer.gives_way == first.number


def test_honest_handshakes_are_over_before_a_crowd_of_a_thousand_networks_displaces_them():
    """Stalling handshakes from a thousand networks, 200 a second for ten seconds, and an honest one each 20 ms that takes 300 ms: all of those finish."""
    config = QuicConfig()
    gate = Gate(Limits(config.handshakes_pending_max, 32, 20.0, 64, config.handshake_patience_s))
    rate = 250
    honest: dict[int, float] = {}
    refused = displaced = finished = 0
    deadlines: list[tuple[float, int]] = []
    for number in range(10 * rate):
        now = number / rate
        for until, old in [entry for entry in deadlines if entry[0] <= now]:
            gate.leave(old)
            deadlines.remove((until, old))
        for old in [old for old, since in honest.items() if now - since >= 0.3]:
            gate.leave(old)
            del honest[old]
            finished += 1
        is_honest = number % (rate // 50) == 0
        entered = gate.enter(number, f"honest {number // (rate // 50) % 10}" if is_honest else f"crowd {number % 1000}", now, is_rated=True)
        if entered is None:
            refused += is_honest
            continue
        if entered.gives_way is not None:
            displaced += honest.pop(entered.gives_way, None) is not None
        if is_honest:
            honest[number] = now
        else:
            deadlines.append((now + config.handshake_timeout_s, number))
    assert displaced == 0
    assert refused == 0
    assert finished > 450


def test_a_limit_of_one_group_leaves_others_free():
    """Another network is not refused for it; IPv4 seen through IPv6 is the same group."""
    admission = Admission(QuicConfig(retry_per_group_above=1))
    assert isinstance(judge(admission, first_packet()), Admitted)
    assert is_retry(judge(admission, first_packet(), host="192.0.2.77"))
    assert isinstance(judge(admission, first_packet(), host="192.0.3.1"), Admitted)
    assert isinstance(judge(admission, first_packet(), host="2001:db8::1"), Admitted)
    assert is_retry(judge(admission, first_packet(), host="2001:db8::2"))


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.floats(0, 0.3), st.booleans(), st.booleans()),
        max_size=80,
    )
)
def test_no_gate_lets_more_through_than_its_limits(steps):
    """Whatever comes: pending by group and in all, beginnings within any second, and what is remembered, stay bounded."""
    gate = Gate(Limits(5, 3, rate=4.0, burst=3, patience_s=1.0))
    now = 0.0
    begun: dict[str, list[float]] = {}
    pending: dict[int, str] = {}
    for number, (group, pause, leaves, is_rated) in enumerate(steps):
        now += pause
        if leaves and pending:
            gate.leave(next(iter(pending)))
            del pending[next(iter(pending))]
        entered = gate.enter(number, group, now, is_rated=is_rated)
        if entered is not None:
            if entered.gives_way is not None:
                del pending[entered.gives_way]
            pending[number] = group
            if is_rated:
                begun.setdefault(group, []).append(now)
        assert len(gate) == len(pending) <= 5
        assert max(Counter(pending.values()).values(), default=0) <= 3
        for times in begun.values():
            assert sum(1 for time in times if time > now - 1) <= 3 + 4
        assert gate.remembered <= 4


def test_groups_are_forgotten():
    """A flood from a million networks is remembered only in part, and not at all when its rate is unused again."""
    gate = Gate(Limits(1, 1, rate=1.0, burst=1, patience_s=1.0))
    for number in range(10_000):
        if gate.enter(number, f"net {number}", number / 1e6, is_rated=True):
            gate.leave(number)
    assert gate.remembered <= Gate.GROUPS_MAX
    gate.enter(0, "last", 5.0, is_rated=True)
    assert gate.remembered == 1


@pytest.mark.parametrize(("change", "passes"), [("nothing", True), ("address", False), ("time", False), ("token", False)])
def test_a_retry_token_is_good_for_one_address_and_a_short_time(change, passes):
    """Another source, a later time, or a changed token is refused with INVALID_TOKEN."""
    admission = Admission(QuicConfig(retry_above=0))
    dialing = dialer(profile(ALICE))
    ((data, _),) = dialing.transmit(0.0)
    retry = judge(admission, data)
    assert isinstance(retry, bytes)
    assert len(retry) < len(data)
    dialing.receive(retry, ("198.51.100.2", 2000), 0.1)
    ((again, _),) = dialing.transmit(0.1)
    if change == "token":
        header = first_header(again)
        assert header is not None
        again = again.replace(header.token, header.token[:-1] + bytes((header.token[-1] ^ 1,)))
    verdict = judge(admission, again, host="192.0.2.2" if change == "address" else HOST, now=31.0 if change == "time" else 0.2)
    assert isinstance(verdict, Admitted if passes else bytes)
    assert admission.pending == int(passes)


def test_a_handshake_completes_through_a_retry():
    """Over sockets: the transport that demands a Retry from everybody is reached all the same."""

    async def main():
        async with Node(1) as alice, Node(2, QuicConfig(retry_above=0), answer=b"yes") as bob:
            assert await alice.ask(await alice.dial(bob)) == [b"yes"]

    asyncio.run(main())


def test_garbage_in_the_shape_of_a_first_packet_costs_no_state():
    """It is admitted by its header and dropped by its seal, at once."""
    good = first_packet()
    bad = good[:200] + bytes((good[200] ^ 1,)) + good[201:]
    listening = Listener(profile(BOB))
    listening.receive(bad, DIALER_ADDRESS, 0.0)
    assert listening.connection.phase is Phase.CLOSED
    assert listening.transmit(0.0) == []


def test_a_flood_of_first_packets_does_not_stop_an_honest_peer():
    """Hundreds of handshakes that nobody will finish: state stays within the limits, and an honest peer connects meanwhile."""

    async def main():
        config = QuicConfig(retry_above=8, handshakes_pending_max=16, handshakes_pending_per_group_max=16)
        async with Node(1) as alice, Node(2, config) as bob:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
                for _ in range(300):
                    flood.sendto(first_packet(), (bob.address.host, bob.address.port))
                    assert len(bob.transport._connections) <= 8
                connection_id = await alice.dial(bob)
                assert alice.heard(ConnectionHelloReceived, connection_id)
                assert 0 < bob.transport._admission.pending <= 8

    asyncio.run(main())


def test_a_crowd_of_proved_addresses_does_not_stop_an_honest_peer():
    """All places are held by one network that proved its address and goes no further: the oldest ends, an honest peer gets in."""

    async def main():
        loop = asyncio.get_running_loop()
        config = QuicConfig(retry_above=0, handshakes_pending_max=5, handshakes_pending_per_group_max=5)
        async with Node(1) as alice, Node(2, config) as bob:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as crowd:
                crowd.setblocking(False)
                crowd.bind(("127.7.7.7", 0))
                to_bob = (bob.address.host, bob.address.port)
                for _ in range(5):
                    dialing = dialer(profile(ALICE))
                    await loop.sock_sendto(crowd, dialing.transmit(0.0)[0][0], to_bob)
                    while not is_retry(retry := await asyncio.wait_for(loop.sock_recv(crowd, 2048), DEADLINE_S)):
                        pass  # what the handshakes before it say
                    dialing.receive(retry, LISTENER_ADDRESS, 0.1)
                    await loop.sock_sendto(crowd, dialing.transmit(0.1)[0][0], to_bob)
                    await asyncio.wait_for(loop.sock_recv(crowd, 2048), DEADLINE_S)
                assert bob.transport._admission.pending == 5
                await alice.dial(bob)
                assert bob.transport._admission.pending == 4
                assert bob.transport.refused == {ReasonCode.PEER_CAPACITY_FULL: 1}
                assert len(bob.transport._pending) == 4

    asyncio.run(main())


def test_what_the_system_can_not_take_at_once_waits_in_order_and_within_bounds():
    """A full socket buffer delays datagrams; beyond the bound they are dropped, as the network may."""

    class FullSocket:
        """A socket whose buffer is full until it is told otherwise."""

        def __init__(self, real: socket.socket) -> None:
            self.real = real
            self.is_full = True
            self.sent: list[bytes] = []

        def sendto(self, data: bytes, address: object) -> int:
            if self.is_full:
                raise BlockingIOError
            self.sent.append(data)
            return len(data)

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

    async def main():
        endpoint = await UdpEndpoint.bind("127.0.0.1", 0, QuicConfig(outbox_max=3), lambda batch: None)
        full = endpoint._socket = FullSocket(endpoint._socket)
        for number in range(5):
            assert endpoint.send(b"%d" % number, ("127.0.0.1", 9)) is None
        assert len(endpoint._outbox) == 3
        full.is_full = False
        await endpoint.flush(20)
        assert full.sent == [b"0", b"1", b"2"]
        assert endpoint.send(b"5", ("127.0.0.1", 9)) is None
        assert full.sent[-1] == b"5"
        endpoint.close()

    asyncio.run(main())

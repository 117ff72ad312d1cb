"""Who may begin a handshake; and that a flood of first packets does not stop honest peers."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aioquic.quic.packet import QuicPacketType, encode_quic_version_negotiation

from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.transport import ConnectionHelloReceived
from mina_p2p_effects.transports.quic import QuicConfig
from mina_p2p_effects.transports.quic.admission import Admission, Admitted
from mina_p2p_effects.transports.quic.aioquic_hooks import first_header
from mina_p2p_effects.transports.quic.connection import Phase
from mina_p2p_effects.transports.quic.endpoint import UdpEndpoint
from quic.nodes import Node
from quic.pairs import ALICE, BOB, DIALER_ADDRESS, Listener, dialer, profile

HOST = DIALER_ADDRESS[0]


def first_packet() -> bytes:
    """What a dialer sends first."""
    ((data, _),) = dialer(profile(ALICE)).transmit(0.0)
    return data


def judge(admission: Admission, data: bytes, *, host: str = HOST, connections: int = 0, now: float = 0.0) -> Admitted | bytes | None:
    return admission.judge(data, (host, 1000), host, connections=connections, now=now)


def test_a_first_packet_is_admitted_and_counted():
    """It counts as pending, in its group, until it is released."""
    admission = Admission(QuicConfig())
    admitted = judge(admission, first_packet())
    assert isinstance(admitted, Admitted)
    assert admitted.group == "192.0.2.0/24"
    assert admitted.retry_cid is None
    assert admission.pending == 1
    admission.release(admitted.group)
    assert admission.pending == 0
    assert not admission._pending


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


@pytest.mark.parametrize(
    ("config", "admitted", "connections"),
    [
        (QuicConfig(handshakes_pending_per_group_max=2), 2, 0),
        (QuicConfig(handshakes_pending_max=3), 3, 0),
        (QuicConfig(connections_max=5), 0, 5),
    ],
)
def test_over_a_limit_the_attempt_is_refused(config, admitted, connections):
    """The dialer learns CONNECTION_REFUSED, which is its `PEER_CAPACITY_FULL`."""
    admission = Admission(config)
    for _ in range(admitted):
        assert isinstance(judge(admission, first_packet()), Admitted)
    dialing = dialer(profile(ALICE))
    ((data, _),) = dialing.transmit(0.0)
    reply = judge(admission, data, connections=connections)
    assert isinstance(reply, bytes)
    dialing.receive(reply, ("198.51.100.2", 2000), 0.1)
    assert dialing.closed_by is not None
    assert dialing.closed_by[0].code is ReasonCode.PEER_CAPACITY_FULL
    assert admission.pending == admitted


def test_a_limit_of_one_group_leaves_others_free():
    """Another network is not refused for it; IPv4 seen through IPv6 is the same group."""
    admission = Admission(QuicConfig(handshakes_pending_per_group_max=1))
    assert isinstance(judge(admission, first_packet()), Admitted)
    assert isinstance(judge(admission, first_packet(), host="192.0.2.77"), bytes)
    assert isinstance(judge(admission, first_packet(), host="192.0.3.1"), Admitted)
    assert isinstance(judge(admission, first_packet(), host="2001:db8::1"), Admitted)
    assert isinstance(judge(admission, first_packet(), host="2001:db8::2"), bytes)


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
                    assert len(bob.transport._connections) <= 16
                connection_id = await alice.dial(bob)
                assert alice.heard(ConnectionHelloReceived, connection_id)
                assert 0 < bob.transport._admission.pending <= 8

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

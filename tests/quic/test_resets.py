"""A node that restarted tells its peers; nobody else can, and nobody can make it shout."""

from __future__ import annotations

import asyncio
import socket

from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.transport import ConnectionClosed
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.quic import QuicConfig, QuicTransport
from mina_p2p_effects.transports.quic.resets import StatelessResets, reset_key, reset_token
from quic.nodes import Node

KEY = reset_key(SecretKey.deterministic(1))


def test_tokens_follow_from_key_and_id():
    """The same after a restart; another key or another id has another."""
    assert reset_key(SecretKey.deterministic(1)) == KEY
    other = reset_key(SecretKey.deterministic(2))
    tokens = {reset_token(key, cid) for key in (KEY, other) for cid in (b"12345678", b"12345679")}
    assert len(tokens) == 4
    assert {len(token) for token in tokens} == {16}


@given(st.binary(max_size=1500))
def test_an_answer_is_shorter_than_its_cause_and_ends_in_the_token(data):
    """It looks like a packet with a short header; what is too short gets none."""
    answer = StatelessResets(KEY, 10).answer(data, 0.0)
    assert (answer is None) == (len(data) < 22)
    if answer is not None:
        assert 21 <= len(answer) < len(data)
        assert len(answer) <= 41
        assert answer[0] & 0xC0 == 0x40
        assert answer.endswith(reset_token(KEY, data[1:9]))


def test_answers_are_limited_by_second():
    """A flood gets so many, and the next second as many again."""
    resets = StatelessResets(KEY, 3)
    answers = [resets.answer(bytes(100), now) for now in (0.0, 0.5, 0.9, 0.99, 1.0, 1.1)]
    assert [answer is not None for answer in answers] == [True, True, True, False, True, True]


async def gone(node: Node) -> None:
    """A node that dies: its socket closes, nobody hears of it."""
    endpoint = node.transport._endpoint
    assert endpoint is not None
    endpoint.send = lambda data, address: None
    await node.transport.stop()


def test_a_peer_hears_of_a_restart_when_it_next_sends():
    """Over sockets: the listener dies without a word and comes again at its address; the dialer's next packet ends the connection."""

    async def main() -> None:
        async with Node(1) as alice, Node(2) as bob:
            connection_id = await alice.dial(bob)
            await gone(bob)
            again = Node(2)
            again.transport = QuicTransport(again.key, MAINNET_CHAIN_ID, bob.address.host, bob.address.port)
            async with again:
                alice.begin_ask(connection_id)
                reason, by_peer = await alice.fails(connection_id)
                assert "restarted" in reason.detail
                assert by_peer
                assert not alice.transport._reset_tokens
                await alice.dial(again)

    asyncio.run(main())


def test_another_node_at_the_address_can_not_end_the_connection():
    """Its resets have another key: they are noise."""

    async def main() -> None:
        async with Node(1) as alice, Node(2, answer=b"yes") as bob:
            connection_id = await alice.dial(bob)
            assert len(alice.transport._reset_tokens) == 1
            bob_endpoint = bob.transport._endpoint
            assert bob_endpoint is not None
            assert alice.transport._endpoint is not None
            alice_address = alice.transport._endpoint._socket.getsockname()
            wrong = StatelessResets(reset_key(SecretKey.deterministic(3)), 1000)
            cid = alice.transport._reset_tokens[next(iter(alice.transport._reset_tokens))].quic._peer_cid.cid
            for _ in range(50):
                forged = wrong.answer(b"\x40" + cid + bytes(60), 0.0)
                assert forged is not None
                bob_endpoint.send(forged, alice_address)
            assert await alice.ask(connection_id) == [b"yes"]
            assert not alice.heard(ConnectionClosed)

    asyncio.run(main())


def test_a_flood_of_strays_is_answered_within_the_limit():
    """Over sockets: hundreds of short-header packets for nobody; as many answers as a second allows, and an honest dial goes through."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with Node(1) as alice, Node(2, QuicConfig(resets_per_second_max=5)) as bob:
            bob.transport._stateless_resets._second = loop.time() + 3600  # all of the test is one second
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.setblocking(False)
                stranger.bind(("127.0.0.1", 0))
                for number in range(300):
                    stranger.sendto(b"\x40" + number.to_bytes(8, "big") + bytes(91), (bob.address.host, bob.address.port))
                await alice.dial(bob)
                answers = []
                try:
                    while True:
                        answers.append(stranger.recv(2048))
                except BlockingIOError:
                    pass
                assert len(answers) == 5
                assert len(set(answers)) == 5

    asyncio.run(main())

"""The caps over all connections of a node: whoever holds most gives way, and nobody else."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.transport import ConnectionClosed
from mina_p2p_effects.transports.quic import QuicConfig
from mina_p2p_effects.transports.quic.budget import Budget, Holding
from quic.nodes import Node

CAP = 1000


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["add", "shrink", "recount", "leave"]), st.integers(0, 700)), max_size=60))
def test_the_cap_holds_after_every_step(steps):
    """Whatever comes: never more than the cap is held; who gives way held most by an exact count, and gives way once."""
    budget = Budget(CAP)
    true_sizes = [0] * 5
    gone: list[int] = []
    holdings: list[Holding] = []
    asking = coming = 0

    def give_way(number: int) -> None:
        sizes = [size + (coming if other == asking else 0) for other, size in enumerate(true_sizes)]
        assert sizes[number] == max(sizes)
        gone.append(number)
        true_sizes[number] = 0

    holdings += [Holding(budget, lambda number=number: true_sizes[number], lambda number=number: give_way(number)) for number in range(5)]
    for number, step, size in steps:
        asking = number
        if number in gone:
            continue
        if step == "add":
            coming = size
            holdings[number].add(size)
            true_sizes[number] += size if number not in gone else 0
            coming = 0
        elif step == "shrink":
            true_sizes[number] -= min(size, true_sizes[number])
        elif step == "recount":
            holdings[number].recount()
        else:
            true_sizes[number] = 0
            holdings[number].leave()
            gone.append(number)
        assert sum(true_sizes) <= budget.total <= CAP
        assert budget.total == sum(holding.size for holding in holdings)
    assert len(gone) == len(set(gone))


def test_what_left_counts_no_more():
    """A connection that is gone neither holds nor gives way again."""
    budget = Budget(CAP)
    holding = Holding(budget, lambda: 1 // 0, lambda: pytest.fail("gave way after it had left"))
    holding.add(10)
    holding.leave()
    holding.add(5000)
    holding.recount()
    holding.leave()
    assert budget.total == 0


def test_one_that_holds_more_than_all_may_gives_way_itself():
    """Also where it is the only one."""
    budget = Budget(CAP)
    gone = []
    holding = Holding(budget, lambda: CAP, lambda: gone.append(True))
    holding.add(CAP)
    assert not gone
    holding.add(1)
    assert gone == [True]
    assert budget.total == 0


def test_the_reducer_learns_which_connection_gave_way():
    """Over sockets: a peer that reads nothing loses its connection when another one is answered, which loses nothing."""

    async def main() -> None:
        config = QuicConfig(send_total_bytes_max=2 << 20)
        async with Node(1) as slow, Node(2, config, answer=bytes(700_000)) as bob, Node(3) as quick:
            to_bob = await slow.dial(bob)
            also_to_bob = await quick.dial(bob)
            asyncio.get_running_loop().remove_reader(slow.transport._endpoint._socket)
            for _ in range(2):
                slow.begin_ask(to_bob)
            await bob.until(lambda: len(bob.log) > 6)
            for _ in range(3):
                assert await quick.ask(also_to_bob) == [bytes(700_000)]
            (event,) = bob.heard(ConnectionClosed)
            assert event.reason.code is ReasonCode.CHANNEL_SEND_FAILED
            assert not event.by_peer
            assert [connection.peer_id for connection in bob.transport._connections] == [quick.key.peer_id]

    asyncio.run(main())

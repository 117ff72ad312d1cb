"""Any network of nodes that pull, push or do both: everything reaches everybody, once, and then all is quiet."""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st
from slices.items import block, insert_payment, insert_snark, payment, snark, state_hash

from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.ids import SECOND
from mina_p2p.libp2p.notifications import NetworkPubsubPublished
from mina_p2p.notifications import ItemReceived
from relay.worlds import World, own_tip

GIFTS = {payment(1): insert_payment(1), payment(2): insert_payment(2), snark(1): insert_snark(1)}
Edge: TypeAlias = tuple[int, int, bool]
"""Two nodes, and whether they push to each other or pull."""


@st.composite
def networks(draw: st.DrawFn) -> tuple[int, list[Edge]]:
    """A connected network: a tree, and some more edges that make circles."""
    count = draw(st.integers(2, 6))
    tree = [(draw(st.integers(0, node - 1)), node, draw(st.booleans())) for node in range(1, count)]
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1), st.booleans())
    more = [(min(one, two), max(one, two), pushes) for one, two, pushes in draw(st.lists(pairs, max_size=4)) if one != two]
    return count, list(dict.fromkeys([*tree, *more]))


@settings(max_examples=40, deadline=None)
@given(networks(), st.integers(0, 1000), st.lists(st.integers(0, 5), min_size=4, max_size=4), st.integers(0, 3))
def test_everything_reaches_everybody_once(shape: tuple[int, list[Edge]], seed: int, sources: list[int], pause: int) -> None:
    """Items from anywhere, one after the other or at once."""
    count, edges = shape
    world = World(seed)
    pushing = {node for one, two, pushes in edges if pushes for node in (one, two)}
    nodes = [world.node(pushes=number in pushing) for number in range(count)]
    for one, two, pushes in edges:
        (world.push if pushes else world.pull)(nodes[one], nodes[two])
    world.run()
    for source, gift in zip(sources, (*GIFTS.values(), BestTipSet(block(1), state_hash(1))), strict=True):
        nodes[source % count].dispatch(gift)
        world.run(pause * SECOND)
    world.run(30 * SECOND)

    published = 0
    for node in nodes:
        software = world.of(node)
        told = Counter(item.body for item in software.heard(ItemReceived))
        assert max(told.values(), default=0) <= 1, "nobody is asked twice"
        pools = node.state.pools
        held = {item.body for pool in (pools.transaction, pools.snark) for item in pool.items.items.values()}
        assert held == set(GIFTS)
        assert own_tip(node) == block(1)
        assert (len(node.state.relay.messages), len(node.state.relay.by_item)) == (0, 0)
        published += len(software.heard(NetworkPubsubPublished))
    assert published <= 4 * len(pushing)
    world.run(60 * SECOND)
    later = sum(len(world.of(node).heard(NetworkPubsubPublished)) for node in nodes)
    assert later == published, "nothing is said again"

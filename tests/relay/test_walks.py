"""What is given in one world arrives in the other, once, and nothing goes round in circles."""

from __future__ import annotations

import pytest
from slices.items import block, insert_payment, insert_snark, payment, payment_info, snark, state_hash

from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.gossipsub.actions import Verdict
from mina_p2p.ids import ChannelId
from mina_p2p.libp2p.notifications import NetworkPubsubMessageReceived, NetworkPubsubPublished
from mina_p2p.notifications import BestTipReceived, ItemReceived
from mina_p2p.relay.config import ALL, RelayConfig, Relayed
from mina_p2p.testing.sim import SimNode
from relay.worlds import World, is_pushed, network, own_tip

GIFTS = (insert_payment(3), insert_snark(1), BestTipSet(block(1), state_hash(1)))
BODIES = {payment(3), snark(1), block(1)}


def give(node: SimNode) -> None:
    """The node software has something of each kind."""
    for gift in GIFTS:
        node.dispatch(gift)


def has_all(node: SimNode) -> bool:
    """Whether a node could give each of them to others."""
    pools = node.state.pools
    bodies = {item.body for channel in (ChannelId.TRANSACTION, ChannelId.SNARK) for item in pools.of(channel).items.items.values()}
    return bodies | {own_tip(node)} == BODIES


def pushed(world: World, node: SimNode) -> list[bytes]:
    """What its node software was told that had been gossiped."""
    told = world.of(node).told
    found = [one for one in told if isinstance(one, ItemReceived | BestTipReceived) and is_pushed(one)]
    return [one.body if isinstance(one, ItemReceived) else one.block for one in found]


def is_idle(*nodes: SimNode) -> bool:
    """Whether nothing waits between the worlds."""
    return all(not len(node.state.relay.messages) and not len(node.state.relay.by_item) for node in nodes)


def test_from_who_pulls_through_a_relay_to_who_pushes() -> None:
    """In the words of the pull protocol, by libp2p, with a verdict that lets it go on."""
    world = World()
    source, relay, sink = world.node(), world.node(pushes=True), world.node(pushes=True)
    world.pull(source, relay)
    world.push(relay, sink)
    world.run()
    give(source)
    world.run()
    assert has_all(relay)
    assert has_all(sink)
    assert sorted(world.of(sink).bodies) == sorted(BODIES)
    assert all(map(is_pushed, world.of(sink).heard(ItemReceived)))
    assert not any(map(is_pushed, world.of(relay).heard(ItemReceived)))
    assert is_idle(relay, sink)


def test_from_who_pushes_through_a_relay_to_who_pulls() -> None:
    """What was gossiped is pulled from the relay like anything else."""
    world = World()
    source, relay, sink = world.node(pushes=True), world.node(pushes=True), world.node()
    world.push(source, relay)
    world.pull(sink, relay)
    world.run()
    give(source)
    world.run()
    assert has_all(sink)
    assert sorted(pushed(world, relay)) == sorted(BODIES), "who pulled the block tells it back as its own tip, but that is no gossip"
    assert sorted(world.of(sink).bodies) == sorted(BODIES)
    assert all(map(is_pushed, world.of(relay).heard(ItemReceived)))
    assert not world.of(relay).heard(NetworkPubsubPublished), "GossipSub passes it on; nothing is published anew"
    assert is_idle(source, relay)


def test_a_chain_of_both() -> None:
    """Pull, push, push, pull: two relays with gossip between them."""
    world = World()
    first, left, middle, right, last = (world.node(pushes=0 < n < 4) for n in range(5))
    world.pull(first, left)
    world.push(left, middle, right)
    world.pull(right, last)
    world.run()
    give(first)
    world.run()
    for node in (left, middle, right, last):
        assert has_all(node), node.number
        assert len(world.of(node).heard(ItemReceived)) == 2, node.number
    assert sorted(pushed(world, middle)) == sorted(pushed(world, right)) == sorted(BODIES)
    assert pushed(world, left) == pushed(world, last) == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("are_relays_joined", [False, True])
def test_a_diamond_delivers_once(seed: int, are_relays_joined: bool) -> None:
    """Two relays between who pulls and who pushes; neither tells its node software twice, nor does the last one."""
    world = World(seed)
    source, left, right, sink = world.node(), world.node(pushes=True), world.node(pushes=True), world.node(pushes=True)
    world.pull(left, source, right)
    world.push(left, sink, right)
    if are_relays_joined:
        world.pull(left, right)
        world.push(left, right)
    world.run()
    give(source)
    world.run()
    for node in (left, right, sink):
        assert has_all(node)
        assert len(world.of(node).heard(ItemReceived)) == 2
    assert len(world.of(sink).heard(BestTipReceived)) == 1
    published = [len(world.of(node).heard(NetworkPubsubPublished)) for node in (left, right, sink)]
    assert published[2] == 0
    assert 3 <= sum(published) <= 6, "each item by one of the two, or by both at the same moment"
    assert is_idle(left, right, sink)


@pytest.mark.parametrize("seed", range(5))
def test_a_diamond_the_other_way_delivers_once(seed: int) -> None:
    world = World(seed)
    source, left, right, sink = world.node(pushes=True), world.node(pushes=True), world.node(pushes=True), world.node()
    world.push(left, source, right)
    world.pull(left, sink, right)
    world.run()
    give(source)
    world.run()
    for node in (left, right, sink):
        assert has_all(node)
        assert len(world.of(node).heard(ItemReceived)) == 2
    assert not world.of(left).heard(NetworkPubsubPublished)
    assert not world.of(right).heard(NetworkPubsubPublished)


def test_what_a_relay_finds_invalid_goes_no_further() -> None:
    """Pulled, its sender is left; gossiped, the message is rejected, and whoever passed it on is not held to account."""
    world = World()
    puller, relay, pusher = world.node(), world.node(pushes=True), world.node(pushes=True)
    world.pull(puller, relay)
    world.push(relay, pusher)
    world.run()
    world.of(relay).verdict = lambda _told: Verdict.REJECT
    give(pusher)
    world.run()
    assert len(world.of(relay).bodies) == 3
    assert world.of(puller).bodies == []
    assert network(relay).links.contacts
    assert len(relay.state.relay.remembered) == 0
    puller.dispatch(insert_payment(4))
    world.run()
    assert payment(4) not in world.of(pusher).bodies
    assert relay.state.connection_of(puller.config.peer_id) is None
    assert is_idle(relay, pusher)


def test_without_a_verdict_nothing_is_passed_on_and_nothing_waits_for_ever() -> None:
    """The deadline makes it an IGNORE: later the same thing may come another way."""
    world = World()
    source, relay, sink = world.node(pushes=True), world.node(pushes=True), world.node(pushes=True)
    world.push(source, relay, sink)
    world.run()
    world.of(relay).verdict = lambda _told: None
    give(source)
    world.run()
    assert len(relay.state.relay.messages) == 3
    world.run(relay.config.relay.verdict)
    assert is_idle(relay)
    assert len(network(relay).gossipsub.validating) == 0
    assert world.of(sink).bodies == []
    assert network(relay).links.connection_to(source.config.peer_id) is not None
    assert len(relay.state.relay.remembered) == 0


def test_an_ignored_block_costs_nobody_anything() -> None:
    world = World()
    source, relay, sink = world.node(pushes=True), world.node(pushes=True), world.node(pushes=True)
    world.push(source, relay, sink)
    world.run()
    world.of(relay).verdict = lambda _told: Verdict.IGNORE
    source.dispatch(GIFTS[2])
    world.run()
    assert world.of(relay).bodies == [block(1)]
    assert world.of(sink).bodies == []
    assert is_idle(relay)
    assert len(network(relay).links.contacts) == 2


@pytest.mark.parametrize(
    ("push_to_pull", "pull_to_push"),
    [(ALL, ()), ((), ALL), ((), ()), ((Relayed.BLOCK,), (Relayed.SNARK,)), ((Relayed.SNARK, Relayed.TRANSACTION), (Relayed.BLOCK,))],
)
def test_the_share_is_a_setting(push_to_pull: tuple[Relayed, ...], pull_to_push: tuple[Relayed, ...]) -> None:
    """Each kind, each way; gossip of what is not relayed reaches the node software as it came."""
    kinds = {Relayed.TRANSACTION: payment(3), Relayed.SNARK: snark(1), Relayed.BLOCK: block(1)}
    world = World()
    puller, pusher = world.node(), world.node(pushes=True)
    relay = world.node(pushes=True, relay=RelayConfig(push_to_pull, pull_to_push))
    world.pull(puller, relay)
    world.push(relay, pusher)
    world.run()
    give(pusher)
    world.run()
    assert set(world.of(puller).bodies) == {kinds[kind] for kind in push_to_pull}
    assert len(world.of(relay).heard(NetworkPubsubMessageReceived)) == 3 - len(push_to_pull)

    world = World()
    puller, pusher = world.node(), world.node(pushes=True)
    relay = world.node(pushes=True, relay=RelayConfig(push_to_pull, pull_to_push))
    world.pull(puller, relay)
    world.push(relay, pusher)
    world.run()
    give(puller)
    world.run()
    assert set(world.of(pusher).bodies) == {kinds[kind] for kind in pull_to_push}


def test_what_was_gossiped_is_not_gossiped_anew_when_it_is_pulled() -> None:
    """And the other way round: what we hear of what we have said is ours already."""
    world = World()
    puller, relay, pusher = world.node(), world.node(pushes=True), world.node(pushes=True)
    world.pull(puller, relay)
    world.push(relay, pusher)
    world.run()
    pusher.dispatch(insert_payment(3))
    puller.dispatch(insert_payment(3))
    world.run()
    assert len(world.of(relay).heard(ItemReceived)) == 1
    assert len(world.of(relay).heard(NetworkPubsubPublished)) + len(world.of(pusher).heard(NetworkPubsubPublished)) <= 2
    assert payment_info(3).hash in relay.state.pools.of(ChannelId.TRANSACTION).items
    assert is_idle(relay, pusher)

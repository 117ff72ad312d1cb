"""The log of a node between the worlds holds all that crossed it, and replays."""

from __future__ import annotations

from slices.items import block, insert_payment, insert_snark, state_hash

from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.channels.rpc.messages import BestTipWithProofRequest, BlockRequest
from mina_p2p.gossipsub.actions import NetworkPubsubPublish
from mina_p2p.ids import RequestId
from mina_p2p.libp2p.actions import NetworkHandOver
from mina_p2p.libp2p.config import TOPIC_V0
from mina_p2p.notifications import RpcRequested
from mina_p2p.reducer import p2p_machine
from mina_p2p.relay.actions import PeerAnswer, PeerAsk, RelayItemJudged, RelayItemOffer, RelayTipOffer
from mina_p2p.trace import BytesSource, Reader, Schema, Tape, Writer, WriterOptions, replay
from relay.worlds import World, network


def test_the_log_of_a_relay_replays() -> None:
    """Gossip, pulled things, questions both ways: every value is checked against its type while it is recorded."""
    schema, world = Schema.of(p2p_machine()), World()
    puller, pusher, relay = world.node(), world.node(pushes=True), world.node(pushes=True)
    writer = Writer(
        relay.store.machine, "mina_p2p", relay.store.state, schema=schema, options=WriterOptions(hash_inputs=5, is_checked=True)
    )
    relay.store.observe(writer.add)
    seen: set[type] = set()
    relay.store.observe(lambda _action, _now, steps, _state: seen.update(type(step.action) for step in steps))
    world.pull(puller, relay)
    world.push(pusher, relay)
    world.run()
    for gift in (insert_payment(1), BestTipSet(block(1), state_hash(1))):
        puller.dispatch(gift)
    pusher.dispatch(insert_snark(1))
    pusher.dispatch(NetworkPubsubPublish(TOPIC_V0, b"no message"))
    world.run()
    pusher.dispatch(PeerAsk(RequestId(1), relay.config.peer_id, BlockRequest(state_hash(1))))
    pusher.dispatch(PeerAsk(RequestId(2), relay.config.peer_id, BestTipWithProofRequest()))
    relay.dispatch(PeerAsk(RequestId(3), pusher.config.peer_id, BestTipWithProofRequest()))
    world.run()
    for node in (pusher, relay):
        for question in world.of(node).heard(RpcRequested):
            node.dispatch(PeerAnswer(question.connection_id, question.serial, None))
    world.run()
    assert {NetworkHandOver, RelayItemJudged, RelayItemOffer, RelayTipOffer, PeerAsk, PeerAnswer} <= seen
    assert len(network(relay).gossipsub.validating) == 0
    writer.close()
    tape = Tape(schema)
    log = b"".join(tape.append(chunk) for chunk in writer.take()) + tape.finish()
    result = replay(Reader(BytesSource(log)), p2p_machine(), schema)
    assert (result.divergence, result.is_verified) == (None, True)
    assert result.state_hash == schema.state_hash(relay.state)

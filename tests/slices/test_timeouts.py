"""Time: what ends when, how a node says when it wants to be woken, and that one turn is bounded."""

from __future__ import annotations

from mina_p2p.channels.rpc.actions import RpcRequestSend
from mina_p2p.channels.rpc.messages import RPC_MESSAGE, BestTipWithProofRequest, RpcResponseMessage
from mina_p2p.config import Limits, Timeouts
from mina_p2p.disconnection.actions import Shutdown
from mina_p2p.ids import MILLISECOND, SECOND, ChannelId, RequestId, Timestamp
from mina_p2p.notifications import ConnectionFailed
from mina_p2p.peer.actions import PeerBan, PeerDiscovered
from mina_p2p.peer.state import PeerSource
from mina_p2p.serving import serve_within
from mina_p2p.testing.sim import Simulation
from mina_p2p.timeouts import is_due, next_deadline, next_wake
from mina_p2p.transport import ChannelsEffectfulRequestSend, ConnectionEffectfulDial
from slices.items import commitment
from slices.lab import START, Lab, address, peer_id
from slices.test_peers import WHY


def test_an_idle_node_sleeps() -> None:
    """Nothing waits, nothing is wished for: no wake-up."""
    lab = Lab(limits=Limits(peers_min=0))
    assert next_deadline(lab.state) is None
    assert next_wake(lab.state, lab.now) is None


def test_a_node_that_stops_sleeps_for_ever() -> None:
    """However many peers it knows; bans still end."""
    lab = Lab()
    lab.feed(PeerDiscovered(address(1), PeerSource.USER, None))
    lab.feed(Shutdown())
    assert next_wake(lab.state, lab.now) is None


def test_a_node_with_somebody_to_dial_wakes_soon() -> None:
    """In its next tick."""
    lab = Lab()
    lab.feed(PeerDiscovered(address(1), PeerSource.USER, None))
    assert next_wake(lab.state, lab.now) == lab.now + Timeouts().granularity


def test_the_wake_up_is_the_earliest_deadline() -> None:
    """Of whichever slice: a ban, a dial, a hello, a permission, a question, a verdict."""
    lab = Lab(limits=Limits(peers_min=0))
    waits: list[int] = []

    def soonest(duration: int) -> None:
        waits.append(duration)
        at = next_wake(lab.state, lab.now)
        assert at is not None
        assert min(waits) <= at - lab.now < min(waits) + Timeouts().granularity

    lab.feed(PeerBan(peer_id(9), Timestamp(lab.now + 1_000 * SECOND), WHY))
    soonest(1_000 * SECOND)
    connection_id = lab.accept(1)
    soonest(Timeouts().parked_permission)
    lab.announce(connection_id, ChannelId.SNARK_JOB_COMMITMENT, commitment(1))
    soonest(Timeouts().verdict)
    lab.ask(connection_id, 1, BestTipWithProofRequest())
    soonest(serve_within(Timeouts(), BestTipWithProofRequest()))
    lab.feed(RpcRequestSend(connection_id, RequestId(1), BestTipWithProofRequest()))
    soonest(Timeouts().rpc_best_tip_with_proof)
    lab.arrive(2)
    soonest(Timeouts().hello)


def test_deadlines_are_never_early_and_at_most_a_tick_late() -> None:
    """To the nanosecond on one side, to the granularity on the other."""
    lab = Lab(timeouts=Timeouts(outgoing_connection=7 * SECOND + 1))
    lab.dial(1)
    lab.wait(7 * SECOND)
    assert not lab.of(ConnectionFailed)
    lab.wait(1)
    early = len(lab.of(ConnectionFailed))
    lab.wait(100 * MILLISECOND)
    assert early + len(lab.of(ConnectionFailed)) == 1


def test_one_turn_takes_a_bounded_number_of_ends() -> None:
    """The rest is due at once in the next turn, and nothing is forgotten."""
    lab = Lab(limits=Limits(peers_max=50, peers_min=0, deadlines_per_turn_max=8))
    for n in range(200, 230):
        lab.arrive(n)
    ended: list[int] = []
    for _ in range(5):
        lab.wait(60 * SECOND if not ended else 0)
        ended.append(len(lab.of(ConnectionFailed)))
    assert ended == [8, 8, 8, 6, 0]
    assert not is_due(lab.state, lab.now) or not lab.of(ConnectionFailed)


def test_every_wait_of_a_connection_ends_with_it() -> None:
    """Nothing in any wheel names a connection that is gone; what stays is the peer's back-off and open verdicts."""
    lab = Lab(limits=Limits(peers_min=0))
    connection_id = lab.accept(1)
    lab.announce(connection_id, ChannelId.SNARK_JOB_COMMITMENT, commitment(1))
    lab.ask(connection_id, 1, BestTipWithProofRequest())
    lab.feed(RpcRequestSend(connection_id, RequestId(1), BestTipWithProofRequest()))
    lab.close(connection_id)
    waits = [len(w) for w in (lab.state.connections.deadlines, lab.state.channels.deadlines)]
    assert waits == [0, 0]
    assert (len(lab.state.peers.deadlines), len(lab.state.pools.deadlines)) == (1, 1)


def test_a_question_that_the_node_software_forgets_is_answered() -> None:
    """With ``None``, before the peer's patience ends (C5)."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.ask(connection_id, 4, BestTipWithProofRequest())
    lab.wait(Timeouts().serve)
    (frame,) = lab.answers()
    assert RPC_MESSAGE.decode(frame) == RpcResponseMessage(4, None)


def test_time_does_not_go_back() -> None:
    """A look at the clock at the same time as before is harmless."""
    lab = Lab()
    lab.dial(1)
    lab.wait(60 * SECOND)
    before = len(lab.all)
    lab.wait(0)
    assert not [e for e in lab.all[before:] if not isinstance(e, ConnectionEffectfulDial | ChannelsEffectfulRequestSend)]
    assert lab.now >= START


def test_a_simulated_node_sleeps_between_deadlines() -> None:
    """A day of two connected nodes is a few thousand dispatches, not a million ticks."""
    simulation = Simulation(1)
    one = simulation.add(limits=Limits(peers_min=0))
    two = simulation.add(initial_peers=(one.port.dial_address,), limits=Limits(peers_min=1))
    assert simulation.run(SECOND, until=lambda: bool(one.ready_peers() and two.ready_peers()))
    dispatches = [0]
    one.store.observe(lambda *_: dispatches.__setitem__(0, dispatches[0] + 1))
    simulation.run(86_400 * SECOND)
    assert one.ready_peers()
    assert dispatches[0] < 4_000

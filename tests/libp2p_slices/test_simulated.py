"""The libp2p nodes in the simulator: whole networks from one seed, faults and healing, and what carries them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mina_p2p.address import Domain, Ipv4, Libp2pAddress
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import InvariantViolationError
from mina_p2p.gossipsub.effects import NetworkPubsubEffectfulSign, NetworkPubsubEffectfulVerify
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, ConnectionId, RequestId, StreamId
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.links import Linked
from mina_p2p.libp2p.notifications import NetworkPubsubMessageReceived
from mina_p2p.libp2p.protocols import IDENTIFY, PING, RPC
from mina_p2p.testing.course import Options, Outcome
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.faults import FaultKind, partition
from mina_p2p.testing.libp2p_campaign import KINDS, NetworkRun, simulate_network
from mina_p2p.testing.libp2p_liars import NETWORK_LIARS, NetworkLiar
from mina_p2p.testing.libp2p_streams import HUNG_UP, signature, signing
from mina_p2p.testing.libp2p_world import check_network
from mina_p2p.testing.links import IDLE, MemoryPort
from mina_p2p.testing.network import MemoryNetwork
from mina_p2p.transport import SocketAddress
from mina_p2p_effects.cli import main

REASON = Reason(ReasonCode.FREE_UP_SPACE)


class Pair:
    """Two ports of a network that carries libp2p streams, and what they are told."""

    def __init__(self) -> None:
        self.network = MemoryNetwork(1, jitter_percent=0)
        self.told: list[list[Any]] = [[], []]
        self.ports: list[MemoryPort] = [
            self.network.attach(PeerId(bytes([n]) * 32), SocketAddress(f"1.{n}.1.1", 8302), self.told[n].append) for n in range(2)
        ]

    def do(self, who: int, effect: Any) -> None:
        self.network.perform_libp2p(self.ports[who], effect, self.network.now)

    def settle(self) -> None:
        while self.network.next_at() is not None:
            self.network.deliver_next()

    def take(self, who: int) -> list[Any]:
        self.settle()
        told, self.told[who][:] = list(self.told[who]), []
        return told

    def dial(self, number: int = 1) -> tuple[ConnectionId, ConnectionId]:
        """A connection, as each side calls it."""
        mine = ConnectionId(number)
        self.do(0, port.Libp2pEffectfulDial(mine, self.ports[1].libp2p_address))
        (opened,), (theirs,) = self.take(0), self.take(1)
        assert (opened.connection_id, opened.peer_id, opened.is_dialer) == (mine, self.ports[1].peer_id, True)
        assert (theirs.peer_id, theirs.is_dialer, theirs.remote.port != 8302) == (self.ports[0].peer_id, False, True)
        return mine, theirs.connection_id

    def open(self, mine: ConnectionId, *protocols: str) -> tuple[StreamId, StreamId]:
        """A stream, as each side calls it."""
        self.do(0, port.Libp2pEffectfulStreamOpen(mine, StreamId(7), protocols))
        (agreed,), (theirs,) = self.take(0), self.take(1)
        assert (agreed.protocol, agreed.is_ours, theirs.protocol, theirs.is_ours) == (theirs.protocol, True, agreed.protocol, False)
        assert theirs.stream >= port.FIRST_PEER_STREAM
        return agreed.stream, theirs.stream


def test_several_connections_with_one_peer() -> None:
    """As Go nodes make them: each has ids of its own, and ends alone."""
    pair = Pair()
    (first, theirs), (second, others) = pair.dial(1), pair.dial(2)
    assert theirs != others
    pair.do(0, port.Libp2pEffectfulDisconnect(first, REASON))
    assert pair.take(0) == [port.Libp2pConnectionClosed(first, REASON, False)]
    assert pair.take(1) == [port.Libp2pConnectionClosed(theirs, HUNG_UP, True)]
    pair.open(second, IDENTIFY.name)


def test_what_is_said_on_a_stream_arrives_in_order_and_both_ends_end_it() -> None:
    """Behind the opening, before its end; and nothing after it."""
    pair = Pair()
    mine, theirs = pair.dial()
    stream = StreamId(7)
    pair.do(0, port.Libp2pEffectfulStreamOpen(mine, stream, ("/unknown", RPC.name)))
    for data in (b"one", b"two"):
        pair.do(0, port.Libp2pEffectfulSend(mine, stream, data))
    pair.do(0, port.Libp2pEffectfulStreamEnd(mine, stream))
    pair.do(0, port.Libp2pEffectfulSend(mine, stream, b"late"))
    foreign = StreamId(port.FIRST_PEER_STREAM + 7)
    assert pair.take(1) == [
        port.Libp2pStreamOpened(theirs, foreign, RPC.name, False),
        port.Libp2pStreamMessageReceived(theirs, foreign, b"one"),
        port.Libp2pStreamMessageReceived(theirs, foreign, b"two"),
        port.Libp2pStreamEnded(theirs, foreign),
    ]
    pair.take(0)
    pair.do(1, port.Libp2pEffectfulSend(theirs, foreign, b"answer"))
    pair.do(1, port.Libp2pEffectfulStreamEnd(theirs, foreign))
    assert pair.take(0) == [port.Libp2pStreamMessageReceived(mine, stream, b"answer"), port.Libp2pStreamEnded(mine, stream)]
    pair.do(1, port.Libp2pEffectfulSend(theirs, foreign, b"late"))
    pair.do(0, port.Libp2pEffectfulStreamReset(mine, stream))
    assert (pair.take(0), pair.take(1)) == ([], [])


def test_a_reset_is_told_once() -> None:
    pair = Pair()
    mine, theirs = pair.dial()
    stream, foreign = pair.open(mine, PING.name)
    pair.do(1, port.Libp2pEffectfulStreamReset(theirs, foreign))
    pair.do(0, port.Libp2pEffectfulSend(mine, stream, b"crosses it"))
    assert pair.take(0) == [port.Libp2pStreamLost(mine, stream, True)]
    assert pair.take(1) == []


def test_a_protocol_that_nobody_speaks() -> None:
    """The stream is lost; the other side never hears of it."""
    pair = Pair()
    mine, _ = pair.dial()
    pair.do(0, port.Libp2pEffectfulStreamOpen(mine, StreamId(7), ("/unknown",)))
    assert pair.take(0) == [port.Libp2pStreamLost(mine, StreamId(7), False, "no common protocol")]
    assert pair.take(1) == []


def test_a_message_that_is_too_long_costs_the_stream() -> None:
    pair = Pair()
    mine, theirs = pair.dial()
    stream, foreign = pair.open(mine, IDENTIFY.name)
    pair.do(0, port.Libp2pEffectfulSend(mine, stream, bytes(IDENTIFY.message_bytes_max + 1)))
    (lost,) = pair.take(1)
    assert (lost.connection_id, lost.stream, lost.by_peer) == (theirs, foreign, False)
    assert pair.take(0) == [port.Libp2pStreamLost(mine, stream, True)]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        (Libp2pAddress(PeerId(bytes([1]) * 32), Ipv4.of(9, 9, 9, 9), 8302), ReasonCode.TRANSPORT_ERROR),
        (Libp2pAddress(PeerId(bytes([7]) * 32), Ipv4.of(1, 1, 1, 1), 8302), ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH),
        (Libp2pAddress(PeerId(bytes([1]) * 32), Domain("node-1.example"), 8302), ReasonCode.ADDRESS_UNRESOLVED),
    ],
)
def test_a_dial_that_comes_to_nothing_says_why(address: Libp2pAddress, code: ReasonCode) -> None:
    """Nobody there, somebody else there, a name that is not found."""
    pair = Pair()
    pair.network.names["node-1.example"] = "1.1.1.1"
    pair.ports[0].can_resolve = False
    pair.do(0, port.Libp2pEffectfulDial(ConnectionId(1), address))
    (closed,) = pair.take(0)
    assert (closed.connection_id, closed.reason.code, closed.by_peer) == (1, code, False)


def test_signatures_are_of_their_author() -> None:
    """What stands for ed25519 tells good from bad."""
    own, other = PeerId(bytes(32)), PeerId(bytes([1]) * 32)
    signed = signing(NetworkPubsubEffectfulSign(3, b"data"), own)
    assert (signed.request_id, getattr(signed, "signature", b"")) == (3, signature(own, b"data"))
    for author, found, good in [(own, signature(own, b"data"), True), (other, signature(own, b"data"), False), (own, bytes(64), False)]:
        answer = signing(NetworkPubsubEffectfulVerify(4, author, b"data", found), other)
        assert getattr(answer, "is_valid", None) is good


def test_a_calm_network_grows_from_one_seed() -> None:
    """All that know only the seed find each other; a message reaches all of them; twice the same."""
    first, again = (simulate_network(Options(5, 16, transactions=3, peers=6)) for _ in range(2))
    assert first.is_good
    assert first.up_at is not None
    assert first.missing == ()
    assert first == again
    assert simulate_network(Options(6, 16, transactions=3, peers=6)).trace_hash != first.trace_hash


@pytest.mark.parametrize("seed", range(3))
def test_a_network_heals(seed: int) -> None:
    """Whatever happened: safe all the time, well again after it, and a new message reaches all of it."""
    outcome = simulate_network(Options(seed, 10, KINDS, is_swarm=True, peers=5, transactions=10, fault_duration=60 * SECOND))
    assert outcome.is_good, (outcome.violations, outcome.missing)
    assert outcome.faults


@pytest.mark.parametrize("strategy", NETWORK_LIARS, ids=lambda strategy: strategy.__name__)
def test_liars_harm_nobody_else(strategy: type[NetworkLiar], monkeypatch: pytest.MonkeyPatch) -> None:
    """Honest nodes stay joined, accuse no honest one, and what one of them says reaches all the others."""
    options = Options(4, 16, (FaultKind.LIARS,), transactions=4, peers=5, fault_duration=20 * SECOND)
    run = NetworkRun(options, strategies=(strategy,))
    lied: list[bool] = []
    for member in run.world.members:
        if member.liar is not None:
            monkeypatch.setattr(member.liar, "perform", watched(member.liar.perform, lied))
    outcome = finish(run)
    assert outcome.is_good, (outcome.violations, outcome.missing)
    assert outcome.liars == (strategy.__name__,) * 2
    assert any(lied)


def watched(perform: Any, lied: list[bool]) -> Any:
    def performed(state: Any, effect: Any) -> list[Any]:
        done = list(perform(state, effect))
        lied.append(done != [effect])
        return done

    return performed


def run_with(**options: Any) -> NetworkRun:
    return NetworkRun(Options(1, 6, transactions=1, peers=3, **options))


def finish(run: NetworkRun) -> Outcome:
    while run.advance():
        pass
    return run.outcome()


def test_a_broken_state_is_found() -> None:
    """The invariants are those of the libp2p slices; a contact nobody is connected with is none."""
    run = run_with(check_every=1)
    run.advance()
    run.world.simulation.run(20 * SECOND)
    state = run.world.nodes_up()[0].state
    number, link = next((number, link) for number, link in state.links.table.items() if isinstance(link, Linked))
    check_network(state)
    with pytest.raises(InvariantViolationError, match="links"):
        check_network(state.replace(links=state.links.replace(table=state.links.table.delete(number))))
    assert link.peer in state.links.contacts


def test_a_message_given_twice_is_a_violation() -> None:
    run = run_with()
    run.world.simulation.run(10 * SECOND)
    member = run.world.up()[1]
    node = member.node
    assert node is not None
    told = NetworkPubsubMessageReceived(RequestId(999), "t", b"again", b"", node.config.peer_id, node.config.peer_id)
    for _ in range(2):
        node.software(node, told)
    assert len(run.world.violations) == 1
    assert "twice" in run.world.violations[0]
    assert not finish(run).is_good


def test_a_network_that_stays_apart_does_not_converge() -> None:
    """Liveness is looked at: a part of the members is cut off for good, and the last message does not come to them."""
    run = run_with()
    fault = partition(run.world, Dice(3))
    run.world.simulation.after(5 * SECOND - 1, lambda: next(fault))
    outcome = finish(run)
    assert not outcome.converged
    assert "have not heard" in outcome.violations[0]


def test_a_listener_that_dies_during_a_handshake_is_missed() -> None:
    """The dialer, who knows whom it met, hears in time that nobody is there."""
    pair = Pair()
    pair.do(0, port.Libp2pEffectfulDial(ConnectionId(1), pair.ports[1].libp2p_address))
    while not pair.told[0]:
        pair.network.deliver_next()
    pair.network.detach(pair.ports[1], pair.network.now)
    opened, closed = pair.take(0)
    assert (opened.connection_id, closed.connection_id, closed.reason) == (1, 1, IDLE)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """With --network libp2p the same report, and a command that shows the seed again."""
    arguments = ["simulate", "--network", "libp2p", "--nodes", "8", "--seed", "3", "--faults", "loss", "--transactions", "2"]
    assert main([*arguments, "--duration", "10", "--twice", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["converged"], report["deterministic"], report["faults"]) == (True, True, ["loss"])
    assert "--network libp2p" in report["command"]


@pytest.mark.parametrize("extra", [["--faults", "duplication"], ["--liars", "Silent"], ["--record", "logs"]])
def test_what_does_not_fit_is_refused(extra: list[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kinds of faults that do not exist here, liars, logs: exit code 2."""
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", "--network", "libp2p", "--nodes", "4", "--seed", "1", *extra]) == 2

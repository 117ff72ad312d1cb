"""`/mina/node-status`: whoever asks reads ours, and what peers write of themselves is read within bounds."""

from __future__ import annotations

import pytest

from libp2p_slices.lab import Network, Node, check, peer_id
from libp2p_slices.pairs import IN, THEIRS, Alone
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.ids import ConnectionId, RequestId, StreamId
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.machine import NetworkCheckTimeouts, network_machine
from mina_p2p.libp2p.node_status.actions import NetworkStatusAsk, NetworkStatusSet
from mina_p2p.libp2p.node_status.state import ASKS_MAX, STATUS_BYTES_MAX
from mina_p2p.libp2p.notifications import NetworkStatusFailed, NetworkStatusReceived
from mina_p2p.libp2p.protocols import IDENTIFY, NODE_STATUS

STATUS = b'{"daemon_status": "synced"}'
ASK = NetworkStatusAsk(RequestId(7), peer_id(1))


def asking() -> tuple[Alone, StreamId]:
    """A node that reads the status of peer 1."""
    alone = Alone()
    alone.known(1)
    alone.feed(ASK)
    ((_, stream),) = alone.opened(NODE_STATUS.name)
    alone.feed(port.Libp2pStreamOpened(IN, stream, NODE_STATUS.name, True))
    assert not alone.did(port.Libp2pEffectfulSend)  # who asks only reads
    check(alone.state)
    return alone, stream


@pytest.mark.parametrize("status", [STATUS, b""])
def test_whoever_opens_a_stream_reads_our_status(status: bytes) -> None:
    """It is written and ended; nothing is written where there is none."""
    alone = Alone()
    alone.feed(NetworkStatusSet(status))
    alone.known(1)
    alone.stream(NODE_STATUS.name)
    assert [effect.data for effect in alone.did(port.Libp2pEffectfulSend)] == ([status] if status else [])
    assert [effect.stream for effect in alone.did(port.Libp2pEffectfulStreamEnd)] == [THEIRS]
    alone.feed(port.Libp2pStreamEnded(IN, THEIRS))
    assert alone.state.links.stream(IN, THEIRS) is None


def test_a_reader_that_does_not_end_is_reset() -> None:
    """After ten seconds, as the helper does; and one that speaks at once."""
    alone = Alone()
    alone.known(1)
    alone.stream(NODE_STATUS.name)
    alone.feed(NetworkCheckTimeouts(), alone.later(11))
    assert [effect.stream for effect in alone.did(port.Libp2pEffectfulStreamReset) if effect.stream == THEIRS] == [THEIRS]
    other = StreamId(THEIRS + 1)
    alone.stream(NODE_STATUS.name, other)
    alone.message(b"hello?", other)
    assert [effect.stream for effect in alone.did(port.Libp2pEffectfulStreamReset)] == [other]


def test_a_status_is_read_in_pieces() -> None:
    alone, stream = asking()
    for at in range(0, len(STATUS), 10):
        alone.message(STATUS[at : at + 10], stream)
    alone.feed(port.Libp2pStreamEnded(IN, stream))
    assert alone.did(NetworkStatusReceived) == [NetworkStatusReceived(RequestId(7), peer_id(1), STATUS)]
    assert alone.state.links.stream(IN, stream) is None
    check(alone.state)
    alone.feed(ASK)
    assert alone.opened(NODE_STATUS.name)


def test_a_status_without_end_is_given_up() -> None:
    """More bytes than any has, more time than it may take, or nothing at all."""
    alone, stream = asking()
    for _ in range(16):
        alone.message(bytes(1 << 16), stream)
    assert not alone.did(NetworkStatusFailed)
    alone.message(b"!", stream)
    assert [failed.detail for failed in alone.did(NetworkStatusFailed)] == ["longer than any status"]
    assert [effect.stream for effect in alone.did(port.Libp2pEffectfulStreamReset)] == [stream]
    check(alone.state)

    alone, stream = asking()
    alone.feed(port.Libp2pStreamMessageReceived(IN, stream, b"{"), alone.later(9))
    assert not alone.did(NetworkStatusFailed)
    alone.feed(port.Libp2pStreamMessageReceived(IN, stream, b"}"), alone.later(2))
    assert [failed.detail for failed in alone.did(NetworkStatusFailed)] == ["not complete in time"]
    check(alone.state)

    alone, stream = asking()
    alone.feed(NetworkCheckTimeouts(), alone.later(11))
    assert [failed.request_id for failed in alone.did(NetworkStatusFailed)] == [7]
    check(alone.state)


@pytest.mark.parametrize(
    "event",
    [
        port.Libp2pConnectionClosed(IN, Reason(ReasonCode.TRANSPORT_ERROR), True),
        port.Libp2pStreamLost(IN, StreamId(99), True, "no common protocol"),
    ],
)
def test_a_status_whose_stream_is_lost_fails(event: port.Libp2pConnectionClosed | port.Libp2pStreamLost) -> None:
    alone, stream = asking()
    alone.feed(event.replace(stream=stream) if isinstance(event, port.Libp2pStreamLost) else event)
    assert [failed.request_id for failed in alone.did(NetworkStatusFailed)] == [7]
    check(alone.state)


def test_what_can_not_be_asked_is_refused() -> None:
    """Somebody who is not there, or does not speak it, twice the same, too many; and a status of ours that is too long."""
    alone = Alone()
    alone.known(1)
    alone.known(2, ConnectionId(IN + 1), protocols=(IDENTIFY.name,))
    for ask in (
        NetworkStatusAsk(RequestId(1), peer_id(3)),
        NetworkStatusAsk(RequestId(1), peer_id(2)),
        ASK.replace(request_id=RequestId(0)),
    ):
        before = alone.state
        alone.feed(ask)
        assert alone.state is before
        assert "not connected" in (network_machine().why_refused(before, ask, alone.now) or "")
    for number in range(ASKS_MAX + 2):
        alone.feed(ASK.replace(request_id=RequestId(1 + number % (ASKS_MAX + 1))))
    assert len(alone.state.node_status.asks) == ASKS_MAX
    check(alone.state)
    before = alone.state
    alone.feed(NetworkStatusSet(bytes(STATUS_BYTES_MAX + 1)))
    assert alone.state is before


def test_two_nodes_read_each_other() -> None:
    network = Network([Node(0), Node(1, 0)])
    network.run(1)
    one, other = network.nodes[peer_id(0)], network.nodes[peer_id(1)]
    network.feed(one, NetworkStatusSet(STATUS))
    for node, request in ((other, NetworkStatusAsk(RequestId(1), one.peer_id)), (one, NetworkStatusAsk(RequestId(2), other.peer_id))):
        network.feed(node, request)
    assert [told.status for node in (other, one) for told in node.told if isinstance(told, NetworkStatusReceived)] == [STATUS, b""]

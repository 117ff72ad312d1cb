"""What this project takes from aioquic's inside, hook by hook. A failure here names the hook that a version of aioquic broke."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import tomllib
from pathlib import Path

import aioquic
import pytest
from aioquic import tls
from aioquic.buffer import Buffer
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicErrorCode, pull_quic_transport_parameters
from aioquic.quic.stream import QuicStreamReceiver

from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import ChannelId, StreamId
from mina_p2p.transport import ChannelsMessageReceived, ConnectionHelloReceived, ConnectionIncomingReceived
from mina_p2p_effects.transports.quic import QuicTransport, aioquic_hooks
from mina_p2p_effects.transports.quic.aioquic_hooks import EndingKind, PullQuicConnection, QuicProfile, contract, missing_hooks
from mina_p2p_effects.transports.quic.config import QuicConfig
from quic.pairs import ALICE, BOB, CAROL, Listener, StockServer, World, attacked, connected, dialer, profile, stock_client
from quic.test_certificate import build


def test_every_private_name_exists():
    """If this fails, its message is the list of what the installed aioquic renamed or dropped."""
    assert missing_hooks() == []


def test_the_version_under_test_is_one_that_is_declared():
    """The installed aioquic is within what pyproject.toml allows; MINA_P2P_AIOQUIC, where it is set, says which one the run is about.

    The contract is run against the newest version and the lowest::

        pip install --no-deps --target lowest "aioquic==1.7.0"
        MINA_P2P_AIOQUIC=1.7.0 PYTHONPATH=lowest pytest tests/quic/test_aioquic_contract.py
    """
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text()
    (requirement,) = [each for each in tomllib.loads(text)["project"]["dependencies"] if each.startswith("aioquic")]
    lowest, highest = (tuple(map(int, part.lstrip(">=<").split("."))) for part in requirement.removeprefix("aioquic").split(","))
    installed = tuple(int(part) for part in aioquic.__version__.split(".")[:3] if part.isdigit())
    assert lowest <= installed < highest
    assert os.environ.get("MINA_P2P_AIOQUIC", aioquic.__version__) == aioquic.__version__
    assert f"aioquic{requirement.removeprefix('aioquic')}" in aioquic_hooks.REQUIREMENT


@pytest.mark.parametrize(
    "name", ["_server_expect_finished", "_server_handle_hello", "_client_handle_certificate_verify", "session_resumed"]
)
def test_a_missing_name_of_the_tls_engine_is_named(monkeypatch, name):
    """The same for the handshake's own parts."""
    monkeypatch.delattr(tls.Context, name)
    assert missing_hooks() == [f"tls.Context.{name}"]


def test_every_private_name_that_is_used_is_listed():
    """Names with an underscore in the package that are neither ours nor in the contract would break without being named."""
    package = Path(aioquic_hooks.__file__).parent
    trees = [ast.parse(path.read_text()) for path in package.glob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    ours = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)} - set(contract._OVERRIDDEN)
    for cls in (PullQuicConnection, QuicProfile, aioquic_hooks.GaplessReceiver):
        source = "".join(inspect.getsource(each) for each in cls.__mro__ if each.__module__.startswith("mina_p2p_effects"))
        ours |= set(re.findall(r"self\.(_\w+)(?:: [^=\n]+)? = ", source)) - {name for names in contract.NEEDED.values() for name in names}
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")}
    assert used - ours - set(contract._OVERRIDDEN) - {name for names in contract.NEEDED.values() for name in names} == set()


def test_a_transport_says_what_is_missing_before_it_begins(monkeypatch):
    """With a version that does not fit, `start` raises with the names and with what to install."""
    monkeypatch.delattr(QuicConnection, "_write_stream_limits")
    transport = QuicTransport(ALICE, MAINNET_CHAIN_ID, "127.0.0.1", 0)
    with pytest.raises(CallerError, match=r"QuicConnection\._write_stream_limits; install aioquic>=1\.7,<2"):
        asyncio.run(transport.start(lambda event: None))


@pytest.mark.parametrize("name", ["_write_stream_limits", "_handle_ack_frame", "_get_or_create_stream"])
def test_a_missing_method_is_named(monkeypatch, name):
    """`missing_hooks` is what says so to a user, before anything is sent."""
    monkeypatch.delattr(QuicConnection, name)
    assert missing_hooks() == [f"QuicConnection.{name}"]


def test_the_server_asks_for_a_certificate():
    """Hook: tls.Context._request_client_certificate. A stock client is asked, and a stock server does not ask."""
    attacker, listening = stock_client(CAROL), Listener(profile(BOB))
    world = World(attacker, listening)
    world.run(lambda: bool(listening.heard(ConnectionIncomingReceived)))
    assert attacker.quic.tls._certificate_request is not None
    assert listening.heard(ConnectionIncomingReceived)[0].peer_id == CAROL.peer_id


def test_both_sides_judge_inside_the_handshake():
    """Hooks: tls.Context._client/_server_handle_certificate_verify. The judge sees DER and ALPN; refusal is a TLS alert."""
    seen = []
    dialing, listening = dialer(profile(ALICE)), Listener(profile(BOB))
    judge = dialing.connection.quic._judge
    dialing.connection.quic._judge = lambda chain, alpn: (seen.append((chain, alpn)), judge(chain, alpn))
    world = World(dialing, listening)
    world.run(lambda: bool(dialing.heard(ConnectionHelloReceived)))
    ((chain, alpn),) = seen
    assert [type(each) for each in chain] == [bytes]
    assert alpn == listening.profile.alpn
    assert dialing.connection.quic.is_judged
    assert listening.connection.quic.is_judged


def test_an_alert_of_ours_reaches_the_peer():
    """Hook: an exception derived from tls.Alert closes with CRYPTO_ERROR + alert."""
    attacker, listening = stock_client(None, own=build(CAROL, fault="signature")), Listener(profile(BOB))
    world = World(attacker, listening)
    world.run(lambda: attacker.ended is not None)
    assert attacker.ended.error_code == QuicErrorCode.CRYPTO_ERROR + tls.AlertDescription.bad_certificate


def test_a_resumed_handshake_asks_for_no_certificate():
    """Hooks: tls.Context._server_handle_hello and _server_expect_finished. aioquic would wait for a certificate that it did not ask for."""
    config = QuicConfig(are_sessions_resumed=True)
    alice, bob = profile(ALICE, config), profile(BOB, config)
    for resumed in (False, True):
        dialing, listening = dialer(alice), Listener(bob)
        world = World(dialing, listening)
        world.run(lambda dialing=dialing: bool(dialing.heard(ConnectionHelloReceived)))
        world.quiet()
        assert [end.connection.quic.is_resumed() for end in (dialing, listening)] == [resumed] * 2


def test_early_data_is_counted():
    """Hook: _payload_received. Its context names the epoch, and 0-RTT packets pass through it."""
    config = QuicConfig(are_sessions_resumed=True)
    alice, bob = profile(ALICE, config), profile(BOB, config)
    for resumed in (False, True):
        dialing, listening = dialer(alice), Listener(bob)
        world = World(dialing, listening)
        world.run(lambda dialing=dialing: bool(dialing.heard(ConnectionHelloReceived)))
        world.quiet()
        assert bool(listening.connection.quic._early_bytes) == resumed


def test_packets_without_anything_to_repeat_are_forgotten():
    """Hook: QuicPacketSpace.sent_packets. Packets of acknowledgements alone are not in flight, and may be dropped."""
    world, attacker, listening = attacked()
    for _ in range(1500):
        attacker.send_frame(0x01, b"", world.now)
        for data, _ in attacker.spool:
            listening.receive(data, world.dialer_address, world.now)
        attacker.spool.clear()
        world.now += 0.002
        listening.transmit(world.now)
    sent = listening.connection.quic._spaces[tls.Epoch.ONE_RTT].sent_packets
    assert len(sent) < 800
    attacker.quic.send_stream_data(4, b"\x04\x00\x00\x00\x04next", end_stream=True)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))


def test_only_one_key_share_is_offered():
    """Hook: tls.Context._supported_groups. X25519 alone."""
    server = StockServer(build(BOB))
    dialing = dialer(profile(ALICE))
    World(dialing, server).exchange()
    context = dialing.connection.quic.tls
    assert context._x25519_private_key is not None
    assert context._ec_private_keys == []


@pytest.mark.parametrize("ours_dials", [True, False])
def test_the_transport_parameters_are_the_mappings(ours_dials):
    """Hooks: _local_max_* and _serialize_transport_parameters. No credit for answers, one constant for requests, no stream but the control stream."""
    if ours_dials:
        stock = StockServer(build(BOB))
        world = World(dialer(profile(ALICE)), stock)
        world.run(lambda: stock.quic is not None and stock.quic._handshake_complete)
    else:
        _, stock, _ = attacked()
    quic = stock.quic
    assert quic._remote_max_data == (1 << 62) - 1
    assert quic._remote_max_stream_data_bidi_local == 0
    assert quic._remote_max_stream_data_bidi_remote == QuicConfig().request_bytes_max + 5
    assert quic._remote_max_stream_data_uni == 0
    assert quic._remote_max_streams_uni == 0
    raw = next(data for kind, data in quic.tls.received_extensions if kind == tls.ExtensionType.QUIC_TRANSPORT_PARAMETERS)
    parameters = pull_quic_transport_parameters(Buffer(data=raw))
    assert parameters.max_udp_payload_size == 1472
    assert parameters.initial_max_streams_bidi == (0 if ours_dials else 1)
    assert not parameters.disable_active_migration


def test_windows_do_not_grow_by_arrival():
    """Hook: _write_stream_limits. What arrived and was not consumed moves no window."""
    world, attacker, listening = attacked()
    listening.connection.request(ChannelId.RPC, StreamId(1), b"?", 1 << 20, 1 << 20)
    world.quiet()
    window = QuicConfig().answer_window_bytes
    assert attacker.quic._streams[1].max_stream_data_remote == window
    attacker.send_stream(1, 1, bytes(1000), world.now)  # out of order: arrived, not consumable
    world.quiet()
    assert attacker.quic._streams[1].max_stream_data_remote == window


def test_a_lost_grant_is_repeated():
    """Hook: _on_max_stream_data_delivery. A MAX_STREAM_DATA frame that is lost comes again."""
    world, dialing, listening = connected()
    world.passes = lambda sender, data: False
    dialing.connection.request(ChannelId.RPC, StreamId(4), b"?", 100, 100)
    world.exchange()
    world.passes = lambda sender, data: True
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    world.quiet()
    assert listening.connection.quic._streams[4].max_stream_data_remote == 100


def test_a_lost_stream_limit_is_repeated():
    """Hook: _on_connection_limit_delivery. A MAX_STREAMS frame that is lost comes again."""
    dialing, listening = dialer(profile(ALICE)), Listener(profile(BOB), peer_streams=3)
    world = World(dialing, listening)
    world.run(lambda: bool(listening.heard(ConnectionHelloReceived)))
    world.passes = lambda sender, data: False
    world.exchange()
    world.passes = lambda sender, data: True
    world.run(lambda: dialing.connection.quic._remote_max_streams_bidi == 4)


def test_early_data_is_not_allocated():
    """Hook: QuicStream.receiver. The receiver of every stream is ours, so that a gap costs nothing."""
    world, attacker, listening = attacked()
    attacker.send_stream(4, 16_000, b"x", world.now)
    world.exchange()
    receivers = [stream.receiver for stream in listening.connection.quic._streams.values()]
    assert len(receivers) == 2
    assert all(type(receiver) is aioquic_hooks.GaplessReceiver for receiver in receivers)
    assert all(isinstance(receiver, QuicStreamReceiver) and not receiver._buffer for receiver in receivers)


def test_a_close_is_known_in_the_datagram_that_carries_it():
    """Hooks: _close_event and _state. aioquic's own event comes only after the draining period."""
    world, dialing, listening = connected()
    dialing.connection.close(Reason(ReasonCode.USER_REQUEST))
    world.exchange()
    ending = listening.connection.quic.ending()
    assert ending is not None
    assert (ending.kind, ending.is_application, ending.code) == (EndingKind.PEER, True, ReasonCode.USER_REQUEST)
    ending = dialing.connection.quic.ending()
    assert ending is not None
    assert ending.kind is EndingKind.LOCAL


def test_silence_is_told_apart():
    """Hook: _state TERMINATED after the idle time-out."""
    world, dialing, _ = connected(QuicConfig(keep_alive_s=1000, idle_timeout_s=3))
    world.passes = lambda sender, data: False
    dialing.connection._keep_alive_at = lambda: None
    world.run(lambda: dialing.closed_by is not None)
    ending = dialing.connection.quic.ending()
    assert ending is not None
    assert ending.kind is EndingKind.SILENCE


def test_a_path_probe_has_its_size_and_costs_no_congestion_window():
    """Hooks: _flush_builder, _packet_number, packet.in_flight. One datagram of exactly the size asked for, acknowledged as such."""
    world, dialing, _ = connected(QuicConfig(datagram_probe_bytes=1200))
    quic = dialing.connection.quic
    reports = []
    in_flight = quic._loss.bytes_in_flight
    ((data, _),) = quic.path_probe(1400, world.now, reports.append)
    assert len(data) == 1400
    assert quic._loss.bytes_in_flight == in_flight
    world.ends[1].receive(data, world.dialer_address, world.now)
    world.quiet()
    assert reports == [True]
    quic.path_probe(1400, world.now, reports.append)
    window = quic._loss.congestion_window
    world.quiet(2)
    assert reports == [True, False]
    assert quic._loss.congestion_window >= window


def test_the_library_logs_nothing(caplog):
    """Hook: _logger. aioquic warns through a logger that prints where nobody configured logging."""
    caplog.set_level("DEBUG", "quic")
    world, dialing, listening = connected()
    dialing.connection.close(Reason(ReasonCode.USER_REQUEST))
    world.exchange()
    assert listening.closed_by
    names = {type(connection.quic._logger).__name__ for connection in (dialing.connection, listening.connection)}
    assert names == {"_NoLogger"}
    assert caplog.records == []


def test_a_paced_sender_sends_in_bursts_that_a_timer_can_keep():
    """Hooks: _pacing_at and QuicPacketPacer.bucket_max. It waits for a millisecond's worth at least, and may then send two."""
    world, dialing, listening = connected()
    dialing.connection.request(ChannelId.RPC, StreamId(4), b"?", 1_000_000, 1_000_000)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))
    listening.connection.answer(StreamId(4), (b"x" * 600_000,), ends=True)
    quic = listening.connection.quic
    waits = []
    send = quic.datagrams_to_send

    def observed(now):
        datagrams = send(now)
        if quic._pacing_at is not None:
            waits.append(quic._pacing_at - now)
        return datagrams

    quic.datagrams_to_send = observed
    world.run(lambda: len(dialing.heard(ChannelsMessageReceived)) > 0)
    burst = QuicConfig().pacing_burst_s
    assert quic._loss._pacer.bucket_max >= burst
    assert waits
    assert min(waits) > burst / 2 - 1e-9


def test_a_disposed_connection_holds_nothing():
    """Hook: the instance's dictionary. Reference cycles are gone before the collector runs."""
    _, dialing, _ = connected()
    dialing.connection.quic.dispose()
    assert vars(dialing.connection.quic) == {}


def test_handshake_buffers_are_released():
    """Hook: _crypto_buffers. An idle connection keeps no TLS output buffer, and post-handshake messages still work."""
    world, dialing, listening = connected()
    assert dialing.connection.quic._crypto_buffers == {}
    assert listening.connection.quic._crypto_buffers == {}
    dialing.connection.quic.request_key_update()
    dialing.connection.request(ChannelId.RPC, StreamId(4), b"after the update", 10, 10)
    world.run(lambda: bool(listening.heard(ChannelsMessageReceived)))


def test_what_can_not_be_sent_any_more_ends_by_a_reset():
    """Hooks: sender._reset_error_code and _buffer_stop. An end where all was sent, a reset where bytes wait for credit, nothing twice."""
    world, dialing, _ = connected()
    quic = dialing.connection.quic
    waits = QuicConfig().request_bytes_max + 6
    for stream, size in ((4, 10), (8, waits)):
        quic.send_stream_data(stream, bytes((1,)) + (size - 5).to_bytes(4, "big") + bytes(size - 5))
    world.quiet(0.05)
    for stream in (4, 8):
        quic.end_sending(stream, 0)
        sender = quic._streams[stream].sender
        assert (sender._buffer_fin is not None) == (stream == 4)
        assert (sender._reset_error_code is not None) == (stream == 8)
    quic.end_sending(8, 0)
    assert quic.unacknowledged(8) == 0


def test_a_stream_that_may_not_begin_yet_is_named_by_no_frame():
    """Hook: _unblock_streams. Given up beyond the peer's limit, it is reset when the limit lets it begin, and its bytes never travel."""
    world, dialing, listening = connected(peer_streams=1)
    quic = dialing.connection.quic
    for stream in (4, 8):
        quic.send_stream_data(stream, b"\x04\x00\x00\x00\x01x", end_stream=stream == 4)
    quic.give_up(8, 0)
    assert quic.unacknowledged(8) == 0
    world.quiet()
    assert listening.closed_by is None
    assert not quic._streams[8].sender.reset_pending
    listening.connection.answer(StreamId(4), (), ends=True)
    world.quiet()
    assert listening.closed_by is None
    assert set(quic._streams) == set(listening.connection.quic._streams) == {0}
    assert [event.stream for event in listening.heard(ChannelsMessageReceived)] == [4]

"""What the reference gets wrong, by its number in spec: pull-protocol 10.3, and that it does not happen here.

Relays and conversations are in ``tests/channels``, what takes a whole node in ``tests/node``. ``docs/reference/defects.md``
lists all of them; see the last test here.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from mina_p2p.address import parse_address
from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.channels.propagation.kinds import KINDS, GetNext
from mina_p2p.channels.rpc.actions import ChannelsRpcResponseSend
from mina_p2p.channels.rpc.kinds import KINDS as RPC_KINDS
from mina_p2p.channels.rpc.messages import (
    RPC_MESSAGE,
    BestTipWithProofRequest,
    BlockRequest,
    BlockResponse,
    InitialPeersRequest,
    InitialPeersResponse,
    LedgerQueryRequest,
    LedgerQueryResponse,
    RpcResponseMessage,
    TransactionResponse,
)
from mina_p2p.config import Limits, P2pConfig, Timeouts
from mina_p2p.connection.hello import HELLO
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingRequest
from mina_p2p.connection.state import IncomingFinalizePending
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import CallerError, DecodeError
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId
from mina_p2p.mina.ledger_query import MerkleAddress, WhatContents
from mina_p2p.mina.raw import RawBlock, RawLedgerAnswer
from mina_p2p.notifications import ConnectionFailed, ItemReceived, PeerConnected, RpcRequested
from mina_p2p.peer.actions import PeerDiscovered
from mina_p2p.peer.state import Attached, BackingOff, Banned, PeerSource
from mina_p2p.pool.actions import PoolVerdict
from mina_p2p.pool.distributed import DistributedPool
from mina_p2p.record import field_names
from mina_p2p.table import Index
from mina_p2p.testing.sim import Simulation
from mina_p2p.transport import (
    ChannelsEffectfulRequestSend,
    ConnectionClosed,
    ConnectionEffectfulReject,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    OfConnection,
    SocketAddress,
    TransportEvent,
    TransportKind,
)
from mina_p2p.wire import encode_frame
from slices.items import block, commitment, insert_payment, insert_snark, payment, payment_info, state_hash
from slices.lab import Lab, address, hello, peer_id

TX, TIP, RPC = ChannelId.TRANSACTION, ChannelId.BEST_TIP, ChannelId.RPC


# --- security ---------------------------------------------------------------------------------


def test_s3_an_offer_does_not_replace_a_working_connection() -> None:
    """Arrivals are authenticated before they are heard of, a young connection stays, and capacity counts in any case."""
    lab = Lab(limits=Limits(peers_max=2, peers_min=1))
    ready = lab.accept(200)
    lab.wait(6 * SECOND)
    assert lab.arrive(200) is None
    assert lab.of(ConnectionEffectfulReject)[0].reason.code is ReasonCode.ALREADY_CONNECTED
    assert lab.peer(200).status == Attached(ready)
    lab.accept(201)
    lab.wait(Timeouts().replace_connection)
    assert lab.arrive(200) is not None
    assert len(lab.state.connections) == 2


def test_s5_nothing_is_read_after_the_first_error() -> None:
    """The bad frame ends the connection; whatever else had arrived by then is stale and changes nothing."""
    lab = Lab()
    connection_id = lab.accept(1)
    stream = lab.stream(connection_id, TX)
    lab.frame(connection_id, TX, stream, b"\xff")
    after = lab.state
    for frame in (b"\xff", b"", KINDS[TX].encode_get_next(1)):
        assert lab.frame(connection_id, TX, stream, frame).state is after


def test_s6_a_count_is_checked_against_the_bytes_that_remain() -> None:
    """Numbers of things that can not be in the frame are refused before anything is allocated for them."""
    for frame in (b"\x01\x00\x01\x06\xfc" + b"\xff" * 7 + b"\x7f", hello()[:34] + b"\xfc" + b"\xff" * 8):
        with pytest.raises(DecodeError):
            (RPC_MESSAGE if frame[0] == 1 and frame[1] == 0 else HELLO).decode(frame)


def test_s7_long_byte_strings_are_read_exactly() -> None:
    """No zeros in front of what is longer than 5 000 bytes."""
    content = bytes(range(256)) * 40
    message = RpcResponseMessage(1, LedgerQueryResponse(RawLedgerAnswer(content)))
    assert RPC_MESSAGE.decode(RPC_MESSAGE.encode(message)) == message
    big = BlockResponse(RawBlock(content))
    assert RPC_MESSAGE.decode(RPC_MESSAGE.encode(RpcResponseMessage(1, big))) == RpcResponseMessage(1, big)


def test_s8_what_a_peer_says_of_itself_is_not_handed_on() -> None:
    """A peer's address is where its packets come from; private ones stay private; hearsay is not shared."""
    lab = Lab(is_discovery_enabled=True)
    asker = lab.accept(1)
    lab.feed(ConnectionIncomingReceived(TransportKind.QUIC, 9, SocketAddress("127.0.0.1", 8302), peer_id(2)))
    lab.feed(ConnectionHelloReceived(lab.state.connections.last_id, hello()))
    lab.feed(PeerDiscovered(address(3), PeerSource.INITIAL_PEERS, None))
    lab.ask(asker, 1, InitialPeersRequest())
    message = RPC_MESSAGE.decode(lab.answers()[0])
    assert message == RpcResponseMessage(1, InitialPeersResponse(()))


def test_s9_connecting_peers_and_the_table_are_bounded() -> None:
    """Arrivals that never say a word take a bounded number of places, for a bounded time."""
    lab = Lab(limits=Limits(peers_max=10, peers_min=5, known_peers_max=20))
    accepted = [n for n in range(200, 300) if lab.arrive(n) is not None]
    assert len(accepted) == 10
    lab.wait(Timeouts().hello + SECOND)
    assert len(lab.state.connections) <= 5, "only dials of our own are left"
    assert len(lab.state.peers) <= 20


def test_s11_nobody_asks_for_the_whole_ledger() -> None:
    """The address has to be in the tree, and the subtree small; what lies before is a violation."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.ask(connection_id, 1, LedgerQueryRequest(bytes(32), WhatContents(MerkleAddress(1, b"\0"))))
    assert connection_id not in lab.state.connections.table
    assert not lab.of(RpcRequested)


# --- channels ---------------------------------------------------------------------------------


def test_c1_commitments_are_asked_for() -> None:
    """GetNext leaves at once when the channel opens, once, and again after every answer."""
    lab = Lab()
    connection_id = lab.accept(1)
    asked = [e for e in lab.of(ChannelsEffectfulRequestSend) if e.channel == ChannelId.SNARK_JOB_COMMITMENT]
    assert [KINDS[e.channel].decode(e.frame) for e in asked] == [GetNext(32)]
    assert connection_id in lab.state.channels.table


def test_c3_no_channel_is_half_open() -> None:
    """A channel is there from the moment a connection is ready, or never: the record has no state for what is pending."""
    lab = Lab()
    connection_id = lab.accept(1, channels=(3, 7))
    channels = lab.state.channels.table[connection_id]
    assert [channels.propagation(channel) is None for channel in KINDS] == [False, True, True, True]
    assert channels.rpc is not None


def test_c4_the_kind_of_an_answer_is_compared() -> None:
    """Every other kind than the one that was asked for is a violation."""
    for kind in RPC_KINDS.values():
        if kind.response is TransactionResponse:
            continue
        lab = Lab()
        connection_id = lab.accept(1)
        lab.announce(connection_id, TX, payment_info(1))
        body = () if kind.response is InitialPeersResponse else b"?"
        lab.answer(connection_id, 0, kind.response(body))
        reason = lab.goodbye(connection_id)
        assert reason is not None
        assert reason.code in {ReasonCode.RESPONSE_KIND_MISMATCH, ReasonCode.CHANNEL_MSG_UNDECODABLE}


def test_c5_an_unknown_block_is_answered() -> None:
    """With ``None``, by the node software or by the clock."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.ask(connection_id, 1, BlockRequest(bytes(32)))
    lab.feed(ChannelsRpcResponseSend(connection_id, lab.of(RpcRequested)[0].serial, None))
    assert RPC_MESSAGE.decode(lab.answers()[0]) == RpcResponseMessage(1, None)
    lab.ask(connection_id, 2, BlockRequest(bytes(32)))
    lab.wait(Timeouts().serve)
    assert RPC_MESSAGE.decode(lab.answers()[0]) == RpcResponseMessage(2, None)


def test_c7_no_half_waits_for_ever() -> None:
    """A promise and nothing: the connection ends. Nothing at all: the permission is withdrawn and given anew."""
    lab = Lab()
    promising, silent = lab.accept(1), lab.accept(2)
    lab.promise(promising, TX, 1)
    lab.wait(Timeouts().answer)
    reason = lab.goodbye(promising)
    assert reason is not None
    assert reason.code is ReasonCode.CHANNEL_TIMEOUT
    before = lab.stream(silent, TX)
    lab.wait(Timeouts().parked_permission)
    lab.wait(Timeouts().reconnect)
    assert lab.stream(silent, TX) > before


def test_c8_a_best_tip_is_taken_when_it_is_permitted_and_is_one() -> None:
    """One per permission, decoded before anybody hears of it; how often is configured."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.item(connection_id, TIP, block(1))
    assert not lab.of(ChannelsEffectfulRequestSend)
    lab.item(connection_id, TIP, block(2))
    assert connection_id not in lab.state.connections.table


def test_c9_nothing_leaves_that_is_over_the_limit() -> None:
    """An answer that is too large is ``None``; a tip that is too large is refused to the caller; announcements fit always."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.ask(connection_id, 1, BlockRequest(bytes(32)))
    serial = lab.of(RpcRequested)[0].serial
    lab.feed(ChannelsRpcResponseSend(connection_id, serial, BlockResponse(RawBlock(bytes(32 << 20)))))
    assert RPC_MESSAGE.decode(lab.answers()[0]) == RpcResponseMessage(1, None)
    with pytest.raises(CallerError):
        lab.feed(BestTipSet(RawBlock(bytes(32 << 20)), bytes(32)))
    lab.feed(insert_payment(1))
    lab.get_next(connection_id, TX)
    assert all(len(encode_frame(frame)) <= 4 + KINDS[TX].item_bytes_max for frame in lab.answers())


def test_c10_every_number_is_configuration() -> None:
    """Pending questions, items per permission, time-outs: another node may have others."""
    lab = Lab(limits=Limits(rpc_pending_max=1, propagation_request_max=7), timeouts=Timeouts(serve=SECOND))
    connection_id = lab.accept(1)
    asked = next(e for e in lab.of(ChannelsEffectfulRequestSend) if e.channel == TX)
    assert KINDS[TX].decode(asked.frame) == GetNext(7)
    lab.ask(connection_id, 1, BestTipWithProofRequest())
    lab.wait(SECOND)
    assert lab.answers()
    lab.ask(connection_id, 2, BestTipWithProofRequest())
    lab.ask(connection_id, 3, BestTipWithProofRequest())
    assert connection_id not in lab.state.connections.table
    assert {"limits", "timeouts"} <= set(field_names(P2pConfig))


# --- connection management --------------------------------------------------------------------


def test_n1_every_event_and_effect_names_its_connection() -> None:
    """By a number that is never used again, so that the end of an old one can not touch its successor."""
    lab = Lab()
    old = lab.accept(1)
    lab.close(old)
    new = lab.accept(1)
    before = lab.state
    lab.feed(ConnectionClosed(old, Reason(ReasonCode.TRANSPORT_ERROR), by_peer=False))
    assert lab.state is before
    assert new > old
    of_connections = [kind for kind in get_args(TransportEvent) if issubclass(kind, OfConnection)]
    assert len(of_connections) >= 6
    assert all("connection_id" in field_names(kind) for kind in (*of_connections, ConnectionEstablished))


def test_n2_an_arrival_that_fails_ends_at_once() -> None:
    """A failure below an accepted arrival is an event of its own, and the attempt is over with its reason."""
    lab = Lab()
    connection_id = lab.arrive(1)
    assert connection_id is not None
    assert isinstance(lab.state.connections.table[connection_id].status, IncomingFinalizePending)
    lab.close(connection_id, ReasonCode.TRANSPORT_ERROR)
    assert lab.ended(connection_id) == Reason(ReasonCode.TRANSPORT_ERROR)
    assert len(lab.state.connections) == 0


@pytest.mark.parametrize("code", [ReasonCode.TRANSPORT_ERROR, ReasonCode.ADDRESS_UNRESOLVED, ReasonCode.AUTHENTICATION_FAILED])
def test_n3_every_end_has_a_reason(code: ReasonCode) -> None:
    """What the transport knows reaches the node software and the peer's record."""
    lab = Lab()
    connection_id = lab.dial(1)
    lab.close(connection_id, code)
    assert lab.ended(connection_id) == Reason(code)
    status = lab.peer(1).status
    assert isinstance(status, BackingOff)
    assert status.reason == Reason(code)


def test_n6_back_off_grows_violations_ban_and_the_peer_is_told() -> None:
    """Instead of 30 s for everything and not a word."""
    lab = Lab()
    waits = []
    for _ in range(4):
        lab.close(lab.dial(1))
        status = lab.peer(1).status
        assert isinstance(status, BackingOff)
        waits.append(status.until - lab.now)
    assert all(later > 1.3 * earlier for earlier, later in pairwise(waits))
    connection_id = lab.accept(2)
    lab.item(connection_id, TIP, block(1)).item(connection_id, TIP, block(1))
    assert lab.goodbye(connection_id) is not None
    assert isinstance(lab.peer(2).status, Banned)


def test_n7_capacity_counts_who_is_connecting() -> None:
    """Many accepts at one moment do not overshoot."""
    lab = Lab(limits=Limits(peers_max=3, peers_min=0))
    assert [lab.arrive(n) is not None for n in range(200, 206)] == [True, True, True, False, False, False]


def test_n8_an_attempt_has_one_deadline_besides_those_of_its_states() -> None:
    """The worst case is not the sum."""
    timeouts = Timeouts(outgoing_connection=10 * SECOND, hello=10 * SECOND, attempt=12 * SECOND)
    lab = Lab(timeouts=timeouts)
    connection_id = lab.dial(1)
    lab.wait(9 * SECOND)
    lab.establish(connection_id, 1)
    lab.wait(3 * SECOND)
    assert lab.ended(connection_id) == Reason(ReasonCode.CONNECTION_TIMEOUT)


def test_n9_a_persons_wish_is_tried_and_answered() -> None:
    """Also with enough peers; its outcome, good or bad, carries its id."""
    lab = Lab(limits=Limits(peers_min=1))
    lab.accept(1)
    failing = lab.dial(2, request_id=5)
    lab.close(failing)
    assert [e.request_id for e in lab.of(ConnectionFailed)] == [RequestId(5)]
    lab.feed(ConnectionOutgoingRequest(address(1), RequestId(6)))
    assert [e.request_id for e in lab.of(ConnectionFailed)] == [RequestId(6)]
    working = lab.dial(3, request_id=7)
    lab.establish(working, 3)
    lab.feed(ConnectionHelloReceived(working, hello()))
    assert [e.request_id for e in lab.of(PeerConnected)] == [RequestId(7)]


def test_n10_what_is_printed_can_be_read() -> None:
    """An address in any form; the tests of addresses have all of them."""
    for host in ("/ip4/1.2.3.4", "/ip6/2001:db8::1", "/dns4/example.org"):
        found = parse_address(f"{host}/udp/8302/quic-v1/p2p/{peer_id(1).libp2p}")
        assert parse_address(str(found)) == found


def test_n12_another_peer_than_the_dialled_one_is_noticed() -> None:
    """The id is compared with the certified one, so that this can happen here, and it is no fault of the one that was meant."""
    lab = Lab()
    connection_id = lab.dial(1)
    lab.establish(connection_id, 2)
    reason = lab.ended(connection_id)
    assert reason is not None
    assert reason.code is ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH
    assert isinstance(lab.peer(1).status, BackingOff)


# --- pools ------------------------------------------------------------------------------------


def test_p1_a_second_insert_is_an_update() -> None:
    """The older entry is gone, from the log as well; a peer is sent one item."""
    pool: DistributedPool[int] = DistributedPool(Index(b""))
    pool = pool.insert(b"key", 1).insert(b"key", 2)
    assert [item for _, item in pool.items.items()] == [2]
    lab = Lab()
    connection_id = lab.accept(1)
    lab.feed(insert_snark(1, fee=5))
    lab.feed(insert_snark(1, fee=4))
    lab.get_next(connection_id, ChannelId.SNARK)
    assert len(lab.answers()) == 2


def test_p2_as_many_fetches_as_peers_can_take() -> None:
    """Not one in all per tick: each peer is asked for up to five things at once, the highest fee first."""
    lab = Lab()
    ids = [lab.accept(n) for n in (1, 2)]
    lab.announce(ids[0], TX, *(payment_info(n) for n in range(1, 8)))
    lab.announce(ids[1], TX, *(payment_info(n) for n in range(11, 18)))
    found = [lab.state.channels.rpc(connection_id) for connection_id in ids]
    assert [len(rpc.requests) for rpc in found if rpc is not None] == [5, 5]


def test_p3_every_item_has_a_question_of_its_own() -> None:
    """There are no batches: what was judged already, or let go, is in nobody's question."""
    lab = Lab()
    connection_id = lab.accept(1)
    for n in (1, 2, 3):
        lab.announce(connection_id, ChannelId.SNARK_JOB_COMMITMENT, commitment(n))
    asked = [told for told in lab.all if isinstance(told, ItemReceived)]
    assert len({told.verdict_id for told in asked}) == len({told.key for told in asked}) == 3
    lab.feed(PoolVerdict(asked[1].verdict_id, is_valid=True))
    assert lab.state.pools.verdicts.keys() == [asked[0].verdict_id, asked[2].verdict_id]


def test_p4_one_bad_item_takes_no_other_with_it() -> None:
    """Its sender goes, and what else it had sent is judged all the same."""
    lab = Lab()
    connection_id = lab.accept(1)
    for n in (1, 2):
        lab.announce(connection_id, ChannelId.SNARK_JOB_COMMITMENT, commitment(n))
    bad, good = (told for told in lab.all if isinstance(told, ItemReceived))
    lab.feed(PoolVerdict(bad.verdict_id, is_valid=False))
    assert connection_id not in lab.state.connections.table
    lab.feed(PoolVerdict(good.verdict_id, is_valid=True))
    assert [item.key for item in lab.state.pools.snark_job_commitment.items.items.values()] == [good.key]


def test_p5_a_failed_verdict_is_an_event_like_others() -> None:
    """The candidate is dropped and the sender disconnected; nothing is unreachable."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.announce(connection_id, TX, payment_info(1))
    lab.answer(connection_id, 0, TransactionResponse(payment(1)))
    (told,) = lab.of(ItemReceived)
    lab.feed(PoolVerdict(told.verdict_id, is_valid=False))
    assert connection_id not in lab.state.connections.table
    assert len(lab.state.pools.transaction.candidates) == 0


def test_p7_another_transaction_than_was_asked_for() -> None:
    """Costs the connection; the candidate does not wait for ever, and uses up nobody's slot."""
    lab = Lab()
    connection_id = lab.accept(1)
    lab.announce(connection_id, TX, payment_info(1))
    lab.answer(connection_id, 0, TransactionResponse(payment(2)))
    reason = lab.goodbye(connection_id)
    assert reason is not None
    assert reason.code is ReasonCode.RESPONSE_HASH_MISMATCH
    assert len(lab.state.pools.transaction.candidates) == 0


def test_two_nodes_show_none_of_it() -> None:
    """A peaceful hour of two nodes with something to tell each other: no violation, no reconnect."""
    simulation = Simulation(1)
    one = simulation.add()
    two = simulation.add(initial_peers=(one.port.dial_address,))
    assert simulation.run(SECOND, until=lambda: bool(one.ready_peers() and two.ready_peers()))
    for n in range(1, 20):
        one.dispatch(insert_payment(n))
        two.dispatch(BestTipSet(block(n % 3 + 1), state_hash(n % 3 + 1)))
        simulation.run(180 * SECOND)
    assert [len(node.ready_peers()) for node in (one, two)] == [1, 1]
    assert one.connection_to(two.config.peer_id) == ConnectionId(1)


# --- all of them ------------------------------------------------------------------------------

IDS = [f"{letter}{n}" for letter, last in (("S", 11), ("R", 8), ("C", 10), ("N", 12), ("P", 7)) for n in range(1, last + 1)]
TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "reference" / "defects.md"
ID_ROW = re.compile(r"\| [SRCNP][0-9]+ \|")


def test_every_defect_of_the_list_has_a_test_or_is_named_as_open() -> None:
    """The page's table has every number once, with files that hold a test named after it, or with what is open and no such test."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.read_text().splitlines() if ID_ROW.match(line)]
    assert [row[0] for row in rows] == IDS
    for number, _, here, shown_by in rows:
        named = [file for file in TESTS.rglob("test_*.py") if f"def test_{number.lower()}_" in file.read_text()]
        listed = [TESTS.parent / name for name in re.findall(r"`(tests/[^`]+)`", shown_by)]
        assert bool(named) != here.startswith("**open**"), number
        assert sorted(listed) == sorted(named), number

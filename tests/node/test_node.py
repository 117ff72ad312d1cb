"""The node as software uses it, over the memory transport: what it promises about answers, errors and endings."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mina_p2p.address import Domain, QuicAddress, dial_host
from mina_p2p.channels.rpc.messages import BlockRequest, BlockResponse, InitialPeersRequest, InitialPeersResponse
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import CallerError, DecodeError, InvariantViolationError
from mina_p2p.identity import DEVNET_CHAIN_ID
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId, Timestamp
from mina_p2p.mina.raw import RawBlock
from mina_p2p.notifications import ItemReceived, PeerConnected, PeerDisconnected, RpcRequested
from mina_p2p.peer.actions import PeerBan
from mina_p2p.pool.actions import PoolVerdict
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState
from mina_p2p.store import Machine
from mina_p2p.table import Table
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.node import PeerError
from mina_p2p_effects.replay import replay_path
from mina_p2p_effects.runtime import NOTIFICATIONS_MAX, NotificationsDropped
from mina_p2p_effects.transports.memory import MemoryHub
from node.nodes import first, make, payments, run, two_nodes


def test_connect_returns_the_connection_and_both_are_told() -> None:
    """`Node.connect` gives the ready connection; the other side hears of the arrival."""

    async def main() -> None:
        async with two_nodes() as (one, other):
            connected = await one.connect(other.addresses[0])
            assert connected.peer_id == other.peer_id
            assert not connected.is_incoming
            heard = await first(other, PeerConnected)
            assert heard.peer_id == one.peer_id
            assert heard.is_incoming

    run(main())


def test_connect_says_why_not() -> None:
    """Each way in which a dial can fail has its typed reason, before or after the attempt."""

    async def main() -> None:
        async with two_nodes() as (one, other):
            address = other.addresses[0]
            assert isinstance(address, QuicAddress)
            cases = {
                ReasonCode.CONNECTING_TO_SELF: QuicAddress(one.peer_id, address.host, address.port),
                ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH: QuicAddress(SecretKey.deterministic(9).peer_id, address.host, address.port),
                ReasonCode.TRANSPORT_ERROR: QuicAddress(SecretKey.deterministic(8).peer_id, Domain("nobody.example"), 1),
            }
            for code, wrong in cases.items():
                with pytest.raises(PeerError) as caught:
                    await one.connect(wrong)
                assert caught.value.reason.code == code
            await one.connect(address)
            with pytest.raises(PeerError) as caught:
                await one.connect(address)
            assert caught.value.reason.code == ReasonCode.ALREADY_CONNECTED

    run(main())


def test_a_peer_of_another_chain_is_told_so() -> None:
    """The hello decides: both users get a reason they can act on."""

    async def main() -> None:
        hub = MemoryHub()
        async with make(hub, 0) as one, make(hub, 1, chain_id=DEVNET_CHAIN_ID) as other:
            with pytest.raises(PeerError) as caught:
                await one.connect(other.addresses[0])
            assert caught.value.reason.code == ReasonCode.CHAIN_ID_MISMATCH
            assert not other.state.connections.table

    run(main())


def test_items_spread_after_the_verdict_only() -> None:
    """A received transaction is offered on only once the node software called it valid."""

    async def main() -> None:
        transaction = payments()[0]
        async with two_nodes() as (one, other):
            await one.connect(other.addresses[0])
            assert one.add_transaction(transaction)
            assert not one.add_transaction(transaction)
            received = await first(other, ItemReceived)
            assert received.channel == ChannelId.TRANSACTION
            assert received.body == transaction
            assert received.peer_id == one.peer_id
            assert not other.state.pools.transaction.items
            assert other.give_verdict(received.verdict_id, is_valid=True)
            assert not other.give_verdict(received.verdict_id, is_valid=True)
            assert received.key in other.state.pools.transaction.items

    run(main())


def test_an_invalid_item_costs_its_sender_the_connection() -> None:
    """The verdict "invalid" ends the connection with a reason that the sender is told."""

    async def main() -> None:
        async with two_nodes() as (one, other):
            await one.connect(other.addresses[0])
            one.add_transaction(payments()[0])
            received = await first(other, ItemReceived)
            other.give_verdict(received.verdict_id, is_valid=False)
            told = await first(one, PeerDisconnected)
            assert told.by_peer
            assert told.reason.code == ReasonCode.INVALID_MESSAGE

    run(main())


def test_questions_reach_the_node_software_and_answers_come_back() -> None:
    """A question that the library can not answer is the other node software's; ``None`` is an answer."""

    async def main() -> None:
        async with two_nodes() as (one, other):
            connected = await one.connect(other.addresses[0])

            async def serve() -> None:
                answers = iter([BlockResponse(RawBlock(b"a block")), None])
                async for notification in other.notifications():
                    if isinstance(notification, RpcRequested):
                        assert other.respond(notification.connection_id, notification.serial, next(answers))
                        assert not other.respond(notification.connection_id, notification.serial, None)

            serving = asyncio.ensure_future(serve())
            answer = await one.request(connected.connection_id, BlockRequest(bytes(32)))
            assert isinstance(answer, BlockResponse)
            assert answer.body == b"a block"
            assert await one.request(connected.connection_id, BlockRequest(bytes(32))) is None
            peers = await one.request(connected.connection_id, InitialPeersRequest())
            assert isinstance(peers, InitialPeersResponse)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    run(main())


def test_a_question_to_nobody_fails_at_once() -> None:
    """A connection that is gone answers with an error, not with silence."""

    async def main() -> None:
        async with two_nodes() as (one, _):
            with pytest.raises(PeerError):
                await one.request(ConnectionId(77), InitialPeersRequest())

    run(main())


def test_a_question_fails_when_its_peer_goes() -> None:
    """Whoever waits for an answer hears when none can come."""

    async def main() -> None:
        hub = MemoryHub()
        async with make(hub, 0) as one, make(hub, 1) as other:
            connected = await one.connect(other.addresses[0])
            asking = asyncio.ensure_future(one.request(connected.connection_id, BlockRequest(bytes(32))))
            await first(other, RpcRequested)
            other.disconnect(one.peer_id)
            with pytest.raises(PeerError) as caught:
                await asking
            assert caught.value.reason.code == ReasonCode.USER_REQUEST

    run(main())


def test_ban_disconnects_and_refuses_until_unbanned() -> None:
    """A banned peer is neither kept, nor accepted, nor dialled."""

    async def main() -> None:
        async with two_nodes() as (one, other):
            await one.connect(other.addresses[0])
            assert one.ban(other.peer_id, 3600.0, "tested")
            with pytest.raises(PeerError) as caught:
                await one.connect(other.addresses[0])
            assert caught.value.reason.code == ReasonCode.PEER_BANNED
            told = await first(other, PeerDisconnected)
            assert told.reason.code == ReasonCode.PEER_BANNED
            assert one.unban(other.peer_id)
            await one.connect(other.addresses[0])

    run(main())


def test_bans_of_networks_and_what_they_are_for() -> None:
    """As of peers; each can be asked for, and all be lifted."""

    async def main() -> None:
        async with two_nodes() as (one, other):
            await one.connect(other.addresses[0])
            assert one.why_banned(other.peer_id) is None
            host = dial_host(other.addresses[0])
            assert host is not None
            assert one.ban_group(host.plain, 3600.0, "tested")
            why = one.why_banned(other.peer_id)
            assert why is not None
            assert why.reason == Reason(ReasonCode.PEER_BANNED, detail="tested")
            assert why.until - why.since > 3_599 * SECOND
            assert one.bans() == [why]
            with pytest.raises(PeerError, match="PEER_BANNED"):
                await one.connect(other.addresses[0])
            assert one.unban_group(host.plain)
            assert not one.unban_group(host.plain)
            assert one.ban(other.peer_id, 3600.0)
            assert one.lift_all_bans()
            assert one.bans() == []
            await one.connect(other.addresses[0])

    run(main())


def test_bad_input_of_the_caller_is_refused_where_it_is_given() -> None:
    """The caller's mistakes raise in the caller's line and harm nothing."""

    async def main() -> None:
        async with two_nodes() as (one, _):
            for give in (one.add_transaction, one.add_snark, one.set_best_tip):
                with pytest.raises(DecodeError):
                    give(b"\xff\xff")
            with pytest.raises(CallerError):
                one.command("no action")

    run(main())


def test_closing_under_load_leaves_nothing_and_says_goodbye() -> None:
    """Goodbyes reach the peer while items are on their way; afterwards commands are refused."""

    async def main() -> None:
        hub = MemoryHub()
        other = make(hub, 1)
        async with make(hub, 0) as one:
            async with other:
                await one.connect(other.addresses[0])
                for transaction in payments():
                    other.add_transaction(transaction)
            told = await first(one, PeerDisconnected)
            assert told.by_peer
            assert told.reason.code == ReasonCode.SHUTDOWN
            with pytest.raises(CallerError):
                other.add_transaction(payments()[0])

    run(main())


def test_cancelling_a_dial_leaves_nothing_behind() -> None:
    """A cancelled `connect` takes its listener along; the node goes on."""

    async def main() -> None:
        async with two_nodes() as (one, other):
            dialling = asyncio.ensure_future(one.connect(other.addresses[0]))
            await asyncio.sleep(0)
            dialling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dialling
            heard = await first(other, PeerConnected)
            assert heard.peer_id == one.peer_id

    run(main())


def test_cancelling_the_whole_node_still_closes_it() -> None:
    """Cancellation of the task that owns the node runs its ending to the end."""

    async def main() -> None:
        hub = MemoryHub()
        async with make(hub, 0) as one:

            async def own() -> None:
                async with make(hub, 1) as other:
                    await one.connect(other.addresses[0])
                    await asyncio.Event().wait()

            owner = asyncio.ensure_future(own())
            await first(one, PeerConnected)
            owner.cancel()
            with pytest.raises(asyncio.CancelledError):
                await owner
            told = await first(one, PeerDisconnected)
            assert told.reason.code == ReasonCode.SHUTDOWN

    run(main())


def test_a_slow_consumer_loses_the_oldest_and_is_told_how_many() -> None:
    """Notifications are bounded; what was given up is counted, never silent."""

    async def main() -> None:
        async with two_nodes() as (one, _):
            notify = one._runtime._notify
            extra = 7
            waiting = len(one._runtime._notifications)
            for number in range(NOTIFICATIONS_MAX + extra - waiting):
                notify(number)
            seen = one.notifications()
            assert await anext(seen) == NotificationsDropped(extra)
            assert isinstance(await anext(seen), int)

    run(main())


def test_a_bug_of_ours_stops_the_node_loudly() -> None:
    """An invariant violation reaches whoever reads notifications, and nothing goes on from it."""

    async def main() -> None:
        async with two_nodes() as (one, _):
            broken = one.state.pools.replace(verdicts=one.state.pools.verdicts.set(RequestId(1), 4))
            one.store.state = one.state.replace(pools=broken)
            one.command(PoolVerdict(RequestId(1), True))
            with pytest.raises(InvariantViolationError):
                async for _ in one.notifications():
                    pass
            with pytest.raises(CallerError):
                one.disconnect(one.peer_id) or one.command(PoolVerdict(RequestId(1), True))

    run(main())


def test_reasons_print_for_people() -> None:
    """A reason names its code, its channel and the detail."""
    reason = Reason(ReasonCode.CHANNEL_MSG_UNEXPECTED, ChannelId.SNARK, "no permission")
    assert str(reason) == "CHANNEL_MSG_UNEXPECTED on SNARK: no permission"


def test_a_bug_of_ours_is_in_the_log(tmp_path: Path) -> None:
    """The input at which the node stopped is recorded, and replaying the log says where and why."""

    async def main() -> None:
        path = tmp_path / "node.log"
        async with make(MemoryHub(), 0, record_to=path) as node:
            broken = _breaking_on_ban(node.store.machine)
            node.store.machine = broken
            node.ban(SecretKey.deterministic(5).peer_id, 1.0)
            assert node._runtime.failure is not None
        (log,) = replay_path(path, broken)
        assert log.result is not None
        assert "planted" in str(log.result.failure)
        (repaired,) = replay_path(path)
        assert repaired.result is not None
        assert repaired.result.divergence is not None, "a reducer that was mended no longer does what was recorded"

    run(main())


@pytest.mark.parametrize("settings", [{"record_rotate_bytes": 1}, {"record_rotate_after_s": 1e-9}])
def test_a_log_goes_on_in_another_file(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Once it is as large or as old as was said; the files are one log, and each replays by itself."""

    async def main() -> None:
        async with make(MemoryHub(), 0, record_to=tmp_path / "node.log", **settings) as node:
            assert node._recorder is not None
            for number in range(3):
                node.ban(SecretKey.deterministic(number).peer_id, 1.0)
                node._recorder.flush(node.store.state.clock.now)
        logs = replay_path(tmp_path)
        assert [log.part for log in logs] == list(range(len(logs)))
        assert len(logs) > 1
        assert all(log.is_verified for log in logs)

    run(main())


@pytest.mark.parametrize(("check_every", "is_seen"), [(1, True), (None, False)])
def test_a_state_that_breaks_an_invariant_stops_a_node_that_looks(check_every: int | None, is_seen: bool) -> None:
    """A node in service looks at its whole state now and then; here at once."""

    def forgetful(state: P2pState, action: PeerBan, now: Timestamp) -> tuple[P2pState, tuple[()]]:
        after, _ = p2p_machine().reduce(state, action, now)
        return after.replace(peers=after.peers.replace(table=Table())), ()

    async def main() -> None:
        async with make(MemoryHub(), 0, check_every=check_every) as node:
            node.store.machine = node.store.machine.replaced(PeerBan, reducer=forgetful)
            node.ban(SecretKey.deterministic(5).peer_id, 1.0)
            assert (node._runtime.failure is not None) is is_seen

    run(main())


def test_how_often_to_look_is_a_count() -> None:
    with pytest.raises(CallerError, match="check_every"):
        make(MemoryHub(), 0, check_every=0)


def _breaking_on_ban(machine: Machine[P2pState]) -> Machine[P2pState]:
    """A machine with a reducer that is wrong."""

    def broken(state: P2pState, action: PeerBan, now: Timestamp) -> tuple[P2pState, tuple[()]]:
        raise InvariantViolationError("planted")

    return machine.replaced(PeerBan, reducer=broken)

"""`Node`: the library as node software uses it::

    async with Node(NodeConfig(secret_key=key, chain_id=MAINNET_CHAIN_ID)) as node:
        await node.connect(address)
        async for notification in node.notifications():
            ...

Leaving the block says goodbye to every peer and finishes the log.
"""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar, overload

from mina_p2p.address import (
    DialAddress,
    HostScope,
    Libp2pAddress,
    QuicAddress,
    WebRtcAddress,
    host_scope,
    parse_host,
    parse_ip,
)
from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.blocks.actions import BlocksVerdict
from mina_p2p.channels.address_gossip.actions import AddressGossipOwnSet
from mina_p2p.channels.propagation.kinds import PropagationItem
from mina_p2p.channels.rpc.actions import RpcRequestSend
from mina_p2p.channels.rpc.messages import RpcRequest, RpcResponse
from mina_p2p.channels.signaling_discovery.actions import ChannelsSignalingDiscoveryOfferError, ChannelsSignalingDiscoveryOfferReady
from mina_p2p.channels.signaling_exchange.actions import ChannelsSignalingExchangeAnswerError, ChannelsSignalingExchangeAnswerReady
from mina_p2p.channels.snark_job_commitment.messages import SnarkJobCommitment
from mina_p2p.channels.streaming_rpc.actions import ChannelsStreamingRpcResponseCancel, ChannelsStreamingRpcResponseSendInit
from mina_p2p.channels.streaming_rpc.messages import StagedLedgerPart, StreamingRpcRequest
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingRequest
from mina_p2p.disconnection.actions import DisconnectionInit, Shutdown
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.discovery.config import ADDRESSES_MAX
from mina_p2p.errors import CallerError
from mina_p2p.gossipsub.actions import Verdict
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId, Timestamp
from mina_p2p.libp2p.actions import NetworkDial, NetworkDiallingSet, NetworkDisconnect
from mina_p2p.libp2p.notifications import NetworkDialFailed, NetworkPeerConnected
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.mina.hashes import state_hash_of_block
from mina_p2p.mina.raw import RawBlock, RawSnark, RawUserCommand
from mina_p2p.notifications import ConnectionFailed, PeerConnected, RpcFailed, RpcResponded
from mina_p2p.peer.actions import BansReset, PeerBan, PeerGroupBan, PeerGroupUnban, PeerUnban
from mina_p2p.peer.bans import Ban
from mina_p2p.peer.network_bans import dial_refusal
from mina_p2p.pool.actions import PoolInsert, PoolRemove, PoolVerdict
from mina_p2p.pool.announce import snark_info, transaction_info
from mina_p2p.pool.kinds import KINDS
from mina_p2p.reducer import p2p_machine
from mina_p2p.relay.actions import PeerAnswer, PeerAsk, RelayVerdict
from mina_p2p.signaling.effects import SignalingOfferReceived, SignalingOfferWanted
from mina_p2p.state import P2pState, initial_state
from mina_p2p.store import Action, Store
from mina_p2p.testing.invariants import sampled
from mina_p2p.trace.machines import SHIPPED_MACHINE
from mina_p2p_effects.clock import Clock
from mina_p2p_effects.failures import PeerError
from mina_p2p_effects.metrics.traffic import TrafficReported, TransportTraffic, traffic_of
from mina_p2p_effects.node_config import NodeConfig, network_transport, pull_transports
from mina_p2p_effects.parts import PartsAnswer
from mina_p2p_effects.peers_keeper import PeersKeeper
from mina_p2p_effects.recorder import Recorder
from mina_p2p_effects.runtime import NotificationsDropped, Runtime, Told
from mina_p2p_effects.sealing import sealing_answers
from mina_p2p_effects.vouching import vouching_answers

__all__ = ["Node", "NodeConfig", "PeerError"]

N = TypeVar("N")

FLUSH_EVERY_S = 1.0
"""At most so much of the log is lost by a crash of the process."""

BAN_S_MAX = 100 * 366 * 24 * 3600.0
"""Longest ban: a century, which is within what a log can hold."""

_log = logging.getLogger(__name__)


class Node:
    """One node: a store, its transports, its log. An async context manager, to be entered once."""

    def __init__(self, config: NodeConfig) -> None:
        self.config = config
        clock = Clock()
        self._clock = clock
        self._keeper = PeersKeeper(config.peers_file)
        self.store: Store[P2pState] = Store(p2p_machine(), initial_state(config.p2p_config(self._keeper.kept), clock.now()))
        answers = {**sealing_answers(config.secret_key), **vouching_answers(config.secret_key)}
        self._runtime = Runtime(self.store, pull_transports(config), clock, answers, network_transport(config, self.network))
        self._recorder: Recorder | None = None
        self._flush_timer: asyncio.TimerHandle | None = None
        self._traffic_timer: asyncio.TimerHandle | None = None
        self._last_request_id = 0
        self._is_entered = False

    async def __aenter__(self) -> Self:
        """Listen, dial the initial peers, record if so configured.

        :raises OSError: where the address can not be bound or the log not be created.
        :raises CallerError: where the node was entered before; each run takes a node of its own.
        """
        if self._is_entered:
            raise CallerError("a node is entered once; make another Node of the same config for another run")
        self._is_entered = True
        if self.config.record_to is not None:
            metadata = {"peer_id": str(self.peer_id), "agent": self.config.agent, "python": platform.python_version()}
            rotate_after_s = self.config.record_rotate_after_s
            self._recorder = Recorder(
                self.config.record_to,
                self.store.machine,
                SHIPPED_MACHINE.name,
                self.store.state,
                metadata=metadata,
                rotate_bytes=self.config.record_rotate_bytes,
                rotate_after=None if rotate_after_s is None else round(rotate_after_s * SECOND),
                on_warning=_log.warning,
            )
            self._recorder.attach(self.store)
            self._runtime.on_failure = self._recorder.record_failure
            self._flush_later()
        if self.config.check_every is not None:
            # After the recorder, so that the input that led to a violation is in the log.
            self.store.observe(sampled(self.config.check_every))
        try:
            await self._runtime.start()
        except BaseException:
            await self._close()
            raise
        self._report_traffic_later()
        self._keeper.begin(lambda: self.store.state)
        self._tell_addresses()
        self._dial_kept()
        return self

    def _dial_kept(self) -> None:
        """Try peers of the last run on libp2p's network, once each and as many as are wanted; seeds are dialled besides, and again."""
        kept = self._keeper.kept
        for address in () if kept is None else kept.libp2p:
            network = self.network
            if network is not None and len(network.links.table) < network.config.connections_min:
                self.command(NetworkDial(address))

    def _tell_addresses(self) -> None:
        """Gossip the addresses at which this node says it can be reached, where nobody said which."""
        gossip = self.config.address_gossip
        if gossip is not None and not gossip.addresses:
            own = (address for address in self.addresses if isinstance(address, QuicAddress))
            told = tuple(address for address in own if host_scope(address.host) is not HostScope.RESERVED)
            self.command(AddressGossipOwnSet(told[:ADDRESSES_MAX]))

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Say goodbye to every peer, release everything, finish the log."""
        await self._close()

    async def _close(self) -> None:
        # A cancellation that arrives meanwhile waits until nothing is left behind.
        await asyncio.shield(asyncio.ensure_future(self._close_all()))

    async def _close_all(self) -> None:
        # Before the goodbyes: connections that end now are those of the next start.
        await self._keeper.end()
        self._runtime.feed(Shutdown())
        if self._traffic_timer is not None:
            self._traffic_timer.cancel()
            self._traffic_timer = None
        await self._runtime.stop()
        recorder, self._recorder = self._recorder, None
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        if recorder is not None:
            # Waits for the disk, which may be slow; other nodes of this loop need not.
            await asyncio.to_thread(recorder.close)

    def _flush_later(self) -> None:
        self._flush_timer = asyncio.get_running_loop().call_later(FLUSH_EVERY_S, self._flush)

    def _flush(self) -> None:
        """So that the log of a node with little to do is complete too."""
        if self._recorder is not None:
            self._recorder.flush(self._clock.now())
            self._flush_later()

    def _report_traffic_later(self) -> None:
        if self.config.traffic_every_s is not None:
            self._traffic_timer = asyncio.get_running_loop().call_later(self.config.traffic_every_s, self._report_traffic)

    def _report_traffic(self) -> None:
        self._runtime.report(TrafficReported(self.traffic()))
        self._report_traffic_later()

    # --- what there is --------------------------------------------------------------------

    @property
    def peer_id(self) -> PeerId:
        """Who this node is."""
        return self.config.secret_key.peer_id

    @property
    def state(self) -> P2pState:
        """The present state; immutable, so it can be kept and compared."""
        return self.store.state

    @property
    def addresses(self) -> list[DialAddress]:
        """Where peers can dial this node: as its configuration says, else as it is bound. QUIC first, then libp2p."""
        bound = ((parse_ip(address.host), address.port) for address in self._runtime.addresses)
        pulled = [QuicAddress(self.peer_id, host, port) for ip, port in bound for host in self.config.external_hosts or (ip,)]
        return [*pulled, *(() if self.network is None else self.network.addresses)]

    @property
    def network(self) -> NetworkState | None:
        """The libp2p part of the present state, where there is one."""
        return self.store.state.network

    def traffic(self) -> tuple[TransportTraffic, ...]:
        """What the transports have counted so far, one entry for each that counts."""
        return traffic_of(self._runtime.transports)

    def notifications(self) -> AsyncIterator[Told | NotificationsDropped]:
        """Everything the node software is told, in order, until the node stops. For one consumer."""
        return self._runtime.notifications()

    # --- peers ----------------------------------------------------------------------------

    @overload
    async def connect(self, address: Libp2pAddress, *, timeout_s: float = 60.0) -> NetworkPeerConnected: ...
    @overload
    async def connect(self, address: QuicAddress | WebRtcAddress, *, timeout_s: float = 60.0) -> PeerConnected: ...
    async def connect(self, address: DialAddress, *, timeout_s: float = 60.0) -> PeerConnected | NetworkPeerConnected:
        """Dial a peer, whatever the wished number of connections.

        :raises PeerError: with the reason, where no connection came of it.
        :raises TimeoutError: after ``timeout_s``; the attempt's own deadlines are shorter.
        :raises CallerError: where ``address`` is no address but, say, the text of one, or of a transport that is off.
        """
        self.config.require_dialable(address)
        if isinstance(address, Libp2pAddress):
            return await self._connect_network(address, timeout_s)
        request_id = self._next_request_id()

        def pick(told: Told) -> PeerConnected | ConnectionFailed | None:
            if isinstance(told, PeerConnected | ConnectionFailed) and told.request_id == request_id:
                return told
            return None

        outcome: PeerConnected | ConnectionFailed = await self._ask(ConnectionOutgoingRequest(address, request_id), pick, timeout_s)
        if isinstance(outcome, ConnectionFailed):
            raise PeerError(outcome.reason)
        return outcome

    async def _connect_network(self, address: Libp2pAddress, timeout_s: float) -> NetworkPeerConnected:
        def pick(told: Told) -> NetworkPeerConnected | NetworkDialFailed | None:
            match told:
                case NetworkPeerConnected(peer_id=address.peer_id) | NetworkDialFailed(address=Libp2pAddress(peer_id=address.peer_id)):
                    return told
                case _:
                    return None

        refusal = dial_refusal(self.state, address, self._clock.now())
        if refusal is not None:
            raise PeerError(refusal)
        outcome: NetworkPeerConnected | NetworkDialFailed = await self._ask(NetworkDial(address), pick, timeout_s)
        if isinstance(outcome, NetworkDialFailed):
            raise PeerError(outcome.reason)
        return outcome

    def disconnect(self, peer_id: PeerId, detail: str = "") -> bool:
        """End every connection with a peer; ``False`` where there is none."""
        reason = Reason(ReasonCode.USER_REQUEST, detail=detail)
        pulled = self.state.connection_of(peer_id)
        ends: list[Action] = [] if pulled is None else [DisconnectionInit(pulled, reason)]
        if self.network is not None:
            links = self.network.links
            ends += [
                NetworkDisconnect(key, reason) for key in links.table if (link := links.linked(key)) is not None and link.peer_id == peer_id
            ]
        were_there = [self.command(end) for end in ends]
        return any(were_there)

    def set_network_dialling(self, *, is_allowed: bool) -> bool:
        """Let this node dial peers of libp2p's network by itself, as it does at first, or not; `connect` is never refused for it.

        :returns: ``False`` where libp2p is off.
        """
        return self.command(NetworkDiallingSet(is_allowed))

    def ban(self, peer_id: PeerId, duration_s: float, detail: str = "") -> bool:
        """Refuse a peer for a while, and disconnect it.

        :raises CallerError: where ``duration_s`` is no number, or over `BAN_S_MAX`.
        """
        until = self._until(duration_s)
        return self.command(PeerBan(peer_id, until, Reason(ReasonCode.PEER_BANNED, detail=detail)))

    def _until(self, duration_s: float) -> Timestamp:
        if not duration_s <= BAN_S_MAX:
            raise CallerError(f"a ban of {duration_s} s is none; at most {BAN_S_MAX} s")
        return Timestamp(self._clock.now() + int(duration_s * SECOND))

    def unban(self, peer_id: PeerId) -> bool:
        """Lift a ban or a back-off; ``False`` where there is none."""
        return self.command(PeerUnban(peer_id))

    def ban_group(self, host: str, duration_s: float, detail: str = "") -> bool:
        """Refuse the whole network of a host for a while, and disconnect who is there; `Limits.group_ipv4_bits` says how wide it is.

        :param host: a numeric address, or a name; that bans the names beside it, not the addresses that it leads to.
        :raises AddressError: where ``host`` is neither.
        :raises CallerError: as `ban`.
        """
        until = self._until(duration_s)
        return self.command(PeerGroupBan(parse_host(host), until, Reason(ReasonCode.PEER_BANNED, detail=detail)))

    def unban_group(self, host: str) -> bool:
        """Lift the ban of a host's network; ``False`` where there is none.

        :raises AddressError: where ``host`` is no host.
        """
        return self.command(PeerGroupUnban(parse_host(host)))

    def lift_all_bans(self) -> bool:
        """Forget every ban, of peers and of networks."""
        return self.command(BansReset())

    def why_banned(self, peer_id: PeerId) -> Ban | None:
        """Why a peer is refused, since when and until when; ``None`` where it is not."""
        return self.state.why_banned(peer_id, self._clock.now())

    def bans(self) -> list[Ban]:
        """All bans that last, of peers and of networks."""
        return self.state.bans(self._clock.now())

    # --- what spreads ---------------------------------------------------------------------

    def set_best_tip(self, block: bytes, *, is_produced: bool = False) -> bool:
        """Give the node its best tip, which goes to every peer that permits one.

        :param is_produced: whether you made this block: then all peers of channel 10 are sent its header at once, and not only
            those that chose this node for headers.
        :raises DecodeError: where ``block`` is none.
        """
        return self.command(BestTipSet(RawBlock(block), state_hash_of_block(block), is_produced))

    def add_transaction(self, command: bytes) -> bool:
        """Put a valid transaction into the pool; ``False`` where it is there already, or the pool is full.

        :raises DecodeError: where ``command`` is no user command in its wire form.
        """
        return self._add(ChannelId.TRANSACTION, transaction_info(RawUserCommand(command)), command)

    def add_snark(self, snark: bytes) -> bool:
        """Put a valid snark work into the pool; ``False`` where there is one as good.

        :raises DecodeError: where ``snark`` is none in the form of the pull protocol's RPC.
        """
        return self._add(ChannelId.SNARK, snark_info(RawSnark(snark)), snark)

    def add_snark_job_commitment(self, commitment: SnarkJobCommitment) -> bool:
        """Announce who works on a job; ``False`` where there is a better one."""
        return self._add(ChannelId.SNARK_JOB_COMMITMENT, commitment, b"")

    def _add(self, channel: ChannelId, info: PropagationItem, body: bytes) -> bool:
        return self.command(PoolInsert(channel, KINDS[channel].key(info), info, body))

    def remove(self, channel: ChannelId, key: bytes) -> bool:
        """Take an item out of its pool; ``False`` where it is not there."""
        return self.command(PoolRemove(channel, key))

    def give_verdict(self, verdict_id: RequestId, *, is_valid: bool) -> bool:
        """Answer an `ItemReceived`; ``False`` where that question is no longer open."""
        return self.command(PoolVerdict(verdict_id, is_valid))

    def give_tip_verdict(self, verdict_id: RequestId, verdict: Verdict) -> bool:
        """Say of a `BestTipReceived` that was gossiped whether it goes on to others; making it the best tip says so, too.

        :returns: ``False`` where that question is no longer open.
        """
        return self.command(RelayVerdict(verdict_id, verdict))

    def give_header_verdict(self, verdict_id: RequestId, *, is_valid: bool) -> bool:
        """Answer a `BlockHeaderReceived`: are the proofs and versions of this header valid, whatever its body will be?

        From then on the block is offered to peers as soon as its body is here. Without it that happens with `set_best_tip`.

        :returns: ``False`` where that question is no longer open.
        """
        return self.command(BlocksVerdict(verdict_id, is_valid))

    # --- questions ------------------------------------------------------------------------

    async def request(self, connection_id: ConnectionId, request: RpcRequest, *, timeout_s: float = 300.0) -> RpcResponse | None:
        """Ask the peer of a pull connection; see also `ask`.

        :returns: its answer; ``None`` where it does not have what was asked for.
        :raises PeerError: where no answer will come.
        """
        request_id = self._next_request_id()
        return await self._answer(RpcRequestSend(connection_id, request_id, request), request_id, timeout_s)

    async def _answer(self, question: Action, request_id: RequestId, timeout_s: float) -> RpcResponse | None:
        def pick(notification: Told) -> RpcResponded | RpcFailed | None:
            if isinstance(notification, RpcResponded | RpcFailed) and notification.request_id == request_id:
                return notification
            return None

        outcome: RpcResponded | RpcFailed = await self._ask(question, pick, timeout_s)
        if isinstance(outcome, RpcFailed):
            raise PeerError(outcome.reason)
        return outcome.response

    async def ask(self, peer_id: PeerId, request: RpcRequest, *, timeout_s: float = 300.0) -> RpcResponse | None:
        """Ask a peer, over whatever connection there is with it: pull, else libp2p.

        :returns: its answer; ``None`` where it does not have what was asked for.
        :raises PeerError: where no answer will come.
        """
        request_id = self._next_request_id()
        return await self._answer(PeerAsk(request_id, peer_id, request), request_id, timeout_s)

    def respond(self, connection_id: ConnectionId, serial: int, response: RpcResponse | None) -> bool:
        """Answer an `RpcRequested`, whichever way it came; ``False`` where that question is no longer open.

        :raises CallerError: where the answer is of another kind than the question.
        """
        return self.command(PeerAnswer(connection_id, serial, response))

    def request_parts(self, connection_id: ConnectionId, request: StreamingRpcRequest) -> PartsAnswer:
        """Ask a peer for an answer in parts.

        To be used as ``async with node.request_parts(...) as parts:`` with an ``async for part in parts:`` in it. The
        question leaves when the block is entered, and is cancelled when the block is left before the answer's end. A
        connection carries one such question at a time; one that is cancelled counts for ``timeouts.stream_settle`` more.
        """
        return PartsAnswer(self._runtime, connection_id, self._next_request_id(), request)

    def respond_parts(self, connection_id: ConnectionId, serial: int, parts: Sequence[StagedLedgerPart] | None) -> bool:
        """Answer a `StreamingRpcRequested`; ``None`` where there is no such ledger. They leave one by one, as the peer permits.

        :returns: ``False`` where that question is no longer open.
        :raises CallerError: where these are not the parts of one answer in their order.
        """
        return self.command(ChannelsStreamingRpcResponseSendInit(connection_id, serial, None if parts is None else tuple(parts)))

    def cancel_response(self, connection_id: ConnectionId, serial: int) -> bool:
        """Take back an answer in parts, or refuse one; ``False`` where that question is over."""
        return self.command(ChannelsStreamingRpcResponseCancel(connection_id, serial))

    # --- introductions by relays ----------------------------------------------------------
    #
    # This library makes no WebRTC connection yet. A program that does sets `NodeConfig.are_introductions_taken`.

    def give_offer(self, wanted: SignalingOfferWanted, sdp: str | None) -> bool:
        """Answer a `SignalingOfferWanted` with an offer's session description; ``None``: there will be none.

        It is encrypted for the target and goes to the relay. A `SignalingAnswerReceived` or `SignalingFailed` follows.

        :returns: ``False`` where it comes too late.
        :raises CallerError: where ``sdp`` is no text that could be sent.
        """
        if sdp is None:
            return self.command(ChannelsSignalingDiscoveryOfferError(wanted.connection_id, wanted.stream))
        return self.command(ChannelsSignalingDiscoveryOfferReady(wanted.connection_id, wanted.stream, sdp))

    def give_answer(self, received: SignalingOfferReceived, sdp: str | None) -> bool:
        """Answer a `SignalingOfferReceived` with an answer's session description; ``None``: there will be none.

        It is encrypted for the offerer and goes to the relay. A `SignalingAnswerSent` or `SignalingFailed` follows.

        :returns: ``False`` where it comes too late.
        :raises CallerError: where ``sdp`` is no text that could be sent.
        """
        if sdp is None:
            return self.command(ChannelsSignalingExchangeAnswerError(received.connection_id, received.stream))
        return self.command(ChannelsSignalingExchangeAnswerReady(received.connection_id, received.stream, sdp))

    # --- underneath -----------------------------------------------------------------------

    def command(self, action: Action) -> bool:
        """Dispatch any command.

        :returns: whether its guard let it pass.
        :raises CallerError: where the node has stopped, or for an action the machine does not know.
        """
        return self._runtime.command(action)

    def _next_request_id(self) -> RequestId:
        self._last_request_id += 1
        return RequestId(self._last_request_id)

    async def _ask(self, action: Action, pick: Callable[[Told], N | None], timeout_s: float) -> N:
        """Give a command and wait for the notification that answers it."""
        answer: asyncio.Future[N] = asyncio.get_running_loop().create_future()

        def listen(notification: Told) -> None:
            if not answer.done() and (found := pick(notification)) is not None:
                answer.set_result(found)

        def stop() -> None:
            if not answer.done():
                answer.set_exception(CallerError("the node has stopped"))

        end = self._runtime.listen(listen, when_over=stop)
        try:
            if not self.command(action):
                raise CallerError(f"{type(action).__name__} is not possible now")
            async with asyncio.timeout(timeout_s):
                return await answer
        finally:
            end()

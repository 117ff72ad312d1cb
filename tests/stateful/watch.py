"""Promises of a node that one state can not show: each is about what happened before.

A `Watch` sits beside a node and sees every input with all that followed. It keeps its own books, from
effects and steps alone, so that a guard which says yes too often is caught by what comes of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mina_p2p.address import HostScope, QuicAddress, dial_host, host_scope
from mina_p2p.channels.propagation import actions as prop
from mina_p2p.channels.propagation.kinds import KINDS, GetNext, WillSend
from mina_p2p.channels.propagation.state import Propagation, RemoteRequested, RemoteResponded, Requested, Responding
from mina_p2p.channels.rpc import actions as rpc
from mina_p2p.channels.rpc.kinds import is_reasonable, kind_of
from mina_p2p.channels.rpc.messages import RPC_MESSAGE, RpcRequest, RpcRequestMessage, RpcResponseMessage
from mina_p2p.channels.rpc.state import ForDiscovery, ForNode
from mina_p2p.channels.rpc.state import Requested as RpcRequested
from mina_p2p.connection.incoming.actions import ConnectionIncomingTimeout
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingTimeout
from mina_p2p.disconnection.actions import Shutdown
from mina_p2p.ids import ChannelId, ConnectionId, PeerNumber, RequestId, StreamId, Timestamp
from mina_p2p.mina.raw import RawBlock
from mina_p2p.notifications import (
    ConnectionFailed,
    ItemReceived,
    PeerConnected,
    PeerDisconnected,
    PoolItemsDropped,
    RpcFailed,
    RpcResponded,
)
from mina_p2p.peer.actions import (
    BansReset,
    ConnectionFeelerInit,
    PeerAnnounced,
    PeerDiscovered,
    PeerGroupUnban,
    PeersChurn,
    PeersDiscoverRandom,
    PeersRotate,
    PeerUnban,
    PeerUndialable,
    PeerWoken,
)
from mina_p2p.peer.state import Attached, Banned, PeerSource
from mina_p2p.pool.actions import (
    PoolCandidateTimeout,
    PoolExpire,
    PoolFetched,
    PoolInsert,
    PoolRemove,
    PoolSettle,
    PoolVerdict,
    PoolVerdictTimeout,
)
from mina_p2p.pool.state import POOL_CHANNELS, Announced, Fetching
from mina_p2p.relay.actions import PeerAsk
from mina_p2p.state import P2pState
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestSend,
    ChannelsEffectfulStreamReset,
    ChannelsMessageReceived,
    ConnectionEffectfulAccept,
    ConnectionEffectfulDial,
    ConnectionEffectfulReject,
    ConnectionEstablished,
    ConnectionIncomingReceived,
    OfConnection,
)

Line = tuple[ConnectionId, ChannelId]
"""One channel of one connection."""


class Permission:
    """What one stream of ours allows."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.promised: int | None = None
        self.received = 0


class Question:
    """What one question allows: one answer of its kind, under its id."""

    def __init__(self, number: int, request: RpcRequest) -> None:
        self.number = number
        self.request = request

    def answered_by(self, number: int, response: Any) -> None:
        """Check an answer to it."""
        assert number == self.number, "an answer under another id"
        assert response is None or isinstance(response, kind_of(self.request).response), "an answer of another kind"


class Watch:
    """The books."""

    def __init__(self) -> None:
        self.ours: dict[tuple[ConnectionId, StreamId], Permission | Question | None] = {}
        """Streams that we opened and that are not over; a question that was answered has nothing to come."""
        self.theirs: dict[tuple[ConnectionId, StreamId], int | Question] = {}
        """Streams that peers opened and that we have not answered: questions, and how many items they permit."""
        self.answered: set[tuple[ConnectionId, StreamId]] = set()
        self.next_index: dict[Line, int] = {}
        self.last_tip: dict[ConnectionId, bytes] = {}
        self.told: set[tuple[str, int]] = set()
        self.questions: Counter[int] = Counter()
        """Questions of the node software that are open, by its id; it may use one for two."""
        self.last_verdict = RequestId(0)

    @classmethod
    def of(cls, state: P2pState) -> Watch:
        """Books that are opened in the middle, with what the state itself tells of its past."""
        watch = cls()
        watch.last_verdict = state.pools.last_verdict_id
        for connection_id, channels in state.channels.table.items():
            watch.told.add(("connected", connection_id))
            for channel in KINDS:
                if (machine := channels.propagation(channel)) is not None:
                    watch._open(connection_id, channel, machine)
            if channels.rpc is not None:
                for request in channels.rpc.requests:
                    question = Question(request.id, request.request) if isinstance(request, RpcRequested) else None
                    watch.ours[connection_id, request.stream] = question
                    if isinstance(request, RpcRequested) and isinstance(request.purpose, ForNode):
                        watch.questions[request.purpose.request_id] += 1
                for serving in channels.rpc.serving:
                    watch.theirs[connection_id, serving.stream] = Question(serving.id, serving.request)
        return watch

    def _open(self, connection_id: ConnectionId, channel: ChannelId, machine: Propagation) -> None:
        self.next_index[connection_id, channel] = machine.next_send_index
        match machine.local:
            case Requested(limit=limit, stream=stream):
                self.ours[connection_id, stream] = Permission(limit)
            case Responding(limit=limit, promised_count=promised, current_count=current, stream=stream):
                permission = self.ours[connection_id, stream] = Permission(limit)
                permission.promised, permission.received = promised, current
            case _:
                pass
        match machine.remote:
            case RemoteRequested(limit=limit, stream=stream):
                self.theirs[connection_id, stream] = limit
            case RemoteResponded(stream=stream):
                self.answered.add((connection_id, stream))
            case _:
                pass

    def see(self, before: P2pState, action: Any, now: Timestamp, steps: Sequence[Any], effects: Sequence[Any], after: P2pState) -> None:
        """One input and all that came of it; raises `AssertionError` for a broken promise."""
        if not steps:
            assert after is before, "a refused action changed the state"
        self._inputs(before, action, steps, after)
        for step in steps:
            self._step(before, after, step, now)
            if type(step) in _CHANNEL_STEPS:
                self._permission(step)
            if isinstance(step, prop.ChannelsPropagationResponseSend) and not isinstance(action, prop.ChannelsPropagationResponseSend):
                is_blocked = before.channels.is_send_blocked(step.connection_id) and after.channels.is_send_blocked(step.connection_id)
                assert not is_blocked, "items for a peer that does not read"
                is_behind = not before.is_in_step(step.connection_id) and not after.is_in_step(step.connection_id)
                assert step.channel == ChannelId.BEST_TIP or not is_behind, "items for a peer that can not judge them"
        self._node_asked(action, steps)
        for effect in effects:
            self._told(effect)
        self._ends(before, action, now, steps, after)
        self._dials(before, action, now, effects)
        self._bans(before, action, now, after)
        self._successes(before, after)
        self._pools(before, action, steps, after)
        self._gone(before, action, steps, after)
        self._open_streams(after)

    # --- inputs ---------------------------------------------------------------------------

    def _inputs(self, before: P2pState, action: Any, steps: Sequence[Any], after: P2pState) -> None:
        if isinstance(action, OfConnection | ConnectionEstablished) and action.connection_id not in before.connections.table:
            assert not steps, "an event of a connection that is gone had a consequence (N1)"
        if isinstance(action, Shutdown) and before.is_stopping:
            assert not steps, "a node stopped twice"
        if isinstance(action, ChannelsMessageReceived) and steps:
            void = [step for step in steps if isinstance(step, ChannelsEffectfulStreamReset) and step.stream == action.stream]
            accepted = bool(void) or any(type(step) in _FROM_FRAMES for step in steps)
            assert accepted or action.connection_id not in after.connections.table, "an unexpected message had no consequence"
        if isinstance(action, ConnectionIncomingReceived):
            answers = [step for step in steps if isinstance(step, ConnectionEffectfulAccept | ConnectionEffectfulReject)]
            assert [answer.handle for answer in answers] == [action.handle], "an arrival was not answered once"

    # --- time -----------------------------------------------------------------------------

    def _step(self, before: P2pState, after: P2pState, step: Any, now: Timestamp) -> None:
        waited = _deadline(before, step)
        assert waited is not None and waited <= now, f"{type(step).__name__} before its time"
        if isinstance(step, rpc.ChannelsRpcRequestSend) and isinstance(step.purpose, ForDiscovery):
            assert before.config.is_discovery_enabled, "asked for peers, although it should not"
            fewest = min(len(before.connections), len(after.connections))
            assert fewest < before.config.limits.peers_min, "asked for peers, although there are enough"

    def _ends(self, before: P2pState, action: Any, now: Timestamp, steps: Sequence[Any], after: P2pState) -> None:
        """What has waited long enough has an end."""
        for step in steps:
            if isinstance(step, ConnectionOutgoingTimeout | ConnectionIncomingTimeout):
                assert step.connection_id not in after.connections.table, "an attempt took too long and goes on"
            if isinstance(step, PeerUndialable) and not isinstance(action, PeerUndialable):
                is_test = any(isinstance(other, ConnectionFeelerInit) for other in steps)
                is_needed = is_test or len(before.connections) < before.config.limits.peers_min
                assert is_needed, "a peer is put off that need not be dialled"
                assert not before.is_stopping, "a node that stops puts peers off"
            if isinstance(step, PeerAnnounced) and (known := before.peers.find(step.address.peer_id)) is not None:
                assert not isinstance(known[1].status, Attached | Banned), "a peer's own word changed what happens to it now"
            if isinstance(step, PeerDiscovered | PeerAnnounced) and step.source is PeerSource.REFERRAL:
                assert step.source in before.config.peer_table.sources, "an address from a source that is off was believed"
            if isinstance(step, PeersRotate):
                assert before.peers.next_rotation_at <= now, "dialled connections make way too soon after one another"
            if isinstance(step, PeersRotate) and step is action:
                kept = max(1, before.config.limits.peers_outgoing)
                assert before.connections.outgoing_count >= kept and not before.is_stopping, "one of few makes way"
            if isinstance(step, ConnectionFeelerInit):
                assert before.peers.next_feeler_at <= now, "tests of who can be reached follow too soon on one another"
            if isinstance(step, ConnectionFeelerInit) and step is action:
                assert len(before.connections) >= before.config.limits.peers_min, "a test where a connection is wanted"
                assert not before.is_stopping and before.peers.feeler is None, "a test while there is another, or the end"
            if isinstance(step, PeerDiscovered | PeerAnnounced) and step.learned_from is not None:
                assert isinstance(step.address, QuicAddress), "an address that nobody can dial was believed"
                assert host_scope(step.address.host) in {HostScope.GLOBAL, _scope_of(before, step.learned_from)}, (
                    "a private address was believed"
                )
            if isinstance(step, PeersDiscoverRandom):
                assert before.peers.next_discovery_at <= now, "asked for peers too often"
            if isinstance(step, PeersChurn):
                assert before.peers.next_churn_at <= now, "room was made too soon after the last"
                assert after.connections.ready_count >= min(before.connections.ready_count, before.config.limits.peers_stable), (
                    "room for nobody"
                )
            if isinstance(step, PoolFetched):
                candidate = before.pools.of(step.channel).candidates.get(step.candidate)
                assert candidate is not None, "an item for nothing"
                assert candidate.status == Fetching(step.connection_id), "an item from somebody who was not asked for it"

    # --- permissions, ours and theirs -------------------------------------------------------

    def _permission(self, step: Any) -> None:
        if isinstance(step, ChannelsEffectfulRequestSend):
            self._asked(step)
        elif isinstance(step, ChannelsEffectfulAnswerSend):
            self._answered(step)
        elif isinstance(step, ChannelsEffectfulStreamReset):
            self._given_up(step)
        elif isinstance(step, prop.ChannelsPropagationResponseSend):
            self._advanced(step)
        elif isinstance(step, prop.ChannelsPropagationRequestReceived | rpc.ChannelsRpcRequestReceived):
            line = step.connection_id, step.stream
            assert line not in self.theirs and line not in self.answered, "a stream was used for a second request"
            if isinstance(step, prop.ChannelsPropagationRequestReceived):
                assert step.limit > 0, "a permission for nothing was taken"
                self.theirs[line] = step.limit
            else:
                assert is_reasonable(step.request), "an unreasonable question was taken"
                self.theirs[line] = Question(step.id, step.request)
        elif isinstance(step, prop.ChannelsPropagationRequestCancelled | rpc.ChannelsRpcRequestCancelled):
            self.theirs.pop((step.connection_id, step.stream), None)
            if isinstance(step, prop.ChannelsPropagationRequestCancelled):
                self.next_index.pop((step.connection_id, step.channel), None)
                self.last_tip.pop(step.connection_id, None)
        else:
            self._arrived(step)

    def _given_up(self, step: ChannelsEffectfulStreamReset) -> None:
        """We withdraw what we asked; or a peer has withdrawn what it asked, as its requests on later streams show."""
        line = step.connection_id, step.stream
        if line in self.ours:
            del self.ours[line]
            return
        assert not isinstance(self.theirs.get(line), Question), "a question was given up, that no other can withdraw"
        if line not in self.theirs:
            later = [stream for cid, stream in self.theirs.keys() | self.answered if cid == line[0] and stream > line[1]]
            assert later, "a stream was given up for nothing"
        self.answered.add(line)

    def _asked(self, step: ChannelsEffectfulRequestSend) -> None:
        line = step.connection_id, step.stream
        assert line not in self.ours, "a stream was opened twice"
        if step.channel in KINDS:
            message = KINDS[step.channel].decode(step.frame)
            assert isinstance(message, GetNext)
            assert message.limit > 0, "a permission for nothing was given"
            self.ours[line] = Permission(message.limit)
        else:
            question = RPC_MESSAGE.decode(step.frame)
            assert isinstance(question, RpcRequestMessage)
            assert is_reasonable(question.request), "an unreasonable question was asked"
            self.ours[line] = Question(question.id, question.request)

    def _arrived(self, step: Any) -> None:
        """Items, promises and ends on streams of ours."""
        line = step.connection_id, step.stream
        assert line in self.ours, f"{type(step).__name__} on a stream that is not open"
        permission = self.ours[line]
        if isinstance(step, prop.ChannelsPropagationAnswerReset | rpc.ChannelsRpcAnswerReset | rpc.ChannelsRpcAnswerEnded):
            del self.ours[line]
        if isinstance(step, rpc.ChannelsRpcResponseReceived):
            assert isinstance(permission, Question), "an answer to nothing"
            permission.answered_by(step.id, step.response)
            self.ours[line] = None
        if not isinstance(permission, Permission):
            return
        if isinstance(step, prop.ChannelsPropagationPromiseReceived):
            assert permission.promised is None, "two promises for one permission"
            assert 0 < step.promised_count <= permission.limit, "a promise over its permission"
            permission.promised = step.promised_count
        elif isinstance(step, prop.ChannelsPropagationReceived):
            permission.received += 1
            promised = 1 if step.channel == ChannelId.BEST_TIP else permission.promised
            assert promised is not None and permission.received <= promised, "an item that was not promised"
        elif isinstance(step, prop.ChannelsPropagationAnswerEnded):
            del self.ours[line]
            promised = 1 if step.channel == ChannelId.BEST_TIP else permission.promised
            assert permission.received == promised, "an answer ended early"

    def _answered(self, step: ChannelsEffectfulAnswerSend) -> None:
        line = step.connection_id, step.stream
        assert line in self.theirs, "an answer that nobody asked for"
        limit = self.theirs.pop(line)
        self.answered.add(line)
        assert step.ends, "an answer without an end"
        if isinstance(limit, Question):
            (frame,) = step.frames
            answer = RPC_MESSAGE.decode(frame)
            assert isinstance(answer, RpcResponseMessage)
            limit.answered_by(answer.id, answer.response)
            return
        assert 0 < len(step.frames) <= limit + 1, "more than was permitted"

    def _advanced(self, step: prop.ChannelsPropagationResponseSend) -> None:
        line = step.connection_id, step.channel
        assert any(cid == line[0] and isinstance(permission, int) for (cid, _), permission in self.theirs.items()), "items unasked"
        assert step.items, "an answer without items"
        promise = KINDS[step.channel].encode_answer(step.items)[0]
        if step.channel != ChannelId.BEST_TIP:
            assert KINDS[step.channel].decode(promise) == WillSend(len(step.items)), "another number than was promised"
        assert step.first_index >= self.next_index.get(line, 0), "an item was sent twice"
        assert step.last_index >= step.first_index, "a log that goes backwards"
        self.next_index[line] = step.last_index + 1
        if isinstance(step.items[0], RawBlock):
            assert self.last_tip.get(step.connection_id) != step.items[0], "the same best tip twice"
            self.last_tip[step.connection_id] = bytes(step.items[0])

    def _open_streams(self, after: P2pState) -> None:
        """Every stream that is open is still known, on either side: none was forgotten."""
        self.ours = {line: permission for line, permission in self.ours.items() if line[0] in after.channels.table}
        self.theirs = {line: limit for line, limit in self.theirs.items() if line[0] in after.channels.table}
        known: set[tuple[ConnectionId, StreamId]] = set()
        served: set[tuple[ConnectionId, StreamId]] = set()
        for connection_id, channels in after.channels.table.items():
            for channel in KINDS:
                machine = channels.propagation(channel)
                if machine is not None and isinstance(machine.local, Requested | Responding):
                    known.add((connection_id, machine.local.stream))
                if machine is not None and isinstance(machine.remote, RemoteRequested):
                    served.add((connection_id, machine.remote.stream))
            if channels.rpc is not None:
                known |= {(connection_id, request.stream) for request in channels.rpc.requests}
                served |= {(connection_id, serving.stream) for serving in channels.rpc.serving}
        assert set(self.ours) == known, "a stream of ours was forgotten, or made up"
        assert set(self.theirs) == served, "a peer's stream was forgotten, or made up"

    # --- what the node software is told -----------------------------------------------------

    def _node_asked(self, action: Any, steps: Sequence[Any]) -> None:
        """Note the questions of the node software, however they entered."""
        # Whoever is asked by name is asked over a connection next, if there is one.
        by_name = {step.request_id for step in steps if isinstance(step, PeerAsk)}
        by_connection = (step.request_id for step in steps if isinstance(step, rpc.RpcRequestSend))
        self.questions.update((*by_name, *(number for number in by_connection if number not in by_name)))
        match action:
            case rpc.ChannelsRpcRequestSend(purpose=ForNode(request_id=number)) if action in steps:
                self.questions[number] += 1
            case RpcResponded(request_id=number) | RpcFailed(request_id=number):
                self.questions[number] += 1
            case _:
                pass

    def _told(self, effect: Any) -> None:
        match effect:
            case PeerConnected(connection_id=number):
                self._once("connected", number)
            case PeerDisconnected(connection_id=number):
                assert ("connected", number) in self.told, "the end of what never was"
                self._once("over", number)
            case ConnectionFailed(connection_id=int(number)):
                assert ("connected", number) not in self.told, "a ready connection failed"
                self._once("over", number)
            case RpcResponded(request_id=number) | RpcFailed(request_id=number):
                assert self.questions[number] > 0, f"an answer to what was not asked, or told twice: {number}"
                self.questions[number] -= 1
            case ItemReceived(verdict_id=number):
                assert number > self.last_verdict, "a question with an old id"
                self.last_verdict = number
            case _:
                pass

    def _once(self, what: str, number: int) -> None:
        assert (what, number) not in self.told, f"told twice: {what} {number}"
        self.told.add((what, number))

    # --- peers and pools --------------------------------------------------------------------

    def _dials(self, before: P2pState, action: Any, now: Timestamp, effects: Sequence[Any]) -> None:
        for effect in effects:
            if isinstance(effect, ConnectionEffectfulDial):
                assert not before.is_stopping, "a node that stops dials"
                assert effect.address.peer_id != before.config.peer_id, "a node dials itself"
                found = before.peers.find(effect.address.peer_id)
                if found is not None and not isinstance(action, PeerUnban | BansReset):
                    is_banned = isinstance(found[1].status, Banned) and found[1].status.until > now
                    assert not is_banned, "a banned peer is dialled"
                if not isinstance(action, PeerGroupUnban | BansReset):
                    host = dial_host(effect.address)
                    assert host is None or before.group_ban(host, now) is None, "a banned network is dialled"

    def _bans(self, before: P2pState, action: Any, now: Timestamp, after: P2pState) -> None:
        for number, peer in before.peers.table.items():
            later = after.peers.table.get(number)
            if (
                isinstance(peer.status, Banned)
                and peer.status.until > now
                and later is not None
                and not isinstance(action, PeerUnban | BansReset)
            ):
                assert isinstance(later.status, Banned), "a ban ended early"
        for ban in after.peers.group_bans.all(Timestamp(0)):
            assert ban.until > now or ban in before.peers.group_bans.all(Timestamp(0)), "a ban that is over before it begins"
        for number, peer in after.peers.table.items():
            old = before.peers.table.get(number)
            if isinstance(peer.status, Banned) and (old is None or old.status != peer.status):
                assert peer.status.until > now, "a ban that is over before it begins"

    def _successes(self, before: P2pState, after: P2pState) -> None:
        for number, peer in after.peers.table.items():
            old = before.peers.table.get(number)
            if old is not None and old.last_success != peer.last_success:
                is_ready = isinstance(peer.status, Attached) and after.connections.ready(peer.status.connection_id) is not None
                assert is_ready or old.status != peer.status, "a success without a connection"

    def _pools(self, before: P2pState, action: Any, steps: Sequence[Any], after: P2pState) -> None:
        for channel in POOL_CHANNELS:
            if after.pools.of(channel).items.counter > before.pools.of(channel).items.counter:
                is_valid = isinstance(action, PoolInsert) or (isinstance(action, PoolVerdict) and action.is_valid)
                assert is_valid, "an item entered a pool that nobody declared valid"
        if after.best_tips.version != before.best_tips.version and before.best_tips.own is not None:
            own = after.best_tips.own
            assert own is not None and own.state_hash != before.best_tips.own.state_hash, "a new best tip that is the old one"

    def _gone(self, before: P2pState, action: Any, steps: Sequence[Any], after: P2pState) -> None:
        """What leaves a pool by itself, or by command; and candidates that are given up."""
        told = {(step.channel, key) for step in steps if isinstance(step, PoolItemsDropped) for key in step.keys}
        for channel in POOL_CHANNELS:
            old, new = before.pools.of(channel), after.pools.of(channel)
            for item in old.items.items.values():
                by_command = isinstance(action, PoolRemove) and action.key == item.key
                assert by_command or item.key in new.items or (channel, item.key) in told, "an item left its pool unheard of"
        for step in steps:
            if isinstance(step, PoolSettle):
                assert after.best_tips.own is not None, "settled by nothing"
                assert after.config.are_settled_items_dropped, "settled, although it should not be"
            if isinstance(step, PoolCandidateTimeout):
                candidate = before.pools.of(step.channel).candidates.get(step.candidate)
                assert candidate is not None and isinstance(candidate.status, Announced), "given up while it is being taken care of"


def _scope_of(state: P2pState, number: PeerNumber) -> HostScope | None:
    """The range of a peer that is not connected; those that are come from everywhere here."""
    teller = state.peers.table.get(number)
    host = None if teller is None or teller.address is None or isinstance(teller.status, Attached) else dial_host(teller.address)
    return None if host is None else host_scope(host)


_FROM_FRAMES = frozenset(
    {
        prop.ChannelsPropagationRequestReceived,
        prop.ChannelsPropagationPromiseReceived,
        prop.ChannelsPropagationReceived,
        rpc.ChannelsRpcRequestReceived,
        rpc.ChannelsRpcResponseReceived,
    }
)
_CHANNEL_STEPS = _FROM_FRAMES | {
    ChannelsEffectfulRequestSend,
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulStreamReset,
    prop.ChannelsPropagationAnswerEnded,
    prop.ChannelsPropagationAnswerReset,
    prop.ChannelsPropagationResponseSend,
    prop.ChannelsPropagationRequestCancelled,
    rpc.ChannelsRpcAnswerEnded,
    rpc.ChannelsRpcAnswerReset,
    rpc.ChannelsRpcRequestCancelled,
}


def _deadline(state: P2pState, step: Any) -> Timestamp | None:
    """When what this step ends was to end; ``None`` if nothing such waited, 0 for a step that ends no wait."""
    match step:
        case ConnectionOutgoingTimeout() | ConnectionIncomingTimeout():
            connection = state.connections.get(step.connection_id)
            return None if connection is None else connection.deadline
        case prop.ChannelsPropagationTimeout():
            machine = state.channels.propagation(step.connection_id, step.channel)
            return None if machine is None else machine.deadline
        case rpc.ChannelsRpcTimeout() | rpc.ChannelsRpcServeTimeout():
            found = state.channels.rpc(step.connection_id)
            if found is None:
                return None
            wait = found.request(step.id) if isinstance(step, rpc.ChannelsRpcTimeout) else found.serving_by(step.serial)
            return None if wait is None else wait.deadline
        case PeerWoken():
            peer = state.peers.table.get(step.number)
            return None if peer is None else peer.wakes_at
        case PoolExpire(channel=channel):
            return state.pools.of(channel).expires_at
        case PoolVerdictTimeout() | PoolCandidateTimeout():
            candidate = state.pools.of(step.channel).candidates.get(step.candidate)
            return None if candidate is None else candidate.wakes_at
        case _:
            return Timestamp(0)

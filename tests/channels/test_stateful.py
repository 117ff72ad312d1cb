"""One node, hostile and honest peers, late and wrong answers of its software, and time: whatever they do, every invariant holds."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from channels.lab import DISCOVERY, EXCHANGE, NO_KEY, QUESTION, STREAMING, Lab, ledger
from channels.people import connector_answer, crypto_answer, key
from mina_p2p.channels.signaling_discovery import messages as dm
from mina_p2p.channels.signaling_discovery.actions import ChannelsSignalingDiscoveryOfferError
from mina_p2p.channels.signaling_exchange import messages as em
from mina_p2p.channels.signaling_exchange.actions import ChannelsSignalingExchangeAnswerError
from mina_p2p.channels.streaming_rpc import messages as sm
from mina_p2p.channels.streaming_rpc.actions import (
    ChannelsStreamingRpcResponseCancel,
    ChannelsStreamingRpcResponseSendInit,
    StreamingRpcCancel,
    StreamingRpcRequestSend,
)
from mina_p2p.config import Limits
from mina_p2p.errors import CallerError
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId, StreamId
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulRequestContinue, ChannelsSendBlocked, ChannelsSendUnblocked

PEERS = 5
ids = st.integers(0, 3)
CIPHERTEXTS = (b"", b"offer", b"\xff" * 5_400, b"\x01" * 16_380)
ciphertexts = st.integers(0, 3).map(lambda index: CIPHERTEXTS[index])
DISCOVERY_MESSAGES = st.one_of(
    st.sampled_from(
        [dm.DiscoveryGetNext(), dm.DiscoveryDiscover(), dm.DiscoveryDiscover(), dm.DiscoveryDiscoveredReject(), dm.DiscoveryAnswer(None)]
    ),
    st.builds(dm.DiscoveryDiscovered, st.sampled_from([key(1), key(9), key(10), NO_KEY])),
    st.builds(dm.DiscoveryDiscoveredAccept, ciphertexts),
    st.builds(dm.DiscoveryAnswer, ciphertexts),
)
EXCHANGE_MESSAGES = st.one_of(
    st.sampled_from([em.ExchangeGetNext(), em.ExchangeGetNext(), em.ExchangeAnswer(None)]),
    st.builds(em.ExchangeOfferToYou, st.sampled_from([key(2), key(9), NO_KEY]), ciphertexts),
    st.builds(em.ExchangeAnswer, ciphertexts),
)
PARTS = (*ledger(), sm.StagedLedgerPartScanStateBase(0, b""), sm.StagedLedgerPartScanStateBase(7, b"x" * 400))
RESPONSES = (None, *map(sm.StagedLedgerPartsResponse, PARTS))
STREAMING_MESSAGES = st.one_of(
    st.builds(sm.StreamingRpcNext, ids),
    st.builds(sm.StreamingRpcRequestMessage, ids, st.just(QUESTION)),
    st.builds(sm.StreamingRpcResponseMessage, ids, st.integers(0, len(RESPONSES) - 1).map(lambda index: RESPONSES[index])),
)
CODECS: dict[ChannelId, Any] = {
    DISCOVERY: dm.DISCOVERY_MESSAGE,
    EXCHANGE: em.EXCHANGE_MESSAGE,
    STREAMING: sm.STREAMING_RPC_MESSAGE,
}


class Conversations(RuleBasedStateMachine):
    """`Lab.feed` checks every invariant after every input; here is counted who said how much."""

    lab: Lab

    @initialize(seed=st.integers(0, 9), small=st.booleans(), wants=st.booleans())
    def begin(self, seed: int, small: bool, wants: bool) -> None:
        """A node, with tight bounds or wide ones."""
        limits = Limits(peers_max=3, peers_min=2, streaming_serving_max=1, streaming_answer_bytes_max=600, signaling_pairs_max=2)
        self.lab = Lab(seed=seed, is_discovery_enabled=wants, **({"limits": limits} if small else {}))
        self.heard: Counter[tuple[ConnectionId, StreamId]] = Counter()
        self.said: Counter[tuple[ConnectionId, StreamId]] = Counter()
        self.replies: list[Any] = []

    # --- what is there ----------------------------------------------------------------------

    def connection(self, n: int) -> ConnectionId | None:
        """The connection with a peer; it comes, where there is none and if it may."""
        found = self.lab.state.connection_of(key(n))
        if found is None:
            found = self.lab.arrive(n, (DISCOVERY, EXCHANGE, STREAMING))
        return found if found in self.lab.state.channels.table else None

    def stream(self, cid: ConnectionId, channel: ChannelId, choice: int) -> StreamId:
        """A stream that matters, or one that does not."""
        channels = self.lab.state.channels.table[cid]
        record: Any = {DISCOVERY: channels.discovery, EXCHANGE: channels.exchange, STREAMING: channels.streaming_rpc}[channel]
        known = [getattr(half, "stream", None) for half in (record.local, record.remote)]
        options = [stream for stream in known if stream is not None] + [self.lab.peer_stream(cid)]
        return StreamId(options[choice % len(options)])

    def done(self) -> None:
        """Remember what others could answer, and look that on no stream we spoke out of turn: a word for a word, after the first."""
        for effect in self.lab.effects:
            reply = crypto_answer(self.lab.state.config.peer_id, effect) or connector_answer(effect)
            if reply is not None:
                self.replies = [*self.replies[-20:], reply]
            if isinstance(effect, ChannelsEffectfulAnswerSend | ChannelsEffectfulRequestContinue):
                frames = effect.frames if isinstance(effect, ChannelsEffectfulAnswerSend) else (effect.frame,)
                self.said[effect.connection_id, effect.stream] += len(frames)
        for where, count in self.said.items():
            assert count <= self.heard[where], f"{count} words on {where}, after {self.heard[where]} of the peer's"

    # --- peers ------------------------------------------------------------------------------

    def message(self, n: int, channel: ChannelId, choice: int, message: Any) -> None:
        """A peer speaks."""
        cid = self.connection(n)
        if cid is None:
            return
        stream = self.stream(cid, channel, choice)
        self.heard[cid, stream] += 1
        self.lab.frame(cid, channel, stream, CODECS[channel].encode(message))
        self.done()

    @rule(n=st.integers(1, PEERS), choice=st.integers(0, 2), message=DISCOVERY_MESSAGES)
    def discovery(self, n: int, choice: int, message: Any) -> None:
        """On channel 1."""
        self.message(n, DISCOVERY, choice, message)

    @rule(n=st.integers(1, PEERS), choice=st.integers(0, 2), message=EXCHANGE_MESSAGES)
    def exchange(self, n: int, choice: int, message: Any) -> None:
        """On channel 2."""
        self.message(n, EXCHANGE, choice, message)

    @rule(n=st.integers(1, PEERS), choice=st.integers(0, 2), message=STREAMING_MESSAGES)
    def streaming(self, n: int, choice: int, message: Any) -> None:
        """On channel 8."""
        self.message(n, STREAMING, choice, message)

    @rule(n=st.integers(1, PEERS), trees=st.integers(1, 3), count=st.integers(1, 6))
    def answer_properly(self, n: int, trees: int, count: int) -> None:
        """The parts that are due, as far as it goes."""
        cid = self.connection(n)
        for part in ledger(trees)[:count]:
            channels = self.lab.state.channels.table.get(cid) if cid is not None else None
            local: Any = None if channels is None or channels.streaming_rpc is None else channels.streaming_rpc.local
            if cid is None or getattr(local, "id", None) is None:
                return
            self.heard[cid, local.stream] += 1
            self.lab.part(cid, local.id, part, local.stream)
            self.done()

    @rule(n=st.integers(1, PEERS), channel=st.sampled_from(list(CODECS)), choice=st.integers(0, 2), is_reset=st.booleans())
    def end(self, n: int, channel: ChannelId, choice: int, is_reset: bool) -> None:
        """A half ends, or a stream is given up."""
        cid = self.connection(n)
        if cid is None:
            return
        stream = self.stream(cid, channel, choice)
        (self.lab.reset if is_reset else self.lab.end)(cid, channel, stream)
        self.done()

    @rule(n=st.integers(1, PEERS), channel=st.sampled_from(list(CODECS)), choice=st.integers(0, 2), frame=st.binary(max_size=6))
    def garbage(self, n: int, channel: ChannelId, choice: int, frame: bytes) -> None:
        """Bytes."""
        cid = self.connection(n)
        if cid is not None:
            stream = self.stream(cid, channel, choice)
            self.heard[cid, stream] += 1
            self.lab.frame(cid, channel, stream, frame)
            self.done()

    @rule(n=st.integers(1, PEERS))
    def leave(self, n: int) -> None:
        """A connection is lost."""
        cid = self.lab.state.connection_of(key(n))
        if cid is not None:
            self.lab.close(cid)
            self.done()

    @rule(n=st.integers(1, PEERS), is_blocked=st.booleans())
    def backlog(self, n: int, is_blocked: bool) -> None:
        """A slow reader, or one that has caught up."""
        cid = self.connection(n)
        if cid is not None:
            self.lab.feed((ChannelsSendBlocked if is_blocked else ChannelsSendUnblocked)(cid))
            self.done()

    # --- software and time --------------------------------------------------------------------

    @rule(choice=st.integers(0, 20), fails=st.booleans())
    def reply(self, choice: int, fails: bool) -> None:
        """An effect is answered: in time, late, twice, or with a failure."""
        if not self.replies:
            return
        reply = self.replies[choice % len(self.replies)]
        if fails:
            match type(reply).__name__:
                case "ChannelsSignalingDiscoveryOfferReady":
                    reply = ChannelsSignalingDiscoveryOfferError(reply.connection_id, reply.stream)
                case "ChannelsSignalingExchangeAnswerReady":
                    reply = ChannelsSignalingExchangeAnswerError(reply.connection_id, reply.stream)
                case _:
                    reply = reply.replace(**{"offer" if "Offer" in type(reply).__name__ else "answer": None})
        before = self.lab.state
        self.lab.feed(reply)
        assert self.lab.steps.raw or self.lab.state is before
        self.done()

    @rule(n=st.integers(1, PEERS), request_id=ids, is_cancel=st.booleans())
    def ask(self, n: int, request_id: int, is_cancel: bool) -> None:
        """The node software asks, or no longer wants to know."""
        cid = self.connection(n)
        if cid is not None:
            self.lab.feed(
                StreamingRpcCancel(cid, RequestId(request_id))
                if is_cancel
                else StreamingRpcRequestSend(cid, RequestId(request_id), QUESTION)
            )
            self.done()

    @rule(n=st.integers(1, PEERS), choice=st.integers(0, 6))
    def serve(self, n: int, choice: int) -> None:
        """The node software answers, or takes it back; properly or not."""
        cid = self.lab.state.connection_of(key(n))
        rpc = None if cid is None else self.lab.state.channels.streaming_rpc(cid)
        if cid is None or rpc is None:
            return
        parts: Any = (None, "cancel", ledger(1), ledger(3), ledger(40), (), ledger(2)[1:])[choice]
        serial = max(rpc.next_serial - 1, 0)
        before = self.lab.state
        try:
            if parts == "cancel":
                self.lab.feed(ChannelsStreamingRpcResponseCancel(cid, serial))
            else:
                self.lab.feed(ChannelsStreamingRpcResponseSendInit(cid, serial, parts))
        except CallerError:
            assert self.lab.state is before
            return
        self.done()

    @rule(seconds=st.sampled_from([1, 5, 15, 20, 30, 61, 601]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.lab.wait(seconds * SECOND)
        self.done()


def test_whatever_happens_every_invariant_holds() -> None:
    """More with MINA_P2P_EXAMPLES."""
    examples = int(os.environ.get("MINA_P2P_EXAMPLES", "60"))
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Conversations, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=quiet)
    )

"""Whatever both worlds say in whatever order: one verdict for each message, one question for each item, one publication."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from slices.items import block, insert_payment, payment, payment_info, state_hash
from slices.lab import Lab
from slices.tables.relay import ON, heard

from mina_p2p.best_tip.actions import BestTipSet, PeerBestTipReceived
from mina_p2p.channels.rpc.messages import TransactionResponse
from mina_p2p.gossipsub.actions import NetworkPubsubPublish, NetworkPubsubVerdict, Verdict
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId
from mina_p2p.mina.raw import RawUserCommand
from mina_p2p.notifications import BestTipReceived, ItemReceived
from mina_p2p.pool.actions import PoolVerdict
from mina_p2p.relay.actions import RelayVerdict
from mina_p2p.relay.messages import block_message, kind_of, read_message
from mina_p2p.transport import ChannelsEffectfulRequestSend
from relay.test_edges import bad_copy, payments_message

TX = ChannelId.TRANSACTION
PAYMENTS = st.integers(1, 4)
BLOCKS = st.integers(1, 2)


class History:
    """One node, both worlds, and what was said, asked and published."""

    def __init__(self) -> None:
        self.lab = Lab(**ON)
        self.connection_id = self.lab.accept(1)
        self.messages: dict[int, bytes] = {}
        self.verdicts: dict[int, list[Verdict]] = {}
        self.open_items: dict[RequestId, bytes] = {}
        self.open_blocks: list[RequestId] = []
        self.judged: dict[bytes, set[bool]] = {}
        self.published: list[bytes] = []
        self.given: set[bytes] = set()

    def feed(self, action: Any) -> None:
        self._look(self.lab.feed(action))

    def wait(self, seconds: int) -> None:
        self._look(self.lab.wait(seconds * SECOND))

    def _look(self, lab: Lab) -> None:
        taken = [step.action for step in lab.steps] + [refusal.action for refusal in lab.steps.refusals]
        for action in taken:
            if isinstance(action, NetworkPubsubVerdict):
                self.verdicts.setdefault(action.verdict_id, []).append(action.verdict)
            elif isinstance(action, NetworkPubsubPublish):
                self.published.append(action.data)
            elif isinstance(action, ItemReceived):
                assert action.body not in self.open_items.values(), "the node software is asked about one thing once at a time"
                held = {item.body for item in lab.state.pools.of(TX).items.items.values()}
                assert action.body not in held
                self.open_items[action.verdict_id] = action.body
            elif isinstance(action, BestTipReceived) and action.verdict_id is not None:
                self.open_blocks.append(action.verdict_id)

    # --- what can happen

    def gossip(self, data: bytes) -> None:
        number = RequestId(len(self.messages) + 1)
        self.messages[number] = data
        self.feed(heard(number, data))

    def announce(self, number: int) -> None:
        if self.lab.state.connections.ready(self.connection_id) is None:
            self.connection_id = self.lab.accept(1)
        if self.lab.state.channels.propagation(self.connection_id, TX) is not None:
            self.lab.announce(self.connection_id, TX, payment_info(number))
            self._look(self.lab)
            self._answer(payment(number))

    def _answer(self, body: RawUserCommand) -> None:
        asked = [effect for effect in self.lab.effects if isinstance(effect, ChannelsEffectfulRequestSend)]
        rpc = self.lab.state.channels.rpc(self.connection_id)
        if any(effect.channel == ChannelId.RPC for effect in asked) and rpc is not None and rpc.requests:
            self.lab.answer(self.connection_id, rpc.requests[-1].id, TransactionResponse(body))
            self._look(self.lab)
            self.lab.end(self.connection_id, ChannelId.RPC)
            self._look(self.lab)

    def judge(self, which: int, *, is_valid: bool) -> None:
        if self.open_items:
            verdict_id = sorted(self.open_items)[which % len(self.open_items)]
            body = self.open_items.pop(verdict_id)
            if verdict_id in self.lab.state.pools.verdicts:
                self.judged.setdefault(body, set()).add(is_valid)
            self.feed(PoolVerdict(verdict_id, is_valid))

    def judge_block(self, verdict: Verdict) -> None:
        if self.open_blocks:
            self.feed(RelayVerdict(self.open_blocks.pop(), verdict))

    def give(self, number: int) -> None:
        self.given.add(payment(number))
        self.feed(insert_payment(number))

    def tip(self, number: int) -> None:
        self.feed(BestTipSet(block(number), state_hash(number)))

    def tip_of_peer(self, number: int) -> None:
        if self.lab.state.connections.ready(self.connection_id) is not None:
            self.feed(PeerBestTipReceived(ConnectionId(self.connection_id), block(number)))


def _steps() -> st.SearchStrategy[tuple[str, tuple[Any, ...]]]:
    several = st.lists(PAYMENTS, min_size=1, max_size=4)
    messages = st.one_of(
        st.builds(lambda numbers, nonce: payments_message(*numbers, nonce=nonce), several, st.integers(0, 2)),
        st.builds(lambda number: payments_message_of(bad_copy(number)), PAYMENTS),
        st.builds(lambda number: block_message(block(number)), BLOCKS),
        st.just(b"nothing"),
    )
    return st.one_of(
        st.tuples(st.just("gossip"), st.tuples(messages)),
        st.tuples(st.just("announce"), st.tuples(PAYMENTS)),
        st.tuples(st.just("valid"), st.tuples(st.integers(0, 9))),
        st.tuples(st.just("invalid"), st.tuples(st.integers(0, 9))),
        st.tuples(st.just("judge_block"), st.tuples(st.sampled_from(Verdict))),
        st.tuples(st.just("give"), st.tuples(PAYMENTS)),
        st.tuples(st.just("tip"), st.tuples(BLOCKS)),
        st.tuples(st.just("tip_of_peer"), st.tuples(BLOCKS)),
        st.tuples(st.just("wait"), st.tuples(st.sampled_from([1, 30, 70]))),
    )


def payments_message_of(command: RawUserCommand) -> bytes:
    """Gossip of one payment as it is."""
    body = b"\x02\x01" + command + b"\x00"
    return len(body).to_bytes(8, "little") + body


@settings(max_examples=150, deadline=None)
@given(st.lists(_steps(), max_size=25))
def test_any_sequence_of_both_worlds(steps: list[tuple[str, tuple[Any, ...]]]) -> None:
    """All invariants hold after every input; at the end nothing waits, and what was decided fits what the software said."""
    history = History()
    for name, arguments in steps:
        match name:
            case "valid" | "invalid":
                history.judge(*arguments, is_valid=name == "valid")
            case _:
                getattr(history, name)(*arguments)
    history.wait(120)
    history.wait(120)
    relay = history.lab.state.relay
    assert (len(relay.messages), len(relay.by_item)) == (0, 0)

    for number, data in history.messages.items():
        (verdict,) = history.verdicts[number]
        if data == b"nothing":
            assert verdict is Verdict.REJECT
            continue
        found = read_message(data)
        if not isinstance(found, tuple):
            continue
        if verdict is Verdict.REJECT:
            assert any(False in history.judged.get(body, ()) for body in found)
        elif verdict is Verdict.ACCEPT:
            assert all(True in history.judged.get(body, ()) or body in history.given for body in found)
            assert data not in history.published

    counts = Counter(history.published)
    for data, count in counts.items():
        assert count == 1 or kind_of(data).name == "BLOCK", "a payment is gossiped by us once"
        found = read_message(data)
        if isinstance(found, tuple):
            (body,) = found
            assert body in history.given or True in history.judged[body], "only what is valid is gossiped"

"""What waits between push and pull: every state of it, and every action on it."""

from __future__ import annotations

from typing import Any

from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.channels.rpc.messages import BestTipWithProofRequest, BlockRequest, SnarkRequest
from mina_p2p.gossipsub.actions import Verdict
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import SECOND, ChannelId, RequestId, Timestamp
from mina_p2p.libp2p.actions import NetworkHandOver
from mina_p2p.libp2p.config import TOPIC_V0, NetworkConfig
from mina_p2p.libp2p.notifications import NetworkPubsubMessageReceived, NetworkRpcFailed, NetworkRpcRequested, NetworkRpcResponded
from mina_p2p.pool.actions import PoolItemPushed, PoolVerdict
from mina_p2p.relay import actions as relay
from mina_p2p.relay.messages import block_message, transaction_message
from mina_p2p.relay.state import BY_LIBP2P, CALLS_FROM, Asked
from mina_p2p.state import P2pState
from slices.items import block, job_info, payment, payment_info, state_hash
from slices.lab import ME, START, Lab, peer_id
from slices.transitions import CID, LATE, Case, Table

ONE, TWO = RequestId(1), RequestId(2)
CALL = RequestId(CALLS_FROM + 1)
TX = ChannelId.TRANSACTION
ON = {"libp2p": NetworkConfig(peer_id(ME), MAINNET_CHAIN_ID)}


def heard(number: RequestId, data: bytes, topic: str = TOPIC_V0) -> NetworkHandOver:
    """A gossiped message, signed by one peer and sent by another."""
    return NetworkHandOver(NetworkPubsubMessageReceived(number, topic, data, bytes(32), peer_id(1), peer_id(2)))


def questioned(tag: str, query: bytes) -> NetworkHandOver:
    """A question of a peer of libp2p's."""
    return NetworkHandOver(NetworkRpcRequested(5, 7, peer_id(1), tag, query, Timestamp(START + 180 * SECOND)))


BLOCK, PAYMENT = heard(ONE, block_message(block(1))), heard(ONE, transaction_message(payment(1)))
BEST_TIP, CHAIN = questioned("get_best_tip", b"\x00"), questioned("get_transition_chain", b"\x01" + state_hash(1))


def _states() -> dict[str, P2pState]:
    nothing = Lab(**ON)
    asked = nothing.state.relay.replace(asked=nothing.state.relay.asked.set(CALL, Asked(ONE, BestTipWithProofRequest())), last_call=CALL)
    two_payments = Lab(**ON).feed(PAYMENT).feed(heard(TWO, transaction_message(payment(2))))
    pulls = Lab(**ON)
    pulls.accept(1)
    return {
        "off": Lab().state,
        "nothing": nothing.state,
        "a pull connection": pulls.state,
        "a best tip": Lab(**ON).feed(BestTipSet(block(1), state_hash(1))).state,
        "a block": Lab(**ON).feed(BLOCK).state,
        "a payment": Lab(**ON).feed(PAYMENT).state,
        "two payments": two_payments.state,
        "a payment in the pool": Lab(**ON).feed(PAYMENT).feed(PoolVerdict(ONE, True)).state,
        "we ask": nothing.state.replace(relay=asked),
        "we are asked": Lab(**ON).feed(BEST_TIP).state,
    }


def _look(state: P2pState) -> Any:
    for waiting in (state.relay.messages, state.relay.asked, state.relay.serving):
        for value in waiting.values():
            return value
    return None


def everywhere(what: str, **others: str) -> dict[str, str]:
    """The same outcome in every state with libp2p on, but for those that are named; an empty one is a refusal."""
    states = {label: others.get(label.replace(" ", "_"), f"{_look_name(state)}{what}") for label, state in STATES.items() if label != "off"}
    return {label: outcome for label, outcome in states.items() if outcome}


def _look_name(state: P2pState) -> str:
    found = _look(state)
    return "nothing" if found is None else type(found).__name__


STATES = _states()

RELAY = Table(
    STATES,
    {
        "HandOver, a block": Case(heard(RequestId(9), block_message(block(1)))),
        "HandOver, a payment": Case(heard(RequestId(9), transaction_message(payment(1)))),
        "HandOver, no message": Case(heard(RequestId(9), b"?")),
        "HandOver, another topic": Case(heard(RequestId(9), b"?", "another")),
        "HandOver, a question": Case(CHAIN),
        "HandOver, a question of libp2p's own": Case(questioned("Get_transition_knowledge", b"\x00")),
        "HandOver, an answer": Case(NetworkHandOver(NetworkRpcResponded(CALL, peer_id(1), "get_best_tip", b"\x00"))),
        "HandOver, another's answer": Case(NetworkHandOver(NetworkRpcResponded(ONE, peer_id(1), "get_best_tip", b"\x00"))),
        "HandOver, no answer": Case(NetworkHandOver(NetworkRpcFailed(CALL, "why"))),
        "RelayItemOpen": Case(relay.RelayItemOpen(ONE, RequestId(8))),
        "RelayItemUnwanted": Case(relay.RelayItemUnwanted(TWO)),
        "RelayItemJudged, valid": Case(relay.RelayItemJudged(ONE, True)),
        "RelayItemJudged, invalid": Case(relay.RelayItemJudged(ONE, False)),
        "RelayVerdict": Case(relay.RelayVerdict(ONE, Verdict.IGNORE)),
        "RelayMessageTimeout, early": Case(relay.RelayMessageTimeout(ONE)),
        "RelayMessageTimeout, late": Case(relay.RelayMessageTimeout(ONE), LATE),
        "RelayItemOffer": Case(relay.RelayItemOffer(TX, payment_info(1).hash, payment(1))),
        "RelayItemOffer, not gossiped": Case(relay.RelayItemOffer(ChannelId.SNARK_JOB_COMMITMENT, b"", b"")),
        "RelayTipOffer": Case(relay.RelayTipOffer(block(1))),
        "PeerAsk": Case(relay.PeerAsk(ONE, peer_id(1), BlockRequest(state_hash(1)))),
        "PeerAsk, pulled only": Case(relay.PeerAsk(ONE, peer_id(1), SnarkRequest(job_info(1).job_id))),
        "PeerAnswer": Case(relay.PeerAnswer(BY_LIBP2P, 1, None)),
        "PeerAnswer, by pull": Case(relay.PeerAnswer(CID, 1, None)),
        "RelayCallRefused": Case(relay.RelayCallRefused(CALL)),
        "RelayServingTimeout, early": Case(relay.RelayServingTimeout(1)),
        "RelayServingTimeout, late": Case(relay.RelayServingTimeout(1), LATE),
        "PoolItemPushed": Case(PoolItemPushed(ONE, TX, payment_info(1), payment(1), peer_id(1))),
    },
    _look,
    {
        "HandOver, a block": everywhere(
            ": BestTipReceived",
            nothing="Message: BestTipReceived",
            a_pull_connection="Message: BestTipReceived",
            a_best_tip="nothing: NetworkPubsubVerdict",
            a_payment_in_the_pool="Message: BestTipReceived",
            we_ask="Message: BestTipReceived",
            we_are_asked="Message: BestTipReceived",
        ),
        "HandOver, a payment": {label: "Message: PoolItemPushed" for label in STATES if label != "off"},
        "HandOver, no message": everywhere(": NetworkPubsubVerdict"),
        "HandOver, another topic": everywhere(": NetworkPubsubMessageReceived"),
        "HandOver, a question": everywhere(
            ": RpcRequested",
            nothing="Serving: RpcRequested",
            a_pull_connection="Serving: RpcRequested",
            a_payment_in_the_pool="Serving: RpcRequested",
            a_best_tip="nothing: NetworkRpcAnswer",
        ),
        "HandOver, a question of libp2p's own": everywhere(": NetworkRpcRequested"),
        "HandOver, an answer": everywhere(": NetworkRpcResponded", we_ask="nothing: RpcResponded"),
        "HandOver, another's answer": everywhere(": NetworkRpcResponded"),
        "HandOver, no answer": everywhere(": NetworkRpcFailed", we_ask="nothing: RpcFailed"),
        "RelayItemOpen": {"a block": "Message", "a payment": "Message", "two payments": "Message"},
        "RelayItemUnwanted": {"two payments": "Message"},
        "RelayItemJudged, valid": {"a payment": "nothing: NetworkPubsubVerdict", "two payments": "Message: NetworkPubsubVerdict"},
        "RelayItemJudged, invalid": {"a payment": "nothing: NetworkPubsubVerdict", "two payments": "Message: NetworkPubsubVerdict"},
        "RelayVerdict": {"a block": "nothing: NetworkPubsubVerdict"},
        "RelayMessageTimeout, late": {
            "a block": "nothing: NetworkPubsubVerdict",
            "a payment": "nothing: NetworkPubsubVerdict",
            "two payments": "Message: NetworkPubsubVerdict",
        },
        "RelayItemOffer": everywhere(
            ": NetworkPubsubPublish", a_payment="Message", two_payments="Message", a_payment_in_the_pool="nothing"
        ),
        "RelayTipOffer": everywhere(": NetworkPubsubPublish", a_best_tip="nothing", a_block="nothing: NetworkPubsubVerdict"),
        "PeerAsk": {"off": "nothing: RpcFailed"} | everywhere(": RpcFailed", a_pull_connection="nothing: RpcRequestSend"),
        "PeerAsk, pulled only": {"off": "nothing: RpcFailed"} | everywhere(": RpcFailed", a_pull_connection="nothing: RpcRequestSend"),
        "PeerAnswer": {"we are asked": "nothing: NetworkRpcAnswer"},
        "PeerAnswer, by pull": {"off": "nothing: ChannelsRpcResponseSend"} | everywhere(": ChannelsRpcResponseSend"),
        "RelayCallRefused": {"we ask": "nothing: RpcFailed"},
        "RelayServingTimeout, late": {"we are asked": "nothing"},
        "PoolItemPushed": {"off": "nothing: ItemReceived, RelayItemOpen"}
        | everywhere(
            ": ItemReceived, RelayItemOpen",
            a_payment="Message: RelayItemOpen",
            two_payments="Message: RelayItemOpen",
            a_payment_in_the_pool="nothing: RelayItemUnwanted",
        ),
    },
)

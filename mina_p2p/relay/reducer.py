"""The relay: reducer of gossip. Questions and answers are in `asking`."""

from __future__ import annotations

from typing import assert_never

from mina_p2p.errors import DecodeError
from mina_p2p.gossipsub.actions import NetworkPubsubPublish, NetworkPubsubVerdict, Verdict
from mina_p2p.ids import MILLISECOND, ChannelId, RequestId, Timestamp
from mina_p2p.libp2p.actions import NetworkHandOver
from mina_p2p.libp2p.notifications import NetworkPubsubMessageReceived, NetworkRpcFailed, NetworkRpcRequested, NetworkRpcResponded
from mina_p2p.mina.hashes import block_summary
from mina_p2p.mina.raw import RawBlock, RawSnark, RawUserCommand
from mina_p2p.notifications import BestTipReceived
from mina_p2p.pool.actions import PoolItemPushed
from mina_p2p.pool.announce import snark_info, transaction_info
from mina_p2p.relay import asking
from mina_p2p.relay.actions import (
    PeerAnswer,
    PeerAsk,
    RelayAction,
    RelayCallRefused,
    RelayItemJudged,
    RelayItemOffer,
    RelayItemOpen,
    RelayItemUnwanted,
    RelayMessageTimeout,
    RelayServingTimeout,
    RelayTipOffer,
    RelayVerdict,
)
from mina_p2p.relay.config import Relayed
from mina_p2p.relay.messages import block_message, kind_of, read_message, snark_message, transaction_message
from mina_p2p.relay.state import BY_LIBP2P, Message, Relay, item_digest
from mina_p2p.state import P2pState
from mina_p2p.store import FollowUps


def reduce(state: Relay, action: RelayAction, now: Timestamp, root: P2pState) -> tuple[Relay, FollowUps]:
    """Reduce one action of this slice."""
    match action:
        case RelayItemOpen(message=number, verdict_id=verdict_id):
            message = state.messages[number]
            opened = message.replace(left=message.left - 1, open=(*message.open, verdict_id))
            waiting = (*state.by_item.get(verdict_id, ()), number)
            return state.with_message(number, opened).replace(by_item=state.by_item.set(verdict_id, waiting)), ()

        case RelayItemUnwanted(message=number):
            message = state.messages[number]
            return _unless_done(state.with_message(number, message.replace(left=message.left - 1)), number)

        case RelayItemJudged(verdict_id=verdict_id, is_valid=is_valid):
            return _judged(state, verdict_id, is_valid=is_valid)

        case RelayVerdict(verdict_id=verdict_id, verdict=verdict):
            return _conclude(state, verdict_id, verdict)

        case RelayMessageTimeout(message=number):
            return _conclude(state, number, Verdict.IGNORE)

        case RelayItemOffer(channel=channel, body=body):
            data = snark_message(RawSnark(body)) if channel == ChannelId.SNARK else transaction_message(RawUserCommand(body))
            return _publish(state, item_digest(body), data, root)

        case RelayTipOffer(block=block):
            digest = item_digest(block)
            accepted: list[object] = []
            for number, message in state.messages.items():
                if message.is_block and digest in message.items:
                    state, more = _conclude(state, number, Verdict.ACCEPT)
                    accepted += more
            config = root.config.relay
            if Relayed.BLOCK not in config.pull_to_push or not _is_recent(block, now, config.tip_age_max):
                return state, accepted
            state, more = _publish(state, digest, block_message(block), root)
            return state, (*accepted, *more)

        case PeerAsk():
            return asking.ask(state, action, root)

        case PeerAnswer():
            return asking.answer(state, action)

        case RelayCallRefused(call=call):
            return asking.failed(state, call, "the peer is not connected any more, or too many questions are open")

        case RelayServingTimeout(serial=serial):
            return state.without_serving(serial), ()

        case _:
            assert_never(action)


def reduce_hand_over(root: P2pState, action: NetworkHandOver, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """What libp2p's part has for the node software: in the words of the pull protocol where there are some, else as it is."""
    state, told = root.relay, action.notification
    follow_ups: FollowUps
    match told:
        case NetworkPubsubMessageReceived(topic=topic) if topic == root.config.relay.topic:
            state, follow_ups = _heard(state, told, now, root)
        case NetworkRpcRequested() if root.config.relay.are_questions_translated:
            state, follow_ups = asking.requested(state, told, root)
        case NetworkRpcResponded(request_id=request_id) if request_id in state.asked:
            state, follow_ups = asking.responded(state, told)
        case NetworkRpcFailed(request_id=request_id, detail=detail) if request_id in state.asked:
            state, follow_ups = asking.failed(state, request_id, detail)
        case _:
            return root, (told,)
    return root.replace(relay=state), follow_ups


def _heard(state: Relay, told: NetworkPubsubMessageReceived, now: Timestamp, root: P2pState) -> tuple[Relay, FollowUps]:
    number, config = told.verdict_id, root.config.relay
    if not config.push_to_pull:
        return state, (told,)
    try:
        if kind_of(told.data) not in config.push_to_pull:
            return state, (told,)
        if len(state.messages) >= config.messages_max:
            return state, (NetworkPubsubVerdict(number, Verdict.IGNORE),)
        pushed = read_message(told.data)
        deadline = Timestamp(now + config.verdict)
        if isinstance(pushed, RawBlock):
            return _block(state, told, pushed, deadline, root)
        items = _items(number, pushed, told)
    except DecodeError:
        return state, (NetworkPubsubVerdict(number, Verdict.REJECT),)
    if not 0 < len(items) <= config.items_per_message_max:
        return state, (NetworkPubsubVerdict(number, Verdict.IGNORE),)
    new = tuple(digest for digest in items if digest not in state.remembered)
    waiting = Message(new, deadline, is_block=False, left=len(items))
    return state.with_message(number, waiting).remembering(new, config.remembered_max), tuple(items.values())


def _block(
    state: Relay, told: NetworkPubsubMessageReceived, block: RawBlock, deadline: Timestamp, root: P2pState
) -> tuple[Relay, FollowUps]:
    summary, digest, number = block_summary(block), item_digest(block), told.verdict_id
    state = state.remembering((digest,), root.config.relay.remembered_max)
    own = root.best_tips.own
    if own is not None and own.block == block:
        return state, (NetworkPubsubVerdict(number, Verdict.ACCEPT),)
    question = BestTipReceived(BY_LIBP2P, told.from_peer, block, summary.state_hash, number)
    return state.with_message(number, Message((digest,), deadline, is_block=True)), (question,)


def _items(
    number: RequestId, pushed: RawSnark | tuple[RawUserCommand, ...], told: NetworkPubsubMessageReceived
) -> dict[bytes, PoolItemPushed]:
    """What a message lists, each once, by digest."""
    if isinstance(pushed, RawSnark):
        return {item_digest(pushed): PoolItemPushed(number, ChannelId.SNARK, snark_info(pushed), pushed, told.from_peer)}
    return {item_digest(one): PoolItemPushed(number, ChannelId.TRANSACTION, transaction_info(one), one, told.from_peer) for one in pushed}


def _judged(state: Relay, verdict_id: RequestId, *, is_valid: bool) -> tuple[Relay, FollowUps]:
    follow_ups: list[object] = []
    for number in state.by_item[verdict_id]:
        if not is_valid:
            state, more = _conclude(state, number, Verdict.REJECT)
        else:
            message = state.messages[number]
            left = tuple(other for other in message.open if other != verdict_id)
            judged = message.replace(open=left, accepted_count=message.accepted_count + 1)
            state, more = _unless_done(state.with_message(number, judged), number)
        follow_ups += more
    return state.replace(by_item=state.by_item.discard(verdict_id)), follow_ups


def _unless_done(state: Relay, number: RequestId) -> tuple[Relay, FollowUps]:
    """Pass a message on when all of it is judged; one that holds nothing new is of no use to others either."""
    message = state.messages[number]
    if message.left or message.open:
        return state, ()
    return _conclude(state, number, Verdict.ACCEPT if message.accepted_count else Verdict.IGNORE)


def _conclude(state: Relay, number: RequestId, verdict: Verdict) -> tuple[Relay, FollowUps]:
    message = state.messages[number]
    state = state.without_message(number)
    if verdict is not Verdict.ACCEPT and (message.left or message.open or message.is_block):
        # It has not been passed on: should it be pulled and found valid, nobody else will gossip it.
        state = state.forgetting(message.items)
    return state, (NetworkPubsubVerdict(number, verdict),)


def _is_recent(block: RawBlock, now: Timestamp, age_max: int) -> bool:
    """Whether others will still take a block for news; one that can not be read is none."""
    try:
        milliseconds = block.value.header.protocol_state.body.blockchain_state.timestamp
    except DecodeError:
        return False
    return milliseconds * MILLISECOND + age_max >= now


def _publish(state: Relay, digest: bytes, data: bytes, root: P2pState) -> tuple[Relay, FollowUps]:
    config = root.config.relay
    if digest in state.remembered:
        return state, ()
    return state.remembering((digest,), config.remembered_max), (NetworkPubsubPublish(config.topic, data),)

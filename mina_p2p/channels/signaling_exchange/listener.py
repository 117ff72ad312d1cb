"""Signaling exchange where we are a listener and the peer is the relay: reducer."""

from __future__ import annotations

from typing import Final, assert_never

from mina_p2p.channels.signaling_exchange.actions import (
    ChannelsSignalingExchangeAnswerEncrypted,
    ChannelsSignalingExchangeAnswerError,
    ChannelsSignalingExchangeAnswerReady,
    ChannelsSignalingExchangeEnded,
    ChannelsSignalingExchangeOfferDecrypted,
    ChannelsSignalingExchangeOfferReceived,
    ChannelsSignalingExchangeRequestSend,
    ChannelsSignalingExchangeReset,
    ChannelsSignalingExchangeTimeout,
    ListenerAction,
)
from mina_p2p.channels.signaling_exchange.messages import CIPHERTEXT_LIMIT, EXCHANGE_MESSAGE, ExchangeAnswer, ExchangeGetNext
from mina_p2p.channels.signaling_exchange.state import (
    Answered,
    AnswerEncryptPending,
    AnswerPending,
    Exchange,
    LocalHalf,
    Offered,
    Requested,
    Resting,
)
from mina_p2p.channels.state import Channels
from mina_p2p.config import P2pConfig
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.errors import CallerError, DecodeError, InvariantViolationError
from mina_p2p.identity import PublicKey
from mina_p2p.ids import ChannelId, ConnectionId, Timestamp
from mina_p2p.signaling.effects import (
    SignalingAnswerSent,
    SignalingEffectfulAnswerEncrypt,
    SignalingEffectfulOfferDecrypt,
    SignalingFailed,
    SignalingOfferReceived,
)
from mina_p2p.signaling.frames import FRAME_BYTES_MAX, FRAME_HEADER_BYTES
from mina_p2p.signaling.objects import (
    Accepted,
    Answer,
    ConnectionResponse,
    InternalError,
    Rejected,
    SignalDecryptionFailed,
    decode_offer,
    encode_response,
)
from mina_p2p.signaling.questions import has_room, offer_refusal, recheck_after
from mina_p2p.state import P2pState
from mina_p2p.store import FollowUps, expect
from mina_p2p.transport import ChannelsEffectfulRequestContinue, ChannelsEffectfulRequestSend, ChannelsEffectfulStreamReset

CHANNEL: Final = ChannelId.SIGNALING_EXCHANGE


def reduce(state: Channels, action: ListenerAction, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    """Reduce one action of the half in which we are a listener."""
    connection_id = action.connection_id
    exchange = state.exchange(connection_id)
    if exchange is None:
        raise InvariantViolationError(f"{type(action).__qualname__}: connection {connection_id} has no signaling exchange channel")
    local, timeouts = exchange.local, root.config.timeouts

    def put(half: LocalHalf) -> Channels:
        return state.with_exchange(connection_id, exchange.replace(local=half))

    match action:
        case ChannelsSignalingExchangeRequestSend():
            stream, channels = state.table[connection_id].next_stream()
            requested = exchange.replace(local=Requested(stream, Timestamp(now + timeouts.parked_permission)))
            frame = EXCHANGE_MESSAGE.encode(ExchangeGetNext())
            permitted = FRAME_HEADER_BYTES + FRAME_BYTES_MAX
            effect = ChannelsEffectfulRequestSend(connection_id, CHANNEL, stream, frame, permitted, FRAME_BYTES_MAX, False)
            return state.with_exchange(connection_id, requested, channels), (effect,)

        case ChannelsSignalingExchangeOfferReceived(stream=stream, offerer=offerer, offer=ciphertext):
            offered = put(Offered(stream, offerer, Timestamp(now + timeouts.signaling_make)))
            return offered, (SignalingEffectfulOfferDecrypt(connection_id, stream, offerer, ciphertext),)

        case ChannelsSignalingExchangeOfferDecrypted(offer=plaintext):
            return _judge(state, exchange, connection_id, expect(local, Offered, action), plaintext, root)

        case ChannelsSignalingExchangeAnswerReady(sdp=sdp):
            pending = expect(local, AnswerPending, action)
            accepted = Accepted(Answer(sdp, PublicKey(root.config.peer_id), pending.offerer))
            return _respond(state, exchange, connection_id, pending, accepted)

        case ChannelsSignalingExchangeAnswerError():
            return _respond(state, exchange, connection_id, expect(local, AnswerPending, action), InternalError())

        case ChannelsSignalingExchangeAnswerEncrypted(answer=ciphertext):
            encrypting = expect(local, AnswerEncryptPending, action)
            if ciphertext is not None and _fits(ciphertext):
                told = (SignalingAnswerSent(connection_id, encrypting.stream, encrypting.offerer),) if encrypting.accepts else ()
                state, effects = _answer(state, exchange, connection_id, encrypting, ciphertext, now, root.config)
                return state, (*effects, *told)
            reason = Reason(ReasonCode.CHANNEL_SEND_FAILED, CHANNEL, "no answer that could be sent")
            state, effects = _answer(state, exchange, connection_id, encrypting, None, now, root.config)
            return state, (*effects, *failed(connection_id, encrypting, reason))

        case ChannelsSignalingExchangeEnded():
            return put(Resting(now)), (ChannelsSignalingExchangeRequestSend(connection_id),)

        case ChannelsSignalingExchangeReset(code=code):
            reason = Reason(ReasonCode.CHANNEL_CLOSED, CHANNEL, f"the relay reset the stream: {code.name}")
            return put(Resting(Timestamp(now + recheck_after(root.config)))), failed(connection_id, local, reason)

        case ChannelsSignalingExchangeTimeout():
            match local:
                case Resting():
                    if has_room(root):
                        return state, (ChannelsSignalingExchangeRequestSend(connection_id),)
                    return put(Resting(Timestamp(now + recheck_after(root.config)))), ()
                case Requested(stream=stream) | Answered(stream=stream):
                    reset = ChannelsEffectfulStreamReset(connection_id, stream, StreamResetCode.CANCELLED)
                    return put(Resting(Timestamp(now + timeouts.stream_settle))), (reset,)
                case Offered() | AnswerPending() | AnswerEncryptPending():
                    late = Reason(ReasonCode.CONNECTION_TIMEOUT, CHANNEL, "the answer took too long")
                    state, effects = _answer(state, exchange, connection_id, local, None, now, root.config)
                    return state, (*effects, *failed(connection_id, local, late))

        case _:
            assert_never(action)


def _judge(
    state: Channels, exchange: Exchange, connection_id: ConnectionId, offered: Offered, plaintext: bytes | None, root: P2pState
) -> tuple[Channels, FollowUps]:
    """Whether an offer is taken. What can not be read, or is not the offerer's own, was not encrypted by it (defect S4)."""
    try:
        offer = None if plaintext is None else decode_offer(plaintext)
    except DecodeError:
        offer = None
    if offer is None or offer.identity_pub_key.peer_id != offered.offerer:
        return _respond(state, exchange, connection_id, offered, SignalDecryptionFailed())
    refusal = offer_refusal(root, offered.offerer, offer)
    if refusal is not None:
        return _respond(state, exchange, connection_id, offered, Rejected(refusal))
    pending = AnswerPending(offered.stream, offered.offerer, offered.deadline)
    wanted = SignalingOfferReceived(connection_id, offered.stream, offered.offerer, offer)
    return state.with_exchange(connection_id, exchange.replace(local=pending)), (wanted,)


def _respond(
    state: Channels, exchange: Exchange, connection_id: ConnectionId, local: Offered | AnswerPending, response: ConnectionResponse
) -> tuple[Channels, FollowUps]:
    """Have a response encrypted."""
    try:
        plaintext = encode_response(response)
    except UnicodeEncodeError as error:
        raise CallerError("the answer's SDP is no text") from error
    encrypting = AnswerEncryptPending(local.stream, local.offerer, isinstance(response, Accepted), local.deadline)
    effect = SignalingEffectfulAnswerEncrypt(connection_id, local.stream, local.offerer, plaintext)
    return state.with_exchange(connection_id, exchange.replace(local=encrypting)), (effect,)


def _answer(
    state: Channels,
    exchange: Exchange,
    connection_id: ConnectionId,
    local: Offered | AnswerPending | AnswerEncryptPending,
    ciphertext: bytes | None,
    now: Timestamp,
    config: P2pConfig,
) -> tuple[Channels, FollowUps]:
    """Say our last word on the stream."""
    answered = Answered(local.stream, local.offerer, Timestamp(now + config.timeouts.signaling_relay))
    frame = EXCHANGE_MESSAGE.encode(ExchangeAnswer(ciphertext))
    effect = ChannelsEffectfulRequestContinue(connection_id, local.stream, frame, 0, 0, True)
    return state.with_exchange(connection_id, exchange.replace(local=answered)), (effect,)


def _fits(ciphertext: bytes) -> bool:
    return len(ciphertext) <= CIPHERTEXT_LIMIT and len(EXCHANGE_MESSAGE.encode(ExchangeAnswer(ciphertext))) <= FRAME_BYTES_MAX


def failed(connection_id: ConnectionId, local: LocalHalf, reason: Reason) -> FollowUps:
    """Tell whoever makes connections, if it was told of an offer."""
    match local:
        case AnswerPending(stream=stream, offerer=offerer) | AnswerEncryptPending(stream=stream, offerer=offerer, accepts=True):
            return (SignalingFailed(connection_id, stream, offerer, reason),)
        case _:
            return ()

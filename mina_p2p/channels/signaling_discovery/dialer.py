"""Signaling discovery where the peer is the relay, and we want connections: reducer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, assert_never

from mina_p2p.channels.signaling_discovery.actions import (
    ChannelsSignalingDiscoveryAnswerDecrypted,
    ChannelsSignalingDiscoveryAnswerReceived,
    ChannelsSignalingDiscoveryDiscoveredReceived,
    ChannelsSignalingDiscoveryDiscoveredReject,
    ChannelsSignalingDiscoveryDiscoveryRequestSend,
    ChannelsSignalingDiscoveryOfferEncrypted,
    ChannelsSignalingDiscoveryOfferError,
    ChannelsSignalingDiscoveryOfferReady,
    ChannelsSignalingDiscoveryRemoteEnded,
    ChannelsSignalingDiscoveryRemoteReset,
    ChannelsSignalingDiscoveryRemoteTimeout,
    ChannelsSignalingDiscoveryRequestReceived,
    DialerAction,
)
from mina_p2p.channels.signaling_discovery.messages import (
    CIPHERTEXT_LIMIT,
    DISCOVERY_MESSAGE,
    DiscoveryDiscover,
    DiscoveryDiscoveredAccept,
    DiscoveryDiscoveredReject,
    DiscoveryMessage,
)
from mina_p2p.channels.signaling_discovery.state import (
    AnswerDecryptPending,
    Introducing,
    OfferEncryptPending,
    OfferPending,
    RemoteAnswered,
    RemoteDiscoveredAccepted,
    RemoteDiscoveredRejected,
    RemoteDiscoveryRequested,
    RemoteHalf,
    RemoteRequested,
    WaitingForRequest,
)
from mina_p2p.channels.state import Channels
from mina_p2p.config import P2pConfig
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.errors import CallerError, DecodeError, InvariantViolationError
from mina_p2p.identity import PeerId, PublicKey
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.signaling.effects import (
    SignalingAnswerReceived,
    SignalingEffectfulAnswerDecrypt,
    SignalingEffectfulOfferEncrypt,
    SignalingFailed,
    SignalingOfferWanted,
)
from mina_p2p.signaling.frames import FRAME_BYTES_MAX
from mina_p2p.signaling.objects import (
    Accepted,
    InternalError,
    Offer,
    SignalDecryptionFailed,
    decode_response,
    encode_offer,
)
from mina_p2p.signaling.questions import may_dial, recheck_after, wants_introduction
from mina_p2p.state import P2pState
from mina_p2p.store import FollowUps, expect
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulStreamReset

CHANNEL: Final = ChannelId.SIGNALING_DISCOVERY


def reduce(state: Channels, action: DialerAction, now: Timestamp, root: P2pState) -> tuple[Channels, FollowUps]:
    """Reduce one action of the half in which the peer is the relay."""
    connection_id = action.connection_id
    discovery = state.discovery(connection_id)
    if discovery is None:
        raise InvariantViolationError(f"{type(action).__qualname__}: connection {connection_id} has no signaling discovery channel")
    remote, timeouts = discovery.remote, root.config.timeouts

    def put(half: RemoteHalf) -> Channels:
        return state.with_discovery(connection_id, discovery.replace(remote=half))

    match action:
        case ChannelsSignalingDiscoveryRequestReceived(stream=stream):
            permitted = put(RemoteRequested(stream, Timestamp(now + recheck_after(root.config))))
            return permitted, (ChannelsSignalingDiscoveryDiscoveryRequestSend(connection_id),)

        case ChannelsSignalingDiscoveryDiscoveryRequestSend():
            stream = expect(remote, RemoteRequested, action).stream
            asked = put(RemoteDiscoveryRequested(stream, Timestamp(now + timeouts.parked_permission)))
            return asked, (_say(connection_id, stream, DiscoveryDiscover()),)

        case ChannelsSignalingDiscoveryDiscoveredReceived(stream=stream, target=target):
            if not may_dial(root, target):
                return put(RemoteDiscoveredRejected(target)), (_last_word(connection_id, stream, DiscoveryDiscoveredReject()),)
            wanted = put(OfferPending(stream, target, Timestamp(now + timeouts.signaling_make)))
            return wanted, (SignalingOfferWanted(connection_id, stream, target),)

        case ChannelsSignalingDiscoveryDiscoveredReject():
            stream, target = _introduction(remote)
            return put(RemoteDiscoveredRejected(target)), (_last_word(connection_id, stream, DiscoveryDiscoveredReject()),)

        case ChannelsSignalingDiscoveryOfferReady(sdp=sdp):
            pending = expect(remote, OfferPending, action)
            offer = _offer(root.config, pending.target, sdp)
            encrypting = put(OfferEncryptPending(pending.stream, pending.target, pending.deadline))
            return encrypting, (SignalingEffectfulOfferEncrypt(connection_id, pending.stream, pending.target, offer),)

        case ChannelsSignalingDiscoveryOfferError():
            return state, (ChannelsSignalingDiscoveryDiscoveredReject(connection_id),)

        case ChannelsSignalingDiscoveryOfferEncrypted(offer=ciphertext):
            stream, target = _introduction(remote)
            message = None if ciphertext is None or len(ciphertext) > CIPHERTEXT_LIMIT else DiscoveryDiscoveredAccept(ciphertext)
            if message is None or len(DISCOVERY_MESSAGE.encode(message)) > FRAME_BYTES_MAX:
                told = failed(connection_id, remote, Reason(ReasonCode.CHANNEL_SEND_FAILED, CHANNEL, "no offer that could be sent"))
                return state, (*told, ChannelsSignalingDiscoveryDiscoveredReject(connection_id))
            accepted = put(RemoteDiscoveredAccepted(stream, target, Timestamp(now + timeouts.signaling_answer)))
            return accepted, (_say(connection_id, stream, message),)

        case ChannelsSignalingDiscoveryAnswerReceived(stream=stream, answer=answer):
            target = expect(remote, RemoteDiscoveredAccepted, action).target
            if answer is None:
                none = SignalingAnswerReceived(connection_id, stream, target, InternalError())
                return put(RemoteAnswered(target)), (_last_word(connection_id, stream), none)
            decrypting = put(AnswerDecryptPending(stream, target, Timestamp(now + timeouts.signaling_make)))
            return decrypting, (SignalingEffectfulAnswerDecrypt(connection_id, stream, target, answer),)

        case ChannelsSignalingDiscoveryAnswerDecrypted(answer=plaintext):
            stream, target = _introduction(remote)
            news = _judge(connection_id, stream, target, plaintext, root.config.peer_id)
            return put(RemoteAnswered(target)), (_last_word(connection_id, stream), news)

        case ChannelsSignalingDiscoveryRemoteEnded():
            return state, ()

        case ChannelsSignalingDiscoveryRemoteReset(code=code):
            reason = Reason(ReasonCode.CHANNEL_CLOSED, CHANNEL, f"the relay reset the stream: {code.name}")
            return put(WaitingForRequest()), failed(connection_id, remote, reason)

        case ChannelsSignalingDiscoveryRemoteTimeout():
            return _time_out(state, remote, put, connection_id, now, root)

        case _:
            assert_never(action)


def _time_out(
    state: Channels, remote: RemoteHalf, put: Callable[[RemoteHalf], Channels], connection_id: ConnectionId, now: Timestamp, root: P2pState
) -> tuple[Channels, FollowUps]:
    late = Reason(ReasonCode.CONNECTION_TIMEOUT, CHANNEL, "the introduction took too long")
    match remote:
        case RemoteRequested(stream=stream):
            if wants_introduction(root):
                return state, (ChannelsSignalingDiscoveryDiscoveryRequestSend(connection_id),)
            return put(RemoteRequested(stream, Timestamp(now + recheck_after(root.config)))), ()
        case OfferPending() | OfferEncryptPending():
            return state, (*failed(connection_id, remote, late), ChannelsSignalingDiscoveryDiscoveredReject(connection_id))
        case AnswerDecryptPending(stream=stream):
            return state, (ChannelsSignalingDiscoveryAnswerDecrypted(connection_id, stream, None),)
        case RemoteDiscoveryRequested(stream=stream) | RemoteDiscoveredAccepted(stream=stream):
            reset = ChannelsEffectfulStreamReset(connection_id, stream, StreamResetCode.CANCELLED)
            return put(WaitingForRequest()), (reset, *failed(connection_id, remote, late))
        case _:
            raise InvariantViolationError(f"{type(remote).__qualname__} waits for nothing")


def _say(connection_id: ConnectionId, stream: StreamId, message: DiscoveryMessage) -> ChannelsEffectfulAnswerSend:
    return ChannelsEffectfulAnswerSend(connection_id, stream, (DISCOVERY_MESSAGE.encode(message),), False)


def _last_word(connection_id: ConnectionId, stream: StreamId, *messages: DiscoveryMessage) -> ChannelsEffectfulAnswerSend:
    """End the stream, with a message or without."""
    return ChannelsEffectfulAnswerSend(connection_id, stream, tuple(map(DISCOVERY_MESSAGE.encode, messages)), True)


def _introduction(remote: RemoteHalf) -> tuple[StreamId, PeerId]:
    if not isinstance(remote, Introducing):
        raise InvariantViolationError(f"{type(remote).__qualname__} is no introduction")
    return remote.stream, remote.target


def failed(connection_id: ConnectionId, remote: RemoteHalf, reason: Reason) -> FollowUps:
    """Tell whoever makes connections, if anything was begun."""
    return (SignalingFailed(connection_id, remote.stream, remote.target, reason),) if isinstance(remote, Introducing) else ()


def _offer(config: P2pConfig, target: PeerId, sdp: str) -> bytes:
    try:
        return encode_offer(Offer(sdp, config.chain_id, PublicKey(config.peer_id), target))
    except UnicodeEncodeError as error:
        raise CallerError("the offer's SDP is no text") from error


def _judge(
    connection_id: ConnectionId, stream: StreamId, target: PeerId, plaintext: bytes | None, me: PeerId
) -> SignalingAnswerReceived | SignalingFailed:
    """What the target said. An acceptance that is another's, or is meant for another, is none (defect S2)."""
    try:
        response = SignalDecryptionFailed() if plaintext is None else decode_response(plaintext)
    except DecodeError:
        response = SignalDecryptionFailed()
    code = None
    if isinstance(response, Accepted):
        if response.answer.identity_pub_key.peer_id != target:
            code = ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH
        elif response.answer.target_peer_id != me:
            code = ReasonCode.TARGET_PEER_ID_NOT_ME
    if code is not None:
        return SignalingFailed(connection_id, stream, target, Reason(code, CHANNEL))
    return SignalingAnswerReceived(connection_id, stream, target, response)

"""Channel 2 in the role of the listener: the relay and the offerer are played here."""

from __future__ import annotations

from typing import Any

import pytest

from channels.lab import EXCHANGE, LEAVES, ME, NO_KEY, START, Lab, exchange
from channels.people import encrypt, key
from mina_p2p.address import Ipv4, QuicAddress
from mina_p2p.channels.signaling_exchange import state as ex
from mina_p2p.channels.signaling_exchange.actions import (
    ChannelsSignalingExchangeAnswerEncrypted,
    ChannelsSignalingExchangeAnswerError,
    ChannelsSignalingExchangeAnswerReady,
)
from mina_p2p.channels.signaling_exchange.messages import ExchangeAnswer, ExchangeGetNext, ExchangeOfferToYou
from mina_p2p.config import Limits
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingInit
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p.identity import DEVNET_CHAIN_ID, MAINNET_CHAIN_ID, PublicKey
from mina_p2p.ids import SECOND, ConnectionId, RequestId, StreamId, Timestamp
from mina_p2p.peer.actions import PeerBan
from mina_p2p.signaling.effects import (
    SignalingAnswerSent,
    SignalingEffectfulOfferDecrypt,
    SignalingFailed,
    SignalingOfferReceived,
)
from mina_p2p.signaling.objects import (
    Accepted,
    Answer,
    ConnectionResponse,
    InternalError,
    Offer,
    Rejected,
    RejectionReason,
    SignalDecryptionFailed,
    decode_response,
    encode_offer,
)


def offer_of(offerer: int, **changes: Any) -> bytes:
    """An offer to us, encrypted for us."""
    good = Offer("sdp", MAINNET_CHAIN_ID, PublicKey(key(offerer)), key(ME))
    return encrypt(key(offerer), key(ME), encode_offer(good.replace(**changes)))


def handed(lab: Lab, ciphertext: bytes | None = None, offerer: int = 2) -> tuple[ConnectionId, StreamId]:
    """A relay hands us an offer."""
    cid = lab.connect(1)
    stream = lab.stream(cid, EXCHANGE)
    lab.exchange(cid, stream, ExchangeOfferToYou(key(offerer), offer_of(offerer) if ciphertext is None else ciphertext))
    return cid, stream


def test_a_listener_answers() -> None:
    """Decrypt, decide, have an answer made, encrypt, send, wait for the end, permit again."""
    lab = Lab()
    cid, stream = handed(lab)
    lab.crypto()
    assert lab.of(SignalingOfferReceived) == [
        SignalingOfferReceived(cid, stream, key(2), Offer("sdp", MAINNET_CHAIN_ID, PublicKey(key(2)), key(ME)))
    ]
    lab.feed(ChannelsSignalingExchangeAnswerReady(cid, stream, "my sdp"))
    (effect,) = lab.effects
    assert decode_response(effect.answer) == Accepted(Answer("my sdp", PublicKey(key(ME)), key(2)))
    lab.crypto()
    assert lab.said() == [ExchangeAnswer(encrypt(key(ME), key(2), effect.answer)), "end"]
    assert lab.of(SignalingAnswerSent) == [SignalingAnswerSent(cid, stream, key(2))]
    lab.end(cid, EXCHANGE, stream)
    assert lab.said() == [ExchangeGetNext()]


def answer_to(lab: Lab, cid: ConnectionId, stream: StreamId) -> ConnectionResponse:
    """What we say to an offer that we do not take."""
    lab.crypto()
    (effect,) = lab.effects
    lab.crypto()
    (word, end) = lab.said()
    assert (word.answer[8:], end) == (bytes(byte ^ 0x5A for byte in effect.answer), "end")
    assert lab.of(SignalingAnswerSent) == []
    return decode_response(effect.answer)


@pytest.mark.parametrize(
    ("ciphertext", "said"),
    [
        (offer_of(2, chain_id=DEVNET_CHAIN_ID), Rejected(RejectionReason.CHAIN_ID_MISMATCH)),
        (offer_of(2, target_peer_id=key(3)), Rejected(RejectionReason.TARGET_PEER_ID_NOT_ME)),
        (offer_of(2, identity_pub_key=PublicKey(key(3))), SignalDecryptionFailed()),
        (offer_of(3), SignalDecryptionFailed()),
        (encrypt(key(2), key(ME), b"{}"), SignalDecryptionFailed()),
        (b"\x00" * 12, SignalDecryptionFailed()),
        (b"", SignalDecryptionFailed()),
    ],
)
def test_offers_that_are_declined(ciphertext: bytes, said: ConnectionResponse) -> None:
    """The offerer learns why."""
    lab = Lab()
    cid, stream = handed(lab, ciphertext)
    assert answer_to(lab, cid, stream) == said


def test_s4_a_short_chain_id_is_a_failed_decryption() -> None:
    """Shorter or longer than 64 digits: neither panics nor passes."""
    good = encode_offer(Offer("sdp", MAINNET_CHAIN_ID, PublicKey(key(2)), key(ME))).decode()
    digits = str(MAINNET_CHAIN_ID)
    for bad in (digits[:-1], digits + "0", "", digits[:-1] + "g"):
        lab = Lab()
        cid, stream = handed(lab, encrypt(key(2), key(ME), good.replace(digits, bad).encode()))
        assert answer_to(lab, cid, stream) == SignalDecryptionFailed()


def test_s3_a_peer_that_is_connected_is_declined_whatever_its_id() -> None:
    """The working connection stays."""
    for n in (2, 60):
        lab = Lab()
        existing = lab.accept(n)
        cid, stream = handed(lab, offer_of(n), n)
        assert answer_to(lab, cid, stream) == Rejected(RejectionReason.ALREADY_CONNECTED)
        assert existing in lab.state.connections.table


def test_s3_who_dials_us_while_we_dial_it() -> None:
    """The offer of the greater id goes before our attempt; the attempt is kept all the same."""
    for n, is_taken in ((2, False), (60, True)):
        lab = Lab()
        cid, stream = handed(lab, offer_of(n), n)
        lab.feed(ConnectionOutgoingInit(QuicAddress(key(n), Ipv4.of(1, 0, 0, n), 8302), RequestId(2)))
        attempt = lab.state.connections.last_id
        lab.effects = [effect for effect in lab.all if isinstance(effect, SignalingEffectfulOfferDecrypt)]
        lab.crypto()
        assert bool(lab.of(SignalingOfferReceived)) == is_taken
        assert attempt in lab.state.connections.table
        assert cid in lab.state.connections.table
        assert stream


def test_s3_the_limit_holds_for_every_offer() -> None:
    """Also for one of a greater id; and to a banned peer there is no room."""
    lab = Lab(limits=Limits(peers_max=2, peers_min=1))
    cid, stream = handed(lab, offer_of(60), 60)
    lab.accept(9)
    lab.effects = [effect for effect in lab.all if isinstance(effect, SignalingEffectfulOfferDecrypt)]
    assert answer_to(lab, cid, stream) == Rejected(RejectionReason.PEER_CAPACITY_FULL)
    lab = Lab()
    lab.feed(PeerBan(key(2), Timestamp(START + 100 * SECOND), Reason(ReasonCode.PEER_BANNED)))
    cid, stream = handed(lab)
    assert answer_to(lab, cid, stream) == Rejected(RejectionReason.PEER_CAPACITY_FULL)


def test_who_can_make_no_answer_says_so() -> None:
    """`InternalError` where it was not made, nothing where it could not be encrypted, fitted or made in time."""
    lab = Lab()
    cid, stream = handed(lab)
    lab.crypto().feed(ChannelsSignalingExchangeAnswerError(cid, stream))
    (effect,) = lab.effects
    assert decode_response(effect.answer) == InternalError()
    lab.crypto()
    assert lab.said()[-1] == "end"
    assert lab.of(SignalingAnswerSent) == []

    for ciphertext in (None, b"x" * 16_385, b"\xff" * 6_000):
        lab = Lab()
        cid, stream = handed(lab)
        lab.crypto().feed(ChannelsSignalingExchangeAnswerReady(cid, stream, "sdp"))
        lab.feed(ChannelsSignalingExchangeAnswerEncrypted(cid, stream, ciphertext))
        assert lab.said() == [ExchangeAnswer(None), "end"]
        assert [failed.peer_id for failed in lab.of(SignalingFailed)] == [key(2)]

    for steps in range(3):
        lab = Lab()
        cid, stream = handed(lab)
        if steps:
            lab.crypto()
        if steps == 2:
            lab.feed(ChannelsSignalingExchangeAnswerReady(cid, stream, "sdp"))
        lab.wait(15 * SECOND)
        assert lab.said() == [ExchangeAnswer(None), "end"]
        assert len(lab.of(SignalingFailed)) == (steps > 0)


def test_an_answer_that_is_no_text_is_the_callers_fault() -> None:
    """It raises, and the state stays."""
    lab = Lab()
    cid, stream = handed(lab)
    lab.crypto()
    with pytest.raises(CallerError, match="no text"):
        lab.feed(ChannelsSignalingExchangeAnswerReady(cid, stream, "\ud800"))


def test_r3_a_listener_permits_again() -> None:
    """After an answer, and when there is room again."""
    lab = Lab(limits=Limits(peers_max=2, peers_min=1))
    lab.accept(8)
    cid = lab.accept(1)
    assert ExchangeGetNext() not in lab.said()
    lab.wait(10 * SECOND)
    assert lab.said() == []
    lab.close(ConnectionId(1))
    lab.wait(10 * SECOND)
    assert lab.said() == [ExchangeGetNext()]
    assert isinstance(exchange(lab, cid).local, ex.Requested)


def test_a_relay_that_withdraws_or_goes_fails_what_was_begun() -> None:
    """By a reset, by disconnection, or by not ending the stream."""
    for leave in LEAVES:
        lab = Lab()
        cid, stream = handed(lab)
        lab.crypto()
        leave(lab, cid, EXCHANGE, stream)
        assert [(failed.stream, failed.peer_id) for failed in lab.of(SignalingFailed)] == [(stream, key(2))]
        lab.feed(ChannelsSignalingExchangeAnswerReady(cid, stream, "late"))
        assert lab.effects == []
    lab = Lab()
    cid, stream = handed(lab, b"")
    answer_to(lab, cid, stream)
    lab.wait(20 * SECOND)
    assert lab.said() == ["reset"]
    lab.wait(5 * SECOND)
    assert lab.said() == [ExchangeGetNext()]


def hostile_to_listener() -> dict[str, tuple[Any, ReasonCode]]:
    """What a relay may try on a listener that has an offer of it."""
    unexpected = ReasonCode.CHANNEL_MSG_UNEXPECTED
    return {
        "another offer": (lambda lab, cid, stream: lab.exchange(cid, stream, ExchangeOfferToYou(key(3), b"")), unexpected),
        "an answer": (lambda lab, cid, stream: lab.exchange(cid, stream, ExchangeAnswer(None)), unexpected),
        "GetNext on our stream": (lambda lab, cid, stream: lab.exchange(cid, stream, ExchangeGetNext()), ReasonCode.STREAM_MISUSE),
        "the end": (lambda lab, cid, stream: lab.end(cid, EXCHANGE, stream), ReasonCode.ANSWER_TRUNCATED),
        "an offerer that is no key": (
            lambda lab, cid, stream: lab.exchange(cid, stream, ExchangeOfferToYou(NO_KEY, b"")),
            ReasonCode.CHANNEL_MSG_UNDECODABLE,
        ),
    }


@pytest.mark.parametrize("what", hostile_to_listener())
def test_hostile_relays_lose_the_listener(what: str) -> None:
    """Each for its own reason."""
    lab = Lab()
    cid, stream = handed(lab)
    act, code = hostile_to_listener()[what]
    act(lab, cid, stream)
    lab.violates(cid, code, EXCHANGE)


def test_an_offer_without_a_permission_is_a_violation() -> None:
    """On no stream of ours, and on one that is answered."""
    lab = Lab()
    cid, stream = handed(lab, b"")
    answer_to(lab, cid, stream)
    lab.exchange(cid, stream, ExchangeOfferToYou(key(3), b""))
    lab.violates(cid, ReasonCode.CHANNEL_MSG_UNEXPECTED, EXCHANGE)

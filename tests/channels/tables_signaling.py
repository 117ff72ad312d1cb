"""Channels 1 and 2 and the matcher: every state, every action."""

from __future__ import annotations

from typing import Any

from slices.transitions import CID, LATE, Case, Table

from channels import expected_signaling
from channels.lab import DISCOVERY, EXCHANGE, ME, START, Lab
from channels.people import key
from mina_p2p.channels.signaling_discovery import actions as d
from mina_p2p.channels.signaling_discovery import state as ds
from mina_p2p.channels.signaling_exchange import actions as e
from mina_p2p.channels.signaling_exchange import state as es
from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.identity import MAINNET_CHAIN_ID, PublicKey
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.signaling import actions as m
from mina_p2p.signaling.objects import Offer, encode_offer
from mina_p2p.state import P2pState

TARGET = ConnectionId(2)
"""The other of two peers: the target of the one that the tables are about, or its requester."""
OURS, THEIRS = StreamId(41), StreamId(40)
OTHER = StreamId(400)
SOON = Timestamp(START + 1)
RESET = StreamResetCode.CANCELLED
OFFER = encode_offer(Offer("sdp", MAINNET_CHAIN_ID, PublicKey(key(9)), key(ME)))


def _two(**settings: Any) -> P2pState:
    """Two peers, of which nothing is asked and which ask nothing."""
    lab = Lab(is_discovery_enabled=True, **settings)
    for n in (1, 2):
        lab.accept(n, channels=(DISCOVERY, EXCHANGE))
    channels = lab.state.channels
    for cid in (CID, TARGET):
        channels = channels.with_discovery(cid, ds.Discovery(ds.Resting(SOON))).with_exchange(cid, es.Exchange(es.Resting(SOON)))
    return lab.state.replace(channels=channels)


def _none() -> P2pState:
    lab = Lab()
    lab.accept(1, channels=(ChannelId.RPC,))
    return lab.state


def _discovery(state: P2pState, cid: ConnectionId = CID, **halves: Any) -> P2pState:
    found = state.channels.discovery(cid)
    assert found is not None
    return state.replace(channels=state.channels.with_discovery(cid, found.replace(**halves)))


def _exchange(state: P2pState, cid: ConnectionId = CID, **halves: Any) -> P2pState:
    found = state.channels.exchange(cid)
    assert found is not None
    return state.replace(channels=state.channels.with_exchange(cid, found.replace(**halves)))


def _half(channel: str, half: str) -> Any:
    def look(state: P2pState) -> Any:
        found = getattr(state.channels, channel)(CID)
        return None if found is None else getattr(found, half)

    return look


# --- discovery, we are the relay ----------------------------------------------------------------

_TWO = _two()
_AVAILABLE = _exchange(_TWO, TARGET, remote=es.RemoteRequested(THEIRS))
_PROMISED = _exchange(_TWO, TARGET, remote=es.Promised(THEIRS, CID))
_OFFERED = _exchange(_TWO, TARGET, remote=es.RemoteOffered(THEIRS, CID))
_DISCOVERED = ds.Discovered(OURS, key(2), TARGET, SOON)
_ACCEPTED = ds.DiscoveredAccepted(OURS, key(2), TARGET, SOON)

_RELAY_STATES = {
    "no channel": _none(),
    "Resting, due": _discovery(_TWO, local=ds.Resting(START)),
    "Resting": _TWO,
    "Requested": _discovery(_TWO, local=ds.Requested(OURS, SOON)),
    "DiscoveryRequested": _discovery(_TWO, local=ds.DiscoveryRequested(OURS, 1, SOON)),
    "DiscoveryRequested, within a match": _discovery(_AVAILABLE, local=ds.DiscoveryRequested(OURS, 1, SOON)),
    "Discovered": _discovery(_PROMISED, local=_DISCOVERED),
    "Discovered, the target just gone": _discovery(_TWO, local=_DISCOVERED),
    "TargetLost": _discovery(_TWO, local=ds.TargetLost(OURS, key(2), SOON)),
    "DiscoveredAccepted": _discovery(_OFFERED, local=_ACCEPTED),
    "DiscoveredAccepted, the target just gone": _discovery(_TWO, local=_ACCEPTED),
    "DiscoveredRejected": _discovery(_TWO, local=ds.DiscoveredRejected(OURS, key(2), SOON)),
    "Answered": _discovery(_TWO, local=ds.Answered(OURS, key(2), SOON)),
}

RELAY = Table(
    _RELAY_STATES,
    {
        "RequestSend": Case(d.ChannelsSignalingDiscoveryRequestSend(CID)),
        "DiscoveryRequestReceived": Case(d.ChannelsSignalingDiscoveryDiscoveryRequestReceived(CID, OURS)),
        "DiscoveryRequestReceived, elsewhere": Case(d.ChannelsSignalingDiscoveryDiscoveryRequestReceived(CID, OTHER)),
        "DiscoveredSend": Case(d.ChannelsSignalingDiscoveryDiscoveredSend(CID, TARGET)),
        "DiscoveredSend, of itself": Case(d.ChannelsSignalingDiscoveryDiscoveredSend(CID, CID)),
        "DiscoveredRejectReceived": Case(d.ChannelsSignalingDiscoveryDiscoveredRejectReceived(CID, OURS)),
        "DiscoveredRejectReceived, elsewhere": Case(d.ChannelsSignalingDiscoveryDiscoveredRejectReceived(CID, OTHER)),
        "DiscoveredAcceptReceived": Case(d.ChannelsSignalingDiscoveryDiscoveredAcceptReceived(CID, OURS, b"offer")),
        "DiscoveredAcceptReceived, elsewhere": Case(d.ChannelsSignalingDiscoveryDiscoveredAcceptReceived(CID, OTHER, b"offer")),
        "TargetLost": Case(d.ChannelsSignalingDiscoveryTargetLost(CID)),
        "AnswerSend": Case(d.ChannelsSignalingDiscoveryAnswerSend(CID, b"answer")),
        "AnswerSend, None": Case(d.ChannelsSignalingDiscoveryAnswerSend(CID, None)),
        "Ended": Case(d.ChannelsSignalingDiscoveryEnded(CID, OURS)),
        "Ended, elsewhere": Case(d.ChannelsSignalingDiscoveryEnded(CID, OTHER)),
        "Reset": Case(d.ChannelsSignalingDiscoveryReset(CID, OURS, RESET)),
        "Reset, elsewhere": Case(d.ChannelsSignalingDiscoveryReset(CID, OTHER, RESET)),
        "Timeout, early": Case(d.ChannelsSignalingDiscoveryTimeout(CID)),
        "Timeout, late": Case(d.ChannelsSignalingDiscoveryTimeout(CID), LATE),
    },
    _half("discovery", "local"),
    expected_signaling.RELAY,
)

# --- discovery, the peer is the relay -----------------------------------------------------------

_FEW, _ENOUGH = _TWO, _two(limits=Limits(peers_min=2))
_DIALER_STATES = {
    "no channel": _none(),
    "WaitingForRequest": _FEW,
    "RemoteRequested": _discovery(_FEW, remote=ds.RemoteRequested(THEIRS, SOON)),
    "RemoteRequested, enough peers": _discovery(_ENOUGH, remote=ds.RemoteRequested(THEIRS, SOON)),
    "RemoteDiscoveryRequested": _discovery(_FEW, remote=ds.RemoteDiscoveryRequested(THEIRS, SOON)),
    "RemoteDiscoveryRequested, enough peers": _discovery(_ENOUGH, remote=ds.RemoteDiscoveryRequested(THEIRS, SOON)),
    "OfferPending": _discovery(_FEW, remote=ds.OfferPending(THEIRS, key(9), SOON)),
    "OfferEncryptPending": _discovery(_FEW, remote=ds.OfferEncryptPending(THEIRS, key(9), SOON)),
    "RemoteDiscoveredAccepted": _discovery(_FEW, remote=ds.RemoteDiscoveredAccepted(THEIRS, key(9), SOON)),
    "AnswerDecryptPending": _discovery(_FEW, remote=ds.AnswerDecryptPending(THEIRS, key(9), SOON)),
    "RemoteDiscoveredRejected": _discovery(_FEW, remote=ds.RemoteDiscoveredRejected(key(9))),
    "RemoteAnswered": _discovery(_FEW, remote=ds.RemoteAnswered(key(9))),
}

DIALER = Table(
    _DIALER_STATES,
    {
        "RequestReceived": Case(d.ChannelsSignalingDiscoveryRequestReceived(CID, OTHER)),
        "RequestReceived, on a stream of ours": Case(d.ChannelsSignalingDiscoveryRequestReceived(CID, OURS)),
        "DiscoveryRequestSend": Case(d.ChannelsSignalingDiscoveryDiscoveryRequestSend(CID)),
        "DiscoveredReceived": Case(d.ChannelsSignalingDiscoveryDiscoveredReceived(CID, THEIRS, key(9))),
        "DiscoveredReceived, a peer of ours": Case(d.ChannelsSignalingDiscoveryDiscoveredReceived(CID, THEIRS, key(2))),
        "DiscoveredReceived, elsewhere": Case(d.ChannelsSignalingDiscoveryDiscoveredReceived(CID, OTHER, key(9))),
        "DiscoveredReject": Case(d.ChannelsSignalingDiscoveryDiscoveredReject(CID)),
        "OfferReady": Case(d.ChannelsSignalingDiscoveryOfferReady(CID, THEIRS, "sdp")),
        "OfferReady, elsewhere": Case(d.ChannelsSignalingDiscoveryOfferReady(CID, OTHER, "sdp")),
        "OfferError": Case(d.ChannelsSignalingDiscoveryOfferError(CID, THEIRS)),
        "OfferError, elsewhere": Case(d.ChannelsSignalingDiscoveryOfferError(CID, OTHER)),
        "OfferEncrypted": Case(d.ChannelsSignalingDiscoveryOfferEncrypted(CID, THEIRS, b"offer")),
        "OfferEncrypted, None": Case(d.ChannelsSignalingDiscoveryOfferEncrypted(CID, THEIRS, None)),
        "OfferEncrypted, elsewhere": Case(d.ChannelsSignalingDiscoveryOfferEncrypted(CID, OTHER, b"offer")),
        "AnswerReceived": Case(d.ChannelsSignalingDiscoveryAnswerReceived(CID, THEIRS, b"answer")),
        "AnswerReceived, None": Case(d.ChannelsSignalingDiscoveryAnswerReceived(CID, THEIRS, None)),
        "AnswerReceived, elsewhere": Case(d.ChannelsSignalingDiscoveryAnswerReceived(CID, OTHER, None)),
        "AnswerDecrypted": Case(d.ChannelsSignalingDiscoveryAnswerDecrypted(CID, THEIRS, b'"InternalError"')),
        "AnswerDecrypted, None": Case(d.ChannelsSignalingDiscoveryAnswerDecrypted(CID, THEIRS, None)),
        "AnswerDecrypted, elsewhere": Case(d.ChannelsSignalingDiscoveryAnswerDecrypted(CID, OTHER, None)),
        "RemoteEnded": Case(d.ChannelsSignalingDiscoveryRemoteEnded(CID, THEIRS)),
        "RemoteEnded, elsewhere": Case(d.ChannelsSignalingDiscoveryRemoteEnded(CID, OTHER)),
        "RemoteReset": Case(d.ChannelsSignalingDiscoveryRemoteReset(CID, THEIRS, RESET)),
        "RemoteReset, elsewhere": Case(d.ChannelsSignalingDiscoveryRemoteReset(CID, OTHER, RESET)),
        "RemoteTimeout, early": Case(d.ChannelsSignalingDiscoveryRemoteTimeout(CID)),
        "RemoteTimeout, late": Case(d.ChannelsSignalingDiscoveryRemoteTimeout(CID), LATE),
    },
    _half("discovery", "remote"),
    expected_signaling.DIALER,
)

# --- exchange, we are a listener ----------------------------------------------------------------

_FULL = _two(limits=Limits(peers_max=2, peers_min=1))
_LISTENER_STATES = {
    "no channel": _none(),
    "Resting, due": _exchange(_TWO, local=es.Resting(START)),
    "Resting": _TWO,
    "Resting, due and no room": _exchange(_FULL, local=es.Resting(START)),
    "Requested": _exchange(_TWO, local=es.Requested(OURS, SOON)),
    "Offered": _exchange(_TWO, local=es.Offered(OURS, key(9), SOON)),
    "AnswerPending": _exchange(_TWO, local=es.AnswerPending(OURS, key(9), SOON)),
    "AnswerEncryptPending, accepts": _exchange(_TWO, local=es.AnswerEncryptPending(OURS, key(9), True, SOON)),
    "AnswerEncryptPending, declines": _exchange(_TWO, local=es.AnswerEncryptPending(OURS, key(9), False, SOON)),
    "Answered": _exchange(_TWO, local=es.Answered(OURS, key(9), SOON)),
}

LISTENER = Table(
    _LISTENER_STATES,
    {
        "RequestSend": Case(e.ChannelsSignalingExchangeRequestSend(CID)),
        "OfferReceived": Case(e.ChannelsSignalingExchangeOfferReceived(CID, OURS, key(9), b"offer")),
        "OfferReceived, elsewhere": Case(e.ChannelsSignalingExchangeOfferReceived(CID, OTHER, key(9), b"offer")),
        "OfferDecrypted": Case(e.ChannelsSignalingExchangeOfferDecrypted(CID, OURS, OFFER)),
        "OfferDecrypted, None": Case(e.ChannelsSignalingExchangeOfferDecrypted(CID, OURS, None)),
        "OfferDecrypted, elsewhere": Case(e.ChannelsSignalingExchangeOfferDecrypted(CID, OTHER, OFFER)),
        "AnswerReady": Case(e.ChannelsSignalingExchangeAnswerReady(CID, OURS, "sdp")),
        "AnswerReady, elsewhere": Case(e.ChannelsSignalingExchangeAnswerReady(CID, OTHER, "sdp")),
        "AnswerError": Case(e.ChannelsSignalingExchangeAnswerError(CID, OURS)),
        "AnswerError, elsewhere": Case(e.ChannelsSignalingExchangeAnswerError(CID, OTHER)),
        "AnswerEncrypted": Case(e.ChannelsSignalingExchangeAnswerEncrypted(CID, OURS, b"answer")),
        "AnswerEncrypted, None": Case(e.ChannelsSignalingExchangeAnswerEncrypted(CID, OURS, None)),
        "AnswerEncrypted, elsewhere": Case(e.ChannelsSignalingExchangeAnswerEncrypted(CID, OTHER, b"answer")),
        "Ended": Case(e.ChannelsSignalingExchangeEnded(CID, OURS)),
        "Ended, elsewhere": Case(e.ChannelsSignalingExchangeEnded(CID, OTHER)),
        "Reset": Case(e.ChannelsSignalingExchangeReset(CID, OURS, RESET)),
        "Reset, elsewhere": Case(e.ChannelsSignalingExchangeReset(CID, OTHER, RESET)),
        "Timeout, early": Case(e.ChannelsSignalingExchangeTimeout(CID), -1),
        "Timeout, late": Case(e.ChannelsSignalingExchangeTimeout(CID), LATE),
    },
    _half("exchange", "local"),
    expected_signaling.LISTENER,
)

# --- exchange, the peer is a listener -----------------------------------------------------------


def _promised_to(local: Any, remote: Any) -> P2pState:
    """The peer as a target of the other."""
    return _exchange(_discovery(_TWO, TARGET, local=local), remote=remote)


_OF_CID = ds.Discovered(OURS, key(1), CID, SOON)
_TARGET_STATES = {
    "no channel": _none(),
    "WaitingForRequest": _TWO,
    "RemoteRequested": _exchange(_TWO, remote=es.RemoteRequested(THEIRS)),
    "Promised": _promised_to(_OF_CID, es.Promised(THEIRS, TARGET)),
    "Promised, the requester just gone": _promised_to(ds.Resting(SOON), es.Promised(THEIRS, TARGET)),
    "RemoteOffered": _promised_to(ds.DiscoveredAccepted(OURS, key(1), CID, SOON), es.RemoteOffered(THEIRS, TARGET)),
    "RemoteOffered, the requester just gone": _promised_to(ds.Resting(SOON), es.RemoteOffered(THEIRS, TARGET)),
    "RemoteAnswered": _exchange(_TWO, remote=es.RemoteAnswered()),
}

TARGETS = Table(
    _TARGET_STATES,
    {
        "RequestReceived": Case(e.ChannelsSignalingExchangeRequestReceived(CID, OTHER)),
        "RequestReceived, on a stream of ours": Case(e.ChannelsSignalingExchangeRequestReceived(CID, OURS)),
        "OfferSend": Case(e.ChannelsSignalingExchangeOfferSend(CID, TARGET, b"offer")),
        "OfferSend, of another": Case(e.ChannelsSignalingExchangeOfferSend(CID, CID, b"offer")),
        "OfferSend, too long": Case(e.ChannelsSignalingExchangeOfferSend(CID, TARGET, b"\xff" * 6_000)),
        "AnswerReceived": Case(e.ChannelsSignalingExchangeAnswerReceived(CID, THEIRS, b"answer")),
        "AnswerReceived, None": Case(e.ChannelsSignalingExchangeAnswerReceived(CID, THEIRS, None)),
        "AnswerReceived, elsewhere": Case(e.ChannelsSignalingExchangeAnswerReceived(CID, OTHER, None)),
        "RequesterLost": Case(e.ChannelsSignalingExchangeRequesterLost(CID)),
        "RemoteEnded": Case(e.ChannelsSignalingExchangeRemoteEnded(CID, THEIRS)),
        "RemoteEnded, elsewhere": Case(e.ChannelsSignalingExchangeRemoteEnded(CID, OTHER)),
        "RemoteReset": Case(e.ChannelsSignalingExchangeRemoteReset(CID, THEIRS, RESET)),
        "RemoteReset, elsewhere": Case(e.ChannelsSignalingExchangeRemoteReset(CID, OTHER, RESET)),
    },
    _half("exchange", "remote"),
    expected_signaling.TARGETS,
)

# --- the matcher --------------------------------------------------------------------------------


def _remembers(state: P2pState) -> P2pState:
    signaling, _ = state.signaling.remember(key(1), key(2), SOON, 10)
    return state.replace(signaling=signaling)


def _pair(state: P2pState) -> Any:
    return next(iter(state.signaling.pairs.values()), None)


_ASKED = _discovery(_AVAILABLE, local=ds.DiscoveryRequested(OURS, 1, SOON))
_FREE = _exchange(_discovery(_TWO, TARGET, local=ds.DiscoveryRequested(OURS, 1, SOON)), remote=es.RemoteRequested(THEIRS))

MATCHER = Table(
    {
        "no channel": _none(),
        "nobody asks": _TWO,
        "it asked, nobody is available": _discovery(_TWO, local=ds.DiscoveryRequested(OURS, 1, SOON)),
        "it asked, another is available": _ASKED,
        "it is available, nobody asked": _exchange(_TWO, remote=es.RemoteRequested(THEIRS)),
        "it is available, another asked": _FREE,
        "it asked, another is available, remembered": _remembers(_ASKED),
        "it is available, another asked, remembered": _remembers(_FREE),
    },
    {
        "Match": Case(m.SignalingMatch(CID)),
        "PairRemember": Case(m.SignalingPairRemember(key(1), key(2))),
        "PairForget, early": Case(m.SignalingPairForget(1), -1),
        "PairForget, late": Case(m.SignalingPairForget(1), LATE),
    },
    _pair,
    expected_signaling.MATCHER,
)

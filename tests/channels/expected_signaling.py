"""Channels 1 and 2 and the matcher: what comes of every action in every state. What is not listed is refused."""

from __future__ import annotations

RELAY = {
    "RequestSend": {
        "Resting, due": "Requested: ChannelsEffectfulRequestSend",
    },
    "DiscoveryRequestReceived": {
        "Requested": "DiscoveryRequested: SignalingMatch",
    },
    "DiscoveredSend": {
        "DiscoveryRequested, within a match": "Discovered: ChannelsEffectfulRequestContinue",
    },
    "DiscoveredRejectReceived": {
        "Discovered": "DiscoveredRejected: SignalingPairRemember, ChannelsSignalingExchangeRequesterLost",
        "Discovered, the target just gone": "DiscoveredRejected: SignalingPairRemember, ChannelsSignalingExchangeRequesterLost",
        "TargetLost": "DiscoveredRejected: SignalingPairRemember",
    },
    "DiscoveredAcceptReceived": {
        "Discovered": "DiscoveredAccepted: ChannelsSignalingExchangeOfferSend | ChannelsSignalingDiscoveryAnswerSend",
        "Discovered, the target just gone": "DiscoveredAccepted: ChannelsSignalingExchangeOfferSend | ChannelsSignalingDiscoveryAnswerSend",
        "TargetLost": "Answered: ChannelsEffectfulRequestContinue",
    },
    "TargetLost": {
        "Discovered, the target just gone": "TargetLost",
        "DiscoveredAccepted, the target just gone": "DiscoveredAccepted: ChannelsSignalingDiscoveryAnswerSend",
    },
    "AnswerSend": {
        "DiscoveredAccepted": "Answered: ChannelsEffectfulRequestContinue, SignalingPairRemember",
        "DiscoveredAccepted, the target just gone": "Answered: ChannelsEffectfulRequestContinue, SignalingPairRemember",
    },
    "AnswerSend, None": {
        "DiscoveredAccepted": "Answered: ChannelsEffectfulRequestContinue, ChannelsSignalingExchangeRequesterLost",
        "DiscoveredAccepted, the target just gone": "Answered: ChannelsEffectfulRequestContinue, ChannelsSignalingExchangeRequesterLost",
    },
    "Ended": {
        "DiscoveredRejected": "Resting",
        "Answered": "Resting",
    },
    "Reset": {
        "Requested": "Resting",
        "DiscoveryRequested": "Resting",
        "DiscoveryRequested, within a match": "Resting",
        "Discovered": "Resting: ChannelsSignalingExchangeRequesterLost",
        "Discovered, the target just gone": "Resting: ChannelsSignalingExchangeRequesterLost",
        "TargetLost": "Resting",
        "DiscoveredAccepted": "Resting: ChannelsSignalingExchangeRequesterLost",
        "DiscoveredAccepted, the target just gone": "Resting: ChannelsSignalingExchangeRequesterLost",
        "DiscoveredRejected": "Resting",
        "Answered": "Resting",
    },
    "Timeout, early": {
        "Resting, due": "Resting: ChannelsSignalingDiscoveryRequestSend",
    },
    "Timeout, late": {
        "Resting, due": "Resting: ChannelsSignalingDiscoveryRequestSend",
        "Resting": "Resting: ChannelsSignalingDiscoveryRequestSend",
        "Requested": "Resting: ChannelsEffectfulStreamReset",
        "DiscoveryRequested": "Resting: ChannelsEffectfulStreamReset",
        "DiscoveryRequested, within a match": "Resting: ChannelsEffectfulStreamReset",
        "Discovered": "Resting: ChannelsEffectfulStreamReset, ChannelsSignalingExchangeRequesterLost",
        "Discovered, the target just gone": "Resting: ChannelsEffectfulStreamReset, ChannelsSignalingExchangeRequesterLost",
        "TargetLost": "Resting: ChannelsEffectfulStreamReset",
        "DiscoveredAccepted": "DiscoveredAccepted: ChannelsSignalingDiscoveryAnswerSend",
        "DiscoveredAccepted, the target just gone": "DiscoveredAccepted: ChannelsSignalingDiscoveryAnswerSend",
        "DiscoveredRejected": "Resting: ChannelsEffectfulStreamReset",
        "Answered": "Resting: ChannelsEffectfulStreamReset",
    },
}

DIALER = {
    "RequestReceived": {
        "WaitingForRequest": "RemoteRequested: ChannelsSignalingDiscoveryDiscoveryRequestSend",
        "RemoteDiscoveredRejected": "RemoteRequested: ChannelsSignalingDiscoveryDiscoveryRequestSend",
        "RemoteAnswered": "RemoteRequested: ChannelsSignalingDiscoveryDiscoveryRequestSend",
    },
    "DiscoveryRequestSend": {
        "RemoteRequested": "RemoteDiscoveryRequested: ChannelsEffectfulAnswerSend",
    },
    "DiscoveredReceived": {
        "RemoteDiscoveryRequested": "OfferPending: SignalingOfferWanted, PeerDiscovered",
        "RemoteDiscoveryRequested, enough peers": "RemoteDiscoveredRejected: ChannelsEffectfulAnswerSend, PeerDiscovered",
    },
    "DiscoveredReceived, a peer of ours": {
        "RemoteDiscoveryRequested": "RemoteDiscoveredRejected: ChannelsEffectfulAnswerSend, PeerDiscovered",
        "RemoteDiscoveryRequested, enough peers": "RemoteDiscoveredRejected: ChannelsEffectfulAnswerSend, PeerDiscovered",
    },
    "DiscoveredReject": {
        "OfferPending": "RemoteDiscoveredRejected: ChannelsEffectfulAnswerSend",
        "OfferEncryptPending": "RemoteDiscoveredRejected: ChannelsEffectfulAnswerSend",
    },
    "OfferReady": {
        "OfferPending": "OfferEncryptPending: SignalingEffectfulOfferEncrypt",
    },
    "OfferError": {
        "OfferPending": "OfferPending: ChannelsSignalingDiscoveryDiscoveredReject",
    },
    "OfferEncrypted": {
        "OfferEncryptPending": "RemoteDiscoveredAccepted: ChannelsEffectfulAnswerSend",
    },
    "OfferEncrypted, None": {
        "OfferEncryptPending": "OfferEncryptPending: SignalingFailed, ChannelsSignalingDiscoveryDiscoveredReject",
    },
    "AnswerReceived": {
        "RemoteDiscoveredAccepted": "AnswerDecryptPending: SignalingEffectfulAnswerDecrypt",
    },
    "AnswerReceived, None": {
        "RemoteDiscoveredAccepted": "RemoteAnswered: ChannelsEffectfulAnswerSend, SignalingAnswerReceived",
    },
    "AnswerDecrypted": {
        "AnswerDecryptPending": "RemoteAnswered: ChannelsEffectfulAnswerSend, SignalingAnswerReceived",
    },
    "AnswerDecrypted, None": {
        "AnswerDecryptPending": "RemoteAnswered: ChannelsEffectfulAnswerSend, SignalingAnswerReceived",
    },
    "RemoteEnded": {
        "WaitingForRequest": "WaitingForRequest",
        "AnswerDecryptPending": "AnswerDecryptPending",
        "RemoteDiscoveredRejected": "RemoteDiscoveredRejected",
        "RemoteAnswered": "RemoteAnswered",
    },
    "RemoteEnded, elsewhere": {
        "WaitingForRequest": "WaitingForRequest",
        "RemoteRequested": "RemoteRequested",
        "RemoteRequested, enough peers": "RemoteRequested",
        "RemoteDiscoveryRequested": "RemoteDiscoveryRequested",
        "RemoteDiscoveryRequested, enough peers": "RemoteDiscoveryRequested",
        "OfferPending": "OfferPending",
        "OfferEncryptPending": "OfferEncryptPending",
        "RemoteDiscoveredAccepted": "RemoteDiscoveredAccepted",
        "AnswerDecryptPending": "AnswerDecryptPending",
        "RemoteDiscoveredRejected": "RemoteDiscoveredRejected",
        "RemoteAnswered": "RemoteAnswered",
    },
    "RemoteReset": {
        "RemoteRequested": "WaitingForRequest",
        "RemoteRequested, enough peers": "WaitingForRequest",
        "RemoteDiscoveryRequested": "WaitingForRequest",
        "RemoteDiscoveryRequested, enough peers": "WaitingForRequest",
        "OfferPending": "WaitingForRequest: SignalingFailed",
        "OfferEncryptPending": "WaitingForRequest: SignalingFailed",
        "RemoteDiscoveredAccepted": "WaitingForRequest: SignalingFailed",
        "AnswerDecryptPending": "WaitingForRequest: SignalingFailed",
    },
    "RemoteTimeout, late": {
        "RemoteRequested": "RemoteRequested: ChannelsSignalingDiscoveryDiscoveryRequestSend",
        "RemoteRequested, enough peers": "RemoteRequested",
        "RemoteDiscoveryRequested": "WaitingForRequest: ChannelsEffectfulStreamReset",
        "RemoteDiscoveryRequested, enough peers": "WaitingForRequest: ChannelsEffectfulStreamReset",
        "OfferPending": "OfferPending: SignalingFailed, ChannelsSignalingDiscoveryDiscoveredReject",
        "OfferEncryptPending": "OfferEncryptPending: SignalingFailed, ChannelsSignalingDiscoveryDiscoveredReject",
        "RemoteDiscoveredAccepted": "WaitingForRequest: ChannelsEffectfulStreamReset, SignalingFailed",
        "AnswerDecryptPending": "AnswerDecryptPending: ChannelsSignalingDiscoveryAnswerDecrypted",
    },
}

LISTENER = {
    "RequestSend": {
        "Resting, due": "Requested: ChannelsEffectfulRequestSend",
    },
    "OfferReceived": {
        "Requested": "Offered: SignalingEffectfulOfferDecrypt",
    },
    "OfferDecrypted": {
        "Offered": "AnswerPending: SignalingOfferReceived",
    },
    "OfferDecrypted, None": {
        "Offered": "AnswerEncryptPending: SignalingEffectfulAnswerEncrypt",
    },
    "AnswerReady": {
        "AnswerPending": "AnswerEncryptPending: SignalingEffectfulAnswerEncrypt",
    },
    "AnswerError": {
        "AnswerPending": "AnswerEncryptPending: SignalingEffectfulAnswerEncrypt",
    },
    "AnswerEncrypted": {
        "AnswerEncryptPending, accepts": "Answered: ChannelsEffectfulRequestContinue, SignalingAnswerSent",
        "AnswerEncryptPending, declines": "Answered: ChannelsEffectfulRequestContinue",
    },
    "AnswerEncrypted, None": {
        "AnswerEncryptPending, accepts": "Answered: ChannelsEffectfulRequestContinue, SignalingFailed",
        "AnswerEncryptPending, declines": "Answered: ChannelsEffectfulRequestContinue",
    },
    "Ended": {
        "Answered": "Resting: ChannelsSignalingExchangeRequestSend",
    },
    "Reset": {
        "Requested": "Resting",
        "Offered": "Resting",
        "AnswerPending": "Resting: SignalingFailed",
        "AnswerEncryptPending, accepts": "Resting: SignalingFailed",
        "AnswerEncryptPending, declines": "Resting",
        "Answered": "Resting",
    },
    "Timeout, late": {
        "Resting, due": "Resting: ChannelsSignalingExchangeRequestSend",
        "Resting": "Resting: ChannelsSignalingExchangeRequestSend",
        "Resting, due and no room": "Resting",
        "Requested": "Resting: ChannelsEffectfulStreamReset",
        "Offered": "Answered: ChannelsEffectfulRequestContinue",
        "AnswerPending": "Answered: ChannelsEffectfulRequestContinue, SignalingFailed",
        "AnswerEncryptPending, accepts": "Answered: ChannelsEffectfulRequestContinue, SignalingFailed",
        "AnswerEncryptPending, declines": "Answered: ChannelsEffectfulRequestContinue",
        "Answered": "Resting: ChannelsEffectfulStreamReset",
    },
}

TARGETS = {
    "RequestReceived": {
        "WaitingForRequest": "RemoteRequested: SignalingMatch",
        "RemoteAnswered": "RemoteRequested: SignalingMatch",
    },
    "OfferSend": {
        "Promised": "RemoteOffered: ChannelsEffectfulAnswerSend",
        "Promised, the requester just gone": "RemoteOffered: ChannelsEffectfulAnswerSend",
    },
    "AnswerReceived": {
        "RemoteOffered": "RemoteAnswered: ChannelsEffectfulAnswerSend, ChannelsSignalingDiscoveryAnswerSend",
        "RemoteOffered, the requester just gone": "RemoteAnswered: ChannelsEffectfulAnswerSend, ChannelsSignalingDiscoveryAnswerSend",
    },
    "AnswerReceived, None": {
        "RemoteOffered": "RemoteAnswered: ChannelsEffectfulAnswerSend, ChannelsSignalingDiscoveryAnswerSend",
        "RemoteOffered, the requester just gone": "RemoteAnswered: ChannelsEffectfulAnswerSend, ChannelsSignalingDiscoveryAnswerSend",
    },
    "RequesterLost": {
        "Promised, the requester just gone": "RemoteRequested: SignalingMatch",
        "RemoteOffered, the requester just gone": "WaitingForRequest: ChannelsEffectfulStreamReset",
    },
    "RemoteEnded": {
        "WaitingForRequest": "WaitingForRequest",
        "RemoteAnswered": "RemoteAnswered",
    },
    "RemoteEnded, elsewhere": {
        "WaitingForRequest": "WaitingForRequest",
        "RemoteRequested": "RemoteRequested",
        "Promised": "Promised",
        "Promised, the requester just gone": "Promised",
        "RemoteOffered": "RemoteOffered",
        "RemoteOffered, the requester just gone": "RemoteOffered",
        "RemoteAnswered": "RemoteAnswered",
    },
    "RemoteReset": {
        "RemoteRequested": "WaitingForRequest",
        "Promised": "WaitingForRequest: ChannelsSignalingDiscoveryTargetLost",
        "Promised, the requester just gone": "WaitingForRequest: ChannelsSignalingDiscoveryTargetLost",
        "RemoteOffered": "WaitingForRequest: ChannelsSignalingDiscoveryTargetLost",
        "RemoteOffered, the requester just gone": "WaitingForRequest: ChannelsSignalingDiscoveryTargetLost",
    },
}

MATCHER = {
    "Match": {
        "it asked, nobody is available": "nothing",
        "it asked, another is available": "Pair: ChannelsSignalingDiscoveryDiscoveredSend, SignalingMatch",
        "it is available, nobody asked": "nothing",
        "it is available, another asked": "Pair: ChannelsSignalingDiscoveryDiscoveredSend, SignalingMatch",
        "it asked, another is available, remembered": "Pair",
        "it is available, another asked, remembered": "Pair",
    },
    "PairRemember": {
        "no channel": "Pair",
        "nobody asks": "Pair",
        "it asked, nobody is available": "Pair",
        "it asked, another is available": "Pair",
        "it is available, nobody asked": "Pair",
        "it is available, another asked": "Pair",
        "it asked, another is available, remembered": "Pair",
        "it is available, another asked, remembered": "Pair",
    },
    "PairForget, late": {
        "it asked, another is available, remembered": "nothing: SignalingMatch, SignalingMatch",
        "it is available, another asked, remembered": "nothing: SignalingMatch, SignalingMatch",
    },
}

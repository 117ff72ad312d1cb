"""Peers whose ids are keys, encryption that is not secret, and software that makes offers and answers."""

from __future__ import annotations

from functools import cache
from typing import Any

from mina_p2p.channels.signaling_discovery.actions import (
    ChannelsSignalingDiscoveryAnswerDecrypted,
    ChannelsSignalingDiscoveryOfferEncrypted,
    ChannelsSignalingDiscoveryOfferReady,
)
from mina_p2p.channels.signaling_exchange.actions import (
    ChannelsSignalingExchangeAnswerEncrypted,
    ChannelsSignalingExchangeAnswerReady,
    ChannelsSignalingExchangeOfferDecrypted,
)
from mina_p2p.identity import PeerId, is_curve_point
from mina_p2p.signaling.effects import (
    SignalingEffectfulAnswerDecrypt,
    SignalingEffectfulAnswerEncrypt,
    SignalingEffectfulOfferDecrypt,
    SignalingEffectfulOfferEncrypt,
    SignalingOfferReceived,
    SignalingOfferWanted,
)


@cache
def key(n: int) -> PeerId:
    """The ``n``-th peer id that is a key; they ascend."""
    number = 0 if n == 0 else int.from_bytes(key(n - 1), "big") + (1 << 8)
    while not is_curve_point(number.to_bytes(32, "big")):
        number += 1 << 8
    return PeerId(number.to_bytes(32, "big"))


def encrypt(one: PeerId, other: PeerId, plaintext: bytes) -> bytes:
    """Tied to the two ids, in either order, as real ciphertext is; and as little secret as a fake needs."""
    return min(one, other)[-4:] + max(one, other)[-4:] + bytes(byte ^ 0x5A for byte in plaintext)


def decrypt(one: PeerId, other: PeerId, ciphertext: bytes) -> bytes | None:
    """The plaintext; ``None`` where it is for or from somebody else."""
    if ciphertext[:8] != min(one, other)[-4:] + max(one, other)[-4:]:
        return None
    return bytes(byte ^ 0x5A for byte in ciphertext[8:])


def crypto_answer(me: PeerId, effect: Any) -> Any | None:
    """What the runtime would answer to an effect of signaling; ``None`` for anything else."""
    match effect:
        case SignalingEffectfulOfferEncrypt(connection_id=cid, stream=stream, target=target, offer=offer):
            return ChannelsSignalingDiscoveryOfferEncrypted(cid, stream, encrypt(me, target, offer))
        case SignalingEffectfulAnswerDecrypt(connection_id=cid, stream=stream, target=target, answer=answer):
            return ChannelsSignalingDiscoveryAnswerDecrypted(cid, stream, decrypt(me, target, answer))
        case SignalingEffectfulOfferDecrypt(connection_id=cid, stream=stream, offerer=offerer, offer=offer):
            return ChannelsSignalingExchangeOfferDecrypted(cid, stream, decrypt(me, offerer, offer))
        case SignalingEffectfulAnswerEncrypt(connection_id=cid, stream=stream, offerer=offerer, answer=answer):
            return ChannelsSignalingExchangeAnswerEncrypted(cid, stream, encrypt(me, offerer, answer))
        case _:
            return None


def connector_answer(effect: Any) -> Any | None:
    """What whoever makes connections would answer, at once."""
    match effect:
        case SignalingOfferWanted(connection_id=cid, stream=stream, target=target):
            return ChannelsSignalingDiscoveryOfferReady(cid, stream, f"offer for {target.short}")
        case SignalingOfferReceived(connection_id=cid, stream=stream, offerer=offerer):
            return ChannelsSignalingExchangeAnswerReady(cid, stream, f"answer for {offerer.short}")
        case _:
            return None


def software(node: Any, effect: Any) -> None:
    """Node software with encryption, which makes every connection it is asked for."""
    reply = crypto_answer(node.config.peer_id, effect) or connector_answer(effect)
    if reply is not None:
        node.dispatch(reply)

"""Signatures under records of addresses and gossiped messages, and the effects that need them.

Source: spec address-gossip 5.2, libp2p 9. The key stays in here: neither effects nor answers have it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mina_p2p.channels.address_gossip.actions import (
    AddressGossipEffectfulSign,
    AddressGossipEffectfulVerify,
    AddressGossipSigned,
    AddressGossipVerified,
)
from mina_p2p.gossipsub.actions import NetworkPubsubSigned, NetworkPubsubVerified
from mina_p2p.gossipsub.effects import (
    NetworkExchangeEffectfulSign,
    NetworkExchangeEffectfulVerify,
    NetworkPubsubEffectfulSign,
    NetworkPubsubEffectfulVerify,
)
from mina_p2p.peer_exchange.actions import NetworkExchangeSigned, NetworkExchangeVerified
from mina_p2p.store import Action
from mina_p2p_effects.keys import SecretKey, verify


def vouching_answers(key: SecretKey) -> Mapping[type[Any], Callable[[Any], Action]]:
    """What the runtime answers to the effects that sign what is ours and check what others signed, by their class."""

    def signed(effect: AddressGossipEffectfulSign) -> Action:
        return AddressGossipSigned(effect.issued_at, key.sign(effect.message))

    def verified(effect: AddressGossipEffectfulVerify) -> Action:
        return AddressGossipVerified(effect.number, verify(effect.peer_id, effect.message, effect.signature))

    def message_signed(effect: NetworkPubsubEffectfulSign) -> Action:
        return NetworkPubsubSigned(effect.request_id, key.sign(effect.data))

    def message_verified(effect: NetworkPubsubEffectfulVerify) -> Action:
        return NetworkPubsubVerified(effect.request_id, verify(effect.author, effect.data, effect.signature))

    def record_signed(effect: NetworkExchangeEffectfulSign) -> Action:
        return NetworkExchangeSigned(effect.payload, key.sign(effect.data))

    def record_verified(effect: NetworkExchangeEffectfulVerify) -> Action:
        return NetworkExchangeVerified(effect.number, verify(effect.author, effect.data, effect.signature))

    return {
        AddressGossipEffectfulSign: signed,
        AddressGossipEffectfulVerify: verified,
        NetworkPubsubEffectfulSign: message_signed,
        NetworkPubsubEffectfulVerify: message_verified,
        NetworkExchangeEffectfulSign: record_signed,
        NetworkExchangeEffectfulVerify: record_verified,
    }

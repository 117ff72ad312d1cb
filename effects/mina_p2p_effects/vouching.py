"""Signatures under records of addresses, and the effects of the discovery that need them.

Source: spec address-gossip 5.2. The key stays in here: neither effects nor answers have it.
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
from mina_p2p.store import Action
from mina_p2p_effects.keys import SecretKey, verify


def vouching_answers(key: SecretKey) -> Mapping[type[Any], Callable[[Any], Action]]:
    """What the runtime answers to the effects that sign a record of ours and check one of others, by their class."""

    def signed(effect: AddressGossipEffectfulSign) -> Action:
        return AddressGossipSigned(effect.issued_at, key.sign(effect.message))

    def verified(effect: AddressGossipEffectfulVerify) -> Action:
        return AddressGossipVerified(effect.number, verify(effect.peer_id, effect.message, effect.signature))

    return {AddressGossipEffectfulSign: signed, AddressGossipEffectfulVerify: verified}

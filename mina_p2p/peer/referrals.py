"""A refusal for want of room says where else to try: ``try ADDRESS ADDRESS`` in the reason's text.

A node that only knows full ones would never get in (the text of a goodbye is for people elsewhere; here it is read, because a
refused peer has no channel on which it could ask). What it says is hearsay like any other.
"""

from __future__ import annotations

from collections.abc import Iterable

from mina_p2p.address import AddressError, DialAddress, parse_address
from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, Reason, ReasonCode

WORD = "try"


def refusal(addresses: Iterable[DialAddress]) -> Reason:
    """The reason for a peer that has to go elsewhere, with as many addresses as its text has room for."""
    detail = ""
    for address in addresses:
        longer = f"{detail or WORD} {address}"
        if len(longer) <= DETAIL_CHARS_MAX:
            detail = longer
    return Reason(ReasonCode.PEER_CAPACITY_FULL, detail=detail)


def referrals(reason: Reason, count_max: int) -> tuple[DialAddress, ...]:
    """The addresses that such a reason names; what can not be read is left out."""
    first, *words = reason.detail.split(" ")
    if reason.code != ReasonCode.PEER_CAPACITY_FULL or first != WORD:
        return ()
    found: list[DialAddress] = []
    for word in words[:count_max]:
        try:
            found.append(parse_address(word))
        except AddressError:
            continue
    return tuple(found)

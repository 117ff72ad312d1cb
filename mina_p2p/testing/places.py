"""Where simulated nodes are: each in a network of its own, as nodes of the real network mostly are."""

from __future__ import annotations

from typing import Final

_FIRST: Final = 20
_PER_OCTET: Final = 250
_OCTETS: Final = 70
"""From 20 to 89 no address is private, reserved or for documentation."""


def host_of(number: int) -> str:
    """The host of the node with a number: 17 500 hosts in as many networks of /16, then others in the same networks.

    Bounds by network (`mina_p2p.config.Limits`, `mina_p2p.peer.config.PeerTableConfig`) would else bind a simulated network as a whole.
    """
    network, low = number % (_PER_OCTET * _OCTETS), number // (_PER_OCTET * _OCTETS)
    return f"{_FIRST + network // _PER_OCTET}.{network % _PER_OCTET}.{low >> 8 & 255}.{low & 255}"

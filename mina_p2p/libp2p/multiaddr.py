"""Multiaddresses in their binary form, as far as Mina dials them: a host, a TCP port, perhaps a peer id.

Source: spec libp2p 2.
"""

from __future__ import annotations

from typing import Final

from mina_p2p.address import AddressError, Domain, Host, Ipv4, Ipv6, Libp2pAddress, parse_host
from mina_p2p.identity import IdentityError, PeerId
from mina_p2p.wire.primitives import Malformed
from mina_p2p.wire.varint import read_varint, write_varint

MULTIADDR_BYTES_MAX: Final = 320
"""Longer ones are not looked at; the longest that can be dialled has 301 bytes."""

_IP4: Final = 4
_TCP: Final = 6
_IP6: Final = 41
_NAMES: Final = (53, 54, 56)  # dns, dns4, dns6
_DNS4: Final = 54
_P2P: Final = 421


def encode_multiaddr(host: Host, port: int) -> bytes:
    """``/ip4|ip6|dns4/HOST/tcp/PORT``, the form in identify and Kademlia."""
    return _encode_host(host) + bytes((_TCP,)) + port.to_bytes(2, "big")


def _encode_host(host: Host) -> bytes:
    match host:
        case Ipv4(packed=packed):
            return bytes((_IP4,)) + packed
        case Ipv6(packed=packed):
            return bytes((_IP6,)) + packed
        case Domain(name=name):
            return bytes((_DNS4,)) + write_varint(len(name)) + name.encode("ascii")


def dialable(data: bytes, peer_id: PeerId) -> Libp2pAddress | None:
    """The address of ``peer_id`` that the bytes are; ``None`` for any that Mina does not dial, or of another peer.

    Whatever the bytes are, nothing is raised: foreign addresses are normal.
    """
    if len(data) > MULTIADDR_BYTES_MAX:
        return None
    try:
        code, at = read_varint(data, 0)
        if code in _NAMES:
            size, at = read_varint(data, at)
            host = parse_host(data[at : at + size].decode("ascii"))
        elif code in {_IP4, _IP6}:
            size = 4 if code == _IP4 else 16
            packed = data[at : at + size]
            host = Ipv4(packed) if code == _IP4 else Ipv6(packed)
        else:
            return None
        at += size
        if data[at] != _TCP or at + 3 > len(data):
            return None
        port = int.from_bytes(data[at + 1 : at + 3], "big")
        at += 3
        if at < len(data):
            code, at = read_varint(data, at)
            size, at = read_varint(data, at)
            if code != _P2P or at + size != len(data) or PeerId.from_multihash(data[at:]) != peer_id:
                return None
    except (Malformed, IndexError, UnicodeDecodeError, AddressError, IdentityError):
        return None
    return Libp2pAddress(peer_id, host, port) if port else None

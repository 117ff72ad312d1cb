"""Other addresses in place of real ones: the same length in text and on the wire, the same scope, the same neighbours.

An address keeps its form, so that redacted frames have the sizes they had: each octet of an IPv4
address becomes one with as many digits that takes as many bytes on the wire. Addresses of one
network stay addresses of one network, and private ones stay private, since the state machine
acts on both. Loopback and reserved addresses name nobody and stay. The key is made for one
redaction and thrown away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from string import ascii_lowercase
from struct import pack, unpack
from typing import Final

from mina_p2p.address import AddressError, Domain, Host, HostScope, Ipv4, Ipv6, host_scope, parse_ip
from mina_p2p.libp2p.multiaddr import encode_multiaddr
from mina_p2p.wire.dial_options import write_host

_FIXED: Final = frozenset({HostScope.LOOPBACK, HostScope.RESERVED})
_IPV4_TEXT: Final = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)")
_IPV6_TEXT: Final = re.compile(r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![0-9A-Fa-f:])")
_SEGMENTS: Final = ((0, 0), (1, 0xF), (0x10, 0x7F), (0x80, 0xFF), (0x100, 0xFFF), (0x1000, 0x7FFF), (0x8000, 0xFFFF))
"""Segments of an IPv6 address with one length in text and on the wire."""
_IPV6_IN_BYTES_MIN: Final = 8
_PORT_BYTES: Final = 3
"""Of ``/tcp/PORT`` in a binary multiaddress."""
_TEXT_BYTES: Final = "latin-1"
"""Maps every byte to a character and back."""


class Pseudonyms:
    """Gives every address another one, always the same."""

    def __init__(self, key: bytes) -> None:
        """``key``: secret, 16 to 64 bytes."""
        self._key = key
        self._wire: dict[bytes, bytes] = {}
        self._multiaddr: dict[bytes, bytes] = {}
        self._names: dict[str, str] = {}

    @property
    def count(self) -> int:
        """How many addresses have one so far."""
        return len(self._wire)

    def host(self, host: Host) -> Host:
        """Another host for this one."""
        if host_scope(host) in _FIXED:
            return host
        other = self._other(host)
        self._wire[write_host(host)] = write_host(other)
        self._multiaddr[_in_multiaddr(host)] = _in_multiaddr(other)
        return other

    def _other(self, host: Host) -> Host:
        match host:
            case Domain(name=name):
                self._names[name] = self._name(name)
                return Domain(self._names[name])
            case Ipv4(packed=packed):
                return Ipv4(self._octets(packed))
            case Ipv6(packed=packed):
                return Ipv6(self._segments(packed))

    def text(self, text: str, ipv6_length_min: int = 3) -> str:
        """A text with all addresses in it replaced, and all names that `host` was asked for."""
        text = _IPV4_TEXT.sub(lambda found: self._text_of(found.group(), 0), text)
        text = _IPV6_TEXT.sub(lambda found: self._text_of(found.group(), ipv6_length_min), text)
        for name, other in self._names.items():
            text = text.replace(name, other)
        return text

    def data(self, data: bytes) -> bytes:
        """Bytes with all addresses in text replaced, and in either form of the wire all that `host` was asked for."""
        for known in (self._wire, self._multiaddr):
            for wire, other in known.items():
                if wire in data:
                    data = data.replace(wire, other)
        text = data.decode(_TEXT_BYTES)
        # A short IPv6 address comes about by chance in a long item; that may not change.
        return self.text(text, _IPV6_IN_BYTES_MIN).encode(_TEXT_BYTES)

    def _text_of(self, text: str, length_min: int) -> str:
        if len(text) < length_min:
            return text
        try:
            host = parse_ip(text)
        except AddressError:
            return text
        other = self.host(host)
        return text if isinstance(other, Domain) or other == host else other.plain

    def _octets(self, packed: bytes) -> bytes:
        made = b""
        for place, octet in enumerate(packed):
            choices = _alike(made, octet)
            shift = self._draw(bytes([place]) + made, len(choices))
            made += bytes([choices[(choices.index(octet) + shift) % len(choices)]])
        return made

    def _segments(self, packed: bytes) -> bytes:
        """The first segment, which says what kind of address it is, stays; zeros stay, or the text would change its length."""
        first, *rest = unpack(">8H", packed)
        made = [first]
        for segment in rest:
            low, high = next(bounds for bounds in _SEGMENTS if bounds[0] <= segment <= bounds[1])
            shift = self._draw(pack(f">{len(made)}H", *made), high - low + 1)
            made.append(low + (segment - low + shift) % (high - low + 1))
        return pack(">8H", *made)

    def _name(self, name: str) -> str:
        """Letters in place of every label, so that it reads as a name still."""
        letters: list[str] = []
        for place, character in enumerate(name):
            if character == ".":
                letters.append(".")
            else:
                letters.append(ascii_lowercase[self._draw(f"{name} {place}".encode(), len(ascii_lowercase))])
        return "".join(letters)

    def _draw(self, what: bytes, bound: int) -> int:
        return int.from_bytes(blake2b(what, key=self._key, digest_size=16).digest(), "big") % bound


def _in_multiaddr(host: Host) -> bytes:
    """A host as it stands in the frames of libp2p, before protocol and port."""
    return encode_multiaddr(host, 0)[:-_PORT_BYTES]


@lru_cache(maxsize=4_096)
def _alike(prefix: bytes, octet: int) -> tuple[int, ...]:
    """The octets that can take the place of ``octet`` behind a prefix: of one length, and of one scope whatever follows."""
    return tuple(other for other in range(256) if _form(prefix, other) == _form(prefix, octet))


@lru_cache(maxsize=4_096)
def _form(prefix: bytes, octet: int) -> tuple[int, bool, tuple[HostScope, ...]]:
    seconds: Iterable[int] = range(256) if not prefix else (0,)
    rest = bytes(3 - len(prefix))
    scopes = () if len(prefix) > 1 else tuple(host_scope(Ipv4((prefix + bytes([octet, second]) + rest)[:4])) for second in seconds)
    return len(str(octet)), octet >= 0x80, scopes

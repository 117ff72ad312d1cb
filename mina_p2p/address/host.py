"""`Host`: a domain name, an IPv4 or an IPv6 address; where it can be reached from, and which network it is in.

A host written as text is read by the rules of the WHATWG URL standard, because
the reference does so and because resolvers understand the same old spellings: the
"name" ``0x7f.1`` must be seen as the loopback address that it is. Two things are
stricter than there. Names in other scripts must come in their ``xn--`` form, and
a name holds only letters, digits, hyphens and underscores.

Source: spec pull-protocol 2.1, operator-conventions A5; `o1-labs/mina-rust@6fc3f265 p2p/src/webrtc/host.rs`.
"""

from __future__ import annotations

import enum
import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from struct import pack, unpack
from typing import Final, TypeAlias

from mina_p2p.address.errors import AddressError, AddressReason, quoted
from mina_p2p.record import Record, record

DOMAIN_LENGTH_MAX: Final = 253
_HOST_TEXT_LENGTH_MAX: Final = DOMAIN_LENGTH_MAX + 1  # a final dot is allowed
_IP_TEXT_LENGTH_MAX: Final = 45

_DOMAIN: Final = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?", re.ASCII)
_DOTTED_QUAD: Final = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!$)|$)){4}", re.ASCII)
_NUMBER: Final = {16: re.compile(r"[0-9a-f]*"), 10: re.compile(r"[0-9]+"), 8: re.compile(r"[0-7]*")}


@record
class Domain(Record):
    """A name to be resolved, in lower case. Make it with `parse_host`, which knows what is a name."""

    name: str

    @property
    def plain(self) -> str:
        """As resolvers and sockets take it."""
        return self.name

    def __str__(self) -> str:
        return self.name


@record
class Ipv4(Record):
    """An IPv4 address as its 4 bytes."""

    packed: bytes

    @classmethod
    def of(cls, *octets: int) -> Ipv4:
        """Take four octets.

        :raises ValueError: for another count or a value outside 0..255.
        """
        if len(octets) != 4:
            raise ValueError(f"an IPv4 address has 4 octets, not {len(octets)}")
        return cls(bytes(octets))

    @property
    def plain(self) -> str:
        """As resolvers and sockets take it."""
        return ".".join(map(str, self.packed))

    def __str__(self) -> str:
        return self.plain


@record
class Ipv6(Record):
    """An IPv6 address as its 16 bytes; ``str()`` puts it in brackets, `plain` does not."""

    packed: bytes

    @classmethod
    def of(cls, *segments: int) -> Ipv6:
        """Take eight segments.

        :raises ValueError: for another count or a value outside 0..65535.
        """
        if len(segments) != 8 or not all(0 <= segment <= 0xFFFF for segment in segments):
            raise ValueError("an IPv6 address has 8 segments of 16 bits")
        return cls(pack(">8H", *segments))

    @property
    def segments(self) -> tuple[int, ...]:
        """The eight 16-bit segments."""
        return unpack(">8H", self.packed)

    @property
    def plain(self) -> str:
        """As resolvers and sockets take it: lower-case hex, the longest run of zero segments as ``::``."""
        segments = self.segments
        start, length = _longest_zero_run(segments)
        if length < 2:
            return _hex_segments(segments)
        return f"{_hex_segments(segments[:start])}::{_hex_segments(segments[start + length :])}"

    def __str__(self) -> str:
        return f"[{self.plain}]"


Host: TypeAlias = Domain | Ipv4 | Ipv6
Ip: TypeAlias = Ipv4 | Ipv6

_RANK: Final[dict[type[Host], int]] = {Domain: 0, Ipv4: 1, Ipv6: 2}


def host_key(host: Host) -> tuple[int, str, bytes]:
    """Sort key of hosts: names, then IPv4, then IPv6, each by content, as the reference orders them."""
    match host:
        case Domain(name=name):
            return 0, name, b""
        case Ipv4(packed=packed) | Ipv6(packed=packed):
            return _RANK[type(host)], "", packed


def parse_host(text: str) -> Host:
    """Read a host as the ``str()`` of one, or in any spelling that URLs allow.

    :raises AddressError: ``HOST_PARSE_ERROR``.
    """
    if text.startswith("["):
        if not text.endswith("]"):
            raise _host_error(text, "lacks the closing bracket of an IPv6 address")
        return parse_ipv6(text[1:-1])
    if len(text) > _HOST_TEXT_LENGTH_MAX:
        raise AddressError(AddressReason.HOST_PARSE_ERROR, f"a host of {len(text)} characters; names have at most {DOMAIN_LENGTH_MAX}")
    name = text.lower() if text.isascii() else text
    if _DOMAIN.fullmatch(name) is None or len(name.removesuffix(".")) > DOMAIN_LENGTH_MAX:
        raise _host_error(text, "is no host name; IPv6 stands in brackets, names in other scripts in their xn-- form")
    numbers = name.removesuffix(".").split(".")
    if numbers[-1].isdecimal() or _url_number(numbers[-1]) is not None:
        return _url_ipv4(text, numbers)
    return Domain(name)


@lru_cache(maxsize=1_024)  # asked several times of everybody who arrives
def parse_ip(text: str) -> Ip:
    """Read an IP address as sockets print it: a dotted quad, or IPv6 without brackets and zone.

    :raises AddressError: ``HOST_PARSE_ERROR``.
    """
    return parse_ipv6(text) if ":" in text else parse_ipv4(text)


def parse_ipv4(text: str) -> Ipv4:
    """Read exactly four decimal octets without leading zeros.

    :raises AddressError: ``HOST_PARSE_ERROR``.
    """
    if _DOTTED_QUAD.fullmatch(text) is None:
        raise _host_error(text, "is no IPv4 address")
    return Ipv4(bytes(map(int, text.split("."))))


def parse_ipv6(text: str) -> Ipv6:
    """Read an IPv6 address without brackets and without zone.

    :raises AddressError: ``HOST_PARSE_ERROR``.
    """
    if len(text) > _IP_TEXT_LENGTH_MAX or "%" in text or "/" in text:
        raise _host_error(text, "is no IPv6 address")
    try:
        return Ipv6(IPv6Address(text).packed)
    except AddressValueError:
        raise _host_error(text, "is no IPv6 address") from None


def _host_error(text: str, what: str) -> AddressError:
    return AddressError(AddressReason.HOST_PARSE_ERROR, f"{quoted(text)} {what}")


def _url_number(text: str) -> int | None:
    """A part of an IPv4 address as URLs have it: decimal, ``0x`` hexadecimal or ``0`` octal."""
    radix, digits = 10, text
    if text.startswith("0x"):
        radix, digits = 16, text[2:]
    elif len(text) > 1 and text.startswith("0"):
        radix, digits = 8, text[1:]
    if _NUMBER[radix].fullmatch(digits) is None:
        return None
    return int(digits or "0", radix)


def _url_ipv4(text: str, parts: list[str]) -> Ipv4:
    """The address of one to four numbers, of which the last fills all bytes that are left."""
    numbers = [number for part in parts if (number := _url_number(part)) is not None]
    if len(numbers) != len(parts) or len(parts) > 4:
        raise _host_error(text, "ends in a number but is no IPv4 address")
    *leading, last = numbers
    if any(number > 255 for number in leading) or last >= 256 ** (4 - len(leading)):
        raise _host_error(text, "ends in a number but is no IPv4 address")
    return Ipv4(bytes(leading) + last.to_bytes(4 - len(leading), "big"))


def _hex_segments(segments: tuple[int, ...]) -> str:
    return ":".join(format(segment, "x") for segment in segments)


def _longest_zero_run(segments: tuple[int, ...]) -> tuple[int, int]:
    """Start and length of the first of the longest runs of zero segments."""
    best_start = best_length = length = 0
    for position, segment in enumerate(segments):
        length = length + 1 if segment == 0 else 0
        if length > best_length:
            best_start, best_length = position - length + 1, length
    return best_start, best_length


@enum.unique
class HostScope(enum.Enum):
    """From where a host can be reached."""

    LOOPBACK = "loopback"
    PRIVATE = "private"
    RESERVED = "reserved"
    """No single host: unspecified, multicast or unassigned; never worth dialling."""
    GLOBAL = "global"
    NAME = "name"
    """A name: not known before it is resolved; judge the addresses it resolves to."""


def _range(text: str) -> tuple[int, int]:
    """Number of leading bits of a range, and their value."""
    address, bits = text.split("/")
    packed = parse_ip(address).packed
    return int(bits), int.from_bytes(packed, "big") >> (8 * len(packed) - int(bits))


# The private IPv4 ranges are those that Mina's networking helper does not dial (spec operator-conventions A5).
_SCOPES: Final[dict[type[Ip], tuple[tuple[HostScope, tuple[tuple[int, int], ...]], ...]]] = {
    Ipv4: (
        (HostScope.LOOPBACK, (_range("127.0.0.0/8"),)),
        (
            HostScope.PRIVATE,
            tuple(map(_range, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "169.254.0.0/16"))),
        ),
        (HostScope.RESERVED, tuple(map(_range, ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4")))),
    ),
    Ipv6: (
        (HostScope.LOOPBACK, (_range("::1/128"),)),
        # Unique local, link local, the old site local, and the local-use prefix of NAT64.
        (HostScope.PRIVATE, tuple(map(_range, ("fc00::/7", "fe80::/10", "fec0::/10", "64:ff9b:1::/48")))),
        (HostScope.RESERVED, tuple(map(_range, ("::/128", "ff00::/8", "100::/64")))),
    ),
}

# IPv6 ranges whose addresses stand for an IPv4 address, and the byte at which that begins: IPv4-mapped,
# NAT64 and 6to4. Without them 10.0.0.1 could be dialled as ::ffff:10.0.0.1.
_EMBEDDED: Final = ((_range("::ffff:0:0/96"), 12), (_range("64:ff9b::/96"), 12), (_range("2002::/16"), 2))


@lru_cache(maxsize=4_096)  # a node asks this of every peer that it names to another
def host_scope(host: Host) -> HostScope:
    """From where ``host`` can be reached, as far as its text tells; ``localhost`` counts as loopback."""
    if isinstance(host, Domain):
        name = host.name.removesuffix(".")
        return HostScope.LOOPBACK if name == "localhost" or name.endswith(".localhost") else HostScope.NAME
    ip = carried_ip(host)
    for scope, ranges in _SCOPES[type(ip)]:
        if _in_any(ip, ranges):
            return scope
    return HostScope.GLOBAL


@lru_cache(maxsize=4_096)  # likewise
def address_group(host: Host, ipv4_bits: int = 24, ipv6_bits: int = 48) -> str:
    """The network that ``host`` is counted in where limits go by network, such as ``203.0.113.0/24``.

    One owner gets many addresses of one network easily, of many networks not. A
    name is counted by its last two labels, since an owner makes names below them
    at will. An IPv6 address that stands for an IPv4 address is counted as that.

    :param ipv4_bits: leading bits, 0..32, that make an IPv4 network.
    :param ipv6_bits: leading bits, 0..128, that make an IPv6 network.
    :returns: a text that is equal exactly for hosts of one network.
    """
    if isinstance(host, Domain):
        return ".".join(host.name.removesuffix(".").split(".")[-2:])
    ip = carried_ip(host)
    bits = ipv4_bits if isinstance(ip, Ipv4) else ipv6_bits
    width = 8 * len(ip.packed)
    network = int.from_bytes(ip.packed, "big") >> (width - bits) << (width - bits)
    return f"{type(ip)(network.to_bytes(width // 8, 'big')).plain}/{bits}"


def carried_ip(ip: Ip) -> Ip:
    """The IPv4 address that an IPv6 address stands for (mapped, NAT64, 6to4), else the address itself."""
    if isinstance(ip, Ipv6):
        for embedding, start in _EMBEDDED:
            if _in_any(ip, (embedding,)):
                return Ipv4(ip.packed[start : start + 4])
    return ip


def _in_any(ip: Ip, ranges: tuple[tuple[int, int], ...]) -> bool:
    number, width = int.from_bytes(ip.packed, "big"), 8 * len(ip.packed)
    return any(number >> (width - bits) == leading for bits, leading in ranges)

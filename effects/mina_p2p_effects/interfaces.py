"""At which addresses of this machine others can reach a socket that is bound to all of them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from mina_p2p.address import AddressError, HostScope, Ip, Ipv4, Ipv6, host_scope, parse_ip

ADDRESSES_MAX: Final = 32
_SIOCGIFADDR: Final = 0x8915
_NAME_BYTES: Final = 16
_REQUEST_BYTES: Final = 256
_ADDRESS_AT: Final = 20
_TOWARDS: Final = ("192.0.2.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "127.0.0.1", "2001:db8::1", "::1")
"""One destination of each range that machines have addresses in; nothing is ever sent there."""


def reachable_at(bound: Ip) -> tuple[Ip, ...]:
    """The addresses behind a bound one: itself, or where it stands for all, those of the machine's interfaces, loopback included.

    At most `ADDRESSES_MAX`; link-local ones, which mean something else on every link, are left out.
    """
    if bound not in {Ipv4.of(0, 0, 0, 0), Ipv6(bytes(16))}:
        return (bound,)
    is_both = isinstance(bound, Ipv6)
    found = (address for text in (*_of_interfaces(), *_of_routes()) if (address := _ip(text)) is not None)
    fitting = (one for one in found if (is_both or isinstance(one, Ipv4)) and not _is_of_no_use(one))
    return tuple(dict.fromkeys(fitting))[:ADDRESSES_MAX]


def _is_of_no_use(address: Ip) -> bool:
    return host_scope(address) is HostScope.RESERVED or ip_address(address.plain).is_link_local


def _of_interfaces() -> Iterator[str]:
    """IPv4 addresses by interface, where the system tells them this way."""
    try:
        import fcntl  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            request = name.encode()[: _NAME_BYTES - 1].ljust(_REQUEST_BYTES, b"\0")
            with contextlib.suppress(OSError):  # an interface without an address, or a system that asks otherwise
                answer: bytes = fcntl.ioctl(asked.fileno(), _SIOCGIFADDR, request)
                yield socket.inet_ntoa(answer[_ADDRESS_AT : _ADDRESS_AT + 4])


def _of_routes() -> Iterator[str]:
    """The address that a packet to each range would leave from."""
    for destination in _TOWARDS:
        family = socket.AF_INET6 if ":" in destination else socket.AF_INET
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect((destination, 9))  # of a datagram socket: looks up the route, and sends nothing
            name: tuple[str, int] = asked.getsockname()[:2]
            yield name[0]


def _ip(text: str) -> Ip | None:
    try:
        return parse_ip(text)
    except AddressError:
        return None

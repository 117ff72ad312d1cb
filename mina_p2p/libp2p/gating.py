"""Whom a node may be connected with: bans, trust, isolation and the private ranges (spec: helper-ipc 6, libp2p 11).

One decision for a peer at an address, in the order of the OCaml node's helper:

====  ===========================================  ==========
step  rule                                         outcome
====  ===========================================  ==========
1     the peer is trusted                          accepted
2     the peer is banned                           denied
3     the address is trusted                       accepted
4     the address is private and not a known one   denied
5     the address is banned, or we are isolated    denied
6     otherwise                                    accepted
====  ===========================================  ==========

A name has no address yet: of a dial by name only steps 1 and 2, and isolation, are looked at, and the rest when the peer
that it led to has proved who it is. Step 4 is about whom we dial; who comes from a private address makes it a known one.
The helper takes every IPv6 address for a trusted one; here the rules are the same for both kinds.
"""

from __future__ import annotations

import enum
from typing import Final

from attrs import field
from attrs.validators import max_len

from mina_p2p.address import AddressError, AddressReason, Domain, Host, HostScope, Ip, Libp2pAddress, carried_ip, host_scope, parse_ip
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import PeerId
from mina_p2p.record import Record, record
from mina_p2p.table import Index

LIST_MAX: Final = 7_000
"""Entries of each list, as the helper has it."""
RANGES_MAX: Final = 256
"""Of those, ranges of more than one address."""
LEARNED_MAX: Final = 256
"""Private addresses that are known because somebody came from there; the oldest give way."""
ADDED_MAX: Final = 256
"""Peers that were added at run time; the oldest give way."""


class Denial(enum.Enum):
    """Why not."""

    PEER = "the peer is banned"
    PRIVATE = "the address is private and not a known one"
    ADDRESS = "the address is banned"
    ISOLATED = "this node is isolated: only trusted peers and addresses"

    @property
    def reason(self) -> Reason:
        """With which a connection ends."""
        return Reason(ReasonCode.PEER_BANNED, detail=self.value)


@record
class IpRange(Record):
    """All addresses that begin with the same bits."""

    first: Ip
    bits: int

    @property
    def is_single(self) -> bool:
        """Whether it is one address."""
        return self.bits == 8 * len(self.first.packed)

    def holds(self, ip: Ip) -> bool:
        """Whether an address is in it."""
        size = len(self.first.packed)
        if len(ip.packed) != size:
            return False
        rest = 8 * size - self.bits
        return int.from_bytes(ip.packed, "big") >> rest == int.from_bytes(self.first.packed, "big") >> rest


def parse_ip_range(text: str) -> IpRange:
    """An address, or a range such as ``10.0.0.0/8``.

    :raises AddressError: where it is neither, or bits behind the range's are set.
    """
    address, slash, bits = text.partition("/")
    first = parse_ip(address)
    size = 8 * len(first.packed)
    if not slash:
        return IpRange(first, size)
    if not (bits.isascii() and bits.isdigit() and len(bits) <= 3 and int(bits) <= size):
        raise AddressError(AddressReason.HOST_PARSE_ERROR, f"{text!a}: a range has 0 to {size} leading bits")
    found = IpRange(first, int(bits))
    if int.from_bytes(first.packed, "big") & ((1 << size - found.bits) - 1):
        raise AddressError(AddressReason.HOST_PARSE_ERROR, f"{text!a}: bits behind the first {bits} are set")
    return found


def _bounded(_gating: object, attribute: object, value: tuple[IpRange, ...]) -> None:
    if len(value) > LIST_MAX or sum(not one.is_single for one in value) > RANGES_MAX:
        raise ValueError(f"at most {LIST_MAX} addresses, of which {RANGES_MAX} may be ranges")


@record
class GatingConfig(Record):
    """The lists of a node; a new one replaces all of the last."""

    banned_addresses: tuple[IpRange, ...] = field(default=(), validator=_bounded)
    banned_peers: tuple[PeerId, ...] = field(default=(), validator=max_len(LIST_MAX))
    trusted_addresses: tuple[IpRange, ...] = field(default=(), validator=_bounded)
    trusted_peers: tuple[PeerId, ...] = field(default=(), validator=max_len(LIST_MAX))
    """Besides those that the configuration names or that were added."""
    is_isolated: bool = False
    """Whether nobody is accepted but trusted peers and who is at a trusted address."""
    forgets_added_peers: bool = False
    """Whether peers that were added at run time are added no more."""


@record
class Addresses(Record):
    """A set of addresses: single ones by look-up, ranges one after the other."""

    singles: Index[bool]
    ranges: tuple[IpRange, ...] = ()

    def __contains__(self, ip: Ip) -> bool:
        plain = carried_ip(ip)
        return plain.packed in self.singles or any(one.holds(plain) for one in self.ranges)

    def adding(self, one: IpRange) -> Addresses:
        """With another address or range."""
        if one.is_single:
            return self.replace(singles=self.singles.set(carried_ip(one.first).packed, True))
        return self.replace(ranges=(*self.ranges, one))


def _addresses(listed: tuple[IpRange, ...], salt: bytes) -> Addresses:
    found = Addresses(Index(salt))
    for one in listed:
        found = found.adding(one)
    return found


def _peers(listed: tuple[PeerId, ...], salt: bytes) -> Index[bool]:
    found = Index[bool](salt)
    for one in listed:
        found = found.set(one, True)
    return found


@record
class Gating(Record):
    """The lists, for quick questions, and what was learned besides."""

    config: GatingConfig
    banned: Addresses
    trusted: Addresses
    banned_peers: Index[bool]
    trusted_peers: Index[bool]
    """All of them: listed, named by the configuration, added."""
    known: Addresses
    """Private ranges that may be dialled."""
    named: tuple[PeerId, ...]
    """By the configuration."""
    added: tuple[Libp2pAddress, ...] = ()
    """Peers that were added at run time, oldest first."""
    learned: tuple[Ip, ...] = ()
    """Private addresses from which somebody came, oldest first."""

    def denial(self, peer_id: PeerId, host: Host | None, *, is_outgoing: bool = True) -> Denial | None:
        """Why a peer is not wanted at an address; ``None`` where it is welcome.

        :param host: ``None`` where no address is known.
        :param is_outgoing: whether we would dial; else the peer has come.
        """
        if peer_id in self.trusted_peers:
            return None
        if peer_id in self.banned_peers:
            return Denial.PEER
        if host is None or isinstance(host, Domain):
            return Denial.ISOLATED if self.config.is_isolated else None
        if host in self.trusted:
            return None
        if is_outgoing and host_scope(host) is HostScope.PRIVATE and not self.is_known(host):
            return Denial.PRIVATE
        if host in self.banned:
            return Denial.ADDRESS
        return Denial.ISOLATED if self.config.is_isolated else None

    def is_known(self, ip: Ip) -> bool:
        """Whether a private address may be dialled."""
        return ip in self.known or carried_ip(ip) in self.learned

    def is_unwanted(self, peer_id: PeerId, host: Host) -> bool:
        """Whether not to remember that peer there: for what bans and isolation say, not for what could become a known address."""
        return self.denial(peer_id, host, is_outgoing=False) is not None

    def learning(self, ip: Ip) -> Gating:
        """Somebody came from there."""
        if host_scope(ip) is not HostScope.PRIVATE or self.is_known(ip):
            return self
        return self.replace(learned=(*self.learned, carried_ip(ip))[-LEARNED_MAX:])

    def adding(self, address: Libp2pAddress) -> Gating:
        """With a peer to keep a connection with; a later address of the same peer replaces the earlier one."""
        others = tuple(one for one in self.added if one.peer_id != address.peer_id)
        return self._ruled(self.config, (*others, address)[-ADDED_MAX:])

    def ruled(self, config: GatingConfig) -> Gating:
        """With other lists."""
        return self._ruled(config, () if config.forgets_added_peers else self.added)

    def _ruled(self, config: GatingConfig, added: tuple[Libp2pAddress, ...]) -> Gating:
        salt = self.banned_peers.salt
        trusted = (*config.trusted_peers, *self.named, *(one.peer_id for one in added))
        if config == self.config:
            return self.replace(added=added, trusted_peers=_peers(trusted, salt))
        return self.replace(
            config=config,
            banned=_addresses(config.banned_addresses, salt),
            trusted=_addresses(config.trusted_addresses, salt),
            banned_peers=_peers(config.banned_peers, salt),
            trusted_peers=_peers(trusted, salt),
            added=added,
        )


EVERY_PRIVATE_RANGE: Final = tuple(
    map(
        parse_ip_range,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "169.254.0.0/16", "fc00::/7", "fe80::/10"),
    )
)
"""For a node of a private network: all addresses of such ranges are known."""


def initial_gating(config: GatingConfig, known: tuple[IpRange, ...], named: tuple[PeerId, ...], salt: bytes) -> Gating:
    """The gating of a node that starts."""
    none, nobody = Addresses(Index(salt)), Index[bool](salt)
    empty = Gating(GatingConfig(), none, none, nobody, _peers(named, salt), _addresses(known, salt), named)
    return empty.ruled(config)


def remote_ip(host: str) -> Ip | None:
    """The address of a connection's remote end; nothing where the transport has none."""
    try:
        return parse_ip(host)
    except AddressError:
        return None


__all__ = [
    "EVERY_PRIVATE_RANGE",
    "Addresses",
    "Denial",
    "Gating",
    "GatingConfig",
    "IpRange",
    "initial_gating",
    "parse_ip_range",
    "remote_ip",
]

"""`DialAddress`: how to reach a peer, and the texts in which operators and nodes write it.

==========================  ====================================================
`WebRtcAddress`             ``/{peer id}{signaling}``, with the signaling method one of
                            ``/http/HOST/PORT``, ``/https/HOST/PORT``,
                            ``/https_proxy/CLUSTER/HOST/PORT``, ``/p2p/{relay's peer id}``
`Libp2pAddress`             ``/ip4|ip6|dns4/HOST/tcp/PORT/p2p/{peer id}``
`QuicAddress`               ``/ip4|ip6|dns4/HOST/udp/PORT/quic-v1/p2p/{peer id}``
==========================  ====================================================

``str()`` prints a form, `parse_address` reads each of them, with a peer id in
either of its text forms. The reference prints ``/ip6/`` and ``/p2p/`` signaling but
does not read them (spec pull-protocol 10.3 N10). It also skips what it does not
understand: the first character, blank parts, whatever follows the end. Here all
that is refused, because an address with more parts, such as one through a relay,
leads somewhere else.

Source: spec pull-protocol 2.2 and 2.3, libp2p 2, operator-conventions A5, design 8;
`o1-labs/mina-rust@6fc3f265 p2p/src/webrtc/signaling_method`, `p2p/src/connection/outgoing`.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from mina_p2p.address.errors import AddressError, AddressReason, quoted
from mina_p2p.address.host import Domain, Host, Ipv4, host_key, parse_host, parse_ipv4, parse_ipv6
from mina_p2p.identity import IdentityError, PeerId
from mina_p2p.record import Record, record

ADDRESS_TEXT_LENGTH_MAX: Final = 512
"""Characters of an address text; the longest that can be printed has 335."""

_SIGNAL_PATH: Final = "mina/webrtc/signal"


@record
class SignalingHttp(Record):
    """The peer takes offers over HTTP."""

    host: Host
    port: int

    @property
    def url(self) -> str:
        """Where to post the offer."""
        return f"http://{self.host}:{self.port}/{_SIGNAL_PATH}"

    def __str__(self) -> str:
        return f"/http/{self.host}/{self.port}"


@record
class SignalingHttps(Record):
    """The peer takes offers over HTTPS."""

    host: Host
    port: int

    @property
    def url(self) -> str:
        """Where to post the offer."""
        return f"https://{self.host}:{self.port}/{_SIGNAL_PATH}"

    def __str__(self) -> str:
        return f"/https/{self.host}/{self.port}"


@record
class SignalingHttpsProxy(Record):
    """The peer takes offers behind an HTTPS proxy, which knows its cluster by a 16-bit number."""

    cluster_id: int
    host: Host
    port: int

    @property
    def url(self) -> str:
        """Where to post the offer."""
        return f"https://{self.host}:{self.port}/clusters/{self.cluster_id}/{_SIGNAL_PATH}"

    def __str__(self) -> str:
        return f"/https_proxy/{self.cluster_id}/{self.host}/{self.port}"


@record
class SignalingRelay(Record):
    """The offer goes through a peer that both sides are connected to; the reference calls it ``P2p``."""

    relay_peer_id: PeerId

    @property
    def url(self) -> None:
        """A relay has none."""
        return

    def __str__(self) -> str:
        return f"/p2p/{self.relay_peer_id}"


SignalingMethod: TypeAlias = SignalingHttp | SignalingHttps | SignalingHttpsProxy | SignalingRelay
"""In the order of their wire tags, 0 to 3."""


@record
class WebRtcAddress(Record):
    """A peer reached by WebRTC once it has answered an offer."""

    peer_id: PeerId
    signaling: SignalingMethod

    def __str__(self) -> str:
        return f"/{self.peer_id}{self.signaling}"


@record
class Libp2pAddress(Record):
    """A peer reached by libp2p over TCP."""

    peer_id: PeerId
    host: Host
    port: int

    def __str__(self) -> str:
        return f"{_host_parts(self.host)}/tcp/{self.port}/p2p/{self.peer_id.libp2p}"


@record
class QuicAddress(Record):
    """A peer reached by QUIC; sent only to peers that know this form (design 8)."""

    peer_id: PeerId
    host: Host
    port: int

    def __str__(self) -> str:
        return f"{_host_parts(self.host)}/udp/{self.port}/quic-v1/p2p/{self.peer_id.libp2p}"


DialAddress: TypeAlias = WebRtcAddress | Libp2pAddress | QuicAddress
"""In the order of their wire tags, 0 to 2."""


def dial_host(address: DialAddress) -> Host | None:
    """The host that is contacted to reach the peer; ``None`` where a relay is asked instead."""
    match address:
        case WebRtcAddress(signaling=signaling):
            return None if isinstance(signaling, SignalingRelay) else signaling.host
        case Libp2pAddress(host=host) | QuicAddress(host=host):
            return host


SignalingKey: TypeAlias = tuple[int, int, tuple[int, str, bytes], int]
AddressKey: TypeAlias = tuple[int, PeerId, SignalingKey]


def address_key(address: DialAddress) -> AddressKey:
    """Sort key of addresses: by variant, then field by field, as the reference orders them."""
    match address:
        case WebRtcAddress(peer_id=peer_id, signaling=signaling):
            return 0, peer_id, _signaling_key(signaling)
        case Libp2pAddress(peer_id=peer_id, host=host, port=port):
            return 1, peer_id, (0, 0, host_key(host), port)
        case QuicAddress(peer_id=peer_id, host=host, port=port):
            return 2, peer_id, (0, 0, host_key(host), port)


def _signaling_key(signaling: SignalingMethod) -> SignalingKey:
    match signaling:
        case SignalingHttp(host=host, port=port):
            return 0, 0, host_key(host), port
        case SignalingHttps(host=host, port=port):
            return 1, 0, host_key(host), port
        case SignalingHttpsProxy(cluster_id=cluster_id, host=host, port=port):
            return 2, cluster_id, host_key(host), port
        case SignalingRelay(relay_peer_id=relay_peer_id):
            return 3, 0, (0, "", relay_peer_id), 0


def parse_address(text: str) -> DialAddress:
    """Read any form of dial address.

    :raises AddressError: ``NOT_ENOUGH_ARGS`` where parts are missing, ``TOO_LONG``
        above `ADDRESS_TEXT_LENGTH_MAX`, ``PEER_ID_PARSE_ERROR``,
        ``SIGNALING_METHOD_PARSE_ERROR`` with its ``inner`` reason; for multiaddrs
        also ``HOST_PARSE_ERROR`` and ``PORT_PARSE_ERROR``; ``OTHER`` for any other shape.
    """
    kind, *rest = _parts(text)
    if kind.startswith(("ip", "dns")):
        return _parse_multiaddr(kind, rest)
    if not rest:
        raise _not_enough("a signaling method after the peer id")
    peer_id = _parse_peer_id(kind)
    try:
        return WebRtcAddress(peer_id, _parse_signaling(rest))
    except AddressError as error:
        raise AddressError(AddressReason.SIGNALING_METHOD_PARSE_ERROR, f"signaling method: {error.detail}", error.reason) from None


def parse_signaling(text: str) -> SignalingMethod:
    """Read a signaling method, such as ``/https/example.com/443``.

    :raises AddressError: ``NOT_ENOUGH_ARGS``, ``UNKNOWN_SIGNALING_METHOD``,
        ``INVALID_CLUSTER_ID``, ``HOST_PARSE_ERROR``, ``PORT_PARSE_ERROR``,
        ``PEER_ID_PARSE_ERROR`` (of a relay), ``TOO_LONG``, or ``OTHER`` for surplus parts.
    """
    return _parse_signaling(_parts(text))


def _parts(text: str) -> list[str]:
    """The parts of an address after its leading ``/``; at least one."""
    if len(text) > ADDRESS_TEXT_LENGTH_MAX:
        raise AddressError(AddressReason.TOO_LONG, f"{len(text)} characters; an address has at most {ADDRESS_TEXT_LENGTH_MAX}")
    if not text:
        raise _not_enough("an address, found an empty text")
    if not text.startswith("/"):
        raise AddressError(AddressReason.OTHER, f"an address begins with /, found {quoted(text[:8])}")
    return text[1:].split("/")


def _parse_signaling(parts: list[str]) -> SignalingMethod:
    method, *rest = parts
    match method:
        case "http":
            return SignalingHttp(*_parse_host_and_port(rest))
        case "https":
            return SignalingHttps(*_parse_host_and_port(rest))
        case "https_proxy":
            if not rest:
                raise _not_enough("a cluster id after https_proxy")
            cluster_id = _parse_u16(rest[0])
            if cluster_id is None:
                raise AddressError(AddressReason.INVALID_CLUSTER_ID, f"{quoted(rest[0])} is no cluster id, a number up to 65535")
            return SignalingHttpsProxy(cluster_id, *_parse_host_and_port(rest[1:]))
        case "p2p":
            if not rest:
                raise _not_enough("the relay's peer id after p2p")
            _refuse_surplus(rest[1:])
            return SignalingRelay(_parse_peer_id(rest[0]))
        case "" if not rest:
            raise _not_enough("a signaling method")
        case _:
            raise AddressError(AddressReason.UNKNOWN_SIGNALING_METHOD, f"{quoted(method)} is none of http, https, https_proxy and p2p")


def _parse_host_and_port(parts: list[str]) -> tuple[Host, int]:
    if len(parts) < 2:
        raise _not_enough("a host and a port")
    _refuse_surplus(parts[2:])
    return parse_host(parts[0]), _parse_port(parts[1])


def _parse_multiaddr(kind: str, rest: list[str]) -> Libp2pAddress | QuicAddress:
    match rest:
        case [host, "tcp", port, "p2p" | "ipfs", peer_id]:
            return Libp2pAddress(_parse_peer_id(peer_id), _parse_multiaddr_host(kind, host), _parse_port(port))
        case [host, "udp", port, "quic-v1", "p2p" | "ipfs", peer_id]:
            return QuicAddress(_parse_peer_id(peer_id), _parse_multiaddr_host(kind, host), _parse_port(port))
        case [] | [_] | [_, "tcp" | "udp"] | [_, "udp", _]:
            raise _not_enough("a host, a port and a peer id")
        case [_, "tcp", _] | [_, "udp", _, "quic-v1"] | [*_, "p2p" | "ipfs"]:
            raise _not_enough("the peer id: add /p2p/ and the id")
        case _:
            raise AddressError(
                AddressReason.OTHER, "a multiaddr of another shape than /ip4/HOST/tcp/PORT/p2p/ID and /ip4/HOST/udp/PORT/quic-v1/p2p/ID"
            )


def _parse_multiaddr_host(kind: str, text: str) -> Host:
    match kind:
        case "ip4":
            return parse_ipv4(text)
        case "ip6":
            return parse_ipv6(text)
        case "dns" | "dns4" | "dns6":
            if text.startswith("["):
                raise AddressError(
                    AddressReason.HOST_PARSE_ERROR, f"{quoted(text)} is no host name; an IPv6 address follows /ip6/, without brackets"
                )
            return parse_host(text)
        case _:
            raise AddressError(AddressReason.OTHER, f"{quoted(kind)} is none of ip4, ip6, dns, dns4 and dns6")


def _host_parts(host: Host) -> str:
    kind = "dns4" if isinstance(host, Domain) else "ip4" if isinstance(host, Ipv4) else "ip6"
    return f"/{kind}/{host.plain}"


def _parse_peer_id(text: str) -> PeerId:
    try:
        return PeerId.parse(text)
    except IdentityError as error:
        raise AddressError(AddressReason.PEER_ID_PARSE_ERROR, f"peer id: {error.detail}") from None


def _parse_port(text: str) -> int:
    port = _parse_u16(text)
    if port is None:
        raise AddressError(AddressReason.PORT_PARSE_ERROR, f"{quoted(text)} is no port, a number up to 65535")
    return port


def _parse_u16(text: str) -> int | None:
    if not (1 <= len(text) <= 5 and text.isascii() and text.isdecimal()):
        return None
    number = int(text)
    return number if number <= 0xFFFF else None


def _not_enough(what: str) -> AddressError:
    return AddressError(AddressReason.NOT_ENOUGH_ARGS, f"expected {what}")


def _refuse_surplus(parts: list[str]) -> None:
    if parts:
        raise AddressError(AddressReason.OTHER, f"{quoted('/'.join(parts))} follows the end of the address")

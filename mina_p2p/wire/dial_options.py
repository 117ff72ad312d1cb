"""Peer ids, hosts and dial addresses as the network writes them.

The records are those of `mina_p2p.address`; here are their bytes. A domain is read
by the rules for hosts, so that an IP address in its place becomes one (spec:
pull-protocol 2.1 to 2.3). Tag 2 of a dial address, QUIC, is this project's own;
it is for peers that announced the capability.
"""

from __future__ import annotations

from struct import pack, unpack
from typing import Annotated, Final, NoReturn, TypeAlias

from mina_p2p.address import (
    DOMAIN_LENGTH_MAX,
    AddressError,
    DialAddress,
    Domain,
    Host,
    Ipv4,
    Ipv6,
    Libp2pAddress,
    QuicAddress,
    SignalingHttp,
    SignalingHttps,
    SignalingHttpsProxy,
    SignalingMethod,
    SignalingRelay,
    WebRtcAddress,
    parse_host,
)
from mina_p2p.identity import PeerId
from mina_p2p.wire.notation import Custom
from mina_p2p.wire.primitives import Malformed, read_int, read_nat0, read_utf8, write_nat0, write_ranged

_PEER_ID_SIZE_MIN: Final = 4
_DOMAIN_LENGTH_LIMIT: Final = DOMAIN_LENGTH_MAX + 1  # a final dot is allowed


def read_peer_id(data: bytes, offset: int) -> tuple[PeerId, int]:
    """Read a peer id: four big-endian words, each a nat0."""
    first, offset = read_nat0(data, offset)
    second, offset = read_nat0(data, offset)
    third, offset = read_nat0(data, offset)
    fourth, offset = read_nat0(data, offset)
    return PeerId(pack(">4Q", first, second, third, fourth)), offset


def write_peer_id(value: PeerId) -> bytes:
    """Write a peer id, 4 to 36 bytes."""
    return b"".join(map(write_nat0, unpack(">4Q", value)))


def read_host(data: bytes, offset: int) -> tuple[Host, int]:
    """Read a host."""
    tag = data[offset]
    if tag == 0:
        size, start = read_nat0(data, offset + 1)
        if size > _DOMAIN_LENGTH_LIMIT:
            raise Malformed(f"a domain of {size} bytes")
        if size > len(data) - start:
            raise Malformed(f"{size} announced, but only {len(data) - start} bytes are left")
        end = start + size
        try:
            return parse_host(read_utf8(data, start, end)), end
        except AddressError as error:
            raise Malformed(str(error)) from None
    if tag == 1:
        octets, end = _read_run(data, offset + 1, 4, 0xFF)
        return Ipv4(bytes(octets)), end
    if tag == 2:
        segments, end = _read_run(data, offset + 1, 8, 0xFFFF)
        return Ipv6(pack(">8H", *segments)), end
    return _refuse_tag("host", tag)


def write_host(value: Host) -> bytes:
    """Write a host; each octet or segment is an int of its own."""
    match value:
        case Domain(name=name):
            raw = name.encode()
            return b"\x00" + write_nat0(len(raw)) + raw
        case Ipv4(packed=packed):
            return b"\x01" + b"".join(write_ranged(octet, 0, 0xFF) for octet in packed)
        case Ipv6(packed=packed):
            return b"\x02" + b"".join(write_ranged(segment, 0, 0xFFFF) for segment in unpack(">8H", packed))


def read_signaling(data: bytes, offset: int) -> tuple[SignalingMethod, int]:
    """Read how a WebRTC peer is signalled."""
    tag = data[offset]
    offset += 1
    if tag == 2:
        cluster_id, offset = _read_u16(data, offset)
        host, port, offset = _read_endpoint(data, offset)
        return SignalingHttpsProxy(cluster_id, host, port), offset
    if tag == 3:
        relay, offset = read_peer_id(data, offset)
        return SignalingRelay(relay), offset
    if tag > 3:
        _refuse_tag("signaling method", tag)
    host, port, offset = _read_endpoint(data, offset)
    return (SignalingHttps(host, port) if tag else SignalingHttp(host, port)), offset


def write_signaling(value: SignalingMethod) -> bytes:
    """Write how a WebRTC peer is signalled."""
    match value:
        case SignalingHttp(host=host, port=port):
            return b"\x00" + _write_endpoint(host, port)
        case SignalingHttps(host=host, port=port):
            return b"\x01" + _write_endpoint(host, port)
        case SignalingHttpsProxy(cluster_id=cluster_id, host=host, port=port):
            return b"\x02" + write_ranged(cluster_id, 0, 0xFFFF) + _write_endpoint(host, port)
        case SignalingRelay(relay_peer_id=relay_peer_id):
            return b"\x03" + write_peer_id(relay_peer_id)


def read_dial_address(data: bytes, offset: int) -> tuple[DialAddress, int]:
    """Read a dial address."""
    tag = data[offset]
    if tag > 2:
        _refuse_tag("dial address", tag)
    peer_id, offset = read_peer_id(data, offset + 1)
    if tag == 0:
        signaling, offset = read_signaling(data, offset)
        return WebRtcAddress(peer_id, signaling), offset
    host, port, offset = _read_endpoint(data, offset)
    return (Libp2pAddress(peer_id, host, port) if tag == 1 else QuicAddress(peer_id, host, port)), offset


def write_dial_address(value: DialAddress) -> bytes:
    """Write a dial address."""
    match value:
        case WebRtcAddress(peer_id=peer_id, signaling=signaling):
            return b"\x00" + write_peer_id(peer_id) + write_signaling(signaling)
        case Libp2pAddress(peer_id=peer_id, host=host, port=port):
            return b"\x01" + write_peer_id(peer_id) + _write_endpoint(host, port)
        case QuicAddress(peer_id=peer_id, host=host, port=port):
            return b"\x02" + write_peer_id(peer_id) + _write_endpoint(host, port)


WirePeerId: TypeAlias = Annotated[PeerId, Custom(read_peer_id, write_peer_id, _PEER_ID_SIZE_MIN)]
WireHost: TypeAlias = Annotated[Host, Custom(read_host, write_host, 2)]
WireSignaling: TypeAlias = Annotated[SignalingMethod, Custom(read_signaling, write_signaling, 3)]
WireDialAddress: TypeAlias = Annotated[DialAddress, Custom(read_dial_address, write_dial_address, 1 + _PEER_ID_SIZE_MIN + 3)]


def _refuse_tag(kind: str, tag: int) -> NoReturn:
    raise Malformed(f"no {kind} has tag {tag}")


def _read_run(data: bytes, offset: int, count: int, high: int) -> tuple[list[int], int]:
    values: list[int] = []
    for _ in range(count):
        value, offset = read_int(data, offset)
        if not 0 <= value <= high:
            raise Malformed(f"{value} is not between 0 and {high}")
        values.append(value)
    return values, offset


def _read_u16(data: bytes, offset: int) -> tuple[int, int]:
    (value,), offset = _read_run(data, offset, 1, 0xFFFF)
    return value, offset


def _read_endpoint(data: bytes, offset: int) -> tuple[Host, int, int]:
    host, offset = read_host(data, offset)
    port, offset = _read_u16(data, offset)
    return host, port, offset


def _write_endpoint(host: Host, port: int) -> bytes:
    return write_host(host) + write_ranged(port, 0, 0xFFFF)

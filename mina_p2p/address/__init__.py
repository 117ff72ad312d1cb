"""Addresses: hosts, the ways to dial a peer, and lists of peers.

=============  ==============================================================
`host`         `Host`, its text, its scope and the network it is counted in
`dial`         `DialAddress` and `SignalingMethod`, their texts and their order
`peer_list`    `parse_peer_list`
`errors`       `AddressError` and its reasons
=============  ==============================================================
"""

from __future__ import annotations

from mina_p2p.address.dial import (
    ADDRESS_TEXT_LENGTH_MAX,
    DialAddress,
    Libp2pAddress,
    QuicAddress,
    SignalingHttp,
    SignalingHttps,
    SignalingHttpsProxy,
    SignalingMethod,
    SignalingRelay,
    WebRtcAddress,
    address_key,
    dial_host,
    parse_address,
    parse_signaling,
)
from mina_p2p.address.errors import AddressError, AddressReason
from mina_p2p.address.host import (
    DOMAIN_LENGTH_MAX,
    Domain,
    Host,
    HostScope,
    Ip,
    Ipv4,
    Ipv6,
    address_group,
    carried_ip,
    host_key,
    host_scope,
    parse_host,
    parse_ip,
)
from mina_p2p.address.peer_list import PEER_LIST_LENGTH_MAX, PeerList, PeerListProblem, parse_peer_list

__all__ = [
    "ADDRESS_TEXT_LENGTH_MAX",
    "DOMAIN_LENGTH_MAX",
    "PEER_LIST_LENGTH_MAX",
    "AddressError",
    "AddressReason",
    "DialAddress",
    "Domain",
    "Host",
    "HostScope",
    "Ip",
    "Ipv4",
    "Ipv6",
    "Libp2pAddress",
    "PeerList",
    "PeerListProblem",
    "QuicAddress",
    "SignalingHttp",
    "SignalingHttps",
    "SignalingHttpsProxy",
    "SignalingMethod",
    "SignalingRelay",
    "WebRtcAddress",
    "address_group",
    "address_key",
    "carried_ip",
    "dial_host",
    "host_key",
    "host_scope",
    "parse_address",
    "parse_host",
    "parse_ip",
    "parse_peer_list",
    "parse_signaling",
]

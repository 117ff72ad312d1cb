"""`NodeConfig`: how a node is set up, what the reducers know of that, and the transports that follow from it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import attrs

from mina_p2p.address import DialAddress, Ip, Libp2pAddress
from mina_p2p.blocks.config import BlocksConfig
from mina_p2p.config import ALL_CHANNELS, Limits, P2pConfig, Timeouts
from mina_p2p.discovery.config import AddressGossipConfig
from mina_p2p.errors import CallerError
from mina_p2p.identity import ChainId
from mina_p2p.ids import ChannelId
from mina_p2p.libp2p.config import NetworkConfig
from mina_p2p.libp2p.protocols import PROTOCOLS
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.peer.config import PeerTableConfig
from mina_p2p.relay.config import RelayConfig
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.peers_file import KeptPeers, nothing_kept
from mina_p2p_effects.runtime import NetworkTransport
from mina_p2p_effects.transports.libp2p.config import Libp2pConfig
from mina_p2p_effects.transports.port import Transport
from mina_p2p_effects.transports.quic import QuicConfig, QuicTransport

PORT_MAX = 65535


@attrs.frozen(kw_only=True)
class NodeConfig:
    """How a node is set up. Everything but key and chain has a default that is fit for use."""

    secret_key: SecretKey
    """Who the node is; its peer id follows from it."""
    chain_id: ChainId
    """Which network it is of; see `MAINNET_CHAIN_ID` and `DEVNET_CHAIN_ID`."""
    host: str = "0.0.0.0"  # noqa: S104 - a node is there to be dialled
    """Address to bind for QUIC; ``::`` for IPv6 too."""
    port: int = 8302
    """UDP port; 0 for any."""
    external_hosts: tuple[Ip, ...] = ()
    """Where others reach this node, at the ports that are bound, if not at the addresses that are. Told on every transport."""
    initial_peers: tuple[DialAddress, ...] = ()
    """Peers to begin with, each with an address of a transport that is on; every other one is found through them."""
    peer_table: PeerTableConfig = attrs.field(factory=PeerTableConfig)
    """How the table of peers is bounded against an owner of many addresses; below. Its ``salt`` is drawn where there is none."""
    peers_file: Path | None = None
    """Where to keep what is known of peers over restarts, with the salt; it is read at the start and written from time to time and at
    the end. Nothing is kept by default."""
    limits: Limits = attrs.field(factory=Limits)
    """Bounds of every container and every message; below."""
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    """When every wait ends; below."""
    agent: str = "mina_p2p"
    """What peers are told of the program, at most 64 characters; for people."""
    seed: int | None = None
    """Decides the dice of the reducers; by default a fresh one. Not a secret: it is in the log."""
    is_discovery_enabled: bool = True
    """Whether to ask peers for more peers while there are too few."""
    address_gossip: AddressGossipConfig | None = None
    """Gossip addresses with peers that do, too, and how; not by default. Where it names no addresses of this node, those that it is
    bound to are told, unless it is bound to all."""
    blocks: BlocksConfig | None = attrs.field(factory=BlocksConfig)
    """Fetch blocks by header, outline and missing items from peers that do, too, and how; ``None``: whole ones from everybody.
    See `Node.give_header_verdict`."""
    are_introductions_taken: bool = False
    """Whether your program makes WebRTC connections from offers and answers; see `Node.give_offer` and `Node.give_answer`."""
    are_settled_items_dropped: bool = True
    """Whether what a new best tip contains or outdates leaves the pools by itself; `PoolItemsDropped` tells."""
    are_private_addresses_allowed: bool = False
    """Whether peers may name addresses that are not global, and names lead to such; for networks of one's own."""
    record_to: Path | None = None
    """Where to write the action log; nothing by default."""
    record_rotate_bytes: int | None = None
    """Begin another file once the log has so many bytes, ``node.000001.log`` after ``node.log``; each replays by itself."""
    record_rotate_after_s: float | None = None
    """The same once the file covers so many seconds."""
    check_every: int | None = 10_000
    """After how many inputs the whole state is checked against its invariants; a violation stops the node as any bug of ours does.
    It takes some milliseconds with a hundred peers. ``None`` never checks."""
    traffic_every_s: float | None = None
    """How often to report what the transports have counted, as a notification; never by default. `Node.traffic` tells it at any time."""
    quic: QuicConfig | None = attrs.field(factory=QuicConfig)
    """The QUIC transport; below. ``None``: no pull connections at all, for a node of libp2p alone."""
    libp2p: NetworkConfig | None = None
    """Take part in the network of OCaml nodes, and how; not by default. It has the node's peer id and chain id; addresses of
    ``initial_peers`` that are libp2p's, the dice, and a permission of private addresses are added to it. Needs the extra ``libp2p``."""
    libp2p_listen: tuple[str, int] | None = ("0.0.0.0", 8302)  # noqa: S104 - a node is there to be dialled
    """Address and TCP port to bind for libp2p; 0 for any. ``None``: only dial."""
    relay: RelayConfig = attrs.field(factory=RelayConfig)
    """Where both networks meet: which gossip counts as pulled, and what of the pulled is gossiped."""
    libp2p_transport: Libp2pConfig = attrs.field(factory=Libp2pConfig)
    """The libp2p transport: limits and time-outs of its connections."""
    transport: Transport | None = None
    """Instead of QUIC, for tests: see `mina_p2p_effects.transports.memory`."""

    def __attrs_post_init__(self) -> None:
        """Refuse what would fail later, or in a worse place.

        :raises CallerError: for a setting that can not be meant.
        """
        if not 0 <= self.port <= PORT_MAX:
            raise CallerError(f"port {self.port} is none: 0 to {PORT_MAX}")
        if self.check_every is not None and self.check_every < 1:
            raise CallerError(f"check_every is {self.check_every}; it has to be at least 1, or None")
        if self.record_rotate_bytes is not None and self.record_rotate_bytes < 1:
            raise CallerError(f"record_rotate_bytes is {self.record_rotate_bytes}; it has to be at least 1, or None")
        if self.record_rotate_after_s is not None and not self.record_rotate_after_s > 0:
            raise CallerError(f"record_rotate_after_s is {self.record_rotate_after_s}; it has to be more than 0, or None")
        if self.traffic_every_s is not None and not self.traffic_every_s > 0:
            raise CallerError(f"traffic_every_s is {self.traffic_every_s}; it has to be more than 0, or None")
        if self.libp2p_listen is not None and not 0 <= self.libp2p_listen[1] <= PORT_MAX:
            raise CallerError(f"libp2p_listen: port {self.libp2p_listen[1]} is none: 0 to {PORT_MAX}")
        if self.libp2p is not None and (self.libp2p.peer_id, self.libp2p.chain_id) != (self.secret_key.peer_id, self.chain_id):
            raise CallerError("libp2p has another peer_id or chain_id than the node; make it with secret_key.peer_id and chain_id")
        for address in self.initial_peers:
            self.require_dialable(address)

    @property
    def has_pull_transport(self) -> bool:
        """Whether there are pull connections."""
        return self.quic is not None or self.transport is not None

    def require_dialable(self, address: object) -> None:
        """Refuse what no transport of this node could dial.

        A text in place of an address would be taken by the reducers for a bug of their own, and the node would end.

        :raises CallerError: with what to change.
        """
        if not isinstance(address, DialAddress):
            raise CallerError(f"{address!r:.100} is no address; mina_p2p.address.parse_address makes one of a text")
        if isinstance(address, Libp2pAddress) and self.libp2p is None:
            raise CallerError(f"{address} is an address of libp2p, which is off: set NodeConfig.libp2p")
        if not isinstance(address, Libp2pAddress) and not self.has_pull_transport:
            raise CallerError(f"{address} is no address of libp2p, and NodeConfig.quic is off")

    def p2p_config(self, kept: KeptPeers | None = None) -> P2pConfig:
        """What of this the reducers know.

        :param kept: what the peers file holds, where there is one.
        """
        if kept is None:
            # With dice that are given, a run is the same again; the salt then follows from them.
            kept = nothing_kept() if self.seed is None else KeptPeers(None, (), 0)
        settings: dict[str, Any] = {} if self.transport is None else {"transport": self.transport.kind}
        channels: list[ChannelId] = list(ALL_CHANNELS)
        seed = secrets.randbits(64) if self.seed is None else self.seed
        if self.libp2p is not None:
            settings["libp2p"] = self.libp2p.replace(
                seed=seed,
                initial_peers=(*self.libp2p.initial_peers, *(one for one in self.initial_peers if isinstance(one, Libp2pAddress))),
                are_private_addresses_allowed=self.are_private_addresses_allowed or self.libp2p.are_private_addresses_allowed,
            )
        if self.address_gossip is not None:
            last = max(self.address_gossip.last_issued_at, kept.last_issued_at)
            settings["address_gossip"] = self.address_gossip.replace(last_issued_at=last)
            channels.append(ChannelId.ADDRESS_GOSSIP)
        if self.blocks is not None:
            settings["blocks"] = self.blocks
            channels.append(ChannelId.BLOCK)
        return P2pConfig(
            self.secret_key.peer_id,
            self.chain_id,
            seed=seed,
            agent=self.agent,
            initial_peers=tuple(one for one in self.initial_peers if not isinstance(one, Libp2pAddress)),
            peer_table=self.peer_table.replace(salt=self.peer_table.salt or kept.salt, remembered=self.peer_table.remembered or kept.peers),
            limits=self.limits,
            timeouts=self.timeouts,
            is_discovery_enabled=self.is_discovery_enabled,
            are_introductions_taken=self.are_introductions_taken,
            are_settled_items_dropped=self.are_settled_items_dropped,
            are_private_addresses_allowed=self.are_private_addresses_allowed,
            channels=tuple(channels),
            relay=self.relay,
            **settings,
        )


def pull_transports(config: NodeConfig) -> list[Transport]:
    """What carries the pull connections."""
    if config.transport is not None:
        return [config.transport]
    if config.quic is None:
        return []
    quic = config.quic.replace(are_private_addresses_dialled=True) if config.are_private_addresses_allowed else config.quic
    return [QuicTransport(config.secret_key, config.chain_id, config.host, config.port, quic)]


def network_transport(config: NodeConfig, network: NetworkState | None) -> NetworkTransport | None:
    """What carries libp2p's part, where there is one.

    :raises CallerError: where the extra ``libp2p`` is missing.
    """
    if network is None:
        return None
    from mina_p2p_effects.transports.libp2p.transport import Libp2pTransport  # noqa: PLC0415 - only where it is asked for

    host, port = (None, 0) if config.libp2p_listen is None else config.libp2p_listen
    settings = config.libp2p_transport
    if config.are_private_addresses_allowed:
        settings = settings.replace(are_private_addresses_dialled=True)
    return Libp2pTransport(
        config.secret_key,
        [PROTOCOLS[name] for name in network.protocols],
        network_key=config.chain_id.libp2p_network_key,
        host=host,
        port=port,
        external=config.external_hosts,
        config=settings,
    )

"""What the options of ``mina-p2p node`` mean. Reads files; opens nothing else."""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import attrs

from mina_p2p.address import AddressError, DialAddress, Ip, Libp2pAddress, parse_address, parse_ip
from mina_p2p.config import Limits
from mina_p2p.discovery.config import AddressGossipConfig
from mina_p2p.errors import CallerError
from mina_p2p.identity import DEVNET_CHAIN_ID, MAINNET_CHAIN_ID, ChainId, IdentityError, PeerId
from mina_p2p.ids import SECOND
from mina_p2p.libp2p.config import GossipsubConfig, NetworkConfig
from mina_p2p.libp2p.gating import GatingConfig
from mina_p2p_effects.cli.arguments import PORT_MAX, shortened, whole_or_none
from mina_p2p_effects.cli.node.peers import PeerSources
from mina_p2p_effects.cli.password import operators_password
from mina_p2p_effects.keyfile import load_key
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.quic import QuicConfig

PORT_DEFAULT: Final = 8302
TRANSPORTS: Final = ("both", "quic", "libp2p")
LIBP2P: Final = NetworkConfig(PeerId(bytes(32)), MAINNET_CHAIN_ID)
"""The usual numbers of libp2p."""
GOSSIP: Final = GossipsubConfig()
"""Those of its gossip."""
NETWORKS: Final = {"mainnet": MAINNET_CHAIN_ID, "devnet": DEVNET_CHAIN_ID}
_NETWORK_FILE_BYTES_MAX: Final = 64 * 1024
_CHAIN_ID_DIGITS: Final = 64


@attrs.frozen(kw_only=True)
class Settings:
    """One node, as its operator wants it."""

    secret_key: SecretKey
    is_key_kept: bool
    """Whether the key comes from a file, so that the node is the same one after a restart."""
    network: str
    """For people: a name, or the beginning of the chain id."""
    chain_id: ChainId
    notes: tuple[str, ...]
    """What the operator should know of these settings."""
    host: str
    port: int
    libp2p_listen: tuple[str, int]
    external: tuple[Ip, ...]
    """Where others reach this node, if that is not where it listens."""
    sources: PeerSources
    is_seed: bool
    peers_file: Path | None
    """Where what is known of peers outlives a restart."""
    limits: Limits
    is_discovery_enabled: bool
    address_gossip: AddressGossipConfig | None
    are_private_addresses_allowed: bool
    random_seed: int | None
    log_dir: Path | None
    log_rotate_mb: int
    log_rotate_hours: int | None
    quic: QuicConfig | None
    """``None``: no pull connections."""
    libp2p: NetworkConfig | None
    """``None``: nothing of libp2p."""
    is_everything_valid: bool
    is_status_told: bool
    """Whether peers of libp2p's network that ask are told what this node is doing."""


def read_settings(arguments: argparse.Namespace) -> Settings:
    """Check the options and read the files they name.

    :raises CallerError: with what to change.
    :raises KeyFileError: where the key can not be read.
    :raises OSError: where another file can not be read.
    """
    network, chain_id = read_network(arguments.network)
    host, port = _listen(arguments)
    sources = PeerSources(tuple(_address(text) for text in arguments.peer), arguments.peer_list_file, arguments.peer_list_url)
    if (
        sources.is_empty
        and not arguments.direct_peer
        and not arguments.seed
        and not (arguments.peers_file is not None and arguments.peers_file.exists())
    ):
        raise CallerError(
            "nobody to connect to: give --peer, --peer-list-file or --peer-list-url; or --seed for a node that others come to"
        )
    most = Limits().peers_max if arguments.max_connections is None else arguments.max_connections
    least = min(most, Limits().peers_min) if arguments.min_connections is None else arguments.min_connections
    try:
        limits = Limits(peers_max=most, peers_min=least, known_peers_max=max(most, Limits().known_peers_max))
    except ValueError as error:
        raise CallerError(str(error)) from None
    if least > most:
        raise CallerError(f"--min-connections {least} is over --max-connections {most}")
    private: bool = arguments.allow_private_addresses
    key_source: str | None = arguments.libp2p_keypair
    secret_key = SecretKey.generate() if key_source is None else load_key(key_source, operators_password)
    transport, notes = _transport(arguments.transport, arguments.libp2p_listen)
    quic = QuicConfig(
        connections_max=max(QuicConfig().connections_max, 2 * most), are_private_addresses_dialled=private, qlog_dir=arguments.qlog
    )
    return Settings(
        secret_key=secret_key,
        notes=notes,
        is_key_kept=key_source is not None,
        network=network,
        chain_id=chain_id,
        host=host,
        port=port,
        libp2p_listen=(host, port) if arguments.libp2p_listen is None else parse_listen(arguments.libp2p_listen, is_libp2p=True),
        external=tuple(_ip(text) for text in arguments.external_ip),
        sources=sources,
        is_seed=arguments.seed,
        peers_file=arguments.peers_file,
        limits=limits,
        is_discovery_enabled=not arguments.no_peers_discovery,
        address_gossip=_address_gossip(arguments.address_gossip, is_strict=arguments.strict_address_gossip),
        are_private_addresses_allowed=private,
        random_seed=arguments.random_seed,
        log_dir=arguments.log,
        log_rotate_mb=arguments.log_rotate_mb,
        log_rotate_hours=arguments.log_rotate_hours,
        quic=None if transport == "libp2p" else quic,
        libp2p=None if transport == "quic" else _libp2p(arguments, secret_key, chain_id),
        is_everything_valid=arguments.verdict == "accept",
        is_status_told=not arguments.disable_node_status,
    )


def read_network(text: str) -> tuple[str, ChainId]:
    """A name, a chain id, or a file that holds a chain id: as 64 hex digits, or as ``chain_id`` of a JSON object.

    :returns: what to call it, and the chain id.
    :raises CallerError: where it is none of these.
    :raises OSError: where the file can not be read.
    """
    if text in NETWORKS:
        return text, NETWORKS[text]
    if len(text) == _CHAIN_ID_DIGITS and "." not in text and "/" not in text:
        return text[:12], _chain_id(text, text)
    path = Path(text)
    try:
        with path.open("rb") as file:
            content = file.read(_NETWORK_FILE_BYTES_MAX).decode("utf-8").strip()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise CallerError(f"{path} is no text; it should hold a chain id of 64 hex digits") from None
        raise CallerError(
            f"{shortened(text)!a} is no network: give {', '.join(NETWORKS)}, a chain id of 64 hex digits, or a file with one"
        ) from None
    if not content.startswith("{"):
        return path.stem, _chain_id(content, text)
    try:
        fields: Any = json.loads(content)
    except (ValueError, RecursionError):
        raise CallerError(f"{path} begins as JSON and is none") from None
    return str(fields.get("name", path.stem)), _chain_id(fields.get("chain_id"), text)


def _transport(wanted: str | None, libp2p_listen: str | None) -> tuple[str, tuple[str, ...]]:
    """What carries connections, and what to say of it.

    :raises CallerError: where options contradict each other, or the extra ``libp2p`` is asked for and missing.
    """
    if wanted == "quic" and libp2p_listen is not None:
        raise CallerError("--libp2p-listen has no use with --transport quic")
    if wanted == "quic" or find_spec("Crypto") is not None:
        return wanted or "both", ()
    missing = "libp2p needs the extra `libp2p`: pip install 'mina-p2p[libp2p]'"
    if wanted is not None or libp2p_listen is not None:
        raise CallerError(missing)
    return "quic", (f"OCaml nodes are out of reach, because {missing}",)


def _libp2p(arguments: argparse.Namespace, secret_key: SecretKey, chain_id: ChainId) -> NetworkConfig:
    """How this node takes part in libp2p's network: the helper's numbers where nothing else is said.

    :raises CallerError: for a number or a list that is too large.
    """
    most = LIBP2P.connections_max if arguments.max_connections is None else arguments.max_connections
    least = min(most, LIBP2P.connections_min) if arguments.min_connections is None else arguments.min_connections
    try:
        return NetworkConfig(
            secret_key.peer_id,
            chain_id,
            connections_min=least,
            connections_max=most,
            connections_hard_max=max(LIBP2P.connections_hard_max, 2 * most),
            is_discovery_enabled=not arguments.no_peers_discovery,
            gating=GatingConfig(is_isolated=arguments.isolate_network),
            direct_peers=tuple(_direct_peer(text) for text in arguments.direct_peer),
            protected_percent=arguments.peer_protection_rate,
            gossipsub=GOSSIP.replace(
                is_peer_exchange_enabled=arguments.enable_peer_exchange == "true",
                is_flooding=arguments.enable_flooding == "true",
                validations_max=arguments.validation_queue_size,
            ),
        )
    except ValueError as error:
        raise CallerError(str(error)) from None


def _listen(arguments: argparse.Namespace) -> tuple[str, int]:
    """Where to listen: as one text, or in the two parts of OCaml's flags.

    :raises CallerError: where it is said in both ways, or the address is not numeric.
    """
    ip, port = arguments.bind_ip, arguments.external_port
    if arguments.listen is None:
        host = "0.0.0.0" if ip is None else str(_ip(ip).plain)  # noqa: S104 - a node is there to be dialled
        return host, PORT_DEFAULT if port is None else port
    if ip is not None or port is not None:
        raise CallerError("--bind-ip and --external-port are the two parts of --listen; give that or them")
    return parse_listen(arguments.listen)


def parse_listen(text: str, *, is_libp2p: bool = False) -> tuple[str, int]:
    """``HOST:PORT``, ``[IPV6]:PORT``, ``PORT`` or ``HOST``; or a multiaddress without a peer id: ``/ip4/HOST/udp/PORT/quic-v1``,
    for libp2p ``/ip4/HOST/tcp/PORT``.

    :raises CallerError: where it is none of these, with an address that is not numeric.
    """
    option = "--libp2p-listen" if is_libp2p else "--listen"
    if text.startswith("/"):
        match text.split("/")[1:]:
            case ("ip4" | "ip6", host, "udp", port, "quic-v1") if not is_libp2p:
                text = f"[{host}]:{port}"
            case ("ip4" | "ip6", host, "tcp", port) if is_libp2p:
                text = f"[{host}]:{port}"
            case _:
                form = "/ip4/HOST/tcp/PORT" if is_libp2p else "/ip4/HOST/udp/PORT/quic-v1"
                raise CallerError(f"{option} {shortened(text)!a}: the form is {form}")
    host, colon, port = text.rpartition(":")
    if text.isdecimal():
        host, port = "0.0.0.0", text  # noqa: S104 - a node is there to be dialled
    elif not colon or text.endswith("]") or (text.count(":") > 1 and not text.startswith("[")):
        host, port = text, str(PORT_DEFAULT)
    host = host.removeprefix("[").removesuffix("]")
    number = whole_or_none(port)
    if number is None or not 0 <= number <= PORT_MAX:
        raise CallerError(f"{option} {shortened(text)!a}: no port up to {PORT_MAX}")
    return str(_ip(host).plain), number


def _address_gossip(every_s: int | None, *, is_strict: bool) -> AddressGossipConfig | None:
    """How addresses are gossiped, if they are; whatever else happens at intervals keeps up with a short one."""
    if every_s is None:
        if is_strict:
            raise CallerError("--strict-address-gossip says how addresses are gossiped; give it with --address-gossip")
        return None
    usual, interval = AddressGossipConfig(), every_s * SECOND
    return usual.replace(
        is_strict=is_strict,
        interval=interval,
        first_after=min(usual.first_after, interval),
        issue_pause=min(usual.issue_pause, interval),
    )


def _ip(text: str) -> Ip:
    try:
        return parse_ip(text)
    except AddressError as error:
        raise CallerError(f"{shortened(text)!a} is no numeric IP address: {error.detail}") from None


def _address(text: str) -> DialAddress:
    try:
        return parse_address(text)
    except AddressError as error:
        raise CallerError(f"--peer {text!a}: {error.detail}") from None


def _direct_peer(text: str) -> Libp2pAddress:
    try:
        address = parse_address(text)
    except AddressError as error:
        raise CallerError(f"--direct-peer {text!a}: {error.detail}") from None
    if not isinstance(address, Libp2pAddress):
        raise CallerError(f"--direct-peer {text!a}: the form is /ip4/HOST/tcp/PORT/p2p/PEER_ID")
    return address


def _chain_id(value: object, source: str) -> ChainId:
    try:
        return ChainId.parse(value if isinstance(value, str) else "")
    except IdentityError:
        raise CallerError(f"--network {source!a}: a chain id is 64 hex digits") from None

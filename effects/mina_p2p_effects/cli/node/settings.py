"""What the options of ``mina-p2p node`` mean. Reads files; opens nothing else."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

import attrs

from mina_p2p.address import AddressError, DialAddress, Ip, parse_address, parse_ip
from mina_p2p.config import Limits
from mina_p2p.errors import CallerError
from mina_p2p.identity import DEVNET_CHAIN_ID, MAINNET_CHAIN_ID, ChainId, IdentityError
from mina_p2p_effects.cli.arguments import PORT_MAX, shortened, whole_or_none
from mina_p2p_effects.cli.node.peers import PeerSources
from mina_p2p_effects.cli.password import operators_password
from mina_p2p_effects.keyfile import load_key
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.quic import QuicConfig

PORT_DEFAULT: Final = 8302
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
    host: str
    port: int
    external: tuple[Ip, ...]
    """Where others reach this node, if that is not where it listens."""
    sources: PeerSources
    is_seed: bool
    limits: Limits
    is_discovery_enabled: bool
    are_private_addresses_allowed: bool
    random_seed: int | None
    log_dir: Path | None
    quic: QuicConfig
    is_everything_valid: bool


def read_settings(arguments: argparse.Namespace) -> Settings:
    """Check the options and read the files they name.

    :raises CallerError: with what to change.
    :raises KeyFileError: where the key can not be read.
    :raises OSError: where another file can not be read.
    """
    network, chain_id = read_network(arguments.network)
    host, port = parse_listen(arguments.listen)
    sources = PeerSources(tuple(_address(text) for text in arguments.peer), arguments.peer_list_file, arguments.peer_list_url)
    if sources.is_empty and not arguments.seed:
        raise CallerError(
            "nobody to connect to: give --peer, --peer-list-file or --peer-list-url; or --seed for a node that others come to"
        )
    most, least = arguments.max_connections, arguments.min_connections
    if least is None:
        least = min(most, Limits().peers_min)
    try:
        limits = Limits(peers_max=most, peers_min=least, known_peers_max=max(most, Limits().known_peers_max))
    except ValueError as error:
        raise CallerError(str(error)) from None
    if least > most:
        raise CallerError(f"--min-connections {least} is over --max-connections {most}")
    private: bool = arguments.allow_private_addresses
    key_source: str | None = arguments.libp2p_keypair
    return Settings(
        secret_key=SecretKey.generate() if key_source is None else load_key(key_source, operators_password),
        is_key_kept=key_source is not None,
        network=network,
        chain_id=chain_id,
        host=host,
        port=port,
        external=tuple(_ip(text) for text in arguments.external_ip),
        sources=sources,
        is_seed=arguments.seed,
        limits=limits,
        is_discovery_enabled=not arguments.no_peers_discovery,
        are_private_addresses_allowed=private,
        random_seed=arguments.random_seed,
        log_dir=arguments.log,
        quic=QuicConfig(
            connections_max=max(QuicConfig().connections_max, 2 * most), are_private_addresses_dialled=private, qlog_dir=arguments.qlog
        ),
        is_everything_valid=arguments.verdict == "accept",
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


def parse_listen(text: str) -> tuple[str, int]:
    """``HOST:PORT``, ``[IPV6]:PORT``, ``PORT`` or ``HOST``.

    :raises CallerError: where it is none of these, with an address that is not numeric.
    """
    host, colon, port = text.rpartition(":")
    if text.isdecimal():
        host, port = "0.0.0.0", text  # noqa: S104 - a node is there to be dialled
    elif not colon or text.endswith("]") or (text.count(":") > 1 and not text.startswith("[")):
        host, port = text, str(PORT_DEFAULT)
    host = host.removeprefix("[").removesuffix("]")
    number = whole_or_none(port)
    if number is None or not 0 <= number <= PORT_MAX:
        raise CallerError(f"--listen {shortened(text)!a}: no port up to {PORT_MAX}")
    return str(_ip(host).plain), number


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


def _chain_id(value: object, source: str) -> ChainId:
    try:
        return ChainId.parse(value if isinstance(value, str) else "")
    except IdentityError:
        raise CallerError(f"--network {source!a}: a chain id is 64 hex digits") from None

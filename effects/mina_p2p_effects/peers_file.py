"""The peers file: what a node keeps of its peers over restarts (`mina_p2p.peer.memory`).

JSON, a version, readable by its owner alone: who knows the salt can aim at a bucket of the peer table. It is written beside its
place and moved there, so that a crash leaves the old one or the new one. What is in it was told by others once, so that it is
read like anything from outside: bounded, checked, and a node starts without it where it is broken.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated, Final

import msgspec

from mina_p2p.address import AddressError, DialAddress, Libp2pAddress, parse_address
from mina_p2p.errors import MinaP2pError
from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.libp2p.memory import REMEMBERED_MAX as ADDRESSES_MAX
from mina_p2p.libp2p.memory import remembered_addresses
from mina_p2p.peer.config import REMEMBERED_MAX, SALT_LENGTH, RememberedPeer
from mina_p2p.peer.memory import remembered
from mina_p2p.peer.state import PeerSource
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState

FILE_NAME: Final = "peers.json"
VERSION: Final = 1
BYTES_MAX: Final = 16 << 20
TOLD_IN_CHARS_MAX: Final = 255
YEAR_MAX_S: Final = 1 << 33


_Seconds = Annotated[int, msgspec.Meta(ge=0, lt=YEAR_MAX_S)]


class _Entry(msgspec.Struct, omit_defaults=True):
    address: str
    source: str
    told_in: Annotated[str, msgspec.Meta(max_length=TOLD_IN_CHARS_MAX)] = ""
    tried: bool = False
    anchor: bool = False
    last_success: _Seconds | None = None


class _Document(msgspec.Struct):
    version: int
    salt: str
    peers: Annotated[list[_Entry], msgspec.Meta(max_length=REMEMBERED_MAX)]
    last_issued_at: _Seconds = 0
    libp2p: Annotated[list[str], msgspec.Meta(max_length=ADDRESSES_MAX)] = []


class PeersFileError(MinaP2pError):
    """A peers file that can not be read; the message says what to do."""


@record
class KeptPeers(Record):
    """What a peers file holds."""

    salt: bytes | None
    """``None`` only where nothing is kept: the one that follows from the node's dice."""
    peers: tuple[RememberedPeer, ...]
    last_issued_at: int
    """Date of this node's last record in address gossip, in seconds; 0 where there was none."""
    libp2p: tuple[Libp2pAddress, ...] = ()
    """Peers of libp2p's network, to be dialled once at the start."""


def nothing_kept() -> KeptPeers:
    """For a node that starts for the first time: a salt of its own, and nobody."""
    return KeptPeers(secrets.token_bytes(SALT_LENGTH), (), 0)


def kept_of(state: P2pState) -> KeptPeers:
    """What to keep of a node."""
    known = () if state.network is None else remembered_addresses(state.network)
    return KeptPeers(state.peers.shape.salt, remembered(state), state.address_gossip.own.last_issued_at, known)


def read_peers_file(path: Path) -> KeptPeers:
    """Read a peers file.

    :raises PeersFileError: where it is none, or broken.
    :raises OSError: where it can not be opened.
    """
    with path.open("rb") as file:
        data = file.read(BYTES_MAX + 1)
    if len(data) > BYTES_MAX:
        raise PeersFileError(f"{path} is no peers file: it is over {BYTES_MAX} bytes")
    try:
        return _kept(msgspec.json.decode(data, type=_Document))
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise PeersFileError(f"{path} is no peers file: {error}; remove it, and the node begins a new one") from None


def write_peers_file(path: Path, kept: KeptPeers) -> None:
    """Write a peers file in the place of what was there.

    :raises OSError: where it can not be written.
    """
    salt = kept.salt or secrets.token_bytes(SALT_LENGTH)
    document = _Document(VERSION, salt.hex(), list(map(_entry, kept.peers)), kept.last_issued_at, list(map(str, kept.libp2p)))
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(document), indent=1))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def _entry(peer: RememberedPeer) -> _Entry:
    last = None if peer.last_success is None else peer.last_success // SECOND
    return _Entry(str(peer.address), peer.source.name.lower(), peer.told_in, peer.is_tried, peer.is_anchor, last)


def _kept(document: _Document) -> KeptPeers:
    salt = bytes.fromhex(document.salt)
    if document.version != VERSION:
        raise ValueError(f"its version is {document.version}, not {VERSION}")
    if len(salt) != SALT_LENGTH:
        raise ValueError(f"its salt has {len(salt)} bytes, not {SALT_LENGTH}")
    known = map(_address, document.libp2p)
    return KeptPeers(
        salt,
        tuple(map(_peer, document.peers)),
        document.last_issued_at,
        tuple(address for address in known if isinstance(address, Libp2pAddress)),
    )


def _address(text: str) -> DialAddress:
    try:
        return parse_address(text)
    except AddressError as error:
        raise ValueError(f"{text!a:.100} is no address: {error}") from None


def _peer(entry: _Entry) -> RememberedPeer:
    address = _address(entry.address)
    name = entry.source.upper()
    if name not in PeerSource.__members__:
        raise ValueError(f"{name!a:.30} is no source of peers")
    last = None if entry.last_success is None else Timestamp(entry.last_success * SECOND)
    return RememberedPeer(address, PeerSource[name], entry.told_in, entry.tried, entry.anchor, last)

"""What a node keeps of its peers over restarts, in a file."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slices.lab import address

from mina_p2p.address import Libp2pAddress
from mina_p2p.config import Limits
from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.libp2p.memory import REMEMBERED_MAX
from mina_p2p.notifications import PeerConnected
from mina_p2p.peer.config import RememberedPeer
from mina_p2p.peer.state import PeerSource
from mina_p2p_effects.peers_file import KeptPeers, PeersFileError, read_peers_file, write_peers_file
from node.nodes import first, make_quic, run

KEPT = KeptPeers(
    bytes(range(16)),
    (
        RememberedPeer(address(1), PeerSource.REFERRAL, "20.1.0.0/16", is_tried=True, is_anchor=True, last_success=Timestamp(9 * SECOND)),
        RememberedPeer(address(2), PeerSource.KADEMLIA),
    ),
    1_760_000_000,
    (Libp2pAddress(address(3).peer_id, address(3).host, 8302),),
)


def test_a_file_holds_what_was_kept(tmp_path: Path) -> None:
    """For its owner alone, since it has the salt; nothing is left beside it."""
    path = tmp_path / "peers.json"
    write_peers_file(path, KEPT)
    assert read_peers_file(path) == KEPT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_peers_file(path, KEPT.replace(peers=()))
    assert read_peers_file(path).peers == ()
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    """And nothing half written."""
    path = tmp_path / "peers.json"
    path.mkdir()
    with pytest.raises(OSError, match=r"peers\.json"):
        write_peers_file(path, KEPT)
    assert list(tmp_path.iterdir()) == [path]


def _good() -> dict[str, Any]:
    entry = {"address": str(address(1)), "source": "referral", "told_in": "20.1.0.0/16", "tried": True, "last_success": 9}
    return {"version": 1, "salt": "00" * 16, "last_issued_at": 5, "peers": [entry]}


BROKEN: dict[str, Any] = {
    "not an object": [],
    "an address of libp2p that is none": {**_good(), "libp2p": ["nonsense"]},
    "too many addresses of libp2p": {**_good(), "libp2p": [str(address(1))] * (REMEMBERED_MAX + 1)},
    "another version": {**_good(), "version": 2},
    "no salt": {**_good(), "salt": None},
    "a salt that is no hex": {**_good(), "salt": "zz" * 16},
    "a short salt": {**_good(), "salt": "00"},
    "a date that is none": {**_good(), "last_issued_at": "yesterday"},
    "a date before all": {**_good(), "last_issued_at": -1},
    "peers that are no list": {**_good(), "peers": {}},
    "too many peers": {**_good(), "peers": [{}] * 5_000},
    "a peer that is no object": {**_good(), "peers": ["x"]},
    "no address": {**_good(), "peers": [{"source": "referral"}]},
    "an address that is none": {**_good(), "peers": [{"address": "here", "source": "referral"}]},
    "a source that is none": {**_good(), "peers": [{**_good()["peers"][0], "source": "heaven"}]},
    "a long network": {**_good(), "peers": [{**_good()["peers"][0], "told_in": "x" * 300}]},
    "tried that is none": {**_good(), "peers": [{**_good()["peers"][0], "tried": 1}]},
    "a success in the year 400 000": {**_good(), "peers": [{**_good()["peers"][0], "last_success": 1 << 50}]},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named(tmp_path: Path, name: str) -> None:
    """The one declared error says which file and what to do."""
    path = tmp_path / "peers.json"
    path.write_text(json.dumps(_good()))
    assert len(read_peers_file(path).peers) == 1
    path.write_text(json.dumps(BROKEN[name]))
    with pytest.raises(PeersFileError, match=r"peers\.json is no peers file: .*; remove it"):
        read_peers_file(path)


@given(st.binary(max_size=300) | st.text(alphabet='{}[]":,0a', max_size=60).map(str.encode) | st.just(b"[" * 100_000))
def test_any_bytes_are_a_file_or_the_declared_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Nothing else, however deep or odd."""
    path = tmp_path_factory.mktemp("peers") / "peers.json"
    path.write_bytes(data)
    with pytest.raises(PeersFileError):
        read_peers_file(path)


def test_a_node_finds_its_peers_again(tmp_path: Path) -> None:
    """The second run is told nobody, and dials the connection that the first had when it ended."""
    path = tmp_path / "peers.json"
    settings: dict[str, Any] = {"peers_file": path, "are_private_addresses_allowed": True, "limits": Limits(peers_min=2)}

    async def main() -> None:
        async with make_quic(1) as other:
            async with make_quic(2, **settings) as node:
                await node.connect(other.addresses[0])
                salt = node.state.peers.shape.salt
            kept = read_peers_file(path)
            assert [peer.address for peer in kept.peers if peer.is_anchor] == other.addresses
            async with make_quic(2, **settings) as again:
                connected = await first(again, PeerConnected)
                assert (connected.peer_id, connected.is_incoming) == (other.peer_id, False)
                assert again.state.peers.shape.salt == salt == kept.salt

    run(main())


def test_a_node_starts_without_a_broken_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It says so, and writes a good one."""
    path = tmp_path / "peers.json"
    path.write_text("broken")

    async def main() -> None:
        async with make_quic(1, peers_file=path):
            pass

    run(main())
    assert "is no peers file" in caplog.text
    assert read_peers_file(path).peers == ()


def test_a_node_without_a_file_keeps_nothing_and_has_a_salt_of_its_own() -> None:
    """Two of the same seed share dice and salt, since their runs are to be the same; others do not."""
    one, two, three = (make_quic(1, seed=seed) for seed in (5, 5, None))
    assert one.state.peers.shape == two.state.peers.shape != three.state.peers.shape

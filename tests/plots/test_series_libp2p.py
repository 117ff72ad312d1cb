"""What is read out of the log of a libp2p node, against its states and its frames."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("Crypto", reason="pycryptodome is not installed; it comes with the extra `libp2p`")

from node.nodes import run
from support.network import network_node

from mina_p2p.libp2p.links import Linked
from mina_p2p.libp2p.transport import Libp2pEffectfulSend, Libp2pStreamMessageReceived
from mina_p2p_effects.logs import open_session
from mina_p2p_effects.plots.series import FRAME_HEADER_BYTES, protocol_name, read_series


def test_peers_and_bytes_of_a_libp2p_node(tmp_path: Path) -> None:
    """Connections are those of the states; every message is counted under the name of its protocol."""

    async def main() -> None:
        recorded = {"record_to": tmp_path / "one.log"}
        async with network_node(1) as seed, network_node(2, seed.dial_address, settings=recorded) as one:
            await one.until(lambda: len(one.network.kademlia.table) == 1)

    run(main())
    with open_session(tmp_path / "one.log") as session:
        one = read_series(session)
        for i, (time, count) in enumerate(one.peers):
            if i + 1 == len(one.peers) or one.peers[i + 1][0] > time:
                state = session.state_at(session.position_at(time + 1) - 1)
                links = state.network.links.table.values()
                assert count == sum(isinstance(link, Linked) and not link.is_ending for link in links)
        actions = [session.content(position) for position in range(session.count)]
    assert max(count for _, count in one.peers) == 1
    assert {"ipfs id", "coda kad"} <= one.bytes_in.keys() & one.bytes_out.keys()
    for counts, kind in ((one.bytes_in, Libp2pStreamMessageReceived), (one.bytes_out, Libp2pEffectfulSend)):
        sizes = [FRAME_HEADER_BYTES + len(action.data) for action in actions if isinstance(action, kind)]
        assert sum(map(sum, counts.values())) == sum(sizes) > 0


@pytest.mark.parametrize(
    ("protocol", "name"),
    [("/ipfs/id/1.0.0", "ipfs id"), ("/meshsub/1.1.0", "meshsub"), ("coda/rpcs/0.0.1", "coda rpcs"), ("x", "x"), ("", "")],
)
def test_protocols_are_called_without_their_versions(protocol: str, name: str) -> None:
    """As a legend wants them."""
    assert protocol_name(protocol) == name

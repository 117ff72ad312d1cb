"""The messages of libp2p tie the logs of two nodes together as frames of the pull protocol do."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("Crypto", reason="pycryptodome is not installed; it comes with the extra `libp2p`")

from node.nodes import run
from support.network import network_node

from mina_p2p.ids import ChannelId, ConnectionId, StreamId
from mina_p2p.libp2p.transport import Libp2pConnectionOpened, Libp2pStreamMessageReceived
from mina_p2p.state import P2pState
from mina_p2p.testing.catalog import OTHERS
from mina_p2p.transport import ChannelsStreamEnded, ConnectionEstablished, SocketAddress
from mina_p2p_effects.logs import Query, open_session, search
from mina_p2p_effects.logs.exports.jsonl import rows
from mina_p2p_effects.logs.merge import links, merged, messages
from mina_p2p_effects.logs.peers import Peers


def test_messages_of_libp2p_tie_logs_together(tmp_path: Path) -> None:
    """Each that one node received was sent by the other before, with the same bytes; a peer's actions are found by its id."""

    async def main() -> None:
        recorded = [{"record_to": tmp_path / f"{number}.log"} for number in (1, 2)]
        async with network_node(1, settings=recorded[0]) as seed, network_node(2, seed.dial_address, settings=recorded[1]) as one:
            await one.until(lambda: len(one.network.kademlia.table) == 1)

    run(main())
    with open_session(tmp_path / "1.log") as seed, open_session(tmp_path / "2.log") as one:
        sessions = [seed, one]
        found = links(sessions)
        received = sum(not message.is_sent for session in sessions for message in messages(session))
        assert len(found) == received > 4
        for link in found:
            assert link.sender != link.receiver
            sent = sessions[link.sender].content(link.sent_at)
            assert sent.data == sessions[link.receiver].content(link.received_at).data
        shown: set[tuple[int, int]] = set()
        for step in merged(sessions, found):
            if step.link is not None:
                assert (step.link.sender, step.link.sent_at) in shown
            shown |= {(step.log, row.position) for row in step.rows}
        sizes = {row["id"]: row["bytes"] for row in rows(one) if row["kind"] == "Libp2pEffectfulSend"}
        sent_bytes = {one.action(message.position).action_id: message.size for message in messages(one) if message.is_sent}
        assert sizes == sent_bytes
        of_seed = {row.kind for row in search(one, Query(peer=seed.node))}
        assert {"Libp2pConnectionOpened", "Libp2pStreamMessageReceived", "Libp2pEffectfulSend"} <= of_seed


def test_connections_of_libp2p_have_numbers_of_their_own() -> None:
    """Connection 1 of one network is another than connection 1 of the other."""
    peers = Peers(P2pState)
    where, first = SocketAddress("20.0.0.1", 8302), ConnectionId(1)
    peers.of(Libp2pConnectionOpened(first, OTHERS[0], True, where))
    peers.of(ConnectionEstablished(first, OTHERS[1], where))
    assert peers.of(Libp2pStreamMessageReceived(first, StreamId(1), b"")) == [OTHERS[0]]
    assert peers.of(ChannelsStreamEnded(first, ChannelId.RPC, StreamId(1))) == [OTHERS[1]]

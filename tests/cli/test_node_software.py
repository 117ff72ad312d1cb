"""The node software of ``mina-p2p node``: questions that only a ledger could answer are answered, and not by a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

import pytest
from interop.payloads import exchanges
from node.nodes import run, two_nodes
from support.network import NetworkNode, network_node

from mina_p2p.channels.rpc.messages import (
    BestTipWithProofRequest,
    BlockRequest,
    LedgerQueryRequest,
    RpcRequest,
    StagedLedgerAuxAndPendingCoinbasesAtBlockRequest,
)
from mina_p2p.channels.streaming_rpc.messages import StagedLedgerPartsRequest
from mina_p2p.config import Timeouts
from mina_p2p.ids import SECOND, RequestId
from mina_p2p.libp2p.notifications import NetworkPeerIdentified, NetworkRpcFailed, NetworkRpcResponded
from mina_p2p.libp2p_rpc.actions import NetworkRpcCall
from mina_p2p.libp2p_rpc.state import KINDS, method_of
from mina_p2p.mina.ledger_query import NumAccounts
from mina_p2p.mina.rpc import ErrorText
from mina_p2p.relay.config import RelayConfig
from mina_p2p_effects.cli.node.software import Software
from mina_p2p_effects.node import Node

HOUR = 3600 * SECOND
PATIENT = Timeouts(
    rpc_best_tip_with_proof=HOUR,
    rpc_ledger_query=HOUR,
    rpc_staged_ledger=HOUR,
    rpc_block=HOUR,
    streaming_rpc=HOUR,
    streaming_rpc_serve=HOUR,
)
"""What comes within a test's time comes by no deadline."""
BY_THE_LIBRARY = {"get_some_initial_peers", "ban_notify"}


@asynccontextmanager
async def followed(node: Node) -> AsyncGenerator[None]:
    """The command's node software at work."""

    def tell(_event: str, _fields: dict[str, Any]) -> None:
        pass

    following = asyncio.create_task(Software(node, tell, is_everything_valid=False).run())
    try:
        yield
    finally:
        following.cancel()
        await asyncio.wait((following,))


@pytest.mark.parametrize(
    "question",
    [
        BestTipWithProofRequest(),
        BlockRequest(bytes(32)),
        LedgerQueryRequest(bytes(32), NumAccounts()),
        StagedLedgerAuxAndPendingCoinbasesAtBlockRequest(bytes(32)),
    ],
)
def test_a_puller_is_told_that_there_is_nothing(question: RpcRequest) -> None:
    async def main() -> None:
        async with two_nodes(timeouts=PATIENT) as (one, other), followed(other):
            connected = await one.connect(other.addresses[0])
            assert await one.request(connected.connection_id, question) is None

    run(main())


def test_a_ledger_in_parts_is_not_here() -> None:
    """Nor does the question stay open: the next one on the connection is answered, too."""

    async def main() -> None:
        async with two_nodes(timeouts=PATIENT) as (one, other), followed(other):
            connected = await one.connect(other.addresses[0])
            for number in range(2):
                async with one.request_parts(connected.connection_id, StagedLedgerPartsRequest(bytes([number] * 32))) as parts:
                    assert [part async for part in parts] == []
                assert parts.is_found is False

    run(main())


@pytest.mark.skipif(find_spec("Crypto") is None, reason="pycryptodome is not installed; it comes with the extra `libp2p`")
def test_every_question_of_an_ocaml_node_has_an_answer() -> None:
    """An empty one in its own form, for an error would count against us; of a question of three minutes' patience."""

    async def main() -> None:
        asked = {exchange.tag: exchange.query for exchange in exchanges()}
        assert asked.keys() | BY_THE_LIBRARY == KINDS.keys()
        we = NetworkNode(5, settings={"relay": RelayConfig()})
        async with we.node, followed(we.node), network_node(6, we.dial_address) as peer:
            await peer.next(NetworkPeerIdentified)
            for number, (tag, query) in enumerate(asked.items()):
                assert peer.node.command(NetworkRpcCall(RequestId(number), we.secret_key.peer_id, tag, query))
                await peer.until(lambda: peer.heard(NetworkRpcResponded) or peer.heard(NetworkRpcFailed))
                assert peer.heard(NetworkRpcFailed) == []
                said = method_of(tag).response_codec.decode((await peer.next(NetworkRpcResponded)).answer)
                assert said in {None, (), ErrorText(b"this node has no answer")}

    asyncio.run(main())

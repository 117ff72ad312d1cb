"""Questions and answers in one form, whichever way a peer is connected; both worlds in every combination."""

from __future__ import annotations

from typing import Any

import pytest
from libp2p_slices.test_rpc import recorded
from slices.items import block, job_info, state_hash
from slices.lab import Lab, peer_id
from slices.tables.relay import CALL, ON, ONE, questioned
from support.vectors import vectors_path

from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.channels.rpc.messages import (
    BestTipWithProofRequest,
    BestTipWithProofResponse,
    BlockRequest,
    BlockResponse,
    InitialPeersRequest,
    InitialPeersResponse,
    LedgerQueryRequest,
    LedgerQueryResponse,
    RpcRequest,
    RpcResponse,
    SnarkRequest,
    StagedLedgerAuxAndPendingCoinbasesAtBlockRequest,
    StagedLedgerAuxAndPendingCoinbasesAtBlockResponse,
)
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p.ids import SECOND, RequestId
from mina_p2p.libp2p.actions import NetworkHandOver
from mina_p2p.libp2p.notifications import NetworkRpcRequested, NetworkRpcResponded
from mina_p2p.libp2p_rpc.actions import NetworkRpcAnswer, NetworkRpcCall, NetworkRpcRefuse
from mina_p2p.libp2p_rpc.messages import MESSAGE_CODEC
from mina_p2p.libp2p_rpc.state import method_of
from mina_p2p.mina.raw import RawBestTipWithProof, RawLedgerAnswer, RawStagedLedgerAux
from mina_p2p.mina.rpc import ErrorText, Peer, Query
from mina_p2p.notifications import RpcFailed, RpcRequested, RpcResponded
from mina_p2p.relay.actions import PeerAnswer, PeerAsk
from mina_p2p.relay.config import RelayConfig
from mina_p2p.relay.state import BY_LIBP2P, Asked
from mina_p2p.testing.sim import SimNode
from relay.worlds import World

LEDGER = "answer_sync_ledger_query"


def _best_tip() -> bytes:
    # The pull protocol's answer begins with the number of its kind.
    return vectors_path("p2p", "best_tip_with_proof_response.bin").read_bytes()[1:]


def _staged() -> bytes:
    return vectors_path("staged_ledger", "aux_and_pending_coinbases.bin").read_bytes()


def exchanges() -> list[tuple[RpcRequest, RpcResponse | None]]:
    """Real questions and answers, of each kind that both worlds have; and none."""
    query = MESSAGE_CODEC.decode(vectors_path("rpc", "answer-sync-ledger-query-00.bin").read_bytes())
    assert isinstance(query, Query)
    ledger = LedgerQueryRequest(*method_of(LEDGER).query_codec.decode(query.data))
    staged = StagedLedgerAuxAndPendingCoinbasesAtBlockRequest(state_hash(1))
    return [
        (BestTipWithProofRequest(), BestTipWithProofResponse(RawBestTipWithProof(_best_tip()))),
        (ledger, LedgerQueryResponse(RawLedgerAnswer(recorded("answer-sync-ledger-response-00.bin")[1:]))),
        (staged, StagedLedgerAuxAndPendingCoinbasesAtBlockResponse(RawStagedLedgerAux(_staged()))),
        (BlockRequest(state_hash(1)), BlockResponse(block(1))),
        *((request, None) for request in (BestTipWithProofRequest(), ledger, staged, BlockRequest(state_hash(2)))),
    ]


def ask(world: World, asker: SimNode, asked: SimNode, request: RpcRequest, response: RpcResponse | None) -> tuple[Any, Any]:
    """A question that the other's node software answers; what that was told, and what came back."""
    for node in (asker, asked):
        world.of(node).told.clear()
    asker.dispatch(PeerAsk(ONE, asked.config.peer_id, request))
    world.run(SECOND)  # a ledger's answer may take three on a pull connection
    (question,) = world.of(asked).heard(RpcRequested)
    asked.dispatch(PeerAnswer(question.connection_id, question.serial, response))
    world.run(SECOND)
    (answer,) = world.of(asker).heard(RpcResponded)
    return question, answer


@pytest.mark.parametrize("by_libp2p", [False, True], ids=["pull", "libp2p"])
def test_every_question_both_ways(by_libp2p: bool) -> None:
    """Node software can not tell the worlds apart, but for the connection that is named."""
    world = World()
    one, two = world.node(pushes=by_libp2p), world.node(pushes=by_libp2p)
    (world.push if by_libp2p else world.pull)(one, two)
    world.run()
    for asker, asked in ((one, two), (two, one)):
        for request, response in exchanges():
            question, answer = ask(world, asker, asked, request, response)
            assert (question.peer_id, question.request) == (asker.config.peer_id, request)
            assert (answer.request_id, answer.response) == (ONE, response)
            assert (question.connection_id == BY_LIBP2P, answer.connection_id == BY_LIBP2P) == (by_libp2p, by_libp2p)
            assert len(asker.state.relay.asked) == len(asked.state.relay.serving) == 0


def test_who_is_connected_both_ways_is_asked_by_pull() -> None:
    """Where permissions bound what an answer may cost."""
    world = World()
    one, two = world.node(pushes=True), world.node(pushes=True)
    world.pull(one, two)
    world.push(one, two)
    world.run()
    question, _ = ask(world, one, two, BestTipWithProofRequest(), None)
    assert question.connection_id != BY_LIBP2P


def test_what_the_library_knows_nobody_is_asked_for() -> None:
    """Other peers, and the block that is the best tip."""
    world = World()
    asker, asked, third = (world.node(pushes=True) for _ in range(3))
    world.push(asker, asked, third)
    world.run()
    asked.dispatch(BestTipSet(block(1), state_hash(1)))
    asker.dispatch(PeerAsk(RequestId(1), asked.config.peer_id, BlockRequest(state_hash(1))))
    asker.dispatch(PeerAsk(RequestId(2), asked.config.peer_id, InitialPeersRequest()))
    world.run()
    assert world.of(asked).heard(RpcRequested) == []
    found, peers = world.of(asker).heard(RpcResponded)
    assert found.response == BlockResponse(block(1))
    assert peers.response == InitialPeersResponse((third.port.libp2p_address,))


def test_who_can_not_be_asked() -> None:
    """Not connected; or over libp2p for what only the pull protocol has."""
    world = World()
    one, two = world.node(pushes=True), world.node(pushes=True)
    one.dispatch(PeerAsk(ONE, two.config.peer_id, BestTipWithProofRequest()))
    assert [told.reason.code for told in world.of(one).heard(RpcFailed)] == [ReasonCode.CHANNEL_CLOSED]
    world.push(one, two)
    world.run()
    world.of(one).told.clear()
    one.dispatch(PeerAsk(ONE, two.config.peer_id, SnarkRequest(job_info(1).job_id)))
    assert [told.reason.code for told in world.of(one).heard(RpcFailed)] == [ReasonCode.UNSUPPORTED]


def test_a_peer_that_leaves_fails_its_questions_and_those_to_it() -> None:
    world = World()
    one, two = world.node(pushes=True), world.node(pushes=True)
    world.push(one, two)
    world.run()
    one.dispatch(PeerAsk(ONE, two.config.peer_id, BestTipWithProofRequest()))
    world.run()
    assert len(one.state.relay.asked) == len(two.state.relay.serving) == 1
    one.crash()
    world.run(400 * SECOND)
    assert len(two.state.relay.serving) == 0

    world = World()
    one, two = world.node(pushes=True), world.node(pushes=True)
    world.push(one, two)
    world.run()
    one.dispatch(PeerAsk(ONE, two.config.peer_id, BestTipWithProofRequest()))
    world.run()
    two.crash()
    world.run(400 * SECOND)
    assert [told.request_id for told in world.of(one).heard(RpcFailed)] == [ONE]
    assert len(one.state.relay.asked) == 0


def test_the_node_software_s_own_questions_are_left_alone() -> None:
    """What libp2p has beyond the pull protocol is asked and answered as it is, with any id."""
    world = World()
    one, two = world.node(pushes=True), world.node(pushes=True)
    world.push(one, two)
    world.run()
    one.dispatch(NetworkRpcCall(ONE, two.config.peer_id, "Get_transition_knowledge", b"\x00"))
    world.run()
    (question,) = world.of(two).heard(NetworkRpcRequested)
    two.dispatch(NetworkRpcAnswer(question.serial, question.query_id, b"\x01" + state_hash(1)))
    world.run()
    (answer,) = world.of(one).heard(NetworkRpcResponded)
    assert (answer.request_id, answer.answer) == (ONE, b"\x01" + state_hash(1))


# --- one node, played by hand


def test_questions_in_waiting_are_bounded() -> None:
    """The next is refused; time makes room."""
    lab = Lab(**ON, relay=RelayConfig(questions_max=1))
    lab.feed(questioned("get_best_tip", b"\x00"))
    assert len(lab.of(RpcRequested)) == 1
    lab.feed(questioned("get_best_tip", b"\x00"))
    assert lab.of(RpcRequested) == []
    assert any(isinstance(refusal.action, NetworkRpcRefuse) for refusal in lab.steps.refusals)
    lab.wait(200 * SECOND).feed(questioned("get_best_tip", b"\x00"))
    assert len(lab.of(RpcRequested)) == 1


def test_translation_is_a_setting() -> None:
    """Without it every question is the node software's in libp2p's words, even one that the library could answer."""
    lab = Lab(**ON, relay=RelayConfig(are_questions_translated=False)).feed(BestTipSet(block(1), state_hash(1)))
    lab.feed(questioned("get_transition_chain", b"\x01" + state_hash(1)))
    assert [told.tag for told in lab.of(NetworkRpcRequested)] == ["get_transition_chain"]


def test_a_chain_of_several_blocks_is_no_question_of_the_pull_protocol() -> None:
    lab = Lab(**ON).feed(questioned("get_transition_chain", b"\x02" + 2 * state_hash(1)))
    assert len(lab.of(NetworkRpcRequested)) == 1
    assert lab.of(RpcRequested) == []


def test_an_answer_of_another_kind_is_the_callers_mistake() -> None:
    lab = Lab(**ON).feed(questioned("get_best_tip", b"\x00"))
    with pytest.raises(CallerError, match="BlockResponse does not answer BestTipWithProofRequest"):
        lab.feed(PeerAnswer(BY_LIBP2P, 1, BlockResponse(block(1))))


def asking(request: RpcRequest) -> Lab:
    """A node that has asked that over libp2p."""
    lab = Lab(**ON)
    relay = lab.state.relay
    lab.state = lab.state.replace(relay=relay.replace(asked=relay.asked.set(CALL, Asked(ONE, request)), last_call=CALL))
    return lab


@pytest.mark.parametrize("blocks", [b"\x00", b"\x02" + 2 * block(1)])
def test_a_chain_of_another_length_than_was_asked_is_no_answer(blocks: bytes) -> None:
    answer = NetworkRpcResponded(CALL, peer_id(1), "get_transition_chain", b"\x01" + blocks)
    lab = asking(BlockRequest(state_hash(1))).feed(NetworkHandOver(answer))
    assert [told.reason.code for told in lab.of(RpcFailed)] == [ReasonCode.RESPONSE_KIND_MISMATCH]


def test_peers_of_unknown_kinds_are_passed_over() -> None:
    """Hosts and ids that can not be read, and ports that there are not."""
    good = Peer(b"10.0.0.1", 8302, peer_id(1).libp2p.encode())
    bad = [good.replace(host=b"\xff"), good.replace(peer_id=b"Qm"), good.replace(libp2p_port=0), good.replace(libp2p_port=1 << 16)]
    data = method_of("get_some_initial_peers").response_codec.encode((*bad, good))
    lab = asking(InitialPeersRequest()).feed(NetworkHandOver(NetworkRpcResponded(CALL, peer_id(1), "get_some_initial_peers", data)))
    (told,) = lab.of(RpcResponded)
    assert [str(address) for address in told.response.peers] == [f"/ip4/10.0.0.1/tcp/8302/p2p/{peer_id(1).libp2p}"]


def test_a_ledger_error_is_no_answer() -> None:
    request = exchanges()[1][0]
    data = method_of(LEDGER).response_codec.encode(ErrorText(b"no such ledger"))
    lab = asking(request).feed(NetworkHandOver(NetworkRpcResponded(CALL, peer_id(1), LEDGER, data)))
    assert [told.response for told in lab.of(RpcResponded)] == [None]

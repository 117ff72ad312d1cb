"""Node software for simulations: checks items, follows the better chain, answers questions and asks some."""

from __future__ import annotations

from typing import Any, Final, Protocol

from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.blocks.actions import BlockHeaderReceived, BlocksVerdict
from mina_p2p.channels.rpc.actions import ChannelsRpcResponseSend, RpcRequestSend
from mina_p2p.channels.rpc.messages import BlockRequest, BlockResponse
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import MILLISECOND, ChannelId, RequestId
from mina_p2p.notifications import (
    BestTipReceived,
    ConnectionFailed,
    ItemReceived,
    PeerDisconnected,
    RpcFailed,
    RpcRequested,
    RpcResponded,
)
from mina_p2p.pool.actions import PoolVerdict
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.sim import SimNode
from mina_p2p.testing.stock import Stock, Tip

VERDICT_WITHIN: Final = 50 * MILLISECOND
SILENT_PERCENT: Final = 5
"""How often the software leaves a peer's question to the library's deadline."""


class Judge(Protocol):
    """Whoever knows who is honest."""

    def is_honest(self, peer_id: PeerId) -> bool:
        """Whether the node of that id keeps to the protocol."""
        ...

    def accuse(self, accuser: SimNode, peer_id: PeerId, reason: Reason) -> None:
        """A node ended a connection because, as it says, the peer broke the protocol."""
        ...

    def complain(self, node: SimNode, what: str) -> None:
        """The library told the node software what can not be."""
        ...


class NodeSoftware:
    """The software of one node, from its start to its crash."""

    def __init__(self, stock: Stock, dice: Dice, judge: Judge) -> None:
        """Make one that knows what is genuine from ``stock``."""
        self._stock = stock
        self._dice = dice
        self._judge = judge
        self._last_request_id = 0
        self.questions: dict[RequestId, Tip] = {}
        """Blocks that were asked for; each question must be answered or fail."""

    def __call__(self, node: SimNode, told: Any) -> None:
        """Take a notification."""
        match told:
            case ItemReceived(verdict_id=verdict_id, channel=channel, info=info, body=body):
                is_valid = self._stock.is_genuine(channel, info, body)
                node.later(self._dice.below(VERDICT_WITHIN), PoolVerdict(verdict_id, is_valid))
            case BlockHeaderReceived(verdict_id=verdict_id, state_hash=state_hash, header=header):
                known = self._stock.tip(state_hash)
                is_valid = known is not None and known.block.startswith(header)
                node.later(self._dice.below(VERDICT_WITHIN), BlocksVerdict(verdict_id, is_valid))
            case BestTipReceived(connection_id=connection_id, block=block, state_hash=state_hash):
                # A state hash does not cover the proof: the block is genuine in its very bytes only.
                if (tip := self._stock.tip(state_hash)) is None or tip.block != block:
                    node.dispatch(DisconnectionInit(connection_id, Reason(ReasonCode.INVALID_MESSAGE, ChannelId.BEST_TIP)))
                else:
                    self.adopt(node, tip)
            case RpcRequested():
                self._answer(node, told)
            case RpcResponded():
                self._answered(node, told)
            case RpcFailed(request_id=request_id):
                if self.questions.pop(request_id, None) is None:
                    self._judge.complain(node, f"question {request_id} failed, which was not open")
            case (
                PeerDisconnected(peer_id=peer_id, reason=reason, by_peer=False)
                | ConnectionFailed(peer_id=peer_id, reason=reason, by_peer=False)
            ) if reason.code.is_violation:
                self._judge.accuse(node, peer_id, reason)
            case _:
                pass

    def adopt(self, node: SimNode, tip: Tip) -> None:
        """Follow a chain, if it is better than what we have."""
        own = node.state.best_tips.own
        known = None if own is None else self._stock.tip(own.state_hash)
        if known is None or tip.is_better_than(known):
            node.dispatch(BestTipSet(tip.block, tip.summary.state_hash))

    def ask(self, node: SimNode) -> None:
        """Ask some peer for some block."""
        ready = [connection_id for connection_id in node.state.connections.table if node.state.connections.ready(connection_id) is not None]
        if not ready:
            return
        self._last_request_id += 1
        request_id = RequestId(self._last_request_id)
        wanted = self.questions[request_id] = self._dice.choice(self._stock.tips)
        node.dispatch(RpcRequestSend(self._dice.choice(ready), request_id, BlockRequest(wanted.summary.state_hash)))

    def _answered(self, node: SimNode, told: RpcResponded) -> None:
        wanted = self.questions.pop(told.request_id, None)
        connection = node.state.connections.get(told.connection_id)
        is_honest = connection is not None and self._judge.is_honest(connection.peer_id)
        if wanted is None:
            self._judge.complain(node, f"question {told.request_id} was answered, which was not open")
        elif told.response is not None and not isinstance(told.response, BlockResponse):
            self._judge.complain(node, f"question {told.request_id} for a block was answered by {told!r}")
        elif told.response is not None and told.response.body != wanted.block and is_honest:
            self._judge.complain(node, "an honest peer answered with another block")

    def _answer(self, node: SimNode, asked: RpcRequested) -> None:
        if self._dice.chance(SILENT_PERCENT):
            return
        request = asked.request
        tip = self._stock.tip(request.block_hash) if isinstance(request, BlockRequest) else None
        response = None if tip is None else BlockResponse(tip.block)
        node.later(self._dice.below(VERDICT_WITHIN), ChannelsRpcResponseSend(asked.connection_id, asked.serial, response))

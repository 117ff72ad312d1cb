"""What happens between the two worlds. `NetworkHandOver` is how it comes in from libp2p's."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.channels.rpc.messages import RpcRequest, RpcResponse
from mina_p2p.gossipsub.actions import Verdict
from mina_p2p.identity import PeerId
from mina_p2p.ids import ChannelId, ConnectionId, RequestId, Timestamp
from mina_p2p.mina.raw import RawBlock
from mina_p2p.record import Record, record
from mina_p2p.relay.config import CHANNEL_OF
from mina_p2p.relay.state import BY_LIBP2P
from mina_p2p.state import P2pState

# --- gossip


@record
class RelayItemOpen(Record):
    """The node software has been asked about an item of a message."""

    message: RequestId
    verdict_id: RequestId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.message in state.relay.messages


@record
class RelayItemUnwanted(Record):
    """An item of a message is in its pool already, over, or not better than what is there."""

    message: RequestId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.message in state.relay.messages


@record
class RelayItemJudged(Record):
    """The node software's verdict on an item, pulled or pushed."""

    verdict_id: RequestId
    is_valid: bool

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.verdict_id in state.relay.by_item


@record
class RelayVerdict(Record):
    """The node software's verdict on a block that was gossiped (`BestTipReceived` with that id). A command.

    Whoever makes the block its best tip (`BestTipSet`) has said so already.
    """

    verdict_id: RequestId
    verdict: Verdict

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        message = state.relay.messages.get(self.verdict_id)
        return message is not None and message.is_block


@record
class RelayMessageTimeout(Record):
    """Nobody has judged a message in time: it is not passed on, and nobody is worse for it."""

    message: RequestId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        found = state.relay.messages.get(self.message)
        return found is not None and found.deadline <= now


@record
class RelayItemOffer(Record):
    """An item has entered its pool: gossip it, unless that is where it came from."""

    channel: ChannelId
    key: bytes
    body: bytes

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        wanted = state.config.relay.pull_to_push
        return state.network is not None and any(self.channel == CHANNEL_OF.get(kind) for kind in wanted)


@record
class RelayTipOffer(Record):
    """The node software has a new best tip: gossip it, unless that is where it came from."""

    block: RawBlock

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return state.network is not None


# --- questions and answers


@record
class PeerAsk(Record):
    """Ask a peer over whatever connection there is with it; `RpcResponded` or `RpcFailed` with this id will follow. A command."""

    request_id: RequestId
    peer_id: PeerId
    request: RpcRequest


@record
class PeerAnswer(Record):
    """The node software's answer to `RpcRequested`, by the same connection and serial; ``None``: it has none. A command.

    Raises `CallerError` for an answer of another kind than the question's.
    """

    connection_id: ConnectionId
    serial: int
    response: RpcResponse | None

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.connection_id != BY_LIBP2P or self.serial in state.relay.serving


@record
class RelayCallRefused(Record):
    """A question to libp2p's peer could not be asked."""

    call: RequestId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.call in state.relay.asked


@record
class RelayServingTimeout(Record):
    """The node software has not answered a question of libp2p's peer in time; the peer has been told so."""

    serial: int

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        found = state.relay.serving.get(self.serial)
        return found is not None and found.deadline <= now


RelayAction: TypeAlias = (
    RelayItemOpen
    | RelayItemUnwanted
    | RelayItemJudged
    | RelayVerdict
    | RelayMessageTimeout
    | RelayItemOffer
    | RelayTipOffer
    | PeerAsk
    | PeerAnswer
    | RelayCallRefused
    | RelayServingTimeout
)


def relay_timeout(key: int) -> RelayMessageTimeout | RelayServingTimeout:
    """The action of a deadline of this slice."""
    return RelayServingTimeout(key // 2) if key % 2 else RelayMessageTimeout(RequestId(key // 2))

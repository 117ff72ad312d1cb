"""The smallest node software: what is done with what peers send.

This command runs no ledger and verifies no proof, so by default it judges nothing: items are counted, their verdicts
stay open until the node gives up asking, and nothing is passed on that nobody has verified. For networks of one's own
there is the other way: everything well-formed is valid, and the better of two blocks is the best tip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from mina_p2p.blocks.actions import BlockHeaderReceived
from mina_p2p.disconnection.reasons import ReasonCode
from mina_p2p.gossipsub.actions import NetworkPubsubVerdict, Verdict
from mina_p2p.libp2p.notifications import (
    NetworkDialFailed,
    NetworkPeerConnected,
    NetworkPeerDisconnected,
    NetworkPeerIdentified,
    NetworkPubsubMessageReceived,
    NetworkRpcRequested,
)
from mina_p2p.libp2p_rpc.actions import NetworkRpcAnswer
from mina_p2p.libp2p_rpc.state import method_of
from mina_p2p.mina.chain_selection import select_chain
from mina_p2p.mina.hashes import state_hash_of_block
from mina_p2p.mina.protocol_state import ConsensusState
from mina_p2p.mina.raw import RawBlock
from mina_p2p.notifications import (
    BestTipReceived,
    ConnectionFailed,
    IdentityDuplicated,
    ItemReceived,
    ListenerFailed,
    PeerConnected,
    PeerDisconnected,
    RpcRequested,
    StreamingRpcRequested,
)
from mina_p2p_effects.node import Node
from mina_p2p_effects.runtime import NotificationsDropped, Told

Tell = Callable[[str, dict[str, Any]], None]
"""Takes the name of an event and its fields, which are fit for JSON."""


NOTHING: Final[Mapping[str, bytes]] = {
    tag: method_of(tag).response_codec.encode(nothing)
    for tag, nothing in (
        ("get_ancestry", None),
        ("Get_transition_knowledge", ()),
        ("get_transition_chain", None),
        ("get_transition_chain_proof", None),
    )
}
"""Questions of OCaml nodes that pull connections do not know, and the answer of who keeps no chain: an error would count against us."""


class Software:
    """Follows one node until it stops."""

    def __init__(self, node: Node, tell: Tell, *, is_everything_valid: bool) -> None:
        self._node = node
        self._tell = tell
        self._is_everything_valid = is_everything_valid
        self._best_tip: RawBlock | None = None
        self.items: Counter[str] = Counter()
        """Items received, by channel."""
        self.tips_received = 0
        self.failures: Counter[ReasonCode] = Counter()
        """Attempts that became no connection, by reason."""
        self.dropped = 0
        """Notifications that came too fast to be followed."""

    async def run(self) -> None:
        """Until the node stops.

        :raises InvariantViolationError: where a bug of ours stopped it.
        """
        async for notification in self._node.notifications():
            self._follow(notification)

    def _follow(self, notification: Told | NotificationsDropped) -> None:
        match notification:
            case PeerConnected(peer_id=peer_id, is_incoming=is_incoming, remote=remote, agent=agent):
                where = None if remote is None else f"{remote.host} port {remote.port}"
                self._tell("connected", {"peer_id": str(peer_id), "incoming": is_incoming, "remote": where, "agent": agent})
            case NetworkPeerConnected(peer_id=peer_id, is_dialer=is_dialer, remote=remote):
                where = f"{remote.host} port {remote.port}"
                self._tell("connected", {"peer_id": str(peer_id), "incoming": not is_dialer, "remote": where, "transport": "libp2p"})
            case NetworkPeerIdentified(peer_id=peer_id, agent=agent, addresses=addresses):
                self._tell("identified", {"peer_id": str(peer_id), "agent": agent, "addresses": list(map(str, addresses))})
            case NetworkPeerDisconnected(peer_id=peer_id, reason=reason, by_peer=by_peer):
                self._tell("disconnected", {"peer_id": str(peer_id), "reason": str(reason), "by_peer": by_peer, "transport": "libp2p"})
            case NetworkDialFailed(address=address, reason=reason):
                self.failures[reason.code] += 1
                dialled = {"peer_id": str(address.peer_id), "incoming": False, "address": str(address)}
                self._tell("failed", {**dialled, "reason": str(reason), "transport": "libp2p"})
            case NetworkPubsubMessageReceived(verdict_id=verdict_id):
                self.items["gossip"] += 1
                verdict = Verdict.ACCEPT if self._is_everything_valid else Verdict.IGNORE
                self._node.command(NetworkPubsubVerdict(verdict_id, verdict))
            case NetworkRpcRequested(serial=serial, query_id=query_id, tag=tag):
                self._node.command(NetworkRpcAnswer(serial, query_id, NOTHING[tag]))
            case PeerDisconnected(peer_id=peer_id, reason=reason, by_peer=by_peer):
                self._tell("disconnected", {"peer_id": str(peer_id), "reason": str(reason), "by_peer": by_peer})
            case ConnectionFailed(peer_id=peer_id, reason=reason, is_incoming=is_incoming):
                self.failures[reason.code] += 1
                self._tell("failed", {"peer_id": str(peer_id), "incoming": is_incoming, "reason": str(reason)})
            case IdentityDuplicated(issued_at=issued_at, times=times):
                self._tell("identity-duplicated", {"issued_at": issued_at, "times": times})
            case ItemReceived(verdict_id=verdict_id, channel=channel):
                self.items[channel.name.lower()] += 1
                if self._is_everything_valid:
                    self._node.give_verdict(verdict_id, is_valid=True)
            case BlockHeaderReceived(verdict_id=verdict_id):
                if self._is_everything_valid:
                    self._node.give_header_verdict(verdict_id, is_valid=True)
            case BestTipReceived(block=block, verdict_id=verdict_id):
                self.tips_received += 1
                if self._is_everything_valid and (self._best_tip is None or _is_better(block, self._best_tip)):
                    self._best_tip = block
                    self._node.set_best_tip(block)
                elif verdict_id is not None:
                    self._node.give_tip_verdict(verdict_id, Verdict.ACCEPT if self._is_everything_valid else Verdict.IGNORE)
            case RpcRequested(connection_id=connection_id, serial=serial):
                self._node.respond(connection_id, serial, None)
            case StreamingRpcRequested(connection_id=connection_id, serial=serial):
                self._node.respond_parts(connection_id, serial, None)
            case ListenerFailed(detail=detail):
                self._tell("listen-failed", {"detail": detail})
            case NotificationsDropped(count=count):
                self.dropped += count
            case _:
                pass


def _is_better(candidate: RawBlock, tip: RawBlock) -> bool:
    def consensus(block: RawBlock) -> ConsensusState:
        return block.value.header.protocol_state.body.consensus_state

    return select_chain(consensus(tip), consensus(candidate), state_hash_of_block(tip), state_hash_of_block(candidate)).take

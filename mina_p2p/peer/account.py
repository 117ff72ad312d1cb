"""What is known of a peer, from whom, and why it is or is not dialled: for people who ask.

The reasons are those of the guards themselves: `P2pState.why_banned` and `P2pState.outgoing_refusal`.
"""

from __future__ import annotations

from mina_p2p.address import Libp2pAddress, WebRtcAddress
from mina_p2p.connection.state import Ready
from mina_p2p.identity import PeerId
from mina_p2p.ids import PeerNumber, Timestamp
from mina_p2p.peer.bans import Ban
from mina_p2p.peer.state import Attached, BackingOff, Peer, PeerSource
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState

NAMED, NEW, TRIED, NO_TABLE = "named by a person", "new", "tried", "none"


@record
class Account(Record):
    """All about one peer."""

    peer: Peer
    learned_from: PeerId | None
    """Who named it first, where a peer did that is still known."""
    table: str
    """`NEW`, `TRIED`, `NAMED`, or `NO_TABLE`: no place for it, so that it is never dialled."""
    in_bucket: int
    """How many are in its bucket, itself among them."""
    is_anchor: bool
    is_contested: bool
    """Whether another wants its place, so that it will be tested."""
    ban: Ban | None
    is_dialled_next: bool
    """Whether nothing speaks against dialling it now."""
    why: str
    """Why it is, or is not, dialled; a sentence."""


def account(state: P2pState, peer_id: PeerId, now: Timestamp) -> Account | None:
    """What is known of one peer; ``None`` where nothing is."""
    found = state.peers.find(peer_id)
    return None if found is None else _account(state, *found, now)


def accounts(state: P2pState, now: Timestamp) -> list[Account]:
    """Of all peers, in the order in which they were heard of."""
    return [_account(state, number, peer, now) for number, peer in state.peers.table.items()]


def _account(state: P2pState, number: PeerNumber, peer: Peer, now: Timestamp) -> Account:
    peers = state.peers
    teller = None if peer.learned_from is None else peers.table.get(peer.learned_from)
    in_bucket = 0 if peer.bucket is None else (peers.tried if peer.is_tried else peers.new).size(peer.bucket)
    is_dialled, why = _why(state, peer, now)
    return Account(
        peer,
        None if teller is None else teller.peer_id,
        NAMED if peer.is_given else NO_TABLE if peer.bucket is None else TRIED if peer.is_tried else NEW,
        in_bucket,
        number in peers.anchors,
        number in peers.contests,
        state.why_banned(peer.peer_id, now),
        is_dialled,
        why,
    )


def _why(state: P2pState, peer: Peer, now: Timestamp) -> tuple[bool, str]:
    """Whether a peer may be dialled now, and why not or why so."""
    status = peer.status
    if isinstance(status, Attached):
        connection = state.connections.table[status.connection_id]
        who = "it came to us" if connection.is_incoming else "we dialled it"
        how = "connected" if isinstance(connection.status, Ready) else "being connected"
        return False, f"{how} now: {who}"
    if isinstance(status, BackingOff) and status.until > now:
        times = f", {peer.failures} failures in a row" if peer.failures else ""
        return (
            False,
            f"left alone for another {_seconds(status.until - now)} s, since the last connection or dial ended: {status.reason}{times}",
        )
    if peer.address is None:
        return False, "nobody has said where it can be dialled"
    if not peer.is_given and peer.bucket is None:
        return False, "there is no room for it in the table of new peers"
    if not peer.is_given and isinstance(peer.address, WebRtcAddress):
        return False, "it is reached by way of a relay, which is for the node software to do"
    if not peer.is_given and isinstance(peer.address, Libp2pAddress):
        network = state.network
        if network is None:
            return False, "its address is libp2p's, which is off"
        if peer.peer_id in network.links.numbers:
            return False, "connected, or being connected, over libp2p"
        return False, "its address is libp2p's, whose part of the node dials by rules of its own"
    refusal = state.outgoing_refusal(peer.address, now, is_user_request=False)
    if refusal is not None:
        return False, f"not dialled now: {refusal}"
    chances = (
        "it is dialled first, as an anchor" if state.peers.anchors and state.peers.index.get(peer.peer_id) in state.peers.anchors else ""
    )
    return True, chances or f"it may be drawn: one of {len(state.peers.dialable)} that wait to be dialled"


def _seconds(duration: int) -> int:
    return -(-duration // 10**9)


def sources_text(peer: Peer) -> str:
    """The ways in which a peer was learned of, for people."""
    return ", ".join(source_text(source) for source in peer.sources)


def source_text(source: PeerSource) -> str:
    """One way of learning of peers, for people."""
    return _WORDS[source]


_WORDS = {
    PeerSource.CONFIG: "configuration",
    PeerSource.USER: "a command",
    PeerSource.INCOMING: "its own arrival",
    PeerSource.INITIAL_PEERS: "a peer's list (initial peers)",
    PeerSource.REFERRAL: "the refusal of a full peer",
    PeerSource.ADDRESS_GOSSIP: "address gossip, signed by itself",
    PeerSource.SIGNALING: "a relay (signaling discovery)",
    PeerSource.KADEMLIA: "Kademlia",
    PeerSource.REMEMBERED: "the last run",
    PeerSource.PEER_EXCHANGE: "peer exchange, signed by itself",
}

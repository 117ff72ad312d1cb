"""What is known of a node by its own record, and why that has or has not led to a dial: for people who ask."""

from __future__ import annotations

from mina_p2p.address import DialAddress
from mina_p2p.discovery.admission import is_linked, to_dial
from mina_p2p.identity import PeerId
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState


@record
class RecordAccount(Record):
    """All about the newest record of one node."""

    peer_id: PeerId
    issued_at: int
    """Its date, in seconds since 1970."""
    ends_at: Timestamp
    """When it is no longer believed."""
    addresses: tuple[DialAddress, ...]
    """Those that it names, in its order; not all of them need make sense here."""
    is_met: bool
    """Whether this node has met the other, so that nobody has to answer for the record any more."""
    told_by: PeerId | None
    """Who has to answer for it, while that peer is connected."""
    is_waiting: bool
    """Whether it has still to lead to a dial."""
    why: str
    """What it has led to, or why not yet; a sentence."""


def record_account(state: P2pState, peer_id: PeerId, now: Timestamp) -> RecordAccount | None:
    """What is known of a node by its record; ``None`` where there is none that is still believed."""
    slice_ = state.address_gossip
    found = slice_.book.find(peer_id)
    if found is None or found[1].ends_at <= now:
        return None
    number, known = found
    teller = None if known.learned_from is None else state.connections.get(known.learned_from)
    is_waiting = number in slice_.undialled and not is_linked(state, peer_id)
    if is_linked(state, peer_id):
        why = "its node is connected"
    elif is_waiting:
        most, others = state.config.address_gossip.dials_per_minute, len(slice_.undialled) - 1
        why = f"it waits for its turn, as do {others} more: {most} in a minute lead to a dial, drawn by lot"
    elif to_dial(known.record.addresses, known.turn) is None:
        why = "none of its addresses is one that this node dials by itself"
    else:
        why = "it has had its attempt; a newer one is another"
    return RecordAccount(
        peer_id,
        known.record.issued_at,
        known.ends_at,
        known.record.addresses,
        known.learned_from is None,
        None if teller is None else teller.peer_id,
        is_waiting,
        why,
    )


def records_known_as(state: P2pState, text: str, now: Timestamp) -> list[RecordAccount]:
    """Of all nodes whose id, in either form, begins so."""
    ids = [PeerId(known.record.public_key) for known in state.address_gossip.book.table.values()]
    named = [peer_id for peer_id in ids if str(peer_id).startswith(text) or peer_id.libp2p.startswith(text)]
    return [one for peer_id in named if (one := record_account(state, peer_id, now)) is not None]

"""Which records lead to a dial, and when (spec: address-gossip 5.5).

Each newer record of a node is worth one attempt (rule 6), and there are no more than ``dials_per_minute`` of these in any minute. What
comes beyond that waits, and one drawn by lot is next: whoever names many nodes does not keep the others out by being first.
How many dials are under way at one time, and how many of these into one network, is for `P2pState.dial_refusal`.
"""

from __future__ import annotations

from mina_p2p.address import QuicAddress
from mina_p2p.channels.address_gossip.state import MINUTE, AddressGossip, Waiting
from mina_p2p.discovery.admission import is_linked
from mina_p2p.ids import PeerNumber, Timestamp
from mina_p2p.peer.actions import PeerAnnounced
from mina_p2p.peer.state import PeerSource
from mina_p2p.state import P2pState


def led_by(
    state: P2pState, number: int, where: QuicAddress | None, learned_from: PeerNumber | None, now: Timestamp
) -> tuple[P2pState, tuple[PeerAnnounced, ...]]:
    """What a newer record of a node leads to: a dial now, a dial later, or none.

    :param number: of the node, in the book.
    :param where: its address; ``None`` where none of its addresses can be dialled.
    :param learned_from: who passed the record on.
    """
    slice_ = state.address_gossip
    dialled, undialled = slice_.dialled, slice_.undialled.discard(number)
    found: tuple[PeerAnnounced, ...] = ()
    if where is not None and not is_linked(state, where.peer_id):
        recent = _recent(slice_, now)
        if not undialled and len(recent) < state.config.address_gossip.dials_per_minute:
            dialled, found = (*recent, now), (_announced(Waiting(where, learned_from)),)
        else:
            # Nor does anybody go before those that wait, whose time may have come in this moment.
            undialled = undialled.set(number, Waiting(where, learned_from))
    return state.replace(address_gossip=slice_.with_dials(dialled, undialled)), found


def of_waiting(state: P2pState, now: Timestamp) -> tuple[P2pState, tuple[PeerAnnounced, ...]]:
    """A minute after some dials others may begin: as many of those that wait."""
    slice_ = state.address_gossip
    dialled, undialled, random = _recent(slice_, now), slice_.undialled, slice_.gossip.random
    found: list[PeerAnnounced] = []
    while undialled and len(dialled) < state.config.address_gossip.dials_per_minute:
        number, random = random.choice(undialled.keys())
        waiting, undialled = undialled[number], undialled.delete(number)
        if not is_linked(state, waiting.address.peer_id):
            dialled = (*dialled, now)
            found.append(_announced(waiting))
    slice_ = slice_.with_dials(dialled, undialled)
    return state.replace(address_gossip=slice_.replace(gossip=slice_.gossip.replace(random=random))), tuple(found)


def _recent(slice_: AddressGossip, now: Timestamp) -> tuple[Timestamp, ...]:
    """Those of the times of dials that are less than a minute ago; the same object where all are."""
    dialled = slice_.dialled
    is_all = not dialled or dialled[0] + MINUTE > now
    return dialled if is_all else tuple(at for at in dialled if at + MINUTE > now)


def _announced(waiting: Waiting) -> PeerAnnounced:
    return PeerAnnounced(waiting.address, PeerSource.ADDRESS_GOSSIP, waiting.learned_from)

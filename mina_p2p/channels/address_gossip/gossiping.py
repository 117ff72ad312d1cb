"""The gossiper inside the slice: its orders become what links have to do."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from mina_p2p.channels.address_gossip.actions import AddressGossipAdvertsSend, AddressGossipFetchSend
from mina_p2p.channels.address_gossip.state import AddressGossip
from mina_p2p.gossiper.actions import GossipAction, GossipAnnounce, GossipAnswered, GossipFetch, GossipFetchFailed
from mina_p2p.gossiper.reducer import step
from mina_p2p.identity import KEY_LENGTH
from mina_p2p.ids import ConnectionId, Timestamp


def gossip(
    state: AddressGossip, actions: Iterable[GossipAction], now: Timestamp, coalescing: int
) -> tuple[AddressGossip, list[AddressGossipFetchSend | AddressGossipAdvertsSend]]:
    """Step the gossiper; what it orders is collected at the links, and their next messages follow.

    :param coalescing: nanoseconds that a link waits for more to say.
    """
    queue, follow_ups = deque(actions), list[AddressGossipFetchSend | AddressGossipAdvertsSend]()
    while queue:
        gossiper, orders = step(state.gossip, queue.popleft(), now)
        if gossiper is not state.gossip:
            state = state.replace(gossip=gossiper)
        for order in orders:
            match order:
                case GossipAnnounce(id=item_id, peer=peer):
                    link = state.links[ConnectionId(peer)]
                    if item_id[:KEY_LENGTH] == link.peer_id:
                        queue.append(GossipAnswered(item_id, peer, is_held=True))
                        continue
                    flush_at = Timestamp(now + coalescing) if link.flush_at is None else link.flush_at
                    link = link.replace(due=(*link.due, item_id), flush_at=flush_at)
                    state = state.with_link(ConnectionId(peer), link)
                    if link.permitted is not None and len(link.due) >= link.permitted.limit:
                        follow_ups.append(AddressGossipAdvertsSend(ConnectionId(peer)))
                case GossipFetch(id=item_id, peer=peer):
                    link = state.links[ConnectionId(peer)]
                    if link.fetches_allowed == 0 or item_id not in link.askable:
                        # It would have to name something first, or need not remember it; another holder may be asked now.
                        queue.append(GossipFetchFailed(item_id, peer))
                        continue
                    state = state.with_link(ConnectionId(peer), link.replace(wanted=(*link.wanted, item_id)))
                    follow_ups.append(AddressGossipFetchSend(ConnectionId(peer)))
                case _:
                    pass
    return state, follow_ups

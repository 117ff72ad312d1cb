"""Peers: reducer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, assert_never

from mina_p2p.address import DialAddress, dial_host
from mina_p2p.channels.rpc.actions import ChannelsRpcRequestSend
from mina_p2p.channels.rpc.messages import InitialPeersRequest
from mina_p2p.channels.rpc.state import ForDiscovery
from mina_p2p.config import Timeouts
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingInit
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import InvariantViolationError
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, PeerNumber, Timestamp
from mina_p2p.peer.actions import (
    BansReset,
    ConnectionFeelerInit,
    ConnectionOutgoingRandomInit,
    PeerAction,
    PeerAnnounced,
    PeerAttached,
    PeerBan,
    PeerDetached,
    PeerDiscovered,
    PeerGroupBan,
    PeerGroupUnban,
    PeerReady,
    PeersChurn,
    PeersDiscover,
    PeersDiscoverRandom,
    PeersRedialGiven,
    PeersRotate,
    PeerUnban,
    PeerUndialable,
    PeerUseful,
    PeerWoken,
)
from mina_p2p.peer.bans import Ban
from mina_p2p.peer.choice import choose, choose_feeler
from mina_p2p.peer.churn import makes_room, makes_way
from mina_p2p.peer.referrals import referrals
from mina_p2p.peer.state import ANYTHING, GIVEN, HEARSAY, Attached, BackingOff, Banned, Disconnected, Feeler, Peer, Peers, PeerSource
from mina_p2p.peer.trial import FELT, reached, unreached
from mina_p2p.state import P2pState
from mina_p2p.store import Attempt, FollowUps

BACK_OFF_DOUBLINGS_MAX = 16

DRAW_AGAIN: Final = SECOND
"""After draws of nobody but peers that have to wait for the end of dials into their networks."""

_UNDIALABLE: Final = Reason(ReasonCode.UNSUPPORTED, detail="its address can not be dialled")

UNPROVEN_AFTER_FAILURES = 3
"""An address that was good once is hearsay again after so many failures in a row: others are not told it any more."""

_LONG_BACK_OFF = frozenset({ReasonCode.CONNECTING_TO_SELF, ReasonCode.PEER_BANNED})
"""What will not be different in a minute."""

_FOREIGN = frozenset({ReasonCode.CHAIN_ID_MISMATCH, ReasonCode.PROTOCOL_VERSION_MISMATCH, ReasonCode.NO_COMMON_PROTOCOL})
"""What will be different once one of the two is upgraded."""

_NOBODY_FAILED: Final[Mapping[ReasonCode, Callable[[Timeouts], int]]] = MappingProxyType(
    {
        ReasonCode.ALREADY_CONNECTED: lambda timeouts: timeouts.reconnect_duplicate,
        ReasonCode.DUPLICATE_CONNECTION: lambda timeouts: timeouts.reconnect_duplicate,
        ReasonCode.PEER_CAPACITY_FULL: lambda timeouts: timeouts.reconnect_full,
        ReasonCode.ONLY_A_TEST: lambda timeouts: timeouts.reconnect_duplicate,
        ReasonCode.FREE_UP_SPACE: lambda timeouts: timeouts.reconnect_freed,
    }
)
"""What says nothing against the peer or its address, and how long it is left alone."""


def reduce(state: Peers, action: PeerAction, now: Timestamp, root: P2pState) -> tuple[Peers, FollowUps]:
    """Reduce one action of this slice."""
    limits, timeouts = root.config.limits, root.config.timeouts
    stale_before = Timestamp(now - timeouts.address_proven)
    match action:
        case PeerDiscovered(address=address, source=source, learned_from=learned_from):
            if (known := state.find(address.peer_id)) is not None:
                number, peer = known
                return state.put(number, _named_again(peer, address, source)), ()
            told_in = root.told_in(learned_from)
            room: Peers | None = state if source in GIVEN else state.make_new_room(address, told_in)
            room = None if room is None else room.make_room(limits.known_peers_max, HEARSAY, stale_before)
            if room is None:
                return state, ()
            return room.add(Peer(address.peer_id, address, source, learned_from, Disconnected(now), told_in=told_in)), ()

        case PeerAnnounced(address=address, source=source, learned_from=learned_from):
            if (known := state.find(address.peer_id)) is None:
                return state, (PeerDiscovered(address, source, learned_from),)
            number, peer = known
            is_better = not peer.is_address_proven or peer.failures > 0
            announced = _with_source(peer.replace(address=address if is_better else peer.address), source)
            if isinstance(peer.status, BackingOff):
                announced = announced.replace(status=Disconnected(now))
            return state.put(number, announced), ()

        case PeersRedialGiven():
            for number, peer in state.table.items():
                if peer.is_given and isinstance(peer.status, BackingOff):
                    state = state.put(number, peer.replace(status=Disconnected(now)))
            return _redial_given(state, limits.dials_per_tick_max)

        case PeerAttached(connection_id=connection_id, peer_id=peer_id, address=address, source=source):
            if (known := state.find(peer_id)) is not None:
                number, peer = known
                if address is not None and not peer.is_address_proven:
                    peer = peer.replace(address=address)
                state = state.put(number, peer.replace(status=Attached(connection_id)))
                return state.trim_group(peer.address, limits.known_per_group_max, stale_before), ()
            # Connections are fewer than records, so that something can always make room.
            room = state.make_room(limits.known_peers_max, ANYTHING, stale_before) or state
            state = room.add(Peer(peer_id, address, source, None, Attached(connection_id)))
            return state.trim_group(address, limits.known_per_group_max, stale_before), ()

        case PeerReady(connection_id=connection_id, peer_id=peer_id, address=address):
            number, peer = _known(state, peer_id)
            peer = peer.replace(failures=0, last_success=now)
            # Where we reached it is better than the port its packets come from, which a router may have
            # made up. A peer that comes from another host has moved.
            is_dialled = not root.connections.table[connection_id].is_incoming
            if address is not None and (is_dialled or not peer.is_address_proven or _has_moved(peer, address)):
                peer = peer.replace(address=address, is_address_proven=True)
            state = state.put(number, peer)
            if is_dialled:
                state = reached(state, number, root.config.peer_table, now)
            return state.trim_group(peer.address, limits.known_per_group_max, stale_before), ()

        case PeerDetached(peer_id=peer_id, reason=reason, by_peer=by_peer, was_ready=was_ready):
            number, peer = _known(state, peer_id)
            if state.feeler == Feeler(number) and reason == FELT:
                peer = peer.replace(failures=0, last_success=now, is_address_proven=True)
                state = _backed_off(state, number, peer, reason, True, now, timeouts)
                state = reached(state, number, root.config.peer_table, now)
            elif reason.code.is_violation and not by_peer:
                state = state.put(number, peer.replace(status=Banned(Timestamp(now + timeouts.ban), reason, now)))
            else:
                state = _backed_off(state, number, peer, reason, was_ready, now, timeouts)
                if not was_ready and reason.code not in _NOBODY_FAILED:
                    state = unreached(state, number)
            others = referrals(reason, limits.referrals_max) if by_peer and not was_ready else ()
            found = tuple(PeerDiscovered(address, PeerSource.REFERRAL, number) for address in others)
            return state.trim_group(peer.address, limits.known_per_group_max, stale_before), found

        case PeerUndialable(number=number, reason=reason):
            peer = state.table[number]
            return _backed_off(state, number, peer, reason, False, now, timeouts), ()

        case PeerWoken(number=number):
            peer = state.table[number]
            if isinstance(peer.status, BackingOff) and not root.config.address_gossip.retries_failures:
                return state.remove(number), ()  # the entry is deleted (rule 3 of the proposal)
            woken = state.put(number, peer.replace(status=Disconnected(now)))
            has_no_place = woken.table[number].bucket is None and peer.address is not None and not peer.is_given
            return (woken.remove(number) if has_no_place else woken), ()  # nobody would ever dial it

        case PeerBan(peer_id=peer_id, until=until, reason=reason):
            known = state.find(peer_id)
            if known is None:
                room = state.make_room(limits.known_peers_max, ANYTHING, stale_before)
                return (state if room is None else room.add(Peer(peer_id, None, PeerSource.USER, None, Banned(until, reason, now)))), ()
            number, peer = known
            status = peer.status
            end = (DisconnectionInit(status.connection_id, Reason(ReasonCode.PEER_BANNED)),) if isinstance(status, Attached) else ()
            return state.put(number, peer.replace(status=Banned(until, reason, now))), end

        case PeerUnban(peer_id=peer_id):
            number, peer = _known(state, peer_id)
            return state.put(number, peer.replace(status=Disconnected(now), failures=0)), ()

        case PeerGroupBan(host=host, until=until, reason=reason):
            group = state.grouping.of(host)
            bans = state.group_bans.add(Ban(group, now, until, reason), now, limits.banned_groups_max)
            ended = Reason(ReasonCode.PEER_BANNED)
            return state.replace(group_bans=bans), tuple(DisconnectionInit(cid, ended) for cid in root.connections_in(group))

        case PeerGroupUnban(host=host):
            return state.replace(group_bans=state.group_bans.lift(state.grouping.of(host))), ()

        case BansReset():
            state = state.replace(group_bans=state.group_bans.none())
            for number, peer in state.table.items():
                if isinstance(peer.status, Banned):
                    state = state.put(number, peer.replace(status=Disconnected(now), failures=0))
            return state, ()

        case PeerUseful(peer_id=peer_id):
            number, peer = _known(state, peer_id)
            return state.put(number, peer.replace(useful_at=now)), ()

        case PeersChurn():
            state = state.replace(next_churn_at=Timestamp(now + timeouts.churn))
            options = makes_room(root, now)
            if not options:
                return state, ()
            connection_id, random = state.random.choice(options)
            return state.replace(random=random), (DisconnectionInit(connection_id, Reason(ReasonCode.FREE_UP_SPACE)),)

        case PeersRotate():
            state = state.replace(next_rotation_at=Timestamp(now + root.config.peer_table.rotation_interval))
            options = makes_way(root, now)
            if not options:
                return state, ()
            connection_id, random = state.random.choice(options)
            return state.replace(random=random), (DisconnectionInit(connection_id, Reason(ReasonCode.FREE_UP_SPACE)),)

        case PeersDiscover(connection_id=connection_id):
            asked = state.replace(next_discovery_at=Timestamp(now + timeouts.rediscover))
            return asked, (ChannelsRpcRequestSend(connection_id, InitialPeersRequest(), ForDiscovery()),)

        case PeersDiscoverRandom():
            ready = [number for number in root.connections.table if root.connections.ready(number) is not None]
            connection_id, random = state.random.choice(ready)
            asked = state.replace(random=random, next_discovery_at=Timestamp(now + timeouts.rediscover))
            return asked, (PeersDiscover(connection_id),)

        case ConnectionOutgoingRandomInit(more=more):
            return _dial_some(state, more, root, now)

        case ConnectionFeelerInit():
            state = state.replace(next_feeler_at=Timestamp(now + root.config.peer_table.feeler_interval))
            return _feel(state, root)

        case _:
            assert_never(action)


def _dial_some(state: Peers, more: int, root: P2pState, now: Timestamp) -> tuple[Peers, FollowUps]:
    """Draw somebody whose network has not enough dials under way; after some draws in vain wait for the end of these."""
    networks, draws_max = root.outgoing_networks(), root.config.peer_table.draws_max
    for _ in range(draws_max):
        number, random = choose(state, networks, draws_max)
        state = state.replace(random=random, anchors=state.anchors.discard(number))
        peer = state.table[number]
        if root.dial_refusal(peer) is None:
            more_dials = (ConnectionOutgoingRandomInit(more - 1),) if more > 0 else ()
            return state, (_attempt(state, number, _why_not(peer, root, now)), *more_dials)
    return state.replace(next_dial_at=Timestamp(now + DRAW_AGAIN)), ()


def _why_not(peer: Peer, root: P2pState, now: Timestamp) -> Reason:
    """Why the guard will refuse a peer that was drawn, if it will."""
    refusal = None if peer.address is None else root.outgoing_refusal(peer.address, now, is_user_request=False)
    return refusal or _UNDIALABLE


def _redial_given(state: Peers, count_max: int) -> tuple[Peers, FollowUps]:
    """Dial what a person named, however many connections there are (AG-1); others of a long list are drawn at other times."""
    left, chosen, random = list(state.given.keys()), list[PeerNumber](), state.random
    while left and len(chosen) < count_max:
        number, random = random.choice(left)
        left.remove(number)
        chosen.append(number)
    addresses = (state.table[number].address for number in chosen)
    return state.replace(random=random), tuple(ConnectionOutgoingInit(address, None) for address in addresses if address is not None)


def _feel(state: Peers, root: P2pState) -> tuple[Peers, FollowUps]:
    chosen = choose_feeler(state, root.config.peer_table.draws_max)
    if chosen is None:
        return state, ()
    number, random = chosen
    if root.dial_refusal(state.table[number]) is not None:
        return state.replace(random=random), ()
    return state.replace(random=random, feeler=Feeler(number)), (_attempt(state, number, _UNDIALABLE),)


def _attempt(state: Peers, number: PeerNumber, why_not: Reason) -> Attempt:
    address = state.table[number].address
    if address is None:
        raise InvariantViolationError(f"peer {number} is dialable and has no address")
    # A refusal must not leave the peer dialable, or the next turn would choose it again.
    return Attempt(ConnectionOutgoingInit(address, None), PeerUndialable(number, why_not))


def _named_again(peer: Peer, address: DialAddress, source: PeerSource) -> Peer:
    """A record after somebody has named its peer once more."""
    return _with_source(peer.replace(address=address) if peer.takes_address(address) else peer, source)


def _with_source(peer: Peer, source: PeerSource) -> Peer:
    return peer if source in peer.sources else peer.replace(also_from=(*peer.also_from, source))


def _has_moved(peer: Peer, address: DialAddress) -> bool:
    return peer.address is None or dial_host(peer.address) != dial_host(address)


def _known(state: Peers, peer_id: PeerId) -> tuple[PeerNumber, Peer]:
    found = state.find(peer_id)
    if found is None:
        raise InvariantViolationError(f"no record of peer {peer_id}")
    return found


def _backed_off(state: Peers, number: PeerNumber, peer: Peer, reason: Reason, was_ready: bool, now: Timestamp, timeouts: Timeouts) -> Peers:
    """After a connection or an attempt: how long until the next one."""
    if reason.code in _NOBODY_FAILED:
        duration, failures = _NOBODY_FAILED[reason.code](timeouts), peer.failures
    elif reason.code in _LONG_BACK_OFF:
        duration, failures = timeouts.reconnect_max, peer.failures + 1
    elif reason.code in _FOREIGN:
        duration, failures = timeouts.reconnect_foreign, peer.failures + 1
    else:
        failures = 0 if was_ready else peer.failures + 1
        doublings = min(max(failures - 1, 0), BACK_OFF_DOUBLINGS_MAX)
        duration = min(timeouts.reconnect << doublings, timeouts.reconnect_max)
    duration, random = state.random.jitter(duration, timeouts.reconnect_jitter_percent)
    status = BackingOff(Timestamp(now + duration), reason)
    is_proven = peer.is_address_proven and failures < UNPROVEN_AFTER_FAILURES
    return state.replace(random=random).put(number, peer.replace(status=status, failures=failures, is_address_proven=is_proven))

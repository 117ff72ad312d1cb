"""Whom the node software bans it refuses on libp2p's connections too, and only as long as the ban lasts."""

from __future__ import annotations

from typing import Any

import pytest
from libp2p_slices.lab import START, address, config, host, peer_id
from libp2p_slices.pairs import IN

from mina_p2p.config import P2pConfig
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.identity import DEVNET_CHAIN_ID
from mina_p2p.ids import SECOND, ConnectionId, Timestamp
from mina_p2p.libp2p import transport as port
from mina_p2p.libp2p.actions import NetworkDial, NetworkGatingSet
from mina_p2p.libp2p.gating import GatingConfig
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.peer.actions import BansReset, PeerBan, PeerGroupBan
from mina_p2p.peer.network_bans import dial_refusal
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import initial_state
from mina_p2p.store import Store
from mina_p2p.testing.invariants import sampled
from mina_p2p.transport import SocketAddress

WHY = Reason(ReasonCode.USER_REQUEST)
UNTIL = Timestamp(START + 60 * SECOND)
BANS = {"peer": PeerBan(peer_id(1), UNTIL, WHY), "network": PeerGroupBan(host(1), UNTIL, WHY)}


def a_node() -> Store[Any]:
    store = Store(
        p2p_machine(), initial_state(P2pConfig(peer_id(0), DEVNET_CHAIN_ID, libp2p=config(0, are_private_addresses_allowed=True)), START)
    )
    store.observe(sampled(1))
    return store


def arrival(number: int, connection: int = 0) -> port.Libp2pConnectionOpened:
    return port.Libp2pConnectionOpened(ConnectionId(IN + connection), peer_id(number), False, SocketAddress(host(number).plain, 40_000))


def ended(effects: list[Any]) -> list[ConnectionId]:
    found = [effect for effect in effects if isinstance(effect, port.Libp2pEffectfulDisconnect)]
    assert all(effect.reason.code is ReasonCode.PEER_BANNED for effect in found)
    return [effect.connection_id for effect in found]


@pytest.mark.parametrize("ban", BANS)
def test_a_ban_ends_connections_and_dials(ban: str) -> None:
    """Those of the banned alone."""
    store = a_node()
    store.dispatch(arrival(1), START)
    store.dispatch(arrival(2, 1), START)
    assert ended(store.dispatch(BANS[ban], START)) == [IN]
    store = a_node()
    (dial,) = (one for one in store.dispatch(NetworkDial(address(1)), START) if isinstance(one, port.Libp2pEffectfulDial))
    assert ended(store.dispatch(BANS[ban], START)) == [dial.connection_id]


@pytest.mark.parametrize("ban", BANS)
def test_who_is_banned_is_neither_dialled_nor_kept(ban: str) -> None:
    """Until the ban is over, or lifted."""
    store = a_node()
    store.dispatch(BANS[ban], START)
    assert not store.machine.is_enabled(store.state, NetworkDial(address(1)), START)
    assert store.machine.is_enabled(store.state, NetworkDial(address(2)), START)
    effects = store.dispatch(arrival(1), START)
    assert ended(effects) == [IN]
    assert not [one for one in effects if isinstance(one, port.Libp2pEffectfulStreamOpen)], "nobody asks it who it is"
    assert ended(store.dispatch(arrival(2, 1), START)) == []
    store.dispatch(port.Libp2pConnectionClosed(IN, WHY, False), START)
    assert store.machine.is_enabled(store.state, NetworkDial(address(1)), UNTIL)
    assert ended(store.dispatch(arrival(1, 2), UNTIL)) == []


def test_lifted_bans_bind_nobody() -> None:
    """On any transport."""
    store = a_node()
    for ban in BANS.values():
        store.dispatch(ban, START)
    store.dispatch(BansReset(), START)
    assert store.machine.is_enabled(store.state, NetworkDial(address(1)), START)
    assert ended(store.dispatch(arrival(1), START)) == []


def test_why_an_address_is_not_dialled() -> None:
    """In the words in which a pull connection is refused."""
    store = a_node()

    def why(number: int) -> ReasonCode | None:
        refusal = dial_refusal(store.state, address(number), START)
        assert (refusal is None) == store.machine.is_enabled(store.state, NetworkDial(address(number)), START)
        return None if refusal is None else refusal.code

    store.dispatch(arrival(1), START)
    store.dispatch(PeerBan(peer_id(2), UNTIL, WHY), START)
    store.dispatch(NetworkGatingSet(GatingConfig(banned_peers=(peer_id(3),))), START)
    store.dispatch(NetworkDial(address(4)), START)
    assert [why(number) for number in range(6)] == [
        ReasonCode.CONNECTING_TO_SELF,
        ReasonCode.ALREADY_CONNECTED,
        ReasonCode.PEER_BANNED,
        ReasonCode.PEER_BANNED,
        ReasonCode.ALREADY_CONNECTED,
        None,
    ]
    full = store.state.replace(network=network_of(store).replace(config=network_of(store).config.replace(connections_hard_max=1)))
    assert dial_refusal(full, address(5), START) == Reason(
        ReasonCode.PEER_CAPACITY_FULL, detail="there are as many connections or dials as there may be"
    )
    off = initial_state(P2pConfig(peer_id(0), DEVNET_CHAIN_ID), START)
    refusal = dial_refusal(off, address(5), START)
    assert refusal is not None
    assert refusal.code is ReasonCode.UNSUPPORTED


def network_of(store: Store[Any]) -> NetworkState:
    network: NetworkState = store.state.network
    return network

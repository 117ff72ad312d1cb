"""What an idle connected peer costs the store: bytes of state, and inputs and time to take it in.

    python benchmarks/idle_peer.py [--json] [--peers N]

Peers dial a node of the shipped machine, say hello, exchange the first permissions and then
say nothing. The yardstick is the same final state in the form that stores of plain dicts
keep: one dict per record and per table, the same leaves.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import tracemalloc
from typing import Any

from mina_p2p.config import ALL_CHANNELS, Limits, P2pConfig
from mina_p2p.connection.hello import HELLO, PROTOCOL_VERSION, Hello
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId
from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.record import Record, field_names
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState, initial_state
from mina_p2p.store import Store
from mina_p2p.table import Table
from mina_p2p.transport import ConnectionHelloReceived, ConnectionIncomingReceived, SocketAddress, TransportKind

START = Timestamp(1_700_000_000 * SECOND)


def peer_id(number: int) -> PeerId:
    return PeerId(number.to_bytes(32, "big"))


def node(peers: int) -> Store[P2pState]:
    """A node that lets everybody in."""
    config = P2pConfig(peer_id(0), MAINNET_CHAIN_ID, is_discovery_enabled=False, seed=7, limits=roomy(peers))
    return Store(p2p_machine(), initial_state(config, START))


def roomy(peers: int) -> Limits:
    return Limits(peers_max=peers + 8, peers_min=0, known_peers_max=peers + 64, peers_per_group_max=peers)


def take_in(store: Store[P2pState], peers: int) -> int:
    """Connect all peers.

    :returns: how many actions that took.
    """
    hello = HELLO.encode(Hello(PROTOCOL_VERSION, PROTOCOL_VERSION, MAINNET_CHAIN_ID, tuple(ALL_CHANNELS), (), "bench"))
    before = store.state.clock.last_action_id
    for number in range(1, peers + 1):
        now = Timestamp(START + number * SECOND // 100)
        remote = SocketAddress(f"10.{number >> 8 & 255}.{number & 255}.1", 10_000)
        store.dispatch(ConnectionIncomingReceived(TransportKind.QUIC, number, remote, peer_id(number)), now)
        store.dispatch(ConnectionHelloReceived(store.state.connections.last_id, hello), now)
    return store.state.clock.last_action_id - before


def plain(value: Any) -> Any:
    """The same data in dicts."""
    if isinstance(value, Table):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Record):
        return {name: plain(getattr(value, name)) for name in field_names(type(value))}
    if type(value) is tuple:
        return tuple(plain(item) for item in value)
    return value


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="What an idle connected peer costs the store.")
    parser.add_argument("--peers", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    node(10)
    take_in(node(10), 10)
    gc.collect()
    tracemalloc.start()
    store = node(options.peers)
    base = tracemalloc.get_traced_memory()[0]
    actions = take_in(store, options.peers)
    gc.collect()
    ours = tracemalloc.get_traced_memory()[0] - base
    connected = len(store.state.connections.table)
    before = tracemalloc.get_traced_memory()[0]
    dicts = plain(store.state)
    theirs = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    fresh = node(options.peers)
    start = time.process_time()
    take_in(fresh, options.peers)
    spent = time.process_time() - start
    result = {
        "peers": options.peers,
        "connected": connected,
        "bytes_per_peer": round(ours / options.peers),
        "bytes_per_peer_as_dicts": round(theirs / options.peers),
        "times_the_dicts": round(ours / theirs, 2),
        "actions_per_peer": round(actions / options.peers, 1),
        "microseconds_per_peer": round(spent / options.peers * 1e6, 1),
    }
    del dicts
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name.replace('_', ' '):28}{value:>12,}")
    return 0 if connected == options.peers else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

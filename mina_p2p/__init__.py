"""A peer-to-peer state machine for the Mina network: pure, recorded, replayable.

The map of the tree, in the order in which to read it:

* `mina_p2p.record`: how state and actions are declared; `mina_p2p.table`: the persistent map;
* `mina_p2p.store`: the dispatch loop; `mina_p2p.prng`: the dice in the state;
* `mina_p2p.state`: the root, and questions that need more than one slice;
* `mina_p2p.reducer`: every action with its one reducer; `mina_p2p.timeouts`: what time does;
* `mina_p2p.transport`: the boundary to transports, as data; `mina_p2p.notifications`: what the node software is told;
* slices, each a package with state, actions and reducer: `mina_p2p.connection` (outgoing, incoming, hello),
  `mina_p2p.disconnection`, `mina_p2p.peer`, `mina_p2p.channels` (propagation: the permission machine; rpc and
  streaming_rpc; signaling_discovery and signaling_exchange), `mina_p2p.signaling`, `mina_p2p.best_tip`, `mina_p2p.pool`,
  `mina_p2p.gossiper` (items of any kind), `mina_p2p.discovery` (addresses, by it);
* what OCaml nodes speak, a machine of its own inside the root: `mina_p2p.libp2p` (connections and streams),
  `mina_p2p.identify`, `mina_p2p.kademlia`, `mina_p2p.gossipsub`, `mina_p2p.peer_exchange`, `mina_p2p.libp2p_rpc`; `mina_p2p.relay`, where push
  and pull meet;
* `mina_p2p.config`: every limit and time-out; `mina_p2p.errors`: whose fault;
* `mina_p2p.identity`, `mina_p2p.address`: peers and where they are;
* `mina_p2p.wire`: bin_prot and frames; `mina_p2p.mina`: Mina's types, hashes, chain selection;
* `mina_p2p.trace`: the action log and its replay;
* `mina_p2p.testing`: networks of pure nodes, generators, invariants; for your tests too.

Nothing here has a clock, dice, files, sockets or threads. What does is in `mina_p2p_effects`:
`mina_p2p_effects.node.Node` runs all of this over QUIC, and over TCP among OCaml nodes.

Most of the names below are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Not lazily, because the function must take the name that its module has here.
from mina_p2p.record import Record, record

if TYPE_CHECKING:
    from mina_p2p.config import Limits, P2pConfig, Timeouts
    from mina_p2p.errors import CallerError, DecodeError, InvariantViolationError, MinaP2pError
    from mina_p2p.identity import DEVNET_CHAIN_ID, MAINNET_CHAIN_ID, ChainId, PeerId
    from mina_p2p.reducer import dispatch, p2p_machine
    from mina_p2p.state import P2pState, initial_state
    from mina_p2p.store import Attempt, Machine, Slice, Steps, Store

_HOMES = {
    "Attempt": "store",
    "CallerError": "errors",
    "ChainId": "identity",
    "DEVNET_CHAIN_ID": "identity",
    "DecodeError": "errors",
    "InvariantViolationError": "errors",
    "Limits": "config",
    "MAINNET_CHAIN_ID": "identity",
    "Machine": "store",
    "MinaP2pError": "errors",
    "P2pConfig": "config",
    "P2pState": "state",
    "PeerId": "identity",
    "Slice": "store",
    "Steps": "store",
    "Store": "store",
    "Timeouts": "config",
    "dispatch": "reducer",
    "initial_state": "state",
    "p2p_machine": "reducer",
}

__all__ = [
    "DEVNET_CHAIN_ID",
    "MAINNET_CHAIN_ID",
    "Attempt",
    "CallerError",
    "ChainId",
    "DecodeError",
    "InvariantViolationError",
    "Limits",
    "Machine",
    "MinaP2pError",
    "P2pConfig",
    "P2pState",
    "PeerId",
    "Record",
    "Slice",
    "Steps",
    "Store",
    "Timeouts",
    "dispatch",
    "initial_state",
    "p2p_machine",
    "record",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

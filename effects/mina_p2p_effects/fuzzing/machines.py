"""The state machines that are searched.

Every slice is searched by way of the root, which routes to it. Node software with slices of its
own registers its machine with `register_machine_target`.
"""

from __future__ import annotations

from typing import Any, Final

from mina_p2p.errors import CallerError
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import ChannelId
from mina_p2p.libp2p.config import GossipsubConfig, KademliaConfig, NetworkConfig
from mina_p2p.state import initial_state
from mina_p2p.testing.catalog import ME, START, small_config
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.invariants import Checker
from mina_p2p.trace.machines import SHIPPED_MACHINE
from mina_p2p.trace.minimise import Input
from mina_p2p_effects.fuzzing.inputs import OWN_KEY, Inputs
from mina_p2p_effects.fuzzing.machine_checks import MachineTarget, StateCheck
from mina_p2p_effects.fuzzing.network_inputs import NetworkInputs, address


def _starts() -> tuple[Any, ...]:
    # Some speak on few channels: the search goes deeper there.
    configs = (
        small_config(),
        small_config(are_private_addresses_allowed=True, seed=2, are_introductions_taken=True),
        small_config(is_discovery_enabled=False, channels=(ChannelId.STREAMING_RPC,)),
        small_config(channels=(ChannelId.SIGNALING_DISCOVERY, ChannelId.SIGNALING_EXCHANGE), are_introductions_taken=True),
        small_config(channels=(ChannelId.ADDRESS_GOSSIP,)),
        small_config(channels=(ChannelId.BLOCK, ChannelId.BEST_TIP)),
    )
    # An id that is a key, as a node's always is: offers and answers name it as one.
    return tuple(initial_state(config.replace(peer_id=OWN_KEY), START) for config in configs)


def _new_check() -> StateCheck:
    return Checker().check


def _draw(dice: Dice, state: Any, effects: tuple[Any, ...]) -> Input:
    return Inputs(dice, state, effects).draw()


def _is_setback(before: Any, after: Any) -> bool:
    return len(after.connections) < len(before.connections) or bool(after.is_stopping)


NODE: Final = MachineTarget("machine.node", SHIPPED_MACHINE.name, _starts, _new_check, _draw, _is_setback)
"""A node with small bounds, its peers, its runtime and its software."""


_SMALL_GOSSIP: Final = GossipsubConfig(
    mesh_wanted=2, mesh_min=1, mesh_max=3, mesh_outgoing_min=1, validations_max=3, verifications_max=3, cache_bytes_max=2_000
)


def _network_starts() -> tuple[Any, ...]:
    small: dict[str, Any] = {
        "connections_min": 2,
        "connections_max": 3,
        "connections_hard_max": 5,
        "per_peer_max": 2,
        "dials_max": 3,
        "kademlia": KademliaConfig(bucket_max=2, parallel=2, candidates_max=4, lookups_max=2, provider_keys_max=2, providers_per_key_max=2),
        "gossipsub": _SMALL_GOSSIP,
    }
    more: tuple[dict[str, Any], ...] = (
        {"initial_peers": (address(0), address(2))},
        {"is_discovery_enabled": False, "direct_peers": (address(1),)},
        {
            "are_private_addresses_allowed": True,
            "initial_peers": (address(3),),
            "gossipsub": _SMALL_GOSSIP.replace(is_peer_exchange_enabled=True),
        },
    )
    configs = [NetworkConfig(ME, MAINNET_CHAIN_ID, seed=1, **{**small, **settings}) for settings in more]
    return tuple(initial_state(small_config(libp2p=config, channels=(ChannelId.RPC,)), START) for config in configs)


def _draw_network(dice: Dice, state: Any, effects: tuple[Any, ...]) -> Input:
    return NetworkInputs(dice, state.network, state.clock.now, effects).draw()


def _is_network_setback(before: Any, after: Any) -> bool:
    return len(after.network.links.contacts) < len(before.network.links.contacts)


NETWORK: Final = MachineTarget("machine.network", SHIPPED_MACHINE.name, _network_starts, _new_check, _draw_network, _is_network_setback)
"""A node of libp2p's network with small bounds, its peers, its runtime and its software."""

_targets: dict[str, MachineTarget] = {NODE.name: NODE, NETWORK.name: NETWORK}


def register_machine_target(target: MachineTarget) -> None:
    """Search this machine, too.

    :raises CallerError: where the name is taken.
    """
    if target.name in _targets:
        raise CallerError(f"there is a machine called {target.name!r} already; choose another name")
    _targets[target.name] = target


def machine_targets() -> dict[str, MachineTarget]:
    """Every state machine that is searched, by name."""
    return dict(_targets)

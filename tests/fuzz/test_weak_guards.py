"""The node's machine with a guard that always says yes: the search finds what comes of it, and reduces it to a few inputs."""

from __future__ import annotations

from typing import Any

import pytest
from stateful.weaken import always, with_guard

from mina_p2p.best_tip.actions import BestTipSend
from mina_p2p.channels.propagation.actions import ChannelsPropagationReceived, ChannelsPropagationRequestSend
from mina_p2p.channels.rpc.actions import ChannelsRpcRequestReceived, ChannelsRpcResponseReceived
from mina_p2p.channels.signaling_discovery.actions import ChannelsSignalingDiscoveryOfferEncrypted
from mina_p2p.gossipsub.actions import NetworkPubsubVerdict, NetworkPubsubVerified
from mina_p2p.kademlia.actions import NetworkKadLookupStart
from mina_p2p.libp2p.actions import NetworkDial
from mina_p2p.libp2p.node_status.actions import NetworkStatusAsk
from mina_p2p.libp2p.transport import Libp2pConnectionOpened
from mina_p2p.libp2p_rpc.actions import NetworkRpcAnswer
from mina_p2p.reducer import p2p_machine
from mina_p2p.trace import register_machine
from mina_p2p_effects.fuzzing.cases import Case
from mina_p2p_effects.fuzzing.explorer import Explorer
from mina_p2p_effects.fuzzing.machine_checks import MachineTarget, fault_of
from mina_p2p_effects.fuzzing.machines import NETWORK, NODE

DISPATCHES = 12_000
"""At most; some hundreds do as a rule."""

WEAKENED_OF_THE_NETWORK = (
    NetworkDial,
    NetworkKadLookupStart,
    NetworkPubsubVerdict,
    NetworkPubsubVerified,
    NetworkRpcAnswer,
    NetworkStatusAsk,
    Libp2pConnectionOpened,
)
WEAKENED = (
    BestTipSend,
    ChannelsPropagationReceived,
    ChannelsPropagationRequestSend,
    ChannelsRpcRequestReceived,
    ChannelsRpcResponseReceived,
    ChannelsSignalingDiscoveryOfferEncrypted,
)


@pytest.mark.parametrize(
    ("target", "action"),
    [*((NODE, action) for action in WEAKENED), *((NETWORK, action) for action in WEAKENED_OF_THE_NETWORK)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_guard_that_says_yes_to_everything_is_found(target: MachineTarget, action: type[Any]) -> None:
    """By the violation that follows, whose log has at most ten inputs; the machine as it is survives them."""
    name = f"node with weak {action.__name__}"
    register_machine(name, with_guard(p2p_machine(), action, always))
    search = Explorer(target.replace(name=name, machine=name), 1)
    findings = []
    while not findings and search.executions < DISPATCHES:
        findings = search.turn(8 * 250)
    assert findings
    case = findings[0].evidence
    assert isinstance(case, Case)
    assert len(case.inputs) <= 10
    fault = fault_of(case, target.new_check, is_thorough=False)
    assert fault is not None
    assert fault.text == findings[0].text
    assert fault_of(case.replace(machine=target.machine), target.new_check, is_thorough=False) is None

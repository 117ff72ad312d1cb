"""What is searched: every decoder that reads what strangers send, and every slice by way of the root machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mina_p2p.channels.propagation.kinds import KINDS
from mina_p2p.errors import CallerError
from mina_p2p.ids import ChannelId
from mina_p2p.mina.catalog import TYPE_NAMES
from mina_p2p.mina.rpc import RPC_METHODS
from mina_p2p.testing.dice import Dice
from mina_p2p.transport import CONVERSATION_CHANNELS
from mina_p2p_effects.fuzzing import decoders as registry
from mina_p2p_effects.fuzzing.decoders import Decoder, decoders, register_decoder
from mina_p2p_effects.fuzzing.engine import matching, new_search, round_of, target_names
from mina_p2p_effects.fuzzing.examine import examine, examine_costs
from mina_p2p_effects.fuzzing.inputs import CHANNEL_CODECS
from mina_p2p_effects.fuzzing.machines import machine_targets

from .planted import DECODERS


def test_every_type_of_the_wire_registry_is_a_target() -> None:
    """A type that gets a name for tools can not be forgotten here."""
    assert {f"wire.{name}" for name in TYPE_NAMES} <= decoders().keys()
    asked = {f"rpc.{method.tag}.{method.version}.{part}" for method in RPC_METHODS for part in ("query", "response")}
    assert asked <= decoders().keys()


def test_every_channel_has_a_codec_for_frames() -> None:
    """A channel that the state machine knows is spoken on."""
    assert set(KINDS) | set(CONVERSATION_CHANNELS) | {ChannelId.RPC, ChannelId.ADDRESS_GOSSIP, ChannelId.BLOCK} == CHANNEL_CODECS.keys()
    assert set(ChannelId) == CHANNEL_CODECS.keys()


@pytest.mark.parametrize("name", sorted(decoders()))
def test_seeds_are_valid_and_keep_every_promise(name: str) -> None:
    """A search begins with inputs of which at least one is read and none is a finding; the same dice give the same."""
    decoder = decoders()[name]
    seeds, again = ([bytes(seed) for seed in decoder.seeds(Dice(1, name))] for _ in range(2))
    assert seeds == again
    outcomes = [examine(decoder, seed) for seed in seeds]
    assert [outcome.fault for outcome in outcomes if outcome.fault is not None] == []
    assert "read" in {outcome.feature for outcome in outcomes}
    assert examine_costs(decoder, seeds[0]) is None


@pytest.fixture
def registered() -> Iterator[Decoder]:
    """A decoder that a program adds."""
    decoder = DECODERS["raises"][0]
    register_decoder(decoder)
    yield decoder
    del registry._registered[decoder.name]


def test_a_decoder_becomes_a_target_by_one_line(registered: Decoder) -> None:
    """From then on it is named, matched and searched; its name is taken."""
    assert registered.name in target_names()
    assert matching(["planted.*"]) == (registered.name,)
    assert new_search(registered.name, 1).turn(1) == []
    with pytest.raises(CallerError, match="already"):
        register_decoder(registered)


def test_patterns_choose_targets() -> None:
    """None means all; one that matches nothing is a mistake."""
    assert matching([]) == target_names()
    assert set(matching(["machine.*"])) == set(machine_targets())
    with pytest.raises(CallerError, match="no target matches 'nothing'"):
        matching(["text.*", "nothing"])
    with pytest.raises(CallerError, match="no target"):
        new_search("nothing", 1)


def test_a_round_has_every_target_and_machines_more_often() -> None:
    """Decoders once; a machine before them, and again after every few."""
    turns = list(round_of(target_names()))
    assert set(turns) == set(target_names())
    machines = list(machine_targets())
    assert turns[: len(machines)] == machines == ["machine.node", "machine.network"]
    assert {turns.count(machine) for machine in machines} == {1 + len(decoders()) // 16}
    assert len(turns) == len(decoders()) + sum(turns.count(machine) for machine in machines)
    assert list(round_of(["text.host"])) == ["text.host"]

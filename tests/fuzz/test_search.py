"""Searches find what is planted, reduce it, and do the same again from the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from mina_p2p.ids import ConnectionId
from mina_p2p.testing.dice import Dice
from mina_p2p.trace.minimise import Input
from mina_p2p_effects.fuzzing.cases import Case
from mina_p2p_effects.fuzzing.decoders import decoders
from mina_p2p_effects.fuzzing.explorer import Explorer
from mina_p2p_effects.fuzzing.findings import write_finding
from mina_p2p_effects.fuzzing.inputs import fits
from mina_p2p_effects.fuzzing.machine_checks import fault_of
from mina_p2p_effects.fuzzing.machines import NODE
from mina_p2p_effects.fuzzing.mutations import MUTATIONS, SIZE_MAX, mutate
from mina_p2p_effects.fuzzing.search import ByteSearch

from .planted import COMBINATION, DECODERS, SEED, TARGET, Digit, Lock, decoder

TURNS = 60


@pytest.mark.parametrize("name", sorted(DECODERS))
def test_every_kind_of_fault_of_a_decoder_is_found(name: str) -> None:
    """Wrong errors, memory, whims, and encodings that do not come back; once each, by a small input."""
    planted, text = DECODERS[name]
    search = ByteSearch(planted, 1)
    findings = [finding for _ in range(TURNS) for finding in search.turn(100)]
    assert len(findings) == 1
    assert text in findings[0].text
    assert findings[0].target == planted.name
    evidence = findings[0].evidence
    assert isinstance(evidence, bytes)
    assert len(evidence) <= 10


def test_a_decoder_without_fault_shows_none() -> None:
    """Declared errors, and values that come back, are no findings."""
    search = ByteSearch(decoder("good"), 1)
    assert [finding for _ in range(20) for finding in search.turn(100)] == []
    assert search.executions > 1_500
    assert SEED in search.corpus().values()


def test_a_search_of_bytes_follows_from_its_seed() -> None:
    """The same inputs are kept from the same seed, others from another."""
    kept = []
    for seed in (1, 1, 2):
        search = ByteSearch(decoders()["text.address"], seed)
        assert search.turn(1_000) == []
        kept.append((search.corpus(), search.executions, search.coverage))
    assert kept[0] == kept[1]
    assert kept[0] != kept[2]


def test_what_was_kept_can_be_begun_with() -> None:
    """A new search that is given the inputs of an older one sees all that it saw in as many executions."""
    first = ByteSearch(decoder("good"), 1)
    first.turn(2_000)
    kept = list(first.corpus().values())
    second = ByteSearch(decoder("good"), 2)
    for data in kept:
        second.load(data)
    second.turn(len(kept))
    assert set(second.corpus().values()) <= set(kept)
    assert second.coverage > 0


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_every_mutation_changes_something(mutation: Any) -> None:
    """Each damages an input of any size, and not always in the same way."""
    dice = Dice(1, "mutation")
    for data in (b"ab", bytes(range(100))):
        assert len({mutation(data, dice, b"another") for _ in range(60)} - {data}) >= 1


def test_mutated_inputs_stay_small() -> None:
    """Repetition upon repetition does not outgrow the bound, and nothing comes of nothing."""
    dice = Dice(1, "sizes")
    data = b"x"
    for _ in range(3_000):
        data = mutate(data, dice, (data, b""))
        assert len(data) <= SIZE_MAX


# --- states ------------------------------------------------------------------------------------


def test_a_search_of_states_goes_on_from_what_was_new() -> None:
    """Five digits in a row by chance take some 100 000 tries; going on from each new one takes a few hundred."""
    search = Explorer(TARGET, 1)
    findings = search.turn(8 * 3_000)
    by_text = {finding.text.partition(":")[2].split()[0]: finding for finding in findings}
    assert by_text.keys() == {"the", "no"}
    case = by_text["the"].evidence
    assert isinstance(case, Case)
    assert [item.action for item in case.inputs] == [Digit(value) for value in COMBINATION]
    case = by_text["no"].evidence
    assert isinstance(case, Case)
    assert [item.action for item in case.inputs] == [Digit(99)]
    assert fault_of(case, TARGET.new_check) is not None


def test_states_that_were_kept_can_be_begun_with() -> None:
    """Each is reached again, by fewer inputs than before; what can not be read is left out."""
    first = Explorer(NODE, 3)
    assert first.turn(8 * 400) == []
    ((name, tree),) = first.corpus().items()
    assert name == "states-3"
    second = Explorer(NODE, 4)
    for kept in (b"", b"\xff" * 9, tree[:-1], b"\x91\x93\x63\x00\xc4\x00", tree):
        second.load(kept)
    assert second.executions <= first.executions
    assert len(second._features & first._features) > 0.5 * len(first._features)
    assert second.turn(8 * 50) == []


def test_a_short_search_reaches_into_every_slice() -> None:
    """Connections, peers, propagation, questions, conversations, pools: something of each is executed."""
    search = Explorer(NODE, 5)
    assert search.turn(8 * 3_000) == []
    executed = {feature[1].__module__ for feature in search._features if len(feature) == 2 and isinstance(feature[1], type)}
    slices = ("best_tip", "channels.propagation", "channels.rpc", "channels.streaming_rpc", "channels.signaling_discovery")
    slices += ("channels.signaling_exchange", "connection.incoming", "connection.outgoing", "disconnection", "peer", "pool")
    assert [name for name in slices if f"mina_p2p.{name}.actions" not in executed] == []


def test_inputs_that_no_log_can_hold_do_not_end_a_search(tmp_path: Path) -> None:
    """They are a finding, as text; the rest is kept."""

    def draw(dice: Dice, state: Any, effects: Any) -> Input:
        return Input(Digit(cast("int", object())), state.clock.now) if dice.below(8) == 0 else TARGET.draw(dice, state, effects)

    search = Explorer(TARGET.replace(draw=draw), 1)
    findings = [finding for finding in search.turn(8 * 1_000) if "log" in finding.text]
    assert len(findings) == 1
    written = write_finding(tmp_path, findings[0], 1)
    assert written.path.suffix == ".txt"
    assert "object" in written.path.read_text()
    assert search.corpus()


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (3, ConnectionId, True),
        (True, ConnectionId, False),
        (None, ConnectionId, False),
        (None, bytes | None, True),
        (b"", bytes | None, True),
        (Digit(1), Lock, False),
        (Digit(1), Digit, True),
        ((1,), tuple[int, ...], False),
    ],
)
def test_only_values_of_the_right_type_are_repeated(value: Any, hint: Any, expected: bool) -> None:
    """An answer repeats what an effect named, where a field of that name has that type."""
    assert fits(value, hint) == expected

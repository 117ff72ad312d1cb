"""Decoders and a machine with planted faults, for searches that must find them."""

from __future__ import annotations

from typing import Any

from mina_p2p.errors import DecodeError, InvariantViolationError
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Clock, FollowUps, Machine
from mina_p2p.testing.dice import Dice
from mina_p2p.trace import register_machine
from mina_p2p.trace.minimise import Input
from mina_p2p_effects.fuzzing.decoders import Decoder
from mina_p2p_effects.fuzzing.machine_checks import MachineTarget

SEED = b"\x05valid"


def read(data: bytes) -> bytes:
    """A length and as many bytes: a decoder without fault."""
    if not data or data[0] != len(data) - 1:
        raise DecodeError("", 0, "not as long as it says")
    return data[1:]


def write(value: bytes) -> bytes:
    return bytes((len(value),)) + value


def raises_something_else(data: bytes) -> bytes:
    value = read(data)
    if b"!" in value:
        raise KeyError("!")
    return value


def hangs_on_to_memory(data: bytes) -> bytes:
    value = read(data)
    return bytes(50 << 20)[:0] + value if len(value) > 4 else value


_calls = [0]


def changes_its_mind(data: bytes) -> Any:
    _calls[0] += 1
    return read(data), _calls[0]


def writes_otherwise(value: bytes) -> bytes:
    return write(value.upper())


def can_not_write(value: bytes) -> bytes:
    if len(value) == 3:
        raise ValueError("three")
    return write(value)


def decoder(name: str, decode: Any = read, encode: Any = write, *, is_canonical: bool = True) -> Decoder:
    return Decoder(f"planted.{name}", decode, lambda _dice: [SEED], encode=encode, is_canonical=is_canonical)


DECODERS = {
    "raises": (decoder("raises", raises_something_else), "KeyError"),
    "memory": (decoder("memory", hangs_on_to_memory), "bytes of memory"),
    "changes": (decoder("changes", changes_its_mind, None), "not the same"),
    "two encodings": (decoder("two encodings", encode=writes_otherwise), "two encodings"),
    "another value": (decoder("another value", encode=writes_otherwise, is_canonical=False), "another value"),
    "unwritable": (decoder("unwritable", encode=can_not_write), "can not be written"),
}


# --- a machine that counts to a lock's combination -------------------------------------------


@record
class Lock(Record):
    clock: Clock = Clock()
    right: int = 0
    is_broken: bool = False


@record
class Digit(Record):
    value: int


COMBINATION = (3, 1, 4, 1, 5)


def reduce(state: Lock, action: Any, now: Timestamp) -> tuple[Lock, FollowUps]:
    """Knows how many digits were right in a row, which only a search that keeps what is new gets far with."""
    if action.value == 99:
        raise InvariantViolationError(f"no such digit at {now}")
    right = state.right + 1 if action.value == COMBINATION[state.right] else 0
    if right == len(COMBINATION):
        return state.replace(right=0, is_broken=True), ()
    return state.replace(right=right), (Seen(right),)


@record
class Seen(Record):
    right: int


LOCK = Machine(Lock, reducers=[(Digit, reduce)], effects=[Seen])
register_machine("planted lock", LOCK)


def draw(dice: Dice, state: Lock, _effects: tuple[Any, ...]) -> Input:
    return Input(Digit(99 if dice.below(400) == 0 else dice.below(10)), Timestamp(state.clock.now + dice.below(3)))


def check(state: Lock) -> None:
    if state.is_broken:
        raise InvariantViolationError(f"the lock is open after {state.clock.last_action_id} actions")


TARGET = MachineTarget("planted.lock", "planted lock", lambda: (Lock(),), lambda: check, draw, lambda _before, after: after.right == 0)

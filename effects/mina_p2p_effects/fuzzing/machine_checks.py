"""What the state machine promises, checked on one dispatch and on a whole case."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any, Final

from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.record import Record, record
from mina_p2p.store import Machine, RawRefusals, RawSteps
from mina_p2p.trace.errors import LogError
from mina_p2p.trace.machines import RegisteredMachine, machine_named
from mina_p2p.trace.minimise import Input, OnProgress
from mina_p2p_effects.fuzzing.cases import Case, Fault, reduced
from mina_p2p_effects.fuzzing.costs import processor_time

MEMORY_BASE: Final = 4 << 20
"""Bytes of memory that any dispatch may take."""
MEMORY_PER_BYTE: Final = 400
"""Bytes of memory for each byte of the input's frame, beside that."""
SECONDS_MAX: Final = 2.0
"""Processor time that one dispatch may take."""

StateCheck = Callable[[Any], None]
"""Looks at the states of one run, one after the other; raises `InvariantViolationError` for a bad one."""


@record
class MachineTarget(Record):
    """A state machine to be searched."""

    name: str
    machine: str
    """The name under which it is registered, see `mina_p2p.trace.machines`."""
    starts: Callable[[], tuple[Any, ...]]
    """The states to begin with."""
    new_check: Callable[[], StateCheck]
    """Makes a check for one run: it may remember what it has seen."""
    draw: Callable[..., Input]
    """``(dice, state, latest effects) -> input``."""
    is_setback: Callable[[Any, Any], bool]
    """Whether, from the first state to the second, something ended that takes long to come about, such as a connection."""

    @property
    def registered(self) -> RegisteredMachine:
        """Its machine."""
        return machine_named(self.machine)


class FaultError(Exception):
    """A promise that was broken; the text says which."""


@record
class Stepped(Record):
    """What came of one input."""

    state: Any
    effects: list[Any]
    steps: RawSteps
    refused: RawRefusals


def step(execute: Callable[..., Any], state: Any, item: Input, check: StateCheck) -> Stepped | None:
    """Dispatch one input, and check what must hold after it; ``None`` where the machine does not take it.

    :param execute: `Machine.execute`, or something around it.
    :raises FaultError: where a promise is broken.
    """
    try:
        after, effects, _, steps, refused = execute(state, item.action, item.now)
        if not steps and after is not state:
            raise FaultError("a refused input changed the state")
        check(after)
    except CallerError:
        return None
    except InvariantViolationError as violation:
        raise FaultError(f"InvariantViolationError: {violation}") from violation
    return Stepped(after, effects, steps, refused)


def examine_dispatch(registered: RegisteredMachine, state: Any, item: Input) -> None:
    """What takes too long to be checked each time: costs, determinism, and that a log can hold input and state.

    :raises FaultError: where a promise is broken.
    """
    machine, schema = registered.machine, registered.schema
    tracemalloc.start()
    try:
        first = _outcome(machine, state, item)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = len(getattr(item.action, "frame", b""))
    if peak > MEMORY_BASE + MEMORY_PER_BYTE * size:
        raise FaultError(f"dispatching {type(item.action).__name__} of {size} bytes took {peak} bytes of memory")
    second, seconds = processor_time(lambda: _outcome(machine, state, item), SECONDS_MAX)
    if seconds > SECONDS_MAX:
        raise FaultError(f"dispatching {type(item.action).__name__} took {seconds:.1f} s")
    if first != second:
        raise FaultError(f"dispatched twice, {type(item.action).__name__} has two outcomes")
    try:
        for what, value in (("input", item.action), ("state", state)):
            if schema.decode(schema.encode(value)) != value:
                raise FaultError(f"a log gives back another {what}: {type(value).__name__}")
    except LogError as error:
        raise FaultError(f"a log can not hold it: {error}") from error


def _outcome(machine: Machine[Any], state: Any, item: Input) -> Any:
    try:
        after, effects, first_id, steps, refused = machine.execute(state, item.action, item.now)
    except (CallerError, InvariantViolationError) as error:
        return str(error)
    return after, effects, first_id, steps, [(action, cause, depth) for action, cause, depth, _ in refused]


def fault_of(case: Case, new_check: Callable[[], StateCheck], *, is_thorough: bool = True) -> Fault | None:
    """The first promise that a case shows to be broken.

    :param is_thorough: whether everything is checked at every input, see `examine_dispatch`.
    """
    registered = machine_named(case.machine)
    state, check = case.initial_state, new_check()
    try:
        check(state)
    except InvariantViolationError as violation:
        return Fault(-1, f"InvariantViolationError: {violation}")
    for at, item in enumerate(case.inputs):
        try:
            found = step(registered.machine.execute, state, item, check)
            if is_thorough and found is not None:
                examine_dispatch(registered, state, item)
        except FaultError as error:
            return Fault(at, str(error))
        if found is not None:
            state = found.state
    return None


def shrink(
    case: Case, new_check: Callable[[], StateCheck], *, tries_max: int, progress: OnProgress | None = None
) -> tuple[Case, Fault] | None:
    """The fewest inputs that show the same fault, and that fault; ``None`` where the case shows none."""
    registered = machine_named(case.machine)
    is_thorough = fault_of(case, new_check, is_thorough=False) is None
    fault = fault_of(case, new_check, is_thorough=is_thorough)
    if fault is None:
        return None

    def find(smaller: Case) -> Fault | None:
        return fault_of(smaller, new_check, is_thorough=is_thorough)

    return reduced(registered.machine, case, fault, find, tries_max=tries_max, progress=progress)

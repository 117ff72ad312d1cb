"""Cases: the inputs that show a fault, as a log, as a pytest file, and played back.

A case is what a log holds without what followed: a machine's name, a state, and inputs. It is
kept as an ordinary log, so every tool for logs opens it. Where the machine fails at an input,
the log says that nothing followed from it: ``mina-p2p replay`` then names the failure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from mina_p2p.errors import CallerError, InvariantViolationError, MinaP2pError
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import Machine, Steps
from mina_p2p.trace.errors import BadChunk, Gap, LogError, LogFault
from mina_p2p.trace.machines import machine_named
from mina_p2p.trace.minimise import TRIES_MAX, Input, OnProgress, smallest
from mina_p2p.trace.reader import Reader, State
from mina_p2p.trace.records import Records
from mina_p2p.trace.writer import Tape, Writer
from mina_p2p_effects.fuzzing.rebind import Rebinder
from mina_p2p_effects.replay import FileSource

Check: TypeAlias = Callable[[Any], object]
"""Looks at a state; raises `AssertionError` or one of the library's errors, or returns ``False``, where it is wrong."""

_VARYING: Final = re.compile(r"b'[^']*'|b\"[^\"]*\"|[0-9a-f]{8,}|\d+")


@record
class Case(Record):
    """Inputs of a machine, from a state on."""

    machine: str
    """The name under which it is registered, see `mina_p2p.trace.machines`."""
    initial_state: Any
    inputs: tuple[Input, ...]


@record
class Fault(Record):
    """What went wrong, and where."""

    at: int
    """Which input showed it, from 0; -1 for the state before the first."""
    text: str

    @property
    def kind(self) -> str:
        """The same for the same fault of other inputs: the text without its numbers and bytes."""
        return kind_of_fault(self.text)


def kind_of_fault(text: str) -> str:
    """The text of a fault without the numbers and bytes in it."""
    return _VARYING.sub("#", text)


def read_case(path: str | Path) -> Case:
    """The inputs of a log with the state before them.

    Where a part of the log is damaged or missing, the case begins at the first checkpoint behind it.

    :raises LogError: where it is no log, or one of other classes, or of a machine that is not registered;
        ``ABSENT`` where no state in it can be read.
    :raises OSError: where the file can not be read.
    """
    with FileSource(path) as source:
        reader = Reader(source)
        header = reader.header()
        registered = machine_named(header.machine)
        state: Any = None
        inputs: list[Input] = []
        why = "it has none"
        for item in reader.items(registered.schema, upgrade=registered.upgrade(header)):
            match item:
                case State(encoded=encoded) if state is None:
                    state = registered.schema.decode(encoded)
                case Records() if state is not None:
                    inputs += [Input(action, Timestamp(now)) for action, now in zip(item.inputs, item.times, strict=True)]
                case BadChunk() | Gap():
                    why = str(item)
                    state = None
                    inputs.clear()
                case _:
                    pass
    if state is None:
        raise LogError(LogFault.ABSENT, f"a state to begin with: {why}")
    return Case(header.machine, state, tuple(inputs))


def write_case(path: str | Path, case: Case, metadata: Mapping[str, str] | None = None) -> None:
    """Write a case as a log; a file that exists is replaced.

    :param metadata: texts for the header.
    :raises LogError: where the machine is not registered, or an input can not be written.
    :raises OSError: where the file can not be written.
    """
    registered = machine_named(case.machine)
    machine, state = registered.machine, case.initial_state
    writer = Writer(machine, case.machine, state, version=registered.version, metadata=metadata, schema=registered.schema)
    for item in case.inputs:
        try:
            state, _, steps = machine.dispatch(state, item.action, item.now)
        except CallerError:
            continue
        except InvariantViolationError:
            writer.add(item.action, item.now, Steps(0, [], []), state)
            break
        writer.add(item.action, item.now, steps, state)
    writer.close()
    tape = Tape(registered.schema)
    Path(path).write_bytes(b"".join(map(tape.append, writer.take())) + tape.finish())


def play(case: Case, check: Check | None = None, machine: Machine[Any] | None = None) -> Fault | None:
    """Run a case, and say what goes wrong first.

    A violation that the machine finds is a fault; so is what ``check`` refuses, at the start or after an input.
    An input that the machine does not take, such as one whose time goes back, is left out.

    :param machine: what to run instead of the machine that the case names.
    :raises LogError: where the machine is not registered.
    """
    run = machine or machine_named(case.machine).machine
    state = case.initial_state
    if check is not None and (text := _refusal(check, state)) is not None:
        return Fault(-1, text)
    for at, item in enumerate(case.inputs):
        try:
            state, _, _ = run.dispatch(state, item.action, item.now)
        except CallerError:
            continue
        except InvariantViolationError as violation:
            return Fault(at, f"{type(violation).__name__}: {violation}")
        if check is not None and (text := _refusal(check, state)) is not None:
            return Fault(at, text)
    return None


def _refusal(check: Check, state: Any) -> str | None:
    try:
        verdict = check(state)
    except (AssertionError, MinaP2pError) as error:
        return f"{type(error).__name__}: {error}"
    return f"{getattr(check, '__name__', 'the check')} said no" if verdict is False else None


def minimise_case(
    case: Case,
    check: Check | None = None,
    *,
    tries_max: int = TRIES_MAX,
    progress: OnProgress | None = None,
    machine: Machine[Any] | None = None,
) -> tuple[Case, Fault]:
    """The case with the fewest inputs that still show the same fault, and that fault.

    :param check: as in `play`.
    :param tries_max: how often the case is played at most, in parts.
    :raises CallerError: where the case shows no fault.
    """
    fault = play(case, check, machine)
    if fault is None:
        raise CallerError("nothing goes wrong in this log; what it is checked for never fails")
    run = machine or machine_named(case.machine).machine
    return reduced(run, case, fault, lambda smaller: play(smaller, check, machine), tries_max=tries_max, progress=progress)


def reduced(
    machine: Machine[Any], case: Case, fault: Fault, find: Callable[[Case], Fault | None], *, tries_max: int, progress: OnProgress | None
) -> tuple[Case, Fault]:
    """The case with the fewest inputs in which ``find`` finds a fault of the same kind, and that fault.

    Numbers that the machine gives follow, see `mina_p2p_effects.fuzzing.rebind`; where they can not, such as
    those inside frames, the inputs are tried as they are.
    """
    until_then = case.inputs[: fault.at + 1]
    bound = Rebinder(machine, case.initial_state, until_then)
    best, found = case.replace(inputs=until_then), fault

    def fails(places: list[int]) -> bool:
        nonlocal best, found
        rebound, plain = bound.part(places), tuple(until_then[place] for place in places)
        for inputs in (rebound,) if rebound == plain else (rebound, plain):
            smaller = case.replace(inputs=inputs)
            shown = find(smaller)
            if shown is not None and shown.kind == fault.kind:
                best, found = smaller, shown
                return True
        return False

    smallest(range(len(until_then)), fails, tries_max=tries_max, progress=progress)
    return best, found


def write_pytest_file(log: str | Path, assertion: str | None = None, path: str | Path | None = None) -> Path:
    """Write a pytest file that plays the log beside it, and fails as long as the fault is there.

    :param log: where the case is, see `write_case`; the test looks for it in its own folder.
    :param assertion: what to check after each input, as ``module:function``; without, only what the machine finds itself.
    :param path: of the test; by default ``test_NAME.py`` beside ``NAME.mplog``.
    :returns: where it is.
    :raises CallerError: where ``assertion`` is not of that form.
    :raises OSError: where the file can not be written.
    """
    log = Path(log)
    name = re.sub(r"\W+", "_", log.stem).strip("_").lower() or "log"
    target = log.with_name(f"test_{name}.py") if path is None else Path(path)
    target.write_text("".join(f"{line}\n" for line in _pytest_lines(log.name, name, assertion)))
    return target


def _pytest_lines(log: str, name: str, assertion: str | None) -> Iterator[str]:
    module, colon, function = (assertion or ":").partition(":")
    if assertion is not None and not (colon and all(map(str.isidentifier, (*module.split("."), function)))):
        raise CallerError(f"{assertion!r} is no module:function, such as my_checks:pools_agree")
    yield f'"""What went wrong in {log} does not happen again."""'
    yield ""
    yield "from pathlib import Path"
    yield ""
    if assertion is not None:
        yield f"from {module} import {function}"
    yield "from mina_p2p_effects.fuzzing.cases import play, read_case"
    yield ""
    yield f"LOG = Path(__file__).with_name({log!r})"
    yield ""
    yield ""
    yield f"def test_{name}() -> None:"
    yield f'    """{f"`{function}` holds after each input, and no" if assertion is not None else "No"} input of the log makes the machine fail."""'
    yield f"    assert play(read_case(LOG){f', {function}' if assertion is not None else ''}) is None"

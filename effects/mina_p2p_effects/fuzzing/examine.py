"""What a decoder promises, checked on one input."""

from __future__ import annotations

import traceback
import tracemalloc
from typing import Any, Final

from mina_p2p.record import Record, record
from mina_p2p_effects.fuzzing.cases import kind_of_fault
from mina_p2p_effects.fuzzing.costs import processor_time
from mina_p2p_effects.fuzzing.decoders import MEMORY_BASE, Decoder

SECONDS_MAX: Final = 2.0
"""Processor time that one input may take, however long it is; an input has at most 64 KiB."""


@record
class Examined(Record):
    """What came of one input."""

    feature: str
    """What kind of outcome that is: equal for inputs of which one is enough."""
    fault: str | None = None
    """The promise that was broken."""


def examine(decoder: Decoder, data: bytes) -> Examined:
    """Read one input: a value or a declared error, and what was read is written again as it was."""
    try:
        value = decoder.decode(data)
    except decoder.errors as error:
        return Examined(kind_of_fault(f"{type(error).__name__} {error}"))
    except Exception as error:  # noqa: BLE001 - the search is for whatever it raises
        return Examined("", f"{_raised(error)}, which it does not declare")
    if decoder.encode is None:
        return Examined("read")
    try:
        again = decoder.encode(value)
    except Exception as error:  # noqa: BLE001 - as above
        return Examined("", f"what it read can not be written: {_raised(error)}")
    if decoder.is_canonical:
        return Examined("read") if again == data else Examined("", "what it read is written otherwise: a value has two encodings")
    try:
        is_same = decoder.decode(again) == value
    except Exception as error:  # noqa: BLE001 - as above
        return Examined("", f"what it wrote of a value that it read can not be read: {_raised(error)}")
    return Examined("read" if is_same else "", None if is_same else "what it wrote of a value that it read is read as another value")


def _raised(error: Exception) -> str:
    """The error, and where: two errors of one kind from different places are two findings."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]} {frames[-1].name}" if frames else "nowhere"
    return f"{type(error).__name__} in {place}: {error}"


def examine_costs(decoder: Decoder, data: bytes) -> str | None:
    """Whether reading takes more memory or time than the input justifies, or differs from time to time; slow, for samples."""
    tracemalloc.start()
    try:
        first = _outcome(decoder, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    allowed = MEMORY_BASE + decoder.memory_factor * len(data)
    if peak > allowed:
        return f"reading {len(data)} bytes took {peak} bytes of memory, more than {allowed}"
    second, seconds = processor_time(lambda: _outcome(decoder, data), SECONDS_MAX)
    if seconds > SECONDS_MAX:
        return f"reading {len(data)} bytes took {seconds:.1f} s"
    is_same = first == second or repr(first) == repr(second)  # what is no number is not equal to itself
    return None if is_same else "read twice, it is not the same"


def _outcome(decoder: Decoder, data: bytes) -> Any:
    try:
        return decoder.decode(data)
    except Exception as error:  # noqa: BLE001 - `examine` judges it
        return f"{type(error).__name__} {error}"

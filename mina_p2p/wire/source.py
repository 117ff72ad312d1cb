"""Source text with notes: which field each generated line belongs to.

The compiled functions carry no paths, so reading and writing cost nothing extra.
When one fails, its traceback knows the line in each generated function and the
values of the local variables there; the notes turn that into a field path and an
offset.
"""

from __future__ import annotations

from itertools import count
from types import TracebackType
from typing import Any, Final

from mina_p2p.codegen import compile_function
from mina_p2p.record import Record, record


@record
class Part(Record):
    """One field of a run of fields that a single line reads: ``size`` bytes at ``start`` of the run."""

    start: int
    size: int
    path: str


@record
class Note(Record):
    """What one generated line works on.

    ``path`` may name loop variables in braces. ``parts`` are the fields of a run;
    ``start`` is how far behind the variable ``p`` the field begins.
    """

    path: str
    start: int = 0
    parts: tuple[Part, ...] = ()


_NOTES: Final[dict[str, list[Note]]] = {}
"""The notes of every generated function, by its file name; code objects of different functions may be equal."""
_numbers: Final = count(1)


class Source:
    """Collects the lines of one function, the constants it names, and the notes."""

    def __init__(self, header: str) -> None:
        self.lines = [header]
        self.notes = [Note("")]
        self.namespace: dict[str, Any] = {}
        self._depth = 1
        self._count = 0
        self._names: dict[int, str] = {}

    def line(self, text: str, note: Note) -> None:
        """Add one line at the current depth."""
        self.lines.append("    " * self._depth + text)
        self.notes.append(note)

    def indent(self) -> None:
        """The following lines belong to the last one."""
        self._depth += 1

    def dedent(self) -> None:
        """The block ends."""
        self._depth -= 1

    def name(self, prefix: str) -> str:
        """A variable name that nothing else in the function has."""
        self._count += 1
        return f"{prefix}{self._count}"

    def constant(self, prefix: str, value: Any) -> str:
        """A global name for ``value``."""
        known = self._names.get(id(value))
        if known is None:
            known = self._names[id(value)] = f"{prefix}{len(self._names)}"
            self.namespace[known] = value
        return known

    def compile(self, name: str, label: str) -> Any:
        """The finished function."""
        made = compile_function(name, "\n".join(self.lines) + "\n", self.namespace, f"{label} {next(_numbers)}")
        _NOTES[made.__code__.co_filename] = self.notes
        return made


def locate(traceback: TracebackType | None, size: int) -> tuple[str, int]:
    """The path and offset at which generated code failed on an input of ``size`` bytes."""
    path = ""
    offset = 0
    while traceback is not None:
        notes = _NOTES.get(traceback.tb_frame.f_code.co_filename)
        if notes is not None:
            variables = traceback.tb_frame.f_locals
            note = notes[traceback.tb_lineno - 1]
            offset = variables.get("p", 0) + note.start
            ending = note.path
            for part in note.parts:
                if offset + part.start + part.size > size:
                    ending = part.path
                    offset += part.start
                    break
            path += ending.format_map(variables)
        traceback = traceback.tb_next
    return path.removeprefix("."), offset

"""The machines that logs name: which code replays a log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from mina_p2p.errors import CallerError
from mina_p2p.store import Machine
from mina_p2p.trace.errors import LogError, LogFault
from mina_p2p.trace.migrate import Migration, Upgrade
from mina_p2p.trace.records import Header
from mina_p2p.trace.schema import Schema


class RegisteredMachine:
    """A machine under the name that logs give it."""

    def __init__(
        self, name: str, machine: Machine[Any] | Callable[[], Machine[Any]], version: int, migrations: Mapping[int, Migration]
    ) -> None:
        self.name = name
        self.version = version
        """Of its classes."""
        self.migrations = dict(migrations)
        """By the version they start from."""
        self.source = machine
        """What was registered."""

    @cached_property
    def machine(self) -> Machine[Any]:
        """The machine; made on first use where a function was registered."""
        return self.source() if callable(self.source) else self.source

    @cached_property
    def schema(self) -> Schema:
        """Its classes; compiled on first use.

        :raises LogError: ``UNWRITABLE`` or ``SECRET``, see `Schema`.
        """
        return Schema.of(self.machine)

    def upgrade(self, header: Header) -> Upgrade | None:
        """What brings a log with this header up to the classes at hand; ``None`` where it has these.

        :raises LogError: ``SCHEMA`` where that is not possible.
        """
        if header.schema_digest == self.schema.digest:
            return None
        return Upgrade(header, self.schema, self.version, self.migrations)


_machines: dict[str, RegisteredMachine] = {}


def register_machine(
    name: str,
    machine: Machine[Any] | Callable[[], Machine[Any]],
    *,
    version: int = 1,
    migrations: Mapping[int, Migration] | None = None,
) -> RegisteredMachine:
    """Let logs that name ``name`` be replayed by ``machine``.

    :param machine: the machine, or a function that imports it when the first log asks.
    :param version: of its classes. Raise it where old records need a migration: fields that are
        new and have a default, and classes that are new, need none.
    :param migrations: by the version that each starts from.
    :raises CallerError: where the name is taken by another machine.
    """
    known = _machines.get(name)
    if known is not None and known.source is not machine:
        raise CallerError(f"the name {name!r} is taken by another machine; choose one of your own")
    made = _machines[name] = RegisteredMachine(name, machine, version, migrations or {})
    return made


def machine_named(name: str) -> RegisteredMachine:
    """The machine that logs call ``name``.

    :raises LogError: ``MACHINE`` where none is registered.
    """
    found = _machines.get(name)
    if found is None:
        known = ", ".join(sorted(_machines)) or "none"
        raise LogError(LogFault.MACHINE, f"{name!r}; registered: {known}. Register it with mina_p2p.trace.register_machine")
    return found


def _shipped_machine() -> Machine[Any]:
    from mina_p2p.reducer import p2p_machine  # noqa: PLC0415 - the log format does not need the node's slices

    return p2p_machine()


SHIPPED_MACHINE = register_machine("mina_p2p", _shipped_machine)
"""The machine of a node of this library."""

"""`Ledger`: what of a campaign is done, in a file, so that it goes on where it was interrupted.

The file is lines of JSON: the settings first, then one line for each seed that has run to its end.
A line that was cut off by a crash is not counted, and its seed runs again. `LineLedger` is that for entries of any kind.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

from cattrs.preconf.json import make_converter

from mina_p2p.errors import CallerError
from mina_p2p.record import Record, record
from mina_p2p.testing.campaign import Outcome
from mina_p2p_effects.campaigns.runner import Done, Job

E = TypeVar("E")
"""What is noted of a seed: a record."""

_CONVERTER: Final = make_converter()


class LineLedger(Generic[E]):
    """The results of one campaign, whatever seeds it has come to by now."""

    def __init__(self, path: Path, settings: Mapping[str, Any], kind: type[E], seed_of: Callable[[E], int]) -> None:
        """Open or begin the file.

        :param settings: what decides the campaign but for the seeds, as JSON has it; it must be as it was when the file was begun.
        :raises CallerError: where the file is no ledger, or one of a campaign with other settings or of another version.
        :raises OSError: where it can not be read or written.
        """
        self._path = path
        self._settings = {**settings, "version": metadata.version("mina-p2p")}
        self._kind = kind
        self._seed_of = seed_of
        self.entries: dict[int, E] = {}
        """By seed."""
        lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
        *whole, torn = lines
        if whole:
            self._read(whole)
        if torn or not whole:
            # What is whole stays, what was cut off goes, and a new file gets its first line.
            kept = whole or [json.dumps(self._settings).encode()]
            self._replace(b"".join(line + b"\n" for line in kept))

    def _read(self, lines: list[bytes]) -> None:
        try:
            settings, *entries = [json.loads(line) for line in lines]
            found = [_CONVERTER.structure(entry, self._kind) for entry in entries]
        except Exception as error:
            raise CallerError(f"{self._path} is no file of a campaign") from error
        if settings != self._settings:
            raise CallerError(f"{self._path} belongs to another campaign: {_first_difference(settings, self._settings)}")
        self.entries = {self._seed_of(entry): entry for entry in found}

    def put(self, entry: E) -> None:
        """Note what came of a seed; it is on the disk when this returns."""
        with self._path.open("ab") as file:
            file.write(json.dumps(_CONVERTER.unstructure(entry)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.entries[self._seed_of(entry)] = entry

    def _replace(self, content: bytes) -> None:
        beside = self._path.with_name(self._path.name + ".new")
        beside.write_bytes(content)
        beside.replace(self._path)


def settings_of(options: Any) -> dict[str, Any]:
    """A record of options as the settings of a ledger: without its ``seed``."""
    settings: dict[str, Any] = json.loads(json.dumps(_CONVERTER.unstructure(options)))
    del settings["seed"]
    return settings


@record
class _Entry(Record):
    outcome: Outcome
    real_seconds: float
    is_deterministic: bool | None


class Ledger:
    """A `LineLedger` of simulated networks."""

    def __init__(self, path: Path, job: Job) -> None:
        """Open or begin the file, as `LineLedger` does.

        :param job: any one of the campaign; all but its seed must be as it was when the file was begun.
        """
        self._lines = LineLedger(path, _settings(job), _Entry, lambda entry: entry.outcome.seed)

    def done(self, jobs: list[Job]) -> list[Done]:
        """Those of some jobs that are done."""
        found = [(job, self._lines.entries.get(job.options.seed)) for job in jobs]
        return [Done(job, entry.outcome, entry.real_seconds, entry.is_deterministic) for job, entry in found if entry is not None]

    def add(self, done: Done) -> None:
        """Note that a job is done; it is on the disk when this returns."""
        self._lines.put(_Entry(done.outcome, done.real_seconds, done.is_deterministic))


def _settings(job: Job) -> dict[str, Any]:
    settings = settings_of(job.options)
    for choice in ("is_libp2p", "is_about_blocks"):
        if not settings[choice]:
            # Files from before there was such a choice are of runs without it.
            del settings[choice]
    return {**settings, "is_twice": job.is_twice, "liars": list(job.liars)}


def _first_difference(found: Any, wanted: dict[str, Any]) -> str:
    if not isinstance(found, dict):
        return "its first line says no settings"
    settings = cast("dict[str, Any]", found)
    for name in sorted({*settings, *wanted}):
        if settings.get(name) != wanted.get(name):
            return f"{name} was {settings.get(name)!r}, and is {wanted.get(name)!r}"
    return "it says the same in other words"

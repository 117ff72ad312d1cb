"""`Ledger`: what of a campaign is done, in a file, so that it goes on where it was interrupted.

The file is lines of JSON: the settings first, then one line for each seed that has run to its end.
A line that was cut off by a crash is not counted, and its seed runs again.
"""

from __future__ import annotations

import json
import os
from importlib import metadata
from pathlib import Path
from typing import Any, Final, cast

from cattrs.preconf.json import make_converter

from mina_p2p.errors import CallerError
from mina_p2p.record import Record, record
from mina_p2p.testing.campaign import Options, Outcome
from mina_p2p_effects.campaigns.runner import Done, Job

_CONVERTER: Final = make_converter()


@record
class _Entry(Record):
    outcome: Outcome
    real_seconds: float
    is_deterministic: bool | None


class Ledger:
    """The results of one campaign, whatever seeds it has come to by now."""

    def __init__(self, path: Path, job: Job) -> None:
        """Open or begin the file.

        :param job: any one of the campaign; all but its seed must be as it was when the file was begun.
        :raises CallerError: where the file is no ledger, or one of a campaign with other settings or of another version.
        :raises OSError: where it can not be read or written.
        """
        self._path = path
        self._settings = _settings(job)
        self.outcomes: dict[int, tuple[Outcome, float, bool | None]] = {}
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
            found = [_CONVERTER.structure(entry, _Entry) for entry in entries]
        except Exception as error:
            raise CallerError(f"{self._path} is no file of a campaign") from error
        if settings != self._settings:
            raise CallerError(f"{self._path} belongs to another campaign: {_first_difference(settings, self._settings)}")
        self.outcomes = {entry.outcome.seed: (entry.outcome, entry.real_seconds, entry.is_deterministic) for entry in found}

    def done(self, jobs: list[Job]) -> list[Done]:
        """Those of some jobs that are done."""
        return [Done(job, *self.outcomes[job.options.seed]) for job in jobs if job.options.seed in self.outcomes]

    def add(self, done: Done) -> None:
        """Note that a job is done; it is on the disk when this returns."""
        entry = _Entry(done.outcome, done.real_seconds, done.is_deterministic)
        with self._path.open("ab") as file:
            file.write(json.dumps(_CONVERTER.unstructure(entry)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.outcomes[done.outcome.seed] = done.outcome, done.real_seconds, done.is_deterministic

    def _replace(self, content: bytes) -> None:
        beside = self._path.with_name(self._path.name + ".new")
        beside.write_bytes(content)
        beside.replace(self._path)


def _settings(job: Job) -> dict[str, Any]:
    options: dict[str, Any] = json.loads(json.dumps(_CONVERTER.unstructure(job.options, unstructure_as=Options)))
    del options["seed"]
    return {**options, "is_twice": job.is_twice, "liars": list(job.liars), "version": metadata.version("mina-p2p")}


def _first_difference(found: Any, wanted: dict[str, Any]) -> str:
    if not isinstance(found, dict):
        return "its first line says no settings"
    settings = cast("dict[str, Any]", found)
    for name in sorted({*settings, *wanted}):
        if settings.get(name) != wanted.get(name):
            return f"{name} was {settings.get(name)!r}, and is {wanted.get(name)!r}"
    return "it says the same in other words"

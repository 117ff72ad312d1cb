"""Findings as files: written so that they can be opened and run again, and run again."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Final

from mina_p2p.errors import CallerError
from mina_p2p.record import Record, record
from mina_p2p.trace.errors import LogError
from mina_p2p_effects.fuzzing.cases import Case, read_case, write_case
from mina_p2p_effects.fuzzing.decoders import decoders
from mina_p2p_effects.fuzzing.examine import examine, examine_costs
from mina_p2p_effects.fuzzing.machine_checks import MachineTarget, fault_of
from mina_p2p_effects.fuzzing.machines import machine_targets
from mina_p2p_effects.fuzzing.search import Finding

LOG_SUFFIX: Final = ".mplog"
BYTES_SUFFIX: Final = ".bin"
TEXT_SUFFIX: Final = ".txt"
"""Of inputs that no log can hold, which is then the finding: to be read, not run."""
_BETWEEN: Final = "--"
"""Between the target's name and a digest, in the name of a file."""


@record
class Written(Record):
    """A finding and its file."""

    finding: Finding
    path: Path

    @property
    def command(self) -> str:
        """What shows it again."""
        return f"mina-p2p fuzz --replay {self.path}" if self.path.suffix != TEXT_SUFFIX else f"less {self.path}"


def write_finding(folder: Path, finding: Finding, seed: int) -> Written:
    """Write a finding: inputs of a machine as a log, those of a decoder as they are.

    :raises OSError: where the folder or the file can not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digest = blake2b("\n".join(finding.kind).encode(), digest_size=6).hexdigest()
    suffix = LOG_SUFFIX if isinstance(finding.evidence, Case) else BYTES_SUFFIX
    path = folder / f"{finding.target}{_BETWEEN}{digest}{suffix}"
    if isinstance(finding.evidence, Case):
        try:
            write_case(path, finding.evidence, {"finding": finding.text, "target": finding.target, "seed": str(seed)})
        except LogError:
            path = path.with_suffix(TEXT_SUFFIX)
            path.write_text("".join(f"{item!r}\n" for item in finding.evidence.inputs))
    else:
        path.write_bytes(finding.evidence)
    return Written(finding, path)


def replay_finding(path: Path, target: str | None = None) -> str | None:
    """Run the file of a finding again: what it shows, ``None`` where all is well.

    :param target: its name, where the file's own does not begin with it.
    :raises CallerError: where there is no such target.
    :raises OSError: where the file can not be read.
    :raises LogError: where it is no log, or one of other classes.
    """
    name = target or path.name.rpartition(_BETWEEN)[0]
    machine, decoder = machine_targets().get(name), decoders().get(name)
    if machine is not None:
        return _replay_log(path, machine)
    data = path.read_bytes()
    if decoder is None:
        what = f"no target is called {target!r}" if target else f"the name of {path.name} does not begin with that of a target"
        raise CallerError(f"{what}; mina-p2p fuzz --list names them, --target chooses one for --replay")
    return examine(decoder, data).fault or examine_costs(decoder, data)


def _replay_log(path: Path, target: MachineTarget) -> str | None:
    fault = fault_of(read_case(path), target.new_check)
    return None if fault is None else f"input {fault.at + 1}: {fault.text}"

"""`Search`: what the engine asks of each target, and `ByteSearch`, which does it for decoders."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, Protocol

from mina_p2p.record import Record, record
from mina_p2p.testing.dice import Dice
from mina_p2p.trace.minimise import smallest
from mina_p2p_effects.fuzzing.cases import Case, kind_of_fault
from mina_p2p_effects.fuzzing.coverage import Coverage, line_coverage
from mina_p2p_effects.fuzzing.decoders import Decoder
from mina_p2p_effects.fuzzing.examine import examine, examine_costs
from mina_p2p_effects.fuzzing.mutations import SIZE_MAX, mutate

CORPUS_MAX: Final = 512
"""Inputs of one target that are kept ..."""
CORPUS_BYTES_MAX: Final = 2 << 20
"""... and their bytes: there are many targets."""

SHRINK_TRIES_MAX: Final = 2_000
COSTS_EVERY: Final = 64
"""Of so many inputs one is examined for what it costs."""
_BYTES_PER_EXECUTION: Final = 512
"""Input of this length counts as another execution: a turn takes about the same time for each target."""


@record
class Finding(Record):
    """A broken promise, with the smallest input that shows it."""

    target: str
    text: str
    evidence: bytes | Case
    """The input of a decoder; the inputs of the state machine."""

    @property
    def kind(self) -> tuple[str, str]:
        """The same for the same fault of other inputs."""
        return self.target, kind_of_fault(self.text)


class Search(Protocol):
    """A search under way in one target."""

    name: str
    executions: int

    @property
    def coverage(self) -> int:
        """How many different lines and outcomes were seen."""
        ...

    def turn(self, budget: int) -> list[Finding]:
        """Go on for about so many executions; what happens depends on the seed and the budgets alone."""
        ...

    def corpus(self) -> dict[str, bytes]:
        """What showed something new, as files by their names."""
        ...

    def load(self, kept: bytes) -> None:
        """Begin with what one of these files holds, too; one that can not be read is left out."""
        ...


class ByteSearch:
    """Mutates inputs of one decoder, and keeps those that show something new."""

    def __init__(self, decoder: Decoder, seed: int) -> None:
        self.name: str = decoder.name
        self.executions = 0
        self._decoder = decoder
        self._dice = Dice(seed, decoder.name)
        self._lines: Coverage = line_coverage()
        self._features: set[str] = set()
        self._corpus: list[bytes] = []
        self._corpus_bytes = 0
        self._found: set[str] = set()
        self._waiting = [b"", *decoder.seeds(self._dice)]
        self._seeds = tuple(self._waiting)

    @property
    def coverage(self) -> int:
        """How many different lines and outcomes were seen."""
        return self._lines.count + len(self._features)

    def corpus(self) -> dict[str, bytes]:
        """The inputs that showed something new, and those that were not tried yet."""
        return {blake2b(data, digest_size=8).hexdigest(): data for data in (*self._corpus, *self._waiting)}

    def load(self, kept: bytes) -> None:
        """Begin with this input, too."""
        self._waiting.append(kept[:SIZE_MAX])

    def turn(self, budget: int) -> list[Finding]:
        """Go on for about so many executions."""
        findings: list[Finding] = []
        with self._lines:
            while budget > 0:
                data = self._next()
                budget -= 1 + len(data) // _BYTES_PER_EXECUTION
                text = self._try(data)
                if text is not None and (kind := kind_of_fault(text)) not in self._found:
                    self._found.add(kind)
                    findings.append(self._shrunk(data, text))
        return findings

    def _next(self) -> bytes:
        if self._waiting:
            return self._waiting.pop()
        dice = self._dice
        if dice.below(16) == 0 or not self._corpus:
            return dice.choice(self._seeds) if dice.below(4) else dice.raw(dice.below(64))
        return mutate(min(self._pick(), self._pick(), key=len), dice, (self._pick(), dice.choice(self._seeds)))

    def _pick(self) -> bytes:
        """One of the corpus, of its newest half of the times."""
        size = len(self._corpus)
        at = size - 1 - self._dice.below(min(size, 16)) if self._dice.below(2) else self._dice.below(size)
        return self._corpus[at]

    def _try(self, data: bytes) -> str | None:
        """One execution: the fault that it shows."""
        self.executions += 1
        lines = self._lines.count
        outcome = self._lines.call(examine, self._decoder, data)
        if outcome.fault is not None:
            return outcome.fault
        if self._lines.count > lines or outcome.feature not in self._features:
            self._features.add(outcome.feature)
            self._keep(data)
        return examine_costs(self._decoder, data) if self.executions % COSTS_EVERY == 0 else None

    def _keep(self, data: bytes) -> None:
        self._corpus.append(data)
        self._corpus_bytes += len(data)
        while len(self._corpus) > CORPUS_MAX or self._corpus_bytes > CORPUS_BYTES_MAX:
            self._corpus_bytes -= len(self._corpus.pop(self._dice.below(len(self._corpus))))

    def _shrunk(self, data: bytes, text: str) -> Finding:
        kind = kind_of_fault(text)

        def fault(candidate: bytes) -> str | None:
            return examine(self._decoder, candidate).fault or examine_costs(self._decoder, candidate)

        def fails(candidate: list[int]) -> bool:
            found = fault(bytes(candidate))
            return found is not None and kind_of_fault(found) == kind

        members: list[int] = list(data)
        left: list[int] = smallest(members, fails, tries_max=SHRINK_TRIES_MAX)
        small = bytes(left)
        return Finding(self.name, fault(small) or text, small)

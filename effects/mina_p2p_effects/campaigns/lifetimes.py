"""Running one life of a network that gossips addresses, see `mina_p2p.testing.lifetimes`."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import TypeAlias

from mina_p2p.record import Record, record
from mina_p2p.testing.lifetimes import Life, Options, Outcome
from mina_p2p_effects.campaigns.runner import Broken, rare_collections


@record
class Lived(Record):
    """What came of one seed."""

    outcome: Outcome
    real_seconds: float

    @property
    def is_good(self) -> bool:
        """Whether nothing speaks against the library."""
        return self.outcome.is_good


LifeResult: TypeAlias = Lived | Broken[Options]


def live(options: Options, progress: Callable[[Life, str], None] | None = None) -> Lived:
    """Run one seed.

    :param progress: called as the life goes on, with what happens now.
    """
    began = time.perf_counter()
    life = Life(options)
    with rare_collections() as collect:
        for what in life.course():
            collect()
            if progress is not None:
                progress(life, what)
    return Lived(life.outcome(), round(time.perf_counter() - began, 3))


def live_alone(options: Options) -> LifeResult:
    """Run one seed among many; it always has a result."""
    try:
        return live(options)
    except Exception:  # noqa: BLE001 - whatever it is, it belongs in the report, and the other seeds go on
        return Broken(options, traceback.format_exc())

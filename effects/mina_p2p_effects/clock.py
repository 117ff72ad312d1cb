"""Time as inputs need it: nanoseconds since the epoch that never go back."""

from __future__ import annotations

import time

from mina_p2p.ids import Timestamp


class Clock:
    """Wall time at its making, monotonic from then on; a step of the system's clock does not show."""

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.monotonic_ns()

    def now(self) -> Timestamp:
        """The present time."""
        return Timestamp(self._offset + time.monotonic_ns())

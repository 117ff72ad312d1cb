"""The console that the commands print on."""

from __future__ import annotations

import rich.console


class Console(rich.console.Console):
    """As rich has it, but a reader that went away is an error like any other, which `main` knows how to end on."""

    def on_broken_pipe(self) -> None:
        """Do not do as rich does: it would end the process here, in the middle of whatever runs."""
        raise BrokenPipeError("nobody reads what is printed")

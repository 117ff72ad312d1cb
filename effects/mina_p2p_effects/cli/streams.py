"""The standard streams, as they may be found: closed, full, or with nobody who reads."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

_MODES: Final = {0: "r", 1: "w", 2: "w"}


def mend_streams() -> None:
    """Open ``/dev/null`` in place of standard streams that are closed, and let every text be printed somehow.

    A socket or a log would otherwise get the number of a closed one, and what is printed would go there.
    """
    for number, mode in _MODES.items():
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            # Stays open to the end of the process, like any standard stream.
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, ("stdin", "stdout", "stderr")[number], stream)
    stdout: Any = sys.stdout
    if getattr(stdout, "errors", None) == "strict" and hasattr(stdout, "reconfigure"):
        # A terminal of another encoding, or a path that is no text, must not end a command; standard error does so by itself.
        stdout.reconfigure(errors="backslashreplace")


def silence_stdout() -> None:
    """Let what is still to be printed vanish, since it can not be written."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)

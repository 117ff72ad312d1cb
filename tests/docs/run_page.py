"""Runs the Python blocks of one page, given as JSON on standard input; exits with 1 where one does not do what the page says."""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import linecache
import sys
from types import ModuleType


def main() -> int:
    given = json.load(sys.stdin)
    page, programme = given["page"], given["programme"]
    # A module of its own, since records are looked up by the module that defines them.
    module = sys.modules["__main__"] = ModuleType("__main__")
    for line, code, expected in programme:
        # Blank lines in front, so that a traceback names the line of the page.
        source = "\n" * (line - 1) + code
        linecache.cache[page] = len(source), None, source.splitlines(keepends=True), page
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(source, page, "exec", dont_inherit=True), module.__dict__)
        if expected is not None and not doctest.OutputChecker().check_output(expected, printed.getvalue(), doctest.ELLIPSIS):
            sys.stderr.write(f"{page}:{line} prints\n{printed.getvalue()}\nand the page says\n{expected}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

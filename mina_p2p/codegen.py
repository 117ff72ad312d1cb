"""Compiling functions from source text: the only place in the project that calls ``exec``.

Constructors, wire codecs and log codecs are specialised for the fields of one
class. Their sources are built from class and field names that Python itself has
accepted as identifiers, never from data.
"""

from __future__ import annotations

import linecache
from typing import Any


def compile_function(name: str, source: str, namespace: dict[str, Any], label: str) -> Any:
    """Compile ``source``, which defines ``name``, over the globals ``namespace``.

    :param label: what the function belongs to, shown in tracebacks as ``<label>``.
    :returns: the function; its source is kept for tracebacks and debuggers.
    """
    filename = f"<{label}>"
    scope = dict(namespace)
    exec(compile(source, filename, "exec"), scope)
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    return scope[name]

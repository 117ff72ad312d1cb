"""The reader of jsan's references, as the interface has it (``jsan`` 3.1.14 ``lib/cycle.js``)."""

from __future__ import annotations

import json
import re
from typing import Any

_STEP = re.compile(r'(?:\.(\w+))|(?:\[(\d+)\])|(?:\["((?:[^\\"]|\\.)*)"\])', re.ASCII)


def parse(text: str) -> Any:
    """The value that the interface makes of a text."""
    root = json.loads(text)
    _resolve(root, root)
    return root


def _resolve(value: Any, root: Any) -> None:
    places = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for name, item in places:
        if isinstance(item, dict) and "$jsan" in item:
            value[name] = _at(root, item["$jsan"])
        elif isinstance(item, dict | list):
            _resolve(item, root)


def _at(root: Any, path: str) -> Any:
    for match in _STEP.finditer(path):
        name = match[1] or match[2] or match[3]
        root = root[int(name)] if isinstance(root, list) else root[name.replace('\\"', '"')]
    return root

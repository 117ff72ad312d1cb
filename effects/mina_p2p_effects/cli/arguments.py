"""Numbers on the command line, with messages that say which are taken."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

PORT_MAX: Final = 65535
SEED_MAX: Final = 2**64 - 1

_DIGITS_MAX: Final = 30
"""Longer numbers are cut in messages, and not even read: Python refuses some with an error of its own."""


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """A converter for argparse: whole numbers from ``least`` to ``most``."""
    bounds = f"at least {least}" if most is None else f"{least} to {most}"

    def number(text: str) -> int:
        value = whole_or_none(text)
        if value is None or value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"{shortened(text)!a} is no whole number, {bounds}")
        return value

    return number


def port(text: str) -> int:
    """A converter for argparse: a port, or 0."""
    value = whole_or_none(text)
    if value is None or not 0 <= value <= PORT_MAX:
        raise argparse.ArgumentTypeError(f"{shortened(text)!a} is no port, 0 to {PORT_MAX}")
    return value


def seconds(text: str) -> float:
    """A converter for argparse: a time to wait; ``inf`` is one."""
    try:
        value = float(text[: _DIGITS_MAX + 1])
    except ValueError:
        value = math.nan
    if len(text) > _DIGITS_MAX or not value > 0:
        raise argparse.ArgumentTypeError(f"{shortened(text)!a} is no time to wait, in seconds")
    return value


def http_url(text: str) -> str:
    """A converter for argparse: the URL of a server."""
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise argparse.ArgumentTypeError(f"{shortened(text)!a} is no http or https URL")
    return text


def rate(text: str) -> int:
    """A converter for argparse: a share of 0 to 1, as percent."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{shortened(text)!a} is no share of 0 to 1")
    return round(100 * share)


def https_url(text: str) -> str:
    """A converter for argparse: the URL of a server that proves who it is."""
    if not http_url(text).lower().startswith("https:"):
        raise argparse.ArgumentTypeError(
            f"{shortened(text)!a} is not an https URL; what names peers is not taken over unprotected connections"
        )
    return text


def directory(text: str) -> Path:
    """A converter for argparse: a directory, which need not be there yet."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{shortened(text)} is a file; name a directory")
    return path


def new_file(text: str) -> Path:
    """A converter for argparse: a file that can be written, as far as that can be told before the work begins."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{shortened(text)} is no place for a file: the directory must be there")
    return path


def whole_or_none(text: str) -> int | None:
    """The whole number that a text is; ``None`` where it is none, or longer than anything sensible."""
    return int(text) if len(text) <= _DIGITS_MAX and text.removeprefix("-").isdecimal() else None


def shortened(text: str) -> str:
    """A text for a message."""
    return text if len(text) <= 2 * _DIGITS_MAX else f"{text[:_DIGITS_MAX]}..."

"""Liars by name: those of the library, and those that users write."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mina_p2p.errors import CallerError
from mina_p2p.testing.block_liars import BLOCK_STRATEGIES
from mina_p2p.testing.liars import STRATEGIES, Strategy


def strategies_of(names: tuple[str, ...], default: tuple[type[Strategy], ...] = STRATEGIES) -> tuple[type[Strategy], ...]:
    """Classes for the names of strategies.

    :param names: of classes in `mina_p2p.testing.liars` or `mina_p2p.testing.block_liars`, or ``module:Class`` for others.
    :param default: what there is where nothing is named.
    :raises CallerError: for a name that is none.
    """
    return tuple(map(_strategy, names)) or default


def _strategy(name: str) -> type[Strategy]:
    module, colon, attribute = name.partition(":")
    if not colon:
        shipped = {strategy.__name__: strategy for strategy in (*STRATEGIES, *BLOCK_STRATEGIES)}
        if name not in shipped:
            raise CallerError(f"{name!r} is no liar; there are {', '.join(shipped)}, and module:Class for your own")
        return shipped[name]
    try:
        found: Any = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise CallerError(f"{name!r} can not be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise CallerError(f"{name!r} is no subclass of mina_p2p.testing.liars.Strategy")
    return found

"""What every interop test needs: the other nodes' programs, and a loop to run on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from inspect import signature
from typing import Any

import pytest

from interop.peers import DEADLINE_S, command_of, unavailable

if find_spec("Crypto") is None:
    unavailable("pycryptodome is not installed; it comes with the extra `libp2p`")

KINDS = ["go", "ocaml", "js"]

Test = Callable[..., Coroutine[Any, Any, None]]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """Builds the other nodes, each once."""
    folder = tmp_path_factory.mktemp("interop")
    return lambda kind: command_of(kind, folder)


def run(test: Test) -> Callable[..., None]:
    """Run a test on a loop of its own."""

    def inner(**arguments: Any) -> None:
        async def whole() -> None:
            async with asyncio.timeout(2 * DEADLINE_S):
                await test(**arguments)

        asyncio.run(whole())

    inner.__doc__, inner.__name__ = test.__doc__, test.__name__
    inner.__signature__ = signature(test)  # pyright: ignore[reportFunctionMemberAccess] - pytest finds fixtures by it
    return inner

"""What every interop test needs: what is missing, and a loop to run on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from inspect import signature
from typing import Any

from interop.peers import DEADLINE_S, unavailable

if find_spec("Crypto") is None:
    unavailable("pycryptodome is not installed; it comes with the extra `libp2p`")

KINDS = ["go", "ocaml", "js"]

Test = Callable[..., Coroutine[Any, Any, None]]


def run(test: Test) -> Callable[..., None]:
    """Run a test on a loop of its own."""

    def inner(**arguments: Any) -> None:
        async def whole() -> None:
            async with asyncio.timeout(2 * DEADLINE_S):
                await test(**arguments)

        asyncio.run(whole())

    inner.__doc__, inner.__name__ = test.__doc__, test.__name__
    inner.__signature__ = signature(test)  # pytest finds fixtures by it
    return inner

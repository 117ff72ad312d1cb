"""The other nodes' programs, built once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from interop.peers import command_of


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """Builds the other nodes, each once."""
    folder = tmp_path_factory.mktemp("interop")
    return lambda kind: command_of(kind, folder)

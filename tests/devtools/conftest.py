from collections.abc import Iterator
from pathlib import Path

import pytest
from debugger.recorded import record_network, troubled_log

from mina_p2p_effects.logs import LogSession, open_session


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a node with whom somebody broke the protocol."""
    return troubled_log(record_network(tmp_path_factory.mktemp("network")))


@pytest.fixture
def session(log: Path) -> Iterator[LogSession]:
    with open_session(log) as opened:
        yield opened

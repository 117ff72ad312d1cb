from pathlib import Path

import pytest

from debugger.recorded import record_network, troubled_log


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs of a network."""
    return record_network(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="session")
def log(network: Path) -> Path:
    """The log of a node with whom somebody broke the protocol."""
    return troubled_log(network)

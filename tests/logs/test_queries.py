"""Every query of the how-to page runs over the logs of a network and finds something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mina_p2p_effects.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "query-a-log.md"
FENCE = re.compile(r"^```sql\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_every_query_of_the_page_finds_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten or more, and none that fails or comes back empty."""
    duckdb = pytest.importorskip("duckdb", reason="queries are run where DuckDB is installed")
    pytest.importorskip("pyarrow", reason="needs the extra export")
    options = ["--nodes", "4", "--seed", "4", "--faults", "none", "--duration", "3", "--transactions", "6"]
    assert main(["simulate", *options, "--record", str(tmp_path / "logs"), "--json"]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["log", "export", "logs", "log.parquet"]) == 0
    queries = FENCE.findall(PAGE.read_text())
    assert queries[0].startswith("CREATE")
    assert len(queries) > 10
    connection = duckdb.connect()
    connection.execute(queries[0])
    for query in queries[1:]:
        assert connection.execute(query).fetchall(), query
    connection.close()

"""Parquet: a table with a row for each action, for DuckDB and data frames. Needs the extra ``export``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from mina_p2p.errors import CallerError
from mina_p2p_effects.logs.exports.jsonl import rows
from mina_p2p_effects.logs.session import LogSession

ROWS_PER_GROUP: Final = 50_000
"""Rows that are held until they are written."""

_INT_BITS: Final = 64


def export_parquet(sessions: Sequence[LogSession], path: Path) -> int:
    """Write the actions of all logs into one table.

    Columns: node, id, cause, root, depth, time (UTC), ns (the same in nanoseconds), kind, peer, connection, channel, bytes,
    refused (list of kinds), action (JSON text).

    :returns: how many rows.
    :raises CallerError: where pyarrow is not installed.
    :raises OSError: where the file can not be written.
    """
    try:
        pa, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise CallerError("Parquet needs pyarrow: pip install 'mina-p2p[export]'") from None
    schema = _schema(pa)
    count = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        batch: list[dict[str, Any]] = []
        for session in sessions:
            for row in rows(session):
                batch.append(_columns(row))
                if len(batch) == ROWS_PER_GROUP:
                    writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                    count += len(batch)
                    batch.clear()
        writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    return count + len(batch)


def _columns(row: dict[str, Any]) -> dict[str, Any]:
    action = None if row["action"] is None else json.dumps(row["action"], ensure_ascii=False)
    connection = row["connection"]
    if connection is not None and connection.bit_length() >= _INT_BITS:
        connection = None  # said by a damaged or forged log; the action's text has it
    return {**row, "connection": connection, "time": row["time"] // 1_000, "ns": row["time"], "action": action}


def _schema(pa: Any) -> Any:
    return pa.schema(
        [
            ("node", pa.string()),
            ("id", pa.int64()),
            ("cause", pa.int64()),
            ("root", pa.int64()),
            ("depth", pa.int32()),
            ("time", pa.timestamp("us")),
            ("ns", pa.int64()),
            ("kind", pa.string()),
            ("peer", pa.string()),
            ("connection", pa.int64()),
            ("channel", pa.string()),
            ("bytes", pa.int64()),
            ("refused", pa.list_(pa.string())),
            ("action", pa.string()),
        ]
    )

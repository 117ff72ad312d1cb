"""Logs in the formats of other tools: `perfetto`, `devtools`, `jsonl` and `parquet`, a module each."""

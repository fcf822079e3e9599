"""A cell's trials as files: all of them in Parquet, and a table that MLflow shows itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ember_bench.tracking.fields import TABLE_NAME, cut

PARQUET_NAME: Final = "trials.parquet"

# The browser loads the table whole, once for each run that it compares.
_MOST_ROWS_SHOWN: Final = 2_000
_LONGEST_SHOWN: Final = 1_000

SCHEMA: Final = pa.schema(
    [
        ("item", pa.string()),
        ("epoch", pa.int32()),
        ("outcome", pa.dictionary(pa.int8(), pa.string())),
        ("score", pa.float64()),
        ("answer", pa.string()),
        ("explanation", pa.string()),
        ("error", pa.string()),
        ("cost_usd", pa.float64()),
        ("latency_seconds", pa.float64()),
        ("calls", pa.int32()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("target", pa.string()),
        ("item_digest", pa.string()),
        ("cluster", pa.string()),
    ]
)

# Needed to compare two runs, and of no use to readers.
_NOT_SHOWN: Final = frozenset({"epoch", "item_digest", "cluster"})


def write_tables(batches: Iterable[Mapping[str, Sequence[Any]]], folder: Path) -> None:
    """Write the trials of a cell to `folder`, a batch at a time.

    The table for MLflow has the format of its `log_table`, without the way through pandas; it has
    the first 2,000 rows, and no column that is empty throughout. MLflow compares runs by the first
    column, and shows the second until told otherwise.
    """
    shown: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    room = _MOST_ROWS_SHOWN
    with pq.ParquetWriter(folder / PARQUET_NAME, SCHEMA, compression="zstd") as writer:
        for batch in batches:
            table = pa.RecordBatch.from_arrays(
                [_array(batch, field) for field in SCHEMA], schema=SCHEMA
            )
            writer.write_batch(table)
            for name, values in shown.items():
                column = batch.get(name, [None] * table.num_rows)
                values.extend(map(_shown, column[:room]))
            room = max(0, room - table.num_rows)
    (folder / TABLE_NAME).write_bytes(_table(shown))


def _array(batch: Mapping[str, Sequence[Any]], field: pa.Field) -> pa.Array:
    if field.name not in batch:
        return pa.nulls(len(batch["item"]), field.type)
    values = batch[field.name]
    if not pa.types.is_string(field.type) and not pa.types.is_dictionary(field.type):
        return pa.array(values, field.type)
    texts = pa.array([None if value is None else str(value) for value in values], pa.string())
    return texts if pa.types.is_string(field.type) else texts.cast(field.type)


def _table(columns: Mapping[str, list[Any]]) -> bytes:
    """Return the rows as `DataFrame.to_json(orient="split")` has them."""
    epochs = columns["epoch"]
    if len(set(epochs)) > 1:
        pairs = zip(columns["item"], epochs, strict=True)
        columns = {**columns, "item": [f"{item} · epoch {epoch}" for item, epoch in pairs]}
    used = {
        name: values
        for name, values in columns.items()
        if name not in _NOT_SHOWN and set(values) != {None}
    }
    rows = list(zip(*used.values(), strict=True))
    return msgspec.json.encode({"columns": list(used), "data": rows})


def _shown(value: Any) -> Any:
    return cut(value, _LONGEST_SHOWN) if isinstance(value, str) else value

"""The records of a file, however it holds them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from codecs import BOM_UTF8
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson

from ember_bench.models.recorded.fields import KEY, VALUE
from ember_bench.record_fields import ABSENT, lookup, top_fields

if TYPE_CHECKING:
    from ember_bench.models.recorded.fields import Reading

Record = Mapping[str, Any]

SUFFIXES: Final = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
_TABLES: Final = (".csv", ".tsv", ".parquet")


class UnreadableError(ValueError):
    """A file is not what its name says; the message says in what way, and the line where."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def records(
    name: str, content: bytes, reading: Reading, paths: Collection[str]
) -> Iterator[tuple[int, Record]]:
    """Yield each record and the line where it ends; in a JSON file, which one it is.

    Args:
        name: Of the file; its endings say what it holds.
        content: Of the file.
        reading: How it holds records.
        paths: Paths of all fields that are needed; other columns are not looked at.

    Raises:
        UnreadableError: if it does not hold records in that way.
    """
    name = name.lower()
    if name.endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableError(f"not a whole gzip file: {error}") from None
    name = name.removesuffix(".gz")
    try:
        for number, record in _of_file(name, content, reading, paths):
            for inner in _inner(_decoded(record, reading), reading):
                yield number, inner
    except (csv.Error, ValueError) as error:
        if isinstance(error, UnreadableError):
            raise
        raise UnreadableError(f"cannot be read: {error}") from None


def is_table(file: str) -> bool:
    """Return whether a file has rows and columns alone, by its name."""
    return file.lower().removesuffix(".gz").endswith(_TABLES)


def _of_file(
    name: str, content: bytes, reading: Reading, paths: Collection[str]
) -> Iterator[tuple[int, Record]]:
    if name.endswith(".parquet"):
        yield from _of_parquet(content, paths)
    elif name.endswith((".csv", ".tsv")):
        yield from _of_csv(content, reading.delimiter or ("\t" if name.endswith("tsv") else ","))
    elif name.endswith((".jsonl", ".ndjson")):
        yield from _of_lines(content.removeprefix(BOM_UTF8), reading, paths)
    else:
        yield from _of_json(_loads(content.removeprefix(BOM_UTF8)), reading, paths)


def _loads(content: bytes) -> Any:
    """Return JSON, also with NaN, which Python's own writer makes of numbers that are none."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        if not any(word in content for word in (b"NaN", b"Infinity")):
            raise
        return json.loads(content)


def _decoded(record: Record, reading: Reading) -> Record:
    """Return a record with the JSON in its fields read."""
    if not reading.json_fields:
        return record
    found = dict(record)
    for name in reading.json_fields:
        if isinstance(text := found.get(name), str) and text:
            try:
                found[name] = _loads(text.encode())
            except orjson.JSONDecodeError as error:
                raise UnreadableError(f"{name}: not JSON: {error.msg}") from None
    return found


def _inner(record: Record, reading: Reading) -> Iterator[Record]:
    """Yield the records in a list of a record, each beside its other fields; else itself."""
    if reading.each is None:
        yield record
        return
    found = lookup(record, reading.each)
    if isinstance(found, Mapping):
        entries = [_record(entry, key) for key, entry in found.items()]
    elif isinstance(found, list):
        entries = [_record(entry) for entry in found]
    else:
        raise UnreadableError(f"no list {reading.each!r} in a record")
    for entry in entries:
        yield {**record, **entry}


def _of_parquet(content: bytes, paths: Collection[str]) -> Iterator[tuple[int, Record]]:
    from pyarrow import ArrowException, BufferReader, parquet  # noqa: PLC0415 - heavy

    try:
        table = parquet.read_table(BufferReader(content))
    except ArrowException as error:
        raise UnreadableError(f"cannot be read: {error}") from None
    wanted = top_fields(paths, table.column_names)
    kept = table.select([name for name in table.column_names if name in wanted])
    yield from enumerate(kept.to_pylist(), 1)


def _of_csv(content: bytes, delimiter: str) -> Iterator[tuple[int, Record]]:
    text = io.StringIO(content.decode("utf-8-sig"), newline="")
    rows = csv.reader(text, strict=True, delimiter=delimiter)
    names = next(rows, [])
    for row in rows:
        if len(row) != len(names):
            raise UnreadableError(f"expected {len(names)} columns, found {len(row)}", rows.line_num)
        yield rows.line_num, dict(zip(names, row, strict=True))


def _of_lines(
    content: bytes, reading: Reading, paths: Collection[str]
) -> Iterator[tuple[int, Record]]:
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = _loads(line)
        except orjson.JSONDecodeError as error:
            raise UnreadableError(f"not JSON: {error.msg}", number) from None
        if not isinstance(value, Mapping):
            raise UnreadableError("expected a record of named fields", number)
        if reading.layout == "records" and reading.records is None:
            yield number, value
        else:
            for _, record in _of_json(value, reading, paths):
                yield number, record


def _of_json(value: Any, reading: Reading, paths: Collection[str]) -> Iterator[tuple[int, Record]]:
    if reading.records is not None:
        found = lookup(value, reading.records) if isinstance(value, Mapping) else ABSENT
        if found is ABSENT:
            raise UnreadableError(f"no field {reading.records!r}, where the records should be")
        value = found
    if reading.layout == "record":
        yield 1, _record(value)
    elif reading.layout == "columns":
        yield from enumerate(_of_columns(value, paths), 1)
    elif reading.layout == "by_id":
        if not isinstance(value, Mapping):
            raise UnreadableError("expected a mapping of ids to records")
        yield from enumerate((_record(entry, key) for key, entry in value.items()), 1)
    elif isinstance(value, list):
        yield from enumerate(map(_record, value), 1)
    else:
        raise UnreadableError(
            "expected a JSON list of records; of a mapping say what it is (`layout: columns`,"
            " `layout: by_id`) or where in it the list is (`records`)"
        )


def _record(value: Any, key: str | None = None) -> Record:
    record = value if isinstance(value, Mapping) else {VALUE: value}
    return record if key is None else {KEY: key, **record}


def _of_columns(columns: Any, paths: Collection[str]) -> Iterator[Record]:
    """Yield the records of a mapping with a list, or a mapping by id, for each field.

    A field with anything else has it in every record.
    """
    if not isinstance(columns, Mapping):
        raise UnreadableError("expected a mapping with a list for each field")
    wanted = top_fields(paths, columns)
    columns = {name: column for name, column in columns.items() if name in wanted}
    by_id = {name: column for name, column in columns.items() if isinstance(column, Mapping)}
    listed = {name: column for name, column in columns.items() if isinstance(column, list)}
    same = {name: column for name, column in columns.items() if name not in {*by_id, *listed}}
    if by_id:
        same |= listed
        for key in dict.fromkeys(key for column in by_id.values() for key in column):
            own = {name: column[key] for name, column in by_id.items() if key in column}
            yield {KEY: key, **same, **own}
        return
    _same_length(listed)
    for values in zip(*listed.values(), strict=True):
        yield {**same, **dict(zip(listed, values, strict=True))}


def _same_length(columns: Mapping[str, Sequence[Any]]) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if not lengths:
        raise UnreadableError("expected a mapping with a list for each field")
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise UnreadableError(f"its columns are not equally long: {told}")

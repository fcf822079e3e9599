"""Formats of files of records: JSON Lines, JSON, CSV, TSV (each also compressed) and Parquet."""

from __future__ import annotations

import codecs
import csv
import json
import math
import sys
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final, Literal, get_args

from ember_bench.compressed import (
    DAMAGED,
    ENDINGS,
    NotOneFileError,
    inner_name,
    is_damage,
    kind_of,
    unpacked,
)
from ember_bench.datasets.records import Record, Records
from ember_bench.errors import ConfigError, Location, Problem, did_you_mean
from ember_bench.models.recorded.data_dir import Text
from ember_bench.models.recorded.fields import VALUE, Arranged
from ember_bench.models.recorded.layouts import (
    UnreadableError,
    arranged,
    decoded,
    entries_of,
    one_after_another,
)
from ember_bench.record_fields import ABSENT, lookup, top_fields

_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Rows = Iterator[tuple[int, Record]]
Delimiter = Literal[",", ";", "\t", "|"]
DELIMITERS: Final[tuple[Delimiter, ...]] = get_args(Delimiter)
Format = Literal["jsonl", "json", "csv", "tsv", "parquet"]


class Layout(Arranged):
    """The way in which records stand in a file."""

    format: Format | None = None
    """The format, where the ending of the name does not say it."""
    delimiter: Delimiter | None = None
    """The character between the columns of a CSV file; by default a comma, in `.tsv` a tab."""
    field: Text | None = None
    """The field of a JSON file that holds its records."""


def open_records(
    path: Path, layout: Layout | None = None, *, wanted: frozenset[str] = frozenset()
) -> Records:
    """Return the records of a file, which is read while they are iterated.

    Args:
        path: The ending of its name says its format, unless `layout` does.
        layout: The way in which the records stand in it.
        wanted: The fields that matter; of a Parquet file no other column is read.

    Raises:
        ConfigError: here or while reading, with the line, if the file cannot be read.
    """
    layout = layout or Layout()
    form = layout.format or _format(path)
    for key, forms in _OPTIONS.items():
        if getattr(layout, key) is not None and form not in forms:
            raise _fail(path, f"`{key}` is for {forms[0].upper()} files")
    try:
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _fail(path, _unreadable(path, error)) from None
    if form in _TABLES and layout.layout != "records":
        raise _fail(path, "`layout` is for JSON files; a table has records only")
    rows = _READERS[form](path, wanted, layout)
    if layout.each or layout.json_fields:
        rows = _opened(path, rows, layout)
    unit: Literal["line", "record"] = "line" if form in _LINED else "record"
    return Records(
        path.name, f"sha256:{digest}", rows, unit, partial(_locate, path, unit), path.parent
    )


def _format(path: Path) -> Format:
    """Return the format that the ending of a name says."""
    inner = Path(inner_name(path.name))
    suffix = inner.suffix.lower()
    if inner.name != path.name and suffix in (".parquet", ".pq"):
        raise _fail(path, "a Parquet file is compressed inside; unpack it")
    if form := _FORMATS.get(suffix):
        return form
    if suffix in _SHEETS:
        raise _fail(path, "a spreadsheet: save its sheet as CSV (UTF-8)")
    raise _fail(
        path,
        f"cannot tell what it holds; its name should end in {', '.join(_ENDINGS)}, compressed "
        f"({', '.join(ENDINGS)}) or not",
    )


def _locate(path: Path, unit: str, number: int, message: str) -> Problem:
    if unit == "line":
        return Problem(message, Location(path, number))
    return Problem(f"record {number}: {message}", Location(path))


def _fail(
    path: Path, message: str, line: int | None = None, column: int | None = None
) -> ConfigError:
    return ConfigError(Problem(message, Location(path, line, column)))


def _unreadable(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and path.parent.is_dir():
        near = did_you_mean(path.name, (p.name for p in path.parent.iterdir() if p.is_file()))
        return f"no such file{near}"
    return f"cannot read it: {error.strerror or error}"


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of UTF-8 text, with their ends, without a byte order mark."""
    number = 0
    try:
        with path.open("rb") as packed, unpacked(path.name, packed) as file:
            for number, line in enumerate(file, 1):
                if number == 1 and line.startswith(_UTF16):
                    raise _fail(path, "it looks like UTF-16; save it as UTF-8", 1)
                raw = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                try:
                    yield number, raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    what = f"not UTF-8 text: byte 0x{raw[error.start]:02x}; save it as UTF-8"
                    column = len(raw[: error.start].decode("utf-8")) + 1
                    raise _fail(path, what, number, column) from None
    except NotOneFileError as error:
        raise _fail(path, str(error)) from None
    except DAMAGED as error:
        if isinstance(error, OSError) and not is_damage(error):
            raise _fail(path, _unreadable(path, error)) from None
        kind = kind_of(path.name)
        if not number:
            raise _fail(path, f"not {kind} data: {error}") from None
        what = f"the {kind} data is cut short or damaged after this line; get the file again"
        raise _fail(path, what, number) from None


def _jsonl(path: Path, wanted: frozenset[str], layout: Layout) -> Rows:
    for number, line in _lines(path):
        if not line.strip():
            continue
        # With its end, an object that breaks off would be reported on the next line.
        record = _loads(line.rstrip("\r\n"), path, number, " (each line holds one whole object)")
        if layout.layout != "records":
            for _, one in _arranged(path, record, wanted, layout):
                yield number, one
        elif isinstance(record, dict) or VALUE in top_fields(wanted, ()):
            yield number, record if isinstance(record, dict) else {VALUE: record}
        else:
            found = _json_kind(record)
            hint = (
                "; a file with one array is named .json, or says `format: json`"
                if isinstance(record, list)
                else ""
            )
            raise _fail(path, f"expected a JSON object, found {found}{hint}", number)


def _json(path: Path, wanted: frozenset[str], layout: Layout) -> Rows:
    text = "".join(line for _, line in _lines(path))
    try:
        data = _loads(text, path, 1)
    except ConfigError:
        if (data := one_after_another(text)) is None:
            raise
    if layout.field is not None:
        data = _inside(data, layout.field, path)
    if layout.layout != "records":
        yield from _arranged(path, data, wanted, layout)
        return
    if not isinstance(data, list):
        lists = (
            [repr(key) for key, value in data.items() if isinstance(value, list)]
            if isinstance(data, dict)
            else []
        )
        hint = f"; name its list on the card, `field: {' or '.join(lists)}`" if lists else ""
        hint = hint or ("; `layout` says how a mapping holds records" * isinstance(data, dict))
        raise _fail(path, f"expected a JSON array of objects, found {_json_kind(data)}{hint}")
    for number, record in enumerate(data, 1):
        if not isinstance(record, dict) and VALUE not in top_fields(wanted, ()):
            found = _json_kind(record)
            raise ConfigError(_locate(path, "record", number, f"expected an object, found {found}"))
        yield number, record if isinstance(record, dict) else {VALUE: record}


def _arranged(path: Path, data: Any, wanted: frozenset[str], layout: Layout) -> Rows:
    try:
        yield from arranged(data, layout, wanted)
    except UnreadableError as error:
        raise _fail(path, str(error)) from None


def _opened(path: Path, rows: Rows, layout: Layout) -> Rows:
    """Yield the records in the lists of records, and the values in their texts."""
    unit = "line" if (layout.format or _format(path)) in _LINED else "record"
    for number, record in rows:
        try:
            for entry in entries_of(decoded(record, layout), layout.each):
                yield number, entry
        except UnreadableError as error:
            raise ConfigError(_locate(path, unit, number, str(error))) from None


def _inside(data: Any, field: str, path: Path) -> Any:
    """Return what is in a field of a JSON file."""
    if not isinstance(data, dict):
        found = _json_kind(data)
        raise _fail(path, f"expected a JSON object with a field {field!r}, found {found}")
    if (inner := lookup(data, field)) is ABSENT:
        raise _fail(path, f"it has no field {field!r}{did_you_mean(field, map(str, data))}")
    return inner


def _loads(text: str, path: Path, line: int, hint: str = "") -> Any:
    # Not orjson: it turns integers past 64 bits into floats, and a target must stay exact.
    try:
        return json.loads(text, parse_constant=_constant)
    except json.JSONDecodeError as error:
        what = f"not valid JSON: {error.msg}{hint}"
        raise _fail(path, what, line + error.lineno - 1, error.colno) from None
    except ValueError as error:
        raise _fail(path, f"not valid JSON: {error}", line) from None
    except RecursionError:
        raise _fail(path, "nested too deeply", line) from None


def _constant(name: str) -> float:
    """Return NaN, which Python's own writer makes of what is missing in a table."""
    if name != "NaN":
        raise ValueError(f"{name} is not a JSON number")
    return math.nan


def _tsv(path: Path, wanted: frozenset[str], layout: Layout) -> Rows:
    return _table(path, wanted, layout.delimiter or "\t", layout.columns)


def _csv(path: Path, wanted: frozenset[str], layout: Layout) -> Rows:
    return _table(path, wanted, layout.delimiter or ",", layout.columns)


def _table(
    path: Path, wanted: frozenset[str], delimiter: Delimiter, columns: tuple[str, ...] | None
) -> Rows:
    # The limit is one per process; a model's output may be longer than its 131,072 characters.
    csv.field_size_limit(max(csv.field_size_limit(), min(sys.maxsize, 2**31 - 1)))
    reader = csv.reader((line for _, line in _lines(path)), delimiter=delimiter, strict=True)
    line = 1
    try:
        header = list(columns) if columns is not None else _header(reader, path, wanted, delimiter)
        line = reader.line_num + 1
        for values in reader:
            if values:
                if len(values) != len(header):
                    names = "`columns`" if columns is not None else "the header"
                    what = f"{len(header)} columns in {names}, {len(values)} here"
                    raise _fail(path, what, line)
                yield line, dict(zip(header, values, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise _fail(
            path, f"not valid CSV: {_CSV_ERRORS.get(str(error)[:8], error)}", line
        ) from None


def _header(
    reader: Iterator[list[str]], path: Path, wanted: frozenset[str], delimiter: Delimiter
) -> list[str]:
    """Return the names of the columns in the first line."""
    header = next(reader, None)
    if not header:
        raise _fail(path, "expected a header with the names of the columns", 1)
    if len(header) == 1 and wanted and wanted.isdisjoint(header):
        _check_delimiter(path, header[0], delimiter)
    if twins := sorted({name for name in header if header.count(name) > 1}):
        raise _fail(path, "two columns have one name: " + ", ".join(map(repr, twins)), 1)
    return header


def _check_delimiter(path: Path, header: str, delimiter: Delimiter) -> None:
    """Refuse a file whose columns have another delimiter than the one that it is read with.

    Raises:
        ConfigError: naming the delimiter.
    """
    if (other := _most_frequent(header)) is not None:
        what = (
            f"the columns are separated by {other!r}, not by {delimiter!r}; "
            f"write in the card `{{path: {path.name}, delimiter: {json.dumps(other)}}}`"
        )
        raise _fail(path, what, 1)


def other_delimiter(path: Path) -> Delimiter | None:
    """Return the delimiter in the header of a CSV file without commas; None for any other file.

    Raises:
        ConfigError: if the file cannot be read.
    """
    if _format(path) != "csv":
        return None
    header = next((line for _, line in _lines(path)), "")
    return None if "," in header else _most_frequent(header)


def _most_frequent(header: str) -> Delimiter | None:
    found = max(DELIMITERS, key=header.count)
    return found if found in header else None


def _parquet(path: Path, wanted: frozenset[str], _: Layout) -> Rows:
    import pyarrow  # noqa: PLC0415 - costs 0.1 s, and few datasets need it
    from pyarrow import parquet  # noqa: PLC0415

    try:
        with parquet.ParquetFile(path) as file:
            names = set(file.schema_arrow.names)
            tops = top_fields(wanted, names)
            # With an unknown name among them all columns are read, to say what there is.
            columns = sorted(tops) if tops and tops <= names else None
            number = 0
            for batch in file.iter_batches(batch_size=1024, columns=columns):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise _fail(path, f"not a readable Parquet file: {reason}") from None


def _json_kind(value: Any) -> str:
    names = {"dict": "an object", "list": "an array", "str": "text", "NoneType": "null"}
    return names.get(type(value).__name__, "a number or a truth value")


_SHEETS: Final = (".xlsx", ".xls", ".ods", ".numbers")
# The csv module's errors by their beginning.
_CSV_ERRORS: Final[dict[str, str]] = {
    "new-line": "lines end in CR alone, as on old Macs; save it with other line ends",
    "unexpect": "a quotation mark is opened and never closed",
}
_READERS: Final[dict[Format, Callable[[Path, frozenset[str], Layout], Rows]]] = {
    "jsonl": _jsonl,
    "json": _json,
    "csv": _csv,
    "tsv": _tsv,
    "parquet": _parquet,
}
_FORMATS: Final[dict[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_ENDINGS: Final = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
_LINED: Final = ("jsonl", "csv", "tsv")
_TABLES: Final = ("csv", "tsv", "parquet")
# Options of a layout -> the formats that have them.
_OPTIONS: Final[dict[str, tuple[Format, ...]]] = {
    "delimiter": ("csv", "tsv"),
    "columns": ("csv", "tsv"),
    "field": ("json",),
}

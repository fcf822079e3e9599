"""The records of a file, however it holds them."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import sys
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from ember_bench.compressed import DAMAGED, NotOneFileError, inner_name, kind_of, unpacked
from ember_bench.models.recorded.fields import KEY, VALUE, RecordedFormat
from ember_bench.record_fields import ABSENT, lookup, top_fields

if TYPE_CHECKING:
    from ember_bench.models.recorded.fields import Arranged, Reading

Record = Mapping[str, Any]

_FORMATS: Final[dict[str, RecordedFormat]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".txt": "text",
}
SUFFIXES: Final = tuple(_FORMATS)
_TABLES: Final = ("csv", "tsv", "parquet")
_DELIMITERS: Final = ",;\t|"
_DECODER: Final = json.JSONDecoder()
_SPACE: Final = re.compile(r"\s*")


class UnreadableError(ValueError):
    """A file is not what its name says; the message says in what way, and the line where."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def records(
    name: str,
    content: bytes,
    reading: Reading,
    paths: Collection[str],
    *,
    left_out: Callable[[Record], bool] = lambda _: False,
) -> Iterator[tuple[int, Record]]:
    """Yield each record and the line where it ends; in a JSON file, which one it is.

    Args:
        name: Of the file; its endings say what it holds, unless `reading` does.
        content: Of the file.
        reading: How it holds records.
        paths: Paths of all fields that are needed; other columns are not looked at.
        left_out: Whether a record, without the list `each` in it, is not wanted.

    Raises:
        UnreadableError: if it does not hold records in that way.
    """
    try:
        with unpacked(name, io.BytesIO(content)) as file:
            content = file.read()
    except NotOneFileError as error:
        raise UnreadableError(str(error)) from None
    except DAMAGED as error:
        raise UnreadableError(f"not a whole {kind_of(name)} file: {error}") from None
    try:
        for number, record in _of_file(format_of(name, reading), content, reading, paths):
            for inner in entries_of(decoded(record, reading), reading.each, left_out):
                yield number, inner
    except (csv.Error, ValueError) as error:
        if isinstance(error, UnreadableError):
            raise
        raise UnreadableError(f"cannot be read: {error}") from None


def matching(path: Path) -> list[Path]:
    """Return the files of a pattern, in the order of their names; none of any other path."""
    if "*" not in str(path):
        return []
    root = Path(str(path).partition("*")[0] + "x").parent
    return sorted(one for one in root.glob(path.relative_to(root).as_posix()) if one.is_file())


def starred(pattern: str, path: Path) -> str | None:
    """Return what stands for the `*` in the name of a file that a pattern found.

    Several are joined by `/`; None of a name that is no pattern.
    """
    if "*" not in pattern:
        return None
    named = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "([^/]*)")
    found = re.search(f"(?:^|/){named}$", path.as_posix())
    return "/".join(found.groups()) if found is not None else None


def format_of(file: str, reading: Reading) -> RecordedFormat | None:
    """Return the format of a file, by its name unless its card says it; None if neither does."""
    inner = inner_name(file.lower())
    by_name = (form for ending, form in _FORMATS.items() if inner.endswith(ending))
    return reading.format or next(by_name, None)


def is_table(file: str, reading: Reading) -> bool:
    """Return whether a file has rows and columns alone."""
    return format_of(file, reading) in _TABLES


def _of_file(
    form: RecordedFormat | None, content: bytes, reading: Reading, paths: Collection[str]
) -> Iterator[tuple[int, Record]]:
    if form == "parquet":
        yield from _of_parquet(content, paths)
    elif form in ("csv", "tsv"):
        yield from _of_csv(content, reading, "\t" if form == "tsv" else ",", paths)
    elif form == "jsonl":
        yield from _of_lines(content.removeprefix(BOM_UTF8), reading, paths)
    elif form == "text":
        yield 1, {VALUE: content.decode("utf-8-sig")}
    else:
        value = _whole(content.removeprefix(BOM_UTF8))
        if reading.records is not None:
            value = _inside(value, reading.records)
        yield from arranged(value, reading, paths)


def _loads(content: bytes) -> Any:
    """Return JSON, also with NaN, which Python's own writer makes of numbers that are none."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        if not any(word in content for word in (b"NaN", b"Infinity")):
            raise
        return json.loads(content)


def _whole(content: bytes) -> Any:
    """Return the JSON of a file, also of one that holds one record after another."""
    try:
        return _loads(content)
    except ValueError:
        if (found := one_after_another(content.decode())) is None:
            raise
        return found


def one_after_another(text: str) -> list[Record] | None:
    """Return the JSON objects of a text that holds nothing else; None if it does."""
    found: list[Record] = []
    at = _space(text, 0)
    while at < len(text):
        try:
            value, end = _DECODER.raw_decode(text, at)
        except ValueError:
            return None
        if not isinstance(value, dict):
            return None
        found.append(value)
        at = _space(text, end)
    return found


def _space(text: str, at: int) -> int:
    """Return where the white space at `at` ends."""
    space = _SPACE.match(text, at)
    return space.end() if space is not None else at


def decoded(record: Record, arranged: Arranged) -> Record:
    """Return a record with the JSON in its fields read.

    Raises:
        UnreadableError: if a field's text is neither JSON nor a list as Python writes it.
    """
    if not arranged.json_fields:
        return record
    found = dict(record)
    for name in arranged.json_fields:
        if isinstance(text := found.get(name), str) and text:
            found[name] = _value_of(text, name)
    return found


def _value_of(text: str, name: str) -> Any:
    try:
        return _loads(text.encode())
    except orjson.JSONDecodeError as error:
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise UnreadableError(f"{name}: not JSON: {error.msg}") from None


def entries_of(
    record: Record, each: Sequence[str], left_out: Callable[[Record], bool] = lambda _: False
) -> Iterator[Record]:
    """Yield the records in a list of a record, each beside its other fields; else itself.

    Args:
        record: A record.
        each: Paths to lists: the first in the record, each other in the entries before it.
        left_out: Whether a record is not wanted, and so needs no list.

    Raises:
        UnreadableError: if a path leads to no list.
    """
    if not each:
        yield record
        return
    found = lookup(record, each[0])
    if isinstance(found, Mapping):
        entries = [_record(entry, key) for key, entry in found.items()]
    elif isinstance(found, list):
        entries = [_record(entry) for entry in found]
    elif left_out(record):
        return
    else:
        raise UnreadableError(f"no list {each[0]!r} in a record")
    for entry in entries:
        yield from entries_of({**record, **entry}, each[1:], left_out)


def _of_parquet(content: bytes, paths: Collection[str]) -> Iterator[tuple[int, Record]]:
    from pyarrow import ArrowException, BufferReader, parquet  # noqa: PLC0415 - heavy

    try:
        table = parquet.read_table(BufferReader(content))
    except ArrowException as error:
        raise UnreadableError(f"cannot be read: {error}") from None
    wanted = top_fields(paths, table.column_names)
    kept = table.select([name for name in table.column_names if name in wanted])
    yield from enumerate(kept.to_pylist(), 1)


def _of_csv(
    content: bytes, reading: Reading, delimiter: str, paths: Collection[str]
) -> Iterator[tuple[int, Record]]:
    # The limit is one per process; a model's output may be longer than its 131,072 characters.
    csv.field_size_limit(max(csv.field_size_limit(), min(sys.maxsize, 2**31 - 1)))
    try:
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"not UTF-8 text: byte 0x{content[error.start]:02x}; save it as UTF-8"
        raise UnreadableError(what, line) from None
    rows = csv.reader(text, strict=True, delimiter=reading.delimiter or delimiter)
    names = list(reading.columns or next(rows, []))
    if reading.delimiter is None and len(names) == 1 and top_fields(paths, names).isdisjoint(names):
        other = max(_DELIMITERS, key=names[0].count)
        if other in names[0]:
            what = f"the columns are separated by {other!r}: say `delimiter: {json.dumps(other)}`"
            raise UnreadableError(what, 1)
    for row in rows:
        if row and len(row) != len(names):
            raise UnreadableError(f"expected {len(names)} columns, found {len(row)}", rows.line_num)
        if row:
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
            what = f"not JSON: {error.msg}; each line holds one whole record, or say `format: json`"
            raise UnreadableError(what, number) from None
        if reading.layout == "records" and reading.records is None:
            if not isinstance(value, Mapping) and VALUE not in top_fields(paths, ()):
                what = "expected a record of named fields; a list is its field `value`, and a file"
                raise UnreadableError(f"{what} with one list is `format: json`", number)
            yield number, _record(value)
            continue
        if reading.records is not None:
            value = _inside(value, reading.records)
        for _, record in arranged(value, reading, paths):
            yield number, record


def _inside(value: Any, path: str) -> Any:
    found = lookup(value, path) if isinstance(value, Mapping) else ABSENT
    if found is ABSENT:
        raise UnreadableError(f"no field {path!r}, where the records should be")
    return found


def arranged(value: Any, how: Arranged, paths: Collection[str]) -> Iterator[tuple[int, Record]]:
    """Yield the records in JSON, with their numbers from 1.

    Args:
        value: What holds them.
        how: How it does.
        paths: Paths of all fields that are needed; other columns are not looked at.

    Raises:
        UnreadableError: if it does not hold records in that way.
    """
    if how.layout == "record":
        yield 1, _record(value)
    elif how.layout == "columns":
        yield from enumerate(_of_columns(value, paths), 1)
    elif how.layout == "by_id":
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

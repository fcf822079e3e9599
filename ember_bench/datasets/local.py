"""Records of local files: JSON Lines, JSON, CSV (each also gzipped) and Parquet."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from hashlib import file_digest
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, BinaryIO, Final, Literal, NoReturn, cast

from pydantic import AfterValidator

from ember_bench.datasets.records import Record, Records
from ember_bench.datasets.sources import Opening, record_source
from ember_bench.errors import ConfigError, DataMissingError, Location, Problem, did_you_mean
from ember_bench.models.recorded import data_dir as recorded_data
from ember_bench.models.recorded.data_dir import Text

_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Rows = Iterator[tuple[int, Record]]


def open_records(path: Path, *, wanted: frozenset[str] = frozenset()) -> Records:
    """Return the records of the file, which is read as they are asked for.

    Args:
        path: Its ending says what it holds.
        wanted: The fields that matter; of a Parquet file no other column is read.

    Raises:
        ConfigError: here or while reading, with the line, if the file cannot be read.
    """
    read = _reader(path)
    try:
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _fail(path, _unreadable(path, error)) from None
    rows = read(path, wanted) if read is _parquet else read(path)
    unit: Literal["line", "record"] = "line" if read in (_jsonl, _csv) else "record"
    return Records(path.name, f"sha256:{digest}", rows, unit, partial(_locate, path, unit))


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("expected a path inside the data directory")
    return value


@record_source("file", Text)
def open_file(relative: str, opening: Opening) -> Records:
    """A path relative to the card.

    Raises:
        ConfigError: if there is no such file, or it cannot be read.
    """
    path = opening.folder / relative
    if not path.is_file():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = did_you_mean(path.name, siblings) if siblings else "; nor is there such a folder"
        raise ConfigError(opening.problem(f"there is no file {path}{near}"))
    return open_records(path, wanted=opening.wanted)


@record_source("data", Annotated[Text, AfterValidator(_inside)])
def open_data(relative: str, opening: Opening) -> Records:
    """A path relative to the data directory.

    Raises:
        DataMissingError: if the file is not on this machine; says where to get it.
        ConfigError: if it cannot be read.
    """
    folder = opening.data_dir or recorded_data.data_dir()
    if folder is None or not (folder / relative).is_file():
        raise DataMissingError(opening.problem(_missing(relative, folder, opening)))
    return replace(open_records(folder / relative, wanted=opening.wanted), source=relative)


def _missing(relative: str, folder: Path | None, opening: Opening) -> str:
    message = f"dataset {opening.dataset!r} reads recorded data, {relative}, "
    message += f"which is not in {folder}." if folder else "and no data directory is given."
    if opening.available_from is not None:
        message += f" It is available from {opening.available_from}."
    variable = recorded_data.DATA_DIR_VARIABLE
    return f"{message} Give the folder that has {relative} in it with --data-dir or {variable}."


def _reader(path: Path) -> Callable[..., Rows]:
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
        if suffixes and suffixes[-1] in (".parquet", ".pq"):
            raise _fail(path, "a Parquet file is compressed inside; gunzip it")
    if suffixes and (read := _READERS.get(suffixes[-1])):
        return read
    raise _fail(path, "cannot tell what it holds; its name should end in " + ", ".join(_ENDINGS))


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
        with _open(path) as file:
            for number, line in enumerate(file, 1):
                if number == 1 and line.startswith(_UTF16):
                    raise _fail(path, "it looks like UTF-16; save it as UTF-8", 1)
                raw = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                try:
                    yield number, raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    what = f"not UTF-8 text: byte 0x{raw[error.start]:02x}"
                    column = len(raw[: error.start].decode("utf-8")) + 1
                    raise _fail(path, what, number, column) from None
    except gzip.BadGzipFile as error:
        raise _fail(path, f"not gzip data: {error}") from None
    except (EOFError, zlib.error):
        what = "the gzip data is cut short or damaged after this line; get the file again"
        raise _fail(path, what, number or None) from None
    except OSError as error:
        raise _fail(path, _unreadable(path, error)) from None


def _open(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return cast("BinaryIO", gzip.open(path, "rb"))
    return path.open("rb")


def _jsonl(path: Path) -> Rows:
    for number, line in _lines(path):
        if not line.strip():
            continue
        record = _loads(line, path, number)
        if not isinstance(record, dict):
            raise _fail(path, f"expected a JSON object, found {_json_kind(record)}", number)
        yield number, record


def _json(path: Path) -> Rows:
    data = _loads("".join(line for _, line in _lines(path)), path, 1)
    if not isinstance(data, list):
        raise _fail(path, f"expected a JSON array of objects, found {_json_kind(data)}")
    for number, record in enumerate(data, 1):
        if not isinstance(record, dict):
            found = _json_kind(record)
            raise ConfigError(_locate(path, "record", number, f"expected an object, found {found}"))
        yield number, record


def _loads(text: str, path: Path, line: int) -> Any:
    # Not orjson: it turns integers past 64 bits into floats, and a target must stay exact.
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        what = f"not valid JSON: {error.msg}"
        raise _fail(path, what, line + error.lineno - 1, error.colno) from None
    except ValueError as error:
        raise _fail(path, f"not valid JSON: {error}", line) from None
    except RecursionError:
        raise _fail(path, "nested too deeply", line) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _csv(path: Path) -> Rows:
    # The limit is one per process; a model's output may be longer than its 131,072 characters.
    csv.field_size_limit(max(csv.field_size_limit(), min(sys.maxsize, 2**31 - 1)))
    reader = csv.reader((line for _, line in _lines(path)), strict=True)
    line = 1
    try:
        header = next(reader, None)
        if not header:
            raise _fail(path, "expected a header with the names of the columns", 1)
        if twins := sorted({name for name in header if header.count(name) > 1}):
            raise _fail(path, "two columns have one name: " + ", ".join(map(repr, twins)), 1)
        line = reader.line_num + 1
        for values in reader:
            if values:
                if len(values) != len(header):
                    what = f"{len(header)} columns in the header, {len(values)} here"
                    raise _fail(path, what, line)
                yield line, dict(zip(header, values, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise _fail(path, f"not valid CSV: {error}", line) from None


def _parquet(path: Path, wanted: frozenset[str] = frozenset()) -> Rows:
    import pyarrow  # noqa: PLC0415 - costs 0.1 s, and few datasets need it
    from pyarrow import parquet  # noqa: PLC0415

    try:
        with parquet.ParquetFile(path) as file:
            names = set(file.schema_arrow.names)
            tops = {n if n in names else n.split(".")[0] for n in wanted}
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


_READERS: Final[dict[str, Callable[..., Rows]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
    ".pq": _parquet,
}
_ENDINGS: Final = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".csv.gz", ".parquet")

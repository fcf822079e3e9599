"""Records of local files: JSON Lines, JSON, CSV, TSV (each also gzipped) and Parquet."""

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
from typing import Annotated, Any, BinaryIO, Final, Literal, NoReturn, cast, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from ember_bench.datasets.records import Record, Records
from ember_bench.datasets.sources import Opening, record_source
from ember_bench.errors import ConfigError, DataMissingError, Location, Problem, did_you_mean
from ember_bench.models.recorded import data_dir as recorded_data
from ember_bench.models.recorded.data_dir import Text

_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Rows = Iterator[tuple[int, Record]]


Delimiter = Literal[",", ";", "\t", "|"]
DELIMITERS: Final[tuple[Delimiter, ...]] = get_args(Delimiter)


class FileOptions(BaseModel):
    """A file of records; a path alone stands for `path`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Text
    """A path that ends in `.jsonl`, `.json`, `.csv`, `.tsv` (each also with `.gz`) or `.parquet`.
    """
    delimiter: Delimiter | None = None
    """The character between the columns of a CSV file; by default a comma, in `.tsv` a tab."""


def open_records(
    path: Path, *, wanted: frozenset[str] = frozenset(), delimiter: Delimiter | None = None
) -> Records:
    """Return the records of a file, which is read while they are iterated.

    Args:
        path: The ending of its name says its format.
        wanted: The fields that matter; of a Parquet file no other column is read.
        delimiter: The character between the columns of a CSV file.

    Raises:
        ConfigError: here or while reading, with the line, if the file cannot be read.
    """
    read = _reader(path)
    if delimiter is not None and read not in (_csv, _tsv):
        raise _fail(path, "`delimiter` is for CSV files")
    try:
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _fail(path, _unreadable(path, error)) from None
    rows = read(path, wanted) if delimiter is None else _csv(path, wanted, delimiter)
    unit: Literal["line", "record"] = "line" if read in (_jsonl, _csv, _tsv) else "record"
    return Records(path.name, f"sha256:{digest}", rows, unit, partial(_locate, path, unit))


def _inside(options: FileOptions) -> FileOptions:
    path = PurePosixPath(options.path)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("expected a path inside the data directory")
    return options


def _path_alone(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


_File = Annotated[
    FileOptions, BeforeValidator(_path_alone, json_schema_input_type=Text | FileOptions)
]


@record_source("file", _File)
def open_file(options: FileOptions, opening: Opening) -> Records:
    """A path relative to the card.

    Raises:
        ConfigError: if there is no such file, or it cannot be read.
    """
    path = opening.folder / options.path
    if not path.is_file():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = did_you_mean(path.name, siblings) if siblings else "; nor is there such a folder"
        raise ConfigError(opening.problem(f"there is no file {path}{near}"))
    return open_records(path, wanted=opening.wanted, delimiter=options.delimiter)


@record_source("data", Annotated[_File, AfterValidator(_inside)])
def open_data(options: FileOptions, opening: Opening) -> Records:
    """A path relative to the data directory.

    Raises:
        DataMissingError: if the file is not on this machine; says where to get it.
        ConfigError: if it cannot be read.
    """
    relative, folder = options.path, opening.data_dir or recorded_data.data_dir()
    if folder is None or not (folder / relative).is_file():
        raise DataMissingError(opening.problem(_missing(relative, folder, opening)))
    records = open_records(folder / relative, wanted=opening.wanted, delimiter=options.delimiter)
    return replace(records, source=relative)


def _missing(relative: str, folder: Path | None, opening: Opening) -> str:
    message = f"dataset {opening.dataset!r} reads recorded data, {relative}, "
    message += f"which is not in {folder}." if folder else "and no data directory is given."
    if opening.available_from is not None:
        message += f" It is available from {opening.available_from}."
    variable = recorded_data.DATA_DIR_VARIABLE
    return f"{message} Give the folder that has {relative} in it with --data-dir or {variable}."


def _reader(path: Path) -> Callable[[Path, frozenset[str]], Rows]:
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


def _jsonl(path: Path, _: frozenset[str]) -> Rows:
    for number, line in _lines(path):
        if not line.strip():
            continue
        # With its end, an object that breaks off would be reported on the next line.
        record = _loads(line.rstrip("\r\n"), path, number, " (each line holds one whole object)")
        if not isinstance(record, dict):
            found = _json_kind(record)
            hint = "; a file with one array is named .json" if isinstance(record, list) else ""
            raise _fail(path, f"expected a JSON object, found {found}{hint}", number)
        yield number, record


def _json(path: Path, _: frozenset[str]) -> Rows:
    data = _loads("".join(line for _, line in _lines(path)), path, 1)
    if not isinstance(data, list):
        raise _fail(path, f"expected a JSON array of objects, found {_json_kind(data)}")
    for number, record in enumerate(data, 1):
        if not isinstance(record, dict):
            found = _json_kind(record)
            raise ConfigError(_locate(path, "record", number, f"expected an object, found {found}"))
        yield number, record


def _loads(text: str, path: Path, line: int, hint: str = "") -> Any:
    # Not orjson: it turns integers past 64 bits into floats, and a target must stay exact.
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        what = f"not valid JSON: {error.msg}{hint}"
        raise _fail(path, what, line + error.lineno - 1, error.colno) from None
    except ValueError as error:
        raise _fail(path, f"not valid JSON: {error}", line) from None
    except RecursionError:
        raise _fail(path, "nested too deeply", line) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _tsv(path: Path, wanted: frozenset[str]) -> Rows:
    return _csv(path, wanted, "\t")


def _csv(path: Path, wanted: frozenset[str], delimiter: Delimiter = ",") -> Rows:
    # The limit is one per process; a model's output may be longer than its 131,072 characters.
    csv.field_size_limit(max(csv.field_size_limit(), min(sys.maxsize, 2**31 - 1)))
    reader = csv.reader((line for _, line in _lines(path)), delimiter=delimiter, strict=True)
    line = 1
    try:
        header = next(reader, None)
        if not header:
            raise _fail(path, "expected a header with the names of the columns", 1)
        if len(header) == 1 and wanted and wanted.isdisjoint(header):
            _check_delimiter(path, header[0], delimiter)
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
    if _reader(path) is not _csv:
        return None
    header = next((line for _, line in _lines(path)), "")
    return None if "," in header else _most_frequent(header)


def _most_frequent(header: str) -> Delimiter | None:
    found = max(DELIMITERS, key=header.count)
    return found if found in header else None


def _parquet(path: Path, wanted: frozenset[str]) -> Rows:
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


_READERS: Final[dict[str, Callable[[Path, frozenset[str]], Rows]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _tsv,
    ".parquet": _parquet,
    ".pq": _parquet,
}
_ENDINGS: Final = (
    ".jsonl",
    ".jsonl.gz",
    ".json",
    ".json.gz",
    ".csv",
    ".csv.gz",
    ".tsv",
    ".parquet",
)

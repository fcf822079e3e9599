"""Files of recorded answers, each read once per process.

A file is a table of records: JSON Lines, a JSON list, or CSV, gzipped or not. Which field of a
record is what is said by `Fields`. What is kept of it is one shared, immutable `Completion` for
each sample, which is also what the provider hands out.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import sys
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic import Field as Constraint

from ember_bench.errors import ConfigError, Location, Problem, did_you_mean
from ember_bench.models.recorded.data_dir import Text
from ember_bench.models.types import Completion, Usage

if TYPE_CHECKING:
    from pathlib import Path

Samples = tuple[Completion, ...]
Answers = dict[str, Samples]
"""Item id -> its samples."""

SUFFIXES: Final = (".jsonl", ".json", ".csv")


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Fields(BaseModel):
    """The meaning of the fields of a record.

    Attributes:
        item: The item's id; several fields are joined by `/`.
        answer: The answer's text, or a list of texts: several samples.
        model: Which model answered, in files that hold several.
        sample: Number that orders an item's samples, where each is a record of its own.
        latency: Seconds the model took.
        cost: US dollars the call cost.
        input_tokens: Tokens sent.
        output_tokens: Tokens received.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    item: Annotated[
        tuple[Text, ...],
        BeforeValidator(_as_tuple, json_schema_input_type=str | list[str]),
        Constraint(min_length=1),
    ]
    answer: Text
    model: Text | None = None
    sample: Text | None = None
    latency: Text | None = None
    cost: Text | None = None
    input_tokens: Text | None = None
    output_tokens: Text | None = None

    @property
    def names(self) -> list[str]:
        """Every field of a record that is needed."""
        own = self.model_dump(exclude={"item"}, exclude_none=True).values()
        return [*self.item, *own]


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a file: its fields, and `where`: the value that a field must have."""

    fields: Fields
    where: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """The content of a file: model as the file names it ("" without a model field) -> answers."""

    digest: str
    models: Mapping[str, Answers]


class Recordings:
    """Reads files once each, until they change; safe to use from several threads."""

    def __init__(self) -> None:
        self._digests: dict[Path, tuple[_Stamp, str]] = {}
        self._tables: dict[tuple[Path, Layout], tuple[_Stamp, Table | ConfigError]] = {}
        self._lock = threading.Lock()

    def digest(self, path: Path) -> str:
        """Return the hex digest of the file's content."""
        with self._lock:
            stamp = _Stamp.of(path)
            known = self._digests.get(path)
            if known is None or known[0] != stamp:
                known = self._digests[path] = (stamp, _digest(path.read_bytes()))
            return known[1]

    def table(self, path: Path, layout: Layout) -> Table:
        """Return the file's answers.

        Raises:
            ConfigError: if it is not what `layout` says, with the place in the file.
        """
        with self._lock:
            stamp = _Stamp.of(path)
            known = self._tables.get((path, layout))
            if known is None or known[0] != stamp:
                content = path.read_bytes()
                # The failure is kept as well: a thousand trials would read the file again.
                read: Table | ConfigError
                try:
                    read = Table(_digest(content), _Reader(path, layout).read(content))
                except ConfigError as error:
                    read = error
                known = self._tables[path, layout] = (stamp, read)
        if isinstance(known[1], ConfigError):
            raise ConfigError(*known[1].problems)
        return known[1]


@dataclass(frozen=True, slots=True)
class _Stamp:
    """Size and time of a file, which change with its content."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> _Stamp:
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:32]


@dataclass
class _Reader:
    """Reads one file."""

    path: Path
    layout: Layout
    models: dict[str, Answers] = field(default_factory=dict)
    # Model, item -> sample number -> answer, where samples are records of their own.
    numbered: dict[tuple[str, str], dict[int, Completion]] = field(default_factory=dict)
    line: int | None = None
    names: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.names = self.layout.fields.names

    def read(self, content: bytes) -> dict[str, Answers]:
        try:
            for line, record in self._records(content):
                self.line = line
                self._add(record)
        except (csv.Error, orjson.JSONDecodeError, UnicodeDecodeError) as error:
            raise self._problem(f"cannot be read: {error}") from None
        except (ValueError, TypeError) as error:
            raise self._problem(str(error)) from None
        for (model, item), samples in self.numbered.items():
            self.models[model][item] = tuple(samples[n] for n in sorted(samples))
        return self.models

    def _records(self, content: bytes) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield each record and the line where it ends; in a JSON list, which one it is."""
        name = self.path.name.lower()
        if name.endswith(".gz"):
            try:
                content = gzip.decompress(content)
            except (OSError, EOFError, zlib.error) as error:
                raise self._problem(f"not a whole gzip file: {error}") from None
        name = name.removesuffix(".gz")
        if name.endswith(".csv"):
            yield from _csv_records(content)
        elif name.endswith(".jsonl"):
            for number, line in enumerate(content.splitlines(), 1):
                self.line = number
                if line.strip():
                    yield number, _json_record(line)
        else:
            records = orjson.loads(content)
            if not isinstance(records, list):
                raise self._problem("expected a JSON list of records")
            yield from enumerate(records, 1)

    def _add(self, record: Mapping[str, Any]) -> None:
        fields = self.layout.fields
        if not isinstance(record, Mapping):
            raise TypeError("expected a record of named fields")
        try:
            if any(str(record[name]) != value for name, value in self.layout.where):
                return
            values = {name: record[name] for name in self.names}
        except KeyError as error:
            name = error.args[0]
            raise ValueError(f"no field {name!r}{did_you_mean(name, record)}") from None
        # The same few thousand ids stand in every model's file.
        item = sys.intern("/".join(str(values[name]) for name in fields.item))
        model = "" if fields.model is None else str(values[fields.model])
        answers = self.models.setdefault(model, {})
        samples = _samples(fields, values)
        if fields.sample is not None:
            self._number(model, item, samples, _whole(values[fields.sample], fields.sample))
        elif item in answers:
            raise ValueError(
                f"item {item!r} is there twice; if these are samples of it, "
                "name the field of the sample number as `sample`"
            )
        else:
            answers[item] = samples

    def _number(self, model: str, item: str, samples: Samples, number: int) -> None:
        if len(samples) != 1:
            raise ValueError("a list of answers cannot have a sample number")
        known = self.numbered.setdefault((model, item), {})
        if number in known:
            raise ValueError(f"sample {number} of item {item!r} is there twice")
        known[number] = samples[0]

    def _problem(self, message: str) -> ConfigError:
        return ConfigError(Problem(message, Location(self.path, self.line)))


def _csv_records(content: bytes) -> Iterator[tuple[int, Mapping[str, Any]]]:
    rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    names = next(rows, [])
    for row in rows:
        if len(row) != len(names):
            raise ValueError(f"expected {len(names)} columns, found {len(row)}")
        yield rows.line_num, dict(zip(names, row, strict=True))


def _json_record(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg}") from None


def _samples(fields: Fields, values: Mapping[str, Any]) -> Samples:
    """Return the one or more samples of a record."""
    answer = values[fields.answer]
    names = (fields.latency, fields.cost, fields.input_tokens, fields.output_tokens)
    numbers = [None if name is None else values[name] for name in names]
    if not isinstance(answer, list):
        return (_completion(fields, answer, numbers),)
    columns = [[None] * len(answer) if value is None else value for value in numbers]
    for column in columns:
        if not isinstance(column, list) or len(column) != len(answer):
            raise ValueError(f"{len(answer)} answers need as many numbers, found {column!r}")
    rows = zip(*columns, strict=True)
    return tuple(_completion(fields, text, row) for text, row in zip(answer, rows, strict=True))


def _completion(fields: Fields, answer: Any, numbers: Sequence[Any]) -> Completion:
    """Make a sample of its text and what was recorded of latency, cost and tokens."""
    if not isinstance(answer, str):
        raise TypeError(f"{fields.answer}: expected text, found {answer!r}")
    latency, cost, sent, received = numbers
    return Completion(
        answer,
        Usage(
            None if fields.input_tokens is None else _whole(sent, fields.input_tokens),
            None if fields.output_tokens is None else _whole(received, fields.output_tokens),
        ),
        cost_usd=None if fields.cost is None else _number(cost, fields.cost),
        latency_seconds=None if fields.latency is None else _number(latency, fields.latency),
    )


def _number(value: Any, name: str) -> float | None:
    """Return a number of at least 0, or None where none was recorded."""
    if value is None or value == "":
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{name}: expected a number of at least 0, found {value!r}")
    return number


def _whole(value: Any, name: str) -> int:
    number = _number(value, name)
    if number is None or not number.is_integer():
        raise ValueError(f"{name}: expected a whole number of at least 0, found {value!r}")
    return int(number)


def merge(tables: Sequence[Table], model: str) -> Answers | None:
    """Return what `model` answered in all `tables`, or None if it is in none.

    Raises:
        ConfigError: if an item stands in two of them.
    """
    found = [table.models[model] for table in tables if model in table.models]
    if len(found) <= 1:
        return found[0] if found else None
    merged: Answers = {}
    for answers in found:
        if twice := merged.keys() & answers.keys():
            raise ConfigError(f"item {min(twice)!r} is in two of the set's files")
        merged |= answers
    return merged


recordings: Final = Recordings()
"""The files read by this process."""

"""Files of recorded answers, each read once per process.

Which field of a record is what is said by `Fields`, and how a file holds records by `Reading`.
What is kept of a record is one shared, immutable `Completion` for each sample, which is also what
the provider hands out, and the source's own score of it.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from ember_bench.errors import ConfigError, Location, Problem, did_you_mean
from ember_bench.models.recorded.fields import Fields, Reading
from ember_bench.models.recorded.layouts import Record, UnreadableError, records
from ember_bench.models.types import Completion, Usage
from ember_bench.record_fields import ABSENT, as_text, lookup

if TYPE_CHECKING:
    from pathlib import Path

Samples = tuple[Completion, ...]
Answers = dict[str, Samples]
"""Item id -> its samples."""
Verdicts = dict[str, tuple[float | None, ...]]
"""Item id -> the source's score of each of its samples, from 0 to 1; None for one without."""

_TRUTHS: Final = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a file: its fields, and `where`: the value that a field must have."""

    fields: Fields
    where: tuple[tuple[str, str], ...] = ()
    reading: Reading = field(default_factory=Reading)

    @property
    def key(self) -> str:
        """Text that two layouts share only if they are the same."""
        return f"{self.fields.model_dump_json()} {self.where!r} {self.reading.model_dump_json()}"


@dataclass(slots=True)
class Tape:
    """What one model answered.

    Attributes:
        verdicts: Of the same items as `answers`, if the source scored them.
        questions: Item id -> the text of the question, if it was recorded.
    """

    answers: Answers = field(default_factory=dict)
    verdicts: Verdicts = field(default_factory=dict)
    questions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """The content of a file: model as the file names it ("" without a model field) -> its tape."""

    digest: str
    models: Mapping[str, Tape]


class Recordings:
    """Reads files once each, until they change; safe to use from several threads."""

    def __init__(self) -> None:
        self._digests: dict[Path, tuple[_Stamp, str]] = {}
        self._tables: dict[tuple[Path, str], tuple[_Stamp, Table | ConfigError]] = {}
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
        key = (path, layout.key)
        with self._lock:
            stamp = _Stamp.of(path)
            known = self._tables.get(key)
            if known is None or known[0] != stamp:
                content = path.read_bytes()
                # The failure is kept as well: a thousand trials would read the file again.
                read: Table | ConfigError
                try:
                    read = Table(_digest(content), _Reader(path, layout).read(content))
                except ConfigError as error:
                    read = error
                known = self._tables[key] = (stamp, read)
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


Sample = tuple[Completion, float | None]


@dataclass
class _Reader:
    """Reads one file."""

    path: Path
    layout: Layout
    models: dict[str, Tape] = field(default_factory=dict)
    # Model, item -> sample number -> answer, where samples are records of their own.
    numbered: dict[tuple[str, str], dict[int, Sample]] = field(default_factory=dict)
    # Model -> how many records it has had, where these are the items.
    places: dict[str, int] = field(default_factory=dict)
    # Path -> where it was missed first, of fields that no record has had so far.
    unseen: dict[str, Problem | None] = field(init=False)
    line: int | None = None

    def __post_init__(self) -> None:
        where = (name for name, _ in self.layout.where)
        self.unseen = dict.fromkeys((*self.layout.fields.paths, *where))

    def read(self, content: bytes) -> dict[str, Tape]:
        try:
            for line, record in records(
                self.path.name, content, self.layout.reading, tuple(self.unseen)
            ):
                self.line = line
                self._add(record)
        except UnreadableError as error:
            self.line = error.line if error.line is not None else self.line
            raise self._problem(str(error)) from None
        except (ValueError, TypeError) as error:
            raise self._problem(str(error)) from None
        if missed := [problem for problem in self.unseen.values() if problem is not None]:
            raise ConfigError(*missed)
        for (model, item), samples in self.numbered.items():
            self._keep(self.models[model], item, [samples[n] for n in sorted(samples)])
        return self.models

    def _value(self, record: Record, path: str) -> Any:
        """Return a value that not every record need have; None where there is none."""
        value = lookup(record, path)
        if self.unseen and path in self.unseen:
            if value is not ABSENT:
                del self.unseen[path]
            elif self.unseen[path] is None:
                self.unseen[path] = self._lacks(record, path).problems[0]
        return None if value is ABSENT else value

    def _needed(self, record: Record, path: str) -> Any:
        value = lookup(record, path)
        if value is ABSENT:
            raise self._lacks(record, path)
        self.unseen.pop(path, None)
        return value

    def _add(self, record: Record) -> None:
        fields = self.layout.fields
        for path, wanted in self.layout.where:
            if str(self._value(record, path)) != wanted:
                return
        model = "" if fields.model is None else str(self._needed(record, fields.model))
        item = self._item(record, model)
        tape = self.models.setdefault(model, Tape())
        if fields.question is not None:
            asked = self._value(record, fields.question)
            if asked is not None:
                tape.questions[item] = as_text(asked, fields.question)
        samples = self._samples(record)
        if fields.sample is not None:
            number = _whole(self._needed(record, fields.sample), fields.sample)
            self._number(model, item, samples, number)
        elif item in tape.answers:
            raise ValueError(
                f"item {item!r} is there twice; if these are samples of it, "
                "name the field of the sample number as `sample`"
            )
        elif samples:
            self._keep(tape, item, samples)

    def _item(self, record: Record, model: str) -> str:
        """Return the id of a record's item."""
        paths = self.layout.fields.item
        if paths is None:
            place = self.places[model] = self.places.get(model, -1) + 1
            return str(place)
        # The same few thousand ids stand in every model's file.
        return sys.intern("/".join(str(self._needed(record, path)) for path in paths))

    def _keep(self, tape: Tape, item: str, samples: Sequence[Sample]) -> None:
        tape.answers[item] = tuple(completion for completion, _ in samples)
        if self.layout.fields.verdict is not None:
            tape.verdicts[item] = tuple(verdict for _, verdict in samples)

    def _number(self, model: str, item: str, samples: Sequence[Sample], number: int) -> None:
        if len(samples) > 1:
            raise ValueError("a list of answers cannot have a sample number")
        known = self.numbered.setdefault((model, item), {})
        if number in known:
            raise ValueError(f"sample {number} of item {item!r} is there twice")
        if samples:
            known[number] = samples[0]

    def _samples(self, record: Record) -> list[Sample]:
        """Return the samples of a record; none where none was recorded."""
        fields, reading = self.layout.fields, self.layout.reading
        names = (
            *(fields.latency, fields.cost, fields.input_tokens, fields.output_tokens),
            fields.verdict,
        )
        answer = None if fields.answer is None else self._value(record, fields.answer)
        numbers = [None if name is None else self._value(record, name) for name in names]
        if fields.answer is None and isinstance(numbers[-1], list):
            answer = [None] * len(numbers[-1])
        if not isinstance(answer, list):
            found = _sample(fields, reading, answer, numbers)
            return [] if found is None else [found]
        columns = [[None] * len(answer) if value is None else value for value in numbers]
        for column in columns:
            if not isinstance(column, list) or len(column) != len(answer):
                raise ValueError(f"{len(answer)} answers need as many numbers, found {column!r}")
        rows = zip(answer, zip(*columns, strict=True), strict=True)
        made = (_sample(fields, reading, text, row) for text, row in rows)
        return [sample for sample in made if sample is not None]

    def _lacks(self, record: Record, path: str) -> ConfigError:
        return self._problem(f"no field {path!r}{did_you_mean(path, record)}")

    def _problem(self, message: str) -> ConfigError:
        return ConfigError(Problem(message, Location(self.path, self.line)))


def _sample(fields: Fields, reading: Reading, answer: Any, numbers: Sequence[Any]) -> Sample | None:
    """Return a sample and its score, or None if neither answer nor score was recorded."""
    *measured, judged = numbers
    verdict = None if fields.verdict is None else _verdict(judged, fields, reading)
    if answer is None or (reading.missing and str(answer) in reading.missing):
        if verdict is None:
            return None
        answer = f"[no text was recorded; its score is {verdict:g}]"
    return _completion(fields, reading, answer, measured), verdict


def _completion(
    fields: Fields, reading: Reading, answer: Any, numbers: Sequence[Any]
) -> Completion:
    """Make a sample of its text and what was recorded of latency, cost and tokens."""
    latency, cost, sent, received = numbers
    return Completion(
        answer if isinstance(answer, str) else as_text(answer, str(fields.answer)),
        Usage(
            None if fields.input_tokens is None else _tokens(sent, fields.input_tokens),
            None if fields.output_tokens is None else _tokens(received, fields.output_tokens),
        ),
        cost_usd=None if fields.cost is None else _scaled(cost, fields.cost, reading, "cost"),
        latency_seconds=None
        if fields.latency is None
        else _scaled(latency, fields.latency, reading, "latency"),
    )


def _verdict(value: Any, fields: Fields, reading: Reading) -> float | None:
    """Return the source's score of an answer, from 0 to 1; None where it gave none."""
    if value is None or value == "":
        return None
    low, high = reading.score_range if fields.score is not None else (0.0, 1.0)
    truth = _TRUTHS.get(str(value).casefold())
    if truth is not None:
        return truth
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if fields.correct is not None and number not in (0, 1):
        raise ValueError(f"{fields.correct}: expected true or false, or 1 or 0, found {value!r}")
    if not low <= number <= high:
        raise ValueError(
            f"{fields.verdict}: expected a score from {low:g} to {high:g}, found {value!r};"
            " the card's `score_range` says what the lowest and the highest are"
        )
    return (number - low) / (high - low)


def _scaled(value: Any, name: str, reading: Reading, what: str) -> float | None:
    number = _number(value, name)
    factor = next((factor for key, factor in reading.scale.items() if key == what), None)
    return number if number is None or factor is None else number * factor


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


def _tokens(value: Any, name: str) -> int | None:
    """Return a number of tokens, or None where none was recorded."""
    return None if value is None or value == "" else _whole(value, name)


def _whole(value: Any, name: str) -> int:
    number = _number(value, name)
    if number is None or not number.is_integer():
        raise ValueError(f"{name}: expected a whole number of at least 0, found {value!r}")
    return int(number)


def merge(tables: Sequence[Table], model: str) -> Tape | None:
    """Return what `model` answered in all `tables`, or None if it is in none.

    Raises:
        ConfigError: if an item stands in two of them.
    """
    found = [table.models[model] for table in tables if model in table.models]
    if len(found) <= 1:
        return found[0] if found else None
    merged = Tape()
    for tape in found:
        if twice := merged.answers.keys() & tape.answers.keys():
            raise ConfigError(f"item {min(twice)!r} is in two of the set's files")
        merged.answers |= tape.answers
        merged.verdicts |= tape.verdicts
        merged.questions |= tape.questions
    return merged


recordings: Final = Recordings()
"""The files read by this process."""

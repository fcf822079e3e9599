"""Files of recorded answers, each read once per process.

Which field of a record is what is said by `Fields`, and how a file holds records by `Reading`.
What is kept of a record is one shared, immutable `Completion` for each sample, which is also what
the provider hands out, and the source's own score of it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from ember_bench.errors import ConfigError, Location, Problem, did_you_mean
from ember_bench.models.recorded.fields import FILE, Fields, Reading
from ember_bench.models.recorded.layouts import Record, UnreadableError, records
from ember_bench.models.recorded.tapes import Place, Table, Tape
from ember_bench.models.recorded.values import Sample, is_nothing, sample_of, whole
from ember_bench.models.types import Completion
from ember_bench.record_fields import ABSENT, as_text, id_text, lookup

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a file: its fields, and `where`: the values that a field may have."""

    fields: Fields
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()
    reading: Reading = field(default_factory=Reading)

    @property
    def key(self) -> str:
        """Text that two layouts share only if they are the same."""
        return f"{self.fields.model_dump_json()} {self.where!r} {self.reading.model_dump_json()}"

    @property
    def places(self) -> bool:
        """Whether it is recorded what calls were, beside their order."""
        named = (self.fields.about, self.fields.agent, self.fields.round)
        return any(name is not None for name in named) or bool(
            {"agent", "round"} & set(self.reading.axes)
        )


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

    def table(self, path: Path, layout: Layout, part: str | None = None) -> Table:
        """Return the file's answers.

        Args:
            path: The file.
            layout: Of the file.
            part: What stands for the `*` in the pattern that found it.

        Raises:
            ConfigError: if it is not what `layout` says, with the place in the file.
        """
        key = (path, f"{part} {layout.key}")
        with self._lock:
            stamp = _Stamp.of(path)
            known = self._tables.get(key)
            if known is None or known[0] != stamp:
                content = path.read_bytes()
                # The failure is kept as well: a thousand trials would read the file again.
                read: Table | ConfigError
                try:
                    digest = _digest(content)
                    self._digests[path] = (stamp, digest)
                    read = Table(digest, _Reader(path, layout, part).read(content))
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


_Placed = tuple[tuple[int, ...], Sample | None]


def _leaves(
    value: Any, depth: int, at: tuple[int, ...] = ()
) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Yield what is in lists of lists, `depth` of them, and its places in them."""
    if not depth:
        yield at, value
        return
    if isinstance(value, Mapping):
        value = list(value.values())
    if value is not None and not isinstance(value, list):
        raise ValueError(f"expected a list inside of the answer, found {value!r}")
    for number, inner in enumerate(value or ()):
        yield from _leaves(inner, depth - 1, (*at, number))


def _integer(value: Any, name: str) -> int:
    """Return the number of a round."""
    try:
        return int(str(value))
    except ValueError:
        raise ValueError(f"{name}: expected the number of a round, found {value!r}") from None


def _is_one_of(value: Any, wanted: Sequence[str]) -> bool:
    """Return whether a field has one of the values that a card wants, as texts."""
    told = str(value)
    return (
        told in wanted
        # "true" in a table is the card's true; what is empty or not there is its null.
        or (told.casefold() in _TRUTHS and told.capitalize() in wanted)
        or (_NOTHING in wanted and is_nothing(value))
        or (isinstance(value, float) and id_text(value) in wanted)
    )


_TRUTHS: Final = ("true", "false")
_NOTHING: Final = ""


@dataclass
class _Reader:
    """Reads one file."""

    path: Path
    layout: Layout
    part: str | None = None
    models: dict[str, Tape] = field(default_factory=dict)
    # Model, item -> sample number -> answer, where samples are records of their own.
    numbered: dict[tuple[str, str], dict[int, Sample]] = field(default_factory=dict)
    # Samples at a low temperature are often equal, and far more in number than what they say.
    shared: dict[Completion, Completion] = field(default_factory=dict)
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
                self.path.name,
                content,
                self.layout.reading,
                tuple(self.unseen),
                left_out=self._is_left_out,
            ):
                self.line = line
                self._add(record if self.part is None else {FILE: self.part, **record})
        except UnreadableError as error:
            self.line = error.line if error.line is not None else self.line
            raise self._problem(str(error)) from None
        except (ValueError, TypeError) as error:
            raise self._problem(str(error)) from None
        if missed := [problem for problem in self.unseen.values() if problem is not None]:
            raise ConfigError(*missed)
        for (model, item), samples in self.numbered.items():
            self._keep(self.models[model], item, samples)
        for tape in self.models.values():
            self._order(tape)
        return self.models

    def _order(self, tape: Tape) -> None:
        """Put agents into their order, and the answers of the first round where answers are."""
        names = sorted(tape.agents, key=int) if all(map(str.isdecimal, tape.agents)) else None
        if names is not None and names != tape.agents:
            rank = [names.index(name) for name in tape.agents]
            tape.agents = names
            for item, places in tape.places.items():
                tape.places[item] = {
                    place._replace(agent=None if place.agent is None else rank[place.agent]): found
                    for place, found in places.items()
                }
        for item, places in tape.places.items():
            first = [(place, found) for place, found in places.items() if not place.round]
            first.sort(key=lambda entry: entry[0].agent or 0)
            answers = [sample for _, found in first for sample in found]
            if answers:
                self._keep(tape, item, dict(enumerate(answers)))

    def _value(self, record: Record, path: str | Sequence[str]) -> Any:
        """Return a value that not every record need have; None where there is none."""
        if not isinstance(path, str):
            return [self._value(record, one) for one in path]
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
            if not _is_one_of(self._value(record, path), wanted):
                return
        model = "" if fields.model is None else str(self._needed(record, fields.model))
        item = self._item(record, model)
        tape = self.models.setdefault(model, Tape())
        if fields.question is not None:
            asked = self._value(record, fields.question)
            if asked is not None:
                tape.questions[item] = as_text(asked, fields.question)
        samples = self._samples(record)
        if self.layout.places:
            self._put(tape, item, record, samples)
        elif fields.sample is not None:
            number = whole(self._needed(record, fields.sample), fields.sample)
            self._number(model, item, [sample for _, sample in samples if sample], number)
        elif self.layout.reading.files_hold == "samples":
            again = self.numbered.setdefault((model, item), {})
            again |= enumerate((one for _, one in samples if one), len(again))
        elif item in tape.answers:
            raise ValueError(
                f"item {item!r} is there twice; if these are samples of it, say `files_hold: "
                "samples`, or name the field of the sample number as `sample`"
            )
        elif known := {number[0] if number else 0: one for number, one in samples if one}:
            self._keep(tape, item, known)

    def _is_left_out(self, record: Record) -> bool:
        """Return whether a record is not wanted, by what it has of the fields in `where`."""
        found = ((lookup(record, path), wanted) for path, wanted in self.layout.where)
        return any(value is not ABSENT and not _is_one_of(value, wanted) for value, wanted in found)

    def _item(self, record: Record, model: str) -> str:
        """Return the id of a record's item."""
        paths = self.layout.fields.item
        if paths is None:
            place = self.places[model] = self.places.get(model, -1) + 1
            return str(place)
        # The same few thousand ids stand in every model's file.
        return sys.intern("/".join(id_text(self._needed(record, path)) for path in paths))

    def _put(self, tape: Tape, item: str, record: Record, samples: Sequence[_Placed]) -> None:
        """Keep the answers of a record by what their calls were."""
        fields, reading = self.layout.fields, self.layout.reading
        agent = None if fields.agent is None else str(self._needed(record, fields.agent))
        number = None
        if fields.round is not None:
            number = _integer(self._needed(record, fields.round), fields.round)
        shown = self._about(record, samples)
        places = tape.places.setdefault(item, {})
        for (at, sample), about in zip(samples, shown, strict=True):
            if sample is None:
                continue
            by_axis = dict(zip(reading.axes, at, strict=False))
            name = agent if "agent" not in by_axis else str(by_axis["agent"])
            if name is not None and name not in tape.agents:
                tape.agents.append(name)
            turn = by_axis.get("round", number)
            place = Place(
                about,
                None if name is None else tape.agents.index(name),
                None if turn is None else turn - reading.first_round,
            )
            places.setdefault(place, []).append(sample)

    def _about(self, record: Record, samples: Sequence[_Placed]) -> list[tuple[str, ...] | None]:
        """Return the candidates that each answer of a record is about."""
        fields = self.layout.fields
        if fields.about is None:
            return [None] * len(samples)
        shown = [self._needed(record, path) for path in fields.about]
        if samples and samples[0][0]:
            for path, texts in zip(fields.about, shown, strict=True):
                if not isinstance(texts, list) or len(texts) != len(samples):
                    raise ValueError(f"{len(samples)} answers need as many candidates in {path!r}")
            return [
                tuple(as_text(text, path) for text, path in zip(row, fields.about, strict=True))
                for row in zip(*shown, strict=True)
            ]
        listed = len(shown) == 1 and isinstance(shown[0], list)
        texts = shown[0] if listed else shown
        return [tuple(as_text(text, fields.about[0]) for text in texts)] * len(samples)

    def _keep(self, tape: Tape, item: str, samples: Mapping[int, Sample]) -> None:
        """Keep the samples of an item, given by their numbers."""
        numbers = sorted(samples)
        tape.answers[item] = tuple(samples[n][0] for n in numbers)
        if self.layout.fields.verdict is not None:
            tape.verdicts[item] = tuple(samples[n][1] for n in numbers)
        if numbers != list(range(len(numbers))):
            tape.numbers[item] = tuple(numbers)

    def _number(self, model: str, item: str, samples: Sequence[Sample], number: int) -> None:
        if len(samples) > 1:
            raise ValueError("a list of answers cannot have a sample number")
        known = self.numbered.setdefault((model, item), {})
        if number in known:
            raise ValueError(f"sample {number} of item {item!r} is there twice")
        if samples:
            known[number] = samples[0]

    def _samples(self, record: Record) -> list[_Placed]:
        """Return the samples of a record and their places in its lists, () without lists.

        None stands for one that was not recorded.
        """
        fields, reading = self.layout.fields, self.layout.reading
        names = (
            *(fields.latency, fields.cost, fields.input_tokens, fields.output_tokens),
            fields.verdict,
        )
        answer = None if fields.answer is None else self._value(record, fields.answer)
        numbers = [None if name is None else self._value(record, name) for name in names]
        if fields.answer is None:
            answer = numbers[-1]
        depth = len(reading.axes) or isinstance(answer, list)
        leaves = list(_leaves(answer, depth))
        places = [at for at, _ in leaves]
        columns = [
            [None] * len(leaves) if value is None else list(self._beside(value, depth, places))
            for value in numbers
        ]
        texts = [None if fields.answer is None else text for _, text in leaves]
        rows = zip(places, texts, zip(*columns, strict=True), strict=True)
        found = ((at, sample_of(fields, reading, text, row)) for at, text, row in rows)
        return [(at, None if sample is None else self._shared(sample)) for at, sample in found]

    def _shared(self, sample: Sample) -> Sample:
        """Return a sample whose answer is the same object as that of equal samples before it."""
        completion, verdict = sample
        return self.shared.setdefault(completion, completion), verdict

    def _beside(self, value: Any, depth: int, places: Sequence[tuple[int, ...]]) -> Iterator[Any]:
        """Yield the numbers that stand beside answers, in lists of the same shape."""
        if depth and len(places) == 1 and not isinstance(value, list):
            yield value
            return
        if depth and not isinstance(value, list):
            raise ValueError(f"{len(places)} answers need as many numbers, found {value!r}")
        leaves = list(_leaves(value, depth))
        if [at for at, _ in leaves] != places:
            raise ValueError(f"{len(places)} answers need as many numbers, found {value!r}")
        yield from (number for _, number in leaves)

    def _lacks(self, record: Record, path: str) -> ConfigError:
        return self._problem(f"no field {path!r}{did_you_mean(path, record)}")

    def _problem(self, message: str) -> ConfigError:
        return ConfigError(Problem(message, Location(self.path, self.line)))


recordings: Final = Recordings()
"""The files read by this process."""

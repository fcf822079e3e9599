"""Labels that people gave to outputs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BeforeValidator, Field

from ember_bench.answers.formats import parse_answer
from ember_bench.datasets.formats import open_records
from ember_bench.errors import ConfigError, UnlabelledError, did_you_mean
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.kinds import evaluator, parameter_identity, shorten
from ember_bench.record_fields import ABSENT, RecordError, as_text, lookup

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item
    from ember_bench.documents import Document

_Points = Annotated[float, Field(ge=0, le=1)]
_Names = Annotated[
    Sequence[str],
    BeforeValidator(
        lambda given: [given] if isinstance(given, str) else given,
        json_schema_input_type=str | list[str],
    ),
    Field(min_length=1),
]
_Labels = Mapping[tuple[str, str], Sequence[str]]
"""(item, output) -> its labels, one of each person."""
_WORDS: Final = {"true": 1.0, "false": 0.0}


@evaluator("labelled", version=1)
@dataclass(frozen=True)
class Labelled:
    """The label that people gave to the output: no verdict of a program or a model.

    Where several people did, that of most of them. An output without a label, or whose labels tie,
    has no score.

    Attributes:
        name: The card's name.
        file: A file of labels, relative to the card: a record for each output, with the fields
            `item` (the item's id) and `output`. Without a file the labels are fields of the item's
            metadata, for items that have one output.
        output: The field of the file with the whole output, or with the answer that was read in it:
            `answer` in a table of `ember-bench export --what trials`.
        label: The field with the label, or the fields of several people. Empty is no label.
        scores: What labels are worth, such as `{good: 1, bad: 0}`; by default they are numbers
            from 0 to 1, or true and false.
    """

    name: str
    file: str | None = None
    output: str = "output"
    label: _Names = ("label",)
    scores: Mapping[str, _Points] = field(default_factory=dict)

    def with_file(self, document: Document) -> Labelled:
        """Return the same with its file read.

        Raises:
            ConfigError: if it cannot be read, or a label in it has no score.
        """
        if self.file is None:
            return self
        path = document.path.parent / self.file
        if not path.is_file():
            raise ConfigError(document.problem(f"file: there is no file {path}", "file"))
        records = open_records(path)
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for number, record in records.rows:
            try:
                item, output, *labels = self._read(record)
            except (RecordError, ConfigError) as error:
                raise ConfigError(records.locate(number, str(error))) from None
            if labels:
                found[item, output] = tuple(labels)
        if not found:
            names = ", ".join(map(repr, self.label))
            raise ConfigError(document.problem(f"file: {path} has no label in {names}", "file"))
        twin = replace(self)
        twin.__dict__["labels"], twin.__dict__["revision"] = found, records.revision
        return twin

    def _read(self, record: Mapping[str, Any]) -> list[str]:
        """Return the item, the output and the labels of a record of the file.

        Raises:
            RecordError: if it has no item or output.
            ConfigError: if a label has no score.
        """
        for key in ("item", self.output):
            if lookup(record, key) is ABSENT:
                near = did_you_mean(key, list(record))
                raise RecordError(f"the record has no field {key!r}{near}")
        labels = [label for key in self.label if (label := _text(record, key))]
        for label in labels:
            self.worth(label)
        return [_text(record, "item"), _text(record, self.output), *labels]

    @cached_property
    def labels(self) -> _Labels:
        """The labels in its file.

        Raises:
            TypeError: if it has not been read.
        """
        raise TypeError(f"{self.name!r} has no labels yet: load its card, or with_file()")

    @cached_property
    def revision(self) -> str:
        """The digest of its file; "" without one."""
        return ""

    @cached_property
    def identity(self) -> str:
        """Kind, version, parameters, and the digest of the file."""
        return f"{parameter_identity(self)} {self.revision}".rstrip()

    def check_item(self, item: Item) -> None:
        """See that a label in the item's metadata has a score.

        Raises:
            ConfigError: naming the item.
        """
        if self.file is None:
            for label in self._of(item, ""):
                self.worth(label)

    def evaluate(self, item: Item, output: str) -> Score:
        """Look the label up.

        Raises:
            UnlabelledError: if there is none.
        """
        labels = self._of(item, output)
        most = Counter(labels).most_common(2)
        if not most or (len(most) == 2 and most[0][1] == most[1][1]):
            why = "no label" if not most else "as many labels of one kind as of another"
            raise UnlabelledError(f"{self.name}: item {item.id!r} has {why}")
        label, count = most[0]
        share = "" if len(labels) == 1 else f", as {count} of {len(labels)} people"
        answer = parse_answer(output, item.answer_format, item.choices)
        said = f"{self.name}: {shorten(label)}{share}"
        return Score(self.worth(label), output.strip() if answer is None else answer, said)

    def worth(self, label: str) -> float:
        """Return the score of a label.

        Raises:
            ConfigError: if it has none.
        """
        if self.scores:
            if label in self.scores:
                return self.scores[label]
            known = ", ".join(self.scores)
            raise ConfigError(f"label {shorten(label)} is none of `scores`: {known}")
        try:
            value = _WORDS[label.lower()] if label.lower() in _WORDS else float(label)
        except ValueError:
            value = math.nan
        if not 0 <= value <= 1:
            raise ConfigError(
                f"label {shorten(label)} is no number from 0 to 1: give `scores` to labels"
            )
        return value

    def _of(self, item: Item, output: str) -> Sequence[str]:
        """Return the labels of an output."""
        if self.file is None:
            return [text for key in self.label if (text := _text(item.metadata, key))]
        for key in self._keys(item, output):
            if (found := self.labels.get((item.id, key))) is not None:
                return found
        return ()

    def _keys(self, item: Item, output: str) -> Iterator[str]:
        yield output.strip()
        answer = parse_answer(output, item.answer_format, item.choices)
        if answer is not None:
            yield answer.strip()


def _text(record: Mapping[str, Any], key: str) -> str:
    """Return a field as text; "" where there is none.

    Raises:
        RecordError: if it is neither text nor number.
    """
    return as_text(lookup(record, key), key).strip()

"""The verdicts of whoever recorded the answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from ember_bench.answers.formats import get_answer_format, parse_answer
from ember_bench.errors import ConfigError, UnlabelledError
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.kinds import evaluator, parameter_identity
from ember_bench.evaluators.outputs import without_thoughts
from ember_bench.models.recorded.finding import content_digest, tape_of

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item
    from ember_bench.models.info import ModelInfo

_Verdicts = Mapping[str, Sequence[float]]
"""Text, or answer -> the verdicts that it got."""
_SHOWN: Final = 40


@evaluator("as_recorded", version=1)
@dataclass(frozen=True)
class AsRecorded:
    """Scores as the source of a recorded set did.

    An output that is one of the item's recorded texts, of any model of the set, gets the score that
    this text got. Any other, such as the answer of a vote, gets the mean score of the texts that
    state the same answer. What nobody answered has no verdict, and is an error.

    Attributes:
        name: The card's name.
        recorded: The set: `recorded:my_set`. Its card names `score` or `correct` in `fields`.
        answer_format: How answers are read out of the texts; by default as each item says.
    """

    name: str
    recorded: str
    answer_format: str | None = None

    @cached_property
    def models(self) -> Sequence[ModelInfo]:
        """The models of the set.

        Raises:
            TypeError: if they have not been given.
        """
        raise TypeError(f"{self.name!r} has no recordings yet: load its card, or with_models()")

    def with_models(self, models: Sequence[ModelInfo]) -> AsRecorded:
        """Return the same with the models of the set."""
        twin = replace(self)
        twin.__dict__["models"] = tuple(models)  # where cached_property keeps it
        return twin

    @cached_property
    def identity(self) -> str:
        """Kind, version, parameters, and the digest of the set's files."""
        digests = dict.fromkeys(content_digest(model) for model in self.models)
        form = f" {get_answer_format(self.answer_format).identity}" if self.answer_format else ""
        return f"{parameter_identity(self)}{form} {' '.join(digests)}"

    def check_item(self, item: Item) -> None:
        """See that the recordings can be had; any item may be answered by somebody.

        Raises:
            ConfigError: if the files are not there, or no score is in them.
        """
        del item
        if "_told" in self.__dict__:  # as of the first item: it is nothing of the others
            return
        self.__dict__["_told"] = True
        if not self._texts:
            raise ConfigError(
                f"evaluator {self.name!r}: {self.recorded} has no scores; its card names the field"
                " `score` or `correct` in `fields`"
            )

    def evaluate(self, item: Item, output: str) -> Score:
        """Look the output up.

        Raises:
            UnlabelledError: if it is none of the recorded answers to the item.
        """
        texts = self._texts.get(item.id, {})
        read = parse_answer(output, self._format(item), item.choices)
        verdicts = texts.get(output)
        if verdicts is None and read is not None:
            verdicts = self._answers(item).get(read)
        if verdicts is None:  # operators hand texts on without thoughts and blanks around them
            bare = output.strip()
            alike = (
                found for text, found in texts.items() if without_thoughts(text).strip() == bare
            )
            verdicts = [verdict for found in alike for verdict in found] or None
        if verdicts is None:
            shown = output if len(output) <= _SHOWN else f"{output[: _SHOWN - 3]}..."
            raise UnlabelledError(
                f"{self.name}: {self.recorded} has no verdict of {shown!r} for item {item.id!r}"
            )
        value = math.fsum(verdicts) / len(verdicts)
        count = f"{len(verdicts):,} recorded answer{'' if len(verdicts) == 1 else 's'}"
        mean = "" if len(set(verdicts)) == 1 else ", which differ: their mean"
        answer = output.strip() if read is None else read
        return Score(value, answer, f"{self.name}: {value:g}, as {count} scored{mean}")

    def _format(self, item: Item) -> str:
        return self.answer_format or item.answer_format

    @cached_property
    def _texts(self) -> Mapping[str, _Verdicts]:
        """The verdicts of each item's texts."""
        found: dict[str, dict[str, list[float]]] = {}
        for model in self.models:
            for item, sample, verdict in tape_of(model).judged():
                found.setdefault(item, {}).setdefault(sample.text, []).append(verdict)
        return {item: self._shared(texts) for item, texts in found.items()}

    def _answers(self, item: Item) -> _Verdicts:
        """Return the verdicts of the answers that the item's texts state."""
        key = (item.id, self._format(item), item.choices)
        if (known := self._read.get(key)) is None:
            answers: dict[str, list[float]] = {}
            for text, verdicts in self._texts.get(item.id, {}).items():
                answer = parse_answer(text, self._format(item), item.choices)
                if answer is not None:
                    answers.setdefault(answer, []).extend(verdicts)
            known = self._read[key] = self._shared(answers)
        return known

    def _shared(self, found: Mapping[str, Sequence[float]]) -> _Verdicts:
        """Return verdicts of which equal ones are one object: there are few different ones."""
        given = {name: tuple(verdicts) for name, verdicts in found.items()}
        return {name: self._known.setdefault(each, each) for name, each in given.items()}

    @cached_property
    def _known(self) -> dict[tuple[float, ...], tuple[float, ...]]:
        """The verdicts that some text has."""
        return {}

    @cached_property
    def _read(self) -> dict[tuple[str, str, tuple[str, ...]], _Verdicts]:
        """The verdicts of the answers of items that have been looked at."""
        return {}

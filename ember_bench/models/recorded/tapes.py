"""What models were recorded to answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ember_bench.errors import ConfigError
from ember_bench.models.recorded.values import Sample
from ember_bench.models.types import Completion

Samples = tuple[Completion, ...]
Answers = dict[str, Samples]
"""Item id -> its samples."""
Verdicts = dict[str, tuple[float | None, ...]]
"""Item id -> the source's score of each of its samples, from 0 to 1; None for one without."""


class Place(NamedTuple):
    """What a call was, as far as it was recorded.

    Attributes:
        about: The candidates that it was about.
        agent: Number of the agent.
        round: Number of the round; 0 is that of the first answers.
    """

    about: tuple[str, ...] | None = None
    agent: int | None = None
    round: int | None = None


@dataclass(slots=True)
class Tape:
    """What one model answered.

    Attributes:
        verdicts: Of the same items as `answers`, if the source scored them.
        questions: Item id -> the text of the question, if it was recorded.
        numbers: Item id -> the numbers of its samples, of items of which some were not recorded.
        places: Item id -> the answers by what the call was, where that was recorded; `answers` are
            then those of the first round, in the order of the agents.
        agents: Names of the agents, in their order.
    """

    answers: Answers = field(default_factory=dict)
    verdicts: Verdicts = field(default_factory=dict)
    questions: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    places: dict[str, dict[Place, list[Sample]]] = field(default_factory=dict)
    agents: list[str] = field(default_factory=list)

    def samples(self, item: str) -> Samples:
        """Return all answers to an item, in the order of the file."""
        if not (places := self.places.get(item)):
            return self.answers.get(item, ())
        return tuple([sample for found in places.values() for sample, _ in found])

    def number(self, item: str, place: Place) -> int:
        """Return the number, among all answers to an item, of the first at a place."""
        before = 0
        for known, found in self.places[item].items():
            if known == place:
                break
            before += len(found)
        return before

    def judged(self) -> Iterator[tuple[str, Completion, float]]:
        """Yield item id, answer and the source's score of each answer that it scored."""
        for item, verdicts in self.verdicts.items():
            for sample, verdict in zip(self.answers[item], verdicts, strict=True):
                if verdict is not None:
                    yield item, sample, verdict
        for item, places in self.places.items():
            for place, samples in places.items():
                for sample, verdict in samples if place.round else ():
                    if verdict is not None:
                        yield item, sample, verdict


@dataclass(frozen=True, slots=True)
class Table:
    """The content of a file: model as the file names it ("" without a model field) -> its tape."""

    digest: str
    models: Mapping[str, Tape]


def merge(tables: Sequence[Table], model: str, *, samples: bool = False) -> Tape | None:
    """Return what `model` answered in all `tables`, or None if it is in none.

    Args:
        tables: In the order of the files.
        model: As the files name it.
        samples: Whether an item that stands in several of them has further samples there.

    Raises:
        ConfigError: if an item stands in two of them, and should not.
    """
    found = [table.models[model] for table in tables if model in table.models]
    if len(found) <= 1:
        return found[0] if found else None
    merged = Tape()
    for tape in found:
        if (twice := merged.answers.keys() & tape.answers.keys()) and not samples:
            raise ConfigError(
                f"item {min(twice)!r} is in two of the set's files; if these are samples of it, say"
                " `files_hold: samples`"
            )
        for item, answers in tape.answers.items():
            merged.answers[item] = (*merged.answers.get(item, ()), *answers)
        for item, verdicts in tape.verdicts.items():
            merged.verdicts[item] = (*merged.verdicts.get(item, ()), *verdicts)
        merged.questions |= tape.questions
        merged.numbers |= {} if samples else tape.numbers
        for item, places in tape.places.items():
            known = merged.places.setdefault(item, {})
            for place, said in places.items():
                known[place] = [*known.get(place, ()), *said]
        if len(tape.agents) > len(merged.agents):
            merged.agents = tape.agents
    return merged

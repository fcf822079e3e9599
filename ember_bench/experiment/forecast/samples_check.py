"""The recorded samples of a grid: whether there are as many as it asks for, before it is run.

Each cell's graph runs on one item of each kind with a stand-in that makes the answers up. That
shows the draws that a recorded model is asked for at most; the counts of all items are compared
with them. Where answers steer a graph (a cascade), fewer may be enough: then the trials of the
items in question run on the recordings themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from ember_bench import bridge
from ember_bench.datasets import Item
from ember_bench.datasets.records import short as short_text
from ember_bench.errors import ProviderError
from ember_bench.evaluators.as_recorded import AsRecorded
from ember_bench.evaluators.several import headline_of
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.forecast.rehearsal import Cast, Rehearsal
from ember_bench.experiment.questions import Questions
from ember_bench.models.call import Call
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.providers.base import Provider, provider_class
from ember_bench.models.service import ModelService

# Items that are played to see that answers do not steer a graph; it then holds for all.
_PLAYED: Final = 20

Build = Callable[[ModelService], Sequence[Cell]]
"""Builds the cells of a grid, in its order, with graphs that ask the given service."""
Items = Sequence[tuple[int, str]]
"""Places in the experiment's order, and ids."""


@dataclass
class Shortage:
    """The items of which a recorded model has fewer samples than a cell asks for.

    Attributes:
        draws: Draws of an item in one epoch.
        samples: The number of samples by item.
        places: The items' places in the experiment's order.
        error: What the first of them lacks, of a cell that asks for more than answers to items.
        recorded: Ids of items that the model has answers to.
    """

    model_id: str
    cell: Cell
    draws: int = 0
    samples: dict[str, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    error: str = ""
    recorded: tuple[str, ...] = ()

    def without(self, items: Collection[str]) -> Shortage:
        """Return the shortage of all items but these."""
        samples = {item: number for item, number in self.samples.items() if item not in items}
        return replace(self, samples=samples)

    def told(self, items: int, more_cells: int) -> str:
        """Return the shortage as a sentence, of `items` in the dataset."""
        item, number = min(self.samples.items(), key=lambda entry: entry[1])
        others, epochs = len(self.samples) - 1, self.cell.epochs
        if self.error:
            more = f"; so do {others:,} more of the {items:,} items" if others else ""
            cells = f" and {_count(more_cells, 'more cell')}" if more_cells else ""
            return f"{self.error} (in cell {self.cell.name}{cells}{more})"
        text = f"{self.model_id} has {_count(number, 'recorded sample')} of item {item!r}"
        if others:
            missing = sum(not number for number in self.samples.values())
            text += f", and too few of {others:,} more of the {items:,} items"
            text += f" (none at all of {missing:,})" if number == 0 and missing <= others else ""
        text += (
            f"; cell {self.cell.name} asks for {self.draws * epochs:,} of each:"
            f" {_count(self.draws, 'draw')} x {_count(epochs, 'epoch')}"
        )
        text += f" (and {_count(more_cells, 'more cell')} too many)" if more_cells else ""
        if self.recorded and not any(self.samples.values()) and len(self.samples) == items:
            text += (
                f"; the ids of the recording are such as {' and '.join(map(repr, self.recorded))}"
            )
        return text


@dataclass(frozen=True)
class Findings:
    """The result of a check.

    Attributes:
        problems: Sentences on what cannot be run.
        notes: Sentences on items that are left out, as the grid wants it.
        left_out: By cell, the places of items that it is not to be asked.
        failing: By cell, the places of items whose trials fail, for want of any answer.
    """

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    left_out: Mapping[str, frozenset[int]] = field(default_factory=dict)
    failing: Mapping[str, frozenset[int]] = field(default_factory=dict)


def check_samples(
    registry: ModelRegistry,
    build: Build,
    questions: Mapping[str, Questions],
    *,
    excluded: bool,
    left_out: bool = False,
) -> Findings:
    """Compare the samples that cells ask for with those that there are.

    Args:
        registry: The models.
        build: Builds the grid's cells.
        questions: By name of the dataset.
        excluded: Whether items without an answer are left out (`failures: excluded`).
        left_out: Whether cells are without the items of which there are too few samples
            (`too_few_samples: left_out`).
    """
    check = _Check(registry, build, questions)
    bridge.wait(bridge.run(check.run))
    if left_out:
        return _without(check, questions)
    problems, failing = check.problems(), _Places()
    notes = []
    for (model_id, dataset), shortages in check.grouped().items():
        items = len(questions[dataset].items)
        missing = [item for s in shortages for item, number in s.samples.items() if not number]
        unanswered = frozenset(missing if excluded else ())
        for short in shortages:
            failing.add(short, unanswered)
        if unanswered:
            notes.append(
                f"{model_id} has no answer to {len(unanswered):,} of the {items:,} items of"
                f" {dataset}, such as {missing[0]!r}; trials that need one fail and are left out"
                " (failures: excluded)"
            )
        rest = [rest for s in shortages if (rest := s.without(unanswered)).samples]
        if rest:
            worst = max(rest, key=lambda s: s.draws)
            problems.append(worst.told(items, len(rest) - 1))
    return Findings(tuple(problems), tuple(notes), failing=failing.found)


class _Places:
    """Places of items by cell."""

    def __init__(self) -> None:
        self.found: dict[str, frozenset[int]] = {}

    def add(self, short: Shortage, items: Collection[str]) -> None:
        """Add those of `items` of which there are too few samples for the shortage's cell."""
        places = {short.places[item] for item in items if item in short.samples}
        if places:
            self.found[short.cell.name] = self.found.get(short.cell.name, frozenset()) | places


def _without(check: _Check, questions: Mapping[str, Questions]) -> Findings:
    """Return what follows where cells are without the items of which there are too few samples."""
    problems, notes, left_out = check.problems(), [], _Places()
    for (model_id, dataset), shortages in check.grouped().items():
        items = len(questions[dataset].items)
        for short in shortages:
            left_out.add(short, short.samples)
        lacking = dict.fromkeys(item for short in shortages for item in short.samples)
        cells = _count(len(shortages), "cell")
        notes.append(
            f"{model_id} has too few samples of {len(lacking):,} of the {items:,} items of"
            f" {dataset}, such as {next(iter(lacking))!r}; {cells} that would need more"
            f" {'is' if len(shortages) == 1 else 'are'} without them (too_few_samples: left_out)"
        )
        empty = [s for s in shortages if len(left_out.found[s.cell.name]) == items]
        if empty:
            problems.append(empty[0].told(items, len(empty) - 1) + "; no item is left")
    return Findings(tuple(problems), tuple(notes), left_out=left_out.found)


class _Check:
    """Finds what cells ask for that is not recorded.

    Attributes:
        shortages: In grid order.
        refused: The cells in which no sample can be the answer to a call, by the reason.
    """

    def __init__(
        self, registry: ModelRegistry, build: Build, questions: Mapping[str, Questions]
    ) -> None:
        self._registry = registry
        self._build = build
        self._questions = questions
        self._stand_in = Rehearsal(registry, plays=False)
        self.shortages: list[Shortage] = []
        self.refused: dict[str, list[str]] = {}
        # Provider, dataset: of those that have been compared.
        self._compared: set[tuple[Provider, str]] = set()

    def problems(self) -> list[str]:
        """Return the reasons why cells cannot be run, whatever the number of samples."""
        return [
            f"{error} (in cell {cells[0]}{_and_more(cells)})"
            for error, cells in self.refused.items()
        ]

    def run(self) -> None:
        """Check every cell; call it in a greenlet of the bridge."""
        kinds = {name: list(_kinds(asked)) for name, asked in self._questions.items()}
        for number, cell in enumerate(self._build(self._stand_in)):
            if not any(provider_class(model.provider_name).replays for model in cell.models):
                continue
            short: dict[str, Shortage] = {}
            try:
                for items in kinds[cell.dataset]:
                    self._compare(number, cell, items, short)
            except ProviderError as error:
                self.refused.setdefault(str(error), []).append(cell.name)
            else:
                self.shortages += short.values()

    def grouped(self) -> dict[tuple[str, str], list[Shortage]]:
        """Return the shortages by model and dataset."""
        found: dict[tuple[str, str], list[Shortage]] = {}
        for short in self.shortages:
            found.setdefault((short.model_id, short.cell.dataset), []).append(short)
        return found

    def _compare(self, number: int, cell: Cell, items: Items, found: dict[str, Shortage]) -> None:
        needs, fixed, staged = self._needs(cell, items[0][0])
        for provider in (*needs, *staged):
            self._see_questions(provider, cell.dataset)
        lacking = {
            provider: [place for place in items if provider.samples_of(place[1]) < needed]
            for provider, needed in needs.items()
        }
        if cell.replayed:
            places = dict.fromkeys(place for short in lacking.values() for place in short)
            fine = self._fine(number, list(places), fixed=fixed)
            lacking = {
                provider: [place for place in short if place not in fine]
                for provider, short in lacking.items()
            }
        for provider, short in lacking.items():
            if short:
                model_id = provider.model.model_id
                known = provider.some_items()
                shortage = found.setdefault(model_id, Shortage(model_id, cell, recorded=known))
                shortage.draws = max(shortage.draws, needs[provider] // cell.epochs)
                shortage.samples |= {item: provider.samples_of(item) for _, item in short}
                shortage.places |= {item: place for place, item in short}
        if staged and cell.replayed:
            told = {place for places in lacking.values() for place in places}
            rest = [place for place in items if place not in told]
            self._play_all(number, cell, rest, next(iter(staged)).model.model_id, found)

    def _play_all(
        self, number: int, cell: Cell, items: Items, model_id: str, found: dict[str, Shortage]
    ) -> None:
        """Find the items of which a graph asks for what was not recorded, in roles beside answers.

        Args:
            number: Of the cell.
            cell: The cell.
            items: The items.
            model_id: The first model that is asked in such a role.
            found: Shortages by model, which grow.
        """
        for place, item in items:
            if self._plays(number, place):
                continue
            shortage = found.get(f"{model_id} in roles")
            if shortage is None:
                error = str(self._playing[0].error or f"{model_id} has no answer of item {item!r}")
                shortage = found[f"{model_id} in roles"] = Shortage(model_id, cell, error=error)
            shortage.samples[item] = 0
            shortage.places[item] = place

    def _see_questions(self, provider: Provider, dataset: str) -> None:
        """See that the recorded answers are to the questions of the dataset, and can be scored.

        Raises:
            ProviderError: if not.
        """
        if (provider, dataset) in self._compared:
            return
        model_id, asked = provider.model.model_id, self._questions[dataset]
        if not provider.has_texts and not isinstance(headline_of(asked.evaluator), AsRecorded):
            raise ProviderError(
                f"{model_id} has scores and no texts: score {dataset} with an evaluator of the kind"
                " `as_recorded`"
            )
        others = [item for item in asked.items if not _same(provider.question_of(item.id), item)]
        if others:
            first = others[0]
            raise ProviderError(
                f"{model_id} was asked other questions in {len(others):,} of the"
                f" {len(asked.items):,} items of {dataset}: item {first.id!r} is"
                f" {short_text(first.question)}, recorded is"
                f" {short_text(provider.question_of(first.id))}"
            )
        self._compared.add((provider, dataset))

    def _needs(
        self, cell: Cell, item: int
    ) -> tuple[dict[Provider, int], bool, dict[Provider, None]]:
        """Return the samples that a graph needs of each recorded model, at most.

        And whether they are the same whatever is answered, and the recorded models that are asked
        for more than answers to the item: candidates decide on what that is.

        Raises:
            ProviderError: if no sample can be the answer to one of its calls.
        """
        needs: dict[Provider, int] = {}
        staged: dict[Provider, None] = {}
        asked: list[set[tuple[str, str, tuple[int, ...]]]] = []
        for cast in Cast:
            self._stand_in.trial(cell, self._questions[cell.dataset], item, 0, cast)
            asked.append(set())
            dealt: dict[tuple[Provider, int], bytes] = {}
            for call, provider in self._recorded(self._stand_in):
                asked[-1].add((provider.model.model_id, call.replica, call.draw))
                needed = provider.samples_needed(call)
                if provider.by_turn(call.request.role):
                    staged[provider] = None
                    continue
                if dealt.setdefault((provider, needed), call.key) != call.key:
                    raise ProviderError(
                        f"{provider.model.model_id} would answer two different requests of a trial"
                        " with one sample: samples are told apart by replica and draw alone, not"
                        " by messages or parameters"
                    )
                needs[provider] = max(needs.get(provider, 0), needed)
        return needs, all(calls == asked[0] for calls in asked), staged

    def _recorded(self, rehearsal: Rehearsal) -> Iterator[tuple[Call, Provider]]:
        """Yield the calls of the last trial that recorded models were asked."""
        for asked in rehearsal.take():
            provider = rehearsal.provider(asked.call.request.model)
            if provider is not None and provider.replays:
                yield asked.call, provider

    def _fine(self, number: int, places: Items, *, fixed: bool) -> set[tuple[int, str]]:
        """Return the items whose trials find every sample that they ask for."""
        fine = {place for place in places[:_PLAYED] if self._plays(number, place[0])}
        if fine or not fixed:
            fine |= {place for place in places[_PLAYED:] if self._plays(number, place[0])}
        return fine

    def _plays(self, number: int, item: int) -> bool:
        """Return whether the trials of an item find every sample that they ask for."""
        rehearsal, cells = self._playing
        cell, before = cells[number], rehearsal.refused
        for epoch in range(cell.epochs):
            rehearsal.trial(cell, self._questions[cell.dataset], item, epoch, Cast.RIGHT)
            rehearsal.take()
            if rehearsal.refused > before:
                return False
        return True

    @cached_property
    def _playing(self) -> tuple[Rehearsal, Sequence[Cell]]:
        rehearsal = Rehearsal(self._registry)
        return rehearsal, self._build(rehearsal)


def _same(recorded: str | None, item: Item) -> bool:
    """Return whether a recorded question, if there is one, is that of an item.

    One may have instructions around it that the other has not, and other whitespace.
    """
    if recorded is None:
        return True
    text = " ".join(recorded.split())
    known = [" ".join(known.split()) for known in (item.question, item.bare) if known]
    return any(text in one or one in text for one in known)


def _kinds(questions: Questions) -> Iterator[Items]:
    """Yield the items, those together that a graph may treat alike."""
    kinds: dict[tuple[str, int], list[tuple[int, str]]] = {}
    for number, item in enumerate(questions.items):
        kinds.setdefault((item.answer_format, len(item.choices)), []).append((number, item.id))
    yield from kinds.values()


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _and_more(cells: Sequence[str]) -> str:
    return f" and {len(cells) - 1:,} more" if len(cells) > 1 else ""

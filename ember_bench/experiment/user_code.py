"""The user files behind an experiment's cells, and those edited since its results were stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from ember_bench.answers.formats import answer_format_names, get_answer_format
from ember_bench.code_identity import code_of, is_built_in
from ember_bench.datasets.packed import values_of
from ember_bench.evaluators.several import further_of, headline_of

if TYPE_CHECKING:
    from ember_bench.experiment.prepare import Experiment
    from ember_bench.experiment.questions import Questions

FACT: Final = "user_code"
"""Name of the fact that holds the digests of the files."""


class Store(Protocol):
    """The facts of a trial store."""

    def fact(self, name: str) -> str | None:
        """Return a fact noted by an earlier run."""

    def note(self, name: str, value: str) -> None:
        """Note a fact."""


def changes(store: Store, experiment: Experiment, stale: Mapping[str, int]) -> list[str]:
    """Return a sentence for each user file that was edited since its results were stored.

    Args:
        store: Keeps the digests of the files.
        experiment: The experiment as it is now.
        stale: Number of stored trials of each cell that no longer fit.
    """
    before = noted(store.fact(FACT))
    known, again = dict(before), Counter[str]()
    for cell, code in _code_behind(experiment).items():
        known.update(code)
        changed = [name for name, digest in code.items() if before.get(name, digest) != digest]
        again.update(dict.fromkeys(changed, stale.get(cell, 0)))
    if known != before:
        store.note(FACT, msgspec.json.encode(known, order="sorted").decode())
    return [
        f"{name} changed: {trials:,} {'trial runs' if trials == 1 else 'trials run'} again"
        for name, trials in again.items()
        if trials
    ]


def noted(fact: str | None) -> dict[str, str]:
    """Return the digests of files in a fact."""
    try:
        return msgspec.json.decode(fact or "{}", type=dict[str, str])
    except msgspec.MsgspecError:  # it is damaged; fingerprints tell what has changed all the same
        return {}


def _code_behind(experiment: Experiment) -> dict[str, dict[str, str]]:
    """Return the code behind each cell by name: its graph's, evaluator's, formats', generator's."""
    asked = {name: _code_of_questions(q) for name, q in experiment.questions.items()}
    return {cell.name: {**asked[cell.dataset], **cell.code} for cell in experiment.cells}


def _code_of_questions(questions: Questions) -> dict[str, str]:
    parsers = {name: get_answer_format(name).parse for name in answer_format_names()}
    own = {name: parse for name, parse in parsers.items() if not is_built_in(parse)}
    evaluators = [headline_of(questions.evaluator), *further_of(questions.evaluator).values()]
    used = {getattr(evaluator, "answer_format", None) for evaluator in evaluators}
    if own:  # reading all items takes its time
        used.update(values_of(questions.items, "answer_format"))
    code = code_of(*map(type, evaluators), *(own[name] for name in own if name in used))
    return {**code, **questions.dataset.code}

"""What-ifs: combinations of systems by name, and grids, evaluated from what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np

from ember_bench.decisions.pool import Pool
from ember_bench.decisions.what_if import (
    KINDS,
    Combination,
    Kind,
    WhatIf,
    WhatIfTable,
    evaluate,
    share_draws,
)
from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.experiment.forecast.stored import StoredGrid, on_stored_answers
from ember_bench.experiment.prepare import prepare
from ember_bench.experiment.results.cells import CellResults, FloatArray
from ember_bench.experiment.results.comparison import Group
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.store.stored_answers import StoredAnswers
from ember_bench.registry import Cards, default_roots
from ember_bench.running.find_grids import find_grid
from ember_bench.running.find_results import ResultsReader, find_group
from ember_bench.running.places import RESPONSES

_STAGES: Final = ">"
_MOST: Final = 9
"""Systems of a dataset that are combined if no combination is named."""

FORMS: Final = (
    "vote: A; B; C, weighted: A; B, oracle: A; B, best: A; B, router: A; B, cascade: A > B"
)
"""A combination of each form."""


@dataclass(frozen=True, slots=True)
class WhatIfOptions:
    """What is combined, and where results are.

    Attributes:
        combinations: `KIND: SYSTEM; SYSTEM`, of a cascade `SYSTEM; SYSTEM > SYSTEM`; none for a
            choice of usual ones.
        agreement: Share of a cascade's first stage that must agree; None to tune it.
        within: Points of accuracy that a tuned choice may give up for a lower cost.
        results: The folder in which experiments are looked for by name.
        tracking_uri: The store of MLflow.
    """

    combinations: Sequence[str] = ()
    agreement: float | None = None
    within: float = 0.0
    results: Path = Path("results")
    tracking_uri: str | None = None


def what_if(name: str, options: WhatIfOptions) -> WhatIfTable:
    """Evaluate combinations of the systems of a name; asks no model.

    Args:
        name: `EXPERIMENT`, `EXPERIMENT/DATASET`, or another name of several systems.
        options: The combinations; one without the systems' dataset is made on every dataset.

    Raises:
        ConfigError: if there are no such results, or a combination cannot be made of them.
    """
    if options.agreement is not None and not 0 < options.agreement <= 1:
        raise ConfigError(f"--agreement must be over 0 and at most 1, not {options.agreement:g}")
    if not 0 <= options.within <= 100:
        raise ConfigError(f"--within must be between 0 and 100 points, not {options.within:g}")
    with ResultsReader(options.results) as reader:
        group = find_group(name, reader, options.tracking_uri)
        by_dataset: dict[str, list[CellResults]] = {}
        for cell in group.cells:
            by_dataset.setdefault(cell.asked.name, []).append(cell)
        named = [_parsed(text, group, options) for text in options.combinations]
        rows, left_out = [], []
        for cells in by_dataset.values():
            wanted = [
                (text, Combination(kind, *_stages(stages, cells), options.agreement, within))
                for text, kind, stages, within in named
                if _all_there(stages, cells)
            ]
            wanted = wanted if named else _usual(cells, options)
            if wanted:
                pool = Pool([cell for _, made in wanted for cell in made.everyone])
                found, without = _evaluated(pool, wanted, skip=not named)
                rows += found
                left_out += without
        if not rows:
            raise ConfigError(f"{name}: {_nothing(bool(named))}")
        return WhatIfTable(name, group.cells[0].level, rows, left_out)


def _evaluated(
    pool: Pool, wanted: Sequence[tuple[str, Combination]], *, skip: bool
) -> tuple[list[WhatIf], list[str]]:
    """Return the rows of combinations, and a sentence on those that items are too few for.

    Raises:
        ConfigError: if there are too few for one, and it is not to be skipped.
    """
    rows, skipped, why = [], [], ""
    for text, made in wanted:
        try:
            rows.append(evaluate(pool, made, text))
        except ConfigError as error:
            if not skip:
                raise
            skipped.append(made.kind)
            why = str(error)
    if not skipped:
        return rows, []
    return rows, [f"Left out ({', '.join(dict.fromkeys(skipped))}): {why}."]


def _nothing(named: bool) -> str:
    if named:
        return "no dataset has all systems of a combination"
    return (
        "a combination takes two systems on one dataset that answered, are no oracles and share no"
        " calls, and there are none; `--try` takes others"
    )


def stored_grid(path: Path, results: Path) -> StoredGrid:
    """Return what the systems of a grid would give on the answers stored in a results folder.

    Raises:
        ConfigError: with every mistake in the grid at its place, or if no answers are there.
    """
    grid = find_grid(str(path))
    cards = Cards(default_roots(grid))
    if not (results / RESPONSES).is_file():
        raise ConfigError(f"{results / RESPONSES}: is not there; no answers are stored")
    with closing(StoredAnswers(results / RESPONSES)) as known:
        return on_stored_answers(
            lambda service: prepare(grid, cards, service, asks=False),
            ModelRegistry.from_cards(cards),
            known,
        )


_Parsed = tuple[str, Kind, list[list[str]], float]


def _parsed(text: str, group: Group, options: WhatIfOptions) -> _Parsed:
    """Read `KIND: A; B > C`.

    Raises:
        ConfigError: if it is not of this form, or names what is no system.
    """
    word, colon, rest = text.partition(":")
    known: dict[str, Kind] = {kind: kind for kind in KINDS}
    kind = known.get(word.strip())
    if not colon or kind is None:
        if colon and word.strip().isidentifier():
            raise UnknownNameError("combination", word.strip(), KINDS)
        raise ConfigError(f"combination {text!r}: is not understood; combinations are {FORMS}")
    stages = [
        [name.strip() for name in stage.split(";") if name.strip()] for stage in rest.split(_STAGES)
    ]
    if not all(stages) or len(stages) != (2 if kind == "cascade" else 1):
        raise ConfigError(f"combination {text!r}: is not of the form {_form(kind)}")
    if kind != "cascade" and len(stages[0]) < 2:
        raise ConfigError(f"combination {text!r}: takes at least two systems")
    every = [name for stage in stages for name in stage]
    if twice := [name for name in dict.fromkeys(every) if every.count(name) > 1]:
        raise ConfigError(f"combination {text!r}: names {twice[0]!r} twice")
    for name in every:
        if not any(name in _names(cell) for cell in group.cells):
            raise UnknownNameError("system", name, {cell.label for cell in group.cells})
    return text, kind, stages, options.within / 100


def _form(kind: Kind) -> str:
    return next(form.strip() for form in FORMS.split(",") if form.strip().startswith(kind))


def _names(cell: CellResults) -> tuple[str, ...]:
    dataset = cell.asked.name
    return cell.label, cell.name, cell.name.removeprefix(f"{dataset}/"), f"{dataset}/{cell.label}"


def _all_there(stages: list[list[str]], cells: Sequence[CellResults]) -> bool:
    return all(any(name in _names(c) for c in cells) for stage in stages for name in stage)


def _stages(
    stages: list[list[str]], cells: Sequence[CellResults]
) -> tuple[tuple[CellResults, ...], tuple[CellResults, ...]]:
    found = [
        tuple(next(c for c in cells if name in _names(c)) for name in stage) for stage in stages
    ]
    return found[0], found[1] if len(found) > 1 else ()


def _usual(cells: Sequence[CellResults], options: WhatIfOptions) -> list[tuple[str, Combination]]:
    """Return combinations of the systems of a dataset that share no calls.

    Cascades have each pair as the first stage, and the most expensive system as the second.
    """
    members: tuple[CellResults, ...] = ()
    for cell in cells:
        if (
            cell.measured
            and not cell.oracle
            and len(members) < _MOST
            and not share_draws((*members, cell))
        ):
            members = (*members, cell)
    if len(members) < 2:
        return []
    within = options.within / 100
    kinds: list[Kind] = ["vote", "weighted", "best", "oracle"]
    if members[0].items.categories[0]:
        kinds.insert(3, "router")
    every = "; ".join(cell.label for cell in members)
    found = [(f"{kind}: {every}", Combination(kind, members, within=within)) for kind in kinds]
    ordered = sorted(members, key=lambda cell: _mean(cell.costs))
    return found + [
        (
            f"cascade: {one.label}; {two.label} > {ordered[-1].label}",
            Combination("cascade", (one, two), (ordered[-1],), options.agreement, within),
        )
        for one, two in combinations(ordered[:-1], 2)
    ]


def _mean(values: FloatArray) -> float:
    """Return the mean of what is known; infinity for nothing."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("inf")

"""What is known of the systems of a search before they are asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ember_bench.experiment.cells import Cell
from ember_bench.graph.data import PreparedGraph
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.operators.lm import LMModule

_TOKENS: Final = 200
"""Tokens of a prompt, and of an answer, as long as nothing is known."""


def cell_calls(cells: Sequence[Cell]) -> tuple[list[dict[int, float]], npt.NDArray[np.float64]]:
    """Return the calls that cells make of an item, and about what these cost.

    Calls of nodes that receive the question alone are shared by cells that have the same model,
    parameters, prompt and replica; those of other nodes depend on what was answered before, and are
    taken for calls of the cell's own.

    Returns:
        For each cell the index of each call, and its share of the cell's price; and these prices
        in US dollars, 0 if one is unknown, shape ``(n_cells,)``.
    """
    places: dict[Any, int] = {}
    calls: list[dict[int, float]] = []
    totals = np.zeros(len(cells))
    for number, cell in enumerate(cells):
        prices: dict[int, float] = {}
        for key, lm in _modules(cell):
            known = (number, len(prices)) if key is None else key
            place = places.setdefault(known, len(places))
            prices[place] = prices.get(place, 0.0) + _price(lm)
        total = sum(prices.values())
        if not prices or total == 0 or 0 in prices.values():
            own = places.setdefault((number,), len(places))
            calls.append({own: 1.0})
            continue
        totals[number] = total
        calls.append({place: price / total for place, price in prices.items()})
    return calls, totals


def _modules(cell: Cell) -> list[tuple[Any, LMModule]]:
    """Return each LM module of a cell with what its calls are known by; None if by nothing."""
    prepared = PreparedGraph(cell.graph)
    card = cell.architecture.card
    texts = [
        str(value)
        for name, value in cell.parameters.items()
        if name not in card.parameters or card.parameters[name].type == "signature"
    ]
    found: list[tuple[Any, LMModule]] = []
    replicas = prepared.replicas(Strand(TrialContext()))
    for node in prepared.nodes:
        for lm in node.operator.lm_modules():
            replica = replicas[node.name][id(lm)]
            key = (lm.model.model_id, lm.parameters, lm.config.persona, replica, *texts)
            found.append((None if node.inputs else key, lm))
    return found


def _price(lm: LMModule) -> float:
    """Return about what a call costs in US dollars; 0 if its price is unknown."""
    if (cost := lm.model.cost) is None:
        return 0.0
    return (cost.input_cost_per_thousand + cost.output_cost_per_thousand) * _TOKENS / 1000


def cell_features(cells: Sequence[Cell]) -> npt.NDArray[np.float64]:
    """Return what is known of cells before they are asked, shape ``(n_cells, n_features)``.

    A feature is an architecture, a model by the number of times that the cell's graph has it, or a
    value of a parameter. Features that all cells have alike are left out.
    """
    counts: list[Counter[str]] = []
    for cell in cells:
        found = Counter([f"architecture {cell.architecture.name}"])
        for lm in cell.graph.lm_modules():
            found[f"model {lm.model.model_id}"] += 1
        for name, value in cell.parameters.items():
            for each in value if isinstance(value, list) else [value]:
                found[f"{cell.architecture.name}.{name} {each}"] += 1
        counts.append(found)
    names = {name: place for place, name in enumerate(dict.fromkeys(n for c in counts for n in c))}
    table = np.zeros((len(cells), len(names)))
    for row, found in enumerate(counts):
        for name, number in found.items():
            table[row, names[name]] = number
    varied = table[:, np.ptp(table, axis=0) > 0]
    return varied if varied.shape[1] else np.zeros((len(cells), 1))

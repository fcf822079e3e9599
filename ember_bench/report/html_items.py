"""Who fails where, how alike systems fail, and which model does well in which architecture."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

import numpy as np

from ember_bench.drawing.html import Content, Html, joined, table, tag
from ember_bench.drawing.number_format import UNDEFINED, count, percent
from ember_bench.drawing.text import clean
from ember_bench.experiment.results.item_matrix import ItemMatrix
from ember_bench.experiment.results.summary import CellSummary, DatasetSummary
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_data import packed
from ember_bench.report.html_systems import shade

_HARDEST: Final = 10
_MOST_COMPARED: Final = 30
_UNKNOWN: Final = 255
_FULL: Final = 100
_LONGEST_QUESTION: Final = 120


def items_section(contents: Contents, dataset: DatasetSummary, number: int) -> Html:
    """Return the matrix of systems and items, and what it says; nothing without a score."""
    found = contents.matrices.get(dataset.name)
    if found is None:
        return Html("")
    title = f"Who fails where{contents.simulated(dataset)}"
    items = len(found.places)
    said = (
        f"Of {count(items, 'item')}, every system fails {found.unsolved:,} and none fails"
        f" {found.solved:,}. Each column is an item, the hardest first; each row a system, the most"
        " accurate first."
    )
    canvas = tag("canvas", role="img", tabindex=0, class_="matrix", data_matrix=str(number),
                 aria_label=f"{title}: scores of {count(len(found.cells), 'system')}. Arrow keys"
                 " move, Enter shows the item")  # fmt: skip
    labels = (tag("li", cell.label, title=cell.label) for cell in found.cells)
    drawn = tag("div", canvas, tag("i", class_="cursor", hidden="hidden"), class_="field")
    key = tag("small", tag("i", class_="key right"), "right ", tag("i", class_="key wrong"),
              "wrong ", tag("i", class_="key"), "no trial")  # fmt: skip
    return joined(
        [
            tag("h3", title),
            tag("p", said, class_="facts"),
            tag("figure", tag("figcaption", f"Scores{contents.simulated(dataset)} ", key),
                tag("div", tag("ol", *labels, aria_hidden="true"), drawn, class_="matrix-of"),
                tag("p", class_="said facts", role="status"), class_="items"),
            _hardest(contents, dataset, found, title),
            _agreement(contents, dataset, found),
        ]
    )  # fmt: skip


def items_data(contents: Contents) -> Html:
    """Return the elements that hold the scores of the matrices, by the dataset's number."""
    parts = []
    for number, dataset in enumerate(contents.summary.datasets):
        if (found := contents.matrices.get(dataset.name)) is None:
            continue
        asked = contents.rows.description.items[dataset.name]
        scores = {
            "cells": [contents.numbers[cell.name] for cell in found.cells],
            "labels": [clean(cell.label) for cell in found.cells],
            "items": [clean(asked[place].id) for place in found.places.tolist()],
            "scores": _bytes(found),
        }
        parts.append(packed(f"scores-{number}", scores))
    return joined(parts)


def _bytes(found: ItemMatrix) -> str:
    """Return the scores in percent, a byte each, row by row, as base64."""
    known = ~np.isnan(found.scores)
    scores = np.where(known, np.rint(_FULL * np.nan_to_num(found.scores)), _UNKNOWN)
    return base64.b64encode(scores.astype(np.uint8).tobytes()).decode()


def _hardest(contents: Contents, dataset: DatasetSummary, found: ItemMatrix, title: str) -> Html:
    """Return the hardest items as a table, with their question and target."""
    asked = contents.rows.description.items[dataset.name]
    rows: list[list[Content]] = []
    for place, share in zip(found.places[:_HARDEST].tolist(), found.difficulty, strict=False):
        item = asked[place]
        question = item.question
        cut = f"{question[:_LONGEST_QUESTION]}…" if len(question) > _LONGEST_QUESTION else question
        rows.append([item.id, cut, item.target, percent(float(share))])
    headings = ("item", "question", "target", "mean score")
    listed = table(headings, rows, caption=f"{title}: the hardest items, in percent", names=3,
                   wide=False)  # fmt: skip
    return tag("details", tag("summary", f"The {len(rows)} hardest items"), listed)


def _agreement(contents: Contents, dataset: DatasetSummary, found: ItemMatrix) -> Html:
    """Return how many items any two systems score the same; nothing for one system."""
    shown = found.cells[:_MOST_COMPARED]
    if len(shown) < 2:
        return Html("")
    numbers = {cell.name: str(n) for n, cell in enumerate(contents.of(dataset), 1)}
    rows: list[list[Content]] = [
        [
            f"{numbers[cell.name]} {cell.label}",
            *(_alike(found, row, column) for column in range(len(shown))),
        ]
        for row, cell in enumerate(shown)
    ]
    title = f"Agreement of systems{contents.simulated(dataset)}"
    most = f", the {len(shown)} most accurate" if len(found.cells) > len(shown) else ""
    caption = (
        f"{title}{most}: items that both score the same, in percent; point at one for those that"
        " both fail"
    )
    headings = ["system", *(numbers[cell.name] for cell in shown)]
    listed = table(headings, rows, caption=caption, kind="dense")
    return tag("details", tag("summary", "How alike systems are"), listed)


def _alike(found: ItemMatrix, row: int, column: int) -> Content:
    value = float(found.agreement[row, column])
    if row == column or np.isnan(value):
        return UNDEFINED
    fails = f"both fail {percent(float(found.both_fail[row, column]))} %"
    return shade(value, f"{100 * value:.0f}", fails)


def models_section(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return the accuracy of models in architectures; nothing if no two can be held together."""
    best: dict[tuple[str, str], CellSummary] = {}
    counts: dict[tuple[str, str], int] = {}
    for cell in contents.of(dataset):
        if cell.accuracy is None:
            continue
        place = _models(cell), cell.architecture
        counts[place] = counts.get(place, 0) + 1
        known = best.get(place)
        if known is None or known.accuracy is None or cell.accuracy.value > known.accuracy.value:
            best[place] = cell
    models = list(dict.fromkeys(name for name, _ in best))
    architectures = list(dict.fromkeys(name for _, name in best))
    sizes = len(models), len(architectures)
    if min(sizes) < 2 or len(best) <= max(sizes):
        return Html("")
    rows: list[list[Content]] = [
        [name, *(_best(best, counts, (name, kind)) for kind in architectures)] for name in models
    ]
    title = f"Models and architectures{contents.simulated(dataset)}"
    caption = (
        f"{title}: accuracy in percent; of several systems the highest, which is too high for"
        " having been chosen"
    )
    listed = table(["models", *architectures], rows, caption=caption)
    return joined([tag("h3", title), listed])


def _models(cell: CellSummary) -> str:
    return ", ".join(dict.fromkeys(cell.models))


def _best(
    best: Mapping[tuple[str, str], CellSummary],
    counts: Mapping[tuple[str, str], int],
    place: tuple[str, str],
) -> Content:
    cell = best.get(place)
    if cell is None or cell.accuracy is None:
        return ""
    of = f" of {counts[place]}" if counts[place] > 1 else ""
    value = shade(cell.accuracy.value, percent(cell.accuracy.value), cell.label)
    return joined([value, tag("small", of)])

"""Accuracies of few items, drawn towards those of others or sharpened by a control."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import numpy as np
import pytest
from msgspec import UNSET

from ember_bench import stats
from ember_bench.errors import ConfigError
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial import Trial, TrialResult
from ember_bench.report.markdown import markdown
from ember_bench.report.tidy import tidy
from ember_bench.running.find_results import ResultsReader
from tests.experiment.results.made import Made, Row, analysed
from tests.support.workspace import Workspace, single

ITEMS, ASKED = 200, 60
CATEGORIES = 5


class Part(Made):
    """An engine that asks the second cell only the first items."""

    async def run(
        self, experiment: Experiment, trials: Iterable[Trial], stop: asyncio.Event
    ) -> AsyncGenerator[list[TrialResult], None]:
        kept = [trial for trial in trials if trial.cell == 0 or trial.item < ASKED]
        async for found in super().run(experiment, kept, stop):
            yield found


def scored(cell: int, item: int, _: int) -> Row:
    """The first cell is right on every second item, the other one on some more of them."""
    return Row(float(item % 2 == 0 or (cell == 1 and item % 3 == 0)))


def controlled(workspace: Workspace, **fields: Any) -> None:
    workspace.sums(ITEMS)
    workspace.model("counted:b")
    two = [
        {**single("counted:a"), "label": "cheap"},
        {**single("counted:b"), "label": "expensive"},
    ]
    workspace.grid(architectures=two, **{"control": "cheap", **fields})


def test_accuracies_by_category_are_drawn_towards_the_mean(workspace: Workspace) -> None:
    workspace.sums(40, kind=lambda i: f"k{i % CATEGORIES}")
    workspace.edit("registry/datasets/sums.yaml", "  kind: kind", "  category: kind")
    workspace.grid(shrinkage=True)
    ran = analysed(workspace, lambda _, item, __: Row(float(item % CATEGORIES != 0 or item > 20)))
    found, raw = ran.cell.shrunken, ran.cell.categories
    assert found is not UNSET
    right = [round(raw[name].value * 8) for name in raw]
    for estimate, name in zip(
        stats.shrunken_rates(right, [8] * CATEGORIES) or (), raw, strict=True
    ):
        assert found[name].value == pytest.approx(estimate.value)
    assert raw["k0"].value < found["k0"].value < ran.cell.accuracy.value  # type: ignore[union-attr]
    text = markdown(ran.summary)
    assert "accuracy by category, drawn towards the mean" in text
    assert "on average over categories" in text


def test_nothing_is_shrunken_unless_the_grid_says_so(workspace: Workspace) -> None:
    workspace.sums(20, kind=lambda i: f"k{i % CATEGORIES}")
    workspace.edit("registry/datasets/sums.yaml", "  kind: kind", "  category: kind")
    workspace.grid()
    assert analysed(workspace, lambda *_: Row(1.0)).cell.shrunken is UNSET


@pytest.mark.parametrize("score", [0.5, 1.0])
def test_what_cannot_be_shrunken_is_said(workspace: Workspace, score: float) -> None:
    """Partial credit, and fewer than five categories."""
    workspace.sums(20, kind=lambda i: f"k{i % (CATEGORIES if score == 0.5 else 4)}")
    workspace.edit("registry/datasets/sums.yaml", "  kind: kind", "  category: kind")
    workspace.grid(shrinkage=True)
    ran = analysed(workspace, lambda *_: Row(score))
    assert ran.cell.shrunken == {}
    assert "Not drawn towards the mean" in markdown(ran.summary)


def test_datasets_of_a_suite_are_drawn_towards_each_other(workspace: Workspace) -> None:
    names = [f"d{n}" for n in range(5)]
    for name in names:
        workspace.sums(8, name)
    workspace.write(
        "registry/suites/all.yaml", {"name": "all", "purpose": "Sums.", "datasets": names}
    )
    workspace.grid(datasets=[{"suite": "all"}], shrinkage=True)
    ran = analysed(workspace, lambda cell, item, _: Row(float(item > cell)))
    (suite,) = ran.summary.suites
    expected = stats.shrunken_rates([7, 6, 5, 4, 3], [8] * 5)
    assert expected is not None
    assert [found.value for found in suite.shrunken.values()] == pytest.approx(
        [estimate.value for estimate in expected]
    )
    assert "suite all: accuracy by dataset, drawn towards the mean" in markdown(ran.summary)


def test_a_part_of_the_items_is_corrected_by_the_control(workspace: Workspace) -> None:
    controlled(workspace)
    ran = workspace.run(engine=Part(scored))
    cheap, expensive = ran.summary.cells
    assert cheap.controlled is UNSET
    items = workspace.experiment().questions["sums"].items
    numbers = [int(item.id.rpartition("-")[2]) for item in items]
    score = np.array([[scored(cell, number, 0).score for number in numbers] for cell in (0, 1)])
    expected = stats.controlled_mean(score[1, :ASKED], score[0, :ASKED], score[0, ASKED:])
    assert expected is not None
    assert expected.interval is not None
    found = expensive.controlled
    assert found
    assert found.value == pytest.approx(expected.value)
    assert (found.low, found.high) == pytest.approx((expected.interval.low, expected.interval.high))
    text = markdown(ran.summary)
    assert "accuracy on all items, by the control" in text


def test_the_accuracy_by_the_control_is_exported(workspace: Workspace) -> None:
    controlled(workspace)
    workspace.run(engine=Part(scored))
    with ResultsReader(workspace.root / "results") as reader:
        rows = reader.get("trip").rows
        table = tidy(rows, "cells", [cell.name for cell in rows.description.cells])
    names = [name for name, _ in table.columns]
    cheap, expensive = (row[names.index("accuracy_controlled")] for row in table.rows)
    assert cheap is None
    assert expensive is not None


def test_no_control_is_needed_where_all_items_are_asked(workspace: Workspace) -> None:
    controlled(workspace)
    ran = analysed(workspace, scored)
    assert [cell.controlled for cell in ran.summary.cells] == [UNSET, UNSET]


def test_items_that_are_missing_for_a_reason_have_no_accuracy_by_the_control(
    workspace: Workspace,
) -> None:
    controlled(workspace, failures="excluded")

    def some_fail(cell: int, item: int, epoch: int) -> Row:
        return Row(outcome="error") if cell and item % 5 == 0 else scored(cell, item, epoch)

    ran = workspace.run(engine=Part(some_fail))
    assert ran.summary.cells[1].controlled is None
    assert "No accuracy by the control" in markdown(ran.summary)


def test_a_control_that_names_no_cell_is_told_at_its_place(workspace: Workspace) -> None:
    controlled(workspace, control="chap")
    with pytest.raises(ConfigError, match=r"grid.yaml:\d+:\d+: control: no cell .*'cheap'"):
        workspace.experiment()


def test_a_control_changes_no_identity(workspace: Workspace) -> None:
    controlled(workspace, control=None)
    digest = workspace.experiment().digest
    controlled(workspace, shrinkage=True)
    assert workspace.experiment().digest == digest

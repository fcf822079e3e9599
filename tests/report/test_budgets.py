"""The best system by budget: it is the most accurate that a budget pays for, and honestly so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from ember_bench import stats
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.report.html_budgets import affordable, budgets_section
from ember_bench.report.html_contents import Contents
from tests.support.workspace import Workspace, single

pytestmark = pytest.mark.slow

MODELS = {"counted:cheap": (0.4, 1.0), "counted:poor": (0.1, 2.0), "counted:good": (0.9, 5.0),
          "counted:dear": (0.6, 20.0)}  # fmt: skip


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contents]:
    """Eighty sums, which four models of other prices answer."""
    made = Workspace(tmp_path_factory.mktemp("budgets"))
    made.sums(80)
    for name, (right, price) in MODELS.items():
        made.model(name, right=right, price=price)
    made.grid(
        architectures=[single([*MODELS], label="{model}")],
        baseline={"name": "single", "parameters": {"model": "counted:cheap"}},
    )
    made.run()
    with closing(StoredTrials(made.root / "results/trip/trials.db")) as rows:
        yield Contents(rows, {cell.name for cell in rows.description.cells})


def test_a_system_is_best_from_its_own_cost_to_that_of_a_more_accurate_one(
    contents: Contents,
) -> None:
    (dataset,) = contents.summary.datasets
    cheap, good = affordable(contents, dataset)
    costs = {cell.label: cell.cost_per_item.value for cell in contents.of(dataset)}
    assert (cheap.cell.label, good.cell.label) == ("counted:cheap", "counted:good")
    assert (cheap.start, cheap.end) == (costs["counted:cheap"], costs["counted:good"])
    assert (good.start, good.end) == (costs["counted:good"], None)


def test_its_interval_is_of_the_choice_among_all_that_the_budget_pays_for(
    contents: Contents,
) -> None:
    (dataset,) = contents.summary.datasets
    cheap, _ = affordable(contents, dataset)
    pool = [contents.results[cell.name] for cell in contents.of(dataset)[:2]]
    expected = stats.rank_cells(np.column_stack([one.scores for one in pool]), seed=pool[0].seed)
    assert expected is not None
    assert cheap.accuracy.value == expected.winner.value
    assert (cheap.accuracy.low, cheap.accuracy.high) == (
        expected.winner.interval.low,
        expected.winner.interval.high,
    )
    assert cheap.others == (["counted:poor"] if expected.may_be_best[1] else [])


def test_the_report_has_a_mark_and_a_row_for_each(contents: Contents) -> None:
    (dataset,) = contents.summary.datasets
    page = str(budgets_section(contents, dataset))
    assert page.count('class="mark') == 2
    assert page.count("<tr>") == 3
    assert "and more" in page


def test_one_system_has_no_rivals_for_a_budget(tmp_path: Path) -> None:
    made = Workspace(tmp_path)
    made.sums(10)
    made.model("counted:cheap", right=0.5)
    made.grid(architectures=[single("counted:cheap")])
    made.run()
    with closing(StoredTrials(made.root / "results/trip/trials.db")) as rows:
        alone = Contents(rows, {cell.name for cell in rows.description.cells})
        assert not budgets_section(alone, alone.summary.datasets[0])

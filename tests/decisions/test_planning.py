"""What a study can show, from stored rows whose differences are known."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from ember_bench import stats
from ember_bench.decisions import planning
from ember_bench.decisions.planning import PowerPlan, plan_power
from ember_bench.experiment.results.cells import ERROR, CellData
from ember_bench.experiment.results.rows import TrialRows

Planned = Callable[..., PowerPlan]


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Planned:
    """Plan with scores of a baseline and of cells, each of shape (n_items, n_epochs)."""

    def plan(base: Any, *others: Any, **options: Any) -> PowerPlan:
        scores = {
            "base": np.asarray(base),
            **{f"cell{i}": np.asarray(o) for i, o in enumerate(others)},
        }
        n, epochs = scores["base"].shape
        dataset = SimpleNamespace(name="data", items=n)
        cells = {
            name: SimpleNamespace(name=name, label=name, asked=dataset, data=_data(values))
            for name, values in scores.items()
        }
        described = SimpleNamespace(
            name="pilot",
            datasets=[dataset],
            epochs=epochs,
            level=0.95,
            baselines={"data": "base"},
            cells=[
                SimpleNamespace(name=name, dataset="data", oracle=False, simulated=False)
                for name in cells
            ],
        )
        reader = SimpleNamespace(
            cell=lambda place: (list(cells.values())[place], None), results=cells.__getitem__
        )
        monkeypatch.setattr(planning, "StoredCells", lambda rows: reader)
        return plan_power(cast("TrialRows", SimpleNamespace(description=described)), **options)

    return plan


def _data(scores: np.ndarray) -> CellData:
    """Return trials with these scores; NaN is one that failed."""
    n, epochs = scores.shape
    flat = scores.ravel()
    zero = np.zeros(flat.size)
    item = np.repeat(np.arange(n, dtype=np.int32), epochs)
    outcome = np.where(np.isnan(flat), ERROR, 0).astype(np.int8)
    return CellData(n, item, outcome, np.nan_to_num(flat.astype(float)), zero, zero)


def test_right_and_wrong_answers_are_planned_by_mcnemars_test(planned: Planned) -> None:
    base, cell = np.zeros((200, 1)), np.zeros((200, 1))
    cell[:40] = 1
    plan = planned(base, cell, difference=0.02)
    (found,) = plan.comparisons
    assert found.disagree == pytest.approx(0.2)
    assert found.shows == pytest.approx(stats.detectable_difference_paired(200, 0.2))
    assert found.needs == stats.items_needed_paired(0.02, 0.2)


def test_the_error_is_shared_among_the_comparisons(planned: Planned) -> None:
    base, cell = np.zeros((100, 1)), np.eye(100)[:, :1] + np.eye(100)[:, 1:2]
    plan = planned(base, cell, cell, cell, cell, cell)
    assert plan.alpha == pytest.approx(0.01)
    expected = stats.detectable_difference_paired(100, 0.02, alpha=0.01)
    assert {found.shows for found in plan.comparisons} == {expected}


def test_more_items_than_the_pilots_show_smaller_differences(planned: Planned) -> None:
    base, cell = np.zeros((50, 1)), np.zeros((50, 1))
    cell[:15] = 1
    few, many = (planned(base, cell, items={"data": n}).comparisons[0].shows for n in (50, 5000))
    assert few is not None
    assert many is not None
    assert many < few / 5


def test_with_epochs_the_variance_is_split_and_epochs_can_do_for_items(planned: Planned) -> None:
    rng = np.random.default_rng(0)
    base = (rng.random((400, 4)) < 0.5).astype(float)  # items of one difficulty
    cell = (rng.random((400, 4)) < 0.5).astype(float)
    (found,) = planned(base, cell, difference=0.03).comparisons
    assert found.within == pytest.approx(0.5, abs=0.05)
    assert found.between == pytest.approx(0.0, abs=0.02)
    assert found.disagree is None
    assert found.epochs is not None
    assert found.epochs > 4
    (enough,) = planned(base, cell, difference=0.03, epochs=found.epochs).comparisons
    assert enough.shows is not None
    assert enough.shows <= 0.03
    (short,) = planned(base, cell, difference=0.03, epochs=found.epochs - 1).comparisons
    assert short.shows is not None
    assert short.shows > 0.03


def test_no_number_of_epochs_does_for_items_that_differ_themselves(planned: Planned) -> None:
    rng = np.random.default_rng(1)
    base = np.repeat((rng.random((60, 1)) < 0.5).astype(float), 3, axis=1)
    cell = np.repeat((rng.random((60, 1)) < 0.5).astype(float), 3, axis=1)
    (found,) = planned(base, cell, difference=0.01).comparisons
    assert found.epochs is None
    assert found.needs is not None


def test_items_that_never_differ_tell_nothing(planned: Planned) -> None:
    (found,) = planned(np.ones((30, 1)), np.ones((30, 1)), difference=0.01).comparisons
    assert (found.deviation, found.shows, found.needs) == (0.0, None, None)


def test_too_few_items_are_not_measured(planned: Planned) -> None:
    plan = planned(np.ones((9, 1)), np.zeros((9, 1)))
    assert plan.comparisons == []
    assert plan.unmeasured == 1


def test_failed_trials_tell_nothing_of_how_often_systems_disagree(planned: Planned) -> None:
    base, cell = np.ones((60, 1)), np.zeros((60, 1))
    base[:20], cell[20:] = np.nan, 1  # where both answered, they agree
    (found,) = planned(base, cell).comparisons
    assert (found.items, found.disagree, found.shows) == (40, 0.0, None)
    assert planned(np.full((60, 1), np.nan), cell).unmeasured == 1

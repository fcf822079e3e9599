from __future__ import annotations

from itertools import pairwise

import pytest

from ember_bench.experiment.results.description import CellDescription, Description
from ember_bench.experiment.results.items import AskedItems
from ember_bench.experiment.trial import Trial, TrialResult
from ember_bench.tracking.curves import Curves, unfinished
from tests.tracking.summaries import summary


class Rows:
    """A trial store of two cells, with what earlier runs did."""

    def __init__(self, *kept: tuple[str, float, float], failures: str = "wrong") -> None:
        cells = [
            CellDescription(f"primes/{name}", name, "primes", name, {}, [], True, False, False, [])
            for name in ("single", "vote")
        ]
        self.description = Description(
            name="demo", grid="demo.yaml", digest="0" * 32, version="0.1.0", seed=7, epochs=1,
            failures=failures, level=0.95, baseline=None, baselines={}, asked={},
            datasets=summary().datasets, items={"primes": AskedItems.of([])}, cells=cells,
        )  # fmt: skip
        self.kept = kept

    def columns(self, place: int, _names: object) -> list[tuple[object, ...]]:
        return [(i, 0, *row) for i, row in enumerate(self.kept)] if place == 0 else []


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def result(cell: int, outcome: str = "correct", score: float = 1.0) -> TrialResult:
    return TrialResult(
        Trial(cell, 0, 0),
        b"",
        outcome,
        score,
        None,
        "",
        None,
        0.2,
        1.0,
        0.1,
        (),  # type: ignore[arg-type]
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


def curves(clock: Clock, *kept: tuple[str, float, float], failures: str = "wrong") -> Curves:
    return Curves(Rows(*kept, failures=failures), clock)  # type: ignore[arg-type]


def test_a_point_has_what_was_done_of_a_cell_and_the_first_one_is_of_all(clock: Clock) -> None:
    found = curves(clock)
    found.add([result(0), result(0, "wrong", 0.0), result(1)])
    clock.now += 1
    total, single, vote = found.points()
    assert (total.cell, total.done, total.accuracy) == ("", 3, None)
    assert total.spend_usd == pytest.approx(0.3)
    assert (single.cell, single.done, single.accuracy) == ("primes/single", 2, 0.5)
    assert (vote.cell, vote.done, vote.accuracy) == ("primes/vote", 1, 1.0)
    assert vote.time == 1_001_000


def test_only_cells_that_came_on_have_a_new_point(clock: Clock) -> None:
    found = curves(clock)
    found.add([result(0), result(1)])
    clock.now += 1
    found.points()
    found.add([result(1)])
    clock.now += 1
    assert [point.cell for point in found.points()] == ["", "primes/vote"]
    clock.now += 1
    assert not found.points()


def test_points_come_every_second_at_first_and_then_every_twentieth_of_the_time(
    clock: Clock,
) -> None:
    found, times = curves(clock), []
    for second in range(1, 3_601):
        clock.now += 1
        found.add([result(0)])
        if found.points():
            times.append(second)
    assert times[:20] == list(range(1, 21))
    assert len(times) < 140
    assert all(b - a <= max(1, 0.05 * b + 1) for a, b in pairwise(times))


def test_the_last_point_is_never_too_early(clock: Clock) -> None:
    found = curves(clock)
    found.add([result(0)])
    assert not found.points()
    assert len(found.points(last=True)) == 2


def test_the_curves_go_on_from_what_earlier_runs_did_and_failed_trials_run_again(
    clock: Clock,
) -> None:
    found = curves(clock, ("correct", 1.0, 0.1), ("wrong", 0.0, 0.1), ("error", 0.0, 0.1))
    found.add([result(0)])
    _, point = found.points(last=True)
    assert (point.done, point.accuracy) == (3, pytest.approx(2 / 3))
    assert point.spend_usd == pytest.approx(0.3)


@pytest.mark.parametrize(("failures", "accuracy"), [("wrong", 0.5), ("excluded", 1.0)])
def test_failed_trials_count_as_the_grid_says(failures: str, accuracy: float, clock: Clock) -> None:
    found = curves(clock, failures=failures)
    found.add([result(0), result(0, "error", 0.0)])
    _, point = found.points(last=True)
    assert (point.done, point.failed, point.accuracy) == (2, 1, accuracy)


def test_before_the_first_trial_all_is_skipped_and_nothing_is_known() -> None:
    asked = Rows().description
    begun = unfinished(asked, started="2026-11-22T10:00:00+00:00", kept=3)
    assert [cell.name for cell in begun.cells] == ["primes/single", "primes/vote"]
    assert all(cell.accuracy is None for cell in begun.cells)
    assert (begun.run.status, begun.run.trials_kept, begun.simulated) == ("partial", 3, True)

"""What failed trials leave of a summary: no finding that they could turn."""

from __future__ import annotations

import pytest

from ember_bench import stats
from ember_bench.experiment.results.summary import CellSummary, FailureReason
from tests.experiment.results.made import Row, analysed
from tests.support.workspace import Workspace, single

pytestmark = pytest.mark.slow


def failing(workspace: Workspace, failures: str, *columns: str) -> list[CellSummary]:
    """Return the cells whose trials are right (1), wrong (0) or failed (x), item by item."""
    models = [f"counted:{letter}" for letter in "abcdefg"[: len(columns)]]
    for model in models:
        workspace.model(model)
    workspace.sums(len(columns[0]))
    workspace.grid(architectures=[single(models)], failures=failures)

    def table(cell: int, item: int, _: int) -> Row:
        sign = columns[cell][item]
        return Row(outcome="error") if sign == "x" else Row(float(sign))

    return analysed(workspace, table).summary.cells


@pytest.mark.parametrize("failures", ["wrong", "excluded"])
def test_failures_alone_make_no_finding(workspace: Workspace, failures: str) -> None:
    # A model that is right whenever it answers is not worse for having failed.
    _, other = failing(workspace, failures, "1" * 40, "1" * 10 + "x" * 30)
    found = other.comparison
    assert found is not None
    assert not found.is_clear(0.95)
    assert (found.sign, found.p_adjusted) == (0, 1.0)
    assert found.difference.low is not None
    assert found.difference.high is not None
    assert found.difference.low < -0.6
    assert found.difference.high >= 0


@pytest.mark.parametrize("failures", ["wrong", "excluded"])
def test_a_difference_that_no_failure_can_turn_is_a_finding(
    workspace: Workspace, failures: str
) -> None:
    _, other = failing(workspace, failures, "0" * 30 + "1" * 8 + "xx", "1" * 38 + "xx")
    found = other.comparison
    assert found is not None
    assert (found.sign, found.is_clear(0.95)) == (1, True)
    worst = stats.paired_difference([1] * 38 + [0, 0], [0] * 30 + [1] * 10)
    assert worst is not None
    assert worst.interval is not None
    assert found.p_value == pytest.approx(worst.p_value)
    assert found.difference.low == pytest.approx(worst.interval.low)


@pytest.mark.parametrize("failures", ["wrong", "excluded"])
def test_a_cell_whose_trials_all_failed_was_not_measured(
    workspace: Workspace, failures: str
) -> None:
    base, broken, other = failing(workspace, failures, "1010101010", "x" * 10, "1110101010")
    assert base.measured
    assert not broken.measured
    assert (broken.accuracy, broken.comparison) == (None, None)
    assert (broken.accuracy_worst, broken.accuracy_best) == (0.0, 1.0)
    assert other.comparison is not None
    assert other.comparison.p_adjusted == other.comparison.p_value


def test_pass_at_k_is_of_the_items_that_no_cell_failed_on(workspace: Workspace) -> None:
    workspace.model("counted:b")
    workspace.grid(architectures=[single(["counted:a", "counted:b"])], epochs=2,
                   failures="excluded")  # fmt: skip

    def table(cell: int, item: int, epoch: int) -> Row:
        if item == cell and epoch:
            return Row(outcome="error")
        return Row(float(item >= 5))

    for cell in analysed(workspace, table).summary.cells:
        assert cell.pass_at_k[2].value == pytest.approx(5 / 8)


def test_the_commonest_faults_are_counted(workspace: Workspace) -> None:
    ran = analysed(workspace, lambda _, item, __: Row(outcome="error" if item < 4 else None))
    assert ran.summary.failure_reasons == [FailureReason("it failed", 4)]

"""Latency, cost and pass@k: quantiles of trials, and clusters in every interval."""

from __future__ import annotations

import pytest

from tests.experiment.results.made import Row, analysed, width
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow


def test_latency_quantiles(workspace: Workspace) -> None:
    workspace.sums(101)
    cell = analysed(workspace, lambda _, item, __: Row(latency=float(item))).cell
    assert cell.latency_seconds is not None
    assert cell.latency_seconds.value == 50.0
    assert cell.latency_p50 is not None
    assert cell.latency_p95 is not None
    assert (cell.latency_p50.value, cell.latency_p95.value) == (50.0, 95.0)
    assert cell.latency_p50.low is not None
    assert cell.latency_p95.high is not None


def test_latency_quantiles_are_of_trials_and_not_of_the_items_means(workspace: Workspace) -> None:
    # Each item has one fast and one slow epoch: no trial takes as long as their mean.
    workspace.sums(60)
    workspace.grid(epochs=2)
    cell = analysed(workspace, lambda _, item, epoch: Row(latency=(1.0, 9.0)[epoch])).cell
    assert cell.latency_seconds is not None
    assert cell.latency_seconds.value == 5.0
    assert cell.latency_p95 is not None
    assert cell.latency_p95.value == 9.0


def test_trials_of_an_item_tell_less_of_a_quantile_than_independent_ones(
    workspace: Workspace,
) -> None:
    workspace.grid(epochs=12)
    alike = analysed(workspace, lambda _, item, __: Row(latency=float(item))).cell
    workspace.sums(120)
    workspace.grid(epochs=1)
    alone = analysed(workspace, lambda _, item, __: Row(latency=float(item % 10))).cell
    assert alike.latency_p50 is not None
    assert alone.latency_p50 is not None
    assert alone.latency_p50.low is not None
    assert alone.latency_p50.high is not None
    assert (
        alike.latency_p50.low is None
        or alike.latency_p50.high is None
        or (
            alike.latency_p50.high - alike.latency_p50.low
            > alone.latency_p50.high - alone.latency_p50.low
        )
    )


def test_a_quantile_of_too_few_trials_has_no_interval(workspace: Workspace) -> None:
    cell = analysed(workspace, lambda _, item, __: Row(latency=float(item))).cell
    assert cell.latency_p95 is not None
    assert cell.latency_p95.low is None
    assert cell.latency_p95.high is None


@pytest.mark.parametrize("name", ["cost_per_item", "cost_per_correct", "latency_seconds"])
def test_items_of_a_cluster_widen_the_intervals_of_amounts_too(
    workspace: Workspace, name: str
) -> None:
    def table(_: int, item: int, __: int) -> Row:
        amount = 1.0 + item // 10 % 3
        return Row(float(item % 10 < 7), cost=amount, latency=amount)

    workspace.sums(90)
    alone = analysed(workspace, table).cell
    workspace.sums(90, cluster=lambda i: f"passage {i // 10}")
    together = analysed(workspace, table).cell
    assert width(getattr(together, name)) > 1.5 * width(getattr(alone, name))


def test_items_of_a_cluster_widen_pass_at_k(workspace: Workspace) -> None:
    workspace.grid(epochs=2)

    def table(_: int, item: int, epoch: int) -> Row:
        return Row(float(item // 10 % 2 and epoch == 0))

    workspace.sums(80)
    alone = analysed(workspace, table).cell
    workspace.sums(80, cluster=lambda i: f"passage {i // 10}")
    together = analysed(workspace, table).cell
    assert together.pass_at_k[2].value == alone.pass_at_k[2].value == 0.5
    assert width(together.pass_at_k[2]) > 1.5 * width(alone.pass_at_k[2])

"""What each node takes of cost, latency and tokens."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from ember_bench.experiment.results.nodes import NodeSummary, node_summaries
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.models.store.stored_answers import StoredAnswers
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_report import html_report
from tests.support.workspace import Workspace, single


def nodes_of(workspace: Workspace, cell: int = 0) -> dict[str, NodeSummary]:
    path: Path = workspace.root / "results/trip/trials.db"
    stored = StoredTrials(path)
    try:
        return {node.node: node for node in node_summaries(stored, cell)}
    finally:
        stored.close()


def judged(**more: object) -> dict[str, object]:
    parameters = {"models": ["counted:a", "counted:b"], "judge": "counted:judge"}
    return {"name": "ensemble_judge", "parameters": parameters, **more}


@pytest.fixture
def judging(workspace: Workspace) -> Workspace:
    """Two models that take 1 s, and a judge that takes 3 s and ten times their price."""
    workspace.model("counted:a", price=1.0, says=1.0)
    workspace.model("counted:b", price=1.0, says=0.5)
    workspace.model("counted:judge", price=10.0, says=3.0)
    workspace.grid(architectures=[judged()])
    return workspace


def test_shares_are_those_of_the_cards(judging: Workspace) -> None:
    cell = judging.run().cell
    nodes = nodes_of(judging)
    assert list(nodes) == ["ensemble", "judge"]
    ensemble, judge = nodes["ensemble"], nodes["judge"]
    # Each call has 10 tokens in and 20 out.
    assert (ensemble.calls, judge.calls) == (2, 1)
    assert ensemble.cost_usd == pytest.approx(2 * 0.030)
    assert judge.cost_usd == pytest.approx(0.300)
    assert judge.cost_share is not None
    assert judge.cost_share.value == pytest.approx(0.3 / 0.36)
    assert judge.token_share is not None
    assert judge.token_share.value == pytest.approx(1 / 3)
    # Of the two that answer at the same time only the slower one is waited for.
    assert (ensemble.latency_seconds, judge.latency_seconds) == (1.0, 3.0)
    assert judge.latency_share is not None
    assert judge.latency_share.value == pytest.approx(3 / 4)
    assert cell.latency_seconds is not None
    assert cell.latency_seconds.value == pytest.approx(4.0)
    assert (judge.roles, judge.models) == (["judge"], ["counted:judge"])


def test_nodes_sum_to_the_cell_whatever_calls_take(judging: Workspace) -> None:
    for name in ("a", "b", "judge"):
        (judging.root / f"registry/models/counted-{name}.yaml").unlink()
        judging.model(f"counted:{name}")
    judging.grid(architectures=[judged()], epochs=3)
    cell = judging.run().cell
    nodes = nodes_of(judging).values()
    assert cell.cost_per_item is not None
    assert cell.latency_seconds is not None
    assert sum(n.cost_usd or 0 for n in nodes) == pytest.approx(cell.cost_per_item.value)
    assert sum(n.latency_seconds or 0 for n in nodes) == pytest.approx(cell.latency_seconds.value)
    assert sum(n.latency_share.value for n in nodes if n.latency_share) == pytest.approx(1)


def test_an_unknown_price_leaves_costs_unknown(workspace: Workspace) -> None:
    workspace.model("counted:a", price=None)
    workspace.run()
    (node,) = nodes_of(workspace).values()
    assert (node.cost_usd, node.cost_share) == (None, None)
    assert node.token_share is not None


def test_failed_trials_do_not_count(workspace: Workspace) -> None:
    workspace.sums(["", "refuse", ""])
    workspace.grid(architectures=[single()])
    workspace.run()
    (node,) = nodes_of(workspace).values()
    assert node.calls == 1


class TestCachedPrompts:
    def card(self, workspace: Workspace, model_id: str, **options: int) -> None:
        prices = {"input": 1.0, "output": 1.0, "cached_input": 0.1, "cache_write": 1.25}
        cost = {f"{name}_cost_per_thousand": price for name, price in prices.items()}
        card = {"name": model_id, "cost": cost, "options": options}
        workspace.write(f"registry/models/{model_id.replace(':', '-')}.yaml", card)

    def test_have_their_cost_with_and_without_the_cache(self, workspace: Workspace) -> None:
        for name, options in {"a": {"cached": 8}, "b": {"written": 8}, "judge": {}}.items():
            self.card(workspace, f"counted:{name}", **options)
        workspace.grid(architectures=[judged()])
        workspace.run()
        ensemble, judge = nodes_of(workspace).values()
        assert ensemble.uncached_usd == pytest.approx(2 * 0.030)
        assert ensemble.cost_usd == pytest.approx(2 * 0.030 - 0.008 * 0.9 + 0.008 * 0.25)
        assert (judge.uncached_usd, judge.cost_usd) == pytest.approx((0.030, 0.030))

    def test_are_unknown_without_a_price(self, workspace: Workspace) -> None:
        workspace.model("counted:a", price=None, cached=8)
        workspace.run()
        assert [node.uncached_usd for node in nodes_of(workspace).values()] == [None]

    @pytest.mark.parametrize(("cached", "shown"), [(8, True), (0, False)])
    def test_are_part_of_the_report_if_they_changed_the_cost(
        self, workspace: Workspace, cached: int, shown: bool
    ) -> None:
        self.card(workspace, "counted:a", cached=cached)
        workspace.run()
        rows = StoredTrials(workspace.root / "results/trip/trials.db")
        cells = {cell.name for cell in rows.description.cells}
        with closing(StoredAnswers(workspace.root / "results/responses.db")) as answers:
            page = html_report(Contents(rows, cells, answers))
        rows.close()
        assert ("without prompt caching" in page) == shown
        assert ("-24 %" in page) == shown

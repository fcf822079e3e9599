"""The spend that a run tells: in the table, on the budget's line, and in `summary.json`."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.support.openai_server import Answer, Asked, Fault, OpenAIServer
from tests.support.workspace import Workspace, single

pytestmark = pytest.mark.slow

ITEMS = 6
USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
CALL_USD = 0.03
RUN = ("run", "grid.yaml", "--no-mlflow")


def prepared(here: Workspace, server: OpenAIServer, **grid: Any) -> None:
    here.sums(ITEMS)
    card = {
        "name": "openai:m",
        "provider": {"name": "openai", "base_url": server.base_url, "default_api_key": "k"},
        "cost": {"input_cost_per_thousand": 1.0, "output_cost_per_thousand": 1.0},
        "context_tokens": 100,
        "max_concurrency": 1,
    }
    here.write("registry/models/m.yaml", card)
    here.grid(architectures=[single("openai:m")], **grid)


class Script:
    """Answers each question: `first` the first time, and well after that."""

    def __init__(self, first: Any) -> None:
        self.first = first
        self.seen: Counter[str] = Counter()

    def __call__(self, asked: Asked) -> Any:
        self.seen[asked.prompt] += 1
        return self.first if self.seen[asked.prompt] == 1 else Answer("7", usage=USAGE)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ember_bench.models.retry.RetryPolicy.delay", lambda *_: 0.0)


def test_answers_that_cannot_be_used_are_paid_and_counted(
    here: Workspace, command: Command
) -> None:
    with OpenAIServer(Script(Answer(None, usage=USAGE))) as server:
        prepared(here, server)
        result = command(*RUN, "--json")
        assert server.count == 2 * ITEMS
    summary = result.json
    paid = pytest.approx(2 * ITEMS * CALL_USD)
    assert (summary["spend_usd"], summary["run"]["spend_usd"]) == (paid, paid)
    assert (summary["run"]["calls_made"], summary["run"]["calls_shared"]) == (2 * ITEMS, 0)
    [cell] = summary["cells"]
    assert (cell["spend_usd"], cell["calls_made"], cell["calls_shared"]) == (paid, 2 * ITEMS, 0)
    assert cell["cost_per_item"]["value"] == pytest.approx(CALL_USD)


def test_they_count_against_the_budget(here: Workspace, command: Command) -> None:
    with OpenAIServer([Answer(None, usage=USAGE)]) as server:
        prepared(here, server, budget_usd=0.5)
        result = command(*RUN)
        charged = server.count * CALL_USD
    assert result.status == 3
    assert 0 < charged <= 0.5
    assert f"the run: ${charged:.6f} of $0.5 spent" in result.err
    assert f"paid now ${charged:.2f}" in result.out


def test_unknown_costs_are_said_and_are_no_zeros(here: Workspace, command: Command) -> None:
    with OpenAIServer(lambda asked: Answer("7", usage=None if asked.number % 2 else USAGE)) as (
        server
    ):
        prepared(here, server)
        result = command(*RUN)
        summary = command(*RUN, "--json").json
    [cell] = summary["cells"]
    assert (cell["cost_per_item"], cell["spend_usd"], summary["spend_usd"]) == (None, None, None)
    assert cell["unpriced"] == ITEMS // 2
    assert "cost unknown in 3 trials" in result.out
    assert "paid now at least $0.09" in result.out


def test_a_budget_takes_unknown_costs_at_their_worst(here: Workspace, command: Command) -> None:
    with OpenAIServer([Answer("7", usage=None)]) as server:
        prepared(here, server, budget_usd=0.25)
        result = command(*RUN)
    assert result.status == 3
    assert server.count == 1
    assert "at most: $0.000000 is known" in result.err
    assert "paid now unknown" in result.out


def test_requests_without_an_answer_are_said_with_the_most_that_they_cost(
    here: Workspace, command: Command
) -> None:
    with OpenAIServer(Script(Fault(0))) as server:
        prepared(here, server)
        result = command(*RUN)
    found = re.search(r"and 6 requests without an answer, at most \$(\d\.\d+)", result.out)
    assert found is not None
    assert 6 * 0.1 < float(found[1]) <= 6 * 0.2

"""What one trial comes to: outcome, score, cost, latency, error."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pytest

from ember_bench.datasets.item import Item
from ember_bench.errors import EmberBenchError
from ember_bench.evaluators import load_evaluator
from ember_bench.evaluators.as_recorded import AsRecorded
from ember_bench.evaluators.base import Evaluator, Score
from ember_bench.experiment.results.analysis import Analysis
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.trial import graph_inputs, score_output, states_answer
from ember_bench.models.types import CutOff
from ember_bench.operators import MostCommonOperator
from ember_bench.registry import Cards, builtin_root
from tests.support.workspace import Workspace, single, vote

NUMBER = Item("i", "3 + 4 = ?", "7", answer_format="number")


@pytest.fixture(scope="module")
def numeric() -> Evaluator:
    return load_evaluator("numeric_match", Cards([builtin_root()]))


def rows(workspace: Workspace, *columns: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(workspace.root / "results/trip/trials.db")) as db, db:
        return db.execute(
            f"SELECT {', '.join(columns)} FROM trials JOIN items ON items.id = trials.item"
            " ORDER BY items.item, cell, epoch"
        ).fetchall()


# --- scores ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "outcome", "value"),
    [
        ("Answer: 7", "correct", 1.0),
        ("Answer: 8", "wrong", 0.0),
        ("No idea.", "unparsed", 0.0),
        ({"final_answer": "7"}, "correct", 1.0),
        ({"final_answer": None}, "unparsed", 0.0),
        ({"responses": ["Answer: 7"]}, "correct", 1.0),
        # `answers` decide only where there are several.
        ({"final_answer": "7", "answers": ["7"], "credit": "mean"}, "correct", 1.0),
        ({"final_answer": "7", "answers": ["7", "8"], "credit": "mean"}, "partial", 0.5),
        ({"final_answer": "9", "answers": ["9", "8"], "credit": "mean"}, "wrong", 0.0),
        ({"final_answer": "7", "answers": ["7", "8", "9"], "credit": "mean"}, "partial", 1 / 3),
        ({"final_answer": "8", "answers": ["8", "7"], "credit": "best"}, "correct", 1.0),
        ({"final_answer": "8", "answers": ["8", "9"], "credit": "best"}, "wrong", 0.0),
        ({"final_answer": None, "answers": [], "credit": "best"}, "unparsed", 0.0),
    ],
)
def test_what_the_last_node_gives_is_scored(
    numeric: Evaluator, output: object, outcome: str, value: float
) -> None:
    score = score_output(numeric, NUMBER, output)
    assert (score.outcome, score.value) == (outcome, value)


@pytest.mark.parametrize("output", [{}, {"responses": []}, {"responses": ["7", "7"]}, {"x": 1}])
def test_an_output_without_an_answer_is_an_error(
    numeric: Evaluator, output: Mapping[str, Any]
) -> None:
    with pytest.raises(EmberBenchError, match="final_answer"):
        score_output(numeric, NUMBER, output)


def test_a_graphs_votes_count_as_the_same_what_the_evaluator_does() -> None:
    evaluator = load_evaluator("quasi_exact_match", Cards([builtin_root()]))
    item = Item("i", "The capital of France?", "Paris")
    responses = ["London", "Paris.", "London", "paris", "Paris"]
    output = MostCommonOperator()({**graph_inputs(item, evaluator), "responses": responses})
    assert output["votes"] == {"London": 2, "Paris.": 3}
    assert score_output(evaluator, item, output).outcome == "correct"


def test_a_response_that_was_cut_off_without_a_statement_is_unparsed(numeric: Evaluator) -> None:
    for output in (CutOff("We have 3 + 4 = 7"), {"responses": [CutOff("3 + 4 is 7 and")]}):
        assert score_output(numeric, NUMBER, output).outcome == "unparsed"
    stated = CutOff("The answer is 7. To check it, we")
    assert score_output(numeric, NUMBER, stated).outcome == "correct"


# --- outcomes of whole trials ---------------------------------------------------------------------


def test_every_outcome_is_reached(workspace: Workspace) -> None:
    workspace.sums(["mumble", "refuse", *[""] * 8])
    workspace.model("counted:a", right=0.5)
    workspace.grid(
        architectures=[
            {"name": "vote", "parameters": {"model": "counted:a", "k": 2, "ties": "share"}}
        ],
        in_flight=1,
    )
    ran = workspace.run(stop_after=7)
    outcomes = ran.cell.outcomes
    assert set(outcomes) == {"correct", "wrong", "partial", "unparsed", "error", "skipped"}
    assert sum(outcomes.values()) == ran.cell.scheduled == 10
    assert ran.summary.run.status == "partial"
    assert outcomes["skipped"] > 0
    ran = workspace.run()
    assert ran.summary.run.status == "complete"
    assert ran.cell.outcomes["skipped"] == 0
    assert min(count for name, count in ran.cell.outcomes.items() if name != "skipped") > 0


def test_ties_share_the_credit(workspace: Workspace) -> None:
    models = ["counted:right", "counted:wrong"]
    workspace.model("counted:right", right=1.0)
    workspace.model("counted:wrong", right=0.0)
    workspace.grid(
        architectures=[
            {"name": "ensemble_vote", "parameters": {"models": models, "ties": ["first", "share"]}},
            {"name": "oracle", "parameters": {"models": models[::-1]}},
        ]
    )
    first, shared, oracle = workspace.run().summary.cells
    assert first.accuracy is not None
    assert first.accuracy.value == 1.0
    assert shared.accuracy is not None
    assert shared.accuracy.value == 0.5
    assert shared.outcomes["partial"] == 10
    assert oracle.accuracy is not None
    assert oracle.accuracy.value == 1.0
    assert oracle.oracle
    assert not shared.oracle


# --- errors ---------------------------------------------------------------------------------------

BUGGY = """
from ember_bench.operators import Operator
from ember_bench.operators import operator


@operator
class Buggy(Operator):
    def forward(self, inputs):
        return helper(inputs["query"])


def helper(query):
    {line}
"""


def use_buggy(workspace: Workspace, line: str) -> None:
    workspace.write("registry/buggy.py", BUGGY.replace("{line}", line))
    graph = {"answer": {"operator": "Buggy"}}
    card = {"name": "buggy", "purpose": "Fails.", "graph": graph}
    workspace.write("registry/architectures/buggy.yaml", card)
    workspace.grid(architectures=["buggy"])


def test_an_error_row_has_the_users_own_traceback(workspace: Workspace) -> None:
    use_buggy(workspace, 'raise LookupError("nothing under " + repr(query))')
    ran = workspace.run()
    assert ran.cell.outcomes["error"] == 10
    for outcome, error in rows(workspace, "outcome", "error"):
        assert outcome == "error"
        first, _, rest = error.partition("\n")
        assert first.startswith("LookupError: nothing under ' ")
        assert first.endswith("(in node 'answer')")
        assert "buggy.py" in rest
        assert "in helper" in rest
        assert 'raise LookupError("nothing under' in rest


@pytest.mark.parametrize(
    "line",
    [
        'raise ValueError("x" * 10**6)',
        'raise ValueError("\\ud800")',
        'raise type("Mute", (Exception,), {"__str__": lambda self: 1 / 0})()',
        "helper(query)",
        "return '\\ud800 is half a character'",
        "import asyncio; raise asyncio.CancelledError",
    ],
)
def test_no_error_of_a_users_stops_the_run(workspace: Workspace, line: str) -> None:
    use_buggy(workspace, line)
    cell = workspace.run().cell
    assert cell.outcomes["error"] + cell.outcomes["unparsed"] == 10
    assert all(len(error or "") < 10_000 for (error,) in rows(workspace, "error"))


def test_errors_of_providers_are_one_line(workspace: Workspace) -> None:
    workspace.sums(["refuse"])
    workspace.run()
    ((error,),) = rows(workspace, "error")
    assert error == "ProviderError: it will not answer (in node 'answer')"


def test_a_failure_counts_as_wrong_and_says_what_it_may_have_been(workspace: Workspace) -> None:
    # True accuracy 0.50; 40 of the wrong items fail. Others report 50/60 = 0.833.
    workspace.sums([*["right"] * 50, *["refuse"] * 40, *[""] * 10])
    workspace.model("counted:right", right=1.0)
    workspace.edit("registry/datasets/sums.jsonl", '" 9', '"wrong 9')
    records = (workspace.root / "registry/datasets/sums.jsonl").read_text().splitlines()
    records[90:] = [r.replace('"answer": "', '"answer": "1') for r in records[90:]]
    workspace.write("registry/datasets/sums.jsonl", "\n".join(records))
    for failures, value, items in (("wrong", 0.5, 100), ("excluded", 50 / 60, 60)):
        workspace.grid(architectures=[single("counted:right")], failures=failures)
        summary = workspace.run().summary
        (cell,) = summary.cells
        assert cell.accuracy is not None
        assert cell.accuracy.value == value
        assert (cell.accuracy_worst, cell.accuracy_best) == (0.5, 0.9)
        assert cell.outcomes["error"] == summary.failed == 40
        assert cell.items == 100
        assert cell.accuracy.low is not None
        assert cell.accuracy.high is not None
        # Wilson's interval of 50 of `items`.
        z, p = 1.959963984540054, 50 / items
        centre = (p + z**2 / (2 * items)) / (1 + z**2 / items)
        half = z / (1 + z**2 / items) * math.sqrt(p * (1 - p) / items + z**2 / (4 * items**2))
        assert cell.accuracy.low == pytest.approx(centre - half, abs=1e-12)
        assert cell.accuracy.high == pytest.approx(centre + half, abs=1e-12)


def test_without_failures_there_are_no_bounds(workspace: Workspace) -> None:
    cell = workspace.run().cell
    assert (cell.accuracy_worst, cell.accuracy_best) == (None, None)


def test_where_all_trials_fail_nothing_is_made_up(workspace: Workspace) -> None:
    workspace.sums(["refuse"] * 3)
    for failures in ("wrong", "excluded"):
        workspace.grid(failures=failures, architectures=[single(), vote(2)])
        for cell in workspace.run().summary.cells:
            assert cell.accuracy is None
            assert not cell.measured
            assert (cell.accuracy_worst, cell.accuracy_best) == (0.0, 1.0)
            assert cell.cost_per_item is None
            assert cell.cost_per_correct is None
            assert cell.latency_seconds is None
            assert (cell.latency_p50, cell.latency_p95) == (None, None)


# --- answers that were guessed at -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "stated"),
    [
        ("Answer: 7", True),
        ("7", True),
        ({"responses": ["So it is 7 in the end, as 3 + 4 was asked."]}, None),
        ({"responses": ["3 apples and 4 more make 7 or so of them"]}, False),
        ("No idea.", None),
        ({"final_answer": "7"}, None),  # a node made it
        ({"responses": ["Answer: 7", "Answer: 8"], "answers": ["7", "8"]}, None),
    ],
)
def test_an_answer_is_stated_or_guessed_at(
    numeric: Evaluator, output: Any, stated: bool | None
) -> None:
    score = score_output(numeric, NUMBER, output)
    found = states_answer(numeric, NUMBER, output, score)
    assert found == stated


def test_an_answer_that_the_evaluator_reads_in_its_own_way_is_neither(numeric: Evaluator) -> None:
    assert states_answer(numeric, NUMBER, "Answer: 7", Score(1.0, "seven", "")) is None


def test_of_a_score_that_was_recorded_of_the_response_nothing_is_guessed() -> None:
    recorded = AsRecorded("recorded", "recorded:set")
    text = "Seven and then some, 7 or so."
    assert states_answer(recorded, NUMBER, text, Score(1.0, "7", "")) is None


def told(workspace: Workspace) -> list[bool]:
    return [cell.never_stated for cell in workspace.run().summary.cells]


def test_a_cell_of_which_no_answer_was_stated_says_so(workspace: Workspace) -> None:
    workspace.grid(architectures=[single(), vote(3)])
    assert told(workspace) == [False, False]
    assert {stated for (stated,) in rows(workspace, "stated")} == {1, None}
    path = workspace.root / "results/trip/trials.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE trials SET stated = 0 WHERE stated = 1")
    assert told(workspace) == [True, False]
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE trials SET stated = 1 WHERE stated = 0 AND item = 1")
    assert told(workspace) == [False, False]


def test_of_trials_of_before_it_is_unknown(workspace: Workspace) -> None:
    workspace.run()
    path = workspace.root / "results/trip/trials.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("ALTER TABLE trials DROP COLUMN stated")
    stored = StoredTrials(path)
    assert [cell.never_stated for cell in Analysis(stored).cells()] == [False]
    stored.close()
    workspace.sums(11)
    ran = workspace.run()
    assert (ran.progress.kept, ran.progress.done) == (10, 1)
    assert sorted(str(stated) for (stated,) in rows(workspace, "stated")) == ["1", *["None"] * 10]


# --- cost and latency -----------------------------------------------------------------------------


def test_cost_counts_shared_and_stored_calls_in_full(workspace: Workspace) -> None:
    # 30 tokens at 1 dollar a thousand.
    workspace.grid(architectures=[single(), vote([1, 3])])
    for made in ((10, 0, 20), (0, 0, 0)):
        cells = workspace.run().summary.cells
        costs = [cell.cost_per_item.value for cell in cells if cell.cost_per_item]
        assert costs == pytest.approx([0.03, 0.03, 0.09], rel=1e-12)
        assert [cell.calls for cell in cells] == [10, 10, 30]
        assert [cell.input_tokens for cell in cells] == [100, 100, 300]
        assert [cell.output_tokens for cell in cells] == [200, 200, 600]
        assert [cell.calls_made for cell in cells] == list(made) or made == (0, 0, 0)


def test_another_experiment_has_the_same_costs_from_the_store(workspace: Workspace) -> None:
    workspace.grid(architectures=[vote(3)])
    before = workspace.run()
    workspace.grid(name="again", architectures=[vote(3)])
    after = workspace.run()
    assert before.cell.calls_made == 30
    assert after.cell.calls_made == 0
    assert after.summary.spend_usd == after.cell.spend_usd == 0
    for name in ("accuracy", "cost_per_item", "cost_per_correct", "latency_seconds", "calls"):
        assert getattr(before.cell, name) == getattr(after.cell, name)


def test_spend_is_what_the_run_paid(workspace: Workspace) -> None:
    workspace.grid(architectures=[vote(3)])
    first = workspace.run().summary
    assert first.spend_usd == first.run.spend_usd == pytest.approx(0.9)
    again = workspace.run().summary
    assert again.run.spend_usd == 0
    assert again.spend_usd == pytest.approx(0.9)


def test_an_unknown_price_is_an_unknown_cost(workspace: Workspace) -> None:
    workspace.model("counted:b", price=None)
    ensemble = {"name": "ensemble_vote", "parameters": {"models": ["counted:a", "counted:b"]}}
    workspace.grid(architectures=[single("counted:a"), single("counted:b"), ensemble])
    known, unknown, partly = workspace.run().summary.cells
    assert known.cost_per_item is not None
    assert known.cost_per_correct is not None
    for cell in (unknown, partly):
        assert cell.cost_per_item is None
        assert cell.cost_per_correct is None
        assert cell.accuracy is not None


def test_a_request_without_a_price_is_an_unknown_spend(workspace: Workspace) -> None:
    workspace.model("counted:b", price=None)
    workspace.grid(architectures=[single("counted:a"), single("counted:b"), vote(1, "counted:b")])
    priced, asked, shared = workspace.run().summary.cells
    assert priced.spend_usd == pytest.approx(0.3)
    assert {asked.calls_made, shared.calls_made} == {0, 10}
    unpriced = {asked.calls_made: asked.spend_usd, shared.calls_made: shared.spend_usd}
    assert unpriced == {0: 0.0, 10: None}, "who asks nobody pays nothing"


def test_an_unknown_latency_is_unknown(workspace: Workspace, tmp_path: Any) -> None:
    workspace.write("answers.jsonl", '{"id": "sums-0", "output": "Answer: 0"}\n')
    workspace.write(
        "registry/models/tape.yaml",
        {
            "name": "recorded:tape",
            "files": "../../answers.jsonl",
            "fields": {"item": "id", "answer": "output"},
            "models": ["m"],
        },
    )
    workspace.sums(1)
    workspace.grid(architectures=[single("recorded:tape/m")])
    cell = workspace.run().cell
    assert cell.accuracy is not None
    assert cell.accuracy.value == 1.0
    assert cell.latency_seconds is None
    assert (cell.latency_p50, cell.latency_p95) == (None, None)
    assert cell.cost_per_item is None


def test_latency_is_the_critical_path(workspace: Workspace) -> None:
    # Three at once, then one that reads them: 2 + 5 seconds, however many are asked first.
    workspace.model("counted:slow", says=2.0, right=1.0)
    workspace.model("counted:judge", says=5.0, right=1.0)
    workspace.grid(
        architectures=[
            single("counted:slow"),
            vote(3, "counted:slow"),
            {
                "name": "ensemble_judge",
                "parameters": {"models": ["counted:slow"] * 3, "judge": "counted:judge"},
            },
            {
                "name": "cascade",
                "parameters": {"cheap": ["counted:slow"], "dear": ["counted:judge"]},
            },
        ]
    )
    latencies = [
        c.latency_seconds.value for c in workspace.run().summary.cells if c.latency_seconds
    ]
    assert latencies == [2.0, 2.0, 7.0, 2.0]


def test_failed_trials_do_not_make_an_architecture_look_cheap_or_fast(
    workspace: Workspace,
) -> None:
    workspace.sums(["refuse", "", "", ""])
    cell = workspace.run().cell
    assert cell.cost_per_item is not None
    assert cell.cost_per_item.value == pytest.approx(0.03)
    assert cell.latency_p50 is not None
    assert cell.latency_p50.value >= 0.5


def test_several_epochs_give_pass_at_k(workspace: Workspace) -> None:
    # All epochs of an item are as likely to be right, so pass@k is 1 - (1 - p)^k.
    p = 0.4
    workspace.sums(300)
    workspace.model("simulated:solver", accuracy=p)
    workspace.grid(architectures=[single("simulated:solver")], epochs=6)
    passes = workspace.run().cell.pass_at_k
    assert sorted(passes) == [2, 5, 6]
    for k, found in passes.items():
        assert found.low is not None
        assert found.high is not None
        assert found.low <= 1 - (1 - p) ** k <= found.high
    right = {item for item, score in rows(workspace, "trials.item", "score") if score == 1.0}
    assert passes[6].value == pytest.approx(len(right) / 300)


def test_one_epoch_gives_no_pass_at_k(workspace: Workspace) -> None:
    workspace.grid(architectures=[single("counted:a")])
    assert workspace.run().cell.pass_at_k == {}

"""Results are used again only if nothing that matters has changed; what has is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import counted
from tests.support.workspace import Ran, Workspace, single, vote

pytestmark = pytest.mark.slow

# What the first run leaves: ten trials of `single`, ten of `vote`, twenty calls.
CALLS = 20


@pytest.fixture
def ran(workspace: Workspace) -> Workspace:
    workspace.write("registry/evaluators/strict.yaml", NUMERIC)
    workspace.write("registry/signatures/ask.yaml", ASK)
    workspace.write("registry/architectures/asked.yaml", ASKED)
    workspace.edit("registry/datasets/sums.yaml", "numeric_match", "strict")
    workspace.grid(architectures=[single(), vote(2), "asked"])
    first = workspace.run()
    assert first.progress.done == 30
    assert sum(counted.requests().values()) == CALLS + 10
    return workspace


NUMERIC = {"name": "strict", "kind": "numeric_match", "purpose": "Numbers."}
ASK = {
    "name": "ask",
    "purpose": "Ask politely.",
    "required_inputs": ["query"],
    "prompt_template": "Please: {query}",
}
ASKED = {
    "name": "asked",
    "purpose": "One polite call.",
    "parameters": {"temperature": {"type": "float", "default": 0.7}},
    "graph": {
        "answer": {
            "operator": "EnsembleOperator",
            "signature": "ask",
            "lm_modules": [{"model": "counted:a", "temperature": "$temperature"}],
        }
    },
}


def again(workspace: Workspace) -> tuple[Ran, int]:
    """Run once more; return what it came to and how many requests it made."""
    before = sum(counted.requests().values())
    result = workspace.run()
    return result, sum(counted.requests().values()) - before


def test_unchanged_runs_nothing_and_asks_nobody(ran: Workspace) -> None:
    result, requests = again(ran)
    assert (result.progress.done, result.progress.kept, requests) == (0, 30, 0)
    assert result.changes == []


def test_an_edited_target_is_scored_anew_without_a_call(ran: Workspace) -> None:
    ran.model("counted:a", right=1.0)
    ran.run()
    assert accuracy(ran.run()) == 1.0
    ran.edit("registry/datasets/sums.jsonl", '"answer": "16"', '"answer": "17"')
    result, requests = again(ran)
    assert (result.progress.done, requests) == (3, 0)
    assert result.changes == ["sums: item sums-2 changed"]
    assert accuracy(result) == 0.9


def accuracy(result: Ran) -> float:
    values = {c.accuracy.value for c in result.summary.cells if c.accuracy is not None}
    (value,) = values
    return value


def test_an_edited_question_is_asked_anew(ran: Workspace) -> None:
    ran.edit("registry/datasets/sums.jsonl", " 2 + 14 = ?", "2 + 14 is what?")
    result, requests = again(ran)
    assert (result.progress.done, requests) == (3, 3)
    assert result.changes == ["sums: item sums-2 changed"]


def test_many_edited_items_are_counted(ran: Workspace) -> None:
    ran.edit("registry/datasets/sums.jsonl", "= ?", "= what?")
    result, requests = again(ran)
    assert (result.progress.done, requests) == (30, 30)
    (change,) = result.changes
    assert change.startswith("sums: 10 items (sums-")
    assert change.endswith(", ...) changed")


@pytest.mark.parametrize(
    "edit",
    [
        {"relative_tolerance": 0.1},
        {"kind": "exact_match"},
        {"answer_format": "number"},
    ],
)
def test_another_evaluator_scores_anew_without_a_call(
    ran: Workspace, edit: dict[str, object]
) -> None:
    ran.write("registry/evaluators/strict.yaml", NUMERIC | edit)
    result, requests = again(ran)
    assert (result.progress.done, requests) == (30, 0)
    assert result.changes == ["sums: the evaluator strict changed, or is another one"]


def test_another_evaluator_card_scores_anew_without_a_call(ran: Workspace) -> None:
    ran.grid(
        datasets=[{"name": "sums", "evaluator": "numeric_match_1_percent"}],
        architectures=[single(), vote(2), "asked"],
    )
    result, requests = again(ran)
    assert (result.progress.done, requests) == (30, 0)
    assert "numeric_match_1_percent" in result.changes[0]


def test_a_card_of_another_name_that_scores_the_same_changes_nothing(ran: Workspace) -> None:
    ran.grid(
        datasets=[{"name": "sums", "evaluator": "numeric_match"}],
        architectures=[single(), vote(2), "asked"],
    )
    result, _ = again(ran)
    assert (result.progress.done, result.changes) == (0, [])


def test_a_new_version_of_an_evaluator_scores_anew(
    ran: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ember_bench.evaluators.kinds import KINDS, EvaluatorKind

    kind = KINDS["numeric_match"]
    newer = EvaluatorKind(kind.name, kind.version + 1, kind.cls)
    monkeypatch.setitem(KINDS, "numeric_match", newer)
    result, requests = again(ran)
    assert (result.progress.done, requests) == (30, 0)
    assert result.changes == ["sums: the evaluator strict changed, or is another one"]


def test_another_prompt_asks_anew_where_it_is_used(ran: Workspace) -> None:
    ran.edit("registry/signatures/ask.yaml", "Please:", "I beg you:")
    result, requests = again(ran)
    assert (result.progress.done, requests) == (10, 10)
    assert result.changes == ["the graph of cell sums/asked has changed"]


def test_an_edited_architecture_runs_anew(ran: Workspace) -> None:
    asks = ASKED["graph"]["answer"]  # type: ignore[index]
    reads = {"operator": "MostCommonOperator", "inputs": ["answer"]}
    ran.write("registry/architectures/asked.yaml", ASKED | {"graph": {"answer": asks, "x": reads}})
    result, requests = again(ran)
    assert (result.progress.done, requests) == (10, 0)
    assert result.changes == ["the graph of cell sums/asked has changed"]


def test_another_default_is_another_parameter(ran: Workspace) -> None:
    ran.edit("registry/architectures/asked.yaml", "default: 0.7", "default: 0.2")
    result, requests = again(ran)
    assert (result.progress.done, requests) == (10, 10)
    assert result.changes == [
        "the parameters of cell sums/asked have changed",
        "the graph of cell sums/asked has changed",
    ]


def test_a_text_that_changes_nothing_runs_nothing(ran: Workspace) -> None:
    ran.edit("registry/architectures/asked.yaml", "One polite call.", "A single polite call.")
    ran.edit("registry/signatures/ask.yaml", "Ask politely.", "Ask with manners.")
    ran.edit("registry/evaluators/strict.yaml", "Numbers.", "Just numbers.")
    ran.edit("registry/datasets/sums.yaml", "Sums.", "Some sums.")
    result, requests = again(ran)
    assert (result.progress.done, requests, result.changes) == (0, 0, [])


def test_another_parameter_is_another_cell(ran: Workspace) -> None:
    hotter = {"name": "single", "parameters": {"model": "counted:a", "temperature": 1.0}}
    ran.grid(architectures=[hotter, vote(3), "asked"])
    result, requests = again(ran)
    assert (result.progress.done, result.progress.kept) == (20, 10)
    # Ten at another temperature, and the vote's third draws.
    assert requests == 20
    assert result.changes == []
    ran.grid(architectures=[single(), vote(2), "asked"])
    result, requests = again(ran)
    assert (result.progress.done, requests) == (0, 0)


def test_other_options_of_a_model_are_another_model(ran: Workspace) -> None:
    ran.model("counted:a", right=0.1)
    result, requests = again(ran)
    assert (result.progress.done, requests) == (30, 30)
    (change,) = result.changes
    assert "the models of 3 cells (" in change
    ran.model("counted:a")
    result, requests = again(ran)
    assert (result.progress.done, requests) == (30, 0)


def test_another_price_runs_nothing(ran: Workspace) -> None:
    ran.model("counted:a", price=7.0)
    result, requests = again(ran)
    assert (result.progress.done, requests, result.changes) == (0, 0, [])


def test_a_limit_takes_part_of_what_is_there(ran: Workspace) -> None:
    architectures = [single(), vote(2), "asked"]
    ran.grid(datasets=[{"name": "sums", "limit": 4}], architectures=architectures)
    result, requests = again(ran)
    assert (result.progress.done, requests, result.changes) == (0, 0, [])
    assert [cell.scheduled for cell in result.summary.cells] == [4, 4, 4]
    assert [cell.calls for cell in result.summary.cells] == [4, 8, 4]
    ran.grid(architectures=architectures)
    assert again(ran)[0].progress.done == 0


def test_more_items_run_only_those(ran: Workspace) -> None:
    ran.sums(12)
    ran.edit("registry/datasets/sums.yaml", "numeric_match", "strict")
    result, requests = again(ran)
    assert (result.progress.done, requests, result.changes) == (6, 6, [])


def test_more_epochs_run_only_those_and_fewer_run_none(ran: Workspace) -> None:
    architectures = [single(), vote(2), "asked"]
    before = ran.run().summary.cells
    ran.grid(architectures=architectures, epochs=2)
    result, requests = again(ran)
    assert (result.progress.done, requests, result.changes) == (30, 30, [])
    assert [cell.scheduled for cell in result.summary.cells] == [20, 20, 20]
    ran.grid(architectures=architectures)
    result, requests = again(ran)
    assert (result.progress.done, requests) == (0, 0)
    assert [c.accuracy for c in result.summary.cells] == [c.accuracy for c in before]


def test_another_seed_only_orders_anew(ran: Workspace) -> None:
    before = ran.run().summary.cells
    ran.grid(architectures=[single(), vote(2), "asked"], seed=99)
    result, requests = again(ran)
    assert (result.progress.done, requests, result.changes) == (0, 0, [])
    assert [c.accuracy for c in result.summary.cells] == [c.accuracy for c in before]


def test_what_analysis_alone_uses_runs_nothing(ran: Workspace) -> None:
    ran.grid(
        architectures=[single(), vote(2), "asked"],
        failures="excluded",
        level=0.8,
        in_flight=2,
        baseline={"name": "asked"},
    )
    result, requests = again(ran)
    assert (result.progress.done, requests, result.changes) == (0, 0, [])
    assert result.summary.cells[0].comparison is not None


def test_an_edited_recording_is_another_model(workspace: Workspace, tmp_path: Path) -> None:
    answers = ['{"id": "sums-%d", "output": "Answer: %d"}' % (i, 8 * i) for i in range(10)]  # noqa: UP031
    tape = workspace.write("registry/models/tape.jsonl", "\n".join(answers))
    workspace.write(
        "registry/models/tape.yaml",
        {
            "name": "recorded:tape",
            "files": "tape.jsonl",
            "fields": {"item": "id", "answer": "output"},
            "models": ["m"],
        },
    )
    workspace.grid(architectures=[single("recorded:tape/m")])
    assert accuracy(workspace.run()) == 1.0
    assert workspace.run().progress.done == 0
    tape.write_text("\n".join(answers).replace("16", "17"), encoding="utf-8")
    result = workspace.run()
    assert result.progress.done == 10
    assert result.changes == ["the models of cell sums/single(model=recorded:tape/m) have changed"]
    assert accuracy(result) == 0.9


def test_what_changed_while_a_cell_was_out_of_the_grid_is_not_forgotten(ran: Workspace) -> None:
    ran.model("counted:a", right=1.0)
    ran.run()
    ran.grid(architectures=[single()])
    ran.edit("registry/datasets/sums.jsonl", '"answer": "16"', '"answer": "17"')
    assert again(ran)[0].changes == ["sums: item sums-2 changed"]
    ran.grid(architectures=[single(), vote(2), "asked"])
    result, requests = again(ran)
    assert (result.progress.done, requests) == (2, 0)
    (change,) = result.changes
    assert change.startswith("2 stored trials do not fit the experiment any more")
    assert accuracy(result) == 0.9


def test_a_change_that_is_taken_back_is_free(ran: Workspace) -> None:
    ran.edit("registry/datasets/sums.jsonl", " 2 + 14 = ?", "2 + 14 is what?")
    again(ran)
    ran.edit("registry/datasets/sums.jsonl", "2 + 14 is what?", " 2 + 14 = ?")
    result, requests = again(ran)
    assert (result.progress.done, requests) == (3, 0)


def test_all_that_changed_is_named(ran: Workspace) -> None:
    ran.edit("registry/datasets/sums.jsonl", '"answer": "16"', '"answer": "17"')
    ran.write("registry/evaluators/strict.yaml", NUMERIC | {"relative_tolerance": 0.1})
    ran.edit("registry/signatures/ask.yaml", "Please:", "Pray:")
    ran.model("counted:a", right=0.9)
    result, _ = again(ran)
    assert result.progress.done == 30
    assert [change.split(" of ")[0].split(" changed")[0] for change in result.changes] == [
        "the models",
        "the graph",
        "sums: item sums-2",
        "sums: the evaluator strict",
    ]


def test_each_run_names_what_changed_since_the_last_one_only(ran: Workspace) -> None:
    ran.edit("registry/signatures/ask.yaml", "Please:", "Pray:")
    assert len(again(ran)[0].changes) == 1
    assert again(ran)[0].changes == []

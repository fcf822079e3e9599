"""Records with formats, choices, evaluators, conversations and metadata of their own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ember_bench.errors import ConfigError
from ember_bench.experiment.trial import graph_inputs
from ember_bench.models.types import Message
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow

MIXED: list[dict[str, Any]] = [
    {"id": "n", "q": "1 + 1 = ?", "a": "2.0", "as": "number", "by": "numeric_match"},
    {"id": "c", "q": "2 + 2 = ?", "a": "B", "as": "choice", "options": ["3", "4"]},
    {"id": "t", "q": "3 + 3 = ?", "a": "six", "as": "text", "options": None},
]
FIELDS = {
    "id": "id", "question": "q", "target": "a", "choices": "options", "answer_format": "as",
    "evaluator": "by",
}  # fmt: skip


def dataset(workspace: Workspace, records: list[dict[str, Any]], **card: Any) -> None:
    lines = "".join(json.dumps(record) + "\n" for record in records)
    workspace.write("registry/datasets/mixed.jsonl", lines)
    head = {"name": "mixed", "purpose": "Mixed.", "source": {"file": "mixed.jsonl"}}
    workspace.write("registry/datasets/mixed.yaml", head | {"evaluator": "exact_match"} | card)
    workspace.grid(datasets=["mixed"])


def problem(workspace: Workspace, records: list[dict[str, Any]], **card: Any) -> str:
    dataset(workspace, records, **card)
    with pytest.raises(ConfigError) as caught:
        workspace.experiment()
    return str(caught.value)


def test_formats_choices_and_evaluators_are_those_of_each_record(workspace: Workspace) -> None:
    dataset(workspace, MIXED, fields=FIELDS)
    questions = workspace.experiment().questions["mixed"]
    items = {item.id: item for item in questions.items}
    assert {id_: item.answer_format for id_, item in items.items()} == {
        "n": "number", "c": "choice", "t": "text",
    }  # fmt: skip
    assert items["c"].question == "2 + 2 = ?\n\nA) 3\nB) 4"
    assert items["t"].question == "3 + 3 = ?"
    scores = {
        "n": questions.evaluator.evaluate(items["n"], "Answer: 2").value,
        "c": questions.evaluator.evaluate(items["c"], "Answer: B").value,
        "t": questions.evaluator.evaluate(items["t"], "Answer: six").value,
    }
    assert scores == {"n": 1.0, "c": 1.0, "t": 1.0}
    assert questions.evaluator.name == "exact_match, numeric_match"


def test_a_mixed_dataset_runs(workspace: Workspace) -> None:
    dataset(workspace, MIXED, fields=FIELDS)
    assert workspace.run().cell.outcomes["error"] == 0


def test_a_record_of_choices_must_have_them(workspace: Workspace) -> None:
    records = [*MIXED, {"id": "d", "q": "?", "a": "A", "as": "choice"}]
    assert "choices" in problem(workspace, records, fields=FIELDS)


def test_an_unknown_evaluator_of_a_record_is_refused(workspace: Workspace) -> None:
    records = [{**MIXED[0], "by": "numeric_mach"}, *MIXED[1:]]
    assert "did you mean 'numeric_match'" in problem(workspace, records, fields=FIELDS)


def test_messages_of_a_record_are_the_conversation(workspace: Workspace) -> None:
    said = [
        {"role": "user", "content": "I ask for sums."},
        {"role": "assistant", "content": "Go on."},
        {"role": "user", "content": "1 + 2 = ?"},
    ]
    fields = {"id": "id", "messages": "said", "system": "sys", "target": "a"}
    dataset(workspace, [{"id": "m", "said": said, "sys": "Be brief.", "a": "3"}], fields=fields)
    found = workspace.experiment()
    questions, (cell,) = found.questions["mixed"], found.cells
    inputs = graph_inputs(questions.items[0], questions.evaluator, cell)
    assert inputs["query"] == "1 + 2 = ?"
    turns = (
        Message("system", "Be brief."),
        Message("user", "I ask for sums."),
        Message("assistant", "Go on."),
    )
    assert inputs["turns"] == turns
    assert workspace.run().cell.outcomes["error"] == 0


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("hello", "messages: expected a list of messages"),
        ([{"role": "robot", "content": "?"}], "messages: expected a role of system, user"),
        ([{"role": "assistant", "content": "!"}], "messages: the last one must be a user's"),
    ],
)
def test_messages_that_are_none_are_refused(workspace: Workspace, said: Any, message: str) -> None:
    fields = {"id": "id", "messages": "said", "target": "a"}
    assert message in problem(workspace, [{"id": "m", "said": said, "a": "3"}], fields=fields)


def test_a_card_has_a_question_or_messages(workspace: Workspace) -> None:
    message = "expected exactly one of question, messages"
    assert message in problem(workspace, MIXED, fields={"id": "id", "target": "a"})


def test_a_graph_sees_the_metadata(workspace: Workspace) -> None:
    workspace.sums(3, hint=lambda i: ["use", f"hint {i}"])
    workspace.edit("registry/datasets/sums.yaml", "  hint: hint", "  metadata: hint")
    workspace.write(
        "registry/architectures/hinted.yaml",
        {
            "name": "hinted",
            "purpose": "One call with a hint.",
            "graph": {
                "answer": {
                    "operator": "EnsembleOperator",
                    "lm_modules": [{"model": "counted:a"}],
                    "signature": "{query} {hint}",
                }
            },
        },
    )
    workspace.grid(architectures=["hinted"])
    found = workspace.experiment()
    questions, (cell,) = found.questions["sums"], found.cells
    (item,) = (item for item in questions.items if item.id == "sums-1")
    inputs = graph_inputs(item, questions.evaluator, cell)
    assert inputs["metadata"] == {"hint": ["use", "hint 1"]}
    assert cell.graph.nodes["answer"]._prompt(inputs) == " 1 + 7 = ? use\nhint 1"

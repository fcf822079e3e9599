"""Solved examples before the questions of a grid."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ember_bench.errors import ConfigError
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial import graph_inputs
from ember_bench.models.types import Message
from tests.support import counted
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow


def with_shots(workspace: Workspace, **few_shot: Any) -> Experiment:
    workspace.grid(datasets=[{"name": "sums", "few_shot": few_shot}])
    return workspace.experiment()


def asked(experiment: Experiment, cell: Cell) -> dict[str, dict[str, Any]]:
    """Return the inputs of the cell's graph, by item."""
    questions = experiment.questions[cell.dataset]
    return {item.id: graph_inputs(item, questions.evaluator, cell) for item in questions.items}


def examples(experiment: Experiment, cell: Cell) -> dict[str, list[str]]:
    """Return the first terms of the sums before each question."""
    return {
        id_: [line.split()[0] for line in inputs["query"].splitlines() if "= ?" in line][:-1]
        for id_, inputs in asked(experiment, cell).items()
    }


def problem(workspace: Workspace, **few_shot: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        with_shots(workspace, **few_shot)
    return str(caught.value)


def test_examples_stand_solved_before_the_question(workspace: Workspace) -> None:
    found = with_shots(workspace, k=2)
    (cell,) = found.cells
    assert asked(found, cell)["sums-5"]["query"] == (
        " 0 + 0 = ?\nAnswer: 0\n\n 1 + 7 = ?\nAnswer: 8\n\n 5 + 35 = ?"
    )


def test_an_item_is_never_an_example_for_itself(workspace: Workspace) -> None:
    found = with_shots(workspace, k=9)
    for id_, terms in examples(found, found.cells[0]).items():
        assert len(terms) == 9
        assert id_.removeprefix("sums-") not in terms


def test_numbers_of_examples_are_swept_and_named(workspace: Workspace) -> None:
    found = with_shots(workspace, k=[0, 4, 8])
    assert [cell.name for cell in found.cells] == [
        f"sums/single(model=counted:a, few_shot={k})" for k in (0, 4, 8)
    ]
    assert [cell.parameters["few_shot"] for cell in found.cells] == [0, 4, 8]
    none, four, eight = (examples(found, cell)["sums-9"] for cell in found.cells)
    assert none == []
    assert eight[:4] == four


def test_a_label_may_show_the_number(workspace: Workspace) -> None:
    workspace.grid(
        datasets=[{"name": "sums", "few_shot": {"k": [0, 2]}}],
        architectures=[single(label="{few_shot} shots"), vote(1, label="vote")],
        baseline={"name": "single", "parameters": {"few_shot": 0}},
    )
    found = workspace.experiment()
    labels = ["0 shots", "2 shots", "vote, 0 examples", "vote, 2 examples"]
    assert sorted(cell.label for cell in found.cells) == labels
    assert found.baselines["sums"].label == "0 shots"


def test_all_cells_have_the_same_random_examples(workspace: Workspace) -> None:
    workspace.grid(
        datasets=[{"name": "sums", "few_shot": {"k": 3, "choose": "random", "seed": 1}}],
        architectures=[single(), vote(3)],
    )
    found = workspace.experiment()
    one, other = (examples(found, cell) for cell in found.cells)
    assert one == other
    assert len({tuple(terms) for terms in one.values()}) > 1
    again = with_shots(workspace, k=3, choose="random")
    assert one != examples(again, again.cells[0])


def test_a_seed_draws_fixed_examples_once_for_all_items(workspace: Workspace) -> None:
    found = with_shots(workspace, k=2, seed=5)
    drawn = examples(found, found.cells[0])
    plain = with_shots(workspace, k=2)
    assert drawn != examples(plain, plain.cells[0])
    assert len({tuple(terms) for terms in drawn.values()}) <= 3  # an example has one other


def test_examples_by_category_are_of_the_items_own(workspace: Workspace) -> None:
    workspace.sums(10, category=lambda i: "even" if i % 2 == 0 else "odd")
    found = with_shots(workspace, k=4, choose="by_category")
    for id_, terms in examples(found, found.cells[0]).items():
        assert {int(term) % 2 for term in terms} == {int(id_[-1]) % 2}
    assert "has 4 examples of 5: there are no more other items of its category" in problem(
        workspace, k=5, choose="by_category"
    )


def test_examples_may_come_from_a_file_beside_the_grid(workspace: Workspace) -> None:
    record = {"id": "x", "question": "50 + 1 = ?", "answer": "51"}
    workspace.write("solved.jsonl", json.dumps(record) + "\n")
    found = with_shots(workspace, k=1, **{"from": "solved.jsonl"})
    assert set(map(tuple, examples(found, found.cells[0]).values())) == {("50",)}


def test_chat_examples_are_turns_before_the_question(workspace: Workspace) -> None:
    found = with_shots(workspace, k=1, **{"as": "chat"})
    (cell,) = found.cells
    inputs = asked(found, cell)["sums-3"]
    assert inputs["query"] == " 3 + 21 = ?"
    turns = (Message("user", " 0 + 0 = ?"), Message("assistant", "Answer: 0"))
    assert inputs["turns"] == turns
    (operator,) = cell.graph.nodes.values()
    (task,) = operator.to_plan(inputs).tasks
    assert task.args[0] == [*turns, Message("user", " 3 + 21 = ?")]
    assert workspace.run().cell.outcomes["error"] == 0


def test_a_prompt_of_the_cell_asks_the_examples_too(workspace: Workspace) -> None:
    parameters = {"model": "counted:a", "prompt": "Sum: {question}"}
    workspace.grid(
        datasets=[{"name": "sums", "few_shot": {"k": 1}}],
        architectures=[{"name": "single", "parameters": parameters}],
    )
    found = workspace.experiment()
    query = asked(found, found.cells[0])["sums-3"]["query"]
    assert query == "Sum:  0 + 0 = ?\nAnswer: 0\n\nSum:  3 + 21 = ?"


def test_examples_are_part_of_the_identity_and_of_the_answers(workspace: Workspace) -> None:
    digests = {
        with_shots(workspace, k=2, **more).cells[0].digest
        for more in ({}, {"choose": "random"}, {"seed": 1}, {"as": "chat"})
    }
    assert len(digests) == 4
    workspace.grid()
    workspace.run()
    with_shots(workspace, k=[0, 2])
    workspace.run()
    assert len(counted.requests()) == 20  # those of no examples were asked before


@pytest.mark.parametrize(
    ("few_shot", "message"),
    [
        ({"k": 10}, "few_shot: item 'sums-"),
        ({"k": []}, "few_shot: the list of numbers is empty"),
        ({"k": -1}, "few_shot.k"),
        ({"k": 1, "chose": "random"}, "unknown field 'chose'; did you mean 'choose'?"),
        ({"k": 1, "from": "solve.jsonl"}, "few_shot: there is no file"),
    ],
)
def test_examples_that_there_are_not_are_refused(
    workspace: Workspace, few_shot: dict[str, Any], message: str
) -> None:
    found = problem(workspace, **few_shot)
    assert message in found
    assert "grid.yaml" in found


def test_an_architecture_may_have_examples_of_its_own(workspace: Workspace) -> None:
    workspace.grid(
        datasets=[{"name": "sums", "few_shot": {"k": 1}}],
        architectures=[
            single(),
            single(few_shot={"k": [0, 2]}),
            single(few_shot={"k": 2, "choose": "random", "seed": 1}),
        ],
    )
    found = workspace.experiment()
    assert [(cell.label, cell.parameters["few_shot"]) for cell in found.cells] == [
        ("single", 1),
        ("single, 0 examples", 0),
        ("single, 2 examples", 2),
        ("single, 2 examples (choose: random, seed: 1)", "2, choose: random, seed: 1"),
    ]
    assert [len(examples(found, cell)["sums-9"]) for cell in found.cells] == [1, 0, 2, 2]


def test_examples_of_an_architecture_do_not_change_its_other_cells(workspace: Workspace) -> None:
    workspace.grid(architectures=[single()])
    alone = workspace.experiment()
    workspace.grid(architectures=[single(), single(few_shot={"k": 1})])
    (cell, _) = workspace.experiment().cells
    assert (cell.name, cell.digest) == (alone.cells[0].name, alone.cells[0].digest)


def test_too_many_examples_of_an_architecture_are_told_at_its_place(workspace: Workspace) -> None:
    workspace.grid(architectures=[single(), single(few_shot={"k": 1000})])
    with pytest.raises(ConfigError, match=r"grid\.yaml:\d+:\d+: few_shot: item 'sums-"):
        workspace.experiment()

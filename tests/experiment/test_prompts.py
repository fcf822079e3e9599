"""Prompts and sampling parameters as parameters of a grid."""

from __future__ import annotations

from typing import Any

import pytest

from ember_bench.errors import ConfigError
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial import graph_inputs
from tests.support import counted
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow

SUMS = "registry/datasets/sums.yaml"


def with_parameters(workspace: Workspace, **parameters: Any) -> Experiment:
    given = {"model": "counted:a", **parameters}
    workspace.grid(architectures=[{"name": "single", "parameters": given}])
    return workspace.experiment()


def query(experiment: Experiment, cell: Cell, id_: str = "sums-2") -> str:
    questions = experiment.questions[cell.dataset]
    (item,) = (item for item in questions.items if item.id == id_)
    asked: str = graph_inputs(item, questions.evaluator, cell)["query"]
    return asked


def only(experiment: Experiment) -> Cell:
    (cell,) = experiment.cells
    return cell


def problem(workspace: Workspace, **parameters: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        with_parameters(workspace, **parameters)
    return str(caught.value)


def test_a_prompt_takes_the_place_of_the_dataset_cards(workspace: Workspace) -> None:
    workspace.edit(
        "registry/datasets/sums.yaml", "name: sums", "name: sums\nprompt: 'A {question} B'"
    )
    found = workspace.experiment()
    assert query(found, only(found)) == "A  2 + 14 = ? B"
    found = with_parameters(workspace, prompt="Sum: {question}")
    assert query(found, only(found)) == "Sum:  2 + 14 = ?"


def test_query_in_a_prompt_is_the_question_as_the_dataset_asks_it(workspace: Workspace) -> None:
    workspace.edit(
        "registry/datasets/sums.yaml", "name: sums", "name: sums\nprompt: 'A {question}'"
    )
    found = with_parameters(workspace, prompt="{query} Be brief.")
    assert query(found, only(found)) == "A  2 + 14 = ? Be brief."


def test_choices_and_metadata_stand_in_a_prompt(workspace: Workspace) -> None:
    workspace.sums(3, hint=lambda i: ["one", i], options=lambda i: [8 * i, 8 * i + 1])
    dataset = "registry/datasets/sums.yaml"
    workspace.edit(
        dataset, "  hint: hint\n  options: options", "  metadata: hint\n  choices: options"
    )
    workspace.edit(dataset, "answer_format: number", "target_is: text")
    workspace.edit(dataset, "evaluator: numeric_match", "evaluator: exact_match")
    found = with_parameters(workspace, prompt="{hint}|{question}|{choices}")
    assert query(found, only(found)) == "one\n2| 2 + 14 = ?|A) 16\nB) 17"
    assert "the prompt has no {choices}, but items have" in problem(workspace, prompt="{question}")


def test_a_prompt_may_be_a_file_or_a_signature(workspace: Workspace) -> None:
    workspace.write("prompts/short.txt", "Short: {question}\n")
    card = {"name": "careful", "prompt_template": "Careful: {question}"}
    workspace.write("registry/signatures/careful.yaml", card)
    found = with_parameters(workspace, prompt=["prompts/short.txt", "careful"])
    assert [query(found, cell) for cell in found.cells] == [
        "Short:  2 + 14 = ?",
        "Careful:  2 + 14 = ?",
    ]
    assert [cell.name for cell in found.cells] == [
        "sums/single(model=counted:a, prompt=prompts/short.txt)",
        "sums/single(model=counted:a, prompt=careful)",
    ]


def test_an_edited_prompt_file_makes_another_cell_of_the_same_name(workspace: Workspace) -> None:
    workspace.write("p.txt", "{question}")
    before = only(with_parameters(workspace, prompt="p.txt"))
    workspace.write("p.txt", "{question}!")
    after = only(with_parameters(workspace, prompt="p.txt"))
    assert before.name == after.name
    assert before.digest != after.digest
    assert only(with_parameters(workspace, prompt="{question}!")).digest == after.digest


def test_long_prompts_are_told_apart_in_short_names(workspace: Workspace) -> None:
    text = "Think about it step by step, then answer in one word.\n{question}"
    first, second = with_parameters(workspace, prompt=[text, f"{text}!"]).cells
    assert first.name != second.name
    assert max(len(first.name), len(second.name)) < 80
    assert "Think about it" in first.label


def test_a_null_among_the_prompts_is_the_cell_without_one(workspace: Workspace) -> None:
    plain = only(with_parameters(workspace))
    swept, _ = with_parameters(workspace, prompt=[None, "{question}!"]).cells
    assert swept.digest == plain.digest
    assert swept.parameters == plain.parameters


def test_the_baseline_names_a_prompt_as_the_grid_does(workspace: Workspace) -> None:
    workspace.write("p.txt", "{question}?")
    parameters = {"model": "counted:a", "prompt": [None, "p.txt"]}
    workspace.grid(
        architectures=[{"name": "single", "parameters": parameters}],
        baseline={"name": "single", "parameters": {"prompt": "p.txt"}},
    )
    assert workspace.experiment().baselines["sums"].name.endswith("prompt=p.txt)")


def test_answers_to_another_prompt_are_other_answers(workspace: Workspace) -> None:
    with_parameters(workspace, prompt=[None, "{query}", "{question} now"])
    workspace.run()
    assert len(counted.requests()) == 20  # `{query}` alone asks what no prompt does


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("Say {hint} {question}", "prompt: dataset 'sums': unknown placeholder {hint}"),
        ("{question} {choices}", "prompt: dataset 'sums': the prompt has {choices}, but no item"),
        ("Say {answer}", "prompt: the placeholder {question} is missing"),
        ("{question} {", "prompt: "),
        ("shrt.txt", "prompt: expected a template such as '{question}', a file or a signature"),
        (7, "prompt: expected a template, a file"),
    ],
)
def test_a_prompt_that_cannot_be_filled_in_is_refused(
    workspace: Workspace, prompt: Any, message: str
) -> None:
    assert message in problem(workspace, prompt=prompt)


def test_sampling_parameters_reach_the_requests(workspace: Workspace) -> None:
    given = {"max_tokens": 9, "top_p": 0.5, "stop": ["\n"], "seed": 3, "reasoning_effort": "low"}
    (lm,) = only(with_parameters(workspace, **given, system="Be brief.")).graph.lm_modules()
    request = lm.request("?")
    assert [message.content for message in request.messages] == ["Be brief.", "?"]
    assert request.parameters.max_tokens == 9
    assert request.parameters.top_p == 0.5
    assert request.parameters.stop == ("\n",)
    assert request.parameters.seed == 3
    assert request.parameters.reasoning_effort == "low"
    assert request.parameters.temperature == 0.7


def test_sampling_parameters_are_swept(workspace: Workspace) -> None:
    cells = with_parameters(workspace, max_tokens=[None, 9], stop=[["a"], ["b"]]).cells
    assert [cell.name.partition("counted:a, ")[2] for cell in cells] == [
        "max_tokens=null, stop=[a])",
        "max_tokens=null, stop=[b])",
        "max_tokens=9, stop=[a])",
        "max_tokens=9, stop=[b])",
    ]


def test_a_judge_has_sampling_parameters_of_its_own(workspace: Workspace) -> None:
    parameters = {"models": ["counted:a"], "judge": "counted:a", "judge_max_tokens": 5, "seed": 1}
    workspace.grid(architectures=[{"name": "ensemble_judge", "parameters": parameters}])
    adviser, judge = only(workspace.experiment()).graph.lm_modules()
    assert (adviser.parameters.max_tokens, adviser.parameters.seed) == (None, 1)
    assert (judge.parameters.max_tokens, judge.parameters.seed) == (5, None)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_token": 3}, "unknown parameter 'max_token' of single; did you mean 'max_tokens'?"),
        ({"max_tokens": 0}, "max_tokens: must be greater than 0 (found 0)"),
        ({"top_p": 1.5}, "top_p: must be at most 1 (found 1.5)"),
        ({"seed": "x"}, "seed: expected a whole number (found 'x')"),
        ({"stop": [1]}, "stop: expected a list of texts (found [1])"),
    ],
)
def test_a_wrong_sampling_parameter_is_refused_in_the_grid(
    workspace: Workspace, parameters: dict[str, Any], message: str
) -> None:
    found = problem(workspace, **parameters)
    assert message in found
    assert "grid.yaml" in found


def test_an_own_architecture_may_take_a_signature_as_a_parameter(workspace: Workspace) -> None:
    workspace.write(
        "registry/architectures/mine.yaml",
        {
            "name": "mine",
            "purpose": "One call with a prompt of its own.",
            "parameters": {"how": {"type": "signature", "optional": True}},
            "graph": {
                "answer": {
                    "operator": "EnsembleOperator",
                    "lm_modules": [{"model": "counted:a"}],
                    "signature": "$how",
                }
            },
        },
    )
    parameters = {"how": [None, "Please: {query}"]}
    workspace.grid(architectures=[{"name": "mine", "parameters": parameters}])
    plain, polite = (cell.graph.nodes["answer"] for cell in workspace.experiment().cells)
    assert plain._prompt({"query": "?"}) == "?"
    assert polite._prompt({"query": "?"}) == "Please: ?"

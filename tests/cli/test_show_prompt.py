"""`plan --show-prompt`: the messages that models will be asked."""

from __future__ import annotations

from tests.cli.conftest import Command
from tests.support import counted
from tests.support.workspace import Workspace

PARAMETERS = {
    "model": "counted:a",
    "verifier": "counted:a",
    "k": 2,
    "system": "Be brief.",
    "prompt": "Sum: {question}",
}


def test_the_messages_of_each_cell_are_shown_and_nobody_is_asked(
    command: Command, sums: Workspace
) -> None:
    sums.grid(architectures=[{"name": "verifier_judge", "parameters": PARAMETERS}])
    (cell,) = command("plan", "grid.yaml", "--json", "--show-prompt", "2").json
    first, second = cell["items"]
    answers, verdict = first["calls"]
    assert (answers["role"], answers["count"], answers["model"]) == ("generate", 2, "counted:a")
    system, question = answers["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert question["role"] == "user"
    assert question["content"].startswith("Sum: ")
    assert verdict["role"] == "verify"
    assert f"Answer: {first['targets'][0]}" in verdict["messages"][-1]["content"]
    assert verdict["messages"][-1]["content"].isascii()
    assert (first["answer_format"], first["evaluator"]) == ("number", "numeric_match")
    assert first["id"] != second["id"]
    assert not counted.requests()
    assert not (sums.root / "results").exists()


def test_without_a_number_one_item_is_shown_as_text(command: Command, sums: Workspace) -> None:
    result = command("plan", "--show-prompt", "grid.yaml")
    assert result.status == 0
    assert result.out.count("  item ") == 1
    assert "sums/single(model=counted:a)" in result.out
    assert "      user:\n        " in result.out
    assert "numeric_match compares it with" in result.out


def test_a_prompt_that_cannot_be_filled_in_is_refused_here(
    command: Command, sums: Workspace
) -> None:
    parameters = {"model": "counted:a", "prompt": "{question} {level}"}
    sums.grid(architectures=[{"name": "single", "parameters": parameters}])
    result = command("plan", "grid.yaml", "--show-prompt")
    assert result.status == 2
    assert "unknown placeholder {level}" in result.err

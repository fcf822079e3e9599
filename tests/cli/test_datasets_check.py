"""`ember-bench datasets check`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Command
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow


def test_the_first_items_as_asked_and_the_facts(command: Command, sums: Workspace) -> None:
    result = command("datasets", "check", "sums")
    assert result.status == 0
    for said in (
        "item sums-0\n     0 + 0 = ?\n  target: 0\n",
        "sums: 10 items from sums.jsonl",
        "targets can be read as: exact, integers, number, ",
        "no problems found",
    ):
        assert said in result.out


def test_json(command: Command, sums: Workspace) -> None:
    facts = command("datasets", "check", "sums", "--json", "--items", "1").json
    assert (facts["items"], facts["distinct_targets"], len(facts["shown"])) == (10, 10, 1)
    assert facts["readable"]["number"] == 10
    assert facts["targets"] == {"shortest": 1, "median": 2.0, "longest": 2}


def test_a_file_of_items_is_checked_with_a_guessed_card(command: Command, here: Workspace) -> None:
    here.write("quiz.csv", "question,answer\nRed?,yes\nBlue?,no\nGreen?,no\nGrey?,no\n")
    result = command("datasets", "check", "quiz.csv")
    assert result.status == 0
    assert "evaluator: yes_no" in result.out
    assert "classes: no (3), yes (1)" in result.out


def test_a_card_is_checked_by_its_path(command: Command, sums: Workspace) -> None:
    assert command("datasets", "check", "registry/datasets/sums.yaml").status == 0


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("Red?,yes\nBlue?,\n", "quiz.csv:3: the target (field 'answer') is empty"),
        ("Red?,1\nred?,2\n", "items '0', '1' have one prompt and different targets: '1', '2'"),
    ],
)
def test_a_problem_has_its_place_and_the_status_is_1(
    command: Command, here: Workspace, rows: str, said: str
) -> None:
    here.write("quiz.csv", f"question,answer\n{rows}")
    result = command("datasets", "check", "quiz.csv")
    assert result.status == 1
    assert said in result.out.partition("problem: ")[2]


def test_a_target_that_its_evaluator_refuses(command: Command, sums: Workspace) -> None:
    sums.edit("registry/datasets/sums.jsonl", '"answer": "24"', '"answer": "24 or 25"')
    result = command("datasets", "check", "sums")
    assert result.status == 1
    assert "item 'sums-3': the target '24 or 25' is not wholly an answer" in result.out
    assert "number (9)" in result.out


def test_equal_choices_are_a_problem(command: Command, here: Workspace) -> None:
    here.write("quiz.csv", "question,A,B,answer\nWhich?,x,x,A\n")
    assert "item '0' has two equal choices" in command("datasets", "check", "quiz.csv").out


def test_duplicates_and_long_targets_are_notes(command: Command, here: Workspace) -> None:
    here.write("quiz.csv", f"question,answer\nWho?,me\nwho?,me\nWhy?,{'so ' * 99}\n")
    result = command("datasets", "check", "quiz.csv")
    assert result.status == 0
    assert "note: items '0', '1' are the same: one prompt, one target" in result.out
    assert "note: 1 targets have over 200 characters ('2')" in result.out


def test_an_unknown_dataset_is_bad_input(command: Command, sums: Workspace) -> None:
    result = command("datasets", "check", "sumz")
    assert result.status == 2
    assert "unknown dataset 'sumz'; did you mean 'sums'?" in result.err

"""`ember-bench new`: everything that it writes runs as it is written."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Command
from tests.support.openai_server import OpenAIServer
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow

CSV = "question,answer\n" + "".join(f"What is {i} + {i}?,{2 * i}\n" for i in range(60))
MIXED = "question,first,second,answer\n" + "".join(
    f"What is {i} + {i}?,,,{2 * i}\nIs it more?,{i},{i + 1},{i + 1}\nWho was {i}th?,,,Ada\n"
    for i in range(20)
)
RUN = ("--no-mlflow", "--quiet")


def card(path: str) -> Any:
    text = Path(path).read_text()
    assert text.startswith("# yaml-language-server: $schema=.schemas/")
    return yaml.safe_load(text)


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the lines that a person types."""
    return lambda *lines: monkeypatch.setattr(
        sys, "stdin", StringIO("".join(f"{line}\n" for line in lines))
    )


@pytest.mark.parametrize("options", [(), ("--choices", "first", "--choices", "second")])
def test_a_file_of_sixty_items_becomes_a_study(
    command: Command, here: Workspace, options: tuple[str, ...]
) -> None:
    """Of sums alone, and of sums, choices and free text together."""
    here.write("sums.csv", MIXED if options else CSV)
    written = command("new", "dataset", "sums.csv", "--yes", *options)
    assert written.out == "registry/datasets/sums.yaml\n"
    assert "    What is 0 + 0?\n" in written.err
    assert "    End with a line of the form `Answer: X`" in written.err
    assert written.err.count("\n  target: ") == 3
    assert command("new", "study", "mine", "--yes").out == "experiments/mine.yaml\n"
    ran = command("run", "mine", *RUN, "--json")
    assert ran.status == 0
    assert {(cell["dataset"], cell["items"]) for cell in ran.json["cells"]} == {("sums", 60)}


def test_the_card_says_what_was_guessed(command: Command, here: Workspace) -> None:
    here.write("my items.csv", CSV)
    command("new", "dataset", "my items.csv", "--yes")
    found = card("registry/datasets/my_items.yaml")
    assert found["source"] == {"file": "../../my items.csv"}
    assert found["fields"] == {"question": "question", "target": "answer"}
    assert (found["answer_format"], found["evaluator"]) == ("number", "numeric_match")
    here.grid(
        datasets=["my_items"],
        architectures=[{"name": "single", "parameters": {"model": "simulated:small"}}],
    )
    assert command("plan", "grid.yaml").status == 0


def test_a_person_is_asked_with_the_guesses_as_defaults(
    command: Command, here: Workspace, type_in: Any
) -> None:
    here.write("quiz.csv", "question,hint,A,B,answer\nWhich?,long,x,y,A\n")
    type_in("hint", "", "-", "", "y")
    assert command("new", "dataset", "quiz.csv", "--name", "q").status == 0
    assert card("registry/datasets/q.yaml")["fields"] == {"question": "hint", "target": "answer"}


@pytest.mark.parametrize("lines", [(), ("", "", "", "", "n")])
def test_nothing_is_written_without_consent(
    command: Command, here: Workspace, type_in: Any, lines: tuple[str, ...]
) -> None:
    here.write("sums.csv", CSV)
    type_in(*lines)
    assert command("new", "dataset", "sums.csv").status == (0 if lines else 2)
    assert not Path("registry").exists()


def test_options_name_fields(command: Command, here: Workspace) -> None:
    here.write(
        "quiz.csv", "prompt,question,one,two,best\nP?,Q?,x,y,two\n".replace(",two\n", ",y\n")
    )
    options = ("--question", "prompt", "--target", "best", "--choices", "one", "--choices", "two")
    assert command("new", "dataset", "quiz.csv", "--yes", *options).status == 0
    fields = {"question": "prompt", "target": "best", "choices": ["one", "two"]}
    assert card("registry/datasets/quiz.yaml")["fields"] == fields


def test_a_file_that_gives_no_dataset_is_bad_input(command: Command, here: Workspace) -> None:
    here.write("quiz.csv", "question,answer\nWhich?,x\nWho?,\n")
    result = command("new", "dataset", "quiz.csv", "--yes")
    assert result.status == 2
    assert "quiz.csv:3: the target (field 'answer') is empty" in result.err
    assert not Path("registry").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dataset", "arithmetic.csv", "--yes"), "there is a card 'arithmetic' already"),
        (("dataset", "sums.txt", "--yes"), "cannot tell what it holds"),
        (("dataset", "nowhere.csv", "--yes"), "no such file"),
        (("study", "quickstart", "--yes"), "there is a grid 'quickstart' already"),
        (("study", "a b", "--yes"), "name: expected up to 100 letters"),
        (("study", "a", "--dataset", "arithmetik", "--yes"), "did you mean 'arithmetic'"),
        (("study", "a", "--model", "simulated:smal", "--yes"), "did you mean 'simulated:small'"),
        (("study", "a", "--architecture", "vot", "--yes"), "did you mean 'vote'"),
        (("architecture", "vote"), "there is a card 'vote' already"),
        (("architecture", "../vote"), "a name has letters, digits"),
        (("evaluator", "python_tests"), "there is a card 'python_tests' already"),
        (("operator", "Fuser"), "there is an operator Fuser already"),
        (("model", "gpt"), "expected `provider:model`"),
        (("model", "opnai:gpt"), "did you mean 'openai'"),
        (("model", "simulated:small"), "there is a card 'simulated:small' already"),
        (("model", "openai:gpt-9", "--input-price", "1"), "need each other"),
    ],
)
def test_a_mistake_writes_nothing(
    command: Command, here: Workspace, arguments: tuple[str, ...], said: str
) -> None:
    here.write("arithmetic.csv", CSV)
    here.write("sums.txt", CSV)
    result = command("new", *arguments)
    assert result.status == 2
    assert said in result.err
    assert not Path("registry").exists()
    assert not Path("experiments").exists()


def test_an_architecture_of_ones_own_runs(command: Command, here: Workspace) -> None:
    assert command("new", "architecture", "mine").out == "registry/architectures/mine.yaml\n"
    command("new", "study", "trip", "--architecture", "single", "--architecture", "mine", "--yes")
    edit(here, "datasets: [arithmetic]", "datasets: [{name: arithmetic, limit: 5}]")
    assert cells(command("run", "trip", *RUN, "--json")) == ["single", "mine"]


def test_an_operator_of_ones_own_runs(command: Command, here: Workspace) -> None:
    written = command("new", "operator", "longest-one").out.split()
    assert written == [
        "registry/operators/longest-one.py",
        "registry/architectures/longest-one.yaml",
    ]
    command("new", "study", "trip", "--architecture", "longest-one", "--yes")
    edit(here, "datasets: [arithmetic]", "datasets: [{name: arithmetic, limit: 5}]")
    assert cells(command("run", "trip", *RUN, "--json")) == ["longest-one"]


def test_an_evaluator_of_ones_own_scores(command: Command, here: Workspace) -> None:
    written = command("new", "evaluator", "words").out.split()
    assert written == ["registry/evaluators/words.py", "registry/evaluators/words.yaml"]
    assert card(written[1])["kind"] == "words"
    here.write("names.csv", "question,answer\nWho?,Ada Lovelace\n")
    assert command("new", "dataset", "names.csv", "--evaluator", "words", "--yes").status == 0
    command("new", "study", "trip", "--yes")
    ran = command("run", "trip", *RUN, "--json")
    assert ran.json["datasets"][0]["evaluator"] == "words"


def test_a_model_of_ones_own_is_asked(command: Command, here: Workspace) -> None:
    with OpenAIServer() as server:
        prices = ("--input-price", "1", "--output-price", "2")
        command("new", "model", "openai:mine", "--base-url", server.base_url, *prices)
        assert card("registry/models/openai-mine.yaml")["cost"] == {
            "input_cost_per_million": 1.0,
            "output_cost_per_million": 2.0,
        }
        command("new", "study", "trip", "--model", "openai:mine", "--yes")
        edit(here, "datasets: [arithmetic]", "datasets: [{name: arithmetic, limit: 2}]")
        assert command("run", "trip", *RUN).status == 0


def test_a_model_that_takes_no_temperature_is_sent_none(command: Command, here: Workspace) -> None:
    command("new", "study", "trip", "--model", "openai:o3", "--yes")
    first, second = card("experiments/trip.yaml")["architectures"]
    assert first["parameters"] == {"model": "openai:o3", "temperature": None}
    assert second["parameters"]["k"] == [3, 5]
    assert command("plan", "trip").status == 0


def edit(here: Workspace, old: str, new: str) -> None:
    here.edit("experiments/trip.yaml", old, new)


def cells(result: Any) -> list[str]:
    assert result.status == 0, result.err
    return [cell["architecture"] for cell in result.json["cells"]]

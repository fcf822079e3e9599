"""`ember-bench list` and `ember-bench show`."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from ember_bench.graph.architecture import load_architecture
from ember_bench.graph.example import shortest_use
from ember_bench.registry import KINDS, Cards, builtin_root
from tests.cli.conftest import Command
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow


def test_everything_is_listed_with_what_it_is_for(command: Command, here: Workspace) -> None:
    result = command("list")
    assert result.status == 0
    for kind in (*KINDS, "experiments"):
        assert f"{kind}\n" in result.out
    assert re.search(r"\n  vote +Majority vote over k answers of one model\.\n", result.out)
    assert "\n  quickstart" in result.out


def test_one_kind_as_json(command: Command, sums: Workspace) -> None:
    listed = command("list", "datasets", "--json").json
    assert list(listed) == ["datasets"]
    (mine,) = [entry for entry in listed["datasets"] if entry["name"] == "sums"]
    assert mine["purpose"] == "Sums."
    assert mine["file"].endswith("registry/datasets/sums.yaml")


def test_an_unknown_kind_lists_near_matches(command: Command, here: Workspace) -> None:
    result = command("list", "modles")
    assert result.status == 2
    assert "unknown kind 'modles'; did you mean 'models'" in result.err


def test_broken_cards_are_named_and_break_only_what_needs_them(
    command: Command, sums: Workspace
) -> None:
    sums.write("registry/datasets/unreadable.yaml", "name: unreadable\nx: [\n")
    sums.write("registry/datasets/mistaken.yaml", "name: mistaken\nsource: {file: a.csv}\n")
    sums.write("registry/models/mistaken.yaml", "name: nobody:m\n")
    result = command("list", "--json")
    assert result.status == 0
    datasets = {entry["name"]: entry["purpose"] for entry in result.json["datasets"]}
    models = {entry["name"]: entry["purpose"] for entry in result.json["models"]}
    assert "not valid YAML" in datasets["unreadable"]
    assert "missing field" in datasets["mistaken"]
    assert "unknown provider 'nobody'" in models["nobody:m"]
    assert datasets["sums"] == "Sums."
    assert command("show", "sums").status == 0
    for name in ("unreadable", "mistaken"):
        shown = command("show", name, "--kind", "dataset")
        assert (shown.status, f"datasets/{name}.yaml" in shown.err) == (2, True)


def test_the_working_directorys_grids_are_listed(command: Command, here: Workspace) -> None:
    here.write("experiments/mine.yaml", "name: mine\npurpose: To see.\n")
    here.write("experiments/papers/theirs/grid.yaml", "name: theirs\n")
    here.write("experiments/broken.yaml", "name: [\n")
    listed = {e["name"]: e for e in command("list", "experiments", "--json").json["experiments"]}
    assert listed["mine"]["purpose"] == "To see."
    assert listed["theirs"]["file"] == "experiments/papers/theirs/grid.yaml"
    assert listed["broken"]["purpose"].startswith("cannot be read: experiments/broken.yaml:")


def test_an_architecture_shows_its_parameters(command: Command, here: Workspace) -> None:
    shown = command("show", "vote", "--json").json
    assert shown["card"] == "architecture"
    assert shown["paper"].startswith("Chen et al. 2024")
    assert shown["parameters"]["k"] == {
        "type": "int", "default": 5, "minimum": 1, "maximum": 10000,
        "purpose": "How many answers are counted.",
    }  # fmt: skip
    assert shown["parameters"]["model"]["required"] is True
    assert "minimum: 1\n" in command("show", "vote").out


def test_an_architecture_shows_its_diagram(command: Command, here: Workspace) -> None:
    drawn = (
        "diagram: |-\n"
        "  2 nodes, 5 LM modules\n"
        "    ensemble  EnsembleOperator 5 x $model (temperature=0.7)\n"
        "    vote      MostCommonOperator <- ensemble\n"
    )
    text = command("show", "vote").out
    assert drawn in text
    assert "flowchart" not in text
    shown = command("show", "vote", "--json").json
    assert shown["mermaid"].startswith("flowchart TD\n")
    assert "5 x #36;model" in shown["mermaid"]


def test_the_use_that_an_architecture_shows_can_be_pasted(
    command: Command, here: Workspace
) -> None:
    cards = Cards([builtin_root()])
    assert command("show", "archon", "--json").json["use"] == shortest_use(
        load_architecture("archon", cards)
    )
    names = [*cards.all("architectures")]
    uses = [shortest_use(load_architecture(name, cards)) for name in names]
    entries = "".join(use.removeprefix("architectures:\n") for use in uses)
    grid = "name: pasted\ndatasets: [arithmetic]\narchitectures:\n" + entries
    (here.root / "pasted.yaml").write_text(grid, encoding="utf-8")
    cells = command("plan", "pasted.yaml", "--limit", "1", "--json").json["cells"]
    assert [cell["label"] for cell in cells] == names


@pytest.mark.parametrize("name", Cards([builtin_root()]).all("architectures"))
def test_every_architecture_is_drawn(command: Command, here: Workspace, name: str) -> None:
    assert command("show", name, "--svg", "picture.svg").status == 0
    picture = ElementTree.parse("picture.svg")
    texts = [text.text or "" for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    diagram = command("show", name, "--json").json["diagram"]
    for node in load_architecture(name, Cards([builtin_root()])).card.graph:
        assert any(text.startswith(node) for text in texts)
        assert f"  {node}" in diagram
    assert not any("simulated:" in text for text in texts)


def test_what_cannot_be_drawn_says_why(command: Command, here: Workspace) -> None:
    here.write(
        "registry/architectures/odd.yaml",
        {
            "name": "odd",
            "purpose": "Try.",
            "parameters": {"file": {"type": "str"}},
            "graph": {"look": {"operator": "Retrieve", "arguments": {"corpus": "$file"}}},
        },
    )
    assert "diagram: 'cannot be drawn with default parameters:" in command("show", "odd").out
    for arguments, said in (
        (("odd", "--svg", "a.svg"), "odd.yaml:"),
        (("vots", "--svg", "a.svg"), "did you mean 'vote'?"),
        (("generate", "--kind", "signature", "--svg", "a.svg"), "and no signature"),
        (("vote", "--svg", "no/such/folder/a.svg"), "cannot be written: No such file"),
    ):
        result = command("show", *arguments)
        assert result.status == 2
        assert said in result.err
        assert result.out == ""


def test_a_generated_dataset_shows_what_may_be_set(command: Command, here: Workspace) -> None:
    shown = command("show", "prime_factorization", "--json").json
    assert shown["parameters"]["digits"]["type"] == "integer"
    assert shown["evaluator"] == "integers"


def test_a_models_key_is_not_shown(command: Command, sums: Workspace) -> None:
    sums.write(
        "registry/models/secret.yaml", {"name": "openai:mine", "api_key": "sk-very-secret-indeed"}
    )
    for form in ((), ("--json",)):
        result = command("show", "openai:mine", *form)
        assert result.status == 0
        assert "openai:mine" in result.out
        assert "very-secret" not in result.out


def test_an_unknown_name_lists_near_matches(command: Command, here: Workspace) -> None:
    result = command("show", "prime_factorisation")
    assert result.status == 2
    assert "unknown name 'prime_factorisation'; did you mean 'prime_factorization'?" in result.err


def test_a_name_of_two_kinds_needs_a_kind(command: Command, sums: Workspace) -> None:
    sums.write("registry/datasets/vote.jsonl", '{"q": "1 + 1 = ?", "a": "2"}\n')
    sums.write(
        "registry/datasets/vote.yaml",
        {
            "name": "vote",
            "purpose": "A dataset.",
            "source": {"file": "vote.jsonl"},
            "fields": {"question": "q", "target": "a"},
            "evaluator": "numeric_match",
        },
    )
    result = command("show", "vote")
    assert result.status == 2
    assert "give --kind dataset or --kind architecture" in result.err
    assert command("show", "vote", "--kind", "dataset", "--json").json["card"] == "dataset"


def test_a_prompt_that_is_called_as_its_architecture_is_shown_on_request(
    command: Command, here: Workspace
) -> None:
    assert command("show", "debate", "--json").json["card"] == "architecture"
    assert command("show", "debate", "--kind", "signature", "--json").json["card"] == "signature"


@pytest.mark.parametrize("name", ["trip", "grid.yaml", "results/trip"])
def test_an_experiments_table_is_shown_again(command: Command, sums: Workspace, name: str) -> None:
    ran = command("run", "grid.yaml", "--no-mlflow")
    shown = command("show", name)
    assert shown.status == 0
    assert shown.out == ran.out


def test_a_grid_without_results_is_described(command: Command, sums: Workspace) -> None:
    result = command("show", "grid.yaml")
    assert result.status == 0
    assert "name: trip" in result.out
    assert "no results in results yet: ember-bench run grid.yaml" in result.out


def test_results_of_another_version_are_refused(command: Command, sums: Workspace) -> None:
    sums.write("results/trip/summary.json", '{"name": "trip"}')
    result = command("show", "trip")
    assert result.status == 2
    assert "results/trip/summary.json: not a summary of this version" in result.err


def test_a_cards_text_cannot_draw_on_the_terminal(command: Command, sums: Workspace) -> None:
    sums.write("registry/evaluators/evil.yaml", 'kind: exact_match\npurpose: "\\e[2J[red]x"\n')
    listed, shown = command("list", "evaluators"), command("show", "evil")
    assert "\x1b" not in listed.out + shown.out
    assert "[red]x" in listed.out

"""What is wrong in a grid is said at once, all of it, each at its place, and nothing is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ember_bench.errors import ConfigError, Problem
from ember_bench.graph.architecture import load_architecture
from tests.support import counted
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow

GRID = """\
name: trip
datasets:
  - name: sums
architectures:
  - name: vote
    label: "{k} votes"
    parameters:
      model: counted:a
      k: [1, 3]
baseline:
  name: vote
  parameters: {k: 1}
"""


def problems(workspace: Workspace) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        workspace.experiment()
    assert not (workspace.root / "results").exists()
    assert not counted.requests()
    return list(caught.value.problems)


def place(problem: Problem) -> str:
    assert problem.location is not None
    return f"{problem.location.line}:{problem.location.column}"


def test_the_grid_is_right_as_it_is(workspace: Workspace) -> None:
    workspace.write("grid.yaml", GRID)
    assert len(workspace.experiment().cells) == 2


@pytest.mark.parametrize(
    ("old", "new", "at", "fragments"),
    [
        # unknown names
        ("name: sums", "name: suns", "3:5", ["unknown dataset 'suns'", "'sums'"]),
        ("- name: vote", "- name: vole", "5:5", ["unknown architecture 'vole'", "'vote'"]),
        ("counted:a", "counted:aa", "8:7", ["unknown model 'counted:aa'", "'counted:a'"]),
        ("[1, 3]", "[1]\n      mode: x", "10:7", ["unknown parameter 'mode' of vote", "'model'"]),
        ("name: sums", "name: sums\n    evaluator: exakt_match", "4:5", ["'exact_match'"]),
        ("votes", "votes at {temprature}", "6:5", ["label", "{temprature}", "'temperature'"]),
        ("  - name: sums", "  - name: sums\n    limt: 3", "4:5", ["unknown field", "'limit'"]),
        ("    label", "    lable", "6:5", ["unknown field 'lable'", "'label'"]),
        (
            "    parameters:\n",
            "    datasets: [summs]\n    parameters:\n",
            "7:16",
            ["unknown dataset 'summs' in this grid", "'sums'"],
        ),
        # wrong types and values
        ("[1, 3]", "[1, three]", "9:14", ["k: expected a whole number", "'three'"]),
        ("[1, 3]", "3.0", "9:7", ["k: expected a whole number", "3.0"]),
        ("[1, 3]", "true", "9:7", ["k: expected a whole number", "True"]),
        ("[1, 3]", "", "9:7", ["k: expected a whole number", "None"]),
        ("[1, 3]", "[1, 0]", "9:14", ["k: must be at least 1", "0"]),
        ("[1, 3]", "[[1, 3]]", "9:11", ["k: expected a whole number"]),
        ("counted:a", "[counted:a, 7]", "8:26", ["model: expected a model", "7"]),
        ("[1, 3]", "3\n      ties: last", "10:7", ["ties: expected one of first, random, share"]),
        ("[1, 3]", "3\n      temperature: 9", "10:7", ["temperature: must be at most 2"]),
        ("name: trip", "name: a trip", "1:1", ["name", "a trip"]),
        ("name: trip", "name: [trip]", "1:1", ["name"]),
        ("name: trip", "name: ../trip", "1:1", ["name"]),
        ("name: trip", "name: trip\nseed: '1'", "2:1", ["seed", "'1'"]),
        ("name: trip", "name: trip\nseed: -1", "2:1", ["seed", "-1"]),
        ("name: trip", f"name: trip\nseed: {10**30}", "2:1", ["seed"]),
        ("name: trip", "name: trip\nepochs: 0", "2:1", ["epochs", "0"]),
        ("name: trip", "name: trip\nepochs: true", "2:1", ["epochs", "True"]),
        ("name: trip", "name: trip\nlevel: 95", "2:1", ["level", "95"]),
        ("name: trip", "name: trip\nfailures: ignored", "2:1", ["failures", "'wrong'"]),
        ("name: trip", "name: trip\nin_flight: 0", "2:1", ["in_flight"]),
        ("name: sums", "name: sums\n    limit: 0", "4:5", ["limit", "0"]),
        ("name: sums", "name: sums\n    limit: '5'", "4:5", ["limit", "'5'"]),
        ("name: sums", "name: sums\n    parameters: {count: 5}", "4:5", ["only generated"]),
        ("name: sums", "name: arithmetic\n    parameters: {cont: 5}", "4:18", ["'count'"]),
        ("name: sums", "name: arithmetic\n    parameters: {count: x}", "4:18", ["count", "'x'"]),
        # empty
        ("  - name: sums", "  []", "2:1", ["datasets", "at least 1 entry"]),
        ("  - name: sums", "", "2:1", ["datasets", "list"]),
        ("[1, 3]", "[]", "9:7", ["k: the list is empty"]),
        ("    parameters:\n", "    datasets: []\n    parameters:\n", "7:5", ["datasets"]),
        # missing
        ("name: trip\n", "", "1:1", ["missing field 'name'"]),
        ("      model: counted:a\n", "", "7:5", ["missing parameter 'model' of vote (model)"]),
        ("  - name: sums", "  - limit: 3", "3:5", ["datasets.0: expected exactly one of"]),
        # duplicates
        ("  - name: sums", "  - sums\n  - sums", "4:5", ["duplicate dataset 'sums'"]),
        ("[1, 3]", "[1, 3, 1]", "5:5", ["duplicate cell", "vote(model=counted:a, k=1)"]),
        ("votes", "votes", "5:5", ["duplicate label"]),
        ("name: trip\n", "name: trip\nname: trap\n", "2:1", ["duplicate key 'name'", "line 1"]),
        # the baseline
        ("\n  name: vote", "\n  name: volt", "11:3", ["the architecture 'volt'", "'vote'"]),
        ("{k: 1}", "{l: 1}", "12:16", ["unknown parameter 'l' of vote"]),
        ("{k: 1}", "{k: 2}", "10:1", ["no cell of the grid is 'vote' with these parameters"]),
        ("{k: 1}", "{}", "10:1", ["fits both", "k=1", "k=3", "name more parameters"]),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(
    workspace: Workspace, old: str, new: str, at: str, fragments: list[str]
) -> None:
    assert old in GRID
    text = GRID.replace(old, new, 1)
    if "duplicate label" in fragments:
        text = text.replace('"{k} votes"', "votes")
    workspace.write("grid.yaml", text)
    (problem,) = problems(workspace)
    assert place(problem) == at, problem
    assert str(problem).startswith(f"{workspace.root / 'grid.yaml'}:{at}: ")
    assert all(fragment in problem.message for fragment in fragments), problem.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("[1, 2]\n", "expected a mapping"),
        ("name: [\n", "not valid YAML"),
        ("name: trip\n\tdatasets: x\n", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_grid_is_refused(workspace: Workspace, text: str, message: str) -> None:
    workspace.write("grid.yaml", text)
    (problem,) = problems(workspace)
    assert message in problem.message


@pytest.mark.parametrize(
    "name", ["responses.db", "Responses.db", "responses.db-wal", "mlflow.db", "mlartifacts"]
)
def test_the_name_of_a_file_of_the_results_folder_is_refused(
    workspace: Workspace, name: str
) -> None:
    workspace.write("grid.yaml", GRID.replace("name: trip", f"name: {name}"))
    (problem,) = problems(workspace)
    assert "is the name of a file in the results folder" in problem.message
    assert place(problem) == "1:1"


def test_an_unreadable_file_is_refused(workspace: Workspace) -> None:
    grid = workspace.root / "grid.yaml"
    grid.unlink()
    assert "cannot read it" in problems(workspace)[0].message
    grid.mkdir()
    assert "cannot read it" in problems(workspace)[0].message
    grid.rmdir()
    grid.write_bytes(b"name: \xff\xfe\n")
    assert "not UTF-8" in problems(workspace)[0].message


def test_halves_of_characters_are_refused(workspace: Workspace) -> None:
    workspace.write("grid.yaml", GRID.replace("votes", r"\ud800"))
    (problem,) = problems(workspace)
    assert place(problem) == "6:12"


def test_a_place_in_a_list_of_lists_is_that_of_the_entry(workspace: Workspace) -> None:
    grid = GRID.replace("- name: vote", "- name: ensemble_vote").replace("      k: [1, 3]\n", "")
    for lists, at in (
        ("[counted:a, counted:b]", "8:27"),
        ("[[counted:a, counted:b]]", "8:28"),
        ("[[counted:a], [counted:a, counted:b]]", "8:41"),
        ("[[counted:a], []]", "8:29"),
        ("[[counted:a], counted:a]", "8:7"),
    ):
        text = grid.replace("model: counted:a", f"models: {lists}").replace('"{k} votes"', "all")
        workspace.write("grid.yaml", text.partition("baseline")[0])
        (problem,) = problems(workspace)
        assert place(problem) == at, (lists, problem)


def test_what_a_model_does_not_take_is_told_once_for_each_entry(workspace: Workspace) -> None:
    card = {"name": "counted:a", "unsupported_parameters": ["temperature", "seed"]}
    workspace.write("registry/models/counted-a.yaml", card)
    workspace.write("grid.yaml", GRID.replace("k: [1, 3]", "k: [1, 3]\n      temperature: 0.5"))
    (problem,) = problems(workspace)
    assert place(problem) == "5:5"
    assert problem.message == "counted:a does not take temperature; give `temperature: null`"
    workspace.edit("grid.yaml", "temperature: 0.5", "temperature: null")
    names = [cell.name for cell in workspace.experiment().cells]
    assert names[0] == "sums/vote(model=counted:a, k=1, temperature=null)"


@pytest.mark.parametrize("name", ["verifier_judge", "ensemble_judge"])
def test_every_model_of_an_architecture_may_be_one_that_takes_no_temperature(
    workspace: Workspace, name: str
) -> None:
    card = {"name": "counted:a", "unsupported_parameters": ["temperature"]}
    workspace.write("registry/models/counted-a.yaml", card)
    parameters = load_architecture(name, workspace.cards()).card.parameters
    given: dict[str, Any] = {
        key: ["counted:a"] if parameter.type == "models" else "counted:a"
        for key, parameter in parameters.items()
        if parameter.type in ("model", "models")
    }
    nulls = {key: None for key in parameters if key.endswith("temperature")}
    workspace.grid(architectures=[{"name": name, "parameters": given | nulls}])
    assert workspace.experiment().cells
    workspace.grid(architectures=[{"name": name, "parameters": given}])
    (problem,) = problems(workspace)
    assert all(f"`{key}: null`" in problem.message for key in nulls)


def test_an_unknown_feature_on_a_card_is_told_with_its_place(workspace: Workspace) -> None:
    text = "name: counted:a\nunsupported_parameters: [temprature]\n"
    workspace.write("registry/models/counted-a.yaml", text)
    (problem,) = problems(workspace)
    assert str(problem.location).endswith("counted-a.yaml:2:1")
    assert "unknown parameter 'temprature'; did you mean 'temperature'?" in problem.message


def test_all_mistakes_of_a_grid_are_told_at_once(workspace: Workspace) -> None:
    workspace.write(
        "grid.yaml",
        """\
name: trip
datasets:
  - name: sums
    evaluator: exact_mach
  - name: suns
    evaluator: exact_mach
  - sums
architectures:
  - name: single
    label: "{mdl}"
    datasets: [sum]
    parameters: {model: counted:b, temperature: hot, colour: red}
  - name: vote
    parameters: {k: []}
  - name: doubble
""",
    )
    assert [place(p) for p in problems(workspace)] == [
        "4:5", "5:5", "6:5", "7:5", "12:18", "12:36", "12:54", "10:5", "14:18", "14:5", "15:5",
        "11:16",
    ]  # fmt: skip


def test_a_wrong_baseline_is_told_with_the_rest(workspace: Workspace) -> None:
    workspace.write("grid.yaml", GRID.replace("sums", "suns").replace("{k: 1}", "{k: 5}"))
    assert [place(p) for p in problems(workspace)] == ["3:5", "10:1"]


def test_a_baseline_that_names_nothing_is_told_with_wrong_architectures(
    workspace: Workspace,
) -> None:
    wrong = {"name": "vote", "parameters": {"model": "counted:a", "kk": 1}}
    workspace.grid(architectures=["single", wrong], baseline={"name": "singel"})
    messages = [problem.message for problem in problems(workspace)]
    assert "unknown parameter 'kk' of vote; did you mean 'k'?" in messages
    assert any(
        said.startswith("baseline: no cell of the grid has the architecture 'singel'; did you mean")
        for said in messages
    )


@pytest.mark.parametrize("name", ["vote", "vote kk=1", "mine"])
def test_a_baseline_that_may_be_right_is_not_told_with_them(
    workspace: Workspace, name: str
) -> None:
    wrong = {"name": "vote", "parameters": {"model": "counted:a", "kk": 1}}
    workspace.grid(architectures=[wrong, {**wrong, "label": "mine"}], baseline={"name": name})
    assert not any("baseline" in problem.message for problem in problems(workspace))


# --- cards ----------------------------------------------------------------------------------------


def test_a_dataset_card_that_names_an_unknown_evaluator_is_told_where(
    workspace: Workspace,
) -> None:
    workspace.edit("registry/datasets/sums.yaml", "numeric_match", "numeric_mach")
    (problem,) = problems(workspace)
    assert problem.location is not None
    assert problem.location.path.name == "sums.yaml"
    assert place(problem) == "10:1"
    assert "did you mean 'numeric_match'" in problem.message


def test_an_architecture_that_cannot_be_built_is_told_in_its_card(workspace: Workspace) -> None:
    workspace.write(
        "registry/architectures/broken.yaml",
        {
            "name": "broken",
            "purpose": "Names an operator that there is not.",
            "graph": {"answer": {"operator": "EnsembelOperator"}},
        },
    )
    workspace.grid(architectures=["broken"])
    (problem,) = problems(workspace)
    assert "EnsembleOperator" in problem.message
    assert problem.location is not None


def test_a_target_that_the_evaluator_cannot_read_is_refused(workspace: Workspace) -> None:
    workspace.edit("registry/datasets/sums.jsonl", '"answer": "16"', '"answer": "sixteen"')
    (problem,) = problems(workspace)
    assert "sums-2" in problem.message
    assert place(problem)


@pytest.mark.parametrize("edit", [('"answer": "16"', '"answer": ""'), ('"sums-2"', '"sums-3"')])
def test_a_missing_target_or_a_twin_id_is_refused(
    workspace: Workspace, edit: tuple[str, str]
) -> None:
    workspace.edit("registry/datasets/sums.jsonl", *edit)
    assert any("sums.jsonl" in str(p) for p in problems(workspace))


def test_a_model_whose_options_are_wrong_is_refused_before_anything_starts(
    workspace: Workspace,
) -> None:
    workspace.model("simulated:odd", acuracy=0.7)
    workspace.grid(architectures=[{"name": "single", "parameters": {"model": "simulated:odd"}}])
    assert "accuracy" in str(problems(workspace)[0])


def test_missing_recordings_are_told_with_where_to_get_them(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace, tmp_path: Path
) -> None:
    monkeypatch.setenv("EMBER_BENCH_DATA", str(tmp_path))
    workspace.write(
        "registry/models/set.yaml",
        {
            "name": "recorded:set",
            "files": "set/{model}.jsonl",
            "fields": {"item": "id", "answer": "output"},
            "models": ["a", "b"],
            "available_from": {"repository": "github.com/x/y", "commit": "0" * 40},
        },
    )
    models = ["recorded:set/a", "recorded:set/b"]
    workspace.grid(architectures=[{"name": "single", "parameters": {"model": models}}])
    message = "\n".join(map(str, problems(workspace)))
    assert "github.com/x/y" in message
    assert "set/a.jsonl" in message


def told(workspace: Workspace) -> list[str]:
    """Return the problems, each with its place in the grid."""
    return [f"{place(p) if p.location else '-'} {p.message}" for p in problems(workspace)]


def test_mistakes_of_all_layers_are_said_at_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    workspace.model("openai:gpt-x")
    grid = GRID.replace("name: trip", "name: a trip\nepoch: 3").replace("[1, 3]", "[1, many]")
    grid = grid.replace("counted:a", "openai:gpt-x").replace("  - name: sums", "  - name: suns")
    workspace.write("grid.yaml", grid.replace("datasets:", "datasets:\n  - limit: 3"))
    found = told(workspace)
    for said in (
        "1:1 name: expected up to 100 letters",
        "2:1 unknown field 'epoch'; did you mean 'epochs'?",
        "4:5 datasets.0: expected exactly one of name, suite",
        "5:5 unknown dataset 'suns'; did you mean 'sums'?",
        "11:14 k: expected a whole number (found 'many')",
        "- no key for openai:gpt-x",
    ):
        assert [message for message in found if message.startswith(said)], said
    assert len(found) == 6


def test_a_missing_key_is_not_hidden_by_another_mistake(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    workspace.model("openai:gpt-x")
    text = GRID.replace("counted:a", "openai:gpt-x").replace("k: [1, 3]", "kk: 1")
    workspace.write("grid.yaml", text)
    first, second = told(workspace)
    assert first.startswith("9:7 unknown parameter 'kk'")
    assert "no key for openai:gpt-x" in second


def test_a_wrong_evaluator_does_not_hide_what_is_wrong_in_the_data(workspace: Workspace) -> None:
    workspace.edit("registry/datasets/sums.jsonl", '"answer": "8"', '"answer": ""')
    workspace.write("grid.yaml", GRID.replace("name: sums", "name: sums\n    evaluator: exakt"))
    first, second = problems(workspace)
    assert "unknown evaluator 'exakt'" in first.message
    assert "the target (field 'answer') is empty" in second.message


def test_each_target_that_its_evaluator_refuses_is_named(workspace: Workspace) -> None:
    for old in ("8", "16"):
        workspace.edit(
            "registry/datasets/sums.jsonl", f'"answer": "{old}"', f'"answer": "{old} or 9"'
        )
    workspace.write("grid.yaml", GRID)
    found = [problem.message for problem in problems(workspace)]
    assert ["'8 or 9'" in found[0], "'16 or 9'" in found[1]] == [True, True]


@pytest.mark.parametrize(
    "path",
    ["registry/dataset/quiz.yaml", "registry/quiz.yaml", "datasets/quiz.yaml", "quiz.yaml"],
)
def test_a_card_in_the_wrong_folder_is_found(workspace: Workspace, path: str) -> None:
    card = {"name": "quiz", "purpose": "p", "source": {"file": "quiz.csv"}, "evaluator": "x"}
    file = workspace.write(path, card)
    workspace.write("grid.yaml", GRID.replace("name: sums", "name: quiz"))
    (problem,) = problems(workspace)
    assert problem.message == (
        f"unknown dataset 'quiz'; there is {file}, but datasets are read from "
        f"{workspace.root / 'registry/datasets'}"
    )
    assert place(problem) == "3:5"


def test_an_architecture_that_cannot_work_is_found(workspace: Workspace) -> None:
    card = """\
purpose: A vote on nothing.
parameters:
  model: {type: model}
  k: {type: int, default: 1}
graph:
  topics:
    operator: FindPerspectives
    lm_modules: [{model: $model, count: $k}]
  vote: {operator: MostCommonOperator, inputs: [topics]}
"""
    workspace.write("registry/architectures/hollow.yaml", card)
    grid = GRID.replace("vote\n", "hollow\n").replace("[1, 3]", "[1]")
    workspace.write("grid.yaml", grid)
    (problem,) = problems(workspace)
    assert problem.location is not None
    assert (problem.location.path.name, place(problem)) == ("hollow.yaml", "9:3")
    assert problem.message.startswith("missing input 'responses'; given: ")
    assert problem.message.endswith("; node 'topics' (FindPerspectives) gives 'perspectives'")


def test_a_model_card_in_the_wrong_folder_is_found(workspace: Workspace) -> None:
    file = workspace.write("registry/model/mine.yaml", {"name": "openai:mine"})
    workspace.write("grid.yaml", GRID.replace("counted:a", "openai:mine"))
    (problem,) = problems(workspace)
    assert f"unknown model 'openai:mine'; there is {file}" in problem.message


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (
            "pick",
            "by: expected a function, found 'pick'; a card names one as `by: {callable: pick}`",
        ),
        ({"callable": f"{__name__}:GRID"}, f"{__name__}:GRID: expected a function, found a str"),
    ],
)
def test_a_by_that_cannot_be_called(workspace: Workspace, by: Any, said: str) -> None:
    answer = {"operator": "EnsembleOperator", "lm_modules": [{"model": "$model"}]}
    node = {"operator": "Router", "arguments": {"by": by, "routes": {"one": answer}}}
    card = {"purpose": "p", "parameters": {"model": {"type": "model"}}, "graph": {"route": node}}
    workspace.write("registry/architectures/mine.yaml", card)
    workspace.grid(architectures=[{"name": "mine", "parameters": {"model": "counted:a"}}])
    (problem,) = problems(workspace)
    assert problem.message == said
    assert str(problem.location).endswith("registry/architectures/mine.yaml:6:3")


def test_a_budget_is_checked_though_other_parts_are_wrong(workspace: Workspace) -> None:
    workspace.model("counted:b")
    workspace.write(
        "grid.yaml",
        GRID.replace("model: counted:a", "model: counted:aa").replace(
            "baseline:", "budget_usd:\n  models: {counted:b: 1, counted:c: 1}\nbaseline:"
        ),
    )
    # What is unknown may have been `counted:b`, so a budget for it is no mistake yet.
    assert [(place(p), p.message.partition(";")[0]) for p in problems(workspace)] == [
        ("11:26", "budget_usd: no model of this grid is 'counted:c'"),
        ("8:7", "unknown model 'counted:aa'"),
    ]

"""What a grid that is right comes to."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ember_bench.experiment.prepare import Experiment
from tests.support.workspace import Workspace, single, vote

TWO_MODELS = ["counted:a", "counted:b"]


@pytest.fixture
def lab(workspace: Workspace) -> Workspace:
    workspace.model("counted:b")
    workspace.model("counted:c")
    workspace.sums(4, "more")
    return workspace


def names(experiment: Experiment) -> list[str]:
    return [cell.name for cell in experiment.cells]


def test_a_name_alone_stands_for_a_dataset_and_an_architecture(workspace: Workspace) -> None:
    workspace.write("registry/architectures/one.yaml", ONE)
    workspace.grid(architectures=["one"])
    assert names(workspace.experiment()) == ["sums/one"]


ONE = {
    "name": "one",
    "purpose": "One call to a fixed model.",
    "parameters": {"temperature": {"type": "float", "default": 0.5}},
    "graph": {
        "answer": {
            "operator": "EnsembleOperator",
            "lm_modules": [{"model": "counted:a", "temperature": "$temperature"}],
        }
    },
}


def test_lists_are_swept_the_last_parameter_fastest(lab: Workspace) -> None:
    lab.grid(architectures=[vote([1, 3], TWO_MODELS)])
    assert names(lab.experiment()) == [
        "sums/vote(model=counted:a, k=1)",
        "sums/vote(model=counted:a, k=3)",
        "sums/vote(model=counted:b, k=1)",
        "sums/vote(model=counted:b, k=3)",
    ]


def test_cells_come_dataset_by_dataset_in_the_grids_order(lab: Workspace) -> None:
    lab.grid(datasets=["more", "sums"], architectures=[vote([3, 1]), single()])
    assert names(lab.experiment()) == [
        f"{dataset}/{architecture}"
        for dataset, architecture in itertools.product(
            ["more", "sums"],
            ["vote(model=counted:a, k=3)", "vote(model=counted:a, k=1)", "single(model=counted:a)"],
        )
    ]


def test_a_list_for_a_parameter_that_is_a_list_is_one_value(lab: Workspace) -> None:
    lab.grid(architectures=[{"name": "ensemble_vote", "parameters": {"models": TWO_MODELS}}])
    (cell,) = lab.experiment().cells
    assert cell.parameters["models"] == TWO_MODELS


def test_a_list_of_lists_for_it_is_swept(lab: Workspace) -> None:
    lists = [["counted:a"], TWO_MODELS]
    lab.grid(architectures=[{"name": "ensemble_vote", "parameters": {"models": lists}}])
    assert [cell.parameters["models"] for cell in lab.experiment().cells] == lists


def test_defaults_are_parameters_of_the_cell_but_not_of_its_name(workspace: Workspace) -> None:
    (cell,) = workspace.experiment().cells
    assert cell.name == "sums/single(model=counted:a)"
    assert cell.parameters == {"model": "counted:a", "temperature": 0.7}


def test_labels_show_parameters_also_those_left_to_their_defaults(lab: Workspace) -> None:
    label = "{k} of {model} at {temperature}"
    lab.grid(architectures=[vote([1, 3], label=label), single()])
    assert [cell.label for cell in lab.experiment().cells] == [
        "1 of counted:a at 0.7",
        "3 of counted:a at 0.7",
        "single",
    ]


def test_long_lists_are_told_apart_in_names(lab: Workspace) -> None:
    one = ["counted:a"] * 4
    other = [*one[:3], "counted:b"]
    lab.grid(architectures=[{"name": "ensemble_vote", "parameters": {"models": [one, other]}}])
    first, second = names(lab.experiment())
    assert first != second
    assert len(first) < 50


def test_numbers_that_differ_little_are_told_apart_in_names(workspace: Workspace) -> None:
    temperatures = [0.1234567, 0.1234568, 1]
    parameters = {"model": "counted:a", "temperature": temperatures}
    workspace.grid(architectures=[{"name": "single", "parameters": parameters}])
    assert [name.rpartition("=")[2] for name in names(workspace.experiment())] == [
        "0.1234567)", "0.1234568)", "1)",
    ]  # fmt: skip


def test_an_architecture_may_be_kept_to_some_datasets(lab: Workspace) -> None:
    lab.grid(datasets=["sums", "more"], architectures=[single(datasets=["more"]), vote(3)])
    assert names(lab.experiment()) == [
        "sums/vote(model=counted:a, k=3)",
        "more/single(model=counted:a)",
        "more/vote(model=counted:a, k=3)",
    ]


def baselines(experiment: Experiment) -> dict[str, str]:
    return {dataset: cell.name for dataset, cell in experiment.baselines.items()}


def test_the_baseline_is_the_first_cell_of_each_dataset(lab: Workspace) -> None:
    lab.grid(datasets=["sums", "more"], architectures=[single(datasets=["more"]), vote([1, 3])])
    assert baselines(lab.experiment()) == {
        "sums": "sums/vote(model=counted:a, k=1)",
        "more": "more/single(model=counted:a)",
    }


@pytest.mark.parametrize(
    "baseline",
    [
        {"name": "vote", "parameters": {"k": 3}},
        {"name": "vote", "parameters": {"k": 3, "temperature": 0.7}},
        {"name": "vote", "parameters": {"ties": "first", "k": 3, "model": "counted:a"}},
    ],
)
def test_the_baseline_is_the_cell_that_the_grid_names(
    workspace: Workspace, baseline: dict[str, Any]
) -> None:
    workspace.grid(architectures=[single(), vote([1, 3])], baseline=baseline)
    assert baselines(workspace.experiment()) == {"sums": "sums/vote(model=counted:a, k=3)"}


def test_a_dataset_without_the_named_baseline_has_none(lab: Workspace) -> None:
    entries = [single(), vote(3, datasets=["more"])]
    lab.grid(datasets=["sums", "more"], architectures=entries, baseline={"name": "vote"})
    assert baselines(lab.experiment()) == {"more": "more/vote(model=counted:a, k=3)"}


# --- the order of items -----------------------------------------------------------------------


def order(experiment: Experiment, dataset: str = "sums") -> list[str]:
    return [item.id for item in experiment.questions[dataset].items]


def test_items_are_shuffled_by_seed_and_id_alone(workspace: Workspace) -> None:
    workspace.grid(seed=1)
    first = order(workspace.experiment())
    assert first != [f"sums-{i}" for i in range(10)]
    workspace.edit("registry/datasets/sums.jsonl", "= ?", "is what?")
    lines = (workspace.root / "registry/datasets/sums.jsonl").read_text().splitlines()
    workspace.write("registry/datasets/sums.jsonl", "\n".join(reversed(lines)))
    assert order(workspace.experiment()) == first
    workspace.grid(seed=2)
    assert order(workspace.experiment()) != first
    assert sorted(order(workspace.experiment())) == sorted(first)


def test_a_limited_set_is_part_of_a_less_limited_one_in_the_same_order(
    workspace: Workspace,
) -> None:
    whole = order(workspace.experiment())
    before: set[str] = set()
    for limit in (2, 5, 9, 10, 1000):
        workspace.grid(datasets=[{"name": "sums", "limit": limit}])
        kept = order(workspace.experiment())
        assert len(kept) == min(limit, 10)
        assert before <= set(kept)
        assert kept == [name for name in whole if name in kept]
        before = set(kept)


# --- the order of trials ------------------------------------------------------------------------


def test_trials_advance_item_by_item_over_all_cells(lab: Workspace) -> None:
    lab.grid(datasets=["sums", "more"], architectures=[single(), vote([1, 3])], epochs=2)
    experiment = lab.experiment()
    trials = list(experiment.trials())
    assert len(trials) == len(experiment) == len(set(trials)) == 2 * 3 * (10 + 4)
    done: dict[int, list[tuple[int, int]]] = {i: [] for i in range(len(experiment.cells))}
    for trial in trials:
        done[trial.cell].append((trial.epoch, trial.item))
        for dataset in ("sums", "more"):
            asked = [d for i, d in done.items() if experiment.cells[i].dataset == dataset]
            most, least = max(asked, key=len), min(asked, key=len)
            # Whatever the prefix: the same items in the same order, but for the one under way.
            assert len(most) - len(least) <= 1
            assert all(cell == most[: len(cell)] for cell in asked)


def test_datasets_advance_at_the_same_rate(lab: Workspace) -> None:
    lab.grid(datasets=["sums", "more"])
    cells = [trial.cell for trial in lab.experiment().trials()]
    assert cells == [0, 1] * 4 + [0] * 6


def test_an_experiment_has_the_same_digest_however_it_is_run(workspace: Workspace) -> None:
    digest = workspace.experiment().digest
    workspace.grid(in_flight=3, purpose="Another.")
    assert workspace.experiment().digest == digest
    workspace.grid(failures="excluded")
    assert workspace.experiment().digest != digest


def test_one_model_is_enough_for_an_architecture_of_many_roles(lab: Workspace) -> None:
    lab.grid(architectures=[{"name": "ensemble_judge", "parameters": {"model": "counted:a"}}])
    (cell,) = lab.experiment().cells
    assert cell.name == "sums/ensemble_judge(models=[counted:a])"
    assert (cell.parameters["models"], cell.parameters["judge"]) == (["counted:a"], "counted:a")


def test_one_model_may_be_swept_where_a_list_is_due(lab: Workspace) -> None:
    lab.grid(architectures=[{"name": "ensemble_vote", "parameters": {"model": TWO_MODELS}}])
    found = [cell.parameters["models"] for cell in lab.experiment().cells]
    assert found == [["counted:a"], ["counted:b"]]


def test_a_default_that_is_another_parameter_makes_the_cell_that_names_both(lab: Workspace) -> None:
    given = {"models": TWO_MODELS, "judge": "counted:a"}
    lab.grid(
        architectures=[
            {"name": "ensemble_judge", "parameters": {"models": TWO_MODELS}},
            {"name": "ensemble_judge", "parameters": given},
        ]
    )
    short, long = lab.experiment().cells
    assert short.digest == long.digest

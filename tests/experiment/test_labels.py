"""Labels that a grid does not give: what tells a cell from the others, and no more."""

from __future__ import annotations

from typing import Any

from tests.support.workspace import Workspace, single, vote


def labels(workspace: Workspace, *architectures: Any, **changes: Any) -> list[str]:
    workspace.model("counted:b")
    workspace.model("simulated:a")
    workspace.grid(architectures=[*architectures], **changes)
    return [cell.label for cell in workspace.experiment().cells]


def entry(name: str, **parameters: Any) -> dict[str, Any]:
    return {"name": name, "parameters": parameters}


def test_an_architecture_that_is_there_once_is_its_label(workspace: Workspace) -> None:
    assert labels(workspace, single(), vote(3)) == ["single", "vote"]


def test_parameters_that_differ_are_said(workspace: Workspace) -> None:
    swept = entry("vote", model="counted:a", k=[3, 5], temperature=[0.5, 1.0])
    assert labels(workspace, single(), swept)[1:] == [
        "vote k=3, temperature=0.5",
        "vote k=3, temperature=1",
        "vote k=5, temperature=0.5",
        "vote k=5, temperature=1",
    ]


def test_models_are_said_without_their_providers_where_that_is_enough(
    workspace: Workspace,
) -> None:
    assert labels(workspace, single(["counted:a", "counted:b"])) == ["single a", "single b"]
    both = ["counted:a", "simulated:a", "counted:b"]
    assert labels(workspace, single(both)) == ["single counted:a", "single simulated:a", "single b"]


def test_lists_of_models_are_said_with_their_parameter(workspace: Workspace) -> None:
    lists = [["counted:a"], ["counted:a", "counted:b"]]
    assert labels(workspace, entry("ensemble_vote", models=lists)) == [
        "ensemble_vote models=[a]",
        "ensemble_vote models=[a, b]",
    ]


def test_entries_of_one_architecture_are_told_apart_together(workspace: Workspace) -> None:
    found = labels(
        workspace,
        entry("single", model="counted:a"),
        entry("single", model="counted:a", max_tokens=9),
    )
    assert found == ["single", "single max_tokens=9"]


def test_a_parameter_may_be_given_or_left_to_its_default(workspace: Workspace) -> None:
    """`k` differs in no value, so that names tell the cells apart."""
    found = labels(workspace, vote(5), entry("vote", model="counted:a"))
    assert found == ["vote(model=counted:a, k=5)", "vote(model=counted:a)"]


def test_a_label_of_the_grid_is_not_taken_again(workspace: Workspace) -> None:
    found = labels(workspace, single(label="vote"), vote(3))
    assert found == ["vote", "vote(model=counted:a, k=3)"]


def test_a_label_does_not_change_with_the_dataset(workspace: Workspace) -> None:
    workspace.sums(4, "more")
    found = labels(
        workspace, single(), vote(1), vote(3, datasets=["more"]), datasets=["sums", "more"]
    )
    assert found == ["single", "vote k=1", "single", "vote k=1", "vote k=3"]

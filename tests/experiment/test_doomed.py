"""The plan refuses cells of which no trial can succeed, before anything is asked."""

from __future__ import annotations

import pytest

from ember_bench.errors import ConfigError
from ember_bench.experiment.forecast.calls import forecast
from ember_bench.experiment.forecast.numbers import Forecast
from ember_bench.models.model_registry import ModelRegistry
from tests.support import counted
from tests.support.workspace import Workspace, single

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
BY_PASSAGE = {
    "name": "by_passage",
    "purpose": "Asks about a field of the item.",
    "parameters": {"model": {"type": "model", "purpose": "The model."}},
    "graph": {
        "answer": {
            "operator": "EnsembleOperator",
            "lm_modules": [{"model": "$model"}],
            "signature": {
                "required_inputs": ["query"],
                "prompt_template": "{passage}: {query}",
            },
        }
    },
}


def plan(workspace: Workspace) -> Forecast:
    cards = workspace.cards()
    return forecast(workspace.root / "grid.yaml", cards, ModelRegistry.from_cards(cards))


def problem(workspace: Workspace) -> str:
    with pytest.raises(ConfigError) as caught:
        plan(workspace)
    return str(caught.value)


def test_an_image_for_a_model_that_takes_none(workspace: Workspace) -> None:
    (workspace.root / "registry/datasets/a.png").write_bytes(PNG)
    workspace.sums(3, images="a.png")
    workspace.write(
        "registry/models/blind.yaml",
        {"name": "counted:blind", "unsupported_parameters": ["images"]},
    )
    workspace.grid(architectures=[single(["counted:a", "counted:blind"])])
    assert problem(workspace).endswith(
        "counted:blind does not take images, which it would be sent in cell "
        "sums/single(model=counted:blind)"
    )
    workspace.grid()
    assert plan(workspace).trials == 3


def test_a_prompt_with_a_field_that_no_item_has(workspace: Workspace) -> None:
    workspace.write("registry/architectures/by_passage.yaml", BY_PASSAGE)
    entry = {"name": "by_passage", "parameters": {"model": "counted:a"}}
    workspace.grid(architectures=[single(), entry])
    assert "cell sums/by_passage(model=counted:a) fails on every item before" in problem(workspace)
    assert "missing input 'passage'" in problem(workspace)
    assert counted.requests() == {}


def test_a_cell_that_fails_on_some_items_is_planned(workspace: Workspace) -> None:
    workspace.write("registry/architectures/by_passage.yaml", BY_PASSAGE)
    workspace.sums(2, metadata=lambda number: "a text" if number else None)
    workspace.write(
        "registry/datasets/sums.jsonl",
        '{"id": "0", "question": "1 + 7", "answer": "8"}\n'
        '{"id": "1", "question": "2 + 7", "answer": "9", "metadata": "a text"}\n',
    )
    workspace.edit("registry/datasets/sums.yaml", "metadata: metadata", "metadata: passage")
    workspace.edit("registry/datasets/sums.jsonl", '"metadata"', '"passage"')
    workspace.grid(
        architectures=[{"name": "by_passage", "parameters": {"model": "counted:a"}}],
    )
    assert plan(workspace).calls.high == 1

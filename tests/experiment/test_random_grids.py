"""Whatever a grid says: it is a plan, or one `ConfigError` that says where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ember_bench.errors import ConfigError, Problem
from ember_bench.experiment.prepare import prepare
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.registry import Cards
from tests.support.workspace import Workspace

# What a hasty or hostile hand may write where something else is due.
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.binary(max_size=3),
    st.text(max_size=5),
    st.sampled_from(["sums", "vote", "counted:a", "", "{k}", "a" * 200, -1, 0, 10**30, 1e308]),
)
odd_tree = st.recursive(
    odd,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=4,
)


def mostly(*right: Any) -> st.SearchStrategy[Any]:
    """Draw what is right in most places, so that whole grids are right now and then."""
    good = st.one_of(*(r if isinstance(r, st.SearchStrategy) else st.just(r) for r in right))
    # Not 0, which hypothesis likes to draw.
    return st.integers(0, 99).flatmap(lambda n: odd_tree if n == 57 else good)


def mapping(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[Any]:
    return mostly(st.fixed_dictionaries(required, optional=optional))


model = mostly("counted:a", "counted:b", "counted:c")
swept_model = mostly(model, st.lists(model, min_size=1, max_size=3))
temperature = mostly(0.5, 0, 1.0, st.lists(st.floats(0, 2), min_size=1, max_size=3, unique=True))
label = mostly("{model} at {temperature}", "{k} votes", st.text(max_size=8))
where = mostly(["sums"], ["sums", "more"])
entry = st.one_of(
    mapping(
        {
            "name": mostly("single"),
            "parameters": mapping({"model": swept_model}, {"temperature": temperature}),
        },
        {"label": label, "datasets": where},
    ),
    mapping(
        {
            "name": mostly("vote"),
            "parameters": mapping(
                {"model": swept_model},
                {
                    "k": mostly(
                        1, 3, st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True)
                    ),
                    "temperature": temperature,
                    "ties": mostly("first", "share", ["first", "random"]),
                },
            ),
        },
        {"label": label, "datasets": where},
    ),
    mapping(
        {
            "name": mostly("ensemble_vote", "oracle", "cascade"),
            "parameters": mapping(
                {"models": mostly(st.lists(model, max_size=5), st.lists(st.lists(model)))}, {}
            ),
        },
        {"label": label},
    ),
    mostly("one", "single"),
)
grids = mapping(
    {
        "name": mostly("trip"),
        "datasets": mostly(
            st.lists(
                mostly(
                    "sums",
                    "more",
                    mapping(
                        {"name": mostly("sums", "arithmetic")},
                        {
                            "limit": mostly(1, 5),
                            "evaluator": mostly("numeric_match"),
                            "parameters": mapping({}, {"count": mostly(3)}),
                        },
                    ),
                ),
                min_size=1,
                max_size=3,
            )
        ),
        "architectures": mostly(st.lists(entry, min_size=1, max_size=3)),
    },
    {
        "seed": mostly(0, 7),
        "epochs": mostly(1, 3),
        "failures": mostly("wrong", "excluded"),
        "level": mostly(0.9),
        "in_flight": mostly(5),
        "purpose": mostly(st.text(max_size=5)),
        "baseline": mapping(
            {"name": mostly("single", "vote")}, {"parameters": mapping({}, {"k": mostly(1)})}
        ),
    },
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = Workspace(tmp_path_factory.mktemp("random"))
    workspace.sums(5)
    workspace.sums(3, "more")
    for letter in "abc":
        workspace.model(f"counted:{letter}")
    return workspace.root


@pytest.fixture(scope="module")
def cards(folder: Path) -> Cards:
    return Workspace(folder).cards()


def check(path: Path, cards: Cards) -> int:
    """Return how many cells the grid in `path` has; 0 if it is refused."""
    service = ModelService(ModelRegistry.from_cards(cards))
    refused: tuple[Problem, ...] | None = None
    try:
        experiment = prepare(path, cards, service)
    except ConfigError as error:
        refused = error.problems
    if refused is not None:
        assert len(refused) > 0
        for problem in refused:
            assert problem.message
            assert problem.location is not None, problem
            assert problem.location.path == path, problem
        return 0
    assert len({cell.name for cell in experiment.cells}) == len(experiment.cells) > 0
    assert len({(c.dataset, c.label) for c in experiment.cells}) == len(experiment.cells)
    assert len(list(experiment.trials())) == len(experiment) > 0
    assert len(experiment.digest) == 32
    return len(experiment.cells)


def test_a_random_grid_is_a_plan_or_one_config_error(folder: Path, cards: Cards) -> None:
    sizes = []

    @settings(max_examples=250, deadline=None)
    @given(grid=grids)
    def whatever(grid: object) -> None:
        path = folder / "grid.yaml"
        path.write_text(yaml.safe_dump(grid, allow_unicode=True), encoding="utf-8")
        sizes.append(check(path, cards))

    whatever()
    assert any(sizes)  # else only half of the name was tested

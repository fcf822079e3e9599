"""`--engine`: what there is, and what is refused before anything starts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from ember_bench.engines import LocalEngine
from ember_bench.errors import ConfigError
from ember_bench.experiment.prepare import Experiment
from ember_bench.running.choose_engine import chosen_engine
from ember_bench.running.run_here import open_grid
from ember_bench.running.study_spec import RunOptions

GRID = """\
name: pilot
datasets: [{name: arithmetic, limit: 2}]
architectures: [{name: single, parameters: {model: MODEL}}]
"""


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    monkeypatch.chdir(tmp_path)
    Path("pilot.yaml").write_text(GRID.replace("MODEL", "simulated:small"))
    return open_grid("pilot.yaml", RunOptions())


def choose(name: str | None, experiment: Experiment) -> Any:
    with chosen_engine(name, experiment, lambda _: experiment, {}, Path("results")) as engine:
        return engine


@pytest.mark.parametrize("name", [None, "local"])
def test_the_local_engine_is_the_default(experiment: Experiment, name: str | None) -> None:
    assert isinstance(choose(name, experiment), LocalEngine)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rya", "--engine: expected local or ray[:ADDRESS], found 'rya'; did you mean 'ray'?"),
        ("local:8", "--engine: expected local or ray[:ADDRESS], found 'local:8'"),
        ("ray:ray://head:10001", "an address of Ray Client (ray://) is not supported"),
    ],
)
def test_other_names_are_refused(experiment: Experiment, name: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        choose(name, experiment)
    assert said in str(raised.value)


def test_models_that_wait_for_batches_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    card = Path("registry/models/late.yaml")
    card.parent.mkdir(parents=True)
    card.write_text("name: openai:late\nmode: batch\n")
    Path("pilot.yaml").write_text(GRID.replace("MODEL", "openai:late"))
    with pytest.raises(ConfigError, match="openai:late has mode: batch"):
        choose("ray", open_grid("pilot.yaml", RunOptions()))


def test_a_missing_package_is_named(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "ray" else found(name, *more),
    )
    with pytest.raises(ConfigError, match=r"pip install 'ember-bench\[ray\]'"):
        choose("ray", experiment)

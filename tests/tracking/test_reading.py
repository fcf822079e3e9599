"""Cells read back from MLflow, as a comparison needs them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ember_bench.errors import ConfigError
from ember_bench.experiment.results.comparison import Group, compare, pair_up
from ember_bench.tracking import TrackingError
from ember_bench.tracking.log_experiment import record
from ember_bench.tracking.messages import Log
from ember_bench.tracking.mlflow_store import Store
from ember_bench.tracking.reading import read_file, read_runs
from tests.tracking.summaries import cell, summary

pytestmark = pytest.mark.slow


def trials(better: int) -> Iterator[dict[str, list[Any]]]:
    """Yield 60 items in clusters of two, of which every seventh is wrong, or fewer."""
    wrong = [i % 7 == 0 and i >= better for i in range(60)]
    yield {
        "item": [f"item-{i}" for i in range(60)],
        "epoch": [0] * 60,
        "outcome": ["wrong" if bad else "correct" for bad in wrong],
        "score": [float(not bad) for bad in wrong],
        "answer": [f"{i + bad}" for i, bad in enumerate(wrong)],
        "cost_usd": [0.001 * (1 + better / 10)] * 60,
        "target": [f"{i}" for i in range(60)],
        "item_digest": [f"digest-{i}" for i in range(60)],
        "cluster": [f"passage-{i // 2}" for i in range(60)],
    }


BETTER = {"primes/single": 0, "primes/vote(k=3)": 20, "primes/vote(k=5)": 40}


@pytest.fixture
def log(open_experiment: Callable[..., Store], results: Path) -> Callable[..., Any]:
    """Log an experiment of three cells; changes are those of its summary."""

    def logged(name: str = "demo", **changes: Any) -> Any:
        found = summary(**{"name": name} | changes)
        grid = str(results / "demo.yaml")
        request = Log(found, markdown="", grid=grid, files=[], price_date=None)
        return record(open_experiment(name), request, lambda cell: trials(BETTER[cell]))

    return logged


@pytest.fixture
def uri(results: Path) -> str:
    return f"sqlite:///{results}/mlflow.db"


def names(group: Group) -> list[str]:
    return [cell.name for cell in group.cells]


class TestNames:
    def test_a_parent_run_stands_for_its_cells_in_the_grids_order(
        self, log: Callable[..., Any], uri: str
    ) -> None:
        logged = log()
        for name in (logged.run_id, "demo 01234567 [simulated]", "demo"):
            assert names(read_runs(name, uri)) == list(BETTER)

    def test_a_cells_run_stands_for_itself(self, log: Callable[..., Any], uri: str) -> None:
        logged = log()
        group = read_runs(logged.cells["primes/vote(k=5)"], uri)
        assert names(group) == ["primes/vote(k=5)"]
        assert names(read_runs("vote(k=5) [simulated]", uri)) == ["primes/vote(k=5)"]

    def test_a_name_of_several_runs_asks_for_an_id(self, log: Callable[..., Any], uri: str) -> None:
        log()
        log("second", digest="f" * 32)
        with pytest.raises(ConfigError, match="the name of 2 runs; give one by id: runs:/"):
            read_runs("vote(k=5) [simulated]", uri)

    def test_an_experiment_stands_for_its_last_run(self, log: Callable[..., Any], uri: str) -> None:
        log()
        later = msgspec.structs.replace(summary().run, started="2026-11-23T10:00:00+00:00")
        log(digest="e" * 32, run=later)
        assert read_runs("demo", uri).cells[0].source == "runs:/demo eeeeeeee"

    @pytest.mark.parametrize("name", ["nothing", "0" * 32, "it's", ""])
    def test_an_unknown_name_is_said(self, log: Callable[..., Any], uri: str, name: str) -> None:
        log()
        with pytest.raises(ConfigError, match="no run of MLflow has this id or name"):
            read_runs(name, uri)

    def test_a_run_of_somebody_elses_is_refused(
        self, log: Callable[..., Any], open_experiment: Callable[..., Store], uri: str
    ) -> None:
        store = open_experiment("theirs")
        run = store.client.create_run(store.experiment_id, run_name="training")
        with pytest.raises(ConfigError, match="not one that ember-bench logged"):
            read_runs(run.info.run_id, uri)


class TestContent:
    def test_a_cell_has_what_was_logged(self, log: Callable[..., Any], uri: str) -> None:
        log()
        group = read_runs("demo", uri)
        single, _, five = group.cells
        assert (five.label, five.simulated, five.failures) == (
            "vote(k=5)", True, summary().failures,
        )  # fmt: skip
        assert (five.level, five.seed) == (0.95, 7)
        assert five.asked.evaluator_identity == "exact@1"
        assert five.asked.revision == "0" * 40
        assert len(five.scores) == 60
        (place,) = (i for i, item in enumerate(five.items) if item.id == "item-3")
        assert five.items.clusters(np.asarray([place])) == ["passage-1"]
        (place,) = (i for i, item in enumerate(five.items) if item.id == "item-0")
        assert five.answers_to(place) == ["0"]
        assert group.baselines == {"primes": single}

    def test_the_comparison_is_the_one_of_the_stored_trials(
        self, log: Callable[..., Any], uri: str
    ) -> None:
        log()
        three, five = compare(pair_up([read_runs("demo", uri)])).pairs
        assert (three.wins, five.wins, five.losses, five.items) == (3, 6, 0, 60)
        assert (five.test, five.clusters) == ("sign-flip", 30)
        assert five.cost_ratio is not None
        assert five.cost_ratio.value == pytest.approx(5)
        assert (five.flips[0].item, five.flips[0].target) == ("item-0", "0")

    def test_another_evaluator_is_refused(self, log: Callable[..., Any], uri: str) -> None:
        log()
        (dataset,) = summary().datasets
        changed = msgspec.structs.replace(dataset, evaluator_identity="exact@2")
        log("second", digest="f" * 32, datasets=[changed])
        pairs = pair_up([read_runs("demo", uri), read_runs("second", uri)])
        assert len(pairs) == 3
        with pytest.raises(ConfigError, match="the evaluator exact is of another version"):
            compare(pairs)

    def test_a_cell_that_was_not_measured_is_no_baseline(
        self, log: Callable[..., Any], uri: str
    ) -> None:
        broken = cell(0, measured=False, accuracy=None, comparison=None)
        base = cell(1, comparison=None)
        logged = log(cells=[broken, base, cell(2)])
        assert read_runs(logged.run_id, uri).baselines["primes"].name == base.name


class TestFiles:
    def test_an_artifact_is_that_of_the_experiments_run(
        self, log: Callable[..., Any], uri: str
    ) -> None:
        logged = log()
        assert read_file("demo", uri, "grid.yaml") == (b"name: demo\n", None)
        five = "primes/vote(k=5)"
        assert read_file(logged.cells[five], uri, "grid.yaml") == (b"name: demo\n", five)

    def test_one_that_is_not_there_is_said(self, log: Callable[..., Any], uri: str) -> None:
        log()
        with pytest.raises(TrackingError, match=r"its report\.html cannot be read"):
            read_file("demo", uri, "report.html")


class TestTrouble:
    def test_a_store_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no MLflow store"):
            read_runs("demo", f"sqlite:///{tmp_path}/none.db")
        assert not (tmp_path / "none.db").exists()

    def test_artifacts_that_are_elsewhere_are_said(
        self, log: Callable[..., Any], uri: str, results: Path
    ) -> None:
        log()
        shutil.rmtree(results / "mlartifacts")
        with pytest.raises(TrackingError, match=r"trials\.parquet cannot be read"):
            read_runs("demo", uri)

    def test_a_server_that_is_not_there_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(TrackingError, match="cannot be read from MLflow"):
            read_runs("demo", "http://user:secret@127.0.0.1:9")

    def test_a_password_is_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(TrackingError) as caught:
            read_runs("demo", "http://user:secret@127.0.0.1:9")
        assert "secret" not in str(caught.value)

    def test_what_is_no_tracking_uri(self) -> None:
        with pytest.raises(ConfigError, match="not a tracking URI"):
            read_runs("demo", "file:/tmp/mlruns")


def test_cells_of_a_name_that_is_too_long_for_a_label(log: Callable[..., Any], uri: str) -> None:
    found = [cell(0), cell(1, name="primes/vote(k=5)", label="x" * 300)]
    logged = log(cells=found)
    group = read_runs(logged.run_id, uri)
    assert names(group) == ["primes/single", "primes/vote(k=5)"]

"""When a run logs to MLflow, and when it does not even start it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.running import logged_reports, session
from ember_bench.secrets import redacted
from ember_bench.tracking import Logged, TrackingError, digest_of
from ember_bench.tracking.messages import Point
from ember_bench.tracking.uris import default_uri
from tests.cli.conftest import Command
from tests.support import counted
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow

RUN = ("run", "grid.yaml")


# What is read without MLflow of what it keeps.
MLFLOW = """
CREATE TABLE IF NOT EXISTS experiments (experiment_id INTEGER PRIMARY KEY, lifecycle_stage TEXT);
CREATE TABLE IF NOT EXISTS runs (
    run_uuid TEXT PRIMARY KEY, experiment_id INTEGER, lifecycle_stage TEXT
);
INSERT OR REPLACE INTO experiments VALUES (1, 'active');
INSERT OR REPLACE INTO runs VALUES ('1', 1, 'active');
"""


class FakeTracker:
    """Notes what it is given."""

    made: list[FakeTracker]
    failure: str | None

    def __init__(self, experiment: str, *, results: Path, tracking_uri: str | None) -> None:
        self.experiment = experiment
        self.uri = tracking_uri or default_uri(results)
        self.logged: dict[str, Any] = {}
        self.points: list[Point] = []
        type(self).made.append(self)

    def begin(self, summary: ExperimentSummary, *, price_date: str | None) -> None:
        self.begun = summary

    def follow(self, points: Sequence[Point]) -> None:
        self.points += points

    def log(self, summary: ExperimentSummary, *, trials: Any, **given: Any) -> Logged:
        if self.failure:
            raise TrackingError(self.failure)
        rows = {cell.name: list(trials(cell.name)) for cell in summary.cells}
        given["traces"] = list(given["traces"])
        self.logged = given | {"rows": rows}
        # A later run looks there for what it has logged.
        with closing(sqlite3.connect("results/mlflow.db")) as base:
            base.executescript(MLFLOW)
        url = "http://127.0.0.1:5000/#/experiments/1/runs/1"
        return Logged(
            digest=digest_of(summary),
            tracking_uri=redacted(self.uri),
            experiment_id="1",
            run_id="1",
            cells={},
            url=url,
            cells_url=url,
            command=None,
            traces=len(given["traces"]),
        )

    def __enter__(self) -> FakeTracker:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> type[FakeTracker]:
    FakeTracker.made, FakeTracker.failure = [], None
    monkeypatch.setattr(session, "Tracker", FakeTracker)
    return FakeTracker


def test_the_whole_experiment_is_logged(
    command: Command, sums: Workspace, tracker: type[FakeTracker]
) -> None:
    result = command(*RUN)
    assert result.status == 0
    assert "mlflow ui --backend-store-uri sqlite:///results/mlflow.db" in result.err
    (made,) = tracker.made
    assert made.experiment == "trip"
    (batch,) = made.logged["rows"]["sums/single(model=counted:a)"]
    assert sorted(batch["item"]) == sorted(f"sums-{i}" for i in range(10))
    assert set(batch["calls"]) == {1}
    assert made.logged["grid"] == Path("grid.yaml")
    assert "| system |" in made.logged["markdown"]
    assert [p.name for p in made.logged["files"]] == ["summary.json", "summary.md", "report.html"]


def test_the_curves_end_where_the_results_are(
    command: Command, sums: Workspace, tracker: type[FakeTracker]
) -> None:
    command(*RUN)
    (made,) = tracker.made
    assert [cell.name for cell in made.begun.cells] == ["sums/single(model=counted:a)"]
    total, cell = made.points[-2:]
    assert (total.cell, total.done) == ("", 10)
    assert (cell.cell, cell.done) == ("sums/single(model=counted:a)", 10)
    assert cell.accuracy == command("show", "trip", "--json").json["cells"][0]["accuracy"]["value"]


def test_trials_are_traced_when_asked_for_with_prompts_answers_and_what_nodes_gave(
    command: Command, sums: Workspace, tracker: type[FakeTracker]
) -> None:
    assert command(*RUN).status == 0
    requests = counted.requests().total()
    assert command(*RUN, "--traces", "3").status == 0
    traces = tracker.made[-1].logged["traces"]
    assert len({trace.item for trace in traces}) == 3
    (call,) = traces[0].calls
    assert traces[0].question in call.messages
    assert call.text
    (node,) = traces[0].nodes
    assert node.output is not None
    assert node.name == call.node
    # Nobody is asked for it, and those that are there are not logged again.
    assert counted.requests().total() == requests
    command(*RUN, "--traces", "2")
    assert len(tracker.made) == 2
    command(*RUN, "--traces", "all")
    assert len(tracker.made[-1].logged["traces"]) == 10
    (network,) = tracker.made[-1].logged["networks"]
    assert network.cells == ["sums/single(model=counted:a)"]


def test_a_number_of_traces_that_is_none_is_refused(command: Command, sums: Workspace) -> None:
    result = command(*RUN, "--traces", "some")
    assert result.status == 2
    assert "expected a number or 'all', found 'some'" in result.err


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Have artifacts of runs read from the results of the experiment; note what is asked for."""
    asked = []

    def read(name: str, uri: str, file: str) -> tuple[bytes, str | None]:
        asked.append((name, uri))
        cell = "sums/single(model=counted:a)" if name == "cell" else None
        return Path("results/trip", file).read_bytes(), cell

    monkeypatch.setattr(logged_reports, "read_file", read)
    return asked


def test_the_report_of_a_run_is_what_was_logged(
    command: Command, sums: Workspace, logged: list[tuple[str, str]]
) -> None:
    assert command(*RUN, "--no-mlflow").status == 0
    assert command("report", "trip").status == 0
    server = ("--tracking-uri", "http://127.0.0.1:1")
    assert command("report", "runs:/trip", *server, "--output", "page.html").status == 0
    assert logged == [("trip", "http://127.0.0.1:1")]
    assert Path("page.html").read_bytes() == Path("results/trip/report.html").read_bytes()
    for form in ("csv", "md"):
        local = command("report", "trip", "--format", form).out
        for name in ("runs:/trip", "runs:/cell"):
            assert command("report", name, "--format", form).out == local
    assert logged[-1] == ("cell", default_uri(Path("results")))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["runs:/trip"], "give --output FILE"),
        (["runs:/trip", "--trials", "3", "--output", "x.html"], "--trials goes with"),
        (["trip", "--tracking-uri", "http://h"], "--tracking-uri goes with runs:/RUN"),
    ],
)
def test_options_of_a_report_that_do_not_go_together(
    command: Command, given: list[str], said: str
) -> None:
    result = command("report", *given)
    assert result.status == 2
    assert said in result.err


@pytest.mark.parametrize("table", ["runs", "experiments"])
def test_what_was_deleted_in_mlflow_is_logged_again(
    command: Command, sums: Workspace, tracker: type[FakeTracker], table: str
) -> None:
    command(*RUN)
    with closing(sqlite3.connect("results/mlflow.db")) as base, base:
        base.execute(f"UPDATE {table} SET lifecycle_stage = 'deleted'")
    assert command(*RUN).status == 0
    assert len(tracker.made) == 2
    assert tracker.made[-1].logged


def test_a_finished_experiment_does_not_start_mlflow_again(
    command: Command, sums: Workspace, tracker: type[FakeTracker]
) -> None:
    command(*RUN)
    result = command(*RUN)
    assert result.status == 0
    assert len(tracker.made) == 1
    assert "mlflow ui" in result.err


def test_another_store_is_another_log(
    command: Command, sums: Workspace, tracker: type[FakeTracker]
) -> None:
    command(*RUN)
    command(*RUN, "--tracking-uri", "http://127.0.0.1:1")
    assert [made.uri for made in tracker.made][1:] == ["http://127.0.0.1:1"]


def test_a_log_that_was_not_delivered_is_exit_status_1_and_made_up_for_later(
    command: Command, sums: Workspace, tracker: type[FakeTracker]
) -> None:
    tracker.failure = "the results are not in MLflow: no server"
    result = command(*RUN)
    assert result.status == 1
    assert "no server" in result.err
    assert "\nsingle " in result.out
    tracker.failure = None
    assert command(*RUN).status == 0
    assert tracker.made[-1].logged


def test_no_mlflow_starts_none(
    command: Command, sums: Workspace, tracker: type[FakeTracker]
) -> None:
    assert command(*RUN, "--no-mlflow").status == 0
    assert not tracker.made

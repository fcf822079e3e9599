"""The items in a trial store: written once, read page by page."""

from __future__ import annotations

import itertools
import math
import shutil
import sqlite3
import tracemalloc
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results import items as stored_items
from ember_bench.experiment.results import rows
from ember_bench.experiment.results.analysis import Analysis
from ember_bench.experiment.results.cells import StoredCells
from ember_bench.experiment.results.items import AskedItem, AskedItems
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.runner import trial_store
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow


def path_of(workspace: Workspace) -> Path:
    return workspace.root / "results/trip/trials.db"


def arithmetic(workspace: Workspace, count: int, **fields: Any) -> Experiment:
    workspace.grid(datasets=[{"name": "arithmetic", "parameters": {"count": count}}], **fields)
    return workspace.experiment()


# --- identities


@pytest.mark.parametrize(("count", "seed"), [(1, 0), (40, 0), (300, 7)])
def test_order_and_digests_are_those_of_whole_lists(
    workspace: Workspace, count: int, seed: int
) -> None:
    experiment = arithmetic(workspace, count, seed=seed)
    questions = experiment.questions["arithmetic"]
    assert list(questions.items) == sorted(
        questions.dataset.items, key=lambda i: sha256(f"{seed}/{i.id}".encode()).digest()
    )
    content = {
        "spec": experiment.spec.model_dump(
            mode="json",
            exclude={
                "in_flight": True,
                "purpose": True,
                "budget_usd": True,
                "decide": True,
                "search": True,
                "shrinkage": True,
                "control": True,
                # Examples are in the digests of the cells, the judge in the evaluator's identity;
                # what else scores or checks comes after the run.
                "datasets": {
                    "__all__": {
                        "few_shot",
                        "suite",
                        "judge",
                        "also",
                        "labels",
                        "calibration",
                        "metrics",
                    }
                },
                "architectures": {"__all__": {"few_shot"}},
                # Not given, and so no part of it: grids from before had no such fields.
                "correction": True,
                "too_few_samples": True,
            },
        ),
        "cells": {cell.name: cell.digest for cell in experiment.cells},
        "datasets": {
            name: [q.dataset.digest, [i.id for i in q.items], q.evaluator.identity]
            for name, q in experiment.questions.items()
        },
    }
    whole = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    assert experiment.digest == sha256(whole).hexdigest()[:32]


def test_order_and_digest_of_a_dataset_never_change(workspace: Workspace) -> None:
    # As the version before generated items were packed had it.
    questions = arithmetic(workspace, 300, seed=7).questions["arithmetic"]
    assert questions.dataset.digest == "edc263020e2491096bd55b283187ebd0"
    ids = "".join(item.id for item in questions.items)
    assert sha256(ids.encode()).hexdigest()[:32] == "39389b7872d59b70c0d0284c5152c27a"


# --- the table


def test_the_items_are_those_asked_in_order(workspace: Workspace) -> None:
    workspace.sums(10, category=lambda i: "odd" if i % 2 else "even", cluster="all")
    workspace.run()
    items = workspace.experiment().questions["sums"].items
    stored = StoredTrials(path_of(workspace))
    assert list(stored.description.items["sums"]) == [
        AskedItem(i.id, i.digest, i.category, i.cluster, i.question, i.target) for i in items
    ]
    found = stored.description.items["sums"]
    assert [found.categories[0][i] for i in found.categories[1]] == [i.category for i in items]
    assert found.clusters(np.arange(2)) == ["all", "all"]
    assert found[-1].id == items[9].id
    assert [i.id for i in found[2:4]] == [items[2].id, items[3].id]
    with pytest.raises(IndexError):
        found[10]
    stored.close()


def test_items_are_not_written_again_while_they_stay(workspace: Workspace) -> None:
    workspace.run()
    with closing(sqlite3.connect(path_of(workspace), isolation_level=None)) as db:
        db.execute("UPDATE asked SET question = 'mark' WHERE place = 0")
    workspace.run()
    with closing(sqlite3.connect(path_of(workspace))) as db:
        marks = "SELECT count(*) FROM asked WHERE question = 'mark'"
        assert db.execute(marks).fetchone() == (1,)
    workspace.sums(11)
    workspace.run()
    with closing(sqlite3.connect(path_of(workspace))) as db:
        assert db.execute(marks).fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM asked").fetchone() == (11,)


def test_another_seed_keeps_every_trial_and_tells_the_new_order(workspace: Workspace) -> None:
    workspace.run()
    workspace.grid(seed=1)
    ran = workspace.run()
    assert (ran.progress.kept, ran.progress.done) == (10, 0)
    items = workspace.experiment().questions["sums"].items
    stored = StoredTrials(path_of(workspace))
    assert [i.id for i in stored.description.items["sums"]] == [i.id for i in items]
    found_rows = list(stored.columns(0, ["score"]))
    assert [place for place, _, _ in found_rows] == list(range(10))
    found = StoredCells(stored).cell(0)[0].data
    assert found.item.tolist() == list(range(10))
    assert found.score.tolist() == [score for _, _, score in found_rows]
    first = [row for row in found_rows if row[0] < 4]
    assert list(stored.columns(0, ["score"], first=4)) == first
    stored.close()


def test_a_cell_is_read_in_the_order_of_items_and_epochs_however_it_is_stored(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_AT_ONCE", 3)
    workspace.grid(epochs=3)
    workspace.run()
    workspace.grid(epochs=3, seed=1)
    workspace.run()
    with closing(sqlite3.connect(path_of(workspace), isolation_level=None)) as db:
        db.execute("UPDATE trials SET latency_seconds = item + epoch / 10.0, cost_usd = epoch")
        db.execute("UPDATE trials SET cost_usd = NULL WHERE item = 2 AND epoch = 1")
        db.execute("DELETE FROM trials WHERE item = 5 AND epoch = 0 OR item = 6")
        (calls,) = db.execute("SELECT sum(calls_used) FROM trials").fetchone()
    stored = StoredTrials(path_of(workspace))
    expected = sorted(stored.columns(0, ["score", "latency_seconds", "cost_usd"]))
    cell, totals = StoredCells(stored).cell(0)
    data = cell.data
    assert data.item.tolist() == [item for item, *_ in expected]
    assert data.score.tolist() == [score for _, _, score, _, _ in expected]
    assert data.latency.tolist() == [latency for _, _, _, latency, _ in expected]
    costs = [None if math.isnan(cost) else cost for cost in data.cost.tolist()]
    assert costs == [cost for *_, cost in expected]
    assert (data.items_done, totals.calls_used, totals.unpriced) == (9, calls, 1)
    stored.close()


def test_a_dataset_that_is_asked_no_more_is_forgotten_and_comes_back(workspace: Workspace) -> None:
    workspace.sums(3, name="more")
    workspace.grid(datasets=["sums", "more"])
    workspace.run()
    workspace.grid(datasets=["sums"])
    workspace.run()
    workspace.grid(datasets=["sums", "more"])
    assert workspace.run().progress.kept == 13


def test_few_pages_are_held() -> None:
    read: list[int] = []

    def pages(start: int, end: int) -> list[AskedItem]:
        read.append(start)
        return [AskedItem(str(i), "", None, None, "", "") for i in range(start, end)]

    count = (stored_items._PAGES + 4) * stored_items._PAGE
    items = AskedItems(count, pages, lambda _: itertools.repeat(None, count))
    assert [item.id for item in items] == [str(i) for i in range(count)]
    assert len(read) == stored_items._PAGES + 4
    assert items._page.cache_info().currsize == stored_items._PAGES
    assert items[count - 1].id == str(count - 1)
    assert len(read) == stored_items._PAGES + 4


# --- memory


def growth(workspace: Workspace, tmp_path: Path, count: int) -> int:
    """Return the most memory that opening an experiment's empty store takes, and then holds."""
    experiment = arithmetic(workspace, count)
    folder = tmp_path / f"store-{count}"
    trial_store(folder, experiment).close()  # what is imported and cached
    shutil.rmtree(folder)
    tracemalloc.start()
    try:
        store = trial_store(folder, experiment)
        peak = tracemalloc.get_traced_memory()[1]
        store.close()
        return peak
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_opening_a_store_takes_less_than_a_hundred_bytes_for_each_item(
    workspace: Workspace, tmp_path: Path
) -> None:
    small, large = (growth(workspace, tmp_path, count) for count in (4_000, 20_000))
    assert (large - small) / 16_000 < 100


def read(workspace: Workspace, count: int) -> int:
    """Return the most memory that going through all trials, and summing them up, takes."""
    arithmetic(workspace, count)
    summary = workspace.run().summary
    experiment, stored = workspace.experiment(), StoredTrials(path_of(workspace))
    tracemalloc.start()
    try:
        assert sum(1 for _ in experiment.trials()) == count
        assert Analysis(stored).cells() == summary.cells
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        stored.close()


@pytest.mark.slow
def test_reading_results_takes_less_than_a_hundred_bytes_for_each_trial(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_AT_ONCE", 100)
    read(workspace, 10)  # what is imported and cached
    small, large = (read(workspace, count) for count in (2_000, 10_000))
    assert (large - small) / 8_000 < 100

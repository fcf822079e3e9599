"""Runs of the papers' grids, each made once, whichever process of the tests needs it first."""

from __future__ import annotations

import csv
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from ember_bench.experiment.prepare import prepare
from ember_bench.experiment.results.summary import CellSummary, ExperimentSummary
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.registry import Cards, builtin_root
from tests.support.workspace import Ran, run

PAPERS = Path(__file__).parents[2] / "experiments" / "papers"


@dataclass
class Paper:
    """One paper's folder in `experiments/papers`, and where its results are."""

    name: str
    data: Path
    results: Path

    def run(self) -> Ran:
        """Run its grid once more, as `ember-bench run grid.yaml --data-dir DATA` does."""
        root = PAPERS / self.name
        cards = Cards([builtin_root(), root / "registry"])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EMBER_BENCH_DATA", str(self.data))
            service = ModelService(ModelRegistry.from_cards(cards))
            return run(prepare(root / "grid.yaml", cards, service), self.results)

    @property
    def summary(self) -> ExperimentSummary:
        """What the first run found."""
        path = self.results / "first.json"
        self.results.mkdir(parents=True, exist_ok=True)
        # Processes that test side by side share the folder.
        with (self.results / ".first").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                path.write_bytes(msgspec.json.encode(self.run().summary))
        return msgspec.json.decode(path.read_bytes(), type=ExperimentSummary)

    def published(self) -> list[dict[str, str]]:
        """Return the rows of the published table."""
        with (PAPERS / self.name / "published.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def paper(name: str, folder: str, data: Path, temporary: Path) -> Paper:
    """Return a paper whose recordings are in `folder` of the data; skips without them."""
    if not (data / folder).is_dir():
        pytest.skip(f"needs the recorded data {folder!r} in {data}: see experiments/papers/{name}")
    if "PYTEST_XDIST_WORKER" in os.environ:
        temporary = temporary.parent
    return Paper(name, data, temporary / name)


def percent(cell: CellSummary) -> float:
    """Return a cell's accuracy as tables print it."""
    assert cell.accuracy is not None
    return round(100 * cell.accuracy.value, 2)

"""The loop that trials run on: uvloop's where it is installed, and the same results on either."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from ember_bench.engines import LocalEngine, run_loop
from ember_bench.experiment.prepare import prepare
from ember_bench.experiment.runner import Run, trial_store
from ember_bench.models import ModelRegistry, ModelService, ResponseStore
from ember_bench.registry import Cards

GRID = """
name: study
datasets: [{name: arithmetic, parameters: {count: 20}}]
architectures:
  - name: verifier_judge
    parameters: {model: "simulated:small", verifier: "simulated:large", k: 3}
"""


async def kind_of_loop() -> str:
    return type(asyncio.get_running_loop()).__module__


def without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)


def test_it_is_uvloops_where_that_is_installed() -> None:
    pytest.importorskip("uvloop", reason="pip install 'ember-bench[fast]'")
    assert run_loop(kind_of_loop()) == "uvloop"


def test_it_is_asyncios_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    without_uvloop(monkeypatch)
    assert run_loop(kind_of_loop()).startswith("asyncio.")


def test_an_error_comes_out_as_it_is() -> None:
    async def fail() -> None:
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        run_loop(fail())


def test_trials_come_to_the_same_on_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvloop", reason="pip install 'ember-bench[fast]'")
    there = rows(tmp_path / "uvloop")
    without_uvloop(monkeypatch)
    assert rows(tmp_path / "asyncio") == there
    assert len(there) == 20


def rows(folder: Path) -> list[tuple[object, ...]]:
    """Return what each trial came to, in the order in which they are kept."""
    folder.mkdir()
    path = folder / "study.yaml"
    path.write_text(GRID)

    async def trials() -> list[tuple[object, ...]]:
        cards = Cards()
        responses = ResponseStore(folder / "responses.db")
        service = ModelService(ModelRegistry.from_cards(cards), store=responses)
        experiment = prepare(path, cards, service)
        found: list[tuple[object, ...]] = []
        run = Run(
            experiment,
            trial_store(folder, experiment),
            LocalEngine(),
            on_results=lambda batch: found.extend(
                (r.trial.item, r.outcome, r.answer, r.cost_usd, r.latency_seconds) for r in batch
            ),
        )
        await run.trials()
        await service.close()
        return sorted(found)

    return run_loop(trials())

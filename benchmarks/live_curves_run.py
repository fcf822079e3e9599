"""One run for `benchmarks.live_curves`: prints the CPU and the time that its trials took."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from ember_bench.engines import LocalEngine
from ember_bench.experiment.prepare import prepare
from ember_bench.experiment.runner import Progress, Run, trial_store
from ember_bench.models import ModelRegistry, ModelService, ResponseStore
from ember_bench.registry import Cards
from ember_bench.tracking import Curves, Tracker, unfinished


def run(grid: Path, results: Path, *, with_curves: bool) -> dict[str, float]:
    cards = Cards()
    store = ResponseStore(results / "responses.db")
    experiment = prepare(grid, cards, ModelService(ModelRegistry.from_cards(cards), store=store))
    trials = trial_store(results / experiment.name, experiment)
    points = 0
    with Tracker(experiment.name, results=results) as tracker:
        tracker.wait_until_open()
        run = Run(experiment, trials, LocalEngine(), lambda _: None)
        if with_curves:
            curves = Curves(trials)
            tracker.begin(unfinished(trials.description, started=run.started_at, kept=0))

            def progressed(_: Progress) -> None:
                nonlocal points
                found = curves.points()
                points += len(found)
                tracker.follow(found)

            run.on_results, run.on_progress = curves.add, progressed
        cpu, wall = time.process_time(), time.perf_counter()
        asyncio.run(_trials(run))
        took = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_seconds": took[0], "wall_seconds": took[1], "points": points}


async def _trials(run: Run) -> None:
    await run.trials()
    await run.experiment.service.close()


if __name__ == "__main__":
    kind, grid, folder = sys.argv[1:]
    print(json.dumps(run(Path(grid), Path(folder), with_curves=kind == "with")))

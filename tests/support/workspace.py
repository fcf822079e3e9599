"""A folder with a grid and a registry of its own, and runs of that grid: the least that it takes.

As a program (`python -m tests.support.workspace FOLDER`) it runs the folder's grid once, to be
killed on the way.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ember_bench.engines import LocalEngine
from ember_bench.experiment.lock import locked
from ember_bench.experiment.prepare import Experiment, prepare
from ember_bench.experiment.results.summary import CellSummary, ExperimentSummary
from ember_bench.experiment.runner import Engine, Progress, Run, trial_store
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.models.store.response_store import ResponseStore
from ember_bench.registry import Cards, builtin_root
from tests.support import counted  # noqa: F401 - registers the provider

_CARDS = (
    *(f"architectures/{name}" for name in (
        "cascade", "ensemble_judge", "ensemble_vote", "oracle", "single", "verifier_judge", "vote",
    )),
    *(f"evaluators/{name}" for name in ("exact_match", "numeric_match", "numeric_match_1_percent")),
    *(f"signatures/{name}" for name in ("generate", "judge", "verify")),
    "datasets/arithmetic",
)  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """What a run came to."""

    summary: ExperimentSummary
    progress: Progress

    @property
    def cells(self) -> dict[str, CellSummary]:
        return {cell.name: cell for cell in self.summary.cells}

    @property
    def cell(self) -> CellSummary:
        (cell,) = self.summary.cells
        return cell

    @property
    def changes(self) -> list[str]:
        return self.progress.changes


@dataclass
class Workspace:
    """`grid.yaml`, `registry/` and `results/` in one folder."""

    root: Path
    cards: Callable[[], Cards] = field(init=False)

    def __post_init__(self) -> None:
        # Of the built-in cards only those that are needed: they are read anew for each run.
        builtin = self.root / "builtin"
        for path in _CARDS:
            link = builtin / f"{path}.yaml"
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(builtin_root() / f"{path}.yaml")
        self.cards = lambda: Cards([builtin, self.root / "registry"])

    # --- what is in it

    def write(self, path: str, content: Any) -> Path:
        """Write a file; anything but text as YAML."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
        file.write_text(text, encoding="utf-8")
        return file

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    def sums(self, words: Sequence[str] | int, name: str = "sums", **fields: Any) -> None:
        """Write a dataset of sums, one for each entry of `words`, which its question contains.

        Args:
            words: Or how many sums.
            name: Of the dataset.
            fields: Of each record beside `id`, `question` and `answer`; a function of its number
                or a constant.
        """
        words = [""] * words if isinstance(words, int) else words
        records = [
            {
                "id": f"{name}-{i}",
                "question": f"{word} {i} + {7 * i} = ?",
                "answer": str(8 * i),
                **{key: value(i) if callable(value) else value for key, value in fields.items()},
            }
            for i, word in enumerate(words)
        ]
        lines = "".join(json.dumps(record) + "\n" for record in records)
        self.write(f"registry/datasets/{name}.jsonl", lines)
        known = {key: key for key in fields}
        self.write(
            f"registry/datasets/{name}.yaml",
            {
                "name": name,
                "purpose": "Sums.",
                "source": {"file": f"{name}.jsonl"},
                "fields": {"id": "id", "question": "question", "target": "answer"} | known,
                "answer_format": "number",
                "evaluator": "numeric_match",
            },
        )

    def model(self, model_id: str, *, price: float | None = 1.0, **options: Any) -> None:
        """Write a model card; `price` is in US dollars per 1,000 tokens."""
        card: dict[str, Any] = {"name": model_id, "options": options}
        if price is not None:
            card["cost"] = {"input_cost_per_thousand": price, "output_cost_per_thousand": price}
        self.write(f"registry/models/{model_id.replace(':', '-')}.yaml", card)

    def tape(self, answers: Mapping[str, Sequence[str]], name: str = "tape") -> None:
        """Write a recording of the samples of each item: the model `recorded:<name>/m`."""
        records = [{"id": item, "output": samples} for item, samples in answers.items()]
        self.write(f"registry/models/{name}.json", json.dumps(records))
        self.write(
            f"registry/models/{name}.yaml",
            {
                "name": f"recorded:{name}",
                "files": f"{name}.json",
                "fields": {"item": "id", "answer": "output"},
                "models": ["m"],
            },
        )

    def grid(self, **fields: Any) -> None:
        """Write the grid; by default one call to `counted:a` for each of `sums`."""
        default = {"name": "trip", "datasets": ["sums"], "architectures": [single()]}
        self.write("grid.yaml", default | fields)

    # --- what can be done with it

    def experiment(self, *, offline: bool = False, data_dir: Path | None = None) -> Experiment:
        cards = self.cards()
        service = ModelService(ModelRegistry.from_cards(cards), offline=offline)
        return prepare(self.root / "grid.yaml", cards, service, data_dir=data_dir)

    def run(
        self,
        *,
        offline: bool = False,
        stop_after: int | None = None,
        engine: Engine | None = None,
        responses: str = "responses.db",
    ) -> Ran:
        """Run the grid once, as the command does.

        Args:
            offline: Make no request.
            stop_after: Stop as soon as so many trials are known to be done.
            engine: The local one by default.
            responses: The response store's file.
        """
        return run(
            self.experiment(offline=offline),
            self.root / "results",
            stop_after=stop_after,
            engine=engine,
            responses=responses,
        )


def run(
    experiment: Experiment,
    results: Path,
    *,
    stop_after: int | None = None,
    engine: Engine | None = None,
    responses: str = "responses.db",
) -> Ran:
    """Run an experiment once into a results folder."""

    async def trials() -> Ran:
        folder = results / experiment.name
        with locked(folder):
            experiment.service.attach(ResponseStore(results / responses))
            store = trial_store(folder, experiment)
            try:
                todo = Run(experiment, store, engine or _Watched(experiment, stop_after))
                progress = await todo.trials()
                return Ran(todo.summary(progress), progress)
            finally:
                await experiment.service.close()
                store.close()

    return asyncio.run(trials())


class _Watched(LocalEngine):
    """Sets `stop` when so many trials are done."""

    def __init__(self, experiment: Experiment, stop_after: int | None) -> None:
        super().__init__()
        self.left = len(experiment) + 1 if stop_after is None else stop_after

    async def run(self, experiment: Any, trials: Any, stop: asyncio.Event) -> Any:
        async for batch in super().run(experiment, trials, stop):
            self.left -= len(batch)
            if self.left <= 0:
                stop.set()
            yield batch


def single(model: Any = "counted:a", **more: Any) -> dict[str, Any]:
    return {"name": "single", "parameters": {"model": model}, **more}


def vote(k: Any, model: Any = "counted:a", **more: Any) -> dict[str, Any]:
    return {"name": "vote", "parameters": {"model": model, "k": k}, **more}


if __name__ == "__main__":
    Workspace(Path(sys.argv[1])).run()

"""Recorded answers at the size of published sets: `python -m benchmarks.recorded`.

CPU seconds, with all threads and children, and the peak of the resident memory of `ember-bench run`
on a vote of ten over 62 recorded models and 800 items (496,000 calls), of `export --what choices`
of it, and of the run again. The recordings are made here, or are those of a folder of recorded
data: then CRUXEval's 60 models with ten samples, and ZeroEval's GSM8K.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.commands import EMBER_BENCH, Ran, run, run_grid

_PAPERS: Final = Path(__file__).parent.parent / "experiments" / "papers"
_MODELS, _ITEMS, _SAMPLES = 62, 800, 10
# Of an answer in CRUXEval's set.
_WORDS: Final = 6


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a row as soon as it is known."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recorded", description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="recorded data [made here]")
    parser.add_argument("--models", type=int, default=_MODELS, help="models made [%(default)s]")
    parser.add_argument("--items", type=int, default=_ITEMS, help="items made [%(default)s]")
    options = parser.parse_args(arguments)
    work = Path(tempfile.mkdtemp(prefix="ember-bench-recorded-"))
    print(f"{'':44} {'CPU, s':>7} {'wall, s':>8} {'peak, MB':>9}")
    try:
        if options.data_dir is None:
            grid = made(work / "made", options.models, options.items)
            rows = _vote(grid, work / "results", ())
        else:
            rows = _published(work, options.data_dir.resolve())
        for name, ran in rows:
            took = f"{ran.cpu_seconds:7.1f} {ran.wall_seconds:8.1f} {ran.peak_megabytes:9.0f}"
            print(f"{name:44} {took}", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def made(folder: Path, models: int, items: int) -> Path:
    """Write recordings of ten samples an item, and the grid of votes over them."""
    registry = folder / "registry"
    for kind in ("datasets", "models"):
        (registry / kind).mkdir(parents=True, exist_ok=True)
    names = [f"m{number}" for number in range(models)]
    rng = random.Random(1)
    asked = [
        {"id": str(n), "question": f"Question {n}?", "target": _text(rng)} for n in range(items)
    ]
    _write(folder / "items.json", asked)
    for name in names:
        answers = {item["id"]: _answers(rng, item["target"]) for item in asked}
        _write(registry / "models" / f"{name}.json", {"output": answers})
    card: dict[str, Any] = {
        "name": "made", "purpose": "Made.", "source": {"file": "../../items.json"},
        "fields": {"question": "question", "target": "target", "id": "id"},
        "answer_format": "text", "evaluator": "exact_match",
    }  # fmt: skip
    (registry / "datasets" / "made.yaml").write_text(yaml.safe_dump(card))
    card = {
        "name": "recorded:made", "purpose": "Made.", "files": "{model}.json", "layout": "columns",
        "fields": {"item": "key", "answer": "output"}, "models": names,
    }  # fmt: skip
    (registry / "models" / "made.yaml").write_text(yaml.safe_dump(card))
    return _grid(folder, "made", [f"recorded:made/{name}" for name in names])


def _answers(rng: random.Random, target: str) -> list[str]:
    wrong = [_text(rng) for _ in range(3)]
    return [target if rng.random() < 0.5 else rng.choice(wrong) for _ in range(_SAMPLES)]


def _text(rng: random.Random) -> str:
    return " ".join(f"{rng.randrange(16**4):04x}" for _ in range(_WORDS))


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def _grid(folder: Path, dataset: str, models: list[str]) -> Path:
    parameters = {"k": _SAMPLES, "model": models}
    grid = {
        "name": "votes",
        "datasets": [dataset],
        "architectures": [{"name": "vote", "parameters": parameters}],
    }
    path = folder / "votes.yaml"
    path.write_text(yaml.safe_dump(grid))
    return path


def _vote(grid: Path, results: Path, more: Sequence[str]) -> Iterator[tuple[str, Ran]]:
    """Yield what a grid of votes took, its choices, and the same grid when it is finished."""
    calls = _calls(ran := run_grid(grid, results, "--no-mlflow", *more))
    yield f"run, votes of ten, {calls} calls", ran
    table = str(grid.with_name("choices.csv"))
    command = ["export", "votes", "--what", "choices", "--results", str(results)]
    yield (
        "export --what choices",
        run([EMBER_BENCH, *command, "--output", table, *more], grid.parent),
    )
    yield "run again", run_grid(grid, results, "--no-mlflow", *more)


def _published(work: Path, data: Path) -> Iterator[tuple[str, Ran]]:
    """Yield the same for the recordings of two papers."""
    more = ("--data-dir", str(data))
    shutil.copytree(_PAPERS / "cruxeval" / "registry", work / "crux" / "registry")
    listed = (_PAPERS / "cruxeval" / "grid.yaml").read_text()
    models = list(dict.fromkeys(re.findall(r"- (recorded:\S+)", listed)))
    grid = _grid(work / "crux", "cruxeval_output", models)
    yield from _vote(grid, work / "results", more)
    shutil.copytree(_PAPERS / "zeroeval_gsm8k", work / "gsm8k")
    ran = run_grid(work / "gsm8k" / "grid.yaml", work / "results", "--no-mlflow", *more)
    yield f"run, ZeroEval GSM8K, {_calls(ran)} calls", ran


def _calls(ran: Ran) -> str:
    found = re.search(r"([\d,]+) new calls", ran.printed)
    return "?" if found is None else found[1]


if __name__ == "__main__":
    main()

"""MLflow's `compare_evaluations` beside ours on one store: `python -m benchmarks.mlflow_compare`.

A grid is run with every trial as a trace, in MLflow's database. Its systems are right, wrong, and
failing on items that are chosen here. Then MLflow's own function compares their runs in that
database, and `ember-bench compare` their trials. MLflow has the function from 3.18 on; where an
older one is installed, `--mlflow FOLDER` names a folder with its wheel:

    pip install --no-deps --target FOLDER mlflow==3.18.0
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROVIDER = """
from ember_bench.errors import ProviderError
from ember_bench.models import Completion, Provider, Usage, provider


@provider("told")
class Told(Provider):
    async def complete(self, call):
        item = int(call.request.messages[-1].content.split()[1])
        options = self.model.options
        if item in options.get("fails", ()):
            raise ProviderError("no answer", retryable=False)
        epochs = options["right"]
        right = item in epochs[call.trial.epoch % len(epochs)]
        return Completion(f"Answer: {int(right)}", Usage(10, 2))
"""
DATASET = """
name: told
purpose: Items whose answer is 1.
source: {file: told.jsonl}
fields: {id: id, question: question, target: target}
answer_format: number
evaluator: numeric_match
"""
ITEMS = 100
BASE = set(range(70))
# Of each system, the items that it has right, by epoch, and those that it fails.
SYSTEMS: dict[str, tuple[list[set[int]], set[int]]] = {
    "baseline": ([BASE], set()),
    "right on 1 more": ([BASE | {70}], set()),
    "right on 18, wrong on 8 others": ([BASE - set(range(8)) | set(range(70, 88))], set()),
    "right on 10, failed on 10 others": ([BASE | set(range(70, 80))], set(range(10))),
}
REPEATED: dict[str, tuple[list[set[int]], set[int]]] = {
    "baseline": ([BASE, BASE - set(range(10))], set()),
    "two epochs": ([BASE | set(range(70, 76)), BASE], set()),
}
THEIRS = """
import json, sys
import mlflow
from mlflow.genai import compare_evaluations

uri, name, baseline, *candidates = sys.argv[1:]
mlflow.set_tracking_uri(uri)
frame = mlflow.search_runs(experiment_names=[name])
ids = {}
for _, row in frame.iterrows():
    ids[row["tags.mlflow.runName"]] = row["run_id"]
found = {"version": mlflow.__version__, "runs": sorted(ids)}
for label in candidates:
    (one,) = [i for n, i in ids.items() if label in n]
    (other,) = [i for n, i in ids.items() if baseline in n]
    made = compare_evaluations(one, other)
    score = made.scorers["correct"]
    found[label] = {
        "pairs": score.n_paired, "diff": score.diff, "low": score.ci_low, "high": score.ci_high,
        "p": score.p_value, "method": score.method,
        "unpaired": len(made.unpaired_candidate_trace_ids) + len(made.unpaired_baseline_trace_ids),
    }
print(json.dumps(found))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mlflow_compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mlflow", type=Path, help="a folder with MLflow 3.18 or later")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, systems, epochs in (("once", SYSTEMS, 1), ("twice", REPEATED, 2)):
            show(Path(folder), name, systems, epochs, options.mlflow)


def show(
    folder: Path,
    name: str,
    systems: dict[str, tuple[list[set[int]], set[int]]],
    epochs: int,
    wheel: Path | None,
) -> None:
    """Run one grid, compare its systems in both ways, and print a line for each."""
    write(folder, name, systems, epochs)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    ember = [sys.executable, "-m", "ember_bench"]
    # Failed trials have status 1.
    run(folder, [*ember, "run", f"{name}.yaml", "--quiet", "--traces", "all"], environment, (0, 1))
    said = run(folder, [*ember, "compare", name, "--json", "--flips", "0"], environment)
    ours = {pair["cell"]["label"]: pair for pair in json.loads(said)["pairs"]}
    if wheel is not None:
        environment = {**environment, "PYTHONPATH": str(wheel.resolve())}
    uri = "sqlite:///results/mlflow.db"
    run(folder, [sys.executable, "-m", "mlflow", "db", "upgrade", uri], environment)
    arguments = [uri, name, *systems]
    theirs = json.loads(
        run(folder, [sys.executable, "-c", THEIRS, *arguments], environment).splitlines()[-1]
    )
    print(f"{ITEMS} items, {epochs} epochs; MLflow {theirs['version']}")
    for label in [*systems][1:]:
        one, other = theirs[label], ours[label]
        print(label)
        print(f"    MLflow: {points(one)}, {one['method']}, {one['pairs']} pairs")
        mine = {**other["difference"], "diff": other["difference"]["value"], "p": other["p_value"]}
        bounds = f"; within {other['within']}" if other["within"] else ""
        print(f"    ours:   {points(mine)}, {other['test']}, {other['items']} items{bounds}")


def points(found: dict[str, Any]) -> str:
    """Return a difference with its interval in points, and p."""
    value, low, high = (100 * found[name] for name in ("diff", "low", "high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}], p {found['p']:.4f}"


def write(
    folder: Path,
    name: str,
    systems: dict[str, tuple[list[set[int]], set[int]]],
    epochs: int,
) -> None:
    """Write the grid, its models and its dataset."""
    models, datasets = folder / "registry/models", folder / "registry/datasets"
    models.mkdir(parents=True, exist_ok=True)
    datasets.mkdir(parents=True, exist_ok=True)
    (models / "told.py").write_text(PROVIDER)
    (datasets / "told.yaml").write_text(DATASET)
    items = [{"id": f"item-{i}", "question": f"item {i} ?", "target": "1"} for i in range(ITEMS)]
    (datasets / "told.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    architectures: list[dict[str, Any]] = []
    for number, (label, (right, fails)) in enumerate(systems.items()):
        model = f"told:{name}{number}"
        sets = {"right": [sorted(items) for items in right], "fails": sorted(fails)}
        card = {
            "name": model,
            "cost": {"input_cost_per_million": 1, "output_cost_per_million": 1 + number},
            "options": sets,
        }
        (models / f"{name}{number}.yaml").write_text(json.dumps(card))
        architectures.append({"name": "single", "label": label, "parameters": {"model": model}})
    grid = {"name": name, "datasets": ["told"], "architectures": architectures, "epochs": epochs}
    (folder / f"{name}.yaml").write_text(json.dumps(grid))


def run(
    folder: Path, command: list[str], environment: dict[str, str], allowed: tuple[int, ...] = (0,)
) -> str:
    """Return what a command prints."""
    done = subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode not in allowed:
        raise SystemExit(
            f"{command}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
        )
    return done.stdout


if __name__ == "__main__":
    main()

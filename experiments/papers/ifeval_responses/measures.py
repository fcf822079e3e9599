"""Instruction-level and prompt-level accuracy, from the share of instructions that are followed.

`instruction_*` and `prompt_*` are of our own program, `recorded_strict` of the source's verdicts.

The instruction-level accuracy weights prompts by their number of instructions; its interval is that
of a ratio of sums over prompts (delta method), as the instructions of one response depend on each
other.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from ember_bench.models.recorded.data_dir import data_dir
from ember_bench.running.reproduce import Measure
from ember_bench.running.results import Results

Z = 1.959964


def measures(found: Sequence[Results]) -> Iterator[Measure]:
    """Yield the accuracies of each model, in percent."""
    (results,) = found
    counts = {
        (dataset, item.id): len(item.metadata["instruction_id_list"])
        for dataset, questions in results.reopen().questions.items()
        for item in questions.items
    }
    labels = {cell.name: cell.label.partition("/")[2] for cell in results.summary.cells}
    for model in labels.values():
        yield Measure(model, "recorded_strict", 100 * _recorded(model))
    for (name, dataset), rows in results.trials.groupby(["cell", "dataset"]):
        form = str(dataset).rpartition("_")[2]
        weights = [counts[dataset, item] for item in rows["item"]]
        shares = list(rows["score"].fillna(0.0))  # without a response nothing is followed
        total, n = sum(weights), len(weights)
        rate = sum(w * s for w, s in zip(weights, shares, strict=True)) / total
        errors = [w * (s - rate) for w, s in zip(weights, shares, strict=True)]
        half = Z * math.sqrt(n / (n - 1) * math.fsum(e * e for e in errors)) / total
        low, high = 100 * (rate - half), 100 * (rate + half)
        yield Measure(labels[name], f"instruction_{form}", 100 * rate, low, high)
        whole = sum(s > 1 - 1e-9 for s in shares) / n
        half = Z * math.sqrt(whole * (1 - whole) / n)
        yield Measure(
            labels[name], f"prompt_{form}", 100 * whole, 100 * (whole - half), 100 * (whole + half)
        )


def _recorded(model: str) -> float:
    """Return the share of instructions that the source counts as followed."""
    path = (data_dir() or Path()) / "ifeval_responses" / f"responses__{model}.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        verdicts = [verdict for line in file for verdict in json.loads(line)["strict"]]
    return sum(verdicts) / len(verdicts)

"""From AlpacaEval's repository to the files that the cards read.

What the length-controlled rates need beside, lc_difficulty.csv and lc_gamed_surrogate.jsonl.gz, is
not in the repository.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ANNOTATOR = "weighted_alpaca_eval_gpt4_turbo"
REFERENCE = "gpt4_1106_preview"


def repack(clones: Mapping[str, Path], data: Path) -> None:
    """Write items.jsonl.gz, and judge__MODEL.jsonl.gz and outputs__MODEL.jsonl.gz by model."""
    source = clones["github.com/tatsu-lab/alpaca_eval"] / "results"
    target = data / "alpaca_eval"
    target.mkdir(parents=True, exist_ok=True)
    files = {
        path.parent.parent.name: path for path in source.glob(f"*/{ANNOTATOR}/annotations.json")
    }
    items: list[dict[str, Any]] = [
        {
            "id": number,
            "dataset": row["dataset"],
            "instruction": row["instruction"],
            "reference_output": row["output_1"],
            "reference_generator": row["generator_1"],
        }
        for number, row in enumerate(_read(files[REFERENCE]))
    ]
    _write(target / "items.jsonl.gz", items)
    numbers = {item["instruction"]: item["id"] for item in items}
    for model, path in sorted(files.items()):
        rows = sorted(_read(path), key=lambda row: numbers[row["instruction"]])
        _write(target / f"judge__{model}.jsonl.gz", [_verdict(row, numbers) for row in rows])
        if model != REFERENCE:
            outputs = [
                {"id": numbers[row["instruction"]], "output": row["output_2"]} for row in rows
            ]
            _write(target / f"outputs__{model}.jsonl.gz", outputs)


def _verdict(row: dict[str, Any], numbers: Mapping[str, int]) -> dict[str, Any]:
    told = {
        "id": numbers[row["instruction"]],
        "preference": row["preference"],
        "price": row.get("price_per_example"),
        "time_s": row.get("time_per_example"),
    }
    return {name: value for name, value in told.items() if value is not None}


def _read(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)

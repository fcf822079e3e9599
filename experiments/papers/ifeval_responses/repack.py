"""From M-IFEval's repository to the files that the cards read.

The responses are those of the evaluations: of o1-preview, the file of responses is of another run.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PREFIX = "en_input_response_data_"


def repack(clones: Mapping[str, Path], data: Path) -> None:
    """Write ifeval_responses/items.jsonl.gz, and responses__MODEL.jsonl.gz for each model."""
    source = clones["github.com/lightblue-tech/M-IFEval"]
    target = data / "ifeval_responses"
    target.mkdir(parents=True, exist_ok=True)
    items = _lines(source / "data" / "en_input_data.jsonl")
    for item in items:
        # A table that was written with all columns has a null for each argument that is not meant.
        item["kwargs"] = [
            {name: value for name, value in given.items() if value is not None}
            for given in item["kwargs"]
        ]
    _write(target / "items.jsonl.gz", items)
    keys = {item["prompt"]: item["key"] for item in items}
    folders = sorted((source / "evaluations").glob(f"{PREFIX}*"))
    if not folders:
        raise FileNotFoundError(f"no evaluations/{PREFIX}*")
    for folder in folders:
        strict, loose = (
            {row["prompt"]: row for row in _lines(folder / f"eval_results_{kind}.jsonl")}
            for kind in ("strict", "loose")
        )
        rows = [
            {
                "key": keys[prompt],
                "response": row["response"],
                "strict": row["follow_instruction_list"],
                "loose": loose[prompt]["follow_instruction_list"],
            }
            for prompt, row in strict.items()
        ]
        _write(target / f"responses__{folder.name.removeprefix(PREFIX)}.jsonl.gz", rows)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)

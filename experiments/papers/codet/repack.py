"""From the repository of CodeT to the files that the cards read.

What passes what (`execution.jsonl.gz`) is not in the repository: `execute.py` finds it out.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

GENERATED = "codegen16B_temp0.8_topp0.95_num100_max300"
FILES = {"solutions": "code_solution", "tests": "test_case"}


def repack(clones: Mapping[str, Path], data: Path) -> None:
    """Write codet/items.jsonl.gz, codet/solutions.jsonl.gz and codet/tests.jsonl.gz."""
    source = clones["github.com/microsoft/CodeT"] / "CodeT" / "data"
    target = data / "codet"
    target.mkdir(parents=True, exist_ok=True)
    problems = list(_lines(source / "dataset", "*_for_code_generation.jsonl"))
    asked = list(_lines(source / "dataset", "*_for_test_case_generation.jsonl"))
    prompts = {record["entry_point"]: record["prompt"] for record in asked}
    items = [{**item, "test_prompt": prompts[item["entry_point"]]} for item in problems]
    _write(target / "items.jsonl.gz", items)
    for name, kind in FILES.items():
        found = _lines(source / "generated_data", f"*_{GENERATED}_{kind}.jsonl")
        ids = {
            item["prompt" if name == "solutions" else "test_prompt"]: item["task_id"]
            for item in items
        }
        samples = [{"task_id": ids[r["prompt"]], "samples": r["samples"]} for r in found]
        _write(target / f"{name}.jsonl.gz", samples)


def _lines(folder: Path, pattern: str) -> Iterator[Any]:
    """Yield the records of the file of HumanEval: the repository has had two names for it."""
    paths = [
        p
        for p in sorted(folder.glob(pattern))
        if p.name.lower().startswith(("humaneval", "hmeval"))
    ]
    if not paths:
        raise FileNotFoundError(f"no {pattern} of HumanEval in {folder}")
    with paths[0].open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _write(path: Path, records: list[Any]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)

"""From OmnisBench's repository to the files that the cards read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

RUNS = ("2026-08-19", "fresh-16k-2026-08-20")


def repack(clones: Mapping[str, Path], data: Path) -> None:
    """Write omnisbench/RUN.items.jsonl.gz: the records of items of each run, one a line."""
    source = clones["github.com/Fortitude-Group/OmnisBench"] / "runs"
    target = data / "omnisbench"
    target.mkdir(parents=True, exist_ok=True)
    for run in RUNS:
        results = json.loads((source / run / "results.json").read_text(encoding="utf-8"))
        with gzip.open(target / f"{run}.items.jsonl.gz", "wt", encoding="utf-8") as file:
            for record in results["items"]:
                file.write(json.dumps(record) + "\n")

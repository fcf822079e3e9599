"""From CRUXEval's repositories to the files that the cards read."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path


def repack(clones: Mapping[str, Path], data: Path) -> None:
    """Gzip the evaluated samples into the folder cruxeval, and copy the items."""
    target = data / "cruxeval"
    results = target / "evaluation_results"
    results.mkdir(parents=True, exist_ok=True)
    site = clones["github.com/crux-eval/crux-eval.github.io"]
    found = sorted(site.rglob("evaluation_results/*_output.json"))
    if not found:
        raise FileNotFoundError("no evaluation_results/*_output.json")
    for path in found:
        with gzip.open(results / f"{path.name}.gz", "wb") as file:
            file.write(path.read_bytes())
    items = clones["github.com/facebookresearch/cruxeval"] / "data" / "cruxeval.jsonl"
    (target / items.name).write_bytes(items.read_bytes())

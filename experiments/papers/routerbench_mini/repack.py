"""From RouterBench-Mini's repository to the file that the cards read."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

STUDY = "qwen3.5-v5-3200-800"


def repack(clones: Mapping[str, Path], data: Path) -> None:
    """Gzip the predictions of the test items into the folder routing."""
    source = clones["github.com/ken-ab/routerbench-mini"] / "results" / STUDY
    target = data / "routing"
    target.mkdir(parents=True, exist_ok=True)
    with gzip.open(target / "routerbench_mini_v5.predictions.csv.gz", "wb") as file:
        file.write((source / "test_predictions.csv").read_bytes())

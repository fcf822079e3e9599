"""From the repository of Tree of Thoughts to the files that the cards read."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

RUNS = ("naive_standard_sample_100", "naive_cot_sample_100", "propose1_value3_greedy5")


def repack(clones: Mapping[str, Path], data: Path) -> None:
    """Gzip the logs of the Game of 24 into the folder tot_game24."""
    source = clones["github.com/princeton-nlp/tree-of-thought-llm"] / "logs" / "game24"
    target = data / "tot_game24"
    target.mkdir(parents=True, exist_ok=True)
    for run in RUNS:
        name = f"gpt-4_0.7_{run}_start900_end1000.json"
        with gzip.open(target / f"{name}.gz", "wb") as file:
            file.write((source / name).read_bytes())

"""From LLMDrift's repository to the files that the cards read."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

FILES = ("PRIME_FULL_EVAL.csv", "COUNTAHAPPYNUMBER_EVAL.csv")


def repack(clones: Mapping[str, Path], data: Path) -> None:
    """Gzip the answers into the folder llmdrift."""
    source = clones["github.com/lchen001/LLMDrift"] / "generation"
    target = data / "llmdrift"
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        with gzip.open(target / f"{name}.gz", "wb") as file:
            file.write((source / name).read_bytes())

"""Dollars of a puzzle, from the counters that the source kept beside its answers.

A counter goes on from puzzle to puzzle; that of CoT starts again in the middle of the file.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from ember_bench.models.recorded.data_dir import data_dir
from ember_bench.running.reproduce import Measure
from ember_bench.running.results import Results

FILES = {
    "IO": "naive_standard_sample_100",
    "CoT": "naive_cot_sample_100",
    "ToT": "propose1_value3_greedy5",
}


def measures(found: Sequence[Results]) -> Iterator[Measure]:
    """Yield the mean dollars of a puzzle."""
    del found
    folder = data_dir() or Path()
    for system, run in FILES.items():
        path = folder / "tot_game24" / f"gpt-4_0.7_{run}_start900_end1000.json.gz"
        with gzip.open(path, "rb") as file:
            counters = [record["usage_so_far"]["cost"] for record in json.load(file)]
        ends = [
            now
            for now, following in zip(counters, [*counters[1:], 0.0], strict=True)
            if following < now
        ]
        yield Measure(system, "dollars", sum(ends) / len(counters))

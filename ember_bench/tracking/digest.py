"""Whether two summaries would be logged alike."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from ember_bench.experiment.results.summary import CellSummary, ExperimentSummary

_json = msgspec.json.Encoder(order="sorted")


def digest_of(summary: ExperimentSummary) -> str:
    """Return a digest (32 hexadecimal digits) over all of `summary` that is logged.

    Of its `run` only the status counts: a repeated run with other times logs nothing new.
    """
    return _hash(msgspec.structs.asdict(summary) | {"run": summary.run.status})


def cell_digest(cell: CellSummary, summary: ExperimentSummary) -> str:
    """Return the same over what one cell's run shows."""
    datasets = [dataset for dataset in summary.datasets if dataset.name == cell.dataset]
    shown = summary.version, summary.seed, summary.epochs, summary.level, summary.baseline
    return _hash((cell, datasets, shown))


def _hash(value: Any) -> str:
    return hashlib.sha256(_json.encode(value)).hexdigest()[:32]

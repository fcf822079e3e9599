"""Summaries of experiments by name or path; apart from the trials, whose modules import slowly."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ember_bench.errors import ConfigError
from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.experiment.spec import read_spec
from ember_bench.running.find_grids import find_grid
from ember_bench.running.places import SUMMARY


def find_summary(name: str, results: Path) -> ExperimentSummary | None:
    """Return the summary of an experiment, by its name, its folder or its grid.

    Returns:
        None if there is a grid of this name, but no summary.

    Raises:
        ConfigError: if there is neither, or the summary cannot be read.
    """
    for folder in (results / name, Path(name)):
        if (folder / SUMMARY).is_file():
            return read_summary(folder / SUMMARY)
    spec, _ = read_spec(find_grid(name))
    path = results / spec.name / SUMMARY
    return read_summary(path) if path.is_file() else None


def read_summary(path: Path) -> ExperimentSummary:
    """Return the summary in a file.

    Raises:
        ConfigError: if it cannot be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=ExperimentSummary)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{path}: not a summary of this version: {error}") from None


def started(folder: Path) -> str:
    """Return the time of the last run in an experiment's folder; "" without a summary.

    Raises:
        ConfigError: if it cannot be read.
    """
    path = folder / SUMMARY
    return read_summary(path).run.started if path.is_file() else ""

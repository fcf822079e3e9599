"""The contents of each MLflow run of an experiment, during the run and at its end."""

from __future__ import annotations

import getpass
import hashlib
import json
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from ember_bench.experiment.results.summary import CellSummary, DatasetSummary, ExperimentSummary
from ember_bench.tracking import fields

_json = msgspec.json.Encoder(order="sorted")
# Runs that were logged in another form are brought up to date.
_FORMAT = 2
_TABLE = json.dumps([{"path": fields.TABLE_NAME, "type": "table"}])


@dataclass(frozen=True, slots=True)
class Content:
    """The contents of one run.

    Attributes:
        cell: Name of the cell, empty for the parent run.
        digest: Over all of it: a run that was logged with the same one is left alone.
        times: Start and end, milliseconds.
        model: Id of the logged model of its architecture; empty for none.
    """

    cell: str
    name: str
    digest: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    datasets: Sequence[DatasetSummary]
    times: tuple[int, int]
    model: str = ""


class Contents:
    """The contents of the runs of an experiment."""

    def __init__(self, summary: ExperimentSummary, price_date: str | None) -> None:
        self._summary = summary
        self._price_date = price_date
        self._source = _source_tags()
        started = datetime.fromisoformat(summary.run.started).timestamp()
        self._times = int(started * 1000), int((started + summary.run.wall_seconds) * 1000)

    def parent(self, markdown: str, digest: str) -> Content:
        """Return that of the parent run; `markdown` is its table of cells."""
        summary = self._summary
        return Content(
            cell="",
            name=fields.experiment_run_name(summary),
            digest=digest,
            params=fields.experiment_params(summary),
            metrics=fields.experiment_metrics(summary),
            tags=fields.experiment_tags(summary, markdown, self._price_date) | self._source,
            datasets=summary.datasets,
            times=self._times,
        )

    def cell(self, place: int, parent: str, *, model: str = "", prompts: str = "") -> Content:
        """Return that of a cell, by its place in the grid, below a parent run.

        Args:
            place: Its place.
            parent: Id of the parent run.
            model: Id of the logged model of its architecture.
            prompts: The tag that links its prompts.
        """
        summary = self._summary
        cell = summary.cells[place]
        links = {"mlflow.parentRunId": parent, "mlflow.loggedArtifacts": _TABLE}
        if prompts:
            links[fields.PROMPTS_TAG] = prompts
        # MLflow lists what started last first: so the cells are in the order of the grid. Their
        # metrics make the columns of its table, as they come before the parent run.
        started = self._times[0] + len(summary.cells) - place
        tags = fields.cell_tags(cell, summary, self._price_date)
        return Content(
            cell=cell.name,
            name=fields.cell_run_name(cell, summary),
            digest=cell_digest(cell, summary),
            params=fields.cell_params(cell, summary),
            metrics=fields.cell_metrics(cell, summary.level),
            tags=tags | links | self._source,
            datasets=[data for data in summary.datasets if data.name == cell.dataset],
            times=(started, max(started, self._times[1])),
            model=model,
        )


def _source_tags() -> dict[str, str]:
    """Return MLflow's own tags on who ran what, as far as they are known."""
    tags = {"mlflow.source.name": "ember-bench", "mlflow.source.type": "LOCAL"}
    # A container may well have no name for its user.
    with suppress(KeyError, OSError):
        tags["mlflow.user"] = getpass.getuser()
    with suppress(OSError, subprocess.SubprocessError):
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        done = subprocess.run(  # noqa: S603 - fixed words; which git is the user's affair
            command, capture_output=True, check=True, text=True, timeout=5
        )
        commit, _, dirty = done.stdout.strip().partition("-")
        tags["mlflow.source.git.commit"] = commit
        tags["mlflow.source.git.dirty"] = "true" if dirty else "false"
    return tags


def digest_of(summary: ExperimentSummary) -> str:
    """Return a digest (32 hexadecimal digits) over everything in `summary` that is logged.

    Of its `run` only the status counts: a repeated run with other times logs nothing new.
    """
    return _hash(msgspec.structs.asdict(summary) | {"run": summary.run.status})


def cell_digest(cell: CellSummary, summary: ExperimentSummary) -> str:
    """Return the digest over the contents of one cell's run."""
    datasets = [dataset for dataset in summary.datasets if dataset.name == cell.dataset]
    shown = summary.version, summary.seed, summary.epochs, summary.level, summary.baseline
    chosen = ("chosen",) if fields.is_chosen(cell, summary) else ()
    return _hash((cell, datasets, shown, *chosen))


def _hash(value: Any) -> str:
    value = (_FORMAT, value)
    # Numbers as keys, as those of pass@k, can only be sorted as texts.
    plain = msgspec.to_builtins(value, str_keys=True)
    return hashlib.sha256(_json.encode(plain)).hexdigest()[:32]

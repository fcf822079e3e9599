"""The report of an experiment from its runs in MLflow alone."""

from __future__ import annotations

import msgspec

from ember_bench.errors import ConfigError
from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.report.columns import View
from ember_bench.report.printed import printed_summary
from ember_bench.report.table_formats import Table
from ember_bench.report.tidy import cells_table
from ember_bench.running.artifacts import REPORT
from ember_bench.running.places import SUMMARY
from ember_bench.tracking.reading import read_file
from ember_bench.tracking.uris import RUN_PREFIX


def logged_page(name: str, tracking_uri: str) -> bytes:
    """Return the HTML report that a run was logged with.

    Args:
        name: `runs:/` and a run's id or name, or an MLflow experiment's name; a cell's run stands
            for its experiment's.
        tracking_uri: A database, or a server.

    Raises:
        ConfigError: if there is no such run, or several have the name.
        TrackingError: if it cannot be read.
    """
    return read_file(name.removeprefix(RUN_PREFIX), tracking_uri, REPORT)[0]


def logged_table(name: str, tracking_uri: str, view: View | None) -> Table:
    """Return the table of cells of the summary that a run was logged with.

    Args:
        name: As for `logged_page`; a cell's run stands for the cell.
        tracking_uri: A database, or a server.
        view: Choice of the columns and rows of a table that is read; None for all numbers, one
            in each column.

    Raises:
        ConfigError: as for `logged_page`, or if another version has logged it.
        TrackingError: if it cannot be read.
    """
    content, cell = read_file(name.removeprefix(RUN_PREFIX), tracking_uri, SUMMARY)
    try:
        summary = msgspec.json.decode(content, type=ExperimentSummary)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{name}: its {SUMMARY} is not of this version: {error}") from None
    if cell is not None:
        summary = summary.only({cell})
    return cells_table(summary.cells) if view is None else printed_summary(summary, view)

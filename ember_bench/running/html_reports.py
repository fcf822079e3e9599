"""The HTML report of an experiment's results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from ember_bench.errors import ConfigError, EmberBenchError
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results.attribution import ChoiceSummary
from ember_bench.files import write
from ember_bench.models.store.stored_answers import StoredAnswers
from ember_bench.report.html_contents import MOST_TRIALS, Contents
from ember_bench.report.html_report import html_report
from ember_bench.running.artifacts import REPORT
from ember_bench.running.find_results import Named
from ember_bench.running.messages import say
from ember_bench.running.node_choices import attributed
from ember_bench.running.places import RESPONSES

_NO_GRAPHS: Final = (
    "How well nodes choose, and votes of fewer candidates, are left out: that takes the grid as it"
    " was run with its registry and answers, or a report that was written where they are."
)


def write_html_report(
    named: Named,
    path: Path | None = None,
    *,
    graphs: bool = True,
    trials: int | None = None,
    data_dir: Path | None = None,
    experiment: Callable[[], Experiment] | None = None,
) -> Path:
    """Write the report of the cells that a name stands for; return its file.

    Args:
        named: The cells.
        path: The file; by default `report.html` beside the results.
        graphs: Run the graphs on stored answers, if their grid is there: how nodes choose.
        trials: Maximum number of trials on the page; 0 for all.
        data_dir: The folder of recorded data.
        experiment: Opens the experiment offline; by default its grid is looked for.

    Raises:
        ConfigError: if the file cannot be written.
    """
    folder = named.rows.path.parent
    responses = folder.parent / RESPONSES
    answers = StoredAnswers(responses) if responses.is_file() else None
    if answers is None:
        say(f"{responses}: is not there, so prompts and answers are left out")
    try:
        choices, notes = node_choices(named, data_dir, experiment) if graphs else ({}, [])
        contents = Contents(
            named.rows,
            {cell.name for cell in named.cells},
            answers,
            choices,
            notes,
            trials=MOST_TRIALS if trials is None else trials,
        )
        page = html_report(contents)
    finally:
        if answers is not None:
            answers.close()
    path = folder / REPORT if path is None else path
    try:
        write(path, page.encode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def node_choices(
    named: Named, data_dir: Path | None, experiment: Callable[[], Experiment] | None
) -> tuple[Mapping[str, Sequence[ChoiceSummary]], list[str]]:
    """Return the choices of nodes by cell; or a note that they are unknown."""
    try:
        return attributed(named, data_dir, experiment), []
    except EmberBenchError as error:
        reason = str(error).splitlines()[0]
        say(f"without how well nodes choose, which takes the grid: {reason}")
        return {}, [_NO_GRAPHS]

"""Results in Python: frames, comparisons and reports of one experiment."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from ember_bench.decisions.gate import GateReport
from ember_bench.decisions.what_if import WhatIfTable
from ember_bench.drawing.figures import Width
from ember_bench.errors import ConfigError
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results import comparison
from ember_bench.experiment.results.analysis import Analysis
from ember_bench.experiment.results.compared import ComparisonTable
from ember_bench.experiment.results.summary import Correction, ExperimentSummary, RunSummary
from ember_bench.models.store.stored_answers import StoredAnswers
from ember_bench.report.comparison_table import comparison_table
from ember_bench.report.figures import Plot, form_of
from ember_bench.report.sections import Section
from ember_bench.report.summary_table import table
from ember_bench.report.summary_text import status, tables
from ember_bench.report.table_formats import Kind, Table
from ember_bench.report.tidy import choices_table, members_table, tidy
from ember_bench.running.apart import run_apart
from ember_bench.running.combining import WhatIfOptions, what_if
from ember_bench.running.find_results import Named, ResultsReader, find_results
from ember_bench.running.find_summary import read_summary
from ember_bench.running.gating import GateOptions, gate
from ember_bench.running.html_reports import write_html_report
from ember_bench.running.node_choices import attributed
from ember_bench.running.places import RESPONSES, SUMMARY
from ember_bench.running.plots import plot_named
from ember_bench.tracking import Logged

if TYPE_CHECKING:
    import pandas as pd

Stored = Literal["cells", "suites", "trials", "calls", "nodes"]
What = Stored | Literal["choices", "members"]


@dataclass(frozen=True, repr=False)
class Results:
    """The results of one experiment, in its folder.

    Tables are read from the folder when they are asked for the first time.

    Attributes:
        folder: The folder of its files.
        summary: Everything that the table of cells says.
        budget_reached: The caps of the budget that ended the run early, as text.
        logged: Its runs in MLflow; None if this run logged nothing.
        log_error: The error of logging; None without one.
    """

    folder: Path
    summary: ExperimentSummary
    budget_reached: tuple[str, ...] = ()
    logged: Logged | None = None
    log_error: str | None = None
    reopen: Callable[[], Experiment] | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.summary.name

    @property
    def complete(self) -> bool:
        """Whether every trial was done; running the same again does the rest."""
        return self.summary.run.status == "complete"

    @cached_property
    def cells(self) -> pd.DataFrame:
        """A row for each cell: accuracy in [0, 1], US dollars, seconds; see `docs/export.md`."""
        return self.frame("cells")

    @cached_property
    def trials(self) -> pd.DataFrame:
        """A row for each trial: score in [0, 1], US dollars, seconds, tokens."""
        return self.frame("trials")

    @cached_property
    def calls(self) -> pd.DataFrame:
        """A row for each call of each trial: US dollars, seconds, tokens."""
        return self.frame("calls")

    def frame(self, what: What, *, texts: bool = False) -> pd.DataFrame:
        """Return a tidy table, as `ember-bench export` writes it.

        Args:
            what: A row for each cell, trial, call, node of a graph, choice of a node, or member of
                a choice. The last two run the graphs on stored answers.
            texts: With calls: also what the models answered.
        """
        # Graphs run on an event loop, and there may be one in this thread.
        return run_apart(lambda: self._frame(what, texts=texts))

    def _frame(self, what: What, *, texts: bool) -> pd.DataFrame:
        with ResultsReader(self.folder.parent) as reader, ExitStack() as stack:
            named = reader.get(self.folder.name)
            if what in ("choices", "members"):
                of_graphs = choices_table if what == "choices" else members_table
                return of_graphs(named.rows, attributed(named, None, self.reopen)).frame()
            answers = None
            if texts:
                answers = StoredAnswers(self.folder.parent / RESPONSES)
                stack.callback(answers.close)
            return tidy(named.rows, cast("Stored", what), _names(named), answers).frame()

    def compare(
        self,
        cell: str,
        baseline: str | None = None,
        *,
        correction: Correction = "maxt",
        anyway: bool = False,
        flips: int = 5,
    ) -> Compared:
        """Compare a cell with another one on the items that both have, as `ember-bench compare`.

        Args:
            cell: Its label or name; one that stands for several cells compares each.
            baseline: The cell that it is compared with; by default the experiment's baseline.
            correction: For several comparisons: `maxt` (Westfall and Young), `holm`, or `bh`
                (Benjamini-Hochberg).
            anyway: Compare also what is not comparable.
            flips: Number of items won, and of items lost, to show for each comparison.

        Raises:
            UnknownNameError: if there is no such cell.
            ConfigError: if they cannot be compared.
        """
        names = [cell] if baseline is None else [baseline, cell]
        with ResultsReader(self.folder.parent) as reader:
            groups = [reader.group(f"{self.folder.name}/{name}") for name in names]
            pairs = comparison.pair_up([group for group in groups if group is not None])
            found = comparison.compare(pairs, correction=correction, anyway=anyway)
        return Compared(found, flips)

    def gate(
        self, *rules: str, baseline: Path | str | None = None, pass_unclear: bool = False
    ) -> GateReport:
        """Say whether the results keep rules, as `ember-bench gate`.

        Args:
            rules: Such as `no worse than 1 point, 95 %`; see `docs/gate.md`.
            baseline: The folder of other results, or a `summary.json`; by default the experiment's
                own baseline.
            pass_unclear: Whether rules that are not shown pass.

        Raises:
            ConfigError: if a rule is not understood, or the results cannot be compared.
        """
        other = None if baseline is None else str(baseline)
        options = GateOptions(rules, other, self.folder.parent, pass_unclear=pass_unclear)
        return gate(self.folder.name, options)

    def what_if(
        self, *combinations: str, agreement: float | None = None, within: float = 0.0
    ) -> WhatIfTable:
        """Evaluate combinations of the systems from their stored trials, as `ember-bench what-if`.

        Args:
            combinations: Such as `vote: A; B; C` or `cascade: A; B > C`; none for usual ones.
            agreement: Share of a cascade's first stage that must agree; None to tune it.
            within: Points of accuracy that a tuned choice may give up for a lower cost.

        Raises:
            ConfigError: if a combination is not understood, or cannot be made.
        """
        return what_if(
            self.folder.name, WhatIfOptions(combinations, agreement, within, self.folder.parent)
        )

    def report(
        self,
        path: Path | str | None = None,
        *,
        graphs: bool = True,
        trials: int | None = None,
    ) -> Path:
        """Write the report as one HTML file, as `ember-bench report`; return the file.

        Args:
            path: The file; by default `report.html` beside the results.
            graphs: Run the graphs on stored answers: how well nodes choose.
            trials: Maximum number of trials on the page; 0 for all.
        """
        target = None if path is None else Path(path)

        def write() -> Path:
            with ResultsReader(self.folder.parent) as reader:
                return write_html_report(
                    reader.get(self.folder.name),
                    target,
                    graphs=graphs,
                    trials=trials,
                    experiment=self.reopen,
                )

        return run_apart(write)

    def plot(
        self,
        kind: str,
        path: Path | str | None = None,
        *,
        width: Width = "one",
        axis: str = "cost",
        datasets: Sequence[str] = (),
        dark: bool = False,
        graphs: bool = True,
    ) -> Plot:
        """Draw a figure, as `ember-bench plot`; it needs the extra `plots`.

        Args:
            kind: `front`, `k`, `differences`, `items`, `nodes` or `calibration`.
            path: A file to write, `.pdf`, `.svg` or `.png`; its data goes beside it as `.csv`.
            width: `one` column of a page (3.25 inches), or `two` (6.75 inches).
            axis: Of a front: `cost` or `latency`.
            datasets: Those to show; by default all, with a panel for each.
            dark: Draw light on dark, for a screen.
            graphs: For `k`: run the graphs on stored answers, for votes of fewer candidates.

        Raises:
            UnknownNameError: if there is no such kind, width, axis or dataset.
            ConfigError: if there is nothing to draw, or the file cannot be written.
        """
        target = None if path is None else Path(path)
        if target is not None:
            form_of(target)

        def draw() -> Plot:
            with ResultsReader(self.folder.parent) as reader:
                return plot_named(
                    reader.get(self.folder.name),
                    kind,
                    width=width,
                    axis=axis,
                    datasets=datasets,
                    dark=dark,
                    graphs=graphs,
                    experiment=self.reopen,
                )

        found = run_apart(draw)
        if target is not None:
            found.save(target)
        return found

    def __repr__(self) -> str:
        """Return the table of cells."""
        return table(self.summary, shutil.get_terminal_size((100, 24)).columns).plain

    def _repr_html_(self) -> str:
        """Return the table of cells for a notebook."""
        found = tables(self.summary)
        parts = [_section(section) for section in found.sections]
        notes = "".join(f"<div>{escape(caption)}</div>" for caption in found.captions)
        state = " (unfinished)" if self.summary.run.status == "partial" else ""
        ending = f"<b>{escape(self.name)}{state}: {escape(status(self.summary))}</b>"
        return f'<div>{"".join(parts)}<div style="opacity:.7">{notes}</div>{ending}</div>'


@dataclass(frozen=True, repr=False)
class Compared:
    """Comparisons of cells with their baselines.

    Attributes:
        table: The comparisons, with the items that were won and lost.
        flips: Number of these that are shown for each comparison.
    """

    table: ComparisonTable
    flips: int

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row for each comparison: differences of accuracy in [-1, 1], p-values."""
        columns: list[tuple[str, Kind]] = [
            ("cell", "text"), ("baseline", "text"), ("items", "integer"),
            ("difference", "number"), ("difference_low", "number"), ("difference_high", "number"),
            ("wins", "integer"), ("losses", "integer"), ("test", "text"), ("p_value", "number"),
            ("p_adjusted", "number"), ("best_probability", "number"),
        ]  # fmt: skip
        rows = [
            (
                pair.cell.cell, pair.baseline.cell, pair.items,
                pair.difference.value, pair.difference.low, pair.difference.high,
                pair.wins, pair.losses, pair.test, pair.p_value,
                pair.p_adjusted, pair.best_probability,
            )
            for pair in self.table.pairs
        ]  # fmt: skip
        return Table(columns, rows).frame()

    def __repr__(self) -> str:
        """Return the table of comparisons."""
        width = shutil.get_terminal_size((100, 24)).columns
        return comparison_table(self.table, width, flips=self.flips).plain

    def _repr_html_(self) -> str:
        """Return the table of comparisons for a notebook."""
        return f"<pre>{escape(comparison_table(self.table, None, flips=self.flips).plain)}</pre>"


def load_results(path: Path | str) -> Results:
    """Return the results in a folder; of a run that was killed, those of the trials that are done.

    Args:
        path: The folder of an experiment (`results/capitals`), or its name in `results`.

    Raises:
        ConfigError: if there are none; lists near matches.
        StoreError: if they cannot be read.
    """
    if (trials := find_results(str(path), Path("results"))) is None:
        folder = Path(path)
        raise ConfigError(ResultsReader(folder.parent).missing(folder.name))
    folder = trials.parent
    if (folder / SUMMARY).is_file():
        return Results(folder, read_summary(folder / SUMMARY))
    with ResultsReader(folder.parent) as reader:
        rows = reader.get(folder.name).rows
        return Results(folder, Analysis(rows).summary(RunSummary.partial()))


def _names(named: Named) -> set[str]:
    return {cell.name for cell in named.cells}


def _section(section: Section) -> str:
    """Return the cells of a dataset as an HTML table."""
    headings = ["system", *section.headings]
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr><td>"
        + escape(" ".join([row.label, *(f"({note})" for note in row.notes)]))
        + "</td>"
        + "".join(f"<td>{escape(value)}</td>" for value in row.values)
        + "</tr>"
        for row in section.rows
    )
    footers = "".join(f"<div>{escape(footer)}</div>" for footer in section.footers)
    return (
        f"<b>{escape(section.title)}</b>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{footers}"
    )

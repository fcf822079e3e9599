"""Figures of an experiment's results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ember_bench.drawing.figures import Width
from ember_bench.experiment.prepare import Experiment
from ember_bench.report.figures import Plot, plot
from ember_bench.report.html_contents import Contents
from ember_bench.running.find_results import Named
from ember_bench.running.html_reports import node_choices


def plot_named(
    named: Named,
    kind: str,
    *,
    width: Width = "one",
    axis: str = "cost",
    datasets: Sequence[str] = (),
    dark: bool = False,
    graphs: bool = True,
    data_dir: Path | None = None,
    experiment: Callable[[], Experiment] | None = None,
) -> Plot:
    """Draw a figure of the cells that a name stands for; see `report.figures.plot`.

    Args:
        named: The cells.
        kind: One of `report.figures.KINDS`.
        width: `one` column of a page, or `two`.
        axis: Of a front: `cost` or `latency`.
        datasets: Those to show; by default all.
        dark: Draw light on dark, for a screen.
        graphs: For `k`: run the graphs on stored answers, for votes of fewer candidates.
        data_dir: The folder of recorded data.
        experiment: Opens the experiment offline; by default its grid is looked for.
    """
    choices, _ = node_choices(named, data_dir, experiment) if graphs and kind == "k" else ({}, [])
    contents = Contents(named.rows, {cell.name for cell in named.cells}, choices=choices)
    return plot(contents, kind, width=width, axis=axis, datasets=datasets, dark=dark)

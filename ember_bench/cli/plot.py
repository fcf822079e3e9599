"""`ember-bench plot`: a figure of an experiment's results, for a paper or a talk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ember_bench.cli._run_options import Experiment, LookIn, Recorded

Kind = Annotated[
    str,
    typer.Argument(
        metavar="[front|k|differences|items|nodes|calibration|search]",
        help="front: accuracy against cost. k: accuracy by a number that is swept. differences:"
        " to the baseline. items: who fails where. nodes: cost by node. calibration: a judge's"
        " scores against labels, or stated confidences against correctness. search: the curve of"
        " cost and score of `optimise`, named by its folder.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="The file: .pdf, .svg or .png [KIND.pdf]; a .csv comes beside it."
    ),
]
Width = Annotated[
    str, typer.Option(metavar="[one|two]", help="Columns of a page: 3.25 or 6.75 inches.")
]
Axis = Annotated[str, typer.Option(metavar="[cost|latency]", help="Of a front.")]
Datasets = Annotated[
    list[str] | None,
    typer.Option("--dataset", metavar="NAME", help="Draw this dataset only; again for another."),
]
Dark = Annotated[bool, typer.Option("--dark", help="Draw light on dark, for a screen.")]
Graphs = Annotated[
    bool,
    typer.Option(help="With k: run the graphs on stored answers, for votes of fewer candidates."),
]


def plot(
    kind: Kind,
    name: Experiment,
    output: Output = None,
    width: Width = "one",
    axis: Axis = "cost",
    datasets: Datasets = None,
    dark: Dark = False,
    graphs: Graphs = True,
    results: LookIn = Path("results"),
    data_dir: Recorded = None,
) -> None:
    """Draw a figure for a paper or a talk: PDF, SVG or PNG, with its data as CSV."""
    from ember_bench.cli._output import put
    from ember_bench.drawing.figures import WIDTHS
    from ember_bench.errors import UnknownNameError
    from ember_bench.optimising.curve import SEARCH, curve_plot, read_optimised
    from ember_bench.report.figures import KINDS, form_of
    from ember_bench.running.find_results import ResultsReader
    from ember_bench.running.plots import plot_named

    if kind not in (*KINDS, SEARCH):
        raise UnknownNameError("figure", kind, [*KINDS, SEARCH])
    widths = {str(known): known for known in WIDTHS}
    if width not in widths:
        raise UnknownNameError("width", width, widths)
    path = Path(f"{kind}.pdf") if output is None else output
    form_of(path)
    if kind == SEARCH:
        found = curve_plot(read_optimised(name, results), width=widths[width], dark=dark)
        for file in found.save(path):
            put(str(file))
        return
    with ResultsReader(results) as reader:
        made = plot_named(
            reader.get(name),
            kind,
            width=widths[width],
            axis=axis,
            datasets=datasets or (),
            dark=dark,
            graphs=graphs,
            data_dir=data_dir,
        )
    for file in made.save(path):
        put(str(file))

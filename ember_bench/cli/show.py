"""`ember-bench show`: an experiment's results, or a card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ember_bench.cli._output import put, put_json, put_text, width
from ember_bench.cli._run_options import LookIn
from ember_bench.cli._table import By, Columns, Datasets, Sort, Top, view_of

if TYPE_CHECKING:
    from ember_bench.experiment.results.summary import ExperimentSummary
    from ember_bench.registry import Cards
    from ember_bench.report.columns import View


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An experiment, or a card's name.")],
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Kind of the name, if it has several: experiment, model, dataset, evaluator, "
            "architecture or signature.",
        ),
    ] = None,
    results: LookIn = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    svg: Annotated[
        Path | None, typer.Option(help="Write an architecture's diagram to this file.")
    ] = None,
    columns: Columns = None,
    sort: Sort = None,
    top: Top = None,
    datasets: Datasets = None,
    by: By = None,
) -> None:
    """Print an experiment's table again, or what a card says."""
    from ember_bench.registry import Cards
    from ember_bench.running.find_names import EXPERIMENT, kind_of

    cards = Cards()
    found = kind_of(name, kind or ("architecture" if svg is not None else None), results, cards)
    if svg is not None:
        _write_diagram(found, name, cards, svg)
    if found == EXPERIMENT:
        view = view_of(columns, sort, top, datasets, by)
        _show_experiment(name, results, view, as_json=as_json)
        return
    from ember_bench.report.card_text import card_facts, card_text

    facts = card_facts(found, name, cards)
    if as_json:
        put_json(facts)
    else:
        put(card_text(facts))


def _write_diagram(kind: str, name: str, cards: Cards, path: Path) -> None:
    """Write the picture of an architecture.

    Raises:
        ConfigError: if it is none, cannot be drawn, or the file cannot be written.
    """
    from ember_bench.errors import ConfigError
    from ember_bench.files import write
    from ember_bench.graph.architecture import load_architecture
    from ember_bench.graph.example import svg_of

    if kind != "architectures":
        raise ConfigError(f"--svg draws architectures, and no {kind.removesuffix('s')}")
    try:
        write(path, svg_of(load_architecture(name, cards)).encode())
    except OSError as error:
        raise ConfigError(f"--svg: {path} cannot be written: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{name} cannot be drawn with default parameters: {error}") from None


def _show_experiment(name: str, results: Path, view: View, *, as_json: bool) -> None:
    """Print the summary of an experiment's results or, if there are none, its grid."""
    from ember_bench.experiment.spec import read_spec
    from ember_bench.running.find_grids import find_grid
    from ember_bench.running.find_summary import find_summary

    if (summary := find_summary(name, results)) is not None:
        _print_summary(summary, view, as_json=as_json)
        return
    from ember_bench.report.card_text import card_text, grid_facts

    path = find_grid(name)
    facts = grid_facts(read_spec(path)[0], path)
    if as_json:
        put_json(facts)
    else:
        put(card_text(facts) + f"\n\nno results in {results} yet: ember-bench run {name}")


def _print_summary(summary: ExperimentSummary, view: View, *, as_json: bool) -> None:
    if as_json:
        put_json(summary)
        return
    from ember_bench.report import table

    put_text(table(summary, width(), view))

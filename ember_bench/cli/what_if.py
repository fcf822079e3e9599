"""`ember-bench what-if`: what would another combination of these systems have given?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ember_bench.cli._output import put_json, put_text, width
from ember_bench.cli._run_options import LookIn, Recorded, TrackingUri

Name = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT",
        help="An experiment, its systems on a dataset (EXPERIMENT/DATASET), or a run in MLflow; or "
        "a grid file, to score its systems on stored answers.",
    ),
]
Combinations = Annotated[
    list[str] | None,
    typer.Option(
        "--try",
        metavar="KIND: SYSTEM; SYSTEM",
        help="vote, weighted, oracle, best, router, or cascade (A; B > C); again for another "
        "[usual ones].",
    ),
]
Agreement = Annotated[
    float | None,
    typer.Option(metavar="SHARE", help="Share of a cascade's first stage that must agree [tuned]."),
]
Within = Annotated[
    float,
    typer.Option(
        metavar="POINTS", help="Accuracy that a tuned choice may give up for a lower cost."
    ),
]


def what_if(
    name: Name,
    combination: Combinations = None,
    agreement: Agreement = None,
    within: Within = 0.0,
    results: LookIn = Path("results"),
    tracking_uri: TrackingUri = None,
    data_dir: Recorded = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Evaluate votes, cascades and choices of systems that were run; make no call."""
    from ember_bench.errors import ConfigError

    if Path(name).suffix in (".yaml", ".yml") and not combination:
        if agreement is not None or within or tracking_uri is not None:
            raise ConfigError(
                f"{name}: is a grid, and --agreement, --within and --tracking-uri are for systems"
                " that were run; name their experiment"
            )
        _grid(Path(name), results, data_dir, as_json=as_json)
        return
    from ember_bench.running.combining import WhatIfOptions
    from ember_bench.running.combining import what_if as evaluated

    options = WhatIfOptions(combination or (), agreement, within, results, tracking_uri)
    table = evaluated(name, options)
    if as_json:
        put_json(table)
        return
    from ember_bench.report.what_if_text import what_if_text

    put_text(what_if_text(table, width()))


def _grid(path: Path, results: Path, data_dir: Path | None, *, as_json: bool) -> None:
    """Print what the systems of a grid would give on stored answers."""
    from ember_bench.running.combining import stored_grid
    from ember_bench.running.places import use_data_dir

    if data_dir is not None:
        use_data_dir(data_dir)
    found = stored_grid(path, results)
    if as_json:
        put_json(found)
        return
    from ember_bench.report.what_if_text import stored_grid_text

    put_text(stored_grid_text(found, width()))

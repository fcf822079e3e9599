"""The files of an optimisation: its result, the new card, and a grid with both systems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from ember_bench.errors import EmberBenchError
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.prepare import Experiment
from ember_bench.optimising.curve import curve_page
from ember_bench.optimising.outcome import (
    OPTIMISED,
    OPTIMISED_PAGE,
    OPTIMISED_TEXT,
    Optimised,
    as_text,
)
from ember_bench.running.artifacts import write_file
from ember_bench.running.session import open_experiment

GRID: Final = "grid.yaml"
_CARDS: Final = "registry/architectures"
# What is of the study alone: its budget, its choice, and its name.
_OF_STUDY: Final = ("baseline", "budget_usd", "decide", "purpose", "search")
_NOTE: Final = (
    "# The system before and after; the items of the search are among its items, so what it finds\n"
    f"# is too high. The fair comparison is in {OPTIMISED_TEXT}.\n"
)


def card_file(folder: Path, card: str) -> Path:
    """Return the file of the new card: grids in `folder` know it."""
    return folder / _CARDS / f"{card}.yaml"


def write(folder: Path, outcome: Optimised, card: Mapping[str, Any]) -> None:
    """Write the result and the new card to a folder.

    Raises:
        OutputError: if they cannot be written.
    """
    encoded = msgspec.json.format(msgspec.json.encode(outcome), indent=2)
    file = card_file(folder, outcome.card)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_file(file, as_yaml(card).encode())
    write_file(folder / OPTIMISED, encoded)
    write_file(folder / OPTIMISED_TEXT, f"{as_text(outcome)}\n".encode())
    write_file(folder / OPTIMISED_PAGE, curve_page(outcome).encode())


def write_grid(folder: Path, experiment: Experiment, cell: Cell, card: str) -> Path | None:
    """Write a grid that runs the system as it was and with the new card; return its file.

    None if it could not be opened there, as where the study's own cards are beside its grid.

    Raises:
        OutputError: if it cannot be written.
    """
    spec = experiment.spec.model_dump(mode="json", exclude_defaults=True)
    datasets = [entry for entry in spec["datasets"] if entry["name"] == cell.dataset]
    entries = [e for e in spec["architectures"] if e["name"] == cell.architecture.name]
    # Fields of an entry beside its parameters, such as examples, stay.
    more = {k: v for k, v in (entries[0] if entries else {}).items() if k != "parameters"}
    kept = {name: cell.written.get(name, value) for name, value in cell.parameters.items()}
    asked = {name: kept[name] for name in ("prompt",) if name in kept}
    grid = {
        **{name: value for name, value in spec.items() if name not in _OF_STUDY},
        "name": f"{folder.name}-compared",
        "datasets": datasets or spec["datasets"],
        "architectures": [
            {**more, "name": cell.architecture.name, "parameters": kept, "label": "before"},
            {**more, "name": card, "parameters": asked, "label": "after"},
        ],
    }
    path = folder / GRID
    write_file(path, f"{_NOTE}{as_yaml(grid)}".encode())
    try:
        open_experiment(path)
    except EmberBenchError:
        path.unlink()
        return None
    return path


def as_yaml(content: Mapping[str, Any]) -> str:
    """Return content as the text of a YAML file."""
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=100)

"""Grids and model cards, as a user would write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

SIMULATED = "simulated:small"
SERVED = "openai:bench"


def write_grid(
    folder: Path,
    architectures: list[dict[str, Any]],
    *,
    name: str = "bench",
    items: int,
    in_flight: int | None = None,
) -> Path:
    """Write a grid over `items` sums that are all different; returns its file."""
    # Of two equal questions the second would be answered by the call of the first.
    sums = {"name": "arithmetic", "parameters": {"count": items, "terms": 4, "digits": 3}}
    grid: dict[str, Any] = {"name": name, "datasets": [sums], "architectures": architectures}
    if in_flight is not None:
        grid["in_flight"] = in_flight
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(grid, sort_keys=False))
    return path


def single(model: str, **parameters: Any) -> dict[str, Any]:
    """Return an architecture of one call."""
    return {"name": "single", "parameters": {"model": model, **parameters}}


def vote(model: str, k: int | list[int]) -> dict[str, Any]:
    """Return a majority vote over `k` calls."""
    return {"name": "vote", "parameters": {"model": model, "k": k}}


def write_card(
    folder: Path, base_url: str, *, max_concurrency: int, options: Mapping[str, Any]
) -> None:
    """Write the card of the served model beside a grid; `options` are fields of it."""
    card = {
        "name": SERVED,
        "provider": {"name": "openai", "base_url": base_url},
        "cost": {"input_cost_per_million": 1.0, "output_cost_per_million": 2.0},
        "max_concurrency": max_concurrency,
        "stream": False,  # the server cannot
        **options,
    }
    models = folder / "registry" / "models"
    models.mkdir(parents=True, exist_ok=True)
    (models / "bench.yaml").write_text(yaml.safe_dump(card, sort_keys=False))

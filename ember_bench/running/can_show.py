"""What a planned experiment can show, in sentences; numpy is imported only if there are rows."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path
from statistics import NormalDist
from typing import Final

from ember_bench.drawing.number_format import count
from ember_bench.experiment.edits import PILOT
from ember_bench.experiment.forecast.numbers import Forecast
from ember_bench.running.places import TRIALS

_SHARES: Final = (0.1, 0.3)
_POWER: Final = 0.8
_MOST_DATASETS: Final = 3


def can_show(forecast: Forecast, results: Path) -> list[str]:
    """Return in sentences which differences a planned experiment can show.

    By its own rows or its pilot's, if there are any; else for two assumed shares of items on which
    systems disagree.

    Args:
        forecast: Its plan.
        results: The folder in which results are looked for.
    """
    for name in (forecast.name, f"{forecast.name}{PILOT}"):
        path = results / name / TRIALS
        if path.is_file() and (found := _measured(forecast, path)):
            return found
    return _assumed(forecast)


def _measured(forecast: Forecast, path: Path) -> list[str]:
    from ember_bench.decisions.planning import plan_power  # noqa: PLC0415 - imports numpy
    from ember_bench.experiment.results.rows import StoredTrials  # noqa: PLC0415 - the same
    from ember_bench.report.power_text import sentences  # noqa: PLC0415 - the same

    with closing(StoredTrials(path)) as rows:
        plan = plan_power(rows, items=forecast.items, epochs=forecast.epochs)
    if not (found := sentences(plan)):
        return []
    return [f"What it can show, measured on {plan.source}: {' '.join(found)}"]


def _assumed(forecast: Forecast) -> list[str]:
    compared = len(forecast.cells) - len(forecast.items)
    if forecast.epochs > 1 or compared < 1:
        return []
    alpha = (1 - forecast.level) / compared
    found = []
    for name, items in list(forecast.items.items())[:_MOST_DATASETS]:
        found.append(f"{name}, {count(items, 'item')}: {_differences(items, alpha)}.")
    if (more := len(forecast.items) - _MOST_DATASETS) > 0:
        found.append(f"And so for {count(more, 'other dataset')}.")
    return [f"What it can show: {' '.join(found)} A pilot tells how often they disagree."]


def _differences(items: int, alpha: float) -> str:
    """Say which differences are found at each of the assumed shares."""
    power = f"{100 * _POWER:.0f} % power"
    found: list[str] = []
    none: list[str] = []
    for share in _SHARES:
        points, disagree = _detectable(items, share, alpha), f"{100 * share:.0f} %"
        if points is None:
            none.append(disagree)
        else:
            found.append(
                f"of {points} if on {disagree}"
                if found
                else f"differences of about {points} at {power} if two systems disagree on"
                f" {disagree} of the items"
            )
    if none:
        shares = " or ".join(none)
        found.insert(
            0,
            f"no difference if on {shares}"
            if found
            else f"no difference at {power} if two systems disagree on {shares} of the items",
        )
        found.reverse()
    return ", ".join(found)


def _detectable(items: int, share: float, alpha: float) -> str | None:
    """Return the smallest difference that McNemar's test shows; None if it shows none.

    By the normal approximation.

    It solves n d^2 = (z_{1 - alpha/2} sqrt(p) + z_power sqrt(p - d^2))^2 for d (Connor 1987,
    "Sample size for testing differences in proportions for the paired-sample design").
    """
    normal = NormalDist()
    z, z_power = normal.inv_cdf(1 - alpha / 2), normal.inv_cdf(_POWER)
    # A quadratic equation: (n + z_power^2) d^2 - 2 z sqrt(p n) d + (z^2 - z_power^2) p = 0.
    a, b = items + z_power**2, z * math.sqrt(share * items)
    root = b**2 - a * (z**2 - z_power**2) * share
    if root < 0 or (found := (b + math.sqrt(root)) / a) > share:
        return None
    return f"{100 * found:.2g} points"

"""An optimisation as a run in MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from ember_bench.experiment.cells import Cell
from ember_bench.graph.data import NoNGraphData
from ember_bench.optimising.outcome import Optimised, as_text
from ember_bench.optimising.writing import as_yaml
from ember_bench.tracking.messages import LoggedSearch, LogSearch
from ember_bench.tracking.networks import network_of
from ember_bench.tracking.tracker import Tracker


def log_to_mlflow(
    search: LogSearch, experiment: str, results: Path, tracking_uri: str | None = None
) -> LoggedSearch:
    """Log a search to MLflow, in the study's experiment, beside the runs of its systems.

    Args:
        search: What is logged, see `search_of`.
        experiment: Name of the study.
        results: The results folder, which has MLflow's database by default.
        tracking_uri: Another store.

    Raises:
        TrackingError: if MLflow could not be reached or did not take it.
    """
    with Tracker(experiment, results=results, tracking_uri=tracking_uri) as tracker:
        return tracker.log_search(search)


def search_of(
    outcome: Optimised,
    cell: Cell,
    graph: NoNGraphData,
    card: Mapping[str, Any],
    files: Sequence[Path],
) -> LogSearch:
    """Return what MLflow is to have: the result, the curve, the card with its prompts, the files.

    Args:
        outcome: The result.
        cell: The system as it was.
        graph: Its network with the new prompts.
        card: The new card.
        files: The artifacts.
    """
    key = f"{outcome.study}-{outcome.card}"
    network = msgspec.structs.replace(
        network_of(outcome.card, [replace(cell, graph=graph)]), card=as_yaml(card), cells=[key]
    )
    simulated = "true" if outcome.simulated else "false"
    return LogSearch(
        key=key,
        name=outcome.card + (" [simulated]" if outcome.simulated else ""),
        params={
            "optimiser": outcome.method,
            "system": outcome.cell,
            "train": str(outcome.train),
            "validation": str(outcome.validation),
        },
        metrics=_metrics(outcome),
        candidates=[
            _known(
                {
                    "search/validation_score": point.score,
                    "search/spent_usd": point.spent_usd,
                    "search/cost_per_item_usd": point.cost_usd,
                }
            )
            for point in outcome.curve
        ],
        tags={"simulated": simulated, **({"ended": outcome.ended} if outcome.ended else {})},
        note=f"```\n{as_text(outcome)}\n```\n",
        files=[str(file.absolute()) for file in files],
        network=network,
    )


def _metrics(outcome: Optimised) -> dict[str, float]:
    found: dict[str, float | None] = {
        "optimistic_difference": outcome.optimistic,
        "spent_usd": outcome.spent_usd,
        "chosen_candidate": float(outcome.chosen),
    }
    if (tested := outcome.tested) is not None:
        low, high = tested.difference.interval or (None, None)
        found |= {
            "test/items": float(tested.items),
            "test/score_before": tested.before,
            "test/score_after": tested.after,
            "test/difference": tested.difference.value,
            "test/difference_low": low,
            "test/difference_high": high,
            "test/p_value": tested.difference.p_value,
            "test/cost_before_usd": tested.cost_before_usd,
            "test/cost_after_usd": tested.cost_after_usd,
        }
    return _known(found)


def _known(values: Mapping[str, float | None]) -> dict[str, float]:
    """Return the values that are known: MLflow has no others."""
    return {name: value for name, value in values.items() if value is not None}

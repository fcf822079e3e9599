"""What is wrong with results, in sentences."""

from __future__ import annotations

from ember_bench.drawing.number_format import count
from ember_bench.experiment.results.summary import CellSummary, ExperimentSummary


def problems(summary: ExperimentSummary) -> list[str]:
    """Return what is to be read before any figure: what was not measured, and why trials failed."""
    lines = []
    if summary.shard:
        lines.append(
            f"Shard {summary.shard}: a part of the items, and not the experiment's result. Merge it"
            " with the other shards (`ember-bench merge`)."
        )
    several = len(summary.datasets) > 1

    def named(cell: CellSummary) -> str:
        return f"{cell.dataset}: {cell.label}" if several else cell.label

    if broken := [named(cell) for cell in summary.cells if not cell.measured]:
        lines.append(f"Not measured, as all trials failed: {'; '.join(broken)}.")
    if guessed := [named(cell) for cell in summary.cells if cell.never_stated]:
        lines.append(
            "No answer was stated as its format wants, so all were guessed at:"
            f" {'; '.join(guessed)}. Look at some responses before the accuracy."
        )
    if failed := summary.failed:
        unjudged = sum(cell.outcomes.get("unjudged", 0) for cell in summary.cells)
        scored = "count as wrong" if summary.failures == "wrong" else "are left out"
        if unjudged == failed:
            scored = "are left out, as a judge gave no verdict"
        elif unjudged:
            scored += f" ({unjudged:,} without a judge's verdict are left out)"
        # Labels and messages may have commas of their own.
        why = "; ".join(
            f"{reason.trials:,} x {reason.message}" for reason in summary.failure_reasons
        )
        lines.append(f"{count(failed, 'trial')} failed and {scored}" + (f": {why}" if why else "."))
    return lines

"""What judging systems took: the texts of a table of its own, and its captions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import UNSET

from ember_bench.drawing import number_format
from ember_bench.drawing.number_format import UNDEFINED, Unit
from ember_bench.experiment.results.figures import EvaluatorCheck
from ember_bench.experiment.results.summary import CellSummary, EvaluationSummary
from ember_bench.report.columns import Column, places
from ember_bench.report.sections import Row, Section

UNCHECKED: Final = (
    "The judge is unchecked: no item has a human label, so how often its verdicts are right is"
    " unknown."
)


def judging(cells: Sequence[CellSummary], level: float) -> Iterator[Section]:
    """Yield the table of what judging the systems on a dataset took; nothing if none was judged."""
    judged = [(c, c.evaluation) for c in cells if c.evaluation is not UNSET]
    if not judged:
        return
    costs = (found.cost_per_item for _, found in judged)
    columns = _columns(level, Unit.of(None if cost is None else cost.value for cost in costs))
    rows = tuple(
        Row(cell.label, (", ".join(found.models),), tuple(c.text(found) for c in columns))
        for cell, found in judged
    )
    headings = tuple(column.heading for column in columns)
    simulated = " (simulated)" if all(cell.simulated for cell, _ in judged) else ""
    title = f"{cells[0].dataset}: evaluation by judges{simulated}"
    yield Section(title, headings, tuple(places(columns)), rows, (), "judges")


def unchecked(cells: Sequence[CellSummary], checks: Sequence[EvaluatorCheck]) -> bool:
    """Return whether a judge of the cells was checked by no label."""
    judged = {cell.dataset for cell in cells if cell.evaluation is not UNSET}
    return bool(judged - {check.dataset for check in checks if check.outputs and check.models})


def about_judges(
    cells: Sequence[CellSummary], checks: Sequence[EvaluatorCheck] = ()
) -> Iterator[str]:
    """Yield the captions of the tables of judges, and of what these gave no verdict on."""
    if any(cell.evaluation is not UNSET for cell in cells):
        yield (
            "Evaluation: the calls of judges, their cost and their critical path, which are no part"
            " of a system's own. Equal outputs share one verdict."
        )
    if unchecked(cells, checks):
        yield UNCHECKED
    if any(cell.outcomes.get("unjudged") for cell in cells):
        yield (
            "Unjudged: a judge failed, or could not be understood; such trials have no score, and"
            " beside their number stands the accuracy if all of them were wrong, and if all were"
            " right."
        )


def _columns(level: float, unit: Unit) -> list[Column[EvaluationSummary]]:
    def cost(found: EvaluationSummary) -> str:
        known = found.cost_per_item
        return UNDEFINED if known is None else unit.dollars(known.value)

    def latency(found: EvaluationSummary) -> str:
        known = found.latency_seconds
        return number_format.seconds(None if known is None else known.value)

    return [
        Column("calls", "judge calls", lambda j: f"{j.calls:,}"),
        Column("new", "new calls", lambda j: f"{j.calls_made:,}"),
        Column("reused", "reused", lambda j: f"{j.calls_shared:,}", under="new"),
        Column("cost", f"$/{unit.name}", cost),
        Column("cost_interval", f"[{100 * level:g} %]",
               lambda j: unit.interval(j.cost_per_item), under="cost"),
        Column("latency", "latency", latency),
        Column("paid", "paid now", lambda j: number_format.dollars(j.spend_usd)),
    ]  # fmt: skip

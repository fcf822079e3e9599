"""An experiment's results as tidy tables: its cells, its trials, its calls, its graphs' nodes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

import msgspec
from msgspec import UNSET

from ember_bench.experiment.results.analysis import Analysis
from ember_bench.experiment.results.attribution import ChoiceSummary
from ember_bench.experiment.results.description import CellDescription
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.nodes import NodeSummary, node_summaries
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.results.summary import (
    OUTCOMES,
    CellSummary,
    RunSummary,
)
from ember_bench.models.types import Completion
from ember_bench.report.table_formats import Kind, Table

What = Literal["cells", "suites", "trials", "scores", "calls", "nodes"]

_CELL: Final[tuple[tuple[str, Kind], ...]] = (
    ("dataset", "text"),
    ("cell", "text"),
    ("label", "text"),
)
_TRIAL: Final[tuple[tuple[str, Kind], ...]] = (
    ("outcome", "text"),
    ("score", "number"),
    ("answer", "text"),
    ("explanation", "text"),
    ("error", "text"),
    ("cost_usd", "number"),
    ("latency_seconds", "number"),
    ("spend_usd", "number"),
    ("calls_used", "integer"),
    ("calls_made", "integer"),
    ("input_tokens", "integer"),
    ("output_tokens", "integer"),
)
_SCORE: Final[tuple[tuple[str, Kind], ...]] = (
    ("evaluator", "text"),
    ("outcome", "text"),
    ("score", "number"),
    ("answer", "text"),
    ("explanation", "text"),
)
_ITEM: Final[tuple[tuple[str, Kind], ...]] = (
    ("target", "text"),
    ("category", "text"),
    ("cluster", "text"),
)
_CALL: Final[tuple[tuple[str, Kind], ...]] = (
    ("call", "integer"),
    ("key", "text"),
    ("node", "text"),
    ("role", "text"),
    ("model", "text"),
    ("started_seconds", "number"),
    ("latency_seconds", "number"),
    ("cost_usd", "number"),
    ("input_tokens", "integer"),
    ("output_tokens", "integer"),
    ("made", "flag"),
)


class Answers(Protocol):
    """Stored answers by call key."""

    def get(self, key: bytes) -> Completion | None:
        """Return the stored answer of a call, or None."""


def tidy(
    rows: TrialRows, what: What, cells: Collection[str], answers: Answers | None = None
) -> Table:
    """Return a table of the contents of a trial store.

    Args:
        rows: The trial store.
        what: A row for each cell, system on a suite, trial, score of a further evaluator, call, or
            node of a cell's graph.
        cells: Names of the cells that are wanted.
        answers: The texts of calls; None leaves them out.
    """
    chosen = [cell for cell in rows.description.cells if cell.name in cells]
    if what == "cells":
        return _cells(rows, chosen)
    if what == "suites":
        return _suites(rows, cells)
    if what == "trials":
        return Table([*_CELL, ("item", "text"), ("epoch", "integer"), *_TRIAL, *_ITEM],
                     _trials(rows, chosen))  # fmt: skip
    if what == "scores":
        return Table([*_CELL, ("item", "text"), ("epoch", "integer"), *_SCORE],
                     _scores(rows, chosen))  # fmt: skip
    if what == "calls":
        text: list[tuple[str, Kind]] = [] if answers is None else [("text", "text")]
        return Table([*_CELL, ("item", "text"), ("epoch", "integer"), *_CALL, *text],
                     _calls(rows, chosen, answers))  # fmt: skip
    return _nodes(rows, chosen)


def _head(cell: CellDescription) -> tuple[str, str, str]:
    return cell.dataset, cell.name, cell.label


def _trials(rows: TrialRows, cells: list[CellDescription]) -> Iterator[tuple[Any, ...]]:
    names = [name for name, _ in _TRIAL]
    for cell in cells:
        items = rows.description.items[cell.dataset]
        for number, epoch, *values in rows.columns(rows.description.places[cell.name], names):
            item = items[number]
            about = item.target, item.category, item.cluster
            yield (*_head(cell), item.id, epoch, *values, *about)


def _scores(rows: TrialRows, cells: list[CellDescription]) -> Iterator[tuple[Any, ...]]:
    for cell in cells:
        items = rows.description.items[cell.dataset]
        for number, *values in rows.further_scores(rows.description.places[cell.name]):
            yield (*_head(cell), items[number].id, *values)


def _calls(
    rows: TrialRows, cells: list[CellDescription], answers: Answers | None
) -> Iterator[tuple[Any, ...]]:
    for cell in cells:
        items = rows.description.items[cell.dataset]
        for item, epoch, calls in rows.all_calls(rows.description.places[cell.name]):
            for number, call in enumerate(calls):
                text: tuple[str | None, ...] = ()
                if answers is not None:
                    found = answers.get(call.key)
                    text = (None if found is None else found.text,)
                yield (
                    *_head(cell), items[item].id, epoch, number, call.key.hex(), call.node,
                    call.role, call.model, call.started, call.latency_seconds, call.cost_usd,
                    call.input_tokens, call.output_tokens, call.made, *text,
                )  # fmt: skip


def _cells(rows: TrialRows, chosen: list[CellDescription]) -> Table:
    names = {cell.name for cell in chosen}
    return cells_table([cell for cell in Analysis(rows).cells() if cell.name in names])


def cells_table(found: Sequence[CellSummary]) -> Table:
    """Return a row for each cell."""
    parameters = dict.fromkeys(name for cell in found for name in cell.parameters)
    records = [_cell_record(cell, parameters) for cell in found]
    if any(cell.evaluation is not UNSET for cell in found):
        records = [r | _evaluation_record(c) for r, c in zip(records, found, strict=True)]
    records = [r | _beside_record(c, found) for r, c in zip(records, found, strict=True)]
    return _from_records(records)


def _suites(rows: TrialRows, cells: Collection[str]) -> Table:
    """Return the averages of the systems all of whose cells are wanted."""
    found = Analysis(rows).summary(RunSummary.partial()).suites
    records: list[Record] = [
        {
            "suite": ("text", row.suite),
            "system": ("text", row.name),
            "label": ("text", row.label),
            "missing": ("text", ", ".join(row.missing)),
            "strata": ("integer", row.strata or None),
            "items": ("integer", row.items or None),
            **_estimate("macro", row.macro),
            **_estimate("micro", row.micro),
            **_estimate("macro_difference", row.macro_difference),
            **_estimate("micro_difference", row.micro_difference),
        }
        for row in found
        if set(row.cells) <= set(cells)
    ]
    return _from_records(records)


def _nodes(rows: TrialRows, chosen: list[CellDescription]) -> Table:
    records: list[Record] = [
        {**_head_record(cell), **_node(node)}
        for cell in chosen
        for node in node_summaries(rows, rows.description.places[cell.name])
    ]
    return _from_records(records)


Record = dict[str, tuple[Kind, Any]]


def _head_record(cell: CellDescription) -> Record:
    return {
        "dataset": ("text", cell.dataset),
        "cell": ("text", cell.name),
        "label": ("text", cell.label),
    }


def _from_records(records: list[Record]) -> Table:
    columns = [(name, kind) for name, (kind, _) in records[0].items()] if records else list(_CELL)
    return Table(columns, [[value for _, value in record.values()] for record in records])


def _estimate(name: str, estimate: Quantity | None) -> Record:
    values = (None,) * 3 if estimate is None else (estimate.value, estimate.low, estimate.high)
    names = (name, f"{name}_low", f"{name}_high")
    return {key: ("number", value) for key, value in zip(names, values, strict=True)}


def _cell_record(cell: CellSummary, parameters: Mapping[str, None]) -> Record:
    compared = cell.comparison
    return {
        "dataset": ("text", cell.dataset),
        "cell": ("text", cell.name),
        "label": ("text", cell.label),
        "architecture": ("text", cell.architecture),
        # As text: one column may hold numbers of one architecture and names of another.
        **{f"parameter.{p}": ("text", _parameter(cell.parameters.get(p))) for p in parameters},
        "models": ("text", ", ".join(cell.models)),
        "simulated": ("flag", cell.simulated),
        "oracle": ("flag", cell.oracle),
        "replayed": ("flag", cell.replayed),
        "measured": ("flag", cell.measured),
        "scheduled": ("integer", cell.scheduled),
        "items": ("integer", cell.items),
        **{name: ("integer", cell.outcomes[name]) for name in OUTCOMES if name != "unjudged"},
        **_estimate("accuracy", cell.accuracy),
        "accuracy_worst": ("number", cell.accuracy_worst),
        "accuracy_best": ("number", cell.accuracy_best),
        **_estimate("cost_usd_per_item", cell.cost_per_item),
        **_estimate("cost_usd_per_correct", cell.cost_per_correct),
        **_estimate("latency_seconds", cell.latency_seconds),
        **_estimate("latency_seconds_p50", cell.latency_p50),
        **_estimate("latency_seconds_p95", cell.latency_p95),
        "calls_used": ("integer", cell.calls),
        "calls_made": ("integer", cell.calls_made),
        "input_tokens": ("integer", cell.input_tokens),
        "output_tokens": ("integer", cell.output_tokens),
        "spend_usd": ("number", cell.spend_usd),
        "baseline": ("text", compared.baseline if compared else None),
        **_estimate("difference", compared.difference if compared else None),
        "wins": ("integer", compared.wins if compared else None),
        "losses": ("integer", compared.losses if compared else None),
        "p_value": ("number", compared.p_value if compared else None),
        "p_adjusted": ("number", compared.p_adjusted if compared else None),
        "test": ("text", compared.test if compared else None),
        "sign": ("integer", compared.sign if compared else None),
        "shared_draws": ("flag", compared.shared_draws if compared else None),
        "same_calls": ("flag", compared.same_calls if compared else None),
    }


def _evaluation_record(cell: CellSummary) -> Record:
    """Return what judges took, where any cell of the table has some."""
    judged = None if cell.evaluation is UNSET else cell.evaluation
    return {
        "unjudged": ("integer", cell.outcomes.get("unjudged", 0)),
        "evaluation_models": ("text", ", ".join(judged.models) if judged else None),
        "evaluation_calls_used": ("integer", judged.calls if judged else None),
        "evaluation_calls_made": ("integer", judged.calls_made if judged else None),
        **_estimate("evaluation_cost_usd_per_item", judged.cost_per_item if judged else None),
        **_estimate("evaluation_latency_seconds", judged.latency_seconds if judged else None),
        "evaluation_spend_usd": ("number", judged.spend_usd if judged else None),
    }


def _beside_record(cell: CellSummary, cells: Sequence[CellSummary]) -> Record:
    """Return what stands beside the accuracy, where any cell of the table has it."""
    record: Record = {}
    for name in dict.fromkeys(name for c in cells for name in c.further or ()):
        given = (cell.further or {}).get(name)
        record |= _estimate(f"further.{name}", given.mean if given else None)
        record[f"further.{name}_items"] = ("integer", given.items if given else None)
    for name in dict.fromkeys(name for c in cells for name in c.metrics or ()):
        record |= _estimate(f"metric.{name}", (cell.metrics or {}).get(name))
    if any(c.corrected for c in cells):
        found = cell.corrected or None
        record["labels"] = ("integer", found.labels if found else None)
        powered, rates = (found.prediction_powered, found.rogan_gladen) if found else (None, None)
        record |= _estimate("accuracy_prediction_powered", powered)
        record |= _estimate("accuracy_rogan_gladen", rates)
    if any(c.controlled for c in cells):
        record |= _estimate("accuracy_controlled", cell.controlled or None)
    return record


def _node(node: NodeSummary) -> Record:
    return {
        "node": ("text", node.node),
        "roles": ("text", ", ".join(node.roles)),
        "models": ("text", ", ".join(node.models)),
        "calls_per_trial": ("number", node.calls),
        "cost_usd_per_trial": ("number", node.cost_usd),
        "uncached_usd_per_trial": ("number", node.uncached_usd),
        "input_tokens_per_trial": ("number", node.input_tokens),
        "output_tokens_per_trial": ("number", node.output_tokens),
        "latency_seconds_per_trial": ("number", node.latency_seconds),
        **_estimate("cost_share", node.cost_share),
        **_estimate("token_share", node.token_share),
        **_estimate("latency_share", node.latency_share),
    }


def choices_table(rows: TrialRows, found: Mapping[str, Sequence[ChoiceSummary]]) -> Table:
    """Return a row for each node that chooses: its confusion matrix and the gap it leaves."""
    return _from_records(
        [
            {**_head_record(cell), **_choice(choice)}
            for cell in rows.description.cells
            for choice in found.get(cell.name, ())
        ]
    )


def members_table(rows: TrialRows, found: Mapping[str, Sequence[ChoiceSummary]]) -> Table:
    """Return a row for each response that such a node receives, with its value."""
    return _from_records(
        [
            {
                **_head_record(cell),
                "node": ("text", choice.node),
                "member": ("integer", member.member),
                **_estimate("accuracy", member.accuracy),
                **_estimate("shapley", member.shapley),
                **_estimate("leave_one_out", member.leave_one_out),
            }
            for cell in rows.description.cells
            for choice in found.get(cell.name, ())
            for member in choice.members
        ]
    )


def _choice(choice: ChoiceSummary) -> Record:
    names = ("right_accepted", "wrong_accepted", "right_refused", "wrong_refused")
    return {
        "node": ("text", choice.node),
        "operator": ("text", choice.operator),
        "items": ("integer", choice.items),
        **{name: ("integer", n) for name, n in zip(names, choice.judged, strict=True)},
        **_estimate("sensitivity", choice.sensitivity),
        **_estimate("specificity", choice.specificity),
        **_estimate("precision", choice.precision),
        **_estimate("chosen", choice.chosen),
        **_estimate("random", choice.random),
        **_estimate("oracle", choice.oracle),
        **_estimate("gap", choice.gap),
        "recovered": ("number", choice.recovered),
        "beyond": ("integer", choice.beyond),
    }


def _parameter(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()

"""The nodes of each architecture: a diagram, and tables of costs and choices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ember_bench.drawing.html import Content, Html, joined, table, tag
from ember_bench.drawing.number_format import UNDEFINED, dollars, interval, percent, seconds
from ember_bench.drawing.text import one_line
from ember_bench.experiment.results.attribution import ChoiceSummary, MemberSummary
from ember_bench.experiment.results.description import NodeDescription
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.nodes import NodeSummary, node_summaries
from ember_bench.experiment.results.summary import (
    CellSummary,
    DatasetSummary,
)
from ember_bench.graph.diagrams import Labelled, counted, svg
from ember_bench.report.chart_data import best_of_architectures
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_systems import shade

_MOST_COMPARED: Final = 15
OUTSIDE: Final = "(outside any node)"
"""Stands for the node of calls that no node makes."""


def nodes_section(contents: Contents, dataset: DatasetSummary, number: int) -> Html:
    """Return a part for each architecture, by its most accurate cell; nothing without trials."""
    best = best_of_architectures(contents.of(dataset))
    parts = [_architecture(contents, cell, f"{number}-{i}") for i, cell in enumerate(best)]
    if not parts:
        return Html("")
    return joined(
        [
            tag("h3", "What each node takes and gives"),
            tag("p", "Of each architecture, the most accurate system; per trial.", class_="facts"),
            *parts,
        ]
    )


def _architecture(contents: Contents, cell: CellSummary, number: str) -> Html:
    asked = contents.rows.description
    place = asked.places[cell.name]
    nodes = node_summaries(contents.rows, place)
    choices = contents.choices.get(cell.name, ())
    described = asked.cells[place].nodes
    label = f"{cell.label}{' (simulated)' if cell.simulated else ''}"
    tables = [
        _nodes_table(nodes, label) if nodes else None,
        _cache_table(nodes, label),
        _choices_table(choices, label) if choices else None,
        *_members_tables(choices, _named(described, choices), label),
    ]
    picture = None
    if described:
        lines = _labelled(described, {n.node: n for n in nodes}, {c.node: c for c in choices}, "")
        drawn = Html(svg(lines, arrow=f"arrow-{number}", style=""))
        name = f"The network {cell.label}"
        picture = tag("figure", tag("div", drawn, class_="graph", role="img", aria_label=name))
    return tag(
        "details",
        tag("summary", f"{cell.architecture}: {cell.label}"),
        tag("div", picture, tag("div", *tables), class_="network"),
        open="open",
    )


def _labelled(
    nodes: Sequence[NodeDescription],
    summaries: Mapping[str, NodeSummary],
    choices: Mapping[str, ChoiceSummary],
    outer: str,
) -> list[Labelled]:
    found = []
    for node in nodes:
        path = f"{outer}/{node.name}" if outer else node.name
        lines = [node.name, node.operator, *([] if node.nodes else counted(node.models))]
        if (summary := summaries.get(path)) is not None:
            share = f" ({percent(summary.cost_share.value)} %)" if summary.cost_share else ""
            lines.append(f"{dollars(summary.cost_usd)}{share}")
        if (choice := choices.get(path)) is not None:
            lines.append(f"accuracy {percent(choice.chosen.value)} %")
            lines.append(f"candidates {percent(choice.random.value)} %")
        inner = _labelled(node.nodes, summaries, choices, path)
        found.append(Labelled(node.name, [*map(one_line, lines)], node.inputs, inner))
    return found


def _nodes_table(nodes: Sequence[NodeSummary], label: str) -> Html:
    headings = [
        "node", "models", "calls", "tokens in", "tokens out", "cost", "of cost", "latency s",
        "of latency",
    ]  # fmt: skip
    rows = [
        [
            node.node or OUTSIDE,
            ", ".join(node.models),
            f"{node.calls:.3g}",
            f"{node.input_tokens:,.0f}",
            f"{node.output_tokens:,.0f}",
            dollars(node.cost_usd),
            _percent(node.cost_share),
            seconds(node.latency_seconds),
            _percent(node.latency_share),
        ]
        for node in nodes
    ]
    return table(headings, rows, caption=f"Nodes of {label}: what they take", names=2, wide=False)


def _cache_table(nodes: Sequence[NodeSummary], label: str) -> Html | None:
    """Return what caches of prompts saved; None if nothing, or if that is unknown."""
    rows: list[list[Content]] = []
    for node in nodes:
        with_cache, without = node.cost_usd, node.uncached_usd
        if with_cache is None or without is None:
            return None
        if without and not math.isclose(with_cache, without):
            change = f"{100 * (with_cache / without - 1):+.0f} %"
            name = node.node or OUTSIDE
            rows.append([name, dollars(with_cache), dollars(without), change])
    if not rows:
        return None
    headings = ["node", "cost", "without prompt caching", "change"]
    caption = f"Nodes of {label}: what the caching of prompts changes"
    return table(headings, rows, caption=caption, wide=False)


def _choices_table(choices: Sequence[ChoiceSummary], label: str) -> Html:
    headings = ["node", "accuracy", "of those given", "best possible", "gap", "gap closed",
                "accepted", "refused"]  # fmt: skip
    rows = [
        [
            choice.node,
            *map(_percent, (choice.chosen, choice.random, choice.oracle, choice.gap)),
            UNDEFINED if choice.recovered is None else f"{100 * choice.recovered:.0f} %",
            *(
                f"{right:,} right, {wrong:,} wrong"
                for right, wrong in (choice.judged[:2], choice.judged[2:])
            ),
        ]
        for choice in choices
    ]
    return table(headings, rows, caption=f"Nodes of {label}: how well they choose", wide=False)


def _named(
    nodes: Sequence[NodeDescription], choices: Sequence[ChoiceSummary]
) -> dict[str, list[str]]:
    """Return the names of the candidates of each choice: their numbers, and models if known."""
    by_name = {node.name: node for node in nodes}
    found = {}
    for choice in choices:
        inputs = by_name[choice.node].inputs if choice.node in by_name else []
        models = [model for name in inputs if name in by_name for model in by_name[name].models]
        known = len(models) == len(choice.members)
        found[choice.node] = [
            f"{number} {models[number - 1]}" if known else f"{number}"
            for number in range(1, len(choice.members) + 1)
        ]
    return found


def _members_tables(
    choices: Sequence[ChoiceSummary], names: Mapping[str, Sequence[str]], label: str
) -> Iterator[Html]:
    """Yield what each candidate is worth, and which candidates agree."""
    if any(choice.members for choice in choices):
        yield _members_table(choices, names, label)
    for choice in choices:
        shown = choice.members[:_MOST_COMPARED]
        if len(shown) < 2 or not all(member.agrees for member in shown):
            continue
        rows: list[list[Content]] = [
            [names[choice.node][member.member],
             *(_agreement(member, other.member) for other in shown)]
            for member in shown
        ]  # fmt: skip
        most = f", the first {len(shown)}" if len(shown) < len(choice.members) else ""
        caption = (
            f"Candidates of {choice.node} in {label}{most}: items with the same answer of both, in"
            " percent; point at one for those that both get wrong"
        )
        headings = ["candidate", *(f"{member.member + 1}" for member in shown)]
        yield table(headings, rows, caption=caption, wide=False, kind="dense")


def _agreement(member: MemberSummary, other: int) -> Content:
    if member.member == other:
        return UNDEFINED
    wrong = f"both wrong {percent(member.both_wrong[other])} %"
    return shade(member.agrees[other], f"{100 * member.agrees[other]:.0f}", wrong)


def _members_table(
    choices: Sequence[ChoiceSummary], names: Mapping[str, Sequence[str]], label: str
) -> Html:
    headings = ["node", "candidate", "accuracy", "Shapley value", "leave-one-out"]
    return table(
        headings, list(_members(choices, names)),
        caption=f"Candidates in {label}: what each is worth in a vote", wide=False,
    )  # fmt: skip


def _members(
    choices: Sequence[ChoiceSummary], names: Mapping[str, Sequence[str]]
) -> Iterator[list[Content]]:
    for choice in choices:
        for member in choice.members:
            values = map(_percent, (member.accuracy, member.shapley, member.leave_one_out))
            yield [choice.node, names[choice.node][member.member], *values]


def _percent(estimate: Quantity | None) -> Content:
    if estimate is None:
        return UNDEFINED
    known = estimate.low is not None and estimate.high is not None
    within = tag("small", f" {interval(estimate, 'percent')}") if known else None
    return joined([percent(estimate.value), within])

"""A dataset's facts in the terminal: its first items, counts, mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import indent

from ember_bench.drawing.number_format import count
from ember_bench.drawing.text import clean, one_line
from ember_bench.experiment.dataset_check import DatasetCheck, Lengths, ShownItem

_LONGEST_PROMPT = 2_000


def dataset_text(check: DatasetCheck) -> str:
    """Return the first items as a model sees them, then the facts, notes and problems."""
    parts = [*items_text(check), "\n".join(_facts(check))]
    if check.notes:
        parts.append("\n".join(f"note: {one_line(note)}" for note in check.notes))
    if check.problems:
        parts.append("\n".join(f"problem: {one_line(problem)}" for problem in check.problems))
    else:
        parts.append("no problems found")
    return "\n\n".join(parts)


def items_text(check: DatasetCheck) -> list[str]:
    """Return each of the first items as a model sees it, with its target."""
    return [_item(item) for item in check.shown]


def _item(item: ShownItem) -> str:
    prompt = item.prompt
    if len(prompt) > _LONGEST_PROMPT:
        prompt = f"{prompt[:_LONGEST_PROMPT]}... ({len(prompt):,} characters)"
    others = f" (or {', '.join(map(one_line, item.alternatives))})" if item.alternatives else ""
    return (
        f"item {one_line(item.id)}\n{indent(clean(prompt), '    ')}\n"
        f"  target: {one_line(item.target)}{others}"
    )


def _facts(check: DatasetCheck) -> Iterator[str]:
    yield f"{one_line(check.name)}: {count(check.items, 'item')}" + (
        f" from {one_line(check.source)}" if check.source else ""
    )
    yield f"evaluator: {one_line(check.evaluator)}"
    if not check.items:
        return
    yield f"answer format: {_counted(check.answer_formats or {}, check.items)}"
    yield f"targets can be read as: {_counted(check.readable or {}, check.items)}"
    for name, lengths in (("prompts", check.prompts), ("targets", check.targets)):
        if lengths is not None:
            yield f"{name}: {_lengths(lengths)}"
    yield f"different targets: {check.distinct_targets:,}"
    for name, counts in (("classes", check.classes), ("categories", check.categories)):
        if counts:
            yield f"{name}: {_counted(counts, None)}"


def _counted(counts: Mapping[str, int], every: int | None) -> str:
    """Return names with their counts, without the count of those that all items have."""
    return ", ".join(
        one_line(name) if number == every else f"{one_line(name)} ({number:,})"
        for name, number in counts.items()
    )


def _lengths(lengths: Lengths) -> str:
    return f"{lengths.shortest:,} to {lengths.longest:,} characters, median {lengths.median:,.0f}"

"""What a gate found: for the terminal, as a Markdown comment, and as JUnit's XML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree

from rich.text import Text

from ember_bench.decisions.gate import GateReport, Verdict
from ember_bench.drawing.number_format import (
    UNDEFINED,
    count,
    dollars,
    percent,
    points,
    seconds,
)
from ember_bench.drawing.text import escape_markdown, one_line, width
from ember_bench.report.layout import flat
from ember_bench.report.summary_text import SIMULATED

MARK: Final = "<!-- ember-bench gate -->"
"""The first line of the comment, by which a later run finds it."""

_LONGEST_LINE: Final = 100
_HEADINGS: Final = ("system", "rule", "result", "measured", "bound", "items")


def gate_text(report: GateReport, columns: int | None) -> Text:
    """Return what a gate found for the terminal."""
    rows = [[*_HEADINGS], *(list(_values(report, verdict)) for verdict in _ordered(report))]
    heading, *lines = flat(rows, left=3)
    room = min(columns or _LONGEST_LINE, _LONGEST_LINE)
    text = Text(f"{_title(report)}\n", style="bold")
    if columns is None or max(map(width, (heading, *lines))) <= columns:
        text.append(f"{heading}\n", style="dim")
    else:
        lines = [
            textwrap.fill(
                one_line(f"{_system(report, verdict)}, {verdict.rule}: {said(verdict)}"),
                room,
                subsequent_indent="  ",
            )
            for verdict in _ordered(report)
        ]
    text.append("\n".join([*lines, "", ""]))
    notes = [textwrap.fill(one_line(line), room, subsequent_indent="  ") for line in _notes(report)]
    return text.append("\n".join(notes), style="dim")


def gate_markdown(report: GateReport) -> str:
    """Return what a gate found as a comment; all text that is not ours is escaped."""
    lines = [
        _line(list(_HEADINGS)),
        _line(["---", "---", "---", "---:", "---:", "---:"]),
        *(
            _line([escape_markdown(value) for value in _values(report, verdict)])
            for verdict in _ordered(report)
        ),
    ]
    notes = "\n".join(f"- {escape_markdown(line)}" for line in _notes(report))
    return f"{MARK}\n## {escape_markdown(_title(report))}\n\n" + "\n".join(lines) + f"\n\n{notes}\n"


def gate_junit(report: GateReport) -> bytes:
    """Return what a gate found as a JUnit test suite, a test case for each rule and system.

    A rule that does not let the change pass is a failure; one that is not shown and passes all the
    same is skipped.
    """
    failing = [v for v in report.verdicts if not _lets_pass(report, v)]
    unclear = [v for v in report.verdicts if v.result == "not shown" and v not in failing]
    suite = ElementTree.Element(
        "testsuite",
        name="ember-bench gate",
        tests=str(len(report.verdicts)),
        failures=str(len(failing)),
        errors="0",
        skipped=str(len(unclear)),
    )
    for verdict in report.verdicts:
        name = one_line(f"{verdict.label}: {verdict.rule}")
        case = ElementTree.SubElement(
            suite, "testcase", classname=one_line(verdict.dataset), name=name
        )
        if verdict in failing:
            ElementTree.SubElement(
                case, "failure", type=verdict.result, message=one_line(said(verdict))
            )
        elif verdict in unclear:
            ElementTree.SubElement(case, "skipped", message=one_line(said(verdict)))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    found: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return found + b"\n"


def said(verdict: Verdict) -> str:
    """Say in a sentence what came of a rule."""
    if verdict.gone:
        return f"{verdict.result}: the system is only in the baseline"
    bound = _bound(verdict)
    sure = f", {bound} with {100 * verdict.level:g} % confidence" if verdict.level else ""
    more = ""
    if verdict.items_to_show is not None:
        more = (
            f"; about {verdict.items_to_show:,} items would show it if nothing changed (80 % power)"
        )
    value = f"{_shown(verdict, verdict.value)}{sure if bound else ''}"
    return f"{verdict.result}: {value} on {count(verdict.items, 'item')}{more}"


def _ordered(report: GateReport) -> list[Verdict]:
    """Return the verdicts, those first that one has to read."""
    order = ("broken", "not shown", "holds")
    return sorted(report.verdicts, key=lambda verdict: order.index(verdict.result))


def _lets_pass(report: GateReport, verdict: Verdict) -> bool:
    return verdict.result == "holds" or (report.pass_unclear and verdict.result == "not shown")


def _title(report: GateReport) -> str:
    state = "passed" if report.passed else "failed"
    against = f" against {report.baseline}" if report.baseline else ""
    simulated = " (simulated)" if report.simulated else ""
    return one_line(f"gate {state}: {report.change}{against}{simulated}")


def _values(report: GateReport, verdict: Verdict) -> tuple[str, ...]:
    return (
        one_line(_system(report, verdict)),
        one_line(verdict.rule),
        verdict.result,
        _shown(verdict, verdict.value),
        _bound(verdict),
        f"{verdict.items:,}",
    )


def _system(report: GateReport, verdict: Verdict) -> str:
    several = len({v.dataset for v in report.verdicts}) > 1
    return f"{verdict.dataset}: {verdict.label}" if several else verdict.label


def _bound(verdict: Verdict) -> str:
    """Return the bound that decides: for a broken rule the one beyond the limit."""
    if verdict.level is None:
        return ""
    lower = (verdict.metric == "accuracy") != (verdict.result == "broken")
    value = verdict.low if lower else verdict.high
    words = "at least" if lower else "at most"
    return UNDEFINED if value is None else f"{words} {_shown(verdict, value)}"


def _shown(verdict: Verdict, value: float | None) -> str:
    if value is None:
        return UNDEFINED
    if verdict.scale == "points":
        return f"{points(value)} points"
    if verdict.scale == "percent":
        return f"{percent(value)} %"
    if verdict.scale == "ratio":
        return f"{100 * (value - 1):+.1f} %"
    return dollars(value) if verdict.scale == "usd" else f"{seconds(value)} s"


def _notes(report: GateReport) -> Iterator[str]:
    """Yield the sentences that one needs to read a gate."""
    broken = sum(v.result == "broken" for v in report.verdicts)
    unclear = sum(v.result == "not shown" for v in report.verdicts)
    kept = len(report.verdicts) - broken - unclear
    yield (
        f"{kept:,} of {count(len(report.verdicts), 'rule')}"
        f" {'holds' if kept == 1 else 'hold'}, {broken:,} broken, {unclear:,} not shown"
        + (" (passes)." if unclear and report.pass_unclear else ".")
    )
    if any(v.level is not None for v in report.verdicts):
        yield (
            "A rule with a confidence holds if its one-sided bound keeps the limit; it is broken if"
            " the other bound does not. A change that breaks a rule passes at most as often as the"
            " confidence leaves over, however many rules there are."
        )
    if any(v.level is None for v in report.verdicts):
        yield "A rule without a confidence goes by the measured value alone."
    for verdict in report.verdicts:
        if verdict.items_to_show is not None:
            yield f"{_system(report, verdict)}, {verdict.rule}: {said(verdict)}."
    if not report.paired:
        yield (
            "Of the baseline only a summary is there, so items are not paired and bounds are wide;"
            " its trials.db makes them narrower."
        )
    for reason in report.differing:
        yield f"Not comparable: {reason}."
    if report.new:
        yield f"Without a baseline: {'; '.join(report.new)}."
    if report.gone:
        yield (
            f"Only in the baseline: {'; '.join(report.gone)}. Nothing is shown of what is gone: run"
            " it, give rules the names of the others (`NAME: no worse …`), or take a new baseline."
        )
    if report.unfinished:
        yield f"Unfinished: {count(report.unfinished, 'scheduled item')} without a trial."
    if report.simulated:
        yield SIMULATED


def _line(values: list[str]) -> str:
    return f"| {' | '.join(values)} |"

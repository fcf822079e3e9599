"""Reproductions as text: for the terminal, in Markdown, and the atlas of all papers.

As a program (`python -m ember_bench.running.reproduction_text docs/papers.md`) it writes the atlas
into a page, from the papers' cards and the tables in `results/reproductions/`.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ember_bench.drawing.number_format import UNDEFINED
from ember_bench.drawing.text import escape_markdown
from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.report.layout import flat
from ember_bench.report.markdown import system_tables
from ember_bench.running.papers import Paper, PaperCard, papers
from ember_bench.running.reproduce import Compared, Reproduction, Verdict, totals_line

REPRODUCTIONS: Final = "reproductions"
"""The folder of the Markdown files, in the results folder."""

_TOTALS: Final = re.compile(
    r"^\*\*([0-9,]+) equal, ([0-9,]+) within, ([0-9,]+) different, of [0-9,]+ cells\*\*$",
    re.MULTILINE,
)
_VERDICTS: Final[tuple[Verdict, ...]] = ("equal", "within", "different")


def text(found: Reproduction, *, whole: bool) -> str:
    """Return published numbers beside ours for a terminal.

    Args:
        found: The reproduction.
        whole: All of them; else only those that are not equal.
    """
    shown = [each for each in found.compared if whole or each.verdict != "equal"]
    lines = []
    if shown:
        heading = ("system", "number", "published", "ours", "interval", "verdict")
        rows = [_values(each) for each in shown]
        lines += flat([heading, *rows], 2)
        reasons = dict.fromkeys(each.why for each in shown if each.why is not None)
        lines += ["", *map(_one_line, reasons)] if reasons else []
    return "\n".join([*lines, *([""] if lines else []), summed(found)])


def summed(found: Reproduction) -> str:
    """Return a reproduction in one line."""
    return f"{found.paper.name}: {totals_line(found.totals)}"


def markdown(found: Reproduction) -> str:
    """Return a reproduction as a page: the verdicts, and what the paper did not give."""
    card = found.paper.card
    parts = [
        f"# {escape_markdown(card.title)}",
        escape_markdown(_one_line(card.claim)),
        _published(card),
        f"**{totals_line(found.totals)}**",
        _table(found.compared),
    ]
    reasons = _reasons(found.compared)
    if reasons:
        parts += ["## Differences", "\n".join(f"- {escape_markdown(line)}" for line in reasons)]
    for summary in found.summaries:
        parts += _beyond(summary)
    return "\n\n".join(parts) + "\n"


def _published(card: PaperCard) -> str:
    place, citation = map(_one_line, (card.published_in, card.citation))
    return f"Published: {escape_markdown(place)} ({escape_markdown(citation)})."


def _beyond(summary: ExperimentSummary) -> Iterator[str]:
    simulated = " (simulated)" if summary.simulated else ""
    yield f"## Intervals, comparisons and costs: {escape_markdown(summary.name)}{simulated}"
    yield from system_tables(summary)


def _table(compared: Sequence[Compared]) -> str:
    lines = [
        "| dataset | system | number | published | ours | interval | verdict |",
        "| --- | --- | --- | ---: | ---: | --- | --- |",
    ]
    for each in compared:
        row = each.row
        place = " ".join(filter(None, (row.dataset, row.category))) or " "
        number = row.metric + (f" ({row.where})" if row.where else "")
        values = (place, row.system, number, row.printed, _ours(each), _interval(each))
        verdict = each.verdict if each.verdict == "equal" else f"**{each.verdict}**"
        lines.append(f"| {' | '.join(map(escape_markdown, values))} | {verdict} |")
    return "\n".join(lines)


def _reasons(compared: Sequence[Compared]) -> list[str]:
    found: dict[str, list[str]] = {}
    for each in compared:
        if each.verdict == "different" or each.why is not None:
            reason = "Not explained." if each.why is None else _one_line(each.why)
            found.setdefault(reason, []).append(each.row.system)
    return [f"{', '.join(dict.fromkeys(names))}: {why}" for why, names in found.items()]


def _values(each: Compared) -> tuple[str, ...]:
    row = each.row
    place = "/".join(filter(None, (row.dataset, row.category)))
    system = f"{place}: {row.system}" if place else row.system
    return (system, row.metric, row.printed, _ours(each), _interval(each), each.verdict)


def _ours(each: Compared) -> str:
    return UNDEFINED if each.ours is None else f"{each.ours.value:.{each.row.decimals}f}"


def _interval(each: Compared) -> str:
    ours = each.ours
    if ours is None or ours.low is None or ours.high is None:
        return ""
    decimals = each.row.decimals
    return f"[{ours.low:.{decimals}f}, {ours.high:.{decimals}f}]"


def _one_line(words: str) -> str:
    return " ".join(words.split())


# --- the atlas

_BEGIN: Final = "<!-- atlas -->"
_END: Final = "<!-- end -->"


def with_atlas(page: str, known: Sequence[Paper], reproductions: Path) -> str:
    """Return a page with the table of all papers between its marks.

    Raises:
        ValueError: if the marks are not there.
    """
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"expected {_BEGIN} and {_END}")
    return f"{before}{begin}\n\n{atlas(known, reproductions)}\n{end}{after}"


def atlas(known: Sequence[Paper], reproductions: Path) -> str:
    """Return the table of all papers.

    Args:
        known: The papers.
        reproductions: The folder of their Markdown files.
    """
    lines = [
        "| paper | claim | data | equal | within | different |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    total: Counter[Verdict] = Counter()
    for paper in known:
        counts = _counts(reproductions / f"{paper.name}.md")
        total += counts
        card = paper.card
        data = "simulated" if card.simulated else ", ".join(_data(paper))
        title = f"[{_one_line(card.title)}](../experiments/papers/{paper.name}/README.md)"
        numbers = " | ".join(
            f"[{counts[verdict]:,}](../results/reproductions/{paper.name}.md)"
            if verdict == "equal"
            else f"{counts[verdict]:,}"
            for verdict in _VERDICTS
        )
        lines.append(f"| {title} | {_one_line(card.claim)} | {data} | {numbers} |")
    return "\n".join([*lines, "", f"In all: {totals_line(total)}.", ""])


def _data(paper: Paper) -> Iterator[str]:
    for source in paper.sources:
        licence = f" ({source.licence})" if source.licence else ""
        address = source.repository
        yield f"[{address.removeprefix('github.com/')}](https://{address}){licence}"


def _counts(path: Path) -> Counter[Verdict]:
    found = _TOTALS.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    numbers = [int(number.replace(",", "")) for number in found.groups()] if found else [0, 0, 0]
    return Counter(dict(zip(_VERDICTS, numbers, strict=True)))


def main(pages: Sequence[str]) -> None:
    """Write the atlas of pages anew."""
    for page in map(Path, pages):
        known = list(papers().values())
        found = with_atlas(page.read_text(encoding="utf-8"), known, Path("results", REPRODUCTIONS))
        page.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

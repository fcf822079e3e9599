"""The pages of stored trials and calls, read one by one while a run goes on.

All text that is not ours is escaped (`drawing.html`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final
from urllib.parse import quote

from ember_bench.drawing.html import Content, Html, table, tag
from ember_bench.drawing.number_format import UNDEFINED, count, dollars
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.results.summary import FAILED, OUTCOMES
from ember_bench.experiment.trial_calls import CallEntry
from ember_bench.models.store.rows import StoredCall
from ember_bench.models.store.stored_answers import StoredAnswers
from ember_bench.serving.pages import Page, call_of, facts_of, in_seconds

PER_PAGE: Final = 100
LATEST_CALLS: Final = 50
FAILED_TRIALS: Final = "failed"
_ALL: Final = "all"
SHOWN: Final = (_ALL, FAILED_TRIALS, *OUTCOMES)
"""The trials of a system that its page can show: all, those without a score, or of an outcome."""
_LONGEST: Final = 120


@dataclass(frozen=True, slots=True)
class Place:
    """A trial.

    Attributes:
        cell: The number of its cell in grid order, from 0.
        item: The number of its item in the order in which they are asked, from 0.
        epoch: Its epoch, from 0.
    """

    cell: int
    item: int
    epoch: int

    def is_asked(self, rows: StoredTrials) -> bool:
        """Whether the experiment has such a trial, stored or not."""
        asked = rows.description
        if self.cell >= len(asked.cells) or self.epoch >= asked.epochs:
            return False
        return self.item < len(asked.items[asked.cells[self.cell].dataset])


def title_of(rows: StoredTrials, place: Place) -> str:
    """Return the name of a trial within its system: its item, and its epoch if it has more."""
    asked = rows.description
    name = asked.items[asked.cells[place.cell].dataset][place.item].id
    return f"{name}, epoch {place.epoch + 1}" if asked.epochs > 1 else name


def trials_link(experiment: str, cell: int, shown: str = _ALL) -> str:
    """Return the address of a system's trials, from the first page."""
    link = f"trials/{quote(experiment, safe='')}/{cell}"
    return link if shown == _ALL else f"{link}?show={shown}"


def trials_page(rows: StoredTrials, cell: int, shown: str, first: int) -> Page:
    """Return the page of a system's stored trials, in item order.

    Args:
        rows: The trial store.
        cell: The number of the system's cell.
        shown: One of `SHOWN`.
        first: The number of trials before the page.
    """
    asked = rows.description
    described = asked.cells[cell]
    names = ("outcome", "score", "answer", "error", "cost_usd", "latency_seconds")
    wanted = {_ALL: OUTCOMES, FAILED_TRIALS: FAILED}.get(shown, (shown,))
    found = (row for row in rows.columns(cell, names) if row[2] in wanted)
    lines: list[list[Content]] = []
    for item, epoch, outcome, score, answer, error, cost, latency in islice(
        found, first, first + PER_PAGE
    ):
        text = title_of(rows, Place(cell, item, epoch))
        said = error if outcome in FAILED else answer
        # Below the list's address, which ends with the number of the cell.
        link = tag("a", text, href=f"{cell}/{item}/{epoch}")
        mark = UNDEFINED if outcome in FAILED else f"{score:.3g}"
        lines.append([link, _short(said or ""), outcome, mark, dollars(cost), in_seconds(latency)])
    more = next(found, None) is not None
    headings = ("item", "answer", "outcome", "score", "cost", "latency")
    caption = f"Stored trials: {shown}"
    listed = table(headings, lines, caption=caption, names=3) if lines else tag("p", "None yet.")
    picks = [tag("a", name, href=f"?show={name}") for name in SHOWN]
    turns = [
        tag("a", "earlier", href=f"?show={shown}&from={max(0, first - PER_PAGE)}") if first else "",
        tag("a", "further", href=f"?show={shown}&from={first + PER_PAGE}") if more else "",
    ]
    title = f"{described.dataset}: {described.label}"
    return Page(title, "../../", (tag("nav", *picks), listed, tag("nav", *turns)))


def trial_page(rows: StoredTrials, answers: StoredAnswers | None, place: Place) -> Page | None:
    """Return the page of a stored trial with its calls; None if it is not stored.

    Args:
        rows: The trial store.
        answers: Prompts and answers; None if they are not there.
        place: The trial, which the experiment has.
    """
    names = ("outcome", "score", "answer", "explanation", "error", "cost_usd", "latency_seconds")
    row = rows.row(place.cell, place.item, place.epoch, names)
    if row is None:
        return None
    outcome, score, answer, explanation, error, cost, latency = row
    asked = rows.description
    described = asked.cells[place.cell]
    item = asked.items[described.dataset][place.item]
    facts: Sequence[tuple[str, str | None]] = (
        ("system", described.label),
        ("question", item.question),
        ("target", item.target),
        ("category", item.category),
        ("answer", answer),
        ("outcome", outcome),
        ("score", None if outcome in FAILED else f"{score:.3g}"),
        ("why", explanation),
        ("error", error),
        ("cost", dollars(cost)),
        ("latency", in_seconds(latency)),
    )
    calls = rows.calls(place.cell, place.item, place.epoch) or ()
    judged = rows.evaluation_calls(place.cell, place.item, place.epoch)
    stored = {} if answers is None else answers.calls([call.key for call in (*calls, *judged)])
    title = title_of(rows, place)
    content = (
        tag("p", tag("a", f"all trials of {described.label}", href=f"../../{place.cell}")),
        facts_of(facts),
        *calls_of("", calls, stored),
        *calls_of(" of judges", judged, stored),
    )
    return Page(title, "../../../../", content)


def calls_page(calls: Sequence[StoredCall]) -> Page:
    """Return the page of the calls that were answered last, also of trials under way."""
    listed = [call_of(_said_of(call), call) for call in calls]
    none = tag("p", "No call is answered yet.")
    return Page("The latest calls", "", tuple(listed or [none]))


def _said_of(call: StoredCall) -> str:
    done = call.completion
    facts = f"{dollars(done.cost_usd)}, {in_seconds(done.latency_seconds)}"
    return f"{call.model}{f' ({call.role})' if call.role else ''}: {facts}"


def calls_of(
    of: str, calls: Sequence[CallEntry], stored: Mapping[bytes, StoredCall]
) -> Iterator[Html]:
    """Yield a heading and calls that open; nothing if there are none.

    Args:
        of: Whose calls they are, for the heading.
        calls: The calls.
        stored: Their prompts and answers by key, as far as they are known.
    """
    if not calls:
        return
    yield tag("h2", f"{count(len(calls), 'call')}{of}")
    for call in calls:
        made = "" if call.made else ", reused"
        who = " ".join(part for part in (call.node, call.role, call.model) if part)
        facts = f"{dollars(call.cost_usd)}, {in_seconds(call.latency_seconds)}{made}"
        yield call_of(f"{who}: {facts}", stored.get(call.key))


def _short(text: str) -> str:
    return f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text

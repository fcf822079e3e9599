"""The pages of trials that are under way: their calls so far, and what they wait for.

All text that is not ours is escaped (`drawing.html`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote

from ember_bench.drawing.html import Content, Html, table, tag
from ember_bench.drawing.number_format import count, dollars, duration
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.trial_calls import CallEntry
from ember_bench.models.store.stored_answers import StoredAnswers
from ember_bench.running.live import MOST_TRIALS, Live, LiveTrial, WaitingCall
from ember_bench.serving.pages import Page, call_of, facts_of, in_seconds, opens
from ember_bench.serving.trial_pages import PER_PAGE, Place, title_of

_STATES: Final = {
    "waiting": "not sent yet",
    "sent": "sent",
    "again": "failed, to be sent again",
    "elsewhere": "in a batch, or asked by another process",
}


def under_way_page(rows: StoredTrials, live: Live | None, first: int) -> Page:
    """Return the page of the trials under way, those that began first on top.

    Args:
        rows: The trial store.
        live: What the run is doing; None if that is not known.
        first: The number of trials before the page.
    """
    title = f"{rows.description.name}: trials under way"
    if live is None or live.under_way is None:
        return Page(title, "../", (tag("p", _unknown(live)),), live=True)
    lines: list[list[Content]] = []
    for trial in live.trials[first : first + PER_PAGE]:
        place = Place(trial.cell, trial.item, trial.epoch)
        if not place.is_asked(rows):
            continue
        cell = rows.description.cells[trial.cell]
        link = f"../trials/{_quoted(rows)}/{trial.cell}/{trial.item}/{trial.epoch}"
        name = tag("a", title_of(rows, place), href=link)
        for_what = "; ".join(_waited_for(trial.waits)) or "no call: it computes, or is scored"
        answered = f"{len(trial.calls):,}"
        lines.append([name, cell.label, duration(trial.seconds), answered, for_what])
    headings = ("item", "system", "for", "calls answered", "waits for")
    caption = f"{count(live.under_way, 'trial')} under way, those that began first on top"
    listed = (
        table(headings, lines, caption=caption, names=2, kind="said")
        if lines
        else tag("p", "None now.")
    )
    turns = [
        tag("a", "earlier", href=f"?from={max(0, first - PER_PAGE)}") if first else "",
        tag("a", "further", href=f"?from={first + PER_PAGE}")
        if len(live.trials) > first + PER_PAGE
        else "",
    ]
    more = live.under_way - len(live.trials)
    rest = tag("p", f"{more:,} more, after the first {MOST_TRIALS:,}, are not listed.")
    content = (listed, rest if more > 0 else None, tag("nav", *turns))
    return Page(title, "../", content, live=True)


def under_way_trial(
    rows: StoredTrials, answers: StoredAnswers | None, place: Place, live: Live | None
) -> Page:
    """Return the page of a trial that is not stored, while its experiment runs.

    Args:
        rows: The trial store.
        answers: Prompts and answers; None if they are not there.
        place: The trial, which the experiment has.
        live: What the run is doing; None if that is not known.
    """
    asked = rows.description
    described = asked.cells[place.cell]
    item = asked.items[described.dataset][place.item]
    found = _found(live, place)
    known: list[tuple[str, str | None]] = [
        ("system", described.label),
        ("question", item.question),
        ("target", item.target),
        ("category", item.category),
    ]
    content: list[Content] = [
        tag("p", tag("a", "all trials under way", href=f"../../../../under-way/{_quoted(rows)}"))
    ]
    if found is None:
        state = "not under way: it waits for its turn, or has just ended"
        content.append(facts_of([*known, ("state", state)]))
    else:
        content.append(facts_of([*known, ("under way for", duration(found.seconds))]))
        content += _by_node(found, answers, live.prompts if live is not None else ())
    return Page(title_of(rows, place), "../../../../", tuple(content), live=True)


def _found(live: Live | None, place: Place) -> LiveTrial | None:
    trials = () if live is None else live.trials
    return next((t for t in trials if place == Place(t.cell, t.item, t.epoch)), None)


def _by_node(
    trial: LiveTrial,
    answers: StoredAnswers | None,
    prompts: Sequence[Sequence[tuple[str, str]]],
) -> Iterator[Html]:
    """Yield the calls of each node, in the order in which the nodes began."""
    stored = {} if answers is None else answers.calls([call.key for call in trial.calls])
    nodes = dict.fromkeys(
        [*(call.node for call in trial.calls), *(call.node for call in trial.waits)]
    )
    if not nodes:
        yield tag("p", "No call yet: it computes, or waits for another trial's answer.")
    for node in nodes:
        done = [call for call in trial.calls if call.node == node]
        waits = [call for call in trial.waits if call.node == node]
        said = f"{node or 'outside a node'}: {count(len(done), 'call')} answered"
        yield tag("h2", f"{said}, {len(waits):,} waited for" if waits else said)
        for call in done:
            yield call_of(_said_of(call), stored.get(call.key))
        for waiting in waits:
            prompt = prompts[waiting.prompt] if waiting.prompt < len(prompts) else ()
            yield opens(_said_of_waiting(waiting), _facts(waiting), prompt, waiting.key)


def _said_of(call: CallEntry) -> str:
    made = "" if call.made else ", reused"
    who = " ".join(part for part in (call.role, call.model) if part)
    return f"{who}: {dollars(call.cost_usd)}, {in_seconds(call.latency_seconds)}{made}"


def _said_of_waiting(call: WaitingCall) -> str:
    who = " ".join(part for part in (call.role, call.model) if part)
    since = "" if call.sent_seconds is None else f" {duration(call.sent_seconds)} ago"
    return f"{who}: {_STATES[call.state]}{since}"


def _facts(call: WaitingCall) -> str:
    said = f"waited for {duration(call.seconds)}, {count(call.attempts, 'request')} sent"
    if call.state == "waiting":
        said += ": it waits for a limit, or for money"
    return f"{said}; the last error: {call.error}" if call.error else said


def _waited_for(waits: Sequence[WaitingCall]) -> Iterator[str]:
    for (model, state), number in Counter((call.model, call.state) for call in waits).items():
        yield f"{number:,} x {model} ({_STATES[state]})"


def _unknown(live: Live | None) -> str:
    if live is None:
        return "Not known: the run has just begun, or has ended."
    return "This run's engine does not tell which trials are under way."


def _quoted(rows: StoredTrials) -> str:
    return quote(rows.path.parent.name, safe="")

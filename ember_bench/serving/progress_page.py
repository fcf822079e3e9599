"""The page of progress. All text that is not ours is escaped (`drawing.html`)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote

from ember_bench.drawing.html import Html, joined, table, tag
from ember_bench.drawing.number_format import (
    UNDEFINED,
    count,
    dollars,
    duration,
    in_percent,
    percent,
)
from ember_bench.models.under_way import EndpointNow
from ember_bench.report.html_report import page_of
from ember_bench.running.rate import time_left_text
from ember_bench.serving.assets import asset
from ember_bench.serving.control import Control
from ember_bench.serving.pages import gone
from ember_bench.serving.progress import CellProgress, ExperimentProgress
from ember_bench.serving.trial_pages import FAILED_TRIALS, trials_link

_WORDS: Final = {"running": "running", "finished": "finished", "stopped": "not running"}
_BAR: Final = (220, 14)


def page(folder: str, found: Sequence[ExperimentProgress], now: float, control: Control) -> str:
    """Return the whole page, which asks for its middle again and again."""
    calls = tag("p", tag("a", "the latest calls", href="calls"))
    heading = tag("header", tag("h1", "ember-bench"), tag("p", folder, class_="facts"), calls)
    main = tag("main", middle(found, now, control), data_live="live")
    content = joined([heading, gone(), main])
    style, script = asset("view.css"), asset("view.js")
    return page_of("ember-bench: progress", content, script, style=style, live=True)


def middle(found: Sequence[ExperimentProgress], now: float, control: Control) -> Html:
    """Return the part of the page that changes."""
    if not found:
        return tag("p", "No results here yet. They appear as soon as a run begins.")
    return joined(_experiment(experiment, now, control) for experiment in found)


def _experiment(experiment: ExperimentProgress, now: float, control: Control) -> Html:
    if experiment.problem:
        problem = tag("p", f"It cannot be read: {experiment.problem}", class_="flag")
        return tag("section", tag("h2", experiment.name), problem)
    state = tag("span", _WORDS[experiment.state], class_=f"state {experiment.state}")
    shard = tag("span", f"shard {experiment.shard}", class_="state") if experiment.shard else None
    link = tag("a", "report", href=f"report/{quote(experiment.name, safe='')}")
    heading = tag("h2", experiment.name, " ", state, " ", shard)
    return tag(
        "section",
        heading,
        tag("progress", value=experiment.done, max=max(1, experiment.scheduled),
            aria_label="trials done"),
        tag("p", *_facts(experiment, now), class_="facts"),
        *_buttons(experiment, control),
        *_money(experiment),
        *_under_way(experiment),
        *_limits(experiment),
        *_failures(experiment),
        _table(experiment),
        tag("p", link),
    )  # fmt: skip


def _facts(experiment: ExperimentProgress, now: float) -> Iterator[str]:
    totals = experiment.totals
    yield f"{experiment.done:,} of {count(experiment.scheduled, 'trial')}"
    yield f" · {count(totals.calls_made, 'new call')}, {totals.calls_shared:,} reused"
    if experiment.state == "running":
        rate = experiment.calls_per_second
        yield f" · {UNDEFINED if rate is None else f'{rate:,.1f}'} calls a second"
        left = experiment.seconds_left
        yield f" · {UNDEFINED if left is None else f'about {time_left_text(left)}'} left"
    else:
        yield f" · last change {duration(max(0.0, now - experiment.changed))} ago"


def _buttons(experiment: ExperimentProgress, control: Control) -> Iterator[Html]:
    """Yield what stops a run, or goes on with it."""
    name = experiment.name
    address = quote(name, safe="")
    if experiment.state == "running":
        if control.is_stopping(name):
            yield tag("p", "Stopping: what is in flight is finished and stored.", role="status")
        else:
            asks = (
                f"Stop {name}? What is in flight is finished and stored, and the same command goes"
                " on with it later."
            )
            yield tag("p", tag("button", "Stop", data_post=f"stop/{address}", data_asks=asks))
        return
    if control.is_resumed(name):
        yield tag("p", "Resuming.", role="status")
    elif experiment.state == "stopped" and (command := control.command(name)) is not None:
        line = f"ember-bench {shlex.join(command.arguments)}"
        asks = f"Resume {name}? This runs, in {command.folder}: {line}"
        button = tag("button", "Resume", data_post=f"resume/{address}", data_asks=asks)
        yield tag("p", button, " ", tag("code", line))
        if problem := control.problem(name):
            yield tag("div", "The resumed run ended:", tag("pre", problem), class_="flag")


def _money(experiment: ExperimentProgress) -> Iterator[Html]:
    simulated = " (simulated)" if any(cell.simulated for cell in experiment.cells) else ""
    totals = experiment.totals
    paid = f"{dollars(totals.known_usd)} paid{simulated}"
    if totals.unpriced:
        paid += f", and {count(totals.unpriced, 'request')} of unknown price"
    budget = experiment.budget_usd
    if budget is None:
        yield tag("p", f"{paid}; no budget", class_="facts")
        return
    last = f"{dollars(experiment.run_usd)} of the last run's budget of {dollars(budget)}"
    bar = tag(
        "meter", value=f"{experiment.run_usd:.9f}", max=f"{budget:.9f}", min=0,
        high=f"{0.9 * budget:.9f}", aria_label="budget spent",
    )  # fmt: skip
    yield tag("p", f"{paid}; {last} ", bar, class_="facts")


def _under_way(experiment: ExperimentProgress) -> Iterator[Html]:
    if experiment.live is not None and experiment.live.under_way is not None:
        said = f"{count(experiment.live.under_way, 'trial')} under way"
        link = tag("a", said, href=f"under-way/{quote(experiment.name, safe='')}")
        yield tag("p", link)


def _limits(experiment: ExperimentProgress) -> Iterator[Html]:
    """Yield the limits of each model: now, and what they did last."""
    now = {} if experiment.live is None else experiment.live.models
    rows = [
        (
            model,
            f"{state.in_flight:,} / {state.window:,}" if state is not None else UNDEFINED,
            f"{state.waiting:,}" if state is not None else UNDEFINED,
            UNDEFINED if state is None else _pace(state),
            experiment.limits.get(model, ""),
        )
        for model, state in {**dict.fromkeys(experiment.limits), **now}.items()
    ]
    if rows:
        headings = ("model", "in flight / window", "waiting", "a second", "last change")
        yield table(headings, rows, caption="Limits of requests now", kind="said")


def _pace(state: EndpointNow) -> str:
    if not state.is_open:
        return "none: it fails again and again"
    return "any" if state.pace is None else f"{state.pace:,.3g}"


def _failures(experiment: ExperimentProgress) -> Iterator[Html]:
    if not experiment.failed:
        return
    reasons = (tag("li", f"{reason.trials:,} x {reason.message}") for reason in experiment.reasons)
    said = tag("p", f"{count(experiment.failed, 'trial')} failed:")
    yield tag("div", said, tag("ul", *reasons), class_="flag")


def _table(experiment: ExperimentProgress) -> Html:
    cells, name = experiment.cells, experiment.name
    several = len({cell.dataset for cell in cells}) > 1
    rows = [
        (
            f"{cell.dataset}: {cell.label}" if several else cell.label,
            _link(f"{cell.done:,} / {cell.scheduled:,}", trials_link(name, place), cell.done),
            _link(f"{cell.failed:,}", trials_link(name, place, FAILED_TRIALS), cell.failed),
            in_percent(cell.accuracy) if cell.accuracy is not None else UNDEFINED,
            _interval(cell),
        )
        for place, cell in enumerate(cells)
    ]
    headings = ("system", "trials", "failed", "accuracy", "")
    return table(headings, rows, caption="Accuracy so far, in percent, with its interval")


def _link(text: str, href: str, leads_to: int) -> Html | str:
    """Return a link, or its text alone where it leads to nothing."""
    return tag("a", text, href=href) if leads_to else text


def _interval(cell: CellProgress) -> Html | str:
    """Return the accuracy and its interval as a drawing, on a scale from 0 to 100 %."""
    width, height = _BAR
    found = cell.accuracy
    if found is None:
        return ""
    at = str(height // 2)
    marks = [tag("line", x1=0, x2=width, y1=at, y2=at, class_="scale")]
    if found.low is not None and found.high is not None:
        low, high = (f"{width * end:.1f}" for end in (found.low, found.high))
        marks.append(tag("line", x1=low, x2=high, y1=at, y2=at, class_="interval"))
    marks.append(tag("circle", cx=f"{width * found.value:.1f}", cy=at, r=4))
    return tag(
        "svg", *marks, width=width, height=height, viewBox=f"0 0 {width} {height}", role="img",
        aria_label=percent(found.value),
    )  # fmt: skip

"""The report's page, from the answer in words to the item explorer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ember_bench.drawing.html import Content, Html, joined, table, tag
from ember_bench.drawing.number_format import count, dollars
from ember_bench.experiment.results.summary import DatasetSummary
from ember_bench.report.html_budgets import budgets_section
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_first import answers_section
from ember_bench.report.html_items import items_section, models_section
from ember_bench.report.html_nodes import nodes_section
from ember_bench.report.html_overview import datasets_section, failures_section
from ember_bench.report.html_sections import (
    calibration_section,
    categories_section,
    charts_section,
    curves_section,
)
from ember_bench.report.html_systems import (
    SYSTEMS,
    differences_section,
    systems_section,
    view_controls,
)
from ember_bench.report.problems_text import problems
from ember_bench.report.suite_text import caption, suite_tables
from ember_bench.report.summary_text import tables

_FRONT: Final = (
    "P(Pareto): the probability that no other system is both at least as accurate and as cheap (or"
    " as fast), by estimated true accuracies and resampled costs (or latencies), of the items that"
    " finished in every system, if there are at least five. Dominated: by the values on the items"
    " that all systems have, whatever failed trials would have scored."
)
_BEST: Final = (
    "P(best): the probability of the highest true accuracy of those compared with one baseline,"
    " from at least five items."
)
_COLUMNS: Final = ("item", "system", "outcome", "answer", "target", "cost")
_OUTCOMES: Final = ("correct", "partial", "wrong", "unparsed", "error")


def body(contents: Contents) -> Html:
    """Return all that the page shows."""
    datasets = contents.summary.datasets
    suites, together = _suites(contents), datasets_section(contents)
    links = [
        *([("#suites", "Suites")] if suites else []),
        *([("#datasets", "All datasets")] if together else []),
        *((f"#data-{number}", dataset.name) for number, dataset in enumerate(datasets)),
        ("#explorer", "Items"),
        ("#notes", "How to read this"),
    ]
    nav = tag("nav", *(tag("a", name, href=at) for at, name in links), aria_label="Sections")
    return joined(
        [
            tag("a", "Skip to the items", href="#explorer", class_="skip"),
            tag("header", *_header(contents), nav),
            tag(
                "main",
                answers_section(contents),
                view_controls(contents),
                suites,
                together,
                *(_dataset(contents, dataset, i) for i, dataset in enumerate(datasets)),
                _explorer(contents),
                tag("section", *_notes(contents), id="notes"),
            ),
        ]
    )


def _header(contents: Contents) -> Iterator[Html]:
    summary = contents.summary
    yield tag("h1", summary.name)
    done = sum(cell.scheduled - cell.outcomes["skipped"] for cell in summary.cells)
    scheduled = sum(cell.scheduled for cell in summary.cells)
    if summary.simulated:
        made_up = "answers, prices and times were made up by simulated models"
        yield _flag("Simulated", f"{made_up} and say nothing about real ones")
    if done < scheduled and not summary.decided:
        trials = count(scheduled, "trial")
        yield _flag("Partial", f"{done:,} of {trials} are done; every figure is of those")
    yield from (tag("p", problem, class_="flag") for problem in problems(summary))
    facts = [
        count(len(summary.cells), "system"),
        count(done, "trial"),
        f"{dollars(summary.spend_usd)} paid in all runs",
        f"seed {summary.seed}",
        f"grid {summary.digest[:12]}",
        f"ember-bench {summary.version}",
    ]
    yield tag("p", " · ".join(facts), class_="facts")


def _flag(word: str, sentence: str) -> Html:
    return tag("p", tag("strong", word), f": {sentence}.", class_="flag")


def _suites(contents: Contents) -> Html:
    """Return the averages of suites; nothing without any."""
    tables = [
        table(found.headings, found.rows, caption=found.title, names=found.names)
        for found in suite_tables(contents.summary)
    ]
    if not tables:
        return Html("")
    note = tag("p", caption(contents.summary), class_="facts")
    return tag("section", tag("h2", "Suites"), *tables, note, id="suites")


def _dataset(contents: Contents, dataset: DatasetSummary, number: int) -> Html:
    sections = [
        charts_section(contents, dataset),
        systems_section(contents, dataset),
        budgets_section(contents, dataset),
        differences_section(contents, dataset),
        curves_section(contents, dataset),
        calibration_section(contents, dataset),
        models_section(contents, dataset),
        items_section(contents, dataset, number),
        categories_section(contents, dataset),
        nodes_section(contents, dataset, number),
        failures_section(contents, dataset),
    ]
    epochs = f", {contents.summary.epochs} epochs" if contents.summary.epochs > 1 else ""
    revision = f", revision {dataset.revision[:12]}" if dataset.revision else ""
    about = (
        f"{count(dataset.items, 'item')}{epochs}, scored by {dataset.evaluator};"
        f" from {dataset.source}{revision}"
    )
    head = [tag("h2", dataset.name), tag("p", about, class_="facts")]
    return tag("section", *head, *filter(None, sections), id=f"data-{number}")


def _unjudged(contents: Contents) -> list[str]:
    """Return the outcome of trials that a judge gave no verdict on, if there are any."""
    found = any(cell.outcomes.get("unjudged") for cell in contents.summary.cells)
    return ["unjudged"] if found else []


def _explorer(contents: Contents) -> Html:
    texts = "" if contents.answers is not None else (
        " The prompts and answers of the calls are not here: the response store was not found."
    )  # fmt: skip
    about = f"{_trials_shown(contents)}{texts}"
    search = tag("input", type="search", id="search", placeholder="item, question, answer",
                 autocomplete="off", aria_keyshortcuts="/")  # fmt: skip
    controls = [
        _control("Search", search),
        _select("System", "cell", "every system"),
        _select("Outcome", "outcome", "every outcome", *_OUTCOMES, *_unjudged(contents)),
        _select("Against", "against", "its baseline"),
        _select("Flips", "flip", "all items", "won", "lost", "won or lost", "the same"),
    ]
    head = tag("div", *(tag("span", name) for name in _COLUMNS), class_="row head",
               aria_hidden="true")  # fmt: skip
    listed = tag("div", tag("div", id="rows"), id="list", role="listbox", tabindex=0,
                 aria_label="Trials; arrow keys move, Enter reads one")  # fmt: skip
    detail = tag("article", tag("p", "Choose a trial to read its calls.", class_="facts"),
                 id="detail", tabindex=-1, aria_label="The trial", aria_live="polite")  # fmt: skip
    return tag(
        "section",
        tag("h2", "Items"),
        tag("p", about, class_="facts"),
        tag("noscript", tag("p", "This part takes JavaScript; everything above does not.")),
        tag("form", *controls, id="filters", role="search"),
        tag("p", id="found", role="status", class_="facts"),
        tag("div", tag("div", head, listed, class_="trials"), detail, class_="explorer"),
        id="explorer",
    )


def _trials_shown(contents: Contents) -> str:
    """Return a sentence about the trials in the explorer and, if there are more, how to get all."""
    asked = contents.rows.description
    items = {cell.dataset: len(asked.items[cell.dataset]) for cell in contents.cells}
    more = [f"{n:,} of {name}" for name, n in items.items() if n > contents.shown]
    if not more:
        return "Every trial, with all that was asked and answered."
    return (
        f"Here {'is' if contents.shown == 1 else 'are'} the first {count(contents.shown, 'item')},"
        f" of {' and '.join(more)}, on every system, in the random order in which items are asked,"
        " with all that was asked and answered; the tables and charts above are of all items."
        f" Every trial is in the page that `ember-bench report {asked.name} --trials 0` writes, and"
        f" in the table of `ember-bench export {asked.name} --what trials`."
    )


def _control(label: str, control: Html) -> Html:
    return tag("label", tag("span", label), control)


def _select(label: str, name: str, *options: str) -> Html:
    first, *others = options
    found = [tag("option", first, value=""), *(tag("option", o, value=o) for o in others)]
    return _control(label, tag("select", *found, id=name))


def _notes(contents: Contents) -> Iterator[Content]:
    yield tag("h2", "How to read this")
    lines = [
        *contents.notes,
        *tables(contents.summary, SYSTEMS).captions,
        _FRONT,
        _BEST,
    ]
    yield tag("ul", *(tag("li", line) for line in lines))

"""A page of the live view below the first one, and calls as it shows them.

All text that is not ours is escaped (`drawing.html`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ember_bench.drawing.html import Content, Html, joined, tag
from ember_bench.drawing.number_format import UNDEFINED, seconds
from ember_bench.models.store.rows import StoredCall
from ember_bench.report.html_data import answer_text, message_texts
from ember_bench.report.html_report import page_of
from ember_bench.serving.assets import asset


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes:
        title: Its title.
        home: The address of the first page, from this one.
        content: What it shows.
        live: Whether it changes, so that the browser asks for it again and again.
    """

    title: str
    home: str
    content: tuple[Content, ...]
    live: bool = False

    @property
    def middle(self) -> Html:
        """The part that changes, without the element that has it."""
        return joined(self.content)

    @property
    def text(self) -> str:
        """The whole page; it runs a script only if it is live."""
        back = tag("p", tag("a", "all experiments", href=self.home or "./"))
        heading = tag("header", back, tag("h1", self.title))
        title = f"{self.title}: ember-bench"
        if not self.live:
            body = joined([heading, tag("main", self.middle)])
            return page_of(title, body, style=asset("view.css"))
        main = tag("main", self.middle, data_live="")
        body = joined([heading, gone(), main])
        return page_of(title, body, asset("view.js"), style=asset("view.css"), live=True)


def gone() -> Html:
    """Return the notice that a live page shows when its server does not answer any more."""
    return tag("p", "The view has ended: what is below is its last state.", id="gone", hidden="")


def call_of(said: str, call: StoredCall | None) -> Html:
    """Return a call that opens: its parameters, its conversation and its answer."""
    if call is None:
        return opens(said, "Its prompt and its answer are not stored here.", ())
    spoken = [*message_texts(call.messages), ("answer", answer_text(call.completion))]
    return opens(said, call.parameters, spoken, call.key)


def opens(
    said: str, facts: str, spoken: Iterable[tuple[str, str]], key: bytes | None = None
) -> Html:
    """Return a line that opens to a conversation.

    Args:
        said: The line.
        facts: What comes before the conversation.
        spoken: Role and text of each message.
        key: The call key, by which a live page keeps it open.
    """
    shown = [part for role, text in spoken for part in (tag("h4", role), tag("pre", text))]
    return tag(
        "details",
        tag("summary", said),
        tag("p", facts, class_="facts"),
        *shown,
        data_key=None if key is None else key.hex(),
    )


def facts_of(facts: Sequence[tuple[str, str | None]]) -> Html:
    """Return names with their values, without those that have none."""
    pairs = (
        tag(kind, text)
        for name, value in facts
        if value
        for kind, text in (("dt", name), ("dd", value))
    )
    return tag("dl", *pairs, class_="trial")


def in_seconds(value: float | None) -> str:
    """Return a number of seconds with its unit."""
    return UNDEFINED if value is None else f"{seconds(value)} s"

"""HTML elements. Text cannot become markup: everything that is not `Html` is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from ember_bench.drawing.text import clean

_VOID = ("br", "hr", "meta", "input")
_MANY_ROWS = 30
"""A table of more scrolls by itself, below its heading."""


class Html(str):
    """Markup that this package wrote."""

    __slots__ = ()


Content = Html | str | None
"""Text is escaped, with control characters written out; None is nothing."""


def text(value: str) -> Html:
    """Return text as markup that shows it."""
    return Html(escape(clean(value)))


def tag(name: str, /, *content: Content, **attributes: str | int | None) -> Html:
    """Return an element; `class_` is its class, `_` in other attributes stands for `-`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(content)}</{name}>")


def joined(content: Iterable[Content]) -> Html:
    """Return contents one after the other."""
    return Html("".join(part if isinstance(part, Html) else text(part) for part in content if part))


def table(
    headings: Sequence[Content],
    rows: Iterable[Sequence[Content]],
    *,
    caption: str,
    names: int = 1,
    wide: bool = True,
    kind: str = "",
    cells: Sequence[int] = (),
) -> Html:
    """Return a table in a box that scrolls by itself.

    Args:
        headings: Headings of the columns.
        rows: Their cells.
        caption: Its title, also for screen readers.
        names: Number of text columns from the left; the others are numbers.
        wide: Whether the first column has long names.
        kind: Its class; empty for none.
        cells: Number of each row's cell on the page; empty if rows are not about cells.
    """

    def cell(kind: str, number: int, content: Content) -> Html:
        scope = "col" if kind == "th" else None
        return tag(kind, content, class_=None if number < names else "number", scope=scope)

    head = tag("tr", *(cell("th", i, content) for i, content in enumerate(headings)))
    lines = [[cell("td", i, content) for i, content in enumerate(row)] for row in rows]
    numbers: Sequence[int | None] = cells or [None] * len(lines)
    body = [tag("tr", *row, data_cell=at) for row, at in zip(lines, numbers, strict=True)]
    inner = tag(
        "table", tag("caption", caption), tag("thead", head), tag("tbody", *body),
        class_=kind or None,
    )  # fmt: skip
    box = " ".join(["scroll", *["wide"] * wide, *["long"] * (len(body) > _MANY_ROWS)])
    return tag("div", inner, class_=box, tabindex=0, role="region", aria_label=caption)

"""The messages that a grid's models will be asked, as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.text import Text

from ember_bench.drawing.text import one_line
from ember_bench.experiment.forecast.shown_prompts import ShownCall, ShownCell, ShownItem
from ember_bench.models.media import Image


def prompts_text(cells: Sequence[ShownCell]) -> Text:
    """Return the messages of each cell, and what its answers are compared with."""
    text = Text()
    for cell in cells:
        text.append(one_line(cell.name) + "\n", style="bold")
        for item in cell.items:
            text.append("\n".join(_item(item)) + "\n\n")
    return text


def _item(item: ShownItem) -> Iterator[str]:
    yield f"  item {one_line(item.id)}"
    for call in item.calls:
        yield from _call(call)
    targets = " or ".join(repr(one_line(target)) for target in item.targets)
    yield f"    the answer is read as {item.answer_format!r}, and {item.evaluator} compares it with"
    yield f"      {targets}"


def _size(image: Image) -> str:
    return f"{len(image.data) * 3 // 4:,} bytes"


def _call(call: ShownCall) -> Iterator[str]:
    times = f" x {call.count}" if call.count > 1 else ""
    yield f"    {one_line(call.model)} ({call.role}){times}"
    for message in call.messages:
        yield f"      {message.role}:"
        for image in message.images:
            shown = image.url if image.is_url else f"{image.media_type}, {_size(image)}"
            yield f"        [image: {one_line(shown)}]"
        yield textwrap.indent(message.content, " " * 8, lambda _: True)

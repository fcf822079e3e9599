"""Lists of names in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from ember_bench.drawing.text import one_line, width
from ember_bench.report.layout import wrapped

_INDENT: Final = 2
_LONGEST_NAME: Final = 32


def names_table(kinds: Mapping[str, Sequence[Mapping[str, Any]]], columns: int | None) -> Text:
    """Return names and purposes by kind.

    Args:
        kinds: Kind -> entries with `name` and `purpose`, and for a set of models its `models`.
        columns: The terminal's width; None without a terminal, and then nothing is wrapped.
    """
    text = Text()
    for kind, entries in kinds.items():
        text.append(f"{kind}\n", style="bold")
        names = [one_line(entry["name"]) for entry in entries]
        room = min(max(map(width, names), default=0), _LONGEST_NAME)
        for name, entry in zip(names, entries, strict=True):
            blank = " " * (_INDENT + room + 2)
            purpose = _wrapped(_purpose(entry), columns, len(blank))
            start = " " * _INDENT + name + " " * (room - width(name)) + "  "
            if width(name) > room:
                text.append(f"{start.rstrip()}\n")
                start = blank
            text.append((start + f"\n{blank}".join(purpose)).rstrip() + "\n")
        if not entries:
            text.append("  none\n")
        text.append("\n")
    text.rstrip()
    return text


def _purpose(entry: Mapping[str, Any]) -> str:
    purpose = one_line(entry["purpose"])
    models = entry.get("models")
    return f"{len(models)} models. {purpose}" if models else purpose


def _wrapped(text: str, columns: int | None, taken: int) -> list[str]:
    return [text] if columns is None else wrapped(text, max(columns - taken, 20)) or [""]

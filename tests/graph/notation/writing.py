"""A writer of the compact notation, for texts that the parser must read back."""

from __future__ import annotations

import re
from typing import Final

from ember_bench.graph.notation.words import Entry, Notation, Reference, Value

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ESCAPED: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", '"': '\\"'}


def format_notation(notation: Notation) -> str:
    """Return `notation` in its canonical form, with a line for each entry and flow."""
    lines = [_format_entry(entry) for entry in notation.entries]
    lines += [" -> ".join(", ".join(map(str, s)) for s in f.steps) for f in notation.flows]
    return "\n".join(lines)


def _format_entry(entry: Entry) -> str:
    alias = f"!{entry.alias}" if entry.alias else ""
    if isinstance(entry, Reference):
        return f"${entry.name}{alias}"
    count = str(entry.count) if entry.count != 1 else ""
    models = "@" + "|".join(map(str, entry.models)) if entry.models else ""
    inside = [f"${stage}" for stage in entry.stages]
    inside += [f"{a.key}={_format_value(a.value)}" for a in entry.arguments]
    return f"{count}{entry.code}{alias}{models}" + (f"({', '.join(inside)})" if inside else "")


def _format_value(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_format_value, value))}]"
    if not isinstance(value, str):
        return repr(value)
    if _PLAIN.fullmatch(value) and value.lower() not in ("true", "false"):
        return value
    return '"' + "".join(_ESCAPED.get(c, c) for c in value) + '"'

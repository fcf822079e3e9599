"""Compact notation, read and written: `5E@openai:gpt-4o(temp=0.7), 1J@anthropic:claude-sonnet`.

    notation  = line *( (";" / newline) line )
    line      = flow / entry *( "," entry )
    entry     = node / reference / legacy
    node      = [count] CODE ["!" alias] ["@" model *("|" model)] ["(" argument *("," argument) ")"]
    argument  = key "=" value / "$" name
    value     = number / "true" / "false" / text / "quoted text" / "[" value *("," value) "]"
    reference = "$" name ["!" alias]
    legacy    = [count] ":" [CODE] [":" [provider ":"] model [":" temperature]]
    flow      = names "->" names *("->" names)
    names     = name *("," name)

The codes, the node syntax and the legacy form are those of public Ember's `ember.non.compact`;
several models, `$name` among the arguments, `$name!alias` and chains of flows are ours. What a
code means is not known here (see `graph.codes`): this module only has the words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ember_bench.errors import ConfigError

Value: TypeAlias = "str | int | float | bool | tuple[Value, ...]"

# So many characters are shown on either side of a mistake.
_CONTEXT: Final = 60

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ESCAPED: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", '"': '\\"'}


@dataclass(frozen=True, slots=True)
class Source:
    """A text in the notation, and what to call it: "", `entry 2`, `component 'x'`."""

    text: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands; `start` and `end` count characters of the source from 0."""

    source: Source
    start: int
    end: int

    @property
    def column(self) -> int:
        """The column of the first character in its line, from 1."""
        return self.start - self.source.text.rfind("\n", 0, self.start)

    @property
    def line(self) -> int:
        """The line of the first character, from 1."""
        return self.source.text.count("\n", 0, self.start) + 1

    def caret(self) -> str:
        """Return the line with carets under the place; long lines are cut around it."""
        text = self.source.text
        begin = text.rfind("\n", 0, self.start) + 1
        newline = text.find("\n", self.start)
        stop = len(text) if newline < 0 else newline
        left = max(begin, self.start - _CONTEXT)
        right = min(stop, max(self.end, self.start + 1) + _CONTEXT, self.start + 2 * _CONTEXT)
        shown = "".join(c if c.isprintable() else " " for c in text[left:right])
        before, after = "..." if left > begin else "", "..." if right < stop else ""
        width = max(1, min(self.end, right) - self.start)
        indent = " " * (len(before) + self.start - left)
        return f"  {before}{shown}{after}\n  {indent}{'^' * width}"


class NotationError(ConfigError):
    """Something in the compact notation cannot be read, or built; shows the place with a caret.

    Attributes:
        message: What is wrong.
        place: Where; None for the notation as a whole.
    """

    def __init__(self, message: str, place: Place | None = None) -> None:
        self.message, self.place = message, place
        super().__init__(
            f"{_whereabouts(place)}{message}" + (f"\n{place.caret()}" if place else "")
        )


def _whereabouts(place: Place | None) -> str:
    if place is None:
        return ""
    parts = [place.source.label] if place.source.label else []
    if "\n" in place.source.text:
        parts.append(f"line {place.line}")
    return ", ".join([*parts, f"column {place.column}"]) + ": "


@dataclass(frozen=True, slots=True)
class Name:
    """A word and where it stands, which equality does not look at."""

    text: str
    place: Place | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Argument:
    """`key=value`."""

    key: Name
    value: Value


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """One operator, or several of a kind.

    Attributes:
        code: What kind of operator.
        count: How many LM modules for each model, or how many operators where each takes one.
        alias: Its name in the graph; None gives it one by code and position.
        models: As they are written.
        arguments: In order.
        stages: The `$name` among the arguments.
    """

    code: Name
    count: int = 1
    alias: Name | None = None
    models: tuple[Name, ...] = ()
    arguments: tuple[Argument, ...] = ()
    stages: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """A component: its entries in place of it or, with an alias, a graph within the graph."""

    name: Name
    alias: Name | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """`a, b -> c -> d`: what feeds into what; two steps or more, none of them empty."""

    steps: tuple[tuple[Name, ...], ...]


Entry = NodeEntry | Reference


@dataclass(frozen=True, slots=True)
class Notation:
    """What was written: entries and flows, each in order."""

    entries: tuple[Entry, ...] = ()
    flows: tuple[Flow, ...] = ()


def format_notation(notation: Notation) -> str:
    """Write `notation` in its canonical form, a line for each entry and flow."""
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

"""The words of the compact notation, such as `5E@openai:gpt-4o(temp=0.7), 1J@openai:o3`.

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
several models, `$name` among the arguments, `$name!alias` and chains of flows are ours. The
meaning of the codes is in `graph.notation.codes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ember_bench.errors import ConfigError

Value: TypeAlias = "str | int | float | bool | tuple[Value, ...]"

# Number of characters that are shown on either side of a mistake.
_CONTEXT: Final = 60


@dataclass(frozen=True, slots=True)
class Source:
    """A text in the notation and its name in errors: "", `entry 2`, `component 'x'`."""

    text: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a source; `start` and `end` count its characters from 0."""

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
    """The compact notation cannot be parsed or built; shows the place with a caret.

    Attributes:
        message: The mistake.
        place: Its place; None for the notation as a whole.
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
    """A word and its place, which equality ignores."""

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
    """One operator, or several of one kind.

    Attributes:
        code: The kind of operator.
        count: Number of LM modules per model, or of operators if each takes one LM module.
        alias: Its name in the graph; by default made of code and position.
        models: As written.
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
    """`a, b -> c -> d`: inputs of nodes; two steps or more, none of them empty."""

    steps: tuple[tuple[Name, ...], ...]


Entry = NodeEntry | Reference


@dataclass(frozen=True, slots=True)
class Notation:
    """Parsed notation: entries and flows, each in order."""

    entries: tuple[Entry, ...] = ()
    flows: tuple[Flow, ...] = ()

"""The parser of the compact notation; its grammar is in `graph.notation.words`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ember_bench.graph.notation.words import (
    Argument,
    Entry,
    Flow,
    Name,
    NodeEntry,
    Notation,
    NotationError,
    Place,
    Reference,
    Source,
    Value,
)

MAX_COUNT: Final = 10_000
MAX_NESTING: Final = 20
_LONGEST_NUMBER: Final = 40

_SPACE = re.compile(r"\s*")
_COUNT = re.compile(r"[0-9]+")
_CODE = re.compile(r"[A-Z][A-Z0-9]*")
_NAME = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_]|-(?!>))*")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODEL = re.compile(r"[^\s(),;|>]+")
_FIELD = re.compile(r"[^:,;|>\s()]*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_TEXT = re.compile(r"""[^\s,()\[\]{}"'=;](?:[^,()\[\]{}"'=;\n]*[^\s,()\[\]{}"'=;])?""")
_WORD = re.compile(r"[^\s,;()]+")

_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
_PAIRS: Final = {"(": ")", "[": "]", "{": "}"}


def parse_notation(spec: str | Iterable[str], label: str = "") -> Notation:
    """Return the parsed `spec`.

    Args:
        spec: The notation, as one text or as several in order.
        label: Its name in errors.

    Raises:
        NotationError: at the first character that does not fit.
    """
    if isinstance(spec, str):
        sources = [Source(spec, label)]
    else:
        prefix = f"{label}, " if label else ""
        sources = []
        for number, text in enumerate(spec, start=1):
            if not isinstance(text, str):
                raise NotationError(f"{prefix}entry {number}: expected text, found {text!r}")
            sources.append(Source(text, f"{prefix}entry {number}"))
    entries: list[Entry] = []
    flows: list[Flow] = []
    for source in sources:
        for start, end, is_flow in _lines(source.text):
            reader = _Reader(source, start, end)
            if is_flow:
                flows.append(reader.flow())
            else:
                entries += reader.entries()
    return Notation(tuple(entries), tuple(flows))


def _lines(text: str) -> Iterator[tuple[int, int, bool]]:
    """Yield start, end, and whether it is a flow, for each line that is not blank."""
    start, is_flow, closers, quote = 0, False, "", ""
    position = 0
    while position <= len(text):
        character = text[position : position + 1]
        if quote:
            if character == "\\":
                position += 1
            elif character == quote:
                quote = ""
        elif closers and character and character in "\"'":
            quote = character
        elif character in _PAIRS:
            closers += _PAIRS[character]
        elif closers and character == closers[-1]:
            closers = closers[:-1]
        elif not closers and text.startswith("->", position):
            is_flow = True
        if position >= len(text) or (character in ";\n" and not closers and not quote):
            if text[start:position].strip():
                yield start, min(position, len(text)), is_flow
            start, is_flow = position + 1, False
        position += 1


class _Reader:
    """Parses one line from left to right."""

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source = source
        self.text = source.text
        self.at = start
        self.end = end

    def entries(self) -> list[Entry]:
        found: list[Entry] = []
        while not self.done():
            if self.take(","):
                continue
            found.append(self.entry())
            if not self.done() and self.text[self.at] != ",":
                raise self.error(f"unexpected {self.word()!r} after an entry; expected `,` or `;`")
        return found

    def flow(self) -> Flow:
        steps = [self.names()]
        while self.take("->"):
            steps.append(self.names())
        if not self.done():
            raise self.error(f"unexpected {self.word()!r} in a flow; expected `,` or `->`")
        return Flow(tuple(steps))

    def names(self) -> tuple[Name, ...]:
        found = [self.endpoint()]
        while self.take(","):
            found.append(self.endpoint())
        return tuple(found)

    def endpoint(self) -> Name:
        """Read a node's name; public Ember also writes `{a}` and `a[]`."""
        braced = self.take("{")
        name = self.name("the name of a node")
        if braced:
            self.expect("}")
        self.take("[]")
        if not self.done() and self.text[self.at] in ".(":
            raise self.error(
                f"ports and modifiers ({self.word()!r}) have no meaning when a graph runs; "
                f"write {name.text!r} alone"
            )
        return name

    def entry(self) -> Entry:
        if self.take("$"):
            name = self.name("the name of a component")
            return Reference(name, self.name("an alias") if self.take("!") else None)
        count = self.match(_COUNT)
        self.skip()
        if self.at < self.end and self.text[self.at] == ":":
            return self.legacy(count)
        if (code := self.match(_CODE)) is None:
            raise self.error(self._not_a_code())
        alias = self.name("an alias") if self.take("!") else None
        models = self.models() if self.take("@") else ()
        arguments, stages = self.arguments() if self.take("(") else ((), ())
        return NodeEntry(code, self.count_of(count), alias, models, arguments, stages)

    def _not_a_code(self) -> str:
        word = self.word()
        if not word:
            return "expected a code, such as E, found nothing"
        if (letters := re.match(r"[A-Za-z]+", word)) and not letters[0].isupper():
            return f"codes are in upper case; {letters[0]!r} is none"
        return f"expected a code, such as E, found {word!r}"

    def legacy(self, count: Name | None) -> NodeEntry:
        fields: list[Name] = []
        while self.take(":"):
            self.skip()
            # The pattern also matches the empty text.
            fields += filter(None, [self.match(_FIELD)])
            self.skip()
        code, *rest = fields
        model, temperature = self._legacy_model(rest)
        if not _CODE.fullmatch(code.text.upper() or "E"):
            raise NotationError(f"expected a code, such as E, found {code.text!r}", code.place)
        arguments: tuple[Argument, ...] = ()
        if temperature is not None:
            value = self.number(temperature)
            arguments = (Argument(Name("temperature", temperature.place), value),)
        return NodeEntry(
            Name(code.text.upper() or "E", code.place),
            self.count_of(count),
            models=(model,) if model else (),
            arguments=arguments,
        )

    def _legacy_model(self, fields: Sequence[Name]) -> tuple[Name | None, Name | None]:
        """Return model and temperature: `m`, `m:0.7`, `provider:m` or `provider:m:0.7`."""
        given = list(fields)
        temperature = None
        if len(given) == 3 or (len(given) == 2 and _NUMBER.fullmatch(given[1].text)):
            temperature = given.pop()
        if len(given) > 2:
            message = "too many fields; expected count:CODE:provider:model:temperature"
            raise NotationError(message, given[-1].place)
        words = [name for name in given if name.text]
        model = None
        if words and words[0].place and words[-1].place:
            place = Place(self.source, words[0].place.start, words[-1].place.end)
            model = Name(":".join(name.text for name in words), place)
        return model, temperature if temperature and temperature.text else None

    def models(self) -> tuple[Name, ...]:
        found = []
        while True:
            self.skip()
            model = self.match(_MODEL)
            if model is None:
                raise self.error("expected a model, such as openai:gpt-4o")
            found.append(model)
            if not self.take("|"):
                return tuple(found)

    def arguments(self) -> tuple[tuple[Argument, ...], tuple[Name, ...]]:
        found: list[Argument] = []
        stages: list[Name] = []
        seen: set[str] = set()
        opening = self.at - 1
        while not self.take(")"):
            if self.done():
                raise self.error("this parenthesis is never closed", opening, opening + 1)
            if self.take("$"):
                stages.append(self.name("the name of a component"))
            else:
                argument = self.argument()
                if argument.key.text in seen:
                    raise NotationError(
                        f"parameter {argument.key.text!r} is given twice", argument.key.place
                    )
                seen.add(argument.key.text)
                found.append(argument)
            if not self.done() and not self.take(",") and self.text[self.at] != ")":
                raise self.error(f"unexpected {self.text[self.at]!r}; expected `,` or `)`")
        return tuple(found), tuple(stages)

    def argument(self) -> Argument:
        self.skip()
        key = self.match(_KEY)
        if key is None or not self.take("="):
            raise self.error("expected key=value", key.place.start if key and key.place else None)
        return Argument(key, self.value(0))

    def value(self, depth: int) -> Value:
        self.skip()
        if self.at < self.end and self.text[self.at] in "\"'":
            return self.quoted()
        if self.take("["):
            return self.list_of_values(depth + 1)
        found = self.match(_TEXT)
        if found is None:
            raise self.error(f"expected a value, found {self.text[self.at : self.at + 1]!r}")
        if _NUMBER.fullmatch(found.text):
            return self.number(found)
        if found.text.lower() in ("true", "false"):
            return found.text.lower() == "true"
        return found.text

    def list_of_values(self, depth: int) -> tuple[Value, ...]:
        if depth > MAX_NESTING:
            raise self.error("nested too deeply")
        values: list[Value] = []
        opening = self.at - 1
        while not self.take("]"):
            if self.done():
                raise self.error("this bracket is never closed", opening, opening + 1)
            values.append(self.value(depth))
            if not self.done() and not self.take(",") and self.text[self.at] != "]":
                raise self.error(f"unexpected {self.text[self.at]!r}; expected `,` or `]`")
        return tuple(values)

    def quoted(self) -> str:
        opening = self.at
        quote = self.text[opening]
        characters = []
        position = opening + 1
        while position < self.end and (character := self.text[position]) != quote:
            if character == "\\":
                escape = self.text[position + 1 : position + 2]
                if escape not in _ESCAPES:
                    raise self.error(f"unknown escape \\{escape}", position, position + 2)
                character = _ESCAPES[escape]
                position += 1
            characters.append(character)
            position += 1
        if position >= self.end:
            raise self.error("this quote is never closed", opening, opening + 1)
        self.at = position + 1
        return "".join(characters)

    def number(self, word: Name) -> int | float:
        if not _NUMBER.fullmatch(word.text):
            raise NotationError(f"expected a number, found {word.text!r}", word.place)
        if len(word.text) > _LONGEST_NUMBER:
            raise NotationError("the number is too long", word.place)
        if _INTEGER.fullmatch(word.text):
            return int(word.text)
        if not math.isfinite(value := float(word.text)):
            raise NotationError(f"{word.text} is too large for a number", word.place)
        return value

    def count_of(self, word: Name | None) -> int:
        if word is None:
            return 1
        if len(word.text) > len(str(MAX_COUNT)) or not 1 <= int(word.text) <= MAX_COUNT:
            raise NotationError(
                f"a count is from 1 to {MAX_COUNT}, found {word.text[:_LONGEST_NUMBER]}", word.place
            )
        return int(word.text)

    def name(self, what: str) -> Name:
        self.skip()
        if (found := self.match(_NAME)) is None:
            word = self.word()
            raise self.error(f"expected {what}, found {word!r}" if word else f"expected {what}")
        return found

    def match(self, pattern: re.Pattern[str]) -> Name | None:
        found = pattern.match(self.text, self.at, self.end)
        if found is None:
            return None
        start, self.at = self.at, found.end()
        return Name(found[0], Place(self.source, start, self.at))

    def take(self, token: str) -> bool:
        self.skip()
        if not self.text.startswith(token, self.at, self.end):
            return False
        self.at += len(token)
        return True

    def expect(self, token: str) -> None:
        if not self.take(token):
            raise self.error(f"expected `{token}`")

    def done(self) -> bool:
        self.skip()
        return self.at >= self.end

    def skip(self) -> None:
        if (space := _SPACE.match(self.text, self.at, self.end)) is not None:
            self.at = space.end()

    def word(self) -> str:
        """Return the text up to the next space or mark, for messages."""
        found = _WORD.match(self.text, self.at, self.end)
        return (
            found[0][:_LONGEST_NUMBER] if found else self.text[self.at : min(self.end, self.at + 1)]
        )

    def error(
        self, message: str, start: int | None = None, end: int | None = None
    ) -> NotationError:
        begin = self.at if start is None else start
        stop = end if end is not None else begin + max(1, len(self.word()) if start is None else 1)
        return NotationError(message, Place(self.source, begin, min(stop, max(self.end, begin))))

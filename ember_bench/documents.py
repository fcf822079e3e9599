"""YAML documents with the line and column of each of their parts."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ember_bench.errors import ConfigError, Location, Problem, did_you_mean
from ember_bench.plain_errors import place_of, plainly

Key = str | int
ModelT = TypeVar("ModelT", bound=BaseModel)

# A card or grid is written by hand; anything larger or deeper is a mistake or an attack
# (aliases that expand without end).
MAX_BYTES = 10_000_000
MAX_NODES = 200_000
MAX_DEPTH = 60
# Larger integers are no floats, and Python writes none of more than 4,300 digits as text.
MAX_DIGITS = 300

_TOO_MANY = 10**MAX_DIGITS
_TOO_LARGE = f"a whole number has at most {MAX_DIGITS} digits"
_INTEGER = "tag:yaml.org,2002:int"
_LONGEST_SHOWN = 100
# An invalid part takes its parent with it, and so on; grids are no deeper.
_MOST_PASSES = 5
# Fields whose value no message repeats.
_EXPECTED: Final = "expected "
_SECRET: Final = frozenset({"api_key", "default_api_key", "base_url"})


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed YAML mapping and the position of each of its keys and values.

    Attributes:
        path: The file it was read from; the name of one that was made in Python.
        data: Plain Python data.
        marks: Path of keys -> (line, column), counted from 1. A mapping key's position is that
            of the key, a list entry's that of the entry.
    """

    path: Path
    data: dict[str, Any]
    marks: dict[tuple[Key, ...], tuple[int, int]] = field(repr=False)

    def at(self, *keys: Key) -> Location:
        """Return the position of `keys`, or of the nearest parent that stands in the file.

        A document that was not read from a text has no positions, but its path.
        """
        if not self.marks:
            return Location(self.path)
        for end in range(len(keys), -1, -1):
            if (mark := self.marks.get(tuple(keys[:end]))) is not None:
                return Location(self.path, *mark)
        return Location(self.path, 1, 1)

    def problem(self, message: str, *keys: Key) -> Problem:
        """Return `message` with the position of `keys`."""
        return Problem(message, self.at(*keys))

    def sub(self, *keys: Key) -> Document:
        """Return the mapping at `keys` as a document of its own, positions kept."""
        data: Any = self.data
        for key in keys:
            data = data[key]
        depth = len(keys)
        marks = {p[depth:]: mark for p, mark in self.marks.items() if p[:depth] == keys}
        return Document(self.path, data, marks)

    def without(self, *keys: Key) -> Document:
        """Return the document without the part at `keys`, if there is one; positions are kept."""
        data = copy.deepcopy(self.data)
        parent: Any = data
        try:
            for key in keys[:-1]:
                parent = parent[key]
            del parent[keys[-1]]
        except (LookupError, TypeError):
            return self
        marks = {}
        for place, mark in self.marks.items():
            if place[: len(keys)] != keys:
                marks[_moved(place, keys)] = mark
        return Document(self.path, data, marks)

    def parse_most(self, model: type[ModelT]) -> tuple[ModelT | None, Document, list[Problem]]:
        """Validate what is valid, so that further mistakes in it can be found.

        Returns:
            The model of the document without its invalid parts, or None if too little is left;
            the document without them; the problems that `parse` would raise.
        """
        left, problems = self, None
        for _ in range(_MOST_PASSES):
            try:
                return model.model_validate(left.data), left, problems or []
            except ValidationError as error:
                errors = error.errors()
            # Later passes only find what is missing because its invalid content was left out.
            if problems is None:
                problems = self._explained(errors, model)
            left = left._without_invalid(errors)
        return None, left, problems or []

    def _without_invalid(self, errors: Sequence[Any]) -> Document:
        left = self
        # From the end, so that the number of an entry in a list stays right.
        for found in sorted(errors, key=lambda e: tuple(map(_sortable, e["loc"])), reverse=True):
            keys = found["loc"][:-1] if found["type"] == "missing" else found["loc"]
            if place := left._existing(keys):
                left = left.without(*place)
        return left

    def _existing(self, keys: Sequence[Key]) -> tuple[Key, ...]:
        """Return the keys up to the part that stands in the file."""
        place = tuple(keys)
        while place and place not in self.marks:
            place = place[:-1]
        return place

    def parse(self, model: type[ModelT]) -> ModelT:
        """Validate the document as `model`.

        Raises:
            ConfigError: with one problem for each mistake, at its place in the file.
        """
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            raise ConfigError(*self._explained(error.errors(), model)) from None

    def _explained(self, errors: Sequence[Any], model: type[BaseModel]) -> list[Problem]:
        """Return a problem for each mistake; those of the kinds of one value are one."""
        found = [(place_of(error, self.data), plainly(error), error) for error in errors]
        inside = {place[:end] for place, _, _ in found for end in range(len(place))}
        # Of a value of one kind, the mistake is told of that, whatever other kinds there are.
        inside |= {place for place, said, _ in found if not said.startswith(_EXPECTED)}
        found = [f for f in found if not (f[1].startswith(_EXPECTED) and f[0] in inside)]
        told: dict[tuple[tuple[Key, ...], bool], tuple[Any, list[str]]] = {}
        for number, (place, said, error) in enumerate(found):
            kind = said.startswith(_EXPECTED)
            key = (place, kind) if kind else ((*place, number, ""), kind)
            told.setdefault(key, (error, []))[1].append(said)
        return [
            self._explain(error, place_of(error, self.data), _either(texts), model)
            for error, texts in told.values()
        ]

    def _explain(
        self, error: Any, loc: tuple[Key, ...], message: str, model: type[BaseModel]
    ) -> Problem:
        where = ".".join(map(str, loc))
        if error["type"] == "extra_forbidden":
            known = _fields_at(model, loc[:-1])
            hint = did_you_mean(str(loc[-1]), known) if known else ""
            return self.problem(f"unknown field {loc[-1]!r}{hint}", *loc)
        if error["type"] == "missing":
            return self.problem(f"missing field {where!r}", *loc[:-1])
        hidden = isinstance(error["input"], dict | list) or not _SECRET.isdisjoint(loc)
        found = "" if hidden else f" (found {_short(error['input'])})"
        return self.problem(f"{where}: {message}{found}" if where else message, *loc)


def _either(texts: Sequence[str]) -> str:
    """Return what is expected of one value, of each of its kinds."""
    first, *others = dict.fromkeys(texts)
    return " or ".join([first, *(text.removeprefix(_EXPECTED) for text in others)])


def _moved(place: tuple[Key, ...], removed: tuple[Key, ...]) -> tuple[Key, ...]:
    """Return the keys of a part after an entry of a list was removed before it."""
    depth, last = len(removed) - 1, removed[-1]
    if len(place) <= depth or place[:depth] != removed[:-1]:
        return place
    key = place[depth]
    if not (isinstance(key, int) and isinstance(last, int) and key > last):
        return place
    return (*place[:depth], key - 1, *place[depth + 1 :])


def _sortable(key: Key) -> tuple[int, str]:
    return (key, "") if isinstance(key, int) else (-1, key)


def read_document(path: Path) -> Document:
    """Read the YAML mapping in `path`.

    Raises:
        ConfigError: if the file cannot be read, is not YAML, or is not a mapping.
    """
    return parse_document(read_text(path), path)


def read_text(path: Path) -> str:
    """Return the text of a file that someone wrote by hand.

    Raises:
        ConfigError: if the file cannot be read, is not UTF-8, or is too large.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(
                Problem(f"the file is larger than {MAX_BYTES:,} bytes", Location(path))
            )
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(Problem(f"cannot read it: {error.strerror}", Location(path))) from None
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(errors="replace")
        message = f"not UTF-8 text: {error.reason}; save it as UTF-8"
        raise ConfigError(Problem(message, _end_of(before, path))) from None


def parse_document(text: str, path: Path) -> Document:
    """Parse `text` as if it had been read from `path`; raises as `read_document` does."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(_yaml_problem(error, text, path)) from None
    except RecursionError:
        raise ConfigError(Problem("nested too deeply", Location(path))) from None
    if node is None:
        raise ConfigError(Problem("the file is empty", Location(path, 1, 1)))
    builder = _Builder(path)
    data = builder.build(node, ())
    if not isinstance(data, dict):
        raise ConfigError(Problem(f"expected a mapping, found {_name(data)}", Location(path, 1, 1)))
    return Document(path, data, builder.marks)


def yaml_text(data: Mapping[str, Any], *, compact: bool = False) -> str:
    """Return data as YAML, with its keys in their order and texts of several lines as they are.

    Args:
        data: Plain data.
        compact: Write lists and mappings of scalars in one line, as people write cards.
    """
    text: str = yaml.dump(
        dict(data),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=96,
        default_flow_style=None if compact else False,
    )
    return text


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent)


class _Builder:
    """Builds plain data from YAML nodes, noting where each part stood."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.marks: dict[tuple[Key, ...], tuple[int, int]] = {}
        self._constructor = yaml.SafeLoader("")
        self._count = 0

    def build(self, node: yaml.Node, at: tuple[Key, ...]) -> Any:
        self._count += 1
        if self._count > MAX_NODES or len(at) > MAX_DEPTH:
            raise ConfigError(Problem("too large or nested too deeply", self._where(node)))
        self.marks.setdefault(at, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*at, i)) for i, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        try:
            value = self._constructor.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            message = getattr(error, "problem", None) or str(error)
            if node.tag == _INTEGER and len(node.value) > MAX_DIGITS:
                message = _TOO_LARGE
            raise ConfigError(Problem(message, self._where(node))) from None
        except (LookupError, AttributeError):  # PyYAML's own way to refuse `!!bool maybe`
            message = f"{_short(node.value)} is no {node.tag.rpartition(':')[2]}"
            raise ConfigError(Problem(message, self._where(node))) from None
        if isinstance(value, int) and abs(value) >= _TOO_MANY:
            raise ConfigError(Problem(_TOO_LARGE, self._where(node)))
        self._check_text(node)
        return value

    def _mapping(self, node: yaml.MappingNode, at: tuple[Key, ...]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(Problem("a key must be plain text", self._where(key_node)))
            # `on:` and `1:` are text when they are keys.
            key = key_node.value
            self._check_text(key_node)
            if key in data:
                line = self.marks[(*at, key)][0]
                raise ConfigError(
                    Problem(
                        f"duplicate key {key!r}; it is on line {line} already",
                        self._where(key_node),
                    )
                )
            self.marks[(*at, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            data[key] = self.build(value_node, (*at, key))
        return data

    def _check_text(self, node: yaml.Node) -> None:
        """Refuse halves of surrogate pairs, which no file or database can hold."""
        try:
            node.value.encode()
        except UnicodeEncodeError:
            raise ConfigError(Problem("not a character of Unicode", self._where(node))) from None

    def _where(self, node: yaml.Node) -> Location:
        return Location(self.path, node.start_mark.line + 1, node.start_mark.column + 1)


def _yaml_problem(error: yaml.YAMLError, text: str, path: Path) -> Problem:
    if isinstance(error, yaml.reader.ReaderError):
        location = _end_of(text[: error.position], path)
    else:
        mark = getattr(error, "problem_mark", None)
        location = Location(path, mark.line + 1, mark.column + 1) if mark else Location(path)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be parsed"
    if r"'\t'" in reason:
        reason = "a tab; YAML is indented with spaces"
    return Problem(f"not valid YAML: {reason}", location)


def _end_of(text: str, path: Path) -> Location:
    """Return the place right behind `text`, with which the file begins."""
    return Location(path, text.count("\n") + 1, len(text) - text.rfind("\n"))


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."


def _name(data: Hashable | Sequence[Any]) -> str:
    return {"list": "a list", "str": "text"}.get(type(data).__name__, _short(data))


def _fields_at(model: type[BaseModel], loc: Sequence[Key]) -> list[str]:
    """Return the field names that are valid at `loc`, following nested models where possible."""
    current: type[BaseModel] | None = model
    for key in loc:
        if isinstance(key, int) or current is None:
            continue
        info = current.model_fields.get(key)
        current = _nested_model(info.annotation) if info else current
    if current is None:
        return []
    return [info.alias or name for name, info in current.model_fields.items()]


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _nested_model(argument)) is not None:
            return found
    return None

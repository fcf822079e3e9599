"""Edits of a grid for one run: a pilot with fewer items, other models or other values."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import yaml

from ember_bench.documents import Document
from ember_bench.errors import ConfigError, did_you_mean

PILOT: Final = "-pilot"
"""The end of the name of an edited experiment."""

_LISTS: Final = ("datasets", "architectures")


@dataclass(frozen=True, slots=True)
class Edits:
    """Edits of a grid, which leave its file as it is.

    An edited experiment has the grid's name with `-pilot` behind it, unless the name is set, too.
    So it has a results folder of its own; its answers are in the response store of all.

    Attributes:
        limit: At most so many items of each dataset: of those that the grid asks, if it has a
            limit itself, the same ones.
        models: (old, new) ids of models.
        values: (path, value) pairs. A path has dots: `epochs`, `architectures.vote.parameters.k`.
    """

    limit: int | None = None
    models: Sequence[tuple[str, str]] = ()
    values: Sequence[tuple[str, Any]] = ()

    @classmethod
    def parse(cls, limit: int | None, models: Sequence[str], values: Sequence[str]) -> Edits:
        """Return the edits that a command names as `OLD=NEW` and `path=value`; values are YAML.

        Raises:
            ConfigError: if one has no `=`, or a value is no YAML.
        """
        pairs = [_split(text, "--model", "OLD=NEW") for text in models]
        given = [_split(text, "--set", "path=value") for text in values]
        return cls(limit, pairs, [(path, _value(path, text)) for path, text in given])

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return self.limit is not None or bool(self.models) or bool(self.values)

    def applied(self, document: Document) -> Document:
        """Return the grid with the edits.

        Raises:
            ConfigError: if the grid names no such model, or has no such place.
        """
        if not self:
            return document
        data = copy.deepcopy(document.data)
        for key in _LISTS:
            entries = data.get(key)
            if isinstance(entries, list):
                data[key] = [{"name": e} if isinstance(e, str) else e for e in entries]
        if isinstance(data.get("name"), str):
            data["name"] += PILOT
        for old, new in self.models:
            _replace_model(data, old, new)
        for path, value in self.values:
            _set(data, path.split("."), value, path)
        if self.limit is not None:
            _limit(data, self.limit)
        return replace(document, data=data)


NO_EDITS: Final = Edits()


def _split(text: str, option: str, form: str) -> tuple[str, str]:
    left, sign, right = text.partition("=")
    if not sign or not left:
        raise ConfigError(f"{option}: expected {form} (found {text!r})")
    return left, right


def _value(path: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = getattr(error, "problem", None) or "cannot be parsed"
        raise ConfigError(f"--set {path}: not valid YAML: {reason} (found {text!r})") from None


def _limit(data: dict[str, Any], limit: int) -> None:
    for entry in data.get("datasets") or ():
        if isinstance(entry, dict):
            own = entry.get("limit")
            entry["limit"] = min(own, limit) if isinstance(own, int) else limit


def _replace_model(data: dict[str, Any], old: str, new: str) -> None:
    """Replace a model wherever the grid names it; its budget goes with it."""
    places = [
        entry["parameters"]
        for entry in [*(data.get("architectures") or ()), data.get("baseline"), data.get("control")]
        if isinstance(entry, dict) and isinstance(entry.get("parameters"), dict)
    ]
    known = {text for place in places for text in _texts(place)}
    if old not in known:
        models = [text for text in known if ":" in text]
        raise ConfigError(f"--model: the grid names no {old!r}{did_you_mean(old, models)}")
    for place in places:
        place.update({name: _renamed(value, old, new) for name, value in place.items()})
    budget = data.get("budget_usd")
    if isinstance(budget, dict) and isinstance(budget.get("models"), dict):
        budget["models"] = {_renamed(m, old, new): usd for m, usd in budget["models"].items()}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _texts(entry)


def _renamed(value: Any, old: str, new: str) -> Any:
    if isinstance(value, list):
        return [_renamed(entry, old, new) for entry in value]
    if isinstance(value, dict):
        return {key: _renamed(entry, old, new) for key, entry in value.items()}
    return new if value == old else value


def _set(target: Any, path: Sequence[str], value: Any, whole: str) -> None:
    """Set a value at a path; in a list, a part is an index or the name of entries."""
    key, *rest = path
    if isinstance(target, list):
        for index in _entries(target, key, whole):
            if rest:
                _set(target[index], rest, value, whole)
            else:
                target[index] = value
    elif isinstance(target, dict):
        if rest:
            _set(target.setdefault(key, {}), rest, value, whole)
        else:
            target[key] = value
    else:
        raise ConfigError(f"--set {whole}: {key!r} would be a part of {target!r}")


def _entries(entries: Sequence[Any], key: str, whole: str) -> list[int]:
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in entries]
    if found := [index for index, name in enumerate(names) if name == key]:
        return found
    if key.isdecimal() and int(key) < len(entries):
        return [int(key)]
    known = [name for name in names if isinstance(name, str)]
    raise ConfigError(f"--set {whole}: the list has no entry {key!r}{did_you_mean(key, known)}")

"""The trials of a report for its item explorer: packed, and unpacked when they are looked at."""

from __future__ import annotations

import base64
import gzip
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec

from ember_bench.drawing.html import Html, joined, tag
from ember_bench.drawing.text import clean
from ember_bench.experiment.results.description import CellDescription
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.trial_calls import CallEntry
from ember_bench.models.store.rows import StoredCall
from ember_bench.models.types import Completion

_TRIALS_IN_PACK: Final = 200
_CHARACTERS_IN_PACK: Final = 400_000
_TRIAL: Final = ("outcome", "score", "answer", "cost_usd", "latency_seconds")
_DETAIL: Final = ("explanation", "error")
_OUTSIDE_JSON: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


class Calls(Protocol):
    """Stored calls, with prompts, by call key."""

    def calls(self, keys: Sequence[bytes]) -> dict[bytes, StoredCall]:
        """Return those that are stored."""


@dataclass
class _Texts:
    """Texts by number, each kept once."""

    packs: list[list[str]] = field(default_factory=lambda: [[]])
    firsts: list[int] = field(default_factory=lambda: [0])
    """Number of the first text in each pack."""
    _numbers: dict[str, int] = field(default_factory=dict)
    _stored: dict[tuple[Callable[[str], str], str], int] = field(default_factory=dict)
    _room: int = _CHARACTERS_IN_PACK

    def add_as(self, shown: Callable[[str], str], stored: str) -> int:
        """Add the result of `shown` for a text that many calls share."""
        number = self._stored.get((shown, stored))
        if number is None:
            number = self._stored[shown, stored] = self.add(shown(stored))
        return number

    def add(self, text: str) -> int:
        if (known := self._numbers.get(text)) is not None:
            return known
        number = self._numbers[text] = len(self._numbers)
        if self._room < len(text) and self.packs[-1]:
            self.packs.append([])
            self.firsts.append(number)
            self._room = _CHARACTERS_IN_PACK
        self.packs[-1].append(text)
        self._room -= len(text)
        return number


def items_shown(rows: TrialRows, cells: Sequence[CellDescription], most: int) -> int:
    """Return the number of items of each dataset that make at most `most` trials of `cells`.

    At least one; as they are asked in a random order, the first ones are a fair sample.
    """
    items = [len(rows.description.items[cell.dataset]) for cell in cells]

    def trials(first: int) -> int:
        return sum(min(first, n) for n in items) * rows.description.epochs

    return max(1, bisect_right(range(1, max(items, default=0) + 1), most, key=trials))


def explorer_data(
    rows: TrialRows, cells: Sequence[CellDescription], answers: Calls | None, first: int
) -> Html:
    """Return the elements that hold the trials of `cells`.

    `data` has a column for each property of the trials, and is read at once. What a trial's calls
    were is in packs of trials (`calls-N`), and prompts and answers in packs of texts (`texts-N`):
    JSON, gzip, base64, read when a trial is looked at.

    Args:
        rows: The trial store.
        cells: Those that are wanted, in grid order.
        answers: Prompts and answers by call key; None if they are not there.
        first: Number of items of each dataset that are shown.
    """
    texts = _Texts()
    packs: list[Html] = []
    columns: dict[str, list[Any]] = {name: [] for name in ("cell", "item", "epoch", *_TRIAL)}
    waiting: list[Any] = []
    for number, cell in enumerate(cells):
        place = rows.description.places[cell.name]
        names = (*_TRIAL, *_DETAIL)
        stored = zip(
            rows.columns(place, names, first=first), rows.all_calls(place, first=first), strict=True
        )
        for (item, epoch, *values), (_, _, calls) in stored:
            for name, value in zip(columns, (number, item, epoch, *values), strict=False):
                columns[name].append(clean(value) if isinstance(value, str) else value)
            waiting.append([*map(_clean, values[len(_TRIAL) :]), _calls(calls, answers, texts)])
            if len(waiting) == _TRIALS_IN_PACK:
                packs.append(packed(f"calls-{len(packs)}", waiting))
                waiting = []
    if waiting:
        packs.append(packed(f"calls-{len(packs)}", waiting))
    packs += [packed(f"texts-{i}", pack) for i, pack in enumerate(texts.packs)]
    main = {
        **_asked(rows, cells, first),
        "trials": columns,
        "pack": _TRIALS_IN_PACK,
        "texts": texts.firsts,
        "hasTexts": answers is not None,
    }
    return joined([plain("data", main), *packs])


def _asked(rows: TrialRows, cells: Sequence[CellDescription], first: int) -> dict[str, Any]:
    """Return the models and their messages."""
    asked = rows.description
    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    places = {cell.name: number for number, cell in enumerate(cells)}
    return {
        "datasets": [clean(name) for name in datasets],
        "cells": [
            {
                "label": clean(cell.label),
                "name": cell.name,
                "dataset": datasets.index(cell.dataset),
                "baseline": places.get(asked.baselines.get(cell.dataset, "")),
            }
            for cell in cells
        ],
        "items": [
            [
                [clean(i.id), clean(i.question), clean(i.target), _clean(i.category)]
                for i in asked.items[name][:first]
            ]
            for name in datasets
        ],
    }


def _calls(calls: Sequence[CallEntry], answers: Calls | None, texts: _Texts) -> list[Any]:
    """Return a trial's calls, with the numbers of their prompt, answer and parameters."""
    stored = {} if answers is None else answers.calls([call.key for call in calls])
    return [
        [
            _word(call.node), _word(call.role), _word(call.model), call.started,
            call.latency_seconds, call.cost_usd, call.input_tokens, call.output_tokens, call.made,
            *_texts_of(stored.get(call.key), texts),
        ]
        for call in calls
    ]  # fmt: skip


def _texts_of(call: StoredCall | None, texts: _Texts) -> Iterator[int | None]:
    if call is None:
        yield from (None, None, None)
        return
    # Each message is a text of its own: a long system prompt is kept once.
    yield texts.add_as(_messages, call.messages)
    yield texts.add(clean(answer_text(call.completion)))
    yield texts.add_as(clean, call.parameters)


def answer_text(completion: Completion) -> str:
    """Return an answer with its thoughts, the tools that it asks for, and why it was cut off."""
    wanted = [f"[asks for {tool.name}({tool.arguments})]" for tool in completion.tool_calls]
    ended = [] if completion.finish_reason == "stop" else [f"[ended: {completion.finish_reason}]"]
    thoughts = completion.thoughts
    thought = [f"[thoughts]\n{thoughts}\n[end of thoughts]"] if thoughts else []
    written = [*thought, completion.text] if completion.text else thought
    return "\n".join([*written, *wanted, *ended])


def message_texts(stored: str) -> Iterator[tuple[str, str]]:
    """Yield role and text of each message of a stored conversation, images and tools in words."""
    for message in msgspec.json.decode(stored):
        parts = [f"[{image['media_type']}]" for image in message.get("images", ())]
        parts += [message["content"]] if message["content"] else []
        parts += [
            f"[asks for {tool['name']}({tool['arguments']})]"
            for tool in message.get("tool_calls", ())
        ]
        yield message["role"], "\n".join(parts)


def _messages(stored: str) -> str:
    """Return a conversation as JSON: role and text of each message."""
    found = [[clean(role), clean(text)] for role, text in message_texts(stored)]
    return msgspec.json.encode(found).decode()


_word = lru_cache(maxsize=1024)(clean)
"""Of names that come again and again."""


def _clean(value: str | None) -> str | None:
    return None if value is None else clean(value)


def plain(name: str, content: Any) -> Html:
    """Return JSON as an element that nothing in it can end."""
    written = msgspec.json.encode(content).decode()
    for sign, code in _OUTSIDE_JSON.items():
        written = written.replace(sign, code)
    return tag("script", Html(written), type="application/json", id=name)


def packed(name: str, content: Any) -> Html:
    """Return JSON, compressed, as an element that is read when it is looked at."""
    zipped = gzip.compress(msgspec.json.encode(content), compresslevel=6, mtime=0)
    written = base64.b64encode(zipped).decode()
    return tag("script", Html(written), type="application/x-packed", id=name)

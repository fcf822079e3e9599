"""Tables of the cards of the built-in registry, for the pages of the documentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ember_bench.datasets.cards import DatasetCard
from ember_bench.datasets.load import read_card
from ember_bench.datasets.suites import SuiteCard
from ember_bench.errors import UnknownNameError
from ember_bench.registry import Card, Cards, Kind, builtin_root

Row = dict[str, str]


def cards_of(kind: str) -> str:
    """Return the table of the built-in cards of a kind, by name.

    Raises:
        UnknownNameError: if there is no table of that kind; lists near matches.
    """
    if kind not in _ROWS:
        raise UnknownNameError("kind", kind, _ROWS)
    plural, row = _ROWS[kind]
    rows = [row(card) for card in Cards([builtin_root()]).all(plural).values()]
    headings = list(rows[0])
    lines = [headings, ["---"] * len(headings), *([*found.values()] for found in rows)]
    return "\n".join(f"| {' | '.join(map(_shown, line))} |" for line in lines)


def _dataset(card: Card) -> Row:
    read = read_card(card)
    return {
        "dataset": f"`{card.name}`",
        "purpose": read.purpose,
        "source": _source(read),
        "scored by": f"`{read.evaluator}`",
        "licence": read.licence or "not stated",
    }


def _source(card: DatasetCard) -> str:
    """Return where the records come from, in a few words."""
    kind, source = card.source.given
    match kind:
        case "hub":
            return f"hub: {source.repository}"
        case "url":
            host = source.url.partition("://")[2].split("/")
            return "/".join(host[:3]) if host[0] == "raw.githubusercontent.com" else host[0]
        case "generated":
            return f"generated: {source.generator}"
        case _:
            return kind


def _suite(card: Card) -> Row:
    read = card.document.parse(SuiteCard)
    return {
        "suite": f"`{card.name}`",
        "purpose": read.purpose,
        "datasets": ", ".join(f"`{name}`" for name in read.datasets),
        "strata": "categories" if read.strata == "category" else "datasets",
    }


def _evaluator(card: Card) -> Row:
    data: Mapping[str, Any] = card.document.data
    return {
        "evaluator": f"`{card.name}`",
        "purpose": str(data.get("purpose", "")),
        "kind": f"`{data.get('kind', '')}`",
    }


def _shown(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


_ROWS: Final[Mapping[str, tuple[Kind, Callable[[Card], Row]]]] = {
    "dataset": ("datasets", _dataset),
    "suite": ("suites", _suite),
    "evaluator": ("evaluators", _evaluator),
}

"""A dataset: items that have been read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ember_bench.datasets.cards import parse_card
from ember_bench.datasets.packed import content_digest, hashed_order, pick, values_of
from ember_bench.datasets.reading import read_items
from ember_bench.datasets.repeats import repeated
from ember_bench.documents import Document
from ember_bench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ember_bench.datasets.cards import TargetIs
    from ember_bench.datasets.item import Item

_SHOWN = 5


@dataclass(frozen=True)
class Dataset:
    """Items that have been read and checked.

    Attributes:
        name: The name of its card.
        items: In the source's order.
        evaluator: The name of the evaluator card that scores it unless a grid says otherwise.
        source: Where it came from, for people.
        revision: The pinned commit, or the digest of the file; None for generated items.
        licence: As an SPDX identifier where there is one.
        code: Digests of the user files that made the items, by file.

    Raises:
        ConfigError: if there are no items, two have one id, or a target is missing.
    """

    name: str
    items: Sequence[Item]
    evaluator: str
    source: str
    revision: str | None = None
    licence: str | None = None
    code: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if not self.items:
            raise ConfigError(f"dataset {self.name!r} has no items")
        if twins := [repr(id_) for id_ in repeated(lambda: values_of(self.items, "id"))]:
            raise ConfigError(f"dataset {self.name!r} has duplicate item ids: {_some(twins)}")
        targets = enumerate(values_of(self.items, "target"))
        if bare := [repr(self.items[i].id) for i, target in targets if not target.strip()]:
            raise ConfigError(f"dataset {self.name!r} has items without a target: {_some(bare)}")

    @classmethod
    def from_records(
        cls,
        rows: Iterable[Mapping[str, Any]],
        *,
        question: str,
        target: str,
        evaluator: str,
        name: str = "records",
        target_is: TargetIs = "answer",
        shuffle_choices: bool = False,
        prompt: str | None = None,
        answer_format: str | None = None,
        licence: str | None = None,
        where: Mapping[str, Any] | None = None,
        first: int | None = None,
        target_pattern: str | None = None,
        target_separator: str | None = None,
        empty_target: str | None = None,
        choices_pattern: str | None = None,
        options: Sequence[str] | None = None,
        **fields: str | Sequence[str],
    ) -> Dataset:
        """Return the dataset of records that a program has, as a card would describe them.

        Args:
            rows: Mappings; also a pandas frame, or what else has `to_dict("records")`.
            question: The field with the question.
            target: The field with the right answer.
            evaluator: Name of an evaluator card; a study may score the items by another one.
            name: The dataset's name in cells, tables and results.
            target_is: As on a card.
            shuffle_choices: As on a card.
            prompt: As on a card.
            answer_format: As on a card.
            licence: As on a card.
            where: As on a card.
            first: As on a card.
            target_pattern: As on a card.
            target_separator: As on a card.
            empty_target: As on a card.
            choices_pattern: As on a card.
            options: As on a card.
            fields: Other `fields` of a card: `id` (by default the row's number from 0), `choices`,
                `alternatives`, `labels`, `category`, `cluster`, `difficulty`, `metadata`.

        Raises:
            ConfigError: with every mistake in the rows or the arguments.
        """
        if (to_dict := getattr(rows, "to_dict", None)) is not None:
            rows = to_dict("records")
        mapped = {"question": question, "target": target, **fields}
        card = {
            "name": name,
            "purpose": "Records of a program.",
            "source": {"records": [dict(row) for row in rows]},
            "fields": {key: _listed(value) for key, value in mapped.items()},
            "evaluator": evaluator,
            "prompt": prompt,
            "answer_format": answer_format,
            "licence": licence,
            "target_pattern": target_pattern,
            "target_separator": target_separator,
            "empty_target": empty_target,
            "choices_pattern": choices_pattern,
            "options": list(options) if options is not None else None,
            "first": first,
        }
        card = {key: value for key, value in card.items() if value is not None}
        card |= {"target_is": target_is} if target_is != "answer" else {}
        card |= {"shuffle_choices": True} if shuffle_choices else {}
        card |= {"where": dict(where)} if where else {}
        document = Document(Path(name), card, {})
        parsed = parse_card(document)
        read = read_items(parsed, document)
        return cls(name, read.items, evaluator, read.source, read.revision, parsed.licence)

    def sample(self, limit: int) -> Dataset:
        """Return the dataset with at most `limit` items, a sample fixed by the items' ids.

        A sample of 100 lies within one of 1,000.
        """
        if limit >= len(self):
            return self
        order = hashed_order(values_of(self.items, "id"))
        return replace(self, items=pick(self.items, sorted(order[:limit])))

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    @cached_property
    def digest(self) -> str:
        """Hex digest over the content of all items, whatever their order."""
        return content_digest(self.items)


def _listed(value: str | Sequence[str]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def _some(names: list[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

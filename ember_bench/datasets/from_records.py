"""The card of records that a program has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict

from ember_bench.datasets.cards import DatasetCard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ember_bench.datasets.cards import TargetIs

_OF_CARD: Final = frozenset(DatasetCard.model_fields) - {"source", "fields", "available_from"}


class RecordOptions(TypedDict, total=False):
    """The keys of a dataset card for records that a program has, and those of its `fields`.

    Attributes:
        target_is: What the target field holds.
        shuffle_choices: Put the choices in an order that is random but fixed for each item.
        prompt: May have `{question}`, `{choices}`, and the names of fields in `metadata`.
        answer_format: The way in which answers are read.
        licence: Licence of the data.
        citation: The publication to cite.
        purpose: The dataset's purpose, in one line.
        where: Only rows whose field has the value, or one of the values, become items.
        first: Only so many of these rows.
        target_pattern: A regular expression; its group is the target.
        target_separator: Text between equally right answers in one field.
        empty_target: The target of rows whose target is empty.
        choices_separator: Text between the choices in one field.
        choices_pattern: A regular expression; its group is the choice.
        options: The choices of every item, if no field has them.
        id: The field with the item's id; by default the row's number from 0.
        messages: The field with messages, in place of a question.
        system: The field with the system message before the question.
        images: The fields with images, by path or URL.
        alternatives: The fields with other right answers.
        choices: One field that holds a list, or one field for each choice.
        labels: The field with the label of each choice.
        category: The field with the group of the item in reports.
        cluster: The field with what items have in common that depend on each other.
        difficulty: The field with a number from 0 to 1, for simulated models.
        metadata: Fields that the item keeps, and that prompts and graphs may use.
    """

    target_is: TargetIs
    shuffle_choices: bool
    prompt: str | None
    answer_format: str | None
    licence: str | None
    citation: str | None
    purpose: str
    where: Mapping[str, Any]
    first: int | None
    target_pattern: str | None
    target_separator: str | None
    empty_target: str | None
    choices_separator: str | None
    choices_pattern: str | None
    options: Sequence[str] | None
    id: str | Sequence[str]
    messages: str
    system: str
    images: str | Sequence[str]
    alternatives: str | Sequence[str]
    choices: str | Sequence[str]
    labels: str
    category: str
    cluster: str
    difficulty: str
    metadata: str | Sequence[str]


def card_of_records(
    rows: Iterable[Mapping[str, Any]], name: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of a card for `rows`.

    Args:
        rows: Mappings; also a pandas frame, or what else has `to_dict("records")`.
        name: The dataset's name.
        options: Keys of a card, and any other names as keys of its `fields`.
    """
    if (to_dict := getattr(rows, "to_dict", None)) is not None:
        rows = to_dict("records")
    given = {key: value for key, value in options.items() if value is not None}
    return {
        "name": name,
        "purpose": "Records of a program.",
        "source": {"records": [dict(row) for row in rows]},
        "fields": {key: _plain(value) for key, value in given.items() if key not in _OF_CARD},
        **{key: _plain(value) for key, value in given.items() if key in _OF_CARD},
    }


def _plain(value: Any) -> Any:
    """Return lists for other sequences, as YAML has them."""
    return list(value) if isinstance(value, tuple) else value

"""Dataset cards: the source of the records and the mapping of their fields to items."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from ember_bench.datasets.by_target import BY_TARGET
from ember_bench.datasets.prompts import LETTERS, Prompt
from ember_bench.datasets.sources import GENERATED, RecordSource, record_sources
from ember_bench.errors import ConfigError, Problem
from ember_bench.models.recorded.data_dir import AvailableFrom, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ember_bench.documents import Document


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_values(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _compiles(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"expected one group, in parentheses; found {groups}")
    return pattern


Names = Annotated[
    tuple[Text, ...],
    BeforeValidator(_as_list, json_schema_input_type=str | list[str]),
    Field(min_length=1),
]
Scalar = str | int | float | bool | None
Values = Annotated[
    tuple[Scalar, ...],
    BeforeValidator(_as_values, json_schema_input_type=Scalar | list[Scalar]),
    Field(min_length=1),
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GeneratedSource(_Part):
    """Items made by a registered generator."""

    generator: Text
    """Name of the generator."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Its parameters; a grid may replace them."""


class Source(_Part):
    """The source of a card's records or items: exactly one of these.

    `dataset_card_model` adds a field for each registered record source.
    """

    generated: GeneratedSource | None = None
    """Items that a registered generator makes."""

    @model_validator(mode="after")
    def _one(self) -> Source:
        names = sorted(type(self).model_fields, key=lambda name: name == GENERATED)
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"expected exactly one of {', '.join(names)}; found {found}")
        return self

    @property
    def given(self) -> tuple[str, Any]:
        """The name of the source and its options."""
        names = (name for name in type(self).model_fields if getattr(self, name) is not None)
        name = next(names)
        return name, getattr(self, name)


class Fields(_Part):
    """Which field of a record becomes which field of an item.

    `a.b` is the field `b` inside the field `a`, where no field is named `a.b`; `a[0]` is the first
    entry of a list, `a[*].b` the field `b` of each.
    """

    id: Names | None = None
    """Several fields are joined by `/`; without any, the id is the record's number, from 0."""
    question: Text | None = None
    """The question, which the prompt contains; required unless there are `messages`."""
    messages: Text | None = None
    """A list of messages with `role` and `content`; the last one, a user's, is the question."""
    system: Text | None = None
    """The system message before the question."""
    target: Text | Names
    """The right answer; a list holds several, all equally right, and so do several fields, of which
    those that are empty hold none."""
    alternatives: Names | None = None
    """Other answers that are as right as the target."""
    choices: Names | None = None
    """One field that holds a list, or one field for each choice."""
    labels: Text | None = None
    """A list, the label of each choice, for `target_is: label`."""
    category: Text | None = None
    """The group of the item in reports."""
    cluster: Text | None = None
    """Items of one cluster (of one passage, for example) depend on each other."""
    difficulty: Text | None = None
    """A number from 0 to 1; simulated models are right less often on difficult items."""
    images: Names | None = None
    """What is shown with the question: a path relative to the file of the records (or the card), a
    URL, the image itself, or a list of these; a record may have none."""
    metadata: Names | None = None
    """Fields that the item keeps, and that prompts and graphs may use."""
    answer_format: Text | None = None
    """The answer format of each record; where it is empty, that of the card. Records of a format
    other than `choice` need no choices."""
    evaluator: Text | None = None
    """The evaluator of each record; where it is empty, that of the card."""

    @model_validator(mode="after")
    def _one_question(self) -> Fields:
        if (self.question is None) == (self.messages is None):
            raise ValueError("expected exactly one of question, messages")
        return self


# Keys of a card that say how records become items.
_OF_RECORDS: Final = (
    "where",
    "first",
    "target_pattern",
    "target_separator",
    "empty_target",
    "choices_separator",
    "choices_pattern",
    "options",
    "target_is",
    "shuffle_choices",
)
TargetIs = Literal["answer", "index", "position", "text", "label", "flags"]


class DatasetCard(_Part):
    """A dataset card."""

    name: Text
    """The dataset's name in grids."""
    purpose: Text
    """Its purpose, in one line."""
    source: Source
    """The source of the records or items."""
    available_from: AvailableFrom | None = None
    """Required with `data:`."""
    fields: Fields | None = None
    """Required unless the items are generated, or the source has fields of its own."""
    where: dict[str, Values] = Field(default_factory=dict)
    """Only records whose field has the value, or one of the values, become items."""
    first: int | None = Field(default=None, gt=0)
    """Only so many of the records that `where` lets through."""
    target_pattern: Annotated[str, AfterValidator(_compiles)] | None = None
    """A regular expression; its group, in the last place where it matches, is the target."""
    target_separator: Text | None = None
    """Text between equally right answers in one field."""
    empty_target: Text | None = None
    """The target of records whose target is empty, such as `unanswerable`."""
    choices_separator: Text | None = None
    """Text between the choices in one field, such as `|`."""
    choices_pattern: Annotated[str, AfterValidator(_compiles)] | None = None
    """A regular expression; its group is the choice."""
    options: Annotated[tuple[Text, ...], Field(min_length=2, max_length=len(LETTERS))] | None = None
    """The choices of every item, such as the labels of a classification, if no field has them."""
    target_is: TargetIs = "answer"
    """What the target field holds: the answer itself (of a choice: its letter), or of the right
    choice the index from 0, the position from 1, the text, the label, or one true flag among false
    ones. A list is a true flag if it is not empty, as the tags of an option are."""
    shuffle_choices: bool = False
    """Put the choices in an order that is random but fixed for each item."""
    prompt: Text | None = None
    """May have `{question}`, `{choices}`, and the names of fields in `metadata`."""
    answer_format: Text | None = None
    """The way in which answers are read; by default `choice` with choices, else `text`. `by_target`
    tells it for each record, and its evaluator: `choice` if it has choices, `yes_no` or `number` if
    its target is one, else `text` and the card's evaluator."""
    evaluator: Text
    """Name of the evaluator card that scores it, unless a grid names another."""
    licence: Text | None = None
    """Licence of the data, as an SPDX identifier if there is one."""
    citation: Text | None = None
    """The publication to cite."""

    @model_validator(mode="wrap")
    @classmethod
    def _with_sources(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Validate with the record sources that are registered by now."""
        if cls is not DatasetCard or isinstance(value, DatasetCard):
            return handler(value)
        return cast("Self", dataset_card_model().model_validate(value))

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the schema with the record sources that are registered by now."""
        if cls is DatasetCard:
            return dataset_card_model().model_json_schema(*args, **kwargs)
        return super().model_json_schema(*args, **kwargs)

    @field_validator("prompt")
    @classmethod
    def _is_a_template(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and "fields" in info.data:  # else they have a mistake of their own
            Prompt.parse(value, _metadata(info.data["fields"]))
        return value

    @property
    def parsed_prompt(self) -> Prompt:
        """The card's prompt, or the plain question, followed by the choices if there are any."""
        if self.prompt is not None:
            return Prompt.parse(self.prompt, _metadata(self.fields))
        return Prompt.parse("{question}\n\n{choices}" if self.has_choices else "{question}")

    @property
    def has_choices(self) -> bool:
        """Whether there are choices, in records or for every item."""
        in_records = self.fields is not None and self.fields.choices is not None
        return in_records or self.options is not None

    @property
    def field_paths(self) -> Mapping[tuple[str, ...], tuple[str, ...]]:
        """Where the card names record fields -> the names: `fields.id -> ("id",)`."""
        paths: dict[tuple[str, ...], tuple[str, ...]] = {}
        for key, value in self.fields or ():
            if value is not None:
                paths["fields", key] = (value,) if isinstance(value, str) else value
        return paths | {("where", name): (name,) for name in self.where}


def _metadata(fields: Fields | None) -> tuple[str, ...]:
    return (fields.metadata if fields is not None else None) or ()


def dataset_card_model() -> type[DatasetCard]:
    """Return the model of a dataset card, with the record sources that are registered."""
    return _card_model(tuple(record_sources().values()))


@lru_cache(maxsize=8)
def _card_model(sources: tuple[RecordSource, ...]) -> type[DatasetCard]:
    keys: dict[str, Any] = {
        source.name: (source.options | None, Field(None, description=source.purpose or None))
        for source in sources
    }
    source = create_model("Source", __base__=Source, __doc__=Source.__doc__, **keys)
    fields: dict[str, Any] = {"source": (source, ...)}
    doc = DatasetCard.__doc__
    return create_model("DatasetCard", __base__=DatasetCard, __doc__=doc, **fields)


def parse_card(document: Document) -> DatasetCard:
    """Return the card in `document`.

    Raises:
        ConfigError: with every mistake and its place.
    """
    card = document.parse(dataset_card_model())
    name, _ = card.source.given
    if card.fields is None and name != GENERATED and (own := record_sources()[name].fields):
        card = card.model_copy(update={"fields": Fields(**own)})
    if problems := list(_contradictions(card, document)):
        raise ConfigError(*problems)
    return card


def _contradictions(card: DatasetCard, document: Document) -> list[Problem]:
    """Return what is wrong between fields that are right each for itself."""
    problems: list[Problem] = []

    def wrong(message: str, *keys: str) -> None:
        problems.append(document.problem(message, *keys))

    if card.source.given[0] == "data" and card.available_from is None:
        wrong("`data:` needs `available_from:`, so that people know where to get it", "source")
    if card.fields is None:
        if card.source.generated is None:
            wrong("missing field 'fields'")
    elif card.source.generated is not None:
        wrong("a generator makes whole items; `fields` has nothing to map", "fields")
    if card.source.generated is not None:
        for key in _OF_RECORDS:
            if key in card.model_fields_set:
                wrong(f"a generator makes whole items; `{key}` has nothing to act on", key)
        if card.answer_format == BY_TARGET:
            wrong(
                "a generator's items have their formats; `by_target` is for records",
                "answer_format",
            )
    _check_choices(card, wrong)
    if card.fields is not None and (card.target_is == "label") != (card.fields.labels is not None):
        wrong("`target_is: label` and `labels` in `fields` need each other", "fields", "labels")
    return problems


def _check_choices(card: DatasetCard, wrong: Callable[..., None]) -> None:
    """Say what does not go with the choices, or with their absence."""
    has_choices = card.has_choices
    if card.options is not None and card.fields is not None and card.fields.choices is not None:
        wrong("the choices are either `options` or a field", "options")
    if card.prompt is not None and card.parsed_prompt.uses("choices") != has_choices:
        wrong(
            "the prompt has no {choices}, but `fields` has choices: a model would not see them"
            if has_choices
            else "the prompt has {choices}, but `fields` has none",
            "prompt",
        )
    if not has_choices:
        for key in ("target_is", "shuffle_choices", "choices_pattern", "choices_separator"):
            if getattr(card, key) not in ("answer", False, None):
                wrong(f"`{key}` needs `choices` in `fields`", key)
    elif card.empty_target is not None:
        wrong("a right choice is never empty; `empty_target` is for other targets", "empty_target")

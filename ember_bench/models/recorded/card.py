"""Cards of recorded sets, and the models that they describe."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from ember_bench.errors import ConfigError, Problem, UnknownNameError
from ember_bench.models.cost import ModelCost
from ember_bench.models.info import ModelInfo
from ember_bench.models.recorded.data_dir import AvailableFrom, Text
from ember_bench.models.recorded.fields import Fields, Reading
from ember_bench.models.recorded.files import Layout
from ember_bench.models.recorded.layouts import SUFFIXES
from ember_bench.plain_errors import plainly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ember_bench.documents import Document

Files = Annotated[
    tuple[Text, ...],
    BeforeValidator(
        lambda value: (value,) if isinstance(value, str) else value,
        json_schema_input_type=str | list[str],
    ),
    Field(min_length=1),
]


_READING: Final = set(Reading.model_fields)


class RecordedSet(Reading):
    """A card: a set of models recorded in the same way."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model_id: str
    """The set's name; a model is `<set>/<model>`."""
    files: Files
    """In the data directory, or beside the card; `{model}` stands for the model."""
    fields: Fields
    """The meaning of the fields of a record."""
    models: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Names of the models in the recording."""
    available_from: AvailableFrom | None = None
    """The public repository of the files."""
    recorded_as: Text = "{model}"
    """The content of the model field, if it is not the name alone."""
    where: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Only records whose fields have these values are read."""
    cost: dict[str, ModelCost] = Field(default_factory=dict)
    """Prices by model, for recordings of tokens without dollars."""


class Recording(Reading):
    """The `options` of a recorded model: where its answers are."""

    files: Files
    fields: Fields
    recorded_as: str = ""
    """The content of the model field; "" without such a field."""
    where: dict[str, str] = Field(default_factory=dict)

    @property
    def file_layout(self) -> Layout:
        """The layout of the files."""
        reading = Reading(**self.model_dump(include=_READING, exclude_defaults=True))
        return Layout(self.fields, tuple(sorted(self.where.items())), reading)


class RecordedModel(ModelInfo):
    """A model of a recorded set.

    What it has beside a `ModelInfo` says where to find the files and so changes no answer.
    """

    available_from: AvailableFrom | None = None
    folder: Path | None = Field(default=None, exclude=True, repr=False)
    """The folder of the card."""


def model_of(card: RecordedSet, name: str, folder: Path) -> RecordedModel:
    """Return the model of this name."""
    options: dict[str, Any] = {
        "files": [file.replace("{model}", name) for file in card.files],
        "fields": card.fields.of(name).model_dump(exclude_none=True),
        # Only what is given: a model of an older card stays the model that it was.
        **card.model_dump(mode="json", include=_READING, exclude_defaults=True),
    }
    if card.fields.model is not None:
        options["recorded_as"] = card.recorded_as.replace("{model}", name)
    if card.where:
        options["where"] = {key: str(value) for key, value in card.where.items()}
    return RecordedModel(
        model_id=f"{card.model_id}/{name}",
        cost=card.cost.get(name),
        options=options,
        available_from=card.available_from,
        folder=folder,
    )


def contradictions(card: RecordedSet, document: Document) -> Iterator[Problem]:
    """Yield what is wrong between fields that are right each for itself."""
    for i, name in enumerate(card.models):
        if name in card.models[:i]:
            yield document.problem(f"model {name!r} is listed twice", "models", i)
    yield from _of_files(card, document)
    if card.fields.model is None and "recorded_as" in card.model_fields_set:
        yield document.problem("`recorded_as` needs `model` in `fields`", "recorded_as")
    for name in card.cost:
        if name not in card.models:
            error = UnknownNameError("model", name, card.models)
            yield document.problem(str(error), "cost", name)
    for name in card.scale:
        if getattr(card.fields, name) is None:
            yield document.problem(f"`scale` needs `{name}` in `fields`", "scale", name)
    if "score_range" in card.model_fields_set and card.fields.score is None:
        yield document.problem("`score_range` needs `score` in `fields`", "score_range")
    if card.cost and None in (card.fields.input_tokens, card.fields.output_tokens):
        yield document.problem(
            "prices need recorded tokens: name `input_tokens` and `output_tokens` in `fields`",
            "cost",
        )


def _of_files(card: RecordedSet, document: Document) -> Iterator[Problem]:
    """Yield what is wrong with the names of files."""
    for i, file in enumerate(card.files):
        at = ("files",) if isinstance(document.data["files"], str) else ("files", i)
        if unknown := set(re.findall(r"\{(\w*)\}", file)) - {"model"}:
            yield document.problem(f"unknown placeholder {{{min(unknown)}}}; known: {{model}}", *at)
        if not file.removesuffix(".gz").endswith(SUFFIXES):
            known = ", ".join(SUFFIXES)
            yield document.problem(f"expected a file of {known}, gzipped (.gz) or not", *at)
        apart = card.fields.model is not None or card.fields.names_model or "{model}" in file
        if len(card.models) > 1 and not apart:
            yield document.problem(
                "nothing tells the models apart: put {model} into the file's name, "
                "or name the field of the model in `fields`",
                *at,
            )
        if file.removesuffix(".gz").endswith(".csv") and (card.layout != "records" or card.records):
            key = "records" if card.records else "layout"
            yield document.problem(f"{key}: CSV has records only", key)


def recording_of(model: ModelInfo) -> Recording:
    """Return where the answers of a model are.

    Raises:
        ConfigError: if its options do not say it.
    """
    try:
        return Recording.model_validate(model.options)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("options", *first["loc"])))
        raise ConfigError(f"{model.model_id}: {where}: {plainly(first)}") from None

"""Cards of recorded sets, and the models that they describe."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ember_bench.compressed import ENDINGS
from ember_bench.errors import ConfigError, Problem, UnknownNameError, did_you_mean
from ember_bench.models.cost import ModelCost
from ember_bench.models.info import ModelInfo
from ember_bench.models.recorded.data_dir import AvailableFrom, Text
from ember_bench.models.recorded.fields import GENERATE, ROLES, Fields, Reading
from ember_bench.models.recorded.files import Layout
from ember_bench.models.recorded.layouts import SUFFIXES, format_of, is_table
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


Scalar = str | int | float | bool | None
Values = Annotated[
    tuple[Scalar, ...],
    BeforeValidator(
        lambda value: tuple(value) if isinstance(value, list | tuple) else (value,),
        json_schema_input_type=Scalar | list[Scalar],
    ),
    Field(min_length=1),
]

# Who is asked in these roles sees what all models of the set answered.
_OF_THE_SET: Final = ("fuse", "judge", "rank", "route")
_READING: Final = set(Reading.model_fields)


class Role(Reading):
    """What is recorded of the calls of one role; what it does not say is as in the set."""

    files: Files | None = None
    """The files of the role; by default those of the set."""
    fields: Fields | None = None
    """The meaning of the fields of a record; by default that of the set."""
    where: dict[str, Values] | None = None
    """Only records whose fields have these values are read; by default as in the set."""


class RecordedSet(Reading):
    """A card: a set of models recorded in the same way."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model_id: str
    """The set's name; a model is `<set>/<model>`."""
    files: Files
    """In the data directory, or beside the card; `{model}` stands for the model."""
    fields: Fields | None = None
    """The meaning of the fields of a record; of a set with `roles` it may be left out."""
    roles: dict[str, Role] = Field(default_factory=dict)
    """What was recorded beside answers to items, by the role of the call: `verify`, `score`,
    `judge`, ... Each has what the set has: `fields`, and where they differ `files`, `where`,
    `layout`, ..."""
    models: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Names of the models in the recording."""
    available_from: AvailableFrom | None = None
    """The public repository of the files."""
    recorded_as: Text = "{model}"
    """The content of the model field, if it is not the name alone."""
    where: dict[str, Values] = Field(default_factory=dict)
    """Only records whose fields have the value, or one of the values, are read; `null` is a field
    that is empty or not there."""
    cost: dict[str, ModelCost] = Field(default_factory=dict)
    """Prices by model, for recordings of tokens without dollars."""


class Recording(Reading):
    """The `options` of a recorded model: where its answers are."""

    files: Files
    fields: Fields | None = None
    recorded_as: str = ""
    """The content of the model field; "" without such a field."""
    where: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    roles: dict[str, Recording] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.fields is None and not self.roles:
            raise ValueError("`fields` are missing")
        return self

    def of(self, role: str) -> Recording | None:
        """Return where the answers of a role are; None if there are none."""
        if role == GENERATE:
            return None if self.fields is None else self
        return self.roles.get(role)

    @property
    def every_role(self) -> Iterator[tuple[str, Recording]]:
        """Each role that was recorded, and where its answers are."""
        if self.fields is not None:
            yield GENERATE, self
        yield from self.roles.items()

    @property
    def file_layout(self) -> Layout:
        """The layout of the files."""
        assert self.fields is not None  # noqa: S101 - `of` returns those with fields
        reading = Reading(**self.model_dump(include=_READING, exclude_defaults=True))
        where = {
            path: (wanted,) if isinstance(wanted, str) else wanted
            for path, wanted in self.where.items()
        }
        return Layout(self.fields, tuple(sorted(where.items())), reading)


class RecordedModel(ModelInfo):
    """A model of a recorded set.

    What it has beside a `ModelInfo` says where to find the files and so changes no answer.
    """

    available_from: AvailableFrom | None = None
    folder: Path | None = Field(default=None, exclude=True, repr=False)
    """The folder of the card."""
    data: Path | None = Field(default=None, exclude=True, repr=False)
    """A folder of recorded data beside the present one, in which files are looked for last."""


def model_of(card: RecordedSet, name: str, folder: Path) -> RecordedModel:
    """Return the model of this name."""
    options = _options(card, card.fields, name, card)
    roles = {role: _role_options(card, given, name) for role, given in card.roles.items()}
    if roles:
        options["roles"] = roles
    return RecordedModel(
        model_id=f"{card.model_id}/{name}",
        cost=card.cost.get(name),
        options=options,
        available_from=card.available_from,
        folder=folder,
    )


def _options(
    given: RecordedSet | Role, fields: Fields | None, name: str, card: RecordedSet
) -> dict[str, Any]:
    """Return the options of a model for what a card, or one of its roles, says."""
    options: dict[str, Any] = {
        "files": [file.replace("{model}", name) for file in given.files or card.files]
    }
    if fields is not None:
        options["fields"] = fields.of(name).model_dump(exclude_none=True)
    # Only what is given: a model of an older card stays the model that it was.
    options |= _reading(given, name)
    if fields is not None and fields.model is not None:
        options["recorded_as"] = card.recorded_as.replace("{model}", name)
    where = card.where if given.where is None else given.where
    if where:
        options["where"] = {path: _wanted(values) for path, values in where.items()}
    return options


def _wanted(values: Sequence[Scalar]) -> str | list[str]:
    """Return the values that a field may have as texts; "" stands for none."""
    texts = ["" if value is None else str(value) for value in values]
    return texts[0] if len(texts) == 1 else texts


def _reading(given: RecordedSet | Role, name: str) -> dict[str, Any]:
    """Return how files are read, as far as it is said, for a model."""
    found = given.model_dump(mode="json", include=_READING, exclude_defaults=True)
    if given.records is not None:
        found["records"] = given.records.replace("{model}", name)
    return found


def _role_options(card: RecordedSet, given: Role, name: str) -> dict[str, Any]:
    common = _reading(card, name)
    return {**common, **_options(given, given.fields or card.fields, name, card)}


def contradictions(card: RecordedSet, document: Document) -> Iterator[Problem]:
    """Yield what is wrong between fields that are right each for itself."""
    for i, name in enumerate(card.models):
        if name in card.models[:i]:
            yield document.problem(f"model {name!r} is listed twice", "models", i)
    if card.fields is None and not card.roles:
        yield document.problem("fields: missing", "fields")
    if card.fields is not None:
        yield from _of_fields(card, card.fields, document, ())
    for role, given in card.roles.items():
        yield from _of_role(card, role, given, document)
    named = [fields for fields in (card.fields, *(r.fields for r in card.roles.values())) if fields]
    if all(fields.model is None for fields in named) and "recorded_as" in card.model_fields_set:
        yield document.problem("`recorded_as` needs `model` in `fields`", "recorded_as")
    for name in card.cost:
        if name not in card.models:
            error = UnknownNameError("model", name, card.models)
            yield document.problem(str(error), "cost", name)
    if card.cost and any(None in (f.input_tokens, f.output_tokens) for f in named):
        yield document.problem(
            "prices need recorded tokens: name `input_tokens` and `output_tokens` in `fields`",
            "cost",
        )


def _of_role(card: RecordedSet, role: str, given: Role, document: Document) -> Iterator[Problem]:
    """Yield what is wrong with what is said of one role."""
    at = ("roles", role)
    if role == GENERATE:
        yield document.problem("answers to items stand in `fields` of the card itself", *at)
    elif role not in ROLES and (near := did_you_mean(role, ROLES)):
        yield document.problem(f"unknown role {role!r}{near}", *at)
    fields = given.fields or card.fields
    if fields is None:
        yield document.problem(f"{role}: name the `fields`", *at)
    else:
        yield from _of_fields(card, fields, document, at)


def _of_fields(
    card: RecordedSet, fields: Fields, document: Document, at: tuple[str, ...]
) -> Iterator[Problem]:
    """Yield what is wrong with fields, and with the names of their files."""
    given = card.roles[at[1]] if at else card
    own = given.files or card.files
    listed = not isinstance(_found(document.data, (*at, "files")), str)
    for i, file in enumerate(own):
        place: tuple[str | int, ...] = at
        if given.files is not None:
            place = (*at, "files", i) if listed else (*at, "files")
        yield from _of_file(file, fields, given, len(card.models), document, place)
    for name in given.scale:
        if getattr(fields, name) is None:
            yield document.problem(f"`scale` needs `{name}` in `fields`", *at, "scale", name)
    if "score_range" in given.model_fields_set and fields.score is None:
        yield document.problem("`score_range` needs `score` in `fields`", *at, "score_range")


def _found(data: Any, path: Sequence[str]) -> Any:
    for name in path:
        data = data.get(name) if isinstance(data, Mapping) else None
    return data


def _of_file(
    file: str,
    fields: Fields,
    given: RecordedSet | Role,
    models: int,
    document: Document,
    at: tuple[str | int, ...],
) -> Iterator[Problem]:
    """Yield what is wrong with the name of a file."""
    role = at[1] if at[0] == "roles" else GENERATE
    if unknown := set(re.findall(r"\{(\w*)\}", file)) - {"model"}:
        yield document.problem(f"unknown placeholder {{{min(unknown)}}}; known: {{model}}", *at)
    if format_of(file, given) is None:
        yield document.problem(
            f"expected a file of {', '.join(SUFFIXES)}, compressed ({', '.join(ENDINGS)}) or not; "
            "`format` says what one of another name holds",
            *at,
        )
    named = "{model}" in f"{file} {given.records}"
    apart = fields.model is not None or fields.names_model or named
    if models > 1 and not apart and (role not in _OF_THE_SET):
        yield document.problem(
            "nothing tells the models apart: put {model} into the file's name, "
            "or name the field of the model in `fields`",
            *at,
        )
    if is_table(file, given) and (given.layout != "records" or given.records):
        key = "records" if given.records else "layout"
        yield document.problem(f"{key}: a table (CSV, TSV, Parquet) has records only", key)


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

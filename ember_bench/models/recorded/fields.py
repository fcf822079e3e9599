"""The meaning of the fields of recorded answers, and the layout of their files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ember_bench.models.recorded.data_dir import Text

Arrangement = Literal["records", "columns", "by_id", "record"]
"""How a file holds records: one after the other, a list for each field, a mapping by id, or one."""
RecordedFormat = Literal["jsonl", "json", "csv", "tsv", "parquet", "text"]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]
KEY: Final = "key"
"""The field of a record in which its key in a mapping is."""
VALUE: Final = "value"
"""The field in which a record is that is no mapping."""
FILE: Final = "file"
"""The field in which a record has what stands for the `*` in the name of its file."""
GENERATE: Final = "generate"
"""The role of the call that answers the item."""
ROLES: Final = (
    *("critique", "debate", "fuse", "generate", "judge"),
    *("rank", "refine", "route", "score", "verify"),
)
"""What the built-in operators ask models to do."""
Axis = Literal["round", "agent", "sample"]
"""What a list inside of a record counts."""


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Paths = Annotated[
    tuple[Text, ...],
    BeforeValidator(_as_tuple, json_schema_input_type=str | list[str]),
    Field(min_length=1),
]


Several = Text | Annotated[tuple[Text, ...], Field(min_length=1)]


class Fields(BaseModel):
    """The meaning of the fields of a record.

    `a.b`, `a[0]` and `a[*].b` are paths into a record, and `{model}` is the model's name: so a
    file may have a column for each model.

    Attributes:
        item: The item's id; several fields are joined by `/`. By default the record's place among
            the model's records, from 0, as in a dataset without ids.
        answer: The answer: text, a number or a boolean; or a list of them: several samples. Null
            is no sample. Several fields are a list.
        model: Which model answered, in files that hold several.
        sample: Number that orders an item's samples, where each is a record of its own.
        latency: Seconds the model took.
        cost: US dollars the call cost.
        input_tokens: Tokens sent.
        output_tokens: Tokens received.
        question: The question's text; a dataset with another one is refused.
        score: The source's own score of the answer; a list of them for a list of answers.
        correct: In place of `score`: whether the source counts it as right (true or false, 1 or 0).
        about: The candidate that the call was about, as it was shown; several fields, or a list of
            texts beside one answer, in the order in which they were shown. Lists of candidates
            beside a list of answers go together.
        agent: Which agent of several answered: in the order of their numbers, else as they come.
        round: The round in which it was said; see `first_round`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    item: Paths | None = None
    answer: Several | None = None
    model: Text | None = None
    sample: Text | None = None
    latency: Several | None = None
    cost: Several | None = None
    input_tokens: Several | None = None
    output_tokens: Several | None = None
    question: Text | None = None
    score: Several | None = None
    correct: Several | None = None
    about: Paths | None = None
    agent: Text | None = None
    round: Text | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.score is not None and self.correct is not None:
            raise ValueError("`score` and `correct` are two words for one thing: name one")
        if self.answer is None and self.verdict is None:
            raise ValueError("`answer` is needed, or what the source says of it: `score`")
        if self.item is None and self.sample is not None:
            raise ValueError("`sample` needs `item`: records without ids are an item each")
        return self

    @property
    def verdict(self) -> Several | None:
        """The field of the source's own score."""
        return self.score if self.score is not None else self.correct

    def of(self, model: str) -> Fields:
        """Return the fields with the name of a model put in."""
        found = self.model_dump(exclude_none=True)
        put = {
            name: [part.replace("{model}", model) for part in path]
            if isinstance(path, tuple)
            else path.replace("{model}", model)
            for name, path in found.items()
        }
        return Fields.model_validate(put)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of all fields."""
        own = self.model_dump(exclude_none=True).values()
        return tuple(name for path in own for name in ((path,) if isinstance(path, str) else path))

    @property
    def names_model(self) -> bool:
        """Whether some field has the model's name in it."""
        return any("{model}" in path for path in self.paths)


class Arranged(BaseModel):
    """How a file holds records; datasets and recordings share it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: Arrangement = "records"
    """`records`: a list of them, or one a line. `columns`: a list, or a mapping by id, for each
    field. `by_id`: a mapping of ids to records. `record`: the file is one. A record that is no
    mapping is its field `value`, and the id in a mapping the field `key`."""
    each: Annotated[
        tuple[Text, ...], BeforeValidator(_as_tuple, json_schema_input_type=str | list[str])
    ] = ()
    """The list in a record whose entries are records of their own: they have its other fields, and
    their own ones first. Of several, `[paragraphs, qas]`, each is in the entries of the one before
    it."""
    json_fields: tuple[Text, ...] = ()
    """Fields whose text is JSON, or a list as Python writes it, as in a CSV file."""
    columns: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    """Names of the columns of a CSV file that has no line with names."""


class Reading(Arranged):
    """How files are read, beside the meaning of their fields: a card's further fields."""

    records: Text | None = None
    """Where the records are in a JSON file that has more than them: `results.outputs`; `{model}` is
    the model's name."""
    format: RecordedFormat | None = None
    """The format, if the ending of the name does not say it. A `text` file is one answer, in the
    field `value`."""
    files_hold: Literal["items", "samples"] = "items"
    """What the files of a model hold: other items each, or `samples`: an item that comes again, in
    one file or in another, has further samples there, in the order in which they come."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """What stands between the columns of a CSV file; by default a comma, in a TSV file a tab."""
    axes: tuple[Axis, ...] = ()
    """What the lists in an answer count, outermost first, as `[round, agent]`; by default samples.
    Lists count from 0."""
    first_round: int = 0
    """The number that the round of the first answers has or would have: 1 if a file counts rounds
    from 1, -1 if a list begins with the first revision."""
    missing: tuple[str, ...] = ()
    """Answers, scores and numbers that mean that none was recorded, as `-`, `-1` or the empty
    text."""
    texts: Mapping[str, str] = Field(default_factory=dict)
    """Texts in the place of recorded answers: `{"1": "yes", "0": "no"}` for a verifier's."""
    scores: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    """Scores from 0 to 1 in the place of the source's words: `{good: 1, fair: 0.5, poor: 0}`."""
    scale: Mapping[Literal["latency", "cost"], Factor] = Field(default_factory=dict)
    """Factors that make seconds and US dollars of the numbers: `{latency: 0.001}`."""
    score_range: tuple[float, float] = (0.0, 1.0)
    """The lowest and the highest score that the source gives; they become 0 and 1."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if len(set(self.axes)) < len(self.axes):
            raise ValueError("axes: one is named twice")
        low, high = self.score_range
        if not low < high:
            raise ValueError("score_range: expected two numbers, the lower one first")
        return self

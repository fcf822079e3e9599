"""Models whose answers were recorded: `recorded:SET/MODEL` answers by item and sample number.

The prompt is not read, so a recording can be replayed through any architecture that asks for an
answer to the item. What was recorded of tokens, dollars and seconds comes with the answer; what
was not is not made up: an unknown cost is None, and so is an unknown latency (which counts as no
time at all in a trial's latency).
"""

from __future__ import annotations

import random
import re
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ember_bench.errors import (
    ConfigError,
    DataMissingError,
    Problem,
    ProviderError,
    UnknownNameError,
    did_you_mean,
)
from ember_bench.models.cost import ModelCost
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.base import Provider, provider
from ember_bench.models.recorded.data_dir import DATA_DIR_VARIABLE, AvailableFrom, Text, data_dir
from ember_bench.models.recorded.files import (
    SUFFIXES,
    Answers,
    Fields,
    Layout,
    merge,
    recordings,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ember_bench.documents import Document
    from ember_bench.models.call import Call
    from ember_bench.models.strand import Draw, TrialContext
    from ember_bench.models.types import Completion

Files = Annotated[
    tuple[Text, ...],
    BeforeValidator(
        lambda value: (value,) if isinstance(value, str) else value,
        json_schema_input_type=str | list[str],
    ),
    Field(min_length=1),
]


class RecordedSet(BaseModel):
    """A card: a set of models recorded in the same way."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model_id: str
    """The set's name; a model is `<set>/<model>`."""
    files: Files
    """In the data directory, or beside the card; `{model}` stands for the model."""
    fields: Fields
    models: Annotated[tuple[Text, ...], Field(min_length=1)]
    available_from: AvailableFrom | None = None
    recorded_as: Text = "{model}"
    """The content of the model field, if it is not the name alone."""
    where: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Only records whose fields have these values are read."""
    cost: dict[str, ModelCost] = Field(default_factory=dict)
    """Prices by model, for recordings of tokens without dollars."""


class Recording(BaseModel):
    """The `options` of a recorded model: where its answers are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: Files
    fields: Fields
    recorded_as: str = ""
    """The content of the model field; "" without such a field."""
    where: dict[str, str] = Field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        """The layout of the files."""
        return Layout(self.fields, tuple(sorted(self.where.items())))


class RecordedModel(ModelInfo):
    """A model of a recorded set.

    What it has beside a `ModelInfo` says where to find the files and so changes no answer.
    """

    available_from: AvailableFrom | None = None
    folder: Path | None = Field(default=None, exclude=True, repr=False)
    """The folder of the card."""


@provider("recorded")
class Recorded(Provider):
    """Answers with what a model was recorded to answer.

    Sample numbers count from 0: replica i of an ensemble gets sample i, and so does draw i of a
    loop. Epoch e > 0 sees an item's samples in another order, fixed by item and epoch. No sample
    is ever handed out for two draws of one trial: where there are too few, the call fails.
    """

    instant: ClassVar[bool] = True
    replays: ClassVar[bool] = True

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        self._recording = _recording(model)
        self._digest: str | None = None
        self._known: Answers | None = None

    async def complete(self, call: Call) -> Completion:
        """Return the recorded sample."""
        model_id, subject = self.model.model_id, call.trial.subject
        if subject is None:
            raise ProviderError(f"{model_id} answers by item, and this call is not about one")
        if call.request.role != _RECORDED_ROLE:
            raise ProviderError(
                f"{model_id} has answers to items; it cannot be asked to {call.request.role}"
            )
        samples = self._answers().get(subject.id, ())
        number = self._sample_number(call, subject.id)
        if number >= len(samples):
            raise ProviderError(
                f"{model_id} has {_count(len(samples))} of item {subject.id!r}; "
                f"sample {number}, counted from 0, was asked for"
            )
        if call.trial.epoch:
            if len(samples) == 1:
                raise ProviderError(
                    f"{model_id} has 1 sample of item {subject.id!r}: no second epoch can be had"
                )
            number = _order(subject.id, call.trial.epoch, len(samples))[number]
        return samples[number]

    def context(self, call_trial: Any) -> str:
        """Return the item's id and the digest of the recording."""
        subject = cast("TrialContext", call_trial).subject
        if self._digest is None:
            self._digest = content_digest(self.model)
        return self._digest if subject is None else f"{self._digest} {subject.id}"

    @classmethod
    def models_of(cls, document: Document) -> list[ModelInfo]:
        """Return a model for each that the card lists."""
        card = document.parse(RecordedSet)
        if problems := list(_contradictions(card, document)):
            raise ConfigError(*problems)
        return [_model(card, name, document.path.parent) for name in card.models]

    @classmethod
    def content(cls, model: ModelInfo) -> str:
        """Return the digest of the files that `model` answers from."""
        return content_digest(model)

    @classmethod
    def check(cls, models: Iterable[ModelInfo]) -> None:
        """See that the recordings of `models` can be had; models of other providers are ignored.

        Raises:
            DataMissingError: naming the files that are not there, and where to get them.
            ConfigError: if a file is not what its card says.
        """
        own = [m for m in models if m.provider_name == "recorded"]
        missing: dict[str, list[tuple[ModelInfo, str]]] = {}
        for model in own:
            for file in _recording(model).files:
                if _find(model, file) is None:
                    missing.setdefault(model.model_id.partition("/")[0], []).append((model, file))
        if missing:
            raise DataMissingError(*(_missing(*found[0], len(found)) for found in missing.values()))
        for model in own:
            _load(model)

    def _answers(self) -> Answers:
        if self._known is None:
            try:
                digest, self._known = _load(self.model)
            except ConfigError as error:
                raise ProviderError(str(error)) from None
            if self._digest is not None and digest != self._digest:
                self._known = None
                raise ProviderError(f"{self.model.model_id}: the recording changed during the run")
        return self._known

    def _sample_number(self, call: Call, item: str) -> int:
        try:
            return sample_number(call.replica, call.draw)
        except ValueError as error:
            raise ProviderError(f"{self.model.model_id}, item {item!r}: {error}") from None


# What was recorded are answers to items; a verdict on a candidate would have to quote it.
_RECORDED_ROLE: Final = "generate"


def content_digest(model: ModelInfo) -> str:
    """Return the hex digest of the files that `model` answers from.

    Raises:
        DataMissingError: if one is not there.
    """
    return _combined([recordings.digest(path) for path in _paths(model)])


def sample_number(replica: str, draw: Draw) -> int:
    """Return which of an item's samples, from 0, is the answer to a call at this place.

    Raises:
        ValueError: where neither the replica nor the draw alone numbers the samples.
    """
    # A module made on the fly belongs to its node (`node/made`) and is the only one there.
    made = int(replica) if replica.isdecimal() else 0
    if len(draw) > 1 or (made and draw):
        at = ".".join(map(str, draw))
        raise ValueError(
            f"replica {replica} asks for draw {at}, and recorded samples are numbered along "
            "one of the two only: the members of one ensemble, or the draws of one loop"
        )
    return made or (draw[0] if draw else 0)


@lru_cache(maxsize=4096)
def _order(item: str, epoch: int, samples: int) -> tuple[int, ...]:
    """Return the order in which an epoch sees an item's samples."""
    order = list(range(samples))
    random.Random(f"{epoch} {item}").shuffle(order)
    return tuple(order)


def _recording(model: ModelInfo) -> Recording:
    try:
        return Recording.model_validate(model.options)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("options", *first["loc"])))
        raise ConfigError(f"{model.model_id}: {where}: {first['msg']}") from None


def _load(model: ModelInfo) -> tuple[str, Answers]:
    """Return the digest of the model's files and what it answered."""
    recording = _recording(model)
    tables = [recordings.table(path, recording.layout) for path in _paths(model)]
    answers = merge(tables, recording.recorded_as)
    if answers is None:
        named = {name for table in tables for name in table.models}
        near = did_you_mean(recording.recorded_as, named)
        raise ConfigError(
            f"{model.model_id}: no record of model {recording.recorded_as!r} "
            f"in {', '.join(recording.files)}{near}"
        )
    return _combined([table.digest for table in tables]), answers


def _combined(digests: list[str]) -> str:
    if len(digests) == 1:
        return digests[0]
    return sha256("".join(digests).encode()).hexdigest()[:32]


def _paths(model: ModelInfo) -> list[Path]:
    paths = []
    for file in _recording(model).files:
        if (path := _find(model, file)) is None:
            raise DataMissingError(_missing(model, file, 1))
        paths.append(path)
    return paths


def _find(model: ModelInfo, file: str) -> Path | None:
    return next((path for path in _candidates(model, file) if path.is_file()), None)


def _candidates(model: ModelInfo, file: str) -> Iterator[Path]:
    if (folder := data_dir()) is not None:
        yield folder / file
    beside = model.folder if isinstance(model, RecordedModel) else None
    yield (beside or Path.cwd()) / file


def _missing(model: ModelInfo, file: str, count: int) -> Problem:
    looked = " and ".join(str(path) for path in _candidates(model, file))
    message = f"{model.model_id}: the recording {file} is not there (looked for {looked})"
    if count > 1:
        message += f", and neither are {count - 1} more of its set"
    source = model.available_from if isinstance(model, RecordedModel) else None
    if source is not None:
        message += f". Get it from {source}"
    return Problem(
        f"{message}. Then say where it is with --data-dir DIR or {DATA_DIR_VARIABLE}=DIR, "
        f"so that DIR/{file} exists"
    )


def _model(card: RecordedSet, name: str, folder: Path) -> RecordedModel:
    options: dict[str, Any] = {
        "files": [file.replace("{model}", name) for file in card.files],
        "fields": card.fields.model_dump(exclude_none=True),
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


def _contradictions(card: RecordedSet, document: Document) -> Iterator[Problem]:
    """Yield what is wrong between fields that are right each for itself."""
    for i, name in enumerate(card.models):
        if name in card.models[:i]:
            yield document.problem(f"model {name!r} is listed twice", "models", i)
    for i, file in enumerate(card.files):
        at = ("files",) if isinstance(document.data["files"], str) else ("files", i)
        if unknown := set(re.findall(r"\{(\w*)\}", file)) - {"model"}:
            yield document.problem(f"unknown placeholder {{{min(unknown)}}}; known: {{model}}", *at)
        if not file.removesuffix(".gz").endswith(SUFFIXES):
            known = ", ".join(SUFFIXES)
            yield document.problem(f"expected a file of {known}, gzipped (.gz) or not", *at)
        if len(card.models) > 1 and card.fields.model is None and "{model}" not in file:
            yield document.problem(
                "nothing tells the models apart: put {model} into the file's name, "
                "or name the field of the model in `fields`",
                *at,
            )
    if card.fields.model is None and "recorded_as" in card.model_fields_set:
        yield document.problem("`recorded_as` needs `model` in `fields`", "recorded_as")
    for name in card.cost:
        if name not in card.models:
            error = UnknownNameError("model", name, card.models)
            yield document.problem(str(error), "cost", name)
    if card.cost and None in (card.fields.input_tokens, card.fields.output_tokens):
        yield document.problem(
            "prices need recorded tokens: name `input_tokens` and `output_tokens` in `fields`",
            "cost",
        )


def _count(samples: int) -> str:
    return f"{samples} recorded sample{'' if samples == 1 else 's'}"

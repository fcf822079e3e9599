"""Models whose answers were recorded: `recorded:SET/MODEL` answers by item, draw and epoch.

The samples of an item have one order, a permutation fixed by model and item: files are often
sorted, so the first sample is no random draw. In an experiment of E epochs, draw n in epoch e is
sample n * E + e of that order, all counted from 0. So no sample is used twice, D draws in E epochs
use the first D * E samples, and the draws of a small ensemble are among those of a large one.

The prompt is not read, so a recording can be replayed through any architecture that asks for an
answer to the item. What was recorded of tokens, dollars and seconds comes with the answer; what
was not is not made up: an unknown cost is None, and so is an unknown latency (which counts as no
time at all in a trial's latency).
"""

from __future__ import annotations

import re
from hashlib import blake2b, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

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
    Samples,
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
    """Answers with what a model was recorded to answer; see the module's docstring.

    Draws are numbered from 0, by the replica in an ensemble or by the draw in a loop.
    """

    instant: ClassVar[bool] = True
    replays: ClassVar[bool] = True

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        self._recording = _recording(model)
        self._digest: str | None = None
        self._known: Answers | None = None
        self._drawn: Answers = {}

    async def complete(self, call: Call) -> Completion:
        """Return the recorded sample."""
        model_id, trial = self.model.model_id, call.trial
        number = self._number(call)
        if trial.subject is None:
            raise ProviderError(f"{model_id} answers by item, and this call is not about one")
        if trial.epoch >= trial.epochs:
            raise ProviderError(
                f"{model_id}: epoch {trial.epoch}, counted from 0, is not among {trial.epochs}"
            )
        samples = self._samples(trial.subject.id)
        place = number * trial.epochs + trial.epoch
        if place >= len(samples):
            raise ProviderError(
                f"{model_id} has {_count(len(samples))} of item {trial.subject.id!r}; draw "
                f"{number} in epoch {trial.epoch} of {trial.epochs} needs {place + 1}"
            )
        return samples[place]

    def context(self, trial: TrialContext) -> str:
        """Return the digest of the recording, the number of epochs and the item's id."""
        if self._digest is None:
            self._digest = content_digest(self.model)
        content = f"{_ORDER} {self._digest}"
        if trial.subject is None:
            return content
        return f"{content} {trial.epochs} {trial.subject.id}"

    def samples_needed(self, call: Call) -> int:
        """Return the number of samples for the draws up to that of `call`, in all epochs."""
        return (self._number(call) + 1) * call.trial.epochs

    def samples_of(self, item: str) -> int:
        """Return the number of recorded samples of an item."""
        return len(self._answers().get(item, ()))

    @classmethod
    def models_of(cls, document: Document) -> list[ModelInfo]:
        """Return a model for each that the card lists."""
        card = document.parse(RecordedSet)
        if problems := list(_contradictions(card, document)):
            raise ConfigError(*problems)
        return [_model(card, name, document.path.parent) for name in card.models]

    @classmethod
    def content(cls, model: ModelInfo) -> str:
        """Return the digest of the files that `model` answers from, and how they are drawn."""
        return f"{_ORDER} {content_digest(model)}"

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

    def _samples(self, item: str) -> Samples:
        """Return the samples of an item in the order in which they are handed out."""
        samples = self._answers().get(item, ())
        if len(samples) < 2:
            return samples
        if (drawn := self._drawn.get(item)) is None:
            order = sample_order(self.model.model_id, item, len(samples))
            drawn = self._drawn[item] = tuple(samples[number] for number in order)
        return drawn

    def _number(self, call: Call) -> int:
        """Return the number of the draw that `call` is."""
        model_id, role = self.model.model_id, call.request.role
        if role != _RECORDED_ROLE:
            raise ProviderError(f"{model_id} has answers to items; it cannot be asked to {role}")
        try:
            return draw_number(call.replica, call.draw)
        except ValueError as error:
            raise ProviderError(f"{model_id}: {error}") from None


# Part of the identity of calls and cells: raise it when a draw and an epoch get another sample.
_ORDER: Final = "permuted@1"
# What was recorded are answers to items; a verdict on a candidate would have to quote it.
_RECORDED_ROLE: Final = "generate"


def content_digest(model: ModelInfo) -> str:
    """Return the hex digest of the files that `model` answers from.

    Raises:
        DataMissingError: if one is not there.
    """
    return _combined([recordings.digest(path) for path in _paths(model)])


def draw_number(replica: str, draw: Draw) -> int:
    """Return the number, from 0, of the draw that a call at this place is among an item's draws.

    Raises:
        ValueError: where neither the replica nor the draw alone numbers the draws.
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


def sample_order(model_id: str, item: str, samples: int) -> list[int]:
    """Return a permutation of the numbers of an item's samples, fixed by model and item.

    It is the order of hashes, as shuffles of the standard library may change with its version.
    """
    seed = f"{model_id}\n{item}".encode()
    return sorted(range(samples), key=lambda number: blake2b(b"%d\n%b" % (number, seed)).digest())


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

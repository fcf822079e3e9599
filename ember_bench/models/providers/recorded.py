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

from hashlib import blake2b, sha256
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from ember_bench.errors import (
    ConfigError,
    DataMissingError,
    Problem,
    ProviderError,
    did_you_mean,
)
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.base import Provider, provider
from ember_bench.models.recorded.card import (
    RecordedModel,
    RecordedSet,
    contradictions,
    model_of,
    recording_of,
)
from ember_bench.models.recorded.data_dir import DATA_DIR_VARIABLE, data_dir
from ember_bench.models.recorded.files import Samples, Tape, merge, recordings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ember_bench.documents import Document
    from ember_bench.models.call import Call
    from ember_bench.models.strand import Draw, TrialContext
    from ember_bench.models.types import Completion


@provider("recorded")
class Recorded(Provider):
    """Answers with what a model was recorded to answer; see the module's docstring.

    Draws are numbered from 0, by the replica in an ensemble or by the draw in a loop.
    """

    instant: ClassVar[bool] = True
    replays: ClassVar[bool] = True

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        self._recording = recording_of(model)
        self._digest: str | None = None
        self._known: Tape | None = None
        self._drawn: dict[str, Samples] = {}

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
        return len(self._tape().answers.get(item, ()))

    def question_of(self, item: str) -> str | None:
        """Return the text of an item's question, if it was recorded."""
        return self._tape().questions.get(item)

    @property
    def has_texts(self) -> bool:
        """Whether answers were recorded, and not their scores alone."""
        return self._recording.fields.answer is not None

    @classmethod
    def models_of(cls, document: Document) -> list[ModelInfo]:
        """Return a model for each that the card lists."""
        card = document.parse(RecordedSet)
        if problems := list(contradictions(card, document)):
            raise ConfigError(*problems)
        return [model_of(card, name, document.path.parent) for name in card.models]

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
            for file in recording_of(model).files:
                if _find(model, file) is None:
                    missing.setdefault(model.model_id.partition("/")[0], []).append((model, file))
        if missing:
            raise DataMissingError(*(_missing(*found[0], len(found)) for found in missing.values()))
        for model in own:
            tape_of(model)

    def _tape(self) -> Tape:
        if self._known is None:
            try:
                digest, self._known = tape_of(self.model)
            except ConfigError as error:
                raise ProviderError(str(error)) from None
            if self._digest is not None and digest != self._digest:
                self._known = None
                raise ProviderError(f"{self.model.model_id}: the recording changed during the run")
        return self._known

    def _samples(self, item: str) -> Samples:
        """Return the samples of an item in the order in which they are handed out."""
        samples = self._tape().answers.get(item, ())
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


def tape_of(model: ModelInfo) -> tuple[str, Tape]:
    """Return the digest of the model's files and what it answered.

    Raises:
        ConfigError: if the files are not there, or not what the card says.
    """
    recording = recording_of(model)
    layout = recording.file_layout
    tables = [recordings.table(path, layout) for path in _paths(model)]
    tape = merge(tables, recording.recorded_as)
    if tape is None:
        named = {name for table in tables for name in table.models}
        near = did_you_mean(recording.recorded_as, named)
        raise ConfigError(
            f"{model.model_id}: no record of model {recording.recorded_as!r} "
            f"in {', '.join(recording.files)}{near}"
        )
    return _combined([table.digest for table in tables]), tape


def _combined(digests: list[str]) -> str:
    if len(digests) == 1:
        return digests[0]
    return sha256("".join(digests).encode()).hexdigest()[:32]


def _paths(model: ModelInfo) -> list[Path]:
    paths = []
    for file in recording_of(model).files:
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


def _count(samples: int) -> str:
    return f"{samples} recorded sample{'' if samples == 1 else 's'}"

"""Models whose answers were recorded: `recorded:SET/MODEL` answers by item, draw and epoch.

The samples of an item have one order, a permutation fixed by model and item: files are often
sorted, so the first sample is no random draw. In an experiment of E epochs, draw n in epoch e is
sample n * E + e of that order, all counted from 0. So no sample is used twice, D draws in E epochs
use the first D * E samples, and the draws of a small ensemble are among those of a large one.

The prompt is not read, so a recording can be replayed through any architecture that asks for an
answer to the item. Calls in other roles (`verify`, `debate`, ...) are answered if they were
recorded, too (`models.recorded.replay`). What was recorded of tokens, dollars and seconds comes
with the answer; what was not is not made up: an unknown cost is None, and so is an unknown latency
(which counts as no time at all in a trial's latency).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, ClassVar, Final

from ember_bench.errors import ConfigError, DataMissingError, ProviderError
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.base import Provider, provider
from ember_bench.models.recorded.card import RecordedSet, contradictions, model_of, recording_of
from ember_bench.models.recorded.fields import GENERATE
from ember_bench.models.recorded.finding import (
    NOTHING,
    content_digest,
    files_of,
    find,
    missing_file,
    tape_of,
)
from ember_bench.models.recorded.places import Place, Source
from ember_bench.models.recorded.replay import Replay
from ember_bench.models.recorded.tapes import Tape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ember_bench.documents import Document
    from ember_bench.models.call import Call
    from ember_bench.models.strand import TrialContext
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
        self._source: Source | None = None
        self._tapes: dict[str, Tape] = {}
        self._replays: dict[str, Replay] = {}

    async def complete(self, call: Call) -> Completion:
        """Return the recorded sample."""
        return self.replay(call)[0]

    def replay(self, call: Call) -> tuple[Completion, Place | None]:
        """Return the recorded sample and its place."""
        completion, number = self._replay(call.request.role).answer(call)
        if self._source is None:
            self._source = Source.of(self.model, content_digest(self.model))
        subject = call.trial.subject
        item = "" if subject is None else subject.id
        return completion, Place(self._source, item, number)

    def context(self, trial: TrialContext) -> str:
        """Return the digest of the recording, the number of epochs and the item's id."""
        if self._digest is None:
            self._digest = content_digest(self.model)
        content = f"{_ORDER} {self._digest}"
        if trial.subject is None:
            return content
        return f"{content} {trial.epochs} {trial.subject.id}"

    def by_turn(self, role: str) -> bool:
        """Return whether an answer depends on more than the item, the replica and the draw."""
        fields = self._recording.fields
        return role != GENERATE or (fields is not None and fields.about is not None)

    def samples_needed(self, call: Call) -> int:
        """Return the number of samples for the draws up to that of `call`, in all epochs.

        0 for a call that is not about the item alone: what it needs is seen by making it.
        """
        replay = self._replay(call.request.role)
        if self.by_turn(call.request.role):
            return 0
        return (replay.number(call) + 1) * call.trial.epochs

    def some_items(self) -> tuple[str, ...]:
        """Return the ids of the first items."""
        return tuple(islice(self._tape(GENERATE).answers, 2))

    def samples_of(self, item: str) -> int:
        """Return the number of recorded samples of an item."""
        return len(self._tape(GENERATE).answers.get(item, ()))

    def question_of(self, item: str) -> str | None:
        """Return the text of an item's question, if it was recorded."""
        roles = [role for role, _ in self._recording.every_role]
        asked = (self._tape(role).questions.get(item) for role in roles)
        return next((question for question in asked if question is not None), None)

    @property
    def has_texts(self) -> bool:
        """Whether answers were recorded, and not their scores alone."""
        fields = self._recording.fields
        return fields is None or fields.answer is not None

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
            for file in files_of(model):
                if not find(model, file):
                    missing.setdefault(model.model_id.partition("/")[0], []).append((model, file))
        if missing:
            raise DataMissingError(
                *(missing_file(*found[0], len(found)) for found in missing.values())
            )
        for model in own:
            for role, _ in recording_of(model).every_role:
                tape_of(model, role)

    def _tape(self, role: str) -> Tape:
        if role not in self._tapes:
            if self._recording.of(role) is None:
                return NOTHING
            try:
                tape, digest = tape_of(self.model, role), content_digest(self.model)
            except ConfigError as error:
                raise ProviderError(str(error)) from None
            if self._digest is not None and digest != self._digest:
                raise ProviderError(f"{self.model.model_id}: the recording changed during the run")
            self._tapes[role] = tape
        return self._tapes[role]

    def _replay(self, role: str) -> Replay:
        """Return the answers in a role.

        Raises:
            ProviderError: if none were recorded.
        """
        if role not in self._replays:
            model_id, recorded = self.model.model_id, self._recording
            if recorded.of(role) is None:
                has = " and ".join(_HAS.get(name, f"{name!r}") for name, _ in recorded.every_role)
                raise ProviderError(f"{model_id} has {has}; it cannot be asked to {role}")
            answers = None if recorded.fields is None else self._tape(GENERATE)
            self._replays[role] = Replay(model_id, role, self._tape(role), answers)
        return self._replays[role]


_HAS: Final = {GENERATE: "answers to items"}
# Part of the identity of calls and cells: raise it when a draw and an epoch get another sample.
_ORDER: Final = "permuted@1"

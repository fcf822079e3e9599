"""Places of answers in recordings, by which they are read again instead of being copied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ember_bench.errors import ConfigError
from ember_bench.models.recorded.card import RecordedModel
from ember_bench.models.recorded.data_dir import data_dir
from ember_bench.models.recorded.finding import content_digest, files_of, tape_of

if TYPE_CHECKING:
    from ember_bench.models.info import ModelInfo
    from ember_bench.models.recorded.tapes import Tape
    from ember_bench.models.types import Completion


class Source(msgspec.Struct, frozen=True):
    """A recording that answers were read from, with all that it takes to read them again.

    Attributes:
        model: Id of the model.
        digest: Of the content of its files (`content_digest`).
        options: The model's options as JSON: files, fields, layout.
        folder: Folder of its card, absolute.
        data: The folder of recorded data at that time, absolute; None if there was none.
    """

    model: str
    digest: str
    options: str
    folder: str
    data: str | None

    @classmethod
    def of(cls, model: ModelInfo, digest: str) -> Source:
        """Return the recording of a model, of which the digest is known."""
        beside = model.folder if isinstance(model, RecordedModel) else None
        data = data_dir()
        return cls(
            model.model_id,
            digest,
            msgspec.json.encode(model.options, order="deterministic").decode(),
            str((beside or Path.cwd()).absolute()),
            None if data is None else str(data.absolute()),
        )


class Place(msgspec.Struct, frozen=True, gc=False):
    """The place of one answer in a recording.

    Attributes:
        item: Id of the item.
        number: Of the sample among those of the item in the role of the call (`Tape.samples`).
    """

    source: Source
    item: str
    number: int


class RecordedAnswers:
    """Reads answers by their places; what a recording has is looked at once."""

    def __init__(self) -> None:
        self._tapes: dict[tuple[Source, str], Tape | ConfigError] = {}

    def at(self, place: Place, role: str) -> Completion:
        """Return the answer at a place, to a call in a role.

        Raises:
            DataMissingError: if the recording is not there any more.
            ConfigError: if it is another one than the answer was read from.
        """
        key = place.source, role
        if (found := self._tapes.get(key)) is None:
            found = self._tapes[key] = _tape(*key)
        if isinstance(found, ConfigError):
            raise type(found)(*found.problems)
        return found.samples(place.item)[place.number]


def _tape(source: Source, role: str) -> Tape | ConfigError:
    """Return what was recorded in a role, or the error, which the next answer has as well."""
    options: dict[str, Any] = msgspec.json.decode(source.options)
    model = RecordedModel(
        model_id=source.model,
        options=options,
        folder=Path(source.folder),
        data=None if source.data is None else Path(source.data),
    )
    try:
        if content_digest(model) != source.digest:
            raise ConfigError(
                f"{source.model}: the recording {', '.join(files_of(model))} has changed since"
                " answers were read from it, which stand in it alone; put the earlier one back, or"
                " run the grid again"
            )
        return tape_of(model, role)
    except ConfigError as error:
        return error

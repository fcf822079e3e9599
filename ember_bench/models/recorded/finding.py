"""The files of recorded models: where they are, and what stands in them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ember_bench.errors import ConfigError, DataMissingError, Problem, did_you_mean
from ember_bench.models.info import ModelInfo
from ember_bench.models.recorded.card import RecordedModel, recording_of
from ember_bench.models.recorded.data_dir import DATA_DIR_VARIABLE, data_dir
from ember_bench.models.recorded.fields import GENERATE
from ember_bench.models.recorded.files import recordings
from ember_bench.models.recorded.layouts import matching, starred
from ember_bench.models.recorded.tapes import Tape, merge

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTHING: Final = Tape()


def content_digest(model: ModelInfo) -> str:
    """Return the hex digest of the files that `model` answers from.

    Raises:
        DataMissingError: if one is not there.
    """
    return _combined(
        [recordings.digest(path) for file in files_of(model) for path in _paths(model, file)]
    )


def tape_of(model: ModelInfo, role: str = GENERATE) -> Tape:
    """Return what the model answered in a role; nothing if that was not recorded.

    Raises:
        ConfigError: if the files are not there, or not what the card says.
    """
    recording = recording_of(model).of(role)
    if recording is None:
        return NOTHING
    layout = recording.file_layout
    tables = [
        recordings.table(path, layout, starred(file, path))
        for file in recording.files
        for path in _paths(model, file)
    ]
    samples = layout.reading.files_hold == "samples"
    tape = merge(tables, recording.recorded_as, samples=samples)
    if tape is None:
        named = {name for table in tables for name in table.models}
        whose = near = ""
        if layout.fields.model is not None:
            near = did_you_mean(recording.recorded_as, named)
            whose = f" of model {recording.recorded_as!r}"
        passed = " that passes `where`" if layout.where else ""
        raise ConfigError(
            f"{model.model_id}: no record{whose}{passed} in {', '.join(recording.files)}{near}"
        )
    return tape


def files_of(model: ModelInfo) -> list[str]:
    """Return the files of a model, in all its roles."""
    found = recording_of(model)
    return list(dict.fromkeys(file for _, one in found.every_role for file in one.files))


def _combined(digests: list[str]) -> str:
    if len(digests) == 1:
        return digests[0]
    return sha256("".join(digests).encode()).hexdigest()[:32]


def _paths(model: ModelInfo, file: str) -> list[Path]:
    """Return the files of a name, in the order of theirs if it is a pattern.

    Raises:
        DataMissingError: if there is none.
    """
    if found := find(model, file):
        return found
    raise DataMissingError(missing_file(model, file, 1))


def find(model: ModelInfo, file: str) -> list[Path]:
    """Return the files of a name, in order if it is a pattern; none if there are none."""
    for path in _candidates(model, file):
        found = matching(path) if "*" in file else [path] * path.is_file()
        if found:
            return found
    return []


def _candidates(model: ModelInfo, file: str) -> Iterator[Path]:
    if (folder := data_dir()) is not None:
        yield folder / file
    beside = model.folder if isinstance(model, RecordedModel) else None
    yield (beside or Path.cwd()) / file
    if isinstance(model, RecordedModel) and model.data is not None:
        yield model.data / file


def missing_file(model: ModelInfo, file: str, count: int) -> Problem:
    """Return what to say of a file that is not there, the first of so many."""
    looked = " and ".join(dict.fromkeys(str(path) for path in _candidates(model, file)))
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

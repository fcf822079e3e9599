"""An experiment with all it stands on as one file, for another machine.

An archive is a zip file. `archive.json` has the digest of each other file. `results/` are the trial
store, the answers that its trials used, and the written summary. `experiments/` and `registry/` are
the grid, and the cards, code and data of the registries that people have made for it.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

import msgspec

from ember_bench import __version__
from ember_bench.errors import ConfigError
from ember_bench.experiment.lock import locked
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.snapshot import copy_answers, copy_trials
from ember_bench.files import written
from ember_bench.models.store.merging import merge_responses
from ember_bench.registry import Cards, default_roots
from ember_bench.running.find_results import grid_of
from ember_bench.running.merge import merge
from ember_bench.running.new_cards import GRIDS, REGISTRY
from ember_bench.running.places import RESPONSES, STUDY, SUMMARY, SUMMARY_TEXT, TRIALS

_MANIFEST: Final = "archive.json"
_FORMAT: Final = 1
_RESULTS: Final = "results"
_TOP: Final = (_RESULTS, GRIDS.name, REGISTRY.name)
_BESIDE: Final = (SUMMARY, SUMMARY_TEXT, STUDY)
_SHOWN: Final = 5
_UNREADABLE: Final = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError,
    NotImplementedError,  # an unknown compression
    RuntimeError,  # a password
)  # fmt: skip
"""What `zipfile` raises of a file that is damaged, or none of ours."""


class _Manifest(msgspec.Struct, frozen=True):
    """The file `archive.json`: digests are SHA-256, by path in the archive."""

    format: int
    ember_bench: str
    experiment: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What was taken out of an archive.

    Attributes:
        experiment: Its name.
        written: The files of grid, cards, code and data that were not here before.
        merged: Whether results of the experiment were here, and its own were added to them.
    """

    experiment: str
    written: tuple[Path, ...]
    merged: bool


def write_archive(trials: Path, file: BinaryIO) -> list[str]:
    """Write the archive of an experiment; return sentences about what is not in it.

    A run may go on meanwhile: the archive has the trials of one moment.

    Args:
        trials: The trial store.
        file: The archive.

    Raises:
        StoreError: if a store cannot be read.
    """
    name, responses = trials.parent.name, trials.parent.parent / RESPONSES
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        copied, answers = Path(temporary, TRIALS), Path(temporary, RESPONSES)
        copy_trials(trials, copied)
        contents = {f"{_RESULTS}/{name}/{TRIALS}": copied}
        if responses.is_file():
            copy_answers(copied, responses, answers)
            contents[f"{_RESULTS}/{RESPONSES}"] = answers
        else:
            notes.append(f"{responses} is not there: the archive has no answers of models")
        for beside in _BESIDE:
            if (trials.parent / beside).is_file():
                contents[f"{_RESULTS}/{name}/{beside}"] = trials.parent / beside
        rows = StoredTrials(copied)
        stack.callback(rows.close)
        contents |= dict(_definitions(rows, notes))
        _write(file, name, contents)
    return notes


def _definitions(rows: StoredTrials, notes: list[str]) -> Iterator[tuple[str, Path]]:
    """Yield the grid and the files of its registries, by their paths in the archive."""
    try:
        grid, _ = grid_of(rows)
    except ConfigError as error:
        notes.append(f"the archive has no grid and no cards: {error}")
        return
    yield f"{GRIDS.name}/{rows.description.name}.yaml", grid
    roots = {grid.resolve().parent / REGISTRY.name: f"{GRIDS.name}/{REGISTRY.name}"}
    roots[REGISTRY.resolve()] = REGISTRY.name
    packed: set[Path] = set()
    for root, place in roots.items():
        for path in sorted(root.rglob("*")):
            parts = path.relative_to(root).parts
            hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
            if path.is_file() and not hidden and path.resolve() not in packed:
                packed.add(path.resolve())
                yield f"{place}/{'/'.join(parts)}", path
    cards = Cards(default_roots(grid)).all("datasets")
    for dataset in rows.description.datasets:
        card = cards.get(dataset.name)
        source = card.document.data.get("source") if card else None
        named = source.get("file") if isinstance(source, Mapping) else None
        if card is not None and isinstance(named, str) and card.registry.resolve() in roots:
            data = (Path(card.document.path).parent / named).resolve()
            if data not in packed:
                notes.append(f"{data} is outside of the registry, and not in the archive")


def _write(file: BinaryIO, name: str, contents: Mapping[str, Path]) -> None:
    digests = {place: _digest(path) for place, path in sorted(contents.items())}
    manifest = _Manifest(_FORMAT, __version__, name, digests)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        for place in digests:
            archive.write(contents[place], place)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        found = sha256()
        while chunk := file.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()


def code_in(path: Path) -> list[str]:
    """Return the paths of the Python files in an archive, which run when its registry is read.

    Raises:
        ConfigError: if it is no archive.
    """
    with _opened(path) as archive:
        return [place for place in _manifest(path, archive).files if place.endswith(".py")]


def unpack(path: Path, results: Path) -> Unpacked:
    """Add an archive's results to the folder `results`, its grid and cards to this folder.

    Results of the experiment that are here already are merged with those of the archive. Files that
    are here with the same content stay.

    Raises:
        ConfigError: if it is no archive, or something here has another content; then nothing is
            written.
        StoreError: if a store cannot be read or written.
    """
    with _opened(path) as archive, ExitStack() as stack:
        manifest = _manifest(path, archive)
        results.mkdir(parents=True, exist_ok=True)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=results)))
        for place, digest in manifest.files.items():
            _extract(path, archive, place, folder)
            if _digest(folder / place) != digest:
                raise ConfigError(f"{path}: is damaged: {place} is not what was written there")
        new = [place for place in manifest.files if _is_new(path, folder, place)]
        merged = _take_results(folder / _RESULTS, manifest.experiment, results)
        for place in new:
            target = Path(*PurePosixPath(place).parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with written(target) as file, (folder / place).open("rb") as source:
                shutil.copyfileobj(source, file)
        taken = tuple(Path(*PurePosixPath(place).parts) for place in new)
    return Unpacked(manifest.experiment, taken, merged)


def _extract(path: Path, archive: zipfile.ZipFile, place: str, folder: Path) -> None:
    try:
        archive.extract(place, folder)
    except _UNREADABLE as error:
        raise ConfigError(f"{path}: is damaged: {place} cannot be read: {error}") from None


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except _UNREADABLE:
        raise ConfigError(f"{path}: no archive of an experiment") from None


def _manifest(path: Path, archive: zipfile.ZipFile) -> _Manifest:
    """Return the manifest; all its paths are in folders that an archive has.

    Raises:
        ConfigError: if it is none of this version, or names other files than there are.
    """
    try:
        found = msgspec.json.decode(archive.read(_MANIFEST), type=_Manifest)
    # OSError: it is said to stand before the begin of the file.
    except (KeyError, OSError, msgspec.MsgspecError, *_UNREADABLE):
        raise ConfigError(f"{path}: no archive of an experiment") from None
    if found.format != _FORMAT:
        raise ConfigError(
            f"{path}: is of format {found.format} (ember-bench {found.ember_bench}); this version"
            f" reads {_FORMAT}"
        )
    places = set(archive.namelist()) - {_MANIFEST}
    strange = [place for place in (*found.files, found.experiment) if not _is_inside(place)]
    if places != set(found.files) or strange or "/" in found.experiment:
        raise ConfigError(f"{path}: is damaged: its files are not those of its {_MANIFEST}")
    return found


def _is_inside(place: str) -> bool:
    parts = PurePosixPath(place).parts
    plain = all(part not in ("..", "/") and "\\" not in part for part in parts)
    return plain and (len(parts) == 1 or parts[0] in _TOP)


def _is_new(path: Path, folder: Path, place: str) -> bool:
    """Whether a file of grid or cards is not here yet.

    Raises:
        ConfigError: if another one is.
    """
    if PurePosixPath(place).parts[0] == _RESULTS:
        return False
    here = Path(*PurePosixPath(place).parts)
    if not here.exists():
        return True
    if not here.is_file() or _digest(here) != _digest(folder / place):
        raise ConfigError(
            f"{here} is here with another content than in {path}; import it in another folder, or"
            " move the file away. Nothing was written"
        )
    return False


def _take_results(found: Path, name: str, results: Path) -> bool:
    """Move or merge the results; return whether there were some of the experiment."""
    if (results / name).exists():
        merge(results, found)
        return True
    if (found / RESPONSES).is_file():
        merge_responses(results / RESPONSES, found / RESPONSES)
    (results / name).mkdir()
    with locked(results / name):
        for file in sorted((found / name).iterdir()):
            file.rename(results / name / file.name)
    return False

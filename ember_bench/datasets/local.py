"""Records of local files: beside the card, or in the folder of recorded data."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from ember_bench.datasets.formats import Layout, open_records
from ember_bench.datasets.records import Records, joined
from ember_bench.datasets.sources import Opening, record_source
from ember_bench.errors import ConfigError, DataMissingError, did_you_mean
from ember_bench.models.recorded import data_dir as recorded_data
from ember_bench.models.recorded.data_dir import Text
from ember_bench.models.recorded.fields import FILE
from ember_bench.models.recorded.layouts import matching, starred


class FileOptions(Layout):
    """A file of records; a path alone stands for `path`."""

    path: Text
    """A path that ends in `.jsonl`, `.json`, `.csv`, `.tsv` (each also with `.gz`, `.bz2`, `.xz`,
    `.zst` or `.zip`) or `.parquet`. `items/*.json` is every such file, one after the other; what
    stands for the `*` is the field `file` of its records."""


def _inside(options: FileOptions) -> FileOptions:
    path = PurePosixPath(options.path)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("expected a path inside the data directory")
    return options


def _path_alone(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


_File = Annotated[
    FileOptions, BeforeValidator(_path_alone, json_schema_input_type=Text | FileOptions)
]


@record_source("file", _File)
def open_file(options: FileOptions, opening: Opening) -> Records:
    """A path relative to the card.

    Raises:
        ConfigError: if there is no such file, or it cannot be read.
    """
    path = opening.folder / options.path
    if (several := _several(path, options, opening)) is not None:
        return several
    if not path.is_file():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = did_you_mean(path.name, siblings) if siblings else "; nor is there such a folder"
        raise ConfigError(opening.problem(f"there is no file {path}{near}"))
    return open_records(path, options, wanted=opening.wanted)


@record_source("data", Annotated[_File, AfterValidator(_inside)])
def open_data(options: FileOptions, opening: Opening) -> Records:
    """A path relative to the data directory.

    Raises:
        DataMissingError: if the file is not on this machine; says where to get it.
        ConfigError: if it cannot be read.
    """
    relative, folder = options.path, opening.data_dir or recorded_data.data_dir()
    if folder and (several := _several(folder / relative, options, opening)) is not None:
        return several
    if folder is None or not (folder / relative).is_file():
        raise DataMissingError(opening.problem(_missing(relative, folder, opening)))
    records = open_records(folder / relative, options, wanted=opening.wanted)
    return replace(records, source=relative)


def _several(path: Path, options: FileOptions, opening: Opening) -> Records | None:
    """Return the records of all files of a pattern; None of a path that is none, or finds none."""
    if not (paths := matching(path)):
        return None
    inner = opening.wanted - {FILE}
    parts = {
        starred(options.path, one) or "": open_records(one, options, wanted=inner) for one in paths
    }
    revisions = "".join(part.revision for part in parts.values())
    revision = f"sha256:{sha256(revisions.encode()).hexdigest()}"
    return joined(options.path, revision, parts, FILE, own_first=True)


def _missing(relative: str, folder: Path | None, opening: Opening) -> str:
    message = f"dataset {opening.dataset!r} reads recorded data, {relative}, "
    message += f"which is not in {folder}." if folder else "and no data directory is given."
    if opening.available_from is not None:
        message += f" It is available from {opening.available_from}."
    variable = recorded_data.DATA_DIR_VARIABLE
    return f"{message} Give the folder that has {relative} in it with --data-dir or {variable}."

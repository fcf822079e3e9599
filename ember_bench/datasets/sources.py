"""Record sources: functions that open the records of a dataset card, registered by name.

A source of one's own is a function in a `.py` file beside the cards:

    class Query(BaseModel):
        database: str
        table: str

    @record_source("sqlite", Query)
    def open_sqlite(query: Query, opening: Opening) -> Records: ...
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ember_bench.datasets.records import Records
from ember_bench.errors import ConfigError, Location, Problem

if TYPE_CHECKING:
    from types import ModuleType

    from ember_bench.documents import Document
    from ember_bench.models.recorded.data_dir import AvailableFrom

# Modules of the built-in sources.
_BUILT_IN: Final = {
    "hub": "hub",
    "file": "local",
    "data": "local",
    "url": "remote",
    "sql": "database",
    "records": "inline",
    "inspect": "inspect_tasks",
    "lm_eval": "lm_eval_tasks",
    "reasoning_gym": "reasoning_gym_tasks",
}
GENERATED: Final = "generated"
"""The key of a card's source for items that a generator makes."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The circumstances in which a source is opened.

    Attributes:
        name: The source's name.
        dataset: The dataset's name.
        document: The card's file, for the places of mistakes and for relative paths.
        wanted: Fields of a record that the card names; others need not be read.
        available_from: Where the data can be had, if the card says so.
        data_dir: The folder of recorded data, if one is given.
    """

    name: str
    dataset: str
    document: Document
    wanted: frozenset[str] = frozenset()
    available_from: AvailableFrom | None = None
    data_dir: Path | None = None

    @property
    def folder(self) -> Path:
        """The card's folder."""
        return self.document.path.parent

    @property
    def location(self) -> Location:
        """The place of the source in the card."""
        return self.document.at("source", self.name)

    def problem(self, message: str) -> Problem:
        """Return a mistake at the place of the source in the card."""
        return Problem(message, self.location)

    def package(self, module: str, *, extra: str) -> ModuleType:
        """Import a package that an extra of ember-bench installs.

        Raises:
            ConfigError: if it is not installed; says how to install it.
        """
        try:
            return import_module(module)
        except ImportError as error:
            if (error.name or module).partition(".")[0] != module.partition(".")[0]:
                message = f"{module} cannot be imported: {error}"
            else:
                message = f"{self.name} needs another package: pip install 'ember-bench[{extra}]'"
            raise ConfigError(self.problem(message)) from None


OpenRecords = Callable[[Any, Opening], Records]
OpenRecordsT = TypeVar("OpenRecordsT", bound=OpenRecords)


@dataclass(frozen=True, slots=True)
class RecordSource:
    """A registered record source.

    Attributes:
        name: The key of a card's `source`.
        options: A pydantic model or another type that pydantic validates.
        open: `open(options, opening)` returns the records.
        fields: The `fields` of cards that have none; None if cards must have them.
    """

    name: str
    options: Any
    open: OpenRecords
    fields: Mapping[str, Any] | None = field(default=None, hash=False)

    @property
    def purpose(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.open) or "").partition("\n")[0]


_sources: Final[dict[str, RecordSource]] = {}


def record_source(
    name: str, options: Any, *, fields: Mapping[str, Any] | None = None
) -> Callable[[OpenRecordsT], OpenRecordsT]:
    """Register a function as the record source `name`.

    Args:
        name: The key of a card's `source`.
        options: The type of what stands under that key: a pydantic model, or `str`, say.
        fields: The `fields` of cards that have none, if all records are of one shape.

    Raises:
        ConfigError: if the name is taken by another function.
    """

    def register(open_records: OpenRecordsT) -> OpenRecordsT:
        known = _sources.get(name)
        taken = known is not None and _home(known.open) != _home(open_records)
        if taken or name == GENERATED:
            by = f" by {_home(known.open)}" if known is not None else ""
            raise ConfigError(f"record source {name!r} is already registered{by}")
        _sources[name] = RecordSource(name, options, open_records, fields)
        return open_records

    return register


def record_sources() -> dict[str, RecordSource]:
    """Return every registered record source by name, built-in ones first."""
    for module in _BUILT_IN.values():
        import_module(f"ember_bench.datasets.{module}")
    return {name: _sources[name] for name in _BUILT_IN} | _sources


def kept_folder() -> Path:
    """Return the folder in which fetched records are kept: the environment or `HF_HOME` says it."""
    from huggingface_hub.constants import HF_HOME  # noqa: PLC0415 - comes with `datasets`

    return Path(os.environ.get("HF_DATASETS_CACHE") or Path(HF_HOME, "datasets"), "ember_bench")


def _home(function: OpenRecords) -> str:
    return f"{function.__module__}.{function.__qualname__}"

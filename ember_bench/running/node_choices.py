"""How well nodes choose, computed from the grid and kept beside the results."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from ember_bench.errors import EmberBenchError
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results.attribution import ChoiceSummary, attribute
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.files import write
from ember_bench.models.store.response_store import ResponseStore
from ember_bench.running.find_results import Named, answered, grid_of
from ember_bench.running.places import RESPONSES, use_data_dir
from ember_bench.running.session import open_experiment

CHOICES: Final = "choices.json"


class _Kept(msgspec.Struct, frozen=True):
    """The choices of a cell; `trials` changes with anything that can change them."""

    trials: str
    choices: list[ChoiceSummary]


class _Answered(ResponseStore):
    """The response store of trials that were run: all their calls were answered."""

    def knows(self, key: bytes) -> bool:  # noqa: ARG002 - looked up for nothing
        return True


def attributed(
    named: Named,
    data_dir: Path | None,
    experiment: Callable[[], Experiment] | None = None,
) -> Mapping[str, Sequence[ChoiceSummary]]:
    """Return the choices of nodes by the cell's name.

    If the graphs cannot be run, earlier results of the same trials are used.

    Args:
        named: The cells.
        data_dir: The folder of recorded data.
        experiment: Opens the experiment offline; by default its grid is looked for.

    Raises:
        EmberBenchError: if there are no earlier results either; it names what is missing.
    """
    path = named.rows.path.with_name(CHOICES)
    everything = _read(path)
    prints = {cell.name: _print_of(named.rows, cell.name) for cell in named.cells}
    known = {
        name: kept.choices
        for name, print_ in prints.items()
        if (kept := everything.get(name)) is not None and kept.trials == print_
    }
    try:
        found = _found(named, data_dir, experiment)
    except EmberBenchError:
        if not known:
            raise
        return known
    if found:
        new = {name: _Kept(prints[name], choices) for name, choices in found.items()}
        _write(path, everything | new)
    return known | found


def _found(
    named: Named, data_dir: Path | None, opened: Callable[[], Experiment] | None
) -> dict[str, list[ChoiceSummary]]:
    """Run the graphs on stored answers.

    Raises:
        ConfigError: if their grid, or what it takes, is not there.
    """
    if data_dir is not None:
        use_data_dir(data_dir)
    folder = named.rows.path.parent
    answered(folder.name, folder.parent)
    if opened:
        experiment = opened()
    else:
        grid, edits = grid_of(named.rows)
        experiment = open_experiment(grid, offline=True, edits=edits)
    wanted = {cell.name for cell in named.cells}
    store = _Answered(folder.parent / RESPONSES)
    experiment.service.attach(store)
    try:
        return asyncio.run(attribute(experiment, named.rows, wanted))
    finally:
        store.close()


def _print_of(rows: StoredTrials, cell: str) -> str:
    """Return a digest over the stored trials of a cell and their results."""
    content = blake2b(digest_size=16)
    names = ("outcome", "score", "fingerprint")
    for *came_to, print_ in rows.columns(rows.description.places[cell], names):
        content.update(repr(came_to).encode() + print_)
    return content.hexdigest()


def _read(path: Path) -> dict[str, _Kept]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, _Kept])
    except (OSError, msgspec.MsgspecError):  # not there, or of another version
        return {}


def _write(path: Path, kept: Mapping[str, _Kept]) -> None:
    with suppress(OSError):  # results that cannot be written to are read all the same
        write(path, msgspec.json.encode(kept))

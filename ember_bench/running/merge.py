"""Results folders of parts of experiments, merged into one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from ember_bench.drawing.number_format import count
from ember_bench.errors import ConfigError
from ember_bench.experiment.lock import locked
from ember_bench.experiment.merging import Merged, merge_trials, merged_parts
from ember_bench.experiment.results.analysis import Analysis
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.results.summary import ExperimentSummary, RunSummary
from ember_bench.experiment.runner import utc_now
from ember_bench.experiment.shards import Shard
from ember_bench.models.store.merging import merge_responses
from ember_bench.models.store.payments import Paid
from ember_bench.models.store.stored_answers import paid_on
from ember_bench.running.artifacts import write_summary
from ember_bench.running.places import RESPONSES, TRIALS

_MOST_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class MergedExperiment:
    """An experiment in a merged folder.

    Attributes:
        summary: The summary of all its trials there.
        folder: The folder of its files.
        grid: The grid file that it is of; "" for a study.
        missing: Sentences about the trials that no part has done; none if it is complete.
    """

    summary: ExperimentSummary
    folder: Path
    grid: str
    missing: tuple[str, ...]


def merge(into: Path | str, *parts: Path | str) -> list[MergedExperiment]:
    """Merge the results folders `parts` into the folder `into`, and return its experiments.

    The answers and the trials there are the union of those in the parts. What `into` has already
    stays, so that parts can be merged as they come, and the same part again. A folder in which
    trials are missing is completed by a run of its grid.

    Raises:
        ConfigError: if a folder has no results, parts are of different grids, or two parts have
            different contents for the same call or trial. Parts before that one are merged then.
        ResultsLockedError: if another process writes to one of the folders.
        StoreError: if a file in them cannot be used.
    """
    target, sources = Path(into), [Path(part) for part in parts]
    found = _experiments(target, sources)
    began = time.perf_counter()
    with ExitStack() as stack:
        for folder in _folders(target, found):
            stack.enter_context(locked(folder))
        for source, names in found.items():
            responses = source / RESPONSES

            def paid(account: str, responses: Path = responses) -> Paid:
                return paid_on(responses, account)

            merge_responses(target / RESPONSES, responses)
            for name in names:
                merge_trials(target / name / TRIALS, source / name / TRIALS, paid)
        together = dict.fromkeys(name for names in found.values() for name in names)
        return [_summarised(target / name, time.perf_counter() - began) for name in together]


def _experiments(target: Path, sources: Sequence[Path]) -> dict[Path, list[str]]:
    """Return the names of the experiments in each part, in the order of the parts.

    Raises:
        ConfigError: naming each folder that is none with results.
    """
    problems: list[str] = []
    found: dict[Path, list[str]] = {}
    for source in sources:
        names = sorted(path.parent.name for path in source.glob(f"*/{TRIALS}"))
        if not source.is_dir():
            problems.append(f"{source}: there is no such folder")
        elif target.exists() and source.samefile(target):
            problems.append(f"{source}: is the folder that parts are merged into")
        elif (source / TRIALS).is_file():
            problems.append(
                f"{source}: is the folder of one experiment; name the results folder around it,"
                f" {source.parent}"
            )
        elif not names or not (source / RESPONSES).is_file():
            missing = RESPONSES if names else TRIALS
            problems.append(f"{source}: is no results folder of a run: it has no {missing}")
        else:
            found[source] = names
    if problems:
        raise ConfigError(*problems)
    return found


def _folders(target: Path, found: dict[Path, list[str]]) -> Iterator[Path]:
    """Yield each folder of an experiment that nobody may write to meanwhile, once."""
    for name in sorted({name for names in found.values() for name in names}):
        yield target / name
    for source in {source.resolve(): source for source in found}.values():
        for name in found[source]:
            if os.access(source / name, os.W_OK):  # else nobody writes there
                yield source / name


def _summarised(folder: Path, seconds: float) -> MergedExperiment:
    """Write the summary of a merged experiment."""
    with closing(StoredTrials(folder / TRIALS)) as rows:
        grid, parts = rows.description.grid, merged_parts(rows)
        summary = Analysis(rows).summary(RunSummary.partial(started=utc_now()))
    skipped = sum(cell.outcomes["skipped"] for cell in summary.cells)
    run = msgspec.structs.replace(
        summary.run,
        status="partial" if skipped else "complete",
        wall_seconds=seconds,
        trials_kept=sum(cell.scheduled for cell in summary.cells) - skipped,
    )
    summary = msgspec.structs.replace(summary, run=run)
    write_summary(summary, folder)
    return MergedExperiment(summary, folder, grid, tuple(_missing(parts, skipped)))


def _missing(parts: Merged, trials: int) -> Iterator[str]:
    """Yield where trials are missing: in shards that were not merged, or had not ended."""
    if trials <= 0:
        return
    yield f"{count(trials, 'trial')} {'is' if trials == 1 else 'are'} missing"
    shards = [Shard.parse(name) for name in parts.shards]
    if len({shard.count for shard in shards}) == 1:
        numbers = {shard.number for shard in shards}
        absent = [n for n in range(1, shards[0].count + 1) if n not in numbers]
        if absent:
            yield f"no part has {_shards(f'{n}/{shards[0].count}' for n in absent)}"
    for name, lacking in parts.shards.items():
        if lacking:
            yield f"shard {name} lacked {count(lacking, 'trial')} when it was merged"


def _shards(names: Iterable[str]) -> str:
    listed = list(names)
    if len(listed) > _MOST_NAMED:
        return f"{count(len(listed), 'shard')}, such as {', '.join(listed[:3])}"
    return f"shard{'' if len(listed) == 1 else 's'} {', '.join(listed)}"

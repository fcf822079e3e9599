"""A copy of one experiment's trial store and of the stored answers that its trials used."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ember_bench.errors import StoreError
from ember_bench.experiment.merging import merged_parts
from ember_bench.experiment.results.damage import decode_calls
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.trial_store import ACCOUNTS
from ember_bench.models.store.merging import Share, merge_responses, write_out
from ember_bench.models.store.sqlite import reading_uri


def copy_trials(trials: Path, into: Path) -> None:
    """Copy a trial store as it is at one moment, also while a run writes to it.

    Raises:
        StoreError: if it is none, or a file cannot be read or written.
    """
    StoredTrials(trials).close()
    try:
        with (
            closing(sqlite3.connect(reading_uri(trials), uri=True)) as source,
            closing(sqlite3.connect(into)) as target,
        ):
            source.backup(target)
            # One file, without a log beside it.
            target.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise StoreError(f"{trials}: cannot be copied to {into}: {error}") from error


def copy_answers(trials: Path, responses: Path, into: Path) -> int:
    """Copy the answers that stored trials used, those of judges too, and what was paid for them.

    Args:
        trials: The trial store.
        responses: The response store of its runs.
        into: A new response store.

    Returns:
        The number of answers.

    Raises:
        DataMissingError: if answers stand in a recording that is not there any more.
        ConfigError: if they stand in one that has changed.
        StoreError: if a file cannot be read or written.
    """
    with closing(StoredTrials(trials)) as rows:
        accounts = {account.rpartition("/")[0] for account in merged_parts(rows).runs}
        accounts.add(rows.fact(ACCOUNTS) or "")
    with closing(sqlite3.connect(reading_uri(trials), uri=True)) as base:
        tables = ["trials"]
        judged = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'evaluations'"
        if base.execute(judged).fetchone() is not None:
            tables.append("evaluations")
        columns = (
            column
            for table in tables
            for (column,) in base.execute(f"SELECT calls FROM {table}")  # noqa: S608 - ours
        )
        keys = {call.key for column in columns for call in decode_calls(column)}
    added = merge_responses(into, responses, Share(frozenset(keys), frozenset(accounts)))
    write_out(into)  # where the copy goes the recordings may not be
    with closing(sqlite3.connect(into)) as base:
        base.execute("PRAGMA journal_mode = DELETE")
    return added

"""Damage that SQLite does not notice, in the files of a results folder.

Commands that read say what is damaged, in one message. The next run puts it aside, runs or asks
again what is missing, and ends with the numbers of results that nothing happened to.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ember_bench.cli import main
from tests.cli.conftest import Command
from tests.support import counted
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow

RUN = ("run", "grid.yaml", "--no-mlflow", "--quiet")
COMPARE, REPORT = ("compare", "trip", "--json"), ("report", "trip", "--no-graphs")
READING = (
    COMPARE,
    REPORT,
    ("show", "trip"),
    ("export", "trip", "--what", "calls", "--format", "jsonl", "--texts"),
    ("export", "trip", "--what", "choices", "--format", "jsonl"),
    ("rescore", "trip", "--evaluator", "numeric_match_1_percent", "--json"),
    ("plan", "grid.yaml"),
)
NOT_UTF8 = "CAST(x'ff41' AS TEXT)"

TRIALS = {
    "a score beyond 1": "UPDATE trials SET score = 7 WHERE item = 2",
    "an infinite score": "UPDATE trials SET score = 9e999 WHERE item = 2",
    "a score that is a text": "UPDATE trials SET score = 'half' WHERE item = 2",
    "an unknown outcome": "UPDATE trials SET outcome = 'corrext' WHERE item = 2",
    "an explanation that is not UTF-8": f"UPDATE trials SET explanation = {NOT_UTF8}",
    "an answer that is not UTF-8": f"UPDATE trials SET answer = {NOT_UTF8} WHERE item = 2",
    "calls that cannot be decoded": "UPDATE trials SET calls = x'c1' WHERE item = 2",
    "calls that are a text": "UPDATE trials SET calls = 'none' WHERE item = 2",
    "a cost that is a text": "UPDATE trials SET cost_usd = 'free' WHERE item = 2",
    "a negative latency": "UPDATE trials SET latency_seconds = -1 WHERE item = 2",
    "a negative number of tokens": "UPDATE trials SET input_tokens = -5 WHERE item = 2",
    "an item that is not there": "UPDATE trials SET item = 1000 WHERE item = 2",
    "another fingerprint": "UPDATE trials SET fingerprint = x'00' WHERE item = 2",
    "no table of trials": "DROP TABLE trials",
    "no table of items": "DROP TABLE items",
    "no table of questions": "DROP TABLE asked",
    "no table of cells": "DROP TABLE cells",
    "no table of facts": "DROP TABLE facts",
    "no table of evaluators": "DROP TABLE evaluators",
    "no table of runs": "DROP TABLE runs",
    "a column less": "ALTER TABLE trials DROP COLUMN explanation",
    "a column of another type": (
        "ALTER TABLE trials DROP COLUMN error; ALTER TABLE trials ADD COLUMN error REAL"
    ),
    "an item less": "PRAGMA foreign_keys = OFF; DELETE FROM items WHERE id = 3",
    "a question less": "DELETE FROM asked WHERE place = 3",
    "a question that is not UTF-8": f"UPDATE asked SET question = {NOT_UTF8} WHERE place = 3",
    "a category that is a number": "UPDATE asked SET category = x'05' WHERE place = 3",
    "another cell": "UPDATE cells SET name = 'other' WHERE id = 1",
    "parts of a cell that are not JSON": "UPDATE cells SET parts = '{' WHERE id = 1",
    "a description that is not JSON": "UPDATE facts SET value = '{' WHERE name = 'description'",
    "another description": (
        "UPDATE facts SET value = replace(value, 'vote', 'vole') WHERE name = 'description'"
    ),
    "no description": "DELETE FROM facts WHERE name = 'description'",
    "digests of code that are not JSON": "UPDATE facts SET value = '[' WHERE name = 'user_code'",
    "a fact that is not UTF-8": f"UPDATE facts SET value = {NOT_UTF8}",
    "a spend that is a text": "UPDATE runs SET spend_usd = 'much'",
    "a spend that is negative": "UPDATE runs SET spend_usd = -3",
}
RESPONSES = {
    "a text that is not UTF-8": f"UPDATE responses SET text = {NOT_UTF8} WHERE rowid = 3",
    "a text that is a blob": "UPDATE responses SET text = x'00ff' WHERE rowid = 3",
    "usage that is not JSON": "UPDATE responses SET usage = '{' WHERE rowid = 3",
    "usage of other types": "UPDATE responses SET usage = '[\"x\"]' WHERE rowid = 3",
    "tool calls that are not JSON": "UPDATE responses SET more = '[' WHERE rowid = 3",
    "a cost that is a text": "UPDATE responses SET cost_usd = 'free' WHERE rowid = 3",
    "a negative cost": "UPDATE responses SET cost_usd = -1 WHERE rowid = 3",
    "an infinite latency": "UPDATE responses SET latency_seconds = 9e999 WHERE rowid = 3",
    "a finish reason that is not UTF-8": f"UPDATE responses SET finish_reason = {NOT_UTF8}",
    "prompts that are not UTF-8": f"UPDATE prompts SET messages = {NOT_UTF8}",
    "no table of answers": "DROP TABLE responses",
    "no table of prompts": "DROP TABLE prompts",
    "no table of payments": "DROP TABLE payments",
    "a column less": "ALTER TABLE responses DROP COLUMN more",
    "payments that are texts": "UPDATE payments SET spend = 'much', requests = 'many'",
}
FILES = {
    "a summary of garbage": ("trip/summary.json", b"\xff\xfe{"),
    "half a summary": ("trip/summary.json", b'{"name": "trip", "cells": ['),
    "a summary of other types": ("trip/summary.json", b'{"name": 3}'),
    "an empty summary": ("trip/summary.json", b""),
    "choices of garbage": ("trip/choices.json", b"\xff\xfe{"),
    "choices of other types": ("trip/choices.json", b'{"sums/single": {"trials": 3}}'),
}


def fill(workspace: Workspace) -> Workspace:
    workspace.sums(["" for _ in range(6)], category=lambda i: "odd" if i % 2 else "even")
    workspace.model("counted:a", right=0.6)
    workspace.grid(architectures=[single(), vote([1, 3])], in_flight=1)
    return workspace


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a grid and its results."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("sound")
    patch.chdir(folder)
    patch.setenv(counted.LOG, str(folder / "requests.log"))
    fill(Workspace(folder))
    with pytest.raises(SystemExit) as caught:
        main(RUN)
    assert caught.value.code in (0, None)
    yield folder
    patch.undo()


def numbers(folder: Path = Path()) -> Any:
    """Return what a summary says of its cells, and what all runs together have paid."""
    summary = json.loads((folder / "results/trip/summary.json").read_bytes())
    return [(cell["name"], cell["scheduled"], cell["accuracy"]) for cell in summary["cells"]]


@pytest.fixture
def folder(sound: Path, here: Workspace) -> Path:
    """A copy of it, which is the working directory."""
    shutil.copytree(sound / "results", fill(here).root / "results")
    return here.root


def change(path: Path, statements: str) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.executescript(statements)


def check_reading(command: Command, *commands: tuple[str, ...]) -> None:
    """Commands that read work, or say in a line what is damaged."""
    for arguments in commands:
        result = command(*arguments)
        assert result.status in (0, 1, 2), arguments
        assert "Traceback" not in result.err
        if result.status:
            assert result.err.strip(), arguments


def check_mended(command: Command, sound: Path) -> None:
    """One run is enough."""
    result = command(*RUN)
    assert (result.status, result.err) == (0, "")
    assert numbers() == numbers(sound)
    for arguments in (COMPARE, REPORT):
        assert command(*arguments).status == 0, arguments


@pytest.mark.parametrize("statements", TRIALS.values(), ids=TRIALS)
def test_a_damaged_trial_store(
    statements: str, command: Command, folder: Path, sound: Path
) -> None:
    change(folder / "results/trip/trials.db", statements)
    check_reading(command, COMPARE)
    before = sum(counted.requests().values())
    check_mended(command, sound)
    assert sum(counted.requests().values()) == before  # its answers are in the response store


@pytest.mark.parametrize("statements", RESPONSES.values(), ids=RESPONSES)
def test_a_damaged_response_store(
    statements: str, command: Command, folder: Path, sound: Path
) -> None:
    change(folder / "results/responses.db", statements)
    check_reading(command, REPORT)
    shutil.rmtree(folder / "results/trip")
    check_mended(command, sound)


def test_a_damaged_answer_alone_is_asked_for_again(
    command: Command, folder: Path, sound: Path
) -> None:
    change(folder / "results/responses.db", RESPONSES["a text that is not UTF-8"])
    shutil.rmtree(folder / "results/trip")
    before = sum(counted.requests().values())
    command(*RUN)
    assert sum(counted.requests().values()) == before + 1
    assert "is damaged; it is asked for again" in (folder / "results/trip/run.log").read_text()


def test_a_damaged_trial_alone_runs_again_and_the_run_says_so(
    command: Command, folder: Path
) -> None:
    change(folder / "results/trip/trials.db", "UPDATE trials SET score = 7 WHERE item = 2")
    summary = command(*RUN, "--json").json
    assert summary["run"]["changes"] == ["3 stored trials were damaged: they run again"]
    assert summary["run"]["trials_run"] == 3


def test_a_damaged_trial_store_is_named_by_commands_that_read_it(
    command: Command, folder: Path
) -> None:
    change(folder / "results/trip/trials.db", "UPDATE trials SET score = 7 WHERE item = 2")
    for arguments in (*READING[:2], *READING[3:6]):
        result = command(*arguments)
        assert result.status == 2
        assert result.err == (
            "error: results/trip/trials.db: is damaged: 3 of its trials cannot be read; run its "
            "grid once more, which mends it\n"
        )


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file(name: str, command: Command, folder: Path, sound: Path) -> None:
    path, content = FILES[name]
    (folder / "results" / path).write_bytes(content)
    check_reading(command, ("show", "trip"), READING[4])
    check_mended(command, sound)


@pytest.mark.slow
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(["responses.db", "trip/trials.db", "trip/summary.json"]),
    seed=st.integers(0, 2**32),
    flips=st.integers(1, 5),
)
def test_flipped_bits(
    name: str, seed: int, flips: int, command: Command, folder: Path, sound: Path
) -> None:
    path, random = folder / "results" / name, Random(seed)
    shutil.rmtree(folder / "results")
    shutil.copytree(sound / "results", folder / "results")
    content = bytearray(path.read_bytes())
    for _ in range(flips):
        # The header of a database says whose it is, and of which version.
        at = random.randrange(100 if path.suffix == ".db" else 0, len(content))
        content[at] ^= 1 << random.randrange(8)
    path.write_bytes(content)
    check_reading(command, *random.sample(READING, 3))
    assert command(*RUN).status in (0, 3)
    check_reading(command, COMPARE, REPORT)  # they notice what a run does not read
    check_mended(command, sound)

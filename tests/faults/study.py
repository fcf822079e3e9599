"""A small study of a model behind a server that fails as it is told; runs here or in a process.

The server answers by what it is asked (prompt and seed) alone, so that a study has one result,
whatever went wrong on the way to it.
"""

from __future__ import annotations

import multiprocessing
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from ember_bench.experiment.plan import Experiment, prepare
from ember_bench.experiment.summary import ExperimentSummary
from ember_bench.models import ModelRegistry, ModelService, RetryPolicy
from tests.support.loopback import Asked, Reply
from tests.support.openai_server import Answer, OpenAIServer
from tests.support.workspace import Ran, Workspace, run

ITEMS = 16
NEEDED = 3 * ITEMS
"""Three draws for each item; the vote of one shares its draw with the vote of three."""

_SUM = re.compile(r"(\d+) \+ (\d+) = \?")


def identity(asked: Asked) -> str:
    """Return what tells one call from another."""
    return f"{asked.prompt}/{asked.body.get('seed')}"


def chance(*parts: Any) -> float:
    """Return a number in [0, 1) that is a function of `parts`."""
    digest = blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def right_or_wrong(asked: Asked) -> Answer:
    """Answer a sum, rightly in six of ten cases."""
    found = _SUM.search(asked.prompt)
    assert found is not None, asked.prompt
    value = int(found[1]) + int(found[2])
    return Answer(f"Answer: {value if chance(identity(asked)) < 0.6 else value + 1}")


Make = Callable[[Asked], Reply]


class FaultyServer(OpenAIServer):
    """Answers sums, after faults.

    Args:
        fault: (what is asked, how often it was asked before) -> what goes wrong; None answers.
    """

    def __init__(self, fault: Callable[[Asked, int], Reply | None]) -> None:
        self.times: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        """How often each call was answered in full."""

        def reply(asked: Asked) -> Reply:
            call = identity(asked)
            before = self.times[call]
            self.times[call] += 1
            if (wrong := fault(asked, before)) is not None:
                return wrong
            self.answered[call] += 1
            return right_or_wrong(asked)

        super().__init__(reply)


def fill(root: Path, base_url: str, **card: Any) -> Workspace:
    """Write the study: votes of one and of three draws of a model at `base_url`."""
    workspace = Workspace(root)
    workspace.sums(ITEMS)
    workspace.write(
        "registry/models/faulty.yaml",
        {
            "name": "openai:faulty",
            "provider": {"name": "openai", "base_url": base_url},
            "cost": {"input_cost_per_thousand": 1.0, "output_cost_per_thousand": 2.0},
        }
        | card,
    )
    workspace.write(
        "registry/architectures/seeded_vote.yaml",
        {
            "name": "seeded_vote",
            "purpose": "A vote of k seeded draws.",
            "parameters": {"k": {"type": "int", "default": 1, "purpose": "How many."}},
            "graph": {
                "ensemble": {
                    "operator": "EnsembleOperator",
                    "lm_modules": [{"model": "openai:faulty", "seed": 1, "count": "$k"}],
                },
                "vote": {"operator": "MostCommonOperator", "inputs": ["ensemble"]},
            },
        },
    )
    workspace.grid(
        architectures=[{"name": "seeded_vote", "parameters": {"k": [1, 3]}}], in_flight=12
    )
    return workspace


def experiment(workspace: Workspace) -> Experiment:
    """Return the study, with waits between requests that a test can afford."""
    cards = workspace.cards()
    service = ModelService(
        ModelRegistry.from_cards(cards),
        retry=RetryPolicy(attempts=20, base_seconds=0.01, cap_seconds=0.2),
    )
    return prepare(workspace.root / "grid.yaml", cards, service)


def finish(workspace: Workspace) -> Ran:
    """Run what is missing."""
    return run(experiment(workspace), workspace.root / "results")


def responses(workspace: Workspace) -> Path:
    """Return the study's response store."""
    return workspace.root / "results" / "responses.db"


def stored(workspace: Workspace) -> int:
    """Return how many answers are stored."""
    if not responses(workspace).exists():
        return 0
    with closing(sqlite3.connect(responses(workspace))) as connection:
        tables = "SELECT count(*) FROM sqlite_master WHERE name = 'responses'"
        if not connection.execute(tables).fetchone()[0]:
            return 0
        return int(connection.execute("SELECT count(*) FROM responses").fetchone()[0])


def comparable(summary: ExperimentSummary) -> Any:
    """Return all of a summary that may not depend on what went wrong on the way.

    That leaves out whose run paid for what, how long the server took, and where it was.
    """

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: kept(v) for k, v in value.items() if not k.startswith(_VOLATILE)}
        return [kept(v) for v in value] if isinstance(value, list) else value

    return kept(msgspec.to_builtins(summary) | {"run": None})


_VOLATILE = ("calls_made", "digest", "calls_shared", "latency", "spend_usd")


def _run(root: Path) -> None:
    finish(Workspace(root))


# Forked from a process that has imported everything, a run is under way in a moment.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.faults.study", "openai"])


def run_and_kill(workspace: Workspace, moment: Callable[[], bool]) -> bool:
    """Run the study in a process and kill it when `moment()` has come; False if it ended first."""
    process = _processes.Process(target=_run, args=(workspace.root,))
    process.start()
    end = time.monotonic() + 60
    try:
        while process.is_alive() and not moment():
            assert time.monotonic() < end, "it hangs"
            time.sleep(0.001)
    finally:
        process.kill()
        process.join(30)
    assert process.exitcode in (0, -9), process.exitcode
    return process.exitcode == -9

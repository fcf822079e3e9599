"""A small study of a model behind a server that fails as it is told; runs here or in a process.

The server answers by what it is asked (prompt and seed) alone, so that a study has one result,
whatever went wrong on the way to it. It is run as the command runs a grid.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import blake2b
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from ember_bench.experiment.prepare import Experiment, prepare
from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.models import ModelRegistry, ModelService, RetryPolicy
from ember_bench.models.store.salvage import open_response_store
from ember_bench.running.session import Options, Outcome, RunStoppedError, run_experiment
from tests.support.loopback import Asked, Reply
from tests.support.openai_server import Answer, OpenAIServer
from tests.support.workspace import Workspace

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
        self.billed = 0
        """Number of answers with usage that cannot be used."""
        self.before_reply: Callable[[], None] = lambda: None
        """Called on the server's thread with each request that has come."""

        def reply(asked: Asked) -> Reply:
            self.before_reply()
            call = identity(asked)
            before = self.times[call]
            self.times[call] += 1
            if (wrong := fault(asked, before)) is not None:
                self.billed += isinstance(wrong, Answer)
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


def finish(workspace: Workspace, mlflow: str | None = None) -> Outcome:
    """Run what is missing, and log it to the server `mlflow`, if any.

    Raises:
        RunStoppedError: if a store fails on the way.
    """
    options = Options(workspace.root / "results", mlflow, mlflow is not None)
    return run_experiment(experiment(workspace), options)


def responses(workspace: Workspace) -> Path:
    """Return the study's response store."""
    return workspace.root / "results" / "responses.db"


def stored(workspace: Workspace) -> int:
    """Return how many answers are stored, and can be read, without touching the store."""
    path = responses(workspace)
    with TemporaryDirectory() as folder:
        # Also what stands beside it while it is mended.
        for file in path.parent.glob(f"*{path.name}*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, folder)
        store, _ = open_response_store(Path(folder) / path.name)
        count = len(store)
        store.close()
        return count


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

# Fixed in CI, where a change is judged by what it changed; elsewhere new moments are looked for.
SEED_VARIABLE = "EMBER_BENCH_KILL_SEED"
_SEED = os.environ.get(SEED_VARIABLE) or (
    "0" if os.environ.get("CI") else str(random.SystemRandom().randrange(10**6))
)


def moments(row: str) -> random.Random:
    """Return what a row's random moments are drawn from, and print how to have them again."""
    print(f"{SEED_VARIABLE}={_SEED}")
    return random.Random(f"{_SEED}/{row}")


Disturbance = Callable[[Workspace], AbstractContextManager[None]]


def _run(root: Path, disturbed: Disturbance, mlflow: str | None) -> None:
    workspace = Workspace(root)
    with disturbed(workspace):
        try:
            finish(workspace, mlflow)
        except RunStoppedError:
            raise SystemExit(3) from None


# Forked from a process that has imported everything, a run is under way in a moment.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.faults.rows", "openai"])
_PATIENCE = 60.0


def _start(workspace: Workspace, disturbed: Disturbance, mlflow: str | None) -> BaseProcess:
    process = _processes.Process(target=_run, args=(workspace.root, disturbed, mlflow))
    process.start()
    return process


def kill_at_request(
    number: int,
    server: FaultyServer,
    workspace: Workspace,
    disturbed: Disturbance,
    mlflow: str | None = None,
) -> None:
    """Run the study in a process that is killed before its how-manieth request is answered."""
    left = number
    process: BaseProcess | None = None

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0 and process is not None and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)

    server.before_reply = count
    try:
        process = _start(workspace, disturbed, mlflow)
        process.join(_PATIENCE)
        assert process.exitcode == -signal.SIGKILL, process.exitcode
    finally:
        server.before_reply = lambda: None
        _end(process)


def stop_at_request(number: int, server: FaultyServer, workspace: Workspace) -> Outcome:
    """Run the study, which is told to stop before its how-manieth request is answered."""
    left = number

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGINT)

    server.before_reply = count
    try:
        return finish(workspace)
    finally:
        server.before_reply = lambda: None


def kill_after(
    seconds: float, workspace: Workspace, disturbed: Disturbance, mlflow: str | None = None
) -> None:
    """Run the study in a process that is killed so long after it took hold of its folder.

    It may have ended by then.
    """
    lock = workspace.root / "results" / "trip" / ".lock"
    process = _start(workspace, disturbed, mlflow)
    try:
        end = time.monotonic() + _PATIENCE
        while process.is_alive() and not (lock.exists() and lock.read_text() == str(process.pid)):
            assert time.monotonic() < end, "it hangs"
            time.sleep(0.001)
        process.join(seconds)
    finally:
        _end(process)
    assert process.exitcode in (0, 3, -signal.SIGKILL), process.exitcode


def _end(process: BaseProcess | None) -> None:
    if process is not None:
        process.kill()
        process.join(_PATIENCE)

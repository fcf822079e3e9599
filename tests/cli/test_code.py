"""Grids whose answers are programs: run in a sandbox, or not at all unless told."""

from __future__ import annotations

import asyncio
import shutil
import time

import pytest
import yaml

from ember_bench import bridge
from ember_bench.evaluators import sandbox
from tests.cli.conftest import Command
from tests.support.workspace import Workspace

GRID = {
    "name": "code",
    "datasets": [{"name": "small_programs", "limit": 3}],
    "architectures": [{"name": "single", "parameters": {"model": ["simulated:large"]}}],
    "epochs": 2,
}
RUN = ("run", "grid.yaml", "--no-mlflow")

needs_bubblewrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="needs bubblewrap (apt-get install bubblewrap)"
)


@pytest.fixture
def code(here: Workspace) -> Workspace:
    (here.root / "grid.yaml").write_text(yaml.safe_dump(GRID))
    return here


@pytest.fixture
def no_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.shutil, "which", lambda _: None)


@needs_bubblewrap
def test_programs_are_run_and_scored(command: Command, code: Workspace) -> None:
    result = command(*RUN, "--json", "--quiet")
    assert result.status == 0, result.err
    assert result.err == ""
    (cell,) = result.json["cells"]
    outcomes = cell["outcomes"]
    assert outcomes["correct"] + outcomes["wrong"] == 6
    assert outcomes["correct"] > 0
    assert result.json["datasets"][0]["evaluator_identity"].endswith(" bubblewrap")


@needs_bubblewrap
def test_where_there_is_a_sandbox_unsafe_code_is_in_it(command: Command, code: Workspace) -> None:
    result = command(*RUN, "--unsafe-code", "--json", "--quiet")
    assert result.err == ""
    assert result.json["datasets"][0]["evaluator_identity"].endswith(" bubblewrap")


@pytest.mark.usefixtures("no_bubblewrap")
@pytest.mark.parametrize("arguments", [RUN, ("plan", "grid.yaml")])
def test_without_a_sandbox_nothing_is_begun(
    command: Command, code: Workspace, arguments: tuple[str, ...]
) -> None:
    result = command(*arguments)
    assert result.status == 2
    assert "grid.yaml:" in result.err
    assert "'small_programs': model-written code needs a sandbox" in result.err
    assert "apt-get install bubblewrap" in result.err
    assert "--unsafe-code" in result.err
    assert not (code.root / "results").exists()


@pytest.mark.usefixtures("no_bubblewrap")
def test_unsafe_code_is_run_if_one_says_so_and_the_danger_is_said(
    command: Command, code: Workspace
) -> None:
    result = command(*RUN, "--unsafe-code", "--json", "--quiet")
    assert result.status == 0
    assert result.err.startswith("WARNING: --unsafe-code: there is no sandbox.")
    assert result.json["datasets"][0]["evaluator_identity"].endswith(" unsafe")
    assert command("plan", "grid.yaml", "--unsafe-code").err.startswith("WARNING")


@pytest.mark.usefixtures("no_bubblewrap")
def test_other_grids_need_no_sandbox(command: Command, sums: Workspace) -> None:
    assert command(*RUN).status == 0


class TestComputing:
    def test_leaves_the_event_loop_free(self) -> None:
        async def run() -> int:
            computing = asyncio.create_task(bridge.compute(time.sleep, 0.2))
            turns = 0
            while not computing.done():
                await asyncio.sleep(0.001)
                turns += 1
            return turns

        assert asyncio.run(run()) > 5

    def test_has_as_many_at_once_as_there_are_processors(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bridge.os, "cpu_count", lambda: 2)
        running, most = [], []

        def work() -> None:
            running.append(1)
            most.append(len(running))
            time.sleep(0.005)
            running.pop()

        async def run() -> None:
            await asyncio.gather(*(bridge.compute(work) for _ in range(10)))

        asyncio.run(run())
        assert len(most) == 10
        assert max(most) == 2

    def test_drops_what_waits_for_its_turn_when_it_is_cancelled(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bridge.os, "cpu_count", lambda: 1)
        begun: list[int] = []

        def work(number: int) -> None:
            begun.append(number)
            time.sleep(0.05)

        async def run() -> None:
            tasks = [asyncio.create_task(bridge.compute(work, number)) for number in range(5)]
            while not begun:
                await asyncio.sleep(0.001)
            await bridge.cancel_all(tasks)

        asyncio.run(run())
        assert begun == [0]

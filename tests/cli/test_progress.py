"""The progress of a run says for what it waits."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TextColumn

from ember_bench.cli._progress import Alive, Lines
from ember_bench.experiment.runner import Progress
from ember_bench.models.limits import RateLimitWait

WAIT = RateLimitWait("openai:x", seconds=7.0, left=12.0)
LINE = "openai:x: waiting for its rate limit (429), 12 s more"


class TestLines:
    def test_a_wait_has_a_line_every_ten_seconds(self, capsys: pytest.CaptureFixture[str]) -> None:
        now = 0.0
        lines = Lines(simulated=False, clock=lambda: now)
        for second in range(25):
            now = float(second)
            lines.waiting([WAIT])
        assert capsys.readouterr().err == f"{LINE}\n{LINE}\n"

    def test_the_end_of_a_wait_has_none(self, capsys: pytest.CaptureFixture[str]) -> None:
        now = 0.0
        lines = Lines(simulated=False, clock=lambda: now)
        now = 100.0
        lines.waiting([])
        assert capsys.readouterr().err == ""

    def test_where_the_provider_named_no_time_the_wait_so_far_is_shown(self) -> None:
        waits = [RateLimitWait("openai:x", 7.0, 0.0), WAIT]
        assert Lines(simulated=False).waits(waits) == (
            f"openai:x: waiting for its rate limit (429), for 7 s; {LINE}"
        )


class TestTheBar:
    def test_shows_a_wait_until_its_end(self) -> None:
        alive = Alive(simulated=False)
        bar = Bar(TextColumn("{task.description}"), console=Console(file=io.StringIO()))
        alive._bar, alive._task = bar, bar.add_task("", total=10)
        alive.progressed(Progress(scheduled=10, kept=0, changes=[]))
        alive.waiting([WAIT])
        assert LINE in bar.tasks[0].description
        alive.progressed(Progress(scheduled=10, kept=0, changes=[], done=1))
        assert LINE in bar.tasks[0].description
        alive.waiting([])
        assert "429" not in bar.tasks[0].description

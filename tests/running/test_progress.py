"""The progress of a run says for what it waits."""

from __future__ import annotations

import io
import re
from contextlib import closing
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TextColumn
from rich.text import Text

from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.runner import Progress
from ember_bench.models.limits import RateLimitWait
from ember_bench.running.progress import Alive, Announcer, Lines, Notebook
from ember_bench.running.scores import Scores
from tests.experiment.conftest import workspace
from tests.support.workspace import Workspace, single

__all__ = ["workspace"]

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


class TestTheThreeLines:
    def test_have_what_the_live_view_has(self, workspace: Workspace) -> None:
        lines, now = Announcer(simulated=False, clock=lambda: now), 0.0
        workspace.sums(10)
        workspace.grid(architectures=[single("counted:right"), single("counted:wrong")])
        workspace.model("counted:right", right=1.0)
        workspace.model("counted:wrong", right=0.0)
        workspace.run()
        with closing(StoredTrials(workspace.root / "results/trip/trials.db")) as rows:
            lines.scoring(Scores(rows))
            told = [cell.label for cell in rows.description.cells]
        progress = Progress(100, 0, [], budget_usd=2.0)
        lines.progressed(progress)
        now = 10.0
        progress.done, progress.calls_made, progress.spend_usd = 20, 40, 0.5
        lines.progressed(progress)
        first, second, third = lines.three_lines(progress, [])
        assert re.fullmatch(r"20/100 trials, 40 s \[\d\d s, 1 min \d+ s\] left", first)
        assert second == "40 new calls (4.0/s), 0 reused, paid $0.500 of $2.00"
        right, wrong = told
        assert re.fullmatch(
            rf"so far: {right} 100\.0 % \[.+, 100\.0\], {wrong} 0\.0 % \[0\.0, .+\]", third
        )

    def test_have_no_time_left_where_fewer_trials_may_be_enough(self) -> None:
        lines, now = Announcer(simulated=False, clock=lambda: now), 0.0
        progress = Progress(100, 0, [], open_ended=True)
        lines.progressed(progress)
        now, progress.done = 10.0, 20
        lines.progressed(progress)
        assert lines.three_lines(progress, [])[0] == "20/100 trials"

    def test_keep_the_terminal_at_three_lines_whatever_the_labels(self) -> None:
        written = io.StringIO()
        alive = Alive(simulated=False, console=Console(file=written, width=60, force_terminal=True))
        alive._best = [("a label\n of two lines and of many words " * 9, Quantity(1, 0, 1, ""))]
        alive.started(Progress(10, 0, []))
        alive.finished()
        shown = written.getvalue()
        assert "so far: a label of two lines" in shown
        assert "━" * 10 in shown
        assert all(len(Text.from_ansi(line).plain) <= 60 for line in shown.splitlines())


class Display:
    """Keeps what was shown, and what it was updated with."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def __call__(self, data: dict[str, str], **options: Any) -> Display:
        assert options == {"raw": True, "display_id": True}
        self.shown.append(data)
        return self

    def update(self, data: dict[str, str], **options: Any) -> None:
        self.shown.append(data)


def test_a_bar_is_updated_in_its_place_and_at_most_four_times_a_second() -> None:
    display, now = Display(), [0.0]
    bar = Notebook(simulated=True, display=display, clock=lambda: now[0])
    bar.started(Progress(10, 2, []))
    for second in (0.1, 0.2, 0.3, 0.4):
        now[0] = second
        bar.progressed(Progress(10, 2, [], done=3, calls_made=3, spend_usd=0.5))
    now[0] = 1.0
    bar.waiting([WAIT])
    assert display.shown[-1]["text/plain"].endswith(LINE)
    bar.finished()
    texts = [data["text/plain"].splitlines() for data in display.shown]
    assert texts[0] == ["2/10 trials", "0 new calls, 0 reused"]
    told = ["5/10 trials", "3 new calls, 0 reused, paid $0.500 (simulated)"]
    assert [lines[:2] for lines in texts[1:]] == [told] * 3
    assert [lines[2:] for lines in texts[1:]] == [[], [LINE], []]
    assert '<progress value="5" max="10">' in display.shown[-1]["text/html"]


def test_nothing_is_shown_where_nothing_is_left_to_do() -> None:
    display = Display()
    bar = Notebook(simulated=False, display=display)
    bar.started(Progress(10, 10, []))
    bar.progressed(Progress(10, 10, []))
    bar.finished()
    assert display.shown == []

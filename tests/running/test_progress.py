"""The progress of a run in a notebook."""

from __future__ import annotations

from typing import Any

from ember_bench.experiment.runner import Progress
from ember_bench.running.progress import Notebook


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
    bar.finished()
    texts = [data["text/plain"] for data in display.shown]
    assert texts[0].startswith("2/10 trials, 0 calls made")
    assert texts[1:] == ["5/10 trials, 3 calls made, 0 shared, spend $0.500 (simulated)"] * 2
    assert '<progress value="5" max="10">' in display.shown[-1]["text/html"]


def test_nothing_is_shown_where_nothing_is_left_to_do() -> None:
    display = Display()
    bar = Notebook(simulated=False, display=display)
    bar.started(Progress(10, 10, []))
    bar.progressed(Progress(10, 10, []))
    bar.finished()
    assert display.shown == []

"""The progress of a run: a bar in a terminal or a notebook, else a line now and then."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from html import escape
from typing import Any, Final

import rich.console
import rich.progress
import rich.table

from ember_bench.drawing.number_format import count, dollars, in_percent
from ember_bench.drawing.text import clean, one_line
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.runner import Progress
from ember_bench.models.limits import RateLimitWait
from ember_bench.running.listening import Listener
from ember_bench.running.messages import say
from ember_bench.running.rate import Rate, time_left_text
from ember_bench.running.scores import Scores
from ember_bench.secrets import without_secrets

_EVERY_SECONDS: Final = 10.0
_REFRESHES_PER_SECOND: Final = 4
_SCORES_EVERY_SECONDS: Final = 1.0
_SHARE: Final = 0.01
_BEST: Final = 3
_BAR: Final = 10


class Announcer(Listener):
    """Prints the events of a run; subclasses show its progress.

    Args:
        simulated: Whether money is only simulated.
        clock: Seconds; injected in tests.
    """

    def __init__(self, *, simulated: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.simulated = simulated
        self._clock = clock
        self._told_of_error = False
        self._rate = Rate()
        self._scores: Scores | None = None
        self._best: list[tuple[str, Quantity]] = []
        self._scored = -math.inf
        self._scoring_seconds = 0.0

    def scoring(self, scores: Scores) -> None:
        """Keep the scores."""
        self._scores = scores

    def started(self, progress: Progress) -> None:
        """Print the number of trials kept from earlier runs, and the changes."""
        missing = progress.scheduled - progress.kept
        if progress.changes:
            changes = "; ".join(progress.changes)
            say(f"changed since the last run: {changes}; {count(missing, 'trial')} to run anew")
        if progress.kept:
            kept = f"{progress.kept:,} of {count(progress.scheduled, 'trial')}"
            say(f"kept {kept} from earlier runs")

    def progressed(self, progress: Progress) -> None:
        """Print why the first trial failed, as soon as one does."""
        self._rate.read(self._clock(), progress.kept + progress.done, progress.calls_made)
        if progress.first_error is not None and not self._told_of_error:
            self._told_of_error = True
            self.note(f"a trial failed: {progress.first_error}; the run goes on")

    def stopping(self) -> None:
        """Print the effect of Ctrl-C."""
        self.note(
            "stopping: no further trial is begun and no further request sent; those in flight are "
            "finished and stored; press Ctrl-C again to stop at once"
        )

    def note(self, message: str) -> None:
        """Print a line while the run goes on."""
        say(message)

    def waits(self, waits: Sequence[RateLimitWait]) -> str:
        """Return the waits for rate limits in short."""
        return "; ".join(
            f"{wait.model_id}: waiting for its rate limit (429), "
            + (f"{wait.left:,.0f} s more" if wait.left >= 1 else f"for {wait.seconds:,.0f} s")
            for wait in waits
        )

    def numbers(self, progress: Progress, speed: str = "") -> str:
        """Return calls, with their speed, money and errors in short."""
        simulated = " (simulated)" if self.simulated else ""
        parts = [
            f"{count(progress.calls_made, 'new call')}{speed}",
            f"{progress.calls_shared:,} reused",
        ]
        if progress.spend_usd or progress.budget_usd is not None:
            cap = progress.budget_usd
            of = "" if cap is None else f" of {dollars(cap)}"
            parts.append(f"paid {dollars(progress.spend_usd)}{of}{simulated}")
        if progress.errors:
            parts.append(count(progress.errors, "error"))
        return ", ".join(parts)

    def left(self, progress: Progress) -> str:
        """Return the time left with its interval; "" if unknown, or at the end."""
        missing = progress.scheduled - progress.kept - progress.done
        left = None if progress.open_ended else self._rate.seconds_left(missing)
        return "" if left is None else time_left_text(left)

    def three_lines(self, progress: Progress, waits: Sequence[RateLimitWait]) -> list[str]:
        """Return trials and time left; calls and money; and the best scores so far, and waits."""
        done = progress.kept + progress.done
        left, rate = self.left(progress), self._rate.calls_per_second
        trials = f"{done:,}/{count(progress.scheduled, 'trial')}"
        speed = "" if rate is None else f" ({rate:,.1f}/s)"
        found = [f"{one_line(label)} {in_percent(mean)}" for label, mean in self._best_so_far()]
        parts = [clean(self.waits(waits))] if waits else []
        parts += [f"so far: {', '.join(found)}"] if found else []
        lines = [
            f"{trials}, {left} left" if left else trials,
            self.numbers(progress, speed),
            "; ".join(parts),
        ]
        return [line for line in lines if line]

    def _best_so_far(self) -> list[tuple[str, Quantity]]:
        """Return the best systems, computed anew at most for a small share of the time."""
        now = self._clock()
        wait = max(_SCORES_EVERY_SECONDS, self._scoring_seconds / _SHARE)
        if self._scores is not None and now - self._scored >= wait:
            self._best = self._scores.best(_BEST)
            self._scored = self._clock()
            self._scoring_seconds = self._scored - now
        return self._best


class Lines(Announcer):
    """A line every ten seconds.

    Args:
        simulated: Whether money is only simulated.
        clock: Seconds; injected in tests.
    """

    def __init__(self, *, simulated: bool, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(simulated=simulated, clock=clock)
        self._last = clock()
        self._written: int | None = None
        self._progress: Progress | None = None

    def started(self, progress: Progress) -> None:
        """Start the clock."""
        super().started(progress)
        self._last = self._clock()

    def progressed(self, progress: Progress) -> None:
        """Write a line, if it is time."""
        super().progressed(progress)
        self._progress = progress
        if self._clock() - self._last >= _EVERY_SECONDS:
            self._last = self._clock()
            self._write(progress)

    def waiting(self, waits: Sequence[RateLimitWait]) -> None:
        """Write a line, if it is time."""
        if waits and self._clock() - self._last >= _EVERY_SECONDS:
            self._last = self._clock()
            say(self.waits(waits))

    def finished(self) -> None:
        """Write the last line."""
        progress = self._progress
        if progress is not None and progress.done and progress.done != self._written:
            self._write(progress)

    def logging(self) -> None:
        """Say so: it may take some seconds."""
        say("logging to MLflow")

    def _write(self, progress: Progress) -> None:
        self._written = progress.done
        done = progress.kept + progress.done
        most = "at most " if progress.open_ended else ""
        line = f"{done:,} of {most}{count(progress.scheduled, 'trial')}, {self.numbers(progress)}"
        left = self.left(progress)
        say(f"{line}, {left} to go" if left else line)


class Alive(Announcer):
    """A bar, and the progress in three lines beside it.

    Args:
        simulated: Whether money is only simulated.
        console: Where it is shown; standard error by default.
    """

    def __init__(self, *, simulated: bool, console: rich.console.Console | None = None) -> None:
        super().__init__(simulated=simulated)
        self._console = console or rich.console.Console(
            stderr=True, markup=False, highlight=False, emoji=False
        )
        self._bar: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None
        self._progress: Progress | None = None
        self._waits: Sequence[RateLimitWait] = ()

    def started(self, progress: Progress) -> None:
        """Show the bar, if there is anything to wait for."""
        super().started(progress)
        if progress.kept == progress.scheduled:
            return
        self._bar = rich.progress.Progress(
            rich.progress.SpinnerColumn(),
            rich.progress.BarColumn(_BAR),
            rich.progress.TextColumn(
                "{task.description}",
                markup=False,
                table_column=rich.table.Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
            console=self._console,
            refresh_per_second=_REFRESHES_PER_SECOND,
            transient=True,
            expand=True,  # the text has what the bar leaves, and no more
        )
        self._task = self._bar.add_task(
            self._description(progress), total=progress.scheduled, completed=progress.kept
        )
        with suppress(OSError):  # the terminal is gone, the run is not
            self._bar.start()

    def progressed(self, progress: Progress) -> None:
        """Move the bar."""
        super().progressed(progress)
        self._progress = progress
        if self._bar is not None and self._task is not None:
            done = progress.kept + progress.done
            self._bar.update(self._task, completed=done, description=self._description(progress))

    def waiting(self, waits: Sequence[RateLimitWait]) -> None:
        """Show the waits beside the bar."""
        self._waits = waits
        if self._bar is not None and self._task is not None and self._progress is not None:
            self._bar.update(self._task, description=self._description(self._progress))

    def finished(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            with suppress(OSError):
                self._bar.stop()
            self._bar = None

    def logging(self) -> None:
        """Say so: it may take some seconds."""
        say("logging to MLflow ...")

    def note(self, message: str) -> None:
        """Print a line above the bar."""
        if self._bar is None:
            say(message)
        else:
            with suppress(OSError):
                self._bar.console.print(clean(without_secrets(message)), soft_wrap=True)

    def _description(self, progress: Progress) -> str:
        return "\n".join(self.three_lines(progress, self._waits))


class Notebook(Announcer):
    """A bar and three lines below the cell of a notebook, which are updated in their place.

    Args:
        simulated: Whether money is only simulated.
        display: `IPython.display.display`.
        clock: Seconds; injected in tests.
    """

    def __init__(
        self,
        *,
        simulated: bool,
        display: Callable[..., Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(simulated=simulated, clock=clock)
        self._display = display
        self._shown: Any = None
        self._last = clock()
        self._progress: Progress | None = None
        self._waits: Sequence[RateLimitWait] = ()

    def started(self, progress: Progress) -> None:
        """Show the bar, if there is anything to wait for."""
        if progress.kept < progress.scheduled:
            self._show(progress)

    def progressed(self, progress: Progress) -> None:
        """Move the bar, if it is time."""
        super().progressed(progress)
        self._progress = progress
        if self._is_time():
            self._show(progress)

    def waiting(self, waits: Sequence[RateLimitWait]) -> None:
        """Show the waits beside the bar, if it is time."""
        self._waits = waits
        if self._progress is not None and self._is_time():
            self._show(self._progress)

    def finished(self) -> None:
        """Show the last state."""
        self._waits = ()
        if self._progress is not None and self._progress.done:
            self._show(self._progress)

    def note(self, message: str) -> None:
        """Print a line below the bar."""
        say(message)

    def _is_time(self) -> bool:
        return self._clock() - self._last >= 1 / _REFRESHES_PER_SECOND

    def _show(self, progress: Progress) -> None:
        self._last = self._clock()
        done = progress.kept + progress.done
        lines = self.three_lines(progress, self._waits)
        bar = f'<progress value="{done}" max="{progress.scheduled}"></progress>'
        html = f"{bar} {'<br>'.join(map(escape, lines))}"
        shown = {"text/html": html, "text/plain": "\n".join(lines)}
        if self._shown is None:
            self._shown = self._display(shown, raw=True, display_id=True)
        else:
            self._shown.update(shown, raw=True)


def listener(*, simulated: bool, quiet: bool) -> Listener:
    """Return the listener that shows the progress of a command's run."""
    if quiet:
        return Listener()
    return Alive(simulated=simulated) if sys.stderr.isatty() else Lines(simulated=simulated)


def python_listener(*, simulated: bool, quiet: bool) -> Listener:
    """Return the listener for a run in Python: nothing is shown but in a terminal or notebook."""
    if quiet:
        return Listener()
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        from IPython.display import display  # noqa: PLC0415 - there only in a notebook

        return Notebook(simulated=simulated, display=display)
    return Alive(simulated=simulated) if sys.stderr.isatty() else Listener()

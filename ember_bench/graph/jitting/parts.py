"""The parts of a run, in which calls are made at the same time, and the `try` statements in it."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final, TypeAlias

from ember_bench.operators.plan import ExecutionPlan, Otherwise, Task

_OURS: Final = "ember_bench."


@dataclass(frozen=True, slots=True)
class Part:
    """Calls that are made at the same time, as far as they do not need each other.

    Attributes:
        plan: The calls, and what `try` statements make of them.
        reason: Why what follows waits for them; "" if nothing follows.
        place: Where: the user's file, line, and the text of the line.
    """

    plan: ExecutionPlan
    reason: str
    place: str

    @property
    def calls(self) -> int:
        """The number of calls."""
        return sum(not isinstance(task.function, Otherwise) for task in self.plan.tasks)


class Attempt:
    """A `try` statement whose call may wait.

    Args:
        handlers: Of each its exceptions (None for all), whether its value is a text, and a
            function of the exception that returns it.
        outer: The statement around it.
        start: The index of its first step among those that wait.

    Attributes:
        active: Whether its body is running: then it sees exceptions itself.
        error: The exception of its call, if that has failed.
        foreign: An exception of a step before it, which is not for its handlers.
        inside: The ids of its steps when calls were made last.
    """

    def __init__(self, handlers: Handlers, outer: Attempt | None, start: int) -> None:
        self.handlers = handlers
        self.outer = outer
        self.start = start
        self.active = True
        self.error: Exception | None = None
        self.foreign: BaseException | None = None
        self.inside: set[int] = set()

    @property
    def gives_texts(self) -> bool:
        """Whether the values of all handlers are texts."""
        return all(is_text for _, is_text, _ in self.handlers)

    def handler(self, error: BaseException) -> Callable[[Any], Any] | None:
        """Return the value of the first handler for an exception, as a function of that."""
        for kinds, _, value in self.handlers:
            if kinds is None or isinstance(error, kinds):
                return value
        return None

    def forgives(self, error: Exception) -> bool:
        """Return whether a failure is handled here, or around it; if so, remember it."""
        for attempt in around(self):
            if attempt.active:
                return False
            if attempt.handler(error) is not None:
                self.error = error
                return True
        return False

    def value(self, given: Callable[[], Any]) -> Any:
        """Return what the statement gives: what is given, or the value of a handler.

        Raises:
            Exception: that which no handler is for.
        """
        error = self.error
        if error is None:
            try:
                return given()
            except Exception as raised:
                error = raised
        handler = self.handler(error)
        if handler is None:
            raise error
        return handler(error)


Handlers: TypeAlias = tuple[tuple[Any, bool, Callable[[Any], Any]], ...]


def around(attempt: Attempt | None) -> list[Attempt]:
    """Return a statement, and those around it."""
    found = []
    while attempt is not None:
        found.append(attempt)
        attempt = attempt.outer
    return found


def forgiving(
    tasks: Sequence[Task], within: Mapping[int, Attempt]
) -> Callable[[str, Exception], bool] | None:
    """Return what tells of a task's failure whether a `try` statement handles it.

    Args:
        tasks: The tasks that are run.
        within: The innermost statement of a task, by its id.
    """
    held = {task.name: within[id(task)] for task in tasks if id(task) in within}
    for attempt in held.values():
        attempt.error = None  # of calls that are made again
    return (lambda name, error: name in held and held[name].forgives(error)) if held else None


def only_each_other(tasks: Sequence[Task]) -> list[Task]:
    """Return tasks that name only each other in `after`."""
    names = {task.name for task in tasks}
    return [
        Task(t.name, t.function, t.args, t.kwargs, tuple(n for n in t.after if n in names))
        for t in tasks
    ]


def place_in_user_code() -> str:
    """Return the innermost line of code that is not of this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        frame = frame.f_back
    if frame is None:
        return ""
    where = frame.f_code.co_filename, frame.f_lineno
    return f"{where[0]}:{where[1]}: {linecache.getline(*where).strip()}"

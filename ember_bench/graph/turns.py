"""Turns: the order of calls of a plan that may be equal.

The identity of a call contains the number of earlier calls with the same request (its draw). So if
two tasks may make the same request, the earlier one in the plan must be first. Prompts may have
holes, and each time that more of a prompt becomes known, it is compared again: a task waits for
another only as long as their prompts may become the same text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any, Final

from ember_bench.models.call import Request
from ember_bench.operators.base import Operator
from ember_bench.operators.lm import LMModule
from ember_bench.operators.plan import Ask, ExecutionPlan, Task, Text, references, resolve

_HOLE: Final = None


def fingerprints(task: Task) -> frozenset[str]:
    """Return the fingerprints of the models that a task may call."""
    if isinstance(task.function, Ask):
        return frozenset([task.function.module.model.fingerprint])
    if isinstance(task.function, LMModule):
        return frozenset([task.function.model.fingerprint])
    if isinstance(task.function, Operator):
        return frozenset(lm.model.fingerprint for lm in task.function.lm_modules())
    return frozenset()


class Turns:
    """The tasks of a plan that have to take turns.

    Attributes:
        ended_first: By index, the earlier tasks that must have ended: operators that may call the
            same model with requests that are not known in advance.
        started_first: By index, the earlier tasks that may have to be started first, which gives
            them the lower draws.
    """

    def __init__(self, plan: ExecutionPlan) -> None:
        self._tasks = plan.tasks
        self.ended_first: list[tuple[int, ...]] = []
        self.started_first: list[tuple[int, ...]] = []
        asking: defaultdict[str, list[int]] = defaultdict(list)
        for index, task in enumerate(plan.tasks):
            models = fingerprints(task)
            before = sorted({i for model in models for i in asking[model]})
            for model in models:
                asking[model].append(index)
            needed = plan.needs[task.name]
            before = [i for i in before if self._tasks[i].name not in needed]
            before = [i for i in before if may_clash(self._tasks[i], task, {})]
            self.ended_first.append(tuple(i for i in before if _asks_later(self._tasks[i])))
            self.started_first.append(tuple(i for i in before if not _asks_later(self._tasks[i])))

    def must_wait(self, index: int, started: Sequence[bool], values: Mapping[str, Any]) -> bool:
        """Return whether a task that is ready must wait until an earlier one has started."""
        return any(
            not started[i] and may_clash(self._tasks[i], self._tasks[index], values)
            for i in self.started_first[index]
        )


def _asks_later(task: Task) -> bool:
    """Return whether a task may make calls some time after its start."""
    operator = task.function
    if not isinstance(operator, Operator):
        return False
    return not operator.asks_once or operator.blocking or iscoroutinefunction(operator.forward)


def may_clash(first: Task, second: Task, values: Mapping[str, Any]) -> bool:
    """Return whether two tasks that call the same model may make the same request.

    Args:
        first: The earlier task.
        second: The later task.
        values: The known values of symbols, by name.
    """
    one, other = _question(first), _question(second)
    if one is None or other is None:
        return True
    if _terms(one) != _terms(other):
        return False
    return all(
        _can_be_equal(_pattern(a.content, values), _pattern(b.content, values))
        for a, b in zip(one.messages, other.messages, strict=True)
    )


def _question(task: Task) -> Request | None:
    """Return the request of a task; None if it may make any."""
    if isinstance(task.function, Ask):
        return task.args[0]  # type: ignore[no-any-return]
    if isinstance(task.function, LMModule) and not references(task.kwargs):
        return task.function.request(*task.args, **task.kwargs)
    return None


def _terms(request: Request) -> tuple[Hashable, ...]:
    """Return the parts of a request that contain no symbols."""
    return (
        request.role,
        request.parameters,
        repr(request.response_format),
        *(message.role for message in request.messages),
    )


Pattern = list[str | None]


def _pattern(content: Any, values: Mapping[str, Any]) -> Pattern:
    """Return a text as a list of its known pieces, with `_HOLE` between them."""
    if type(content) is str:
        return [content]
    parts = content.parts if type(content) is Text else (content,)
    pattern: Pattern = []
    for part in parts:
        piece = part if type(part) is str else _known(part, values)
        if isinstance(piece, str) and pattern and isinstance(pattern[-1], str):
            pattern[-1] += piece
        elif piece is not _HOLE or not pattern or pattern[-1] is not _HOLE:
            pattern.append(piece)
    return pattern or [""]


def _known(symbol: Any, values: Mapping[str, Any]) -> str | None:
    if any(name not in values for name in references(symbol)):
        return _HOLE
    try:
        text = resolve(symbol, values)
    except Exception:  # raised again by the task whose argument it is
        return _HOLE
    return text if isinstance(text, str) else _HOLE


def _can_be_equal(one: Pattern, other: Pattern) -> bool:
    """Return whether some texts in the holes may make the two equal; errs towards True."""
    if len(one) == 1 and len(other) == 1 and one[0] is not _HOLE and other[0] is not _HOLE:
        return one[0] == other[0]
    return (
        _one_starts_other(one[0] or "", other[0] or "")
        and _one_starts_other((one[-1] or "")[::-1], (other[-1] or "")[::-1])
        and _fits(one, other)
        and _fits(other, one)
    )


def _one_starts_other(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _fits(pattern: Pattern, text: Pattern) -> bool:
    """Return whether `text` can be an instance of `pattern`; True if it has holes itself."""
    if len(text) != 1 or text[0] is _HOLE:
        return True
    whole, position = text[0], 0
    for piece in pattern:
        if piece is not _HOLE:
            found = whole.find(piece, position)
            if found < 0:
                return False
            position = found + len(piece)
    return True

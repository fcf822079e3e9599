"""`try` statements whose calls wait.

A statement such as

    try:
        answer = lm(question)
    except ProviderError:
        answer = "none"

has the same effect whether the call fails or not: a variable gets a value. So the call may wait,
with those of other such statements, and the handler is applied when it has failed. Eager code
makes all of these calls too. It makes no second call within a `try` if the first one fails, so
there each call waits for the one before.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ember_bench.graph.jitting.lazies import (
    PLAIN,
    Kind,
    NotSimpleError,
    is_text,
    snapshot,
    symbolic,
)
from ember_bench.graph.jitting.parts import Attempt, Handlers
from ember_bench.graph.jitting.runs import Run, Stop
from ember_bench.models import interception
from ember_bench.operators.plan import Otherwise, Task


def attempts(names: Callable[[], tuple[tuple[Any, ...], ...]]) -> bool:
    """Return whether the call of a `try` statement may wait.

    Args:
        names: Returns what the statement names: the lists to which it appends, the exceptions, and
            the values in handlers.
    """
    run = interception.current.get()
    if type(run) is not Run or run.at_once:
        return False
    try:
        lists, kinds, values = names()
    except Exception:  # raised again by the statement itself, in the place of eager code
        return False
    return (
        all(type(held) is list and run.is_own(held) for held in lists)
        and all(map(_is_kind, kinds))
        and all(type(value) in PLAIN for value in values)
    )


def _is_kind(given: Any) -> bool:
    if type(given) is tuple:
        return all(map(_is_kind, given))
    return isinstance(given, type) and issubclass(given, BaseException)


def attempt(body: Callable[[], Any], handlers: Handlers) -> Any:
    """Return what a `try` statement gives: the value of its body, or of the handler."""
    run: Any = interception.current.get()
    held = run.attempt = Attempt(handlers, run.attempt, len(run.steps))
    try:
        try:
            result = body()
            if len(run.steps) > held.start:
                return _later(run, held, result)
        except Exception:
            run.settle("a call in `try` failed")  # eager code has made it before
            raise
    except Stop:
        raise
    except BaseException as error:
        if error is held.foreign:  # of a call before the statement
            raise
        handler = held.handler(error)
        if handler is None:
            raise
        return handler(error)
    finally:
        run.attempt = held.outer
    return result


def _later(run: Run, held: Attempt, result: Any) -> Any:
    """Return the value that a statement will have, when its call is made."""
    try:
        kept = symbolic(snapshot(result))
    except NotSimpleError:
        run.settle("what a `try` gives is needed")
        return run.whole(result)
    inside = run.steps[held.start :]
    names = tuple(step.name for step in inside if isinstance(step, Task))
    if not names:
        run.settle("what a `try` gives is needed")
        return result
    for step in inside:
        run.within.setdefault(id(step), held)
    held.active = False
    run.attempt = held.outer
    kind: Kind = "text" if is_text(result) and held.gives_texts else "value"
    return run.call("try", Otherwise(held), (kept,), {}, kind, names)


def has_code(given: Any, name: str) -> bool:
    """Return whether code is run where an attribute is read."""
    found = inspect.getattr_static(type(given), name, None)
    return isinstance(found, property) or hasattr(type(given), "__getattr__")

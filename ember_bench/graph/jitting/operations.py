"""The operations that rewritten code calls; see `rewriting`.

Each does what the plain operation does. If an operand is still to come, the result is too, if that
is all the same: if the operation only computes, and nobody can change what it is given.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable, Iterator
from functools import update_wrapper
from io import IOBase
from tempfile import TemporaryDirectory
from types import FunctionType
from typing import Any, cast

from ember_bench.graph.jitting.attempts import attempt, attempts, has_code  # noqa: F401 - as below
from ember_bench.graph.jitting.calls import (
    Prepared,
    closures,
    current_run,
    hooks,
    prepared,
    stash,
)
from ember_bench.graph.jitting.lazies import (
    LAZY,
    PLAIN,
    Kind,
    Lazy,
    LazyItems,
    LazyMethod,
    NotSimpleError,
)
from ember_bench.graph.jitting.runs import Run, run_whole
from ember_bench.graph.jitting.values import (  # noqa: F401 - rewritten code finds all of them here
    binary,
    compare,
    given_away,
    later,
    own,
    shown,
    text,
    value,
    victim,
    whole,
)
from ember_bench.operators.base import Operator


def changed(name: str, left: Any, right: Any) -> Any:
    """Return `left` after `left <operator>= right`."""
    plain = name[1:] + "_" * (name in ("iand", "ior"))
    if type(left) in PLAIN or (type(left) is Lazy and left.kind == "text") or type(left) is tuple:
        return binary(plain, left, right)
    left = value(left)
    if type(left) in PLAIN:
        return binary(plain, left, right)
    run = current_run()
    if run is not None and run.is_own(left) and type(right) in (list, dict):
        return getattr(operator, name)(left, right)
    if run is not None and not run.is_own(left):
        run.stop("an object that the function has not made is changed")
    return getattr(operator, name)(left, whole(right))


# ---- attributes and entries


def attribute(given: Any, name: str) -> Any:
    """Return `given.name`."""
    kind = type(given)
    if kind is Lazy:
        if given.done:
            return LazyMethod(given, name) if given.kind == "text" else getattr(given.value, name)
        if given.kind == "response" and name == "data":
            return given.run.data(given)
        return LazyMethod(given, name)
    if kind in LAZY:
        return getattr(whole(given), name)
    run = current_run()
    if run is not None and run.attempt is not None and run.is_attempting and has_code(given, name):
        run.settle(f"{name}, which runs code, is read")
    if isinstance(given, Operator) and run is not None and run.waits:
        # Its state may be that after the calls that wait.
        found = getattr(given, name)
        if callable(found) or type(found) in (list, dict, str) or found is None:
            return found
        run.settle(f"{name} of an operator is read")
    return getattr(given, name)


def item(given: Any, key: Any) -> Any:
    """Return `given[key]`."""
    kind = type(given)
    if kind is Lazy:
        simple = type(key) in PLAIN or type(key) is slice or type(key) is Lazy
        if simple and not (given.done and type(given.value) not in PLAIN):
            gives: Kind = "value"
            if given.kind == "text" or (given.kind == "texts" and type(key) is int):
                gives = "text"
            elif given.kind == "texts" and type(key) is slice:
                gives = "texts"
            try:
                return later(operator.getitem, given, key, kind=gives)
            except NotSimpleError:
                pass
        return value(given)[whole(key)]
    if kind in LAZY:
        return whole(given)[whole(key)]
    found = given[whole(key)]
    return own(found) if kind is list and type(key) is slice else found


def piece(lower: Any, upper: Any, step: Any) -> slice:
    """Return a slice."""
    return slice(value(lower), value(upper), value(step))


def place(given: Any, key: Any) -> tuple[Any, Any, Any]:
    """Return what `given[key] <operator>= ...` changes: the container, the key, the entry."""
    found, at = value(given), whole(key)
    return found, at, found[at]


def change_item(name: str, container: Any, key: Any, entry: Any, right: Any) -> None:
    """Do `container[key] <operator>= right`; `entry` is the entry before."""
    store(changed(name, entry, right), container, key)


def store(entry: Any, container: Any, key: Any) -> None:
    """Do `container[key] = entry`."""
    container, key, run = value(container), whole(key), current_run()
    if run is None:
        container[key] = value(entry)
    elif run.is_own(container) and type(key) is not slice:
        container[key] = entry
    else:
        if not run.is_own(container):
            run.stop(f"a {type(container).__name__} that the function has not made is changed")
        kept = f"an answer is kept in a {type(container).__name__} outside the function"
        container[key] = run.whole(entry, kept)


# ---- loops


def items(given: Any) -> Any:
    """Return what a loop runs over; its entries may be lazy."""
    if type(given) is LazyItems:
        return given.raw()
    return value(given)


def entries(given: Any) -> Iterator[Any]:
    """Yield entries that are unpacked."""
    return map(items, items(given))


def whole_entries(given: Any) -> Iterator[Any]:
    """Yield entries that are unpacked, down to their parts."""
    return map(whole, items(given))


def generator(made: Iterator[Any]) -> Any:
    """Return a generator expression."""
    return made if current_run() is None else LazyItems(lambda: made, lambda: _values(made))


def _values(entries: Iterable[Any]) -> Iterator[Any]:
    for entry in entries:
        yield whole(entry)


# ---- functions


def closure(function: FunctionType) -> FunctionType:
    """Return a function for all code; rewritten code finds the rewritten one by it."""
    if (run := current_run()) is not None:
        run.closures.append(function)

    def called(*args: Any, **kwargs: Any) -> Any:
        return run_whole(Run(), lambda: function(*args, **kwargs))

    update_wrapper(called, function)
    made = cast("FunctionType", called)
    closures[made] = function
    return made


def callee(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Return what rewritten code is to call, with `args()` and `kwargs()`."""
    run = current_run()
    if run is None:
        made = Prepared(value(function), tuple(map(value, args)), kwargs)
    else:
        made = prepared(run, function, args, kwargs)
    stash.calls.append(made)
    return made.function


def args() -> tuple[Any, ...]:
    """Return the positional arguments for the last `callee`."""
    return stash.calls[-1].args


def kwargs() -> dict[str, Any]:
    """Return the keyword arguments for the last `callee`, which is then done."""
    return stash.calls.pop().kwargs or {}


# ---- statements


def before_block() -> None:
    """Make the calls before a block, so that nothing in it sees their failures."""
    if (run := current_run()) is not None:
        run.settle("a `try` block begins")


def manager(given: Any) -> Any:
    """Return a context manager that is about to be entered."""
    run, made = current_run(), whole(given)
    if run is not None:
        run.settle("a `with` block begins")
        run.stop("a `with` block begins")
        run.entering.append(made)
    return made


class guard:  # noqa: N801 - called like the other operations
    """Surrounds the body of `try` (then `managers` is 0), or of `with`.

    If its exceptions may be caught, each call in it is made at once: the code that goes on sees
    what was done before the first that failed.
    """

    def __init__(self, managers: int) -> None:
        self._run = run = current_run()
        self._catches = False
        if run is None:
            return
        entered = run.entering[len(run.entering) - managers :]
        del run.entering[len(run.entering) - managers :]
        self._catches = not managers or not all(map(_lets_pass, entered))

    def __enter__(self) -> None:
        if self._run is not None:
            self._run.at_once += self._catches

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._run is not None:
            self._run.at_once -= self._catches
            if kind is None or issubclass(kind, Exception):
                self._run.settle("a block ends")


def _lets_pass(entered: Any) -> bool:
    """Return whether a context manager is known to let exceptions pass."""
    made_by = getattr(getattr(entered, "func", None), "__module__", "")
    return isinstance(entered, IOBase | TemporaryDirectory) or made_by.startswith("ember_bench.")


def caught() -> None:
    """Begin a handler of exceptions: a run that makes no calls ends, whatever was caught."""
    if (run := current_run()) is not None and run.stopped:
        run.settle("")


hooks.cell_contents = sys.modules[__name__]

"""Operations of rewritten code that give values: texts, arithmetic, comparisons.

Each does what the plain operation does. If an operand is still to come, the result is too, if that
is all the same: if the operation only computes, and nobody can change what it is given.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, Final

from ember_bench.graph.jitting.calls import current_run
from ember_bench.graph.jitting.lazies import (
    LAZY,
    PLAIN,
    Kind,
    Lazy,
    LazyMethod,
    NotSimpleError,
    is_lazy_in,
    is_text,
    symbol_in,
)
from ember_bench.graph.jitting.runs import Run
from ember_bench.operators.plan import joined

_CONTAINERS: Final = frozenset([list, tuple, dict])


def own(made: Any) -> Any:
    """Note a container that the function has made."""
    if type(made) in (list, dict, set) and (run := current_run()) is not None:
        run.own[id(made)] = made
    return made


# ---- values


def value(given: Any) -> Any:
    """Return the value of what may be lazy; containers keep their lazy entries."""
    kind = type(given)
    if kind in LAZY:
        if kind is Lazy:
            return given.value if given.done else given.run.value(given, "its answer is needed")
        return _run_of(given).whole(given)
    return given


def whole(given: Any) -> Any:
    """Return what other code may see."""
    kind = type(given)
    if kind in PLAIN:
        return given
    run = current_run()
    if run is None:
        return value(given)
    return run.whole(given, "its answer is needed")


def given_away(given: Any, where: str) -> Any:
    """Return what is kept outside the function, in `where`."""
    run = current_run()
    if run is None:
        return value(given)
    run.stop(f"{where} is changed")
    return run.whole(given, f"an answer is kept in {where}")


def victim(given: Any, where: str) -> Any:
    """Return the object that `del` changes."""
    run, found = current_run(), value(given)
    if run is not None and not run.is_own(found):
        run.stop(f"{where} is deleted")
    return found


def _run_of(given: Any) -> Run:
    run: Run | None = given.source.run if type(given) is LazyMethod else current_run()
    return run or Run()


# ---- texts


def shown(given: Any, conversion: str = "", spec: Any = "") -> Any:
    """Return an entry of an f-string."""
    if type(given) is Lazy and type(spec) is str and not conversion and not spec:
        return given if given.kind == "text" else later(format, given, spec, kind="text")
    convert = _CONVERSIONS.get(conversion)
    if type(given) is not Lazy and is_lazy_in(given) and type(spec) is str:
        try:
            # A list or dict as a text.
            return later(_convert_and_format, conversion, given, spec, kind="text")
        except NotSimpleError:
            given = whole(given)
    if type(given) is Lazy and type(spec) is str:
        converted = later(convert, given, kind="text") if convert is not None else given
        return later(format, converted, spec, kind="text") if spec else converted
    given, spec = whole(given), value(spec)
    return format(convert(given) if convert is not None else given, spec)


def _convert_and_format(conversion: str, given: Any, spec: str) -> str:
    convert = _CONVERSIONS.get(conversion)
    return format(convert(given) if convert is not None else given, spec)


_CONVERSIONS: Final[dict[str, Callable[[Any], str]]] = {"s": str, "r": repr, "a": ascii}


def text(*parts: Any) -> Any:
    """Return an f-string of its parts, which are texts."""
    if not any(type(part) is Lazy for part in parts):
        return "".join(parts)
    return _text(parts)


def _text(parts: Iterable[Any]) -> Any:
    """Return texts as one, which a plan shows as a text with holes."""
    pieces = tuple(part for part in parts if type(part) is Lazy or part)
    made = later(_joined, *pieces, kind="text")
    if type(made) is Lazy:
        made.symbol = joined(*(symbol_in(made.run, piece) for piece in pieces))
    return made


def _joined(*parts: str) -> str:
    return "".join(parts)


def later(function: Callable[..., Any], *given: Any, kind: Kind = "value") -> Any:
    """Return `function(*given)`, which may be lazy."""
    run = current_run()
    if run is None:
        return function(*map(value, given))
    return run.later(function, given, kind)


# ---- operators


def binary(name: str, left: Any, right: Any) -> Any:
    """Return `left <operator> right`."""
    function = getattr(operator, name)
    one, other = type(left), type(right)
    if one in PLAIN and other in PLAIN:
        return function(left, right)
    if one is Lazy or other is Lazy or (name == "mod" and one is str and is_lazy_in(right)):
        return _computed(name, function, left, right)
    if one in LAZY or other in LAZY:
        return function(whole(left), whole(right))
    if one in _CONTAINERS and (one is other or name == "mul"):
        return own(function(left, right))
    if one not in _CONTAINERS and other not in _CONTAINERS:
        return function(left, right)
    return function(whole(left), whole(right))


def _computed(name: str, function: Callable[..., Any], left: Any, right: Any) -> Any:
    texts = is_text(left), is_text(right)
    if name == "add" and all(texts):
        return _text((left, right))
    gives_text = (name in ("add", "mul") and any(texts)) or (name == "mod" and texts[0])
    try:
        return later(function, left, right, kind="text" if gives_text else "value")
    except NotSimpleError:
        return function(whole(left), whole(right))


def compare(name: str, left: Any, right: Any) -> Any:
    """Return a comparison; `name` is that of the class in `ast`."""
    function = _COMPARISONS[name]
    one, other = type(left), type(right)
    if name in ("Is", "IsNot"):
        return function(value(left), value(right))
    if one is Lazy or other is Lazy:
        try:
            return later(function, left, right)
        except NotSimpleError:
            pass
    if one in LAZY or one in _CONTAINERS:
        left = whole(left)
    if other in LAZY or other in _CONTAINERS:
        right = whole(right)
    return function(left, right)


def _in(entry: Any, container: Any) -> bool:
    return entry in container


def _not_in(entry: Any, container: Any) -> bool:
    return entry not in container


_COMPARISONS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "Eq": operator.eq, "NotEq": operator.ne, "Lt": operator.lt, "LtE": operator.le,
    "Gt": operator.gt, "GtE": operator.ge, "Is": operator.is_, "IsNot": operator.is_not,
    "In": _in, "NotIn": _not_in,
}  # fmt: skip

"""Answers to come: what rewritten code holds in the place of answers that are not there yet.

They are found only in variables of rewritten code, and in the lists, dicts and tuples that it has
made itself (`Run.own`). `Run.whole` replaces them by their values before any other code sees them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from types import NoneType
from typing import Any, Final, Literal, TypeAlias

from ember_bench.operators.plan import Apply, Symbol

Kind: TypeAlias = Literal["text", "texts", "response", "value"]

# Values that nobody can change.
PLAIN: Final = frozenset([str, int, float, complex, bool, bytes, NoneType])
_SHARED: Final = PLAIN | {type, re.Pattern, range}


class Lazy:
    """A value that may be still to come.

    Args:
        run: The `Run` that gives it its value.
        symbol: How a plan computes it.
        kind: What is known of its type: a text, a list of texts, a `Response`, or nothing.
        compute: Its function and arguments, if it is computed from others; the arguments may
            contain lazy values.
    """

    __slots__ = ("__weakref__", "compute", "done", "kind", "run", "symbol", "value")

    def __init__(
        self,
        run: Any,
        symbol: Symbol,
        kind: Kind,
        compute: tuple[Callable[..., Any], tuple[Any, ...]] | None = None,
    ) -> None:
        self.run = run
        self.symbol = symbol
        self.kind = kind
        self.compute = compute
        self.done = False
        self.value: Any = None

    def settle(self, value: Any) -> None:
        """Give it its value."""
        self.value, self.done, self.compute = value, True, None


class LazyMethod:
    """A method of a lazy value that was looked up, and not called yet."""

    __slots__ = ("name", "source")

    def __init__(self, source: Lazy, name: str) -> None:
        self.source = source
        self.name = name


class LazyItems:
    """An iterator over what may be lazy: `enumerate(drafts)`, or a generator expression.

    Args:
        raw: Returns the iterator as rewritten code sees it.
        plain: Returns that which any other code sees, with values.
        once: Whether iterating consumes it.
    """

    __slots__ = ("_raw", "_started", "once", "plain")

    def __init__(
        self, raw: Callable[[], Iterable[Any]], plain: Callable[[], Any], *, once: bool = True
    ) -> None:
        self._raw = raw
        self._started: Iterator[Any] | None = None
        self.plain = plain
        self.once = once

    def raw(self) -> Iterable[Any]:
        """Return the iterator; always the same if it can be consumed only once."""
        if not self.once:
            return self._raw()
        if self._started is None:
            self._started = iter(self._raw())
        return self._started

    def given_away(self) -> Any:
        """Return it for other code."""
        return self.plain() if self._started is None else self._started


LAZY: Final = frozenset([Lazy, LazyMethod, LazyItems])


def is_text(given: Any) -> bool:
    """Return whether something is a text, or will be one."""
    return type(given) is str or (type(given) is Lazy and given.kind == "text")


class NotSimpleError(Exception):
    """Something cannot be computed later, as it may have changed by then."""


def lazies_in(tree: Any) -> Iterator[Lazy]:
    """Yield the lazy values in plain containers."""
    kind = type(tree)
    if kind is Lazy:
        yield tree
    elif kind in (list, tuple):
        for part in tree:
            yield from lazies_in(part)
    elif kind is dict:
        for part in tree.values():
            yield from lazies_in(part)


def is_lazy_in(tree: Any) -> bool:
    """Return whether there is anything lazy in plain containers."""
    kind = type(tree)
    if kind in (list, tuple):
        return any(map(is_lazy_in, tree))
    return any(map(is_lazy_in, tree.values())) if kind is dict else kind in LAZY


def snapshot(tree: Any, *, strict: bool = True) -> Any:
    """Return a copy of what an operation is given, for it to be done later.

    Args:
        tree: Lazy and other values.
        strict: Whether it must consist of lazy values and of what nobody can change.

    Raises:
        NotSimpleError: if it does not.
    """
    kind = type(tree)
    if kind is Lazy and tree.done and type(tree.value) not in PLAIN:
        # It may have been changed since it was computed.
        return snapshot(tree.value, strict=strict)
    if kind is Lazy or kind in _SHARED:
        return tree
    if kind is slice:
        return slice(*(snapshot(part) for part in (tree.start, tree.stop, tree.step)))
    if kind in (list, tuple):
        return kind([snapshot(part, strict=strict) for part in tree])
    if kind is dict:
        return {key: snapshot(part, strict=strict) for key, part in tree.items()}
    if strict or kind in LAZY:
        raise NotSimpleError
    return tree


def symbolic(tree: Any) -> Any:
    """Return a snapshot with symbols in the place of lazy values."""
    kind = type(tree)
    if kind is Lazy:
        return tree.symbol
    if kind is slice:
        return Apply(slice, tuple(symbolic(p) for p in (tree.start, tree.stop, tree.step)))
    if kind in (list, tuple):
        return kind([symbolic(part) for part in tree])
    return {key: symbolic(part) for key, part in tree.items()} if kind is dict else tree


def symbol_in(run: Any, part: Any) -> Any:
    """Return the symbol of a part of a text; its value if it comes from another run."""
    if type(part) is not Lazy:
        return part
    return part.symbol if part.run is run else part.value


def valued(tree: Any) -> Any:
    """Return a snapshot with the values of its lazy values, which are all there."""
    kind = type(tree)
    if kind is Lazy:
        return tree.value
    if kind is slice:
        return slice(*(valued(part) for part in (tree.start, tree.stop, tree.step)))
    if kind in (list, tuple):
        return kind([valued(part) for part in tree])
    return {key: valued(part) for key, part in tree.items()} if kind is dict else tree

"""Equality of Python literals: `[1, 2]`, `{'a': (1, 2)}`, `'text'`."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from ember_bench.errors import ConfigError
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.kinds import evaluator, parameter_identity, shorten
from ember_bench.evaluators.outputs import without_thoughts

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item

_STATED: Final = re.compile(r"answer\W{0,4}:\W*?[ \t]*([^\n]+)", re.IGNORECASE)
_LONGEST: Final = 20_000


@evaluator("python_literal", version=1)
@dataclass(frozen=True)
class PythonLiteral:
    """Right if the literal in the output is the target's value, of the same types.

    The literal is the whole output, or what follows its last `Answer:`. Nothing is run: expressions
    such as `2 * 3` are no literals.
    """

    name: str

    @cached_property
    def identity(self) -> str:
        """Kind and version."""
        return parameter_identity(self)

    def evaluate(self, item: Item, output: str) -> Score:
        """Compare the literal with the target.

        Raises:
            ConfigError: if the target is no literal.
        """
        try:
            target = _written(item.target)
        except ValueError:
            raise ConfigError(
                f"item {item.id!r}: {self.name!r}: the target {shorten(item.target)} is no Python"
                " literal"
            ) from None
        for text in _candidates(without_thoughts(output)):
            try:
                found = _written(text)
            except ValueError:
                continue
            if found == target:
                return Score(1.0, text, f"{shorten(text)} is the target's value.")
            return Score(0.0, text, f"{shorten(text)} is not {shorten(item.target)}.")
        return Score(0.0, None, f"No literal could be read; the target is {shorten(item.target)}.")

    def normal(self, item: Item, answer: str) -> str:
        """Return one text for all ways to write a literal."""
        del item
        for text in _candidates(without_thoughts(answer)):
            try:
                return _written(text)
            except ValueError:
                continue
        return answer


def _candidates(output: str) -> list[str]:
    """Return the texts that may be the literal, the most likely first."""
    stated = [found.strip("`* \t") for found in _STATED.findall(output)]
    return [output.strip("`* \t\n"), *stated[-1:]]


def _written(text: str) -> str:
    """Return a literal in one way of writing it, which equal values of equal types have.

    Raises:
        ValueError: if the text is no literal.
    """
    if len(text) > _LONGEST:
        raise ValueError("too long")
    try:
        return _shown(ast.literal_eval(text))
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError("no literal") from error


def _shown(value: Any) -> str:
    """Write a value so that the order of sets and dictionaries does not matter."""
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(map(_shown, value))})"
    if isinstance(value, set):
        return f"set({', '.join(sorted(map(_shown, value)))})"
    if isinstance(value, dict):
        pairs = sorted(f"{_shown(key)}: {_shown(one)}" for key, one in value.items())
        return f"dict({', '.join(pairs)})"
    return repr(value)

"""Game of 24: an expression of given numbers that makes 24."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from ember_bench.errors import ConfigError
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.kinds import evaluator, parameter_identity, shorten
from ember_bench.evaluators.outputs import without_thoughts

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item

_STATED: Final = re.compile(r"answer\s*(?:is)?\s*:?", re.IGNORECASE)
_BOXED: Final = re.compile(r"\\boxed\{([^{}]*)\}")
_EXPRESSION: Final = re.compile(r"[\d(][-+*/().\d\s]*[\d)]")
# The signs of multiplication, division and subtraction as texts have them.
_SIGNS: Final = str.maketrans("\u00d7\u00f7\u2212\u2013x", "*/--*")
_NAMES: Final = {r"\times": "*", r"\cdot": "*", r"\div": "/", r"\left": "", r"\right": ""}
_LONGEST: Final = 300


@evaluator("game24", version=1)
@dataclass(frozen=True)
class Game24:
    """Right if the answer is arithmetic that uses each number once and makes the goal, exactly.

    Yao et al. 2023, "Tree of Thoughts", section 4.1. Only + - * / and brackets count; the numbers
    are compared as fractions. What stands behind an equals sign is not read.

    Attributes:
        numbers: The metadata field of the numbers: a list, or a text such as "4 5 6 10".
        goal: What the expression must make.
    """

    name: str
    numbers: str = "numbers"
    goal: int = 24

    @cached_property
    def identity(self) -> str:
        """Kind, version and parameters."""
        return parameter_identity(self)

    def check_item(self, item: Item) -> None:
        """See that the item has its numbers.

        Raises:
            ConfigError: if it has not.
        """
        self._numbers(item)

    def evaluate(self, item: Item, output: str) -> Score:
        """Calculate the answer.

        Raises:
            ConfigError: if the item has no numbers.
        """
        numbers = self._numbers(item)
        answer = read_expression(without_thoughts(output))
        if answer is None:
            return Score(0.0, None, "No arithmetic could be read.")
        shown = shorten(answer)
        try:
            value, used = calculate(answer)
        except ZeroDivisionError:
            return Score(0.0, answer, f"{shown} divides by zero.")
        except ValueError:
            return Score(0.0, None, f"{shown} is no arithmetic.")
        if sorted(used) != sorted(numbers):
            wanted = " ".join(map(str, numbers))
            return Score(0.0, answer, f"{shown} does not use each of {wanted} once.")
        return Score(float(value == self.goal), answer, f"{shown} is {value}.")

    def _numbers(self, item: Item) -> list[Fraction]:
        given: Any = item.metadata.get(self.numbers)
        parts: Sequence[Any] = given.split() if isinstance(given, str) else given or ()
        try:
            numbers = [Fraction(str(part)) for part in parts]
        except (ValueError, TypeError):
            numbers = []
        if not numbers:
            raise ConfigError(
                f"item {item.id!r}: {self.name!r} needs numbers in the metadata field "
                f"{self.numbers!r}"
            )
        return numbers


def read_expression(text: str) -> str | None:
    """Return the arithmetic that a text states as its answer, or its last one with an operator."""
    if boxed := _BOXED.findall(text):
        text = boxed[-1]
    elif stated := [*_STATED.finditer(text)]:
        text = text[stated[-1].end() :]
    for name, sign in _NAMES.items():
        text = text.replace(name, sign)
    lines = [line.partition("=")[0].translate(_SIGNS) for line in text.splitlines()]
    found = [part.strip() for line in lines for part in _EXPRESSION.findall(line)]
    found = [part for part in found if re.search(r"[-+*/]", part)]
    return found[-1] if found and len(found[-1]) <= _LONGEST else None


def calculate(expression: str) -> tuple[Fraction, list[Fraction]]:
    """Return the value of + - * / and brackets, and the numbers used, in order.

    Raises:
        ValueError: if the expression is anything else.
        ZeroDivisionError: if it divides by zero.
    """
    try:
        tree = ast.parse(expression, mode="eval").body
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"no arithmetic: {expression!r}") from error
    used: list[Fraction] = []
    return _value(tree, used), used


def _value(node: ast.expr, used: list[Fraction]) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            used.append(Fraction(str(number)))
            return used[-1]
        case ast.BinOp(left=left, op=operation, right=right):
            first, second = _value(left, used), _value(right, used)
            match operation:
                case ast.Add():
                    return first + second
                case ast.Sub():
                    return first - second
                case ast.Mult():
                    return first * second
                case ast.Div():
                    return first / second
    raise ValueError("only + - * / and numbers are arithmetic here")

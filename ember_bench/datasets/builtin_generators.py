"""The built-in generators."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from ember_bench.datasets.generated import generator
from ember_bench.datasets.item import Item
from ember_bench.datasets.prompts import LETTERS, lettered

if TYPE_CHECKING:
    from ember_bench.datasets.splitmix import SplitMix

Operation = Literal["+", "-", "*"]
_OPERATIONS: Final[tuple[Operation, ...]] = ("+", "-", "*")

# A product of this many decimal digits has difficulty 1.
_HARDEST_PRODUCT: Final = 12
# So many single-digit steps have difficulty one half.
_HALF_EFFORT: Final = 10


@generator("prime_factorisation")
def prime_factorisation(
    random: SplitMix, item_id: str, *, digits: Annotated[int, Field(ge=1, le=9)] = 3
) -> Item:
    """Make a product of two different primes of `digits` digits, to be taken apart.

    The task of Davis et al. 2024, "Networks of Networks". Difficulty is the decimal logarithm of
    the product over 12, at most 1: from .33 to .5 for three digits.
    """
    first = second = _prime(random, digits)
    while first == second:
        second = _prime(random, digits)
    low, high = sorted((first, second))
    product = low * high
    return Item(
        id=item_id,
        question=(
            f"The number {product} is the product of two prime numbers. Which two? "
            "End with a line of the form `Answer: p, q`, the smaller prime first."
        ),
        target=f"{low},{high}",
        answer_format="integers",
        category=f"{digits} digits",
        difficulty=round(min(1.0, math.log10(product) / _HARDEST_PRODUCT), 4),
        metadata={"product": product},
    )


@generator("arithmetic")
def arithmetic(
    random: SplitMix,
    item_id: str,
    *,
    terms: Annotated[int, Field(ge=2, le=20)] = 3,
    digits: Annotated[int, Field(ge=1, le=9)] = 2,
) -> Item:
    """Make a chain of `terms` numbers of up to `digits` digits, joined by + - *.

    Difficulty is e / (e + 10), where e counts the single-digit steps of working it out by hand:
    `digits` for each + and -, their square for each *.
    """
    expression, value, effort = _chain(random, terms, digits)
    return Item(
        id=item_id,
        question=(
            f"What is {expression}? Multiplication comes before addition and subtraction. "
            "End with a line of the form `Answer: n`."
        ),
        target=str(value),
        answer_format="number",
        category=f"{terms} terms",
        difficulty=_hand_difficulty(effort),
        metadata={"expression": expression},
    )


@generator("multiple_choice")
def multiple_choice(
    random: SplitMix,
    item_id: str,
    *,
    choices: Annotated[int, Field(ge=2, le=10)] = 4,
    terms: Annotated[int, Field(ge=2, le=20)] = 3,
    digits: Annotated[int, Field(ge=1, le=9)] = 2,
) -> Item:
    """Make an `arithmetic` chain with several values to choose from, one of them right."""
    expression, value, effort = _chain(random, terms, digits)
    options = [value]
    while len(options) < choices:
        option = value + random.choice((-1, 1)) * random.between(1, 10**digits)
        if option not in options:
            options.append(option)
    shown = tuple(str(option) for option in random.shuffled(options))
    return Item(
        id=item_id,
        question=(
            f"What is {expression}? Multiplication comes before addition and subtraction.\n\n"
            f"{lettered(shown)}\n\n"
            "End with a line of the form `Answer: X`, where X is the letter of the right choice."
        ),
        target=LETTERS[shown.index(str(value))],
        choices=shown,
        answer_format="choice",
        category=f"{terms} terms",
        difficulty=_hand_difficulty(effort),
        metadata={"expression": expression},
    )


def _chain(random: SplitMix, terms: int, digits: int) -> tuple[str, int, int]:
    """Return an expression, its value, and the single-digit steps it takes by hand."""
    numbers = [random.between(1, 10**digits - 1) for _ in range(terms)]
    operations = [random.choice(_OPERATIONS) for _ in range(terms - 1)]
    expression = str(numbers[0])
    total, product, effort = 0, numbers[0], 0
    for operation, number in zip(operations, numbers[1:], strict=True):
        expression += f" {operation} {number}"
        if operation == "*":
            product *= number
            effort += digits**2
        else:
            total += product
            product = number if operation == "+" else -number
            effort += digits
    return expression, total + product, effort


def _hand_difficulty(effort: int) -> float:
    return round(effort / (effort + _HALF_EFFORT), 4)


def _prime(random: SplitMix, digits: int) -> int:
    """Return a prime of `digits` decimal digits, each as likely."""
    while not _is_prime(number := random.between(10 ** (digits - 1), 10**digits - 1)):
        pass
    return number


def _is_prime(number: int) -> bool:
    """Miller and Rabin's test, exact below 3,215,031,751 with these bases (Jaeschke 1993)."""
    bases = (2, 3, 5, 7)
    if number < 2 or any(number % base == 0 for base in bases):
        return number in bases
    twos = ((number - 1) & -(number - 1)).bit_length() - 1
    odd = (number - 1) >> twos
    for base in bases:
        x = pow(base, odd, number)
        if x not in (1, number - 1) and not any(
            (x := x * x % number) == number - 1 for _ in range(twos - 1)
        ):
            return False
    return True

"""Wrong answers that a simulated model gives.

They are written as the answer formats write theirs (`parse_answer` reads each back as itself), but
know nothing of those: models stand below operators.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from itertools import count, islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NUMBER = re.compile(r"-?[0-9][0-9,]*(?:\.[0-9]+)?(?:/[1-9][0-9]*)?")
_MOST_PLACES: Final = 400
_INTEGER = re.compile(r"-?[0-9]+")


def distractors(target: str, answer_format: str, choices: Sequence[str], n: int) -> list[str]:
    """Return up to `n` different wrong answers, the same ones every time.

    Fewer where fewer exist: a question of four options has three wrong ones, yes has only no. An
    answer format that is not built in is imitated by the shape of its target.

    Args:
        target: The right answer.
        answer_format: How answers are read.
        choices: The options of a multiple-choice question, in the order shown.
        n: How many are wanted.
    """
    return list(_cached(target, answer_format, tuple(choices), n))


@lru_cache(maxsize=16_384)
def _cached(target: str, answer_format: str, choices: tuple[str, ...], n: int) -> tuple[str, ...]:
    write = _WRITERS.get(answer_format) or _by_shape(target)
    return tuple(islice(write(target, choices), n))


def _by_shape(target: str) -> Callable[[str, Sequence[str]], Iterator[str]]:
    if target.strip().lower() in ("yes", "no"):
        return _yes_no
    return _numbers if _NUMBER.search(target) else _texts


def _steps() -> Iterator[int]:
    """1, -1, 2, -2, ...: wrong answers are near the right one, as people's are."""
    for size in count(1):
        yield size
        yield -size


def _numbers(target: str, _: Sequence[str]) -> Iterator[str]:
    found = _NUMBER.search(target)
    if found and _INTEGER.fullmatch(digits := found[0].replace(",", "")):
        whole = int(digits)
        yield from (str(whole + step) for step in _steps())
        return
    value = Fraction(found[0].replace(",", "")) if found else Fraction(0)
    exact = (places for places in range(_MOST_PLACES) if 10**places % value.denominator == 0)
    if (places := next(exact, None)) is None:
        # No finite decimal: whole steps keep the denominator, and with it the fraction's form.
        yield from (
            f"{wrong.numerator}/{wrong.denominator}" for wrong in map(value.__add__, _steps())
        )
    else:
        scaled = int(value * 10**places)
        yield from (_decimal(scaled + step, places) for step in _steps())


def _decimal(scaled: int, places: int) -> str:
    if not places:
        return str(scaled)
    digits = str(abs(scaled)).rjust(places + 1, "0")
    value = f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".")
    return f"-{value}" if scaled < 0 else value


def _choices(target: str, choices: Sequence[str]) -> Iterator[str]:
    letters = _LETTERS[: len(choices)] if choices else _LETTERS[:4]
    right = target.strip("().*[] \t\n")
    if len(right) == 1 and right.upper() in letters:
        right = right.upper()
    elif target in choices:
        right = _LETTERS[choices.index(target)]
    start = letters.find(right) + 1
    yield from (letter for letter in letters[start:] + letters[:start] if letter != right)


def _yes_no(target: str, _: Sequence[str]) -> Iterator[str]:
    yield "no" if target.strip().strip("[]").lower() == "yes" else "yes"


def _integers(target: str, _: Sequence[str]) -> Iterator[str]:
    values = [int(digits) for digits in _INTEGER.findall(target)] or [0]
    for offset in count(1):
        # Only upwards, so that a list of positive integers stays one.
        yield ",".join(map(str, sorted((*values[:-1], values[-1] + 2 * offset))))


def _texts(target: str, _: Sequence[str]) -> Iterator[str]:
    # "not x" would say what the answer is not.
    wrong = f"another {target.strip()}"
    yield wrong
    yield from (f"{wrong} ({number})" for number in count(2))


def _programs(_: str, __: Sequence[str]) -> Iterator[str]:
    yield from (f"raise NotImplementedError({number})" for number in count(1))


_WRITERS: Final[dict[str, Callable[[str, Sequence[str]], Iterator[str]]]] = {
    "text": _texts,
    "exact": _texts,
    "number": _numbers,
    "choice": _choices,
    "yes_no": _yes_no,
    "integers": _integers,
    "python": _programs,
}

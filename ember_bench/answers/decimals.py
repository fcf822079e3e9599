"""Canonical decimal strings and reduced fractions, exact at any size.

How separators are read:

* a comma before groups of three digits separates thousands (`1,000`, `12,34,567`), as do a space
  or an apostrophe (`1 000`, `1'000`) and, from two groups on, a full stop (`1.234.567`);
* another single comma is a decimal comma (`3,14`); `1.234,56` is 1234.56; `1.234` is below two.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

# Nothing that anyone would call an answer is longer, and expanding it stays cheap.
MAX_DIGITS: Final = 400
_MAX_FRACTION_DIGITS: Final = 100

_POINT = re.compile(r"[1-9][0-9]{0,2}(?:(?:,[0-9]{2,3})*,[0-9]{3}|(?:[ '][0-9]{3})+)(?:\.[0-9]+)?")
_COMMA = re.compile(
    r"[1-9][0-9]{0,2}(?:(?:\.[0-9]{3}){2,}|(?:\.[0-9]{3})+,[0-9]+|(?:[ '][0-9]{3})+,[0-9]+)"
)
_SINGLE = re.compile(r"[0-9]*[.,]?[0-9]+")
_MARKS: Final = str.maketrans("", "", " ,'")


def digits_of(run: str) -> str | None:
    """Return `run` with a full stop before its decimals and nothing else between its digits."""
    if run.isdigit():
        return run
    if _POINT.fullmatch(run):
        return run.translate(_MARKS)
    if _COMMA.fullmatch(run):
        return run.replace(".", "").replace(",", ".").translate(_MARKS)
    return run.replace(",", ".") if _SINGLE.fullmatch(run) else None


def exponent_of(digits: str) -> int | None:
    """Return the exponent; None if it is too long for any number that can be written out."""
    return int(digits) if len(digits) <= 5 else None


def decimal(digits: str, exponent: int | None, *, negative: bool) -> str | None:
    """Return `digits` times ten to the `exponent` without an exponent; None if too long."""
    whole, _, decimals = digits.partition(".")
    if exponent:
        point = len(whole) + exponent
        figures = whole + decimals
        if abs(point) > MAX_DIGITS or len(figures) > MAX_DIGITS:
            return None
        figures = "0" * -point + figures if point < 0 else figures.ljust(point, "0")
        whole, decimals = figures[: max(point, 0)], figures[max(point, 0) :]
    if exponent is None or len(whole) + len(decimals) > 2 * MAX_DIGITS:
        return None
    whole, decimals = whole.lstrip("0") or "0", decimals.rstrip("0")
    value = f"{whole}.{decimals}" if decimals else whole
    return f"-{value}" if negative and value != "0" else value


def ratio(whole: str | None, above: str, below: str, *, negative: bool) -> str | None:
    """Return `whole` and `above` / `below`; None if it is undefined or too long."""
    if max(len(whole or ""), len(above), len(below)) > _MAX_FRACTION_DIGITS:
        return None
    if not (divisor := Fraction(below)):
        return None
    value = Fraction(above) / divisor + Fraction(whole or 0)
    return canonical(-value if negative else value)


def canonical(value: Fraction) -> str | None:
    """Return the finite decimal that equals `value`, or else the reduced fraction."""
    rest, places = value.denominator, 0
    while rest % 10 in (0, 2, 4, 5, 6, 8):
        rest //= 10 if rest % 10 == 0 else 5 if rest % 5 == 0 else 2
        places += 1
    if rest > 1:
        return f"{value.numerator}/{value.denominator}"
    scaled = abs(value.numerator) * 10**places // value.denominator
    return decimal(str(scaled), -places, negative=value < 0)

r"""Reads one number, or a list of integers, out of a text.

Numbers are canonical decimal strings without exponent, separators, sign of zero or trailing
zeros: `1,000.0` is `1000`. A fraction that no finite decimal equals stays a reduced fraction
(`1/3`), so that equality is exact. How separators are read:

* a comma before groups of three digits separates thousands (`1,000`, `12,34,567`), as do a space
  (`1 000`) and, from two groups on, a full stop (`1.234.567`);
* another single comma is a decimal comma (`3,14`); `1.234,56` is 1234.56; `1.234` is below two.

Units are dropped, the percent sign among them (`50%` is `50`), and no arithmetic is done: a claim
of `9 * 2`, of `18 or 20`, of `2, 3, 5` is not one number.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from ember_bench.answers.claims import (
    IGNORED,
    Claim,
    Ignored,
    Parsed,
    Reading,
    final_statement,
)
from ember_bench.answers.endings import unfinished
from ember_bench.models.types import CutOff

# Nothing that anyone would call an answer is longer, and expanding it stays cheap.
MAX_DIGITS: Final = 400
MAX_INTEGERS: Final = 256
_MAX_FRACTION_DIGITS: Final = 100

_NUMBER = re.compile(
    r"""(?<![A-Za-z0-9_^])(?<![0-9][.,])(?<!\^\{)(?<!\^-)   # no exponent, no part of a name
    (?P<run>\.?[0-9]++(?:[.,][0-9]++|\ [0-9]{3}(?![0-9]))*+)
    (?: [eE](?P<exponent>[+-]?[0-9]++)(?![A-Za-z])
      | \s?[x\u00d7*\u00b7]\s?10\s?(?:\^|\*\*)\s?\{?(?P<power>[+-]?[0-9]++)\}?
      | \^\{?(?P<raised>[+-]?[0-9]++)\}?
      | (?:\ (?P<numerator>[0-9]++))?\s?/\s?(?P<denominator>[0-9]++)(?!/[0-9]|\.[0-9])
    )?""",
    re.VERBOSE,
)
# What most claims look like; anything else takes the long way.
_PLAIN_CLAIM = re.compile(r"[\s*\"'$(]{0,9}([0-9]{1,15})(?:\.0{1,9})?[\s*\"')}.$]{0,9}")
# And most answers that are nothing but a claim.
_PLAIN_ANSWER = re.compile(r"Answer: ([0-9]{1,15})")
_BARE = re.compile(r"-?[0-9]{1,300}(?:\.[0-9]{1,100})?")
_THOUSANDS = re.compile(
    r"[1-9][0-9]{0,2}(?:(?:,[0-9]{2,3})*,[0-9]{3}|(?: [0-9]{3})+)(?:\.[0-9]+)?|"
    r"[1-9][0-9]{0,2}(?: [0-9]{3})+,[0-9]+"
)
_CONTINENTAL = re.compile(r"[1-9][0-9]{0,2}(?:(?:\.[0-9]{3}){2,}|(?:\.[0-9]{3})+,[0-9]+)")
_LEAD = re.compile(
    r"""(?:[^\w\n] | \b(?:about|approximately|approx|around|roughly|nearly|exactly|simply|just|only
        |therefore|thus|then|equals?|to|is|be|indeed|still|a[ ]total[ ]of|the|value|number|integer
        |fraction|result|negative|us|usd|rs|eur|gbp|inr|[a-z](?=\s*=))\b)*+""",
    re.IGNORECASE | re.VERBOSE,
)
_NOTHING = re.compile(
    r"\W*(?:null|none|nil|n/?a|nan|unknown|undefined|undetermined|indeterminate|infinity|infinite"
    r"|not|cannot|can['\u2019]t|unable|impossible|between|either|neither|no answer)\b",
    re.IGNORECASE,
)
_SEVERAL = re.compile(
    r"\s*(?:[-+*\u00d7\u00f7\u00b7/,\u00b1~]|\bx\b)\s*[-(]*[$€£]?[0-9]"
    r"|(?:\s+[a-z%]+){0,2}?\s+(?:or|and|to)\s+[-(]*[$€£]?[0-9]",
    re.IGNORECASE,
)
_HEADING = re.compile(r"[.):]\s+[A-Za-z]")
_SENTENCE_END = re.compile(r"[.;!?]\s")
_OPERATOR = re.compile(r"[-+*/\u00d7\u00f7\u00b7]|\bx\b")

_FRAC = re.compile(
    r"(?P<whole>[0-9]?)\s?\\[dtc]?frac\s?"
    r"(?:\{\s?([0-9]{1,30})\s?\}|([0-9]))\s?(?:\{\s?([0-9]{1,30})\s?\}|([0-9]))"
)
_MACRO = re.compile(
    r"\\(?:boxed|text|textbf|mathrm|mathbf|left|right|displaystyle)\b\s?\{?|\\[,!;: ()\[\]]"
)
_LATEX: Final = (
    ("\\$", "$"),
    ("\\%", "%"),
    ("{,}", ","),
    ("\\times", "\u00d7"),
    ("\\cdot", "\u00b7"),
    ("\\div", "\u00f7"),
    ("\\approx", "\u2248"),
    ("\\pm", "\u00b1"),
)
_SIGNS: Final = str.maketrans(
    "\u2212\u2013\u2010\u2011\uff0d\ufe63\u2044\u00a0\u202f", "------/  ", "\u2009\u200b"
)


def parse_number(text: str) -> Parsed:
    """Return the number that `text` gives as its answer, else its last number."""
    # The digits that a cut-off text ends in may not be all.
    if type(text) is not CutOff:
        if (plain := _PLAIN_ANSWER.fullmatch(text)) is not None:
            return Parsed(plain[1].lstrip("0") or "0", stated=True)
        bare = text.strip()
        if _BARE.fullmatch(bare):
            number = _decimal(bare.removeprefix("-"), 0, negative=bare.startswith("-"))
            return Parsed(number, stated=True)
    statement = final_statement(text, _read_claim)
    if statement.decided:
        return Parsed(statement.answer, stated=True)
    if unfinished(text):
        return Parsed(None)
    number = _last_number(text[statement.floor :] if statement.floor else text)
    return Parsed(None if number in statement.denied else number)


def _read_claim(claim: Claim) -> Reading:
    if (simple := _PLAIN_CLAIM.fullmatch(claim.fragment)) is not None:
        return simple[1].lstrip("0") or "0"
    fragment = _plain(claim.fragment)
    if not fragment or (_NOTHING.match(fragment) and not claim.negated):
        return None
    number = _NUMBER.search(fragment)
    if number is None or not _speaks_of(number, claim, fragment):
        return _only_number(fragment) if claim.enclosed else IGNORED
    number = _after_equals_signs(fragment, number)
    if number is None or _SEVERAL.match(fragment, number.end()):
        return None
    return _canonical(fragment, number)


def _speaks_of(number: re.Match[str], claim: Claim, fragment: str) -> bool:
    """Whether a claim begins with its number, and is not the heading of a list ("#### 2. Add")."""
    lead = _LEAD.match(fragment)
    if lead is not None and lead.end() < number.start():
        return False
    listed = claim.style == "hashes" or (claim.below and number["run"] == "1")
    return not (listed and _HEADING.match(fragment, number.end()))


def _only_number(fragment: str) -> str | None:
    """Read "Tim saves $34 a month"; a sentence with several numbers, or none, says none."""
    numbers = list(_NUMBER.finditer(fragment))
    return _canonical(fragment, numbers[0]) if len(numbers) == 1 else None


def _after_equals_signs(fragment: str, number: re.Match[str]) -> re.Match[str] | None:
    """Follow `9 * 2 = 18` to its right-hand side; None where that has no number."""
    result: re.Match[str] | None = number
    while result is not None:
        signs = [at for sign in "=\u2248" if (at := fragment.find(sign, result.end())) >= 0]
        if not signs:
            return result
        between = fragment[result.end() : min(signs)]
        if _SENTENCE_END.search(between) or (between.strip() and not _OPERATOR.search(between)):
            return result
        result = _NUMBER.search(fragment, min(signs) + 1)
    return None


def _last_number(text: str) -> str | None:
    """Return the last number of `text`, looking no further back than needed."""
    size = 256
    while True:
        window = _plain(text[-size:])
        last: re.Match[str] | None = None
        for last in _NUMBER.finditer(window):  # noqa: B007 - the last match is what is wanted
            pass
        # One that starts near the cut may have lost its beginning.
        if size >= len(text) or (last is not None and last.start() >= 64):
            break
        size *= 8
    if last is None:
        return None
    number = _canonical(window, last)
    if number is None and "," in last["run"] and last.end() == last.end("run"):
        return _decimal(last["run"].rpartition(",")[2], 0, negative=False)
    return number


def _canonical(text: str, number: re.Match[str]) -> str | None:
    digits = _digits(number["run"])
    if digits is None:
        return None
    negative = _negative(text, number.start())
    if (raised := number["raised"]) is not None:
        # 10^6 is written for a number, 2^10 is arithmetic.
        return _decimal("1", _exponent(raised), negative) if digits == "10" else None
    if (denominator := number["denominator"]) is not None:
        if text.endswith("/", 0, number.start()):
            return _decimal(denominator, 0, negative=False)  # a date such as 12/25/2023
        return _fraction(digits, number["numerator"], denominator, negative)
    return _decimal(digits, _exponent(number["exponent"] or number["power"] or "0"), negative)


def _digits(run: str) -> str | None:
    """Return `run` with a full stop before its decimals and nothing else between its digits."""
    if run.isdigit():
        return run
    if _THOUSANDS.fullmatch(run):
        if "," in run and " " in run:
            return run.replace(" ", "").replace(",", ".")
        return run.replace(",", "").replace(" ", "")
    if _CONTINENTAL.fullmatch(run):
        return run.replace(".", "").replace(",", ".")
    if " " in run or run.count(",") + run.count(".") > 1:
        return None
    return run.replace(",", ".")


def _exponent(digits: str) -> int | None:
    return int(digits) if len(digits) <= 5 else None


def _decimal(digits: str, exponent: int | None, negative: bool) -> str | None:
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


def _fraction(digits: str, numerator: str | None, denominator: str, negative: bool) -> str | None:
    if max(len(digits), len(numerator or ""), len(denominator)) > _MAX_FRACTION_DIGITS:
        return None
    if not int(denominator):
        return None
    value = Fraction(digits)
    value = value / int(denominator) if numerator is None else (
        value + Fraction(int(numerator), int(denominator))
    )  # fmt: skip
    rest, places = value.denominator, 0
    while rest % 10 in (0, 2, 4, 5, 6, 8):
        rest //= 10 if rest % 10 == 0 else 5 if rest % 5 == 0 else 2
        places += 1
    if rest > 1:
        return f"{'-' if negative else ''}{value.numerator}/{value.denominator}"
    scaled = value.numerator * 10**places // value.denominator
    return _decimal(str(scaled), -places, negative)


def _negative(text: str, start: int) -> bool:
    """Whether the number at `start` has a sign, not a hyphen or a binary minus, before it."""
    if start >= 2 and text[start - 1] in "$€£¥₹":
        start -= 1
    if text.endswith("negative ", 0, start):
        return True
    at = start - 1
    if at < 0 or text[at] != "-":
        return False
    before = text[:at].rstrip(" ")[-1:] if at else ""
    if before.isdigit() or before in (")", "]", "}", "%"):
        return False
    return not (at and text[at - 1].isalpha())


def _plain(text: str) -> str:
    """Return `text` with LaTeX and typographic signs written as plain characters."""
    if not text.isascii():
        text = text.translate(_SIGNS)
    if "\\" in text or "{,}" in text:
        for macro, plain in _LATEX:
            text = text.replace(macro, plain)
        text = _FRAC.sub(_plain_fraction, text)
        text = _MACRO.sub("", text)
    return text


def _plain_fraction(match: re.Match[str]) -> str:
    whole = f"{match['whole']} " if match["whole"] else ""
    return f"{whole}{match[2] or match[3]}/{match[4] or match[5]}"


_SEPARATOR = r"(?:[\s,;\u00d7x*\u00b7&()\[\]]|\band\b|\\times|\\cdot)"
_POWER = r"-?[0-9]++(?:\s?\^\s?\{?[0-9]{1,2}\}?)?"
_LIST = re.compile(rf"(?<![\w.^-]){_POWER}(?:{_SEPARATOR}++{_POWER})*+", re.IGNORECASE)
_ENTRY = re.compile(r"(-?[0-9]++)(?:\s?\^\s?\{?([0-9]{1,2})\}?)?")
_GROUPED = re.compile(r"(?<![0-9,])[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9,])")
_OTHER_SEPARATOR = re.compile(r"[0-9]\s*(?:,\s|[;\u00d7x*\u00b7&\s]|\\)", re.IGNORECASE)


def parse_integers(text: str) -> Parsed:
    r"""Return the integers of a list, such as prime factors, sorted: `103 x 101` is `101,103`.

    Powers count as repeated factors (`2^3` is `2,2,2`). Bare commas separate (`101,103`) unless
    the list has another separator too: then `1,009 x 1,013` has thousands.
    """
    statement = final_statement(text, _read_list_claim)
    if statement.decided:
        return Parsed(statement.answer, stated=True)
    if unfinished(text):
        return Parsed(None)
    for line in reversed(text[statement.floor :][-4 * 4096 :].splitlines()):
        if not isinstance(answer := _integers(line), Ignored):
            return Parsed(answer, stated=len(line) == len(text))
    return Parsed(None)


def _read_list_claim(claim: Claim) -> Reading:
    return _integers(claim.fragment)


def _integers(fragment: str) -> Reading:
    """Read the last list of several integers, else the last integer."""
    fragment = fragment.translate(_SIGNS)
    runs = [match[0] for match in _LIST.finditer(fragment)]
    if not runs:
        return IGNORED
    several = [run for run in runs if len(_ENTRY.findall(run)) > 1]
    run = (several or runs)[-1].strip()
    if _OTHER_SEPARATOR.search(run):
        run = _GROUPED.sub(lambda match: match[0].replace(",", ""), run)
    values: list[int] = []
    for entry in _ENTRY.finditer(run):
        if len(entry[1]) > MAX_DIGITS:
            return None
        values += [int(entry[1])] * int(entry[2] or 1)
    if not 0 < len(values) <= MAX_INTEGERS:
        return None
    return ",".join(map(str, sorted(values)))

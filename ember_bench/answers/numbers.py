r"""Reads one number out of a text.

Numbers are canonical decimal strings without exponent, separators, sign of zero or trailing
zeros: `1,000.0` is `1000`. A fraction that no finite decimal equals stays a reduced fraction
(`1/3`), so that equality is exact. Units are dropped, the percent sign among them (`50%` is `50`),
and no arithmetic is done: a claim of `9 * 2`, of `18 or 20`, of `2\pi` is not one number. What
follows a claim as its reason ("the answer is 12, because 12 / 4 = 3") is not part of it.
"""

from __future__ import annotations

import re
from typing import Final

from ember_bench.answers.claims import Claim
from ember_bench.answers.clauses import Clause, clause_of
from ember_bench.answers.decimals import decimal
from ember_bench.answers.endings import unfinished
from ember_bench.answers.notation import plain
from ember_bench.answers.quantities import CURRENCY, NUMERAL, PREFIX, Quantity, quantity
from ember_bench.answers.scales import ends_with_scale, han_number
from ember_bench.answers.statements import (
    IGNORED,
    Parsed,
    Reading,
    Statement,
    answer_alone,
    final_statement,
)
from ember_bench.models.types import CutOff

# What most claims look like; anything else takes the long way.
_PLAIN_CLAIM = re.compile(r"[\s*\"'$(]{0,9}([0-9]{1,15})(?:\.0{1,9})?[\s*\"')}.$]{0,9}")
# And most answers that are nothing but a claim.
_PLAIN_ANSWER = re.compile(r"Answer: (-?[0-9]{1,15}(?:\.[0-9]{1,15})?)")
_BARE = re.compile(r"(-?[0-9]{1,300}(?:\.[0-9]{1,100})?)[.,;:]?")
_LEAD = re.compile(
    r"""(?:[\s"'`_$()\[\]{}:;,#~=\u2248\u00ab\u300c\u300e\u2192\u2022\uff5e]
      | \.(?![0-9]) | \|(?=\s) | -> | =>
      | \b(?:about|approximately|approx|around|roughly|nearly|exactly|simply|just|only|almost
        |therefore|thus|then|hence|so|equals?|to|is|be|indeed|still|a[ ]total[ ]of|the|value|number
        |integer|fraction|result|answer|also|now|etwa|ca|circa|environ|aproximadamente
        |cerca[ ]de|ungef\u00e4hr|\u043e\u043a\u043e\u043b\u043e
        |\u043f\u0440\u0438\u043c\u0435\u0440\u043d\u043e
        |[a-z](?=\s*=))\b
      | \u7ea6|\u5927\u7ea6|\u7d04|\u304a\u3088\u305d|\uc57d|\u5171|\u4e3a|\u70ba|\u662f )*+""",
    re.IGNORECASE | re.VERBOSE,
)
# No word of a sentence: "x + y = 5", "f(3) = 5", "\sqrt{16}", "AB = 5".
_FORMULA = re.compile(
    r"[\u221a-\u221c\u222b\u2211|<>\u2264\u2265\u00b1\u03c0\u221e\\]"
    r"|[A-Za-z\u0370-\u03ff]{1,4}(?:[_^]\{?\w{1,5}\}?|\([^()\n]{0,30}\))?\s*[-+*/=<>\u2264\u2265\u2248^\u00d7\u00b7]"
    r"|(?:log|ln|sin|cos|tan|sqrt|exp)\b",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"\W*(?:null|none|nil|n/?a|nan|unknown|undefined|undetermined|indeterminate|infinity|infinite"
    r"|not|cannot|can['\u2019]t|unable|impossible|between|either|neither|no answer)\b",
    re.IGNORECASE,
)
_HEADING = re.compile(r"[.):]\s+[A-Za-z]")
_ARITHMETIC = re.compile(r"[\s0-9.,+*/\u00d7\u00f7\u00b7^(){}$x-]*|[^\W\d_]{3,}[^\W\d]*")
_WINDOW: Final = 256
_MOST_NAMES: Final = 50  # that are passed over for a number before them
_TARGET_OPENING: Final = " \t\r\n$(\"'`"
_PAIR_OPENING = re.compile(r"\(\s*$")
_TARGET_SUFFIX = re.compile(
    rf"""\s?[%\u2030\u00b0{CURRENCY}]*+(?:\s?(?:percent|usd|eur|gbp|[)"'`]))*+[\s$]*+\.?""",
    re.IGNORECASE,
)


def parse_number(text: str) -> Parsed:
    """Return the number that `text` gives as its answer, else its last number."""
    # The digits that a cut-off text ends in may not be all.
    if type(text) is not CutOff:
        if (simple := _PLAIN_ANSWER.fullmatch(text)) is not None:
            return Parsed(_bare(simple[1]), stated=True)
        if (bare := _BARE.fullmatch(text.strip())) is not None:
            return Parsed(_bare(bare[1]), stated=True)
    text = answer_alone(text)
    statement = final_statement(text, _read_claim)
    if statement.decided:
        return Parsed(statement.answer, stated=True)
    if isinstance(text, CutOff):
        return Parsed(None)
    return _fallback(text, statement)


def _fallback(text: str, statement: Statement) -> Parsed:
    """Return the last number of a text that states none, unless the text ends within a sentence."""
    ending = plain(text[-_WINDOW:])
    if len(text) <= _WINDOW and (bare := _BARE.fullmatch(ending.strip())) is not None:
        return Parsed(_bare(bare[1]), stated=True)
    if unfinished(ending):
        return Parsed(None)
    number = _last_number(text[statement.floor :] if statement.floor else text)
    return Parsed(None if number in statement.denied else number)


def read_number(text: str) -> str | None:
    """Return the number that `text` is, wholly; None if it is anything else or anything more.

    Currency, percent and degree signs, and the delimiters of LaTeX, may stand around it.
    """
    if (bare := _BARE.fullmatch(text.strip())) is not None:
        return _bare(bare[1])
    whole = plain(text)
    written = whole.strip(_TARGET_OPENING)
    numeral = _numeral_at(written, 0)
    if numeral is None:
        return None
    found = quantity(written, numeral)
    if "," in numeral["run"] and _PAIR_OPENING.search(whole[: whole.find(written)]):
        return None  # (0,9) is an interval or a pair
    # A scale word belongs to the number, other words do not.
    behind = _TARGET_SUFFIX.match(written, found.bare_end)
    return found.value if behind is not None and behind.end() == len(written) else None


def _bare(text: str) -> str | None:
    return decimal(text.removeprefix("-"), 0, negative=text.startswith("-"))


def _read_claim(claim: Claim) -> Reading:
    if (simple := _PLAIN_CLAIM.fullmatch(claim.fragment)) is not None:
        return simple[1].lstrip("0") or "0"
    fragment = plain(claim.fragment).strip()
    if not fragment or (_NOTHING.match(fragment) and not claim.negated):
        return None
    at = _lead(fragment, 0)
    numeral = _numeral_at(fragment, at)
    if numeral is None and not _FORMULA.match(fragment, at):
        if (han := han_number(fragment, at)) is not None:
            return str(han)
        return _only_number(fragment) if claim.enclosed else IGNORED
    if numeral is not None and _is_heading(claim, fragment, numeral):
        return IGNORED
    return _stated(clause_of(fragment, numeral.end() if numeral else at + 1))


def _is_heading(claim: Claim, fragment: str, numeral: re.Match[str]) -> bool:
    """Whether a claim is the heading of a list, as "#### 2. Add"."""
    listed = claim.style == "hashes" or (claim.below and numeral["run"] == "1")
    return listed and _HEADING.match(fragment, numeral.end()) is not None


def _stated(clause: Clause) -> str | None:
    """Follow `9 * 2 = 18` to its right-hand side; None where that is no number."""
    if clause.listed:
        return None
    *left, right = clause.sides
    if (value := _whole(right)) is not None or not left:
        return value
    if not _ARITHMETIC.fullmatch(right.strip()):
        return None
    return next((value for side in reversed(left) if (value := _whole(side)) is not None), None)


def _whole(side: str) -> str | None:
    """Return the one number of a side of an equation."""
    numeral = _numeral_at(side, _lead(side, 0))
    if numeral is None:
        return None
    found = quantity(side, numeral)
    return None if Clause.has_another(side, found.end) else found.value


def _only_number(fragment: str) -> str | None:
    """Read "Tim saves $34 a month"; a sentence with several numbers, or none, says none."""
    found = [quantity(fragment, numeral) for numeral in NUMERAL.finditer(fragment)]
    numbers = [one for one in found if not one.named]
    return numbers[0].value if len(numbers) == 1 else None


def _lead(text: str, at: int) -> int:
    lead = _LEAD.match(text, at)
    return lead.end() if lead is not None else at


def _numeral_at(text: str, at: int) -> re.Match[str] | None:
    prefix = PREFIX.match(text, at)
    return NUMERAL.match(text, prefix.end()) if prefix is not None else None


def _last_number(text: str) -> str | None:
    """Return the last number of `text`, looking no further back than needed."""
    size = _WINDOW
    while True:
        window = plain(text[-size:])
        found = _last_quantity(window)
        # One that starts near the cut may have lost its beginning.
        if size >= len(text) or (found is not None and found.start >= 64):
            return None if found is None else found.value
        size *= 8


def _last_quantity(text: str) -> Quantity | None:
    for numeral in list(NUMERAL.finditer(text))[: -_MOST_NAMES - 1 : -1]:
        if ends_with_scale(text, numeral.start()):
            continue  # the second half of one number
        found = quantity(text, numeral, bullets=True)
        if not found.named:
            return found
    return None

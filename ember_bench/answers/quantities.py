r"""One number inside a plain text, and whether it stands there as a number of its own.

`18 dollars`, `-$5`, `1 1/2`, `3.5 million` and `12 km/h` are quantities. The 2 of `2\pi`, `5!`,
`9 * 2`, `[1, 2)`, `12:30`, `1101_2` or `3 to 4` is part of something else, which has no value
here: no arithmetic is done, and no part stands for the whole.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final, NamedTuple

from ember_bench.answers.decimals import (
    canonical,
    decimal,
    digits_of,
    exponent_of,
    ratio,
)
from ember_bench.answers.scales import scaled

CURRENCY: Final = (
    "$\u00a2\u00a3\u00a4\u00a5\u058f\u060b\u09f2\u09f3\u09fb\u0af1\u0bf9\u0e3f\u17db\u20a0-\u20c0"
)
_CODES: Final = (
    r"us\$?|usd|eur|euros?|gbp|inr|rs\.?|re\.|cny|rmb|jpy|krw|chf|sek|nok|dkk|kr\.?|cad|aud|nzd|hkd"
    r"|sgd|brl|rub|try|zar|mxn|pln|czk|huf|idr|rp\.?|vnd|thb|php|myr|rm|tk\.?|[acr]\$|hk\$|nt\$|s\$"
)
_SIGN_WORDS: Final = (
    r"minus|negative|moins|menos|meno|\u043c\u0438\u043d\u0443\u0441|\u043c\u0456\u043d\u0443\u0441"
    r"|eksi|\u00e2m|\u0633\u0627\u0644\u0628|\u0646\u0627\u0642\u0635"
    r"|\u090b\u0923\u093e\u0924\u094d\u092e\u0915|\u090b\u0923"
)
# These stand between words without a space.
_SIGN_SIGNS: Final = (
    r"[-+]|\u8d1f|\u8ca0|\u30de\u30a4\u30ca\u30b9|\ub9c8\uc774\ub108\uc2a4|\u0e25\u0e1a"
)
_SIGN: Final = rf"(?:(?<![^\W\d_])(?:{_SIGN_WORDS})(?![^\W\d_])|{_SIGN_SIGNS})"
NUMERAL: Final = re.compile(
    r"""(?P<run> [1-9][0-9]{0,2}(?:\ [0-9]{3})++(?![0-9])(?:[.,][0-9]++)?+
              | (?:(?<![.\w])\.)?[0-9]++(?:[.,'_][0-9]++)*+ )
    (?: [eE](?P<exponent>[+-]?[0-9]++)(?![A-Za-z])
      | \s?[x\u00d7*\u00b7]\s?10\s?\^\s?
        (?:\{\s?(?P<braced>[+-]?[0-9]++)\s?\}|(?P<power>[+-]?[0-9]++))
      | \s?\^\s?(?:\{\s?(?P<inside>[+-]?[0-9]++)\s?\}|(?P<raised>[+-]?[0-9]++))
      | (?:\ (?:and\ )?(?P<above>[0-9]++))?\s?/\s?(?P<below>[0-9]++(?:\.[0-9]++)?+)
    )?+""",
    re.VERBOSE,
)
PREFIX: Final = re.compile(
    rf"(?:{_SIGN}\s?)?(?:(?:{_CODES}|[{CURRENCY}])\s?){{0,2}}(?:-\s?)?(?=\.?[0-9])", re.IGNORECASE
)

# --- before a number ------------------------------------------------------------------------------

_EDGE: Final = 60  # characters that are looked at before a number
_EAST: Final = "\u0590"  # letters from here on may touch numbers that are not part of their word
_GREEK: Final = "\u0370-\u03ff"
_MONEY_BEFORE = re.compile(rf"(?:(?<![^\W\d_])(?:{_CODES})|[{CURRENCY}])\s?$", re.IGNORECASE)
_SIGN_BEFORE = re.compile(rf"(?P<sign>{_SIGN})(?P<space>\s?)$", re.IGNORECASE)
_SPACED_MINUS = re.compile(r"(?:^|[=\u2248(:,;\[{\"'$\n]|\b(?:is|be|are|equals|was))\s*$")
_PART = re.compile(r"(?:[^\W\d_]|(?<=[\w)\]}])_\{?|\^[({]?-?|[^\W\d_]{2}-)$")
_OPERAND: Final = (
    rf"(?:[0-9)\]}}%\u00b0{_GREEK}]|(?<![^\W_])[A-Za-z]|[0-9]\s?[A-Za-z%\u00b0$\u20ac]{{1,12}})"
)
_OPERATOR_BEFORE = re.compile(
    r"(?:[<\u2264\u2265\u2260\u00b1^\u00d7\u00f7\u00b7/\u221a-\u221c\u2220\u222b\u2211\\]|(?<![-=\n])(?<!^)>"
    rf"|{_OPERAND}\s*[-+*~]|[0-9]\s:|[0-9)\]]\s*x|[\w)]\*)\s*$"
)
_TOUCHING = re.compile(
    rf"(?:[A-Za-z0-9)\]}}{_GREEK}][(\[{{]|[)\]}}|&@\u03c0\u221e]|[0-9](?:[:/.]|,+))$"
)
_LISTED = re.compile(
    r"(?:^|[\n,;:=(\[{])\s?[-+]?(?:[0-9.]+|[A-Za-z\u03c0\u221e])\s?(?:,\s|;\s?|&\s?)$"
)
_FUNCTION = re.compile(
    r"(?:\b(?:log|ln|lg|sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|sqrt|cbrt|exp|root|factorial"
    r"|power|base|mod|modulo|square|cube|logarithm|sine|cosine|tangent)(?:_\{?\w{1,3}\}?)?(?:\s+of)?|\\[A-Za-z]+)"
    r"\s*[({\[]?\s*$",
    re.IGNORECASE,
)
_JOINED = re.compile(
    r"(?:[0-9][%\u00b0]?,?(?:\s?[^\W\d_]{1,12})?\s(?:to(?:\sthe)?|or|by|x|times|plus|minus"
    r"|over|out of(?:\severy)?|until|through|divided by|multiplied by|choose|versus|vs|mod"
    r"|rem(?:ainder)?|r|(?:more|less|fewer|greater) than|bis|oder|ou|o|u"
    r"|\u0438\u043b\u0438|\u0434\u043e)"
    r"|[0-9]%?\s(?:in(?:\severy)?|of|per|and|und|et|y|e|\u0438|\ubc0f)|\bbetween\s[^\n.;]{1,30}\sand"
    r"|[0-9]\s?(?:\u6216|\u5230|\u81f3|\u307e\u305f\u306f|\u304b\u3089|\ub610\ub294|\uc5d0\uc11c))\s*$",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(
    r"[0-9][^\n.]{0,20}(?:[,;]\s?|\b(?:or|and)\s)[A-Za-z]\s?=\s?$", re.IGNORECASE
)
_COMPOUND = re.compile(
    r"[0-9]\s?(?:f(?:ee|oo)?t|in(?:ch(?:es)?)?|yards?|h(?:(?:ou)?rs?)?|min(?:ute)?s?|sec(?:ond)?s?|days?|weeks?"
    r"|months?|years?|dollars?|cents?|euros?|pounds?|lbs?|ounces?|oz|kg|k?m|cm"
    r"|hundred|thousand|million|billion|trillion)(?:,?\sand)?,?\s$",
    re.IGNORECASE,
)
_JOINTS: Final = (_OPERATOR_BEFORE, _TOUCHING, _FUNCTION, _LISTED)
_NUMBER_JOINTS: Final = (_JOINED, _ASSIGNED, _COMPOUND)  # behind another number
_DIGIT = re.compile(r"[0-9]")
_LINE_START = re.compile(r"^\s*$")


class _Before(NamedTuple):
    """What stands before a number."""

    part: bool = False  # the number is part of a name or a unit: "x2", "cm^2"
    joined: bool = False  # an operator, a bracket or a word joins it to something else
    negative: bool = False
    money: bool = False


def _before(text: str, start: int, *, bullets: bool) -> _Before:
    edge = text[max(0, start - _EDGE) : start].rpartition("\n")[2]
    if not edge or edge.isspace():
        return _Before()
    whole = edge
    edge, money = _without_money(edge)
    sign = _SIGN_BEFORE.search(edge)
    if not money and sign is None and edge and edge[-1] < _EAST and _PART.search(edge):
        return _Before(part=True)
    negative = False
    if sign is not None and sign["sign"] != "+":
        rest = edge[: sign.start()]
        if edge.endswith("-") and _PART.search(edge) is not None:
            return _Before(part=True)  # as in COVID-19
        negative = sign["sign"] != "-" or not sign["space"] or (
            _SPACED_MINUS.search(rest) is not None
            and not (bullets and _LINE_START.search(rest) is not None)
        )  # fmt: skip
    if sign is not None:
        whole, (edge, also) = edge, _without_money(edge[: sign.start()])
        money = money or also
    joined = _is_joined(edge) or (whole is not edge and _is_joined(whole))
    return _Before(joined=joined, negative=negative, money=money)


def _is_joined(edge: str) -> bool:
    joints = (*_JOINTS, *_NUMBER_JOINTS) if _DIGIT.search(edge) else _JOINTS
    return any(joint.search(edge) for joint in joints)


def _without_money(edge: str) -> tuple[str, bool]:
    match = _MONEY_BEFORE.search(edge)
    return (edge, False) if match is None else (edge[: match.start()], True)


# --- behind a number ------------------------------------------------------------------------------

_UNITS: Final = (
    r"mm|cm|dm|km|nm|um|[\u00b5\u03bc][gms]|m|in|ft|yds?|mi|mg|kg|g|t|lbs?|oz|m[lL]|c[lL]|d[lL]|l|L|secs?"
    r"|mins?|hrs?|yrs?|h|s|ms|ns|d|[kMG]?Wh?|[km]?V|m?A|[kMG]?Hz|[kM]?J|eV|k?cal|k?N|[kMh]?Pa|atm|bar"
    r"|m?mol|mM|K|C|F|px|pts?|dB|[kKMGT]B|bits?|bytes?|rpm|mph|kph|kmh|bpm|fps|ha|sq|cu|bps|ppm"
    r"|[apAP]\.?[mM]\.?|cts?|pcs?"
)
# What else may follow the digits without a space is not a variable: 5th, 18eggs.
_TOUCHING_UNITS: Final = (
    r"mm|cm|dm|km|nm|um|[\u00b5\u03bc][gms]|m|in|ft|yds?|mi|mg|kg|g|lbs?|oz|m[lL]|c[lL]|d[lL]|l|L|secs?"
    r"|mins?|hrs?|yrs?|h|s|ms|ns|[kMG]Wh?|[km]V|mA|[kMG]?Hz|[kM]J|eV|k?cal|kN|[kMh]?Pa|atm|bar|m?mol|px"
    r"|pts?|dB|[kKMGT]B|rpm|mph|kph|kmh|bpm|fps|ha|bps|ppm|[apAP][mM]|cts|pcs?|st|nd|rd|th|[A-Za-z]{4,}+"
)
_RAISED: Final = r"(?:\^?(?:\{-?[1-4]\}|-?[1-4])(?![0-9]))?"
_SUFFIX = re.compile(
    rf"""(?: \s?[%\u2030{CURRENCY}]++ | \s?(?i:percent|per\ cent|pct)\b
      | \s?\u00b0(?:\s?[CFK])?(?![A-Za-z]) | \s?[\u2103\u2109]
      | (?:{_TOUCHING_UNITS})(?![^\W\d_]){_RAISED} | \s(?:{_UNITS})(?![^\W\d_]|'){_RAISED}
      | \s?(?i:{_CODES})(?!\w) )?+
    (?:\s?[/\u00b7]\s?(?:[A-Za-z]{{2,12}}+|[hsmdgLlWK]){_RAISED}(?![^\W_]))*+""",
    re.VERBOSE,
)
_CLOSERS = re.compile(r"""[)\]}"'`*_$\u00bb\u300d\u300f]*+""")
# A number of its own ends here, or a word follows: "5-year", "18\u4e2a", "18\u043a\u0433".
_APART = re.compile(
    r"""$|\s|[.,;:?]+(?=[\s\w"'*`)\]$|]|$)(?![0-9])|-[^\W\d_]{2}|[\u2014\u2192|<]"""
    r"|[\u0400-\u058f\u0590-\U0010ffff](?<=[^\W\d_])"
)
_ELLIPSIS = re.compile(r"\s?(?:\.\.|\u2026)")
_OPERATION = re.compile(
    rf"""\s+(?: [*/\u00d7\u00f7\u00b7^=<>\u2264\u2265\u2260\u00b1~\u221a\u222b\u2211\u221e!\\_&+%]
      | -(?!\s+[^\W\d_]{{2}}) | r[0-9] | [:][ ]?[0-9]
      | (?!a\s[^\W\d_]{{2}}|I\s)[A-Za-z{_GREEK}](?![\w'{_GREEK}])
      | (?:pi|sqrt|roots?|log|ln|sin|cos|tan|exp|mod|modulo|choose|factorial|squared|cubed|times
        |plus|minus|divided|multiplied|over|to\s+the|raised|base|in\s+base|half|halves|thirds?
        |(?<=[13]\s)quarters?|fourths?
        |(?:fif|six|seven|eigh|nin|ten|hundred|thousand|million|billion)ths?|dozens?|mil|gross|score
        |and\s+(?:a|one)\s+(?:half|quarter|third)|and\s+a\s+half
        |(?:more|less|fewer|greater)\s+than
        |or\s+(?:more|less|fewer|above|below|higher|lower|over|under))\b )""",
    re.VERBOSE | re.IGNORECASE,
)
_ENTITLED = re.compile(r"\s+(?:\([^()]{0,10}(?:\bbase\b|\bp?mod\b))", re.IGNORECASE)


# "(2, \u221e)", "(1, x)": a comma and what is no word.
_SECOND = re.compile(r"\s?[,;]\s?(?:[^\w\s]|[^\W\d_](?!\w))")


class Quantity(NamedTuple):
    """A number in a text.

    Attributes:
        value: Canonical decimal or fraction; None if it stands there as part of something else.
        start: Where its digits begin.
        bare_end: Where it ends, without its unit.
        end: Where it ends, with its unit and closing marks.
        named: Part of a name or of a unit, such as x2 and cm^2: not even a formula.
    """

    value: str | None
    start: int
    bare_end: int
    end: int
    named: bool = False


def quantity(text: str, numeral: re.Match[str], *, bullets: bool = False) -> Quantity:
    """Return the number that `numeral`, a match of `NUMERAL`, finds in the plain `text`.

    Args:
        text: A text that `plain` has written.
        numeral: The digits.
        bullets: A minus at the beginning of a line, with a space behind it, marks a list.
    """
    start = numeral.start()
    front = _before(text, start, bullets=bullets)
    if front.part:
        return Quantity(None, start, numeral.end(), numeral.end(), named=True)
    value, end = _value(text, numeral, front)
    # Behind decimals an ellipsis stands for more of them.
    closed = _close(text, end, cut=not numeral["run"].isdigit())
    if front.joined or closed is None or _bracketed_pair(text, numeral):
        return Quantity(None, start, end, closed or end)
    return Quantity(value, start, end, closed)


def _close(text: str, end: int, *, cut: bool) -> int | None:
    """Return where a number that ends at `end` has its last mark; None if more belongs to it."""
    if cut and _ELLIPSIS.match(text, end):
        return None
    suffix = _SUFFIX.match(text, end)
    at = suffix.end() if suffix else end
    closers = _CLOSERS.match(text, at)
    at = closers.end() if closers else at
    if not _APART.match(text, at) or _OPERATION.match(text, at) or _ENTITLED.match(text, at):
        return None
    return at


def _bracketed_pair(text: str, numeral: re.Match[str]) -> bool:
    """Whether a comma is that of an interval or a pair: [1,2), (3,4), [1,200]."""
    run = numeral["run"]
    opening = text[max(0, numeral.start() - 2) : numeral.start()].rstrip("+-")[-1:]
    if not opening or opening not in "([{":
        return False
    if _SECOND.match(text, numeral.end()):
        return True
    if "," not in run or opening == "{":
        return False
    return (
        opening == "["
        or len(run.rpartition(",")[2]) != 3
        or not text.startswith(")", numeral.end())
    )


def _value(text: str, numeral: re.Match[str], front: _Before) -> tuple[str | None, int]:
    end = numeral.end()
    if (digits := digits_of(numeral["run"])) is None:
        return None, end
    if (raised := numeral["inside"] or numeral["raised"]) is not None:
        # 10^6 is written for a number, 2^10 is arithmetic.
        if digits != "10":
            return None, end
        value = decimal("1", exponent_of(raised), negative=front.negative)
    elif (below := numeral["below"]) is not None:
        whole, above = (digits, numeral["above"]) if numeral["above"] else (None, digits)
        value = ratio(whole, above, below, negative=front.negative)
    else:
        power = numeral["exponent"] or numeral["braced"] or numeral["power"] or "0"
        value = decimal(digits, exponent_of(power), negative=front.negative)
    scale = scaled(text, end, money=front.money)
    if scale is None or value is None:
        return value, end
    factor, added, end = scale
    size = abs(Fraction(value)) * factor + added
    return canonical(-size if front.negative else size), end

"""Words and characters that stand for numbers: scales in many languages, and Chinese numerals."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

# Where two languages disagree, the word is in none: "mil" is a thousand in Spanish and short for
# a million in English.
_WORDS: Final = {
    2: "hundred hundreds hundert honderd hundra hundre hundrede",
    3: "thousand thousands tausend tsd mille mila duizend tusen tusind tis\u00edc tis\u00edce tysi\u0105c "
    "tysi\u0105ce tysi\u0119cy ezer bin ngh\u00ecn ng\u00e0n ribu elfu k\u0131 tuhat tuhatta mii "
    "\u0442\u044b\u0441\u044f\u0447\u0430 \u0442\u044b\u0441\u044f\u0447\u0438 \u0442\u044b\u0441\u044f\u0447 \u0442\u044b\u0441 "
    "\u0442\u0438\u0441\u044f\u0447\u0430 \u0442\u0438\u0441\u044f\u0447\u0456 \u0442\u0438\u0441\u044f\u0447 "
    "\u0445\u0438\u043b\u044f\u0434\u0438 \u03c7\u03b9\u03bb\u03b9\u03ac\u03b4\u03b5\u03c2 "
    "\u0623\u0644\u0641 \u0627\u0644\u0641 \u0622\u0644\u0627\u0641 \u0647\u0632\u0627\u0631 "
    "\u0939\u095b\u093e\u0930 \u0939\u091c\u093c\u093e\u0930 \u0939\u091c\u093e\u0930 \u09b9\u09be\u099c\u09be\u09b0 "
    "\u05d0\u05dc\u05e3",
    5: "lakh lakhs lac lacs \u0932\u093e\u0916 \u09b2\u09be\u0996 \u09b2\u0995\u09cd\u09b7",
    6: "million millions mill\u00f3n millones milh\u00e3o milh\u00f5es milione milioni millionen miljoen "
    "miljoenen miljon miljoner millioner milj\u00f3n miljoona miljoonaa milion miliony milion\u00f3w "
    "milion\u016f mili\u00f3n mili\u00f3 milli\u00f3 milioane milyon tri\u1ec7u juta mio mln mn "
    "\u043c\u0438\u043b\u043b\u0438\u043e\u043d \u043c\u0438\u043b\u043b\u0438\u043e\u043d\u0430 "
    "\u043c\u0438\u043b\u043b\u0438\u043e\u043d\u043e\u0432 \u043c\u043b\u043d "
    "\u043c\u0456\u043b\u044c\u0439\u043e\u043d \u043c\u0456\u043b\u044c\u0439\u043e\u043d\u0438 "
    "\u043c\u0456\u043b\u044c\u0439\u043e\u043d\u0456\u0432 \u043c\u0438\u043b\u0438\u043e\u043d\u0430 "
    "\u03b5\u03ba\u03b1\u03c4\u03bf\u03bc\u03bc\u03cd\u03c1\u03b9\u03b1 "
    "\u0645\u0644\u064a\u0648\u0646 \u0645\u0644\u0627\u064a\u064a\u0646 \u0645\u06cc\u0644\u06cc\u0648\u0646 "
    "\u05de\u05d9\u05dc\u05d9\u05d5\u05df",
    7: "crore crores \u0915\u0930\u094b\u095c \u0915\u0930\u094b\u0921\u093c \u0995\u09cb\u099f\u09bf",
    9: "billion billions milliard milliards milliarde milliarden miliardo miliardi miljard miljarder "
    "milliarder miliard miliardy miliard\u00f3w miliardi milyar miliar t\u1ef7 t\u1ec9 bn mrd mld "
    "bilh\u00e3o bilh\u00f5es \u043c\u0438\u043b\u043b\u0438\u0430\u0440\u0434 "
    "\u043c\u0438\u043b\u043b\u0438\u0430\u0440\u0434\u0430 \u043c\u0438\u043b\u043b\u0438\u0430\u0440\u0434\u043e\u0432 "
    "\u043c\u043b\u0440\u0434 \u043c\u0456\u043b\u044c\u044f\u0440\u0434 "
    "\u03b4\u03b9\u03c3\u03b5\u03ba\u03b1\u03c4\u03bf\u03bc\u03bc\u03cd\u03c1\u03b9\u03b1 "
    "\u0645\u0644\u064a\u0627\u0631 \u0645\u06cc\u0644\u06cc\u0627\u0631\u062f \u05de\u05d9\u05dc\u05d9\u05d0\u05e8\u05d3",
    12: "trillion trillions bill\u00f3n billones billionen trilh\u00e3o trilh\u00f5es trilyun "
    "\u0442\u0440\u0438\u043b\u043b\u0438\u043e\u043d \u0442\u0440\u0438\u043b\u043b\u0438\u043e\u043d\u0430 "
    "\u0442\u0440\u0438\u043b\u043b\u0438\u043e\u043d\u043e\u0432 \u0442\u0440\u043b\u043d",
}  # fmt: skip
_WORD_POWERS: Final = {word: power for power, words in _WORDS.items() for word in words.split()}
# These need no space and no end of a word: "3\u4e07\u5143", "5\u0e25\u0e49\u0e32\u0e19\u0e1a\u0e32\u0e17".
_SIGN_POWERS: Final = {
    "\u767e": 2, "\u5343": 3, "\u4e07": 4, "\u842c": 4, "\u4ebf": 8, "\u5104": 8, "\u5146": 12,
    "\ubc31": 2, "\ucc9c": 3, "\ub9cc": 4, "\uc5b5": 8, "\uc870": 12,
    "\u0e23\u0e49\u0e2d\u0e22": 2, "\u0e1e\u0e31\u0e19": 3, "\u0e2b\u0e21\u0e37\u0e48\u0e19": 4,
    "\u0e41\u0e2a\u0e19": 5, "\u0e25\u0e49\u0e32\u0e19": 6,
}  # fmt: skip
_MONEY_POWERS: Final = {"m": 6, "mm": 6, "b": 9, "t": 12}

_WORD = re.compile(
    r"[ -]?(?:(?P<word>" + "|".join(sorted(map(re.escape, _WORD_POWERS), key=len, reverse=True)) +
    r")\.?|(?P<mil>mil)(?=\s(?:mill|milh|mili|bilh)))(?![^\W_]|[\u0300-\u036f\u0900-\u0903\u093a-\u094f])",
    re.IGNORECASE,
)  # fmt: skip
_SIGN = re.compile(
    r" ?(" + "|".join(sorted(_SIGN_POWERS, key=len, reverse=True)) +
    r")(?![\u514b\u7c73\u74e6\u5361\u8d6b\u5206])"  # kilogram, kilometre, percent and kin
)  # fmt: skip
_SPLIT = re.compile(
    "[0-9][\u767e\u5343\u4e07\u842c\u4ebf\u5104\u5146\ubc31\ucc9c\ub9cc\uc5b5\uc870]{1,2} ?$"
)
_KILO = re.compile(r"[kK](?![^\W_]|[/^])")
_MONEY = re.compile(r" ?(m|mm|b|t)(?![^\W_]|[/^])", re.IGNORECASE)
_FURTHER = re.compile(r"([0-9]{1,4})| ([0-9]{1,4})(?=[\ubc31\ucc9c\ub9cc\uc5b5])")


def scaled(text: str, end: int, *, money: bool) -> tuple[Fraction, Fraction, int] | None:
    """Read the scale behind a number that ends at `end`, as in "5 million" or "3\u4e075\u5343".

    Returns:
        Factor of the number, what is added to the product, and the end of the scale.
    """
    factor, at = 1, end
    while (power := _power(text, at, money=money and at == end)) is not None:
        factor *= 10 ** power[0]
        at = power[1]
    if at == end:
        return None
    added, at = _added(text, at, factor)
    return Fraction(factor), added, at


def _power(text: str, at: int, *, money: bool) -> tuple[int, int] | None:
    if match := _SIGN.match(text, at):
        return _SIGN_POWERS[match[1]], match.end()
    if match := _WORD.match(text, at):
        return (_WORD_POWERS[match["word"].lower()] if match["word"] else 3), match.end()
    if match := _KILO.match(text, at):
        return 3, match.end()
    if money and (match := _MONEY.match(text, at)):
        return _MONEY_POWERS[match[1].lower()], match.end()
    return None


def _added(text: str, at: int, limit: int) -> tuple[Fraction, int]:
    """Read what follows a scale sign without a space: the 5\u5343 of 3\u4e075\u5343."""
    added = 0
    while text[at - 1] in _SIGN_POWERS and (digits := _FURTHER.match(text, at)):
        end, factor = digits.end(), 1
        while (sign := _SIGN.match(text, end)) is not None:
            factor, end = factor * 10 ** _SIGN_POWERS[sign[1]], sign.end()
        part = int(digits[digits.lastindex or 1]) * factor
        if part >= limit:
            break
        added, limit, at = added + part, factor, end
    return Fraction(added), at


def ends_with_scale(text: str, at: int) -> bool:
    """Whether a scale of the kind that needs no space, with digits before it, ends at `at`."""
    return _SPLIT.search(text[max(0, at - 4) : at]) is not None


_HAN_DIGITS: Final = {
    **dict(zip("\u96f6\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d", range(10), strict=True)),
    "\u3007": 0, "\u4e24": 2, "\u5169": 2,
}  # fmt: skip
_HAN_TENS: Final = {"\u5341": 10, "\u767e": 100, "\u5343": 1000}
_HAN_GROUPS: Final = {"\u4e07": 10**4, "\u842c": 10**4, "\u4ebf": 10**8, "\u5104": 10**8}
# Followed by nothing, a mark or what is counted: "\u4e00\u6837" (alike) has no 1 in it.
_HAN = re.compile(
    "([\u96f6\u3007\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u4e24\u5169\u5341\u767e\u5343\u4e07\u842c\u4ebf\u5104]{1,30}+)"
    "(?=$|[^\\w]|[\u4e2a\u500b\u500b\u53ea\u5143\u5757\u5186\u672c\u4eba\u5929\u5e74\u6708\u65e5\u6b21\u679a\u53f0\u676f\u6761\u5f20\u540d\u5339\u4f4d\u5c81\u6b73\u79d2\u5c0f\u9897\u9846]|\u5206(?!\u4e4b))"
)


def han_number(text: str, at: int) -> int | None:
    """Read a Chinese or Japanese numeral, such as \u4e09\u767e\u4e8c\u5341, at `at`."""
    match = _HAN.match(text, at)
    if match is None:
        return None
    run = match[1]
    if len(run) > 1 and all(char in _HAN_DIGITS for char in run):
        return int("".join(str(_HAN_DIGITS[char]) for char in run))
    total = group = 0
    digit: int | None = None
    for char in run:
        if char in _HAN_DIGITS:
            if digit:
                return None
            digit = _HAN_DIGITS[char]
        elif char in _HAN_TENS:
            group += (1 if digit is None else digit) * _HAN_TENS[char]
            digit = None
        else:
            times, part = _HAN_GROUPS[char], group + (digit or 0)
            total = (total + part) * times if total < times else total + part * times
            group, digit = 0, None
    return total + group + (digit or 0)

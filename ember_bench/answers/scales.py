"""Words and characters that stand for numbers: scales in many languages, and Chinese numerals."""

# Words of many scripts are what this is about.
# ruff: noqa: RUF001

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

# Where two languages disagree, the word is in none: "mil" is a thousand in Spanish and short for
# a million in English.
_WORDS: Final = {
    2: "hundred hundreds hundert honderd hundra hundre hundrede",
    3: "thousand thousands tausend tsd tys mille mila duizend tusen tusind tisíc tisíce "
    "tysiąc tysiące tysięcy ezer bin nghìn ngàn ribu elfu tuhat tuhatta mii тысяча "
    "тысячи тысяч тыс тисяча тисячі тисяч хиляди χιλιάδες ألف الف آلاف هزار हज़ार "
    "हज़ार हजार হাজার אלף",
    5: "lakh lakhs lac lacs लाख লাখ লক্ষ",
    6: "million millions millón millones milhão milhões milione milioni millionen "
    "miljoen miljoenen miljon miljoner millioner miljón miljoona miljoonaa milion "
    "miliony milionów milionů milión milió millió milioane milyon triệu juta mio mln "
    "mn миллион миллиона миллионов млн мільйон мільйони мільйонів милиона εκατομμύρια "
    "مليون ملايين میلیون מיליון",
    7: "crore crores करोड़ करोड़ কোটি",
    9: "billion billions milliard milliards milliarde milliarden miliardo miliardi "
    "miljard miljarder milliarder miliard miliardy miliardów milyar miliar tỷ tỉ bn "
    "mrd mia mld bilhão bilhões миллиард миллиарда миллиардов млрд мільярд δισεκατομμύρια "
    "مليار میلیارد מיליארד",
    12: "trillion trillions billón billones billionen trilhão trilhões trilyun триллион "
    "триллиона триллионов трлн",
}  # fmt: skip
_WORD_POWERS: Final = {word: power for power, words in _WORDS.items() for word in words.split()}
# These need no space and no end of a word: "3万元", "5ล้านบาท".
_SIGN_POWERS: Final = {
    "百": 2, "千": 3, "万": 4, "萬": 4, "亿": 8, "億": 8, "兆": 12,
    "백": 2, "천": 3, "만": 4, "억": 8, "조": 12,
    "ร้อย": 2, "พัน": 3, "หมื่น": 4,
    "แสน": 5, "ล้าน": 6,
}  # fmt: skip
_MONEY_POWERS: Final = {"m": 6, "mm": 6, "b": 9, "t": 12}

_WORD = re.compile(
    r"[ -]?(?:(?P<word>" + "|".join(sorted(map(re.escape, _WORD_POWERS), key=len, reverse=True)) +
    r")\.?|(?P<mil>mil)(?=\s(?:mill|milh|mili|bilh)))(?![^\W_]|[\u0300-\u036f\u0900-\u0903\u093a-\u094f])",
    re.IGNORECASE,
)  # fmt: skip
_SIGN = re.compile(
    r" ?(" + "|".join(sorted(_SIGN_POWERS, key=len, reverse=True)) +
    r")(?![克米瓦卡赫分])"  # kilogram, kilometre, percent and kin
)  # fmt: skip
_SPLIT = re.compile("[0-9][百千万萬亿億兆백천만억조]{1,2} ?$")
_MOST_SCALES: Final = 3
_KILO = re.compile(r"[kK](?![^\W_]|[/^])")
_MONEY = re.compile(r" ?(m|mm|b|t)(?![^\W_]|[/^])", re.IGNORECASE)
_FURTHER = re.compile(r"([0-9]{1,4})| ([0-9]{1,4})(?=[百千万萬亿億백천만억])")


def scaled(text: str, end: int, *, money: bool) -> tuple[Fraction, Fraction, int] | None:
    """Read the scale behind a number that ends at `end`, as in "5 million" or "3万5千".

    Returns:
        Factor of the number, what is added to the product, and the end of the scale.
    """
    factor, at = _factor(text, end, money=money)
    if at == end:
        return None
    added, at = _added(text, at, factor)
    return Fraction(factor), added, at


def _factor(text: str, at: int, *, money: bool) -> tuple[int, int]:
    """Multiply the scales at `at`, as of "hundred thousand"."""
    factor = 1
    for _ in range(_MOST_SCALES):
        if (found := _power(text, at, money=money)) is None:
            break
        factor, at, money = factor * 10 ** found[0], found[1], False
    return factor, at


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
    """Read what follows a scale sign without a space: the 5千 of 3万5千."""
    added = 0
    while text[at - 1] in _SIGN_POWERS and (digits := _FURTHER.match(text, at)):
        factor, end = _factor(text, digits.end(), money=False)
        part = int(digits[digits.lastindex or 1]) * factor
        if part >= limit:
            break
        added, limit, at = added + part, factor, end
    return Fraction(added), at


def ends_with_scale(text: str, at: int) -> bool:
    """Whether a scale of the kind that needs no space, with digits before it, ends at `at`."""
    return _SPLIT.search(text[max(0, at - 4) : at]) is not None


_HAN_DIGITS: Final = {
    **dict(zip("零一二三四五六七八九", range(10), strict=True)),
    "〇": 0, "两": 2, "兩": 2,
}  # fmt: skip
_HAN_TENS: Final = {"十": 10, "百": 100, "千": 1000}
_HAN_GROUPS: Final = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
# Followed by nothing, a mark or what is counted: "一样" (alike) has no 1 in it.
_HAN = re.compile(
    "([零〇一二三四五六七八九两兩十百千万萬亿億]{1,30}+)"
    "(?=$|[^\\w]|[个個個只元块円本人天年月日次枚台杯条张名匹位岁歳秒小颗顆]|分(?!之))"
)


def han_number(text: str, at: int) -> int | None:
    """Read a Chinese or Japanese numeral, such as 三百二十, at `at`."""
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

"""Where a stated answer ends: before its reason, its remark and the next sentence."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ember_bench.answers.quantities import CURRENCY

# Behind these stands what the answer follows from, or where it holds.
_REASONS: Final = (
    r"because|since|as|for|where|when|if|given|due|so|which|assuming|i\.e|weil|denn|da|wegen|parce|car"
    r"|puisque|porque|pues|ya\s+que|pois|perch\u00e9|poich\u00e9|omdat|want|bo|poniewa\u017c|proto\u017ee"
    r"|eftersom|fordi|\u043f\u043e\u0442\u043e\u043c\u0443|\u0442\u0430\u043a|\u0438\u0431\u043e|\u0431\u043e|v\u00ec"
    r"|karena|\u00e7\u00fcnk\u00fc"
)
_PREPOSITIONS: Final = (
    r"at|by|in|on|from|during|with|after|before|not|instead|rather|who|that|using|via|than"
)
_EAST_REASONS: Final = (
    "\u56e0\u4e3a|\u56e0\u70ba|\u7531\u4e8e|\u7531\u65bc|\u306a\u305c\u306a\u3089|\uc65c\ub0d0\ud558\uba74"
    "|\u0644\u0623\u0646|\u0915\u094d\u092f\u094b\u0902\u0915\u093f"
)
_END = re.compile(
    rf"""\n | ,(?![0-9]) | ; | [.?](?=[\s"')\]*_$]|$|[^\W\d]) | (?<![0-9)\]}}%])! | :(?!\s?[0-9])
      | \s-+\s(?=[^\W\d_]{{2}}) | \u2014 | \u2192 | -> | => | \s[(\[{{](?!\s?(?:p?mod|base)\b)
      | (?<![^\W_])(?:{_REASONS})(?![^\W_])(?!\s*=) | {_EAST_REASONS}""",
    re.IGNORECASE | re.VERBOSE,
)
_REMARK = re.compile(r"\s[(\[][^()\[\]\n]{0,200}[)\]]\s*[-+*/\u00d7\u00f7\u00b7^=_\u2248]")
# "2, 3", "2, and 3", "2; or 3": a list, of which no entry is the answer.
_NEXT_ENTRY = re.compile(
    rf"[,;]\s*(?:and|or|&|y|et|und|e|o|ou|oder|\u0438|\u0438\u043b\u0438)?\s*(?:[A-Za-z](?:_\{{?\w{{1,3}}\}}?)?\s?=\s?)?[-(]*[{CURRENCY}]?\s?"
    r"(?:\.?[0-9]|[\u221a\u221e\u03c0\\])",
    re.IGNORECASE,
)
# "x = 3 and y = 5"
_NEXT_NAME = re.compile(r"[0-9].*\b(?:and|or)\s+[A-Za-z]\s*$", re.IGNORECASE)
# "18, 9 * 2 = 18": a calculation, not an entry.
_CALCULATION = re.compile(
    rf"[,;]\s*(?:and\s|so\s)?[-(]*[{CURRENCY}]?[0-9.,]+\s*(?:[a-z]+\s)?"
    r"(?:[-+*/\u00d7\u00f7\u00b7x^]|(?:plus|minus|times|over|divided|multiplied)\b)[^\n,;]{0,80}"
    r"(?:[=\u2248]|\b(?:is|are|equals|gives|makes|leaves)\b)",
    re.IGNORECASE,
)
_EQUALS = re.compile(r"(?<![<>=!\u2264\u2265])[=\u2248](?![=<>])")
_ANOTHER = re.compile(r"(?<![A-Za-z^_{.])(?<![\w^]-)[0-9]")
_MODIFIER = re.compile(rf"(?<![^\W_])(?:{_REASONS}|{_PREPOSITIONS})(?![^\W_])", re.IGNORECASE)
_PAIRED = re.compile(r"\s*(?:in|by|of|out\s+of|to|from|over|per|than|at|on|not)\s+[-(]*[0-9]", re.I)


class Clause(NamedTuple):
    """A stated answer without what follows it.

    Attributes:
        sides: What stands between its equals signs.
        listed: The next entry of a list follows.
    """

    sides: list[str]
    listed: bool

    @staticmethod
    def has_another(side: str, end: int) -> bool:
        """Whether a number that ends at `end` shares its side with another one."""
        if _PAIRED.match(side, end):
            return True
        modifier = _MODIFIER.search(side, end)
        return _ANOTHER.search(side, end, modifier.start() if modifier else len(side)) is not None


def clause_of(text: str, at: int) -> Clause:
    """Return the first clause of `text`; its end is looked for from `at` on."""
    end = len(text)
    while (found := _END.search(text, at)) is not None:
        remark = _REMARK.match(text, found.start())
        if remark is None:
            end = found.start()
            break
        at = remark.end()  # a factor in brackets: "2 (3 + 4) = 14"
    sides = _EQUALS.split(text[:end])
    entry = _NEXT_ENTRY.match(text, end) and not _CALCULATION.match(text, end)
    listed = entry or any(map(_NEXT_NAME.search, sides[:-1]))
    return Clause(sides, bool(listed))

"""Tells an answer from the template of one, which models repeat: `[your answer]`, `(Yes or No)`."""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 80
_WORD: Final = (
    r"(?:your|the|a|an|my|its|insert|put|write|enter|fill|state|only|just|single|final|correct|right|"
    r"chosen|selected|best|numeric(?:al)?|exact|short|one|answer|letters?|numbers?|options?|choices?|"
    r"values?|results?|integers?|words?|phrase|text|solution|response|here|in|of|goes|as|or|and|for|to|"
    r"be|is|question|above|below|capital|yes|no|true|false|either|placeholder|from|list|string|span)"
)
_KEY: Final = (
    r"(?:answer|letter|number|option|choice|value|result|solution|response|insert|placeholder)"
)
_VERDICTS: Final = (
    r"[\"'`*]*(?:yes|true)[\"'`*]*\s*(?:/|\||,|\bor\b)\s*[\"'`*]*(?:no|false)[\"'`*]*"
)
_TEMPLATE = re.compile(
    rf"""(?: _{{2,}} | \.{{2,}} | \u2026+ | \?{{2,}} | [xX]{{2,}}
      # [your answer], <letter>, {{answer}}, (final answer)
      | [\[<({{]+\s*(?=[^\])>}}]*\b{_KEY}) {_WORD}(?:[\s/,_-]+{_WORD})*\s*[\])>}}]+
      | [\[<({{]+\s*(?:_*|\.+|\u2026|[xX]{{2,}})\s*[\])>}}]+(?<!\[\])(?<!\{{\}})(?<!\(\))
      # your answer here, insert the letter
      | (?=.*\b(?:your|insert|here)\b)(?=.*\b{_KEY}) {_WORD}(?:[\s/,_-]+{_WORD})*
      | \$?\{{?(?:LETTER|ANSWER|NUMBER|OPTION|CHOICE|VALUE|FINAL_ANSWER)\}}?
      | [\[(]\s*{_VERDICTS}\s*[\])] | {_VERDICTS}
      # the letters of all options
      | [\[(]?\s*A\s*(?:[,/|]\s*(?:or\s+)?[B-Z]\s*){{2,}}(?:,?\s*or\s+[C-Z]\s*)?[\])]?
      | [\[(]\s*A\s*[-\u2013]\s*[C-Z]\s*[\])]
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_LEADING = re.compile(rf"\s*[\[(]\s*{_VERDICTS}\s*[\])][\s:*]*", re.IGNORECASE)
_EDGES: Final = " \t\r\n\"'`*.:;$"


def is_template(fragment: str, *, closed: bool) -> bool:
    """Whether a claim's fragment is what an instruction shows in the answer's place.

    Args:
        fragment: What stands where a text states its answer.
        closed: Its end is marked: then it may say of itself that there is no answer.
    """
    if len(fragment) > _LONGEST:
        return False
    bare = fragment.strip(_EDGES)
    if not bare:
        # "..." and "" are told apart: one leaves a gap, the other says "none".
        return not closed or "." in fragment
    return not bare[0].isdigit() and _TEMPLATE.fullmatch(bare) is not None


def leading_template(fragment: str) -> int:
    """Return where a fragment goes on behind `(Yes or No)`; 0 if it does not begin so."""
    if fragment[:1] not in ("(", "["):
        return 0
    match = _LEADING.match(fragment)
    return match.end() if match is not None and match.end() < len(fragment) else 0

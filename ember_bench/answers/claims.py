r"""Claims: the places where a text says what its answer is.

`#### x`, `\boxed{x}`, `Answer: x`, `"answer": x` and `<answer>x</answer>` are claims in a text of
any language. A reader makes a claim of the place of its marker by a regular expression of bounded
length, so that a hostile text costs linear time.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from ember_bench.answers.templates import leading_template

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FRAGMENT: Final = 1000

Style = Literal["hashes", "boxed", "answer", "field", "tag", "pick"]


class Claim(NamedTuple):
    """One place where a text says what its answer is.

    Attributes:
        style: What marks it; a `pick` can only state a letter.
        start: Where the marker begins.
        body: Where the claimed answer begins.
        fragment: The claimed answer and what follows it, at most to the end of the line.
        below: The fragment stands on a line below its marker.
        negated: The text says what the answer is *not*.
        closed: The end of the answer is marked.
        verb: The answer follows a verb, in a sentence, and not a colon or a mark.
    """

    style: Style
    start: int
    body: int
    fragment: str
    below: bool = False
    negated: bool = False
    closed: bool = False
    verb: bool = False

    @property
    def enclosed(self) -> bool:
        """Whether the fragment is the answer and nothing but the answer."""
        return self.style in ("boxed", "field", "tag")


_ANSWER = re.compile(
    r"""answers?(?![A-Za-z0-9]) ["'\u201d\u2019*_`\]]*
    (?:[ \t]+(?:choice|option|letter|value|here|now|then|therefore|thus))?
    (?:[ \t]*\([^()\n]{0,40}\))?
    (?:[ \t]+(?:to|for|of|in|from)\b[^\n.:=]{0,80}?)?
    [ \t"'*_`]*
    (?: [:=\uff1a] | ->|\u2192
      | \b(?P<verb>(?:is|was|are|isn['\u2019]t|wasn['\u2019]t|aren['\u2019]t|equals
        |(?:would|should|must|will|may|could)[ ]be
        |(?:cannot|can[ ]not|can['\u2019]t|could[ ]not|couldn['\u2019]t)[ ]be))(?![A-Za-z'\u2019]) )
    [ \t*_]* [:\uff1a]?""",
    re.IGNORECASE | re.VERBOSE,
)
_SKIP = re.compile(r"[\s*_`]{0,200}")
_NEGATING_VERB = re.compile(r"n['\u2019]t|cannot| not ", re.IGNORECASE)
_NEGATED = re.compile(
    r"(?:(?:definitely|certainly|clearly|probably|likely|actually|obviously|simply|most)\s+){0,2}"
    r"(?:not|never|neither)\b",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    r"\b(?:but(?:\s+rather|\s+instead)?|rather|instead|it\s+is|it['\u2019]s)\b", re.IGNORECASE
)
# What stands behind an answer as its reason; in a sentence "because" needs no comma.
_REASON = re.compile(
    r"\s*[,;\u2013\u2014\uff0c\u3001]\s*(?:because|since|as(?!\s+well)|given\s+that|due\s+to"
    r"|porque|pues|ya\s+que|weil|denn|da|car|parce\s+que|puisque|perch\u00e9|poich\u00e9|pois"
    r"|omdat|eftersom|poniewa\u017c|proto\u017ee|karena|kerana|\u00e7\u00fcnk\u00fc|v\u00ec|b\u1edfi"
    r"|\u043f\u043e\u0442\u043e\u043c\u0443|\u0442\u0430\u043a\s+\u043a\u0430\u043a"
    r"|\u043f\u043e\u0441\u043a\u043e\u043b\u044c\u043a\u0443)\b"
    r"|\s*[,\uff0c\u3001\u3002]?\s*(?:\u56e0\u4e3a|\u56e0\u70ba|\u306a\u305c\u306a\u3089|\uc65c\ub0d0\ud558\uba74)",
    re.IGNORECASE,
)
_BECAUSE = re.compile(r"\s+because\b", re.IGNORECASE)
_JSON_STRING = re.compile(r'\s{0,100}(?:"((?:[^"\\\n]|\\.){0,1000}+)"|\'([^\'\n]{0,1000}+)\')')
_JSON_BARE = re.compile(r"\[[^\]\n]{0,1000}\]|[^,}\n]{0,1000}")
# Where a sentence stands in a string of JSON, and where that ends.
_OPEN_STRING = re.compile(r'"\s?:\s?"[^"\n]*$')
_QUOTE_END = re.compile(r'(?<!\\)"\s*(?:[,}\]]|$)')
_TAG = re.compile(r"[<\[](?:[A-Za-z]{1,12}[-_ ])?answer\s?[>\]]", re.IGNORECASE)
_TAG_END = re.compile(r"[<\[]/(?:[A-Za-z]{1,12}[-_ ])?answer\s?[>\]]", re.IGNORECASE)


def without_reason(fragment: str, *, verb: bool) -> str:
    """Return a claim's fragment without the reason that follows the answer, if one does."""
    reason = _REASON.search(fragment) or (_BECAUSE.search(fragment) if verb else None)
    return fragment[: reason.start()] if reason is not None and reason.start() else fragment


def _hashes(text: str, at: int) -> Claim | None:
    """`#### 18`, the mark of GSM8K's own solutions."""
    line = _line(text, at + 4)
    fragment = line.strip()
    body = at + 4 + len(line) - len(line.lstrip())
    return Claim("hashes", at, body, fragment) if fragment else None


def _boxed(text: str, at: int) -> Claim | None:
    r"""`\boxed{18}`, however many braces stand inside."""
    start = at + len("boxed")
    if not text.startswith("{", start):
        return None
    depth = 0
    for i in range(start, min(len(text), start + MAX_FRAGMENT)):
        if text[i] == "{":
            depth += 1
        elif text[i] == "}":
            depth -= 1
            if depth == 0:
                content = text[start + 1 : i].strip()
                # An empty box repeats the instruction; it is no answer.
                return Claim("boxed", at, start + 1, content, closed=True) if content else None
    return None


def _answer(text: str, at: int) -> Claim | None:
    """`Answer: 18`, `the answer is 18`, `"answer": "18"`, `<answer>18</answer>`."""
    start = at - 1
    if start < 0 or text[start] not in "aA" or (start and text[start - 1].isalnum()):
        return None
    match = _ANSWER.match(text, start)
    if match is None:
        return _tag(text, start)
    quote = text[start + 6 : start + 7]
    if quote in ('"', "'") and match["verb"] is None and _is_key(text, start, quote):
        return _json_claim(text, start, match.end())
    skipped = _SKIP.match(text, match.end())
    body = skipped.end() if skipped else match.end()
    below = "\n" in text[match.end() : body]
    body += leading_template(_line(text, body))
    fragment = _line(text, body)
    verb = match["verb"] or ""
    if verb and (end := _end_of_string(text, start, fragment)) is not None:
        fragment = fragment[:end]
    return _affirmed(start, body, fragment, verb, below=below) if fragment else None


def _affirmed(start: int, body: int, fragment: str, verb: str, *, below: bool) -> Claim:
    """Return the claim of a fragment, which may say what the answer is not, and then what it is."""
    said_of = bool(verb)
    if not (_NEGATING_VERB.search(verb) or _NEGATED.match(fragment)):
        said = without_reason(fragment, verb=said_of)
        return Claim("answer", start, body, said, below, verb=said_of)
    if (instead := _INSTEAD.search(fragment)) is not None:
        body += instead.end()
        return Claim("answer", start, body, fragment[instead.end() :].lstrip(), verb=said_of)
    said = _NEGATED.sub("", fragment, count=1).lstrip()
    return Claim("answer", start, body, said, below, negated=True)


def _end_of_string(text: str, start: int, fragment: str) -> int | None:
    """Return where the string of JSON ends that a sentence stands in; None if it stands in none."""
    end = _QUOTE_END.search(fragment)
    if end is None or not _OPEN_STRING.search(text, max(0, start - MAX_FRAGMENT), start):
        return None
    return end.start()


def _is_key(text: str, start: int, quote: str) -> bool:
    """Whether the word at `start` ends the name of a field, such as "final_answer"."""
    return quote in text[max(0, start - 30) : start].rpartition("\n")[2]


def _tag(text: str, start: int) -> Claim | None:
    """`<answer>18</answer>`; without the end it goes to the end of its line."""
    opening = max(text.rfind(sign, max(0, start - 14), start) for sign in "<[")
    if opening < 0 or (opened := _TAG.match(text, opening)) is None:
        return None
    closed = _TAG_END.search(text, opened.end(), opened.end() + MAX_FRAGMENT)
    if closed is not None:
        content = text[opened.end() : closed.start()].strip()
        return Claim("tag", opening, opened.end(), content, closed=True)
    skipped = _SKIP.match(text, opened.end())
    body = skipped.end() if skipped else opened.end()
    fragment = _line(text, body).strip()
    return Claim("tag", opening, body, fragment) if fragment else None


def _json_claim(text: str, start: int, end: int) -> Claim | None:
    """The value of a JSON field; what stands after it in the object is not part of it."""
    if (quoted := _JSON_STRING.match(text, end)) is not None:
        double, single = quoted.groups()
        value = single if double is None else _unescape(double)
        return Claim("field", start, quoted.end() - len(value) - 1, value.strip(), closed=True)
    bare = _JSON_BARE.match(text, end)
    value = bare[0].strip() if bare else ""
    # A string that has no end was cut off.
    return None if value.startswith('"') else Claim("field", start, end, value, closed=not value)


def _unescape(quoted: str) -> str:
    if "\\" not in quoted:
        return quoted
    try:
        return str(json.loads(f'"{quoted}"'))
    except ValueError:
        return quoted  # LaTeX written without doubling its backslashes


def _line(text: str, start: int) -> str:
    end = text.find("\n", start, start + MAX_FRAGMENT)
    return text[start : end if end >= 0 else start + MAX_FRAGMENT]


READERS: Final[dict[str, Callable[[str, int], Claim | None]]] = {
    "####": _hashes,
    "boxed": _boxed,
    "nswer": _answer,
    "NSWER": _answer,
}

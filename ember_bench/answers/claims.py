r"""Where a text states its final answer: `#### x`, `\boxed{x}`, `Answer: x`, `"answer": x`.

Every format reads the same statements in the same way; only what an answer looks like differs.
Markers are found from the end with `str.rfind` and then checked by a regular expression of
bounded length, so that a long text costs as little as a short one and a hostile one stays linear.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_FRAGMENT: Final = 1000
MAX_MARKERS: Final = 100

Style = Literal["hashes", "boxed", "answer", "field"]


class Claim(NamedTuple):
    """One place where a text says what its answer is.

    Attributes:
        style: What marks it.
        start: Where the marker begins.
        body: Where the claimed answer begins.
        fragment: The claimed answer and what follows it, at most to the end of the line.
        below: The fragment stands on a line below its marker.
        negated: The text says what the answer is *not*.
    """

    style: Style
    start: int
    body: int
    fragment: str
    below: bool = False
    negated: bool = False

    @property
    def enclosed(self) -> bool:
        """Whether the fragment is the answer and nothing but the answer."""
        return self.style in ("boxed", "field")


@dataclass(slots=True)
class Statement:
    """What the claims of a text say together.

    Attributes:
        decided: Whether some claim settles the matter.
        answer: The answer; None if it cannot be read or several differ.
        floor: Nothing before this place may be taken for the answer.
        denied: Answers that the text says are not right.
    """

    decided: bool = False
    answer: str | None = None
    floor: int = 0
    denied: set[str] = field(default_factory=set)


class Ignored:
    """The reading of a claim that says nothing about the answer, such as a heading."""


IGNORED: Final = Ignored()
Reading = str | Ignored | None

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
_CORRECTION = re.compile(
    r"\b(?:wait|no|actually|correction|sorry|instead|rather|hmm|oops|mistake|but|however|recheck)\b",
    re.IGNORECASE,
)
_JSON_STRING = re.compile(r'\s{0,100}"((?:[^"\\\n]|\\.){0,1000}+)"')
_JSON_BARE = re.compile(r"\[[^\]\n]{0,1000}\]|[^,}\n]{0,1000}")


def claims(text: str) -> Iterator[Claim]:
    """Yield the claims of `text`, the last one first."""
    found = [(at, marker) for marker in _READERS if (at := text.rfind(marker)) >= 0]
    for _ in range(MAX_MARKERS):
        if not found:
            return
        latest = max(found)
        at, marker = latest
        if (claim := _READERS[marker](text, at)) is not None:
            yield claim
        found.remove(latest)
        if (at := text.rfind(marker, 0, at)) >= 0:
            found.append((at, marker))


def final_statement(text: str, read: Callable[[Claim], Reading]) -> Statement:
    """Return what the last claims of `text` say, each understood by `read`.

    A later claim stands against an earlier one (a correction), unless both are one statement
    ("the answer is A. The answer is B."): then they must agree.
    """
    statement = Statement()
    last: Claim | None = None
    for claim in claims(text):
        reading = read(claim)
        if claim.negated:
            statement.floor = max(statement.floor, claim.body + len(claim.fragment))
            if isinstance(reading, str):
                statement.denied.add(reading)
            continue
        if isinstance(reading, Ignored):
            continue
        if last is None:
            statement.decided, statement.answer = True, reading
        elif not _one_statement(text, claim, last):
            break
        elif reading != statement.answer:
            statement.answer = None
            break
        last = claim
    if statement.answer in statement.denied:
        statement.answer = None
    return statement


def _one_statement(text: str, earlier: Claim, later: Claim) -> bool:
    if earlier.style != later.style or later.start - earlier.body > 40:
        return False
    return _CORRECTION.search(text, earlier.body, later.start) is None


def _hashes(text: str, at: int) -> Claim | None:
    """`#### 18`, the mark of GSM8K's own solutions."""
    return Claim("hashes", at, at + 4, _line(text, at + 4).strip())


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
                return Claim("boxed", at, start + 1, content) if content else None
    return None


def _answer(text: str, at: int) -> Claim | None:
    """`Answer: 18`, `the answer is 18`, `"answer": "18"`."""
    start = at - 1
    if start < 0 or text[start] not in "aA" or (start and text[start - 1].isalnum()):
        return None
    match = _ANSWER.match(text, start)
    if match is None:
        return None
    if text.startswith('"', start + 6) and match["verb"] is None:
        return _json_claim(text, start, match.end())
    skipped = _SKIP.match(text, match.end())
    body = skipped.end() if skipped else match.end()
    fragment = _line(text, body)
    below = "\n" in text[match.end() : body]
    verb = match["verb"] or ""
    if not (_NEGATING_VERB.search(verb) or _NEGATED.match(fragment)):
        return Claim("answer", start, body, fragment, below)
    if (instead := _INSTEAD.search(fragment)) is not None:
        body += instead.end()
        return Claim("answer", start, body, fragment[instead.end() :].lstrip())
    said = _NEGATED.sub("", fragment, count=1).lstrip()
    return Claim("answer", start, body, said, below, negated=True)


def _json_claim(text: str, start: int, end: int) -> Claim:
    """The value of a JSON field; what stands after it in the object is not part of it."""
    if (quoted := _JSON_STRING.match(text, end)) is not None:
        return Claim("field", start, quoted.start(1), _unescape(quoted[1]).strip())
    bare = _JSON_BARE.match(text, end)
    return Claim("field", start, end, bare[0].strip() if bare else "")


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


_READERS: Final[dict[str, Callable[[str, int], Claim | None]]] = {
    "####": _hashes,
    "boxed": _boxed,
    "nswer": _answer,
    "NSWER": _answer,
}

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

from ember_bench.answers.endings import own_part
from ember_bench.answers.templates import is_template, leading_template
from ember_bench.models.types import CutOff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_FRAGMENT: Final = 1000
MAX_MARKERS: Final = 100

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


class Parsed(NamedTuple):
    """What a format reads out of a text.

    Attributes:
        answer: The canonical answer; None if there is none.
        stated: The text states it, or is nothing else. An answer that is not stated was guessed
            at from where answers tend to stand.
    """

    answer: str | None
    stated: bool = False


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
# Between two claims that name one answer each of several.
_AND = re.compile(r"[\s$.,;&*}]*(?:\b(?:and|or)\b|[,;&])?[\s$*\\(\[]*", re.IGNORECASE)
_JSON_STRING = re.compile(r'\s{0,100}(?:"((?:[^"\\\n]|\\.){0,1000}+)"|\'([^\'\n]{0,1000}+)\')')
_JSON_BARE = re.compile(r"\[[^\]\n]{0,1000}\]|[^,}\n]{0,1000}")
# Where a sentence stands in a string of JSON, and where that ends.
_OPEN_STRING = re.compile(r'"\s?:\s?"[^"\n]*$')
_QUOTE_END = re.compile(r'(?<!\\)"\s*(?:[,}\]]|$)')
_TAG = re.compile(r"[<\[](?:[A-Za-z]{1,12}[-_ ])?answer\s?[>\]]", re.IGNORECASE)
_TAG_END = re.compile(r"[<\[]/(?:[A-Za-z]{1,12}[-_ ])?answer\s?[>\]]", re.IGNORECASE)


def claims(
    text: str, readers: Mapping[str, Callable[[str, int], Claim | None]] | None = None
) -> Iterator[Claim]:
    """Yield the claims of `text`, the last one first; those that repeat a template are none.

    Args:
        text: A model's text.
        readers: Marker -> what makes a claim of its place in a text; by default those that stand
            in a text of any language.
    """
    readers = _READERS if readers is None else readers
    found = [(at, marker) for marker in readers if (at := text.rfind(marker)) >= 0]
    for _ in range(MAX_MARKERS):
        if not found:
            return
        latest = max(found)
        at, marker = latest
        claim = readers[marker](text, at)
        if claim is not None and not is_template(claim.fragment, closed=claim.closed):
            yield claim
        found.remove(latest)
        if (at := text.rfind(marker, 0, at)) >= 0:
            found.append((at, marker))


def final_statement(
    text: str, read: Callable[[Claim], Reading], *, grows: bool = True
) -> Statement:
    r"""Return what the last claims of `text` say, each understood by `read`.

    A later claim stands against an earlier one, as models correct themselves, unless both are one
    statement (`\boxed{1} and \boxed{2}`): then they must agree.

    Args:
        text: A model's text; what its model went on with as a new question does not count.
        read: Makes an answer of a claim.
        grows: An answer at the end of a text that was cut off may be the beginning of a longer one.
    """
    cut_off = isinstance(text, CutOff)
    text = before_next_question(text)
    if cut_off and grows:
        read = _up_to(len(text.rstrip()), read)
    statement = _said(text, claims(text), read)
    if statement.decided and text.isascii():
        return statement
    from ember_bench.answers.foreign import READERS  # noqa: PLC0415 - few texts need them

    if text.isascii():
        return _merged(statement, _said(text, claims(text, READERS), read))
    return _said(text, claims(text, {**_READERS, **READERS}), read)


def before_next_question(text: str) -> str:
    """Return `text` up to where its model, with an answer stated, goes on with a new question."""
    return own_part(text, lambda part: next(_statements(part), None) is not None)


def _statements(text: str) -> Iterator[Claim]:
    return (claim for claim in claims(text) if not claim.negated and claim.fragment)


def _merged(one: Statement, two: Statement) -> Statement:
    """Return what two kinds of claims say, of which the first decide nothing."""
    answer = None if two.answer in one.denied else two.answer
    floor = max(one.floor, two.floor)
    return Statement(two.decided, answer, floor, one.denied | two.denied)


def _said(text: str, found: Iterator[Claim], read: Callable[[Claim], Reading]) -> Statement:
    statement = Statement()
    last: Claim | None = None
    for claim in found:
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
    """Whether nothing stands between two boxes but what joins the answers of one sentence."""
    if earlier.style != later.style or earlier.style != "boxed" or later.start - earlier.body > 80:
        return False
    end = earlier.body + len(earlier.fragment) + 1
    between = text[end : later.start].removesuffix("\\")
    return "\n" not in between and bool(_AND.fullmatch(between)) and bool(between.strip(" .$"))


def _up_to(end: int, read: Callable[[Claim], Reading]) -> Callable[[Claim], Reading]:
    """Return `read` for a text that was cut off at `end`: what may go on there is not read."""

    def checked(claim: Claim) -> Reading:
        reading = read(claim)
        whole = claim.closed or claim.fragment.rstrip(" *_").endswith((".", "!", "\u3002"))
        if whole or claim.body + len(claim.fragment) < end:
            return reading
        # What stands before the last word does not depend on how that ends.
        shorter = claim.fragment.rstrip().rpartition(" ")[0]
        return reading if shorter and read(claim._replace(fragment=shorter)) == reading else IGNORED

    return checked


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


_READERS: Final[dict[str, Callable[[str, int], Claim | None]]] = {
    "####": _hashes,
    "boxed": _boxed,
    "nswer": _answer,
    "NSWER": _answer,
}

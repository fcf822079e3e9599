"""Reads the letter of a multiple-choice answer, or yes and no, out of a text."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from ember_bench.answers.claims import IGNORED, Claim, Reading, final_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Where a question does not say how many options it has.
DEFAULT_LETTERS: Final = LETTERS[:10]
# What is not marked as an answer is looked for at the beginning and at the end of a text only.
_ENDS: Final = 300
_LONGEST_OPTION: Final = 2000
_VERDICT_WORDS: Final = ("correct", "answer", "right", "best", "choice", "option")

_BARE = re.compile(
    r"[\W_]{0,8}(?:(?:option|choice)[\s:]{1,3})?[\W_]{0,8}([A-Za-z])[\W_]{0,8}", re.I
)
_LEADING = re.compile(
    r"[\W_]{0,12}(?:(?:option|choice|letter|answer)\b[\s:]*)?(?P<open>[(\[*\"'`]*)"
    r"(?P<letter>[A-Za-z])(?P<close>[)\].:*\"'`,;]*)(?![\w'\u2019-])",
    re.IGNORECASE,
)
_LINE = re.compile(
    r"[\s*_#>\"'`(\[]*(?:(?:option|choice)\s+)?[(\[]?(?P<letter>[A-Z])(?:[)\].:*\"'`]+(?!\S)|\s*$)"
    r"(?!\s+(?:is|was)\s+(?:not|wrong|incorrect|false)\b)"
)
# Not preceded or followed by anything that makes it part of a word, a contraction or an initial.
_LONE = r"(?<![\w'\u2019.])[(\[*]*(?P<letter>[A-Z])(?![\w'\u2019]|-\w|\.[A-Z])"
_LONE_LETTER = re.compile(_LONE)
_ARTICLE = re.compile(r"[ ][a-z]")
_REASON = re.compile(
    r"[ ](?:because|since|as|and|or|with|due|for|given|based|which|by|is|was|are|but|not)\b"
)
_HEDGE = re.compile(r"\s*(?:,|/|&|\+|\band/or\b|\bor\b|\band\b)\s*(?:option|choice)?\s*" + _LONE)
_OR = re.compile(r"\bor\b\s*(?:option|choice)?\s*" + _LONE)
_ONLY_LETTERS = re.compile(r"(?:[\W_]+[A-Z])+[\W_]*")
_VERDICT = re.compile(
    _LONE + r"[)\]*\"']*\s+(?:is|was|must\s+be|seems)\s+(?:(?:the|clearly|definitely|therefore|"
    r"only|most|best|correct|right|likely|final|accurate|appropriate)\s+){0,5}"
    r"(?:answer|choice|option|correct|right|best)(?![\w])"
)
_MARKED = re.compile(
    r"\((?P<round>[A-Z])\)|\[(?P<square>[A-Z])\]|\*\*\(?(?P<bold>[A-Z])[.):]?\*\*"
    r"|\b(?:[Oo]ption|[Cc]hoice|[Ll]etter)\s+(?P<option>[A-Z])(?![\w'\u2019])"
)
_ENDING = re.compile(r"(?<![\w'\u2019.])([A-Z])[\W_]{0,8}$")
_NEGATION = re.compile(
    r"\b(?:not|never|neither|nor|cannot|except|wrong|incorrect|false|eliminate|exclude)\b|n['\u2019]t\b",
    re.IGNORECASE,
)
_WRAPPER = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mathsf|boxed)\s?\{|[${}]|\\[()\[\]]")
_SENTENCE_END = re.compile(r"(?<=\w\w)[.!?](?:\s|$)")
_EDGES: Final = " \t\r\n.,:;!?\"'`*_()[]{}$\u201c\u201d\u2018\u2019"


def parse_choice(text: str, choices: Sequence[str] = ()) -> str | None:
    """Return the letter that `text` chooses; None if it chooses none, or several.

    The article "A" and the pronoun "I" are no choices. An option's own text counts as its letter.
    """
    stripped = text.strip()
    if not stripped:
        return None
    options = _options(tuple(choices))
    letters = LETTERS[: len(choices)] if choices else DEFAULT_LETTERS
    if len(stripped) <= 40 and (bare := _BARE.fullmatch(stripped)):
        return _valid(bare[1], letters)
    longest = max(map(len, choices), default=0) + 20
    if len(stripped) <= longest and (letter := options.get(_key(stripped))) is not None:
        return letter

    statement = final_statement(text, lambda claim: _read_claim(claim, letters, options))
    if statement.decided:
        return statement.answer
    rest = text[statement.floor :].strip()
    letter = _from_lines(rest, letters, options)
    return None if letter in statement.denied else letter


def _read_claim(claim: Claim, letters: str, options: dict[str, str]) -> Reading:
    fragment = claim.fragment
    if "\\" in fragment or "$" in fragment:
        fragment = _WRAPPER.sub("", fragment)
    if (letter := options.get(_key(fragment))) is not None:
        return letter
    end = _SENTENCE_END.search(fragment)
    sentence = fragment[: end.start()] if end else fragment
    leading = _LEADING.match(sentence)
    if leading is None or not _is_choice(leading, sentence):
        return _only_option(sentence, options, start=True)
    letter = leading["letter"].upper()
    tail = sentence[leading.end() :]
    others = [match["letter"] for match in _OR.finditer(tail)]
    if (hedge := _HEDGE.match(tail)) and not _article(hedge, tail):
        others.append(hedge["letter"])
    if _ONLY_LETTERS.fullmatch(tail):
        others += _LONE_LETTER.findall(tail)
    if any(other != letter and other in letters for other in others):
        return None
    return _valid(letter, letters)


def _is_choice(leading: re.Match[str], sentence: str) -> bool:
    """Whether the letter that a claim begins with is a choice, not an article or a pronoun."""
    letter, tail = leading["letter"], sentence[leading.end() :]
    if leading["close"].strip(",;") or leading["open"] or not tail.strip():
        return True
    if letter.islower():
        return not _ARTICLE.match(tail) or (letter not in "ai" and bool(_REASON.match(tail)))
    return letter not in "AI" or not _ARTICLE.match(tail) or bool(_REASON.match(tail))


def _article(match: re.Match[str], text: str) -> bool:
    """Whether a lone letter is the article "A" or the pronoun "I"."""
    if match["letter"] not in "AI" or not _ARTICLE.match(text, match.end()):
        return False
    return _REASON.match(text, match.end()) is None


def _from_lines(text: str, letters: str, options: dict[str, str]) -> str | None:
    """Read a text without a marked answer by its verdict, its first line and its last."""
    text = _ends(text)
    verdicts: set[str] = set()
    if any(word in text for word in _VERDICT_WORDS):
        verdicts = {match["letter"] for match in _VERDICT.finditer(text)} & set(letters)
    if verdicts:
        return verdicts.pop() if len(verdicts) == 1 else None
    first, last = text.partition("\n")[0], text.rpartition("\n")[2].strip()
    found = {match["letter"] for line in (first, last) if (match := _LINE.match(line))}
    if not _NEGATION.search(last):
        marked = [next(filter(None, match.groups())) for match in _MARKED.finditer(last)]
        ending = _ENDING.search(last)
        # "So do I." does not choose the ninth option.
        if not marked and ending and ending[1] != "I":
            marked = [
                match["letter"]
                for match in _LONE_LETTER.finditer(last)
                if not _article(match, last) and match["letter"] != "I"
            ]
        found |= set(marked)
    found &= set(letters)
    if found:
        return found.pop() if len(found) == 1 else None
    if (letter := options.get(_key(last))) is not None:
        return letter
    sentences = [s for s in re.split(r"[.!?](?:\s|$)", last) if s.strip()]
    if not sentences or _NEGATION.search(sentences[-1]):
        return None
    reading = _only_option(sentences[-1], options, start=False)
    return reading if isinstance(reading, str) else None


def _only_option(sentence: str, options: dict[str, str], *, start: bool) -> Reading:
    """Return the one option whose text stands in `sentence`; `start`: at its beginning."""
    if not options:
        return IGNORED
    key = _key(sentence)
    found = [text for text in options if _stands_in(text, key)]
    # "New York City" does not also choose "New York".
    found = [t for t in found if not any(t != other and t in other for other in found)]
    if not found:
        return IGNORED
    if len(found) > 1:
        return None
    bare = key.removeprefix("the ").removeprefix("option ")
    if start and not (bare.startswith(found[0]) or key.startswith(found[0])):
        return IGNORED if _NEGATION.search(sentence) is None else None
    return options[found[0]]


def _stands_in(option: str, text: str) -> bool:
    at = text.find(option)
    if at < 0 or not option:
        return False
    after = text[at + len(option) : at + len(option) + 2]
    joined = after[:1].isalnum() or (after[:1] in (".", ",") and after[1:].isdigit())
    return not joined and not text[at - 1 : at].isalnum()


@lru_cache(maxsize=1024)
def _options(choices: tuple[str, ...]) -> dict[str, str]:
    """Return the letter of each option's text; texts that two options share choose none."""
    keys = [_key(choice) for choice in choices]
    return {
        key: letter
        for key, letter in zip(keys, LETTERS, strict=False)
        if key and keys.count(key) == 1
    }


def _ends(text: str) -> str:
    return text if len(text) <= 2 * _ENDS else f"{text[:_ENDS]}\n...\n{text[-_ENDS:]}"


def _key(text: str) -> str:
    return " ".join(text[:_LONGEST_OPTION].casefold().split()).strip(_EDGES)


def _valid(letter: str, letters: str) -> str | None:
    return letter.upper() if letter.upper() in letters else None


_WORDS: Final = {"yes": "yes", "no": "no", "true": "yes", "false": "no"}
_BRACKETED = re.compile(r"\[\s?\**(yes|no|true|false)\**\s?\]", re.IGNORECASE)
_PAIR = re.compile(
    r"\b(?:yes|no|true|false)\b[\"'`*\]]{0,3}\s?(?:/|\bor\b|\band\b)\s?[\"'`*\[]{0,3}"
    r"(?:yes|no|true|false)\b",
    re.IGNORECASE,
)
_LEADING_WORD = re.compile(r"[\W_]{0,12}(yes|no|true|false)\b(?!['\u2019-]\w)", re.IGNORECASE)
_LAST_WORD = re.compile(r"(?<![\w'\u2019-])(yes|no)[\W_]{0,8}$", re.IGNORECASE)
_LONE_WORD = re.compile(
    r"(?<![\w'\u2019-])(yes|no)(?=[\s*\"'\u201d]*(?:[.,;:!?)\]\n\u2014\u2013]|$))", re.IGNORECASE
)
_DETERMINED = re.compile(
    r"\s+(?!because|since|as|it|this|they|there|he|she|we|you|i\b)[a-z]", re.IGNORECASE
)
# A sentence of its own: "I doubt that it is true" and "it is not true" say something else.
_CALLED_TRUE = re.compile(
    r"(?:^|[.!?;:]\s)[\s*_\"'`]{0,8}(?:(?:so|thus|therefore|hence|overall),?\s+)?(?:(?:the|this|that)\s+)?"
    r"(?:answer|assertion|claim|conclusion|hypothesis|proposition|sentence|statement|it|this|that)"
    r"(?:\s+is|['\u2019]s|\s+must\s+be)\s+(?:(?:actually|clearly|indeed|therefore)\s+)?"
    r"[\W_]{0,4}(true|false)[\W_]{0,8}$",
    re.IGNORECASE,
)


def parse_yes_no(text: str) -> str | None:
    """Return "yes" or "no": the last bracketed one, else the claimed one, else a lone word.

    "Yes or no" repeats the question, and the "no" of "no reason" is none. "True" is a yes and
    "False" a no, but a text that also says yes or no means that.
    """
    if "[" in text and (bracketed := _bracketed(text)):
        return bracketed
    statement = final_statement(text, _read_yes_no)
    if statement.decided:
        return statement.answer
    rest = _PAIR.sub("", _ends(text[statement.floor :].strip())).strip()
    leading = {_leading_word(rest), _leading_word(rest.rpartition("\n")[2])} - {None}
    said = {word for word in leading if word in ("yes", "no")}
    if ending := _LAST_WORD.search(rest[-20:]):
        said.add(ending[1].lower())
    if not said:
        said = {match[1].lower() for match in _LONE_WORD.finditer(rest)}
    if not said:
        called = _CALLED_TRUE.search(rest.rpartition("\n")[2][-_ENDS:])
        said = {_WORDS[word] for word in leading if word is not None}
        said |= {_WORDS[called[1].lower()]} if called else set()
    answer = said.pop() if len(said) == 1 else None
    return None if answer in statement.denied else answer


def _bracketed(text: str) -> str | None:
    """Return the last bracketed word that is not half of "[Yes] or [No]"."""
    found = list(_BRACKETED.finditer(text))
    paired = [
        text[one.end() : two.start()].strip(" \"'`*").lower() in ("or", "and", "/")
        for one, two in pairwise(found)
    ]
    alone = [
        match
        for match, before, after in zip(found, [False, *paired], [*paired, False], strict=True)
        if not (before or after)
    ] if found else []  # fmt: skip
    return _WORDS[alone[-1][1].lower()] if alone else None


def _read_yes_no(claim: Claim) -> Reading:
    fragment = _WRAPPER.sub("", claim.fragment)
    word = None if _PAIR.match(fragment) else _leading_word(fragment)
    return IGNORED if word is None else _WORDS[word]


def _leading_word(text: str) -> str | None:
    match = _LEADING_WORD.match(text)
    if match is None:
        return None
    word = match[1].lower()
    # "No reason", "true positives".
    return None if word != "yes" and _DETERMINED.match(text, match.end()) else word

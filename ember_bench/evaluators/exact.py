"""Exact match, with the normalisations that question-answering benchmarks use."""

from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import dataclass

from ember_bench.evaluators.kinds import AnswerEvaluator, evaluator

_ARTICLES = re.compile(r"\b(?:a|an|the)\b", re.IGNORECASE)
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@evaluator("exact_match", version=2)
@dataclass(frozen=True)
class ExactMatch(AnswerEvaluator):
    """Right if the answer is the target, character by character after normalisation.

    With all four options it is the exact match of SQuAD (Rajpurkar et al. 2016). Characters that
    Unicode writes in several ways (NFC) are one character in any case.

    Attributes:
        ignore_case: "Paris" is "paris".
        ignore_punctuation: "Paris." is "Paris"; ASCII punctuation only.
        ignore_articles: "the Seine" is "Seine"; English a, an, the.
        ignore_whitespace: Runs of whitespace are one space.
    """

    ignore_case: bool = False
    ignore_punctuation: bool = False
    ignore_articles: bool = False
    ignore_whitespace: bool = False

    def agrees(self, answer: str, target: str) -> bool:
        """Compare what the options leave; two answers they leave nothing of, as they were."""
        return self.normalised(answer) == self.normalised(target)

    def normalised(self, answer: str) -> str:
        """Return what the options leave of an answer, or all of it if that is nothing."""
        answer = unicodedata.normalize("NFC", answer)
        return self.stripped(answer) or answer

    def stripped(self, text: str) -> str:
        """Return what the options leave of a text, which may be nothing."""
        # The order is SQuAD's: "A.B." loses its full stops before articles are looked for.
        if self.ignore_case:
            text = text.casefold()
        if self.ignore_punctuation:
            text = text.translate(_PUNCTUATION)
        if self.ignore_articles:
            text = _ARTICLES.sub(" ", text)
        if self.ignore_whitespace or self.ignore_articles:
            text = " ".join(text.split())
        return text

"""Overlap of n-grams with reference texts: ROUGE, BLEU and chrF, by their reference packages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from ember_bench.evaluators.graded import GradedEvaluator
from ember_bench.evaluators.kinds import evaluator
from ember_bench.evaluators.libraries import library, library_identity

EXTRA: Final = "text-metrics"


class _Packaged(GradedEvaluator):
    """A metric that a package computes, whose version is part of the evaluator's identity."""

    package = ""

    @cached_property
    def identity(self) -> str:
        """As every answer evaluator's, with the package's version."""
        return f"{super().identity} {library_identity(self.package, extra=EXTRA)}"


@evaluator("rouge", version=1)
@dataclass(frozen=True)
class Rouge(_Packaged):
    """ROUGE (Lin 2004) against the closest target, by Google's package `rouge-score`.

    Attributes:
        variant: `rouge1`, `rouge2`: words and pairs of words; `rougeL`: the longest common
            subsequence; `rougeLsum`: that of each sentence, one a line.
        measure: F-measure, precision or recall.
        stemmer: Compare stems of English words (Porter).
    """

    package = "rouge-score"

    variant: Literal["rouge1", "rouge2", "rougeL", "rougeLsum"] = "rougeL"
    measure: Literal["fmeasure", "precision", "recall"] = "fmeasure"
    stemmer: bool = True

    @cached_property
    def _scorer(self) -> Any:
        module = library("rouge_score.rouge_scorer", package=self.package, extra=EXTRA)
        return module.RougeScorer([self.variant], use_stemmer=self.stemmer)

    def grade(self, answer: str, targets: Sequence[str]) -> float:
        """Return the largest score over the targets."""
        scores = (self._scorer.score(target, answer)[self.variant] for target in targets)
        return float(max(getattr(score, self.measure) for score in scores))


@evaluator("bleu", version=1)
@dataclass(frozen=True)
class Bleu(_Packaged):
    """BLEU of one text against all targets together (Papineni et al. 2002), by `sacrebleu`.

    As sentences are short, it counts n-grams only up to the answer's length. Its mean over items is
    no corpus BLEU, which pools counts: papers on translation report the latter.

    Attributes:
        tokenize: How sacrebleu splits words: `13a` for most languages, `zh`, `intl`, `char`.
        smooth: How counts of 0 are smoothed; sacrebleu's default.
        lowercase: Without regard to case.
    """

    package = "sacrebleu"

    tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a"
    smooth: Literal["exp", "floor", "add-k", "none"] = "exp"
    lowercase: bool = False

    @cached_property
    def _metric(self) -> Any:
        module = library("sacrebleu.metrics.bleu", package=self.package, extra=EXTRA)
        return module.BLEU(
            tokenize=self.tokenize,
            smooth_method=self.smooth,
            lowercase=self.lowercase,
            effective_order=True,
        )

    def grade(self, answer: str, targets: Sequence[str]) -> float:
        """Return BLEU / 100."""
        # Rounding there takes identical texts to 100.00000000000004.
        return min(1.0, float(self._metric.sentence_score(answer, list(targets)).score) / 100)


@evaluator("chrf", version=1)
@dataclass(frozen=True)
class Chrf(_Packaged):
    """Character n-gram F-score against the closest target (Popović 2015), by `sacrebleu`.

    Attributes:
        word_order: 0 for chrF, 2 for chrF++ (Popović 2017).
        char_order: Longest n-gram of characters.
        lowercase: Without regard to case.
    """

    package = "sacrebleu"

    word_order: Annotated[int, Field(ge=0, le=6)] = 0
    char_order: Annotated[int, Field(ge=1, le=12)] = 6
    lowercase: bool = False

    @cached_property
    def _metric(self) -> Any:
        module = library("sacrebleu.metrics.chrf", package=self.package, extra=EXTRA)
        return module.CHRF(
            char_order=self.char_order, word_order=self.word_order, lowercase=self.lowercase
        )

    def grade(self, answer: str, targets: Sequence[str]) -> float:
        """Return chrF / 100."""
        return min(1.0, float(self._metric.sentence_score(answer, list(targets)).score) / 100)

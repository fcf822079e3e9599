"""Operators that order candidates, and keep the best."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import permutations
from typing import Any, Final

from ember_bench.answers.formats import parse_answer
from ember_bench.errors import SignatureError
from ember_bench.operators.asking import ask_requests
from ember_bench.operators.base import Inputs, operator
from ember_bench.operators.candidates import (
    Candidate,
    Ties,
    candidates_of,
    known_ties,
    leaders,
    settle,
)
from ember_bench.operators.fan_in import LMFanIn, Settling, numbered
from ember_bench.operators.lm import LMModule
from ember_bench.operators.mapping import parallel
from ember_bench.operators.references import called
from ember_bench.operators.signature import Signature

Score = Callable[[str, Inputs], float]

_RANKING = re.compile(r"ranking[*_ \t]*[:\uff1a]([^\n]*)", re.IGNORECASE)
_CHAIN = re.compile(r"\[?\d{1,6}\]?(?:[ \t]*>[ \t]*\[?\d{1,6}\]?)+")
_SCORE = re.compile(r"score[*_ \t]*[:=\uff1a][*_ \t]*(-?\d+(?:\.\d+)?)", re.IGNORECASE)
_DIGITS: Final = re.compile(r"\d{1,6}")


@operator
class RankFilter(LMFanIn):
    """Has a model rank all candidates in one list, and keeps the first `k`.

    The ranker of Archon (Saad-Falcon et al. 2024); a list of all candidates in one response is
    RankGPT's method (Sun et al. 2023). Inputs: `query`, `responses`, and optionally their
    `critiques`, which the ranker sees too. Outputs: `responses`, the best `k`, best first; their
    `critiques` if there are any; and `ranking`, the indices of all responses, best first.
    Candidates that the ranker omits come last, in the given order; so do all if the ranking cannot
    be read.

    Args:
        lm_modules: The ranker, one LM module.
        k: Number of responses that are kept.
        signature: Its prompt names `query` and `candidates`, a numbered list, and requests a line
            such as "Ranking: 2 > 3 > 1".
    """

    role = "rank"
    fills = ("candidates",)
    uses = ("critiques",)
    gives = ("responses", "critiques", "ranking")
    default_signature = "rank"

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        k: int = 1,
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1, found {k}")
        super().__init__(lm_modules=lm_modules, signature=signature)
        self.k = k

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Rank; a single candidate needs no model."""
        candidates = candidates_of(inputs)
        critiques = inputs.get("critiques")
        ranking = list(range(len(candidates)))
        if len(candidates) > 1:
            texts = [c.text for c in candidates]
            prompt = self._prompt({**inputs, "candidates": numbered(texts, critiques)})
            said = self.lms[0](prompt, role=self.role, about=texts)
            ranking = read_ranking(said, len(candidates))
        outputs: dict[str, Any] = {"responses": [candidates[i].text for i in ranking[: self.k]]}
        if critiques is not None:
            outputs["critiques"] = [critiques[i] for i in ranking[: self.k]]
        return {**outputs, "ranking": ranking}


@operator
class PairwiseTournament(Settling):
    """Has a model compare every two answers, in both orders; the answer with most wins is taken.

    This is PRP-Allpair (Qin et al. 2024, Pairwise Ranking Prompting). A model that always prefers
    the first candidate gives one point to both, so its bias (Zheng et al. 2023) cancels. Responses
    with the same answer are one candidate, so n answers cost n(n-1) calls. Inputs: `query`,
    `responses`. Outputs: `final_answer` (None if no response has an answer), and `points`, answer
    -> comparisons won.

    Args:
        lm_modules: The model that compares, one LM module.
        answer_format: Format of the answers; by default the `answer_format` of the inputs.
        ties: Rule for answers with equally many points, as in `MostCommonOperator`.
        signature: Its prompt names `query` and `candidates`, two of them, and requests a line
            "Ranking: 1 > 2" or "Ranking: 2 > 1".
    """

    role = "rank"
    fills = ("candidates",)
    gives = ("final_answer", "answers", "credit", "points")
    default_signature = "compare"

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Compare all pairs at the same time."""
        first_of: dict[str, str] = {}
        for candidate in candidates_of(inputs, self.answer_format):
            if candidate.answer is not None:
                first_of.setdefault(candidate.answer, candidate.text)
        lm, pairs = self.lms[0], list(permutations(first_of, 2))
        requests = []
        for pair in pairs:
            texts = [first_of[answer] for answer in pair]
            prompt = self._prompt({**inputs, "candidates": numbered(texts)})
            requests.append((lm, lm.request(prompt, role=self.role, about=texts)))
        points = dict.fromkeys(first_of, 0)
        for pair, response in zip(pairs, ask_requests(requests), strict=True):
            points[pair[read_ranking(response.data, 2)[0]]] += 1
        return {**settle(leaders(points), self.ties, inputs), "points": points}


@operator
class BestOf(LMFanIn):
    """Takes the response with the highest score, by a function or by a reward model.

    Best-of-n sampling (Stiennon et al. 2020; with a verifier's score, Cobbe et al. 2021). A
    response without an answer is never the best; a score that cannot be read is the lowest.
    Inputs: `responses`, and `query` if a model scores. Outputs: `final_answer`, that of the best
    response; and `scores`, of all.

    Args:
        score: A function (response, inputs) -> number; it may make LM calls.
        lm_modules: Instead of a function, the reward model, one LM module.
        answer_format: Format of the answers; by default the `answer_format` of the inputs.
        ties: Rule for different answers with equal scores, as in `MostCommonOperator`.
        signature: The reward model's prompt; names `query` and `candidate`, and requests a line
            "Score: " with a number.
    """

    role = "score"
    reads = ("number",)
    fills = ("candidate", "response")
    gives = ("final_answer", "answers", "credit", "scores")
    default_signature = "score"
    asks_once = False  # a function may make any calls
    optional = True

    def __init__(
        self,
        *,
        score: Score | None = None,
        lm_modules: Sequence[LMModule] = (),
        answer_format: str | None = None,
        ties: Ties = "first",
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        if (score is None) == (not lm_modules):
            raise ValueError("BestOf takes a score function or an LM module, and not both")
        if score is not None:
            signature = signature or Signature(required_inputs=["responses"])
        super().__init__(lm_modules=lm_modules, answer_format=answer_format, signature=signature)
        self.score = None if score is None else called(score, "score", "response", "inputs")
        self.ties: Ties = known_ties(ties)

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Score all at the same time."""
        candidates = candidates_of(inputs, self.answer_format)
        scores = self._scores(candidates, inputs)
        readable = [i for i, candidate in enumerate(candidates) if candidate.answer is not None]
        best = max((scores[i] for i in readable), default=0.0)
        ahead = [candidates[i].answer for i in readable if scores[i] == best]
        distinct = list(dict.fromkeys(answer for answer in ahead if answer is not None))
        return {**settle(distinct, self.ties, inputs), "scores": scores}

    def _scores(self, candidates: Sequence[Candidate], inputs: Inputs) -> list[float]:
        if self.score is None:
            return [read_score(said) for said in self._ask_each(candidates, inputs)]
        given = parallel([partial(self.score, c.text, inputs) for c in candidates])
        return [as_score(score, "the score function") for score in given]


def as_score(value: Any, source: str) -> float:
    """Return a score that `source` gave.

    Raises:
        SignatureError: if it is no number, or NaN.
    """
    try:
        score = float(value)
    except (TypeError, ValueError):
        raise SignatureError(f"{source} gave {value!r}, which is no number") from None
    if math.isnan(score):
        raise SignatureError(f"{source} gave NaN, which cannot be compared")
    return score


def read_ranking(text: str, n: int) -> list[int]:
    """Return the order of `n` candidates, from 0, stated by a text such as "Ranking: 2 > 1".

    Candidates that it does not name follow in their own order.
    """
    marked = _RANKING.findall(text) or _CHAIN.findall(text)
    named = [int(digits) - 1 for digits in _DIGITS.findall(marked[-1])] if marked else []
    known = [place for place in named if 0 <= place < n]
    return list(dict.fromkeys([*known, *range(n)]))


def read_score(text: str) -> float:
    """Return the number behind the last "Score:", else the text's own number, else -inf."""
    if marked := _SCORE.findall(text):
        return float(marked[-1])
    stated = parse_answer(text, "number")
    try:
        return float(stated) if stated is not None else -math.inf
    except ValueError:  # a fraction
        return -math.inf

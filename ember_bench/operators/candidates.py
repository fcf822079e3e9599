"""What the operators that choose among candidates have in common.

Field names: an operator that fans out gives `responses` (texts, in a fixed order); one that fans
in takes them and gives `final_answer`. It may also give `answers` and `credit`: the answers among
which its rule does not decide, and how their scores make the trial's score (`mean` for a tie that
shares the credit, `best` for an oracle).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from ember_bench.answers.formats import parse_answer
from ember_bench.errors import SignatureError

Ties = Literal["first", "random", "share"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One response and the answer read out of it.

    Attributes:
        text: The response.
        answer: None if none could be read; of several candidates whose answers count as the same,
            the first one's.
    """

    text: str
    answer: str | None


def candidates_of(inputs: Mapping[str, Any], answer_format: str | None = None) -> list[Candidate]:
    """Return the candidates among `inputs["responses"]`.

    Args:
        inputs: Their `answer_format` and `choices` say how answers are read, if given, and their
            `normalise` which of them count as the same.
        answer_format: Comes before that of the inputs.
    """
    responses = inputs["responses"]
    if isinstance(responses, str) or not isinstance(responses, Sequence):
        raise SignatureError(f"responses: expected a list, found {type(responses).__name__}")
    format_name = answer_format or inputs.get("answer_format", "text")
    choices = inputs.get("choices", ())
    answers = alike([parse_answer(text, format_name, choices) for text in responses], inputs)
    return list(map(Candidate, responses, answers))


def alike(answers: Sequence[str | None], inputs: Mapping[str, Any]) -> list[str | None]:
    """Return `answers` with each that counts as the same as an earlier one replaced by that.

    Args:
        answers: As they were read; None stays None.
        inputs: Their `normalise`, if given, makes one text of the answers that the dataset's
            evaluator takes for the same: "Paris." and "paris".
    """
    normalise = inputs.get("normalise")
    if normalise is None or len(set(answers)) < 2:
        return list(answers)
    first: dict[str, str] = {}
    return [None if a is None else first.setdefault(normalise(a), a) for a in answers]


def answers_of(candidates: Sequence[Candidate]) -> list[str]:
    """Return the answers of those that have one."""
    return [candidate.answer for candidate in candidates if candidate.answer is not None]


def tally(
    answers: Sequence[str | None], weights: Sequence[float] | None = None
) -> dict[str, float]:
    """Return the votes of each answer, in order of first appearance; None has no vote.

    Args:
        answers: One of each voter.
        weights: What each voter's vote counts; by default 1.
    """
    votes: dict[str, list[float]] = {}
    for answer, weight in zip(answers, weights or [1] * len(answers), strict=True):
        if answer is not None:
            votes.setdefault(answer, []).append(weight)
    return {answer: math.fsum(given) for answer, given in votes.items()}


def vote(answers: Sequence[str | None], weights: Sequence[float] | None = None) -> list[str]:
    """Return the answers with the most votes, in order of first appearance; None has no vote."""
    votes = tally(answers, weights)
    # Weights that add up to the same but for rounding tie.
    least = max(votes.values(), default=0.0) * (1 - 1e-12)
    return [answer for answer, count in votes.items() if count >= least]


def settle(tied: Sequence[str], ties: Ties, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the output fields for the answers that are ahead, by the rule for ties."""
    if not tied:
        return {"final_answer": None}
    if len(tied) == 1 or ties == "first":
        return {"final_answer": tied[0]}
    if ties == "random":
        return {"final_answer": tied[seeded_index(len(tied), str(inputs.get("query", "")), *tied)]}
    return {"final_answer": tied[0], "answers": list(tied), "credit": "mean"}


def seeded_index(n: int, *content: str) -> int:
    """Return an index below `n` that is random over contents and the same for the same one."""
    digest = sha256("\0".join(content).encode()).digest()
    return int.from_bytes(digest[:8]) % n

"""Candidates: responses, their answers, votes among them and rules for ties.

Field names: an operator that fans out returns `responses` (texts, in a fixed order); one that fans
in takes them and returns `final_answer`. It may also return `answers` and `credit`: the answers
among which its rule does not decide, and the rule by which their scores make the trial's score
(`mean` for a tie that shares the credit, `best` for an oracle).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, get_args

from ember_bench.answers.formats import parse_answer
from ember_bench.errors import SignatureError, did_you_mean
from ember_bench.operators.signature import required_input

Ties = Literal["first", "random", "share", "none"]


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
        answer_format: Takes precedence over that of the inputs.

    Raises:
        SignatureError: if there are none, or they are not a list of texts.
    """
    responses = required_input("responses", inputs)
    if isinstance(responses, str) or not isinstance(responses, Sequence):
        raise SignatureError(f"responses: expected a list, found {type(responses).__name__}")
    for index, text in enumerate(responses):
        if not isinstance(text, str):
            raise SignatureError(
                f"responses[{index}]: expected a text, found {type(text).__name__}"
            )
    read = [read_answer(text, inputs, answer_format) for text in responses]
    return list(map(Candidate, responses, alike(read, inputs)))


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


def read_answer(
    text: str, inputs: Mapping[str, Any], answer_format: str | None = None
) -> str | None:
    """Return the answer in `text`; `answer_format` takes precedence over that of the inputs."""
    name = answer_format or inputs.get("answer_format", "text")
    return parse_answer(text, name, inputs.get("choices", ()))


def answers_of(candidates: Sequence[Candidate]) -> list[str]:
    """Return the answers of the candidates that have one."""
    return [candidate.answer for candidate in candidates if candidate.answer is not None]


def count(answers: Iterable[str | None]) -> dict[str, int]:
    """Return the number of votes of each answer, in order of first appearance, without None."""
    return dict(Counter(answer for answer in answers if answer is not None))


def tally(answers: Sequence[str | None], weights: Sequence[float]) -> dict[str, float]:
    """Return the weighted votes of each answer, in order of first appearance, without None.

    Args:
        answers: One per voter.
        weights: One per voter.
    """
    votes: dict[str, list[float]] = {}
    for answer, weight in zip(answers, weights, strict=True):
        if answer is not None:
            votes.setdefault(answer, []).append(weight)
    return {answer: math.fsum(given) for answer, given in votes.items()}


def leaders(votes: Mapping[str, float]) -> list[str]:
    """Return the answers with the most votes, in order of first appearance."""
    # Sums that differ by rounding alone are a tie.
    least = max(votes.values(), default=0.0) * (1 - 1e-12)
    return [answer for answer, given in votes.items() if given >= least]


def known_ties(ties: Ties) -> Ties:
    """Return a rule for ties.

    Raises:
        ValueError: if there is no such rule.
    """
    if ties not in get_args(Ties):
        raise ValueError(f"ties: unknown rule {ties!r}{did_you_mean(str(ties), get_args(Ties))}")
    return ties


def settle(ahead: Sequence[str], ties: Ties, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the output fields for the answers with the most votes, by the rule for ties."""
    if not ahead or (len(ahead) > 1 and ties == "none"):
        return {"final_answer": None}
    if len(ahead) == 1 or ties == "first":
        return {"final_answer": ahead[0]}
    if ties == "random":
        index = seeded_index(len(ahead), str(inputs.get("query", "")), *ahead)
        return {"final_answer": ahead[index]}
    return {"final_answer": ahead[0], "answers": list(ahead), "credit": "mean"}


def seeded_index(n: int, *content: str) -> int:
    """Return an index below `n`, pseudo-random over contents and fixed for each content."""
    digest = sha256("\0".join(content).encode()).digest()
    return int.from_bytes(digest[:8]) % n

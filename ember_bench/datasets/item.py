"""One benchmark question with its target."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

import orjson

from ember_bench.datasets.images import ItemImage


@dataclass(frozen=True)
class Item:
    """One benchmark question with its target.

    Attributes:
        id: Unique within its dataset.
        question: The whole text that a model is asked, instructions included.
        target: The right answer, in the dataset's answer format.
        alternatives: Other answers that are as right as `target`.
        choices: The options of a multiple-choice question, in the order shown (A, B, C, ...).
        answer_format: How an answer is read out of a model's text (see `parse_answer`).
        category: What the item is grouped by in reports.
        cluster: Items of one cluster (say, of one passage) are not independent of each other.
        difficulty: In [0, 1], where the dataset knows it; simulated models heed it.
        metadata: Anything else the dataset carries, JSON-like.
        bare: The question without the instructions of the dataset card's prompt; None if it is
            `question` itself. It is no part of the content: `question` contains it.
        evaluator: The name of the evaluator card that scores it; None for the dataset's.
        turns: (role, content) of the messages before the question.
        images: What is shown with the question.
    """

    id: str
    question: str
    target: str
    alternatives: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    answer_format: str = "text"
    category: str | None = None
    cluster: str | None = None
    difficulty: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    bare: str | None = None
    evaluator: str | None = None
    turns: tuple[tuple[str, str], ...] = ()
    images: tuple[ItemImage, ...] = ()

    @cached_property
    def digest(self) -> str:
        """Hex digest over all content: an edited item is a new question."""
        content = (
            self.id, self.question, self.target, self.alternatives, self.choices,
            self.answer_format, self.category, self.cluster, self.difficulty, self.metadata,
            # Only where they are: what has none is the item that it was without such fields.
            *([self.evaluator, self.turns] if self.evaluator or self.turns else []),
            # By their content: a file that moves is the same image.
            *([{"images": [image.digest for image in self.images]}] if self.images else []),
        )  # fmt: skip
        return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]

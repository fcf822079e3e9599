"""DSPy as a client, unmodified: what it scores is what the grid scores."""

from __future__ import annotations

import json
from typing import Any

import dspy
import pytest

from tests.experiment.conftest import workspace
from tests.serving.test_clients import MODEL, scored, url
from tests.support.workspace import Workspace

__all__ = ["scored", "url", "workspace"]  # fixtures

pytestmark = pytest.mark.extra


class Asked(dspy.Module):
    def forward(self, question: str) -> Any:
        return dspy.Prediction(answer=dspy.settings.lm(question)[0])


def test_evaluate_scores_what_the_grid_scores(
    workspace: Workspace, scored: float, url: str
) -> None:
    lines = (workspace.root / "sums.jsonl").read_text().splitlines()
    examples = [dspy.Example(json.loads(line)).with_inputs("question") for line in lines]

    def is_right(example: Any, prediction: Any, trace: Any = None) -> bool:
        return bool(prediction.answer.split()[-1] == example.answer)

    evaluate = dspy.Evaluate(devset=examples, metric=is_right, num_threads=4)
    with dspy.context(lm=dspy.LM(f"openai/{MODEL}", api_base=url, api_key="none", cache=False)):
        result = evaluate(Asked())
    assert result.score == pytest.approx(100 * scored, abs=0.01)

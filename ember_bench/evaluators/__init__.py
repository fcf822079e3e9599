"""Evaluators: turn (item, output) into a score in [0, 1] with an explanation."""

from typing import TYPE_CHECKING

from ember_bench._lazy import lazy

if TYPE_CHECKING:
    from ember_bench.evaluators.base import Evaluator, Score, ScoreOutcome
    from ember_bench.evaluators.cards import load_evaluator
    from ember_bench.evaluators.choice import MultipleChoice
    from ember_bench.evaluators.exact import ExactMatch
    from ember_bench.evaluators.kinds import AnswerEvaluator, evaluator
    from ember_bench.evaluators.numeric import NumericMatch
    from ember_bench.evaluators.python_tests import PythonTests

__all__ = [
    "AnswerEvaluator",
    "Evaluator",
    "ExactMatch",
    "MultipleChoice",
    "NumericMatch",
    "PythonTests",
    "Score",
    "ScoreOutcome",
    "evaluator",
    "load_evaluator",
]

__getattr__ = lazy(
    __name__,
    {
        "AnswerEvaluator": "kinds",
        "Evaluator": "base",
        "ExactMatch": "exact",
        "MultipleChoice": "choice",
        "NumericMatch": "numeric",
        "PythonTests": "python_tests",
        "Score": "base",
        "ScoreOutcome": "base",
        "evaluator": "kinds",
        "load_evaluator": "cards",
    },
)

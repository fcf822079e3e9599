from .base import (
    Evaluator as Evaluator,
    Score as Score,
    ScoreOutcome as ScoreOutcome,
)
from .cards import load_evaluator as load_evaluator
from .choice import MultipleChoice as MultipleChoice
from .exact import ExactMatch as ExactMatch
from .kinds import (
    AnswerEvaluator as AnswerEvaluator,
    evaluator as evaluator,
)
from .numeric import NumericMatch as NumericMatch
from .python_tests import PythonTests as PythonTests

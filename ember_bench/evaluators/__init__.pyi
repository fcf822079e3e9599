from .as_recorded import AsRecorded as AsRecorded
from .base import (
    Evaluator as Evaluator,
    Score as Score,
    ScoreOutcome as ScoreOutcome,
)
from .cards import load_evaluator as load_evaluator
from .cascaded import Cascade as Cascade
from .choice import MultipleChoice as MultipleChoice
from .exact import ExactMatch as ExactMatch
from .game24 import Game24 as Game24
from .graded import GradedEvaluator as GradedEvaluator
from .inspect_scores import InspectScores as InspectScores
from .instructions.following import InstructionFollowing as InstructionFollowing
from .judged import (
    Judged as Judged,
    Rubric as Rubric,
)
from .kinds import (
    AnswerEvaluator as AnswerEvaluator,
    evaluator as evaluator,
)
from .labelled import Labelled as Labelled
from .lm_eval import LmEval as LmEval
from .math_equivalence import MathEquivalence as MathEquivalence
from .nested import (
    Combined as Combined,
    StatedConfidence as StatedConfidence,
)
from .numeric import NumericMatch as NumericMatch
from .overlap import (
    Bleu as Bleu,
    Chrf as Chrf,
    Rouge as Rouge,
)
from .preferred import Preferred as Preferred
from .program_output import ProgramOutput as ProgramOutput
from .python_literal import PythonLiteral as PythonLiteral
from .python_tests import PythonTests as PythonTests
from .reasoning_gym import ReasoningGym as ReasoningGym
from .structured import (
    JsonFields as JsonFields,
    JsonSchema as JsonSchema,
)
from .texts import (
    ByAnswer as ByAnswer,
    Confidence as Confidence,
    Excludes as Excludes,
    Includes as Includes,
    RegexMatch as RegexMatch,
    TokenF1 as TokenF1,
)
from .tool_calls import ToolCalls as ToolCalls

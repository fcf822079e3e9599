"""Operators: the nodes of networks of LM calls."""

from ember_bench.answers.formats import answer_format, parse_answer
from ember_bench.operators.attempts import Attempts
from ember_bench.operators.base import Operator, OperatorKind, Sequential, operator
from ember_bench.operators.cards import save_operator
from ember_bench.operators.cascade import CascadeOperator
from ember_bench.operators.control import Branch, Router
from ember_bench.operators.conversation import Conversation
from ember_bench.operators.fan_out import EnsembleOperator
from ember_bench.operators.functions import Function, Tool
from ember_bench.operators.fusers import Critic, Fuser
from ember_bench.operators.judges import (
    GetAnswerOperator,
    JudgeBasedOperator,
    JudgeExplainerOperator,
    VerifierOperator,
)
from ember_bench.operators.lm import LMModule, LMModuleConfig
from ember_bench.operators.mapping import Map, parallel
from ember_bench.operators.predict import Predict
from ember_bench.operators.prompts import PromptMixin
from ember_bench.operators.rankers import BestOf, PairwiseTournament, RankFilter
from ember_bench.operators.recurrent import Debate, Reflect, SelfRefine
from ember_bench.operators.references import function
from ember_bench.operators.retrieve import Retrieve
from ember_bench.operators.search import TreeSearch
from ember_bench.operators.signature import Signature
from ember_bench.operators.storm import FindPerspectives, Interview, Outline, WriteArticle
from ember_bench.operators.tools import ToolUser
from ember_bench.operators.unit_tests import UnitTestEvaluator, UnitTestGenerator
from ember_bench.operators.votes import (
    FilterVote,
    MostCommonOperator,
    OracleOperator,
    WeightedVote,
)

__all__ = [
    "Attempts",
    "BestOf",
    "Branch",
    "CascadeOperator",
    "Conversation",
    "Critic",
    "Debate",
    "EnsembleOperator",
    "FilterVote",
    "FindPerspectives",
    "Function",
    "Fuser",
    "GetAnswerOperator",
    "Interview",
    "JudgeBasedOperator",
    "JudgeExplainerOperator",
    "LMModule",
    "LMModuleConfig",
    "Map",
    "MostCommonOperator",
    "Operator",
    "OperatorKind",
    "OracleOperator",
    "Outline",
    "PairwiseTournament",
    "Predict",
    "PromptMixin",
    "RankFilter",
    "Reflect",
    "Retrieve",
    "Router",
    "SelfRefine",
    "Sequential",
    "Signature",
    "Tool",
    "ToolUser",
    "TreeSearch",
    "UnitTestEvaluator",
    "UnitTestGenerator",
    "VerifierOperator",
    "WeightedVote",
    "WriteArticle",
    "answer_format",
    "function",
    "operator",
    "parallel",
    "parse_answer",
    "save_operator",
]

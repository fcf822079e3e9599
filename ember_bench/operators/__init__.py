"""Operators: the computations that networks of LM calls are made of."""

from ember_bench.answers.formats import answer_format, parse_answer
from ember_bench.operators.base import Operator, OperatorKind
from ember_bench.operators.cards import load_operator, save_operator
from ember_bench.operators.cascade import CascadeOperator
from ember_bench.operators.concurrency import parallel
from ember_bench.operators.control import Branch, Router, Sequential
from ember_bench.operators.fan_out import EnsembleOperator
from ember_bench.operators.filters import FilterVote
from ember_bench.operators.functions import Function, Tool
from ember_bench.operators.fusers import Critic, Fuser
from ember_bench.operators.judges import (
    GetAnswerOperator,
    JudgeBasedOperator,
    JudgeExplainerOperator,
    VerifierOperator,
)
from ember_bench.operators.lm import LMModule, LMModuleConfig
from ember_bench.operators.mapping import Map
from ember_bench.operators.operator_classes import operator
from ember_bench.operators.prompts import PromptMixin
from ember_bench.operators.rankers import BestOf, PairwiseTournament, RankFilter
from ember_bench.operators.recurrent import Debate, Reflect, SelfRefine
from ember_bench.operators.references import function
from ember_bench.operators.retrieve import Retrieve
from ember_bench.operators.signature import Signature
from ember_bench.operators.tools import ToolUser
from ember_bench.operators.votes import MostCommonOperator, OracleOperator, WeightedVote

__all__ = [
    "BestOf",
    "Branch",
    "CascadeOperator",
    "Critic",
    "Debate",
    "EnsembleOperator",
    "FilterVote",
    "Function",
    "Fuser",
    "GetAnswerOperator",
    "JudgeBasedOperator",
    "JudgeExplainerOperator",
    "LMModule",
    "LMModuleConfig",
    "Map",
    "MostCommonOperator",
    "Operator",
    "OperatorKind",
    "OracleOperator",
    "PairwiseTournament",
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
    "VerifierOperator",
    "WeightedVote",
    "answer_format",
    "function",
    "load_operator",
    "operator",
    "parallel",
    "parse_answer",
    "save_operator",
]

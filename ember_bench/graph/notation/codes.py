"""The codes of the compact notation: their operators and parameters."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Sequence as AbstractSequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from ember_bench.errors import ConfigError
from ember_bench.operators.base import Operator, OperatorT, operator, operator_class
from ember_bench.operators.lm import LMModuleConfig
from ember_bench.operators.tree import constructor_parameters

Models = Literal["none", "optional", "one", "many"]

_PLAIN: Final = (str, int, float, bool)
# Parameters that the notation does not write as `key=value`.
_WRITTEN_ELSEWHERE: Final = ("lm_modules", "signature")

# Other names of sampling parameters in public Ember.
LM_SYNONYMS: Final = {"temp": "temperature", "max_output_tokens": "max_tokens"}
LM_PARAMETERS: Final = tuple(name for name in LMModuleConfig.model_fields if name != "model_name")


@dataclass(frozen=True)
class Code:
    """A code and its operator.

    Attributes:
        code: The code as written.
        operator: Name of the operator class.
        models: The number of its models. With `one`, an entry with several models becomes several
            nodes.
        purpose: Its purpose, in one line.
        stages: The parameter that takes operators, written `$name`; None if there is none.
        stage_form: Type of that parameter: a list, a mapping by name, or one operator.
    """

    code: str
    operator: str
    models: Models
    purpose: str
    stages: str | None = None
    stage_form: Literal["list", "mapping", "one"] = "list"

    @cached_property
    def cls(self) -> type[Operator]:
        """The operator class."""
        return operator_class(self.operator)

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The operator's parameters that can be written as `key=value`, with their types."""
        found = {
            name: _plain(hint)
            for name, hint in _hints(self.cls).items()
            if name not in (*_WRITTEN_ELSEWHERE, self.stages)
        }
        return {name: hint for name, hint in found.items() if hint is not None}

    @property
    def known(self) -> list[str]:
        """The names of all parameters, including those of its LM modules."""
        return [*self.parameters, *(LM_PARAMETERS if self.models != "none" else ())]


def _hints(cls: type[Operator]) -> dict[str, Any]:
    """Return the types of the constructor's parameters."""
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if (init := vars(base).get("__init__")) is not None and base is not object:
            hints |= get_type_hints(init)
    return {name: hints.get(name) for name in constructor_parameters(cls)}


def _plain(hint: Any) -> Any:
    """Return the part of a type that the notation can express; None if there is none."""
    if hint in _PLAIN or get_origin(hint) is Literal:
        return hint
    if get_origin(hint) in (Union, types.UnionType):
        parts = [part for part in map(_plain, get_args(hint)) if part is not None]
        return Union[tuple(parts)] if parts else None  # noqa: UP007 - created at run time
    if get_origin(hint) in (list, Sequence, AbstractSequence, tuple):
        return hint if _plain(get_args(hint)[0]) is not None else None
    return None


def _table(*codes: Code) -> Mapping[str, Code]:
    return types.MappingProxyType({code.code: code for code in codes})


_JUDGE: Final = "Reads all candidates and states the final answer"
_VOTE: Final = "Majority vote"

CODES: Final = _table(
    Code("E", "EnsembleOperator", "many", "Asks every model the same prompt"),
    Code("UE", "EnsembleOperator", "many", "The same as E"),
    Code("J", "JudgeBasedOperator", "one", _JUDGE),
    Code("JF", "JudgeBasedOperator", "one", "The same as J"),
    Code("V", "VerifierOperator", "one", "Verifies each candidate and takes an accepted one"),
    Code("M", "MostCommonOperator", "none", _VOTE),
    Code("MC", "MostCommonOperator", "none", "The same as M"),
    Code("JX", "JudgeExplainerOperator", "one", f"{_JUDGE} with an explanation"),
    Code("GA", "GetAnswerOperator", "optional", "States the answer that the responses come to"),
    Code("WV", "WeightedVote", "none", "Vote in which each voter counts by its weight"),
    Code("FV", "FilterVote", "one", "Majority vote over the candidates that a model accepts"),
    Code("OR", "OracleOperator", "none", "Right if any candidate is: a bound, no system"),
    Code("RF", "RankFilter", "one", "Ranks the candidates and keeps the first k"),
    Code("PT", "PairwiseTournament", "one", "Compares every two answers, in both orders"),
    Code("BO", "BestOf", "one", "Takes the candidate to which a model gives the highest score"),
    Code("CR", "Critic", "one", "Says what is right and wrong with each candidate"),
    Code("F", "Fuser", "many", "Each model writes one better response out of all candidates"),
    Code("SR", "SelfRefine", "many", "Criticises and rewrites its answer"),
    Code("RX", "Reflect", "many", "Reflects on its answer and answers anew"),
    Code("D", "Debate", "many", "Each model reads the others' answers and answers again"),
    Code("TS", "TreeSearch", "many", "Searches a tree of thoughts"),
    Code("UG", "UnitTestGenerator", "one", "Writes unit tests for the answers"),
    Code("UT", "UnitTestEvaluator", "one", "Takes the candidate that passes most unit tests"),
    Code("CA", "CascadeOperator", "none", "Goes to the next stage until answers agree", "stages"),
    Code("RT", "Router", "one", "A model picks one of the routes", "routes", "mapping"),
    Code("PM", "PromptMixin", "none", "Gives variants of the query"),
    Code("MAP", "Map", "none", "Runs an operator on each variant", "operator", "one"),
    Code("RE", "Retrieve", "none", "Finds documents of a local corpus by BM25"),
)

_own: Final[dict[str, Code]] = {}


def known_codes() -> Mapping[str, Code]:
    """Return the codes by name: the built-in ones, then those of `node_code`."""
    return {**CODES, **_own}


def node_code(
    code: str, *, models: Models | None = None, purpose: str = ""
) -> Callable[[OperatorT], OperatorT]:
    """Register an operator class, and a code by which the compact notation writes it.

        @node_code("SH", models="one")
        class Shortest(Operator): ...

        build_graph("5E@openai:gpt-4o, SH@openai:gpt-4o")

    Args:
        code: Letters in upper case, and digits behind the first.
        models: The number of its models. By default any number if it has a constructor that takes
            `lm_modules`, else none.
        purpose: By default the first line of the docstring.

    Raises:
        ConfigError: if the code is none, or another class has it.
    """
    if not re.fullmatch(r"[A-Z][A-Z0-9]{0,7}", code):
        raise ConfigError(f"code {code!r}: expected up to eight letters in upper case, and digits")

    def register(cls: OperatorT) -> OperatorT:
        known = known_codes().get(code)
        if known is not None and known.operator != cls.__name__:
            raise ConfigError(f"code {code!r} is that of {known.operator}")
        own = cls.__init__ is not Operator.__init__
        takes: Models = "many" if own and "lm_modules" in constructor_parameters(cls) else "none"
        line = purpose or (inspect.getdoc(cls) or "").partition("\n")[0].removesuffix(".")
        _own[code] = Code(code, cls.__name__, models or takes, line)
        return operator(cls)

    return register

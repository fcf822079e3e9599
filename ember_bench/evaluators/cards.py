"""Reads evaluator cards.

A card names its `kind` and that kind's parameters:

    name: within_a_percent
    kind: numeric_match
    purpose: The right number, give or take one percent.
    relative_tolerance: 0.01
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from dataclasses import Field as DataclassField
from functools import cache
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from ember_bench.answers.formats import get_answer_format
from ember_bench.errors import ConfigError, Problem, UnknownNameError
from ember_bench.evaluators import as_recorded as _as_recorded

# The built-in kinds register themselves.
from ember_bench.evaluators import cascaded as _cascaded
from ember_bench.evaluators import choice as _choice
from ember_bench.evaluators import exact as _exact
from ember_bench.evaluators import game24 as _game24
from ember_bench.evaluators import inspect_scores as _inspect
from ember_bench.evaluators import judged as _judged
from ember_bench.evaluators import labelled as _labelled
from ember_bench.evaluators import lm_eval as _lm_eval
from ember_bench.evaluators import math_equivalence as _math
from ember_bench.evaluators import nested as _nested
from ember_bench.evaluators import numeric as _numeric
from ember_bench.evaluators import overlap as _overlap
from ember_bench.evaluators import preferred as _preferred
from ember_bench.evaluators import program_output as _program_output
from ember_bench.evaluators import python_literal as _python_literal
from ember_bench.evaluators import python_tests as _python_tests
from ember_bench.evaluators import reasoning_gym as _reasoning_gym
from ember_bench.evaluators import structured as _structured
from ember_bench.evaluators import texts as _texts
from ember_bench.evaluators import tool_calls as _tool_calls
from ember_bench.evaluators.instructions import following as _following
from ember_bench.evaluators.kinds import KINDS, EvaluatorKind
from ember_bench.evaluators.nested import NestedEvaluator
from ember_bench.models.model_registry import models_of_card

if TYPE_CHECKING:
    from ember_bench.documents import Document
    from ember_bench.evaluators.base import Evaluator
    from ember_bench.models.info import ModelInfo
    from ember_bench.registry import Card, Cards

BUILT_IN = (
    _exact.ExactMatch,
    _numeric.NumericMatch,
    _choice.MultipleChoice,
    _python_tests.PythonTests,
    _texts.Includes,
    _texts.Excludes,
    _texts.RegexMatch,
    _texts.TokenF1,
    _texts.Confidence,
    _texts.ByAnswer,
    _math.MathEquivalence,
    _overlap.Rouge,
    _overlap.Bleu,
    _overlap.Chrf,
    _structured.JsonSchema,
    _structured.JsonFields,
    _tool_calls.ToolCalls,
    _following.InstructionFollowing,
    _game24.Game24,
    _program_output.ProgramOutput,
    _nested.Combined,
    _nested.StatedConfidence,
    _judged.Judged,
    _judged.Rubric,
    _preferred.Preferred,
    _cascaded.Cascade,
    _as_recorded.AsRecorded,
    _labelled.Labelled,
    _inspect.InspectScores,
    _lm_eval.LmEval,
    _python_literal.PythonLiteral,
    _reasoning_gym.ReasoningGym,
)


def load_evaluator(card: str | Card, cards: Cards) -> Evaluator:
    """Return the evaluator that a card describes.

    Args:
        card: A card of `registry/evaluators/`, or its name.
        cards: The registries in force.

    Raises:
        ConfigError: if there is no such card, or it has mistakes; each with its place.
    """
    return _load(cards.get("evaluators", card) if isinstance(card, str) else card, cards, ())


def _load(card: Card, cards: Cards, within: tuple[str, ...]) -> Evaluator:
    document = card.document
    kind = _kind(document)
    parameters = dict(document.parse(card_model(kind)))
    for field in ("kind", "purpose"):
        del parameters[field]
    if form := parameters.get("answer_format"):
        get_answer_format(form, document.at("answer_format"))
    evaluator = kind.cls(**parameters)
    if isinstance(evaluator, _judged.JudgeCard):
        evaluator.check_points(document.at())
    if isinstance(evaluator, _as_recorded.AsRecorded):
        return evaluator.with_models(_recorded(evaluator.recorded, cards, document))
    if isinstance(evaluator, _labelled.Labelled):
        return evaluator.with_file(document)
    if isinstance(evaluator, NestedEvaluator):
        chain = (*within, card.name)
        evaluator = evaluator.with_evaluators(
            {name: _part(name, cards, document, chain) for name in evaluator.named()}
        )
    if isinstance(evaluator, _cascaded.Cascade):
        evaluator.check_parts(document)
    return evaluator


def _recorded(name: str, cards: Cards, document: Document) -> list[ModelInfo]:
    """Return the models of the recorded set that an evaluator's card names."""
    place = document.at("recorded")
    try:
        models = models_of_card(cards.get("models", name).document)
    except UnknownNameError as error:
        raise ConfigError(*(Problem(p.message, place) for p in error.problems)) from None
    if any(model.provider_name != "recorded" for model in models):
        raise ConfigError(Problem(f"recorded: expected a recorded set, found {name!r}", place))
    return models


def _part(name: str, cards: Cards, document: Document, within: tuple[str, ...]) -> Evaluator:
    """Return an evaluator that another one's card names."""
    named = (field for field, value in document.data.items() if field != "name" and value == name)
    place = document.at(next(named, "parts"))
    if name in within:
        circle = " -> ".join((*within, name))
        raise ConfigError(Problem(f"evaluators name each other in a circle: {circle}", place))
    try:
        part = cards.get("evaluators", name)
    except UnknownNameError as error:
        raise ConfigError(*(Problem(p.message, place) for p in error.problems)) from None
    return _load(part, cards, within)


def _kind(document: Document) -> EvaluatorKind:
    name = document.data.get("kind")
    if not isinstance(name, str):
        known = ", ".join(sorted(KINDS))
        raise ConfigError(document.problem(f"kind: expected one of {known}", "kind"))
    if name not in KINDS:
        raise UnknownNameError("evaluator kind", name, KINDS, document.at("kind"))
    return KINDS[name]


def _default(field: DataclassField[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return Field(default_factory=field.default_factory)
    return ...


@cache
def card_model(kind: EvaluatorKind) -> type[BaseModel]:
    """Return what a card of `kind` may say, for validation and for editors' JSON Schema."""
    hints = get_type_hints(kind.cls, include_extras=True)
    parameters: dict[str, Any] = {
        field.name: (hints[field.name], _default(field))
        for field in fields(cast("Any", kind.cls))
        if field.name != "name"
    }
    return create_model(
        f"{kind.cls.__name__}Card",
        __config__=ConfigDict(extra="forbid"),
        __doc__=kind.cls.__doc__,
        name=(str, Field(min_length=1, description="Its name in dataset cards and grids.")),
        kind=(str, Field(description="The kind of evaluators that it is one of.")),
        purpose=(str, Field("", description="Its purpose, in one line.")),
        **parameters,
    )

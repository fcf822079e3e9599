"""Reads evaluator cards.

A card names its `kind` and that kind's parameters:

    name: within_a_percent
    kind: numeric_match
    purpose: The right number, give or take one percent.
    relative_tolerance: 0.01
"""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, fields
from functools import cache
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from ember_bench.answers.formats import get_answer_format
from ember_bench.errors import ConfigError, UnknownNameError

# The built-in kinds register themselves.
from ember_bench.evaluators import cascaded as _cascaded
from ember_bench.evaluators import choice as _choice
from ember_bench.evaluators import exact as _exact
from ember_bench.evaluators import judged as _judged
from ember_bench.evaluators import numeric as _numeric
from ember_bench.evaluators import preferred as _preferred
from ember_bench.evaluators import python_tests as _python_tests
from ember_bench.evaluators.kinds import KINDS, EvaluatorKind

if TYPE_CHECKING:
    from ember_bench.documents import Document
    from ember_bench.evaluators.base import Evaluator
    from ember_bench.registry import Card, Cards

BUILT_IN = (
    _exact.ExactMatch,
    _numeric.NumericMatch,
    _choice.MultipleChoice,
    _python_tests.PythonTests,
    _judged.Judged,
    _judged.Rubric,
    _preferred.Preferred,
    _cascaded.Cascade,
)


def load_evaluator(card: str | Card, cards: Cards) -> Evaluator:
    """Return the evaluator that a card describes.

    Args:
        card: A card of `registry/evaluators/`, or its name.
        cards: The registries in force.

    Raises:
        ConfigError: if there is no such card, or it has mistakes; each with its place.
    """
    if isinstance(card, str):
        card = cards.get("evaluators", card)
    document = card.document
    kind = _kind(document)
    parameters = dict(document.parse(card_model(kind)))
    for field in ("kind", "purpose"):
        del parameters[field]
    if form := parameters.get("answer_format"):
        get_answer_format(form, document.at("answer_format"))
    found = kind.cls(**parameters)
    if isinstance(found, _judged.JudgeCard):
        found.check_points(document.at())
    return found


def _kind(document: Document) -> EvaluatorKind:
    name = document.data.get("kind")
    if not isinstance(name, str):
        known = ", ".join(sorted(KINDS))
        raise ConfigError(document.problem(f"kind: expected one of {known}", "kind"))
    if name not in KINDS:
        raise UnknownNameError("evaluator kind", name, KINDS, document.at("kind"))
    return KINDS[name]


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return Field(default_factory=field.default_factory)
    return ... if field.default is MISSING else field.default


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

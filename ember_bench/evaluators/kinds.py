"""Kinds of evaluators, their identities, and the base class of those that compare answers."""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, make_dataclass
from decimal import Decimal
from functools import cached_property
from types import FunctionType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Protocol,
    TypeVar,
    cast,
    get_type_hints,
    overload,
)

from ember_bench.answers.formats import (
    BUILT_IN_FORMATS,
    get_answer_format,
    parse_answer,
    read_target,
)
from ember_bench.code_identity import code_digest, is_built_in
from ember_bench.errors import ConfigError
from ember_bench.evaluators.base import Evaluator, Judge, Score, judges_of, without_models

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ember_bench.datasets.item import Item

EvaluatorT = TypeVar("EvaluatorT", bound=Evaluator)

ScoringFunction = Callable[..., "bool | float | Score | None"]
"""(item, output, **parameters of a card) -> a score."""

ANSWER_EVALUATOR_VERSION: Final = 1
"""Changes with how `AnswerEvaluator` scores; the built-in kinds' own versions change with it."""

FUNCTION_EVALUATOR_VERSION: Final = 1
"""Changes with how `FunctionEvaluator` scores."""

_OPEN: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

# Separates an evaluator's identity from its code's digest.
_CODE: Final = " code@"
ALSO: Final = "\nalso "
"""Separates the identity of a headline evaluator from that of each further one."""
# Names a card, changes no score.
_UNSCORED: Final = ("name",)


@dataclass(frozen=True, slots=True)
class EvaluatorKind:
    """A registered class of evaluators.

    Attributes:
        name: What a card's `kind` says.
        version: Bumped whenever the same parameters may score some answer differently.
        cls: A frozen dataclass with a field `name`; its other fields are a card's parameters.
    """

    name: str
    version: int
    cls: type[Evaluator]


KINDS: Final[dict[str, EvaluatorKind]] = {}


class _Register(Protocol):
    @overload
    def __call__(self, thing: type[EvaluatorT], /) -> type[EvaluatorT]: ...
    @overload
    def __call__(self, thing: ScoringFunction, /) -> type[FunctionEvaluator]: ...


def evaluator(kind: str, *, version: int = 1) -> _Register:
    """Register a frozen dataclass as the evaluators that cards of `kind` describe, or a function.

    A function takes (item, output) and returns whether the output is right, a score in [0, 1], a
    `Score`, or None if it can read no answer. Its further parameters are a card's; the class that
    is made of it takes their place.

    Raises:
        ConfigError: if another module has registered that kind already.
        TypeError: if the class is not a dataclass with a field `name`.
    """

    def register(thing: Any) -> Any:
        cls = _as_class(thing) if isinstance(thing, FunctionType) else thing
        if "name" not in _field_names(cls):
            raise TypeError(f"{cls.__qualname__}: expected a dataclass with a field 'name'")
        known = KINDS.get(kind)
        if known is not None and known.cls.__module__ != cls.__module__:
            raise ConfigError(
                f"{cls.__module__}: evaluator kind {kind!r} is already registered by "
                f"{known.cls.__module__}"
            )
        KINDS[kind] = EvaluatorKind(kind, version, cls)
        return cls

    return register


@dataclass(frozen=True)
class FunctionEvaluator:
    """Base of the classes that `evaluator` makes of functions.

    Attributes:
        name: The card's name.
    """

    function: ClassVar[ScoringFunction]

    name: str

    @cached_property
    def identity(self) -> str:
        """Kind, version and parameters."""
        return parameter_identity(self)

    def check_item(self, item: Item) -> None:
        """Accept every item: what the function compares with is its own affair."""

    def evaluate(self, item: Item, output: str) -> Score:
        """Score what the function returns.

        Raises:
            TypeError: if that is no score.
            ValueError: if it lies outside [0, 1].
        """
        given = {name: getattr(self, name) for name in _field_names(type(self)) if name != "name"}
        found = type(self).function(item, output, **given)
        if isinstance(found, Score):
            return found
        if found is None:
            return Score(0.0, None, f"{self.name}: no answer could be read.")
        value = float(found)
        if not 0 <= value <= 1:
            raise ValueError(f"{self.name}: a score lies in [0, 1], not {value:g}")
        return Score(value, output.strip(), f"{self.name}: {value:g}")


def _as_class(function: FunctionType) -> type[FunctionEvaluator]:
    """Make a dataclass of a function, with its further parameters as fields."""
    parameters = [*inspect.signature(function).parameters.values()]
    more = {parameter.name: parameter for parameter in parameters[2:]}
    if len(parameters) < 2 or "name" in more or any(p.kind in _OPEN for p in parameters):
        raise TypeError(
            f"{function.__qualname__}: a function that scores takes (item, output) and the"
            " parameters of its cards, each with a name of its own, which is not 'name'"
        )
    # Only these: the types of item and output may be imported for type checkers alone.
    stated = {name: function.__annotations__.get(name, Any) for name in more}
    holder = type("Parameters", (), {"__annotations__": stated})
    hints = get_type_hints(holder, function.__globals__, include_extras=True)
    parts: list[Any] = [
        (name, hints[name])
        if parameter.default is inspect.Parameter.empty
        else (name, hints[name], field(default=parameter.default))
        for name, parameter in more.items()
    ]
    return make_dataclass(
        "".join(part.capitalize() for part in function.__name__.split("_")),
        parts,
        bases=(FunctionEvaluator,),
        namespace={
            "function": staticmethod(function),
            "__doc__": function.__doc__,
            "__module__": function.__module__,
            "__qualname__": function.__qualname__,
        },
        frozen=True,
    )


def parameter_identity(evaluator: Evaluator, *, given: bool = False) -> str:
    """Return kind, version and every parameter that scores, as one readable line.

    Args:
        evaluator: The evaluator.
        given: Only the parameters that are not as by default, so that the kind can have new ones.

    Raises:
        TypeError: if the evaluator's class is not registered.
    """
    registered = [kind for kind in KINDS.values() if kind.cls is type(evaluator)]
    if not registered:
        raise TypeError(f"{type(evaluator).__qualname__} is not registered with @evaluator")
    parameters = {
        name: _plain(getattr(evaluator, name))
        for name in _field_names(type(evaluator))
        if name not in _UNSCORED and not (given and _is_default(evaluator, name))
    }
    kind = registered[0]
    versions = " ".join([f"{kind.name}@{kind.version}", *_built_in_bases(type(evaluator))])
    return f"{versions} {json.dumps(parameters, sort_keys=True, default=str)}"


def evaluator_identity(evaluator: Evaluator) -> str:
    """Return an evaluator's identity, and the digest of the user code in it and its answer format.

    The identity alone is part of the keys of simulated calls: edited code scores the stored
    answers anew. An evaluator whose scores depend on more than that has a `full_identity`.
    """
    # Not by a runtime protocol: that costs more than all the rest of a trial's fingerprint.
    full: str | None = getattr(evaluator, "full_identity", None)
    if full is not None:
        return full
    form = getattr(evaluator, "answer_format", None)
    parsers = [get_answer_format(form).parse] if form else []
    code = code_digest(type(evaluator), *parsers)
    return f"{evaluator.identity}{_CODE}{code}" if code else evaluator.identity


@dataclass(frozen=True)
class StandIn:
    """An evaluator under the identity of another one, whose trials and calls are thereby found.

    Attributes:
        evaluator: What scores.
        full_identity: What `evaluator_identity` returned for the other one.
    """

    evaluator: Evaluator
    full_identity: str

    @property
    def name(self) -> str:
        """The scoring evaluator's name."""
        return self.evaluator.name

    @property
    def identity(self) -> str:
        """The other one's identity."""
        return self.full_identity.partition(ALSO)[0].partition(_CODE)[0]

    @property
    def blocking(self) -> bool:
        """Whether scoring takes its time."""
        return getattr(self.evaluator, "blocking", False)

    @property
    def normal(self) -> Callable[[Item, str], str] | None:
        """The scoring evaluator's `normal`, if it has one."""
        return getattr(self.evaluator, "normal", None)

    @property
    def without_models(self) -> Evaluator:
        """What stands in for the scoring evaluator where no model is to be asked."""
        return without_models(self.evaluator)

    @property
    def judges(self) -> Sequence[Judge]:
        """The scoring evaluator's judges."""
        return judges_of(self.evaluator)

    def evaluate(self, item: Item, output: str) -> Score:
        """Score `output`."""
        return self.evaluator.evaluate(item, output)


def _built_in_bases(cls: type[Any]) -> Iterator[str]:
    """Yield the versions of the built-in evaluators that a user's class is derived from."""
    if is_built_in(cls):
        return
    versions = {kind.cls: f"{kind.name}@{kind.version}" for kind in KINDS.values()}
    for base in cls.__mro__[1:]:
        if is_built_in(base) and base in versions:
            yield versions[base]
        elif base is AnswerEvaluator:
            yield f"answer_evaluator@{ANSWER_EVALUATOR_VERSION}"
        elif base is FunctionEvaluator:
            yield f"function_evaluator@{FUNCTION_EVALUATOR_VERSION}"


def _is_default(evaluator: Evaluator, name: str) -> bool:
    given = next(f for f in fields(cast("Any", evaluator)) if f.name == name)
    if given.default_factory is not MISSING:
        return bool(getattr(evaluator, name) == given.default_factory())
    return given.default is not MISSING and getattr(evaluator, name) == given.default


def _field_names(cls: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls)) if is_dataclass(cls) else ()


def _plain(value: Any) -> Any:
    """Write 0.10 and 0.1 alike."""
    return str(value.normalize()) if isinstance(value, Decimal) else value


@dataclass(frozen=True)
class AnswerEvaluator(ABC):
    """Reads one answer out of the output and compares it with the target and its alternatives.

    Attributes:
        name: The card's name.
        answer_format: How answers are read; by default as each item says.
    """

    compared_as: ClassVar[str | None] = None
    """Format of the answers that `agrees` compares, if it is always the same one."""

    name: str
    answer_format: str | None = None

    @cached_property
    def identity(self) -> str:
        """Kind, version, parameters, and the versions of the answer formats it may read.

        Where the items say how to read, that is any of the built-in formats; a format of the
        user's own is covered by naming it in the card.
        """
        formats = [get_answer_format(self.answer_format)] if self.answer_format else (
            BUILT_IN_FORMATS
        )  # fmt: skip
        return f"{parameter_identity(self)} {' '.join(form.identity for form in formats)}"

    @abstractmethod
    def agrees(self, answer: str, target: str) -> bool:
        """Whether two answers that have been read are the same."""

    def normalised(self, answer: str) -> str:
        """Return the same text for all answers that agree with the same targets."""
        return answer

    def normal(self, item: Item, answer: str) -> str:
        """Return the same text for all answers to an item that count as the same, see `base`."""
        read = self.read(answer, item)
        return answer if read is None else self.normalised(read)

    def read(self, text: str, item: Item) -> str | None:
        """Read an answer out of `text` in its format, and out of that what is compared."""
        form = self._format(item)
        answer = parse_answer(text, form, item.choices)
        if answer is None or self.compared_as in (None, form):
            return answer
        return parse_answer(answer, self.compared_as, item.choices)

    def read_target(self, target: str, item: Item) -> str | None:
        """Return the answer that `target` is; None if it is not one wholly."""
        form = self._format(item)
        answer = read_target(target, form, item.choices)
        if answer is None or self.compared_as in (None, form):
            return answer
        return read_target(answer, self.compared_as, item.choices)

    def _format(self, item: Item) -> str:
        return self.answer_format or item.answer_format

    def evaluate(self, item: Item, output: str) -> Score:
        """Score 1 if the answer is the target or one of the alternatives, else 0.

        Raises:
            ConfigError: if a target is not wholly an answer in its format.
        """
        answer = self.read(output, item)
        targets = [self._required(target, item) for target in (item.target, *item.alternatives)]
        shown = shorten(targets[0])
        if answer is None:
            return Score(0.0, None, f"No answer could be read; the target is {shown}.")
        if self.agrees(answer, targets[0]):
            return Score(1.0, answer, f"{shorten(answer)} is the target.")
        for alternative in targets[1:]:
            if self.agrees(answer, alternative):
                return Score(1.0, answer, f"{shorten(answer)} is as right as the target, {shown}.")
        return Score(0.0, answer, f"{shorten(answer)} is not the target, {shown}.")

    def _required(self, target: str, item: Item) -> str:
        if (read := self.read_target(target, item)) is None:
            form = self.compared_as or self._format(item)
            raise ConfigError(
                f"item {item.id!r}: the target {shorten(target)} is not wholly an answer in format "
                f"{form!r}, which {self.name!r} compares"
            )
        return read


def shorten(text: str, limit: int = 80) -> str:
    """Return `text` in quotes, cut to about `limit` characters, control characters escaped."""
    return repr(text if len(text) <= limit else f"{text[: limit - 3]}...")

"""The operator: a node's computation, like `nn.Module`."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from enum import Enum
from functools import lru_cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import BaseModel

from ember_bench import bridge
from ember_bench.answers.formats import answer_format_names, get_answer_format
from ember_bench.errors import SignatureError
from ember_bench.models import interception
from ember_bench.models.tasks import in_thread, run_coroutine
from ember_bench.operators.lm import LMModule
from ember_bench.operators.signature import Signature

if TYPE_CHECKING:
    from ember_bench.models.service import ModelService
    from ember_bench.operators.cards import NodeCard
    from ember_bench.operators.control import Sequential
    from ember_bench.operators.plan import ExecutionPlan
    from ember_bench.registry import Cards

Inputs = Mapping[str, Any]

_describing: ContextVar[tuple[int, ...]] = ContextVar("ember_bench_describing", default=())


class OperatorKind(Enum):
    """What an operator does to the shape of its inputs."""

    RECURRENT = "recurrent"
    FAN_IN = "fan_in"
    FAN_OUT = "fan_out"


class Operator:
    """A computation: `forward(inputs) -> outputs`, both with named fields.

    Write a subclass with a `forward` in plain synchronous Python. Sub-operators and LM modules are
    found in its attributes (and in lists, tuples and dicts there) without registration. Calling
    the operator checks the inputs against its signature, runs `forward`, and checks the outputs.

    Args:
        lm_modules: The LM modules it asks, kept in `self.lms`.
        signature: What it takes and gives; by default the class's own.

    Attributes:
        kind: What it does to the shape of its inputs.
        role: What it asks models to do (`generate`, `verify`, `judge`, ...).
        blocking: `forward` really blocks (CPU work, `requests`) and gets a thread of its own.
        pure: `forward` does nothing but compute its outputs from its inputs and the answers of the
            models it asks; so, asking none, it need not run twice on the same inputs.
        asks_once: `forward` asks its models in one step: one call, or several at the same time.
        reads: Answer formats that `forward` itself reads texts by; a part of the description, as
            are those that attributes called `answer_format` name.
        version: Raised when `forward` gives other results than before for the same inputs.
        described_as: The class's name in descriptions, where it is not that of its module: stored
            trials of a class that has moved are still found. Subclasses do not inherit it.
    """

    kind: ClassVar[OperatorKind | None] = None
    role: ClassVar[str] = "generate"
    blocking: ClassVar[bool] = False
    pure: ClassVar[bool] = False
    asks_once: ClassVar[bool] = False
    reads: ClassVar[Sequence[str]] = ()
    version: ClassVar[int] = 1
    described_as: ClassVar[str | None] = None

    # Class attributes, so that a subclass need not call `super().__init__()`.
    lms: Sequence[LMModule] = ()
    signature: Signature | None = None

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule] = (),
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        self.lms = list(lm_modules)
        if signature is not None:
            self.signature = signature() if isinstance(signature, type) else signature

    def forward(self, inputs: Inputs) -> Any:
        """Compute the outputs; `async def` is welcome too."""
        raise NotImplementedError(f"{type(self).__name__} has no forward()")

    def to_plan(self, inputs: Inputs) -> ExecutionPlan:
        """Return tasks that compute what `forward` does, for the scheduler; not every class can.

        A graph, and a plan that has this operator for a task, then runs these tasks.
        """
        raise NotImplementedError(f"{type(self).__name__} has no to_plan()")

    def __call__(self, inputs: Inputs | BaseModel | None = None, /, **fields: Any) -> Any:
        """Run the operator eagerly on `inputs`, on keyword fields, or on both.

        Raises:
            SignatureError: if inputs or outputs do not fit the signature; before any model is
                asked where the inputs do not.
        """
        if (recorder := interception.current.get()) is not None:
            return recorder.operator(self, inputs, fields)
        return self.call_with(self._run, inputs, **fields)

    def call_with(
        self,
        compute: Callable[[Inputs], Any],
        inputs: Inputs | BaseModel | None = None,
        /,
        **fields: Any,
    ) -> Any:
        """Do as a call does, with `compute` in the place of `forward`."""
        given = _as_mapping(inputs)
        if fields:
            given = {**given, **fields}
        signature = self._signature()
        if signature is None:
            return compute(given)
        try:
            return signature.check_output(compute(signature.check_inputs(given)))
        except SignatureError as error:
            error.add_note(f"in {type(self).__name__}")
            raise

    def named_operators(self) -> Iterator[tuple[str, Operator]]:
        """Yield this operator under "" and every one within it under its path, outer first."""
        seen: set[int] = set()
        yield from _walk_operators(self, "", seen)

    def named_lm_modules(self) -> Iterator[tuple[str, LMModule, str]]:
        """Yield (path, LM module, role of the operator that holds it), in attribute order.

        A module that stands in two places is yielded twice.
        """
        for path, operator in self.named_operators():
            for name, value in _parts(operator):
                if isinstance(value, LMModule):
                    yield (f"{path}.{name}" if path else name), value, operator.role

    def lm_modules(self) -> list[LMModule]:
        """Return every LM module in this operator and those within it, each once."""
        return list({id(lm): lm for _, lm, _ in self.named_lm_modules()}.values())

    def replace(
        self, target: str | Operator | LMModule, new: str | Operator | LMModule
    ) -> Operator:
        """Return a copy in which `target` is replaced; this operator stays as it is.

        Args:
            target: A path, as `named_operators` and `named_lm_modules` have it; an operator or LM
                module, wherever it stands; or a model's id or bare name, for all its LM modules.
            new: What stands there instead; for LM modules also a model's id or bare name, asked
                with the same parameters.

        Raises:
            UnknownNameError: if nothing has that path and no LM module asks that model.
        """
        from ember_bench.operators.tree import replaced  # noqa: PLC0415 - they need each other

        return replaced(self, target, new)

    def to_card(self) -> NodeCard:
        """Return the card from which `from_card` makes this operator; see `cards.card_of`.

        Raises:
            ConfigError: naming what cannot be written, such as a lambda.
        """
        from ember_bench.operators.cards import card_of  # noqa: PLC0415 - they need each other

        return card_of(self)

    @staticmethod
    def from_card(
        card: NodeCard | Mapping[str, Any],
        service: ModelService | None = None,
        cards: Cards | None = None,
    ) -> Operator:
        """Return the operator that a card describes.

        Args:
            card: As `to_card` gives it, or its fields; what it names is imported.
            service: Whom the LM modules ask; by default one for the registries in force.
            cards: Where signatures are found by name; by default the built-in registry.

        Raises:
            ConfigError: if it names what does not exist.
        """
        from ember_bench.operators.cards import (  # noqa: PLC0415 - they need each other
            Builder,
            NodeCard,
        )

        return Builder(service=service, cards=cards).operator(NodeCard.model_validate(card))

    def __rshift__(self, other: Operator) -> Sequential:
        """`a >> b`: `b` is given the inputs and what `a` makes of them."""
        from ember_bench.operators.control import Sequential  # noqa: PLC0415 - it is an operator

        return Sequential.of(self, other) if isinstance(other, Operator) else NotImplemented

    def __repr__(self) -> str:
        from ember_bench.operators.tree import render  # noqa: PLC0415 - they need each other

        return render(self, _parts)

    def describe(self) -> dict[str, Any]:
        """Return, as JSON-like data, everything that can change what the operator computes."""
        around = _describing.get()
        if id(self) in around:  # it holds what holds it
            return {"around": len(around) - around.index(id(self))}
        token = _describing.set((*around, id(self)))
        try:
            own = {n: _describe_attribute(n, v) for n, v in sorted(vars(self).items())}
        finally:
            _describing.reset(token)
        if "signature" not in own and self._signature() is not None:
            own["signature"] = _describe(self._signature())
        reads = [get_answer_format(name).identity for name in self.reads]
        return {
            "operator": vars(type(self)).get("described_as") or _qualified_name(type(self)),
            "version": _code_version(type(self)),
            **({"reads": reads} if reads else {}),
            # Apart, as an attribute may have any name, `operator` among them.
            "attributes": own,
        }

    def _signature(self) -> Signature | None:
        signature: Signature | type[Signature] | None = self.signature
        return signature() if isinstance(signature, type) else signature

    def _run(self, inputs: Inputs) -> Any:
        if self.blocking:
            output = bridge.wait(in_thread(self.forward, inputs))
        else:
            output = self.forward(inputs)
        return run_coroutine(output) if inspect.iscoroutine(output) else output


def _as_mapping(inputs: Inputs | BaseModel | None) -> Inputs:
    if type(inputs) is dict:  # most are, and to ask what else it may be takes a while
        return inputs
    if inputs is None:
        return {}
    if isinstance(inputs, BaseModel):
        return inputs.model_dump()
    if isinstance(inputs, Mapping):
        return inputs
    raise SignatureError(f"inputs must have named fields; found {type(inputs).__name__}")


def _parts(operator: Operator) -> Iterator[tuple[str, Operator | LMModule]]:
    """Yield the operators and LM modules in the attributes of `operator`, with their paths."""
    for name, value in vars(operator).items():
        yield from _parts_of(name, value)


def _parts_of(name: str, value: Any) -> Iterator[tuple[str, Operator | LMModule]]:
    if isinstance(value, Operator | LMModule):
        yield name, value
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            yield from _parts_of(f"{name}.{index}", entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from _parts_of(f"{name}.{key}", entry)


def _walk_operators(
    operator: Operator, path: str, seen: set[int]
) -> Iterator[tuple[str, Operator]]:
    if id(operator) in seen:
        return
    seen.add(id(operator))
    yield path, operator
    for name, value in _parts(operator):
        if isinstance(value, Operator):
            yield from _walk_operators(value, f"{path}.{name}" if path else name, seen)


def _describe_attribute(name: str, value: Any) -> Any:
    if name == "answer_format" and isinstance(value, str) and value in answer_format_names():
        return get_answer_format(value).identity
    return _describe(value)


def _describe(value: Any) -> Any:
    """Return `value` as JSON-like data; two that compute the same are described the same."""
    described: Any
    match value:
        case None | bool() | int() | float() | str():
            described = value
        case Operator():
            described = value.describe()
        case LMModule():
            described = {
                "model": value.model.fingerprint,
                "config": value.config.model_dump(mode="json", exclude={"model_name"}),
            }
        case Signature():
            described = _describe_signature(value)
        case Enum():
            described = value.value
        case Mapping():
            described = {str(key): _describe(entry) for key, entry in value.items()}
        case set() | frozenset():
            described = sorted(map(str, value))
        case list() | tuple():
            described = [_describe(entry) for entry in value]
        case _ if callable(value):
            described = _describe_callable(value)
        case _ if hasattr(value, "__dict__"):
            described = _describe_object(value)
        case _:
            described = repr(value)
    return described


def _describe_callable(value: Any) -> dict[str, Any]:
    """Describe a function by its source and by what it was made with."""
    described: dict[str, Any]
    if isinstance(value, partial):
        made_with = (value.args, value.keywords)
        return {"partial": _describe(value.func), "of": [_describe(part) for part in made_with]}
    if not (inspect.isroutine(value) or inspect.isclass(value)):
        return _describe_object(value)
    described = {
        "function": _qualified_name(value),
        "source": _source_digest(cast("Hashable", value)),
    }
    if inspect.ismethod(value):
        owner = value.__self__
        described["of"] = _qualified_name(owner) if inspect.isclass(owner) else _describe(owner)
    if inspect.isfunction(value) and (value.__defaults__ or value.__kwdefaults__):
        described["defaults"] = _describe([value.__defaults__, value.__kwdefaults__])
    if inspect.isfunction(value) and value.__closure__:
        cells = zip(value.__code__.co_freevars, value.__closure__, strict=True)
        made_with_names = {name: cell.cell_contents for name, cell in cells}
        # By name only: a function may close over itself.
        described["of"] = {
            name: _qualified_name(part) if inspect.isroutine(part) else _describe(part)
            for name, part in made_with_names.items()
        }
    return described


def _describe_object(value: Any) -> dict[str, Any]:
    described = {
        "object": _qualified_name(type(value)),
        "source": _source_digest(cast("Hashable", type(value))),
    }
    state = getattr(value, "__dict__", {})
    return described | {name: _describe(part) for name, part in sorted(state.items())}


def _describe_signature(signature: Signature) -> dict[str, Any]:
    def schema(model: type[BaseModel] | None) -> Any:
        return model.model_json_schema() if model is not None else None

    return {
        "required_inputs": signature.required_inputs,
        "prompt_template": signature.prompt_template,
        "structured_output": schema(signature.structured_output),
        "input_model": schema(signature.input_model),
    }


def _code_version(cls: type[Operator]) -> Any:
    """Return a built-in class's version number; a user's class has its source for a version."""
    if cls.__module__.startswith("ember_bench."):
        return cls.version
    bases = [base for base in cls.__mro__ if issubclass(base, Operator) and base is not Operator]
    return [cls.version, *(_source_digest(cast("Hashable", base)) for base in bases)]


@lru_cache(maxsize=1024)
def _source_digest(code: Hashable) -> str | None:
    """Hash a function's or class's source; None where there is none (built-ins)."""
    try:
        source = textwrap.dedent(inspect.getsource(cast("Any", code)))
    except (OSError, TypeError):
        return None
    return sha256(source.encode()).hexdigest()[:16]


def _qualified_name(thing: Any) -> str:
    cls = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{cls.__module__}.{cast('str', cls.__qualname__)}"

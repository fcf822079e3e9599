"""Operators: their calls, their names in cards, and the operator that runs others in a row."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from enum import Enum
from functools import partial
from typing import Any, ClassVar, Final, TypeVar

from pydantic import BaseModel

import ember_bench
from ember_bench import bridge
from ember_bench.code_identity import is_built_in
from ember_bench.errors import ConfigError, SignatureError, UnknownNameError
from ember_bench.models.tasks import in_thread, run_coroutine
from ember_bench.models.time_limit import run_limited
from ember_bench.operators.description import describe_operator
from ember_bench.operators.fields import (
    ANYTHING,
    OUTPUT,
    as_mapping,
    check_chain,
    check_link,
    check_spelling,
    declared,
    merge_inputs,
    names,
    outputs_of,
)
from ember_bench.operators.lm import LMModule, Prompt, as_messages, check_modules
from ember_bench.operators.plan import ExecutionPlan
from ember_bench.operators.signature import (
    Signature,
    as_instance,
    builtin_signature,
    required_input,
)
from ember_bench.operators.tree import Tree, check_operator, parts, replaced, unlike_operator, walk

Inputs = Mapping[str, Any]
OperatorT = TypeVar("OperatorT", bound="type[Operator]")

_registered: dict[str, type[Operator]] = {}
within: Final[ContextVar[bool]] = ContextVar("ember_bench_within", default=False)
"""Whether the running code is that of an operator, which hands on inputs that it was given."""


class OperatorKind(Enum):
    """The effect of an operator on the number of its inputs."""

    RECURRENT = "recurrent"
    FAN_IN = "fan_in"
    FAN_OUT = "fan_out"


class Operator(Tree):
    """A computation: `forward(inputs) -> outputs`, both with named fields.

    Write a subclass with a `forward` in plain synchronous Python. Sub-operators and LM modules are
    found in its attributes (and in lists, tuples and dicts there) without registration. Calling
    the operator checks the inputs against its signature, runs `forward`, and checks the outputs.

    Args:
        lm_modules: The LM modules that it calls, kept in `self.lms`.
        signature: Its inputs and outputs; by default those of the class.

    Attributes:
        kind: Its effect on the number of inputs.
        role: The role of its LM calls (`generate`, `verify`, `judge`, ...).
        blocking: `forward` blocks (CPU work, `requests`) and runs in a thread of its own.
        pure: Outputs depend on inputs and LM calls alone: without LM modules it need not run twice.
        asks_once: `forward` makes all its LM calls in one step: one call, or several at once.
        writes: Its `responses` are the texts of its LM calls, unchanged.
        needs: Inputs without which `forward` fails, beside those that its signature requires.
        fills: Names in its signature's prompt that `forward` fills in itself; None if not known.
        uses: Inputs that `forward` uses if they are given, beside those of its signature and of
            items; None if that is not known.
        gives: All fields that its outputs may have; None if that is not known.
        reads: Answer formats that `forward` itself uses. They are part of the description, as are
            the formats named by attributes called `answer_format`.
        version: To be raised when `forward` computes other results than before.
        described_as: The name of the class in descriptions, by default its import path. A moved
            class keeps its former path, so that stored trials are found. Not inherited.
        default_signature: Name of the built-in signature that is used if there are LM modules and
            no signature is given.
    """

    kind: ClassVar[OperatorKind | None] = None
    role: ClassVar[str] = "generate"
    blocking: ClassVar[bool] = False
    pure: ClassVar[bool] = False
    asks_once: ClassVar[bool] = False
    writes: ClassVar[bool] = False
    needs: ClassVar[Sequence[str]] = ()
    fills: ClassVar[Sequence[str] | None] = None
    uses: ClassVar[Sequence[str] | None] = ()
    gives: ClassVar[Sequence[str] | None] = None
    reads: ClassVar[Sequence[str]] = ()
    version: ClassVar[int] = 1
    described_as: ClassVar[str | None] = None
    default_signature: ClassVar[str | None] = None

    # Class attributes, so that a subclass need not call `super().__init__()`.
    lms: Sequence[LMModule] = ()
    signature: Signature | None = None

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule] = (),
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        check_modules(lm_modules, type(self).__name__)
        self.lms = list(lm_modules)
        if signature is None and self.lms and self.default_signature is not None:
            signature = builtin_signature(self.default_signature)
        if signature is not None:
            self.signature = as_instance(signature)

    def forward(self, inputs: Inputs) -> Any:
        """Compute the outputs; may be an `async def`."""
        raise NotImplementedError(f"{type(self).__name__} has no forward()")

    def to_plan(self, inputs: Inputs) -> ExecutionPlan:
        """Return tasks that compute the same as `forward`; optional.

        The scheduler runs them in the place of `forward`, for a node of a graph or a task of a
        plan.
        """
        raise NotImplementedError(f"{type(self).__name__} has no to_plan()")

    def check_fields(self, given: Inputs) -> Inputs:
        """Check that what it needs will be there, before anything is asked.

        Args:
            given: The inputs, by name; one that is there later is `()`.

        Returns:
            What its outputs may have, by name; `fields.ANYTHING` if that is not known.

        Raises:
            SignatureError: if an input is missing.
        """
        cls, signature = type(self), self._signature()
        if signature is not None:
            signature.check_names(given, declared(cls, "fills") if self.lms else None)
        for name in declared(cls, "needs") or ():
            required_input(name, given)
        gives = declared(cls, "gives")
        return ANYTHING if gives is None else names(*gives)

    def __call__(
        self,
        inputs: Inputs | BaseModel | None = None,
        /,
        *,
        timeout: float | None = None,
        **fields: Any,
    ) -> Any:
        """Run the operator eagerly on `inputs`, on keyword fields, or on both.

        Args:
            inputs: Its inputs, by name.
            timeout: Seconds after which it is given up; requests go on, and answers are stored.
            fields: More inputs; one with the name `timeout` is given in `inputs`.

        Raises:
            TimeLimitError: if it takes longer than `timeout`.
            SignatureError: if inputs or outputs do not fit the signature, or an input is misspelt.
                Inputs are checked before any LM call.
        """
        if fields or not within.get():
            check_spelling(self, {**as_mapping(inputs), **fields})
        if timeout is not None:
            run = partial(self.call_with, self._run, inputs, **fields)
            return run_limited(run, timeout, type(self).__name__)
        return self.call_with(self._run, inputs, **fields)

    async def acall(self, inputs: Inputs | BaseModel | None = None, /, **fields: Any) -> Any:
        """Run the operator as a coroutine, on the running event loop; else as a call does."""
        return await bridge.run(lambda: self(inputs, **fields))

    def call_with(
        self,
        compute: Callable[[Inputs], Any],
        inputs: Inputs | BaseModel | None = None,
        /,
        **fields: Any,
    ) -> Any:
        """Run the operator with `compute` in the place of `forward`."""
        given = as_mapping(inputs)
        if fields:
            given = {**given, **fields}
        signature = self._signature()
        token = within.set(True)
        try:
            if signature is None:
                return compute(given)
            return self._check_output(signature, compute(signature.check_inputs(given)))
        except SignatureError as error:
            if signature is not None:
                error.add_note(f"in {type(self).__name__}")
            raise
        finally:
            within.reset(token)

    def named_operators(self) -> Iterator[tuple[str, Operator]]:
        """Yield this operator under "" and every one within it under its path, outer first."""
        return walk(self)

    def named_lm_modules(self) -> Iterator[tuple[str, LMModule, str]]:
        """Yield (path, LM module, role of the operator that holds it), in attribute order.

        A module that stands in two places is yielded twice.
        """
        for path, operator in self.named_operators():
            for name, part in parts(operator):
                if isinstance(part, LMModule):
                    yield (f"{path}.{name}" if path else name), part, operator.role

    def lm_modules(self) -> list[LMModule]:
        """Return every LM module in this operator and those within it, each once."""
        return list({id(lm): lm for _, lm, _ in self.named_lm_modules()}.values())

    def replace(
        self, target: str | Operator | LMModule, new: str | Operator | LMModule
    ) -> Operator:
        """Return a copy in which `target` is replaced; this operator is not changed.

        Args:
            target: A path, as in `named_operators` and `named_lm_modules`; an operator or LM
                module, replaced in all its places; or the id or bare name of a model, for all its
                LM modules.
            new: The replacement. For LM modules also the id or bare name of a model, which is
                called with the same parameters.

        Raises:
            UnknownNameError: if `target` is neither a path nor the name of a model here.
        """
        return replaced(self, target, new)

    def __rshift__(self, other: Operator | Callable[..., Any]) -> Sequential:
        """Return the operator that runs this one, then `other`; see `Sequential`.

        A Python function becomes a `Function`.
        """
        return Sequential.of(self, _as_step(other))

    def __rrshift__(self, other: Callable[..., Any]) -> Sequential:
        """Return the operator that runs the function `other`, then this one."""
        return Sequential.of(_as_step(other), self)

    def describe(self) -> dict[str, Any]:
        """Return, as JSON-like data, everything that can change the results of the operator."""
        return describe_operator(self, Operator)

    def _signature(self) -> Signature | None:
        signature: Signature | type[Signature] | None = self.signature
        return signature() if isinstance(signature, type) else signature

    def _check_output(self, signature: Signature, output: Any) -> Any:
        """Return the output, cast to that of the signature."""
        return signature.check_output(output)

    def _prompt(self, inputs: Inputs) -> Prompt:
        """Return the prompt of the signature, with `inputs` filled in, and their `images`."""
        signature = self._signature()
        if signature is None:
            raise SignatureError(f"{type(self).__name__} has no signature, and so no prompt")
        return signature.ask(inputs)

    def _with_turns(self, inputs: Inputs) -> Prompt:
        """Return the prompt of the signature, behind the `turns` of conversation before it."""
        prompt = self._prompt(inputs)
        turns = inputs.get("turns")
        return [*turns, *as_messages(prompt)] if turns else prompt

    def _run(self, inputs: Inputs) -> Any:
        if self.blocking:
            output = bridge.wait(in_thread(self.forward, inputs))
        else:
            output = self.forward(inputs)
        return run_coroutine(output) if inspect.iscoroutine(output) else output


def _as_step(step: Any) -> Operator:
    """Return a step of a chain as an operator."""
    if isinstance(step, Operator):
        return step
    if isinstance(step, type | LMModule) or not callable(step):
        found = unlike_operator(step)
        raise TypeError(f"a chain takes operators and functions, found {found}")
    return operator_class("Function")(step)  # type: ignore[call-arg]


def operator(cls: OperatorT) -> OperatorT:
    """Register an operator class under its name, so that cards can use it.

    Raises:
        ConfigError: if a built-in class has that name.
    """
    name = cls.__name__
    if not is_built_in(cls) and (known := _found(name)) is not None and is_built_in(known):
        raise ConfigError(f"operator {name!r} is built in: give the class {cls!r} another name")
    _registered[name] = cls
    return cls


def operator_class(name: str) -> type[Operator]:
    """Return the operator class registered as `name`.

    Raises:
        UnknownNameError: if there is none; lists near matches.
    """
    found = _found(name)
    if found is None:
        raise UnknownNameError("operator", name, _registered)
    return found


def _found(name: str) -> type[Operator] | None:
    if name not in _registered:
        # Public names are imported on first use, and their packages register the built-in ones.
        for public in dir(ember_bench):
            getattr(ember_bench, public)
    return _registered.get(name)


@operator
class Sequential(Operator):
    """Runs operators one after another; `a >> b >> c` creates one.

    It is the graph a -> b -> c. Each operator receives the inputs and the outputs of the one
    before it, merged by `merge_inputs`: a `final_answer` without `responses` becomes a response,
    and an output without named fields becomes the field `output`. Outputs: those of the last.

    Args:
        operators: In the order in which they run.

    Raises:
        SignatureError: if a step uses nothing of what the step before gives, and needs what no
            step before takes; other missing inputs are refused when it is called.
    """

    described_as = "ember_bench.operators.control.Sequential"

    def __init__(self, *, operators: Sequence[Operator]) -> None:
        if not operators:
            raise ValueError("Sequential needs at least one operator")
        super().__init__()
        self.operators = list(operators)
        for number, step in enumerate(self.operators, start=1):
            check_operator(step, f"step {number}")
        steps = self._steps()
        for number, (place, second, _) in enumerate(steps[1:], start=1):
            source, first, _ = steps[number - 1]
            check_link(place, second, {source: first}, steps[:number])

    @classmethod
    def of(cls, first: Operator, second: Operator) -> Sequential:
        """Return `first >> second`; a Sequential among them is replaced by its steps."""
        steps: list[Operator] = []
        for step in (first, second):
            steps += step.operators if type(step) is Sequential else [step]
        return Sequential(operators=steps)

    def check_fields(self, given: Inputs) -> Inputs:
        """Check all steps; return the outputs of the last."""
        steps = self._steps()
        return check_chain(steps, given)[steps[-1][0]]

    def _steps(self) -> list[tuple[str, Operator, list[str]]]:
        count = len(self.operators)
        steps = [f"step {number} of {count}" for number in range(1, count + 1)]
        sources = [[], *([step] for step in steps)]
        return list(zip(steps, self.operators, sources, strict=False))

    def forward(self, inputs: Inputs) -> Any:
        """Run all steps."""
        outputs_of(self, inputs)
        output: Any = None
        given = dict(inputs)
        for number, step in enumerate(self.operators, start=1):
            try:
                output = step(given)
            except Exception as error:
                error.add_note(f"in step {number} of {len(self.operators)}")
                raise
            given = merge_inputs(inputs, {OUTPUT: output}, [OUTPUT])
        return output

"""Operators in jitted code: which are entered, and which are one call among the others."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import FunctionType, MethodType
from typing import Any, cast

from pydantic import BaseModel

from ember_bench.errors import SignatureError
from ember_bench.graph.data import NoNGraphData
from ember_bench.graph.jitting.calls import Jitted, calls_operators_by, live
from ember_bench.graph.jitting.lazies import Lazy, NotSimpleError, lazies_in, snapshot
from ember_bench.graph.jitting.plans import JitPlan, Report, planned
from ember_bench.graph.jitting.rewriting import is_straight
from ember_bench.graph.jitting.runs import Run, run_whole
from ember_bench.graph.jitting.sources import UnreadableError
from ember_bench.graph.jitting.structures import OTHERWISE
from ember_bench.operators.base import Inputs, Operator, OperatorKind, operator, within
from ember_bench.operators.fields import check_spelling, outputs_of
from ember_bench.operators.lm import LMModule
from ember_bench.operators.mapping import Mapped


@operator
class JittedOperator(Operator):
    """An operator whose calls run as a plan; see `jit`.

    Inputs and outputs: those of the operator `inner`.
    """

    described_as = "ember_bench.graph.jitted.JittedOperator"

    def __init__(self, inner: Operator) -> None:
        super().__init__()
        self.inner = inner
        # Shadows the class attribute by the kind of the inner operator.
        self.kind = inner.kind  # type: ignore[misc]

    def check_fields(self, given: Inputs) -> Inputs:
        """Check the inner operator."""
        return outputs_of(self.inner, given)

    def forward(self, inputs: Inputs) -> Any:
        """Run the inner operator."""
        run = Run()
        try:
            return run_whole(run, lambda: _first(run, self.inner, inputs))
        finally:
            _report(self.inner).of_run(run)

    def plan(self, inputs: Inputs) -> JitPlan:
        """Return the plan for such inputs; see `JittedFunction.plan`."""
        run, report = Run(dry=True), _report(self.inner)
        given = {name: run.given(name, value) for name, value in inputs.items()}
        run.own[id(given)] = given
        return planned(report.name, run, lambda: _first(run, self.inner, given), report.last)


# By class: what was told of its operators.
_reports: dict[type[Operator], Report] = {}


def _report(inner: Operator) -> Report:
    cls = type(inner)
    return _reports.setdefault(cls, Report(cls.__name__))


def _first(run: Run, inner: Operator, inputs: Any) -> Any:
    """Call the operator that was jitted itself: it is entered if it can be."""
    if _is_users(inner) and not _has_calls_of_its_own(inner) and (forward := _forward(inner)):
        return _enter(run, inner, forward, inputs, {})
    found = _called(run, inner, (inputs,), {})
    return inner(run.whole(inputs)) if found is OTHERWISE else found


def _called(run: Run, called: Operator, args: tuple[Any, ...], fields: Mapping[str, Any]) -> Any:
    """Call an operator in rewritten code; `OTHERWISE` if it is to be called as it is."""
    if isinstance(called, JittedOperator):
        called = called.inner
    if run.at_once or len(args) > 1 or fields.get("timeout") is not None:
        return OTHERWISE
    inputs = args[0] if args else {}
    if type(inputs) is Lazy:
        inputs = run.value(inputs, f"it is all the inputs of {type(called).__name__}")
    if isinstance(inputs, Mapping) and (fields or not within.get()):
        check_spelling(called, {**inputs, **fields})
    lazy = any(not lazy.done for lazy in lazies_in((inputs, dict(fields))))
    if not _asks(called):
        if lazy:
            return _unit(run, called, inputs, fields) if called.pure else OTHERWISE
        if not called.pure:
            run.stop(f"{type(called).__name__} is called, which may have a state")
        return called(run.whole(inputs), **{n: run.whole(v) for n, v in fields.items()})
    if _has_calls_of_its_own(called):
        return _unit(run, called, inputs, fields)
    forward = _forward(called)
    # Those that are built in look at answers, but for these.
    fans_out = called.asks_once and called.kind is OperatorKind.FAN_OUT and not lazy
    if forward is not None and (fans_out or (_is_users(called) and is_straight(_function(called)))):
        return _enter(run, called, forward, inputs, fields)
    # Its own calls are made at the same time, too.
    is_more = forward is not None and _is_users(called) and not called.asks_once
    as_unit = JittedOperator(called) if is_more else called
    return _unit(run, as_unit, inputs, fields, type(called).__name__)


def _has_calls_of_its_own(called: Operator) -> bool:
    return (
        called.blocking
        or isinstance(called, NoNGraphData)
        or type(called).__call__ is not Operator.__call__
        or inspect.iscoroutinefunction(called.forward)
    )


def _asks(called: Operator) -> bool:
    """Return whether an operator contains LM modules, or its code names an operator or LM module.

    A function that is mapped may ask anything.
    """
    if isinstance(called, Mapped):
        return isinstance(called.function, Operator)
    if called.lm_modules():
        return True
    code = _function(called)
    cells = []
    for cell in code.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # not assigned yet
            continue
    named = [code.__globals__.get(name) for name in code.__code__.co_names]
    return any(isinstance(part, Operator | LMModule) for part in (*cells, *named))


def _function(called: Operator) -> FunctionType:
    method: Any = called.forward
    method = method.plain if isinstance(method, Jitted) else method
    function = getattr(method, "__func__", method)
    return cast("FunctionType", function)


def _is_users(called: Operator) -> bool:
    return not type(called).__module__.startswith("ember_bench.")


def _forward(called: Operator) -> MethodType | None:
    """Return the rewritten `forward` of an operator; None if there is none."""
    try:
        return MethodType(live(_function(called)), called)
    except UnreadableError:
        return None


def _enter(
    run: Run, called: Operator, forward: MethodType, inputs: Any, fields: Mapping[str, Any]
) -> Any:
    """Run the operator's own code, as a part of the run."""
    if isinstance(inputs, BaseModel) or not isinstance(inputs, dict):
        inputs = run.whole(inputs)
        inputs = inputs.model_dump() if isinstance(inputs, BaseModel) else inputs
    if not isinstance(inputs, Mapping):
        return OTHERWISE
    given = {**inputs, **fields}
    signature = called._signature()
    token = within.set(True)
    try:
        if signature is not None:
            if signature.input_model is not None:
                run.own[id(given)] = given
                given = run.whole(given, f"the inputs of {type(called).__name__} are checked")
            given = signature.check_inputs(given)
        run.own[id(given)] = given
        output = forward(given)
        if signature is None or signature.structured_output is None:
            return output
        checked = run.whole(output, f"the output of {type(called).__name__} is checked")
        return signature.check_output(checked)
    except SignatureError as error:
        error.add_note(f"in {type(called).__name__}")
        raise
    finally:
        within.reset(token)


def _unit(
    run: Run, called: Operator, inputs: Any, fields: Mapping[str, Any], stem: str = ""
) -> Any:
    """Note the call of an operator as one step."""
    try:
        given = snapshot(inputs, strict=False)
        named = snapshot(dict(fields), strict=False)
    except NotSimpleError:
        return OTHERWISE
    made = run.call(stem or type(called).__name__, called, (given,), named, "value")
    return made.value if made.done else made


calls_operators_by(_called)

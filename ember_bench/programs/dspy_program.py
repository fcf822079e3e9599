"""Programs of DSPy as operators."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ember_bench.code_identity import qualified_name
from ember_bench.errors import ConfigError
from ember_bench.operators.base import Inputs, operator
from ember_bench.operators.description import describe, user_code
from ember_bench.operators.dspy_signatures import require_dspy
from ember_bench.operators.lm import LMModule
from ember_bench.programs.asking import PLACE, here
from ember_bench.programs.framework_models import dspy_lm
from ember_bench.programs.program import Program, as_output, chosen, foreign_model, own_errors

if TYPE_CHECKING:
    import dspy

_ANSWER: Final = "answer"
# What a module keeps of its runs, and what is random.
_NO_STATE: Final = frozenset(
    {"history", "callbacks", "stage", "traces", "train", "lm", "_compiled"}
)


@operator
class DSPyProgram(Program):
    """A `dspy.Module` whose calls go through the service: stored, priced, counted, in a trial.

    Inputs: those that the program's `forward` names, else the inputs of its first predictor's
    signature; `query` stands for one that is not given. Outputs: the fields of the prediction, and
    `final_answer`.

    Args:
        program: The program, or a function without parameters that makes it.
        lm_modules: The LM module that it asks; none if each predictor has one (`dspy_lm`).
        answer: The field of the prediction that is the answer; by default `answer`, else the last
            one.
        adapter: DSPy's adapter; by default that of its settings.

    Raises:
        ConfigError: if DSPy is not installed, or a predictor asks a model of DSPy's.
    """

    attribute = "program"

    def __init__(
        self,
        program: dspy.Module | Callable[[], dspy.Module],
        lm_modules: Sequence[LMModule] | LMModule = (),
        *,
        answer: str | None = None,
        adapter: Any = None,
    ) -> None:
        require_dspy()
        super().__init__(lm_modules=lm_modules)
        if len(self.lms) > 1:
            raise ValueError(f"DSPyProgram takes one LM module, found {len(self.lms)}")
        self.program = _made(program)
        self.answer = answer
        self.adapter = adapter
        self.held = _models_of(self.program)
        if not self.lms and not self.held:
            raise ValueError("DSPyProgram needs an LM module: lm_modules=[...]")

    def forward(self, inputs: Inputs) -> Mapping[str, Any]:
        """Run the program."""
        import dspy  # noqa: PLC0415 - an optional dependency

        given = chosen(_input_names(self.program), inputs)
        # Its history would grow with every trial.
        settings: dict[str, Any] = {"disable_history": True, PLACE: here()}
        if self.lms:
            settings["lm"] = dspy_lm(self.lms[0])
        if self.adapter is not None:
            settings["adapter"] = self.adapter
        with own_errors(), dspy.context(**settings):
            if _is_coroutine(self.program):
                import asyncio  # noqa: PLC0415 - rarely needed

                predicted = asyncio.run(self.program.acall(**given))
            else:
                predicted = self.program(**given)
        if not isinstance(predicted, dspy.Prediction):
            return as_output({}, predicted)
        fields = dict(predicted.items())
        return as_output(fields, fields[self._answer(fields)])

    def _answer(self, fields: Mapping[str, Any]) -> str:
        names = list(fields)
        if self.answer is not None and self.answer not in fields:
            raise ConfigError(f"answer: the prediction has no field {self.answer!r}, only {names}")
        if not names:
            raise ConfigError("the program's prediction has no fields")
        return self.answer or (_ANSWER if _ANSWER in fields else names[-1])

    def described_program(self, program: dspy.Module) -> Any:
        """Return its modules' classes, signatures, demonstrations and settings, and their code."""
        import dspy  # noqa: PLC0415 - an optional dependency

        adapter = self.adapter or dspy.settings.adapter
        kinds = {type(module) for _, module in program.named_sub_modules(type_=dspy.Module)}
        return {
            "state": _state(program, set()),
            "adapter": None if adapter is None else qualified_name(type(adapter)),
            **user_code(dspy.Module, *sorted(kinds, key=qualified_name)),
        }


def is_dspy_program(thing: Any) -> bool:
    """Whether an object is a `dspy.Module`; False without DSPy."""
    return any(cls.__module__ == "dspy.primitives.module" for cls in type(thing).__mro__)


def _made(program: Any) -> dspy.Module:
    made = program if is_dspy_program(program) or not callable(program) else program()
    if not is_dspy_program(made):
        raise ConfigError(f"expected a dspy.Module or a function that makes one, found {made!r}")
    return made


def _models_of(program: dspy.Module) -> list[LMModule]:
    """Return the LM modules of predictors that have their own.

    Raises:
        ConfigError: if one has a model of DSPy's.
    """
    found: dict[int, LMModule] = {}
    for name, predictor in program.named_predictors():
        if predictor.lm is None:
            continue
        module = getattr(getattr(predictor.lm, "engine", predictor.lm), "module", None)
        if not isinstance(module, LMModule):
            raise foreign_model(f"predictor {name!r}", "predictor.lm = dspy_lm(lm_module)")
        found[id(module)] = module
    return list(found.values())


def _input_names(program: dspy.Module) -> list[str]:
    # Of the class: DSPy warns whoever looks at the method of a module.
    function = type(program).aforward if _is_coroutine(program) else type(program).forward
    parameters = list(inspect.signature(function).parameters.values())[1:]
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if len(named) == len(parameters) and named:
        return [p.name for p in named if p.default is p.empty]
    predictors = program.predictors()
    return list(predictors[0].signature.input_fields) if predictors else []


def _is_coroutine(program: dspy.Module) -> bool:
    """Whether a program can only be run as a coroutine."""
    return not hasattr(type(program), "forward") and hasattr(type(program), "aforward")


def _state(value: Any, around: set[int]) -> Any:
    """Return what can change the results of a part of a program, as JSON-like data."""
    import dspy  # noqa: PLC0415 - an optional dependency

    if id(value) in around:
        return "(itself)"
    described: Any
    match value:
        case dspy.Module():
            described = _module_state(value, {*around, id(value)})
        case type() if issubclass(value, dspy.Signature):
            described = _signature_state(value)
        case dspy.Example():
            described = {"example": _state(dict(value.items()), around)}
        case Mapping():
            described = {str(key): _state(part, around) for key, part in value.items()}
        case list() | tuple():
            described = [_state(part, around) for part in value]
        case _:
            described = describe(value)
    return described


def _module_state(module: dspy.Module, around: set[int]) -> dict[str, Any]:
    state = {n: _state(v, around) for n, v in sorted(vars(module).items()) if n not in _NO_STATE}
    own = getattr(module, "lm", None)
    held = getattr(getattr(own, "engine", own), "module", None)
    if isinstance(held, LMModule):
        state["lm"] = held.describe()
    return {"module": qualified_name(type(module)), **state}


def _signature_state(signature: Any) -> dict[str, Any]:
    fields = signature.fields.items()
    shown = [[n, repr(f.annotation), describe(f.json_schema_extra or {})] for n, f in fields]
    return {"instructions": signature.instructions, "fields": shown}

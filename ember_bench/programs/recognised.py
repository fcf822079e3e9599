"""Programs of other frameworks, recognised where a network is expected."""

from __future__ import annotations

from typing import Any

from ember_bench.errors import ConfigError
from ember_bench.operators.base import Operator
from ember_bench.programs.dspy_program import DSPyProgram, is_dspy_program
from ember_bench.programs.runnable_program import RunnableProgram, is_runnable


def is_program(thing: Any) -> bool:
    """Whether an object is a `dspy.Module` or a `Runnable`; imports neither framework."""
    return is_dspy_program(thing) or is_runnable(thing)


def as_program(thing: Any) -> Operator | None:
    """Return the operator that runs a program with models of its own; None if it is no program.

    Raises:
        ConfigError: if it has none, or one that is not an LM module's.
    """
    if not is_program(thing):
        return None
    try:
        return DSPyProgram(thing) if is_dspy_program(thing) else RunnableProgram(thing)
    except ValueError as error:
        raise ConfigError(str(error)) from error
